/* The parser: precedence climbing that emits the program as it goes. */
#include "expr/program.h"

/* Binary operators, loosest first; NOT stands between AND and the comparisons. */
enum level {
    LEVEL_ELSE,
    LEVEL_OR,
    LEVEL_AND,
    LEVEL_NOT,
    LEVEL_EQUAL,
    LEVEL_ORDER,
    LEVEL_SUM,
    LEVEL_PRODUCT,
    LEVEL_UNARY
};

static const struct {
    const char *text;
    bool word;
    enum level level;
    enum code code;
} operators[] = {
    {"??", false, LEVEL_ELSE, CODE_ELSE_SKIP}, {"OR", true, LEVEL_OR, CODE_OR},
    {"AND", true, LEVEL_AND, CODE_AND},        {"=", false, LEVEL_EQUAL, CODE_EQUAL},
    {"!=", false, LEVEL_EQUAL, CODE_UNEQUAL},  {"<>", false, LEVEL_EQUAL, CODE_UNEQUAL},
    {"<", false, LEVEL_ORDER, CODE_LESS},      {"<=", false, LEVEL_ORDER, CODE_LESS_EQUAL},
    {">", false, LEVEL_ORDER, CODE_GREATER},   {">=", false, LEVEL_ORDER, CODE_GREATER_EQUAL},
    {"IN", true, LEVEL_ORDER, CODE_IN},        {"NIN", true, LEVEL_ORDER, CODE_IN},
    {"+", false, LEVEL_SUM, CODE_ADD},         {"-", false, LEVEL_SUM, CODE_SUBTRACT},
    {"||", false, LEVEL_SUM, CODE_JOIN},       {"*", false, LEVEL_PRODUCT, CODE_MULTIPLY},
    {"/", false, LEVEL_PRODUCT, CODE_DIVIDE},  {"%", false, LEVEL_PRODUCT, CODE_MODULO},
};

struct compiler {
    struct lexer *lexer;
    const struct expr_collection *collection;
    struct sk_expr *expr;
    size_t op_room, constant_room, step_room, name_room, pool_used;
    size_t depth; /* values on the stack at this point of the program */
    unsigned nested;
    bool too_large;
};

/* Room for one more element of a growing array. */
static void *grow(void *array, size_t count, size_t *room, size_t size) {
    if (count < *room) return array;
    *room = *room ? *room * 2 : 8;
    return sk_realloc(array, *room * size);
}

static enum sk_status too_large(struct compiler *c, size_t at, const char *sentence) {
    if (!c->lexer->failed) c->too_large = true;
    return lexer_fail_at(c->lexer, at, "%s", sentence);
}

/* Appends an op that changes the stack's height by `change`. */
static enum sk_status emit(struct compiler *c, struct op op, int change) {
    struct sk_expr *expr = c->expr;
    expr->ops = grow(expr->ops, expr->op_count, &c->op_room, sizeof *expr->ops);
    expr->ops[expr->op_count++] = op;
    c->depth = (size_t)((long)c->depth + change);
    if (c->depth <= STACK_MAX) return SK_OK;
    return too_large(c, c->lexer->token.at, "the expression is too complex; split it into several");
}

static struct sk_span keep(struct compiler *c, struct sk_span text) {
    char *to = c->expr->pool + c->pool_used;
    if (text.n) memcpy(to, text.p, text.n);
    c->pool_used += text.n;
    return sk_span(to, text.n);
}

static uint32_t add_constant(struct compiler *c, struct sk_value value) {
    struct sk_expr *expr = c->expr;
    expr->constants =
        grow(expr->constants, expr->constant_count, &c->constant_room, sizeof *expr->constants);
    expr->constants[expr->constant_count] = value;
    return expr->constant_count++;
}

static uint32_t add_name(struct compiler *c, struct sk_span name) {
    struct sk_expr *expr = c->expr;
    expr->names = grow(expr->names, expr->name_count, &c->name_room, sizeof *expr->names);
    expr->names[expr->name_count] = keep(c, name);
    return expr->name_count++;
}

