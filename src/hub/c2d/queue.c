/* One device's cloud-to-device messages: in order, locked one by one for whoever receives them.
 * How a message moves: docs/states.md. */
#include "hub/c2d/c2d.h"

enum { RETRY_S = 1, LOCK_MOST_S = 300 };

enum state {
    WAITING,
    READING, /* its body comes from the registry */
    LOCKED,
    ENDING, /* the registry ends it, or counts that it was abandoned */
};

struct entry {
    struct sk_list link; /* in its queue, by sequence */
    struct queue *queue;
    uint64_t sequence;
    int64_t enqueued_us, expiry_us;
    unsigned deliveries;
    bool sent;
    enum state state;
    char token[37];
    uint64_t delivery; /* the number of its last one */
    /* The session that has it and did not settle it: while it is locked, and after that while the
     * session's head will not send it again. */
    struct sk_session *holder;
    struct sk_timer lock;
};

struct queue {
    struct sk_hub *hub;
    char *device;
    struct sk_list entries;
    struct sk_list receivers; /* struct call: HTTPS requests that wait for the queue to be loaded */
    bool loaded, loading;
    bool reading;     /* a body for the session */
    bool blocked;     /* the session could take no more */
    bool failing;     /* the registry did not do something; `retry` tries again */
    unsigned purging; /* nothing is delivered meanwhile */
    unsigned pins;    /* whoever comes back to this queue; it is not freed */
    struct sk_timer retry;
};

/* A registry call on its way, or a request that waits. */
struct call {
    struct sk_list link;
    struct queue *queue;
    uint64_t sequence;
    enum sk_c2d_end end;
    struct sk_request *request; /* NULL: nobody has asked */
};

static void serve(struct queue *q);

/* ---- entries ---- */

static struct entry *find_entry(struct queue *q, uint64_t sequence) {
    SK_LIST_EACH(&q->entries, node, following) {
        struct entry *entry = SK_CONTAINER(node, struct entry, link);
        if (entry->sequence == sequence) return entry;
    }
    return NULL;
}

static void add_entry(struct queue *q, const struct sk_registry_c2d *message) {
    if (find_entry(q, message->sequence)) return; /* loaded before its sender was told */
    struct entry *entry = SK_NEW(struct entry);
    *entry = (struct entry){.queue = q,
                            .sequence = message->sequence,
                            .enqueued_us = message->enqueued_us,
                            .expiry_us = message->expiry_us,
                            .deliveries = message->deliveries,
                            .sent = message->sent};
    struct sk_list *before = &q->entries;
    while (before->prev != &q->entries &&
           SK_CONTAINER(before->prev, struct entry, link)->sequence > entry->sequence)
        before = before->prev;
    SK_ASSERT(before->prev == &q->entries ||
              SK_CONTAINER(before->prev, struct entry, link)->sequence < entry->sequence);
    sk_list_append(before, &entry->link);
}

static void drop_entry(struct entry *entry) {
    sk_timer_stop(&entry->lock);
    sk_list_remove(&entry->link);
    free(entry);
}

static void drop_entries(struct queue *q) {
    while (!sk_list_empty(&q->entries)) drop_entry(SK_LIST_FIRST(&q->entries, struct entry, link));
}

/* ---- queues ---- */

static struct queue *find_queue(struct sk_hub *hub, struct sk_span device) {
    return sk_map_get(&hub->c2d.queues, device);
}

static struct queue *open_queue(struct sk_hub *hub, struct sk_span device) {
    struct queue *q = find_queue(hub, device);
    if (q) return q;
    q = SK_NEW(struct queue);
    q->hub = hub;
    q->device = sk_span_dup(device);
    sk_list_init(&q->entries);
    sk_list_init(&q->receivers);
    sk_map_put(&hub->c2d.queues, sk_span_z(q->device), q);
    return q;
}

static void free_queue(struct queue *q) {
    SK_ASSERT(q->pins == 0 && q->purging == 0 && sk_list_empty(&q->receivers));
    drop_entries(q);
    sk_timer_stop(&q->retry);
    sk_map_remove(&q->hub->c2d.queues, sk_span_z(q->device));
    free(q->device);
    free(q);
}

