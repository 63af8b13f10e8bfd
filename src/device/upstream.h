/* How the edge reaches the cloud; what its configuration says. */
#ifndef SK_DEVICE_UPSTREAM_H
#define SK_DEVICE_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sk_edge_upstream {
    const char *host; /* the hub, or the parent edge */
    bool amqp;        /* else MQTT */
    bool websocket;   /* over WebSocket, on the port of HTTPS */
    bool fallback;    /* that too, when the protocol's own port is closed */
    uint16_t mqtt_port, amqp_port, https_port; /* 0: 8883, 5671, 443 */
    const char *proxy; /* URL of an HTTP proxy, for WebSockets and HTTPS; NULL: none */
};

/* Of the connection for messages. */
static inline uint16_t sk_edge_upstream_port(const struct sk_edge_upstream *upstream) {
    if (upstream->websocket) return upstream->https_port;
    return upstream->amqp ? upstream->amqp_port : upstream->mqtt_port;
}
static inline uint16_t sk_edge_upstream_fallback(const struct sk_edge_upstream *upstream) {
    return upstream->fallback ? upstream->https_port : 0;
}
static inline const char *sk_edge_upstream_proxy(const struct sk_edge_upstream *upstream) {
    return upstream->websocket ? upstream->proxy : NULL;
}

#endif
