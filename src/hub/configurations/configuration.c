/* One configuration: how it is read, checked and shown. Reference:
 * docs/protocols/service-api.md, section 8. */
#include "hub/configurations/parts.h"

#include <stdarg.h>
#include <stdio.h>

#include "model/json_patch.h"
#include "model/json_text.h"

enum { NAME_MAX_SIZE = 128, LABELS_MAX = 100, LABEL_MAX = 256 };

static const char *const kinds[] = {[FOR_DEVICES] = "deviceContent",
                                    [FOR_MODULES] = "moduleContent",
                                    [FOR_EDGES] = "modulesContent"};

/* ---- out of a request ---- */

static bool id_fits(struct sk_span id) {
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] >= 'A' && id.p[i] <= 'Z') return false;
    return sk_id_check(id) == SK_OK;
}

/* A table of texts. */
static bool texts_fit(const json_t *table, size_t max, size_t text_max) {
    const char *key;
    json_t *value;
    if (table && (!json_is_object(table) || json_object_size(table) > max)) return false;
    json_object_foreach((json_t *)table, key, value) {
        if (!json_is_string(value) || strlen(key) > NAME_MAX_SIZE ||
            json_string_length(value) > text_max)
            return false;
    }
    return true;
}

/* The one kind of content that there is; SDKs send null or nothing for the others. */
static bool find_content(const json_t *content, enum configuration_kind *kind) {
    size_t found = 0;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (json_object_size(json_object_get(content, kinds[i])) == 0) continue;
        *kind = (enum configuration_kind)i;
        found++;
    }
    return found == 1;
}

static enum sk_status check_content(const json_t *content, char error[SK_MODEL_ERROR_MAX]) {
    enum configuration_kind kind;
    const char *module;
    json_t *keys;
    char why[SK_MODEL_ERROR_MAX];
    if (!find_content(content, &kind)) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "content has exactly one of deviceContent, moduleContent and modulesContent");
        return SK_INVALID;
    }
    json_t *inner = json_object_get(content, kinds[kind]);
    if (kind != FOR_EDGES) {
        enum sk_status status = content_check(inner, why);
        if (status) snprintf(error, SK_MODEL_ERROR_MAX, "%s: %.200s", kinds[kind], why);
        return status;
    }
    if (json_object_size(inner) > SK_MODULES_MAX) {
        snprintf(error, SK_MODEL_ERROR_MAX, "modulesContent has at most %d modules",
                 SK_MODULES_MAX);
        return SK_INVALID;
    }
    json_object_foreach(inner, module, keys) {
        if (sk_id_check(sk_span_z(module))) {
            snprintf(error, SK_MODEL_ERROR_MAX, "'%.64s' is not a module id", module);
            return SK_INVALID;
        }
        if (content_check(keys, why)) {
            snprintf(error, SK_MODEL_ERROR_MAX, "modulesContent.%.64s: %.150s", module, why);
            return SK_INVALID;
        }
    }
    return SK_OK;
}

/* A member that may be left out, or null. */
static const json_t *optional(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static enum sk_status check_members(const json_t *body, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *priority = optional(body, "priority"), *labels = optional(body, "labels"),
                 *condition = optional(body, "targetCondition"),
                 *queries = optional(json_object_get(body, "metrics"), "queries");
    error[0] = 0;
    if (priority && (!json_is_integer(priority) || json_integer_value(priority) < 0 ||
                     json_integer_value(priority) > INT32_MAX))
        snprintf(error, SK_MODEL_ERROR_MAX, "priority is a whole number from 0 on");
    else if (!texts_fit(labels, LABELS_MAX, LABEL_MAX))
        snprintf(error, SK_MODEL_ERROR_MAX, "labels are at most %d texts of at most %d bytes",
                 LABELS_MAX, LABEL_MAX);
    else if (condition && !json_is_string(condition))
        snprintf(error, SK_MODEL_ERROR_MAX, "targetCondition is a text");
    else if (!texts_fit(queries, CONFIGURATION_METRICS_MAX, SK_EXPR_TEXT_MAX))
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "metrics.queries are at most %d queries of at most %d bytes",
                 CONFIGURATION_METRICS_MAX, SK_EXPR_TEXT_MAX);
    return error[0] ? SK_INVALID : check_content(json_object_get(body, "content"), error);
}

