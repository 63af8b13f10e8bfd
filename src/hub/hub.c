/* A hub's life and the dispatch of its requests. */
#include "gateway/chaos.h"
#include "hub/parts.h"
#include "hub/records.h"
#include "store/log/segments/segments.h"
#include "store/registry/sqlite/sqlite.h"

#include <stdio.h>

const char *sk_hub_name(const struct sk_hub *hub) {
    return hub->options->name;
}

/* What a hub is made of. */
static const struct sk_hub_part *const parts[] = {
    &hub_part_endpoints, /* routes want to know their bits */
    &hub_part_ingest,     &hub_part_notices,       &hub_part_routing,    &hub_part_events,
    &hub_part_identities, &hub_part_twins,         &hub_part_queries,    &hub_part_c2d,
    &hub_part_feedback,   &hub_part_methods,       &hub_part_statistics, &hub_part_certificates,
    &hub_part_recall,     &hub_part_presence,      &hub_part_scope,      &hub_part_configurations,
    &hub_part_jobs,       &hub_part_bulk,          &hub_part_network,    &hub_part_blobs,
    &hub_part_files,      &hub_part_digital_twins, &hub_part_quota,      &hub_part_records,
    &hub_part_diagnose,   &hub_part_transfers,     &hub_part_tracing,    &hub_part_measures,
    &hub_part_manage,     &hub_part_explain,       &hub_part_rules,      &hub_part_series,
    &hub_part_live,       &hub_part_insights,      &hub_part_simulations};

#define PARTS (sizeof parts / sizeof *parts)
#define EACH_PART(part)                                                                            \
    for (const struct sk_hub_part *const *at = parts, *part;                                       \
         at < parts + PARTS && (part = *at, true); at++)

struct sk_backend *sk_hub_backend(struct sk_hub *hub) {
    return &hub->backend;
}

const struct sk_config_key *sk_hub_keys(size_t index) {
    EACH_PART(part) if (part->keys && index-- == 0) return part->keys;
    return NULL;
}

void sk_hub_check(struct sk_config *reading, const char *path,
                  const struct sk_hub_options *options) {
    EACH_PART(part) if (part->check) part->check(reading, path, options);
}

const struct sk_hub_metric *sk_hub_metrics(size_t index) {
    EACH_PART(part) if (part->metrics && index-- == 0) return part->metrics;
    return NULL;
}

/* ---- the backend's table ---- */

struct find {
    sk_identity_done *done;
    void *arg;
};

static void found(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    struct find find = *(struct find *)arg;
    free(arg);
    find.done(find.arg, end->status, entry ? &entry->identity : NULL);
}

static void find_identity(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                          sk_identity_done *done, void *arg) {
    struct find *find = SK_NEW(struct find);
    *find = (struct find){done, arg};
    sk_registry_get(hub_of(backend)->registry, device, module, found, find);
}

static const struct sk_policy *find_policy(struct sk_backend *backend, struct sk_span name) {
    struct sk_hub *hub = hub_of(backend);
    for (size_t i = 0; i < hub->options->policy_count; i++)
        if (sk_span_eq(hub->policies[i].name, name)) return &hub->policies[i];
    return NULL;
}

struct load {
    void (*done)(void *arg, bool found, unsigned bits);
    void *arg;
};

static void loaded(void *arg, const struct sk_registry_end *end, uint32_t subscriptions) {
    struct load load = *(struct load *)arg;
    free(arg);
    load.done(load.arg, end->status == SK_OK, subscriptions);
}

static void load_subscriptions(struct sk_backend *backend, const struct sk_session *session,
                               void (*done)(void *, bool, unsigned), void *arg) {
    struct load *load = SK_NEW(struct load);
    *load = (struct load){done, arg};
    sk_registry_session_load(hub_of(backend)->registry, sk_span_z(session->principal.device),
                             sk_span_z(session->principal.module), loaded, load);
}

static void save_subscriptions(struct sk_backend *backend, const struct sk_session *session,
                               void (*done)(void *arg), void *arg) {
    /* A client that finds less than it had subscribes again: how it ended does not matter. */
    struct sk_registry_then *then = sk_registry_then(done, arg);
    struct sk_registry *registry = hub_of(backend)->registry;
    struct sk_span device = sk_span_z(session->principal.device),
                   module = sk_span_z(session->principal.module);
    if (session->persistent)
        sk_registry_session_save(registry, device, module, session->subscriptions,
                                 sk_registry_ended, then);
    else
        sk_registry_session_delete(registry, device, module, sk_registry_ended, then);
}

