/* An HTTP/1.1 client over io streams: TLS, unix sockets, keep-alive, proxies by CONNECT, time-outs.
 *
 * One client speaks to one server, one request at a time; further ones wait in a queue. Idle connections are kept 60 s. */
#ifndef SK_CLIENT_HTTP_CLIENT_H
#define SK_CLIENT_HTTP_CLIENT_H

#include "io/io.h"
#include "wire/http.h"

struct sk_http_client;

struct sk_http_client_options {
    struct sk_endpoint to;      /* host and port, or a unix socket */
    const char *server_name;    /* SNI, verification and Host header; NULL: to.host ("localhost" for unix sockets) */
    struct sk_tls *tls;         /* NULL: plain */
    struct sk_endpoint proxy;   /* host set: CONNECT through it */
    unsigned timeout_s;         /* of one request, from its start to its answer; 0: 70 */
    size_t body_max;            /* of an answer; 0: 4 MiB */
};

struct sk_http_client *sk_http_client_new(struct sk_io *io, const struct sk_http_client_options *options); /* copies strings */
/* Requests that wait are completed with SK_CLOSED before this returns. */
void sk_http_client_close(struct sk_http_client *client);

/* `response` is NULL unless SK_OK; it lives until the call returns. SK_CLOSED, SK_TIMEOUT, SK_REFUSED, SK_UNAUTHORIZED (certificate),
 * SK_MALFORMED, SK_TOO_LARGE, SK_IO. */
typedef void sk_http_done(void *arg, enum sk_status status, const struct sk_http_parser *response);
/* Optional: the body in parts as it comes (server-sent events); the answer in `done` then has no body. No time-out runs while it streams. */
typedef void sk_http_part(void *arg, const struct sk_http_parser *response, struct sk_span bytes);

struct sk_http_call {
    enum sk_http_method method;
    struct sk_span target;  /* path and query */
    struct sk_span headers; /* whole lines made with sk_http_put_header, or empty */
    struct sk_span body;    /* Content-Length is added when it has a pointer, even an empty one */
    sk_http_done *done;
    sk_http_part *part;
    void *arg;
};
/* All spans are copied. `done` is called exactly once, never from inside. A request that was sent on a kept connection which the
 * server had closed meanwhile is sent again once. */
void sk_http_client_call(struct sk_http_client *client, const struct sk_http_call *call);

#endif
