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

static inline pn_bytes_t sk_amqp_bytes(struct sk_span text) {
    return pn_bytes(text.n, text.p ? text.p : "");
}

#endif
