#include "wire/prometheus.h"

enum wire_type { VARINT, FIXED_64, BYTES, FIXED_32 = 5 };

/* ---- reading ---- */

struct field {
    unsigned number;
    enum wire_type type;
    uint64_t varint;
    struct sk_span bytes;
};

static bool get_varint(struct sk_span *from, uint64_t *value) {
    *value = 0;
    for (unsigned shift = 0; from->n && shift < 64; shift += 7) {
        uint8_t byte = (uint8_t)from->p[0];
        *from = sk_span_skip(*from, 1);
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return true;
    }
    return false;
}

static bool skip(struct sk_span *from, size_t n, struct sk_span *bytes) {
    if (n > from->n) return false;
    *bytes = sk_span_first(*from, n);
    *from = sk_span_skip(*from, n);
    return true;
}

/* False: the bytes are no message. */
static bool get_field(struct sk_span *from, struct field *field) {
    uint64_t tag, n;
    *field = (struct field){0};
    if (!get_varint(from, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff) return false;
    field->number = (unsigned)(tag >> 3);
    field->type = (enum wire_type)(tag & 7);
    switch (field->type) {
    case VARINT: return get_varint(from, &field->varint);
    case FIXED_64: return skip(from, 8, &field->bytes);
    case FIXED_32: return skip(from, 4, &field->bytes);
    case BYTES: return get_varint(from, &n) && n <= from->n && skip(from, (size_t)n, &field->bytes);
    default: return false;
    }
}

static enum sk_status read_matcher(struct sk_span bytes, struct sk_prometheus_matcher *matcher) {
    struct field field;
    *matcher = (struct sk_prometheus_matcher){.label = SK_SPAN(""), .value = SK_SPAN("")};
    while (bytes.n) {
        if (!get_field(&bytes, &field)) return SK_MALFORMED;
        if (field.number == 1 && field.type == VARINT) {
            if (field.varint > SK_PROMETHEUS_NOT_LIKE) return SK_MALFORMED;
            matcher->by = (enum sk_prometheus_match)field.varint;
        } else if (field.number == 2 && field.type == BYTES) {
            matcher->label = field.bytes;
        } else if (field.number == 3 && field.type == BYTES) {
            matcher->value = field.bytes;
        }
    }
    return SK_OK;
}

static enum sk_status read_query(struct sk_span bytes, struct sk_arena *arena,
                                 struct sk_prometheus_query *query) {
    struct field field;
    enum sk_status status = SK_OK;
    *query = (struct sk_prometheus_query){
        .matchers = sk_arena_alloc(arena, SK_PROMETHEUS_MATCHERS_MAX * sizeof *query->matchers)};
    while (bytes.n && !status) {
        if (!get_field(&bytes, &field)) return SK_MALFORMED;
        if (field.number == 1 && field.type == VARINT)
            query->from = (int64_t)field.varint;
        else if (field.number == 2 && field.type == VARINT)
            query->to = (int64_t)field.varint;
        else if (field.number == 3 && field.type == BYTES)
            status = query->matcher_count == SK_PROMETHEUS_MATCHERS_MAX
                         ? SK_TOO_LARGE
                         : read_matcher(field.bytes, &query->matchers[query->matcher_count++]);
    }
    return status;
}

enum sk_status sk_prometheus_read_parse(struct sk_span bytes, struct sk_arena *arena,
                                        struct sk_prometheus_read *read) {
    struct field field;
    enum sk_status status = SK_OK;
    *read = (struct sk_prometheus_read){
        .queries = sk_arena_alloc(arena, SK_PROMETHEUS_QUERIES_MAX * sizeof *read->queries)};
    while (bytes.n && !status) {
        if (!get_field(&bytes, &field)) return SK_MALFORMED;
        if (field.number == 1 && field.type == BYTES)
            status = read->count == SK_PROMETHEUS_QUERIES_MAX
                         ? SK_TOO_LARGE
                         : read_query(field.bytes, arena, &read->queries[read->count++]);
    }
    return status;
}

/* ---- writing ---- */

static void put_varint(struct sk_buffer *to, uint64_t value) {
    for (; value >= 0x80; value >>= 7) sk_buffer_byte(to, (char)(value | 0x80));
    sk_buffer_byte(to, (char)value);
}

static void put_bytes(struct sk_buffer *to, unsigned number, struct sk_span bytes) {
    put_varint(to, number << 3 | BYTES);
    put_varint(to, bytes.n);
    sk_buffer_append(to, bytes);
}

void sk_prometheus_put_label(struct sk_buffer *series, struct sk_span name, struct sk_span value) {
    struct sk_buffer label = {0};
    put_bytes(&label, 1, name);
    put_bytes(&label, 2, value);
    put_bytes(series, 1, sk_buffer_span(&label));
    sk_buffer_free(&label);
}

void sk_prometheus_put_sample(struct sk_buffer *series, int64_t ms, double value) {
    char sample[24];
    uint64_t bits;
    struct sk_buffer time = {0};
    memcpy(&bits, &value, sizeof bits);
    sample[0] = 1 << 3 | FIXED_64;
    for (size_t i = 0; i < 8; i++) sample[1 + i] = (char)(bits >> 8 * i);
    put_varint(&time, 2 << 3 | VARINT);
    put_varint(&time, (uint64_t)ms);
    memcpy(sample + 9, time.p, time.n);
    put_bytes(series, 2, sk_span(sample, 9 + time.n));
    sk_buffer_free(&time);
}

void sk_prometheus_put_part(struct sk_buffer *to, struct sk_span part) {
    put_bytes(to, 1, part);
}
