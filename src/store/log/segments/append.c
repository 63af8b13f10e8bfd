/* Appending: records gather in a batch while the one before is written and synced, in two buffers
 * that take turns.
 *
 * A batch that fails gives its sequences back: the records gathered behind it are renumbered
 * (nobody has been told their numbers yet), and before anything else is written the segment is cut
 * back to its last durable record. So what a failed write may have left on the disk can never stand
 * behind an acknowledged record. */
#include "store/log/segments/parts.h"

enum { KEEP_BYTES = 16 * 1024 }; /* a batch's buffer that the log keeps while it is idle */
#define RETRY_AFTER (100 * SK_MS)

/* ---- batches ---- */

static void batch_reset(struct batch *batch, bool idle) {
    if (idle) sk_buffer_shrink(&batch->bytes, KEEP_BYTES);
    batch->bytes.n = 0;
    batch->count = batch->point_count = batch->next_point = 0;
}

static void batch_free(struct batch *batch) {
    sk_buffer_free(&batch->bytes);
    free(batch->waiters);
    free(batch->points);
}

static size_t batch_bytes(const struct batch *batch) {
    return batch->bytes.n > SEGMENT_HEADER ? batch->bytes.n - SEGMENT_HEADER : 0;
}

static void add_candidate(struct batch *batch, uint64_t sequence, int64_t wall_us, size_t offset) {
    if (batch->point_count == batch->point_capacity) {
        batch->point_capacity = batch->point_capacity ? batch->point_capacity * 2 : 16;
        batch->points = sk_realloc(batch->points, batch->point_capacity * sizeof *batch->points);
    }
    batch->points[batch->point_count++] = (struct point){sequence, wall_us, offset};
    batch->next_point = offset + INDEX_STRIDE;
}

/* Gives the records of a batch the sequences from `first` on, after those before them have failed.
 */
static void renumber(struct batch *batch, uint64_t first) {
    uint64_t sequence = first;
    struct record_header header;
    for (size_t at = SEGMENT_HEADER; at < batch->bytes.n; at += record_size(header.length)) {
        char *record = batch->bytes.p + at;
        record_header_read(record, &header);
        header.sequence = sequence++;
        record_seal(record, &header);
    }
    SK_ASSERT(sequence - first == batch->count);
    uint64_t back = batch->point_count ? batch->points[0].sequence - first : 0;
    for (size_t i = 0; i < batch->point_count; i++) batch->points[i].sequence -= back;
}

/* ---- writing ---- */

static void batch_ended(struct log *log, enum sk_status status);

static void on_written(void *arg, enum sk_status status) {
    batch_ended(arg, status);
}

static void on_refused(struct sk_task *task) {
    struct log *log = SK_CONTAINER(task, struct log, refused_task);
    batch_ended(log, log->refused);
}

/* Begins a new segment behind the active one, which is complete. Its header travels with the first
 * batch. */
static enum sk_status begin_segment(struct log *log) {
    struct segment *segment = segment_new(log, log->durable, log->durable_wall_us, 0);
    segment->shift_us = log_clock_lag(log);
    enum sk_status status = segment_enter(segment, SK_FILE_CREATE);
    if (status == SK_OK && sk_file_size(segment->file)) status = sk_file_truncate(segment->file, 0);
    if (status) {
        segment_free(segment);
        return status;
    }
    segment->has_writer = true;
    log->tail_was_found = false;
    log_add_segment(log, segment);
    return SK_OK;
}

/* Takes what a failed write may have left behind the last durable record off the disk. */
static enum sk_status cut_back(struct log *log) {
    const struct segment *active = log_active(log);
    enum sk_status status = log->cut_needed ? sk_file_truncate(active->file, active->end) : SK_OK;
    if (status == SK_OK) log->cut_needed = false;
    return status;
}

static enum sk_status prepare_segment(struct log *log) {
    const struct segment *active = log_active(log);
    enum sk_status status = cut_back(log);
    if (status) return status;
    bool empty = active && active->first == log->durable,
         wanted = log->roll_wanted || log->tail_was_found;
    if (empty || (active && active->end < log->options.segment_bytes && !wanted)) return SK_OK;
    return begin_segment(log);
}