static json_t *copy_or_empty(const json_t *value) {
    return value ? json_deep_copy(value) : json_object();
}

/* As it reads when it comes back from the store: 5.0 is 5 there, and compares so. */
static json_t *as_stored(json_t *document) {
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    json_decref(document);
    return sk_json_load(sk_span_z(text), 0, NULL);
}

/* What a client may say, and nothing else. */
static json_t *take_members(const json_t *body, struct sk_span id) {
    const json_t *content = json_object_get(body, "content");
    const char *schema = sk_json_member_text(body, "schemaVersion"),
               *condition = sk_json_member_text(body, "targetCondition");
    enum configuration_kind kind = FOR_DEVICES;
    find_content(content, &kind);
    return as_stored(
        json_pack("{s:s%,s:s,s:o,s:I,s:s,s:{s:o},s:{s:o}}", "id", id.p, id.n, "schemaVersion",
                  schema ? schema : "1.0", "labels", copy_or_empty(optional(body, "labels")),
                  "priority", json_integer_value(json_object_get(body, "priority")),
                  "targetCondition", condition ? condition : "", "content", kinds[kind],
                  json_deep_copy(json_object_get(content, kinds[kind])), "metrics", "queries",
                  copy_or_empty(optional(json_object_get(body, "metrics"), "queries"))));
}

json_t *configuration_document(const json_t *body, struct sk_span id, const json_t *old, bool patch,
                               char error[SK_MODEL_ERROR_MAX]) {
    const json_t *content = json_object_get(old, "content");
    json_t *whole = patch ? json_deep_copy(old) : json_copy((json_t *)body), *document = NULL;
    if (patch)
        sk_json_merge(whole, body);
    else if (content && optional(body, "content") == NULL)
        json_object_set(whole, "content", (json_t *)content); /* it stays */
    if (!id_fits(id)) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "the id of a configuration has 1 to 128 lower-case letters, digits and "
                 "characters of -:.+%%_#*?!(),=@;$'");
    } else if (check_members(whole, error) == SK_OK) {
        document = take_members(whole, id);
        if (content && !patch && !json_equal(content, json_object_get(document, "content"))) {
            snprintf(error, SK_MODEL_ERROR_MAX,
                     "the content of a configuration cannot be replaced; make another one, or "
                     "PATCH this one");
            json_decref(document);
            document = NULL;
        }
    }
    json_decref(whole);
    return document;
}

/* ---- conditions and metrics ---- */

static void say_where(const struct sk_expr_error *why, size_t skipped,
                      char error[SK_MODEL_ERROR_MAX]) {
    if (why->line == 1)
        snprintf(error, SK_MODEL_ERROR_MAX, "column %u: %s",
                 why->column > skipped ? why->column - (unsigned)skipped : 1, why->sentence);
    else
        snprintf(error, SK_MODEL_ERROR_MAX, "line %u, column %u: %s", why->line, why->column,
                 why->sentence);
}

enum sk_status configuration_target(struct sk_span condition, enum configuration_kind kind,
                                    char **text, struct sk_query *query, bool *nobody,
                                    char error[SK_MODEL_ERROR_MAX]) {
    static const char devices[] = "SELECT * FROM devices WHERE ", modules[] = "SELECT * ";
    struct sk_expr_error why;
    struct sk_buffer whole = {0};
    const char *head = kind == FOR_MODULES ? modules : devices;
    struct sk_span trimmed = sk_span_trim(condition);
    *text = NULL;
    *query = (struct sk_query){0};
    *nobody = trimmed.n == 0;
    if (*nobody) return SK_OK;
    if (kind != FOR_MODULES && sk_span_is(trimmed, "*")) return SK_OK; /* everybody */
    sk_buffer_print(&whole, "%s%.*s", head, SK_ARG(condition));
    sk_buffer_byte(&whole, 0);
    *text = whole.p;
    enum sk_status status = sk_query_parse(sk_span_z(*text), query, &why);
    if (status) {
        say_where(&why, strlen(head), error);
    } else if (kind == FOR_MODULES && query->from != SK_FROM_MODULES) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "a condition on modules begins with FROM devices.modules WHERE");
        status = SK_INVALID;
    } else if (query->grouped ||
               (query->where && sk_expr_reads(query->where, "properties", "desired"))) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "a target condition reads ids, tags and reported properties, and does not group");
        status = SK_INVALID;
    }
    if (status == SK_OK) return SK_OK;
    sk_query_free(query);
    *query = (struct sk_query){0};
    free(*text);
    *text = NULL;
    return status;
}

