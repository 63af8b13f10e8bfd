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
    bool loaded;             /* what was there before is known; until then requests wait */
    struct sk_list waiting;  /* see hub_wait */
    json_t *works;           /* id → where a job worked when the hub stopped */
};

static void stamp(struct sk_hub *hub, json_t *job, const char *name) {
    char time[SK_TIME_TEXT];
    sk_time_text(sk_io_wall(hub->backend.io), time);
    json_object_set_new(job, name, json_string(time));
}

static void save(struct sk_hub *hub, const json_t *job, sk_registry_done *done, void *arg) {
    SK_CLEANUP_FREE char *text = sk_json_text(job);
    sk_registry_document_put(hub->registry, JOBS, sk_span_z(sk_json_member_text(job, "jobId")),
                             sk_span_z(text), done, arg);
}

/* ---- one that runs ---- */

struct sk_span transfer_text(const struct transfer *transfer, const char *member) {
    return sk_span_z(sk_json_member_text(transfer->job, member));
}

struct sk_span transfer_blob(const struct transfer *transfer, const char *member,
                             const char *otherwise) {
    struct sk_span name = transfer_text(transfer, member);
    return name.n ? name : sk_span_z(otherwise);
}

void transfer_progress(struct transfer *transfer, uint64_t done, uint64_t of) {
    json_int_t percent = of ? (json_int_t)(done * 100 / of) : 0;
    json_object_set_new(transfer->job, "progress", json_integer(percent < 99 ? percent : 99));
}

static void free_transfer(struct transfer *transfer) {
    if (transfer->work) transfer->kind->free(transfer->work);
    json_decref(transfer->job);
    place_free(transfer->input);
    place_free(transfer->output);
    free(transfer);
}

/* An end that is not stored: until it is, the document says something older. */
struct end {
    struct sk_hub *hub;
    char *id;
};

static void end_saved(void *arg, const struct sk_registry_end *status) {
    struct end *end = arg;
    if (!status->status) {
        json_object_del(end->hub->transfers->ended, end->id);
        errors_forget(end->hub, sk_span_z(end->id));
    }
    free(end->id);
    free(end);
}

static void save_end(struct sk_hub *hub, json_t *job) {
    struct end *end = SK_NEW(struct end);
    *end = (struct end){hub, sk_text_dup(sk_json_member_text(job, "jobId"))};
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

static void begin(struct transfer *transfer) {
    transfer->hub->transfers->active = transfer;
    json_object_set_new(transfer->job, "status", json_string("running"));
    transfer->work = transfer->kind->start(transfer);
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
    json_t *shown = json_deep_copy(transfer->job);
    begin(transfer);
    transfer_answer(creation.request, shown);
    json_decref(shown);
}

/* What is shown of it again; signatures are not kept. */
static void keep_text(json_t *job, const json_t *body, const char *name) {
    struct sk_span text = sk_span_z(sk_json_member_text(body, name));
    if (text.n == 0) return;
    text = sk_span_first(text, sk_span_find(text, '?'));
    json_object_set_new(job, name, json_stringn(text.p, text.n));
}

static json_t *new_job(struct sk_hub *hub, const json_t *body) {
    static const char *const texts[] = {"type",
                                        "inputBlobContainerUri",
                                        "inputBlobName",
                                        "outputBlobContainerUri",
                                        "outputBlobName",
                                        "storageAuthenticationType",
                                        "configurationsBlobName"};
    static const char *const flags[] = {"excludeKeysInExport", "includeConfigurations"};
    json_t *job = json_object();
    char id[37];
    sk_io_guid(hub->backend.io, id);
    json_object_set_new(job, "jobId", json_string(id));
    stamp(hub, job, "startTimeUtc");
    json_object_set_new(job, "status", json_string("enqueued"));
    json_object_set_new(job, "progress", json_integer(0));
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) keep_text(job, body, texts[i]);
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        json_object_set_new(job, flags[i],
                            json_boolean(json_is_true(json_object_get(body, flags[i]))));
    return job;
}

static const struct transfer_kind *kind_of(const json_t *job) {
    const char *type = sk_json_member_text(job, "type");
    if (type && strcmp(type, "export") == 0) return &transfer_export;
    return type && strcmp(type, "import") == 0 ? &transfer_import : NULL;
}

