/* The edge hub's life and the dispatch of its requests. */
#include <stdio.h>

#include "edge/hub/parts.h"
#include "gateway/once.h"
#include "store/log/segments/segments.h"
#include "store/registry/sqlite/sqlite.h"

#define SESSIONS SK_SPAN("session")

/* What an edge hub is made of; they stop in this order. */
static const struct sk_edge_part *const parts[] = {
    &edge_part_report,   &edge_part_methods, &edge_part_below,   &edge_part_scope,
    &edge_part_upstream, &edge_part_https,   &edge_part_c2d,     &edge_part_twins,
    &edge_part_inputs,   &edge_part_ingest,  &edge_part_forward, &edge_part_queues,
    &edge_part_routing,  &edge_part_settings};

#define EACH_PART(part)                                                                            \
    for (const struct sk_edge_part *const *at = parts, *part;                                      \
         at < parts + sizeof parts / sizeof *parts && (part = *at, true); at++)

struct sk_backend *sk_edge_hub_backend(struct sk_edge_hub *hub) {
    return &hub->backend;
}

static const struct sk_policy *find_policy(struct sk_backend *backend, struct sk_span name) {
    (void)backend;
    (void)name;
    return NULL; /* policies are the cloud's; here every client is an identity */
}

/* ---- persistent subscriptions ---- */

struct load {
    void (*done)(void *arg, bool found, unsigned bits);
    void *arg;
};

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_document *document) {
    (void)end;
    struct load load = *(struct load *)arg;
    free(arg);
    int64_t bits = 0;
    bool found = document && sk_span_to_int(document->bytes, &bits) == SK_OK;
    load.done(load.arg, found, (unsigned)bits);
}

static void load_subscriptions(struct sk_backend *backend, const struct sk_session *session,
                               void (*done)(void *, bool, unsigned), void *arg) {
    struct load *load = SK_NEW(struct load);
    *load = (struct load){done, arg};
    sk_registry_document_get(edge_hub_of(backend)->store, SESSIONS, sk_span_z(session->key), loaded,
                             load);
}

static void save_subscriptions(struct sk_backend *backend, const struct sk_session *session,
                               void (*done)(void *arg), void *arg) {
    /* A client that finds less than it had subscribes again: how it ended does not matter. */
    struct sk_registry_then *then = sk_registry_then(done, arg);
    struct sk_registry *store = edge_hub_of(backend)->store;
    char text[16];
    snprintf(text, sizeof text, "%u", session->subscriptions);
    if (session->persistent)
        sk_registry_document_put(store, SESSIONS, sk_span_z(session->key), sk_span_z(text),
                                 sk_registry_ended, then);
    else
        sk_registry_document_delete(store, SESSIONS, sk_span_z(session->key), sk_registry_ended,
                                    then);
}

/* ---- sessions ---- */

static struct sk_edge_identity *identity_of(struct sk_edge_hub *hub,
                                            const struct sk_session *session) {
    return sk_map_get(&hub->identities, sk_span_z(session->key));
}

/* Whose session it is is looked up once, for all parts. */
#define TELL_PARTS(what)                                                                           \
    do {                                                                                           \
        struct sk_edge_identity *identity = identity_of(hub, session);                             \
        EACH_PART(part) if (part->what) part->what(hub, session, identity);                        \
    } while (0)

static void session_opened(struct sk_backend *backend, struct sk_session *session) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    TELL_PARTS(opened);
}

static void session_model(struct sk_backend *backend, struct sk_session *session,
                          struct sk_span model_id) {
    struct sk_edge_identity *identity = identity_of(edge_hub_of(backend), session);
    if (identity == NULL) return;
    sk_identity_set(&identity->model_id, model_id);
    if (identity->client) sk_device_client_model(identity->client, model_id);
}

static void session_subscribed(struct sk_backend *backend, struct sk_session *session) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    TELL_PARTS(subscribed);
}

static void session_writable(struct sk_backend *backend, struct sk_session *session) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    TELL_PARTS(writable);
}

static void session_closed(struct sk_backend *backend, struct sk_session *session,
                           enum sk_fault reason) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    (void)reason;
    TELL_PARTS(closed);
}

static void submit(struct sk_backend *backend, struct sk_request *request) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    hub->serve[request->op](hub, request);
}

/* What no part serves. */
static void refuse(struct sk_edge_hub *hub, struct sk_request *request) {
    (void)hub;
    sk_request_refuse(request, SK_FAULT_INVALID_OPERATION,
                      "an edge hub does not serve this; ask the IoT hub");
}

