/* Through an HTTP proxy: a stream to a server that the proxy has connected us with (CONNECT). */
#ifndef SK_NET_TUNNEL_H
#define SK_NET_TUNNEL_H

#include "io/io.h"

/* A proxy's URL: "http://[user:password@]host:port[/]". */
struct sk_proxy {
    struct sk_endpoint at;
    struct sk_span credentials; /* base64 of user:password, or empty */
};
/* The texts go into `arena`. SK_MALFORMED. */
enum sk_status sk_proxy_parse(struct sk_span url, struct sk_arena *arena, struct sk_proxy *proxy);
/* Appends "host:port", or "host" when the port is `standard` (0: none is); an IPv6 address
 * stands in brackets. */
void sk_put_authority(struct sk_buffer *to, const struct sk_endpoint *of, uint16_t standard);
/* Appends Proxy-Authorization when the proxy asks for credentials. */
void sk_proxy_put_authorization(struct sk_buffer *to, const struct sk_proxy *proxy);

/* Connects by way of `proxy`, and with `tls` secures what is in the tunnel. on_open when that is
 * done; on_close with SK_REFUSED when the proxy says no, else as of sk_connect. Everything but
 * `tls` is copied. */
struct sk_stream *sk_tunnel_connect(struct sk_io *io, const struct sk_proxy *proxy,
                                    const struct sk_endpoint *to, struct sk_tls *tls,
                                    const char *server_name, const struct sk_stream_events *events,
                                    void *arg);

#endif
