/* The device client's inside. client.c keeps what every protocol needs: the queue of messages,
 * twin operations, attempts and their back-off. How they travel is one of two protocols: MQTT on a
 * connection of its own (mqtt.c the connection, mqtt_traffic.c what goes over it), or
 * AMQP on a shared one (amqp.c, and mux.c the connection). */
#ifndef SK_DEVICE_PARTS_H
#define SK_DEVICE_PARTS_H

#include "net/amqp_connection.h"
#include "device/client.h"
#include "device/mux.h"
#include "wire/mqtt.h"

/* docs/states.md */
enum client_state {
    CLIENT_WAITING,    /* for the next attempt */
    CLIENT_TOKEN,      /* for a token */
    CLIENT_CONNECTING, /* TCP, TLS, CONNACK; or links */
    CLIENT_CONNECTED,  /* CONNACK has come; the links stand */
};

enum {
    STEP_S = 30,   /* for a token; for all that CLIENT_CONNECTING means together */
    STABLE_S = 30, /* a connection that lasted so long forgives earlier failures */
};

/* A message until it is acknowledged. */
struct outgoing {
    struct sk_list link;
    struct sk_device_client *client;
    struct sk_buffer packet; /* MQTT: the whole PUBLISH; AMQP: the encoded message */
    size_t id_at;            /* MQTT: its packet id in there */
    uint16_t id;
    bool in_flight, sent_before;
    uint64_t sent_ns;
    sk_sent_fn *done;
    void *arg;
};

/* A twin operation until its answer. */
struct twin_operation {
    struct sk_list link;
    struct sk_device_client *client;
    struct sk_timer timer;
    uint32_t rid;
    bool report, sent;
    struct sk_buffer body;
    sk_twin_fn *done;
    void *arg;
};

/* What a protocol does for a client. */
struct client_protocol {
    bool knows_outcomes; /* not only completion */
    void (*attempt)(struct sk_device_client *client);
    /* Lets go of the connection, or the links. */
    void (*drop)(struct sk_device_client *client, bool politely);
    void (*free)(struct sk_device_client *client);
    enum sk_status (*encode)(struct sk_device_client *client, const struct sk_message *message,
                             struct outgoing *to);
    bool (*writable)(struct sk_device_client *client); /* a message can go now */
    void (*transmit)(struct sk_device_client *client, struct outgoing *one);
    bool (*transmit_twin)(struct sk_device_client *client,
                          const struct twin_operation *one); /* false: not now */
    /* What is subscribed has changed to client->options.subscriptions; in any state. */
    void (*subscribe)(struct sk_device_client *client);
    void (*answer)(struct sk_device_client *client, struct sk_span rid, int status,
                   struct sk_span payload);
    void (*settle)(struct sk_device_client *client, struct sk_delivery delivery,
                   enum sk_outcome outcome);
};
extern const struct client_protocol client_mqtt, client_amqp;

/* First member of a mux. A program that never makes one is linked without AMQP, and runs without
 * its library: a module that speaks MQTT to its edge takes half a megabyte less. */
struct mux_face {
    /* The client speaks over the mux from now on. */
    void (*adopt)(struct sk_device_mux *mux, struct sk_device_client *client);
    bool (*fell_back)(const struct sk_device_mux *mux);
};

struct mqtt_part {
    struct sk_proxy proxy;                     /* when options.proxy is set */
    struct sk_span topic_device, topic_module; /* ids as they stand in topics */
    struct sk_stream *stream;
    struct sk_token_ask ask;
    bool pong_due;
    bool falls_back; /* the connection that there is, or is being made */
    struct sk_timer ping, renew;
    struct sk_buffer token;
    int64_t token_expiry_s, renew_at_us; /* wall clock */
    struct sk_buffer in;                 /* the beginning of a packet */
    struct sk_arena arena;               /* of the packet being handled */
    bool blocked;                        /* the stream is full: on_drain follows */
    bool renewing; /* nothing more goes out on this connection: it ends with the last PUBACK */
    bool session_present;
    uint16_t last_id;
    unsigned subscribed;   /* bits asked for on this connection */
    uint16_t subscribe_id; /* of the SUBSCRIBE whose SUBACK makes it ready; 0: none */
};

/* The links of an identity, in the order of attaching. */
enum amqp_port {
    PORT_TELEMETRY, /* out */
    PORT_RESULTS,   /* out: what methods answer */
    PORT_METHODS,   /* in: calls */
    PORT_TWIN,      /* out: requests */
    PORT_TWIN_IN,   /* their answers, and desired properties */
    PORT_MESSAGES,  /* in: cloud-to-device, or inputs */
    PORT_COUNT
};

struct amqp_part {
    struct sk_list link; /* in the mux */
    struct amqp_link {
        struct sk_amqp_client_link at;
        struct sk_device_client *client;
        enum amqp_port port;
    } links[PORT_COUNT];
    char guid[37];          /* pairs the links, and makes our correlation ids ours */
    struct sk_task check;   /* whether it is ready */
    struct sk_task give_up; /* the hub takes nothing for now: at the end of this turn */
    bool giving_up;
    bool notified;            /* desired properties were asked for on these links */
    struct sk_list unsettled; /* struct delivered */
    uint32_t last_delivery;
};

