/* Parsing of expressions, and their types. */
#include "series/tsx.h"

#include <math.h>
#include <stdio.h>

#include "expr/json_scan.h"
#include "series/flatten.h"
#include "series/tsx_parts.h"

static const char *const type_names[] = {"Bool", "DateTime", "Double",
                                         "Long", "String",   "TimeSpan"};
#define TYPE_COUNT (sizeof type_names / sizeof *type_names)

/* d Double, l Long, s String, t DateTime, n Double or Long, x any of these and String; '+': two to
 * 64 of the one before. coalesce and iff look for themselves. */
static const struct function {
    const char *name, *takes;
    enum sk_series_type gives;
    enum tsx_function function;
    double (*math)(double);
} functions[] = {
    {"toDouble", "x", SK_SERIES_DOUBLE, TSX_TO_DOUBLE, NULL},
    {"toLong", "x", SK_SERIES_LONG, TSX_TO_LONG, NULL},
    {"toString", "x", SK_SERIES_STRING, TSX_TO_STRING, NULL},
    {"round", "d", SK_SERIES_DOUBLE, TSX_MATH, round},
    {"ceiling", "d", SK_SERIES_DOUBLE, TSX_MATH, ceil},
    {"floor", "d", SK_SERIES_DOUBLE, TSX_MATH, floor},
    {"cos", "d", SK_SERIES_DOUBLE, TSX_MATH, cos},
    {"sin", "d", SK_SERIES_DOUBLE, TSX_MATH, sin},
    {"tan", "d", SK_SERIES_DOUBLE, TSX_MATH, tan},
    {"acos", "d", SK_SERIES_DOUBLE, TSX_MATH, acos},
    {"asin", "d", SK_SERIES_DOUBLE, TSX_MATH, asin},
    {"atan", "d", SK_SERIES_DOUBLE, TSX_MATH, atan},
    {"log", "d", SK_SERIES_DOUBLE, TSX_MATH, log},
    {"log2", "d", SK_SERIES_DOUBLE, TSX_MATH, log2},
    {"log10", "d", SK_SERIES_DOUBLE, TSX_MATH, log10},
    {"atan2", "dd", SK_SERIES_DOUBLE, TSX_ATAN2, NULL},
    {"monthOfYear", "t", SK_SERIES_LONG, TSX_MONTH, NULL},
    {"dayOfMonth", "t", SK_SERIES_LONG, TSX_DAY, NULL},
    {"hourOfDay", "t", SK_SERIES_LONG, TSX_HOUR, NULL},
    {"utcNow", "", SK_SERIES_DATETIME, TSX_NOW, NULL},
    {"toUpper", "s", SK_SERIES_STRING, TSX_UPPER, NULL},
    {"toLower", "s", SK_SERIES_STRING, TSX_LOWER, NULL},
    {"strLen", "s", SK_SERIES_LONG, TSX_LENGTH, NULL},
    {"strCat", "s+", SK_SERIES_STRING, TSX_CONCAT, NULL},
    {"subString", "sll", SK_SERIES_STRING, TSX_SUBSTRING, NULL},
    {"trim", "s", SK_SERIES_STRING, TSX_TRIM, NULL},
    {"indexOf", "ss", SK_SERIES_LONG, TSX_INDEX, NULL},
    {"replace", "sss", SK_SERIES_STRING, TSX_REPLACE, NULL},
    {"coalesce", NULL, SK_SERIES_DOUBLE, TSX_COALESCE, NULL},
    {"iff", NULL, SK_SERIES_DOUBLE, TSX_IFF, NULL},
};

static const struct {
    const char *name;
    enum sk_series_aggregate by;
} aggregates[] = {
    {"min", SK_SERIES_MIN},    {"max", SK_SERIES_MAX},       {"sum", SK_SERIES_SUM},
    {"avg", SK_SERIES_AVG},    {"stdev", SK_SERIES_STDEV},   {"first", SK_SERIES_FIRST},
    {"last", SK_SERIES_LAST},  {"median", SK_SERIES_MEDIAN}, {"count", SK_SERIES_COUNT},
    {"left", SK_SERIES_LEFT},  {"right", SK_SERIES_RIGHT},   {"twavg", SK_SERIES_TWAVG},
    {"twsum", SK_SERIES_TWSUM}};

