/* Cloud-to-device messages for leaf devices. They are the cloud's: held here, in memory, only
 * between their coming and the leaf's word, which goes back to the cloud. What a connection to
 * the cloud brought and did not acknowledge, the cloud sends again on the next one. The cloud's
 * window bounds how many there are. Reference: docs/protocols/edge-runtime.md, section 5.9. */

#include "edge/hub/parts.h"
#include "model/c2d.h"

enum {
    DELIVERIES_MAX =
        10 /* upstream over MQTT nothing can be abandoned there, so it is counted here */
};

struct parcel {
    struct sk_list link; /* in its identity, in the order of coming */
    struct sk_buffer envelope;
    struct sk_delivery cloud;
    uint64_t number;         /* of the delivery to the leaf */
    uint64_t cloud_sequence; /* 0: the cloud does not tell */
    char token[37];
    unsigned deliveries;
    bool sent;
    int64_t enqueued_us, expiry_us;
    struct sk_session *holder; /* has it and has said nothing yet */
    uint64_t locked_ns;        /* of one that was given to a call over HTTPS: until then */
};

/* Who holds what was given to a call. */
static struct sk_session over_https;

static void drop(struct parcel *parcel) {
    sk_list_remove(&parcel->link);
    sk_buffer_free(&parcel->envelope);
    free(parcel);
}

void edge_c2d_drop(struct sk_edge_identity *identity) {
    while (!sk_list_empty(&identity->c2d)) drop(SK_LIST_FIRST(&identity->c2d, struct parcel, link));
}

/* The parcel as a message, in the hub's arena. */
static void open_parcel(struct sk_edge_identity *identity, const struct parcel *parcel,
                        struct sk_c2d *c2d, struct sk_message *message) {
    struct sk_edge_hub *hub = identity->hub;
    *c2d = (struct sk_c2d){.lock_token = sk_span_z(parcel->token),
                           .delivery_count = parcel->deliveries,
                           .expiry_us = parcel->expiry_us,
                           .redelivered = parcel->sent};
    sk_arena_reset(&hub->arena);
    enum sk_status status =
        sk_message_decode(sk_buffer_span(&parcel->envelope), &hub->arena, message);
    SK_ASSERT(status == SK_OK); /* we have encoded it */
    message->device = sk_span_z(identity->identity.device_id);
    message->sequence = parcel->number;
    message->enqueued_us = parcel->enqueued_us;
    message->c2d = c2d;
}

/* False: the leaf has no room. True: it has the parcel, or has settled it already. */
static bool deliver(struct sk_edge_identity *identity, struct sk_session *session,
                    struct parcel *parcel) {
    struct sk_message message;
    struct sk_c2d c2d;
    open_parcel(identity, parcel, &c2d, &message);
    parcel->holder = session;
    if (session->head->deliver_message(session, &message, parcel->number)) return true;
    parcel->holder = NULL;
    return false;
}

/* A lock of a call ends by its time; those of sessions with the session. */
static bool is_held(const struct sk_edge_identity *identity, const struct parcel *parcel) {
    return parcel->holder && !(parcel->holder == &over_https &&
                               sk_io_now(identity->hub->backend.io) >= parcel->locked_ns);
}

/* The first that may be delivered; what has expired is the cloud's to end. */
static struct parcel *first_waiting(struct sk_edge_identity *identity) {
    int64_t now = sk_io_wall(identity->hub->backend.io);
    SK_LIST_EACH(&identity->c2d, node, following) {
        struct parcel *parcel = SK_CONTAINER(node, struct parcel, link);
        if (is_held(identity, parcel)) continue;
        if (parcel->expiry_us > now) return parcel;
        drop(parcel);
    }
    return NULL;
}

/* To a call over HTTPS that waits. */
static void lend(struct sk_edge_identity *identity, struct parcel *parcel, uint64_t until_ns) {
    struct sk_message message;
    struct sk_c2d c2d;
    parcel->holder = &over_https;
    parcel->locked_ns = until_ns;
    open_parcel(identity, parcel, &c2d, &message);
    parcel->sent = true;
    edge_poll_answer(identity, &message);
}

void edge_c2d_pump(struct sk_edge_identity *identity) {
    struct sk_session *session = sk_directory_find(
        &identity->hub->backend, sk_span_z(identity->identity.device_id), SK_NONE);
    struct parcel *parcel;
    bool room = session && session->subscriptions & SK_SUB_C2D;
    if (identity->c2d_pumping) return;
    identity->c2d_pumping = true; /* a delivery may be settled from inside */
    while (room && (parcel = first_waiting(identity)) != NULL)
        room = deliver(identity, session, parcel);
    uint64_t until_ns;
    while ((until_ns = edge_poll_lock_ns(identity)) != 0 &&
           (parcel = first_waiting(identity)) != NULL)
        lend(identity, parcel, until_ns);
    identity->c2d_pumping = false;
}

