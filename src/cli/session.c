/* Login and calls. A call runs the loop until its answer is there: commands read as straight lines.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "azure/connection_string.h"
#include "trust/sas.h"
#include "model/json_text.h"
#include "net/trust.h"

int cli_fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("skerry: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return SK_EXIT_REFUSED;
}

static const char *profile_path(struct cli *cli) {
    const char *home = getenv("HOME");
    const char *config = getenv("XDG_CONFIG_HOME");
    const char *profile = cli->profile ? cli->profile : "default";
    if (config && *config) return sk_arena_print(&cli->arena, "%s/skerry/%s", config, profile).p;
    return sk_arena_print(&cli->arena, "%s/.config/skerry/%s", home ? home : ".", profile).p;
}

/* "host:port" splits, and all protocols go there; else each goes to its own port. */
static bool split_port(struct cli *cli) {
    size_t colon = sk_span_find(cli->host, ':');
    bool given = colon < cli->host.n;
    int64_t port = 443;
    if (given &&
        (sk_span_to_int(sk_span_skip(cli->host, colon + 1), &port) || port < 1 || port > 65535))
        return false;
    cli->host = sk_span_first(cli->host, colon);
    cli->port = (uint16_t)port;
    cli->amqp_port = given ? (uint16_t)port : 5671;
    return true;
}

static int use_login(struct cli *cli, const char *text) {
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX];
    struct sk_span own = sk_arena_copy(&cli->arena, sk_span_trim(sk_span_z(text)));
    cli->login = own.p;
    if (sk_connection_string_parse(own, &parts, error))
        return cli_fail("the connection string is not usable: %s", error);
    if (parts.shared_access_key_name.n == 0 || parts.shared_access_key.n == 0)
        return cli_fail(
            "this is a device's connection string; log in with a policy's, such as iothubowner");
    cli->host = parts.host_name;
    cli->policy = parts.shared_access_key_name;
    cli->key = parts.shared_access_key;
    return split_port(cli) ? SK_EXIT_FINE : cli_fail("the port in HostName is not a number");
}

/* A profile is two lines: the connection string, and the file of trusted certificates (may be
 * empty). */
static int load_profile(struct cli *cli) {
    struct sk_buffer text = {.limit = 16384};
    const char *path = profile_path(cli);
    if (sk_file_load(cli->io, path, &text))
        return cli_fail("not logged in; run: skerry login "
                        "'HostName=…;SharedAccessKeyName=…;SharedAccessKey=…' [--ca FILE]");
    struct sk_span rest = sk_buffer_span(&text), line;
    sk_span_split(&rest, '\n', &line);
    int code = use_login(cli, sk_arena_copy(&cli->arena, line).p);
    if (sk_span_split(&rest, '\n', &line) && line.n && cli->ca_file == NULL)
        cli->ca_file = sk_arena_copy(&cli->arena, line).p;
    sk_buffer_free(&text);
    return code;
}

int cli_connect(struct cli *cli) {
    const char *login = cli->login ? cli->login : getenv("SKERRY_CONNECTION_STRING");
    char reason[256];
    int code = login ? use_login(cli, login) : load_profile(cli);
    if (code) return code;
    if (cli->ca_file == NULL) cli->ca_file = getenv("SKERRY_CA_FILE");
    if (sk_tls_trusting(cli->io, cli->ca_file, NULL, &cli->tls, reason))
        code = cli_fail("%s", reason);
    if (!code && sk_http_client_new(
                     cli->io,
                     &(struct sk_http_client_options){
                         .to = {.host = sk_arena_copy(&cli->arena, cli->host).p, .port = cli->port},
                         .tls = cli->tls},
                     &cli->http))
        code = cli_fail("the host name is not usable");
    return code;
}

int cli_login(void *arg) {
    struct cli *cli = arg;
    cli->login = cli->typed.words[0];
    int code = cli_connect(cli);
    struct cli_answer answer;
    if (!code) code = cli_call(cli, SK_HTTP_GET, "/statistics/service", NULL, NULL, NULL, &answer);
    if (code) return code;
    json_decref(answer.body);
    const char *path = profile_path(cli);
    struct sk_buffer text = {0};
    SK_CLEANUP_FREE char *ca = cli->ca_file ? realpath(cli->ca_file, NULL) : NULL;
    sk_buffer_print(&text, "%s\n%s\n", cli->login, ca ? ca : "");
    const char *slash = strrchr(path, '/');
    sk_folder_make(cli->io, sk_arena_copy(&cli->arena, sk_span(path, (size_t)(slash - path))).p,
                   0700);
    enum sk_status status = sk_file_save(cli->io, path, sk_buffer_span(&text), 0600);
    sk_buffer_free(&text);
    if (status) return cli_fail("cannot write %s (%s)", path, sk_status_text(status));
    printf("logged in to %.*s as %.*s\n", SK_ARG(cli->host), SK_ARG(cli->policy));
    return SK_EXIT_FINE;
}

