/* HTTP and HTTPS: a batch is a POST of a JSON array, and 2xx takes it.
 *
 * What says that the messages themselves cannot be taken (400, 413, 415, 422) refuses them; all
 * else is tried again, as a wrong token or a missing page is mended at the other side. */
#include "hub/endpoints/parts.h"

#include <stdio.h>

#include "net/http_client.h"

enum { ANSWER_MAX = 64 * 1024, IDLE_MS = 3000 /* less than servers wait */, HEADERS_MAX = 16 };

struct webhook {
    struct sk_tls *tls;
    struct sk_http_client *client;
    struct sk_buffer body, target;
    char *host, *header_names[HEADERS_MAX];
    struct sk_http_pair headers[HEADERS_MAX + 2];
    size_t header_count;
};

static bool is_url(struct sk_span text) {
    struct sk_url url;
    return sk_url_parse(text, &url) == SK_OK && url.host.n;
}

static bool check(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX,
             "a webhook's is a URL, such as \"https://app.example/events\"");
    if (!is_url(sk_span_z(options->to))) return false;
    for (size_t i = 0; i < options->header_count; i++) {
        struct sk_span header = sk_span_z(options->headers[i]);
        size_t colon = sk_span_find(header, ':');
        snprintf(why, SK_CONFIG_WHY_MAX, "a header is \"Name: value\"");
        if (colon == 0 || colon >= header.n) return false;
        for (size_t c = 0; c < header.n; c++)
            if ((unsigned char)header.p[c] < ' ' || (c < colon && header.p[c] == ' ')) return false;
    }
    return true;
}

static void close_webhook(struct endpoint *e) {
    struct webhook *w = e->state;
    if (w == NULL) return;
    if (w->client) sk_http_client_free(w->client);
    if (w->tls) sk_tls_free(w->tls);
    for (size_t i = 0; i < HEADERS_MAX; i++) free(w->header_names[i]);
    sk_buffer_free(&w->body);
    sk_buffer_free(&w->target);
    free(w->host);
    free(w);
    e->state = NULL;
}

static void take_headers(struct webhook *w, const struct sk_hub_endpoint *options) {
    w->headers[w->header_count++] =
        (struct sk_http_pair){"Content-Type", SK_SPAN("application/json; charset=utf-8")};
    w->headers[w->header_count++] =
        (struct sk_http_pair){"User-Agent", SK_SPAN("skerry/" SK_VERSION)};
    for (size_t i = 0; i < options->header_count; i++) {
        char *name = w->header_names[i] = sk_span_dup(sk_span_z(options->headers[i]));
        char *colon = strchr(name, ':');
        *colon = 0;
        w->headers[w->header_count++] =
            (struct sk_http_pair){name, sk_span_trim(sk_span_z(colon + 1))};
    }
}

static enum sk_status open_webhook(struct endpoint *e, char reason[512]) {
    struct webhook *w = e->state = SK_NEW(struct webhook);
    struct sk_io *io = e->hub->backend.io;
    struct sk_url url;
    enum sk_status status = sk_url_parse(sk_span_z(e->options->to), &url);
    SK_ASSERT(status == SK_OK); /* check() has seen it */
    if ((status = endpoint_trust(e, url.secure, &w->tls, reason)) != SK_OK) return status;
    w->host = sk_span_dup(url.host);
    sk_buffer_append(&w->target, url.rest.n ? url.rest : SK_SPAN("/"));
    take_headers(w, e->options);
    struct sk_http_client_options options = {
        .to = {.host = w->host, .port = url.port}, .tls = w->tls, .idle_ms = IDLE_MS};
    return sk_http_client_new(io, &options, &w->client);
}

/* ---- sending ---- */

/* Without its query, in which a secret may be. */
static struct sk_span shown_url(const struct endpoint *e) {
    struct sk_span to = sk_span_z(e->options->to), path = sk_span_first(to, sk_span_find(to, '?'));
    return sk_span_first(path, sk_span_find(path, '#'));
}

static void answered(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct endpoint *e = arg;
    if (e->stopped) return; /* cancelled, as the client goes */
    if (status) {
        endpoint_ended(e, ENDPOINT_AGAIN, 0, "no answer of %.*s: %s", SK_ARG(shown_url(e)),
                       sk_status_text(status));
        return;
    }
    unsigned code = answer->status;
    bool refused = code == 400 || code == 413 || code == 415 || code == 422;
    if (code / 100 == 2)
        endpoint_ended(e, ENDPOINT_SENT, e->batch.count, NULL);
    else
        endpoint_ended(e, refused ? ENDPOINT_REFUSED : ENDPOINT_AGAIN, 0, "%.*s answered %u",
                       SK_ARG(shown_url(e)), code);
}

static void put_batch(struct endpoint *e, struct sk_buffer *to) {
    struct sk_arena arena = {0};
    struct sk_message message;
    sk_buffer_byte(to, '[');
    for (size_t i = 0; i < e->batch.count; i++) {
        sk_arena_reset(&arena);
        if (endpoint_message(e, i, &arena, &message)) continue;
        if (to->n > 1) sk_buffer_byte(to, ',');
        sk_message_json(to, &message);
    }
    sk_buffer_byte(to, ']');
    sk_arena_free(&arena);
}

static void post(struct endpoint *e) {
    struct webhook *w = e->state;
    w->body.n = 0;
    put_batch(e, &w->body);
    sk_http_client_send(
        w->client, &(struct sk_http_ask){.method = SK_HTTP_POST,
                                         .target = sk_buffer_span(&w->target),
                                         .headers = w->headers,
                                         .header_count = w->header_count,
                                         .body = sk_buffer_span(&w->body),
                                         .timeout_ms = (uint32_t)(e->options->timeout_us / 1000),
                                         .answer_max = ANSWER_MAX,
                                         .done = answered,
                                         .arg = e});
    sk_buffer_shrink(&w->body, 256 * 1024);
}

const struct endpoint_kind endpoint_webhook = {
    .check = check, .open = open_webhook, .send = post, .close = close_webhook};
