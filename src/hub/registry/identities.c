/* The identity registry over REST, and what an edge hub may read of it. */
#include "hub/parts.h"

#include <stdio.h>

/* Carries hub and request through a registry call. */
struct call {
    struct sk_hub *hub;
    struct sk_request *request;
};

static struct call *new_call(struct sk_hub *hub, struct sk_request *request) {
    struct call *call = SK_NEW(struct call);
    *call = (struct call){hub, request};
    return call;
}

static struct call take_call(void *arg) {
    struct call call = *(struct call *)arg;
    free(arg);
    return call;
}

static void answer_identity(struct call *call, const struct sk_identity *identity) {
    char etag[SK_ETAG_MAX];
    sk_identity_etag(identity->etag, etag);
    json_t *document = sk_identity_to_json(identity, hub_presence(call->hub, identity));
    call->request->done(call->request,
                        &(struct sk_answer){.document = document, .etag = sk_span_z(etag)});
    json_decref(document);
}

static void got(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    struct call call = take_call(arg);
    if (entry == NULL) {
        hub_refuse_status(call.request, end);
        return;
    }
    const struct sk_identity *identity = &entry->identity;
    if (call.request->op == SK_OP_IDENTITY_PUT) sk_sessions_changed(&call.hub->backend, identity);
    answer_identity(&call, identity);
}

/* A list, some identities a read. */
struct list_call {
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_hub_list list;
};

static void read_devices(struct list_call *call, struct sk_span after);

static void listed(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_entries *read) {
    struct list_call *call = arg;
    struct sk_request *request = call->request;
    for (size_t i = 0; i < read->count; i++) {
        const struct sk_identity *identity = &read->entries[i].identity;
        json_t *item = sk_identity_to_json(identity, hub_presence(call->hub, identity));
        hub_list_add(&call->list, item);
        json_decref(item);
    }
    if (end->status) {
        hub_refuse_status(request, end);
        sk_buffer_free(&call->list.text);
    } else if (read->more && call->list.count < request->max) {
        read_devices(call, sk_span_z(read->entries[read->count - 1].identity.device_id));
        return;
    } else {
        hub_list_answer(&call->list, request, &(struct sk_answer){0});
    }
    free(call);
}

static void read_devices(struct list_call *call, struct sk_span after) {
    enum { A_READ = 32 };
    size_t left = call->request->max - call->list.count;
    sk_registry_list_devices(call->hub->registry, after, left < A_READ ? left : A_READ, listed,
                             call);
}

static struct list_call *new_list(struct sk_hub *hub, struct sk_request *request) {
    struct list_call *call = SK_NEW(struct list_call);
    call->hub = hub;
    call->request = request;
    return call;
}

static void list_devices(struct sk_hub *hub, struct sk_request *request) {
    read_devices(new_list(hub, request), SK_NONE);
}

static void list_modules(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_list_modules(hub->registry, request->device, listed, new_list(hub, request));
}

static void deleted(void *arg, const struct sk_registry_end *end,
                    const struct sk_registry_entries *gone) {
    (void)gone;
    struct call call = take_call(arg);
    if (end->status) {
        hub_refuse_status(call.request, end);
        return;
    }
    bool module = call.request->module.n > 0;
    sk_sessions_drop(&call.hub->backend, call.request->device, call.request->module,
                     module ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND);
    hub_forget(call.hub, call.request->device, call.request->module);
    if (!module) hub_c2d_forget(call.hub, call.request->device);
    sk_request_answer(call.request);
}

static void put(struct sk_hub *hub, struct sk_request *request) {
    struct sk_identity identity;
    char error[SK_MODEL_ERROR_MAX];
    if (sk_identity_from_json(request->body, request->device, request->module, &identity, error)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
        return;
    }
    sk_registry_put(hub->registry, &identity, request->if_match, got, new_call(hub, request));
    sk_identity_free(&identity);
}

static void get(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_get(hub->registry, request->device, request->module, got, new_call(hub, request));
}

static void remove_identity(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_delete(hub->registry, request->device, request->module, request->if_match, deleted,
                       new_call(hub, request));
}

