/* The identity scope: who may connect here. Read from the cloud page by page, kept in the store,
 * used without the cloud. Reference: docs/protocols/edge-runtime.md, section 5.4. */
#include <stdio.h>

#include "edge/hub/parts.h"
#include "model/json_text.h"

enum {
    REFRESH_S = 300,
    RETRY_S = 10,
    PAUSE_MS = 500, /* between readings that clients cause; doubles while they bring nothing new */
    PAUSE_MAX_MS = 8000,
    PAGE = 100,
    BATCH = 200,
    WAITING_MAX = 1000
};

#define DOCUMENTS SK_SPAN("scope")

static void run(struct sk_edge_hub *hub);

static void free_identity(struct sk_edge_identity *identity) {
    edge_upstream_drop(identity);
    edge_forward_forget(identity);
    edge_polls_end(identity);
    edge_twin_free(identity);
    edge_identity_free(identity);
}

/* Takes one entry of a scope answer or of the store. */
static struct sk_edge_identity *take(struct sk_edge_hub *hub, const json_t *entry) {
    struct sk_span device = sk_span_z(json_string_value(json_object_get(entry, "deviceId")));
    struct sk_span module = sk_span_z(json_string_value(json_object_get(entry, "moduleId")));
    struct sk_identity read;
    char error[SK_MODEL_ERROR_MAX];
    if (device.n == 0 || sk_identity_from_json(entry, device, module, &read, error)) return NULL;
    sk_identity_set(&read.generation_id,
                    sk_span_z(json_string_value(json_object_get(entry, "generationId"))));
    struct sk_edge_identity *identity = edge_identity_add(hub, device, module);
    bool now_disabled = read.disabled && !identity->identity.disabled;
    sk_identity_free(&identity->identity);
    identity->identity = sk_identity_move(&read);
    identity->known = true;
    sk_sessions_changed(&hub->backend, &identity->identity);
    /* The cloud takes nothing from it any more, and what waits for it holds up the others. */
    if (now_disabled && identity != hub->self) {
        edge_upstream_drop(identity);
        edge_forward_forget(identity);
    }
    return identity;
}

/* ---- the store ---- */

static void load_page(struct sk_edge_hub *hub, struct sk_span after);

static void loaded(void *arg, const struct sk_registry_end *end,
                   const struct sk_registry_documents *list) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    edge_load_ended(hub);
    for (size_t i = 0; i < list->count && !hub->closing; i++) {
        json_t *entry = json_loadb(list->documents[i].bytes.p, list->documents[i].bytes.n, 0, NULL);
        take(hub, entry);
        json_decref(entry);
    }
    if (hub->closing) return;
    if (list->count == BATCH)
        load_page(hub, list->documents[BATCH - 1].key);
    else
        edge_twins_load(hub); /* they belong to identities */
}

static void load_page(struct sk_edge_hub *hub, struct sk_span after) {
    hub->start.documents++;
    sk_registry_document_list(hub->store, DOCUMENTS, after, BATCH, loaded, hub);
}

static void load(struct sk_edge_hub *hub) {
    load_page(hub, SK_NONE);
}

/* ---- look-ups for the gateway ---- */

/* A client that we do not know, or whose key we do not know, waits for the cloud's answer to a
 * question asked after it came: it may have been created a moment ago. */
struct waiting {
    struct sk_list link;
    char *device, *module;
    uint64_t refresh; /* the number of the first refresh that can know it */
    bool anew;        /* we know it; what we know may be old */
    sk_identity_done *done;
    void *arg;
};

static void answer_one(struct sk_edge_hub *hub, struct waiting *w) {
    struct sk_edge_identity *identity =
        edge_identity_find(hub, sk_span_z(w->device), sk_span_z(w->module));
    bool known = identity && identity->known;
    sk_list_remove(&w->link);
    hub->scope.waiting_count--;
    w->done(w->arg,
            known           ? SK_OK
            : hub->draining ? SK_CLOSED
                            : SK_NOT_FOUND,
            known ? &identity->identity : NULL);
    free(w->device);
    free(w->module);
    free(w);
}

/* After a refresh; `all`: also those that came while it ran. */
static void answer_waiting(struct sk_edge_hub *hub, bool all) {
    bool left = false;
    SK_LIST_EACH(&hub->scope.waiting, node, following) {
        struct waiting *w = SK_CONTAINER(node, struct waiting, link);
        struct sk_edge_identity *identity =
            edge_identity_find(hub, sk_span_z(w->device), sk_span_z(w->module));
        bool found = identity && identity->known && !w->anew;
        if (all || w->refresh <= hub->scope.refresh || found)
            answer_one(hub, w);
        else
            left = true;
    }
    if (left) edge_scope_refresh(hub);
}

