/* Feedback: the records of how cloud-to-device messages ended, gathered into messages for
 * services.
 *
 * The registry holds the records until a service has settled them or they expire. Here is only
 * where the gathering stands (records up to `closed` may go out), and the batches that are
 * locked: a batch is a range of records, read when somebody wants one and is forgotten with its
 * lock. Reference: docs/protocols/service-api.md, section 6, "Feedback". */
#include "hub/parts.h"

enum { GATHER_S = 15, EXPIRE_S = 60 };

struct batch {
    struct sk_list link; /* by `first` */
    struct sk_hub *hub;
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
    struct sk_feedback_source source;
    struct sk_list link;
    struct sk_hub *hub;
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
    struct sk_hub *hub;
    struct batch *batch;
    struct source *source; /* NULL: gone, or HTTPS */
    struct sk_request *request;
    void (*done)(void *arg, const struct sk_error *error);
    void *arg;
};

static void dispatch(struct sk_hub *hub);

int64_t hub_feedback_ttl_us(const struct sk_hub *hub) {
    return hub->options->c2d.feedback_ttl_us;
}

static uint64_t lock_ns(const struct sk_hub *hub) {
    return (uint64_t)hub->options->c2d.feedback_lock_us * 1000;
}

/* ---- batches ---- */

static void tell(struct sk_task *task) {
    struct source *source = SK_CONTAINER(task, struct source, tell);
    if (source->source.readable) source->source.readable(source->source.arg);
}

static void tell_soon(struct source *source) {
    sk_io_defer(source->hub->backend.io, &source->tell, tell);
}

/* Its records are free for others, or gone. */
static void drop_batch(struct batch *batch) {
    struct source *source = batch->source;
    sk_timer_stop(&batch->lock);
    sk_list_remove(&batch->link);
    if (source && source->ready == batch) source->ready = NULL;
    if (source && source->locked-- == SK_FEEDBACK_LOCKED_MAX) tell_soon(source);
    sk_buffer_free(&batch->body);
    free(batch);
}

static void on_lock_over(struct sk_timer *timer) {
    struct batch *batch = SK_CONTAINER(timer, struct batch, lock);
    struct sk_hub *hub = batch->hub;
    drop_batch(batch);
    dispatch(hub);
}

/* The leading records that were abandoned equally often. */
static struct batch *new_batch(struct sk_hub *hub, const struct sk_registry_records *list) {
    struct batch *batch = SK_NEW(struct batch);
    batch->hub = hub;
    batch->first = list->records[0].sequence;
    batch->deliveries = list->records[0].deliveries;
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_feedback *feedback = &list->records[i];
        if (feedback->deliveries != batch->deliveries) break;
        sk_buffer_byte(&batch->body, i ? ',' : '[');
        sk_feedback_record_json(&batch->body, &feedback->record);
        batch->last = feedback->sequence;
        batch->enqueued_us = feedback->record.ended_us;
    }
    sk_buffer_byte(&batch->body, ']');
    batch->delivery = ++hub->feedback.deliveries;
    sk_io_guid(hub->backend.io, batch->token);
    struct sk_list *before = &hub->feedback.batches;
    while (before->prev != &hub->feedback.batches &&
           SK_CONTAINER(before->prev, struct batch, link)->first > batch->first)
        before = before->prev;
    sk_list_append(before, &batch->link);
    sk_timer_start(hub->backend.io, &batch->lock, lock_ns(hub), on_lock_over);
    return batch;
}

static void fill_message(struct sk_hub *hub, const struct batch *batch, struct sk_c2d *c2d,
                         struct sk_message *message) {
    *c2d = (struct sk_c2d){.lock_token = sk_span_z(batch->token),
                           .delivery_count = batch->deliveries,
                           .expiry_us = batch->enqueued_us + hub_feedback_ttl_us(hub),
                           .redelivered = batch->deliveries > 0};
    *message = (struct sk_message){.body = sk_buffer_span(&batch->body),
                                   .sequence = batch->first,
                                   .enqueued_us = batch->enqueued_us,
                                   .c2d = c2d};
    message->system[SK_SYS_USER_ID] = sk_span_z(hub->options->name);
    message->system[SK_SYS_CONTENT_TYPE] = SK_FEEDBACK_TYPE;
}

/* ---- handing out: one reading at a time, for the one who has waited longest ---- */

static struct source *first_wanting(struct sk_hub *hub) {
    SK_LIST_EACH(&hub->feedback.sources, node, following) {
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
    struct sk_hub *hub = source->hub;
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
        fill_message(hub, batch, &c2d, &message);
        request->done(request, &(struct sk_answer){.message = &message});
    }
}

