/* Expressions: each row is an expression and what it gives on one fixed message or twin. */
#include <stdio.h>

#include "expr/expr.h"
#include "support/test.h"

static struct sk_arena arena;

static bool property(void *arg, struct sk_span name, struct sk_span *value) {
    static const char *const pairs[][2] = {
        {"level", "critical"}, {"severity", "5"},   {"my-prop", "dash"},
        {"a.b", "dotted"},     {"in", "reserved"},  {"with blank", "w"},
        {"empty", ""},         {"onlyHere", "app"}, {"contentType", "application's own"}};
    (void)arg;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (sk_span_eq_nocase(name, sk_span_z(pairs[i][0]))) {
            *value = sk_span_z(pairs[i][1]);
            return true;
        }
    return false;
}

static bool system_property(void *arg, struct sk_span name, struct sk_span *value) {
    static const char *const pairs[][2] = {{"contentType", "application/json"},
                                           {"connectionDeviceId", "d1"},
                                           {"creation-time-utc", "2026-01-01T00:00:00Z"}};
    (void)arg;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (sk_span_eq_nocase(name, sk_span_z(pairs[i][0]))) {
            *value = sk_span_z(pairs[i][1]);
            return true;
        }
    return false;
}

#define BODY                                                                                       \
    "{\"temperature\":31.5,\"humidity\":40,\"ok\":true,\"none\":null,\"name\":\"pu\\u006dp\","     \
    "\"list\":[1,{\"x\":2}],\"o\":{}, \"my-key\":7,\"odd key\":8}"
#define TWIN                                                                                       \
    "{\"deviceId\":\"d1\",\"status\":\"enabled\","                                                 \
    "\"tags\":{\"location\":{\"region\":\"US\",\"floor\":1},\"Case\":1,\"case\":2}, "              \
    "\"properties\":{\"desired\":{\"$version\":4},"                                                \
    "\"reported\":{\"connectivity\":\"wifi\",\"bat\":55}},\"capabilities\":{\"iotEdge\":true}, "   \
    "\"configurations\":{\"my id\":{\"status\":\"Applied\"}}}"

static struct sk_expr_source message(void) {
    return (struct sk_expr_source){.property = property,
                                   .system = system_property,
                                   .body = SK_SPAN(BODY),
                                   .content_type = SK_SPAN("application/json"),
                                   .content_encoding = SK_SPAN("utf-8"),
                                   .twin = SK_SPAN(TWIN)};
}

/* The value as text: "undefined", "null", "true", a number, 'string', or raw JSON. */
static void show(const struct sk_value *value, char *to, size_t size) {
    switch (value->type) {
    case SK_VALUE_UNDEFINED: snprintf(to, size, "undefined"); break;
    case SK_VALUE_NULL: snprintf(to, size, "null"); break;
    case SK_VALUE_BOOL: snprintf(to, size, value->truth ? "true" : "false"); break;
    case SK_VALUE_NUMBER: snprintf(to, size, "%g", value->number); break;
    case SK_VALUE_STRING: snprintf(to, size, "'%.*s'", SK_ARG(value->text)); break;
    default: snprintf(to, size, "%.*s", SK_ARG(value->text)); break;
    }
}

static void evaluates(enum sk_dialect dialect, const struct sk_expr_source *source,
                      const char *text, const char *expected) {
    struct sk_expr *expr;
    struct sk_expr_error error;
    char shown[300];
    if (sk_expr_compile(sk_span_z(text), dialect, &expr, &error))
        fail_msg("%s: %u: %s", text, error.column, error.sentence);
    struct sk_value value;
    sk_expr_eval(expr, source, &arena, &value);
    show(&value, shown, sizeof shown);
    if (strcmp(shown, expected) != 0) fail_msg("%s gave %s, not %s", text, shown, expected);
    assert_int_equal(sk_expr_true(expr, source, &arena), strcmp(expected, "true") == 0);
    sk_arena_reset(&arena);
    sk_expr_free(expr);
}

struct row {
    const char *text, *value;
};
#define ROWS(dialect, source, ...)                                                                 \
    do {                                                                                           \
        const struct row rows[] = {__VA_ARGS__};                                                   \
        struct sk_expr_source from = source;                                                       \
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)                                    \
            evaluates(dialect, &from, rows[i].text, rows[i].value);                                \
    } while (0)
