#include "net/http_client.h"

#include "net/tunnel.h"

enum {
    CONNECT_MS = 20000,
    IDLE_MS = 10000,
    CALL_MS = 30000,
    ANSWER_MAX = 1 << 20,
    KEPT = 4096,
};

enum link_state {
    LINK_DOWN,
    LINK_CONNECTING,
    LINK_UP,
};

struct sk_http_call {
    struct sk_list link; /* in the client's queue; the first one may be under way */
    struct sk_http_client *client;
    struct sk_timer timer;
    struct sk_buffer request;
    bool head_only, idempotent;
    bool answered; /* a byte of the answer has come */
    bool repeated;
    size_t answer_max;
    void (*on_body)(void *arg, const struct sk_http_parser *answer, struct sk_span part);
    void (*done)(void *arg, enum sk_status status, const struct sk_http_parser *answer);
    void *arg;
};

struct sk_http_client {
    struct sk_io *io;
    struct sk_arena texts;
    struct sk_endpoint to;
    struct sk_span host_header;
    struct sk_proxy proxy;
    bool proxied;
    struct sk_tls *tls;
    const char *server_name;
    uint64_t connect_ns, idle_ns;

    enum link_state state;
    struct sk_stream *stream;
    struct sk_http_parser parser;
    struct sk_timer timer; /* connecting, or idle */
    bool reused;           /* an answer has come over this connection */
    struct sk_list calls;
    struct sk_http_call *current; /* sent, not yet answered */
    struct sk_task pump;
    unsigned busy;
    bool dead;
};

static const struct sk_stream_events stream_events;
static const struct sk_stream_events no_events;

static void enter(struct sk_http_client *client) {
    client->busy++;
}

static void leave(struct sk_http_client *client) {
    if (--client->busy || !client->dead) return;
    sk_http_parser_free(&client->parser);
    sk_arena_free(&client->texts);
    free(client);
}

/* --- making one --- */

enum sk_status sk_http_client_new(struct sk_io *io, const struct sk_http_client_options *options,
                                  struct sk_http_client **made) {
    struct sk_http_client *client = SK_NEW(struct sk_http_client);
    struct sk_arena *texts = &client->texts;
    client->io = io;
    client->tls = options->tls;
    client->connect_ns =
        (options->connect_timeout_ms ? options->connect_timeout_ms : CONNECT_MS) * SK_MS;
    client->idle_ns = (options->idle_ms ? options->idle_ms : IDLE_MS) * SK_MS;
    sk_list_init(&client->calls);
    sk_http_parser_init(&client->parser, false);
    const struct sk_endpoint *to = &options->to;
    if (to->host) {
        client->to = (struct sk_endpoint){.host = sk_arena_copy(texts, sk_span_z(to->host)).p,
                                          .port = to->port};
        struct sk_buffer authority = {0};
        sk_put_authority(&authority, to, options->tls ? 443 : 80);
        client->host_header = sk_arena_copy(texts, sk_buffer_span(&authority));
        sk_buffer_free(&authority);
    } else {
        client->to.path = sk_arena_copy(texts, sk_span_z(to->path)).p;
        client->host_header = SK_SPAN("localhost");
    }
    const char *server_name = options->server_name ? options->server_name : to->host;
    client->server_name = sk_arena_text(texts, server_name);
    if (options->host_header)
        client->host_header = sk_arena_copy(texts, sk_span_z(options->host_header));
    client->proxied = options->proxy && to->host;
    if (client->proxied && sk_proxy_parse(sk_span_z(options->proxy), texts, &client->proxy)) {
        sk_arena_free(texts);
        free(client);
        return SK_MALFORMED;
    }
    *made = client;
    return SK_OK;
}

/* --- calls --- */

static void finish(struct sk_http_call *call, enum sk_status status) {
    struct sk_http_client *client = call->client;
    sk_list_remove(&call->link);
    sk_timer_stop(&call->timer);
    if (client->current == call) client->current = NULL;
    call->done(call->arg, status, status == SK_OK ? &client->parser : NULL);
    sk_buffer_free(&call->request);
    free(call);
}

/* Lets go of the connection without telling anybody. */
static void hang_up(struct sk_http_client *client) {
    struct sk_stream *stream = client->stream;
    client->stream = NULL;
    client->state = LINK_DOWN;
    client->reused = false;
    sk_timer_stop(&client->timer);
    if (stream == NULL) return;
    sk_stream_handle(stream, &no_events, NULL);
    sk_stream_close(stream);
}

static void fresh_parser(struct sk_http_client *client) {
    sk_http_parser_free(&client->parser);
    sk_http_parser_init(&client->parser, false);
}

