/* HTTP messages: each is fed at once, byte by byte and in two parts cut anywhere, and must come out
 * the same. */
#include "wire/http.h"
#include "support/test.h"

struct outcome {
    struct sk_http_parser parser;
    enum sk_status status;
    unsigned messages;
    unsigned headers_events;
    struct sk_buffer bodies; /* of all messages, each followed by '|' */
    size_t left;             /* bytes behind the last message when `stop_after` was reached */
    size_t body_max;
    unsigned stop_after; /* messages; 0: all */
    bool stream;
};

/* Feeds `bytes` in parts that end at `cuts`-byte steps. */
static void feed_in(struct outcome *out, struct sk_span bytes, size_t step) {
    while (bytes.n) {
        struct sk_span part = sk_span_first(bytes, step);
        bytes = sk_span_skip(bytes, part.n);
        while (part.n) {
            size_t used;
            enum sk_http_event event;
            out->status = sk_http_feed(&out->parser, part, &used, &event);
            if (out->status) return;
            part = sk_span_skip(part, used);
            if (event == SK_HTTP_HEADERS) {
                out->headers_events++;
                out->parser.body_max = out->body_max;
                out->parser.stream = out->stream;
            }
            if (event == SK_HTTP_BODY || event == SK_HTTP_MESSAGE)
                sk_buffer_append(&out->bodies, sk_buffer_span(&out->parser.body));
            if (event == SK_HTTP_MESSAGE) {
                sk_buffer_byte(&out->bodies, '|');
                if (++out->messages == out->stop_after) {
                    out->left = part.n + bytes.n;
                    return;
                }
            }
        }
    }
}

static void begin(struct outcome *out, bool request) {
    sk_http_parser_init(&out->parser, request);
    out->messages = out->headers_events = 0;
    out->bodies.n = out->left = 0;
}

static void end(struct outcome *out) {
    sk_http_parser_free(&out->parser);
    sk_buffer_free(&out->bodies);
}

/* Expects `text` to be refused with `refusal`, however it is cut. */
static void refused(const char *text, unsigned refusal) {
    struct sk_span bytes = sk_span_z(text);
    for (size_t step = 1; step <= bytes.n; step = step == 1 ? 7 : step + bytes.n) {
        struct outcome out = {.body_max = 10};
        begin(&out, true);
        feed_in(&out, bytes, step);
        if (out.status == SK_OK) fail_msg("taken: %s", text);
        assert_int_equal(sk_http_refusal(&out.parser), refusal);
        end(&out);
    }
}

TEST(a_request_comes_out_the_same_however_it_is_cut) {
    struct sk_span bytes = SK_SPAN(
        "POST /devices/d%201?api-version=2021-04-12&Top=5 HTTP/1.1\r\nhost: h\r\nX-Empty:\r\n"
        "Content-Type:  application/json \r\nContent-Length: 7\r\n\r\n{\"a\":1}");
    for (size_t step = 1; step <= bytes.n; step++) {
        struct outcome out = {.body_max = 7};
        begin(&out, true);
        feed_in(&out, bytes, step);
        assert_int_equal(out.status, SK_OK);
        assert_int_equal(out.messages, 1);
        assert_int_equal(out.headers_events, 1);
        assert_int_equal(out.parser.method, SK_HTTP_POST);
        assert_true(sk_span_is(out.parser.path, "/devices/d%201"));
        assert_true(sk_span_is(out.parser.query, "api-version=2021-04-12&Top=5"));
        assert_true(sk_span_is(sk_http_query(out.parser.query, "top"), "5"));
        assert_null(sk_http_query(out.parser.query, "skip").p);
        assert_true(sk_span_is(sk_http_header(&out.parser, "content-type"), "application/json"));
        assert_non_null(sk_http_header(&out.parser, "x-empty").p);
        assert_int_equal(sk_http_header(&out.parser, "x-empty").n, 0);
        assert_null(sk_http_header(&out.parser, "missing").p);
        assert_true(sk_span_is(sk_buffer_span(&out.bodies), "{\"a\":1}|"));
        assert_true(out.parser.keep_alive);
        end(&out);
    }
}

