/* Who gets into a hub over MQTT, who does not, and what ends a connection. */
#include "support/raw_client.h"
#include "support/test.h"

/* What the hub answers to a CONNECT; the connection must end after a refusal. */
static void connects_with(struct fleet *f, const struct raw_connect *as, unsigned code) {
    struct raw_client c;
    raw_dial(&c, f, "hub.test", as);
    raw_expect_connack(&c, code, false);
    if (code) raw_expect_closed(&c);
    raw_free(&c);
}

static void refused(struct fleet *f, const struct raw_connect *as) {
    connects_with(f, as, SK_MQTT_NOT_AUTHORIZED);
}

AROUND(fleet_new_world, fleet_free_world);

/* ---- before the client is known ---- */

TEST(the_first_packet_must_be_connect) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_open(&c, f, "hub.test");
    raw_send(&c, SK_SPAN("\xc0\x00")); /* PINGREQ */
    raw_expect_closed(&c);
    raw_free(&c);
}

TEST(what_speaks_no_protocol_of_ours_is_hung_up_on) {
    struct fleet *f = *state;
    static const char *const firsts[] = {"\x01\x02", "\x16\x03\x01\x02", "get / HTTP/1.1\r\n\r\n",
                                         "\xff\xff\xff\xff"};
    for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
        struct raw_client c;
        raw_open(&c, f, "hub.test");
        raw_send(&c, sk_span_z(firsts[i]));
        raw_expect_closed(&c);
        raw_free(&c);
    }
}

TEST(a_second_connect_ends_the_connection) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer again = {0};
    raw_login(&c, f, "d1");
    raw_put_connect(&again, f, &(struct raw_connect){.device = "d1", .clean = true});
    raw_send_buffer(&c, &again);
    raw_expect_closed(&c);
    raw_free(&c);
}

TEST(a_malformed_packet_ends_the_connection) {
    struct fleet *f = *state;
    static const struct sk_span packets[] = {
        {"\x10\xff\xff\xff\xff\x01", 6},                      /* a remaining length of five bytes */
        {"\x10\x06\x00\x04MQTT", 8},                          /* CONNECT that ends in the middle */
        {"\x11\x00", 2},                                      /* flags that CONNECT does not have */
        {"\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00", 14}, /* the reserved flag */
    };
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        struct raw_client c;
        raw_open(&c, f, "hub.test");
        raw_send(&c, packets[i]);
        raw_expect_closed(&c);
        raw_free(&c);
    }
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_send(&c, SK_SPAN("\x82\x02\x00\x01")); /* SUBSCRIBE without filters */
    raw_expect_closed(&c);
    raw_free(&c);
}

TEST(a_client_that_says_nothing_is_hung_up_on_after_a_minute) {
    struct fleet *f = *state;
    struct raw_client silent, half;
    raw_open(&silent, f, "hub.test");
    raw_open(&half, f, "hub.test");
    raw_send(&half, SK_SPAN("\x10\x20\x00\x04"));
    sk_sim_run(f->sim, 59 * SK_S);
    assert_non_null(silent.stream);
    assert_non_null(half.stream);
    sk_sim_run(f->sim, 2 * SK_S);
    assert_null(silent.stream);
    assert_null(half.stream);
    raw_free(&silent);
    raw_free(&half);
}

TEST(another_protocol_level_is_refused_with_1) {
    struct fleet *f = *state;
    static const struct sk_span packets[] = {
        {"\x10\x0f\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x02"
         "d1",
         17}, /* MQTT 5 */
        {"\x10\x10\x00\x06MQIsdp\x03\x02\x00\x00\x00\x02"
         "d1",
         18}, /* MQTT 3.1 */
    };
    for (size_t i = 0; i < sizeof packets / sizeof *packets; i++) {
        struct raw_client c;
        raw_open(&c, f, "hub.test");
        raw_send(&c, packets[i]);
        raw_expect_connack(&c, SK_MQTT_BAD_PROTOCOL, false);
        raw_expect_closed(&c);
        raw_free(&c);
    }
}

