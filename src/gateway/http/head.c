/* The HTTPS head: paths to requests, answers to status lines. Reference:
 * docs/protocols/service-api.md, sections 1 and 2; docs/protocols/device-protocols.md, section
 * 4. */
#include "azure/http_paths.h"
#include "gateway/http/head.h"
#include "model/json_text.h"

#include <stdio.h>

enum { BODY_MAX = 1024 * 1024, LIST_MAX = 1000 };

/* ---- answers ---- */

static void refuse(struct sk_http_exchange *exchange, enum sk_fault fault, const char *text) {
    struct sk_error error;
    sk_error_set(&error, fault, text ? "%s" : NULL, text);
    sk_http_head_refuse(exchange, &error, false, NULL);
}

static void answer_method(struct sk_http_exchange *exchange, const struct sk_answer *answer) {
    struct sk_buffer body = {0};
    json_t *valid = answer->payload.n
                        ? json_loadb(answer->payload.p, answer->payload.n, JSON_DECODE_ANY, NULL)
                        : NULL;
    if (answer->payload.n && valid == NULL) {
        struct sk_error error;
        sk_error_set(&error, SK_FAULT_BAD_GATEWAY, "the device's answer is not JSON");
        sk_http_head_refuse(exchange, &error, true, NULL);
        return;
    }
    sk_buffer_print(&body, "{\"status\":%d,\"payload\":", answer->status);
    sk_buffer_append(&body, valid ? answer->payload : SK_SPAN("null"));
    sk_buffer_byte(&body, '}');
    json_decref(valid);
    sk_http_respond_json(exchange, 200, sk_buffer_span(&body));
    sk_buffer_free(&body);
}

static void answer_document(struct sk_http_exchange *exchange, const struct sk_answer *answer) {
    struct sk_buffer headers = {0};
    sk_http_put_header(&headers, "Content-Type", SK_SPAN("application/json; charset=utf-8"));
    if (answer->etag.n) {
        char quoted[SK_ETAG_MAX + 3];
        snprintf(quoted, sizeof quoted, "\"%.*s\"", SK_ARG(answer->etag));
        sk_http_put_header(&headers, "ETag", sk_span_z(quoted));
    }
    if (answer->continuation.n)
        sk_http_put_header(&headers, "x-ms-continuation", answer->continuation);
    if (answer->item_type.n) sk_http_put_header(&headers, "x-ms-item-type", answer->item_type);
    SK_CLEANUP_FREE char *body = answer->document ? sk_json_text(answer->document) : NULL;
    sk_http_respond(exchange, answer->partial ? 400 : 200, sk_buffer_span(&headers),
                    body ? sk_span_z(body) : answer->text);
    sk_buffer_free(&headers);
}

/* The new version, as over the other protocols. */
static void answer_report(struct sk_http_exchange *exchange, const struct sk_answer *answer) {
    char body[40];
    snprintf(body, sizeof body, "{\"$version\":%llu}", (unsigned long long)answer->version);
    sk_http_respond_json(exchange, 200, sk_span_z(body));
}

/* A command's answer is the body itself, its status a header. */
static void answer_command(struct sk_http_exchange *exchange, const struct sk_answer *answer) {
    struct sk_buffer headers = {0};
    char status[16], id[37];
    snprintf(status, sizeof status, "%d", answer->status);
    sk_io_guid(exchange->io, id);
    sk_http_put_header(&headers, "Content-Type", SK_SPAN("application/json; charset=utf-8"));
    sk_http_put_header(&headers, "x-ms-command-statuscode", sk_span_z(status));
    sk_http_put_header(&headers, "x-ms-request-id", sk_span_z(id));
    sk_http_respond(exchange, 200, sk_buffer_span(&headers),
                    answer->payload.n ? answer->payload : SK_SPAN("null"));
    sk_buffer_free(&headers);
}

