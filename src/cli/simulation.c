/* `skerry sim`: simulated devices of models, for trying a hub and what stands behind it. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "simulation/simulation.h"
#include "model/json_text.h"

enum {
    BATCH = 100, /* identities that one request makes or deletes */
    KINDS_MAX = 64,
    COUNT_MAX = 100000, /* devices of a simulation */
};

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

/* ---- identities ---- */

struct kind {
    struct sk_simulation_model *model;
    int64_t count;
};

struct simulation {
    struct cli *cli;
    const char *name;
    struct kind kinds[KINDS_MAX];
    size_t kind_count;
    int64_t devices;
    struct sk_simulation *simulation;
    struct sk_timer end, second;
    struct sk_simulation_statistics before;
    uint64_t began_ns;
    bool ended;
};

static struct sk_span device_id(struct simulation *s, const struct kind *kind, int64_t n) {
    return sk_arena_print(&s->cli->arena, "%s.%s.%lld", s->name, kind->model->id, (long long)n);
}

/* Has the hub do what a batch says; what is there already, or gone already, is as it should be. */
static int send_batch(struct cli *cli, json_t *batch) {
    struct cli_answer answer = {0};
    int code = SK_EXIT_FINE;
    size_t i;
    json_t *error;
    if (json_array_size(batch) == 0) return code;
    code = cli_call(cli, SK_HTTP_POST, "/devices", batch, NULL, NULL, &answer);
    json_array_clear(batch);
    if (code) return code;
    json_array_foreach(json_object_get(answer.body, "errors"), i, error) {
        const char *what = sk_json_member_text(error, "errorCode"),
                   *why = sk_json_member_text(error, "errorStatus"),
                   *id = sk_json_member_text(error, "deviceId");
        if (what &&
            (strcmp(what, "DeviceAlreadyExists") == 0 || strcmp(what, "DeviceNotFound") == 0))
            continue;
        code = cli_fail("%s: %s", id ? id : "", why ? why : what ? what : "refused");
        break;
    }
    json_decref(answer.body);
    return code;
}

static json_t *identity(struct simulation *s, const struct kind *kind, int64_t n) {
    json_t *tags = kind->model->tags ? json_deep_copy(kind->model->tags) : json_object();
    struct sk_span id = device_id(s, kind, n);
    json_object_set_new(tags, "IsSimulated", json_string("Y"));
    json_object_set_new(tags, "Simulation", json_string(s->name));
    return json_pack("{s:s%,s:s,s:s,s:o}", "id", id.p, id.n, "importMode", "create", "status",
                     "enabled", "tags", tags);
}

static int make_identities(struct simulation *s) {
    json_t *batch = json_array();
    int code = SK_EXIT_FINE;
    for (size_t i = 0; i < s->kind_count && !code; i++)
        for (int64_t n = 1; n <= s->kinds[i].count && !code; n++) {
            json_array_append_new(batch, identity(s, &s->kinds[i], n));
            if (json_array_size(batch) == BATCH) code = send_batch(s->cli, batch);
        }
    if (!code) code = send_batch(s->cli, batch);
    json_decref(batch);
    return code;
}

static int remove_identities(struct cli *cli, const char *name, size_t *count) {
    json_t *all = NULL, *batch = json_array(), *row, *query = json_object();
    size_t i;
    struct sk_span text = sk_arena_print(
        &cli->arena, "SELECT deviceId FROM devices WHERE tags.Simulation = '%s'", name);
    json_object_set_new(query, "query", json_stringn(text.p, text.n));
    int code = cli_pages(cli, SK_HTTP_POST, "/devices/query", query, &all);
    *count = json_array_size(all);
    json_array_foreach(all, i, row) {
        json_array_append_new(batch, json_pack("{s:O,s:s}", "id", json_object_get(row, "deviceId"),
                                               "importMode", "delete"));
        if (!code && json_array_size(batch) == BATCH) code = send_batch(cli, batch);
    }
    if (!code) code = send_batch(cli, batch);
    json_decref(batch);
    json_decref(query);
    json_decref(all);
    return code;
}

