/* The way of messages to the cloud: its queues feed the connections of the senders. Order is kept
 * for each identity; a record is committed when the cloud has acknowledged it and all before it.
 *
 * A sender has a share of what is on its way. While it has no room the others wait a moment, so
 * that the log is read in order; when nothing of it has been acknowledged for STUCK_MS, what comes
 * of it is parked in the flight, and read again once its connection gives a sign of life. */
#include "edge/hub/parts.h"
#include "model/json_text.h"

enum {
    SHARE = 128, /* messages of one sender on their way */
    SHARE_OFFLINE = 8,
    SHARE_BYTES = 1024 * 1024,
    ALL = 1024,
    ALL_BYTES = 8 * 1024 * 1024,
    STUCK_MS = 2000,
    FLIGHT = 1024,
    FLIGHT_MAX = 16384, /* parked ones, too: then a stuck sender holds up the others after all */
};

static void on_pump(struct sk_task *task) {
    struct sk_edge_hub *hub = SK_CONTAINER(task, struct sk_edge_hub, forward.pump);
    edge_endpoint_pump(hub->forward.endpoint);
}

void edge_forward_soon(struct sk_edge_hub *hub) {
    if (!hub->closing) sk_io_defer(hub->backend.io, &hub->forward.pump, on_pump);
}

static void on_timer(struct sk_timer *timer) {
    edge_endpoint_pump(SK_CONTAINER(timer, struct sk_edge_hub, forward.timer)->forward.endpoint);
}

/* ---- shares ---- */

static bool has_room(const struct sk_edge_identity *sender) {
    return sender->sending.count < (sender->connected ? SHARE : SHARE_OFFLINE) &&
           (sender->sending.count == 0 || sender->sending.bytes < SHARE_BYTES);
}

static bool all_have_room(const struct sk_edge_hub *hub) {
    return hub->forward.count < ALL && (hub->forward.count == 0 || hub->forward.bytes < ALL_BYTES);
}

/* When a sender without room counts as stuck. */
static uint64_t stuck_at(const struct sk_edge_identity *sender) {
    return sender->sending.progress_ns + STUCK_MS * SK_MS;
}

static void add_to_share(struct sk_edge_identity *sender, size_t bytes) {
    if (sender->sending.count++ == 0)
        sender->sending.progress_ns = sk_io_now(sender->hub->backend.io);
    sender->sending.bytes += bytes;
    sender->hub->forward.count++;
    sender->hub->forward.bytes += bytes;
}

static void take_from_share(struct sk_edge_identity *sender, size_t bytes) {
    SK_ASSERT(sender->sending.count && sender->hub->forward.count);
    sender->sending.count--;
    sender->sending.bytes -= bytes;
    sender->hub->forward.count--;
    sender->hub->forward.bytes -= bytes;
}

/* ---- handing over ---- */

struct shot {
    struct sk_edge_hub *hub;
    struct sk_edge_identity *sender;
    unsigned bit;
    size_t bytes;
    uint64_t sequence;
};

static void arrived(struct sk_edge_hub *hub, const struct shot *shot) {
    const struct sk_edge_shot *flying =
        edge_flight_find(&hub->queues[shot->bit].flight, shot->sequence);
    hub->counts.forwarded_total++;
    if (flying) edge_shot_arrived(hub, flying);
}

static void on_sent(void *arg, enum sk_status status) {
    struct shot shot = *(struct shot *)arg;
    struct sk_edge_hub *hub = shot.hub;
    free(arg);
    if (hub->closing) return; /* not acknowledged: it goes out again after the start */
    take_from_share(shot.sender, shot.bytes);
    if (status) /* nobody will take it */
        SK_WARN("edge-hub", "message %llu cannot be forwarded: %s",
                (unsigned long long)shot.sequence,
                status == SK_REFUSED ? "the cloud refuses it" : "its sender has left the scope");
    else
        arrived(hub, &shot);
    shot.sender->sending.progress_ns = sk_io_now(hub->backend.io);
    edge_queue_done(&hub->queues[shot.bit], shot.sequence);
    if (status == SK_OK) edge_forward_resume(shot.sender);
    edge_forward_soon(hub);
}

/* Each queue counts for itself: what one has sent says nothing of what the others have. */
static struct sk_span number_of(struct sk_edge_hub *hub, const struct sk_edge_queue *q,
                                uint64_t sequence) {
    unsigned long long n = sequence;
    if (!hub->forward.numbers) return SK_NONE;
    if (q->bit == SK_EDGE_QUEUES_MAX - 1)
        return sk_arena_print(&hub->arena, "%s:%llu", hub->forward.epoch, n);
    return sk_arena_print(&hub->arena, "%s/%u:%llu", hub->forward.epoch, q->bit, n);
}

