/* Many identities at once, by POST /devices or an import, each for itself: what fails does not keep
 * the others from being done. Reference: docs/protocols/service-api.md, section 2. */
#include "hub/parts.h"
#include "model/json_text.h"

#include <stdio.h>

enum { ITEMS_MAX = 100 };

struct bulk {
    struct sk_request *request;
    json_t *errors, *warnings;
    size_t waiting;
};

static const struct mode {
    const char *name;
    enum sk_registry_work work;
    bool by_etag; /* of the identity, or of the twin */
} modes[] = {{"create", SK_WORK_CREATE, false},
             {"update", SK_WORK_UPDATE, false},
             {"updateIfMatchETag", SK_WORK_UPDATE, true},
             {"createOrUpdate", SK_WORK_PUT, false},
             {"createOrUpdateIfMatchETag", SK_WORK_PUT, true},
             {"delete", SK_WORK_REMOVE, false},
             {"deleteIfMatchETag", SK_WORK_REMOVE, true},
             {"updateTwin", SK_WORK_TWIN, false},
             {"updateTwinIfMatchETag", SK_WORK_TWIN, true}};

/* One identity on its way. */
struct item {
    struct sk_hub *hub;
    json_t *json; /* owned: what it says */
    struct sk_arena arena;
    struct hub_import_note note; /* in the arena */
    hub_import_done *done;
    void *arg;
    const struct mode *mode;
    struct sk_span device, module;
    struct sk_identity identity;
    bool makes_device; /* or may make one, which a tier counts */
    bool full;         /* the hub has no room: it is updated, if it is there */
};

/* ---- how it ended ---- */

/* On the store's thread too. `what`: {"deviceId", "moduleId", "operation"} as text. */
static json_t *failure_of(struct sk_span what, const struct sk_registry_end *end, bool twin) {
    json_t *error = sk_json_load(what, 0, NULL);
    if (twin) {
        json_object_del(error, "moduleId");
        json_object_del(error, "operation");
        json_object_set_new(error, "warningCode", json_string("DeviceRegisteredWithoutTwin"));
        json_object_set_new(
            error, "warningStatus",
            json_string(end->reason[0] ? end->reason : sk_status_text(end->status)));
        return error;
    }
    struct sk_request request = {.op = SK_OP_IDENTITY_PUT,
                                 .module = sk_span_z(sk_json_member_text(error, "moduleId"))};
    bool full = end->status == SK_NOT_FOUND && json_object_del(error, "full") == 0;
    enum sk_fault fault = full ? SK_FAULT_TOO_MANY_DEVICES : hub_fault_of(&request, end);
    const struct sk_fault_kind *kind = sk_fault_kind(fault);
    json_object_del(error, "full");
    json_object_set_new(error, "errorCode", json_string(kind->name));
    json_object_set_new(error, "errorStatus",
                        json_string(!full && end->reason[0] ? end->reason : kind->sentence));
    return error;
}

static void put_failure(struct sk_buffer *to, struct sk_span what,
                        const struct sk_registry_end *end, bool twin) {
    json_t *error = failure_of(what, end, twin);
    sk_json_put(to, error, 0);
    json_decref(error);
}

/* What a failure of it begins with; a span of its arena. */
static struct sk_span failure_head(struct item *item) {
    json_t *head = json_pack("{s:s%,s:s%,s:s}", "deviceId", item->device.p ? item->device.p : "",
                             item->device.n, "moduleId", item->module.p ? item->module.p : "",
                             item->module.n, "operation", item->mode ? item->mode->name : "");
    if (item->full) json_object_set_new(head, "full", json_true());
    SK_CLEANUP_FREE char *text = sk_json_text(head);
    json_decref(head);
    return sk_arena_copy(&item->arena, sk_span_z(text));
}

/* Ends it. */
static void tell(struct item *item, enum sk_status status, json_t *error, json_t *warning) {
    item->done(item->arg, status, error, warning);
    json_decref(error);
    json_decref(warning);
    sk_identity_free(&item->identity);
    json_decref(item->json);
    sk_arena_free(&item->arena);
    free(item);
}

static void fail(struct item *item, enum sk_fault fault, const char *text) {
    const struct sk_fault_kind *kind = sk_fault_kind(fault);
    json_t *error = sk_json_load(failure_head(item), 0, NULL);
    json_object_del(error, "full");
    json_object_set_new(error, "errorCode", json_string(kind->name));
    json_object_set_new(error, "errorStatus", json_string(text ? text : kind->sentence));
    if (item->note.key.n) hub_import_failed(item->hub, &item->note, error);
    tell(item, SK_OK, error, NULL);
}

void hub_import_failed(struct sk_hub *hub, const struct hub_import_note *note,
                       const json_t *error) {
    SK_CLEANUP_FREE char *text = sk_json_text(error);
    sk_registry_document_put(hub->registry, note->failure_kind, note->failure_key, sk_span_z(text),
                             NULL, NULL);
}

/* ---- the registry ---- */

static void tell_parts(struct item *item, const struct sk_registry_lined *lined) {
    if (lined->put) hub_identity_stored(item->hub, &lined->put->identity, lined->made);
    if (lined->gone.count) hub_identity_gone(item->hub, item->device, item->module, &lined->gone);
    if (lined->twin) {
        const json_t *tags = json_object_get(item->json, "tags");
        hub_twin_changed(item->hub, &(struct sk_hub_twin_change){.entry = lined->twin,
                                                                 .tags = tags,
                                                                 .desired = lined->desired_patch});
        hub_changed(item->hub);
    }
}

