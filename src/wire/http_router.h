/* A table of HTTP routes: {SK_HTTP_GET, "/devices/{}/modules/{}", id}.
 *
 * A pattern's fixed words match without regard to case; what stands in braces, "{}" or "{name}",
 * takes one whole, non-empty segment. Where several patterns of a method match, the one with a
 * fixed word in the leftmost differing segment wins. One '/' at the end of a path is ignored. */
#ifndef SK_WIRE_HTTP_ROUTER_H
#define SK_WIRE_HTTP_ROUTER_H

#include "wire/http.h"

#define SK_HTTP_CAPTURES_MAX 6
#define SK_HTTP_SEGMENTS_MAX 32 /* of a path; the empty one in front of the first '/' counts */

struct sk_http_route {
    enum sk_http_method method;
    const char *pattern;
    int id;
};

struct sk_http_match {
    const struct sk_http_route *route;
    int id; /* the route's */
    size_t count;
    struct sk_span captures[SK_HTTP_CAPTURES_MAX]; /* percent-decoded */
    unsigned allowed; /* bit `1 << method` for each method the path has, for an Allow header */
};

/* Decoded captures are spans into `path` or `arena`. SK_NOT_FOUND: no such path (404).
 * SK_UNSUPPORTED: the path is there, the method is not (405; `allowed` is set). */
enum sk_status sk_http_route(const struct sk_http_route *routes, size_t count,
                             enum sk_http_method method, struct sk_span path,
                             struct sk_arena *arena, struct sk_http_match *match);

/* Appends "GET, PUT" for an `allowed` set. */
void sk_http_put_allowed(struct sk_buffer *to, unsigned allowed);

#endif
