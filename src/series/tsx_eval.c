/* Evaluation: each step over all rows, so that its loop knows types. */
#include <math.h>
#include <stdio.h>
#include <strings.h>

#include "series/tsx_parts.h"

typedef union sk_series_value value;

struct eval {
    const struct sk_series_rows *rows;
    int64_t now;
    struct sk_arena *arena;
    size_t used; /* of the arena before */
    enum sk_status status;
};
struct vector {
    value *values;
    uint8_t *null;
};

static struct vector room(struct eval *e) {
    size_t n = e->rows->count;
    return (struct vector){sk_arena_alloc(e->arena, n * sizeof(value)),
                           sk_arena_alloc(e->arena, n)};
}
static struct vector of(struct eval *e, const struct tsx_node *node);

static struct vector column(struct eval *e, const struct tsx_node *node) {
    const struct sk_series_rows *rows = e->rows;
    struct vector to = {NULL, NULL};
    for (size_t c = 0; c < rows->column_count; c++) {
        const struct sk_series_column *column = &rows->columns[c];
        if (!sk_series_same_property(&column->property, &node->property)) continue;
        to.values = (value *)column->values; /* nobody writes to it */
        to.null = sk_arena_alloc(e->arena, rows->count);
        for (size_t i = 0; column->present && i < rows->count; i++)
            to.null[i] = !column->present[i];
        return to;
    }
    to = room(e);
    memset(to.null, 1, rows->count);
    return to;
}

static struct vector constant(struct eval *e, value of, bool null) {
    struct vector to = room(e);
    for (size_t i = 0; i < e->rows->count; i++) to.values[i] = of;
    memset(to.null, null, e->rows->count);
    return to;
}

/* ---- operators ---- */

static struct vector logic(struct eval *e, const struct tsx_node *node) {
    struct vector a = of(e, node->arguments[0]), to = room(e);
    struct vector b = node->op == TSX_NOT ? a : of(e, node->arguments[1]);
    for (size_t i = 0; i < e->rows->count && !e->status; i++) {
        bool x = !a.null[i] && a.values[i].boolean, y = !b.null[i] && b.values[i].boolean;
        to.values[i].boolean = node->op == TSX_NOT ? !x : node->op == TSX_AND ? x && y : x || y;
    }
    return to;
}

static struct vector nullness(struct eval *e, const struct tsx_node *node) {
    struct vector a = of(e, node->arguments[0]), to = room(e);
    bool text = node->arguments[0]->type == SK_SERIES_STRING;
    for (size_t i = 0; i < e->rows->count && !e->status; i++) {
        bool null = a.null[i] || (text && a.values[i].text.n == 0);
        to.values[i].boolean = null == (node->op == TSX_IS_NULL);
    }
    return to;
}

static bool holds(enum tsx_op op, int order) {
    switch (op) {
    case TSX_EQUAL: return order == 0;
    case TSX_NOT_EQUAL: return order != 0;
    case TSX_LESS: return order < 0;
    case TSX_GREATER: return order > 0;
    case TSX_AT_MOST: return order <= 0;
    default: return order >= 0;
    }
}
#define ORDER(a, b) (((a) > (b)) - ((a) < (b)))

static struct vector compare(struct eval *e, const struct tsx_node *node) {
    struct vector a = of(e, node->arguments[0]), b = of(e, node->arguments[1]), to = room(e);
    size_t n = e->status ? 0 : e->rows->count;
#define EACH(order)                                                                                \
    for (size_t i = 0; i < n; i++)                                                                 \
    to.values[i].boolean = !a.null[i] && !b.null[i] && holds(node->op, order)
    switch (node->arguments[0]->type) {
    case SK_SERIES_DOUBLE: EACH(ORDER(a.values[i].number, b.values[i].number)); break;
    case SK_SERIES_STRING: EACH(sk_span_compare(a.values[i].text, b.values[i].text)); break;
    case SK_SERIES_BOOL: EACH(ORDER(a.values[i].boolean, b.values[i].boolean)); break;
    default: EACH(ORDER(a.values[i].integer, b.values[i].integer)); break;
    }
    return to;
}

/* What overflows, or is divided by 0, is null. */
static bool whole(enum tsx_op op, int64_t a, int64_t b, int64_t *to) {
    switch (op) {
    case TSX_ADD: return !__builtin_add_overflow(a, b, to);
    case TSX_SUBTRACT: return !__builtin_sub_overflow(a, b, to);
    case TSX_MULTIPLY: return !__builtin_mul_overflow(a, b, to);
    default:
        if (b == 0 || (a == INT64_MIN && b == -1)) return false;
        *to = a / b;
        return true;
    }
}

