/* What SDKs of other people trip over, as docs/protocols tells it: tests that stand nowhere
 * else. The whole list with its tests: tests/traps.md. */
#include "support/raw_amqp.h"
#include "support/raw_frames.h"
#include "support/test.h"

static void open_d1(struct raw_amqp *c, struct fleet *f) {
    raw_amqp_open(c, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(c, "d1");
}

AROUND(fleet_new_world, fleet_free_world);

/* Node compares with !== 200. */
TEST(cbs_answers_success_with_the_int_200_and_nothing_else) {
    struct fleet *f = *state;
    struct raw_client c;
    prove_raw(&c, f, 100);
    assert_true(has_bytes(&c, SK_SPAN("status-code\x71\0\0\0\xc8")));
    raw_free(&c);
}

/* Event Hubs clients have several receivers on $cbs. */
TEST(a_cbs_answer_goes_to_the_receiver_that_reply_to_names) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link first = {0}, second = {0}, last = {0};
    struct sk_buffer token = {0};
    struct sk_amqp_message message;
    struct sk_amqp_delivery *delivery;
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    raw_link_sender(&c, &c.cbs_out, "$cbs");
    struct sk_amqp_link_options options = {.address = "$cbs", .credit = 10};
    options.name = options.local_address = "cbs-1";
    raw_link_begin(&c, &first, options);
    options.name = options.local_address = "cbs-2";
    raw_link_begin(&c, &second, options);
    options.name = options.local_address = "cbs-3";
    raw_link_begin(&c, &last, options);
    sk_sas_create(&token, SK_SPAN("hub.test/devices/d1"), SK_SPAN(FLEET_KEY), SK_NONE,
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    struct sk_amqp_field operation = {SK_SPAN("operation"),
                                      SK_AMQP_VALUE_STRING(SK_SPAN("put-token"))};
    raw_link_send_message(
        &c.cbs_out,
        &(struct sk_amqp_message){.message_id = SK_AMQP_VALUE_STRING(SK_SPAN("this one")),
                                  .reply_to = SK_SPAN("cbs-2"),
                                  .application = &operation,
                                  .application_count = 1,
                                  .value = SK_AMQP_VALUE_STRING(sk_buffer_span(&token))},
        NULL);
    assert_true(raw_link_next(&second, &message, &delivery));
    assert_true(sk_span_is(sk_amqp_text(&message.correlation_id, &c.arena), "this one"));
    assert_true(sk_list_empty(&first.come) && sk_list_empty(&last.come));
    sk_buffer_free(&token);
    raw_amqp_free(&c);
}

/* .NET: a session for each device, and the same names in all of them. */
TEST(links_of_one_name_in_two_sessions_are_two_links) {
    struct fleet *f = *state;
    static const char *const addresses[] = {"/devices/d1/messages/events"};
    struct raw_client c;
    struct sk_buffer out = {0};
    login_raw(&c, f, addresses, 1);
    put_begin(&out, 1);
    put_attach(&out, 1, 0, "/devices/d2/messages/events"); /* the same name, the same handle */
    raw_say(&c, &out);
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(f->hub, 0)).sessions, 2);
    put_transfer(&out, 0, 1, SK_SPAN("\0\x53\x75\xa0\1x"));
    raw_say(&c, &out);
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(f->hub, 0)).telemetry_total, 1);
    raw_free(&c);
}

TEST(an_address_may_be_a_full_uri_with_or_without_a_port) {
    struct fleet *f = *state;
    static const char *const addresses[] = {
        "/devices/d1/messages/events", "devices/d1/messages/events", "/DEVICES/d1/Messages/Events",
        "amqps://hub.test/devices/d1/messages/events",
        "amqps://hub.test:5671/devices/d1/messages/events"};
    struct raw_amqp c;
    struct raw_link link = {0}, feedback = {0};
    open_d1(&c, f);
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        raw_link_sender(&c, &link, addresses[i]);
        if (link.amqp == NULL) fail_msg("%s: %s", addresses[i], link.text);
    }
    raw_link_receiver(&c, &link, "amqps://hub.test:5671/devices/d1/messages/deviceBound", 1);
    assert_non_null(link.amqp);
    assert_int_equal(raw_amqp_token_of(&c, "amqps://hub.test", NULL, "owner", 3600), 200);
    raw_link_receiver(&c, &feedback, "amqps://hub.test/messages/servicebound/feedback", 1);
    if (feedback.amqp == NULL) fail_msg("%s", feedback.text);
    raw_amqp_free(&c);
}

