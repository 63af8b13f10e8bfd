/* What the edge hub's files share. Inside src/edge/hub only. */
#ifndef SK_EDGE_HUB_PARTS_H
#define SK_EDGE_HUB_PARTS_H

#include "device/mux.h"
#include "net/http_client.h"
#include "edge/hub/edge_hub.h"
#include "expr/route.h"
#include "model/json_patch.h"
#include "store/log/log.h"
#include "store/registry/registry.h"

enum { SK_EDGE_WINDOW = 16, SK_EDGE_UPSTREAM_WINDOW = 256 };
#define SK_EDGE_UPSTREAM_BIT 63
#define SK_EDGE_DOCUMENTS "edge-hub" /* the kind of our own documents in the store */

/* A route of the deployment, and where it leads. */
struct sk_edge_route {
    char *name;
    struct sk_route route;
    uint64_t bit;      /* 1 << endpoint, or 1 << SK_EDGE_UPSTREAM_BIT */
    unsigned priority; /* 0 … 9; 10: none given */
    int64_t ttl_us;    /* of its messages; < 0: for ever */
};

/* Records that were handed out and not yet all acknowledged, in order; what is done at the front is
 * committed. */
struct sk_edge_flight {
    struct sk_edge_shot {
        uint64_t sequence;
        bool done;
    } * shots;
    size_t capacity, first, count;
};

/* The queue of a module's input: a cursor, and what is on its way to the module. */
struct sk_edge_endpoint {
    struct sk_edge_hub *hub;
    unsigned bit;
    char *name; /* "modules/<m>/inputs/<in>"; NULL: the slot is free */
    char *module, *input;
    struct sk_cursor *cursor;
    /* the first sequence that may be for it: the slot may have been another's before */
    uint64_t from;
    struct sk_edge_flight flight;
    int64_t ttl_us;
    bool pumping;
};

/* An identity of this edge device's scope that we know, and its way to the cloud. */
struct sk_edge_identity {
    struct sk_edge_hub *hub;
    char *key; /* "device" or "device/module" */
    struct sk_identity identity;
    /* the scope (or our copy of it) has it; false: only $edgeHub itself before the first answer */
    bool known;
    uint64_t refresh;                /* number of the scope refresh that saw it last */
    uint64_t digest;                 /* of its entry as stored */
    struct sk_device_client *client; /* its upstream connection, opened when needed */
    bool connected;
    char *model_id; /* what it said when it connected; NULL: nothing */
    struct sk_timer idle;
    struct sk_edge_twin *twin; /* NULL: not loaded */
    struct sk_list c2d;        /* cloud-to-device messages that it has not settled */
    bool c2d_pumping;
};

/* What the connections to the cloud tell those above them. */
struct sk_edge_upstream_events {
    void (*connected)(struct sk_edge_identity *identity);
    void (*refused)(struct sk_edge_identity *identity);
    void (*desired)(struct sk_edge_identity *identity); /* they have changed there */
    /* Whether there are reported properties that the cloud does not have. */
    bool (*unsent)(const struct sk_edge_identity *identity);
    void (*refresh)(struct sk_edge_hub *hub); /* somebody asks to read the scope anew */
};

/* routing.c: the deployment, and the routes in force. */
struct sk_edge_routing {
    struct sk_edge_route *routes;
    size_t count;
    bool deployed;                   /* routes were set once; they may be none */
    struct sk_edge_deployment *next; /* being written; its routes count once that is durable */
    struct sk_timer timer;           /* writes it again */
    uint64_t version; /* of the desired properties seen last, and what became of them */
    int code;
    char text[256];
};

/* forward.c: the queue to the cloud. */
struct sk_edge_forward {
    char epoch[37]; /* of our store; see hub/events/once.h */
    bool fresh_log; /* the store is new */
    bool numbers;   /* the cloud is a Skerry hub: what is forwarded carries a number */
    struct sk_cursor *cursor;
    struct sk_edge_flight flight;
    struct sk_task pump;
    int64_t ttl_us; /* of the routes to $upstream; < 0: for ever */
};

