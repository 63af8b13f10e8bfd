/* Jobs of import and export: asked for, shown, cancelled. */
#include "hub/transfers/parts.h"

#include <stdio.h>

#include "model/json_text.h"

enum { LISTED_MAX = 1000 };
#define KEPT_US (30 * 86400ll * 1000000) /* after their end, as at Azure */
#define JOBS SK_SPAN("transfer")

struct transfers {
    struct transfer *active; /* NULL: none runs */
    bool starting;           /* one is being stored */
    json_t *ended;           /* id → a job whose end is not stored yet */
};

static const char *text_of(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static void stamp(struct sk_hub *hub, json_t *job, const char *name) {
    char time[SK_TIME_TEXT];
    sk_time_text(sk_io_wall(hub->backend.io), time);
    json_object_set_new(job, name, json_string(time));
}

static void save(struct sk_hub *hub, const json_t *job, sk_registry_done *done, void *arg) {
    SK_CLEANUP_FREE char *text = sk_json_text(job);
    sk_registry_document_put(hub->registry, JOBS, sk_span_z(text_of(job, "jobId")), sk_span_z(text),
                             done, arg);
}

/* ---- one that runs ---- */

struct sk_span transfer_blob(const struct transfer *transfer, const char *member) {
    const char *name = text_of(transfer->job, member);
    return name && name[0] ? sk_span_z(name) : SK_SPAN("devices.txt");
}

void transfer_progress(struct transfer *transfer, uint64_t done, uint64_t of) {
    json_int_t percent = of ? (json_int_t)(done * 100 / of) : 0;
    json_object_set_new(transfer->job, "progress", json_integer(percent < 99 ? percent : 99));
}

static void free_transfer(struct transfer *transfer) {
    if (transfer->work) transfer->kind->free(transfer->work);
    json_decref(transfer->job);
    free(transfer->input);
    free(transfer->output);
    free(transfer);
}

/* An end that is not stored: until it is, the document says something older. */
struct end {
    struct sk_hub *hub;
    char *id;
};

static void end_saved(void *arg, const struct sk_registry_end *status) {
    struct end *end = arg;
    if (!status->status) json_object_del(end->hub->transfers->ended, end->id);
    free(end->id);
    free(end);
}

static void save_end(struct sk_hub *hub, json_t *job) {
    struct end *end = SK_NEW(struct end);
    *end = (struct end){hub, sk_text_dup(text_of(job, "jobId"))};
    json_object_set(hub->transfers->ended, end->id, job);
    save(hub, job, end_saved, end);
}

static void close_job(struct transfer *transfer, const char *status, const char *reason) {
    struct sk_hub *hub = transfer->hub;
    json_object_set_new(transfer->job, "status", json_string(status));
    if (reason) json_object_set_new(transfer->job, "failureReason", json_string(reason));
    if (!reason) json_object_set_new(transfer->job, "progress", json_integer(100));
    stamp(hub, transfer->job, "endTimeUtc");
    hub->transfers->active = NULL;
    if (!hub->closing) save_end(hub, transfer->job);
    free_transfer(transfer);
}

void transfer_end(struct transfer *transfer, const char *reason) {
    if (reason)
        SK_WARN("hub", "%s: %s failed: %s", transfer->hub->options->name, transfer->kind->type,
                reason);
    close_job(transfer, reason ? "failed" : "completed", reason);
}

/* ---- asked for ---- */

struct creation {
    struct transfer *transfer;
    struct sk_request *request;
};

static void created(void *arg, const struct sk_registry_end *end) {
    struct creation creation = *(struct creation *)arg;
    struct transfer *transfer = creation.transfer;
    struct sk_hub *hub = transfer->hub;
    free(arg);
    hub->transfers->starting = false;
    if (end->status) {
        free_transfer(transfer);
        sk_request_refuse(creation.request, sk_fault_of_status(end->status), NULL);
        return;
    }
    hub->transfers->active = transfer;
    json_t *shown = json_deep_copy(transfer->job);
    json_object_set_new(transfer->job, "status", json_string("running"));
    transfer->work = transfer->kind->start(transfer);
    creation.request->done(creation.request, &(struct sk_answer){.document = shown});
    json_decref(shown);
}

/* A container that the body names; NULL: there is none, for the reason in *why. */
static char *container_of(struct sk_hub *hub, const json_t *body, const char *member,
                          unsigned rights, const char **why) {
    struct sk_arena arena = {0};
    struct sk_span uri = sk_span_z(text_of(body, member));
    struct sk_span name = hub_blobs_container_of(hub, uri, rights, &arena, why);
    char *container = name.n ? sk_span_dup(name) : NULL;
    sk_arena_free(&arena);
    return container;
}

/* What is shown of it again; signatures are not kept. */
static void keep_text(json_t *job, const json_t *body, const char *name) {
    struct sk_span text = sk_span_z(text_of(body, name));
    if (text.n == 0) return;
    text = sk_span_first(text, sk_span_find(text, '?'));
    json_object_set_new(job, name, json_stringn(text.p, text.n));
}

static json_t *new_job(struct sk_hub *hub, const json_t *body) {
    static const char *const texts[] = {"type",           "inputBlobContainerUri",
                                        "inputBlobName",  "outputBlobContainerUri",
                                        "outputBlobName", "storageAuthenticationType"};
    json_t *job = json_object();
    char id[37];
    sk_io_guid(hub->backend.io, id);
    json_object_set_new(job, "jobId", json_string(id));
    stamp(hub, job, "startTimeUtc");
    json_object_set_new(job, "status", json_string("enqueued"));
    json_object_set_new(job, "progress", json_integer(0));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) keep_text(job, body, texts[i]);
    json_object_set_new(job, "excludeKeysInExport",
                        json_boolean(json_is_true(json_object_get(body, "excludeKeysInExport"))));
    return job;
}

