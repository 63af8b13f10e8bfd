/* What the hub's files share. Inside src/hub only. */
#ifndef SK_HUB_PARTS_H
#define SK_HUB_PARTS_H

#include "expr/query.h"
#include "hub/hub.h"
#include "model/events.h"
#include "store/log/log.h"
#include "store/registry/registry.h"

struct blobs;
struct transfers;
struct configurations;
struct endpoints;
struct files;
struct insights;
struct jobs;
struct live;
struct rules;
struct series;
struct simulations;
struct sk_once;
struct sk_partitions;

/* Cloud-to-device messages: see c2d/c2d.h. */
struct sk_hub_c2d {
    struct sk_map queues; /* device → struct queue */
    struct sk_timer sweep;
    int64_t sweep_us;    /* by the wall clock */
    uint64_t deliveries; /* numbers given */
};

/* outbox.c: what is told to services as messages, each to one of the receivers. */
struct outbox_settings {
    int64_t ttl_us, lock_us;
    unsigned deliveries_max;
};
struct outbox_kind {
    enum sk_registry_topic topic;
    unsigned gather_s;
    size_t batch_max; /* records of one message, whose body is an array of them; 1: it is one */
    struct sk_span content_type;
    void (*put)(struct sk_buffer *to, const struct sk_feedback_record *record);
    struct outbox_settings (*settings)(const struct sk_hub *hub);
};
struct outbox {
    struct sk_hub *hub;
    const struct outbox_kind *kind;
    struct sk_list batches;     /* locked ones, by their first record */
    struct sk_list sources;     /* who receives; the one who got something last at the end */
    struct sk_list settlements; /* on their way to the registry */
    uint64_t closed, newest;    /* records: the last that may go out, the last that there is */
    uint64_t gathering;         /* how many lie between them */
    uint64_t read_after;        /* the place of the reading that is under way */
    bool reading, started;
    uint64_t deliveries; /* numbers given */
    struct sk_timer gather, expire;
};
void outbox_open(struct outbox *box, struct sk_hub *hub, const struct outbox_kind *kind);
void outbox_close(struct outbox *box); /* the registry is closed */
/* So many records were made; the newest of them. */
void outbox_added(struct outbox *box, uint64_t count, uint64_t newest);
/* Serve SK_OP_…_SUBSCRIBE, _RECEIVE and _SETTLE. */
void outbox_subscribe(struct outbox *box, struct sk_request *request);
void outbox_receive(struct outbox *box, struct sk_request *request);
void outbox_settle(struct outbox *box, struct sk_request *request);

struct sk_hub {
    struct sk_backend backend; /* first: the gateway's view */
    void (*serve[SK_OP_COUNT])(struct sk_hub *hub, struct sk_request *request);
    const struct sk_hub_options *options;
    struct sk_registry *registry;
    struct sk_log *log;
    struct sk_once *once;
    struct sk_partitions *partitions;
    struct sk_timer remember; /* saves what `once` and `partitions` know */
    struct sk_list receivers; /* of the event stream: see events/events.c */
    struct sk_methods methods;
    struct sk_policy *policies;
    struct sk_ip_filter ip_filter;
    struct hub_tracing *tracing; /* NULL: nothing is traced */
    struct record_file *records; /* NULL: none are written */
    struct sk_list histories;    /* of connections: see diagnose.c */
    struct sk_map history_map;
    struct sk_timer quota_save;
    uint64_t quota_saved;            /* messages of the day, as they were stored last */
    size_t devices_coming;           /* that are being made */
    struct sk_expr **conditions;     /* by route; NULL: always */
    struct sk_expr_memo *route_memo; /* what they read of one message */
    size_t route_memo_count;
    struct hub_route_set {           /* the enabled routes of a source: see events/routing.c */
        uint64_t always;             /* where those without a condition lead to */
        struct sk_expr_table *table; /* most of the others */
        size_t *rest, rest_count;    /* those that are looked at one by one */
    } route_sets[SK_SOURCE_COUNT];
    bool routes_need_twin[SK_SOURCE_COUNT]; /* of the sender */
    /* Of each endpoint its bit in the log; of each route and enrichment those of its endpoints,
     * with HUB_TO_EVENTS among them. */
    uint64_t endpoint_bits[SK_HUB_ENDPOINTS_MAX], enrichment_bits[SK_HUB_ENRICHMENTS_MAX];
    uint64_t route_bits[SK_HUB_ROUTES_MAX];
    unsigned inside_readers; /* see HUB_TO_INSIDE */
    struct sk_span *aliases;
    struct sk_map presence;   /* "device[/module]" → struct presence */
    struct sk_buffer scratch; /* envelope heads */
    struct sk_arena arena;    /* one evaluation */
    struct sk_hub_counts counts;
    struct sk_hub_c2d c2d;
    struct outbox feedback, file_notices;
    struct sk_list certificates; /* CAs: see registry/certificates.c */
    struct sk_x509_anchors *anchors;
    struct endpoints *endpoints;            /* see endpoints/parts.h */
    struct configurations *configurations;  /* see configurations/parts.h */
    struct jobs *jobs;                      /* see jobs/parts.h */
    struct blobs *blobs;                    /* see blobs/parts.h */
    struct transfers *transfers;            /* see transfers/parts.h */
    struct files *files;                    /* see files/files.c */
    struct rules *rules;                    /* see rules/parts.h */
    struct series *series;                  /* see series/parts.h */
    struct live *live;                      /* NULL: nobody watches. See events/live.c */
    struct insights *insights;              /* see insights/parts.h */
    struct simulations *simulations;        /* see simulations/parts.h */
    const struct sk_hub_part *const *parts; /* what it is made of */
    size_t part_count;
    size_t opened; /* parts */
    bool closing;
    /* hub.c's: opens a log beside the hub's own, of at most so many bytes; and closes it, which the
     * hub's end waits for. */
    enum sk_status (*open_log)(struct sk_hub *hub, const char *folder, uint64_t bytes,
                               struct sk_log **log);
    void (*close_log)(struct sk_hub *hub, struct sk_log *log);
    /* hub.c's: what a metric of counts is now. */
    uint64_t (*number)(struct sk_hub *hub, const struct sk_hub_metric *row);
    sk_hub_write *write; /* changes hub.toml; NULL: nobody can */
    void *write_arg;
    /* That are still to be closed, each of which then calls this, which is hub.c's. */
    unsigned stores;
    void (*store_closed)(void *hub);
    void (*closed)(void *arg);
    void *closed_arg;
};

