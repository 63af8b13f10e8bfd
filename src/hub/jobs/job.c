/* Jobs as documents. Reference: docs/protocols/service-api.md, section 7. */
#include "hub/jobs/parts.h"

#include <stdio.h>

#include "model/json_text.h"

enum { METHOD_NAME_MAX = 100, PAYLOAD_MAX = 128 * 1024 };

static const char *const types[] = {
    [JOB_UPDATE_TWIN] = "scheduleUpdateTwin", [JOB_CALL_METHOD] = "scheduleDeviceMethod"};

const char *job_type_text(enum job_type type) {
    return types[type];
}

bool job_type_read(struct sk_span text, enum job_type *type) {
    for (*type = 0; *type < JOB_TYPES; (*type)++)
        if (sk_span_eq_nocase(text, sk_span_z(types[*type]))) return true;
    return false;
}

/* ---- out of a request ---- */

/* A whole number in a range, or what it is when it is left out. */
static bool read_number(const json_t *object, const char *name, json_int_t least, json_int_t most,
                        json_int_t otherwise, json_int_t *number) {
    const json_t *value = json_object_get(object, name);
    *number = otherwise;
    if (value == NULL || json_is_null(value)) return true;
    *number = json_integer_value(value);
    return json_is_integer(value) && *number >= least && *number <= most;
}

static json_t *take_method(const json_t *method, char error[SK_MODEL_ERROR_MAX]) {
    const char *name = sk_json_member_text(method, "methodName");
    json_t *payload = json_object_get(method, "payload");
    json_int_t response_s, connect_s, otherwise;
    if (name == NULL || name[0] == 0 || strlen(name) > METHOD_NAME_MAX) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "cloudToDeviceMethod.methodName is missing or longer than %d characters",
                 METHOD_NAME_MAX);
        return NULL;
    }
    if (!read_number(method, "timeoutInSeconds", 5, 300, 30, &otherwise) ||
        !read_number(method, "responseTimeoutInSeconds", 5, 300, otherwise, &response_s) ||
        !read_number(method, "connectTimeoutInSeconds", 0, 300, 0, &connect_s)) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "responseTimeoutInSeconds is 5 to 300, connectTimeoutInSeconds 0 to 300");
        return NULL;
    }
    SK_CLEANUP_FREE char *text = sk_json_text(payload);
    if (text && strlen(text) > PAYLOAD_MAX) {
        snprintf(error, SK_MODEL_ERROR_MAX, "the payload of a direct method is at most 128 KB");
        return NULL;
    }
    return json_pack("{s:s,s:O*,s:I,s:I}", "methodName", name, "payload", payload,
                     "responseTimeoutInSeconds", response_s, "connectTimeoutInSeconds", connect_s);
}

static json_t *take_twin(const json_t *twin, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_twin_change change;
    char why[SK_MODEL_ERROR_MAX];
    if (sk_twin_change_from_json(twin, false, &change, why) == SK_OK) return json_deep_copy(twin);
    snprintf(error, SK_MODEL_ERROR_MAX, "updateTwin: %.200s", why);
    return NULL;
}

/* The older way: a list of devices. */
static json_t *condition_of_list(const json_t *ids, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_buffer text = {0};
    for (size_t i = 0; i < json_array_size(ids); i++) {
        struct sk_span id = sk_span_z(json_string_value(json_array_get(ids, i)));
        if (sk_id_check(id)) {
            snprintf(error, SK_MODEL_ERROR_MAX, "deviceIds[%zu] is not a device id", i);
            sk_buffer_free(&text);
            return NULL;
        }
        sk_buffer_text(&text, i ? ", '" : "deviceId IN ['");
        for (size_t at = 0; at < id.n; at++) { /* a quote within quotes is doubled */
            if (id.p[at] == '\'') sk_buffer_byte(&text, '\'');
            sk_buffer_byte(&text, id.p[at]);
        }
        sk_buffer_byte(&text, '\'');
    }
    sk_buffer_byte(&text, ']');
    json_t *condition = json_stringn(text.p, text.n);
    sk_buffer_free(&text);
    return condition;
}

static json_t *take_condition(const json_t *body, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *ids = json_object_get(body, "deviceIds");
    json_t *condition = json_object_get(body, "queryCondition");
    if (json_is_string(condition) && sk_span_trim(sk_span_z(json_string_value(condition))).n)
        return json_incref(condition);
    if (json_array_size(ids)) return condition_of_list(ids, error);
    snprintf(error, SK_MODEL_ERROR_MAX, "queryCondition is missing; * is every device");
    return NULL;
}

