/* A WebSocket as a stream: whoever speaks MQTT or AMQP over it reads and writes bytes as on a plain
 * connection. Frames are wire/websocket.h's, standing on another stream io/layer.h's. */
#ifndef SK_NET_WEBSOCKET_H
#define SK_NET_WEBSOCKET_H

#include "io/io.h"

/* The server's side of a stream on which the upgrade was agreed. Set its events, then give it what
 * has come behind the request with sk_websocket_stream_feed. */
struct sk_stream *sk_websocket_serve(struct sk_stream *below);
void sk_websocket_stream_feed(struct sk_stream *websocket, struct sk_span bytes);

/* The client's side on a connecting stream, whose events it takes: asks for the upgrade when
 * that is open. on_open when the server has agreed; on_close with SK_REFUSED when it answered
 * anything else. */
struct sk_websocket_ask {
    const char *host;     /* Host header */
    const char *path;     /* "/$iothub/websocket" */
    const char *protocol; /* "mqtt", "AMQPWSB10" */
};
struct sk_stream *sk_websocket_connect(struct sk_stream *below, const struct sk_websocket_ask *ask,
                                       const struct sk_stream_events *events, void *arg);

#endif
