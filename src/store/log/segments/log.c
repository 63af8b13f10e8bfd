/* A log's life: opening and closing. */
#include "store/log/segments/parts.h"

static void free_log(struct log *log) {
    sk_io_undefer(&log->close_task);
    sk_timer_stop(&log->retention_timer);
    cursors_free(log);
    checkpoints_free(log);
    for (size_t i = 0; i < log->segment_count; i++) segment_free(log->segments[i]);
    free(log->segments);
    log_batches_free(log);
    free(log->folder);
    free(log);
}

/* Closing goes on whenever something that it waits for has ended. */
static void close_step(struct sk_task *task) {
    struct log *log = SK_CONTAINER(task, struct log, close_task);
    if (!log_appended_all(log) || log->checkpoint_writing || log->footers) return;
    if (log->checkpoint_dirty && !log->last_checkpoint_tried) {
        log->last_checkpoint_tried = true;
        checkpoints_write(log);
        return;
    }
    void (*closed)(void *arg) = log->closed;
    void *arg = log->closed_arg;
    free_log(log);
    if (closed) closed(arg);
}

static void close_log(struct sk_log *seen, void (*closed)(void *arg), void *arg) {
    struct log *log = log_of(seen);
    log->closing = true;
    log->closed = closed;
    log->closed_arg = arg;
    cursors_free(log);
    sk_timer_stop(&log->retry_timer);
    sk_timer_stop(&log->retention_timer);
    sk_timer_stop(&log->checkpoint_timer);
    log_close_soon(log);
}

static uint64_t first_sequence(const struct sk_log *seen) {
    return log_first_sequence(log_of(seen));
}

static uint64_t next_sequence(const struct sk_log *seen) {
    return log_of(seen)->durable;
}

static int64_t passed(const struct sk_log *seen) {
    const struct log *log = log_of(seen);
    const struct batch *first =
        log->is_writing && log->writing.count ? &log->writing : &log->gathering;
    struct record_header header;
    if (first->count) {
        record_header_read(first->bytes.p + SEGMENT_HEADER, &header);
        return header.wall_us;
    }
    int64_t now = sk_io_wall(log->io);
    return now > log->last_wall_us ? now : log->last_wall_us;
}

static uint64_t bytes(const struct sk_log *seen) {
    return log_bytes(log_of(seen));
}

static const struct sk_log_ops ops = {.close = close_log,
                                      .append = log_append,
                                      .first_sequence = first_sequence,
                                      .next_sequence = next_sequence,
                                      .passed = passed,
                                      .bytes = bytes,
                                      .forget_cursor = log_forget_cursor,
                                      .compact = log_compact,
                                      .limit = log_limit,
                                      .keep = log_keep,
                                      .cursor_open = log_cursor_open};

enum sk_status sk_log_segments_open(struct sk_io *io, const struct sk_log_segments_options *options,
                                    struct sk_log **result, struct sk_log_recovery *recovery) {
    struct log *log = SK_NEW(struct log);
    log->seen.ops = &ops;
    log->io = io;
    log->flush = log_flush;
    log->close = close_step;
    log->options = *options;
    if (!log->options.segment_bytes) log->options.segment_bytes = 64 << 20;
    if (!log->options.keep_free_bytes) log->options.keep_free_bytes = 16 << 20;
    if (!log->options.queue_bytes) log->options.queue_bytes = 64 << 20;
    log->folder = sk_span_dup(sk_span_z(options->folder));
    log->options.folder = log->folder;
    log->durable = log->commits = 1;
    log->last_wall_us = log->durable_wall_us = INT64_MIN;
    sk_list_init(&log->cursors);
    sk_list_init(&log->early);
    sk_list_init(&log->waiting);
    sk_list_init(&log->waiting_early);
    sk_list_init(&log->waking);
    sk_list_init(&log->checkpoints);
    enum sk_status status = sk_folder_make(io, log->folder, 0700);
    if (status == SK_OK) status = log_recover(log, recovery);
    if (status == SK_OK) status = checkpoints_open(log);
    if (status) {
        free_log(log);
        return status;
    }
    uint64_t room = sk_disk_free(io, log->folder);
    if (room < log->options.keep_free_bytes)
        SK_WARN("log", "%s: its disk has %llu KB free; nothing is taken before there are %llu",
                log->folder, (unsigned long long)room / 1024,
                (unsigned long long)log->options.keep_free_bytes / 1024);
    log_clock_start(log);
    log_retention_start(log);
    *result = &log->seen;
    return SK_OK;
}