#define ROUTE_ROWS(...) ROWS(SK_DIALECT_ROUTE, message(), __VA_ARGS__)
/* The twin as text, and parsed. */
#define TWIN_ROWS(...)                                                                             \
    do {                                                                                           \
        json_t *document = json_loads(TWIN, 0, NULL);                                              \
        ROWS(SK_DIALECT_TWIN_QUERY, message(), __VA_ARGS__);                                       \
        ROWS(SK_DIALECT_TWIN_QUERY, (struct sk_expr_source){.document = document}, __VA_ARGS__);   \
        json_decref(document);                                                                     \
    } while (0)

static void refused(enum sk_dialect dialect, const char *text, size_t position, const char *part) {
    struct sk_expr *expr;
    struct sk_expr_error error;
    if (sk_expr_compile(sk_span_z(text), dialect, &expr, &error) != SK_MALFORMED)
        fail_msg("taken: %s", text);
    assert_null(expr);
    if (error.position != position || strstr(error.sentence, part) == NULL)
        fail_msg("%s: at %zu \"%s\", not at %zu \"%s\"", text, error.position, error.sentence,
                 position, part);
}

static int clean_up(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}

AROUND_ALL(NULL, clean_up);

TEST(literals_are_read) {
    ROUTE_ROWS({"1", "1"}, {"1.5e3", "1500"}, {"0x1F", "31"}, {"-2", "-2"}, {"'a'", "'a'"},
               {"\"a'b\"", "'a'b'"}, {"'it''s'", "'it's'"}, {"'\\u0041\\n\\''", "'A\n''"},
               {"'\\ud83d\\ude00'", "'\xf0\x9f\x98\x80'"}, {"true", "true"}, {"FALSE", "false"},
               {"null", "null"}, {"Undefined", "undefined"}, {"''", "''"}, {"''''", "'''"},
               {"/* x */ 1 /* y*/", "1"}, {"\t(\n1\r)", "1"});
}

TEST(properties_are_read_in_any_case) {
    ROUTE_ROWS({"level", "'critical'"}, {"LEVEL", "'critical'"}, {"my-prop", "'dash'"},
               {"a.b", "'dotted'"}, {"{in}", "'reserved'"}, {"{with blank}", "'w'"},
               {"missing", "undefined"}, {"$contentType", "'application/json'"},
               {"$CONNECTIONDEVICEID", "'d1'"}, {"{$contentType}", "'application/json'"},
               {"contentType", "'application's own'"},
               {"$creation-time-utc", "'2026-01-01T00:00:00Z'"}, {"$onlyHere", "'app'"},
               {"$missing", "undefined"}, {"empty", "''"});
}

TEST(body_paths_are_read) {
    ROUTE_ROWS({"$body.temperature", "31.5"}, {"$body.TEMPERATURE", "31.5"}, {"$body.ok", "true"},
               {"$body.none", "null"}, {"$body.name", "'pump'"}, {"$body.list[0]", "1"},
               {"$body.list[1].x", "2"}, {"$body.list[2]", "undefined"}, {"$body.o", "{}"},
               {"$body.list", "[1,{\"x\":2}]"}, {"$body.x.y", "undefined"}, {"$body.my-key", "7"},
               {"$body.[[odd key]]", "8"}, {"$body[0]", "undefined"}, {"$Body.ok", "true"},
               {"$twin.tags.location.floor", "1"}, {"$twin.properties.reported.bat", "55"});
}

