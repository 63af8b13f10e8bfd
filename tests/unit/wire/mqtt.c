/* The MQTT codec against the specification's normative statements, byte by byte. */
#include "wire/mqtt.h"
#include "support/test.h"

static struct sk_buffer scratch;

/* Bytes from hex with spaces; valid until the next call. */
static struct sk_span hex(const char *text) {
    scratch.n = 0;
    for (; *text; text++) {
        if (*text == ' ') continue;
        assert_int_equal(sk_hex_decode(&scratch, sk_span(text, 2)), SK_OK);
        text++;
    }
    return sk_buffer_span(&scratch);
}

static enum sk_status decode(const char *text, struct sk_mqtt_packet *packet) {
    struct sk_span bytes = hex(text);
    size_t used;
    enum sk_status status = sk_mqtt_decode(bytes, SK_MQTT_REMAINING_MAX, packet, &used);
    if (status == SK_OK) assert_int_equal(used, bytes.n);
    return status;
}

static void refused(const char *text) {
    struct sk_mqtt_packet packet;
    if (decode(text, &packet) != SK_MALFORMED) fail_msg("taken: %s", text);
}

static void taken(const char *text) {
    struct sk_mqtt_packet packet;
    if (decode(text, &packet) != SK_OK) fail_msg("refused: %s", text);
}

#define assert_span(span, text) assert_true(sk_span_is(span, text))

static int clean_up(void **state) {
    (void)state;
    sk_buffer_free(&scratch);
    return 0;
}

AROUND_ALL(NULL, clean_up);

TEST(a_connect_with_everything_is_decoded) {
    struct sk_mqtt_packet packet;
    /*                          MQTT 4  flags=will retain qos1 user password, keep-alive 60 */
    assert_int_equal(
        decode("10 1b 0004 4d515454 04 ec 003c 0001 64 0001 74 0002 7770 0001 75 0002 7077",
               &packet),
        SK_OK);
    assert_int_equal(packet.type, SK_MQTT_CONNECT);
    struct sk_mqtt_connect *connect = &packet.u.connect;
    assert_true(sk_mqtt_connect_supported(connect));
    assert_false(connect->clean_session);
    assert_int_equal(connect->keep_alive_s, 60);
    assert_int_equal(connect->will_qos, 1);
    assert_true(connect->will_retain);
    assert_span(connect->client_id, "d");
    assert_span(connect->will_topic, "t");
    assert_span(connect->will_payload, "wp");
    assert_span(connect->user, "u");
    assert_span(connect->password, "pw");
}

TEST(an_unknown_protocol_level_is_decoded_so_that_it_can_be_answered) {
    struct sk_mqtt_packet packet;
    assert_int_equal(decode("10 0a 0004 4d515454 05 02 003c", &packet), SK_OK);
    assert_false(sk_mqtt_connect_supported(&packet.u.connect));
    assert_int_equal(packet.u.connect.level, 5);
    assert_int_equal(decode("10 0e 0006 4d5149736470 03 02 003c 0000", &packet), SK_OK);
    assert_span(packet.u.connect.protocol, "MQIsdp");
}

TEST(connects_against_the_rules_are_refused) {
    taken("10 0d 0004 4d515454 04 02 003c 0001 64");
    taken("10 0c 0004 4d515454 04 00 003c 0000"); /* an empty client id is the server's to refuse */
    refused("10 0d 0004 4d515454 04 03 003c 0001 64");              /* reserved flag */
    refused("10 0d 0004 4d515454 04 0a 003c 0001 64");              /* will QoS without a will */
    refused("10 0d 0004 4d515454 04 22 003c 0001 64");              /* will retain without a will */
    refused("10 0f 0004 4d515454 04 42 003c 0001 64 0000");         /* password without a user */
    refused("10 12 0004 4d515454 04 1e 003c 0001 64 0001 74 0000"); /* will QoS 3 */
    refused("10 11 0004 4d515454 04 06 003c 0001 64 0000 0000");    /* empty will topic */
    refused("10 0e 0004 4d515454 04 02 003c 0001 64 00");           /* a byte too many */
    refused("10 0c 0004 4d515454 04 02 003c 0001");                 /* client id cut off */
    refused("10 0d 0004 4d515454 04 02 003c 0001 ff");              /* client id not UTF-8 */
    refused("11 0d 0004 4d515454 04 02 003c 0001 64");              /* fixed header flags */
    refused("10 06 0004 4d515454");
    refused("10 00");
}

