/* A job that runs. First its query is put to all twins, and everybody it selects gets a row; then
 * rows that are pending are read and carried out, some at a time. */
#include "gateway/quota.h"
#include "hub/jobs/parts.h"

#include "model/json_text.h"

static int64_t now_us(const struct job *job) {
    return sk_io_wall(job->hub->backend.io);
}

static void pump(struct job *job);
static void recount(struct job *job);

/* One thing less of it is under way. The job may be gone afterwards. */
static void let_go(struct job *job) {
    SK_ASSERT(job->under_way);
    if (--job->under_way || !job->over)
        pump(job);
    else if (job->recount && !job->hub->closing)
        recount(job);
    else
        jobs_ended(job);
}

/* ---- its end ---- */

struct ending {
    struct job *job;
    sk_registry_done *done;
    void *arg;
};

static void store_end(struct job *job, sk_registry_done *done, void *arg);

static void store_end_again(struct sk_timer *timer) {
    struct job *job = SK_CONTAINER(timer, struct job, deadline);
    job->under_way--;
    store_end(job, NULL, NULL);
}

/* A full disk is waited for: without its end in the store the job would run for ever. */
static void end_stored(void *arg, const struct sk_registry_end *end) {
    enum { AGAIN_S = 10 };
    struct ending ending = *(struct ending *)arg;
    struct job *job = ending.job;
    bool refused = end->status && end->status != SK_CLOSED;
    free(arg);
    if (refused)
        SK_WARN("hub", "the end of job %s cannot be stored: %s; tried again in %d s", job->id,
                sk_status_text(end->status), AGAIN_S);
    if (ending.done) ending.done(ending.arg, end);
    if (refused && !job->hub->closing)
        sk_timer_start(job->hub->backend.io, &job->deadline, AGAIN_S * SK_S, store_end_again);
    else
        let_go(job);
}

/* With the rows that end with it; the second time the document alone. */
static void store_end(struct job *job, sk_registry_done *done, void *arg) {
    struct ending *ending = SK_NEW(struct ending);
    SK_CLEANUP_FREE char *text = sk_json_text(job->document);
    *ending = (struct ending){job, done, arg};
    job->under_way++;
    if (job->end_patch)
        sk_registry_job_end(job->hub->registry, sk_span_z(job->id), sk_span_z(text), SK_JOB_PENDING,
                            job->end_rows, sk_span_z(job->end_patch), end_stored, ending);
    else
        sk_registry_job_put(job->hub->registry, sk_span_z(job->id), sk_span_z(text), false, NULL, 0,
                            end_stored, ending);
}

static void keep_counts(struct job *job) {
    json_t *shown = job_json(job->document, &job->counts);
    json_object_set(job->document, "deviceJobStatistics",
                    json_object_get(shown, "deviceJobStatistics"));
    json_decref(shown);
}

void job_end(struct job *job, const char *status, const char *why, enum sk_job_state rows,
             const char *patch, sk_registry_done *done, void *arg) {
    SK_ASSERT(!job->over);
    job->over = true;
    job->recount |= job->under_way > 0;
    sk_timer_stop(&job->deadline);
    sk_timer_stop(&job->pace);
    job->counts.rows[rows] += job->counts.rows[SK_JOB_PENDING];
    job->counts.rows[SK_JOB_PENDING] = 0;
    job_set(job, status, why, now_us(job));
    keep_counts(job);
    job->end_rows = rows;
    job->end_patch = sk_span_dup(sk_span_z(patch));
    store_end(job, done, arg);
}

/* Rows ended behind the job's back: it is written again, with their numbers. */
static void counted(void *arg, const struct sk_registry_end *end,
                    const struct sk_registry_job_counts *counts) {
    struct job *job = arg;
    if (end->status) {
        let_go(job);
        return;
    }
    job->counts = *counts;
    keep_counts(job);
    free(job->end_patch);
    job->end_patch = NULL;
    job->under_way--;
    store_end(job, NULL, NULL);
}

static void recount(struct job *job) {
    job->recount = false;
    job->under_way++;
    sk_registry_job_counts(job->hub->registry, sk_span_z(job->id), counted, job);
}

