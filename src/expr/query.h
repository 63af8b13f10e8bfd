/* SELECT statements on twins: "SELECT [TOP n] … FROM devices | devices.modules | devices.jobs
 * [[AS] alias] [WHERE …] [GROUP BY …]".
 *
 * Projection and grouping are kept as text: callers serve `SELECT *` and refuse the rest. */
#ifndef SK_EXPR_QUERY_H
#define SK_EXPR_QUERY_H

#include "expr/expr.h"

enum sk_query_from { SK_FROM_DEVICES, SK_FROM_MODULES, SK_FROM_JOBS };

struct sk_query {
    enum sk_query_from from;
    bool star;                 /* SELECT * */
    uint32_t top;              /* 0: all */
    struct sk_span projection; /* as written, into the query's text */
    struct sk_expr *where;     /* NULL: everything */
    struct sk_span group;      /* what follows GROUP BY, as written; empty: no grouping */
};

/* SK_MALFORMED, SK_TOO_LARGE: `error` says where and why. */
enum sk_status sk_query_parse(struct sk_span text, struct sk_query *query,
                              struct sk_expr_error *error);
/* Whether its condition holds for a document: a twin, or what a job did. The arena is reset. */
bool sk_query_selects(const struct sk_query *query, const json_t *document, struct sk_arena *arena);
void sk_query_free(struct sk_query *query); /* its parts, not the struct */

#endif
