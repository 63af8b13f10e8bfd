/* The workload API (docs/protocols/edge-runtime.md, section 1.3). A module reaches only its own
 * socket, and a path that names another module is refused. */
#include <stdio.h>

#include "edge/daemon/parts.h"

enum route {
    TRUST_BUNDLE,
    MANIFEST_BUNDLE,
    MODULE_LIST,
    SIGN,
    ENCRYPT,
    DECRYPT,
    SERVER_CERTIFICATE,
    IDENTITY_CERTIFICATE
};

static const struct sk_http_route routes[] = {
    {SK_HTTP_GET, "/trust-bundle", TRUST_BUNDLE},
    {SK_HTTP_GET, "/manifest-trust-bundle", MANIFEST_BUNDLE},
    {SK_HTTP_GET, "/modules", MODULE_LIST},
    {SK_HTTP_POST, "/modules/{}/genid/{}/sign", SIGN},
    {SK_HTTP_POST, "/modules/{}/genid/{}/encrypt", ENCRYPT},
    {SK_HTTP_POST, "/modules/{}/genid/{}/decrypt", DECRYPT},
    {SK_HTTP_POST, "/modules/{}/genid/{}/certificate/server", SERVER_CERTIFICATE},
    {SK_HTTP_POST, "/modules/{}/certificate/identity", IDENTITY_CERTIFICATE},
};

/* A call on behalf of the socket's module. */
struct call {
    struct daemon_socket *socket;
    struct sk_daemon *daemon;
    struct sk_http_exchange *exchange;
    struct sk_span module_id;
    /* As the hub knows it now; the one in the path may be older and is ignored, as in Azure. */
    struct sk_span generation_id;
    json_t *body;
};

/* Decodes a base64 member of the body; answers with 400 when it is none. */
static bool bytes_member(struct call *call, const char *name, struct sk_buffer *bytes) {
    const json_t *value = json_object_get(call->body, name);
    struct sk_span text = sk_span(json_string_value(value), json_string_length(value));
    if (json_is_string(value) && sk_base64_decode(bytes, text) == SK_OK) return true;
    daemon_refuse(call->exchange, 400, "'%s' must be base64 text.", name);
    return false;
}

/* Answers {"name":"<base64>"}. */
static void answer_bytes(struct call *call, const char *name, struct sk_span bytes) {
    struct sk_buffer text = {0};
    sk_base64_encode(&text, bytes);
    daemon_answer(call->exchange, 200, json_pack("{s:s%}", name, text.p ? text.p : "", text.n));
    sk_buffer_free(&text);
}

/* The key store cannot be reached: the module tries again, and a person reads the log. */
static void refuse_store(struct call *call, const char *reason) {
    SK_SELDOM(SK_LEVEL_ERROR, "daemon", "module %s waits for the key store: %s",
              call->socket->module_id, reason);
    daemon_refuse(call->exchange, 503, "%s", reason);
}

static void sign(struct call *call) {
    struct sk_buffer data = {0};
    uint8_t digest[32];
    char reason[256];
    if (bytes_member(call, "data", &data)) {
        if (sk_keys_sign(call->daemon->keys, call->module_id, call->generation_id,
                         sk_buffer_span(&data), digest, reason))
            refuse_store(call, reason);
        else
            answer_bytes(call, "digest", sk_span(digest, sizeof digest));
    }
    sk_buffer_free(&data);
}

static void encrypt(struct call *call) {
    struct sk_buffer plain = {0}, iv = {0}, secret = {0};
    if (bytes_member(call, "plaintext", &plain) &&
        bytes_member(call, "initializationVector", &iv)) {
        if (sk_keys_encrypt(call->daemon->keys, call->module_id, call->generation_id,
                            sk_buffer_span(&iv), sk_buffer_span(&plain), &secret))
            daemon_refuse(call->exchange, 400, "'initializationVector' must have 1 to 64 bytes.");
        else
            answer_bytes(call, "ciphertext", sk_buffer_span(&secret));
    }
    sk_buffer_free(&plain);
    sk_buffer_free(&iv);
    sk_buffer_free(&secret);
}

