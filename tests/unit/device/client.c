/* The device client on the simulated world, against a small MQTT server whose behaviour each test
 * scripts. */
#include <stdio.h>

#include "device/client.h"
#include "io/sim/sim.h"
#include "wire/mqtt.h"
#include "trust/sas.h"
#include "support/test.h"

#define KEY "a2V5a2V5a2V5a2V5"
#define MINUTE (60 * SK_S)

/* --- the server --- */

struct published {
    char topic[200];
    char payload[64];
    bool dup;
    uint16_t id;
};

static struct server {
    struct sk_stream *stream;
    struct sk_buffer in;
    unsigned connects, disconnects, subscribes, unsubscribes, pings, pubacks, closed;
    char client_id[100], user[400], password[500];
    char filters[5][100];
    size_t filter_count;
    struct published published[200];
    size_t published_count;
    uint8_t connack;
    bool session_present, mute, no_puback, no_pong, no_twin, suback_failure;
    uint16_t last_puback;
} server;

static void flush(void) {
    sk_stream_flush(server.stream);
}

static void text_to(char *to, size_t size, struct sk_span text) {
    snprintf(to, size, "%.*s", SK_ARG(text));
}

static void serve_subscribe(const struct sk_mqtt_packet *packet) {
    struct sk_span filters = packet->u.subscribe.filters;
    struct sk_mqtt_subscription one;
    char codes[5];
    size_t count = 0;
    server.filter_count = 0;
    while (sk_mqtt_next_filter(packet->type, &filters, &one)) {
        text_to(server.filters[server.filter_count++], 100, one.filter);
        codes[count++] = (char)(server.suback_failure ? SK_MQTT_SUBACK_FAILURE : one.qos);
    }
    if (packet->type == SK_MQTT_SUBSCRIBE) {
        server.subscribes++;
        sk_mqtt_put_suback(sk_stream_output(server.stream), packet->u.subscribe.id,
                           sk_span(codes, count));
    } else {
        server.unsubscribes++;
        sk_mqtt_put_ack(sk_stream_output(server.stream), SK_MQTT_UNSUBACK, packet->u.subscribe.id);
    }
    flush();
}

static void send_publish(const char *topic, const char *payload, uint8_t qos, uint16_t id) {
    struct sk_mqtt_publish publish = {
        .qos = qos, .id = id, .topic = sk_span_z(topic), .payload = sk_span_z(payload)};
    sk_mqtt_put_publish(sk_stream_output(server.stream), &publish);
    flush();
}

static void serve_publish(const struct sk_mqtt_publish *publish) {
    struct published *one = &server.published[server.published_count++];
    text_to(one->topic, sizeof one->topic, publish->topic);
    text_to(one->payload, sizeof one->payload, publish->payload);
    one->dup = publish->dup;
    one->id = publish->id;
    struct sk_topic topic;
    sk_topic_parse(publish->topic, &topic);
    char answer[100];
    if (topic.kind == SK_TOPIC_TWIN_GET && !server.no_twin) {
        snprintf(answer, sizeof answer, "$iothub/twin/res/200/?$rid=%.*s", SK_ARG(topic.rid));
        send_publish(answer, "{\"desired\":{\"$version\":3},\"reported\":{}}", 0, 0);
    } else if (topic.kind == SK_TOPIC_TWIN_REPORT && !server.no_twin) {
        snprintf(answer, sizeof answer, "$iothub/twin/res/204/?$rid=%.*s&$version=7",
                 SK_ARG(topic.rid));
        send_publish(answer, "", 0, 0);
    }
    if (publish->qos && !server.no_puback) {
        sk_mqtt_put_ack(sk_stream_output(server.stream), SK_MQTT_PUBACK, publish->id);
        flush();
    }
}

static void serve(const struct sk_mqtt_packet *packet) {
    switch (packet->type) {
    case SK_MQTT_CONNECT:
        server.connects++;
        assert_false(packet->u.connect.clean_session);
        text_to(server.client_id, sizeof server.client_id, packet->u.connect.client_id);
        text_to(server.user, sizeof server.user, packet->u.connect.user);
        text_to(server.password, sizeof server.password, packet->u.connect.password);
        if (server.mute) return;
        sk_mqtt_put_connack(sk_stream_output(server.stream), server.session_present,
                            server.connack);
        flush();
        if (server.connack) sk_stream_close(server.stream);
        break;
    case SK_MQTT_SUBSCRIBE:
    case SK_MQTT_UNSUBSCRIBE: serve_subscribe(packet); break;
    case SK_MQTT_PUBLISH: serve_publish(&packet->u.publish); break;
    case SK_MQTT_PUBACK:
        server.pubacks++;
        server.last_puback = packet->u.id;
        break;
    case SK_MQTT_PINGREQ:
        server.pings++;
        if (server.no_pong) break;
        sk_mqtt_put_bare(sk_stream_output(server.stream), SK_MQTT_PINGRESP);
        flush();
        break;
    case SK_MQTT_DISCONNECT: server.disconnects++; break;
    default: fail();
    }
}

