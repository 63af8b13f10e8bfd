/* Two ends of a connection, in memory: what one sends the other is told. */
#include "wire/amqp.h"
#include "support/test.h"

enum { SEEN_MAX = 8 };

struct side {
    struct sk_amqp *amqp;
    struct sk_amqp_link *links[SEEN_MAX];
    size_t attached, detached, transfers, outcomes, credits, closed, opened, asked;
    struct sk_buffer payload, mechanism, response, condition, host;
    struct sk_amqp_delivery *delivery;
    enum sk_amqp_outcome outcome;
    void *sent;
    bool accept;
};

static void on_sasl(void *arg, struct sk_span mechanism, struct sk_span response,
                    struct sk_span host) {
    (void)host;
    struct side *s = arg;
    s->asked++;
    sk_buffer_append(&s->mechanism, mechanism);
    sk_buffer_append(&s->response, response);
}

static void on_open(void *arg, struct sk_span host) {
    struct side *s = arg;
    s->opened++;
    sk_buffer_append(&s->host, host);
}

static void on_attach(void *arg, struct sk_amqp_link *link) {
    struct side *s = arg;
    if (s->attached < SEEN_MAX) s->links[s->attached++] = link;
    if (s->accept) sk_amqp_attach(link, 10);
}

static void on_detach(void *arg, struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    (void)link;
    struct side *s = arg;
    s->detached++;
    sk_buffer_append(&s->condition, error->condition);
}

static void on_transfer(void *arg, struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                        struct sk_span payload) {
    (void)link;
    struct side *s = arg;
    s->transfers++;
    s->delivery = delivery;
    s->payload.n = 0;
    sk_buffer_append(&s->payload, payload);
}

static void on_outcome(void *arg, struct sk_amqp_link *link, void *data,
                       enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    (void)link;
    struct side *s = arg;
    s->outcomes++;
    s->sent = data;
    s->outcome = outcome;
    sk_buffer_append(&s->condition, error->condition);
}

static void on_credit(void *arg, struct sk_amqp_link *link) {
    (void)link;
    ((struct side *)arg)->credits++;
}

static void on_close(void *arg, const struct sk_amqp_error *error) {
    struct side *s = arg;
    s->closed++;
    sk_buffer_append(&s->condition, error->condition);
}

static const struct sk_amqp_events events = {on_sasl,     on_open,    on_attach, on_detach,
                                             on_transfer, on_outcome, on_credit, on_close};

static void feed(void *arg, struct sk_span bytes) {
    for (; bytes.n; bytes = sk_span_skip(bytes, 7)) /* in pieces that fit nothing */
        sk_amqp_feed(arg, sk_span_first(bytes, 7));
}

static void collect(void *arg, struct sk_span bytes) {
    sk_buffer_append(arg, bytes);
}

static void exchange(struct side *a, struct side *b) {
    for (int i = 0; i < 8; i++) {
        sk_amqp_flush(a->amqp, feed, b->amqp);
        sk_amqp_flush(b->amqp, feed, a->amqp);
    }
}

static void begin(struct side *client, struct side *server, struct sk_amqp_options options) {
    *client = (struct side){0};
    *server = (struct side){.accept = true};
    options.container = "client";
    client->amqp = sk_amqp_new(&options, &events, client);
    server->amqp =
        sk_amqp_new(&(struct sk_amqp_options){.server = true, .container = "s"}, &events, server);
    exchange(client, server);
}

static void finish(struct side *side) {
    sk_amqp_free(side->amqp);
    struct sk_buffer *buffers[] = {&side->payload, &side->mechanism, &side->response,
                                   &side->condition, &side->host};
    for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++) sk_buffer_free(buffers[i]);
}

TEST(a_bare_connection_opens_without_sasl) {
    struct side client, server;
    begin(&client, &server, (struct sk_amqp_options){.host_name = "hub.example"});
    assert_int_equal(client.opened, 1);
    assert_int_equal(server.opened, 1);
    assert_int_equal(server.asked, 0);
    assert_true(sk_span_is(sk_buffer_span(&server.host), "hub.example"));
    sk_amqp_close(client.amqp, NULL);
    exchange(&client, &server);
    assert_int_equal(server.closed, 1);
    assert_int_equal(client.closed, 1);
    finish(&client);
    finish(&server);
}