/* The session that gets this queue's messages, or NULL. */
static struct sk_session *subscriber(const struct queue *q) {
    struct sk_session *session = sk_directory_find(&q->hub->backend, sk_span_z(q->device), SK_NONE);
    return session && session->subscriptions & SK_SUB_C2D ? session : NULL;
}

static bool is_idle(struct queue *q) {
    if (q->pins || q->failing || !sk_list_empty(&q->receivers) || subscriber(q)) return false;
    SK_LIST_EACH(&q->entries, node, following) {
        struct entry *entry = SK_CONTAINER(node, struct entry, link);
        if (entry->state != WAITING || entry->holder) return false;
    }
    return true;
}

static struct call *new_call(struct queue *q, uint64_t sequence, struct sk_request *request) {
    struct call *call = SK_NEW(struct call);
    *call = (struct call){.queue = q, .sequence = sequence, .request = request};
    q->pins++;
    return call;
}

static struct call take_call(void *arg) {
    struct call call = *(struct call *)arg;
    free(arg);
    return call;
}

static void unpin(struct queue *q) {
    SK_ASSERT(q->pins);
    q->pins--;
    serve(q);
}

static void on_retry(struct sk_timer *timer) {
    struct queue *q = SK_CONTAINER(timer, struct queue, retry);
    q->failing = false;
    serve(q);
}

static void fail(struct queue *q, enum sk_status status) {
    SK_WARN("hub", "cloud-to-device messages of %s: the registry failed (%s); trying again",
            q->device, sk_status_text(status));
    q->failing = true;
    sk_timer_start(q->hub->backend.io, &q->retry, RETRY_S * SK_S, on_retry);
}

/* ---- ending and giving back ---- */

/* Out of a failed call: it waits again. A session whose head will not send it again keeps it. */
static void wait_again(struct entry *entry) {
    entry->state = WAITING;
    if (entry->holder && !entry->holder->head->never_resends) entry->holder = NULL;
}

static void answer_outcome(struct sk_request *request, enum sk_status status) {
    if (request == NULL) return;
    if (status == SK_OK)
        sk_request_answer(request);
    else
        sk_request_refuse(
            request,
            status == SK_NOT_FOUND ? SK_FAULT_MESSAGE_LOCK_LOST : sk_fault_of_status(status), NULL);
}

/* A message has ended, or was abandoned. */
static void ended(void *arg, const struct sk_registry_end *end,
                  const struct sk_registry_ended *ended) {
    struct call call = take_call(arg);
    struct queue *q = call.queue;
    struct sk_hub *hub = q->hub;
    struct entry *entry = find_entry(q, call.sequence); /* unless the whole queue was dropped */
    SK_ASSERT(entry == NULL || entry->state == ENDING);
    if (ended->waits) {
        hub->counts.c2d_abandoned_total++;
        if (entry) {
            entry->deliveries = ended->waits->deliveries;
            entry->sent = true;
            entry->state = WAITING;
            entry->holder = NULL;
        }
    } else if (end->status == SK_OK || end->status == SK_NOT_FOUND) {
        hub->counts.c2d_ended_total[call.end] += ended->count;
        if (entry) drop_entry(entry);
    } else {
        if (entry) wait_again(entry);
        if (!hub->closing) fail(q, end->status);
    }
    if (ended->feedback_added) hub_feedback_added(hub, ended);
    answer_outcome(call.request, end->status);
    unpin(q);
}

static void end_entry(struct entry *entry, enum sk_c2d_end end, struct sk_request *request) {
    struct queue *q = entry->queue;
    SK_ASSERT(entry->state != ENDING); /* a message ends once */
    struct call *call = new_call(q, entry->sequence, request);
    call->end = end;
    entry->state = ENDING;
    sk_timer_stop(&entry->lock);
    sk_registry_c2d_end(q->hub->registry, entry->sequence, end, hub_feedback_ttl_us(q->hub), ended,
                        call);
}

static void abandon(struct entry *entry, struct sk_request *request) {
    struct queue *q = entry->queue;
    SK_ASSERT(entry->state != ENDING);
    struct call *call = new_call(q, entry->sequence, request);
    call->end = SK_C2D_DELIVERY_COUNT_EXCEEDED;
    entry->state = ENDING;
    sk_timer_stop(&entry->lock);
    sk_registry_c2d_return(q->hub->registry, entry->sequence, q->hub->options->c2d.deliveries_max,
                           hub_feedback_ttl_us(q->hub), ended, call);
}

