/* Cloud-to-device messages as MQTT and HTTPS clients of a hub see them, byte for byte; and
 * telemetry in batches. */
#include "support/fleet_c2d.h"
#include "support/raw_http.h"
#include "support/test.h"

#define FILTER "devices/d1/messages/devicebound/#"

/* ---- MQTT ---- */

static void dial(struct raw_client *c, struct fleet *f, bool session_present) {
    raw_dial(c, f, "hub.test", &(struct raw_connect){.device = "d1"});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, session_present);
}

static void subscribe(struct raw_client *c, uint8_t qos) {
    raw_subscribe(c, 1, FILTER, qos);
    raw_expect_suback(c, 1, (char[]){(char)qos}, 1);
}

/* The next packet is this message; returns its packet id. */
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
}

static uint64_t completed(struct fleet *f) {
    return sk_hub_counts(sk_hub_server_hub(f->hub, 0)).c2d_ended_total[SK_C2D_COMPLETED];
}

AROUND(fleet_new_world, fleet_free_world);

/* docs/protocols/device-protocols.md, sections 2.4 and 2.7. */
TEST(the_topic_is_what_sdks_expect) {
    struct fleet *f = *state;
    struct raw_client c;
    const struct sk_property properties[] = {{SK_SPAN("prop"), SK_SPAN("a/b c")},
                                             {SK_SPAN("empty"), SK_SPAN("")}};
    struct sk_message message = {
        .body = SK_SPAN("{}"), .properties = properties, .property_count = 2};
    message.system[SK_SYS_MESSAGE_ID] = SK_SPAN("m1");
    message.system[SK_SYS_TO] = SK_SPAN("/devices/d1/messages/deviceBound");
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_ACK] = SK_SPAN("full");
    message.system[SK_SYS_EDGE_NUMBER] = SK_SPAN("ours"); /* never goes out */
    dial(&c, f, false);
    subscribe(&c, 1);
    fleet_send_message(f, "d1", &message);
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.topic,
                           "devices/d1/messages/devicebound/%24.mid=m1"
                           "&%24.to=%2Fdevices%2Fd1%2Fmessages%2FdeviceBound"
                           "&%24.ct=application%2Fjson&iothub-ack=full&prop=a%2Fb%20c&empty="));
    assert_int_equal(packet.u.publish.qos, 1);
    message = (struct sk_message){.body = SK_SPAN("x")};
    char expiry[SK_TIME_TEXT], topic[300];
    int64_t at = sk_io_wall(f->hub_io) / 1000000 * 1000000 + 60000000;
    sk_time_text(at, expiry);
    message.system[SK_SYS_EXPIRY] = sk_span(expiry, 19); /* without fraction and zone */
    fleet_send_message(f, "d1", &message);
    packet = raw_expect(&c, SK_MQTT_PUBLISH);
    snprintf(topic, sizeof topic,
             "devices/d1/messages/devicebound/%%24.to=%%2Fdevices%%2Fd1%%2Fmessages%%2FdeviceBound"
             "&%%24.exp=%.13s%%3A%.2s%%3A%s",
             expiry, expiry + 14, expiry + 17);
    if (!sk_span_is(packet.u.publish.topic, topic))
        fail_msg("%.*s\ninstead of %s", SK_ARG(packet.u.publish.topic), topic);
    raw_free(&c);
}

TEST(a_kept_session_gets_its_messages_right_after_connack) {
    struct fleet *f = *state;
    struct raw_client c;
    dial(&c, f, false);
    subscribe(&c, 1);
    raw_abort(&c);
    raw_free(&c);
    fleet_send_c2d(f, "d1", "m1");
    dial(&c, f, true);
    puback(&c, gets_message(&c, "m1", false));
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(completed(f), 1);
    raw_free(&c);
}

TEST(a_clean_session_waits_for_subscribe_and_loses_nothing) {
    struct fleet *f = *state;
    struct raw_client c;
    fleet_send_c2d(f, "d1", "m1");
    raw_login(&c, f, "d1");
    raw_expect_nothing(&c);
    subscribe(&c, 1);
    gets_message(&c, "m1", false);
    raw_free(&c);
    raw_login(&c, f, "d1");
    raw_expect_nothing(&c);
    subscribe(&c, 1);
    puback(&c, gets_message(&c, "m1", true));
    raw_free(&c);
}

