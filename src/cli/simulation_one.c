/* One simulation that is kept in the hub, run by this process. The hub hears every two seconds how
 * it goes, and says in turn whether it is to go on. */
#include <stdio.h>
#include <string.h>

#include "cli/simulation_follow.h"
#include "model/json_text.h"

enum { TELL_MS = 2000, HUNDREDTHS = 100 };

struct one {
    struct follow *follow;
    const char *id;
    json_t *document; /* as the hub has shown it last */
    json_int_t run;
    bool held, lost, gone; /* we have it; another has it; it was deleted */
    bool deletes;
    struct fleet fleet;
    struct sk_simulation *simulation;
    struct sk_simulation_statistics before; /* of this process: those of an earlier one */
    uint64_t told_ns, paced_ns;
    char error[SK_SIMULATION_REASON * 2];
};

bool follow_is_due(const json_t *simulation) {
    return json_is_true(json_object_get(simulation, "ActiveNow")) ||
           (json_is_true(json_object_get(simulation, "DeleteDevicesWhenSimulationEnds")) &&
            !json_is_true(json_object_get(simulation, "DevicesDeletionComplete")));
}

void follow_state_path(const char *id, char path[FOLLOW_PATH]) {
    snprintf(path, FOLLOW_PATH, "/devicesimulation/v1/simulations/%s/state", id);
}

static json_int_t number_of(const json_t *document, const char *name) {
    return json_integer_value(json_object_get(document, name));
}

static bool is(const json_t *document, const char *name) {
    return json_is_true(json_object_get(document, name));
}

/* ---- what the hub hears ---- */

static json_t *statistics_of(const struct one *one) {
    const struct sk_simulation_statistics *before = &one->before;
    struct sk_simulation_statistics now = {0};
    int64_t started_us = 0;
    const char *started = sk_json_member_text(one->document, "StartedTime");
    if (one->simulation) sk_simulation_statistics(one->simulation, &now);
    uint64_t sent = before->acknowledged + now.acknowledged;
    if (started) sk_time_parse(sk_span_z(started), &started_us);
    double seconds = (double)(sk_io_wall(one->follow->cli->io) - started_us) / 1e6,
           average = started_us && seconds > 1 ? (double)sent / seconds : 0;
    return json_pack("{s:I,s:f,s:I,s:I,s:I,s:I}", "TotalMessagesSent", (json_int_t)sent,
                     "AverageMessagesPerSecond",
                     (double)(int64_t)(average * HUNDREDTHS) / HUNDREDTHS, "FailedMessagesCount",
                     (json_int_t)before->failed + (json_int_t)now.failed,
                     "FailedDeviceConnectionsCount",
                     (json_int_t)before->connect_failures + (json_int_t)now.connect_failures,
                     "FailedDeviceTwinUpdatesCount",
                     (json_int_t)before->report_failures + (json_int_t)now.report_failures,
                     "ActiveDevicesCount", (json_int_t)now.connected);
}

/* What is said of a run that has not ended is the first script that failed, if one did. */
static const char *error_of(const struct one *one) {
    return one->error[0] || one->simulation == NULL ? one->error
                                                    : sk_simulation_script_error(one->simulation);
}

/* The last word of it says whether its devices are deleted. */
static const char *tell(struct one *one, bool done, bool deleted) {
    struct cli *cli = one->follow->cli;
    struct cli_answer answer;
    char path[FOLLOW_PATH];
    follow_state_path(one->id, path);
    json_t *body =
        json_pack("{s:s,s:I,s:s,s:b,s:b}", "Runner", one->follow->runner, "RunNumber", one->run,
                  "Error", error_of(one), "Done", done, "DevicesDeletionComplete", deleted);
    if (one->simulation) json_object_set_new(body, "Statistics", statistics_of(one));
    const char *failed = cli_try(cli, SK_HTTP_PUT, path, body, NULL, NULL, &answer);
    json_decref(body);
    one->told_ns = sk_io_now(cli->io);
    one->gone = one->gone || answer.status == 404;
    one->lost = one->lost || answer.status == 409;
    if (failed) return failed;
    one->held = !done;
    json_decref(one->document);
    one->document = answer.body;
    return NULL;
}

