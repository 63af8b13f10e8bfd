/* Direct methods as an MQTT client of a hub sees them. */
#include "support/raw_client.h"
#include "support/test.h"

struct method {
    struct fleet *f;
    struct sk_http_client *client;
    unsigned status;
    char *answer;
    bool done;
};

static void on_method_answer(void *arg, enum sk_status status,
                             const struct sk_http_parser *answer) {
    struct method *m = arg;
    m->done = true;
    m->status = status ? 0 : answer->status;
    m->answer = status ? NULL : sk_span_dup(sk_buffer_span(&answer->body));
}

static void invoke(struct method *m, struct fleet *f, const char *body) {
    struct sk_buffer token = {0};
    *m = (struct method){.f = f};
    assert_int_equal(
        sk_http_client_new(f->field_io,
                           &(struct sk_http_client_options){
                               .to = {.host = "hub.test", .port = 8883}, .host_header = "hub.test"},
                           &m->client),
        SK_OK);
    sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_http_client_send(
        m->client, &(struct sk_http_ask){
                       .method = SK_HTTP_POST,
                       .target = SK_SPAN("/twins/d1/methods?api-version=2021-04-12"),
                       .headers = &(struct sk_http_pair){"Authorization", sk_buffer_span(&token)},
                       .header_count = 1,
                       .timeout_ms = 400000,
                       .body = sk_span_z(body),
                       .done = on_method_answer,
                       .arg = m});
    sk_buffer_free(&token);
}

static bool is_done(void *arg) {
    return ((struct method *)arg)->done;
}

static void end_method(struct method *m, uint64_t within_ns, unsigned status, const char *holds) {
    if (!sk_sim_run_until(m->f->sim, within_ns, is_done, m))
        fail_msg("no answer; expected %u %s", status, holds);
    if (m->status != status || (m->answer && strstr(m->answer, holds) == NULL))
        fail_msg("%u %s instead of %u %s", m->status, m->answer, status, holds);
    free(m->answer);
    sk_http_client_free(m->client);
}

static void listen_to_methods(struct raw_client *c, struct fleet *f, const char *device) {
    raw_login(c, f, device);
    raw_subscribe(c, 1, "$iothub/methods/POST/#", 0);
    raw_expect_suback(c, 1, "\0", 1);
}

/* The call's request id as it came. */
static void expect_call(struct raw_client *c, const char *name, const char *payload, char rid[64]) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    struct sk_topic topic;
    sk_topic_parse(packet.u.publish.topic, &topic);
    assert_int_equal(topic.kind, SK_TOPIC_METHOD_CALL);
    assert_true(sk_span_is(topic.name, name));
    assert_true(sk_span_is(packet.u.publish.payload, payload));
    assert_true(
        sk_span_ends(packet.u.publish.topic, topic.rid)); /* .NET takes the rest of the segment */
    snprintf(rid, 64, "%.*s", SK_ARG(topic.rid));
}

static void answer_call(struct raw_client *c, const char *rid, const char *payload) {
    char topic[128];
    snprintf(topic, sizeof topic, "$iothub/methods/res/200/?$rid=%s", rid);
    raw_publish(c, topic, sk_span_z(payload), 0, 0);
}

AROUND(fleet_new_world, fleet_free_world);

TEST(a_method_goes_to_the_device_and_its_answer_back) {
    struct fleet *f = *state;
    struct raw_client c;
    struct method m;
    char rid[64];
    listen_to_methods(&c, f, "d1");
    invoke(&m, f, "{\"methodName\":\"a b\",\"payload\":{\"x\":[1]}}");
    expect_call(&c, "a%20b", "{\"x\":[1]}", rid);
    answer_call(&c, rid, "{\"y\":true}");
    end_method(&m, SK_S, 200, "{\"status\":200,\"payload\":{\"y\":true}}");
    invoke(&m, f, "{\"methodName\":\"m\"}");
    expect_call(&c, "m", "", rid);
    answer_call(&c, rid, "");
    end_method(&m, SK_S, 200, "{\"status\":200,\"payload\":null}");
    invoke(&m, f, "{\"methodName\":\"m\"}");
    expect_call(&c, "m", "", rid);
    answer_call(&c, rid, "no json");
    end_method(&m, SK_S, 502, "502000");
    raw_free(&c);
}

/* Components of Plug and Play are called "thermostat1*reboot"; clients do not decode. */
TEST(a_methods_name_stands_in_its_topic_as_azure_writes_it) {
    struct fleet *f = *state;
    static const struct {
        const char *name, *topic;
    } cases[] = {
        {"thermostat1*getMaxMinReport", "thermostat1*getMaxMinReport"},
        {"it's(a)!~_-.m", "it's(a)!~_-.m"},
        {"a/b", "a%2Fb"},
        {"a?b#c+d%e", "a%3Fb%23c%2Bd%25e"},
        {"$x:y;z", "%24x%3Ay%3Bz"},
        {"\xc3\xa4", "%C3%A4"},
    };
    struct raw_client c;
    struct method m;
    char rid[64], body[200];
    listen_to_methods(&c, f, "d1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(body, sizeof body, "{\"methodName\":\"%s\"}", cases[i].name);
        invoke(&m, f, body);
        expect_call(&c, cases[i].topic, "", rid);
        answer_call(&c, rid, "1");
        end_method(&m, SK_S, 200, "\"payload\":1");
    }
    raw_free(&c);
}

