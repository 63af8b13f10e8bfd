#include "gateway/chaos.h"

/* What a message may ask for. */
static const struct kind {
    const char *name;
    enum sk_sever sever;   /* breaks once */
    enum sk_fault refusal; /* or refuses for a while */
} kinds[] = {
    {"KillTcp", SK_SEVER_STREAM, SK_FAULT_NONE},
    {"ShutDownMqtt", SK_SEVER_MQTT, SK_FAULT_NONE},
    {"ShutDownAmqp", SK_SEVER_AMQP, SK_FAULT_NONE},
    {"KillAmqpConnection", SK_SEVER_AMQP_CONNECTION, SK_FAULT_NONE},
    {"KillAmqpSession", SK_SEVER_AMQP_SESSION, SK_FAULT_NONE},
    {"KillAmqpCBSLinkReq", SK_SEVER_AMQP_CBS_IN, SK_FAULT_NONE},
    {"KillAmqpCBSLinkResp", SK_SEVER_AMQP_CBS_OUT, SK_FAULT_NONE},
    {"KillAmqpD2CLink", SK_SEVER_AMQP_TELEMETRY, SK_FAULT_NONE},
    {"KillAmqpC2DLink", SK_SEVER_AMQP_MESSAGES, SK_FAULT_NONE},
    {"KillAmqpTwinLinkReq", SK_SEVER_AMQP_TWIN_IN, SK_FAULT_NONE},
    {"KillAmqpTwinLinkResp", SK_SEVER_AMQP_TWIN_OUT, SK_FAULT_NONE},
    {"KillAmqpMethodReqLink", SK_SEVER_AMQP_METHODS_OUT, SK_FAULT_NONE},
    {"KillAmqpMethodRespLink", SK_SEVER_AMQP_METHODS_IN, SK_FAULT_NONE},
    {"InvokeThrottling", SK_SEVER_NOTHING, SK_FAULT_THROTTLED},
    {"InvokeMaxMessageQuota", SK_SEVER_NOTHING, SK_FAULT_QUOTA_EXCEEDED},
    {"InvokeAuthError", SK_SEVER_NOTHING, SK_FAULT_UNAUTHORIZED},
};

struct sk_chaos {
    struct sk_backend *backend;
    struct sk_list faults;
    size_t count;
    bool allowed;
};

/* From the message that asks for it to its end. */
struct fault {
    struct sk_list link;
    struct sk_chaos *chaos;
    const struct kind *kind;
    char *device, *module; /* module NULL: the device itself */
    char *reason;
    uint64_t delay_s, duration_s;
    struct sk_timer timer;
    bool lasts;
    void (*done)(struct sk_request *, const struct sk_answer *); /* of the request that asks */
    bool asked;                                                  /* and it has been answered */
};

struct sk_chaos *sk_chaos_new(struct sk_backend *backend) {
    struct sk_chaos *chaos = SK_NEW(struct sk_chaos);
    chaos->backend = backend;
    chaos->allowed = true;
    sk_list_init(&chaos->faults);
    return chaos;
}

static void free_fault(struct fault *fault) {
    sk_list_remove(&fault->link);
    fault->chaos->count--;
    sk_timer_stop(&fault->timer);
    free(fault->device);
    free(fault->module);
    free(fault->reason);
    free(fault);
}

void sk_chaos_free(struct sk_chaos *chaos) {
    if (chaos == NULL) return;
    SK_LIST_EACH(&chaos->faults, node, following) {
        free_fault(SK_CONTAINER(node, struct fault, link));
    }
    free(chaos);
}

void sk_chaos_allow(struct sk_chaos *chaos, bool allowed) {
    chaos->allowed = allowed;
    SK_LIST_EACH(&chaos->faults, node, following) {
        struct fault *fault = SK_CONTAINER(node, struct fault, link);
        if (!allowed && fault->asked) free_fault(fault);
    }
}

/* ---- the fault ---- */

static void on_over(struct sk_timer *timer) {
    struct fault *fault = SK_CONTAINER(timer, struct fault, timer);
    SK_INFO("chaos", "%s: %s is over", fault->device, fault->kind->name);
    free_fault(fault);
}

static void on_due(struct sk_timer *timer) {
    struct fault *fault = SK_CONTAINER(timer, struct fault, timer);
    SK_INFO("chaos", "%s: %s: %s", fault->device, fault->kind->name, fault->reason);
    if (fault->kind->refusal) {
        fault->lasts = true;
        sk_timer_start(timer->io, timer, fault->duration_s * SK_S, on_over);
        return;
    }
    struct sk_session *session = sk_directory_find(fault->chaos->backend, sk_span_z(fault->device),
                                                   sk_span_z(fault->module));
    if (session == NULL || !session->head->sever(session, fault->kind->sever, fault->reason))
        SK_WARN("chaos", "%s: %s: it has nothing of the kind", fault->device, fault->kind->name);
    free_fault(fault);
}