static inline struct sk_hub *hub_of(struct sk_backend *backend) {
    return (struct sk_hub *)backend;
}

/* A consumer group's name as hub.toml has it, "$Default" among them; NULL: there is none. */
static inline const char *hub_consumer_group(const struct sk_hub *hub, struct sk_span name) {
    const struct sk_hub_options *options = hub->options;
    for (size_t i = 0; i < options->consumer_group_count; i++)
        if (sk_span_eq_nocase(name, sk_span_z(options->consumer_groups[i])))
            return options->consumer_groups[i];
    return sk_span_eq_nocase(name, SK_SPAN("$Default")) ? "$Default" : NULL;
}

/* answer.c: refuses with what the end of a call to the registry means. */
void hub_refuse_status(struct sk_request *request, const struct sk_registry_end *end);
enum sk_fault hub_fault_of(const struct sk_request *request, const struct sk_registry_end *end);
/* changed.c: an identity or a twin was made, changed or removed: tells every part. */
void hub_changed(struct sk_hub *hub);
typedef void hub_emitted(void *arg, bool fine);
/* How a twin was changed: `desired` is what its client hears of it, the others are the patches;
 * NULL: a section that was not. */
struct sk_hub_twin_change {
    const struct sk_registry_entry *entry; /* as it is now */
    const json_t *tags, *reported, *desired;
    bool replaced;
};
/* changed.c: tells the twin's client, and every part; an identity was made or deleted. */
void hub_twin_changed(struct sk_hub *hub, const struct sk_hub_twin_change *change);
void hub_identity_changed(struct sk_hub *hub, const struct sk_identity *identity, bool made);
/* A list that is answered: text from the start, so that a turn has to write only what it has
 * read. */
struct sk_hub_list {
    struct sk_buffer text;
    size_t count;
};
void hub_list_add(struct sk_hub_list *list, const json_t *item);
/* Answers with it and `more` (its text is set here), then frees it. */
void hub_list_answer(struct sk_hub_list *list, struct sk_request *request, struct sk_answer *more);
/* registry/identities.c: an identity was made or changed; one and its modules are gone: ends what
 * is not right any more, and tells every part. */
void hub_identity_stored(struct sk_hub *hub, const struct sk_identity *identity, bool made);
void hub_identity_gone(struct sk_hub *hub, struct sk_span device, struct sk_span module,
                       const struct sk_registry_entries *gone);
/* registry/bulk.c: does what one line of an import says, a JSON object, which it takes. `done`
 * comes once, maybe from inside the call; `error`, `warning` (or NULL) as of POST /devices;
 * `status` is of the registry's call. */
