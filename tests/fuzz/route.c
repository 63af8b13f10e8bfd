/* Any text as a route: it is taken whole or refused with a place in it. */
#include <stdlib.h>

#include "expr/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_route route;
    struct sk_expr_error error;
    enum sk_status status = sk_route_parse(sk_span(data, size), &route, &error);
    if (status) {
        if (error.position > size || error.line == 0 || error.sentence[0] == 0 || route.text ||
            route.condition)
            abort();
        return 0;
    }
    if (route.source.n == 0 ||
        (route.sink == SK_SINK_MODULE && (route.module.n == 0 || route.input.n == 0)))
        abort();
    struct sk_arena arena = {0};
    struct sk_expr_source message = {.body = SK_SPAN("{\"t\":1}"),
                                     .content_type = SK_SPAN("application/json"),
                                     .content_encoding = SK_SPAN("utf-8")};
    sk_route_matches(&route, SK_SPAN("/messages/modules/m/outputs/o/"), &message, &arena);
    sk_route_takes(&route, SK_SPAN("/messages/"));
    sk_arena_free(&arena);
    sk_route_free(&route);
    return 0;
}
