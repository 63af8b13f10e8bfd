/* The operations on jobs; when they begin; how long they are known. */
#include "hub/jobs/parts.h"

#include <stdio.h>

#include "model/json_text.h"

enum { A_READ = 50 };

static struct job *find(const struct jobs *jobs, struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&jobs->list, node, following) {
        struct job *job = SK_CONTAINER(node, struct job, link);
        if (sk_span_is(id, job->id)) return job;
    }
    return NULL;
}

static int64_t now_us(const struct jobs *jobs) {
    return sk_io_wall(jobs->hub->backend.io);
}

/* ---- when they begin ---- */

static void begin_due(struct sk_timer *timer) {
    struct jobs *jobs = SK_CONTAINER(timer, struct jobs, next);
    int64_t now = now_us(jobs), next = INT64_MAX;
    if (jobs->hub->closing) return;
    SK_LIST_EACH(&jobs->list, node, following) {
        struct job *job = SK_CONTAINER(node, struct job, link);
        if (job->running || job->over) continue;
        if (job->start_us > now && job->start_us < next) next = job->start_us;
        if (job->start_us > now || jobs->running == JOBS_RUNNING_MAX) continue;
        jobs->running++;
        job_run(job);
    }
    sk_timer_stop(&jobs->next);
    if (next < INT64_MAX) sk_timer_start_at(jobs->hub->backend.io, &jobs->next, next, begin_due);
}

void jobs_tell(struct job *job) {
    json_t *shown = job_json(job->document, &job->counts);
    hub_job_changed(job->hub, shown);
    json_decref(shown);
}

void jobs_moved(struct job *job) {
    uint64_t now = sk_io_now(job->hub->backend.io);
    if (!hub_live_wants(job->hub, SK_SOURCE_JOB_LIFECYCLE) || now - job->told_ns < SK_S) return;
    job->told_ns = now;
    json_t *shown = job_json(job->document, &job->counts);
    hub_job_moves(job->hub, shown);
    json_decref(shown);
}

static void add(struct jobs *jobs, struct job *job) {
    sk_list_append(&jobs->list, &job->link);
    jobs->count++;
}

void jobs_ended(struct job *job) {
    struct jobs *jobs = job->hub->jobs;
    if (job->over) jobs_tell(job);
    sk_list_remove(&job->link);
    jobs->count--;
    jobs->running -= job->running;
    job_free(job);
    if (!jobs->hub->closing) sk_timer_start(jobs->hub->backend.io, &jobs->next, 0, begin_due);
}

/* ---- operations ---- */

/* A job on its way to the registry. */
struct creation {
    struct job *job;
    struct sk_request *request;
};

static void refuse_unknown(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_JOB_NOT_FOUND, "there is no job '%.*s'",
                      SK_ARG(request->name));
}

static void created(void *arg, const struct sk_registry_end *end) {
    struct creation creation = *(struct creation *)arg;
    struct job *job = creation.job;
    struct jobs *jobs = job->hub->jobs;
    free(arg);
    jobs->creating--;
    if (end->status) {
        job_free(job);
        if (end->status == SK_EXISTS)
            sk_request_refuse(creation.request, SK_FAULT_JOB_EXISTS, NULL);
        else
            hub_refuse_status(creation.request, end);
        return;
    }
    add(jobs, job);
    json_t *shown = job_json(job->document, &job->counts);
    hub_job_changed(jobs->hub, shown);
    begin_due(&jobs->next);
    sk_request_answer_json(creation.request, shown);
}

static void put(struct sk_hub *hub, struct sk_request *request) {
    struct jobs *jobs = hub->jobs;
    char error[SK_MODEL_ERROR_MAX];
    json_t *document = job_document(request->body, request->name, now_us(jobs), error);
    struct job *job = document ? job_read(hub, document, error) : NULL;
    if (job == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    } else if (jobs->count + jobs->creating >= JOBS_MAX) {
        sk_request_refuse(request, SK_FAULT_TOO_MANY_JOBS, NULL);
        job_free(job);
    } else {
        struct creation *creation = SK_NEW(struct creation);
        *creation = (struct creation){job, request};
        jobs->creating++;
        SK_CLEANUP_FREE char *text = sk_json_text(document);
        sk_registry_job_put(hub->registry, request->name, sk_span_z(text), true, NULL, 0, created,
                            creation);
    }
}