TEST(pipelined_requests_come_one_by_one) {
    struct sk_span bytes =
        SK_SPAN("GET /a HTTP/1.1\r\nHost: h\r\n\r\nPUT /b HTTP/1.1\r\nHost: h\r\nContent-Length: "
                "2\r\n\r\nxy"
                "\r\nGET /c HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for (size_t step = 1; step <= bytes.n; step++) {
        struct outcome out = {.body_max = 2};
        begin(&out, true);
        feed_in(&out, bytes, step);
        assert_int_equal(out.status, SK_OK);
        assert_int_equal(out.messages, 3);
        assert_true(sk_span_is(sk_buffer_span(&out.bodies), "|xy||"));
        assert_true(sk_span_is(out.parser.path, "/c"));
        assert_false(out.parser.keep_alive);
        end(&out);
    }
}

TEST(a_chunked_body_is_put_together_and_trailers_are_dropped) {
    struct sk_span bytes =
        SK_SPAN("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX-Late: 1\r\n\r\n");
    for (size_t step = 1; step <= bytes.n; step++) {
        struct outcome out = {.body_max = 13};
        begin(&out, true);
        feed_in(&out, bytes, step);
        assert_int_equal(out.status, SK_OK);
        assert_int_equal(out.messages, 1);
        assert_true(sk_span_is(sk_buffer_span(&out.bodies), "abc0123456789|"));
        assert_null(sk_http_header(&out.parser, "X-Late").p);
        end(&out);
        struct outcome small = {.body_max = 12};
        begin(&small, true);
        feed_in(&small, bytes, step);
        assert_int_equal(small.status, SK_TOO_LARGE);
        assert_int_equal(sk_http_refusal(&small.parser), 413);
        end(&small);
    }
}

TEST(a_body_too_long_is_refused_by_its_announced_length) {
    struct outcome out = {0};
    begin(&out, true);
    size_t used;
    enum sk_http_event event;
    struct sk_span bytes =
        SK_SPAN("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    assert_int_equal(sk_http_feed(&out.parser, bytes, &used, &event), SK_OK);
    assert_int_equal(event, SK_HTTP_HEADERS);
    assert_int_equal(used, bytes.n);
    assert_true(out.parser.expect_continue);
    assert_int_equal(out.parser.content_length, 11);
    out.parser.body_max = 10;
    assert_int_equal(sk_http_feed(&out.parser, SK_NONE, &used, &event), SK_TOO_LARGE);
    assert_int_equal(sk_http_refusal(&out.parser), 413);
    assert_int_equal(sk_http_feed(&out.parser, bytes, &used, &event), SK_TOO_LARGE);
    end(&out);
}

TEST(streamed_bodies_come_in_parts_and_are_not_kept) {
    struct sk_span bytes = SK_SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   "4\r\ndata\r\n5\r\nmore!\r\n0\r\n\r\n");
    for (size_t step = 1; step <= bytes.n; step++) {
        struct outcome out = {.stream = true};
        begin(&out, false);
        feed_in(&out, bytes, step);
        assert_int_equal(out.status, SK_OK);
        assert_int_equal(out.messages, 1);
        assert_true(sk_span_is(sk_buffer_span(&out.bodies), "datamore!|"));
        assert_int_equal(out.parser.status, 200);
        assert_true(out.parser.keep_alive);
        end(&out);
    }
}

