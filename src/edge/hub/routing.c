/* The deployment's routes: read, written down, put in force. Reference:
 * docs/protocols/edge-runtime.md, section 3.3. */
#include "edge/hub/parts.h"

#include <stdio.h>

#include "model/json_text.h"

enum { ROUTES_MAX = 200, NO_PRIORITY = 10 };

#define DOCUMENTS SK_SPAN(SK_EDGE_DOCUMENTS)

/* ---- endpoints: which bit of a record stands for which input; kept, as records hold bits ---- */

static json_t *endpoints_document(const struct sk_edge_hub *hub) {
    json_t *map = json_object();
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++) {
        const struct sk_edge_endpoint *e = &hub->inputs[i];
        if (e->name)
            json_object_set_new(map, e->name,
                                json_pack("{s:I,s:s,s:s,s:I}", "bit", (json_int_t)i, "module",
                                          e->module, "input", e->input, "from",
                                          (json_int_t)e->from));
    }
    return map;
}

static struct sk_edge_endpoint *find_endpoint(struct sk_edge_hub *hub, struct sk_span module,
                                              struct sk_span input) {
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++)
        if (hub->inputs[i].name && sk_span_is(module, hub->inputs[i].module) &&
            sk_span_is(input, hub->inputs[i].input))
            return &hub->inputs[i];
    return NULL;
}

static bool leads_to(const struct sk_edge_route *route, struct sk_span module,
                     struct sk_span input) {
    return route->route.sink != SK_SINK_UPSTREAM && sk_span_eq(route->route.module, module) &&
           sk_span_eq(route->route.input, input);
}

/* Whether one of the routes leads to an input. */
static bool named(const struct sk_edge_route *routes, size_t count, struct sk_span module,
                  struct sk_span input) {
    for (size_t i = 0; i < count; i++)
        if (leads_to(&routes[i], module, input)) return true;
    return false;
}

/* A slot for one more input: a free one, else one that the new routes do not name. There is one:
 * they name few enough. */
static unsigned free_slot(struct sk_edge_hub *hub, const struct sk_edge_route *routes,
                          size_t count) {
    for (unsigned i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++)
        if (hub->inputs[i].name == NULL) return i;
    unsigned i = 0;
    while (i + 1 < SK_EDGE_ENDPOINTS_MAX &&
           named(routes, count, sk_span_z(hub->inputs[i].module), sk_span_z(hub->inputs[i].input)))
        i++;
    for (size_t j = 0; j < hub->routing.count; j++) /* until the new routes count */
        if (hub->routing.routes[j].bit == 1ull << i) hub->routing.routes[j].bit = 0;
    edge_endpoint_forget(hub, i);
    return i;
}

/* ---- the deployment ---- */

static void free_routes(struct sk_edge_route *routes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        free(routes[i].name);
        sk_route_free(&routes[i].route);
    }
    free(routes);
}

/* One route: a text, or {"route", "priority", "timeToLiveSecs"}. False with a sentence in `why`. */
static bool read_route(const char *name, const json_t *value, int64_t ttl_us,
                       struct sk_edge_route *to, char why[256]) {
    const json_t *text = json_is_object(value) ? json_object_get(value, "route") : value;
    struct sk_expr_error error;
    *to = (struct sk_edge_route){.priority = NO_PRIORITY, .ttl_us = ttl_us};
    if (!json_is_string(text)) {
        snprintf(why, 256, "route %.64s: must be a text, or an object with \"route\"", name);
        return false;
    }
    if (json_is_object(value)) {
        const json_t *priority = json_object_get(value, "priority"),
                     *ttl = json_object_get(value, "timeToLiveSecs");
        if (priority && (!json_is_integer(priority) || json_integer_value(priority) < 0 ||
                         json_integer_value(priority) > 9)) {
            snprintf(why, 256, "route %.64s: priority must be 0 to 9", name);
            return false;
        }
        if (ttl && (!json_is_integer(ttl) || json_integer_value(ttl) < 0)) {
            snprintf(why, 256, "route %.64s: timeToLiveSecs must be a number of seconds", name);
            return false;
        }
        if (priority) to->priority = (unsigned)json_integer_value(priority);
        if (ttl && json_integer_value(ttl) > 0) to->ttl_us = json_integer_value(ttl) * 1000000;
    }
    if (sk_route_parse(sk_span_z(json_string_value(text)), &to->route, &error)) {
        snprintf(why, 256, "route %.64s: line %u, column %u: %.120s", name, error.line,
                 error.column, error.sentence);
        return false;
    }
    to->name = sk_span_dup(sk_span_z(name));
    return true;
}

