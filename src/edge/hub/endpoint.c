/* Module inputs: from a cursor into the module's session, acknowledged by the module, committed in
 * order.
 *
 * A delivery number is the endpoint's bit in the top byte and the record's sequence below it. When
 * the module goes, what it had not acknowledged is read again from the checkpoint for its next
 * session. */
#include "edge/hub/parts.h"

#include <stdio.h>

enum { BIT_SHIFT = 56 };

static struct sk_session *session_of(struct sk_edge_endpoint *e) {
    struct sk_session *session = sk_directory_find(
        &e->hub->backend, sk_span_z(e->hub->options->device_id), sk_span_z(e->module));
    return session && session->subscriptions & SK_SUB_INPUTS ? session : NULL;
}

static void commit(struct sk_edge_endpoint *e, uint64_t sequence) {
    uint64_t below = edge_flight_done(&e->flight, sequence);
    if (below) sk_cursor_commit(e->cursor, below);
}

/* True: handed to the session. False: it cannot take more now. */
static bool deliver(struct sk_edge_endpoint *e, struct sk_session *session,
                    const struct sk_record *record) {
    struct sk_message message;
    struct sk_arena arena = {0};
    if (sk_message_decode(record->body, &arena, &message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        edge_flight_add(&e->flight, record->sequence);
        commit(e, record->sequence);
        sk_arena_free(&arena);
        return true;
    }
    message.system[SK_SYS_INPUT] = sk_span_z(e->input);
    edge_flight_add(&e->flight, record->sequence);
    bool taken = session->head->deliver_message(session, &message,
                                                (uint64_t)e->bit << BIT_SHIFT | record->sequence);
    if (!taken)
        e->flight.count--; /* the last one added; nothing can have been added or settled since */
    sk_arena_free(&arena);
    return taken;
}

static void pump(struct sk_edge_endpoint *e) {
    struct sk_record record;
    struct sk_session *session;
    if (e->pumping) return; /* a QoS 0 delivery settles from inside */
    e->pumping = true;
    while (!edge_flight_full(&e->flight) && (session = session_of(e)) != NULL) {
        enum sk_status status = sk_cursor_next(e->cursor, &record);
        if (status == SK_NOT_FOUND) continue;
        if (status) break;
        if (e->ttl_us >= 0 && sk_cursor_age(e->cursor, &record) > e->ttl_us) {
            e->hub->counts.expired_total++;
            edge_flight_add(&e->flight, record.sequence);
            commit(e, record.sequence);
        } else if (!deliver(e, session, &record)) {
            sk_cursor_seek(e->cursor, record.sequence);
            break;
        }
    }
    e->pumping = false;
}

static void readable(void *arg) {
    pump(arg);
}

static void name_cursor(unsigned bit, char to[32]) {
    snprintf(to, 32, "endpoint-%u", bit);
}

enum sk_status edge_endpoint_open(struct sk_edge_hub *hub, unsigned bit, struct sk_span module,
                                  struct sk_span input, uint64_t from) {
    struct sk_edge_endpoint *e = &hub->inputs[bit];
    char cursor[32];
    struct sk_buffer name = {0};
    sk_buffer_print(&name, "modules/%.*s/inputs/%.*s", SK_ARG(module), SK_ARG(input));
    e->hub = hub;
    e->bit = bit;
    e->name = sk_span_dup(sk_buffer_span(&name));
    e->module = sk_span_dup(module);
    e->input = sk_span_dup(input);
    e->ttl_us = -1;
    sk_buffer_free(&name);
    edge_flight_init(&e->flight, SK_EDGE_WINDOW);
    name_cursor(bit, cursor);
    enum sk_status status =
        sk_cursor_open(hub->log, cursor, 1ull << bit, from, readable, e, &e->cursor);
    if (status) {
        edge_endpoint_close(e);
        return status;
    }
    if (from != UINT64_MAX &&
        sk_cursor_committed(e->cursor) < from) { /* left by the slot's last user */
        sk_cursor_seek(e->cursor, from);
        sk_cursor_commit(e->cursor, from);
    }
    e->from = from == UINT64_MAX ? sk_cursor_position(e->cursor) : from;
    return SK_OK;
}

void edge_endpoint_close(struct sk_edge_endpoint *e) {
    if (e->name == NULL) return;
    if (e->cursor) sk_cursor_close(e->cursor);
    edge_flight_free(&e->flight);
    free(e->name);
    free(e->module);
    free(e->input);
    *e = (struct sk_edge_endpoint){0};
}

void edge_endpoint_forget(struct sk_edge_hub *hub, unsigned bit) {
    char cursor[32];
    edge_endpoint_close(&hub->inputs[bit]);
    name_cursor(bit, cursor);
    sk_log_forget_cursor(hub->log, cursor);
}

void edge_endpoints_pump(struct sk_edge_hub *hub, struct sk_span module) {
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++)
        if (hub->inputs[i].name && sk_span_is(module, hub->inputs[i].module)) pump(&hub->inputs[i]);
}

/* ---- the module's session ---- */

/* Its inputs are for modules of this device only. */
static struct sk_span module_of(const struct sk_edge_hub *hub, const struct sk_session *session) {
    bool here = strcmp(session->principal.device, hub->options->device_id) == 0;
    return here ? sk_span_z(session->principal.module) : SK_NONE;
}

static void wants_more(struct sk_edge_hub *hub, struct sk_session *session,
                       struct sk_edge_identity *identity) {
    (void)identity;
    edge_endpoints_pump(hub, module_of(hub, session));
}

static void offline(struct sk_edge_hub *hub, struct sk_session *session,
                    struct sk_edge_identity *identity) {
    struct sk_span module = module_of(hub, session);
    (void)identity;
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++) {
        struct sk_edge_endpoint *e = &hub->inputs[i];
        if (e->name == NULL || !sk_span_is(module, e->module)) continue;
        if (e->flight.count) sk_cursor_seek(e->cursor, e->flight.shots[e->flight.first].sequence);
        edge_flight_clear(&e->flight);
    }
}

static void settle_input(struct sk_edge_hub *hub, struct sk_request *request) {
    uint64_t bit = request->delivery >> BIT_SHIFT,
             sequence = request->delivery & ((1ull << BIT_SHIFT) - 1);
    struct sk_span module = request->module;
    struct sk_edge_endpoint *e = bit < SK_EDGE_ENDPOINTS_MAX ? &hub->inputs[bit] : NULL;
    if (e && e->name && sk_span_is(module, e->module)) {
        hub->counts.delivered_total++;
        commit(e, sequence);
    }
    sk_request_answer(request);
    /* The session's window has room again, for any of its inputs. */
    edge_endpoints_pump(hub, module);
}

/* What modules get are inputs, what devices get cloud-to-device messages. */
static void settle(struct sk_edge_hub *hub, struct sk_request *request) {
    if (request->module.n)
        settle_input(hub, request);
    else
        edge_c2d_settle(hub, request);
}

const struct sk_edge_part edge_part_inputs = {.serve = {[SK_OP_SETTLE] = settle},
                                              .subscribed = wants_more,
                                              .writable = wants_more,
                                              .closed = offline};
