/* An AMQP connection that many device clients share: one token opens it, each client has links
 * of its own on it, and one of them failing does not disturb the others.
 *
 * It connects by itself and stays connected: capped exponential back-off with jitter, and the
 * token renewed while it lives. A client (client.h, options.mux) attaches when the connection is
 * there; what becomes of it the client tells its own user. Belongs to its loop's thread.
 * Reference: docs/protocols/device-protocols.md, section 3.8; docs/protocols/edge-runtime.md,
 * section 5.5. */
#ifndef SK_DEVICE_MUX_H
#define SK_DEVICE_MUX_H

#include "io/io.h"
#include "net/token_source.h"

struct sk_device_mux;

/* Texts are copied. */
struct sk_device_mux_options {
    const char *host;       /* to dial: the hub, or a gateway */
    uint16_t port;          /* 0: 5671, or 443 */
    bool websocket;         /* AMQP over WebSocket */
    uint16_t fallback_port; /* where a WebSocket is tried in turn after two failures; 0: not */
    bool fallback_first;    /* that has worked last */
    const char *proxy;  /* NULL, or "http://[user:password@]host:port" that sk_proxy_parse takes */
    struct sk_tls *tls; /* NULL: plain (tests); must outlive it */
    struct sk_span hub_host; /* the hub's host name */
    /* Whose token it is; no module: empty; no device: a policy's, for the whole hub. */
    struct sk_span device_id, module_id;
    struct sk_span product;         /* com.microsoft:client-version; empty: "skerry/<version>" */
    struct sk_token_source *tokens; /* must outlive it. No token for now: it is asked again later */
    uint32_t token_life_s;          /* 0: 3600. Renewed when three quarters of it have passed */
    uint32_t retry_min_ms, retry_max_ms; /* 0: 1 s, 60 s */
};
/* Starts connecting. */
struct sk_device_mux *sk_device_mux_new(struct sk_io *io,
                                        const struct sk_device_mux_options *options);
/* Its clients must be gone. Not from a callback of theirs. */
void sk_device_mux_free(struct sk_device_mux *mux);

#endif
