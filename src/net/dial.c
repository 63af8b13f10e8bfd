#include "net/dial.h"

#include "net/websocket.h"

static struct sk_stream *connect_below(struct sk_io *io, const struct sk_dial_options *o,
                                       const struct sk_stream_events *events, void *arg) {
    return o->proxy ? sk_tunnel_connect(io, o->proxy, &o->to, o->tls, o->server_name, events, arg)
                    : sk_connect(io, &o->to, o->tls, o->server_name, events, arg);
}

struct sk_stream *sk_dial(struct sk_io *io, const struct sk_dial_options *options,
                          const struct sk_stream_events *events, void *arg) {
    if (options->subprotocol == NULL) return connect_below(io, options, events, arg);
    struct sk_buffer host = {0};
    sk_put_authority(&host, &options->to, options->tls ? 443 : 80);
    sk_buffer_byte(&host, 0);
    struct sk_stream *websocket = sk_websocket_connect(
        connect_below(io, options, NULL, NULL),
        &(struct sk_websocket_ask){.host = host.p,
                                   .path = options->path ? options->path : "/$iothub/websocket",
                                   .protocol = options->subprotocol},
        events, arg);
    sk_buffer_free(&host);
    return websocket;
}
