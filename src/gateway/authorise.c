/* In front of every backend: whether who asks may have it, by the table of rights. */
#include "gateway/chaos.h"
#include "gateway/parts.h"
#include "gateway/quota.h"
#include "gateway/rights.h"

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

void gateway_pass_on(struct sk_backend *backend, struct sk_request *request) {
    if (backend->chaos == NULL || !sk_chaos_refuses(backend->chaos, request))
        backend->ops->submit(backend, request);
}

void sk_gateway_submit(struct sk_backend *backend, struct sk_request *request) {
    if (backend->ops->asked) backend->ops->asked(backend, request);
    if (!may(backend, request))
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS, "%s does not allow this operation",
                          sk_principal_is_device(request->who) ? "a device's own credential"
                                                               : request->who->policy);
    else if (backend->quota == NULL || !sk_quota_holds(backend->quota, request))
        gateway_pass_on(backend, request);
}
