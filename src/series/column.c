#include "series/column.h"

#include <math.h>

enum {
    GROUP = 64,
    ORDERS = 3,     /* values, differences, differences of differences */
    SCALES = 7,     /* no to six digits behind the point */
    AS_BITS = 7,    /* in place of a scale */
    CONSTANT = 0x80 /* in place of a width: groups of one number each */
};

static const double powers[SCALES] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6};

/* ---- numbers of the format ---- */

void series_put_number(struct sk_buffer *to, uint64_t number) {
    for (; number >= 0x80; number >>= 7) sk_buffer_byte(to, (char)(number | 0x80));
    sk_buffer_byte(to, (char)number);
}

void series_put_signed(struct sk_buffer *to, int64_t number) {
    series_put_number(to, (uint64_t)number << 1 ^ (number < 0 ? UINT64_MAX : 0));
}

enum sk_status series_get_number(struct sk_span *from, uint64_t *number) {
    *number = 0;
    for (unsigned shift = 0; shift < 64 && from->n; shift += 7) {
        uint64_t byte = (unsigned char)*from->p;
        *from = sk_span_skip(*from, 1);
        if (shift == 63 && byte > 1) return SK_MALFORMED;
        *number |= (byte & 0x7f) << shift;
        if (byte < 0x80) return SK_OK;
    }
    return SK_MALFORMED;
}

enum sk_status series_get_signed(struct sk_span *from, int64_t *number) {
    uint64_t folded;
    enum sk_status status = series_get_number(from, &folded);
    *number = (int64_t)(folded >> 1 ^ (folded & 1 ? UINT64_MAX : 0));
    return status;
}

/* ---- integers ---- */

/* Differences wrap around, so any integers have them. */
static void difference(uint64_t *values, size_t from, size_t count) {
    for (size_t i = count; i-- > from;) values[i] -= values[i - 1];
}

static unsigned width_of(uint64_t range) {
    return range ? 64 - (unsigned)__builtin_clzll(range) : 0;
}

static int64_t least_of(const uint64_t *values, size_t count, unsigned *width) {
    int64_t least = (int64_t)values[0], most = least;
    for (size_t i = 1; i < count; i++) {
        int64_t value = (int64_t)values[i];
        if (value < least) least = value;
        if (value > most) most = value;
    }
    *width = width_of((uint64_t)most - (uint64_t)least);
    return least;
}

static size_t group_length(size_t at, size_t count) {
    return count - at < GROUP ? count - at : GROUP;
}

/* Bits that packing takes, about. */
static size_t cost(const uint64_t *values, size_t from, size_t count) {
    size_t bits = 0;
    int64_t before = 0;
    bool constant = false;
    for (size_t at = from; at < count; at += GROUP) {
        unsigned width;
        size_t n = group_length(at, count);
        int64_t least = least_of(values + at, n, &width);
        if (!constant || width || least != before) bits += 24 + n * width;
        constant = width == 0;
        before = least;
    }
    return bits;
}

static void pack(struct sk_buffer *to, const uint64_t *values, size_t count, uint64_t least,
                 unsigned width) {
    size_t bytes = (count * width + 7) / 8;
    char *p = sk_buffer_reserve(to, bytes + 8);
    uint64_t gathered = 0;
    unsigned fill = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = values[i] - least;
        gathered |= value << fill;
        if (fill + width >= 64) {
            memcpy(p, &gathered, 8);
            p += 8;
            gathered = fill ? value >> (64 - fill) : 0;
            fill = fill + width - 64;
        } else {
            fill += width;
        }
    }
    memcpy(p, &gathered, 8);
    to->n += bytes;
}

