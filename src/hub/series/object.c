/* Types, hierarchies and instances: what one may be. */
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"

static bool fail(char error[SERIES_ERROR], const char *why) {
    snprintf(error, SERIES_ERROR, "%s", why);
    return false;
}

/* A text that may be missing, or null. */
static bool text_fine(const json_t *json, const char *name) {
    const json_t *value = json_object_get(json, name);
    return value == NULL || json_is_null(value) ||
           (json_is_string(value) && json_string_length(value) <= SERIES_NAME_MAX);
}

static bool variables_fine(const json_t *json, char error[SERIES_ERROR]) {
    json_t *variables = json_object_get(json, "variables"), *variable;
    const char *name;
    struct sk_arena arena = {0};
    struct sk_series_variable read;
    bool fine = json_is_object(variables) && json_object_size(variables) > 0 &&
                json_object_size(variables) <= SERIES_VARIABLES_MAX;
    if (!fine) fail(error, "a type has 1 to 100 variables");
    json_object_foreach(variables, name, variable) {
        fine = fine && series_variable_read(name, variable, &arena, &read, error);
    }
    sk_arena_free(&arena);
    return fine;
}

static bool levels_fine(const json_t *json, char error[SERIES_ERROR]) {
    const json_t *levels = json_object_get(json_object_get(json, "source"), "instanceFieldNames");
    size_t n = json_array_size(levels);
    bool fine = n > 0 && n <= SERIES_DEPTH_MAX;
    for (size_t i = 0; i < n; i++)
        fine &= series_name_fine(json_string_value(json_array_get(levels, i)));
    return fine || fail(error, "source.instanceFieldNames are 1 to 32 names");
}

static bool hierarchies_fine(const struct series_model *model, const json_t *json,
                             char error[SERIES_ERROR]) {
    const json_t *ids = json_object_get(json, "hierarchyIds");
    if (ids == NULL || json_is_null(ids)) return true;
    bool fine = json_is_array(ids) && json_array_size(ids) <= SERIES_HIERARCHIES_MAX;
    for (size_t i = 0; fine && i < json_array_size(ids); i++) {
        const char *id = json_string_value(json_array_get(ids, i));
        fine = id && series_object_find(model, SERIES_HIERARCHY, sk_span_z(id));
    }
    return fine || fail(error, "hierarchyIds are at most 32 ids of hierarchies that there are");
}

static bool fields_fine(const json_t *json, char error[SERIES_ERROR]) {
    json_t *fields = json_object_get(json, "instanceFields"), *value;
    const char *name;
    if (fields == NULL || json_is_null(fields)) return true;
    bool fine = json_is_object(fields) && json_object_size(fields) <= SERIES_FIELDS_MAX;
    json_object_foreach(fields, name, value) {
        fine = fine && series_name_fine(name) && !json_is_object(value) && !json_is_array(value);
    }
    return fine || fail(error, "instanceFields are at most 100 names with plain values");
}

static bool instance_fine(const struct series_model *model, const json_t *json,
                          char error[SERIES_ERROR]) {
    const char *type = sk_json_member_text(json, "typeId");
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    if (strlen(text) > SERIES_INSTANCE_MAX) return fail(error, "an instance has at most 16 KB");
    if (type == NULL || series_object_find(model, SERIES_TYPE, sk_span_z(type)) == NULL)
        return fail(error, "typeId is the id of a type that there is");
    return hierarchies_fine(model, json, error) && fields_fine(json, error);
}

/* What of a request is kept. */
static const char *const members[SERIES_KINDS][7] = {
    {"name", "description", "variables"},
    {"name", "source"},
    {"timeSeriesId", "typeId", "name", "description", "hierarchyIds", "instanceFields"}};

static json_t *kept(enum series_kind kind, const json_t *json) {
    json_t *document = json_object();
    for (size_t i = 0; members[kind][i]; i++) {
        json_t *value = json_object_get(json, members[kind][i]);
        if (value && !json_is_null(value)) json_object_set(document, members[kind][i], value);
    }
    return document;
}

static bool read_id(struct series *series, enum series_kind kind, const json_t *json, char **id,
                    char error[SERIES_ERROR]) {
    const char *said = sk_json_member_text(json, "id");
    char made[37];
    if (kind == SERIES_INSTANCE) {
        struct sk_arena arena = {0};
        struct sk_span text;
        bool fine =
            series_id_read(series, json_object_get(json, "timeSeriesId"), &arena, &text, error);
        if (fine) *id = sk_span_dup(text);
        sk_arena_free(&arena);
        return fine;
    }
    if (said == NULL) sk_io_guid(series->hub->backend.io, made);
    if (said && !series_name_fine(said)) return fail(error, "an id has 1 to 1024 bytes");
    *id = strdup(said ? said : made);
    return true;
}

json_t *series_object_read(struct series *series, enum series_kind kind, const json_t *json,
                           char **id, char error[SERIES_ERROR]) {
    const struct series_model *model = &series->model;
    *id = NULL;
    if (!json_is_object(json)) {
        fail(error, "it is no object");
        return NULL;
    }
    bool named = kind == SERIES_INSTANCE ? text_fine(json, "name")
                                         : series_name_fine(sk_json_member_text(json, "name"));
    if (!named || !text_fine(json, "description")) {
        fail(error, "name and description have at most 1024 bytes; a name is needed but for "
                    "instances");
        return NULL;
    }
    bool fine = kind == SERIES_TYPE        ? variables_fine(json, error)
                : kind == SERIES_HIERARCHY ? levels_fine(json, error)
                                           : instance_fine(model, json, error);
    if (!fine || !read_id(series, kind, json, id, error)) return NULL;
    json_t *document = kept(kind, json);
    if (kind != SERIES_INSTANCE) json_object_set_new(document, "id", json_string(*id));
    return document;
}