struct parser {
    struct sk_span text;
    size_t at;
    unsigned depth;
    struct sk_arena *arena;
    struct sk_tsx *tsx;
    struct sk_tsx_aggregation *aggregation; /* that is being read, or NULL */
    const struct sk_tsx *value;             /* of its $value, or NULL */
    bool inside;                            /* one of its functions */
    char *error;
    enum sk_status status;
};

static struct tsx_node *fail(struct parser *p, const char *why) {
    if (p->status) return NULL;
    p->status = SK_MALFORMED;
    snprintf(p->error, 200, "At byte %zu: %s", p->at + 1, why);
    return NULL;
}

static struct tsx_node *node(struct parser *p, enum tsx_op op, enum sk_series_type type,
                             size_t count) {
    struct tsx_node *it = sk_arena_alloc(p->arena, sizeof *it);
    p->tsx->nodes++;
    it->op = op;
    it->type = type;
    it->count = count;
    it->arguments = sk_arena_alloc(p->arena, (count + 1) * sizeof *it->arguments);
    return it;
}

/* ---- words ---- */

static struct sk_span rest(struct parser *p) {
    while (p->at < p->text.n && memchr(" \t\r\n", p->text.p[p->at], 4)) p->at++;
    return sk_span_skip(p->text, p->at);
}
static bool letter(char c) {
    return c == '_' || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ||
           (unsigned char)c >= 0x80;
}
static struct sk_span word(struct parser *p) {
    struct sk_span from = rest(p);
    size_t n = 0;
    while (n < from.n && letter(from.p[n])) n++;
    return sk_span_first(from, n);
}
static bool take(struct parser *p, const char *mark) {
    if (!sk_span_starts(rest(p), sk_span_z(mark))) return false;
    p->at += strlen(mark);
    return true;
}
static bool take_word(struct parser *p, const char *keyword) {
    struct sk_span here = word(p);
    if (!sk_span_eq_nocase(here, sk_span_z(keyword))) return false;
    p->at += here.n;
    return true;
}

/* Behind the opening quote: up to the closing one; `\` before `\` and `'`. */
static bool quoted(struct parser *p, struct sk_span *value) {
    char *to = sk_arena_alloc(p->arena, p->text.n - p->at + 1);
    size_t n = 0;
    for (; p->at < p->text.n && p->text.p[p->at] != '\''; p->at++) {
        if (p->text.p[p->at] == '\\' && ++p->at == p->text.n) break;
        to[n++] = p->text.p[p->at];
    }
    *value = sk_span(to, n);
    if (p->at >= p->text.n) return fail(p, "A quote is not closed.") != NULL;
    p->at++;
    return true;
}

/* ---- factors ---- */

static struct tsx_node *or_of(struct parser *p);

static struct tsx_node *literal_text(struct parser *p, enum sk_series_type type) {
    struct sk_span text;
    if (!quoted(p, &text)) return NULL;
    struct tsx_node *it = node(p, TSX_LITERAL, type, 0);
    int64_t us;
    if (type == SK_SERIES_STRING) {
        it->value.text = text;
    } else if (type == SK_SERIES_DATETIME) {
        if (sk_series_time(text, &it->value.integer)) return fail(p, "This is no time.");
    } else {
        if (sk_duration_parse(text, &us)) return fail(p, "This is no duration.");
        it->value.integer = us / 1000;
    }
    return it;
}

