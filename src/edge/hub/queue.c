/* Queues over the one log: their bits and cursors, whose turn it is, how much waits and since when.
 *
 * How much waits is counted as records come and go; what was there before the start is counted by
 * the census, a cursor that reads the log once, beside everything else. */
#include "edge/hub/parts.h"

#include <stdio.h>

enum { UPSTREAM_BIT = SK_EDGE_QUEUES_MAX - 1, LOOK_S = 60 };

/* ---- endpoints ---- */

void edge_endpoint_name(struct sk_buffer *to, struct sk_span device, struct sk_span module,
                        struct sk_span input) {
    if (module.n)
        sk_buffer_print(to, "modules/%.*s/inputs/%.*s", SK_ARG(module), SK_ARG(input));
    else if (device.n)
        sk_buffer_print(to, "devices/%.*s", SK_ARG(device));
    else
        sk_buffer_text(to, "$upstream");
    sk_buffer_byte(to, 0);
}

struct sk_edge_endpoint *edge_endpoint_find(struct sk_edge_hub *hub, const char *name) {
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (hub->endpoints[i].name && strcmp(hub->endpoints[i].name, name) == 0)
            return &hub->endpoints[i];
    return NULL;
}

struct sk_edge_endpoint *edge_endpoint_add(struct sk_edge_hub *hub, const struct sk_edge_sink *sink,
                                           struct sk_span device, struct sk_span module,
                                           struct sk_span input) {
    struct sk_buffer name = {0};
    edge_endpoint_name(&name, device, module, input);
    struct sk_edge_endpoint *e = edge_endpoint_find(hub, name.p);
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX && e == NULL; i++) {
        if (hub->endpoints[i].name) continue;
        e = &hub->endpoints[i]; /* there is one: no endpoint is without a queue */
        *e = (struct sk_edge_endpoint){.hub = hub,
                                       .sink = sink,
                                       .name = sk_span_dup(sk_span_z(name.p)),
                                       .device = device.n ? sk_span_dup(device) : NULL,
                                       .module = module.n ? sk_span_dup(module) : NULL,
                                       .input = input.n ? sk_span_dup(input) : NULL};
        sk_list_init(&e->queues);
    }
    sk_buffer_free(&name);
    return e;
}

static void free_endpoint(struct sk_edge_endpoint *e) {
    free(e->name);
    free(e->device);
    free(e->module);
    free(e->input);
    *e = (struct sk_edge_endpoint){0};
}

bool edge_endpoint_is_live(const struct sk_edge_endpoint *e) {
    bool routed = false;
    SK_LIST_EACH(&e->queues, node, following)
    routed = routed || SK_CONTAINER(node, struct sk_edge_queue, link)->used;
    return routed && e->sink->live(e);
}

void edge_endpoint_pump(struct sk_edge_endpoint *e) {
    if (edge_endpoint_is_live(e)) e->sink->pump(e);
}

/* ---- opening and closing ---- */

/* The first queue to the cloud has the name that it had when there was one alone. */
static void name_cursor(unsigned bit, char to[32]) {
    if (bit == UPSTREAM_BIT)
        snprintf(to, 32, "upstream");
    else
        snprintf(to, 32, "endpoint-%u", bit);
}

static void look(struct sk_edge_queue *q);

static void readable(void *arg) {
    struct sk_edge_queue *q = arg;
    if (edge_endpoint_is_live(q->endpoint))
        edge_endpoint_pump(q->endpoint);
    else
        look(q);
}

/* The disk has refused what was handed out early. Its senders hear that, and send again. */
static void taken_back(void *arg, uint64_t from) {
    struct sk_edge_queue *q = arg;
    if (q->peeked && q->next.sequence >= from) q->peeked = false;
    edge_flight_cut(&q->flight, from);
    q->takes_back++;
}

/* Parked shots are taken back by the queue's own cursor. */
static void aside_taken_back(void *arg, uint64_t from) {
    (void)arg, (void)from;
}

