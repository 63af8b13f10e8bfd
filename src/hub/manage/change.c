/* What a client wants of the hub, in ARM's words, as what hub.toml shall say of it.
 *
 * The wanted document is compared with the one that a GET shows. What is the same stays as it is
 * written; what differs is a row below, which says which key of hub.toml it is, or it is refused by
 * name. Whether a value may be so is the configuration's to say. */
#include "hub/manage/parts.h"

#include <stdio.h>

/* ---- policies ---- */

/* The key that a policy has, where none is given; else one that is made. */
static json_t *key_json(struct manage_change *change, const json_t *wanted, const json_t *now) {
    struct sk_buffer text = {0};
    if (wanted) return json_incref((json_t *)wanted);
    if (now) return json_incref((json_t *)now);
    sk_io_put_key(change->hub->backend.io, 32, &text);
    json_t *json = json_stringn(text.p, text.n);
    sk_buffer_free(&text);
    return json;
}

static bool read_rights(const json_t *list, unsigned *rights) {
    *rights = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        unsigned bits;
        if (sk_rights_parse(sk_span_z(json_string_value(json_array_get(list, i))), &bits))
            return false;
        *rights |= bits;
    }
    return true;
}

static void put_rights(struct manage_change *change, const json_t *wanted, json_t *table) {
    struct sk_span rest = sk_span_z(json_string_value(wanted)), part;
    json_t *list = json_array();
    unsigned rights, now;
    while (sk_span_split(&rest, ',', &part)) {
        part = sk_span_trim(part);
        if (part.n) json_array_append_new(list, json_stringn(part.p, part.n));
    }
    if (!read_rights(list, &rights) || rights == 0)
        manage_refuse(change, "rights are RegistryRead, RegistryWrite, ServiceConnect and "
                              "DeviceConnect, with commas between");
    bool same = read_rights(json_object_get(table, "rights"), &now) && now == rights;
    if (!same) json_object_set(table, "rights", list);
    json_decref(list);
}

static void convert_policy(struct manage_change *change, const json_t *item, json_t *table) {
    const json_t *first = json_object_get(item, "primaryKey"),
                 *second = json_object_get(item, "secondaryKey"),
                 *now = json_object_get(table, "keys"), *rights = json_object_get(item, "rights");
    if (!manage_knows(change, "a policy", item, "keyName|primaryKey|secondaryKey|rights")) return;
    bool one = (second && json_string_length(second) == 0 && json_is_string(second)) ||
               (second == NULL && json_array_size(now) == 1);
    json_t *keys = json_array();
    json_array_append_new(keys, key_json(change, first, json_array_get(now, 0)));
    if (!one) json_array_append_new(keys, key_json(change, second, json_array_get(now, 1)));
    manage_put(table, "keys", keys, NULL);
    if (rights) put_rights(change, rights, table);
}

/* Somebody must be left who can change it back. */
static void take_policies(struct manage_change *change, const json_t *shown, const json_t *wanted) {
    static const struct manage_list policies = {.what = "a policy",
                                                .member = "keyName",
                                                .array = "policy",
                                                .key = "name",
                                                .convert = convert_policy};
    bool owner = false;
    unsigned rights;
    (void)shown;
    manage_take_list(change, &policies, wanted);
    const json_t *tables = json_object_get(change->table, "policy");
    for (size_t i = 0; i < json_array_size(tables); i++)
        owner |= read_rights(json_object_get(json_array_get(tables, i), "rights"), &rights) &&
                 rights == SK_RIGHT_ALL;
    if (!owner)
        manage_refuse(change, "authorizationPolicies: one with all rights must stay; without it "
                              "nobody could manage the hub");
}

/* ---- addresses ---- */

static void convert_rule(struct manage_change *change, const json_t *item, json_t *table) {
    const json_t *action = json_object_get(item, "action"), *mask = json_object_get(item, "ipMask");
    if (!manage_knows(change, "a rule", item, "filterName|action|ipMask")) return;
    bool allows =
        sk_span_eq_nocase(sk_span_z(json_string_value(action)), SK_SPAN("Allow")); /* the newer */
    if (action)
        manage_put(table, "action", allows ? json_string("Accept") : json_incref((json_t *)action),
                   json_string("Accept"));
    if (mask) manage_put(table, "mask", json_incref((json_t *)mask), NULL);
}