/* As Prometheus takes it. */
static void answer_packed(struct sk_http_exchange *exchange, const struct sk_answer *answer) {
    struct sk_buffer headers = {0};
    sk_http_put_header(&headers, "Content-Type", SK_SPAN("application/x-protobuf"));
    sk_http_put_header(&headers, "Content-Encoding", SK_SPAN("snappy"));
    sk_http_respond(exchange, 200, sk_buffer_span(&headers), answer->text);
    sk_buffer_free(&headers);
}

/* Accepted: its device does the rest. */
static void answer_patch(struct sk_http_exchange *exchange, const struct sk_answer *answer) {
    const struct sk_http_parser *http = exchange->request;
    struct sk_buffer headers = {0};
    char quoted[SK_ETAG_MAX + 3];
    snprintf(quoted, sizeof quoted, "\"%.*s\"", SK_ARG(answer->etag));
    sk_http_put_header(&headers, "ETag", sk_span_z(quoted));
    sk_http_put_header(&headers, "Location",
                       sk_arena_print(&exchange->arena, "https://%.*s%.*s",
                                      SK_ARG(sk_http_header(http, "Host")), SK_ARG(http->path)));
    sk_http_respond(exchange, 202, sk_buffer_span(&headers), SK_NONE);
    sk_buffer_free(&headers);
}

static void on_answer(struct sk_request *request, const struct sk_answer *answer) {
    struct sk_http_request *r = (struct sk_http_request *)request;
    struct sk_http_exchange *exchange = r->exchange;
    if (answer->events) {
        sk_http_watch_start(r, answer->events); /* takes the request along */
        return;
    }
    if (answer->outbox) {
        sk_http_watch_outbox(r, answer->outbox); /* likewise */
        return;
    }
    /* Answering ends the exchange and its arena, into which the request points: nothing of it is
     * used after. */
    if (answer->error)
        sk_http_head_refuse(exchange, answer->error, request->op == SK_OP_METHOD_INVOKE,
                            request->correlation);
    else if (request->op == SK_OP_METHOD_INVOKE)
        answer_method(exchange, answer);
    else if (request->op == SK_OP_COMMAND_INVOKE)
        answer_command(exchange, answer);
    else if (request->op == SK_OP_DIGITAL_TWIN_PATCH)
        answer_patch(exchange, answer);
    else if (request->op == SK_OP_TWIN_REPORT)
        answer_report(exchange, answer);
    else if (request->op == SK_OP_SERIES_REMOTE_READ)
        answer_packed(exchange, answer);
    else if (answer->document || answer->text.n)
        answer_document(exchange, answer);
    else if (answer->message)
        sk_http_answer_message(exchange, answer->message);
    else
        sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
    sk_http_request_free(r);
}

/* ---- requests ---- */

static uint64_t number(struct sk_span text, uint64_t otherwise) {
    int64_t value;
    return sk_span_to_int(text, &value) == SK_OK && value > 0 ? (uint64_t)value : otherwise;
}

/* The body's string member as a span into the document. */
static struct sk_span text_member(const json_t *body, const char *name) {
    return sk_span_z(json_string_value(json_object_get(body, name)));
}

static bool read_timeout(const json_t *body, const char *name, unsigned least, unsigned otherwise,
                         unsigned *seconds) {
    const json_t *value = json_object_get(body, name);
    *seconds = otherwise;
    if (value == NULL || json_is_null(value)) return true;
    json_int_t n = json_is_integer(value) ? json_integer_value(value) : -1;
    if (n < least || n > 300) return false;
    *seconds = (unsigned)n;
    return true;
}

