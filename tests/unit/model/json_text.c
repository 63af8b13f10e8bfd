/* Documents keep their numbers and texts on the way through us. */
#include <math.h>
#include <stdlib.h>

#include "model/json_text.h"
#include "support/test.h"

static void is_text(const char *json, const char *text) {
    json_error_t error;
    json_t *value = sk_json_load(sk_span_z(json), JSON_DECODE_ANY, &error);
    if (value == NULL) fail_msg("%s: %s", json, error.text);
    char *out = sk_json_text(value);
    assert_string_equal(out, text);
    free(out);
    json_decref(value);
}

TEST(a_number_keeps_its_text) {
    static const char *const numbers[] = {"21.1",
                                          "0.1",
                                          "-0.1",
                                          "0.3",
                                          "1.0",
                                          "-0.0",
                                          "100.5",
                                          "3.14159",
                                          "2.5e-05",
                                          "1e+300",
                                          "1.7976931348623157e+308",
                                          "2.2250738585072014e-308",
                                          "5e-324",
                                          "0.30000000000000004",
                                          "123456789.123456",
                                          "9007199254740993.0",
                                          "0",
                                          "-1",
                                          "9007199254740991",
                                          "9007199254740992",
                                          "9007199254740993",
                                          "-9007199254740993",
                                          "9223372036854775807",
                                          "-9223372036854775808"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (strcmp(numbers[i], "9007199254740993.0") == 0)
            is_text(numbers[i], "9007199254740992.0"); /* there is no such double */
        else
            is_text(numbers[i], numbers[i]);
    }
}

TEST(other_spellings_become_the_shortest) {
    is_text("21.100000000000001", "21.1"); /* the same double */
    is_text("1e2", "100.0");
    is_text("1E-7", "1e-07");
    is_text("1.50", "1.5");
    is_text("1e22", "1e+22");
    is_text("0.1e1", "1.0");
}

TEST(every_real_reads_back_the_same) {
    uint64_t bits = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 200000; i++) {
        double value, back;
        char text[SK_REAL_TEXT];
        bits = bits * 6364136223846793005u + 1442695040888963407u;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) continue;
        sk_real_text(value, text);
        back = strtod(text, NULL);
        assert_memory_equal(&back, &value, sizeof value);
    }
}

TEST(documents_come_out_as_they_went_in) {
    static const char *const documents[] = {"{}",
                                            "[]",
                                            "null",
                                            "true",
                                            "false",
                                            "\"\"",
                                            "{\"b\":1,\"a\":[1,2.5,{\"c\":null}],\"\":\"x\"}",
                                            "\"a\\\"b\\\\c\\n\\u0001/\xc3\xa4\"",
                                            "[[[]],{\"a\":{}}]"};
    for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
        is_text(documents[i], documents[i]);
    assert_null(sk_json_text(NULL));
}

TEST(an_indented_document_is_the_same_document) {
    struct sk_buffer out = {0};
    json_t *json = sk_json_load(SK_SPAN("{\"a\":[1,{}],\"b\":{\"c\":[]}}"), 0, NULL);
    sk_json_put(&out, json, 2);
    sk_buffer_byte(&out, 0);
    assert_string_equal(out.p,
                        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": []\n  }\n}");
    json_decref(json);
    sk_buffer_free(&out);
}

/* Editors on Windows put it there. */
TEST(a_byte_order_mark_is_not_part_of_the_text) {
    is_text("\xef\xbb\xbf{\"a\":1}", "{\"a\":1}");
    is_text("\xef\xbb\xbf 7", "7");
    assert_null(sk_json_load(SK_SPAN("\xef\xbb\xbf\xef\xbb\xbf{}"), 0, NULL)); /* one is enough */
    assert_null(sk_json_load(SK_SPAN("\xef\xbb{}"), 0, NULL));
    assert_null(sk_json_load(SK_SPAN("\xef\xbb\xbf"), 0, NULL));
    assert_null(sk_json_load(SK_NONE, 0, NULL));
}

/* What a program has written, or what a limit has cut. */
TEST(any_bytes_become_a_text) {
    static const struct {
        struct sk_span bytes;
        const char *text;
    } cases[] = {
        {{"", 0}, "\"\""},
        {{NULL, 0}, "\"\""},
        {{"gr\xc3\xbcn", 5}, "\"gr\xc3\xbcn\""},
        {{"gr\xc3", 3}, "\"gr\xef\xbf\xbd\""},
        {{"\xff\xfe", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"a\0\xff", 3}, "\"a\\u0000\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *json = sk_json_of_text(cases[i].bytes);
        SK_CLEANUP_FREE char *text = sk_json_text(json);
        assert_string_equal(text, cases[i].text);
        json_decref(json);
    }
}
