/* Twins at the edge: the cloud's answer when it is there, our copy when it is not; reported
 * properties are kept until the cloud has them. Reference: docs/protocols/edge-runtime.md,
 * section 5.9. */
#include <stdio.h>

#include "edge/hub/parts.h"
#include "model/json_text.h"

#define DOCUMENTS SK_SPAN("twin")

enum { ANSWER_S = 10 /* for the cloud; then our copy answers */ };

struct sk_edge_twin {
    json_t *desired, *reported; /* without $version */
    uint64_t desired_version, reported_version;
    /* What the cloud does not have yet, each as two patches (sk_json_patch_append). */
    json_t *pending[2], *sending[2];
    unsigned unanswered; /* patches on their way: `sending` holds them */
    uint64_t told;       /* the version of what is reported, as the cloud told it last; 0: never */
    uint64_t sending_since_ns;
    bool failed;     /* one of them */
    bool syncing;    /* a GET is under way */
    bool sync_again; /* the cloud has told of a change since it was sent */
};

static struct sk_edge_twin *twin_of(struct sk_edge_identity *identity) {
    if (identity->twin) return identity->twin;
    struct sk_edge_twin *twin = SK_NEW(struct sk_edge_twin);
    twin->desired = json_object();
    twin->reported = json_object();
    for (size_t i = 0; i < 2; i++) {
        twin->pending[i] = json_object();
        twin->sending[i] = json_object();
    }
    identity->twin = twin;
    return twin;
}

void edge_twin_free(struct sk_edge_identity *identity) {
    struct sk_edge_twin *twin = identity->twin;
    if (twin == NULL) return;
    json_decref(twin->desired);
    json_decref(twin->reported);
    for (size_t i = 0; i < 2; i++) {
        json_decref(twin->pending[i]);
        json_decref(twin->sending[i]);
    }
    free(twin);
    identity->twin = NULL;
}

/* What the cloud does not have: what is on its way and what waits behind it; new references. */
static void unsent(const struct sk_edge_twin *twin, json_t *all[2]) {
    for (size_t i = 0; i < 2; i++) all[i] = json_deep_copy(twin->sending[i]);
    for (size_t i = 0; i < 2; i++) sk_json_patch_append(all[0], all[1], twin->pending[i]);
}

bool edge_twin_unsent(const struct sk_edge_identity *identity) {
    const struct sk_edge_twin *twin = identity->twin;
    if (twin == NULL) return false;
    return twin->unanswered || json_object_size(twin->pending[0]) ||
           json_object_size(twin->pending[1]);
}

/* `done` with arg when it is durable; NULL: nobody waits. */
static void save(struct sk_edge_identity *identity, sk_registry_done *done, void *arg) {
    struct sk_edge_twin *twin = twin_of(identity);
    json_t *all[2];
    unsent(twin, all);
    json_t *document =
        json_pack("{s:O,s:O,s:I,s:I,s:o,s:o}", "desired", twin->desired, "reported", twin->reported,
                  "desiredVersion", (json_int_t)twin->desired_version, "reportedVersion",
                  (json_int_t)twin->reported_version, "pendingFirst", all[0], "pending", all[1]);
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    sk_registry_document_put(identity->hub->store, DOCUMENTS, sk_span_z(identity->key),
                             sk_span_z(text), done, arg);
    json_decref(document);
}

static json_t *take_object(const json_t *document, const char *name) {
    json_t *value = json_object_get(document, name);
    return json_is_object(value) ? json_deep_copy(value) : json_object();
}

static void fill(struct sk_edge_twin *twin, const json_t *document) {
    json_decref(twin->desired);
    json_decref(twin->reported);
    for (size_t i = 0; i < 2; i++) json_decref(twin->pending[i]);
    twin->desired = take_object(document, "desired");
    twin->reported = take_object(document, "reported");
    twin->pending[0] = take_object(document, "pendingFirst");
    twin->pending[1] = take_object(document, "pending");
    twin->desired_version =
        (uint64_t)json_integer_value(json_object_get(document, "desiredVersion"));
    twin->reported_version =
        (uint64_t)json_integer_value(json_object_get(document, "reportedVersion"));
}

static void load_page(struct sk_edge_hub *hub, struct sk_span after);

