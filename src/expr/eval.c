/* The evaluator: one pass over the program with a stack of values. */
#include "expr/program.h"

#include <math.h>

char *run_alloc(struct run *run, size_t n) {
    size_t taken = (n + 15) & ~(size_t)15; /* as the arena rounds */
    if (taken > run->arena_left) return NULL;
    run->arena_left -= taken;
    return sk_arena_alloc(run->arena, n);
}

static void set_bool(struct sk_value *value, bool truth) {
    *value = (struct sk_value){.type = SK_VALUE_BOOL, .truth = truth};
}

static bool is_bool(const struct sk_value *value, bool truth) {
    return value->type == SK_VALUE_BOOL && value->truth == truth;
}

/* Whether $body may be read: JSON, in UTF-8 said by the encoding or by the content type's charset.
 */
static bool body_is_json(const struct sk_expr_source *source) {
    struct sk_span rest = source->content_type, part;
    bool charset = false;
    if (!sk_span_split(&rest, ';', &part) ||
        !sk_span_eq_nocase(sk_span_trim(part), SK_SPAN("application/json")))
        return false;
    while (sk_span_split(&rest, ';', &part))
        charset |= sk_span_eq_nocase(sk_span_trim(part), SK_SPAN("charset=utf-8"));
    struct sk_span encoding = sk_span_trim(source->content_encoding);
    return encoding.n ? sk_span_eq_nocase(encoding, SK_SPAN("utf-8")) : charset;
}

static const struct sk_json_step *path_of(const struct sk_expr *expr, const struct op *op) {
    return op->count ? expr->steps + op->at : NULL;
}

static void load_json(struct run *run, struct sk_span json, const struct sk_json_step *path,
                      size_t count, struct sk_value *value) {
    struct sk_json found;
    if (json.n == 0) return;
    bool nocase =
        run->expr->dialect == SK_DIALECT_ROUTE; /* routing ignores case; twin queries do not */
    if (sk_json_find(json, path, count, nocase, &found)) return;
    *value = (struct sk_value){
        .type = found.type, .truth = found.truth, .number = found.number, .text = found.raw};
    if (found.type != SK_VALUE_STRING || !found.escaped) return;
    size_t room = (found.raw.n + 15) & ~(size_t)15;
    if (room > run->arena_left) {
        *value = (struct sk_value){0};
        return;
    }
    run->arena_left -= room;
    value->text = sk_json_string_value(run->arena, &found);
}

static const json_t *find_in(const json_t *document, const struct sk_json_step *path,
                             size_t count) {
    for (size_t i = 0; i < count && document; i++)
        document = path[i].key.p ? json_object_getn(document, path[i].key.p, path[i].key.n)
                                 : json_array_get(document, path[i].index);
    return document;
}

static void load_document(const json_t *document, const struct sk_json_step *path, size_t count,
                          struct sk_value *value) {
    static const enum sk_value_type types[] = {
        [JSON_OBJECT] = SK_VALUE_OBJECT, [JSON_ARRAY] = SK_VALUE_ARRAY,
        [JSON_STRING] = SK_VALUE_STRING, [JSON_INTEGER] = SK_VALUE_NUMBER,
        [JSON_REAL] = SK_VALUE_NUMBER,   [JSON_TRUE] = SK_VALUE_BOOL,
        [JSON_FALSE] = SK_VALUE_BOOL,    [JSON_NULL] = SK_VALUE_NULL};
    const json_t *found = find_in(document, path, count);
    if (found == NULL) return;
    *value = (struct sk_value){.type = types[json_typeof(found)],
                               .truth = json_is_true(found),
                               .number = json_number_value(found)};
    if (json_is_string(found))
        value->text = sk_span(json_string_value(found), json_string_length(found));
}

