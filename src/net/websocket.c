#include "net/websocket.h"

#include "io/layer.h"
#include "wire/http.h"
#include "wire/websocket.h"

struct websocket {
    struct sk_websocket *ws;
    struct sk_io *io;
    /* Of a client until the server has agreed: */
    struct handshake {
        struct sk_http_parser answer;
        char accept[SK_WEBSOCKET_ACCEPT_SIZE + 1];
        char *host, *path, *protocol;
    } * handshake;
};

static void handshake_free(struct websocket *w) {
    struct handshake *h = w->handshake;
    if (h == NULL) return;
    w->handshake = NULL;
    sk_http_parser_free(&h->answer);
    free(h->host);
    free(h->path);
    free(h->protocol);
    free(h);
}

/* ---- frames ---- */

static void take_frames(struct sk_stream *layer, struct websocket *w, struct sk_span bytes) {
    struct sk_stream *below = sk_layer_below(layer);
    /* All payload of one read goes up at once: a user that pauses is not called again. */
    struct sk_buffer payload = {0};
    enum sk_status status = sk_websocket_feed(w->ws, bytes, &payload, sk_stream_output(below));
    sk_stream_flush(below);
    if (payload.n) sk_layer_deliver(layer, sk_buffer_span(&payload));
    sk_buffer_free(&payload);
    if (status) sk_layer_end(layer, status == SK_CLOSED ? SK_OK : status);
}

static void output(void *arg, struct sk_span bytes, struct sk_buffer *below) {
    sk_websocket_put(((struct websocket *)arg)->ws, bytes, below);
}

/* The answer to our Close is not waited for: nobody is there any more who would read it. */
static void goodbye(void *arg, struct sk_buffer *below) {
    sk_websocket_put_close(((struct websocket *)arg)->ws, SK_WEBSOCKET_NORMAL, below);
}

static void free_websocket(void *arg) {
    struct websocket *w = arg;
    handshake_free(w);
    sk_websocket_free(w->ws);
    free(w);
}

static void random_bytes(void *arg, void *to, size_t n) {
    sk_io_random(((struct websocket *)arg)->io, to, n);
}

static struct websocket *new_websocket(struct sk_stream *below, bool client) {
    struct websocket *w = SK_NEW(struct websocket);
    w->io = sk_stream_io(below);
    w->ws = sk_websocket_new(client ? random_bytes : NULL, w);
    return w;
}

/* ---- the client's handshake ---- */

static void ask_for_upgrade(struct sk_stream *layer, void *arg) {
    struct websocket *w = arg;
    struct handshake *h = w->handshake;
    struct sk_stream *below = sk_layer_below(layer);
    struct sk_buffer *out = sk_stream_output(below), key = {0};
    char random[16];
    sk_io_random(w->io, random, sizeof random);
    sk_base64_encode(&key, sk_span(random, sizeof random));
    sk_websocket_accept(sk_buffer_span(&key), h->accept);
    sk_http_put_request(out, SK_HTTP_GET, sk_span_z(h->path), sk_span_z(h->host));
    sk_http_put_header(out, "Upgrade", SK_SPAN("websocket"));
    sk_http_put_header(out, "Connection", SK_SPAN("Upgrade"));
    sk_http_put_header(out, "Sec-WebSocket-Version", SK_SPAN("13"));
    sk_http_put_header(out, "Sec-WebSocket-Key", sk_buffer_span(&key));
    sk_http_put_header(out, "Sec-WebSocket-Protocol", sk_span_z(h->protocol));
    sk_http_put_end(out);
    sk_stream_flush(below);
    sk_buffer_free(&key);
}

static bool agreed(const struct handshake *h) {
    const struct sk_http_parser *answer = &h->answer;
    return answer->status == 101 && sk_http_header_has(answer, "Upgrade", "websocket") &&
           sk_http_header_has(answer, "Connection", "upgrade") &&
           sk_span_is(sk_http_header(answer, "Sec-WebSocket-Accept"), h->accept) &&
           sk_span_is(sk_http_header(answer, "Sec-WebSocket-Protocol"), h->protocol);
}

/* Returns what stands behind the answer. */
static struct sk_span take_answer(struct sk_stream *layer, struct websocket *w,
                                  struct sk_span bytes) {
    struct handshake *h = w->handshake;
    size_t used;
    enum sk_http_event event;
    if (sk_http_feed(&h->answer, bytes, &used, &event)) {
        sk_layer_end(layer, SK_MALFORMED);
    } else if (event == SK_HTTP_MESSAGE && agreed(h)) {
        handshake_free(w);
        sk_layer_opened(layer);
        return sk_span_skip(bytes, used);
    } else if (event != SK_HTTP_MORE) {
        SK_WARN("websocket", "%s refuses the upgrade: %u %s", h->host, h->answer.status,
                sk_http_reason(h->answer.status));
        sk_layer_end(layer, SK_REFUSED);
    }
    return SK_NONE;
}

static void input(struct sk_stream *layer, void *arg, struct sk_span bytes) {
    struct websocket *w = arg;
    if (w->handshake) bytes = take_answer(layer, w, bytes);
    if (bytes.n && !w->handshake) take_frames(layer, w, bytes);
}

static const struct sk_layer_ops ops = {.opened = ask_for_upgrade,
                                        .input = input,
                                        .output = output,
                                        .goodbye = goodbye,
                                        .free = free_websocket};

struct sk_stream *sk_websocket_serve(struct sk_stream *below) {
    return sk_layer_new(below, &ops, new_websocket(below, false));
}

void sk_websocket_stream_feed(struct sk_stream *websocket, struct sk_span bytes) {
    sk_layer_feed(websocket, bytes);
}

struct sk_stream *sk_websocket_connect(struct sk_stream *below, const struct sk_websocket_ask *ask,
                                       const struct sk_stream_events *events, void *arg) {
    struct websocket *w = new_websocket(below, true);
    w->handshake = SK_NEW(struct handshake);
    sk_http_parser_init(&w->handshake->answer, false);
    w->handshake->host = sk_span_dup(sk_span_z(ask->host));
    w->handshake->path = sk_span_dup(sk_span_z(ask->path));
    w->handshake->protocol = sk_span_dup(sk_span_z(ask->protocol));
    struct sk_stream *layer = sk_layer_new(below, &ops, w);
    sk_layer_connecting(layer, events, arg);
    return layer;
}
