#include "support/hub_world.h"

#include "hub/server/config.h"
#include "support/watch.h"

struct sk_sim *sim;
struct sk_io *io;
struct sk_hub *hub;
static struct sk_hub_config config;
struct sk_hub_options options;
static struct watch *watch; /* of cloud-to-device messages and completions */

/* ---- asking ---- */

struct outcome outcome;

void copy(char *to, size_t size, struct sk_span from) {
    snprintf(to, size, "%.*s", SK_ARG(from));
}

static void on_outcome(struct sk_request *request, const struct sk_answer *answer) {
    (void)request;
    outcome = (struct outcome){.done = true, .feedback = answer->outbox};
    if (answer->error) outcome.fault = answer->error->fault;
    if (answer->document)
        outcome.purged =
            json_integer_value(json_object_get(answer->document, "totalMessagesPurged"));
    if (answer->message == NULL) return;
    outcome.has_message = true;
    copy(outcome.token, sizeof outcome.token, answer->message->c2d->lock_token);
    copy(outcome.body, sizeof outcome.body, answer->message->body);
    copy(outcome.ack, sizeof outcome.ack, answer->message->system[SK_SYS_ACK]);
    outcome.sequence = answer->message->sequence;
    outcome.deliveries = answer->message->c2d->delivery_count;
    outcome.redelivered = answer->message->c2d->redelivered;
}

static bool has_outcome(void *arg) {
    (void)arg;
    return outcome.done;
}

enum sk_fault ask(struct sk_request request) {
    outcome.done = false;
    request.done = on_outcome;
    hub->backend.ops->submit(&hub->backend, &request);
    assert_true(sk_sim_run_until(sim, 60 * SK_S, has_outcome, NULL));
    return outcome.fault;
}

struct sk_message message_of(const char *id, const char *ack, const char *body) {
    struct sk_message message = {.body = sk_span_z(body)};
    message.system[SK_SYS_MESSAGE_ID] = sk_span_z(id);
    message.system[SK_SYS_ACK] = sk_span_z(ack);
    return message;
}

enum sk_fault send_message(const char *device, const struct sk_message *message) {
    return ask(
        (struct sk_request){.op = SK_OP_C2D_SEND, .device = sk_span_z(device), .message = message});
}

enum sk_fault send_text(const char *device, const char *id, const char *ack) {
    struct sk_message message = message_of(id, ack, id);
    return send_message(device, &message);
}

bool receive(const char *device, unsigned lock_s) {
    assert_int_equal(ask((struct sk_request){
                         .op = SK_OP_C2D_RECEIVE, .device = sk_span_z(device), .lock_s = lock_s}),
                     SK_FAULT_NONE);
    return outcome.has_message;
}

enum sk_fault settle_token(const char *device, const char *token, enum sk_outcome how) {
    char copied[40];
    copy(copied, sizeof copied, sk_span_z(token));
    return ask((struct sk_request){.op = SK_OP_C2D_SETTLE,
                                   .device = sk_span_z(device),
                                   .name = sk_span_z(copied),
                                   .outcome = how});
}

enum sk_fault purge(const char *device) {
    return ask((struct sk_request){.op = SK_OP_C2D_PURGE, .device = sk_span_z(device)});
}

enum sk_fault send_telemetry(const char *device, struct sk_message message) {
    static struct sk_principal who = {.generation_id = "g", .auth_method = "{}"};
    message.device = sk_span_z(device);
    return ask((struct sk_request){
        .op = SK_OP_TELEMETRY, .who = &who, .device = message.device, .message = &message});
}

static struct sk_event_source *stream;

static void on_stream(struct sk_request *request, const struct sk_answer *answer) {
    (void)request;
    assert_null(answer->error);
    stream = answer->events;
}

struct sk_event_source *open_stream(void) {
    struct sk_request request = {.op = SK_OP_EVENTS_WATCH, .done = on_stream};
    hub->backend.ops->submit(&hub->backend, &request);
    return stream;
}

void pass(uint64_t ns) {
    sk_sim_run(sim, ns);
}

/* ---- a device with a session ---- */

