#include "net/tunnel.h"

#include "io/layer.h"
#include "wire/http.h"

/* Once open, all bytes go through as they are. */
struct tunnel {
    enum { TUNNEL_CONNECTING, TUNNEL_ASKED, TUNNEL_SECURING, TUNNEL_OPEN } state;
    struct sk_http_parser answer;
    struct sk_buffer request; /* CONNECT */
    struct sk_tls *tls;
    char *server_name;
};

enum sk_status sk_proxy_parse(struct sk_span url, struct sk_arena *arena, struct sk_proxy *proxy) {
    *proxy = (struct sk_proxy){0};
    if (!sk_span_starts_nocase(url, SK_SPAN("http://"))) return SK_MALFORMED;
    url = sk_span_skip(url, 7);
    url = sk_span_first(url, sk_span_find(url, '/'));
    size_t at = url.n;
    while (at && url.p[at - 1] != '@') at--;
    if (at) {
        struct sk_buffer plain = {0}, encoded = {0};
        sk_percent_decode(&plain, sk_span_first(url, at - 1));
        sk_base64_encode(&encoded, sk_buffer_span(&plain));
        proxy->credentials = sk_arena_copy(arena, sk_buffer_span(&encoded));
        sk_buffer_free(&plain);
        sk_buffer_free(&encoded);
        url = sk_span_skip(url, at);
    }
    size_t colon = url.n;
    while (colon && url.p[colon - 1] != ':') colon--;
    int64_t port;
    if (colon < 2 || sk_span_to_int(sk_span_skip(url, colon), &port) || port < 1 || port > 65535)
        return SK_MALFORMED;
    struct sk_span host = sk_span_first(url, colon - 1);
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = sk_span(host.p + 1, host.n - 2);
    proxy->at = (struct sk_endpoint){.host = sk_arena_copy(arena, host).p, .port = (uint16_t)port};
    return SK_OK;
}

void sk_put_authority(struct sk_buffer *to, const struct sk_endpoint *of, uint16_t standard) {
    sk_buffer_print(to, strchr(of->host, ':') ? "[%s]" : "%s", of->host);
    if (of->port != standard) sk_buffer_print(to, ":%u", of->port);
}

void sk_proxy_put_authorization(struct sk_buffer *to, const struct sk_proxy *proxy) {
    if (proxy->credentials.n == 0) return;
    sk_buffer_text(to, "Proxy-Authorization: Basic ");
    sk_buffer_append(to, proxy->credentials);
    sk_buffer_text(to, "\r\n");
}

/* The stream below is open: to the proxy, or, once secured, to the server. */
static void opened(struct sk_stream *layer, void *arg) {
    struct tunnel *t = arg;
    if (t->state == TUNNEL_CONNECTING) {
        t->state = TUNNEL_ASKED;
        sk_stream_write(sk_layer_below(layer), sk_buffer_span(&t->request));
        sk_buffer_free(&t->request);
    } else {
        t->state = TUNNEL_OPEN;
        sk_layer_opened(layer);
    }
}

/* The proxy's answer to CONNECT. */
static void take_answer(struct sk_stream *layer, struct tunnel *t, struct sk_span bytes) {
    size_t used;
    enum sk_http_event event;
    if (sk_http_feed(&t->answer, bytes, &used, &event)) {
        sk_layer_end(layer, SK_MALFORMED);
        return;
    }
    if (event != SK_HTTP_MESSAGE) return;
    /* A server does not speak before the client, in TLS and in HTTP. */
    if (t->answer.status / 100 != 2 || used != bytes.n) {
        SK_WARN("proxy", "%s does not connect us: %u %s", sk_stream_peer(layer), t->answer.status,
                sk_http_reason(t->answer.status));
        sk_layer_end(layer, SK_REFUSED);
        return;
    }
    t->state = t->tls ? TUNNEL_SECURING : TUNNEL_OPEN;
    if (t->tls == NULL)
        sk_layer_opened(layer);
    else if (sk_stream_start_tls(sk_layer_below(layer), t->tls, t->server_name))
        sk_layer_end(layer, SK_REFUSED);
}

static void input(struct sk_stream *layer, void *arg, struct sk_span bytes) {
    struct tunnel *t = arg;
    if (t->state == TUNNEL_OPEN)
        sk_layer_deliver(layer, bytes);
    else if (t->state == TUNNEL_ASKED)
        take_answer(layer, t, bytes);
    else
        sk_layer_end(layer, SK_MALFORMED); /* the proxy speaks without being asked */
}

static void output(void *arg, struct sk_span bytes, struct sk_buffer *below) {
    (void)arg;
    sk_buffer_append(below, bytes);
}

static void goodbye(void *arg, struct sk_buffer *below) {
    (void)arg;
    (void)below;
}

static void free_tunnel(void *arg) {
    struct tunnel *t = arg;
    sk_http_parser_free(&t->answer);
    sk_buffer_free(&t->request);
    free(t->server_name);
    free(t);
}

static const struct sk_layer_ops ops = {
    .opened = opened, .input = input, .output = output, .goodbye = goodbye, .free = free_tunnel};

struct sk_stream *sk_tunnel_connect(struct sk_io *io, const struct sk_proxy *proxy,
                                    const struct sk_endpoint *to, struct sk_tls *tls,
                                    const char *server_name, const struct sk_stream_events *events,
                                    void *arg) {
    struct tunnel *t = SK_NEW(struct tunnel);
    t->tls = tls;
    t->server_name = sk_span_dup(sk_span_z(server_name ? server_name : to->host));
    struct sk_buffer authority = {0};
    sk_put_authority(&authority, to, 0);
    sk_http_put_request(&t->request, SK_HTTP_CONNECT, sk_buffer_span(&authority),
                        sk_buffer_span(&authority));
    sk_proxy_put_authorization(&t->request, proxy);
    sk_http_put_end(&t->request);
    sk_buffer_free(&authority);
    sk_http_parser_init(&t->answer, false);
    t->answer.no_body = true;
    struct sk_stream *below = sk_connect(io, &proxy->at, NULL, NULL, NULL, NULL);
    struct sk_stream *layer = sk_layer_new(below, &ops, t);
    sk_layer_connecting(layer, events, arg);
    return layer;
}
