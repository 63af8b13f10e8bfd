/* The run of a simulation: what its runner says of it. It begins when the simulation is enabled.
 *
 *   Number      which run it is
 *   Runner      who has it; null: nobody, or who had it has given it back
 *   Devices     there are devices of it, or of an earlier one, in the hub
 *   Statistics, StartedTime, StoppedTime, Error  as they are shown */
#include "hub/simulations/parts.h"
#include "model/json_text.h"

static const char *const statistics[] = {"TotalMessagesSent",
                                         "AverageMessagesPerSecond",
                                         "FailedMessagesCount",
                                         "FailedDeviceConnectionsCount",
                                         "FailedDeviceTwinUpdatesCount",
                                         "ActiveDevicesCount"};
enum { STATISTICS = sizeof statistics / sizeof *statistics };

json_t *run_new(const json_t *before) {
    json_t *numbers = json_object();
    for (size_t i = 0; i < STATISTICS; i++)
        json_object_set_new(numbers, statistics[i], json_integer(0));
    const char *runner = sk_json_member_text(before, "Runner"); /* until it lets go */
    return json_pack("{s:I,s:s?,s:b,s:n,s:n,s:s,s:o}", "Number",
                     json_integer_value(json_object_get(before, "Number")) + 1, "Runner", runner,
                     "Devices", json_is_true(json_object_get(before, "Devices")), "StartedTime",
                     "StoppedTime", "Error", "", "Statistics", numbers);
}

bool simulation_is_active(const struct simulation *simulation, int64_t now_us) {
    return simulation->enabled && simulation->start_us <= now_us && now_us < simulation->end_us;
}

bool simulation_is_held(const struct simulation *simulation, uint64_t now_ns) {
    return simulation->lease_ns > now_ns;
}

json_t *simulation_shown(const struct simulation *simulation, int64_t now_us, uint64_t now_ns) {
    static const char *const same[] = {"Runner", "StartedTime", "StoppedTime", "Error"};
    json_t *json = hub_document_shown(simulation->document, simulation->etag),
           *run = simulation->run, *of = json_copy(json_object_get(run, "Statistics")),
           *metadata = json_object();
    bool held = simulation_is_held(simulation, now_ns),
         active = simulation_is_active(simulation, now_us),
         devices = json_is_true(json_object_get(run, "Devices"));
    struct sk_buffer uri = {0};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        json_object_set(json, same[i], json_object_get(run, same[i]));
    if (simulation->enabled && simulation->end_us <= now_us)
        json_object_set(json, "StoppedTime", json_object_get(json, "EndTime"));
    if (!held) json_object_set_new(of, "ActiveDevicesCount", json_integer(0));
    json_object_set_new(json, "Statistics", of);
    json_object_set(json, "RunNumber", json_object_get(run, "Number"));
    json_object_set_new(json, "Running", json_boolean(held && active));
    json_object_set_new(json, "Held", json_boolean(held));
    json_object_set_new(json, "ActiveNow", json_boolean(active));
    json_object_set_new(json, "DevicesDeletionComplete", json_boolean(!devices));
    json_object_set_new(json, "IoTHubs", json_pack("[{s:s}]", "ConnectionString", "default"));
    sk_buffer_print(&uri, "/devicesimulation/v1/simulations/%s", simulation->id);
    json_object_set_new(metadata, "$type", json_string("Simulation;1"));
    json_object_set_new(metadata, "$uri", json_stringn(uri.p, uri.n));
    json_object_set(metadata, "$version", json_object_get(simulation->document, "Version"));
    json_object_set(metadata, "$created", json_object_get(simulation->document, "Created"));
    json_object_set(metadata, "$modified", json_object_get(simulation->document, "Modified"));
    json_object_set_new(json, "$metadata", metadata);
    json_object_del(json, "Created");
    json_object_del(json, "Modified");
    json_object_del(json, "Run");
    sk_buffer_free(&uri);
    return json;
}

bool run_fine(const json_t *body, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span runner = sk_span_z(sk_json_member_text(body, "Runner"));
    const json_t *numbers = json_object_get(body, "Statistics"),
                 *why = json_object_get(body, "Error");
    if (runner.n == 0 || runner.n > SIMULATION_RUNNER || !sk_span_only(runner, "-_."))
        return hub_document_wrong(error, "Runner is 1 to %d letters, digits, and any of - _ .",
                                  SIMULATION_RUNNER);
    if (!json_is_integer(json_object_get(body, "RunNumber")))
        return hub_document_wrong(error, "RunNumber is that of the simulation, as it was read");
    if (why && (!json_is_string(why) || json_string_length(why) > SK_SIMULATION_REASON * 2))
        return hub_document_wrong(error, "Error is a text of at most %d bytes",
                                  SK_SIMULATION_REASON * 2);
    for (size_t i = 0; i < STATISTICS; i++) {
        const json_t *number = json_object_get(numbers, statistics[i]);
        if (number && (!json_is_number(number) || json_number_value(number) < 0))
            return hub_document_wrong(error, "Statistics.%s is a number, not below 0",
                                      statistics[i]);
    }
    return true;
}

/* Puts a value there; whether there was another one. */
static bool put(json_t *run, const char *name, json_t *value /* taken */) {
    bool other = !json_equal(json_object_get(run, name), value);
    json_object_set_new(run, name, value);
    return other;
}

/* Why it stands as it does: as its runner says. With the first word of one that takes it over it is
 * what became of the other; a script that never ends silences one after the other. */
static json_t *why_of(const json_t *run, const json_t *body) {
    const char *why = sk_json_member_text(body, "Error"),
               *before = sk_json_member_text(run, "Runner"),
               *now = sk_json_member_text(body, "Runner");
    if (why && *why) return json_string(why);
    if (before == NULL || strcmp(before, now) == 0) return json_string("");
    return json_sprintf("its runner %s fell silent, as with a script that never ends; %s goes on",
                        before, now);
}

bool run_take(json_t *run, const json_t *body, bool active, int64_t now_us) {
    json_t *numbers = json_object_get(run, "Statistics"), *why = why_of(run, body);
    bool gone = json_is_true(json_object_get(body, "DevicesDeletionComplete")),
         done = json_is_true(json_object_get(body, "Done")),
         changed = put(run, "Runner",
                       done ? json_null() : json_string(sk_json_member_text(body, "Runner")));
    changed |= put(run, "Error", why);
    for (size_t i = 0; i < STATISTICS; i++) {
        json_t *number = json_object_get(json_object_get(body, "Statistics"), statistics[i]);
        if (number) json_object_set(numbers, statistics[i], number);
    }
    if (active && json_is_null(json_object_get(run, "StartedTime"))) {
        hub_document_time(run, "StartedTime", now_us);
        changed = true;
    }
    if (active || gone) changed |= put(run, "Devices", json_boolean(active && !gone));
    return changed || done;
}
