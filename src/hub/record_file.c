#include "hub/record_file.h"

#include <stdio.h>

struct record_file {
    struct sk_io *io;
    char *folder, *name;
    uint64_t bytes_max, at; /* `at`: where the next write goes */
    unsigned files;
    uint64_t generation;  /* of the file that is written; another one after each start */
    struct sk_file *file; /* NULL: it could not be opened; tried again with the next line */
    struct sk_buffer waiting, writing;
    uint64_t waiting_lines, writing_lines, lost;
    bool busy, closing;
};

/* number 0: the one that is written */
static void put_path(const struct record_file *f, unsigned number, char path[1024]) {
    if (number)
        snprintf(path, 1024, "%s/%s.%u.jsonl", f->folder, f->name, number);
    else
        snprintf(path, 1024, "%s/%s.jsonl", f->folder, f->name);
}

static enum sk_status open_file(struct record_file *f) {
    char path[1024];
    put_path(f, 0, path);
    enum sk_status status = sk_file_open(f->io, path, SK_FILE_CREATE, &f->file);
    if (status) return status;
    sk_path_protect(f->io, path, 0600);
    f->at = sk_file_size(f->file);
    return SK_OK;
}

/* Whether what was written is still there: somebody may have moved, removed or cut the file. */
static bool is_there(const struct record_file *f) {
    char path[1024];
    struct sk_file *file;
    put_path(f, 0, path);
    enum sk_status status = sk_file_open(f->io, path, SK_FILE_READ, &file);
    if (status) return status != SK_NOT_FOUND;
    bool whole = sk_file_size(file) >= f->at;
    sk_file_close(file);
    return whole;
}

enum sk_status record_file_open(struct sk_io *io, const struct record_file_options *options,
                                struct record_file **file) {
    struct record_file *f = SK_NEW(struct record_file);
    f->io = io;
    f->folder = sk_text_dup(options->folder);
    f->name = sk_text_dup(options->name);
    f->bytes_max = options->bytes;
    f->generation = (uint64_t)(sk_io_wall(io) / 1000);
    f->files = options->files;
    enum sk_status status = sk_folder_make(io, options->folder, 0700);
    if (!status) status = open_file(f);
    if (status)
        record_file_close(f);
    else
        *file = f;
    return status;
}

/* The full one becomes number 1, and the oldest goes. */
static void turn_over(struct record_file *f) {
    char from[1024], to[1024];
    sk_file_close(f->file);
    f->file = NULL;
    f->generation++;
    for (unsigned i = f->files; i-- > 0;) {
        put_path(f, i, from);
        put_path(f, i + 1, to);
        if (i + 1 == f->files)
            sk_file_remove(f->io, from);
        else
            sk_file_rename(f->io, from, to);
    }
}

static void free_file(struct record_file *f) {
    if (f->file) sk_file_close(f->file);
    sk_buffer_free(&f->waiting);
    sk_buffer_free(&f->writing);
    free(f->folder);
    free(f->name);
    free(f);
}

static void go_on(struct record_file *f);

static void written(void *arg, enum sk_status status) {
    struct record_file *f = arg;
    f->busy = false;
    if (status) {
        f->lost += f->writing_lines;
        SK_SELDOM(SK_LEVEL_WARN, "hub", "records are lost: %s/%s.jsonl: %s", f->folder, f->name,
                  sk_status_text(status));
    } else {
        f->at += f->writing.n;
    }
    if (f->waiting.n)
        go_on(f);
    else if (f->closing)
        free_file(f);
}

static void go_on(struct record_file *f) {
    if (f->busy) return;
    if (f->file && !is_there(f)) {
        sk_file_close(f->file);
        f->file = NULL;
    }
    if (f->file && f->at + f->waiting.n > f->bytes_max && f->at) turn_over(f);
    struct sk_buffer empty = f->writing;
    f->writing = f->waiting;
    f->writing_lines = f->waiting_lines;
    f->waiting = empty;
    f->waiting.n = 0;
    f->waiting_lines = 0;
    f->busy = true;
    enum sk_status status = f->file ? SK_OK : open_file(f);
    if (status)
        written(f, status);
    else
        sk_file_write_sync(f->file, f->at, sk_buffer_span(&f->writing), written, f);
}

void record_file_put(struct record_file *f, struct sk_span line) {
    if (f->waiting.n + line.n > RECORD_FILE_WAITING_MAX) {
        f->lost++;
        return;
    }
    sk_buffer_append(&f->waiting, line);
    f->waiting_lines++;
    go_on(f);
}

uint64_t record_file_newest(const struct record_file *f) {
    return f->generation;
}

enum sk_status record_file_read(const struct record_file *f, uint64_t generation,
                                struct sk_file **opened) {
    char path[1024];
    if (generation > f->generation || f->generation - generation >= f->files) return SK_NOT_FOUND;
    put_path(f, (unsigned)(f->generation - generation), path);
    return sk_file_open(f->io, path, SK_FILE_READ, opened);
}

uint64_t record_file_lost(const struct record_file *f) {
    return f->lost;
}

void record_file_close(struct record_file *f) {
    if (f == NULL) return;
    f->closing = true;
    if (!f->busy) free_file(f);
}
