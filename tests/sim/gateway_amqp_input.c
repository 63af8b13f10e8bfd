/* What an AMQP client may do wrong: each with its condition, and who shares the connection or
 * the hub goes on. */
#include "support/raw_amqp.h"
#include "support/raw_frames.h"
#include "support/test.h"

#define EVENTS "/devices/d1/messages/events"

/* A connection on which d1 has its link. */
static void open_d1(struct raw_amqp *c, struct raw_link *link, struct fleet *f) {
    *link = (struct raw_link){0};
    raw_amqp_open(c, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(c, "d1");
    raw_link_sender(c, link, EVENTS);
    assert_non_null(link->amqp);
}

AROUND(fleet_new_world, fleet_free_world);

/* ---- frames ---- */

TEST(malformed_frames_end_their_connection_and_no_other) {
    struct fleet *f = *state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\0\0\0\7\2\0\0\0", 8},                              /* a size below its own header */
        {"\0\0\0\x08\1\0\0\0", 8},                            /* data offset inside the header */
        {"\0\0\0\x08\x0a\0\0\0", 8},                          /* and behind the frame's end */
        {"\x7f\xff\xff\xff\2\0\0\0", 8},                      /* 2 GB */
        {"\0\1\0\1\2\0\0\0", 8},                              /* max-frame-size and 1 */
        {"\0\0\0\x0c\2\0\0\0\0\x53\x99\x45", 12},             /* a performative that there is not */
        {"\0\0\0\x0c\2\0\0\0junk", 12},                       /* no performative */
        {"\0\0\0\x10\2\0\0\0\0\x53\x10\xc0\xff\1\xa1\1", 16}, /* a list longer than its frame */
    };
    struct raw_amqp other;
    struct raw_link link;
    open_d1(&other, &link, f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_client c;
        struct sk_buffer out = {0};
        raw_open(&c, f, "hub.test");
        put_header(&out);
        put_open(&out);
        sk_buffer_append(&out, sk_span(cases[i].bytes, cases[i].size));
        raw_send_buffer(&c, &out);
        if (!sk_sim_run_until(c.sim, 30 * SK_S, raw_is_closed, &c))
            fail_msg("case %zu is still connected", i);
        raw_free(&c);
        assert_null(raw_link_try(&link, SK_SPAN("unharmed")));
    }
    raw_amqp_free(&other);
}

TEST(frames_out_of_order_end_the_connection) {
    struct fleet *f = *state;
    for (int i = 0; i < 8; i++) {
        struct raw_client c;
        struct sk_buffer out = {0};
        raw_open(&c, f, "hub.test");
        put_header(&out);
        if (i) put_open(&out);
        if (i > 2) put_begin(&out, 0);
        raw_say(&c, &out);
        switch (i) {
        case 0: put_begin(&out, 0); break;                     /* before open */
        case 1: put_open(&out); break;                         /* open twice */
        case 2: put_attach(&out, 0, 0, "$cbs"); break;         /* before begin */
        case 3: put_transfer(&out, 0, 0, SK_SPAN("x")); break; /* before attach */
        case 4:                                                /* a handle twice */
            put_attach(&out, 0, 0, "$cbs");
            put_attach(&out, 0, 0, "$cbs");
            break;
        case 5: put_frame(&out, 0, DETACH, SK_SPAN("\x52\x05\x41"), 2, SK_NONE); break;
        case 6: put_frame(&out, 9, END, SK_NONE, 0, SK_NONE); break; /* what never began */
        case 7: put_begin(&out, 8192); break; /* beyond channel-max, which is 8191 */
        }
        raw_send_buffer(&c, &out);
        if (!sk_sim_run_until(c.sim, 30 * SK_S, raw_is_closed, &c))
            fail_msg("case %d is still connected", i);
        raw_free(&c);
    }
}

TEST(a_channel_that_begins_again_ends_the_connection) {
    struct fleet *f = *state;
    static const char *const addresses[] = {EVENTS};
    struct raw_client c;
    struct sk_buffer out = {0};
    login_raw(&c, f, addresses, 1); /* this is one session */
    put_begin(&out, 0);
    raw_send_buffer(&c, &out);
    assert_true(sk_sim_run_until(c.sim, 30 * SK_S, raw_is_closed, &c));
    assert_true(has_bytes(&c, SK_SPAN("amqp:illegal-state")));
    raw_free(&c);
}

