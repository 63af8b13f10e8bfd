/* What a time series is made of: events of an instance, with typed properties.
 *
 * A property is known by name and type: the same name with two types is two properties. An
 * instance is known by the values of the time series ID's properties, as a JSON array of texts and
 * nulls without blanks, ["PU-1"]. */
#ifndef SK_SERIES_EVENT_H
#define SK_SERIES_EVENT_H

#include "base/base.h"

enum sk_series_type {
    SK_SERIES_BOOL,
    SK_SERIES_DATETIME, /* ms since 1970 */
    SK_SERIES_DOUBLE,
    SK_SERIES_LONG,
    SK_SERIES_STRING,
    SK_SERIES_TIMESPAN, /* ms; computed only, never stored */
    SK_SERIES_DYNAMIC,  /* JSON text; stored, but nothing computes with it */
    SK_SERIES_TYPES
};

struct sk_series_property {
    struct sk_span name;
    enum sk_series_type type;
};

/* Which member holds is said by the property's type. */
union sk_series_value {
    bool boolean;
    int64_t integer; /* Long, DateTime, TimeSpan */
    double number;
    struct sk_span text; /* String, Dynamic */
};

struct sk_series_field {
    struct sk_series_property property;
    union sk_series_value value;
};

struct sk_series_event {
    struct sk_span instance;
    int64_t time; /* ms since 1970; DateTime's range is years 1 to 9999 */
    const struct sk_series_field *fields;
    size_t field_count;
};

static inline bool sk_series_is_text(enum sk_series_type type) {
    return type == SK_SERIES_STRING || type == SK_SERIES_DYNAMIC;
}

static inline bool sk_series_same_property(const struct sk_series_property *a,
                                           const struct sk_series_property *b) {
    return a->type == b->type && sk_span_eq(a->name, b->name);
}

/* The last multiple of `width` that is not behind `time`. */
static inline int64_t sk_series_floor(int64_t time, int64_t width) {
    int64_t rest = time % width;
    return time - (rest < 0 ? rest + width : rest);
}

/* Rows of one instance, ascending by time, equal times in the order in which they came. Lives
 * until the callback that was given it returns. */
struct sk_series_column {
    struct sk_series_property property;
    const uint8_t *present; /* one byte a row; NULL: in all rows */
    const union sk_series_value *values;
};
struct sk_series_rows {
    const int64_t *times;
    size_t count;
    const struct sk_series_column *columns;
    size_t column_count;
};

#endif
