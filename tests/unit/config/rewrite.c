/* A file of a person's is changed: what shall be said is said, and the rest of the text is his. */
#include "config/rewrite.h"
#include "model/json_text.h"
#include "support/test.h"

/* The text after `wanted` is made of what it says: by a function, on the document. */
static void becomes(const char *text, const char *wanted_json, const char *expected) {
    struct sk_buffer to = {0};
    char error[SK_TOML_ERROR_MAX] = "";
    json_error_t why;
    json_t *wanted = json_loads(wanted_json, 0, &why);
    if (wanted == NULL) fail_msg("%s: %s", wanted_json, why.text);
    if (sk_toml_rewrite(sk_span_z(text), "h.toml", wanted, &to, error)) fail_msg("%s", error);
    sk_buffer_byte(&to, 0);
    assert_string_equal(to.p, expected);
    json_decref(wanted);
    sk_buffer_free(&to);
}

TEST(what_is_said_already_stays_to_the_byte) {
    static const char text[] = "# top\r\n\r\na.b = 1 # one\r\n  [[c]]\r\n  d = '''x\r\n'''\r\n"
                               "\r\n# end";
    becomes(text, "{\"a\":{\"b\":1},\"c\":[{\"d\":\"x\\n\"}]}", text);
    becomes("", "{}", "");
}

TEST(a_value_changes_where_it_stands) {
    becomes("# why\na = 1  # one\nb = \"x\"\n", "{\"a\":2,\"b\":\"x\"}",
            "# why\na = 2  # one\nb = \"x\"\n");
    becomes("a.b.c = [1,\n 2]\nd = 1.5\n", "{\"a\":{\"b\":{\"c\":\"t\\u007f\\\"\"}},\"d\":3.0}",
            "a.b.c = \"t\\u007F\\\"\"\nd = 3.0\n");
    becomes("a = {x = 1, y = 2} # t\n", "{\"a\":{\"x\":1,\"z\":true}}",
            "a = { x = 1, z = true } # t\n");
    becomes("\"a b\" = 1\n'c.d' = 2", "{\"a b\":3,\"c.d\":4}", "\"a b\" = 3\n'c.d' = 4");
}

TEST(a_key_that_goes_takes_its_comment_along) {
    becomes("# first\n\n# a's\na = 1\n# b's\nb = 2\n", "{\"b\":2}", "# first\n\n# b's\nb = 2\n");
    becomes("a = 1\n\nb = 2\n\nc = 3\n", "{\"a\":1,\"c\":3}", "a = 1\n\nc = 3\n");
}

TEST(a_key_is_added_behind_the_last_of_its_table) {
    becomes("[a]\nx = 1 # one\n\n# about b\n[b]\n", "{\"a\":{\"x\":1,\"y\":2},\"b\":{\"z\":3}}",
            "[a]\nx = 1 # one\ny = 2\n\n# about b\n[b]\nz = 3\n");
    becomes("[a.b]\nx = 1\n", "{\"a\":{\"b\":{\"x\":1},\"y\":2}}", "[a]\ny = 2\n[a.b]\nx = 1\n");
    becomes("[[h]]\nf.on = true\nn = 1\n", "{\"h\":[{\"f\":{\"on\":true,\"off\":1},\"n\":1}]}",
            "[[h]]\nf.on = true\nf.off = 1\nn = 1\n");
    becomes("x = 1", "{\"x\":1,\"a b\":[]}", "x = 1\n\"a b\" = []\n");
    becomes("", "{\"x\":1}", "x = 1\n");
}

#define TWO                                                                                        \
    "[[hub]]\nname = \"one\"\n\n# for the board\n[[hub.policy]]\nname = \"a\"\nkeys = [\"k\"]\n"   \
    "\n[[hub.policy]]\nname = \"b\" # b\n\n[[hub]]\nname = \"two\"\n[[hub.policy]]\nname = \"a\"\n"

