#include "config/toml.h"
#include "support/test.h"

static json_t *document, *lines;
static char error[SK_TOML_ERROR_MAX];

static enum sk_status parse(const char *text) {
    return sk_toml_parse(sk_span_z(text), "c.toml", &document, &lines, error);
}

static void release(void) {
    json_decref(document);
    json_decref(lines);
}

TEST(every_kind_of_value_has_a_json_form) {
    assert_int_equal(parse("s = \"t\\u00fc\"\ni = 0x1F\nf = 1.5\nb = true\nd = 2026-11-21\nt = "
                           "2026-11-21T07:00:00Z\n"
                           "[a.b]\nlist = [1, \"x\", {y = 2}]\n[[c]]\nn = 1\n[[c]]\nn = 2\n"),
                     SK_OK);
    json_t *expected =
        json_loads("{\"s\":\"tü\",\"i\":31,\"f\":1.5,\"b\":true,\"d\":\"2026-11-21\","
                   "\"t\":\"2026-11-21T07:00:00Z\","
                   "\"a\":{\"b\":{\"list\":[1,\"x\",{\"y\":2}]}},\"c\":[{\"n\":1},{\"n\":2}]}",
                   0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(document, expected));
    json_decref(expected);
    release();
}

TEST(a_key_path_has_a_line) {
    assert_int_equal(parse("# comment\nhostname = \"h\"\n\n[provisioning]\nsource = "
                           "\"manual\"\n[[hub]]\n[[hub]]\nname = \"x\"\n[\"a.b\"]\nc=1\n"),
                     SK_OK);
    assert_int_equal(sk_toml_line(lines, "hostname"), 2);
    assert_int_equal(sk_toml_line(lines, "provisioning"), 4);
    assert_int_equal(sk_toml_line(lines, "provisioning.source"), 5);
    assert_int_equal(sk_toml_line(lines, "provisioning.missing"), 4);
    assert_int_equal(sk_toml_line(lines, "provisioning.missing.deeper[3]"), 4);
    assert_int_equal(sk_toml_line(lines, "hub[1].name"), 8);
    assert_int_equal(sk_toml_line(lines, "hub[1].missing"), 7);
    assert_int_equal(sk_toml_line(lines, "\"a.b\".c"), 10);
    assert_int_equal(sk_toml_line(lines, "nowhere"), 0);
    release();
}

/* Editors on Windows put it there. */
TEST(a_byte_order_mark_is_not_part_of_the_text) {
    assert_int_equal(
        sk_toml_parse(SK_SPAN("\xef\xbb\xbf[a]\nb = 1\n"), "f", &document, &lines, error), SK_OK);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(document, "a"), "b")), 1);
    assert_int_equal(sk_toml_line(lines, "a.b"), 2);
    json_decref(document);
    json_decref(lines);
}

TEST(bad_text_is_refused_with_file_line_and_column) {
    assert_int_equal(parse("a = 1\nb = = 2\n"), SK_MALFORMED);
    assert_ptr_equal(strstr(error, "c.toml:2:"), error);
    static const char *const bad[] = {
        "a",       "a = ",      "a = 1\na = 2\n",           "[t",          "a = 'x",
        "a = inf", "a = [nan]", "a = 99999999999999999999", "a = \"\xff\""};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i]), SK_MALFORMED);
        assert_ptr_equal(strstr(error, "c.toml:"), error);
    }
}

TEST(what_the_parser_only_asserts_is_refused_with_its_line) {
    assert_int_equal(parse("a = 1\n\n[!]\nb = 2\n"), SK_MALFORMED);
    assert_string_equal(error, "c.toml:3:1: a name is expected in this line.");
    assert_int_equal(parse("[[\x15gent.env]]"), SK_MALFORMED);
    assert_ptr_equal(strstr(error, "c.toml:1:"), error);
}

TEST(other_alphabets_belong_into_quotes_and_comments) {
    assert_int_equal(
        parse("\xef\xbb\xbf"
              "a = 'ü' # ü\nb = \"\\\"ü\"\n\"ü\" = 1\nc = \"\"\"\nü\"\"\"\"\nd = '''ü\\'''\n"),
        SK_OK);
    assert_string_equal(json_string_value(json_object_get(document, "b")), "\"ü");
    assert_string_equal(json_string_value(json_object_get(document, "c")), "ü\"");
    release();
    assert_int_equal(parse("x = 1ab\"ü\""), SK_MALFORMED);
    assert_int_equal(parse("\"a\".\"b\"={c=[\"d\",\"e\"]}\r\n\"f\"=1"), SK_OK);
    release();
    static const char *const bad[] = {"x = 1\naü = 1", "x = 1\na\xef\xbb\xbb = 1",
                                      "x = 'ü' # ü\na\xe2\x80\x83= 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(parse(bad[i]), SK_MALFORMED);
        assert_ptr_equal(strstr(error, "c.toml:2:"), error);
    }
}

TEST(an_empty_file_is_an_empty_table) {
    assert_int_equal(sk_toml_parse(SK_NONE, "c.toml", &document, &lines, error), SK_OK);
    assert_int_equal(json_object_size(document), 0);
    release();
}