/* Part of device ids, and of a query. */
static bool name_fine(const struct cli *cli) {
    const char *name = cli->typed.words[0];
    size_t n = strlen(name);
    if (n <= 32 &&
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n)
        return true;
    sk_typed_usage(&cli->typed, "NAME is at most 32 letters, digits, and any of - _");
    return false;
}

int cli_sim_remove(void *arg) {
    struct cli *cli = arg;
    size_t count;
    if (!name_fine(cli)) return SK_EXIT_USAGE;
    int code = remove_identities(cli, cli->typed.words[0], &count);
    if (!code && cli->output == CLI_TABLE) printf("removed %zu devices\n", count);
    return code;
}

/* ---- a run ---- */

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
    const char *texts[KINDS_MAX];
    struct cli *cli = s->cli;
    size_t count = sk_typed_all(&cli->typed, "devices", texts, KINDS_MAX);
    if (count == 0 || count > KINDS_MAX)
        return sk_typed_usage(&cli->typed,
                              "--devices MODEL=COUNT says what is simulated, at most "
                              "%d times",
                              KINDS_MAX);
    for (size_t i = 0; i < count; i++) {
        struct kind *kind = &s->kinds[s->kind_count];
        struct sk_span text = sk_span_z(texts[i]);
        size_t sign = sk_span_find(text, '=');
        int64_t number = 1;
        if (sign < text.n && (sk_span_to_int(sk_span_skip(text, sign + 1), &number) || number < 1 ||
                              number > COUNT_MAX))
            return sk_typed_usage(&cli->typed, "--devices MODEL=COUNT: COUNT is 1 to %d",
                                  COUNT_MAX);
        int code =
            read_model(cli, sk_arena_copy(&cli->arena, sk_span_first(text, sign)).p, &kind->model);
        if (code) return code;
        kind->count = number;
        s->devices += kind->count;
        s->kind_count++;
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
    for (size_t i = 0; i < s->kind_count; i++)
        for (int64_t n = 1; n <= s->kinds[i].count; n++)
            if (sk_simulation_add(s->simulation, s->kinds[i].model, device_id(s, &s->kinds[i], n),
                                  reason))
                return cli_fail("%s: %s", s->kinds[i].model->id, reason);
    return SK_EXIT_FINE;
}

static int run(struct simulation *s, int64_t interval_s, int64_t rate, int64_t life_us) {
    struct cli *cli = s->cli;
    size_t removed;
    int code = make_identities(s);
    if (!code) code = start(s, interval_s, rate);
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
    if (!code && sk_typed_option(&cli->typed, "delete"))
        code = remove_identities(cli, s->name, &removed);
    return code;
}

int cli_sim_run(void *arg) {
    struct cli *cli = arg;
    struct simulation *s = SK_NEW(struct simulation);
    const char *life = sk_typed_option(&cli->typed, "for");
    int64_t interval_s = 0, rate = 200, life_us = 0;
    int code = SK_EXIT_USAGE;
    s->cli = cli;
    s->name = cli->typed.words[0];
    if (!name_fine(cli) || !sk_typed_number(&cli->typed, "interval", 1, 86400, &interval_s) ||
        !sk_typed_number(&cli->typed, "rate", 1, 10000, &rate)) {
    } else if (life && (sk_duration_parse(sk_span_z(life), &life_us) || life_us <= 0)) {
        code = sk_typed_usage(&cli->typed, "--for is a duration such as 10m");
    } else if (sk_typed_option(&cli->typed, "delete") && life == NULL) {
        code = sk_typed_usage(&cli->typed, "--delete needs --for: without an end use "
                                           "`skerry sim remove NAME` afterwards");
    } else {
        code = read_kinds(s);
        if (!code && s->devices > COUNT_MAX)
            code = sk_typed_usage(&cli->typed, "a simulation has at most %d devices", COUNT_MAX);
        if (!code) code = run(s, interval_s, rate, life_us);
    }
    for (size_t i = 0; i < s->kind_count; i++) sk_simulation_model_free(s->kinds[i].model);
    free(s);
    return code;
}
