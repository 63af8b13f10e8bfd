/* Many conditions that compare a value with a constant, as a table: for each value, the constants
 * in order, and which conditions are true up to each of them. So what a source matches is found by
 * a few searches, however many conditions there are. */
#include "expr/program.h"

/* A constant, and whose it is. */
struct entry {
    struct sk_value constant;
    uint64_t bits;
};

/* Conditions that compare the same value in the same way with constants of one type. */
struct group {
    const struct sk_expr *expr; /* one of them, whose first op loads the value */
    enum code code;
    enum sk_value_type type;
    struct entry *entries; /* by their constants; of relations `bits` are those of all that hold */
    size_t count, capacity;
};

struct sk_expr_table {
    struct group *groups; /* by the value that they read */
    size_t count, capacity;
};

bool sk_expr_table_takes(const struct sk_expr *expr) {
    if (!expr_is_comparison(expr) || expr->shared == NULL) return false;
    enum sk_value_type type = expr->constants[expr->ops[1].at].type;
    if (expr->ops[2].code == CODE_EQUAL)
        return type == SK_VALUE_STRING || type == SK_VALUE_NUMBER || type == SK_VALUE_BOOL;
    return expr->ops[2].code != CODE_UNEQUAL && type == SK_VALUE_NUMBER;
}

/* ---- making ---- */

static struct group *group_of(struct sk_expr_table *table, const struct sk_expr *expr) {
    enum sk_value_type type = expr->constants[expr->ops[1].at].type;
    enum code code = (enum code)expr->ops[2].code;
    for (size_t i = 0; i < table->count; i++) {
        struct group *group = &table->groups[i];
        if (group->expr->shared[0] == expr->shared[0] && group->code == code && group->type == type)
            return group;
    }
    if (table->count == table->capacity) {
        table->capacity = table->capacity ? 2 * table->capacity : 4;
        table->groups = sk_realloc(table->groups, table->capacity * sizeof *table->groups);
    }
    struct group *group = &table->groups[table->count++];
    *group = (struct group){.expr = expr, .code = code, .type = type};
    return group;
}

static int by_constant(const void *a, const void *b) {
    return expr_compare(&((const struct entry *)a)->constant, &((const struct entry *)b)->constant);
}

static int by_value(const void *a, const void *b) {
    return (int)((const struct group *)a)->expr->shared[0] -
           (int)((const struct group *)b)->expr->shared[0];
}

/* "v > 1" holds where "v > 2" does, so each has the bits of those below; of "v < …" it is the other
 * way round. Equal constants become one. */
static void sum_up(struct group *group) {
    qsort(group->entries, group->count, sizeof *group->entries, by_constant);
    size_t kept = 0;
    for (size_t i = 0; i < group->count; i++) {
        struct entry *entry = &group->entries[i];
        if (kept && expr_compare(&group->entries[kept - 1].constant, &entry->constant) == 0)
            group->entries[kept - 1].bits |= entry->bits;
        else
            group->entries[kept++] = *entry;
    }
    group->count = kept;
    bool upward = group->code == CODE_GREATER || group->code == CODE_GREATER_EQUAL;
    for (size_t i = 1; i < kept && group->code != CODE_EQUAL; i++) {
        size_t to = upward ? i : kept - 1 - i, from = upward ? i - 1 : kept - i;
        group->entries[to].bits |= group->entries[from].bits;
    }
}

struct sk_expr_table *sk_expr_table_new(struct sk_expr *const *expressions, const uint64_t *bits,
                                        size_t count) {
    struct sk_expr_table *table = SK_NEW(struct sk_expr_table);
    for (size_t i = 0; i < count; i++) {
        const struct sk_expr *expr = expressions[i];
        if (expr == NULL || !sk_expr_table_takes(expr)) continue;
        struct group *group = group_of(table, expr);
        if (group->count == group->capacity) {
            group->capacity = group->capacity ? 2 * group->capacity : 4;
            group->entries = sk_realloc(group->entries, group->capacity * sizeof *group->entries);
        }
        group->entries[group->count++] = (struct entry){expr->constants[expr->ops[1].at], bits[i]};
    }
    for (size_t i = 0; i < table->count; i++) sum_up(&table->groups[i]);
    if (table->count) qsort(table->groups, table->count, sizeof *table->groups, by_value);
    return table;
}

void sk_expr_table_free(struct sk_expr_table *table) {
    if (table == NULL) return;
    for (size_t i = 0; i < table->count; i++) free(table->groups[i].entries);
    free(table->groups);
    free(table);
}

/* ---- looking ---- */

/* How many constants are below the value, or also equal to it. */
static size_t below(const struct group *group, const struct sk_value *value, bool or_equal) {
    size_t low = 0, high = group->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = expr_compare(&group->entries[middle].constant, value);
        if (order < 0 || (or_equal && order == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t match(const struct group *group, const struct sk_value *value) {
    if (value->type != group->type) return 0;
    const struct entry *entries = group->entries;
    bool strict =
        group->code == CODE_GREATER || group->code == CODE_EQUAL || group->code == CODE_LESS_EQUAL;
    size_t at = below(group, value, !strict);
    switch (group->code) {
    case CODE_EQUAL:
        return at < group->count && expr_compare(&entries[at].constant, value) == 0
                   ? entries[at].bits
                   : 0;
    case CODE_GREATER:
    case CODE_GREATER_EQUAL: return at ? entries[at - 1].bits : 0;
    default: return at < group->count ? entries[at].bits : 0;
    }
}

uint64_t sk_expr_table_match(const struct sk_expr_table *table, const struct sk_expr_source *source,
                             struct sk_arena *arena) {
    struct sk_value value = {0};
    uint64_t bits = 0;
    for (size_t i = 0; i < table->count; i++) {
        const struct group *group = &table->groups[i];
        bool known = i && group[-1].expr->shared[0] == group->expr->shared[0];
        if (!known) expr_load(group->expr, source, arena, &value);
        bits |= match(group, &value);
    }
    return bits;
}