TEST(what_was_not_acknowledged_comes_again_in_order_with_dup) {
    struct fleet *f = *state;
    struct raw_client c;
    dial(&c, f, false);
    subscribe(&c, 1);
    fleet_send_c2d(f, "d1", "m1");
    fleet_send_c2d(f, "d1", "m2");
    gets_message(&c, "m1", false);
    puback(&c, gets_message(&c, "m2", false));
    sk_sim_run(f->sim, 100 * SK_S); /* the lock runs out: nothing comes again on this connection */
    raw_expect_nothing(&c);
    raw_abort(&c);
    raw_free(&c);
    fleet_send_c2d(f, "d1", "m3");
    dial(&c, f, true);
    gets_message(&c, "m1", true);
    gets_message(&c, "m3", false);
    raw_free(&c);
}

TEST(qos_0_completes_with_the_sending) {
    struct fleet *f = *state;
    struct raw_client c;
    dial(&c, f, false);
    subscribe(&c, 0);
    for (int i = 0; i < 40; i++) fleet_send_c2d(f, "d1", "m");
    for (int i = 0; i < 40; i++) assert_int_equal(gets_message(&c, "m", false), 0);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(completed(f), 40);
    raw_free(&c);
}

TEST(sixteen_messages_are_on_their_way_and_no_more) {
    struct fleet *f = *state;
    struct raw_client c;
    uint16_t ids[18];
    dial(&c, f, false);
    subscribe(&c, 1);
    for (int i = 0; i < 18; i++) fleet_send_c2d(f, "d1", "m");
    for (int i = 0; i < 16; i++) ids[i] = gets_message(&c, "m", false);
    raw_expect_nothing(&c);
    for (int i = 0; i < 2; i++) {
        puback(&c, ids[i]);
        gets_message(&c, "m", false);
    }
    raw_free(&c);
}

TEST(an_unsubscribed_client_gets_nothing_more) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    dial(&c, f, false);
    subscribe(&c, 1);
    sk_mqtt_put_unsubscribe(&out, 2, &(struct sk_mqtt_subscription){.filter = SK_SPAN(FILTER)}, 1);
    raw_send_buffer(&c, &out);
    raw_expect_ack(&c, SK_MQTT_UNSUBACK, 2);
    fleet_send_c2d(f, "d1", "m");
    raw_expect_nothing(&c);
    puback(&c, 77); /* of nothing: no harm */
    raw_ping(&c);
    raw_free(&c);
}

/* ---- HTTPS ---- */

static struct raw_ask as_device(const char *method, const char *target) {
    return (struct raw_ask){
        .method = method, .target = target, .policy = "", .resource = "hub.test/devices/d1"};
}

static bool has_header(const struct raw_answer *answer, const char *name, const char *value) {
    struct sk_span found = sk_http_header(&answer->parser, name);
    return found.p && sk_span_is(found, value);
}

/* GETs a message; false: 204. `token` gets what stands between the ETag's quotes. */
static bool get(struct fleet *f, const char *headers, char token[40]) {
    struct raw_answer answer;
    struct raw_ask ask = as_device("GET", "/devices/d1/messages/deviceBound" VERSION);
    ask.headers = headers;
    raw_asks(f, &ask, &answer);
    unsigned status = answer.parser.status;
    struct sk_span etag = sk_http_header(&answer.parser, "ETag");
    if (status == 200) {
        assert_int_equal(etag.n, 38);
        assert_true(etag.p[0] == '"' && etag.p[37] == '"');
        snprintf(token, 40, "%.36s", etag.p + 1);
    } else {
        assert_int_equal(status, 204);
        assert_int_equal(answer.parser.body.n, 0);
    }
    sk_http_parser_free(&answer.parser);
    return status == 200;
}

