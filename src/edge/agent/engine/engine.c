#include "edge/agent/engine/engine.h"

#include <stdio.h>

#include "model/json_text.h"
#include "net/http_client.h"

enum {
    CONNECT_MS = 5000,
    ANSWER_MAX = 8 << 20,
    VERSION_WANTED = 41,
    TARGET_MAX = 2048,
};

struct sk_engine {
    struct sk_io *io;
    struct sk_list calls;
    char path[128];
    unsigned version; /* minor number of the API's version 1.x */
};

struct sk_engine_call {
    struct sk_list link;
    struct sk_engine *engine;
    struct sk_http_client *client;
    struct sk_timer silence;
    uint64_t silence_ns;
    bool greets;
    void (*part)(void *arg, struct sk_span bytes);
    sk_engine_done *done;
    void *arg;
};

enum sk_status sk_engine_new(struct sk_io *io, const char *uri, struct sk_engine **made) {
    struct sk_span path = sk_span_z(uri);
    if (sk_span_starts(path, SK_SPAN("unix://"))) path = sk_span_skip(path, 7);
    if (path.n == 0 || path.p[0] != '/' || path.n >= sizeof(*made)->path) return SK_MALFORMED;
    struct sk_engine *engine = SK_NEW(struct sk_engine);
    engine->io = io;
    engine->version = VERSION_WANTED;
    snprintf(engine->path, sizeof engine->path, "%.*s", SK_ARG(path));
    sk_list_init(&engine->calls);
    *made = engine;
    return SK_OK;
}

const char *sk_engine_path(const struct sk_engine *engine) {
    return engine->path;
}

static void call_free(struct sk_engine_call *call) {
    struct sk_http_client *client = call->client;
    sk_list_remove(&call->link);
    sk_timer_stop(&call->silence);
    free(call);
    sk_http_client_free(client);
}

/* Nothing is told: the client ends its request from inside the call. */
void sk_engine_cancel(struct sk_engine_call *call) {
    if (call == NULL) return;
    call->done = NULL;
    struct sk_http_client *client = call->client;
    sk_http_client_free(client); /* which ends the call */
}

void sk_engine_free(struct sk_engine *engine) {
    if (engine == NULL) return;
    while (!sk_list_empty(&engine->calls))
        sk_engine_cancel(SK_LIST_FIRST(&engine->calls, struct sk_engine_call, link));
    free(engine);
}

/* ---- answers ---- */

static const char *no_answer(const struct sk_engine *engine, enum sk_status status,
                             char to[SK_ENGINE_WHY_MAX]) {
    const char *what = status == SK_TIMEOUT     ? "does not answer"
                       : status == SK_NOT_FOUND ? "is not there"
                       : status == SK_REFUSED   ? "takes no connection"
                       : status == SK_FORBIDDEN ? "may not be used by this user"
                       : status == SK_MALFORMED ? "answered what is no HTTP"
                       : status == SK_TOO_LARGE ? "answered too much"
                                                : "broke off";
    snprintf(to, SK_ENGINE_WHY_MAX, "the container engine at %s %s", engine->path, what);
    return to;
}

/* "1.41" → 41; 0 for what is no version of ours. */
static unsigned minor_version(const json_t *json, const char *member) {
    struct sk_span text = sk_span_z(json_string_value(json_object_get(json, member)));
    int64_t minor = 0;
    if (!sk_span_starts(text, SK_SPAN("1.")) || sk_span_to_int(sk_span_skip(text, 2), &minor) ||
        minor < 0 || minor > 9999)
        return 0;
    return (unsigned)minor;
}

static void choose_version(struct sk_engine *engine, struct sk_engine_answer *answer,
                           char why[SK_ENGINE_WHY_MAX]) {
    unsigned most = minor_version(answer->json, "ApiVersion"),
             least = minor_version(answer->json, "MinAPIVersion");
    if (most < SK_ENGINE_VERSION_LEAST) {
        answer->status = SK_UNSUPPORTED;
        snprintf(why, SK_ENGINE_WHY_MAX,
                 "the container engine at %s speaks version %.20s of Docker's API; 1.%d is needed",
                 engine->path,
                 most ? json_string_value(json_object_get(answer->json, "ApiVersion")) : "0",
                 SK_ENGINE_VERSION_LEAST);
        answer->why = why;
        return;
    }
    engine->version = most < VERSION_WANTED ? most : VERSION_WANTED;
    if (least > engine->version && least <= most) engine->version = least;
}

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *http) {
    struct sk_engine_call *call = arg;
    struct sk_engine *engine = call->engine;
    sk_engine_done *done = call->done;
    void *done_arg = call->arg;
    char why[SK_ENGINE_WHY_MAX] = "";
    struct sk_engine_answer answer = {.status = status, .why = why};
    bool greets = call->greets;
    json_t *json = NULL;
    if (status) {
        no_answer(engine, status, why);
    } else {
        answer.http = http->status;
        json = call->part && http->status / 100 == 2
                   ? NULL
                   : sk_json_load(sk_buffer_span(&http->body), JSON_DECODE_ANY, NULL);
        answer.json = json;
        const char *message = json_string_value(json_object_get(json, "message"));
        bool fine = http->status / 100 == 2 || http->status == 304;
        if (!fine) {
            answer.status = http->status == 404 ? SK_NOT_FOUND : SK_REFUSED;
            snprintf(why, sizeof why, "%.300s", message ? message : sk_http_reason(http->status));
        } else if (greets) {
            choose_version(engine, &answer, why);
        }
    }
    call_free(call);
    if (done) done(done_arg, &answer);
    json_decref(json);
}

