#include "azure/storage_account.h"

#include <stdio.h>

struct parts {
    struct sk_span protocol, name, key, endpoint, suffix;
};

static struct sk_span *part_of(struct parts *parts, struct sk_span name) {
    const struct {
        const char *name;
        struct sk_span *to;
    } known[] = {{"DefaultEndpointsProtocol", &parts->protocol},
                 {"AccountName", &parts->name},
                 {"AccountKey", &parts->key},
                 {"BlobEndpoint", &parts->endpoint},
                 {"EndpointSuffix", &parts->suffix}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sk_span_eq_nocase(name, sk_span_z(known[i].name))) return known[i].to;
    return NULL;
}

static bool is_key(struct sk_span text) {
    struct sk_buffer decoded = {0};
    bool fine = text.n && sk_base64_decode(&decoded, text) == SK_OK && decoded.n > 0;
    sk_buffer_free(&decoded);
    return fine;
}

enum sk_status sk_storage_account_parse(struct sk_span text, struct sk_arena *arena,
                                        struct sk_storage_account *account, char error[256]) {
    struct parts parts = {0};
    struct sk_span part;
    struct sk_url url;
    *account = (struct sk_storage_account){0};
    while (sk_span_split(&text, ';', &part)) {
        size_t equals = sk_span_find(part, '=');
        struct sk_span *to = part_of(&parts, sk_span_trim(sk_span_first(part, equals)));
        if (to) *to = sk_span_trim(sk_span_skip(part, equals + 1)); /* queues and tables: others' */
    }
    account->name = parts.name;
    account->key = parts.key;
    if (parts.name.n == 0 || !is_key(parts.key)) {
        snprintf(error, 256,
                 "the connection string of a storage account has AccountName and "
                 "AccountKey, which is base64");
        return SK_MALFORMED;
    }
    if (parts.endpoint.n == 0)
        parts.endpoint = sk_arena_print(
            arena, "%.*s://%.*s.blob.%.*s",
            SK_ARG(parts.protocol.n ? parts.protocol : SK_SPAN("https")), SK_ARG(parts.name),
            SK_ARG(parts.suffix.n ? parts.suffix : SK_SPAN("core.windows.net")));
    while (parts.endpoint.n && parts.endpoint.p[parts.endpoint.n - 1] == '/') parts.endpoint.n--;
    account->blobs = parts.endpoint;
    if (sk_url_parse(parts.endpoint, &url) == SK_OK) return SK_OK;
    snprintf(error, 256, "BlobEndpoint is a URL, such as https://store.example:10000/account");
    return SK_MALFORMED;
}