enum { BATCH = 100 };

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *list) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    edge_load_ended(hub);
    for (size_t i = 0; i < list->count && !hub->closing; i++) {
        struct sk_edge_identity *identity = sk_map_get(&hub->identities, list->documents[i].key);
        json_t *document =
            json_loadb(list->documents[i].bytes.p, list->documents[i].bytes.n, 0, NULL);
        if (identity && document) fill(twin_of(identity), document);
        json_decref(document);
    }
    if (list->count == BATCH && !hub->closing) load_page(hub, list->documents[BATCH - 1].key);
}

static void load_page(struct sk_edge_hub *hub, struct sk_span after) {
    hub->start.documents++;
    sk_registry_document_list(hub->store, DOCUMENTS, after, BATCH, loaded, hub);
}

void edge_twins_load(struct sk_edge_hub *hub) {
    load_page(hub, SK_NONE);
}

/* ---- desired properties ---- */

static void desired_changed(struct sk_edge_identity *identity, const json_t *patch) {
    struct sk_edge_hub *hub = identity->hub;
    struct sk_edge_twin *twin = identity->twin;
    if (identity == hub->self) {
        edge_deployment_set(hub, twin->desired, twin->desired_version, false);
        return;
    }
    json_t *body = json_deep_copy(patch);
    json_object_set_new(body, "$version", json_integer((json_int_t)twin->desired_version));
    sk_directory_deliver_desired(&hub->backend, sk_span_z(identity->identity.device_id),
                                 sk_span_z(identity->identity.module_id), body,
                                 twin->desired_version);
    json_decref(body);
}

/* The version that what is reported will have when the cloud has all of it. Of the patches on their
 * way its twin may hold some already, before their answers are here. */
static uint64_t version_with_ours(struct sk_edge_twin *twin, uint64_t cloud) {
    uint64_t base = twin->told ? twin->told : 1, there = cloud > base ? cloud - base : 0,
             waiting = (json_object_size(twin->pending[0]) > 0) +
                       (json_object_size(twin->pending[1]) > 0);
    if (there < twin->unanswered) waiting += twin->unanswered - there;
    return cloud + waiting;
}

/* Takes the cloud's whole twin; tells the client what has changed since our copy. */
static void take_twin(struct sk_edge_identity *identity, struct sk_span body) {
    struct sk_edge_twin *twin = twin_of(identity);
    json_t *document = json_loadb(body.p ? body.p : "", body.n, 0, NULL);
    json_t *desired = take_object(document, "desired"),
           *reported = take_object(document, "reported");
    uint64_t desired_version = (uint64_t)json_integer_value(json_object_get(desired, "$version"));
    uint64_t reported_version = (uint64_t)json_integer_value(json_object_get(reported, "$version"));
    json_object_del(desired, "$version");
    json_object_del(reported, "$version");
    json_t *patch = sk_json_diff(twin->desired, desired), *ours[2];
    unsent(twin, ours);
    /* A first copy that is empty is no news, but to ourselves: we wait for a deployment. */
    bool first = twin->desired_version == 0 && identity != identity->hub->self;
    bool changed =
        (!first && twin->desired_version != desired_version) || json_object_size(patch) > 0;
    for (size_t i = 0; i < 2; i++) { /* what we have promised to report counts already */
        sk_json_merge(reported, ours[i]);
        json_decref(ours[i]);
    }
    json_decref(twin->desired);
    json_decref(twin->reported);
    twin->desired = desired;
    twin->reported = reported;
    twin->desired_version = desired_version;
    twin->reported_version = version_with_ours(twin, reported_version);
    if (twin->unanswered == 0) twin->told = reported_version;
    json_decref(document);
    save(identity, NULL, NULL);
    if (changed) desired_changed(identity, patch);
    json_decref(patch);
}

/* ---- reported properties ---- */

static void send_pending(struct sk_edge_identity *identity);

static void forget_sending(struct sk_edge_twin *twin) {
    for (size_t i = 0; i < 2; i++) json_object_clear(twin->sending[i]);
}

static void count_report(const struct sk_edge_identity *identity, const char *target,
                         uint64_t since_ns) {
    struct sk_span labels[] = {sk_span_z(target), sk_span_z(identity->key)};
    edge_count(identity->hub, SK_EDGE_REPORTS, labels);
    edge_took(identity->hub, SK_EDGE_REPORT_TIME, labels, since_ns);
}

