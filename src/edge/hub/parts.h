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
    uint64_t
        from; /* the first sequence that may be for it: the slot may have been another's before */
    struct sk_edge_flight flight;
    int64_t ttl_us;
    bool pumping;
};

/* An identity of this edge device's scope that we know, and its way to the cloud. */
struct sk_edge_identity {
    struct sk_edge_hub *hub;
    char *key; /* "device" or "device/module" */
    struct sk_identity identity;
    bool
        known; /* the scope (or our copy of it) has it; false: only $edgeHub itself before the first answer */
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

struct sk_edge_hub {
    struct sk_backend backend; /* first: the gateway's view */
    const struct sk_edge_hub_options *options;
    struct sk_registry *store; /* documents: scope, twins, deployment, sessions */
    struct sk_log *log;
    struct sk_methods methods;
    struct sk_map identities; /* key → struct sk_edge_identity */
    struct sk_arena arena;
    struct sk_buffer scratch;
    struct sk_edge_hub_counts counts;
    /* routing */
    struct sk_edge_route *routes;
    size_t route_count;
    struct sk_edge_deployment *next; /* being written; its routes count once that is durable */
    struct sk_timer deployment_timer;
    bool deployed; /* routes were set once; they may be none */
    struct sk_edge_endpoint endpoints[SK_EDGE_ENDPOINTS_MAX];
    int64_t upstream_ttl_us;
    /* upstream */
    char epoch[37]; /* of our store; see hub/events/once.h */
    bool numbers;   /* the cloud is a Skerry hub: what is forwarded carries a number */
    const struct sk_edge_upstream_events *upstream_events;
    struct sk_cursor *upstream;
    struct sk_edge_flight upstream_flight;
    struct sk_task upstream_pump;
    struct sk_edge_identity *self; /* $edgeHub */
    struct sk_device_mux *mux;     /* the AMQP connection; NULL: MQTT, or nobody needs it yet */
    uint64_t c2d_deliveries;       /* numbers given */
    /* scope */
    struct sk_http_client *https;
    struct sk_timer scope_timer;
    struct sk_token_ask scope_token;
    struct sk_http_call *scope_call;
    uint64_t scope_refresh, scope_asked_ns;
    char *scope_continuation;
    bool scope_running;
    bool scope_known;       /* read from the cloud as a whole since we are connected */
    struct sk_list waiting; /* look-ups that wait for the scope */
    size_t waiting_count;
    /* reporting */
    struct sk_timer report_timer;
    uint64_t desired_version;
    int deployment_code;
    char deployment_text[256];
    json_t *reported;
    bool closing;
    bool fresh_log;
    unsigned loading; /* documents that are still being read at the start */
    struct sk_task loaded_task;
    void (*loaded)(struct sk_task *); /* what it does; NULL: it is done */
    struct sk_span alias;             /* our own host name */
    struct sk_x509_anchors *anchors;
    void (*closed)(void *arg);
    void *closed_arg;
};

static inline struct sk_edge_hub *sk_edge_hub_of(struct sk_backend *backend) {
    return (struct sk_edge_hub *)backend;
}

/* identity.c */
struct sk_edge_identity *sk_edge_identity_find(struct sk_edge_hub *hub, struct sk_span device,
                                               struct sk_span module);
struct sk_edge_identity *sk_edge_identity_add(struct sk_edge_hub *hub, struct sk_span device,
                                              struct sk_span module);
/* Of what upstream and twins have taken their leave. */
void sk_edge_identity_free(struct sk_edge_identity *identity);
/* One of the documents that `loading` counts has been read, or cannot be. */
void sk_edge_load_ended(struct sk_edge_hub *hub);

/* flight.c */
void sk_edge_flight_init(struct sk_edge_flight *flight, size_t capacity);
void sk_edge_flight_free(struct sk_edge_flight *flight);
bool sk_edge_flight_full(const struct sk_edge_flight *flight);
void sk_edge_flight_add(struct sk_edge_flight *flight, uint64_t sequence);
/* Marks a record; returns the sequence below which all are done, or 0 when the front has not moved.
 * Unknown ones are ignored. */
uint64_t sk_edge_flight_done(struct sk_edge_flight *flight, uint64_t sequence);
void sk_edge_flight_clear(struct sk_edge_flight *flight);

/* scope.c */
void sk_edge_scope_load(struct sk_edge_hub *hub);
void sk_edge_scope_start(struct sk_edge_hub *hub);
/* Asks the cloud for the scope now, or in a moment when it was asked just before. */
void sk_edge_scope_refresh(struct sk_edge_hub *hub);
/* The backend's find_identity: an unknown identity waits for a fresh scope. */
void sk_edge_find_identity(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                           sk_identity_done *done, void *arg);
/* And find_identity_anew: a known one, too. */
void sk_edge_find_identity_anew(struct sk_backend *backend, struct sk_span device,
                                struct sk_span module, sk_identity_done *done, void *arg);
void sk_edge_forget_waiting(struct sk_edge_hub *hub); /* answers them all */
void sk_edge_scope_free(struct sk_edge_hub *hub);

/* routing.c */
void sk_edge_routing_load(struct sk_edge_hub *hub);
/* Takes new desired properties of $edgeHub; a bad one changes nothing but the reported status.
 * `durable`: they come from the store and count at once; else they are written there first. */
void sk_edge_deployment_set(struct sk_edge_hub *hub, const json_t *desired, uint64_t version,
                            bool durable);
void sk_edge_ingest(struct sk_edge_hub *hub, struct sk_request *request);
void sk_edge_routing_free(struct sk_edge_hub *hub);

/* Whether the cloud takes numbers, as its answers tell. */
void sk_edge_numbers_set(struct sk_edge_hub *hub, bool numbers);

/* endpoint.c */
/* Opens slot `bit` for an input. `from`: where it began, when it is known from before; UINT64_MAX: it
 * begins now. */
enum sk_status sk_edge_endpoint_open(struct sk_edge_hub *hub, unsigned bit, struct sk_span module,
                                     struct sk_span input, uint64_t from);
void sk_edge_endpoint_close(struct sk_edge_endpoint *endpoint);
/* Closes slot `bit`, if it is open, and forgets how far its queue was read: what waits is given up. */
void sk_edge_endpoint_forget(struct sk_edge_hub *hub, unsigned bit);
void sk_edge_endpoints_pump(struct sk_edge_hub *hub, struct sk_span module);
void sk_edge_endpoints_offline(struct sk_edge_hub *hub, struct sk_span module);
void sk_edge_settle(struct sk_edge_hub *hub, struct sk_request *request);

/* upstream.c */
void sk_edge_upstream_close(struct sk_edge_hub *hub);
/* The identity's connection to the cloud, opened if there is none. */
struct sk_device_client *sk_edge_upstream_client(struct sk_edge_identity *identity);
/* What the identity's client at our side wants from the cloud has changed. */
void sk_edge_upstream_wants(struct sk_edge_identity *identity);
void sk_edge_upstream_drop(struct sk_edge_identity *identity);

/* forward.c */
enum sk_status sk_edge_forward_open(struct sk_edge_hub *hub);
void sk_edge_forward_close(struct sk_edge_hub *hub);
/* There may be something that can go out. */
void sk_edge_forward_soon(struct sk_edge_hub *hub);
/* The whole scope has been read: a sender that is not in it has left it. */
void sk_edge_forward_scope_known(struct sk_edge_hub *hub);

/* c2d.c */
void sk_edge_c2d_take(struct sk_edge_identity *identity, const struct sk_message *message,
                      struct sk_delivery delivery);
/* Gives the leaf what it has room for. */
void sk_edge_c2d_pump(struct sk_edge_identity *identity);
/* Serves SK_OP_SETTLE of a device. */
void sk_edge_c2d_settle(struct sk_edge_hub *hub, struct sk_request *request);
void sk_edge_c2d_offline(struct sk_edge_identity *identity, const struct sk_session *session);
/* The connection that brought them is gone: the cloud sends them again. */
void sk_edge_c2d_drop(struct sk_edge_identity *identity);

/* twin.c */
void sk_edge_twins_load(struct sk_edge_hub *hub);
void sk_edge_twin_get(struct sk_edge_hub *hub, struct sk_request *request);
void sk_edge_twin_report(struct sk_edge_hub *hub, struct sk_request *request);
void sk_edge_twin_connected(struct sk_edge_identity *identity);
/* The cloud has told of a change to the desired properties. */
void sk_edge_twin_desired(struct sk_edge_identity *identity);
/* Whether there are reported properties that the cloud does not have. */
bool sk_edge_twin_unsent(const struct sk_edge_identity *identity);
void sk_edge_twin_free(struct sk_edge_identity *identity);

/* report.c */
void sk_edge_report_soon(struct sk_edge_hub *hub);

#endif
