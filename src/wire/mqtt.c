/* Decoding. Encoding is in mqtt_put.c, topics and UTF-8 in mqtt_text.c. */
#include "wire/mqtt.h"

/* Bit f of entry t is set: packet type t may carry the flags f in its first byte (table 2.2).
 * PUBLISH takes every combination but QoS 3 and DUP with QoS 0 (3.3.1). */
enum { PLAIN = 1u << 0, MARKED = 1u << 2, PUBLISH_FLAGS = 0x3c3f };
static const uint16_t flags_allowed[16] = {
    [SK_MQTT_CONNECT] = PLAIN,      [SK_MQTT_CONNACK] = PLAIN,    [SK_MQTT_PUBLISH] = PUBLISH_FLAGS,
    [SK_MQTT_PUBACK] = PLAIN,       [SK_MQTT_PUBREC] = PLAIN,     [SK_MQTT_PUBREL] = MARKED,
    [SK_MQTT_PUBCOMP] = PLAIN,      [SK_MQTT_SUBSCRIBE] = MARKED, [SK_MQTT_SUBACK] = PLAIN,
    [SK_MQTT_UNSUBSCRIBE] = MARKED, [SK_MQTT_UNSUBACK] = PLAIN,   [SK_MQTT_PINGREQ] = PLAIN,
    [SK_MQTT_PINGRESP] = PLAIN,     [SK_MQTT_DISCONNECT] = PLAIN,
};

static uint16_t read_u16(const char *p) {
    return (uint16_t)((unsigned char)p[0] << 8 | (unsigned char)p[1]);
}

/* Takes two bytes of length and as many bytes from `rest`. */
static bool take_bytes(struct sk_span *rest, struct sk_span *part) {
    if (rest->n < 2) return false;
    size_t n = read_u16(rest->p);
    if (rest->n - 2 < n) return false;
    *part = sk_span(rest->p + 2, n);
    *rest = sk_span(rest->p + 2 + n, rest->n - 2 - n);
    return true;
}

static bool take_text(struct sk_span *rest, struct sk_span *part) {
    return take_bytes(rest, part) && sk_mqtt_utf8_valid(*part);
}

static enum sk_status decode_publish(unsigned flags, struct sk_span rest,
                                     struct sk_mqtt_publish *publish) {
    unsigned qos = flags >> 1 & 3;
    size_t id_size = qos ? 2 : 0;
    if (rest.n < 2) return SK_MALFORMED;
    size_t topic_size = read_u16(rest.p);
    if (topic_size == 0 || rest.n < 2 + topic_size + id_size) return SK_MALFORMED;
    publish->topic = sk_span(rest.p + 2, topic_size);
    if (!sk_mqtt_utf8_valid(publish->topic)) return SK_MALFORMED;
    publish->dup = flags >> 3;
    publish->retain = flags & 1;
    publish->qos = (uint8_t)qos;
    publish->id = 0;
    if (qos) {
        publish->id = read_u16(rest.p + 2 + topic_size);
        if (publish->id == 0) return SK_MALFORMED; /* 2.3.1-1 */
    }
    publish->payload = sk_span_skip(rest, 2 + topic_size + id_size);
    return SK_OK;
}

static enum sk_status decode_connect(struct sk_span rest, struct sk_mqtt_connect *connect) {
    *connect = (struct sk_mqtt_connect){0};
    if (!take_text(&rest, &connect->protocol) || rest.n < 1) return SK_MALFORMED;
    connect->level = (uint8_t)rest.p[0];
    rest = sk_span_skip(rest, 1);
    if (!sk_mqtt_connect_supported(connect))
        return SK_OK; /* other levels have other fields from here on */

    if (rest.n < 3) return SK_MALFORMED;
    unsigned flags = (unsigned char)rest.p[0];
    connect->keep_alive_s = read_u16(rest.p + 1);
    rest = sk_span_skip(rest, 3);
    connect->clean_session = flags & 0x02;
    connect->has_will = flags & 0x04;
    connect->will_qos = flags >> 3 & 3;
    connect->will_retain = flags & 0x20;
    connect->has_password = flags & 0x40;
    connect->has_user = flags & 0x80;
    if (flags & 0x01) return SK_MALFORMED;                                /* 3.1.2-3 */
    if (!connect->has_will && (flags & 0x38)) return SK_MALFORMED;        /* 3.1.2-13, -15 */
    if (connect->will_qos == 3) return SK_MALFORMED;                      /* 3.1.2-14 */
    if (!connect->has_user && connect->has_password) return SK_MALFORMED; /* 3.1.2-22 */

    if (!take_text(&rest, &connect->client_id)) return SK_MALFORMED;
    if (connect->has_will) {
        if (!take_text(&rest, &connect->will_topic) || connect->will_topic.n == 0)
            return SK_MALFORMED;
        if (!take_bytes(&rest, &connect->will_payload)) return SK_MALFORMED;
    }
    if (connect->has_user && !take_text(&rest, &connect->user)) return SK_MALFORMED;
    if (connect->has_password && !take_bytes(&rest, &connect->password)) return SK_MALFORMED;
    return rest.n ? SK_MALFORMED : SK_OK;
}