/* False: the sentence is in *why. */
static bool read_method(struct sk_http_request *r, const char **why) {
    json_t *body = r->request.body, *payload = json_object_get(body, "payload");
    r->request.name = text_member(body, "methodName");
    if (r->request.name.n == 0 || r->request.name.n > 100) {
        *why = "methodName is missing or longer than 100 characters";
        return false;
    }
    if (!read_timeout(body, "responseTimeoutInSeconds", 5, 30, &r->request.response_timeout_s) ||
        !read_timeout(body, "connectTimeoutInSeconds", 0, 0, &r->request.connect_timeout_s)) {
        *why = "responseTimeoutInSeconds is 5 to 300, connectTimeoutInSeconds 0 to 300";
        return false;
    }
    /* null is a payload (Node's device SDK cannot read an empty one); left out it is an empty
     * body. */
    r->payload = payload ? sk_json_text(payload) : NULL;
    r->request.payload = r->payload ? sk_span_z(r->payload) : SK_NONE;
    return true;
}

/* Seconds in the query; false: it is no such number. */
static bool query_timeout(struct sk_span query, const char *name, unsigned least,
                          unsigned otherwise, unsigned *seconds) {
    struct sk_span text = sk_http_query(query, name);
    int64_t n = otherwise;
    if (text.n && (sk_span_to_int(text, &n) || n < least || n > 300)) return false;
    *seconds = (unsigned)n;
    return true;
}

/* A command of Plug and Play is a direct method: "command", or of a component "component*command".
 * The body is its payload, whatever JSON it is. */
static bool read_command(struct sk_http_request *r, const char **why) {
    struct sk_http_parser *http = r->exchange->request;
    struct sk_span body = sk_buffer_span(&http->body);
    if (r->request.component.n)
        r->request.name = sk_arena_print(&r->exchange->arena, "%.*s*%.*s",
                                         SK_ARG(r->request.component), SK_ARG(r->request.name));
    json_t *valid = body.n ? sk_json_load(body, JSON_DECODE_ANY, NULL) : json_null();
    json_decref(valid);
    r->request.payload = body;
    *why = valid == NULL ? "the payload is not JSON"
                         : "responseTimeoutInSeconds is 5 to 300, connectTimeoutInSeconds 0 to 300";
    return valid && r->request.name.n <= 256 &&
           query_timeout(http->query, "responseTimeoutInSeconds", 5, 30,
                         &r->request.response_timeout_s) &&
           query_timeout(http->query, "connectTimeoutInSeconds", 0, 0,
                         &r->request.connect_timeout_s);
}

/* from=earliest | latest | <sequence number> | <ISO 8601 time>; Last-Event-ID continues after a
 * sequence number. */
static bool read_watch(struct sk_http_request *r) {
    struct sk_span from =
        sk_percent_decoded(&r->exchange->arena, sk_http_query(r->exchange->request->query, "from"));
    struct sk_span last = sk_http_header(r->exchange->request, "Last-Event-ID");
    struct sk_events_ask *ask = sk_arena_alloc(&r->exchange->arena, sizeof *ask);
    struct sk_events_position *at = &ask->from;
    ask->partition = SK_ALL_PARTITIONS;
    r->request.ask = ask;
    at->from = SK_EVENTS_OFFSET;
    if (last.n && sk_span_to_int(last, &at->value) == SK_OK && at->value >= 0) return true;
    return sk_events_position_read(from.n ? from : SK_SPAN("latest"), at) == SK_OK;
}

static bool read_scope(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    struct sk_arena *arena = &r->exchange->arena;
    json_t *body = r->request.body;
    r->request.chain = text_member(body, "authChain");
    if (r->request.op == SK_OP_SCOPE_LIST) {
        r->request.max = body ? (uint64_t)json_integer_value(json_object_get(body, "pageSize"))
                              : number(sk_http_query(http->query, "deviceCount"), 100);
        r->request.continuation =
            body ? text_member(body, "continuationLink")
                 : sk_percent_decoded(arena, sk_http_query(http->query, "continuationToken"));
        if (r->request.max == 0 || r->request.max > 100) r->request.max = 100;
        return true;
    }
    struct sk_span device =
        body ? text_member(body, "targetDeviceId")
             : sk_percent_decoded(arena, sk_http_query(http->query, "targetDeviceId"));
    struct sk_span module =
        body ? text_member(body, "targetModuleId")
             : sk_percent_decoded(arena, sk_http_query(http->query, "targetModuleId"));
    r->request.name =
        module.n ? sk_arena_print(arena, "%.*s/%.*s", SK_ARG(device), SK_ARG(module)) : device;
    return device.n > 0;
}

