/* The cloud side: one IoT hub with its registry, twins, direct methods, routes and events, as a
 * backend of the gateway.
 *
 * A hub owns a folder: `registry.db` and `events/` (the log). Several hubs live in one process,
 * told apart by host name. One thread. */
#ifndef SK_HUB_HUB_H
#define SK_HUB_HUB_H

#include "config/config.h"
#include "expr/expr.h"
#include "gateway/gateway.h"
#include "gateway/ip_filter.h"
#include "gateway/quota.h"

#define SK_HUB_ROUTES_MAX 100
#define SK_HUB_ENRICHMENTS_MAX 10
#define SK_HUB_ENDPOINTS_MAX 10
#define SK_HUB_POLICIES_MAX 16
#define SK_HUB_IP_RULES_MAX 100
#define SK_HUB_CONSUMER_GROUPS_MAX 20

struct sk_hub;

struct sk_hub_policy {
    const char *name, *primary_key, *secondary_key; /* keys in base64 */
    unsigned rights;
};

struct sk_hub_route {
    const char *name;
    enum sk_source source;
    const char *condition; /* "true" matches everything */
    bool enabled;
    const char **endpoints; /* where they go; none: to the built-in one, `events` */
    size_t endpoint_count;
};

/* A property that is stamped on events; see events/routing.c. */
struct sk_hub_enrichment {
    const char *key, *value;
    const char **endpoints; /* whose events; none: all */
    size_t endpoint_count;
};

/* Where routes lead beside `events`; see endpoints/. What a kind does not know stays NULL or 0. */
struct sk_hub_endpoint {
    const char *name;
    unsigned kind;         /* endpoints/endpoints.c */
    const char *to;        /* a URL, folder, connection string, container of ours */
    const char *topic;     /* of MQTT */
    const char *entity;    /* of AMQP, where not in `to`; an account's container */
    const char *file_name; /* of files: endpoints/message_file.h; likewise the following */
    unsigned encoding;
    uint64_t file_time_us, file_bytes;
    const char *from, **recipients; /* of mails; likewise the following */
    size_t recipient_count;
    const char *subject, *text; /* endpoints/mail.c */
    unsigned mails_per_minute;
    const char *table, **columns; /* endpoints/table.c */
    size_t column_count;
    const char *ca_file;
    const char **headers;
    size_t header_count;
    uint64_t timeout_us;
    unsigned batch_count;
    uint64_t batch_bytes, batch_wait_us;
    uint64_t ttl_us, dead_letter_bytes;
};

/* The folder that the endpoint writes into; NULL: it writes into none. */
const char *sk_hub_endpoint_folder(const struct sk_hub_endpoint *endpoint);

/* Cloud-to-device messages. */
struct sk_hub_c2d_options {
    int64_t default_ttl_us, feedback_ttl_us, feedback_lock_us;
    unsigned deliveries_max, feedback_deliveries_max;
};

/* Files of devices. */
struct sk_hub_file_options {
    const char *connection_string; /* of a storage account; NULL: the hub's own blob service */
    const char *ca_file;           /* that its server is trusted by; NULL: the system's */
    const char *container;
    int64_t signature_ttl_us;
    bool notify;
    int64_t notice_ttl_us, notice_lock_us;
    unsigned notice_deliveries_max;
};

/* What hub.toml says of a hub: its keys, and those that its parts bring (sk_hub_keys). */
struct sk_hub_options {
    const json_t *table; /* as it stands there */
    const char *name;
    const char **host_names; /* the first is the one that tools write into connection strings */
    size_t host_name_count;
    const char *data; /* folder */
    struct sk_hub_policy *policies;
    size_t policy_count;
    struct sk_hub_route *routes;
    size_t route_count;
    struct sk_hub_enrichment *enrichments;
    size_t enrichment_count;
    struct sk_hub_endpoint *endpoints;
    size_t endpoint_count;
    bool fallback; /* messages that no route takes go to the built-in endpoint */
    uint64_t retention_us, retention_bytes,
        reserve_bytes;            /* as in struct sk_log_segments_options */
    unsigned twin_history;        /* versions that are remembered */
    unsigned partitions;          /* of the event stream */
    const char **consumer_groups; /* beside $Default */
    size_t consumer_group_count;
    bool chaos;       /* devices may ask for faults: gateway/chaos.h */
    bool take_events; /* who has the right ServiceConnect may send to the event stream itself */
    struct sk_hub_c2d_options c2d;
    struct sk_hub_records_options {
        const char *folder; /* NULL: none are written */
        uint64_t bytes;
        unsigned files, categories; /* bits: 1 << SK_CATEGORY_… */
    } records;
    struct sk_hub_series_options {
        bool enabled;
        const char **id; /* the time series ID's properties; none: the device's id */
        size_t id_count;
        const char *timestamp; /* a property, or NULL */
        uint64_t retention_us, retention_bytes, memory_bytes;
        unsigned instances, properties;
    } series;
    const char *traces; /* URL of a collector, or NULL */
    enum sk_tier tier;
    unsigned units;
    struct sk_ip_rule *ip_rules;
    size_t ip_rule_count;
    bool ip_rest_rejected, ip_events; /* see gateway/ip_filter.h; the rules count for events, too */
    struct sk_hub_file_options files;
    const char **ca_files; /* PEM: CA certificates that device certificates may lead to */
    size_t ca_file_count;
};

