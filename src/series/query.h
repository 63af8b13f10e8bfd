/* What is asked of a series: its events, values computed of each of them, or of intervals.
 *
 * An answer is a page: at most so many values, with the place where the next one begins.
 * docs/protocols/time-series.md. */
#ifndef SK_SERIES_QUERY_H
#define SK_SERIES_QUERY_H

#include "series/intervals.h"
#include "series/tsx.h"

#define SK_SERIES_TAKE_MAX 250000 /* values of events, all pages together */
#define SK_SERIES_TAKE_DEFAULT 10000
#define SK_SERIES_VARIABLES_MAX 50   /* of a query, and so properties */
#define SK_SERIES_PAGE_VALUES 30000  /* of one answer about events, and */
#define SK_SERIES_PAGE_BYTES 4194304 /* of their texts */
#define SK_SERIES_PAGE_NUMBERS 30000 /* of one answer about intervals, times among them */
#define SK_SERIES_PAGE_ROWS 10000000 /* that are looked at for one about events */
#define SK_SERIES_NODES_MAX 50000    /* of all expressions of a query */
/* Rows times the nodes of the expressions over them: an answer about events ends there as a page;
 * one about intervals is refused. */
#define SK_SERIES_PAGE_WORK 200000000ull
#define SK_SERIES_WORK_MAX 4000000000ull

enum sk_series_kind { SK_SERIES_NUMERIC, SK_SERIES_CATEGORICAL, SK_SERIES_AGGREGATED };

struct sk_series_category {
    struct sk_span label;
    const union sk_series_value *values; /* of the type of the variable's value */
    size_t count;
};
struct sk_series_variable {
    struct sk_span name;
    enum sk_series_kind kind;
    const struct sk_tsx *filter; /* a Bool, or NULL: all events */
    const struct sk_tsx *value;  /* Numeric: a Double or Long; Categorical: a Long or String */
    const struct sk_tsx_aggregation *aggregation; /* Numeric, Aggregated */
    enum sk_series_interpolation interpolation;   /* Categorical: none or Step */
    int64_t boundary; /* ms; how far around the span a signal's points are looked for */
    const struct sk_series_category *categories;
    size_t category_count;
    struct sk_span otherwise; /* the label of what is in no category */
};

/* How far a query has come. */
struct sk_series_place {
    int64_t time;  /* of the next event, or the beginning of the next interval */
    uint64_t skip; /* events of that time that have been looked at */
    uint64_t taken;
};

struct sk_series_query {
    enum sk_series_asked {
        SK_SERIES_ASK_EVENTS,
        SK_SERIES_ASK_SERIES,
        SK_SERIES_ASK_INTERVALS
    } ask;
    struct sk_span instance;
    int64_t from, to;                            /* ms since 1970; `from` included, `to` not */
    int64_t now;                                 /* of utcNow */
    const struct sk_tsx *filter;                 /* a Bool, or NULL */
    const struct sk_series_property *properties; /* of events; NULL: all */
    size_t property_count;
    const struct sk_series_variable *variables; /* of series and intervals */
    size_t variable_count;
    int64_t width;                /* of intervals, ms */
    uint64_t take;                /* values of events and series */
    struct sk_series_place place; /* {from, 0, 0}: the beginning */
};

struct sk_series_answer_column {
    struct sk_series_property property;
    union sk_series_value *values;
    uint8_t *null;
};
/* Lives until `done` returns. */
struct sk_series_answer {
    int64_t *times;
    size_t count;
    struct sk_series_answer_column *columns;
    size_t column_count;
    bool more;
    struct sk_series_place next; /* when there is more */
    double progress;             /* percent */
};

/* `done` comes once, never from inside sk_series_query; then all of it is gone. SK_OK: `answer`;
 * SK_TOO_LARGE: more work, or texts that
 * expressions make, than there may be; SK_CLOSED, SK_IO, SK_MALFORMED as of
 * sk_series_read. */
typedef void sk_series_answered(void *arg, enum sk_status status,
                                const struct sk_series_answer *answer);
struct sk_series_asking;
/* The query and all it points to is borrowed until then. `asking` (may be NULL): to cancel it.
 * SK_INVALID: an aggregate needs a signal, or has no use for one; SK_TOO_LARGE: more than
 * SK_SERIES_INTERVALS_MAX intervals or SK_SERIES_NODES_MAX nodes. Then nothing is called. */
enum sk_status sk_series_query(struct sk_series *store, const struct sk_series_query *query,
                               sk_series_answered *done, void *arg,
                               struct sk_series_asking **asking);
/* Nothing is called any more; it is gone. */
void sk_series_query_cancel(struct sk_series_asking *asking);

#endif