static void pump(struct sk_task *task);

static void pump_soon(struct sk_http_client *client) {
    if (!client->dead) sk_io_defer(client->io, &client->pump, pump);
}

/* The connection has ended: with it the call under way, unless it can go out again; and when there
 * never was one, all of them. */
static void link_failed(struct sk_http_client *client, enum sk_status reason) {
    bool was_up = client->state == LINK_UP, reused = client->reused;
    struct sk_http_call *call = client->current;
    hang_up(client);
    if (!was_up) {
        size_t waiting = 0; /* only those that wait now: a completion may ask again */
        SK_LIST_EACH(&client->calls, node, following) waiting++;
        for (; waiting && !sk_list_empty(&client->calls); waiting--)
            finish(SK_LIST_FIRST(&client->calls, struct sk_http_call, link), reason);
    } else if (call && reused && !call->answered && call->idempotent && !call->repeated) {
        call->repeated = true; /* most likely the server closed the idle connection just before */
        client->current = NULL;
        fresh_parser(client);
    } else if (call) {
        fresh_parser(client);
        finish(call, reason);
    }
    pump_soon(client);
}

static void answer_complete(struct sk_http_client *client, bool keep) {
    struct sk_http_call *call = client->current;
    if (client->stream) sk_stream_pause(client->stream, false); /* for the next answer */
    if (!keep) hang_up(client); /* before `done`, which may free the client */
    client->reused = keep;
    finish(call, SK_OK);
    pump_soon(client);
}

static void on_call_limit(struct sk_timer *timer) {
    struct sk_http_call *call = SK_CONTAINER(timer, struct sk_http_call, timer);
    struct sk_http_client *client = call->client;
    enter(client);
    bool current = client->current == call;
    if (current) hang_up(client);
    if (current) fresh_parser(client);
    finish(call, SK_TIMEOUT);
    pump_soon(client);
    leave(client);
}

void sk_http_call_cancel(struct sk_http_call *call) {
    struct sk_http_client *client = call->client;
    enter(client);
    if (client->current == call)
        hang_up(client); /* the parser may be in use: it is renewed with the next connection */
    finish(call, SK_CLOSED);
    pump_soon(client);
    leave(client);
}

void sk_http_call_pause(struct sk_http_call *call, bool paused) {
    struct sk_http_client *client = call->client;
    if (client->current == call && client->stream) sk_stream_pause(client->stream, paused);
}

void sk_http_client_free(struct sk_http_client *client) {
    if (client == NULL || client->dead) return;
    enter(client);
    client->dead = true;
    sk_io_undefer(&client->pump);
    hang_up(client);
    while (!sk_list_empty(&client->calls))
        finish(SK_LIST_FIRST(&client->calls, struct sk_http_call, link), SK_CLOSED);
    leave(client);
}

static void write_request(struct sk_http_client *client, const struct sk_http_ask *ask,
                          struct sk_buffer *to) {
    struct sk_buffer target = {0};
    bool absolute = client->proxied && client->tls == NULL;
    if (absolute) {
        sk_buffer_text(&target, "http://");
        sk_buffer_append(&target, client->host_header);
    }
    sk_buffer_append(&target, ask->target);
    sk_http_put_request(to, ask->method, sk_buffer_span(&target), client->host_header);
    sk_buffer_free(&target);
    if (absolute) sk_proxy_put_authorization(to, &client->proxy);
    for (size_t i = 0; i < ask->header_count; i++)
        sk_http_put_header(to, ask->headers[i].name, ask->headers[i].value);
    bool has_body = ask->method == SK_HTTP_POST || ask->method == SK_HTTP_PUT ||
                    ask->method == SK_HTTP_PATCH || ask->body.n > 0;
    if (has_body)
        sk_http_put_body(to, ask->body);
    else
        sk_http_put_end(to);
}

struct sk_http_call *sk_http_client_send(struct sk_http_client *client,
                                         const struct sk_http_ask *ask) {
    struct sk_http_call *call = SK_NEW(struct sk_http_call);
    call->client = client;
    write_request(client, ask, &call->request);
    call->head_only = ask->method == SK_HTTP_HEAD;
    call->idempotent = ask->method != SK_HTTP_POST && ask->method != SK_HTTP_PATCH;
    call->answer_max = ask->answer_max ? ask->answer_max : ANSWER_MAX;
    call->on_body = ask->on_body;
    call->done = ask->done;
    call->arg = ask->arg;
    sk_list_append(&client->calls, &call->link);
    sk_timer_start(client->io, &call->timer, (ask->timeout_ms ? ask->timeout_ms : CALL_MS) * SK_MS,
                   on_call_limit);
    pump_soon(client);
    return call;
}

