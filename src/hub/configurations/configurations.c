/* The operations on configurations. All of them are in memory; each is stored as a document of kind
 * "configuration" under its id. One change is on its way at a time, the others wait. */
#include "hub/configurations/parts.h"

#include <stdio.h>

#include "model/json_text.h"

#define KIND SK_SPAN("configuration")
/* No id: there while something was removed that twins may still have. */
#define UNSETTLED SK_SPAN("")

/* A change on its way to the registry. */
struct change {
    struct sk_hub *hub;
    struct sk_request *request;
    struct configuration *fresh; /* NULL: removed */
    char *id;
};

static size_t find(const struct configurations *all, struct sk_span id) {
    size_t i = 0;
    while (i < all->count && !sk_span_is(id, all->sorted[i]->id)) i++;
    return i;
}

static struct configuration *get(const struct configurations *all, struct sk_span id) {
    size_t at = find(all, id);
    return at < all->count ? all->sorted[at] : NULL;
}

/* Whether a stands before b: the higher priority, then the newer. */
static bool is_before(const struct configuration *a, const struct configuration *b) {
    if (a->priority != b->priority) return a->priority > b->priority;
    if (a->created_us != b->created_us) return a->created_us > b->created_us;
    return strcmp(a->id, b->id) < 0;
}

static void take_out(struct configurations *all, size_t at) {
    all->count--;
    memmove(all->sorted + at, all->sorted + at + 1, (all->count - at) * sizeof *all->sorted);
}

static void put_in(struct configurations *all, struct configuration *c) {
    size_t at = 0;
    while (at < all->count && is_before(all->sorted[at], c)) at++;
    memmove(all->sorted + at + 1, all->sorted + at, (all->count - at) * sizeof *all->sorted);
    all->sorted[at] = c;
    all->count++;
}

/* ---- answers ---- */

static void answer_one(struct sk_request *request, const struct configuration *c) {
    char etag[SK_ETAG_MAX];
    json_t *document = configuration_json(c);
    sk_identity_etag(c->etag, etag);
    request->done(request, &(struct sk_answer){.document = document, .etag = sk_span_z(etag)});
    json_decref(document);
}

static void refuse_unknown(struct sk_request *request) {
    sk_request_refuse(request, SK_FAULT_CONFIGURATION_NOT_FOUND, "there is no configuration '%.*s'",
                      SK_ARG(request->name));
}

static void list(struct sk_hub *hub, struct sk_request *request) {
    const struct configurations *all = hub->configurations;
    struct sk_hub_list page = {0};
    for (size_t i = 0; i < all->count && page.count < request->max; i++) {
        json_t *item = configuration_json(all->sorted[i]);
        hub_list_add(&page, item);
        json_decref(item);
    }
    hub_list_answer(&page, request, &(struct sk_answer){0});
}

static void show(struct sk_hub *hub, struct sk_request *request) {
    const struct configuration *c = get(hub->configurations, request->name);
    if (c)
        answer_one(request, c);
    else
        refuse_unknown(request);
}

/* ---- testing ---- */

static enum configuration_kind kind_of_condition(struct sk_span condition) {
    bool modules = sk_span_starts_nocase(sk_span_trim(condition), SK_SPAN("from devices.modules"));
    return modules ? FOR_MODULES : FOR_DEVICES;
}

/* What a test is asked about; false: refused. */
static bool check_test(struct sk_request *request) {
    const json_t *condition = json_object_get(request->body, "targetCondition"),
                 *queries = json_object_get(request->body, "customMetricQueries");
    bool fine = (condition == NULL || json_is_null(condition) || json_is_string(condition)) &&
                (queries == NULL || json_is_null(queries) || json_is_object(queries));
    if (!fine)
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "targetCondition is a text, customMetricQueries an object of texts");
    return fine;
}

