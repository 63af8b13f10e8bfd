#include "edge/page/page.h"

#include <jansson.h>
#include <stdio.h>

#include "edge/page/files.h"
#include "model/json_text.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "wire/http_router.h"

enum { ASK_MS = 5000, LOG_LINES = 500, ANSWER_MAX = 4 << 20 };

struct sk_page {
    struct sk_io *io;
    char key[SK_PAGE_KEY];
    struct sk_http_service service;
    struct sk_http_listener *listener;
    struct sk_http_client *agent, *hub;
};

enum route { INDEX, SCRIPT, STYLE, STATUS, LOGS };

static const struct sk_http_route routes[] = {
    {SK_HTTP_GET, "/", INDEX},
    {SK_HTTP_GET, "/page.js", SCRIPT},
    {SK_HTTP_GET, "/page.css", STYLE},
    {SK_HTTP_GET, "/api/status", STATUS},
    {SK_HTTP_GET, "/api/modules/{}/logs", LOGS},
};

/* ---- answers ---- */

/* Nothing that a module or device has said is executed, framed or cached. */
static void put_headers(struct sk_buffer *to, struct sk_span type) {
    sk_http_put_header(to, "Content-Type", type);
    sk_http_put_header(to, "Content-Security-Policy",
                       SK_SPAN("default-src 'none'; script-src 'self'; style-src 'self'; "
                               "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"));
    sk_http_put_header(to, "X-Content-Type-Options", SK_SPAN("nosniff"));
    sk_http_put_header(to, "Referrer-Policy", SK_SPAN("no-referrer"));
    sk_http_put_header(to, "Cache-Control", SK_SPAN("no-store"));
}

static void answer(struct sk_http_exchange *exchange, unsigned status, struct sk_span type,
                   struct sk_span body) {
    struct sk_buffer headers = {0};
    put_headers(&headers, type);
    sk_http_respond(exchange, status, sk_buffer_span(&headers), body);
    sk_buffer_free(&headers);
}

static void refuse(struct sk_http_exchange *exchange, unsigned status, const char *why) {
    json_t *json = json_pack("{s:s}", "message", why);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    json_decref(json);
    answer(exchange, status, SK_SPAN("application/json"), sk_span_z(text));
}

static bool may_look(const struct sk_page *page, struct sk_http_exchange *exchange) {
    struct sk_span said = sk_http_header(exchange->request, "Authorization");
    if (!sk_span_starts_nocase(said, SK_SPAN("Bearer "))) return false;
    return sk_equal_constant_time(sk_span_skip(said, 7), sk_span_z(page->key));
}

/* ---- status: what both roles say, without what is secret ---- */

struct status_call {
    struct sk_http_exchange *exchange;
    json_t *agent, *hub;
    unsigned waiting;
};

static void take(json_t *to, const char *name, const json_t *from, const char *member) {
    json_t *value = json_object_get(from, member);
    if (value) json_object_set(to, name, value);
}

static json_t *module_view(const char *name, const json_t *module) {
    static const char *const shown[] = {
        "type",         "status",          "runtimeStatus",    "statusDescription",
        "restartCount", "exitCode",        "lastStartTimeUtc", "lastExitTimeUtc",
        "version",      "memoryUsedBytes", "startupOrder",     "restartPolicy"};
    json_t *view = json_pack("{s:s}", "name", name),
           *settings = json_object_get(module, "settings");
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        take(view, shown[i], module, shown[i]);
    take(view, "image", settings, "image");
    json_t *program = json_array_get(json_object_get(settings, "command"), 0);
    if (program) json_object_set(view, "program", program);
    return view;
}

static void put_modules(json_t *list, const json_t *table) {
    const char *name;
    json_t *module;
    json_object_foreach((json_t *)table, name, module)
        json_array_append_new(list, module_view(name, module));
}

static void answer_status(struct status_call *call) {
    static const char *const shown[] = {"deviceId", "hub", "connected", "lastDesiredVersion",
                                        "lastDesiredStatus"};
    json_t *view = json_object(), *modules = json_array();
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        take(view, shown[i], call->agent, shown[i]);
    put_modules(modules, json_object_get(call->agent, "systemModules"));
    put_modules(modules, json_object_get(call->agent, "modules"));
    json_object_set_new(view, "modules", modules);
    json_object_set_new(view, "agentAnswers", json_boolean(call->agent != NULL));
    json_object_set_new(view, "edgeHub", call->hub ? json_incref(call->hub) : json_null());
    SK_CLEANUP_FREE char *text = sk_json_text(view);
    answer(call->exchange, 200, SK_SPAN("application/json"), sk_span_z(text));
    json_decref(view);
    json_decref(call->agent);
    json_decref(call->hub);
    free(call);
}

static void one_more(struct status_call *call, json_t **slot, enum sk_status status,
                     const struct sk_http_parser *heard) {
    if (status == SK_OK && heard->status == 200)
        *slot = sk_json_load(sk_buffer_span(&heard->body), 0, NULL);
    if (--call->waiting == 0) answer_status(call);
}

static void agent_said(void *arg, enum sk_status status, const struct sk_http_parser *heard) {
    struct status_call *call = arg;
    one_more(call, &call->agent, status, heard);
}