static void got(void *arg, const struct sk_registry_end *end,
                const struct sk_registry_document *found) {
    struct sk_request *request = arg;
    if (end->status == SK_NOT_FOUND) {
        refuse_unknown(request);
    } else if (found == NULL) {
        hub_refuse_status(request, end);
    } else if (request->op == SK_OP_JOB_CANCEL) {
        sk_request_refuse(request, SK_FAULT_INVALID_OPERATION, "the job '%.*s' has ended",
                          SK_ARG(request->name));
    } else {
        json_t *document = sk_json_load(found->bytes, 0, NULL);
        sk_request_answer_json(request, job_json(document, NULL));
        json_decref(document);
    }
}

static void get(struct sk_hub *hub, struct sk_request *request) {
    const struct job *job = find(hub->jobs, request->name);
    if (job)
        sk_request_answer_json(request, job_json(job->document, &job->counts));
    else
        sk_registry_job_get(hub->registry, request->name, got, request);
}

static void cancelled(void *arg, const struct sk_registry_end *end) {
    struct creation creation = *(struct creation *)arg;
    free(arg);
    if (end->status)
        hub_refuse_status(creation.request, end);
    else
        sk_request_answer_json(creation.request,
                               job_json(creation.job->document, &creation.job->counts));
}

static void cancel(struct sk_hub *hub, struct sk_request *request) {
    struct job *job = find(hub->jobs, request->name);
    if (job == NULL || job->over) {
        sk_registry_job_get(hub->registry, request->name, got, request);
        return;
    }
    struct creation *creation = SK_NEW(struct creation);
    *creation = (struct creation){job, request};
    SK_CLEANUP_FREE char *patch = job_rows_over(now_us(hub->jobs), "JobCancelled",
                                                "the job was cancelled before its turn came");
    hub->counts.jobs_cancelled_total++;
    job_end(job, "cancelled", NULL, SK_JOB_CANCELED, patch, cancelled, creation);
}

/* ---- lists ---- */

struct list_call {
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_hub_list page;
    char *after;
};

static bool is_wanted(const struct sk_request *request, const json_t *document) {
    struct sk_span type = sk_span_z(json_string_value(json_object_get(document, "type"))),
                   status = sk_span_z(json_string_value(json_object_get(document, "status")));
    return (request->job_type.n == 0 || sk_span_eq_nocase(request->job_type, type)) &&
           (request->job_status.n == 0 || sk_span_eq_nocase(request->job_status, status));
}

static void list_from(struct list_call *call);

static void end_list(struct list_call *call, const struct sk_registry_end *end, bool more) {
    struct sk_buffer token = {0};
    if (end->status) {
        hub_refuse_status(call->request, end);
        sk_buffer_free(&call->page.text);
    } else {
        if (more) sk_base64_encode(&token, sk_span_z(call->after));
        hub_list_answer(&call->page, call->request,
                        &(struct sk_answer){.continuation = sk_buffer_span(&token),
                                            .item_type = SK_SPAN("JobResponse")});
    }
    sk_buffer_free(&token);
    free(call->after);
    free(call);
}

static void listed(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *found) {
    struct list_call *call = arg;
    size_t i = 0;
    for (; i < found->count && call->page.count < call->request->max; i++) {
        struct sk_span id = found->documents[i].key;
        const struct job *job = find(call->hub->jobs, id);
        json_t *document =
            job ? json_incref(job->document) : sk_json_load(found->documents[i].bytes, 0, NULL);
        sk_identity_set(&call->after, id);
        if (document && is_wanted(call->request, document)) {
            json_t *shown = job_json(document, job ? &job->counts : NULL);
            hub_list_add(&call->page, shown);
            json_decref(shown);
        }
        json_decref(document);
    }
    bool full = call->page.count >= call->request->max,
         more = i < found->count || found->count == A_READ;
    if (end->status || full || !more)
        end_list(call, end, more);
    else
        list_from(call);
}