TEST(sasl_plain_waits_for_the_verdict) {
    for (int refused = 0; refused < 2; refused++) {
        struct side client, server;
        begin(&client, &server, (struct sk_amqp_options){.user = "d@sas.hub", .password = "token"});
        assert_int_equal(server.asked, 1);
        assert_int_equal(client.opened, 0);
        assert_true(sk_span_is(sk_buffer_span(&server.mechanism), "PLAIN"));
        assert_true(sk_span_eq(sk_buffer_span(&server.response), SK_SPAN("\0d@sas.hub\0token")));
        sk_amqp_sasl_done(server.amqp, refused ? SK_AMQP_SASL_REFUSED : SK_AMQP_SASL_OK);
        exchange(&client, &server);
        assert_int_equal(client.opened, !refused);
        if (refused)
            assert_true(sk_span_is(sk_buffer_span(&client.condition), "amqp:unauthorized-access"));
        finish(&client);
        finish(&server);
    }
}

TEST(a_second_sasl_init_is_refused_whatever_the_verdict_on_the_first) {
    struct side server = {.accept = true};
    server.amqp =
        sk_amqp_new(&(struct sk_amqp_options){.server = true, .container = "s"}, &events, &server);
    static const char init[] = "\0\0\0\x17\2\1\0\0"
                               "\0S\x41\xc0\x0a\1\xa3\x07MSSBCBS";
    sk_amqp_feed(server.amqp, SK_SPAN("AMQP\3\1\0\0"));
    sk_amqp_feed(server.amqp, SK_SPAN(init));
    sk_amqp_feed(server.amqp, SK_SPAN(init));
    assert_int_equal(server.asked, 1);
    sk_amqp_sasl_done(server.amqp, SK_AMQP_SASL_OK);
    struct sk_buffer out = {0};
    sk_amqp_flush(server.amqp, collect, &out);
    assert_memory_equal(out.p + out.n - 3, "\x50\1\x40", 3); /* outcome: auth */
    sk_buffer_free(&out);
    finish(&server);
}

/* rhea, under Azure's Node SDKs, does so when a session is closed while transfers come in. */
TEST(what_comes_behind_the_end_of_a_session_is_dropped) {
    static const char hello[] = "AMQP\0\1\0\0"
                                "\0\0\0\x10\2\0\0\0\0S\x10\xc0\3\1\xa1\0"
                                "\0\0\0\x12\2\0\0\0\0S\x11\xc0\5\4\x40\x43\x43\x43"
                                "\0\0\0\x12\2\0\0\7\0S\x11\xc0\5\4\x40\x43\x43\x43";
    static const char end[] = "\0\0\0\x0c\2\0\0\7\0S\x17\x45";
    static const char disposition[] =
        "\0\0\0\x12\2\0\0\7\0S\x15\xc0\5\4\x41\x43\x43\x41"
        "\0\0\0\x19\2\0\0\7\0\x80\0\0\0\0\0\0\0\x15\xc0\5\4\x41\x43\x43\x41";
    static const char again[] = "\0\0\0\x12\2\0\0\7\0S\x11\xc0\5\4\x40\x43\x43\x43";
    static const char foreign[] = "\0\0\0\x12\2\0\0\5\0S\x15\xc0\5\4\x41\x43\x43\x41";
    for (size_t piece = 1; piece < 64; piece++) {
        struct side server = {.accept = true};
        server.amqp = sk_amqp_new(&(struct sk_amqp_options){.server = true, .container = "s"},
                                  &events, &server);
        struct sk_buffer all = {0}, out = {0};
        sk_buffer_append(&all, SK_SPAN(hello));
        for (int round = 0; round < 3; round++) {
            sk_buffer_append(&all, SK_SPAN(end));
            sk_buffer_append(&all, SK_SPAN(disposition));
            sk_buffer_append(&all, SK_SPAN(again));
            sk_buffer_append(&all, SK_SPAN("\0\0\0\x08\2\0\0\0")); /* heartbeat */
        }
        for (struct sk_span rest = sk_buffer_span(&all); rest.n;) {
            sk_amqp_feed(server.amqp, sk_span_first(rest, piece));
            rest = sk_span_skip(rest, piece);
            sk_amqp_flush(server.amqp, collect, &out);
        }
        assert_int_equal(server.opened, 1);
        assert_int_equal(server.closed, 0);
        if (piece % 2) /* what never began is an error; a Close is one of the connection */
            sk_amqp_feed(server.amqp, SK_SPAN(foreign));
        else
            sk_amqp_feed(server.amqp, SK_SPAN("\0\0\0\x0c\2\0\0\7\0S\x17\x45"
                                              "\0\0\0\x0c\2\0\0\7\0S\x18\x45"));
        sk_amqp_flush(server.amqp, collect, &out);
        assert_int_equal(server.closed, 1);
        assert_int_equal(server.condition.n > 0, piece % 2);
        sk_buffer_free(&all);
        sk_buffer_free(&out);
        finish(&server);
    }
}

