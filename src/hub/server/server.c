#include "hub/server/server.h"

#include <stdio.h>

#include "config/rewrite.h"
#include "net/http_server.h"
#include "net/metrics.h"

struct sk_hub_server {
    struct sk_io *io;
    const struct sk_hub_config *config;
    struct sk_hub_config own; /* once the file was read again */
    struct sk_tls *tls;
    struct sk_gateway *gateway;
    struct sk_hub **hubs;
    size_t open_hubs;
    uint16_t *ports;
    struct sk_http_service metrics;
    struct sk_http_listener *metrics_listener;
    bool stopping;
    void (*stopped)(void *arg);
    void *stopped_arg;
};

/* ---- metrics: Prometheus text, and health ---- */

/* A metric of a hub, while it is put. */
struct putting {
    struct sk_hub *hub;
    const struct sk_hub_metric *row;
    struct sk_buffer *to;
};

static void put_value(void *arg, const char *of, uint64_t value) {
    const struct putting *putting = arg;
    sk_buffer_print(putting->to, "%s{hub=\"%s\"", putting->row->name, sk_hub_name(putting->hub));
    if (of) sk_buffer_print(putting->to, ",%s=\"%s\"", putting->row->label, of);
    sk_buffer_print(putting->to, "} %llu\n", (unsigned long long)value);
}

static void put_metric(const struct sk_hub_server *s, const struct sk_hub_metric *row,
                       struct sk_buffer *to) {
    bool counter = sk_span_ends(sk_span_z(row->name), SK_SPAN("_total"));
    sk_metric_put_name(to, row->name, counter ? "counter" : "gauge", row->help);
    for (size_t h = 0; h < s->open_hubs; h++) {
        struct putting putting = {s->hubs[h], row, to};
        if (row->put) {
            row->put(s->hubs[h], row, to);
            continue;
        }
        if (row->each) {
            row->each(s->hubs[h], row, put_value, &putting);
            continue;
        }
        struct sk_hub_counts counts = sk_hub_counts(s->hubs[h]);
        uint64_t value;
        memcpy(&value, (char *)&counts + row->at, sizeof value);
        put_value(&putting, NULL, value);
    }
}

static void put_metrics(struct sk_hub_server *s, struct sk_buffer *to) {
    const struct sk_hub_metric *row;
    for (size_t table = 0; (row = sk_hub_metrics(table)) != NULL; table++)
        for (; row->name; row++) put_metric(s, row, to);
    const struct sk_gateway_counts *g = sk_gateway_counts(s->gateway);
    sk_metric_put_name(to, "skerry_gateway_connections", "gauge", "Open connections.");
    sk_buffer_print(to, "skerry_gateway_connections %llu\n", (unsigned long long)g->connections);
    sk_metric_put_name(to, "skerry_gateway_connections_total", "counter", "Connections accepted.");
    sk_buffer_print(to, "skerry_gateway_connections_total %llu\n",
                    (unsigned long long)g->connections_total);
    sk_metric_put_name(to, "skerry_gateway_refused_total", "counter",
                       "Connections refused: protocol or credentials.");
    sk_buffer_print(to, "skerry_gateway_refused_total %llu\n",
                    (unsigned long long)g->refused_total);
    sk_metric_put_name(to, "skerry_gateway_links_refused_total", "counter", "AMQP links refused.");
    sk_buffer_print(to, "skerry_gateway_links_refused_total %llu\n",
                    (unsigned long long)g->links_refused_total);
    sk_gateway_put_metrics(s->gateway, to);
}

void sk_hub_metrics_reference(struct sk_buffer *to) {
    const struct sk_hub_metric *row;
    sk_buffer_text(to,
                   "# Metrics of a hub\n\nPrinted by `skerry-hub reference --metrics`. They are at "
                   "`/metrics` of `[listen] metrics`, each with the label `hub`. What\nAzure "
                   "Monitor has under another name says which.\n\n"
                   "| name | what it counts | in Azure |\n|---|---|---|\n");
    for (size_t table = 0; (row = sk_hub_metrics(table)) != NULL; table++)
        for (; row->name; row++)
            sk_buffer_print(to, row->azure ? "| `%s` | %s | `%s` |\n" : "| `%s` | %s | %s |\n",
                            row->name, row->help, row->azure ? row->azure : "");
}

static void serve_metrics(void *arg, struct sk_http_exchange *exchange) {
    struct sk_hub_server *s = arg;
    struct sk_span path = exchange->request->path;
    if (sk_span_is(path, "/metrics")) {
        struct sk_buffer text = {0};
        put_metrics(s, &text);
        sk_http_respond(exchange, 200, SK_SPAN("Content-Type: text/plain; version=0.0.4\r\n"),
                        sk_buffer_span(&text));
        sk_buffer_free(&text);
    } else if (sk_span_is(path, "/health/live")) {
        sk_http_respond(exchange, 200, SK_NONE, SK_SPAN("alive\n"));
    } else if (sk_span_is(path, "/health/ready")) {
        sk_http_respond(exchange, s->stopping ? 503 : 200, SK_NONE,
                        s->stopping ? SK_SPAN("stopping\n") : SK_SPAN("ready\n"));
    } else {
        sk_http_respond(exchange, 404, SK_NONE,
                        SK_SPAN("try /metrics, /health/live or /health/ready\n"));
    }
}

