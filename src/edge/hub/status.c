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

static json_t *queue(const struct sk_edge_queue *q) {
    json_t *told =
        json_pack("{s:i,s:s,s:I,s:I,s:I,s:b}", "queue", q->bit, "endpoint", q->endpoint->name,
                  "depth", (json_int_t)q->depth, "bytes", (json_int_t)q->bytes, "oldestAgeSeconds",
                  (json_int_t)(edge_queue_age(q) / 1000000), "routed", q->used);
    if (q->priority < SK_EDGE_NO_PRIORITY)
        json_object_set_new(told, "priority", json_integer(q->priority));
    if (q->ttl_us >= 0)
        json_object_set_new(told, "timeToLiveSecs", json_integer(q->ttl_us / 1000000));
    return told;
}

static json_t *queues(const struct sk_edge_hub *hub) {
    json_t *list = json_array();
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++)
        if (hub->queues[i].endpoint) json_array_append_new(list, queue(&hub->queues[i]));
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

json_t *sk_edge_hub_status(const struct sk_edge_hub *hub) {
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "deviceId", hub->options->device_id, "connection",
                     connection(hub), "deployment", deployment(hub), "queues", queues(hub),
                     "clients", clients(hub), "counts", counts(hub));
}

static void answer_status(const struct sk_edge_hub *hub, struct sk_http_exchange *exchange) {
    json_t *json = sk_edge_hub_status(hub);
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
