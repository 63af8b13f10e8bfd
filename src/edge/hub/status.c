/* What people on the machine may ask the edge hub, over a unix socket of its own: how it stands,
 * and what its routes make of a message. Form: docs/reference/edge-status.md. */
#include "edge/hub/parts.h"
#include "model/json_text.h"
#include "net/http_server.h"
#include "wire/http_router.h"

enum route { STATUS };

static const struct sk_http_route routes[] = {
    {SK_HTTP_GET, "/status", STATUS},
};

static json_t *connection(const struct sk_edge_hub *hub) {
    const struct sk_edge_hub_options *o = hub->options;
    return json_pack("{s:b,s:s,s:s,s:s}", "connected", hub->counts.upstream_connected, "hub",
                     o->hub_host_name, "upstream", o->upstream.host, "protocol",
                     o->upstream.amqp ? "Amqp" : "Mqtt");
}

static json_t *deployment(const struct sk_edge_hub *hub) {
    return json_pack("{s:I,s:i,s:s}", "version", (json_int_t)hub->routing.version, "code",
                     hub->routing.code, "description", hub->routing.text);
}

static json_t *queues(const struct sk_edge_hub *hub) {
    json_t *list = json_array();
    uint64_t next = sk_log_next_sequence(hub->log);
    json_array_append_new(
        list, json_pack("{s:s,s:s,s:I}", "name", "upstream", "endpoint", "$upstream", "depth",
                        (json_int_t)(next - sk_cursor_committed(hub->forward.cursor))));
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++) {
        const struct sk_edge_endpoint *e = &hub->inputs[i];
        if (e->name == NULL) continue;
        json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "name", e->name, "endpoint", e->name,
                                              "depth",
                                              (json_int_t)(next - sk_cursor_committed(e->cursor))));
    }
    return list;
}

static json_t *clients(const struct sk_edge_hub *hub) {
    json_t *list = json_array();
    struct sk_session *session;
    for (size_t i = 0; (session = sk_directory_next(&hub->backend, &i)) != NULL;)
        json_array_append_new(list, json_pack("{s:s}", "id", session->key));
    return list;
}

static json_t *counts(const struct sk_edge_hub *hub) {
    struct sk_edge_hub_counts c = sk_edge_hub_counts(hub);
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "received", (json_int_t)c.received_total,
                     "forwarded", (json_int_t)c.forwarded_total, "delivered",
                     (json_int_t)c.delivered_total, "dropped", (json_int_t)c.dropped_total,
                     "expired", (json_int_t)c.expired_total, "clients", (json_int_t)c.clients,
                     "identities", (json_int_t)c.identities);
}

static void answer_status(const struct sk_edge_hub *hub, struct sk_http_exchange *exchange) {
    json_t *json = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "deviceId", hub->options->device_id,
                             "connection", connection(hub), "deployment", deployment(hub), "queues",
                             queues(hub), "clients", clients(hub), "counts", counts(hub));
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    sk_http_respond_json(exchange, 200, sk_span_z(text));
    json_decref(json);
}

void sk_edge_hub_local(void *arg, struct sk_http_exchange *exchange) {
    struct sk_edge_hub *hub = arg;
    struct sk_http_match match;
    if (sk_http_route(routes, sizeof routes / sizeof *routes, exchange->request->method,
                      exchange->request->path, &exchange->arena, &match)) {
        sk_http_respond_json(exchange, 404,
                             SK_SPAN("{\"message\":\"There is no such resource.\"}"));
        return;
    }
    switch ((enum route)match.id) {
    case STATUS: answer_status(hub, exchange); return;
    }
}
