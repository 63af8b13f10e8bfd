/* The model: types, hierarchies and instances in memory, as the registry keeps them. */
#include "hub/series/parts.h"
#include "model/json_text.h"

enum { PAGE = 1000 };

#define DEFAULT_TYPE "1be09af9-f089-4d6b-9f0b-48018b5f7393" /* Azure's */
#define SETTINGS SK_SPAN("series-settings")
#define MODEL SK_SPAN("model")

/* ---- objects ---- */

const struct series_kind_names series_kinds[SERIES_KINDS] = {
    {"types", "timeSeriesType", "typeIds", "id", "series-type", SERIES_TYPES_MAX},
    {"hierarchies", "hierarchy", "hierarchyIds", "id", "series-hierarchy", SERIES_HIERARCHIES_MAX},
    {"instances", "instance", "timeSeriesIds", "timeSeriesId", "series-instance", 1000000}};

bool series_name_fine(const char *name) {
    return name && *name && strlen(name) <= SERIES_NAME_MAX;
}

struct series_object *series_object_find(const struct series_model *model, enum series_kind kind,
                                         struct sk_span id) {
    return sk_map_get(&model->kinds[kind].by_id, id);
}

size_t series_object_count(const struct series_model *model, enum series_kind kind) {
    return model->kinds[kind].by_id.count;
}

static void free_object(struct series_object *object) {
    json_decref(object->document);
    free(object->id);
    free(object);
}

static void append(struct series_objects *objects, struct series_object *object) {
    if (objects->count == objects->room) {
        objects->room = objects->room ? objects->room * 2 : 64;
        objects->list = sk_realloc(objects->list, objects->room * sizeof(struct series_object *));
    }
    objects->list[objects->count++] = object;
    sk_map_put(&objects->by_id, sk_span_z(object->id), object);
}

static void take_out(struct series_objects *objects, struct series_object *object) {
    sk_map_remove(&objects->by_id, sk_span_z(object->id));
    for (size_t i = 0; i < objects->count; i++)
        if (objects->list[i] == object) objects->list[i] = NULL;
    while (objects->count && objects->list[objects->count - 1] == NULL) objects->count--;
    free_object(object);
}

void series_object_set(struct series_model *model, enum series_kind kind, const char *id,
                       json_t *document) {
    struct series_object *object = series_object_find(model, kind, sk_span_z(id));
    if (object == NULL) {
        if (document == NULL) return;
        object = SK_NEW(struct series_object);
        object->id = strdup(id);
        append(&model->kinds[kind], object);
    }
    json_decref(object->document);
    object->document = document;
    if (document == NULL) take_out(&model->kinds[kind], object);
}

const json_t *series_type_of(const struct series_model *model, const json_t *instance) {
    const char *id = sk_json_member_text(instance, "typeId");
    const struct series_object *type =
        id ? series_object_find(model, SERIES_TYPE, sk_span_z(id)) : NULL;
    if (type == NULL) type = series_object_find(model, SERIES_TYPE, sk_span_z(model->default_type));
    return type ? type->document : NULL;
}

void series_model_free(struct series_model *model) {
    for (size_t kind = 0; kind < SERIES_KINDS; kind++) {
        struct series_objects *objects = &model->kinds[kind];
        for (size_t i = 0; i < objects->count; i++)
            if (objects->list[i]) free_object(objects->list[i]);
        free(objects->list);
        sk_map_free(&objects->by_id);
    }
    free(model->name);
    free(model->default_type);
}

/* ---- settings ---- */

json_t *series_settings_json(const struct series *series) {
    const struct sk_series_flatten_options *flatten = &series->flatten;
    json_t *id = json_array();
    for (size_t i = 0; i < flatten->id_count || i == 0; i++)
        json_array_append_new(
            id, json_pack("{s:s#,s:s}", "name",
                          flatten->id_count ? flatten->id[i].p : SK_SERIES_DEVICE_ID,
                          flatten->id_count ? flatten->id[i].n : strlen(SK_SERIES_DEVICE_ID),
                          "type", "String"));
    return json_pack("{s:{s:s,s:o,s:s}}", "modelSettings", "name", series->model.name,
                     "timeSeriesIdProperties", id, "defaultTypeId", series->model.default_type);
}

static void set(char **member, const char *text) {
    char *next = strdup(text);
    free(*member);
    *member = next;
}