/* For a module of an edge device below. What is asked is taken out of the body, which of a PUT is
 * the module. */
static bool read_below(struct sk_http_request *r) {
    struct sk_arena *arena = &r->exchange->arena;
    json_t *body = r->request.body, *module = json_object_get(body, "module");
    bool puts = r->request.op == SK_OP_BELOW_PUT, lists = r->request.op == SK_OP_BELOW_LIST;
    struct sk_span name = text_member(puts ? module : body, puts ? "moduleId" : "targetModuleId");
    if (name.n == 0) name = text_member(body, "moduleId");
    r->request.chain = sk_arena_copy(arena, text_member(body, "authChain"));
    r->request.name = sk_arena_copy(arena, name);
    if (puts && json_is_object(module)) {
        r->request.body = json_incref(module);
        json_decref(body);
    }
    return r->request.chain.n && (lists || name.n);
}

/* As queries have it, or in the query string. */
static void read_continuation(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    r->request.continuation = sk_http_header(http, "x-ms-continuation");
    if (r->request.continuation.n == 0)
        r->request.continuation = sk_percent_decoded(
            &r->exchange->arena, sk_http_query(http->query, "continuationToken"));
}

/* Filters, and pages. */
static void read_job_list(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    struct sk_arena *arena = &r->exchange->arena;
    struct sk_span max = sk_http_header(http, "x-ms-max-item-count");
    r->request.job_type = sk_percent_decoded(arena, sk_http_query(http->query, "jobType"));
    r->request.job_status = sk_percent_decoded(arena, sk_http_query(http->query, "jobStatus"));
    r->request.max = number(max.n ? max : sk_http_query(http->query, "pageSize"), 100);
}

static bool wants_json_body(enum sk_op op, enum sk_http_method method) {
    return method != SK_HTTP_GET && method != SK_HTTP_DELETE && sk_op_body(op) != SK_BODY_NONE;
}

/* The body as JSON, where the operation has one; false: already refused. */
static bool read_body(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    if (!wants_json_body(r->request.op, http->method)) return true;
    json_error_t error;
    r->request.body = sk_json_load(sk_buffer_span(&http->body), JSON_REJECT_DUPLICATES, &error);
    bool list = sk_op_body(r->request.op) == SK_BODY_LIST;
    if (list ? json_is_array(r->request.body) : json_is_object(r->request.body)) return true;
    struct sk_error refusal;
    sk_error_set(&refusal, SK_FAULT_DESERIALIZATION, "the body is not a JSON %s: %s",
                 list ? "array" : "object", r->request.body ? "another type" : error.text);
    sk_http_head_refuse(r->exchange, &refusal, false, NULL);
    return false;
}

static void asker_gone(struct sk_http_exchange *exchange) {
    struct sk_http_request *r = exchange->data;
    if (r->request.gone) r->request.gone(&r->request);
}

/* The backend works long on it: the client's going is looked for meanwhile, which is paid for with
 * a connection that has to be read. */
static void look_for_its_going(struct sk_http_request *r) {
    r->exchange->data = r;
    r->exchange->gone = asker_gone;
}

