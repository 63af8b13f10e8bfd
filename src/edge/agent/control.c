/* The agent's own socket: for `skerry-edge list`, `logs`, `restart` and `status`, and with Azure's
 * management API for tools that know it, such as `iotedge --host`
 * (docs/protocols/edge-runtime.md, section 1.4). */
#include "edge/agent/parts.h"
#include "wire/http_router.h"
#include "model/json_text.h"

enum route { STATUS, LIST, ONE, START, STOP, RESTART, LOGS, MACHINE };

static const struct sk_http_route routes[] = {
    {SK_HTTP_GET, "/status", STATUS},
    {SK_HTTP_GET, "/modules", LIST},
    {SK_HTTP_GET, "/modules/{}", ONE},
    {SK_HTTP_POST, "/modules/{}/start", START},
    {SK_HTTP_POST, "/modules/{}/stop", STOP},
    {SK_HTTP_POST, "/modules/{}/restart", RESTART},
    {SK_HTTP_GET, "/modules/{}/logs", LOGS},
    {SK_HTTP_GET, "/systeminfo", MACHINE},
    {SK_HTTP_GET, "/systeminfo/resources", MACHINE},
};

static void answer_json(struct sk_http_exchange *exchange, unsigned status, json_t *json) {
    char *text = sk_json_text(json);
    sk_http_respond_json(exchange, status, sk_span_z(text));
    free(text);
    json_decref(json);
}

/* The report, with what only people on the machine want to know. */
static void answer_status(struct sk_agent *agent, struct sk_http_exchange *exchange) {
    struct sk_agent_facts facts = agent_facts(agent);
    json_t *json = sk_agent_report(&facts, agent->modules);
    json_object_set_new(
        json, "connected",
        json_boolean(agent->client && sk_device_client_is_connected(agent->client)));
    json_object_set_new(json, "deviceId", json_string(agent->options.device_id));
    json_object_set_new(json, "hub", json_string(agent->options.hub_host));
    answer_json(exchange, 200, json);
}

/* ---- logs, as they are read ---- */

struct log_answer {
    struct sk_http_exchange *exchange;
    struct sk_module_log *log; /* NULL: it has ended */
    bool timestamps;
    bool framed; /* as engines stream them, which Azure's tools take apart */
    bool left;   /* nobody reads any more, or not fast enough */
    struct sk_task leave;
};

static void end_answer(struct log_answer *answer) {
    sk_http_respond_end(answer->exchange);
    free(answer);
}

static void leave(struct sk_task *task) {
    struct log_answer *answer = SK_CONTAINER(task, struct log_answer, leave);
    sk_module_log_close(answer->log);
    end_answer(answer);
}

/* The reader may be at work just now. */
static void leave_soon(struct log_answer *answer) {
    if (answer->left) return;
    answer->left = true;
    sk_io_defer(answer->exchange->io, &answer->leave, leave);
}

static void reader_gone(struct sk_http_exchange *exchange) {
    leave_soon(exchange->data);
}

static void put_text(struct log_answer *answer, const char *text) {
    sk_http_respond_part(answer->exchange, sk_span_z(text));
}

/* The eight bytes in front of what follows: the stream, and how much it is. */
static void put_frame(struct sk_buffer *text, enum sk_log_stream stream) {
    size_t n = text->n - 8;
    text->p[0] = stream == SK_LOG_STDERR ? 2 : 1;
    for (size_t i = 0; i < 4; i++) text->p[4 + i] = (char)(n >> (24 - 8 * i));
}

static void put_line(void *arg, const struct sk_log_line *line) {
    enum { WAITING_MAX = 16 << 20 };
    struct log_answer *answer = arg;
    struct sk_http_exchange *exchange = answer->exchange;
    char time[SK_TIME_TEXT] = "";
    struct sk_buffer text = {0};
    if (answer->left) return;
    if (answer->framed) sk_buffer_append(&text, SK_SPAN("\0\0\0\0\0\0\0\0"));
    if (answer->timestamps && line->time_us) {
        sk_time_text(line->time_us, time);
        sk_buffer_print(&text, "%s ", time);
    }
    sk_buffer_append(&text, line->text);
    sk_buffer_byte(&text, '\n');
    if (answer->framed) put_frame(&text, line->stream);
    sk_http_respond_part(exchange, sk_buffer_span(&text));
    sk_buffer_free(&text);
    if (exchange->stream == NULL || sk_stream_pending(exchange->stream) <= WAITING_MAX) return;
    put_text(answer, "(the rest is left out: it is not read fast enough)\n");
    leave_soon(answer);
}

static void end_lines(void *arg, enum sk_status status, const char *why) {
    struct log_answer *answer = arg;
    answer->log = NULL;
    if (answer->left) return; /* it ends in a moment */
    if (status) {
        put_text(answer, why);
        put_text(answer, "\n");
    }
    end_answer(answer);
}

