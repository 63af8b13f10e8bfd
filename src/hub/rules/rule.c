/* Rules and groups as documents, in the form of Azure's remote monitoring. */
#include <math.h>
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"

static const char *const calculations[] = {"Instant", "Average", "Minimum", "Maximum",
                                           "Count",   "Change",  "Missing", NULL};
static const char *const operators[] = {
    "GreaterThan", "GreaterThanOrEqual", "LessThan", "LessThanOrEqual", "Equals", NULL};

static struct sk_span text_of(const json_t *object, const char *name) {
    return sk_span_z(sk_json_member_text(object, name));
}

/* One of some words, in any case; the last is NULL. */
static bool choose(const json_t *in, const char *name, const char *const *words,
                   const char *otherwise, size_t *place, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span text = text_of(in, name);
    struct sk_buffer all = {0};
    if (text.n == 0) text = sk_span_z(otherwise);
    for (*place = 0; words[*place]; (*place)++) {
        if (sk_span_eq_nocase(text, sk_span_z(words[*place]))) {
            sk_buffer_free(&all);
            return true;
        }
        sk_buffer_print(&all, "%s%s", *place ? ", " : "", words[*place]);
    }
    hub_document_wrong(error, "%s is one of %.*s", name, (int)all.n, all.p);
    sk_buffer_free(&all);
    return false;
}

/* A number, or a text that holds one, as Azure's have it; 1e999 is none that anything could be
 * compared with. */
static bool number_of(const json_t *value, double *number) {
    struct sk_json json;
    size_t used;
    if (json_is_number(value)) {
        *number = json_number_value(value);
        return true;
    }
    struct sk_span text = sk_span_trim(sk_span_z(json_string_value(value)));
    if (text.n == 0 || sk_json_read(text, &json, &used) || used != text.n ||
        json.type != SK_VALUE_NUMBER || !isfinite(json.number))
        return false;
    *number = json.number;
    return true;
}

/* ---- rules ---- */

struct rule *rules_find(const struct rules *rules, struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&rules->list, node, following) {
        struct rule *rule = SK_CONTAINER(node, struct rule, link);
        if (sk_span_is(id, rule->id)) return rule;
    }
    return NULL;
}

/* "machine.temperature": members below each other. */
static bool read_field(struct sk_span field, struct rule_condition *to,
                       char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span part;
    while (sk_span_split(&field, '.', &part)) {
        if (part.n == 0 || to->step_count == RULE_STEPS_MAX) {
            to->step_count = 0;
            break;
        }
        to->steps[to->step_count++] = (struct sk_json_step){.key = part};
    }
    return to->step_count ||
           hub_document_wrong(error, "a condition's Field is 1 to %d names with dots between",
                              RULE_STEPS_MAX);
}

static bool read_conditions(struct rule *rule, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *list = json_object_get(rule->document, "Conditions");
    size_t count = json_array_size(list), by;
    bool missing = rule->calculation == RULE_MISSING;
    if (missing && list == NULL) return true;
    if (!json_is_array(list) || (count == 0 && !missing) || count > RULE_CONDITIONS_MAX)
        return hub_document_wrong(error, "Conditions has 1 to %d of them", RULE_CONDITIONS_MAX);
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        struct rule_condition *to = &rule->conditions[rule->condition_count++];
        if (!read_field(text_of(item, "Field"), to, error)) return false;
        if (missing) continue; /* that it is there is all */
        if (!choose(item, "Operator", operators, "", &by, error)) return false;
        if (!number_of(json_object_get(item, "Value"), &to->value))
            return hub_document_wrong(error, "a condition's Value is a number");
        to->by = (enum rule_operator)by;
    }
    return true;
}

static bool read_period(struct rule *rule, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *value = json_object_get(rule->document, "TimePeriod");
    double ms = 0;
    if (rule->calculation == RULE_INSTANT) return true;
    bool fine = number_of(value, &ms) && ms >= (double)RULE_PERIOD_LEAST_US / 1000 &&
                ms <= (double)RULE_PERIOD_MOST_US / 1000;
    if (fine) rule->period_us = (int64_t)(ms * 1000);
    fine = fine && rule->period_us % RULE_PERIOD_LEAST_US == 0;
    return fine || hub_document_wrong(
                       error, "TimePeriod is whole minutes in ms, from 60000 to 86400000 (a day)");
}

