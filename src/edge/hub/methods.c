/* Direct methods between modules of this device, and from them to leaf devices; those of the
 * cloud come by upstream.c. */
#include "edge/hub/parts.h"

/* A call that is measured. The first is its own, so that the caller's stays as it is. */
struct timed {
    struct sk_request request;
    struct sk_request *asked;
    struct sk_edge_hub *hub;
    char *from, *to;
    uint64_t since_ns;
};

static void answered(struct sk_request *request, const struct sk_answer *answer) {
    struct timed *call = (struct timed *)request;
    edge_took(call->hub, SK_EDGE_METHOD_TIME,
              (struct sk_span[]){sk_span_z(call->from), sk_span_z(call->to)}, call->since_ns);
    call->asked->done(call->asked, answer);
    free(call->from);
    free(call->to);
    free(call);
}

void edge_method_call(struct sk_edge_hub *hub, struct sk_span from, struct sk_request *request) {
    const struct sk_edge_identity *to = edge_identity_find(hub, request->device, request->module);
    struct timed *call = SK_NEW(struct timed);
    *call = (struct timed){.request = *request,
                           .asked = request,
                           .hub = hub,
                           .from = sk_span_dup(from),
                           .to = sk_span_dup(to ? sk_span_z(to->key) : SK_NONE),
                           .since_ns = sk_io_now(hub->backend.io)};
    call->request.done = answered;
    edge_count(hub, SK_EDGE_METHODS,
               (struct sk_span[]){sk_span_z(call->from), sk_span_z(call->to)});
    sk_methods_invoke(&hub->methods, &call->request);
}

/* Who calls: a module of this device. */
static void call_by_module(struct sk_edge_hub *hub, struct sk_request *request) {
    const struct sk_principal *who = request->who;
    const struct sk_edge_identity *from =
        edge_identity_find(hub, sk_span_z(who->device), sk_span_z(who->module));
    edge_method_call(hub, sk_span_z(from ? from->key : who->device), request);
}

static void invoke(struct sk_edge_hub *hub, struct sk_request *request) {
    if (!sk_span_is(sk_span_z(request->who->device), hub->options->device_id))
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS,
                          "Only modules on the same device can invoke DirectMethods");
    else if (edge_identity_find(hub, request->device, request->module) == NULL)
        sk_request_refuse(request,
                          request->module.n ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND,
                          NULL);
    else
        call_by_module(hub, request);
}

static void respond(struct sk_edge_hub *hub, struct sk_request *request) {
    sk_methods_respond(&hub->methods, request);
}

static void stop(struct sk_edge_hub *hub) {
    sk_methods_free(&hub->methods);
}

static void subscribed(struct sk_edge_hub *hub, struct sk_session *session,
                       struct sk_edge_identity *identity) {
    (void)identity;
    if (session->subscriptions & SK_SUB_METHODS) sk_methods_online(&hub->methods, session);
}

static void offline(struct sk_edge_hub *hub, struct sk_session *session,
                    struct sk_edge_identity *identity) {
    (void)identity;
    sk_methods_offline(&hub->methods, session);
}

const struct sk_edge_part edge_part_methods = {
    .serve = {[SK_OP_METHOD_INVOKE] = invoke, [SK_OP_METHOD_RESPOND] = respond},
    .stop = stop,
    .subscribed = subscribed,
    .closed = offline};
