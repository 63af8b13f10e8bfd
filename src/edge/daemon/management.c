/* The management API for the agent (docs/protocols/edge-runtime.md, section 1.4):
 * identities as in Azure. Modules of type "process" are the agent's own children, so instead of
 * Azure's module calls there is one for their sockets: PUT and DELETE /sockets/{m}. */
#include <stdio.h>

#include "edge/daemon/parts.h"

enum route {
    IDENTITY_LIST,
    IDENTITY_CREATE,
    IDENTITY_UPDATE,
    IDENTITY_DELETE,
    SOCKET_PUT,
    SOCKET_DELETE,
    SYSTEM_INFO,
    RESOURCES,
    MODULES,
    REPROVISION
};

static const struct sk_http_route routes[] = {
    {SK_HTTP_GET, "/identities", IDENTITY_LIST},
    {SK_HTTP_POST, "/identities", IDENTITY_CREATE},
    {SK_HTTP_PUT, "/identities/{}", IDENTITY_UPDATE},
    {SK_HTTP_DELETE, "/identities/{}", IDENTITY_DELETE},
    {SK_HTTP_PUT, "/sockets/{}", SOCKET_PUT},
    {SK_HTTP_DELETE, "/sockets/{}", SOCKET_DELETE},
    {SK_HTTP_GET, "/systeminfo", SYSTEM_INFO},
    {SK_HTTP_GET, "/systeminfo/resources", RESOURCES},
    {SK_HTTP_GET, "/modules", MODULES},
    {SK_HTTP_POST, "/device/reprovision", REPROVISION},
};

/* A call that waits for the hub. */
struct management_call {
    struct sk_http_exchange *exchange;
    char *module_id;
    bool deletes;
};

static json_t *identity_json(struct sk_span module_id, struct sk_span generation_id) {
    return json_pack("{s:s%,s:s,s:s%,s:s}", "moduleId", module_id.p, module_id.n, "managedBy",
                     "iotedge", "generationId", generation_id.p, generation_id.n, "authType",
                     "sas");
}

static void add_identity(void *arg, struct sk_span module_id, struct sk_span generation_id) {
    json_array_append_new(arg, identity_json(module_id, generation_id));
}

static void on_hub(void *arg, enum sk_status status, struct sk_span generation_id,
                   const char *reason) {
    struct management_call *call = arg;
    if (status)
        daemon_refuse(call->exchange, status == SK_REFUSED ? 502 : 503, "%s", reason);
    else if (call->deletes)
        sk_http_respond(call->exchange, 204, SK_NONE, SK_NONE);
    else
        daemon_answer(call->exchange, 200,
                      identity_json(sk_span_z(call->module_id), generation_id));
    free(call->module_id);
    free(call);
}

static struct management_call *wait_for_hub(struct sk_http_exchange *exchange,
                                            struct sk_span module_id, bool deletes) {
    struct management_call *call = SK_NEW(struct management_call);
    call->exchange = exchange;
    call->module_id = sk_span_dup(module_id);
    call->deletes = deletes;
    return call;
}

static void put_identity(struct sk_daemon *daemon, struct sk_http_exchange *exchange,
                         struct sk_span module_id, const json_t *body) {
    struct sk_span managed_by = sk_span_z(json_string_value(json_object_get(body, "managedBy")));
    if (sk_id_check(module_id)) {
        daemon_refuse(exchange, 400, "'moduleId' is not a valid module id.");
        return;
    }
    sk_identities_put(daemon->identities, module_id, managed_by, on_hub,
                      wait_for_hub(exchange, module_id, false));
}

/* {"containerId":"…"}, 64 hexadecimal digits; absent: what was told stays. False: it is none. */
static bool take_container_id(struct daemon_socket *socket, const json_t *body) {
    const json_t *value = json_object_get(body, "containerId");
    struct sk_span id = sk_span(json_string_value(value), json_string_length(value));
    if (value == NULL) return true;
    if (id.n != DAEMON_CONTAINER_ID || strspn(id.p, "0123456789abcdef") != id.n) return false;
    memcpy(socket->container_id, id.p, id.n + 1);
    return true;
}

/* Body {"uid":n,"gid":n}; 0 or absent: the daemon's own user. With {"container":true} the socket is
 * in a folder of its own, and answers only to the container that is told by its id. Answers where
 * the socket is. */
