/* Recovery: which segments there are, and where the last one really ends. */
#include "store/log/segments/parts.h"

enum { NAME_DIGITS = 20 };

static bool segment_name(struct sk_span name, uint64_t *first) {
    int64_t value;
    if (name.n != NAME_DIGITS + 4 || !sk_span_ends(name, SK_SPAN(".log"))) return false;
    if (name.p[0] == '-' || sk_span_to_int(sk_span_first(name, NAME_DIGITS), &value) || value < 1)
        return false;
    *first = (uint64_t)value;
    return true;
}

static void found(void *arg, struct sk_span name) {
    struct log *log = arg;
    uint64_t first;
    if (segment_name(name, &first)) log_add_segment(log, segment_new(log, first, INT64_MIN, 0));
}

/* Reads a segment's size and header; a header that is not this segment's counts as none (*ours =
 * false). */
static enum sk_status read_header(struct segment *segment, bool *ours) {
    char bytes[SEGMENT_HEADER];
    struct segment_header header;
    size_t got;
    enum sk_status status = segment_enter(segment, SK_FILE_READ);
    if (status) return status;
    status = sk_file_read(segment->file, 0, bytes, sizeof bytes, &got);
    *ours = status == SK_OK && segment_header_read(sk_span(bytes, got), &header) &&
            header.first == segment->first;
    if (*ours) segment->floor_us = header.floor_us;
    segment->end = sk_file_size(segment->file);
    segment_leave(segment);
    return status;
}

/* Whether a record of this sequence may stand at `at`: what its header says fits; its body may
 * be damaged. */
static bool is_header(struct sk_span bytes, size_t at, uint64_t sequence,
                      struct record_header *header) {
    if (at > bytes.n || bytes.n - at < RECORD_HEADER) return false;
    record_header_read(bytes.p + at, header);
    return header->sequence == sequence && header->length <= SK_RECORD_MAX &&
           record_size(header->length) <= bytes.n - at;
}

/* Behind a record that is not whole: is it the torn end of the last write, or damage to what was
 * acknowledged? When a batch was begun, all before it was durable. So a whole record that begins
 * one proves damage; `next` becomes the first whole record. The way there leads from header to
 * header, as a body could hold anything, a forged record too. */
static bool is_damage(struct sk_span tail, uint64_t sequence, struct point *next) {
    struct record_header header;
    *next = (struct point){0};
    for (size_t at = 0; is_header(tail, at, sequence, &header);
         at += record_size(header.length), sequence++) {
        if (at == 0 || !record_intact(tail.p + at, &header)) continue;
        if (next->sequence == 0) *next = (struct point){sequence, header.wall_us, at};
        if (header.begins) return true;
    }
    return false;
}

/* Whether there is a whole record of a later sequence anywhere. */
static bool holds_records(struct sk_span tail, uint64_t sequence) {
    struct record_header header;
    for (size_t at = 8; at + RECORD_HEADER <= tail.n; at += 8) {
        record_header_read(tail.p + at, &header);
        if (header.sequence > sequence && header.sequence - sequence <= tail.n &&
            is_header(tail, at, header.sequence, &header) && record_intact(tail.p + at, &header))
            return true;
    }
    return false;
}

static enum sk_status read_tail(struct segment *segment, uint64_t from, struct sk_buffer *tail) {
    size_t got = 0, n = (size_t)(segment->end - from);
    if (n == 0) return SK_OK;
    enum sk_status status = sk_file_read(segment->file, from, sk_buffer_reserve(tail, n), n, &got);
    tail->n = got;
    return status;
}

/* Nothing tells whether it was acknowledged, so it is not thrown away: a file beside the segment
 * keeps it. */
static enum sk_status keep_tail(const struct segment *segment, uint64_t from, struct sk_span tail) {
    struct sk_buffer path = {0};
    segment_path(segment, &path);
    sk_buffer_print(&path, ".cut-%llu", (unsigned long long)from);
    sk_buffer_byte(&path, 0);
    enum sk_status status = sk_file_save(segment->log->io, path.p, tail, 0600);
    SK_ERROR("log", "%zu bytes behind a damaged record are kept in %s (%s)", tail.n, path.p,
             sk_status_text(status));
    sk_buffer_free(&path);
    return status;
}

/* What to do about a record that is not whole: SK_OK, and `reader` stands behind the damage;
 * SK_MALFORMED, here the segment ends. */
