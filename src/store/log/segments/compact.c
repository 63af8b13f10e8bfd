/* Compaction: a closed segment is written anew, and what every named cursor is done with has lost
 * its body and its bits there. A record keeps its sequence and its time, for the format knows no
 * gaps; without a body it takes 32 bytes. */
#include "store/log/segments/parts.h"

/* Appends a record as it stands in a file; all of them begin a batch: what is written here was
 * durable, so behind damage there is no torn write. */
static void put_record(struct sk_buffer *to, const struct sk_record *record) {
    size_t size = record_size(record->body.n);
    char *at = sk_buffer_reserve(to, size);
    memset(at, 0, size);
    if (record->body.n) memcpy(at + RECORD_HEADER, record->body.p, record->body.n);
    record_seal(at, &(struct record_header){.length = (uint32_t)record->body.n,
                                            .begins = true,
                                            .sequence = record->sequence,
                                            .wall_us = record->wall_us,
                                            .routes = record->routes});
    to->n += size;
}

/* The segment as it would be; false: it cannot be read as a whole. The segment is entered. */
static bool write_anew(struct log *log, struct segment *segment, uint64_t stop,
                       struct sk_buffer *to) {
    struct reader reader = {
        .segment = segment, .offset = SEGMENT_HEADER, .sequence = segment->first};
    struct sk_record record;
    enum sk_status status = SK_OK;
    segment_header_write(sk_buffer_reserve(to, SEGMENT_HEADER),
                         &(struct segment_header){segment->first, segment->floor_us});
    to->n = SEGMENT_HEADER;
    while (reader.sequence < stop &&
           (status = reader_next(&reader, segment->end, &record)) == SK_OK) {
        if (!cursors_want(log, &record)) {
            record.body = SK_NONE;
            record.routes = 0;
        }
        put_record(to, &record);
    }
    reader_forget(&reader);
    return status == SK_OK;
}

static void forget_points(struct segment *segment) {
    free(segment->points);
    segment->points = NULL;
    segment->point_count = segment->point_capacity = 0;
}

/* Bytes that it has freed; 0: it is not worth it, or cannot be done now. */
static uint64_t compact(struct log *log, size_t i) {
    enum { LEAST = 4 /* of that many parts one must be free */ };
    struct segment *segment = log->segments[i];
    struct sk_buffer bytes = {0}, path = {0};
    uint64_t freed = 0;
    cursors_leave(log, segment);
    if (segment->users || segment_enter(segment, SK_FILE_READ)) return 0;
    bool whole = write_anew(log, segment, log->segments[i + 1]->first, &bytes);
    segment_leave(segment);
    segment_path(segment, &path);
    if (whole && bytes.n < segment->end - segment->end / LEAST &&
        sk_file_save(log->io, path.p, sk_buffer_span(&bytes), 0600) == SK_OK) {
        freed = segment->end - bytes.n;
        segment->end = bytes.n;
        forget_points(segment);
    }
    sk_buffer_free(&bytes);
    sk_buffer_free(&path);
    return freed;
}

uint64_t log_compact(struct sk_log *seen) {
    struct log *log = log_of(seen);
    uint64_t before = log_bytes(log), freed = 0;
    if (log->closing || sk_list_empty(&log->checkpoints)) return 0;
    if (log->options.retain_until_read) log_retain(log);
    for (size_t i = 0; i + 1 < log->segment_count && freed == 0; i++) {
        struct segment *segment = log->segments[i];
        if (segment->looked_at == log->commits) continue; /* nothing is done with since */
        segment->looked_at = log->commits;
        freed = compact(log, i);
    }
    return before - log_bytes(log);
}

void log_limit(struct sk_log *seen, uint64_t bytes) {
    enum { PARTS = 16, LEAST_BYTES = 64 * 1024 };
    struct log *log = log_of(seen);
    const struct segment *active = log_active(log);
    uint64_t part = bytes / PARTS > LEAST_BYTES ? bytes / PARTS : LEAST_BYTES;
    if (log->segment_bytes_most == 0) log->segment_bytes_most = log->options.segment_bytes;
    log->options.segment_bytes =
        bytes && part < log->segment_bytes_most ? part : log->segment_bytes_most;
    if (active == NULL || active->end < log->options.segment_bytes ||
        active->first == log->durable || log->closing)
        return;
    log->roll_wanted = true;
    log_flush_soon(log);
}
