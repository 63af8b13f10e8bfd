/* The C module SDK: a device client, the workload API and a loop behind include/skerry.h. */
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "device/client.h"
#include "device/workload.h"
#include "azure/connection_string.h"
#include "skerry.h"
#include "model/json_text.h"

struct skerry_module {
    struct sk_io *io;
    struct sk_tls *tls;
    struct sk_workload *workload; /* NULL: the key is ours */
    struct sk_device_client *client;
    struct skerry_handlers handlers;
    void *user;
    /* identity and way */
    char *hub, *gateway, *device, *module, *generation, *workload_uri, *key;
    int64_t port;
    struct sk_buffer trust;
    struct sk_timer timer, retry;
    void (*on_timer)(void *user, struct skerry_module *module);
    bool stopping, getting_twin;
    struct sk_list calls;
};

struct skerry_call {
    struct sk_list link;
    struct skerry_module *module; /* NULL: gone */
    char *rid;
};

void skerry_log(const char *format, ...) {
    char text[900];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    SK_INFO("module", "%s", text);
}

static enum skerry_result result_of(enum sk_status status) {
    switch (status) {
    case SK_OK: return SKERRY_OK;
    case SK_TOO_LARGE: return SKERRY_TOO_LARGE;
    case SK_NO_SPACE: return SKERRY_QUEUE_FULL;
    case SK_TIMEOUT: return SKERRY_TIMEOUT;
    case SK_CLOSED: return SKERRY_CLOSED;
    default: return SKERRY_REFUSED;
    }
}

/* ---- events ---- */

static void got_twin(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                     uint64_t version) {
    (void)version;
    struct skerry_module *m = arg;
    m->getting_twin = false;
    if (status || code != 200 || m->stopping) return;
    json_t *twin = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
    SK_CLEANUP_FREE char *text = sk_json_text(json_object_get(twin, "desired"));
    json_decref(twin);
    if (text && m->handlers.on_desired) m->handlers.on_desired(m->user, m, text, true);
}

static void on_connected(void *arg, bool session_present) {
    (void)session_present;
    struct skerry_module *m = arg;
    if (m->handlers.on_connected) m->handlers.on_connected(m->user, m);
    if (m->handlers.on_desired && !m->getting_twin) {
        m->getting_twin = true;
        sk_device_client_get_twin(m->client, got_twin, m);
    }
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    struct skerry_module *m = arg;
    SK_INFO("module", "not connected to %s (%s)", m->gateway, sk_status_text(down->reason));
    if (m->handlers.on_disconnected) m->handlers.on_disconnected(m->user, m);
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    (void)version;
    struct skerry_module *m = arg;
    SK_CLEANUP_FREE char *text = sk_span_dup(patch);
    if (m->handlers.on_desired) m->handlers.on_desired(m->user, m, text, false);
}

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    struct skerry_module *m = arg;
    struct skerry_call *call = SK_NEW(struct skerry_call);
    SK_CLEANUP_FREE char *name_text = sk_span_dup(name);
    SK_CLEANUP_FREE char *payload_text = sk_span_dup(payload);
    call->module = m;
    call->rid = sk_span_dup(rid);
    sk_list_append(&m->calls, &call->link);
    if (m->handlers.on_method)
        m->handlers.on_method(m->user, m, name_text, payload_text, call);
    else
        skerry_call_answer(call, 501, NULL);
}

void skerry_call_answer(struct skerry_call *call, int status, const char *payload_json) {
    if (call->module)
        sk_device_client_answer(call->module->client, sk_span_z(call->rid), status,
                                sk_span_z(payload_json ? payload_json : "null"));
    sk_list_remove(&call->link);
    free(call->rid);
    free(call);
}

