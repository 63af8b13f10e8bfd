/* Messages: the stored form, property bags, names, and the JSON for people. */
#include <jansson.h>

#include "model/message.h"
#include "support/test.h"

struct world {
    struct sk_arena arena;
    struct sk_buffer out;
};

static int new_world(void **state) {
    *state = SK_NEW(struct world);
    return 0;
}

static int free_world(void **state) {
    struct world *w = *state;
    sk_arena_free(&w->arena);
    sk_buffer_free(&w->out);
    free(w);
    return 0;
}

static void is(struct sk_span span, const char *text) {
    assert_int_equal(span.n, strlen(text));
    assert_memory_equal(span.p ? span.p : "", text, span.n);
}

static struct sk_message parsed(struct world *w, const char *bag) {
    struct sk_message message = {0};
    if (sk_bag_parse(sk_span_z(bag), &w->arena, &message)) fail_msg("%s is refused", bag);
    return message;
}

AROUND(new_world, free_world);

/* ---- the stored form ---- */

TEST(a_stored_message_reads_back_the_same) {
    struct world *w = *state;
    struct sk_property properties[] = {
        {SK_SPAN("a"), SK_SPAN("1")}, {SK_SPAN(""), SK_SPAN("")}, {SK_SPAN("é\n"), {"\0\xff", 2}}};
    struct sk_message message = {.source = SK_SOURCE_TWIN_CHANGES,
                                 .device = SK_SPAN("d"),
                                 .module = SK_SPAN("m"),
                                 .properties = properties,
                                 .property_count = 3,
                                 .body = SK_SPAN("body")};
    for (size_t i = 0; i < SK_SYS_COUNT; i += 2)
        message.system[i] = sk_arena_print(&w->arena, "value %zu", i);
    message.system[1] = SK_SPAN(""); /* set, and empty: not the same as not set */
    sk_message_encode_head(&w->out, &message);
    sk_buffer_append(&w->out, message.body);
    struct sk_message back;
    assert_int_equal(sk_message_decode(sk_buffer_span(&w->out), &w->arena, &back), SK_OK);
    assert_int_equal(back.source, SK_SOURCE_TWIN_CHANGES);
    is(back.device, "d");
    is(back.module, "m");
    is(back.body, "body");
    for (size_t i = 0; i < SK_SYS_COUNT; i++) {
        assert_true(sk_span_eq(back.system[i], message.system[i]));
        assert_int_equal(back.system[i].p == NULL, message.system[i].p == NULL);
    }
    assert_int_equal(back.property_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(sk_span_eq(back.properties[i].name, properties[i].name));
        assert_true(sk_span_eq(back.properties[i].value, properties[i].value));
    }
}

static void check_size(struct world *w, size_t size, int where) {
    char *bytes = sk_alloc(size + 1);
    for (size_t i = 0; i < size; i++) bytes[i] = (char)(i * 31 + size);
    struct sk_span large = sk_span(bytes, size);
    struct sk_property properties[] = {
        {SK_SPAN("before"), SK_SPAN("1")}, {SK_SPAN("name"), SK_SPAN("")}, {SK_SPAN("z"), SK_NONE}};
    struct sk_message message = {.device = SK_SPAN("d"),
                                 .properties = properties,
                                 .property_count = 3,
                                 .body = SK_SPAN("body")},
                      back;
    if (where == 0) message.system[SK_SYS_MESSAGE_ID] = large;
    if (where == 1) properties[1].name = large;
    if (where == 2) properties[1].value = large;
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("text/plain");
    w->out.n = 0;
    assert_int_equal(sk_message_encode_head(&w->out, &message), SK_OK);
    sk_buffer_append(&w->out, message.body);
    assert_int_equal(sk_message_decode(sk_buffer_span(&w->out), &w->arena, &back), SK_OK);
    is(back.device, "d");
    is(back.body, "body");
    assert_true(sk_span_eq(back.system[SK_SYS_MESSAGE_ID], message.system[SK_SYS_MESSAGE_ID]));
    is(back.system[SK_SYS_CONTENT_TYPE], "text/plain");
    assert_int_equal(back.property_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(sk_span_eq(back.properties[i].name, properties[i].name));
        assert_true(sk_span_eq(back.properties[i].value, properties[i].value));
    }
    free(bytes);
}