/* Takes all three; NULL: there is no work like that. */
static struct transfer *new_transfer(struct sk_hub *hub, json_t *job, struct place *input,
                                     struct place *output) {
    struct transfer *transfer = SK_NEW(struct transfer);
    *transfer = (struct transfer){
        .hub = hub,
        .kind = kind_of(job),
        .job = job,
        .input = input,
        .output = output,
        .without_keys = json_is_true(json_object_get(job, "excludeKeysInExport")),
        .configurations = json_is_true(json_object_get(job, "includeConfigurations")),
    };
    if (transfer->kind && output && (input || transfer->kind == &transfer_export)) return transfer;
    free_transfer(transfer);
    return NULL;
}

/* NULL: refused, for the reason in *why. What could not be imported goes where the lines are,
 * unless another container is named. */
static struct transfer *asked_transfer(struct sk_hub *hub, const json_t *body, const char **why) {
    const struct transfer_kind *kind = kind_of(body);
    const char *to = "outputBlobContainerUri", *from = "inputBlobContainerUri";
    struct place *input = NULL, *output = NULL;
    *why = "type is import or export";
    if (kind == NULL) return NULL;
    if (kind == &transfer_import) input = place_of(hub, body, from, SK_BLOB_READ, why);
    if (kind == &transfer_export || input)
        output = place_of(hub, body, input && sk_json_member_text(body, to) == NULL ? from : to,
                          SK_BLOB_WRITE, why);
    return new_transfer(hub, new_job(hub, body), input, output);
}

/* Where it works, for who goes on with it. */
static void save_work(const struct transfer *transfer) {
    json_t *work = json_pack("{s:o,s:o}", "input", place_to_json(transfer->input), "output",
                             place_to_json(transfer->output));
    SK_CLEANUP_FREE char *text = sk_json_text(work);
    sk_registry_document_put(transfer->hub->registry, TRANSFER_WORK,
                             transfer_text(transfer, "jobId"), sk_span_z(text), NULL, NULL);
    json_decref(work);
}

static void create(struct sk_hub *hub, struct sk_request *request) {
    const char *why;
    if (!hub->transfers->loaded) {
        hub_wait(&hub->transfers->waiting, request);
        return;
    }
    if (hub->transfers->active || hub->transfers->starting) {
        sk_request_refuse(request, SK_FAULT_JOB_QUOTA, NULL);
        return;
    }
    transfer_from_arm(request);
    struct transfer *transfer = asked_transfer(hub, request->body, &why);
    if (transfer == NULL) {
        sk_request_refuse(request, SK_FAULT_CONTAINER_INVALID, "%s", why);
        return;
    }
    struct creation *creation = SK_NEW(struct creation);
    *creation = (struct creation){transfer, request};
    hub->transfers->starting = true;
    save_work(transfer);
    save(hub, transfer->job, created, creation);
}

/* ---- shown ---- */

/* As it is now, where the registry does not have it yet; else NULL. */
static const json_t *newer_job(const struct sk_hub *hub, struct sk_span id) {
    const struct transfer *active = hub->transfers->active;
    if (active && sk_span_is(id, sk_json_member_text(active->job, "jobId"))) return active->job;
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
    transfer_answer(request, job);
    json_decref(job);
}

static void show(struct sk_hub *hub, struct sk_request *request) {
    const json_t *job = newer_job(hub, request->name);
    if (job)
        transfer_answer(request, job);
    else
        sk_registry_document_get(hub->registry, JOBS, request->name, got, request);
}

static void cancel(struct sk_hub *hub, struct sk_request *request) {
    const struct transfer *active = hub->transfers->active;
    if (active == NULL || !sk_span_is(request->name, sk_json_member_text(active->job, "jobId"))) {
        show(hub, request); /* one that has ended stays as it is */
        return;
    }
    json_t *shown = json_incref(hub->transfers->active->job);
    close_job(hub->transfers->active, "cancelled", "it was cancelled");
    sk_request_answer_json(request, shown);
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
    transfer_answer_list(request, jobs);
    json_decref(jobs);
}

static void list_all(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_document_list(hub->registry, JOBS, SK_NONE, LISTED_MAX, listed, request);
}

