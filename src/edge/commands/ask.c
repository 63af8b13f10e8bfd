/* One request to a role of the running edge, or to the cloud, waited for. */
#include <stdio.h>

#include "edge/commands/parts.h"
#include "edge/daemon/daemon.h"

enum { TIMEOUT_MS = 20000, ANSWER_MAX = 64 << 20 };

struct request {
    struct sk_io *io;
    struct edge_answer *answer;
    bool prints;
};

static void on_body(void *arg, const struct sk_http_parser *answer, struct sk_span part) {
    (void)arg, (void)answer;
    fwrite(part.p, 1, part.n, stdout);
    fflush(stdout);
}

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct request *request = arg;
    request->answer->status = status;
    if (answer) {
        request->answer->http = answer->status;
        sk_time_http_parse(sk_http_header(answer, "Date"), &request->answer->date_us);
        if (!request->prints || answer->status / 100 != 2)
            sk_buffer_append(&request->answer->body, sk_buffer_span(&answer->body));
    }
    sk_io_stop(request->io);
}

static void run(struct request *request, const struct sk_http_client_options *options,
                struct sk_http_ask *ask) {
    struct sk_http_client *client;
    memset(request->answer, 0, sizeof *request->answer);
    ask->done = on_done;
    ask->arg = request;
    ask->answer_max = ANSWER_MAX;
    request->io = sk_io_uv_new();
    request->answer->status = sk_http_client_new(request->io, options, &client);
    if (request->answer->status == SK_OK) {
        sk_http_client_send(client, ask);
        sk_io_run(request->io);
        sk_http_client_free(client);
        sk_io_run(request->io); /* till the connection has closed */
    }
    sk_io_free(request->io);
}

void edge_ask(const struct sk_http_client_options *options, enum sk_http_method method,
              const char *target, struct sk_span body, struct edge_answer *answer) {
    struct sk_http_ask ask = {
        .method = method, .target = sk_span_z(target), .body = body, .timeout_ms = TIMEOUT_MS};
    run(&(struct request){.answer = answer}, options, &ask);
}

static void socket_path(const struct sk_edge_config *config, const char *socket,
                        char to[SK_SOCKET_PATH_MAX]) {
    snprintf(to, SK_SOCKET_PATH_MAX, "%s/%s", config->data, socket);
}

void edge_ask_socket(const struct sk_edge_config *config, const char *socket,
                     enum sk_http_method method, const char *target, struct sk_span body,
                     struct edge_answer *answer) {
    char path[SK_SOCKET_PATH_MAX];
    socket_path(config, socket, path);
    edge_ask(&(struct sk_http_client_options){.to = {.path = path}}, method, target, body, answer);
}

/* Says why there is no good answer. */
static void complain(const struct sk_edge_config *config, const char *socket,
                     const struct edge_answer *answer) {
    if (answer->status) {
        fprintf(stderr,
                "skerry-edge: the edge does not answer on %s/%s (%s); is `skerry-edge run` "
                "running, and may you read the socket?\n",
                config->data, socket, sk_status_text(answer->status));
        return;
    }
    json_t *json = json_loadb(answer->body.p ? answer->body.p : "", answer->body.n, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    fprintf(stderr, "skerry-edge: %s\n", message ? message : sk_http_reason(answer->http));
    json_decref(json);
}

static bool is_good(const struct edge_answer *answer) {
    return answer->status == SK_OK && answer->http / 100 == 2;
}

bool edge_ask_role(const struct sk_edge_config *config, const char *socket,
                   enum sk_http_method method, const char *target, struct sk_span body,
                   struct edge_answer *answer) {
    edge_ask_socket(config, socket, method, target, body, answer);
    if (is_good(answer)) return true;
    complain(config, socket, answer);
    sk_buffer_free(&answer->body);
    return false;
}

json_t *edge_ask_json(const struct sk_edge_config *config, const char *socket, const char *target) {
    struct edge_answer answer;
    if (!edge_ask_role(config, socket, SK_HTTP_GET, target, SK_NONE, &answer)) return NULL;
    json_t *json = json_loadb(answer.body.p ? answer.body.p : "", answer.body.n, 0, NULL);
    sk_buffer_free(&answer.body);
    if (json == NULL) fprintf(stderr, "skerry-edge: the edge's answer is not JSON\n");
    return json;
}

int edge_print_stream(const struct sk_edge_config *config, const char *socket, const char *target) {
    struct edge_answer answer;
    char path[SK_SOCKET_PATH_MAX];
    socket_path(config, socket, path);
    struct sk_http_ask ask = {.method = SK_HTTP_GET,
                              .target = sk_span_z(target),
                              .timeout_ms = TIMEOUT_MS,
                              .on_body = on_body};
    run(&(struct request){.answer = &answer, .prints = true},
        &(struct sk_http_client_options){.to = {.path = path}}, &ask);
    bool fine = is_good(&answer);
    if (!fine) complain(config, socket, &answer);
    sk_buffer_free(&answer.body);
    return fine ? SK_EXIT_FINE : SK_EXIT_REFUSED;
}

const char *edge_text_of(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}