TEST(nobody_unknown_may_send_more_than_16_kilobytes) {
    struct fleet *f = *state;
    static char text[SK_MQTT_TEXT_MAX];
    enum { LIMIT = 16 * 1024, WITHOUT_WILL = 2 + 4 + 1 + 1 + 2 };
    memset(text, 'x', sizeof text);
    /* A CONNECT whose remaining length is exactly the limit, then one more: the client id fills it.
     */
    for (size_t more = 0; more < 2; more++) {
        struct raw_client c;
        struct sk_buffer out = {0};
        struct sk_mqtt_connect connect = {
            .clean_session = true, .client_id = sk_span(text, LIMIT - WITHOUT_WILL - 2 + more)};
        assert_int_equal(sk_mqtt_put_connect(&out, &connect), SK_OK);
        assert_int_equal(out.n, LIMIT + 4 + more - (LIMIT + more < 16384 ? 1 : 0));
        raw_open(&c, f, "hub.test");
        raw_send_buffer(&c, &out);
        if (more == 0) raw_expect_connack(&c, SK_MQTT_NOT_AUTHORIZED, false);
        raw_expect_closed(&c);
        raw_free(&c);
    }
}

/* ---- names and tokens ---- */

TEST(a_good_token_is_taken_with_either_key_and_through_a_policy) {
    struct fleet *f = *state;
    connects_with(f, &(struct raw_connect){.device = "d1"}, SK_MQTT_ACCEPTED);
    connects_with(f,
                  &(struct raw_connect){.device = "d1", .policy = "owner", .resource = "hub.test"},
                  SK_MQTT_ACCEPTED);
    connects_with(
        f, &(struct raw_connect){.device = "d1", .policy = "owner", .resource = "hub.test/devices"},
        SK_MQTT_ACCEPTED);
    connects_with(f, &(struct raw_connect){.device = "d1", .resource = "HUB.TEST/devices/d1"},
                  SK_MQTT_ACCEPTED);
}

TEST(a_client_id_that_is_not_the_user_is_refused_with_2) {
    struct fleet *f = *state;
    connects_with(f, &(struct raw_connect){.device = "d1", .client_id = "d2"},
                  SK_MQTT_BAD_CLIENT_ID);
    connects_with(f, &(struct raw_connect){.device = "d1", .client_id = "D1"},
                  SK_MQTT_BAD_CLIENT_ID);
    connects_with(f, &(struct raw_connect){.device = "d1", .client_id = ""}, SK_MQTT_BAD_CLIENT_ID);
    connects_with(f, &(struct raw_connect){.device = "d1", .client_id = "d1/m"},
                  SK_MQTT_BAD_CLIENT_ID);
}

TEST(bad_tokens_are_refused_with_5) {
    struct fleet *f = *state;
    refused(f, &(struct raw_connect){.device = "d1", .password = ""});
    refused(f, &(struct raw_connect){.device = "d1", .password = "secret"});
    refused(f,
            &(struct raw_connect){.device = "d1", .password = "SharedAccessSignature sr=hub.test"});
    refused(f, &(struct raw_connect){.device = "d1", .key = "AQID"});
    refused(f, &(struct raw_connect){.device = "d1", .resource = "hub.test/devices/d2"});
    refused(f, &(struct raw_connect){.device = "d1", .resource = "hub.test/devices/d"});
    refused(f, &(struct raw_connect){.device = "d1", .resource = "other.test/devices/d1"});
    refused(f, &(struct raw_connect){.device = "d1",
                                     .policy = "reader",
                                     .resource = "hub.test"}); /* without DeviceConnect */
    refused(f, &(struct raw_connect){.device = "d1", .policy = "nobody", .resource = "hub.test"});
}

TEST(a_token_is_good_for_five_minutes_after_its_expiry) {
    struct fleet *f = *state;
    connects_with(f, &(struct raw_connect){.device = "d1", .life_s = -299}, SK_MQTT_ACCEPTED);
    refused(f, &(struct raw_connect){.device = "d1", .life_s = -302});
}

