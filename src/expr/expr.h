/* One expression engine: conditions of edge routes, of hub routes and of twin queries.
 *
 * Text is compiled once into a compact program and evaluated many times against a message or a twin
 * document, without allocation but for string results (arena). Every operation has a meaning for
 * undefined and null, so evaluation cannot fail: what makes no sense is undefined, and only the
 * boolean true is true (docs/expressions.md). */
#ifndef SK_EXPR_EXPR_H
#define SK_EXPR_EXPR_H

#include <jansson.h>

#include "expr/json_scan.h"
#include "expr/value.h"

#define SK_EXPR_TEXT_MAX 8192 /* bytes of an expression or query */
#define SK_EXPR_DEPTH_MAX 64  /* nested parentheses, calls, NOTs, … */

enum sk_dialect {
    SK_DIALECT_ROUTE, /* roots: application property, $system, {$system}, $body…, $twin… */
    /* roots: paths into the twin document (tags.…, properties.…, deviceId, …) */
    SK_DIALECT_TWIN_QUERY,
};

/* Where an expression broke its grammar, for people. */
struct sk_expr_error {
    size_t position;       /* bytes from the start of the text */
    unsigned line, column; /* from 1; columns count bytes */
    char sentence[200];
};

/* What an expression is evaluated against. Unused parts stay zero. */
struct sk_expr_source {
    /* Application property by name, without regard to case; false when there is none. */
    bool (*property)(void *arg, struct sk_span name, struct sk_span *value);
    /* System property by the name behind '$', without regard to case ("contentType",
     * "connectionDeviceId", …). */
    bool (*system)(void *arg, struct sk_span name, struct sk_span *value);
    void *arg;
    struct sk_span body;
    struct sk_span content_type,
        content_encoding; /* $body is undefined unless they say JSON in UTF-8 */
    struct sk_span twin;  /* JSON text: root of TWIN_QUERY, and $twin of ROUTE */
    /* TWIN_QUERY: the root, parsed, in place of `twin`, for many terms. Arrays and objects have no
     * text then, which no operation asks for. */
    const json_t *document;
    /* TWIN_QUERY: of a root that is kept in pieces: the JSON text (SK_NONE: undefined) that the
     * first `*steps` of a path lead to; false: the path is looked up in what `rest(arg)` gives. In
     * place of `twin` and `document`. */
    bool (*piece)(void *arg, const struct sk_json_step *path, size_t count, struct sk_span *json,
                  size_t *steps);
    const json_t *(*rest)(void *arg);
    /* Of expressions that share what they read (sk_expr_share): room for so many, zeroed for each
     * source; NULL: each reads by itself. */
    struct sk_expr_memo *memo;
};
struct sk_expr_memo {
    bool known;
    struct sk_value value;
};

struct sk_expr;

/* Compiles a condition. On SK_MALFORMED or SK_TOO_LARGE `error` (may be NULL) says where and why.
 * The caller frees the result. */
enum sk_status sk_expr_compile(struct sk_span text, enum sk_dialect dialect, struct sk_expr **expr,
                               struct sk_expr_error *error);
void sk_expr_free(struct sk_expr *expr);

/* Evaluates. The value's text lives in the source, in the expression, or in `arena`. Not more than
 * SK_EXPR_ARENA_MAX bytes are taken from the arena; a string that would not fit is undefined. */
#define SK_EXPR_ARENA_MAX (1024 * 1024)
void sk_expr_eval(const struct sk_expr *expr, const struct sk_expr_source *source,
                  struct sk_arena *arena, struct sk_value *value);
/* Whether it evaluates to the boolean true. */
bool sk_expr_true(const struct sk_expr *expr, const struct sk_expr_source *source,
                  struct sk_arena *arena);

/* What a condition comes to, for people; and the first of its terms, which ANDs join, that is not
 * true (empty: there is none), with what that comes to. A value that is no boolean is undefined. */
enum sk_truth { SK_TRUTH_UNDEFINED, SK_TRUTH_FALSE, SK_TRUTH_TRUE };
#define SK_EXPR_TERMS_MAX 64 /* with more, or an OR beside them, the condition is one term */
enum sk_truth sk_expr_explain(struct sk_span text, enum sk_dialect dialect,
                              const struct sk_expr_source *source, struct sk_arena *arena,
                              struct sk_span *term, enum sk_truth *of_term);

/* For expressions that are evaluated one after the other on the same sources, such as routes: what
 * several of them read is read once. Returns how many different values they read. NULLs among them
 * are passed over. */
size_t sk_expr_share(struct sk_expr *const *expressions, size_t count);

/* Conditions that share what they read, as a table: those that compare a value with a constant
 * (sk_expr_table_takes; the others are left out) are not evaluated one by one. They must outlive
 * it. Each has bits; what a source matches is the bits of all that are true for it. */
struct sk_expr_table;
bool sk_expr_table_takes(const struct sk_expr *expr);
struct sk_expr_table *sk_expr_table_new(struct sk_expr *const *expressions, const uint64_t *bits,
                                        size_t count);
uint64_t sk_expr_table_match(const struct sk_expr_table *table, const struct sk_expr_source *source,
                             struct sk_arena *arena);
void sk_expr_table_free(struct sk_expr_table *table);

/* What the expression reads, so that a caller can spare itself the loading. */
bool sk_expr_uses_body(const struct sk_expr *expr);
bool sk_expr_uses_twin(const struct sk_expr *expr);
/* Whether it reads something at or below this section of the twin ("properties", "desired"). */
bool sk_expr_reads(const struct sk_expr *expr, const char *first, const char *second);

/* What must hold wherever the expression is true: the value at a path is one of some literals; or
 * it is a number, at most or at least the only one. */
struct sk_expr_term {
    enum { SK_TERM_ONE_OF, SK_TERM_AT_LEAST, SK_TERM_AT_MOST } how;
    const struct sk_json_step *path; /* in the expression, as are the values */
    size_t path_count;
    const struct sk_value *values;
    size_t value_count;
};
/* At most `max` of them; returns how many. */
size_t sk_expr_terms(const struct sk_expr *expr, struct sk_expr_term *terms, size_t max);

#endif
