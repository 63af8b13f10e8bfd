/* Time Series Expressions: what a query computes of events, with types that are known before any
 * event is.
 *
 *   expr     := or; or := and {OR and}; and := not {AND not}; not := [NOT] comparison
 *   compare  := sum [(= | != | <> | < | > | <= | >=) sum]; sum := term {(+ | -) term}
 *   term     := factor {(* | /) factor}
 *   factor   := literal | property | name '(' [expr {, expr}] ')' | '(' expr ')'; in an
 *               aggregate function of an aggregation also $value
 *   property := $event token {token} [.Type] | $event.$ts; token := .name | ['name'] | .['name']
 *   literal  := [-]7 | [-]1.23 | 'text' | TRUE | FALSE | NULL | dt'time' | ts'duration'
 *
 * Keywords, functions and types are read in any case. One token without a type is a Double; more
 * need one. An event that lacks a property has null there; a comparison with null is false, one
 * with the literal NULL asks for it (an empty String counts as null). */
#ifndef SK_SERIES_TSX_H
#define SK_SERIES_TSX_H

#include "series/intervals.h"

#define SK_TSX_TEXT_MAX 8192      /* bytes of an expression */
#define SK_TSX_DEPTH_MAX 64       /* parentheses, calls and NOTs within one another */
#define SK_TSX_ARGUMENTS_MAX 64   /* of coalesce and strCat */
#define SK_TSX_PROPERTIES_MAX 50  /* that one expression names */
#define SK_TSX_BYTES_MAX 67108864 /* of memory for one block of rows */
#define SK_TSX_MEASURES_MAX 10    /* aggregate functions in one aggregation */

struct sk_tsx {
    enum sk_series_type type; /* of its value */
    struct tsx_node *root;
    struct sk_series_property properties[SK_TSX_PROPERTIES_MAX]; /* by flattened names */
    size_t property_count;
    size_t nodes; /* steps that a row takes */
};
/* Lives in the arena, as `text` must. SK_MALFORMED, SK_TOO_LARGE: `error` says where (a byte, from
 * 1) and why. */
enum sk_status sk_tsx_parse(struct sk_span text, struct sk_arena *arena, struct sk_tsx *tsx,
                            char error[200]);

/* An aggregation: functions over the events of an interval, and what is computed of them, as in
 * max($event.t) - min($event.t), or over $value alone, avg($value). */
struct sk_tsx_aggregation {
    struct sk_tsx_measure {
        enum sk_series_aggregate by;
        struct sk_tsx of;             /* a Double or a Long; of SK_SERIES_COUNT without a root */
        struct sk_series_property as; /* what `result` calls it */
    } measures[SK_TSX_MEASURES_MAX];
    size_t measure_count;
    struct sk_tsx result; /* its properties are the measures; a Double or a Long */
};
/* `value`: what $value is, or NULL: there is none. As sk_tsx_parse. */
enum sk_status sk_tsx_parse_aggregation(struct sk_span text, const struct sk_tsx *value,
                                        struct sk_arena *arena, struct sk_tsx_aggregation *to,
                                        char error[200]);
/* The property that an expression is and nothing else, or NULL. */
const struct sk_series_property *sk_tsx_property(const struct sk_tsx *tsx);

/* A value for each row, in the arena; null[i]: there is none. Doubles are finite. */
struct sk_tsx_values {
    const union sk_series_value *values;
    const uint8_t *null;
};
/* `now`: ms since 1970, of utcNow. SK_TOO_LARGE: texts beyond SK_TSX_BYTES_MAX. */
enum sk_status sk_tsx_eval(const struct sk_tsx *tsx, const struct sk_series_rows *rows, int64_t now,
                           struct sk_arena *arena, struct sk_tsx_values *result);

#endif