/* Everything that depends on the operation; false: already refused. */
static bool read_request(struct sk_http_request *r) {
    struct sk_http_parser *http = r->exchange->request;
    const char *why = "the request is not valid for this operation";
    bool fine = true;
    if (!read_body(r)) return false;
    read_continuation(r);
    r->request.query = http->query;
    switch (r->request.op) {
    case SK_OP_TELEMETRY:
    case SK_OP_C2D_SEND:
        if (sk_http_read_message(r)) break;
        refuse(r->exchange, SK_FAULT_MESSAGE_TOO_LARGE, NULL);
        return false;
    case SK_OP_C2D_RECEIVE:
        fine = sk_http_read_receive(r);
        why = "IotHub-MessageLockTimeout is a number of seconds";
        break;
    case SK_OP_C2D_SETTLE:
    case SK_OP_FEEDBACK_SETTLE:
    case SK_OP_FILE_NOTICE_SETTLE: sk_http_read_settle(r); break;
    case SK_OP_METHOD_INVOKE: fine = read_method(r, &why); break;
    case SK_OP_COMMAND_INVOKE: fine = read_command(r, &why); break;
    case SK_OP_FILE_UPLOAD: r->request.host = sk_http_header(http, "Host"); break;
    case SK_OP_FILE_UPLOADED:
        if (r->request.name.n == 0) r->request.name = text_member(r->request.body, "correlationId");
        fine = r->request.name.n > 0;
        why = "correlationId is missing";
        break;
    case SK_OP_QUERY:
        r->request.name = text_member(r->request.body, "query");
        r->request.max = number(sk_http_header(http, "x-ms-max-item-count"), 100);
        why = "the body has no \"query\" of at most 8192 characters";
        fine = r->request.name.n > 0 && r->request.name.n <= 8192;
        break;
    case SK_OP_RECORD_LIST:
    case SK_OP_JOB_LIST: read_job_list(r); break;
    case SK_OP_SERIES_QUERY:
    case SK_OP_SERIES_REMOTE_READ:
        r->request.payload = sk_buffer_span(&http->body);
        look_for_its_going(r);
        break;
    case SK_OP_DEVICE_LIST:
    case SK_OP_CONFIGURATION_LIST:
        r->request.max = number(sk_http_query(http->query, "top"), LIST_MAX);
        if (r->request.max > LIST_MAX) r->request.max = LIST_MAX;
        break;
    case SK_OP_EVENTS_WATCH:
        fine = read_watch(r);
        why = "from is earliest, latest, a sequence number or an ISO 8601 time";
        break;
    case SK_OP_SCOPE_LIST:
    case SK_OP_SCOPE_GET:
        fine = read_scope(r);
        why = "targetDeviceId is missing";
        break;
    case SK_OP_BELOW_PUT:
    case SK_OP_BELOW_GET:
    case SK_OP_BELOW_LIST:
    case SK_OP_BELOW_DELETE:
        fine = read_below(r);
        why = "authChain or the module's id is missing";
        break;
    default: break;
    }
    r->request.if_match = sk_http_header(http, "If-Match");
    r->request.replace = http->method == SK_HTTP_PUT;
    if (!fine) refuse(r->exchange, SK_FAULT_ARGUMENT_INVALID, why);
    return fine;
}

/* All of the request is there, and who asks is known. */
static void submit(struct sk_http_request *r) {
    if (sk_http_is_batch(r)) {
        struct sk_error refusal;
        if (sk_http_submit_batch(r, &refusal)) return;
        sk_http_head_refuse(r->exchange, &refusal, false, NULL);
        sk_http_request_free(r);
    } else if (read_request(r)) {
        sk_gateway_submit(r->backend, &r->request);
    } else {
        sk_http_request_free(r);
    }
}

static void drop(struct sk_http_exchange *exchange) {
    sk_http_request_free(exchange->data);
}

/* What a client calls its request, when it is short enough and plain. */
static void take_correlation(struct sk_http_request *r) {
    struct sk_span id = sk_http_header(r->exchange->request, "x-ms-client-request-id");
    if (id.n && id.n < sizeof r->request.correlation && sk_span_only(id, "-_.{}"))
        memcpy(r->request.correlation, id.p, id.n);
}

