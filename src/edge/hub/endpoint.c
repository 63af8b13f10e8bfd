/* Module inputs and leaf devices that routes lead to: from their queues into a session, or to calls
 * of a leaf device over HTTPS; acknowledged by it, committed in order.
 *
 * A delivery number has the queue's bit, counted from 1, in the top byte, how often the queue's
 * records were taken back in the next, and the record's sequence in the six below them;
 * cloud-to-device messages have numbers without the first. When the receiver goes, what it had not
 * acknowledged is read again from the checkpoint for its next session. What a call has got is lent:
 * its lock ends by its time alone, as there is no session that could end.
 *
 * The receiver gets a message while the disk is still at work on it: the sender hears of its own
 * acknowledgement only afterwards, and the queue's checkpoint waits as well (decision 28). */
#include "edge/hub/parts.h"

#include <stdio.h>
#include <strings.h>

#define TOKEN_FORMAT "00000000-0000-0000-%04x-%012llx"
enum { BIT_SHIFT = 56, TAKES_BACK_SHIFT = 48, TOKEN_SIZE = 37 };

static struct sk_session *session_of(const struct sk_edge_endpoint *e) {
    struct sk_session *session =
        sk_directory_find(&e->hub->backend, sk_span_z(e->device), sk_span_z(e->module));
    unsigned wanted = e->module ? SK_SUB_INPUTS : SK_SUB_C2D;
    return session && session->subscriptions & wanted ? session : NULL;
}

/* Who asks over HTTPS; NULL: nobody. */
static struct sk_edge_identity *caller_of(const struct sk_edge_endpoint *e) {
    struct sk_edge_identity *identity =
        e->module ? NULL : edge_identity_find(e->hub, sk_span_z(e->device), SK_NONE);
    return identity && edge_poll_lock_ns(identity) ? identity : NULL;
}

/* Without a session what is in flight is lent, or has come back. */
static bool is_live(const struct sk_edge_endpoint *e) {
    if (session_of(e) || caller_of(e)) return true;
    SK_LIST_EACH(&e->queues, node, following)
    if (SK_CONTAINER(node, struct sk_edge_queue, link)->flight.count) return true;
    return false;
}

/* ---- delivering ---- */

static uint64_t delivery_of(const struct sk_edge_queue *q, uint64_t sequence) {
    return (uint64_t)(q->bit + 1) << BIT_SHIFT | (uint64_t)q->takes_back << TAKES_BACK_SHIFT |
           sequence;
}

/* What a leaf device gets looks like a message from the cloud; who has sent it, it is told by the
 * user id, as Azure's cloud-to-device messages have it. The lock token is the delivery's number. */
static void address(const struct sk_edge_endpoint *e, uint64_t delivery, struct sk_arena *arena,
                    struct sk_message *message, struct sk_c2d *c2d) {
    message->system[SK_SYS_EDGE_NUMBER] = SK_NONE; /* between edges */
    if (e->module) {
        message->system[SK_SYS_INPUT] = sk_span_z(e->input);
        return;
    }
    message->system[SK_SYS_USER_ID] =
        message->module.n
            ? sk_arena_print(arena, "%.*s/%.*s", SK_ARG(message->device), SK_ARG(message->module))
            : message->device;
    message->device = sk_span_z(e->device);
    message->module = SK_NONE;
    struct sk_span token = sk_arena_print(arena, TOKEN_FORMAT, (unsigned)(delivery >> 48),
                                          (unsigned long long)(delivery & 0xffffffffffff));
    *c2d = (struct sk_c2d){.lock_token = token, .expiry_us = INT64_MAX};
    message->c2d = c2d;
}

/* True: the session, or else a call, has it, or it is no message at all. False: nobody can take
 * more now. */