static void put_groups(struct sk_buffer *to, const uint64_t *values, size_t from, size_t count) {
    for (size_t at = from; at < count;) {
        unsigned width, next_width = 0;
        size_t n = group_length(at, count), groups = 1;
        int64_t least = least_of(values + at, n, &width);
        at += n;
        if (width) {
            sk_buffer_byte(to, (char)width);
            series_put_signed(to, least);
            pack(to, values + at - n, n, (uint64_t)least, width);
            continue;
        }
        for (; at < count; groups++, at += n) {
            n = group_length(at, count);
            if (least_of(values + at, n, &next_width) != least || next_width) break;
        }
        sk_buffer_byte(to, (char)CONSTANT);
        series_put_number(to, groups);
        series_put_signed(to, least);
    }
}

void series_integers_encode(struct sk_buffer *to, const int64_t *values, size_t count) {
    uint64_t of[ORDERS][SERIES_VALUES_MAX];
    size_t best = 0, best_cost = SIZE_MAX;
    SK_ASSERT(count && count <= SERIES_VALUES_MAX);
    for (size_t order = 0; order < ORDERS && order < count; order++) {
        memcpy(of[order], order ? of[order - 1] : (const void *)values, count * sizeof **of);
        if (order) difference(of[order], order, count);
        size_t bits = cost(of[order], order, count);
        if (bits < best_cost) {
            best = order;
            best_cost = bits;
        }
    }
    sk_buffer_byte(to, (char)best);
    for (size_t i = 0; i < best; i++) series_put_signed(to, (int64_t)of[best][i]);
    put_groups(to, of[best], best, count);
}

/* Up to the widest value that lies in 8 bytes wherever in its first one it begins. */
enum { IN_ONE_LOAD = 57 };

static uint64_t load(const char *p, size_t n) {
    uint64_t value = 0;
    memcpy(&value, p, n < 8 ? n : 8);
    return value;
}

/* Of bytes that begin with the packed ones, the more the faster. */
static void unpack(struct sk_span from, unsigned width, uint64_t least, size_t count,
                   int64_t *values) {
    uint64_t mask = width == 64 ? UINT64_MAX : (1ull << width) - 1;
    size_t i = 0;
    for (; i < count && width <= IN_ONE_LOAD && i * width / 8 + 8 <= from.n; i++) {
        uint64_t value;
        memcpy(&value, from.p + i * width / 8, 8);
        values[i] = (int64_t)((value >> i * width % 8 & mask) + least);
    }
    for (; i < count; i++) {
        size_t at = i * width / 8;
        unsigned shift = (unsigned)(i * width % 8);
        uint64_t value = load(from.p + at, from.n - at) >> shift;
        if (shift + width > 64) value |= (uint64_t)(unsigned char)from.p[at + 8] << (64 - shift);
        values[i] = (int64_t)((value & mask) + least);
    }
}

static enum sk_status get_constant(struct sk_span *from, int64_t *values, size_t count,
                                   size_t *at) {
    uint64_t groups;
    int64_t value;
    if (series_get_number(from, &groups) || series_get_signed(from, &value)) return SK_MALFORMED;
    size_t left = (count - *at + GROUP - 1) / GROUP;
    if (groups == 0 || groups > left) return SK_MALFORMED;
    size_t end = groups == left ? count : *at + (size_t)groups * GROUP;
    while (*at < end) values[(*at)++] = value;
    return SK_OK;
}

static enum sk_status get_group(struct sk_span *from, int64_t *values, size_t count, size_t *at) {
    int64_t least;
    unsigned width = (unsigned char)*from->p;
    *from = sk_span_skip(*from, 1);
    if (width == CONSTANT) return get_constant(from, values, count, at);
    if (width == 0 || width > 64 || series_get_signed(from, &least)) return SK_MALFORMED;
    size_t n = group_length(*at, count), bytes = (n * width + 7) / 8;
    if (from->n < bytes) return SK_MALFORMED;
    unpack(*from, width, (uint64_t)least, n, values + *at);
    *from = sk_span_skip(*from, bytes);
    *at += n;
    return SK_OK;
}