/* --- the connection --- */

static void on_connect_limit(struct sk_timer *timer) {
    struct sk_http_client *client = SK_CONTAINER(timer, struct sk_http_client, timer);
    enter(client);
    link_failed(client, SK_TIMEOUT);
    leave(client);
}

static void on_idle(struct sk_timer *timer) {
    struct sk_http_client *client = SK_CONTAINER(timer, struct sk_http_client, timer);
    hang_up(client);
    sk_http_parser_idle(&client->parser);
}

static void dial(struct sk_http_client *client) {
    fresh_parser(client);
    client->state = LINK_CONNECTING;
    client->stream = client->proxied && client->tls
                         ? sk_tunnel_connect(client->io, &client->proxy, &client->to, client->tls,
                                             client->server_name, &stream_events, client)
                         : sk_connect(client->io, client->proxied ? &client->proxy.at : &client->to,
                                      client->tls, client->server_name, &stream_events, client);
    sk_timer_start(client->io, &client->timer, client->connect_ns, on_connect_limit);
}

/* Does what can be done next: dial, send, or wait. */
static void pump(struct sk_task *task) {
    struct sk_http_client *client = SK_CONTAINER(task, struct sk_http_client, pump);
    if (client->current) return;
    struct sk_http_call *call = SK_LIST_FIRST(&client->calls, struct sk_http_call, link);
    if (call == NULL) {
        if (client->state == LINK_UP)
            sk_timer_start(client->io, &client->timer, client->idle_ns, on_idle);
        return;
    }
    if (client->state == LINK_DOWN) dial(client);
    if (client->state != LINK_UP) return;
    sk_timer_stop(&client->timer);
    client->current = call;
    call->answered = false;
    client->parser.no_body = call->head_only;
    client->parser.stream = false;
    sk_stream_write(client->stream, sk_buffer_span(&call->request));
}

static void on_open(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct sk_http_client *client = arg;
    client->state = LINK_UP;
    sk_timer_stop(&client->timer);
    pump_soon(client);
}

/* The headers of an answer: decide how its body is taken. */
static void take_headers(struct sk_http_client *client) {
    struct sk_http_call *call = client->current;
    client->parser.body_max = call->answer_max;
    if (call->on_body && client->parser.status / 100 == 2) {
        client->parser.stream = true;
        sk_timer_stop(&call->timer); /* a stream may last */
    }
}

static void take_answer(struct sk_http_client *client, struct sk_stream *stream,
                        struct sk_span bytes) {
    while (bytes.n && client->stream == stream) {
        struct sk_http_call *call = client->current;
        if (call == NULL) { /* bytes that nobody asked for */
            link_failed(client, SK_MALFORMED);
            return;
        }
        call->answered = true;
        size_t used;
        enum sk_http_event event;
        enum sk_status status = sk_http_feed(&client->parser, bytes, &used, &event);
        if (status) {
            link_failed(client, status);
            return;
        }
        bytes = sk_span_skip(bytes, used);
        bool streaming = client->parser.stream || (call->on_body && event == SK_HTTP_MESSAGE &&
                                                   client->parser.status / 100 == 2);
        if (event == SK_HTTP_HEADERS) take_headers(client);
        if ((event == SK_HTTP_BODY || event == SK_HTTP_MESSAGE) && streaming &&
            client->parser.body.n) {
            call->on_body(call->arg, &client->parser, sk_buffer_span(&client->parser.body));
            if (client->current != call) return; /* cancelled in there */
            client->parser.body.n = 0;           /* handed out */
        }
        if (event != SK_HTTP_MESSAGE) continue;
        answer_complete(client,
                        client->parser.keep_alive && !client->parser.upgrade && bytes.n == 0);
        return;
    }
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct sk_http_client *client = arg;
    enter(client);
    take_answer(client, stream, bytes);
    leave(client);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct sk_http_client *client = arg;
    (void)stream;
    client->stream = NULL;
    enter(client);
    struct sk_http_call *call = client->current;
    enum sk_http_event event = SK_HTTP_MORE;
    bool ended = call && call->answered && reason == SK_OK &&
                 sk_http_finish(&client->parser, &event) == SK_OK;
    if (ended && event == SK_HTTP_MESSAGE)
        answer_complete(client, false);
    else
        link_failed(client, reason == SK_OK ? SK_CLOSED : reason);
    leave(client);
}

static void on_data_ignored(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static void on_close_ignored(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static const struct sk_stream_events stream_events = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};
static const struct sk_stream_events no_events = {.on_data = on_data_ignored,
                                                  .on_close = on_close_ignored};
