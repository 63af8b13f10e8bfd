/* Checks of the way to the cloud, or to the parent. */
#include <stdio.h>

#include "edge/commands/parts.h"
#include "net/trust.h"

enum { HANDSHAKE_S = 15, CLOCK_WARNING_S = 60, CLOCK_ERROR_S = 300 };

/* What upstream is trusted by; NULL and a finding when it cannot be read. */
static struct sk_tls *upstream_tls(const struct sk_edge_config *config, struct sk_io *io,
                                   struct edge_finding *finding) {
    struct sk_tls *tls = NULL;
    char reason[256] = "";
    if (sk_tls_trusting(io, config->hub_trust_file, NULL, &tls, reason))
        edge_find(finding, EDGE_ERROR, "See the check certs-read.", "%s", reason);
    return tls;
}

/* ---- a TLS handshake ---- */

struct knock {
    struct sk_io *io;
    struct sk_stream *stream;
    struct sk_timer timer;
    bool open;
    enum sk_status reason;
};

static void on_open(struct sk_stream *stream, void *arg) {
    struct knock *knock = arg;
    knock->open = true;
    sk_stream_close(stream);
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct knock *knock = arg;
    (void)stream;
    if (!knock->open && knock->reason == SK_OK) knock->reason = reason ? reason : SK_CLOSED;
    sk_timer_stop(&knock->timer);
}

static void too_slow(struct sk_timer *timer) {
    struct knock *knock = SK_CONTAINER(timer, struct knock, timer);
    knock->reason = SK_TIMEOUT;
    sk_stream_abort(knock->stream);
}

static enum sk_status handshake(struct sk_io *io, const struct sk_endpoint *to, struct sk_tls *tls,
                                const char *server_name) {
    static const struct sk_stream_events events = {
        .on_open = on_open, .on_data = on_data, .on_close = on_close};
    struct knock knock = {.io = io};
    knock.stream = sk_connect(io, to, tls, server_name, &events, &knock);
    sk_timer_start(io, &knock.timer, HANDSHAKE_S * SK_S, too_slow);
    sk_io_run(io);
    return knock.open ? SK_OK : knock.reason;
}

static void explain(struct edge_finding *finding, const char *host, uint16_t port,
                    enum sk_status status) {
    if (status == SK_UNAUTHORIZED)
        edge_find(finding, EDGE_ERROR,
                  "Name the hub's CA in [skerry] hub_trust, and dial the hub by a name that its "
                  "certificate has.",
                  "%s:%u answers, but its certificate is not trusted or has another name.", host,
                  port);
    else
        edge_find(finding, EDGE_ERROR,
                  "Look whether the name resolves and a firewall lets this port out.",
                  "%s:%u does not answer: %s.", host, port, sk_status_text(status));
}

/* ---- checks ---- */

static void port(struct edge_checks *checks, struct edge_finding *finding, uint16_t number,
                 bool needed) {
    const struct sk_edge_upstream *upstream = &checks->config->upstream;
    if (!needed) {
        edge_find(finding, EDGE_SKIPPED, "", "not required in this configuration");
        return;
    }
    struct sk_io *io = sk_io_uv_new();
    struct sk_tls *tls = upstream_tls(checks->config, io, finding);
    if (tls) {
        enum sk_status status =
            handshake(io, &(struct sk_endpoint){.host = upstream->host, .port = number}, tls, NULL);
        if (status) explain(finding, upstream->host, number, status);
        sk_tls_free(tls);
    }
    sk_io_free(io);
}

static void mqtt(struct edge_checks *checks, struct edge_finding *finding) {
    const struct sk_edge_upstream *upstream = &checks->config->upstream;
    port(checks, finding, upstream->mqtt_port, !upstream->amqp && !upstream->websocket);
    if (finding->verdict == EDGE_ERROR && upstream->fallback)
        finding->verdict = EDGE_WARNING; /* WebSocket takes its place */
}

static void amqp(struct edge_checks *checks, struct edge_finding *finding) {
    const struct sk_edge_upstream *upstream = &checks->config->upstream;
    port(checks, finding, upstream->amqp_port, upstream->amqp && !upstream->websocket);
}

/* Any answer will do; through the proxy, if there is one. */
static void ask_https(struct edge_checks *checks, struct edge_finding *finding,
                      struct edge_answer *answer) {
    const struct sk_edge_upstream *upstream = &checks->config->upstream;
    memset(answer, 0, sizeof *answer);
    answer->status = SK_IO;
    struct sk_io *io = sk_io_uv_new();
    struct sk_tls *tls = upstream_tls(checks->config, io, finding);
    if (tls) {
        edge_ask(&(struct sk_http_client_options){.to = {.host = upstream->host,
                                                         .port = upstream->https_port},
                                                  .tls = tls,
                                                  .proxy = upstream->proxy},
                 SK_HTTP_GET, "/", SK_NONE, answer);
        sk_tls_free(tls);
    }
    sk_io_free(io);
    sk_buffer_free(&answer->body);
}