static void on_authenticated(void *arg, const struct sk_error *error,
                             struct sk_principal *principal) {
    struct sk_http_request *r = arg;
    struct sk_http_exchange *exchange = r->exchange;
    if (error) {
        sk_http_head_refuse(exchange, error, false, NULL);
        sk_http_request_free(r);
        return;
    }
    if (exchange->stream) sk_stream_proved(exchange->stream);
    r->principal = *principal;
    *principal = (struct sk_principal){0};
    r->request.who = &r->principal;
    take_correlation(r);
    r->request.done = on_answer;
    if (!r->waits) {
        submit(r);
        return;
    }
    exchange->data = r;
    exchange->dropped = drop;
    sk_http_take_body(exchange);
}

static bool version_known(struct sk_span version) {
    static const char *const suffixes[] = {"", "-preview"};
    int64_t when;
    for (size_t i = 0; i < 2; i++) {
        struct sk_span suffix = sk_span_z(suffixes[i]);
        if (version.n == 10 + suffix.n && sk_span_ends(version, suffix))
            return sk_time_parse(sk_span_first(version, 10), &when) == SK_OK;
    }
    return false;
}

/* Remote monitoring, device simulation and Prometheus have their version in the path. */
static bool has_version(struct sk_span path) {
    static const char *const starts[] = {"/config/v1/", "/telemetry/v1/", "/devicesimulation/v1/",
                                         "/api/v1/"};
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        if (sk_span_starts_nocase(path, sk_span_z(starts[i]))) return true;
    return false;
}

/* A device's own calls: made as that identity, whoever signed; it must exist and be enabled. */
static bool is_own_call(enum sk_op op) {
    return op == SK_OP_TELEMETRY || op == SK_OP_C2D_RECEIVE || op == SK_OP_C2D_SETTLE ||
           op == SK_OP_TWIN_GET || op == SK_OP_TWIN_REPORT || op == SK_OP_FILE_UPLOAD ||
           op == SK_OP_FILE_UPLOADED;
}

/* Clients of ARM know bearer tokens only; ours are signatures, which they may hold. */
static struct sk_span token_of(const struct sk_http_parser *http) {
    struct sk_span token = sk_http_header(http, "Authorization"), bearer = SK_SPAN("Bearer ");
    if (!sk_http_is_arm(http->path) || !sk_span_starts_nocase(token, bearer)) return token;
    return sk_span_skip(token, bearer.n);
}

/* A module's call through an edge hub says who calls
 * (docs/protocols/device-protocols.md, section 4.5); false: it does not. */
static bool take_caller(const struct sk_http_request *r, struct sk_credentials *credentials) {
    struct sk_span caller = sk_http_header(r->exchange->request, "x-ms-edge-moduleId");
    size_t slash = sk_span_find(caller, '/');
    struct sk_arena *arena = &r->exchange->arena;
    if (caller.p == NULL) return r->request.op != SK_OP_METHOD_INVOKE || !r->backend->any_host;
    credentials->device = sk_percent_decoded(arena, sk_span_first(caller, slash));
    credentials->module = sk_percent_decoded(arena, sk_span_skip(caller, slash + 1));
    return credentials->device.n && credentials->module.n;
}

static struct sk_backend *find_backend(struct sk_gateway *gateway,
                                       struct sk_http_exchange *exchange) {
    struct sk_span host = sk_http_header(exchange->request, "Host");
    return sk_gateway_find(gateway, sk_span_first(host, sk_span_find(host, ':')));
}

/* Java's HTTP client knows no PATCH: its SDKs say it in a header of a POST. */
static enum sk_http_method method_of(const struct sk_http_parser *http) {
    struct sk_span meant = sk_http_header(http, "X-HTTP-Method-Override");
    bool patch = sk_span_eq_nocase(meant, SK_SPAN("PATCH"));
    return http->method == SK_HTTP_POST && patch ? SK_HTTP_PATCH : http->method;
}

/* Finds out from the headers what is asked and by whom. `waits`: there is a body, which has not
 * been read. */
