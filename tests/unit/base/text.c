/* Text forms: base64, hex, percent-encoding, JSON strings, CRC-32C, comparisons. */
#include "base/base.h"
#include "support/test.h"

static struct sk_buffer out;

static int clear(void **state) {
    (void)state;
    sk_buffer_free(&out);
    out.limit = 0;
    return 0;
}

static bool out_is(const char *text) {
    bool same = sk_span_is(sk_buffer_span(&out), text);
    out.n = 0;
    return same;
}

AROUND(NULL, clear);

TEST(base64_matches_the_vectors_of_rfc_4648) {
    const char *vectors[][2] = {{"", ""},
                                {"f", "Zg=="},
                                {"fo", "Zm8="},
                                {"foo", "Zm9v"},
                                {"foob", "Zm9vYg=="},
                                {"fooba", "Zm9vYmE="},
                                {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        sk_base64_encode(&out, sk_span_z(vectors[i][0]));
        assert_true(out_is(vectors[i][1]));
        assert_int_equal(sk_base64_decode(&out, sk_span_z(vectors[i][1])), SK_OK);
        assert_true(out_is(vectors[i][0]));
    }
    assert_int_equal(sk_base64_decode(&out, SK_SPAN("Zm9vYg")), SK_OK); /* unpadded */
    assert_true(out_is("foob"));
}

TEST(base64_takes_all_bytes_and_nothing_else) {
    char bytes[256];
    for (int i = 0; i < 256; i++) bytes[i] = (char)i;
    struct sk_buffer text = {0};
    sk_base64_encode(&text, sk_span(bytes, sizeof bytes));
    assert_int_equal(sk_base64_decode(&out, sk_buffer_span(&text)), SK_OK);
    assert_true(sk_span_eq(sk_buffer_span(&out), sk_span(bytes, sizeof bytes)));
    sk_buffer_free(&text);
    const char *bad[] = {"Z",    "Zg=",  "Zg===", "Zm9v=", "Zm 9v",   "Zm9v\n",
                         "Zm9-", "Zm9_", "=",     "Z=g=",  "Zg==Zg=="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        out.n = 0;
        assert_int_equal(sk_base64_decode(&out, sk_span_z(bad[i])), SK_MALFORMED);
    }
}

TEST(hex_goes_both_ways_and_takes_both_cases) {
    sk_hex_encode(&out, sk_span("\x00\x7f\xff", 3));
    assert_true(out_is("007fff"));
    assert_int_equal(sk_hex_decode(&out, SK_SPAN("6a4B")), SK_OK);
    assert_true(out_is("jK"));
    assert_int_equal(sk_hex_decode(&out, SK_SPAN("abc")), SK_MALFORMED);
    assert_int_equal(sk_hex_decode(&out, SK_SPAN("0g")), SK_MALFORMED);
}

TEST(percent_encoding_leaves_only_the_unreserved) {
    sk_percent_encode(&out, SK_SPAN("a-Z_0.9~ /%\xc3\xa4+"));
    assert_true(out_is("a-Z_0.9~%20%2F%25%C3%A4%2B"));
}

TEST(topics_leave_the_marks_that_azure_leaves) {
    char all[95];
    for (int i = 0; i < 95; i++) all[i] = (char)(' ' + i);
    sk_percent_encode_topic(&out, sk_span(all, sizeof all));
    assert_true(out_is("%20!%22%23%24%25%26'()*%2B%2C-.%2F0123456789%3A%3B%3C%3D%3E%3F%40"
                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ%5B%5C%5D%5E_%60abcdefghijklmnopqrstuvwxyz"
                       "%7B%7C%7D~"));
    sk_percent_encode_topic(&out, sk_span("\0\x1f\x7f\xc3\xa4", 5));
    assert_true(out_is("%00%1F%7F%C3%A4"));
}

TEST(an_address_may_have_a_port) {
    static const struct {
        const char *text, *host;
        int port;
    } good[] = {{"0.0.0.0:8883", "0.0.0.0", 8883},
                {"0.0.0.0", "0.0.0.0", -1},
                {"[::1]:443", "::1", 443},
                {"[::1]", "::1", -1},
                {"host.name:0", "host.name", 0},
                {"a:65535", "a", 65535},
                {"a8883", "a8883", -1}};
    static const char *const bad[] = {"",       "8883", ":1",   "a:",    "a:65536",
                                      "a:-1",   "a:x",  "::1",  "a:1:2", "[::1]x",
                                      "[::1]:", "[]:1", "[::1", "a:1 "};
    struct sk_span host;
    int port;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(sk_host_port_parse(sk_span_z(good[i].text), &host, &port), SK_OK);
        assert_true(sk_span_is(host, good[i].host));
        assert_int_equal(port, good[i].port);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sk_host_port_parse(sk_span_z(bad[i]), &host, &port) == SK_OK)
            fail_msg("%s is taken", bad[i]);
}

