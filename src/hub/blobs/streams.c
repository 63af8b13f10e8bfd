/* Blobs that other parts of the hub write and read. */
#include "hub/blobs/parts.h"
#include "model/json_text.h"

/* ---- writing ---- */

struct hub_blob_writer {
    struct blob_sink sink;
    struct blob_change turn;
    char *container, *blob;
    json_t *old, *fresh;
    enum sk_status status;
    bool ended, asking; /* all was put; the registry works on it */
    bool dropped;       /* nobody waits */
    void (*moved)(void *arg);
    void *arg;
};

static void free_writer(struct blob_sink *sink) {
    struct hub_blob_writer *writer = SK_CONTAINER(sink, struct hub_blob_writer, sink);
    blob_change_end(&writer->turn);
    json_decref(writer->old);
    json_decref(writer->fresh);
    free(writer->container);
    free(writer->blob);
    free(writer);
}

void hub_blob_write_free(struct hub_blob_writer *writer) {
    writer->dropped = true;
    if (!writer->asking) blob_sink_free(&writer->sink, free_writer);
}

enum sk_status hub_blob_write_status(const struct hub_blob_writer *writer) {
    return writer->status;
}

static void end(struct hub_blob_writer *writer, enum sk_status status) {
    writer->asking = false;
    writer->status = status;
    if (writer->dropped)
        blob_sink_free(&writer->sink, free_writer);
    else
        writer->moved(writer->arg);
}

static struct sk_span kind_of(const struct hub_blob_writer *writer, struct sk_arena *arena) {
    return blob_kind(arena, BLOB_DOCUMENTS, sk_span_z(writer->container));
}

static void put_done(void *arg, const struct sk_registry_end *status) {
    struct hub_blob_writer *writer = arg;
    if (!status->status) {
        writer->sink.kept = true;
        if (writer->sink.blobs) blob_waste_parts(writer->sink.blobs, writer->old, writer->fresh);
    }
    end(writer, status->status);
}

static void looked(void *arg, const struct sk_registry_end *status,
                   const struct sk_registry_document *document) {
    struct hub_blob_writer *writer = arg;
    struct sk_arena arena = {0};
    if ((status->status && status->status != SK_NOT_FOUND) || writer->sink.blobs == NULL) {
        end(writer, status->status ? status->status : SK_CLOSED);
        return;
    }
    if (document) writer->old = sk_json_load(document->bytes, 0, NULL);
    SK_CLEANUP_FREE char *text = sk_json_text(writer->fresh);
    sk_registry_document_put(writer->sink.blobs->hub->registry, kind_of(writer, &arena),
                             sk_span_z(writer->blob), sk_span_z(text), put_done, writer);
    sk_arena_free(&arena);
}

static json_t *record_of(struct hub_blob_writer *writer) {
    struct blob_sink *sink = &writer->sink;
    json_t *record = json_pack("{s:I,s:{s:s},s:[]}", "size", (json_int_t)sink->written, "headers",
                               "Content-Type", "application/octet-stream", "parts");
    blob_stamp(sink->blobs, record);
    if (sink->written)
        json_array_append_new(json_object_get(record, "parts"),
                              json_pack("[s,I]", sink->id, (json_int_t)sink->written));
    return record;
}

/* All of it is on the disk: now it becomes a blob. */
static void commit(struct hub_blob_writer *writer) {
    struct blobs *blobs = writer->sink.blobs;
    struct sk_arena arena = {0};
    enum sk_status status = blobs ? writer->sink.status : SK_CLOSED;
    if (!status && !blob_change_begin(blobs, &writer->turn, sk_span_z(writer->container),
                                      sk_span_z(writer->blob)))
        status = SK_EXISTS;
    if (status) {
        end(writer, status);
        return;
    }
    writer->fresh = record_of(writer);
    writer->asking = true;
    sk_registry_document_get(blobs->hub->registry, kind_of(writer, &arena), sk_span_z(writer->blob),
                             looked, writer);
    sk_arena_free(&arena);
}

static void sink_moved(struct blob_sink *sink) {
    struct hub_blob_writer *writer = SK_CONTAINER(sink, struct hub_blob_writer, sink);
    if (!writer->ended)
        writer->moved(writer->arg);
    else if (sink->blobs == NULL || blob_sink_end(sink))
        commit(writer);
}

struct hub_blob_writer *hub_blob_write(struct sk_hub *hub, struct sk_span container,
                                       struct sk_span blob, void (*moved)(void *arg), void *arg) {
    struct hub_blob_writer *writer = SK_NEW(struct hub_blob_writer);
    writer->container = sk_span_dup(container);
    writer->blob = sk_span_dup(blob);
    writer->moved = moved;
    writer->arg = arg;
    writer->status = SK_AGAIN;
    blob_sink_open(&writer->sink, hub->blobs, sink_moved);
    return writer;
}

bool hub_blob_write_part(struct hub_blob_writer *writer, struct sk_span bytes) {
    return blob_sink_put(&writer->sink, bytes);
}

void hub_blob_write_end(struct hub_blob_writer *writer) {
    writer->ended = true;
    if (blob_sink_end(&writer->sink)) commit(writer);
}

/* ---- reading ---- */

struct hub_blob_reader {
    struct blob_source source;
    uint64_t size;
};

struct opening {
    struct blobs *blobs;
    uint64_t from;
    hub_blob_opened *opened;
    void *arg;
};

static void found(void *arg, const struct sk_registry_end *status,
                  const struct sk_registry_document *document) {
    struct opening opening = *(struct opening *)arg;
    struct hub_blob_reader *reader = NULL;
    free(arg);
    if (document) {
        json_t *record = sk_json_load(document->bytes, 0, NULL);
        reader = SK_NEW(struct hub_blob_reader);
        reader->size = (uint64_t)json_integer_value(json_object_get(record, "size"));
        uint64_t from = opening.from < reader->size ? opening.from : reader->size;
        blob_source_open(&reader->source, opening.blobs, record, from, reader->size - from);
        json_decref(record);
    }
    opening.opened(opening.arg, status->status, reader);
}

void hub_blob_read(struct sk_hub *hub, struct sk_span container, struct sk_span blob, uint64_t from,
                   hub_blob_opened *opened, void *arg) {
    struct opening *opening = SK_NEW(struct opening);
    struct sk_arena arena = {0};
    *opening = (struct opening){hub->blobs, from, opened, arg};
    sk_registry_document_get(hub->registry, blob_kind(&arena, BLOB_DOCUMENTS, container), blob,
                             found, opening);
    sk_arena_free(&arena);
}

enum sk_status hub_blob_read_part(struct hub_blob_reader *reader, char *to, size_t n, size_t *got) {
    return blob_source_read(&reader->source, to, n, got);
}

uint64_t hub_blob_read_size(const struct hub_blob_reader *reader) {
    return reader->size;
}

struct sk_span hub_blob_read_etag(const struct hub_blob_reader *reader) {
    return sk_span_z(json_string_value(json_object_get(reader->source.record, "etag")));
}

void hub_blob_read_free(struct hub_blob_reader *reader) {
    blob_source_close(&reader->source);
    free(reader);
}