static struct parcel *find_again(struct sk_edge_identity *identity, uint64_t cloud_sequence) {
    SK_LIST_EACH(&identity->c2d, node, following) {
        struct parcel *parcel = SK_CONTAINER(node, struct parcel, link);
        if (cloud_sequence && parcel->cloud_sequence == cloud_sequence) return parcel;
    }
    return NULL;
}

void edge_c2d_take(struct sk_edge_identity *identity, const struct sk_message *message,
                   struct sk_delivery delivery) {
    struct sk_io *io = identity->hub->backend.io;
    struct parcel *first = SK_LIST_FIRST(&identity->c2d, struct parcel, link);
    if (first && first->cloud.connection != delivery.connection) /* all of them come again */
        edge_c2d_drop(identity);
    struct parcel *parcel = message->c2d ? find_again(identity, message->sequence) : NULL;
    if (parcel) { /* its lock has expired in the cloud; the leaf has it still */
        sk_device_client_settle(identity->client, parcel->cloud, SK_RELEASE);
        parcel->cloud = delivery;
        return;
    }
    parcel = SK_NEW(struct parcel);
    if (sk_message_encode_head(&parcel->envelope, message)) {
        SK_WARN("edge-hub", "a message for %.*s has too many properties; rejected",
                SK_ARG(message->device));
        sk_device_client_settle(identity->client, delivery, SK_REJECT);
        free(parcel);
        return;
    }
    sk_buffer_append(&parcel->envelope, message->body);
    parcel->cloud = delivery;
    parcel->sent = delivery.redelivered;
    parcel->number = ++identity->hub->c2d.deliveries;
    parcel->enqueued_us = message->enqueued_us ? message->enqueued_us : sk_io_wall(io);
    if (message->c2d) {
        parcel->deliveries = message->c2d->delivery_count;
        parcel->cloud_sequence = message->sequence;
    }
    if (sk_time_parse(message->system[SK_SYS_EXPIRY], &parcel->expiry_us))
        parcel->expiry_us = INT64_MAX;
    sk_io_guid(io, parcel->token);
    sk_list_append(&identity->c2d, &parcel->link);
    edge_c2d_pump(identity);
}

static struct parcel *find(struct sk_edge_identity *identity, const struct sk_request *request) {
    SK_LIST_EACH(&identity->c2d, node, following) {
        struct parcel *parcel = SK_CONTAINER(node, struct parcel, link);
        if (parcel->number == request->delivery && parcel->holder == request->session)
            return parcel;
    }
    return NULL;
}

static void settle(struct sk_edge_identity *identity, struct parcel *parcel,
                   struct sk_request *request) {
    if (parcel == NULL) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_LOCK_LOST, NULL);
        return;
    }
    /* MQTT knows one word for the cloud: a message that is rejected, or abandoned too often,
     * counts as completed there. */
    bool tells = identity->client && sk_device_client_knows_outcomes(identity->client);
    bool again = request->outcome == SK_RELEASE || (request->outcome == SK_ABANDON && !tells &&
                                                    ++parcel->deliveries < DELIVERIES_MAX);
    if (again) {
        parcel->sent = true;
        parcel->holder = NULL;
    } else {
        if (identity->client)
            sk_device_client_settle(identity->client, parcel->cloud,
                                    tells ? request->outcome : SK_COMPLETE);
        drop(parcel);
    }
    sk_request_answer(request);
    edge_c2d_pump(identity);
}

void edge_c2d_settle(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_edge_identity *identity = edge_identity_find(hub, request->device, SK_NONE);
    settle(identity, identity ? find(identity, request) : NULL, request);
}

void edge_c2d_settle_token(struct sk_edge_identity *identity, struct sk_request *request) {
    struct parcel *found = NULL;
    SK_LIST_EACH(&identity->c2d, node, following) {
        struct parcel *parcel = SK_CONTAINER(node, struct parcel, link);
        if (is_held(identity, parcel) && parcel->holder == &over_https &&
            sk_span_eq_nocase(request->name, sk_span_z(parcel->token)))
            found = parcel;
    }
    settle(identity, found, request);
}

/* ---- the leaf's session ---- */

static void wants_more(struct sk_edge_hub *hub, struct sk_session *session,
                       struct sk_edge_identity *identity) {
    (void)hub;
    (void)session;
    if (identity) edge_c2d_pump(identity);
}

static void offline(struct sk_edge_hub *hub, struct sk_session *session,
                    struct sk_edge_identity *identity) {
    (void)hub;
    if (identity == NULL) return;
    SK_LIST_EACH(&identity->c2d, node, following) {
        struct parcel *parcel = SK_CONTAINER(node, struct parcel, link);
        if (parcel->holder != session) continue;
        parcel->holder = NULL;
        parcel->sent = true;
    }
}

const struct sk_edge_part edge_part_c2d = {
    .subscribed = wants_more, .writable = wants_more, .closed = offline};
