/* What people on the machine may ask the edge hub, over a unix socket of its own: how it stands,
 * and what its routes make of a message. Form: docs/reference/edge-status.md. */
#include <stdio.h>

#include "edge/hub/parts.h"
#include "model/json_text.h"
#include "net/http_server.h"
#include "wire/http_router.h"

enum route { STATUS, EXPLAIN, PURGE, SETTINGS };

static const struct sk_http_route paths[] = {
    {SK_HTTP_GET, "/status", STATUS},
    {SK_HTTP_POST, "/routes/explain", EXPLAIN},
    {SK_HTTP_POST, "/queues/{}/purge", PURGE},
    {SK_HTTP_PUT, "/settings", SETTINGS},
};

static json_t *connection(const struct sk_edge_hub *hub) {
    const struct sk_edge_hub_options *o = hub->options;
    bool websocket = o->upstream.websocket || hub->upstream.fell_back;
    const char *protocol = o->upstream.amqp ? websocket ? "AmqpWs" : "Amqp"
                           : websocket      ? "MqttWs"
                                            : "Mqtt";
    return json_pack("{s:b,s:s,s:s,s:s}", "connected", hub->counts.upstream_connected, "hub",
                     o->hub_host_name, "upstream", o->upstream.host, "protocol", protocol);
}

static json_t *deployment(const struct sk_edge_hub *hub) {
    return json_pack("{s:I,s:i,s:o}", "version", (json_int_t)hub->routing.version, "code",
                     hub->routing.code, "description",
                     sk_json_of_text(sk_span_z(hub->routing.text)));
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

static json_t *store(const struct sk_edge_hub *hub) {
    json_t *told = json_pack("{s:I,s:s}", "bytes", (json_int_t)sk_log_bytes(hub->log), "whenFull",
                             hub->options->drop_oldest ? "drop-oldest" : "refuse");
    if (hub->room.limit)
        json_object_set_new(told, "maxBytes", json_integer((json_int_t)hub->room.limit));
    return told;
}

static json_t *clients(const struct sk_edge_hub *hub) {
    json_t *list = json_array();
    struct sk_session *session;
    for (size_t i = 0; (session = sk_directory_next(&hub->backend, &i)) != NULL;)
        json_array_append_new(list, json_pack("{s:s}", "id", session->key));
    return list;
}

static json_t *limits(const struct sk_edge_hub *hub) {
    json_t *told = json_object();
    if (hub->backend.sessions_max)
        json_object_set_new(told, "maxClients",
                            json_integer((json_int_t)hub->backend.sessions_max));
    return told;
}

static json_t *counts(const struct sk_edge_hub *hub) {
    struct sk_edge_hub_counts c = sk_edge_hub_counts(hub);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {{"received", c.received_total},   {"forwarded", c.forwarded_total},
                {"delivered", c.delivered_total}, {"dropped", c.dropped_total},
                {"expired", c.expired_total},     {"shed", c.shed_total},
                {"refused", c.full_total},        {"givenUp", c.given_up_total},
                {"clients", c.clients},           {"identities", c.identities}};
    json_t *told = json_object();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_object_set_new(told, rows[i].name, json_integer((json_int_t)rows[i].value));
    return told;
}

static json_t *routes(const struct sk_edge_hub *hub) {
    json_t *list = json_array();
    for (size_t i = 0; i < hub->routing.count; i++) {
        const struct sk_edge_route *route = &hub->routing.routes[i];
        json_t *told = json_pack("{s:s,s:s}", "name", route->name, "route", route->route.text);
        if (route->queue) json_object_set_new(told, "queue", json_integer(route->queue->bit));
        json_array_append_new(list, told);
    }
    return list;
}

void sk_edge_hub_set_closed_ports(struct sk_edge_hub *hub, json_t *addresses) {
    json_decref(hub->closed_ports);
    hub->closed_ports = addresses;
}

json_t *sk_edge_hub_status(const struct sk_edge_hub *hub) {
    return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:O*}", "deviceId",
                     hub->options->device_id, "connection", connection(hub), "deployment",
                     deployment(hub), "routes", routes(hub), "queues", queues(hub), "store",
                     store(hub), "clients", clients(hub), "limits", limits(hub), "counts",
                     counts(hub), "closedPorts", hub->closed_ports);
}

static void answer_status(const struct sk_edge_hub *hub, struct sk_http_exchange *exchange) {
    json_t *json = sk_edge_hub_status(hub);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    sk_http_respond_json(exchange, 200, sk_span_z(text));
    json_decref(json);
}

/* ---- what routes make of a message ---- */

static struct sk_span text_of(const json_t *object, const char *name) {
    return sk_span_z(json_string_value(json_object_get(object, name)));
}

/* A body that is not a text is JSON, and says so unless the question says otherwise. */
static void read_body(const json_t *body, struct sk_arena *arena, struct sk_message *message) {
    if (body == NULL) return;
    if (json_is_string(body)) {
        message->body = sk_span_z(json_string_value(body));
        return;
    }
    SK_CLEANUP_FREE char *text = sk_json_text(body);
    message->body = sk_arena_copy(arena, sk_span_z(text));
    message->system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message->system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
}

