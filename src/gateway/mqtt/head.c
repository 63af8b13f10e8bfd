/* The roof of the MQTT head: bytes to packets, and who takes them. */
#include "gateway/mqtt/head.h"

enum { KEPT_IN = 1024 };

/* ---- packets ---- */

static void handle(struct sk_mqtt_head *m, const struct sk_mqtt_packet *packet) {
    if (m->state == MQTT_WAITING) {
        if (packet->type == SK_MQTT_CONNECT)
            sk_mqtt_on_connect(m, &packet->u.connect);
        else
            sk_mqtt_head_fail(m, "the first packet is not CONNECT");
        return;
    }
    switch (packet->type) {
    case SK_MQTT_PUBLISH: sk_mqtt_on_publish(m, &packet->u.publish); break;
    case SK_MQTT_PUBACK: sk_mqtt_on_puback(m, packet->u.id); break;
    case SK_MQTT_SUBSCRIBE:
    case SK_MQTT_UNSUBSCRIBE: sk_mqtt_on_subscribe(m, packet); break;
    case SK_MQTT_PINGREQ:
        sk_mqtt_put_bare(sk_stream_output(m->stream), SK_MQTT_PINGRESP);
        sk_stream_flush(m->stream);
        break;
    case SK_MQTT_DISCONNECT:
        m->graceful = true;
        m->state = MQTT_CLOSING;
        sk_stream_close(m->stream);
        break;
    default: sk_mqtt_head_fail(m, "a packet that a client may not send here"); break;
    }
}

static bool may_go_on(struct sk_mqtt_head *m) {
    return m->state != MQTT_AUTHENTICATING && m->state != MQTT_CLOSING &&
           sk_stream_go_on(m->stream, 1);
}

static size_t packet_max(const struct sk_mqtt_head *m) {
    return m->state == MQTT_WAITING ? SK_MQTT_HEAD_CONNECT_MAX : SK_MQTT_HEAD_PACKET_MAX;
}

/* Handles whole packets, keeps the start of one in m->in (which is empty here) and leaves the rest
 * for later. */
static void process(struct sk_mqtt_head *m, struct sk_span bytes) {
    struct sk_mqtt_packet packet;
    size_t used = 0;
    while (bytes.n && may_go_on(m)) {
        enum sk_status status = sk_mqtt_decode(bytes, packet_max(m), &packet, &used);
        if (status == SK_AGAIN) {
            sk_buffer_append(&m->in, bytes);
            return;
        }
        if (status) {
            sk_mqtt_head_fail(m, status == SK_TOO_LARGE ? "a packet is larger than 256 KB (413001)"
                                                        : "a malformed packet");
            return;
        }
        bytes = sk_span_skip(bytes, used);
        handle(m, &packet);
    }
    if (bytes.n && m->state != MQTT_CLOSING) sk_stream_unread(m->stream, bytes);
}

/* Completes the packet whose start waits in m->in with as few bytes as it needs, so that the rest
 * is parsed in place. False: it is not complete. */
static bool complete_packet(struct sk_mqtt_head *m, struct sk_span *bytes) {
    for (;;) {
        struct sk_mqtt_packet packet;
        size_t whole = 0;
        enum sk_status status =
            sk_mqtt_decode(sk_buffer_span(&m->in), packet_max(m), &packet, &whole);
        if (status != SK_AGAIN) return true;
        if (bytes->n == 0) return false;
        size_t missing =
            whole > m->in.n ? whole - m->in.n : 1; /* unknown while the fixed header is not whole */
        struct sk_span part = sk_span_first(*bytes, missing);
        sk_buffer_append(&m->in, part);
        *bytes = sk_span_skip(*bytes, part.n);
    }
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    struct sk_mqtt_head *m = arg;
    if (m->in.n) {
        if (!complete_packet(m, &bytes)) return;
        struct sk_buffer first = m->in;
        m->in = (struct sk_buffer){0};
        process(m, sk_buffer_span(&first)); /* all of it: whoever is called may take one packet */
        if (first.capacity <= KEPT_IN) {
            first.n = 0;
            m->in = first; /* saves the next allocation */
        } else {
            sk_buffer_free(&first);
        }
    }
    if (bytes.n) process(m, bytes);
    sk_mqtt_head_reading(m);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    struct sk_mqtt_head *m = arg;
    m->stream = m->connection.stream = NULL;
    m->state = MQTT_CLOSING;
    sk_timer_stop(&m->timer);
    if (m->authentication) sk_authentication_cancel(m->authentication);
    m->pending++; /* keeps the head through the will's request */
    if (m->will_topic && !m->graceful && m->session.key) sk_mqtt_send_will(m);
    sk_session_close(&m->session, SK_FAULT_NONE);
    sk_mqtt_head_release(m);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct sk_mqtt_head *m = arg;
    if (m->state == MQTT_OPEN && m->session.open && m->backend->ops->session_writable)
        m->backend->ops->session_writable(m->backend, &m->session);
}

static const struct sk_stream_events events = {
    .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

void mqtt_head_open(struct sk_gateway *gateway, struct sk_stream *stream, struct sk_span first) {
    struct sk_mqtt_head *m = SK_NEW(struct sk_mqtt_head);
    m->stream = stream;
    m->silence_max_ms = SK_MQTT_HEAD_SILENCE_MAX_MS;
    connection_add(gateway, &m->connection, stream, sk_mqtt_head_end);
    sk_stream_handle(stream, &events, m);
    sk_mqtt_head_expect(m);
    on_data(stream, m, first);
}