/* Nobody has proved who he is: only names that we know become labels. */
static void refused(struct sk_backend *backend, const struct sk_refusal *refusal) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    enum sk_fault reason = refusal->error->fault;
    const struct sk_edge_identity *identity =
        edge_identity_find(hub, refusal->device, refusal->module);
    struct sk_span id = identity ? sk_span_z(identity->key) : SK_SPAN("unknown");
    bool full = reason == SK_FAULT_QUOTA_EXCEEDED;
    if (reason != SK_FAULT_UNAVAILABLE)
        edge_count(hub, SK_EDGE_CONNECTS_FAILED,
                   (struct sk_span[]){id, full ? SK_SPAN("too_many_clients")
                                               : SK_SPAN("not_authenticated")});
}

static const struct sk_backend_ops ops = {.find_identity = edge_find_identity,
                                          .find_identity_anew = edge_find_identity_anew,
                                          .find_policy = find_policy,
                                          .refused = refused,
                                          .submit = submit,
                                          .load_subscriptions = load_subscriptions,
                                          .save_subscriptions = save_subscriptions,
                                          .session_opened = session_opened,
                                          .session_model = session_model,
                                          .session_subscribed = session_subscribed,
                                          .session_closed = session_closed,
                                          .session_writable = session_writable};

/* ---- what the cloud tells ---- */

/* Their clients may be gone for long. */
static void send_reports_of_all(struct sk_edge_hub *hub) {
    struct sk_edge_identity *identity;
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;) {
        if (identity->client || identity->identity.disabled || !edge_twin_unsent(identity))
            continue;
        edge_upstream_client(identity);
        edge_upstream_wants(identity);
    }
}

static void upstream_connected(struct sk_edge_identity *identity) {
    struct sk_edge_hub *hub = identity->hub;
    if (identity == hub->self) {
        send_reports_of_all(hub);
        edge_scope_refresh(hub);
        edge_report_soon(hub);
    }
    edge_twin_connected(identity);
    edge_forward_resume(identity);
    edge_forward_soon(hub);
}

/* Deleted or disabled in the cloud, most likely. */
static void upstream_refused(struct sk_edge_identity *identity) {
    edge_scope_refresh(identity->hub);
}

static const struct sk_edge_upstream_events upstream_events = {
    .connected = upstream_connected,
    .refused = upstream_refused,
    .desired = edge_twin_desired,
    .unsent = edge_twin_unsent,
    .refresh = edge_scope_refresh,
};

/* ---- opening ---- */

/* One document has been read. */
static void all_loaded(struct sk_task *task) {
    struct sk_edge_hub *hub = SK_CONTAINER(task, struct sk_edge_hub, start.task);
    if (hub->start.documents) return;
    hub->start.done = NULL;
    EACH_PART(part) if (part->start) part->start(hub);
    if (hub->options->ready) hub->options->ready(hub->options->ready_arg);
}

static enum sk_status open_stores(struct sk_edge_hub *hub, char reason[512]) {
    struct sk_io *io = hub->backend.io;
    char path[1024], text[SK_MODEL_ERROR_MAX];
    struct sk_log_recovery recovery;
    enum sk_status status = sk_folder_make(io, hub->options->data, 0700);
    sk_path_protect(io, hub->options->data, 0700);
    if (status) {
        snprintf(reason, 512, "cannot make the folder %s (%s)", hub->options->data,
                 sk_status_text(status));
        return status;
    }
    snprintf(path, sizeof path, "%s/edge-hub.db", hub->options->data);
    status = sk_registry_sqlite_open(io, path, &hub->store, text);
    if (status) {
        snprintf(reason, 512, "%s: %s", path, text);
        return status;
    }
    snprintf(path, sizeof path, "%s/messages", hub->options->data);
    status = sk_log_segments_open(
        io,
        &(struct sk_log_segments_options){
            .folder = path, .segment_bytes = 8 * 1024 * 1024, .retain_until_read = true},
        &hub->log, &recovery);
    if (status) {
        snprintf(reason, 512, "cannot open the message store %s (%s)", path,
                 sk_status_text(status));
        return status;
    }
    hub->forward.fresh_log = recovery.next_sequence <= 1;
    if (recovery.cut_bytes)
        SK_WARN("edge-hub", "%llu bytes of an unfinished write were cut from the end of the store",
                (unsigned long long)recovery.cut_bytes);
    edge_room_set(hub, 0);
    hub->once = sk_once_new(hub->store, hub->log);
    status = sk_once_catch_up(hub->once);
    return status ? status : edge_forward_open(hub);
}

