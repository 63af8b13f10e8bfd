/* Containers: few, so all of them are one document of the registry, which is read at the start. */
#include <stdio.h>

#include "hub/blobs/parts.h"
#include "model/json_text.h"

bool hub_blobs_container_fine(struct sk_span name, char *why) {
    bool hyphen = true; /* none at the start */
    if (why)
        snprintf(why, SK_CONFIG_WHY_MAX,
                 "a container's name is 3 to 63 lower-case letters, digits and single hyphens "
                 "between them");
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '-' ? hyphen : !((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))) return false;
        hyphen = c == '-';
    }
    return name.n >= 3 && name.n <= 63 && !hyphen;
}

json_t *blob_container(const struct blobs *blobs, struct sk_span name) {
    json_t *container = json_object_getn(blobs->containers, name.p, name.n);
    return json_is_true(json_object_get(container, "deleted")) ? NULL : container;
}

/* ---- what there is, saved ---- */

static void save(struct blobs *blobs, sk_registry_done *done, void *arg) {
    SK_CLEANUP_FREE char *text = sk_json_text(blobs->containers);
    sk_registry_document_put(blobs->hub->registry, SK_SPAN("blobs"), SK_SPAN("containers"),
                             sk_span_z(text), done, arg);
}

void blob_container_make(struct blobs *blobs, struct sk_span name, sk_registry_done *done,
                         void *arg) {
    json_t *container = json_object();
    blob_stamp(blobs, container);
    json_object_setn_new(blobs->containers, name.p, name.n, container);
    save(blobs, done, arg);
}

static void created(void *arg, const struct sk_registry_end *end) {
    struct blob_request *r = arg;
    const json_t *container =
        json_object_getn(r->blobs->containers, r->container.p, r->container.n);
    if (end->status) {
        json_object_deln(r->blobs->containers, r->container.p, r->container.n);
        blob_refuse_status(r, end->status);
        return;
    }
    struct sk_buffer headers = blob_headers(r);
    blob_put_state(&headers, container);
    blob_answer(r, 201, &headers);
}

void blob_container_create(struct blob_request *r) {
    json_t *all = r->blobs->containers;
    if (json_object_getn(all, r->container.p, r->container.n))
        blob_refuse(r, blob_container(r->blobs, r->container) ? BLOB_CONTAINER_EXISTS
                                                              : BLOB_CONTAINER_DELETED);
    else if (json_object_size(all) >= BLOB_CONTAINERS_MAX)
        blob_refuse(r, BLOB_BUSY);
    else
        blob_container_make(r->blobs, r->container, created, r);
}

void blob_container_get(struct blob_request *r) {
    struct sk_buffer headers = blob_headers(r);
    blob_put_state(&headers, blob_container(r->blobs, r->container));
    sk_http_put_header(&headers, "x-ms-lease-status", SK_SPAN("unlocked"));
    sk_http_put_header(&headers, "x-ms-lease-state", SK_SPAN("available"));
    blob_answer(r, 200, &headers);
}

/* ---- deleting: it is hidden at once, and gone when its blobs are ---- */

struct removal {
    struct blobs *blobs;
    char *name;
    size_t at; /* which kind of documents */
    bool found;
};

static const char *const kinds[] = {BLOB_DOCUMENTS, BLOCK_DOCUMENTS};

static void remove_next(struct removal *removal);

static void end_removal(struct removal *removal, bool gone) {
    struct blobs *blobs = removal->blobs;
    if (gone) {
        json_object_del(blobs->containers, removal->name);
        save(blobs, NULL, NULL);
    }
    free(removal->name);
    free(removal);
}

static void removed(void *arg, const struct sk_registry_end *end) {
    struct removal *removal = arg;
    if (end->status)
        end_removal(removal, false); /* at the next start */
    else
        remove_next(removal);
}

static void found(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_documents *list) {
    struct removal *removal = arg;
    struct blobs *blobs = removal->blobs;
    struct sk_arena arena = {0};
    if (end->status) {
        end_removal(removal, false);
        return;
    }
    struct sk_span kind = blob_kind(&arena, kinds[removal->at], sk_span_z(removal->name));
    for (size_t i = 0; i < list->count; i++) {
        json_t *record = sk_json_load(list->documents[i].bytes, 0, NULL);
        blob_waste_parts(blobs, record, NULL);
        json_decref(record);
        sk_registry_document_delete(blobs->hub->registry, kind, list->documents[i].key, NULL, NULL);
    }
    sk_arena_free(&arena);
    if (list->count == 0) removal->at++;
    if (removal->at < sizeof kinds / sizeof *kinds)
        sk_registry_flush(blobs->hub->registry, removed, removal);
    else
        end_removal(removal, true);
}

static void remove_next(struct removal *removal) {
    struct sk_arena arena = {0};
    sk_registry_document_list(removal->blobs->hub->registry,
                              blob_kind(&arena, kinds[removal->at], sk_span_z(removal->name)),
                              SK_NONE, 100, found, removal);
    sk_arena_free(&arena);
}

static void deleted(void *arg, const struct sk_registry_end *end) {
    struct blob_request *r = arg;
    json_t *container = json_object_getn(r->blobs->containers, r->container.p, r->container.n);
    if (end->status) {
        json_object_del(container, "deleted");
        blob_refuse_status(r, end->status);
        return;
    }
    blob_container_remove(r->blobs, r->container);
    struct sk_buffer headers = blob_headers(r);
    blob_answer(r, 202, &headers);
}

void blob_container_remove(struct blobs *blobs, struct sk_span name) {
    struct removal *removal = SK_NEW(struct removal);
    removal->blobs = blobs;
    removal->name = sk_span_dup(name);
    remove_next(removal);
}

void blob_container_delete(struct blob_request *r) {
    json_object_set_new(blob_container(r->blobs, r->container), "deleted", json_true());
    save(r->blobs, deleted, r);
}

void blob_containers_list(struct blob_request *r) {
    struct sk_buffer headers = blob_headers(r), xml = {0};
    struct sk_span prefix = sk_percent_decoded(
        &r->exchange->arena, sk_http_query(r->exchange->request->query, "prefix"));
    const char *name;
    json_t *container;
    sk_buffer_text(&xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults>"
                         "<Containers>");
    json_object_foreach(r->blobs->containers, name, container) {
        char time[SK_TIME_HTTP_TEXT];
        if (!blob_container(r->blobs, sk_span_z(name)) || !sk_span_starts(sk_span_z(name), prefix))
            continue;
        sk_time_http_text(json_integer_value(json_object_get(container, "modified")), time);
        sk_buffer_text(&xml, "<Container>");
        blob_put_xml(&xml, "Name", sk_span_z(name));
        sk_buffer_text(&xml, "<Properties>");
        blob_put_xml(&xml, "Last-Modified", sk_span_z(time));
        blob_put_xml(&xml, "Etag",
                     sk_span_z(json_string_value(json_object_get(container, "etag"))));
        sk_buffer_text(&xml, "</Properties></Container>");
    }
    sk_buffer_text(&xml, "</Containers><NextMarker /></EnumerationResults>");
    blob_answer_xml(r, &headers, sk_buffer_span(&xml));
    sk_buffer_free(&xml);
}