TEST(what_is_sent_arrives_and_comes_back_settled) {
    struct side client, server;
    char big[200 * 1000];
    memset(big, 'x', sizeof big);
    struct sk_amqp_field property = {SK_SPAN("com.microsoft:client-version"),
                                     SK_AMQP_VALUE_STRING(SK_SPAN("test"))};
    begin(&client, &server, (struct sk_amqp_options){0});
    struct sk_amqp_link *sender = sk_amqp_open_link(
        client.amqp, &(struct sk_amqp_link_options){.name = "a",
                                                    .address = "/devices/d/messages/events",
                                                    .sender = true,
                                                    .properties = &property,
                                                    .property_count = 1});
    exchange(&client, &server);
    assert_int_equal(server.attached, 1);
    assert_false(sk_amqp_link_is_sender(server.links[0]));
    assert_true(sk_span_is(sk_amqp_link_address(server.links[0]), "/devices/d/messages/events"));
    assert_int_equal(sk_amqp_link_credit(sender), 10);
    sk_amqp_send(sender, SK_NONE, sk_span(big, sizeof big), false, big);
    exchange(&client, &server);
    assert_int_equal(server.transfers, 1);
    assert_int_equal(server.payload.n, sizeof big);
    struct sk_amqp_error why = {.condition = SK_SPAN("amqp:not-found"),
                                .description = SK_SPAN("no such thing")};
    sk_amqp_settle(server.links[0], server.delivery, SK_AMQP_REJECTED, &why);
    exchange(&client, &server);
    assert_int_equal(client.outcomes, 1);
    assert_int_equal(client.outcome, SK_AMQP_REJECTED);
    assert_ptr_equal(client.sent, big);
    assert_true(sk_span_is(sk_buffer_span(&client.condition), "amqp:not-found"));
    assert_int_equal(sk_amqp_link_credit(sender), 9);
    for (int i = 0; i < 4; i++) { /* half of the credit brings all of it back */
        sk_amqp_send(sender, SK_NONE, SK_SPAN("x"), false, NULL);
        exchange(&client, &server);
        sk_amqp_settle(server.links[0], server.delivery, SK_AMQP_ACCEPTED, NULL);
    }
    exchange(&client, &server);
    assert_int_equal(client.outcomes, 5);
    assert_int_equal(sk_amqp_link_credit(sender), 10);
    finish(&client);
    finish(&server);
}

TEST(a_transfer_beyond_the_limit_costs_its_link_only) {
    struct side client, server;
    struct sk_buffer big = {0};
    sk_buffer_reserve(&big, SK_AMQP_MESSAGE_MAX + 1);
    memset(big.p, 'x', SK_AMQP_MESSAGE_MAX + 1);
    for (size_t over = 0; over < 2; over++) {
        begin(&client, &server, (struct sk_amqp_options){0});
        struct sk_amqp_link *sender = sk_amqp_open_link(
            client.amqp,
            &(struct sk_amqp_link_options){.name = "a", .address = "a", .sender = true});
        sk_amqp_open_link(client.amqp, &(struct sk_amqp_link_options){
                                           .name = "b", .address = "b", .sender = true});
        exchange(&client, &server);
        sk_amqp_send(sender, SK_NONE, sk_span(big.p, SK_AMQP_MESSAGE_MAX + over), false, NULL);
        exchange(&client, &server);
        assert_int_equal(server.transfers, !over);
        assert_int_equal(server.detached, over);
        assert_int_equal(client.detached, over);
        assert_int_equal(client.closed, 0);
        if (over)
            assert_true(
                sk_span_is(sk_buffer_span(&client.condition), "amqp:link:message-size-exceeded"));
        finish(&client);
        finish(&server);
    }
    sk_buffer_free(&big);
}

TEST(a_refused_link_tells_why_and_leaves_the_connection) {
    struct side client, server;
    begin(&client, &server, (struct sk_amqp_options){0});
    server.accept = false;
    sk_amqp_open_link(client.amqp,
                      &(struct sk_amqp_link_options){.name = "a", .address = "x", .credit = 1});
    exchange(&client, &server);
    struct sk_amqp_error why = {.condition = SK_SPAN("amqp:unauthorized-access"),
                                .description = SK_SPAN("no")};
    sk_amqp_refuse(server.links[0], &why);
    exchange(&client, &server);
    assert_int_equal(client.detached, 1);
    assert_true(sk_span_is(sk_buffer_span(&client.condition), "amqp:unauthorized-access"));
    assert_int_equal(client.closed, 0);
    finish(&client);
    finish(&server);
}