static void hub_said(void *arg, enum sk_status status, const struct sk_http_parser *heard) {
    struct status_call *call = arg;
    one_more(call, &call->hub, status, heard);
}

static void ask(struct sk_http_client *client, struct sk_span target,
                void (*done)(void *arg, enum sk_status status, const struct sk_http_parser *heard),
                void *arg) {
    sk_http_client_send(client, &(struct sk_http_ask){.method = SK_HTTP_GET,
                                                      .target = target,
                                                      .timeout_ms = ASK_MS,
                                                      .answer_max = ANSWER_MAX,
                                                      .done = done,
                                                      .arg = arg});
}

static void ask_status(struct sk_page *page, struct sk_http_exchange *exchange) {
    struct status_call *call = SK_NEW(struct status_call);
    call->exchange = exchange;
    call->waiting = 2;
    ask(page->agent, SK_SPAN("/status"), agent_said, call);
    ask(page->hub, SK_SPAN("/status"), hub_said, call);
}

/* ---- logs ---- */

static void log_came(void *arg, enum sk_status status, const struct sk_http_parser *heard) {
    struct sk_http_exchange *exchange = arg;
    if (status)
        refuse(exchange, 503, "The agent does not answer.");
    else if (heard->status != 200)
        refuse(exchange, heard->status, "There is no log of this module.");
    else
        answer(exchange, 200, SK_SPAN("text/plain; charset=utf-8"), sk_buffer_span(&heard->body));
}

static void ask_log(struct sk_page *page, struct sk_http_exchange *exchange,
                    struct sk_span module) {
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, module);
    sk_buffer_print(&target, "/logs?tail=%d", LOG_LINES);
    ask(page->agent, sk_buffer_span(&target), log_came, exchange);
    sk_buffer_free(&target);
}

/* ---- requests ---- */

static void handle(void *arg, struct sk_http_exchange *exchange) {
    struct sk_page *page = arg;
    struct sk_http_match match;
    enum sk_status status =
        sk_http_route(routes, sizeof routes / sizeof *routes, exchange->request->method,
                      exchange->request->path, &exchange->arena, &match);
    if (status) {
        refuse(exchange, status == SK_UNSUPPORTED ? 405 : 404, "There is no such page.");
        return;
    }
    if (match.id >= STATUS && !may_look(page, exchange)) {
        refuse(exchange, 401,
               "The key of this page is missing or wrong: `skerry-edge page` prints "
               "the address with it.");
        return;
    }
    switch ((enum route)match.id) {
    case INDEX: answer(exchange, 200, SK_SPAN("text/html; charset=utf-8"), page_html()); return;
    case SCRIPT: answer(exchange, 200, SK_SPAN("text/javascript"), page_js()); return;
    case STYLE: answer(exchange, 200, SK_SPAN("text/css"), page_css()); return;
    case STATUS: ask_status(page, exchange); return;
    case LOGS: ask_log(page, exchange, match.captures[0]); return;
    }
}

/* ---- the key ---- */

enum sk_status sk_page_key(struct sk_io *io, const char *file, char key[SK_PAGE_KEY],
                           char reason[256]) {
    struct sk_buffer text = {.limit = SK_PAGE_KEY};
    enum sk_status status = sk_file_load(io, file, &text);
    struct sk_span found = sk_span_trim(sk_buffer_span(&text));
    if (status == SK_NOT_FOUND || (status == SK_OK && found.n != SK_PAGE_KEY - 1)) {
        uint8_t bytes[(SK_PAGE_KEY - 1) / 2];
        sk_io_random(io, bytes, sizeof bytes);
        text.n = 0;
        sk_hex_encode(&text, sk_span(bytes, sizeof bytes));
        found = sk_buffer_span(&text);
        status = sk_file_save(io, file, found, 0600);
    }
    if (status)
        snprintf(reason, 256, "%.180s: %s.", file, sk_status_text(status));
    else
        snprintf(key, SK_PAGE_KEY, "%.*s", SK_ARG(found));
    sk_buffer_free(&text);
    return status;
}

/* ---- life ---- */

enum sk_status sk_page_open(struct sk_io *io, const struct sk_page_options *options,
                            struct sk_page **opened, char reason[256]) {
    struct sk_page *page = SK_NEW(struct sk_page);
    page->io = io;
    page->service = (struct sk_http_service){.handler = handle, .arg = page, .body_max = 0};
    enum sk_status status = sk_page_key(io, options->key_file, page->key, reason);
    if (status) {
        free(page);
        return status;
    }
    status = sk_http_listen(io, &options->at, NULL, &page->service, &page->listener, NULL);
    if (status) {
        snprintf(reason, 256, "%.120s:%u: %s.", options->at.host, options->at.port,
                 status == SK_EXISTS ? "another program listens there" : sk_status_text(status));
        free(page);
        return status;
    }
    sk_http_client_new(io, &(struct sk_http_client_options){.to = {.path = options->agent_path}},
                       &page->agent);
    sk_http_client_new(io, &(struct sk_http_client_options){.to = {.path = options->hub_path}},
                       &page->hub);
    *opened = page;
    return SK_OK;
}

void sk_page_close(struct sk_page *page) {
    sk_http_client_free(page->agent);
    sk_http_client_free(page->hub);
    sk_http_listener_close(page->listener);
    free(page);
}
