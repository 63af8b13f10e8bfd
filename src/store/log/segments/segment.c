/* Segment files: opening and closing, the sparse index, and reading records in order. */
#include "store/log/segments/parts.h"

enum { READ_AHEAD = 64 * 1024 };

struct segment *segment_new(struct log *log, uint64_t first, int64_t floor_us, uint64_t end) {
    struct segment *segment = SK_NEW(struct segment);
    segment->log = log;
    segment->first = first;
    segment->floor_us = floor_us;
    segment->end = end;
    return segment;
}

void segment_free(struct segment *segment) {
    if (segment->file) sk_file_close(segment->file);
    free(segment->points);
    free(segment);
}

void segment_path(const struct segment *segment, struct sk_buffer *path) {
    sk_buffer_print(path, "%s/%020llu.log", segment->log->folder,
                    (unsigned long long)segment->first);
}

enum sk_status segment_enter(struct segment *segment, enum sk_file_mode mode) {
    if (segment->file == NULL) {
        struct sk_buffer path = {0};
        segment_path(segment, &path);
        enum sk_status status = sk_file_open(segment->log->io, path.p, mode, &segment->file);
        sk_buffer_free(&path);
        if (status) return status;
    }
    segment->users++;
    return SK_OK;
}

void segment_leave(struct segment *segment) {
    if (--segment->users) return;
    if (segment->file) sk_file_close(segment->file);
    segment->file = NULL;
    if (segment->dropped) segment_free(segment);
}

/* ---- the index ---- */

void segment_add_point(struct segment *segment, struct point point) {
    if (segment->point_count == 0 ||
        point.offset >= segment->points[segment->point_count - 1].offset + INDEX_STRIDE)
        segment_put_point(segment, point);
}

void segment_put_point(struct segment *segment, struct point point) {
    if (segment->point_count == segment->point_capacity) {
        segment->point_capacity = segment->point_capacity ? segment->point_capacity * 2 : 16;
        segment->points =
            sk_realloc(segment->points, segment->point_capacity * sizeof *segment->points);
    }
    segment->points[segment->point_count++] = point;
}

/* Reads the footer. It only saves time, so anything odd about it means that there is none. */
static bool read_footer(struct segment *segment, struct point **points, size_t *count) {
    char trailer[FOOTER_TRAILER];
    size_t got, bytes;
    uint64_t records_end, size = sk_file_size(segment->file);
    if (size < SEGMENT_HEADER + FOOTER_TRAILER) return false;
    if (sk_file_read(segment->file, size - sizeof trailer, trailer, sizeof trailer, &got) ||
        got != sizeof trailer)
        return false;
    if (!footer_trailer(sk_span(trailer, sizeof trailer), &bytes, &records_end)) return false;
    if (bytes > size || records_end != size - bytes) return false;
    char *footer SK_CLEANUP_FREE = sk_alloc(bytes);
    if (sk_file_read(segment->file, records_end, footer, bytes, &got) || got != bytes) return false;
    return footer_read(sk_span(footer, bytes), points, count);
}

void segment_points(struct segment *segment, struct point **points, size_t *count, bool *owned) {
    *points = segment->points;
    *count = segment->point_count;
    *owned = false;
    if (segment->points || segment == log_active(segment->log)) return;
    *count = 0;
    *owned = read_footer(segment, points, count);
}

struct footer {
    struct segment *segment;
    struct sk_buffer bytes;
};

static void footer_written(void *arg, enum sk_status status) {
    struct footer *footer = arg;
    struct segment *segment = footer->segment;
    struct log *log = segment->log;
    if (status == SK_OK)
        segment->end += footer->bytes.n; /* else readers find their way without it */
    free(segment->points);
    segment->points = NULL;
    segment->point_count = segment->point_capacity = 0;
    sk_buffer_free(&footer->bytes);
    free(footer);
    segment_leave(segment);
    log->footers--;
    log_close_soon(log);
}

void segment_write_footer(struct segment *segment) {
    struct footer *footer = SK_NEW(struct footer);
    footer->segment = segment;
    footer_write(&footer->bytes, segment->points, segment->point_count, segment->end);
    segment->log->footers++;
    sk_file_write_sync(segment->file, segment->end, sk_buffer_span(&footer->bytes), footer_written,
                       footer);
}

/* ---- reading ---- */

/* Makes [offset, offset + n) stand in the window; SK_MALFORMED when the file ends before. */
static enum sk_status look_at(struct reader *reader, uint64_t offset, size_t n, uint64_t limit,
                              const char **at) {
    if (offset > limit || n > limit - offset) return SK_MALFORMED;
    if (offset < reader->window_offset || offset + n > reader->window_offset + reader->n) {
        size_t wanted = limit - offset < READ_AHEAD ? (size_t)(limit - offset) : READ_AHEAD;
        if (wanted < n) wanted = n;
        if (wanted > reader->capacity) {
            free(reader->window);
            reader->window = sk_realloc(NULL, wanted); /* not zeroed */
            reader->capacity = wanted;
        }
        reader->window_offset = offset;
        reader->n = 0;
        enum sk_status status =
            sk_file_read(reader->segment->file, offset, reader->window, wanted, &reader->n);
        if (status) {
            reader->n = 0;
            return status;
        }
        if (reader->n < n) return SK_MALFORMED;
    }
    *at = reader->window + (offset - reader->window_offset);
    return SK_OK;
}

enum sk_status reader_next(struct reader *reader, uint64_t limit, struct sk_record *record) {
    const char *at;
    struct record_header header;
    enum sk_status status = look_at(reader, reader->offset, RECORD_HEADER, limit, &at);
    if (status) return status;
    record_header_read(at, &header);
    if (header.length > SK_RECORD_MAX || header.sequence != reader->sequence) return SK_MALFORMED;
    size_t size = record_size(header.length);
    status = look_at(reader, reader->offset, size, limit, &at);
    if (status) return status;
    if (!record_intact(at, &header)) return SK_MALFORMED;
    *record = (struct sk_record){
        .sequence = header.sequence,
        .wall_us = header.wall_us,
        .routes = header.routes,
        .body = sk_span(at + RECORD_HEADER, header.length),
    };
    reader->offset += size;
    reader->sequence++;
    return SK_OK;
}

void reader_forget(struct reader *reader) {
    free(reader->window);
    reader->window = NULL;
    reader->capacity = reader->n = 0;
    reader->window_offset = 0;
}