static void https(struct edge_checks *checks, struct edge_finding *finding) {
    const struct sk_edge_upstream *upstream = &checks->config->upstream;
    struct edge_answer answer;
    ask_https(checks, finding, &answer);
    if (answer.status && finding->verdict == EDGE_OK)
        explain(finding, upstream->host, upstream->https_port, answer.status);
    if (finding->verdict == EDGE_ERROR && upstream->proxy)
        snprintf(finding->mend, sizeof finding->mend,
                 "It goes through the proxy %.200s: look whether that answers and lets it pass.",
                 sk_span_find(sk_span_z(upstream->proxy), '@') < strlen(upstream->proxy)
                     ? strchr(upstream->proxy, '@') + 1
                     : upstream->proxy);
}

/* Tokens and certificates are about time: the cloud's clock is the one that counts. */
static void local_time(struct edge_checks *checks, struct edge_finding *finding) {
    struct edge_answer answer;
    ask_https(checks, finding, &answer);
    if (answer.status || answer.date_us == 0) {
        edge_find(finding, EDGE_SKIPPED, "", "the hub has not said what time it is");
        return;
    }
    struct sk_io *io = sk_io_uv_new();
    int64_t off_s = (sk_io_wall(io) - answer.date_us) / 1000000;
    sk_io_free(io);
    int64_t by = off_s < 0 ? -off_s : off_s;
    if (by > CLOCK_WARNING_S)
        edge_find(finding, by > CLOCK_ERROR_S ? EDGE_ERROR : EDGE_WARNING,
                  "Set the clock, and let NTP keep it: `timedatectl set-ntp true`.",
                  "This machine's clock is %lld s %s the hub's.", (long long)by,
                  off_s < 0 ? "behind" : "ahead of");
}

/* ---- from a leaf device's side ---- */

static struct sk_tls *edge_trust(struct edge_checks *checks, struct sk_io *io) {
    struct edge_answer answer;
    struct sk_tls *tls = NULL;
    char reason[256];
    edge_ask_socket(checks->config, "sockets/edgeAgent.sock", SK_HTTP_GET,
                    "/trust-bundle?api-version=2019-11-05", SK_NONE, &answer);
    json_t *json = answer.status == SK_OK
                       ? json_loadb(answer.body.p ? answer.body.p : "", answer.body.n, 0, NULL)
                       : NULL;
    struct sk_span pem = sk_span_z(edge_text_of(json, "certificate"));
    if (pem.n) sk_tls_new(io, &(struct sk_tls_options){.trust_pem = pem}, &tls, reason);
    json_decref(json);
    sk_buffer_free(&answer.body);
    return tls;
}

static void leaf_to_gateway(struct edge_checks *checks, struct edge_finding *finding) {
    const struct sk_edge_config *config = checks->config;
    struct sk_io *io = sk_io_uv_new();
    struct sk_tls *tls = checks->hub ? edge_trust(checks, io) : NULL;
    if (tls == NULL) {
        edge_find(finding, EDGE_SKIPPED, "", "the edge hub is not running");
    } else {
        struct sk_endpoint to = {.host = config->hostname, .port = config->listen[0].port};
        enum sk_status status = handshake(io, &to, tls, NULL);
        if (status == SK_UNAUTHORIZED)
            edge_find(finding, EDGE_ERROR, "Restart the edge after a change of `hostname`.",
                      "The edge hub's certificate is not for %s, or its CA is another.", to.host);
        else if (status)
            edge_find(finding, EDGE_ERROR,
                      "Let `hostname` resolve to this machine (DNS, /etc/hosts), and [skerry] "
                      "listen have that address.",
                      "A leaf device that dials %s:%u is not answered: %s.", to.host, to.port,
                      sk_status_text(status));
    }
    if (tls) sk_tls_free(tls);
    sk_io_free(io);
}

#define SECTION "Connectivity checks"
const struct edge_check edge_checks_connectivity[] = {
    {SECTION, "host-connect-iothub-https", "the hub, or parent, answers over HTTPS", https},
    {SECTION, "host-connect-iothub-mqtt", "and over MQTT", mqtt},
    {SECTION, "host-connect-iothub-amqp", "and over AMQP", amqp},
    {SECTION, "host-local-time", "this machine's clock is right", local_time},
    {SECTION, "leaf-to-gateway-tls", "leaf devices reach the edge hub by its name",
     leaf_to_gateway},
    {0}};
