/* A part: blocks of many instances in one file that never changes. Inside src/series only.
 *
 * Blocks, one behind the other, instance by instance; then the index: which properties the numbers
 * in blocks stand for, what came when, and of each instance its blocks; then where the index is and
 * its CRC-32C. A part knows how far in the log its events reach, so no other file has to agree with
 * it. Its name is of the numbers of the first and the last writing of memory that are in it; what
 * was made of others takes their place by being there. */
#ifndef SK_SERIES_PART_H
#define SK_SERIES_PART_H

#include "series/block.h"

#define SERIES_PART_END 28 /* bytes of its end: offset and length of the index, CRC, magic */
#define SERIES_PART_NAME 32

/* Where a block is, and what has to be known of it without reading it. */
struct series_place {
    uint32_t instance; /* of the store */
    uint32_t rows, n, crc;
    uint64_t at;
    int64_t first_time, last_time;
};

struct series_part {
    struct sk_list link;
    struct sk_file *file;
    uint64_t bytes;
    uint32_t first, last; /* writings of memory */
    uint64_t position;    /* of the log: events of all records below are in it or in older ones */
    int64_t written_us, oldest_us; /* wall clock: when the last, the first came to disk */
    uint64_t rows;
    struct series_place *places; /* by instance, then by time */
    size_t place_count;
    unsigned
        users; /* reads that have places of it; it is freed when it is dropped and none is left */
    bool dropped;
    char name[SERIES_PART_NAME];
};

/* What a part's index is made of, and made into. Names are spans. */
struct series_index {
    uint32_t first, last;
    uint64_t position;
    int64_t written_us, oldest_us;
    const struct sk_series_property *properties; /* by number */
    size_t property_count;
    const struct sk_span *instances; /* names */
    const size_t *counts;            /* places of each */
    size_t instance_count;
    const struct series_place *places; /* `instance` is not looked at */
    size_t place_count;
};
void series_part_name(uint32_t first, uint32_t last, char to[SERIES_PART_NAME]);
/* SK_NOT_FOUND: it is none of a part. */
enum sk_status series_part_name_read(struct sk_span name, uint32_t *first, uint32_t *last);
/* Appends the index and the end of a file whose blocks take `at` bytes. */
void series_index_put(struct sk_buffer *to, uint64_t at, const struct series_index *index);
/* The last SERIES_PART_END bytes of a file of `size` bytes. SK_MALFORMED. */
enum sk_status series_index_find(struct sk_span end, uint64_t size, uint64_t *at, uint64_t *n,
                                 uint32_t *crc);
/* Everything in the arena; `places[i].instance` is a place in `instances`. SK_MALFORMED. */
enum sk_status series_index_read(struct sk_span bytes, uint64_t blocks_bytes,
                                 struct sk_arena *arena, struct series_index *index);
/* Reads a block, whole, and looks at its CRC. SK_IO, SK_MALFORMED. */
enum sk_status series_part_block(const struct series_part *part, const struct series_place *place,
                                 struct sk_buffer *to);

#endif