static bool take_time(const json_t *body, int64_t now_us, int64_t *start_us,
                      char error[SK_MODEL_ERROR_MAX]) {
    const json_t *value = json_object_get(body, "startTime");
    *start_us = now_us;
    if (value == NULL || json_is_null(value)) return true;
    struct sk_span text = sk_span_z(json_string_value(value));
    if (text.n == 0 || sk_time_parse(text, start_us)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "startTime is not a time such as 2030-01-31T12:00:00Z");
        return false;
    }
    return true;
}

json_t *job_document(const json_t *body, struct sk_span id, int64_t now_us,
                     char error[SK_MODEL_ERROR_MAX]) {
    const char *named = sk_json_member_text(body, "jobId"),
               *type_text = sk_json_member_text(body, "type");
    enum job_type type;
    json_int_t max_s;
    int64_t start_us;
    if (sk_id_check(id) || (named && !sk_span_is(id, named))) {
        snprintf(error, SK_MODEL_ERROR_MAX,
                 "a job's id has 1 to 128 characters of ids, and is that of the path");
        return NULL;
    }
    if (!job_type_read(sk_span_z(type_text), &type)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "type is scheduleUpdateTwin or scheduleDeviceMethod");
        return NULL;
    }
    if (!read_number(body, "maxExecutionTimeInSeconds", 1, JOB_SECONDS_MAX, 3600, &max_s)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "maxExecutionTimeInSeconds is 1 to %d",
                 JOB_SECONDS_MAX);
        return NULL;
    }
    if (!take_time(body, now_us, &start_us, error)) return NULL;
    const char *work_name = type == JOB_UPDATE_TWIN ? "updateTwin" : "cloudToDeviceMethod";
    const json_t *work = json_object_get(body, work_name);
    json_t *taken = type == JOB_UPDATE_TWIN ? take_twin(work, error) : take_method(work, error);
    if (taken == NULL) return NULL;
    json_t *condition = take_condition(body, error);
    if (condition == NULL) {
        json_decref(taken);
        return NULL;
    }
    return json_pack("{s:s%,s:s,s:s,s:o,s:o,s:I,s:I,s:I}", "jobId", id.p, id.n, "type", types[type],
                     "status", "queued", work_name, taken, "queryCondition", condition, "start",
                     (json_int_t)start_us, "created", (json_int_t)now_us,
                     "maxExecutionTimeInSeconds", max_s);
}

/* ---- its life ---- */

/* A condition stands behind WHERE, or brings its own FROM. */
static enum sk_status read_query(struct job *job, char error[SK_MODEL_ERROR_MAX]) {
    static const char devices[] = "SELECT * FROM devices", where[] = " WHERE ";
    struct sk_span condition =
        sk_span_trim(sk_span_z(sk_json_member_text(job->document, "queryCondition")));
    struct sk_expr_error why;
    struct sk_buffer text = {0};
    size_t head = 0;
    if (sk_span_starts_nocase(condition, SK_SPAN("from ")))
        sk_buffer_text(&text, "SELECT * ");
    else
        sk_buffer_text(&text, devices);
    if (sk_span_starts_nocase(condition, SK_SPAN("where ")))
        sk_buffer_byte(&text, ' ');
    else if (text.n > strlen("SELECT * ") && !sk_span_is(condition, "*"))
        sk_buffer_text(&text, where);
    head = text.n;
    if (!sk_span_is(condition, "*")) sk_buffer_append(&text, condition);
    sk_buffer_byte(&text, 0);
    job->text = text.p;
    enum sk_status status = sk_query_parse(sk_span_z(job->text), &job->query, &why);
    if (status) {
        snprintf(error, SK_MODEL_ERROR_MAX, "queryCondition: column %u: %s",
                 why.column > head ? why.column - (unsigned)head : 1, why.sentence);
    } else if (job->query.from == SK_FROM_JOBS || job->query.grouped) {
        snprintf(error, SK_MODEL_ERROR_MAX, "queryCondition: a job is for devices or modules");
        status = SK_INVALID;
    }
    return status;
}

struct job *job_read(struct sk_hub *hub, json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    struct job *job = SK_NEW(struct job);
    sk_list_init(&job->link);
    job->hub = hub;
    job->document = document;
    job->id = sk_json_member_text(document, "jobId");
    job->start_us = json_integer_value(json_object_get(document, "start"));
    job->created_us = json_integer_value(json_object_get(document, "created"));
    job->max_s = json_integer_value(json_object_get(document, "maxExecutionTimeInSeconds"));
    job->scan = (struct hub_scan){.hub = hub, .query = &job->query, .more = true};
    job->scan.after = (uint64_t)json_integer_value(json_object_get(document, "after"));
    job->payload =
        sk_json_text(json_object_get(json_object_get(document, "cloudToDeviceMethod"), "payload"));
    snprintf(error, SK_MODEL_ERROR_MAX, "it is no job");
    if (job->id && job_type_read(sk_span_z(sk_json_member_text(document, "type")), &job->type) &&
        read_query(job, error) == SK_OK)
        return job;
    job_free(job);
    return NULL;
}

