#include "support/raw_client.h"

#include "azure/mqtt_topic.h"

static void raw_on_open(struct sk_stream *stream, void *arg) {
    (void)stream;
    ((struct raw_client *)arg)->open = true;
}

static void raw_on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    sk_buffer_append(&((struct raw_client *)arg)->in, bytes);
}

static void raw_on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    ((struct raw_client *)arg)->stream = NULL;
}

bool raw_is_settled(void *arg) {
    struct raw_client *c = arg;
    return c->open || c->stream == NULL;
}

const struct sk_stream_events raw_events = {
    .on_open = raw_on_open, .on_data = raw_on_data, .on_close = raw_on_close};

void raw_open(struct raw_client *c, struct fleet *f, const char *host) {
    *c = (struct raw_client){.sim = f->sim,
                             .watch = strcmp(host, "hub.test") == 0 ? f->watch : NULL};
    c->stream = sk_connect(f->field_io, &(struct sk_endpoint){.host = host, .port = 8883}, NULL,
                           NULL, &raw_events, c);
    assert_true(sk_sim_run_until(c->sim, 60 * SK_S, raw_is_settled, c));
    assert_true(c->open);
}

bool raw_is_closed(void *arg) {
    return ((struct raw_client *)arg)->stream == NULL;
}

void raw_abort(struct raw_client *c) {
    if (c->stream) sk_stream_abort(c->stream);
    assert_true(sk_sim_run_until(c->sim, 60 * SK_S, raw_is_closed, c));
    sk_sim_run(c->sim, 50 * SK_MS); /* the other end hears of it */
}

void raw_free(struct raw_client *c) {
    raw_abort(c);
    sk_buffer_free(&c->in);
    sk_buffer_free(&c->last);
}

void raw_send(struct raw_client *c, struct sk_span bytes) {
    assert_non_null(c->stream);
    sk_stream_write(c->stream, bytes);
}

void raw_send_buffer(struct raw_client *c, struct sk_buffer *bytes) {
    raw_send(c, sk_buffer_span(bytes));
    sk_buffer_free(bytes);
}

/* ---- MQTT ---- */

static bool raw_has_packet(void *arg) {
    struct raw_client *c = arg;
    struct sk_mqtt_packet packet;
    size_t used;
    return sk_mqtt_decode(sk_buffer_span(&c->in), SK_MQTT_REMAINING_MAX, &packet, &used) !=
           SK_AGAIN;
}

static bool raw_packet_or_end(void *arg) {
    return raw_has_packet(arg) || raw_is_closed(arg);
}

/* Telemetry that will be acknowledged: from "devices/{d}[/modules/{m}]/messages/events/…". */
static void note_published(struct raw_client *c, const struct sk_mqtt_publish *publish) {
    struct sk_topic topic;
    struct raw_unacknowledged *one = &c->unacknowledged[publish->id % RAW_UNACKNOWLEDGED_MAX];
    struct sk_buffer sender = {0};
    if (c->watch == NULL || publish->qos == 0) return;
    sk_topic_parse(publish->topic, &topic);
    if (topic.kind != SK_TOPIC_TELEMETRY) return;
    sk_percent_decode(&sender, topic.device);
    if (topic.module.n) sk_buffer_byte(&sender, '/');
    sk_percent_decode(&sender, topic.module);
    one->id = publish->id;
    snprintf(one->sender, sizeof one->sender, "%.*s", SK_ARG(sk_buffer_span(&sender)));
    one->arrival =
        history_arrived(watch_wires(c->watch), sk_span_z(one->sender), publish->payload, SK_NONE);
    sk_buffer_free(&sender);
}

static void note_acknowledged(struct raw_client *c, uint16_t id) {
    struct raw_unacknowledged *one = &c->unacknowledged[id % RAW_UNACKNOWLEDGED_MAX];
    if (c->watch == NULL || one->id != id) return;
    one->id = 0;
    history_acknowledged(watch_wires(c->watch), sk_span_z(one->sender), one->arrival);
}

bool raw_next(struct raw_client *c, struct sk_mqtt_packet *packet) {
    size_t used = 0;
    sk_sim_run_until(c->sim, 60 * SK_S, raw_packet_or_end, c);
    if (!raw_has_packet(c)) return false;
    assert_int_equal(sk_mqtt_decode(sk_buffer_span(&c->in), SK_MQTT_REMAINING_MAX, packet, &used),
                     SK_OK);
    c->last.n = 0;
    sk_buffer_append(&c->last, sk_span(c->in.p, used));
    sk_buffer_consume(&c->in, used);
    assert_int_equal(sk_mqtt_decode(sk_buffer_span(&c->last), SK_MQTT_REMAINING_MAX, packet, &used),
                     SK_OK);
    if (packet->type == SK_MQTT_PUBACK) note_acknowledged(c, packet->u.id);
    return true;
}

struct sk_mqtt_packet raw_expect(struct raw_client *c, enum sk_mqtt_type type) {
    struct sk_mqtt_packet packet;
    if (!raw_next(c, &packet)) fail_msg("no packet, expected type %d", type);
    assert_int_equal(packet.type, type);
    return packet;
}

void raw_expect_connack(struct raw_client *c, unsigned code, bool session_present) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_CONNACK);
    assert_int_equal(packet.u.connack.code, code);
    assert_int_equal(packet.u.connack.session_present, session_present);
}