/* A lock ends without an outcome. */
static void unlock(struct entry *entry) {
    struct sk_hub *hub = entry->queue->hub;
    SK_ASSERT(entry->state == LOCKED);
    sk_timer_stop(&entry->lock);
    entry->state = WAITING;
    entry->queue->blocked = false;
    if (entry->sent) return;
    entry->sent = true;
    /* It says only that the next delivery is not the first. */
    sk_registry_c2d_return(hub->registry, entry->sequence, 0, 0, NULL, NULL);
}

static void on_lock_over(struct sk_timer *timer) {
    struct entry *entry = SK_CONTAINER(timer, struct entry, lock);
    unlock(entry);
    wait_again(entry);
    serve(entry->queue);
}

static void lock(struct entry *entry, unsigned seconds) {
    struct sk_hub *hub = entry->queue->hub;
    SK_ASSERT(entry->state != LOCKED && entry->state != ENDING);
    entry->state = LOCKED;
    entry->delivery = ++hub->c2d.deliveries;
    sk_io_guid(hub->backend.io, entry->token);
    sk_timer_start(hub->backend.io, &entry->lock, seconds * SK_S, on_lock_over);
}

/* ---- delivering ---- */

static bool is_expired(const struct entry *entry) {
    return entry->expiry_us <= sk_io_wall(entry->queue->hub->backend.io);
}

/* The first that waits, and that this session (NULL: an HTTPS client) may have. */
static struct entry *first_waiting(struct queue *q, const struct sk_session *session) {
    SK_LIST_EACH(&q->entries, node, following) {
        struct entry *entry = SK_CONTAINER(node, struct entry, link);
        if (entry->state == WAITING && !(session && entry->holder == session)) return entry;
    }
    return NULL;
}

static void expire(struct queue *q) {
    SK_LIST_EACH(&q->entries, node, following) {
        struct entry *entry = SK_CONTAINER(node, struct entry, link);
        if (entry->state == WAITING && is_expired(entry)) end_entry(entry, SK_C2D_EXPIRED, NULL);
    }
}

/* Makes the message of an entry and its stored form; false: damaged. */
static bool read_message(const struct entry *entry, struct sk_span envelope, struct sk_c2d *c2d,
                         struct sk_message *message) {
    struct sk_arena *arena = &entry->queue->hub->arena;
    sk_arena_reset(arena);
    if (sk_message_decode(envelope, arena, message)) return false;
    *c2d = (struct sk_c2d){.lock_token = sk_span(entry->token, sizeof entry->token - 1),
                           .delivery_count = entry->deliveries,
                           .expiry_us = entry->expiry_us,
                           .redelivered = entry->sent};
    message->sequence = entry->sequence;
    message->enqueued_us = entry->enqueued_us;
    message->c2d = c2d;
    return true;
}

static void give_to_request(struct entry *entry, struct sk_message *message,
                            struct sk_request *request) {
    lock(entry, request->lock_s ? request->lock_s : SK_C2D_LOCK_S);
    entry->holder = NULL;
    request->done(request, &(struct sk_answer){.message = message});
}

static void give_to_session(struct entry *entry, struct sk_message *message) {
    struct queue *q = entry->queue;
    struct sk_session *session = subscriber(q); /* it may be another one by now */
    entry->state = WAITING;
    if (session == NULL || entry->holder == session) return;
    lock(entry, SK_C2D_LOCK_S);
    entry->holder = session;
    if (session->head->deliver_message(session, message, entry->delivery)) return;
    sk_timer_stop(&entry->lock); /* nothing was sent */
    entry->state = WAITING;
    entry->holder = NULL;
    q->blocked = true;
}

static void receive(struct queue *q, struct sk_request *request);

