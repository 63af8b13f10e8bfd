/* Direct methods: an invocation waits for its target to be online (connect time-out), goes out with
 * a fresh id, and waits for the answer (response time-out). Limits and codes:
 * docs/protocols/service-api.md, section 2, "Direct methods". */
#include "gateway/gateway.h"

#include <stdio.h>

enum {
    PAYLOAD_MAX = 128 * 1024,
    IN_FLIGHT_MAX = 64 /* to one device or module; a choice of ours, see docs/compatibility.md */
};

/* How many calls one device or module has under way. */
struct target {
    unsigned calls;
    char key[2 * SK_ID_MAX + 2];
};

struct call {
    struct sk_methods *methods;
    struct sk_request *request;
    struct target *target;
    char rid[37];
    bool given; /* to the directory: the target's session has it, unless that says otherwise */
    struct sk_timer timer;
};

void sk_methods_init(struct sk_methods *methods, struct sk_backend *backend) {
    *methods = (struct sk_methods){.backend = backend};
}

static struct target *target_of(struct sk_methods *methods, const struct sk_request *request) {
    struct target *target = SK_NEW(struct target);
    snprintf(target->key, sizeof target->key, "%.*s/%.*s", SK_ARG(request->device),
             SK_ARG(request->module));
    struct target *known = sk_map_get(&methods->targets, sk_span_z(target->key));
    if (known) {
        free(target);
        return known;
    }
    sk_map_put(&methods->targets, sk_span_z(target->key), target);
    return target;
}

static void release(struct sk_methods *methods, struct target *target) {
    if (target->calls) return;
    sk_map_remove(&methods->targets, sk_span_z(target->key));
    free(target);
}

static struct sk_request *finish(struct call *call) {
    struct sk_request *request = call->request;
    sk_timer_stop(&call->timer);
    SK_ASSERT(call->target->calls);
    call->target->calls--;
    release(call->methods, call->target);
    sk_map_remove(&call->methods->waiting, sk_span_z(call->rid));
    free(call);
    return request;
}

void sk_methods_free(struct sk_methods *methods) {
    struct call *call;
    for (size_t i = 0; (call = sk_map_next(&methods->waiting, &i, NULL)) != NULL; i = 0)
        sk_request_refuse(finish(call), SK_FAULT_UNAVAILABLE, NULL);
    sk_map_free(&methods->waiting);
    sk_map_free(&methods->targets);
}

static void not_online(struct sk_timer *timer) {
    struct call *call = SK_CONTAINER(timer, struct call, timer);
    sk_request_refuse(finish(call), SK_FAULT_DEVICE_NOT_ONLINE,
                      "Timed out waiting for device to connect.");
}

static void no_answer(struct sk_timer *timer) {
    struct call *call = SK_CONTAINER(timer, struct call, timer);
    sk_request_refuse(finish(call), SK_FAULT_GATEWAY_TIMEOUT,
                      "Timed out waiting for the response from device.");
}

static void told(void *arg, struct sk_span rid, bool taken) {
    struct sk_methods *methods = arg;
    struct call *call = sk_map_get(&methods->waiting, rid);
    if (call == NULL) return;
    unsigned connect_s = call->request->connect_timeout_s;
    call->given = taken;
    if (taken)
        sk_timer_start(methods->backend->io, &call->timer, call->request->response_timeout_s * SK_S,
                       no_answer);
    else if (connect_s == 0)
        sk_request_refuse(finish(call), SK_FAULT_DEVICE_NOT_ONLINE,
                          "The operation failed because the requested device isn't online.");
    else if (!sk_timer_running(&call->timer))
        sk_timer_start(methods->backend->io, &call->timer, connect_s * SK_S, not_online);
}

static void deliver(struct call *call) {
    const struct sk_request *request = call->request;
    SK_ASSERT(!call->given);
    call->given = true;
    sk_directory_deliver_method(call->methods->backend, request->device, request->module,
                                &(struct sk_method_call){.rid = sk_span_z(call->rid),
                                                         .name = request->name,
                                                         .payload = request->payload},
                                told, call->methods);
}

void sk_methods_invoke(struct sk_methods *methods, struct sk_request *request) {
    if (request->payload.n > PAYLOAD_MAX) {
        sk_request_refuse(request, SK_FAULT_MESSAGE_TOO_LARGE,
                          "the payload of a direct method is at most 128 KB");
        return;
    }
    struct target *target = target_of(methods, request);
    if (target->calls >= IN_FLIGHT_MAX) {
        sk_request_refuse(request, SK_FAULT_METHODS_IN_FLIGHT, NULL);
        return;
    }
    struct call *call = SK_NEW(struct call);
    call->methods = methods;
    call->target = target;
    target->calls++;
    call->request = request;
    sk_io_guid(methods->backend->io, call->rid);
    sk_map_put(&methods->waiting, sk_span_z(call->rid), call);
    deliver(call);
}

/* Whether the session is that of the call's target. An identity has one at a time, and what was
 * given to the one before has ended with it. */
static bool is_for(const struct call *call, const struct sk_session *session) {
    return sk_span_is(call->request->device, session->principal.device) &&
           sk_span_eq(call->request->module, sk_span_z(session->principal.module));
}

void sk_methods_respond(struct sk_methods *methods, struct sk_request *response) {
    struct call *call = sk_map_get(&methods->waiting, response->rid);
    /* Another client's id is none of its business; a late answer is dropped. */
    if (call && call->given && is_for(call, response->session)) {
        struct sk_request *request = finish(call);
        if (response->payload.n > PAYLOAD_MAX)
            sk_request_refuse(request, SK_FAULT_BAD_GATEWAY,
                              "the device's answer is larger than 128 KB");
        else
            request->done(request, &(struct sk_answer){.status = (int)response->status,
                                                       .payload = response->payload});
    }
    sk_request_answer(response);
}

void sk_methods_online(struct sk_methods *methods, struct sk_session *session) {
    struct call *call;
    for (size_t i = 0; (call = sk_map_next(&methods->waiting, &i, NULL)) != NULL;)
        if (!call->given && is_for(call, session)) deliver(call);
}

void sk_methods_offline(struct sk_methods *methods, struct sk_session *session) {
    struct call *call;
    for (size_t i = 0; (call = sk_map_next(&methods->waiting, &i, NULL)) != NULL;) {
        if (!call->given || !is_for(call, session)) continue;
        sk_request_refuse(finish(call), SK_FAULT_DEVICE_NOT_ONLINE,
                          "The device's connection ended before it answered.");
        i = 0; /* the map has changed */
    }
}