static bool read_rule(struct rule *rule, char error[SK_MODEL_ERROR_MAX]) {
    size_t severity, calculation;
    const json_t *d = rule->document;
    if (!choose(d, "Severity", rule_severities, "Critical", &severity, error) ||
        !choose(d, "Calculation", calculations, "Instant", &calculation, error))
        return false;
    rule->severity = (enum rule_severity)severity;
    rule->calculation = (enum rule_calculation)calculation;
    rule->id = sk_json_member_text(d, "Id");
    rule->group = sk_json_member_text(d, "GroupId");
    rule->description = text_of(d, "Description").n ? sk_json_member_text(d, "Description") : "";
    rule->enabled = json_is_true(json_object_get(d, "Enabled"));
    rule->deleted = json_is_true(json_object_get(d, "Deleted"));
    rule->etag = (uint64_t)json_integer_value(json_object_get(d, "Version"));
    rule->place = GROUPS_MAX;
    rule_actions_read(rule);
    if (rule->id == NULL || rule->group == NULL || *rule->group == '\0')
        return hub_document_wrong(error, "GroupId is missing");
    return read_period(rule, error) && read_conditions(rule, error);
}

struct rule *rule_read(json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    struct rule *rule = SK_NEW(struct rule);
    rule->document = document;
    sk_list_init(&rule->link);
    if (read_rule(rule, error)) return rule;
    rule_free(rule);
    return NULL;
}

void rule_free(struct rule *rule) {
    sk_list_remove(&rule->link);
    json_decref(rule->document);
    free(rule);
}

/* "2026-01-05T10:00:00.0000000Z" of the rule that is there. */
static int64_t created_of(const struct rule *rule, int64_t otherwise) {
    int64_t us;
    const char *text = rule ? sk_json_member_text(rule->document, "DateCreated") : NULL;
    return text && sk_time_parse(sk_span_z(text), &us) == SK_OK ? us : otherwise;
}

json_t *rule_document(const json_t *body, const char *id, const struct rule *before, int64_t now_us,
                      char error[SK_MODEL_ERROR_MAX]) {
    static const char *const same[] = {"Severity", "Calculation", "TimePeriod", "Conditions"};
    const json_t *enabled = json_object_get(body, "Enabled");
    json_t *to = json_pack("{s:s,s:b,s:b,s:I}", "Id", id, "Enabled",
                           enabled == NULL || json_is_true(enabled), "Deleted", 0, "Version",
                           (json_int_t)(before ? before->etag + 1 : 1));
    bool fine = hub_document_text(to, body, "Name", 256, error) &&
                hub_document_text(to, body, "Description", 2048, error) &&
                hub_document_text(to, body, "GroupId", 128, error);
    if (fine && enabled && !json_is_boolean(enabled))
        fine = hub_document_wrong(error, "Enabled is true or false");
    if (fine && text_of(to, "Name").n == 0) fine = hub_document_wrong(error, "Name is missing");
    json_t *actions =
        fine ? rule_actions_document(json_object_get(body, "Actions"),
                                     before ? json_object_get(before->document, "Actions") : NULL,
                                     error)
             : NULL;
    fine = actions != NULL;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        const json_t *value = json_object_get(body, same[i]);
        if (value) json_object_set_new(to, same[i], json_deep_copy(value));
    }
    if (actions) json_object_set_new(to, "Actions", actions);
    hub_document_time(to, "DateCreated", created_of(before, now_us));
    hub_document_time(to, "DateModified", now_us);
    struct rule *rule = fine ? rule_read(json_incref(to), error) : NULL;
    if (rule) { /* words as we have them */
        json_object_set_new(to, "Severity", json_string(rule_severities[rule->severity]));
        json_object_set_new(to, "Calculation", json_string(calculations[rule->calculation]));
        rule_free(rule);
        return to;
    }
    json_decref(to);
    return NULL;
}

/* ---- groups ---- */

/* "Tags.Site", "Properties.Reported.Type", "deviceId": a path of the query language. */
static bool put_key(struct sk_buffer *to, struct sk_span key, char error[SK_MODEL_ERROR_MAX]) {
    static const char *const roots[][2] = {{"tags.", "tags."},
                                           {"properties.reported.", "properties.reported."},
                                           {"properties.desired.", "properties.desired."}};
    if (sk_span_eq_nocase(key, SK_SPAN("deviceId"))) {
        sk_buffer_text(to, "deviceId");
        return true;
    }
    for (size_t i = 0; i < sizeof roots / sizeof *roots; i++) {
        struct sk_span root = sk_span_z(roots[i][0]), rest = sk_span_skip(key, root.n);
        if (!sk_span_starts_nocase(key, root)) continue;
        if (rest.n == 0 || key.n > 256 || !sk_span_only(rest, "_.")) break;
        sk_buffer_text(to, roots[i][1]);
        sk_buffer_append(to, rest);
        return true;
    }
    return hub_document_wrong(error,
                              "a condition's Key is Tags.…, Properties.Reported.… or "
                              "Properties.Desired.… of letters, digits, _ and dots, or DeviceId");
}

