/* What devices and modules do over AMQP: telemetry, messages to them, direct methods, twins.
 * Reference: docs/protocols/device-protocols.md, sections 3.4 to 3.7. */
#include "gateway/amqp/head.h"
#include "model/json_text.h"

static struct sk_arena *scratch_of(const struct sk_amqp_end *end) {
    return &end->head->connection.gateway->scratch;
}

/* Changes what the client's session is subscribed to. */
static void subscribe(struct sk_amqp_end *end, unsigned bits, bool on) {
    struct sk_session *session = &end->client->session;
    if (session->open)
        sk_session_subscribe(session,
                             on ? session->subscriptions | bits : session->subscriptions & ~bits);
}

static void opened_in(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, SK_AMQP_HEAD_CREDIT);
}

/* ---- telemetry ---- */

static void submit_event(struct sk_amqp_end *end, struct sk_amqp_incoming *incoming,
                         const struct sk_amqp_message *whole, const struct sk_amqp_message *from) {
    (void)whole;
    struct sk_gateway *gateway = end->head->connection.gateway;
    struct sk_message message;
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_TELEMETRY, incoming);
    enum sk_status status = sk_message_from_amqp(from, &gateway->scratch, &message);
    message.device = r->request.device;
    message.module = r->request.module;
    if (end->client->model_id) message.system[SK_SYS_MODEL_ID] = sk_span_z(end->client->model_id);
    if (status || sk_message_size(&message) > SK_MESSAGE_MAX) {
        sk_request_refuse(&r->request, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
        return;
    }
    gateway->counts.messages_total++;
    gateway->counts.bytes_total += message.body.n;
    r->request.message = &message;
    sk_gateway_submit(end->head->backend, &r->request);
}

static void telemetry(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                      struct sk_span payload) {
    enum { SECTIONS_MAX = 65536 }; /* what stands around the messages */
    sk_amqp_take(end, delivery, payload, SK_MESSAGE_MAX + SECTIONS_MAX, submit_event);
}

const struct sk_amqp_role sk_amqp_telemetry = {
    .kind = SK_ADDRESS_EVENTS, .sends = false, .opened = opened_in, .transfer = telemetry};

/* ---- messages to them: cloud-to-device, and inputs of modules ---- */

static unsigned messages_bit(const struct sk_amqp_end *end) {
    return end->client->session.principal.module ? SK_SUB_INPUTS | SK_SUB_INPUTS_QOS1
                                                 : SK_SUB_C2D | SK_SUB_C2D_QOS1;
}

static void messages_opened(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, 0);
    end->client->messages = end;
    subscribe(end, messages_bit(end), true);
}

static void messages_writable(struct sk_amqp_end *end) {
    struct sk_backend *backend = end->head->backend;
    if (end->client->messages == end && end->client->session.open && backend->ops->session_writable)
        backend->ops->session_writable(backend, &end->client->session);
}

static void settle(struct sk_amqp_end *end, uint64_t delivery, enum sk_outcome outcome) {
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_SETTLE, NULL);
    r->request.delivery = delivery;
    r->request.outcome = outcome;
    sk_gateway_submit(end->head->backend, &r->request);
}

static void messages_outcome(struct sk_amqp_end *end, struct sk_amqp_sent *sent,
                             enum sk_amqp_outcome outcome) {
    if (end->client->session.open) settle(end, sent->delivery, sk_amqp_verdict(outcome));
}

static void messages_gone(struct sk_amqp_end *end) {
    struct sk_amqp_client *client = end->client;
    if (client->messages != end) return;
    client->messages = NULL;
    if (!client->session.open || client->live == 1) return; /* the session's end says it all */
    subscribe(end, messages_bit(end), false);
    SK_LIST_EACH(&end->sent, node, following) {
        settle(end, SK_CONTAINER(node, struct sk_amqp_sent, link)->delivery, SK_RELEASE);
    }
}