static void add_step(struct compiler *c, struct sk_json_step step) {
    struct sk_expr *expr = c->expr;
    expr->steps = grow(expr->steps, expr->step_count, &c->step_room, sizeof *expr->steps);
    if (step.key.p) step.key = keep(c, step.key);
    expr->steps[expr->step_count++] = step;
}

static enum sk_status enter(struct compiler *c, size_t at) {
    if (++c->nested <= SK_EXPR_DEPTH_MAX) return SK_OK;
    return too_large(c, at, "the expression is nested too deeply (more than 64 levels)");
}

static enum sk_status compile_level(struct compiler *c, enum level level);
static enum sk_status compile_unary(struct compiler *c);

/* A literal as the current token; SK_NOT_FOUND when it is none. */
static enum sk_status take_literal(struct compiler *c, struct sk_value *value) {
    struct lexer *lexer = c->lexer;
    const struct token *token = &lexer->token;
    *value = (struct sk_value){0};
    if (token->kind == TOKEN_NUMBER) {
        *value = (struct sk_value){.type = SK_VALUE_NUMBER, .number = token->number};
    } else if (token->kind == TOKEN_STRING) {
        char *to = c->expr->pool + c->pool_used;
        *value = (struct sk_value){.type = SK_VALUE_STRING,
                                   .text = sk_span(to, lexer_string(token, to))};
        c->pool_used += value->text.n;
    } else if (lexer_is_word(lexer, "true") || lexer_is_word(lexer, "false")) {
        *value = (struct sk_value){.type = SK_VALUE_BOOL, .truth = lexer_is_word(lexer, "true")};
    } else if (lexer_is_word(lexer, "null")) {
        value->type = SK_VALUE_NULL;
    } else if (!lexer_is_word(lexer, "undefined")) {
        return SK_NOT_FOUND;
    }
    lexer_next(lexer);
    return SK_OK;
}

/* "[…]" with literals behind IN or NIN. */
static enum sk_status compile_in(struct compiler *c, bool none) {
    struct lexer *lexer = c->lexer;
    uint32_t first = c->expr->constant_count;
    if (!lexer_take_sign(lexer, "[")) return lexer_expected(lexer, "a list such as ['a', 'b']");
    while (!lexer_is_sign(lexer, "]")) {
        bool negative = lexer_take_sign(lexer, "-");
        struct sk_value value;
        if (take_literal(c, &value) || (negative && value.type != SK_VALUE_NUMBER))
            return lexer_expected(lexer, "a literal in the list");
        if (negative) value.number = -value.number;
        add_constant(c, value);
        if (!lexer_is_sign(lexer, "]") && !lexer_take_sign(lexer, ","))
            return lexer_expected(lexer, "\",\" or \"]\"");
    }
    lexer_next(lexer);
    uint16_t count = (uint16_t)(c->expr->constant_count - first); /* the text's length bounds it */
    return emit(c, (struct op){.code = CODE_IN, .flag = none, .count = count, .at = first}, 0);
}

/* ".name", ".[[name]]" and "[0]", as long as they follow. */
static enum sk_status compile_steps(struct compiler *c) {
    struct lexer *lexer = c->lexer;
    for (;;) {
        if (lexer_is_sign(lexer, ".")) {
            lexer_segment(lexer);
            if (lexer->token.kind != TOKEN_NAME)
                return lexer_expected(lexer, "a name behind the dot");
            add_step(c, (struct sk_json_step){.key = lexer->token.text});
            lexer_next(lexer);
        } else if (lexer_take_sign(lexer, "[")) {
            uint32_t index;
            if (!lexer_is_whole(lexer, &index)) return lexer_expected(lexer, "an index from 0 on");
            add_step(c, (struct sk_json_step){.index = index});
            lexer_next(lexer);
            if (!lexer_take_sign(lexer, "]")) return lexer_expected(lexer, "\"]\"");
        } else {
            return SK_OK;
        }
    }
}

static enum sk_status emit_path(struct compiler *c, enum code code, uint32_t first, bool flag) {
    if (code == CODE_BODY)
        c->expr->uses_body = true;
    else
        c->expr->uses_twin = true;
    uint16_t count = (uint16_t)(c->expr->step_count - first);
    return emit(c, (struct op){.code = (uint8_t)code, .flag = flag, .count = count, .at = first},
                1);
}

