/* What the edge hub's files share. Inside src/edge/hub only. */
#ifndef SK_EDGE_HUB_PARTS_H
#define SK_EDGE_HUB_PARTS_H

#include "base/summary.h"
#include "device/mux.h"
#include "net/http_client.h"
#include "edge/hub/edge_hub.h"
#include "expr/route.h"
#include "model/json_patch.h"
#include "store/log/log.h"
#include "store/registry/registry.h"

enum { SK_EDGE_WINDOW = 16, SK_EDGE_NO_PRIORITY = 10 };
#define SK_EDGE_DOCUMENTS "edge-hub" /* the kind of our own documents in the store */

/* What is measured apart for each set of labels; names and labels: measure.c. */
enum sk_edge_metric {
    SK_EDGE_RECEIVED,
    SK_EDGE_SIZE,
    SK_EDGE_SENT,
    SK_EDGE_SEND_TIME,
    SK_EDGE_PROCESS_TIME,
    SK_EDGE_DROPPED,
    SK_EDGE_UNACKED,
    SK_EDGE_TWINS,
    SK_EDGE_TWIN_TIME,
    SK_EDGE_REPORTS,
    SK_EDGE_REPORT_TIME,
    SK_EDGE_METHODS,
    SK_EDGE_METHOD_TIME,
    SK_EDGE_CONNECTS,
    SK_EDGE_CONNECTS_FAILED,
    SK_EDGE_DISCONNECTS,
    SK_EDGE_RETRIES,
    SK_EDGE_OFFLINE,
    SK_EDGE_OFFLINE_TIME,
    SK_EDGE_METRIC_COUNT
};
enum { SK_EDGE_LABELS_MAX = 5 };
struct sk_edge_metric_kind {
    const char *name, *help;
    enum { SK_EDGE_COUNTER, SK_EDGE_SECONDS, SK_EDGE_BYTES } type;
    const char *labels[SK_EDGE_LABELS_MAX];
};

/* One set of labels. Lives as long as the hub. */
struct sk_edge_series {
    struct sk_list link; /* of its metric */
    char *key;           /* a byte for the metric, and the labels, each with its end */
    uint64_t count;
    struct sk_summary *summary;     /* µs or bytes; NULL: a counter */
    struct sk_edge_series *also[2]; /* what is measured of the same things */
};
struct sk_edge_measures {
    struct sk_map series; /* by key */
    struct {
        struct sk_list list;
        size_t count;
    } of[SK_EDGE_METRIC_COUNT];
    struct sk_buffer key; /* scratch */
};

/* A route of the deployment, and where it leads. */
struct sk_edge_route {
    char *name;
    struct sk_route route;
    unsigned priority; /* 0 … 9; SK_EDGE_NO_PRIORITY: none given */
    int64_t ttl_us;    /* of its messages; < 0: for ever */
    /* Where they wait; NULL: another takes its place, as this route ends in a moment. */
    struct sk_edge_queue *queue;
};

/* Records that were handed out and not yet all acknowledged, in the order of their sequences; what
 * is done at the front is committed. */
enum sk_edge_shot_state {
    SK_SHOT_OUT,
    SK_SHOT_DONE,
    SK_SHOT_PARKED, /* put aside: it is read again when its receiver can take it */
};
struct sk_edge_shot {
    uint64_t sequence;
    union {
        uint64_t sender;  /* of one for the cloud: hash of its key */
        uint64_t lent_ns; /* of one that a call over HTTPS has: until then; 0: a session has it */
    };
    int64_t born_ns; /* when it was appended, on the monotonic clock; may be before its start */
    struct sk_edge_series *way; /* where it counts when it has arrived; NULL: not handed over */
    int64_t sent_ns;            /* handed over */
    uint32_t bytes;
    enum sk_edge_shot_state state;
};
struct sk_edge_flight {
    struct sk_edge_shot *shots;
    size_t capacity, first, count, parked;
};

/* A queue: the messages for one endpoint that have one priority and one time to live. It is a route
 * bit, a cursor and a flight over the one log. */
