/* Expressions: what is valid, what is not and why, and what they make of rows. */
#include "series/tsx.h"

#include <stdio.h>

#include "support/test.h"

static struct sk_arena arena;

static int begin(void **state) {
    (void)state;
    return 0;
}
static int clean(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}
AROUND(begin, clean);

static const int64_t times[2] = {1767225600000 + 3 * 3600000 /* 2026-01-01 03:00 */,
                                 1798675200000 /* 2026-12-31 */};
static const union sk_series_value doubles[2] = {{.number = 21.5}, {.number = -4}};
static const union sk_series_value longs[2] = {{.integer = 1}, {.integer = 7}};
static const union sk_series_value texts[2] = {{.text = {" Ab ", 4}}, {.text = {"", 0}}};
static const uint8_t first_only[2] = {1, 0};

static const struct sk_series_column columns[] = {
    {{{"t", 1}, SK_SERIES_DOUBLE}, NULL, doubles},
    {{{"state", 5}, SK_SERIES_LONG}, NULL, longs},
    {{{"s", 1}, SK_SERIES_STRING}, NULL, texts},
    {{{"s.['x.y']", 9}, SK_SERIES_DOUBLE}, first_only, doubles},
};
static const struct sk_series_rows rows = {times, 2, columns, 4};

static void put(struct sk_buffer *to, enum sk_series_type type, union sk_series_value value) {
    char text[SK_REAL_TEXT];
    switch (type) {
    case SK_SERIES_BOOL: sk_buffer_text(to, value.boolean ? "true" : "false"); return;
    case SK_SERIES_DOUBLE: sk_real_text(value.number, text); break;
    case SK_SERIES_STRING: sk_buffer_append(to, value.text); return;
    default: snprintf(text, sizeof text, "%lld", (long long)value.integer);
    }
    sk_buffer_text(to, text);
}

/* Both rows' values with a comma between. */
static void is(const char *text, const char *wanted) {
    struct sk_tsx tsx;
    char error[200] = "";
    if (sk_tsx_parse(sk_span_z(text), &arena, &tsx, error)) fail_msg("%s: %s", text, error);
    struct sk_tsx_values values;
    assert_int_equal(sk_tsx_eval(&tsx, &rows, 1000, &arena, &values), SK_OK);
    struct sk_buffer told = {0};
    for (size_t i = 0; i < 2; i++) {
        if (i) sk_buffer_byte(&told, ',');
        if (values.null[i])
            sk_buffer_text(&told, "null");
        else
            put(&told, tsx.type, values.values[i]);
    }
    sk_buffer_byte(&told, 0);
    if (strcmp(told.p, wanted) != 0) fail_msg("%s: %s, not %s", text, told.p, wanted);
    sk_buffer_free(&told);
}

static void refused(const char *text, const char *why) {
    struct sk_tsx tsx;
    char error[200] = "";
    if (sk_tsx_parse(sk_span_z(text), &arena, &tsx, error) == SK_OK) fail_msg("%s is taken", text);
    if (strstr(error, why) == NULL) fail_msg("%s: %s", text, error);
}

TEST(what_the_reference_calls_valid_is) {
    is("$event.p1.String = NULL", "true,true");
    is("$event['p1'] != NULL", "false,false");
    is("$event.p4.p5.Double = 0.0", "false,false");
}

TEST(what_the_reference_calls_invalid_says_why) {
    refused("$event.p3.Double = 'abc'", "A Double cannot be compared with a String.");
    refused("$event.p1 = 'abc'", "A Double cannot be compared with a String.");
    refused("$event.p1 = 1", "A Double cannot be compared with a Long");
    refused("$event.p4.p5 = 0.0", "A nested property ends in its type");
}

TEST(arithmetic_and_comparisons) {
    is("$event.t.Double * 2.0", "43,-8");
    is("$event.state.Long = 1", "true,false");
    is("1 + 2 * 3 - 4", "3,3");
    is("(1 + 2) * 3", "9,9");
    is("$event.t / 0.0", "null,null");
    is("1 / 0", "null,null");
    is("9223372036854775807 + 1", "null,null");
    is("$event.t > 0.0 AND NOT $event.state.Long >= 7 OR FALSE", "true,false");
    is("$event.s['x.y'].Double + 1.0", "22.5,null");
    is("$event.s.['x.y'].Double <> -4.0", "true,false");
    is("$event.s.String = NULL", "false,true");
    is("$event.nothing.Long = 1", "false,false");
    is("$event.$ts >= dt'2026-06-01T00:00:00Z'", "false,true");
    is("$event.$ts - dt'2026-01-01T00:00:00Z' < ts'PT4H'", "true,false");
}

