#include "edge/agent/engine/image.h"

static const char UPSTREAM[] = "$upstream";

/* ASCII letters and digits, and what the part allows besides. */
static bool only(struct sk_span text, const char *others) {
    return text.n && sk_span_only(text, others);
}

/* The first part is a host when it cannot be a folder: docker.io/library/… is the exception of
 * none. */
static bool is_host(struct sk_span part) {
    return sk_span_find(part, '.') < part.n || sk_span_find(part, ':') < part.n ||
           sk_span_is(part, "localhost") || sk_span_starts(part, sk_span_z(UPSTREAM));
}

static bool host_is_fine(struct sk_span host) {
    struct sk_span name = host, rest = sk_span_skip(host, sizeof UPSTREAM - 1);
    int64_t number;
    int port;
    if (!sk_span_starts(host, sk_span_z(UPSTREAM)))
        return sk_host_port_parse(host, &name, &port) == SK_OK && only(name, ".-:[]");
    return rest.n == 0 || (rest.p[0] == ':' && only(sk_span_skip(rest, 1), "") &&
                           sk_span_to_int(sk_span_skip(rest, 1), &number) == SK_OK);
}

/* Lower-case letters, digits and separators; parts between slashes are not empty. */
static bool path_is_fine(struct sk_span path) {
    struct sk_span rest = path, part;
    while (sk_span_split(&rest, '/', &part)) {
        if (!only(part, "._-")) return false;
        for (size_t i = 0; i < part.n; i++)
            if (part.p[i] >= 'A' && part.p[i] <= 'Z') return false;
        if (part.p[0] == '.' || part.p[0] == '-' || part.p[0] == '_') return false;
    }
    return true;
}

static size_t find_last(struct sk_span text, char c) {
    for (size_t i = text.n; i > 0; i--)
        if (text.p[i - 1] == c) return i - 1;
    return text.n;
}

enum sk_status sk_image_name_parse(struct sk_span text, struct sk_image_name *name) {
    *name = (struct sk_image_name){0};
    if (text.n == 0 || text.n > SK_IMAGE_NAME_MAX) return SK_MALFORMED;
    size_t at = sk_span_find(text, '@');
    if (at < text.n) {
        name->digest = sk_span_skip(text, at + 1);
        size_t colon = sk_span_find(name->digest, ':');
        if (colon == 0 || !only(sk_span_skip(name->digest, colon + 1), "") ||
            !only(sk_span_first(name->digest, colon), "+._-"))
            return SK_MALFORMED;
    }
    struct sk_span rest = sk_span_first(text, at);
    size_t colon = find_last(rest, ':');
    if (colon < rest.n && sk_span_find(sk_span_skip(rest, colon), '/') == rest.n - colon) {
        name->tag = sk_span_skip(rest, colon + 1);
        if (!only(name->tag, "._-") || name->tag.n > 128 || name->tag.p[0] == '.' ||
            name->tag.p[0] == '-')
            return SK_MALFORMED;
        rest = sk_span_first(rest, colon);
    }
    name->repository = rest;
    size_t slash = sk_span_find(rest, '/');
    struct sk_span first = sk_span_first(rest, slash);
    if (slash < rest.n && is_host(first)) {
        if (!host_is_fine(first)) return SK_MALFORMED;
        name->host = first;
        rest = sk_span_skip(rest, slash + 1);
    }
    return path_is_fine(rest) ? SK_OK : SK_MALFORMED;
}

enum sk_status sk_image_name_put(struct sk_buffer *to, const struct sk_image_name *name,
                                 const char *parent) {
    struct sk_span repository = name->repository;
    if (sk_span_starts(name->host, sk_span_z(UPSTREAM))) {
        if (parent == NULL) return SK_NOT_FOUND;
        sk_buffer_text(to, parent);
        repository = sk_span_skip(repository, sizeof UPSTREAM - 1);
    }
    sk_buffer_append(to, repository);
    if (name->tag.n)
        sk_buffer_print(to, ":%.*s", SK_ARG(name->tag));
    else if (name->digest.n == 0)
        sk_buffer_text(to, ":latest");
    if (name->digest.n) sk_buffer_print(to, "@%.*s", SK_ARG(name->digest));
    return SK_OK;
}

bool sk_image_is_at(const struct sk_image_name *name, struct sk_span address) {
    static const char *const hub[] = {"docker.io", "index.docker.io", "registry-1.docker.io"},
                             *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (sk_span_starts_nocase(address, sk_span_z(schemes[i])))
            address = sk_span_skip(address, strlen(schemes[i]));
    address = sk_span_first(address, sk_span_find(address, '/'));
    if (name->host.n && sk_span_eq_nocase(address, name->host)) return true;
    bool at_hub = name->host.n == 0, for_hub = address.n == 0;
    for (size_t i = 0; i < sizeof hub / sizeof *hub; i++) {
        at_hub |= sk_span_eq_nocase(name->host, sk_span_z(hub[i]));
        for_hub |= sk_span_eq_nocase(address, sk_span_z(hub[i]));
    }
    return at_hub && for_hub && address.n;
}
