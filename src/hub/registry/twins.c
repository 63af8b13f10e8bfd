/* Twins: what devices and services read and change. */
#include "hub/parts.h"
#include "model/json_text.h"

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

/* ---- what it has been ---- */

static json_t *version_json(const struct sk_registry_past_version *version) {
    char time[SK_TIME_TEXT];
    json_t *kept = sk_json_load(version->document, 0, NULL);
    sk_time_text(json_integer_value(json_object_get(kept, "us")), time);
    json_t *desired = json_copy(json_object_get(kept, "desired"));
    json_object_set(desired, "$version", json_object_get(kept, "desiredVersion"));
    json_t *json =
        json_pack("{s:I,s:s,s:O,s:{s:o}}", "version", (json_int_t)version->version, "time", time,
                  "tags", json_object_get(kept, "tags"), "properties", "desired", desired);
    json_decref(kept);
    return json;
}

static void have_past(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_past *past) {
    struct sk_request *request = arg;
    struct sk_hub_list list = {0};
    if (end->status) {
        hub_refuse_status(request, end);
        return;
    }
    for (size_t i = 0; i < past->count; i++) {
        json_t *version = version_json(&past->versions[i]);
        hub_list_add(&list, version);
        json_decref(version);
    }
    hub_list_answer(&list, request, &(struct sk_answer){0});
}

static void read_history(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_twin_past(hub->registry, request->device, request->module, have_past, request);
}

static enum sk_status open_history(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    sk_registry_remember(hub->registry, hub->options->twin_history);
    return SK_OK;
}

static void reload_history(struct sk_hub *hub, const struct sk_hub_options *former) {
    if (former->twin_history != hub->options->twin_history)
        sk_registry_remember(hub->registry, hub->options->twin_history);
}

/* ---- its metrics and its key ---- */

static const struct sk_config_key keys[] = {
    {"hub[].twin_history", &sk_config_integer, SK_CONFIG_AT(struct sk_hub_options, twin_history),
     .most = SK_TWIN_PAST_MAX, .otherwise = "10",
     .does = "Versions of tags and desired properties that are remembered of each twin, for "
             "`skerry twin history` and `diff`; `0`: none",
     .page = "how-to/manage-at-scale.md"},
    {0}};

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_twin_updates_total", "Twin changes stored.", SK_HUB_COUNT(twin_updates_total)},
    {0}};

const struct sk_hub_part hub_part_twins = {.metrics = metrics,
                                           .keys = keys,
                                           .open = open_history,
                                           .reload = reload_history,
                                           .serve = {[SK_OP_TWIN_GET] = read_twin,
                                                     [SK_OP_TWIN_HISTORY] = read_history,
                                                     [SK_OP_TWIN_READ] = read_twin,
                                                     [SK_OP_TWIN_REPORT] = report,
                                                     [SK_OP_TWIN_UPDATE] = update}};
