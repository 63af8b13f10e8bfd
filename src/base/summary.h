/* How values are spread: how many there were, their sum, and below which value a share of them
 * lies. Of a fixed size, whatever comes.
 *
 * Values are counted in steps, four to each power of two, so a quantile is off by at most an
 * eighth. When 65535 lie in one step all steps are halved: quantiles tell of the last some ten
 * thousand values, count and sum of all. */
#ifndef SK_BASE_SUMMARY_H
#define SK_BASE_SUMMARY_H

#include <stdint.h>

enum { SK_SUMMARY_STEPS = 4 + 4 * 46 };

/* Zero is empty. */
struct sk_summary {
    uint64_t count, sum;
    uint16_t steps[SK_SUMMARY_STEPS];
};

void sk_summary_add(struct sk_summary *summary, uint64_t value);
/* 0 < share < 1; 0 of none. Values of 2^48 and more count as a little less. */
double sk_summary_quantile(const struct sk_summary *summary, double share);

#endif
