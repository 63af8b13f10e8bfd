/* Twins: what devices and services read and change, and the deployment of an edge device's modules.
 */
#include "hub/parts.h"

/* Carries a request through the registry. */
struct twin_call {
    struct sk_hub *hub;
    struct sk_request *request;
};

/* Tells the client of a change to its desired properties, if it was one. */
static void notify_desired(struct sk_hub *hub, struct sk_span device, struct sk_span module,
                           const struct sk_registry_entry *entry, const json_t *patch) {
    if (patch)
        sk_directory_deliver_desired(&hub->backend, device, module, patch,
                                     entry->twin.desired_version);
}

static void answer_twin(struct sk_hub *hub, struct sk_request *request,
                        const struct sk_registry_entry *entry) {
    char etag[SK_ETAG_MAX];
    sk_twin_etag(entry->twin.etag, etag);
    json_t *document = request->op == SK_OP_TWIN_GET
                           ? sk_twin_device_json(&entry->twin)
                           : sk_twin_service_json(&entry->twin, &entry->identity,
                                                  hub_presence(hub, &entry->identity));
    request->done(request, &(struct sk_answer){
                               .document = document,
                               .version = entry->twin.reported_version,
                               .etag = request->op == SK_OP_TWIN_GET ? SK_NONE : sk_span_z(etag)});
    json_decref(document);
}

static void changed(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                    const json_t *desired_patch) {
    struct twin_call call = *(struct twin_call *)arg;
    free(arg);
    if (entry == NULL) {
        hub_refuse_status(call.request, end);
        return;
    }
    call.hub->counts.twin_updates_total++;
    notify_desired(call.hub, call.request->device, call.request->module, entry, desired_patch);
    if (call.request->op == SK_OP_TWIN_REPORT)
        call.request->done(call.request,
                           &(struct sk_answer){.version = entry->twin.reported_version});
    else
        answer_twin(call.hub, call.request, entry);
}

static void change(struct sk_hub *hub, struct sk_request *request,
                   const struct sk_twin_change *what) {
    struct twin_call *call = SK_NEW(struct twin_call);
    *call = (struct twin_call){hub, request};
    sk_registry_twin_change(hub->registry, request->device, request->module, what,
                            request->if_match, changed, call);
}

static void read_done(void *arg, const struct sk_registry_end *end,
                      struct sk_registry_entry *entry) {
    struct twin_call call = *(struct twin_call *)arg;
    free(arg);
    if (entry == NULL)
        hub_refuse_status(call.request, end);
    else
        answer_twin(call.hub, call.request, entry);
}

static void read_twin(struct sk_hub *hub, struct sk_request *request) {
    struct twin_call *call = SK_NEW(struct twin_call);
    *call = (struct twin_call){hub, request};
    sk_registry_twin_get(hub->registry, request->device, request->module, read_done, call);
}

static void report(struct sk_hub *hub, struct sk_request *request) {
    struct sk_twin_change what = {.reported = request->body};
    change(hub, request, &what);
}

static void update(struct sk_hub *hub, struct sk_request *request) {
    struct sk_twin_change what = {0};
    char error[SK_MODEL_ERROR_MAX];
    if (sk_twin_change_from_json(request->body, request->replace, &what, error))
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    else
        change(hub, request, &what);
}

/* ---- applyConfigurationContent: {"modulesContent":{"$edgeAgent":{"properties.desired":{…}}, …}}
 * ---- */

/* Goes through the modules one after the other: makes the identity where it is missing, then
 * replaces its desired properties. Everything is checked before anything is changed. */
struct apply {
    struct sk_hub *hub;
    struct sk_request *request;
    json_t *contents; /* borrowed */
    void *at;         /* iterator; NULL: all done */
    struct sk_twin_change change;
};

static void apply_next(struct apply *apply);

static void end_apply(struct apply *apply, const struct sk_registry_end *failed) {
    struct sk_request *request = apply->request;
    free(apply);
    if (failed)
        hub_refuse_status(request, failed);
    else
        sk_request_answer(request);
}

