/* An IoT Hub device or module: the client side that the edge hub's upstream, the edge agent, the C
 * module SDK and the command line share. Over MQTT on a connection of its own, or over AMQP on one
 * that it shares with others (mux.h); its user need not know which.
 *
 * It connects by itself and stays connected: capped exponential back-off with jitter, keep-alive,
 * tokens renewed before they expire, subscriptions made again and unacknowledged messages sent
 * again, in order (and by MQTT marked DUP), after every connect. Callers may send at any time; what
 * cannot go out waits. Belongs to its loop's thread; callbacks never come from inside the call that
 * caused them, but for sk_device_client_free. */
#ifndef SK_DEVICE_CLIENT_H
#define SK_DEVICE_CLIENT_H

#include "io/io.h"
#include "model/message.h"
#include "azure/mqtt_topic.h"
#include "model/request.h"
#include "net/token_source.h"

struct sk_device_client;
struct sk_device_mux;

/* A message that the server waits to have settled. Zero for one that it does not. */
struct sk_delivery {
    uint32_t connection;
    uint32_t id;      /* by MQTT 16 bits */
    bool redelivered; /* the server has sent it before (DUP), or has counted an abandonment */
};

/* Why the client is not connected. */
struct sk_client_down {
    /* SK_REFUSED with a code: CONNACK; SK_UNAUTHORIZED: the server's certificate, or no token;
     * SK_TIMEOUT: the server did not answer; SK_CLOSED: it hung up; SK_IO, SK_MALFORMED */
    enum sk_status reason;
    uint8_t connack;   /* MQTT: return code of the refusal, else 0 */
    bool refused;      /* the server is there, and refuses this identity */
    uint64_t retry_ns; /* until the next attempt */
    /* What had gone out and was not answered: it goes out again. */
    size_t messages, reports, twin_gets;
};

/* Each may be NULL. */
struct sk_device_events {
    /* Subscribed and ready. Comes again, without a `disconnected` before it, after a reconnect to
     * renew the token: desired changes may have been missed, so get the twin. */
    void (*connected)(void *arg, bool session_present);
    /* The connection, or an attempt to make one, has failed; another attempt follows by itself. */
    void (*disconnected)(void *arg, const struct sk_client_down *down);
    /* A desired patch; after a replacement the whole section, with nulls for what is gone. */
    void (*desired)(void *arg, struct sk_span patch, uint64_t version);
    /* A direct method; answer it with sk_device_client_answer, once, now or later. `rid` lives
     * until the callback returns. */
    void (*method)(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid);
    /* A message for a module's input (message->system[SK_SYS_INPUT]), or cloud-to-device.
     * Settle it when it has been dealt with. By AMQP message->c2d is set. */
    void (*message)(void *arg, const struct sk_message *message, struct sk_delivery delivery);
};

