/* Topics and filters, as SDKs and samples write them and as careless clients do. */
#include "azure/mqtt_topic.h"
#include "support/test.h"

static struct sk_topic parsed(const char *text) {
    struct sk_topic topic;
    sk_topic_parse(sk_span_z(text), &topic);
    return topic;
}

static void is(struct sk_span span, const char *text) {
    assert_int_equal(span.n, strlen(text));
    assert_memory_equal(span.p ? span.p : "", text, span.n);
}

TEST(telemetry_topics_are_read_in_all_their_shapes) {
    static const struct {
        const char *topic, *device, *module, *bag;
    } cases[] = {
        {"devices/d/messages/events", "d", "", ""},
        {"devices/d/messages/events/", "d", "", ""},
        {"devices/d/messages/events/a=b", "d", "", "a=b"},
        {"devices/d/messages/events/a=b/", "d", "", "a=b/"},
        {"devices/d/messages/events/a=b/c", "d", "", "a=b/c"},
        {"devices/d/modules/m/messages/events/%24.on=o/", "d", "m", "%24.on=o/"},
        {"devices/a%23b/modules/$edgeHub/messages/events", "a%23b", "$edgeHub", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_topic t = parsed(cases[i].topic);
        assert_int_equal(t.kind, SK_TOPIC_TELEMETRY);
        is(t.device, cases[i].device);
        is(t.module, cases[i].module);
        is(t.bag, cases[i].bag);
    }
}

TEST(hub_topics_carry_request_ids_byte_for_byte) {
    struct sk_topic t = parsed("$iothub/twin/GET/?$rid=a%20b-1");
    assert_int_equal(t.kind, SK_TOPIC_TWIN_GET);
    is(t.rid, "a%20b-1");
    t = parsed("$iothub/twin/PATCH/properties/reported/?$rid=7&$version=12");
    assert_int_equal(t.kind, SK_TOPIC_TWIN_REPORT);
    is(t.rid, "7");
    assert_int_equal(t.version, 12);
    t = parsed("$iothub/twin/PATCH/properties/reported/?$rid=7&$version=x");
    assert_int_equal(t.kind, SK_TOPIC_TWIN_REPORT);
    assert_int_equal(t.version, 0);
    t = parsed("$iothub/methods/res/-7/?$rid=1");
    assert_int_equal(t.kind, SK_TOPIC_METHOD_RESPONSE);
    assert_int_equal(t.status, -7);
    t = parsed("$iothub/methods/POST/re%20boot/?$rid=1");
    assert_int_equal(t.kind, SK_TOPIC_METHOD_CALL);
    is(t.name, "re%20boot");
    t = parsed("$iothub/twin/res/204/?$rid=1&$version=3");
    assert_int_equal(t.kind, SK_TOPIC_TWIN_RESPONSE);
    assert_int_equal(t.status, 204);
    assert_int_equal(t.version, 3);
    t = parsed("$iothub/twin/PATCH/properties/desired/?$version=5");
    assert_int_equal(t.kind, SK_TOPIC_DESIRED);
    assert_int_equal(t.version, 5);
    t = parsed("devices/d/modules/m/inputs/in/%24.cdid=x");
    assert_int_equal(t.kind, SK_TOPIC_INPUT);
    is(t.name, "in");
    is(t.bag, "%24.cdid=x");
    assert_int_equal(parsed("devices/d/messages/devicebound/a=b").kind, SK_TOPIC_C2D);
}

TEST(everything_else_is_unknown) {
    static const char *const topics[] = {"",
                                         "/",
                                         "devices",
                                         "devices/",
                                         "devices//messages/events",
                                         "devices/d",
                                         "devices/d/messages",
                                         "devices/d/messages/",
                                         "devices/d/messages/event",
                                         "devices/d/Messages/events",
                                         "devices/d/modules//messages/events",
                                         "devices/d/modules/m",
                                         "devices/d/modules/m/inputs/",
                                         "devices/d/modules/m/inputs",
                                         "Devices/d/messages/events",
                                         "$iothub/",
                                         "$iothub/twin/GET",
                                         "$iothub/twin/GET/",
                                         "$iothub/twin/GET/?$rid=",
                                         "$iothub/twin/get/?$rid=1",
                                         "$iothub/methods/res/200/",
                                         "$iothub/methods/res//?$rid=1",
                                         "$iothub/methods/res/99999999999999999999/?$rid=1",
                                         "$iothub/methods/POST//?$rid=1",
                                         "$iothub/twin/PATCH/properties/reported/"};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (parsed(topics[i]).kind != SK_TOPIC_UNKNOWN) fail_msg("%s is known", topics[i]);
}

TEST(filters_are_the_documented_ones) {
    static const struct {
        const char *filter;
        unsigned bit;
        const char *device, *module;
    } cases[] = {
        {"devices/d/messages/devicebound/#", SK_SUB_C2D, "d", ""},
        {"devices/d/modules/m/inputs/#", SK_SUB_INPUTS, "d", "m"},
        {"devices/d/modules/m/#", SK_SUB_INPUTS, "d", "m"},
        {"$iothub/methods/POST/#", SK_SUB_METHODS, "", ""},
        {"$iothub/methods/POST/reboot/#", SK_SUB_METHODS, "", ""},
        {"$iothub/twin/res/#", SK_SUB_TWIN_RESPONSES, "", ""},
        {"$iothub/twin/PATCH/properties/desired/#", SK_SUB_DESIRED, "", ""},
        {"devices/+/messages/devicebound/#", SK_SUB_C2D, "+", ""},
        {"devices/+/modules/+/inputs/#", SK_SUB_INPUTS, "+", "+"},
        {"devices/d/modules/+/#", SK_SUB_INPUTS, "d", "+"},
        {"#", 0, NULL, NULL},
        {"", 0, NULL, NULL},
        {"+/d/messages/devicebound/#", 0, NULL, NULL},
        {"devices/#", 0, NULL, NULL},
        {"devices/d/#", 0, NULL, NULL},
        {"devices/d/messages/events/#", 0, NULL, NULL},
        {"$iothub/#", 0, NULL, NULL},
        {"$iothub/twin/#", 0, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_span device, module;
        assert_int_equal(sk_topic_filter(sk_span_z(cases[i].filter), &device, &module),
                         cases[i].bit);
        if (cases[i].device == NULL) continue;
        is(device, cases[i].device);
        is(module, cases[i].module);
    }
}

TEST(an_id_in_a_topic_may_be_percent_encoded) {
    assert_true(sk_topic_id_is(SK_SPAN("a#b"), SK_SPAN("a#b")));
    assert_true(sk_topic_id_is(SK_SPAN("a%23b"), SK_SPAN("a#b")));
    assert_true(sk_topic_id_is(SK_SPAN("a%b"), SK_SPAN("a%b")));
    assert_true(sk_topic_id_is(SK_SPAN("%24edgeHub"), SK_SPAN("$edgeHub")));
    assert_false(sk_topic_id_is(SK_SPAN("a"), SK_SPAN("A")));
    assert_false(sk_topic_id_is(SK_SPAN("a%2523b"), SK_SPAN("a#b"))); /* once is enough */
    assert_true(sk_topic_id_is(SK_NONE, SK_NONE));
    assert_false(sk_topic_id_is(SK_SPAN("a"), SK_NONE));
}

TEST(a_plus_in_a_filter_stands_for_any_id_and_for_no_missing_one) {
    assert_true(sk_topic_filter_id_is(SK_SPAN("+"), SK_SPAN("a")));
    assert_true(sk_topic_filter_id_is(SK_SPAN("+"), SK_SPAN("+")));
    assert_true(sk_topic_filter_id_is(SK_SPAN("a%23b"), SK_SPAN("a#b")));
    assert_false(sk_topic_filter_id_is(SK_SPAN("+"), SK_NONE)); /* a device is no module */
    assert_false(sk_topic_filter_id_is(SK_SPAN("%2B"), SK_SPAN("a")));
    assert_false(sk_topic_filter_id_is(SK_SPAN("a+"), SK_SPAN("ab")));
}

TEST(written_topics_are_read_back) {
    struct sk_property property = {SK_SPAN("k"), SK_SPAN("v/w")};
    struct sk_message m = {.device = SK_SPAN("leaf#1"),
                           .module = SK_SPAN("m"),
                           .properties = &property,
                           .property_count = 1};
    struct sk_buffer out = {0};
    m.system[SK_SYS_INPUT] = SK_SPAN("in");
    sk_topic_put_input(&out, SK_SPAN("edge"), SK_SPAN("reader"), &m);
    is(sk_buffer_span(&out),
       "devices/edge/modules/reader/inputs/in/%24.cdid=leaf%231&%24.cmid=m&k=v%2Fw");
    struct sk_topic t;
    sk_topic_parse(sk_buffer_span(&out), &t);
    assert_int_equal(t.kind, SK_TOPIC_INPUT);
    out.n = 0;
    m.property_count = 0;
    m.module = SK_NONE;
    sk_topic_put_input(&out, SK_SPAN("edge"), SK_SPAN("reader"), &m);
    is(sk_buffer_span(&out), "devices/edge/modules/reader/inputs/in/%24.cdid=leaf%231");
    out.n = 0;
    sk_topic_put_telemetry(&out, SK_SPAN("d"), SK_NONE, &m);
    is(sk_buffer_span(&out), "devices/d/messages/events/");
    out.n = 0;
    sk_topic_put_c2d(&out, SK_SPAN("d"), &m);
    is(sk_buffer_span(&out), "devices/d/messages/devicebound/"); /* the slash is always there */
    sk_buffer_free(&out);
}
