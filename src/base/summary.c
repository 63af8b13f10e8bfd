#include "base/summary.h"

/* The first four steps hold one value each; then four to a power of two. */
static unsigned step_of(uint64_t value) {
    if (value < 4) return (unsigned)value;
    unsigned power = 63 - (unsigned)__builtin_clzll(value);
    unsigned step = 4 * (power - 1) + (unsigned)(value >> (power - 2) & 3);
    return step < SK_SUMMARY_STEPS ? step : SK_SUMMARY_STEPS - 1;
}

static double least_of(unsigned step) {
    if (step < 4) return step;
    return (double)((uint64_t)(4 + step % 4) << (step / 4 - 1));
}

void sk_summary_add(struct sk_summary *summary, uint64_t value) {
    uint16_t *step = &summary->steps[step_of(value)];
    summary->count++;
    summary->sum += value;
    if (*step == UINT16_MAX)
        for (unsigned i = 0; i < SK_SUMMARY_STEPS; i++) summary->steps[i] /= 2;
    ++*step;
}

double sk_summary_quantile(const struct sk_summary *summary, double share) {
    uint64_t held = 0, until_here = 0;
    for (unsigned i = 0; i < SK_SUMMARY_STEPS; i++) held += summary->steps[i];
    for (unsigned i = 0; i < SK_SUMMARY_STEPS; i++) {
        until_here += summary->steps[i];
        if (summary->steps[i] && (double)until_here >= share * (double)held)
            return (least_of(i) + least_of(i + 1) - 1) / 2; /* the middle of its values */
    }
    return 0;
}
