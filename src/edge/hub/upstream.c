/* The way to the cloud: for each identity an MQTT connection of its own, or links on the one AMQP
 * connection, all with $edgeHub's token and an auth chain. Reference:
 * docs/protocols/edge-runtime.md, section 5.5. */
#include "edge/hub/parts.h"

#include <stdio.h>

enum { IDLE_S = 60 };

/* ---- one identity's connection ---- */

static struct sk_session *session_of(const struct sk_edge_identity *identity) {
    return sk_directory_find(&identity->hub->backend, sk_span_z(identity->identity.device_id),
                             sk_span_z(identity->identity.module_id));
}

static unsigned wanted(const struct sk_edge_identity *identity) {
    if (identity == identity->hub->self) return SK_SUB_DESIRED | SK_SUB_METHODS;
    struct sk_session *session = session_of(identity);
    unsigned passed_on = SK_SUB_DESIRED | SK_SUB_METHODS;
    if (identity->identity.module_id == NULL) passed_on |= SK_SUB_C2D; /* modules get none */
    return (session ? session->subscriptions & passed_on : 0) |
           (edge_identity_polls(identity) ? SK_SUB_C2D : 0);
}

/* The way that worked is tried first after a restart. */
static void remember_way(struct sk_edge_hub *hub) {
    bool fell_back = sk_device_client_fell_back(hub->self->client);
    if (fell_back == hub->upstream.fell_back) return;
    hub->upstream.fell_back = fell_back;
    sk_registry_document_put(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SK_SPAN("way"),
                             fell_back ? SK_SPAN("fallback") : SK_SPAN("own"), NULL, NULL);
}

static void way_loaded(void *arg, const struct sk_registry_end *end,
                       const struct sk_registry_document *stored) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    hub->upstream.fell_back = stored && sk_span_is(stored->bytes, "fallback");
    edge_load_ended(hub);
}

static void load(struct sk_edge_hub *hub) {
    hub->start.documents++;
    sk_registry_document_get(hub->store, SK_SPAN(SK_EDGE_DOCUMENTS), SK_SPAN("way"), way_loaded,
                             hub);
}

static void offline(struct sk_edge_hub *hub) {
    if (!hub->counts.upstream_connected) return;
    hub->offline_ns = sk_io_now(hub->backend.io);
    edge_count(hub, SK_EDGE_OFFLINE, (struct sk_span[]){sk_span_z(hub->self->key)});
}

static void online(struct sk_edge_hub *hub) {
    if (hub->offline_ns)
        edge_took(hub, SK_EDGE_OFFLINE_TIME, (struct sk_span[]){sk_span_z(hub->self->key)},
                  hub->offline_ns);
    hub->offline_ns = 0;
}

static void on_connected(void *arg, bool session_present) {
    (void)session_present;
    struct sk_edge_identity *identity = arg;
    identity->connected = true;
    if (identity == identity->hub->self) {
        if (!identity->hub->counts.upstream_connected)
            SK_INFO("edge-hub", "connected to %s", identity->hub->options->hub_host_name);
        identity->hub->counts.upstream_connected = true;
        online(identity->hub);
        remember_way(identity->hub);
    }
    identity->hub->upstream.events->connected(identity);
}

static void count_again(const struct sk_edge_identity *identity, const char *operation, size_t n) {
    struct sk_span labels[] = {sk_span_z(identity->key), sk_span_z(operation)};
    if (n) edge_series(identity->hub, SK_EDGE_RETRIES, labels)->count += n;
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    struct sk_edge_identity *identity = arg;
    identity->connected = false;
    count_again(identity, "SendMessageToCloud", down->messages);
    count_again(identity, "UpdateReportedProperties", down->reports);
    count_again(identity, "GetTwin", down->twin_gets);
    edge_c2d_drop(identity);
    if (identity == identity->hub->self) {
        if (identity->hub->counts.upstream_connected)
            SK_WARN("edge-hub", "%s is not reachable (%s); messages wait here",
                    identity->hub->options->hub_host_name, sk_status_text(down->reason));
        offline(identity->hub);
        identity->hub->counts.upstream_connected = false;
        identity->hub->scope.known = false;
    } else if (down->refused) {
        identity->hub->upstream.events->refused(identity);
    }
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    (void)patch;
    (void)version;
    struct sk_edge_identity *identity = arg;
    identity->hub->upstream.events->desired(identity);
}

