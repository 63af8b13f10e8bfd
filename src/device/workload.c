#include "device/workload.h"

#include <jansson.h>
#include <stdio.h>

#include "trust/sas.h"
#include "model/json_text.h"

static const char API_VERSION[] = "2020-07-07";

struct sk_workload {
    struct sk_io *io;
    struct sk_http_client *http;
    char *module_id, *generation_id; /* percent-encoded, for paths */
};

struct ask {
    struct sk_workload *workload;
    union {
        sk_workload_token_fn *token;
        sk_workload_certificate_fn *certificate;
        sk_workload_bundle_fn *bundle;
    } done;
    void *arg;
    char *resource;
    int64_t expiry_s;
};

/* ---- life ---- */

static char *encoded(struct sk_span text) {
    struct sk_buffer buffer = {0};
    sk_percent_encode(&buffer, text);
    char *copy = sk_span_dup(sk_buffer_span(&buffer));
    sk_buffer_free(&buffer);
    return copy;
}

enum sk_status sk_workload_new(struct sk_io *io, const struct sk_workload_options *options,
                               struct sk_workload **created) {
    const char *path = options->uri;
    if (strncmp(path, "unix://", 7) == 0) path += 7;
    if (path[0] != '/') return SK_MALFORMED;
    struct sk_workload *workload = SK_NEW(struct sk_workload);
    struct sk_http_client_options http = {.to = {.path = path}};
    enum sk_status status = sk_http_client_new(io, &http, &workload->http);
    if (status) {
        free(workload);
        return status;
    }
    workload->io = io;
    workload->module_id = encoded(options->module_id);
    workload->generation_id = encoded(options->generation_id);
    *created = workload;
    return SK_OK;
}

void sk_workload_free(struct sk_workload *workload) {
    sk_http_client_free(workload->http);
    free(workload->module_id);
    free(workload->generation_id);
    free(workload);
}

/* ---- asking ---- */

static void ask_free(struct ask *ask) {
    free(ask->resource);
    free(ask);
}

/* The answer's JSON when it is a success with a JSON body; else NULL and why. */
static json_t *read_answer(enum sk_status *status, const struct sk_http_parser *answer) {
    if (*status) return NULL;
    json_t *json = NULL;
    if (answer->status / 100 == 2)
        json = json_loadb(answer->body.p ? answer->body.p : "", answer->body.n, 0, NULL);
    if (json == NULL) *status = answer->status / 100 == 2 ? SK_MALFORMED : SK_REFUSED;
    return json;
}

static struct sk_span text_of(const json_t *json, const char *name) {
    const json_t *value = json_object_get(json, name);
    return sk_span(json_string_value(value), json_string_length(value));
}

static void
send_ask(struct sk_workload *workload, enum sk_http_method method, const char *target, json_t *body,
         void (*done)(void *arg, enum sk_status status, const struct sk_http_parser *answer),
         struct ask *ask) {
    static const struct sk_http_pair json_type = {"Content-Type", {"application/json", 16}};
    char *text = body ? sk_json_text(body) : NULL;
    struct sk_http_ask http = {
        .method = method,
        .target = sk_span_z(target),
        .headers = &json_type,
        .header_count = body ? 1 : 0,
        .body = sk_span_z(text),
        .done = done,
        .arg = ask,
    };
    sk_http_client_send(workload->http, &http);
    free(text);
    json_decref(body);
}

static void token_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct ask *ask = arg;
    struct sk_buffer token = {0};
    json_t *json = read_answer(&status, answer);
    struct sk_span digest = text_of(json, "digest");
    if (!status && digest.n == 0) status = SK_MALFORMED;
    if (!status) sk_sas_put_token(&token, sk_span_z(ask->resource), digest, SK_NONE, ask->expiry_s);
    json_decref(json);
    ask->done.token(ask->arg, status, sk_buffer_span(&token));
    sk_buffer_free(&token);
    ask_free(ask);
}

void sk_workload_token(struct sk_workload *workload, struct sk_span resource, int64_t expiry_s,
                       sk_workload_token_fn *done, void *arg) {
    struct sk_buffer text = {0}, data = {0}, target = {0};
    struct ask *ask = SK_NEW(struct ask);
    *ask = (struct ask){.workload = workload,
                        .done.token = done,
                        .arg = arg,
                        .resource = sk_span_dup(resource),
                        .expiry_s = expiry_s};
    sk_sas_put_text_to_sign(&text, resource, expiry_s);
    sk_base64_encode(&data, sk_buffer_span(&text));
    sk_buffer_print(&target, "/modules/%s/genid/%s/sign?api-version=%s", workload->module_id,
                    workload->generation_id, API_VERSION);
    sk_buffer_byte(&target, 0);
    json_t *body = json_pack("{s:s,s:s,s:s%}", "keyId", "primary", "algo", "HMACSHA256", "data",
                             data.p, data.n);
    send_ask(workload, SK_HTTP_POST, target.p, body, token_done, ask);
    sk_buffer_free(&text);
    sk_buffer_free(&data);
    sk_buffer_free(&target);
}

static void certificate_done(void *arg, enum sk_status status,
                             const struct sk_http_parser *answer) {
    struct ask *ask = arg;
    json_t *json = read_answer(&status, answer);
    struct sk_span certificate = text_of(json, "certificate"),
                   key = text_of(json_object_get(json, "privateKey"), "bytes");
    int64_t expires_us = 0;
    if (!status && (certificate.n == 0 || key.n == 0 ||
                    sk_time_parse(text_of(json, "expiration"), &expires_us)))
        status = SK_MALFORMED;
    ask->done.certificate(ask->arg, status, status ? SK_NONE : certificate, status ? SK_NONE : key,
                          expires_us);
    json_decref(json);
    ask_free(ask);
}

void sk_workload_server_certificate(struct sk_workload *workload, struct sk_span common_name,
                                    sk_workload_certificate_fn *done, void *arg) {
    struct sk_buffer target = {0};
    char expiration[SK_TIME_TEXT];
    struct ask *ask = SK_NEW(struct ask);
    *ask = (struct ask){.workload = workload, .done.certificate = done, .arg = arg};
    sk_time_text(sk_io_wall(workload->io) + 90 * 86400000000, expiration);
    sk_buffer_print(&target, "/modules/%s/genid/%s/certificate/server?api-version=%s",
                    workload->module_id, workload->generation_id, API_VERSION);
    sk_buffer_byte(&target, 0);
    json_t *body = json_pack("{s:s%,s:s}", "commonName", common_name.p, common_name.n, "expiration",
                             expiration);
    send_ask(workload, SK_HTTP_POST, target.p, body, certificate_done, ask);
    sk_buffer_free(&target);
}

static void bundle_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct ask *ask = arg;
    json_t *json = read_answer(&status, answer);
    ask->done.bundle(ask->arg, status, text_of(json, "certificate"));
    json_decref(json);
    ask_free(ask);
}

void sk_workload_trust_bundle(struct sk_workload *workload, sk_workload_bundle_fn *done,
                              void *arg) {
    char target[64];
    struct ask *ask = SK_NEW(struct ask);
    *ask = (struct ask){.workload = workload, .done.bundle = done, .arg = arg};
    snprintf(target, sizeof target, "/trust-bundle?api-version=%s", API_VERSION);
    send_ask(workload, SK_HTTP_GET, target, NULL, bundle_done, ask);
}