/* IoT Hub signs with the decoded key, Event Hubs with its text. */
TEST(tokens_for_the_event_stream_are_signed_with_the_keys_text) {
    static const char key_of_text[] =
        "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQT0="; /* FLEET_KEY in base64 */
    struct fleet *f = *state;
    struct raw_amqp c;
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(&c, "sb://hub.test/test", key_of_text, "owner", 3600), 200);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices", key_of_text, "owner", 3600), 401);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices", NULL, "owner", 3600), 200);
    raw_amqp_free(&c);
}

/* azure-eventhub of Python asks for "consumergroups" and attaches to "ConsumerGroups". */
TEST(a_token_of_a_consumer_group_opens_its_partitions_in_any_case) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    assert_int_equal(
        raw_amqp_token_of(&c, "sb://hub.test/test/consumergroups/$Default", NULL, "owner", 3600),
        200);
    raw_link_receiver(&c, &link, "amqps://hub.test/test/ConsumerGroups/$Default/Partitions/0", 1);
    assert_non_null(link.amqp);
    raw_link_receiver(&c, &link, "amqps://hub.test/test/ConsumerGroups/other/Partitions/0", 1);
    raw_link_expect_end(&link, "amqp:unauthorized-access");
    raw_amqp_free(&c);
}

/* An id may hold what looks like an escape; in scopes it comes as it is, or encoded once more. */
TEST(an_id_with_a_percent_sign_is_decoded_once) {
    struct fleet *f = *state;
    static const char *const scopes[] = {"hub.test/devices/pct%41x", "hub.test/devices/pct%2541x"};
    fleet_put(f, "/devices/pct%2541x", "{\"deviceId\":\"pct%41x\"," FLEET_SAS "}");
    for (size_t i = 0; i < 2; i++) {
        struct raw_amqp c;
        struct raw_link link = {0};
        raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
        assert_int_equal(raw_amqp_token_of(&c, scopes[i], NULL, NULL, 3600), 200);
        raw_link_sender(&c, &link, "/devices/pct%2541x/messages/events");
        assert_non_null(link.amqp);
        assert_null(raw_link_try(&link, SK_SPAN("x")));
        raw_amqp_free(&c);
    }
}

/* ---- correlation ---- */

#define GUID "00112233-4455-6677-8899-aabbccddeeff"
#define GUID_BYTES "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff"

TEST(twin_answers_carry_the_correlation_id_in_the_type_of_the_request) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link request = {0}, answers = {0};
    struct sk_amqp_message message;
    struct sk_amqp_delivery *delivery;
    struct sk_amqp_field get = {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("GET"))};
    const struct sk_amqp_value ids[] = {
        SK_AMQP_VALUE_STRING(SK_SPAN(GUID)),
        {SK_AMQP_UUID, .text = SK_SPAN(GUID_BYTES)},
        {SK_AMQP_ULONG, .u = 7},
        {SK_AMQP_BINARY, .text = SK_SPAN("abc")},
    };
    open_d1(&c, f);
    raw_link_sender(&c, &request, "/devices/d1/twin");
    raw_link_receiver(&c, &answers, "/devices/d1/twin", 10);
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        raw_link_send_message(&request,
                              &(struct sk_amqp_message){.correlation_id = ids[i],
                                                        .annotations = &get,
                                                        .annotation_count = 1},
                              NULL);
        assert_true(raw_link_next(&answers, &message, &delivery));
        assert_int_equal(message.correlation_id.type, ids[i].type);
        struct sk_arena arena = {0};
        struct sk_span asked = sk_amqp_text(&ids[i], &arena);
        assert_true(sk_span_eq(sk_amqp_text(&message.correlation_id, &arena), asked));
        sk_arena_free(&arena);
        /* desired and reported, even when they are empty */
        assert_int_equal(message.data_count, 1);
        assert_true(sk_span_is(message.data[0],
                               "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}"));
    }
    raw_amqp_free(&c);
}

struct method {
    struct sk_request request;
    bool done;
    int status;
    char payload[64];
};

static void on_method(struct sk_request *request, const struct sk_answer *answer) {
    struct method *m = (struct method *)request;
    m->done = true;
    m->status = answer->error ? -1 : answer->status;
    raw_copy(m->payload, sizeof m->payload, answer->payload);
}

static bool is_done(void *arg) {
    return ((struct method *)arg)->done;
}