/* The message is stored: its sender shall know, or it would send it again and again. */
static void on_answered(struct sk_request *request, const struct sk_answer *answer) {
    struct fault *fault = request->chaos;
    bool fine = answer->error == NULL && fault->chaos->allowed;
    fault->asked = true;
    fault->done(request, answer);
    if (fine)
        sk_timer_start(fault->chaos->backend->io, &fault->timer, fault->delay_s * SK_S, on_due);
    else
        free_fault(fault);
}

/* ---- the message that asks for it ---- */

static struct sk_span property(const struct sk_message *message, const char *name) {
    const struct sk_property *found = sk_message_property(message, sk_span_z(name));
    return found ? found->value : SK_NONE;
}

/* Whole seconds; some write a fraction. */
static bool read_seconds(struct sk_span text, uint64_t otherwise, uint64_t *seconds) {
    int64_t n = 0;
    *seconds = otherwise;
    if (text.n == 0) return true;
    if (sk_span_to_int(sk_span_first(text, sk_span_find(text, '.')), &n) || n < 0 ||
        n > SK_CHAOS_SECONDS_MAX)
        return false;
    *seconds = (uint64_t)n;
    return true;
}

static const struct kind *find_kind(struct sk_span name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (sk_span_is(name, kinds[i].name)) return &kinds[i];
    return NULL;
}

static bool refuse(struct sk_request *request, enum sk_fault fault, const char *why) {
    sk_request_refuse(request, fault, "client chaos: %s", why);
    return true;
}

/* Takes the wish; true: it is refused. */
static bool take(struct sk_chaos *chaos, struct sk_request *request, struct sk_span name) {
    const struct sk_message *message = request->message;
    const struct kind *kind = find_kind(name);
    uint64_t delay_s, duration_s;
    if (kind == NULL)
        return refuse(request, SK_FAULT_ARGUMENT_INVALID, "there is no such fault operation");
    if (!read_seconds(property(message, "AzIoTHub_FaultOperationDelayInSecs"), 0, &delay_s) ||
        !read_seconds(property(message, "AzIoTHub_FaultOperationDurationInSecs"),
                      SK_CHAOS_DURATION_S, &duration_s))
        return refuse(request, SK_FAULT_ARGUMENT_INVALID,
                      "delay and duration are 0 to 3600 seconds");
    /* HTTPS has no connection that lasts: the fault is seen at once. */
    if (request->session == NULL && kind->refusal)
        return refuse(request, kind->refusal, "as the message asks");
    if (chaos->count == SK_CHAOS_FAULTS_MAX)
        return refuse(request, SK_FAULT_THROTTLED, "too many faults are waiting");
    struct fault *fault = SK_NEW(struct fault);
    fault->chaos = chaos;
    fault->kind = kind;
    fault->device = sk_span_dup(request->device);
    fault->module = request->module.n ? sk_span_dup(request->module) : NULL;
    fault->reason =
        sk_span_dup(sk_span_trim(property(message, "AzIoTHub_FaultOperationCloseReason")));
    fault->delay_s = delay_s;
    fault->duration_s = duration_s;
    fault->done = request->done;
    request->done = on_answered;
    request->chaos = fault;
    sk_list_append(&chaos->faults, &fault->link);
    chaos->count++;
    return false;
}

/* What a client asks of its own accord, and can be refused. */
static bool may_be_refused(enum sk_op op) {
    return op == SK_OP_TELEMETRY || op == SK_OP_TWIN_GET || op == SK_OP_TWIN_REPORT ||
           op == SK_OP_C2D_RECEIVE;
}

bool sk_chaos_refuses(struct sk_chaos *chaos, struct sk_request *request) {
    if (!chaos->allowed || !sk_principal_is_device(request->who) || !may_be_refused(request->op))
        return false;
    SK_LIST_EACH(&chaos->faults, node, following) {
        const struct fault *fault = SK_CONTAINER(node, struct fault, link);
        if (fault->lasts && sk_span_is(request->device, fault->device) &&
            sk_span_eq(request->module, sk_span_z(fault->module)))
            return refuse(request, fault->kind->refusal, fault->reason);
    }
    struct sk_span name = request->op == SK_OP_TELEMETRY
                              ? property(request->message, "AzIoTHub_FaultOperationType")
                              : SK_NONE;
    return name.n && take(chaos, request, name);
}