static void server_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    if (stream != server.stream) { /* the client's last words on the connection before */
        if (memchr(bytes.p, 0xe0, bytes.n)) server.disconnects++;
        return;
    }
    sk_buffer_append(&server.in, bytes);
    struct sk_mqtt_packet packet;
    size_t used;
    while (server.stream &&
           sk_mqtt_decode(sk_buffer_span(&server.in), 1000000, &packet, &used) == SK_OK) {
        serve(&packet);
        sk_buffer_consume(&server.in, used);
    }
}

static void server_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)arg, (void)reason;
    server.closed++;
    if (stream == server.stream) server.stream = NULL;
}

static const struct sk_stream_events server_events = {.on_data = server_data,
                                                      .on_close = server_close};

static void on_accept(void *arg, struct sk_stream *stream) {
    (void)arg;
    if (server.in.n && server.in.p[0] == (char)0xe0)
        server.disconnects++; /* half of it has come so far */
    server.stream = stream;
    server.in.n = 0;
    sk_stream_handle(stream, &server_events, NULL);
}

/* --- the world --- */

static struct sk_sim *sim;
static struct sk_io *hub, *device;
static struct sk_listener *listener;
static struct sk_device_client *client;

static struct {
    unsigned connected, disconnected, desired, methods, messages, sent, closed, twins;
    bool session_present;
    struct sk_client_down down;
    char text[200], name[50], rid[50], input[50], property[50];
    uint64_t version;
    struct sk_delivery delivery;
    enum sk_status status;
    unsigned code;
    bool free_when_connected, free_when_sent;
    unsigned tokens;
} seen;

static void on_connected(void *arg, bool session_present) {
    (void)arg;
    seen.connected++;
    seen.session_present = session_present;
    if (!seen.free_when_connected) return;
    sk_device_client_free(client);
    client = NULL;
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    (void)arg;
    seen.disconnected++;
    seen.down = *down;
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    (void)arg;
    seen.desired++;
    seen.version = version;
    text_to(seen.text, sizeof seen.text, patch);
}

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    (void)arg;
    seen.methods++;
    text_to(seen.name, sizeof seen.name, name);
    text_to(seen.text, sizeof seen.text, payload);
    text_to(seen.rid, sizeof seen.rid, rid);
}

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    (void)arg;
    seen.messages++;
    seen.delivery = delivery;
    text_to(seen.text, sizeof seen.text, message->body);
    text_to(seen.input, sizeof seen.input, message->system[SK_SYS_INPUT]);
    const struct sk_property *property = sk_message_property(message, SK_SPAN("p"));
    if (property) text_to(seen.property, sizeof seen.property, property->value);
}

static const struct sk_device_events device_events = {on_connected, on_disconnected, on_desired,
                                                      on_method, on_message};

static void on_sent(void *arg, enum sk_status status) {
    (void)arg;
    if (status == SK_OK)
        seen.sent++;
    else
        seen.closed++;
    if (!seen.free_when_sent) return;
    seen.free_when_sent = false;
    sk_device_client_free(client);
    client = NULL;
}

static void on_twin(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                    uint64_t version) {
    (void)arg;
    seen.twins++;
    seen.status = status;
    seen.code = code;
    seen.version = version;
    text_to(seen.text, sizeof seen.text, body);
}

static struct sk_device_client_options options(void) {
    return (struct sk_device_client_options){.host = "hub",
                                             .port = 8883,
                                             .hub_host = SK_SPAN("hub.local"),
                                             .device_id = SK_SPAN("d1"),
                                             .key = SK_SPAN(KEY),
                                             .product = SK_SPAN("test/1"),
                                             .events = &device_events,
                                             .subscriptions = SK_SUB_DESIRED | SK_SUB_METHODS};
}

static void start(struct sk_device_client_options how) {
    client = sk_device_client_new(device, &how);
}

