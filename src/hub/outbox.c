/* What is told to services as messages: records of the registry, each of a topic, which go to one
 * of the receivers and are locked for it until they are settled.
 *
 * The registry holds the records until a service has settled them or they expire. Here is only
 * where the gathering stands (records up to `closed` may go out), and the batches that are
 * locked: a batch is a range of records, read when somebody wants one and is forgotten with its
 * lock. Reference: docs/protocols/service-api.md, section 6. */
#include "hub/parts.h"

enum { EXPIRE_S = 60 };

struct batch {
    struct sk_list link; /* by `first` */
    struct outbox *box;
    struct source *source; /* NULL: an HTTPS client's, or its source is gone */
    uint64_t first, last, delivery;
    unsigned deliveries;
    int64_t enqueued_us;
    char token[37];
    struct sk_buffer body;
    bool given, ending;
    struct sk_timer lock;
};

/* One who wants batches: a source, or an HTTPS request that wants one now. */
struct source {
    struct sk_outbox_source source;
    struct sk_list link;
    struct outbox *box;
    struct sk_request *request;
    struct batch *ready; /* locked for it, and not yet taken */
    bool wants;
    unsigned locked;
    struct sk_c2d c2d; /* of the message given last */
    struct sk_task tell;
};

/* A settlement on its way to the registry. */
struct settlement {
    struct sk_list link;
    struct outbox *box;
    struct batch *batch;
    struct source *source; /* NULL: gone, or HTTPS */
    struct sk_request *request;
    void (*done)(void *arg, const struct sk_error *error);
    void *arg;
};

static void dispatch(struct outbox *box);

static struct outbox_settings settings(const struct outbox *box) {
    return box->kind->settings(box->hub);
}

/* ---- batches ---- */

static void tell(struct sk_task *task) {
    struct source *source = SK_CONTAINER(task, struct source, tell);
    if (source->source.readable) source->source.readable(source->source.arg);
}

static void tell_soon(struct source *source) {
    sk_io_defer(source->box->hub->backend.io, &source->tell, tell);
}

/* Its records are free for others, or gone. */
static void drop_batch(struct batch *batch) {
    struct source *source = batch->source;
    sk_timer_stop(&batch->lock);
    sk_list_remove(&batch->link);
    if (source && source->ready == batch) source->ready = NULL;
    if (source && source->locked-- == SK_OUTBOX_LOCKED_MAX) tell_soon(source);
    sk_buffer_free(&batch->body);
    free(batch);
}

static void on_lock_over(struct sk_timer *timer) {
    struct batch *batch = SK_CONTAINER(timer, struct batch, lock);
    struct outbox *box = batch->box;
    drop_batch(batch);
    dispatch(box);
}

/* The leading records that were abandoned equally often. */
static struct batch *new_batch(struct outbox *box, const struct sk_registry_records *list) {
    struct batch *batch = SK_NEW(struct batch);
    bool is_list = box->kind->batch_max > 1;
    batch->box = box;
    batch->first = list->records[0].sequence;
    batch->deliveries = list->records[0].deliveries;
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_feedback *feedback = &list->records[i];
        if (feedback->deliveries != batch->deliveries) break;
        if (is_list) sk_buffer_byte(&batch->body, i ? ',' : '[');
        box->kind->put(&batch->body, &feedback->record);
        batch->last = feedback->sequence;
        batch->enqueued_us = feedback->record.ended_us;
    }
    if (is_list) sk_buffer_byte(&batch->body, ']');
    batch->delivery = ++box->deliveries;
    sk_io_guid(box->hub->backend.io, batch->token);
    struct sk_list *before = &box->batches;
    while (before->prev != &box->batches &&
           SK_CONTAINER(before->prev, struct batch, link)->first > batch->first)
        before = before->prev;
    sk_list_append(before, &batch->link);
    sk_timer_start(box->hub->backend.io, &batch->lock, (uint64_t)settings(box).lock_us * 1000,
                   on_lock_over);
    return batch;
}

