/* SELECT statements: "[EXPLAIN] SELECT [TOP n] * | item, … FROM devices | devices.modules |
 * devices.jobs [[AS] alias] [WHERE condition] [GROUP BY path, …]". An item is a value or an
 * aggregate, COUNT() | COUNT | SUM | AVG | MIN | MAX (value), with AS name behind it or not.
 *
 * A query knows nothing of where documents come from: it is asked whether it selects one and what
 * row it makes of it; groups are gathered by a `struct sk_select`. */
#ifndef SK_EXPR_QUERY_H
#define SK_EXPR_QUERY_H

#include "expr/expr.h"

enum sk_query_from { SK_FROM_DEVICES, SK_FROM_MODULES, SK_FROM_JOBS };

enum sk_aggregate {
    SK_AGGREGATE_NONE, /* the value itself */
    SK_AGGREGATE_COUNT,
    SK_AGGREGATE_SUM,
    SK_AGGREGATE_AVG,
    SK_AGGREGATE_MIN,
    SK_AGGREGATE_MAX,
};

#define SK_QUERY_ITEMS_MAX 64     /* of a list */
#define SK_QUERY_GROUPS_MAX 10000 /* that one answer may have */

struct sk_query_item {
    enum sk_aggregate aggregate;
    struct sk_expr *value; /* NULL: of COUNT(), all documents */
    struct sk_span name;   /* of the member in a row; into the query's text or `value` */
};

struct sk_query {
    enum sk_query_from from;
    bool explain;
    bool star;             /* SELECT * */
    uint32_t top;          /* 0: all */
    struct sk_expr *where; /* NULL: everything */
    struct sk_query_item *items;
    size_t item_count;
    struct sk_expr **groups; /* what GROUP BY names */
    size_t group_count;
    bool grouped; /* rows are of groups: GROUP BY, or aggregates of everything */
};

/* SK_MALFORMED, SK_TOO_LARGE: `error` says where and why. `text` must outlive the query. */
enum sk_status sk_query_parse(struct sk_span text, struct sk_query *query,
                              struct sk_expr_error *error);
/* Whether its condition holds for a document: a twin, or what a job did. The arena is reset. */
bool sk_query_selects(const struct sk_query *query, const struct sk_expr_source *document,
                      struct sk_arena *arena);
/* The row of a document that it selects, if it does not group; a new reference. */
json_t *sk_query_row(const struct sk_query *query, const json_t *document, struct sk_arena *arena);
void sk_query_free(struct sk_query *query); /* its parts, not the struct */

/* Rows of a query that groups. */
struct sk_select;
struct sk_select *sk_select_new(const struct sk_query *query);
/* A document that the query selects. SK_TOO_LARGE: there are too many groups. */
enum sk_status sk_select_add(struct sk_select *select, const struct sk_expr_source *document,
                             struct sk_arena *arena);
/* As groups were seen first; without GROUP BY there is one, of no documents too. */
size_t sk_select_count(const struct sk_select *select);
json_t *sk_select_row(const struct sk_select *select, size_t index); /* a new reference */
void sk_select_free(struct sk_select *select);

#endif