static void decrypt(struct call *call) {
    struct sk_buffer secret = {0}, iv = {0}, plain = {0};
    if (bytes_member(call, "ciphertext", &secret) &&
        bytes_member(call, "initializationVector", &iv)) {
        if (sk_keys_decrypt(call->daemon->keys, call->module_id, call->generation_id,
                            sk_buffer_span(&iv), sk_buffer_span(&secret), &plain))
            daemon_refuse(
                call->exchange, 400,
                "The ciphertext was not made for this module with this initialization vector.");
        else
            answer_bytes(call, "plaintext", sk_buffer_span(&plain));
    }
    sk_buffer_free(&secret);
    sk_buffer_free(&iv);
    sk_buffer_free(&plain);
}

static void answer_certificate(struct call *call, struct sk_certificate *certificate) {
    char expiration[40];
    sk_time_text(certificate->expires_us, expiration);
    snprintf(expiration + 19, sizeof expiration - 19, "+00:00"); /* as Azure's daemon writes it */
    daemon_answer(call->exchange, 201,
                  json_pack("{s:{s:s,s:s%},s:s%,s:s}", "privateKey", "type", "key", "bytes",
                            certificate->key_pem.p, certificate->key_pem.n, "certificate",
                            certificate->certificate_pem.p, certificate->certificate_pem.n,
                            "expiration", expiration));
    sk_certificate_free(certificate);
}

/* ---- names of servers: docs/decisions/0013-what-modules-get-from-the-daemon.md ---- */

/* The names under which this edge, its parent and its hub are known, and which none of its
 * modules may take. "edgeHub" is what Azure's modules call theirs. */
static bool is_edges_name(const struct sk_edge_config *config, struct sk_span name) {
    const char *const names[] = {config->hostname,     config->parent_hostname,
                                 config->hub_host,     config->upstream.host,
                                 config->metrics.host, "edgeHub",
                                 "edgeAgent",          "localhost"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i] && sk_span_eq_nocase(name, sk_span_z(names[i]))) return true;
    for (size_t i = 0; i < config->listen_count; i++)
        if (sk_span_eq_nocase(name, sk_span_z(config->listen[i].host))) return true;
    return false;
}

/* Whether it could be read as an address: only digits and dots, or with a colon. */
static bool is_address(struct sk_span name) {
    bool digits = true;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == ':') return true;
        digits = digits && ((name.p[i] >= '0' && name.p[i] <= '9') || name.p[i] == '.');
    }
    return digits;
}

/* A module is a server under its own id, alone or as the first label of a name; the edge hub
 * under any name that the edge has. */
static bool may_be_called(const struct call *call, struct sk_span name) {
    const struct sk_edge_config *config = call->daemon->config;
    struct sk_span id = call->module_id, label = sk_span_first(name, sk_span_find(name, '.'));
    if (sk_span_is(id, SK_EDGE_HUB_MODULE)) return true;
    if (id.n && id.p[0] == '$') id = sk_span_skip(id, 1);
    if (is_address(name) || is_edges_name(config, name) || is_edges_name(config, id)) return false;
    return sk_span_eq_nocase(name, id) || sk_span_eq_nocase(label, id);
}

static unsigned certificate_refusal(enum sk_status status) {
    return status == SK_INVALID ? 400 : status == SK_AGAIN ? 503 : 500;
}

static void server_certificate(struct call *call) {
    struct sk_certificate certificate;
    char reason[256];
    const json_t *name = json_object_get(call->body, "commonName");
    struct sk_span common_name = sk_span(json_string_value(name), json_string_length(name));
    if (!may_be_called(call, common_name)) {
        daemon_refuse(
            call->exchange, 403,
            "'commonName' must be the module's own name: %s, or a name that begins with '%s.'.",
            call->socket->module_id, call->socket->module_id);
        return;
    }
    enum sk_status status = sk_certificates_issue_server(call->daemon->certificates, common_name,
                                                         call->module_id, &certificate, reason);
    if (status)
        daemon_refuse(call->exchange, certificate_refusal(status), "%s", reason);
    else
        answer_certificate(call, &certificate);
}

