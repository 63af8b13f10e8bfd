/* Cloud-to-device messages and their feedback as AMQP clients see them. */
#include "support/fleet_c2d.h"
#include "support/raw_amqp.h"
#include "support/test.h"

static uint64_t ended(struct fleet *f, enum sk_c2d_end how) {
    sk_sim_run(f->sim, SK_S);
    return sk_hub_counts(sk_hub_server_hub(f->hub, 0)).c2d_ended_total[how];
}

/* ---- a device ---- */

static void listen_as(struct raw_amqp *c, struct raw_link *link, struct fleet *f,
                      const char *device, int credit) {
    char address[64];
    *link = (struct raw_link){0};
    raw_amqp_open(c, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(c, device);
    snprintf(address, sizeof address, "/devices/%s/messages/deviceBound", device);
    raw_link_receiver(c, link, address, credit);
}

static int64_t annotation(const struct sk_amqp_message *message, const char *name) {
    const struct sk_amqp_value *value =
        sk_amqp_find(message->annotations, message->annotation_count, name);
    assert_non_null(value);
    return value->type == SK_AMQP_ULONG ? (int64_t)value->u : value->i;
}

/* The next message is this one; returns how often it was delivered before. */
static int64_t gets(struct raw_link *link, const char *id, struct sk_amqp_delivery **delivery) {
    struct sk_amqp_message message;
    if (!raw_link_next(link, &message, delivery)) fail_msg("%s did not come", id);
    struct sk_span came = sk_amqp_text(&message.message_id, &link->connection->arena);
    if (!sk_span_is(came, id)) fail_msg("%.*s instead of %s", SK_ARG(came), id);
    assert_int_equal(message.data_count, 1);
    assert_true(sk_span_is(message.data[0], id));
    assert_true(annotation(&message, "x-opt-sequence-number") > 0);
    assert_true(annotation(&message, "iothub-enqueuedtime") > 0);
    assert_non_null(
        sk_amqp_find(message.annotations, message.annotation_count, "x-opt-lock-token"));
    return annotation(&message, "iothub-deliverycount");
}

static void expect_nothing(struct raw_link *link) {
    sk_sim_run(link->connection->f->sim, 2 * SK_S);
    assert_true(sk_list_empty(&link->come));
}

AROUND(fleet_new_world, fleet_free_world);

TEST(accepted_completes_rejected_kills_released_and_modified_bring_it_again) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link;
    struct sk_amqp_delivery *m1, *m2, *m3;
    listen_as(&c, &link, f, "d1", 10);
    fleet_send_c2d(f, "d1", "m1");
    fleet_send_c2d(f, "d1", "m2");
    fleet_send_c2d(f, "d1", "m3");
    gets(&link, "m1", &m1);
    gets(&link, "m2", &m2);
    int64_t count = gets(&link, "m3", &m3);
    raw_link_settle(&link, m1, SK_AMQP_ACCEPTED);
    assert_int_equal(ended(f, SK_C2D_COMPLETED), 1);
    raw_link_settle(&link, m2, SK_AMQP_REJECTED);
    assert_int_equal(ended(f, SK_C2D_REJECTED), 1);
    raw_link_settle(&link, m3, SK_AMQP_RELEASED);
    assert_int_equal(gets(&link, "m3", &m3), count + 1);
    raw_link_settle(&link, m3, SK_AMQP_MODIFIED);
    assert_int_equal(gets(&link, "m3", &m3), count + 2);
    raw_link_settle(&link, m3, SK_AMQP_ACCEPTED);
    assert_int_equal(ended(f, SK_C2D_COMPLETED), 2);
    raw_amqp_free(&c);
}

TEST(what_a_link_left_unsettled_comes_again_uncounted_and_in_order) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link;
    struct sk_amqp_delivery *m1, *m2;
    listen_as(&c, &link, f, "d1", 10);
    fleet_send_c2d(f, "d1", "m1");
    fleet_send_c2d(f, "d1", "m2");
    int64_t count = gets(&link, "m1", &m1);
    gets(&link, "m2", &m2);
    raw_amqp_free(&c);
    listen_as(&c, &link, f, "d1", 10);
    assert_int_equal(gets(&link, "m1", &m1), count);
    fleet_crash_hub(f);
    sk_sim_run(f->sim, 200 * SK_S); /* the client notices */
    raw_amqp_free(&c);
    listen_as(&c, &link, f, "d1", 10);
    assert_int_equal(gets(&link, "m1", &m1), count);
    raw_link_settle(&link, m1, SK_AMQP_ACCEPTED);
    gets(&link, "m2", &m2);
    raw_amqp_free(&c);
}

TEST(as_many_come_as_there_is_credit) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link;
    struct sk_amqp_delivery *m1, *m2;
    listen_as(&c, &link, f, "d1", -1);
    fleet_send_c2d(f, "d1", "m1");
    fleet_send_c2d(f, "d1", "m2");
    expect_nothing(&link);
    sk_amqp_grant(link.amqp, 1);
    raw_amqp_flush(&c);
    gets(&link, "m1", &m1);
    expect_nothing(&link);
    raw_link_settle(&link, m1, SK_AMQP_ACCEPTED); /* a verdict is no credit */
    expect_nothing(&link);
    sk_amqp_grant(link.amqp, 5);
    raw_amqp_flush(&c);
    gets(&link, "m2", &m2);
    raw_amqp_free(&c);
}

