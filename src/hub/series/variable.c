/* Variables, as Time Series Insights writes them. */
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"

const char *const series_type_names[SK_SERIES_TYPES] = {"Bool",   "DateTime", "Double", "Long",
                                                        "String", "TimeSpan", "Dynamic"};

bool series_type_read(const char *name, enum sk_series_type *type) {
    for (size_t i = 0; name && i < SK_SERIES_TYPES; i++)
        if (sk_span_eq_nocase(sk_span_z(name), sk_span_z(series_type_names[i]))) {
            *type = (enum sk_series_type)i;
            return true;
        }
    return false;
}

/* The text of {"tsx": "…"}; NULL: there is none. */
static const char *tsx_text(const json_t *json, const char *what, char error[SERIES_ERROR]) {
    const char *text = sk_json_member_text(json, "tsx");
    if (text == NULL) snprintf(error, SERIES_ERROR, "%s is {\"tsx\": \"…\"}", what);
    return text;
}

const struct sk_tsx *series_tsx_read(const json_t *json, const char *what, enum sk_series_type type,
                                     struct sk_arena *arena, char error[SERIES_ERROR]) {
    const char *text = tsx_text(json, what, error);
    char why[200];
    if (text == NULL) return NULL;
    struct sk_tsx *tsx = sk_arena_alloc(arena, sizeof *tsx);
    if (sk_tsx_parse(sk_span_z(text), arena, tsx, why)) {
        snprintf(error, SERIES_ERROR, "%s: %s", what, why);
        return NULL;
    }
    if (type != SK_SERIES_TYPES && tsx->type != type) {
        snprintf(error, SERIES_ERROR, "%s is no %s", what, series_type_names[type]);
        return NULL;
    }
    return tsx;
}

static bool read_aggregation(const json_t *json, struct sk_arena *arena,
                             struct sk_series_variable *to, char error[SERIES_ERROR]) {
    const char *text = tsx_text(json_object_get(json, "aggregation"), "aggregation", error);
    char why[200];
    if (text == NULL) return false;
    struct sk_tsx_aggregation *aggregation = sk_arena_alloc(arena, sizeof *aggregation);
    if (sk_tsx_parse_aggregation(sk_span_z(text), to->value, arena, aggregation, why)) {
        snprintf(error, SERIES_ERROR, "aggregation: %s", why);
        return false;
    }
    to->aggregation = aggregation;
    for (size_t i = 0; i < aggregation->measure_count; i++) {
        bool signal = aggregation->measures[i].by >= SK_SERIES_LEFT;
        if (signal == (to->interpolation != SK_SERIES_NO_SIGNAL)) continue;
        snprintf(error, SERIES_ERROR,
                 "left, right, twavg and twsum need an interpolation, other functions none");
        return false;
    }
    return true;
}

/* {"kind": "Step", "boundary": {"span": "PT1H"}} */
static bool read_interpolation(const json_t *json, struct sk_series_variable *to,
                               char error[SERIES_ERROR]) {
    const json_t *how = json_object_get(json, "interpolation");
    int64_t us = 0;
    if (how == NULL || json_is_null(how)) return true;
    const char *kind = sk_json_member_text(how, "kind");
    const json_t *boundary = json_object_get(how, "boundary");
    const char *span = sk_json_member_text(boundary, "span");
    bool step = kind && sk_span_eq_nocase(sk_span_z(kind), SK_SPAN("Step"));
    if (!step && !(kind && sk_span_eq_nocase(sk_span_z(kind), SK_SPAN("Linear")))) {
        snprintf(error, SERIES_ERROR, "an interpolation's kind is Linear or Step");
        return false;
    }
    if (boundary && !json_is_null(boundary) &&
        (span == NULL || sk_duration_parse(sk_span_z(span), &us) ||
         us > SERIES_DAYS_MAX * 86400000000ll)) {
        snprintf(error, SERIES_ERROR, "boundary.span is a duration such as PT1H, at most %d days",
                 SERIES_DAYS_MAX);
        return false;
    }
    to->interpolation = step ? SK_SERIES_STEP : SK_SERIES_LINEAR;
    to->boundary = us / 1000;
    return true;
}

