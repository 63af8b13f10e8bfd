/* The routes of a deployment: read, evaluated, and explained. Reference:
 * docs/protocols/edge-runtime.md, sections 3.3 and 5.2. */
#include "edge/hub/parts.h"

#include <stdio.h>

#include "expr/message_source.h"

enum { ROUTES_MAX = 200 };
static const json_int_t TTL_MAX_S = UINT32_MAX; /* as in Azure, of a route */

/* ---- reading ---- */

void edge_routes_free(struct sk_edge_route *routes, size_t count) {
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
    *to = (struct sk_edge_route){.priority = SK_EDGE_NO_PRIORITY, .ttl_us = ttl_us};
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
        if (ttl && (!json_is_integer(ttl) || json_integer_value(ttl) < 0 ||
                    json_integer_value(ttl) > TTL_MAX_S)) {
            snprintf(why, 256,
                     "route %.64s: timeToLiveSecs must be a number of seconds, at most %lld", name,
                     (long long)TTL_MAX_S);
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

/* storeAndForwardConfiguration.timeToLiveSecs; without it, or where it is negative: for ever. */
static bool read_ttl(const json_t *desired, int64_t *ttl_us, char why[256]) {
    const json_t *storage = json_object_get(desired, "storeAndForwardConfiguration"),
                 *ttl = json_object_get(storage, "timeToLiveSecs");
    *ttl_us = -1;
    if (ttl == NULL || json_is_null(ttl)) return true;
    if (!json_is_integer(ttl) || json_integer_value(ttl) > TTL_MAX_S) {
        snprintf(why, 256,
                 "storeAndForwardConfiguration.timeToLiveSecs must be a number of seconds, at most "
                 "%lld, or -1: for ever",
                 (long long)TTL_MAX_S);
        return false;
    }
    if (json_integer_value(ttl) >= 0) *ttl_us = json_integer_value(ttl) * 1000000;
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

/* The best priority first; of the same the one that lives longest. */
static int compare(const void *a, const void *b) {
    const struct sk_edge_route *x = a, *y = b;
    uint64_t x_ttl = (uint64_t)x->ttl_us, y_ttl = (uint64_t)y->ttl_us; /* for ever: the longest */
    if (x->priority != y->priority) return x->priority < y->priority ? -1 : 1;
    if (x_ttl != y_ttl) return x_ttl > y_ttl ? -1 : 1;
    return strcmp(x->name, y->name);
}

bool edge_routes_read(const json_t *desired, struct sk_edge_route **routes, size_t *count,
                      char why[256]) {
    const json_t *table = json_object_get(desired, "routes"), *value;
    const char *name;
    int64_t ttl_us;
    *routes = NULL;
    *count = 0;
    if (!schema_known(desired, why) || !read_ttl(desired, &ttl_us, why)) return false;
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
            edge_routes_free(*routes, *count);
            return false;
        }
        ++*count;
    }
    if (*count) qsort(*routes, *count, sizeof **routes, compare);
    return true;
}

bool edge_store_limit_read(const json_t *desired, uint64_t *bytes, char why[256]) {
    const json_t *storage = json_object_get(desired, "storeAndForwardConfiguration"),
                 *limits = json_object_get(storage, "storeLimits"),
                 *most = json_object_get(limits, "maxSizeBytes");
    *bytes = (uint64_t)json_integer_value(most);
    if (most == NULL || (json_is_integer(most) && json_integer_value(most) > 0)) return true;
    snprintf(why, 256, "storeLimits.maxSizeBytes must be a number of bytes, more than 0");
    return false;
}

/* ---- evaluating ---- */

/* "/messages/", "/messages/modules/<m>/" or "/messages/modules/<m>/outputs/<o>/" */
static struct sk_span source_path(struct sk_edge_hub *hub, const struct sk_message *message) {
    struct sk_span output = message->system[SK_SYS_OUTPUT];
    if (message->source == SK_SOURCE_TWIN_CHANGES) return SK_SPAN("/twinChangeNotifications/");
    if (message->module.n == 0) return SK_SPAN("/messages/");
    if (output.n)
        return sk_arena_print(&hub->arena, "/messages/modules/%.*s/outputs/%.*s/",
                              SK_ARG(message->module), SK_ARG(output));
    return sk_arena_print(&hub->arena, "/messages/modules/%.*s/", SK_ARG(message->module));
}

/* Conditions see the changes of twins as messages of $edgeHub. */
static struct sk_message as_seen(const struct sk_edge_hub *hub, const struct sk_message *message) {
    struct sk_message seen = *message;
    if (message->source != SK_SOURCE_TWIN_CHANGES) return seen;
    seen.device = sk_span_z(hub->options->device_id);
    seen.module = SK_SPAN("$edgeHub");
    return seen;
}

static uint64_t endpoint_bit(const struct sk_edge_hub *hub, const struct sk_edge_queue *q) {
    return 1ull << (q->endpoint - hub->endpoints);
}

uint64_t edge_routes_match(struct sk_edge_hub *hub, const struct sk_message *message,
                           bool *ending) {
    struct sk_message seen = as_seen(hub, message);
    struct sk_expr_source source = sk_expr_source_of(&seen);
    sk_arena_reset(&hub->arena);
    struct sk_span path = source_path(hub, message);
    uint64_t bits = 0, endpoints = 0;
    for (size_t i = 0; i < hub->routing.count; i++) {
        const struct sk_edge_route *route = &hub->routing.routes[i];
        if ((route->queue && endpoints & endpoint_bit(hub, route->queue)) ||
            !sk_route_matches(&route->route, path, &source, &hub->arena))
            continue;
        if (ending) *ending = *ending || route->queue == NULL;
        if (route->queue == NULL) continue;
        bits |= 1ull << route->queue->bit;
        endpoints |= endpoint_bit(hub, route->queue);
    }
    return bits;
}

/* ---- explaining ---- */

static json_t *explain_one(struct sk_edge_hub *hub, const struct sk_edge_route *route,
                           struct sk_span path, const struct sk_expr_source *source,
                           uint64_t *endpoints) {
    bool takes = sk_route_takes(&route->route, path),
         matches = takes && sk_route_matches(&route->route, path, source, &hub->arena),
         taken = matches && route->queue && *endpoints & endpoint_bit(hub, route->queue);
    const char *why = !takes     ? "its source is another"
                      : !matches ? "its condition is not true"
                      : taken    ? "a route of better priority leads to the same endpoint"
                                 : "it takes the message";
    json_t *told = json_pack("{s:s,s:s,s:b,s:s}", "name", route->name, "route", route->route.text,
                             "takes", matches && !taken, "why", why);
    if (route->priority < SK_EDGE_NO_PRIORITY)
        json_object_set_new(told, "priority", json_integer(route->priority));
    if (route->ttl_us >= 0)
        json_object_set_new(told, "timeToLiveSecs", json_integer(route->ttl_us / 1000000));
    if (route->queue) {
        json_object_set_new(told, "endpoint", json_string(route->queue->endpoint->name));
        json_object_set_new(told, "queue", json_integer(route->queue->bit));
        if (matches) *endpoints |= endpoint_bit(hub, route->queue);
    }
    return told;
}

json_t *edge_routes_explain(struct sk_edge_hub *hub, const struct sk_message *message) {
    struct sk_message seen = as_seen(hub, message);
    struct sk_expr_source source = sk_expr_source_of(&seen);
    json_t *routes = json_array(), *queues = json_array();
    uint64_t endpoints = 0, bits = edge_routes_match(hub, message, NULL);
    struct sk_span path = source_path(hub, message);
    for (size_t i = 0; i < hub->routing.count; i++)
        json_array_append_new(routes,
                              explain_one(hub, &hub->routing.routes[i], path, &source, &endpoints));
    for (; bits; bits &= bits - 1)
        json_array_append_new(queues, json_integer(__builtin_ctzll(bits)));
    return json_pack("{s:s%,s:o,s:o}", "source", path.p, path.n, "routes", routes, "queues",
                     queues);
}