static enum sk_status step_over(struct reader *reader, uint64_t *damaged) {
    struct segment *segment = reader->segment;
    struct sk_buffer bytes = {0};
    struct point next;
    enum sk_status status = read_tail(segment, reader->offset, &bytes);
    struct sk_span tail = sk_buffer_span(&bytes);
    if (status == SK_OK && is_damage(tail, reader->sequence, &next)) {
        SK_ERROR("log", "%s: records %llu to %llu are damaged and were skipped",
                 segment->log->folder, (unsigned long long)reader->sequence,
                 (unsigned long long)next.sequence - 1);
        *damaged += next.sequence - reader->sequence;
        next.offset += reader->offset;
        reader->sequence = next.sequence;
        reader->offset = next.offset;
        segment_put_point(segment, next); /* there readers go on */
    } else if (status == SK_OK) {
        if (holds_records(tail, reader->sequence))
            status = keep_tail(segment, reader->offset, tail);
        if (status == SK_OK) status = SK_MALFORMED;
    }
    sk_buffer_free(&bytes);
    return status;
}

/* Reads records from the segment's start to its end, which is where the last write was torn;
 * builds the index. The log's next sequence and time become those behind it. */
static enum sk_status scan(struct segment *segment, uint64_t *end, uint64_t *damaged) {
    struct log *log = segment->log;
    struct reader reader = {
        .segment = segment, .offset = SEGMENT_HEADER, .sequence = segment->first};
    struct sk_record record;
    enum sk_status status;
    do {
        uint64_t offset = reader.offset;
        status = reader_next(&reader, segment->end, &record);
        if (status == SK_OK) {
            log->durable_wall_us = record.wall_us;
            segment_add_point(segment, (struct point){record.sequence, record.wall_us, offset});
        } else if (status == SK_MALFORMED) {
            status = step_over(&reader, damaged);
        }
    } while (status == SK_OK);
    reader_forget(&reader);
    log->durable = reader.sequence;
    *end = reader.offset;
    return status == SK_MALFORMED ? SK_OK : status;
}

/* The last segment has no header: it was being begun when the power went, so the one before is
 * complete and tells the time. */
static enum sk_status time_from(struct segment *before) {
    uint64_t end, damaged = 0;
    enum sk_status status = segment_enter(before, SK_FILE_READ);
    if (status) return status;
    status = scan(before, &end, &damaged);
    segment_leave(before);
    free(before->points); /* closed segments keep theirs in the footer */
    before->points = NULL;
    before->point_count = before->point_capacity = 0;
    return status;
}

static enum sk_status recover_last(struct log *log, bool has_header, uint64_t *cut_bytes,
                                   uint64_t *damaged) {
    struct segment *last = log_active(log);
    uint64_t end = 0;
    enum sk_status status = segment_enter(last, SK_FILE_CREATE);
    if (status) return status;
    last->has_writer = true;
    log->durable_wall_us = last->floor_us;
    if (has_header) {
        status = scan(last, &end, damaged);
    } else {
        if (log->segment_count > 1) status = time_from(log->segments[log->segment_count - 2]);
        last->floor_us = log->durable_wall_us;
        log->durable = last->first;
    }
    if (status) return status;
    *cut_bytes = last->end - end;
    last->end = end;
    log->tail_was_found = true;
    /* Even without a cut: after a kill the last records may stand in the page cache only, and
     * nobody may see or follow them before they are durable. */
    return sk_file_truncate(last->file, end);
}

enum sk_status log_recover(struct log *log, struct sk_log_recovery *recovery) {
    uint64_t cut_bytes = 0, damaged = 0;
    enum sk_status status = sk_folder_list(log->io, log->folder, found, log);
    for (size_t i = 0; i < log->segment_count && status == SK_OK; i++) {
        struct segment *segment = log->segments[i];
        bool ours;
        status = read_header(segment, &ours);
        if (status) break;
        if (i + 1 == log->segment_count)
            status = recover_last(log, ours, &cut_bytes, &damaged);
        else if (!ours) /* damaged: its records will tell */
            segment->floor_us = i ? log->segments[i - 1]->floor_us : INT64_MIN;
    }
    if (status) return status;
    log->last_wall_us = log->durable_wall_us;
    if (cut_bytes)
        SK_WARN("log", "%s: dropped %llu bytes behind record %llu that were never acknowledged",
                log->folder, (unsigned long long)cut_bytes, (unsigned long long)log->durable - 1);
    if (recovery)
        *recovery = (struct sk_log_recovery){
            .records = log->durable - log_first_sequence(log),
            .cut_bytes = cut_bytes,
            .damaged = damaged,
            .next_sequence = log->durable,
        };
    return SK_OK;
}
