/* Who may do what: one table, in front of every backend. */
#include "gateway/chaos.h"

enum {
    SELF = 1,        /* a device or module, on itself */
    OWN_MODULES = 2, /* a device, on its own modules */
    EDGE_HUB = 4,    /* the $edgeHub module of the edge device that is asked about */
    LOCAL = 8,       /* a module, through an edge hub: who exactly is the backend's rule */
};

static const struct {
    unsigned right; /* of a policy; 0: no policy may */
    unsigned device;
} rules[SK_OP_COUNT] = {
    [SK_OP_TELEMETRY] = {SK_RIGHT_DEVICE_CONNECT, SELF},
    [SK_OP_TWIN_GET] = {SK_RIGHT_DEVICE_CONNECT, SELF},
    [SK_OP_TWIN_REPORT] = {SK_RIGHT_DEVICE_CONNECT, SELF},
    [SK_OP_METHOD_RESPOND] = {0, SELF},
    [SK_OP_SETTLE] = {0, SELF},
    [SK_OP_C2D_RECEIVE] = {SK_RIGHT_DEVICE_CONNECT, SELF},
    [SK_OP_C2D_SETTLE] = {SK_RIGHT_DEVICE_CONNECT, SELF},
    [SK_OP_IDENTITY_GET] = {SK_RIGHT_REGISTRY_READ, SELF | OWN_MODULES},
    [SK_OP_IDENTITY_PUT] = {SK_RIGHT_REGISTRY_WRITE, OWN_MODULES},
    [SK_OP_IDENTITY_DELETE] = {SK_RIGHT_REGISTRY_WRITE, OWN_MODULES},
    [SK_OP_DEVICE_LIST] = {SK_RIGHT_REGISTRY_READ, 0},
    [SK_OP_MODULE_LIST] = {SK_RIGHT_REGISTRY_READ, OWN_MODULES},
    [SK_OP_TWIN_READ] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_TWIN_UPDATE] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_METHOD_INVOKE] = {SK_RIGHT_SERVICE_CONNECT, LOCAL},
    [SK_OP_QUERY] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_CONFIGURATION_APPLY] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_STATISTICS_DEVICES] = {SK_RIGHT_REGISTRY_READ, 0},
    [SK_OP_STATISTICS_SERVICE] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_EVENTS_WATCH] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_EVENTS_INFO] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_EVENTS_SEND] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_C2D_SEND] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_C2D_PURGE] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_FEEDBACK_SUBSCRIBE] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_FEEDBACK_RECEIVE] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_FEEDBACK_SETTLE] = {SK_RIGHT_SERVICE_CONNECT, 0},
    [SK_OP_CERTIFICATE_LIST] = {SK_RIGHT_REGISTRY_READ, 0},
    [SK_OP_CERTIFICATE_GET] = {SK_RIGHT_REGISTRY_READ, 0},
    [SK_OP_CERTIFICATE_PUT] = {SK_RIGHT_REGISTRY_WRITE, 0},
    [SK_OP_CERTIFICATE_DELETE] = {SK_RIGHT_REGISTRY_WRITE, 0},
    [SK_OP_CERTIFICATE_CODE] = {SK_RIGHT_REGISTRY_WRITE, 0},
    [SK_OP_CERTIFICATE_VERIFY] = {SK_RIGHT_REGISTRY_WRITE, 0},
    [SK_OP_SCOPE_LIST] = {SK_RIGHT_REGISTRY_READ, EDGE_HUB},
    [SK_OP_SCOPE_GET] = {SK_RIGHT_REGISTRY_READ, EDGE_HUB},
};

static bool may(const struct sk_backend *backend, const struct sk_request *request) {
    const struct sk_principal *who = request->who;
    if (!sk_principal_is_device(who)) return (rules[request->op].right & who->rights) != 0;
    unsigned device = rules[request->op].device;
    if (device & LOCAL && backend->any_host && who->module) return true;
    if (!sk_span_is(request->device, who->device)) return false;
    if (device & SELF && sk_span_eq(request->module, sk_span_z(who->module))) return true;
    if (device & OWN_MODULES && who->module == NULL &&
        (request->module.n || request->op == SK_OP_MODULE_LIST))
        return true;
    return device & EDGE_HUB && who->module && strcmp(who->module, "$edgeHub") == 0;
}

void sk_gateway_submit(struct sk_backend *backend, struct sk_request *request) {
    if (!may(backend, request))
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS, "%s does not allow this operation",
                          sk_principal_is_device(request->who) ? "a device's own credential"
                                                               : request->who->policy);
    else if (backend->chaos == NULL || !sk_chaos_refuses(backend->chaos, request))
        backend->ops->submit(backend, request);
}