static bool read_category(const json_t *json, enum sk_series_type type, struct sk_arena *arena,
                          struct sk_series_category *to, size_t *values_left) {
    const json_t *values = json_object_get(json, "values");
    const char *label = sk_json_member_text(json, "label");
    size_t n = json_array_size(values);
    if (label == NULL || !json_is_array(values) || n > *values_left) return false;
    *values_left -= n;
    union sk_series_value *list = sk_arena_alloc(arena, (n + 1) * sizeof *list);
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(values, i);
        if (type == SK_SERIES_LONG ? !json_is_integer(value) : !json_is_string(value)) return false;
        if (type == SK_SERIES_LONG)
            list[i].integer = json_integer_value(value);
        else
            list[i].text = sk_span(json_string_value(value), json_string_length(value));
    }
    *to = (struct sk_series_category){sk_span_z(label), list, n};
    return true;
}

static bool read_categories(const json_t *json, struct sk_arena *arena,
                            struct sk_series_variable *to, char error[SERIES_ERROR]) {
    const json_t *list = json_object_get(json, "categories");
    const char *otherwise = sk_json_member_text(json_object_get(json, "defaultCategory"), "label");
    size_t n = json_array_size(list), left = SERIES_CATEGORY_VALUES;
    struct sk_series_category *categories = sk_arena_alloc(arena, (n + 1) * sizeof *categories);
    bool fine = n < SK_SERIES_LABELS_MAX && otherwise && (list == NULL || json_is_array(list)) &&
                to->interpolation != SK_SERIES_LINEAR;
    for (size_t i = 0; i < n && fine; i++)
        fine =
            read_category(json_array_get(list, i), to->value->type, arena, &categories[i], &left);
    to->categories = categories;
    to->category_count = n;
    to->otherwise = sk_span_z(otherwise);
    if (!fine)
        snprintf(error, SERIES_ERROR,
                 "categories are at most %d, each with a label and values of the variable's type "
                 "(together at most %d); defaultCategory has a label; their interpolation is Step",
                 SK_SERIES_LABELS_MAX - 1, SERIES_CATEGORY_VALUES);
    return fine;
}

static bool read_value(const json_t *json, struct sk_arena *arena, struct sk_series_variable *to,
                       char error[SERIES_ERROR]) {
    to->value =
        series_tsx_read(json_object_get(json, "value"), "value", SK_SERIES_TYPES, arena, error);
    if (to->value == NULL) return false;
    bool labels = to->kind == SK_SERIES_CATEGORICAL;
    if (to->value->type == SK_SERIES_LONG ||
        to->value->type == (labels ? SK_SERIES_STRING : SK_SERIES_DOUBLE))
        return true;
    snprintf(error, SERIES_ERROR,
             labels ? "a categorical variable's value is a Long or a String"
                    : "a numeric variable's value is a Double or a Long");
    return false;
}

static bool read_parts(const json_t *json, struct sk_arena *arena, struct sk_series_variable *to,
                       char error[SERIES_ERROR]) {
    const json_t *filter = json_object_get(json, "filter");
    if (filter && !json_is_null(filter)) {
        to->filter = series_tsx_read(filter, "filter", SK_SERIES_BOOL, arena, error);
        if (to->filter == NULL) return false;
    }
    if (to->kind != SK_SERIES_AGGREGATED &&
        (!read_value(json, arena, to, error) || !read_interpolation(json, to, error)))
        return false;
    return to->kind == SK_SERIES_CATEGORICAL ? read_categories(json, arena, to, error)
                                             : read_aggregation(json, arena, to, error);
}

bool series_variable_read(const char *name, const json_t *json, struct sk_arena *arena,
                          struct sk_series_variable *to, char error[SERIES_ERROR]) {
    static const char *const kinds[] = {"numeric", "categorical", "aggregate"};
    const char *kind = sk_json_member_text(json, "kind");
    char why[SERIES_ERROR] = "its kind is numeric, categorical or aggregate";
    *to = (struct sk_series_variable){.name = sk_span_z(name)};
    size_t i = 0;
    while (kind && i < 3 && !sk_span_eq_nocase(sk_span_z(kind), sk_span_z(kinds[i]))) i++;
    to->kind = (enum sk_series_kind)i;
    if (kind && i < 3 && read_parts(json, arena, to, why)) return true;
    snprintf(error, SERIES_ERROR, "variable '%.60s': %.220s", name, why);
    return false;
}