/* Sequences grow by one: what is written begins where what is durable ends. */
static bool begins_at(const struct batch *batch, uint64_t sequence) {
    struct record_header header;
    if (batch->count == 0) return true;
    record_header_read(batch->bytes.p + SEGMENT_HEADER, &header);
    return header.sequence == sequence;
}

static void write_batch(struct log *log) {
    if (log->is_writing || (log->gathering.count == 0 && !log->roll_wanted)) return;
    struct batch batch = log->gathering;
    log->gathering = log->writing;
    log->writing = batch;
    log->is_writing = true;
    sk_timer_stop(&log->retry_timer);
    enum sk_status status = prepare_segment(log);
    log->roll_wanted = false;
    if (status) {
        log->refused = status;
        sk_io_defer(log->io, &log->refused_task, on_refused);
        return;
    }
    struct segment *active = log_active(log);
    struct sk_buffer *bytes = &log->writing.bytes;
    SK_ASSERT(!log->cut_needed && begins_at(&log->writing, log->durable));
    if (bytes->n == 0)
        bytes->n = sk_buffer_reserve(bytes, SEGMENT_HEADER) ? SEGMENT_HEADER : 0; /* only to roll */
    struct sk_span all = sk_buffer_span(bytes);
    if (active->end)
        all = sk_span_skip(all, SEGMENT_HEADER);
    else
        segment_header_write(bytes->p, &(struct segment_header){active->first, active->floor_us});
    sk_file_write_sync(active->file, active->end, all, on_written, log);
}

void log_flush(struct sk_task *task) {
    struct log *log = SK_CONTAINER(task, struct log, flush_task);
    write_batch(log);
    cursors_wake(log, &log->waiting_early);
}

static void on_retry(struct sk_timer *timer) {
    write_batch(SK_CONTAINER(timer, struct log, retry_timer));
}

/* The written batch is durable: the segment has grown. */
static void batch_durable(struct log *log) {
    struct segment *active = log_active(log);
    struct batch *batch = &log->writing;
    SK_ASSERT(active && active->first <= log->durable);
    bool opened = active->end == 0;
    uint64_t start = opened ? SEGMENT_HEADER : active->end;
    active->end = start + batch_bytes(batch);
    for (size_t i = 0; i < batch->point_count; i++) {
        struct point point = batch->points[i];
        point.offset += start;
        segment_add_point(active, point);
    }
    log->durable += batch->count;
    if (batch->count) log->durable_wall_us = batch->last_wall_us;
    early_settle(log);
    if (!opened || log->segment_count < 2) return;
    /* Only now is the segment before surely not the last one any more, so that recovery never takes
     * a footer for records. */
    struct segment *before = log->segments[log->segment_count - 2];
    if (before->has_writer) {
        before->has_writer = false;
        segment_write_footer(before);
    }
    log_retain(log);
}

static void batch_failed(struct log *log) {
    log->cut_needed = log_active(log) != NULL;
    /* At once: should the process die, the next one would find the records; if it fails, before the
     * next write. */
    cut_back(log);
    renumber(&log->gathering, log->durable);
    early_take_back(log);
}

static void batch_ended(struct log *log, enum sk_status status) {
    SK_ASSERT(log->is_writing);
    log->is_writing = false;
    bool was_in_doubt = log->in_doubt;
    if (status == SK_OK)
        batch_durable(log);
    else
        batch_failed(log);
    struct waiter *waiters = log->writing.waiters;
    size_t count = log->writing.count, capacity = log->writing.capacity;
    uint64_t first = log->durable - (status == SK_OK ? count : 0);
    log->writing.waiters = log->spare;
    log->writing.capacity = log->spare_capacity;
    log->spare = NULL;
    log->spare_capacity = 0;
    batch_reset(&log->writing, log->gathering.count == 0);
    /* The disk first: it works while the waiters are told. After a failure it gets time to recover.
     */
    if (status == SK_OK)
        write_batch(log);
    else if (!log->closing)
        sk_timer_start(log->io, &log->retry_timer, RETRY_AFTER, on_retry);
    for (size_t i = 0; i < count; i++)
        if (waiters[i].done) waiters[i].done(waiters[i].arg, status, first + i);
    log->spare = waiters;
    log->spare_capacity = capacity;
    if (log->gathering.count == 0 && capacity > KEEP_BYTES / sizeof *waiters) {
        free(log->spare);
        log->spare = NULL;
        log->spare_capacity = 0;
    }
    if (status == SK_OK && count) cursors_wake(log, &log->waiting);
    if (status == SK_OK && was_in_doubt) cursors_wake(log, &log->waiting_early);
    log_close_soon(log);
}

