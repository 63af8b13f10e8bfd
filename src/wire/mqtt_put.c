/* Encoding of MQTT packets. Each packet's size is known before its first byte is written, so a
 * packet is appended as a whole or not at all. */
#include "wire/mqtt.h"

static char *write_u16(char *to, size_t value) {
    to[0] = (char)(value >> 8);
    to[1] = (char)value;
    return to + 2;
}

static char *write_bytes(char *to, struct sk_span bytes) {
    to = write_u16(to, bytes.n);
    if (bytes.n) memcpy(to, bytes.p, bytes.n);
    return to + bytes.n;
}

/* Reserves a packet and writes its fixed header; NULL: too large. sk_buffer's n covers the whole
 * packet from here on. */
static char *begin(struct sk_buffer *to, unsigned first, size_t remaining) {
    if (remaining > SK_MQTT_REMAINING_MAX) return NULL;
    size_t header = remaining < 128 ? 2 : remaining < 16384 ? 3 : remaining < 2097152 ? 4 : 5;
    char *p = sk_buffer_reserve(to, header + remaining);
    if (p == NULL) return NULL;
    to->n += header + remaining;
    *p++ = (char)first;
    for (; remaining > 127; remaining >>= 7) *p++ = (char)(remaining | 128);
    *p++ = (char)remaining;
    return p;
}

enum sk_status sk_mqtt_put_connect(struct sk_buffer *to, const struct sk_mqtt_connect *connect) {
    const struct sk_span texts[] = {connect->client_id, connect->will_topic, connect->will_payload,
                                    connect->user, connect->password};
    const bool present[] = {true, connect->has_will, connect->has_will, connect->has_user,
                            connect->has_password};
    size_t remaining = 10;
    for (size_t i = 0; i < 5; i++) {
        if (!present[i]) continue;
        if (texts[i].n > SK_MQTT_TEXT_MAX) return SK_TOO_LARGE;
        remaining += 2 + texts[i].n;
    }
    char *p = begin(to, SK_MQTT_CONNECT << 4, remaining);
    if (p == NULL) return SK_TOO_LARGE;
    p = write_bytes(p, SK_SPAN("MQTT"));
    *p++ = 4;
    *p++ = (char)((connect->clean_session ? 0x02 : 0) | (connect->has_password ? 0x40 : 0) |
                  (connect->has_user ? 0x80 : 0) |
                  (connect->has_will
                       ? 0x04 | connect->will_qos << 3 | (connect->will_retain ? 0x20 : 0)
                       : 0));
    p = write_u16(p, connect->keep_alive_s);
    for (size_t i = 0; i < 5; i++)
        if (present[i]) p = write_bytes(p, texts[i]);
    return SK_OK;
}

enum sk_status sk_mqtt_put_connack(struct sk_buffer *to, bool session_present, uint8_t code) {
    char *p = begin(to, SK_MQTT_CONNACK << 4, 2);
    if (p == NULL) return SK_TOO_LARGE;
    p[0] = session_present && code == SK_MQTT_ACCEPTED;
    p[1] = (char)code;
    return SK_OK;
}

enum sk_status sk_mqtt_put_publish(struct sk_buffer *to, const struct sk_mqtt_publish *publish) {
    if (publish->topic.n > SK_MQTT_TEXT_MAX || publish->payload.n > SK_MQTT_REMAINING_MAX)
        return SK_TOO_LARGE;
    unsigned first =
        (unsigned)(SK_MQTT_PUBLISH << 4 | publish->dup << 3 | publish->qos << 1 | publish->retain);
    char *p = begin(to, first, 2 + publish->topic.n + (publish->qos ? 2 : 0) + publish->payload.n);
    if (p == NULL) return SK_TOO_LARGE;
    p = write_bytes(p, publish->topic);
    if (publish->qos) p = write_u16(p, publish->id);
    if (publish->payload.n) memcpy(p, publish->payload.p, publish->payload.n);
    return SK_OK;
}

enum sk_status sk_mqtt_put_ack(struct sk_buffer *to, enum sk_mqtt_type type, uint16_t id) {
    char *p = begin(to, type << 4 | (type == SK_MQTT_PUBREL ? 2u : 0u), 2);
    if (p == NULL) return SK_TOO_LARGE;
    write_u16(p, id);
    return SK_OK;
}

static enum sk_status put_filters(struct sk_buffer *to, enum sk_mqtt_type type, uint16_t id,
                                  const struct sk_mqtt_subscription *list, size_t count) {
    size_t qos_size = type == SK_MQTT_SUBSCRIBE ? 1 : 0;
    size_t remaining = 2;
    for (size_t i = 0; i < count; i++) {
        if (list[i].filter.n > SK_MQTT_TEXT_MAX) return SK_TOO_LARGE;
        remaining += 2 + list[i].filter.n + qos_size;
    }
    char *p = begin(to, type << 4 | 2u, remaining);
    if (p == NULL) return SK_TOO_LARGE;
    p = write_u16(p, id);
    for (size_t i = 0; i < count; i++) {
        p = write_bytes(p, list[i].filter);
        if (qos_size) *p++ = (char)list[i].qos;
    }
    return SK_OK;
}

enum sk_status sk_mqtt_put_subscribe(struct sk_buffer *to, uint16_t id,
                                     const struct sk_mqtt_subscription *list, size_t count) {
    return put_filters(to, SK_MQTT_SUBSCRIBE, id, list, count);
}

enum sk_status sk_mqtt_put_unsubscribe(struct sk_buffer *to, uint16_t id,
                                       const struct sk_mqtt_subscription *list, size_t count) {
    return put_filters(to, SK_MQTT_UNSUBSCRIBE, id, list, count);
}

enum sk_status sk_mqtt_put_suback(struct sk_buffer *to, uint16_t id, struct sk_span codes) {
    if (codes.n > SK_MQTT_REMAINING_MAX - 2) return SK_TOO_LARGE;
    char *p = begin(to, SK_MQTT_SUBACK << 4, 2 + codes.n);
    if (p == NULL) return SK_TOO_LARGE;
    p = write_u16(p, id);
    if (codes.n) memcpy(p, codes.p, codes.n);
    return SK_OK;
}

enum sk_status sk_mqtt_put_bare(struct sk_buffer *to, enum sk_mqtt_type type) {
    return begin(to, (unsigned)type << 4, 0) ? SK_OK : SK_TOO_LARGE;
}
