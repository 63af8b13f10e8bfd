#include "edge/hub/role.h"

#include <stdio.h>

#include "edge/hub/images.h"
#include "net/http_server.h"
#include "net/trust.h"
#include "device/workload.h"

/* The daemon starts beside us, and on the very first start has to fetch our identity: it is asked
 * again quickly at first. */
enum { QUICK_MS = 3, QUICK_TRIES = 350, RETRY_S = 1 };
enum { LISTEN_RETRY_S = 5 };
enum { BUNDLE_S = 600 }; /* the trust bundle's file may be replaced: how soon that counts */

struct sk_edge_hub_role {
    struct sk_io *io;
    const struct sk_edge_hub_role_options *options;
    struct sk_edge_hub_options hub_options;
    struct sk_workload *workload;
    struct sk_tls *server_tls, *upstream_tls;
    struct sk_edge_hub *hub;
    struct edge_images *images;
    struct sk_gateway *gateway;
    struct sk_http_service metrics, local;
    struct sk_http_listener *metrics_listener, *local_listener;
    struct sk_timer certificate_timer;
    int64_t certificate_from_us, certificate_renew_us; /* wall clock */
    unsigned certificate_tries;                        /* without success */
    struct sk_timer bundle_timer, listen_timer;
    bool *open; /* of each address to listen on */
    bool hub_ready, listening, stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- metrics ---- */

static void serve_metrics(void *arg, struct sk_http_exchange *exchange) {
    struct sk_edge_hub_role *role = arg;
    if (!sk_span_is(exchange->request->path, "/metrics")) {
        bool ready = sk_span_is(exchange->request->path, "/health/ready") && role->listening;
        bool live = sk_span_is(exchange->request->path, "/health/live");
        sk_http_respond(exchange, ready || live ? 200 : 503, SK_NONE,
                        ready || live ? SK_SPAN("fine\n") : SK_SPAN("not ready\n"));
        return;
    }
    struct sk_buffer text = {0};
    sk_edge_hub_put_metrics(role->hub, &text);
    sk_gateway_put_metrics(role->gateway, &text);
    sk_http_respond(exchange, 200, SK_SPAN("Content-Type: text/plain; version=0.0.4\r\n"),
                    sk_buffer_span(&text));
    sk_buffer_free(&text);
}

/* ---- listening: when there is a certificate and the store is read ---- */

/* An address that cannot be had is tried again until it can; only the first failure is logged. */
static void listen_on_all(struct sk_timer *timer) {
    struct sk_edge_hub_role *role = SK_CONTAINER(timer, struct sk_edge_hub_role, listen_timer);
    json_t *closed = json_array();
    for (size_t i = 0; i < role->options->listen_count; i++) {
        const struct sk_endpoint *at = &role->options->listen[i];
        if (role->open[i]) continue;
        enum sk_status status = sk_gateway_listen(role->gateway, at, role->server_tls, NULL);
        role->open[i] = status == SK_OK;
        if (status) json_array_append_new(closed, json_sprintf("%s:%u", at->host, at->port));
        if (status == SK_OK)
            SK_INFO("edge-hub", "listening on %s:%u", at->host, at->port);
        else if (!role->listening)
            SK_ERROR("edge-hub",
                     "cannot listen on %s:%u (%s) yet; is another server there, or does the port "
                     "need root?",
                     at->host, at->port, sk_status_text(status));
    }
    if (json_array_size(closed))
        sk_timer_start(role->io, &role->listen_timer, LISTEN_RETRY_S * SK_S, listen_on_all);
    sk_edge_hub_set_closed_ports(role->hub, closed);
}

static void listen_when_ready(struct sk_edge_hub_role *role) {
    if (!role->hub_ready || role->server_tls == NULL || role->listening || role->stopping) return;
    listen_on_all(&role->listen_timer);
    role->listening = true;
    SK_INFO("edge-hub", "ready");
}

static void hub_ready(void *arg) {
    struct sk_edge_hub_role *role = arg;
    role->hub_ready = true;
    listen_when_ready(role);
}

/* ---- trust: which CAs may have signed the certificates of leaf devices ---- */

static void ask_bundle(struct sk_timer *timer);

static void got_bundle(void *arg, enum sk_status status, struct sk_span pem) {
    struct sk_edge_hub_role *role = arg;
    if (role->stopping) return;
    if (!status) sk_edge_hub_trust(role->hub, pem);
    sk_timer_start(role->io, &role->bundle_timer, (status ? RETRY_S : BUNDLE_S) * SK_S, ask_bundle);
}

static void ask_bundle(struct sk_timer *timer) {
    struct sk_edge_hub_role *role = SK_CONTAINER(timer, struct sk_edge_hub_role, bundle_timer);
    sk_workload_trust_bundle(role->workload, got_bundle, role);
}

/* ---- our certificate ---- */

static void ask_certificate(struct sk_timer *timer);
static void plan_certificate(struct sk_edge_hub_role *role);

/* Also when the clock goes back to before it was issued: then it is not valid yet. */
static void certificate_due(struct sk_timer *timer) {
    const int64_t back_us = 3600000000;
    struct sk_edge_hub_role *role = SK_CONTAINER(timer, struct sk_edge_hub_role, certificate_timer);
    int64_t now = sk_io_wall(role->io);
    if (now >= role->certificate_renew_us || now < role->certificate_from_us - back_us)
        ask_certificate(timer);
    else
        plan_certificate(role);
}

static void plan_certificate(struct sk_edge_hub_role *role) {
    sk_timer_start_at(role->io, &role->certificate_timer, role->certificate_renew_us,
                      certificate_due);
}

static void got_certificate(void *arg, enum sk_status status, struct sk_span certificate,
                            struct sk_span key, int64_t expires_us) {
    struct sk_edge_hub_role *role = arg;
    char reason[256] = "";
    if (role->stopping) return;
    struct sk_tls_options options = {
        .certificate_pem = certificate, .key_pem = key, .server = true};
    if (!status)
        status = role->server_tls ? sk_tls_reload(role->server_tls, &options, reason)
                                  : sk_tls_new(role->io, &options, &role->server_tls, reason);
    if (status) {
        bool quick = ++role->certificate_tries < QUICK_TRIES;
        if (!quick)
            SK_WARN("edge-hub", "no server certificate from the daemon (%s) %s; asking again",
                    sk_status_text(status), reason);
        sk_timer_start(role->io, &role->certificate_timer,
                       quick ? QUICK_MS * SK_MS : RETRY_S * SK_S, ask_certificate);
        return;
    }
    /* Renewed at four fifths of its life, without a restart; not sooner than in half a minute. */
    int64_t now = sk_io_wall(role->io), left_us = expires_us - now;
    role->certificate_tries = 0;
    role->certificate_from_us = now;
    role->certificate_renew_us = now + (left_us > 60000000 ? left_us / 5 * 4 : 30000000);
    plan_certificate(role);
    if (!sk_timer_running(&role->bundle_timer)) ask_bundle(&role->bundle_timer);
    listen_when_ready(role);
}

static void ask_certificate(struct sk_timer *timer) {
    struct sk_edge_hub_role *role = SK_CONTAINER(timer, struct sk_edge_hub_role, certificate_timer);
    sk_workload_server_certificate(role->workload, sk_span_z(role->options->host_name),
                                   got_certificate, role);
}

/* ---- the life ---- */

static void free_role(struct sk_edge_hub_role *role) {
    void (*stopped)(void *) = role->stopped;
    void *arg = role->stopped_arg;
    sk_tls_free(role->server_tls);
    sk_tls_free(role->upstream_tls);
    free(role->open);
    free(role);
    if (stopped) stopped(arg);
}

static void hub_closed(void *arg) {
    free_role(arg);
}

static void gateway_closed(void *arg) {
    struct sk_edge_hub_role *role = arg;
    if (role->workload) sk_workload_free(role->workload);
    role->workload = NULL;
    edge_images_free(role->images);
    if (role->hub)
        sk_edge_hub_close(role->hub, hub_closed, role);
    else
        free_role(role);
}

void sk_edge_hub_role_stop(struct sk_edge_hub_role *role, void (*stopped)(void *arg), void *arg) {
    if (role->stopping) return;
    role->stopping = true;
    role->stopped = stopped;
    role->stopped_arg = arg;
    sk_timer_stop(&role->certificate_timer);
    sk_timer_stop(&role->bundle_timer);
    sk_timer_stop(&role->listen_timer);
    sk_http_listener_close(role->metrics_listener);
    sk_http_listener_close(role->local_listener);
    if (role->hub) sk_edge_hub_drain(role->hub);
    sk_gateway_close(role->gateway, gateway_closed, role);
}

/* Without it the hub does its work all the same. */
static void listen_for_people(struct sk_edge_hub_role *role) {
    enum { BODY_MAX = 1024 * 1024 };
    char path[512];
    snprintf(path, sizeof path, "%s/" SK_EDGE_STATUS_SOCKET, role->options->data);
    role->local = (struct sk_http_service){
        .handler = sk_edge_hub_local, .arg = role->hub, .body_max = BODY_MAX};
    enum sk_status status =
        sk_http_listen(role->io, &(struct sk_endpoint){.path = path, .path_mode = 0600}, NULL,
                       &role->local, &role->local_listener, NULL);
    if (status)
        SK_WARN("edge-hub", "cannot listen on %s (%s); queues and routes cannot be asked for", path,
                sk_status_text(status));
}

static enum sk_status start(struct sk_edge_hub_role *role, char reason[512]) {
    const struct sk_edge_hub_role_options *o = role->options;
    enum sk_status status =
        sk_tls_trusting(role->io, o->upstream_trust_file, NULL, &role->upstream_tls, reason);
    if (!status && o->let_go) status = o->let_go(o->let_go_arg, reason);
    if (!status && (status = sk_workload_new(role->io,
                                             &(struct sk_workload_options){
                                                 .uri = o->workload_uri,
                                                 .module_id = SK_SPAN("$edgeHub"),
                                                 .generation_id = SK_SPAN("0"), /* not looked at */
                                                 .hub_host = sk_span_z(o->hub_host_name),
                                                 .device_id = sk_span_z(o->device_id)},
                                             &role->workload)) != SK_OK)
        snprintf(reason, 512, "the workload URI %s is not unix:///path", o->workload_uri);
    if (status) return status;
    role->hub_options = (struct sk_edge_hub_options){.data = o->data,
                                                     .device_id = o->device_id,
                                                     .hub_host_name = o->hub_host_name,
                                                     .host_name = o->host_name,
                                                     .upstream = o->upstream,
                                                     .upstream_tls = role->upstream_tls,
                                                     .tokens = sk_workload_tokens(role->workload),
                                                     .clients_max = o->clients_max,
                                                     .store_bytes_max = o->store_bytes_max,
                                                     .drop_oldest = o->drop_oldest,
                                                     .ready = hub_ready,
                                                     .ready_arg = role};
    status = sk_edge_hub_open(role->io, &role->hub_options, &role->hub, reason);
    if (status) return status;
    sk_gateway_add(role->gateway, sk_edge_hub_backend(role->hub));
    role->images = edge_images_new(role->io, o->image_registry, role->upstream_tls);
    sk_gateway_pass(role->gateway, SK_SPAN(EDGE_IMAGES_PATH), edge_images_serve, role->images);
    listen_for_people(role);
    if (o->metrics) {
        role->metrics = (struct sk_http_service){.handler = serve_metrics, .arg = role};
        status = sk_http_listen(role->io, o->metrics, NULL, &role->metrics, &role->metrics_listener,
                                NULL);
        if (status)
            snprintf(reason, 512, "cannot listen on %s:%u for metrics (%s)", o->metrics->host,
                     o->metrics->port, sk_status_text(status));
    }
    return status;
}

/* Each client may need a connection of its own upstream, so by default they are half of what a
 * process may have. */
static void limit_clients(struct sk_io *io, struct sk_door_limits limits) {
    if (limits.connections == 0)
        limits.connections = (sk_io_limit(io, (struct sk_door_limits){0}).connections + 1) / 2;
    sk_io_limit(io, limits);
}

enum sk_status sk_edge_hub_role_start(struct sk_io *io,
                                      const struct sk_edge_hub_role_options *options,
                                      struct sk_edge_hub_role **started, char reason[512]) {
    struct sk_edge_hub_role *role = SK_NEW(struct sk_edge_hub_role);
    role->io = io;
    role->options = options;
    role->open = sk_alloc(options->listen_count);
    role->gateway = sk_gateway_new(io);
    sk_gateway_speak(role->gateway, SK_GATEWAY_ALL & ~options->unspoken);
    limit_clients(io, options->limits);
    enum sk_status status = start(role, reason);
    if (status) {
        sk_edge_hub_role_stop(role, NULL, NULL);
        return status;
    }
    sk_timer_start(io, &role->certificate_timer, 0, ask_certificate);
    *started = role;
    return SK_OK;
}
