/* What the heads share. Inside src/gateway only. */
#ifndef SK_GATEWAY_PARTS_H
#define SK_GATEWAY_PARTS_H

#include "net/http_server.h"
#include "gateway/gateway.h"
#include "wire/amqp_message.h"
#include "wire/mqtt.h"
#include "trust/sas.h"

struct sk_gateway {
    struct sk_io *io;
    struct sk_backend **backends;
    size_t backend_count;
    struct sk_listener **listeners;
    size_t listener_count;
    struct sk_list connections; /* struct sk_connection */
    struct sk_gateway_counts counts;
    unsigned protocols;      /* SK_GATEWAY_… that it takes */
    struct sk_arena scratch; /* for one packet or request: reset by whoever begins one */
    struct sk_http_service http;
    /* What becomes of a request that is none of HTTP's own; false: it is. */
    bool (*upgrade)(struct sk_gateway *gateway, struct sk_http_exchange *exchange);
    struct sk_span passed; /* a path whose requests are not for a backend; empty: none */
    sk_http_handler *pass;
    void *pass_arg;
    struct sk_buffer amqp_out;     /* the message that is being sent */
    const struct sk_span *origins; /* of pages that may open WebSockets */
    size_t origin_count;
    bool closing;
    struct sk_timer drain; /* while it closes */
    struct sk_task free_task;
    void (*freed)(void *arg);
    void *freed_arg;
};

/* A connection that the gateway counts and can end. First member of a head's own struct. */
struct sk_connection {
    struct sk_list link;
    struct sk_gateway *gateway;
    struct sk_stream *stream;            /* NULL once it is gone */
    void (*end)(struct sk_connection *); /* the gateway closes: end soon */
};
void connection_add(struct sk_gateway *gateway, struct sk_connection *connection,
                    struct sk_stream *stream, void (*end)(struct sk_connection *));
void connection_remove(struct sk_connection *connection);
/* The gateway's end, when it closes and nobody is connected any more. */
void gateway_free_when_empty(struct sk_gateway *gateway);

/* budget.c: what of a connection's requests is under way. A connection whose budget is full is not
 * read before half of it has come back. */
struct sk_budget {
    unsigned requests;
    size_t bytes;
    bool full;
};
struct sk_cost { /* of one request; give back what was taken */
    unsigned requests;
    size_t bytes;
};
struct sk_cost budget_take(struct sk_budget *budget, enum sk_op op, size_t bytes);
void budget_give(struct sk_budget *budget, struct sk_cost cost);

/* Heads take over a stream with the bytes that told its protocol. */
void mqtt_head_open(struct sk_gateway *gateway, struct sk_stream *stream, struct sk_span first);
void amqp_head_open(struct sk_gateway *gateway, struct sk_stream *stream, struct sk_span first);
void http_head_init(struct sk_gateway *gateway);
/* websocket.c: asks for a WebSocket, behind which another head speaks. */
bool websocket_head_upgrade(struct sk_gateway *gateway, struct sk_http_exchange *exchange);

/* authorise.c: what is allowed, and within its hub's quota, goes on. */
void gateway_pass_on(struct sk_backend *backend, struct sk_request *request);

/* directory.c: a session begins and ends to live here. */
void directory_enter(struct sk_session *session);
void directory_leave(struct sk_session *session);
/* Frees what the session owns; after sk_session_close. */
void session_free(struct sk_session *session);
/* Starts (again) the timer that ends the session with its token. */
void session_watch_expiry(struct sk_session *session);

/* Something about the device or one of its modules has changed: who is being authenticated by it is
 * looked up once more. */
void authentications_outdate(struct sk_backend *backend, struct sk_span device);
void authentications_outdate_all(struct sk_backend *backend);

#endif