static const struct manage_list rules = {.what = "a rule",
                                         .member = "filterName",
                                         .array = "ip_filter",
                                         .key = "name",
                                         .ordered = true,
                                         .convert = convert_rule};

static void take_rules(struct manage_change *change, const json_t *shown, const json_t *wanted) {
    (void)shown;
    manage_take_list(change, &rules, wanted);
}

static void take_network(struct manage_change *change, const json_t *shown, const json_t *wanted) {
    static const char *const members[][2] = {
        {"defaultAction", "network.default_action"},
        {"applyToBuiltInEventHubEndpoint", "network.apply_to_events"}};
    const json_t *items = json_object_get(wanted, "ipRules");
    if (!manage_knows(change, "networkRuleSets", wanted,
                      "defaultAction|applyToBuiltInEventHubEndpoint|ipRules"))
        return;
    for (size_t i = 0; i < 2; i++) {
        json_t *value = json_object_get(wanted, members[i][0]);
        if (value && !json_equal(value, json_object_get(shown, members[i][0])))
            manage_set(change->table, members[i][1], json_incref(value));
    }
    if (items && !json_equal(items, json_object_get(shown, "ipRules")))
        manage_take_list(change, &rules, items);
}

/* ---- the document ---- */

struct member {
    const char *name;
    const char *key; /* of hub.toml, of a value that stands there as it is */
    void (*take)(struct manage_change *change, const json_t *shown, const json_t *wanted);
    const struct member *members; /* of an object */
    enum { AS_IT_IS, DURATION, DAYS, SECRET, READ_ONLY } how;
};

static void take_value(struct manage_change *change, const struct member *m, const json_t *shown,
                       const json_t *wanted) {
    int64_t was, is;
    const char *text = json_string_value(wanted);
    if (m->how == DURATION && text &&
        sk_duration_parse(sk_span_z(json_string_value(shown)), &was) == SK_OK &&
        sk_duration_parse(sk_span_z(text), &is) == SK_OK && was == is)
        return; /* in other words */
    if (m->how == DAYS && json_is_integer(wanted)) {
        char days[32];
        snprintf(days, sizeof days, "%lldd", (long long)json_integer_value(wanted));
        manage_set(change->table, m->key, json_string(days));
    } else if (m->how == SECRET && text && *text == 0) {
        json_object_del(json_object_get(change->table, "files"), "connection_string");
    } else {
        manage_set(change->table, m->key, json_incref((json_t *)wanted));
    }
}

static void take_members(struct manage_change *change, const char *path,
                         const struct member *members, const json_t *shown, const json_t *wanted) {
    const char *name;
    json_t *value;
    if (!json_is_object(wanted)) manage_refuse(change, "%s is an object", path);
    json_object_foreach((json_t *)wanted, name, value) {
        const json_t *now = json_object_get(shown, name);
        const struct member *m = members;
        char below[200];
        snprintf(below, sizeof below, "%s%s%.100s", path, *path ? "." : "", name);
        while (m->name && strcmp(m->name, name) != 0) m++;
        if (json_equal(now, value) || (m->name && m->how == READ_ONLY)) continue;
        if (m->name && m->members)
            take_members(change, below, m->members, now, value);
        else if (m->name && m->take)
            m->take(change, now, value);
        else if (m->name)
            take_value(change, m, now, value);
        else if (now)
            manage_refuse(change, "%s: it cannot be changed", below);
        else
            manage_refuse(change, "%s: a hub has no such thing here; leave it out", below);
    }
}

static const struct member events[] = {{"retentionTimeInDays", .key = "retention", .how = DAYS},
                                       {"partitionCount", .key = "partitions"},
                                       {0}};
static const struct member streams[] = {{"events", .members = events}, {0}};
static const struct member feedback[] = {
    {"lockDurationAsIso8601", .key = "cloud_to_device.feedback.lock_duration", .how = DURATION},
    {"ttlAsIso8601", .key = "cloud_to_device.feedback.ttl", .how = DURATION},
    {"maxDeliveryCount", .key = "cloud_to_device.feedback.max_delivery_count"},
    {0}};
