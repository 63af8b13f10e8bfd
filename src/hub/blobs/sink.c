/* Bytes on their way to a file of the store: written a part at a time, durable before the next,
 * while the one behind it gathers; whoever sends faster waits. */
#include <stdio.h>

#include "hub/blobs/parts.h"

enum { PART = 256 * 1024 };

void blob_sink_open(struct blob_sink *sink, struct blobs *blobs,
                    void (*moved)(struct blob_sink *sink)) {
    *sink = (struct blob_sink){.blobs = blobs, .moved = moved};
    sk_list_append(&blobs->sinks, &sink->link);
}

static void let_go_of_memory(struct blob_sink *sink) {
    sk_list_remove(&sink->link);
    if (sink->file) sk_file_close(sink->file);
    sk_buffer_free(&sink->gathering);
    sk_buffer_free(&sink->writing);
    sink->freed(sink);
}

void blob_sink_free(struct blob_sink *sink, void (*freed)(struct blob_sink *sink)) {
    SK_ASSERT(sink->freed == NULL);
    sink->freed = freed;
    if (!sink->kept && sink->blobs && sink->id[0]) blob_waste(sink->blobs, sink->id);
    if (!sink->busy) let_go_of_memory(sink);
}

void blob_sinks_close(struct blobs *blobs) {
    SK_LIST_EACH(&blobs->sinks, node, following) {
        struct blob_sink *sink = SK_CONTAINER(node, struct blob_sink, link);
        bool waits = sink->freed == NULL && sink->busy;
        sink->blobs = NULL;
        sk_list_remove(&sink->link);
        sink->status = SK_CLOSED;
        if (waits) sink->moved(sink); /* what still runs ends by itself, and tells nobody */
    }
}

static enum sk_status open_file(struct blob_sink *sink) {
    struct blobs *blobs = sink->blobs;
    struct sk_io *io = blobs->hub->backend.io;
    char path[1024];
    snprintf(sink->id, sizeof sink->id, "%02x/%s-%016llx", (unsigned)(blobs->files & 0xff),
             blobs->run, (unsigned long long)blobs->files);
    blobs->files++;
    snprintf(path, sizeof path, "%s/%.2s", blobs->folder, sink->id);
    enum sk_status status = sk_folder_make(io, path, 0700);
    blob_file_path(blobs, sink->id, path);
    return status ? status : sk_file_open(io, path, SK_FILE_CREATE, &sink->file);
}

static void write_part(struct blob_sink *sink);

static void written(void *arg, enum sk_status status) {
    struct blob_sink *sink = arg;
    bool closed = sink->blobs == NULL;
    sink->busy = false;
    if (status && !sink->status) sink->status = status;
    sink->written += sink->writing.n;
    sink->writing.n = 0;
    if (sink->freed) {
        let_go_of_memory(sink);
        return;
    }
    if (closed) return; /* that was told */
    if (sink->ended ? sink->gathering.n > 0 : sink->gathering.n >= PART) write_part(sink);
    if (!sink->busy) sink->moved(sink);
}

static void write_part(struct blob_sink *sink) {
    if (!sink->status && sink->file == NULL) sink->status = open_file(sink);
    if (sink->status) {
        sink->gathering.n = 0;
        return;
    }
    struct sk_buffer part = sink->gathering;
    sink->gathering = sink->writing;
    sink->writing = part;
    sink->busy = true;
    sk_file_write_sync(sink->file, sink->written, sk_buffer_span(&sink->writing), written, sink);
}

bool blob_sink_put(struct blob_sink *sink, struct sk_span bytes) {
    if (sink->status) return true; /* nobody waits for what is dropped */
    sk_buffer_append(&sink->gathering, bytes);
    if (sink->gathering.n >= PART && !sink->busy) write_part(sink);
    return sink->gathering.n < PART;
}

uint64_t blob_sink_size(const struct blob_sink *sink) {
    return sink->written + sink->writing.n + sink->gathering.n;
}

bool blob_sink_end(struct blob_sink *sink) {
    sink->ended = true;
    if (!sink->busy && sink->gathering.n) write_part(sink);
    if (sink->busy) return false;
    if (sink->file) sk_file_close(sink->file); /* all of it is on the disk */
    sink->file = NULL;
    return true;
}
