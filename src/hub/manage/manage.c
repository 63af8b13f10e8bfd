/* The hub as a resource of Azure Resource Manager, for whom a policy with all rights has signed:
 * what hub.toml says, in ARM's documents, and changes of it, which are in the file and in force
 * when they are answered ([decision 38](../../../docs/decisions/0038-hub-toml-is-written-back.md)).
 * Reference: docs/protocols/service-api.md, section 11. */
#include <stdio.h>

#include "hub/manage/parts.h"

static void answer_list(struct sk_request *request, json_t *value) {
    sk_request_answer_json(request, json_pack("{s:o}", "value", value));
}

/* ---- writing ---- */

static enum sk_fault fault_of(enum sk_status status) {
    switch (status) {
    case SK_CONFLICT: return SK_FAULT_PRECONDITION_FAILED;
    case SK_FORBIDDEN: return SK_FAULT_FORBIDDEN;
    case SK_NO_SPACE: return SK_FAULT_QUOTA_EXCEEDED;
    case SK_CLOSED: return SK_FAULT_UNAVAILABLE;
    case SK_IO: return SK_FAULT_SERVER_ERROR;
    default: return SK_FAULT_ARGUMENT_INVALID;
    }
}

/* False: it is not so, and the request is refused. Nothing of hub->options may be held over it. */
static bool write_table(struct sk_hub *hub, struct sk_request *request, const json_t *table) {
    char why[SK_CONFIG_ERROR_MAX] = "hub.toml is nobody's to change here";
    enum sk_status status = SK_FORBIDDEN;
    if (json_equal(table, hub->options->table)) return true;
    if (hub->write) status = hub->write(hub->write_arg, hub, table, why);
    if (status)
        sk_request_refuse(request, fault_of(status), "%s", why);
    else
        SK_INFO("hub", "%s: hub.toml has been changed by policy %s", hub->options->name,
                request->who->policy);
    return status == SK_OK;
}

/* Refused, where the client has seen another version. */
static bool is_newest(const struct sk_hub *hub, struct sk_request *request) {
    const char *seen = json_string_value(json_object_get(request->body, "etag"));
    struct sk_span etag = request->if_match.n ? request->if_match : sk_span_z(seen);
    char now[MANAGE_ETAG_MAX];
    manage_etag(hub, now);
    if (etag.n == 0 || sk_etag_matches(etag, now)) return true;
    sk_request_refuse(request, SK_FAULT_PRECONDITION_FAILED, NULL);
    return false;
}

/* ---- the hub ---- */

static void answer_hub(struct sk_hub *hub, struct sk_request *request) {
    char etag[MANAGE_ETAG_MAX];
    manage_etag(hub, etag);
    json_t *document = manage_hub_json(hub);
    request->done(request, &(struct sk_answer){.document = document, .etag = sk_span_z(etag)});
    json_decref(document);
}

static void list_hubs(struct sk_hub *hub, struct sk_request *request) {
    answer_list(request, json_pack("[o]", manage_hub_json(hub)));
}

static void change_hub(struct sk_hub *hub, struct sk_request *request, const json_t *wanted) {
    json_t *shown = manage_hub_json(hub);
    struct manage_change change = {
        .hub = hub, .table = json_deep_copy(hub->options->table), .shown = shown};
    if (!manage_take(&change, wanted))
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", change.why);
    else if (write_table(hub, request, change.table))
        answer_hub(hub, request);
    json_decref(change.table);
    json_decref(shown);
}

static void put_hub(struct sk_hub *hub, struct sk_request *request) {
    if (is_newest(hub, request)) change_hub(hub, request, request->body);
}

/* Tags alone, as ARM has it. */
static void patch_hub(struct sk_hub *hub, struct sk_request *request) {
    const json_t *tags = json_object_get(request->body, "tags");
    if (!json_is_object(tags) || json_object_size(request->body) != 1) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "PATCH changes tags, an object of texts, and nothing else");
    } else if (is_newest(hub, request)) {
        change_hub(hub, request, request->body);
    }
}

/* ---- policies ---- */

static void list_keys(struct sk_hub *hub, struct sk_request *request) {
    json_t *value = json_array();
    for (size_t i = 0; i < hub->options->policy_count; i++)
        json_array_append_new(value, manage_policy_json(&hub->options->policies[i]));
    answer_list(request, value);
}

