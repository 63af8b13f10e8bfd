/* Distributed tracing: a device says in a message which trace it belongs to (W3C traceparent), and
 * what the hub does with it becomes a span, sent to a collector as OTLP over HTTP, in JSON. Spans
 * are gathered and sent some at a time, one request after the other; while the collector is away or
 * slow those that do not fit are dropped and counted: no message waits for it.
 * Reference: OpenTelemetry protocol 1.0, JSON; https://www.w3.org/TR/trace-context/. */
#include <stdio.h>

#include "hub/records.h"
#include "model/json_text.h"
#include "net/http_client.h"

enum {
    SPANS_MAX = 2048, /* that wait */
    A_BATCH = 256,
    EVERY_MS = 1000,   /* what has come is sent */
    TIMEOUT_MS = 10000 /* of a request to the collector */
};

struct hub_tracing {
    struct sk_hub *hub;
    struct sk_http_client *client;
    struct sk_tls *tls;
    char *path;
    struct sk_list waiting; /* struct span */
    size_t count;
    struct sk_timer timer;
    size_t flying; /* on their way to the collector */
    bool busy;
};

/* From the message that asks for it until it is sent. */
struct span {
    struct sk_list link;
    char trace_id[33], parent_id[17], id[17];
    char *message_id, *device, *module;
    int64_t begun_us, ended_us;
    int code; /* of an error; 0: none */
};

static void free_span(struct span *span) {
    if (span == NULL) return;
    sk_list_remove(&span->link);
    free(span->message_id);
    free(span->device);
    free(span->module);
    free(span);
}

/* ---- what a message says ---- */

static bool is_hex(struct sk_span text) {
    bool zeros = true;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
        zeros &= c == '0';
    }
    return text.n && !zeros;
}

/* "00-<32>-<16>-01": false: it is none, or is not to be sampled. */
static bool read_parent(struct sk_span text, struct span *span) {
    struct sk_span rest = text, version, trace, parent, flags;
    unsigned char bits;
    if (!sk_span_split(&rest, '-', &version) || !sk_span_split(&rest, '-', &trace) ||
        !sk_span_split(&rest, '-', &parent) || !sk_span_split(&rest, '-', &flags))
        return false;
    if (version.n != 2 || sk_span_is(version, "ff") || trace.n != 32 || parent.n != 16 ||
        flags.n != 2 || !is_hex(trace) || !is_hex(parent))
        return false;
    bits = (unsigned char)(flags.p[1] <= '9' ? flags.p[1] - '0' : flags.p[1] - 'a' + 10);
    if (!(bits & 1)) return false;
    memcpy(span->trace_id, trace.p, trace.n);
    memcpy(span->parent_id, parent.p, parent.n);
    return true;
}

/* As W3C calls it, or where Azure's SDKs have put it. */
static struct sk_span parent_of(const struct sk_message *message) {
    const struct sk_property *p = sk_message_property(message, SK_SPAN("traceparent"));
    return p ? p->value : message->system[SK_SYS_DIAGNOSTIC_ID];
}