static void settles(struct fleet *f, const char *method, const char *token, const char *tail,
                    unsigned status, const char *error) {
    char target[200], headers[100];
    snprintf(target, sizeof target, "/devices/d1/messages/devicebound/%s%s", token, tail);
    snprintf(headers, sizeof headers, "If-Match: %s\r\n", token); /* unquoted, as SDKs send it */
    struct raw_ask ask = as_device(method, target);
    ask.headers = headers;
    raw_gets(f, &ask, status, error, "");
}

/* docs/protocols/device-protocols.md, section 4.3. */
TEST(an_https_delivery_is_headers_and_body_with_a_quoted_etag) {
    struct fleet *f = *state;
    struct raw_answer answer;
    const struct sk_property property = {SK_SPAN("color"), SK_SPAN("red")};
    struct sk_message message = {
        .body = SK_SPAN("hello"), .properties = &property, .property_count = 1};
    message.system[SK_SYS_MESSAGE_ID] = SK_SPAN("m1");
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("text/plain");
    fleet_send_message(f, "d1", &message);
    struct raw_ask ask = as_device("GET", "/devices/d1/messages/devicebound" VERSION);
    raw_asks(f, &ask, &answer);
    assert_int_equal(answer.parser.status, 200);
    assert_true(sk_span_is(sk_buffer_span(&answer.parser.body), "hello"));
    static const char *const expected[][2] = {
        {"iothub-messageid", "m1"},     {"iothub-to", "/devices/d1/messages/deviceBound"},
        {"iothub-correlationid", ""},   {"iothub-userid", ""},
        {"iothub-expiry", ""},          {"iothub-ack", ""},
        {"iothub-app-color", "red"},    {"iothub-deliverycount", "0"},
        {"iothub-sequencenumber", "1"}, {"ContentType", "text/plain"}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!has_header(&answer, expected[i][0], expected[i][1]))
            fail_msg("%s is not %s", expected[i][0], expected[i][1]);
    struct sk_span when = sk_http_header(&answer.parser, "iothub-enqueuedtime");
    assert_true(sk_span_ends(when, SK_SPAN(" AM")) || sk_span_ends(when, SK_SPAN(" PM")));
    struct sk_span etag = sk_http_header(&answer.parser, "ETag");
    assert_true(etag.n == 38 && etag.p[0] == '"' && etag.p[37] == '"');
    sk_http_parser_free(&answer.parser);
}

static void posts(struct fleet *f, const char *headers, struct sk_span body, unsigned status,
                  const char *error) {
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/d1/messages/devicebound" VERSION,
                               .headers = headers,
                               .body = body},
             status, error, "");
}

TEST(what_a_service_posts_is_delivered_with_its_properties) {
    struct fleet *f = *state;
    struct raw_answer answer;
    posts(f,
          "iothub-messageid: m1\r\niothub-correlationid: c1\r\niothub-ack: full\r\n"
          "iothub-app-Level: 5 of 9\r\niothub-contenttype: text/plain\r\n",
          SK_SPAN("hello"), 204, NULL);
    struct raw_ask ask = as_device("GET", "/devices/d1/messages/devicebound" VERSION);
    raw_asks(f, &ask, &answer);
    assert_int_equal(answer.parser.status, 200);
    assert_true(sk_span_is(sk_buffer_span(&answer.parser.body), "hello"));
    static const char *const expected[][2] = {
        {"iothub-messageid", "m1"},    {"iothub-to", "/devices/d1/messages/deviceBound"},
        {"iothub-ack", "full"},        {"iothub-correlationid", "c1"},
        {"ContentType", "text/plain"}, {"iothub-app-Level", "5 of 9"}};
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        if (!has_header(&answer, expected[i][0], expected[i][1]))
            fail_msg("%s is not %s", expected[i][0], expected[i][1]);
    sk_http_parser_free(&answer.parser);
}

