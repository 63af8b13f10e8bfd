/* What an open MQTT connection to a hub may say, what it is told, and what ends it. */
#include "support/fleet_c2d.h"
#include "support/raw_client.h"
#include "support/test.h"

/* ---- what the hub has stored ---- */

struct stored {
    size_t count, body_bytes;
    char last[600]; /* "name=value;…|body" of the last one */
};

static void note(void *arg, const struct sk_message *message) {
    struct stored *stored = arg;
    struct sk_buffer text = {0};
    for (size_t i = 0; i < message->property_count; i++)
        sk_buffer_print(&text, "%.*s=%.*s;", SK_ARG(message->properties[i].name),
                        SK_ARG(message->properties[i].value));
    stored->count++;
    stored->body_bytes += message->body.n;
    snprintf(stored->last, sizeof stored->last, "%.*s|%.*s", SK_ARG(sk_buffer_span(&text)),
             SK_ARG(sk_span_first(message->body, 60)));
    sk_buffer_free(&text);
}

static struct stored stored(struct fleet *f) {
    struct stored stored = {0};
    sk_sim_run(f->sim, 100 * SK_MS);
    fleet_read_events(f, note, &stored);
    return stored;
}

AROUND(fleet_new_world, fleet_free_world);

/* ---- telemetry ---- */

TEST(telemetry_is_acknowledged_and_stored_in_every_shape_of_its_topic) {
    struct fleet *f = *state;
    static const struct {
        const char *topic, *stored;
    } cases[] = {
        {"devices/d1/messages/events", "|x"},
        {"devices/d1/messages/events/", "|x"},
        {"devices/d1/messages/events/a=1&b=2", "a=1;b=2;|x"},
        {"devices/d1/messages/events/a=1&b=2/", "a=1;b=2;|x"},
        {"devices/d1/messages/events/?a=1", "a=1;|x"},
        {"devices/d1/messages/events/%24.ct=text&a%20b=%2F+", "a b=/+;|x"},
        {"devices/%641/messages/events/k&&l=", "k=;l=;|x"},
    };
    struct raw_client c;
    raw_login(&c, f, "d1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        raw_publish(&c, cases[i].topic, SK_SPAN("x"), 1, (uint16_t)(i + 1));
        raw_expect_ack(&c, SK_MQTT_PUBACK, (uint16_t)(i + 1));
        struct stored s = stored(f);
        assert_int_equal(s.count, i + 1);
        assert_string_equal(s.last, cases[i].stored);
    }
    raw_publish(&c, "devices/d1/messages/events/", SK_NONE, 0, 0); /* QoS 0, empty */
    raw_expect_nothing(&c);
    assert_int_equal(stored(f).count, sizeof cases / sizeof *cases + 1);
    raw_free(&c);
}

TEST(a_message_of_256_kilobytes_is_taken_and_one_byte_more_ends_the_connection) {
    struct fleet *f = *state;
    static char body[SK_MESSAGE_MAX + 1];
    memset(body, 'x', sizeof body);
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_publish(&c, "devices/d1/messages/events/", sk_span(body, SK_MESSAGE_MAX), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    /* Properties count. */
    raw_publish(&c, "devices/d1/messages/events/ab=cd", sk_span(body, SK_MESSAGE_MAX - 4), 1, 2);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 2);
    raw_publish(&c, "devices/d1/messages/events/", sk_span(body, SK_MESSAGE_MAX + 1), 1, 3);
    raw_expect_closed(&c);
    raw_free(&c);
    raw_login(&c, f, "d1");
    raw_publish(&c, "devices/d1/messages/events/ab=cd", sk_span(body, SK_MESSAGE_MAX - 3), 1, 4);
    raw_expect_closed(&c);
    raw_free(&c);
    assert_int_equal(stored(f).count, 2);
}

TEST(a_packet_that_cannot_be_a_message_is_refused_by_its_length_alone) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_send(&c, SK_SPAN("\x32\xff\xff\xff\x7f")); /* 268435455 bytes to come */
    raw_expect_closed(&c);
    raw_free(&c);
}

