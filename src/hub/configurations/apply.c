/* What somebody gives one edge device by hand: POST replaces the desired properties of the modules
 * that are named, PATCH merges into them (ours: RFC 7396, without the rest being sent again). All
 * is checked before anything is changed. A deployment that is for the device brings its own
 * again. */
#include "hub/configurations/parts.h"

struct apply {
    struct sk_hub *hub;
    struct sk_request *request;
    json_t *modules;
};

static void end_apply(struct apply *apply) {
    json_decref(apply->modules);
    free(apply);
}

static void applied(void *arg, const struct sk_registry_end *failed, struct sk_span module) {
    struct apply *apply = arg;
    struct sk_request *request = apply->request;
    struct sk_hub *hub = apply->hub;
    end_apply(apply);
    hub_changed(hub);
    if (failed == NULL)
        sk_request_answer(request);
    else if (failed->reason[0])
        sk_request_refuse(request, hub_fault_of(request, failed), "modulesContent.%.*s: %s",
                          SK_ARG(module), failed->reason);
    else
        hub_refuse_status(request, failed);
}

static void edge_found(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry) {
    struct apply *apply = arg;
    struct sk_request *request = apply->request;
    if (entry && entry->identity.edge) {
        rollout(apply->hub, request->device, apply->modules, request->op == SK_OP_CONTENT_PATCH,
                NULL, applied, apply);
        return;
    }
    end_apply(apply);
    if (entry == NULL)
        hub_refuse_status(request, end);
    else
        sk_request_refuse(request, SK_FAULT_INVALID_OPERATION, "%.*s is not an edge device",
                          SK_ARG(request->device));
}

void apply_content(struct sk_hub *hub, struct sk_request *request) {
    json_t *contents = json_object_get(request->body, "modulesContent"), *keys;
    const char *module;
    char error[SK_MODEL_ERROR_MAX];
    bool merge = request->op == SK_OP_CONTENT_PATCH;
    if (!json_is_object(contents)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the body has no modulesContent object");
        return;
    }
    json_t *modules = json_object();
    json_object_foreach(contents, module, keys) {
        bool id = sk_id_check(sk_span_z(module)) == SK_OK;
        if (!id || content_check(keys, error)) {
            if (id)
                sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "modulesContent.%s: %s",
                                  module, error);
            else
                sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "'%.64s' is not a module id",
                                  module);
            json_decref(modules);
            return;
        }
        json_t *desired = json_object();
        content_put(desired, keys);
        if (!merge) content_drop_nulls(desired);
        json_object_set_new(modules, module, desired);
    }
    struct apply *apply = SK_NEW(struct apply);
    *apply = (struct apply){hub, request, modules};
    sk_registry_get(hub->registry, request->device, SK_NONE, edge_found, apply);
}