static void run(uint64_t ns) {
    sk_sim_run(sim, ns);
}

static void send(const char *body) {
    struct sk_property property = {SK_SPAN("a b"), SK_SPAN("c/d")};
    struct sk_message message = {
        .properties = &property, .property_count = 1, .body = sk_span_z(body)};
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    assert_int_equal(sk_device_client_send(client, &message, on_sent, NULL), SK_OK);
}

static int set_up(void **state) {
    (void)state;
    sk_buffer_free(&server.in);
    memset(&server, 0, sizeof server);
    memset(&seen, 0, sizeof seen);
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 5});
    hub = sk_sim_node(sim, "hub");
    device = sk_sim_node(sim, "device");
    client = NULL;
    return sk_listen(hub, &(struct sk_endpoint){.host = "0.0.0.0", .port = 8883}, NULL, on_accept,
                     NULL, &listener) != SK_OK;
}

static int tear_down(void **state) {
    (void)state;
    sk_device_client_free(client);
    run(10 * SK_S);
    if (server.stream) sk_stream_abort(server.stream);
    if (listener) sk_listener_close(listener);
    run(10 * SK_S);
    sk_sim_free(sim);
    sk_buffer_free(&server.in);
    return 0;
}

AROUND(set_up, tear_down);

/* --- the tests --- */

TEST(it_presents_itself_as_the_hub_expects) {
    struct sk_device_client_options how = options();
    how.module_id = SK_SPAN("m1");
    how.auth_chain = SK_SPAN("d1/m1;edge");
    how.model_id = SK_SPAN("dtmi:com:x;1");
    int64_t began_s = sk_io_wall(device) / 1000000;
    start(how);
    run(SK_S);
    assert_string_equal(server.client_id, "d1/m1");
    assert_string_equal(server.user, "hub.local/d1/m1/?api-version=2021-04-12&"
                                     "DeviceClientType=test%2F1&model-id=dtmi%3Acom%3Ax%3B1"
                                     "&auth-chain=d1%2Fm1%3Bedge");
    struct sk_arena arena = {0};
    struct sk_sas sas;
    assert_int_equal(sk_sas_parse(sk_span_z(server.password), &arena, &sas), SK_OK);
    assert_true(sk_span_is(sas.resource, "hub.local/devices/d1/modules/m1"));
    assert_int_equal(sk_sas_verify(&sas, SK_SPAN(KEY), SK_NONE, sk_io_wall(hub) / 1000000), SK_OK);
    assert_int_equal(sas.expiry_s, began_s + 3600);
    sk_arena_free(&arena);
    assert_int_equal(seen.connected, 1);
    assert_true(sk_device_client_is_connected(client));
}

TEST(it_subscribes_before_it_says_connected) {
    start(options());
    run(SK_S);
    assert_int_equal(server.subscribes, 1);
    assert_int_equal(server.filter_count, 3);
    assert_string_equal(server.filters[0], "$iothub/methods/POST/#");
    assert_string_equal(server.filters[1], "$iothub/twin/res/#");
    assert_string_equal(server.filters[2], "$iothub/twin/PATCH/properties/desired/#");
    sk_device_client_subscribe(client, SK_SUB_DESIRED | SK_SUB_C2D);
    run(SK_S);
    assert_int_equal(server.subscribes, 2);
    assert_int_equal(server.unsubscribes, 1);
    assert_string_equal(server.filters[0], "$iothub/methods/POST/#");
    sk_stream_abort(server.stream);
    run(5 * SK_S);
    assert_int_equal(server.filter_count, 3); /* the new set, after the reconnect */
    assert_string_equal(server.filters[0], "devices/d1/messages/devicebound/#");
    assert_int_equal(seen.connected, 2);
}

TEST(ids_with_wildcards_are_encoded_in_topics) {
    struct sk_device_client_options how = options();
    how.device_id = SK_SPAN("a+b#");
    how.subscriptions = SK_SUB_C2D;
    start(how);
    send("x");
    run(SK_S);
    assert_string_equal(server.client_id, "a+b#");
    assert_string_equal(server.filters[0], "devices/a%2Bb%23/messages/devicebound/#");
    assert_memory_equal(server.published[0].topic, "devices/a%2Bb%23/messages/events/", 33);
}