TEST(a_message_of_1024_properties_is_taken_and_one_more_ends_the_connection) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    for (unsigned more = 0; more < 2; more++) {
        struct sk_buffer topic = {0};
        sk_buffer_text(&topic, "devices/d1/messages/events/");
        for (unsigned i = 0; i < SK_PROPERTIES_MAX + more; i++)
            sk_buffer_print(&topic, "%sp%u=v", i ? "&" : "", i);
        sk_buffer_byte(&topic, 0);
        raw_publish(&c, topic.p, SK_SPAN("x"), 1, 1);
        sk_buffer_free(&topic);
        if (more == 0)
            raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
        else
            raw_expect_closed(&c);
    }
    raw_free(&c);
    assert_int_equal(stored(f).count, 1);
}

TEST(publishing_where_or_how_a_device_may_not_ends_the_connection) {
    struct fleet *f = *state;
    static const struct {
        const char *topic;
        uint8_t qos;
    } cases[] = {
        {"devices/d1/messages/events/", 2},
        {"devices/d2/messages/events/", 1},
        {"devices/d1/modules/m/messages/events/", 1},
        {"devices/d1/messages/devicebound/", 1},
        {"devices/d1", 1},
        {"devices/d1/messages/event/", 1},
        {"$iothub/twin/PATCH/properties/desired/?$version=1", 0},
        {"$iothub/twin/GET/", 0},
        {"$iothub/methods/POST/x/?$rid=1", 0},
        {"$iothub/methods/res/ok/?$rid=1", 0},
        {"anything", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_client c;
        raw_login(&c, f, "d1");
        raw_publish(&c, cases[i].topic, SK_SPAN("x"), cases[i].qos, cases[i].qos ? 1 : 0);
        raw_expect_closed(&c);
        raw_free(&c);
    }
    assert_int_equal(stored(f).count, 0);
}

TEST(packets_that_only_a_server_sends_end_the_connection) {
    struct fleet *f = *state;
    static const struct sk_span packets[] = {{"\x20\x02\x00\x00", 4},
                                             {"\x90\x03\x00\x01\x00", 5},
                                             {"\xd0\x00", 2},
                                             {"\x50\x02\x00\x01", 4}};
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        struct raw_client c;
        raw_login(&c, f, "d1");
        raw_send(&c, packets[i]);
        raw_expect_closed(&c);
        raw_free(&c);
    }
}

TEST(a_retained_publish_becomes_a_property) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_login(&c, f, "d1");
    sk_mqtt_put_publish(
        &out, &(struct sk_mqtt_publish){.qos = 1,
                                        .id = 9,
                                        .retain = true,
                                        .topic = SK_SPAN("devices/d1/messages/events/a=1"),
                                        .payload = SK_SPAN("x")});
    raw_send_buffer(&c, &out);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 9);
    assert_string_equal(stored(f).last, "mqtt-retain=true;a=1;|x");
    raw_free(&c);
}

TEST(a_duplicate_is_acknowledged_again) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    for (unsigned dup = 0; dup < 2; dup++) {
        struct sk_buffer out = {0};
        sk_mqtt_put_publish(
            &out, &(struct sk_mqtt_publish){.qos = 1,
                                            .id = 5,
                                            .dup = dup,
                                            .topic = SK_SPAN("devices/d1/messages/events/"),
                                            .payload = SK_SPAN("x")});
        raw_send_buffer(&c, &out);
        raw_expect_ack(&c, SK_MQTT_PUBACK, 5);
    }
    assert_int_equal(stored(f).count, 2); /* at least once: nothing is sorted out */
    raw_free(&c);
}

TEST(thousands_of_unacknowledged_messages_wait_and_are_acknowledged_in_order) {
    struct fleet *f = *state;
    enum { MANY = 3000 };
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_login(&c, f, "d1");
    sk_sim_disk_slow(f->hub_io, 50 * SK_MS);
    for (unsigned i = 1; i <= MANY; i++)
        sk_mqtt_put_publish(
            &out, &(struct sk_mqtt_publish){.qos = 1,
                                            .id = (uint16_t)i,
                                            .topic = SK_SPAN("devices/d1/messages/events/"),
                                            .payload = SK_SPAN("0123456789")});
    raw_send_buffer(&c, &out);
    for (unsigned i = 1; i <= MANY; i++) raw_expect_ack(&c, SK_MQTT_PUBACK, (uint16_t)i);
    raw_ping(&c);
    assert_int_equal(stored(f).count, MANY);
    raw_free(&c);
}