/* ---- life ---- */

static bool is_old(const struct sk_hub *hub, const json_t *job) {
    int64_t ended;
    return sk_time_parse(sk_span_z(sk_json_member_text(job, "endTimeUtc")), &ended) == SK_OK &&
           ended < sk_io_wall(hub->backend.io) - KEPT_US;
}

static void fail_old(struct sk_hub *hub, json_t *job) {
    json_object_set_new(job, "status", json_string("failed"));
    json_object_set_new(job, "failureReason",
                        json_string("the hub was stopped meanwhile; ask again"));
    stamp(hub, job, "endTimeUtc");
    save_end(hub, job);
}

/* One that ran when the hub stopped goes on. */
static void resume(struct sk_hub *hub, json_t *job, const json_t *work) {
    struct transfer *transfer =
        new_transfer(hub, json_incref(job), place_from_json(json_object_get(work, "input")),
                     place_from_json(json_object_get(work, "output")));
    if (transfer)
        begin(transfer);
    else
        fail_old(hub, job);
}

static void take_old(struct sk_hub *hub, const struct sk_registry_document *document) {
    json_t *job = sk_json_load(document->bytes, 0, NULL), *works = hub->transfers->works;
    const char *id = sk_json_member_text(job, "jobId");
    if (is_old(hub, job)) {
        sk_registry_document_delete(hub->registry, JOBS, document->key, NULL, NULL);
    } else if (json_object_get(job, "endTimeUtc") == NULL && hub->transfers->active == NULL) {
        resume(hub, job, json_object_get(works, id));
        json_object_del(works, id);
    }
    json_decref(job);
}

static void found_jobs(void *arg, const struct sk_registry_end *end,
                       const struct sk_registry_documents *list) {
    struct sk_hub *hub = arg;
    const char *id;
    json_t *work;
    if (hub->closing) return;
    for (size_t i = 0; i < list->count; i++) take_old(hub, &list->documents[i]);
    if (!end->status) /* of jobs that have ended, and the hub with them */
        json_object_foreach(hub->transfers->works, id, work) errors_forget(hub, sk_span_z(id));
    hub->transfers->loaded = true;
    struct sk_request *request;
    while ((request = hub_wait_take(&hub->transfers->waiting)) != NULL) create(hub, request);
}

static void found_works(void *arg, const struct sk_registry_end *end,
                        const struct sk_registry_documents *list) {
    struct sk_hub *hub = arg;
    (void)end; /* then none goes on */
    if (hub->closing) return;
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_document *work = &list->documents[i];
        json_object_setn_new(hub->transfers->works, work->key.p, work->key.n,
                             sk_json_load(work->bytes, 0, NULL));
    }
    sk_registry_document_list(hub->registry, JOBS, SK_NONE, LISTED_MAX, found_jobs, hub);
}

static enum sk_status open_transfers(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    hub->transfers = SK_NEW(struct transfers);
    hub->transfers->ended = json_object();
    hub->transfers->works = json_object();
    sk_list_init(&hub->transfers->waiting);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_list(hub->registry, TRANSFER_WORK, SK_NONE, LISTED_MAX, found_works, hub);
}

static void stop(struct sk_hub *hub) {
    if (hub->transfers->active) free_transfer(hub->transfers->active);
    hub->transfers->active = NULL;
    hub_wait_refuse(&hub->transfers->waiting);
}

static void free_transfers(struct sk_hub *hub) {
    if (hub->transfers == NULL) return;
    json_decref(hub->transfers->ended);
    json_decref(hub->transfers->works);
    free(hub->transfers);
}

const struct sk_hub_part hub_part_transfers = {.serve = {[SK_OP_TRANSFER_CREATE] = create,
                                                         [SK_OP_HUB_EXPORT] = create,
                                                         [SK_OP_HUB_IMPORT] = create,
                                                         [SK_OP_TRANSFER_LIST] = list_all,
                                                         [SK_OP_TRANSFER_GET] = show,
                                                         [SK_OP_TRANSFER_CANCEL] = cancel},
                                               .open = open_transfers,
                                               .start = start,
                                               .stop = stop,
                                               .free = free_transfers};
