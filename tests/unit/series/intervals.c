/* The acceptance vectors: a pump's temperature and state over four minutes. */
#include "series/intervals.h"

#include <math.h>

#include "support/test.h"

#define DAY 1767225600000 /* 2026-01-01 */
#define N 7
static const int64_t times[N] = {-30000, 10000, 40000, 80000, 170000, 185000, 270000};
static const double temperature[N] = {18, 20, 22, 30, 26, 24, 20};
static const size_t states[N] = {0, 0, 0, 0, 1, 2, 0}; /* Good, Bad, N-A */

static struct sk_series_grid minutes(void) {
    struct sk_series_grid grid;
    assert_int_equal(sk_series_grid(DAY, DAY + 240000, 60000, &grid), SK_OK);
    assert_int_equal(grid.count, 4);
    assert_int_equal(grid.start, DAY);
    return grid;
}

static void near(double is, double wanted) {
    if (isnan(wanted) ? !isnan(is) : !(fabs(is - wanted) < 1e-6))
        fail_msg("%.9g, not %.9g", is, wanted);
}

static void gives_of(size_t from, enum sk_series_aggregate aggregate,
                     enum sk_series_interpolation how, const double wanted[4]) {
    struct sk_series_grid grid = minutes();
    struct sk_series_intervals *it;
    assert_int_equal(sk_series_intervals_new(&grid, aggregate, how, &it), SK_OK);
    for (size_t i = from; i < N; i++) sk_series_intervals_add(it, DAY + times[i], temperature[i]);
    const double *values = sk_series_intervals_end(it);
    for (size_t i = 0; i < 4; i++) near(values[i], wanted[i]);
    sk_series_intervals_free(it);
}
#define GIVES(aggregate, how, ...) gives_of(0, aggregate, how, (const double[4]){__VA_ARGS__})

TEST(aggregates_of_points_are_those_of_the_vectors) {
    GIVES(SK_SERIES_COUNT, SK_SERIES_NO_SIGNAL, 2, 1, 1, 1);
    GIVES(SK_SERIES_SUM, SK_SERIES_NO_SIGNAL, 42, 30, 26, 24);
    GIVES(SK_SERIES_AVG, SK_SERIES_NO_SIGNAL, 21, 30, 26, 24);
    GIVES(SK_SERIES_MIN, SK_SERIES_NO_SIGNAL, 20, 30, 26, 24);
    GIVES(SK_SERIES_MAX, SK_SERIES_NO_SIGNAL, 22, 30, 26, 24);
    GIVES(SK_SERIES_FIRST, SK_SERIES_NO_SIGNAL, 20, 30, 26, 24);
    GIVES(SK_SERIES_LAST, SK_SERIES_NO_SIGNAL, 22, 30, 26, 24);
    GIVES(SK_SERIES_MEDIAN, SK_SERIES_NO_SIGNAL, 20, 30, 26, 24);
    GIVES(SK_SERIES_STDEV, SK_SERIES_NO_SIGNAL, 1.414213562, NAN, NAN, NAN);
}

TEST(aggregates_of_signals_are_those_of_the_vectors) {
    GIVES(SK_SERIES_LEFT, SK_SERIES_STEP, 18, 22, 30, 26);
    GIVES(SK_SERIES_RIGHT, SK_SERIES_STEP, 22, 30, 26, 24);
    GIVES(SK_SERIES_TWAVG, SK_SERIES_STEP, 20.333333333, 27.333333333, 29.333333333, 24.166666667);
    GIVES(SK_SERIES_TWSUM, SK_SERIES_STEP, 1220, 1640, 1760, 1450);
    GIVES(SK_SERIES_LEFT, SK_SERIES_LINEAR, 19.5, 26, 28.222222222, 24.666666667);
    GIVES(SK_SERIES_RIGHT, SK_SERIES_LINEAR, 26, 28.222222222, 24.666666667, 21.411764706);
    GIVES(SK_SERIES_TWAVG, SK_SERIES_LINEAR, 21.791666667, 28.740740741, 26.814814815,
          22.841503268);
}

TEST(before_the_first_point_a_signal_is_unknown) {
    gives_of(1, SK_SERIES_LEFT, SK_SERIES_STEP, (const double[4]){NAN, 22, 30, 26});
    gives_of(1, SK_SERIES_TWAVG, SK_SERIES_STEP,
             (const double[4]){20.8, 27.333333333, 29.333333333, 24.166666667});
    gives_of(N, SK_SERIES_TWAVG, SK_SERIES_STEP, (const double[4]){NAN, NAN, NAN, NAN});
    gives_of(N, SK_SERIES_COUNT, SK_SERIES_NO_SIGNAL, (const double[4]){0});
}

