/* Messages (specification, part 3, section 2): sections one after the other, each a described
 * value. proton's codec reads them; only data sections are taken in place, so that bodies are not
 * copied. Writing: amqp_encode.c. */
#include "wire/amqp_parts.h"

struct sk_amqp_codec {
    pn_data_t *data;
};

struct sk_amqp_codec *sk_amqp_codec_new(void) {
    struct sk_amqp_codec *codec = SK_NEW(struct sk_amqp_codec);
    codec->data = pn_data(16);
    return codec;
}

void sk_amqp_codec_free(struct sk_amqp_codec *codec) {
    pn_data_free(codec->data);
    free(codec);
}

/* ---- decoding ---- */

static struct sk_span copy(struct sk_arena *arena, pn_bytes_t bytes) {
    return sk_arena_copy(arena, sk_span(bytes.start, bytes.size));
}

/* The value that the cursor stands on. */
static enum sk_status read_value(pn_data_t *data, struct sk_arena *arena, unsigned depth,
                                 struct sk_amqp_value *value) {
    enum { DEPTH_MAX = 4 };
    *value = (struct sk_amqp_value){.type = SK_AMQP_OTHER};
    switch (pn_data_type(data)) {
    case PN_NULL: value->type = SK_AMQP_NULL; break;
    case PN_BOOL:
        value->type = SK_AMQP_BOOL;
        value->i = pn_data_get_bool(data);
        break;
    case PN_BYTE: *value = SK_AMQP_VALUE_LONG(pn_data_get_byte(data)); break;
    case PN_SHORT: *value = SK_AMQP_VALUE_LONG(pn_data_get_short(data)); break;
    case PN_INT: *value = SK_AMQP_VALUE_LONG(pn_data_get_int(data)); break;
    case PN_LONG: *value = SK_AMQP_VALUE_LONG(pn_data_get_long(data)); break;
    case PN_UBYTE:
        *value = (struct sk_amqp_value){SK_AMQP_ULONG, .u = pn_data_get_ubyte(data)};
        break;
    case PN_USHORT:
        *value = (struct sk_amqp_value){SK_AMQP_ULONG, .u = pn_data_get_ushort(data)};
        break;
    case PN_UINT:
        *value = (struct sk_amqp_value){SK_AMQP_ULONG, .u = pn_data_get_uint(data)};
        break;
    case PN_ULONG:
        *value = (struct sk_amqp_value){SK_AMQP_ULONG, .u = pn_data_get_ulong(data)};
        break;
    case PN_FLOAT:
        *value = (struct sk_amqp_value){SK_AMQP_DOUBLE, .d = (double)pn_data_get_float(data)};
        break;
    case PN_DOUBLE:
        *value = (struct sk_amqp_value){SK_AMQP_DOUBLE, .d = pn_data_get_double(data)};
        break;
    case PN_TIMESTAMP: *value = SK_AMQP_VALUE_TIMESTAMP(pn_data_get_timestamp(data)); break;
    case PN_STRING: *value = SK_AMQP_VALUE_STRING(copy(arena, pn_data_get_string(data))); break;
    case PN_SYMBOL: *value = SK_AMQP_VALUE_SYMBOL(copy(arena, pn_data_get_symbol(data))); break;
    case PN_BINARY:
        value->type = SK_AMQP_BINARY;
        value->text = copy(arena, pn_data_get_binary(data));
        break;
    case PN_UUID: {
        pn_uuid_t uuid = pn_data_get_uuid(data);
        value->type = SK_AMQP_UUID;
        value->text = sk_arena_copy(arena, sk_span(uuid.bytes, sizeof uuid.bytes));
        break;
    }
    case PN_MAP: {
        if (depth == DEPTH_MAX) return SK_MALFORMED;
        const struct sk_amqp_field *fields;
        enum sk_status status = sk_amqp_read_map(data, arena, depth + 1, &fields, &value->count);
        value->type = SK_AMQP_MAP;
        value->fields = fields;
        return status;
    }
    case PN_DESCRIBED: { /* filters: what they describe is what counts */
        if (depth == DEPTH_MAX) return SK_MALFORMED;
        enum sk_status status = SK_MALFORMED;
        pn_data_enter(data);
        if (pn_data_next(data) && pn_data_next(data))
            status = read_value(data, arena, depth + 1, value);
        pn_data_exit(data);
        return status;
    }
    default: break;
    }
    return SK_OK;
}

