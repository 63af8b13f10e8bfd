#include "base/text.h"

#include <float.h>
#include <stdio.h>
#include <stdlib.h>

static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void sk_base64_encode(struct sk_buffer *to, struct sk_span bytes) {
    char *out = sk_buffer_reserve(to, (bytes.n + 2) / 3 * 4);
    if (out == NULL) return;
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t left = bytes.n - i;
        uint32_t group = (uint32_t)(unsigned char)bytes.p[i] << 16;
        if (left > 1) group |= (uint32_t)(unsigned char)bytes.p[i + 1] << 8;
        if (left > 2) group |= (unsigned char)bytes.p[i + 2];
        *out++ = base64_digits[group >> 18];
        *out++ = base64_digits[group >> 12 & 63];
        *out++ = left > 1 ? base64_digits[group >> 6 & 63] : '=';
        *out++ = left > 2 ? base64_digits[group & 63] : '=';
    }
    to->n += (bytes.n + 2) / 3 * 4;
}

static int base64_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

enum sk_status sk_base64_decode(struct sk_buffer *to, struct sk_span text) {
    size_t padding = 0;
    while (padding < 2 && text.n && text.p[text.n - 1] == '=') text.n--, padding++;
    if (text.n % 4 == 1 || (padding && (text.n + padding) % 4)) return SK_MALFORMED;
    char *out = sk_buffer_reserve(to, text.n / 4 * 3 + 3);
    if (out == NULL) return SK_TOO_LARGE;
    uint32_t group = 0;
    size_t written = 0;
    for (size_t i = 0; i < text.n; i++) {
        int value = base64_value(text.p[i]);
        if (value < 0) return SK_MALFORMED;
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 0) out[written++] = (char)(group >> (6 - 2 * (i % 4)));
    }
    to->n += written;
    return SK_OK;
}

static const char hex_lower[] = "0123456789abcdef", hex_upper[] = "0123456789ABCDEF";

void sk_hex_encode(struct sk_buffer *to, struct sk_span bytes) {
    for (size_t i = 0; i < bytes.n; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        sk_buffer_append(to, sk_span((char[]){hex_lower[c >> 4], hex_lower[c & 15]}, 2));
    }
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum sk_status sk_hex_decode(struct sk_buffer *to, struct sk_span text) {
    if (text.n % 2) return SK_MALFORMED;
    for (size_t i = 0; i < text.n; i += 2) {
        int high = hex_value(text.p[i]), low = hex_value(text.p[i + 1]);
        if (high < 0 || low < 0) return SK_MALFORMED;
        if (sk_buffer_byte(to, (char)(high << 4 | low))) return SK_TOO_LARGE;
    }
    return SK_OK;
}

static bool unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* `marks` stay as they are beside the unreserved. */
static void percent_encode(struct sk_buffer *to, struct sk_span text, const char *marks) {
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (unreserved(text.p[i]) || (c && strchr(marks, c)))
            sk_buffer_byte(to, text.p[i]);
        else
            sk_buffer_append(to, sk_span((char[]){'%', hex_upper[c >> 4], hex_upper[c & 15]}, 3));
    }
}

void sk_percent_encode(struct sk_buffer *to, struct sk_span text) {
    percent_encode(to, text, "");
}

void sk_percent_encode_topic(struct sk_buffer *to, struct sk_span text) {
    percent_encode(to, text, "!'()*");
}

static size_t percent_decode(char *to, struct sk_span text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '%' && i + 2 < text.n && hex_value(text.p[i + 1]) >= 0 &&
            hex_value(text.p[i + 2]) >= 0) {
            to[n++] = (char)(hex_value(text.p[i + 1]) << 4 | hex_value(text.p[i + 2]));
            i += 2;
        } else {
            to[n++] = text.p[i];
        }
    }
    return n;
}

void sk_percent_decode(struct sk_buffer *to, struct sk_span text) {
    char *out = sk_buffer_reserve(to, text.n);
    if (out) to->n += percent_decode(out, text);
}

struct sk_span sk_percent_decoded(struct sk_arena *arena, struct sk_span text) {
    if (sk_span_find(text, '%') == text.n) return text;
    char *p = sk_arena_alloc(arena, text.n);
    return sk_span(p, percent_decode(p, text));
}

/* A double always keeps 15 digits (fewer below its smallest normal value), and 17 tell one from all
 * others. */
void sk_real_text(double value, char to[SK_REAL_TEXT]) {
    enum { KEPT = 15, TELLING = 17 };
    bool normal = value <= -DBL_MIN || value >= DBL_MIN;
    for (int digits = normal ? KEPT : 1; digits <= TELLING; digits++) {
        snprintf(to, SK_REAL_TEXT, "%.*g", digits, value);
        if (strtod(to, NULL) == value) return;
    }
}

