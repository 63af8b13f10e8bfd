/* Twins: what devices and services read and change. */
#include "hub/parts.h"

/* Carries a request through the registry. */
struct twin_call {
    struct sk_hub *hub;
    struct sk_request *request;
};

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
    const struct sk_request *request = call.request;
    bool reports = request->op == SK_OP_TWIN_REPORT;
    call.hub->counts.twin_updates_total++;
    hub_twin_changed(call.hub, &(struct sk_hub_twin_change){
                                   .entry = entry,
                                   .tags = reports ? NULL : json_object_get(request->body, "tags"),
                                   .reported = reports ? request->body : NULL,
                                   .desired = desired_patch,
                                   .replaced = request->replace});
    hub_changed(call.hub);
    if (reports)
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

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_twin_updates_total", "Twin changes stored.", SK_HUB_COUNT(twin_updates_total)},
    {0}};

const struct sk_hub_part hub_part_twins = {.metrics = metrics,
                                           .serve = {[SK_OP_TWIN_GET] = read_twin,
                                                     [SK_OP_TWIN_READ] = read_twin,
                                                     [SK_OP_TWIN_REPORT] = report,
                                                     [SK_OP_TWIN_UPDATE] = update}};
