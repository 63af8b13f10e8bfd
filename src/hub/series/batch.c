/* Many objects of the model at a time: each has an answer of its own, in its place. */
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"

struct batch {
    struct series *series;
    struct sk_request *request;
    const char *verb;
    enum series_kind kind;
    json_t *answers;
    size_t left; /* writes under way, and one for the loop */
};
struct writing {
    struct batch *batch;
    size_t at;
    char *id;
    json_t *document; /* NULL: it is deleted */
};

static json_t *error_json(const char *code, const char *why) {
    return json_pack("{s:s,s:s}", "code", code, "message", why);
}

static void answer(struct batch *batch, size_t at, json_t *json) {
    json_array_set_new(batch->answers, at, json);
}

/* Of a delete the error itself. */
static void answer_error(struct batch *batch, size_t at, const char *code, const char *why) {
    bool bare = strcmp(batch->verb, "delete") == 0;
    answer(batch, at,
           bare ? error_json(code, why) : json_pack("{s:o}", "error", error_json(code, why)));
}

static void answer_object(struct batch *batch, size_t at, struct sk_span id,
                          const json_t *document) {
    json_t *shown = batch->kind == SERIES_INSTANCE
                        ? series_instance_json(batch->series, id, document)
                        : json_incref((json_t *)document);
    answer(batch, at, json_pack("{s:o}", series_kinds[batch->kind].one, shown));
}

static void one_done(struct batch *batch) {
    if (--batch->left) return;
    json_t *json = json_pack("{s:o}", batch->verb, batch->answers);
    sk_request_answer_json(batch->request, json);
    free(batch);
}

static void written(void *arg, const struct sk_registry_end *end) {
    struct writing writing = *(struct writing *)arg;
    struct batch *batch = writing.batch;
    free(arg);
    if (end->status) {
        answer_error(batch, writing.at, "InternalError", "the registry could not store it");
        json_decref(writing.document);
    } else {
        json_t *document = json_incref(writing.document);
        series_object_set(&batch->series->model, batch->kind, writing.id, writing.document);
        if (document) answer_object(batch, writing.at, sk_span_z(writing.id), document);
        json_decref(document);
    }
    free(writing.id);
    one_done(batch);
}

static void write(struct batch *batch, size_t at, char *id /* taken */,
                  json_t *document /* taken */) {
    struct writing *writing = SK_NEW(struct writing);
    struct sk_registry *registry = batch->series->hub->registry;
    struct sk_span kind = sk_span_z(series_kinds[batch->kind].stored);
    *writing = (struct writing){batch, at, id, document};
    batch->left++;
    if (document) {
        SK_CLEANUP_FREE char *text = sk_json_text(document);
        sk_registry_document_put(registry, kind, sk_span_z(id), sk_span_z(text), written, writing);
    } else {
        sk_registry_document_delete(registry, kind, sk_span_z(id), written, writing);
    }
}

/* ---- put, update ---- */

static void put(struct batch *batch, size_t at, const json_t *json) {
    const struct series_model *model = &batch->series->model;
    char error[SERIES_ERROR], *id;
    json_t *document = series_object_read(batch->series, batch->kind, json, &id, error);
    const char *why = document ? NULL : error;
    struct sk_series_instance stored;
    bool there =
        id && (series_object_find(model, batch->kind, sk_span_z(id)) ||
               (batch->kind == SERIES_INSTANCE &&
                sk_series_instance_find(batch->series->store, sk_span_z(id), &stored) == SK_OK));
    if (!why && !there && strcmp(batch->verb, "update") == 0)
        why = "there is no such object";
    else if (!why && !there &&
             series_object_count(model, batch->kind) >= series_kinds[batch->kind].most)
        why = "there are as many as there may be";
    if (!why) {
        write(batch, at, id, document);
        return;
    }
    answer_error(batch, at, "InvalidInput", why);
    json_decref(document);
    free(id);
}

/* ---- get, delete: by ids or by names ---- */

static struct series_object *named(const struct series_model *model, enum series_kind kind,
                                   const char *name) {
    const struct series_objects *objects = &model->kinds[kind];
    for (size_t i = 0; i < objects->count && name; i++) {
        const char *one =
            objects->list[i] ? sk_json_member_text(objects->list[i]->document, "name") : NULL;
        if (one && strcmp(one, name) == 0) return objects->list[i];
    }
    return NULL;
}

