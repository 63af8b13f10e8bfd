/* What several expressions read, numbered: see expr.h, sk_expr_share. */
#include "expr/program.h"

/* A value that somebody reads. */
struct reading {
    const struct sk_expr *expr;
    const struct op *op;
};

static bool same(const struct reading *a, const struct reading *b) {
    if (a->op->code != b->op->code || a->op->flag != b->op->flag ||
        a->expr->dialect != b->expr->dialect)
        return false;
    if (a->op->code == CODE_BODY || a->op->code == CODE_TWIN)
        return expr_same_path(a->expr, a->op, b->expr, b->op);
    return sk_span_eq_nocase(a->expr->names[a->op->at], b->expr->names[b->op->at]);
}

static size_t count_of(struct sk_expr *const *expressions, size_t count) {
    size_t loads = 0;
    for (size_t e = 0; e < count; e++)
        for (size_t i = 0; expressions[e] && i < expressions[e]->op_count; i++)
            loads += op_loads(&expressions[e]->ops[i]);
    return loads;
}

size_t sk_expr_share(struct sk_expr *const *expressions, size_t count) {
    size_t loads = count_of(expressions, count), known = 0, at;
    struct reading *readings = sk_alloc((loads + 1) * sizeof *readings);
    for (size_t e = 0; e < count && loads <= UINT16_MAX; e++) {
        struct sk_expr *expr = expressions[e];
        if (expr == NULL) continue;
        free(expr->shared);
        expr->shared = sk_alloc((expr->op_count + 1) * sizeof *expr->shared);
        for (uint32_t i = 0; i < expr->op_count; i++) {
            struct reading one = {expr, &expr->ops[i]};
            if (!op_loads(one.op)) continue;
            for (at = 0; at < known && !same(&readings[at], &one);) at++;
            if (at == known) readings[known++] = one;
            expr->shared[i] = (uint16_t)at;
        }
    }
    free(readings);
    return known;
}
