#include "expr/query.h"

#include "expr/lexer.h"
#include "expr/program.h"

static enum sk_status parse_top(struct lexer *lexer, uint32_t *top) {
    if (!lexer_is_whole(lexer, top) || *top == 0)
        return lexer_expected(lexer, "a whole number from 1 on behind TOP");
    lexer_next(lexer);
    return SK_OK;
}

/* Everything up to FROM. */
static enum sk_status parse_projection(struct lexer *lexer, struct sk_query *query) {
    size_t from = lexer->token.at, tokens = 0;
    bool star = lexer_is_sign(lexer, "*");
    while (!lexer_is_word(lexer, "FROM")) {
        if (lexer->token.kind == TOKEN_END || lexer->token.kind == TOKEN_BAD)
            return lexer_expected(lexer, "FROM");
        tokens++;
        lexer_next(lexer);
    }
    if (tokens == 0) return lexer_expected(lexer, "\"*\" or a list of what to select");
    query->star = star && tokens == 1;
    query->projection = sk_span_trim(sk_span(lexer->text.p + from, lexer->token.at - from));
    lexer_next(lexer);
    return SK_OK;
}

/* "devices [AS] d" */
static enum sk_status parse_alias(struct lexer *lexer, struct sk_span *alias) {
    bool as = lexer_take_word(lexer, "AS");
    bool name = lexer->token.kind == TOKEN_NAME && !lexer_is_word(lexer, "WHERE") &&
                !lexer_is_word(lexer, "GROUP");
    if (!name) return as ? lexer_expected(lexer, "a name behind AS") : SK_OK;
    *alias = lexer->token.text;
    lexer_next(lexer);
    return SK_OK;
}

static enum sk_status parse_from(struct lexer *lexer, struct sk_query *query,
                                 struct expr_collection *collection) {
    static const char expected[] = "devices, devices.modules or devices.jobs";
    if (!lexer_take_word(lexer, "devices")) return lexer_expected(lexer, expected);
    query->from = SK_FROM_DEVICES;
    if (lexer_take_sign(lexer, ".")) {
        collection->part = lexer->token.text;
        if (lexer_take_word(lexer, "modules"))
            query->from = SK_FROM_MODULES;
        else if (lexer_take_word(lexer, "jobs"))
            query->from = SK_FROM_JOBS;
        else
            return lexer_expected(lexer, expected);
    }
    return parse_alias(lexer, &collection->alias);
}

static enum sk_status parse_group(struct lexer *lexer, struct sk_query *query) {
    if (!lexer_take_word(lexer, "GROUP")) return SK_OK;
    if (!lexer_take_word(lexer, "BY")) return lexer_expected(lexer, "BY");
    query->group = sk_span_trim(sk_span_skip(lexer->text, lexer->token.at));
    if (query->group.n == 0) return lexer_expected(lexer, "what to group by");
    while (lexer->token.kind != TOKEN_END && lexer->token.kind != TOKEN_BAD) lexer_next(lexer);
    return lexer->failed ? SK_MALFORMED : SK_OK;
}

static enum sk_status parse(struct lexer *lexer, struct sk_query *query) {
    if (!lexer_take_word(lexer, "SELECT")) return lexer_expected(lexer, "SELECT");
    if (lexer_take_word(lexer, "TOP") && parse_top(lexer, &query->top)) return SK_MALFORMED;
    struct expr_collection collection = {0};
    if (parse_projection(lexer, query) || parse_from(lexer, query, &collection))
        return SK_MALFORMED;
    if (lexer_take_word(lexer, "WHERE")) {
        enum sk_status status =
            expr_compile(lexer, SK_DIALECT_TWIN_QUERY, &collection, &query->where);
        if (status) return status;
    }
    if (parse_group(lexer, query)) return SK_MALFORMED;
    if (lexer->token.kind == TOKEN_END) return SK_OK;
    return lexer_expected(lexer, query->where ? "an operator, GROUP BY or the end"
                                              : "WHERE, GROUP BY or the end");
}

enum sk_status sk_query_parse(struct sk_span text, struct sk_query *query,
                              struct sk_expr_error *error) {
    struct sk_expr_error unused;
    if (error == NULL) error = &unused;
    *query = (struct sk_query){0};
    if (expr_check_length(text, error)) return SK_TOO_LARGE;
    struct lexer lexer;
    lexer_init(&lexer, text, 0, error);
    enum sk_status status = parse(&lexer, query);
    if (status) {
        sk_query_free(query);
        *query = (struct sk_query){0};
    }
    return status;
}

bool sk_query_selects(const struct sk_query *query, const json_t *document,
                      struct sk_arena *arena) {
    if (query->where == NULL) return true;
    sk_arena_reset(arena);
    return sk_expr_true(query->where, &(struct sk_expr_source){.document = document}, arena);
}

void sk_query_free(struct sk_query *query) {
    sk_expr_free(query->where);
}