const struct sk_amqp_role sk_amqp_messages = {.kind = SK_ADDRESS_C2D,
                                              .sends = true,
                                              .opened = messages_opened,
                                              .writable = messages_writable,
                                              .outcome = messages_outcome,
                                              .gone = messages_gone};
const struct sk_amqp_role sk_amqp_inputs = {.kind = SK_ADDRESS_EVENTS,
                                            .sends = true,
                                            .opened = messages_opened,
                                            .writable = messages_writable,
                                            .outcome = messages_outcome,
                                            .gone = messages_gone};

/* ---- direct methods ---- */

static void methods_opened(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, 0);
    end->client->methods = end;
    subscribe(end, SK_SUB_METHODS, true);
}

static void methods_gone(struct sk_amqp_end *end) {
    if (end->client->methods != end) return;
    end->client->methods = NULL;
    subscribe(end, SK_SUB_METHODS, false);
}

static void method_response(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                            struct sk_span payload) {
    struct sk_arena *scratch = scratch_of(end);
    struct sk_amqp_message m;
    struct sk_message body;
    if (sk_amqp_decode(payload, scratch, &m) || sk_message_from_amqp(&m, scratch, &body)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        return;
    }
    const struct sk_amqp_value *status =
        sk_amqp_find(m.application, m.application_count, "IoThub-status");
    if (status == NULL || (status->type != SK_AMQP_LONG && status->type != SK_AMQP_ULONG)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID,
                       "a method's answer needs the application property IoThub-status, an int");
        return;
    }
    struct sk_amqp_incoming *incoming = sk_amqp_incoming_new(end, delivery);
    struct sk_amqp_request *r = sk_amqp_request_new(end, SK_OP_METHOD_RESPOND, incoming);
    r->request.rid = body.system[SK_SYS_CORRELATION_ID]; /* a guid as text, however it was sent */
    r->request.status = status->i;
    r->request.payload = body.body;
    sk_gateway_submit(end->head->backend, &r->request);
    sk_amqp_incoming_settle(incoming);
}

const struct sk_amqp_role sk_amqp_methods_out = {
    .kind = SK_ADDRESS_METHODS, .sends = true, .opened = methods_opened, .gone = methods_gone};
const struct sk_amqp_role sk_amqp_methods_in = {
    .kind = SK_ADDRESS_METHODS, .sends = false, .opened = opened_in, .transfer = method_response};

/* ---- twins ---- */

static void twin_opened(struct sk_amqp_end *end) {
    sk_amqp_attach(end->amqp, 0);
    end->client->twin = end;
}

static void twin_gone(struct sk_amqp_end *end) {
    if (end->client->twin != end) return;
    end->client->twin = NULL;
    subscribe(end, SK_SUB_DESIRED, false);
}

/* The link that answers requests of this one: the other of its pair. */
static struct sk_amqp_end *pair_of(struct sk_amqp_end *end) {
    SK_LIST_EACH(&end->head->ends, node, following) {
        struct sk_amqp_end *other = SK_CONTAINER(node, struct sk_amqp_end, link);
        if (other->role == &sk_amqp_twin_out && other->client == end->client && other->open &&
            sk_span_eq(other->pair, end->pair))
            return other;
    }
    return end->client->twin;
}

static void answer_twin(struct sk_amqp_request *r, int status, uint64_t version,
                        struct sk_span body) {
    struct sk_amqp_end *to = r->end->amqp ? pair_of(r->end) : NULL;
    struct sk_amqp_field fields[] = {{SK_SPAN("status"), SK_AMQP_VALUE_INT(status)},
                                     {SK_SPAN("version"), SK_AMQP_VALUE_LONG((int64_t)version)}};
    struct sk_amqp_message message = {.correlation_id = r->correlation,
                                      .annotations = fields,
                                      .annotation_count = version ? 2 : 1,
                                      .data = &body,
                                      .data_count = 1};
    if (to) sk_amqp_end_answer(to, &message, NULL); /* it was accepted when it came */
    sk_amqp_request_over(r, NULL);
}

