/* Routes and enrichments, from ARM's words into those of hub.toml. */
#include "hub/manage/parts.h"

/* Names of endpoints; one may stand alone in hub.toml. `otherwise` is taken. */
static void put_names(json_t *table, const json_t *names, json_t *otherwise) {
    const json_t *now = json_object_get(table, "endpoint");
    bool alone = json_array_size(names) == 1 && json_is_string(now) &&
                 json_equal(now, json_array_get(names, 0));
    if (names && !alone)
        manage_put(table, "endpoint", json_incref((json_t *)names), otherwise);
    else
        json_decref(otherwise);
}

static void convert_route(struct manage_change *change, const json_t *item, json_t *table) {
    static const struct {
        const char *member, *key, *otherwise;
    } texts[] = {{"source", "source", "DeviceMessages"}, {"condition", "condition", "true"}};
    json_t *enabled = json_object_get(item, "isEnabled");
    if (!manage_knows(change, "a route", item, "name|source|condition|endpointNames|isEnabled"))
        return;
    for (size_t i = 0; i < 2; i++) {
        json_t *value = json_object_get(item, texts[i].member);
        if (value)
            manage_put(table, texts[i].key, json_incref(value), json_string(texts[i].otherwise));
    }
    put_names(table, json_object_get(item, "endpointNames"), json_pack("[s]", "events"));
    if (enabled) manage_put(table, "enabled", json_incref(enabled), json_true());
}

static void convert_enrichment(struct manage_change *change, const json_t *item, json_t *table) {
    json_t *value = json_object_get(item, "value");
    if (!manage_knows(change, "an enrichment", item, "key|value|endpointNames")) return;
    if (value) manage_put(table, "value", json_incref(value), NULL);
    put_names(table, json_object_get(item, "endpointNames"), manage_all_endpoints(change->hub));
}

static void take_fallback(struct manage_change *change, const json_t *shown, const json_t *wanted) {
    static const char *const fixed[] = {"source", "condition", "endpointNames"};
    json_t *enabled = json_object_get(wanted, "isEnabled");
    if (!manage_knows(change, "fallbackRoute", wanted,
                      "name|source|condition|endpointNames|isEnabled"))
        return;
    for (size_t i = 0; i < 3; i++) {
        const json_t *value = json_object_get(wanted, fixed[i]);
        if (value && !json_equal(value, json_object_get(shown, fixed[i])))
            manage_refuse(change,
                          "fallbackRoute.%s: it takes DeviceMessages that no route takes, to "
                          "events",
                          fixed[i]);
    }
    if (enabled && !json_equal(enabled, json_object_get(shown, "isEnabled")))
        manage_set(change->table, "fallback.enabled", json_incref(enabled));
}

void manage_take_routing(struct manage_change *change, const json_t *shown, const json_t *wanted) {
    static const struct manage_list routes = {.what = "a route",
                                              .member = "name",
                                              .array = "route",
                                              .key = "name",
                                              .convert = convert_route},
                                    enrichments = {.what = "an enrichment",
                                                   .member = "key",
                                                   .array = "enrichment",
                                                   .key = "key",
                                                   .convert = convert_enrichment};
    const json_t *endpoints = json_object_get(wanted, "endpoints"),
                 *fallback = json_object_get(wanted, "fallbackRoute");
    if (!manage_knows(change, "routing", wanted, "endpoints|routes|fallbackRoute|enrichments"))
        return;
    if (endpoints) manage_take_endpoints(change, endpoints);
    if (json_object_get(wanted, "routes"))
        manage_take_list(change, &routes, json_object_get(wanted, "routes"));
    if (fallback) take_fallback(change, json_object_get(shown, "fallbackRoute"), fallback);
    if (json_object_get(wanted, "enrichments"))
        manage_take_list(change, &enrichments, json_object_get(wanted, "enrichments"));
}
