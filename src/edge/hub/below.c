/* What edge devices below this one ask of it as of a hub: who is in their scope, which our copy
 * answers, with or without the cloud; and the registry of their modules, which is the cloud's and
 * is asked there on their behalf. Reference: docs/protocols/edge-runtime.md, sections 5.4, 5.13. */
#include "edge/hub/parts.h"
#include "model/json_text.h"

static struct sk_span first_of(struct sk_span text, char end) {
    return sk_span_first(text, sk_span_find(text, end));
}

/* ---- who is below whom ---- */

/* Whether a device is the other, or below it; both in our scope. */
static bool is_at_or_below(const struct sk_edge_identity *device, struct sk_span other) {
    for (unsigned i = 0; device && i < SK_CHAIN_MAX; i++) {
        if (sk_span_is(other, device->identity.device_id)) return true;
        device = edge_identity_parent(device);
    }
    return false;
}

/* The device that a chain is for; NULL: refused, it is not below who asks. */
static struct sk_edge_identity *target_of(struct sk_edge_hub *hub, struct sk_request *request,
                                          struct sk_span target) {
    if (target.n == 0) target = request->device;
    struct sk_edge_identity *device = edge_identity_find(hub, target, SK_NONE);
    if (device && device->known && is_at_or_below(device, request->device)) return device;
    sk_request_refuse(request, SK_FAULT_DEVICE_NOT_FOUND, "%.*s is not in the scope of %.*s",
                      SK_ARG(target), SK_ARG(request->device));
    return NULL;
}

/* ---- the scope ---- */

static json_t *entry_of(const struct sk_request *request, const struct sk_edge_identity *identity) {
    json_t *entry = sk_identity_to_json(&identity->identity, NULL);
    bool own = identity->identity.module_id == NULL &&
               sk_span_is(request->device, identity->identity.device_id);
    if (own) /* a device's own keys are its daemon's alone */
        json_object_set_new(
            entry, "authentication",
            sk_identity_authentication_json(&(struct sk_identity){.auth = SK_AUTH_NONE}));
    return entry;
}

/* Of the target, its children, or a module of these. */
static bool is_of_scope(const struct sk_edge_identity *identity,
                        const struct sk_edge_identity *target) {
    const struct sk_edge_identity *device =
        edge_identity_find(identity->hub, sk_span_z(identity->identity.device_id), SK_NONE);
    return identity->known && device &&
           (device == target || sk_identity_is_child(&device->identity, &target->identity));
}

static int by_key(const void *a, const void *b) {
    return strcmp((*(struct sk_edge_identity *const *)a)->key,
                  (*(struct sk_edge_identity *const *)b)->key);
}

static void answer(struct sk_request *request, struct sk_edge_identity *const *list, size_t count,
                   const char *link) {
    json_t *devices = json_array(), *modules = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list[i]->identity.module_id ? modules : devices,
                              entry_of(request, list[i]));
    json_t *document = json_pack("{s:o,s:o,s:s?,s:s?}", "devices", devices, "modules", modules,
                                 "continuationLink", link, "continuationToken", link);
    sk_request_answer_json(request, document);
}

struct find {
    struct sk_edge_hub *hub;
    struct sk_request *request;
};

static void list_ours(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_edge_identity *target =
        target_of(hub, request, first_of(first_of(request->chain, ';'), '/'));
    struct sk_edge_identity *identity;
    size_t count = 0;
    if (target == NULL) return;
    struct sk_edge_identity **list =
        sk_alloc(hub->identities.count * sizeof(struct sk_edge_identity *));
    SK_CLEANUP_FREE char *after = sk_span_dup(request->continuation);
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;)
        if (is_of_scope(identity, target) && strcmp(identity->key, after) > 0)
            list[count++] = identity;
    if (count) qsort(list, count, sizeof *list, by_key);
    bool more = count > request->max;
    if (more) count = request->max;
    answer(request, list, count, more ? list[count - 1]->key : NULL);
    free(list);
}

static void scope_read(void *arg, enum sk_status status, const struct sk_identity *identity) {
    struct find find = *(struct find *)arg;
    free(arg);
    (void)status, (void)identity; /* without the cloud our copy is what there is */
    list_ours(find.hub, find.request);
}

/* Who asks may have met a client made a moment ago, which our copy does not know yet either. */
static void list_scope(struct sk_edge_hub *hub, struct sk_request *request) {
    if (request->continuation.n || !hub->counts.upstream_connected) {
        list_ours(hub, request);
        return;
    }
    struct find *find = SK_NEW(struct find);
    *find = (struct find){hub, request};
    edge_find_identity_anew(&hub->backend, request->device, SK_NONE, scope_read, find);
}

