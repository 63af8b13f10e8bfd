/* The hub role of skerry-edge: the edge hub with its gateway, certificates from the daemon, and
 * metrics. */
#ifndef SK_EDGE_HUB_ROLE_H
#define SK_EDGE_HUB_ROLE_H

#include "edge/hub/edge_hub.h"

struct sk_edge_hub_role;

/* Borrowed for the role's life. */
struct sk_edge_hub_role_options {
    /* Called once what only root may read has been read, before anything is written or served; on
     * failure a sentence in `reason`. NULL: nothing to do. */
    enum sk_status (*let_go)(void *arg, char reason[512]);
    void *let_go_arg;
    const char *data; /* folder for the store */
    const char *device_id, *hub_host_name;
    const char *host_name; /* ours: name in the server certificate */
    struct sk_edge_upstream upstream;
    const char *upstream_trust_file; /* PEM; NULL: the system's certificates */
    const char *workload_uri;        /* $edgeHub's own socket */
    const struct sk_endpoint *listen;
    size_t listen_count;
    const struct sk_endpoint *metrics; /* NULL: none */
    const char *image_registry;        /* URL; NULL: images are not passed on */
    struct sk_door_limits limits;      /* 0: the default */
    unsigned unspoken;                 /* SK_GATEWAY_…: turned off */
    uint64_t clients_max;              /* likewise the next two: struct sk_edge_hub_options */
    uint64_t store_bytes_max;
    bool drop_oldest;
};

/* Opens the store and asks the daemon for a certificate; listens when both are there. One sentence
 * in `reason` on failure. */
enum sk_status sk_edge_hub_role_start(struct sk_io *io,
                                      const struct sk_edge_hub_role_options *options,
                                      struct sk_edge_hub_role **role, char reason[512]);
/* Drains: closes clients, makes durable what was taken, then calls `stopped`. */
void sk_edge_hub_role_stop(struct sk_edge_hub_role *role, void (*stopped)(void *arg), void *arg);

#endif
