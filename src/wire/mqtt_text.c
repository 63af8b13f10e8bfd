/* MQTT's texts: UTF-8, topic names and topic filters. */
#include "wire/mqtt.h"

/* Bytes of the sequence that starts at p, or 0 when it is not well-formed (Unicode 15, table 3-7)
 * or is U+0000. */
static size_t utf8_sequence(const unsigned char *p, size_t n) {
    if (p[0] < 0x80) return p[0] != 0;
    if (p[0] < 0xc2 || p[0] > 0xf4) return 0;
    size_t size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (n < size) return 0;
    unsigned
        low = 0x80,
        high =
            0xbf; /* bounds of the second byte keep out overlong forms, surrogates and > U+10FFFF */
    if (p[0] == 0xe0) low = 0xa0;
    if (p[0] == 0xed) high = 0x9f;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;
    if (p[1] < low || p[1] > high) return 0;
    for (size_t i = 2; i < size; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    return size;
}

bool sk_mqtt_utf8_valid(struct sk_span text) {
    const unsigned char *p = (const unsigned char *)text.p;
    size_t i = 0;
    while (i < text.n) {
        if (text.n - i >=
            8) { /* eight ASCII characters at once: topics hardly ever hold anything else */
            uint64_t word;
            memcpy(&word, p + i, 8);
            if ((((word - 0x0101010101010101) | word) & 0x8080808080808080) == 0) {
                i += 8;
                continue;
            }
        }
        size_t size = utf8_sequence(p + i, text.n - i);
        if (size == 0) return false;
        i += size;
    }
    return true;
}

bool sk_mqtt_topic_valid(struct sk_span topic) {
    return topic.n > 0 && sk_span_find(topic, '+') == topic.n &&
           sk_span_find(topic, '#') == topic.n;
}

bool sk_mqtt_filter_valid(struct sk_span filter) {
    if (filter.n == 0) return false;
    struct sk_span level;
    while (sk_span_split(&filter, '/', &level)) {
        if (level.n == 1 && level.p[0] == '#')
            return filter.p == NULL; /* 4.7.1-2: the last level */
        if (level.n == 1 && level.p[0] == '+') continue;
        if (level.n && !sk_mqtt_topic_valid(level))
            return false; /* 4.7.1-3: wildcards stand alone */
    }
    return true;
}

bool sk_mqtt_filter_covers(struct sk_span filter, struct sk_span topic) {
    if (filter.n == 0 || topic.n == 0) return false;
    if (topic.p[0] == '$' && (filter.p[0] == '+' || filter.p[0] == '#')) return false;
    struct sk_span wanted, level;
    while (sk_span_split(&filter, '/', &wanted)) {
        if (wanted.n == 1 && wanted.p[0] == '#')
            return true; /* "a/#" covers "a" too: topic may be used up here */
        if (!sk_span_split(&topic, '/', &level)) return false;
        if (wanted.n == 1 && wanted.p[0] == '+') continue;
        if (!sk_span_eq(wanted, level)) return false;
    }
    return topic.p == NULL;
}