static void free_hub(struct sk_edge_hub *hub) {
    void (*closed)(void *) = hub->closed;
    void *arg = hub->closed_arg;
    if (hub->once) sk_once_free(hub->once);
    sk_directory_free(&hub->backend.directory);
    sk_x509_anchors_free(hub->anchors);
    sk_arena_free(&hub->arena);
    sk_buffer_free(&hub->scratch);
    json_decref(hub->closed_ports);
    edge_measures_free(&hub->measures);
    free(hub);
    if (closed) closed(arg);
}

static void log_closed(void *arg) {
    free_hub(arg);
}

void sk_edge_hub_drain(struct sk_edge_hub *hub) {
    hub->draining = true;
    EACH_PART(part) if (part->drain) part->drain(hub);
}

void sk_edge_hub_close(struct sk_edge_hub *hub, void (*closed)(void *arg), void *arg) {
    hub->closing = true;
    hub->closed = closed;
    hub->closed_arg = arg;
    sk_io_undefer(&hub->start.task);
    EACH_PART(part) if (part->stop) part->stop(hub);
    if (hub->store) sk_registry_close(hub->store);
    if (hub->log)
        sk_log_close(hub->log, log_closed, hub);
    else
        free_hub(hub);
}

void sk_edge_hub_prepare(void) {
    sk_registry_sqlite_prepare();
}

enum sk_status sk_edge_hub_open(struct sk_io *io, const struct sk_edge_hub_options *options,
                                struct sk_edge_hub **opened, char reason[512]) {
    struct sk_edge_hub *hub = SK_NEW(struct sk_edge_hub);
    hub->options = options;
    hub->backend.ops = &ops;
    for (size_t op = 0; op < SK_OP_COUNT; op++) {
        hub->serve[op] = refuse;
        EACH_PART(part) if (part->serve[op]) hub->serve[op] = part->serve[op];
    }
    hub->upstream.events = &upstream_events;
    hub->start.done = all_loaded;
    hub->backend.io = io;
    hub->backend.host_name = sk_span_z(options->hub_host_name);
    hub->alias = sk_span_z(options->host_name);
    hub->backend.aliases = &hub->alias;
    hub->backend.alias_count = 1;
    hub->backend.any_host = true;
    hub->backend.modules_by_key =
        true; /* as Azure's edge hub: docs/protocols/edge-runtime.md, section 5.3 */
    sk_io_guid(io, hub->instance);
    sk_list_init(&hub->scope.waiting);
    edge_measures_init(&hub->measures);
    sk_methods_init(&hub->methods, &hub->backend);
    hub->self = edge_identity_add(hub, sk_span_z(options->device_id), SK_SPAN("$edgeHub"));
    const struct sk_edge_upstream *up = &options->upstream;
    enum sk_status status = sk_http_client_new(
        io,
        &(struct sk_http_client_options){
            .to = {.host = up->host, .port = up->https_port ? up->https_port : 443},
            .host_header = options->hub_host_name,
            .tls = options->upstream_tls,
            .proxy = up->proxy},
        &hub->scope.https);
    if (status) snprintf(reason, 512, "the upstream address %s is not usable", up->host);
    if (!status) status = open_stores(hub, reason);
    if (status) {
        sk_edge_hub_close(hub, NULL, NULL);
        return status;
    }
    EACH_PART(part) if (part->load) part->load(hub);
    *opened = hub;
    return SK_OK;
}

void sk_edge_hub_trust(struct sk_edge_hub *hub, struct sk_span pem) {
    sk_x509_anchors_free(hub->anchors);
    hub->anchors = sk_x509_anchors_new();
    sk_x509_anchors_add(hub->anchors, pem);
    hub->backend.device_cas = hub->anchors;
}

struct sk_edge_hub_counts sk_edge_hub_counts(const struct sk_edge_hub *hub) {
    struct sk_edge_hub_counts counts = hub->counts;
    counts.clients = sk_directory_counts(&hub->backend).sessions;
    counts.identities = hub->identities.count;
    counts.queue_upstream = !hub->census.ended;
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (hub->queues[i].endpoint && hub->queues[i].endpoint->device == NULL)
            counts.queue_upstream += hub->queues[i].depth;
    return counts;
}