TEST(a_full_disk_ends_the_connection_without_an_acknowledgement_and_room_heals_it) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    sk_sim_disk_limit(f->hub_io, 0);
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("x"), 1, 1);
    raw_expect_closed(&c);
    raw_free(&c);
    sk_sim_disk_limit(f->hub_io, UINT64_MAX);
    sk_sim_run(f->sim, 30 * SK_S);
    raw_login(&c, f, "d1");
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("y"), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    raw_free(&c);
    assert_string_equal(stored(f).last, "|y");
}

/* ---- subscriptions ---- */

TEST(a_packet_of_five_filters_gets_one_answer) {
    struct fleet *f = *state;
    static const char *const filters[] = {
        "devices/d1/messages/devicebound/#", "$iothub/methods/POST/#", "$iothub/twin/res/#",
        "$iothub/twin/PATCH/properties/desired/#", "some/thing/#"};
    static const uint8_t qos[] = {2, 0, 1, 0, 1};
    struct sk_mqtt_subscription list[5];
    struct raw_client c;
    struct sk_buffer out = {0};
    for (size_t i = 0; i < 5; i++)
        list[i] = (struct sk_mqtt_subscription){sk_span_z(filters[i]), qos[i]};
    raw_login(&c, f, "d1");
    sk_mqtt_put_subscribe(&out, 77, list, 5);
    raw_send_buffer(&c, &out);
    /* QoS 2 is granted as 1, what nobody knows refused. */
    raw_expect_suback(&c, 77, "\x01\x00\x01\x00\x80", 5);
    sk_mqtt_put_unsubscribe(&out, 78, list, 5);
    raw_send_buffer(&c, &out);
    raw_expect_ack(&c, SK_MQTT_UNSUBACK, 78);
    fleet_call(f, SK_HTTP_PATCH, "/twins/d1", "{\"properties\":{\"desired\":{\"a\":1}}}");
    raw_expect_nothing(&c);
    raw_free(&c);
}

TEST(a_plus_in_a_filter_stands_for_ones_own_id) {
    struct fleet *f = *state;
    static const struct sk_mqtt_subscription list[] = {
        {{"devices/+/messages/devicebound/#", 32}, 1}};
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_login(&c, f, "d1");
    sk_mqtt_put_subscribe(&out, 7, list, 1);
    raw_send_buffer(&c, &out);
    raw_expect_suback(&c, 7, "\x01", 1);
    fleet_send_c2d(f, "d2", "for another");
    fleet_send_c2d(f, "d1", "mine");
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.payload, "mine"));
    assert_true(
        sk_span_starts(packet.u.publish.topic, SK_SPAN("devices/d1/messages/devicebound/")));
    sk_mqtt_put_unsubscribe(&out, 8, list, 1);
    raw_send_buffer(&c, &out);
    raw_expect_ack(&c, SK_MQTT_UNSUBACK, 8);
    fleet_send_c2d(f, "d1", "too late");
    raw_expect_nothing(&c);
    raw_free(&c);
}

TEST(a_plus_in_a_modules_filter_stands_for_both_ids) {
    struct fleet *f = *state;
    static const char *const filters[] = {"devices/+/modules/+/inputs/#", "devices/+/modules/m/#",
                                          "devices/d1/modules/+/inputs/#"};
    struct raw_client c;
    fleet_put(f, "/devices/d1/modules/m", "{\"deviceId\":\"d1\",\"moduleId\":\"m\"," FLEET_SAS "}");
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1", .module = "m", .clean = true});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        raw_subscribe(&c, 1, filters[i], 1);
        raw_expect_suback(&c, 1, "\x01", 1);
    }
    raw_free(&c);
}