TEST(the_body_is_undefined_unless_it_says_it_is_json) {
    static const struct {
        const char *type, *encoding, *value;
    } cases[] = {
        {"application/json", "utf-8", "31.5"},
        {"Application/JSON", "UTF-8", "31.5"},
        {"application/json;charset=utf-8", "", "31.5"},
        {"application/json; charset=UTF-8", "utf-8", "31.5"},
        {"application/json", "", "undefined"},
        {"", "utf-8", "undefined"},
        {"text/plain", "utf-8", "undefined"},
        {"application/json", "gzip", "undefined"},
        {"application/jsonx", "utf-8", "undefined"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_expr_source source = message();
        source.content_type = sk_span_z(cases[i].type);
        source.content_encoding = sk_span_z(cases[i].encoding);
        evaluates(SK_DIALECT_ROUTE, &source, "$body.temperature", cases[i].value);
    }
    struct sk_expr_source broken = message();
    broken.body = SK_SPAN("{\"temperature\":");
    evaluates(SK_DIALECT_ROUTE, &broken, "$body.temperature", "undefined");
    evaluates(SK_DIALECT_ROUTE, &(struct sk_expr_source){0},
              "$body.a = 1 OR b = 'x' OR $c = 'x' OR $twin.a", "undefined");
}

TEST(comparisons_need_the_same_kind) {
    ROUTE_ROWS({"1 = 1", "true"}, {"1 != 1", "false"}, {"1 <> 2", "true"}, {"2 < 10", "true"},
               {"'2' < '10'", "false"}, {"2 >= 2", "true"}, {"'a' = 'A'", "false"},
               {"'a' < 'ab'", "true"}, {"true = true", "true"}, {"false < true", "true"},
               {"null = null", "true"}, {"null != null", "false"}, {"null < null", "undefined"},
               {"1 = '1'", "undefined"}, {"1 != '1'", "undefined"}, {"null = 1", "undefined"},
               {"undefined = undefined", "undefined"}, {"severity = 5", "undefined"},
               {"AS_NUMBER(severity) = 5", "true"}, {"$body.list = $body.list", "undefined"},
               {"$body.temperature > 30", "true"}, {"level = 'critical'", "true"},
               {"1 < 2 = true", "true"});
}

TEST(undefined_follows_three_valued_logic) {
    ROUTE_ROWS({"true AND undefined", "undefined"}, {"undefined AND false", "false"},
               {"false AND undefined", "false"}, {"undefined AND true", "undefined"},
               {"undefined OR true", "true"}, {"true OR undefined", "true"},
               {"undefined OR false", "undefined"}, {"false OR undefined", "undefined"},
               {"NOT undefined", "undefined"}, {"NOT null", "undefined"}, {"NOT 1", "undefined"},
               {"1 AND true", "undefined"}, {"'x' OR true", "true"},
               {"undefined OR undefined", "undefined"}, {"true AND true AND false", "false"},
               {"false OR false OR true", "true"}, {"missing ?? 'd'", "'d'"},
               {"level ?? 'd'", "'critical'"}, {"null ?? 1", "null"},
               {"missing ?? missing ?? 3", "3"});
}

TEST(operators_bind_as_the_grammar_says) {
    ROUTE_ROWS(
        {"1 + 2 * 3", "7"}, {"(1 + 2) * 3", "9"}, {"10 - 2 - 3", "5"}, {"10 / 4", "2.5"},
        {"10 % 4", "2"}, {"-2 * -3", "6"}, {"- - 2", "2"}, {"true OR false AND false", "true"},
        {"NOT false AND false", "false"}, {"NOT 1 = 2", "true"}, {"true = NOT false", "true"},
        {"1 + 1 = 2 AND 'a' || 'b' = 'ab'", "true"}, {"1 / 0", "undefined"}, {"1 % 0", "undefined"},
        {"1 + 'a'", "undefined"}, {"'a' + 'b'", "undefined"}, {"'a' || 1", "undefined"},
        {"missing ?? 1 = 1", "true"}, {"NOT NOT true", "true"},
        {"$body.humidity - 10 > 20", "true"}, {"-$body.humidity", "-40"}, {"-level", "undefined"});
}

TEST(lists_are_searched) {
    ROUTE_ROWS({"level IN ['low', 'critical']", "true"}, {"level NIN ['low', 'critical']", "false"},
               {"1 IN [2, -1, 1]", "true"}, {"-1 in [-1]", "true"}, {"1 IN []", "false"},
               {"1 NIN []", "true"}, {"missing IN ['a']", "undefined"}, {"null IN [null]", "true"},
               {"'1' IN [1, '1']", "true"}, {"$body.o IN [1]", "undefined"},
               {"NOT 1 IN [1]", "false"}, {"true IN [true] AND 1 IN [1]", "true"});
}

TEST(functions_do_what_their_names_say) {
    ROUTE_ROWS({"ABS(-2)", "2"}, {"EXP(0)", "1"}, {"POWER(2, 10)", "1024"}, {"SQUARE(3)", "9"},
               {"CEILING(1.2)", "2"}, {"FLOOR(-1.2)", "-2"}, {"SIGN(-5)", "-1"}, {"SIGN(0)", "0"},
               {"SQRT(9)", "3"}, {"SQRT(-1)", "undefined"}, {"ABS('x')", "undefined"},
               {"AS_NUMBER(' 12.5 ')", "12.5"}, {"AS_NUMBER('+1')", "1"},
               {"AS_NUMBER('x')", "undefined"}, {"AS_NUMBER('1x')", "undefined"},
               {"AS_NUMBER('')", "undefined"}, {"AS_NUMBER('+-1')", "undefined"},
               {"AS_NUMBER(true)", "undefined"}, {"IS_ARRAY($body.list)", "true"},
               {"IS_OBJECT($body.o)", "true"}, {"IS_BOOL($body.ok)", "true"},
               {"IS_NULL($body.none)", "true"}, {"IS_NUMBER($body.humidity)", "true"},
               {"IS_STRING(level)", "true"}, {"IS_PRIMITIVE(null)", "true"},
               {"IS_PRIMITIVE($body.o)", "false"}, {"IS_PRIMITIVE(missing)", "false"},
               {"IS_STRING(missing)", "false"}, {"IS_DEFINED($body.none)", "true"},
               {"is_defined($body.missing)", "false"},
               {"NOT IS_DEFINED($connectionModuleId)", "true"},
               {"CONCAT('a', level, 'b')", "'acriticalb'"}, {"CONCAT('a', 1)", "undefined"},
               {"LENGTH('a\xc3\xa4\xf0\x9f\x98\x80')", "3"},
               {"LOWER('AbZ[\xc3\x84')", "'abz[\xc3\x84'"}, {"UPPER('abz{')", "'ABZ{'"},
               {"SUBSTRING('hello', 1, 3)", "'ell'"}, {"SUBSTRING('hello', 3)", "'lo'"},
               {"SUBSTRING('hello', 9)", "''"}, {"SUBSTRING('\xc3\xa4pfel', 1, 1)", "'p'"},
               {"SUBSTRING('x', -1)", "undefined"}, {"SUBSTRING('x', 0.5)", "undefined"},
               {"SUBSTRING('x', 0, 1e300)", "'x'"}, {"INDEX_OF('hello', 'l')", "2"},
               {"INDEX_OF('\xc3\xa4l', 'l')", "1"}, {"INDEX_OF('hello', 'x')", "-1"},
               {"INDEX_OF('', '')", "0"}, {"STARTS_WITH(level, 'crit')", "true"},
               {"ENDS_WITH(level, 'cal')", "true"}, {"CONTAINS(level, 'iti')", "true"},
               {"CONTAINS(level, 'x')", "false"}, {"STARTS_WITH(missing, 'x')", "undefined"},
               {"CONTAINS(level, '')", "true"}, {"TWIN_CHANGE_INCLUDES(list)", "true"},
               {"TWIN_CHANGE_INCLUDES(o.x)", "false"}, {"ABS ( 1 )", "1"});
}

TEST(twin_queries_read_the_twin) {
    TWIN_ROWS({"tags.location.region = 'US' AND properties.reported.bat >= 55", "true"},
              {"DeviceId = 'd1'", "true"}, {"TAGS.location.floor", "1"},
              {"tags.Location.floor", "undefined"}, {"tags.Case", "1"}, {"tags.case", "2"},
              {"Properties.Reported.connectivity IN ['wired', 'wifi']", "true"},
              {"properties.desired.$version", "4"}, {"capabilities.iotEdge = true", "true"},
              {"capabilities.iotedge", "true"},
              {"configurations.[[my id]].status = 'Applied'", "true"},
              {"is_defined(tags.location)", "true"}, {"is_defined(tags.nowhere)", "false"},
              {"deviceId", "'d1'"}, {"status = 'enabled'", "true"},
              {"tags.location = tags.location", "undefined"});
    refused(SK_DIALECT_TWIN_QUERY, "nothing = 1", 0, "nothing is no part of a twin");
}

TEST(errors_tell_the_place_and_the_reason) {
    static const struct {
        const char *text;
        size_t position;
        const char *part;
    } cases[] = {
        {"", 0, "expected a value"},
        {"a =", 3, "the text ends here"},
        {"a = = b", 4, "expected a value, found \"=\""},
        {"a = 'x", 4, "no end"},
        {"a = 'x\\q'", 6, "no such escape"},
        {"a = '\\u12x4'", 5, "four hexadecimal"},
        {"(a = 1", 6, "\")\""},
        {"a = 1)", 5, "an operator or the end, found \")\""},
        {"a IN (1)", 5, "a list"},
        {"a IN [b]", 6, "a literal"},
        {"a IN [1 2]", 8, "\",\" or \"]\""},
        {"a IN [-'x']", 10, "a literal"},
        {"NOFUNCTION(1)", 0, "no function NOFUNCTION"},
        {"LENGTH()", 0, "LENGTH takes 1 argument, not 0"},
        {"SUBSTRING('a')", 0, "at least 2 arguments"},
        {"SUBSTRING('a',1,2,3)", 0, "at most 3 arguments"},
        {"a # b", 2, "'#' has no meaning"},
        {"a[0] = 1", 1, "no elements"},
        {"$body.", 6, "a name behind the dot"},
        {"$body.a[x]", 8, "an index"},
        {"$body.a[1.5]", 8, "an index"},
        {"$body.a[-1]", 8, "an index"},
        {"$body.a[4294967296]", 8, "an index"},
        {"$body.a[1e300]", 8, "an index"},
        {"$body.a[1", 9, "\"]\""},
        {"$body.[[]]", 6, "double brackets"},
        {"$ = 1", 0, "missing behind \"$\""},
        {"{} = 1", 0, "braces"},
        {"{a = 1", 0, "braces"},
        {"1a", 0, "number"},
        {"0x", 0, "hexadecimal"},
        {"0xg", 0, "hexadecimal"},
        {"/* a", 0, "comment"},
        {"AND", 0, "expected a value"},
        {"a AND", 5, "the text ends here"},
        {"a b", 2, "an operator or the end, found \"b\""},
        {"a \x01", 2, "control character"},
        {"TWIN_CHANGE_INCLUDES('a')", 21, "a path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(SK_DIALECT_ROUTE, cases[i].text, cases[i].position, cases[i].part);
    refused(SK_DIALECT_TWIN_QUERY, "TWIN_CHANGE_INCLUDES(tags.a)", 0,
            "no function TWIN_CHANGE_INCLUDES");
    refused(SK_DIALECT_TWIN_QUERY, "{a} = 1", 0, "expected a value");

    struct sk_expr *expr;
    struct sk_expr_error error;
    assert_int_equal(
        sk_expr_compile(SK_SPAN("a = 1 AND\n  b = ="), SK_DIALECT_ROUTE, &expr, &error),
        SK_MALFORMED);
    assert_int_equal(error.line, 2);
    assert_int_equal(error.column, 7);
    assert_int_equal(sk_expr_compile(SK_SPAN("a ="), SK_DIALECT_ROUTE, &expr, NULL), SK_MALFORMED);
}

TEST(the_length_is_bounded) {
    char text[SK_EXPR_TEXT_MAX + 1];
    memset(text, ' ', sizeof text);
    text[0] = '1';
    struct sk_expr *expr;
    struct sk_expr_error error;
    assert_int_equal(
        sk_expr_compile(sk_span(text, SK_EXPR_TEXT_MAX), SK_DIALECT_ROUTE, &expr, &error), SK_OK);
    sk_expr_free(expr);
    assert_int_equal(
        sk_expr_compile(sk_span(text, SK_EXPR_TEXT_MAX + 1), SK_DIALECT_ROUTE, &expr, &error),
        SK_TOO_LARGE);
    assert_non_null(strstr(error.sentence, "8193"));
}

/* `prefix` count times, "true", `suffix` count times. */
static enum sk_status nested(const char *prefix, const char *suffix, size_t count,
                             const char *value) {
    struct sk_buffer text = {0};
    for (size_t i = 0; i < count; i++) sk_buffer_text(&text, prefix);
    sk_buffer_text(&text, value);
    for (size_t i = 0; i < count; i++) sk_buffer_text(&text, suffix);
    struct sk_expr *expr;
    struct sk_expr_error error;
    enum sk_status status = sk_expr_compile(sk_buffer_span(&text), SK_DIALECT_ROUTE, &expr, &error);
    if (status == SK_OK) {
        struct sk_expr_source source = message();
        struct sk_value result;
        sk_expr_eval(expr, &source, &arena, &result);
        sk_arena_reset(&arena);
    } else {
        assert_non_null(strstr(error.sentence, status == SK_TOO_LARGE ? "nested too deeply" : ""));
    }
    sk_expr_free(expr);
    sk_buffer_free(&text);
    return status;
}

TEST(nesting_is_bounded) {
    static const char *const kinds[][3] = {{"(", ")", "1"},
                                           {"NOT ", "", "true"},
                                           {"- ", "", "1"},
                                           {"ABS(", ")", "1"},
                                           {"1+(", ")", "1"}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(nested(kinds[i][0], kinds[i][1], SK_EXPR_DEPTH_MAX, kinds[i][2]), SK_OK);
        assert_int_equal(nested(kinds[i][0], kinds[i][1], SK_EXPR_DEPTH_MAX + 1, kinds[i][2]),
                         SK_TOO_LARGE);
    }
}

TEST(long_chains_need_no_depth) {
    struct sk_buffer text = {0};
    sk_buffer_text(&text, "a='0'");
    while (text.n < 8000) sk_buffer_print(&text, " OR a='%zu'", text.n);
    sk_buffer_text(&text, " OR 1=1");
    struct sk_expr_source source = message();
    evaluates(SK_DIALECT_ROUTE, &source, text.p, "true");
    sk_buffer_free(&text);
}

TEST(the_stack_and_the_arguments_are_bounded) {
    struct sk_expr *expr;
    struct sk_expr_error error;
    for (size_t count = 64; count <= 65; count++) { /* arguments of one call */
        struct sk_buffer text = {0};
        sk_buffer_text(&text, "CONCAT('a'");
        for (size_t i = 1; i < count; i++) sk_buffer_text(&text, ",'a'");
        sk_buffer_byte(&text, ')');
        enum sk_status status =
            sk_expr_compile(sk_buffer_span(&text), SK_DIALECT_ROUTE, &expr, &error);
        assert_int_equal(status, count == 64 ? SK_OK : SK_TOO_LARGE);
        sk_expr_free(expr);
        sk_buffer_free(&text);
    }
    for (
        size_t calls = 8; calls <= 9;
        calls++) { /* 63 pending values a call, and one: 8 × 63 + 1 = 505; 9 × 63 + 1 = 568 > 512 */
        struct sk_buffer text = {0};
        for (size_t i = 0; i < calls; i++) {
            sk_buffer_text(&text, "CONCAT(");
            for (size_t k = 0; k < 63; k++) sk_buffer_text(&text, "'a',");
        }
        sk_buffer_text(&text, "'a'");
        for (size_t i = 0; i < calls; i++) sk_buffer_byte(&text, ')');
        enum sk_status status =
            sk_expr_compile(sk_buffer_span(&text), SK_DIALECT_ROUTE, &expr, &error);
        assert_int_equal(status, calls == 8 ? SK_OK : SK_TOO_LARGE);
        if (status == SK_OK) {
            struct sk_value value;
            struct sk_expr_source source = message();
            sk_expr_eval(expr, &source, &arena, &value);
            assert_int_equal(value.text.n, 8 * 63 + 1);
            sk_arena_reset(&arena);
        }
        sk_expr_free(expr);
        sk_buffer_free(&text);
    }
}

TEST(string_results_are_bounded) {
    struct sk_buffer body = {0};
    sk_buffer_text(&body, "{\"s\":\"");
    for (size_t i = 0; i < 200000; i++) sk_buffer_byte(&body, 'x');
    sk_buffer_text(&body, "\"}");
    struct sk_expr_source source = message();
    source.body = sk_buffer_span(&body);
    evaluates(SK_DIALECT_ROUTE, &source,
              "LENGTH(CONCAT($body.s, $body.s, $body.s, $body.s, $body.s))", "1e+06");
    evaluates(SK_DIALECT_ROUTE, &source,
              "CONCAT($body.s, $body.s, $body.s, $body.s, $body.s, $body.s)", "undefined");
    evaluates(SK_DIALECT_ROUTE, &source, "LENGTH(UPPER($body.s)||UPPER($body.s)||UPPER($body.s))",
              "undefined");
    sk_buffer_free(&body);
}

TEST(an_expression_says_what_it_reads) {
    struct sk_expr *expr;
    assert_int_equal(sk_expr_compile(SK_SPAN("a = 'x'"), SK_DIALECT_ROUTE, &expr, NULL), SK_OK);
    assert_false(sk_expr_uses_body(expr) || sk_expr_uses_twin(expr));
    sk_expr_free(expr);
    assert_int_equal(
        sk_expr_compile(SK_SPAN("$body.a = 1 AND $twin.tags.b"), SK_DIALECT_ROUTE, &expr, NULL),
        SK_OK);
    assert_true(sk_expr_uses_body(expr) && sk_expr_uses_twin(expr));
    sk_expr_free(expr);
}
