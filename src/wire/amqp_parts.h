/* What the AMQP files share. Inside src/wire only. */
#ifndef SK_WIRE_AMQP_PARTS_H
#define SK_WIRE_AMQP_PARTS_H

#include <proton/codec.h>

#include "wire/amqp_message.h"

/* The map that the cursor stands on (null: empty). SK_MALFORMED, SK_TOO_LARGE. */
enum sk_status sk_amqp_read_map(pn_data_t *data, struct sk_arena *arena, unsigned depth,
                                const struct sk_amqp_field **fields, size_t *count);
void sk_amqp_encode_map(struct sk_buffer *to, const struct sk_amqp_field *fields, size_t count,
                        bool symbols);

/* Codes of a message's sections. */
enum sk_amqp_section {
    SK_AMQP_HEADER = 0x70,
    SK_AMQP_DELIVERY_ANNOTATIONS = 0x71,
    SK_AMQP_ANNOTATIONS = 0x72,
    SK_AMQP_PROPERTIES = 0x73,
    SK_AMQP_APPLICATION = 0x74,
    SK_AMQP_DATA = 0x75,
    SK_AMQP_SEQUENCE = 0x76,
    SK_AMQP_BODY_VALUE = 0x77,
    SK_AMQP_FOOTER = 0x78,
};

/* ---- amqp_sieve.c: input, without what comes on channels that have ended ---- */

struct sk_amqp_sieve {
    unsigned char head[18]; /* of a frame, put together from several reads */
    size_t have;
    size_t left; /* of the frame at hand; SIZE_MAX: whatever comes */
    bool dropping;
    unsigned char *ended; /* a bit a channel; NULL: none has */
};
/* Takes from `*bytes`; returns the next run for the engine, which lives as long as they and until the
 * next call; empty: there is nothing more. Free `ended` at the end. */
struct sk_span sk_amqp_sieve_next(struct sk_amqp_sieve *sieve, struct sk_span *bytes);

static inline pn_bytes_t sk_amqp_bytes(struct sk_span text) {
    return pn_bytes(text.n, text.p ? text.p : "");
}

#endif