static void get_key(struct sk_hub *hub, struct sk_request *request) {
    for (size_t i = 0; i < hub->options->policy_count; i++) {
        if (!sk_span_is(request->name, hub->options->policies[i].name)) continue;
        sk_request_answer_json(request, manage_policy_json(&hub->options->policies[i]));
        return;
    }
    sk_request_refuse(request, SK_FAULT_NOT_FOUND, "there is no policy '%.*s'",
                      SK_ARG(request->name));
}

/* ---- consumer groups ---- */

static json_t *group_json(const struct sk_hub *hub, const char *name) {
    char id[512];
    snprintf(id, sizeof id, HUB_RESOURCE "%s/eventHubEndpoints/events/ConsumerGroups/%s",
             hub->options->name, name);
    return json_pack("{s:s,s:s,s:s,s:{}}", "id", id, "name", name, "type",
                     "Microsoft.Devices/IotHubs/EventHubEndpoints/ConsumerGroups", "properties");
}

static void list_groups(struct sk_hub *hub, struct sk_request *request) {
    json_t *value = json_pack("[o]", group_json(hub, "$Default"));
    for (size_t i = 0; i < hub->options->consumer_group_count; i++)
        json_array_append_new(value, group_json(hub, hub->options->consumer_groups[i]));
    answer_list(request, value);
}

static void refuse_group(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_NOT_FOUND, "there is no consumer group '%.*s'",
                      SK_ARG(request->name));
}

static void get_group(struct sk_hub *hub, struct sk_request *request) {
    const char *found = hub_consumer_group(hub, request->name);
    if (found)
        sk_request_answer_json(request, group_json(hub, found));
    else
        refuse_group(request);
}

static void put_group(struct sk_hub *hub, struct sk_request *request) {
    json_t *table = json_deep_copy(hub->options->table);
    json_t *groups = json_object_get(table, "consumer_groups");
    if (hub_consumer_group(hub, request->name) == NULL) {
        if (groups == NULL) json_object_set_new(table, "consumer_groups", groups = json_array());
        json_array_append_new(groups, json_stringn(request->name.p, request->name.n));
    }
    if (write_table(hub, request, table)) get_group(hub, request);
    json_decref(table);
}

static void delete_group(struct sk_hub *hub, struct sk_request *request) {
    const char *found = hub_consumer_group(hub, request->name);
    if (found == NULL) {
        refuse_group(request);
        return;
    }
    if (strcmp(found, "$Default") == 0) {
        sk_request_refuse(request, SK_FAULT_INVALID_OPERATION, "$Default is always there");
        return;
    }
    json_t *table = json_deep_copy(hub->options->table), *name;
    json_t *groups = json_object_get(table, "consumer_groups");
    size_t i;
    json_array_foreach(groups, i, name) if (strcmp(json_string_value(name), found) == 0) break;
    json_array_remove(groups, i);
    if (json_array_size(groups) == 0) json_object_del(table, "consumer_groups");
    if (write_table(hub, request, table)) sk_request_answer_json(request, json_object());
    json_decref(table);
}

/* ---- its keys ---- */

static bool measure_tags(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    const char *name;
    json_t *tag;
    (void)key;
    *n = (int64_t)json_object_size(value);
    json_object_foreach((json_t *)value, name, tag) if (!json_is_string(tag)) return false;
    return json_is_object(value);
}

static const struct sk_config_type tags = {
    .words = "a table", .link = " of ", .unit = " texts", .measure = measure_tags};

static const struct sk_config_key keys[] = {
    {"hub[].tags", &tags, .most = 50, .otherwise_words = "none",
     .does = "Words of yours about the hub, as ARM's `tags`"},
    {0}};

const struct sk_hub_part hub_part_manage = {.keys = keys,
                                            .serve = {[SK_OP_HUB_GET] = answer_hub,
                                                      [SK_OP_HUB_LIST] = list_hubs,
                                                      [SK_OP_HUB_PUT] = put_hub,
                                                      [SK_OP_HUB_PATCH] = patch_hub,
                                                      [SK_OP_HUB_QUOTA] = manage_quota,
                                                      [SK_OP_HUB_SKUS] = manage_skus,
                                                      [SK_OP_HUB_NAME] = manage_name,
                                                      [SK_OP_HUB_KEYS] = list_keys,
                                                      [SK_OP_HUB_KEY] = get_key,
                                                      [SK_OP_HUB_GROUPS] = list_groups,
                                                      [SK_OP_HUB_GROUP] = get_group,
                                                      [SK_OP_HUB_GROUP_PUT] = put_group,
                                                      [SK_OP_HUB_GROUP_DELETE] = delete_group}};
