/* The way to the cloud: for each identity an MQTT connection of its own, or links on the one AMQP
 * connection, all with $edgeHub's token and an auth chain, and the queue's cursor that feeds them.
 * Order is kept for each identity; a record is committed when the cloud has acknowledged it and all
 * before it. Reference: edge runtime, section 5.5. */
#include "edge/hub/hub_parts.h"

#include <stdio.h>

enum { IDLE_S = 60 };

/* ---- tokens: a request may outlive the client that asked ---- */

struct token_request {
    struct sk_list link;
    struct sk_edge_hub *hub;           /* NULL: whoever asked is gone */
    struct sk_edge_identity *identity; /* NULL: for the AMQP connection */
    int64_t expiry_s;
};

static void got_token(void *arg, enum sk_status status, struct sk_span token) {
    struct token_request *request = arg;
    if (request->hub) {
        sk_list_remove(&request->link);
        if (request->identity)
            sk_device_client_token(request->identity->client, status, token, request->expiry_s);
        else
            sk_device_mux_token(request->hub->mux, status, token, request->expiry_s);
    }
    free(request);
}

static void ask_for_token(struct sk_edge_hub *hub, struct sk_edge_identity *identity,
                          struct sk_list *requests, uint32_t life_s) {
    struct token_request *request = SK_NEW(struct token_request);
    request->hub = hub;
    request->identity = identity;
    request->expiry_s = sk_io_wall(hub->backend.io) / 1000000 + life_s;
    sk_list_append(requests, &request->link);
    hub->options->get_token(hub->options->token_arg, request->expiry_s, got_token, request);
}

static void get_token(void *arg, struct sk_device_client *client, uint32_t life_s) {
    (void)client;
    struct sk_edge_identity *identity = arg;
    ask_for_token(identity->hub, identity, &identity->tokens, life_s);
}

static void get_mux_token(void *arg, struct sk_device_mux *mux, uint32_t life_s) {
    (void)mux;
    struct sk_edge_hub *hub = arg;
    ask_for_token(hub, NULL, &hub->mux_tokens, life_s);
}

static void forget_tokens(struct sk_list *requests) {
    while (!sk_list_empty(requests)) {
        struct token_request *request = SK_LIST_FIRST(requests, struct token_request, link);
        sk_list_remove(&request->link);
        request->hub = NULL;
    }
}

/* ---- one identity's connection ---- */

static void pump(struct sk_task *task);

static void pump_soon(struct sk_edge_hub *hub) {
    if (!hub->closing) sk_io_defer(hub->backend.io, &hub->upstream_pump, pump);
}

static struct sk_session *session_of(const struct sk_edge_identity *identity) {
    return sk_session_find(&identity->hub->backend, sk_span_z(identity->identity.device_id),
                           sk_span_z(identity->identity.module_id));
}

static unsigned wanted(const struct sk_edge_identity *identity) {
    if (identity == identity->hub->self) return SK_SUB_DESIRED | SK_SUB_METHODS;
    struct sk_session *session = session_of(identity);
    unsigned passed_on = SK_SUB_DESIRED | SK_SUB_METHODS;
    if (identity->identity.module_id == NULL) passed_on |= SK_SUB_C2D; /* modules get none */
    return session ? session->subscriptions & passed_on : 0;
}

/* Their clients may be gone for long. */
static void send_reports_of_all(struct sk_edge_hub *hub) {
    struct sk_edge_identity *identity;
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;) {
        if (identity->client || identity->identity.disabled || !sk_edge_twin_unsent(identity))
            continue;
        sk_edge_upstream_client(identity);
        sk_edge_upstream_wants(identity);
    }
}

static void on_connected(void *arg, bool session_present) {
    (void)session_present;
    struct sk_edge_identity *identity = arg;
    identity->connected = true;
    if (identity == identity->hub->self) {
        if (!identity->hub->counts.upstream_connected)
            SK_INFO("edge-hub", "connected to %s", identity->hub->options->hub_host_name);
        identity->hub->counts.upstream_connected = true;
        send_reports_of_all(identity->hub);
        sk_edge_scope_refresh(identity->hub);
        sk_edge_report_soon(identity->hub);
    }
    sk_edge_twin_connected(identity);
    pump_soon(identity->hub);
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    struct sk_edge_identity *identity = arg;
    identity->connected = false;
    sk_edge_c2d_drop(identity);
    if (identity == identity->hub->self) {
        if (identity->hub->counts.upstream_connected)
            SK_WARN("edge-hub", "%s is not reachable (%s); messages wait here",
                    identity->hub->options->hub_host_name, sk_status_text(down->reason));
        identity->hub->counts.upstream_connected = false;
        identity->hub->scope_known = false;
    } else if (down->refused) {
        sk_edge_scope_refresh(identity->hub); /* deleted or disabled in the cloud, most likely */
    }
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    (void)patch;
    (void)version;
    sk_edge_twin_desired(arg);
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
        sk_edge_identity_find(i->hub, request->device, request->module);
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
        if (refresh) sk_edge_scope_refresh(hub);
        sk_device_client_answer(identity->client, rid, refresh ? 200 : 404,
                                refresh ? SK_NONE : SK_SPAN("null"));
        return;
    }
    struct invocation *i = SK_NEW(struct invocation);
    i->hub = hub;
    i->device = sk_span_dup(sk_span_z(identity->identity.device_id));
    i->module =
        identity->identity.module_id ? sk_span_dup(sk_span_z(identity->identity.module_id)) : NULL;
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
    sk_methods_invoke(&hub->methods, &i->request);
}

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    sk_edge_c2d_take(arg, message, delivery);
}

