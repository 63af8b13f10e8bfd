#include "series/intervals.h"

#include <math.h>

enum sk_status sk_series_grid(int64_t from, int64_t to, int64_t width,
                              struct sk_series_grid *grid) {
    if (width <= 0 || width > SK_SERIES_TIME_MAX - SK_SERIES_TIME_MIN || from >= to ||
        from < SK_SERIES_TIME_MIN || to > SK_SERIES_TIME_MAX + 1)
        return SK_INVALID;
    int64_t start = sk_series_floor(from, width);
    uint64_t count = ((uint64_t)(to - start) + (uint64_t)width - 1) / (uint64_t)width;
    if (count > SK_SERIES_INTERVALS_MAX) return SK_TOO_LARGE;
    *grid = (struct sk_series_grid){from, to, start, width, (size_t)count};
    return SK_OK;
}

/* Where an interval begins and ends within the span. */
static int64_t begin(const struct sk_series_grid *grid, size_t i) {
    int64_t at = grid->start + (int64_t)i * grid->width;
    return at > grid->from ? at : grid->from;
}
static int64_t end(const struct sk_series_grid *grid, size_t i) {
    return grid->to - grid->start <= ((int64_t)i + 1) * grid->width
               ? grid->to
               : grid->start + ((int64_t)i + 1) * grid->width;
}
static size_t interval_of(const struct sk_series_grid *grid, int64_t time) {
    return (size_t)((time - grid->start) / grid->width);
}
static bool within(const struct sk_series_grid *grid, int64_t time) {
    return time >= grid->from && time < grid->to;
}

struct sk_series_intervals {
    struct sk_series_grid grid;
    enum sk_series_aggregate aggregate;
    enum sk_series_interpolation interpolation;
    size_t at; /* the interval that is gathered; all before it are in `values` */
    /* of its points */
    int64_t behind;         /* a time from there on is a later interval's, or may be */
    uint64_t points, count; /* with and without nulls */
    double least, most, sum, mean, squares, first, last;
    double *kept; /* for the median */
    size_t capacity;
    /* of its signal */
    double left, right, integral;
    int64_t known; /* ms */
    bool started;
    int64_t last_time; /* of the last point of the signal */
    double last_value;
    double values[];
};

enum sk_status sk_series_intervals_new(const struct sk_series_grid *grid,
                                       enum sk_series_aggregate aggregate,
                                       enum sk_series_interpolation interpolation,
                                       struct sk_series_intervals **intervals) {
    if ((aggregate >= SK_SERIES_LEFT) != (interpolation != SK_SERIES_NO_SIGNAL)) return SK_INVALID;
    struct sk_series_intervals *it = sk_alloc(sizeof *it + grid->count * sizeof *it->values);
    it->grid = *grid;
    it->aggregate = aggregate;
    it->interpolation = interpolation;
    it->left = it->right = NAN;
    it->behind = grid->from;
    *intervals = it;
    return SK_OK;
}

void sk_series_intervals_free(struct sk_series_intervals *it) {
    if (it == NULL) return;
    free(it->kept);
    free(it);
}

static double result(const struct sk_series_intervals *it) {
    double n = (double)it->count;
    switch (it->aggregate) {
    case SK_SERIES_COUNT: return (double)it->points;
    case SK_SERIES_MIN: return it->count ? it->least : NAN;
    case SK_SERIES_MAX: return it->count ? it->most : NAN;
    case SK_SERIES_SUM: return it->count ? it->sum : NAN;
    case SK_SERIES_AVG: return it->count ? it->sum / n : NAN;
    case SK_SERIES_STDEV: return it->count > 1 ? sqrt(it->squares / (n - 1)) : NAN;
    case SK_SERIES_FIRST: return it->points ? it->first : NAN;
    case SK_SERIES_LAST: return it->points ? it->last : NAN;
    case SK_SERIES_MEDIAN: return it->points ? it->kept[(it->points - 1) / 2] : NAN;
    case SK_SERIES_LEFT: return it->left;
    case SK_SERIES_RIGHT: return it->right;
    case SK_SERIES_TWAVG: return it->known ? it->integral / (double)it->known : NAN;
    case SK_SERIES_TWSUM: return it->known ? it->integral / 1000 : NAN;
    }
    return NAN;
}

/* Ends intervals up to one. */
static void move_to(struct sk_series_intervals *it, size_t at) {
    while (it->at < at) {
        it->values[it->at++] = result(it);
        it->points = it->count = 0;
        it->sum = it->mean = it->squares = it->integral = 0;
        it->left = it->right = NAN;
        it->known = 0;
    }
}

static void keep(struct sk_series_intervals *it, double value) {
    if (it->points == it->capacity) {
        it->capacity = it->capacity ? it->capacity * 2 : 64;
        it->kept = sk_realloc(it->kept, it->capacity * sizeof *it->kept);
    }
    it->kept[it->points] = value;
}

static void add_point(struct sk_series_intervals *it, double value) {
    if (it->aggregate == SK_SERIES_MEDIAN) keep(it, value);
    if (it->points++ == 0) it->first = value;
    it->last = value;
    if (isnan(value)) return;
    it->least = it->count && it->least < value ? it->least : value;
    it->most = it->count && it->most > value ? it->most : value;
    it->count++;
    it->sum += value;
    if (it->aggregate != SK_SERIES_STDEV) return; /* Welford's way, for which a division is paid */
    double difference = value - it->mean;
    it->mean += difference / (double)it->count;
    it->squares += difference * (value - it->mean);
}