TEST(publishes_are_decoded) {
    struct sk_mqtt_packet packet;
    assert_int_equal(decode("3b 08 0003 612f62 000a 78", &packet), SK_OK);
    assert_int_equal(packet.type, SK_MQTT_PUBLISH);
    assert_true(packet.u.publish.dup);
    assert_true(packet.u.publish.retain);
    assert_int_equal(packet.u.publish.qos, 1);
    assert_int_equal(packet.u.publish.id, 10);
    assert_span(packet.u.publish.topic, "a/b");
    assert_span(packet.u.publish.payload, "x");

    assert_int_equal(decode("30 03 0001 61", &packet), SK_OK);
    assert_int_equal(packet.u.publish.qos, 0);
    assert_int_equal(packet.u.publish.id, 0);
    assert_int_equal(packet.u.publish.payload.n, 0);
    taken("34 05 0001 61 0001"); /* QoS 2: for the head to refuse */
}

TEST(publishes_against_the_rules_are_refused) {
    refused("36 05 0001 61 0001"); /* QoS 3 */
    refused("38 03 0001 61");      /* DUP with QoS 0 */
    refused("32 05 0001 61 0000"); /* id 0 */
    refused("32 04 0001 61 00");   /* id cut off */
    refused("30 02 0000");         /* empty topic */
    refused("30 01 00");
    refused("30 00");
    refused("30 03 0002 61");     /* topic longer than the packet */
    refused("30 03 0001 00");     /* U+0000 */
    refused("30 04 0002 c080");   /* overlong */
    refused("30 05 0003 eda080"); /* surrogate */
}

TEST(every_packet_type_takes_its_own_flags_only) {
    static const char *const good[] = {
        "20 02 0100",    "40 02 0001",
        "50 02 0001",    "62 02 0001",
        "70 02 0001",    "82 06 0001 0001 61 01",
        "90 03 0001 80", "a2 05 0001 0001 61",
        "b0 02 0001",    "c0 00",
        "d0 00",         "e0 00",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        taken(good[i]);
        for (unsigned flags = 0; flags < 16; flags++) {
            struct sk_span bytes = hex(good[i]);
            unsigned char first = (unsigned char)bytes.p[0];
            if (flags == (first & 15u)) continue;
            scratch.p[0] = (char)((first & 0xf0) | flags);
            struct sk_mqtt_packet packet;
            size_t used;
            assert_int_equal(sk_mqtt_decode(bytes, 100, &packet, &used), SK_MALFORMED);
        }
    }
    refused("00 00");
    refused("f0 00");
    refused("ff 00");
}

TEST(packets_of_fixed_shape_take_nothing_else) {
    refused("20 02 0200"); /* CONNACK: reserved flag */
    refused("20 02 0105"); /* session present with a refusal */
    taken("20 02 0005");
    refused("20 03 000000");
    refused("40 02 0000"); /* id 0 */
    refused("40 03 000100");
    refused("40 01 01");
    refused("c0 01 00");
    refused("e0 01 00");
    refused("90 02 0001");    /* SUBACK without codes */
    refused("90 03 0001 03"); /* unknown code */
    refused("90 03 0000 00");
}