static const char *text_or_null(struct sk_arena *arena, struct sk_span text) {
    return text.p ? sk_arena_copy(arena, text).p : NULL;
}

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    struct skerry_module *m = arg;
    struct sk_arena arena = {0};
    struct skerry_property *properties =
        sk_arena_alloc(&arena, (message->property_count + 1) * sizeof *properties);
    for (size_t i = 0; i < message->property_count; i++)
        properties[i] =
            (struct skerry_property){text_or_null(&arena, message->properties[i].name),
                                     text_or_null(&arena, message->properties[i].value)};
    struct skerry_message out = {
        .body = message->body.p,
        .body_size = message->body.n,
        .content_type = text_or_null(&arena, message->system[SK_SYS_CONTENT_TYPE]),
        .content_encoding = text_or_null(&arena, message->system[SK_SYS_CONTENT_ENCODING]),
        .message_id = text_or_null(&arena, message->system[SK_SYS_MESSAGE_ID]),
        .correlation_id = text_or_null(&arena, message->system[SK_SYS_CORRELATION_ID]),
        .properties = properties,
        .property_count = message->property_count,
        .input = text_or_null(&arena, message->system[SK_SYS_INPUT]),
        .sender_device = text_or_null(&arena, message->device),
        .sender_module = text_or_null(&arena, message->module)};
    skerry_delivery number = (uint64_t)delivery.connection << 16 | delivery.id;
    if (m->handlers.on_message)
        m->handlers.on_message(m->user, m, &out, number);
    else
        skerry_module_acknowledge(m, number);
    sk_arena_free(&arena);
}

void skerry_module_acknowledge(struct skerry_module *m, skerry_delivery delivery) {
    sk_device_client_ack(m->client, (struct sk_delivery){.connection = (uint32_t)(delivery >> 16),
                                                         .id = (uint16_t)delivery});
}

static const struct sk_device_events events = {.connected = on_connected,
                                               .disconnected = on_disconnected,
                                               .desired = on_desired,
                                               .method = on_method,
                                               .message = on_message};

/* ---- starting ---- */

static void connect_client(struct skerry_module *m) {
    char reason[256];
    if (sk_tls_new(m->io, &(struct sk_tls_options){.trust_pem = sk_buffer_span(&m->trust)}, &m->tls,
                   reason)) {
        SK_ERROR("module", "%s", reason);
        return;
    }
    unsigned subscriptions = 0;
    if (m->handlers.on_desired) subscriptions |= SK_SUB_DESIRED;
    if (m->handlers.on_method) subscriptions |= SK_SUB_METHODS;
    if (m->handlers.on_message)
        subscriptions |=
            m->module ? SK_SUB_INPUTS | SK_SUB_INPUTS_QOS1 : SK_SUB_C2D | SK_SUB_C2D_QOS1;
    m->client = sk_device_client_new(
        m->io, &(struct sk_device_client_options){
                   .host = m->gateway,
                   .port = (uint16_t)m->port,
                   .tls = m->tls,
                   .hub_host = sk_span_z(m->hub),
                   .device_id = sk_span_z(m->device),
                   .module_id = sk_span_z(m->module),
                   .key = sk_span_z(m->key),
                   .tokens = m->workload ? sk_workload_tokens(m->workload) : NULL,
                   .subscriptions = subscriptions,
                   .events = &events,
                   .arg = m});
}

static void ask_trust(struct sk_timer *timer);

static void got_trust(void *arg, enum sk_status status, struct sk_span pem) {
    struct skerry_module *m = arg;
    if (m->stopping) return;
    if (status) {
        SK_WARN("module", "the trust bundle could not be had from %s (%s); asking again",
                m->workload_uri, sk_status_text(status));
        sk_timer_start(m->io, &m->retry, SK_S, ask_trust);
        return;
    }
    sk_buffer_append(&m->trust, pem);
    connect_client(m);
}

static void ask_trust(struct sk_timer *timer) {
    struct skerry_module *m = SK_CONTAINER(timer, struct skerry_module, retry);
    sk_workload_trust_bundle(m->workload, got_trust, m);
}

static struct skerry_module *new_module(const struct skerry_handlers *handlers, void *user) {
    struct skerry_module *m = SK_NEW(struct skerry_module);
    m->io = sk_io_uv_new();
    m->handlers = *handlers;
    m->user = user;
    sk_list_init(&m->calls);
    const char *port =
        getenv("SKERRY_GATEWAY_PORT"); /* ours: an edge hub without root listens elsewhere */
    if (port == NULL || sk_span_to_int(sk_span_z(port), &m->port) || m->port < 1 || m->port > 65535)
        m->port = 8883;
    return m;
}