/* All rows have ended; one that could not be written has failed. */
static void complete(struct job *job) {
    SK_CLEANUP_FREE char *patch =
        job_rows_over(now_us(job), "ServerError", "what became of it could not be stored");
    job->hub->counts.jobs_completed_total++;
    job_end(job, "completed", NULL, SK_JOB_FAILED, patch, NULL, NULL);
}

static void fail(struct job *job, const char *code, const char *why) {
    SK_CLEANUP_FREE char *patch = job_rows_over(now_us(job), code, why);
    job->hub->counts.jobs_failed_total++;
    job_end(job, "failed", why, SK_JOB_FAILED, patch, NULL, NULL);
}

static void too_late(struct sk_timer *timer) {
    struct job *job = SK_CONTAINER(timer, struct job, deadline);
    int64_t due_us = job->start_us + job->max_s * 1000000;
    if (now_us(job) < due_us)
        sk_timer_start_at(job->hub->backend.io, &job->deadline, due_us, too_late);
    else
        fail(job, "JobExpired", "maxExecutionTimeInSeconds has passed");
}

/* ---- one device ---- */

struct device_call {
    struct sk_request request; /* of a method */
    struct job *job;
    char *device, *module; /* module: NULL: the device */
    int64_t begun_us;
};

static struct sk_registry_job_row row_of(const struct device_call *call, enum sk_job_state state,
                                         const char *document) {
    return (struct sk_registry_job_row){.job_id = sk_span_z(call->job->id),
                                        .device_id = sk_span_z(call->device),
                                        .module_id = sk_span_z(call->module),
                                        .state = state,
                                        .document = sk_span_z(document)};
}

static void free_call(struct device_call *call) {
    struct job *job = call->job;
    free(call->device);
    free(call->module);
    free(call);
    let_go(job);
}

static void move(struct job *job, enum sk_job_state from, enum sk_job_state to) {
    uint64_t *rows = job->counts.rows;
    if (rows[from] == 0) return; /* the job has been ended meanwhile */
    rows[from]--;
    rows[to]++;
    jobs_moved(job);
}

static void row_stored(void *arg, const struct sk_registry_end *end) {
    struct device_call *call = arg;
    call->job->recount |= end->status != SK_OK;
    if (end->status && end->status != SK_CLOSED)
        SK_WARN("hub", "what job %s did to %s cannot be stored: %s", call->job->id, call->device,
                sk_status_text(end->status));
    free_call(call);
}

/* Writes how it ended; the job itself is written with its end. */
static void store_row(struct device_call *call, enum sk_job_state from,
                      const struct sk_error *error, const struct sk_answer *answer) {
    struct job *job = call->job;
    SK_CLEANUP_FREE char *text =
        job_row_ended(job, call->begun_us, now_us(job), error, answer ? answer->status : 0,
                      answer ? answer->payload : SK_NONE);
    enum sk_job_state to = error ? SK_JOB_FAILED : SK_JOB_COMPLETED;
    struct sk_registry_job_row row = row_of(call, to, text);
    move(job, from, to);
    sk_registry_job_put(job->hub->registry, sk_span_z(job->id), SK_NONE, false, &row, 1, row_stored,
                        call);
}

/* ---- twins ---- */

static void twin_changed(void *arg, const struct sk_registry_end *end,
                         struct sk_registry_entry *entry, const json_t *desired_patch) {
    struct device_call *call = arg;
    struct job *job = call->job;
    if (entry) {
        job->hub->counts.twin_updates_total++;
        move(job, SK_JOB_PENDING, SK_JOB_COMPLETED);
        hub_twin_changed(job->hub, &(struct sk_hub_twin_change){
                                       .entry = entry,
                                       .tags = json_object_get(
                                           json_object_get(job->document, "updateTwin"), "tags"),
                                       .desired = desired_patch});
        hub_changed(job->hub);
        free_call(call);
    } else if (end->status == SK_CLOSED || end->status == SK_EXISTS) {
        free_call(call); /* the hub ends; or the job was ended meanwhile */
    } else {
        struct sk_error error;
        struct sk_request request = {.device = sk_span_z(call->device),
                                     .module = sk_span_z(call->module)};
        sk_error_set(&error, hub_fault_of(&request, end), end->reason[0] ? "%s" : NULL,
                     end->reason);
        store_row(call, SK_JOB_PENDING, &error, NULL);
    }
}