static enum sk_status decode_subscribe(enum sk_mqtt_type type, struct sk_span rest,
                                       struct sk_mqtt_packet *packet) {
    if (rest.n < 2) return SK_MALFORMED;
    packet->u.subscribe.id = read_u16(rest.p);
    packet->u.subscribe.filters = rest = sk_span_skip(rest, 2);
    if (packet->u.subscribe.id == 0 || rest.n == 0)
        return SK_MALFORMED; /* 2.3.1-1, 3.8.3-3, 3.10.3-2 */
    while (rest.n) {
        struct sk_span filter;
        if (!take_text(&rest, &filter) || filter.n == 0) return SK_MALFORMED; /* 4.7.3-1 */
        if (type == SK_MQTT_UNSUBSCRIBE) continue;
        if (rest.n < 1 || (unsigned char)rest.p[0] > 2) return SK_MALFORMED; /* 3.8.3-4 */
        rest = sk_span_skip(rest, 1);
    }
    return SK_OK;
}

bool sk_mqtt_next_filter(enum sk_mqtt_type type, struct sk_span *filters,
                         struct sk_mqtt_subscription *subscription) {
    if (!take_bytes(filters, &subscription->filter)) return false;
    subscription->qos = 0;
    if (type == SK_MQTT_SUBSCRIBE) {
        subscription->qos = (uint8_t)filters->p[0];
        *filters = sk_span_skip(*filters, 1);
    }
    return true;
}

static enum sk_status decode_suback(struct sk_span rest, struct sk_mqtt_packet *packet) {
    if (rest.n < 3) return SK_MALFORMED;
    packet->u.suback.id = read_u16(rest.p);
    packet->u.suback.codes = sk_span_skip(rest, 2);
    if (packet->u.suback.id == 0) return SK_MALFORMED;
    for (size_t i = 2; i < rest.n; i++) {
        unsigned char code = (unsigned char)rest.p[i];
        if (code > 2 && code != SK_MQTT_SUBACK_FAILURE) return SK_MALFORMED; /* 3.9.3-2 */
    }
    return SK_OK;
}

static enum sk_status decode_body(unsigned flags, struct sk_span rest,
                                  struct sk_mqtt_packet *packet) {
    switch (packet->type) {
    case SK_MQTT_PUBLISH: return decode_publish(flags, rest, &packet->u.publish);
    case SK_MQTT_CONNECT: return decode_connect(rest, &packet->u.connect);
    case SK_MQTT_CONNACK:
        if (rest.n != 2 || (unsigned char)rest.p[0] > 1) return SK_MALFORMED;
        packet->u.connack.session_present = rest.p[0];
        packet->u.connack.code = (uint8_t)rest.p[1];
        return rest.p[0] && rest.p[1] ? SK_MALFORMED : SK_OK; /* 3.2.2-4 */
    case SK_MQTT_PUBACK:
    case SK_MQTT_PUBREC:
    case SK_MQTT_PUBREL:
    case SK_MQTT_PUBCOMP:
    case SK_MQTT_UNSUBACK:
        if (rest.n != 2) return SK_MALFORMED;
        packet->u.id = read_u16(rest.p);
        return packet->u.id ? SK_OK : SK_MALFORMED;
    case SK_MQTT_SUBSCRIBE:
    case SK_MQTT_UNSUBSCRIBE: return decode_subscribe(packet->type, rest, packet);
    case SK_MQTT_SUBACK: return decode_suback(rest, packet);
    case SK_MQTT_PINGREQ:
    case SK_MQTT_PINGRESP:
    case SK_MQTT_DISCONNECT: return rest.n ? SK_MALFORMED : SK_OK;
    }
    return SK_MALFORMED;
}

enum sk_status sk_mqtt_decode(struct sk_span bytes, size_t size_max, struct sk_mqtt_packet *packet,
                              size_t *used) {
    *used = 0;
    if (bytes.n == 0) return SK_AGAIN;
    unsigned first = (unsigned char)bytes.p[0];
    if ((flags_allowed[first >> 4] >> (first & 15) & 1) == 0) return SK_MALFORMED; /* 2.2.2-2 */

    size_t remaining = 0, at = 1;
    for (unsigned shift = 0;; shift += 7) { /* 2.2.3: seven bits a byte, at most four bytes */
        if (shift == 28) return SK_MALFORMED;
        if (at == bytes.n) return SK_AGAIN;
        unsigned char byte = (unsigned char)bytes.p[at++];
        remaining |= (size_t)(byte & 127) << shift;
        if (byte < 128) break;
    }
    if (remaining > size_max) return SK_TOO_LARGE;
    *used = at + remaining;
    if (bytes.n - at < remaining) return SK_AGAIN;
    packet->type = (enum sk_mqtt_type)(first >> 4);
    return decode_body(first & 15, sk_span(bytes.p + at, remaining), packet);
}