TEST(a_filter_for_another_identity_ends_the_connection) {
    struct fleet *f = *state;
    static const char *const filters[] = {
        "devices/d2/messages/devicebound/#", "devices/+/modules/+/inputs/#", /* a device is none */
        "devices/+/modules/m/#", "devices/d1/modules/m/inputs/#", "devices/d1/modules/m/#"};
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++) {
        struct raw_client c;
        raw_login(&c, f, "d1");
        raw_subscribe(&c, 1, filters[i], 1);
        raw_expect_closed(&c);
        raw_free(&c);
    }
}

TEST(what_follows_connect_at_once_is_served_after_it) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_put_connect(&out, f, &(struct raw_connect){.device = "d1"});
    sk_mqtt_put_subscribe(
        &out, 1, &(struct sk_mqtt_subscription){.filter = SK_SPAN("$iothub/twin/res/#")}, 1);
    sk_mqtt_put_publish(&out,
                        &(struct sk_mqtt_publish){.topic = SK_SPAN("$iothub/twin/GET/?$rid=q"),
                                                  .payload = SK_SPAN(" ")});
    sk_mqtt_put_bare(&out, SK_MQTT_PINGREQ);
    raw_open(&c, f, "hub.test");
    raw_send_buffer(&c, &out);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_expect(&c, SK_MQTT_PINGRESP);
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.topic, "$iothub/twin/res/200/?$rid=q"));
    assert_true(sk_span_is(packet.u.publish.payload,
                           "{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}"));
    raw_free(&c);
}

TEST(packets_may_be_split_at_every_byte) {
    struct fleet *f = *state;
    struct sk_buffer out = {0};
    raw_put_connect(&out, f, &(struct raw_connect){.device = "d1", .clean = true});
    sk_mqtt_put_subscribe(
        &out, 1, &(struct sk_mqtt_subscription){.filter = SK_SPAN("$iothub/twin/res/#")}, 1);
    sk_mqtt_put_publish(
        &out, &(struct sk_mqtt_publish){.qos = 1,
                                        .id = 2,
                                        .topic = SK_SPAN("devices/d1/messages/events/a=b"),
                                        .payload = SK_SPAN("body")});
    sk_mqtt_put_bare(&out, SK_MQTT_PINGREQ);
    for (size_t cut = 1; cut < out.n; cut++) {
        struct raw_client c;
        raw_open(&c, f, "hub.test");
        raw_send(&c, sk_span(out.p, cut));
        sk_sim_run(f->sim, 20 * SK_MS);
        raw_send(&c, sk_span(out.p + cut, out.n - cut));
        raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
        raw_expect_suback(&c, 1, "\0", 1);
        struct sk_mqtt_packet packet;
        bool acknowledged = false, pong = false;
        for (unsigned i = 0; i < 2 && raw_next(&c, &packet); i++) {
            acknowledged = acknowledged || packet.type == SK_MQTT_PUBACK;
            pong = pong || packet.type == SK_MQTT_PINGRESP;
        }
        if (!acknowledged || !pong) fail_msg("cut at %zu", cut);
        raw_free(&c);
    }
    assert_int_equal(stored(f).count, out.n - 1);
    sk_buffer_free(&out);
}

/* ---- twins ---- */

/* Sends a patch and checks the answer's status; the JSON of an error must have the code. */
static void report(struct raw_client *c, struct sk_span patch, unsigned status, int code) {
    char topic[64];
    raw_publish(c, "$iothub/twin/PATCH/properties/reported/?$rid=r-1", patch, 0, 0);
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    snprintf(topic, sizeof topic, "$iothub/twin/res/%u/?$rid=r-1%s", status,
             status == 204 ? "&$version=" : "");
    if (!sk_span_starts(packet.u.publish.topic, sk_span_z(topic)))
        fail_msg("%.*s instead of %s: %.*s", SK_ARG(packet.u.publish.topic), topic,
                 SK_ARG(packet.u.publish.payload));
    if (status == 204) {
        assert_int_equal(packet.u.publish.payload.n, 0);
        return;
    }
    json_t *error = json_loadb(packet.u.publish.payload.p, packet.u.publish.payload.n, 0, NULL);
    if (error == NULL) fail_msg("not JSON: %.*s", SK_ARG(packet.u.publish.payload));
    assert_int_equal(json_integer_value(json_object_get(error, "errorCode")), code);
    assert_true(json_string_length(json_object_get(error, "message")) > 0);
    assert_true(json_is_string(json_object_get(error, "trackingId")));
    assert_true(json_is_string(json_object_get(error, "timestampUtc")));
    json_decref(error);
}

