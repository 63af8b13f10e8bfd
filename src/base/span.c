#include "base/memory.h"

bool sk_span_eq_nocase(struct sk_span a, struct sk_span b) {
    return a.n == b.n && sk_span_starts_nocase(a, b);
}

bool sk_span_starts_nocase(struct sk_span a, struct sk_span prefix) {
    if (a.n < prefix.n) return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (sk_lower(a.p[i]) != sk_lower(prefix.p[i])) return false;
    return true;
}

bool sk_span_ends(struct sk_span a, struct sk_span suffix) {
    return a.n >= suffix.n && sk_span_eq(sk_span_skip(a, a.n - suffix.n), suffix);
}

int sk_span_compare(struct sk_span a, struct sk_span b) {
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n ? memcmp(a.p, b.p, n) : 0;
    return order ? order : (a.n > b.n) - (a.n < b.n);
}

size_t sk_span_find(struct sk_span a, char c) {
    const char *at = a.n ? memchr(a.p, c, a.n) : NULL;
    return at ? (size_t)(at - a.p) : a.n;
}

bool sk_span_split(struct sk_span *rest, char c, struct sk_span *part) {
    if (rest->p == NULL) return false;
    size_t at = sk_span_find(*rest, c);
    *part = sk_span_first(*rest, at);
    *rest = at == rest->n ? SK_NONE : sk_span_skip(*rest, at + 1);
    return true;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool sk_span_only(struct sk_span a, const char *others) {
    for (size_t i = 0; i < a.n; i++) {
        char c = a.p[i];
        bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && (c == 0 || strchr(others, c) == NULL)) return false;
    }
    return true;
}

struct sk_span sk_span_trim(struct sk_span a) {
    while (a.n && is_space(a.p[0])) a = sk_span_skip(a, 1);
    while (a.n && is_space(a.p[a.n - 1])) a.n--;
    return a;
}

enum sk_status sk_span_to_int(struct sk_span a, int64_t *value) {
    bool negative = a.n && a.p[0] == '-';
    if (negative) a = sk_span_skip(a, 1);
    if (a.n == 0) return SK_MALFORMED;
    int64_t sum = 0;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9') return SK_MALFORMED;
        if (__builtin_mul_overflow(sum, 10, &sum)) return SK_MALFORMED;
        if (__builtin_sub_overflow(sum, a.p[i] - '0', &sum))
            return SK_MALFORMED; /* negative: INT64_MIN fits */
    }
    if (!negative && sum == INT64_MIN) return SK_MALFORMED;
    *value = negative ? sum : -sum;
    return SK_OK;
}

char *sk_span_dup(struct sk_span a) {
    char *copy = sk_alloc(a.n + 1);
    if (a.n) memcpy(copy, a.p, a.n);
    return copy;
}

char *sk_text_dup(const char *text) {
    return text ? sk_span_dup(sk_span_z(text)) : NULL;
}
