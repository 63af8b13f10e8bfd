/* An MQTT 3.1.1 broker: a message is a PUBLISH of QoS 1 on a topic with its device, and its PUBACK
 * takes it. Properties do not travel; who wants them has them in the body. */
#include "hub/endpoints/parts.h"

#include <stdio.h>

#include "net/dial.h"
#include "wire/mqtt.h"

enum { PACKET_MAX = 65536 };

struct mqtt {
    struct endpoint *endpoint;
    struct sk_arena arena; /* what the configuration says */
    struct endpoint_url url;
    struct sk_tls *tls;
    struct sk_stream *stream; /* NULL: none */
    struct sk_buffer in;
    struct sk_timer limit; /* of a batch; and between pings */
    bool ready;            /* the broker has let us in */
    bool busy;             /* with a batch */
    size_t acknowledged;   /* of it, from its front: a broker answers in order */
};

/* ---- where ---- */

static bool parse(const struct sk_hub_endpoint *options, struct sk_arena *arena,
                  struct endpoint_url *url) {
    static const struct endpoint_scheme schemes[] = {
        {"mqtts://", true, 8883}, {"mqtt://", false, 1883}, {0}};
    return endpoint_url_parse(sk_span_z(options->to), schemes, arena, url);
}

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct endpoint_url url;
    bool fine = parse(options, &arena, &url);
    sk_arena_free(&arena);
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a broker is a URL, such as \"mqtts://user:password@broker.example\"");
    return fine;
}

/* An id in a topic: '+' and '#' would be wildcards there. */
static void put_id(struct sk_buffer *to, struct sk_span id) {
    for (size_t i = 0; i < id.n; i++)
        sk_buffer_byte(to, id.p[i] == '+' || id.p[i] == '#' ? '_' : id.p[i]);
}

/* `topic` with the device's id, and the module's, in place of {device} and {module}. */
static void put_topic(struct sk_buffer *to, const char *topic, const struct sk_message *message) {
    static const struct sk_span device = {"{device}", 8}, module = {"{module}", 8};
    for (struct sk_span rest = sk_span_z(topic); rest.n;) {
        if (sk_span_starts(rest, device)) {
            put_id(to, message->device);
            rest = sk_span_skip(rest, device.n);
        } else if (sk_span_starts(rest, module)) {
            put_id(to, message->module);
            rest = sk_span_skip(rest, module.n);
        } else {
            sk_buffer_byte(to, rest.p[0]);
            rest = sk_span_skip(rest, 1);
        }
    }
}

/* ---- a batch ---- */

static void hang_up(struct mqtt *m) {
    struct sk_stream *stream = m->stream;
    m->stream = NULL;
    m->ready = false;
    m->in.n = 0;
    if (stream == NULL) return;
    sk_stream_forget(stream);
    sk_stream_abort(stream);
}

static void fail(struct mqtt *m, const char *why, const char *more) {
    hang_up(m);
    sk_timer_stop(&m->limit);
    if (!m->busy) return;
    m->busy = false;
    endpoint_ended(m->endpoint, ENDPOINT_AGAIN, m->acknowledged, "%s %s%s", m->url.host, why, more);
}

static void on_limit(struct sk_timer *timer) {
    fail(SK_CONTAINER(timer, struct mqtt, limit), "does not answer", "");
}

static void publish_all(struct mqtt *m) {
    struct endpoint *e = m->endpoint;
    struct sk_arena arena = {0};
    struct sk_buffer topic = {0};
    for (size_t i = 0; i < e->batch.count && m->stream; i++) {
        struct sk_message message;
        sk_arena_reset(&arena);
        topic.n = 0;
        if (endpoint_message(e, i, &arena, &message)) message = (struct sk_message){0};
        put_topic(&topic, e->options->topic, &message);
        sk_mqtt_put_publish(sk_stream_output(m->stream),
                            &(struct sk_mqtt_publish){.qos = 1,
                                                      .id = (uint16_t)(i + 1),
                                                      .topic = sk_buffer_span(&topic),
                                                      .payload = message.body});
    }
    if (m->stream) sk_stream_flush(m->stream);
    sk_arena_free(&arena);
    sk_buffer_free(&topic);
}