bool hub_tracing_wants(struct sk_hub *hub, struct sk_request *request) {
    unsigned char random[8];
    struct span span = {0};
    if (hub->tracing == NULL || request->op != SK_OP_TELEMETRY ||
        !read_parent(parent_of(request->message), &span))
        return false;
    struct span *kept = SK_NEW(struct span);
    *kept = span;
    sk_io_random(hub->backend.io, random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(kept->id + 2 * i, 3, "%02x", random[i] | (i == 0));
    struct sk_span id = request->message->system[SK_SYS_MESSAGE_ID];
    kept->message_id = id.n ? sk_span_dup(id) : NULL;
    kept->begun_us = sk_io_wall(hub->backend.io);
    request->trace = kept;
    return true;
}

/* ---- OTLP ---- */

static json_t *attribute(const char *key, const char *value) {
    return json_pack("{s:s,s:{s:o}}", "key", key, "value", "stringValue",
                     sk_json_of_text(sk_span_z(value)));
}

static json_t *span_json(const struct span *span) {
    char begun[32], ended[32], code[16];
    snprintf(begun, sizeof begun, "%lld000", (long long)span->begun_us);
    snprintf(ended, sizeof ended, "%lld000", (long long)span->ended_us);
    snprintf(code, sizeof code, "%d", span->code);
    json_t *attributes = json_array();
    json_array_append_new(attributes, attribute("deviceId", span->device));
    if (span->module) json_array_append_new(attributes, attribute("moduleId", span->module));
    if (span->message_id)
        json_array_append_new(attributes, attribute("messaging.message.id", span->message_id));
    if (span->code) json_array_append_new(attributes, attribute("iothub.errorCode", code));
    return json_pack("{s:s,s:s,s:s,s:s,s:i,s:s,s:s,s:o,s:{s:i}}", "traceId", span->trace_id,
                     "spanId", span->id, "parentSpanId", span->parent_id, "name",
                     "DiagnosticIoTHubIngress", "kind", 2, "startTimeUnixNano", begun,
                     "endTimeUnixNano", ended, "attributes", attributes, "status", "code",
                     span->code ? 2 : 1);
}

/* Takes up to a batch of those that wait. */
static char *take_batch(struct hub_tracing *t) {
    json_t *spans = json_array();
    for (size_t i = 0; i < A_BATCH && t->count; i++, t->count--) {
        struct span *span = SK_LIST_FIRST(&t->waiting, struct span, link);
        json_array_append_new(spans, span_json(span));
        free_span(span);
    }
    json_t *resource = json_array();
    json_array_append_new(resource, attribute("service.name", "skerry-hub"));
    json_array_append_new(resource, attribute("iothub.name", t->hub->options->name));
    json_t *whole =
        json_pack("{s:[{s:{s:o},s:[{s:{s:s},s:o}]}]}", "resourceSpans", "resource", "attributes",
                  resource, "scopeSpans", "scope", "name", "skerry", "spans", spans);
    char *text = sk_json_text(whole);
    json_decref(whole);
    return text;
}

static void send_some(struct hub_tracing *t);

static void sent(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct hub_tracing *t = arg;
    bool fine = status == SK_OK && answer->status / 100 == 2;
    t->busy = false;
    if (!fine) {
        t->hub->counts.spans_dropped_total += t->flying;
        t->hub->counts.trace_batches_failed_total++;
        if (status != SK_CLOSED || t->hub->tracing == t)
            SK_SELDOM(SK_LEVEL_WARN, "hub", "the collector of traces does not take them: %s",
                      status ? sk_status_text(status) : "an error");
    }
    if (t->count >= A_BATCH && t->hub->tracing == t) send_some(t);
}

static void send_some(struct hub_tracing *t) {
    if (t->busy || t->count == 0) return;
    t->flying = t->count < A_BATCH ? t->count : A_BATCH;
    SK_CLEANUP_FREE char *body = take_batch(t);
    struct sk_http_pair type = {"Content-Type", SK_SPAN("application/json")};
    t->busy = true;
    sk_http_client_send(t->client, &(struct sk_http_ask){.method = SK_HTTP_POST,
                                                         .target = sk_span_z(t->path),
                                                         .headers = &type,
                                                         .header_count = 1,
                                                         .body = sk_span_z(body),
                                                         .timeout_ms = TIMEOUT_MS,
                                                         .done = sent,
                                                         .arg = t});
}

static void on_time(struct sk_timer *timer) {
    struct hub_tracing *t = SK_CONTAINER(timer, struct hub_tracing, timer);
    send_some(t);
    sk_timer_start(timer->io, timer, EVERY_MS * SK_MS, on_time);
}

void hub_trace(struct sk_hub *hub, const struct sk_request *request, const struct sk_error *error) {
    struct hub_tracing *t = hub->tracing;
    struct span *span = request->trace;
    if (t == NULL || t->count == SPANS_MAX) {
        hub->counts.spans_dropped_total++;
        free_span(span);
        return;
    }
    span->ended_us = sk_io_wall(hub->backend.io);
    span->device = sk_span_dup(request->device);
    span->module = request->module.n ? sk_span_dup(request->module) : NULL;
    span->code = error ? sk_fault_kind(error->fault)->code : 0;
    sk_list_append(&t->waiting, &span->link);
    t->count++;
    hub->counts.spans_total++;
    if (t->count >= A_BATCH) send_some(t);
}

/* ---- its life ---- */

static void free_tracing(struct sk_hub *hub) {
    struct hub_tracing *t = hub->tracing;
    if (t == NULL) return;
    hub->tracing = NULL;
    sk_timer_stop(&t->timer);
    if (t->client) sk_http_client_free(t->client);
    if (t->tls) sk_tls_free(t->tls);
    hub->counts.spans_dropped_total += t->count;
    SK_LIST_EACH(&t->waiting, node, following) free_span(SK_CONTAINER(node, struct span, link));
    free(t->path);
    free(t);
}

static enum sk_status reach(struct hub_tracing *t, const char *endpoint, char reason[512]) {
    struct sk_url url;
    char why[256] = "";
    enum sk_status status = sk_url_parse(sk_span_z(endpoint), &url);
    SK_CLEANUP_FREE char *host = sk_span_dup(status ? SK_NONE : url.host);
    if (!status && url.secure)
        status = sk_tls_new(t->hub->backend.io, &(struct sk_tls_options){0}, &t->tls, why);
    if (!status)
        status = sk_http_client_new(
            t->hub->backend.io,
            &(struct sk_http_client_options){.to = {.host = host, .port = url.port}, .tls = t->tls},
            &t->client);
    if (status)
        snprintf(reason, 512, "the collector of traces %s cannot be used: %s %s", endpoint,
                 sk_status_text(status), why);
    else
        t->path = sk_span_dup(url.rest.n > 1 ? url.rest : SK_SPAN("/v1/traces"));
    return status;
}

static enum sk_status open_tracing(struct sk_hub *hub, char reason[512]) {
    if (hub->options->traces == NULL) return SK_OK;
    struct hub_tracing *t = hub->tracing = SK_NEW(struct hub_tracing);
    t->hub = hub;
    sk_list_init(&t->waiting);
    enum sk_status status = reach(t, hub->options->traces, reason);
    if (!status) sk_timer_start(hub->backend.io, &t->timer, EVERY_MS * SK_MS, on_time);
    return status;
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    char reason[512];
    const char *now = hub->options->traces;
    bool same = now && before->traces ? strcmp(now, before->traces) == 0 : now == before->traces;
    if (same) return;
    free_tracing(hub);
    if (open_tracing(hub, reason) == SK_OK) return;
    SK_ERROR("hub", "%s", reason);
    free_tracing(hub);
}

/* ---- its keys ---- */

static bool is_collector(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_url url;
    snprintf(why, SK_CONFIG_WHY_MAX, "it is no URL such as \"http://127.0.0.1:4318/v1/traces\"");
    return sk_url_parse(text, &url) == SK_OK;
}

static const struct sk_config_key keys[] = {
    {"hub[].tracing", &sk_config_table, .does = "Distributed tracing of messages",
     .page = "how-to/operate-a-hub.md"},
    {"hub[].tracing.endpoint", &sk_config_text, SK_CONFIG_AT(struct sk_hub_options, traces),
     .fine = is_collector, .such_as = "\"http://127.0.0.1:4318/v1/traces\"",
     .otherwise_words = "none are sent",
     .does = "A collector that takes OTLP over HTTP: spans of messages that have a sampled "
             "`traceparent` go there"},
    {0}};

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_spans_total", "Spans of messages that were traced.", SK_HUB_COUNT(spans_total)},
    {"skerry_hub_spans_dropped_total", "Of them, what the collector did not take in time.",
     SK_HUB_COUNT(spans_dropped_total)},
    {"skerry_hub_trace_batches_failed_total", "Requests that the collector did not answer well.",
     SK_HUB_COUNT(trace_batches_failed_total)},
    {0}};

const struct sk_hub_part hub_part_tracing = {
    .keys = keys, .metrics = metrics, .open = open_tracing, .reload = reload, .free = free_tracing};
