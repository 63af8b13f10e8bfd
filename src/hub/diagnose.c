/* What became of a device's last attempts to connect, and why: kept in memory, of the devices that
 * something has happened to last. */
#include "hub/parts.h"

#include <stdio.h>

enum { EVENTS = 10, DEVICES_MAX = 10000 };

enum happening { CONNECTED, DISCONNECTED, REFUSED };

struct event {
    int64_t at_us;
    enum happening what;
    enum sk_fault fault;
    const char *protocol; /* static, or NULL */
    struct sk_ip ip;
    char *module, *text; /* owned, or NULL */
};

struct history {
    struct sk_list
        link; /* hub->histories; the one that something has happened to last at the end */
    char *device;
    struct event *events; /* as many as there were, up to EVENTS; then the oldest places again */
    size_t count, capacity;
};

static void clear(struct event *event) {
    free(event->module);
    free(event->text);
    *event = (struct event){0};
}

static void free_history(struct sk_hub *hub, struct history *h) {
    sk_map_remove(&hub->history_map, sk_span_z(h->device));
    sk_list_remove(&h->link);
    for (size_t i = 0; i < h->capacity; i++) clear(&h->events[i]);
    free(h->events);
    free(h->device);
    free(h);
}

static struct history *history_of(struct sk_hub *hub, struct sk_span device) {
    struct history *h = sk_map_get(&hub->history_map, device);
    if (h == NULL) {
        if (hub->history_map.count >= DEVICES_MAX)
            free_history(hub, SK_LIST_FIRST(&hub->histories, struct history, link));
        h = SK_NEW(struct history);
        h->device = sk_span_dup(device);
        sk_map_put(&hub->history_map, sk_span_z(h->device), h);
    }
    sk_list_remove(&h->link);
    sk_list_append(&hub->histories, &h->link);
    return h;
}

/* Most devices connect once and stay: they get little room. */
static struct event *next_place(struct history *h) {
    if (h->count == h->capacity && h->capacity < EVENTS) {
        size_t grown = h->capacity ? 2 * h->capacity : 1;
        if (grown > EVENTS) grown = EVENTS;
        h->events = sk_realloc(h->events, grown * sizeof *h->events);
        memset(h->events + h->capacity, 0, (grown - h->capacity) * sizeof *h->events);
        h->capacity = grown;
    }
    return &h->events[h->count++ % EVENTS];
}

static void note(struct sk_hub *hub, enum happening what, struct sk_span device,
                 struct sk_span module, const struct sk_principal *who,
                 const struct sk_error *error) {
    if (device.n == 0 || device.n > SK_ID_MAX) return;
    struct history *h = history_of(hub, device);
    struct event *event = next_place(h);
    clear(event);
    *event = (struct event){.at_us = sk_io_wall(hub->backend.io),
                            .what = what,
                            .fault = error ? error->fault : SK_FAULT_NONE,
                            .protocol = who->protocol,
                            .ip = who->ip,
                            .module = module.n ? sk_span_dup(module) : NULL,
                            .text = error ? sk_text_dup(sk_error_text(error)) : NULL};
}

static void note_session(struct sk_hub *hub, enum happening what,
                         const struct sk_session *session) {
    const struct sk_principal *who = &session->principal;
    struct sk_error error;
    sk_error_set(&error, session->ended, NULL);
    note(hub, what, sk_span_z(who->device), sk_span_z(who->module), who,
         what == DISCONNECTED && session->ended ? &error : NULL);
}

static void opened(struct sk_hub *hub, struct sk_session *session) {
    note_session(hub, CONNECTED, session);
}

static void closed(struct sk_hub *hub, struct sk_session *session) {
    note_session(hub, DISCONNECTED, session);
}

static void refused(struct sk_hub *hub, const struct sk_refusal *refusal) {
    note(hub, REFUSED, refusal->device, refusal->module, refusal->who, refusal->error);
}

/* ---- the answer ---- */

static json_t *event_json(const struct event *event) {
    static const char *const names[] = {"connected", "disconnected", "refused"};
    char when[SK_TIME_TEXT], address[SK_IP_TEXT];
    sk_time_text(event->at_us, when);
    sk_ip_masked(&event->ip, address);
    json_t *json = json_pack("{s:s,s:s,s:s*,s:s,s:s*,s:s*}", "time", when, "event",
                             names[event->what], "protocol", event->protocol, "address", address,
                             "moduleId", event->module, "why", event->text);
    if (event->fault)
        json_object_set_new(json, "errorCode", json_integer(sk_fault_kind(event->fault)->code));
    return json;
}

/* The newest first. */
static json_t *events_json(const struct history *h) {
    json_t *list = json_array();
    for (size_t i = 0; h && i < EVENTS && i < h->count; i++)
        json_array_append_new(list, event_json(&h->events[(h->count - 1 - i) % EVENTS]));
    return list;
}

static void got(void *arg, const struct sk_registry_end *end, struct sk_registry_entry *entry) {
    struct sk_request *request = arg;
    struct sk_hub *hub = hub_of(request->backend);
    const struct history *h = sk_map_get(&hub->history_map, request->device);
    if (entry == NULL && (end->status != SK_NOT_FOUND || h == NULL)) {
        hub_refuse_status(request, end);
        return;
    }
    const struct sk_session *session = sk_directory_find(&hub->backend, request->device, SK_NONE);
    json_t *document = json_pack("{s:s%,s:b,s:s,s:o}", "deviceId", request->device.p,
                                 request->device.n, "registered", entry != NULL, "connectionState",
                                 session ? "Connected" : "Disconnected", "events", events_json(h));
    if (entry)
        json_object_set_new(document, "status",
                            json_string(entry->identity.disabled ? "disabled" : "enabled"));
    if (entry && entry->identity.status_reason)
        json_object_set_new(document, "statusReason", json_string(entry->identity.status_reason));
    sk_request_answer_json(request, document);
}

static void diagnose(struct sk_hub *hub, struct sk_request *request) {
    sk_registry_get(hub->registry, request->device, SK_NONE, got, request);
}

static enum sk_status open_histories(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    sk_list_init(&hub->histories);
    return SK_OK;
}

static void free_histories(struct sk_hub *hub) {
    SK_LIST_EACH(&hub->histories, node, following)
    free_history(hub, SK_CONTAINER(node, struct history, link));
    sk_map_free(&hub->history_map);
}

const struct sk_hub_part hub_part_diagnose = {.serve = {[SK_OP_DIAGNOSE] = diagnose},
                                              .open = open_histories,
                                              .opened = opened,
                                              .closed = closed,
                                              .refused = refused,
                                              .free = free_histories};