static bool deliver(struct sk_edge_queue *q, const struct sk_record *record) {
    struct sk_session *session = session_of(q->endpoint);
    struct sk_edge_identity *caller = session ? NULL : caller_of(q->endpoint);
    struct sk_message message;
    struct sk_c2d c2d;
    struct sk_arena arena = {0};
    uint64_t delivery = delivery_of(q, record->sequence);
    bool taken = true;
    if (session == NULL && caller == NULL) return false;
    if (sk_message_decode(record->body, &arena, &message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        edge_queue_done(q, record->sequence);
    } else {
        message.sequence = record->sequence;
        message.enqueued_us = record->wall_us;
        edge_shot_leaves(q, edge_flight_find(&q->flight, record->sequence), &message);
        address(q->endpoint, delivery, &arena, &message, &c2d);
        if (session) {
            taken = session->head->deliver_message(session, &message, delivery);
        } else {
            edge_flight_find(&q->flight, record->sequence)->lent_ns = edge_poll_lock_ns(caller);
            edge_poll_answer(caller, &message);
        }
    }
    sk_arena_free(&arena);
    return taken;
}

/* Those that were given back come before all others. False: one of them has no room. */
static bool deliver_returned(struct sk_edge_queue *q) {
    for (size_t i = 0; i < q->flight.count && q->flight.parked; i++) {
        struct sk_edge_shot *shot = edge_flight_at(&q->flight, i);
        struct sk_record record;
        uint64_t sequence = shot->sequence;
        if (shot->state != SK_SHOT_PARKED) continue;
        if (edge_queue_reread(q, sequence, &record)) {
            edge_queue_done(q, sequence);
            return false; /* the flight has changed: pumped again */
        }
        edge_queue_unpark(q, shot);
        if (deliver(q, &record)) continue;
        edge_queue_park(q, edge_flight_find(&q->flight, sequence));
        return false;
    }
    return true;
}

static bool deliver_all_returned(struct sk_edge_endpoint *e) {
    SK_LIST_EACH(&e->queues, node, following)
    if (!deliver_returned(SK_CONTAINER(node, struct sk_edge_queue, link))) return false;
    return true;
}

static bool deliver_next(struct sk_edge_endpoint *e) {
    struct sk_edge_queue *q = edge_endpoint_turn(e);
    if (q == NULL || edge_flight_full(&q->flight)) return false;
    struct sk_record record = q->next;
    edge_queue_take(q);
    if (deliver(q, &record)) return true;
    edge_queue_untake(q); /* nothing can have been settled since */
    return false;
}

static void give_back(struct sk_edge_queue *q, struct sk_edge_shot *shot) {
    shot->lent_ns = 0;
    edge_queue_park(q, shot);
}

/* Too old. */
static void give_up(struct sk_edge_queue *q, uint64_t sequence) {
    struct sk_record record;
    q->endpoint->hub->counts.expired_total++;
    if (edge_queue_reread(q, sequence, &record) == SK_OK)
        edge_count_dropped_record(q->endpoint->hub, "ttl_expiry", &record);
    edge_queue_done(q, sequence);
}

/* What a call has kept too long comes back; what has come back and is too old goes. */
static void take_back(struct sk_edge_queue *q) {
    uint64_t now = sk_io_now(q->endpoint->hub->backend.io);
    for (size_t i = 0; i < q->flight.count; i++) {
        struct sk_edge_shot *shot = edge_flight_at(&q->flight, i);
        if (shot->state == SK_SHOT_OUT && shot->lent_ns && now >= shot->lent_ns) give_back(q, shot);
    }
    for (size_t i = 0; i < q->flight.count && q->ttl_us >= 0; i++) {
        const struct sk_edge_shot *shot = edge_flight_at(&q->flight, i);
        if (shot->state != SK_SHOT_PARKED || ((int64_t)now - shot->born_ns) / 1000 <= q->ttl_us)
            continue;
        give_up(q, shot->sequence);
        i = SIZE_MAX; /* the flight has changed */
    }
}

static void pump(struct sk_edge_endpoint *e) {
    if (e->pumping) return; /* a QoS 0 delivery settles from inside */
    e->pumping = true;
    SK_LIST_EACH(&e->queues, node, following)
    take_back(SK_CONTAINER(node, struct sk_edge_queue, link));
    bool room = deliver_all_returned(e);
    while (room && (session_of(e) || caller_of(e))) room = deliver_next(e);
    e->pumping = false;
}

const struct sk_edge_sink edge_local_sink = {.early = true, .live = is_live, .pump = pump};

/* ---- the receiver's session ---- */

static bool is_for(const struct sk_edge_endpoint *e, struct sk_span device, struct sk_span module) {
    return e->name && e->device && sk_span_is(device, e->device) &&
           sk_span_is(module, e->module ? e->module : "");
}

static void pump_all(struct sk_edge_hub *hub, struct sk_span device, struct sk_span module) {
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (is_for(&hub->endpoints[i], device, module)) edge_endpoint_pump(&hub->endpoints[i]);
}

static void wants_more(struct sk_edge_hub *hub, struct sk_session *session,
                       struct sk_edge_identity *identity) {
    (void)identity;
    pump_all(hub, sk_span_z(session->principal.device), sk_span_z(session->principal.module));
}

static void offline(struct sk_edge_hub *hub, struct sk_session *session,
                    struct sk_edge_identity *identity) {
    struct sk_span device = sk_span_z(session->principal.device),
                   module = sk_span_z(session->principal.module);
    (void)identity;
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (hub->queues[i].endpoint && is_for(hub->queues[i].endpoint, device, module))
            edge_queue_rewind(&hub->queues[i]);
}

static void end_shot(struct sk_edge_queue *q, struct sk_edge_shot *shot, enum sk_outcome outcome) {
    if (outcome == SK_RELEASE || outcome == SK_ABANDON) {
        if (shot && shot->state == SK_SHOT_OUT) give_back(q, shot);
        return;
    }
    q->endpoint->hub->counts.delivered_total++;
    if (shot == NULL) return;
    edge_shot_arrived(q->endpoint->hub, shot);
    edge_queue_done(q, shot->sequence);
}

/* The queue of a delivery, if it leads to this identity. */
static struct sk_edge_queue *queue_of(struct sk_edge_hub *hub, uint64_t delivery,
                                      struct sk_span device, struct sk_span module) {
    uint64_t bit = (delivery >> BIT_SHIFT) - 1;
    struct sk_edge_queue *q = bit < SK_EDGE_QUEUES_MAX ? &hub->queues[bit] : NULL;
    return q && q->endpoint && is_for(q->endpoint, device, module) ? q : NULL;
}

static struct sk_edge_shot *shot_of(const struct sk_edge_queue *q, uint64_t delivery) {
    uint64_t sequence = delivery & ((1ull << TAKES_BACK_SHIFT) - 1);
    return delivery_of(q, sequence) == delivery ? edge_flight_find(&q->flight, sequence) : NULL;
}

static void settle_queued(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_span device = request->device, module = request->module;
    struct sk_edge_queue *q = queue_of(hub, request->delivery, device, module);
    if (q) end_shot(q, shot_of(q, request->delivery), request->outcome);
    sk_request_answer(request);
    /* The session's window has room again, for any of its queues. */
    pump_all(hub, device, module);
}

static void settle(struct sk_edge_hub *hub, struct sk_request *request) {
    if (request->delivery >> BIT_SHIFT)
        settle_queued(hub, request);
    else
        edge_c2d_settle(hub, request);
}

/* ---- calls over HTTPS ---- */

bool edge_endpoint_holds(const struct sk_edge_identity *identity) {
    const struct sk_edge_hub *hub = identity->hub;
    struct sk_span device = sk_span_z(identity->identity.device_id);
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        const struct sk_edge_queue *q = &hub->queues[i];
        if (q->endpoint && is_for(q->endpoint, device, SK_NONE) && !edge_queue_is_empty(q))
            return true;
    }
    return false;
}