/* A method from the cloud, on its way to the client at our side. */
struct invocation {
    struct sk_request request;
    struct sk_edge_hub *hub;
    struct sk_principal who;
    char *device, *module, *name, *payload, *rid;
};

static void on_invoked(struct sk_request *request, const struct sk_answer *answer) {
    struct invocation *i = (struct invocation *)request;
    struct sk_edge_identity *identity =
        edge_identity_find(i->hub, request->device, request->module);
    if (identity && identity->client && answer->error) {
        struct sk_buffer body = {0};
        sk_buffer_text(&body, "{\"message\":");
        sk_json_string(&body, sk_span_z(sk_error_text(answer->error)));
        sk_buffer_byte(&body, '}');
        sk_device_client_answer(identity->client, sk_span_z(i->rid),
                                sk_fault_kind(answer->error->fault)->http_status,
                                sk_buffer_span(&body));
        sk_buffer_free(&body);
    } else if (identity && identity->client) {
        sk_device_client_answer(identity->client, sk_span_z(i->rid), answer->status,
                                answer->payload);
    }
    free(i->device);
    free(i->module);
    free(i->name);
    free(i->payload);
    free(i->rid);
    free(i);
}

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    enum { LONGEST_S = 300 }; /* the caller's own time-out is shorter and ends it in the cloud */
    struct sk_edge_identity *identity = arg;
    struct sk_edge_hub *hub = identity->hub;
    if (identity == hub->self) {
        bool refresh = sk_span_eq_nocase(name, SK_SPAN("RefreshDeviceScopeIdentityCache"));
        if (refresh) hub->upstream.events->refresh(hub);
        sk_device_client_answer(identity->client, rid, refresh ? 200 : 404,
                                refresh ? SK_NONE : SK_SPAN("null"));
        return;
    }
    struct invocation *i = SK_NEW(struct invocation);
    i->hub = hub;
    i->device = sk_span_dup(sk_span_z(identity->identity.device_id));
    i->module = sk_text_dup(identity->identity.module_id);
    i->name = sk_span_dup(name);
    i->payload = sk_span_dup(payload);
    i->rid = sk_span_dup(rid);
    i->request = (struct sk_request){.op = SK_OP_METHOD_INVOKE,
                                     .who = &i->who,
                                     .device = sk_span_z(i->device),
                                     .module = sk_span_z(i->module),
                                     .name = sk_span_z(i->name),
                                     .payload = sk_span(i->payload, payload.n),
                                     .response_timeout_s = LONGEST_S,
                                     .done = on_invoked};
    edge_method_call(hub, SK_SPAN("upstream"), &i->request);
}

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    edge_c2d_take(arg, message, delivery);
}

static const struct sk_device_events events = {.connected = on_connected,
                                               .disconnected = on_disconnected,
                                               .desired = on_desired,
                                               .method = on_method,
                                               .message = on_message};

static struct sk_device_mux *mux_of(struct sk_edge_hub *hub) {
    const struct sk_edge_hub_options *o = hub->options;
    if (o->upstream.amqp && hub->upstream.mux == NULL)
        hub->upstream.mux = sk_device_mux_new(
            hub->backend.io, &(struct sk_device_mux_options){
                                 .host = o->upstream.host,
                                 .port = sk_edge_upstream_port(&o->upstream),
                                 .websocket = o->upstream.websocket,
                                 .fallback_port = sk_edge_upstream_fallback(&o->upstream),
                                 .fallback_first = hub->upstream.fell_back,
                                 .proxy = sk_edge_upstream_proxy(&o->upstream),
                                 .tls = o->upstream_tls,
                                 .hub_host = sk_span_z(o->hub_host_name),
                                 .device_id = sk_span_z(o->device_id),
                                 .module_id = SK_SPAN("$edgeHub"),
                                 .tokens = o->tokens});
    return hub->upstream.mux;
}

