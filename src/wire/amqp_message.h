/* AMQP values and messages: between the bytes of a transfer and plain structs. */
#ifndef SK_WIRE_AMQP_MESSAGE_H
#define SK_WIRE_AMQP_MESSAGE_H

#include "base/base.h"

/* The types that occur. Decoding widens: every signed integer is a LONG, every unsigned one a
 * ULONG, float is a DOUBLE. Encoding writes exactly the type. */
enum sk_amqp_type {
    SK_AMQP_NULL,
    SK_AMQP_BOOL,
    SK_AMQP_UBYTE,
    SK_AMQP_INT,
    SK_AMQP_UINT,
    SK_AMQP_LONG,
    SK_AMQP_ULONG,
    SK_AMQP_DOUBLE,
    SK_AMQP_TIMESTAMP, /* ms since 1970 */
    SK_AMQP_STRING,
    SK_AMQP_SYMBOL,
    SK_AMQP_BINARY,
    SK_AMQP_UUID,    /* `text`: its 16 bytes */
    SK_AMQP_MAP,     /* `fields` */
    SK_AMQP_STRINGS, /* `texts`: an array of strings; encoding only */
    SK_AMQP_ENCODED, /* `text`: a value in its bytes; encoding only */
    SK_AMQP_OTHER,   /* something that we have no use for */
};

struct sk_amqp_field;
struct sk_amqp_value {
    enum sk_amqp_type type;
    size_t count; /* of `fields` or `texts` */
    union {
        int64_t i; /* BOOL, INT, LONG, TIMESTAMP */
        uint64_t u;
        double d;
        struct sk_span text;
        const struct sk_amqp_field *fields;
        const struct sk_span *texts;
    };
};
struct sk_amqp_field {
    struct sk_span name; /* a string or a symbol */
    struct sk_amqp_value value;
};

#define SK_AMQP_VALUE_STRING(span) ((struct sk_amqp_value){SK_AMQP_STRING, .text = (span)})
#define SK_AMQP_VALUE_SYMBOL(span) ((struct sk_amqp_value){SK_AMQP_SYMBOL, .text = (span)})
#define SK_AMQP_VALUE_INT(n) ((struct sk_amqp_value){SK_AMQP_INT, .i = (n)})
#define SK_AMQP_VALUE_LONG(n) ((struct sk_amqp_value){SK_AMQP_LONG, .i = (n)})
#define SK_AMQP_VALUE_TIMESTAMP(ms) ((struct sk_amqp_value){SK_AMQP_TIMESTAMP, .i = (ms)})
#define SK_AMQP_VALUE_BOOL(b) ((struct sk_amqp_value){SK_AMQP_BOOL, .i = (b)})

/* The sections of a message. */
struct sk_amqp_message {
    /* properties */
    struct sk_amqp_value message_id, correlation_id;
    struct sk_span user_id, to, subject, reply_to, content_type, content_encoding;
    int64_t expiry_ms, creation_ms; /* 0: none */
    const struct sk_amqp_field *delivery_annotations, *annotations, *application;
    size_t delivery_annotation_count, annotation_count, application_count;
    /* body: data sections, or one value */
    const struct sk_span *data;
    size_t data_count;
    struct sk_amqp_value value;
};

#define SK_AMQP_FIELDS_MAX 1024 /* of one map */

/* Texts and data sections point into `bytes`; maps and lists are in the arena. SK_MALFORMED;
 * SK_TOO_LARGE: more than SK_AMQP_FIELDS_MAX fields. */
enum sk_status sk_amqp_decode(struct sk_span bytes, struct sk_arena *arena,
                              struct sk_amqp_message *message);
/* The message-format of a batch, as Microsoft's clients make it: nothing but data sections, each
 * of them a whole encoded message. */
#define SK_AMQP_FORMAT_BATCH 0x80013700u
/* Appends; `to` has no limit. */
void sk_amqp_encode(struct sk_buffer *to, const struct sk_amqp_message *message);
/* The section of delivery annotations alone, which may be put before many messages. */
void sk_amqp_encode_delivery_annotations(struct sk_buffer *to, const struct sk_amqp_field *fields,
                                         size_t count);

/* NULL: there is none. */
const struct sk_amqp_value *sk_amqp_find(const struct sk_amqp_field *fields, size_t count,
                                         const char *name);
/* A value as text: strings, symbols and binaries as they are, a UUID in its 36 characters of lower
 * case, numbers and booleans in theirs; empty for what has no text. */
struct sk_span sk_amqp_text(const struct sk_amqp_value *value, struct sk_arena *arena);

#endif
