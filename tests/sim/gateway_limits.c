/* What strangers may send and how many may come, at each limit and one beyond it: docs/decisions
 * 0011-budgets.md and 0012-doors.md. */
#include "support/raw_frames.h"
#include "support/raw_http.h"
#include "support/test.h"

enum { UNPROVED_MAX = 16384 };

/* ---- before a credential ---- */

/* `size` is what the packet says: its bytes behind the fixed header. */
static void connect_of_size(struct raw_client *c, struct fleet *f, size_t size) {
    enum { FIXED_HEADER = 4 };
    static char payload[2 * UNPROVED_MAX];
    struct sk_buffer out = {0};
    struct raw_connect as = {.device = "d1",
                             .clean = true,
                             .will_topic = "devices/d1/messages/events/",
                             .will_payload = payload};
    for (size_t n = size - 1024; out.n < size + FIXED_HEADER; n++) {
        memset(payload, 'x', n);
        payload[n] = 0;
        out.n = 0;
        raw_put_connect(&out, f, &as);
    }
    assert_int_equal(out.n, size + FIXED_HEADER);
    raw_open(c, f, "hub.test");
    raw_send_buffer(c, &out);
}

AROUND(fleet_new_world, fleet_free_world);

TEST(a_connect_packet_of_16_kilobytes_is_read_and_no_larger_one) {
    struct fleet *f = *state;
    struct raw_client c;
    connect_of_size(&c, f, UNPROVED_MAX);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_free(&c);
    connect_of_size(&c, f, UNPROVED_MAX + 1);
    raw_expect_closed(&c);
    raw_free(&c);
}

/* Target, header names and values count, and what stands between a header and the next. */
TEST(http_headers_of_16_kilobytes_are_read_and_no_longer_ones) {
    struct fleet *f = *state;
    static const char target[] = "/devices/d1" VERSION, names[] = "Host: \r\nX";
    for (size_t over = 0; over < 2; over++) {
        struct raw_client c;
        struct raw_answer answer;
        struct sk_buffer out = {0};
        sk_buffer_print(&out, "GET %s HTTP/1.1\r\nHost: hub.test\r\nX: ", target);
        size_t said = strlen(target) + strlen(names) + strlen("hub.test");
        for (size_t n = said; n < UNPROVED_MAX + over; n++) sk_buffer_byte(&out, 'x');
        sk_buffer_text(&out, "\r\n\r\n");
        raw_open(&c, f, "hub.test");
        raw_send_buffer(&c, &out);
        raw_next_answer(&c, &answer);
        assert_int_equal(answer.parser.status, over ? 431 : 401);
        sk_http_parser_free(&answer.parser);
        raw_free(&c);
    }
}

/* Says `size` bytes, the last of them the last of a token. */
static void put_token_at(struct raw_client *c, struct fleet *f, size_t size) {
    struct sk_buffer out = {0}, token = {0};
    char address[200];
    raw_open(c, f, "hub.test");
    put_opening(&out);
    put_attach(&out, 0, 9, "$cbs");
    put_receiver(&out, 8, "$cbs", 10);
    put_token(&token, f, 9, 0);
    while (out.n + token.n + 200 < size)
        sk_buffer_append(&out, SK_SPAN("\0\0\0\x08\2\0\0\0")); /* empty frames */
    size_t before = out.n;
    put_attach(&out, 0, 1, "");
    size_t length = size - token.n - out.n; /* of an address that makes it fit */
    memset(address, 'x', length);
    address[length] = 0;
    out.n = before;
    put_attach(&out, 0, 1, address);
    sk_buffer_append(&out, sk_buffer_span(&token));
    assert_int_equal(out.n, size);
    for (size_t n = 0; n < size; n += 1000) { /* not all at once: links want to be answered */
        raw_send(c, sk_span_first(sk_span_skip(sk_buffer_span(&out), n), 1000));
        sk_sim_run(f->sim, 10 * SK_MS);
    }
    sk_sim_run(f->sim, SK_S);
    sk_buffer_free(&out);
    sk_buffer_free(&token);
}

TEST(an_amqp_credential_within_16_kilobytes_is_heard_and_no_later_one) {
    struct fleet *f = *state;
    struct raw_client c;
    put_token_at(&c, f, UNPROVED_MAX);
    assert_true(has_bytes(&c, SK_SPAN("status-code")));
    raw_free(&c);
    put_token_at(&c, f, UNPROVED_MAX + 1);
    assert_false(has_bytes(&c, SK_SPAN("status-code")));
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, raw_is_closed, &c));
    raw_free(&c);
}

/* ---- the door ---- */

static uint64_t turned_away(struct fleet *f, enum sk_turned_away reason) {
    return sk_io_counts(f->hub_io)->turned_away[reason];
}

/* With the service's own connection; `size` strangers fit, and the one beyond sends the oldest
 * away for the reason that says which limit it was. `two`: every other one comes from another
 * machine. */
static void expect_limit(struct fleet *f, struct sk_door_limits limits, size_t size, bool two,
                         enum sk_turned_away reason) {
    struct raw_client c[8];
    struct sk_io *machines[] = {f->field_io, two ? f->edge_io : f->field_io};
    struct fleet from = *f;
    sk_io_limit(f->hub_io, limits);
    for (size_t i = 0; i <= size; i++) {
        for (size_t j = 0; j < SK_AWAY_COUNT; j++) assert_int_equal(turned_away(f, j), 0);
        from.field_io = machines[(i + 1) % 2];
        raw_open(&c[i], &from, "hub.test");
        sk_sim_run(f->sim, SK_S);
    }
    for (size_t j = 0; j < SK_AWAY_COUNT; j++)
        assert_int_equal(turned_away(f, j), j == (size_t)reason);
    for (size_t i = 0; i <= size; i++) {
        assert_int_equal(c[i].stream == NULL, i == 0);
        raw_free(&c[i]);
    }
}

TEST(the_door_holds_max_connections_and_not_one_more) {
    struct sk_door_limits limits = {.connections = 6, .an_address = 6, .unproved = 6};
    expect_limit(*state, limits, 5, true, SK_AWAY_CONNECTIONS);
}

TEST(an_address_holds_max_connections_per_address_and_not_one_more) {
    struct sk_door_limits limits = {.connections = 20, .an_address = 4, .unproved = 20};
    expect_limit(*state, limits, 3, false, SK_AWAY_ADDRESS);
}

TEST(strangers_are_max_unauthenticated_and_not_one_more) {
    struct sk_door_limits limits = {.connections = 20, .an_address = 20, .unproved = 4};
    expect_limit(*state, limits, 4, true, SK_AWAY_UNPROVED);
}
