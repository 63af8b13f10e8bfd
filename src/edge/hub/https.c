/* Leaf devices that ask for their messages over HTTPS. Two have something for them: the cloud
 * (c2d.c) and the queues that routes fill (endpoint.c). What either gives is locked for a time; its
 * token tells whose it is. */
#include "edge/hub/parts.h"

/* The first call makes the way to the cloud. */
static unsigned wait_s(const struct sk_edge_identity *identity) {
    enum { FIRST_S = 5, NEXT_S = 1 };
    const struct sk_edge_hub *hub = identity->hub;
    if (hub->draining) return 0;
    if (!hub->counts.upstream_connected)
        return edge_endpoint_holds(identity) ? NEXT_S : 0; /* it may have to be read first */
    return edge_identity_polls(identity) && identity->connected ? NEXT_S : FIRST_S;
}

static void receive(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_edge_identity *identity = edge_identity_find(hub, request->device, SK_NONE);
    if (identity == NULL || request->module.n) {
        sk_request_refuse(request, SK_FAULT_DEVICE_NOT_FOUND, NULL);
        return;
    }
    edge_poll_add(identity, request, wait_s(identity));
    edge_upstream_wants(identity);
    edge_c2d_pump(identity);
    edge_endpoint_pump_identity(identity);
}

static void settle(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_edge_identity *identity = edge_identity_find(hub, request->device, SK_NONE);
    if (identity == NULL)
        sk_request_refuse(request, SK_FAULT_MESSAGE_LOCK_LOST, NULL);
    else if (!edge_endpoint_settle_token(identity, request))
        edge_c2d_settle_token(identity, request);
}

static void drain(struct sk_edge_hub *hub) {
    struct sk_edge_identity *identity;
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;)
        edge_polls_end(identity);
}

const struct sk_edge_part edge_part_https = {
    .serve = {[SK_OP_C2D_RECEIVE] = receive, [SK_OP_C2D_SETTLE] = settle}, .drain = drain};