static void found(void *arg, enum sk_status status, const struct sk_identity *identity) {
    struct find find = *(struct find *)arg;
    struct sk_span name = find.request->name, device = first_of(name, '/');
    free(arg);
    (void)status, (void)identity;
    struct sk_edge_identity *target = target_of(find.hub, find.request, device);
    if (target == NULL) return;
    struct sk_edge_identity *list[2] = {target, sk_map_get(&find.hub->identities, name)};
    if (list[1] == NULL)
        sk_request_refuse(find.request, SK_FAULT_MODULE_NOT_FOUND, NULL);
    else
        answer(find.request, list, list[1] == target ? 1 : 2, NULL);
}

static void get_of_scope(struct sk_edge_hub *hub, struct sk_request *request) {
    struct find *find = SK_NEW(struct find);
    struct sk_span device = first_of(request->name, '/');
    *find = (struct find){hub, request};
    edge_find_identity(&hub->backend, device, sk_span_skip(request->name, device.n + 1), found,
                       find);
}

/* ---- the registry ---- */

/* A call to the cloud for a request. */
struct call {
    struct sk_list link; /* in hub->below.calls */
    struct sk_edge_hub *hub;
    struct sk_request *request;
    struct sk_token_ask token;
    struct sk_http_call *http;
    enum sk_http_method method;
    const char *name;
    char *body, *if_match;
};

static void free_call(struct call *call) {
    sk_list_remove(&call->link);
    sk_token_unask(&call->token);
    free(call->body);
    free(call->if_match);
    free(call);
}

static void refuse(struct sk_request *request, unsigned status) {
    static const struct {
        unsigned status;
        enum sk_fault fault;
    } rows[] = {{400, SK_FAULT_ARGUMENT_INVALID}, {401, SK_FAULT_UNAUTHORIZED_ACCESS},
                {403, SK_FAULT_FORBIDDEN},        {404, SK_FAULT_MODULE_NOT_FOUND},
                {409, SK_FAULT_MODULE_EXISTS},    {412, SK_FAULT_PRECONDITION_FAILED},
                {413, SK_FAULT_TOO_MANY_MODULES}, {429, SK_FAULT_THROTTLED}};
    enum sk_fault fault = SK_FAULT_UNAVAILABLE;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status) fault = rows[i].fault;
    sk_request_refuse(request, fault,
                      status ? "the IoT hub refuses it (HTTP %u)" : "the IoT hub is not reachable",
                      status);
}

static void answered(void *arg, enum sk_status status, const struct sk_http_parser *http) {
    struct call *call = arg;
    struct sk_edge_hub *hub = call->hub;
    struct sk_request *request = call->request;
    bool reads = request->op == SK_OP_BELOW_GET || request->op == SK_OP_BELOW_LIST ||
                 request->op == SK_OP_IDENTITY_GET || request->op == SK_OP_MODULE_LIST;
    free_call(call);
    if (status || http->status >= 300) {
        refuse(request, status ? 0 : http->status);
        return;
    }
    struct sk_span etag = sk_http_header(http, "ETag");
    if (etag.n >= 2 && etag.p[0] == '"') etag = sk_span(etag.p + 1, etag.n - 2);
    if (http->body.n)
        request->done(request,
                      &(struct sk_answer){.text = sk_buffer_span(&http->body), .etag = etag});
    else
        sk_request_answer(request);
    if (!reads && !hub->closing) edge_scope_refresh(hub); /* there is a module more, or less */
}

static void got_token(struct sk_token_ask *asked, enum sk_status status, struct sk_span token) {
    struct call *call = SK_CONTAINER(asked, struct call, token);
    struct sk_edge_hub *hub = call->hub;
    if (status) {
        struct sk_request *request = call->request;
        free_call(call);
        refuse(request, 0);
        return;
    }
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/devices/");
    sk_percent_encode(&target, sk_span_z(hub->options->device_id));
    sk_buffer_print(&target, "/modules/%%24edgeHub/%s?api-version=2020-06-30-preview", call->name);
    struct sk_http_pair headers[] = {{"Authorization", token},
                                     {"Content-Type", SK_SPAN("application/json; charset=utf-8")},
                                     {"If-Match", sk_span_z(call->if_match)}};
    call->http = sk_http_client_send(hub->scope.https,
                                     &(struct sk_http_ask){.method = call->method,
                                                           .target = sk_buffer_span(&target),
                                                           .headers = headers,
                                                           .header_count = call->if_match ? 3 : 2,
                                                           .body = sk_span_z(call->body),
                                                           .done = answered,
                                                           .arg = call});
    sk_buffer_free(&target);
}

