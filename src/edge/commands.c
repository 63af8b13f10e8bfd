#include "edge/commands.h"

#include <stdio.h>

#include "net/http_client.h"
#include "edge/daemon/certificates.h"
#include "edge/daemon/daemon.h"
#include "model/json_text.h"

/* ---- one request, waited for ---- */

struct request {
    struct sk_io *io;
    enum sk_status status;
    unsigned http;
    struct sk_buffer body;
};

static void on_done(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct request *request = arg;
    request->status = status;
    if (answer) {
        request->http = answer->status;
        sk_buffer_append(&request->body, sk_buffer_span(&answer->body));
    }
    sk_io_stop(request->io);
}

static void ask(struct request *request, const struct sk_http_client_options *options,
                enum sk_http_method method, const char *target) {
    struct sk_http_client *client;
    request->io = sk_io_uv_new();
    request->status = sk_http_client_new(request->io, options, &client);
    if (request->status == SK_OK) {
        sk_http_client_send(client, &(struct sk_http_ask){.method = method,
                                                          .target = sk_span_z(target),
                                                          .timeout_ms = 20000,
                                                          .answer_max = 64 << 20,
                                                          .done = on_done,
                                                          .arg = request});
        sk_io_run(request->io);
        sk_http_client_free(client);
        sk_io_run(request->io); /* till the connection has closed */
    }
    sk_io_free(request->io);
}