typedef void hub_import_done(void *arg, enum sk_status status, json_t *error, json_t *warning);
/* Documents that are stored with what the line does: how far the import has come, and the error or
 * warning, if there is one. Copied. */
struct hub_import_note {
    struct sk_span kind, key, progress;
    struct sk_span failure_kind, failure_key;
};
void hub_import(struct sk_hub *hub, json_t *json, const struct hub_import_note *note /* or NULL */,
                hub_import_done *done, void *arg);
/* Stores the error of a line that comes to nothing. */
void hub_import_failed(struct sk_hub *hub, const struct hub_import_note *note, const json_t *error);
/* documents.c: what is kept as JSON documents, and written by requests. */
enum { HUB_DOCUMENT_ID = 129 }; /* bytes of an id with its NUL */
/* Writes a sentence; false. */
bool hub_document_wrong(char error[SK_MODEL_ERROR_MAX], const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A text of at most so many bytes from a request into the document; false: it is none. */
bool hub_document_text(json_t *to, const json_t *body, const char *name, size_t max,
                       char error[SK_MODEL_ERROR_MAX]);
void hub_document_time(json_t *to, const char *name, int64_t us);
/* As it is shown: a copy, with its ETag in place of its Version. */
json_t *hub_document_shown(const json_t *document, uint64_t version);
/* Whether If-Match, or the body's ETag, is that of the version; false: refused. */
bool hub_document_matches(struct sk_request *request, uint64_t version);
/* The id of the path, or a new one; false: refused. */
bool hub_document_id(struct sk_hub *hub, struct sk_request *request, char id[HUB_DOCUMENT_ID]);
/* wait.c: requests that wait for something; `list` is initialised by who has it. */
void hub_wait(struct sk_list *list, struct sk_request *request);
struct sk_request *hub_wait_take(struct sk_list *list); /* the first, or NULL */
void hub_wait_refuse(struct sk_list *list);             /* all of them: the hub closes */

/* registry/scan.c: the twins that a query selects, as they were created. Embedded in whose work it
 * is. */
struct hub_scan {
    struct sk_hub *hub;
    const struct sk_query *query;
    struct sk_select *groups; /* of a query that groups: they gather what is selected; else NULL */
    bool too_many;            /* groups */
    uint64_t after;           /* the place behind which it goes on */
    bool more;                /* it has not reached the end */
    /* One that is selected; `twin` is the service's document. False: enough for now. */
    bool (*take)(struct hub_scan *scan, const struct sk_registry_entry *entry, json_t *twin);
    /* Enough, or there are no more; or a call to the registry failed. */
    void (*ended)(struct hub_scan *scan, const struct sk_registry_end *end);
};
void hub_scan_run(struct hub_scan *scan);
/* Asks how it would be done, and does nothing; `done` gets the scan. */
void hub_scan_ask(struct hub_scan *scan, sk_registry_found_done *done);
/* What of the query's condition the registry can look up; into `terms`, the rest into the arena. */
enum { HUB_TERMS_MAX = 8 };
size_t hub_search_terms(const struct sk_query *query, struct sk_arena *arena,
                        struct sk_registry_term terms[HUB_TERMS_MAX]);

/* Presence of an identity, or NULL when it was never seen since the start. */
const struct sk_presence *hub_presence(struct sk_hub *hub, const struct sk_identity *identity);
void hub_forget(struct sk_hub *hub, struct sk_span device, struct sk_span module);

/* A part of the hub: the operations that it serves, and its life. What it has no word for stays
 * NULL. */
struct sk_hub_part {
    void (*serve[SK_OP_COUNT])(struct sk_hub *hub, struct sk_request *request);
    const struct sk_config_key *keys; /* of hub.toml, "hub[].…"; the last row has no path */
    /* What no key says by itself; see sk_hub_check. */
    void (*check)(struct sk_config *reading, const char *path,
                  const struct sk_hub_options *options);
    const struct sk_hub_metric *metrics; /* the last row has no name */
    /* The stores are open; `reason`: one sentence on failure. */
    enum sk_status (*open)(struct sk_hub *hub, char reason[512]);
    void (*start)(struct sk_hub *hub); /* all parts are open */
    void (*stop)(struct sk_hub *hub);  /* the hub closes: nothing new begins */
    /* Its calls have ended; appends to the log may be under way. */
    void (*registry_closed)(struct sk_hub *hub);
    void (*free)(struct sk_hub *hub); /* nothing is under way. It was opened, or tried to */
    /* hub.toml was read again. First all parts say whether it can be so (`reason`: one sentence),
     * and nothing changes; then it is so, in hub->options, and `before` is what was. */
    enum sk_status (*check_reload)(struct sk_hub *hub, const struct sk_hub_options *next,
                                   char reason[512]);
    void (*reload)(struct sk_hub *hub, const struct sk_hub_options *before);
    /* A session is there; its subscriptions have changed; its output has room again; it is
     * closed. */
    void (*opened)(struct sk_hub *hub, struct sk_session *session);
    void (*subscribed)(struct sk_hub *hub, struct sk_session *session);
    void (*writable)(struct sk_hub *hub, struct sk_session *session);
    void (*closed)(struct sk_hub *hub, struct sk_session *session);
    void (*refused)(struct sk_hub *hub, const struct sk_refusal *refusal); /* nobody came in */
    void (*changed)(struct sk_hub *hub); /* see hub_changed; the two below tell what it was */
    void (*twin_changed)(struct sk_hub *hub, const struct sk_hub_twin_change *change);
    void (*identity_changed)(struct sk_hub *hub, const struct sk_identity *identity, bool made);
};
extern const struct sk_hub_part hub_part_ingest, hub_part_routing, hub_part_notices,
    hub_part_events, hub_part_identities, hub_part_twins, hub_part_queries, hub_part_c2d,
    hub_part_feedback, hub_part_methods, hub_part_statistics, hub_part_certificates,
    hub_part_recall, hub_part_presence, hub_part_scope, hub_part_configurations, hub_part_jobs,
    hub_part_bulk, hub_part_network, hub_part_blobs, hub_part_files, hub_part_digital_twins,
    hub_part_quota, hub_part_endpoints, hub_part_records, hub_part_diagnose, hub_part_transfers,
    hub_part_tracing, hub_part_measures, hub_part_manage, hub_part_explain, hub_part_rules,
    hub_part_series, hub_part_insights, hub_part_live, hub_part_simulations;

/* Of the hub as a resource of ARM, in front of its name; whose it is does not matter. */
#define HUB_RESOURCE                                                                               \
    "/subscriptions/local/resourceGroups/local/providers/Microsoft.Devices/IotHubs/"
/* quota.c: whether its tier lets it have one device more. */
bool hub_quota_has_room(struct sk_hub *hub);
/* records.c */
uint64_t hub_records_lost(const struct sk_hub *hub);

/* configurations/configurations.c */
size_t hub_configuration_count(const struct sk_hub *hub);
/* portal/: whether a request is for the portal, which then answers it. */
bool hub_portal_exchange(struct sk_http_exchange *exchange);
/* blobs/: whether a request is one to the blob service, which then answers it; the key that the hub
 * itself signs with (base64), as the account that is called like the hub; a container that is there
 * from now on, unless it is being deleted (false). */
bool hub_blobs_exchange(struct sk_backend *backend, struct sk_http_exchange *exchange, bool waits);
struct sk_span hub_blobs_key(const struct sk_hub *hub);
bool hub_blobs_make_container(struct sk_hub *hub, struct sk_span name);
/* It may be one's name; `why` (SK_CONFIG_WHY_MAX bytes, or NULL) says what may. */
bool hub_blobs_container_fine(struct sk_span name, char *why);
/* The container that a URI with its signature leads to, if that opens these rights (SK_BLOB_…) now;
 * a span of the arena. Empty: it does not, for the reason in *why. */
struct sk_span hub_blobs_container_of(struct sk_hub *hub, struct sk_span uri, unsigned rights,
                                      struct sk_arena *arena, const char **why);
#define HUB_RIGHTS_MISSING                                                                         \
    "its signature does not permit this: an import reads, what it could not do and an export are " \
    "written"
/* Writing a blob: parts in order, then its end. `moved` comes after each part that did not fit, and
 * once after the end: status tells whether the blob is there. */
struct hub_blob_writer;
struct hub_blob_writer *hub_blob_write(struct sk_hub *hub, struct sk_span container,
                                       struct sk_span blob, void (*moved)(void *arg), void *arg);
bool hub_blob_write_part(struct hub_blob_writer *writer, struct sk_span bytes); /* false: wait */
void hub_blob_write_end(struct hub_blob_writer *writer);
/* SK_AGAIN: not at its end. */
enum sk_status hub_blob_write_status(const struct hub_blob_writer *writer);
void hub_blob_write_free(struct hub_blob_writer *writer); /* what is not at its end is dropped */
/* Reading a blob from a place in it (the end, where that is behind it): `opened` with a reader, or
 * the reason why there is none. */
struct hub_blob_reader;
typedef void hub_blob_opened(void *arg, enum sk_status status, struct hub_blob_reader *reader);
void hub_blob_read(struct sk_hub *hub, struct sk_span container, struct sk_span blob, uint64_t from,
                   hub_blob_opened *opened, void *arg);
/* Up to `n` bytes; *got 0: it has ended. */
enum sk_status hub_blob_read_part(struct hub_blob_reader *reader, char *to, size_t n, size_t *got);
uint64_t hub_blob_read_size(const struct hub_blob_reader *reader);
struct sk_span hub_blob_read_etag(const struct hub_blob_reader *reader);
void hub_blob_read_free(struct hub_blob_reader *reader);
/* Size and time of the last change of a blob; SK_NOT_FOUND. */
typedef void hub_blob_done(void *arg, enum sk_status status, uint64_t size, int64_t modified_us);
void hub_blob_look(struct sk_hub *hub, struct sk_span container, struct sk_span blob,
                   hub_blob_done *done, void *arg);
/* jobs/jobs.c: that have not ended */
size_t hub_job_count(const struct sk_hub *hub);
/* events/notices.c: a job is what its document says now. */
void hub_job_changed(struct sk_hub *hub, const json_t *job);
/* events/notices.c: an alarm has been found; `done` comes once, maybe from inside the call: its
 * event is in the log, if a route asks for such, or cannot be. */
void hub_alarm_found(struct sk_hub *hub, const json_t *alarm, hub_emitted *done, void *arg);
/* To those that watch, and to no route: how far a job is, if somebody watches jobs; an alarm was
 * stored, changed or deleted. */
void hub_job_moves(struct sk_hub *hub, const json_t *job);
void hub_alarm_changed(struct sk_hub *hub, const char *id, const char *device, bool there);
/* events/live.c: whether anybody watches such events; all who do get it. */
bool hub_live_wants(const struct sk_hub *hub, enum sk_source source);
void hub_live_put(struct sk_hub *hub, const struct sk_message *message);
/* rules/rules.c: that have been found since the start */
uint64_t hub_alarm_count(const struct sk_hub *hub);
/* Azure's names of enum sk_source, in its order; the last is ours. */
#define HUB_SOURCES                                                                                \
    "DeviceMessages|TwinChangeEvents|DeviceLifecycleEvents|DeviceConnectionStateEvents|"           \
    "DigitalTwinChangeEvents|DeviceJobLifecycleEvents|AlarmEvents"
/* events/routing.c. Sets of endpoints are bits: those of struct endpoint, from 63 down, and this
 * one for the built-in `events`, in whose place the record gets its partition's bit. */
#define HUB_TO_EVENTS 1ull
/* All telemetry that is taken, whatever routes say, as devices sent it or as it is stamped for
 * somebody: for parts of the hub that read it, by cursors of their own. It is stored for them while
 * hub->inside_readers is not 0; each of them counts itself there. */
#define HUB_TO_INSIDE (1ull << SK_PARTITIONS_MAX)
/* Whether a route asks for events of this source. */
bool hub_routes_take(const struct sk_hub *hub, enum sk_source source);
/* Where all routes, or else the fallback, lead with a message. `twin`: the sender's, as
 * sk_twin_whole_json has it; NULL: not known, and $twin is undefined. */
uint64_t hub_route(struct sk_hub *hub, const struct sk_message *message, const json_t *twin);
/* Stamps a message for the lowest of some endpoints, and returns those of them that get the same;
 * its new properties last until the next message is routed or stamped. */
uint64_t hub_enrich(struct sk_hub *hub, struct sk_message *message, const json_t *twin,
                    uint64_t bits);
/* events/ingest.c: routes and stores an event of the hub's own (`message` is needed until it
 * returns). Should that fail it is counted as lost. */
void hub_emit(struct sk_hub *hub, struct sk_message *message);
/* The same, and its end is heard of: `done` comes once, maybe from inside the call. */
void hub_emit_then(struct sk_hub *hub, struct sk_message *message, hub_emitted *done, void *arg);
void hub_send_event(struct sk_hub *hub, struct sk_request *request, unsigned partition);
/* c2d/queue.c: a device was deleted. */
void hub_c2d_forget(struct sk_hub *hub, struct sk_span device);
/* c2d/feedback.c */
int64_t hub_feedback_ttl_us(const struct sk_hub *hub);
/* Ends of messages have made records. */
void hub_feedback_added(struct sk_hub *hub, const struct sk_registry_ended *ended);

#endif