TEST(an_upgrade_hands_over_what_follows) {
    struct sk_span bytes =
        SK_SPAN("GET /$iothub/websocket HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: "
                "websocket\r\n\r\n"
                "\x82\x01x");
    struct outcome out = {.stop_after = 1};
    begin(&out, true);
    feed_in(&out, bytes, bytes.n);
    assert_int_equal(out.status, SK_OK);
    assert_true(out.parser.upgrade);
    assert_int_equal(out.left, 3);
    end(&out);

    struct sk_span answer = SK_SPAN(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc");
    begin(&out, false);
    feed_in(&out, answer, answer.n);
    assert_int_equal(out.parser.status, 101);
    assert_true(out.parser.upgrade);
    assert_int_equal(out.left, 3);
    end(&out);
}

TEST(an_upgrade_that_is_declined_is_an_ordinary_request) {
    struct outcome out = {0};
    begin(&out, true);
    feed_in(&out,
            SK_SPAN("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: "
                    "h2c\r\n\r\n"
                    "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"),
            1000);
    assert_int_equal(out.messages, 2);
    assert_true(sk_span_is(out.parser.path, "/next"));
    end(&out);
}

TEST(responses_end_as_their_kind_says) {
    struct outcome out = {.body_max = 100};
    begin(
        &out,
        /* an interim answer is skipped; 204 has no body; HEAD has none whatever its length says */
        false);
    feed_in(
        &out,
        SK_SPAN(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n"),
        3);
    assert_int_equal(out.messages, 1);
    assert_int_equal(out.parser.status, 204);
    out.parser.no_body = true;
    feed_in(&out, SK_SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 9);
    assert_int_equal(out.messages, 2);
    assert_int_equal(out.parser.content_length, 0);
    feed_in(&out, SK_SPAN("HTTP/1.1 200 OK\r\n\r\nuntil the"), 100);
    feed_in(&out, SK_SPAN(" end"), 100);
    assert_int_equal(out.messages, 2);
    enum sk_http_event event;
    assert_int_equal(sk_http_finish(&out.parser, &event), SK_OK);
    assert_int_equal(event, SK_HTTP_MESSAGE);
    assert_true(sk_span_is(sk_buffer_span(&out.parser.body), "until the end"));
    assert_false(out.parser.keep_alive);
    end(&out);

    begin(&out, false);
    feed_in(&out, SK_SPAN("HTTP/1.1 200 OK\r\n\r\n"), 100);
    assert_int_equal(sk_http_finish(&out.parser, &event), SK_OK);
    assert_int_equal(event, SK_HTTP_MESSAGE);
    assert_int_equal(sk_http_finish(&out.parser, &event), SK_OK);
    assert_int_equal(event, SK_HTTP_MORE);
    end(&out);

    begin(&out, false);
    feed_in(&out, SK_SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc"), 100);
    assert_int_equal(sk_http_finish(&out.parser, &event), SK_MALFORMED);
    end(&out);
}

TEST(what_smuggles_or_breaks_the_grammar_is_refused) {
    refused("GET / HTTP/1.1\r\n\r\n", 400); /* no Host */
    refused("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    refused("GET / HTTP/1.1\r\nHost: a\r\nX: y\rSmuggled: 1\r\n\r\n", 400); /* lone CR */
    refused("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n", 400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
            "Transfer-Encoding: chunked\r\n\r\n",
            400);
    refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400);
    refused("\x16\x03\x01\x02", 400); /* TLS */
    refused("FLY / HTTP/1.1\r\n\r\n", 400);
    refused("GET / HTTP/9.9\r\nHost: a\r\n\r\n", 505);
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refused("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n01234567890", 413);
}

/* Chunks of one byte with `size` bytes around each: how it ends. */
static enum sk_status with_extensions(size_t size, size_t step, unsigned *refusal) {
    struct sk_buffer text = {0};
    struct outcome out = {.body_max = 10};
    sk_buffer_text(&text, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 2; i++) {
        sk_buffer_text(&text, i ? "\r\n1;" : "1;");
        for (size_t n = i ? 6 : 4; n < size; n++) sk_buffer_byte(&text, 'x');
        sk_buffer_text(&text, "\r\ny");
    }
    sk_buffer_text(&text, "\r\n0\r\n\r\n");
    begin(&out, true);
    feed_in(&out, sk_buffer_span(&text), step);
    *refusal = sk_http_refusal(&out.parser);
    sk_buffer_free(&text);
    end(&out);
    return out.status;
}

TEST(what_stands_between_chunks_has_a_limit) {
    unsigned refusal;
    for (size_t step = 1; step < 100000; step = step * 9 + 1) {
        assert_int_equal(with_extensions(32768, step, &refusal), SK_OK);
        assert_int_equal(with_extensions(32769, step, &refusal), SK_MALFORMED);
        assert_int_equal(refusal, 400);
    }
}

/* "GET / HTTP/1.1", Host and `count` more headers with `size` bytes each. */
static enum sk_status with_headers(size_t count, size_t name_and_value, unsigned *refusal) {
    struct sk_buffer text = {0};
    sk_buffer_text(&text, "GET / HTTP/1.1\r\nHost: h\r\n"); /* counts 1 + 4 + 1 + 4 = 10 */
    for (size_t i = 0; i < count; i++) {
        sk_buffer_byte(&text, 'x');
        sk_buffer_byte(&text, ':');
        for (size_t k = 1; k < name_and_value; k++) sk_buffer_byte(&text, 'v');
        sk_buffer_text(&text, "\r\n");
    }
    sk_buffer_text(&text, "\r\n");
    struct outcome out = {0};
    begin(&out, true);
    feed_in(&out, sk_buffer_span(&text), 1000);
    enum sk_status status = out.status;
    *refusal = sk_http_refusal(&out.parser);
    assert_int_equal(out.messages, status == SK_OK);
    end(&out);
    sk_buffer_free(&text);
    return status;
}

TEST(headers_are_bounded_in_number_and_size) {
    unsigned refusal;
    assert_int_equal(with_headers(SK_HTTP_HEADERS_MAX - 1, 2, &refusal), SK_OK);
    assert_int_equal(with_headers(SK_HTTP_HEADERS_MAX, 2, &refusal), SK_TOO_LARGE);
    assert_int_equal(refusal, 431);
    assert_int_equal(with_headers(1, SK_HTTP_REQUEST_HEAD_MAX - 10, &refusal), SK_OK);
    assert_int_equal(with_headers(1, SK_HTTP_REQUEST_HEAD_MAX - 9, &refusal), SK_TOO_LARGE);
    assert_int_equal(refusal, 431);
}

TEST(targets_are_bounded) {
    for (size_t size = SK_HTTP_TARGET_MAX; size <= SK_HTTP_TARGET_MAX + 1; size++) {
        struct sk_buffer text = {0};
        sk_buffer_text(&text, "GET /");
        for (size_t i = 1; i < size; i++) sk_buffer_byte(&text, 'a');
        sk_buffer_text(&text, " HTTP/1.1\r\nHost: h\r\n\r\n");
        struct outcome out = {0};
        begin(&out, true);
        feed_in(&out, sk_buffer_span(&text), 777);
        assert_int_equal(out.status, size == SK_HTTP_TARGET_MAX ? SK_OK : SK_TOO_LARGE);
        if (out.status) assert_int_equal(sk_http_refusal(&out.parser), 414);
        end(&out);
        sk_buffer_free(&text);
    }
}

TEST(targets_in_absolute_form_are_cut_to_their_path) {
    struct outcome out = {0};
    begin(&out, true);
    feed_in(&out, SK_SPAN("GET http://host:80/a/b?c=d HTTP/1.1\r\nHost: host\r\n\r\n"), 1000);
    assert_true(sk_span_is(out.parser.path, "/a/b"));
    assert_true(sk_span_is(out.parser.query, "c=d"));
    feed_in(&out, SK_SPAN("GET http://host?c HTTP/1.1\r\nHost: host\r\n\r\n"), 1000);
    assert_true(sk_span_is(out.parser.path, "/"));
    feed_in(&out, SK_SPAN("CONNECT host:443 HTTP/1.1\r\nHost: host\r\n\r\n"), 1000);
    assert_int_equal(out.parser.method, SK_HTTP_CONNECT);
    assert_true(sk_span_is(out.parser.target, "host:443"));
    assert_int_equal(out.messages, 3);
    end(&out);
}

TEST(an_idle_parser_gives_its_memory_back) {
    struct outcome out = {.body_max = 10};
    begin(&out, true);
    assert_true(sk_http_parser_is_idle(&out.parser));
    feed_in(&out, SK_SPAN("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx"), 1000);
    assert_false(sk_http_parser_is_idle(&out.parser));
    sk_http_parser_idle(&out.parser);
    assert_non_null(out.parser.head.p);
    feed_in(&out, SK_SPAN("y"), 1000);
    assert_true(sk_http_parser_is_idle(&out.parser));
    sk_http_parser_idle(&out.parser);
    assert_null(out.parser.head.p);
    assert_null(out.parser.body.p);
    feed_in(&out, SK_SPAN("GET /again HTTP/1.1\r\nHost: h\r\n\r\n"), 1000);
    assert_int_equal(out.messages, 2);
    end(&out);
}

TEST(what_is_written_parses_to_the_same) {
    struct sk_buffer text = {0};
    sk_http_put_request(&text, SK_HTTP_PUT, SK_SPAN("/x?y=1"), SK_SPAN("hub.local"));
    sk_http_put_header(&text, "If-Match", SK_SPAN("\"a\"\r\nEvil: 1"));
    sk_http_put_body(&text, SK_SPAN("body"));
    struct outcome out = {.body_max = 10};
    begin(&out, true);
    feed_in(&out, sk_buffer_span(&text), 5);
    assert_int_equal(out.messages, 1);
    assert_true(sk_span_is(sk_http_header(&out.parser, "host"), "hub.local"));
    assert_true(sk_span_is(sk_http_header(&out.parser, "if-match"), "\"a\"  Evil: 1"));
    assert_null(sk_http_header(&out.parser, "evil").p);
    assert_true(sk_span_is(sk_buffer_span(&out.bodies), "body|"));
    end(&out);

    text.n = 0;
    sk_http_put_status(&text, 404);
    sk_http_put_header(&text, "Content-Type", SK_SPAN("text/event-stream"));
    sk_http_put_chunked(&text);
    sk_http_put_chunk(&text, SK_NONE);
    sk_http_put_event(&text, SK_SPAN("e"), SK_SPAN("7"), SK_SPAN("a\r\nb\nc\rd"));
    sk_http_put_event(&text, SK_NONE, SK_NONE, SK_NONE);
    sk_http_put_last_chunk(&text);
    out = (struct outcome){.stream = true};
    begin(&out, false);
    feed_in(&out, sk_buffer_span(&text), 1);
    assert_int_equal(out.parser.status, 404);
    assert_true(sk_span_is(sk_buffer_span(&out.bodies),
                           "event: e\nid: 7\ndata: a\ndata: b\ndata: c\ndata: d\n\ndata: \n\n|"));
    end(&out);
    sk_buffer_free(&text);
}

TEST(tokens_are_found_in_lists) {
    struct outcome out = {0};
    begin(&out, true);
    feed_in(
        &out,
        SK_SPAN("GET / HTTP/1.1\r\nHost: h\r\nSec-WebSocket-Protocol: AMQPWSB10 , mqtt\r\n\r\n"),
        1000);
    assert_true(sk_http_header_has(&out.parser, "sec-websocket-protocol", "MQTT"));
    assert_true(sk_http_header_has(&out.parser, "sec-websocket-protocol", "amqpwsb10"));
    assert_false(sk_http_header_has(&out.parser, "sec-websocket-protocol", "mqt"));
    end(&out);
}