static void put_socket(struct sk_daemon *daemon, struct sk_http_exchange *exchange,
                       struct sk_span module_id, const json_t *body) {
    json_int_t uid = json_integer_value(json_object_get(body, "uid")),
               gid = json_integer_value(json_object_get(body, "gid"));
    struct daemon_socket *socket;
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX || sk_id_check(module_id)) {
        daemon_refuse(exchange, 400,
                      "'uid' and 'gid' must be user and group numbers, and the module's id valid.");
        return;
    }
    enum sk_status status =
        daemon_socket_open(daemon, module_id,
                           &(struct daemon_socket_owner){
                               .uid = (uint32_t)uid,
                               .gid = (uint32_t)gid,
                               .container = json_is_true(json_object_get(body, "container"))},
                           &socket);
    if (status) {
        daemon_refuse(exchange, 500, "Cannot make the socket of module %.*s: %s.",
                      SK_ARG(module_id), sk_status_text(status));
        return;
    }
    if (!take_container_id(socket, body)) {
        daemon_refuse(exchange, 400, "'containerId' must be 64 hexadecimal digits.");
        return;
    }
    daemon_sockets_remember(daemon);
    daemon_answer(exchange, 200, json_pack("{s:s}", "path", socket->path));
}

static void delete_socket(struct sk_daemon *daemon, struct sk_http_exchange *exchange,
                          struct sk_span module_id) {
    struct daemon_socket *socket = daemon_socket_find(daemon, module_id);
    if (socket) daemon_socket_close(socket);
    daemon_sockets_remember(daemon);
    sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
}

static void asked_again(void *arg, enum sk_status status, struct sk_span generation_id,
                        const char *reason) {
    (void)arg, (void)generation_id;
    if (status && status != SK_CLOSED) SK_WARN("daemon", "%s", reason);
}

static void ask_again(void *arg, struct sk_span module_id, struct sk_span generation_id) {
    (void)generation_id;
    sk_identities_put(arg, module_id, SK_SPAN("IotEdge"), asked_again, NULL);
}

/* Every module's identity is compared with the hub's in the background. Nothing is torn down, and
 * no module notices. */
static void reprovision(struct sk_daemon *daemon, struct sk_http_exchange *exchange) {
    SK_INFO("daemon", "the hub is asked about all modules");
    sk_identities_each(daemon->identities, ask_again, daemon->identities);
    sk_http_respond(exchange, 204, SK_NONE, SK_NONE);
}

void management_handle(void *arg, struct sk_http_exchange *exchange) {
    struct sk_daemon *daemon = arg;
    struct sk_http_match match;
    enum sk_status status =
        sk_http_route(routes, sizeof routes / sizeof *routes, exchange->request->method,
                      exchange->request->path, &exchange->arena, &match);
    if (status) {
        daemon_refuse(exchange, status == SK_UNSUPPORTED ? 405 : 404,
                      "There is no such resource in the management API.");
        return;
    }
    if (!daemon_check_version(exchange)) return;
    struct sk_span module_id = match.captures[0];
    json_t *body = NULL, *list;
    bool has_body =
        match.id == IDENTITY_CREATE || match.id == IDENTITY_UPDATE || match.id == SOCKET_PUT;
    if (has_body && (body = daemon_body(exchange)) == NULL) return;
    switch ((enum route)match.id) {
    case IDENTITY_LIST:
        list = json_array();
        sk_identities_each(daemon->identities, add_identity, list);
        daemon_answer(exchange, 200, json_pack("{s:o}", "identities", list));
        break;
    case IDENTITY_CREATE:
        put_identity(daemon, exchange,
                     sk_span_z(json_string_value(json_object_get(body, "moduleId"))), body);
        break;
    case IDENTITY_UPDATE: put_identity(daemon, exchange, module_id, body); break;
    case IDENTITY_DELETE:
        sk_identities_delete(daemon->identities, module_id, on_hub,
                             wait_for_hub(exchange, module_id, true));
        break;
    case SOCKET_PUT: put_socket(daemon, exchange, module_id, body); break;
    case SOCKET_DELETE: delete_socket(daemon, exchange, module_id); break;
    case SYSTEM_INFO: daemon_answer(exchange, 200, daemon_system_info(daemon)); break;
    case RESOURCES: daemon_answer(exchange, 200, daemon_resources(daemon)); break;
    case MODULES: daemon_answer(exchange, 200, daemon_modules(daemon)); break;
    case REPROVISION: reprovision(daemon, exchange); break;
    }
    json_decref(body);
}
