/* `skerry sim`: simulated devices of models, for trying a hub and what stands behind it. */
#include <stdio.h>
#include <string.h>

#include "cli/simulation_parts.h"
#include "model/json_text.h"

/* ---- models ---- */

static const char *folder_of(struct cli *cli, const char *file) {
    const char *slash = strrchr(file, '/');
    return slash ? sk_arena_copy(&cli->arena, sk_span(file, (size_t)(slash - file))).p : ".";
}

struct folder {
    struct cli *cli;
    const char *path;
};

/* A script of a model in a file stands beside it, or in `scripts` below that. */
static enum sk_status load_beside(void *arg, const char *path, struct sk_buffer *to) {
    const struct folder *folder = arg;
    struct sk_arena *arena = &folder->cli->arena;
    if (strchr(path, '/') || path[0] == '.') return SK_INVALID;
    enum sk_status status =
        sk_file_load(folder->cli->io, sk_arena_print(arena, "%s/%s", folder->path, path).p, to);
    if (status != SK_NOT_FOUND) return status;
    return sk_file_load(folder->cli->io,
                        sk_arena_print(arena, "%s/scripts/%s", folder->path, path).p, to);
}

/* A model that comes along, by its id, or one in a file, whose name ends with .json. */
static int read_model(struct cli *cli, const char *name, struct sk_simulation_model **model) {
    char reason[SK_SIMULATION_REASON];
    struct sk_buffer text = {.limit = SK_SIMULATION_MODEL_MAX + 1};
    bool file = sk_span_ends(sk_span_z(name), SK_SPAN(".json"));
    struct folder folder = {cli, folder_of(cli, name)};
    struct sk_simulation_files files = {file ? load_beside : sk_simulation_stock_load, &folder};
    enum sk_status status =
        file
            ? sk_file_load(cli->io, name, &text)
            : sk_simulation_stock_load(NULL, sk_arena_print(&cli->arena, "%s.json", name).p, &text);
    int code = SK_EXIT_FINE;
    if (status == SK_NOT_FOUND && !file)
        code = cli_fail("there is no model %s; `skerry sim list` shows those that there are, and "
                        "a model of your own is a FILE.json",
                        name);
    else if (status)
        code = cli_fail("cannot read %s (%s)", name, sk_status_text(status));
    else if (sk_simulation_model_read(sk_buffer_span(&text), &files, model, reason))
        code = cli_fail("%s: %s", name, reason);
    sk_buffer_free(&text);
    return code;
}

/* The names of members: an array, or for a table one text. */
static json_t *names_of(const struct cli *cli, const json_t *object) {
    struct sk_buffer text = {0};
    json_t *names = json_array(), *value;
    const char *name;
    json_object_foreach((json_t *)object, name, value) {
        json_array_append_new(names, json_string(name));
        sk_buffer_print(&text, "%s%s", text.n ? ", " : "", name);
    }
    json_t *shown =
        cli->output == CLI_TABLE ? json_stringn(text.n ? text.p : "", text.n) : json_incref(names);
    json_decref(names);
    sk_buffer_free(&text);
    return shown;
}

static const json_t *fields_of(const json_t *model) {
    const json_t *first = json_array_get(json_object_get(model, "Telemetry"), 0);
    return json_object_get(json_object_get(first, "MessageSchema"), "Fields");
}

int cli_sim_list(void *arg) {
    static const char *const columns[] = {"id", "name", "telemetry", "methods", NULL};
    struct cli *cli = arg;
    json_t *all = json_array();
    struct sk_span text;
    for (size_t at = 0; sk_simulation_stock_next(&at, &text);) {
        json_t *model = sk_json_load(text, 0, NULL);
        json_array_append_new(
            all, json_pack("{s:O,s:O,s:O,s:o,s:o}", "id", json_object_get(model, "Id"), "name",
                           json_object_get(model, "Name"), "description",
                           json_object_get(model, "Description"), "telemetry",
                           names_of(cli, fields_of(model)), "methods",
                           names_of(cli, json_object_get(model, "CloudToDeviceMethods"))));
        json_decref(model);
    }
    cli_print(cli, all, columns);
    json_decref(all);
    return SK_EXIT_FINE;
}