static void begin(struct sk_gateway *gateway, struct sk_http_exchange *exchange, bool waits) {
    struct sk_http_parser *http = exchange->request;
    http->method = method_of(http);
    struct sk_backend *backend = find_backend(gateway, exchange);
    if (backend == NULL) {
        refuse(exchange, SK_FAULT_HUB_NOT_FOUND, NULL);
        return;
    }
    if (backend->ops->exchange && backend->ops->exchange(backend, exchange, waits)) return;
    struct sk_request asked = {0};
    enum sk_status status = sk_http_path_read(http->method, http->path, &exchange->arena, &asked);
    if (status) {
        refuse(exchange,
               status == SK_UNSUPPORTED ? SK_FAULT_METHOD_NOT_ALLOWED : SK_FAULT_NOT_FOUND, NULL);
        return;
    }
    struct sk_span version = sk_http_query(http->query, "api-version");
    if (!version_known(version) && (version.n > 0 || !has_version(http->path))) {
        refuse(exchange, SK_FAULT_INVALID_PROTOCOL_VERSION, "send ?api-version=2021-04-12");
        return;
    }
    struct sk_http_request *r = SK_NEW(struct sk_http_request);
    r->exchange = exchange;
    r->backend = backend;
    r->waits = waits;
    r->request = asked;
    struct sk_credentials credentials = {.stream = exchange->stream,
                                         .protocol = "Https",
                                         .token = token_of(http),
                                         .resource = sk_arena_print(&exchange->arena, "%.*s%.*s",
                                                                    SK_ARG(backend->host_name),
                                                                    SK_ARG(http->path))};
    if (is_own_call(r->request.op)) {
        credentials.device = r->request.device;
        credentials.module = r->request.module;
    }
    if (credentials.token.n == 0)
        credentials.device = r->request.device; /* a certificate names no identity for certain */
    if (!take_caller(r, &credentials)) {
        refuse(exchange, SK_FAULT_ARGUMENT_INVALID,
               "x-ms-edge-moduleId names the calling module: {device}/{module}");
        sk_http_request_free(r);
        return;
    }
    sk_authenticate(backend, &credentials, on_authenticated, r);
}

/* Whether somebody else answers requests for this path. */
static bool pass(struct sk_gateway *gateway, struct sk_http_exchange *exchange) {
    struct sk_span path = exchange->request->path, passed = gateway->passed;
    if (passed.n == 0 || !sk_span_starts(path, passed) ||
        (path.n > passed.n && path.p[passed.n] != '/'))
        return false;
    gateway->pass(gateway->pass_arg, exchange);
    return true;
}

/* Headers decide: nobody's body is read before he is known. */
static void handle_headers(void *arg, struct sk_http_exchange *exchange) {
    if (!pass(arg, exchange)) begin(arg, exchange, true);
}

static void handle(void *arg, struct sk_http_exchange *exchange) {
    struct sk_gateway *gateway = arg;
    struct sk_http_request *r = exchange->data;
    exchange->data = NULL;
    if (r) /* the body has come behind the headers */
        submit(r);
    else if (!pass(gateway, exchange) && !gateway->upgrade(gateway, exchange))
        begin(gateway, exchange, false);
}

/* ---- connections ---- */

static void end(struct sk_connection *connection) {
    sk_stream_close(connection->stream);
}

static void *opened(void *arg, struct sk_stream *stream) {
    struct sk_connection *c = SK_NEW(struct sk_connection);
    connection_add(arg, c, stream, end);
    return c;
}

static void closed(void *arg, void *connection_data) {
    (void)arg;
    connection_remove(connection_data);
    free(connection_data);
}

void http_head_init(struct sk_gateway *gateway) {
    gateway->http = (struct sk_http_service){.headers = handle_headers,
                                             .handler = handle,
                                             .arg = gateway,
                                             .body_max = BODY_MAX,
                                             .opened = opened,
                                             .closed = closed};
}