/* ---- identity scope of an edge device: docs/protocols/edge-runtime.md, section 5.4 ---- */

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

static void answer_scope(struct sk_request *request, const struct sk_registry_entries *list,
                         struct sk_span continuation) {
    json_t *devices = json_array(), *modules = json_array();
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_identity *identity = &list->entries[i].identity;
        json_array_append_new(identity->module_id ? modules : devices,
                              scope_entry(request, identity));
    }
    json_t *link = continuation.n ? json_stringn(continuation.p, continuation.n) : json_null();
    json_t *document = json_pack("{s:o,s:o,s:O,s:o}", "devices", devices, "modules", modules,
                                 "continuationLink", link, "continuationToken", link);
    request->done(request, &(struct sk_answer){.document = document});
    json_decref(document);
}

static void scope_listed(void *arg, const struct sk_registry_end *end,
                         const struct sk_registry_entries *list) {
    struct call call = take_call(arg);
    if (end->status) {
        hub_refuse_status(call.request, end);
        return;
    }
    struct sk_span last = SK_NONE;
    if (list->more) last = sk_span_z(list->entries[list->count - 1].identity.device_id);
    answer_scope(call.request, list, last);
}

/* One identity of the scope: the edge device, the target's device, then the target's module, each
 * looked up in turn. */
struct scope_get {
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_registry_entry found[3];
    size_t count;
};

static void end_scope_get(struct scope_get *get, bool found) {
    struct sk_request *request = get->request;
    if (!found)
        sk_request_refuse(request, SK_FAULT_DEVICE_NOT_FOUND, "%.*s is not in the scope of %.*s",
                          SK_ARG(request->name), SK_ARG(request->device));
    else
        answer_scope(
            request,
            &(struct sk_registry_entries){.entries = get->found + 1, .count = get->count - 1},
            SK_NONE);
    for (size_t i = 0; i < get->count; i++) sk_identity_free(&get->found[i].identity);
    free(get);
}

/* Keys go to the edge hub of an edge device, for itself, its modules and its children. */
static bool in_scope(const struct sk_identity *device, const struct sk_identity *edge) {
    return edge->edge &&
           (strcmp(device->device_id, edge->device_id) == 0 || sk_identity_is_child(device, edge));
}

static void scope_step(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry) {
    (void)end;
    struct scope_get *get = arg;
    struct sk_span device =
        sk_span_first(get->request->name, sk_span_find(get->request->name, '/'));
    struct sk_span module = sk_span_skip(get->request->name, device.n + 1);
    if (entry == NULL) {
        end_scope_get(get, false);
        return;
    }
    get->found[get->count++].identity = sk_identity_move(&entry->identity);
    if (get->count == 1)
        sk_registry_get(get->hub->registry, device, SK_NONE, scope_step, get);
    else if (get->count == 2 && !in_scope(&get->found[1].identity, &get->found[0].identity))
        end_scope_get(get, false);
    else if (get->count == 2 && module.n)
        sk_registry_get(get->hub->registry, device, module, scope_step, get);
    else
        end_scope_get(get, true);
}

static void list_scope(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_list_scope(hub->registry, request->device, request->continuation, request->max,
                           scope_listed, new_call(hub, request));
}

static void get_of_scope(struct sk_hub *hub, struct sk_request *request) {
    struct scope_get *get = SK_NEW(struct scope_get);
    get->hub = hub;
    get->request = request;
    sk_registry_get(hub->registry, request->device, SK_NONE, scope_step, get);
}

const struct sk_hub_part hub_part_identities = {.serve = {[SK_OP_IDENTITY_GET] = get,
                                                          [SK_OP_IDENTITY_PUT] = put,
                                                          [SK_OP_IDENTITY_DELETE] = remove_identity,
                                                          [SK_OP_DEVICE_LIST] = list_devices,
                                                          [SK_OP_MODULE_LIST] = list_modules,
                                                          [SK_OP_SCOPE_LIST] = list_scope,
                                                          [SK_OP_SCOPE_GET] = get_of_scope}};
