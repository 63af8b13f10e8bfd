/* Queries, as Time Series Insights writes them. */
#include <inttypes.h>
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"

static bool fail(char error[SERIES_ERROR], const char *why) {
    snprintf(error, SERIES_ERROR, "%s", why);
    return false;
}

/* ---- instance and span ---- */

bool series_id_read(const struct series *series, const json_t *json, struct sk_arena *arena,
                    struct sk_span *instance, char error[SERIES_ERROR]) {
    size_t wanted = series->flatten.id_count ? series->flatten.id_count : 1;
    struct sk_span values[SK_SERIES_ID_PARTS_MAX];
    bool fine = json_is_array(json) && json_array_size(json) == wanted;
    for (size_t i = 0; i < wanted && fine; i++) {
        const json_t *value = json_array_get(json, i);
        fine = json_is_null(value) ||
               (json_is_string(value) && json_string_length(value) <= SK_SERIES_ID_VALUE_MAX);
        values[i] = json_is_string(value)
                        ? sk_span(json_string_value(value), json_string_length(value))
                        : SK_NONE;
    }
    if (fine)
        *instance = sk_series_instance(arena, values, wanted);
    else
        snprintf(error, SERIES_ERROR,
                 "timeSeriesId is a list of %zu text%s, each of at most %d bytes, or null", wanted,
                 wanted > 1 ? "s" : "", SK_SERIES_ID_VALUE_MAX);
    return fine;
}

static bool read_time(const json_t *span, const char *name, int64_t *ms) {
    const char *text = sk_json_member_text(span, name);
    int64_t us;
    if (text == NULL || sk_time_parse(sk_span_z(text), &us)) return false;
    *ms = us / 1000;
    return true;
}

bool series_span_read(const json_t *json, int64_t *from, int64_t *to, char error[SERIES_ERROR]) {
    if (read_time(json, "from", from) && read_time(json, "to", to) && *from < *to) return true;
    return fail(error, "searchSpan has \"from\" and a later \"to\", as 2026-01-01T00:00:00Z");
}

/* ---- what is projected ---- */

static bool read_properties(const json_t *json, struct sk_arena *arena,
                            struct sk_series_query *query, char error[SERIES_ERROR]) {
    const json_t *list = json_object_get(json, "projectedProperties");
    if (list == NULL || json_is_null(list)) return true;
    size_t n = json_array_size(list);
    struct sk_series_property *properties = sk_arena_alloc(arena, (n + 1) * sizeof *properties);
    bool fine = json_is_array(list) && n && n <= SK_SERIES_VARIABLES_MAX;
    for (size_t i = 0; i < n && fine; i++) {
        const json_t *one = json_array_get(list, i);
        const char *name = sk_json_member_text(one, "name");
        fine = name && series_type_read(sk_json_member_text(one, "type"), &properties[i].type);
        properties[i].name = sk_span_z(name);
    }
    query->properties = properties;
    query->property_count = n;
    return fine || fail(error, "projectedProperties are 1 to 50, each with a name and a type");
}

/* Whether a variable is asked for. */
static bool is_projected(const json_t *names, const char *name) {
    if (!json_is_array(names)) return true;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *one = json_string_value(json_array_get(names, i));
        if (one && strcmp(one, name) == 0) return true;
    }
    return false;
}

static bool take_variable(const char *name, const json_t *json, const json_t *names,
                          struct sk_arena *arena, struct sk_series_query *query,
                          char error[SERIES_ERROR]) {
    struct sk_series_variable *list = (struct sk_series_variable *)query->variables;
    if (!is_projected(names, name)) return true;
    if (query->variable_count == SK_SERIES_VARIABLES_MAX)
        return fail(error, "a query has at most 50 variables");
    struct sk_series_variable *to = &list[query->variable_count];
    if (!series_variable_read(name, json, arena, to, error)) return false;
    if (query->ask == SK_SERIES_ASK_SERIES && to->kind == SK_SERIES_AGGREGATED) {
        if (!json_is_array(names)) return true; /* of all variables those that have values */
        snprintf(error, SERIES_ERROR, "'%.60s' is an aggregate: it has no value of an event", name);
        return false;
    }
    query->variable_count++;
    return true;
}

static json_t *type_of(const struct series *series, struct sk_span instance) {
    const struct series_object *object =
        series_object_find(&series->model, SERIES_INSTANCE, instance);
    return json_incref((json_t *)series_type_of(&series->model, object ? object->document : NULL));
}

static bool read_variables(const json_t *json, const json_t *type, struct sk_arena *arena,
                           struct sk_series_query *query, char error[SERIES_ERROR]) {
    const json_t *own = json_object_get(json, "inlineVariables"),
                 *names = json_object_get(json, "projectedVariables");
    const char *name;
    json_t *variable;
    query->variables = sk_arena_alloc(arena, SK_SERIES_VARIABLES_MAX * sizeof *query->variables);
    if ((own && !json_is_null(own) && !json_is_object(own)) ||
        (names && !json_is_null(names) && !json_is_array(names)))
        return fail(error, "inlineVariables is an object, projectedVariables a list of names");
    json_object_foreach((json_t *)own, name, variable) {
        if (!take_variable(name, variable, names, arena, query, error)) return false;
    }
    json_object_foreach(json_object_get(type, "variables"), name, variable) {
        if (!json_object_get(own, name) &&
            !take_variable(name, variable, names, arena, query, error))
            return false;
    }
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *wanted = json_string_value(json_array_get(names, i));
        bool there = false;
        for (size_t v = 0; v < query->variable_count && wanted; v++)
            there |= sk_span_is(query->variables[v].name, wanted);
        if (there) continue;
        snprintf(error, SERIES_ERROR, "there is no variable '%.100s'", wanted ? wanted : "");
        return false;
    }
    return query->variable_count > 0 || fail(error, "no variable is asked for");
}

