/* Many identities at once, by POST /devices or an import, each for itself: what fails does not keep
 * the others from being done. Reference: docs/protocols/service-api.md, section 2. */
#include "hub/parts.h"

#include <stdio.h>

enum { ITEMS_MAX = 100 };

struct bulk {
    struct sk_request *request;
    json_t *errors, *warnings;
    size_t waiting;
};

enum work { CREATE, UPDATE, CREATE_OR_UPDATE, REMOVE, UPDATE_TWIN };

static const struct mode {
    const char *name;
    enum work work;
    bool by_etag; /* of the identity, or of the twin */
} modes[] = {{"create", CREATE, false},
             {"update", UPDATE, false},
             {"updateIfMatchETag", UPDATE, true},
             {"createOrUpdate", CREATE_OR_UPDATE, false},
             {"createOrUpdateIfMatchETag", CREATE_OR_UPDATE, true},
             {"delete", REMOVE, false},
             {"deleteIfMatchETag", REMOVE, true},
             {"updateTwin", UPDATE_TWIN, false},
             {"updateTwinIfMatchETag", UPDATE_TWIN, true}};

/* One identity on its way. */
struct item {
    struct sk_hub *hub;
    json_t *json; /* owned: what it says */
    json_t *error, *warning;
    hub_import_done *done;
    void *arg;
    const struct mode *mode;
    struct sk_span device, module;
    struct sk_identity identity;
    bool second; /* of CREATE_OR_UPDATE: it is there, and is updated */
    bool full;   /* likewise: it is updated if it is there, for the hub may have no more devices */
};

static const char *text_of(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

/* ---- how it ended ---- */

static void end_item(struct item *item) {
    item->done(item->arg, item->error, item->warning);
    sk_identity_free(&item->identity);
    json_decref(item->json);
    json_decref(item->error);
    json_decref(item->warning);
    free(item);
}

static void fail(struct item *item, enum sk_fault fault, const char *text) {
    const struct sk_fault_kind *kind = sk_fault_kind(fault);
    item->error =
        json_pack("{s:s%,s:s%,s:s,s:s,s:s}", "deviceId", item->device.p ? item->device.p : "",
                  item->device.n, "moduleId", item->module.p ? item->module.p : "", item->module.n,
                  "errorCode", kind->name, "errorStatus", text && text[0] ? text : kind->sentence,
                  "operation", item->mode ? item->mode->name : "");
    end_item(item);
}

static void fail_status(struct item *item, const struct sk_registry_end *end) {
    struct sk_request request = {
        .op = SK_OP_IDENTITY_PUT, .device = item->device, .module = item->module};
    fail(item, hub_fault_of(&request, end), end->reason);
}

/* ---- twins ---- */

static void twin_changed(void *arg, const struct sk_registry_end *end,
                         struct sk_registry_entry *entry, const json_t *desired_patch) {
    struct item *item = arg;
    if (entry) {
        hub_twin_changed(item->hub,
                         &(struct sk_hub_twin_change){.entry = entry,
                                                      .tags = json_object_get(item->json, "tags"),
                                                      .desired = desired_patch});
        hub_changed(item->hub);
        end_item(item);
    } else if (item->mode->work == UPDATE_TWIN) {
        fail_status(item, end);
    } else { /* the identity is there all the same */
        item->warning = json_pack("{s:s%,s:s,s:s}", "deviceId", item->device.p, item->device.n,
                                  "warningCode", "DeviceRegisteredWithoutTwin", "warningStatus",
                                  end->reason[0] ? end->reason : sk_status_text(end->status));
        end_item(item);
    }
}

static struct sk_span etag_of(const struct item *item, const char *name) {
    const char *etag = item->mode->by_etag ? text_of(item->json, name) : NULL;
    return etag ? sk_span_z(etag) : SK_SPAN("*");
}

/* False: there is nothing of a twin in it. It was checked in the beginning. */
static bool change_twin(struct item *item) {
    struct sk_twin_change change;
    char error[SK_MODEL_ERROR_MAX];
    sk_twin_change_from_json(item->json, false, &change, error);
    if (change.tags == NULL && change.desired == NULL) return false;
    sk_registry_twin_change(item->hub->registry, item->device, item->module, &change,
                            item->mode->work == UPDATE_TWIN ? etag_of(item, "twinETag") : SK_NONE,
                            twin_changed, item);
    return true;
}

/* ---- identities ---- */

static bool creates(const struct item *item) {
    return item->mode->work != UPDATE && !item->second;
}

/* Whether it makes a device, which a tier counts. */
static bool makes_device(const struct item *item) {
    return item->module.n == 0 && creates(item);
}

static void put(struct item *item);

static void stored(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    struct item *item = arg;
    item->hub->devices_coming -= makes_device(item);
    if (entry) {
        hub_identity_stored(item->hub, &entry->identity, creates(item));
        if (!change_twin(item)) end_item(item);
    } else if (end->status == SK_EXISTS && item->mode->work == CREATE_OR_UPDATE && !item->second) {
        item->second = true;
        put(item);
    } else if (end->status == SK_NOT_FOUND && item->full) {
        fail(item, SK_FAULT_TOO_MANY_DEVICES, NULL);
    } else {
        fail_status(item, end);
    }
}

static void put(struct item *item) {
    item->full |= makes_device(item) && !hub_quota_has_room(item->hub);
    if (item->full && item->mode->work == CREATE) {
        fail(item, SK_FAULT_TOO_MANY_DEVICES, NULL);
        return;
    }
    item->second |= item->full;
    item->hub->devices_coming += makes_device(item);
    sk_registry_put(item->hub->registry, &item->identity,
                    creates(item) ? SK_NONE : etag_of(item, "eTag"), stored, item);
}

static void removed(void *arg, const struct sk_registry_end *end,
                    const struct sk_registry_entries *gone) {
    struct item *item = arg;
    if (end->status) {
        fail_status(item, end);
        return;
    }
    hub_identity_gone(item->hub, item->device, item->module, gone);
    end_item(item);
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
    struct sk_twin_change change;
    if (item->mode == NULL) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, "importMode is not known");
    } else if (sk_id_check(item->device) || (item->module.n && sk_id_check(item->module))) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, "id, or moduleId, is not a valid id");
    } else if (sk_twin_change_from_json(item->json, false, &change, error)) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, error);
    } else if (item->mode->work == REMOVE) {
        sk_registry_delete(item->hub->registry, item->device, item->module, etag_of(item, "eTag"),
                           removed, item);
    } else if (item->mode->work == UPDATE_TWIN) {
        if (!change_twin(item))
            fail(item, SK_FAULT_ARGUMENT_INVALID, "there are neither tags nor properties.desired");
    } else if (sk_identity_from_json(item->json, item->device, item->module, &item->identity,
                                     error)) {
        fail(item, SK_FAULT_ARGUMENT_INVALID, error);
    } else {
        put(item);
    }
}

void hub_import(struct sk_hub *hub, json_t *json, hub_import_done *done, void *arg) {
    struct item *item = SK_NEW(struct item);
    item->hub = hub;
    item->json = json;
    item->done = done;
    item->arg = arg;
    item->mode = find_mode(json);
    item->device = sk_span_z(text_of(json, "id"));
    item->module = sk_span_z(text_of(json, "moduleId"));
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

static void one_done(void *arg, json_t *error, json_t *warning) {
    struct bulk *bulk = arg;
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
    json_array_foreach(request->body, i, json) hub_import(hub, json_incref(json), one_done, all);
    release(all);
}

const struct sk_hub_part hub_part_bulk = {.serve = {[SK_OP_IDENTITY_BULK] = bulk}};