TEST(a_token_may_be_good_for_ever) {
    struct fleet *f = *state;
    int64_t now_s = sk_io_wall(f->field_io) / 1000000;
    struct raw_client c;
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1", .life_s = INT64_MAX - 1 - now_s});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_ping(&c);
    raw_free(&c);
}

TEST(another_hub_or_an_unreadable_user_name_is_refused_with_5) {
    struct fleet *f = *state;
    refused(f,
            &(struct raw_connect){.device = "d1", .user = "other.test/d1/?api-version=2021-04-12"});
    refused(f, &(struct raw_connect){.device = "d1", .user = "d1"});
    refused(f, &(struct raw_connect){.device = "d1", .user = ""});
    refused(f, &(struct raw_connect){.device = "d1", .user = "hub.test//?api-version=2021-04-12"});
}

TEST(unknown_identities_are_refused_with_5) {
    struct fleet *f = *state;
    refused(f, &(struct raw_connect){.device = "d3"});
    refused(f, &(struct raw_connect){.device = "D1"});
    refused(f, &(struct raw_connect){.device = "d1", .module = "m"});
    refused(f, &(struct raw_connect){.device = "d3", .policy = "owner", .resource = "hub.test"});
}

TEST(nobody_may_speak_for_a_device_that_is_not_his_child) {
    struct fleet *f = *state;
    fleet_put_device(f, "edge1", ",\"capabilities\":{\"iotEdge\":true}");
    fleet_send(f, SK_HTTP_PUT, "/devices/edge1/modules/%24edgeHub",
               "{\"deviceId\":\"edge1\",\"moduleId\":\"$edgeHub\"," FLEET_SAS "}", true);
    assert_int_equal(f->status, 200);
    static const char *const users[] = {
        "hub.test/d1/?api-version=2021-04-12&auth-chain=d1%3Bedge1",
        "hub.test/d1/?api-version=2021-04-12&auth-chain=d2%3Bedge1",
        "hub.test/d1/?api-version=2021-04-12&auth-chain=d1%3B",
        "hub.test/d1/?api-version=2021-04-12&auth-chain=%3B%3Bedge1"};
    for (size_t i = 0; i < sizeof users / sizeof *users; i++)
        refused(f, &(struct raw_connect){.device = "d1",
                                         .user = users[i],
                                         .resource = "hub.test/devices/edge1/modules/$edgeHub"});
}

TEST(a_disabled_device_is_refused_with_3) {
    struct fleet *f = *state;
    fleet_put_device(f, "off", ",\"status\":\"disabled\"");
    connects_with(f, &(struct raw_connect){.device = "off"}, SK_MQTT_UNAVAILABLE);
    connects_with(f,
                  &(struct raw_connect){.device = "off", .policy = "owner", .resource = "hub.test"},
                  SK_MQTT_UNAVAILABLE);
}

/* ---- what ends a connection ---- */

TEST(silence_of_one_and_a_half_keep_alives_ends_it) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1", .clean = true, .keep_alive_s = 20});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    sk_sim_run(f->sim, 29 * SK_S);
    raw_ping(&c); /* any packet counts */
    sk_sim_run(f->sim, 29 * SK_S);
    assert_non_null(c.stream);
    sk_sim_run(f->sim, 2 * SK_S);
    assert_null(c.stream);
    raw_free(&c);
}

TEST(half_seconds_of_the_keep_alive_count) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1", .clean = true, .keep_alive_s = 1});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    for (unsigned i = 0; i < 10; i++) {
        sk_sim_run(f->sim, 1200 * SK_MS);
        raw_ping(&c);
    }
    sk_sim_run(f->sim, 1600 * SK_MS);
    assert_null(c.stream);
    raw_free(&c);
}

TEST(without_keep_alive_the_longest_silence_is_1767_seconds) {
    struct fleet *f = *state;
    static const uint16_t keep_alives[] = {0, 60000};
    for (size_t i = 0; i < 2; i++) {
        struct raw_client c;
        raw_dial(
            &c, f, "hub.test",
            &(struct raw_connect){.device = "d1", .clean = true, .keep_alive_s = keep_alives[i]});
        raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
        sk_sim_run(f->sim, 1766 * SK_S);
        assert_non_null(c.stream);
        sk_sim_run(f->sim, 2 * SK_S);
        assert_null(c.stream);
        raw_free(&c);
    }
}