struct sk_edge_queue {
    struct sk_edge_endpoint *endpoint; /* NULL: the bit is free */
    struct sk_list link;               /* in endpoint->queues */
    unsigned bit, priority;
    int64_t ttl_us;
    bool used; /* by a route in force; else it waits for one, for its time to live or for a purge */
    bool leaving; /* it is not written down any more, and goes when that is durable */
    bool old;     /* a version that knew no priorities has left it: whichever route comes has it */
    struct sk_cursor *cursor, *aside; /* the second reads what is parked; NULL: not open */
    /* the first sequence that may be for it: the bit may have been another's before */
    uint64_t from;
    struct sk_edge_flight flight;
    struct sk_record next; /* read and not yet handed out, if `peeked` */
    bool peeked;
    uint8_t takes_back; /* how often records were taken back; their sequences are others' since */
    uint64_t pending;   /* messages on their way to the disk */
    uint64_t depth, bytes; /* messages that wait or are on their way; exact after the census */
    int64_t born_ns;       /* of the oldest, while depth > 0 */
};

/* What an endpoint's messages go to. */
struct sk_edge_sink {
    /* It gets messages before they are durable: rather twice than late. */
    bool early;
    /* Whether somebody is there who takes what waits. */
    bool (*live)(const struct sk_edge_endpoint *endpoint);
    /* Moves what waits as far as it goes now. */
    void (*pump)(struct sk_edge_endpoint *endpoint);
    /* What is parked in the queue is parked no more: it is given up, or comes again. Optional. */
    void (*forgets)(const struct sk_edge_queue *queue);
};

/* Where routes lead: the cloud, a module's input, a leaf device. */
struct sk_edge_endpoint {
    struct sk_edge_hub *hub;
    const struct sk_edge_sink *sink;
    char *name; /* "$upstream", "modules/<m>/inputs/<in>", "devices/<d>"; NULL: the slot is free */
    char *device; /* NULL: the cloud */
    char *module, *input;
    struct sk_list queues; /* by priority, the best first */
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
    uint64_t listed;                 /* of an edge device below: that read its own scope */
    uint64_t digest;                 /* of its entry as stored */
    struct sk_device_client *client; /* its upstream connection, opened when needed */
    bool connected;
    char *model_id; /* what it said when it connected; NULL: nothing */
    struct sk_timer idle;
    struct sk_edge_twin *twin; /* NULL: not loaded */
    struct sk_list c2d;        /* cloud-to-device messages that it has not settled */
    struct sk_list polls;      /* calls over HTTPS that wait for a message */
    uint64_t polled_ns;        /* the last of them came; 0: none has */
    bool c2d_pumping;
    int64_t connected_us, disconnected_us; /* wall clock, last; 0: not since the start */
    struct {                               /* of its messages on their way to the cloud */
        size_t count, bytes, parked;
        uint64_t progress_ns; /* when one was acknowledged last, or the first was handed over */
    } sending;
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
    struct {                         /* one that waits for bits to be free */
        json_t *desired;             /* NULL: none */
        uint64_t version, since_ns;
        struct sk_timer timer;
    } waiting;
    uint64_t version; /* of the desired properties seen last, and what became of them */
    int code;
    char text[256];
};

/* forward.c: the way of messages to the cloud. */
struct sk_edge_forward {
    char epoch[37];      /* of our store; see gateway/once.h */
    bool fresh_log;      /* the store is new */
    bool numbers;        /* the cloud is a Skerry hub: what is forwarded carries a number */
    size_t count, bytes; /* handed over and not yet acknowledged */
    struct sk_edge_endpoint *endpoint;
    struct sk_task pump;
    struct sk_timer timer; /* looks whether a sender is stuck */
};

/* queue.c */
struct sk_edge_census {
    struct sk_cursor *cursor;
    bool ended;
    uint64_t position, end; /* records below the one were counted; the others count as they come */
    uint64_t counted;       /* that is, up to here */
    struct sk_task task;
    struct sk_timer look; /* at queues that nobody reads */
};

