/* Bytes into values (1.6). A value is looked at where it stands: a list or a map says how long
 * it is, so that nothing is built to step over it, and nothing is read deeper than somebody
 * asks. */
#include "wire/amqp_parts.h"

static uint64_t big_endian(const unsigned char *p, size_t n) {
    uint64_t value = 0;
    for (size_t i = 0; i < n; i++) value = value << 8 | p[i];
    return value;
}

/* Constructors that there are (1.6), by bits: those of a class in a word. */
static bool is_constructor(unsigned code) {
    static const uint16_t known[16] = {
        [0x4] = 0x3f,            /* null, true, false, uint 0, ulong 0, list 0 */
        [0x5] = 0x7f,            /* ubyte, byte, small uint, ulong, int, long, boolean */
        [0x6] = 0x03,            /* ushort, short */
        [0x7] = 0x1f,            /* uint, int, float, char, decimal32 */
        [0x8] = 0x1f,            /* ulong, long, double, timestamp, decimal64 */
        [0x9] = 1 << 4 | 1 << 8, /* decimal128, uuid */
        [0xa] = 0x0b,            /* binary, string, symbol */
        [0xb] = 0x0b,            /* … with four bytes of size */
        [0xc] = 0x03,            /* list, map */
        [0xd] = 0x03,
        [0xe] = 1, /* array */
        [0xf] = 1};
    return known[code >> 4] >> (code & 15) & 1;
}

/* Takes what a constructor announces off `*rest`. */
static enum sk_status take_body(struct sk_span *rest, struct sk_amqp_raw *raw) {
    static const unsigned char fixed[16] = {[0x5] = 1, [0x6] = 2, [0x7] = 4, [0x8] = 8, [0x9] = 16};
    unsigned kind = raw->code >> 4;
    const unsigned char *p = (const unsigned char *)rest->p;
    size_t head = 0, size = fixed[kind];
    raw->count = 0;
    if (!is_constructor(raw->code)) return SK_MALFORMED;
    if (kind >= 0xa) {
        size_t width = kind & 1 ? 4 : 1; /* of sizes and counts */
        head = width;
        if (rest->n < head) return SK_MALFORMED;
        size = big_endian(p, width);
        if (size > rest->n - head) return SK_MALFORMED;
        if (kind >= 0xc) {
            if (size < width) return SK_MALFORMED;
            raw->count = (uint32_t)big_endian(p + head, width);
            head += width;
            size -= width;
            if (kind < 0xe && raw->count > size) return SK_MALFORMED;
        }
    }
    if (head + size > rest->n) return SK_MALFORMED;
    raw->body = sk_span(rest->p + head, size);
    *rest = sk_span_skip(*rest, head + size);
    return SK_OK;
}

static const struct {
    const char *name;
    uint64_t code;
} symbolic[] = {{"amqp:open:list", SK_AMQP_OPEN},
                {"amqp:begin:list", SK_AMQP_BEGIN},
                {"amqp:attach:list", SK_AMQP_ATTACH},
                {"amqp:flow:list", SK_AMQP_FLOW},
                {"amqp:transfer:list", SK_AMQP_TRANSFER},
                {"amqp:disposition:list", SK_AMQP_DISPOSITION},
                {"amqp:detach:list", SK_AMQP_DETACH},
                {"amqp:end:list", SK_AMQP_END},
                {"amqp:close:list", SK_AMQP_CLOSE},
                {"amqp:error:list", SK_AMQP_ERROR},
                {"amqp:received:list", SK_AMQP_STATE_RECEIVED},
                {"amqp:accepted:list", SK_AMQP_STATE_ACCEPTED},
                {"amqp:rejected:list", SK_AMQP_STATE_REJECTED},
                {"amqp:released:list", SK_AMQP_STATE_RELEASED},
                {"amqp:modified:list", SK_AMQP_STATE_MODIFIED},
                {"amqp:source:list", SK_AMQP_SOURCE},
                {"amqp:target:list", SK_AMQP_TARGET},
                {"amqp:sasl-mechanisms:list", SK_AMQP_SASL_MECHANISMS},
                {"amqp:sasl-init:list", SK_AMQP_SASL_INIT},
                {"amqp:sasl-challenge:list", SK_AMQP_SASL_CHALLENGE},
                {"amqp:sasl-response:list", SK_AMQP_SASL_RESPONSE},
                {"amqp:sasl-outcome:list", SK_AMQP_SASL_OUTCOME},
                {"amqp:header:list", SK_AMQP_HEADER},
                {"amqp:delivery-annotations:map", SK_AMQP_DELIVERY_ANNOTATIONS},
                {"amqp:message-annotations:map", SK_AMQP_ANNOTATIONS},
                {"amqp:properties:list", SK_AMQP_PROPERTIES},
                {"amqp:application-properties:map", SK_AMQP_APPLICATION},
                {"amqp:data:binary", SK_AMQP_DATA},
                {"amqp:amqp-sequence:list", SK_AMQP_SEQUENCE},
                {"amqp:amqp-value:*", SK_AMQP_BODY_VALUE},
                {"amqp:footer:map", SK_AMQP_FOOTER}};

