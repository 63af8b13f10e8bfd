/* Direct methods on `$edgeAgent` (docs/protocols/edge-runtime.md, section 4.5). */
#include <stdio.h>

#include "edge/agent/gzip.h"
#include "edge/agent/log_request.h"
#include "edge/agent/uploads.h"
#include "model/json_text.h"

enum { ANSWER_MAX = 127000, LOG_MAX = 16 << 20 };

/* A call on its way to its answer. */
struct call {
    struct sk_list link;
    struct sk_agent *agent;
    char *rid;
    struct sk_log_gathering *logs;
    json_t *found;
    bool zipped;
};

static void call_free(struct call *call) {
    sk_list_remove(&call->link);
    sk_log_gathering_free(call->logs);
    json_decref(call->found);
    free(call->rid);
    free(call);
}

/* Answers with JSON, which is freed, and ends the call. */
static void answer(struct call *call, int status, json_t *json) {
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    struct sk_span body = sk_span_z(text);
    json_decref(json);
    if (call->agent->client)
        sk_device_client_answer(call->agent->client, sk_span_z(call->rid), status, body);
    call_free(call);
}

static void refuse(struct call *call, int status, const char *sentence) {
    answer(call, status, json_pack("{s:o}", "message", sk_json_of_text(sk_span_z(sentence))));
}

static void ping(struct call *call, const json_t *payload) {
    (void)payload;
    answer(call, 200, json_null());
}

/* Requests carry a schemaVersion whose major part must be 1. */
static bool schema_fits(const json_t *payload) {
    struct sk_span version =
        sk_span_z(json_string_value(json_object_get(payload, "schemaVersion")));
    return sk_span_is(version, "1") || sk_span_starts(version, SK_SPAN("1."));
}

static void restart_module(struct call *call, const json_t *payload) {
    const char *id = json_string_value(json_object_get(payload, "id"));
    if (!schema_fits(payload) || id == NULL)
        refuse(call, 400, "The payload must be {\"schemaVersion\":\"1.0\",\"id\":\"module\"}.");
    else if (sk_modules_restart(call->agent->modules, sk_span_z(id)))
        refuse(call, 500, sk_modules_missing(sk_span_z(id)));
    else
        answer(call, 200, json_null());
}

/* ---- logs ---- */

static void add_log(void *arg, const struct sk_log_found *found) {
    struct call *call = arg;
    json_t *payload = NULL, *bytes = NULL;
    struct sk_buffer packed = {0}, coded = {0};
    if (!call->zipped) {
        payload = sk_json_of_text(found->text);
    } else {
        sk_gzip(found->text, &packed);
        sk_base64_encode(&coded, sk_buffer_span(&packed));
        bytes = json_stringn(coded.p ? coded.p : "", coded.n);
    }
    sk_buffer_free(&packed);
    sk_buffer_free(&coded);
    json_array_append_new(call->found, json_pack("{s:s,s:o,s:o}", "id", found->module,
                                                 "payloadBytes", bytes ? bytes : json_null(),
                                                 "payload", payload ? payload : json_null()));
}

static void logs_there(void *arg, enum sk_status status, const char *why) {
    struct call *call = arg;
    call->logs = NULL;
    if (status) {
        refuse(call, status == SK_TOO_LARGE ? 400 : 500, why);
        return;
    }
    SK_CLEANUP_FREE char *text = sk_json_text(call->found);
    if (strlen(text) > ANSWER_MAX)
        refuse(call, 400,
               "The logs are longer than 127000 bytes; ask for fewer lines with filter.tail or "
               "filter.since, for encoding gzip, or use UploadModuleLogs.");
    else
        answer(call, 200, json_incref(call->found));
}

static void get_module_logs(struct call *call, const json_t *payload) {
    const char *why = "The payload must be {\"schemaVersion\":\"1.0\",\"items\":[{\"id\":"
                      "\"module\",\"filter\":{\"tail\":10}}]}.";
    struct sk_agent *agent = call->agent;
    struct sk_log_request *request =
        schema_fits(payload) ? sk_log_request_read(payload, sk_io_wall(agent->io), &why) : NULL;
    if (request == NULL) {
        refuse(call, 400, why);
        return;
    }
    call->found = json_array();
    call->zipped = sk_log_request_zipped(request);
    const struct sk_log_from from = {agent->options.hub_host, agent->options.device_id};
    call->logs = sk_log_gather(agent->modules, agent->io, request, &from, LOG_MAX, add_log,
                               logs_there, call);
}