/* $body.a[0] and $twin.tags.x; the current token is behind the root. An index right behind $body is
 * undefined in Azure too. */
static enum sk_status compile_rooted(struct compiler *c, enum code code) {
    uint32_t first = c->expr->step_count;
    bool indexed = lexer_is_sign(c->lexer, "[");
    if (compile_steps(c)) return SK_MALFORMED;
    if (!indexed) return emit_path(c, code, first, false);
    return emit(c, (struct op){.code = CODE_CONSTANT, .at = add_constant(c, (struct sk_value){0})},
                1);
}

/* The names at the top of a twin, or of a job. */
static const char *const twin_names[] = {"deviceId",
                                         "moduleId",
                                         "etag",
                                         "deviceEtag",
                                         "status",
                                         "statusReason",
                                         "statusUpdateTime",
                                         "connectionState",
                                         "lastActivityTime",
                                         "cloudToDeviceMessageCount",
                                         "authenticationType",
                                         "x509Thumbprint",
                                         "modelId",
                                         "version",
                                         "tags",
                                         "properties",
                                         "capabilities",
                                         "deviceScope",
                                         "parentScopes",
                                         "configurations",
                                         NULL};
static const char *const job_names[] = {"deviceId",
                                        "moduleId",
                                        "jobId",
                                        "jobType",
                                        "status",
                                        "startTimeUtc",
                                        "endTimeUtc",
                                        "createdDateTimeUtc",
                                        "lastUpdatedDateTimeUtc",
                                        "outcome",
                                        "error",
                                        NULL};

/* Found in any case; below them keys are what they are. */
static bool spell_as(struct sk_json_step *step, const char *const *names) {
    for (; *names; names++)
        if (sk_span_eq_nocase(step->key, sk_span_z(*names))) {
            step->key = sk_span_z(*names);
            return true;
        }
    return false;
}

static void spell_as_the_twin_does(struct sk_json_step *steps, size_t count) {
    static const char *const sections[] = {"desired", "reported", NULL};
    static const char *const capabilities[] = {"iotEdge", NULL};
    if (count < 2) return;
    if (sk_span_is(steps[0].key, "properties")) spell_as(&steps[1], sections);
    if (sk_span_is(steps[0].key, "capabilities")) spell_as(&steps[1], capabilities);
}

static bool asks(const struct compiler *c, const char *part) {
    return c->collection && sk_span_eq_nocase(c->collection->part, sk_span_z(part));
}

/* How many steps say only which collection the rest is about: "devices.tags.a", "d.tags.a",
 * "devices.modules.tags.a". */
static size_t prefix_length(const struct compiler *c, const struct sk_json_step *steps,
                            size_t count) {
    if (count < 2) return 0;
    if (c->collection && c->collection->alias.n &&
        sk_span_eq_nocase(steps[0].key, c->collection->alias))
        return 1;
    if (!sk_span_eq_nocase(steps[0].key, SK_SPAN("devices"))) return 0;
    bool part = c->collection && c->collection->part.n &&
                sk_span_eq_nocase(steps[1].key, c->collection->part);
    return part && count > 2 ? 2 : 1;
}

static enum sk_status compile_twin_path(struct compiler *c, struct token root) {
    uint32_t first = c->expr->step_count;
    add_step(c, (struct sk_json_step){.key = root.text});
    if (compile_steps(c)) return SK_MALFORMED;
    struct sk_json_step *steps = c->expr->steps + first;
    size_t count = c->expr->step_count - first, prefix = prefix_length(c, steps, count);
    count -= prefix;
    memmove(steps, steps + prefix, count * sizeof *steps);
    c->expr->step_count -= (uint32_t)prefix;
    if (!spell_as(&steps[0], asks(c, "jobs") ? job_names : twin_names)) {
        struct sk_span name = sk_span_first(steps[0].key, 40);
        return lexer_fail_at(c->lexer, root.at,
                             "%.*s is no part of a twin; its own values are tags.%.*s, "
                             "properties.desired.%.*s or properties.reported.%.*s",
                             SK_ARG(name), SK_ARG(name), SK_ARG(name), SK_ARG(name));
    }
    spell_as_the_twin_does(steps, count);
    return emit_path(c, CODE_TWIN, first, false);
}

