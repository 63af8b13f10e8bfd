/* The identity registry over REST. */
#include "hub/parts.h"

#include <stdio.h>

/* Carries hub and request through a registry call. */
struct call {
    struct sk_hub *hub;
    struct sk_request *request;
    uint32_t c2d_count; /* of a GET of a device: messages that wait for it */
};

static struct call *new_call(struct sk_hub *hub, struct sk_request *request) {
    struct call *call = SK_NEW(struct call);
    *call = (struct call){hub, request, 0};
    return call;
}

static struct call take_call(void *arg) {
    struct call call = *(struct call *)arg;
    free(arg);
    return call;
}

void hub_identity_stored(struct sk_hub *hub, const struct sk_identity *identity, bool made) {
    sk_sessions_changed(&hub->backend, identity);
    if (made) hub_identity_changed(hub, identity, true);
    hub_changed(hub);
}

void hub_identity_gone(struct sk_hub *hub, struct sk_span device, struct sk_span module,
                       const struct sk_registry_entries *gone) {
    sk_sessions_drop(&hub->backend, device, module,
                     module.n ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND);
    hub_forget(hub, device, module);
    if (module.n == 0) hub_c2d_forget(hub, device);
    for (size_t i = 0; i < gone->count; i++)
        hub_identity_changed(hub, &gone->entries[i].identity, false);
    hub_changed(hub);
}

static void answer_identity(struct call *call, const struct sk_identity *identity) {
    char etag[SK_ETAG_MAX];
    const struct sk_presence *known = hub_presence(call->hub, identity);
    struct sk_presence presence = known ? *known : (struct sk_presence){0};
    presence.c2d_count = call->c2d_count;
    sk_identity_etag(identity->etag, etag);
    json_t *document = sk_identity_to_json(identity, &presence);
    call->request->done(call->request,
                        &(struct sk_answer){.document = document, .etag = sk_span_z(etag)});
    json_decref(document);
}

/* Whether it makes a device, which a tier counts. */
static bool makes_device(const struct sk_request *request) {
    return request->op == SK_OP_IDENTITY_PUT && request->module.n == 0 && request->if_match.n == 0;
}

static void got(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    struct call call = take_call(arg);
    call.hub->devices_coming -= makes_device(call.request);
    if (entry == NULL) {
        hub_refuse_status(call.request, end);
        return;
    }
    const struct sk_identity *identity = &entry->identity;
    bool changed = call.request->op == SK_OP_IDENTITY_PUT || call.request->op == SK_OP_BELOW_PUT;
    if (changed) hub_identity_stored(call.hub, identity, call.request->if_match.n == 0);
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
    struct call call = take_call(arg);
    if (end->status) {
        hub_refuse_status(call.request, end);
        return;
    }
    hub_identity_gone(call.hub, call.request->device, call.request->module, gone);
    sk_request_answer(call.request);
}

static void put(struct sk_hub *hub, struct sk_request *request) {
    struct sk_identity identity;
    char error[SK_MODEL_ERROR_MAX];
    if (makes_device(request) && !hub_quota_has_room(hub)) {
        sk_request_refuse(request, SK_FAULT_TOO_MANY_DEVICES, NULL);
        return;
    }
    if (sk_identity_from_json(request->body, request->device, request->module, &identity, error)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
        return;
    }
    hub->devices_coming += makes_device(request);
    sk_registry_put(hub->registry, &identity, request->if_match, got, new_call(hub, request));
    sk_identity_free(&identity);
}

static void counted(void *arg, const struct sk_registry_end *end,
                    const struct sk_registry_queue *queue) {
    struct call *call = arg;
    call->c2d_count = end->status ? 0 : (uint32_t)queue->count;
    sk_registry_get(call->hub->registry, call->request->device, SK_NONE, got, call);
}

/* Of one device also how many messages wait for it; lists and twins do not count them. */
static void get(struct sk_hub *hub, struct sk_request *request) {
    struct call *call = new_call(hub, request);
    if (request->module.n)
        sk_registry_get(hub->registry, request->device, request->module, got, call);
    else
        sk_registry_c2d_list(hub->registry, request->device, counted, call);
}

static void remove_identity(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_delete(hub->registry, request->device, request->module, request->if_match, deleted,
                       new_call(hub, request));
}

const struct sk_hub_part hub_part_identities = {.serve = {[SK_OP_IDENTITY_GET] = get,
                                                          [SK_OP_IDENTITY_PUT] = put,
                                                          [SK_OP_IDENTITY_DELETE] = remove_identity,
                                                          [SK_OP_DEVICE_LIST] = list_devices,
                                                          [SK_OP_MODULE_LIST] = list_modules}};