static struct tsx_node *number(struct parser *p) {
    struct sk_json value;
    size_t size;
    if (sk_json_read(rest(p), &value, &size) || value.type != SK_VALUE_NUMBER)
        return fail(p, "A value is expected.");
    p->at += size;
    struct tsx_node *it = node(p, TSX_LITERAL, SK_SERIES_LONG, 0);
    if (memchr(value.raw.p, '.', value.raw.n) || memchr(value.raw.p, 'e', value.raw.n) ||
        memchr(value.raw.p, 'E', value.raw.n)) {
        it->type = SK_SERIES_DOUBLE;
        it->value.number = value.number;
        return isfinite(value.number) ? it : fail(p, "The number is beyond all doubles.");
    }
    if (sk_span_to_int(value.raw, &it->value.integer)) return fail(p, "The number is no Long.");
    return it;
}

static bool type_of_name(struct sk_span name, enum sk_series_type *type) {
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (sk_span_eq_nocase(name, sk_span_z(type_names[i]))) {
            *type = (enum sk_series_type)i;
            return true;
        }
    return false;
}

static struct tsx_node *named(struct parser *p, struct sk_span name, enum sk_series_type type) {
    struct sk_tsx *tsx = p->tsx;
    struct tsx_node *it = node(p, TSX_PROPERTY, type, 0);
    it->property = (struct sk_series_property){sk_series_name_cut(p->arena, name), type};
    for (size_t i = 0; i < tsx->property_count; i++)
        if (sk_series_same_property(&tsx->properties[i], &it->property)) return it;
    if (tsx->property_count == SK_TSX_PROPERTIES_MAX)
        return fail(p, "There are more than 50 properties.");
    tsx->properties[tsx->property_count++] = it->property;
    return it;
}

static struct tsx_node *property(struct parser *p) {
    if (take(p, ".$ts")) return node(p, TSX_TIME, SK_SERIES_DATETIME, 0);
    struct sk_span name = SK_NONE, token;
    enum sk_series_type type = SK_SERIES_DOUBLE;
    for (size_t tokens = 0;; tokens++) {
        if (take(p, ".['") || take(p, "['")) {
            if (!quoted(p, &token)) return NULL;
            if (!take(p, "]")) return fail(p, "']' is missing behind a name.");
        } else if (take(p, ".[") || take(p, "[")) { /* as samples of Azure have it */
            struct sk_span here = rest(p);
            size_t end = sk_span_find(here, ']');
            if (end == 0 || end == here.n) return fail(p, "A name and ']' are expected.");
            token = sk_span_first(here, end);
            p->at += end + 1;
        } else if (take(p, ".")) {
            token = word(p);
            if (token.n == 0) return fail(p, "A name is expected behind '.'.");
            p->at += token.n;
            if (tokens && type_of_name(token, &type)) return named(p, name, type);
        } else if (tokens == 1) {
            return named(p, name, type);
        } else {
            return fail(p, tokens ? "A nested property ends in its type, such as .Double."
                                  : "$event is followed by a property's name.");
        }
        name = sk_series_name(p->arena, name, token);
    }
}

static bool fits(char wanted, enum sk_series_type type) {
    switch (wanted) {
    case 'd': return type == SK_SERIES_DOUBLE;
    case 'l': return type == SK_SERIES_LONG;
    case 's': return type == SK_SERIES_STRING;
    case 't': return type == SK_SERIES_DATETIME;
    default: return type == SK_SERIES_DOUBLE || type == SK_SERIES_LONG || type == SK_SERIES_STRING;
    }
}

static bool check_arguments(const struct function *f, struct tsx_node *it) {
    size_t n = it->count, from = f->function == TSX_IFF;
    if (f->takes == NULL) {
        bool right = from ? n == 3 && it->arguments[0]->type == SK_SERIES_BOOL : n >= 2;
        it->type = SK_SERIES_TYPES;
        for (size_t i = from; i < n && right; i++) {
            if (it->arguments[i]->null) continue;
            if (it->type == SK_SERIES_TYPES) it->type = it->arguments[i]->type;
            right = it->arguments[i]->type == it->type;
        }
        return right && it->type != SK_SERIES_TYPES;
    }
    bool many = f->takes[0] && f->takes[1] == '+';
    if (many ? n < 2 : n != strlen(f->takes)) return false;
    for (size_t i = 0; i < n; i++)
        if (it->arguments[i]->null || !fits(f->takes[many ? 0 : i], it->arguments[i]->type))
            return false;
    return true;
}

