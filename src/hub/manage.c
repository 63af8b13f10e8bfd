/* The hub as a resource of Azure Resource Manager, for tools that look at hubs: what hub.toml says,
 * in ARM's documents, for whom a policy with all rights has signed. Reference:
 * docs/protocols/service-api.md, section 11. */
#include <stdio.h>

#include "hub/parts.h"

#define RESOURCE "/subscriptions/local/resourceGroups/local/providers/Microsoft.Devices/IotHubs/"

static void answer(struct sk_request *request, json_t *document) {
    request->done(request, &(struct sk_answer){.document = document});
    json_decref(document);
}

/* False: refused, the path is another hub's. */
static bool is_ours(const struct sk_hub *hub, struct sk_request *request) {
    if (sk_span_eq_nocase(request->hub, sk_span_z(hub->options->name))) return true;
    sk_request_refuse(request, SK_FAULT_NOT_FOUND,
                      "there is no hub '%.*s' at this address; it is "
                      "called '%s'",
                      SK_ARG(request->hub), hub->options->name);
    return false;
}

static json_t *duration(int64_t us) {
    char text[40];
    snprintf(text, sizeof text, "PT%lldS", (long long)(us / 1000000));
    return json_string(text);
}

/* ---- policies ---- */

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

static json_t *policy_json(const struct sk_hub_policy *policy) {
    return json_pack("{s:s,s:s,s:s,s:o}", "keyName", policy->name, "primaryKey",
                     policy->primary_key, "secondaryKey",
                     policy->secondary_key ? policy->secondary_key : "", "rights",
                     rights_json(policy->rights));
}

static void list_keys(struct sk_hub *hub, struct sk_request *request) {
    json_t *value = json_array();
    for (size_t i = 0; i < hub->options->policy_count; i++)
        json_array_append_new(value, policy_json(&hub->options->policies[i]));
    json_t *document = json_pack("{s:o}", "value", value);
    if (is_ours(hub, request)) request->done(request, &(struct sk_answer){.document = document});
    json_decref(document);
}

static void get_key(struct sk_hub *hub, struct sk_request *request) {
    if (!is_ours(hub, request)) return;
    for (size_t i = 0; i < hub->options->policy_count; i++) {
        if (!sk_span_is(request->name, hub->options->policies[i].name)) continue;
        answer(request, policy_json(&hub->options->policies[i]));
        return;
    }
    sk_request_refuse(request, SK_FAULT_NOT_FOUND, "there is no policy '%.*s'",
                      SK_ARG(request->name));
}

/* ---- consumer groups ---- */

static json_t *group_json(const struct sk_hub *hub, const char *name) {
    char id[512];
    snprintf(id, sizeof id, RESOURCE "%s/eventHubEndpoints/events/ConsumerGroups/%s",
             hub->options->name, name);
    return json_pack("{s:s,s:s,s:s,s:{}}", "id", id, "name", name, "type",
                     "Microsoft.Devices/IotHubs/EventHubEndpoints/ConsumerGroups", "properties");
}

static void list_groups(struct sk_hub *hub, struct sk_request *request) {
    if (!is_ours(hub, request)) return;
    json_t *value = json_array();
    json_array_append_new(value, group_json(hub, "$Default"));
    for (size_t i = 0; i < hub->options->consumer_group_count; i++)
        json_array_append_new(value, group_json(hub, hub->options->consumer_groups[i]));
    answer(request, json_pack("{s:o}", "value", value));
}

static void get_group(struct sk_hub *hub, struct sk_request *request) {
    const struct sk_hub_options *options = hub->options;
    const char *found = sk_span_eq_nocase(request->name, SK_SPAN("$Default")) ? "$Default" : NULL;
    if (!is_ours(hub, request)) return;
    for (size_t i = 0; i < options->consumer_group_count; i++)
        if (sk_span_eq_nocase(request->name, sk_span_z(options->consumer_groups[i])))
            found = options->consumer_groups[i];
    if (found)
        answer(request, group_json(hub, found));
    else
        sk_request_refuse(request, SK_FAULT_NOT_FOUND, "there is no consumer group '%.*s'",
                          SK_ARG(request->name));
}

/* ---- the hub ---- */

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

static json_t *endpoints_json(const char *const *names, size_t count) {
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, json_string(names[i]));
    if (count == 0) json_array_append_new(list, json_string("events"));
    return list;
}