/* Whether anything needs it. */
static const char *why_kept(const struct batch *batch, struct sk_span id) {
    const struct series_model *model = &batch->series->model;
    struct sk_series_instance instance;
    if (batch->kind == SERIES_INSTANCE)
        return sk_series_instance_find(batch->series->store, id, &instance) == SK_OK
                   ? "it has events; they are to be deleted first"
                   : NULL;
    if (sk_span_is(id, model->default_type)) return "it is the default type";
    const struct series_objects *instances = &model->kinds[SERIES_INSTANCE];
    for (size_t i = 0; i < instances->count; i++) {
        const json_t *document = instances->list[i] ? instances->list[i]->document : NULL;
        const char *type = sk_json_member_text(document, "typeId");
        const json_t *hierarchies = json_object_get(document, "hierarchyIds");
        if (batch->kind == SERIES_TYPE && type && sk_span_is(id, type))
            return "instances are of this type";
        for (size_t h = 0; batch->kind == SERIES_HIERARCHY && h < json_array_size(hierarchies); h++)
            if (sk_span_is(id, json_string_value(json_array_get(hierarchies, h))))
                return "instances are in this hierarchy";
    }
    return NULL;
}

static void get_or_delete(struct batch *batch, size_t at, const json_t *one, bool by_name) {
    const struct series_model *model = &batch->series->model;
    struct sk_arena arena = {0};
    struct sk_span id = SK_NONE;
    struct sk_series_instance stored;
    struct series_object *object = NULL;
    char error[SERIES_ERROR] = "there is no such object";
    bool fine = true;
    if (by_name)
        object = named(model, batch->kind, json_string_value(one));
    else if (batch->kind == SERIES_INSTANCE)
        fine = series_id_read(batch->series, one, &arena, &id, error);
    else
        id = sk_span_z(json_string_value(one));
    if (object) id = sk_span_z(object->id);
    if (fine && id.n && !object) object = series_object_find(model, batch->kind, id);
    bool deletes = strcmp(batch->verb, "delete") == 0;
    bool there = object || (batch->kind == SERIES_INSTANCE && fine && id.n &&
                            sk_series_instance_find(batch->series->store, id, &stored) == SK_OK);
    const char *kept = there && deletes ? why_kept(batch, id) : NULL;
    if (!there)
        answer_error(batch, at, "InstanceNotFound", error);
    else if (kept)
        answer_error(batch, at, "InvalidInput", kept);
    else if (!deletes)
        answer_object(batch, at, id, object ? object->document : NULL);
    else
        write(batch, at, sk_span_dup(id), NULL);
    sk_arena_free(&arena);
}

/* ---- a batch ---- */

/* The list that a verb is about: objects, or ids or names; NULL: there is none. */
static const json_t *list_of(const json_t *body, enum series_kind kind, const char *verb,
                             bool *by_name) {
    const json_t *value = json_object_get(body, verb);
    *by_name = false;
    if (strcmp(verb, "put") == 0 || strcmp(verb, "update") == 0) return value;
    const json_t *names = json_object_get(value, "names");
    *by_name = json_is_array(names);
    return *by_name ? names : json_object_get(value, series_kinds[kind].ids);
}

static bool read_batch(struct batch *batch, const json_t **list, bool *by_name) {
    static const char *const verbs[] = {"get", "put", "update", "delete"};
    const struct sk_request *request = batch->request;
    size_t count = 0;
    for (size_t kind = 0; kind < SERIES_KINDS; kind++)
        if (sk_span_is(request->name, series_kinds[kind].list))
            batch->kind = (enum series_kind)kind;
    for (size_t i = 0; i < 4; i++) {
        const json_t *value = json_object_get(request->body, verbs[i]);
        if (value == NULL || json_is_null(value)) continue;
        batch->verb = verbs[i];
        count++;
    }
    if (count != 1 || (strcmp(batch->verb, "update") == 0 && batch->kind != SERIES_INSTANCE))
        return false;
    *list = list_of(request->body, batch->kind, batch->verb, by_name);
    return json_is_array(*list) && json_array_size(*list) <= SERIES_BATCH_MAX;
}

void series_batch(struct series *series, struct sk_request *request) {
    struct batch *batch = SK_NEW(struct batch);
    const json_t *list;
    bool by_name;
    *batch = (struct batch){.series = series, .request = request, .kind = SERIES_KINDS, .left = 1};
    bool fine = read_batch(batch, &list, &by_name);
    if (fine && strcmp(batch->verb, "get") != 0 &&
        !(request->who->rights & SK_RIGHT_REGISTRY_WRITE)) {
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS, NULL);
    } else if (batch->kind == SERIES_KINDS) {
        sk_request_refuse(request, SK_FAULT_NOT_FOUND, NULL);
    } else if (!fine) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "a batch has one of get, put and delete (of instances also update), with "
                          "at most %d objects, %s or names",
                          SERIES_BATCH_MAX, series_kinds[batch->kind].ids);
    } else {
        batch->answers = json_array();
        for (size_t i = 0; i < json_array_size(list); i++)
            json_array_append_new(batch->answers, json_null());
        for (size_t i = 0; i < json_array_size(list); i++)
            if (strcmp(batch->verb, "put") == 0 || strcmp(batch->verb, "update") == 0)
                put(batch, i, json_array_get(list, i));
            else
                get_or_delete(batch, i, json_array_get(list, i), by_name);
        one_done(batch);
        return;
    }
    free(batch);
}