/* ---- proving who one is ---- */

TEST(who_proves_nothing_for_a_minute_is_hung_up_on) {
    struct fleet *f = *state;
    for (int links = 0; links < 2; links++) {
        struct raw_amqp c;
        raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
        uint64_t start_ns = sk_io_now(f->field_io);
        if (links)
            assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices/d1",
                                               "d3Jvbmcgd3Jvbmcgd3Jvbmc=", NULL, 3600),
                             401); /* and a wrong token proves nothing */
        sk_sim_run(f->sim, start_ns + 59 * SK_S - sk_io_now(f->field_io));
        assert_non_null(c.stream);
        sk_sim_run(f->sim, 2 * SK_S);
        assert_null(c.stream);
        assert_string_equal(c.condition, "amqp:unauthorized-access");
        raw_amqp_free(&c);
    }
}

TEST(an_unproved_connection_is_read_to_16_kilobytes) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_open(&c, f, "hub.test");
    put_opening(&out);
    put_attach(&out, 0, 0, "$cbs");
    raw_say(&c, &out);
    for (int i = 0; i < 1024; i++)
        put_frame(&out, 0, FLOW, SK_SPAN("\x43\x52\x7f\x43\x52\x7f"), 4, SK_NONE);
    for (int i = 0; i < 40; i++) raw_send(&c, sk_buffer_span(&out));
    sk_sim_run(f->sim, SK_S);
    assert_true(sk_stream_pending(c.stream) > 10 * out.n); /* nobody takes it */
    sk_buffer_free(&out);
    assert_true(sk_sim_run_until(f->sim, 70 * SK_S, raw_is_closed, &c)); /* the minute is over */
    raw_free(&c);
}

TEST(an_unproved_connection_gets_few_sessions_and_links) {
    struct fleet *f = *state;
    for (unsigned over = 0; over < 2; over++) {
        struct raw_client c;
        struct sk_buffer out = {0};
        raw_open(&c, f, "hub.test");
        put_header(&out);
        put_open(&out);
        for (unsigned i = 0; i < SK_AMQP_STRANGER_SESSIONS_MAX + over; i++) put_begin(&out, i);
        raw_say(&c, &out);
        assert_int_equal(raw_is_closed(&c), over);
        raw_free(&c);
        raw_open(&c, f, "hub.test");
        put_opening(&out);
        enum { LINKS_MAX = 32 };
        for (unsigned i = 0; i < LINKS_MAX + over; i++)
            put_attach(&out, 0, (unsigned char)i, "$cbs");
        raw_say(&c, &out);
        assert_int_equal(raw_is_closed(&c), over);
        raw_free(&c);
    }
}

TEST(a_bare_connection_needs_a_token_before_its_links) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link early = {0}, later = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    raw_link_sender(&c, &early, EVENTS);
    raw_link_expect_end(&early, "amqp:unauthorized-access");
    raw_amqp_prove(&c, "d1");
    raw_link_sender(&c, &later, EVENTS);
    assert_null(raw_link_try(&later, SK_SPAN("x")));
    raw_amqp_free(&c);
}

TEST(a_token_opens_no_other_identity) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link mine, other = {0};
    open_d1(&c, &mine, f);
    raw_link_sender(&c, &other, "/devices/d2/messages/events");
    raw_link_expect_end(&other, "amqp:unauthorized-access");
    raw_link_receiver(&c, &other, "/devices/d2/messages/devicebound", 1);
    raw_link_expect_end(&other, "amqp:unauthorized-access");
    raw_link_sender(&c, &other, "/messages/devicebound");
    raw_link_expect_end(&other, "amqp:unauthorized-access");
    /* a service's token without the right */
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", NULL, "reader", 3600), 200);
    raw_link_sender(&c, &other, "/devices/d2/messages/events");
    raw_link_expect_end(&other, "amqp:unauthorized-access");
    /* wrong key, no such device, long expired, another hub */
    assert_int_equal(
        raw_amqp_token_of(&c, "hub.test/devices/d2", "d3Jvbmcgd3Jvbmcgd3Jvbmc=", NULL, 3600), 401);
    assert_in_range(raw_amqp_token_of(&c, "hub.test/devices/d3", NULL, NULL, 3600), 401, 404);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices/d2", NULL, NULL, -600), 401);
    assert_int_equal(raw_amqp_token_of(&c, "other.test/devices/d2", NULL, NULL, 3600), 401);
    assert_null(raw_link_try(&mine, SK_SPAN("unharmed")));
    raw_amqp_free(&c);
}