/* Descriptors are numbers, or symbols; ours are known by either. */
static uint64_t descriptor_of(const struct sk_amqp_raw *raw) {
    uint64_t code = 0;
    if (amqp_raw_number(raw, &code)) return code;
    for (size_t i = 0; i < sizeof symbolic / sizeof *symbolic; i++)
        if (sk_span_is(raw->body, symbolic[i].name)) return symbolic[i].code;
    return 0;
}

enum sk_status amqp_next(struct sk_span *rest, struct sk_amqp_raw *raw) {
    struct sk_span all = *rest;
    raw->descriptor = 0;
    if (rest->n && rest->p[0] == 0) {
        struct sk_amqp_raw descriptor;
        *rest = sk_span_skip(*rest, 1);
        if (rest->n == 0) return SK_MALFORMED;
        descriptor.code = (unsigned char)rest->p[0]; /* not described itself: 0 is no constructor */
        *rest = sk_span_skip(*rest, 1);
        if (take_body(rest, &descriptor)) return SK_MALFORMED;
        raw->descriptor = descriptor_of(&descriptor);
    }
    if (rest->n == 0) return SK_MALFORMED;
    raw->code = (unsigned char)rest->p[0];
    *rest = sk_span_skip(*rest, 1);
    if (take_body(rest, raw)) return SK_MALFORMED;
    raw->whole = sk_span(all.p, all.n - rest->n);
    return SK_OK;
}

bool amqp_raw_is_null(const struct sk_amqp_raw *raw) {
    return raw->code == 0 || raw->code == 0x40;
}

bool amqp_raw_is_list(const struct sk_amqp_raw *raw) {
    return raw->code == 0x45 || raw->code == 0xc0 || raw->code == 0xd0;
}

enum sk_status amqp_read_list(const struct sk_amqp_raw *list, struct sk_amqp_raw *items,
                              unsigned most) {
    struct sk_span rest = list->body;
    memset(items, 0, most * sizeof *items);
    if (!amqp_raw_is_list(list)) return SK_MALFORMED;
    for (unsigned i = 0; i < list->count && i < most; i++)
        if (amqp_next(&rest, &items[i])) return SK_MALFORMED;
    return SK_OK;
}

bool amqp_raw_number(const struct sk_amqp_raw *raw, uint64_t *value) {
    switch (raw->code) {
    case 0x43: /* uint 0 */
    case 0x44: /* ulong 0 */
    case 0x50: /* ubyte */
    case 0x52: /* small uint */
    case 0x53: /* small ulong */
    case 0x60: /* ushort */
    case 0x70: /* uint */
    case 0x80: /* ulong */
        *value = big_endian((const unsigned char *)raw->body.p, raw->body.n);
        return true;
    default: return false;
    }
}

bool amqp_raw_true(const struct sk_amqp_raw *raw) {
    return raw->code == 0x41 || (raw->code == 0x56 && raw->body.p[0]);
}

struct sk_span amqp_raw_text(const struct sk_amqp_raw *raw) {
    unsigned kind = raw->code >> 4;
    return kind == 0xa || kind == 0xb ? raw->body : SK_NONE;
}

bool amqp_raw_names(const struct sk_amqp_raw *raw, const char *name) {
    if (raw->code != 0xe0 && raw->code != 0xf0) return sk_span_is(amqp_raw_text(raw), name);
    struct sk_span rest = raw->body;
    struct sk_amqp_raw item = {0};
    if (rest.n == 0) return false;
    unsigned char code = (unsigned char)rest.p[0];
    if (code != 0xa3 && code != 0xb3) return false; /* of symbols */
    rest = sk_span_skip(rest, 1);
    for (uint32_t i = 0; i < raw->count; i++) {
        item.code = code;
        if (take_body(&rest, &item)) return false;
        if (sk_span_is(item.body, name)) return true;
    }
    return false;
}

