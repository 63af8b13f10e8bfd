/* The edge hub: the second backend of the gateway, for modules and leaf devices, with or without
 * the cloud.
 *
 * Telemetry is routed once, at ingest, into one durable log; each route's sink is a cursor: a
 * module's input, or $upstream. Identities come from the scope that the cloud gives this edge
 * device, and are cached; so are twins. Whether the cloud is there changes when messages leave,
 * never what a client sees. One thread; everything durable in one folder. */
#ifndef SK_EDGE_HUB_EDGE_HUB_H
#define SK_EDGE_HUB_EDGE_HUB_H

#include "device/client.h"
#include "device/upstream.h"
#include "gateway/gateway.h"

/* Queues that routes may need; the last one is always $upstream's. */
#define SK_EDGE_QUEUES_MAX 64

struct sk_edge_hub;

/* All borrowed until sk_edge_hub_close has ended. */
struct sk_edge_hub_options {
    const char *data;          /* folder */
    const char *device_id;     /* this edge device */
    const char *hub_host_name; /* the IoT hub, as in tokens */
    const char *host_name;     /* ours: what leaf devices dial (GatewayHostName) */
    struct sk_edge_upstream upstream;
    struct sk_tls *upstream_tls;    /* NULL: plain (the simulated world) */
    struct sk_token_source *tokens; /* of $edgeHub */
    uint64_t clients_max;           /* connected at a time; 0: no limit */
    uint64_t store_bytes_max;       /* of the messages; 0: as much as the disk has */
    bool drop_oldest; /* when that is used up, of the lowest priority; else newcomers are refused */
    void (*ready)(void *arg); /* the store is read: clients may be let in. Optional */
    void *ready_arg;
};

/* What its libraries make once a process; a parent may do it for its children. */
void sk_edge_hub_prepare(void);
enum sk_status sk_edge_hub_open(struct sk_io *io, const struct sk_edge_hub_options *options,
                                struct sk_edge_hub **hub, char reason[512]);
struct sk_backend *sk_edge_hub_backend(struct sk_edge_hub *hub);
/* CA certificates (PEM) that the certificates of leaf devices may lead to; replaces earlier
 * ones. */
void sk_edge_hub_trust(struct sk_edge_hub *hub, struct sk_span pem);
/* Its gateway is about to close: what its requests wait for from elsewhere is refused. */
void sk_edge_hub_drain(struct sk_edge_hub *hub);
/* Ends it; its gateway must be gone. */
void sk_edge_hub_close(struct sk_edge_hub *hub, void (*closed)(void *arg), void *arg);

struct sk_edge_hub_counts {
    uint64_t received_total;       /* messages taken */
    uint64_t forwarded_total;      /* acknowledged by the cloud */
    uint64_t delivered_total;      /* acknowledged by modules */
    uint64_t dropped_total;        /* no route took them */
    uint64_t expired_total;        /* older than their time to live */
    uint64_t shed_total;           /* dropped for others, as the store was full */
    uint64_t full_total;           /* refused, likewise */
    uint64_t given_up_total;       /* no route led to their queue, and its bit was needed */
    uint64_t queue_upstream;       /* not yet acknowledged by the cloud; not 0 before all are
                                    * counted */
    uint64_t scope_readings_total; /* of the identity scope, from the cloud */
    uint64_t clients, identities;
    bool upstream_connected;
};
struct sk_edge_hub_counts sk_edge_hub_counts(const struct sk_edge_hub *hub);

/* Metrics (Prometheus text). */
void sk_edge_hub_put_metrics(const struct sk_edge_hub *hub, struct sk_buffer *to);
/* For its status: the addresses ("host:port") on which clients should find it and cannot yet; an
 * array, whose reference it takes. */
void sk_edge_hub_set_closed_ports(struct sk_edge_hub *hub, json_t *addresses);
/* How it stands, as docs/reference/edge-status.md tells; a new reference. */
json_t *sk_edge_hub_status(const struct sk_edge_hub *hub);

/* The handler of the socket for people on the machine (docs/reference/edge-status.md); `arg` is the
 * hub. */
struct sk_http_exchange;
void sk_edge_hub_local(void *arg, struct sk_http_exchange *exchange);
#define SK_EDGE_STATUS_SOCKET "status.sock" /* in the hub's folder */

#endif