static void test(struct sk_hub *hub, struct sk_request *request) {
    (void)hub;
    if (!check_test(request)) return;
    const char *name,
        *condition = json_string_value(json_object_get(request->body, "targetCondition"));
    json_t *queries = json_object_get(request->body, "customMetricQueries"), *text,
           *errors = json_object(), *condition_error = json_null();
    struct sk_query query;
    char *target, error[SK_MODEL_ERROR_MAX];
    bool nobody;
    struct sk_span of = sk_span_z(condition);
    if (configuration_target(of, kind_of_condition(of), &target, &query, &nobody, error)) {
        condition_error = json_string(error);
    } else {
        sk_query_free(&query);
        free(target);
    }
    json_object_foreach(queries, name, text) {
        const char *sentence = "it is no text";
        if (json_is_string(text)) {
            sentence = NULL;
            if (configuration_metric_query(json_string_value(text), &query, error))
                sentence = error;
            else
                sk_query_free(&query);
        }
        if (sentence) json_object_set_new(errors, name, json_string(sentence));
    }
    sk_request_answer_json(request, json_pack("{s:o,s:o}", "targetConditionError", condition_error,
                                              "customMetricQueryErrors", errors));
}

/* ---- explaining ---- */

static json_t *verdict_json(const struct verdict *verdict) {
    static const char *const kinds[] = {
        [FOR_DEVICES] = "devices", [FOR_MODULES] = "modules", [FOR_EDGES] = "deployment"};
    char why[SK_MODEL_ERROR_MAX];
    plan_explain(verdict, why);
    return json_pack("{s:s,s:s,s:I,s:s,s:s}", "id", verdict->of->id, "kind",
                     verdict->of->layered ? "layered deployment" : kinds[verdict->of->kind],
                     "priority", (json_int_t)verdict->of->priority, "status",
                     verdict->kind == VERDICT_APART     ? "NotTargeted"
                     : verdict->kind == VERDICT_APPLIED ? "Applied"
                                                        : "Targeted",
                     "why", why);
}

static void explain_entry(void *arg, const struct sk_registry_end *end,
                          struct sk_registry_entry *entry) {
    struct sk_request *request = arg;
    struct sk_hub *hub = hub_of(request->backend);
    const struct configurations *all = hub->configurations;
    if (entry == NULL) {
        hub_refuse_status(request, end);
        return;
    }
    struct plan plan;
    json_t *twin = sk_twin_service_json(&entry->twin, &entry->identity,
                                        hub_presence(hub, &entry->identity)),
           *verdicts = json_array();
    plan_make(all->sorted, all->count, entry, twin, &hub->arena, &plan);
    for (size_t i = 0; i < plan.count; i++)
        json_array_append_new(verdicts, verdict_json(&plan.verdicts[i]));
    json_t *document = json_pack("{s:s,s:s*,s:o,s:O*,s:O*}", "deviceId", entry->identity.device_id,
                                 "moduleId", entry->identity.module_id, "configurations", verdicts,
                                 "pending", plan.patch, "modulesContent", plan.modules);
    plan_free(&plan);
    json_decref(twin);
    sk_request_answer_json(request, document);
}

static void explain(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_twin_get(hub->registry, request->device, request->module, explain_entry, request);
}

/* ---- changes ---- */

static void go_on(struct configurations *all);

static void free_change(struct change *change) {
    free(change->id);
    free(change);
}

static void stored(void *arg, const struct sk_registry_end *end) {
    struct change *change = arg;
    struct configurations *all = change->hub->configurations;
    struct sk_request *request = change->request;
    all->writing = false;
    if (end->status) {
        configuration_free(change->fresh);
        hub_refuse_status(request, end);
    } else {
        size_t at = find(all, sk_span_z(change->id));
        struct configuration *old = at < all->count ? all->sorted[at] : NULL;
        if (old) take_out(all, at);
        if (old && change->fresh) configuration_follow(change->fresh, old);
        configuration_free(old);
        if (change->fresh) put_in(all, change->fresh);
        walk_ask(all);
        if (change->fresh)
            answer_one(request, change->fresh);
        else
            sk_request_answer(request);
    }
    free_change(change);
    go_on(all);
}

static struct change *begin_change(struct sk_hub *hub, struct sk_request *request,
                                   struct configuration *fresh) {
    struct change *change = SK_NEW(struct change);
    *change = (struct change){hub, request, fresh, sk_span_dup(request->name)};
    hub->configurations->writing = true;
    return change;
}