/* A property's name; dots belong to it. The token `from` is read already. */
static enum sk_status compile_property(struct compiler *c, struct token from) {
    struct lexer *lexer = c->lexer;
    struct sk_span name = from.text;
    while (from.kind == TOKEN_NAME && lexer_is_sign(lexer, ".")) {
        lexer_segment(lexer);
        if (lexer->token.kind != TOKEN_NAME) return lexer_expected(lexer, "a name behind the dot");
        name = sk_span(name.p, (size_t)(lexer->token.text.p + lexer->token.text.n - name.p));
        lexer_next(lexer);
    }
    if (lexer_is_sign(lexer, "["))
        return lexer_fail_at(lexer, lexer->token.at,
                             "a message's property has no elements; those of the body are $body.…");
    bool system = name.n && name.p[0] == '$';
    if (system) name = sk_span_skip(name, 1);
    if (name.n == 0)
        return lexer_fail_at(lexer, from.at, "a property's name is missing behind \"$\"");
    return emit(
        c, (struct op){.code = system ? CODE_SYSTEM : CODE_PROPERTY, .at = add_name(c, name)}, 1);
}

/* TWIN_CHANGE_INCLUDES(a.b): the argument is a path into the body of a twin change, not a value. */
static enum sk_status compile_twin_change(struct compiler *c) {
    struct lexer *lexer = c->lexer;
    uint32_t first = c->expr->step_count;
    if (lexer->token.kind != TOKEN_NAME)
        return lexer_expected(lexer, "a path such as reported.temperature");
    add_step(c, (struct sk_json_step){.key = lexer->token.text});
    lexer_next(lexer);
    if (compile_steps(c)) return SK_MALFORMED;
    return emit_path(c, CODE_BODY, first, true);
}

static bool is_twin_change(const struct function *function) {
    return sk_span_is(sk_span_z(function->name), "TWIN_CHANGE_INCLUDES");
}

static enum sk_status compile_call(struct compiler *c, struct token name) {
    struct lexer *lexer = c->lexer;
    const struct function *function = expr_functions;
    while (function->name && !sk_span_eq_nocase(sk_span_z(function->name), name.text)) function++;
    if (function->name == NULL ||
        (c->expr->dialect == SK_DIALECT_TWIN_QUERY && !function->in_twin_query))
        return lexer_fail_at(lexer, name.at, "there is no function %.*s here",
                             SK_ARG(sk_span_first(name.text, 40)));
    lexer_next(lexer); /* "(" */
    if (enter(c, name.at)) return SK_MALFORMED;
    uint16_t count = 0;
    while (!lexer_is_sign(lexer, ")")) {
        if (count == ARGUMENTS_MAX)
            return too_large(c, name.at, "a function takes at most 64 arguments");
        if (is_twin_change(function) ? compile_twin_change(c) : compile_level(c, LEVEL_ELSE))
            return SK_MALFORMED;
        count++;
        if (!lexer_is_sign(lexer, ")") && !lexer_take_sign(lexer, ","))
            return lexer_expected(lexer, "\",\" or \")\"");
    }
    lexer_next(lexer);
    c->nested--;
    if (count < function->min || count > function->max)
        return lexer_fail_at(
            lexer, name.at, "%s takes %s%u argument%s, not %u", function->name,
            function->min == function->max ? ""
            : count < function->min        ? "at least "
                                           : "at most ",
            count < function->min ? function->min : function->max,
            (count < function->min ? function->min : function->max) == 1 ? "" : "s", count);
    return emit(
        c,
        (struct op){.code = CODE_CALL, .count = count, .at = (uint32_t)(function - expr_functions)},
        1 - (int)count);
}

