/* Messages (3.2): sections one after the other, each a described value. Everything that is text
 * points into the bytes; only maps take room. Writing: amqp_encode.c. */
#include "wire/amqp_parts.h"

static enum sk_status read_properties(const struct sk_amqp_raw *section, struct sk_arena *arena,
                                      struct sk_amqp_message *message) {
    enum { FIELDS = 10 }; /* as far as we use them; the order of 3.2.4 */
    struct sk_amqp_raw field[FIELDS];
    struct sk_span *const texts[FIELDS] = {
        [1] = &message->user_id,  [2] = &message->to,           [3] = &message->subject,
        [4] = &message->reply_to, [6] = &message->content_type, [7] = &message->content_encoding};
    struct sk_amqp_value time;
    if (amqp_read_list(section, field, FIELDS)) return SK_MALFORMED;
    for (unsigned i = 0; i < FIELDS; i++)
        if (texts[i]) *texts[i] = amqp_raw_text(&field[i]);
    amqp_read_value(&field[8], arena, 1, &time);
    if (time.type == SK_AMQP_TIMESTAMP) message->expiry_ms = time.i;
    amqp_read_value(&field[9], arena, 1, &time);
    if (time.type == SK_AMQP_TIMESTAMP) message->creation_ms = time.i;
    enum sk_status status = amqp_read_value(&field[0], arena, 1, &message->message_id);
    return status ? status : amqp_read_value(&field[5], arena, 1, &message->correlation_id);
}

/* The data sections of a message. */
struct sections {
    struct sk_span *spans;
    size_t capacity;
};

static enum sk_status add_data(const struct sk_amqp_raw *section, struct sk_arena *arena,
                               struct sections *sections, struct sk_amqp_message *message) {
    if (section->code != 0xa0 && section->code != 0xb0) return SK_MALFORMED;
    if (message->data_count == sections->capacity) {
        size_t more = sections->capacity ? 2 * sections->capacity : 1;
        struct sk_span *grown = sk_arena_alloc(arena, more * sizeof *grown);
        if (sections->capacity) memcpy(grown, sections->spans, sections->capacity * sizeof *grown);
        sections->spans = grown;
        sections->capacity = more;
    }
    sections->spans[message->data_count++] = section->body;
    return SK_OK;
}

static enum sk_status read_section(const struct sk_amqp_raw *section, struct sk_arena *arena,
                                   struct sections *sections, struct sk_amqp_message *message) {
    switch (section->descriptor) {
    case SK_AMQP_DATA: return add_data(section, arena, sections, message);
    case SK_AMQP_DELIVERY_ANNOTATIONS:
        return amqp_read_map(section, arena, 1, &message->delivery_annotations,
                             &message->delivery_annotation_count);
    case SK_AMQP_ANNOTATIONS:
        return amqp_read_map(section, arena, 1, &message->annotations, &message->annotation_count);
    case SK_AMQP_PROPERTIES: return read_properties(section, arena, message);
    case SK_AMQP_APPLICATION:
        return amqp_read_map(section, arena, 1, &message->application, &message->application_count);
    case SK_AMQP_BODY_VALUE: return amqp_read_value(section, arena, 1, &message->value);
    case SK_AMQP_HEADER:
    case SK_AMQP_SEQUENCE:
    case SK_AMQP_FOOTER: return SK_OK;
    default: return SK_MALFORMED;
    }
}

enum sk_status sk_amqp_decode(struct sk_span bytes, struct sk_arena *arena,
                              struct sk_amqp_message *message) {
    struct sections sections = {0};
    *message = (struct sk_amqp_message){0};
    while (bytes.n) {
        struct sk_amqp_raw section;
        if (amqp_next(&bytes, &section)) return SK_MALFORMED;
        enum sk_status status = read_section(&section, arena, &sections, message);
        if (status) return status;
    }
    message->data = sections.spans;
    return SK_OK;
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
    case SK_AMQP_ENCODED:
    case SK_AMQP_OTHER: break;
    }
    return SK_NONE;
}