/* room.c: of the disk. */
struct sk_edge_room {
    uint64_t limit;   /* 0: none */
    uint64_t pending; /* bytes on their way to the disk */
    /* Not before then it is tried again to make room for messages of no better priority. */
    uint64_t again_ns;
    unsigned again_least;
    bool full;
    uint64_t unsaid, say_ns; /* dropped since it was said; when it is said again */
};

/* upstream.c: the connections to the cloud. */
struct sk_edge_connections {
    const struct sk_edge_upstream_events *events;
    struct sk_device_mux *mux; /* the AMQP connection; NULL: MQTT, or nobody needs it yet */
    bool fell_back;            /* the way that worked last is the fall-back; kept over restarts */
};

/* scope.c: who may come. */
struct sk_edge_scope {
    struct sk_http_client *https;
    struct sk_timer timer;
    struct sk_token_ask token;
    struct sk_http_call *call;
    uint64_t refresh, asked_ns; /* number of the last reading, and when it began */
    char *target;               /* an auth chain: whose scope is being read; NULL: our own */
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
    json_t *closed_ports; /* array of texts; NULL: none was tried yet */
    struct sk_methods methods;
    struct sk_edge_endpoint endpoints[SK_EDGE_QUEUES_MAX];
    struct sk_edge_queue queues[SK_EDGE_QUEUES_MAX]; /* by bit */
    struct sk_edge_census census;
    struct sk_edge_room room;
    struct sk_once *once; /* of edge devices below */
    struct sk_timer remember;
    struct sk_edge_routing routing;
    struct sk_edge_forward forward;
    struct sk_edge_connections upstream;
    struct sk_edge_scope scope;
    struct {
        struct sk_list calls; /* to the cloud, for edge devices below */
    } below;
    struct {
        uint64_t deliveries; /* numbers given */
    } c2d;
    struct {
        struct sk_timer timer;
        json_t *last;
    } report;
    char instance[37]; /* names this run, in metrics */
    struct sk_edge_measures measures;
    uint64_t offline_ns; /* since when the cloud is not there; 0: it is, or has not been yet */
    struct {
        unsigned documents; /* still being read */
        struct sk_task task;
        void (*done)(struct sk_task *); /* what it does; NULL: it is done */
    } start;
    struct sk_span alias; /* our own host name */
    struct sk_x509_anchors *anchors;
    bool draining, closing;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* A part of the edge hub: the operations that it serves, and its life. What it has no word for
 * stays NULL. */
struct sk_edge_part {
    void (*serve[SK_OP_COUNT])(struct sk_edge_hub *hub, struct sk_request *request);
    void (*load)(struct sk_edge_hub *hub);  /* the stores are open: reads its documents */
    void (*start)(struct sk_edge_hub *hub); /* all documents are read */
    void (*drain)(
        struct sk_edge_hub *hub); /* the gateway closes: what waits for others is refused */
    void (*stop)(struct sk_edge_hub *hub); /* the hub closes; it may not have been loaded */
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
    edge_part_queues, edge_part_forward, edge_part_upstream, edge_part_scope, edge_part_twins,
    edge_part_c2d, edge_part_https, edge_part_methods, edge_part_report, edge_part_below,
    edge_part_settings;

static inline struct sk_edge_hub *edge_hub_of(struct sk_backend *backend) {
    return (struct sk_edge_hub *)backend;
}

/* measure.c; labels in the order of their kind */
const struct sk_edge_metric_kind *edge_metric_kind(enum sk_edge_metric metric);
void edge_measures_init(struct sk_edge_measures *measures);
void edge_measures_free(struct sk_edge_measures *measures);
struct sk_edge_series *edge_series(struct sk_edge_hub *hub, enum sk_edge_metric metric,
                                   const struct sk_span *labels);
/* The series in that place of series->also, found once. */
struct sk_edge_series *edge_series_also(struct sk_edge_hub *hub, struct sk_edge_series *series,
                                        unsigned place, enum sk_edge_metric metric,
                                        const struct sk_span *labels);
void edge_count(struct sk_edge_hub *hub, enum sk_edge_metric metric, const struct sk_span *labels);
/* Of a metric in seconds: it has taken from then till now. */
void edge_took(struct sk_edge_hub *hub, enum sk_edge_metric metric, const struct sk_span *labels,
               uint64_t since_ns);
/* A message has come; its series. And a message of that series could not be stored. */
struct sk_edge_series *edge_count_received(struct sk_edge_hub *hub,
                                           const struct sk_message *message);
void edge_count_unacked(struct sk_edge_hub *hub, const struct sk_edge_series *received);
void edge_count_dropped(struct sk_edge_hub *hub, const char *reason,
                        const struct sk_message *message);
void edge_count_dropped_record(struct sk_edge_hub *hub, const char *reason,
                               const struct sk_record *record);
const char *edge_priority_text(unsigned priority);
/* A message in flight is handed over; the receiver has acknowledged it. */
void edge_shot_leaves(struct sk_edge_queue *queue, struct sk_edge_shot *shot,
                      const struct sk_message *message);
void edge_shot_arrived(const struct sk_edge_hub *hub, const struct sk_edge_shot *shot);

/* identity.c */
struct sk_edge_identity *edge_identity_find(struct sk_edge_hub *hub, struct sk_span device,
                                            struct sk_span module);
struct sk_edge_identity *edge_identity_add(struct sk_edge_hub *hub, struct sk_span device,
                                           struct sk_span module);
/* Of what upstream and twins have taken their leave. */
void edge_identity_free(struct sk_edge_identity *identity);
/* Whether it asks for cloud-to-device messages over HTTPS, now and then. */
bool edge_identity_polls(const struct sk_edge_identity *identity);
/* "leaf;edge2;edge1": the identity and the edge devices above it, up to this one. */
void edge_identity_chain(const struct sk_edge_identity *identity, struct sk_buffer *to);
/* The edge device of our scope that is the parent of a device; NULL: we are, or nobody is known. */
const struct sk_edge_identity *edge_identity_parent(const struct sk_edge_identity *device);
/* One of the documents that `loading` counts has been read, or cannot be. */
void edge_load_ended(struct sk_edge_hub *hub);

/* ingest.c */
/* A client has reported properties: routes may take that as a message. */
void edge_ingest_twin_change(const struct sk_edge_identity *identity, struct sk_span patch);

/* flight.c */
void edge_flight_init(struct sk_edge_flight *flight, size_t capacity);
void edge_flight_free(struct sk_edge_flight *flight);
bool edge_flight_full(const struct sk_edge_flight *flight);
/* Makes room for twice as many, up to `most`; false: it has that. */
bool edge_flight_grow(struct sk_edge_flight *flight, size_t most);
void edge_flight_add(struct sk_edge_flight *flight, const struct sk_edge_shot *shot);
/* In order; i < flight->count. */
struct sk_edge_shot *edge_flight_at(const struct sk_edge_flight *flight, size_t i);
/* NULL: it is not there (any more). */
struct sk_edge_shot *edge_flight_find(const struct sk_edge_flight *flight, uint64_t sequence);
/* Those from this sequence on go. */
void edge_flight_cut(struct sk_edge_flight *flight, uint64_t from);
void edge_flight_clear(struct sk_edge_flight *flight);

/* queue.c */
/* The endpoint that leads there, made with `sink` if there is none; `device` empty: the cloud,
 * whose endpoint is always there once it is open. */
struct sk_edge_endpoint *edge_endpoint_find(struct sk_edge_hub *hub, const char *name);
struct sk_edge_endpoint *edge_endpoint_add(struct sk_edge_hub *hub, const struct sk_edge_sink *sink,
                                           struct sk_span device, struct sk_span module,
                                           struct sk_span input);
/* The name of that endpoint, into `to`. */
void edge_endpoint_name(struct sk_buffer *to, struct sk_span device, struct sk_span module,
                        struct sk_span input);
/* Opens the queue of a bit that is free. `from`: where it began, when it is known from before;
 * UINT64_MAX: it begins now. */
enum sk_status edge_queue_open(struct sk_edge_endpoint *endpoint, unsigned bit, unsigned priority,
                               int64_t ttl_us, uint64_t from);
/* Another priority and time to live for all that waits in it. */
void edge_queue_change(struct sk_edge_queue *queue, unsigned priority, int64_t ttl_us);
/* Closes a queue, if the bit has one, and forgets how far it was read: what waits is given up. The
 * endpoint goes with its last queue. */
void edge_queue_give_up(struct sk_edge_hub *hub, unsigned bit);
/* Nothing waits in it, and nothing is on its way to it. */
bool edge_queue_is_empty(const struct sk_edge_queue *queue);
/* µs that the oldest has waited; 0: nothing waits. */
int64_t edge_queue_age(const struct sk_edge_queue *queue);
/* A record with these bits goes to the disk; until edge_queues_stored() they are no other's. */
void edge_queues_expect(struct sk_edge_hub *hub, uint64_t bits);
/* It is durable, and the one with the sequence before was told, too; or it cannot be. */
void edge_queues_stored(struct sk_edge_hub *hub, uint64_t sequence, uint64_t bits, size_t bytes,
                        enum sk_status status);

/* The queue whose turn it is, with its next record in queue->next: the best priority first and,
 * among equals, the lowest sequence. NULL: nothing can be said now; the endpoint is pumped again
 * when that changes. What is too old is dropped here. */
struct sk_edge_queue *edge_endpoint_turn(struct sk_edge_endpoint *endpoint);
/* Takes queue->next into the flight, which has room; valid until the flight changes. */
struct sk_edge_shot *edge_queue_take(struct sk_edge_queue *queue);
/* The one taken last was not handed out after all: it is the next one again. Only before anything
 * else happens to the queue. */
void edge_queue_untake(struct sk_edge_queue *queue);
/* A record that was taken is done with; unknown ones are ignored. */
void edge_queue_done(struct sk_edge_queue *queue, uint64_t sequence);
/* The receiver is gone: all that is not done is handed out again. */
void edge_queue_rewind(struct sk_edge_queue *queue);
/* Parks one in flight; and reads it again (SK_NOT_FOUND: it is lost). */
void edge_queue_park(struct sk_edge_queue *queue, struct sk_edge_shot *shot);
void edge_queue_unpark(struct sk_edge_queue *queue, struct sk_edge_shot *shot);
enum sk_status edge_queue_reread(struct sk_edge_queue *queue, uint64_t sequence,
                                 struct sk_record *record);
/* Gives up all that waits; returns how many that was. */
uint64_t edge_queue_purge(struct sk_edge_queue *queue);
/* Whether a route leads there, and somebody is there who takes what waits. */
bool edge_endpoint_is_live(const struct sk_edge_endpoint *endpoint);
/* Moves what waits for an endpoint as far as it goes now; without a route it stays. */
void edge_endpoint_pump(struct sk_edge_endpoint *endpoint);

/* scope.c */
/* Asks the cloud for the scope now, or in a moment when it was asked just before. */
void edge_scope_refresh(struct sk_edge_hub *hub);
/* The backend's find_identity: an unknown identity waits for a fresh scope. */
void edge_find_identity(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                        sk_identity_done *done, void *arg);
/* And find_identity_anew: a known one, too. */
void edge_find_identity_anew(struct sk_backend *backend, struct sk_span device,
                             struct sk_span module, sk_identity_done *done, void *arg);

/* Drops the oldest message that is not on its way; returns what it took, 0: there is none. */
size_t edge_queue_drop(struct sk_edge_queue *queue);
/* No queue holds a record that its cursor has given out. */
void edge_queues_unpeek(struct sk_edge_hub *hub);

/* room.c */
/* What a deployment gives the store; 0: as much as there is. */
void edge_room_set(struct sk_edge_hub *hub, uint64_t deployment_bytes);
/* Whether a record of so many bytes may be stored for these queues; what must go for it goes. True:
 * edge_room_taken() follows when it is stored, or cannot be. */
bool edge_room_take(struct sk_edge_hub *hub, uint64_t bits, size_t bytes);
void edge_room_taken(struct sk_edge_hub *hub, size_t bytes);

/* routes.c */
/* Reads the routes of desired properties, all or none, the best priority first. False: a sentence
 * is in `why`. */
bool edge_routes_read(const json_t *desired, struct sk_edge_route **routes, size_t *count,
                      char why[256]);
/* storeAndForwardConfiguration.storeLimits.maxSizeBytes; 0: it has none. */
bool edge_store_limit_read(const json_t *desired, uint64_t *bytes, char why[256]);
void edge_routes_free(struct sk_edge_route *routes, size_t count);
/* The bits of the queues that a message goes to: of each endpoint the best that takes it. `ending`,
 * optional: whether a route takes it that has no queue any more. */
uint64_t edge_routes_match(struct sk_edge_hub *hub, const struct sk_message *message, bool *ending);
/* The same, told: docs/reference/edge-status.md. A new reference. */
json_t *edge_routes_explain(struct sk_edge_hub *hub, const struct sk_message *message);

/* routing.c */
/* Takes new desired properties of $edgeHub; a bad one changes nothing but the reported status.
 * `durable`: they come from the store and count at once; else they are written there first. */
void edge_deployment_set(struct sk_edge_hub *hub, const json_t *desired, uint64_t version,
                         bool durable);

/* endpoint.c: module inputs and leaf devices */
extern const struct sk_edge_sink edge_local_sink;
/* Whether something waits for a device (not its modules) in queues, or may wait there. */
bool edge_endpoint_holds(const struct sk_edge_identity *identity);
/* Moves it to the device's session and calls. */
void edge_endpoint_pump_identity(struct sk_edge_identity *identity);
/* Serves SK_OP_C2D_SETTLE of what a call has got of them; false: the token is not of a queue. */
bool edge_endpoint_settle_token(struct sk_edge_identity *identity, struct sk_request *request);

/* upstream.c */
/* The identity's connection to the cloud, opened if there is none. */
struct sk_device_client *edge_upstream_client(struct sk_edge_identity *identity);
/* What the identity's client at our side wants from the cloud has changed. */
void edge_upstream_wants(struct sk_edge_identity *identity);
void edge_upstream_drop(struct sk_edge_identity *identity);

/* forward.c */
enum sk_status edge_forward_open(struct sk_edge_hub *hub);
/* The sender is connected, or its messages are taken again. */
void edge_forward_resume(struct sk_edge_identity *sender);
/* Nobody takes its messages any more: those that were put aside are done with. */
void edge_forward_forget(struct sk_edge_identity *sender);
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
/* Moves what waits to the device's session and calls. */
void edge_c2d_pump(struct sk_edge_identity *identity);
/* Serves SK_OP_C2D_SETTLE of what a call has got. */
void edge_c2d_settle_token(struct sk_edge_identity *identity, struct sk_request *request);

/* poll.c */
/* Takes a call of a device that waits so long for a message. */
void edge_poll_add(struct sk_edge_identity *identity, struct sk_request *request, unsigned wait_s);
/* Until when a message is locked that the call which has waited longest gets now; 0: none waits. */
uint64_t edge_poll_lock_ns(const struct sk_edge_identity *identity);
/* Gives it the message. */
void edge_poll_answer(struct sk_edge_identity *identity, const struct sk_message *message);
/* The device has left: its calls get no message. */
void edge_polls_end(struct sk_edge_identity *identity);

/* twin.c */
void edge_twins_load(struct sk_edge_hub *hub);
void edge_twin_connected(struct sk_edge_identity *identity);
/* The cloud has told of a change to the desired properties. */
void edge_twin_desired(struct sk_edge_identity *identity);
/* Whether there are reported properties that the cloud does not have. */
bool edge_twin_unsent(const struct sk_edge_identity *identity);
void edge_twin_free(struct sk_edge_identity *identity);

/* methods.c */
/* A direct method to an identity of ours; `from`: whose call it is, for the metrics. */
void edge_method_call(struct sk_edge_hub *hub, struct sk_span from, struct sk_request *request);

/* settings.c */
/* MaxConnectedClients of a deployment; 0: it has none. */
void edge_settings_set(struct sk_edge_hub *hub, uint64_t max_clients);

/* report.c */
void edge_report_soon(struct sk_edge_hub *hub);

#endif