TEST(subscriptions_are_walked) {
    struct sk_mqtt_packet packet;
    struct sk_mqtt_subscription one;
    assert_int_equal(decode("82 0c 0102 0003 612f23 02 0001 62 00", &packet), SK_OK);
    assert_int_equal(packet.u.subscribe.id, 0x102);
    struct sk_span filters = packet.u.subscribe.filters;
    assert_true(sk_mqtt_next_filter(packet.type, &filters, &one));
    assert_span(one.filter, "a/#");
    assert_int_equal(one.qos, 2);
    assert_true(sk_mqtt_next_filter(packet.type, &filters, &one));
    assert_span(one.filter, "b");
    assert_false(sk_mqtt_next_filter(packet.type, &filters, &one));

    assert_int_equal(decode("a2 08 0001 0001 61 0001 62", &packet), SK_OK);
    filters = packet.u.subscribe.filters;
    assert_true(sk_mqtt_next_filter(packet.type, &filters, &one));
    assert_true(sk_mqtt_next_filter(packet.type, &filters, &one));
    assert_span(one.filter, "b");
    assert_false(sk_mqtt_next_filter(packet.type, &filters, &one));
}

TEST(subscriptions_against_the_rules_are_refused) {
    refused("82 02 0001");            /* no filter */
    refused("82 05 0001 0000 00");    /* empty filter */
    refused("82 06 0000 0001 61 01"); /* id 0 */
    refused("82 06 0001 0001 61 03"); /* QoS 3 */
    refused("82 05 0001 0001 61");    /* QoS cut off */
    refused("82 06 0001 0001 00 01"); /* U+0000 */
    refused("a2 02 0001");
    refused("a2 04 0001 0000");
    refused("a2 05 0000 0001 61");
    refused("a2 05 0001 0002 61");
}

TEST(a_packet_in_pieces_waits_for_its_end_and_says_how_long_it_is) {
    struct sk_buffer wire = {0};
    char payload[300] = {0};
    struct sk_mqtt_publish publish = {
        .qos = 1, .id = 7, .topic = SK_SPAN("t"), .payload = sk_span(payload, sizeof payload)};
    assert_int_equal(sk_mqtt_put_publish(&wire, &publish), SK_OK);
    struct sk_mqtt_packet packet;
    size_t used;
    for (size_t n = 0; n < wire.n; n++) {
        assert_int_equal(sk_mqtt_decode(sk_span(wire.p, n), 1000, &packet, &used), SK_AGAIN);
        assert_int_equal(used, n < 3 ? 0 : wire.n);
    }
    assert_int_equal(sk_mqtt_decode(sk_span(wire.p, wire.n), 1000, &packet, &used), SK_OK);
    assert_int_equal(used, wire.n);
    sk_buffer_free(&wire);
}

TEST(the_size_limit_is_known_from_the_fixed_header) {
    struct sk_mqtt_packet packet;
    size_t used;
    /* 16384 = 80 80 01 */
    assert_int_equal(sk_mqtt_decode(hex("30 808001"), 16384, &packet, &used), SK_AGAIN);
    assert_int_equal(used, 4 + 16384);
    assert_int_equal(sk_mqtt_decode(hex("30 808001"), 16383, &packet, &used), SK_TOO_LARGE);
    assert_int_equal(sk_mqtt_decode(hex("30 ffffff7f"), SK_MQTT_REMAINING_MAX, &packet, &used),
                     SK_AGAIN);
    assert_int_equal(sk_mqtt_decode(hex("30 ffffffff"), SK_MQTT_REMAINING_MAX, &packet, &used),
                     SK_MALFORMED);
    assert_int_equal(sk_mqtt_decode(hex("30 ffffff"), SK_MQTT_REMAINING_MAX, &packet, &used),
                     SK_AGAIN);
}

