#include "support/watch.h"

#include <stdio.h>

#include "support/test.h"

/* A request under way. */
struct watched {
    struct sk_list link;
    struct watch *watch;
    struct sk_request *request;
    void (*done)(struct sk_request *request, const struct sk_answer *answer);
    enum sk_op op;
    enum sk_outcome outcome;
    uint64_t delivery;
    size_t arrival;
    char *sender;
    char token[40];
};

/* A head whose deliveries are watched. */
struct watched_head {
    struct sk_list link;
    struct sk_head head;
    const struct sk_head *own;
};

/* Which message a delivery, or a lock token, is of. */
struct given {
    struct sk_list link;
    uint64_t delivery, sequence;
    char token[40];
};

struct watch {
    struct sk_backend_ops ops; /* the backend's, with ours in between */
    const struct sk_backend_ops *own;
    struct sk_backend *backend; /* NULL: none runs */
    struct history *history, *wires;
    struct sk_list under_way; /* struct watched */
    struct sk_list heads;     /* struct watched_head */
    struct sk_list given;     /* struct given */
    bool forgiven;
    const char *refused; /* whose telemetry is; NULL: nobody's */
};

static struct watch *watch_of(const struct sk_backend *backend) {
    return SK_CONTAINER(backend->ops, struct watch, ops);
}

static struct sk_map requests; /* by address: struct watched */

static struct sk_span address_of(struct sk_request *const *request) {
    return sk_span(request, sizeof *request);
}

/* ---- telemetry ---- */

static char *sender_name(struct sk_span device, struct sk_span module) {
    struct sk_buffer name = {0};
    sk_buffer_print(&name, module.n ? "%.*s/%.*s" : "%.*s%.*s", SK_ARG(device), SK_ARG(module));
    sk_buffer_byte(&name, 0);
    return name.p;
}

static void note_stored(struct watch *watch, const struct sk_message *message) {
    char *sender = sender_name(message->device, message->module);
    struct sk_span number = message->system[SK_SYS_EDGE_NUMBER];
    history_stored(watch->history, sk_span_z(sender), message->body, number);
    history_stored(watch->wires, sk_span_z(sender), message->body, number);
    free(sender);
}

/* ---- cloud-to-device messages ---- */

static void note_given(struct watch *watch, const struct sk_message *message, uint64_t delivery) {
    struct given *given = SK_NEW(struct given);
    given->delivery = delivery;
    given->sequence = message->sequence;
    snprintf(given->token, sizeof given->token, "%.*s", SK_ARG(message->c2d->lock_token));
    sk_list_append(&watch->given, &given->link);
    history_delivered(watch->history, message->sequence);
}

static void note_settled(struct watch *watch, const struct watched *one) {
    bool ends = one->outcome == SK_COMPLETE || one->outcome == SK_REJECT;
    SK_LIST_EACH(&watch->given, node, following) {
        struct given *given = SK_CONTAINER(node, struct given, link);
        bool is_it = one->op == SK_OP_SETTLE ? given->delivery == one->delivery
                                             : strcmp(given->token, one->token) == 0;
        if (!is_it) continue;
        if (ends) history_ended(watch->history, given->sequence);
        return;
    }
}

static bool deliver(struct sk_session *session, const struct sk_message *message,
                    uint64_t delivery) {
    struct watch *watch = watch_of(session->backend);
    const struct watched_head *head = SK_CONTAINER(session->head, struct watched_head, head);
    if (message->c2d && delivery)
        note_given(watch, message, delivery); /* it may be settled inside */
    bool sent = head->own->deliver_message(session, message, delivery);
    if (sent || message->c2d == NULL || delivery == 0) return sent;
    struct given *last = SK_CONTAINER(watch->given.prev, struct given, link);
    sk_list_remove(&last->link);
    free(last);
    return false;
}

static void session_opened(struct sk_backend *backend, struct sk_session *session) {
    struct watch *watch = watch_of(backend);
    struct watched_head *found = NULL;
    SK_LIST_EACH(&watch->heads, node, following) {
        struct watched_head *head = SK_CONTAINER(node, struct watched_head, link);
        if (head->own == session->head) found = head;
    }
    if (found == NULL) {
        found = SK_NEW(struct watched_head);
        found->own = session->head;
        found->head = *session->head;
        found->head.deliver_message = deliver;
        sk_list_append(&watch->heads, &found->link);
    }
    session->head = &found->head;
    watch->own->session_opened(backend, session);
}

/* ---- requests ---- */

static void forget(struct watched *one) {
    sk_map_remove(&requests, address_of(&one->request));
    sk_list_remove(&one->link);
    free(one->sender);
    free(one);
}