static void fill_message(struct outbox *box, const struct batch *batch, struct sk_c2d *c2d,
                         struct sk_message *message) {
    *c2d = (struct sk_c2d){.lock_token = sk_span_z(batch->token),
                           .delivery_count = batch->deliveries,
                           .expiry_us = batch->enqueued_us + settings(box).ttl_us,
                           .redelivered = batch->deliveries > 0};
    *message = (struct sk_message){.body = sk_buffer_span(&batch->body),
                                   .sequence = batch->first,
                                   .enqueued_us = batch->enqueued_us,
                                   .c2d = c2d};
    message->system[SK_SYS_USER_ID] = sk_span_z(box->hub->options->name);
    message->system[SK_SYS_CONTENT_TYPE] = box->kind->content_type;
}

/* ---- handing out: one reading at a time, for the one who has waited longest ---- */

static struct source *first_wanting(struct outbox *box) {
    SK_LIST_EACH(&box->sources, node, following) {
        struct source *source = SK_CONTAINER(node, struct source, link);
        if (source->wants) return source;
    }
    return NULL;
}

static void free_source(struct source *source) {
    sk_list_remove(&source->link);
    sk_io_undefer(&source->tell);
    free(source);
}

static void answer_receive(struct source *source, struct batch *batch, enum sk_status status) {
    struct sk_request *request = source->request;
    struct outbox *box = source->box;
    struct sk_message message;
    struct sk_c2d c2d;
    free_source(source);
    if (status) {
        sk_request_refuse(request, sk_fault_of_status(status), NULL);
    } else if (batch == NULL) {
        sk_request_answer(request);
    } else {
        batch->source = NULL;
        batch->given = true;
        fill_message(box, batch, &c2d, &message);
        request->done(request, &(struct sk_answer){.message = &message});
    }
}

/* There is nothing (more) now: HTTPS clients are told so, sources wait. */
static void answer_empty(struct outbox *box, enum sk_status status) {
    struct source *source;
    do {
        source = NULL;
        SK_LIST_EACH(&box->sources, node, following) {
            struct source *s = SK_CONTAINER(node, struct source, link);
            if (s->request && source == NULL) source = s;
        }
        if (source) answer_receive(source, NULL, status);
    } while (source);
}

static void hand_out(struct source *source, struct batch *batch) {
    source->wants = false;
    if (source->request) {
        answer_receive(source, batch, SK_OK);
        return;
    }
    batch->source = source;
    source->ready = batch;
    source->locked++;
    sk_list_remove(&source->link); /* to the end: the next batch is another's */
    sk_list_append(&source->box->sources, &source->link);
    tell_soon(source);
}

static void read_gap(struct outbox *box, uint64_t after);

/* The first locked batch behind a record, or NULL. */
static struct batch *batch_behind(struct outbox *box, uint64_t sequence) {
    SK_LIST_EACH(&box->batches, node, following) {
        struct batch *batch = SK_CONTAINER(node, struct batch, link);
        if (batch->first > sequence) return batch;
    }
    return NULL;
}

static void got_records(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_records *list) {
    struct outbox *box = arg;
    box->reading = false;
    struct source *source = first_wanting(box);
    /* The gap may have got a batch beside it since it was asked for, never one inside: only here
     * are batches made. */
    struct batch *behind = batch_behind(box, box->read_after);
    if (box->hub->closing || end->status) {
        answer_empty(box, end->status ? end->status : SK_CLOSED);
    } else if (list->count && source) {
        hand_out(source, new_batch(box, list));
        dispatch(box);
    } else if (list->count == 0 && source && behind) {
        read_gap(box, behind->last);
    } else {
        answer_empty(box, SK_OK);
    }
}

