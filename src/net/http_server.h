/* Serving HTTP/1.1 on streams: one exchange at a time on a connection, keep-alive, pipelining,
 * streamed answers.
 *
 * The gateway's HTTPS head, the workload API on unix sockets and the metrics endpoint all stand on
 * it. The handler gets an exchange when the request is complete and answers it whenever it likes,
 * exactly once; until then the connection reads nothing more. */
#ifndef SK_NET_HTTP_SERVER_H
#define SK_NET_HTTP_SERVER_H

#include "io/io.h"
#include "wire/http.h"

struct sk_http_exchange;
typedef void sk_http_handler(void *arg, struct sk_http_exchange *exchange);

struct sk_http_service {
    sk_http_handler *handler;
    void *arg;
    size_t body_max; /* larger bodies: 413 */
    /* Of a listener at once; one more is closed without an answer. 0: as many as come. */
    unsigned connections_max;
    /* Optional: the headers of a request with a body are there, the body is not. Answer at once,
     * and the connection ends with that, or call sk_http_take_body, now or later; then the
     * handler gets the same exchange, whole. Until then nothing more is read. */
    sk_http_handler *headers;
    /* Optional. `opened` and `closed` bracket each connection; what `opened` returns is given to
     * `closed`. */
    void *(*opened)(void *arg, struct sk_stream *stream);
    void (*closed)(void *arg, void *connection_data);
};

/* One request on its way to its answer. */
struct sk_http_exchange {
    struct sk_io *io;
    struct sk_stream *stream;       /* NULL once the client has gone: the answer will be dropped */
    struct sk_http_parser *request; /* complete; lives until the answer */
    struct sk_arena arena;          /* for the handler; freed after the answer */
    void *data;                     /* the handler's */
    /* Set by the handler before it returns, optional: the client has gone before the end of the
     * answer. The handler must still answer (or end). Without it, that is seen with the answer. */
    void (*gone)(struct sk_http_exchange *exchange);
    /* Set with sk_http_take_body, optional: the client has gone before its body was whole; the
     * handler is not called. */
    void (*dropped)(struct sk_http_exchange *exchange);
    /* Set before sk_http_take_body, optional. `whole` is called instead of the service's handler.
     * With `part` the body is handed out as it comes, and not kept: body_max does not apply. False:
     * enough for now, until sk_http_go_on; what has been read already may still come. */
    void (*whole)(struct sk_http_exchange *exchange);
    bool (*part)(struct sk_http_exchange *exchange, struct sk_span bytes);
    /* Set by the handler while it streams, optional: what was written has left. */
    void (*drained)(struct sk_http_exchange *exchange);
};

/* Takes over an open stream (its events too). `first` are bytes already read from it. `service`
 * must outlive the connection. */
void sk_http_serve(struct sk_stream *stream, const struct sk_http_service *service,
                   struct sk_span first);

/* Reads the body behind the headers; see struct sk_http_service. */
void sk_http_take_body(struct sk_http_exchange *exchange);
/* After `part` has said that it was enough: more may come. */
void sk_http_go_on(struct sk_http_exchange *exchange);
/* Answers and ends the exchange. `headers` are whole header lines ("Name: value\r\n"), made with
 * sk_http_put_header, or empty. A body is left out for 204 and 304. */
void sk_http_respond(struct sk_http_exchange *exchange, unsigned status, struct sk_span headers,
                     struct sk_span body);
/* The same with Content-Type: application/json; charset=utf-8. */
void sk_http_respond_json(struct sk_http_exchange *exchange, unsigned status, struct sk_span body);
/* A streamed answer: start, parts, end. sk_http_respond_part returns false when it should wait for
 * `drained`. */
void sk_http_respond_start(struct sk_http_exchange *exchange, unsigned status,
                           struct sk_span headers);
/* The same with a known length, which the parts must come to; to HEAD there are none. */
void sk_http_respond_start_sized(struct sk_http_exchange *exchange, unsigned status,
                                 struct sk_span headers, uint64_t length);
bool sk_http_respond_part(struct sk_http_exchange *exchange, struct sk_span bytes);
bool sk_http_respond_event(struct sk_http_exchange *exchange, struct sk_span event,
                           struct sk_span id, struct sk_span data);
/* An answer of known length that is not whole is cut. */
void sk_http_respond_end(struct sk_http_exchange *exchange);
/* Ends a streamed answer that will not become whole: the connection breaks off, so that the client
 * does not take it for one that is. */
void sk_http_respond_cut(struct sk_http_exchange *exchange);
/* Answers 101 with `headers` and ends the exchange: the stream is given away to `taken`, with
 * what has come behind the request; the connection's `closed` follows. Only when
 * request->upgrade is set. When the client has gone, nothing is called. */
typedef void sk_http_taken(void *arg, struct sk_stream *stream, struct sk_span first);
void sk_http_upgrade(struct sk_http_exchange *exchange, struct sk_span headers,
                     sk_http_taken *taken, void *arg); /* `arg` may live in the arena */
/* Closes the connection after this answer. Call before sk_http_respond. */
void sk_http_close_after(struct sk_http_exchange *exchange);

/* A listener that serves. */
struct sk_http_listener;
enum sk_status sk_http_listen(struct sk_io *io, const struct sk_endpoint *at, struct sk_tls *tls,
                              const struct sk_http_service *service,
                              struct sk_http_listener **listener, uint16_t *port);
/* Stops listening and closes its connections. */
void sk_http_listener_close(struct sk_http_listener *listener);

#endif