static struct vector calculate(struct eval *e, const struct tsx_node *node) {
    struct vector a = of(e, node->arguments[0]), b = of(e, node->arguments[1]), to = room(e);
    size_t n = e->status ? 0 : e->rows->count;
    for (size_t i = 0; i < n; i++) to.null[i] = a.null[i] | b.null[i];
    if (node->type != SK_SERIES_DOUBLE) {
        for (size_t i = 0; i < n; i++)
            to.null[i] |=
                !whole(node->op, a.values[i].integer, b.values[i].integer, &to.values[i].integer);
        return to;
    }
#define NUMBERS(op)                                                                                \
    for (size_t i = 0; i < n; i++) to.values[i].number = a.values[i].number op b.values[i].number
    switch (node->op) {
    case TSX_ADD: NUMBERS(+); break;
    case TSX_SUBTRACT: NUMBERS(-); break;
    case TSX_MULTIPLY: NUMBERS(*); break;
    default:
        for (size_t i = 0; i < n; i++)
            to.values[i].number =
                b.values[i].number != 0 ? a.values[i].number / b.values[i].number : NAN;
    }
    for (size_t i = 0; i < n; i++) to.null[i] = to.null[i] || !isfinite(to.values[i].number);
    return to;
}

/* ---- functions ---- */

static bool to_long(enum sk_series_type from, value a, value *to) {
    double number = a.number;
    if (from == SK_SERIES_LONG) {
        to->integer = a.integer;
        return true;
    }
    if (from == SK_SERIES_STRING) {
        if (sk_span_to_int(sk_span_trim(a.text), &to->integer) == SK_OK) return true;
        return false;
    }
    if (!(number >= -0x1p63 && number < 0x1p63)) return false;
    to->integer = (int64_t)number;
    return true;
}

static bool to_double(enum sk_series_type from, value a, value *to) {
    if (from != SK_SERIES_STRING) {
        to->number = from == SK_SERIES_LONG ? (double)a.integer : a.number;
        return true;
    }
    char text[64], *end;
    struct sk_span trimmed = sk_span_trim(a.text);
    if (trimmed.n == 0 || trimmed.n >= sizeof text || !sk_span_only(trimmed, "+-.")) return false;
    memcpy(text, trimmed.p, trimmed.n);
    text[trimmed.n] = 0;
    to->number = strtod(text, &end);
    return *end == 0 && isfinite(to->number);
}

static bool to_text(struct eval *e, enum sk_series_type from, value a, value *to) {
    char text[SK_REAL_TEXT];
    if (from == SK_SERIES_STRING) {
        to->text = a.text;
        return true;
    }
    if (from == SK_SERIES_LONG)
        snprintf(text, sizeof text, "%lld", (long long)a.integer);
    else
        sk_real_text(a.number, text);
    to->text = sk_arena_copy(e->arena, sk_span_z(text));
    return true;
}

static struct sk_span in_case(struct eval *e, struct sk_span text, bool upper) {
    char *to = sk_arena_alloc(e->arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) {
        char c = sk_lower(text.p[i]);
        to[i] = (char)(upper && c >= 'a' && c <= 'z' ? c - 32 : c);
    }
    return sk_span(to, text.n);
}

static bool found(struct sk_span in, struct sk_span what, size_t *at) {
    for (*at = 0; in.n - *at >= what.n; ++*at) {
        if (what.n == 0) return true;
        const char *p = memchr(in.p + *at, what.p[0], in.n - *at);
        if (p == NULL) return false;
        *at = (size_t)(p - in.p);
        if (sk_span_starts(sk_span_skip(in, *at), what)) return true;
    }
    return false;
}

static struct sk_span replaced(struct eval *e, struct sk_span text, struct sk_span old,
                               struct sk_span with) {
    struct sk_buffer to = {.limit = SK_TSX_BYTES_MAX};
    size_t at;
    while (old.n && found(text, old, &at)) {
        if (sk_buffer_append(&to, sk_span_first(text, at)) || sk_buffer_append(&to, with))
            e->status = SK_TOO_LARGE;
        text = sk_span_skip(text, at + old.n);
        if (e->status) break;
    }
    if (sk_buffer_append(&to, text)) e->status = SK_TOO_LARGE;
    struct sk_span result = sk_arena_copy(e->arena, sk_buffer_span(&to));
    sk_buffer_free(&to);
    return result;
}

/* Two digits of a time's text at a place. */
static int64_t part_of_time(int64_t ms, size_t at) {
    char text[SK_TIME_TEXT];
    if (ms < SK_SERIES_TIME_MIN || ms > SK_SERIES_TIME_MAX) return 0;
    sk_time_text(ms * 1000, text);
    return (text[at] - '0') * 10 + text[at + 1] - '0';
}