/* Into its endpoint's list: behind those of the same priority. */
static void insert(struct sk_edge_queue *q) {
    struct sk_list *before = &q->endpoint->queues;
    SK_LIST_EACH(&q->endpoint->queues, node, following) {
        if (SK_CONTAINER(node, struct sk_edge_queue, link)->priority <= q->priority) continue;
        before = node;
        break;
    }
    sk_list_append(before, &q->link); /* a node is a list's head, too: in front of it */
}

enum sk_status edge_queue_open(struct sk_edge_endpoint *e, unsigned bit, unsigned priority,
                               int64_t ttl_us, uint64_t from) {
    struct sk_edge_queue *q = &e->hub->queues[bit];
    char cursor[32];
    *q = (struct sk_edge_queue){
        .endpoint = e, .bit = bit, .priority = priority, .ttl_us = ttl_us, .used = true};
    name_cursor(bit, cursor);
    enum sk_status status =
        sk_cursor_open(e->hub->log, cursor, 1ull << bit, from, readable, q, &q->cursor);
    if (status) {
        q->endpoint = NULL;
        if (sk_list_empty(&e->queues)) free_endpoint(e);
        return status;
    }
    if (e->sink->early) sk_cursor_early(q->cursor, taken_back);
    sk_list_init(&q->link);
    insert(q);
    edge_flight_init(&q->flight, SK_EDGE_WINDOW);
    if (from != UINT64_MAX && sk_cursor_committed(q->cursor) < from) {
        sk_cursor_seek(q->cursor, from); /* left by the bit's last user */
        sk_cursor_commit(q->cursor, from);
    }
    q->from = from == UINT64_MAX ? sk_cursor_position(q->cursor) : from;
    return SK_OK;
}

void edge_queue_change(struct sk_edge_queue *q, unsigned priority, int64_t ttl_us) {
    q->ttl_us = ttl_us;
    q->old = false;
    if (q->priority == priority) return;
    q->priority = priority;
    sk_list_remove(&q->link);
    insert(q);
}

static void forget_parked(struct sk_edge_queue *q) {
    if (q->flight.parked && q->endpoint->sink->forgets) q->endpoint->sink->forgets(q);
    q->flight.parked = 0;
}

static void close_aside(struct sk_edge_queue *q) {
    if (q->aside) sk_cursor_close(q->aside);
    q->aside = NULL;
}

static void close_queue(struct sk_edge_queue *q) {
    struct sk_edge_endpoint *e = q->endpoint;
    if (e == NULL) return;
    if (!e->hub->closing) forget_parked(q);
    sk_list_remove(&q->link);
    sk_cursor_close(q->cursor);
    close_aside(q);
    edge_flight_free(&q->flight);
    *q = (struct sk_edge_queue){0};
    if (sk_list_empty(&e->queues)) free_endpoint(e);
}

void edge_queue_give_up(struct sk_edge_hub *hub, unsigned bit) {
    struct sk_edge_queue *q = &hub->queues[bit];
    char cursor[32];
    if (q->endpoint && q->depth) {
        SK_WARN("edge-hub", "%llu messages for %s are given up: no route leads there any more",
                (unsigned long long)q->depth, q->endpoint->name);
        hub->counts.given_up_total += q->depth;
    }
    close_queue(q);
    name_cursor(bit, cursor);
    sk_log_forget_cursor(hub->log, cursor);
}

/* ---- how much waits ---- */

static int64_t now_ns(const struct sk_edge_hub *hub) {
    return (int64_t)sk_io_now(hub->backend.io);
}

static int64_t born_ns(struct sk_edge_queue *q, struct sk_cursor *cursor,
                       const struct sk_record *record) {
    return now_ns(q->endpoint->hub) - sk_cursor_age(cursor, record) * 1000;
}

bool edge_queue_is_empty(const struct sk_edge_queue *q) {
    return q->depth == 0 && q->pending == 0 && q->endpoint->hub->census.ended;
}

int64_t edge_queue_age(const struct sk_edge_queue *q) {
    return q->depth ? (now_ns(q->endpoint->hub) - q->born_ns) / 1000 : 0;
}

static void count(struct sk_edge_queue *q, size_t bytes, int64_t born) {
    if (q->depth++ == 0) q->born_ns = born;
    q->bytes += bytes;
}

