/* Reading the log: each cursor at its own place, through its own bounded window. */
#include "store/log/segments/parts.h"

/* A cursor with a `readable` gives the loop back after skipping this much for records that it
 * wants. */
enum { SKIP_BYTES = 1024 * 1024, NAME_MAX_BYTES = 1024 };

static struct cursor *cursor_of(const struct sk_cursor *seen) {
    return (struct cursor *)seen;
}

static void unplace(struct cursor *cursor) {
    if (cursor->reader.segment) segment_leave(cursor->reader.segment);
    cursor->reader.segment = NULL;
    reader_forget(&cursor->reader);
}

/* ---- opening and closing ---- */

static const struct sk_cursor_ops ops;

enum sk_status log_cursor_open(struct sk_log *seen, const char *name, uint64_t routes,
                               uint64_t from, void (*readable)(void *arg), void *arg,
                               struct sk_cursor **result) {
    struct log *log = log_of(seen);
    if (log->closing) return SK_CLOSED;
    struct sk_span key = sk_span_z(name);
    if (key.n > NAME_MAX_BYTES) return SK_TOO_LARGE;
    struct checkpoint *checkpoint = name ? checkpoint_find(log, key) : NULL;
    if (checkpoint && checkpoint->cursor) return SK_EXISTS;
    uint64_t first = log_first_sequence(log);
    if (from < first) from = first;
    if (from > log->durable) from = log->durable;
    if (name && checkpoint == NULL) {
        checkpoint = checkpoint_add(log, key, from);
        checkpoint_changed(log);
    }
    struct cursor *cursor = SK_NEW(struct cursor);
    cursor->seen.ops = &ops;
    cursor->log = log;
    cursor->checkpoint = checkpoint;
    cursor->routes = routes;
    cursor->readable = readable;
    cursor->arg = arg;
    cursor->position = cursor->delivered = cursor->done = checkpoint ? checkpoint->committed : from;
    cursor->from_wall_us = INT64_MIN;
    if (checkpoint) checkpoint->cursor = cursor;
    sk_list_init(&cursor->wait);
    sk_list_init(&cursor->early.link);
    sk_list_append(&log->cursors, &cursor->link);
    *result = &cursor->seen;
    return SK_OK;
}

static void close_cursor(struct sk_cursor *seen) {
    struct cursor *cursor = cursor_of(seen);
    unplace(cursor);
    early_forget(cursor);
    sk_timer_stop(&cursor->resume_timer);
    sk_list_remove(&cursor->early.link);
    sk_list_remove(&cursor->wait);
    sk_list_remove(&cursor->link);
    if (cursor->checkpoint) cursor->checkpoint->cursor = NULL;
    free(cursor);
}

void cursors_free(struct log *log) {
    while (!sk_list_empty(&log->cursors))
        close_cursor(&SK_LIST_FIRST(&log->cursors, struct cursor, link)->seen);
}

void log_forget_cursor(struct sk_log *seen, const char *name) {
    struct log *log = log_of(seen);
    struct checkpoint *checkpoint = checkpoint_find(log, sk_span_z(name));
    if (checkpoint == NULL || checkpoint->cursor) return;
    sk_list_remove(&checkpoint->link);
    free(checkpoint);
    log->commits++;
    checkpoint_changed(log);
}

bool cursors_want(const struct log *log, const struct sk_record *record) {
    SK_LIST_EACH(&log->checkpoints, node, following) {
        const struct checkpoint *checkpoint = SK_CONTAINER(node, struct checkpoint, link);
        const struct cursor *cursor = checkpoint->cursor;
        if (record->sequence >= checkpoint->committed &&
            (cursor == NULL || record->routes & cursor->routes))
            return true;
    }
    return false;
}

void cursors_leave(struct log *log, const struct segment *segment) {
    SK_LIST_EACH(&log->cursors, node, following) {
        struct cursor *cursor = SK_CONTAINER(node, struct cursor, link);
        if (cursor->reader.segment == segment) unplace(cursor);
    }
}

/* ---- waiting ---- */

void cursors_wake(struct log *log, struct sk_list *waiting) {
    /* Those that wait now; one that comes to the end again while it is told waits for the next
     * time. */
    while (!sk_list_empty(waiting)) {
        struct sk_list *node = waiting->next;
        sk_list_remove(node);
        sk_list_append(&log->waking, node);
    }
    while (!sk_list_empty(&log->waking)) {
        struct cursor *cursor = SK_LIST_FIRST(&log->waking, struct cursor, wait);
        sk_list_remove(&cursor->wait);
        cursor->readable(cursor->arg);
    }
}

