/* Any text as an expression: it is refused with a sentence, or has a value of its type for every
 * row. */
#include <math.h>
#include <stdlib.h>

#include "series/tsx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const int64_t times[2] = {SK_SERIES_TIME_MIN, 1767225600000};
    static const union sk_series_value doubles[2] = {{.number = 1e308}, {.number = -0.5}};
    static const union sk_series_value longs[2] = {{.integer = INT64_MIN}, {.integer = 3}};
    static const union sk_series_value texts[2] = {{.text = {" aB", 3}}, {.text = {NULL, 0}}};
    static const struct sk_series_column columns[] = {{{{"d", 1}, SK_SERIES_DOUBLE}, NULL, doubles},
                                                      {{{"l", 1}, SK_SERIES_LONG}, NULL, longs},
                                                      {{{"s", 1}, SK_SERIES_STRING}, NULL, texts}};
    const struct sk_series_rows rows = {times, 2, columns, 3};
    struct sk_arena arena = {0};
    struct sk_tsx tsx;
    struct sk_tsx_values values;
    char error[200] = "";
    if (sk_tsx_parse(sk_span(data, size), &arena, &tsx, error)) {
        if (error[0] == 0) abort();
    } else if (sk_tsx_eval(&tsx, &rows, 0, &arena, &values) == SK_OK) {
        for (size_t i = 0; i < 2; i++)
            if (tsx.type == SK_SERIES_DOUBLE && !values.null[i] &&
                !isfinite(values.values[i].number))
                abort();
    }
    struct sk_tsx_aggregation aggregation;
    error[0] = 0;
    if (sk_tsx_parse_aggregation(sk_span(data, size), NULL, &arena, &aggregation, error)) {
        if (error[0] == 0) abort();
    } else if (aggregation.measure_count == 0 || aggregation.measure_count > SK_TSX_MEASURES_MAX) {
        abort();
    }
    sk_arena_free(&arena);
    return 0;
}
