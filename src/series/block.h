/* Rows of one instance as bytes: a head that says what is in them, for those who need no more, and
 * behind it the columns. Inside src/series only.
 *
 * Bytes: length of the head and its CRC-32C (4 bytes each, little-endian), the head, times, and for
 * each column which rows have it (a bit each, left out where all have) and its values. A block
 * numbers its properties; what the numbers mean, who keeps it knows. */
#ifndef SK_SERIES_BLOCK_H
#define SK_SERIES_BLOCK_H

#include "series/column.h"
#include "series/store.h"

/* Rows times columns of a block, at most; so unpacking one takes 4.5 MB. */
#define SERIES_CELLS_MAX (256 * 1024)
#define SERIES_BLOCK_LEAD 8 /* bytes before the head */

struct series_block_column {
    uint32_t number;                       /* of its property; ascending within a block */
    size_t at, n;                          /* its bytes, behind the head */
    struct sk_series_column_summary known; /* the property's name is empty */
};
struct series_block_head {
    int64_t first_time, last_time;
    size_t rows, columns_count;
    size_t bytes;                        /* of the head with what stands before it */
    size_t times_n;                      /* bytes of the times, which come first behind the head */
    size_t body_n;                       /* of all that is behind the head */
    struct series_block_column *columns; /* in the arena */
};

/* Appends a block of 1 to SK_SERIES_BLOCK_ROWS rows, ascending by time, with at most
 * SERIES_CELLS_MAX cells; numbers[i] is that of column i's property, ascending. Columns without a
 * value are left out. */
void series_block_encode(struct sk_buffer *to, const struct sk_series_rows *rows,
                         const uint32_t *numbers);
/* From the front of a block; SK_AGAIN: of these bytes it takes head->bytes. SK_MALFORMED. */
enum sk_status series_block_head(struct sk_span bytes, struct sk_arena *arena,
                                 struct series_block_head *head);
/* The rows of a whole block, with those of its columns that `wanted(arg, column)` wants (NULL:
 * all), into the arena; texts are spans of the block. SK_MALFORMED. */
enum sk_status series_block_rows(struct sk_span bytes, const struct series_block_head *head,
                                 bool (*wanted)(void *arg,
                                                const struct series_block_column *column),
                                 void *arg, struct sk_arena *arena, struct sk_series_rows *rows);

#endif