/* The signal goes from the last point, as a line through (to, value) or level, up to `until`. */
static void add_piece(struct sk_series_intervals *it, int64_t to, double value, int64_t until) {
    const struct sk_series_grid *grid = &it->grid;
    int64_t low = it->last_time > grid->from ? it->last_time : grid->from;
    int64_t high = until < grid->to ? until : grid->to;
    double slope = it->interpolation == SK_SERIES_LINEAR
                       ? (value - it->last_value) / (double)(to - it->last_time)
                       : 0;
    while (low < high) {
        size_t i = interval_of(grid, low);
        move_to(it, i);
        int64_t edge = end(grid, i), stop = high < edge ? high : edge;
        double a = it->last_value + slope * (double)(low - it->last_time);
        double b = it->last_value + slope * (double)(stop - it->last_time);
        if (low == begin(grid, i)) it->left = a;
        if (stop == edge) it->right = b;
        it->integral += (a + b) / 2 * (double)(stop - low);
        it->known += stop - low;
        low = stop;
    }
}

void sk_series_intervals_add(struct sk_series_intervals *it, int64_t time, double value) {
    if (it->interpolation == SK_SERIES_NO_SIGNAL) {
        if (!within(&it->grid, time)) return;
        if (time >= it->behind) {
            move_to(it, interval_of(&it->grid, time));
            it->behind = end(&it->grid, it->at);
        }
        add_point(it, value);
        return;
    }
    if (isnan(value)) return;
    if (it->started && time > it->last_time) add_piece(it, time, value, time);
    it->started = true;
    it->last_time = time;
    it->last_value = value;
}

bool sk_series_intervals_add_block(struct sk_series_intervals *it, int64_t first_time,
                                   int64_t last_time, const struct sk_series_column_summary *of) {
    double least, most, first, last;
    if ((it->aggregate > SK_SERIES_LAST && it->aggregate != SK_SERIES_COUNT) ||
        it->aggregate == SK_SERIES_STDEV || !within(&it->grid, first_time) ||
        !within(&it->grid, last_time) ||
        interval_of(&it->grid, first_time) != interval_of(&it->grid, last_time))
        return false;
    if (of->property.type == SK_SERIES_DOUBLE) {
        least = of->least.number, most = of->most.number;
        first = of->first.number, last = of->last.number;
    } else if (of->property.type == SK_SERIES_LONG) {
        least = (double)of->least.integer, most = (double)of->most.integer;
        first = (double)of->first.integer, last = (double)of->last.integer;
    } else {
        return false;
    }
    /* rows without the property are nulls, which are first or last too */
    if ((it->aggregate == SK_SERIES_FIRST && of->first_time != first_time) ||
        (it->aggregate == SK_SERIES_LAST && of->last_time != last_time))
        return false;
    move_to(it, interval_of(&it->grid, first_time));
    if (it->points == 0) it->first = first;
    it->last = last;
    it->least = it->count && it->least < least ? it->least : least;
    it->most = it->count && it->most > most ? it->most : most;
    it->points += of->count;
    it->count += of->count;
    it->sum += of->sum;
    return true;
}

const double *sk_series_intervals_end(struct sk_series_intervals *it) {
    if (it->started && it->interpolation == SK_SERIES_STEP && it->last_time < it->grid.to)
        add_piece(it, it->grid.to, it->last_value, it->grid.to);
    it->started = false;
    move_to(it, it->grid.count);
    return it->values;
}

/* ---- labels ---- */

struct sk_series_shares {
    struct sk_series_grid grid;
    bool step, started;
    int64_t last_time;
    size_t last_label;
    double values[];
};

struct sk_series_shares *sk_series_shares_new(const struct sk_series_grid *grid, size_t labels,
                                              bool step) {
    SK_ASSERT(labels <= SK_SERIES_LABELS_MAX);
    struct sk_series_shares *it = sk_alloc(sizeof *it + labels * grid->count * sizeof(double));
    it->grid = *grid;
    it->step = step;
    return it;
}

void sk_series_shares_free(struct sk_series_shares *it) {
    free(it);
}

static void share(struct sk_series_shares *it, int64_t until) {
    const struct sk_series_grid *grid = &it->grid;
    int64_t low = it->last_time > grid->from ? it->last_time : grid->from;
    int64_t high = until < grid->to ? until : grid->to;
    while (low < high) {
        size_t i = interval_of(grid, low);
        int64_t edge = end(grid, i), stop = high < edge ? high : edge;
        it->values[it->last_label * grid->count + i] += (double)(stop - low) / (double)grid->width;
        low = stop;
    }
}

void sk_series_shares_add(struct sk_series_shares *it, int64_t time, size_t label) {
    if (!it->step) {
        if (within(&it->grid, time))
            it->values[label * it->grid.count + interval_of(&it->grid, time)]++;
        return;
    }
    if (it->started) share(it, time);
    it->started = true;
    it->last_time = time;
    it->last_label = label;
}

const double *sk_series_shares_end(struct sk_series_shares *it) {
    if (it->started) share(it, it->grid.to);
    it->started = false;
    return it->values;
}