/* Whether the run that we know is to go on. An answer that did not come changes nothing. */
static bool goes_on(const struct one *one) {
    return !one->follow->ended && !one->gone && !one->lost && is(one->document, "ActiveNow") &&
           number_of(one->document, "RunNumber") == one->run;
}

/* ---- identities keep to a rate, and the hub hears of us meanwhile ---- */

static json_int_t rate_of(const struct one *one, const char *name) {
    return number_of(json_object_get(one->document, "RateLimits"), name);
}

static const char *not_any_more(struct one *one) {
    struct cli *cli = one->follow->cli;
    snprintf(cli->why, sizeof cli->why, "it is to end");
    return cli->why;
}

static void keep_telling(struct one *one) {
    if (sk_io_now(one->follow->cli->io) - one->told_ns >= TELL_MS * SK_MS) tell(one, false, false);
}

static const char *pace(struct one *one, size_t identities) {
    json_int_t rate = rate_of(one, "RegistryOperationsPerMinute");
    struct sk_io *io = one->follow->cli->io;
    keep_telling(one);
    if (rate == 0) return NULL;
    if (one->paced_ns < sk_io_now(io)) one->paced_ns = sk_io_now(io);
    one->paced_ns += identities * 60 * SK_S / (uint64_t)rate;
    while (one->paced_ns > sk_io_now(io) && !one->follow->ended && !one->gone && !one->lost) {
        uint64_t left_ms = (one->paced_ns - sk_io_now(io)) / SK_MS;
        follow_pause(one->follow, left_ms < TELL_MS ? (unsigned)left_ms + 1 : TELL_MS);
        keep_telling(one);
    }
    return NULL;
}

static const char *between_made(void *arg, size_t identities) {
    struct one *one = arg;
    const char *failed = pace(one, identities);
    return failed || goes_on(one) ? failed : not_any_more(one);
}

static const char *between_removed(void *arg, size_t identities) {
    struct one *one = arg;
    const char *failed = pace(one, identities);
    bool stops = one->follow->ended || one->lost ||
                 (!one->gone && number_of(one->document, "RunNumber") != one->run);
    return failed || !stops ? failed : not_any_more(one);
}

/* ---- models ---- */

static const char *read_model(struct one *one, const json_t *wanted) {
    static const struct sk_simulation_files stock = {.load = sk_simulation_stock_load};
    struct cli *cli = one->follow->cli;
    struct fleet_kind *kind = &one->fleet.kinds[one->fleet.kind_count];
    const char *id = sk_json_member_text(wanted, "Id");
    struct cli_answer answer;
    char reason[SK_SIMULATION_REASON];
    const char *path = cli_path(cli, "/devicesimulation/v1/devicemodels/%s", id ? id : "", NULL);
    const char *failed = cli_try(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer);
    if (failed) return failed;
    enum sk_status status =
        sk_simulation_override(answer.body, json_object_get(wanted, "Override"), reason);
    if (!status) {
        SK_CLEANUP_FREE char *text = sk_json_text(answer.body);
        status = sk_simulation_model_read(sk_span_z(text), &stock, &kind->model, reason);
    }
    json_decref(answer.body);
    if (status) {
        snprintf(cli->why, sizeof cli->why, "%s: %s", id, reason);
        return cli->why;
    }
    kind->count = number_of(wanted, "Count");
    one->fleet.devices += kind->count;
    one->fleet.kind_count++;
    return NULL;
}

static const char *read_models(struct one *one) {
    const json_t *list = json_object_get(one->document, "DeviceModels"), *wanted;
    const char *failed = NULL;
    size_t i;
    json_array_foreach(list, i, wanted) {
        if (i < SK_SIMULATION_MODELS_MAX && !failed) failed = read_model(one, wanted);
    }
    return failed;
}

/* ---- its life ---- */