TEST(telemetry_is_acknowledged_once) {
    start(options());
    send("1"); /* before it is connected */
    run(SK_S);
    send("2");
    assert_int_equal(sk_device_client_waiting(client), 1);
    run(SK_S);
    assert_int_equal(seen.sent, 2);
    assert_int_equal(sk_device_client_waiting(client), 0);
    assert_string_equal(server.published[0].topic,
                        "devices/d1/messages/events/%24.ct=application%2Fjson&a%20b=c%2Fd");
    assert_string_equal(server.published[1].payload, "2");
    assert_int_not_equal(server.published[0].id, server.published[1].id);
}

TEST(unacknowledged_messages_are_sent_again_in_order_and_marked) {
    server.no_puback = true;
    struct sk_device_client_options how = options();
    how.in_flight_max = 3;
    start(how);
    for (char body[2] = "1"; body[0] <= '5'; body[0]++) send(body);
    run(SK_S);
    assert_int_equal(server.published_count, 3); /* the window */
    sk_stream_abort(server.stream);
    server.no_puback = false;
    run(5 * SK_S);
    assert_int_equal(seen.sent, 5);
    assert_int_equal(server.published_count, 8);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(server.published[3 + i].payload[0], '1' + (int)i);
        assert_int_equal(server.published[3 + i].dup, i < 3);
        if (i < 3) assert_int_equal(server.published[3 + i].id, server.published[i].id);
    }
}

TEST(the_queue_is_bounded) {
    struct sk_device_client_options how = options();
    struct sk_message message = {.body = SK_SPAN("0123456789")};
    how.queue_max = 2 * (2 + 2 + sizeof "devices/d1/messages/events/" - 1 + 2 + 10);
    start(how);
    assert_int_equal(sk_device_client_send(client, &message, on_sent, NULL), SK_OK);
    assert_int_equal(sk_device_client_send(client, &message, on_sent, NULL), SK_OK);
    assert_int_equal(sk_device_client_send(client, &message, on_sent, NULL), SK_NO_SPACE);
    run(SK_S);
    assert_int_equal(seen.sent, 2);
    assert_int_equal(sk_device_client_send(client, &message, on_sent, NULL), SK_OK);
    char *large = sk_alloc(SK_MESSAGE_MAX + 1);
    message.body = sk_span(large, SK_MESSAGE_MAX + 1);
    assert_int_equal(sk_device_client_send(client, &message, on_sent, NULL), SK_TOO_LARGE);
    free(large);
    run(SK_S);
    assert_int_equal(seen.sent, 3);
}

TEST(freeing_ends_everything_that_waits) {
    server.no_puback = server.no_twin = true;
    start(options());
    run(SK_S);
    send("1");
    send("2");
    sk_device_client_get_twin(client, on_twin, NULL);
    run(SK_S);
    sk_device_client_free(client);
    client = NULL;
    assert_int_equal(seen.closed, 2);
    assert_int_equal(seen.twins, 1);
    assert_int_equal(seen.status, SK_CLOSED);
    run(SK_S);
    assert_int_equal(server.disconnects, 1);
    assert_int_equal(server.closed, 1);
    assert_int_equal(seen.disconnected, 0);
}

TEST(it_may_be_freed_in_its_callbacks) {
    seen.free_when_connected = true;
    start(options());
    send("1");
    run(SK_S);
    assert_null(client);
    seen.free_when_connected = false;
    seen.free_when_sent = true;
    unsigned before = seen.sent;
    start(options());
    send("1");
    send("2");
    send("3");
    run(SK_S);
    assert_null(client);
    assert_int_equal(seen.sent - before, 1);
}

TEST(twins_are_read_and_reported) {
    start(options());
    sk_device_client_get_twin(client, on_twin, NULL);
    assert_int_equal(seen.twins, 0);
    run(SK_S);
    assert_int_equal(seen.twins, 1);
    assert_int_equal(seen.code, 200);
    assert_string_equal(seen.text, "{\"desired\":{\"$version\":3},\"reported\":{}}");
    sk_device_client_report(client, SK_SPAN("{\"a\":1}"), on_twin, NULL);
    run(SK_S);
    assert_int_equal(seen.code, 204);
    assert_int_equal(seen.version, 7);
    assert_string_equal(server.published[1].payload, "{\"a\":1}");
}

