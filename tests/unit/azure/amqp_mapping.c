/* Messages to AMQP's sections and back, through the bytes. */
#include "azure/amqp_mapping.h"
#include "support/test.h"

static struct sk_arena arena;
static struct sk_buffer bytes;

static int tear_down(void **state) {
    (void)state;
    sk_arena_free(&arena);
    sk_buffer_free(&bytes);
    arena = (struct sk_arena){0};
    return 0;
}

static struct sk_amqp_message travelled(const struct sk_amqp_message *message) {
    struct sk_amqp_message back;
    bytes.n = 0;
    sk_amqp_encode(&bytes, message);
    assert_int_equal(sk_amqp_decode(sk_buffer_span(&bytes), &arena, &back), SK_OK);
    return back;
}

static struct sk_message event(void) {
    static struct sk_property property;
    property = (struct sk_property){SK_SPAN("alert"), SK_SPAN("a/b c")};
    struct sk_message message = {.source = SK_SOURCE_TWIN_CHANGES,
                                 .device = SK_SPAN("d1"),
                                 .module = SK_SPAN("m1"),
                                 .properties = &property,
                                 .property_count = 1,
                                 .body = SK_SPAN("{\"n\":1}"),
                                 .enqueued_us = 1700000000123000,
                                 .sequence = 4711};
    message.system[SK_SYS_MESSAGE_ID] = SK_SPAN("id-1");
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_GENERATION_ID] = SK_SPAN("6393");
    message.system[SK_SYS_AUTH_METHOD] = SK_SPAN("{\"scope\":\"device\"}");
    message.system[SK_SYS_MODEL_ID] = SK_SPAN("dtmi:com:x;1");
    message.system[SK_SYS_SEQUENCE_NUMBER] = SK_SPAN("12");
    return message;
}

AROUND(NULL, tear_down);

TEST(an_event_comes_to_its_reader_with_all_that_was_stamped_on_it) {
    struct sk_message message = event(), back;
    struct sk_amqp_message out;
    sk_event_to_amqp(&message, &arena, &out);
    out = travelled(&out);
    assert_int_equal(sk_event_from_amqp(&out, &arena, &back), SK_OK);
    assert_int_equal(back.source, SK_SOURCE_TWIN_CHANGES);
    assert_true(sk_span_is(back.device, "d1"));
    assert_true(sk_span_is(back.module, "m1"));
    assert_true(sk_span_eq(back.body, message.body));
    assert_int_equal(back.enqueued_us, message.enqueued_us);
    assert_int_equal(back.sequence, 12); /* of the partition */
    assert_int_equal(back.property_count, 1);
    assert_true(sk_span_is(back.properties[0].value, "a/b c"));
    for (size_t i = 0; i < SK_SYS_COUNT; i++)
        if (i != SK_SYS_SEQUENCE_NUMBER) assert_true(sk_span_eq(back.system[i], message.system[i]));
}

/* In by MQTT, stored, out to a reader of the stream: in no head a system property is lost. */
TEST(every_system_property_of_a_bag_reaches_the_reader) {
    static const struct {
        const char *wire;
        enum sk_system_property property;
        const char *value;
    } cases[] = {{"$.mid", SK_SYS_MESSAGE_ID, "m/1 +%"},
                 {"$.cid", SK_SYS_CORRELATION_ID, "c 1"},
                 {"$.uid", SK_SYS_USER_ID, "\xc3\xa4"},
                 {"$.to", SK_SYS_TO, "/devices/d1"},
                 {"$.exp", SK_SYS_EXPIRY, "2026-11-28T01:02:03.4560000Z"},
                 {"$.ct", SK_SYS_CONTENT_TYPE, "application/json"},
                 {"$.ce", SK_SYS_CONTENT_ENCODING, "utf-8"},
                 {"$.ctime", SK_SYS_CREATION_TIME, "2026-11-28T01:02:03.4560000Z"},
                 {"$.on", SK_SYS_OUTPUT, "out*1"},
                 {"$.ifid", SK_SYS_INTERFACE_ID, "dtmi:a;1"},
                 {"$.sub", SK_SYS_COMPONENT, "thermostat1"},
                 {"$.schema", SK_SYS_SCHEMA, "s"},
                 {"iothub-ack", SK_SYS_ACK, "full"},
                 {"iothub-operation", SK_SYS_OPERATION, "o"},
                 {"$.diagid", SK_SYS_DIAGNOSTIC_ID, "0001"},
                 {"$.diagctx", SK_SYS_DIAGNOSTIC_CONTEXT, "creationtimeutc=1"}};
    struct sk_message message = {.device = SK_SPAN("d1"), .body = SK_SPAN("b")}, stored, back;
    struct sk_buffer bag = {0}, record = {0};
    struct sk_amqp_message out;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sk_buffer_print(&bag, i ? "&%s=" : "%s=", cases[i].wire);
        sk_percent_encode(&bag, sk_span_z(cases[i].value));
    }
    assert_int_equal(sk_bag_parse(sk_buffer_span(&bag), &arena, &message), SK_OK);
    assert_int_equal(sk_message_encode_head(&record, &message), SK_OK);
    assert_int_equal(sk_message_decode(sk_buffer_span(&record), &arena, &stored), SK_OK);
    sk_event_to_amqp(&stored, &arena, &out);
    out = travelled(&out);
    assert_int_equal(sk_event_from_amqp(&out, &arena, &back), SK_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (!sk_span_is(back.system[cases[i].property], cases[i].value))
            fail_msg("%s: '%.*s' instead of '%s'", cases[i].wire,
                     SK_ARG(back.system[cases[i].property]), cases[i].value);
    assert_int_equal(back.property_count, 0); /* and none is taken for an application's */
    sk_buffer_free(&bag);
    sk_buffer_free(&record);
}

TEST(what_a_sender_claims_is_not_taken_for_a_stamp) {
    struct sk_message message = event(), back;
    struct sk_amqp_message out;
    sk_event_to_amqp(&message, &arena, &out);
    out = travelled(&out);
    assert_int_equal(sk_message_from_amqp(&out, &arena, &back), SK_OK);
    assert_int_equal(back.source, SK_SOURCE_TELEMETRY);
    assert_int_equal(back.device.n, 0);
    assert_int_equal(back.enqueued_us, 0);
    assert_int_equal(back.system[SK_SYS_GENERATION_ID].n, 0);
    assert_int_equal(back.system[SK_SYS_AUTH_METHOD].n, 0);
    assert_true(sk_span_is(back.system[SK_SYS_MESSAGE_ID], "id-1"));
}

TEST(an_event_without_annotations_is_an_event_of_nobody) {
    struct sk_span body = SK_SPAN("x");
    struct sk_amqp_message out = {.data = &body, .data_count = 1};
    struct sk_message back;
    out = travelled(&out);
    assert_int_equal(sk_event_from_amqp(&out, &arena, &back), SK_OK);
    assert_int_equal(back.device.n, 0);
    assert_int_equal(back.sequence, 0);
    assert_int_equal(back.enqueued_us, 0);
}
