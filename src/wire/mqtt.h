/* MQTT 3.1.1 (OASIS, 29 October 2014): the codec for both directions.
 *
 * Stateless and without copies: decoding yields spans into the input, encoding appends to a buffer.
 * What the specification forbids on the wire is SK_MALFORMED here; what it leaves to the server
 * (unknown protocol level, QoS 2, session rules) is decoded and left to the caller. One deliberate
 * exception: '+' and '#' in PUBLISH topics and their placing in filters are not checked, only
 * reported (sk_mqtt_topic_valid, sk_mqtt_filter_valid), because Azure device ids may contain both
 * characters and SDKs write them into topics verbatim. */
#ifndef SK_WIRE_MQTT_H
#define SK_WIRE_MQTT_H

#include "base/base.h"

enum sk_mqtt_type {
    SK_MQTT_CONNECT = 1,
    SK_MQTT_CONNACK,
    SK_MQTT_PUBLISH,
    SK_MQTT_PUBACK,
    SK_MQTT_PUBREC,
    SK_MQTT_PUBREL,
    SK_MQTT_PUBCOMP,
    SK_MQTT_SUBSCRIBE,
    SK_MQTT_SUBACK,
    SK_MQTT_UNSUBSCRIBE,
    SK_MQTT_UNSUBACK,
    SK_MQTT_PINGREQ,
    SK_MQTT_PINGRESP,
    SK_MQTT_DISCONNECT,
};

/* CONNACK return codes (table 3.1). */
enum sk_mqtt_code {
    SK_MQTT_ACCEPTED = 0,
    SK_MQTT_BAD_PROTOCOL = 1,
    SK_MQTT_BAD_CLIENT_ID = 2,
    SK_MQTT_UNAVAILABLE = 3,
    SK_MQTT_BAD_CREDENTIALS = 4,
    SK_MQTT_NOT_AUTHORIZED = 5,
};

#define SK_MQTT_SUBACK_FAILURE 0x80
#define SK_MQTT_TEXT_MAX 65535          /* bytes of a topic, user name, will payload, … */
#define SK_MQTT_REMAINING_MAX 268435455 /* bytes after the fixed header */

struct sk_mqtt_connect {
    struct sk_span protocol; /* "MQTT" */
    /* 4; with another name or level nothing after this field is decoded: answer CONNACK 1 */
    uint8_t level;
    bool clean_session;
    bool has_will, has_user, has_password;
    bool will_retain;
    uint8_t will_qos; /* 0 … 2 */
    uint16_t keep_alive_s;
    struct sk_span client_id; /* may be empty */
    struct sk_span will_topic, will_payload;
    struct sk_span user, password;
};
static inline bool sk_mqtt_connect_supported(const struct sk_mqtt_connect *connect) {
    return connect->level == 4 && sk_span_eq(connect->protocol, SK_SPAN("MQTT"));
}

struct sk_mqtt_publish {
    bool dup, retain;
    uint8_t qos; /* 0 … 2 */
    uint16_t id; /* 0 when qos is 0 */
    struct sk_span topic;
    struct sk_span payload;
};

struct sk_mqtt_subscription {
    struct sk_span filter;
    uint8_t qos; /* SUBSCRIBE only */
};

struct sk_mqtt_packet {
    enum sk_mqtt_type type;
    union {
        struct sk_mqtt_connect connect;
        struct {
            bool session_present;
            uint8_t code;
        } connack;
        struct sk_mqtt_publish publish;
        uint16_t id; /* PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK */
        struct {
            uint16_t id;
            struct sk_span filters; /* at least one; walk with sk_mqtt_next_filter */
        } subscribe;                /* SUBSCRIBE and UNSUBSCRIBE */
        struct {
            uint16_t id;
            struct sk_span codes; /* a byte each: 0, 1, 2 or SK_MQTT_SUBACK_FAILURE */
        } suback;
    } u;
};

/* Decodes the packet at the start of `bytes`; the packet's spans point into them.
 *
 * size_max  largest remaining length taken (bytes after the fixed header)
 * used      SK_OK: bytes of the packet. SK_AGAIN: bytes that the whole packet takes, or 0 while
 *           that is not known
 * returns   SK_OK, SK_AGAIN: more bytes needed, SK_MALFORMED, SK_TOO_LARGE: known from the fixed
 *           header alone */
enum sk_status sk_mqtt_decode(struct sk_span bytes, size_t size_max, struct sk_mqtt_packet *packet,
                              size_t *used);

/* Takes the next filter of a decoded SUBSCRIBE or UNSUBSCRIBE from `*filters`; false at the end. */
bool sk_mqtt_next_filter(enum sk_mqtt_type type, struct sk_span *filters,
                         struct sk_mqtt_subscription *subscription);

/* Encoders. SK_TOO_LARGE: over the buffer's limit, or a part is longer than the protocol can say;
 * then nothing was appended. Their input is our own: qos ≤ 2, ids ≠ 0 where the protocol wants one,
 * texts are UTF-8. */
enum sk_status
sk_mqtt_put_connect(struct sk_buffer *to,
                    const struct sk_mqtt_connect *connect); /* always "MQTT", level 4 */
enum sk_status sk_mqtt_put_connack(struct sk_buffer *to, bool session_present, uint8_t code);
enum sk_status sk_mqtt_put_publish(struct sk_buffer *to, const struct sk_mqtt_publish *publish);
enum sk_status sk_mqtt_put_ack(struct sk_buffer *to, enum sk_mqtt_type type,
                               uint16_t id); /* PUBACK … PUBCOMP, UNSUBACK */
enum sk_status sk_mqtt_put_subscribe(struct sk_buffer *to, uint16_t id,
                                     const struct sk_mqtt_subscription *list, size_t count);
enum sk_status sk_mqtt_put_unsubscribe(struct sk_buffer *to, uint16_t id,
                                       const struct sk_mqtt_subscription *list, size_t count);
enum sk_status sk_mqtt_put_suback(struct sk_buffer *to, uint16_t id, struct sk_span codes);
enum sk_status sk_mqtt_put_bare(struct sk_buffer *to,
                                enum sk_mqtt_type type); /* PINGREQ, PINGRESP, DISCONNECT */

/* A topic name without wildcards, not empty. */
bool sk_mqtt_topic_valid(struct sk_span topic);
/* A filter whose '+' fill a level and whose '#' is the last level (4.7.1), not empty. */
bool sk_mqtt_filter_valid(struct sk_span filter);
/* Whether a valid filter covers a topic (4.7); wildcards at the start do not cover topics that
 * begin with '$' (4.7.2). */
bool sk_mqtt_filter_covers(struct sk_span filter, struct sk_span topic);

/* UTF-8 as MQTT wants it (1.5.3): shortest form, no surrogates, no U+0000. */
bool sk_mqtt_utf8_valid(struct sk_span text);

#endif
