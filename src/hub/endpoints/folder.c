/* Files in a folder: one grows under a name of its own, each batch of it durable, and gets its
 * right name when it is whole. */
#include <stdio.h>

#include "hub/endpoints/files.h"

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "a folder's is its whole path, such as \"/var/lib/lake\"");
    return options->to[0] == '/';
}

static struct sk_io *io_of(const struct part *part) {
    return part->writer->endpoint->hub->backend.io;
}

static const char *folder_of(const struct writer *w) {
    return w->endpoint->options->to;
}

static void temporary(const struct part *part, struct sk_buffer *path) {
    sk_buffer_print(path, "%s/.%s-%u.part", folder_of(part->writer),
                    part->writer->endpoint->options->name, part->number);
    sk_buffer_byte(path, 0);
}

static void final_path(const struct part *part, struct sk_buffer *path) {
    sk_buffer_print(path, "%s/%s", folder_of(part->writer), part->name.p);
    sk_buffer_byte(path, 0);
}

static enum sk_status ready(struct writer *w) {
    return sk_folder_make(w->endpoint->hub->backend.io, folder_of(w), 0755);
}

static enum sk_status look(struct part *part) {
    struct sk_buffer path = {0};
    struct sk_file *file;
    final_path(part, &path);
    enum sk_status status = sk_file_open(io_of(part), path.p, SK_FILE_READ, &file);
    if (status == SK_OK) sk_file_close(file);
    sk_buffer_free(&path);
    return status;
}

/* What was left by a former life goes first: a write of that may still be on its way. */
static enum sk_status begin(struct part *part) {
    struct sk_buffer path = {0};
    struct sk_file *file;
    temporary(part, &path);
    sk_file_remove(io_of(part), path.p);
    enum sk_status status = sk_file_open(io_of(part), path.p, SK_FILE_CREATE, &file);
    if (!status) part->state = file;
    sk_buffer_free(&path);
    return status;
}

static void written(void *part, enum sk_status status) {
    part_moved(part, status);
}

static void write_part(struct part *part) {
    enum sk_status status = part->state ? SK_OK : begin(part);
    if (status)
        part_moved(part, status);
    else
        sk_file_write_sync(part->state, part->written, sk_buffer_span(&part->bytes), written, part);
}

static void finish(struct part *part) {
    struct sk_buffer from = {0}, path = {0};
    temporary(part, &from);
    final_path(part, &path);
    SK_CLEANUP_FREE char *parent = sk_span_dup(sk_span_z(path.p));
    *strrchr(parent, '/') = 0;
    enum sk_status status = sk_folder_make(io_of(part), parent, 0755);
    if (!status) status = sk_file_rename(io_of(part), from.p, path.p);
    sk_buffer_free(&from);
    sk_buffer_free(&path);
    part_moved(part, status);
}

static void forget(struct part *part) {
    if (part->state) sk_file_close(part->state);
}

static enum sk_status open_place(struct writer *w, char reason[512]) {
    (void)w, (void)reason;
    return SK_OK;
}

static void close_place(struct writer *w) {
    (void)w;
}

const struct place place_folder = {open_place, ready,  look,       write_part,
                                   finish,     forget, close_place};

static enum sk_status open_folder(struct endpoint *e, char reason[512]) {
    return writer_open(e, &place_folder, reason);
}

const struct endpoint_kind endpoint_folder = {.check = check,
                                              .open = open_folder,
                                              .send = writer_send,
                                              .flush = writer_flush,
                                              .close = writer_close};
