#include "wire/http_router.h"

/* A path, split once for all patterns. */
struct segments {
    struct sk_span at[SK_HTTP_SEGMENTS_MAX];
    size_t count;
};

static bool split(struct sk_span path, struct segments *segments) {
    struct sk_span segment;
    while (sk_span_split(&path, '/', &segment)) {
        if (segments->count == SK_HTTP_SEGMENTS_MAX) return false;
        segments->at[segments->count++] = segment;
    }
    return true;
}

/* Whether a fixed word of a pattern is the segment; moves the pattern to the word's end. */
static bool is_word(const char **pattern, struct sk_span segment) {
    const char *p = *pattern;
    size_t n = 0;
    for (; p[n] && p[n] != '/'; n++)
        if (n == segment.n || sk_lower(p[n]) != sk_lower(segment.p[n])) return false;
    *pattern = p + n;
    return n == segment.n;
}

/* Matches a pattern and collects raw captures. `*literals` gets a bit for each segment, the first
 * one highest: 1 for a fixed word; so of two patterns the larger one wins. */
static bool match(const char *pattern, const struct segments *path, struct sk_span *captures,
                  size_t *count, uint32_t *literals) {
    *count = 0;
    *literals = 0;
    uint32_t bit = 1u << 31;
    for (size_t i = 0; i < path->count; i++, bit >>= 1) {
        struct sk_span segment = path->at[i];
        if (*pattern == '{') {
            if (segment.n == 0) return false;
            captures[(*count)++] = segment;
            pattern = strchr(pattern, '}') + 1;
        } else if (is_word(&pattern, segment)) {
            *literals |= bit;
        } else {
            return false;
        }
        if (*pattern == '\0') return i + 1 == path->count;
        pattern++; /* the '/' */
    }
    return false;
}

/* Whether a fixed word was sent percent-encoded ("%24iothub"): such paths are compared decoded. */
static struct sk_span with_plain_words(struct sk_arena *arena, struct sk_span path) {
    char *p = NULL;
    size_t n = 0;
    for (size_t i = 0; i < path.n; i++) {
        bool dollar =
            path.n - i >= 3 && path.p[i] == '%' && path.p[i + 1] == '2' && path.p[i + 2] == '4';
        if (dollar && p == NULL) {
            p = sk_arena_alloc(arena, path.n);
            memcpy(p, path.p, i);
            n = i;
        }
        if (p) p[n++] = dollar ? '$' : path.p[i];
        if (dollar) i += 2;
    }
    return p ? sk_span(p, n) : path;
}

enum sk_status sk_http_route(const struct sk_http_route *routes, size_t count,
                             enum sk_http_method method, struct sk_span path,
                             struct sk_arena *arena, struct sk_http_match *found) {
    *found = (struct sk_http_match){0};
    path = with_plain_words(arena, path);
    if (path.n > 1 && path.p[path.n - 1] == '/') path.n--;
    struct segments segments = {0};
    if (!split(path, &segments)) return SK_NOT_FOUND;
    uint32_t best = 0;
    bool taken = false;
    for (size_t i = 0; i < count; i++) {
        struct sk_span captures[SK_HTTP_CAPTURES_MAX];
        size_t captured;
        uint32_t literals;
        if (!match(routes[i].pattern, &segments, captures, &captured, &literals)) continue;
        found->allowed |= 1u << routes[i].method;
        if (routes[i].method != method || (taken && literals <= best)) continue;
        taken = true;
        best = literals;
        found->route = &routes[i];
        found->id = routes[i].id;
        found->count = captured;
        memcpy(found->captures, captures, captured * sizeof *captures);
    }
    if (!taken) return found->allowed ? SK_UNSUPPORTED : SK_NOT_FOUND;
    for (size_t i = 0; i < found->count; i++)
        found->captures[i] = sk_percent_decoded(arena, found->captures[i]);
    return SK_OK;
}

void sk_http_put_allowed(struct sk_buffer *to, unsigned allowed) {
    const char *separator = "";
    for (enum sk_http_method method = 0; method < SK_HTTP_OTHER; method++) {
        if ((allowed >> method & 1) == 0) continue;
        sk_buffer_print(to, "%s%s", separator, sk_http_method_name(method));
        separator = ", ";
    }
}
