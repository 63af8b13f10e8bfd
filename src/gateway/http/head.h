/* The HTTPS head's parts. Inside src/gateway only. */
#ifndef SK_GATEWAY_HTTP_HEAD_H
#define SK_GATEWAY_HTTP_HEAD_H

#include "gateway/parts.h"

/* A request made of an exchange. On the heap: the exchange's arena goes with the answer. */
struct sk_http_request {
    struct sk_request request;
    struct sk_http_exchange *exchange;
    struct sk_backend *backend;
    struct sk_principal principal;
    bool waits; /* for the body: only the headers have come */
    char *payload;
    /* of a watch */
    struct sk_event_source *events; /* or: */
    struct sk_outbox_source *outbox;
    struct sk_timer heartbeat;
    struct sk_grant grant;
    struct sk_task again;  /* there is more to read */
    struct sk_timer later; /* or there is, but no room for it among what others do not read */
    struct sk_list slow;   /* of the backend's */
    size_t held;           /* bytes that waited when it was looked at, */
    uint64_t since_ns;     /* and since when it has read none of them */
    struct sk_span device; /* show only this one's messages; empty: all */
};

/* request.c */
/* `correlation`: what the request is called in records, and so to the client; NULL or empty: one is
 * made. */
void sk_http_head_refuse(struct sk_http_exchange *exchange, const struct sk_error *error,
                         bool structured, const char *correlation);
void sk_http_request_free(struct sk_http_request *r);

/* message.c: messages as headers and body. */
bool sk_http_read_message(struct sk_http_request *r); /* false: it is too large */
/* Whether it is telemetry in a batch; such a request has no other reading. */
bool sk_http_is_batch(const struct sk_http_request *r);
/* Stores a batch as a whole and answers; false: nothing of it, for the reason in `error`. */
bool sk_http_submit_batch(struct sk_http_request *r, struct sk_error *error);
bool sk_http_read_receive(struct sk_http_request *r); /* false: its lock time is none */
void sk_http_read_settle(struct sk_http_request *r);
void sk_http_answer_message(struct sk_http_exchange *exchange, const struct sk_message *message);

/* watch.c: streams events as server-sent events until the client goes; then frees the request.
 */
void sk_http_watch_start(struct sk_http_request *r, struct sk_event_source *events);
void sk_http_watch_outbox(struct sk_http_request *r, struct sk_outbox_source *outbox);

#endif