/* The keys of hub.toml that the parts of a hub bring, one table of rows after the other; NULL
 * behind the last. Rows go into struct sk_hub_options. */
const struct sk_config_key *sk_hub_keys(size_t index);
/* What no key says by itself, after reading the hub at `path` ("hub[0]"): mistakes are refused. */
void sk_hub_check(struct sk_config *reading, const char *path,
                  const struct sk_hub_options *options);

/* Opens or makes the hub's folder. `reason`: one sentence on failure. The options are borrowed for
 * the hub's life. */
enum sk_status sk_hub_open(struct sk_io *io, const struct sk_hub_options *options,
                           struct sk_hub **hub, char reason[512]);
/* hub.toml was read again. Whether it can be so (`reason`: one sentence); nothing changes yet. */
enum sk_status sk_hub_check_reload(struct sk_hub *hub, const struct sk_hub_options *next,
                                   char reason[512]);
/* From now on `next` counts, borrowed as the former options were, which are used no more; it has
 * been checked. Who was let in by what is no more is closed. */
void sk_hub_reload(struct sk_hub *hub, const struct sk_hub_options *next);
/* Who can change hub.toml for a hub: `table` is what it shall say of it. When it returns SK_OK the
 * file says so, durably, it counts already, and the former options are gone. Else nothing has
 * changed, and `reason` is one sentence. SK_CONFLICT: the file says something else than what
 * counts; SK_INVALID, SK_UNSUPPORTED: it cannot be so; SK_FORBIDDEN, SK_NO_SPACE, SK_IO: the file
 * cannot be written. */
typedef enum sk_status sk_hub_write(void *arg, struct sk_hub *hub, const json_t *table,
                                    char reason[SK_CONFIG_ERROR_MAX]);
void sk_hub_let_write(struct sk_hub *hub, sk_hub_write *write, void *arg);
/* Copies a hub's registry, which another process may be serving, as it is now, into a file that is
 * not there. */
enum sk_status sk_hub_copy_registry(const struct sk_hub_options *options, const char *to,
                                    char reason[512]);
/* Below a hub's `blobs/`: while a copy is made this folder has a file, called like the time when
 * that has begun (microseconds since 1970), and no file of a blob is removed. */
#define SK_HUB_BLOBS_COPIED "being-copied"
struct sk_backend *sk_hub_backend(struct sk_hub *hub);
/* Ends it; its gateway must be gone. `closed` comes when everything acknowledged is on disk and all
 * is freed. */
void sk_hub_close(struct sk_hub *hub, void (*closed)(void *arg), void *arg);

struct sk_hub_counts {
    uint64_t telemetry_total, telemetry_refused_total,
        dropped_total;       /* dropped: no route, no fallback */
    uint64_t repeated_total; /* sent again by an edge, stored already */
    uint64_t notices_lost_total, connection_events_total; /* events that the hub makes itself */
    uint64_t twin_updates_total, methods_total;
    uint64_t c2d_accepted_total, c2d_abandoned_total, c2d_ended_total[SK_C2D_END_COUNT];
    uint64_t feedback_total; /* records */
    uint64_t uploads_total, uploads_failed_total, file_notices_total;
    uint64_t blob_reads_total, blob_writes_total, blob_refusals_total; /* requests */
    uint64_t devices, modules, sessions;
    uint64_t configurations, jobs; /* jobs: that have not ended */
    uint64_t records_lost_total;
    uint64_t spans_total, spans_dropped_total, trace_batches_failed_total;
    uint64_t asked[SK_OP_COUNT][2]; /* answered well, refused; without telemetry */
    uint64_t ingress_total, throttled_total, throttled_telemetry_total, messages_today;
    uint64_t connected_devices;
    uint64_t jobs_completed_total, jobs_failed_total, jobs_cancelled_total;
    uint64_t alarms_total;
    uint64_t log_bytes, first_sequence, next_sequence;
};
struct sk_hub_counts sk_hub_counts(struct sk_hub *hub);

/* A number as Prometheus reads it; one that never falls ends in _total. Of struct sk_hub_counts,
 * or what `each` tells: of each thing that has such a number, or (NULL) of the hub. */
typedef void sk_hub_metric_take(void *arg, const char *of, uint64_t value);
struct sk_hub_metric {
    const char *name, *help;
    size_t at; /* SK_HUB_COUNT: a uint64_t */
    void (*each)(const struct sk_hub *hub, const struct sk_hub_metric *row,
                 sk_hub_metric_take *take, void *arg);
    const char *label, *dimension; /* what these things are, to Prometheus and to Azure Monitor */
    /* Or, for Prometheus alone, lines with labels of their own that it appends. */
    void (*put)(const struct sk_hub *hub, const struct sk_hub_metric *row, struct sk_buffer *to);
    const char *azure; /* what Azure calls it, or NULL */
};
#define SK_HUB_COUNT(field) .at = offsetof(struct sk_hub_counts, field)
/* The metrics that the parts of a hub bring, one table of rows after the other; NULL behind the
 * last. */
const struct sk_hub_metric *sk_hub_metrics(size_t index);
const char *sk_hub_name(const struct sk_hub *hub);

#endif