TEST(names_and_values_of_every_size_read_back_the_same) {
    static const size_t sizes[] = {0,     1,     255,   256,    65534,
                                   65535, 65536, 65537, 131072, SK_MESSAGE_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int where = 0; where < 3; where++) check_size(*state, sizes[i], where);
}

/* Logs hold records of older versions of Skerry: these bytes never change their meaning. */
TEST(a_record_of_the_first_version_is_read) {
    struct world *w = *state;
    static const char stored[] = "\x01\x00\x01\x00\x01\x00\x01\x00"
                                 "d"
                                 "\x05\x00\x04\x00text"
                                 "\x01\x00\x02\x00kvw"
                                 "body";
    struct sk_message back;
    assert_int_equal(sk_message_decode(sk_span(stored, sizeof stored - 1), &w->arena, &back),
                     SK_OK);
    is(back.device, "d");
    is(back.system[SK_SYS_CONTENT_TYPE], "text");
    is(back.properties[0].name, "k");
    is(back.properties[0].value, "vw");
    is(back.body, "body");
    assert_int_equal(sk_message_encode_head(&w->out, &back), SK_OK); /* and still written so */
    assert_true(sk_span_eq(sk_buffer_span(&w->out), sk_span(stored, sizeof stored - 5)));
}

TEST(what_could_not_be_read_back_is_not_stored) {
    struct world *w = *state;
    static char id[257];
    static struct sk_property properties[SK_PROPERTIES_MAX + 1];
    memset(id, 'i', sizeof id - 1);
    struct sk_message m = {.device = sk_span(id, 255), .module = sk_span(id, 255)};
    m.properties = properties;
    m.property_count = SK_PROPERTIES_MAX;
    assert_int_equal(sk_message_encode_head(&w->out, &m), SK_OK);
    size_t n = w->out.n;
    m.property_count++;
    assert_int_equal(sk_message_encode_head(&w->out, &m), SK_TOO_LARGE);
    m.property_count = 0;
    m.device.n = 256;
    assert_int_equal(sk_message_encode_head(&w->out, &m), SK_TOO_LARGE);
    m.device.n = 1;
    m.module.n = 256;
    assert_int_equal(sk_message_encode_head(&w->out, &m), SK_TOO_LARGE);
    assert_int_equal(w->out.n, n);
}

TEST(a_head_cut_anywhere_is_malformed) {
    struct world *w = *state;
    struct sk_property property = {SK_SPAN("name"), SK_SPAN("value")};
    struct sk_message message = {.device = SK_SPAN("device"),
                                 .module = SK_SPAN("m"),
                                 .properties = &property,
                                 .property_count = 1},
                      back;
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("text/plain");
    sk_message_encode_head(&w->out, &message);
    for (size_t n = 0; n < w->out.n; n++) {
        char *exact = sk_alloc(n + 1); /* so that a read beyond the end is seen */
        memcpy(exact, w->out.p, n);
        assert_int_equal(sk_message_decode(sk_span(exact, n), &w->arena, &back), SK_MALFORMED);
        free(exact);
    }
    assert_int_equal(sk_message_decode(sk_buffer_span(&w->out), &w->arena, &back), SK_OK);
    is(back.body, "");
    w->out.p[0] = 3; /* another version */
    assert_int_equal(sk_message_decode(sk_buffer_span(&w->out), &w->arena, &back), SK_MALFORMED);
}

TEST(the_size_of_a_message_is_body_and_properties) {
    struct sk_property properties[] = {{SK_SPAN("ab"), SK_SPAN("c")}, {SK_SPAN("d"), SK_NONE}};
    struct sk_message message = {.body = SK_SPAN("12345"),
                                 .properties = properties,
                                 .property_count = 2,
                                 .device = SK_SPAN("not counted")};
    message.system[SK_SYS_MESSAGE_ID] = SK_SPAN("678");
    assert_int_equal(sk_message_size(&message), 5 + 3 + 1 + 3);
    /* What we add on its way is not the client's: a message at the limit stays within it. */
    for (size_t i = SK_SYS_EDGE_NUMBER; i < SK_SYS_COUNT; i++)
        message.system[i] = SK_SPAN("stamped");
    assert_int_equal(sk_message_size(&message), 5 + 3 + 1 + 3);
}