/* The record is in flight. `message` is in the hub's arena. */
static void hand_over(struct sk_edge_queue *q, struct sk_edge_identity *sender,
                      struct sk_message *message, uint64_t sequence) {
    struct sk_edge_hub *hub = q->endpoint->hub;
    message->system[SK_SYS_EDGE_NUMBER] = number_of(hub, q, sequence);
    struct shot *shot = SK_NEW(struct shot);
    *shot = (struct shot){hub, sender, q->bit, sk_message_size(message), sequence};
    enum sk_status status =
        sk_device_client_send(edge_upstream_client(sender), message, on_sent, shot);
    if (status == SK_OK) {
        add_to_share(sender, shot->bytes);
        edge_shot_leaves(q, edge_flight_find(&q->flight, sequence), message);
        return;
    }
    free(shot);
    SK_ERROR("edge-hub", "message %llu is too large for the cloud; skipped",
             (unsigned long long)sequence);
    edge_queue_done(q, sequence);
}

/* ---- one record ---- */

/* A twin's changes are told by the edge hub itself. */
static struct sk_edge_identity *sender_of(struct sk_edge_hub *hub,
                                          const struct sk_message *message) {
    return message->source == SK_SOURCE_TWIN_CHANGES
               ? hub->self
               : edge_identity_find(hub, message->device, message->module);
}

/* The message of a record, in the hub's arena, and its sender. False: there is nothing to forward;
 * it may be skipped. */
