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
 * become so: of the same priority, whose messages get the new time to live, or without messages.
 * Where bits are scarce any that no route needs, whose messages get the new priority, too; the one
 * to the cloud that is always there before others. */
static struct sk_edge_queue *find_queue(struct sk_edge_endpoint *e,
                                        const struct sk_edge_route *route,
                                        const struct sk_edge_route *routes, size_t count,
                                        bool scarce) {
    struct sk_edge_queue *fits = NULL;
    SK_LIST_EACH(&e->queues, node, following) {
        struct sk_edge_queue *q = SK_CONTAINER(node, struct sk_edge_queue, link);
        if (!q->old && q->priority == route->priority && q->ttl_us == route->ttl_us) return q;
        bool may = scarce || q->old || q->priority == route->priority || edge_queue_is_empty(q);
        bool better = fits == NULL || (scarce && q->bit == UPSTREAM_BIT);
        if (better && may && !needed(q, routes, count)) fits = q;
    }
    return fits;
}

/* What is lost when the bit of a queue is used for another, and how much. */
enum worth { FREE, EMPTY, USED, WAITING, USED_AND_WAITING, NEEDED };

static enum worth worth(struct sk_edge_hub *hub, const struct sk_edge_queue *q,
                        const struct sk_edge_route *routes, size_t count) {
    if (q->endpoint == NULL) return FREE;
    if (q->bit == UPSTREAM_BIT || needed(q, routes, count)) return NEEDED;
    bool used = needed(q, hub->routing.routes, hub->routing.count);
    if (edge_queue_is_empty(q)) return used ? USED : EMPTY;
    return used ? USED_AND_WAITING : WAITING;
}

/* A bit for one more queue: the one whose queue is the least loss. SK_EDGE_QUEUES_MAX: the routes
 * need them all. */
static unsigned least_bit(struct sk_edge_hub *hub, const struct sk_edge_route *routes,
                          size_t count) {
    unsigned best = SK_EDGE_QUEUES_MAX;
    enum worth least = NEEDED;
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        enum worth value = worth(hub, &hub->queues[i], routes, count);
        if (value >= least) continue;
        least = value;
        best = i;
    }
    return best;
}

/* The routes in force put no more messages into the queue: they refuse them for the moment. */
static void end_queue(struct sk_edge_hub *hub, const struct sk_edge_queue *q) {
    for (size_t i = 0; i < hub->routing.count; i++)
        if (hub->routing.routes[i].queue == q) hub->routing.routes[i].queue = NULL;
}

static bool leads_up(const struct sk_edge_route *routes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (routes[i].route.sink == SK_SINK_UPSTREAM) return true;
    return false;
}

/* How many queues the routes need; the one to the cloud that is always there counts. */
static size_t queues_needed(const struct sk_edge_route *routes, size_t count) {
    size_t needs = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (j < i && !same_queue(&routes[i], &routes[j])) j++;
        needs += i == j;
    }
    return needs + !leads_up(routes, count);
}

static struct sk_span device_of(const struct sk_edge_hub *hub, const struct sk_route *route) {
    return route->sink == SK_SINK_DEVICE   ? route->device
           : route->sink == SK_SINK_MODULE ? sk_span_z(hub->options->device_id)
                                           : SK_NONE;
}

static struct sk_edge_endpoint *endpoint_of(struct sk_edge_hub *hub, const struct sk_route *route) {
    struct sk_buffer name = {0};
    edge_endpoint_name(&name, device_of(hub, route), route->module, route->input);
    struct sk_edge_endpoint *e = edge_endpoint_find(hub, name.p);
    sk_buffer_free(&name);
    return e;
}