static void load_piece(struct run *run, const struct sk_json_step *path, size_t count,
                       struct sk_value *value) {
    const struct sk_expr_source *source = run->source;
    struct sk_span json;
    size_t steps;
    if (source->piece(source->arg, path, count, &json, &steps))
        load_json(run, json, path + steps, count - steps, value);
    else
        load_document(source->rest(source->arg), path, count, value);
}

static void load_property(struct run *run, const struct op *op, struct sk_value *value) {
    const struct sk_expr_source *source = run->source;
    struct sk_span name = run->expr->names[op->at], text;
    bool found =
        op->code == CODE_SYSTEM && source->system && source->system(source->arg, name, &text);
    if (!found) found = source->property && source->property(source->arg, name, &text);
    if (found) *value = (struct sk_value){.type = SK_VALUE_STRING, .text = text};
}

int expr_compare(const struct sk_value *a, const struct sk_value *b) {
    if (a->type != b->type) return 2;
    switch (a->type) {
    case SK_VALUE_NULL: return 0;
    case SK_VALUE_BOOL: return a->truth - b->truth;
    case SK_VALUE_NUMBER: return (a->number > b->number) - (a->number < b->number);
    case SK_VALUE_STRING: {
        int order = sk_span_compare(a->text, b->text);
        return (order > 0) - (order < 0);
    }
    default: return 2;
    }
}

/* False: what the comparison gives is undefined. */
static bool compares(enum code code, const struct sk_value *a, const struct sk_value *b,
                     bool *truth) {
    int order = expr_compare(a, b);
    switch (code) {
    case CODE_EQUAL: *truth = order == 0; break;
    case CODE_UNEQUAL: *truth = order != 0; break;
    case CODE_LESS: *truth = order < 0; break;
    case CODE_LESS_EQUAL: *truth = order <= 0; break;
    case CODE_GREATER: *truth = order > 0; break;
    default: *truth = order >= 0; break;
    }
    return order != 2 && (a->type != SK_VALUE_NULL || code == CODE_EQUAL || code == CODE_UNEQUAL);
}

static void compare_with(enum code code, struct sk_value *a, const struct sk_value *b) {
    bool truth;
    if (compares(code, a, b, &truth))
        set_bool(a, truth);
    else
        *a = (struct sk_value){0};
}

static void is_one_of(struct run *run, const struct op *op, struct sk_value *value) {
    if (value->type == SK_VALUE_UNDEFINED || value->type >= SK_VALUE_ARRAY) {
        *value = (struct sk_value){0};
        return;
    }
    bool found = false;
    for (size_t i = 0; i < op->count && !found; i++)
        found = expr_compare(value, &run->expr->constants[op->at + i]) == 0;
    set_bool(value, found != op->flag);
}

static void calculate(enum code code, struct sk_value *a, const struct sk_value *b) {
    double result = NAN;
    if (a->type == SK_VALUE_NUMBER && b->type == SK_VALUE_NUMBER) {
        switch (code) {
        case CODE_ADD: result = a->number + b->number; break;
        case CODE_SUBTRACT: result = a->number - b->number; break;
        case CODE_MULTIPLY: result = a->number * b->number; break;
        case CODE_DIVIDE: result = b->number == 0 ? NAN : a->number / b->number; break;
        default: result = b->number == 0 ? NAN : fmod(a->number, b->number); break;
        }
    }
    *a = isfinite(result) ? (struct sk_value){.type = SK_VALUE_NUMBER, .number = result}
                          : (struct sk_value){0};
}

static void join(struct run *run, struct sk_value *a, const struct sk_value *b) {
    char *to = NULL;
    if (a->type == SK_VALUE_STRING && b->type == SK_VALUE_STRING)
        to = run_alloc(run, a->text.n + b->text.n);
    if (to == NULL) {
        *a = (struct sk_value){0};
        return;
    }
    if (a->text.n) memcpy(to, a->text.p, a->text.n);
    if (b->text.n) memcpy(to + a->text.n, b->text.p, b->text.n);
    a->text = sk_span(to, a->text.n + b->text.n);
}

