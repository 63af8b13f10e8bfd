/* Routes of the edge hub: "FROM /messages/modules/m/outputs/o WHERE temperature > 30 INTO
 * $upstream".
 *
 * Grammar: [SELECT *] FROM path [WHERE condition] INTO $upstream |
 * BrokeredEndpoint("/modules/<m>/inputs/<in>") | BrokeredEndpoint("/devices/<d>"); keywords in any
 * case. Priority and time to live are
 * the deployment's, not the route's. */
#ifndef SK_EXPR_ROUTE_H
#define SK_EXPR_ROUTE_H

#include "expr/expr.h"

enum sk_route_sink { SK_SINK_UPSTREAM, SK_SINK_MODULE, SK_SINK_DEVICE };

struct sk_route {
    struct sk_span source;     /* as written, with its stars */
    struct sk_expr *condition; /* NULL: every message */
    enum sk_route_sink sink;
    struct sk_span module, input; /* of SK_SINK_MODULE */
    struct sk_span device;        /* of SK_SINK_DEVICE: a leaf device, our own and not Azure's */
    char *text;                   /* owned copy that the spans point into */
};

/* Parses and compiles. SK_MALFORMED, SK_TOO_LARGE: `error` says where and why. The caller frees the
 * parts with sk_route_free. */
enum sk_status sk_route_parse(struct sk_span text, struct sk_route *route,
                              struct sk_expr_error *error);
void sk_route_free(struct sk_route *route); /* its parts, not the struct */

/* Whether the route takes messages of this source: the route's path is a prefix by whole segments,
 * without regard to case; a '*' takes any segment. Sources: "/messages/" (leaf devices),
 * "/messages/modules/<m>/", "/messages/modules/<m>/outputs/<o>/", "/twinChangeNotifications/". */
bool sk_route_takes(const struct sk_route *route, struct sk_span source);

/* Takes the source and its condition is true. */
bool sk_route_matches(const struct sk_route *route, struct sk_span source,
                      const struct sk_expr_source *message, struct sk_arena *arena);

#endif