static void list_from(struct list_call *call) {
    sk_registry_job_list(call->hub->registry, sk_span_z(call->after), A_READ, listed, call);
}

static void list(struct sk_hub *hub, struct sk_request *request) {
    struct list_call *call = SK_NEW(struct list_call);
    struct sk_buffer after = {0};
    *call = (struct list_call){.hub = hub, .request = request};
    if (request->continuation.n && sk_base64_decode(&after, request->continuation)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the continuation token is not one of ours");
        free(call);
    } else {
        if (request->max > 100) request->max = 100;
        sk_identity_set(&call->after, sk_buffer_span(&after));
        list_from(call);
    }
    sk_buffer_free(&after);
}

/* ---- what waits until all are loaded ---- */

static void serve_now(struct sk_hub *hub, struct sk_request *request) {
    switch (request->op) {
    case SK_OP_JOB_PUT: put(hub, request); return;
    case SK_OP_JOB_GET: get(hub, request); return;
    case SK_OP_JOB_CANCEL: cancel(hub, request); return;
    default: list(hub, request); return;
    }
}

static void serve(struct sk_hub *hub, struct sk_request *request) {
    if (hub->jobs->loaded)
        serve_now(hub, request);
    else
        hub_wait(&hub->jobs->waiting, request);
}

/* ---- the life ---- */

/* A walk over all that are stored: at the start, and once a day. */
struct look {
    struct jobs *jobs;
    bool loads;
    char *after;
};

static void look_on(struct look *look);

static void load_one(struct jobs *jobs, struct sk_span id, json_t *document) {
    char error[SK_MODEL_ERROR_MAX] = "it is no JSON";
    struct job *job = job_read(jobs->hub, document, error);
    if (job)
        add(jobs, job);
    else
        SK_WARN("hub", "the stored job %.*s does not go on: %s", SK_ARG(id), error);
}

static void look_at(struct look *look, const struct sk_registry_document *found) {
    struct jobs *jobs = look->jobs;
    json_t *document = sk_json_load(found->bytes, 0, NULL);
    int64_t ended_us = json_integer_value(json_object_get(document, "ended"));
    sk_identity_set(&look->after, found->key);
    if (document && !job_has_ended(document) && look->loads) {
        load_one(jobs, found->key, document);
        return;
    }
    if (document && job_has_ended(document) &&
        ended_us + JOB_DAYS * INT64_C(86400000000) < now_us(jobs))
        sk_registry_job_delete(jobs->hub->registry, found->key, NULL, NULL);
    json_decref(document);
}

static void daily(struct sk_timer *timer) {
    struct look *look = SK_NEW(struct look);
    look->jobs = SK_CONTAINER(timer, struct jobs, daily);
    look_on(look);
}

/* ---- going on after a restart ---- */

static void resumed(struct jobs *jobs) {
    struct sk_request *request;
    if (--jobs->resuming || jobs->hub->closing) return;
    jobs->loaded = true;
    begin_due(&jobs->next);
    while ((request = hub_wait_take(&jobs->waiting)) != NULL) serve_now(jobs->hub, request);
}

static void counted(void *arg, const struct sk_registry_end *end,
                    const struct sk_registry_job_counts *counts) {
    struct job *job = arg;
    if (end->status == SK_OK) job->counts = *counts;
    resumed(job->hub->jobs);
}

static void swept(void *arg, const struct sk_registry_end *end) {
    struct job *job = arg;
    (void)end;
    sk_registry_job_counts(job->hub->registry, sk_span_z(job->id), counted, job);
}