void raw_expect_ack(struct raw_client *c, enum sk_mqtt_type type, uint16_t id) {
    assert_int_equal(raw_expect(c, type).u.id, id);
}

void raw_expect_closed(struct raw_client *c) {
    struct sk_mqtt_packet packet;
    if (raw_next(c, &packet)) fail_msg("a packet of type %d instead of the end", packet.type);
    assert_null(c->stream);
}

void raw_expect_nothing(struct raw_client *c) {
    sk_sim_run(c->sim, 2 * SK_S);
    assert_int_equal(c->in.n, 0);
    assert_non_null(c->stream);
}

void raw_ping(struct raw_client *c) {
    struct sk_buffer out = {0};
    sk_mqtt_put_bare(&out, SK_MQTT_PINGREQ);
    raw_send_buffer(c, &out);
    raw_expect(c, SK_MQTT_PINGRESP);
}

void raw_put_connect(struct sk_buffer *to, struct fleet *f, const struct raw_connect *as) {
    struct sk_buffer identity = {0}, user = {0}, resource = {0}, token = {0};
    sk_buffer_print(&identity, as->module ? "%s/%s" : "%s%s", as->device,
                    as->module ? as->module : "");
    sk_buffer_print(&user, "hub.test/%.*s/?api-version=2021-04-12",
                    SK_ARG(sk_buffer_span(&identity)));
    sk_buffer_print(&resource,
                    as->module ? "hub.test/devices/%s/modules/%s" : "hub.test/devices/%s%s",
                    as->device, as->module ? as->module : "");
    assert_int_equal(
        sk_sas_create(&token, as->resource ? sk_span_z(as->resource) : sk_buffer_span(&resource),
                      sk_span_z(as->key ? as->key : FLEET_KEY), sk_span_z(as->policy),
                      sk_io_wall(f->field_io) / 1000000 + (as->life_s ? as->life_s : 3600)),
        SK_OK);
    struct sk_mqtt_connect connect = {
        .clean_session = as->clean,
        .has_user = true,
        .has_password = true,
        .keep_alive_s = as->keep_alive_s,
        .client_id = as->client_id ? sk_span_z(as->client_id) : sk_buffer_span(&identity),
        .user = as->user ? sk_span_z(as->user) : sk_buffer_span(&user),
        .password = as->password ? sk_span_z(as->password) : sk_buffer_span(&token),
        .has_will = as->will_topic != NULL,
        .will_qos = as->will_qos,
        .will_topic = sk_span_z(as->will_topic),
        .will_payload = sk_span_z(as->will_payload)};
    assert_int_equal(sk_mqtt_put_connect(to, &connect), SK_OK);
    sk_buffer_free(&identity);
    sk_buffer_free(&user);
    sk_buffer_free(&resource);
    sk_buffer_free(&token);
}

void raw_dial(struct raw_client *c, struct fleet *f, const char *host,
              const struct raw_connect *as) {
    struct sk_buffer out = {0};
    raw_open(c, f, host);
    raw_put_connect(&out, f, as);
    raw_send_buffer(c, &out);
}

void raw_login(struct raw_client *c, struct fleet *f, const char *device) {
    raw_dial(c, f, "hub.test", &(struct raw_connect){.device = device, .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

void raw_publish(struct raw_client *c, const char *topic, struct sk_span payload, uint8_t qos,
                 uint16_t id) {
    struct sk_buffer out = {0};
    struct sk_mqtt_publish publish = {
        .topic = sk_span_z(topic), .payload = payload, .qos = qos, .id = id};
    assert_int_equal(sk_mqtt_put_publish(&out, &publish), SK_OK);
    note_published(c, &publish);
    raw_send_buffer(c, &out);
}

void raw_subscribe(struct raw_client *c, uint16_t id, const char *filter, uint8_t qos) {
    struct sk_buffer out = {0};
    sk_mqtt_put_subscribe(
        &out, id, &(struct sk_mqtt_subscription){.filter = sk_span_z(filter), .qos = qos}, 1);
    raw_send_buffer(c, &out);
}

void raw_expect_suback(struct raw_client *c, uint16_t id, const char *codes, size_t count) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_SUBACK);
    assert_int_equal(packet.u.suback.id, id);
    assert_int_equal(packet.u.suback.codes.n, count);
    assert_memory_equal(packet.u.suback.codes.p, codes, count);
}

/* ---- HTTP ---- */

struct raw_reading {
    struct raw_client *client;
    struct raw_answer *answer;
};

static bool raw_read_answer(void *arg) {
    struct raw_reading *r = arg;
    while (r->client->in.n && !r->answer->complete) {
        size_t used = 0;
        enum sk_http_event event;
        assert_int_equal(
            sk_http_feed(&r->answer->parser, sk_buffer_span(&r->client->in), &used, &event), SK_OK);
        sk_buffer_consume(&r->client->in, used);
        if (event == SK_HTTP_HEADERS) r->answer->parser.body_max = 16 * 1024 * 1024;
        r->answer->complete = event == SK_HTTP_MESSAGE;
    }
    return r->answer->complete || r->client->stream == NULL;
}

void raw_next_answer(struct raw_client *c, struct raw_answer *answer) {
    *answer = (struct raw_answer){0};
    sk_http_parser_init(&answer->parser, false);
    sk_sim_run_until(c->sim, 400 * SK_S, raw_read_answer, &(struct raw_reading){c, answer});
    if (!answer->complete) fail_msg("no answer");
}