TEST(reported_properties_that_break_a_rule_are_refused_with_a_sentence) {
    struct fleet *f = *state;
    static const char *const patches[] = {"",
                                          "{",
                                          "not json",
                                          "[1]",
                                          "1",
                                          "null",
                                          "{\"a\":1,\"a\":2}",
                                          "{\"a.b\":1}",
                                          "{\"a b\":1}",
                                          "{\"$a\":1}",
                                          "{\"a\":[1,null]}",
                                          "{\"a\":4503599627370496}",
                                          "{\"a\":-4503599627370497}",
                                          "{\"1\":{\"2\":{\"3\":{\"4\":{\"5\":{\"6\":"
                                          "{\"7\":{\"8\":{\"9\":{\"10\":{\"11\":{}}}}}}}}}}}}",
                                          "{\"a\":\"\xff\"}"};
    struct raw_client c;
    raw_login(&c, f, "d1");
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++)
        report(&c, sk_span_z(patches[i]), 400, 400004);
    report(&c, SK_SPAN("{\"a\":4503599627370495,\"b\":-4503599627370496}"), 204, 0);
    raw_free(&c);
}

TEST(a_key_that_is_too_long_is_refused_with_json_that_can_be_read) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    /* Two-byte characters, at both parities: wherever the sentence is cut, it must not be in the
     * middle of one. */
    for (unsigned shift = 0; shift < 2; shift++) {
        struct sk_buffer patch = {0};
        sk_buffer_text(&patch, shift ? "{\"x" : "{\"");
        for (unsigned i = 0; i < 600; i++) sk_buffer_text(&patch, "\xc3\xa9");
        sk_buffer_text(&patch, "\":1}");
        report(&c, sk_buffer_span(&patch), 400, 400004);
        sk_buffer_free(&patch);
    }
    raw_free(&c);
}

TEST(reported_properties_beyond_32_kilobytes_are_refused_with_403100) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    for (unsigned more = 0; more < 2; more++) {
        struct sk_buffer patch = {0};
        sk_buffer_byte(&patch, '{');
        for (unsigned i = 0; i < 8; i++) { /* 8 keys of 1 byte and values of 4095: 32768 */
            sk_buffer_print(&patch, "%s\"%u\":\"", i ? "," : "", i);
            for (unsigned j = 0; j < 4095; j++) sk_buffer_byte(&patch, 'x');
            sk_buffer_byte(&patch, '"');
        }
        sk_buffer_text(&patch, more ? ",\"y\":null,\"z\":\"\"}" : "}");
        report(&c, sk_buffer_span(&patch), more ? 403 : 204, 403100);
        sk_buffer_free(&patch);
    }
    raw_free(&c);
}

/* What echoes an id is longer than what brought it. */
TEST(a_request_id_that_no_answer_could_hold_ends_the_connection) {
    struct fleet *f = *state;
    enum { REQUEST = sizeof "$iothub/twin/GET/?$rid=" - 1, MORE = 4 /* "res/200" for "GET" */ };
    static char topic[65536];
    memset(topic, 'r', 65535);
    memcpy(topic, "$iothub/twin/GET/?$rid=", REQUEST);
    for (int longer = 0; longer < 2; longer++) {
        struct raw_client c;
        topic[65535 - MORE] = longer ? 'r' : 0;
        topic[65536 - MORE] = 0;
        raw_login(&c, f, "d1");
        raw_publish(&c, topic, SK_NONE, 0, 0);
        if (longer)
            raw_expect_closed(&c);
        else
            assert_int_equal(raw_expect(&c, SK_MQTT_PUBLISH).u.publish.topic.n, 65535);
        raw_free(&c);
    }
}

TEST(a_report_at_qos_1_is_acknowledged_too) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_publish(&c, "$iothub/twin/PATCH/properties/reported/?$rid=7&$version=1",
                SK_SPAN("{\"a\":1}"), 1, 4);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 4);
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.topic, "$iothub/twin/res/204/?$rid=7&$version=2"));
    raw_free(&c);
}
