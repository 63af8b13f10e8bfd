/* Connecting as it is configured: straight or through an HTTP proxy, with or without TLS, with or
 * without a WebSocket on top. What comes out is a stream like any other. */
#ifndef SK_NET_DIAL_H
#define SK_NET_DIAL_H

#include "net/tunnel.h"

/* Everything but `tls` is copied. */
struct sk_dial_options {
    struct sk_endpoint to;
    struct sk_tls *tls;           /* NULL: plain */
    const char *server_name;      /* TLS name to check; NULL: to.host */
    const struct sk_proxy *proxy; /* NULL: none */
    const char *subprotocol;      /* of a WebSocket: "mqtt", "AMQPWSB10"; NULL: none */
    const char *path;             /* of the WebSocket; NULL: "/$iothub/websocket" */
};
/* As sk_connect; SK_REFUSED also when the proxy or the upgrade says no. */
struct sk_stream *sk_dial(struct sk_io *io, const struct sk_dial_options *options,
                          const struct sk_stream_events *events, void *arg);

#endif