static const struct transfer_kind *kind_of(const json_t *body) {
    const char *type = text_of(body, "type");
    if (type && strcmp(type, "export") == 0) return &transfer_export;
    return type && strcmp(type, "import") == 0 ? &transfer_import : NULL;
}

/* NULL: refused, for the reason in *why. */
static struct transfer *new_transfer(struct sk_hub *hub, const json_t *body, const char **why) {
    struct transfer *transfer = SK_NEW(struct transfer);
    transfer->hub = hub;
    transfer->kind = kind_of(body);
    *why = "type is import or export";
    if (transfer->kind == &transfer_import)
        transfer->input = container_of(hub, body, "inputBlobContainerUri", SK_BLOB_READ, why);
    if (transfer->kind == &transfer_export || transfer->input)
        transfer->output = container_of(hub, body, "outputBlobContainerUri", SK_BLOB_WRITE, why);
    if (transfer->output && json_is_true(json_object_get(body, "includeConfigurations"))) {
        *why = "includeConfigurations is not there yet: configurations are read by themselves";
        free(transfer->output);
        transfer->output = NULL;
    }
    if (transfer->output == NULL) {
        free_transfer(transfer);
        return NULL;
    }
    transfer->without_keys = json_is_true(json_object_get(body, "excludeKeysInExport"));
    transfer->job = new_job(hub, body);
    return transfer;
}

static void create(struct sk_hub *hub, struct sk_request *request) {
    const char *why;
    if (hub->transfers->active || hub->transfers->starting) {
        sk_request_refuse(request, SK_FAULT_JOB_QUOTA, NULL);
        return;
    }
    struct transfer *transfer = new_transfer(hub, request->body, &why);
    if (transfer == NULL) {
        sk_request_refuse(request, SK_FAULT_CONTAINER_INVALID, "%s", why);
        return;
    }
    struct creation *creation = SK_NEW(struct creation);
    *creation = (struct creation){transfer, request};
    hub->transfers->starting = true;
    save(hub, transfer->job, created, creation);
}

/* ---- shown ---- */

/* As it is now, where the registry does not have it yet; else NULL. */
static const json_t *newer_job(const struct sk_hub *hub, struct sk_span id) {
    const struct transfer *active = hub->transfers->active;
    if (active && sk_span_is(id, text_of(active->job, "jobId"))) return active->job;
    return json_object_getn(hub->transfers->ended, id.p, id.n);
}

