/* How values are spread. */
#include "base/base.h"
#include "base/summary.h"
#include "support/test.h"

static void about(double value, double expected) {
    if (value < expected * 0.87 || value > expected * 1.13) fail_msg("%g, not %g", value, expected);
}

TEST(quantiles_are_right_within_an_eighth) {
    struct sk_summary s = {0};
    for (uint64_t i = 1; i <= 10000; i++) sk_summary_add(&s, i * 7);
    assert_int_equal(s.count, 10000);
    assert_int_equal(s.sum, 7ull * 10000 * 10001 / 2);
    about(sk_summary_quantile(&s, 0.1), 7000);
    about(sk_summary_quantile(&s, 0.5), 35000);
    about(sk_summary_quantile(&s, 0.9), 63000);
    about(sk_summary_quantile(&s, 0.99), 69300);
}

TEST(one_value_is_all_of_its_quantiles) {
    static const uint64_t values[] = {0, 1, 3, 4, 5, 100, 262144, 2592000000000, (1ull << 48) - 1};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        struct sk_summary s = {0};
        sk_summary_add(&s, values[i]);
        about(sk_summary_quantile(&s, 0.5), (double)values[i]);
    }
}

TEST(the_largest_values_are_counted_too) {
    struct sk_summary s = {0};
    sk_summary_add(&s, UINT64_MAX);
    assert_int_equal(s.count, 1);
    assert_true(sk_summary_quantile(&s, 0.99) > 1e14);
    assert_true(sk_summary_quantile(&(struct sk_summary){0}, 0.5) == 0);
}

TEST(what_came_long_ago_counts_less_and_nothing_runs_over) {
    struct sk_summary s = {0};
    for (unsigned i = 0; i < 65535; i++) sk_summary_add(&s, 10);
    about(sk_summary_quantile(&s, 0.99), 10);
    for (unsigned i = 0; i < 300000; i++) sk_summary_add(&s, 5000);
    assert_int_equal(s.count, 365535);
    about(sk_summary_quantile(&s, 0.5), 5000);
}
