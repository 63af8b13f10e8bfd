/* Twins: checking, merging and showing them (docs/protocols/device-protocols.md, sections 2.8 and
 * 6.3; docs/protocols/service-api.md, section 3).
 *
 * Sections are never changed in place: a merge makes new objects along the changed paths and
 * shares the rest, so that a refused change leaves no trace and a small patch to a large twin
 * stays cheap. */
#include "model/twin.h"

#include <stdio.h>

static const char NEVER[] = "0001-01-01T00:00:00Z";

/* ---- the struct ---- */

static json_t *metadata_never(void) {
    return json_pack("{s:s}", "$lastUpdated", NEVER);
}

struct sk_twin sk_twin_new(void) {
    return (struct sk_twin){
        .tags = json_object(),
        .desired = json_object(),
        .reported = json_object(),
        .desired_metadata = metadata_never(),
        .reported_metadata = metadata_never(),
        .desired_version = 1,
        .reported_version = 1,
        .version = 2,
        .etag = 1,
    };
}

void sk_twin_free(struct sk_twin *twin) {
    json_decref(twin->tags);
    json_decref(twin->desired);
    json_decref(twin->reported);
    json_decref(twin->desired_metadata);
    json_decref(twin->reported_metadata);
    json_decref(twin->configurations);
    json_decref(twin->configured);
    memset(twin, 0, sizeof *twin);
}

struct sk_twin sk_twin_copy(const struct sk_twin *twin) {
    struct sk_twin copy = *twin;
    copy.tags = json_deep_copy(twin->tags);
    copy.desired = json_deep_copy(twin->desired);
    copy.reported = json_deep_copy(twin->reported);
    copy.desired_metadata = json_deep_copy(twin->desired_metadata);
    copy.reported_metadata = json_deep_copy(twin->reported_metadata);
    copy.configurations = json_deep_copy(twin->configurations);
    copy.configured = json_deep_copy(twin->configured);
    return copy;
}

struct sk_twin sk_twin_share(const struct sk_twin *twin) {
    json_incref(twin->tags);
    json_incref(twin->desired);
    json_incref(twin->reported);
    json_incref(twin->desired_metadata);
    json_incref(twin->reported_metadata);
    json_incref(twin->configurations);
    json_incref(twin->configured);
    return *twin;
}

struct sk_twin sk_twin_move(struct sk_twin *from) {
    struct sk_twin moved = *from;
    memset(from, 0, sizeof *from);
    return moved;
}

/* ---- rules ---- */

static const char *section_text(enum sk_twin_section section) {
    static const char *const text[] = {"tags", "properties.desired", "properties.reported"};
    return text[section];
}

/* SDKs send a section back as they read it; at its root these two are ours and no properties. */
static bool is_ours(const char *key) {
    return strcmp(key, "$version") == 0 || strcmp(key, "$metadata") == 0;
}

struct check {
    enum sk_twin_section section;
    char *error;
};

/* Writes "Property 'key' of properties.desired <what>." */
static enum sk_status broken(const struct check *check, const char *key, const char *what) {
    snprintf(check->error, SK_MODEL_ERROR_MAX, "Property '%.80s' of %s %s.", key,
             section_text(check->section), what);
    return SK_INVALID;
}

static enum sk_status check_key(const struct check *check, const char *key) {
    size_t n = strlen(key);
    if (n == 0) return broken(check, key, "has an empty name");
    if (n > SK_TWIN_KEY_MAX) return broken(check, key, "has a name longer than 1024 bytes");
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)key[i];
        bool control = c < 0x20 || c == 0x7f ||
                       (c == 0xc2 && (uint8_t)key[i + 1] < 0xa0); /* C0, DEL, C1 in UTF-8 */
        if (control) return broken(check, "?", "has a control character in its name");
        if (c == '.' || c == '$' || c == ' ')
            return broken(check, key, "has '.', '$' or a space in its name");
    }
    return SK_OK;
}

static enum sk_status check_object(const struct check *check, const json_t *object, unsigned depth,
                                   bool in_array);

/* `key` is the property that holds the value, for the sentence. `depth`: containers above, below
 * the root. */
