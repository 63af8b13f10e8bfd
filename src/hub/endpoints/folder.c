/* A folder: files of messages, one at a time for each partition.
 *
 * A file grows under a name of its own, each batch of it durable, and gets its right name when it
 * is old or large enough; then all that is in it is committed. What a crash leaves behind is begun
 * anew. */
#include "hub/endpoints/parts.h"

#include <stdio.h>

#include "hub/endpoints/storage.h"
#include "hub/events/partitions.h"

struct folder;

struct part {
    struct folder *folder;
    unsigned number;
    struct sk_file *file; /* NULL: not begun */
    struct storage storage;
    struct sk_buffer bytes; /* on their way */
    uint64_t written;
    int64_t begun_us;
};

struct folder {
    struct endpoint *endpoint;
    struct part parts[SK_PARTITIONS_MAX];
    size_t writing; /* parts */
    bool closed;    /* freed when the last has been written */
    uint64_t bytes; /* of all files */
    enum sk_status status;
};

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "a folder's is its whole path, such as \"/var/lib/lake\"");
    return options->to[0] == '/';
}

static struct sk_io *io_of(const struct folder *f) {
    return f->endpoint->hub->backend.io;
}

static void temporary(const struct part *part, struct sk_buffer *path) {
    sk_buffer_print(path, "%s/.%s-%u.part", part->folder->endpoint->options->to,
                    part->folder->endpoint->options->name, part->number);
    sk_buffer_byte(path, 0);
}

static void forget(struct part *part) {
    if (part->file) sk_file_close(part->file);
    sk_buffer_free(&part->storage.block);
    sk_buffer_free(&part->bytes);
    *part = (struct part){.folder = part->folder, .number = part->number};
}

static void fail(struct folder *f, enum sk_status status) {
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) forget(&f->parts[i]);
    f->bytes = 0;
    endpoint_ended(f->endpoint, ENDPOINT_AGAIN, 0, "%s cannot be written: %s",
                   f->endpoint->options->to, sk_status_text(status));
}

/* ---- giving files their names ---- */

static bool is_there(struct folder *f, const char *path) {
    struct sk_file *file;
    if (sk_file_open(io_of(f), path, SK_FILE_READ, &file)) return false;
    sk_file_close(file);
    return true;
}

/* The first name of the minute that is free. */
static void final_path(struct folder *f, const struct part *part, struct sk_buffer *path) {
    const struct sk_hub_endpoint *options = f->endpoint->options;
    for (unsigned i = 0; i == 0 || is_there(f, path->p); i++) {
        path->n = 0;
        sk_buffer_print(path, "%s/", options->to);
        storage_name(options->file_name, f->endpoint->hub->options->name, part->number,
                     part->begun_us, path);
        if (i) sk_buffer_print(path, "_%02u", i);
        sk_buffer_text(path, part->storage.avro ? ".avro" : ".json");
        sk_buffer_byte(path, 0);
    }
}

static enum sk_status finish(struct folder *f, struct part *part) {
    struct sk_buffer from = {0}, path = {0};
    temporary(part, &from);
    final_path(f, part, &path);
    SK_CLEANUP_FREE char *parent = sk_span_dup(sk_span_z(path.p));
    *strrchr(parent, '/') = 0;
    enum sk_status status = sk_folder_make(io_of(f), parent, 0755);
    if (!status) status = sk_file_rename(io_of(f), from.p, path.p);
    sk_buffer_free(&from);
    sk_buffer_free(&path);
    return status;
}

static void flush(struct endpoint *e) {
    struct folder *f = e->state;
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < SK_PARTITIONS_MAX && !status; i++) {
        if (f->parts[i].file == NULL) continue;
        status = finish(f, &f->parts[i]);
        if (!status) forget(&f->parts[i]);
    }
    if (status) {
        fail(f, status);
        return;
    }
    f->bytes = 0;
    endpoint_ended(e, ENDPOINT_SENT, e->batch.count, NULL);
}

/* ---- a batch ---- */

static void free_folder(struct folder *f) {
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) forget(&f->parts[i]);
    free(f);
}

static void written(void *arg, enum sk_status status) {
    struct part *part = arg;
    struct folder *f = part->folder;
    f->bytes += part->bytes.n;
    part->written += part->bytes.n;
    sk_buffer_shrink(&part->bytes, 0);
    if (status) f->status = status;
    if (--f->writing) return;
    if (f->closed)
        free_folder(f);
    else if (f->status)
        fail(f, f->status);
    else if (f->bytes >= f->endpoint->options->file_bytes)
        flush(f->endpoint);
    else
        endpoint_ended(f->endpoint, ENDPOINT_HELD, 0, NULL);
}

static enum sk_status begin(struct folder *f, struct part *part) {
    struct sk_buffer path = {0};
    char sync[STORAGE_SYNC];
    temporary(part, &path);
    enum sk_status status = sk_file_open(io_of(f), path.p, SK_FILE_CREATE, &part->file);
    if (!status) status = sk_file_truncate(part->file, 0);
    sk_buffer_free(&path);
    sk_io_random(io_of(f), sync, sizeof sync);
    part->begun_us = sk_io_wall(io_of(f));
    if (!status)
        storage_begin(&part->storage, f->endpoint->options->encoding == 0, sync, &part->bytes);
    return status;
}

static enum sk_status put_message(struct folder *f, const struct sk_message *message) {
    struct part *part = &f->parts[sk_partition_of(f->endpoint->hub->partitions, message->device)];
    enum sk_status status = part->file ? SK_OK : begin(f, part);
    if (!status) storage_add(&part->storage, message, &part->bytes);
    return status;
}

static void write_batch(struct endpoint *e) {
    struct folder *f = e->state;
    struct sk_arena arena = {0};
    struct sk_message message;
    f->status = sk_folder_make(io_of(f), e->options->to, 0755);
    for (size_t i = 0; i < e->batch.count && !f->status; i++) {
        sk_arena_reset(&arena);
        if (endpoint_message(e, i, &arena, &message)) continue;
        f->status = put_message(f, &message);
    }
    sk_arena_free(&arena);
    if (f->status) {
        fail(f, f->status);
        return;
    }
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) {
        struct part *part = &f->parts[i];
        if (part->file) storage_end_block(&part->storage, &part->bytes);
        f->writing += part->bytes.n > 0;
    }
    if (f->writing == 0) endpoint_ended(e, ENDPOINT_HELD, 0, NULL);
    for (size_t i = 0; i < SK_PARTITIONS_MAX; i++) {
        struct part *part = &f->parts[i];
        if (part->bytes.n)
            sk_file_write_sync(part->file, part->written, sk_buffer_span(&part->bytes), written,
                               part);
    }
}

/* ---- life ---- */

static void close_folder(struct endpoint *e) {
    struct folder *f = e->state;
    if (f == NULL) return;
    e->state = NULL;
    f->closed = true;
    if (f->writing == 0) free_folder(f);
}

static enum sk_status open_folder(struct endpoint *e, char reason[512]) {
    struct folder *f = e->state = SK_NEW(struct folder);
    (void)reason;
    f->endpoint = e;
    for (unsigned i = 0; i < SK_PARTITIONS_MAX; i++)
        f->parts[i] = (struct part){.folder = f, .number = i};
    return SK_OK;
}

const struct endpoint_kind endpoint_folder = {.check = check,
                                              .open = open_folder,
                                              .send = write_batch,
                                              .flush = flush,
                                              .close = close_folder};