static void wait_for_more(struct cursor *cursor) {
    struct log *log = cursor->log;
    reader_forget(&cursor->reader);
    early_forget(cursor);
    if (cursor->readable && sk_list_empty(&cursor->wait))
        sk_list_append(cursor_is_early(cursor) ? &log->waiting_early : &log->waiting,
                       &cursor->wait);
}

static void on_resume(struct sk_timer *timer) {
    struct cursor *cursor = SK_CONTAINER(timer, struct cursor, resume_timer);
    cursor->readable(cursor->arg);
}

/* ---- finding the place ---- */

/* The last point that is at or before the sequence and before the time. */
static struct point best_point(struct segment *segment, uint64_t sequence, int64_t from_wall_us) {
    struct point best = {segment->first, segment->floor_us, SEGMENT_HEADER}, *points;
    size_t low = 0, high;
    bool owned;
    segment_points(segment, &points, &high, &owned);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct point *point = &points[middle];
        if (point->sequence <= sequence ||
            (from_wall_us != INT64_MIN && point->wall_us < from_wall_us)) {
            best = *point;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (owned) free(points);
    return best;
}

/* Enters the segment that holds the cursor's position. */
static enum sk_status place(struct cursor *cursor) {
    struct log *log = cursor->log;
    size_t i = log_find_segment(log, cursor->position);
    if (cursor->from_wall_us !=
        INT64_MIN) /* a segment's newest record has the time that the next one calls its floor */
        while (i + 1 < log->segment_count && log->segments[i + 1]->floor_us < cursor->from_wall_us)
            i++;
    struct segment *segment = log->segments[i];
    enum sk_status status = segment_enter(segment, SK_FILE_READ);
    if (status) return status == SK_NOT_FOUND ? SK_IO : status;
    struct point point = best_point(segment, cursor->position, cursor->from_wall_us);
    if (point.sequence < segment->first || point.offset < SEGMENT_HEADER)
        point = (struct point){segment->first, segment->floor_us, SEGMENT_HEADER};
    cursor->reader.segment = segment;
    cursor->reader.offset = point.offset;
    cursor->reader.sequence = point.sequence;
    if (cursor->position < segment->first) cursor->position = segment->first;
    return SK_OK;
}

/* Something in a segment cannot be read: continues at the next point of its index, or at the next
 * segment. */
static void step_over_damage(struct cursor *cursor, uint64_t stop) {
    struct reader *reader = &cursor->reader;
    struct point *points, next = {.sequence = stop};
    size_t count;
    bool owned;
    segment_points(reader->segment, &points, &count, &owned);
    for (size_t i = 0; i < count; i++)
        if (points[i].sequence > reader->sequence && points[i].offset > reader->offset &&
            points[i].sequence < stop) {
            next = points[i];
            break;
        }
    if (owned) free(points);
    uint64_t from = reader->sequence > cursor->position ? reader->sequence : cursor->position;
    if (next.sequence > from) cursor->lost += next.sequence - from;
    SK_ERROR("log", "%s: records %llu to %llu are damaged and were skipped", cursor->log->folder,
             (unsigned long long)reader->sequence, (unsigned long long)next.sequence - 1);
    if (next.sequence > cursor->position) cursor->position = next.sequence;
    if (next.offset) {
        reader->offset = next.offset;
        reader->sequence = next.sequence;
    } else {
        unplace(cursor);
    }
}

/* ---- reading ---- */

void cursor_settle(struct cursor *cursor) {
    struct log *log = cursor->log;
    struct checkpoint *checkpoint = cursor->checkpoint;
    uint64_t done = cursor->done < log->durable ? cursor->done : log->durable;
    if (checkpoint == NULL || done == checkpoint->committed) return;
    checkpoint->committed = done;
    log->commits++;
    checkpoint_changed(log);
}

/* Records that were passed over because they are for others count as done with, once all that was
 * given out is. */
static void passed(struct cursor *cursor) {
    if (cursor->done < cursor->delivered || cursor->position <= cursor->done) return;
    cursor->done = cursor->position;
    cursor_settle(cursor);
}

/* Goes behind the record; whether it is one that the cursor wants. */
static bool take(struct cursor *cursor, const struct sk_record *record) {
    cursor->position = record->sequence + 1;
    if (record->wall_us >= cursor->from_wall_us) {
        cursor->from_wall_us = INT64_MIN;
        if (record->routes & cursor->routes || cursor->routes == UINT64_MAX) {
            cursor->delivered = cursor->position;
            return true;
        }
    }
    passed(cursor);
    return false;
}

/* The next record that is not durable yet; `at`: where the durable ones end. */
static enum sk_status next_early(struct cursor *cursor, uint64_t at, struct sk_record *record) {
    if (cursor_is_early(cursor)) {
        unplace(cursor);
        cursor->position = at;
    }
    while (early_read(cursor, cursor->position, record)) {
        if (!take(cursor, record)) continue;
        early_keep(cursor, record);
        return SK_OK;
    }
    wait_for_more(cursor);
    return SK_AGAIN;
}

static enum sk_status next(struct sk_cursor *seen, struct sk_record *record) {
    struct cursor *cursor = cursor_of(seen);
    struct log *log = cursor->log;
    struct reader *reader = &cursor->reader;
    uint64_t skipped = 0, first = log_first_sequence(log);
    if (reader->segment && reader->segment->dropped) unplace(cursor);
    if (cursor->position < first) {
        cursor->lost += first - cursor->position;
        cursor->position = first;
        return SK_NOT_FOUND;
    }
    for (;;) {
        uint64_t at = reader->segment && reader->sequence > cursor->position ? reader->sequence
                                                                             : cursor->position;
        if (at >= log->durable) return next_early(cursor, at, record);
        if (reader->segment == NULL) {
            enum sk_status status = place(cursor);
            if (status) return status;
        }
        struct segment *segment = reader->segment;
        uint64_t stop = log->durable;
        if (segment != log_active(log))
            stop = log->segments[log_find_segment(log, segment->first) + 1]->first;
        if (reader->sequence >= stop) {
            cursor->position = stop > cursor->position ? stop : cursor->position;
            unplace(cursor);
            continue;
        }
        uint64_t offset = reader->offset;
        enum sk_status status = reader_next(reader, segment->end, record);
        if (status == SK_MALFORMED) {
            step_over_damage(cursor, stop);
            return SK_NOT_FOUND;
        }
        if (status) return status;
        skipped += reader->offset - offset;
        if (record->sequence < cursor->position) continue;
        SK_ASSERT(record->sequence < log->durable);
        if (take(cursor, record)) return SK_OK;
        if (cursor->readable && skipped > SKIP_BYTES) {
            sk_timer_start(log->io, &cursor->resume_timer, 0, on_resume);
            return SK_AGAIN;
        }
    }
}

static int64_t age(struct sk_cursor *seen, const struct sk_record *record) {
    return log_age(cursor_of(seen)->log, record);
}

static uint64_t lost(const struct sk_cursor *seen) {
    return cursor_of(seen)->lost;
}

static uint64_t position(const struct sk_cursor *seen) {
    return cursor_of(seen)->position;
}

static void seek(struct sk_cursor *seen, uint64_t sequence) {
    struct cursor *cursor = cursor_of(seen);
    unplace(cursor);
    uint64_t first = log_first_sequence(cursor->log), end = cursor_end(cursor);
    if (sequence < first) sequence = first;
    cursor->position = cursor->delivered = sequence < end ? sequence : end;
    cursor->from_wall_us = INT64_MIN;
}

static void seek_time(struct sk_cursor *seen, int64_t wall_us) {
    seek(seen, 0);
    cursor_of(seen)->from_wall_us = wall_us;
}

static void commit(struct sk_cursor *seen, uint64_t sequence) {
    struct cursor *cursor = cursor_of(seen);
    uint64_t end = cursor_end(cursor);
    cursor->done = sequence < end ? sequence : end;
    cursor_settle(cursor);
}

static uint64_t committed(const struct sk_cursor *seen) {
    const struct checkpoint *checkpoint = cursor_of(seen)->checkpoint;
    return checkpoint ? checkpoint->committed : 0;
}

static void set_routes(struct sk_cursor *seen, uint64_t routes) {
    cursor_of(seen)->routes = routes;
}

static const struct sk_cursor_ops ops = {.next = next,
                                         .age = age,
                                         .lost = lost,
                                         .position = position,
                                         .seek = seek,
                                         .seek_time = seek_time,
                                         .commit = commit,
                                         .committed = committed,
                                         .early = cursor_read_early,
                                         .routes = set_routes,
                                         .close = close_cursor};