static void end_soon(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

void cli_disconnect(struct cli *cli) {
    if (cli->http) sk_http_client_free(cli->http);
    struct sk_timer timer = {0};
    sk_timer_start(cli->io, &timer, 20 * SK_MS, end_soon); /* lets the connection close */
    sk_io_run(cli->io);
    sk_tls_free(cli->tls);
    sk_arena_free(&cli->arena);
}

const char *cli_path(struct cli *cli, const char *format, const char *id, const char *second) {
    struct sk_buffer path = {0};
    const char *ids[] = {id, second};
    size_t n = 0;
    for (const char *at = format; *at; at++)
        if (at[0] == '%' && at[1] == 's') {
            sk_percent_encode(&path, sk_span_z(ids[n++]));
            at++;
        } else {
            sk_buffer_byte(&path, *at);
        }
    const char *copy = sk_arena_copy(&cli->arena, sk_buffer_span(&path)).p;
    sk_buffer_free(&path);
    return copy;
}

const char *cli_target(struct cli *cli, const char *root, const char *target) {
    struct sk_span text = sk_span_z(target);
    size_t slash = sk_span_find(text, '/');
    const char *device = sk_arena_copy(&cli->arena, sk_span_first(text, slash)).p;
    if (slash == text.n)
        return cli_path(cli, sk_arena_print(&cli->arena, "/%s/%%s", root).p, device, NULL);
    const char *module = sk_arena_copy(&cli->arena, sk_span_skip(text, slash + 1)).p;
    return cli_path(cli, sk_arena_print(&cli->arena, "/%s/%%s/modules/%%s", root).p, device,
                    module);
}

/* ---- calls ---- */

struct call {
    struct cli *cli;
    struct cli_answer *answer;
    enum sk_status status;
    bool ended;
};

static void put_token(struct cli *cli, struct sk_buffer *to) {
    sk_sas_create(to, cli->host, cli->key, cli->policy, sk_io_wall(cli->io) / 1000000 + 3600);
}

__attribute__((format(printf, 2, 3))) static const char *why(struct cli *cli, const char *format,
                                                             ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(cli->why, sizeof cli->why, format, args);
    va_end(args);
    return cli->why;
}

static const char *refused(struct cli *cli, unsigned status, const json_t *body) {
    const char *message = json_string_value(json_object_get(body, "Message"));
    if (message && strncmp(message, "ErrorCode:", 10) == 0) {
        const char *text = strchr(message, ';');
        return why(cli, "%s (%.*s)", text ? text + 1 : message,
                   text ? (int)(text - message - 10) : 0, message + 10);
    }
    json_t *inner =
        message ? json_loads(message, 0, NULL) : NULL; /* methods answer with JSON inside */
    const char *text = json_string_value(json_object_get(inner, "message"));
    why(cli, "%s (HTTP %u)", text ? text : message ? message : "refused", status);
    json_decref(inner);
    return cli->why;
}

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *response) {
    struct call *call = arg;
    struct cli *cli = call->cli;
    call->status = status;
    call->ended = true;
    cli->call = NULL;
    if (response) {
        struct sk_span body = sk_buffer_span(&response->body),
                       continuation = sk_http_header(response, "x-ms-continuation");
        call->answer->status = response->status;
        call->answer->body = body.n ? json_loadb(body.p, body.n, JSON_DECODE_ANY, NULL) : NULL;
        call->answer->continuation =
            continuation.n ? sk_arena_copy(&cli->arena, continuation).p : NULL;
    }
    sk_io_stop(cli->io);
}

static void explain(char *to, size_t room, const char *host, uint16_t port, enum sk_status status) {
    if (status == SK_UNAUTHORIZED)
        snprintf(to, room, "the certificate of %s is not trusted; give the hub's ca.pem with --ca",
                 host);
    else if (status == SK_NOT_FOUND)
        snprintf(to, room,
                 "the name %s has no address; put it into DNS, or \"ADDRESS %s\" into /etc/hosts",
                 host, host);
    else
        snprintf(to, room, "%s:%u did not answer (%s); is the hub running?", host, port,
                 sk_status_text(status));
}

