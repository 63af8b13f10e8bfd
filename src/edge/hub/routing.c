/* The deployment's routes: given queues, written down, put in force. Reference:
 * docs/protocols/edge-runtime.md, section 3.3. */
#include "edge/hub/parts.h"

#include <stdio.h>

#include "model/json_text.h"

enum { UPSTREAM_BIT = SK_EDGE_QUEUES_MAX - 1 };

#define DOCUMENTS SK_SPAN(SK_EDGE_DOCUMENTS)

/* ---- queues: which bit of a record stands for which; kept, as records hold bits ---- */

static json_t *queues_document(const struct sk_edge_hub *hub) {
    json_t *list = json_array();
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        const struct sk_edge_queue *q = &hub->queues[i];
        if (q->endpoint == NULL || q->leaving) continue;
        json_array_append_new(list,
                              json_pack("{s:i,s:s?,s:s?,s:s?,s:I,s:i,s:I}", "bit", i, "device",
                                        q->endpoint->device, "module", q->endpoint->module, "input",
                                        q->endpoint->input, "from", (json_int_t)q->from, "priority",
                                        q->priority, "ttlUs", (json_int_t)q->ttl_us));
    }
    return json_pack("{s:o}", "queues", list);
}

static bool same_endpoint(const struct sk_route *a, const struct sk_route *b) {
    return a->sink == b->sink && sk_span_eq(a->module, b->module) &&
           sk_span_eq(a->input, b->input) && sk_span_eq(a->device, b->device);
}

static bool same_queue(const struct sk_edge_route *a, const struct sk_edge_route *b) {
    return a->priority == b->priority && a->ttl_us == b->ttl_us &&
           same_endpoint(&a->route, &b->route);
}

static bool leads_to(const struct sk_edge_route *route, const struct sk_edge_endpoint *e) {
    struct sk_buffer name = {0};
    const struct sk_route *r = &route->route;
    edge_endpoint_name(&name, r->sink == SK_SINK_DEVICE ? r->device : SK_NONE,
                       r->sink == SK_SINK_MODULE ? r->module : SK_NONE, r->input);
    bool same = strcmp(name.p, e->name) == 0;
    sk_buffer_free(&name);
    return same;
}

/* Whether one of the routes needs the queue as it is. */
static bool needed(const struct sk_edge_queue *q, const struct sk_edge_route *routes,
                   size_t count) {
    for (size_t i = 0; i < count; i++)
        if (routes[i].queue == q ||
            (routes[i].queue == NULL && routes[i].priority == q->priority &&
             routes[i].ttl_us == q->ttl_us && !q->old && leads_to(&routes[i], q->endpoint)))
            return true;
    return false;
}

/* A queue of the endpoint that is as the route wants it; else one that no route needs and that may
 * become so: of the same priority, whose messages get the new time to live, or without messages. */
static struct sk_edge_queue *find_queue(struct sk_edge_endpoint *e,
                                        const struct sk_edge_route *route,
                                        const struct sk_edge_route *routes, size_t count) {
    struct sk_edge_queue *fits = NULL;
    SK_LIST_EACH(&e->queues, node, following) {
        struct sk_edge_queue *q = SK_CONTAINER(node, struct sk_edge_queue, link);
        if (!q->old && q->priority == route->priority && q->ttl_us == route->ttl_us) return q;
        bool may = q->old || q->priority == route->priority || edge_queue_is_empty(q);
        if (fits == NULL && may && !needed(q, routes, count)) fits = q;
    }
    return fits;
}

/* How much is lost when the bit of a queue is used for another; 0: it is free. */
static unsigned worth(struct sk_edge_hub *hub, const struct sk_edge_queue *q,
                      const struct sk_edge_route *routes, size_t count) {
    if (q->endpoint == NULL) return 0;
    if (q->bit == UPSTREAM_BIT || needed(q, routes, count)) return 5;
    bool empty = edge_queue_is_empty(q);
    bool used = needed(q, hub->routing.routes, hub->routing.count);
    return empty ? (used ? 2 : 1) : (used ? 4 : 3);
}

/* A bit for one more queue: the one whose queue is the least loss. SK_EDGE_QUEUES_MAX: the routes
 * need them all. */