static void update_twin(struct device_call *call) {
    struct job *job = call->job;
    const json_t *twin = json_object_get(job->document, "updateTwin");
    struct sk_twin_change change;
    char error[SK_MODEL_ERROR_MAX];
    sk_twin_change_from_json(twin, false, &change, error); /* it was checked when it was made */
    SK_CLEANUP_FREE char *text =
        job_row_ended(job, call->begun_us, call->begun_us, NULL, 0, SK_NONE);
    struct sk_registry_job_row row = row_of(call, SK_JOB_COMPLETED, text);
    sk_registry_job_twin(job->hub->registry, &row, &change,
                         sk_span_z(json_string_value(json_object_get(twin, "etag"))), twin_changed,
                         call);
}

/* ---- methods ---- */

static void answered(struct sk_request *request, const struct sk_answer *answer) {
    struct device_call *call = (struct device_call *)request;
    if (call->job->hub->closing)
        free_call(call); /* what it did is not known: the next start says so */
    else
        store_row(call, SK_JOB_RUNNING, answer->error, answer);
}

static void begun(void *arg, const struct sk_registry_end *end) {
    struct device_call *call = arg;
    struct job *job = call->job;
    const json_t *method = json_object_get(job->document, "cloudToDeviceMethod");
    if (end->status) {
        row_stored(call, end);
        return;
    }
    call->request = (struct sk_request){
        .op = SK_OP_METHOD_INVOKE,
        .device = sk_span_z(call->device),
        .module = sk_span_z(call->module),
        .name = sk_span_z(json_string_value(json_object_get(method, "methodName"))),
        .payload = sk_span_z(job->payload),
        .response_timeout_s =
            (unsigned)json_integer_value(json_object_get(method, "responseTimeoutInSeconds")),
        .connect_timeout_s =
            (unsigned)json_integer_value(json_object_get(method, "connectTimeoutInSeconds")),
        .backend = &job->hub->backend,
        .done = answered};
    job->hub->serve[SK_OP_METHOD_INVOKE](job->hub, &call->request);
}

static void call_method(struct device_call *call) {
    SK_CLEANUP_FREE char *text = job_row_running(call->job, call->begun_us);
    struct sk_registry_job_row row = row_of(call, SK_JOB_RUNNING, text);
    move(call->job, SK_JOB_PENDING, SK_JOB_RUNNING);
    sk_registry_job_put(call->job->hub->registry, row.job_id, SK_NONE, false, &row, 1, begun, call);
}

/* ---- all of them ---- */

static void carry_out(struct job *job, const struct sk_registry_job_row *row) {
    struct device_call *call = SK_NEW(struct device_call);
    call->job = job;
    call->device = sk_span_dup(row->device_id);
    if (row->module_id.n) call->module = sk_span_dup(row->module_id);
    call->begun_us = now_us(job);
    job->under_way++;
    if (job->type == JOB_UPDATE_TWIN)
        update_twin(call);
    else
        call_method(call);
}

static void go_on(struct sk_timer *timer) {
    struct job *job = SK_CONTAINER(timer, struct job, pace);
    job->paced = false;
    pump(job);
}

/* False: the tier does not permit one more now; it is read again when it does. */
static bool keep_pace(struct job *job) {
    uint64_t wait_ns = sk_quota_wait_ns(job->hub->backend.quota, SK_THROTTLE_JOB_DEVICES);
    if (wait_ns == 0) return true;
    job->paced = true;
    job->all_read = false;
    sk_timer_start(job->hub->backend.io, &job->pace, wait_ns, go_on);
    return false;
}

static void got_rows(void *arg, const struct sk_registry_end *end,
                     const struct sk_registry_job_rows *list) {
    struct job *job = arg;
    job->all_read = !list->more;
    job->reading = false;
    for (size_t i = 0; i < list->count && !job->over && keep_pace(job); i++) {
        sk_identity_set(&job->after_device, list->rows[i].device_id);
        sk_identity_set(&job->after_module, list->rows[i].module_id);
        carry_out(job, &list->rows[i]);
    }
    if (end->status && end->status != SK_CLOSED && !job->over)
        fail(job, "ServerError", sk_status_text(end->status));
    let_go(job);
}

