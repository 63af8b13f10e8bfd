/* The hub as Azure Resource Manager shows one: docs/protocols/service-api.md, section 11. */
#include "hub/manage/parts.h"
#include "model/json_text.h"

#include <openssl/sha.h>
#include <stdio.h>

static json_t *duration(int64_t us) {
    char text[40];
    snprintf(text, sizeof text, "PT%lldS", (long long)(us / 1000000));
    return json_string(text);
}

static json_t *rights_json(unsigned rights) {
    static const char *const names[] = {"RegistryRead", "RegistryWrite", "ServiceConnect",
                                        "DeviceConnect"}; /* by bit */
    struct sk_buffer text = {0};
    for (size_t i = 0; i < 4; i++)
        if (rights & 1u << i) sk_buffer_print(&text, "%s%s", text.n ? ", " : "", names[i]);
    json_t *json = json_stringn(text.p, text.n);
    sk_buffer_free(&text);
    return json;
}

json_t *manage_policy_json(const struct sk_hub_policy *policy) {
    return json_pack("{s:s,s:s,s:s,s:o}", "keyName", policy->name, "primaryKey",
                     policy->primary_key, "secondaryKey",
                     policy->secondary_key ? policy->secondary_key : "", "rights",
                     rights_json(policy->rights));
}

static json_t *stream_json(const struct sk_hub *hub) {
    const struct sk_hub_options *options = hub->options;
    char endpoint[300], id[16];
    json_t *ids = json_array();
    for (unsigned i = 0; i < options->partitions; i++) {
        snprintf(id, sizeof id, "%u", i);
        json_array_append_new(ids, json_string(id));
    }
    snprintf(endpoint, sizeof endpoint, "sb://%s/", options->host_names[0]);
    return json_pack("{s:{s:I,s:i,s:o,s:s,s:s}}", "events", "retentionTimeInDays",
                     (json_int_t)(options->retention_us / 86400000000), "partitionCount",
                     (int)options->partitions, "partitionIds", ids, "path", options->name,
                     "endpoint", endpoint);
}

static json_t *names_json(const char *const *names, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, json_string(names[i]));
    return list;
}

static json_t *route_endpoints_json(const struct sk_hub_route *r) {
    return r->endpoint_count ? names_json(r->endpoints, r->endpoint_count)
                             : json_pack("[s]", "events");
}

static json_t *enrichment_json(const struct sk_hub *hub, const struct sk_hub_enrichment *e) {
    return json_pack("{s:s,s:s,s:o}", "key", e->key, "value", e->value, "endpointNames",
                     e->endpoint_count ? names_json(e->endpoints, e->endpoint_count)
                                       : manage_all_endpoints(hub));
}

static json_t *routing_json(const struct sk_hub *hub) {
    const struct sk_hub_options *options = hub->options;
    json_t *routes = json_array(), *enrichments = json_array();
    for (size_t i = 0; i < options->route_count; i++) {
        const struct sk_hub_route *r = &options->routes[i];
        struct sk_span rest = sk_span_z(HUB_SOURCES), source = SK_NONE;
        for (int s = 0; s <= (int)r->source; s++) sk_span_split(&rest, '|', &source);
        json_array_append_new(routes, json_pack("{s:s,s:s%,s:s,s:o,s:b}", "name", r->name, "source",
                                                source.p, source.n, "condition", r->condition,
                                                "endpointNames", route_endpoints_json(r),
                                                "isEnabled", r->enabled));
    }
    for (size_t i = 0; i < options->enrichment_count; i++)
        json_array_append_new(enrichments, enrichment_json(hub, &options->enrichments[i]));
    return json_pack("{s:o,s:o,s:{s:s,s:s,s:s,s:[s],s:b},s:o}", "endpoints",
                     manage_endpoints_json(hub), "routes", routes, "fallbackRoute", "name",
                     "$fallback", "source", "DeviceMessages", "condition", "true", "endpointNames",
                     "events", "isEnabled", options->fallback, "enrichments", enrichments);
}

static json_t *commands_json(const struct sk_hub_c2d_options *c2d) {
    return json_pack("{s:i,s:o,s:{s:o,s:o,s:i}}", "maxDeliveryCount", (int)c2d->deliveries_max,
                     "defaultTtlAsIso8601", duration(c2d->default_ttl_us), "feedback",
                     "lockDurationAsIso8601", duration(c2d->feedback_lock_us), "ttlAsIso8601",
                     duration(c2d->feedback_ttl_us), "maxDeliveryCount",
                     (int)c2d->feedback_deliveries_max);
}

