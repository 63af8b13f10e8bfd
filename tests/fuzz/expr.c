/* Any text: it compiles and evaluates, or is refused with a place in it. Against one message, whose
 * body is the input's second line when it has one. */
#include <stdlib.h>

#include "expr/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool property(void *arg, struct sk_span name, struct sk_span *value) {
    (void)arg;
    *value = name; /* every property holds its own name, but one */
    return !sk_span_is(name, "missing");
}

static void check_error(struct sk_span text, enum sk_status status,
                        const struct sk_expr_error *error) {
    if (status != SK_MALFORMED && status != SK_TOO_LARGE) abort();
    if (error->position > text.n || error->line == 0 || error->column == 0 ||
        error->sentence[0] == 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span all = sk_span(data, size);
    struct sk_span text = sk_span_first(all, sk_span_find(all, '\n'));
    struct sk_span body = sk_span_skip(all, text.n + 1);
    if (body.n == 0) body = SK_SPAN("{\"a\":{\"b\":[1,\"x\\u0041\",true,null]},\"t\":21.5}");
    struct sk_expr_source source = {.property = property,
                                    .system = property,
                                    .body = body,
                                    .twin = body,
                                    .content_type = SK_SPAN("application/json"),
                                    .content_encoding = SK_SPAN("utf-8")};
    struct sk_arena arena = {0};
    for (int dialect = SK_DIALECT_ROUTE; dialect <= SK_DIALECT_TWIN_QUERY; dialect++) {
        struct sk_expr *expr;
        struct sk_expr_error error;
        enum sk_status status = sk_expr_compile(text, (enum sk_dialect)dialect, &expr, &error);
        if (status) {
            check_error(text, status, &error);
            continue;
        }
        struct sk_value value;
        sk_expr_eval(expr, &source, &arena, &value);
        if (arena.used > SK_EXPR_ARENA_MAX) abort();
        if (value.type == SK_VALUE_STRING && value.text.n)
            (void)*(volatile const char *)(value.text.p + value.text.n - 1);
        sk_arena_reset(&arena);
        sk_expr_free(expr);
    }
    struct sk_query query;
    struct sk_expr_error error;
    enum sk_status status = sk_query_parse(text, &query, &error);
    if (status)
        check_error(text, status, &error);
    else
        sk_query_free(&query);
    sk_arena_free(&arena);
    return 0;
}