TEST(the_ten_thousandth_token_is_taken_and_one_more_is_refused) {
    enum { MOST = 10000 };
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link mine;
    char scope[64];
    open_d1(&c, &mine, f); /* the first one */
    for (int i = 1; i < MOST; i++) {
        snprintf(scope, sizeof scope, "hub.test/devices/x%d", i);
        assert_int_equal(raw_amqp_token_of(&c, scope, NULL, "owner", 3600), 200);
    }
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices/more", NULL, "owner", 3600), 403);
    raw_amqp_prove(&c, "d1"); /* a renewal is not one more */
    assert_null(raw_link_try(&mine, SK_SPAN("unharmed")));
    raw_amqp_free(&c);
}

TEST(bad_sasl_is_refused) {
    struct fleet *f = *state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {
        {"\0\0\0\x16\2\1\0\0\0\x53\x41\xc0\x09\1\xa3\6MAGIC!", 22},          /* no mechanism */
        {"\0\0\0\x1b\2\1\0\0\0\x53\x41\xc0\x0e\2\xa3\5PLAIN\xa0\4none", 27}, /* no user in it */
        {"\0\0\0\x0c\2\1\0\0\0\x53\x44\x45", 12},                            /* an outcome */
        {"\0\0\0\x0c\2\0\0\0\0\x53\x10\x45", 12},                            /* AMQP inside SASL */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_client c;
        raw_open(&c, f, "hub.test");
        raw_send(&c, SK_SPAN("AMQP\3\1\0\0"));
        raw_send(&c, sk_span(cases[i].bytes, cases[i].size));
        raw_send(&c, SK_SPAN("AMQP\0\1\0\0"));
        if (!sk_sim_run_until(c.sim, 70 * SK_S, raw_is_closed, &c))
            fail_msg("case %zu is still connected", i);
        raw_free(&c);
    }
    struct raw_amqp c;
    raw_amqp_dial(&c, f, &(struct raw_amqp_options){.user = "d1@sas.hub", .password = "wrong"});
    assert_true(sk_sim_run_until(f->sim, 70 * SK_S, raw_amqp_is_closed, &c));
    assert_false(c.open);
    raw_amqp_free(&c);
}

/* ---- addresses ---- */

TEST(an_address_of_nothing_is_not_found_and_other_links_go_on) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link mine, other = {0};
    struct sk_buffer longest = {0};
    sk_buffer_text(&longest, "/devices/");
    for (int i = 0; i < 4000; i++) sk_buffer_text(&longest, "longlong");
    sk_buffer_text(&longest, "/messages/events");
    sk_buffer_byte(&longest, 0);
    const char *const nowhere[] = {"",
                                   "/devices/d1",
                                   "/devices/d1/nothing",
                                   "/devices//messages/events",
                                   "/devices/d1/modules//messages/events",
                                   "/devices/d1/messages/devicebound", /* the wrong way */
                                   "amqps://hub.test",
                                   "//////",
                                   longest.p};
    open_d1(&c, &mine, f);
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        raw_link_sender(&c, &other, nowhere[i]);
        if (other.amqp) fail_msg("%.40s is an address", nowhere[i]);
        /* an id that no identity can have is nobody's, and nothing was proved for it */
        const char *condition =
            nowhere[i] == longest.p ? "amqp:unauthorized-access" : "amqp:not-found";
        if (strcmp(other.condition, condition) != 0)
            fail_msg("%.40s: %s", nowhere[i], other.condition);
        assert_null(raw_link_try(&mine, SK_SPAN("unharmed")));
    }
    sk_buffer_free(&longest);
    raw_amqp_free(&c);
}