TEST(what_is_encoded_decodes_to_the_same) {
    struct sk_buffer wire = {0};
    struct sk_mqtt_connect connect = {.clean_session = true,
                                      .has_will = true,
                                      .will_qos = 1,
                                      .will_retain = true,
                                      .has_user = true,
                                      .has_password = true,
                                      .keep_alive_s = 240,
                                      .client_id = SK_SPAN("d1/m1"),
                                      .will_topic = SK_SPAN("w"),
                                      .will_payload = SK_SPAN("gone"),
                                      .user = SK_SPAN("host/d1/m1/?api-version=2021-04-12"),
                                      .password = SK_SPAN("secret")};
    struct sk_mqtt_subscription list[] = {{SK_SPAN("a/+"), 1}, {SK_SPAN("$iothub/twin/res/#"), 0}};
    sk_mqtt_put_connect(&wire, &connect);
    sk_mqtt_put_connack(&wire, true, SK_MQTT_ACCEPTED);
    sk_mqtt_put_subscribe(&wire, 1, list, 2);
    sk_mqtt_put_suback(&wire, 1, SK_SPAN("\x01\x80"));
    sk_mqtt_put_unsubscribe(&wire, 2, list, 2);
    sk_mqtt_put_ack(&wire, SK_MQTT_UNSUBACK, 2);
    sk_mqtt_put_ack(&wire, SK_MQTT_PUBREL, 65535);
    sk_mqtt_put_bare(&wire, SK_MQTT_PINGREQ);

    struct sk_mqtt_packet packet;
    struct sk_span rest = sk_buffer_span(&wire);
    size_t used;
    static const enum sk_mqtt_type order[] = {
        SK_MQTT_CONNECT,     SK_MQTT_CONNACK,  SK_MQTT_SUBSCRIBE, SK_MQTT_SUBACK,
        SK_MQTT_UNSUBSCRIBE, SK_MQTT_UNSUBACK, SK_MQTT_PUBREL,    SK_MQTT_PINGREQ};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        assert_int_equal(sk_mqtt_decode(rest, 1000, &packet, &used), SK_OK);
        assert_int_equal(packet.type, order[i]);
        rest = sk_span_skip(rest, used);
        if (i == 0) {
            assert_true(packet.u.connect.clean_session && packet.u.connect.will_retain);
            assert_int_equal(packet.u.connect.keep_alive_s, 240);
            assert_true(sk_span_eq(packet.u.connect.client_id, connect.client_id));
            assert_true(sk_span_eq(packet.u.connect.will_payload, connect.will_payload));
            assert_true(sk_span_eq(packet.u.connect.user, connect.user));
            assert_true(sk_span_eq(packet.u.connect.password, connect.password));
        }
        if (i == 1) assert_true(packet.u.connack.session_present);
        if (i == 3) assert_true(sk_span_eq(packet.u.suback.codes, SK_SPAN("\x01\x80")));
        if (i == 6) assert_int_equal(packet.u.id, 65535);
    }
    assert_int_equal(rest.n, 0);
    sk_buffer_free(&wire);
}

TEST(remaining_lengths_are_encoded_at_each_width) {
    static const size_t sizes[] = {127, 128, 16383, 16384, 2097151, 2097152};
    char *payload = sk_alloc(2097152);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sk_buffer wire = {0};
        struct sk_mqtt_publish publish = {.topic = SK_SPAN("t"),
                                          .payload = sk_span(payload, sizes[i] - 3)};
        struct sk_mqtt_packet packet;
        size_t used;
        assert_int_equal(sk_mqtt_put_publish(&wire, &publish), SK_OK);
        assert_int_equal(wire.n, sizes[i] + 2 + (i + 1) / 2);
        assert_int_equal(sk_mqtt_decode(sk_buffer_span(&wire), sizes[i], &packet, &used), SK_OK);
        assert_int_equal(packet.u.publish.payload.n, sizes[i] - 3);
        sk_buffer_free(&wire);
    }
    free(payload);
}

TEST(what_does_not_fit_is_not_encoded_at_all) {
    char *topic = sk_alloc(SK_MQTT_TEXT_MAX + 1);
    memset(topic, 't', SK_MQTT_TEXT_MAX + 1);
    struct sk_buffer wire = {0};
    struct sk_mqtt_publish publish = {.topic = sk_span(topic, SK_MQTT_TEXT_MAX + 1)};
    assert_int_equal(sk_mqtt_put_publish(&wire, &publish), SK_TOO_LARGE);
    assert_int_equal(wire.n, 0);
    publish.topic.n--;
    assert_int_equal(sk_mqtt_put_publish(&wire, &publish), SK_OK);

    struct sk_buffer small = {.limit = 5};
    publish = (struct sk_mqtt_publish){.topic = SK_SPAN("ab")};
    assert_int_equal(sk_mqtt_put_publish(&small, &publish), SK_TOO_LARGE);
    assert_int_equal(small.n, 0);
    publish.topic = SK_SPAN("a");
    assert_int_equal(sk_mqtt_put_publish(&small, &publish), SK_OK);
    sk_buffer_free(&wire);
    sk_buffer_free(&small);
    free(topic);
}