static bool schema_known(const json_t *desired, char why[256]) {
    const char *version = json_string_value(json_object_get(desired, "schemaVersion"));
    if (version && (strcmp(version, "1.0") == 0 || strcmp(version, "1.1") == 0 ||
                    strcmp(version, "1.2") == 0 || strcmp(version, "1.3") == 0))
        return true;
    snprintf(why, 256, "schemaVersion must be \"1.0\" to \"1.3\"");
    return false;
}

/* Reads all routes, or none. */
static bool read_routes(const json_t *desired, struct sk_edge_route **routes, size_t *count,
                        char why[256]) {
    const json_t *table = json_object_get(desired, "routes");
    const json_t *storage = json_object_get(desired, "storeAndForwardConfiguration");
    const json_t *ttl = json_object_get(storage, "timeToLiveSecs"), *value;
    const char *name;
    int64_t ttl_us = json_is_integer(ttl) && json_integer_value(ttl) >= 0
                         ? json_integer_value(ttl) * 1000000
                         : -1;
    *routes = NULL;
    *count = 0;
    if (!schema_known(desired, why)) return false;
    if (table && !json_is_object(table)) {
        snprintf(why, 256, "routes must be an object");
        return false;
    }
    if (json_object_size(table) > ROUTES_MAX) {
        snprintf(why, 256, "there are more than %d routes", ROUTES_MAX);
        return false;
    }
    *routes = sk_alloc((json_object_size(table) + 1) * sizeof **routes);
    json_object_foreach((json_t *)table, name, value) {
        if (json_is_null(value)) continue;
        if (!read_route(name, value, ttl_us, &(*routes)[*count], why)) {
            free_routes(*routes, *count);
            return false;
        }
        ++*count;
    }
    return true;
}

/* Gives each route its bit; false: too many inputs, or the log refuses. */
static bool bind_routes(struct sk_edge_hub *hub, struct sk_edge_route *routes, size_t count,
                        char why[256]) {
    size_t inputs = 0;
    for (size_t i = 0; i < count; i++)
        inputs += routes[i].route.sink != SK_SINK_UPSTREAM &&
                  !named(routes, i, routes[i].route.module, routes[i].route.input);
    if (inputs > SK_EDGE_ENDPOINTS_MAX) {
        snprintf(why, 256, "the routes name more than %d module inputs", SK_EDGE_ENDPOINTS_MAX);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct sk_span module = routes[i].route.module, input = routes[i].route.input;
        if (routes[i].route.sink == SK_SINK_UPSTREAM) {
            routes[i].bit = 1ull << SK_EDGE_UPSTREAM_BIT;
            continue;
        }
        struct sk_edge_endpoint *e = find_endpoint(hub, module, input);
        unsigned slot = e ? e->bit : free_slot(hub, routes, count);
        if (e == NULL && edge_endpoint_open(hub, slot, module, input, UINT64_MAX)) {
            snprintf(why, 256, "route %.64s: the message store cannot be read", routes[i].name);
            return false;
        }
        routes[i].bit = 1ull << slot;
    }
    return true;
}

/* Closes the endpoints that no route names any more; what waited for them is given up, as in
 * Azure's edge hub. The longest time to live of an endpoint's routes counts for it. */
static void retire_endpoints(struct sk_edge_hub *hub) {
    for (size_t e = 0; e < SK_EDGE_ENDPOINTS_MAX; e++) {
        struct sk_edge_endpoint *endpoint = &hub->inputs[e];
        bool used = false;
        for (size_t i = 0; i < hub->routing.count; i++) {
            if (hub->routing.routes[i].bit != 1ull << e) continue;
            int64_t ttl = hub->routing.routes[i].ttl_us;
            if (!used || ttl < 0 || (endpoint->ttl_us >= 0 && ttl > endpoint->ttl_us))
                endpoint->ttl_us = ttl;
            used = true;
        }
        /* Empty slots too: a checkpoint that a crash has left there would hold the log back. */
        if (!used) edge_endpoint_forget(hub, (unsigned)e);
    }
    hub->forward.ttl_us = -1;
    bool first = true;
    for (size_t i = 0; i < hub->routing.count; i++) {
        if (hub->routing.routes[i].bit != 1ull << SK_EDGE_UPSTREAM_BIT) continue;
        int64_t ttl = hub->routing.routes[i].ttl_us;
        if (first || ttl < 0 || (hub->forward.ttl_us >= 0 && ttl > hub->forward.ttl_us))
            hub->forward.ttl_us = ttl;
        first = false;
    }
}

