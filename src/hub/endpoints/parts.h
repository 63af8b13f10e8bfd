/* Custom endpoints of routes, inside src/hub/endpoints only.
 *
 * An endpoint is a route bit and a named cursor of the hub's log. Its worker (worker.c) gathers
 * batches and hands them to its kind, one at a time; what the kind has taken is committed, in
 * order, so all that was acknowledged arrives at least once, in the order of each device. Why so:
 * docs/decisions/0029-endpoints-are-cursors.md. */
#ifndef SK_HUB_ENDPOINTS_PARTS_H
#define SK_HUB_ENDPOINTS_PARTS_H

#include "hub/parts.h"
#include "net/trust.h"

struct endpoint;

/* ---- kinds: one file each ---- */

/* What became of the batch that was sent. */
enum endpoint_end {
    ENDPOINT_SENT,    /* all of it, and what was held before, is with the peer for good */
    ENDPOINT_HELD,    /* it is gathered, not yet for good: go on, and flush some time */
    ENDPOINT_AGAIN,   /* not now: again, and what was held too */
    ENDPOINT_REFUSED, /* never so: smaller, and alone at last to the dead letters */
};

struct endpoint_kind {
    /* The configuration's values that a kind wants have their form; `why`: one sentence. */
    bool (*check)(const struct sk_hub_endpoint *options, char why[SK_CONFIG_WHY_MAX]);
    /* Makes e->state. Nothing is connected yet. `reason`: one sentence on failure. */
    enum sk_status (*open)(struct endpoint *e, char reason[512]);
    /* Sends e->batch, which lives until endpoint_ended: exactly once, maybe from inside. */
    void (*send)(struct endpoint *e);
    /* Makes good what was held; ends likewise. NULL: it holds nothing. */
    void (*flush)(struct endpoint *e);
    /* Frees the state; what is under way does not end. */
    void (*close)(struct endpoint *e);
};
extern const struct endpoint_kind endpoint_webhook, endpoint_bus, endpoint_event_hub,
    endpoint_folder, endpoint_storage, endpoint_mqtt, endpoint_mail, endpoint_postgresql;

/* ---- url.c ---- */

struct endpoint_scheme {
    const char *name; /* "amqps://"; the last has none */
    bool secure;
    uint16_t port; /* where none is said */
};
/* Decoded; `rest`: behind the '/', "" without. NULL: not said. */
struct endpoint_url {
    bool secure;
    uint16_t port;
    const char *host, *user, *password, *rest;
};
bool endpoint_url_parse(struct sk_span text, const struct endpoint_scheme *schemes,
                        struct sk_arena *arena, struct endpoint_url *url);
/* TLS as the endpoint's `ca` says; NULL where it is not secure. */
enum sk_status endpoint_trust(struct endpoint *e, bool secure, struct sk_tls **tls,
                              char reason[512]);

/* ---- an endpoint ---- */

struct endpoint_item {
    uint64_t sequence;
    int64_t wall_us;
    size_t at, n; /* of its envelope, in the batch's bytes */
};
struct endpoint_batch {
    struct sk_buffer bytes;
    struct endpoint_item *items;
    size_t count, capacity;
};

/* By Azure's names. */
enum endpoint_health {
    ENDPOINT_UNKNOWN,   /* nothing was sent since the start */
    ENDPOINT_HEALTHY,   /* it takes what comes */
    ENDPOINT_DEGRADED,  /* it takes again, and has not caught up */
    ENDPOINT_UNHEALTHY, /* it fails; what comes waits */
    ENDPOINT_DEAD,      /* it has failed for longer than messages live */
};

struct endpoint_counts {
    uint64_t delivered_total, failed_total /* attempts */, dead_total, lost_total;
};

struct endpoint {
    struct sk_list link; /* endpoints->gone */
    struct sk_hub *hub;
    const struct sk_hub_endpoint *options;
    const struct endpoint_kind *kind;
    void *state; /* the kind's */
    unsigned bit;
    struct sk_cursor *cursor;
    struct endpoint_batch batch;
    size_t limit;          /* messages of a batch: fewer after it was refused */
    bool sending, burying; /* the batch is with the kind, or on its way to the dead letters */
    bool stopped, gone;    /* for now; for good */
    bool late;             /* it is sent now, however few there are */
    uint64_t held_ns;      /* when the oldest that the kind holds was taken; 0: it holds nothing */
    uint64_t held_count;   /* messages */
    uint64_t lost;         /* by the cursor's count, told so far */
    unsigned failures;     /* in a row */
    struct sk_timer timer; /* the batch has waited, what is held has, or the next attempt is due */
    struct sk_task task;
    struct sk_log *dead; /* NULL: not needed yet */
    size_t dying;        /* records on their way there */
    bool dying_failed;
    enum endpoint_health health;
    char error[200];
    int64_t oldest_us; /* when the first that is not delivered was stored; 0: none waits */
    int64_t error_us, attempt_us, success_us; /* by the wall clock; 0: never */
    struct endpoint_counts counts;
};

struct endpoints {
    struct endpoint *list[SK_HUB_ENDPOINTS_MAX]; /* in the order of the configuration */
    size_t count;
    struct sk_list gone; /* freed with the hub, as their dead letters may be on their way */
    json_t *bits;        /* see bits.c */
};

/* The message of an item; spans live as long as the batch, the properties as the arena. */
enum sk_status endpoint_message(const struct endpoint *e, size_t i, struct sk_arena *arena,
                                struct sk_message *message);

/* By the kind, see struct endpoint_kind. `done`: so many messages at the batch's front have been
 * taken for good, whatever became of the others (with ENDPOINT_SENT: all). `why`: a sentence where
 * it failed. */
void endpoint_ended(struct endpoint *e, enum endpoint_end end, size_t done, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- worker.c ---- */
void endpoint_pump(struct endpoint *e);
void endpoint_readable(void *endpoint); /* of its cursor */
/* Nothing of it goes on but what is on its way to the dead letters. */
void endpoint_stop(struct endpoint *e);
/* After endpoint_stop: all that is not committed comes again. */
void endpoint_restart(struct endpoint *e);

/* ---- dead.c: messages that could not be delivered, a log of their own for each endpoint ---- */

/* Appends items of the batch; endpoint_buried follows once, maybe from inside, when all are durable
 * or not all can be. */
void endpoint_bury(struct endpoint *e, size_t from, size_t count, const char *reason);
void endpoint_buried(struct endpoint *e, enum sk_status status); /* worker.c: it has ended */
enum sk_status endpoint_dead_open(struct endpoint *e);
/* Answers with those behind a place. */
void endpoint_dead_list(struct endpoint *e, struct sk_request *request);

/* ---- bits.c ---- */

enum sk_status endpoint_bits_load(struct sk_hub *hub, char reason[512]);
/* Gives each endpoint of `options` a bit that has none, durably; or nothing is changed. */
enum sk_status endpoint_bits_take(struct sk_hub *hub, const struct sk_hub_options *options);
/* Those that are not configured lose theirs, and what waited for them. Their cursors are closed. */
void endpoint_bits_forget(struct sk_hub *hub);
/* `from`: where the endpoint begins in the log. */
unsigned endpoint_bit(const struct sk_hub *hub, const char *name, uint64_t *from);
void endpoint_cursor_name(const char *endpoint, unsigned bit, char to[128]);

#endif
