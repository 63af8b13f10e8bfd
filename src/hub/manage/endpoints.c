/* Endpoints of routes, in ARM's words and in those of hub.toml. */
#include "hub/manage/parts.h"

#include <stdio.h>

/* ---- showing ---- */

static bool is_folder(const json_t *table) {
    const char *type = json_string_value(json_object_get(table, "type"));
    return sk_span_eq_nocase(sk_span_z(type), SK_SPAN("folder"));
}

static json_t *masked_json(const json_t *secret) {
    SK_CLEANUP_FREE char *masked = manage_masked(json_string_value(secret));
    return json_string(masked);
}

static json_t *custom_json(const struct sk_hub_endpoint *e, const json_t *table) {
    (void)e;
    json_t *shown = json_deep_copy(table), *header;
    size_t i;
    if (!is_folder(table))
        json_object_set_new(shown, "to", masked_json(json_object_get(table, "to")));
    json_array_foreach(json_object_get(shown, "headers"), i, header)
        json_array_set_new(json_object_get(shown, "headers"), i, masked_json(header));
    return shown;
}

static const char *const encodings[] = {"Avro", "AvroDeflate", "JSON"}; /* in their order */

/* In whole seconds and bytes, as ARM has it; `to` may be a container of the hub's own. */
static json_t *container_json(const struct sk_hub_endpoint *e, const json_t *table) {
    json_t *to = json_object_get(table, "to"), *container = json_object_get(table, "entity");
    bool account = container != NULL;
    return json_pack("{s:O,s:o,s:O,s:s,s:s,s:I,s:I,s:s}", "name", json_object_get(table, "name"),
                     "connectionString", account ? masked_json(to) : json_string(""),
                     "containerName", account ? container : to, "authenticationType", "keyBased",
                     "fileNameFormat", e->file_name, "batchFrequencyInSeconds",
                     (json_int_t)(e->file_time_us / 1000000), "maxChunkSizeInBytes",
                     (json_int_t)e->file_bytes, "encoding", encodings[e->encoding]);
}