/* ---- TLS ---- */

static enum sk_status load_tls(struct sk_hub_server *s, const struct sk_hub_config *config,
                               char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    struct sk_buffer certificate = {.limit = 65536}, key = {.limit = 65536};
    const char *file = config->certificate;
    char why[256] = "";
    enum sk_status status = sk_file_load(s->io, file, &certificate);
    if (!status) status = sk_file_load(s->io, file = config->key, &key);
    if (status) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s: cannot be read (%s)", file,
                 sk_status_text(status));
    } else {
        struct sk_tls_options options = {.certificate_pem = sk_buffer_span(&certificate),
                                         .key_pem = sk_buffer_span(&key),
                                         .server = true};
        status = s->tls ? sk_tls_reload(s->tls, &options, why)
                        : sk_tls_new(s->io, &options, &s->tls, why);
        if (status)
            snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "%s, %s: %s", config->certificate, file, why);
    }
    sk_buffer_free(&certificate);
    sk_buffer_free(&key);
    return status;
}

/* ---- reading the file again ---- */

static enum sk_status check_reload(struct sk_hub_server *s, const struct sk_hub_config *next,
                                   char *reason) {
    enum sk_status status = SK_OK;
    if (s->stopping) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "the hub is stopping");
        return SK_CLOSED;
    }
    for (size_t i = 0; i < next->hub_count && !status; i++)
        status = sk_hub_check_reload(s->hubs[i], &next->hubs[i], reason);
    return status;
}

/* From now on `next`, which has been checked, counts; it is taken. */
static void take(struct sk_hub_server *s, const struct sk_hub_config *next) {
    struct sk_hub_config former = s->own;
    s->own = *next;
    s->config = &s->own;
    for (size_t i = 0; i < next->hub_count; i++) sk_hub_reload(s->hubs[i], &next->hubs[i]);
    sk_gateway_allow_origins(s->gateway, next->origins, next->origin_count);
    sk_hub_config_free(&former);
}

enum sk_status sk_hub_server_reload(struct sk_hub_server *s, char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    struct sk_hub_config next;
    enum sk_status status = sk_hub_config_load_again(s->io, s->config, &next, reason);
    if (status) return status;
    status = check_reload(s, &next, reason);
    /* The certificates last: they are in use when they have been found good. */
    if (!status && s->tls) status = load_tls(s, &next, reason);
    if (status)
        sk_hub_config_free(&next);
    else
        take(s, &next);
    return status;
}

/* ---- changing the file ---- */

/* What the file will say, from what it says: `table` in place of the hub's. */
static enum sk_status change_text(const struct sk_hub_server *s, size_t hub, const json_t *table,
                                  struct sk_span text, struct sk_buffer *changed, char *reason) {
    json_t *document, *lines;
    enum sk_status status = sk_toml_parse(text, s->config->file, &document, &lines, reason);
    if (status) return status;
    json_decref(lines);
    if (json_equal(document, s->config->document)) {
        json_array_set(json_object_get(document, "hub"), hub, (json_t *)table);
        status = sk_toml_rewrite(text, s->config->file, document, changed, reason);
        if (!status && changed->n > SK_HUB_CONFIG_BYTES_MAX) { /* no start would read it */
            snprintf(reason, SK_HUB_CONFIG_ERROR_MAX,
                     "%s has at most %d bytes; with this change it would have %zu", s->config->file,
                     SK_HUB_CONFIG_BYTES_MAX, changed->n);
            status = SK_TOO_LARGE;
        }
    } else { /* nobody has said yet that this shall count */
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX,
                 "%s has been changed since the hub has read it; run `skerry-hub reload`, then try "
                 "again",
                 s->config->file);
        status = SK_CONFLICT;
    }
    json_decref(document);
    return status;
}

static enum sk_status save(struct sk_hub_server *s, struct sk_span text, char *reason) {
    enum sk_status status = sk_file_replace(s->io, s->config->file, text);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX,
                 "%s cannot be written (%s), so nothing has changed%s", s->config->file,
                 sk_status_text(status),
                 status == SK_FORBIDDEN ? "; it and its folder must be the hub's user's" : "");
    return status;
}

