#include "edge/agent/blob.h"

#include <stdio.h>

#include "net/http_client.h"

enum { PUT_MS = 10 * 60 * 1000 };

enum sk_status sk_blob_store_parse(struct sk_span url, const char *parent, struct sk_arena *arena,
                                   struct sk_blob_store *store) {
    struct sk_url parsed;
    *store = (struct sk_blob_store){0};
    if (sk_url_parse(url, &parsed)) return SK_MALFORMED;
    size_t mark = sk_span_find(parsed.rest, '?');
    store->secure = parsed.secure;
    store->path = sk_arena_copy(arena, sk_span_first(parsed.rest, mark));
    store->query = sk_arena_copy(arena, sk_span_skip(parsed.rest, mark + 1));
    if (store->path.n < 2) return SK_MALFORMED;
    if (sk_span_is(parsed.host, "$upstream")) {
        if (parent == NULL) return SK_NOT_FOUND;
        parsed.host = sk_span_z(parent);
    }
    store->at.host = sk_arena_copy(arena, parsed.host).p;
    store->at.port = parsed.port;
    return SK_OK;
}

struct sk_blob_put {
    struct sk_http_client *client;
    void (*done)(void *arg, const char *why);
    void *arg;
};

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_blob_put *put = arg;
    char why[128];
    if (put->done == NULL) return; /* cancelled */
    bool fine = status == SK_OK && answer->status / 100 == 2;
    if (status)
        snprintf(why, sizeof why, "the blob store does not answer: %s", sk_status_text(status));
    else if (!fine)
        snprintf(why, sizeof why, "the blob store refused it: %u %s", answer->status,
                 sk_http_reason(answer->status));
    void (*done)(void *, const char *) = put->done;
    void *done_arg = put->arg;
    struct sk_http_client *client = put->client;
    put->done = NULL;
    sk_http_client_free(client);
    free(put);
    done(done_arg, fine ? NULL : why);
}

struct sk_blob_put *sk_blob_put(struct sk_io *io, const struct sk_blob_store *store,
                                struct sk_tls *tls, const char *proxy, const char *name,
                                const char *content_type, struct sk_span bytes,
                                void (*done)(void *arg, const char *why), void *arg) {
    struct sk_blob_put *put = SK_NEW(struct sk_blob_put);
    struct sk_buffer target = {0};
    struct sk_span rest = sk_span_z(name), part;
    const struct sk_http_pair headers[] = {{"x-ms-blob-type", SK_SPAN("BlockBlob")},
                                           {"Content-Type", sk_span_z(content_type)}};
    put->done = done;
    put->arg = arg;
    sk_http_client_new(io,
                       &(struct sk_http_client_options){
                           .to = store->at, .tls = store->secure ? tls : NULL, .proxy = proxy},
                       &put->client);
    sk_buffer_append(&target, store->path);
    while (sk_span_split(&rest, '/', &part)) {
        sk_buffer_byte(&target, '/');
        sk_percent_encode(&target, part);
    }
    sk_buffer_print(&target, "?%.*s", SK_ARG(store->query));
    sk_http_client_send(put->client, &(struct sk_http_ask){.method = SK_HTTP_PUT,
                                                           .target = sk_buffer_span(&target),
                                                           .headers = headers,
                                                           .header_count = 2,
                                                           .body = bytes,
                                                           .timeout_ms = PUT_MS,
                                                           .done = on_answer,
                                                           .arg = put});
    sk_buffer_free(&target);
    return put;
}

void sk_blob_put_cancel(struct sk_blob_put *put) {
    if (put == NULL) return;
    put->done = NULL;
    sk_http_client_free(put->client);
    free(put);
}