static enum sk_status check_value(const struct check *check, const char *key, const json_t *value,
                                  unsigned depth, bool in_array) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        if (json_string_length(value) > SK_TWIN_STRING_MAX)
            return broken(check, key, "has a string value longer than 4096 bytes");
        return SK_OK;
    case JSON_INTEGER:
        if (json_integer_value(value) < SK_TWIN_INTEGER_MIN ||
            json_integer_value(value) > SK_TWIN_INTEGER_MAX)
            return broken(check, key, "has an integer outside -4503599627370496..4503599627370495");
        return SK_OK;
    case JSON_NULL: return in_array ? broken(check, key, "has null inside an array") : SK_OK;
    case JSON_OBJECT:
        if (depth + 1 > SK_TWIN_DEPTH_MAX)
            return broken(check, key, "is nested deeper than 10 levels");
        return check_object(check, value, depth + 1, in_array);
    case JSON_ARRAY:
        if (depth + 1 > SK_TWIN_DEPTH_MAX)
            return broken(check, key, "is nested deeper than 10 levels");
        for (size_t i = 0; i < json_array_size(value); i++) {
            enum sk_status status =
                check_value(check, key, json_array_get(value, i), depth + 1, true);
            if (status) return status;
        }
        return SK_OK;
    case JSON_REAL:
    case JSON_TRUE:
    case JSON_FALSE: break;
    }
    return SK_OK;
}

static enum sk_status check_object(const struct check *check, const json_t *object, unsigned depth,
                                   bool in_array) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        if (depth == 0 && is_ours(key)) continue;
        enum sk_status status = check_key(check, key);
        if (!status) status = check_value(check, key, value, depth, in_array);
        if (status) return status;
    }
    return SK_OK;
}

enum sk_status sk_twin_check(enum sk_twin_section section, const json_t *document,
                             char error[SK_MODEL_ERROR_MAX]) {
    struct check check = {section, error};
    if (!json_is_object(document)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "%s must be a JSON object.", section_text(section));
        return SK_INVALID;
    }
    return check_object(&check, document, 0, false);
}

static size_t text_size(const char *text, size_t n) {
    size_t size = n;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)text[i];
        if (c < 0x20 || c == 0x7f) size -= 1;
        if (c == 0xc2 && i + 1 < n && (uint8_t)text[i + 1] < 0xa0) size -= 2;
    }
    return size;
}

size_t sk_twin_size(const json_t *document) {
    const char *key;
    json_t *value;
    size_t size = 0;
    switch (json_typeof(document)) {
    case JSON_OBJECT:
        json_object_foreach((json_t *)document, key, value) size +=
            text_size(key, strlen(key)) + sk_twin_size(value);
        return size;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array_size(document); i++)
            size += sk_twin_size(json_array_get(document, i));
        return size;
    case JSON_STRING: return text_size(json_string_value(document), json_string_length(document));
    case JSON_INTEGER:
    case JSON_REAL: return 8;
    case JSON_TRUE:
    case JSON_FALSE: return 4;
    case JSON_NULL: break;
    }
    return 0;
}

/* ---- merging ---- */

/* One document, the metadata of all leaves that a change sets. */
static json_t *stamp_new(const char *time, uint64_t version) {
    json_t *stamp = json_pack("{s:s}", "$lastUpdated", time);
    if (version)
        json_object_set_new(stamp, "$lastUpdatedVersion", json_integer((json_int_t)version));
    return stamp;
}

/* `patch` over `old` (NULL: nothing there): the new value and its metadata. Nulls delete and are
 * never kept. */