static bool apply(struct eval *e, const struct tsx_node *node, const value *a, value *to) {
    enum sk_series_type from = node->count ? node->arguments[0]->type : node->type;
    struct sk_span text = from == SK_SERIES_STRING ? a[0].text : SK_NONE;
    size_t at;
    switch (node->function) {
    case TSX_TO_DOUBLE: return to_double(from, a[0], to);
    case TSX_TO_LONG: return to_long(from, a[0], to);
    case TSX_TO_STRING: return to_text(e, from, a[0], to);
    case TSX_MATH: to->number = node->math(a[0].number); return isfinite(to->number);
    case TSX_ATAN2: to->number = atan2(a[0].number, a[1].number); return true;
    case TSX_MONTH: to->integer = part_of_time(a[0].integer, 5); return true;
    case TSX_DAY: to->integer = part_of_time(a[0].integer, 8); return true;
    case TSX_HOUR: to->integer = part_of_time(a[0].integer, 11); return true;
    case TSX_NOW: to->integer = e->now; return true;
    case TSX_UPPER:
    case TSX_LOWER: to->text = in_case(e, text, node->function == TSX_UPPER); return true;
    case TSX_LENGTH: to->integer = (int64_t)text.n; return true;
    case TSX_TRIM: to->text = sk_span_trim(text); return true;
    case TSX_INDEX: to->integer = found(text, a[1].text, &at) ? (int64_t)at : -1; return true;
    case TSX_SUBSTRING:
        if (a[1].integer < 0 || a[2].integer < 0) return false;
        to->text = sk_span_first(sk_span_skip(text, (size_t)a[1].integer), (size_t)a[2].integer);
        return true;
    case TSX_REPLACE: to->text = replaced(e, text, a[1].text, a[2].text); return true;
    default: break; /* TSX_CONCAT */
    }
    struct sk_buffer all = {.limit = SK_TSX_BYTES_MAX};
    for (size_t i = 0; i < node->count; i++)
        if (sk_buffer_append(&all, a[i].text)) e->status = SK_TOO_LARGE;
    to->text = sk_arena_copy(e->arena, sk_buffer_span(&all));
    sk_buffer_free(&all);
    return true;
}

/* coalesce and iff: the argument that is chosen, for a row. */
static size_t chosen(const struct tsx_node *node, const struct vector *a, size_t row) {
    if (node->function == TSX_IFF) return a[0].null[row] || !a[0].values[row].boolean ? 2 : 1;
    size_t i = 0;
    while (i + 1 < node->count && a[i].null[row]) i++;
    return i;
}

static struct vector call(struct eval *e, const struct tsx_node *node) {
    struct vector a[SK_TSX_ARGUMENTS_MAX], to = room(e);
    for (size_t i = 0; i < node->count; i++) a[i] = of(e, node->arguments[i]);
    bool choice = node->function == TSX_COALESCE || node->function == TSX_IFF;
    for (size_t row = 0; row < e->rows->count && !e->status; row++) {
        if (choice) {
            struct vector from = a[chosen(node, a, row)];
            to.values[row] = from.values[row];
            to.null[row] = from.null[row];
            continue;
        }
        value arguments[SK_TSX_ARGUMENTS_MAX];
        for (size_t i = 0; i < node->count; i++) {
            arguments[i] = a[i].values[row];
            to.null[row] |= a[i].null[row];
        }
        if (!to.null[row]) to.null[row] = !apply(e, node, arguments, &to.values[row]);
        if (e->arena->used - e->used > SK_TSX_BYTES_MAX) e->status = SK_TOO_LARGE;
    }
    return to;
}

static struct vector of(struct eval *e, const struct tsx_node *node) {
    if (e->arena->used - e->used > SK_TSX_BYTES_MAX) e->status = SK_TOO_LARGE;
    if (e->status) return (struct vector){NULL, NULL};
    struct vector to;
    switch (node->op) {
    case TSX_LITERAL: return constant(e, node->value, node->null);
    case TSX_PROPERTY: return column(e, node);
    case TSX_TIME:
        to = room(e);
        for (size_t i = 0; i < e->rows->count; i++) to.values[i].integer = e->rows->times[i];
        return to;
    case TSX_NOT:
    case TSX_AND:
    case TSX_OR: return logic(e, node);
    case TSX_IS_NULL:
    case TSX_NOT_NULL: return nullness(e, node);
    case TSX_ADD:
    case TSX_SUBTRACT:
    case TSX_MULTIPLY:
    case TSX_DIVIDE: return calculate(e, node);
    case TSX_CALL: return call(e, node);
    default: return compare(e, node);
    }
}

enum sk_status sk_tsx_eval(const struct sk_tsx *tsx, const struct sk_series_rows *rows, int64_t now,
                           struct sk_arena *arena, struct sk_tsx_values *result) {
    struct eval e = {rows, now, arena, arena->used, SK_OK};
    struct vector values = of(&e, tsx->root);
    *result = (struct sk_tsx_values){values.values, values.null};
    return e.status;
}
