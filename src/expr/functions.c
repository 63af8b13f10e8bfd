/* The functions of expressions. An argument of the wrong kind makes the result undefined. */
#include "expr/program.h"

#include <math.h>

static void set_number(struct sk_value *result, double number) {
    if (isfinite(number)) *result = (struct sk_value){.type = SK_VALUE_NUMBER, .number = number};
}

static void set_bool(struct sk_value *result, bool truth) {
    *result = (struct sk_value){.type = SK_VALUE_BOOL, .truth = truth};
}

static bool all_are(const struct sk_value *args, size_t count, enum sk_value_type type) {
    for (size_t i = 0; i < count; i++)
        if (args[i].type != type) return false;
    return true;
}

#define MATH(fn, expression)                                                                       \
    static void fn(struct run *run, const struct sk_value *args, size_t count,                     \
                   struct sk_value *result) {                                                      \
        (void)run;                                                                                 \
        if (all_are(args, count, SK_VALUE_NUMBER)) set_number(result, expression);                 \
    }
MATH(fn_abs, fabs(args[0].number))
MATH(fn_exp, exp(args[0].number))
MATH(fn_power, pow(args[0].number, args[1].number))
MATH(fn_square, args[0].number *args[0].number)
MATH(fn_ceiling, ceil(args[0].number))
MATH(fn_floor, floor(args[0].number))
MATH(fn_sign, (args[0].number > 0) - (args[0].number < 0))
MATH(fn_sqrt, sqrt(args[0].number))

#define TYPE(fn, condition)                                                                        \
    static void fn(struct run *run, const struct sk_value *args, size_t count,                     \
                   struct sk_value *result) {                                                      \
        (void)run, (void)count;                                                                    \
        enum sk_value_type type = args[0].type;                                                    \
        set_bool(result, condition);                                                               \
    }
TYPE(fn_is_array, type == SK_VALUE_ARRAY)
TYPE(fn_is_bool, type == SK_VALUE_BOOL)
TYPE(fn_is_defined, type != SK_VALUE_UNDEFINED)
TYPE(fn_is_null, type == SK_VALUE_NULL)
TYPE(fn_is_number, type == SK_VALUE_NUMBER)
TYPE(fn_is_object, type == SK_VALUE_OBJECT)
TYPE(fn_is_primitive, type != SK_VALUE_UNDEFINED && type < SK_VALUE_ARRAY)
TYPE(fn_is_string, type == SK_VALUE_STRING)

/* A string as a JSON number; blanks around it and a '+' before it are allowed. */
static void fn_as_number(struct run *run, const struct sk_value *args, size_t count,
                         struct sk_value *result) {
    (void)run, (void)count;
    if (args[0].type == SK_VALUE_NUMBER) *result = args[0];
    if (args[0].type != SK_VALUE_STRING) return;
    struct sk_span text = sk_span_trim(args[0].text);
    if (text.n > 1 && text.p[0] == '+' && text.p[1] != '-') text = sk_span_skip(text, 1);
    struct sk_json number;
    size_t used;
    if (sk_json_read(text, &number, &used) || used != text.n || number.type != SK_VALUE_NUMBER)
        return;
    set_number(result, number.number);
}

static void fn_concat(struct run *run, const struct sk_value *args, size_t count,
                      struct sk_value *result) {
    if (!all_are(args, count, SK_VALUE_STRING)) return;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += args[i].text.n;
    char *to = run_alloc(run, n);
    if (to == NULL) return;
    *result = (struct sk_value){.type = SK_VALUE_STRING, .text = sk_span(to, n)};
    for (size_t i = 0; i < count; i++) {
        if (args[i].text.n) memcpy(to, args[i].text.p, args[i].text.n);
        to += args[i].text.n;
    }
}

/* Lengths and positions count characters: bytes that do not continue a UTF-8 sequence. */
static bool starts_character(char c) {
    return (c & 0xc0) != 0x80;
}

static size_t characters(struct sk_span text) {
    size_t count = 0;
    for (size_t i = 0; i < text.n; i++) count += starts_character(text.p[i]);
    return count;
}

/* The byte where character `index` starts, or the end. */
static size_t byte_of(struct sk_span text, double index) {
    size_t i = 0;
    for (double seen = 0; i < text.n; i++) {
        if (!starts_character(text.p[i])) continue;
        if (seen == index) break;
        seen++;
    }
    return i;
}

static void fn_length(struct run *run, const struct sk_value *args, size_t count,
                      struct sk_value *result) {
    (void)run, (void)count;
    if (args[0].type == SK_VALUE_STRING) set_number(result, (double)characters(args[0].text));
}

/* Only ASCII letters change: property names and states are written in them, and tables for the rest
 * would cost more than they give. */
