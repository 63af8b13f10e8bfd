/* The hub's own events as they happen, for pages that are looked at: GET /messages/notices. They
 * need no route and are not stored. Who watches shares one ring of the newest ones, which is there
 * while somebody watches; who does not keep up is ended, and looks at the whole again.
 * docs/decisions/0049-live-pages-from-notices.md. */
#include "hub/parts.h"
#include "model/json_text.h"
#include "wire/http.h"

enum {
    NOTICES = 1024,          /* of the ring */
    BYTES_MAX = 1024 * 1024, /* of them together */
    ALL = (1 << SK_SOURCE_COUNT) - 1 - (1 << SK_SOURCE_TELEMETRY),
};

struct notice {
    enum sk_source source;
    int64_t wall_us;
    struct sk_buffer envelope;
    char *device; /* NULL: it is about none */
};

struct live {
    struct sk_list watchers;
    unsigned wanted;       /* by any of them: 1 << source */
    uint64_t oldest, next; /* sequence numbers; of the ring by their rest */
    size_t bytes;
    struct notice ring[NOTICES];
};

struct watcher {
    struct sk_event_source source; /* first */
    struct sk_list link;
    struct sk_hub *hub;
    unsigned wanted;
    char *device; /* only of this one; NULL: of all */
    uint64_t at;
    struct sk_arena arena;
    struct sk_task task;
};

static void drop_oldest(struct live *live) {
    struct notice *notice = &live->ring[live->oldest++ % NOTICES];
    live->bytes -= notice->envelope.n;
    sk_buffer_free(&notice->envelope);
    free(notice->device);
    *notice = (struct notice){0};
}

static bool is_for(const struct watcher *watcher, const struct notice *notice) {
    if (!(watcher->wanted & 1u << notice->source)) return false;
    return watcher->device == NULL ||
           (notice->device && strcmp(watcher->device, notice->device) == 0);
}

bool hub_live_wants(const struct sk_hub *hub, enum sk_source source) {
    return hub->live && hub->live->wanted & 1u << source;
}

static void on_task(struct sk_task *task) {
    struct watcher *watcher = SK_CONTAINER(task, struct watcher, task);
    watcher->source.readable(watcher->source.arg);
}

/* In a turn of their own: watchers may be many. */
void hub_live_put(struct sk_hub *hub, const struct sk_message *message) {
    struct live *live = hub->live;
    struct sk_buffer envelope = {0};
    if (sk_message_encode_head(&envelope, message)) return;
    sk_buffer_append(&envelope, message->body);
    if (live->next - live->oldest == NOTICES) drop_oldest(live);
    struct notice *notice = &live->ring[live->next++ % NOTICES];
    *notice = (struct notice){.source = message->source,
                              .wall_us = sk_io_wall(hub->backend.io),
                              .envelope = envelope,
                              .device = message->device.n ? sk_span_dup(message->device) : NULL};
    live->bytes += envelope.n;
    while (live->bytes > BYTES_MAX && live->next - live->oldest > 1) drop_oldest(live);
    SK_LIST_EACH(&live->watchers, node, following) {
        struct watcher *watcher = SK_CONTAINER(node, struct watcher, link);
        if (is_for(watcher, notice)) sk_io_yield(hub->backend.io, &watcher->task, on_task);
    }
}

/* ---- a watcher ---- */

static enum sk_status next(struct sk_event_source *source, struct sk_message *message) {
    struct watcher *watcher = (struct watcher *)source;
    struct live *live = watcher->hub->live;
    if (watcher->at < live->oldest) return SK_CLOSED;
    for (; watcher->at < live->next; watcher->at++) {
        const struct notice *notice = &live->ring[watcher->at % NOTICES];
        if (!is_for(watcher, notice)) continue;
        sk_arena_reset(&watcher->arena);
        if (sk_message_decode(sk_buffer_span(&notice->envelope), &watcher->arena, message))
            continue;
        message->sequence = watcher->at++;
        message->enqueued_us = notice->wall_us;
        return SK_OK;
    }
    return SK_AGAIN;
}

static void find_wanted(struct live *live) {
    live->wanted = 0;
    SK_LIST_EACH(&live->watchers, node, following)
    live->wanted |= SK_CONTAINER(node, struct watcher, link)->wanted;
}

static void close_watcher(struct sk_event_source *source) {
    struct watcher *watcher = (struct watcher *)source;
    struct sk_hub *hub = watcher->hub;
    struct live *live = hub->live;
    sk_io_undefer(&watcher->task);
    sk_list_remove(&watcher->link);
    sk_arena_free(&watcher->arena);
    free(watcher->device);
    free(watcher);
    find_wanted(live);
    if (!sk_list_empty(&live->watchers)) return;
    while (live->oldest < live->next) drop_oldest(live);
    free(live);
    hub->live = NULL;
}

static void not_readable(void *arg) {
    (void)arg;
}

/* "AlarmEvents,TwinChangeEvents"; empty: all but telemetry. 0: it is none. */
static unsigned read_sources(struct sk_span text) {
    struct sk_span word, name, names;
    unsigned wanted = 0;
    if (text.n == 0) return ALL;
    while (sk_span_split(&text, ',', &word)) {
        unsigned source = 0;
        names = SK_SPAN(HUB_SOURCES);
        while (sk_span_split(&names, '|', &name) && !sk_span_eq_nocase(name, word)) source++;
        if (!(1u << source & ALL)) return 0;
        wanted |= 1u << source;
    }
    return wanted;
}

static void watch(struct sk_hub *hub, struct sk_request *request) {
    struct sk_arena arena = {0};
    struct sk_span device = sk_percent_decoded(&arena, sk_http_query(request->query, "device"));
    unsigned wanted =
        read_sources(sk_percent_decoded(&arena, sk_http_query(request->query, "source")));
    if (wanted == 0) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID,
                          "source has names of the hub's own events with commas between, such as "
                          "AlarmEvents or TwinChangeEvents; telemetry is at /messages/events");
        sk_arena_free(&arena);
        return;
    }
    if (hub->live == NULL) {
        hub->live = SK_NEW(struct live);
        sk_list_init(&hub->live->watchers);
    }
    struct watcher *watcher = SK_NEW(struct watcher);
    watcher->source.next = next;
    watcher->source.close = close_watcher;
    watcher->source.readable = not_readable;
    watcher->hub = hub;
    watcher->wanted = wanted;
    watcher->device = device.n ? sk_span_dup(device) : NULL;
    watcher->at = hub->live->next;
    sk_list_append(&hub->live->watchers, &watcher->link);
    hub->live->wanted |= wanted;
    sk_arena_free(&arena);
    request->done(request, &(struct sk_answer){.events = &watcher->source});
}

const struct sk_hub_part hub_part_live = {.serve = {[SK_OP_NOTICES_WATCH] = watch}};