/* There is nothing (more) now: HTTPS clients are told so, sources wait. */
static void answer_empty(struct sk_hub *hub, enum sk_status status) {
    struct source *source;
    do {
        source = NULL;
        SK_LIST_EACH(&hub->feedback.sources, node, following) {
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
    sk_list_append(&source->hub->feedback.sources, &source->link);
    tell_soon(source);
}

static void read_gap(struct sk_hub *hub, uint64_t after);

/* The first locked batch behind a record, or NULL. */
static struct batch *batch_behind(struct sk_hub *hub, uint64_t sequence) {
    SK_LIST_EACH(&hub->feedback.batches, node, following) {
        struct batch *batch = SK_CONTAINER(node, struct batch, link);
        if (batch->first > sequence) return batch;
    }
    return NULL;
}

static void got_records(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_records *list) {
    struct sk_hub *hub = arg;
    hub->feedback.reading = false;
    struct source *source = first_wanting(hub);
    /* The gap may have got a batch beside it since it was asked for, never one inside: only here
     * are batches made. */
    struct batch *behind = batch_behind(hub, hub->feedback.read_after);
    if (hub->closing || end->status) {
        answer_empty(hub, end->status ? end->status : SK_CLOSED);
    } else if (list->count && source) {
        hand_out(source, new_batch(hub, list));
        dispatch(hub);
    } else if (list->count == 0 && source && behind) {
        read_gap(hub, behind->last);
    } else {
        answer_empty(hub, SK_OK);
    }
}

/* Reads what lies between a record and the next locked batch, or the end of what may go out. */
static void read_gap(struct sk_hub *hub, uint64_t after) {
    struct batch *next = batch_behind(hub, after);
    uint64_t before = hub->feedback.closed + 1;
    if (next && next->first < before) before = next->first;
    hub->feedback.reading = true;
    hub->feedback.read_after = after;
    sk_registry_feedback_list(hub->registry, after, before, sk_io_wall(hub->backend.io),
                              SK_FEEDBACK_BATCH_MAX, got_records, hub);
}

static void dispatch(struct sk_hub *hub) {
    if (!hub->feedback.reading && !hub->closing && first_wanting(hub)) read_gap(hub, 0);
}

/* ---- gathering and expiry ---- */

static void close_gathering(struct sk_hub *hub) {
    hub->feedback.closed = hub->feedback.newest;
    hub->feedback.gathering = 0;
    sk_timer_stop(&hub->feedback.gather);
    dispatch(hub);
}

static void gathered(struct sk_timer *timer) {
    close_gathering(SK_CONTAINER(timer, struct sk_hub, feedback.gather));
}

static void expire(struct sk_timer *timer);

static void plan_expiry(struct sk_hub *hub) {
    if (!sk_timer_running(&hub->feedback.expire))
        sk_timer_start(hub->backend.io, &hub->feedback.expire, EXPIRE_S * SK_S, expire);
}

static void expired(void *arg, const struct sk_registry_end *end, uint64_t newest) {
    struct sk_hub *hub = arg;
    if (hub->closing) return;
    if (end->status || newest) plan_expiry(hub);
    if (hub->feedback.started || end->status) return;
    hub->feedback.started = true; /* what is there from before the start has gathered long enough */
    if (newest > hub->feedback.newest) hub->feedback.newest = newest;
    close_gathering(hub);
}

static void expire(struct sk_timer *timer) {
    struct sk_hub *hub = SK_CONTAINER(timer, struct sk_hub, feedback.expire);
    sk_registry_feedback_expire(hub->registry, sk_io_wall(hub->backend.io), expired, hub);
}

static void start(struct sk_hub *hub) {
    sk_list_init(&hub->feedback.batches);
    sk_list_init(&hub->feedback.sources);
    sk_list_init(&hub->feedback.settlements);
    sk_timer_start(hub->backend.io, &hub->feedback.expire, 0, expire);
}

void hub_feedback_added(struct sk_hub *hub, const struct sk_registry_ended *ended) {
    if (hub->closing) return;
    hub->counts.feedback_total += ended->feedback_added;
    if (ended->feedback_newest > hub->feedback.newest)
        hub->feedback.newest = ended->feedback_newest;
    hub->feedback.gathering += ended->feedback_added;
    plan_expiry(hub);
    if (hub->feedback.gathering >= SK_FEEDBACK_BATCH_MAX)
        close_gathering(hub);
    else
        sk_timer_start(hub->backend.io, &hub->feedback.gather, GATHER_S * SK_S, gathered);
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
    struct sk_hub *hub = settlement->hub;
    drop_batch(settlement->batch);
    end_settlement(settlement, end->status ? sk_fault_of_status(end->status) : SK_FAULT_NONE);
    dispatch(hub);
}

static void settle_batch(struct settlement *settlement, struct batch *batch,
                         enum sk_outcome outcome) {
    struct sk_hub *hub = settlement->hub;
    sk_list_append(&hub->feedback.settlements, &settlement->link);
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
        sk_registry_feedback_delete(hub->registry, batch->first, batch->last, settled, settlement);
        break;
    case SK_ABANDON:
        sk_registry_feedback_return(hub->registry, batch->first, batch->last,
                                    hub->options->c2d.feedback_deliveries_max, settled, settlement);
        break;
    case SK_RELEASE:
        drop_batch(batch);
        end_settlement(settlement, SK_FAULT_NONE);
        dispatch(hub);
        break;
    }
}

static struct batch *find_batch(struct sk_hub *hub, const struct source *source, uint64_t delivery,
                                struct sk_span token) {
    SK_LIST_EACH(&hub->feedback.batches, node, following) {
        struct batch *batch = SK_CONTAINER(node, struct batch, link);
        if (!batch->given || batch->ending || batch->source != source) continue;
        if (source ? batch->delivery == delivery : sk_span_is(token, batch->token)) return batch;
    }
    return NULL;
}

/* ---- sources ---- */

static enum sk_status next(struct sk_feedback_source *feedback, struct sk_message *message,
                           uint64_t *delivery) {
    struct source *source = (struct source *)feedback;
    struct batch *batch = source->ready;
    if (batch == NULL) {
        source->wants = source->locked < SK_FEEDBACK_LOCKED_MAX;
        dispatch(source->hub);
        return SK_AGAIN;
    }
    source->ready = NULL;
    batch->given = true;
    fill_message(source->hub, batch, &source->c2d, message);
    *delivery = batch->delivery;
    return SK_OK;
}

static void settle(struct sk_feedback_source *feedback, uint64_t delivery, enum sk_outcome outcome,
                   void (*done)(void *arg, const struct sk_error *error), void *arg) {
    struct source *source = (struct source *)feedback;
    struct settlement *settlement = SK_NEW(struct settlement);
    settlement->hub = source->hub;
    settlement->source = source;
    settlement->done = done;
    settlement->arg = arg;
    settle_batch(settlement, find_batch(source->hub, source, delivery, SK_NONE), outcome);
}

static void close_source(struct sk_feedback_source *feedback) {
    struct source *source = (struct source *)feedback;
    struct sk_hub *hub = source->hub;
    SK_LIST_EACH(&hub->feedback.settlements, node, following) {
        struct settlement *settlement = SK_CONTAINER(node, struct settlement, link);
        if (settlement->source != source) continue;
        settlement->source = NULL;
        settlement->done = NULL;
    }
    SK_LIST_EACH(&hub->feedback.batches, entry, after) {
        struct batch *batch = SK_CONTAINER(entry, struct batch, link);
        if (batch->source != source) continue;
        batch->source = NULL;
        if (!batch->ending) drop_batch(batch);
    }
    free_source(source);
    dispatch(hub);
}

static struct source *new_source(struct sk_hub *hub) {
    struct source *source = SK_NEW(struct source);
    source->hub = hub;
    sk_list_append(&hub->feedback.sources, &source->link);
    return source;
}

static void settle_one(struct sk_hub *hub, struct sk_request *request) {
    struct settlement *settlement = SK_NEW(struct settlement);
    settlement->hub = hub;
    settlement->request = request;
    settle_batch(settlement, find_batch(hub, NULL, 0, request->name), request->outcome);
}

static void receive(struct sk_hub *hub, struct sk_request *request) {
    struct source *source = new_source(hub);
    source->request = request;
    source->wants = true;
    dispatch(hub);
}

static void subscribe(struct sk_hub *hub, struct sk_request *request) {
    struct source *source = new_source(hub);
    source->source.next = next;
    source->source.settle = settle;
    source->source.close = close_source;
    request->done(request, &(struct sk_answer){.feedback = &source->source});
}

static void free_feedback(struct sk_hub *hub) {
    sk_timer_stop(&hub->feedback.gather);
    sk_timer_stop(&hub->feedback.expire);
    while (!sk_list_empty(&hub->feedback.batches))
        drop_batch(SK_LIST_FIRST(&hub->feedback.batches, struct batch, link));
}

#define AT(field) SK_CONFIG_AT(struct sk_hub_options, field)

static const struct sk_config_key keys[] = {
    {"hub[].cloud_to_device.feedback", &sk_config_table,
     .does = "Feedback: what became of cloud-to-device messages"},
    {"hub[].cloud_to_device.feedback.ttl", &sk_config_duration, AT(c2d.feedback_ttl_us),
     .least = 60ll * 1000000, .most = 172800ll * 1000000, .otherwise = "\"1h\"",
     .does = "How long it is kept for those who receive it"},
    {"hub[].cloud_to_device.feedback.lock_duration", &sk_config_duration, AT(c2d.feedback_lock_us),
     .least = 5ll * 1000000, .most = 300ll * 1000000, .otherwise = "\"60s\"",
     .does = "How long a receiver has a batch for itself"},
    {"hub[].cloud_to_device.feedback.max_delivery_count", &sk_config_integer,
     AT(c2d.feedback_deliveries_max), .least = 1, .most = 100, .otherwise = "10",
     .does = "How often a batch may be abandoned before it is gone"},
    {0}};

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_feedback_total", "Feedback records made.", SK_HUB_COUNT(feedback_total)}, {0}};

const struct sk_hub_part hub_part_feedback = {.metrics = metrics,
                                              .keys = keys,
                                              .serve = {[SK_OP_FEEDBACK_SUBSCRIBE] = subscribe,
                                                        [SK_OP_FEEDBACK_RECEIVE] = receive,
                                                        [SK_OP_FEEDBACK_SETTLE] = settle_one},
                                              .start = start,
                                              .registry_closed = free_feedback};