TEST(a_table_of_an_array_is_known_by_its_name) {
    becomes(TWO,
            "{\"hub\":[{\"name\":\"one\",\"policy\":[{\"name\":\"a\",\"keys\":[\"n\"]},"
            "{\"name\":\"b\"},{\"name\":\"c\",\"keys\":[\"z\"]}]},"
            "{\"name\":\"two\",\"policy\":[{\"name\":\"a\"}]}]}",
            "[[hub]]\nname = \"one\"\n\n# for the board\n[[hub.policy]]\nname = \"a\"\nkeys = "
            "[\"n\"]\n\n[[hub.policy]]\nname = \"b\" # b\n\n[[hub.policy]]\nname = \"c\"\nkeys = "
            "[\"z\"]\n\n[[hub]]\nname = \"two\"\n[[hub.policy]]\nname = \"a\"\n");
    becomes(TWO,
            "{\"hub\":[{\"name\":\"one\",\"policy\":[{\"name\":\"b\"}]},"
            "{\"name\":\"two\",\"policy\":[{\"name\":\"a\"},{\"name\":\"b\"}]}]}",
            "[[hub]]\nname = \"one\"\n\n[[hub.policy]]\nname = \"b\" # b\n\n[[hub]]\nname = "
            "\"two\"\n[[hub.policy]]\nname = \"a\"\n[[hub.policy]]\nname = \"b\"\n");
    becomes(TWO,
            "{\"hub\":[{\"name\":\"one\"},{\"name\":\"two\",\"policy\":[{\"name\":\"z\"},"
            "{\"name\":\"a\"}]}]}",
            "[[hub]]\nname = \"one\"\n\n[[hub]]\nname = \"two\"\n[[hub.policy]]\nname = \"z\"\n"
            "[[hub.policy]]\nname = \"a\"\n");
}

TEST(a_first_table_comes_at_the_end_of_what_it_belongs_to) {
    becomes(TWO,
            "{\"hub\":[{\"name\":\"one\",\"policy\":[{\"name\":\"a\",\"keys\":[\"k\"]},"
            "{\"name\":\"b\"}],\"route\":[{\"name\":\"r\",\"to\":[\"x\",\"y\"]}],"
            "\"fallback\":{\"enabled\":false}},{\"name\":\"two\",\"policy\":[{\"name\":\"a\"}]}]}",
            "[[hub]]\nname = \"one\"\n\n# for the board\n[[hub.policy]]\nname = \"a\"\nkeys = "
            "[\"k\"]\n\n[[hub.policy]]\nname = \"b\" # b\n\n[[hub.route]]\nname = \"r\"\nto = "
            "[\"x\", \"y\"]\n\n[hub.fallback]\nenabled = false\n\n[[hub]]\nname = \"two\"\n"
            "[[hub.policy]]\nname = \"a\"\n");
}

TEST(a_table_that_changes_its_kind_is_written_anew) {
    becomes("[a]\nx = 1\n\n[b]\ny = 2\n", "{\"a\":5,\"b\":{\"y\":2}}", "a = 5\n\n[b]\ny = 2\n");
    becomes("[[a]]\nx = 1\n", "{\"a\":[]}", "a = []\n");
    becomes("a = 1\n", "{\"a\":{\"b\":[{\"c\":1}]}}", "a = { b = [{ c = 1 }] }\n");
}

TEST(items_of_a_list_come_and_go_beside_their_comments) {
    becomes("g = [\"a\", \"b\"] # groups\n", "{\"g\":[\"a\",\"b\",\"c\"]}",
            "g = [\"a\", \"b\", \"c\"] # groups\n");
    becomes("g = [\"a\", \"b\"]\n", "{\"g\":[\"b\"]}", "g = [\"b\"]\n");
    becomes("g = [\"a\", \"b\"]\n", "{\"g\":[\"a\"]}", "g = [\"a\", ]\n");
    becomes("g = [ # ours\n  \"a\", # first\n  \"b\" # last\n]\n", "{\"g\":[\"a\",\"b\",\"c\"]}",
            "g = [ # ours\n  \"a\", # first\n  \"b\", # last\n  \"c\",\n]\n");
    becomes("g = [ # ours\n  \"a\", # first\n  \"b\", # last\n]\n", "{\"g\":[\"b\"]}",
            "g = [ # ours\n  \"b\", # last\n]\n");
    becomes("g = [\"a\"]\n", "{\"g\":[]}", "g = []\n");
}

TEST(what_it_cannot_do_is_refused_and_nothing_comes_out) {
    struct sk_buffer to = {0};
    char error[SK_TOML_ERROR_MAX] = "";
    json_t *wanted = json_pack("{s:n}", "a");
    assert_int_equal(sk_toml_rewrite(SK_SPAN("a = 1\n"), "h.toml", wanted, &to, error),
                     SK_UNSUPPORTED);
    assert_non_null(strstr(error, "h.toml"));
    assert_int_equal(sk_toml_rewrite(SK_SPAN("a = \n"), "h.toml", wanted, &to, error),
                     SK_MALFORMED);
    assert_int_equal(to.n, 0);
    json_decref(wanted);
}