TEST(functions) {
    is("toDouble($event.state.Long)", "1,7");
    is("toLong('12')", "12,12");
    is("toLong('x')", "null,null");
    is("toString($event.t)", "21.5,-4");
    is("round($event.t)", "22,-4");
    is("log10($event.t) > 0.0", "true,false");
    is("monthOfYear($event.$ts)", "1,12");
    is("dayOfMonth($event.$ts)", "1,31");
    is("hourOfDay($event.$ts)", "3,0");
    is("utcNow()", "1000,1000");
    is("toUpper(trim($event.s.String))", "AB,");
    is("strCat('a', $event.s.String, 'b')", "a Ab b,ab");
    is("strLen($event.s.String)", "4,0");
    is("subString('hello', 1, 3)", "ell,ell");
    is("subString('hello', 4, 9)", "o,o");
    is("indexOf('hello', 'l')", "2,2");
    is("indexOf('hello', 'x')", "-1,-1");
    is("replace('a-b-c', '-', '++')", "a++b++c,a++b++c");
    is("coalesce($event.s['x.y'].Double, toDouble($event.state.Long))", "21.5,7");
    is("iff($event.state.Long = 1, 'on', 'off')", "on,off");
    is("IFF(true, 1, null)", "1,1");
}

TEST(mistakes_are_said_with_their_place) {
    refused("", "At byte 1: A value is expected.");
    refused("1 +", "At byte 4");
    refused("(1", "')' is missing");
    refused("'abc", "A quote is not closed.");
    refused("1 2", "should end here");
    refused("sinus(1.0)", "There is no such function");
    refused("sin(1)", "sin does not take these arguments.");
    refused("coalesce(1)", "does not take");
    refused("iff(1, 2, 3)", "does not take");
    refused("1 + 1.0", "cannot be calculated with");
    refused("NOT 1", "NOT needs a Bool");
    refused("1 AND TRUE", "need Bools");
    refused("NULL < 1", "by = and != only");
    refused("NULL", "no expression");
    refused("$value", "of a value only");
    refused("$event", "followed by a property");
    refused("dt'soon' = utcNow()", "no time");
}

/* The measures, and what is computed of them where they are 10, 20, ….  */
static void aggregates(const char *text, const char *value, const char *wanted) {
    struct sk_tsx of;
    struct sk_tsx_aggregation it;
    char error[200] = "";
    if (value) assert_int_equal(sk_tsx_parse(sk_span_z(value), &arena, &of, error), SK_OK);
    if (sk_tsx_parse_aggregation(sk_span_z(text), value ? &of : NULL, &arena, &it, error))
        fail_msg("%s: %s", text, error);
    struct sk_buffer told = {0};
    struct sk_series_column measured[SK_TSX_MEASURES_MAX];
    union sk_series_value numbers[SK_TSX_MEASURES_MAX];
    for (size_t i = 0; i < it.measure_count; i++) {
        const struct sk_tsx_measure *measure = &it.measures[i];
        sk_buffer_print(&told, "%d of %zu, ", (int)measure->by, measure->of.property_count);
        if (measure->as.type == SK_SERIES_LONG)
            numbers[i].integer = 10 * (int64_t)(i + 1);
        else
            numbers[i].number = 10 * (double)(i + 1);
        measured[i] = (struct sk_series_column){measure->as, NULL, &numbers[i]};
    }
    struct sk_tsx_values values;
    assert_int_equal(sk_tsx_eval(&it.result,
                                 &(struct sk_series_rows){times, 1, measured, it.measure_count}, 0,
                                 &arena, &values),
                     SK_OK);
    put(&told, it.result.type, values.values[0]);
    sk_buffer_byte(&told, 0);
    if (strcmp(told.p, wanted) != 0) fail_msg("%s: %s, not %s", text, told.p, wanted);
    sk_buffer_free(&told);
}

