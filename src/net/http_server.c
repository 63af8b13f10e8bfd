#include "net/http_server.h"

#include <stdio.h>

enum { IDLE_S = 120 };

struct connection {
    struct sk_http_exchange exchange;
    struct sk_http_parser parser;
    struct sk_http_service service; /* a copy: connections may outlive whoever stops listening */
    void *connection_data;          /* of service->opened */
    struct sk_list link;            /* of its listener, else self-linked */
    struct sk_timer timer;
    bool answering, streaming, close_after, processing, head_only;
    bool sized; /* what is streamed has a length, of which this is left: */
    uint64_t left;
    bool held;            /* the body's parts are too many for whoever takes them */
    bool body_left;       /* of the request that is being answered: what follows is not a request */
    sk_http_taken *taken; /* the stream goes to it: another protocol */
    void *taken_arg;
};

struct sk_http_listener {
    struct sk_listener *listener;
    const struct sk_http_service *service;
    struct sk_list connections;
};

static void give_away(struct connection *c, struct sk_span bytes);

static struct connection *of(struct sk_http_exchange *exchange) {
    return SK_CONTAINER(exchange, struct connection, exchange);
}

static void free_connection(struct connection *c) {
    sk_list_remove(&c->link);
    sk_timer_stop(&c->timer);
    sk_http_parser_free(&c->parser);
    sk_arena_free(&c->exchange.arena);
    free(c);
}

static void on_idle(struct sk_timer *timer) {
    struct connection *c = SK_CONTAINER(timer, struct connection, timer);
    if (!c->answering && c->exchange.stream) sk_stream_close(c->exchange.stream);
}

static void wait_for_request(struct connection *c) {
    sk_timer_start(c->exchange.io, &c->timer, IDLE_S * SK_S, on_idle);
}

/* How every answer begins. Edges look at both headers: at Server in edge/hub/scope.c, and whoever
 * wonders about its own clock at Date. */
static struct sk_buffer *begin_head(struct connection *c, unsigned status) {
    struct sk_buffer *out = sk_stream_output(c->exchange.stream);
    char date[SK_TIME_HTTP_TEXT];
    sk_time_http_text(sk_io_wall(c->exchange.io), date);
    sk_http_put_status(out, status);
    sk_http_put_header(out, "Server", SK_SPAN("Skerry/" SK_VERSION));
    sk_http_put_header(out, "Date", sk_span_z(date));
    return out;
}

/* An answer to what the parser refused; nothing more is read. */
static void refuse(struct connection *c) {
    struct sk_buffer *out = begin_head(c, sk_http_refusal(&c->parser));
    sk_http_put_header(out, "Connection", SK_SPAN("close"));
    sk_http_put_body(out, SK_NONE);
    sk_stream_flush(c->exchange.stream);
    sk_stream_close(c->exchange.stream);
}

void sk_http_take_body(struct sk_http_exchange *exchange) {
    struct connection *c = of(exchange);
    c->parser.body_max = c->service.body_max;
    c->parser.stream = exchange->part != NULL;
    c->answering = c->body_left = false;
    if (exchange->stream == NULL) { /* it has gone meanwhile */
        if (exchange->dropped) exchange->dropped(exchange);
        free_connection(c);
        return;
    }
    if (c->parser.expect_continue) {
        sk_http_put_continue(sk_stream_output(exchange->stream));
        sk_stream_flush(exchange->stream);
    }
    wait_for_request(c);
    if (!c->processing) sk_stream_pause(exchange->stream, false);
}

void sk_http_go_on(struct sk_http_exchange *exchange) {
    struct connection *c = of(exchange);
    if (!c->held) return;
    c->held = false;
    if (exchange->stream && !c->processing) sk_stream_pause(exchange->stream, false);
}

/* A part of a body that nobody keeps; its sender is not idle. */
static void take_part(struct connection *c) {
    struct sk_span part = sk_buffer_span(&c->parser.body);
    if (c->exchange.part == NULL || part.n == 0) return;
    wait_for_request(c);
    if (!c->exchange.part(&c->exchange, part)) c->held = true;
}

static void take_headers(struct connection *c) {
    if (c->service.headers == NULL) {
        sk_http_take_body(&c->exchange);
        return;
    }
    sk_timer_stop(&c->timer);
    c->answering = c->body_left = c->close_after = true;
    c->service.headers(c->service.arg, &c->exchange);
}

static void take_message(struct connection *c) {
    sk_timer_stop(&c->timer);
    c->answering = true;
    c->close_after = !c->parser.keep_alive;
    c->head_only = c->parser.method == SK_HTTP_HEAD;
    c->exchange.dropped = NULL;
    c->held = false;
    if (c->exchange.whole)
        c->exchange.whole(&c->exchange);
    else
        c->service.handler(c->service.arg, &c->exchange);
}