struct patch {
    struct series *series;
    struct sk_request *request;
    char *name, *default_type; /* one of them */
};

static void patched(void *arg, const struct sk_registry_end *end) {
    struct patch patch = *(struct patch *)arg;
    struct series_model *model = &patch.series->model;
    free(arg);
    if (end->status) {
        hub_refuse_status(patch.request, end);
    } else {
        if (patch.name) set(&model->name, patch.name);
        if (patch.default_type) set(&model->default_type, patch.default_type);
        json_t *json = series_settings_json(patch.series);
        sk_request_answer_json(patch.request, json);
    }
    free(patch.name);
    free(patch.default_type);
}

void series_settings_patch(struct series *series, struct sk_request *request) {
    const struct series_model *model = &series->model;
    const char *name = sk_json_member_text(request->body, "name"),
               *type = sk_json_member_text(request->body, "defaultTypeId");
    bool fine = name ? !type && series_name_fine(name)
                     : type && series_object_find(model, SERIES_TYPE, sk_span_z(type));
    if (!fine) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "one of name and defaultTypeId is changed at a time; the latter is the "
                          "id of a type that there is");
        return;
    }
    struct patch *patch = SK_NEW(struct patch);
    *patch =
        (struct patch){series, request, name ? strdup(name) : NULL, type ? strdup(type) : NULL};
    json_t *json = json_pack("{s:s,s:s}", "name", name ? name : model->name, "defaultTypeId",
                             type ? type : model->default_type);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    json_decref(json);
    sk_registry_document_put(series->hub->registry, SETTINGS, MODEL, sk_span_z(text), patched,
                             patch);
}

/* ---- loading, a kind after the other ---- */

static void have_objects(void *arg, const struct sk_registry_end *end,
                         const struct sk_registry_documents *list);

struct loading {
    struct series *series;
    enum series_kind kind;
};

static void load(struct loading *loading, struct sk_span after) {
    sk_registry_document_list(loading->series->hub->registry,
                              sk_span_z(series_kinds[loading->kind].stored), after, PAGE,
                              have_objects, loading);
}

static void ready(struct series *series) {
    struct sk_request *request;
    series->model.loaded = true;
    while ((request = hub_wait_take(&series->model.waiting)) != NULL)
        series->hub->serve[request->op](series->hub, request);
}

static void have_objects(void *arg, const struct sk_registry_end *end,
                         const struct sk_registry_documents *list) {
    struct loading *loading = arg;
    struct series *series = loading->series;
    if (end->status || series->hub->closing) {
        free(loading);
        return;
    }
    for (size_t i = 0; i < list->count; i++) {
        json_t *json = sk_json_load(list->documents[i].bytes, 0, NULL);
        SK_CLEANUP_FREE char *id = sk_span_dup(list->documents[i].key);
        if (json) series_object_set(&series->model, loading->kind, id, json);
    }
    if (list->count == PAGE) {
        load(loading, list->documents[PAGE - 1].key);
    } else if (++loading->kind < SERIES_KINDS) {
        load(loading, SK_NONE);
    } else {
        free(loading);
        ready(series);
    }
}

static void have_settings(void *arg, const struct sk_registry_end *end,
                          const struct sk_registry_document *document) {
    struct series *series = arg;
    if (series->hub->closing) return;
    json_t *json = end->status ? NULL : sk_json_load(document->bytes, 0, NULL);
    const char *name = sk_json_member_text(json, "name"),
               *type = sk_json_member_text(json, "defaultTypeId");
    if (name) set(&series->model.name, name);
    if (type) set(&series->model.default_type, type);
    json_decref(json);
    struct loading *loading = SK_NEW(struct loading);
    loading->series = series;
    load(loading, SK_NONE);
}

void series_model_load(struct series *series) {
    struct series_model *model = &series->model;
    set(&model->name, "DefaultModel");
    set(&model->default_type, DEFAULT_TYPE);
    series_object_set(model, SERIES_TYPE, DEFAULT_TYPE,
                      json_pack("{s:s,s:s,s:s,s:{s:{s:s,s:{s:s}}}}", "id", DEFAULT_TYPE, "name",
                                "DefaultType", "description", "Default type", "variables",
                                "EventCount", "kind", "aggregate", "aggregation", "tsx",
                                "count()"));
    sk_registry_document_get(series->hub->registry, SETTINGS, MODEL, have_settings, series);
}