/* The newer form names what is allowed, the older one also what is rejected. */
static json_t *rules_json(const struct sk_hub_options *options, const char *accept) {
    json_t *rules = json_array();
    for (size_t i = 0; i < options->ip_rule_count; i++)
        json_array_append_new(rules,
                              json_pack("{s:s,s:s,s:s}", "filterName", options->ip_rules[i].name,
                                        "action", options->ip_rules[i].rejects ? "Reject" : accept,
                                        "ipMask", options->ip_rules[i].text));
    return rules;
}

static void set_network(const struct sk_hub_options *options, json_t *properties) {
    bool newer = json_object_get(options->table, "network") != NULL;
    json_object_set_new(properties, "ipFilterRules",
                        newer ? json_array() : rules_json(options, "Accept"));
    if (!newer) return;
    json_object_set_new(properties, "networkRuleSets",
                        json_pack("{s:s,s:b,s:o}", "defaultAction",
                                  options->ip_rest_rejected ? "Deny" : "Allow",
                                  "applyToBuiltInEventHubEndpoint", options->ip_events, "ipRules",
                                  rules_json(options, "Allow")));
}

static void set_files(const struct sk_hub_file_options *files, json_t *properties) {
    SK_CLEANUP_FREE char *account =
        files->connection_string ? manage_masked(files->connection_string) : sk_text_dup("");
    json_object_set_new(properties, "storageEndpoints",
                        json_pack("{s:{s:o,s:s,s:s}}", "$default", "sasTtlAsIso8601",
                                  duration(files->signature_ttl_us), "connectionString", account,
                                  "containerName", files->container));
    json_object_set_new(properties, "messagingEndpoints",
                        json_pack("{s:{s:o,s:o,s:i}}", "fileNotifications", "lockDurationAsIso8601",
                                  duration(files->notice_lock_us), "ttlAsIso8601",
                                  duration(files->notice_ttl_us), "maxDeliveryCount",
                                  (int)files->notice_deliveries_max));
    json_object_set_new(properties, "enableFileUploadNotifications", json_boolean(files->notify));
}

void manage_etag(const struct sk_hub *hub, char etag[MANAGE_ETAG_MAX]) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct sk_buffer text = {0};
    char *said = sk_json_text(hub->options->table); /* TOML's tables come in the order of names */
    SHA256((const unsigned char *)said, strlen(said), digest);
    sk_base64_encode(&text, sk_span(digest, 12));
    snprintf(etag, MANAGE_ETAG_MAX, "%.*s", SK_ARG(sk_buffer_span(&text)));
    sk_buffer_free(&text);
    explicit_bzero(said, strlen(said));
    free(said);
}

json_t *manage_hub_json(const struct sk_hub *hub) {
    static const char *const skus[] = {"S1", "F1", "S1", "S2", "S3"};
    const struct sk_hub_options *options = hub->options;
    const json_t *tags = json_object_get(options->table, "tags");
    char id[300], etag[MANAGE_ETAG_MAX];
    snprintf(id, sizeof id, HUB_RESOURCE "%s", options->name);
    manage_etag(hub, etag);
    json_t *properties = json_pack(
        "{s:s,s:s,s:s,s:[],s:o,s:o,s:o,s:s,s:s,s:s,s:b,s:b,s:b,s:b,s:b}", "state", "Active",
        "provisioningState", "Succeeded", "hostName", options->host_names[0], "locations",
        "eventHubEndpoints", stream_json(hub), "routing", routing_json(hub), "cloudToDevice",
        commands_json(&options->c2d), "publicNetworkAccess", "Enabled", "minTlsVersion", "1.2",
        "features", "None", "disableLocalAuth", 0, "disableDeviceSAS", 0, "disableModuleSAS", 0,
        "restrictOutboundNetworkAccess", 0, "enableDataResidency", 0);
    set_network(options, properties);
    set_files(&options->files, properties);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:{s:s,s:s,s:i},s:o}", "id", id, "name",
                     options->name, "type", "Microsoft.Devices/IotHubs", "location", "local",
                     "etag", etag, "tags", tags ? json_deep_copy(tags) : json_object(), "sku",
                     "name", skus[options->tier], "tier",
                     options->tier == SK_TIER_F1 ? "Free" : "Standard", "capacity",
                     (int)options->units, "properties", properties);
}