static void done(struct sk_request *request, const struct sk_answer *answer) {
    struct watched *one = sk_map_get(&requests, address_of(&request));
    if (one == NULL) fail_msg("a request was completed twice");
    struct watch *watch = one->watch;
    if (answer->error == NULL) {
        if (one->op == SK_OP_TELEMETRY)
            history_acknowledged(watch->history, sk_span_z(one->sender), one->arrival);
        if (one->op == SK_OP_C2D_RECEIVE && answer->message) note_given(watch, answer->message, 0);
        if (one->op == SK_OP_SETTLE || one->op == SK_OP_C2D_SETTLE) note_settled(watch, one);
    }
    request->done = one->done;
    forget(one);
    request->done(request, answer);
}

static void submit(struct sk_backend *backend, struct sk_request *request) {
    struct watch *watch = watch_of(backend);
    struct watched *one = SK_NEW(struct watched);
    *one = (struct watched){.watch = watch,
                            .request = request,
                            .done = request->done,
                            .op = request->op,
                            .outcome = request->outcome,
                            .delivery = request->delivery};
    snprintf(one->token, sizeof one->token, "%.*s", SK_ARG(request->name));
    if (request->op == SK_OP_TELEMETRY) {
        one->sender = sender_name(request->device, request->module);
        one->arrival =
            history_arrived(watch->history, sk_span_z(one->sender), request->message->body,
                            request->message->system[SK_SYS_EDGE_NUMBER]);
    }
    request->done = done;
    sk_list_append(&watch->under_way, &one->link);
    sk_map_put(&requests, address_of(&one->request), one);
    if (watch->refused && request->op == SK_OP_TELEMETRY &&
        sk_span_is(request->device, watch->refused))
        sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
    else
        watch->own->submit(backend, request);
}

void watch_refuse(struct watch *watch, const char *device) {
    watch->refused = device;
}

/* ---- life ---- */

struct watch *watch_new(void) {
    struct watch *watch = SK_NEW(struct watch);
    watch->history = history_new();
    watch->wires = history_new();
    sk_list_init(&watch->under_way);
    sk_list_init(&watch->heads);
    sk_list_init(&watch->given);
    return watch;
}

static void forget_given(struct watch *watch) {
    SK_LIST_EACH(&watch->given, node, following) {
        sk_list_remove(node);
        free(SK_CONTAINER(node, struct given, link));
    }
}

static void forget_under_way(struct watch *watch) {
    while (!sk_list_empty(&watch->under_way))
        forget(SK_LIST_FIRST(&watch->under_way, struct watched, link));
}

void watch_free(struct watch *watch) {
    SK_LIST_EACH(&watch->heads, node, following) {
        free(SK_CONTAINER(node, struct watched_head, link));
    }
    forget_under_way(watch);
    if (requests.count == 0) {
        sk_map_free(&requests);
        requests = (struct sk_map){0};
    }
    forget_given(watch);
    history_free(watch->history);
    history_free(watch->wires);
    free(watch);
}

void watch_attach(struct watch *watch, struct sk_backend *backend) {
    forget_under_way(watch); /* of a hub whose power was lost */
    watch->own = backend->ops;
    watch->ops = *backend->ops;
    watch->ops.submit = submit;
    watch->ops.session_opened = session_opened;
    backend->ops = &watch->ops;
    watch->backend = backend;
    forget_given(watch);
}

void watch_detach(struct watch *watch, bool crashed) {
    watch->backend = NULL;
    if (crashed) {
        forget_under_way(watch);
        return;
    }
    struct watched *one = SK_LIST_FIRST(&watch->under_way, struct watched, link);
    if (one) fail_msg("operation %d was never completed though its hub has stopped", one->op);
}

/* ---- comparing ---- */

static void on_events(struct sk_request *request, const struct sk_answer *answer) {
    *(struct sk_event_source **)(uintptr_t)request->delivery = answer->events;
}

static void read_stored(struct watch *watch) {
    struct sk_event_source *events = NULL;
    struct sk_message message;
    struct sk_request request = {
        .op = SK_OP_EVENTS_WATCH, .delivery = (uintptr_t)&events, .done = on_events};
    history_read_anew(watch->history);
    history_read_anew(watch->wires);
    watch->own->submit(watch->backend, &request);
    assert_non_null(events);
    while (events->next(events, &message) == SK_OK) note_stored(watch, &message);
    events->close(events);
}

const char *watch_breach(struct watch *watch) {
    if (!watch->forgiven && watch->backend) read_stored(watch);
    const char *breach = history_breach(watch->history);
    return breach ? breach : history_breach(watch->wires);
}

void watch_check(struct watch *watch) {
    const char *breach = watch_breach(watch);
    if (breach) fail_msg("%s", breach);
}

void watch_forgive(struct watch *watch) {
    watch->forgiven = true;
    history_forgive(watch->history);
    history_forgive(watch->wires);
}

struct history *watch_history(struct watch *watch) {
    return watch->history;
}

struct history *watch_wires(struct watch *watch) {
    return watch->wires;
}