/* Reads what lies between a record and the next locked batch, or the end of what may go out. */
static void read_gap(struct outbox *box, uint64_t after) {
    struct batch *next = batch_behind(box, after);
    uint64_t before = box->closed + 1;
    if (next && next->first < before) before = next->first;
    box->reading = true;
    box->read_after = after;
    sk_registry_feedback_list(box->hub->registry, box->kind->topic, after, before,
                              sk_io_wall(box->hub->backend.io), box->kind->batch_max, got_records,
                              box);
}

static void dispatch(struct outbox *box) {
    if (!box->reading && !box->hub->closing && first_wanting(box)) read_gap(box, 0);
}

/* ---- gathering and expiry ---- */

static void close_gathering(struct outbox *box) {
    box->closed = box->newest;
    box->gathering = 0;
    sk_timer_stop(&box->gather);
    dispatch(box);
}

static void gathered(struct sk_timer *timer) {
    close_gathering(SK_CONTAINER(timer, struct outbox, gather));
}

static void expire(struct sk_timer *timer);

static void plan_expiry(struct outbox *box) {
    if (!sk_timer_running(&box->expire))
        sk_timer_start(box->hub->backend.io, &box->expire, EXPIRE_S * SK_S, expire);
}

static void expired(void *arg, const struct sk_registry_end *end, uint64_t newest) {
    struct outbox *box = arg;
    if (box->hub->closing) return;
    if (end->status || newest) plan_expiry(box);
    if (box->started || end->status) return;
    box->started = true; /* what is there from before the start has gathered long enough */
    if (newest > box->newest) box->newest = newest;
    close_gathering(box);
}

static void expire(struct sk_timer *timer) {
    struct outbox *box = SK_CONTAINER(timer, struct outbox, expire);
    sk_registry_feedback_expire(box->hub->registry, box->kind->topic,
                                sk_io_wall(box->hub->backend.io), expired, box);
}

void outbox_open(struct outbox *box, struct sk_hub *hub, const struct outbox_kind *kind) {
    box->hub = hub;
    box->kind = kind;
    sk_list_init(&box->batches);
    sk_list_init(&box->sources);
    sk_list_init(&box->settlements);
    sk_timer_start(hub->backend.io, &box->expire, 0, expire);
}

void outbox_added(struct outbox *box, uint64_t count, uint64_t newest) {
    if (box->hub->closing) return;
    if (newest > box->newest) box->newest = newest;
    box->gathering += count;
    plan_expiry(box);
    if (box->gathering >= box->kind->batch_max)
        close_gathering(box);
    else
        sk_timer_start(box->hub->backend.io, &box->gather, box->kind->gather_s * SK_S, gathered);
}

/* ---- settling ---- */

static void end_settlement(struct settlement *settlement, enum sk_fault fault) {
    struct sk_error error;
    sk_error_set(&error, fault, NULL);
    sk_list_remove(&settlement->link);
    if (settlement->request && fault)
        sk_request_refuse(settlement->request, fault, NULL);
    else if (settlement->request)
        sk_request_answer(settlement->request);
    else if (settlement->done)
        settlement->done(settlement->arg, fault ? &error : NULL);
    free(settlement);
}

static void settled(void *arg, const struct sk_registry_end *end, uint64_t newest) {
    (void)newest;
    struct settlement *settlement = arg;
    struct outbox *box = settlement->box;
    drop_batch(settlement->batch);
    end_settlement(settlement, end->status ? sk_fault_of_status(end->status) : SK_FAULT_NONE);
    dispatch(box);
}