/* Whole numbers stay what they are where no part of one can come of them. */
static enum sk_series_type type_of_measure(enum sk_series_aggregate by, enum sk_series_type of) {
    if (by == SK_SERIES_COUNT) return SK_SERIES_LONG;
    bool of_points = by < SK_SERIES_COUNT && by != SK_SERIES_AVG && by != SK_SERIES_STDEV;
    return of_points ? of : SK_SERIES_DOUBLE;
}

/* Behind the name of an aggregate function. */
static struct tsx_node *measure(struct parser *p, enum sk_series_aggregate by) {
    static const char *const names[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    struct sk_tsx_aggregation *all = p->aggregation;
    struct sk_tsx *outside = p->tsx;
    if (all->measure_count == SK_TSX_MEASURES_MAX)
        return fail(p, "There are more than 10 aggregate functions.");
    struct sk_tsx_measure *it = &all->measures[all->measure_count];
    it->by = by;
    if (!take(p, "(")) return fail(p, "'(' is expected behind a function's name.");
    if (by != SK_SERIES_COUNT) {
        p->tsx = &it->of;
        p->inside = true;
        it->of.root = or_of(p);
        p->inside = false;
        p->tsx = outside;
        if (!it->of.root) return NULL;
        it->of.type = it->of.root->type;
        if (it->of.type != SK_SERIES_DOUBLE && it->of.type != SK_SERIES_LONG)
            return fail(p, "An aggregate function takes a Double or a Long.");
    }
    if (!take(p, ")"))
        return fail(p, by == SK_SERIES_COUNT ? "count() takes nothing." : "')' is missing.");
    it->as = (struct sk_series_property){sk_span_z(names[all->measure_count++]),
                                         type_of_measure(by, it->of.type)};
    return named(p, it->as.name, it->as.type);
}

static struct tsx_node *value_of(struct parser *p) {
    if (!p->inside || !p->value)
        return fail(p, p->value ? "$value stands in an aggregate function, as in avg($value)."
                                : "$value stands in aggregations of a value only.");
    for (size_t i = 0; i < p->value->property_count; i++)
        if (!named(p, p->value->properties[i].name, p->value->properties[i].type)) return NULL;
    p->tsx->nodes += p->value->nodes;
    return p->value->root;
}

static struct tsx_node *call(struct parser *p, struct sk_span name) {
    const struct function *f = NULL;
    for (size_t i = 0; p->aggregation && !p->inside && i < sizeof aggregates / sizeof *aggregates;
         i++)
        if (sk_span_eq_nocase(name, sk_span_z(aggregates[i].name))) {
            p->at += name.n;
            return measure(p, aggregates[i].by);
        }
    for (size_t i = 0; i < sizeof functions / sizeof *functions && !f; i++)
        if (sk_span_eq_nocase(name, sk_span_z(functions[i].name))) f = &functions[i];
    if (f == NULL)
        return fail(p, sk_span_find(p->text, '(') == p->text.n
                           ? "A property is written $event.name."
                           : "There is no such function; a property is written $event.name.");
    p->at += name.n;
    if (!take(p, "(")) return fail(p, "'(' is expected behind a function's name.");
    struct tsx_node *it = node(p, TSX_CALL, f->gives, SK_TSX_ARGUMENTS_MAX);
    it->function = f->function;
    it->math = f->math;
    it->count = 0;
    while (!take(p, ")")) {
        if (it->count && !take(p, ",")) return fail(p, "',' or ')' is expected.");
        if (it->count == SK_TSX_ARGUMENTS_MAX) return fail(p, "There are more than 64 arguments.");
        if (!(it->arguments[it->count++] = or_of(p))) return NULL;
    }
    if (!check_arguments(f, it)) {
        char why[120];
        snprintf(why, sizeof why, "%s does not take these arguments.", f->name);
        return fail(p, why);
    }
    return it;
}

static struct tsx_node *factor(struct parser *p) {
    struct tsx_node *it;
    if (take(p, "(")) {
        it = or_of(p);
        return !it || take(p, ")") ? it : fail(p, "')' is missing.");
    }
    if (take(p, "$event"))
        return !p->aggregation || p->inside
                   ? property(p)
                   : fail(p, "Properties stand in an aggregate function here.");
    if (take(p, "$value")) return value_of(p);
    if (take(p, "'")) return literal_text(p, SK_SERIES_STRING);
    if (take(p, "dt'")) return literal_text(p, SK_SERIES_DATETIME);
    if (take(p, "ts'")) return literal_text(p, SK_SERIES_TIMESPAN);
    struct sk_span name = word(p);
    if (name.n == 0 || (name.p[0] >= '0' && name.p[0] <= '9')) return number(p);
    bool truth = take_word(p, "TRUE");
    if (truth || take_word(p, "FALSE")) {
        it = node(p, TSX_LITERAL, SK_SERIES_BOOL, 0);
        it->value.boolean = truth;
        return it;
    }
    if (take_word(p, "NULL")) {
        it = node(p, TSX_LITERAL, SK_SERIES_TYPES, 0);
        it->null = true;
        return it;
    }
    return call(p, name);
}

/* ---- operators ---- */

static struct tsx_node *pair(struct parser *p, enum tsx_op op, enum sk_series_type type,
                             struct tsx_node *a, struct tsx_node *b) {
    struct tsx_node *it = node(p, op, type, 2);
    it->arguments[0] = a;
    it->arguments[1] = b;
    return it;
}

/* The type of a sum or product; SK_SERIES_TYPES: it has none. */
static enum sk_series_type combined(enum tsx_op op, enum sk_series_type a, enum sk_series_type b) {
    if (a == b && (a == SK_SERIES_DOUBLE || a == SK_SERIES_LONG)) return a;
    bool sum = op == TSX_ADD || op == TSX_SUBTRACT;
    if (sum && b == SK_SERIES_TIMESPAN && (a == b || a == SK_SERIES_DATETIME)) return a;
    if (op == TSX_SUBTRACT && a == SK_SERIES_DATETIME && b == a) return SK_SERIES_TIMESPAN;
    return SK_SERIES_TYPES;
}

static struct tsx_node *arithmetic(struct parser *p, bool sum) {
    struct tsx_node *a = sum ? arithmetic(p, false) : factor(p);
    while (a) {
        enum tsx_op op;
        if (take(p, sum ? "+" : "*"))
            op = sum ? TSX_ADD : TSX_MULTIPLY;
        else if (take(p, sum ? "-" : "/"))
            op = sum ? TSX_SUBTRACT : TSX_DIVIDE;
        else
            return a;
        struct tsx_node *b = sum ? arithmetic(p, false) : factor(p);
        if (!b) return NULL;
        enum sk_series_type type = combined(op, a->type, b->type);
        if (type == SK_SERIES_TYPES) return fail(p, "These types cannot be calculated with.");
        a = pair(p, op, type, a, b);
    }
    return NULL;
}

static struct tsx_node *comparison(struct parser *p) {
    static const struct {
        const char *mark;
        enum tsx_op op;
    } marks[] = {{"!=", TSX_NOT_EQUAL}, {"<>", TSX_NOT_EQUAL}, {"<=", TSX_AT_MOST},
                 {">=", TSX_AT_LEAST},  {"=", TSX_EQUAL},      {"<", TSX_LESS},
                 {">", TSX_GREATER}};
    struct tsx_node *a = arithmetic(p, true);
    for (size_t i = 0; a && i < sizeof marks / sizeof *marks; i++) {
        if (!take(p, marks[i].mark)) continue;
        struct tsx_node *b = arithmetic(p, true);
        if (!b) return NULL;
        enum tsx_op op = marks[i].op;
        if (a->null || b->null) {
            if (op != TSX_EQUAL && op != TSX_NOT_EQUAL)
                return fail(p, "NULL is compared by = and != only.");
            if (a->null && b->null) return fail(p, "NULL is compared with a value.");
            op = op == TSX_EQUAL ? TSX_IS_NULL : TSX_NOT_NULL;
            return pair(p, op, SK_SERIES_BOOL, a->null ? b : a, a);
        }
        if (a->type == b->type) return pair(p, op, SK_SERIES_BOOL, a, b);
        char why[160];
        bool numbers = (a->type == SK_SERIES_DOUBLE && b->type == SK_SERIES_LONG) ||
                       (b->type == SK_SERIES_DOUBLE && a->type == SK_SERIES_LONG);
        snprintf(why, sizeof why, "A %s cannot be compared with a %s%s.", type_names[a->type],
                 type_names[b->type],
                 numbers ? ": write 1.0 for 1, or $event.name.Long for $event.name" : "");
        return fail(p, why);
    }
    return a;
}

static struct tsx_node *not_of(struct parser *p) {
    if (!take_word(p, "NOT")) return comparison(p);
    struct tsx_node *a =
        ++p->depth > SK_TSX_DEPTH_MAX ? fail(p, "It is nested too deep.") : not_of(p);
    p->depth--;
    if (a && a->type != SK_SERIES_BOOL) return fail(p, "NOT needs a Bool.");
    return a ? pair(p, TSX_NOT, SK_SERIES_BOOL, a, a) : NULL;
}

static struct tsx_node *logic(struct parser *p, bool any) {
    struct tsx_node *a = any ? logic(p, false) : not_of(p);
    while (a && take_word(p, any ? "OR" : "AND")) {
        struct tsx_node *b = any ? logic(p, false) : not_of(p);
        if (!b) return NULL;
        if (a->type != SK_SERIES_BOOL || b->type != SK_SERIES_BOOL)
            return fail(p, "AND and OR need Bools.");
        a = pair(p, any ? TSX_OR : TSX_AND, SK_SERIES_BOOL, a, b);
    }
    return a;
}

static struct tsx_node *or_of(struct parser *p) {
    struct tsx_node *it =
        ++p->depth > SK_TSX_DEPTH_MAX ? fail(p, "It is nested too deep.") : logic(p, true);
    p->depth--;
    return it;
}

static enum sk_status parse(struct parser *p) {
    if (p->text.n > SK_TSX_TEXT_MAX) {
        snprintf(p->error, 200, "The expression has more than %d bytes.", SK_TSX_TEXT_MAX);
        return SK_TOO_LARGE;
    }
    p->tsx->root = or_of(p);
    if (p->tsx->root && rest(p).n) fail(p, "The expression should end here.");
    if (p->tsx->root && p->tsx->root->null) fail(p, "NULL alone is no expression.");
    if (!p->status) p->tsx->type = p->tsx->root->type;
    return p->status;
}

enum sk_status sk_tsx_parse(struct sk_span text, struct sk_arena *arena, struct sk_tsx *tsx,
                            char error[200]) {
    *tsx = (struct sk_tsx){.property_count = 0};
    return parse(&(struct parser){.text = text, .arena = arena, .tsx = tsx, .error = error});
}

enum sk_status sk_tsx_parse_aggregation(struct sk_span text, const struct sk_tsx *value,
                                        struct sk_arena *arena, struct sk_tsx_aggregation *to,
                                        char error[200]) {
    memset(to, 0, sizeof *to);
    struct parser p = {.text = text,
                       .arena = arena,
                       .tsx = &to->result,
                       .aggregation = to,
                       .value = value,
                       .error = error};
    enum sk_status status = parse(&p);
    if (status) return status;
    p.at = 0;
    if (to->measure_count == 0)
        fail(&p, "An aggregation needs a function such as avg($value) or count().");
    else if (to->result.type != SK_SERIES_DOUBLE && to->result.type != SK_SERIES_LONG)
        fail(&p, "An aggregation comes to a Double or a Long.");
    return p.status;
}

const struct sk_series_property *sk_tsx_property(const struct sk_tsx *tsx) {
    return tsx->root && tsx->root->op == TSX_PROPERTY ? &tsx->root->property : NULL;
}