/* Asks the cloud; `chain` begins with the device whose module it is. */
static void ask(struct sk_edge_hub *hub, struct sk_request *request, enum sk_op op,
                struct sk_span chain, struct sk_span module) {
    enum { TOKEN_S = 3600 };
    static const char *const names[SK_OP_COUNT] = {[SK_OP_BELOW_PUT] = "putModuleOnBehalfOf",
                                                   [SK_OP_BELOW_GET] = "getModuleOnBehalfOf",
                                                   [SK_OP_BELOW_LIST] = "getModulesOnTargetDevice",
                                                   [SK_OP_BELOW_DELETE] = "deleteModuleOnBehalfOf"};
    json_t *body = json_pack("{s:s%}", "authChain", chain.p, chain.n);
    if (op == SK_OP_BELOW_PUT) json_object_set(body, "module", request->body);
    if (op == SK_OP_BELOW_GET)
        json_object_set_new(body, "targetModuleId", json_stringn(module.p, module.n));
    if (op == SK_OP_BELOW_DELETE)
        json_object_set_new(body, "moduleId", json_stringn(module.p, module.n));
    struct call *call = SK_NEW(struct call);
    *call = (struct call){.hub = hub,
                          .request = request,
                          .method = op == SK_OP_BELOW_PUT ? SK_HTTP_PUT : SK_HTTP_POST,
                          .name = names[op],
                          .body = sk_json_text(body),
                          .if_match = request->if_match.n ? sk_span_dup(request->if_match) : NULL};
    json_decref(body);
    sk_list_append(&hub->below.calls, &call->link);
    sk_token_ask(hub->options->tokens, &call->token,
                 sk_io_wall(hub->backend.io) / 1000000 + TOKEN_S, got_token);
}

/* An edge device below asks for its own modules, as its identity service does. */
static void ask_for_own(struct sk_edge_hub *hub, struct sk_request *request) {
    static const enum sk_op below[SK_OP_COUNT] = {[SK_OP_IDENTITY_PUT] = SK_OP_BELOW_PUT,
                                                  [SK_OP_IDENTITY_GET] = SK_OP_BELOW_GET,
                                                  [SK_OP_IDENTITY_DELETE] = SK_OP_BELOW_DELETE,
                                                  [SK_OP_MODULE_LIST] = SK_OP_BELOW_LIST};
    const struct sk_edge_identity *device = edge_identity_find(hub, request->device, SK_NONE);
    struct sk_buffer chain = {0};
    if (hub->draining) {
        refuse(request, 0);
        return;
    }
    if (device == NULL || !device->identity.edge ||
        (request->module.n == 0 && request->op != SK_OP_MODULE_LIST)) {
        sk_request_refuse(request, SK_FAULT_INVALID_OPERATION,
                          "an edge hub does this for the modules of edge devices below it only");
        return;
    }
    edge_identity_chain(device, &chain);
    ask(hub, request, below[request->op], sk_buffer_span(&chain), request->module);
    sk_buffer_free(&chain);
}

/* Its edge hub asks for an edge device still further below. */
static void ask_for_others(struct sk_edge_hub *hub, struct sk_request *request) {
    const struct sk_edge_identity *target =
        target_of(hub, request, first_of(first_of(request->chain, ';'), '/'));
    struct sk_buffer chain = {0};
    if (target == NULL) return;
    if (hub->draining) {
        refuse(request, 0);
        return;
    }
    edge_identity_chain(target, &chain);
    ask(hub, request, request->op, sk_buffer_span(&chain), request->name);
    sk_buffer_free(&chain);
}

static void load(struct sk_edge_hub *hub) {
    sk_list_init(&hub->below.calls);
}

static void drain(struct sk_edge_hub *hub) {
    struct call *call;
    if (hub->below.calls.next == NULL) return;
    while ((call = SK_LIST_FIRST(&hub->below.calls, struct call, link)) != NULL) {
        struct sk_request *request = call->request;
        if (call->http) {
            sk_http_call_cancel(call->http); /* from inside: answered() */
            continue;
        }
        free_call(call);
        refuse(request, 0);
    }
}

const struct sk_edge_part edge_part_below = {.serve = {[SK_OP_SCOPE_LIST] = list_scope,
                                                       [SK_OP_SCOPE_GET] = get_of_scope,
                                                       [SK_OP_IDENTITY_PUT] = ask_for_own,
                                                       [SK_OP_IDENTITY_GET] = ask_for_own,
                                                       [SK_OP_IDENTITY_DELETE] = ask_for_own,
                                                       [SK_OP_MODULE_LIST] = ask_for_own,
                                                       [SK_OP_BELOW_PUT] = ask_for_others,
                                                       [SK_OP_BELOW_GET] = ask_for_others,
                                                       [SK_OP_BELOW_LIST] = ask_for_others,
                                                       [SK_OP_BELOW_DELETE] = ask_for_others},
                                             .load = load,
                                             .drain = drain,
                                             .stop = drain};