void edge_endpoint_pump_identity(struct sk_edge_identity *identity) {
    pump_all(identity->hub, sk_span_z(identity->identity.device_id), SK_NONE);
}

/* The delivery whose token that is; 0: none of ours. */
static uint64_t delivery_of_token(struct sk_span token) {
    unsigned high;
    unsigned long long low;
    char text[TOKEN_SIZE], again[TOKEN_SIZE];
    if (token.n != TOKEN_SIZE - 1) return 0;
    snprintf(text, sizeof text, "%.*s", SK_ARG(token));
    if (sscanf(text, TOKEN_FORMAT, &high, &low) != 2) return 0;
    snprintf(again, sizeof again, TOKEN_FORMAT, high, low);
    return strcasecmp(text, again) == 0 ? (uint64_t)high << 48 | low : 0;
}

bool edge_endpoint_settle_token(struct sk_edge_identity *identity, struct sk_request *request) {
    struct sk_edge_hub *hub = identity->hub;
    uint64_t delivery = delivery_of_token(request->name);
    if (delivery >> BIT_SHIFT == 0) return false;
    struct sk_edge_queue *q = queue_of(hub, delivery, request->device, SK_NONE);
    struct sk_edge_shot *shot = q ? shot_of(q, delivery) : NULL;
    bool lent = shot && shot->state == SK_SHOT_OUT && sk_io_now(hub->backend.io) < shot->lent_ns;
    if (!lent) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_LOCK_LOST, NULL);
        return true;
    }
    end_shot(q, shot, request->outcome);
    sk_request_answer(request);
    edge_endpoint_pump_identity(identity);
    return true;
}

const struct sk_edge_part edge_part_inputs = {.serve = {[SK_OP_SETTLE] = settle},
                                              .subscribed = wants_more,
                                              .writable = wants_more,
                                              .closed = offline};