static void got_body(void *arg, const struct sk_registry_end *end,
                     const struct sk_registry_c2d *stored) {
    struct call call = take_call(arg);
    struct queue *q = call.queue;
    struct entry *entry = find_entry(q, call.sequence);
    struct sk_message message;
    struct sk_c2d c2d;
    bool given = false;
    SK_ASSERT(entry == NULL || entry->state == READING);
    if (call.request == NULL) q->reading = false;
    if (end->status == SK_NOT_FOUND && entry) {
        drop_entry(entry);
    } else if (end->status && entry) {
        entry->state = WAITING;
        if (!q->hub->closing) fail(q, end->status);
    } else if (entry && is_expired(entry)) {
        end_entry(entry, SK_C2D_EXPIRED, NULL);
    } else if (entry && !read_message(entry, stored->envelope, &c2d, &message)) {
        SK_ERROR("hub", "cloud-to-device message %llu of %s is damaged and dropped",
                 (unsigned long long)entry->sequence, q->device);
        end_entry(entry, SK_C2D_REJECTED, NULL);
    } else if (entry && call.request) {
        given = true;
        give_to_request(entry, &message, call.request);
    } else if (entry) {
        give_to_session(entry, &message);
    }
    if (call.request && !given) receive(q, call.request);
    unpin(q);
}

static void read_body(struct entry *entry, struct sk_request *request) {
    struct queue *q = entry->queue;
    SK_ASSERT(entry->state == WAITING && (request || !q->reading));
    entry->state = READING;
    if (request == NULL) q->reading = true;
    sk_registry_c2d_get(q->hub->registry, entry->sequence, got_body,
                        new_call(q, entry->sequence, request));
}

/* For an HTTPS client, from a queue that is loaded. */
static void receive(struct queue *q, struct sk_request *request) {
    if (q->hub->closing || q->failing) {
        sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
        return;
    }
    expire(q);
    struct entry *entry = q->purging ? NULL : first_waiting(q, NULL);
    if (entry)
        read_body(entry, request);
    else
        sk_request_answer(request);
}

/* ---- loading ---- */

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_queue *stored) {
    struct call call = take_call(arg);
    struct queue *q = call.queue;
    struct sk_list receivers;
    SK_ASSERT(q->loading && !q->loaded);
    q->loading = false;
    q->loaded = end->status == SK_OK;
    for (size_t i = 0; i < stored->count; i++) add_entry(q, &stored->messages[i]);
    if (end->status && !q->hub->closing) fail(q, end->status);
    sk_list_init(&receivers);
    while (!sk_list_empty(&q->receivers)) { /* an answered client may ask again at once */
        struct sk_list *node = q->receivers.next;
        sk_list_remove(node);
        sk_list_append(&receivers, node);
    }
    while (!sk_list_empty(&receivers)) {
        struct call *waiting = SK_LIST_FIRST(&receivers, struct call, link);
        sk_list_remove(&waiting->link);
        receive(q, waiting->request);
        free(waiting);
    }
    unpin(q);
}

/* Does what can be done; the queue may be gone afterwards. */
static void serve(struct queue *q) {
    if (q->hub->closing) return;
    if (!q->loaded && !q->loading && !q->failing) {
        q->loading = true;
        sk_registry_c2d_list(q->hub->registry, sk_span_z(q->device), loaded, new_call(q, 0, NULL));
    }
    if (q->loaded && !q->failing) {
        expire(q);
        struct sk_session *session = subscriber(q);
        struct entry *entry = session ? first_waiting(q, session) : NULL;
        if (entry && !q->purging && !q->blocked && !q->reading) read_body(entry, NULL);
    }
    if (is_idle(q)) free_queue(q);
}

/* ---- from outside ---- */

void sk_c2d_queue_stored(struct sk_hub *hub, struct sk_span device,
                         const struct sk_registry_c2d *message) {
    struct queue *q = find_queue(hub, device);
    if (q == NULL || hub->closing) return;
    add_entry(q, message);
    serve(q);
}

void sk_c2d_queue_look(struct sk_hub *hub, struct sk_span device) {
    serve(open_queue(hub, device));
}

void sk_c2d_queue_receive(struct sk_hub *hub, struct sk_request *request) {
    if (request->lock_s > LOCK_MOST_S) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "a lock lasts at most %d s",
                          LOCK_MOST_S);
        return;
    }
    struct queue *q = open_queue(hub, request->device);
    q->pins++;
    if (q->loaded || q->failing) {
        receive(q, request);
    } else {
        struct call *call = SK_NEW(struct call);
        call->request = request;
        sk_list_append(&q->receivers, &call->link);
    }
    unpin(q);
}

