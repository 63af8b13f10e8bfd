#include <math.h>

#include "expr/json_scan.h"
#include "support/test.h"

static struct sk_arena arena;

/* Finds "a.b.0" (digits: an index) in `json`. */
static enum sk_status find(const char *json, const char *path, bool nocase, struct sk_json *value) {
    struct sk_json_step steps[SK_JSON_DEPTH_MAX + 1];
    size_t count = 0;
    struct sk_span rest = path ? sk_span_z(path) : SK_NONE, part;
    while (sk_span_split(&rest, '.', &part)) {
        int64_t index;
        bool element = sk_span_to_int(part, &index) == SK_OK;
        steps[count++] = element ? (struct sk_json_step){.index = (uint32_t)index}
                                 : (struct sk_json_step){.key = part};
    }
    return sk_json_find(sk_span_z(json), steps, count, nocase, value);
}

#define DOCUMENT                                                                                   \
    "{\"a\" : {\"b\":[1, -2.5e1 ,{\"c\":\"x\\\"y\"}],\"b2\":true},"                                \
    "\"A\":null, \"e\":{}, \"l\":[] , \"k\\u0041\":\"\\u20ac\"}"

static int clean_up(void **state) {
    (void)state;
    sk_arena_free(&arena);
    return 0;
}

AROUND_ALL(NULL, clean_up);

TEST(values_are_found_at_their_paths) {
    struct sk_json value;
    assert_int_equal(find(DOCUMENT, "a.b.0", false, &value), SK_OK);
    assert_int_equal(value.type, SK_VALUE_NUMBER);
    assert_true(value.number == 1);
    assert_int_equal(find(DOCUMENT, "a.b.1", false, &value), SK_OK);
    assert_true(value.number == -25);
    assert_int_equal(find(DOCUMENT, "a.b.2.c", false, &value), SK_OK);
    assert_int_equal(value.type, SK_VALUE_STRING);
    assert_true(value.escaped);
    assert_true(sk_span_is(sk_json_string_value(&arena, &value), "x\"y"));
    assert_int_equal(find(DOCUMENT, "a.b2", false, &value), SK_OK);
    assert_true(value.type == SK_VALUE_BOOL && value.truth);
    assert_int_equal(find(DOCUMENT, "A", false, &value), SK_OK);
    assert_int_equal(value.type, SK_VALUE_NULL);
    assert_int_equal(find(DOCUMENT, "a.b", false, &value), SK_OK);
    assert_int_equal(value.type, SK_VALUE_ARRAY);
    assert_true(sk_span_is(value.raw, "[1, -2.5e1 ,{\"c\":\"x\\\"y\"}]"));
    assert_int_equal(find(DOCUMENT, NULL, false, &value), SK_OK);
    assert_int_equal(value.type, SK_VALUE_OBJECT);
    assert_int_equal(value.raw.n, sizeof DOCUMENT - 1);
}

TEST(keys_are_compared_decoded_and_on_wish_without_case) {
    struct sk_json value;
    assert_int_equal(find(DOCUMENT, "kA", false, &value), SK_OK);
    assert_true(sk_span_is(sk_json_string_value(&arena, &value), "\xe2\x82\xac"));
    assert_int_equal(find(DOCUMENT, "ka", false, &value), SK_NOT_FOUND);
    assert_int_equal(find(DOCUMENT, "Ka", true, &value), SK_OK);
    assert_int_equal(find(DOCUMENT, "A.B2", true, &value), SK_OK); /* the first of two keys */
    assert_int_equal(find(DOCUMENT, "kAB", false, &value), SK_NOT_FOUND);
    assert_int_equal(find(DOCUMENT, "k", false, &value), SK_NOT_FOUND);
}

TEST(what_is_not_there_is_not_found) {
    static const char *const paths[] = {"x",   "a.x", "a.b.3", "a.b.c",  "a.0",
                                        "e.x", "l.0", "A.x",   "a.b2.x", "a.b.0.0"};
    struct sk_json value;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        if (find(DOCUMENT, paths[i], false, &value) != SK_NOT_FOUND)
            fail_msg("found: %s", paths[i]);
}

TEST(nothing_behind_the_value_is_looked_at) {
    struct sk_json value;
    assert_int_equal(find("{\"a\":1,]]]", "a", false, &value), SK_OK);
    assert_int_equal(find("{\"b\":[1,],\"a\":1}", "a", false, &value), SK_MALFORMED);
}

TEST(only_json_is_valid) {
    static const char *const good[] = {
        "0",
        "-0",
        "1.5",
        "1e5",
        "1E-5",
        "\"\"",
        "\"\\u12aB\\n\"",
        "[]",
        "{}",
        "[[],{}]",
        " { \"a\" : [ 1 , 2 ] } ",
        "true",
        "null",
        "\"12345678\\\"90123456\"",
        "[1,2,3]",
        "{\"a\":{\"a\":{}},\"b\":0}",
    };
    static const char *const bad[] = {
        "",           " ",           "01",         "-",
        "1.",         ".5",          "1e",         "1e+",
        "+1",         "0x1",         "\"",         "\"\n\"",
        "\"\\x\"",    "\"\\u12g4\"", "\"\\u123",   "\"1234567\t90\"",
        "[",          "]",           "[1,]",       "[,1]",
        "[1 2]",      "[1}",         "{",          "}",
        "{\"a\"}",    "{\"a\":}",    "{\"a\":1,}", "{a:1}",
        "{\"a\":1]",  "{1:1}",       "tru",        "True",
        "nul",        "1 2",         "[]]",        "{} x",
        "\"12345678", "'a'",         "NaN",        "{\"a\" 1}",
        "{,}",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!sk_json_valid(sk_span_z(good[i]))) fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sk_json_valid(sk_span_z(bad[i]))) fail_msg("taken: %s", bad[i]);
    assert_false(sk_json_valid(SK_SPAN("1\0")));
}