/* ---- uploads ---- */

/* Answers with how the upload stands that has just begun. */
static void answer_upload(struct call *call, const char *id, const char *why) {
    if (id)
        answer(call, 200, upload_json(call->agent, id));
    else
        refuse(call, 400, why);
}

static void upload_module_logs(struct call *call, const json_t *payload) {
    const char *why = "The payload must be {\"schemaVersion\":\"1.0\",\"sasUrl\":\"https://…\","
                      "\"items\":[{\"id\":\"module\"}]}.";
    const char *url = sk_json_member_text(payload, "sasUrl"), *id = NULL;
    struct sk_agent *agent = call->agent;
    struct sk_log_request *request = schema_fits(payload) && url
                                         ? sk_log_request_read(payload, sk_io_wall(agent->io), &why)
                                         : NULL;
    if (request) id = upload_logs(agent, url, request, &why);
    answer_upload(call, id, why);
}

static void upload_support_bundle(struct call *call, const json_t *payload) {
    const char *why = "The payload must be {\"schemaVersion\":\"1.0\",\"sasUrl\":\"https://…\","
                      "\"since\":\"2d\"}.";
    const char *url = sk_json_member_text(payload, "sasUrl"), *id = NULL;
    const struct bundle_ask ask = {.since = sk_json_member_text(payload, "since"),
                                   .until = sk_json_member_text(payload, "until"),
                                   .runtime_only =
                                       json_is_true(json_object_get(payload, "edgeRuntimeOnly"))};
    if (schema_fits(payload) && url) id = upload_bundle(call->agent, url, &ask, &why);
    answer_upload(call, id, why);
}

static void get_task_status(struct call *call, const json_t *payload) {
    const char *id = sk_json_member_text(payload, "correlationId");
    if (schema_fits(payload) && id)
        answer(call, 200, upload_json(call->agent, id));
    else
        refuse(call, 400,
               "The payload must be {\"schemaVersion\":\"1.0\",\"correlationId\":\"…\"}.");
}

/* ---- all ---- */

static const struct {
    const char *name;
    void (*run)(struct call *call, const json_t *payload);
} methods[AGENT_METHODS] = {{"ping", ping},
                            {"RestartModule", restart_module},
                            {"GetModuleLogs", get_module_logs},
                            {"UploadModuleLogs", upload_module_logs},
                            {"UploadSupportBundle", upload_support_bundle},
                            {"GetTaskStatus", get_task_status}};

const char *agent_method_name(size_t i) {
    return methods[i].name;
}

void agent_method(struct sk_agent *agent, struct sk_span name, struct sk_span payload,
                  struct sk_span rid) {
    struct call *call = SK_NEW(struct call);
    struct sk_buffer known = {0};
    call->agent = agent;
    call->rid = sk_span_dup(rid);
    sk_list_append(&agent->calls, &call->link);
    for (size_t i = 0; i < AGENT_METHODS; i++) {
        if (!sk_span_eq_nocase(name, sk_span_z(methods[i].name))) {
            sk_buffer_print(&known, "%s%s", i ? ", " : "", methods[i].name);
            continue;
        }
        json_t *json = sk_json_load(payload, JSON_DECODE_ANY, NULL);
        agent->counts.methods[i]++;
        methods[i].run(call, json);
        json_decref(json);
        sk_buffer_free(&known);
        return;
    }
    char sentence[256];
    snprintf(sentence, sizeof sentence, "This method is not known; there are %.*s.",
             SK_ARG(sk_buffer_span(&known)));
    sk_buffer_free(&known);
    refuse(call, 400, sentence);
}

void agent_methods_end(struct sk_agent *agent) {
    while (!sk_list_empty(&agent->calls))
        call_free(SK_LIST_FIRST(&agent->calls, struct call, link));
}