/* False: `why` says what is wrong. The message borrows from `asked` and the arena. */
static bool read_question(const json_t *asked, struct sk_arena *arena, struct sk_message *message,
                          char why[256]) {
    json_t *properties = json_object_get(asked, "properties"), *value;
    struct sk_property *list =
        sk_arena_alloc(arena, (json_object_size(properties) + 1) * sizeof *list);
    const char *name;
    *message = (struct sk_message){
        .device = text_of(asked, "device"), .module = text_of(asked, "module"), .properties = list};
    if (json_is_true(json_object_get(asked, "twinChange")))
        message->source = SK_SOURCE_TWIN_CHANGES;
    read_body(json_object_get(asked, "body"), arena, message);
    message->system[SK_SYS_OUTPUT] = text_of(asked, "output");
    json_object_foreach(properties, name, value) {
        list[message->property_count++] =
            (struct sk_property){sk_span_z(name), sk_span_z(json_string_value(value))};
        if (json_is_string(value)) continue;
        snprintf(why, 256, "the application property %.100s must be a text", name);
        return false;
    }
    json_object_foreach(json_object_get(asked, "systemProperties"), name, value) {
        if (json_is_string(value) &&
            sk_message_set_system(message, sk_span_z(name), sk_span_z(json_string_value(value))))
            continue;
        snprintf(why, 256, "there is no system property %.100s with such a value", name);
        return false;
    }
    if (message->device.n == 0) snprintf(why, 256, "\"device\", the sender, is missing");
    return message->device.n > 0;
}

static void refuse(struct sk_http_exchange *exchange, unsigned status, const char *why) {
    json_t *json = json_pack("{s:o}", "message", sk_json_of_text(sk_span_z(why)));
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    sk_http_respond_json(exchange, status, sk_span_z(text));
    json_decref(json);
}

static void answer_explain(struct sk_edge_hub *hub, struct sk_http_exchange *exchange) {
    const struct sk_http_parser *http = exchange->request;
    struct sk_message message;
    char why[256] = "the body must be a JSON object";
    json_t *asked = json_loadb(http->body.p ? http->body.p : "", http->body.n, 0, NULL);
    if (!json_is_object(asked) || !read_question(asked, &exchange->arena, &message, why)) {
        refuse(exchange, 400, why);
    } else {
        json_t *told = edge_routes_explain(hub, &message);
        SK_CLEANUP_FREE char *text = sk_json_text(told);
        sk_http_respond_json(exchange, 200, sk_span_z(text));
        json_decref(told);
    }
    json_decref(asked);
}

/* Gives up what waits in a queue. */
static void answer_purge(struct sk_edge_hub *hub, struct sk_http_exchange *exchange,
                         struct sk_span which) {
    int64_t bit;
    if (sk_span_to_int(which, &bit) || bit < 0 || bit >= SK_EDGE_QUEUES_MAX ||
        hub->queues[bit].endpoint == NULL) {
        refuse(exchange, 404, "there is no such queue; GET /status tells their numbers");
        return;
    }
    uint64_t purged = edge_queue_purge(&hub->queues[bit]);
    json_t *json = json_pack("{s:I}", "purged", (json_int_t)purged);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    sk_http_respond_json(exchange, 200, sk_span_z(text));
    json_decref(json);
}

/* What the agent has read in the deployment. */
static void answer_settings(struct sk_edge_hub *hub, struct sk_http_exchange *exchange) {
    const struct sk_http_parser *http = exchange->request;
    json_t *asked = json_loadb(http->body.p ? http->body.p : "", http->body.n, 0, NULL),
           *most = json_object_get(asked, "MaxConnectedClients");
    if (json_is_integer(most) && json_integer_value(most) >= 0) {
        edge_settings_set(hub, (uint64_t)json_integer_value(most));
        sk_http_respond_json(exchange, 200, SK_SPAN("{}"));
    } else {
        refuse(exchange, 400, "MaxConnectedClients must be a whole number; 0 is none");
    }
    json_decref(asked);
}

void sk_edge_hub_local(void *arg, struct sk_http_exchange *exchange) {
    struct sk_edge_hub *hub = arg;
    struct sk_http_match match;
    if (sk_http_route(paths, sizeof paths / sizeof *paths, exchange->request->method,
                      exchange->request->path, &exchange->arena, &match)) {
        sk_http_respond_json(exchange, 404,
                             SK_SPAN("{\"message\":\"There is no such resource.\"}"));
        return;
    }
    switch ((enum route)match.id) {
    case STATUS: answer_status(hub, exchange); return;
    case EXPLAIN: answer_explain(hub, exchange); return;
    case PURGE: answer_purge(hub, exchange, match.captures[0]); return;
    case SETTINGS: answer_settings(hub, exchange); return;
    }
}