/* Gives a route its queue; false: the log refuses. */
static bool bind_route(struct sk_edge_hub *hub, struct sk_edge_route *route,
                       const struct sk_edge_route *routes, size_t count, bool scarce,
                       char why[256]) {
    const struct sk_route *r = &route->route;
    struct sk_edge_endpoint *e = endpoint_of(hub, r);
    route->queue = e ? find_queue(e, route, routes, count, scarce) : NULL;
    if (route->queue) {
        edge_queue_change(route->queue, route->priority, route->ttl_us);
        return true;
    }
    unsigned bit = least_bit(hub, routes, count);
    e = NULL;
    if (bit < SK_EDGE_QUEUES_MAX) {
        end_queue(hub, &hub->queues[bit]);
        edge_queue_give_up(hub, bit); /* its endpoint may go with it */
        e = edge_endpoint_add(hub, &edge_local_sink, device_of(hub, r), r->module, r->input);
    }
    if (e == NULL || edge_queue_open(e, bit, route->priority, route->ttl_us, UINT64_MAX)) {
        snprintf(why, 256, "route %.64s: the message store cannot be read", route->name);
        return false;
    }
    route->queue = &hub->queues[bit];
    return true;
}

/* Whether the bits that are free, or whose queues nobody needs, are too few for the queues that the
 * routes need anew. */
static bool bits_are_scarce(struct sk_edge_hub *hub, const struct sk_edge_route *routes,
                            size_t count) {
    size_t kept = !leads_up(routes, count), spare = 0; /* that to the cloud is always there */
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        const struct sk_edge_queue *q = &hub->queues[i];
        kept += q->endpoint && needed(q, routes, count);
        spare += worth(hub, q, routes, count) <= EMPTY;
    }
    size_t needs = queues_needed(routes, count);
    return needs > kept + spare || needs == SK_EDGE_QUEUES_MAX;
}

/* Whether a queue that no route needs becomes that of one. */
static bool taken_over(struct sk_edge_hub *hub, const struct sk_edge_queue *q,
                       const struct sk_edge_route *routes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (endpoint_of(hub, &routes[i].route) == q->endpoint &&
            find_queue(q->endpoint, &routes[i], routes, count, true) == q)
            return true;
    return false;
}

/* Whether what waits in a queue that no route needs will soon be gone. */
static bool drains(struct sk_edge_hub *hub, const struct sk_edge_queue *q,
                   const struct sk_edge_route *routes, size_t count) {
    return !edge_queue_is_empty(q) && edge_endpoint_is_live(q->endpoint) &&
           !taken_over(hub, q, routes, count);
}

/* Bits are scarce. Whether those that are needed now may still be in records on their way to the
 * disk, or have messages that leave, or that nobody has counted yet: then it is to be asked again
 * in a moment. Routes in force end only when that is all that is left to wait for. */
static bool must_wait(struct sk_edge_hub *hub, const struct sk_edge_route *routes, size_t count,
                      bool may_drain) {
    bool waits = !hub->census.ended;
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX && may_drain; i++) {
        const struct sk_edge_queue *q = &hub->queues[i];
        waits = waits || (worth(hub, q, routes, count) == WAITING && drains(hub, q, routes, count));
    }
    if (waits) return true;
    for (unsigned i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        const struct sk_edge_queue *q = &hub->queues[i];
        enum worth value = worth(hub, q, routes, count);
        if (value < USED || value == NEEDED) continue;
        end_queue(hub, q);
        waits = waits || q->pending || (may_drain && drains(hub, q, routes, count));
    }
    return waits;
}