static void activate(struct sk_edge_hub *hub, struct sk_edge_route *routes, size_t count,
                     uint64_t version) {
    free_routes(hub->routing.routes, hub->routing.count);
    hub->routing.routes = routes;
    hub->routing.count = count;
    hub->routing.deployed = true;
    if (version == hub->routing.version) {
        hub->routing.code = 200;
        hub->routing.text[0] = 0;
    }
    retire_endpoints(hub);
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++) /* a new one's module may be here already */
        if (hub->inputs[i].name) edge_endpoints_pump(hub, sk_span_z(hub->inputs[i].module));
    SK_INFO("edge-hub", "deployment version %llu: %zu routes", (unsigned long long)version, count);
    edge_report_soon(hub);
}

/* A deployment on its way to the disk. What it routes may be acknowledged only when a crash cannot
 * make us forget which slot of a record stands for which input. */
struct sk_edge_deployment {
    struct sk_edge_hub *hub;
    struct sk_edge_route *routes;
    size_t count;
    uint64_t version;
    json_t *desired;
    unsigned writing; /* documents */
    bool failed;
};

static void free_deployment(struct sk_edge_deployment *d) {
    free_routes(d->routes, d->count);
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
        activate(hub, d->routes, d->count, d->version);
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

/* The endpoints first, with those that the old routes still need: either deployment fits them. */
static void save(struct sk_edge_deployment *d) {
    d->failed = false;
    save_document(d, SK_SPAN("endpoints"), endpoints_document(d->hub));
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
    char why[256] = "";
    hub->routing.version = version;
    if (json_object_size(desired) == 0) {
        refuse_deployment(hub, 417, "the desired properties of $edgeHub are empty");
        return;
    }
    if (!read_routes(desired, &routes, &count, why)) {
        refuse_deployment(hub, 400, why);
        return;
    }
    if (!bind_routes(hub, routes, count, why)) {
        free_routes(routes, count);
        refuse_deployment(hub, 400, why);
        return;
    }
    if (durable) {
        activate(hub, routes, count, version);
        return;
    }
    struct sk_edge_deployment *d = SK_NEW(struct sk_edge_deployment);
    *d = (struct sk_edge_deployment){.hub = hub,
                                     .routes = routes,
                                     .count = count,
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

static void endpoints_loaded(void *arg, const struct sk_registry_end *end,
                             const struct sk_registry_document *stored) {
    (void)end;
    struct sk_edge_hub *hub = arg;
    if (hub->closing) return;
    if (stored) {
        json_t *map = json_loadb(stored->bytes.p, stored->bytes.n, 0, NULL), *value;
        const char *name;
        json_object_foreach(map, name, value) {
            const char *module = json_string_value(json_object_get(value, "module"));
            const char *input = json_string_value(json_object_get(value, "input"));
            json_int_t bit = json_integer_value(json_object_get(value, "bit"));
            json_int_t from = json_integer_value(json_object_get(value, "from"));
            if (module && input && bit >= 0 && bit < SK_EDGE_ENDPOINTS_MAX && from >= 0)
                edge_endpoint_open(hub, (unsigned)bit, sk_span_z(module), sk_span_z(input),
                                   (uint64_t)from);
        }
        json_decref(map);
    }
    sk_registry_document_get(hub->store, DOCUMENTS, SK_SPAN("deployment"), deployment_loaded, hub);
}

static void load(struct sk_edge_hub *hub) {
    hub->start.documents++;
    sk_registry_document_get(hub->store, DOCUMENTS, SK_SPAN("endpoints"), endpoints_loaded, hub);
}

static void stop(struct sk_edge_hub *hub) {
    set_next(hub, NULL);
    free_routes(hub->routing.routes, hub->routing.count);
    hub->routing.routes = NULL;
    hub->routing.count = 0;
    for (size_t i = 0; i < SK_EDGE_ENDPOINTS_MAX; i++) edge_endpoint_close(&hub->inputs[i]);
}

const struct sk_edge_part edge_part_routing = {.load = load, .stop = stop};