/* ---- bags ---- */

TEST(a_bag_is_decoded_and_sorted_into_system_and_application_properties) {
    struct world *w = *state;
    struct sk_message m = parsed(w, "%24.ct=application%2Fjson&$.ce=utf-8&a%20b=c%26d&%24.mid=1&"
                                    "iothub-ack=full&$.unknown=x&e=1+2");
    is(m.system[SK_SYS_CONTENT_TYPE], "application/json");
    is(m.system[SK_SYS_CONTENT_ENCODING], "utf-8");
    is(m.system[SK_SYS_MESSAGE_ID], "1");
    is(m.system[SK_SYS_ACK], "full");
    assert_int_equal(m.property_count, 3);
    is(m.properties[0].name, "a b");
    is(m.properties[0].value, "c&d");
    is(m.properties[1].name, "$.unknown");
    is(m.properties[2].value, "1+2"); /* '+' is no space here */
}

TEST(careless_bags_are_tolerated) {
    struct world *w = *state;
    assert_int_equal(parsed(w, "").property_count, 0);
    assert_int_equal(parsed(w, "?").property_count, 0);
    assert_int_equal(parsed(w, "/").property_count, 0);
    assert_int_equal(parsed(w, "&&&").property_count, 0);
    is(parsed(w, "?a=1").properties[0].name, "a");
    is(parsed(w, "a=1/").properties[0].value, "1");
    is(parsed(w, "a=1/2").properties[0].value, "1/2");
    is(parsed(w, "a").properties[0].name, "a");
    is(parsed(w, "a").properties[0].value, "");
    is(parsed(w, "a=b=c").properties[0].value, "b=c");
    is(parsed(w, "a=%zz%4").properties[0].value, "%zz%4");
    is(parsed(w, "=v").properties[0].name, "");
}

TEST(a_bag_holds_1024_properties_and_not_one_more) {
    struct world *w = *state;
    struct sk_message message = {0};
    for (unsigned i = 0; i < SK_PROPERTIES_MAX; i++)
        sk_buffer_print(&w->out, "%sp%u=%u", i ? "&" : "", i, i);
    assert_int_equal(sk_bag_parse(sk_buffer_span(&w->out), &w->arena, &message), SK_OK);
    assert_int_equal(message.property_count, SK_PROPERTIES_MAX);
    sk_buffer_text(&w->out, "&$.ct=x"); /* a system property is not counted */
    message = (struct sk_message){0};
    assert_int_equal(sk_bag_parse(sk_buffer_span(&w->out), &w->arena, &message), SK_OK);
    sk_buffer_text(&w->out, "&more=1");
    message = (struct sk_message){0};
    assert_int_equal(sk_bag_parse(sk_buffer_span(&w->out), &w->arena, &message), SK_TOO_LARGE);
}

TEST(properties_that_were_there_count_too) {
    struct world *w = *state;
    struct sk_property retained = {SK_SPAN("mqtt-retain"), SK_SPAN("true")};
    struct sk_message message = {.properties = &retained, .property_count = 1};
    assert_int_equal(sk_bag_parse(SK_SPAN("a=1"), &w->arena, &message), SK_OK);
    assert_int_equal(message.property_count, 2);
    is(message.properties[0].name, "mqtt-retain");
    is(message.properties[1].name, "a");
}

TEST(a_formatted_bag_escapes_what_clients_split_on_and_parses_to_the_same) {
    struct world *w = *state;
    struct sk_property properties[] = {{SK_SPAN("a&b=c/d?#+"), SK_SPAN("$ %\xc3\xa9")},
                                       {SK_SPAN("empty"), SK_SPAN("")}};
    struct sk_message message = {.properties = properties, .property_count = 2};
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_GENERATION_ID] = SK_SPAN("never in a bag");
    sk_bag_format(&w->out, &message);
    is(sk_buffer_span(&w->out),
       "%24.ct=application%2Fjson&a%26b%3Dc%2Fd%3F%23%2B=%24%20%25%C3%A9&empty=");
    sk_buffer_byte(&w->out, 0);
    struct sk_message back = parsed(w, w->out.p);
    assert_int_equal(back.property_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(sk_span_eq(back.properties[i].name, properties[i].name));
        assert_true(sk_span_eq(back.properties[i].value, properties[i].value));
    }
    is(back.system[SK_SYS_CONTENT_TYPE], "application/json");
}

