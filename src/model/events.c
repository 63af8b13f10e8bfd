#include "model/events.h"

#define LATEST "@latest"

static const struct {
    const char *name;
    enum sk_events_from from;
} names[] = {
    {"amqp.annotation.x-opt-offset", SK_EVENTS_OFFSET},
    {"amqp.annotation.x-opt-sequence-number", SK_EVENTS_NUMBER},
    {"amqp.annotation.x-opt-enqueued-time", SK_EVENTS_TIME},
    /* What az, uAMQP and amqp10 clients call it. */
    {"amqp.annotation.x-opt-enqueuedtimeutc", SK_EVENTS_TIME},
};
enum { NAMES = sizeof names / sizeof *names };

static struct sk_span unquoted(struct sk_span text) {
    bool quoted =
        text.n >= 2 && (text.p[0] == '\'' || text.p[0] == '"') && text.p[text.n - 1] == text.p[0];
    return quoted ? sk_span(text.p + 1, text.n - 2) : text;
}

enum sk_status sk_events_position_parse(struct sk_span selector,
                                        struct sk_events_position *position) {
    *position = (struct sk_events_position){.from = SK_EVENTS_OLDEST};
    selector = sk_span_trim(selector);
    if (selector.n == 0) return SK_OK;
    size_t sign = sk_span_find(selector, '>');
    struct sk_span name = sk_span_trim(sk_span_first(selector, sign));
    struct sk_span value = sk_span_skip(selector, sign + 1);
    size_t i = 0;
    while (i < NAMES && !sk_span_eq_nocase(name, sk_span_z(names[i].name))) i++;
    if (i == NAMES) return SK_MALFORMED;
    position->from = names[i].from;
    position->inclusive = value.n && value.p[0] == '=';
    value = unquoted(sk_span_trim(sk_span_skip(value, position->inclusive)));
    if (position->from == SK_EVENTS_OFFSET && sk_span_is(value, LATEST)) {
        position->from = SK_EVENTS_LATEST;
        return SK_OK;
    }
    if (sk_span_to_int(value, &position->value)) return SK_MALFORMED;
    if (position->from == SK_EVENTS_OFFSET && position->value < 0)
        position->from = SK_EVENTS_OLDEST;
    if (position->from == SK_EVENTS_TIME) {
        if (position->value > INT64_MAX / 1000 || position->value < INT64_MIN / 1000)
            return SK_MALFORMED;
        position->value *= 1000;
    }
    return SK_OK;
}

enum sk_status sk_events_position_read(struct sk_span text, struct sk_events_position *position) {
    *position = (struct sk_events_position){.from = SK_EVENTS_LATEST};
    if (sk_span_is(text, "latest")) return SK_OK;
    position->from = SK_EVENTS_OLDEST;
    if (sk_span_is(text, "earliest")) return SK_OK;
    position->inclusive = true;
    position->from = SK_EVENTS_OFFSET;
    if (sk_span_to_int(text, &position->value) == SK_OK)
        return position->value >= 0 ? SK_OK : SK_MALFORMED;
    position->from = SK_EVENTS_TIME;
    return sk_time_parse(text, &position->value);
}

void sk_events_position_format(struct sk_buffer *to, const struct sk_events_position *position) {
    const char *sign = position->inclusive ? ">=" : ">";
    switch (position->from) {
    case SK_EVENTS_OLDEST: sk_buffer_print(to, "%s > '-1'", names[0].name); break;
    case SK_EVENTS_LATEST: sk_buffer_print(to, "%s > '" LATEST "'", names[0].name); break;
    case SK_EVENTS_OFFSET:
    case SK_EVENTS_NUMBER:
    case SK_EVENTS_TIME:
        sk_buffer_print(to, "%s %s '%lld'", names[position->from - SK_EVENTS_OFFSET].name, sign,
                        (long long)(position->from == SK_EVENTS_TIME ? position->value / 1000
                                                                     : position->value));
        break;
    }
}