/* Calls that were under way when the hub fell have failed. */
static void resume(struct jobs *jobs) {
    jobs->resuming = 1; /* this function too */
    SK_CLEANUP_FREE char *patch =
        job_rows_over(now_us(jobs), "ServerError",
                      "the hub stopped while the method was under way; whether the device has "
                      "done it is not known");
    SK_LIST_EACH(&jobs->list, node, following) {
        struct job *job = SK_CONTAINER(node, struct job, link);
        SK_CLEANUP_FREE char *text = sk_json_text(job->document);
        jobs->resuming++;
        sk_registry_job_end(jobs->hub->registry, sk_span_z(job->id), sk_span_z(text),
                            SK_JOB_RUNNING, SK_JOB_FAILED, sk_span_z(patch), swept, job);
    }
    resumed(jobs);
}

static void looked(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *found) {
    struct look *look = arg;
    struct jobs *jobs = look->jobs;
    bool loads = look->loads;
    for (size_t i = 0; i < found->count; i++) look_at(look, &found->documents[i]);
    if (found->count == A_READ) {
        look_on(look);
        return;
    }
    free(look->after);
    free(look);
    if (end->status == SK_CLOSED || jobs->hub->closing) return;
    if (end->status) SK_WARN("hub", "jobs cannot be read: %s", sk_status_text(end->status));
    sk_timer_start(jobs->hub->backend.io, &jobs->daily, 24 * 3600 * SK_S, daily);
    if (loads) resume(jobs);
}

static void look_on(struct look *look) {
    sk_registry_job_list(look->jobs->hub->registry, sk_span_z(look->after), A_READ, looked, look);
}

static enum sk_status open_part(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    hub->jobs = SK_NEW(struct jobs);
    hub->jobs->hub = hub;
    sk_list_init(&hub->jobs->list);
    sk_list_init(&hub->jobs->waiting);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    struct look *look = SK_NEW(struct look);
    *look = (struct look){.jobs = hub->jobs, .loads = true};
    look_on(look);
}

static void stop(struct sk_hub *hub) {
    struct jobs *jobs = hub->jobs;
    sk_timer_stop(&jobs->next);
    sk_timer_stop(&jobs->daily);
    SK_LIST_EACH(&jobs->list, node, following) {
        sk_timer_stop(&SK_CONTAINER(node, struct job, link)->deadline);
        sk_timer_stop(&SK_CONTAINER(node, struct job, link)->pace);
    }
    hub_wait_refuse(&jobs->waiting);
}

static void free_part(struct sk_hub *hub) {
    struct job *job;
    if (hub->jobs == NULL) return;
    while ((job = SK_LIST_FIRST(&hub->jobs->list, struct job, link)) != NULL) {
        sk_list_remove(&job->link);
        job_free(job);
    }
    free(hub->jobs);
}

/* ---- its metrics ---- */

size_t hub_job_count(const struct sk_hub *hub) {
    return hub->jobs->count;
}

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_jobs", "Jobs that have not ended.", SK_HUB_COUNT(jobs)},
    {"skerry_hub_jobs_completed_total", "Jobs that came to their end.",
     SK_HUB_COUNT(jobs_completed_total)},
    {"skerry_hub_jobs_failed_total", "Jobs that could not, in their time.",
     SK_HUB_COUNT(jobs_failed_total)},
    {"skerry_hub_jobs_cancelled_total", "Jobs that were cancelled.",
     SK_HUB_COUNT(jobs_cancelled_total)},
    {0}};

const struct sk_hub_part hub_part_jobs = {.metrics = metrics,
                                          .serve = {[SK_OP_JOB_PUT] = serve,
                                                    [SK_OP_JOB_GET] = serve,
                                                    [SK_OP_JOB_CANCEL] = serve,
                                                    [SK_OP_JOB_LIST] = serve},
                                          .open = open_part,
                                          .start = start,
                                          .stop = stop,
                                          .free = free_part};