struct sk_device_client *edge_upstream_client(struct sk_edge_identity *identity) {
    struct sk_edge_hub *hub = identity->hub;
    const struct sk_edge_hub_options *o = hub->options;
    if (identity->client) return identity->client;
    struct sk_buffer chain = {0};
    if (identity != hub->self) edge_identity_chain(identity, &chain);
    identity->client = sk_device_client_new(
        hub->backend.io,
        &(struct sk_device_client_options){.mux = mux_of(hub),
                                           .host = o->upstream.host,
                                           .port = sk_edge_upstream_port(&o->upstream),
                                           .websocket = o->upstream.websocket,
                                           .fallback_port = sk_edge_upstream_fallback(&o->upstream),
                                           .fallback_first = hub->upstream.fell_back,
                                           .proxy = sk_edge_upstream_proxy(&o->upstream),
                                           .tls = o->upstream_tls,
                                           .hub_host = sk_span_z(o->hub_host_name),
                                           .device_id = sk_span_z(identity->identity.device_id),
                                           .module_id = sk_span_z(identity->identity.module_id),
                                           .auth_chain = sk_buffer_span(&chain),
                                           .model_id = sk_span_z(identity->model_id),
                                           .tokens = o->tokens,
                                           .queue_max = SIZE_MAX, /* the flight bounds it */
                                           .subscriptions = wanted(identity),
                                           .events = &events,
                                           .arg = identity});
    sk_buffer_free(&chain);
    return identity->client;
}

void edge_upstream_drop(struct sk_edge_identity *identity) {
    sk_timer_stop(&identity->idle);
    struct sk_device_client *client = identity->client;
    identity->client = NULL;
    identity->connected = false;
    edge_c2d_drop(identity);
    if (client) sk_device_client_free(client);
}

static void on_idle(struct sk_timer *timer) {
    struct sk_edge_identity *identity = SK_CONTAINER(timer, struct sk_edge_identity, idle);
    if (identity->client == NULL || session_of(identity)) return;
    if (sk_device_client_waiting(identity->client) || edge_identity_polls(identity) ||
        identity->hub->upstream.events->unsent(identity))
        sk_timer_start(timer->io, timer, IDLE_S * SK_S, on_idle);
    else
        edge_upstream_drop(identity);
}

void edge_upstream_wants(struct sk_edge_identity *identity) {
    if (identity == identity->hub->self) return; /* ours stays, whoever comes with our key */
    if (session_of(identity) || edge_identity_polls(identity) ||
        identity->hub->upstream.events->unsent(identity)) {
        sk_timer_stop(&identity->idle);
        sk_device_client_subscribe(edge_upstream_client(identity), wanted(identity));
        if (session_of(identity) == NULL)
            sk_timer_start(identity->hub->backend.io, &identity->idle, IDLE_S * SK_S, on_idle);
    } else if (identity->client) {
        sk_device_client_subscribe(identity->client, wanted(identity));
        sk_timer_start(identity->hub->backend.io, &identity->idle, IDLE_S * SK_S, on_idle);
    }
}

static void start(struct sk_edge_hub *hub) {
    edge_upstream_client(hub->self);
}

static void stop(struct sk_edge_hub *hub) {
    sk_device_mux_free(hub->upstream.mux);
    hub->upstream.mux = NULL;
}

static void session_changed(struct sk_edge_hub *hub, struct sk_session *session,
                            struct sk_edge_identity *identity) {
    (void)session;
    if (identity && !hub->closing) edge_upstream_wants(identity);
}

const struct sk_edge_part edge_part_upstream = {.load = load,
                                                .start = start,
                                                .stop = stop,
                                                .opened = session_changed,
                                                .subscribed = session_changed,
                                                .closed = session_changed};