static struct sk_span module_at(const struct apply *apply) {
    return sk_span_z(json_object_iter_key(apply->at));
}

static void apply_here(struct apply *apply);

static void module_made(void *arg, const struct sk_registry_end *end,
                        struct sk_registry_entry *entry) {
    (void)entry;
    struct apply *apply = arg;
    if (end->status && end->status != SK_EXISTS)
        end_apply(apply, end);
    else
        apply_here(apply);
}

static void applied(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                    const json_t *desired_patch) {
    struct apply *apply = arg;
    if (end->status == SK_NOT_FOUND) {
        struct sk_identity identity = {0};
        sk_identity_set(&identity.device_id, apply->request->device);
        sk_identity_set(&identity.module_id, module_at(apply));
        sk_identity_set(&identity.managed_by, SK_SPAN("IotEdge"));
        sk_registry_put(apply->hub->registry, &identity, SK_NONE, module_made, apply);
        sk_identity_free(&identity);
        return;
    }
    if (entry == NULL) {
        end_apply(apply, end);
        return;
    }
    notify_desired(apply->hub, apply->request->device, module_at(apply), entry, desired_patch);
    apply->at = json_object_iter_next(apply->contents, apply->at);
    apply_next(apply);
}

static void apply_here(struct apply *apply) {
    sk_registry_twin_change(apply->hub->registry, apply->request->device, module_at(apply),
                            &apply->change, SK_NONE, applied, apply);
}

static void apply_next(struct apply *apply) {
    if (apply->at == NULL) {
        end_apply(apply, NULL);
        return;
    }
    json_t *content = json_object_iter_value(apply->at);
    apply->change = (struct sk_twin_change){
        .desired = json_object_get(content, "properties.desired"), .replace_desired = true};
    apply_here(apply);
}

static void edge_found(void *arg, const struct sk_registry_end *end,
                       struct sk_registry_entry *entry) {
    struct apply *apply = arg;
    if (entry == NULL) {
        end_apply(apply, end);
    } else if (!entry->identity.edge) {
        struct sk_request *request = apply->request;
        free(apply);
        sk_request_refuse(request, SK_FAULT_INVALID_OPERATION, "%.*s is not an edge device",
                          SK_ARG(request->device));
    } else {
        apply->at = json_object_iter(apply->contents);
        apply_next(apply);
    }
}

static void apply_configuration(struct sk_hub *hub, struct sk_request *request) {
    json_t *contents = json_object_get(request->body, "modulesContent"), *content;
    const char *module;
    char error[SK_MODEL_ERROR_MAX];
    if (!json_is_object(contents)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the body has no modulesContent object");
        return;
    }
    json_object_foreach(contents, module, content) {
        json_t *desired = json_object_get(content, "properties.desired");
        if (sk_id_check(sk_span_z(module))) {
            sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "'%.64s' is not a module id",
                              module);
            return;
        }
        if (!json_is_object(desired) || json_object_size(content) != 1) {
            sk_request_refuse(
                request, SK_FAULT_ARGUMENT_INVALID,
                "modulesContent.%s must hold exactly \"properties.desired\", an object", module);
            return;
        }
        if (sk_twin_check(SK_TWIN_DESIRED, desired, error)) {
            sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "modulesContent.%s: %s", module,
                              error);
            return;
        }
    }
    struct apply *apply = SK_NEW(struct apply);
    apply->hub = hub;
    apply->request = request;
    apply->contents = contents;
    sk_registry_get(hub->registry, request->device, SK_NONE, edge_found, apply);
}

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_twin_updates_total", "Twin changes stored.", SK_HUB_COUNT(twin_updates_total)},
    {0}};

const struct sk_hub_part hub_part_twins = {
    .metrics = metrics,
    .serve = {[SK_OP_TWIN_GET] = read_twin,
              [SK_OP_TWIN_READ] = read_twin,
              [SK_OP_TWIN_REPORT] = report,
              [SK_OP_TWIN_UPDATE] = update,
              [SK_OP_CONFIGURATION_APPLY] = apply_configuration}};