TEST(nesting_is_bounded) {
    char text[2 * SK_JSON_DEPTH_MAX + 3];
    for (size_t depth = SK_JSON_DEPTH_MAX; depth <= SK_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        bool fits = depth == SK_JSON_DEPTH_MAX;
        assert_int_equal(sk_json_valid(sk_span(text, 2 * depth)), fits);
        struct sk_json value;
        struct sk_json_step steps[SK_JSON_DEPTH_MAX] = {{.index = 0}};
        for (size_t i = 0; i < SK_JSON_DEPTH_MAX; i++) {
            enum sk_status status = sk_json_find(sk_span(text, 2 * depth), steps, i, false, &value);
            assert_int_equal(status, fits ? SK_OK : SK_MALFORMED);
        }
    }
}

TEST(strings_end_where_they_end_at_every_alignment) {
    for (size_t n = 0; n < 24; n++) {
        char text[40];
        memset(text, 'a', sizeof text);
        text[0] = text[n + 1] = '"';
        struct sk_json value;
        size_t used;
        assert_int_equal(sk_json_read(sk_span(text, sizeof text), &value, &used), SK_OK);
        assert_int_equal(value.raw.n, n);
        assert_int_equal(used, n + 2);
        for (char c = 0; c < 0x20; c++) {
            if (n == 0) break;
            text[n] = c;
            assert_int_equal(sk_json_read(sk_span(text, sizeof text), &value, &used), SK_MALFORMED);
        }
    }
}

TEST(numbers_have_the_nearest_double) {
    static const struct {
        const char *text;
        double number;
    } cases[] = {
        {"0", 0},
        {"1", 1},
        {"-1", -1},
        {"0.1", 0.1},
        {"21.5", 21.5},
        {"123456789012345", 123456789012345.0},
        {"9007199254740993", 9007199254740993.0},
        {"0.30000000000000004", 0.30000000000000004},
        {"1e3", 1000},
        {"1.5E-2", 0.015},
        {"4503599627370495", 4503599627370495.0},
        {"3.141592653589793238462643", 3.141592653589793},
        {"1e-320", 1e-320},
        {"0.0000000000000000000000000001", 1e-28},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_json value;
        assert_int_equal(sk_json_read(sk_span_z(cases[i].text), &value, NULL), SK_OK);
        if (value.number != cases[i].number) fail_msg("%s gave %.17g", cases[i].text, value.number);
    }
    struct sk_json value;
    assert_int_equal(sk_json_read(SK_SPAN("1e999"), &value, NULL), SK_OK);
    assert_true(isinf(value.number));
    char digits[SK_JSON_NUMBER_MAX + 1];
    memset(digits, '1', sizeof digits);
    assert_int_equal(sk_json_read(sk_span(digits, SK_JSON_NUMBER_MAX), &value, NULL), SK_OK);
    assert_int_equal(sk_json_read(sk_span(digits, SK_JSON_NUMBER_MAX + 1), &value, NULL),
                     SK_MALFORMED);
}

TEST(escapes_are_decoded) {
    static const struct {
        const char *raw, *text;
    } cases[] = {
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"\\u0041\\u00e4\\u20AC\"", "A\xc3\xa4\xe2\x82\xac"},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\\ud83d\"", "\xef\xbf\xbd"},
        {"\"\\ude00x\"", "\xef\xbf\xbdx"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
                               "A"},
        {"\"a\\ud83dz\"", "a\xef\xbf\xbdz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_json value;
        assert_int_equal(sk_json_read(sk_span_z(cases[i].raw), &value, NULL), SK_OK);
        assert_true(sk_span_is(sk_json_string_value(&arena, &value), cases[i].text));
    }
}

TEST(objects_and_arrays_are_walked) {
    struct sk_json_walk walk;
    unsigned seen = 0;
    enum sk_status status = sk_json_walk(SK_SPAN(" {\"a\":1, \"b\":[2]} "), &walk);
    for (; !status && !(status = sk_json_next(&walk)); seen++) {
        assert_true(sk_span_is(walk.key, seen ? "b" : "a"));
        assert_int_equal(walk.value.type, seen ? SK_VALUE_ARRAY : SK_VALUE_NUMBER);
    }
    assert_int_equal(status, SK_NOT_FOUND);
    assert_int_equal(seen, 2);
    assert_int_equal(sk_json_next(&walk), SK_NOT_FOUND);

    assert_int_equal(sk_json_walk(SK_SPAN("[]"), &walk), SK_OK);
    assert_int_equal(sk_json_next(&walk), SK_NOT_FOUND);
    assert_int_equal(sk_json_walk(SK_SPAN("[1,]"), &walk), SK_OK);
    assert_int_equal(sk_json_next(&walk), SK_OK);
    assert_int_equal(sk_json_next(&walk), SK_MALFORMED);
    assert_int_equal(sk_json_walk(SK_SPAN("[1"), &walk), SK_OK);
    assert_int_equal(sk_json_next(&walk), SK_OK);
    assert_int_equal(sk_json_next(&walk), SK_MALFORMED);
    assert_int_equal(sk_json_walk(SK_SPAN("1"), &walk), SK_MALFORMED);
}
