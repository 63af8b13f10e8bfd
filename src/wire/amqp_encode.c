/* Values and messages into bytes (1.6, 3.2), written where they go: no tree of values is built
 * first. */
#include "wire/amqp_parts.h"

/* Constructors: what stands before a value's bytes. */
enum {
    C_NULL = 0x40,
    C_TRUE = 0x41,
    C_FALSE = 0x42,
    C_UINT_0 = 0x43,
    C_ULONG_0 = 0x44,
    C_LIST_0 = 0x45,
    C_UBYTE = 0x50,
    C_UINT_SMALL = 0x52,
    C_ULONG_SMALL = 0x53,
    C_INT_SMALL = 0x54,
    C_LONG_SMALL = 0x55,
    C_USHORT = 0x60,
    C_UINT = 0x70,
    C_INT = 0x71,
    C_ULONG = 0x80,
    C_LONG = 0x81,
    C_DOUBLE = 0x82,
    C_TIMESTAMP = 0x83,
    C_UUID = 0x98,
    C_BINARY_8 = 0xa0, /* with 0x10 more: a length of four bytes */
    C_STRING_8 = 0xa1,
    C_SYMBOL_8 = 0xa3,
    C_LENGTH_32 = 0x10,
    C_STRING_32 = 0xb1,
    C_LIST_32 = 0xd0,
    C_MAP_32 = 0xd1,
    C_ARRAY_32 = 0xf0
};

static void put_byte(struct sk_buffer *to, unsigned byte) {
    sk_buffer_byte(to, (char)byte);
}

static char *write_be(char *p, uint64_t value, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) p[i] = (char)(value >> (8 * (bytes - 1 - i)));
    return p + bytes;
}

static void put_number(struct sk_buffer *to, unsigned constructor, uint64_t value, unsigned bytes) {
    char *p = sk_buffer_reserve(to, 1 + bytes);
    *p = (char)constructor;
    write_be(p + 1, value, bytes);
    to->n += 1 + bytes;
}

static void put_unsigned(struct sk_buffer *to, uint64_t value, unsigned zero, unsigned small,
                         unsigned full, unsigned bytes) {
    if (value == 0)
        put_byte(to, zero);
    else if (value < 256)
        put_number(to, small, value, 1);
    else
        put_number(to, full, value, bytes);
}

static void put_signed(struct sk_buffer *to, int64_t value, unsigned small, unsigned full,
                       unsigned bytes) {
    if (value >= -128 && value < 128)
        put_number(to, small, (uint64_t)value, 1);
    else
        put_number(to, full, (uint64_t)value, bytes);
}

/* Strings, symbols, binaries. */
static void put_bytes(struct sk_buffer *to, unsigned constructor, struct sk_span text) {
    bool small = text.n < 256;
    char *p = sk_buffer_reserve(to, 5 + text.n);
    *p = (char)(constructor + (small ? 0 : C_LENGTH_32));
    p = write_be(p + 1, text.n, small ? 1 : 4);
    if (text.n) memcpy(p, text.p, text.n);
    to->n += (small ? 2 : 5) + text.n;
}

/* A list, map or array: its size is known when it ends. */
static size_t begin(struct sk_buffer *to, unsigned constructor, size_t count) {
    char *p = sk_buffer_reserve(to, 9);
    *p = (char)constructor;
    write_be(write_be(p + 1, 0, 4), count, 4);
    to->n += 9;
    return to->n;
}

static void end(struct sk_buffer *to, size_t began) {
    size_t size = to->n - began + 4; /* the count is part of it */
    write_be(to->p + began - 8, size, 4);
}

static void put_strings(struct sk_buffer *to, const struct sk_amqp_value *value) {
    size_t began = begin(to, C_ARRAY_32, value->count);
    put_byte(to, C_STRING_32);
    for (size_t i = 0; i < value->count; i++) {
        char length[4];
        write_be(length, value->texts[i].n, 4);
        sk_buffer_append(to, sk_span(length, sizeof length));
        sk_buffer_append(to, value->texts[i]);
    }
    end(to, began);
}

static void put_value(struct sk_buffer *to, const struct sk_amqp_value *value) {
    union {
        double d;
        uint64_t bits;
    } number;
    switch (value->type) {
    case SK_AMQP_BOOL: put_byte(to, value->i ? C_TRUE : C_FALSE); break;
    case SK_AMQP_UBYTE: put_number(to, C_UBYTE, value->u, 1); break;
    case SK_AMQP_INT: put_signed(to, value->i, C_INT_SMALL, C_INT, 4); break;
    case SK_AMQP_UINT: put_unsigned(to, value->u, C_UINT_0, C_UINT_SMALL, C_UINT, 4); break;
    case SK_AMQP_LONG: put_signed(to, value->i, C_LONG_SMALL, C_LONG, 8); break;
    case SK_AMQP_ULONG: put_unsigned(to, value->u, C_ULONG_0, C_ULONG_SMALL, C_ULONG, 8); break;
    case SK_AMQP_DOUBLE:
        number.d = value->d;
        put_number(to, C_DOUBLE, number.bits, 8);
        break;
    case SK_AMQP_TIMESTAMP: put_number(to, C_TIMESTAMP, (uint64_t)value->i, 8); break;
    case SK_AMQP_STRING: put_bytes(to, C_STRING_8, value->text); break;
    case SK_AMQP_SYMBOL: put_bytes(to, C_SYMBOL_8, value->text); break;
    case SK_AMQP_BINARY: put_bytes(to, C_BINARY_8, value->text); break;
    case SK_AMQP_UUID:
        put_byte(to, C_UUID);
        sk_buffer_append(to, sk_span_first(value->text, 16));
        break;
    case SK_AMQP_MAP: amqp_encode_map(to, value->fields, value->count, false); break;
    case SK_AMQP_STRINGS: put_strings(to, value); break;
    case SK_AMQP_ENCODED: sk_buffer_append(to, value->text); break;
    case SK_AMQP_NULL:
    case SK_AMQP_OTHER: put_byte(to, C_NULL); break;
    }
}