int cli_explain(const char *host, uint16_t port, enum sk_status status) {
    char text[512];
    explain(text, sizeof text, host, port, status);
    return cli_fail("%s", text);
}

static size_t put_headers(const struct cli *cli, bool body, const char *if_match,
                          const char *continuation, struct sk_http_pair headers[5]) {
    size_t n = 0;
    if (body)
        headers[n++] =
            (struct sk_http_pair){"Content-Type", SK_SPAN("application/json; charset=utf-8")};
    if (cli->sends_message) {
        headers[n++] = (struct sk_http_pair){"iothub-contenttype", SK_SPAN("application/json")};
        headers[n++] = (struct sk_http_pair){"iothub-contentencoding", SK_SPAN("utf-8")};
    }
    if (if_match) headers[n++] = (struct sk_http_pair){"If-Match", sk_span_z(if_match)};
    if (continuation)
        headers[n++] = (struct sk_http_pair){"x-ms-continuation", sk_span_z(continuation)};
    return n;
}

const char *cli_try(struct cli *cli, enum sk_http_method method, const char *path,
                    const json_t *body, const char *if_match, const char *continuation,
                    struct cli_answer *answer) {
    struct call call = {.cli = cli, .answer = answer};
    struct sk_buffer token = {0}, target = {0};
    struct sk_http_pair headers[6];
    put_token(cli, &token);
    sk_buffer_print(&target, "%s%sapi-version=2021-04-12", path, strchr(path, '?') ? "&" : "?");
    SK_CLEANUP_FREE char *text = body ? sk_json_text(body) : NULL;
    headers[0] = (struct sk_http_pair){"Authorization", sk_buffer_span(&token)};
    size_t n = 1 + put_headers(cli, body != NULL, if_match, continuation, headers + 1);
    *answer = (struct cli_answer){0};
    cli->call = sk_http_client_send(
        cli->http, &(struct sk_http_ask){.method = method,
                                         .target = sk_buffer_span(&target),
                                         .headers = headers,
                                         .header_count = n,
                                         .body = sk_span_z(text),
                                         /* a direct method: 300 s */
                                         .timeout_ms = cli->timeout_ms ? cli->timeout_ms : 310000,
                                         .answer_max = 64 * 1024 * 1024,
                                         .done = on_done,
                                         .arg = &call});
    sk_buffer_free(&token);
    sk_buffer_free(&target);
    while (!call.ended) sk_io_run(cli->io);
    if (call.status) {
        SK_CLEANUP_FREE char *host = sk_span_dup(cli->host);
        explain(cli->why, sizeof cli->why, host, cli->port, call.status);
        return cli->why;
    }
    /* Of many identities it tells what became of each, whatever its status is. */
    if (answer->status < 300 || json_object_get(answer->body, "isSuccessful")) return NULL;
    refused(cli, answer->status, answer->body);
    json_decref(answer->body);
    answer->body = NULL;
    return cli->why;
}

int cli_call(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *continuation, struct cli_answer *answer) {
    return cli_try(cli, method, path, body, if_match, continuation, answer)
               ? cli_fail("%s", cli->why)
               : SK_EXIT_FINE;
}

int cli_show(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
             const char *if_match, const char *const *columns) {
    struct cli_answer answer;
    int code = cli_call(cli, method, path, body, if_match, NULL, &answer);
    if (!code) cli_print(cli, answer.body, columns);
    if (!code) json_decref(answer.body);
    return code;
}

const char *cli_try_pages(struct cli *cli, enum sk_http_method method, const char *path,
                          const json_t *body, json_t **all) {
    const char *continuation = NULL, *failed;
    *all = json_array();
    do {
        struct cli_answer answer;
        failed = cli_try(cli, method, path, body, NULL, continuation, &answer);
        if (failed) break;
        json_array_extend(*all, answer.body);
        json_decref(answer.body);
        continuation = answer.continuation;
    } while (continuation);
    return failed;
}

int cli_pages(struct cli *cli, enum sk_http_method method, const char *path, const json_t *body,
              json_t **all) {
    return cli_try_pages(cli, method, path, body, all) ? cli_fail("%s", cli->why) : SK_EXIT_FINE;
}

int cli_show_pages(struct cli *cli, enum sk_http_method method, const char *path,
                   const json_t *body, const char *const *columns) {
    json_t *all;
    int code = cli_pages(cli, method, path, body, &all);
    if (!code) cli_print(cli, all, columns);
    json_decref(all);
    return code;
}