static void session_opened(struct sk_backend *backend, struct sk_session *session) {
    struct sk_hub *hub = hub_of(backend);
    EACH_PART(part) if (part->opened) part->opened(hub, session);
}

static void session_model(struct sk_backend *backend, struct sk_session *session,
                          struct sk_span model_id) {
    sk_registry_model_set(hub_of(backend)->registry, sk_span_z(session->principal.device),
                          sk_span_z(session->principal.module), model_id, NULL, NULL);
}

static void session_subscribed(struct sk_backend *backend, struct sk_session *session) {
    struct sk_hub *hub = hub_of(backend);
    EACH_PART(part) if (part->subscribed) part->subscribed(hub, session);
}

static void session_writable(struct sk_backend *backend, struct sk_session *session) {
    struct sk_hub *hub = hub_of(backend);
    EACH_PART(part) if (part->writable) part->writable(hub, session);
}

static void session_closed(struct sk_backend *backend, struct sk_session *session,
                           enum sk_fault reason) {
    (void)reason;
    struct sk_hub *hub = hub_of(backend);
    EACH_PART(part) if (part->closed) part->closed(hub, session);
}

static void refused(struct sk_backend *backend, const struct sk_refusal *refusal) {
    struct sk_hub *hub = hub_of(backend);
    EACH_PART(part) if (part->refused) part->refused(hub, refusal);
}

static void asked(struct sk_backend *backend, struct sk_request *request) {
    hub_asked(hub_of(backend), request);
}

static void submit(struct sk_backend *backend, struct sk_request *request) {
    struct sk_hub *hub = hub_of(backend);
    struct sk_span name = sk_span_z(hub->options->name);
    request->backend = backend;
    if (request->hub.n && !sk_span_eq_nocase(request->hub, name))
        sk_request_refuse(request, SK_FAULT_NOT_FOUND,
                          "there is no hub '%.*s' at this address; it is called '%s'",
                          SK_ARG(request->hub), hub->options->name);
    else
        hub->serve[request->op](hub, request);
}

static bool exchanged(struct sk_backend *backend, struct sk_http_exchange *exchange, bool waits) {
    return hub_blobs_exchange(backend, exchange, waits) || hub_portal_exchange(exchange);
}

static const struct sk_backend_ops ops = {.find_identity = find_identity,
                                          .find_policy = find_policy,
                                          .refused = refused,
                                          .asked = asked,
                                          .submit = submit,
                                          .load_subscriptions = load_subscriptions,
                                          .save_subscriptions = save_subscriptions,
                                          .session_opened = session_opened,
                                          .session_model = session_model,
                                          .session_subscribed = session_subscribed,
                                          .session_closed = session_closed,
                                          .session_writable = session_writable,
                                          .exchange = exchanged};

/* ---- opening ---- */

static void free_hub(struct sk_hub *hub) {
    void (*closed)(void *) = hub->closed;
    void *arg = hub->closed_arg;
    for (size_t i = 0; i < hub->opened; i++)
        if (parts[i]->free) parts[i]->free(hub);
    sk_chaos_free(hub->backend.chaos);
    sk_directory_free(&hub->backend.directory);
    sk_buffer_free(&hub->scratch);
    sk_arena_free(&hub->arena);
    free(hub->policies);
    free(hub->aliases);
    free(hub);
    if (closed) closed(arg);
}

static void store_closed(void *arg) {
    struct sk_hub *hub = arg;
    if (--hub->stores == 0) free_hub(hub);
}

static void close_log(struct sk_hub *hub, struct sk_log *log) {
    hub->stores++;
    sk_log_close(log, store_closed, hub);
}

static enum sk_status open_log_beside(struct sk_hub *hub, const char *folder, uint64_t bytes,
                                      struct sk_log **log) {
    struct sk_log_recovery recovery;
    return sk_log_segments_open(
        hub->backend.io,
        &(struct sk_log_segments_options){.folder = folder,
                                          .segment_bytes = bytes / 4,
                                          .retention_bytes = bytes,
                                          .reserve_bytes = hub->options->reserve_bytes},
        log, &recovery);
}