/* ---- appending ---- */

static enum sk_status begin_batch(struct log *log) {
    /* Asked once a batch: the queue's limit bounds what can come in between. */
    if (sk_disk_free(log->io, log->folder) < log->options.keep_free_bytes) return SK_NO_SPACE;
    log_clock(log);
    struct sk_buffer *bytes = &log->gathering.bytes;
    memset(sk_buffer_reserve(bytes, SEGMENT_HEADER), 0, SEGMENT_HEADER);
    bytes->n = SEGMENT_HEADER;
    return SK_OK;
}

static void add_waiter(struct batch *batch, sk_log_done *done, void *arg) {
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? batch->capacity * 2 : 64;
        batch->waiters = sk_realloc(batch->waiters, batch->capacity * sizeof *batch->waiters);
    }
    batch->waiters[batch->count++] = (struct waiter){done, arg};
}

enum sk_status log_append(struct sk_log *seen, const struct sk_span *parts, size_t count,
                          uint64_t routes, sk_log_done *done, void *arg) {
    struct log *log = log_of(seen);
    struct batch *batch = &log->gathering;
    if (log->closing) return SK_CLOSED;
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n > SK_RECORD_MAX - length) return SK_TOO_LARGE;
        length += parts[i].n;
    }
    size_t size = record_size(length),
           queued = batch_bytes(batch) + (log->is_writing ? batch_bytes(&log->writing) : 0);
    if (queued && queued + size > log->options.queue_bytes) return SK_AGAIN;
    if (batch->count == 0) {
        enum sk_status status = begin_batch(log);
        if (status) return status;
    }
    char *record = sk_buffer_reserve(&batch->bytes, size), *to = record + RECORD_HEADER;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].n) memcpy(to, parts[i].p, parts[i].n);
        to += parts[i].n;
    }
    memset(to, 0, (size_t)(record + size - to));
    int64_t now = sk_io_wall(log->io);
    if (now > log->last_wall_us) log->last_wall_us = now;
    uint64_t sequence = log->durable + (log->is_writing ? log->writing.count : 0) + batch->count;
    record_seal(record, &(struct record_header){.length = (uint32_t)length,
                                                .begins = batch->count == 0,
                                                .sequence = sequence,
                                                .wall_us = log->last_wall_us,
                                                .routes = routes});
    size_t offset = batch->bytes.n - SEGMENT_HEADER;
    if (offset >= batch->next_point) add_candidate(batch, sequence, log->last_wall_us, offset);
    batch->bytes.n += size;
    batch->last_wall_us = log->last_wall_us;
    add_waiter(batch, done, arg);
    log_flush_soon(log);
    return SK_OK;
}

/* ---- the end ---- */

/* The batch that nobody has begun to write and, after a failure, nobody will. */
static void refuse_gathering(struct log *log) {
    struct batch batch = log->gathering;
    log->gathering = (struct batch){0};
    for (size_t i = 0; i < batch.count; i++)
        if (batch.waiters[i].done) batch.waiters[i].done(batch.waiters[i].arg, SK_CLOSED, 0);
    batch_free(&batch);
}

bool log_appended_all(struct log *log) {
    if (log->is_writing) return false;
    if (log->gathering.count && !log->cut_needed) {
        write_batch(log);
        return false;
    }
    refuse_gathering(log);
    cut_back(log);
    return true;
}

void log_batches_free(struct log *log) {
    SK_ASSERT(!log->is_writing && log->gathering.count == 0 && log->writing.count == 0);
    sk_io_undefer(&log->flush_task);
    sk_io_undefer(&log->refused_task);
    sk_timer_stop(&log->retry_timer);
    batch_free(&log->gathering);
    batch_free(&log->writing);
    free(log->spare);
}