enum sk_status series_integers_decode(struct sk_span *from, int64_t *values, size_t count) {
    SK_ASSERT(count && count <= SERIES_VALUES_MAX);
    if (from->n == 0) return SK_MALFORMED;
    size_t order = (unsigned char)*from->p, at = 0;
    *from = sk_span_skip(*from, 1);
    if (order >= ORDERS || order >= count) return SK_MALFORMED;
    while (at < order)
        if (series_get_signed(from, &values[at++])) return SK_MALFORMED;
    while (at < count)
        if (from->n == 0 || get_group(from, values, count, &at)) return SK_MALFORMED;
    for (size_t o = order; o > 0; o--)
        for (size_t i = o; i < count; i++)
            values[i] = (int64_t)((uint64_t)values[i] + (uint64_t)values[i - 1]);
    return SK_OK;
}

/* ---- doubles ---- */

static uint64_t bits_of(double number) {
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

static bool is_decimal(double value, size_t scale, int64_t *integer) {
    double scaled = nearbyint(value * powers[scale]);
    if (!(fabs(scaled) < 0x1p53)) return false;
    *integer = (int64_t)scaled;
    return bits_of((double)*integer / powers[scale]) == bits_of(value); /* -0 is none */
}

/* A decimal has each larger scale too, until it is too large. */
static bool scale_all(const union sk_series_value *values, size_t count, size_t *scale,
                      int64_t *integers) {
    int64_t unused;
    *scale = 0;
    for (size_t i = 0; i < count; i++)
        while (!is_decimal(values[i].number, *scale, &unused))
            if (++*scale == SCALES) return false;
    for (size_t i = 0; i < count; i++)
        if (!is_decimal(values[i].number, *scale, &integers[i])) return false;
    return true;
}

#define SIGN (1ull << 63)

/* As integers in the order of the numbers; what all end in zeros with is left out, so that floats
 * take no more than they had. */
static void put_bits(struct sk_buffer *to, const union sk_series_value *values, size_t count,
                     int64_t *integers) {
    uint64_t all = 0;
    for (size_t i = 0; i < count; i++) all |= bits_of(values[i].number) & ~SIGN;
    unsigned shift = all ? (unsigned)__builtin_ctzll(all) : 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t bits = bits_of(values[i].number);
        int64_t size = (int64_t)((bits & ~SIGN) >> shift);
        integers[i] = bits & SIGN ? ~size : size;
    }
    sk_buffer_byte(to, AS_BITS);
    sk_buffer_byte(to, (char)shift);
    series_integers_encode(to, integers, count);
}

static void put_doubles(struct sk_buffer *to, const union sk_series_value *values, size_t count) {
    int64_t integers[SERIES_VALUES_MAX];
    size_t scale;
    if (scale_all(values, count, &scale, integers)) {
        sk_buffer_byte(to, (char)scale);
        series_integers_encode(to, integers, count);
    } else {
        put_bits(to, values, count, integers);
    }
}

static enum sk_status get_bits(struct sk_span *from, union sk_series_value *values, size_t count,
                               int64_t *integers) {
    if (from->n == 0) return SK_MALFORMED;
    unsigned shift = (unsigned char)*from->p;
    *from = sk_span_skip(*from, 1);
    if (shift > 63 || series_integers_decode(from, integers, count)) return SK_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        bool negative = integers[i] < 0;
        uint64_t size = (uint64_t)(negative ? ~integers[i] : integers[i]);
        if (size > (~SIGN >> shift)) return SK_MALFORMED;
        uint64_t bits = size << shift | (negative ? SIGN : 0);
        memcpy(&values[i].number, &bits, sizeof bits);
        if (!isfinite(values[i].number)) return SK_MALFORMED;
    }
    return SK_OK;
}