static void on_silence(struct sk_timer *timer) {
    struct sk_engine_call *call = SK_CONTAINER(timer, struct sk_engine_call, silence);
    sk_engine_done *done = call->done;
    void *arg = call->arg;
    char why[SK_ENGINE_WHY_MAX];
    no_answer(call->engine, SK_TIMEOUT, why);
    sk_engine_cancel(call);
    if (done) done(arg, &(struct sk_engine_answer){.status = SK_TIMEOUT, .why = why});
}

static void on_part(void *arg, const struct sk_http_parser *answer, struct sk_span bytes) {
    struct sk_engine_call *call = arg;
    (void)answer;
    if (call->silence_ns)
        sk_timer_start(call->engine->io, &call->silence, call->silence_ns, on_silence);
    if (call->done) call->part(call->arg, bytes);
}

/* ---- asking ---- */

static struct sk_engine_call *call_new(struct sk_engine *engine, sk_engine_done *done, void *arg) {
    struct sk_engine_call *call = SK_NEW(struct sk_engine_call);
    call->engine = engine;
    call->done = done;
    call->arg = arg;
    sk_list_append(&engine->calls, &call->link);
    sk_http_client_new(engine->io,
                       &(struct sk_http_client_options){.to = {.path = engine->path},
                                                        .connect_timeout_ms = CONNECT_MS},
                       &call->client);
    return call;
}

static void send_call(struct sk_engine_call *call, struct sk_http_ask *ask, const char *target) {
    char whole[TARGET_MAX];
    int n = call->greets ? snprintf(whole, sizeof whole, "%s", target)
                         : snprintf(whole, sizeof whole, "/v1.%u%s", call->engine->version, target);
    SK_ASSERT(n > 0 && (size_t)n < sizeof whole);
    ask->target = sk_span(whole, (size_t)n);
    ask->answer_max = ANSWER_MAX;
    ask->done = on_answer;
    ask->arg = call;
    sk_http_client_send(call->client, ask);
}

struct sk_engine_call *sk_engine_ask(struct sk_engine *engine, enum sk_http_method method,
                                     const char *target, const json_t *body, uint32_t timeout_ms,
                                     sk_engine_done *done, void *arg) {
    static const struct sk_http_pair type[] = {{"Content-Type", {"application/json", 16}}};
    struct sk_engine_call *call = call_new(engine, done, arg);
    SK_CLEANUP_FREE char *text = body ? sk_json_text(body) : NULL;
    send_call(call,
              &(struct sk_http_ask){.method = method,
                                    .headers = type,
                                    .header_count = body ? 1 : 0,
                                    .body = sk_span_z(text),
                                    .timeout_ms = timeout_ms},
              target);
    return call;
}

struct sk_engine_call *sk_engine_stream(struct sk_engine *engine,
                                        const struct sk_engine_stream *stream) {
    struct sk_engine_call *call = call_new(engine, stream->done, stream->arg);
    const struct sk_http_pair auth[] = {{"X-Registry-Auth", stream->registry_auth}};
    call->part = stream->part;
    call->silence_ns = stream->silence_ms * SK_MS;
    send_call(
        call,
        &(struct sk_http_ask){.method = stream->method,
                              .headers = auth,
                              .header_count = stream->registry_auth.n ? 1 : 0,
                              .timeout_ms = stream->silence_ms ? stream->silence_ms : UINT32_MAX,
                              .on_body = on_part},
        stream->target);
    if (call->silence_ns) sk_timer_start(engine->io, &call->silence, call->silence_ns, on_silence);
    return call;
}

struct sk_engine_call *sk_engine_greet(struct sk_engine *engine, sk_engine_done *done, void *arg) {
    struct sk_engine_call *call = call_new(engine, done, arg);
    call->greets = true;
    send_call(call, &(struct sk_http_ask){.method = SK_HTTP_GET, .timeout_ms = CONNECT_MS},
              "/version");
    return call;
}
