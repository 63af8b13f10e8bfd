/* Prometheus' remote read: protocol buffers by the byte. */
#include "wire/prometheus.h"

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

/* queries: 1000 to 2000, __name__ = "speed", device !~ "a.*" */
#define NAME "\x1a\x11\x12\x08__name__\x1a\x05speed"
#define DEVICE                                                                                     \
    "\x1a\x0f\x08\x03\x12\x06"                                                                     \
    "device\x1a\x03"                                                                               \
    "a.*"
#define SPAN "\x08\xe8\x07\x10\xd0\x0f"
#define HINTS "\x22\x02\x08\x01"

TEST(a_request_is_read) {
    struct sk_prometheus_read read;
    static const char bytes[] = "\x0a\x2e" SPAN NAME DEVICE HINTS "\x10\x01";
    assert_int_equal(sk_prometheus_read_parse(sk_span(bytes, sizeof bytes - 1), &arena, &read),
                     SK_OK);
    assert_int_equal(read.count, 1);
    assert_int_equal(read.queries[0].from, 1000);
    assert_int_equal(read.queries[0].to, 2000);
    assert_int_equal(read.queries[0].matcher_count, 2);
    assert_int_equal(read.queries[0].matchers[0].by, SK_PROMETHEUS_EQUAL);
    assert_true(sk_span_is(read.queries[0].matchers[0].label, "__name__"));
    assert_true(sk_span_is(read.queries[0].matchers[0].value, "speed"));
    assert_int_equal(read.queries[0].matchers[1].by, SK_PROMETHEUS_NOT_LIKE);
    assert_true(sk_span_is(read.queries[0].matchers[1].value, "a.*"));
}

TEST(what_is_cut_off_or_unknown_is_refused_or_skipped) {
    struct sk_prometheus_read read;
    static const char bytes[] = "\x0a\x2e" SPAN NAME DEVICE HINTS;
    for (size_t n = 1; n < sizeof bytes - 1; n++)
        assert_int_equal(sk_prometheus_read_parse(sk_span(bytes, n), &arena, &read), SK_MALFORMED);
    assert_int_equal(sk_prometheus_read_parse(SK_SPAN("\x0a\x04\x1a\x02\x08\x04"), &arena, &read),
                     SK_MALFORMED); /* no way to match */
    assert_int_equal(sk_prometheus_read_parse(SK_SPAN("\x7a\x01x"), &arena, &read), SK_OK);
    assert_int_equal(read.count, 0);
    assert_int_equal(sk_prometheus_read_parse(SK_SPAN("\x0b"), &arena, &read), SK_MALFORMED);
}

TEST(limits_are_at_their_number) {
    struct sk_prometheus_read read;
    struct sk_buffer queries = {0}, matchers = {0}, one = {0};
    for (int i = 0; i < SK_PROMETHEUS_QUERIES_MAX; i++) sk_prometheus_put_part(&queries, SK_NONE);
    assert_int_equal(sk_prometheus_read_parse(sk_buffer_span(&queries), &arena, &read), SK_OK);
    assert_int_equal(read.count, SK_PROMETHEUS_QUERIES_MAX);
    sk_prometheus_put_part(&queries, SK_NONE);
    assert_int_equal(sk_prometheus_read_parse(sk_buffer_span(&queries), &arena, &read),
                     SK_TOO_LARGE);
    for (int i = 0; i < SK_PROMETHEUS_MATCHERS_MAX; i++)
        sk_buffer_append(&matchers, sk_span("\x1a\x00", 2));
    sk_prometheus_put_part(&one, sk_buffer_span(&matchers));
    assert_int_equal(sk_prometheus_read_parse(sk_buffer_span(&one), &arena, &read), SK_OK);
    sk_buffer_append(&matchers, sk_span("\x1a\x00", 2));
    one.n = 0;
    sk_prometheus_put_part(&one, sk_buffer_span(&matchers));
    assert_int_equal(sk_prometheus_read_parse(sk_buffer_span(&one), &arena, &read), SK_TOO_LARGE);
    sk_buffer_free(&queries);
    sk_buffer_free(&matchers);
    sk_buffer_free(&one);
}

TEST(an_answer_is_written_from_the_inside) {
    struct sk_buffer series = {0}, result = {0};
    sk_prometheus_put_label(&series, SK_SPAN("a"), SK_SPAN("b"));
    sk_prometheus_put_sample(&series, 300, 1.5);
    sk_prometheus_put_part(&result, sk_buffer_span(&series));
    static const char wanted[] = "\x0a\x16"
                                 "\x0a\x06\x0a\x01"
                                 "a\x12\x01"
                                 "b"
                                 "\x12\x0c\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x10\xac\x02";
    assert_int_equal(result.n, sizeof wanted - 1);
    assert_memory_equal(result.p, wanted, result.n);
    sk_buffer_free(&series);
    sk_buffer_free(&result);
}
