/* Cloud-to-device messages through an edge hub to its leaf device: the cloud's until the leaf has
 * acknowledged them. */
#include "support/fleet_c2d.h"
#include "support/raw_client.h"
#include "support/test.h"

#define FILTER "devices/leaf1/messages/devicebound/#"

static int new_world(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new(f, 1, FLEET_ROUTES_UP);
    sk_sim_run(f->sim, 5 * SK_S);
    *state = f;
    return 0;
}

static void open_leaf(struct raw_client *c, struct fleet *f) {
    raw_dial(c, f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
    raw_subscribe(c, 1, FILTER, 1);
    raw_expect_suback(c, 1, "\1", 1);
}

static uint16_t gets_message(struct raw_client *c, const char *body, bool dup) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    if (!sk_span_is(packet.u.publish.payload, body))
        fail_msg("%.*s instead of %s", SK_ARG(packet.u.publish.payload), body);
    assert_int_equal(packet.u.publish.dup, dup);
    return packet.u.publish.id;
}

static void puback(struct raw_client *c, uint16_t id) {
    struct sk_buffer out = {0};
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, id);
    raw_send_buffer(c, &out);
    sk_sim_run(c->sim, SK_S);
}

static uint64_t completed(struct fleet *f) {
    return sk_hub_counts(sk_hub_server_hub(f->hub, 0)).c2d_ended_total[SK_C2D_COMPLETED];
}

AROUND(new_world, fleet_free_world);

VARIANTS(fleet_over, "mqtt", "amqp");

TEST(a_leaf_gets_its_messages_and_its_word_reaches_the_cloud) {
    struct fleet *f = *state;
    struct raw_client leaf;
    fleet_send_c2d(f, "leaf1", "m1"); /* before it has ever come */
    open_leaf(&leaf, f);
    struct sk_mqtt_packet packet = raw_expect(&leaf, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.topic,
                           "devices/leaf1/messages/devicebound/%24.mid=m1&%24.to=%2Fdevices"
                           "%2Fleaf1%2Fmessages%2FdeviceBound&iothub-ack=full"));
    sk_sim_run(f->sim, 5 * SK_S);
    assert_int_equal(completed(f), 0); /* not before the leaf has said so */
    puback(&leaf, packet.u.publish.id);
    assert_int_equal(completed(f), 1);
    fleet_send_c2d(f, "leaf1", "m2");
    puback(&leaf, gets_message(&leaf, "m2", false));
    assert_int_equal(completed(f), 2);
    raw_free(&leaf);
}

TEST(what_a_leaf_did_not_acknowledge_waits_for_it_at_the_edge) {
    struct fleet *f = *state;
    struct raw_client leaf;
    open_leaf(&leaf, f);
    fleet_send_c2d(f, "leaf1", "m1");
    fleet_send_c2d(f, "leaf1", "m2");
    gets_message(&leaf, "m1", false);
    puback(&leaf, gets_message(&leaf, "m2", false));
    raw_free(&leaf);
    open_leaf(&leaf, f);
    puback(&leaf, gets_message(&leaf, "m1", true));
    assert_int_equal(completed(f), 2);
    raw_expect_nothing(&leaf);
    raw_free(&leaf);
}

TEST(a_leaf_that_stays_away_gives_its_messages_back_to_the_cloud) {
    struct fleet *f = *state;
    struct raw_client leaf;
    open_leaf(&leaf, f);
    fleet_send_c2d(f, "leaf1", "m1");
    gets_message(&leaf, "m1", false);
    raw_free(&leaf);
    sk_sim_run(f->sim, 90 * SK_S); /* the edge closes the leaf's way to the cloud */
    raw_dial(&leaf, f, "hub.test", &(struct raw_connect){.device = "leaf1", .clean = true});
    raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
    raw_subscribe(&leaf, 1, FILTER, 1);
    raw_expect_suback(&leaf, 1, "\1", 1);
    puback(&leaf, gets_message(&leaf, "m1", true));
    assert_int_equal(completed(f), 1);
    raw_free(&leaf);
}

TEST(a_crash_of_the_edge_loses_nothing) {
    struct fleet *f = *state;
    struct raw_client leaf;
    open_leaf(&leaf, f);
    fleet_send_c2d(f, "leaf1", "m1");
    gets_message(&leaf, "m1", false);
    fleet_crash_edge(f);
    raw_free(&leaf);
    sk_sim_run(f->sim, 150 * SK_S);
    open_leaf(&leaf, f);
    /* AMQP does not tell the edge that the message was sent before. */
    puback(&leaf, gets_message(&leaf, "m1", !f->edge_amqp));
    assert_int_equal(completed(f), 1);
    raw_free(&leaf);
}

TEST(a_break_between_edge_and_cloud_brings_them_again) {
    struct fleet *f = *state;
    struct raw_client leaf;
    open_leaf(&leaf, f);
    fleet_send_c2d(f, "leaf1", "m1");
    uint16_t first = gets_message(&leaf, "m1", false);
    fleet_crash_hub(f);
    puback(&leaf, first); /* the connection that brought it is gone: the word cannot be passed on */
    uint16_t again =
        gets_message(&leaf, "m1", false); /* a crashed hub does not know of the first */
    puback(&leaf, again);
    assert_int_equal(completed(f), 1);
    raw_free(&leaf);
}

TEST(more_messages_than_windows_come_all_and_in_order) {
    struct fleet *f = *state;
    struct raw_client leaf;
    char body[8];
    for (int i = 0; i < SK_C2D_PENDING_MAX; i++) {
        snprintf(body, sizeof body, "m%d", i);
        fleet_send_c2d(f, "leaf1", body);
    }
    open_leaf(&leaf, f);
    for (int i = 0; i < SK_C2D_PENDING_MAX; i++) {
        snprintf(body, sizeof body, "m%d", i);
        puback(&leaf, gets_message(&leaf, body, false));
    }
    assert_int_equal(completed(f), SK_C2D_PENDING_MAX);
    raw_free(&leaf);
}

/* The way upstream is being made meanwhile: whatever it has reached, the message must not fall
 * between. */
TEST(a_message_sent_while_the_leaf_comes_arrives) {
    struct fleet *f = *state;
    for (int i = 0; i < 200; i++) {
        struct raw_client leaf;
        raw_dial(&leaf, f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
        raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 30000) * 1000);
        raw_subscribe(&leaf, 1, FILTER, 1);
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 30000) * 1000);
        fleet_send_c2d(f, "leaf1", "m");
        raw_expect_suback(&leaf, 1, "\1", 1);
        puback(&leaf, gets_message(&leaf, "m", false));
        raw_free(&leaf);
        sk_sim_run(f->sim, 90 * SK_S); /* the edge closes the leaf's way to the cloud */
    }
}