/* Reads on as soon as half of what may be under way has ended. */
static void pump(struct job *job) {
    if (job->over || job->reading || job->paced || job->hub->closing) return;
    if (job->all_read) {
        if (job->under_way == 0) complete(job);
        return;
    }
    if (job->under_way > JOB_TARGETS_AT_ONCE / 2) return;
    size_t room = JOB_TARGETS_AT_ONCE - job->under_way;
    job->reading = true;
    job->under_way++;
    sk_registry_job_rows(
        job->hub->registry,
        &(struct sk_registry_job_ask){.job_id = sk_span_z(job->id),
                                      .state = SK_JOB_PENDING,
                                      .after = {.job_id = sk_span_z(job->id),
                                                .device_id = sk_span_z(job->after_device),
                                                .module_id = sk_span_z(job->after_module)},
                                      .max = room},
        got_rows, job);
}

/* ---- whom it is for ---- */

static bool take(struct hub_scan *scan, const struct sk_registry_entry *entry, json_t *twin) {
    struct job *job = SK_CONTAINER(scan, struct job, scan);
    (void)twin;
    const struct sk_identity *identity = &entry->identity;
    job->found[job->found_count++] = (struct job_target){
        sk_span_dup(sk_span_z(identity->device_id)), sk_text_dup(identity->module_id)};
    return job->found_count < JOB_TARGETS_AT_ONCE;
}

static void drop_found(struct job *job) {
    for (size_t i = 0; i < job->found_count; i++) {
        free(job->found[i].device);
        free(job->found[i].module);
    }
    job->found_count = 0;
}

static void rows_stored(void *arg, const struct sk_registry_end *end) {
    struct job *job = arg;
    if (end->status && end->status != SK_CLOSED && !job->over)
        fail(job, "ServerError", sk_status_text(end->status));
    if (end->status == SK_OK && !job->over && job->scan.more) {
        hub_scan_run(&job->scan);
        return;
    }
    job->reading = false;
    let_go(job);
}

/* Those that were found get their rows, with the place where the search goes on. */
static void scanned(struct hub_scan *scan, const struct sk_registry_end *end) {
    struct job *job = SK_CONTAINER(scan, struct job, scan);
    struct sk_registry_job_row rows[JOB_TARGETS_AT_ONCE];
    if (end->status || job->over) {
        drop_found(job);
        rows_stored(job, end);
        return;
    }
    SK_CLEANUP_FREE char *text = job_row_pending(job, now_us(job));
    for (size_t i = 0; i < job->found_count; i++)
        rows[i] = (struct sk_registry_job_row){.job_id = sk_span_z(job->id),
                                               .device_id = sk_span_z(job->found[i].device),
                                               .module_id = sk_span_z(job->found[i].module),
                                               .document = sk_span_z(text)};
    job->counts.rows[SK_JOB_PENDING] += job->found_count;
    json_object_set_new(job->document, "selected", json_boolean(!scan->more));
    json_object_set_new(job->document, "after", json_integer((json_int_t)scan->after));
    SK_CLEANUP_FREE char *document = sk_json_text(job->document);
    sk_registry_job_put(job->hub->registry, sk_span_z(job->id), sk_span_z(document), false, rows,
                        job->found_count, rows_stored, job);
    drop_found(job);
}

void job_run(struct job *job) {
    job->running = true;
    job->found = sk_alloc(JOB_TARGETS_AT_ONCE * sizeof *job->found);
    job->scan.take = take;
    job->scan.ended = scanned;
    const char *before = json_string_value(json_object_get(job->document, "status"));
    bool again = before && strcmp(before, "running") == 0; /* after a start of the hub */
    job_set(job, "running", NULL, 0);
    if (!again) jobs_tell(job);
    too_late(&job->deadline);
    if (job->over) return;
    if (json_is_true(json_object_get(job->document, "selected"))) {
        pump(job);
        return;
    }
    job->reading = true;
    job->under_way++;
    hub_scan_run(&job->scan);
}