static void refuse_twin(struct sk_amqp_request *r, const struct sk_error *error) {
    struct sk_io *io = r->end->head->connection.gateway->io;
    struct sk_buffer body = {0};
    char tracking[37];
    sk_io_guid(io, tracking);
    sk_error_json(&body, error, sk_span_z(tracking), sk_io_wall(io));
    answer_twin(r, sk_fault_kind(error->fault)->http_status, 0, sk_buffer_span(&body));
    sk_buffer_free(&body);
}

static void on_twin(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_amqp_request *r = (struct sk_amqp_request *)request;
    if (answer->error) {
        refuse_twin(r, answer->error);
        return;
    }
    SK_CLEANUP_FREE char *text = answer->document ? sk_json_text(answer->document) : NULL;
    answer_twin(r, 200, answer->version, sk_span_z(text));
}

static void report(struct sk_amqp_request *r, struct sk_span body) {
    json_error_t error;
    r->request.body = sk_json_load(body, JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(r->request.body))
        sk_gateway_submit(r->end->head->backend, &r->request);
    else
        sk_request_refuse(&r->request, SK_FAULT_ARGUMENT_INVALID,
                          "the reported properties are not a JSON object: %s",
                          r->request.body ? "another type" : error.text);
}

static void twin_request(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                         struct sk_span payload) {
    struct sk_arena *scratch = scratch_of(end);
    struct sk_amqp_message m;
    struct sk_message message;
    struct sk_span operation = SK_NONE, resource = SK_NONE;
    if (sk_amqp_decode(payload, scratch, &m) || sk_message_from_amqp(&m, scratch, &message)) {
        sk_amqp_reject(end, delivery, SK_FAULT_ARGUMENT_INVALID, "not an AMQP message");
        return;
    }
    sk_amqp_accept(end, delivery); /* the verdict is in the answer */
    const struct sk_amqp_value *value =
        sk_amqp_find(m.annotations, m.annotation_count, "operation");
    if (value) operation = sk_amqp_text(value, scratch);
    value = sk_amqp_find(m.annotations, m.annotation_count, "resource");
    if (value) resource = sk_amqp_text(value, scratch);
    bool desired = sk_span_eq_nocase(resource, SK_SPAN("/notifications/twin/properties/desired"));
    bool put = sk_span_eq_nocase(operation, SK_SPAN("PUT")) && desired;
    bool get = sk_span_eq_nocase(operation, SK_SPAN("GET"));
    struct sk_amqp_request *r =
        sk_amqp_request_new(end, get ? SK_OP_TWIN_GET : SK_OP_TWIN_REPORT, NULL);
    r->request.done = on_twin;
    sk_amqp_request_correlate(r, &m.correlation_id);
    if (get) {
        sk_gateway_submit(end->head->backend, &r->request);
    } else if (sk_span_eq_nocase(operation, SK_SPAN("PATCH")) &&
               sk_span_eq_nocase(resource, SK_SPAN("/properties/reported"))) {
        report(r, message.body);
    } else if (put || (sk_span_eq_nocase(operation, SK_SPAN("DELETE")) && desired)) {
        subscribe(end, SK_SUB_DESIRED, put);
        answer_twin(r, 200, 0, SK_NONE);
    } else {
        sk_request_refuse(&r->request, SK_FAULT_INVALID_OPERATION,
                          "a twin link takes GET, PATCH /properties/reported, and PUT or DELETE "
                          "/notifications/twin/properties/desired");
    }
}

const struct sk_amqp_role sk_amqp_twin_out = {
    .kind = SK_ADDRESS_TWIN, .sends = true, .opened = twin_opened, .gone = twin_gone};
const struct sk_amqp_role sk_amqp_twin_in = {
    .kind = SK_ADDRESS_TWIN, .sends = false, .opened = opened_in, .transfer = twin_request};
