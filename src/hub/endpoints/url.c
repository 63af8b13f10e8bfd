/* Where endpoints are, as people write it. */
#include "hub/endpoints/parts.h"

#include <stdio.h>

/* "SCHEME://[USER:PASSWORD@]HOST[:PORT][/REST]"; the texts go into the arena, decoded. */
static bool parse_authority(struct sk_span text, struct sk_arena *arena, struct endpoint_url *url) {
    size_t slash = sk_span_find(text, '/'), at = 0;
    struct sk_span authority = sk_span_first(text, slash), host;
    int port;
    for (size_t i = 0; i < authority.n; i++)
        if (authority.p[i] == '@') at = i + 1;
    if (at) {
        struct sk_span user = sk_span_first(authority, at - 1);
        size_t colon = sk_span_find(user, ':');
        url->user = sk_arena_copy(arena, sk_percent_decoded(arena, sk_span_first(user, colon))).p;
        url->password =
            sk_arena_copy(arena, sk_percent_decoded(arena, sk_span_skip(user, colon + 1))).p;
    }
    if (sk_host_port_parse(sk_span_skip(authority, at), &host, &port) || host.n == 0 || port == 0)
        return false;
    url->host = sk_arena_copy(arena, host).p;
    url->port = port > 0 ? (uint16_t)port : url->port;
    url->rest = sk_arena_copy(arena, sk_percent_decoded(arena, sk_span_skip(text, slash + 1))).p;
    return true;
}

bool endpoint_url_parse(struct sk_span text, const struct endpoint_scheme *schemes,
                        struct sk_arena *arena, struct endpoint_url *url) {
    *url = (struct endpoint_url){0};
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] <= ' ' || text.p[i] == 0x7f) return false;
    for (; schemes->name; schemes++) {
        struct sk_span scheme = sk_span_z(schemes->name);
        if (!sk_span_starts_nocase(text, scheme)) continue;
        url->secure = schemes->secure;
        url->port = schemes->port;
        return parse_authority(sk_span_skip(text, scheme.n), arena, url);
    }
    return false;
}

enum sk_status endpoint_trust(struct endpoint *e, bool secure, struct sk_tls **tls,
                              char reason[512]) {
    char why[256];
    *tls = NULL;
    if (!secure) return SK_OK;
    enum sk_status status =
        sk_tls_trusting(e->hub->backend.io, e->options->ca_file, NULL, tls, why);
    if (status) snprintf(reason, 512, "endpoint %s: %s", e->options->name, why);
    return status;
}