TEST(what_only_we_may_stamp_stays_out_of_the_system_properties) {
    struct world *w = *state;
    struct sk_message m =
        parsed(w, "iothub-connection-device-id=evil&connectionDeviceGenerationId=1&"
                  "dt-dataschema=x&iothub-connection-auth-method=y");
    assert_null(m.system[SK_SYS_GENERATION_ID].p);
    assert_null(m.system[SK_SYS_AUTH_METHOD].p);
    assert_null(m.system[SK_SYS_MODEL_ID].p);
    assert_int_equal(m.device.n, 0);
}

/* ---- names ---- */

TEST(system_properties_are_found_by_their_names_in_any_case) {
    struct sk_message m = {.device = SK_SPAN("d")};
    struct sk_span value;
    m.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("text");
    assert_true(sk_message_system(&m, SK_SPAN("CONTENTtype"), &value));
    is(value, "text");
    assert_true(sk_message_system(&m, SK_SPAN("connectionDeviceId"), &value));
    is(value, "d");
    assert_true(sk_message_system(&m, SK_SPAN("iothub-message-source"), &value));
    is(value, "Telemetry");
    assert_false(sk_message_system(&m, SK_SPAN("connectionModuleId"), &value));
    assert_false(sk_message_system(&m, SK_SPAN("contentEncoding"), &value));
    assert_false(sk_message_system(&m, SK_SPAN("$.ct"), &value));
    assert_false(sk_message_system(&m, SK_SPAN(""), &value));
}

TEST(the_first_property_of_a_name_counts) {
    struct sk_property properties[] = {{SK_SPAN("Kind"), SK_SPAN("1")},
                                       {SK_SPAN("kind"), SK_SPAN("2")}};
    struct sk_message m = {.properties = properties, .property_count = 2};
    is(sk_message_property(&m, SK_SPAN("KIND"))->value, "1");
    assert_null(sk_message_property(&m, SK_SPAN("kin")));
}

/* ---- for people ---- */

TEST(the_json_of_a_message_is_json_whatever_is_in_it) {
    struct world *w = *state;
    static const struct {
        struct sk_span body;
        const char *json; /* of the body member */
    } cases[] = {
        {{"{\"a\": 1}", 8}, "{\"a\":1}"},
        {{" [1]\n", 5}, "[1]"},
        {{"text", 4}, "\"text\""},
        {{"", 0}, "\"\""},
        {{"\xff\xfe", 2}, "{\"base64\":\"//4=\"}"},
        {{"a\0b", 3}, "{\"base64\":\"YQBi\"}"},
        {{"7", 1}, "7"},
        {{"{\"a\":}", 6}, "\"{\\\"a\\\":}\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_property property = {{"bad\xff", 4}, {"\xc3", 1}};
        struct sk_message m = {.device = SK_SPAN("d"),
                               .properties = &property,
                               .property_count = 1,
                               .body = cases[i].body};
        m.system[SK_SYS_MESSAGE_ID] = SK_SPAN("\"quoted\"");
        w->out.n = 0;
        sk_message_json(&w->out, &m);
        json_error_t error;
        json_t *json = json_loadb(w->out.p, w->out.n, 0, &error);
        if (json == NULL) fail_msg("%s: %.*s", error.text, SK_ARG(sk_buffer_span(&w->out)));
        json_t *expected = json_loads(cases[i].json, JSON_DECODE_ANY, NULL);
        assert_true(json_equal(json_object_get(json, "body"), expected));
        assert_int_equal(json_object_size(json_object_get(json, "properties")), 1);
        json_decref(expected);
        json_decref(json);
    }
}
