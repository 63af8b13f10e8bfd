/* The durable positions of named cursors.
 *
 * All of them stand in one small file, written anew in the background at most every 100 ms while
 * they move; two files take turns, so that a torn one leaves the one before. A commit itself costs
 * no I/O. */
#include "store/log/segments/parts.h"

#define WRITE_EVERY (100 * SK_MS)
enum { FILE_MAX = 4 * 1024 * 1024 };

static void path_of(const struct log *log, unsigned slot, struct sk_buffer *path) {
    path->n = 0;
    sk_buffer_print(path, "%s/cursors.%u", log->folder, slot);
}

struct checkpoint *checkpoint_find(struct log *log, struct sk_span name) {
    SK_LIST_EACH(&log->checkpoints, node, following) {
        struct checkpoint *checkpoint = SK_CONTAINER(node, struct checkpoint, link);
        if (sk_span_eq(sk_span(checkpoint->name, checkpoint->name_n), name)) return checkpoint;
    }
    return NULL;
}

struct checkpoint *checkpoint_add(struct log *log, struct sk_span name, uint64_t position) {
    struct checkpoint *checkpoint = sk_alloc(sizeof *checkpoint + name.n);
    checkpoint->committed = position;
    checkpoint->name_n = name.n;
    memcpy(checkpoint->name, name.p, name.n);
    sk_list_append(&log->checkpoints, &checkpoint->link);
    return checkpoint;
}

enum sk_status checkpoints_open(struct log *log) {
    struct sk_buffer path = {0}, files[2] = {{.limit = FILE_MAX}, {.limit = FILE_MAX}};
    struct sk_span entries = SK_NONE, found, name;
    uint64_t generation, position;
    enum sk_status status = SK_OK;
    for (unsigned slot = 0; slot < 2 && status == SK_OK; slot++) {
        path_of(log, slot, &path);
        status = sk_file_load(log->io, path.p, &files[slot]);
        if (status == SK_NOT_FOUND || status == SK_TOO_LARGE) status = SK_OK;
        if (status == SK_OK &&
            checkpoints_read(sk_buffer_span(&files[slot]), &generation, &found) &&
            generation > log->checkpoint_generation) {
            log->checkpoint_generation = generation;
            entries = found;
        }
    }
    while (status == SK_OK && checkpoints_next(&entries, &name, &position)) {
        /* A position that recovery has cut away belongs to a disk that lied; what comes next is all
         * there is. */
        if (position > log->durable) position = log->durable;
        checkpoint_add(log, name, position)->durable = position;
    }
    sk_buffer_free(&path);
    sk_buffer_free(&files[0]);
    sk_buffer_free(&files[1]);
    return status;
}

static void on_due(struct sk_timer *timer) {
    checkpoints_write(SK_CONTAINER(timer, struct log, checkpoint_timer));
}

void checkpoint_changed(struct log *log) {
    log->checkpoint_dirty = true;
    if (log->checkpoint_writing || log->closing || sk_timer_running(&log->checkpoint_timer)) return;
    sk_timer_start(log->io, &log->checkpoint_timer, WRITE_EVERY, on_due);
}

static void checkpoints_written(void *arg, enum sk_status status) {
    struct log *log = arg;
    log->checkpoint_writing = false;
    if (status == SK_OK) {
        log->checkpoint_generation++;
        SK_LIST_EACH(&log->checkpoints, node, following) {
            struct checkpoint *checkpoint = SK_CONTAINER(node, struct checkpoint, link);
            checkpoint->durable = checkpoint->flying;
        }
        if (log->options.retain_until_read && !log->closing) log_retain(log);
    } else {
        log->checkpoint_dirty = true; /* the same slot again: the other one is the last good one */
    }
    if (log->checkpoint_dirty) checkpoint_changed(log);
    log_close_soon(log);
}

void checkpoints_write(struct log *log) {
    unsigned slot = (unsigned)((log->checkpoint_generation + 1) & 1);
    log->checkpoint_dirty = false;
    log->checkpoint_writing = true;
    uint32_t count = 0;
    checkpoints_begin(&log->checkpoint_bytes, log->checkpoint_generation + 1);
    SK_LIST_EACH(&log->checkpoints, node, following) {
        struct checkpoint *checkpoint = SK_CONTAINER(node, struct checkpoint, link);
        checkpoint->flying = checkpoint->committed;
        checkpoints_add(&log->checkpoint_bytes, sk_span(checkpoint->name, checkpoint->name_n),
                        checkpoint->flying);
        count++;
    }
    checkpoints_end(&log->checkpoint_bytes, count);
    if (log->checkpoint_files[slot] == NULL) {
        struct sk_buffer path = {0};
        path_of(log, slot, &path);
        enum sk_status status =
            sk_file_open(log->io, path.p, SK_FILE_CREATE, &log->checkpoint_files[slot]);
        sk_buffer_free(&path);
        if (status) {
            checkpoints_written(log, status);
            return;
        }
    }
    sk_file_write_sync(log->checkpoint_files[slot], 0, sk_buffer_span(&log->checkpoint_bytes),
                       checkpoints_written, log);
}

void checkpoints_free(struct log *log) {
    while (!sk_list_empty(&log->checkpoints)) {
        struct checkpoint *checkpoint = SK_LIST_FIRST(&log->checkpoints, struct checkpoint, link);
        sk_list_remove(&checkpoint->link);
        free(checkpoint);
    }
    for (unsigned slot = 0; slot < 2; slot++)
        if (log->checkpoint_files[slot]) sk_file_close(log->checkpoint_files[slot]);
    sk_timer_stop(&log->checkpoint_timer);
    sk_buffer_free(&log->checkpoint_bytes);
}