/* AND with `decider` false, OR with `decider` true: what decides wins over undefined, undefined
 * over the rest. */
static void combine(struct sk_value *a, const struct sk_value *b, bool decider) {
    if (is_bool(a, decider) || is_bool(b, decider))
        set_bool(a, decider);
    else if (is_bool(a, !decider) && is_bool(b, !decider))
        set_bool(a, !decider);
    else
        *a = (struct sk_value){0};
}

static void load(struct run *run, const struct op *op, struct sk_value *to) {
    const struct sk_expr_source *source = run->source;
    const struct sk_json_step *path = path_of(run->expr, op);
    *to = (struct sk_value){0};
    if (op->code == CODE_BODY && !op->flag && !body_is_json(source)) return;
    if (op->code == CODE_BODY)
        load_json(run, source->body, path, op->count, to);
    else if (op->code == CODE_TWIN && source->document)
        load_document(source->document, path, op->count, to);
    else if (op->code == CODE_TWIN && source->piece)
        load_piece(run, path, op->count, to);
    else if (op->code == CODE_TWIN)
        load_json(run, source->twin, path, op->count, to);
    else
        load_property(run, op, to);
}

static struct sk_expr_memo *memo_of(const struct sk_expr *expr, const struct sk_expr_source *source,
                                    uint32_t op) {
    return source->memo && expr->shared ? &source->memo[expr->shared[op]] : NULL;
}

/* What is in the arena lasts for this evaluation only. */
static void load_once(struct run *run, uint32_t op, struct sk_value *to) {
    struct sk_expr_memo *memo = memo_of(run->expr, run->source, op);
    size_t before = run->arena_left;
    if (memo && memo->known) {
        *to = memo->value;
        return;
    }
    load(run, &run->expr->ops[op], to);
    if (memo && run->arena_left == before) *memo = (struct sk_expr_memo){true, *to};
}

/* NOT, or the sign. */
static void invert(enum code code, struct sk_value *value) {
    if (code == CODE_NOT && value->type == SK_VALUE_BOOL)
        value->truth = !value->truth;
    else if (code == CODE_NEGATE && value->type == SK_VALUE_NUMBER)
        value->number = -value->number;
    else
        *value = (struct sk_value){0};
}

void sk_expr_eval(const struct sk_expr *expr, const struct sk_expr_source *source,
                  struct sk_arena *arena, struct sk_value *value) {
    struct run run = {
        .expr = expr, .source = source, .arena = arena, .arena_left = SK_EXPR_ARENA_MAX};
    /* The compiler has checked that it suffices; the first is never used. */
    struct sk_value stack[1 + STACK_MAX];
    struct sk_value *top = stack;
    for (uint32_t i = 0; i < expr->op_count; i++) {
        const struct op *op = &expr->ops[i];
        switch ((enum code)op->code) {
        case CODE_CONSTANT: *++top = expr->constants[op->at]; break;
        case CODE_PROPERTY:
        case CODE_SYSTEM:
        case CODE_BODY:
        case CODE_TWIN: load_once(&run, i, ++top); break;
        case CODE_NOT:
        case CODE_NEGATE: invert((enum code)op->code, top); break;
        case CODE_ADD:
        case CODE_SUBTRACT:
        case CODE_MULTIPLY:
        case CODE_DIVIDE:
        case CODE_MODULO:
            top--;
            calculate((enum code)op->code, top, top + 1);
            break;
        case CODE_JOIN:
            top--;
            join(&run, top, top + 1);
            break;
        case CODE_EQUAL:
        case CODE_UNEQUAL:
        case CODE_LESS:
        case CODE_LESS_EQUAL:
        case CODE_GREATER:
        case CODE_GREATER_EQUAL:
            top--;
            compare_with((enum code)op->code, top, top + 1);
            break;
        case CODE_IN: is_one_of(&run, op, top); break;
        case CODE_AND:
            top--;
            combine(top, top + 1, false);
            break;
        case CODE_OR:
            top--;
            combine(top, top + 1, true);
            break;
        case CODE_AND_SKIP:
            if (is_bool(top, false)) i = op->at - 1;
            break;
        case CODE_OR_SKIP:
            if (is_bool(top, true)) i = op->at - 1;
            break;
        case CODE_ELSE_SKIP:
            if (top->type != SK_VALUE_UNDEFINED)
                i = op->at - 1;
            else
                top--;
            break;
        case CODE_CALL: {
            struct sk_value result = {0};
            top = top + 1 - op->count;
            expr_functions[op->at].call(&run, top, op->count, &result);
            *top = result;
            break;
        }
        }
    }
    *value = *top;
}