/* What the configuration says, in the forms that are asked for. */
static void take_options(struct sk_hub *hub, const struct sk_hub_options *options) {
    free(hub->aliases);
    free(hub->policies);
    hub->options = options;
    hub->backend.host_name = sk_span_z(options->host_names[0]);
    hub->backend.alias_count = options->host_name_count - 1;
    hub->aliases = sk_alloc(options->host_name_count * sizeof *hub->aliases);
    for (size_t i = 1; i < options->host_name_count; i++)
        hub->aliases[i - 1] = sk_span_z(options->host_names[i]);
    hub->backend.aliases = hub->aliases;
    hub->policies = sk_alloc(options->policy_count * sizeof *hub->policies);
    for (size_t i = 0; i < options->policy_count; i++)
        hub->policies[i] =
            (struct sk_policy){.name = sk_span_z(options->policies[i].name),
                               .primary_key = sk_span_z(options->policies[i].primary_key),
                               .secondary_key = sk_span_z(options->policies[i].secondary_key),
                               .rights = options->policies[i].rights};
}

static uint64_t number(struct sk_hub *hub, const struct sk_hub_metric *row) {
    struct sk_hub_counts counts = sk_hub_counts(hub);
    uint64_t value;
    memcpy(&value, (char *)&counts + row->at, sizeof value);
    return value;
}

static struct sk_hub *make_hub(struct sk_io *io, const struct sk_hub_options *options) {
    struct sk_hub *hub = SK_NEW(struct sk_hub);
    hub->parts = parts;
    hub->open_log = open_log_beside;
    hub->close_log = close_log;
    hub->number = number;
    hub->store_closed = store_closed;
    hub->stores = 1; /* its log */
    hub->part_count = PARTS;
    sk_list_init(&hub->receivers);
    hub->backend.ops = &ops;
    hub->backend.io = io;
    take_options(hub, options);
    sk_methods_init(&hub->methods, &hub->backend);
    for (size_t op = 0; op < SK_OP_COUNT; op++) {
        EACH_PART(part) if (part->serve[op]) hub->serve[op] = part->serve[op];
        SK_ASSERT(hub->serve[op]); /* each operation has a part */
    }
    return hub;
}

static enum sk_status open_registry(struct sk_hub *hub, char reason[512]) {
    struct sk_io *io = hub->backend.io;
    const char *data = hub->options->data;
    char path[1024], text[SK_MODEL_ERROR_MAX];
    enum sk_status status = sk_folder_make(io, data, 0700);
    if (status) {
        snprintf(reason, 512, "cannot make the data folder %s: %s", data, sk_status_text(status));
        return status;
    }
    sk_path_protect(io, data, 0700);
    snprintf(path, sizeof path, "%s/registry.db", data);
    status = sk_registry_sqlite_open(io, path, &hub->registry, text);
    if (status) snprintf(reason, 512, "%s: %s", path, text);
    return status;
}

enum sk_status sk_hub_copy_registry(const struct sk_hub_options *options, const char *to,
                                    char reason[512]) {
    char path[1024], text[SK_MODEL_ERROR_MAX] = "";
    snprintf(path, sizeof path, "%s/registry.db", options->data);
    enum sk_status status = sk_registry_sqlite_backup(path, to, text);
    if (status) snprintf(reason, 512, "%s", text);
    return status;
}

static enum sk_status open_log(struct sk_hub *hub, char reason[512]) {
    const struct sk_hub_options *options = hub->options;
    struct sk_log_recovery recovery;
    char path[1024];
    snprintf(path, sizeof path, "%s/events", options->data);
    enum sk_status status = sk_log_segments_open(
        hub->backend.io,
        &(struct sk_log_segments_options){.folder = path,
                                          .retention_us = options->retention_us,
                                          .keep_unread = true,
                                          .retention_bytes = options->retention_bytes,
                                          .reserve_bytes = options->reserve_bytes},
        &hub->log, &recovery);
    if (status)
        snprintf(reason, 512, "cannot open the event log %s: %s", path, sk_status_text(status));
    else if (recovery.cut_bytes)
        SK_WARN("hub", "%s: %llu bytes of an unfinished write were cut from the end of the log",
                path, (unsigned long long)recovery.cut_bytes);
    return status;
}

/* Each of them in turn; the first that cannot ends it. */
static enum sk_status open_parts(struct sk_hub *hub, char reason[512]) {
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < PARTS && !status; i++) {
        hub->opened = i + 1;
        if (parts[i]->open) status = parts[i]->open(hub, reason);
    }
    return status;
}