static void wait_for_scope(struct sk_edge_hub *hub, struct sk_span device, struct sk_span module,
                           bool anew, sk_identity_done *done, void *arg) {
    if (hub->scope.waiting_count == WAITING_MAX || hub->draining) {
        done(arg, hub->draining ? SK_CLOSED : SK_NOT_FOUND, NULL);
        return;
    }
    struct waiting *w = SK_NEW(struct waiting);
    *w = (struct waiting){.device = sk_span_dup(device),
                          .module = sk_span_dup(module),
                          .refresh = hub->scope.refresh + 1,
                          .anew = anew,
                          .done = done,
                          .arg = arg};
    sk_list_append(&hub->scope.waiting, &w->link);
    hub->scope.waiting_count++;
    edge_scope_refresh(hub);
}

void edge_find_identity(struct sk_backend *backend, struct sk_span device, struct sk_span module,
                        sk_identity_done *done, void *arg) {
    struct sk_edge_hub *hub = edge_hub_of(backend);
    struct sk_edge_identity *identity = edge_identity_find(hub, device, module);
    if (identity && identity->known)
        done(arg, SK_OK, &identity->identity);
    else
        wait_for_scope(hub, device, module, false, done, arg);
}

void edge_find_identity_anew(struct sk_backend *backend, struct sk_span device,
                             struct sk_span module, sk_identity_done *done, void *arg) {
    wait_for_scope(edge_hub_of(backend), device, module, true, done, arg);
}

/* ---- the cloud ---- */

static void on_timer(struct sk_timer *timer) {
    run(SK_CONTAINER(timer, struct sk_edge_hub, scope.timer));
}

/* Strangers who knock without end do not keep the cloud busy. */
static uint32_t next_pause(uint32_t pause_ms) {
    if (pause_ms == 0) return PAUSE_MS;
    return pause_ms < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
}

static void forget_place(struct sk_edge_hub *hub) {
    free(hub->scope.continuation);
    free(hub->scope.target);
    hub->scope.continuation = hub->scope.target = NULL;
}

static void end_refresh(struct sk_edge_hub *hub, bool complete) {
    struct sk_edge_identity *identity;
    hub->scope.running = false;
    forget_place(hub);
    for (size_t i = 0; complete && (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;) {
        if (identity->refresh == hub->scope.refresh || identity == hub->self) continue;
        SK_INFO("edge-hub", "%s is not in our scope any more", identity->key);
        sk_sessions_drop(&hub->backend, sk_span_z(identity->identity.device_id),
                         sk_span_z(identity->identity.module_id), SK_FAULT_DEVICE_NOT_FOUND);
        sk_registry_document_delete(hub->store, DOCUMENTS, sk_span_z(identity->key), NULL, NULL);
        free_identity(identity);
        i = 0; /* the map has changed */
    }
    hub->scope.pause_ms = hub->scope.changed ? 0 : next_pause(hub->scope.pause_ms);
    if (complete) edge_report_soon(hub);
    if (complete) edge_forward_scope_known(hub);
    sk_timer_start(hub->backend.io, &hub->scope.timer, (complete ? REFRESH_S : RETRY_S) * SK_S,
                   on_timer);
    answer_waiting(hub, !complete);
}

/* The device's own key is the daemon's; Azure's hub sends it all the same, and it is not kept. */
static void hide_own_key(const struct sk_edge_hub *hub, json_t *entry) {
    const char *device = json_string_value(json_object_get(entry, "deviceId"));
    if (device == NULL || strcmp(device, hub->options->device_id) != 0 ||
        json_string_length(json_object_get(entry, "moduleId")))
        return;
    json_object_set_new(entry, "authentication", json_pack("{s:s}", "type", "none"));
}

static void take_page(struct sk_edge_hub *hub, const json_t *page) {
    static const char *const lists[] = {"devices", "modules"};
    for (size_t l = 0; l < 2; l++) {
        size_t i;
        json_t *entry;
        json_array_foreach(json_object_get(page, lists[l]), i, entry) {
            hide_own_key(hub, entry);
            struct sk_edge_identity *identity = take(hub, entry);
            if (identity == NULL) continue;
            SK_CLEANUP_FREE char *text = sk_json_text(entry);
            uint64_t digest = sk_hash(sk_span_z(text));
            if (identity->digest != digest) {
                hub->scope.changed = true;
                sk_registry_document_put(hub->store, DOCUMENTS, sk_span_z(identity->key),
                                         sk_span_z(text), NULL, NULL);
            }
            identity->digest = digest;
            identity->refresh = hub->scope.refresh;
        }
    }
}

static void ask(struct sk_edge_hub *hub);

/* Goes on with the scope of an edge device below; false: all have been read. */
static bool ask_below(struct sk_edge_hub *hub) {
    struct sk_edge_identity *identity;
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;) {
        bool below = identity->identity.edge && identity->refresh == hub->scope.refresh &&
                     strcmp(identity->key, hub->options->device_id) != 0;
        if (!below || identity->listed == hub->scope.refresh) continue;
        struct sk_buffer chain = {0};
        identity->listed = hub->scope.refresh;
        forget_place(hub);
        edge_identity_chain(identity, &chain);
        sk_buffer_byte(&chain, 0);
        hub->scope.target = chain.p;
        ask(hub);
        return true;
    }
    return false;
}

