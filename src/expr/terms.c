/* What must hold wherever an expression is true: the parts of it that stand in one chain of ANDs
 * and compare a path with literals. A store can look these up; the rest is for the evaluator. */
#include "expr/program.h"

/* Where the value that each op leaves on the stack begins to be made. */
static uint32_t *find_starts(const struct sk_expr *expr) {
    uint32_t *starts = sk_alloc(expr->op_count * sizeof *starts);
    uint32_t stack[1 + STACK_MAX];
    size_t top = 0;
    for (uint32_t i = 0; i < expr->op_count; i++) {
        const struct op *op = &expr->ops[i];
        switch ((enum code)op->code) {
        case CODE_CONSTANT:
        case CODE_PROPERTY:
        case CODE_SYSTEM:
        case CODE_BODY:
        case CODE_TWIN: stack[++top] = i; break;
        case CODE_NOT:
        case CODE_NEGATE:
        case CODE_IN:
        case CODE_AND_SKIP:
        case CODE_OR_SKIP: break;
        case CODE_ELSE_SKIP: top--; break; /* what follows stands in its place */
        case CODE_CALL: top = top + 1 - op->count; break;
        default: top--; break; /* of two values */
        }
        starts[i] = top ? stack[top] : 0;
    }
    return starts;
}

/* Whether a comparison says that its left side is the larger. */
static bool says_larger(uint8_t code) {
    return code == CODE_GREATER || code == CODE_GREATER_EQUAL;
}

/* The path on one side and the literal on the other. */
static bool take_comparison(const struct sk_expr *expr, uint8_t code, const struct op *a,
                            const struct op *b, struct sk_expr_term *term) {
    bool turned = a->code == CODE_CONSTANT && b->code == CODE_TWIN;
    if (turned) {
        const struct op *other = a;
        a = b;
        b = other;
    }
    if (a->code != CODE_TWIN || b->code != CODE_CONSTANT) return false;
    *term = (struct sk_expr_term){.path = expr->steps + a->at,
                                  .path_count = a->count,
                                  .values = expr->constants + b->at,
                                  .value_count = 1};
    if (code == CODE_EQUAL) return true;
    term->how = says_larger(code) != turned ? SK_TERM_AT_LEAST : SK_TERM_AT_MOST;
    return term->values->type == SK_VALUE_NUMBER;
}

static bool compares(uint8_t code) {
    return code == CODE_EQUAL || code == CODE_LESS || code == CODE_LESS_EQUAL || says_larger(code);
}

/* The term that the op at `end` makes, if it is one. */
static bool take_term(const struct sk_expr *expr, const uint32_t *starts, uint32_t end,
                      struct sk_expr_term *term) {
    const struct op *op = &expr->ops[end];
    if (op->code == CODE_IN && !op->flag && end > 0 && expr->ops[end - 1].code == CODE_TWIN) {
        const struct op *path = &expr->ops[end - 1];
        *term = (struct sk_expr_term){.path = expr->steps + path->at,
                                      .path_count = path->count,
                                      .values = op->count ? expr->constants + op->at : NULL,
                                      .value_count = op->count};
        return true;
    }
    if (!compares(op->code) || end < 2 || starts[end - 1] != end - 1) return false;
    return starts[end - 2] == end - 2 &&
           take_comparison(expr, op->code, &expr->ops[end - 2], &expr->ops[end - 1], term);
}

static size_t collect(const struct sk_expr *expr, const uint32_t *starts, uint32_t end,
                      struct sk_expr_term *terms, size_t count, size_t max) {
    for (;;) {
        if (count == max) return count;
        if (expr->ops[end].code != CODE_AND)
            return count + take_term(expr, starts, end, &terms[count]);
        uint32_t right = starts[end - 1]; /* behind the left side's AND_SKIP */
        count = collect(expr, starts, end - 1, terms, count, max);
        end = right - 2;
    }
}

size_t sk_expr_terms(const struct sk_expr *expr, struct sk_expr_term *terms, size_t max) {
    uint32_t *starts = find_starts(expr);
    size_t count = collect(expr, starts, expr->op_count - 1, terms, 0, max);
    free(starts);
    return count;
}
