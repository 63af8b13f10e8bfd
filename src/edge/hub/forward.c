/* The queue to the cloud: its cursor feeds the connections of the senders. Order is kept for each
 * identity; a record is committed when the cloud has acknowledged it and all before it. */
#include "edge/hub/parts.h"
#include "model/json_text.h"

static void pump(struct sk_task *task);

void edge_forward_soon(struct sk_edge_hub *hub) {
    if (!hub->closing) sk_io_defer(hub->backend.io, &hub->forward.pump, pump);
}

struct shot {
    struct sk_edge_hub *hub;
    uint64_t sequence;
};

static void land(struct sk_edge_hub *hub, uint64_t sequence) {
    uint64_t below = edge_flight_done(&hub->forward.flight, sequence);
    if (below) sk_cursor_commit(hub->forward.cursor, below);
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
    edge_forward_soon(shot.hub);
}

/* False: stop for now. */
static bool forward(struct sk_edge_hub *hub, const struct sk_record *record) {
    struct sk_message message;
    enum sk_status status = SK_OK;
    edge_flight_add(&hub->forward.flight, record->sequence);
    sk_arena_reset(&hub->arena);
    bool expired = hub->forward.ttl_us >= 0 &&
                   sk_cursor_age(hub->forward.cursor, record) > hub->forward.ttl_us;
    if (sk_message_decode(record->body, &hub->arena, &message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        land(hub, record->sequence);
        return true;
    }
    struct sk_edge_identity *sender = edge_identity_find(hub, message.device, message.module);
    if ((sender == NULL || sender->identity.disabled) &&
        !hub->scope.known) { /* our copy may be old: ask first */
        hub->forward.flight.count--;
        sk_cursor_seek(hub->forward.cursor, record->sequence);
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
    message.system[SK_SYS_EDGE_NUMBER] =
        hub->forward.numbers ? sk_arena_print(&hub->arena, "%s:%llu", hub->forward.epoch,
                                              (unsigned long long)record->sequence)
                             : SK_NONE;
    struct shot *shot = SK_NEW(struct shot);
    *shot = (struct shot){hub, record->sequence};
    status = sk_device_client_send(edge_upstream_client(sender), &message, on_sent, shot);
    if (status == SK_OK) return true;
    free(shot);
    if (status == SK_TOO_LARGE) {
        SK_ERROR("edge-hub", "message %llu is too large for the cloud; skipped",
                 (unsigned long long)record->sequence);
        land(hub, record->sequence);
        return true;
    }
    hub->forward.flight.count--;
    sk_cursor_seek(hub->forward.cursor, record->sequence);
    return false;
}

static void pump(struct sk_task *task) {
    struct sk_edge_hub *hub = SK_CONTAINER(task, struct sk_edge_hub, forward.pump);
    struct sk_record record;
    while (hub->counts.upstream_connected && !edge_flight_full(&hub->forward.flight)) {
        enum sk_status status = sk_cursor_next(hub->forward.cursor, &record);
        if (status == SK_NOT_FOUND) continue;
        if (status || !forward(hub, &record)) break;
    }
}

/* ---- the store's epoch: new with a new log, whose sequences count from the start ---- */

static void epoch_saved(void *arg, const struct sk_registry_end *end) {
    (void)end;
    edge_load_ended(arg);
}

static void save_epoch(struct sk_edge_hub *hub) {
    json_t *document =
        json_pack("{s:s,s:b}", "epoch", hub->forward.epoch, "numbers", hub->forward.numbers);
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    hub->start.documents++;
    sk_registry_document_put(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SK_SPAN("epoch"),
                             sk_span_z(text), epoch_saved, hub);
    json_decref(document);
}

static void epoch_loaded(void *arg, const struct sk_registry_end *end,
                         const struct sk_registry_document *stored) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    edge_load_ended(hub);
    if (hub->closing) return;
    json_t *document = stored ? json_loadb(stored->bytes.p, stored->bytes.n, 0, NULL) : NULL;
    const char *epoch = json_string_value(json_object_get(document, "epoch"));
    hub->forward.numbers = json_is_true(json_object_get(document, "numbers"));
    if (epoch && strlen(epoch) < sizeof hub->forward.epoch && !hub->forward.fresh_log) {
        memcpy(hub->forward.epoch, epoch, strlen(epoch) + 1);
    } else {
        sk_io_guid(hub->backend.io, hub->forward.epoch);
        save_epoch(hub);
    }
    json_decref(document);
}

void edge_numbers_set(struct sk_edge_hub *hub, bool numbers) {
    if (numbers == hub->forward.numbers) return;
    hub->forward.numbers = numbers;
    save_epoch(hub);
}

/* ---- life ---- */

static void readable(void *arg) {
    edge_forward_soon(arg);
}

void edge_forward_scope_known(struct sk_edge_hub *hub) {
    hub->scope.known = true;
    edge_forward_soon(hub);
}

enum sk_status edge_forward_open(struct sk_edge_hub *hub) {
    hub->forward.ttl_us = -1;
    edge_flight_init(&hub->forward.flight, SK_EDGE_UPSTREAM_WINDOW);
    return sk_cursor_open(hub->log, "upstream", 1ull << SK_EDGE_UPSTREAM_BIT, 0, readable, hub,
                          &hub->forward.cursor);
}

static void load(struct sk_edge_hub *hub) {
    hub->start.documents++;
    sk_registry_document_get(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SK_SPAN("epoch"), epoch_loaded,
                             hub);
}

static void stop(struct sk_edge_hub *hub) {
    sk_io_undefer(&hub->forward.pump);
    if (hub->forward.cursor) sk_cursor_close(hub->forward.cursor);
    hub->forward.cursor = NULL;
    edge_flight_free(&hub->forward.flight);
}

const struct sk_edge_part edge_part_forward = {.load = load, .stop = stop};