/* ---- credit ---- */

static unsigned stored(struct fleet *f) {
    return (unsigned)sk_hub_counts(sk_hub_server_hub(f->hub, 0)).telemetry_total;
}

TEST(transfers_beyond_the_credit_cost_the_link) {
    struct fleet *f = *state;
    for (unsigned over = 0; over < 2; over++) {
        const char *addresses[] = {EVENTS, "/devices/d2/messages/events"};
        struct raw_client c;
        struct sk_buffer out = {0};
        unsigned before = stored(f);
        login_raw(&c, f, addresses, 2);
        sk_sim_disk_slow(f->hub_io, 10 * SK_S); /* no credit comes back */
        for (unsigned i = 0; i < 100 + over; i++)
            put_transfer(&out, 0, 1 + i, SK_SPAN("\0\x53\x75\xa0\1x"));
        put_transfer(&out, 1, 101 + over, SK_SPAN("\0\x53\x75\xa0\1y"));
        raw_say(&c, &out);
        assert_int_equal(has_bytes(&c, SK_SPAN("amqp:link:transfer-limit-exceeded")), over);
        sk_sim_disk_slow(f->hub_io, SK_MS);
        sk_sim_run(f->sim, 60 * SK_S);
        assert_non_null(c.stream);
        /* What was in the credit, and the other link's. */
        assert_int_equal(stored(f) - before, 101);
        raw_free(&c);
    }
}

/* Forty-one devices at their credit are more than one connection may have under way. */
TEST(beyond_4096_requests_under_way_the_rest_waits_and_is_taken) {
    enum { DEVICES = 42, EACH = 100 };
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link *links = sk_alloc(DEVICES * sizeof *links);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices", NULL, "owner", 3600), 200);
    for (int i = 0; i < DEVICES; i++) {
        char name[16], address[64];
        snprintf(name, sizeof name, "many%d", i);
        snprintf(address, sizeof address, "/devices/%s/messages/events", name);
        fleet_put_device(f, name, "");
        raw_link_sender(&c, &links[i], address);
    }
    sk_sim_disk_slow(f->hub_io, 30 * SK_S);
    for (int i = 0; i < DEVICES; i++)
        for (int j = 0; j < EACH; j++) raw_link_send(&links[i], SK_SPAN("x"));
    sk_sim_run(f->sim, 5 * SK_S);
    sk_sim_disk_slow(f->hub_io, SK_MS);
    sk_sim_run(f->sim, 120 * SK_S);
    for (int i = 0; i < DEVICES; i++) assert_int_equal(links[i].accepted, EACH);
    assert_int_equal(stored(f), DEVICES * EACH);
    raw_amqp_free(&c);
    free(links);
}

/* Links wait for nothing: they do not count as what is under way. */
TEST(more_links_than_requests_may_be_under_way_do_not_stop_a_connection) {
    enum { LINKS = 4200 };
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link *links = sk_alloc(LINKS * sizeof *links);
    open_d1(&c, &links[0], f);
    for (int i = 1; i < LINKS; i++)
        raw_link_begin(&c, &links[i],
                       (struct sk_amqp_link_options){.address = EVENTS, .sender = true});
    sk_sim_run(f->sim, 10 * SK_S);
    for (int i = 0; i < LINKS; i++) raw_link_send(&links[i], SK_SPAN("x"));
    sk_sim_run(f->sim, 10 * SK_S);
    for (int i = 0; i < LINKS; i++) assert_int_equal(links[i].accepted, 1);
    raw_amqp_free(&c);
    free(links);
}