TEST(utf8_is_checked_at_every_alignment) {
    static const struct {
        const char *bytes;
        bool good;
    } cases[] = {
        {"\xc3\xa4", true},
        {"\xe2\x82\xac", true},
        {"\xf0\x9f\x98\x80", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xef\xbb\xbf", true},
        {"\xed\x9f\xbf", true},
        {"\xee\x80\x80", true},
        {"\x80", false},
        {"\xc3", false},
        {"\xc1\xbf", false},
        {"\xe0\x9f\xbf", false},
        {"\xed\xa0\x80", false},
        {"\xf0\x8f\xbf\xbf", false},
        {"\xf4\x90\x80\x80", false},
        {"\xf5\x80\x80\x80", false},
        {"\xe2\x82", false},
        {"\xe2\x28\xa1", false},
        {"\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t before = 0; before < 20; before++) {
            char text[40];
            memset(text, 'a', sizeof text);
            size_t n = strlen(cases[i].bytes);
            memcpy(text + before, cases[i].bytes, n);
            assert_int_equal(sk_mqtt_utf8_valid(sk_span(text, before + n)), cases[i].good);
            if (cases[i].good || n > 1) continue;
            assert_false(sk_mqtt_utf8_valid(sk_span(text, sizeof text)));
        }
    }
    for (size_t at = 0; at < 20; at++) {
        char text[20];
        memset(text, 0x7f, sizeof text);
        text[at] = 0;
        assert_false(sk_mqtt_utf8_valid(sk_span(text, sizeof text)));
    }
    assert_true(sk_mqtt_utf8_valid(SK_NONE));
}

TEST(filters_cover_topics_as_the_specification_says) {
    static const struct {
        const char *filter, *topic;
        bool covers;
    } cases[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1", true},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true},
        {"sport/tennis/player1/#", "sport/tennis/player10", false},
        {"sport/#", "sport", true},
        {"#", "a/b", true},
        {"#", "/", true},
        {"sport/tennis/+", "sport/tennis/player1", true},
        {"sport/tennis/+", "sport/tennis/player1/ranking", false},
        {"sport/+", "sport", false},
        {"sport/+", "sport/", true},
        {"+/+", "/finance", true},
        {"/+", "/finance", true},
        {"+", "/finance", false},
        {"#", "$SYS/x", false},
        {"+/x", "$SYS/x", false},
        {"$SYS/#", "$SYS/x", true},
        {"$SYS/+", "$SYS/x", true},
        {"a/b", "a/b", true},
        {"a/b", "a/B", false},
        {"a/b", "a/b/", false},
        {"a//b", "a//b", true},
        {"a/+/b", "a//b", true},
        {"a", "", false},
        {"", "a", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (sk_mqtt_filter_covers(sk_span_z(cases[i].filter), sk_span_z(cases[i].topic)) !=
            cases[i].covers)
            fail_msg("%s covers %s", cases[i].filter, cases[i].topic);
}

TEST(wildcards_stand_alone_in_filters_and_not_at_all_in_topics) {
    static const char *const good[] = {"#", "+", "a/#", "+/a/#", "/", "//", "a", "/+/"};
    static const char *const bad[] = {"", "a#", "a/#/b", "a/b#", "a+", "+a/b", "##", "#/"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(sk_mqtt_filter_valid(sk_span_z(good[i])));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (sk_mqtt_filter_valid(sk_span_z(bad[i]))) fail_msg("taken: %s", bad[i]);
    assert_true(sk_mqtt_topic_valid(SK_SPAN("a/b")));
    assert_false(sk_mqtt_topic_valid(SK_SPAN("a/+")));
    assert_false(sk_mqtt_topic_valid(SK_SPAN("a#")));
    assert_false(sk_mqtt_topic_valid(SK_NONE));
}