static void stored(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_lined *lined) {
    struct item *item = arg;
    json_t *error = NULL, *warning = NULL;
    item->hub->devices_coming -= item->makes_device;
    if (!end->status) tell_parts(item, lined);
    if (end->status) error = failure_of(failure_head(item), end, false);
    if (lined->twin_end) warning = failure_of(failure_head(item), lined->twin_end, true);
    tell(item, end->status, error, warning);
}

static struct sk_span etag_of(const struct item *item, const char *name) {
    const char *etag = item->mode->by_etag ? sk_json_member_text(item->json, name) : NULL;
    return etag ? sk_span_z(etag) : SK_SPAN("*");
}

static void ask(struct item *item, const struct sk_twin_change *twin) {
    enum sk_registry_work work = item->mode->work;
    bool of_twin = work == SK_WORK_TWIN;
    struct sk_registry_line line = {.work =
                                        work == SK_WORK_PUT && item->full ? SK_WORK_UPDATE : work,
                                    .device_id = item->device,
                                    .module_id = item->module,
                                    .identity = item->identity.device_id ? &item->identity : NULL,
                                    .if_match = etag_of(item, "eTag"),
                                    .twin = *twin,
                                    .twin_if_match = of_twin ? etag_of(item, "twinETag") : SK_NONE,
                                    .note = {.kind = item->note.kind,
                                             .key = item->note.key,
                                             .bytes = item->note.progress,
                                             .failure_kind = item->note.failure_kind,
                                             .failure_key = item->note.failure_key,
                                             .put_failure = put_failure}};
    if (line.note.key.n) line.note.of_failure = failure_head(item);
    item->hub->devices_coming += item->makes_device;
    sk_registry_line(item->hub->registry, &line, stored, item);
}

/* Whether there is room for what it may make; false: it was refused. */
static bool take_room(struct item *item) {
    enum sk_registry_work work = item->mode->work;
    if (item->module.n || (work != SK_WORK_CREATE && work != SK_WORK_PUT)) return true;
    item->full = !hub_quota_has_room(item->hub);
    item->makes_device = !item->full;
    if (item->full && work == SK_WORK_CREATE) {
        fail(item, SK_FAULT_TOO_MANY_DEVICES, NULL);
        return false;
    }
    return true;
}

/* ---- all of them ---- */

static const struct mode *find_mode(const json_t *json) {
    const json_t *named = json_object_get(json, "importMode");
    struct sk_span name = sk_span_z(json_string_value(named));
    if (named == NULL || json_is_null(named)) name = SK_SPAN("createOrUpdate");
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (sk_span_eq_nocase(name, sk_span_z(modes[i].name))) return &modes[i];
    return NULL;
}

static void begin(struct item *item) {
    char error[SK_MODEL_ERROR_MAX];
    struct sk_twin_change twin = {0};
    if (item->mode == NULL) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, "importMode is not known");
    } else if (sk_id_check(item->device) || (item->module.n && sk_id_check(item->module))) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, "id, or moduleId, is not a valid id");
    } else if (sk_twin_change_from_json(item->json, false, &twin, error)) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, error);
    } else if (item->mode->work == SK_WORK_TWIN && twin.tags == NULL && twin.desired == NULL) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, "there are neither tags nor properties.desired");
    } else if (item->mode->work < SK_WORK_REMOVE &&
               sk_identity_from_json(item->json, item->device, item->module, &item->identity,
                                     error)) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, error);
    } else if (take_room(item)) {
        ask(item, &twin);
    }
}

void hub_import(struct sk_hub *hub, json_t *json, const struct hub_import_note *note,
                hub_import_done *done, void *arg) {
    struct item *item = SK_NEW(struct item);
    item->hub = hub;
    item->json = json;
    item->done = done;
    item->arg = arg;
    item->mode = find_mode(json);
    item->device = sk_span_z(sk_json_member_text(json, "id"));
    item->module = sk_span_z(sk_json_member_text(json, "moduleId"));
    if (note)
        item->note = (struct hub_import_note){sk_arena_copy(&item->arena, note->kind),
                                              sk_arena_copy(&item->arena, note->key),
                                              sk_arena_copy(&item->arena, note->progress),
                                              sk_arena_copy(&item->arena, note->failure_kind),
                                              sk_arena_copy(&item->arena, note->failure_key)};
    begin(item);
}

/* ---- POST /devices ---- */

static void release(struct bulk *bulk) {
    if (--bulk->waiting) return;
    bool fine = json_array_size(bulk->errors) == 0;
    json_t *document = json_pack("{s:b,s:o,s:o}", "isSuccessful", fine, "errors", bulk->errors,
                                 "warnings", bulk->warnings);
    struct sk_request *request = bulk->request;
    free(bulk);
    request->done(request, &(struct sk_answer){.document = document, .partial = !fine});
    json_decref(document);
}

static void one_done(void *arg, enum sk_status status, json_t *error, json_t *warning) {
    struct bulk *bulk = arg;
    (void)status;
    if (error) json_array_append(bulk->errors, error);
    if (warning) json_array_append(bulk->warnings, warning);
    release(bulk);
}

static void bulk(struct sk_hub *hub, struct sk_request *request) {
    size_t count = json_array_size(request->body), i;
    json_t *json;
    if (count == 0 || count > ITEMS_MAX) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "the body is an array of 1 to %d identities", ITEMS_MAX);
        return;
    }
    struct bulk *all = SK_NEW(struct bulk);
    *all = (struct bulk){request, json_array(), json_array(), count + 1}; /* this function too */
    json_array_foreach(request->body, i, json) {
        hub_import(hub, json_incref(json), NULL, one_done, all);
    }
    release(all);
}

const struct sk_hub_part hub_part_bulk = {.serve = {[SK_OP_IDENTITY_BULK] = bulk}};
