/* Imports and exports as Azure Resource Manager asks for them and shows them. */
#include "hub/transfers/parts.h"

static void rename_member(json_t *body, const char *from, const char *to) {
    json_t *value = json_object_get(body, from);
    if (value == NULL) return;
    json_object_set(body, to, value);
    json_object_del(body, from);
}

void transfer_from_arm(struct sk_request *request) {
    json_t *body = request->body;
    bool export = request->op == SK_OP_HUB_EXPORT;
    if (request->op == SK_OP_TRANSFER_CREATE) return;
    json_object_set_new(body, "type", json_string(export ? "export" : "import"));
    rename_member(body, "authenticationType", "storageAuthenticationType");
    if (!export) return;
    rename_member(body, "exportBlobContainerUri", "outputBlobContainerUri");
    rename_member(body, "exportBlobName", "outputBlobName");
    rename_member(body, "excludeKeys", "excludeKeysInExport");
}

/* Its times are those of HTTP. */
static json_t *as_arm_json(const json_t *job) {
    static const char *const times[] = {"startTimeUtc", "endTimeUtc"};
    json_t *shown = json_deep_copy(job);
    for (size_t i = 0; i < 2; i++) {
        char text[SK_TIME_HTTP_TEXT];
        int64_t us;
        const char *time = json_string_value(json_object_get(job, times[i]));
        if (time == NULL || sk_time_parse(sk_span_z(time), &us)) continue;
        sk_time_http_text(us, text);
        json_object_set_new(shown, times[i], json_string(text));
    }
    return shown;
}

void transfer_answer(struct sk_request *request, const json_t *job) {
    json_t *shown = request->hub.n ? as_arm_json(job) : json_deep_copy(job);
    sk_request_answer_json(request, shown);
}

void transfer_answer_list(struct sk_request *request, const json_t *jobs) {
    json_t *shown = json_incref((json_t *)jobs);
    if (request->hub.n) {
        json_decref(shown);
        json_t *value = json_array();
        for (size_t i = 0; i < json_array_size(jobs); i++)
            json_array_append_new(value, as_arm_json(json_array_get(jobs, i)));
        shown = json_pack("{s:o}", "value", value);
    }
    sk_request_answer_json(request, shown);
}
