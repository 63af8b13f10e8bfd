/* Messages that belong to a trace become spans at a collector, which may be away, slow or broken
 * without a message waiting for it. */
#include "net/http_server.h"
#include "support/raw_client.h"
#include "support/test.h"

#define TRACED(toml) FLEET_TOML_HUB FLEET_TOML_OWNER toml
#define TO_COLLECTOR TRACED("[hub.tracing]\nendpoint = \"http://collector.test:4318/v1/traces\"\n")
#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define PARENT "b7ad6b7169203331"

AROUND(fleet_new_world, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

struct collector {
    struct sk_http_service service;
    struct sk_http_listener *listener;
    struct sk_http_exchange *held;
    bool hangs;
    unsigned status, requests;
    size_t spans;
    json_t *last; /* span */
};

static void collect(void *arg, struct sk_http_exchange *exchange) {
    struct collector *c = arg;
    struct sk_buffer *body = &exchange->request->body;
    c->requests++;
    assert_true(sk_span_is(exchange->request->path, "/v1/traces"));
    assert_true(sk_span_is(sk_http_header(exchange->request, "Content-Type"), "application/json"));
    if (c->hangs) {
        c->held = exchange;
        return;
    }
    json_t *json = json_loadb(body->p, body->n, 0, NULL);
    const json_t *spans = fleet_member(json, "resourceSpans/0/scopeSpans/0/spans");
    assert_true(json_is_array(spans));
    c->spans += json_array_size(spans);
    json_decref(c->last);
    c->last = json_incref(json_array_get(spans, json_array_size(spans) - 1));
    json_decref(json);
    sk_http_respond_json(exchange, c->status, SK_SPAN("{}"));
}

static void open_collector(struct fleet *f, struct collector *c) {
    struct sk_io *io = sk_sim_node(f->sim, "collector.test");
    *c = (struct collector){.status = 200};
    c->service = (struct sk_http_service){.handler = collect, .arg = c, .body_max = 1024 * 1024};
    assert_int_equal(sk_http_listen(io, &(struct sk_endpoint){.host = "0.0.0.0", .port = 4318},
                                    NULL, &c->service, &c->listener, NULL),
                     SK_OK);
}

static void close_collector(struct fleet *f, struct collector *c) {
    if (c->held) sk_http_respond(c->held, 200, SK_NONE, SK_NONE);
    sk_http_listener_close(c->listener);
    sk_sim_run(f->sim, 30 * SK_S);
    json_decref(c->last);
}

static void publish(struct raw_client *c, const char *properties, uint16_t id) {
    char topic[300];
    snprintf(topic, sizeof topic, "devices/d1/messages/events/%s", properties);
    raw_publish(c, topic, SK_SPAN("x"), 1, id);
    raw_expect_ack(c, SK_MQTT_PUBACK, id);
}

static struct sk_hub_counts counts(struct fleet *f) {
    return sk_hub_counts(sk_hub_server_hub(f->hub, 0));
}

static void is_text(const json_t *span, const char *member, const char *text) {
    assert_string_equal(json_string_value(json_object_get(span, member)), text);
}

TEST(a_sampled_message_becomes_a_span_of_its_trace) {
    static const char *const others[] = {
        "",
        "traceparent=00-" TRACE "-" PARENT "-00", /* not sampled */
        "traceparent=00-00000000000000000000000000000000-" PARENT "-01",
        "traceparent=00-" TRACE "-0000000000000000-01",
        "traceparent=ff-" TRACE "-" PARENT "-01",
        "traceparent=00-" TRACE "-" PARENT,
        "traceparent=00-0AF7651916CD43DD8448EB211C80319C-" PARENT "-01",
        "%24.diagid=1234abcd"};
    struct fleet *f = *state;
    struct collector c;
    struct raw_client client;
    open_collector(f, &c);
    takes(f, TO_COLLECTOR);
    raw_login(&client, f, "d1");
    uint16_t id = 1;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) publish(&client, others[i], id++);
    sk_sim_run(f->sim, 3 * SK_S);
    assert_int_equal(c.requests, 0);
    publish(&client, "%24.mid=m7&traceparent=00-" TRACE "-" PARENT "-01", id++);
    sk_sim_run(f->sim, 3 * SK_S);
    assert_int_equal(c.spans, 1);
    is_text(c.last, "traceId", TRACE);
    is_text(c.last, "parentSpanId", PARENT);
    is_text(c.last, "name", "DiagnosticIoTHubIngress");
    assert_int_equal(strlen(json_string_value(json_object_get(c.last, "spanId"))), 16);
    assert_string_equal(json_string_value(fleet_member(c.last, "attributes/0/value/stringValue")),
                        "d1");
    assert_string_equal(json_string_value(fleet_member(c.last, "attributes/1/value/stringValue")),
                        "m7");
    publish(&client, "%24.diagid=00-" TRACE "-" PARENT "-01", id++); /* as Azure's SDKs put it */
    sk_sim_run(f->sim, 3 * SK_S);
    assert_int_equal(c.spans, 2);
    raw_free(&client);
    close_collector(f, &c);
}

