/* Any stored bytes as a column: refused, or values that are written and read again as the same. And
 * as a block: refused, or rows within its bounds. And as the index of a part: refused, or places
 * within the file, and the same when it is written again. */
#include <stdlib.h>
#include <string.h>

#include "series/part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct sk_span bytes, enum sk_series_type type, size_t count) {
    static union sk_series_value values[SERIES_VALUES_MAX], again[SERIES_VALUES_MAX];
    struct sk_buffer written = {0};
    if (series_column_decode(&bytes, type, values, count)) return;
    series_column_encode(&written, type, values, count);
    struct sk_span rest = sk_buffer_span(&written);
    if (series_column_decode(&rest, type, again, count) || rest.n) abort();
    for (size_t i = 0; i < count; i++)
        if (type == SK_SERIES_STRING || type == SK_SERIES_DYNAMIC
                ? !sk_span_eq(values[i].text, again[i].text)
            : type == SK_SERIES_BOOL ? values[i].boolean != again[i].boolean
                                     : values[i].integer != again[i].integer)
            abort();
    sk_buffer_free(&written);
}

/* A fuzzer does not guess CRCs: what it gives is the head and the columns, without the lead. */
static void unpack(struct sk_span parts) {
    struct sk_buffer bytes = {0};
    struct sk_arena arena = {0};
    struct series_block_head head;
    struct sk_series_rows rows;
    uint32_t n = parts.n ? (unsigned char)*parts.p : 0;
    parts = sk_span_skip(parts, 1);
    if (n > parts.n) n = (uint32_t)parts.n;
    uint32_t crc = sk_crc32c(0, sk_span_first(parts, n));
    sk_buffer_append(&bytes, sk_span(&n, sizeof n));
    sk_buffer_append(&bytes, sk_span(&crc, sizeof crc));
    sk_buffer_append(&bytes, parts);
    if (series_block_head(sk_buffer_span(&bytes), &arena, &head) == SK_OK &&
        series_block_rows(sk_buffer_span(&bytes), &head, NULL, NULL, &arena, &rows) == SK_OK &&
        (rows.count > SK_SERIES_BLOCK_ROWS || rows.count * rows.column_count > SERIES_CELLS_MAX))
        abort();
    sk_arena_free(&arena);
    sk_buffer_free(&bytes);
}

static void read_index(struct sk_span bytes) {
    enum { BLOCKS = 1 << 20 };
    struct sk_arena arena = {0};
    struct series_index index, again;
    struct sk_buffer written = {0};
    uint64_t at, n;
    uint32_t crc;
    if (series_index_read(bytes, BLOCKS, &arena, &index) == SK_OK) {
        for (size_t i = 0; i < index.place_count; i++)
            if (index.places[i].at + index.places[i].n > BLOCKS ||
                index.places[i].first_time > index.places[i].last_time)
                abort();
        series_index_put(&written, BLOCKS, &index);
        struct sk_span all = sk_buffer_span(&written),
                       end = sk_span_skip(all, all.n - SERIES_PART_END);
        if (series_index_find(end, BLOCKS + all.n, &at, &n, &crc) || at != BLOCKS ||
            n != all.n - SERIES_PART_END ||
            series_index_read(sk_span_first(all, (size_t)n), BLOCKS, &arena, &again) ||
            again.place_count != index.place_count || again.position != index.position)
            abort();
    }
    sk_buffer_free(&written);
    sk_arena_free(&arena);
}

/* A block, where the first byte is 255; an index, where it is 254. Else first the type, then how
 * many values: 1 to SERIES_VALUES_MAX in two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum sk_series_type types[] = {SK_SERIES_BOOL,   SK_SERIES_DATETIME,
                                                SK_SERIES_DOUBLE, SK_SERIES_LONG,
                                                SK_SERIES_STRING, SK_SERIES_DYNAMIC};
    if (size < 3) return 0;
    if (data[0] == 255) {
        unpack(sk_span(data + 1, size - 1));
        return 0;
    }
    if (data[0] == 254) {
        read_index(sk_span(data + 1, size - 1));
        return 0;
    }
    size_t count = 1 + (data[1] | (size_t)data[2] << 8) % SERIES_VALUES_MAX;
    decode(sk_span(data + 3, size - 3), types[data[0] % 6], count);
    return 0;
}