static bool take_number(struct sk_span query, const char *name, int64_t most, int64_t *to) {
    struct sk_span text = sk_http_query(query, name);
    return text.n == 0 || (sk_span_to_int(text, to) == SK_OK && *to >= 0 && *to <= most);
}

static bool take_moment(struct sk_http_exchange *exchange, const char *name, int64_t *to) {
    struct sk_span text =
        sk_percent_decoded(&exchange->arena, sk_http_query(exchange->request->query, name));
    return text.n == 0 || sk_log_moment_parse(text, sk_io_wall(exchange->io), to) == SK_OK;
}

static bool is_true(struct sk_span query, const char *name) {
    return sk_span_is(sk_http_query(query, name), "true");
}

static void refuse(struct sk_http_exchange *exchange, unsigned status, const char *sentence) {
    struct sk_buffer body = {0};
    sk_buffer_text(&body, "{\"message\":");
    sk_json_string(&body, sk_span_z(sentence));
    sk_buffer_byte(&body, '}');
    sk_http_respond_json(exchange, status, sk_buffer_span(&body));
    sk_buffer_free(&body);
}

static void answer_logs(struct sk_agent *agent, struct sk_http_exchange *exchange,
                        struct sk_span name) {
    enum { TAIL_MAX = 1000000 };
    struct sk_span query = exchange->request->query;
    struct sk_log_ask ask = {.line = put_line, .done = end_lines};
    struct sk_buffer header = {0};
    const char *why;
    int64_t tail = 0;
    bool all = sk_span_is(sk_http_query(query, "tail"), "all");
    if (!all && !take_number(query, "tail", TAIL_MAX, &tail)) {
        refuse(exchange, 400, "tail must be a number of lines.");
        return;
    }
    if (!take_moment(exchange, "since", &ask.since_us) ||
        !take_moment(exchange, "until", &ask.until_us)) {
        refuse(exchange, 400,
               "since and until must be times (2026-11-21T07:00:00Z), or how long "
               "ago (10m, 1d).");
        return;
    }
    struct log_answer *answer = SK_NEW(struct log_answer);
    answer->exchange = exchange;
    answer->timestamps = is_true(query, "timestamps");
    answer->framed = sk_http_query(query, "api-version").n > 0;
    ask.tail = (unsigned)tail;
    ask.follow = is_true(query, "follow");
    ask.arg = answer;
    answer->log = sk_modules_log(agent->modules, name, &ask, &why);
    if (answer->log == NULL) {
        free(answer);
        refuse(exchange, 404, why);
        return;
    }
    exchange->data = answer;
    exchange->gone = reader_gone;
    sk_http_put_header(&header, "Content-Type", SK_SPAN("text/plain; charset=utf-8"));
    sk_http_respond_start(exchange, 200, sk_buffer_span(&header));
    sk_buffer_free(&header);
}

/* ---- the machine, which the daemon knows ---- */

static void machine_told(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_http_exchange *exchange = arg;
    if (status)
        refuse(exchange, 503, "The daemon does not answer.");
    else
        sk_http_respond_json(exchange, answer->status, sk_buffer_span(&answer->body));
}

static void ask_machine(struct sk_agent *agent, struct sk_http_exchange *exchange) {
    sk_http_client_send(agent->management,
                        &(struct sk_http_ask){.method = SK_HTTP_GET,
                                              .target = exchange->request->target,
                                              .done = machine_told,
                                              .arg = exchange});
}

/* ---- all ---- */

static void answer_done(struct sk_http_exchange *exchange, struct sk_span name,
                        enum sk_status status) {
    if (status == SK_NOT_FOUND)
        refuse(exchange, 404, sk_modules_missing(name));
    else
        sk_http_respond(exchange, status == SK_EXISTS ? 304 : 204, SK_NONE, SK_NONE);
}

static void answer_one(struct sk_agent *agent, struct sk_http_exchange *exchange,
                       struct sk_span name) {
    json_t *json = agent_details_of(agent, name);
    if (json)
        answer_json(exchange, 200, json);
    else
        answer_done(exchange, name, SK_NOT_FOUND);
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
    struct sk_span name = match.captures[0];
    switch ((enum route)match.id) {
    case STATUS: answer_status(agent, exchange); return;
    case LIST: answer_json(exchange, 200, agent_details(agent)); return;
    case ONE: answer_one(agent, exchange, name); return;
    case START: answer_done(exchange, name, sk_modules_start(agent->modules, name)); return;
    case STOP: answer_done(exchange, name, sk_modules_stop(agent->modules, name)); return;
    case RESTART: answer_done(exchange, name, sk_modules_restart(agent->modules, name)); return;
    case MACHINE: ask_machine(agent, exchange); return;
    case LOGS: answer_logs(agent, exchange, name); return;
    }
}