static void identity_certificate(struct call *call) {
    struct sk_certificate certificate;
    char reason[256];
    enum sk_status status = sk_certificates_issue_identity(
        call->daemon->certificates, sk_span_z(call->daemon->config->hub_host), call->module_id,
        &certificate, reason);
    if (status)
        daemon_refuse(call->exchange, certificate_refusal(status), "%s", reason);
    else
        answer_certificate(call, &certificate);
}

static void answer_bundle(struct sk_http_exchange *exchange, struct sk_span pem) {
    daemon_answer(exchange, 200, json_pack("{s:s%}", "certificate", pem.p ? pem.p : "", pem.n));
}

static void trust_bundle(const struct sk_daemon *daemon, struct sk_http_exchange *exchange) {
    struct sk_span pem;
    char reason[256];
    if (sk_certificates_trust_bundle(daemon->certificates, &pem, reason))
        daemon_refuse(exchange, 503, "%s", reason);
    else
        answer_bundle(exchange, pem);
}

/* Read anew: people replace the file. */
static void manifest_bundle(const struct sk_daemon *daemon, struct sk_http_exchange *exchange) {
    const char *file = daemon->config->manifest_trust_file;
    struct sk_buffer pem = {.limit = DAEMON_BODY_MAX};
    enum sk_status status = file ? sk_file_load(daemon->io, file, &pem) : SK_OK;
    if (status)
        daemon_refuse(exchange, 500, "Cannot read manifest_trust_bundle_cert: %s.",
                      sk_status_text(status));
    else
        answer_bundle(exchange, sk_buffer_span(&pem));
    sk_buffer_free(&pem);
}

static bool check_caller(const struct daemon_socket *socket, struct sk_http_exchange *exchange) {
    char reason[256];
    if (daemon_caller_fits(socket, exchange->stream, reason)) return true;
    SK_SELDOM(SK_LEVEL_WARN, "daemon", "a call for module %s is refused: %s", socket->module_id,
              reason);
    daemon_refuse(exchange, 403, "%s", reason);
    return false;
}

void workload_handle(void *arg, struct sk_http_exchange *exchange) {
    struct daemon_socket *socket = arg;
    struct sk_daemon *daemon = socket->daemon;
    struct call call = {.socket = socket,
                        .daemon = daemon,
                        .exchange = exchange,
                        .module_id = sk_span_z(socket->module_id)};
    struct sk_http_match match;
    enum sk_status status =
        sk_http_route(routes, sizeof routes / sizeof *routes, exchange->request->method,
                      exchange->request->path, &exchange->arena, &match);
    if (status) {
        daemon_refuse(exchange, status == SK_UNSUPPORTED ? 405 : 404,
                      "There is no such resource in the workload API.");
        return;
    }
    if (!daemon_check_version(exchange) || !check_caller(socket, exchange)) return;
    if (match.id == TRUST_BUNDLE) {
        trust_bundle(daemon, exchange);
        return;
    }
    if (match.id == MANIFEST_BUNDLE) {
        manifest_bundle(daemon, exchange);
        return;
    }
    if (match.id == MODULE_LIST) {
        daemon_answer(exchange, 200, daemon_modules(daemon));
        return;
    }
    if (!sk_span_eq(match.captures[0], call.module_id)) {
        daemon_refuse(exchange, 403, "This socket belongs to module %s.", socket->module_id);
        return;
    }
    call.generation_id = sk_identities_generation(daemon->identities, call.module_id);
    if (call.generation_id.n == 0) {
        daemon_refuse(
            exchange, 404,
            "The hub has not yet been asked for module %s; try again when the device is connected.",
            socket->module_id);
        return;
    }
    if (match.id == IDENTITY_CERTIFICATE) { /* its body is ignored */
        identity_certificate(&call);
        return;
    }
    if ((call.body = daemon_body(exchange)) == NULL) return;
    if (match.id == SIGN) sign(&call);
    if (match.id == ENCRYPT) encrypt(&call);
    if (match.id == DECRYPT) decrypt(&call);
    if (match.id == SERVER_CERTIFICATE) server_certificate(&call);
    json_decref(call.body);
}