static void merge(const json_t *old, const json_t *old_metadata, const json_t *patch, json_t *stamp,
                  bool root, json_t **merged, json_t **metadata) {
    const char *key;
    json_t *value;
    *merged = old ? json_copy((json_t *)old) : json_object();
    *metadata = old && old_metadata ? json_copy((json_t *)old_metadata) : json_object();
    json_object_update(*metadata, stamp);
    json_object_foreach((json_t *)patch, key, value) {
        if (root && is_ours(key)) continue;
        if (json_is_null(value)) {
            json_object_del(*merged, key);
            json_object_del(*metadata, key);
            continue;
        }
        json_t *child, *child_metadata;
        if (json_is_object(value)) {
            const json_t *below = json_object_get(old, key);
            if (!json_is_object(below)) below = NULL;
            merge(below, json_object_get(old_metadata, key), value, stamp, false, &child,
                  &child_metadata);
        } else {
            child = json_deep_copy(value);
            child_metadata = json_incref(stamp);
        }
        json_object_set_new(*merged, key, child);
        json_object_set_new(*metadata, key, child_metadata);
    }
}

struct moment {
    char time[SK_TIME_TEXT];
    uint64_t version; /* 0: the section's metadata carries none */
};

/* The new form of one section. On SK_OK the caller owns *merged and *metadata; they stay NULL when
 * nothing is asked. */
static enum sk_status change_section(enum sk_twin_section section, const json_t *old,
                                     const json_t *old_metadata, const json_t *document,
                                     bool replace, const struct moment *moment, json_t **merged,
                                     json_t **metadata, char error[SK_MODEL_ERROR_MAX]) {
    static const char *const azure_name[] = {"Tags", "Properties.Desired", "Properties.Reported"};
    *merged = *metadata = NULL;
    if (document == NULL) return SK_OK;
    bool emptied = replace && json_is_null(document);
    enum sk_status status = emptied ? SK_OK : sk_twin_check(section, document, error);
    if (status) return status;
    json_t *stamp = stamp_new(moment->time, moment->version);
    merge(replace ? NULL : old, replace ? NULL : old_metadata, document, stamp, true, merged,
          metadata);
    json_decref(stamp);
    size_t max = section == SK_TWIN_TAGS ? SK_TWIN_TAGS_MAX : SK_TWIN_SECTION_MAX,
           size = sk_twin_size(*merged);
    if (size <= max) return SK_OK;
    snprintf(error, SK_MODEL_ERROR_MAX, "'%s' size should be less than %zu bytes. It would be %zu.",
             azure_name[section], max, size);
    json_decref(*merged);
    json_decref(*metadata);
    *merged = *metadata = NULL;
    return SK_TOO_LARGE;
}

static void take(json_t **place, json_t *value) {
    if (value == NULL) return;
    json_decref(*place);
    *place = value;
}

enum sk_status sk_twin_apply(struct sk_twin *twin, const struct sk_twin_change *change,
                             int64_t wall_us, char error[SK_MODEL_ERROR_MAX]) {
    struct moment moment;
    json_t *tags = NULL, *desired = NULL, *reported = NULL;
    json_t *tags_metadata = NULL, *desired_metadata = NULL, *reported_metadata = NULL;
    sk_time_text(wall_us, moment.time);
    moment.version = 0;
    enum sk_status status =
        change_section(SK_TWIN_TAGS, twin->tags, NULL, change->tags, change->replace_tags, &moment,
                       &tags, &tags_metadata, error);
    json_decref(tags_metadata); /* tags have none */
    if (status) goto fail;
    status =
        change_section(SK_TWIN_REPORTED, twin->reported, twin->reported_metadata, change->reported,
                       change->replace_reported, &moment, &reported, &reported_metadata, error);
    if (status) goto fail;
    moment.version = twin->desired_version + 1;
    status = change_section(SK_TWIN_DESIRED, twin->desired, twin->desired_metadata, change->desired,
                            change->replace_desired, &moment, &desired, &desired_metadata, error);
    if (status) goto fail;
    twin->desired_version += desired != NULL;
    twin->reported_version += reported != NULL;
    bool edited = change->tags || change->desired || change->reported || !change->configurations;
    twin->version += edited;
    twin->etag += edited;
    take(&twin->tags, tags);
    take(&twin->desired, desired);
    take(&twin->desired_metadata, desired_metadata);
    take(&twin->reported, reported);
    take(&twin->reported_metadata, reported_metadata);
    take(&twin->configurations, json_deep_copy(change->configurations));
    take(&twin->configured, json_deep_copy(change->configured));
    return SK_OK;
fail:
    json_decref(tags);
    json_decref(reported);
    json_decref(reported_metadata);
    return status;
}