TEST(aggregations_are_functions_and_what_is_computed_of_them) {
    aggregates("count()", NULL, "8 of 0, 10");
    aggregates("AVG($value)", "$event.t", "3 of 1, 10");
    aggregates("twavg($value)", "$event.t * $event['u'].Double", "11 of 2, 10");
    aggregates("max($event.t) - min($event.t)", NULL, "1 of 1, 0 of 1, -10");
    aggregates("toDouble(sum($event.state.Long)) / toDouble(count())", NULL, "2 of 1, 8 of 0, 0.5");
    aggregates("sum($event.state.Long) + count()", NULL, "2 of 1, 8 of 0, 30");
    aggregates("max(iff($event.t > 1.0, $event.t, 0.0))", NULL, "1 of 1, 10");
}

static void not_aggregated(const char *text, const char *value, const char *why) {
    struct sk_tsx of;
    struct sk_tsx_aggregation it;
    char error[200] = "";
    if (value) assert_int_equal(sk_tsx_parse(sk_span_z(value), &arena, &of, error), SK_OK);
    if (sk_tsx_parse_aggregation(sk_span_z(text), value ? &of : NULL, &arena, &it, error) == SK_OK)
        fail_msg("%s is taken", text);
    if (strstr(error, why) == NULL) fail_msg("%s: %s", text, error);
}

TEST(what_is_no_aggregation_is_refused) {
    not_aggregated("$event.t", NULL, "in an aggregate function");
    not_aggregated("1", NULL, "needs a function");
    not_aggregated("avg($value)", NULL, "of a value only");
    not_aggregated("$value", "$event.t", "stands in an aggregate function");
    not_aggregated("avg(max($event.t))", NULL, "no such function");
    aggregates("max($event.[t].Double)", NULL, "1 of 1, 10");
    not_aggregated("avg($event.s.String)", NULL, "Double or a Long");
    not_aggregated("count($event.t)", NULL, "takes nothing");
    not_aggregated("count() > 1", NULL, "comes to a Double or a Long");
    not_aggregated("avg($event.t", NULL, "')' is missing");
    not_aggregated("count()+count()+count()+count()+count()+count()+count()+count()+count()+"
                   "count()+count()",
                   NULL, "more than 10");
    refused("avg($event.t)", "no such function");
}

static struct sk_span repeated(const char *a, unsigned n, const char *b, const char *c) {
    struct sk_buffer text = {0};
    for (unsigned i = 0; i < n; i++) sk_buffer_text(&text, a);
    sk_buffer_text(&text, b);
    for (unsigned i = 0; i < n; i++) sk_buffer_text(&text, c);
    struct sk_span copy = sk_arena_copy(&arena, sk_buffer_span(&text));
    sk_buffer_free(&text);
    return copy;
}

TEST(depth_length_and_properties_are_bounded) {
    struct sk_tsx tsx;
    char error[200];
    assert_int_equal(sk_tsx_parse(repeated("(", 63, "1", ")"), &arena, &tsx, error), SK_OK);
    assert_int_equal(sk_tsx_parse(repeated("(", 64, "1", ")"), &arena, &tsx, error), SK_MALFORMED);
    assert_int_equal(sk_tsx_parse(repeated("", SK_TSX_TEXT_MAX - 1, "1", " "), &arena, &tsx, error),
                     SK_OK);
    assert_int_equal(sk_tsx_parse(repeated("", SK_TSX_TEXT_MAX, "1", " "), &arena, &tsx, error),
                     SK_TOO_LARGE);
    struct sk_buffer many = {0};
    for (unsigned i = 0; i < 51; i++) sk_buffer_print(&many, "%s$event.p%u", i ? "+" : "", i);
    assert_int_equal(sk_tsx_parse(sk_buffer_span(&many), &arena, &tsx, error), SK_MALFORMED);
    many.n -= strlen("+$event.p50");
    assert_int_equal(sk_tsx_parse(sk_buffer_span(&many), &arena, &tsx, error), SK_OK);
    assert_int_equal(tsx.property_count, 50);
    sk_buffer_free(&many);
}

TEST(texts_that_grow_without_end_are_refused) {
    struct sk_tsx tsx;
    char error[200];
    struct sk_span text =
        repeated("replace(", 12, "'x'", ",'x','xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')");
    assert_int_equal(sk_tsx_parse(text, &arena, &tsx, error), SK_OK);
    struct sk_tsx_values values;
    assert_int_equal(sk_tsx_eval(&tsx, &rows, 0, &arena, &values), SK_TOO_LARGE);
}
