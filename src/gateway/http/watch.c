/* For people, as server-sent events: GET /messages/events and /messages/notices, one JSON message
 * each, its id the sequence number; feedback and notifications of files, as they are told to one
 * receiver. A stream holds SK_STREAM_HIGH bytes and an event, however slowly its client reads, and
 * all together hold SK_HTTP_STREAMS_BYTES: where there would be more, those that have read nothing
 * for a while are cut. So is one of whose bytes nothing has left for STALLED heartbeats. */
#include "gateway/http/head.h"

#include <stdio.h>

enum { HEARTBEAT_S = 15, STALLED = 4 };
#define PATIENCE (1 * SK_S)      /* with one that reads nothing while others need its room */
#define ROOM_AGAIN (200 * SK_MS) /* until it is looked for again */
enum { EVENT_ROOM = 2 << 20 };   /* which a large event may need, as text */

static void pump_again(struct sk_task *task);
static void pump_later(struct sk_timer *timer);

/* A message as JSON; SK_AGAIN: there is none now. An empty text: it is another device's. */
static enum sk_status next_event(struct sk_http_request *r, struct sk_buffer *json, char id[40]) {
    struct sk_message message;
    enum sk_status status = r->events->next(r->events, &message);
    if (status || (r->device.n && !sk_span_eq(r->device, message.device))) return status;
    snprintf(id, 40, "%llu", (unsigned long long)message.sequence);
    sk_message_json(json, &message);
    return SK_OK;
}

/* What is told to one receiver is JSON itself. Nobody says that it has come: what is written counts
 * as taken. */
static enum sk_status next_told(struct sk_http_request *r, struct sk_buffer *json, char id[40]) {
    struct sk_message message;
    uint64_t delivery;
    enum sk_status status = r->outbox->next(r->outbox, &message, &delivery);
    if (status) return status;
    snprintf(id, 40, "%.*s", SK_ARG(message.c2d->lock_token));
    sk_buffer_append(json, message.body);
    r->outbox->settle(r->outbox, delivery, SK_COMPLETE, NULL, NULL);
    return SK_OK;
}

/* ---- what waits for clients ---- */

/* Looks how much of it there is now. */
static void look(struct sk_http_request *r) {
    struct sk_backend *backend = r->backend;
    size_t pending = r->exchange->stream ? sk_stream_pending(r->exchange->stream) : 0;
    if (pending < r->held || r->held == 0) r->since_ns = sk_io_now(r->exchange->io);
    backend->slow_bytes += pending - r->held;
    if (r->held == 0 && pending) sk_list_append(&backend->slow, &r->slow);
    if (r->held && pending == 0) sk_list_remove(&r->slow);
    r->held = pending;
}

static void forget(struct sk_http_request *r) {
    if (r->held) sk_list_remove(&r->slow);
    r->backend->slow_bytes -= r->held;
    r->held = 0;
}

/* Ends it, and lets go of all that it has. */
static void release(struct sk_http_request *r) {
    forget(r);
    sk_timer_stop(&r->later);
    sk_timer_stop(&r->heartbeat);
    sk_list_remove(&r->grant.link);
    sk_io_undefer(&r->again);
    if (r->events) r->events->close(r->events);
    if (r->outbox) r->outbox->close(r->outbox);
    r->backend->streams--;
    sk_http_request_free(r);
}

static void gone(struct sk_http_exchange *exchange) {
    release(exchange->data);
    sk_http_respond_end(exchange);
}

static void cut(struct sk_http_request *r) {
    struct sk_http_exchange *exchange = r->exchange;
    release(r);
    sk_http_respond_cut(exchange);
}

/* Whether one more event may wait for this client, at whose expense there has to be. */
static bool make_room(struct sk_http_request *r) {
    struct sk_backend *backend = r->backend;
    uint64_t now = sk_io_now(r->exchange->io);
    if (backend->slow_bytes + EVENT_ROOM <= SK_HTTP_STREAMS_BYTES) return true;
    SK_LIST_EACH(&backend->slow, node, following) {
        struct sk_http_request *one = SK_CONTAINER(node, struct sk_http_request, slow);
        look(one);
        if (one != r && one->held && now - one->since_ns >= PATIENCE) cut(one);
        if (backend->slow_bytes + EVENT_ROOM <= SK_HTTP_STREAMS_BYTES) return true;
    }
    return false;
}