TEST(credit_that_came_before_the_answer_to_the_attach_is_told_with_it) {
    struct side client, server;
    begin(&client, &server, (struct sk_amqp_options){0});
    server.accept = false;
    sk_amqp_open_link(client.amqp,
                      &(struct sk_amqp_link_options){.name = "a", .address = "x", .credit = 5});
    exchange(&client, &server);
    assert_int_equal(server.credits, 0);
    sk_amqp_attach(server.links[0], 0);
    exchange(&client, &server);
    assert_int_equal(server.credits, 1);
    assert_int_equal(sk_amqp_link_credit(server.links[0]), 5);
    finish(&client);
    finish(&server);
}

TEST(rubbish_ends_the_connection_with_an_error) {
    static const char *const inputs[] = {"AMQP\0\1\0\0\0\0\0\4garbage!", "AMQP\0\2\0\0",
                                         "AMQP\0\1\0\0\377\377\377\377\2\0\0\0"};
    static const size_t sizes[] = {20, 8, 16};
    for (size_t i = 0; i < 3; i++) {
        struct side server = {.accept = true};
        server.amqp = sk_amqp_new(&(struct sk_amqp_options){.server = true, .container = "s"},
                                  &events, &server);
        feed(server.amqp, sk_span(inputs[i], sizes[i]));
        assert_int_equal(server.closed, 1);
        finish(&server);
    }
}

TEST(a_message_survives_encoding_and_decoding) {
    struct sk_arena arena = {0};
    struct sk_buffer bytes = {0};
    struct sk_span bodies[] = {SK_SPAN("one"), SK_SPAN("two")};
    struct sk_amqp_field annotation = {SK_SPAN("x-opt-sequence-number"), SK_AMQP_VALUE_LONG(7)};
    struct sk_amqp_field application[] = {{SK_SPAN("k"), SK_AMQP_VALUE_STRING(SK_SPAN("v"))},
                                          {SK_SPAN("n"), SK_AMQP_VALUE_INT(-5)},
                                          {SK_SPAN("b"), SK_AMQP_VALUE_BOOL(true)}};
    struct sk_amqp_value uuid = {SK_AMQP_UUID,
                                 .text = SK_SPAN("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb"
                                                 "\xcc\xdd\xee\xff")};
    struct sk_amqp_message message = {.message_id = uuid,
                                      .to = SK_SPAN("/devices/d"),
                                      .content_type = SK_SPAN("application/json"),
                                      .expiry_ms = 1700000000000,
                                      .annotations = &annotation,
                                      .annotation_count = 1,
                                      .application = application,
                                      .application_count = 3,
                                      .data = bodies,
                                      .data_count = 2};
    struct sk_amqp_message back;
    sk_amqp_encode(&bytes, &message);
    assert_int_equal(sk_amqp_decode(sk_buffer_span(&bytes), &arena, &back), SK_OK);
    assert_true(
        sk_span_is(sk_amqp_text(&back.message_id, &arena), "00112233-4455-6677-8899-aabbccddeeff"));
    assert_true(sk_span_is(back.to, "/devices/d"));
    assert_true(sk_span_is(back.content_type, "application/json"));
    assert_int_equal(back.expiry_ms, 1700000000000);
    assert_int_equal(back.application_count, 3);
    assert_true(sk_span_is(
        sk_amqp_text(sk_amqp_find(back.application, back.application_count, "n"), &arena), "-5"));
    assert_true(sk_span_is(
        sk_amqp_text(sk_amqp_find(back.application, back.application_count, "b"), &arena), "true"));
    assert_int_equal(
        sk_amqp_find(back.annotations, back.annotation_count, "x-opt-sequence-number")->i, 7);
    assert_int_equal(back.data_count, 2);
    assert_true(sk_span_is(back.data[1], "two"));
    for (size_t n = 1; n < bytes.n; n++) /* cut anywhere: refused or less, never more */
        sk_amqp_decode(sk_span(bytes.p, n), &arena, &back);
    sk_buffer_free(&bytes);
    sk_arena_free(&arena);
}

TEST(a_transfer_tells_the_format_of_its_message) {
    static const uint32_t formats[] = {0, SK_AMQP_FORMAT_BATCH};
    for (size_t i = 0; i < 2; i++) {
        struct side client, server;
        begin(&client, &server, (struct sk_amqp_options){0});
        struct sk_amqp_link *sender = sk_amqp_open_link(
            client.amqp, &(struct sk_amqp_link_options){
                             .name = "a", .address = "x", .sender = true, .format = formats[i]});
        exchange(&client, &server);
        sk_amqp_send(sender, SK_NONE, SK_SPAN("x"), false, NULL);
        exchange(&client, &server);
        assert_int_equal(server.transfers, 1);
        assert_int_equal(sk_amqp_link_format(server.links[0]), formats[i]);
        finish(&client);
        finish(&server);
    }
}