struct sk_device_client {
    struct sk_io *io;
    const struct client_protocol *protocol;
    struct sk_device_client_options options; /* its texts in `texts` */
    char *model_id;                          /* options.model_id points here */
    struct sk_arena texts;

    enum client_state state;
    uint32_t connection;                /* counts them */
    unsigned failures;                  /* attempts since the last connection that lasted */
    uint64_t connected_ns, progress_ns; /* the second: an acknowledgement, or nothing waited */
    bool ready;                         /* connected() was called */
    struct sk_timer timer;              /* next attempt; or the limit of the present step */

    struct sk_list outgoing; /* in the order of sending; those in flight stand before the others */
    struct sk_list *unsent;  /* the first that is not in flight, or &outgoing */
    size_t outgoing_count, outgoing_bytes;
    unsigned in_flight;
    struct sk_list twin_operations;
    uint32_t last_rid;

    union {
        struct mqtt_part mqtt;
        struct amqp_part amqp;
    };

    unsigned busy; /* callbacks under way: free waits for their end */
    bool dead;
};

/* Brackets everything that may call the user: leave() frees a client that was freed meanwhile. */
void client_enter(struct sk_device_client *client);
void client_leave(struct sk_device_client *client);
/* The user's events; members may be NULL. */
const struct sk_device_events *client_events(const struct sk_device_client *client);
/* From half of it to all: doubles with each failure from min_ms to max_ms; the last half is
 * drawn, so that many clients do not come back at once. */
uint64_t client_retry_delay(struct sk_io *io, unsigned failures, uint32_t min_ms, uint32_t max_ms);
/* Whether the next attempt goes to the fall-back: the second failure may be one of the port. The
 * way that worked last is tried first. */
static inline bool client_falls_back(uint16_t port, unsigned failures, bool worked_last) {
    bool other = failures >= 2 && failures % 2 == 0;
    return port && other != worked_last;
}
/* The connection is of no use any more: ends it and plans the next attempt, unless why.retry_ns
 * says that somebody else has. */
void client_lost(struct sk_device_client *client, struct sk_client_down why);
/* Ends what is left of a connection, without a word to the user. */
void client_end_connection(struct sk_device_client *client, bool politely);
/* Starts the limit of a step. */
void client_limit_step(struct sk_device_client *client);

/* Sends as much as the window and the protocol take. */
void client_pump(struct sk_device_client *client);
/* Whether a message is in flight for longer than that, or waits so long with nothing in flight: the
 * server takes nothing any more. */
bool client_ack_overdue(const struct sk_device_client *client, unsigned limit_s);
/* Ends a message that was in flight. */
void client_sent(struct outgoing *one, enum sk_status status);
/* Everything is subscribed: tells the user, and sends the twin operations that wait. */
void client_ready(struct sk_device_client *client, bool session_present);
/* Sends the twin operations that wait. */
void client_pump_twin(struct sk_device_client *client);
/* A number in hexadecimal digits, as our request ids are written. */
bool client_read_rid(struct sk_span text, uint32_t *rid);
/* The answer to the twin operation `rid`; an unknown one is ignored. */
void client_twin_answer(struct sk_device_client *client, uint32_t rid, unsigned code,
                        struct sk_span body, uint64_t version);

/* --- mqtt.c --- */

/* A connection that is `renewing` has nothing in flight any more. */
void mqtt_drained(struct sk_device_client *client);

/* --- mqtt_traffic.c --- */

/* After CONNACK: subscribes, and sends again what was not acknowledged. */
void mqtt_begin(struct sk_device_client *client);
/* Handles a packet other than CONNACK and PINGRESP; SK_MALFORMED: the server breaks the protocol.
 */
enum sk_status mqtt_packet(struct sk_device_client *client, const struct sk_mqtt_packet *packet);
enum sk_status mqtt_encode(struct sk_device_client *client, const struct sk_message *message,
                           struct outgoing *to);
bool mqtt_writable(struct sk_device_client *client);
void mqtt_transmit(struct sk_device_client *client, struct outgoing *one);
bool mqtt_transmit_twin(struct sk_device_client *client, const struct twin_operation *one);
void mqtt_subscribe(struct sk_device_client *client);
void mqtt_answer(struct sk_device_client *client, struct sk_span rid, int status,
                 struct sk_span payload);
void mqtt_settle(struct sk_device_client *client, struct sk_delivery delivery,
                 enum sk_outcome outcome);

/* --- mux.c: for amqp.c --- */

/* NULL: not connected. */
struct sk_amqp_connection *mux_connection(const struct sk_device_mux *mux);
struct sk_span mux_product(const struct sk_device_mux *mux);

/* --- amqp.c: for mux.c --- */

/* The shared connection is there: attaches. */
void amqp_connection_up(struct sk_device_client *client);

#endif