TEST(percent_decoding_keeps_what_is_not_an_escape) {
    const char *vectors[][2] = {{"a%20b", "a b"}, {"%41%6a%4A", "AjJ"}, {"+", "+"},
                                {"100%", "100%"}, {"%4", "%4"},         {"%zz", "%zz"},
                                {"%%41", "%A"},   {"%2541", "%41"}};
    struct sk_arena arena = {0};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct sk_span text = sk_span_z(vectors[i][0]);
        sk_percent_decode(&out, text);
        assert_true(out_is(vectors[i][1]));
        assert_true(sk_span_is(sk_percent_decoded(&arena, text), vectors[i][1]));
    }
    struct sk_span plain = SK_SPAN("plain");
    assert_ptr_equal(sk_percent_decoded(&arena, plain).p, plain.p);
    sk_arena_free(&arena);
}

TEST(json_strings_escape_what_json_demands) {
    sk_json_string(&out, sk_span("a\"b\\c\n\x01\x1f\xc3\xa4/", 11));
    assert_true(out_is("\"a\\\"b\\\\c\\n\\u0001\\u001f\xc3\xa4/\""));
    sk_json_string(&out, SK_NONE);
    assert_true(out_is("\"\""));
}

TEST(json_strings_replace_what_is_not_utf8) {
    static const struct {
        struct sk_span text;
        const char *literal;
    } cases[] = {
        {{"a\xff"
          "b",
          3},
         "\"a\xef\xbf\xbd"
         "b\""},
        {{"\xc3", 1}, "\"\xef\xbf\xbd\""}, /* cut short */
        {{"\xe2\x82", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xe2\x82\xac", 3}, "\"\xe2\x82\xac\""},
        {{"\xf0\x9f\x98\x80", 4}, "\"\xf0\x9f\x98\x80\""},
        {{"\xc0\x80", 2}, "\"\xef\xbf\xbd\xef\xbf\xbd\""}, /* not the shortest form */
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""}, /* a surrogate */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sk_json_string(&out, cases[i].text);
        assert_int_equal(out.n, strlen(cases[i].literal));
        assert_memory_equal(out.p, cases[i].literal, out.n);
        out.n = 0;
    }
}

TEST(crc32c_matches_the_vectors_of_rfc_3720) {
    char bytes[32] = {0};
    assert_int_equal(sk_crc32c(0, sk_span(bytes, 32)), 0x8A9136AA);
    memset(bytes, 0xFF, 32);
    assert_int_equal(sk_crc32c(0, sk_span(bytes, 32)), 0x62A8AB43);
    for (int i = 0; i < 32; i++) bytes[i] = (char)i;
    assert_int_equal(sk_crc32c(0, sk_span(bytes, 32)), 0x46DD794E);
    for (int i = 0; i < 32; i++) bytes[i] = (char)(31 - i);
    assert_int_equal(sk_crc32c(0, sk_span(bytes, 32)), 0x113FDB5C);
    assert_int_equal(sk_crc32c(0, SK_SPAN("123456789")), 0xE3069283);
    assert_int_equal(sk_crc32c(0, SK_NONE), 0);
}

TEST(crc32c_can_be_continued_at_any_byte) {
    struct sk_span text = SK_SPAN("The quick brown fox jumps over the lazy dog");
    uint32_t whole = sk_crc32c(0, text);
    for (size_t n = 0; n <= text.n; n++)
        assert_int_equal(sk_crc32c(sk_crc32c(0, sk_span_first(text, n)), sk_span_skip(text, n)),
                         whole);
}

TEST(equality_in_constant_time_is_equality) {
    assert_true(sk_equal_constant_time(SK_SPAN("same"), SK_SPAN("same")));
    assert_true(sk_equal_constant_time(SK_NONE, SK_SPAN("")));
    assert_false(sk_equal_constant_time(SK_SPAN("same"), SK_SPAN("samf")));
    assert_false(sk_equal_constant_time(SK_SPAN("same"), SK_SPAN("sam")));
    assert_false(sk_equal_constant_time(SK_SPAN(""), SK_SPAN("x")));
}

TEST(every_status_has_a_name) {
    for (int status = SK_OK; status >= SK_REFUSED; status--)
        assert_string_not_equal(sk_status_text((enum sk_status)status), "unknown");
    assert_string_equal(sk_status_text(SK_NO_SPACE), "no-space");
}

TEST(an_address_of_the_web_is_taken_apart) {
    struct sk_url url;
    assert_int_equal(sk_url_parse(SK_SPAN("HTTPS://a.example/x?y"), &url), SK_OK);
    assert_true(url.secure && url.port == 443 && sk_span_is(url.host, "a.example") &&
                sk_span_is(url.rest, "/x?y"));
    assert_int_equal(sk_url_parse(SK_SPAN("http://[::1]:65535"), &url), SK_OK);
    assert_true(!url.secure && url.port == 65535 && sk_span_is(url.host, "::1") && url.rest.n == 0);
    assert_int_equal(sk_url_parse(SK_SPAN("http://a"), &url), SK_OK);
    assert_int_equal(url.port, 80);
    static const char *const bad[] = {"",          "a.example",    "ftp://a",    "http://",
                                      "http:///",  "http://a:0",   "http://a:",  "http://a:65536",
                                      "http://:1", "http://u:p@a", "http://a b", "http://a/\x7f"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sk_url_parse(sk_span_z(bad[i]), &url) == SK_OK) fail_msg("%s", bad[i]);
}
