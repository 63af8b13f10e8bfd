/* Modules as Azure's management API tells of them (docs/protocols/edge-runtime.md, section 1.4). */
#include <stdio.h>

#include "edge/agent/parts.h"

/* Azure's daemon tells how the engine sees a container: what waits for its restart has ended there,
 * by its exit code. */
static const char *status_of(const json_t *module) {
    static const struct {
        const char *reported, *told;
    } words[] = {{"running", "running"},
                 {"unhealthy", "running"},
                 {"stopped", "stopped"},
                 {"failed", "failed"},
                 {"dead", "dead"}};
    struct sk_span status = sk_span_z(json_string_value(json_object_get(module, "runtimeStatus")));
    bool ended_well = json_integer_value(json_object_get(module, "exitCode")) == 0;
    if (sk_span_is(status, "backoff")) return ended_well ? "stopped" : "failed";
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (sk_span_is(status, words[i].reported)) return words[i].told;
    return "unknown";
}

static json_t *details(const char *name, const json_t *module) {
    char code[16];
    const json_t *settings = json_object_get(module, "settings");
    snprintf(code, sizeof code, "%d", (int)json_integer_value(json_object_get(module, "exitCode")));
    return json_pack("{s:s,s:s,s:O,s:{s:O,s:[]},s:{s:O,s:{s:O,s:s},s:{s:s}}}", "id", "id", "name",
                     name, "type", json_object_get(module, "type"), "config", "settings", settings,
                     "env", "status", "startTime", json_object_get(module, "lastStartTimeUtc"),
                     "exitStatus", "exitTime", json_object_get(module, "lastExitTimeUtc"),
                     "statusCode", code, "runtimeStatus", "status", status_of(module));
}

json_t *agent_details(struct sk_agent *agent) {
    struct sk_agent_facts facts = agent_facts(agent);
    json_t *report = sk_agent_report(&facts, agent->modules), *list = json_array(), *module;
    static const char *const groups[] = {"systemModules", "modules"};
    const char *name;
    for (size_t i = 0; i < 2; i++)
        json_object_foreach(json_object_get(report, groups[i]), name, module)
            json_array_append_new(list, details(name, module));
    json_decref(report);
    return json_pack("{s:o}", "modules", list);
}

json_t *agent_details_of(struct sk_agent *agent, struct sk_span name) {
    json_t *all = agent_details(agent), *found = NULL, *entry;
    size_t i;
    json_array_foreach(
        json_object_get(all, "modules"), i,
        entry) if (sk_span_is(name, json_string_value(json_object_get(entry, "name")))) found =
        json_incref(entry);
    json_decref(all);
    return found;
}
