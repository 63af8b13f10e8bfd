/* Whatever decodes must encode to a packet that decodes to the same; and a packet in pieces is
 * never anything but incomplete. */
#include <stdlib.h>

#include "wire/mqtt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

static bool same_text(struct sk_span a, struct sk_span b) {
    return sk_span_eq(a, b);
}

static enum sk_status encode_filters(struct sk_buffer *to, const struct sk_mqtt_packet *packet) {
    struct sk_mqtt_subscription list[200];
    struct sk_span filters = packet->u.subscribe.filters;
    size_t count = 0;
    while (count < 200 && sk_mqtt_next_filter(packet->type, &filters, &list[count])) {
        (void)sk_mqtt_filter_valid(list[count].filter);
        (void)sk_mqtt_filter_covers(list[count].filter, list[0].filter);
        count++;
    }
    if (filters.n) return SK_TOO_LARGE;
    return packet->type == SK_MQTT_SUBSCRIBE
               ? sk_mqtt_put_subscribe(to, packet->u.subscribe.id, list, count)
               : sk_mqtt_put_unsubscribe(to, packet->u.subscribe.id, list, count);
}

static enum sk_status encode(struct sk_buffer *to, const struct sk_mqtt_packet *packet) {
    switch (packet->type) {
    case SK_MQTT_CONNECT:
        return sk_mqtt_connect_supported(&packet->u.connect)
                   ? sk_mqtt_put_connect(to, &packet->u.connect)
                   : SK_UNSUPPORTED;
    case SK_MQTT_CONNACK:
        return sk_mqtt_put_connack(to, packet->u.connack.session_present, packet->u.connack.code);
    case SK_MQTT_PUBLISH: return sk_mqtt_put_publish(to, &packet->u.publish);
    case SK_MQTT_SUBSCRIBE:
    case SK_MQTT_UNSUBSCRIBE: return encode_filters(to, packet);
    case SK_MQTT_SUBACK: return sk_mqtt_put_suback(to, packet->u.suback.id, packet->u.suback.codes);
    case SK_MQTT_PINGREQ:
    case SK_MQTT_PINGRESP:
    case SK_MQTT_DISCONNECT: return sk_mqtt_put_bare(to, packet->type);
    default: return sk_mqtt_put_ack(to, packet->type, packet->u.id);
    }
}

static void compare(const struct sk_mqtt_packet *a, const struct sk_mqtt_packet *b) {
    CHECK(a->type == b->type);
    if (a->type == SK_MQTT_PUBLISH) {
        const struct sk_mqtt_publish *p = &a->u.publish, *q = &b->u.publish;
        CHECK(p->dup == q->dup && p->retain == q->retain && p->qos == q->qos && p->id == q->id);
        CHECK(same_text(p->topic, q->topic) && same_text(p->payload, q->payload));
    } else if (a->type == SK_MQTT_CONNECT) {
        const struct sk_mqtt_connect *p = &a->u.connect, *q = &b->u.connect;
        CHECK(p->clean_session == q->clean_session && p->has_will == q->has_will &&
              p->has_user == q->has_user);
        CHECK(p->has_password == q->has_password && p->will_retain == q->will_retain &&
              p->will_qos == q->will_qos);
        CHECK(p->keep_alive_s == q->keep_alive_s && same_text(p->client_id, q->client_id) &&
              same_text(p->user, q->user));
        CHECK(same_text(p->will_topic, q->will_topic) &&
              same_text(p->will_payload, q->will_payload));
        CHECK(same_text(p->password, q->password));
    } else if (a->type == SK_MQTT_SUBSCRIBE || a->type == SK_MQTT_UNSUBSCRIBE) {
        CHECK(a->u.subscribe.id == b->u.subscribe.id &&
              same_text(a->u.subscribe.filters, b->u.subscribe.filters));
    } else if (a->type == SK_MQTT_SUBACK) {
        CHECK(a->u.suback.id == b->u.suback.id && same_text(a->u.suback.codes, b->u.suback.codes));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_mqtt_packet packet, again;
    size_t used, used_again;
    enum sk_status status = sk_mqtt_decode(sk_span(data, size), 4096, &packet, &used);
    if (status) return 0;
    CHECK(used <= size && used >= 2);
    for (size_t n = 0; n < used && n < 40; n++)
        CHECK(sk_mqtt_decode(sk_span(data, n), 4096, &again, &used_again) == SK_AGAIN);

    struct sk_buffer wire = {0};
    if (encode(&wire, &packet) == SK_OK) {
        CHECK(sk_mqtt_decode(sk_buffer_span(&wire), 4096, &again, &used_again) == SK_OK);
        CHECK(used_again == wire.n &&
              wire.n <=
                  /* shorter when the remaining length was written with more bytes than needed */
                  used);
        compare(&packet, &again);
    }
    sk_buffer_free(&wire);
    return 0;
}