/* Asks the agent; true when it answered well, else a sentence was printed. */
static bool ask_agent(const struct sk_edge_config *config, struct request *request,
                      enum sk_http_method method, const char *target) {
    char path[SK_SOCKET_PATH_MAX];
    memset(request, 0, sizeof *request);
    snprintf(path, sizeof path, "%s/%s", config->data, SK_CONTROL_SOCKET);
    ask(request, &(struct sk_http_client_options){.to = {.path = path}}, method, target);
    if (request->status == SK_OK && request->http / 100 == 2) return true;
    json_t *json = json_loadb(request->body.p ? request->body.p : "", request->body.n, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    if (request->status)
        fprintf(
            stderr,
            "skerry-edge: the edge does not answer on %s (%s); is `skerry-edge run` running, and "
            "may you read the socket?\n",
            path, sk_status_text(request->status));
    else
        fprintf(stderr, "skerry-edge: %s\n", message ? message : sk_http_reason(request->http));
    json_decref(json);
    sk_buffer_free(&request->body);
    return false;
}

static json_t *get_status(const struct sk_edge_config *config) {
    struct request request;
    if (!ask_agent(config, &request, SK_HTTP_GET, "/status")) return NULL;
    json_t *json = json_loadb(request.body.p ? request.body.p : "", request.body.n, 0, NULL);
    sk_buffer_free(&request.body);
    if (json == NULL) fprintf(stderr, "skerry-edge: the edge's answer is not JSON\n");
    return json;
}

static const char *text_of(const json_t *json, const char *name) {
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

/* ---- commands ---- */

static void print_modules(const json_t *modules) {
    const char *name;
    json_t *module;
    json_object_foreach((json_t *)modules, name, module) {
        const json_t *command = json_object_get(json_object_get(module, "settings"), "command");
        const char *program = json_string_value(json_array_get(command, 0));
        const char *image = text_of(json_object_get(module, "settings"), "image");
        printf("%-24s %-10s %-9lld %-28s %s\n", name, text_of(module, "runtimeStatus"),
               (long long)json_integer_value(json_object_get(module, "restartCount")),
               text_of(module, "statusDescription"), program ? program : image);
    }
}

int sk_edge_list(const struct sk_edge_config *config, bool json) {
    json_t *status = get_status(config);
    if (status == NULL) return SK_EXIT_REFUSED;
    json_t *modules = json_copy(json_object_get(status, "systemModules"));
    json_object_update(modules, json_object_get(status, "modules"));
    if (json) {
        sk_json_print(stdout, modules, 2);
        printf("\n");
    } else {
        printf("%-24s %-10s %-9s %-28s %s\n", "NAME", "STATUS", "RESTARTS", "DESCRIPTION",
               "PROGRAM");
        print_modules(modules);
    }
    json_decref(modules);
    json_decref(status);
    return SK_EXIT_FINE;
}

int sk_edge_status(const struct sk_edge_config *config, bool json) {
    json_t *status = get_status(config);
    if (status == NULL) return SK_EXIT_REFUSED;
    if (json) {
        sk_json_print(stdout, status, 2);
        printf("\n");
    } else {
        const json_t *last = json_object_get(status, "lastDesiredStatus");
        printf("device      %s at %s\n", text_of(status, "deviceId"), text_of(status, "hub"));
        printf("hub         %s\n",
               json_is_true(json_object_get(status, "connected")) ? "connected" : "not connected");
        printf("deployment  version %lld, status %lld %s\n",
               (long long)json_integer_value(json_object_get(status, "lastDesiredVersion")),
               (long long)json_integer_value(json_object_get(last, "code")),
               text_of(last, "description"));
    }
    json_decref(status);
    return SK_EXIT_FINE;
}

int sk_edge_logs(const struct sk_edge_config *config, const char *module, unsigned tail) {
    struct request request;
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, sk_span_z(module));
    sk_buffer_print(&target, "/logs?tail=%u", tail);
    sk_buffer_byte(&target, 0);
    bool fine = ask_agent(config, &request, SK_HTTP_GET, target.p);
    if (fine) fwrite(request.body.p ? request.body.p : "", 1, request.body.n, stdout);
    if (fine) sk_buffer_free(&request.body);
    sk_buffer_free(&target);
    return fine ? SK_EXIT_FINE : SK_EXIT_REFUSED;
}

int sk_edge_restart(const struct sk_edge_config *config, const char *module) {
    struct request request;
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/modules/");
    sk_percent_encode(&target, sk_span_z(module));
    sk_buffer_text(&target, "/restart");
    sk_buffer_byte(&target, 0);
    bool fine = ask_agent(config, &request, SK_HTTP_POST, target.p);
    if (fine) printf("%s is being restarted\n", module);
    if (fine) sk_buffer_free(&request.body);
    sk_buffer_free(&target);
    return fine ? SK_EXIT_FINE : SK_EXIT_REFUSED;
}

/* ---- check ---- */

static int verdict(bool fine, const char *what, const char *why) {
    printf("%s %s%s%s\n", fine ? "ok  " : "FAIL", what, why[0] ? ": " : "", why);
    return fine ? 0 : 1;
}

static int check_hub(const struct sk_edge_config *config) {
    struct sk_buffer trust = {.limit = 256 * 1024};
    struct sk_tls *tls = NULL;
    char what[256], reason[256] = "";
    snprintf(what, sizeof what, "the hub answers over HTTPS at %s:%u", config->upstream.host,
             config->upstream.https_port);
    struct sk_io *io = sk_io_uv_new();
    enum sk_status status =
        config->hub_trust_file ? sk_file_load(io, config->hub_trust_file, &trust) : SK_OK;
    if (status)
        snprintf(reason, sizeof reason, "%.150s cannot be read: %s", config->hub_trust_file,
                 sk_status_text(status));
    if (!status)
        status = sk_tls_new(io, &(struct sk_tls_options){.trust_pem = sk_buffer_span(&trust)}, &tls,
                            reason);
    if (!status) {
        struct request request = {0};
        ask(&request,
            &(struct sk_http_client_options){
                .to = {.host = config->upstream.host, .port = config->upstream.https_port},
                .tls = tls,
                .proxy = config->upstream.proxy},
            SK_HTTP_GET, "/");
        status = request.status;
        if (status) snprintf(reason, sizeof reason, "%s", sk_status_text(status));
        sk_buffer_free(&request.body);
    }
    if (tls) sk_tls_free(tls);
    sk_buffer_free(&trust);
    sk_io_free(io);
    return verdict(status == SK_OK, what, reason);
}

/* A CA that is given, not made for a quick start: readable, a pair, not encrypted, not expired. */
static int check_ca(const struct sk_edge_config *config) {
    struct sk_certificates *certificates;
    char what[600], reason[256] = "";
    if (config->edge_ca_certificate_file == NULL) return 0;
    snprintf(what, sizeof what, "the edge CA %s ([edge_ca] cert, pk) can sign",
             config->edge_ca_certificate_file);
    struct sk_io *io = sk_io_uv_new();
    sk_note_level(SK_LEVEL_ERROR);
    enum sk_status status = sk_certificates_open(
        io,
        &(struct sk_certificates_options){.folder = config->data,
                                          .device_id = config->device_id,
                                          .ca_days = config->edge_ca_days,
                                          .certificate_file = config->edge_ca_certificate_file,
                                          .key_file = config->edge_ca_key_file},
        &certificates, reason);
    if (!status) {
        int64_t left = sk_certificates_ca_ends_s(certificates) - sk_io_wall(io) / 1000000;
        if (left <= 0) {
            status = SK_TIMEOUT;
            snprintf(reason, sizeof reason, "it has expired; put a new one there and restart");
        }
        sk_certificates_free(certificates);
    }
    sk_io_free(io);
    return verdict(status == SK_OK, what, reason);
}

int sk_edge_check(const struct sk_edge_config *config) {
    struct request request;
    char path[SK_SOCKET_PATH_MAX], reached[320];
    snprintf(
        reached, sizeof reached,
        "the configuration is well-formed; modules and leaf devices reach this machine as %.255s",
        config->hostname);
    int failed = verdict(true, reached, "");
    failed += check_ca(config);
    failed += check_hub(config);
    memset(&request, 0, sizeof request);
    snprintf(path, sizeof path, "%s/%s", config->data, SK_CONTROL_SOCKET);
    ask(&request, &(struct sk_http_client_options){.to = {.path = path}}, SK_HTTP_GET, "/status");
    failed += verdict(request.status == SK_OK, "the agent answers on its socket",
                      request.status ? sk_status_text(request.status) : "");
    json_t *json = json_loadb(request.body.p ? request.body.p : "", request.body.n, 0, NULL);
    const json_t *last = json_object_get(json, "lastDesiredStatus");
    if (json)
        failed += verdict(json_is_true(json_object_get(json, "connected")),
                          "the agent is connected to the hub", "");
    if (json)
        failed += verdict(json_integer_value(json_object_get(last, "code")) == 200,
                          "the deployment is in force", text_of(last, "description"));
    json_decref(json);
    sk_buffer_free(&request.body);
    return failed ? SK_EXIT_REFUSED : SK_EXIT_FINE;
}
