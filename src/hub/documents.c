/* JSON documents that requests write: rules, device groups, simulations, device models. */
#include <stdio.h>
#include <string.h>

#include "hub/parts.h"
#include "model/json_text.h"

bool hub_document_wrong(char error[SK_MODEL_ERROR_MAX], const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error, SK_MODEL_ERROR_MAX, format, arguments);
    va_end(arguments);
    return false;
}

bool hub_document_text(json_t *to, const json_t *body, const char *name, size_t max,
                       char error[SK_MODEL_ERROR_MAX]) {
    const json_t *value = json_object_get(body, name);
    if (value && !json_is_null(value) && !json_is_string(value))
        return hub_document_wrong(error, "%s is a text", name);
    struct sk_span text = sk_span_z(sk_json_member_text(body, name));
    if (text.n > max) return hub_document_wrong(error, "%s has at most %zu bytes", name, max);
    json_object_set_new(to, name, json_stringn(text.n ? text.p : "", text.n));
    return true;
}

void hub_document_time(json_t *to, const char *name, int64_t us) {
    char time[SK_TIME_TEXT];
    sk_time_text(us, time);
    json_object_set_new(to, name, json_string(time));
}

json_t *hub_document_shown(const json_t *document, uint64_t version) {
    char etag[SK_ETAG_MAX];
    json_t *json = json_copy((json_t *)document);
    sk_identity_etag(version, etag);
    json_object_del(json, "Version");
    json_object_set_new(json, "ETag", json_string(etag));
    return json;
}

bool hub_document_matches(struct sk_request *request, uint64_t version) {
    char etag[SK_ETAG_MAX];
    struct sk_span said = request->if_match;
    if (said.n == 0) said = sk_span_z(sk_json_member_text(request->body, "ETag"));
    sk_identity_etag(version, etag);
    if (sk_etag_matches(said, etag)) return true;
    sk_request_refuse(request, SK_FAULT_PRECONDITION_FAILED, NULL);
    return false;
}

bool hub_document_id(struct sk_hub *hub, struct sk_request *request, char id[HUB_DOCUMENT_ID]) {
    struct sk_span said = request->name;
    if (said.n == 0) {
        sk_io_guid(hub->backend.io, id);
        return true;
    }
    /* Browsers and proxies take "." and ".." out of a path: nobody could ask for it again. */
    bool dots = sk_span_is(said, ".") || sk_span_is(said, "..");
    if (said.n >= HUB_DOCUMENT_ID || dots || !sk_span_only(said, "-_.")) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "an id is at most 128 letters, digits, and any of - _ . , and not . or "
                          "..");
        return false;
    }
    memcpy(id, said.p, said.n);
    id[said.n] = '\0';
    return true;
}
