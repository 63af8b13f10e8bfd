/* What the AMQP files share. Inside src/wire only. */
#ifndef SK_WIRE_AMQP_PARTS_H
#define SK_WIRE_AMQP_PARTS_H

#include <proton/codec.h>

#include "wire/amqp_message.h"

/* The map that the cursor stands on (null: empty). SK_MALFORMED, SK_TOO_LARGE. */
enum sk_status sk_amqp_read_map(pn_data_t *data, struct sk_arena *arena, unsigned depth,
                                const struct sk_amqp_field **fields, size_t *count);
void sk_amqp_put_map(pn_data_t *data, const struct sk_amqp_field *fields, size_t count,
                     bool symbols);

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