static void got(void *arg, const struct sk_registry_end *end,
                const struct sk_registry_document *document) {
    struct sk_request *request = arg;
    if (document == NULL) {
        sk_request_refuse(request,
                          end->status == SK_NOT_FOUND ? SK_FAULT_JOB_NOT_FOUND
                                                      : sk_fault_of_status(end->status),
                          NULL);
        return;
    }
    json_t *job = sk_json_load(document->bytes, 0, NULL);
    request->done(request, &(struct sk_answer){.document = job});
    json_decref(job);
}

static void show(struct sk_hub *hub, struct sk_request *request) {
    const json_t *job = newer_job(hub, request->name);
    if (job)
        request->done(request, &(struct sk_answer){.document = (json_t *)job});
    else
        sk_registry_document_get(hub->registry, JOBS, request->name, got, request);
}

static void cancel(struct sk_hub *hub, struct sk_request *request) {
    const struct transfer *active = hub->transfers->active;
    if (active == NULL || !sk_span_is(request->name, text_of(active->job, "jobId"))) {
        show(hub, request); /* one that has ended stays as it is */
        return;
    }
    json_t *shown = json_incref(hub->transfers->active->job);
    close_job(hub->transfers->active, "cancelled", "it was cancelled");
    request->done(request, &(struct sk_answer){.document = shown});
    json_decref(shown);
}

static void listed(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *list) {
    struct sk_request *request = arg;
    struct sk_hub *hub = hub_of(request->backend);
    if (end->status) {
        sk_request_refuse(request, sk_fault_of_status(end->status), NULL);
        return;
    }
    json_t *jobs = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const json_t *job = newer_job(hub, list->documents[i].key);
        if (job)
            json_array_append(jobs, (json_t *)job);
        else
            json_array_append_new(jobs, sk_json_load(list->documents[i].bytes, 0, NULL));
    }
    request->done(request, &(struct sk_answer){.document = jobs});
    json_decref(jobs);
}

static void list_all(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_document_list(hub->registry, JOBS, SK_NONE, LISTED_MAX, listed, request);
}

/* ---- life ---- */

static bool is_old(const struct sk_hub *hub, const json_t *job) {
    int64_t ended;
    return sk_time_parse(sk_span_z(text_of(job, "endTimeUtc")), &ended) == SK_OK &&
           ended < sk_io_wall(hub->backend.io) - KEPT_US;
}

/* What ran when the hub fell has failed; what has ended long ago goes. */
static void found_old(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_documents *list) {
    struct sk_hub *hub = arg;
    (void)end; /* nothing is changed then */
    for (size_t i = 0; i < list->count && !hub->closing; i++) {
        json_t *job = sk_json_load(list->documents[i].bytes, 0, NULL);
        bool runs = newer_job(hub, list->documents[i].key) != NULL;
        if (is_old(hub, job)) {
            sk_registry_document_delete(hub->registry, JOBS, list->documents[i].key, NULL, NULL);
        } else if (!runs && json_object_get(job, "endTimeUtc") == NULL) {
            json_object_set_new(job, "status", json_string("failed"));
            json_object_set_new(job, "failureReason",
                                json_string("the hub was stopped meanwhile; ask again"));
            stamp(hub, job, "endTimeUtc");
            save(hub, job, NULL, NULL);
        }
        json_decref(job);
    }
}

static enum sk_status open_transfers(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    hub->transfers = SK_NEW(struct transfers);
    hub->transfers->ended = json_object();
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_list(hub->registry, JOBS, SK_NONE, LISTED_MAX, found_old, hub);
}

static void stop(struct sk_hub *hub) {
    if (hub->transfers->active) close_job(hub->transfers->active, "failed", "the hub stops");
}

static void free_transfers(struct sk_hub *hub) {
    if (hub->transfers) json_decref(hub->transfers->ended);
    free(hub->transfers);
}

const struct sk_hub_part hub_part_transfers = {.serve = {[SK_OP_TRANSFER_CREATE] = create,
                                                         [SK_OP_TRANSFER_LIST] = list_all,
                                                         [SK_OP_TRANSFER_GET] = show,
                                                         [SK_OP_TRANSFER_CANCEL] = cancel},
                                               .open = open_transfers,
                                               .start = start,
                                               .stop = stop,
                                               .free = free_transfers};
