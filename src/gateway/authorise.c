/* Who may do what: the table of rights.def, in front of every backend. */
#include "gateway/chaos.h"
#include "gateway/rights.h"

static const struct {
    unsigned right;      /* of a policy; 0: no policy may */
    unsigned targets[4]; /* by actor */
} rules[SK_OP_COUNT] = {
#define SK_MAY(op, right, device, edge_device, module, edge_hub)                                   \
    [SK_OP_##op] = {right, {device, edge_device, module, edge_hub}},
#include "gateway/rights.def"
};

bool sk_may(enum sk_op op, enum sk_actor actor, unsigned targets) {
    return (rules[op].targets[actor] & targets) != 0;
}

bool sk_policy_may(enum sk_op op, unsigned rights) {
    return (rules[op].right & rights) != 0;
}

enum sk_target sk_target_at_home(struct sk_span actor_module, struct sk_span module) {
    if (sk_span_eq(actor_module, module)) return SK_ON_SELF;
    if (module.n == 0) return SK_ON_OWN_DEVICE;
    return module.p[0] == '$' ? SK_ON_SYSTEM_MODULE : SK_ON_OWN_MODULE;
}

static enum sk_actor actor_of(const struct sk_principal *who) {
    if (who->module == NULL) return who->edge ? SK_ACTOR_EDGE_DEVICE : SK_ACTOR_DEVICE;
    return who->edge && strcmp(who->module, SK_EDGE_HUB_MODULE) == 0 ? SK_ACTOR_EDGE_HUB
                                                                     : SK_ACTOR_MODULE;
}

static bool may(const struct sk_backend *backend, const struct sk_request *request) {
    const struct sk_principal *who = request->who;
    if (!sk_principal_is_device(who)) return sk_policy_may(request->op, who->rights);
    unsigned targets = backend->any_host ? SK_ON_LOCAL : 0;
    if (sk_span_is(request->device, who->device))
        targets |= sk_target_at_home(sk_span_z(who->module), request->module);
    if (request->op == SK_OP_SCOPE_GET) targets &= SK_ON_SELF; /* its path says who asks */
    if (who->actor) /* an edge hub speaks for this identity, as itself only */
        return targets & SK_ON_SELF && sk_may(request->op, SK_ACTOR_EDGE_HUB, who->to_actor);
    return sk_may(request->op, actor_of(who), targets);
}

void sk_gateway_submit(struct sk_backend *backend, struct sk_request *request) {
    if (!may(backend, request))
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS, "%s does not allow this operation",
                          sk_principal_is_device(request->who) ? "a device's own credential"
                                                               : request->who->policy);
    else if (backend->chaos == NULL || !sk_chaos_refuses(backend->chaos, request))
        backend->ops->submit(backend, request);
}