enum sk_status configuration_metric_query(const char *text, struct sk_query *query,
                                          char error[SK_MODEL_ERROR_MAX]) {
    struct sk_expr_error why;
    enum sk_status status = sk_query_parse(sk_span_z(text), query, &why);
    if (status) {
        say_where(&why, 0, error);
    } else if (query->from == SK_FROM_JOBS) {
        snprintf(error, SK_MODEL_ERROR_MAX, "a metric is FROM devices or devices.modules");
        sk_query_free(query);
        *query = (struct sk_query){0};
        status = SK_INVALID;
    }
    return status;
}

static enum sk_status add_metric(struct configuration_metric *metric, const char *name, char *text,
                                 char error[SK_MODEL_ERROR_MAX]) {
    char why[SK_MODEL_ERROR_MAX];
    *metric = (struct configuration_metric){.name = name, .text = text};
    enum sk_status status = configuration_metric_query(text, &metric->query, why);
    if (status) snprintf(error, SK_MODEL_ERROR_MAX, "metric %.64s: %.170s", name, why);
    return status;
}

static char *print(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *print(const char *format, ...) {
    char text[SK_EXPR_TEXT_MAX + 1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return sk_span_dup(sk_span_z(text));
}

#define REPORTED                                                                                   \
    "SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent' "                          \
    "AND configurations.[[%s]].status = 'Applied' "                                                \
    "AND properties.desired.$version = properties.reported.lastDesiredVersion "                    \
    "AND properties.reported.lastDesiredStatus.code "

/* What Azure's portal and tools ask for by these names. */
static enum sk_status add_system_metrics(struct configuration *c, const char *condition,
                                         char error[SK_MODEL_ERROR_MAX]) {
    const char *id = c->id, *all = c->nobody ? "false" : c->target.where ? condition : "true";
    char *texts[SYSTEM_METRICS_MAX] = {NULL};
    static const char *const names[] = {"targetedCount", "appliedCount", "reportedSuccessfulCount",
                                        "reportedFailedCount"};
    if (c->kind == FOR_MODULES && !c->nobody)
        texts[0] = print("SELECT deviceId, moduleId %s", condition);
    else if (c->kind == FOR_MODULES)
        texts[0] = print("SELECT deviceId, moduleId FROM devices.modules WHERE false");
    else if (c->kind == FOR_DEVICES)
        texts[0] = print("SELECT deviceId FROM devices WHERE %s", all);
    else
        texts[0] =
            print("SELECT deviceId FROM devices WHERE capabilities.iotEdge = true AND (%s)", all);
    if (c->kind == FOR_EDGES) {
        texts[1] = print("SELECT deviceId FROM devices.modules WHERE moduleId = '$edgeAgent' "
                         "AND configurations.[[%s]].status = 'Applied'",
                         id);
        texts[2] = print(REPORTED "= 200", id);
        texts[3] = print(REPORTED "!= 200", id);
    } else {
        texts[1] = print("SELECT deviceId FROM %s WHERE configurations.[[%s]].status = 'Applied'",
                         c->kind == FOR_MODULES ? "devices.modules" : "devices", id);
    }
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < SYSTEM_METRICS_MAX && texts[i]; i++) {
        enum sk_status added = add_metric(&c->system[c->system_count++], names[i], texts[i], error);
        if (added) status = added;
    }
    return status;
}

static enum sk_status add_custom_metrics(struct configuration *c, char error[SK_MODEL_ERROR_MAX]) {
    const char *name;
    json_t *text;
    json_object_foreach(json_object_get(json_object_get(c->document, "metrics"), "queries"), name,
                        text) {
        enum sk_status status = add_metric(&c->custom[c->custom_count++], name,
                                           sk_span_dup(sk_span_z(json_string_value(text))), error);
        if (status) return status;
    }
    return SK_OK;
}

/* ---- its life ---- */

static bool is_layered(const json_t *modules) {
    const char *module, *key;
    json_t *keys, *value;
    json_object_foreach((json_t *)modules, module, keys) {
        json_object_foreach(keys, key, value) {
            if (strcmp(key, "properties.desired") != 0) return true;
        }
    }
    return false;
}

static enum sk_status read(struct configuration *c, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *content = json_object_get(c->document, "content");
    const char *condition = sk_json_member_text(c->document, "targetCondition");
    char why[SK_MODEL_ERROR_MAX];
    enum sk_status status = check_members(c->document, error);
    if (status) return status;
    find_content(content, &c->kind);
    c->content = json_object_get(content, kinds[c->kind]);
    if (c->kind == FOR_EDGES) {
        c->layered = is_layered(c->content);
    } else {
        c->settings = json_object();
        content_put(c->settings, c->content);
    }
    status = configuration_target(sk_span_z(condition), c->kind, &c->target_text, &c->target,
                                  &c->nobody, why);
    if (status) {
        snprintf(error, SK_MODEL_ERROR_MAX, "targetCondition: %.200s", why);
        return status;
    }
    status = add_system_metrics(c, condition, error);
    return status ? status : add_custom_metrics(c, error);
}

struct configuration *configuration_read(json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    struct configuration *c = SK_NEW(struct configuration);
    c->document = document;
    c->id = sk_json_member_text(document, "id");
    c->priority = json_integer_value(json_object_get(document, "priority"));
    c->created_us = json_integer_value(json_object_get(document, "created"));
    c->etag = (uint64_t)json_integer_value(json_object_get(document, "version"));
    if (c->id && read(c, error) == SK_OK) return c;
    configuration_free(c);
    return NULL;
}

static void free_metrics(struct configuration_metric *metrics, size_t count) {
    for (size_t i = 0; i < count; i++) {
        sk_select_free(metrics[i].groups);
        sk_query_free(&metrics[i].query);
        free(metrics[i].text);
    }
}

void configuration_free(struct configuration *c) {
    if (c == NULL) return;
    free_metrics(c->system, c->system_count);
    free_metrics(c->custom, c->custom_count);
    sk_query_free(&c->target);
    free(c->target_text);
    json_decref(c->settings);
    json_decref(c->document);
    free(c);
}

static void follow(struct configuration_metric *metrics, size_t count,
                   const struct configuration_metric *old, size_t old_count) {
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < old_count; j++)
            if (strcmp(metrics[i].name, old[j].name) == 0) metrics[i].rows = old[j].rows;
}

