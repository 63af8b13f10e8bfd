#include "device/workload.h"

#include <jansson.h>
#include <stdio.h>

#include "trust/sas.h"
#include "model/json_text.h"

static const char API_VERSION[] = "2020-07-07";

/* The daemon starts beside us, and on the very first start has to fetch our identity. */
enum { QUICK_MS = 20, QUICK_TRIES = 50 };

struct sk_workload {
    struct sk_io *io;
    struct sk_http_client *http;
    char *module_id, *generation_id; /* percent-encoded, for paths */
    struct sk_token_source tokens;
    char *resource;          /* of our tokens: "hub/devices/d/modules/m" */
    struct sk_list signings; /* struct signing */
};

struct ask {
    struct sk_workload *workload;
    union {
        sk_workload_certificate_fn *certificate;
        sk_workload_bundle_fn *bundle;
    } done;
    void *arg;
};

/* ---- life ---- */

static char *encoded(struct sk_span text) {
    struct sk_buffer buffer = {0};
    sk_percent_encode(&buffer, text);
    char *copy = sk_span_dup(sk_buffer_span(&buffer));
    sk_buffer_free(&buffer);
    return copy;
}

static char *resource_of(const struct sk_workload_options *options) {
    struct sk_buffer resource = {0};
    sk_buffer_print(&resource, "%.*s/devices/%.*s/modules/%.*s", SK_ARG(options->hub_host),
                    SK_ARG(options->device_id), SK_ARG(options->module_id));
    char *text = sk_span_dup(sk_buffer_span(&resource));
    sk_buffer_free(&resource);
    return text;
}

static void get_token(struct sk_token_source *source, struct sk_token_ask *ask);
static void forget_token(struct sk_token_source *source, struct sk_token_ask *ask);
static void end_signings(struct sk_workload *workload);

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
    workload->tokens = (struct sk_token_source){.get = get_token, .forget = forget_token};
    workload->resource = resource_of(options);
    sk_list_init(&workload->signings);
    *created = workload;
    return SK_OK;
}

void sk_workload_free(struct sk_workload *workload) {
    sk_http_client_free(workload->http); /* ends what is under way */
    end_signings(workload);
    free(workload->resource);
    free(workload->module_id);
    free(workload->generation_id);
    free(workload);
}

/* ---- asking ---- */

static void ask_free(struct ask *ask) {
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
         void *arg) {
    static const struct sk_http_pair json_type = {"Content-Type", {"application/json", 16}};
    char *text = body ? sk_json_text(body) : NULL;
    struct sk_http_ask http = {
        .method = method,
        .target = sk_span_z(target),
        .headers = &json_type,
        .header_count = body ? 1 : 0,
        .body = sk_span_z(text),
        .done = done,
        .arg = arg,
    };
    sk_http_client_send(workload->http, &http);
    free(text);
    json_decref(body);
}

/* ---- tokens ---- */

/* A question for a token until its answer; it outlives who asked. */
struct signing {
    struct sk_list link;
    struct sk_workload *workload;
    struct sk_token_ask *ask; /* NULL: forgotten */
    int64_t expiry_s;
    unsigned tries;
    struct sk_timer again;
};

static void sign(struct sk_timer *timer);

static void end_signing(struct signing *signing, enum sk_status status, struct sk_span token) {
    struct sk_token_ask *ask = signing->ask;
    sk_timer_stop(&signing->again);
    sk_list_remove(&signing->link);
    free(signing);
    if (ask) sk_token_answer(ask, status, token);
}

static void token_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct signing *signing = arg;
    struct sk_buffer token = {0};
    json_t *json = read_answer(&status, answer);
    struct sk_span digest = text_of(json, "digest");
    if (!status && digest.n == 0) status = SK_MALFORMED;
    if (status && status != SK_CLOSED && signing->ask && ++signing->tries < QUICK_TRIES) {
        sk_timer_start(signing->workload->io, &signing->again, QUICK_MS * SK_MS, sign);
        json_decref(json);
        return;
    }
    if (!status)
        sk_sas_put_token(&token, sk_span_z(signing->workload->resource), digest, SK_NONE,
                         signing->expiry_s);
    json_decref(json);
    end_signing(signing, status, sk_buffer_span(&token));
    sk_buffer_free(&token);
}

static void end_signings(struct sk_workload *workload) {
    while (!sk_list_empty(&workload->signings))
        end_signing(SK_LIST_FIRST(&workload->signings, struct signing, link), SK_CLOSED, SK_NONE);
}

static void sign(struct sk_timer *timer) {
    struct signing *signing = SK_CONTAINER(timer, struct signing, again);
    struct sk_workload *workload = signing->workload;
    struct sk_buffer text = {0}, data = {0}, target = {0};
    sk_sas_put_text_to_sign(&text, sk_span_z(workload->resource), signing->expiry_s);
    sk_base64_encode(&data, sk_buffer_span(&text));
    sk_buffer_print(&target, "/modules/%s/genid/%s/sign?api-version=%s", workload->module_id,
                    workload->generation_id, API_VERSION);
    sk_buffer_byte(&target, 0);
    json_t *body = json_pack("{s:s,s:s,s:s%}", "keyId", "primary", "algo", "HMACSHA256", "data",
                             data.p, data.n);
    send_ask(workload, SK_HTTP_POST, target.p, body, token_done, signing);
    sk_buffer_free(&text);
    sk_buffer_free(&data);
    sk_buffer_free(&target);
}

static void get_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    struct sk_workload *workload = SK_CONTAINER(source, struct sk_workload, tokens);
    struct signing *signing = SK_NEW(struct signing);
    *signing = (struct signing){.workload = workload, .ask = ask, .expiry_s = ask->expiry_s};
    ask->work = signing;
    sk_list_append(&workload->signings, &signing->link);
    sign(&signing->again);
}

static void forget_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    struct signing *signing = ask->work;
    (void)source;
    signing->ask = NULL;
    if (sk_timer_running(&signing->again)) end_signing(signing, SK_CLOSED, SK_NONE);
}

struct sk_token_source *sk_workload_tokens(struct sk_workload *workload) {
    return &workload->tokens;
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