bool expr_is_comparison(const struct sk_expr *expr) {
    const struct op *ops = expr->ops;
    return expr->op_count == 3 && op_loads(&ops[0]) && ops[1].code == CODE_CONSTANT &&
           ops[2].code >= CODE_EQUAL && ops[2].code <= CODE_GREATER_EQUAL;
}

void expr_load(const struct sk_expr *expr, const struct sk_expr_source *source,
               struct sk_arena *arena, struct sk_value *value) {
    struct run run = {
        .expr = expr, .source = source, .arena = arena, .arena_left = SK_EXPR_ARENA_MAX};
    load_once(&run, 0, value);
}

/* Most conditions of routes compare one value with one constant: where another has read it, that is
 * all that is to be done. */
static bool is_known(const struct sk_expr *expr, const struct sk_expr_source *source, bool *truth) {
    const struct op *ops = expr->ops;
    if (source->memo == NULL || !expr_is_comparison(expr)) return false;
    const struct sk_expr_memo *memo = memo_of(expr, source, 0);
    if (memo == NULL || !memo->known) return false;
    *truth = compares((enum code)ops[2].code, &memo->value, &expr->constants[ops[1].at], truth) &&
             *truth;
    return true;
}

bool sk_expr_true(const struct sk_expr *expr, const struct sk_expr_source *source,
                  struct sk_arena *arena) {
    struct sk_value value;
    bool truth;
    if (is_known(expr, source, &truth)) return truth;
    sk_expr_eval(expr, source, arena, &value);
    return is_bool(&value, true);
}

/* Of arrays and objects the evaluator has no more than their text, if that. */
static json_t *whole_json(const struct sk_expr *expr, const struct sk_expr_source *source,
                          const struct sk_value *value) {
    const struct op *op = expr->ops;
    if (value->text.n) return json_loadb(value->text.p, value->text.n, 0, NULL);
    if (expr->op_count > 1) return NULL;
    const json_t *document = source->rest ? source->rest(source->arg) : source->document;
    return json_incref((json_t *)find_in(document, path_of(expr, op), op->count));
}

json_t *expr_value(const struct sk_expr *expr, const struct sk_expr_source *source,
                   struct sk_arena *arena) {
    struct sk_value value;
    sk_arena_reset(arena);
    sk_expr_eval(expr, source, arena, &value);
    switch (value.type) {
    case SK_VALUE_NULL: return json_null();
    case SK_VALUE_BOOL: return json_boolean(value.truth);
    case SK_VALUE_NUMBER: return expr_number_json(value.number);
    case SK_VALUE_STRING: return json_stringn(value.text.p ? value.text.p : "", value.text.n);
    case SK_VALUE_ARRAY:
    case SK_VALUE_OBJECT: return whole_json(expr, source, &value);
    default: return NULL;
    }
}

json_t *expr_number_json(double number) {
    if (!isfinite(number)) return NULL;
    bool whole = number == floor(number) && fabs(number) < 9007199254740992.0;
    return whole ? json_integer((json_int_t)number) : json_real(number);
}