static void on_reported(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                        uint64_t version) {
    struct sk_edge_identity *identity = arg;
    struct sk_edge_twin *twin = identity->twin;
    if (twin == NULL) return; /* being freed */
    if (status || code >= 500 || code == 429)
        twin->failed = true;
    else if (code >= 400)
        SK_ERROR("edge-hub", "%s: the cloud refused reported properties: %.*s", identity->key,
                 SK_ARG(body));
    else if (version)
        twin->reported_version = twin->told = version;
    if (status == SK_OK && code < 400) count_report(identity, "upstream", twin->sending_since_ns);
    if (--twin->unanswered) return;
    if (twin->failed) { /* goes out again with the next connect or report */
        json_t *all[2];
        unsent(twin, all);
        for (size_t i = 0; i < 2; i++) {
            json_decref(twin->pending[i]);
            twin->pending[i] = all[i];
        }
        forget_sending(twin);
        return;
    }
    forget_sending(twin);
    save(identity, NULL, NULL);
    send_pending(identity);
}

static void send_pending(struct sk_edge_identity *identity) {
    struct sk_edge_twin *twin = identity->twin;
    if (!identity->connected || twin == NULL || twin->unanswered) return;
    twin->failed = false;
    twin->sending_since_ns = sk_io_now(identity->hub->backend.io);
    for (size_t i = 0; i < 2; i++) {
        json_t *patch = twin->pending[i];
        twin->pending[i] = twin->sending[i]; /* empty */
        twin->sending[i] = patch;
        twin->unanswered += json_object_size(patch) > 0;
    }
    for (size_t i = 0; i < 2; i++) {
        if (json_object_size(twin->sending[i]) == 0) continue;
        SK_CLEANUP_FREE char *text = sk_json_text(twin->sending[i]);
        sk_device_client_report(identity->client, sk_span_z(text), on_reported, identity);
    }
}

struct report_call {
    struct sk_edge_hub *hub;
    struct sk_request *request;
    uint64_t version, since_ns;
};

static void report_saved(void *arg, const struct sk_registry_end *end) {
    struct report_call call = *(struct report_call *)arg;
    free(arg);
    if (end->status) {
        sk_request_refuse(call.request, sk_fault_of_status(end->status), NULL);
        return;
    }
    struct sk_edge_identity *identity =
        edge_identity_find(call.hub, call.request->device, call.request->module);
    call.request->done(call.request, &(struct sk_answer){.version = call.version});
    if (identity == NULL) return;
    count_report(identity, "edge_hub", call.since_ns);
    bool no_way = call.hub->counts.upstream_connected && !identity->connected;
    if (no_way) edge_upstream_wants(identity); /* it may know HTTPS alone */
    send_pending(identity);
}

static void report(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_edge_identity *identity = edge_identity_find(hub, request->device, request->module);
    char error[SK_MODEL_ERROR_MAX];
    if (identity == NULL) {
        sk_request_refuse(request, SK_FAULT_DEVICE_NOT_FOUND, NULL);
        return;
    }
    if (sk_twin_check(SK_TWIN_REPORTED, request->body, error)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
        return;
    }
    struct sk_edge_twin *twin = twin_of(identity);
    json_t *next = json_deep_copy(twin->reported);
    sk_json_merge(next, request->body);
    if (sk_twin_size(next) > SK_TWIN_SECTION_MAX) {
        json_decref(next);
        sk_request_refuse(request, SK_FAULT_TWIN_TOO_LARGE,
                          "'Properties.Reported' size should be less than 32768 bytes.");
        return;
    }
    json_decref(twin->reported);
    twin->reported = next;
    twin->reported_version = (twin->reported_version ? twin->reported_version : 1) + 1;
    sk_json_patch_append(twin->pending[0], twin->pending[1], request->body);
    SK_CLEANUP_FREE char *patch = sk_json_text(request->body);
    edge_ingest_twin_change(identity, sk_span_z(patch));
    struct report_call *call = SK_NEW(struct report_call);
    *call = (struct report_call){hub, request, twin->reported_version, sk_io_now(hub->backend.io)};
    save(identity, report_saved, call);
}

/* ---- GET ---- */

struct get_call {
    struct sk_edge_hub *hub;
    struct sk_request *request; /* NULL: answered */
    char *key;
    struct sk_timer timer;
    uint64_t since_ns;
    bool fresh; /* the copy is the cloud's answer */
};