static const char *start(struct one *one) {
    struct cli *cli = one->follow->cli;
    char reason[SK_SIMULATION_REASON];
    one->simulation = sk_simulation_new(
        cli->io, &(struct sk_simulation_options){
                     .host = sk_arena_copy(&cli->arena, cli->host).p,
                     .port = cli->amqp_port,
                     .tls = cli->tls,
                     .hub_host = cli->host,
                     .policy = cli->policy,
                     .key = cli->key,
                     .connects_per_s = (unsigned)rate_of(one, "ConnectionsPerSecond")});
    if (fleet_add(&one->fleet, one->simulation, reason) == SK_OK) return NULL;
    snprintf(cli->why, sizeof cli->why, "%s", reason);
    return cli->why;
}

/* Numbers go on where another process has left them. */
static void take_numbers(struct one *one) {
    const json_t *from = json_object_get(one->document, "Statistics");
    one->before = (struct sk_simulation_statistics){
        .acknowledged = (uint64_t)number_of(from, "TotalMessagesSent"),
        .failed = (uint64_t)number_of(from, "FailedMessagesCount"),
        .connect_failures = (uint64_t)number_of(from, "FailedDeviceConnectionsCount"),
        .report_failures = (uint64_t)number_of(from, "FailedDeviceTwinUpdatesCount"),
    };
}

static const char *run(struct one *one) {
    const char *failed = read_models(one);
    one->fleet.between = between_made;
    if (!failed) failed = fleet_make(&one->fleet);
    if (!failed) failed = start(one);
    if (failed) return goes_on(one) ? failed : NULL;
    char text[64];
    snprintf(text, sizeof text, "runs, %lld devices", (long long)one->fleet.devices);
    follow_say(one->follow, one->id, text);
    while (goes_on(one)) {
        follow_pause(one->follow, TELL_MS);
        if (goes_on(one)) tell(one, false, false);
    }
    return NULL;
}

/* When it has ended, and it is still the same run: another one would make them again. */
static const char *remove_devices(struct one *one, bool *deleted) {
    size_t count;
    bool same = one->gone || (number_of(one->document, "RunNumber") == one->run &&
                              !is(one->document, "ActiveNow"));
    if (!one->deletes || !same || one->lost || one->follow->ended) return NULL;
    one->fleet.between = between_removed;
    const char *failed = fleet_remove(&one->fleet, &count);
    *deleted = !failed;
    return failed;
}

/* The sentence of a call that failed, which the next call may write over. */
static void note(struct one *one, const char *failed) {
    if (failed) snprintf(one->error, sizeof one->error, "%s", failed);
}

static void finish(struct one *one, bool deleted) {
    if (!one->gone && !one->lost) {
        one->follow->cli->timeout_ms = 2000; /* somebody may be waiting for our end */
        tell(one, true, deleted);
    }
    follow_say(one->follow, one->id,
               one->error[0] ? one->error
               : one->lost   ? "another runs it"
                             : "ended");
}

int follow_one(struct follow *follow, const char *id) {
    struct cli *cli = follow->cli;
    struct one one = {.follow = follow, .id = id};
    struct cli_answer answer;
    bool deleted = false;
    const char *path = cli_path(cli, "/devicesimulation/v1/simulations/%s", id, NULL);
    if (cli_try(cli, SK_HTTP_GET, path, NULL, NULL, NULL, &answer)) return cli_fail("%s", cli->why);
    one.document = answer.body;
    one.run = number_of(answer.body, "RunNumber");
    one.fleet = (struct fleet){.cli = cli, .name = id, .arg = &one};
    one.fleet.batch = (size_t)rate_of(&one, "RegistryOperationsPerMinute");
    if (!follow_is_due(one.document)) {
        json_decref(one.document);
        return cli_fail("%s is not to run now", id);
    }
    take_numbers(&one);
    note(&one, tell(&one, false, false));
    if (one.held) {
        if (is(one.document, "ActiveNow")) note(&one, run(&one));
        if (one.simulation) tell(&one, false, false); /* its last numbers */
        sk_simulation_free(one.simulation);
        one.simulation = NULL;
        one.deletes = is(one.document, "DeleteDevicesWhenSimulationEnds");
        if (one.error[0] == '\0') note(&one, remove_devices(&one, &deleted));
        finish(&one, deleted);
    } else {
        cli_fail("%s: %s", id, one.error);
    }
    fleet_free(&one.fleet);
    json_decref(one.document);
    return one.error[0] ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}