static unsigned free_bit(struct sk_edge_hub *hub, const struct sk_edge_route *routes,
                         size_t count) {
    enum { NONE = 5 };
    unsigned best = 0, least = NONE;
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        unsigned value = worth(hub, &hub->queues[i], routes, count);
        if (value >= least) continue;
        least = value;
        best = i;
    }
    if (least == NONE) return SK_EDGE_QUEUES_MAX;
    for (size_t j = 0; j < hub->routing.count; j++) /* until the new routes count */
        if (hub->routing.routes[j].queue == &hub->queues[best]) hub->routing.routes[j].queue = NULL;
    edge_queue_give_up(hub, best);
    return best;
}

/* How many queues the routes need; the one to the cloud that is always there counts. */
static size_t queues_needed(const struct sk_edge_route *routes, size_t count) {
    size_t needs = 0, up = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && !same_queue(&routes[i], &routes[j])) j++;
        needs += i == j;
        up += routes[i].route.sink == SK_SINK_UPSTREAM;
    }
    return needs + (up == 0);
}

/* Gives a route its queue; false: the log refuses. */
static bool bind_route(struct sk_edge_hub *hub, struct sk_edge_route *route,
                       const struct sk_edge_route *routes, size_t count, char why[256]) {
    const struct sk_route *r = &route->route;
    struct sk_span device = r->sink == SK_SINK_DEVICE   ? r->device
                            : r->sink == SK_SINK_MODULE ? sk_span_z(hub->options->device_id)
                                                        : SK_NONE;
    struct sk_buffer name = {0};
    edge_endpoint_name(&name, device, r->module, r->input);
    struct sk_edge_endpoint *e = edge_endpoint_find(hub, name.p);
    sk_buffer_free(&name);
    route->queue = e ? find_queue(e, route, routes, count) : NULL;
    if (route->queue) {
        edge_queue_change(route->queue, route->priority, route->ttl_us);
        return true;
    }
    unsigned bit = free_bit(hub, routes, count); /* the endpoint may go with its last queue */
    e = bit < SK_EDGE_QUEUES_MAX
            ? edge_endpoint_add(hub, &edge_local_sink, device, r->module, r->input)
            : NULL;
    if (e == NULL || edge_queue_open(e, bit, route->priority, route->ttl_us, UINT64_MAX)) {
        snprintf(why, 256, "route %.64s: the message store cannot be read", route->name);
        return false;
    }
    route->queue = &hub->queues[bit];
    return true;
}

static bool bind_routes(struct sk_edge_hub *hub, struct sk_edge_route *routes, size_t count,
                        char why[256]) {
    if (queues_needed(routes, count) > SK_EDGE_QUEUES_MAX) {
        snprintf(why, 256,
                 "the routes need more than %d queues: one for each endpoint, priority and "
                 "timeToLiveSecs, and one that is always $upstream's",
                 SK_EDGE_QUEUES_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++)
        if (!bind_route(hub, &routes[i], routes, count, why)) return false;
    return true;
}

/* ---- the deployment ---- */

/* What no route leads to any more waits for one that does, for its time to live, or for the bit to
 * be needed. Without messages it goes. */
static void retire_queues(struct sk_edge_hub *hub) {
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        struct sk_edge_queue *q = &hub->queues[i];
        if (q->endpoint == NULL) {
            /* A checkpoint that a crash has left there would hold the log back. */
            edge_queue_give_up(hub, i);
            continue;
        }
        q->used = needed(q, hub->routing.routes, hub->routing.count);
        if (!q->used && q->leaving) edge_queue_give_up(hub, i);
    }
}

static void activate(struct sk_edge_hub *hub, struct sk_edge_route *routes, size_t count,
                     uint64_t store_bytes, uint64_t version) {
    edge_room_set(hub, store_bytes);
    edge_routes_free(hub->routing.routes, hub->routing.count);
    hub->routing.routes = routes;
    hub->routing.count = count;
    hub->routing.deployed = true;
    if (version == hub->routing.version) {
        hub->routing.code = 200;
        hub->routing.text[0] = 0;
    }
    retire_queues(hub);
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) /* a new one's receiver may be here already */
        if (hub->endpoints[i].name) edge_endpoint_pump(&hub->endpoints[i]);
    SK_INFO("edge-hub", "deployment version %llu: %zu routes", (unsigned long long)version, count);
    edge_report_soon(hub);
}

