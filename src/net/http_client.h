/* Asynchronous HTTP/1.1 client for one endpoint: one connection, kept alive, and a queue of
 * requests.
 *
 * Plain or TLS over TCP, unix sockets, and through a proxy (CONNECT for TLS, absolute targets for
 * plain HTTP). Belongs to its loop's thread. Requests are answered in order; one whose answer is a
 * stream holds the connection until it ends, so streams want a client of their own. A connection
 * that the server closed while it was idle is replaced without the caller seeing it; a request that
 * was already sent is sent again only when its method is idempotent. */
#ifndef SK_NET_HTTP_CLIENT_H
#define SK_NET_HTTP_CLIENT_H

#include "io/io.h"
#include "wire/http.h"

struct sk_http_client;

/* All texts are copied. */
struct sk_http_client_options {
    struct sk_endpoint to; /* host and port, or path of a unix socket */
    /* NULL: to.host (with its port when it is not the standard one), or "localhost" */
    const char *host_header;
    struct sk_tls *tls;          /* NULL: plain; must outlive the client */
    const char *server_name;     /* TLS name to check; NULL: to.host */
    const char *proxy;           /* "http://[user:password@]host:port" or NULL */
    uint32_t connect_timeout_ms; /* name, TCP, proxy and TLS; 0: 20 s */
    uint32_t idle_ms;            /* how long an unused connection is kept; 0: 10 s */
};
/* SK_MALFORMED: the proxy's text is no URL. */
enum sk_status sk_http_client_new(struct sk_io *io, const struct sk_http_client_options *options,
                                  struct sk_http_client **client);
/* Ends every request with SK_CLOSED, from inside this call, and closes. May be called from a
 * callback. */
void sk_http_client_free(struct sk_http_client *client);

struct sk_http_pair {
    const char *name;
    struct sk_span value;
};

struct sk_http_call;

/* What is asked. Everything is copied by sk_http_client_send. */
struct sk_http_ask {
    enum sk_http_method method;
    struct sk_span target; /* "/path?query", already encoded */
    const struct sk_http_pair *headers;
    size_t header_count;
    struct sk_span body; /* sent with its length; for POST, PUT and PATCH also when empty */
    uint32_t timeout_ms; /* from now to the whole answer, or with on_body to its headers; 0: 30 s */
    size_t answer_max;   /* bytes of the answer's body; 0: 1 MB */
    /* With it the body is handed out in parts as they come, for answers with a 2xx status; others
     * come whole. `answer` has the status and headers. Optional. */
    void (*on_body)(void *arg, const struct sk_http_parser *answer, struct sk_span part);
    /* The end, exactly once, never from inside sk_http_client_send. SK_OK: an answer came, whatever
     * its status; it lives until the callback returns. Else `answer` is NULL: SK_TIMEOUT,
     * SK_REFUSED, SK_UNAUTHORIZED (the server's certificate), SK_IO, SK_CLOSED (cancelled, or cut
     * off), SK_MALFORMED, SK_TOO_LARGE. */
    void (*done)(void *arg, enum sk_status status, const struct sk_http_parser *answer);
    void *arg;
};
/* The call is valid until `done`. */
struct sk_http_call *sk_http_client_send(struct sk_http_client *client,
                                         const struct sk_http_ask *ask);
/* Ends the call with SK_CLOSED, from inside. */
void sk_http_call_cancel(struct sk_http_call *call);
/* Of one whose parts are coming (`on_body`): what is read of them stops, but for what has been read
 * already, and goes on again. */
void sk_http_call_pause(struct sk_http_call *call, bool paused);

#endif