TEST(what_a_service_cannot_post_is_refused_and_what_waits_is_counted) {
    struct fleet *f = *state;
    char token[40];
    struct sk_buffer body = {0};
    memset(sk_buffer_reserve(&body, SK_C2D_MESSAGE_MAX + 1), 'x', SK_C2D_MESSAGE_MAX + 1);
    posts(f, NULL, sk_span(body.p, SK_C2D_MESSAGE_MAX + 1), 413, "MessageTooLarge");
    posts(f, NULL, sk_span(body.p, SK_C2D_MESSAGE_MAX), 204, NULL);
    assert_true(get(f, NULL, token));
    settles(f, "DELETE", token, VERSION, 204, NULL);
    sk_buffer_free(&body);
    posts(f, "iothub-ack: perhaps\r\n", SK_SPAN("x"), 400, "ArgumentInvalid");
    posts(f, "iothub-expiry: soon\r\n", SK_SPAN("x"), 400, "ArgumentInvalid");
    posts(f, "iothub-expiry: 2001-01-01T00:00:00Z\r\n", SK_SPAN("x"), 403,
          "InvalidMessageExpiryTime");
    struct raw_ask own = as_device("POST", "/devices/d1/messages/devicebound" VERSION);
    raw_gets(f, &own, 401, "IotHubUnauthorizedAccess", "");
    struct raw_ask ask = {.method = "POST",
                          .target = "/devices/d1/messages/devicebound" VERSION,
                          .policy = "reader",
                          .body = {"x", 1}};
    raw_gets(f, &ask, 401, "IotHubUnauthorizedAccess", "");
    ask = (struct raw_ask){.method = "POST", .target = "/devices/d3/messages/devicebound" VERSION};
    raw_gets(f, &ask, 404, "DeviceNotFound", "");
    assert_false(get(f, NULL, token));
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION}, 200, NULL,
             "\"cloudToDeviceMessageCount\":0");
    for (int i = 0; i < 50; i++) posts(f, NULL, SK_SPAN("x"), 204, NULL);
    posts(f, NULL, SK_SPAN("x"), 403, "DeviceMaximumQueueDepthExceeded");
    raw_gets(f, &(struct raw_ask){.target = "/devices/d1" VERSION}, 200, NULL,
             "\"cloudToDeviceMessageCount\":50");
}

TEST(an_empty_queue_is_204) {
    char token[40];
    assert_false(get(*state, NULL, token));
}

TEST(a_token_completes_rejects_or_abandons) {
    struct fleet *f = *state;
    char token[40];
    for (int i = 0; i < 4; i++) fleet_send_c2d(f, "d1", "m");
    assert_true(get(f, NULL, token));
    settles(f, "DELETE", token, VERSION, 204, NULL);
    assert_true(get(f, NULL, token));
    settles(f, "DELETE", token, VERSION "&reject", 204, NULL);
    assert_true(get(f, NULL, token));
    settles(f, "DELETE", token, "?reject=true&api-version=2021-04-12", 204, NULL);
    assert_true(get(f, NULL, token));
    settles(f, "POST", token, "/abandon" VERSION, 204, NULL);
    assert_true(get(f, NULL, token));
    struct sk_hub_counts counts = sk_hub_counts(sk_hub_server_hub(f->hub, 0));
    assert_int_equal(counts.c2d_ended_total[SK_C2D_COMPLETED], 1);
    assert_int_equal(counts.c2d_ended_total[SK_C2D_REJECTED], 2);
    assert_int_equal(counts.c2d_abandoned_total, 1);
}

TEST(a_token_that_has_lost_its_lock_is_412) {
    struct fleet *f = *state;
    char token[40];
    settles(f, "DELETE", "6f1c5c0e-9a4e-4b7e-8b5e-000000000000", VERSION, 412,
            "DeviceMessageLockLost");
    fleet_send_c2d(f, "d1", "m");
    assert_true(get(f, "IotHub-MessageLockTimeout: 5\r\n", token));
    sk_sim_run(f->sim, 6 * SK_S);
    settles(f, "DELETE", token, VERSION, 412, "DeviceMessageLockLost");
    settles(f, "POST", token, "/abandon" VERSION, 412, "DeviceMessageLockLost");
    struct raw_ask ask = as_device("GET", "/devices/d1/messages/devicebound" VERSION);
    ask.headers = "IotHub-MessageLockTimeout: soon\r\n";
    raw_gets(f, &ask, 400, "ArgumentInvalid", "");
    ask.headers = "IotHub-MessageLockTimeout: 301\r\n";
    raw_gets(f, &ask, 400, "ArgumentInvalid", "");
}