static char *variable(const char *name, bool *missing) {
    const char *value = getenv(name);
    if (value && *value) return sk_span_dup(sk_span_z(value));
    SK_ERROR("module", "the environment variable %s is missing; start the module by the edge agent",
             name);
    *missing = true;
    return NULL;
}

enum skerry_result skerry_module_from_environment(const struct skerry_handlers *handlers,
                                                  void *user, struct skerry_module **module) {
    const char *connection_string = getenv("EdgeHubConnectionString");
    if (connection_string)
        return skerry_module_from_connection_string(
            connection_string, getenv("EdgeModuleCACertificateFile"), handlers, user, module);
    struct skerry_module *m = new_module(handlers, user);
    bool missing = false;
    m->workload_uri = variable("IOTEDGE_WORKLOADURI", &missing);
    m->device = variable("IOTEDGE_DEVICEID", &missing);
    m->module = variable("IOTEDGE_MODULEID", &missing);
    m->generation = variable("IOTEDGE_MODULEGENERATIONID", &missing);
    m->hub = variable("IOTEDGE_IOTHUBHOSTNAME", &missing);
    const char *gateway = getenv("IOTEDGE_GATEWAYHOSTNAME");
    m->gateway = sk_span_dup(sk_span_z(gateway && *gateway ? gateway : m->hub));
    if (!missing &&
        sk_workload_new(m->io,
                        &(struct sk_workload_options){.uri = m->workload_uri,
                                                      .module_id = sk_span_z(m->module),
                                                      .generation_id = sk_span_z(m->generation),
                                                      .hub_host = sk_span_z(m->hub),
                                                      .device_id = sk_span_z(m->device)},
                        &m->workload)) {
        SK_ERROR("module", "IOTEDGE_WORKLOADURI is %s; it must be unix:///path", m->workload_uri);
        missing = true;
    }
    if (missing) {
        skerry_module_free(m);
        return SKERRY_ENVIRONMENT;
    }
    sk_timer_start(m->io, &m->retry, 0, ask_trust);
    *module = m;
    return SKERRY_OK;
}

enum skerry_result skerry_module_from_connection_string(const char *connection_string,
                                                        const char *ca_file,
                                                        const struct skerry_handlers *handlers,
                                                        void *user, struct skerry_module **module) {
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX];
    if (sk_connection_string_parse(sk_span_z(connection_string), &parts, error)) {
        SK_ERROR("module", "the connection string is not usable: %s", error);
        return SKERRY_ENVIRONMENT;
    }
    struct skerry_module *m = new_module(handlers, user);
    m->hub = sk_span_dup(parts.host_name);
    m->gateway = sk_span_dup(parts.gateway_host_name.n ? parts.gateway_host_name : parts.host_name);
    m->device = sk_span_dup(parts.device_id);
    m->module = parts.module_id.n ? sk_span_dup(parts.module_id) : NULL;
    m->key = sk_span_dup(parts.shared_access_key);
    if (ca_file && sk_file_load(m->io, ca_file, &m->trust)) {
        SK_ERROR("module", "%s cannot be read", ca_file);
        skerry_module_free(m);
        return SKERRY_ENVIRONMENT;
    }
    connect_client(m);
    *module = m;
    return SKERRY_OK;
}

static void on_term(void *arg) {
    skerry_module_stop(arg);
}

int skerry_module_run(struct skerry_module *m) {
    sk_io_on_signal(m->io, SIGTERM, on_term, m);
    sk_io_run(m->io);
    return 0;
}

void skerry_module_stop(struct skerry_module *m) {
    m->stopping = true;
    sk_io_stop(m->io);
}

