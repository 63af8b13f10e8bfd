/* WebSocket frames byte by byte, after RFC 6455. */
#include "wire/websocket.h"
#include "support/test.h"

struct side {
    struct sk_websocket *ws;
    struct sk_buffer payload, out;
};

static void no_random(void *arg, void *to, size_t n) {
    (void)arg;
    memset(to, 0, n);
}

static struct side side(bool server) {
    return (struct side){.ws = sk_websocket_new(server ? NULL : no_random, NULL)};
}

static void side_free(struct side *s) {
    sk_websocket_free(s->ws);
    sk_buffer_free(&s->payload);
    sk_buffer_free(&s->out);
}

static enum sk_status feed(struct side *s, const char *hex) {
    struct sk_buffer bytes = {0};
    for (; *hex; hex++) {
        if (*hex == ' ') continue;
        assert_int_equal(sk_hex_decode(&bytes, sk_span(hex, 2)), SK_OK);
        hex++;
    }
    enum sk_status status = sk_websocket_feed(s->ws, sk_buffer_span(&bytes), &s->payload, &s->out);
    sk_buffer_free(&bytes);
    return status;
}

static void assert_bytes(const struct sk_buffer *buffer, const char *bytes, size_t n) {
    assert_int_equal(buffer->n, n);
    if (n) assert_memory_equal(buffer->p, bytes, n);
}

/* What a server answers to frames that break the rules: a Close with this code. */
static void refused(const char *hex, unsigned code, enum sk_status status) {
    struct side s = side(true);
    if (feed(&s, hex) != status) fail_msg("not refused as expected: %s", hex);
    const char close[] = {(char)0x88, 2, (char)(code >> 8), (char)(code & 0xFF)};
    assert_bytes(&s.out, close, sizeof close);
    assert_int_equal(sk_websocket_closed(s.ws), code);
    side_free(&s);
}

TEST(a_masked_binary_frame_is_its_payload) {
    struct side s = side(true);
    assert_int_equal(feed(&s, "82 85 37fa213d 7f9f4d5158"), SK_OK); /* RFC 6455, 5.7 */
    assert_bytes(&s.payload, "Hello", 5);
    assert_int_equal(s.out.n, 0);
    side_free(&s);
}

TEST(a_frame_may_come_byte_by_byte) {
    struct side s = side(true);
    static const char *const bytes[] = {"82", "85", "37", "fa", "21", "3d",
                                        "7f", "9f", "4d", "51", "58"};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++)
        assert_int_equal(feed(&s, bytes[i]), SK_OK);
    assert_bytes(&s.payload, "Hello", 5);
    side_free(&s);
}

TEST(payload_goes_through_before_its_frame_is_complete) {
    struct side s = side(true);
    assert_int_equal(feed(&s, "82 fe 0100 00000000 4142"), SK_OK);
    assert_bytes(&s.payload, "AB", 2);
    side_free(&s);
}

TEST(fragments_are_one_stream_and_a_ping_may_stand_between) {
    struct side s = side(true);
    assert_int_equal(feed(&s, "02 81 00000000 41  89 82 00000000 7071  80 81 00000000 42"), SK_OK);
    assert_bytes(&s.payload, "AB", 2);
    assert_bytes(&s.out, "\x8a\x02pq", 4);
    assert_int_equal(feed(&s, "82 81 00000000 43"), SK_OK); /* a new message may begin */
    assert_bytes(&s.payload, "ABC", 3);
    side_free(&s);
}

TEST(empty_frames_and_pongs_are_nothing) {
    struct side s = side(true);
    assert_int_equal(feed(&s, "82 80 00000000  8a 81 00000000 70  02 80 00000000  80 80 00000000"),
                     SK_OK);
    assert_int_equal(s.payload.n + s.out.n, 0);
    side_free(&s);
}

TEST(frames_that_break_the_protocol_are_refused_with_1002) {
    refused("82 01 41", 1002, SK_MALFORMED);                           /* unmasked */
    refused("82 00", 1002, SK_MALFORMED);                              /* unmasked and empty */
    refused("c2 81 00000000 41", 1002, SK_MALFORMED);                  /* reserved bit */
    refused("83 81 00000000 41", 1002, SK_MALFORMED);                  /* reserved opcode */
    refused("8b 81 00000000 41", 1002, SK_MALFORMED);                  /* … of control frames */
    refused("80 81 00000000 41", 1002, SK_MALFORMED);                  /* continues nothing */
    refused("02 80 00000000 82 80 00000000", 1002, SK_MALFORMED);      /* two messages at once */
    refused("09 80 00000000", 1002, SK_MALFORMED);                     /* a ping in fragments */
    refused("89 fe 007e 00000000 41", 1002, SK_MALFORMED);             /* a ping of 126 bytes */
    refused("82 fe 007d 00000000 41", 1002, SK_MALFORMED);             /* length not minimal */
    refused("82 ff 8000000000000000 00000000 41", 1002, SK_MALFORMED); /* length negative */
}

