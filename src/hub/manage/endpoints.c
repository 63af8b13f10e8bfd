/* Endpoints of routes, in ARM's words and in those of hub.toml. */
#include "hub/manage/parts.h"

#include <stdio.h>

/* ARM has a list for each kind of endpoint that Azure has; the last one is ours, for the others,
 * with the keys of hub.toml. */
static const struct kind {
    const char *member, *type;
} kinds[] = {{"serviceBusQueues", "service-bus-queue"},
             {"serviceBusTopics", "service-bus-topic"},
             {"eventHubs", "event-hub"},
             {"custom", NULL}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool is_of(const json_t *table, const void *arg) {
    const struct kind *kind = arg;
    const char *type = json_string_value(json_object_get(table, "type"));
    if (type && kind->type) return strcmp(type, kind->type) == 0;
    for (size_t i = 0; type && i + 1 < KINDS; i++)
        if (strcmp(type, kinds[i].type) == 0) return false;
    return kind->type == NULL;
}

/* ---- showing ---- */

static bool is_folder(const json_t *table) {
    const char *type = json_string_value(json_object_get(table, "type"));
    return type && strcmp(type, "folder") == 0;
}

static json_t *masked_json(const json_t *secret) {
    SK_CLEANUP_FREE char *masked = manage_masked(json_string_value(secret));
    return json_string(masked);
}

static json_t *custom_json(const json_t *table) {
    json_t *shown = json_deep_copy(table), *header;
    size_t i;
    if (!is_folder(table))
        json_object_set_new(shown, "to", masked_json(json_object_get(table, "to")));
    json_array_foreach(json_object_get(shown, "headers"), i, header)
        json_array_set_new(json_object_get(shown, "headers"), i, masked_json(header));
    return shown;
}

static json_t *bus_json(const json_t *table) {
    return json_pack("{s:O,s:o,s:O*,s:s}", "name", json_object_get(table, "name"),
                     "connectionString", masked_json(json_object_get(table, "to")), "entityPath",
                     json_object_get(table, "entity"), "authenticationType", "keyBased");
}

json_t *manage_all_endpoints(const struct sk_hub *hub) {
    json_t *list = json_pack("[s]", "events");
    for (size_t i = 0; i < hub->options->endpoint_count; i++)
        json_array_append_new(list, json_string(hub->options->endpoints[i].name));
    return list;
}

json_t *manage_endpoints_json(const struct sk_hub *hub) {
    const json_t *tables = json_object_get(hub->options->table, "endpoint");
    json_t *endpoints = json_pack("{s:[],s:[]}", "storageContainers", "cosmosDBSqlContainers");
    for (size_t k = 0; k < KINDS; k++) {
        json_t *list = json_array();
        for (size_t i = 0; i < json_array_size(tables); i++) {
            const json_t *table = json_array_get(tables, i);
            if (is_of(table, &kinds[k]))
                json_array_append_new(list, kinds[k].type ? bus_json(table) : custom_json(table));
        }
        json_object_set_new(endpoints, kinds[k].member, list);
    }
    return endpoints;
}

/* ---- taking ---- */

/* A secret that comes back as it was shown stays. */
static void put_secret(json_t *table, const char *key, const json_t *wanted) {
    const json_t *now = json_object_get(table, key);
    json_t *masked = json_is_string(now) ? masked_json(now) : NULL;
    if (!json_equal(masked, wanted)) manage_put(table, key, json_incref((json_t *)wanted), NULL);
    json_decref(masked);
}

static void convert_bus(struct manage_change *change, const json_t *item, json_t *table) {
    const json_t *to = json_object_get(item, "connectionString"),
                 *entity = json_object_get(item, "entityPath"),
                 *authentication = json_object_get(item, "authenticationType");
    if (!manage_knows(change, "an endpoint", item,
                      "id|name|connectionString|entityPath|authenticationType|subscriptionId|"
                      "resourceGroup"))
        return;
    if (authentication &&
        !sk_span_eq_nocase(sk_span_z(json_string_value(authentication)), SK_SPAN("keyBased")))
        manage_refuse(change, "authenticationType: an endpoint is keyBased, by its "
                              "connectionString");
    if (to) put_secret(table, "to", to);
    if (entity) manage_put(table, "entity", json_incref((json_t *)entity), NULL);
}

static void convert_queue(struct manage_change *change, const json_t *item, json_t *table) {
    manage_put(table, "type", json_string("service-bus-queue"), NULL);
    convert_bus(change, item, table);
}

static void convert_topic(struct manage_change *change, const json_t *item, json_t *table) {
    manage_put(table, "type", json_string("service-bus-topic"), NULL);
    convert_bus(change, item, table);
}

static void convert_event_hub(struct manage_change *change, const json_t *item, json_t *table) {
    manage_put(table, "type", json_string("event-hub"), NULL);
    convert_bus(change, item, table);
}

/* What names a file or a folder of this machine is whoever's who writes hub.toml. */
static void convert_custom(struct manage_change *change, const json_t *item, json_t *table) {
    json_t *shown = custom_json(table), *value;
    const char *name;
    bool same = json_equal(shown, item);
    json_decref(shown);
    if (same) return;
    if (is_folder(item) || is_folder(table) || json_object_get(item, "ca") ||
        json_object_get(table, "ca")) {
        manage_refuse(change,
                      "endpoint '%s': folders, and endpoints with a `ca` file, are given in "
                      "hub.toml only",
                      json_string_value(json_object_get(item, "name")));
        return;
    }
    json_object_foreach((json_t *)item, name, value) {
        if (strcmp(name, "to") == 0)
            put_secret(table, name, value);
        else if (strcmp(name, "headers") != 0)
            manage_put(table, name, json_incref(value), NULL);
    }
    json_t *headers = json_object_get(item, "headers"), *now = json_object_get(table, "headers");
    json_t *fresh = json_array();
    for (size_t i = 0; i < json_array_size(headers); i++) {
        const json_t *header = json_array_get(headers, i), *kept = NULL;
        json_t *masked =
            json_is_string(json_array_get(now, i)) ? masked_json(json_array_get(now, i)) : NULL;
        if (masked && json_equal(masked, header)) kept = json_array_get(now, i);
        json_array_append(fresh, (json_t *)(kept ? kept : header));
        json_decref(masked);
    }
    if (json_is_array(headers)) manage_put(table, "headers", json_incref(fresh), NULL);
    json_decref(fresh);
}

void manage_take_endpoints(struct manage_change *change, const json_t *wanted) {
    static manage_convert *const converts[KINDS] = {convert_queue, convert_topic, convert_event_hub,
                                                    convert_custom};
    static const char *const others[] = {"storageContainers", "cosmosDBSqlContainers"};
    if (!manage_knows(change, "routing.endpoints", wanted,
                      "serviceBusQueues|serviceBusTopics|eventHubs|custom|storageContainers|"
                      "cosmosDBSqlContainers"))
        return;
    for (size_t i = 0; i < 2; i++)
        if (json_array_size(json_object_get(wanted, others[i])))
            manage_refuse(change, "routing.endpoints.%s: a hub has no such endpoints", others[i]);
    for (size_t k = 0; k < KINDS; k++) {
        const json_t *items = json_object_get(wanted, kinds[k].member);
        struct manage_list list = {.what = "an endpoint",
                                   .member = "name",
                                   .array = "endpoint",
                                   .key = "name",
                                   .convert = converts[k],
                                   .of = is_of,
                                   .arg = &kinds[k]};
        if (items) manage_take_list(change, &list, items);
    }
}
