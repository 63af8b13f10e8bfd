/* Why a condition is not true. */
#include "expr/lexer.h"

/* Where the condition's terms at its top end, if ANDs alone join them; else it is one term. Returns
 * how many, `ends` behind each. */
static size_t split_terms(struct sk_span text, struct sk_span terms[SK_EXPR_TERMS_MAX]) {
    struct sk_expr_error error;
    struct lexer lexer;
    size_t count = 0, begin = 0, depth = 0;
    for (lexer_init(&lexer, text, 0, &error); lexer.token.kind != TOKEN_END; lexer_next(&lexer)) {
        if (lexer.token.kind == TOKEN_BAD) break;
        if (lexer_is_sign(&lexer, "(") || lexer_is_sign(&lexer, "[")) depth++;
        if (lexer_is_sign(&lexer, ")") || lexer_is_sign(&lexer, "]")) depth--;
        if (depth) continue;
        if (lexer_is_word(&lexer, "OR") || count + 1 == SK_EXPR_TERMS_MAX) {
            begin = count = 0;
            break;
        }
        if (!lexer_is_word(&lexer, "AND")) continue;
        terms[count++] = sk_span_trim(sk_span(text.p + begin, lexer.token.at - begin));
        begin = lexer.next;
    }
    terms[count++] = sk_span_trim(sk_span_skip(text, begin));
    return count;
}

static enum sk_truth truth_of(struct sk_span text, enum sk_dialect dialect,
                              const struct sk_expr_source *source, struct sk_arena *arena) {
    struct sk_expr *expr;
    struct sk_value value;
    if (sk_expr_compile(text, dialect, &expr, NULL)) return SK_TRUTH_UNDEFINED;
    sk_expr_eval(expr, source, arena, &value);
    sk_expr_free(expr);
    if (value.type != SK_VALUE_BOOL) return SK_TRUTH_UNDEFINED;
    return value.truth ? SK_TRUTH_TRUE : SK_TRUTH_FALSE;
}

enum sk_truth sk_expr_explain(struct sk_span text, enum sk_dialect dialect,
                              const struct sk_expr_source *source, struct sk_arena *arena,
                              struct sk_span *term, enum sk_truth *of_term) {
    struct sk_span terms[SK_EXPR_TERMS_MAX];
    size_t count = split_terms(text, terms);
    *term = SK_NONE;
    for (size_t i = 0; i < count && term->n == 0; i++) {
        *of_term = truth_of(terms[i], dialect, source, arena);
        if (*of_term != SK_TRUTH_TRUE) *term = terms[i];
    }
    return truth_of(text, dialect, source, arena);
}