/* upstream.c: the connections to the cloud. */
struct sk_edge_connections {
    const struct sk_edge_upstream_events *events;
    struct sk_device_mux *mux; /* the AMQP connection; NULL: MQTT, or nobody needs it yet */
};

/* scope.c: who may come. */
struct sk_edge_scope {
    struct sk_http_client *https;
    struct sk_timer timer;
    struct sk_token_ask token;
    struct sk_http_call *call;
    uint64_t refresh, asked_ns; /* number of the last reading, and when it began */
    char *continuation;
    uint32_t pause_ms; /* before clients cause another reading; 0: the last one brought something */
    bool running;
    bool changed;           /* it has brought something new */
    bool known;             /* read from the cloud as a whole since we are connected */
    struct sk_list waiting; /* look-ups that wait for the scope */
    size_t waiting_count;
};

struct sk_edge_hub {
    struct sk_backend backend; /* first: the gateway's view */
    void (*serve[SK_OP_COUNT])(struct sk_edge_hub *hub, struct sk_request *request);
    const struct sk_edge_hub_options *options;
    struct sk_registry *store; /* documents: scope, twins, deployment, sessions */
    struct sk_log *log;
    struct sk_map identities;      /* key → struct sk_edge_identity */
    struct sk_edge_identity *self; /* $edgeHub */
    struct sk_arena arena;
    struct sk_buffer scratch;
    struct sk_edge_hub_counts counts;
    struct sk_methods methods;
    struct sk_edge_endpoint inputs[SK_EDGE_ENDPOINTS_MAX];
    struct sk_edge_routing routing;
    struct sk_edge_forward forward;
    struct sk_edge_connections upstream;
    struct sk_edge_scope scope;
    struct {
        uint64_t deliveries; /* numbers given */
    } c2d;
    struct {
        struct sk_timer timer;
        json_t *last;
    } report;
    struct {
        unsigned documents; /* still being read */
        struct sk_task task;
        void (*done)(struct sk_task *); /* what it does; NULL: it is done */
    } start;
    struct sk_span alias; /* our own host name */
    struct sk_x509_anchors *anchors;
    bool closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A part of the edge hub: the operations that it serves, and its life. What it has no word for
 * stays NULL. */
struct sk_edge_part {
    void (*serve[SK_OP_COUNT])(struct sk_edge_hub *hub, struct sk_request *request);
    void (*load)(struct sk_edge_hub *hub);  /* the stores are open: reads its documents */
    void (*start)(struct sk_edge_hub *hub); /* all documents are read */
    void (*stop)(struct sk_edge_hub *hub);  /* the hub closes; it may not have been loaded */
    /* A session has come, wants other things than before, has room again, is gone. `identity`:
     * whose it is; NULL: it has left the scope. */
    void (*opened)(struct sk_edge_hub *hub, struct sk_session *session,
                   struct sk_edge_identity *identity);
    void (*subscribed)(struct sk_edge_hub *hub, struct sk_session *session,
                       struct sk_edge_identity *identity);
    void (*writable)(struct sk_edge_hub *hub, struct sk_session *session,
                     struct sk_edge_identity *identity);
    void (*closed)(struct sk_edge_hub *hub, struct sk_session *session,
                   struct sk_edge_identity *identity);
};
extern const struct sk_edge_part edge_part_ingest, edge_part_inputs, edge_part_routing,
    edge_part_forward, edge_part_upstream, edge_part_scope, edge_part_twins, edge_part_c2d,
    edge_part_methods, edge_part_report;

static inline struct sk_edge_hub *edge_hub_of(struct sk_backend *backend) {
    return (struct sk_edge_hub *)backend;
}

/* identity.c */
struct sk_edge_identity *edge_identity_find(struct sk_edge_hub *hub, struct sk_span device,
                                            struct sk_span module);
struct sk_edge_identity *edge_identity_add(struct sk_edge_hub *hub, struct sk_span device,
                                           struct sk_span module);
/* Of what upstream and twins have taken their leave. */
void edge_identity_free(struct sk_edge_identity *identity);
/* One of the documents that `loading` counts has been read, or cannot be. */
void edge_load_ended(struct sk_edge_hub *hub);

/* flight.c */
void edge_flight_init(struct sk_edge_flight *flight, size_t capacity);
void edge_flight_free(struct sk_edge_flight *flight);
bool edge_flight_full(const struct sk_edge_flight *flight);
void edge_flight_add(struct sk_edge_flight *flight, uint64_t sequence);
/* Marks a record; returns the sequence below which all are done, or 0 when the front has not moved.
 * Unknown ones are ignored. */
uint64_t edge_flight_done(struct sk_edge_flight *flight, uint64_t sequence);
void edge_flight_clear(struct sk_edge_flight *flight);

/* scope.c */
/* Asks the cloud for the scope now, or in a moment when it was asked just before. */
void edge_scope_refresh(struct sk_edge_hub *hub);
/* The backend's find_identity: an unknown identity waits for a fresh scope. */
void edge_find_identity(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                        sk_identity_done *done, void *arg);
/* And find_identity_anew: a known one, too. */
void edge_find_identity_anew(struct sk_backend *backend, struct sk_span device,
                             struct sk_span module, sk_identity_done *done, void *arg);

/* routing.c */
/* Takes new desired properties of $edgeHub; a bad one changes nothing but the reported status.
 * `durable`: they come from the store and count at once; else they are written there first. */
void edge_deployment_set(struct sk_edge_hub *hub, const json_t *desired, uint64_t version,
                         bool durable);

/* endpoint.c */
/* Opens slot `bit` for an input. `from`: where it began, when it is known from before;
 * UINT64_MAX: it begins now. */
enum sk_status edge_endpoint_open(struct sk_edge_hub *hub, unsigned bit, struct sk_span module,
                                  struct sk_span input, uint64_t from);
void edge_endpoint_close(struct sk_edge_endpoint *endpoint);
/* Closes slot `bit`, if it is open, and forgets how far its queue was read: what waits is given
 * up. */
void edge_endpoint_forget(struct sk_edge_hub *hub, unsigned bit);
void edge_endpoints_pump(struct sk_edge_hub *hub, struct sk_span module);

/* upstream.c */
/* The identity's connection to the cloud, opened if there is none. */
struct sk_device_client *edge_upstream_client(struct sk_edge_identity *identity);
/* What the identity's client at our side wants from the cloud has changed. */
void edge_upstream_wants(struct sk_edge_identity *identity);
void edge_upstream_drop(struct sk_edge_identity *identity);

/* forward.c */
enum sk_status edge_forward_open(struct sk_edge_hub *hub);
/* There may be something that can go out. */
void edge_forward_soon(struct sk_edge_hub *hub);
/* Whether the cloud takes numbers, as its answers tell. */
void edge_numbers_set(struct sk_edge_hub *hub, bool numbers);
/* The whole scope has been read: a sender that is not in it has left it. */
void edge_forward_scope_known(struct sk_edge_hub *hub);

/* c2d.c */
void edge_c2d_take(struct sk_edge_identity *identity, const struct sk_message *message,
                   struct sk_delivery delivery);
/* Serves SK_OP_SETTLE of a device. */
void edge_c2d_settle(struct sk_edge_hub *hub, struct sk_request *request);
/* The connection that brought them is gone: the cloud sends them again. */
void edge_c2d_drop(struct sk_edge_identity *identity);

/* twin.c */
void edge_twins_load(struct sk_edge_hub *hub);
void edge_twin_connected(struct sk_edge_identity *identity);
/* The cloud has told of a change to the desired properties. */
void edge_twin_desired(struct sk_edge_identity *identity);
/* Whether there are reported properties that the cloud does not have. */
bool edge_twin_unsent(const struct sk_edge_identity *identity);
void edge_twin_free(struct sk_edge_identity *identity);

/* report.c */
void edge_report_soon(struct sk_edge_hub *hub);

#endif