void edge_queues_expect(struct sk_edge_hub *hub, uint64_t bits) {
    for (; bits; bits &= bits - 1) hub->queues[__builtin_ctzll(bits)].pending++;
}

/* Of what the census has not come to yet nothing was counted, nor of what is not durable. */
static bool counted(const struct sk_edge_queue *q, uint64_t sequence) {
    const struct sk_edge_census *census = &q->endpoint->hub->census;
    return sequence < census->position || (sequence >= census->end && sequence < census->counted);
}

static void uncount(struct sk_edge_queue *q, const struct sk_edge_shot *shot) {
    if (!counted(q, shot->sequence) || q->depth == 0) return;
    q->depth--;
    q->bytes -= shot->bytes < q->bytes ? shot->bytes : q->bytes;
}

static bool is_waiting(const struct sk_edge_queue *q, uint64_t sequence) {
    const struct sk_edge_shot *shot = edge_flight_find(&q->flight, sequence);
    return sequence >= q->from && sequence >= sk_cursor_committed(q->cursor) &&
           (shot == NULL || shot->state != SK_SHOT_DONE);
}

void edge_queues_stored(struct sk_edge_hub *hub, uint64_t sequence, uint64_t bits, size_t bytes,
                        enum sk_status status) {
    for (; bits && !hub->closing; bits &= bits - 1) {
        struct sk_edge_queue *q = &hub->queues[__builtin_ctzll(bits)];
        SK_ASSERT(q->endpoint && q->pending);
        q->pending--;
        if (status == SK_OK && is_waiting(q, sequence)) count(q, bytes, now_ns(hub));
    }
    if (status == SK_OK) hub->census.counted = sequence + 1;
}

static void take_census(struct sk_task *task) {
    struct sk_edge_hub *hub = SK_CONTAINER(task, struct sk_edge_hub, census.task);
    struct sk_edge_census *census = &hub->census;
    struct sk_record record = {0};
    struct sk_share share;
    sk_share_begin(&share, hub->backend.io);
    while (sk_share_go_on(&share, 1)) {
        enum sk_status status = sk_cursor_next(census->cursor, &record);
        if (status == SK_NOT_FOUND) continue;
        if (status || record.sequence >= census->end) {
            census->position = census->end;
            census->ended = true;
            sk_cursor_close(census->cursor);
            census->cursor = NULL;
            return;
        }
        census->position = record.sequence + 1;
        for (uint64_t bits = record.routes; bits; bits &= bits - 1) {
            struct sk_edge_queue *q = &hub->queues[__builtin_ctzll(bits)];
            if (q->endpoint && is_waiting(q, record.sequence))
                count(q, record.body.n, born_ns(q, census->cursor, &record));
        }
    }
    sk_io_yield(hub->backend.io, task, take_census);
}

/* ---- reading ---- */

/* Nothing that this queue wants stands before what it reads next. */
static void pass(struct sk_edge_queue *q) {
    if (q->flight.count == 0) sk_cursor_commit(q->cursor, q->next.sequence);
}

static bool at_end(const struct sk_edge_queue *q) {
    return sk_cursor_position(q->cursor) >= sk_log_next_sequence(q->endpoint->hub->log);
}

static bool expired(struct sk_edge_queue *q, struct sk_cursor *cursor,
                    const struct sk_record *record) {
    return q->ttl_us >= 0 && sk_cursor_age(cursor, record) > q->ttl_us;
}

/* Whether there is a next record. */
static bool peek(struct sk_edge_queue *q) {
    for (;;) {
        enum sk_status status = SK_OK;
        if (!q->peeked) status = sk_cursor_next(q->cursor, &q->next);
        if (status == SK_NOT_FOUND) continue;
        if (status == SK_AGAIN && at_end(q) && q->flight.count == 0)
            q->depth = q->bytes = 0; /* whatever was lost does not wait */
        if (status) return false;
        q->peeked = true;
        if (q->flight.count == 0) q->born_ns = born_ns(q, q->cursor, &q->next);
        if (!expired(q, q->cursor, &q->next) || edge_flight_full(&q->flight)) break;
        q->endpoint->hub->counts.expired_total++;
        edge_count_dropped_record(q->endpoint->hub, "ttl_expiry", &q->next);
        edge_queue_done(q, edge_queue_take(q)->sequence);
    }
    pass(q);
    return true;
}