static bool bind_routes(struct sk_edge_hub *hub, struct sk_edge_route *routes, size_t count,
                        bool scarce, char why[256]) {
    for (size_t i = 0; i < count; i++)
        if (!bind_route(hub, &routes[i], routes, count, scarce, why)) return false;
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

static bool read_deployment(const json_t *desired, struct sk_edge_deployment *d, char why[256]) {
    struct sk_edge_route *routes;
    size_t count;
    if (!edge_store_limit_read(desired, &d->store_bytes, why) ||
        !edge_routes_read(desired, &routes, &count, why))
        return false;
    d->routes = routes;
    d->count = count;
    if (queues_needed(d->routes, d->count) <= SK_EDGE_QUEUES_MAX) return true;
    snprintf(why, 256,
             "the routes need more than %d queues: one for each endpoint, priority and "
             "timeToLiveSecs, and one that is always $upstream's",
             SK_EDGE_QUEUES_MAX);
    return false;
}

/* Nothing waits for the end of routes in force any more: those that were to end go on. */
static void stop_waiting(struct sk_edge_hub *hub) {
    sk_timer_stop(&hub->routing.waiting.timer);
    json_decref(hub->routing.waiting.desired);
    hub->routing.waiting.desired = NULL;
    for (size_t i = 0; i < hub->routing.count && !hub->closing; i++) {
        struct sk_edge_route *route = &hub->routing.routes[i];
        struct sk_edge_endpoint *e = route->queue ? NULL : endpoint_of(hub, &route->route);
        if (e == NULL) continue;
        SK_LIST_EACH(&e->queues, node, following) {
            struct sk_edge_queue *q = SK_CONTAINER(node, struct sk_edge_queue, link);
            if (q->priority == route->priority && q->ttl_us == route->ttl_us) route->queue = q;
        }
    }
}

static void waited(struct sk_timer *timer) {
    struct sk_edge_hub *hub = SK_CONTAINER(timer, struct sk_edge_hub, routing.waiting.timer);
    json_t *desired = json_incref(hub->routing.waiting.desired);
    edge_deployment_set(hub, desired, hub->routing.waiting.version, false);
    json_decref(desired);
}

static void wait_for_bits(struct sk_edge_hub *hub, const json_t *desired, uint64_t version) {
    enum { WAIT_MS = 5 };
    if (hub->routing.waiting.version != version)
        hub->routing.waiting.since_ns = sk_io_now(hub->backend.io);
    hub->routing.waiting.desired = json_deep_copy(desired);
    hub->routing.waiting.version = version;
    sk_timer_start(hub->backend.io, &hub->routing.waiting.timer, WAIT_MS * SK_MS, waited);
}

/* What leaves is waited for, but not for ever. */
static bool may_drain(const struct sk_edge_hub *hub, uint64_t version) {
    enum { DRAIN_S = 60 };
    return hub->routing.waiting.version != version ||
           sk_io_now(hub->backend.io) - hub->routing.waiting.since_ns < DRAIN_S * SK_S;
}

/* Its queues are there. */
static void put_down(struct sk_edge_deployment *d, const json_t *desired, bool durable) {
    struct sk_edge_hub *hub = d->hub;
    if (durable) {
        activate(hub, d->routes, d->count, d->store_bytes, d->version);
        d->routes = NULL;
        d->count = 0;
        free_deployment(d);
        return;
    }
    d->desired = json_deep_copy(desired);
    set_next(hub, d);
    save(d);
}

void edge_deployment_set(struct sk_edge_hub *hub, const json_t *desired, uint64_t version,
                         bool durable) {
    char why[256] = "";
    hub->routing.version = version;
    stop_waiting(hub);
    if (json_object_size(desired) == 0) {
        refuse_deployment(hub, 417, "the desired properties of $edgeHub are empty");
        return;
    }
    struct sk_edge_deployment *d = SK_NEW(struct sk_edge_deployment);
    *d = (struct sk_edge_deployment){.hub = hub, .version = version};
    if (!read_deployment(desired, d, why)) {
        refuse_deployment(hub, 400, why);
        free_deployment(d);
        return;
    }
    bool scarce = bits_are_scarce(hub, d->routes, d->count);
    if (scarce && !durable && must_wait(hub, d->routes, d->count, may_drain(hub, version))) {
        wait_for_bits(hub, desired, version);
        free_deployment(d);
        return;
    }
    if (bind_routes(hub, d->routes, d->count, scarce, why)) {
        put_down(d, desired, durable);
        return;
    }
    refuse_deployment(hub, 400, why);
    free_deployment(d);
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
    stop_waiting(hub);
    set_next(hub, NULL);
    edge_routes_free(hub->routing.routes, hub->routing.count);
    hub->routing.routes = NULL;
    hub->routing.count = 0;
}

const struct sk_edge_part edge_part_routing = {.load = load, .stop = stop};