static bool put_value(struct sk_buffer *to, const json_t *value, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span text = sk_span_z(json_string_value(value));
    if (json_is_number(value) || json_is_boolean(value)) {
        sk_json_put(to, value, 0);
        return true;
    }
    if (!json_is_string(value) || text.n > 256 || sk_span_find(text, '\'') < text.n ||
        sk_span_find(text, '\\') < text.n)
        return hub_document_wrong(error,
                                  "a condition's Value is a number, or a text of at most 256 bytes "
                                  "without ' and \\");
    sk_buffer_print(to, "'%.*s'", SK_ARG(text));
    return true;
}

static bool put_condition(struct sk_buffer *to, const json_t *item,
                          char error[SK_MODEL_ERROR_MAX]) {
    static const char *const names[] = {"EQ", "NE", "LT", "GT", "LE", "GE", "IN", NULL},
                             *const signs[] = {"=", "!=", "<", ">", "<=", ">="};
    const json_t *value = json_object_get(item, "Value");
    size_t by;
    if (!put_key(to, text_of(item, "Key"), error) ||
        !choose(item, "Operator", names, "EQ", &by, error))
        return false;
    if (by < 6) {
        sk_buffer_print(to, " %s ", signs[by]);
        return put_value(to, value, error);
    }
    sk_buffer_text(to, " IN [");
    if (json_array_size(value) == 0)
        return hub_document_wrong(error, "the Value of IN is an array that is not empty");
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i) sk_buffer_byte(to, ',');
        if (!put_value(to, json_array_get(value, i), error)) return false;
    }
    sk_buffer_byte(to, ']');
    return true;
}

static bool put_query(struct sk_buffer *to, const json_t *document,
                      char error[SK_MODEL_ERROR_MAX]) {
    const json_t *list = json_object_get(document, "Conditions");
    if (list && !json_is_array(list)) return hub_document_wrong(error, "Conditions is an array");
    if (json_array_size(list) > GROUP_CONDITIONS_MAX)
        return hub_document_wrong(error, "a group has at most %d conditions", GROUP_CONDITIONS_MAX);
    sk_buffer_text(to, "SELECT * FROM devices");
    for (size_t i = 0; i < json_array_size(list); i++) {
        sk_buffer_text(to, i ? " AND " : " WHERE ");
        if (!put_condition(to, json_array_get(list, i), error)) return false;
    }
    return true;
}

struct group *group_read(json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    struct group *group = SK_NEW(struct group);
    struct sk_buffer text = {0};
    struct sk_expr_error why;
    group->document = document;
    sk_list_init(&group->link);
    group->id = sk_json_member_text(document, "Id");
    group->etag = (uint64_t)json_integer_value(json_object_get(document, "Version"));
    bool fine = put_query(&text, document, error);
    if (fine) group->text = sk_span_dup(sk_buffer_span(&text));
    if (fine && sk_query_parse(sk_span_z(group->text), &group->query, &why))
        fine = hub_document_wrong(error, "%s", why.sentence);
    sk_buffer_free(&text);
    if (fine) return group;
    group_free(group);
    return NULL;
}

void group_free(struct group *group) {
    sk_list_remove(&group->link);
    sk_query_free(&group->query);
    json_decref(group->document);
    free(group->text);
    free(group);
}

json_t *group_document(const json_t *body, const char *id, uint64_t etag,
                       char error[SK_MODEL_ERROR_MAX]) {
    json_t *to = json_pack("{s:s,s:I}", "Id", id, "Version", (json_int_t)etag);
    const json_t *conditions = json_object_get(body, "Conditions");
    bool fine = hub_document_text(to, body, "DisplayName", 256, error);
    if (fine && text_of(to, "DisplayName").n == 0)
        fine = hub_document_wrong(error, "DisplayName is missing");
    json_object_set_new(to, "Conditions", conditions ? json_deep_copy(conditions) : json_array());
    struct group *group = fine ? group_read(json_incref(to), error) : NULL;
    if (group) {
        group_free(group);
        return to;
    }
    json_decref(to);
    return NULL;
}