TEST(a_token_that_runs_out_ends_it_five_minutes_later) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_dial(&c, f, "hub.test", &(struct raw_connect){.device = "d1", .life_s = 600});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    sk_sim_run(f->sim, 898 * SK_S);
    raw_ping(&c);
    sk_sim_run(f->sim, 5 * SK_S);
    assert_null(c.stream);
    raw_free(&c);
}

TEST(a_second_connection_takes_over) {
    struct fleet *f = *state;
    struct raw_client first, second, other;
    raw_login(&other, f, "d2");
    raw_login(&first, f, "d1");
    raw_login(&second, f, "d1");
    raw_expect_closed(&first);
    raw_ping(&second);
    raw_ping(&other);
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(f->hub, 0)).sessions, 2);
    raw_free(&first);
    raw_free(&second);
    raw_free(&other);
}

TEST(a_module_and_its_device_do_not_displace_each_other) {
    struct fleet *f = *state;
    struct raw_client device, module;
    fleet_put(f, "/devices/d1/modules/m", "{\"deviceId\":\"d1\",\"moduleId\":\"m\"," FLEET_SAS "}");
    raw_login(&device, f, "d1");
    raw_dial(&module, f, "hub.test",
             &(struct raw_connect){.device = "d1", .module = "m", .clean = true});
    raw_expect_connack(&module, SK_MQTT_ACCEPTED, false);
    raw_ping(&device);
    raw_ping(&module);
    /* Without the device, the module goes. */
    fleet_call(f, SK_HTTP_DELETE, "/devices/d1", "");
    assert_int_equal(f->status, 204);
    raw_expect_closed(&device);
    raw_expect_closed(&module);
    raw_free(&device);
    raw_free(&module);
}

TEST(a_device_that_is_deleted_or_disabled_loses_its_connection) {
    struct fleet *f = *state;
    struct raw_client c, other;
    raw_login(&other, f, "d2");
    raw_login(&c, f, "d1");
    fleet_send(f, SK_HTTP_PUT, "/devices/d1",
               "{\"deviceId\":\"d1\",\"status\":\"disabled\"," FLEET_SAS "}", true);
    assert_int_equal(f->status, 200);
    raw_expect_closed(&c);
    raw_free(&c);
    connects_with(f, &(struct raw_connect){.device = "d1"}, SK_MQTT_UNAVAILABLE);
    fleet_send(f, SK_HTTP_PUT, "/devices/d1",
               "{\"deviceId\":\"d1\",\"status\":\"enabled\"," FLEET_SAS "}", true);
    raw_login(&c, f, "d1");
    fleet_call(f, SK_HTTP_DELETE, "/devices/d1", "");
    assert_int_equal(f->status, 204);
    raw_expect_closed(&c);
    raw_free(&c);
    refused(f, &(struct raw_connect){.device = "d1"});
    raw_ping(&other);
    raw_free(&other);
}

/* ---- sessions ---- */

