/* Direct methods: gateway/methods.c does the work; here is whom there is to call. */
#include "hub/parts.h"

/* A call on what does not exist is DeviceNotFound, not "not online": so look first. */
static void target_found(void *arg, const struct sk_registry_end *end,
                         struct sk_registry_entry *entry) {
    struct sk_request *request = arg;
    if (entry == NULL)
        hub_refuse_status(request, end);
    else
        sk_methods_invoke(&hub_of(request->backend)->methods, request);
}

static void invoke_method(struct sk_hub *hub, struct sk_request *request) {
    hub->counts.methods_total++;
    sk_registry_get(hub->registry, request->device, request->module, target_found, request);
}

static void respond(struct sk_hub *hub, struct sk_request *request) {
    sk_methods_respond(&hub->methods, request);
}

static void subscribed(struct sk_hub *hub, struct sk_session *session) {
    if (session->subscriptions & SK_SUB_METHODS) sk_methods_online(&hub->methods, session);
}

static void closed(struct sk_hub *hub, struct sk_session *session) {
    sk_methods_offline(&hub->methods, session);
}

static void stop(struct sk_hub *hub) {
    sk_methods_free(&hub->methods);
}

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_methods_total", "Direct methods invoked.", SK_HUB_COUNT(methods_total)}, {0}};

const struct sk_hub_part hub_part_methods = {.metrics = metrics,
                                             .serve = {[SK_OP_METHOD_INVOKE] = invoke_method,
                                                       [SK_OP_COMMAND_INVOKE] = invoke_method,
                                                       [SK_OP_METHOD_RESPOND] = respond},
                                             .stop = stop,
                                             .subscribed = subscribed,
                                             .closed = closed};