static bool etag_fits(const struct configuration *c, struct sk_span if_match) {
    char etag[SK_ETAG_MAX];
    sk_identity_etag(c->etag, etag);
    return sk_etag_matches(if_match, etag);
}

/* There is room for one more of its kind. */
static bool has_room(const struct configurations *all, enum configuration_kind kind) {
    size_t count = 0;
    for (size_t i = 0; i < all->count; i++)
        count += (all->sorted[i]->kind == FOR_EDGES) == (kind == FOR_EDGES);
    return count < CONFIGURATIONS_MAX;
}

/* Whether it may be written at all; false: refused. */
static bool may_put(struct sk_request *request, const struct configuration *old, bool patch) {
    bool creates = request->if_match.n == 0 && !patch;
    if (old == NULL && !creates) {
        refuse_unknown(request);
    } else if (old && creates) {
        sk_request_refuse(request, SK_FAULT_CONFIGURATION_EXISTS, NULL);
    } else if (old && request->if_match.n && !etag_fits(old, request->if_match)) {
        sk_request_refuse(request, SK_FAULT_PRECONDITION_FAILED, NULL);
    } else {
        return true;
    }
    return false;
}

static void put(struct sk_hub *hub, struct sk_request *request) {
    struct configurations *all = hub->configurations;
    const struct configuration *old = get(all, request->name);
    bool patch = request->op == SK_OP_CONFIGURATION_PATCH;
    int64_t now_us = sk_io_wall(hub->backend.io);
    char error[SK_MODEL_ERROR_MAX];
    if (!may_put(request, old, patch)) return;
    json_t *document = configuration_document(request->body, request->name,
                                              old ? old->document : NULL, patch, error);
    struct configuration *fresh = NULL;
    if (document) {
        json_object_set_new(document, "created", json_integer(old ? old->created_us : now_us));
        json_object_set_new(document, "updated", json_integer(now_us));
        json_object_set_new(document, "version", json_integer(old ? (json_int_t)old->etag + 1 : 1));
        fresh = configuration_read(document, error);
    }
    if (fresh == NULL) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", error);
    } else if (old && old->kind != fresh->kind) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "a configuration keeps its kind of content");
        configuration_free(fresh);
    } else if (old == NULL && !has_room(all, fresh->kind)) {
        sk_request_refuse(request, SK_FAULT_CONFIGURATION_COUNT, NULL);
        configuration_free(fresh);
    } else {
        SK_CLEANUP_FREE char *text = sk_json_text(document);
        sk_registry_document_put(hub->registry, KIND, request->name, sk_span_z(text), stored,
                                 begin_change(hub, request, fresh));
    }
}

static void remove_one(struct sk_hub *hub, struct sk_request *request) {
    struct configurations *all = hub->configurations;
    const struct configuration *old = get(all, request->name);
    if (old == NULL) {
        refuse_unknown(request);
    } else if (request->if_match.n && !etag_fits(old, request->if_match)) {
        sk_request_refuse(request, SK_FAULT_PRECONDITION_FAILED, NULL);
    } else {
        /* Writes are stored in their order: after a crash a hub without configurations knows that
         * twins may still have what this one gave them. */
        all->unsettled = true;
        sk_registry_document_put(hub->registry, KIND, UNSETTLED, SK_SPAN("1"), NULL, NULL);
        sk_registry_document_delete(hub->registry, KIND, request->name, stored,
                                    begin_change(hub, request, NULL));
    }
}

void configurations_settled(struct configurations *all) {
    if (!all->unsettled) return;
    all->unsettled = false;
    sk_registry_document_delete(all->hub->registry, KIND, UNSETTLED, NULL, NULL);
}

/* ---- what waits ---- */

static void serve_now(struct sk_hub *hub, struct sk_request *request) {
    switch (request->op) {
    case SK_OP_CONFIGURATION_LIST: list(hub, request); return;
    case SK_OP_CONFIGURATION_GET: show(hub, request); return;
    case SK_OP_CONFIGURATION_EXPLAIN: explain(hub, request); return;
    case SK_OP_CONFIGURATION_DELETE: remove_one(hub, request); return;
    default: put(hub, request); return;
    }
}