TEST(text_is_refused_with_1003) {
    refused("81 81 00000000 41", 1003, SK_MALFORMED);
}

TEST(a_client_refuses_masked_frames) {
    struct side s = side(false);
    assert_int_equal(feed(&s, "82 81 00000000 41"), SK_MALFORMED);
    side_free(&s);
}

TEST(a_message_may_be_16_mb_and_not_a_byte_more) {
    struct side s = side(true);
    assert_int_equal(feed(&s, "82 ff 0000000001000000 00000000 41"), SK_OK);
    side_free(&s);
    refused("82 ff 0000000001000001 00000000 41", 1009, SK_TOO_LARGE);
    /* … in fragments too */
    refused("02 81 00000000 41 80 ff 0000000001000000 00000000 41", 1009, SK_TOO_LARGE);
}

TEST(a_close_is_answered_with_its_code) {
    static const struct {
        const char *sent, *answer;
        size_t answer_size;
    } cases[] = {
        {"88 80 00000000", "\x88\x00", 2},
        {"88 82 00000000 03e8", "\x88\x02\x03\xe8", 4},
        {"88 85 00000000 0fa0 627965", "\x88\x02\x0f\xa0", 4},
        {"88 81 00000000 03", "\x88\x02\x03\xea", 4},   /* half a code */
        {"88 82 00000000 03ed", "\x88\x02\x03\xea", 4}, /* 1005 is never sent */
        {"88 82 00000000 03e7", "\x88\x02\x03\xea", 4}, /* 999 */
        {"88 82 00000000 1388", "\x88\x02\x03\xea", 4}, /* 5000 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct side s = side(true);
        assert_int_equal(feed(&s, cases[i].sent), SK_CLOSED);
        assert_bytes(&s.out, cases[i].answer, cases[i].answer_size);
        s.out.n = 0;
        sk_websocket_put(s.ws, SK_SPAN("late"), &s.out);
        sk_websocket_put_close(s.ws, SK_WEBSOCKET_NORMAL, &s.out);
        assert_int_equal(s.out.n, 0); /* nothing follows a Close */
        side_free(&s);
    }
}

TEST(payload_before_a_fault_counts) {
    struct side s = side(true);
    assert_int_equal(feed(&s, "82 81 00000000 41 81 81 00000000 42"), SK_MALFORMED);
    assert_bytes(&s.payload, "A", 1);
    side_free(&s);
}

TEST(what_one_side_writes_the_other_reads) {
    static char bytes[200000];
    static const size_t sizes[] = {0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 200000};
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)(i * 31);
    for (int from_server = 0; from_server < 2; from_server++) {
        struct side writer = side(from_server), reader = side(!from_server);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            writer.out.n = reader.payload.n = 0;
            sk_websocket_put(writer.ws, sk_span(bytes, sizes[i]), &writer.out);
            assert_int_equal(sk_websocket_feed(reader.ws, sk_buffer_span(&writer.out),
                                               &reader.payload, &reader.out),
                             SK_OK);
            assert_bytes(&reader.payload, bytes, sizes[i]);
        }
        side_free(&writer);
        side_free(&reader);
    }
}

TEST(the_handshake_is_the_specification_s_example) {
    struct sk_span key = SK_SPAN("dGhlIHNhbXBsZSBub25jZQ=="); /* RFC 6455, 1.3 */
    char accept[SK_WEBSOCKET_ACCEPT_SIZE + 1];
    assert_true(sk_websocket_key_valid(key));
    sk_websocket_accept(key, accept);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_false(sk_websocket_key_valid(SK_NONE));
    assert_false(sk_websocket_key_valid(SK_SPAN("dGhlIHNhbXBsZSBub25jZQ=")));
    assert_false(sk_websocket_key_valid(SK_SPAN("dGhlIHNhbXBsZSBub25jZQ!!")));
    assert_false(sk_websocket_key_valid(SK_SPAN("dGhlIHNhbXBsZSBub25jZQBh")));
}
