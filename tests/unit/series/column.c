/* Columns of time series: what is read is what was written, to the bit, and takes few bytes. */
#include "series/column.h"

#include <float.h>
#include <math.h>

#include "support/test.h"

static union sk_series_value values[SERIES_VALUES_MAX], again[SERIES_VALUES_MAX];
static const size_t counts[] = {1, 2, 3, 63, 64, 65, 66, 127, 128, 1000, SERIES_VALUES_MAX};

static size_t there_and_back(enum sk_series_type type, size_t count) {
    struct sk_buffer bytes = {0};
    bool texts = type == SK_SERIES_STRING || type == SK_SERIES_DYNAMIC;
    series_column_encode(&bytes, type, values, count);
    size_t n = bytes.n;
    struct sk_span rest = sk_buffer_span(&bytes);
    memset(again, 0, sizeof again);
    assert_int_equal(series_column_decode(&rest, type, again, count), SK_OK);
    assert_int_equal(rest.n, 0);
    for (size_t i = 0; i < count; i++)
        if (texts)
            assert_true(sk_span_eq(values[i].text, again[i].text));
        else if (type == SK_SERIES_BOOL)
            assert_int_equal(values[i].boolean, again[i].boolean);
        else
            assert_memory_equal(&values[i].integer, &again[i].integer, 8);
    sk_buffer_free(&bytes);
    return n;
}

static uint64_t chance(void) { /* xorshift64 */
    static uint64_t state = 88172645463325252ull;
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static double bytes_of_walk(double unit) {
    int64_t place = 20000;
    for (size_t i = 0; i < SERIES_VALUES_MAX; i++) {
        place += (int64_t)(chance() % 11) - 5;
        values[i].number = (double)place / unit;
    }
    return (double)there_and_back(SK_SERIES_DOUBLE, SERIES_VALUES_MAX) / SERIES_VALUES_MAX;
}

TEST(even_times_take_next_to_nothing) {
    for (size_t i = 0; i < SERIES_VALUES_MAX; i++) values[i].integer = 1767225600000 + 10000 * i;
    assert_true(there_and_back(SK_SERIES_LONG, SERIES_VALUES_MAX) < 32);
}

TEST(decimals_take_as_many_bits_as_they_move) {
    assert_true(bytes_of_walk(10) < 0.75);
    assert_true(bytes_of_walk(1e6) < 0.75);
}

TEST(numbers_of_all_digits_take_less_than_they_are) {
    for (size_t i = 0; i < SERIES_VALUES_MAX; i++)
        values[i].number = 20 + (double)(chance() >> 11) * 0x1p-53;
    assert_true(there_and_back(SK_SERIES_DOUBLE, SERIES_VALUES_MAX) < SERIES_VALUES_MAX * 7);
}

TEST(floats_take_no_more_than_they_had) {
    for (size_t i = 0; i < SERIES_VALUES_MAX; i++)
        values[i].number = (double)((float)(chance() >> 40) / 3e6F);
    assert_true(there_and_back(SK_SERIES_DOUBLE, SERIES_VALUES_MAX) < SERIES_VALUES_MAX * 4);
}

TEST(doubles_come_back_to_the_bit) {
    const double strange[] = {0.0,    -0.0,        DBL_MIN, -DBL_MIN,  DBL_MAX,   -DBL_MAX,
                              5e-324, 0x1p53,      -0x1p53, 0.1,       -0.000001, 1e-7,
                              1e22,   0x1p53 - 1., 1.0 / 3, 123456.789};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (size_t kind = 0; kind < 3; kind++) {
            for (size_t i = 0; i < counts[c]; i++)
                values[i].number = kind == 0   ? strange[chance() % 16]
                                   : kind == 1 ? -0.0
                                               : (double)(int64_t)(chance() % 1000) / 1000 - 0.5;
            there_and_back(SK_SERIES_DOUBLE, counts[c]);
        }
}

TEST(integers_come_back_whatever_they_are) {
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (unsigned bits = 0; bits <= 64; bits++) {
            for (size_t i = 0; i < counts[c]; i++)
                values[i].integer = bits ? (int64_t)chance() >> (64 - bits) : INT64_MIN;
            there_and_back(SK_SERIES_LONG, counts[c]);
            there_and_back(SK_SERIES_DATETIME, counts[c]);
        }
    for (size_t i = 0; i < 100; i++) values[i].integer = i % 2 ? INT64_MIN : INT64_MAX;
    there_and_back(SK_SERIES_LONG, 100);
}

TEST(truths_take_a_bit) {
    for (size_t i = 0; i < SERIES_VALUES_MAX; i++) values[i].boolean = chance() & 1;
    assert_true(there_and_back(SK_SERIES_BOOL, SERIES_VALUES_MAX) < SERIES_VALUES_MAX / 4);
}

TEST(texts_that_repeat_stand_there_once) {
    const struct sk_span words[] = {SK_SPAN("open"), SK_SPAN("closed"), SK_SPAN(""),
                                    SK_SPAN("a\0b")};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        for (size_t i = 0; i < counts[c]; i++) values[i].text = words[chance() % 4];
        size_t n = there_and_back(SK_SERIES_STRING, counts[c]);
        assert_true(n < 64 + counts[c]);
    }
    for (size_t i = 0; i < 1000; i++) values[i].text = sk_span(values, i);
    there_and_back(SK_SERIES_DYNAMIC, 1000);
}

TEST(cut_columns_are_refused) {
    const enum sk_series_type types[] = {SK_SERIES_LONG, SK_SERIES_DOUBLE};
    for (size_t t = 0; t < 2; t++) {
        struct sk_buffer bytes = {0};
        for (size_t i = 0; i < 200; i++) values[i].integer = (int64_t)(chance() >> 12);
        series_column_encode(&bytes, types[t], values, 200);
        for (size_t n = 0; n < bytes.n; n++) {
            char *exact = sk_alloc(n ? n : 1); /* so that the sanitiser sees a byte too far */
            memcpy(exact, bytes.p, n);
            struct sk_span rest = sk_span(exact, n);
            assert_int_equal(series_column_decode(&rest, types[t], again, 200), SK_MALFORMED);
            free(exact);
        }
        sk_buffer_free(&bytes);
    }
}

TEST(a_number_is_at_most_64_bits) {
    struct sk_span most = SK_SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                   more = SK_SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
    uint64_t number;
    assert_int_equal(series_get_number(&most, &number), SK_OK);
    assert_true(number == UINT64_MAX);
    assert_int_equal(series_get_number(&more, &number), SK_MALFORMED);
}