enum sk_status sk_host_port_parse(struct sk_span text, struct sk_span *host, int *port) {
    bool bracketed = text.n && text.p[0] == '[';
    size_t end = sk_span_find(text, bracketed ? ']' : ':');
    struct sk_span rest = sk_span_skip(text, end + (bracketed ? 1 : 0));
    int64_t number = -1;
    *host = sk_span_first(text, end);
    if (bracketed) *host = sk_span_skip(*host, 1);
    if (host->n == 0 || memchr(host->p, 0, host->n) || (bracketed && end == text.n))
        return SK_MALFORMED;
    if (rest.n == 0) {
        *port = -1;
        return sk_span_to_int(*host, &number) ? SK_OK : SK_MALFORMED;
    }
    if (rest.p[0] != ':' || sk_span_to_int(sk_span_skip(rest, 1), &number) || number < 0 ||
        number > 65535)
        return SK_MALFORMED;
    *port = (int)number;
    return SK_OK;
}

enum sk_status sk_url_parse(struct sk_span text, struct sk_url *url) {
    static const struct {
        const char *text;
        uint16_t port;
    } schemes[] = {{"http://", 80}, {"https://", 443}};
    int port;
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f) return SK_MALFORMED;
    for (size_t i = 0; i < 2; i++) {
        struct sk_span scheme = sk_span_z(schemes[i].text);
        if (!sk_span_starts_nocase(text, scheme)) continue;
        text = sk_span_skip(text, scheme.n);
        size_t slash = sk_span_find(text, '/');
        struct sk_span authority = sk_span_first(text, slash);
        if (sk_span_find(authority, '@') < authority.n ||
            sk_host_port_parse(authority, &url->host, &port) || port == 0)
            return SK_MALFORMED;
        url->secure = i == 1;
        url->port = port > 0 ? (uint16_t)port : schemes[i].port;
        url->rest = sk_span_skip(text, slash);
        return SK_OK;
    }
    return SK_MALFORMED;
}

size_t sk_utf8_length(struct sk_span text) {
    const unsigned char *p = (const unsigned char *)text.p;
    size_t n = p[0] < 0x80   ? 1
               : p[0] < 0xc2 ? 0
               : p[0] < 0xe0 ? 2
               : p[0] < 0xf0 ? 3
               : p[0] < 0xf5 ? 4
                             : 0;
    if (n > text.n) return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f)) return 0;
    if ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

static void put_escaped(struct sk_buffer *to, unsigned char c) {
    if (c == '"' || c == '\\')
        sk_buffer_append(to, sk_span((char[]){'\\', (char)c}, 2));
    else if (c == '\n')
        sk_buffer_text(to, "\\n");
    else
        sk_buffer_append(
            to, sk_span((char[]){'\\', 'u', '0', '0', hex_lower[c >> 4], hex_lower[c & 15]}, 6));
}

void sk_json_string(struct sk_buffer *to, struct sk_span text) {
    sk_buffer_byte(to, '"');
    size_t plain = 0, i = 0; /* start of the run not yet copied; where we look */
    while (i < text.n) {
        unsigned char c = (unsigned char)text.p[i];
        size_t length = sk_utf8_length(sk_span_skip(text, i));
        if (length && c >= 0x20 && c != '"' && c != '\\') {
            i += length;
            continue;
        }
        sk_buffer_append(to, sk_span(text.p + plain, i - plain));
        if (length)
            put_escaped(to, c);
        else
            sk_buffer_text(to, "\xef\xbf\xbd"); /* U+FFFD */
        plain = ++i;
    }
    sk_buffer_append(to, sk_span(text.p ? text.p + plain : NULL, text.n - plain));
    sk_buffer_byte(to, '"');
}

bool sk_equal_constant_time(struct sk_span a, struct sk_span b) {
    unsigned char different = a.n != b.n;
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++) different |= (unsigned char)(a.p[i] ^ b.p[i]);
    return different == 0;
}

int sk_text_width(const char *text) {
    int n = 0;
    for (; *text; text++) n += (*text & 0xC0) != 0x80;
    return n;
}

/* ---- words ---- */

enum { FAR = 3 }; /* so many letters make different words */

/* How many letters tell two words apart (Levenshtein's distance), at most FAR. */
static unsigned distance(struct sk_span a, struct sk_span b) {
    enum { COMPARED_MAX = 64 };
    unsigned row[COMPARED_MAX + 1];
    if (a.n > COMPARED_MAX || b.n > COMPARED_MAX) return FAR;
    for (unsigned j = 0; j <= b.n; j++) row[j] = j;
    for (unsigned i = 1; i <= a.n; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= b.n; j++) {
            unsigned replaced = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            unsigned shorter = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = replaced < shorter ? replaced : shorter;
        }
    }
    return row[b.n] < FAR ? row[b.n] : FAR;
}

void sk_nearest_try(struct sk_nearest *nearest, struct sk_span typed, struct sk_span word) {
    unsigned closeness = FAR - distance(typed, word);
    if (closeness > nearest->closeness) *nearest = (struct sk_nearest){word, closeness};
}

uint64_t sk_fnv1a(uint64_t hash, struct sk_span bytes) {
    for (size_t i = 0; i < bytes.n; i++)
        hash = (hash ^ (unsigned char)bytes.p[i]) * 1099511628211ull;
    return hash;
}