/* Texts are copied. */
struct sk_device_client_options {
    /* AMQP on this connection, which must outlive the client; what is marked (M) is the
     * connection's then and not looked at here. NULL: MQTT. */
    struct sk_device_mux *mux;
    const char *host;       /* (M) to dial: the hub, or a gateway */
    uint16_t port;          /* (M) 0: 8883, or 443 */
    bool websocket;         /* (M) MQTT over WebSocket */
    uint16_t fallback_port; /* (M) where a WebSocket is tried in turn after two failures; 0: not */
    bool fallback_first;    /* (M) that has worked last */
    const char
        *proxy; /* (M) NULL, or "http://[user:password@]host:port" that sk_proxy_parse takes */
    struct sk_tls *tls;                  /* (M) NULL: plain (tests); must outlive the client */
    const char *server_name;             /* (M) TLS name to check; NULL: host */
    struct sk_span hub_host;             /* the hub's host name: user name and tokens carry it */
    struct sk_span device_id, module_id; /* no module: empty */
    /* "leaf;edge", when somebody else's credentials are used for this identity; empty: none */
    struct sk_span auth_chain;
    struct sk_span product;  /* DeviceClientType; empty: "skerry/<version>" */
    struct sk_span model_id; /* empty: none */
    /* (M) Credentials: a key; or a source of tokens; or neither, with a client certificate in
     * `tls`. */
    struct sk_span key;             /* base64: tokens are made here */
    struct sk_span policy;          /* the key is this hub policy's */
    struct sk_token_source *tokens; /* asked before each connect; must outlive the client */
    uint32_t token_life_s;          /* 0: 3600. Renewed when three quarters of it have passed */
    uint16_t keep_alive_s;          /* (M) 0: 60 */
    unsigned in_flight_max; /* QoS 1 messages sent and not yet acknowledged; 0: 64, at most 1000 */
    size_t queue_max;       /* bytes of messages held, waiting or in flight; 0: 16 MB */
    uint32_t retry_min_ms, retry_max_ms; /* 0: 1 s, 60 s */
    unsigned subscriptions;              /* SK_SUB_…: see sk_device_client_subscribe */
    const struct sk_device_events *events;
    void *arg;
};
/* Starts connecting. */
struct sk_device_client *sk_device_client_new(struct sk_io *io,
                                              const struct sk_device_client_options *options);
/* Says goodbye to the server and ends everything that waits with SK_CLOSED, from inside this call.
 * May be called from a callback. */
void sk_device_client_free(struct sk_device_client *client);
bool sk_device_client_is_connected(const struct sk_device_client *client);
/* Whether the fall-back has worked last. */
bool sk_device_client_fell_back(const struct sk_device_client *client);

/* Another model id, said from the next connection (or link) on. */
void sk_device_client_model(struct sk_device_client *client, struct sk_span model_id);
/* Sends telemetry (at least once); the message is copied. `done` comes once: SK_OK when the
 * server has acknowledged it; by AMQP SK_REFUSED when it will never take it; SK_CLOSED. returns
 * SK_NO_SPACE (over queue_max) or SK_TOO_LARGE at once, and then `done` is not called. */
typedef void sk_sent_fn(void *arg, enum sk_status status);
enum sk_status sk_device_client_send(struct sk_device_client *client,
                                     const struct sk_message *message, sk_sent_fn *done, void *arg);
size_t
sk_device_client_waiting(const struct sk_device_client *client); /* messages not yet acknowledged */

/* Twin operations; asked again after a reconnect. `done` comes once: SK_OK with the server's status
 * (200, 204, 400 …), its body and the new version (0: none); SK_TIMEOUT after 60 s; SK_CLOSED. */
typedef void sk_twin_fn(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                        uint64_t version);
void sk_device_client_get_twin(struct sk_device_client *client, sk_twin_fn *done, void *arg);
void sk_device_client_report(struct sk_device_client *client, struct sk_span patch,
                             sk_twin_fn *done, void *arg);

/* Answers a direct method. Dropped when the connection is not there any more: the caller has been
 * told by then. */
void sk_device_client_answer(struct sk_device_client *client, struct sk_span rid, int status,
                             struct sk_span payload);
/* Settles a message; one of an earlier connection is ignored (the server sends it again). MQTT
 * knows one outcome: SK_COMPLETE and SK_REJECT are both PUBACK there, the others nothing. */
void sk_device_client_settle(struct sk_device_client *client, struct sk_delivery delivery,
                             enum sk_outcome outcome);
static inline void sk_device_client_ack(struct sk_device_client *client,
                                        struct sk_delivery delivery) {
    sk_device_client_settle(client, delivery, SK_COMPLETE);
}
/* Whether the server hears of every outcome: AMQP. */
bool sk_device_client_knows_outcomes(const struct sk_device_client *client);

/* Sets what is subscribed: SK_SUB_C2D, SK_SUB_INPUTS, SK_SUB_METHODS, SK_SUB_DESIRED (twin answers
 * always are). */
void sk_device_client_subscribe(struct sk_device_client *client, unsigned subscriptions);

#endif