static void on_acknowledged(struct mqtt *m, uint16_t id) {
    if (!m->busy) return;
    if (id != m->acknowledged + 1) {
        fail(m, "answers out of order", "");
        return;
    }
    if (++m->acknowledged < m->endpoint->batch.count) return;
    m->busy = false;
    sk_timer_stop(&m->limit);
    endpoint_ended(m->endpoint, ENDPOINT_SENT, m->acknowledged, NULL);
}

static void on_packet(struct mqtt *m, const struct sk_mqtt_packet *packet) {
    if (packet->type == SK_MQTT_CONNACK && packet->u.connack.code) {
        char code[8];
        snprintf(code, sizeof code, "%u", packet->u.connack.code);
        fail(m, "refuses the connection with ", code);
    } else if (packet->type == SK_MQTT_CONNACK) {
        m->ready = true;
        if (m->busy) publish_all(m);
    } else if (packet->type == SK_MQTT_PUBACK) {
        on_acknowledged(m, packet->u.id);
    }
}

/* ---- the connection ---- */

static void on_open(struct sk_stream *stream, void *arg) {
    struct mqtt *m = arg;
    struct sk_mqtt_connect connect = {.clean_session = true,
                                      .keep_alive_s = 0, /* it is idle between batches */
                                      .has_user = m->url.user != NULL,
                                      .has_password = m->url.user != NULL,
                                      .user = sk_span_z(m->url.user),
                                      .password = sk_span_z(m->url.password)};
    char id[64];
    snprintf(id, sizeof id, "skerry-%.20s-%.20s", m->endpoint->hub->options->name,
             m->endpoint->options->name);
    connect.client_id = sk_span_z(id);
    sk_mqtt_put_connect(sk_stream_output(stream), &connect);
    sk_stream_flush(stream);
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct mqtt *m = arg;
    struct sk_mqtt_packet packet;
    size_t used, taken = 0;
    enum sk_status status = SK_OK;
    sk_buffer_append(&m->in, bytes);
    while (m->stream == stream &&
           (status = sk_mqtt_decode(sk_span_skip(sk_buffer_span(&m->in), taken), PACKET_MAX,
                                    &packet, &used)) == SK_OK) {
        taken += used;
        on_packet(m, &packet);
    }
    if (m->stream != stream) return;
    sk_buffer_consume(&m->in, taken);
    if (status != SK_AGAIN) fail(m, "does not speak MQTT", "");
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct mqtt *m = arg;
    if (m->stream != stream) return;
    m->stream = NULL;
    fail(m, "closes the connection: ", sk_status_text(reason));
}

static void connect_now(struct mqtt *m) {
    static const struct sk_stream_events events = {
        .on_open = on_open, .on_data = on_data, .on_close = on_close};
    m->stream = sk_dial(
        m->endpoint->hub->backend.io,
        &(struct sk_dial_options){.to = {.host = m->url.host, .port = m->url.port}, .tls = m->tls},
        &events, m);
}

static void send_batch(struct endpoint *e) {
    struct mqtt *m = e->state;
    m->busy = true;
    m->acknowledged = 0;
    sk_timer_start(e->hub->backend.io, &m->limit, e->options->timeout_us * 1000, on_limit);
    if (m->stream == NULL)
        connect_now(m);
    else if (m->ready)
        publish_all(m);
}

static void close_mqtt(struct endpoint *e) {
    struct mqtt *m = e->state;
    if (m == NULL) return;
    e->state = NULL;
    sk_timer_stop(&m->limit);
    hang_up(m);
    if (m->tls) sk_tls_free(m->tls);
    sk_buffer_free(&m->in);
    sk_arena_free(&m->arena);
    free(m);
}

static enum sk_status open_mqtt(struct endpoint *e, char reason[512]) {
    struct mqtt *m = e->state = SK_NEW(struct mqtt);
    m->endpoint = e;
    bool fine = parse(e->options, &m->arena, &m->url);
    SK_ASSERT(fine); /* check() has seen it */
    return endpoint_trust(e, m->url.secure, &m->tls, reason);
}

const struct endpoint_kind endpoint_mqtt = {
    .check = check, .open = open_mqtt, .send = send_batch, .close = close_mqtt};
