/* Digital twins of Plug and Play over REST: read, and patched; commands are direct methods
 * (hub/methods.c). Reference: docs/protocols/service-api.md, section 3. */
#include "model/digital_twin.h"

#include "hub/parts.h"

enum { TRIES = 8 }; /* of a patch, when others change the twin meanwhile */

static void answer(struct sk_request *request, const struct sk_registry_entry *entry,
                   const json_t *document) {
    char etag[SK_ETAG_MAX];
    sk_twin_etag(entry->twin.etag, etag);
    request->done(request,
                  &(struct sk_answer){.document = (json_t *)document, .etag = sk_span_z(etag)});
}

static void read_done(void *arg, const struct sk_registry_end *end,
                      struct sk_registry_entry *entry) {
    struct sk_request *request = arg;
    if (entry == NULL) {
        hub_refuse_status(request, end);
        return;
    }
    json_t *document = sk_digital_twin_json(&entry->twin, &entry->identity);
    answer(request, entry, document);
    json_decref(document);
}

static void read_twin(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_twin_get(hub->registry, request->device, SK_NONE, read_done, request);
}

/* ---- patching: as it is now, then on condition that it still is so ---- */

struct patching {
    struct sk_hub *hub;
    struct sk_request *request;
    unsigned tries;
};

static void read_for_patch(struct patching *patching);

static void changed(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry,
                    const json_t *desired_patch) {
    struct patching *patching = arg;
    struct sk_request *request = patching->request;
    struct sk_hub *hub = patching->hub;
    if (end->status == SK_CONFLICT && request->if_match.n == 0 && ++patching->tries < TRIES) {
        read_for_patch(patching);
        return;
    }
    free(patching);
    if (entry == NULL) {
        hub_refuse_status(request, end);
        return;
    }
    hub->counts.twin_updates_total++;
    hub_twin_changed(hub, &(struct sk_hub_twin_change){.entry = entry, .desired = desired_patch});
    hub_changed(hub);
    answer(request, entry, NULL);
}

static void got(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    struct patching *patching = arg;
    struct sk_request *request = patching->request;
    char error[SK_MODEL_ERROR_MAX], etag[SK_ETAG_MAX];
    json_t *patch = entry ? sk_digital_twin_patch(request->body, &entry->twin, error) : NULL;
    if (patch == NULL) {
        free(patching);
        if (entry)
            sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
        else
            hub_refuse_status(request, end);
        return;
    }
    struct sk_twin_change change = {.desired = patch};
    sk_twin_etag(entry->twin.etag, etag);
    sk_registry_twin_change(patching->hub->registry, request->device, SK_NONE, &change,
                            request->if_match.n ? request->if_match : sk_span_z(etag), changed,
                            patching);
    json_decref(patch);
}

static void read_for_patch(struct patching *patching) {
    sk_registry_twin_get(patching->hub->registry, patching->request->device, SK_NONE, got,
                         patching);
}

static void patch(struct sk_hub *hub, struct sk_request *request) {
    struct patching *patching = SK_NEW(struct patching);
    *patching = (struct patching){.hub = hub, .request = request};
    read_for_patch(patching);
}

const struct sk_hub_part hub_part_digital_twins = {
    .serve = {[SK_OP_DIGITAL_TWIN_GET] = read_twin, [SK_OP_DIGITAL_TWIN_PATCH] = patch}};