/* Whether the next bytes may be parsed: in turns with other connections, a request at a time. */
static bool may_go_on(struct connection *c) {
    return !c->answering && !c->body_left && !c->held && c->exchange.stream &&
           (!sk_http_parser_is_idle(&c->parser) || sk_stream_go_on(c->exchange.stream, 1));
}

/* Feeds until a request is complete; what is behind it comes again. */
static void process(struct connection *c, struct sk_span bytes) {
    c->processing = true;
    while (bytes.n && may_go_on(c)) {
        size_t used;
        enum sk_http_event event;
        if (sk_http_feed(&c->parser, bytes, &used, &event)) {
            refuse(c);
            bytes = SK_NONE;
            break;
        }
        bytes = sk_span_skip(bytes, used);
        if (event == SK_HTTP_BODY || event == SK_HTTP_MESSAGE) take_part(c);
        if (event == SK_HTTP_HEADERS)
            take_headers(c);
        else if (event == SK_HTTP_MESSAGE)
            take_message(c);
    }
    c->processing = false;
    if (c->taken) {
        give_away(c, bytes);
        return;
    }
    if (!c->exchange.stream) return;
    sk_stream_unread(c->exchange.stream, bytes);
    /* Who does not read does not see the client go. */
    if (c->held || (c->answering && (bytes.n || !c->exchange.gone)))
        sk_stream_pause(c->exchange.stream, true);
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct connection *c = arg;
    if (!c->answering) {
        process(c, bytes);
        return;
    }
    /* Another request while an answer is streamed: its turn comes. */
    sk_stream_unread(stream, bytes);
    sk_stream_pause(stream, true);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct connection *c = arg;
    if (c->streaming && c->exchange.drained) c->exchange.drained(&c->exchange);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    (void)reason;
    struct connection *c = arg;
    if (c->service.closed) c->service.closed(c->service.arg, c->connection_data);
    c->exchange.stream = NULL;
    sk_timer_stop(&c->timer);
    if (c->answering) {
        if (c->exchange.gone) c->exchange.gone(&c->exchange);
        return;
    }
    if (c->exchange.dropped) c->exchange.dropped(&c->exchange);
    free_connection(c);
}