static unsigned hex(char c) {
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* .NET makes a Guid of the request id, Node an AMQP uuid of what looks like one. */
TEST(method_calls_have_guids_and_answers_match_as_string_or_uuid) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link calls = {0}, answers = {0};
    struct sk_amqp_message message;
    struct sk_amqp_delivery *delivery;
    struct sk_backend *backend = sk_hub_backend(sk_hub_server_hub(f->hub, 0));
    open_d1(&c, f);
    raw_link_sender(&c, &answers, "/devices/d1/methods/devicebound");
    raw_link_receiver(&c, &calls, "/devices/d1/methods/devicebound", 10);
    for (int as_uuid = 0; as_uuid < 2; as_uuid++) {
        struct method m = {.request = {.op = SK_OP_METHOD_INVOKE,
                                       .device = SK_SPAN("d1"),
                                       .name = SK_SPAN("m"),
                                       .payload = SK_SPAN("1"),
                                       .response_timeout_s = 30,
                                       .done = on_method}};
        backend->ops->submit(backend, &m.request);
        assert_true(raw_link_next(&calls, &message, &delivery));
        assert_null(delivery); /* calls come settled */
        assert_non_null(
            sk_amqp_find(message.application, message.application_count, "IoThub-methodname"));
        assert_int_equal(message.correlation_id.type, SK_AMQP_UUID); /* the C SDK takes no other */
        struct sk_span id = sk_amqp_text(&message.correlation_id, &c.arena);
        assert_int_equal(id.n, 36);
        char bytes[16];
        for (size_t i = 0, at = 0; i < 16; i++, at += 2) {
            if (id.p[at] == '-') at++;
            bytes[i] = (char)(hex(id.p[at]) << 4 | hex(id.p[at + 1]));
        }
        struct sk_amqp_field status = {SK_SPAN("IoThub-status"), SK_AMQP_VALUE_INT(207)};
        struct sk_span body = SK_SPAN("\"fine\"");
        struct sk_amqp_value uuid = {SK_AMQP_UUID, .text = sk_span(bytes, sizeof bytes)};
        raw_link_send_message(
            &answers,
            &(struct sk_amqp_message){.correlation_id = as_uuid ? uuid : SK_AMQP_VALUE_STRING(id),
                                      .application = &status,
                                      .application_count = 1,
                                      .data = &body,
                                      .data_count = 1},
            NULL);
        assert_true(sk_sim_run_until(f->sim, 40 * SK_S, is_done, &m));
        assert_int_equal(m.status, 207);
        assert_string_equal(m.payload, "\"fine\"");
        raw_link_wait(&answers, (size_t)as_uuid + 1); /* sent unsettled, it gets its verdict */
        assert_int_equal(answers.accepted, as_uuid + 1);
    }
    raw_amqp_free(&c);
}

/* ---- batches ---- */

static void read_body(void *arg, const struct sk_message *message) {
    sk_buffer_append(arg, message->body);
    sk_buffer_byte(arg, ' ');
}

/* The C SDK sends even a single message so. */
TEST(a_batch_of_telemetry_has_one_verdict_and_keeps_its_order) {
    enum { MESSAGES = 300 };
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    static struct sk_buffer encoded[MESSAGES];
    static struct sk_span parts[MESSAGES];
    struct sk_buffer expected = {0}, stored = {0};
    for (int i = 0; i < MESSAGES; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%d", i);
        sk_buffer_print(&expected, "%s ", body);
    }
    open_d1(&c, f);
    raw_link_begin(&c, &link,
                   (struct sk_amqp_link_options){.address = "/devices/d1/messages/events",
                                                 .sender = true,
                                                 .format = SK_AMQP_FORMAT_BATCH});
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, raw_link_is_decided, &link));
    for (int i = 0; i < MESSAGES; i++) {
        char body[16];
        snprintf(body, sizeof body, "m%d", i);
        struct sk_span data = sk_span_z(body);
        sk_amqp_encode(&encoded[i], &(struct sk_amqp_message){.data = &data, .data_count = 1});
        parts[i] = sk_buffer_span(&encoded[i]);
    }
    raw_link_send_message(&link, &(struct sk_amqp_message){.data = parts, .data_count = MESSAGES},
                          NULL);
    raw_link_wait(&link, 1);
    assert_int_equal(link.accepted, 1);
    assert_int_equal(fleet_read_events(f, read_body, &stored), MESSAGES);
    assert_true(sk_span_eq(sk_buffer_span(&stored), sk_buffer_span(&expected)));
    for (int i = 0; i < MESSAGES; i++) sk_buffer_free(&encoded[i]);
    sk_buffer_free(&expected);
    sk_buffer_free(&stored);
    raw_amqp_free(&c);
}
