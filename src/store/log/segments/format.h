/* The bytes of a log's files; docs/log-format.md describes them. Pure encoding, no I/O. Inside the
 * log only. */
#ifndef SK_STORE_LOG_SEGMENTS_FORMAT_H
#define SK_STORE_LOG_SEGMENTS_FORMAT_H

#include "base/base.h"

enum {
    SEGMENT_HEADER = 32,
    RECORD_HEADER = 32,
    POINT_BYTES = 24,
    FOOTER_TRAILER = 32,
    CHECKPOINT_HEADER = 32,
    INDEX_STRIDE = 64 * 1024, /* bytes of records between two points of the index */
};

struct segment_header {
    uint64_t first;   /* sequence of the segment's first record */
    int64_t floor_us; /* wall time of the record before it; no record here is earlier */
};
void segment_header_write(char to[SEGMENT_HEADER], const struct segment_header *header);
bool segment_header_read(struct sk_span bytes, struct segment_header *header);

struct record_header {
    uint32_t crc;
    uint32_t length; /* of the body */
    bool begins;     /* the first of its batch: when it was written, all before it was durable */
    uint64_t sequence;
    int64_t wall_us;
    uint64_t routes;
};
/* Bytes that a record takes in a segment: header, body, padding to a multiple of 8. */
static inline size_t record_size(size_t length) {
    return RECORD_HEADER + ((length + 7) & ~(size_t)7);
}
/* Writes the header, but for its checksum, which is reckoned, in front of the body, which stands
 * already at record + RECORD_HEADER. */
void record_seal(char *record, const struct record_header *header);
void record_header_read(const char *bytes, struct record_header *header);
/* Whether the record's bytes (header and body) carry their own checksum. */
bool record_intact(const char *record, const struct record_header *header);

/* A point of the index: the record with this sequence and time begins at this offset of its
 * segment. */
struct point {
    uint64_t sequence;
    int64_t wall_us;
    uint64_t offset;
};
/* The index of a closed segment, as it stands behind its last record: the points, then the trailer.
 */
void footer_write(struct sk_buffer *to, const struct point *points, size_t count,
                  uint64_t records_end);
/* Reads the trailer; *bytes is the size of the whole footer. */
bool footer_trailer(struct sk_span trailer, size_t *bytes, uint64_t *records_end);
/* Decodes a whole footer; *points from malloc. */
bool footer_read(struct sk_span footer, struct point **points, size_t *count);

/* A checkpoint file: the generation, then name and position of each cursor. */
void checkpoints_begin(struct sk_buffer *to, uint64_t generation);
void checkpoints_add(struct sk_buffer *to, struct sk_span name, uint64_t position);
void checkpoints_end(struct sk_buffer *to, uint32_t count);
/* Checks a file; *entries is what checkpoints_next() walks. */
bool checkpoints_read(struct sk_span file, uint64_t *generation, struct sk_span *entries);
bool checkpoints_next(struct sk_span *entries, struct sk_span *name, uint64_t *position);

#endif
