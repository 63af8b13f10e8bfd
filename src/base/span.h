/* Text and bytes: a pointer and a length.
 *
 * A span does not own its bytes; whoever made it says how long they live. Nothing relies on a final
 * NUL. */
#ifndef SK_BASE_SPAN_H
#define SK_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

struct sk_span {
    const char *p;
    size_t n;
};

/* A span over a string literal. */
#define SK_SPAN(literal) ((struct sk_span){(literal), sizeof(literal) - 1})
/* For printf: printf("%.*s", SK_ARG(span)). */
#define SK_ARG(span) (int)(span).n, ((span).p ? (span).p : "")
#define SK_NONE ((struct sk_span){NULL, 0})

static inline struct sk_span sk_span(const void *p, size_t n) {
    return (struct sk_span){(const char *)p, n};
}
/* A span over a NUL-terminated string; NULL gives the empty span. */
static inline struct sk_span sk_span_z(const char *text) {
    return (struct sk_span){text, text ? strlen(text) : 0};
}
static inline bool sk_span_eq(struct sk_span a, struct sk_span b) {
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
static inline bool sk_span_is(struct sk_span a, const char *text) {
    return sk_span_eq(a, sk_span_z(text));
}
static inline bool sk_span_starts(struct sk_span a, struct sk_span prefix) {
    return a.n >= prefix.n && (prefix.n == 0 || memcmp(a.p, prefix.p, prefix.n) == 0);
}
/* The span without its first `n` bytes (at most all of them). */
static inline struct sk_span sk_span_skip(struct sk_span a, size_t n) {
    if (n > a.n) n = a.n;
    return (struct sk_span){a.p ? a.p + n : NULL, a.n - n};
}
static inline struct sk_span sk_span_first(struct sk_span a, size_t n) {
    return (struct sk_span){a.p, n < a.n ? n : a.n};
}

static inline char sk_lower(char c) { /* of ASCII; others stay */
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}
/* ASCII case-insensitive comparisons. */
bool sk_span_eq_nocase(struct sk_span a, struct sk_span b);
bool sk_span_starts_nocase(struct sk_span a, struct sk_span prefix);
bool sk_span_ends(struct sk_span a, struct sk_span suffix);
/* Byte order, shorter first on a tie; for sorting. */
int sk_span_compare(struct sk_span a, struct sk_span b);
/* Position of the first `c`, or a.n when absent. */
size_t sk_span_find(struct sk_span a, char c);
/* Takes the part of `*rest` before the first `c` and moves `*rest` behind it; false once `*rest` is
 * used up (p == NULL). "a//b" by '/' gives "a", "", "b"; "" gives "" once. */
bool sk_span_split(struct sk_span *rest, char c, struct sk_span *part);
/* Whether it holds only ASCII letters, digits and characters of `others`. */
bool sk_span_only(struct sk_span a, const char *others);
/* Without ASCII white space at both ends. */
struct sk_span sk_span_trim(struct sk_span a);
/* Whole span as decimal; SK_MALFORMED on anything else or overflow. */
enum sk_status sk_span_to_int(struct sk_span a, int64_t *value);
/* A NUL-terminated copy from malloc; the caller frees it. */
char *sk_span_dup(struct sk_span a);
char *sk_text_dup(const char *text); /* likewise; NULL for NULL */

#endif
