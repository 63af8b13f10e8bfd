/* Direct methods between modules of this device, and from them to leaf devices; those of the
 * cloud come by upstream.c. */
#include "edge/hub/parts.h"

static void invoke(struct sk_edge_hub *hub, struct sk_request *request) {
    if (!sk_span_is(sk_span_z(request->who->device), hub->options->device_id))
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS,
                          "Only modules on the same device can invoke DirectMethods");
    else if (edge_identity_find(hub, request->device, request->module) == NULL)
        sk_request_refuse(request,
                          request->module.n ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND,
                          NULL);
    else
        sk_methods_invoke(&hub->methods, request);
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
