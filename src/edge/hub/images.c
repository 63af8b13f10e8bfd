#include "edge/hub/images.h"

#include "net/http_client.h"

enum { ERROR_MAX = 64 * 1024 };

struct edge_images {
    struct sk_io *io;
    struct sk_tls *tls; /* NULL: the registry speaks plain HTTP */
    char *host;         /* NULL: there is no registry */
    uint16_t port;
    unsigned under_way;
};

/* One request on its way. */
struct pass {
    struct edge_images *images;
    struct sk_http_exchange *exchange;
    struct sk_http_client *client;
    struct sk_http_call *call;
    struct sk_timer silence; /* neither side has moved anything */
    bool started;
};

/* ---- refusals, as registries make them ---- */

static void refuse(struct sk_http_exchange *exchange, unsigned status, const char *code,
                   const char *sentence) {
    struct sk_buffer body = {0};
    sk_buffer_print(&body, "{\"errors\":[{\"code\":\"%s\",\"message\":", code);
    sk_json_string(&body, sk_span_z(sentence));
    sk_buffer_text(&body, "}]}");
    sk_http_respond(exchange, status,
                    SK_SPAN("Content-Type: application/json\r\n"
                            "Docker-Distribution-Api-Version: registry/2.0\r\n"),
                    sk_buffer_span(&body));
    sk_buffer_free(&body);
}

/* ---- headers ---- */

/* Those of one connection, or written anew for each. */
static bool stays_behind(struct sk_span name) {
    static const char *const names[] = {"Connection",
                                        "Keep-Alive",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "TE",
                                        "Trailer",
                                        "Transfer-Encoding",
                                        "Upgrade",
                                        "Host",
                                        "Date",
                                        "Server",
                                        "Content-Length",
                                        "Expect"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (sk_span_eq_nocase(name, sk_span_z(names[i]))) return true;
    return false;
}

static size_t take_headers(struct sk_http_exchange *exchange,
                           struct sk_http_pair pairs[SK_HTTP_HEADERS_MAX]) {
    struct sk_span name, value;
    size_t count = 0;
    for (unsigned i = 0; sk_http_header_at(exchange->request, i, &name, &value); i++) {
        if (stays_behind(name)) continue;
        pairs[count++] = (struct sk_http_pair){sk_arena_copy(&exchange->arena, name).p, value};
    }
    return count;
}

static void put_headers(struct sk_buffer *to, const struct sk_http_parser *answer) {
    struct sk_span name, value;
    for (unsigned i = 0; sk_http_header_at(answer, i, &name, &value); i++) {
        if (stays_behind(name)) continue;
        SK_CLEANUP_FREE char *text = sk_span_dup(name);
        sk_http_put_header(to, text, value);
    }
}

/* ---- the answer ---- */

static void pass_free(struct pass *pass) {
    sk_timer_stop(&pass->silence);
    pass->images->under_way--;
    sk_http_client_free(pass->client);
    free(pass);
}

static void on_silence(struct sk_timer *timer) {
    sk_http_call_cancel(SK_CONTAINER(timer, struct pass, silence)->call);
}

static void moved(struct pass *pass) {
    sk_timer_start(pass->images->io, &pass->silence, EDGE_IMAGES_SILENCE_S * SK_S, on_silence);
}

static void start(struct pass *pass, const struct sk_http_parser *answer) {
    struct sk_buffer headers = {0};
    int64_t length;
    put_headers(&headers, answer);
    if (sk_span_to_int(sk_http_header(answer, "Content-Length"), &length) == SK_OK && length >= 0)
        sk_http_respond_start_sized(pass->exchange, answer->status, sk_buffer_span(&headers),
                                    (uint64_t)length);
    else
        sk_http_respond_start(pass->exchange, answer->status, sk_buffer_span(&headers));
    sk_buffer_free(&headers);
    pass->started = true;
}

static void on_part(void *arg, const struct sk_http_parser *answer, struct sk_span part) {
    struct pass *pass = arg;
    moved(pass);
    if (!pass->started) start(pass, answer);
    if (!sk_http_respond_part(pass->exchange, part)) sk_http_call_pause(pass->call, true);
}

static void on_drained(struct sk_http_exchange *exchange) {
    struct pass *pass = exchange->data;
    moved(pass);
    sk_http_call_pause(pass->call, false);
}

static void on_gone(struct sk_http_exchange *exchange) {
    struct pass *pass = exchange->data;
    sk_http_call_cancel(pass->call);
}

static void respond_whole(struct pass *pass, const struct sk_http_parser *answer) {
    struct sk_buffer headers = {0};
    put_headers(&headers, answer);
    sk_http_respond(pass->exchange, answer->status, sk_buffer_span(&headers),
                    sk_buffer_span(&answer->body));
    sk_buffer_free(&headers);
}

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct pass *pass = arg;
    struct sk_http_exchange *exchange = pass->exchange;
    bool head = exchange->request->method == SK_HTTP_HEAD;
    exchange->gone = exchange->drained = NULL;
    if (status == SK_OK && (answer->status < 200 || answer->status > 599)) status = SK_MALFORMED;
    if (status == SK_OK && head && !pass->started) start(pass, answer);
    if (status && !pass->started)
        refuse(exchange, status == SK_TIMEOUT ? 504 : 502, "UNKNOWN",
               "The registry of the edge above does not answer.");
    else if (status)
        sk_http_respond_cut(exchange);
    else if (pass->started)
        sk_http_respond_end(exchange);
    else
        respond_whole(pass, answer);
    pass_free(pass);
}