static const struct member commands[] = {
    {"maxDeliveryCount", .key = "cloud_to_device.max_delivery_count"},
    {"defaultTtlAsIso8601", .key = "cloud_to_device.default_ttl", .how = DURATION},
    {"feedback", .members = feedback},
    {0}};
static const struct member account[] = {
    {"sasTtlAsIso8601", .key = "files.sas_ttl", .how = DURATION},
    {"connectionString", .key = "files.connection_string", .how = SECRET},
    {"containerName", .key = "files.container"},
    {0}};
static const struct member storage[] = {{"$default", .members = account}, {0}};
static const struct member notices[] = {
    {"lockDurationAsIso8601", .key = "files.notifications.lock_duration", .how = DURATION},
    {"ttlAsIso8601", .key = "files.notifications.ttl", .how = DURATION},
    {"maxDeliveryCount", .key = "files.notifications.max_delivery_count"},
    {0}};
static const struct member messaging[] = {{"fileNotifications", .members = notices}, {0}};

/* networkRuleSets behind ipFilterRules: where both are given, the newer form counts. */
static const struct member properties[] = {
    {"state", .how = READ_ONLY},
    {"provisioningState", .how = READ_ONLY},
    {"hostName", .how = READ_ONLY},
    {"locations", .how = READ_ONLY},
    {"features", .how = READ_ONLY},
    {"authorizationPolicies", .take = take_policies},
    {"ipFilterRules", .take = take_rules},
    {"networkRuleSets", .take = take_network},
    {"eventHubEndpoints", .members = streams},
    {"routing", .take = manage_take_routing},
    {"storageEndpoints", .members = storage},
    {"messagingEndpoints", .members = messaging},
    {"enableFileUploadNotifications", .key = "files.notifications.enabled"},
    {"cloudToDevice", .members = commands},
    {0}};
static const struct member sku[] = {{"name", .key = "quota.tier"},
                                    {"tier", .how = READ_ONLY},
                                    {"capacity", .key = "quota.units"},
                                    {0}};

static void take_tags(struct manage_change *change, const json_t *shown, const json_t *wanted) {
    (void)shown;
    if (json_is_object(wanted) && json_object_size(wanted) == 0)
        json_object_del(change->table, "tags");
    else
        json_object_set(change->table, "tags", (json_t *)wanted);
}

static const struct member description[] = {{"id", .how = READ_ONLY},
                                            {"name", .how = READ_ONLY},
                                            {"type", .how = READ_ONLY},
                                            {"location", .how = READ_ONLY},
                                            {"etag", .how = READ_ONLY},
                                            {"tags", .take = take_tags},
                                            {"sku", .members = sku},
                                            {"properties", .members = properties},
                                            {0}};

/* "Nothing" is as good as nothing. */
static void drop_nulls(json_t *json) {
    const char *name;
    void *next;
    json_t *value;
    size_t i;
    json_object_foreach_safe(json, next, name, value) {
        if (json_is_null(value))
            json_object_del(json, name);
        else
            drop_nulls(value);
    }
    json_array_foreach(json, i, value) drop_nulls(value);
}

/* The largest that a hub can be has some 3000 values, seven deep. What is far beyond would be gone
 * through again and again, only to be refused. */
enum { VALUES_MAX = 5000, DEPTH_MAX = 16 };

static bool is_moderate(const json_t *json, unsigned depth, size_t *values) {
    const char *name;
    json_t *value;
    size_t i;
    if (++*values > VALUES_MAX || depth > DEPTH_MAX) return false;
    json_object_foreach((json_t *)json, name,
                        value) if (!is_moderate(value, depth + 1, values)) return false;
    json_array_foreach(json, i, value) if (!is_moderate(value, depth + 1, values)) return false;
    return true;
}

bool manage_take(struct manage_change *change, const json_t *wanted) {
    size_t values = 0;
    if (!is_moderate(wanted, 1, &values)) {
        manage_refuse(change, "a hub's description has at most %d values, %d deep", VALUES_MAX,
                      DEPTH_MAX);
        return false;
    }
    json_t *copy = json_deep_copy(wanted);
    drop_nulls(copy);
    take_members(change, "", description, change->shown, copy);
    json_decref(copy);
    return change->why[0] == 0;
}