int cli_sim_show(void *arg) {
    struct cli *cli = arg;
    struct sk_simulation_model *model;
    int code = read_model(cli, cli->typed.words[0], &model);
    if (code) return code;
    sk_json_print(stdout, model->document, 2);
    sk_simulation_model_free(model);
    return SK_EXIT_FINE;
}

/* ---- a simulation by its name ---- */

/* Part of device ids, and of a query. */
static bool name_fine(const struct cli *cli) {
    const char *name = cli->typed.words[0];
    if (sk_simulation_id_fine(sk_span_z(name))) return true;
    sk_typed_usage(&cli->typed, "NAME is 1 to %d letters, digits, and any of - _",
                   SK_SIMULATION_ID_MAX);
    return false;
}

int cli_sim_remove(void *arg) {
    struct cli *cli = arg;
    size_t count;
    if (!name_fine(cli)) return SK_EXIT_USAGE;
    struct fleet fleet = {.cli = cli, .name = cli->typed.words[0]};
    const char *why = fleet_remove(&fleet, &count);
    if (why) return cli_fail("%s", why);
    if (cli->output == CLI_TABLE) printf("removed %zu devices\n", count);
    return SK_EXIT_FINE;
}

/* ---- a run ---- */

struct simulation {
    struct cli *cli;
    struct fleet fleet;
    struct sk_simulation *simulation;
    struct sk_timer end, second;
    struct sk_simulation_statistics before;
    uint64_t began_ns;
    bool ended;
};

static void show(struct sk_timer *timer) {
    struct simulation *s = SK_CONTAINER(timer, struct simulation, second);
    struct sk_simulation_statistics now;
    sk_timer_start(timer->io, timer, SK_S, show);
    sk_simulation_statistics(s->simulation, &now);
    double seconds = (double)(sk_io_now(timer->io) - s->began_ns) / 1e9;
    uint64_t rate = now.acknowledged - s->before.acknowledged;
    const char *wrong = sk_simulation_script_error(s->simulation);
    if (s->cli->output == CLI_TABLE) {
        fprintf(stderr, "\r%zu of %zu devices connected, %llu messages sent (%llu/s), %llu failed ",
                now.connected, now.devices, (unsigned long long)now.acknowledged,
                (unsigned long long)rate, (unsigned long long)now.failed);
        if (now.script_errors && s->before.script_errors == 0)
            fprintf(stderr, "\nskerry: %s\n", wrong);
    } else {
        json_t *line = json_pack(
            "{s:f,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "seconds", seconds, "ActiveDevicesCount",
            (json_int_t)now.connected, "TotalMessagesSent", (json_int_t)now.acknowledged,
            "AverageMessagesPerSecond",
            (json_int_t)(seconds > 0 ? (double)now.acknowledged / seconds : 0),
            "FailedMessagesCount", (json_int_t)now.failed, "methods", (json_int_t)now.methods,
            "reports", (json_int_t)now.reports, "scriptErrors", (json_int_t)now.script_errors);
        sk_json_print(stdout, line, 0);
        printf("\n");
        fflush(stdout);
        json_decref(line);
    }
    s->before = now;
}