static void stop_now(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

void skerry_module_free(struct skerry_module *m) {
    m->stopping = true;
    sk_timer_stop(&m->timer);
    sk_timer_stop(&m->retry);
    if (m->workload) sk_workload_free(m->workload);
    if (m->client) sk_device_client_free(m->client);
    SK_LIST_EACH(&m->calls, node, following) {
        sk_list_remove(node);
        SK_CONTAINER(node, struct skerry_call, link)->module =
            NULL; /* its owner still answers it */
    }
    sk_timer_start(m->io, &m->timer, 100 * SK_MS, stop_now); /* the goodbye leaves */
    sk_io_run(m->io);
    sk_tls_free(m->tls);
    sk_buffer_free(&m->trust);
    sk_io_free(m->io);
    free(m->hub);
    free(m->gateway);
    free(m->device);
    free(m->module);
    free(m->generation);
    free(m->workload_uri);
    free(m->key);
    free(m);
}

/* ---- working ---- */

struct sending {
    skerry_done *done;
    void *user;
};

static void on_sent(void *arg, enum sk_status status) {
    struct sending sending = *(struct sending *)arg;
    free(arg);
    if (sending.done) sending.done(sending.user, result_of(status));
}

enum skerry_result skerry_module_send(struct skerry_module *m, const char *output,
                                      const struct skerry_message *message, skerry_done *done,
                                      void *user) {
    if (m->client == NULL)
        return SKERRY_CLOSED; /* the trust bundle is not there yet: wait for on_connected */
    struct sk_arena arena = {0};
    struct sk_property *properties =
        sk_arena_alloc(&arena, (message->property_count + 1) * sizeof *properties);
    for (size_t i = 0; i < message->property_count; i++)
        properties[i] = (struct sk_property){sk_span_z(message->properties[i].name),
                                             sk_span_z(message->properties[i].value)};
    struct sk_message out = {.body = sk_span(message->body, message->body_size),
                             .properties = properties,
                             .property_count = message->property_count};
    out.system[SK_SYS_OUTPUT] = sk_span_z(output);
    out.system[SK_SYS_CONTENT_TYPE] = sk_span_z(message->content_type);
    out.system[SK_SYS_CONTENT_ENCODING] = sk_span_z(message->content_encoding);
    out.system[SK_SYS_MESSAGE_ID] = sk_span_z(message->message_id);
    out.system[SK_SYS_CORRELATION_ID] = sk_span_z(message->correlation_id);
    struct sending *sending = SK_NEW(struct sending);
    *sending = (struct sending){done, user};
    enum sk_status status = sk_device_client_send(m->client, &out, on_sent, sending);
    if (status) free(sending);
    sk_arena_free(&arena);
    return result_of(status);
}

static void on_reported(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                        uint64_t version) {
    (void)version;
    struct sending sending = *(struct sending *)arg;
    free(arg);
    if (status == SK_OK && code >= 400) {
        SK_WARN("module", "reported properties were refused (%u): %.*s", code, SK_ARG(body));
        status = SK_REFUSED;
    }
    if (sending.done) sending.done(sending.user, result_of(status));
}

void skerry_module_report(struct skerry_module *m, const char *patch_json, skerry_done *done,
                          void *user) {
    if (m->client == NULL) {
        if (done) done(user, SKERRY_CLOSED);
        return;
    }
    struct sending *sending = SK_NEW(struct sending);
    *sending = (struct sending){done, user};
    sk_device_client_report(m->client, sk_span_z(patch_json), on_reported, sending);
}

static void on_timer(struct sk_timer *timer) {
    struct skerry_module *m = SK_CONTAINER(timer, struct skerry_module, timer);
    m->on_timer(m->user, m);
}

void skerry_module_timer(struct skerry_module *m, uint32_t after_ms,
                         void (*fn)(void *user, struct skerry_module *module)) {
    m->on_timer = fn;
    if (after_ms)
        sk_timer_start(m->io, &m->timer, after_ms * SK_MS, on_timer);
    else
        sk_timer_stop(&m->timer);
}

uint64_t skerry_now_ms(struct skerry_module *m) {
    return sk_io_now(m->io) / SK_MS;
}

double skerry_random(struct skerry_module *m) {
    uint32_t bits;
    sk_io_random(m->io, &bits, sizeof bits);
    return (double)bits / 4294967296.0;
}