static const struct sk_stream_events events = {
    .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

static struct connection *open_connection(struct sk_stream *stream,
                                          const struct sk_http_service *service) {
    struct connection *c = SK_NEW(struct connection);
    c->exchange.io = sk_stream_io(stream);
    c->exchange.stream = stream;
    c->exchange.request = &c->parser;
    c->service = *service;
    sk_list_init(&c->link);
    sk_http_parser_init(&c->parser, true);
    sk_stream_handle(stream, &events, c);
    if (service->opened) c->connection_data = service->opened(service->arg, stream);
    wait_for_request(c);
    return c;
}

void sk_http_serve(struct sk_stream *stream, const struct sk_http_service *service,
                   struct sk_span first) {
    struct connection *c = open_connection(stream, service);
    if (first.n) process(c, first);
}

/* ---- answering ---- */

static void ended(struct connection *c) {
    c->answering = c->streaming = c->sized = false;
    c->exchange.gone = c->exchange.dropped = NULL;
    c->exchange.drained = c->exchange.whole = NULL;
    c->exchange.part = NULL;
    c->exchange.data = NULL;
    sk_arena_reset(&c->exchange.arena);
    if (c->exchange.stream == NULL) {
        free_connection(c);
        return;
    }
    sk_stream_flush(c->exchange.stream);
    if (c->close_after) {
        sk_stream_close(c->exchange.stream);
        return;
    }
    wait_for_request(c);
    sk_stream_pause(c->exchange.stream, false); /* what waits comes again */
    if (!c->processing) sk_http_parser_idle(&c->parser);
}

static struct sk_buffer *begin(struct connection *c, unsigned status, struct sk_span headers) {
    struct sk_buffer *out = begin_head(c, status);
    sk_buffer_append(out, headers);
    if (c->close_after) sk_http_put_header(out, "Connection", SK_SPAN("close"));
    return out;
}

void sk_http_respond(struct sk_http_exchange *exchange, unsigned status, struct sk_span headers,
                     struct sk_span body) {
    struct connection *c = of(exchange);
    if (exchange->stream) {
        struct sk_buffer *out = begin(c, status, headers);
        if (status == 204 || status == 304) {
            sk_http_put_end(out);
        } else {
            size_t before = out->n;
            sk_http_put_body(out, body);
            if (c->head_only && out->n - before >= body.n) out->n -= body.n;
        }
    }
    ended(c);
}

void sk_http_respond_json(struct sk_http_exchange *exchange, unsigned status, struct sk_span body) {
    sk_http_respond(exchange, status, SK_SPAN("Content-Type: application/json; charset=utf-8\r\n"),
                    body);
}

void sk_http_respond_start(struct sk_http_exchange *exchange, unsigned status,
                           struct sk_span headers) {
    struct connection *c = of(exchange);
    c->streaming = true;
    if (exchange->stream == NULL) return;
    sk_http_put_chunked(begin(c, status, headers));
    sk_stream_flush(exchange->stream);
    sk_stream_pause(exchange->stream, false); /* so that we see the client go */
}

void sk_http_respond_start_sized(struct sk_http_exchange *exchange, unsigned status,
                                 struct sk_span headers, uint64_t length) {
    struct connection *c = of(exchange);
    char text[24];
    c->streaming = c->sized = true;
    c->left = c->head_only ? 0 : length;
    if (exchange->stream == NULL) return;
    struct sk_buffer *out = begin(c, status, headers);
    snprintf(text, sizeof text, "%llu", (unsigned long long)length);
    sk_http_put_header(out, "Content-Length", sk_span_z(text));
    sk_http_put_end(out);
    sk_stream_flush(exchange->stream);
    sk_stream_pause(exchange->stream, false);
}

bool sk_http_respond_part(struct sk_http_exchange *exchange, struct sk_span bytes) {
    struct connection *c = of(exchange);
    if (exchange->stream == NULL || c->head_only) return true;
    if (c->sized) {
        if (bytes.n > c->left) bytes.n = (size_t)c->left;
        c->left -= bytes.n;
        return sk_stream_write(exchange->stream, bytes);
    }
    sk_http_put_chunk(sk_stream_output(exchange->stream), bytes);
    return sk_stream_write(exchange->stream, SK_NONE);
}

bool sk_http_respond_event(struct sk_http_exchange *exchange, struct sk_span event,
                           struct sk_span id, struct sk_span data) {
    if (exchange->stream == NULL) return true;
    sk_http_put_event(sk_stream_output(exchange->stream), event, id, data);
    return sk_stream_write(exchange->stream, SK_NONE);
}

void sk_http_respond_cut(struct sk_http_exchange *exchange) {
    if (exchange->stream) sk_stream_abort(exchange->stream);
    ended(of(exchange));
}

void sk_http_respond_end(struct sk_http_exchange *exchange) {
    struct connection *c = of(exchange);
    if (c->sized && c->left) {
        sk_http_respond_cut(exchange);
        return;
    }
    if (exchange->stream && !c->sized && !c->head_only)
        sk_http_put_last_chunk(sk_stream_output(exchange->stream));
    ended(c);
}

/* The connection ends here, its stream lives on; `bytes` stand behind the request. */
static void give_away(struct connection *c, struct sk_span bytes) {
    struct sk_stream *stream = c->exchange.stream;
    if (stream) {
        sk_stream_flush(stream);
        sk_stream_pause(stream, false);
        c->taken(c->taken_arg, stream, bytes);
        if (c->service.closed) c->service.closed(c->service.arg, c->connection_data);
    }
    free_connection(c);
}

void sk_http_upgrade(struct sk_http_exchange *exchange, struct sk_span headers,
                     sk_http_taken *taken, void *arg) {
    struct connection *c = of(exchange);
    c->taken = taken;
    c->taken_arg = arg;
    c->close_after = false;
    if (exchange->stream) sk_http_put_end(begin(c, 101, headers));
    if (!c->processing) give_away(c, SK_NONE); /* else process() does it */
}

void sk_http_close_after(struct sk_http_exchange *exchange) {
    of(exchange)->close_after = true;
}

/* ---- listening ---- */

static void on_data_ignored(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static void on_close_ignored(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static const struct sk_stream_events no_events = {.on_data = on_data_ignored,
                                                  .on_close = on_close_ignored};

static void accepted(void *arg, struct sk_stream *stream) {
    struct sk_http_listener *l = arg;
    unsigned open = 0;
    SK_LIST_EACH(&l->connections, node, following) open++;
    if (l->service->connections_max && open >= l->service->connections_max) {
        sk_stream_handle(stream, &no_events, NULL);
        sk_stream_abort(stream);
        return;
    }
    struct connection *c = open_connection(stream, l->service);
    sk_list_append(&l->connections, &c->link);
}

enum sk_status sk_http_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                              const struct sk_http_service *service,
                              struct sk_http_listener **listener, uint16_t *port) {
    struct sk_http_listener *l = SK_NEW(struct sk_http_listener);
    l->service = service;
    sk_list_init(&l->connections);
    enum sk_status status = sk_listen(io, at, tls, accepted, l, &l->listener);
    if (status) {
        free(l);
        return status;
    }
    if (port) *port = sk_listener_port(l->listener);
    *listener = l;
    return SK_OK;
}

void sk_http_listener_close(struct sk_http_listener *listener) {
    if (listener == NULL) return;
    sk_listener_close(listener->listener);
    SK_LIST_EACH(&listener->connections, node, following) {
        struct connection *c = SK_CONTAINER(node, struct connection, link);
        sk_list_remove(node);
        if (c->exchange.stream) sk_stream_close(c->exchange.stream);
    }
    free(listener);
}