static bool deliver(struct sk_session *session, const struct sk_message *message,
                    uint64_t delivery) {
    struct device *d = session->owner;
    if (d->unsettled == d->room) return false;
    assert_true(d->count < SEEN_MAX);
    struct seen *seen = &d->seen[d->count++];
    d->unsettled++;
    copy(seen->body, sizeof seen->body, message->body);
    seen->delivery = delivery;
    seen->deliveries = message->c2d->delivery_count;
    seen->redelivered = message->c2d->redelivered;
    return true;
}

static void close_device(struct sk_session *session, enum sk_fault reason) {
    sk_session_close(session, reason);
}

const struct sk_head mqtt_like = {
    .deliver_message = deliver, .close = close_device, .never_resends = true};
const struct sk_head amqp_like = {.deliver_message = deliver, .close = close_device};

void connect_device(struct device *d, const char *id, const struct sk_head *head, size_t room) {
    struct sk_principal principal = {.device = sk_span_dup(sk_span_z(id)), .expires_s = INT64_MAX};
    *d = (struct device){.room = room};
    sk_session_open(&d->session, &hub->backend, head, &principal, d);
    sk_session_subscribe(&d->session, SK_SUB_C2D | SK_SUB_C2D_QOS1);
    pass(SK_S);
}

void disconnect_device(struct device *d) {
    sk_session_close(&d->session, SK_FAULT_NONE);
    sk_principal_free(&d->session.principal);
    free(d->session.key);
    pass(SK_S);
}

enum sk_fault settle(struct device *d, size_t index, enum sk_outcome how) {
    if (d->unsettled) d->unsettled--;
    return ask((struct sk_request){.op = SK_OP_SETTLE,
                                   .session = &d->session,
                                   .device = sk_span_z(d->session.principal.device),
                                   .delivery = d->seen[index].delivery,
                                   .outcome = how});
}

/* ---- the world ---- */

void open_hub(void) {
    char reason[512];
    enum sk_status status = sk_hub_open(io, &options, &hub, reason);
    if (status) fail_msg("%s", reason);
    watch_attach(watch, &hub->backend);
    pass(SK_S);
}

static bool hub_closed;
static void on_closed(void *arg) {
    (void)arg;
    hub_closed = true;
}
static bool is_closed(void *arg) {
    (void)arg;
    return hub_closed;
}

void close_hub(void) {
    hub_closed = false;
    sk_hub_close(hub, on_closed, NULL);
    assert_true(sk_sim_run_until(sim, 60 * SK_S, is_closed, NULL));
    watch_detach(watch, false);
    watch_check(watch);
}

void put_device(const char *id, bool disabled) {
    json_t *body =
        json_pack("{s:s,s:s}", "deviceId", id, "status", disabled ? "disabled" : "enabled");
    assert_int_equal(
        ask((struct sk_request){.op = SK_OP_IDENTITY_PUT, .device = sk_span_z(id), .body = body}),
        SK_FAULT_NONE);
    json_decref(body);
}

void delete_device(const char *id) {
    assert_int_equal(ask((struct sk_request){.op = SK_OP_IDENTITY_DELETE, .device = sk_span_z(id)}),
                     SK_FAULT_NONE);
}

int start_world(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 11});
    io = sk_sim_node(sim, "hub");
    char error[SK_HUB_CONFIG_ERROR_MAX];
    if (sk_hub_config_parse(
            SK_SPAN("listen = {addresses = [\"hub.test\"], certificate = \"c\", key = \"k\"}\n"
                    "[[hub]]\nname = \"test\"\nhostnames = [\"hub.test\"]\n"
                    "data = \"/data\"\nretention = \"9999d\"\nreserve_bytes = 0\n"),
            "hub.toml", "", &config, error))
        fail_msg("%s", error);
    options = config.hubs[0];
    watch = watch_new();
    watch_forgive(watch); /* not every test has routes */
    open_hub();
    put_device("d1", false);
    put_device("d2", false);
    return 0;
}

int end_world(void **state) {
    (void)state;
    close_hub();
    sk_hub_config_free(&config);
    watch_free(watch);
    sk_sim_free(sim);
    return 0;
}