static void change_case(struct run *run, const struct sk_value *arg, char first, char last,
                        struct sk_value *result) {
    if (arg->type != SK_VALUE_STRING) return;
    char *to = run_alloc(run, arg->text.n);
    if (to == NULL) return;
    for (size_t i = 0; i < arg->text.n; i++) {
        char c = arg->text.p[i];
        to[i] = c >= first && c <= last ? (char)(c ^ 0x20) : c;
    }
    *result = (struct sk_value){.type = SK_VALUE_STRING, .text = sk_span(to, arg->text.n)};
}

static void fn_lower(struct run *run, const struct sk_value *args, size_t count,
                     struct sk_value *result) {
    (void)count;
    change_case(run, args, 'A', 'Z', result);
}

static void fn_upper(struct run *run, const struct sk_value *args, size_t count,
                     struct sk_value *result) {
    (void)count;
    change_case(run, args, 'a', 'z', result);
}

static bool is_index(const struct sk_value *value) {
    return value->type == SK_VALUE_NUMBER && value->number >= 0 &&
           value->number == floor(value->number);
}

static void fn_substring(struct run *run, const struct sk_value *args, size_t count,
                         struct sk_value *result) {
    (void)run;
    if (args[0].type != SK_VALUE_STRING || !is_index(&args[1]) ||
        (count == 3 && !is_index(&args[2])))
        return;
    struct sk_span text = sk_span_skip(args[0].text, byte_of(args[0].text, args[1].number));
    if (count == 3) text = sk_span_first(text, byte_of(text, args[2].number));
    *result = (struct sk_value){.type = SK_VALUE_STRING, .text = text};
}

/* The byte where `part` begins in `text`, or SIZE_MAX. */
static size_t find(struct sk_span text, struct sk_span part) {
    if (part.n == 0) return 0;
    const char *at = text.n ? memmem(text.p, text.n, part.p, part.n) : NULL;
    return at ? (size_t)(at - text.p) : SIZE_MAX;
}

static void fn_index_of(struct run *run, const struct sk_value *args, size_t count,
                        struct sk_value *result) {
    (void)run;
    if (!all_are(args, count, SK_VALUE_STRING)) return;
    size_t at = find(args[0].text, args[1].text);
    set_number(result, at == SIZE_MAX ? -1 : (double)characters(sk_span_first(args[0].text, at)));
}

#define TEXT(fn, condition)                                                                        \
    static void fn(struct run *run, const struct sk_value *args, size_t count,                     \
                   struct sk_value *result) {                                                      \
        (void)run;                                                                                 \
        if (all_are(args, count, SK_VALUE_STRING)) set_bool(result, condition);                    \
    }
TEXT(fn_starts_with, sk_span_starts(args[0].text, args[1].text))
TEXT(fn_ends_with, sk_span_ends(args[0].text, args[1].text))
TEXT(fn_contains, find(args[0].text, args[1].text) != SIZE_MAX)

const struct function expr_functions[] = {
    {"IS_DEFINED", 1, 1, true, fn_is_defined},
    {"ABS", 1, 1, true, fn_abs},
    {"EXP", 1, 1, true, fn_exp},
    {"POWER", 2, 2, true, fn_power},
    {"SQUARE", 1, 1, true, fn_square},
    {"CEILING", 1, 1, true, fn_ceiling},
    {"FLOOR", 1, 1, true, fn_floor},
    {"SIGN", 1, 1, true, fn_sign},
    {"SQRT", 1, 1, true, fn_sqrt},
    {"AS_NUMBER", 1, 1, true, fn_as_number},
    {"IS_ARRAY", 1, 1, true, fn_is_array},
    {"IS_BOOL", 1, 1, true, fn_is_bool},
    {"IS_NULL", 1, 1, true, fn_is_null},
    {"IS_NUMBER", 1, 1, true, fn_is_number},
    {"IS_OBJECT", 1, 1, true, fn_is_object},
    {"IS_PRIMITIVE", 1, 1, true, fn_is_primitive},
    {"IS_STRING", 1, 1, true, fn_is_string},
    {"CONCAT", 1, ARGUMENTS_MAX, true, fn_concat},
    {"LENGTH", 1, 1, true, fn_length},
    {"LOWER", 1, 1, true, fn_lower},
    {"UPPER", 1, 1, true, fn_upper},
    {"SUBSTRING", 2, 3, true, fn_substring},
    {"INDEX_OF", 2, 2, true, fn_index_of},
    {"STARTS_WITH", 2, 2, true, fn_starts_with}, /* as routes spell it, */
    {"ENDS_WITH", 2, 2, true, fn_ends_with},
    {"STARTSWITH", 2, 2, true, fn_starts_with}, /* and queries */
    {"ENDSWITH", 2, 2, true, fn_ends_with},
    {"CONTAINS", 2, 2, true, fn_contains},
    {"TWIN_CHANGE_INCLUDES", 1, 1, false, fn_is_defined},
    {NULL, 0, 0, false, NULL},
};
