/* What an edge hub may read and write of the registry: identities of its own scope and of the edge
 * devices below it, at any depth. Reference: docs/protocols/edge-runtime.md, sections 5.4 and
 * 5.13. */
#include "hub/parts.h"

/* A question of an edge hub, on its way up from whom it is about to who asks. */
struct ask {
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_span target;               /* a device */
    struct sk_identity asker, found, at; /* `at`: how far the way has led */
    unsigned steps;
};

static struct sk_span first_of(struct sk_span text, char end) {
    return sk_span_first(text, sk_span_find(text, end));
}

static void free_ask(struct ask *ask) {
    sk_identity_free(&ask->asker);
    sk_identity_free(&ask->found);
    sk_identity_free(&ask->at);
    free(ask);
}

static void refuse(struct ask *ask) {
    sk_request_refuse(ask->request, SK_FAULT_DEVICE_NOT_FOUND, "%.*s is not in the scope of %.*s",
                      SK_ARG(ask->target), SK_ARG(ask->request->device));
    free_ask(ask);
}

/* ---- answers ---- */

/* An edge device's own keys are its daemon's alone: its edge hub hears of the device, not how it
 * proves itself. */
static json_t *scope_entry(const struct sk_request *request, const struct sk_identity *identity) {
    json_t *entry = sk_identity_to_json(identity, NULL);
    if (identity->module_id == NULL && sk_span_is(request->device, identity->device_id))
        json_object_set_new(
            entry, "authentication",
            sk_identity_authentication_json(&(struct sk_identity){.auth = SK_AUTH_NONE}));
    return entry;
}

static void answer(struct sk_request *request, json_t *devices, json_t *modules,
                   struct sk_span continuation) {
    json_t *link = continuation.n ? json_stringn(continuation.p, continuation.n) : json_null();
    json_t *document = json_pack("{s:o,s:o,s:O,s:o}", "devices", devices, "modules", modules,
                                 "continuationLink", link, "continuationToken", link);
    sk_request_answer_json(request, document);
}

static void listed(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_entries *list) {
    struct sk_request *request = arg;
    if (end->status) {
        hub_refuse_status(request, end);
        return;
    }
    json_t *devices = json_array(), *modules = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_identity *identity = &list->entries[i].identity;
        json_array_append_new(identity->module_id ? modules : devices,
                              scope_entry(request, identity));
    }
    struct sk_span last = SK_NONE;
    if (list->more) last = sk_span_z(list->entries[list->count - 1].identity.device_id);
    answer(request, devices, modules, last);
}

static void got_module(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry) {
    struct ask *ask = arg;
    (void)end;
    if (entry == NULL) {
        refuse(ask);
        return;
    }
    json_t *devices = json_pack("[o]", scope_entry(ask->request, &ask->found));
    json_t *modules = json_pack("[o]", scope_entry(ask->request, &entry->identity));
    answer(ask->request, devices, modules, SK_NONE);
    free_ask(ask);
}

static void answer_one(struct ask *ask) {
    struct sk_span module = sk_span_skip(ask->request->name, ask->target.n + 1);
    if (module.n) {
        sk_registry_get(ask->hub->registry, ask->target, module, got_module, ask);
        return;
    }
    json_t *devices = json_pack("[o]", scope_entry(ask->request, &ask->found));
    answer(ask->request, devices, json_array(), SK_NONE);
    free_ask(ask);
}

/* What an edge device may do to its modules itself, its edge hub's parents do for it. */
static void serve_below(struct ask *ask) {
    static const enum sk_op own[SK_OP_COUNT] = {[SK_OP_BELOW_PUT] = SK_OP_IDENTITY_PUT,
                                                [SK_OP_BELOW_GET] = SK_OP_IDENTITY_GET,
                                                [SK_OP_BELOW_LIST] = SK_OP_MODULE_LIST,
                                                [SK_OP_BELOW_DELETE] = SK_OP_IDENTITY_DELETE};
    struct sk_hub *hub = ask->hub;
    struct sk_request *request = ask->request;
    bool fine = ask->found.edge &&
                !(request->op == SK_OP_BELOW_DELETE && sk_is_system_module(request->name));
    request->device = ask->target;
    request->module = request->op == SK_OP_BELOW_LIST ? SK_NONE : request->name;
    free_ask(ask);
    if (fine)
        hub->serve[own[request->op]](hub, request);
    else
        sk_request_refuse(request, SK_FAULT_UNAUTHORIZED_ACCESS,
                          "an edge device does this for its own modules only, and keeps those of "
                          "the system");
}

static void allow(struct ask *ask) {
    switch (ask->request->op) {
    case SK_OP_SCOPE_LIST:
        sk_registry_list_scope(ask->hub->registry, ask->target, ask->request->continuation,
                               ask->request->max, listed, ask->request);
        free_ask(ask);
        return;
    case SK_OP_SCOPE_GET: answer_one(ask); return;
    default: serve_below(ask); return;
    }
}

/* ---- the way up ---- */

static void got_parent(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry);

static void climb(struct ask *ask) {
    struct sk_span parent = sk_identity_parent(&ask->at);
    if (strcmp(ask->at.device_id, ask->asker.device_id) == 0)
        allow(ask);
    else if (parent.n == 0 || ++ask->steps >= SK_CHAIN_MAX)
        refuse(ask);
    else
        sk_registry_get(ask->hub->registry, parent, SK_NONE, got_parent, ask);
}

static void got_parent(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry) {
    struct ask *ask = arg;
    (void)end;
    if (entry == NULL || !sk_identity_is_child(&ask->at, &entry->identity)) {
        refuse(ask);
        return;
    }
    sk_identity_free(&ask->at);
    ask->at = sk_identity_move(&entry->identity);
    climb(ask);
}

static void got_target(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry) {
    struct ask *ask = arg;
    (void)end;
    if (entry == NULL) {
        refuse(ask);
        return;
    }
    ask->found = sk_identity_move(&entry->identity);
    ask->at = sk_identity_copy(&ask->found);
    climb(ask);
}

/* Keys go to the edge hub of an edge device. */
static void got_asker(void *arg, const struct sk_registry_end *end,
                      struct sk_registry_entry *entry) {
    struct ask *ask = arg;
    (void)end;
    if (entry == NULL || !entry->identity.edge) {
        refuse(ask);
        return;
    }
    ask->asker = sk_identity_move(&entry->identity);
    sk_registry_get(ask->hub->registry, ask->target, SK_NONE, got_target, ask);
}

/* For the first device of the chain, which for one identity is named beside it. */
static void begin(struct sk_hub *hub, struct sk_request *request) {
    struct ask *ask = SK_NEW(struct ask);
    ask->hub = hub;
    ask->request = request;
    ask->target = first_of(first_of(request->chain, ';'), '/');
    if (request->op == SK_OP_SCOPE_GET) ask->target = first_of(request->name, '/');
    if (ask->target.n == 0) ask->target = request->device;
    sk_registry_get(hub->registry, request->device, SK_NONE, got_asker, ask);
}

const struct sk_hub_part hub_part_scope = {.serve = {[SK_OP_SCOPE_LIST] = begin,
                                                     [SK_OP_SCOPE_GET] = begin,
                                                     [SK_OP_BELOW_PUT] = begin,
                                                     [SK_OP_BELOW_GET] = begin,
                                                     [SK_OP_BELOW_LIST] = begin,
                                                     [SK_OP_BELOW_DELETE] = begin}};