TEST(a_client_that_lets_128_answers_wait_keeps_its_link_and_one_more_costs_it) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link mine, request = {0}, answers = {0};
    struct sk_amqp_field get = {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("GET"))};
    open_d1(&c, &mine, f);
    raw_link_sender(&c, &request, "/devices/d1/twin");
    raw_link_receiver(&c, &answers, "/devices/d1/twin", -1);
    for (int i = 0; i < 129; i++) {
        assert_non_null(answers.amqp);
        raw_link_send_message(
            &request,
            &(struct sk_amqp_message){.correlation_id = SK_AMQP_VALUE_STRING(SK_SPAN("c")),
                                      .annotations = &get,
                                      .annotation_count = 1},
            NULL);
        sk_sim_run(f->sim, 100 * SK_MS);
    }
    raw_link_expect_end(&answers, "amqp:resource-limit-exceeded");
    assert_null(raw_link_try(&mine, SK_SPAN("unharmed")));
    raw_amqp_free(&c);
}

/* ---- messages ---- */

TEST(a_message_of_256_kilobytes_is_taken_and_one_byte_more_is_refused) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link;
    struct sk_buffer body = {0};
    sk_buffer_reserve(&body, SK_MESSAGE_MAX + 1);
    memset(body.p, 'x', SK_MESSAGE_MAX + 1);
    open_d1(&c, &link, f);
    assert_null(raw_link_try(&link, sk_span(body.p, SK_MESSAGE_MAX)));
    assert_string_equal(raw_link_try(&link, sk_span(body.p, SK_MESSAGE_MAX + 1)),
                        "amqp:link:message-size-exceeded");
    assert_null(raw_link_try(&link, SK_SPAN("unharmed")));
    sk_buffer_free(&body);
    raw_amqp_free(&c);
}

TEST(a_message_of_1024_properties_is_taken_and_one_more_is_refused) {
    struct fleet *f = *state;
    static struct sk_amqp_field fields[SK_AMQP_FIELDS_MAX + 1];
    static char names[SK_AMQP_FIELDS_MAX + 1][8];
    struct sk_span body = SK_SPAN("x");
    struct raw_amqp c;
    struct raw_link link;
    for (size_t i = 0; i <= SK_AMQP_FIELDS_MAX; i++) {
        snprintf(names[i], sizeof names[i], "p%zu", i);
        fields[i] = (struct sk_amqp_field){sk_span_z(names[i]), SK_AMQP_VALUE_STRING(body)};
    }
    open_d1(&c, &link, f);
    for (size_t over = 0; over < 2; over++) {
        raw_link_send_message(
            &link,
            &(struct sk_amqp_message){.application = fields,
                                      .application_count = SK_AMQP_FIELDS_MAX + over,
                                      .data = &body,
                                      .data_count = 1},
            NULL);
        raw_link_wait(&link, 1 + over);
        assert_int_equal(link.accepted, 1);
        assert_int_equal(link.rejected, over);
    }
    assert_string_equal(link.rejection, "com.microsoft:argument-error");
    raw_amqp_free(&c);
}

TEST(a_huge_map_at_an_attach_does_no_harm) {
    struct fleet *f = *state;
    static struct sk_amqp_field fields[3000];
    static char names[3000][8];
    struct raw_amqp c;
    struct raw_link mine, link = {0};
    for (size_t i = 0; i < 3000; i++) {
        snprintf(names[i], sizeof names[i], "p%zu", i);
        fields[i] = (struct sk_amqp_field){sk_span_z(names[i]), SK_AMQP_VALUE_STRING(SK_SPAN("x"))};
    }
    open_d1(&c, &mine, f);
    raw_link_begin(
        &c, &link,
        (struct sk_amqp_link_options){
            .address = EVENTS, .sender = true, .properties = fields, .property_count = 3000});
    sk_sim_run(f->sim, SK_S);
    assert_non_null(link.amqp);
    assert_null(raw_link_try(&link, SK_SPAN("x")));
    assert_null(raw_link_try(&mine, SK_SPAN("unharmed")));
    raw_amqp_free(&c);
}

static void send_bytes(struct raw_link *link, struct sk_buffer *bytes) {
    size_t verdicts = link->accepted + link->rejected;
    sk_amqp_send(link->amqp, SK_NONE, sk_buffer_span(bytes), false, NULL);
    raw_amqp_flush(link->connection);
    raw_link_wait(link, verdicts + 1);
    sk_buffer_free(bytes);
}

