/* The agent's own socket, for `skerry-edge list`, `logs`, `restart` and `status`. */
#include "edge/agent/parts.h"
#include "wire/http_router.h"
#include "model/json_text.h"

enum route { STATUS, RESTART, LOGS };

static const struct sk_http_route routes[] = {
    {SK_HTTP_GET, "/status", STATUS},
    {SK_HTTP_POST, "/modules/{}/restart", RESTART},
    {SK_HTTP_GET, "/modules/{}/logs", LOGS},
};

/* The report, with what only people on the machine want to know. */
static void answer_status(struct sk_agent *agent, struct sk_http_exchange *exchange) {
    struct sk_agent_facts facts = agent_facts(agent);
    json_t *json = sk_agent_report(&facts, agent->modules);
    json_object_set_new(
        json, "connected",
        json_boolean(agent->client && sk_device_client_is_connected(agent->client)));
    json_object_set_new(json, "deviceId", json_string(agent->options.device_id));
    json_object_set_new(json, "hub", json_string(agent->options.hub_host));
    char *text = sk_json_text(json);
    sk_http_respond_json(exchange, 200, sk_span_z(text));
    free(text);
    json_decref(json);
}

static void answer_logs(struct sk_agent *agent, struct sk_http_exchange *exchange,
                        struct sk_span name) {
    struct sk_buffer text = {0}, header = {0};
    int64_t tail = 0;
    struct sk_span query = sk_http_query(exchange->request->query, "tail");
    if (query.n && (sk_span_to_int(query, &tail) || tail < 0 || tail > 1000000))
        sk_http_respond_json(exchange, 400,
                             SK_SPAN("{\"message\":\"tail must be a number of lines.\"}"));
    else if (sk_modules_log(agent->modules, name, (unsigned)tail, &text))
        sk_http_respond_json(exchange, 404,
                             SK_SPAN("{\"message\":\"There is no such module on this device.\"}"));
    else {
        sk_http_put_header(&header, "Content-Type", SK_SPAN("text/plain; charset=utf-8"));
        sk_http_respond(exchange, 200, sk_buffer_span(&header), sk_buffer_span(&text));
    }
    sk_buffer_free(&text);
    sk_buffer_free(&header);
}

void control_handle(void *arg, struct sk_http_exchange *exchange) {
    struct sk_agent *agent = arg;
    struct sk_http_match match;
    if (sk_http_route(routes, sizeof routes / sizeof *routes, exchange->request->method,
                      exchange->request->path, &exchange->arena, &match)) {
        sk_http_respond_json(exchange, 404,
                             SK_SPAN("{\"message\":\"There is no such resource.\"}"));
        return;
    }
    switch ((enum route)match.id) {
    case STATUS: answer_status(agent, exchange); return;
    case RESTART:
        if (sk_modules_restart(agent->modules, match.captures[0]))
            sk_http_respond_json(
                exchange, 404,
                SK_SPAN("{\"message\":\"There is no such module on this device.\"}"));
        else
            sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
        return;
    case LOGS: answer_logs(agent, exchange, match.captures[0]); return;
    }
}