static const struct sk_device_events events = {.connected = on_connected,
                                               .disconnected = on_disconnected,
                                               .desired = on_desired,
                                               .method = on_method,
                                               .message = on_message};

static struct sk_device_mux *mux_of(struct sk_edge_hub *hub) {
    const struct sk_edge_hub_options *o = hub->options;
    if (o->upstream.amqp && hub->mux == NULL)
        hub->mux = sk_device_mux_new(hub->backend.io,
                                     &(struct sk_device_mux_options){
                                         .host = o->upstream.host,
                                         .port = sk_edge_upstream_port(&o->upstream),
                                         .websocket = o->upstream.websocket,
                                         .fallback_port = sk_edge_upstream_fallback(&o->upstream),
                                         .proxy = sk_edge_upstream_proxy(&o->upstream),
                                         .tls = o->upstream_tls,
                                         .hub_host = sk_span_z(o->hub_host_name),
                                         .device_id = sk_span_z(o->device_id),
                                         .module_id = SK_SPAN("$edgeHub"),
                                         .get_token = get_mux_token,
                                         .arg = hub});
    return hub->mux;
}

struct sk_device_client *sk_edge_upstream_client(struct sk_edge_identity *identity) {
    struct sk_edge_hub *hub = identity->hub;
    const struct sk_edge_hub_options *o = hub->options;
    if (identity->client) return identity->client;
    struct sk_buffer chain = {0};
    if (identity != hub->self) sk_buffer_print(&chain, "%s;%s", identity->key, o->device_id);
    identity->client = sk_device_client_new(
        hub->backend.io,
        &(struct sk_device_client_options){.mux = mux_of(hub),
                                           .host = o->upstream.host,
                                           .port = sk_edge_upstream_port(&o->upstream),
                                           .websocket = o->upstream.websocket,
                                           .fallback_port = sk_edge_upstream_fallback(&o->upstream),
                                           .proxy = sk_edge_upstream_proxy(&o->upstream),
                                           .tls = o->upstream_tls,
                                           .hub_host = sk_span_z(o->hub_host_name),
                                           .device_id = sk_span_z(identity->identity.device_id),
                                           .module_id = sk_span_z(identity->identity.module_id),
                                           .auth_chain = sk_buffer_span(&chain),
                                           .model_id = sk_span_z(identity->model_id),
                                           .get_token = get_token,
                                           .queue_max = SIZE_MAX, /* the flight bounds it */
                                           .subscriptions = wanted(identity),
                                           .events = &events,
                                           .arg = identity});
    sk_buffer_free(&chain);
    return identity->client;
}

void sk_edge_upstream_drop(struct sk_edge_identity *identity) {
    sk_timer_stop(&identity->idle);
    forget_tokens(&identity->tokens);
    struct sk_device_client *client = identity->client;
    identity->client = NULL;
    identity->connected = false;
    sk_edge_c2d_drop(identity);
    if (client) sk_device_client_free(client);
}

static void on_idle(struct sk_timer *timer) {
    struct sk_edge_identity *identity = SK_CONTAINER(timer, struct sk_edge_identity, idle);
    if (identity->client == NULL || session_of(identity)) return;
    if (sk_device_client_waiting(identity->client) || sk_edge_twin_unsent(identity))
        sk_timer_start(timer->io, timer, IDLE_S * SK_S, on_idle);
    else
        sk_edge_upstream_drop(identity);
}

void sk_edge_upstream_wants(struct sk_edge_identity *identity) {
    if (session_of(identity)) {
        sk_timer_stop(&identity->idle);
        sk_device_client_subscribe(sk_edge_upstream_client(identity), wanted(identity));
    } else if (identity->client) {
        sk_device_client_subscribe(identity->client, wanted(identity));
        sk_timer_start(identity->hub->backend.io, &identity->idle, IDLE_S * SK_S, on_idle);
    }
}

