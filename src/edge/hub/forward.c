/* The queue to the cloud: its cursor feeds the connections of the senders. Order is kept for each
 * identity; a record is committed when the cloud has acknowledged it and all before it. */
#include "edge/hub/parts.h"

static void pump(struct sk_task *task);

void sk_edge_forward_soon(struct sk_edge_hub *hub) {
    if (!hub->closing) sk_io_defer(hub->backend.io, &hub->upstream_pump, pump);
}

struct shot {
    struct sk_edge_hub *hub;
    uint64_t sequence;
};

static void land(struct sk_edge_hub *hub, uint64_t sequence) {
    uint64_t below = sk_edge_flight_done(&hub->upstream_flight, sequence);
    if (below) sk_cursor_commit(hub->upstream, below);
}

static void on_sent(void *arg, enum sk_status status) {
    struct shot shot = *(struct shot *)arg;
    free(arg);
    if (shot.hub->closing) return; /* not acknowledged: it goes out again after the start */
    if (status)                    /* nobody will take it */
        SK_WARN("edge-hub", "message %llu cannot be forwarded: %s",
                (unsigned long long)shot.sequence,
                status == SK_REFUSED ? "the cloud refuses it" : "its sender has left the scope");
    else
        shot.hub->counts.forwarded_total++;
    land(shot.hub, shot.sequence);
    sk_edge_forward_soon(shot.hub);
}

/* False: stop for now. */
static bool forward(struct sk_edge_hub *hub, const struct sk_record *record) {
    struct sk_message message;
    enum sk_status status = SK_OK;
    sk_edge_flight_add(&hub->upstream_flight, record->sequence);
    sk_arena_reset(&hub->arena);
    bool expired =
        hub->upstream_ttl_us >= 0 && sk_cursor_age(hub->upstream, record) > hub->upstream_ttl_us;
    if (sk_message_decode(record->body, &hub->arena, &message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        land(hub, record->sequence);
        return true;
    }
    struct sk_edge_identity *sender = sk_edge_identity_find(hub, message.device, message.module);
    if ((sender == NULL || sender->identity.disabled) &&
        !hub->scope_known) { /* our copy may be old: ask first */
        hub->upstream_flight.count--;
        sk_cursor_seek(hub->upstream, record->sequence);
        return false;
    }
    if (expired || sender == NULL || sender->identity.disabled) {
        if (expired)
            hub->counts.expired_total++;
        else
            SK_WARN("edge-hub", "a message of %.*s cannot be forwarded: it %s",
                    SK_ARG(message.device), sender ? "is disabled" : "has left the scope");
        land(hub, record->sequence);
        return true;
    }
    message.system[SK_SYS_EDGE_NUMBER] = hub->numbers
                                             ? sk_arena_print(&hub->arena, "%s:%llu", hub->epoch,
                                                              (unsigned long long)record->sequence)
                                             : SK_NONE;
    struct shot *shot = SK_NEW(struct shot);
    *shot = (struct shot){hub, record->sequence};
    status = sk_device_client_send(sk_edge_upstream_client(sender), &message, on_sent, shot);
    if (status == SK_OK) return true;
    free(shot);
    if (status == SK_TOO_LARGE) {
        SK_ERROR("edge-hub", "message %llu is too large for the cloud; skipped",
                 (unsigned long long)record->sequence);
        land(hub, record->sequence);
        return true;
    }
    hub->upstream_flight.count--;
    sk_cursor_seek(hub->upstream, record->sequence);
    return false;
}

static void pump(struct sk_task *task) {
    struct sk_edge_hub *hub = SK_CONTAINER(task, struct sk_edge_hub, upstream_pump);
    struct sk_record record;
    while (hub->counts.upstream_connected && !sk_edge_flight_full(&hub->upstream_flight)) {
        enum sk_status status = sk_cursor_next(hub->upstream, &record);
        if (status == SK_NOT_FOUND) continue;
        if (status || !forward(hub, &record)) break;
    }
}

static void readable(void *arg) {
    sk_edge_forward_soon(arg);
}

void sk_edge_forward_scope_known(struct sk_edge_hub *hub) {
    hub->scope_known = true;
    sk_edge_forward_soon(hub);
}

enum sk_status sk_edge_forward_open(struct sk_edge_hub *hub) {
    sk_edge_flight_init(&hub->upstream_flight, SK_EDGE_UPSTREAM_WINDOW);
    return sk_cursor_open(hub->log, "upstream", 1ull << SK_EDGE_UPSTREAM_BIT, 0, readable, hub,
                          &hub->upstream);
}

void sk_edge_forward_close(struct sk_edge_hub *hub) {
    sk_io_undefer(&hub->upstream_pump);
    if (hub->upstream) sk_cursor_close(hub->upstream);
    hub->upstream = NULL;
    sk_edge_flight_free(&hub->upstream_flight);
}
