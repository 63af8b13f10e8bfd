/* The part of the hub that the blob service is. */
#include <stdio.h>

#include "hub/blobs/parts.h"
#include "model/json_text.h"

enum { KEY_SIZE = 64 };

static enum sk_status load_key(struct blobs *blobs) {
    struct sk_registry *registry = blobs->hub->registry;
    struct sk_buffer key = {0};
    enum sk_status status =
        sk_registry_document_load(registry, SK_SPAN("blobs"), SK_SPAN("key"), &key);
    if (status == SK_NOT_FOUND) {
        sk_io_put_key(blobs->hub->backend.io, KEY_SIZE, &key);
        blobs->key_is_new = true;
        status = SK_OK;
    }
    blobs->key = sk_span_dup(sk_buffer_span(&key));
    sk_buffer_free(&key);
    return status;
}

static enum sk_status load_containers(struct blobs *blobs) {
    struct sk_buffer text = {0};
    enum sk_status status = sk_registry_document_load(blobs->hub->registry, SK_SPAN("blobs"),
                                                      SK_SPAN("containers"), &text);
    if (status == SK_OK) blobs->containers = sk_json_load(sk_buffer_span(&text), 0, NULL);
    if (status == SK_NOT_FOUND) status = SK_OK;
    if (blobs->containers == NULL) blobs->containers = json_object();
    sk_buffer_free(&text);
    return status;
}

static enum sk_status open_blobs(struct sk_hub *hub, char reason[512]) {
    struct blobs *blobs = hub->blobs = SK_NEW(struct blobs);
    struct sk_buffer folder = {0};
    blobs->hub = hub;
    sk_buffer_print(&folder, "%s/blobs", hub->options->data);
    blobs->folder = sk_span_dup(sk_buffer_span(&folder));
    sk_buffer_free(&folder);
    blob_store_open(blobs);
    enum sk_status status = sk_folder_make(hub->backend.io, blobs->folder, 0700);
    if (!status) status = load_key(blobs);
    if (!status) status = load_containers(blobs);
    if (status)
        snprintf(reason, 512, "cannot open the files in %s: %s", blobs->folder,
                 sk_status_text(status));
    return status;
}

static void start(struct sk_hub *hub) {
    struct blobs *blobs = hub->blobs;
    if (blobs->key_is_new)
        sk_registry_document_put(hub->registry, SK_SPAN("blobs"), SK_SPAN("key"),
                                 sk_span_z(blobs->key), NULL, NULL);
    blob_store_start(blobs);
}

static void stop(struct sk_hub *hub) {
    blob_sinks_close(hub->blobs);
}

static void registry_closed(struct sk_hub *hub) {
    blob_store_close(hub->blobs);
}

static void free_blobs(struct sk_hub *hub) {
    struct blobs *blobs = hub->blobs;
    if (blobs == NULL) return;
    blob_store_close(blobs);
    json_decref(blobs->containers);
    free(blobs->folder);
    free(blobs->key);
    free(blobs);
}

struct sk_span hub_blobs_key(const struct sk_hub *hub) {
    return sk_span_z(hub->blobs->key);
}

bool hub_blobs_make_container(struct sk_hub *hub, struct sk_span name) {
    if (json_object_getn(hub->blobs->containers, name.p, name.n) == NULL)
        blob_container_make(hub->blobs, name, NULL, NULL);
    return blob_container(hub->blobs, name) != NULL;
}

/* ---- what other parts ask ---- */

struct look {
    hub_blob_done *done;
    void *arg;
};

static void looked(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_document *document) {
    struct look look = *(struct look *)arg;
    free(arg);
    json_t *record = document ? sk_json_load(document->bytes, 0, NULL) : NULL;
    look.done(look.arg, end->status, (uint64_t)json_integer_value(json_object_get(record, "size")),
              json_integer_value(json_object_get(record, "modified")));
    json_decref(record);
}

void hub_blob_look(struct sk_hub *hub, struct sk_span container, struct sk_span blob,
                   hub_blob_done *done, void *arg) {
    struct look *look = SK_NEW(struct look);
    struct sk_arena arena = {0};
    *look = (struct look){done, arg};
    sk_registry_document_get(hub->registry, blob_kind(&arena, BLOB_DOCUMENTS, container), blob,
                             looked, look);
    sk_arena_free(&arena);
}

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_blob_reads_total", "Requests to the blob service that were answered.",
     SK_HUB_COUNT(blob_reads_total)},
    {"skerry_hub_blob_writes_total", "Likewise, which changed something.",
     SK_HUB_COUNT(blob_writes_total)},
    {"skerry_hub_blob_refusals_total", "Requests to the blob service that were refused.",
     SK_HUB_COUNT(blob_refusals_total)},
    {0}};

const struct sk_hub_part hub_part_blobs = {.metrics = metrics,
                                           .open = open_blobs,
                                           .start = start,
                                           .stop = stop,
                                           .registry_closed = registry_closed,
                                           .free = free_blobs};