/* ---- a query ---- */

static bool read_filter(const json_t *json, struct sk_arena *arena, struct sk_series_query *query,
                        char error[SERIES_ERROR]) {
    const json_t *filter = json_object_get(json, "filter");
    if (filter == NULL || json_is_null(filter)) return true;
    query->filter = series_tsx_read(filter, "filter", SK_SERIES_BOOL, arena, error);
    return query->filter != NULL;
}

static bool read_take(const json_t *json, struct sk_series_query *query, char error[SERIES_ERROR]) {
    const json_t *take = json_object_get(json, "take");
    query->take = SK_SERIES_TAKE_DEFAULT;
    if (take == NULL || json_is_null(take)) return true;
    json_int_t n = json_is_integer(take) ? json_integer_value(take) : 0;
    if (n < 1 || n > SK_SERIES_TAKE_MAX) return fail(error, "take is a number from 1 to 250000");
    query->take = (uint64_t)n;
    return true;
}

static bool read_interval(const json_t *json, struct sk_series_query *query,
                          char error[SERIES_ERROR]) {
    const char *text = sk_json_member_text(json, "interval");
    int64_t us;
    struct sk_series_grid grid;
    if (text == NULL || sk_duration_parse(sk_span_z(text), &us) || us < 1000)
        return fail(error, "interval is a duration such as PT1M, at least a millisecond");
    query->width = us / 1000;
    enum sk_status status = sk_series_grid(query->from, query->to, query->width, &grid);
    if (status == SK_TOO_LARGE)
        return fail(error, "the span has more than 200000 intervals: take longer ones");
    return !status || fail(error, "the span or its interval is outside the years 1 to 9999");
}

void series_continuation(uint64_t hash, const struct sk_series_place *place,
                         char to[SERIES_CONTINUATION]) {
    snprintf(to, SERIES_CONTINUATION, "s1.%" PRIx64 ".%" PRId64 ".%" PRIu64 ".%" PRIu64, hash,
             place->time, place->skip, place->taken);
}

static bool read_continuation(struct sk_span text, uint64_t hash, struct sk_series_query *query,
                              char error[SERIES_ERROR]) {
    char copy[SERIES_CONTINUATION], again[SERIES_CONTINUATION];
    uint64_t of = 0;
    struct sk_series_place *place = &query->place;
    query->place = (struct sk_series_place){.time = query->from};
    if (text.n == 0) return true;
    if (text.n < sizeof copy) {
        memcpy(copy, text.p, text.n);
        copy[text.n] = '\0';
        int n = sscanf(copy, "s1.%" SCNx64 ".%" SCNd64 ".%" SCNu64 ".%" SCNu64, &of, &place->time,
                       &place->skip, &place->taken);
        series_continuation(of, place, again);
        if (n == 4 && of == hash && strcmp(copy, again) == 0 && place->time >= query->from &&
            place->time < query->to && place->taken < query->take + !query->take)
            return true;
    }
    return fail(error, "the continuation token is not one of this query");
}

static bool read_rest(struct series *series, const json_t *json, struct sk_arena *arena,
                      struct sk_series_query *query, json_t **type, char error[SERIES_ERROR]) {
    if (!series_id_read(series, json_object_get(json, "timeSeriesId"), arena, &query->instance,
                        error) ||
        !series_span_read(json_object_get(json, "searchSpan"), &query->from, &query->to, error) ||
        !read_filter(json, arena, query, error))
        return false;
    *type = type_of(series, query->instance);
    if (query->ask == SK_SERIES_ASK_INTERVALS)
        return read_interval(json, query, error) &&
               read_variables(json, *type, arena, query, error);
    if (!read_take(json, query, error)) return false;
    return query->ask == SK_SERIES_ASK_EVENTS ? read_properties(json, arena, query, error)
                                              : read_variables(json, *type, arena, query, error);
}

bool series_ask_read(struct series *series, const json_t *body, struct sk_span continuation,
                     struct sk_arena *arena, struct sk_series_query *query, json_t **type,
                     uint64_t *hash, char error[SERIES_ERROR]) {
    static const char *const kinds[] = {"getEvents", "getSeries", "aggregateSeries"};
    const json_t *json = NULL;
    size_t count = 0;
    *query = (struct sk_series_query){.now = sk_io_wall(series->hub->backend.io) / 1000};
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = json_object_get(body, kinds[i]);
        if (one == NULL || json_is_null(one)) continue;
        json = one;
        query->ask = (enum sk_series_asked)i;
        count++;
    }
    if (count != 1 || !json_is_object(json))
        return fail(error, "a query has one of getEvents, getSeries and aggregateSeries");
    SK_CLEANUP_FREE char *text = sk_json_text(body);
    *hash = sk_fnv1a(SK_FNV1A, sk_span_z(text));
    return read_rest(series, json, arena, query, type, error) &&
           read_continuation(continuation, *hash, query, error);
}