TEST(a_collector_that_hangs_costs_spans_and_no_message) {
    struct fleet *f = *state;
    struct collector c;
    struct raw_client client;
    open_collector(f, &c);
    c.hangs = true;
    takes(f, TO_COLLECTOR);
    raw_login(&client, f, "d1");
    for (uint16_t i = 1; i <= 2600; i++)
        publish(&client, "traceparent=00-" TRACE "-" PARENT "-01", i);
    assert_int_equal(counts(f).telemetry_total, 2600);
    assert_true(counts(f).spans_dropped_total > 0); /* 256 fly, 2048 wait */
    assert_true(counts(f).spans_dropped_total <= 2600 - 2048);
    raw_free(&client);
    close_collector(f, &c);
}

TEST(one_that_answers_badly_or_is_away_is_asked_again) {
    struct fleet *f = *state;
    struct collector c;
    struct raw_client client;
    takes(f, TO_COLLECTOR); /* nobody is there */
    raw_login(&client, f, "d1");
    publish(&client, "traceparent=00-" TRACE "-" PARENT "-01", 1);
    sk_sim_run(f->sim, 60 * SK_S);
    assert_int_equal(counts(f).trace_batches_failed_total, 1);
    open_collector(f, &c);
    c.status = 503;
    publish(&client, "traceparent=00-" TRACE "-" PARENT "-01", 2);
    sk_sim_run(f->sim, 30 * SK_S);
    assert_int_equal(counts(f).trace_batches_failed_total, 2);
    assert_int_equal(counts(f).spans_dropped_total, 2);
    c.status = 200;
    publish(&client, "traceparent=00-" TRACE "-" PARENT "-01", 3);
    sk_sim_run(f->sim, 30 * SK_S);
    assert_int_equal(counts(f).trace_batches_failed_total, 2);
    takes(f, TRACED("")); /* switched off */
    publish(&client, "traceparent=00-" TRACE "-" PARENT "-01", 4);
    assert_int_equal(counts(f).spans_total, 3);
    raw_free(&client);
    close_collector(f, &c);
}

/* What of Azure's metrics follows from requests. */
TEST(requests_are_counted_by_how_they_end) {
    struct fleet *f = *state;
    fleet_call(f, SK_HTTP_GET, "/twins/d1", NULL);
    fleet_call(f, SK_HTTP_GET, "/twins/none", NULL);
    fleet_call(f, SK_HTTP_POST, "/devices/query", "{\"query\":\"SELECT\"}");
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "x");
    struct sk_hub_counts now = counts(f);
    assert_int_equal(now.asked[SK_OP_TWIN_READ][0], 1);
    assert_int_equal(now.asked[SK_OP_TWIN_READ][1], 1);
    assert_int_equal(now.asked[SK_OP_QUERY][1], 1);
    assert_int_equal(now.ingress_total, 1);
}