static bool must_wait(const struct configurations *all) {
    return !all->loaded || all->writing;
}

static void serve(struct sk_hub *hub, struct sk_request *request) {
    struct configurations *all = hub->configurations;
    if (must_wait(all) || !sk_list_empty(&all->waiting)) {
        hub_wait(&all->waiting, request);
    } else {
        serve_now(hub, request);
    }
}

static void go_on(struct configurations *all) {
    struct sk_request *request;
    while (!all->hub->closing && !must_wait(all) &&
           (request = hub_wait_take(&all->waiting)) != NULL)
        serve_now(all->hub, request);
}

/* ---- the life ---- */

static void load_one(struct configurations *all, const struct sk_registry_document *document) {
    char error[SK_MODEL_ERROR_MAX] = "it is no JSON";
    json_t *json = sk_json_load(document->bytes, 0, NULL);
    struct configuration *c = json ? configuration_read(json, error) : NULL;
    if (c)
        put_in(all, c);
    else
        SK_WARN("hub", "the stored configuration %.*s is not used: %s", SK_ARG(document->key),
                error);
}

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *found) {
    struct configurations *all = arg;
    if (end->status == SK_CLOSED) return;
    for (size_t i = 0; i < found->count && all->count < 2 * CONFIGURATIONS_MAX; i++)
        load_one(all, &found->documents[i]);
    if (end->status)
        SK_WARN("hub", "configurations cannot be read: %s", sk_status_text(end->status));
    all->loaded = true;
    if (all->count || all->unsettled) walk_ask(all);
    go_on(all);
}

/* It stands in front of all lists. */
static void got_unsettled(void *arg, const struct sk_registry_end *end,
                          const struct sk_registry_document *document) {
    struct configurations *all = arg;
    if (end->status == SK_CLOSED) return;
    all->unsettled = document != NULL;
    sk_registry_document_list(all->hub->registry, KIND, UNSETTLED, 2 * CONFIGURATIONS_MAX, loaded,
                              all);
}

static enum sk_status open_part(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    hub->configurations = SK_NEW(struct configurations);
    hub->configurations->hub = hub;
    sk_list_init(&hub->configurations->waiting);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    sk_registry_document_get(hub->registry, KIND, UNSETTLED, got_unsettled, hub->configurations);
}

static void stop(struct sk_hub *hub) {
    walk_stop(hub->configurations);
    hub_wait_refuse(&hub->configurations->waiting);
}

static void free_part(struct sk_hub *hub) {
    struct configurations *all = hub->configurations;
    if (all == NULL) return;
    for (size_t i = 0; i < all->count; i++) configuration_free(all->sorted[i]);
    free(all);
}

static void changed(struct sk_hub *hub) {
    if (hub->configurations->count) walk_ask(hub->configurations);
}

/* ---- its metrics ---- */

size_t hub_configuration_count(const struct sk_hub *hub) {
    return hub->configurations->count;
}

static const struct sk_hub_metric metrics[] = {{"skerry_hub_configurations",
                                                "Automatic configurations, deployments among them.",
                                                SK_HUB_COUNT(configurations)},
                                               {0}};

const struct sk_hub_part hub_part_configurations = {
    .metrics = metrics,
    .serve = {[SK_OP_CONFIGURATION_LIST] = serve,
              [SK_OP_CONFIGURATION_GET] = serve,
              [SK_OP_CONFIGURATION_PUT] = serve,
              [SK_OP_CONFIGURATION_PATCH] = serve,
              [SK_OP_CONFIGURATION_DELETE] = serve,
              [SK_OP_CONFIGURATION_EXPLAIN] = serve,
              [SK_OP_CONFIGURATION_TEST] = test,
              [SK_OP_CONFIGURATION_APPLY] = apply_content,
              [SK_OP_CONTENT_PATCH] = apply_content},
    .open = open_part,
    .start = start,
    .stop = stop,
    .free = free_part,
    .changed = changed};