TEST(a_device_receives_only_for_itself) {
    struct fleet *f = *state;
    fleet_send_c2d(f, "d2", "m");
    struct raw_ask ask = as_device("GET", "/devices/d2/messages/devicebound" VERSION);
    raw_gets(f, &ask, 401, NULL, "");
    ask = as_device("DELETE", "/devices/d1/commands" VERSION);
    raw_gets(f, &ask, 401, "IotHubUnauthorizedAccess", "");
    ask = as_device("GET", "/messages/serviceBound/feedback" VERSION);
    raw_gets(f, &ask, 401, "IotHubUnauthorizedAccess", "");
}

TEST(a_purge_answers_how_many_there_were) {
    struct fleet *f = *state;
    for (int i = 0; i < 3; i++) fleet_send_c2d(f, "d1", "m");
    raw_gets(f, &(struct raw_ask){.method = "DELETE", .target = "/devices/d1/commands" VERSION},
             200, NULL, "{\"totalMessagesPurged\":3,\"deviceId\":\"d1\",\"moduleId\":null}");
    raw_gets(f, &(struct raw_ask){.method = "DELETE", .target = "/devices/d3/commands" VERSION},
             404, "DeviceNotFound", "");
    char token[40];
    assert_false(get(f, NULL, token));
}

TEST(feedback_is_received_and_settled_over_https_too) {
    struct fleet *f = *state;
    struct raw_answer answer;
    struct raw_ask ask = {.target = "/messages/serviceBound/feedback" VERSION};
    char token[40], target[200];
    raw_gets(f, &ask, 204, NULL, "");
    fleet_send_c2d(f, "d1", "m1");
    assert_true(get(f, NULL, token));
    settles(f, "DELETE", token, VERSION, 204, NULL);
    sk_sim_run(f->sim, 16 * SK_S);
    raw_asks(f, &ask, &answer);
    assert_int_equal(answer.parser.status, 200);
    assert_true(
        has_header(&answer, "Content-Type", "application/vnd.microsoft.iothub.feedback.json"));
    assert_true(has_header(&answer, "iothub-userid", "test"));
    snprintf(token, sizeof token, "%.36s", sk_http_header(&answer.parser, "ETag").p + 1);
    sk_http_parser_free(&answer.parser);
    snprintf(target, sizeof target, "/messages/serviceBound/feedback/%s/abandon" VERSION, token);
    raw_gets(f, &(struct raw_ask){.method = "POST", .target = target}, 204, NULL, "");
    raw_gets(f, &ask, 200, NULL, "\"statusCode\":\"Success\"");
    snprintf(target, sizeof target, "/messages/serviceBound/feedback/%s" VERSION, token);
    raw_gets(f, &(struct raw_ask){.method = "DELETE", .target = target}, 412,
             "DeviceMessageLockLost", "");
}

/* ---- batches of telemetry: docs/protocols/device-protocols.md, section 4.2 ---- */

static void sends_batch(struct fleet *f, struct sk_span body, unsigned status, const char *error) {
    struct raw_ask ask = as_device("POST", "/devices/d1/messages/events" VERSION);
    ask.headers = "Content-Type: application/vnd.microsoft.iothub.json; charset=utf-8\r\n";
    ask.body = body;
    raw_gets(f, &ask, status, error, "");
}

static void note(void *arg, const struct sk_message *message) {
    struct sk_buffer *seen = arg;
    const struct sk_property *k = sk_message_property(message, SK_SPAN("k"));
    sk_buffer_print(seen, "%.*s %.*s %.*s;", SK_ARG(message->body),
                    SK_ARG(message->system[SK_SYS_MESSAGE_ID]), SK_ARG(k ? k->value : SK_NONE));
}

TEST(a_batch_is_stored_message_by_message_in_order) {
    struct fleet *f = *state;
    struct sk_buffer seen = {0};
    sends_batch(f,
                sk_span_z("[{\"body\":\"aGVsbG8=\"},"
                          "{\"body\":\"plain\",\"base64Encoded\":false,\"properties\":"
                          "{\"iothub-app-k\":\"v\",\"IoTHub-MessageId\":\"m2\"}},"
                          "{\"body\":\"\",\"base64Encoded\":true}]"),
                204, NULL);
    assert_int_equal(fleet_read_events(f, note, &seen), 3);
    sk_buffer_byte(&seen, 0);
    assert_string_equal(seen.p, "hello  ;plain m2 v;  ;");
    sk_buffer_free(&seen);
}