TEST(clean_session_0_keeps_subscriptions_over_reconnects_and_restarts) {
    struct fleet *f = *state;
    struct raw_client c;
    const struct raw_connect kept = {.device = "d1"}, clean = {.device = "d1", .clean = true};
    raw_dial(&c, f, "hub.test", &kept);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_subscribe(&c, 1, "$iothub/twin/PATCH/properties/desired/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_free(&c);
    for (unsigned restart = 0; restart < 2; restart++) {
        raw_dial(&c, f, "hub.test", &kept);
        raw_expect_connack(&c, SK_MQTT_ACCEPTED, true);
        fleet_call(f, SK_HTTP_PATCH, "/twins/d1", "{\"properties\":{\"desired\":{\"a\":1}}}");
        struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
        assert_true(sk_span_starts(packet.u.publish.topic,
                                   SK_SPAN("$iothub/twin/PATCH/properties/desired/?$version=")));
        raw_free(&c);
        fleet_stop_hub(f);
        fleet_start_hub(f);
    }
    raw_dial(&c, f, "hub.test", &clean);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    fleet_call(f, SK_HTTP_PATCH, "/twins/d1", "{\"properties\":{\"desired\":{\"a\":2}}}");
    raw_expect_nothing(&c);
    raw_free(&c);
    raw_dial(&c, f, "hub.test", &kept); /* what there was is gone for good */
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_free(&c);
}

TEST(a_device_made_anew_has_no_old_session) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_dial(&c, f, "hub.test", &(struct raw_connect){.device = "d1"});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_subscribe(&c, 1, "$iothub/methods/POST/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_free(&c);
    fleet_call(f, SK_HTTP_DELETE, "/devices/d1", "");
    fleet_put_device(f, "d1", "");
    raw_dial(&c, f, "hub.test", &(struct raw_connect){.device = "d1"});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_free(&c);
}

/* ---- wills ---- */

struct seen {
    size_t count, wills;
    char body[64], device[64];
};

static void see(void *arg, const struct sk_message *message) {
    struct seen *seen = arg;
    const struct sk_property *type = sk_message_property(message, SK_SPAN("iothub-MessageType"));
    seen->count++;
    seen->wills += type && sk_span_is(type->value, "Will");
    snprintf(seen->body, sizeof seen->body, "%.*s", SK_ARG(message->body));
    snprintf(seen->device, sizeof seen->device, "%.*s", SK_ARG(message->device));
}

static const struct raw_connect with_will = {.device = "d1",
                                             .clean = true,
                                             .will_topic = "devices/d1/messages/events/a=b",
                                             .will_payload = "gone"};

TEST(a_will_is_sent_when_the_connection_breaks_off) {
    struct fleet *f = *state;
    struct raw_client c, second;
    struct seen seen = {0};
    raw_dial(&c, f, "hub.test", &with_will);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_free(&c);
    fleet_read_events(f, see, &seen);
    assert_int_equal(seen.wills, 1);
    assert_string_equal(seen.body, "gone");
    assert_string_equal(seen.device, "d1");
    /* A take-over is not a goodbye either. */
    raw_dial(&c, f, "hub.test", &with_will);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_login(&second, f, "d1");
    raw_expect_closed(&c);
    sk_sim_run(f->sim, SK_S);
    seen = (struct seen){0};
    fleet_read_events(f, see, &seen);
    assert_int_equal(seen.wills, 2);
    raw_free(&c);
    raw_free(&second);
}

TEST(no_will_is_sent_after_disconnect_or_when_the_hub_stops) {
    struct fleet *f = *state;
    struct raw_client c;
    struct seen seen = {0};
    raw_dial(&c, f, "hub.test", &with_will);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    raw_send(&c, SK_SPAN("\xe0\x00"));
    raw_expect_closed(&c);
    raw_free(&c);
    raw_dial(&c, f, "hub.test", &with_will);
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    fleet_stop_hub(f);
    fleet_start_hub(f);
    raw_free(&c);
    raw_dial(
        &c, f, "hub.test",
        &(struct raw_connect){.device = "d1", .key = "AQID", .will_topic = with_will.will_topic});
    raw_expect_connack(&c, SK_MQTT_NOT_AUTHORIZED, false);
    raw_free(&c);
    fleet_read_events(f, see, &seen);
    assert_int_equal(seen.count, 0);
}

TEST(a_will_that_is_not_the_clients_own_telemetry_is_refused) {
    struct fleet *f = *state;
    refused(f, &(struct raw_connect){.device = "d1", .will_topic = "devices/d2/messages/events/"});
    refused(f, &(struct raw_connect){.device = "d1",
                                     .will_topic = "devices/d1/modules/m/messages/events/"});
    refused(f, &(struct raw_connect){.device = "d1", .will_topic = "$iothub/twin/GET/?$rid=1"});
    refused(f, &(struct raw_connect){
                   .device = "d1", .will_topic = "devices/d1/messages/events/", .will_qos = 2});
}