static json_t *bus_json(const struct sk_hub_endpoint *e, const json_t *table) {
    (void)e;
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

/* ---- taking ---- */

/* A secret that comes back as it was shown stays. */
static void put_secret(json_t *table, const char *key, const json_t *wanted) {
    const json_t *now = json_object_get(table, key);
    json_t *masked = json_is_string(now) ? masked_json(now) : NULL;
    if (!json_equal(masked, wanted)) manage_put(table, key, json_incref((json_t *)wanted), NULL);
    json_decref(masked);
}

static void check_authentication(struct manage_change *change, const json_t *item) {
    const json_t *kind = json_object_get(item, "authenticationType");
    if (kind && !sk_span_eq_nocase(sk_span_z(json_string_value(kind)), SK_SPAN("keyBased")))
        manage_refuse(change, "authenticationType: an endpoint is keyBased, by its "
                              "connectionString");
}

static void convert_bus(struct manage_change *change, const json_t *item, json_t *table) {
    const json_t *to = json_object_get(item, "connectionString");
    json_t *entity = json_object_get(item, "entityPath");
    if (!manage_knows(change, "an endpoint", item,
                      "id|name|connectionString|entityPath|authenticationType|subscriptionId|"
                      "resourceGroup"))
        return;
    check_authentication(change, item);
    if (to) put_secret(table, "to", to);
    if (entity) manage_put(table, "entity", json_incref(entity), NULL);
}

/* The endpoint of that name as it counts now, or NULL. */
static const struct sk_hub_endpoint *find(const struct sk_hub *hub, const json_t *name) {
    for (size_t i = 0; i < hub->options->endpoint_count; i++)
        if (strcmp(hub->options->endpoints[i].name, json_string_value(name)) == 0)
            return &hub->options->endpoints[i];
    return NULL;
}

/* Without a connection string the container is one of the hub's own. */
static void convert_container(struct manage_change *change, const json_t *item, json_t *table) {
    const json_t *to = json_object_get(item, "connectionString"),
                 *time = json_object_get(item, "batchFrequencyInSeconds");
    json_t *container = json_object_get(item, "containerName"),
           *name = json_object_get(item, "fileNameFormat"),
           *bytes = json_object_get(item, "maxChunkSizeInBytes"),
           *encoding = json_object_get(item, "encoding");
    const struct sk_hub_endpoint *e = find(change->hub, json_object_get(item, "name"));
    bool own = json_string_length(to) == 0 && (to || !json_object_get(table, "entity"));
    char seconds[32];
    if (!manage_knows(change, "an endpoint", item,
                      "id|name|connectionString|containerName|authenticationType|subscriptionId|"
                      "resourceGroup|fileNameFormat|batchFrequencyInSeconds|maxChunkSizeInBytes|"
                      "encoding"))
        return;
    check_authentication(change, item);
    if (to && !json_is_string(to)) manage_refuse(change, "connectionString is a text");
    if (own) json_object_del(table, "entity");
    if (!own && to) put_secret(table, "to", to);
    if (container) manage_put(table, own ? "to" : "entity", json_incref(container), NULL);
    if (name)
        manage_put(table, "file_name_format", json_incref(name),
                   e ? json_string(e->file_name) : NULL);
    snprintf(seconds, sizeof seconds, "%llds", (long long)json_integer_value(time));
    if (time && (e == NULL || (json_int_t)(e->file_time_us / 1000000) != json_integer_value(time)))
        json_object_set_new(table, "file_time", json_string(seconds));
    if (bytes)
        manage_put(table, "file_bytes", json_incref(bytes),
                   e ? json_integer((json_int_t)e->file_bytes) : NULL);
    if (encoding)
        manage_put(table, "encoding", json_incref(encoding),
                   e ? json_string(encodings[e->encoding]) : NULL);
}

/* What names a file or a folder of this machine is whoever's who writes hub.toml. */
static void convert_custom(struct manage_change *change, const json_t *item, json_t *table) {
    json_t *shown = custom_json(NULL, table), *value;
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

/* ---- all of them ---- */

/* ARM has a list for each kind of endpoint that Azure has; the last one is ours, for the others,
 * with the keys of hub.toml. */
static const struct kind {
    const char *member, *type;
    json_t *(*show)(const struct sk_hub_endpoint *e, const json_t *table);
    manage_convert *convert;
} kinds[] = {{"serviceBusQueues", "service-bus-queue", bus_json, convert_bus},
             {"serviceBusTopics", "service-bus-topic", bus_json, convert_bus},
             {"eventHubs", "event-hub", bus_json, convert_bus},
             {"storageContainers", "storage", container_json, convert_container},
             {"custom", NULL, custom_json, convert_custom}};
enum { KINDS = sizeof kinds / sizeof *kinds };

static bool is_of(const json_t *table, const void *arg) {
    const struct kind *kind = arg;
    const char *type = json_string_value(json_object_get(table, "type"));
    if (type && kind->type) return strcmp(type, kind->type) == 0;
    for (size_t i = 0; type && i + 1 < KINDS; i++)
        if (strcmp(type, kinds[i].type) == 0) return false;
    return kind->type == NULL;
}

json_t *manage_endpoints_json(const struct sk_hub *hub) {
    const json_t *tables = json_object_get(hub->options->table, "endpoint");
    json_t *endpoints = json_pack("{s:[]}", "cosmosDBSqlContainers");
    for (size_t k = 0; k < KINDS; k++) {
        json_t *list = json_array();
        for (size_t i = 0; i < json_array_size(tables); i++) {
            const json_t *table = json_array_get(tables, i);
            if (is_of(table, &kinds[k]))
                json_array_append_new(list, kinds[k].show(&hub->options->endpoints[i], table));
        }
        json_object_set_new(endpoints, kinds[k].member, list);
    }
    return endpoints;
}

void manage_take_endpoints(struct manage_change *change, const json_t *wanted) {
    if (!manage_knows(change, "routing.endpoints", wanted,
                      "serviceBusQueues|serviceBusTopics|eventHubs|storageContainers|custom|"
                      "cosmosDBSqlContainers"))
        return;
    if (json_array_size(json_object_get(wanted, "cosmosDBSqlContainers")))
        manage_refuse(change, "routing.endpoints.cosmosDBSqlContainers: a hub has none here");
    for (size_t k = 0; k < KINDS; k++) {
        const json_t *items = json_object_get(wanted, kinds[k].member);
        struct manage_list list = {.what = "an endpoint",
                                   .member = "name",
                                   .array = "endpoint",
                                   .key = "name",
                                   .type = kinds[k].type,
                                   .convert = kinds[k].convert,
                                   .of = is_of,
                                   .arg = &kinds[k]};
        if (items) manage_take_list(change, &list, items);
    }
}
