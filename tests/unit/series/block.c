/* Blocks of time series: rows that come back, and a head that knows what is in them. */
#include "series/block.h"

#include "support/test.h"

#define ROWS SK_SERIES_BLOCK_ROWS

static int64_t times[ROWS];
static uint8_t present[3][ROWS];
static union sk_series_value values[3][ROWS];
static const uint32_t numbers[3] = {2, 7, 9};
static struct sk_series_column columns[3] = {
    {.property = {SK_SPAN("temperature"), SK_SERIES_DOUBLE}, .values = values[0]},
    {.property = {SK_SPAN("count"), SK_SERIES_LONG}, .present = present[1], .values = values[1]},
    {.property = {SK_SPAN("state"), SK_SERIES_STRING}, .present = present[2], .values = values[2]}};

/* Every row has a temperature, every third a count, none but the last a state. */
static struct sk_series_rows make_rows(size_t count) {
    for (size_t i = 0; i < count; i++) {
        times[i] = 1767225600000 + 1000 * (int64_t)(i / 2);
        values[0][i].number = 20 + (double)(i % 7) / 10;
        values[1][i].integer = (int64_t)i - 5;
        present[1][i] = i % 3 == 0;
        values[2][i].text = SK_SPAN("open");
        present[2][i] = i == count - 1;
    }
    return (struct sk_series_rows){times, count, columns, 3};
}

static bool not_seven(void *arg, const struct series_block_column *column) {
    (void)arg;
    return column->number != 7;
}

static void expect_same(const struct sk_series_column *a, const struct sk_series_column *b,
                        size_t count) {
    assert_int_equal(a->property.type, b->property.type);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(a->present ? a->present[i] : 1, b->present ? b->present[i] : 1);
        if (a->present && !a->present[i]) continue;
        if (a->property.type == SK_SERIES_STRING)
            assert_true(sk_span_eq(a->values[i].text, b->values[i].text));
        else
            assert_int_equal(a->values[i].integer, b->values[i].integer);
    }
}

TEST(rows_come_back_with_the_columns_that_are_wanted) {
    const size_t counts[] = {1, 2, 7, 8, 9, 64, 65, 1000, ROWS};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct sk_buffer bytes = {0};
        struct sk_arena arena = {0};
        struct series_block_head head;
        struct sk_series_rows rows = make_rows(counts[c]), again;
        series_block_encode(&bytes, &rows, numbers);
        assert_int_equal(series_block_head(sk_buffer_span(&bytes), &arena, &head), SK_OK);
        assert_int_equal(
            series_block_rows(sk_buffer_span(&bytes), &head, NULL, NULL, &arena, &again), SK_OK);
        assert_int_equal(again.column_count, 3);
        assert_memory_equal(again.times, times, counts[c] * sizeof *times);
        for (size_t i = 0; i < 3; i++) expect_same(&columns[i], &again.columns[i], counts[c]);
        assert_int_equal(
            series_block_rows(sk_buffer_span(&bytes), &head, not_seven, NULL, &arena, &again),
            SK_OK);
        assert_int_equal(again.column_count, 2);
        expect_same(&columns[2], &again.columns[1], counts[c]);
        sk_arena_free(&arena);
        sk_buffer_free(&bytes);
    }
}

TEST(the_head_knows_least_most_sum_first_and_last) {
    struct sk_buffer bytes = {0};
    struct sk_arena arena = {0};
    struct series_block_head head;
    struct sk_series_rows rows = make_rows(100);
    series_block_encode(&bytes, &rows, numbers);
    assert_int_equal(series_block_head(sk_span(bytes.p, 7), &arena, &head), SK_AGAIN);
    assert_int_equal(series_block_head(sk_span(bytes.p, 8), &arena, &head), SK_AGAIN);
    assert_int_equal(series_block_head(sk_span(bytes.p, head.bytes), &arena, &head), SK_OK);
    assert_int_equal(head.rows, 100);
    assert_int_equal(head.first_time, times[0]);
    assert_int_equal(head.last_time, times[99]);
    const struct sk_series_column_summary *count = &head.columns[1].known;
    assert_int_equal(head.columns[1].number, 7);
    assert_int_equal(count->count, 34);
    assert_int_equal(count->least.integer, -5);
    assert_int_equal(count->most.integer, 94);
    assert_int_equal(count->first.integer, -5);
    assert_int_equal(count->last.integer, 94);
    assert_int_equal(count->first_time, times[0]);
    assert_int_equal(count->last_time, times[99]);
    assert_true(count->sum == 34 * (94 - 5) / 2);
    const struct sk_series_column_summary *last = &head.columns[2].known;
    assert_int_equal(last->count, 1);
    assert_int_equal(last->first_time, times[99]);
    sk_arena_free(&arena);
    sk_buffer_free(&bytes);
}

TEST(a_column_without_values_is_left_out) {
    struct sk_buffer bytes = {0};
    struct sk_arena arena = {0};
    struct series_block_head head;
    struct sk_series_rows rows = make_rows(10);
    memset(present[1], 0, sizeof present[1]);
    series_block_encode(&bytes, &rows, numbers);
    assert_int_equal(series_block_head(sk_buffer_span(&bytes), &arena, &head), SK_OK);
    assert_int_equal(head.columns_count, 2);
    assert_int_equal(head.columns[1].number, 9);
    sk_arena_free(&arena);
    sk_buffer_free(&bytes);
}

TEST(a_changed_head_and_a_cut_block_are_refused) {
    struct sk_buffer bytes = {0};
    struct sk_arena arena = {0};
    struct series_block_head head;
    struct sk_series_rows rows = make_rows(100);
    series_block_encode(&bytes, &rows, numbers);
    assert_int_equal(series_block_head(sk_buffer_span(&bytes), &arena, &head), SK_OK);
    for (size_t n = head.bytes; n < bytes.n; n++)
        assert_int_equal(series_block_rows(sk_span(bytes.p, n), &head, NULL, NULL, &arena, &rows),
                         SK_MALFORMED);
    for (size_t at = 8, end = head.bytes; at < end; at++) {
        bytes.p[at] ^= 1;
        assert_int_equal(series_block_head(sk_buffer_span(&bytes), &arena, &head), SK_MALFORMED);
        bytes.p[at] ^= 1;
    }
    sk_arena_free(&arena);
    sk_buffer_free(&bytes);
}