/* ---- views ---- */

/* A section with what SDKs find beside its properties. `metadata` may be NULL. */
static json_t *with_version(const json_t *section, json_t *metadata, uint64_t version) {
    json_t *view = json_copy((json_t *)section);
    if (metadata) json_object_set(view, "$metadata", metadata);
    json_object_set_new(view, "$version", json_integer((json_int_t)version));
    return view;
}

json_t *sk_twin_device_json(const struct sk_twin *twin) {
    return json_pack("{s:o,s:o}", "desired",
                     with_version(twin->desired, NULL, twin->desired_version), "reported",
                     with_version(twin->reported, NULL, twin->reported_version));
}

/* `after` as a patch that takes whoever has `before` there. Azure's names what has stayed, too. */
static json_t *replacement(const json_t *before, const json_t *after) {
    json_t *patch = json_copy((json_t *)after), *value;
    const char *key;
    json_object_foreach((json_t *)before, key, value) {
        const json_t *now = json_object_get(after, key);
        if (now == NULL)
            json_object_set_new(patch, key, json_null());
        else if (json_is_object(now) && json_is_object(value))
            json_object_set_new(patch, key, replacement(value, now));
    }
    return patch;
}

json_t *sk_twin_desired_notification(const json_t *before, const struct sk_twin *after,
                                     const struct sk_twin_change *change) {
    json_t *body = change->replace_desired ? replacement(before, after->desired)
                                           : json_copy((json_t *)change->desired);
    json_object_del(body, "$metadata");
    json_object_set_new(body, "$version", json_integer((json_int_t)after->desired_version));
    return body;
}

static json_t *time_json(int64_t wall_us) {
    char text[SK_TIME_TEXT];
    if (wall_us == 0) return json_string(NEVER);
    sk_time_text(wall_us, text);
    return json_string(text);
}

static json_t *text_or_null(const char *text) {
    return text ? json_string(text) : json_null();
}

json_t *sk_twin_service_json(const struct sk_twin *twin, const struct sk_identity *identity,
                             const struct sk_presence *presence) {
    static const struct sk_presence unseen;
    char etag[SK_ETAG_MAX], device_etag[SK_ETAG_MAX];
    json_t *json = json_object();
    if (presence == NULL) presence = &unseen;
    sk_twin_etag(twin->etag, etag);
    sk_identity_etag(identity->etag, device_etag);
    json_object_set_new(json, "deviceId", json_string(identity->device_id));
    if (identity->module_id)
        json_object_set_new(json, "moduleId", json_string(identity->module_id));
    json_object_set_new(json, "etag", json_string(etag));
    json_object_set_new(json, "deviceEtag", json_string(device_etag));
    json_object_set_new(json, "status", json_string(identity->disabled ? "disabled" : "enabled"));
    if (identity->status_reason)
        json_object_set_new(json, "statusReason", json_string(identity->status_reason));
    json_object_set_new(json, "statusUpdateTime", time_json(identity->status_updated_us));
    json_object_set_new(json, "connectionState",
                        json_string(presence->connected ? "Connected" : "Disconnected"));
    json_object_set_new(json, "lastActivityTime", time_json(presence->active_us));
    json_object_set_new(json, "cloudToDeviceMessageCount", json_integer(presence->c2d_count));
    json_object_set_new(json, "authenticationType", json_string(sk_auth_type_text(identity->auth)));
    json_object_set_new(json, "x509Thumbprint",
                        json_pack("{s:o,s:o}", "primaryThumbprint",
                                  text_or_null(identity->primary_thumbprint), "secondaryThumbprint",
                                  text_or_null(identity->secondary_thumbprint)));
    json_object_set_new(json, "modelId", json_string(identity->model_id ? identity->model_id : ""));
    json_object_set_new(json, "version", json_integer((json_int_t)twin->version));
    if (json_object_size(twin->tags)) json_object_set(json, "tags", twin->tags);
    json_object_set_new(
        json, "properties",
        json_pack("{s:o,s:o}", "desired",
                  with_version(twin->desired, twin->desired_metadata, twin->desired_version),
                  "reported",
                  with_version(twin->reported, twin->reported_metadata, twin->reported_version)));
    json_object_set_new(json, "configurations",
                        twin->configurations ? json_incref(twin->configurations) : json_object());
    if (identity->module_id) return json;
    json_object_set_new(json, "capabilities", json_pack("{s:b}", "iotEdge", identity->edge));
    if (identity->device_scope)
        json_object_set_new(json, "deviceScope", json_string(identity->device_scope));
    json_t *parents = json_array();
    for (size_t i = 0; i < identity->parent_scope_count; i++)
        json_array_append_new(parents, json_string(identity->parent_scopes[i]));
    json_object_set_new(json, "parentScopes", parents);
    return json;
}