/* ---- values as plain structs ---- */

static int64_t signed_number(struct sk_span bytes) {
    unsigned unused = 64 - 8 * (unsigned)bytes.n;
    return (int64_t)(big_endian((const unsigned char *)bytes.p, bytes.n) << unused) >> unused;
}

static double real_number(struct sk_span bytes) {
    union {
        uint64_t bits;
        double d;
    } eight = {.bits = big_endian((const unsigned char *)bytes.p, bytes.n)};
    union {
        uint32_t bits;
        float f;
    } four = {.bits = (uint32_t)eight.bits};
    return bytes.n == 8 ? eight.d : (double)four.f;
}

static void read_scalar(const struct sk_amqp_raw *raw, struct sk_amqp_value *value) {
    uint64_t number;
    *value = (struct sk_amqp_value){.type = SK_AMQP_OTHER};
    if (amqp_raw_number(raw, &number)) {
        *value = (struct sk_amqp_value){SK_AMQP_ULONG, .u = number};
        return;
    }
    switch (raw->code) {
    case 0:
    case 0x40: value->type = SK_AMQP_NULL; break;
    case 0x41: *value = SK_AMQP_VALUE_BOOL(true); break;
    case 0x42: *value = SK_AMQP_VALUE_BOOL(false); break;
    case 0x56: *value = SK_AMQP_VALUE_BOOL(raw->body.p[0] != 0); break;
    case 0x51: /* byte, short, int, long and the small ones */
    case 0x54:
    case 0x55:
    case 0x61:
    case 0x71:
    case 0x81: *value = SK_AMQP_VALUE_LONG(signed_number(raw->body)); break;
    case 0x72:
    case 0x82: *value = (struct sk_amqp_value){SK_AMQP_DOUBLE, .d = real_number(raw->body)}; break;
    case 0x83: *value = SK_AMQP_VALUE_TIMESTAMP(signed_number(raw->body)); break;
    case 0x98: *value = (struct sk_amqp_value){SK_AMQP_UUID, .text = raw->body}; break;
    case 0xa0:
    case 0xb0: *value = (struct sk_amqp_value){SK_AMQP_BINARY, .text = raw->body}; break;
    case 0xa1:
    case 0xb1: *value = SK_AMQP_VALUE_STRING(raw->body); break;
    case 0xa3:
    case 0xb3: *value = SK_AMQP_VALUE_SYMBOL(raw->body); break;
    default: break;
    }
}

static bool is_map(const struct sk_amqp_raw *raw) {
    return raw->code == 0xc1 || raw->code == 0xd1;
}

/* Of a described value (filters) only what is described counts. */
enum sk_status amqp_read_value(const struct sk_amqp_raw *raw, struct sk_arena *arena,
                               unsigned depth, struct sk_amqp_value *value) {
    enum { DEPTH_MAX = 4 };
    if (!is_map(raw)) {
        read_scalar(raw, value);
        return SK_OK;
    }
    if (depth == DEPTH_MAX) return SK_MALFORMED;
    const struct sk_amqp_field *fields;
    *value = (struct sk_amqp_value){.type = SK_AMQP_MAP};
    enum sk_status status = amqp_read_map(raw, arena, depth + 1, &fields, &value->count);
    value->fields = fields;
    return status;
}

enum sk_status amqp_read_map(const struct sk_amqp_raw *raw, struct sk_arena *arena, unsigned depth,
                             const struct sk_amqp_field **fields, size_t *count) {
    struct sk_span rest = raw->body;
    *fields = NULL;
    *count = 0;
    if (amqp_raw_is_null(raw)) return SK_OK;
    if (!is_map(raw) || raw->count % 2) return SK_MALFORMED;
    size_t n = raw->count / 2;
    if (n > SK_AMQP_FIELDS_MAX) return SK_TOO_LARGE;
    struct sk_amqp_field *array = n ? sk_arena_alloc(arena, n * sizeof *array) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct sk_amqp_raw key, value;
        struct sk_amqp_field *field = &array[*count];
        if (amqp_next(&rest, &key) || amqp_next(&rest, &value)) return SK_MALFORMED;
        enum sk_status status = amqp_read_value(&value, arena, depth, &field->value);
        if (status) return status;
        unsigned kind = key.code & 0xef;            /* of either size */
        if (kind != 0xa1 && kind != 0xa3) continue; /* neither string nor symbol: not for us */
        field->name = key.body;
        (*count)++;
    }
    *fields = array;
    return SK_OK;
}