/* As deep as the largest transfer allows: described values, lists, arrays in an amqp-value. */
TEST(nesting_of_any_depth_is_refused) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link;
    open_d1(&c, &link, f);
    for (int kind = 0; kind < 4; kind++) {
        struct sk_buffer bytes = {0};
        sk_buffer_append(&bytes, SK_SPAN("\0\x53\x77"));
        while (bytes.n < 1000000) {
            size_t left = 1000000 - bytes.n;
            char list[] = {(char)0xd0,
                           (char)(left >> 24),
                           (char)(left >> 16),
                           (char)(left >> 8),
                           (char)left,
                           0,
                           0,
                           0,
                           1};
            if (kind == 0) sk_buffer_append(&bytes, SK_SPAN("\0\x53\x77"));
            if (kind == 1) sk_buffer_append(&bytes, sk_span(list, sizeof list));
            if (kind == 2) { /* descriptors of descriptors */
                sk_buffer_byte(&bytes, 0);
            }
            if (kind == 3) { /* arrays of arrays */
                list[0] = (char)0xf0;
                sk_buffer_append(&bytes, sk_span(list, sizeof list));
            }
        }
        send_bytes(&link, &bytes);
        if (link.amqp == NULL) fail_msg("kind %d: %s", kind, link.condition);
        assert_int_equal(link.rejected, kind + 1);
        assert_string_equal(link.rejection, "com.microsoft:argument-error");
    }
    assert_null(raw_link_try(&link, SK_SPAN("unharmed")));
    raw_amqp_free(&c);
}

/* Each link may hold a megabyte, each session four: the connection holds sixteen. */
TEST(unfinished_transfers_are_held_up_to_16_megabytes) {
    enum { LINKS = 18, PART = 65000, PARTS = 15 }; /* seventeen fit */
    struct fleet *f = *state;
    static const char *const addresses[] = {EVENTS};
    static char part[PART];
    struct raw_client c;
    struct sk_buffer out = {0};
    login_raw(&c, f, addresses, 1);
    for (unsigned i = 0; i < LINKS; i++) {
        unsigned channel = 1 + i / 4;
        if (i % 4 == 0) put_begin(&out, channel);
        if (i % 4 == 0) raw_say(&c, &out); /* the window comes with the answer */
        put_attach(&out, channel, (unsigned char)(i % 4), EVENTS);
        for (int j = 0; j < PARTS; j++) {
            char fields[] = {0x52, (char)(i % 4), 0x52, (char)(i % 4), (char)0xa0,
                             1,    'x',           0x43, 0x42,          0x41}; /* more of it comes */
            put_frame(&out, channel, TRANSFER, sk_span(fields, sizeof fields), 6,
                      sk_span(part, PART));
        }
        assert_false(has_bytes(&c, SK_SPAN("amqp:resource-limit-exceeded")));
        raw_say(&c, &out);
    }
    assert_true(has_bytes(&c, SK_SPAN("amqp:resource-limit-exceeded")));
    put_transfer(&out, 0, 1, SK_SPAN("\0\x53\x75\xa0\1x"));
    raw_say(&c, &out);
    assert_non_null(c.stream);
    assert_int_equal(stored(f), 1); /* the other link goes on */
    raw_free(&c);
}

TEST(bytes_that_are_no_message_are_rejected_with_an_error) {
    struct fleet *f = *state;
    static const struct {
        const char *bytes;
        size_t size;
    } cases[] = {{"rubbish", 7},
                 {"\0\x53\x75\xa0\xffshort", 10},
                 {"\0\x53\x99\xa0\1x", 6},
                 {"\0\x53\x74\xc1\xff\2", 6},
                 {"\0\x53\x73\xa0\1x", 6}};
    struct raw_amqp c;
    struct raw_link link;
    open_d1(&c, &link, f);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_buffer bytes = {0};
        sk_buffer_append(&bytes, sk_span(cases[i].bytes, cases[i].size));
        send_bytes(&link, &bytes);
        if (link.rejected != i + 1) fail_msg("case %zu is taken", i);
    }
    assert_null(raw_link_try(&link, SK_SPAN("unharmed")));
    raw_amqp_free(&c);
}
