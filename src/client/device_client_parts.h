/* The device client's inside, shared by its two halves: device_client.c keeps the connection,
 * device_traffic.c what goes over it. */
#ifndef SK_CLIENT_DEVICE_CLIENT_PARTS_H
#define SK_CLIENT_DEVICE_CLIENT_PARTS_H

#include "client/device_client.h"
#include "client/tunnel.h"
#include "wire/mqtt.h"

enum client_state {
    CLIENT_WAITING,    /* for the next attempt */
    CLIENT_TOKEN,      /* for a token */
    CLIENT_CONNECTING, /* TCP, TLS, CONNACK */
    CLIENT_CONNECTED,  /* CONNACK has come */
};

/* A QoS 1 message until its PUBACK. */
struct outgoing {
    struct sk_list link;
    struct sk_buffer packet; /* the whole PUBLISH */
    size_t id_at;            /* its packet id in there */
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
    bool report;
    struct sk_buffer body;
    sk_twin_fn *done;
    void *arg;
};

struct sk_device_client {
    struct sk_io *io;
    struct sk_device_client_options options; /* its texts in `texts` */
    struct sk_proxy proxy;                   /* when options.proxy is set */
    struct sk_arena texts;
    struct sk_span topic_device, topic_module; /* ids as they stand in topics */

    enum client_state state;
    struct sk_stream *stream;
    uint32_t connection; /* counts them */
    unsigned failures;   /* attempts since the last connection that lasted */
    uint64_t connected_ns;
    bool session_present;
    bool ready;  /* subscriptions are acknowledged: connected() was called */
    bool asking; /* get_token was called and not answered */
    bool pong_due;
    struct sk_timer timer; /* next attempt; or the limit of the present step */
    struct sk_timer ping, renew;
    struct sk_buffer token;
    int64_t token_expiry_s;

    struct sk_buffer in;   /* the beginning of a packet */
    struct sk_arena arena; /* of the packet being handled */

    struct sk_list outgoing; /* in the order of sending; those in flight stand before the others */
    struct sk_list *unsent;  /* the first that is not in flight, or &outgoing */
    bool blocked;            /* the stream is full: on_drain follows */
    size_t outgoing_count, outgoing_bytes;
    unsigned in_flight;
    bool renewing; /* nothing more goes out on this connection: it ends with the last PUBACK */
    uint16_t last_id;
    struct sk_list twin_operations;
    uint32_t last_rid;
    unsigned subscribed;   /* bits asked for on this connection */
    uint16_t subscribe_id; /* of the SUBSCRIBE whose SUBACK makes it ready; 0: none */

    unsigned busy; /* callbacks under way: free waits for their end */
    bool dead;
};

/* Brackets everything that may call the user: leave() frees a client that was freed meanwhile. */
void client_enter(struct sk_device_client *client);
void client_leave(struct sk_device_client *client);
/* The connection is of no use any more: closes it and plans the next attempt. */
void client_lost(struct sk_device_client *client, enum sk_status reason, uint8_t connack);

/* A connection that is `renewing` has nothing in flight any more. */
void client_drained(struct sk_device_client *client);

/* --- device_traffic.c --- */

/* After CONNACK: subscribes, and sends again what was not acknowledged. */
void traffic_begin(struct sk_device_client *client);
/* The connection is gone: nothing is in flight any more. */
void traffic_interrupted(struct sk_device_client *client);
/* Handles a packet other than CONNACK and PINGRESP; SK_MALFORMED: the server breaks the protocol.
 */
enum sk_status traffic_packet(struct sk_device_client *client, const struct sk_mqtt_packet *packet);
/* Sends as much as the window and the stream take. */
void traffic_pump(struct sk_device_client *client);
/* Ends everything that waits with SK_CLOSED. */
void traffic_end(struct sk_device_client *client);

#endif