/* sk_hub_write: checked as a reload is, then saved, then taken. */
static enum sk_status write_hub(void *arg, struct sk_hub *hub, const json_t *table,
                                char reason[SK_CONFIG_ERROR_MAX]) {
    struct sk_hub_server *s = arg;
    struct sk_hub_config next = {0};
    struct sk_buffer text = {0}, changed = {0};
    size_t index = 0;
    while (s->hubs[index] != hub) index++;
    enum sk_status status = sk_hub_config_text(s->io, s->config->file, &text, reason);
    if (!status) status = change_text(s, index, table, sk_buffer_span(&text), &changed, reason);
    if (!status)
        status = sk_hub_config_parse_again(sk_buffer_span(&changed), s->config, &next, reason);
    if (!status) status = check_reload(s, &next, reason);
    if (!status) status = save(s, sk_buffer_span(&changed), reason);
    if (!status)
        take(s, &next);
    else
        sk_hub_config_free(&next);
    if (text.p) explicit_bzero(text.p, text.n);
    if (changed.p) explicit_bzero(changed.p, changed.n);
    sk_buffer_free(&text);
    sk_buffer_free(&changed);
    return status;
}

/* ---- stopping: listeners, connections, hubs ---- */

static void hub_closed(void *arg) {
    struct sk_hub_server *s = arg;
    if (--s->open_hubs) return;
    void (*stopped)(void *) = s->stopped;
    void *stopped_arg = s->stopped_arg;
    sk_tls_free(s->tls);
    sk_hub_config_free(&s->own);
    free(s->hubs);
    free(s->ports);
    free(s);
    if (stopped) stopped(stopped_arg);
}

static void gateway_closed(void *arg) {
    struct sk_hub_server *s = arg;
    size_t n = s->open_hubs;
    s->open_hubs++; /* so that the last hub's end is seen once, whatever the order */
    for (size_t i = 0; i < n; i++) sk_hub_close(s->hubs[i], hub_closed, s);
    hub_closed(s);
}

void sk_hub_server_stop(struct sk_hub_server *s, void (*stopped)(void *arg), void *arg) {
    if (s->stopping) return;
    s->stopping = true;
    s->stopped = stopped;
    s->stopped_arg = arg;
    sk_http_listener_close(s->metrics_listener);
    sk_gateway_close(s->gateway, gateway_closed, s);
}

/* ---- starting ---- */

static enum sk_status start(struct sk_hub_server *s, bool tls, char *reason) {
    const struct sk_hub_config *config = s->config;
    enum sk_status status = tls ? load_tls(s, config, reason) : SK_OK;
    struct sk_door_limits limits = sk_io_limit(s->io, config->limits);
    if (limits.connections < config->limits.connections)
        SK_WARN("hub", "max_connections is %u, not %u: this process may open no more files",
                limits.connections, config->limits.connections);
    for (size_t i = 0; i < config->hub_count && !status; i++) {
        status = sk_hub_open(s->io, &config->hubs[i], &s->hubs[i], reason);
        if (status) break;
        s->open_hubs++;
        sk_hub_let_write(s->hubs[i], write_hub, s);
        sk_gateway_add(s->gateway, sk_hub_backend(s->hubs[i]));
    }
    sk_gateway_allow_origins(s->gateway, config->origins, config->origin_count);
    for (size_t i = 0; i < config->address_count && !status; i++) {
        const struct sk_endpoint *a = &config->addresses[i];
        status = sk_gateway_listen(s->gateway, a, s->tls, &s->ports[i]);
        if (status)
            snprintf(
                reason, SK_HUB_CONFIG_ERROR_MAX,
                "cannot listen on %s:%u (%s); is another server there, or does the port need root?",
                a->host, a->port, sk_status_text(status));
        else
            SK_INFO("hub", "listening on %s:%u", a->host, s->ports[i]);
    }
    if (!status && config->metrics.host) {
        s->metrics = (struct sk_http_service){.handler = serve_metrics, .arg = s};
        status =
            sk_http_listen(s->io, &config->metrics, NULL, &s->metrics, &s->metrics_listener, NULL);
        if (status)
            snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "cannot listen on %s:%u for metrics (%s)",
                     config->metrics.host, config->metrics.port, sk_status_text(status));
    }
    return status;
}

enum sk_status sk_hub_server_start(struct sk_io *io, const struct sk_hub_config *config, bool tls,
                                   struct sk_hub_server **server,
                                   char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    struct sk_hub_server *s = SK_NEW(struct sk_hub_server);
    s->io = io;
    s->config = config;
    s->gateway = sk_gateway_new(io);
    s->hubs = sk_alloc((config->hub_count + 1) * sizeof *s->hubs);
    s->ports = sk_alloc((config->address_count + 1) * sizeof *s->ports);
    enum sk_status status = start(s, tls, reason);
    if (status)
        sk_hub_server_stop(s, NULL, NULL);
    else
        *server = s;
    return status;
}

uint16_t sk_hub_server_port(const struct sk_hub_server *server, size_t index) {
    return server->ports[index];
}

struct sk_hub *sk_hub_server_hub(const struct sk_hub_server *server, size_t index) {
    return server->hubs[index];
}

struct sk_gateway *sk_hub_server_gateway(const struct sk_hub_server *s) {
    return s->gateway;
}