enum sk_status sk_amqp_read_map(pn_data_t *data, struct sk_arena *arena, unsigned depth,
                                const struct sk_amqp_field **fields, size_t *count) {
    *fields = NULL;
    *count = 0;
    if (pn_data_type(data) == PN_NULL) return SK_OK;
    if (pn_data_type(data) != PN_MAP) return SK_MALFORMED;
    size_t n = pn_data_get_map(data) / 2;
    if (n > SK_AMQP_FIELDS_MAX) return SK_TOO_LARGE;
    struct sk_amqp_field *array = n ? sk_arena_alloc(arena, n * sizeof *array) : NULL;
    enum sk_status status = SK_OK;
    pn_data_enter(data);
    for (size_t i = 0; i < n && !status; i++) {
        struct sk_amqp_value key;
        if (!pn_data_next(data) || read_value(data, arena, depth, &key) || !pn_data_next(data)) {
            status = SK_MALFORMED;
            break;
        }
        struct sk_amqp_field *field = &array[*count];
        status = read_value(data, arena, depth, &field->value);
        if (key.type != SK_AMQP_STRING && key.type != SK_AMQP_SYMBOL) continue;
        field->name = key.text;
        (*count)++;
    }
    pn_data_exit(data);
    *fields = array;
    return status;
}

/* The text of the list's next element; whatever of text, symbol and binary it is. */
static struct sk_span next_text(pn_data_t *data, struct sk_arena *arena) {
    if (!pn_data_next(data)) return SK_NONE;
    switch (pn_data_type(data)) {
    case PN_STRING: return copy(arena, pn_data_get_string(data));
    case PN_SYMBOL: return copy(arena, pn_data_get_symbol(data));
    case PN_BINARY: return copy(arena, pn_data_get_binary(data));
    default: return SK_NONE;
    }
}

static int64_t next_timestamp(pn_data_t *data) {
    return pn_data_next(data) && pn_data_type(data) == PN_TIMESTAMP ? pn_data_get_timestamp(data)
                                                                    : 0;
}

static enum sk_status read_properties(pn_data_t *data, struct sk_arena *arena,
                                      struct sk_amqp_message *message) {
    if (pn_data_type(data) != PN_LIST) return SK_MALFORMED;
    enum sk_status status = SK_OK;
    pn_data_enter(data);
    if (pn_data_next(data)) status = read_value(data, arena, 1, &message->message_id);
    message->user_id = next_text(data, arena);
    message->to = next_text(data, arena);
    message->subject = next_text(data, arena);
    message->reply_to = next_text(data, arena);
    if (!status && pn_data_next(data))
        status = read_value(data, arena, 1, &message->correlation_id);
    message->content_type = next_text(data, arena);
    message->content_encoding = next_text(data, arena);
    message->expiry_ms = next_timestamp(data);
    message->creation_ms = next_timestamp(data);
    pn_data_exit(data);
    return status;
}

static uint32_t big_endian(const unsigned char *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The binary after a data section's descriptor; returns how many bytes both take, 0: not a data
 * section in its usual encoding. */
static size_t data_section(struct sk_span bytes, struct sk_span *body) {
    const unsigned char *p = (const unsigned char *)bytes.p;
    if (bytes.n < 5 || p[0] != 0 || p[1] != 0x53 || p[2] != SK_AMQP_DATA) return 0;
    size_t head, n;
    if (p[3] == 0xa0) {
        head = 5;
        n = p[4];
    } else if (p[3] == 0xb0 && bytes.n >= 8) {
        head = 8;
        n = big_endian(p + 4);
    } else {
        return 0;
    }
    if (n > bytes.n - head) return 0;
    *body = sk_span(bytes.p + head, n);
    return head + n;
}

static enum sk_status read_section(struct sk_amqp_codec *codec, uint64_t section,
                                   struct sk_arena *arena, struct sk_amqp_message *message) {
    pn_data_t *data = codec->data;
    switch (section) {
    case SK_AMQP_DELIVERY_ANNOTATIONS:
        return sk_amqp_read_map(data, arena, 1, &message->delivery_annotations,
                                &message->delivery_annotation_count);
    case SK_AMQP_ANNOTATIONS:
        return sk_amqp_read_map(data, arena, 1, &message->annotations, &message->annotation_count);
    case SK_AMQP_PROPERTIES: return read_properties(data, arena, message);
    case SK_AMQP_APPLICATION:
        return sk_amqp_read_map(data, arena, 1, &message->application, &message->application_count);
    case SK_AMQP_BODY_VALUE: return read_value(data, arena, 1, &message->value);
    case SK_AMQP_HEADER:
    case SK_AMQP_SEQUENCE:
    case SK_AMQP_FOOTER: return SK_OK;
    default: return SK_MALFORMED;
    }
}

static uint64_t descriptor(pn_data_t *data) {
    static const struct {
        const char *name;
        enum sk_amqp_section section;
    } names[] = {{"amqp:header:list", SK_AMQP_HEADER},
                 {"amqp:delivery-annotations:map", SK_AMQP_DELIVERY_ANNOTATIONS},
                 {"amqp:message-annotations:map", SK_AMQP_ANNOTATIONS},
                 {"amqp:properties:list", SK_AMQP_PROPERTIES},
                 {"amqp:application-properties:map", SK_AMQP_APPLICATION},
                 {"amqp:amqp-value:*", SK_AMQP_BODY_VALUE},
                 {"amqp:footer:map", SK_AMQP_FOOTER}};
    if (pn_data_type(data) == PN_ULONG) return pn_data_get_ulong(data);
    if (pn_data_type(data) != PN_SYMBOL) return 0;
    pn_bytes_t symbol = pn_data_get_symbol(data);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sk_span_is(sk_span(symbol.start, symbol.size), names[i].name)) return names[i].section;
    return 0;
}