static void answer_from_copy(struct get_call *call) {
    struct sk_edge_identity *identity = sk_map_get(&call->hub->identities, sk_span_z(call->key));
    struct sk_request *request = call->request;
    call->request = NULL;
    sk_timer_stop(&call->timer);
    if (identity == NULL) {
        sk_request_refuse(request, SK_FAULT_DEVICE_NOT_FOUND, NULL);
        return;
    }
    struct sk_edge_twin *twin = twin_of(identity);
    struct sk_span labels[] = {call->fresh ? SK_SPAN("upstream") : SK_SPAN("edge_hub"),
                               sk_span_z(identity->key)};
    edge_count(call->hub, SK_EDGE_TWINS, labels);
    edge_took(call->hub, SK_EDGE_TWIN_TIME, labels, call->since_ns);
    json_t *desired = json_copy(twin->desired), *reported = json_copy(twin->reported);
    json_object_set_new(
        desired, "$version",
        json_integer((json_int_t)(twin->desired_version ? twin->desired_version : 1)));
    json_object_set_new(
        reported, "$version",
        json_integer((json_int_t)(twin->reported_version ? twin->reported_version : 1)));
    json_t *document = json_pack("{s:o,s:o}", "desired", desired, "reported", reported);
    sk_request_answer_json(request, document);
}

static void too_slow(struct sk_timer *timer) {
    answer_from_copy(SK_CONTAINER(timer, struct get_call, timer));
}

static void on_got(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                   uint64_t version) {
    (void)version;
    struct get_call *call = arg;
    struct sk_edge_identity *identity = sk_map_get(&call->hub->identities, sk_span_z(call->key));
    call->fresh = identity && !call->hub->closing && status == SK_OK && code == 200;
    if (call->fresh) take_twin(identity, body);
    if (call->request) answer_from_copy(call);
    free(call->key);
    free(call);
}

static void get(struct sk_edge_hub *hub, struct sk_request *request) {
    struct sk_edge_identity *identity = edge_identity_find(hub, request->device, request->module);
    if (identity == NULL) {
        sk_request_refuse(request, SK_FAULT_DEVICE_NOT_FOUND, NULL);
        return;
    }
    struct get_call *call = SK_NEW(struct get_call);
    *call = (struct get_call){.hub = hub,
                              .request = request,
                              .key = sk_span_dup(sk_span_z(identity->key)),
                              .since_ns = sk_io_now(hub->backend.io)};
    if (!hub->counts.upstream_connected) {
        answer_from_copy(call);
        free(call->key);
        free(call);
        return;
    }
    sk_timer_start(hub->backend.io, &call->timer, ANSWER_S * SK_S, too_slow);
    sk_device_client_get_twin(edge_upstream_client(identity), on_got, call);
}

/* ---- the cloud's news ---- */

struct sync_call {
    struct sk_edge_hub *hub;
    char *key;
};

static void sync(struct sk_edge_identity *identity);

static void on_synced(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                      uint64_t version) {
    (void)version;
    struct sync_call call = *(struct sync_call *)arg;
    free(arg);
    struct sk_edge_identity *identity = sk_map_get(&call.hub->identities, sk_span_z(call.key));
    free(call.key);
    if (identity == NULL || identity->twin == NULL || call.hub->closing) return;
    struct sk_edge_twin *twin = identity->twin;
    bool again = twin->sync_again && status == SK_OK;
    twin->syncing = twin->sync_again = false;
    if (status == SK_OK && code == 200) take_twin(identity, body);
    if (again) sync(identity);
}

static void sync(struct sk_edge_identity *identity) {
    struct sk_edge_twin *twin = twin_of(identity);
    if (twin->syncing || identity->client == NULL) return;
    twin->syncing = true;
    struct sync_call *call = SK_NEW(struct sync_call);
    *call = (struct sync_call){identity->hub, sk_span_dup(sk_span_z(identity->key))};
    sk_device_client_get_twin(identity->client, on_synced, call);
}

void edge_twin_connected(struct sk_edge_identity *identity) {
    struct sk_session *session =
        sk_directory_find(&identity->hub->backend, sk_span_z(identity->identity.device_id),
                          sk_span_z(identity->identity.module_id));
    bool listens = session && session->subscriptions & SK_SUB_DESIRED;
    if (identity == identity->hub->self || listens) sync(identity);
    send_pending(identity);
}

/* A patch and, after a replacement, the whole section come in the same form: so the twin itself is
 * read, and what has changed is found by comparing. */
void edge_twin_desired(struct sk_edge_identity *identity) {
    struct sk_edge_twin *twin = twin_of(identity);
    if (twin->syncing)
        twin->sync_again = true;
    else
        sync(identity);
}

const struct sk_edge_part edge_part_twins = {
    .serve = {[SK_OP_TWIN_GET] = get, [SK_OP_TWIN_REPORT] = report}};