/* A deployment on its way to the disk. What it routes may be acknowledged only when a crash cannot
 * make us forget which slot of a record stands for which input. */
struct sk_edge_deployment {
    struct sk_edge_hub *hub;
    struct sk_edge_route *routes;
    size_t count;
    uint64_t store_bytes, version;
    json_t *desired;
    unsigned writing; /* documents */
    bool failed;
};

static void free_deployment(struct sk_edge_deployment *d) {
    edge_routes_free(d->routes, d->count);
    json_decref(d->desired);
    free(d);
}

static void save(struct sk_edge_deployment *d);

static void save_again(struct sk_timer *timer) {
    save(SK_CONTAINER(timer, struct sk_edge_hub, routing.timer)->routing.next);
}

static void saved(void *arg, const struct sk_registry_end *end) {
    enum { AGAIN_S = 5 };
    struct sk_edge_deployment *d = arg;
    struct sk_edge_hub *hub = d->hub;
    d->failed = d->failed || end->status;
    if (--d->writing) return;
    if (hub->closing || hub->routing.next != d) { /* a newer one has come */
        free_deployment(d);
    } else if (d->failed) {
        SK_WARN("edge-hub", "deployment version %llu cannot be stored (%s); the old routes stay",
                (unsigned long long)d->version, sk_status_text(end->status));
        sk_timer_start(hub->backend.io, &hub->routing.timer, AGAIN_S * SK_S, save_again);
    } else {
        hub->routing.next = NULL;
        activate(hub, d->routes, d->count, d->store_bytes, d->version);
        d->routes = NULL;
        d->count = 0;
        free_deployment(d);
    }
}

static void save_document(struct sk_edge_deployment *d, struct sk_span key, json_t *document) {
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    d->writing++;
    sk_registry_document_put(d->hub->store, DOCUMENTS, key, sk_span_z(text), saved, d);
    json_decref(document);
}

/* Queues that neither the old routes nor the new ones need, and that have no messages, are not
 * written down: when that is durable their bits are free. */
static void let_go(struct sk_edge_deployment *d) {
    struct sk_edge_hub *hub = d->hub;
    for (unsigned i = 0; i < UPSTREAM_BIT; i++) {
        struct sk_edge_queue *q = &hub->queues[i];
        if (q->endpoint)
            q->leaving = edge_queue_is_empty(q) && !needed(q, d->routes, d->count) &&
                         !needed(q, hub->routing.routes, hub->routing.count);
    }
}

/* The queues first, with those that the old routes still need: either deployment fits them. */
static void save(struct sk_edge_deployment *d) {
    d->failed = false;
    let_go(d);
    save_document(d, SK_SPAN("endpoints"), queues_document(d->hub));
    save_document(d, SK_SPAN("deployment"),
                  json_pack("{s:O,s:I}", "desired", d->desired, "version", (json_int_t)d->version));
}

/* The newest deployment takes the place of one that still waits. */
static void set_next(struct sk_edge_hub *hub, struct sk_edge_deployment *next) {
    struct sk_edge_deployment *waiting = hub->routing.next;
    sk_timer_stop(&hub->routing.timer);
    hub->routing.next = next;
    if (waiting && waiting->writing == 0) free_deployment(waiting); /* else its last write does */
}

static void refuse_deployment(struct sk_edge_hub *hub, int code, const char *why) {
    hub->routing.code = code;
    snprintf(hub->routing.text, sizeof hub->routing.text, "%s", why);
    SK_WARN("edge-hub", "deployment version %llu refused, the old routes stay: %s",
            (unsigned long long)hub->routing.version, why);
    edge_report_soon(hub);
}