static void end(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

static int read_kinds(struct simulation *s) {
    const char *texts[SK_SIMULATION_MODELS_MAX];
    struct cli *cli = s->cli;
    size_t count = sk_typed_all(&cli->typed, "devices", texts, SK_SIMULATION_MODELS_MAX);
    if (count == 0 || count > SK_SIMULATION_MODELS_MAX)
        return sk_typed_usage(&cli->typed,
                              "--devices MODEL=COUNT says what is simulated, at most "
                              "%d times",
                              SK_SIMULATION_MODELS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct fleet_kind *kind = &s->fleet.kinds[s->fleet.kind_count];
        struct sk_span text = sk_span_z(texts[i]);
        size_t sign = sk_span_find(text, '=');
        int64_t number = 1;
        if (sign < text.n && (sk_span_to_int(sk_span_skip(text, sign + 1), &number) || number < 1 ||
                              number > SK_SIMULATION_DEVICES_MAX))
            return sk_typed_usage(&cli->typed, "--devices MODEL=COUNT: COUNT is 1 to %d",
                                  SK_SIMULATION_DEVICES_MAX);
        int code =
            read_model(cli, sk_arena_copy(&cli->arena, sk_span_first(text, sign)).p, &kind->model);
        if (code) return code;
        kind->count = number;
        s->fleet.devices += kind->count;
        s->fleet.kind_count++;
    }
    return SK_EXIT_FINE;
}

static int start(struct simulation *s, int64_t interval_s, int64_t rate) {
    struct cli *cli = s->cli;
    const char *protocol = sk_typed_option(&cli->typed, "protocol");
    char reason[SK_SIMULATION_REASON];
    bool mqtt = protocol && strcmp(protocol, "mqtt") == 0;
    s->simulation = sk_simulation_new(
        cli->io, &(struct sk_simulation_options){.host = sk_arena_copy(&cli->arena, cli->host).p,
                                                 .port = mqtt ? 0 : cli->amqp_port,
                                                 .mqtt = mqtt,
                                                 .tls = cli->tls,
                                                 .hub_host = cli->host,
                                                 .policy = cli->policy,
                                                 .key = cli->key,
                                                 .connects_per_s = (unsigned)rate,
                                                 .interval_ms = (uint64_t)interval_s * 1000});
    return fleet_add(&s->fleet, s->simulation, reason) ? cli_fail("%s", reason) : SK_EXIT_FINE;
}

static int run(struct simulation *s, int64_t interval_s, int64_t rate, int64_t life_us) {
    struct cli *cli = s->cli;
    size_t removed;
    const char *why = fleet_make(&s->fleet);
    int code = why ? cli_fail("%s", why) : start(s, interval_s, rate);
    if (!code) {
        s->began_ns = sk_io_now(cli->io);
        sk_timer_start(cli->io, &s->second, SK_S, show);
        if (life_us) sk_timer_start(cli->io, &s->end, (uint64_t)life_us * 1000, end);
        sk_io_run(cli->io);
        show(&s->second);
        sk_timer_stop(&s->second);
        if (cli->output == CLI_TABLE) fprintf(stderr, "\n");
    }
    sk_simulation_free(s->simulation);
    if (!code && sk_typed_option(&cli->typed, "delete") &&
        (why = fleet_remove(&s->fleet, &removed)) != NULL)
        code = cli_fail("%s", why);
    return code;
}

int cli_sim_run(void *arg) {
    struct cli *cli = arg;
    struct simulation *s = SK_NEW(struct simulation);
    const char *life = sk_typed_option(&cli->typed, "for");
    int64_t interval_s = 0, rate = 200, life_us = 0;
    int code = SK_EXIT_USAGE;
    s->cli = cli;
    s->fleet = (struct fleet){.cli = cli, .name = cli->typed.words[0]};
    if (!name_fine(cli) || !sk_typed_number(&cli->typed, "interval", 1, 86400, &interval_s) ||
        !sk_typed_number(&cli->typed, "rate", 1, 10000, &rate)) {
    } else if (life && (sk_duration_parse(sk_span_z(life), &life_us) || life_us <= 0)) {
        code = sk_typed_usage(&cli->typed, "--for is a duration such as 10m");
    } else if (sk_typed_option(&cli->typed, "delete") && life == NULL) {
        code = sk_typed_usage(&cli->typed, "--delete needs --for: without an end use "
                                           "`skerry sim remove NAME` afterwards");
    } else {
        code = read_kinds(s);
        if (!code && s->fleet.devices > SK_SIMULATION_DEVICES_MAX)
            code = sk_typed_usage(&cli->typed, "a simulation has at most %d devices",
                                  SK_SIMULATION_DEVICES_MAX);
        if (!code) code = run(s, interval_s, rate, life_us);
    }
    fleet_free(&s->fleet);
    free(s);
    return code;
}