/* Words that cannot be a value; a property of that name is written {in}. */
static bool is_reserved(const struct lexer *lexer, enum sk_dialect dialect) {
    static const char *const words[] = {"AND", "OR", "NOT", "IN", "NIN"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (lexer_is_word(lexer, words[i])) return true;
    if (dialect == SK_DIALECT_ROUTE) return lexer_is_word(lexer, "INTO");
    return lexer_is_word(lexer, "FROM") || lexer_is_word(lexer, "GROUP");
}

static enum sk_status compile_primary(struct compiler *c) {
    struct lexer *lexer = c->lexer;
    struct token token = lexer->token;
    struct sk_value value;
    if (take_literal(c, &value) == SK_OK)
        return emit(c, (struct op){.code = CODE_CONSTANT, .at = add_constant(c, value)}, 1);
    if (lexer_take_sign(lexer, "(")) {
        if (enter(c, token.at) || compile_level(c, LEVEL_ELSE)) return SK_MALFORMED;
        c->nested--;
        return lexer_take_sign(lexer, ")") ? SK_OK : lexer_expected(lexer, "an operator or \")\"");
    }
    bool route = c->expr->dialect == SK_DIALECT_ROUTE;
    if (token.kind == TOKEN_BRACED && route) {
        lexer_next(lexer);
        return compile_property(c, token);
    }
    if (token.kind != TOKEN_NAME || is_reserved(lexer, c->expr->dialect))
        return lexer_expected(lexer, "a value");
    lexer_next(lexer);
    if (lexer_is_sign(lexer, "(")) return compile_call(c, token);
    if (!route) return compile_twin_path(c, token);
    if (sk_span_eq_nocase(token.text, SK_SPAN("$body"))) return compile_rooted(c, CODE_BODY);
    if (sk_span_eq_nocase(token.text, SK_SPAN("$twin"))) return compile_rooted(c, CODE_TWIN);
    return compile_property(c, token);
}

static enum sk_status compile_prefixed(struct compiler *c, enum code code, bool loose) {
    size_t at = c->lexer->token.at;
    lexer_next(c->lexer);
    if (enter(c, at) || (loose ? compile_level(c, LEVEL_NOT) : compile_unary(c)))
        return SK_MALFORMED;
    c->nested--;
    return emit(c, (struct op){.code = (uint8_t)code}, 0);
}

static enum sk_status compile_unary(struct compiler *c) {
    if (lexer_is_sign(c->lexer, "-")) return compile_prefixed(c, CODE_NEGATE, false);
    if (lexer_is_word(c->lexer, "NOT")) return compile_prefixed(c, CODE_NOT, false);
    return compile_primary(c);
}

/* The right side of AND, OR and ??, jumped over when the left one decides. */
static enum sk_status compile_skipped(struct compiler *c, enum level level, enum code code) {
    enum code skip = code == CODE_AND  ? CODE_AND_SKIP
                     : code == CODE_OR ? CODE_OR_SKIP
                                       : CODE_ELSE_SKIP;
    uint32_t jump = c->expr->op_count;
    if (emit(c, (struct op){.code = (uint8_t)skip}, skip == CODE_ELSE_SKIP ? -1 : 0))
        return SK_MALFORMED;
    if (compile_level(c, level + 1)) return SK_MALFORMED;
    if (skip != CODE_ELSE_SKIP && emit(c, (struct op){.code = (uint8_t)code}, -1))
        return SK_MALFORMED;
    c->expr->ops[jump].at = c->expr->op_count;
    return SK_OK;
}

static enum sk_status compile_level(struct compiler *c, enum level level) {
    struct lexer *lexer = c->lexer;
    if (level == LEVEL_UNARY) return compile_unary(c);
    if (level == LEVEL_NOT && lexer_is_word(lexer, "NOT"))
        return compile_prefixed(c, CODE_NOT, true);
    if (compile_level(c, level + 1)) return SK_MALFORMED;
    for (;;) {
        size_t i = 0, count = sizeof operators / sizeof *operators;
        while (i < count && (operators[i].level != level ||
                             !(operators[i].word ? lexer_is_word(lexer, operators[i].text)
                                                 : lexer_is_sign(lexer, operators[i].text))))
            i++;
        if (i == count) return SK_OK;
        lexer_next(lexer);
        enum code code = operators[i].code;
        enum sk_status status;
        if (code == CODE_IN)
            status = compile_in(c, operators[i].text[0] == 'N');
        else if (level <= LEVEL_AND)
            status = compile_skipped(c, level, code);
        else
            status = compile_level(c, level + 1) ? SK_MALFORMED
                                                 : emit(c, (struct op){.code = (uint8_t)code}, -1);
        if (status) return SK_MALFORMED;
    }
}

enum sk_status expr_compile(struct lexer *lexer, enum sk_dialect dialect,
                            const struct expr_collection *collection, struct sk_expr **expr) {
    struct compiler c = {.lexer = lexer, .collection = collection, .expr = SK_NEW(struct sk_expr)};
    c.expr->dialect = dialect;
    /* Each name and string is kept once, none longer than it was written. */
    c.expr->pool = sk_alloc(lexer->text.n);
    if (compile_level(&c, LEVEL_ELSE)) {
        sk_expr_free(c.expr);
        return c.too_large ? SK_TOO_LARGE : SK_MALFORMED;
    }
    *expr = c.expr;
    return SK_OK;
}

enum sk_status expr_check_length(struct sk_span text, struct sk_expr_error *error) {
    if (text.n <= SK_EXPR_TEXT_MAX) return SK_OK;
    struct lexer lexer = {.text = text, .error = error};
    lexer_fail_at(&lexer, SK_EXPR_TEXT_MAX, "the text has %zu bytes; at most %d are allowed",
                  text.n, SK_EXPR_TEXT_MAX);
    return SK_TOO_LARGE;
}

enum sk_status sk_expr_compile(struct sk_span text, enum sk_dialect dialect, struct sk_expr **expr,
                               struct sk_expr_error *error) {
    struct sk_expr_error unused;
    if (error == NULL) error = &unused;
    *expr = NULL;
    if (expr_check_length(text, error)) return SK_TOO_LARGE;
    struct lexer lexer;
    lexer_init(&lexer, text, 0, error);
    enum sk_status status = expr_compile(&lexer, dialect, NULL, expr);
    if (status == SK_OK && lexer.token.kind != TOKEN_END) {
        status = lexer_expected(&lexer, "an operator or the end");
        sk_expr_free(*expr);
        *expr = NULL;
    }
    return status;
}

void sk_expr_free(struct sk_expr *expr) {
    if (expr == NULL) return;
    free(expr->ops);
    free(expr->constants);
    free(expr->steps);
    free(expr->names);
    free(expr->pool);
    free(expr->shared);
    free(expr);
}

bool sk_expr_uses_body(const struct sk_expr *expr) {
    return expr->uses_body;
}

bool sk_expr_uses_twin(const struct sk_expr *expr) {
    return expr->uses_twin;
}

bool sk_expr_reads(const struct sk_expr *expr, const char *first, const char *second) {
    for (uint32_t i = 0; i < expr->op_count; i++) {
        const struct op *op = &expr->ops[i];
        const struct sk_json_step *steps = expr->steps + op->at;
        if (op->code == CODE_TWIN && op->count >= 2 && sk_span_is(steps[0].key, first) &&
            sk_span_is(steps[1].key, second))
            return true;
    }
    return false;
}

static bool is_path(const struct sk_expr *expr) {
    return expr->op_count == 1 && expr->ops[0].code == CODE_TWIN && expr->ops[0].count > 0;
}

bool expr_path_name(const struct sk_expr *expr, struct sk_span *name) {
    if (!is_path(expr)) return false;
    *name = expr->steps[expr->ops[0].at + expr->ops[0].count - 1].key;
    return name->p != NULL;
}

bool expr_same_path(const struct sk_expr *a, const struct op *in_a, const struct sk_expr *b,
                    const struct op *in_b) {
    if (in_a->count != in_b->count) return false;
    for (size_t i = 0; i < in_a->count; i++) {
        const struct sk_json_step *x = &a->steps[in_a->at + i], *y = &b->steps[in_b->at + i];
        if ((x->key.p == NULL) != (y->key.p == NULL) || !sk_span_eq(x->key, y->key) ||
            x->index != y->index)
            return false;
    }
    return true;
}

bool expr_same(const struct sk_expr *a, const struct sk_expr *b) {
    return is_path(a) && is_path(b) && expr_same_path(a, a->ops, b, b->ops);
}
