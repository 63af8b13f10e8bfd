/* A compiled expression: postfix code for a stack of values. Inside src/expr. */
#ifndef SK_EXPR_PROGRAM_H
#define SK_EXPR_PROGRAM_H

#include "expr/lexer.h"

enum code {
    CODE_CONSTANT, /* push constants[at] */
    CODE_PROPERTY, /* push the application property names[at] */
    /* push the system property names[at], or else the application property of that name */
    CODE_SYSTEM,
    CODE_BODY, /* push what the body holds at steps[at …+count]; flag: whatever its content type */
    CODE_TWIN, /* the same in the twin document */
    CODE_NOT,
    CODE_NEGATE,
    CODE_ADD,
    CODE_SUBTRACT,
    CODE_MULTIPLY,
    CODE_DIVIDE,
    CODE_MODULO,
    CODE_JOIN,
    CODE_EQUAL,
    CODE_UNEQUAL,
    CODE_LESS,
    CODE_LESS_EQUAL,
    CODE_GREATER,
    CODE_GREATER_EQUAL,
    CODE_IN,  /* the top is one of constants[at …+count]; flag: is none of them */
    CODE_AND, /* two values; follows CODE_AND_SKIP */
    CODE_OR,
    CODE_AND_SKIP,  /* to op `at` when the top is false, keeping it */
    CODE_OR_SKIP,   /* to op `at` when the top is true, keeping it */
    CODE_ELSE_SKIP, /* to op `at` when the top is defined, keeping it; else drop it */
    CODE_CALL,      /* functions[at] on the `count` topmost values */
};

struct op {
    uint8_t code;
    bool flag;
    uint16_t count;
    uint32_t at;
};

struct sk_expr {
    struct op *ops;
    struct sk_value *constants;
    struct sk_json_step *steps;
    struct sk_span *names;
    char *pool; /* characters of constants, steps and names */
    uint32_t op_count, constant_count, step_count, name_count;
    enum sk_dialect dialect;
    bool uses_body, uses_twin;
    uint16_t *shared; /* by op: where in the memo what it loads is; NULL: it shares nothing */
};

static inline bool op_loads(const struct op *op) {
    return op->code >= CODE_PROPERTY && op->code <= CODE_TWIN;
}

/* Values on the stack at most; checked when compiling. 16 KB. */
#define STACK_MAX 512
#define ARGUMENTS_MAX 64

/* An evaluation under way. */
struct run {
    const struct sk_expr *expr;
    const struct sk_expr_source *source;
    struct sk_arena *arena;
    size_t arena_left;
};
/* Room for a string result, or NULL when the evaluation has had its share. */
char *run_alloc(struct run *run, size_t n);

struct function {
    const char *name;
    uint8_t min, max; /* arguments */
    bool in_twin_query;
    void (*call)(struct run *run, const struct sk_value *args, size_t count,
                 struct sk_value *result); /* starts undefined */
};
/* NULL-terminated by name. */
extern const struct function expr_functions[];

/* What names of a twin query may begin with: "devices", the part of it that is asked, its alias. */
struct expr_collection {
    struct sk_span part, alias; /* "modules", "jobs" or empty; or empty */
};
/* Compiles the expression that starts at the lexer's current token, up to the first token that
 * cannot belong to it. `collection`: of a twin query; NULL: a condition alone, on devices. */
enum sk_status expr_compile(struct lexer *lexer, enum sk_dialect dialect,
                            const struct expr_collection *collection, struct sk_expr **expr);
/* The last name of an expression that is a path; false: it is none, or ends with an index. */
bool expr_path_name(const struct sk_expr *expr, struct sk_span *name);
/* Whether two ops read by the same steps; whether both expressions are the same path. */
bool expr_same_path(const struct sk_expr *a, const struct op *in_a, const struct sk_expr *b,
                    const struct op *in_b);
bool expr_same(const struct sk_expr *a, const struct sk_expr *b);
/* Its value as a new reference; NULL: undefined. The arena is reset. */
json_t *expr_value(const struct sk_expr *expr, const struct sk_expr_source *source,
                   struct sk_arena *arena);
/* -1, 0, 1; or 2 when the two cannot be compared. */
int expr_compare(const struct sk_value *a, const struct sk_value *b);
/* Whether it compares one value that it loads with one constant. */
bool expr_is_comparison(const struct sk_expr *expr);
/* What its first op loads. */
void expr_load(const struct sk_expr *expr, const struct sk_expr_source *source,
               struct sk_arena *arena, struct sk_value *value);
/* A whole number as one; NULL: it is none. */
json_t *expr_number_json(double number);
/* The two checks all languages share: the text's length, and `error` where the caller gave none. */
enum sk_status expr_check_length(struct sk_span text, struct sk_expr_error *error);

#endif
