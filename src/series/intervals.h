/* Values over time to one number an interval.
 *
 * Intervals are [start, start + width), aligned to the epoch, so the first may begin before the
 * span that is asked for; what lies outside the span counts in none. Points come in order of time,
 * each once, for signals (SK_SERIES_STEP, SK_SERIES_LINEAR) also those before and behind the span
 * that are known: between two points a signal holds the first (Step) or is a straight line
 * (Linear). Before the first point it is unknown, behind the last one a line is too, and a step
 * holds. docs/protocols/time-series.md. */
#ifndef SK_SERIES_INTERVALS_H
#define SK_SERIES_INTERVALS_H

#include "series/store.h"

#define SK_SERIES_INTERVALS_MAX 200000 /* of one answer */
#define SK_SERIES_LABELS_MAX 100       /* of one categorical variable */

struct sk_series_grid {
    int64_t from, to; /* ms since 1970; `to` is not in it */
    int64_t start;    /* of the first interval */
    int64_t width;
    size_t count;
};
/* SK_INVALID: the span is empty or outside the years 1 to 9999, or the width is not positive
 * or longer than all these years;
 * SK_TOO_LARGE: more than SK_SERIES_INTERVALS_MAX. */
enum sk_status sk_series_grid(int64_t from, int64_t to, int64_t width, struct sk_series_grid *grid);

enum sk_series_interpolation { SK_SERIES_NO_SIGNAL, SK_SERIES_STEP, SK_SERIES_LINEAR };
enum sk_series_aggregate {
    SK_SERIES_MIN,
    SK_SERIES_MAX,
    SK_SERIES_SUM,
    SK_SERIES_AVG,
    SK_SERIES_STDEV, /* of a sample; null for less than two */
    SK_SERIES_FIRST, /* by time, nulls too; so the next two */
    SK_SERIES_LAST,
    SK_SERIES_MEDIAN, /* the point in the middle by time, the earlier of two */
    SK_SERIES_COUNT,  /* of points, nulls too */
    SK_SERIES_LEFT,   /* of a signal from here on: at the interval's beginning, within the span */
    SK_SERIES_RIGHT,  /* at its end: what the signal comes to there */
    SK_SERIES_TWAVG,  /* its integral by how long it is known */
    SK_SERIES_TWSUM,  /* its integral, in value times seconds */
};

/* Computes one aggregate. */
struct sk_series_intervals;
/* SK_INVALID: the aggregate needs a signal, or has no use for one. */
enum sk_status sk_series_intervals_new(const struct sk_series_grid *grid,
                                       enum sk_series_aggregate aggregate,
                                       enum sk_series_interpolation interpolation,
                                       struct sk_series_intervals **intervals);
/* A point; NaN is null. */
void sk_series_intervals_add(struct sk_series_intervals *intervals, int64_t time, double value);
/* Many points at once by their summary (of SK_SERIES_COUNT its count is that of all points); false:
 * their values are needed. */
bool sk_series_intervals_add_block(struct sk_series_intervals *intervals, int64_t first_time,
                                   int64_t last_time, const struct sk_series_column_summary *of);
/* No point comes any more: a value for each interval, NaN where there is none; lives as long as
 * `intervals`. */
const double *sk_series_intervals_end(struct sk_series_intervals *intervals);
void sk_series_intervals_free(struct sk_series_intervals *intervals);

/* How much of each interval belongs to each label: as a signal (Step) the share of the interval's
 * width, else the number of points. */
struct sk_series_shares;
/* `labels` at most SK_SERIES_LABELS_MAX. */
struct sk_series_shares *sk_series_shares_new(const struct sk_series_grid *grid, size_t labels,
                                              bool step);
void sk_series_shares_add(struct sk_series_shares *shares, int64_t time, size_t label);
/* grid->count values for the first label, then for the next, …; live as long as `shares`. */
const double *sk_series_shares_end(struct sk_series_shares *shares);
void sk_series_shares_free(struct sk_series_shares *shares);

#endif
