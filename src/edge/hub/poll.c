/* Calls over HTTPS that wait for a message, a moment each. */
#include "edge/hub/parts.h"

/* In its identity. */
struct poll {
    struct sk_list link;
    struct sk_edge_identity *identity;
    struct sk_request *request;
    struct sk_timer timer;
};

static struct poll *first(const struct sk_edge_identity *identity) {
    return SK_LIST_FIRST(&identity->polls, struct poll, link);
}

static void end(struct poll *poll, const struct sk_message *message) {
    struct sk_request *request = poll->request;
    sk_list_remove(&poll->link);
    sk_timer_stop(&poll->timer);
    free(poll);
    request->done(request, &(struct sk_answer){.message = message});
}

uint64_t edge_poll_lock_ns(const struct sk_edge_identity *identity) {
    const struct poll *poll = first(identity);
    if (poll == NULL) return 0;
    unsigned lock_s = poll->request->lock_s ? poll->request->lock_s : SK_C2D_LOCK_S;
    return sk_io_now(identity->hub->backend.io) + lock_s * SK_S;
}

void edge_poll_answer(struct sk_edge_identity *identity, const struct sk_message *message) {
    end(first(identity), message);
}

void edge_polls_end(struct sk_edge_identity *identity) {
    struct poll *poll;
    while ((poll = first(identity)) != NULL) end(poll, NULL);
}

static void too_long(struct sk_timer *timer) {
    end(SK_CONTAINER(timer, struct poll, timer), NULL);
}

void edge_poll_add(struct sk_edge_identity *identity, struct sk_request *request, unsigned wait_s) {
    struct poll *poll = SK_NEW(struct poll);
    poll->identity = identity;
    poll->request = request;
    sk_list_append(&identity->polls, &poll->link);
    identity->polled_ns = sk_io_now(identity->hub->backend.io);
    sk_timer_start(identity->hub->backend.io, &poll->timer, wait_s * SK_S, too_long);
}