/* Nobody reads this queue now: passes over what is not for it, so that it does not hold the log
 * back, and drops what is too old. */
static void look(struct sk_edge_queue *q) {
    if (q->flight.count || !peek(q)) return;
    sk_cursor_seek(q->cursor, q->next.sequence); /* its window goes */
    q->peeked = false;
}

static void on_look(struct sk_timer *timer) {
    struct sk_edge_hub *hub = SK_CONTAINER(timer, struct sk_edge_hub, census.look);
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (hub->queues[i].endpoint) readable(&hub->queues[i]);
    sk_timer_start(hub->backend.io, timer, LOOK_S * SK_S, on_look);
}

struct sk_edge_queue *edge_endpoint_turn(struct sk_edge_endpoint *e) {
    struct sk_edge_queue *best = NULL;
    uint64_t unsure = UINT64_MAX; /* from here on there may be one that we have not seen yet */
    unsigned level = 0;
    SK_LIST_EACH(&e->queues, node, following) {
        struct sk_edge_queue *q = SK_CONTAINER(node, struct sk_edge_queue, link);
        if (q->priority != level && (best || unsure != UINT64_MAX)) break;
        level = q->priority;
        if (peek(q)) {
            if (best == NULL || q->next.sequence < best->next.sequence) best = q;
        } else if (!at_end(q) && sk_cursor_position(q->cursor) < unsure) {
            unsure = sk_cursor_position(q->cursor);
        }
    }
    return best && best->next.sequence <= unsure ? best : NULL;
}

/* ---- handing out ---- */

struct sk_edge_shot *edge_queue_take(struct sk_edge_queue *q) {
    SK_ASSERT(q->peeked);
    q->peeked = false;
    edge_flight_add(&q->flight, &(struct sk_edge_shot){.sequence = q->next.sequence,
                                                       .born_ns = born_ns(q, q->cursor, &q->next),
                                                       .bytes = (uint32_t)q->next.body.n});
    return edge_flight_at(&q->flight, q->flight.count - 1);
}

void edge_queue_untake(struct sk_edge_queue *q) {
    SK_ASSERT(q->flight.count && !q->peeked);
    q->flight.count--;
    q->peeked = true;
}

void edge_queue_done(struct sk_edge_queue *q, uint64_t sequence) {
    struct sk_edge_flight *flight = &q->flight;
    struct sk_edge_shot *shot = q->endpoint ? edge_flight_find(flight, sequence) : NULL;
    uint64_t below = 0;
    if (shot == NULL || shot->state == SK_SHOT_DONE) return;
    if (shot->state == SK_SHOT_PARKED) flight->parked--;
    shot->state = SK_SHOT_DONE;
    uncount(q, shot);
    while (flight->count && edge_flight_at(flight, 0)->state == SK_SHOT_DONE) {
        below = edge_flight_at(flight, 0)->sequence + 1;
        flight->first = (flight->first + 1) % flight->capacity;
        flight->count--;
    }
    if (q->aside && flight->parked == 0) close_aside(q);
    if (below == 0) return;
    if (flight->count)
        q->born_ns = edge_flight_at(flight, 0)->born_ns;
    else if (q->peeked)
        q->born_ns = born_ns(q, q->cursor, &q->next);
    sk_cursor_commit(q->cursor, below);
}

void edge_queue_rewind(struct sk_edge_queue *q) {
    for (size_t i = 0; i < q->flight.count; i++) { /* done, but behind others: it comes again */
        const struct sk_edge_shot *shot = edge_flight_at(&q->flight, i);
        if (shot->state == SK_SHOT_DONE && counted(q, shot->sequence))
            count(q, shot->bytes, shot->born_ns);
    }
    if (q->flight.count)
        sk_cursor_seek(q->cursor, edge_flight_at(&q->flight, 0)->sequence);
    else if (q->peeked)
        sk_cursor_seek(q->cursor, q->next.sequence);
    q->peeked = false;
    forget_parked(q);
    edge_flight_clear(&q->flight);
    close_aside(q);
}