/* What the request is about, or NULL. */
static struct entry *find_delivery(struct queue *q, const struct sk_request *request) {
    SK_LIST_EACH(&q->entries, node, following) {
        struct entry *entry = SK_CONTAINER(node, struct entry, link);
        if (entry->state != LOCKED && entry->state != WAITING) continue;
        if (request->op == SK_OP_SETTLE
                ? entry->holder == request->session && entry->holder &&
                      entry->delivery == request->delivery
                : entry->state == LOCKED && sk_span_is(request->name, entry->token))
            return entry;
    }
    return NULL;
}

static void settle(struct entry *entry, struct sk_request *request) {
    switch (request->outcome) {
    case SK_COMPLETE: end_entry(entry, SK_C2D_COMPLETED, request); break;
    case SK_REJECT: end_entry(entry, SK_C2D_REJECTED, request); break;
    case SK_ABANDON: abandon(entry, request); break;
    case SK_RELEASE:
        entry->holder = NULL;
        unlock(entry);
        sk_request_answer(request);
        break;
    }
}

void sk_c2d_queue_settle(struct sk_hub *hub, struct sk_request *request) {
    struct queue *q = find_queue(hub, request->device);
    struct entry *entry = q ? find_delivery(q, request) : NULL;
    if (q) q->pins++;
    if (entry)
        settle(entry, request);
    else
        sk_request_refuse(request, SK_FAULT_MESSAGE_LOCK_LOST, NULL);
    if (q == NULL) return;
    q->blocked = false; /* whatever came of it: the session has room for another */
    unpin(q);
}

static void purged(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_ended *ended) {
    struct call call = take_call(arg);
    struct queue *q = call.queue;
    struct sk_hub *hub = q->hub;
    struct sk_request *request = call.request;
    q->purging--;
    if (end->status) {
        hub_refuse_status(request, end);
    } else {
        drop_entries(q);
        hub->counts.c2d_ended_total[SK_C2D_PURGED] += ended->count;
        if (ended->feedback_added) hub_feedback_added(hub, ended);
        json_t *document =
            json_pack("{s:I,s:s%,s:n}", "totalMessagesPurged", (json_int_t)ended->count, "deviceId",
                      request->device.p, request->device.n, "moduleId");
        sk_request_answer_json(request, document);
    }
    unpin(q);
}

void sk_c2d_queue_purge(struct sk_hub *hub, struct sk_request *request) {
    struct queue *q = open_queue(hub, request->device);
    q->purging++;
    sk_registry_c2d_purge(hub->registry, request->device, hub_feedback_ttl_us(hub), purged,
                          new_call(q, 0, request));
    serve(q);
}

void hub_c2d_forget(struct sk_hub *hub, struct sk_span device) {
    struct queue *q = find_queue(hub, device);
    if (q == NULL) return;
    drop_entries(q);
    serve(q);
}

void sk_c2d_queue_online(struct sk_hub *hub, struct sk_session *session) {
    struct sk_span device = sk_span_z(session->principal.device);
    if (session->principal.module) return;
    struct queue *q =
        session->subscriptions & SK_SUB_C2D ? open_queue(hub, device) : find_queue(hub, device);
    if (q == NULL) return;
    q->blocked = false;
    serve(q);
}

void sk_c2d_queue_offline(struct sk_hub *hub, struct sk_session *session) {
    struct queue *q = find_queue(hub, sk_span_z(session->principal.device));
    if (q == NULL || session->principal.module) return;
    SK_LIST_EACH(&q->entries, node, following) {
        struct entry *entry = SK_CONTAINER(node, struct entry, link);
        if (entry->holder != session) continue;
        entry->holder = NULL;
        if (entry->state == LOCKED) unlock(entry);
    }
    q->blocked = false;
    serve(q);
}

void sk_c2d_queues_free(struct sk_hub *hub) {
    struct queue *q;
    sk_timer_stop(&hub->c2d.sweep);
    for (size_t i = 0; (q = sk_map_next(&hub->c2d.queues, &i, NULL)) != NULL; i = 0) free_queue(q);
    sk_map_free(&hub->c2d.queues);
}