static void answered(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct sk_edge_hub *hub = arg;
    hub->scope.call = NULL;
    if (hub->closing) return;
    if (!status && answer->status == 404 && hub->scope.target) { /* it has just gone */
        if (!ask_below(hub)) end_refresh(hub, true);
        return;
    }
    if (status || answer->status != 200) {
        SK_DEBUG("edge-hub", "the scope could not be read: %s, HTTP %u", sk_status_text(status),
                 answer ? answer->status : 0);
        end_refresh(hub, false);
        return;
    }
    edge_numbers_set(hub, sk_span_starts(sk_http_header(answer, "Server"), SK_SPAN("Skerry/")));
    json_t *page = json_loadb(answer->body.p, answer->body.n, 0, NULL);
    const char *link = json_string_value(json_object_get(page, "continuationLink"));
    if (!json_is_object(page)) {
        end_refresh(hub, false);
        return;
    }
    take_page(hub, page);
    free(hub->scope.continuation);
    hub->scope.continuation = sk_text_dup(link);
    json_decref(page);
    if (hub->scope.continuation)
        ask(hub);
    else if (!ask_below(hub))
        end_refresh(hub, true);
}

static void got_token(struct sk_token_ask *asked, enum sk_status status, struct sk_span token) {
    struct sk_edge_hub *hub = SK_CONTAINER(asked, struct sk_edge_hub, scope.token);
    if (status) {
        end_refresh(hub, false);
        return;
    }
    struct sk_buffer target = {0};
    sk_buffer_text(&target, "/devices/");
    sk_percent_encode(&target, sk_span_z(hub->options->device_id));
    sk_buffer_text(
        &target,
        "/modules/%24edgeHub/devicesAndModulesInTargetDeviceScope?api-version=2020-06-30-preview");
    const char *chain = hub->scope.target ? hub->scope.target : hub->options->device_id;
    json_t *body = json_pack("{s:i,s:s,s:s?}", "pageSize", PAGE, "authChain", chain,
                             "continuationLink", hub->scope.continuation);
    SK_CLEANUP_FREE char *text = sk_json_text(body);
    struct sk_http_pair headers[] = {{"Authorization", token},
                                     {"Content-Type", SK_SPAN("application/json; charset=utf-8")}};
    hub->scope.call = sk_http_client_send(hub->scope.https,
                                          &(struct sk_http_ask){.method = SK_HTTP_POST,
                                                                .target = sk_buffer_span(&target),
                                                                .headers = headers,
                                                                .header_count = 2,
                                                                .body = sk_span_z(text),
                                                                .answer_max = 4 * 1024 * 1024,
                                                                .done = answered,
                                                                .arg = hub});
    json_decref(body);
    sk_buffer_free(&target);
}

static void ask(struct sk_edge_hub *hub) {
    enum { TOKEN_S = 3600 };
    sk_token_ask(hub->options->tokens, &hub->scope.token,
                 sk_io_wall(hub->backend.io) / 1000000 + TOKEN_S, got_token);
}

static void run(struct sk_edge_hub *hub) {
    if (hub->scope.running) return;
    sk_timer_stop(&hub->scope.timer);
    hub->scope.running = true;
    hub->scope.changed = false;
    hub->counts.scope_readings_total++;
    hub->scope.refresh++;
    hub->scope.asked_ns = sk_io_now(hub->backend.io);
    ask(hub);
}

void edge_scope_refresh(struct sk_edge_hub *hub) {
    uint32_t pause_ms = hub->scope.pause_ms ? hub->scope.pause_ms : PAUSE_MS;
    uint64_t since = sk_io_now(hub->backend.io) - hub->scope.asked_ns, least = pause_ms * SK_MS;
    if (hub->scope.running || hub->closing) return;
    if (hub->scope.refresh && since < least)
        sk_timer_start(hub->backend.io, &hub->scope.timer, least - since,
                       on_timer); /* many may ask: not more often than that */
    else
        run(hub);
}

static void drain(struct sk_edge_hub *hub) {
    while (!sk_list_empty(&hub->scope.waiting))
        answer_one(hub, SK_LIST_FIRST(&hub->scope.waiting, struct waiting, link));
}

/* Its identities go, and with each its connection to the cloud. */
static void stop(struct sk_edge_hub *hub) {
    struct sk_edge_identity *identity;
    if (hub->scope.https) sk_http_client_free(hub->scope.https);
    drain(hub);
    sk_timer_stop(&hub->scope.timer);
    sk_token_unask(&hub->scope.token);
    for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL; i = 0)
        free_identity(identity);
    sk_map_free(&hub->identities);
    forget_place(hub);
}

const struct sk_edge_part edge_part_scope = {
    .load = load, .start = run, .drain = drain, .stop = stop};