/* The number at which rhea's buffers end; ours do not. */
TEST(more_than_2048_unsettled_deliveries_of_one_connection_are_settled) {
    enum { DEVICES = 42, EACH = 50, ALL = DEVICES * EACH };
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link *links = sk_alloc(DEVICES * sizeof *links);
    struct sk_amqp_delivery **deliveries = sk_alloc(ALL * sizeof *deliveries);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices", NULL, "owner", 36000), 200);
    for (unsigned i = 0; i < DEVICES; i++) {
        char name[16], address[64], id[16];
        snprintf(name, sizeof name, "many%u", i);
        snprintf(address, sizeof address, "/devices/%s/messages/devicebound", name);
        fleet_put_device(f, name, "");
        for (unsigned j = 0; j < EACH; j++) {
            snprintf(id, sizeof id, "%u", j);
            fleet_send_c2d(f, name, id);
        }
        raw_link_receiver(&c, &links[i], address, 5000);
    }
    static const unsigned limits[] = {2047, 2048, 2049, ALL};
    unsigned have = 0;
    for (unsigned i = 0; i < DEVICES; i++) {
        for (unsigned j = 0; j < EACH; j++) {
            char id[16];
            snprintf(id, sizeof id, "%u", j);
            gets(&links[i], id, &deliveries[have++]);
        }
    }
    for (unsigned i = 0, settled = 0; i < 4; i++) {
        for (; settled < limits[i]; settled++)
            raw_link_settle(&links[settled / EACH], deliveries[settled], SK_AMQP_ACCEPTED);
        assert_int_equal(ended(f, SK_C2D_COMPLETED), limits[i]);
    }
    raw_amqp_free(&c);
    free(links);
    free(deliveries);
}

/* ---- a service ---- */

static void serve(struct raw_amqp *c, struct raw_link *out, struct fleet *f) {
    *out = (struct raw_link){0};
    raw_amqp_open(c, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(c, "hub.test", NULL, "owner", 3600), 200);
    raw_link_sender(c, out, "/messages/devicebound");
    assert_non_null(out->amqp);
}

/* NULL: taken, or the refusal's condition. */
static const char *sends(struct raw_link *link, const char *device, struct sk_amqp_value id,
                         struct sk_span body) {
    char to[64];
    struct sk_amqp_field ack = {SK_SPAN("iothub-ack"), SK_AMQP_VALUE_STRING(SK_SPAN("full"))};
    size_t before = link->accepted;
    snprintf(to, sizeof to, "/devices/%s/messages/devicebound", device);
    raw_link_send_message(link,
                          &(struct sk_amqp_message){.message_id = id,
                                                    .to = sk_span_z(to),
                                                    .application = &ack,
                                                    .application_count = 1,
                                                    .data = &body,
                                                    .data_count = 1},
                          NULL);
    raw_link_wait(link, link->accepted + link->rejected + 1);
    assert_non_null(link->amqp);
    return link->accepted > before ? NULL : link->rejection;
}

/* docs/protocols/service-api.md, section 6. */
TEST(a_uuid_as_message_id_is_text_in_the_feedback) {
    struct fleet *f = *state;
    struct raw_amqp service, device;
    struct raw_link out, feedback = {0}, link;
    struct sk_amqp_delivery *delivery;
    struct sk_amqp_message message;
    struct sk_amqp_value uuid = {SK_AMQP_UUID,
                                 .text = SK_SPAN("\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb"
                                                 "\xcc\xdd\xee\xff")};
    serve(&service, &out, f);
    raw_link_receiver(&service, &feedback, "/messages/serviceBound/feedback", 10);
    assert_null(sends(&out, "d1", uuid, SK_SPAN("x")));
    listen_as(&device, &link, f, "d1", 10);
    assert_true(raw_link_next(&link, &message, &delivery));
    assert_true(sk_span_is(sk_amqp_text(&message.message_id, &device.arena),
                           "00112233-4455-6677-8899-aabbccddeeff"));
    raw_link_settle(&link, delivery, SK_AMQP_ACCEPTED);
    assert_true(
        raw_link_next(&feedback, &message, &delivery)); /* the credit came with the attach */
    assert_int_equal(message.data_count, 1);
    json_t *records = json_loadb(message.data[0].p, message.data[0].n, 0, NULL);
    const json_t *record = json_array_get(records, 0);
    assert_string_equal(json_string_value(json_object_get(record, "originalMessageId")),
                        "00112233-4455-6677-8899-aabbccddeeff");
    assert_string_equal(json_string_value(json_object_get(record, "statusCode")), "Success");
    json_decref(records);
    raw_link_settle(&feedback, delivery, SK_AMQP_ACCEPTED);
    raw_amqp_free(&service);
    raw_amqp_free(&device);
}

TEST(a_refused_message_tells_its_condition_and_the_link_goes_on) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link out;
    struct sk_amqp_value id = SK_AMQP_VALUE_STRING(SK_SPAN("m"));
    struct sk_buffer big = {0};
    sk_buffer_reserve(&big, 65537);
    memset(big.p, 'x', 65537);
    serve(&c, &out, f);
    assert_string_equal(sends(&out, "nobody", id, SK_SPAN("x")), "amqp:not-found");
    assert_string_equal(sends(&out, "d2", id, sk_span(big.p, 65537)),
                        "amqp:link:message-size-exceeded");
    for (int i = 0; i < 50; i++) assert_null(sends(&out, "d1", id, SK_SPAN("x")));
    assert_string_equal(sends(&out, "d1", id, SK_SPAN("x")), "amqp:resource-limit-exceeded");
    assert_null(sends(&out, "d2", id, SK_SPAN("x")));
    sk_buffer_free(&big);
    raw_amqp_free(&c);
}