/* ---- the request ---- */

static void ask(struct edge_images *images, struct sk_http_exchange *exchange) {
    struct sk_http_parser *http = exchange->request;
    struct sk_http_pair headers[SK_HTTP_HEADERS_MAX];
    struct pass *pass = SK_NEW(struct pass);
    struct sk_endpoint to = {.host = images->host, .port = images->port};
    pass->images = images;
    pass->exchange = exchange;
    images->under_way++;
    sk_http_client_new(images->io, &(struct sk_http_client_options){.to = to, .tls = images->tls},
                       &pass->client);
    exchange->data = pass;
    exchange->gone = on_gone;
    exchange->drained = on_drained;
    pass->call = sk_http_client_send(
        pass->client,
        &(struct sk_http_ask){
            .method = http->method,
            .target = http->query.n ? sk_arena_print(&exchange->arena, "%.*s?%.*s",
                                                     SK_ARG(http->path), SK_ARG(http->query))
                                    : http->path,
            .headers = headers,
            .header_count = take_headers(exchange, headers),
            .timeout_ms = EDGE_IMAGES_SILENCE_S * 1000,
            .answer_max = ERROR_MAX,
            .on_body = on_part,
            .done = on_done,
            .arg = pass});
}

/* Engines ask first whether a registry is there, and show nobody what is said to that question;
 * what is said of the image they show. */
static void say_there_is_none(struct sk_http_exchange *exchange) {
    struct sk_span path = exchange->request->path;
    if (sk_span_is(path, EDGE_IMAGES_PATH "/") || sk_span_is(path, EDGE_IMAGES_PATH))
        sk_http_respond_json(exchange, 200, SK_SPAN("{}"));
    else
        refuse(exchange, 404, "NAME_UNKNOWN",
               "This edge passes no images on: [skerry] image_registry is not set.");
}

void edge_images_serve(void *arg, struct sk_http_exchange *exchange) {
    struct edge_images *images = arg;
    enum sk_http_method method = exchange->request->method;
    if (method != SK_HTTP_GET && method != SK_HTTP_HEAD)
        refuse(exchange, 405, "UNSUPPORTED", "Images can only be read through this edge.");
    else if (images->host == NULL)
        say_there_is_none(exchange);
    else if (images->under_way >= EDGE_IMAGES_AT_ONCE)
        refuse(exchange, 429, "TOOMANYREQUESTS",
               "Too much is being read through this edge just now; try again in a minute.");
    else
        ask(images, exchange);
}

/* ---- life ---- */

struct edge_images *edge_images_new(struct sk_io *io, const char *registry, struct sk_tls *tls) {
    struct edge_images *images = SK_NEW(struct edge_images);
    struct sk_url url;
    images->io = io;
    if (registry && sk_url_parse(sk_span_z(registry), &url) == SK_OK) {
        images->host = sk_span_dup(url.host);
        images->port = url.port;
        images->tls = url.secure ? tls : NULL;
    }
    return images;
}

void edge_images_free(struct edge_images *images) {
    if (images == NULL) return;
    SK_ASSERT(images->under_way == 0);
    free(images->host);
    free(images);
}