static json_t *routing_json(const struct sk_hub_options *options) {
    static const char *const sources[SK_SOURCE_COUNT] = {
        [SK_SOURCE_TELEMETRY] = "DeviceMessages",
        [SK_SOURCE_TWIN_CHANGES] = "TwinChangeEvents",
        [SK_SOURCE_DEVICE_LIFECYCLE] = "DeviceLifecycleEvents",
        [SK_SOURCE_CONNECTION_STATE] = "DeviceConnectionStateEvents",
        [SK_SOURCE_DIGITAL_TWIN_CHANGES] = "DigitalTwinChangeEvents"};
    json_t *routes = json_array(), *enrichments = json_array();
    for (size_t i = 0; i < options->route_count; i++) {
        const struct sk_hub_route *r = &options->routes[i];
        const char *source = sources[r->source] ? sources[r->source] : "Invalid";
        json_array_append_new(routes, json_pack("{s:s,s:s,s:s,s:o,s:b}", "name", r->name, "source",
                                                source, "condition", r->condition, "endpointNames",
                                                endpoints_json(r->endpoints, r->endpoint_count),
                                                "isEnabled", r->enabled));
    }
    for (size_t i = 0; i < options->enrichment_count; i++)
        json_array_append_new(enrichments,
                              json_pack("{s:s,s:s,s:o}", "key", options->enrichments[i].key,
                                        "value", options->enrichments[i].value, "endpointNames",
                                        endpoints_json(options->enrichments[i].endpoints,
                                                       options->enrichments[i].endpoint_count)));
    return json_pack("{s:o,s:{s:s,s:s,s:s,s:[s],s:b},s:o}", "routes", routes, "fallbackRoute",
                     "name", "$fallback", "source", "DeviceMessages", "condition", "true",
                     "endpointNames", "events", "isEnabled", options->fallback, "enrichments",
                     enrichments);
}

static json_t *commands_json(const struct sk_hub_c2d_options *c2d) {
    return json_pack("{s:i,s:o,s:{s:o,s:o,s:i}}", "maxDeliveryCount", (int)c2d->deliveries_max,
                     "defaultTtlAsIso8601", duration(c2d->default_ttl_us), "feedback",
                     "lockDurationAsIso8601", duration(c2d->feedback_lock_us), "ttlAsIso8601",
                     duration(c2d->feedback_ttl_us), "maxDeliveryCount",
                     (int)c2d->feedback_deliveries_max);
}

static json_t *rules_json(const struct sk_hub_options *options) {
    json_t *rules = json_array();
    for (size_t i = 0; i < options->ip_rule_count; i++)
        json_array_append_new(rules, json_pack("{s:s,s:s,s:s}", "filterName",
                                               options->ip_rules[i].name, "action",
                                               options->ip_rules[i].rejects ? "Reject" : "Accept",
                                               "ipMask", options->ip_rules[i].text));
    return rules;
}

static void get_hub(struct sk_hub *hub, struct sk_request *request) {
    static const char *const skus[] = {"S1", "F1", "S1", "S2", "S3"};
    const struct sk_hub_options *options = hub->options;
    char id[300];
    if (!is_ours(hub, request)) return;
    snprintf(id, sizeof id, RESOURCE "%s", options->name);
    json_t *properties =
        json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:o}", "state", "Active", "provisioningState",
                  "Succeeded", "hostName", options->host_names[0], "eventHubEndpoints",
                  stream_json(hub), "routing", routing_json(options), "cloudToDevice",
                  commands_json(&options->c2d), "ipFilterRules", rules_json(options));
    answer(request,
           json_pack("{s:s,s:s,s:s,s:s,s:{s:s,s:s,s:i},s:o}", "id", id, "name", options->name,
                     "type", "Microsoft.Devices/IotHubs", "location", "local", "sku", "name",
                     skus[options->tier], "tier", options->tier == SK_TIER_F1 ? "Free" : "Standard",
                     "capacity", (int)options->units, "properties", properties));
}

const struct sk_hub_part hub_part_manage = {.serve = {[SK_OP_HUB_GET] = get_hub,
                                                      [SK_OP_HUB_KEYS] = list_keys,
                                                      [SK_OP_HUB_KEY] = get_key,
                                                      [SK_OP_HUB_GROUPS] = list_groups,
                                                      [SK_OP_HUB_GROUP] = get_group}};
