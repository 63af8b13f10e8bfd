/* Module inputs and leaf devices that routes lead to: from their queues into a session,
 * acknowledged by it, committed in order.
 *
 * A delivery number has the queue's bit, counted from 1, in the top byte and the record's sequence
 * below it; cloud-to-device messages have numbers without that byte. When the receiver goes, what
 * it had not acknowledged is read again from the checkpoint for its next session. */
#include "edge/hub/parts.h"

enum { BIT_SHIFT = 56 };

static struct sk_session *session_of(const struct sk_edge_endpoint *e) {
    struct sk_session *session =
        sk_directory_find(&e->hub->backend, sk_span_z(e->device), sk_span_z(e->module));
    unsigned wanted = e->module ? SK_SUB_INPUTS : SK_SUB_C2D;
    return session && session->subscriptions & wanted ? session : NULL;
}

static bool is_live(const struct sk_edge_endpoint *e) {
    return session_of(e) != NULL;
}

/* ---- delivering ---- */

static uint64_t delivery_of(const struct sk_edge_queue *q, uint64_t sequence) {
    return (uint64_t)(q->bit + 1) << BIT_SHIFT | sequence;
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
    struct sk_span token =
        sk_arena_print(arena, "00000000-0000-0000-%04x-%012llx", (unsigned)(delivery >> 48),
                       (unsigned long long)(delivery & 0xffffffffffff));
    *c2d = (struct sk_c2d){.lock_token = token, .expiry_us = INT64_MAX};
    message->c2d = c2d;
}

/* True: handed to the session, or no message at all. False: it cannot take more now. */
static bool deliver(struct sk_edge_queue *q, struct sk_session *session,
                    const struct sk_record *record) {
    struct sk_message message;
    struct sk_c2d c2d;
    struct sk_arena arena = {0};
    uint64_t delivery = delivery_of(q, record->sequence);
    bool taken = true;
    if (sk_message_decode(record->body, &arena, &message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        edge_queue_done(q, record->sequence);
    } else {
        address(q->endpoint, delivery, &arena, &message, &c2d);
        message.sequence = record->sequence;
        message.enqueued_us = record->wall_us;
        taken = session->head->deliver_message(session, &message, delivery);
    }
    sk_arena_free(&arena);
    return taken;
}

/* Those that were given back come before all others. False: one of them has no room. */
static bool deliver_returned(struct sk_edge_queue *q, struct sk_session *session) {
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
        if (deliver(q, session, &record)) continue;
        edge_queue_park(q, edge_flight_find(&q->flight, sequence));
        return false;
    }
    return true;
}

static bool deliver_all_returned(struct sk_edge_endpoint *e, struct sk_session *session) {
    SK_LIST_EACH(&e->queues, node, following) {
        struct sk_edge_queue *q = SK_CONTAINER(node, struct sk_edge_queue, link);
        if (!deliver_returned(q, session)) return false;
    }
    return true;
}

static bool deliver_next(struct sk_edge_endpoint *e, struct sk_session *session) {
    struct sk_edge_queue *q = edge_endpoint_turn(e);
    if (q == NULL || edge_flight_full(&q->flight)) return false;
    struct sk_record record = q->next;
    edge_queue_take(q);
    if (deliver(q, session, &record)) return true;
    edge_queue_untake(q); /* nothing can have been settled since */
    return false;
}

static void pump(struct sk_edge_endpoint *e) {
    struct sk_session *session;
    bool room = true;
    if (e->pumping) return; /* a QoS 0 delivery settles from inside */
    e->pumping = true;
    if ((session = session_of(e)) != NULL) room = deliver_all_returned(e, session);
    while (room && (session = session_of(e)) != NULL) room = deliver_next(e, session);
    e->pumping = false;
}

const struct sk_edge_sink edge_local_sink = {.live = is_live, .pump = pump};

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

static void settle_queued(struct sk_edge_hub *hub, struct sk_request *request) {
    uint64_t bit = (request->delivery >> BIT_SHIFT) - 1,
             sequence = request->delivery & ((1ull << BIT_SHIFT) - 1);
    struct sk_span device = request->device, module = request->module;
    struct sk_edge_queue *q = bit < SK_EDGE_QUEUES_MAX ? &hub->queues[bit] : NULL;
    bool again = request->outcome == SK_RELEASE || request->outcome == SK_ABANDON;
    if (q && q->endpoint && is_for(q->endpoint, device, module)) {
        struct sk_edge_shot *shot = edge_flight_find(&q->flight, sequence);
        if (again && shot && shot->state == SK_SHOT_OUT) {
            edge_queue_park(q, shot);
        } else if (!again) {
            hub->counts.delivered_total++;
            edge_queue_done(q, sequence);
        }
    }
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

const struct sk_edge_part edge_part_inputs = {.serve = {[SK_OP_SETTLE] = settle},
                                              .subscribed = wants_more,
                                              .writable = wants_more,
                                              .closed = offline};