void edge_queue_park(struct sk_edge_queue *q, struct sk_edge_shot *shot) {
    SK_ASSERT(shot->state == SK_SHOT_OUT);
    shot->state = SK_SHOT_PARKED;
    q->flight.parked++;
}

void edge_queue_unpark(struct sk_edge_queue *q, struct sk_edge_shot *shot) {
    SK_ASSERT(shot->state == SK_SHOT_PARKED && q->flight.parked);
    shot->state = SK_SHOT_OUT;
    q->flight.parked--;
}

size_t edge_queue_drop(struct sk_edge_queue *q) {
    if (edge_flight_full(&q->flight) || !peek(q) || edge_flight_full(&q->flight)) return 0;
    size_t bytes = q->next.body.n;
    edge_count_dropped_record(q->endpoint->hub, "store_full", &q->next);
    edge_queue_done(q, edge_queue_take(q)->sequence);
    return bytes ? bytes : 1;
}

void edge_queues_unpeek(struct sk_edge_hub *hub) {
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        struct sk_edge_queue *q = &hub->queues[i];
        if (q->endpoint == NULL || !q->peeked) continue;
        sk_cursor_seek(q->cursor, q->next.sequence);
        q->peeked = false;
    }
}

uint64_t edge_queue_purge(struct sk_edge_queue *q) {
    uint64_t purged = q->depth, end = sk_log_next_sequence(q->endpoint->hub->log);
    edge_queue_rewind(q);
    sk_cursor_seek(q->cursor, end);
    sk_cursor_commit(q->cursor, end);
    q->depth = q->bytes = 0;
    q->endpoint->hub->counts.given_up_total += purged;
    SK_WARN("edge-hub", "%llu messages for %s were purged", (unsigned long long)purged,
            q->endpoint->name);
    edge_endpoint_pump(q->endpoint);
    look(q);
    return purged;
}

static enum sk_status open_aside(struct sk_edge_queue *q, uint64_t sequence) {
    enum sk_status status = sk_cursor_open(q->endpoint->hub->log, NULL, 1ull << q->bit, sequence,
                                           NULL, NULL, &q->aside);
    if (status == SK_OK && q->endpoint->sink->early) sk_cursor_early(q->aside, aside_taken_back);
    return status;
}

enum sk_status edge_queue_reread(struct sk_edge_queue *q, uint64_t sequence,
                                 struct sk_record *record) {
    enum { NEAR = 256 /* records that are read rather than searched */ };
    enum sk_status status = q->aside ? SK_OK : open_aside(q, sequence);
    if (status) return status;
    uint64_t position = sk_cursor_position(q->aside);
    if (position > sequence || position + NEAR < sequence) sk_cursor_seek(q->aside, sequence);
    do status = sk_cursor_next(q->aside, record);
    while (status == SK_NOT_FOUND || (status == SK_OK && record->sequence < sequence));
    return status == SK_AGAIN || (status == SK_OK && record->sequence != sequence) ? SK_NOT_FOUND
                                                                                   : status;
}

/* ---- life ---- */

static void start(struct sk_edge_hub *hub) {
    struct sk_edge_census *census = &hub->census;
    uint64_t from = census->end = sk_log_next_sequence(hub->log);
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (hub->queues[i].endpoint && sk_cursor_committed(hub->queues[i].cursor) < from)
            from = sk_cursor_committed(hub->queues[i].cursor);
    census->position = from;
    if (sk_cursor_open(hub->log, NULL, UINT64_MAX, from, NULL, NULL, &census->cursor) == SK_OK)
        take_census(&census->task);
    sk_timer_start(hub->backend.io, &census->look, 0, on_look);
}

static void stop(struct sk_edge_hub *hub) {
    sk_io_undefer(&hub->census.task);
    sk_timer_stop(&hub->census.look);
    if (hub->census.cursor) sk_cursor_close(hub->census.cursor);
    hub->census.cursor = NULL;
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) close_queue(&hub->queues[i]);
}

const struct sk_edge_part edge_part_queues = {.start = start, .stop = stop};
