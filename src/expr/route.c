#include "expr/route.h"

#include "expr/lexer.h"
#include "expr/program.h"

/* The path behind FROM, which is no token of the expression language. The current token is FROM. */
static enum sk_status parse_source(struct lexer *lexer, struct sk_span *source) {
    struct sk_span text = lexer->text;
    size_t from = lexer->next;
    while (from < text.n && (text.p[from] == ' ' || (text.p[from] >= '\t' && text.p[from] <= '\r')))
        from++;
    size_t end = from;
    while (end < text.n && (unsigned char)text.p[end] > ' ') end++;
    *source = sk_span_skip(sk_span_first(text, end), from);
    struct sk_span rest = sk_span_skip(*source, 1), item;
    if (source->n < 2 || source->p[0] != '/')
        return lexer_fail_at(lexer, from, "expected a source such as /messages/* behind FROM");
    while (sk_span_split(&rest, '/', &item))
        if (item.n == 0 && rest.p != NULL) /* one '/' at the end is fine */
            return lexer_fail_at(lexer, (size_t)(item.p - text.p),
                                 "the source has an empty part between two slashes");
    lexer->next = end;
    lexer_next(lexer);
    return SK_OK;
}

/* "/modules/<m>/inputs/<in>" or "/devices/<d>"; a slash at either end does not matter. */
static bool parse_endpoint(struct sk_span text, struct sk_route *route) {
    struct sk_span kind, inputs;
    if (text.n && text.p[0] == '/') text = sk_span_skip(text, 1);
    if (text.n && text.p[text.n - 1] == '/') text.n--;
    if (!sk_span_split(&text, '/', &kind)) return false;
    if (sk_span_eq_nocase(kind, SK_SPAN("devices"))) {
        route->sink = SK_SINK_DEVICE;
        return sk_span_split(&text, '/', &route->device) && text.p == NULL && route->device.n;
    }
    route->sink = SK_SINK_MODULE;
    return sk_span_eq_nocase(kind, SK_SPAN("modules")) &&
           sk_span_split(&text, '/', &route->module) && sk_span_split(&text, '/', &inputs) &&
           sk_span_split(&text, '/', &route->input) && text.p == NULL &&
           sk_span_eq_nocase(inputs, SK_SPAN("inputs")) && route->module.n && route->input.n;
}

static enum sk_status parse_sink(struct lexer *lexer, struct sk_route *route) {
    if (lexer_take_word(lexer, "$upstream")) {
        route->sink = SK_SINK_UPSTREAM;
        return SK_OK;
    }
    if (!lexer_take_word(lexer, "BrokeredEndpoint"))
        return lexer_expected(
            lexer, "$upstream or BrokeredEndpoint(\"/modules/<module>/inputs/<input>\")");
    if (!lexer_take_sign(lexer, "(")) return lexer_expected(lexer, "\"(\"");
    if (lexer->token.kind != TOKEN_STRING) return lexer_expected(lexer, "the endpoint in quotes");
    if (!parse_endpoint(lexer->token.text, route))
        return lexer_fail_at(lexer, lexer->token.at,
                             "an endpoint is \"/modules/<module>/inputs/<input>\" or "
                             "\"/devices/<device>\", not \"%.*s\"",
                             SK_ARG(sk_span_first(lexer->token.text, 60)));
    lexer_next(lexer);
    return lexer_take_sign(lexer, ")") ? SK_OK : lexer_expected(lexer, "\")\"");
}

static enum sk_status parse(struct lexer *lexer, struct sk_route *route) {
    if (lexer_take_word(lexer, "SELECT") && !lexer_take_sign(lexer, "*"))
        return lexer_expected(lexer, "\"*\" (a route takes whole messages)");
    if (!lexer_is_word(lexer, "FROM")) return lexer_expected(lexer, "FROM");
    if (parse_source(lexer, &route->source)) return SK_MALFORMED;
    if (lexer_take_word(lexer, "WHERE")) {
        enum sk_status status = expr_compile(lexer, SK_DIALECT_ROUTE, NULL, &route->condition);
        if (status) return status;
        if (!lexer_is_word(lexer, "INTO")) return lexer_expected(lexer, "an operator or INTO");
    }
    if (!lexer_take_word(lexer, "INTO")) return lexer_expected(lexer, "WHERE or INTO");
    if (parse_sink(lexer, route)) return SK_MALFORMED;
    return lexer->token.kind == TOKEN_END ? SK_OK : lexer_expected(lexer, "the end of the route");
}

enum sk_status sk_route_parse(struct sk_span text, struct sk_route *route,
                              struct sk_expr_error *error) {
    struct sk_expr_error unused;
    if (error == NULL) error = &unused;
    *route = (struct sk_route){0};
    if (expr_check_length(text, error)) return SK_TOO_LARGE;
    route->text = sk_span_dup(text);
    struct lexer lexer;
    lexer_init(&lexer, sk_span(route->text, text.n), 0, error);
    enum sk_status status = parse(&lexer, route);
    if (status) {
        sk_route_free(route);
        *route = (struct sk_route){0};
    }
    return status;
}

void sk_route_free(struct sk_route *route) {
    sk_expr_free(route->condition);
    free(route->text);
}

bool sk_route_takes(const struct sk_route *route, struct sk_span source) {
    struct sk_span rest = sk_span_skip(route->source, 1), wanted, part;
    source = sk_span_skip(source, 1);
    while (sk_span_split(&rest, '/', &wanted)) {
        bool any = sk_span_is(wanted, "*");
        if (rest.p == NULL && (any || wanted.n == 0))
            return true; /* "…/" and "…/ *" take everything below */
        if (!sk_span_split(&source, '/', &part) || part.n == 0) return false;
        if (!any && !sk_span_eq_nocase(wanted, part)) return false;
    }
    return true;
}

bool sk_route_matches(const struct sk_route *route, struct sk_span source,
                      const struct sk_expr_source *message, struct sk_arena *arena) {
    return sk_route_takes(route, source) &&
           (route->condition == NULL || sk_expr_true(route->condition, message, arena));
}