/* As far as the patch goes. */
static json_t *metadata_of(const json_t *patch, const json_t *metadata) {
    json_t *part = json_object(), *value;
    const char *key;
    json_object_foreach((json_t *)metadata, key, value) if (key[0] == '$')
        json_object_set(part, key, value);
    json_object_foreach((json_t *)patch, key, value) {
        json_t *below = is_ours(key) ? NULL : json_object_get(metadata, key);
        if (below && json_is_object(value))
            json_object_set_new(part, key, metadata_of(value, below));
        else if (below)
            json_object_set(part, key, below);
    }
    return part;
}

static void put_section(json_t *properties, const char *name, const json_t *patch,
                        const json_t *metadata, uint64_t version) {
    if (patch == NULL) return;
    json_t *stamps = metadata_of(patch, metadata);
    json_object_set_new(properties, name, with_version(patch, stamps, version));
    json_decref(stamps);
}

json_t *sk_twin_update_json(const struct sk_twin *after, const json_t *tags, const json_t *desired,
                            const json_t *reported) {
    json_t *json = json_pack("{s:I}", "version", (json_int_t)after->version),
           *properties = json_object();
    if (tags) json_object_set(json, "tags", (json_t *)tags);
    put_section(properties, "desired", desired, after->desired_metadata, after->desired_version);
    put_section(properties, "reported", reported, after->reported_metadata,
                after->reported_version);
    if (json_object_size(properties)) json_object_set(json, "properties", properties);
    json_decref(properties);
    return json;
}

json_t *sk_twin_whole_json(const struct sk_twin *twin, const struct sk_identity *identity) {
    static const char *const kept[] = {"deviceId", "moduleId", "etag",
                                       "version",  "tags",     "properties"};
    json_t *all = sk_twin_service_json(twin, identity, NULL), *json = json_object();
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *member = json_object_get(all, kept[i]);
        if (member) json_object_set(json, kept[i], member);
    }
    json_decref(all);
    return json;
}

/* One section out of a service's body. */
static enum sk_status take_section(enum sk_twin_section section, const json_t *value, bool replace,
                                   const json_t **document, bool *replaces,
                                   char error[SK_MODEL_ERROR_MAX]) {
    bool emptied = json_is_null(value);
    *document = value;
    *replaces = replace || emptied;
    return value && !emptied ? sk_twin_check(section, value, error) : SK_OK;
}

enum sk_status sk_twin_change_from_json(const json_t *body, bool replace,
                                        struct sk_twin_change *change,
                                        char error[SK_MODEL_ERROR_MAX]) {
    memset(change, 0, sizeof *change);
    const json_t *properties = json_object_get(body, "properties");
    if (!json_is_object(body) ||
        (properties && !json_is_null(properties) && !json_is_object(properties))) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "The body must be a twin: {\"tags\":{…},\"properties\":{\"desired\":{…}}}.");
        return SK_INVALID;
    }
    enum sk_status status = take_section(SK_TWIN_TAGS, json_object_get(body, "tags"), replace,
                                         &change->tags, &change->replace_tags, error);
    if (status) return status;
    return take_section(SK_TWIN_DESIRED, json_object_get(properties, "desired"), replace,
                        &change->desired, &change->replace_desired, error);
}