/* Service SDKs write null where the caller gave none. */
TEST(a_method_carries_its_payload_as_it_was_given) {
    struct fleet *f = *state;
    static const struct {
        const char *payload, *body;
    } cases[] = {{"", ""},
                 {",\"payload\":null", "null"},
                 {",\"payload\":{}", "{}"},
                 {",\"payload\":[null]", "[null]"},
                 {",\"payload\":\"\"", "\"\""},
                 {",\"payload\":\"null\"", "\"null\""},
                 {",\"payload\":0", "0"},
                 {",\"payload\":21.1", "21.1"},
                 {",\"payload\":{\"t\":[0.1,9007199254740993]}", "{\"t\":[0.1,9007199254740993]}"},
                 {",\"payload\":false", "false"}};
    struct raw_client c;
    struct method m;
    char rid[64], body[200];
    listen_to_methods(&c, f, "d1");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(body, sizeof body, "{\"methodName\":\"m\"%s}", cases[i].payload);
        invoke(&m, f, body);
        expect_call(&c, "m", cases[i].body, rid);
        answer_call(&c, rid, "1");
        end_method(&m, SK_S, 200, "\"payload\":1");
    }
    raw_free(&c);
}

TEST(a_method_for_a_device_that_does_not_listen_is_404103) {
    struct fleet *f = *state;
    struct raw_client c;
    struct method m;
    char rid[64];
    invoke(&m, f, "{\"methodName\":\"m\"}");
    end_method(&m, SK_S, 404, "404103");
    raw_login(&c, f, "d1"); /* connected, not subscribed */
    invoke(&m, f, "{\"methodName\":\"m\"}");
    end_method(&m, SK_S, 404, "404103");
    invoke(&m, f, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":20}");
    end_method(&m, 21 * SK_S, 404, "404103");
    /* It subscribes in time. */
    invoke(&m, f, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":20}");
    sk_sim_run(f->sim, 10 * SK_S);
    raw_subscribe(&c, 1, "$iothub/methods/POST/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    expect_call(&c, "m", "", rid);
    answer_call(&c, rid, "1");
    end_method(&m, SK_S, 200, "\"payload\":1");
    raw_free(&c);
}

TEST(a_device_that_does_not_answer_is_504_and_its_late_answer_is_dropped) {
    struct fleet *f = *state;
    struct raw_client c;
    struct method m;
    char rid[64];
    listen_to_methods(&c, f, "d1");
    invoke(&m, f, "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":5}");
    expect_call(&c, "m", "", rid);
    sk_sim_run(f->sim, 4 * SK_S);
    assert_false(m.done);
    end_method(&m, 2 * SK_S, 504, "504101");
    answer_call(&c, rid, "1");
    raw_ping(&c);
    raw_free(&c);
}

TEST(another_devices_answer_is_ignored) {
    struct fleet *f = *state;
    struct raw_client c, thief;
    struct method m;
    char rid[64];
    listen_to_methods(&c, f, "d1");
    listen_to_methods(&thief, f, "d2");
    invoke(&m, f, "{\"methodName\":\"m\"}");
    expect_call(&c, "m", "", rid);
    answer_call(&thief, rid, "\"false\"");
    raw_ping(&thief);
    assert_false(m.done);
    answer_call(&c, rid, "\"true\"");
    end_method(&m, SK_S, 200, "\"true\"");
    raw_free(&c);
    raw_free(&thief);
}

TEST(a_device_that_leaves_before_it_answers_is_404) {
    struct fleet *f = *state;
    struct raw_client c, second;
    struct method m;
    char rid[64];
    listen_to_methods(&c, f, "d1");
    invoke(&m, f, "{\"methodName\":\"m\"}");
    expect_call(&c, "m", "", rid);
    raw_free(&c);
    end_method(&m, SK_S, 404, "404103");
    /* The same when another connection takes over; its answer with the old id is nobody's. */
    listen_to_methods(&c, f, "d1");
    invoke(&m, f, "{\"methodName\":\"m\"}");
    expect_call(&c, "m", "", rid);
    listen_to_methods(&second, f, "d1");
    answer_call(&second, rid, "1");
    end_method(&m, SK_S, 404, "404103");
    raw_free(&c);
    raw_free(&second);
}

TEST(a_method_that_waits_when_the_hub_stops_does_no_harm) {
    struct fleet *f = *state;
    struct raw_client c;
    struct method waiting, sent;
    char rid[64];
    invoke(&waiting, f, "{\"methodName\":\"m\",\"connectTimeoutInSeconds\":300}");
    sk_sim_run(f->sim, SK_S);
    fleet_stop_hub(f);
    end_method(&waiting, 10 * SK_S, 0, "");
    fleet_start_hub(f);
    listen_to_methods(&c, f, "d1");
    invoke(&sent, f, "{\"methodName\":\"m\"}");
    expect_call(&c, "m", "", rid);
    fleet_stop_hub(f);
    end_method(&sent, 10 * SK_S, 0, "");
    fleet_start_hub(f);
    raw_free(&c);
}