static bool open_record(struct sk_edge_hub *hub, const struct sk_record *record,
                        struct sk_message *message, struct sk_edge_identity **sender) {
    sk_arena_reset(&hub->arena);
    if (sk_message_decode(record->body, &hub->arena, message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        return false;
    }
    *sender = sender_of(hub, message);
    if (*sender && !(*sender)->identity.disabled) return true;
    SK_WARN("edge-hub", "a message of %.*s cannot be forwarded: it %s", SK_ARG(message->device),
            *sender ? "is disabled" : "has left the scope");
    return false;
}

/* Whether our copy of the scope may be too old to say that a message has no sender. */
static bool must_ask_first(struct sk_edge_hub *hub, const struct sk_record *record) {
    struct sk_message message;
    if (hub->scope.known) return false;
    sk_arena_reset(&hub->arena);
    if (sk_message_decode(record->body, &hub->arena, &message)) return false;
    const struct sk_edge_identity *sender = sender_of(hub, &message);
    return sender == NULL || sender->identity.disabled;
}

static bool park(struct sk_edge_queue *q, struct sk_edge_identity *sender) {
    if (edge_flight_full(&q->flight) && !edge_flight_grow(&q->flight, FLIGHT_MAX)) return false;
    struct sk_edge_shot *shot = edge_queue_take(q);
    shot->sender = sk_hash(sk_span_z(sender->key));
    edge_queue_park(q, shot);
    if (sender->sending.parked++ == 0)
        SK_WARN("edge-hub", "the cloud takes no messages of %s now; they wait, others go on",
                sender->key);
    return true;
}

/* Takes the next record of a queue; false: stop for now. */
static bool forward(struct sk_edge_queue *q) {
    struct sk_edge_hub *hub = q->endpoint->hub;
    struct sk_message message;
    struct sk_edge_identity *sender;
    size_t most = q->flight.parked ? FLIGHT_MAX : FLIGHT;
    if (edge_flight_full(&q->flight) && !edge_flight_grow(&q->flight, most)) return false;
    if (must_ask_first(hub, &q->next)) return false;
    if (!open_record(hub, &q->next, &message, &sender)) {
        edge_queue_done(q, edge_queue_take(q)->sequence);
        return true;
    }
    if (sender->sending.parked) return park(q, sender);
    if (!has_room(sender)) {
        uint64_t now = sk_io_now(hub->backend.io), stuck = stuck_at(sender);
        if (now >= stuck) return park(q, sender);
        sk_timer_start(hub->backend.io, &hub->forward.timer, stuck - now, on_timer);
        return false;
    }
    if (!all_have_room(hub)) return false;
    hand_over(q, sender, &message, edge_queue_take(q)->sequence);
    return true;
}

/* ---- what was parked ---- */

/* The first one of a sender that is parked in a queue. */
static struct sk_edge_shot *first_parked(const struct sk_edge_queue *q, uint64_t sender) {
    for (size_t i = 0; i < q->flight.count && q->flight.parked; i++) {
        struct sk_edge_shot *shot = edge_flight_at(&q->flight, i);
        if (shot->state == SK_SHOT_PARKED && shot->sender == sender) return shot;
    }
    return NULL;
}

static void resume_queue(struct sk_edge_queue *q, struct sk_edge_identity *whose) {
    struct sk_edge_hub *hub = q->endpoint->hub;
    uint64_t hash = sk_hash(sk_span_z(whose->key));
    struct sk_edge_shot *shot;
    while (has_room(whose) && all_have_room(hub) && (shot = first_parked(q, hash)) != NULL) {
        struct sk_message message;
        struct sk_edge_identity *sender;
        struct sk_record record;
        uint64_t sequence = shot->sequence;
        whose->sending.parked--;
        edge_queue_unpark(q, shot);
        if (edge_queue_reread(q, sequence, &record) == SK_OK &&
            open_record(hub, &record, &message, &sender))
            hand_over(q, sender, &message, sequence);
        else
            edge_queue_done(q, sequence);
    }
}

void edge_forward_resume(struct sk_edge_identity *sender) {
    if (sender->hub->forward.endpoint == NULL || sender->sending.parked == 0) return;
    SK_LIST_EACH(&sender->hub->forward.endpoint->queues, node, following)
    resume_queue(SK_CONTAINER(node, struct sk_edge_queue, link), sender);
}

void edge_forward_forget(struct sk_edge_identity *sender) {
    struct sk_edge_endpoint *e = sender->hub->forward.endpoint;
    uint64_t hash = sk_hash(sk_span_z(sender->key));
    struct sk_edge_shot *shot;
    if (e == NULL || sender->sending.parked == 0) return;
    SK_WARN("edge-hub", "%zu messages of %s cannot be forwarded: its sender has left the scope",
            sender->sending.parked, sender->key);
    sender->sending.parked = 0;
    SK_LIST_EACH(&e->queues, node, following) {
        struct sk_edge_queue *q = SK_CONTAINER(node, struct sk_edge_queue, link);
        while ((shot = first_parked(q, hash)) != NULL) edge_queue_done(q, shot->sequence);
    }
}

static void pump(struct sk_edge_endpoint *e) {
    struct sk_edge_hub *hub = e->hub;
    struct sk_edge_queue *q;
    struct sk_share share;
    sk_share_begin(&share, hub->backend.io);
    sk_timer_stop(&hub->forward.timer);
    while (hub->counts.upstream_connected && all_have_room(hub)) {
        if (!sk_share_go_on(&share, 1)) {
            sk_io_yield(hub->backend.io, &hub->forward.pump, on_pump);
            return;
        }
        if ((q = edge_endpoint_turn(e)) == NULL || !forward(q)) return;
    }
}

static bool is_live(const struct sk_edge_endpoint *e) {
    return e->hub->counts.upstream_connected;
}

static void forgets(const struct sk_edge_queue *q) {
    struct sk_edge_identity *sender;
    for (size_t i = 0; (sender = sk_map_next(&q->endpoint->hub->identities, &i, NULL)) != NULL;) {
        if (sender->sending.parked == 0) continue;
        uint64_t hash = sk_hash(sk_span_z(sender->key));
        for (size_t s = 0; s < q->flight.count; s++) {
            const struct sk_edge_shot *shot = edge_flight_at(&q->flight, s);
            sender->sending.parked -= shot->state == SK_SHOT_PARKED && shot->sender == hash;
        }
    }
}

static const struct sk_edge_sink sink = {.live = is_live, .pump = pump, .forgets = forgets};

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

void edge_forward_scope_known(struct sk_edge_hub *hub) {
    hub->scope.known = true;
    edge_forward_soon(hub);
}

enum sk_status edge_forward_open(struct sk_edge_hub *hub) {
    struct sk_edge_endpoint *e = edge_endpoint_add(hub, &sink, SK_NONE, SK_NONE, SK_NONE);
    enum sk_status status = edge_queue_open(e, SK_EDGE_QUEUES_MAX - 1, SK_EDGE_NO_PRIORITY, -1, 0);
    if (!status) hub->forward.endpoint = e;
    return status;
}

static void load(struct sk_edge_hub *hub) {
    hub->start.documents++;
    sk_registry_document_get(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SK_SPAN("epoch"), epoch_loaded,
                             hub);
}

static void stop(struct sk_edge_hub *hub) {
    sk_io_undefer(&hub->forward.pump);
    sk_timer_stop(&hub->forward.timer);
    hub->forward.endpoint = NULL; /* goes with its queues */
}

const struct sk_edge_part edge_part_forward = {.load = load, .stop = stop};