static enum sk_status get_doubles(struct sk_span *from, union sk_series_value *values,
                                  size_t count) {
    int64_t integers[SERIES_VALUES_MAX];
    if (from->n == 0) return SK_MALFORMED;
    size_t scale = (unsigned char)*from->p;
    *from = sk_span_skip(*from, 1);
    if (scale == AS_BITS) return get_bits(from, values, count, integers);
    if (scale >= SCALES || series_integers_decode(from, integers, count)) return SK_MALFORMED;
    for (size_t i = 0; i < count; i++) values[i].number = (double)integers[i] / powers[scale];
    return SK_OK;
}

/* ---- texts ---- */

static void put_texts(struct sk_buffer *to, const union sk_series_value *values, size_t count) {
    struct sk_map numbers = {0}; /* text → the value that has it first */
    struct sk_buffer texts = {0};
    int64_t integers[SERIES_VALUES_MAX], known = 0;
    for (size_t i = 0; i < count; i++) {
        const union sk_series_value *first = sk_map_get(&numbers, values[i].text);
        integers[i] = first ? integers[first - values] : known++;
        if (first) continue;
        sk_map_put(&numbers, values[i].text, (void *)&values[i]);
        series_put_number(&texts, values[i].text.n);
        sk_buffer_append(&texts, values[i].text);
    }
    series_put_number(to, (uint64_t)known);
    sk_buffer_append(to, sk_buffer_span(&texts));
    series_integers_encode(to, integers, count);
    sk_buffer_free(&texts);
    sk_map_free(&numbers);
}

static enum sk_status get_texts(struct sk_span *from, union sk_series_value *values, size_t count) {
    struct sk_span texts[SERIES_VALUES_MAX];
    int64_t integers[SERIES_VALUES_MAX];
    uint64_t known, n;
    if (series_get_number(from, &known) || known > count) return SK_MALFORMED;
    for (size_t i = 0; i < known; i++) {
        if (series_get_number(from, &n) || n > from->n) return SK_MALFORMED;
        texts[i] = sk_span_first(*from, (size_t)n);
        *from = sk_span_skip(*from, (size_t)n);
    }
    if (series_integers_decode(from, integers, count)) return SK_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        if (integers[i] < 0 || (uint64_t)integers[i] >= known) return SK_MALFORMED;
        values[i].text = texts[integers[i]];
    }
    return SK_OK;
}

/* ---- by type ---- */

static void put_integers(struct sk_buffer *to, const union sk_series_value *values, size_t count,
                         bool booleans) {
    int64_t integers[SERIES_VALUES_MAX];
    for (size_t i = 0; i < count; i++)
        integers[i] = booleans ? values[i].boolean : values[i].integer;
    series_integers_encode(to, integers, count);
}

static enum sk_status get_integers(struct sk_span *from, union sk_series_value *values,
                                   size_t count, bool booleans) {
    int64_t integers[SERIES_VALUES_MAX];
    if (series_integers_decode(from, integers, count)) return SK_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        if (booleans && (uint64_t)integers[i] > 1) return SK_MALFORMED;
        if (booleans)
            values[i].boolean = integers[i] != 0;
        else
            values[i].integer = integers[i];
    }
    return SK_OK;
}

void series_column_encode(struct sk_buffer *to, enum sk_series_type type,
                          const union sk_series_value *values, size_t count) {
    SK_ASSERT(count && count <= SERIES_VALUES_MAX);
    if (type == SK_SERIES_DOUBLE)
        put_doubles(to, values, count);
    else if (type == SK_SERIES_STRING || type == SK_SERIES_DYNAMIC)
        put_texts(to, values, count);
    else
        put_integers(to, values, count, type == SK_SERIES_BOOL);
}

enum sk_status series_column_decode(struct sk_span *from, enum sk_series_type type,
                                    union sk_series_value *values, size_t count) {
    SK_ASSERT(count && count <= SERIES_VALUES_MAX);
    if (type == SK_SERIES_DOUBLE) return get_doubles(from, values, count);
    if (type == SK_SERIES_STRING || type == SK_SERIES_DYNAMIC)
        return get_texts(from, values, count);
    return get_integers(from, values, count, type == SK_SERIES_BOOL);
}