void configuration_follow(struct configuration *c, const struct configuration *old) {
    follow(c->system, c->system_count, old->system, old->system_count);
    follow(c->custom, c->custom_count, old->custom, old->custom_count);
}

/* ---- for clients ---- */

static json_t *metrics_json(const struct configuration_metric *metrics, size_t count) {
    json_t *queries = json_object(), *results = json_object();
    for (size_t i = 0; i < count; i++) {
        json_object_set_new(queries, metrics[i].name, json_string(metrics[i].text));
        json_object_set_new(results, metrics[i].name, json_integer((json_int_t)metrics[i].rows));
    }
    return json_pack("{s:o,s:o}", "results", results, "queries", queries);
}

static json_t *time_json(const json_t *document, const char *name) {
    char text[SK_TIME_TEXT];
    sk_time_text(json_integer_value(json_object_get(document, name)), text);
    return json_string(text);
}

json_t *configuration_json(const struct configuration *c) {
    json_t *json = json_copy(c->document);
    char etag[SK_ETAG_MAX];
    sk_identity_etag(c->etag, etag);
    json_object_set_new(json, "systemMetrics", metrics_json(c->system, c->system_count));
    json_object_set_new(json, "metrics", metrics_json(c->custom, c->custom_count));
    json_object_set_new(json, "createdTimeUtc", time_json(json, "created"));
    json_object_set_new(json, "lastUpdatedTimeUtc", time_json(json, "updated"));
    json_object_set_new(json, "etag", json_string(etag));
    json_object_del(json, "created");
    json_object_del(json, "updated");
    json_object_del(json, "version");
    return json;
}