TEST(twin_operations_survive_a_reconnect_and_time_out_at_last) {
    server.no_twin = true;
    start(options());
    sk_device_client_get_twin(client, on_twin, NULL);
    run(SK_S);
    sk_stream_abort(server.stream);
    server.no_twin = false;
    run(5 * SK_S);
    assert_int_equal(seen.twins, 1);
    assert_int_equal(seen.status, SK_OK);
    server.no_twin = true;
    sk_device_client_get_twin(client, on_twin, NULL);
    run(59 * SK_S);
    assert_int_equal(seen.twins, 1);
    run(2 * SK_S);
    assert_int_equal(seen.twins, 2);
    assert_int_equal(seen.status, SK_TIMEOUT);
}

TEST(desired_changes_and_methods_arrive) {
    start(options());
    run(SK_S);
    send_publish("$iothub/twin/PATCH/properties/desired/?$version=4", "{\"x\":1,\"$version\":4}", 0,
                 0);
    run(SK_S);
    assert_int_equal(seen.desired, 1);
    assert_int_equal(seen.version, 4);
    send_publish("$iothub/methods/POST/re%20set/?$rid=abc", "{\"n\":1}", 0, 0);
    run(SK_S);
    assert_int_equal(seen.methods, 1);
    assert_string_equal(seen.name, "re set");
    assert_string_equal(seen.text, "{\"n\":1}");
    sk_device_client_answer(client, sk_span_z(seen.rid), 200, SK_SPAN("true"));
    run(SK_S);
    assert_string_equal(server.published[0].topic, "$iothub/methods/res/200/?$rid=abc");
    assert_string_equal(server.published[0].payload, "true");
}

TEST(input_messages_are_acknowledged_by_the_application) {
    struct sk_device_client_options how = options();
    how.module_id = SK_SPAN("m1");
    how.subscriptions = SK_SUB_INPUTS;
    start(how);
    run(SK_S);
    send_publish("devices/d1/modules/m1/inputs/in/%24.cdid=leaf&p=v%2Fw", "body", 1, 77);
    run(SK_S);
    assert_int_equal(seen.messages, 1);
    assert_string_equal(seen.input, "in");
    assert_string_equal(seen.property, "v/w");
    assert_int_equal(server.pubacks, 0);
    sk_device_client_ack(client, seen.delivery);
    run(SK_S);
    assert_int_equal(server.pubacks, 1);
    assert_int_equal(server.last_puback, 77);

    sk_stream_abort(server.stream);
    run(5 * SK_S);
    sk_device_client_ack(client, seen.delivery); /* of a connection that is gone */
    run(SK_S);
    assert_int_equal(server.pubacks, 1);
}

TEST(packets_in_pieces_are_put_together) {
    start(options());
    run(SK_S);
    struct sk_buffer wire = {0};
    for (int i = 0; i < 3; i++) {
        struct sk_mqtt_publish publish = {
            .topic = SK_SPAN("$iothub/twin/PATCH/properties/desired/?$version=4"),
            .payload = SK_SPAN("{}")};
        sk_mqtt_put_publish(&wire, &publish);
    }
    for (size_t i = 0; i < wire.n; i++) {
        sk_stream_write(server.stream, sk_span(wire.p + i, 1));
        run(2 * SK_MS);
    }
    run(SK_S);
    assert_int_equal(seen.desired, 3);
    sk_buffer_free(&wire);
}

TEST(refusals_are_told_with_their_code_and_tried_again_ever_later) {
    server.connack = SK_MQTT_NOT_AUTHORIZED;
    start(options());
    run(SK_S / 2);
    assert_int_equal(seen.disconnected, 1);
    assert_int_equal(seen.down.reason, SK_REFUSED);
    assert_int_equal(seen.down.connack, SK_MQTT_NOT_AUTHORIZED);
    uint64_t most = SK_S;
    for (int i = 0; i < 8; i++) {
        assert_in_range(seen.down.retry_ns, most / 2, most);
        run(seen.down.retry_ns + SK_S / 10);
        assert_int_equal(seen.disconnected, (unsigned)i + 2);
        most = most * 2 > 60 * SK_S ? 60 * SK_S : most * 2;
    }
    server.connack = 0;
    run(2 * MINUTE);
    assert_int_equal(seen.connected, 1);
}

TEST(a_silent_server_is_left) {
    server.mute = true;
    start(options());
    run(30 * SK_S + SK_S / 4);
    assert_int_equal(seen.disconnected, 1);
    assert_int_equal(seen.down.reason, SK_TIMEOUT);
    server.mute = false;
    run(5 * SK_S);
    assert_int_equal(seen.connected, 1);
    run(10 * MINUTE);
    assert_in_range(server.pings, 9, 10);
    assert_int_equal(seen.disconnected, 1);
    server.no_pong = true;
    run(91 * SK_S);
    assert_int_equal(seen.disconnected, 2);
    assert_int_equal(seen.down.reason, SK_TIMEOUT);
}