static void pump(struct sk_http_request *r) {
    struct sk_share share;
    bool room = true;
    if (sk_timer_running(&r->later)) return;
    sk_share_begin(&share, r->exchange->io);
    while (room && r->exchange->stream) {
        struct sk_buffer json = {0};
        char id[40];
        if (!sk_share_go_on(&share, 1)) { /* those of other devices may be many */
            sk_io_yield(r->exchange->io, &r->again, pump_again);
            return;
        }
        look(r);
        if (!make_room(r)) {
            sk_timer_start(r->exchange->io, &r->later, ROOM_AGAIN, pump_later);
            return;
        }
        enum sk_status status = r->events ? next_event(r, &json, id) : next_told(r, &json, id);
        if (status == SK_CLOSED) gone(r->exchange); /* it has not kept up */
        if (status) return;
        /* Event data may not hold line breaks; a JSON body that came with some is one line as well
         * without them. */
        for (size_t i = 0; i < json.n; i++)
            if (json.p[i] == '\n' || json.p[i] == '\r') json.p[i] = ' ';
        if (json.n)
            room =
                sk_http_respond_event(r->exchange, SK_NONE, sk_span_z(id), sk_buffer_span(&json));
        sk_buffer_free(&json);
        look(r);
    }
}

static void pump_later(struct sk_timer *timer) {
    pump(SK_CONTAINER(timer, struct sk_http_request, later));
}

static void pump_again(struct sk_task *task) {
    pump(SK_CONTAINER(task, struct sk_http_request, again));
}

/* Many watch the same: who asks for other things is served between them. */
static void readable(void *arg) {
    struct sk_http_request *r = arg;
    sk_io_yield(r->exchange->io, &r->again, pump_again);
}

static void drained(struct sk_http_exchange *exchange) {
    look(exchange->data);
    pump(exchange->data);
}

static void revoke(struct sk_grant *grant, const struct sk_error *error) {
    (void)error; /* the answer has begun */
    gone(SK_CONTAINER(grant, struct sk_http_request, grant)->exchange);
}

/* For so many heartbeats nothing of what waits has left: its client does not read, or is away. */
static bool has_read_nothing(const struct sk_http_request *r, unsigned heartbeats) {
    uint64_t since = sk_io_now(r->exchange->io) - r->since_ns;
    return r->held && since >= heartbeats * HEARTBEAT_S * SK_S;
}

static void heartbeat(struct sk_timer *timer) {
    struct sk_http_request *r = SK_CONTAINER(timer, struct sk_http_request, heartbeat);
    if (sk_io_wall(timer->io) >= sk_sas_end_us(r->principal.expires_s)) { /* its token has ended */
        gone(r->exchange);
        return;
    }
    look(r);
    if (has_read_nothing(r, STALLED)) {
        cut(r);
        return;
    }
    /* A comment finds out whether the client is still there; one that reads nothing gets none. */
    if (!has_read_nothing(r, 1)) sk_http_respond_part(r->exchange, SK_SPAN(":\n\n"));
    sk_timer_start(timer->io, timer, HEARTBEAT_S * SK_S, heartbeat);
}

static void refuse(struct sk_http_request *r) {
    struct sk_error error;
    struct sk_http_exchange *exchange = r->exchange;
    sk_error_set(&error, SK_FAULT_THROTTLED,
                 "%d streams of events are open, as many as a hub has: close some",
                 SK_HTTP_STREAMS_MAX);
    if (r->events) r->events->close(r->events);
    if (r->outbox) r->outbox->close(r->outbox);
    sk_http_request_free(r);
    sk_http_head_refuse(exchange, &error, false, NULL);
}

static void start(struct sk_http_request *r) {
    if (r->backend->streams >= SK_HTTP_STREAMS_MAX) {
        refuse(r);
        return;
    }
    r->backend->streams++;
    if (r->backend->slow.next == NULL) sk_list_init(&r->backend->slow);
    sk_list_init(&r->slow);
    r->exchange->data = r;
    if (r->exchange->stream == NULL) {
        gone(r->exchange);
        return;
    }
    r->device = sk_percent_decoded(&r->exchange->arena,
                                   sk_http_query(r->exchange->request->query, "device"));
    r->exchange->gone = gone;
    r->grant = (struct sk_grant){.who = &r->principal, .revoke = revoke};
    sk_grant_open(r->backend, &r->grant);
    r->exchange->drained = drained;
    sk_http_respond_start(
        r->exchange, 200,
        SK_SPAN("Content-Type: text/event-stream\r\nCache-Control: no-store\r\n"));
    sk_timer_start(r->exchange->io, &r->heartbeat, HEARTBEAT_S * SK_S, heartbeat);
    pump(r);
}

void sk_http_watch_start(struct sk_http_request *r, struct sk_event_source *events) {
    r->events = events;
    events->readable = readable;
    events->arg = r;
    start(r);
}

void sk_http_watch_outbox(struct sk_http_request *r, struct sk_outbox_source *outbox) {
    r->outbox = outbox;
    outbox->readable = readable;
    outbox->arg = r;
    start(r);
}