void job_free(struct job *job) {
    if (job == NULL) return;
    SK_ASSERT(job->found_count == 0);
    sk_query_free(&job->query);
    free(job->found);
    free(job->text);
    free(job->payload);
    free(job->after_device);
    free(job->after_module);
    free(job->end_patch);
    json_decref(job->document);
    free(job);
}

void job_set(struct job *job, const char *status, const char *why, int64_t ended_us) {
    json_object_set_new(job->document, "status", json_string(status));
    if (why) json_object_set_new(job->document, "failureReason", json_string(why));
    if (ended_us) json_object_set_new(job->document, "ended", json_integer(ended_us));
}

bool job_has_ended(const json_t *document) {
    return json_object_get(document, "ended") != NULL;
}

/* ---- for clients ---- */

static json_t *time_json(int64_t us) {
    char text[SK_TIME_TEXT];
    sk_time_text(us, text);
    return json_string(text);
}

static void show_time(json_t *json, const json_t *document, const char *name, const char *as) {
    const json_t *us = json_object_get(document, name);
    if (us) json_object_set_new(json, as, time_json(json_integer_value(us)));
    json_object_del(json, name);
}

static json_t *counts_json(const struct sk_registry_job_counts *counts) {
    const uint64_t *rows = counts->rows;
    json_int_t all = 0;
    for (size_t i = 0; i < SK_JOB_STATES; i++) all += (json_int_t)rows[i];
    return json_pack(
        "{s:I,s:I,s:I,s:I,s:I}", "deviceCount", all, "failedCount", (json_int_t)rows[SK_JOB_FAILED],
        "succeededCount", (json_int_t)rows[SK_JOB_COMPLETED], "runningCount",
        (json_int_t)rows[SK_JOB_RUNNING], "pendingCount", (json_int_t)rows[SK_JOB_PENDING]);
}

json_t *job_json(const json_t *document, const struct sk_registry_job_counts *counts) {
    json_t *json = json_copy((json_t *)document);
    show_time(json, document, "created", "createdTime");
    show_time(json, document, "start", "startTime");
    show_time(json, document, "ended", "endTime");
    json_object_del(json, "after");
    json_object_del(json, "selected");
    if (counts) json_object_set_new(json, "deviceJobStatistics", counts_json(counts));
    return json;
}

/* ---- rows ---- */

static json_t *row(const struct job *job, int64_t now_us) {
    return json_pack("{s:s,s:o,s:o}", "jobType", types[job->type], "createdDateTimeUtc",
                     time_json(job->created_us), "lastUpdatedDateTimeUtc", time_json(now_us));
}

static char *text_and_free(json_t *json) {
    char *text = sk_json_text(json);
    json_decref(json);
    return text;
}

char *job_row_pending(const struct job *job, int64_t now_us) {
    return text_and_free(row(job, now_us));
}

char *job_row_running(const struct job *job, int64_t begun_us) {
    json_t *json = row(job, begun_us);
    json_object_set_new(json, "startTimeUtc", time_json(begun_us));
    return text_and_free(json);
}

static json_t *error_json(const char *code, const char *description) {
    return json_pack("{s:s,s:o}", "code", code, "description",
                     sk_json_of_text(sk_span_z(description)));
}

char *job_row_ended(const struct job *job, int64_t begun_us, int64_t now_us,
                    const struct sk_error *error, int status, struct sk_span payload) {
    json_t *json = row(job, now_us);
    json_object_set_new(json, "startTimeUtc", time_json(begun_us));
    json_object_set_new(json, "endTimeUtc", time_json(now_us));
    if (error) {
        json_object_set_new(json, "error",
                            error_json(sk_fault_kind(error->fault)->name, sk_error_text(error)));
    } else if (job->type == JOB_CALL_METHOD) {
        json_t *value = sk_json_load(payload, JSON_DECODE_ANY, NULL);
        json_object_set_new(json, "outcome",
                            json_pack("{s:{s:i,s:o}}", "deviceMethodResponse", "status", status,
                                      "payload", value ? value : json_null()));
    }
    return text_and_free(json);
}

char *job_rows_over(int64_t now_us, const char *code, const char *description) {
    return text_and_free(json_pack("{s:o,s:o,s:o}", "endTimeUtc", time_json(now_us),
                                   "lastUpdatedDateTimeUtc", time_json(now_us), "error",
                                   error_json(code, description)));
}