void amqp_encode_map(struct sk_buffer *to, const struct sk_amqp_field *fields, size_t count,
                     bool symbols) {
    size_t began = begin(to, C_MAP_32, 2 * count);
    for (size_t i = 0; i < count; i++) {
        put_bytes(to, symbols ? C_SYMBOL_8 : C_STRING_8, fields[i].name);
        put_value(to, &fields[i].value);
    }
    end(to, began);
}

/* ---- what frames are made of ---- */

void amqp_put_null(struct sk_buffer *to) {
    put_byte(to, C_NULL);
}

void amqp_put_bool(struct sk_buffer *to, bool value) {
    put_byte(to, value ? C_TRUE : C_FALSE);
}

void amqp_put_ubyte(struct sk_buffer *to, uint8_t value) {
    put_number(to, C_UBYTE, value, 1);
}

void amqp_put_ushort(struct sk_buffer *to, uint16_t value) {
    put_number(to, C_USHORT, value, 2);
}

void amqp_put_uint(struct sk_buffer *to, uint32_t value) {
    put_unsigned(to, value, C_UINT_0, C_UINT_SMALL, C_UINT, 4);
}

void amqp_put_ulong(struct sk_buffer *to, uint64_t value) {
    put_unsigned(to, value, C_ULONG_0, C_ULONG_SMALL, C_ULONG, 8);
}

void amqp_put_string(struct sk_buffer *to, struct sk_span text) {
    put_bytes(to, C_STRING_8, text);
}

void amqp_put_symbol(struct sk_buffer *to, struct sk_span text) {
    put_bytes(to, C_SYMBOL_8, text);
}

void amqp_put_binary(struct sk_buffer *to, struct sk_span bytes) {
    put_bytes(to, C_BINARY_8, bytes);
}

void amqp_put_symbols(struct sk_buffer *to, const char *const *names, size_t count) {
    size_t began = begin(to, C_ARRAY_32, count);
    put_byte(to, C_SYMBOL_8);
    for (size_t i = 0; i < count; i++) {
        struct sk_span name = sk_span_z(names[i]);
        put_byte(to, (unsigned)name.n);
        sk_buffer_append(to, name);
    }
    end(to, began);
}

void amqp_put_descriptor(struct sk_buffer *to, uint64_t code) {
    put_byte(to, 0);
    amqp_put_ulong(to, code);
}

size_t amqp_begin_list(struct sk_buffer *to, size_t count) {
    return begin(to, C_LIST_32, count);
}

void amqp_end_list(struct sk_buffer *to, size_t began) {
    end(to, began);
}

/* ---- sections ---- */

static void put_section(struct sk_buffer *to, enum sk_amqp_section section,
                        const struct sk_amqp_field *fields, size_t count) {
    if (count == 0) return;
    amqp_put_descriptor(to, section);
    amqp_encode_map(to, fields, count, section != SK_AMQP_APPLICATION);
}

static void put_optional(struct sk_buffer *to, unsigned constructor, struct sk_span text) {
    if (text.n)
        put_bytes(to, constructor, text);
    else
        put_byte(to, C_NULL);
}

static void put_time(struct sk_buffer *to, int64_t ms) {
    if (ms)
        put_number(to, C_TIMESTAMP, (uint64_t)ms, 8);
    else
        put_byte(to, C_NULL);
}

static void put_properties(struct sk_buffer *to, const struct sk_amqp_message *m) {
    bool any = m->message_id.type || m->correlation_id.type || m->user_id.n || m->to.n ||
               m->subject.n || m->reply_to.n || m->content_type.n || m->content_encoding.n ||
               m->expiry_ms || m->creation_ms;
    if (!any) return;
    amqp_put_descriptor(to, SK_AMQP_PROPERTIES);
    size_t began = begin(to, C_LIST_32, 10);
    put_value(to, &m->message_id);
    put_optional(to, C_BINARY_8, m->user_id);
    put_optional(to, C_STRING_8, m->to);
    put_optional(to, C_STRING_8, m->subject);
    put_optional(to, C_STRING_8, m->reply_to);
    put_value(to, &m->correlation_id);
    put_optional(to, C_SYMBOL_8, m->content_type);
    put_optional(to, C_SYMBOL_8, m->content_encoding);
    put_time(to, m->expiry_ms);
    put_time(to, m->creation_ms);
    end(to, began);
}

void sk_amqp_encode_delivery_annotations(struct sk_buffer *to, const struct sk_amqp_field *fields,
                                         size_t count) {
    put_section(to, SK_AMQP_DELIVERY_ANNOTATIONS, fields, count);
}

void sk_amqp_encode(struct sk_buffer *to, const struct sk_amqp_message *m) {
    sk_amqp_encode_delivery_annotations(to, m->delivery_annotations, m->delivery_annotation_count);
    put_section(to, SK_AMQP_ANNOTATIONS, m->annotations, m->annotation_count);
    put_properties(to, m);
    put_section(to, SK_AMQP_APPLICATION, m->application, m->application_count);
    for (size_t i = 0; i < m->data_count; i++) {
        amqp_put_descriptor(to, SK_AMQP_DATA);
        put_bytes(to, C_BINARY_8, m->data[i]);
    }
    if (m->data_count) return;
    amqp_put_descriptor(to, SK_AMQP_BODY_VALUE);
    put_value(to, &m->value);
}