TEST(a_batch_with_one_bad_message_stores_nothing) {
    struct fleet *f = *state;
    static const char *const bad[] = {
        "[{\"body\":\"aGVsbG8=\"},{\"body\":\"no base64!\"}]",
        "[{\"body\":\"aGVsbG8=\"},{}]",
        "[{\"body\":\"aGVsbG8=\"},7]",
        "[{\"body\":\"aGVsbG8=\"},{\"body\":\"\",\"properties\":{\"iothub-app-k\":1}}]",
        "[{\"body\":\"aGVsbG8=\"},{\"body\":\"\",\"properties\":[]}]",
        "{\"body\":\"aGVsbG8=\"}",
        "[]"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        sends_batch(f, sk_span_z(bad[i]), 400, "ArgumentInvalid");
    sends_batch(f,
                sk_span_z("[{\"body\":\"aGVsbG8=\",\"properties\":{\"iothub-app-k\":\"a\"b\"}}]"),
                400, "DeserializationError"); /* Node does not escape quotes */
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(f->hub, 0)).telemetry_total, 0);
}

TEST(a_batch_of_256_kilobytes_is_taken_and_one_byte_more_is_413) {
    struct fleet *f = *state;
    static char body[SK_MESSAGE_MAX + 1];
    static const char head[] = "[{\"base64Encoded\":false,\"body\":\"", tail[] = "\"}]";
    memset(body, 'x', sizeof body);
    memcpy(body, head, sizeof head - 1);
    memcpy(body + SK_MESSAGE_MAX - 3, tail, 3);
    sends_batch(f, sk_span(body, SK_MESSAGE_MAX), 204, NULL);
    body[SK_MESSAGE_MAX] = ' ';
    sends_batch(f, sk_span(body, SK_MESSAGE_MAX + 1), 413, "MessageTooLarge");
}

struct large {
    size_t size, seen;
};

static void check_large(void *arg, const struct sk_message *message) {
    struct large *large = arg;
    const struct sk_property *k = sk_message_property(message, SK_SPAN("k"));
    if (message->body.n != 1 || message->property_count != 2 || k == NULL) return;
    size_t same = 0;
    while (same < k->value.n && k->value.p[same] == 'v') same++;
    large->seen += same == large->size && same == k->value.n &&
                   message->system[SK_SYS_CONTENT_TYPE].n == large->size;
}

TEST(properties_beyond_64_kilobytes_are_stored_whole) {
    struct fleet *f = *state;
    static const size_t sizes[] = {65534, 65535, 65536, 65537, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct sk_buffer body = {0};
        struct large large = {.size = sizes[i]};
        char *value = sk_alloc(sizes[i] + 1);
        memset(value, 'v', sizes[i]);
        sk_buffer_print(&body,
                        "[{\"body\":\"x\",\"base64Encoded\":false,\"properties\":{"
                        "\"iothub-contenttype\":\"%s\",\"iothub-app-k\":\"%s\","
                        "\"iothub-app-last\":\"l\"}}]",
                        value, value);
        sends_batch(f, sk_buffer_span(&body), 204, NULL);
        fleet_read_events(f, check_large, &large);
        assert_int_equal(large.seen, 1);
        sk_buffer_free(&body);
        free(value);
    }
}

TEST(a_batch_on_a_full_disk_is_refused_once) {
    struct fleet *f = *state;
    sk_sim_disk_limit(f->hub_io, 0);
    sends_batch(f, sk_span_z("[{\"body\":\"\"},{\"body\":\"\"},{\"body\":\"\"}]"), 403,
                "IotHubQuotaExceeded");
    sk_sim_disk_limit(f->hub_io, UINT64_MAX);
    sk_sim_run(f->sim, 30 * SK_S);
    sends_batch(f, sk_span_z("[{\"body\":\"\"},{\"body\":\"\"},{\"body\":\"\"}]"), 204, NULL);
}