static void allow_chaos(struct sk_hub *hub) {
    bool allowed = hub->options->chaos;
    if (allowed && hub->backend.chaos == NULL) {
        SK_WARN("hub", "%s: client chaos is on: devices may ask for faults", hub->options->name);
        hub->backend.chaos = sk_chaos_new(&hub->backend);
    }
    if (hub->backend.chaos) sk_chaos_allow(hub->backend.chaos, allowed);
}

enum sk_status sk_hub_open(struct sk_io *io, const struct sk_hub_options *options,
                           struct sk_hub **opened, char reason[512]) {
    struct sk_hub *hub = make_hub(io, options);
    enum sk_status status = open_registry(hub, reason);
    if (!status) status = open_log(hub, reason);
    if (!status) status = open_parts(hub, reason);
    if (status) {
        if (hub->registry) sk_registry_close(hub->registry);
        if (hub->log) sk_log_close(hub->log, NULL, NULL);
        free_hub(hub);
        return status;
    }
    allow_chaos(hub);
    EACH_PART(part) if (part->start) part->start(hub);
    *opened = hub;
    return SK_OK;
}

/* ---- reading hub.toml again ---- */

enum sk_status sk_hub_check_reload(struct sk_hub *hub, const struct sk_hub_options *next,
                                   char reason[512]) {
    enum sk_status status = SK_OK;
    EACH_PART(part)
    if (!status && part->check_reload) status = part->check_reload(hub, next, reason);
    return status;
}

void sk_hub_reload(struct sk_hub *hub, const struct sk_hub_options *next) {
    const struct sk_hub_options *before = hub->options;
    take_options(hub, next);
    allow_chaos(hub);
    sk_log_keep(hub->log, &(struct sk_log_retention){.us = next->retention_us,
                                                     .bytes = next->retention_bytes,
                                                     .reserve_bytes = next->reserve_bytes});
    EACH_PART(part) if (part->reload) part->reload(hub, before);
    sk_access_changed(&hub->backend);
}

void sk_hub_let_write(struct sk_hub *hub, sk_hub_write *write, void *arg) {
    hub->write = write;
    hub->write_arg = arg;
}

/* ---- closing ---- */

static void saved(void *arg, const struct sk_registry_end *end) {
    struct sk_hub *hub = arg;
    (void)end; /* the next start reads the log instead */
    sk_registry_close(hub->registry);
    EACH_PART(part) if (part->registry_closed) part->registry_closed(hub);
    sk_log_close(hub->log, store_closed, hub);
}

void sk_hub_close(struct sk_hub *hub, void (*closed)(void *arg), void *arg) {
    hub->closed = closed;
    hub->closed_arg = arg;
    hub->closing = true;
    EACH_PART(part) if (part->stop) part->stop(hub);
    sk_registry_flush(hub->registry, saved, hub);
}

static uint64_t sum(const uint64_t *of) {
    uint64_t all = 0;
    for (size_t i = 0; i < SK_THROTTLE_COUNT; i++) all += of[i];
    return all;
}

/* What is a sum, or is known elsewhere. */
static void measure(struct sk_hub *hub, struct sk_hub_counts *counts) {
    const struct sk_quota_counts *quota = sk_quota_counts(hub->backend.quota);
    counts->ingress_total =
        counts->telemetry_total + counts->telemetry_refused_total + quota->refused[SK_THROTTLE_D2C];
    counts->throttled_total = sum(quota->refused);
    counts->throttled_telemetry_total = quota->refused[SK_THROTTLE_D2C];
    counts->messages_today = sk_quota_today(hub->backend.quota).messages;
    counts->connected_devices = sk_directory_counts(&hub->backend).devices;
}

struct sk_hub_counts sk_hub_counts(struct sk_hub *hub) {
    struct sk_hub_counts counts = hub->counts;
    struct sk_registry_counts registry = sk_registry_counts(hub->registry);
    counts.devices = registry.devices;
    counts.modules = registry.modules;
    counts.sessions = sk_directory_counts(&hub->backend).sessions;
    counts.configurations = hub_configuration_count(hub);
    counts.jobs = hub_job_count(hub);
    counts.alarms_total = hub_alarm_count(hub);
    counts.records_lost_total = hub_records_lost(hub);
    measure(hub, &counts);
    counts.log_bytes = sk_log_bytes(hub->log);
    counts.first_sequence = sk_log_first_sequence(hub->log);
    counts.next_sequence = sk_log_next_sequence(hub->log);
    return counts;
}