static void shares_are(bool step, const double wanted[12]) {
    struct sk_series_grid grid = minutes();
    struct sk_series_shares *it = sk_series_shares_new(&grid, 3, step);
    for (size_t i = 0; i < N; i++) sk_series_shares_add(it, DAY + times[i], states[i]);
    const double *values = sk_series_shares_end(it);
    for (size_t i = 0; i < 12; i++) near(values[i], wanted[i]);
    sk_series_shares_free(it);
}

TEST(labels_are_counted_or_have_their_share_of_the_time) {
    shares_are(false, (const double[12]){2, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
    shares_are(true, (const double[12]){1, 1, 0.833333333, 0, 0, 0, 0.166666667, 0.083333333, 0, 0,
                                        0, 0.916666667});
}

TEST(time_outside_the_span_counts_for_no_label) {
    struct sk_series_grid grid;
    assert_int_equal(sk_series_grid(DAY + 21, DAY + 4000, 2000, &grid), SK_OK);
    struct sk_series_shares *it = sk_series_shares_new(&grid, 1, true);
    sk_series_shares_add(it, DAY - 1000, 0);
    near(sk_series_shares_end(it)[0], 0.9895);
    sk_series_shares_free(it);
}

TEST(intervals_are_aligned_to_the_epoch_also_before_it) {
    struct sk_series_grid grid;
    assert_int_equal(sk_series_grid(90500, 120001, 60000, &grid), SK_OK);
    assert_int_equal(grid.start, 60000);
    assert_int_equal(grid.count, 2);
    assert_int_equal(sk_series_grid(-1, 1, 60000, &grid), SK_OK);
    assert_int_equal(grid.start, -60000);
    assert_int_equal(grid.count, 2);
}

TEST(a_grid_has_at_most_200000_intervals) {
    struct sk_series_grid grid;
    assert_int_equal(sk_series_grid(0, 200000, 1, &grid), SK_OK);
    assert_int_equal(sk_series_grid(0, 200001, 1, &grid), SK_TOO_LARGE);
    assert_int_equal(sk_series_grid(0, 0, 1, &grid), SK_INVALID);
    assert_int_equal(sk_series_grid(0, 1, 0, &grid), SK_INVALID);
    assert_int_equal(sk_series_grid(SK_SERIES_TIME_MIN - 1, 1, 1, &grid), SK_INVALID);
    const int64_t all = SK_SERIES_TIME_MAX - SK_SERIES_TIME_MIN;
    assert_int_equal(sk_series_grid(SK_SERIES_TIME_MIN, SK_SERIES_TIME_MAX, all, &grid), SK_OK);
    assert_int_equal(sk_series_grid(SK_SERIES_TIME_MIN, SK_SERIES_TIME_MAX, all + 1, &grid),
                     SK_INVALID);
}

TEST(signals_and_points_have_aggregates_of_their_own) {
    struct sk_series_grid grid = minutes();
    struct sk_series_intervals *it;
    assert_int_equal(sk_series_intervals_new(&grid, SK_SERIES_LEFT, SK_SERIES_NO_SIGNAL, &it),
                     SK_INVALID);
    assert_int_equal(sk_series_intervals_new(&grid, SK_SERIES_AVG, SK_SERIES_STEP, &it),
                     SK_INVALID);
}

TEST(a_summary_stands_for_the_points_of_one_interval) {
    struct sk_series_grid grid = minutes();
    struct sk_series_intervals *it;
    assert_int_equal(sk_series_intervals_new(&grid, SK_SERIES_AVG, SK_SERIES_NO_SIGNAL, &it),
                     SK_OK);
    const struct sk_series_column_summary two = {.property = {{"t", 1}, SK_SERIES_DOUBLE},
                                                 .count = 2,
                                                 .least.number = 20,
                                                 .most.number = 22,
                                                 .sum = 42};
    assert_true(sk_series_intervals_add_block(it, DAY + 10000, DAY + 40000, &two));
    assert_false(sk_series_intervals_add_block(it, DAY + 59999, DAY + 60000, &two));
    assert_false(sk_series_intervals_add_block(it, DAY - 1, DAY, &two));
    sk_series_intervals_add(it, DAY + 50000, 27);
    near(sk_series_intervals_end(it)[0], 23);
    sk_series_intervals_free(it);
    assert_int_equal(sk_series_intervals_new(&grid, SK_SERIES_MEDIAN, SK_SERIES_NO_SIGNAL, &it),
                     SK_OK);
    assert_false(sk_series_intervals_add_block(it, DAY + 10000, DAY + 40000, &two));
    sk_series_intervals_free(it);
}