void edge_deployment_set(struct sk_edge_hub *hub, const json_t *desired, uint64_t version,
                         bool durable) {
    struct sk_edge_route *routes;
    size_t count;
    uint64_t store_bytes;
    char why[256] = "";
    hub->routing.version = version;
    if (json_object_size(desired) == 0) {
        refuse_deployment(hub, 417, "the desired properties of $edgeHub are empty");
        return;
    }
    if (!edge_store_limit_read(desired, &store_bytes, why) ||
        !edge_routes_read(desired, &routes, &count, why)) {
        refuse_deployment(hub, 400, why);
        return;
    }
    if (!bind_routes(hub, routes, count, why)) {
        edge_routes_free(routes, count);
        refuse_deployment(hub, 400, why);
        return;
    }
    if (durable) {
        activate(hub, routes, count, store_bytes, version);
        return;
    }
    struct sk_edge_deployment *d = SK_NEW(struct sk_edge_deployment);
    *d = (struct sk_edge_deployment){.hub = hub,
                                     .routes = routes,
                                     .count = count,
                                     .store_bytes = store_bytes,
                                     .version = version,
                                     .desired = json_deep_copy(desired)};
    set_next(hub, d);
    save(d);
}

/* ---- the start: endpoints before routes, both before anybody connects ---- */

static void deployment_loaded(void *arg, const struct sk_registry_end *end,
                              const struct sk_registry_document *stored) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    edge_load_ended(hub);
    if (stored == NULL || hub->closing) return;
    json_t *document = json_loadb(stored->bytes.p, stored->bytes.n, 0, NULL);
    uint64_t version = (uint64_t)json_integer_value(json_object_get(document, "version"));
    edge_deployment_set(hub, json_object_get(document, "desired"), version, true);
    json_decref(document);
}

static struct sk_span text_of(const json_t *object, const char *name) {
    return sk_span_z(json_string_value(json_object_get(object, name)));
}

static void open_queue(struct sk_edge_hub *hub, const json_t *entry, bool old) {
    struct sk_span device = text_of(entry, "device"), module = text_of(entry, "module"),
                   input = text_of(entry, "input");
    json_int_t bit = json_integer_value(json_object_get(entry, "bit")),
               from = json_integer_value(json_object_get(entry, "from")),
               priority = json_integer_value(json_object_get(entry, "priority")),
               ttl_us = json_integer_value(json_object_get(entry, "ttlUs"));
    if (bit < 0 || bit >= SK_EDGE_QUEUES_MAX || from < 0) return;
    if (old) {
        priority = SK_EDGE_NO_PRIORITY;
        ttl_us = -1;
        device = sk_span_z(hub->options->device_id);
    }
    if (hub->queues[bit].endpoint) { /* the first one to the cloud is open */
        edge_queue_change(&hub->queues[bit], (unsigned)priority, ttl_us);
        return;
    }
    struct sk_edge_endpoint *e = edge_endpoint_add(hub, &edge_local_sink, device, module, input);
    if (edge_queue_open(e, (unsigned)bit, (unsigned)priority, ttl_us, (uint64_t)from) == SK_OK)
        hub->queues[bit].old = old;
}

/* {"queues": […]}; a version that knew one queue an endpoint wrote {"<name>": {…}}, and the one to
 * the cloud not at all. */
static void open_queues(struct sk_edge_hub *hub, const json_t *document) {
    const json_t *list = json_object_get(document, "queues");
    const char *name;
    json_t *entry;
    size_t i;
    hub->queues[UPSTREAM_BIT].old = list == NULL;
    json_array_foreach(list, i, entry) open_queue(hub, entry, false);
    if (list == NULL)
        json_object_foreach((json_t *)document, name, entry) open_queue(hub, entry, true);
}

static void endpoints_loaded(void *arg, const struct sk_registry_end *end,
                             const struct sk_registry_document *stored) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    if (hub->closing) return;
    if (stored) {
        json_t *document = json_loadb(stored->bytes.p, stored->bytes.n, 0, NULL);
        open_queues(hub, document);
        json_decref(document);
    }
    sk_registry_document_get(hub->store, DOCUMENTS, SK_SPAN("deployment"), deployment_loaded, hub);
}

static void load(struct sk_edge_hub *hub) {
    hub->start.documents++;
    sk_registry_document_get(hub->store, DOCUMENTS, SK_SPAN("endpoints"), endpoints_loaded, hub);
}

static void stop(struct sk_edge_hub *hub) {
    set_next(hub, NULL);
    edge_routes_free(hub->routing.routes, hub->routing.count);
    hub->routing.routes = NULL;
    hub->routing.count = 0;
}

const struct sk_edge_part edge_part_routing = {.load = load, .stop = stop};