TEST(a_server_that_never_acknowledges_is_left) {
    server.no_puback = true;
    start(options());
    send("1");
    run(4 * MINUTE);
    assert_in_range(seen.disconnected, 1, 2);
    assert_true(server.published[1].dup);
}

TEST(a_server_out_of_step_is_left) {
    start(options());
    run(SK_S);
    sk_stream_write(server.stream, SK_SPAN("\xff\xff"));
    run(SK_S / 4);
    assert_int_equal(seen.disconnected, 1);
    assert_int_equal(seen.down.reason, SK_MALFORMED);
    run(5 * SK_S);
    assert_int_equal(seen.connected, 2);
    sk_stream_write(server.stream, SK_SPAN("\xc0\x00")); /* PINGREQ is the client's */
    run(SK_S / 4);
    assert_int_equal(seen.disconnected, 2);
}

TEST(nobody_listening_is_no_end) {
    sk_listener_close(listener);
    listener = NULL;
    start(options());
    run(MINUTE);
    assert_true(seen.disconnected > 3);
    assert_int_equal(seen.down.reason, SK_REFUSED);
    assert_int_equal(seen.down.connack, 0);
}

TEST(tokens_are_renewed_before_they_expire) {
    struct sk_device_client_options how = options();
    how.token_life_s = 400;
    start(how);
    run(SK_S);
    char first[500];
    strcpy(first, server.password);
    server.no_puback = true;
    run(290 * SK_S);
    send("1");
    assert_int_equal(server.connects, 1);
    run(20 * SK_S);
    assert_int_equal(server.connects, 2);
    assert_int_equal(server.disconnects, 1);
    assert_string_not_equal(server.password, first);
    assert_int_equal(seen.connected, 2);
    assert_int_equal(seen.disconnected, 0);
    assert_true(server.published[1].dup); /* what was in flight has followed */
}

static struct sk_token_ask *token_asked;
static struct sk_timer token_timer;

static void give_token(struct sk_timer *timer) {
    (void)timer;
    sk_token_answer(token_asked, seen.tokens == 2 ? SK_UNAUTHORIZED : SK_OK, SK_SPAN("a token"));
}

static void get_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    (void)source;
    assert_int_equal(ask->expiry_s, sk_io_wall(device) / 1000000 + 400);
    token_asked = ask;
    seen.tokens++;
    sk_timer_start(device, &token_timer, 3 * SK_S, give_token);
}

static void forget_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    (void)source;
    (void)ask;
    sk_timer_stop(&token_timer);
}

static struct sk_token_source tokens = {.get = get_token, .forget = forget_token};

TEST(tokens_may_come_from_elsewhere_and_late) {
    struct sk_device_client_options how = options();
    how.key = SK_NONE;
    how.tokens = &tokens;
    how.token_life_s = 400;
    start(how);
    run(2 * SK_S);
    assert_int_equal(server.connects, 0);
    run(2 * SK_S);
    assert_int_equal(seen.connected, 1);
    assert_string_equal(server.password, "a token");
    run(310 * SK_S); /* the second one is not given: the connection stays, and it asks again */
    assert_int_equal(seen.tokens, 2);
    assert_int_equal(server.connects, 1);
    assert_int_equal(seen.disconnected, 0);
    run(70 * SK_S);
    assert_int_equal(seen.tokens, 3);
    assert_int_equal(server.connects, 2);
    assert_int_equal(seen.connected, 2);
}

TEST(a_key_that_is_none_is_told) {
    struct sk_device_client_options how = options();
    how.key = SK_SPAN("***");
    start(how);
    run(SK_S / 4);
    assert_int_equal(seen.down.reason, SK_UNAUTHORIZED);
    assert_int_equal(server.connects, 0);
}

TEST(a_partition_heals) {
    start(options());
    run(SK_S);
    sk_sim_partition(hub, device, true);
    send("1");
    run(10 * MINUTE);
    assert_false(sk_device_client_is_connected(client));
    assert_int_equal(seen.sent, 0);
    sk_sim_partition(hub, device, false);
    run(2 * MINUTE);
    assert_true(sk_device_client_is_connected(client));
    assert_int_equal(seen.sent, 1);
}