/* ---- the queue ---- */

struct shot {
    struct sk_edge_hub *hub;
    uint64_t sequence;
};

static void land(struct sk_edge_hub *hub, uint64_t sequence) {
    uint64_t below = sk_edge_flight_done(&hub->upstream_flight, sequence);
    if (below) sk_cursor_commit(hub->upstream, below);
}

static void on_sent(void *arg, enum sk_status status) {
    struct shot shot = *(struct shot *)arg;
    free(arg);
    if (shot.hub->closing) return; /* not acknowledged: it goes out again after the start */
    if (status)                    /* nobody will take it */
        SK_WARN("edge-hub", "message %llu cannot be forwarded: %s",
                (unsigned long long)shot.sequence,
                status == SK_REFUSED ? "the cloud refuses it" : "its sender has left the scope");
    else
        shot.hub->counts.forwarded_total++;
    land(shot.hub, shot.sequence);
    pump_soon(shot.hub);
}

/* False: stop for now. */
static bool forward(struct sk_edge_hub *hub, const struct sk_record *record) {
    struct sk_message message;
    enum sk_status status = SK_OK;
    sk_edge_flight_add(&hub->upstream_flight, record->sequence);
    sk_arena_reset(&hub->arena);
    bool expired =
        hub->upstream_ttl_us >= 0 && sk_cursor_age(hub->upstream, record) > hub->upstream_ttl_us;
    if (sk_message_decode(record->body, &hub->arena, &message)) {
        SK_ERROR("edge-hub", "record %llu is not a message; skipped",
                 (unsigned long long)record->sequence);
        land(hub, record->sequence);
        return true;
    }
    struct sk_edge_identity *sender = sk_edge_identity_find(hub, message.device, message.module);
    if ((sender == NULL || sender->identity.disabled) &&
        !hub->scope_known) { /* our copy may be old: ask first */
        hub->upstream_flight.count--;
        sk_cursor_seek(hub->upstream, record->sequence);
        return false;
    }
    if (expired || sender == NULL || sender->identity.disabled) {
        if (expired)
            hub->counts.expired_total++;
        else
            SK_WARN("edge-hub", "a message of %.*s cannot be forwarded: it %s",
                    SK_ARG(message.device), sender ? "is disabled" : "has left the scope");
        land(hub, record->sequence);
        return true;
    }
    message.system[SK_SYS_EDGE_NUMBER] = hub->numbers
                                             ? sk_arena_print(&hub->arena, "%s:%llu", hub->epoch,
                                                              (unsigned long long)record->sequence)
                                             : SK_NONE;
    struct shot *shot = SK_NEW(struct shot);
    *shot = (struct shot){hub, record->sequence};
    status = sk_device_client_send(sk_edge_upstream_client(sender), &message, on_sent, shot);
    if (status == SK_OK) return true;
    free(shot);
    if (status == SK_TOO_LARGE) {
        SK_ERROR("edge-hub", "message %llu is too large for the cloud; skipped",
                 (unsigned long long)record->sequence);
        land(hub, record->sequence);
        return true;
    }
    hub->upstream_flight.count--;
    sk_cursor_seek(hub->upstream, record->sequence);
    return false;
}

static void pump(struct sk_task *task) {
    struct sk_edge_hub *hub = SK_CONTAINER(task, struct sk_edge_hub, upstream_pump);
    struct sk_record record;
    while (hub->counts.upstream_connected && !sk_edge_flight_full(&hub->upstream_flight)) {
        enum sk_status status = sk_cursor_next(hub->upstream, &record);
        if (status == SK_NOT_FOUND) continue;
        if (status || !forward(hub, &record)) break;
    }
}

static void readable(void *arg) {
    pump_soon(arg);
}

void sk_edge_upstream_scope_known(struct sk_edge_hub *hub) {
    hub->scope_known = true;
    pump_soon(hub);
}

enum sk_status sk_edge_upstream_open(struct sk_edge_hub *hub) {
    sk_edge_flight_init(&hub->upstream_flight, SK_EDGE_UPSTREAM_WINDOW);
    return sk_cursor_open(hub->log, "upstream", 1ull << SK_EDGE_UPSTREAM_BIT, 0, readable, hub,
                          &hub->upstream);
}

void sk_edge_upstream_close(struct sk_edge_hub *hub) {
    forget_tokens(&hub->mux_tokens);
    sk_device_mux_free(hub->mux);
    hub->mux = NULL;
    sk_io_undefer(&hub->upstream_pump);
    if (hub->upstream) sk_cursor_close(hub->upstream);
    hub->upstream = NULL;
    sk_edge_flight_free(&hub->upstream_flight);
}