enum sk_status sk_amqp_decode(struct sk_amqp_codec *codec, struct sk_span bytes,
                              struct sk_arena *arena, struct sk_amqp_message *message) {
    pn_data_t *data = codec->data;
    struct sk_span *sections = NULL;
    size_t capacity = 0;
    *message = (struct sk_amqp_message){0};
    while (bytes.n) {
        struct sk_span body;
        size_t used = data_section(bytes, &body);
        if (used) {
            if (message->data_count == capacity) {
                size_t more = capacity ? 2 * capacity : 1;
                struct sk_span *grown = sk_arena_alloc(arena, more * sizeof *grown);
                if (capacity) memcpy(grown, sections, capacity * sizeof *grown);
                sections = grown;
                capacity = more;
            }
            sections[message->data_count++] = body;
            bytes = sk_span_skip(bytes, used);
            continue;
        }
        pn_data_clear(data);
        ssize_t n = pn_data_decode(data, bytes.p, bytes.n);
        if (n <= 0 || (size_t)n > bytes.n) return SK_MALFORMED;
        bytes = sk_span_skip(bytes, (size_t)n);
        pn_data_rewind(data);
        if (!pn_data_next(data) || !pn_data_is_described(data)) return SK_MALFORMED;
        pn_data_enter(data);
        if (!pn_data_next(data)) return SK_MALFORMED;
        uint64_t section = descriptor(data);
        if (!pn_data_next(data)) return SK_MALFORMED;
        enum sk_status status = read_section(codec, section, arena, message);
        if (status) return status;
    }
    message->data = sections;
    return SK_OK;
}

bool sk_amqp_is_batch(struct sk_amqp_codec *codec, const struct sk_amqp_message *message,
                      struct sk_arena *arena) {
    if (message->data_count == 0 || message->application_count || message->message_id.type ||
        message->content_type.n)
        return false;
    for (size_t i = 0; i < message->data_count; i++) {
        struct sk_amqp_message inner;
        struct sk_span bytes = message->data[i];
        if (bytes.n < 3 || bytes.p[0] != 0) return false; /* no described value: most bodies */
        if (sk_amqp_decode(codec, bytes, arena, &inner) || (!inner.data_count && !inner.value.type))
            return false;
    }
    return true;
}

/* ---- looking at it ---- */

const struct sk_amqp_value *sk_amqp_find(const struct sk_amqp_field *fields, size_t count,
                                         const char *name) {
    for (size_t i = 0; i < count; i++)
        if (sk_span_is(fields[i].name, name)) return &fields[i].value;
    return NULL;
}

struct sk_span sk_amqp_text(const struct sk_amqp_value *value, struct sk_arena *arena) {
    switch (value->type) {
    case SK_AMQP_STRING:
    case SK_AMQP_SYMBOL:
    case SK_AMQP_BINARY: return value->text;
    case SK_AMQP_BOOL: return value->i ? SK_SPAN("true") : SK_SPAN("false");
    case SK_AMQP_INT:
    case SK_AMQP_LONG:
    case SK_AMQP_TIMESTAMP: return sk_arena_print(arena, "%lld", (long long)value->i);
    case SK_AMQP_UBYTE:
    case SK_AMQP_UINT:
    case SK_AMQP_ULONG: return sk_arena_print(arena, "%llu", (unsigned long long)value->u);
    case SK_AMQP_DOUBLE: {
        char real[SK_REAL_TEXT];
        sk_real_text(value->d, real);
        return sk_arena_copy(arena, sk_span_z(real));
    }
    case SK_AMQP_UUID: {
        const unsigned char *b = (const unsigned char *)value->text.p;
        return sk_arena_print(
            arena, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
            b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
            b[15]);
    }
    case SK_AMQP_NULL:
    case SK_AMQP_MAP:
    case SK_AMQP_STRINGS:
    case SK_AMQP_OTHER: break;
    }
    return SK_NONE;
}
