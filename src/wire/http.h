/* HTTP/1.1 messages without I/O: an incremental parser for requests and responses, and writers.
 *
 * A parser takes bytes as they come and stops at each thing its user must see; it holds one
 * message at a time, so pipelined requests wait in the caller's bytes until the one before has
 * been answered. Memory: headers up to SK_HTTP_HEAD_MAX bytes (requests:
 * SK_HTTP_REQUEST_HEAD_MAX), body up to `body_max`; sk_http_parser_idle() gives it back between
 * messages. */
#ifndef SK_WIRE_HTTP_H
#define SK_WIRE_HTTP_H

#include <llhttp.h>

#include "base/base.h"

#define SK_HTTP_HEAD_MAX 32768u         /* bytes of target, header names and values together */
#define SK_HTTP_REQUEST_HEAD_MAX 16384u /* the same of a request: nobody is known before it */
#define SK_HTTP_TARGET_MAX 8192u
#define SK_HTTP_HEADERS_MAX 64u
#define SK_HTTP_LENGTH_UNKNOWN UINT64_MAX

enum sk_http_method {
    SK_HTTP_GET,
    SK_HTTP_HEAD,
    SK_HTTP_POST,
    SK_HTTP_PUT,
    SK_HTTP_PATCH,
    SK_HTTP_DELETE,
    SK_HTTP_OPTIONS,
    SK_HTTP_CONNECT,
    SK_HTTP_OTHER, /* known to HTTP, of no use here */
};
/* "GET" …; SK_HTTP_OTHER gives "". */
const char *sk_http_method_name(enum sk_http_method method);

enum sk_http_event {
    SK_HTTP_MORE, /* all bytes are used, nothing to say yet */
    /* the headers of a message with a body are there: look at them, set body_max or stream, feed
     * on */
    SK_HTTP_HEADERS,
    /* stream only: `body` holds the part that has come; it is emptied by the next feed */
    SK_HTTP_BODY,
    SK_HTTP_MESSAGE, /* the message is complete; its spans live until the next feed */
};

struct sk_http_parser {
    /* --- the message, valid from SK_HTTP_HEADERS to the feed after SK_HTTP_MESSAGE --- */
    enum sk_http_method method; /* of requests */
    unsigned status;            /* of responses */
    struct sk_span target;      /* as sent: path, and query behind '?' */
    struct sk_span path;        /* raw; an absolute-form target is cut down to its path */
    struct sk_span query;       /* raw, without '?' */
    struct sk_buffer body;      /* whole, or with `stream` the part since the last event */
    bool keep_alive;            /* the connection may carry another message after this one */
    bool expect_continue;       /* the client waits for "100 Continue" before it sends the body */
    /* at SK_HTTP_HEADERS: bytes of the body to come, or SK_HTTP_LENGTH_UNKNOWN */
    uint64_t content_length;
    /* another protocol is asked for (or was agreed on: status 101); bytes behind `used` belong to
     * it. Feeding on declines it */
    bool upgrade;

    /* --- the user's settings --- */
    size_t body_max; /* larger bodies are refused with 413; sk_http_parser_init sets 0 */
    /* give the body in parts; body_max does not apply. Set before or at SK_HTTP_HEADERS; reset by
     * each message */
    bool stream;
    /* the response to come answers HEAD or CONNECT: it has no body. Reset by each message */
    bool no_body;

    /* --- inside --- */
    unsigned refusal;
    llhttp_t llhttp;
    struct sk_buffer head; /* target, then names and values */
    struct sk_http_slot {
        uint16_t name, name_size, value, value_size; /* in `head` */
    } slots[SK_HTTP_HEADERS_MAX];
    size_t target_size;
    size_t head_size; /* all bytes of the head, trailers too */
    unsigned header_count;
    bool request;
    bool began;        /* its first byte has come */
    bool headers_done; /* header callbacks are trailers from here on */
    bool complete;
    bool after_cr;         /* the last byte of the head so far was CR */
    const char *uncounted; /* where, in what is fed, the framing begins that is not counted yet */
    size_t framing;        /* bytes since the last piece of the body that are none */
};

void sk_http_parser_init(struct sk_http_parser *parser, bool request);
void sk_http_parser_free(struct sk_http_parser *parser);
/* Gives back all memory that is not needed while no message is under way. Call it after the last
 * answer. */
void sk_http_parser_idle(struct sk_http_parser *parser);
/* True between two messages. */
bool sk_http_parser_is_idle(const struct sk_http_parser *parser);

/* Parses until the next event or the end of `bytes`; call again with what was not used.
 *
 * returns  SK_OK; SK_MALFORMED or SK_TOO_LARGE: answer with sk_http_refusal() and close; the parser
 *          takes nothing more */
enum sk_status sk_http_feed(struct sk_http_parser *parser, struct sk_span bytes, size_t *used,
                            enum sk_http_event *event);
/* The peer ended its side: completes a response that runs to the end of the connection (*event:
 * SK_HTTP_MESSAGE); SK_MALFORMED in the middle of a message. */
enum sk_status sk_http_finish(struct sk_http_parser *parser, enum sk_http_event *event);
/* The status to refuse a request with after an error: 400, 413, 414, 431 or 505. */
unsigned sk_http_refusal(const struct sk_http_parser *parser);

/* The first header of that name (case-insensitive); an empty span with p == NULL when there is
 * none. */
struct sk_span sk_http_header(const struct sk_http_parser *parser, const char *name);
/* Header `index`; false when there are not so many. */
bool sk_http_header_at(const struct sk_http_parser *parser, unsigned index, struct sk_span *name,
                       struct sk_span *value);
/* Whether a comma-separated header holds the token (case-insensitive). */
bool sk_http_header_has(const struct sk_http_parser *parser, const char *name, const char *token);

/* The raw value of a query parameter (name without case, first one wins); p == NULL when there is
 * none. */
struct sk_span sk_http_query(struct sk_span query, const char *name);

/* --- writers; each appends --- */

/* "HTTP/1.1 404 Not Found". */
void sk_http_put_status(struct sk_buffer *to, unsigned status);
/* "POST /x HTTP/1.1" and Host. */
void sk_http_put_request(struct sk_buffer *to, enum sk_http_method method, struct sk_span target,
                         struct sk_span host);
/* Control characters in the value become spaces: no header can be smuggled in through it. */
void sk_http_put_header(struct sk_buffer *to, const char *name, struct sk_span value);
/* Content-Length, the empty line and the body: ends the message. */
void sk_http_put_body(struct sk_buffer *to, struct sk_span body);
/* The empty line: ends a message without a body (204, 304, a GET request). */
void sk_http_put_end(struct sk_buffer *to);
/* A body in chunks: begin after the headers, any number of parts (empty ones are skipped), end. */
void sk_http_put_chunked(struct sk_buffer *to);
void sk_http_put_chunk(struct sk_buffer *to, struct sk_span bytes);
void sk_http_put_last_chunk(struct sk_buffer *to);
/* A server-sent event as one chunk (after Content-Type: text/event-stream and sk_http_put_chunked).
 * `event` and `id` may be empty; they hold no line breaks. */
void sk_http_put_event(struct sk_buffer *to, struct sk_span event, struct sk_span id,
                       struct sk_span data);
/* "HTTP/1.1 100 Continue". */
void sk_http_put_continue(struct sk_buffer *to);
/* The reason phrase of a status, e.g. "Not Found"; "Unknown" for others. */
const char *sk_http_reason(unsigned status);

#endif