static void settle_batch(struct settlement *settlement, struct batch *batch,
                         enum sk_outcome outcome) {
    struct outbox *box = settlement->box;
    sk_list_append(&box->settlements, &settlement->link);
    if (batch == NULL) {
        end_settlement(settlement, SK_FAULT_MESSAGE_LOCK_LOST);
        return;
    }
    settlement->batch = batch;
    batch->ending = true;
    sk_timer_stop(&batch->lock);
    switch (outcome) {
    case SK_COMPLETE:
    case SK_REJECT:
        sk_registry_feedback_delete(box->hub->registry, box->kind->topic, batch->first, batch->last,
                                    settled, settlement);
        break;
    case SK_ABANDON:
        sk_registry_feedback_return(box->hub->registry, box->kind->topic, batch->first, batch->last,
                                    settings(box).deliveries_max, settled, settlement);
        break;
    case SK_RELEASE:
        drop_batch(batch);
        end_settlement(settlement, SK_FAULT_NONE);
        dispatch(box);
        break;
    }
}

static struct batch *find_batch(struct outbox *box, const struct source *source, uint64_t delivery,
                                struct sk_span token) {
    SK_LIST_EACH(&box->batches, node, following) {
        struct batch *batch = SK_CONTAINER(node, struct batch, link);
        if (!batch->given || batch->ending || batch->source != source) continue;
        if (source ? batch->delivery == delivery : sk_span_is(token, batch->token)) return batch;
    }
    return NULL;
}

/* ---- sources ---- */

static enum sk_status next(struct sk_outbox_source *of, struct sk_message *message,
                           uint64_t *delivery) {
    struct source *source = (struct source *)of;
    struct batch *batch = source->ready;
    if (batch == NULL) {
        source->wants = source->locked < SK_OUTBOX_LOCKED_MAX;
        dispatch(source->box);
        return SK_AGAIN;
    }
    source->ready = NULL;
    batch->given = true;
    fill_message(source->box, batch, &source->c2d, message);
    *delivery = batch->delivery;
    return SK_OK;
}

static void settle(struct sk_outbox_source *of, uint64_t delivery, enum sk_outcome outcome,
                   void (*done)(void *arg, const struct sk_error *error), void *arg) {
    struct source *source = (struct source *)of;
    struct settlement *settlement = SK_NEW(struct settlement);
    settlement->box = source->box;
    settlement->source = source;
    settlement->done = done;
    settlement->arg = arg;
    settle_batch(settlement, find_batch(source->box, source, delivery, SK_NONE), outcome);
}

static void close_source(struct sk_outbox_source *of) {
    struct source *source = (struct source *)of;
    struct outbox *box = source->box;
    SK_LIST_EACH(&box->settlements, node, following) {
        struct settlement *settlement = SK_CONTAINER(node, struct settlement, link);
        if (settlement->source != source) continue;
        settlement->source = NULL;
        settlement->done = NULL;
    }
    SK_LIST_EACH(&box->batches, entry, after) {
        struct batch *batch = SK_CONTAINER(entry, struct batch, link);
        if (batch->source != source) continue;
        batch->source = NULL;
        if (!batch->ending) drop_batch(batch);
    }
    free_source(source);
    dispatch(box);
}

static struct source *new_source(struct outbox *box) {
    struct source *source = SK_NEW(struct source);
    source->box = box;
    sk_list_append(&box->sources, &source->link);
    return source;
}

void outbox_settle(struct outbox *box, struct sk_request *request) {
    struct settlement *settlement = SK_NEW(struct settlement);
    settlement->box = box;
    settlement->request = request;
    settle_batch(settlement, find_batch(box, NULL, 0, request->name), request->outcome);
}

void outbox_receive(struct outbox *box, struct sk_request *request) {
    struct source *source = new_source(box);
    source->request = request;
    source->wants = true;
    dispatch(box);
}

void outbox_subscribe(struct outbox *box, struct sk_request *request) {
    struct source *source = new_source(box);
    source->source.next = next;
    source->source.settle = settle;
    source->source.close = close_source;
    request->done(request, &(struct sk_answer){.outbox = &source->source});
}

void outbox_close(struct outbox *box) {
    sk_timer_stop(&box->gather);
    sk_timer_stop(&box->expire);
    while (!sk_list_empty(&box->batches))
        drop_batch(SK_LIST_FIRST(&box->batches, struct batch, link));
}
