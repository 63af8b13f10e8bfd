/* Any stored bytes as a column: refused, or values that are written and read again as the same. */
#include <stdlib.h>

#include "series/column.h"

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

/* First the type, then how many values: 1 to SERIES_VALUES_MAX in two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum sk_series_type types[] = {SK_SERIES_BOOL,   SK_SERIES_DATETIME,
                                                SK_SERIES_DOUBLE, SK_SERIES_LONG,
                                                SK_SERIES_STRING, SK_SERIES_DYNAMIC};
    if (size < 3) return 0;
    size_t count = 1 + (data[1] | (size_t)data[2] << 8) % SERIES_VALUES_MAX;
    decode(sk_span(data + 3, size - 3), types[data[0] % 6], count);
    return 0;
}
