/* Routes tried on a message that somebody makes up: which take it, and why the others do not. The
 * forms are ARM's, `$testall` and `$testnew`; `$explain` is ours. Nothing is stored. */
#include <stdio.h>

#include "expr/message_source.h"
#include "hub/parts.h"
#include "model/json_text.h"

struct trial {
    struct sk_arena arena;
    struct sk_message message;
    char *body, *twin;
    struct sk_expr_source source;
};

static void end_trial(struct trial *t) {
    free(t->body);
    free(t->twin);
    sk_arena_free(&t->arena);
}

static struct sk_span text_of(const json_t *value) {
    return sk_span(json_string_value(value), json_string_length(value));
}

/* ---- the message ---- */

static bool read_source(const json_t *name, enum sk_source *source) {
    struct sk_span rest = sk_span_z(HUB_SOURCES), one;
    if (name == NULL) return true; /* telemetry */
    for (int i = 0; sk_span_split(&rest, '|', &one); i++) {
        if (!json_is_string(name) || !sk_span_eq_nocase(one, text_of(name))) continue;
        *source = (enum sk_source)i;
        return true;
    }
    return false;
}

static bool read_properties(struct trial *t, const json_t *properties) {
    const char *name;
    json_t *value;
    size_t count = json_object_size(properties);
    struct sk_property *list = sk_arena_alloc(&t->arena, (count + 1) * sizeof *list);
    if (properties && !json_is_object(properties)) return false;
    if (count > SK_PROPERTIES_MAX) return false;
    t->message.properties = list;
    json_object_foreach((json_t *)properties, name, value) {
        if (!json_is_string(value)) return false;
        list[t->message.property_count++] = (struct sk_property){sk_span_z(name), text_of(value)};
    }
    return true;
}

static bool read_system(struct trial *t, const json_t *properties) {
    const char *name;
    json_t *value;
    if (properties && !json_is_object(properties)) return false;
    json_object_foreach((json_t *)properties, name, value) {
        struct sk_span text = text_of(value);
        if (!json_is_string(value)) return false;
        if (sk_span_eq_nocase(sk_span_z(name), SK_SPAN("connectionDeviceId")))
            t->message.device = text;
        else if (sk_span_eq_nocase(sk_span_z(name), SK_SPAN("connectionModuleId")))
            t->message.module = text;
        else
            sk_message_set_system(&t->message, sk_span_z(name), text);
    }
    return true;
}

/* A body that is not a text is JSON, and says so itself. */
static void read_body(struct trial *t, const json_t *body) {
    struct sk_span *system = t->message.system;
    if (body == NULL) return;
    t->body = json_is_string(body) ? sk_span_dup(text_of(body)) : sk_json_text(body);
    t->message.body = sk_span_z(t->body);
    if (json_is_string(body)) return;
    if (system[SK_SYS_CONTENT_TYPE].n == 0)
        system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    if (system[SK_SYS_CONTENT_ENCODING].n == 0) system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
}

/* False: refused. */
static bool read_trial(struct trial *t, struct sk_request *request) {
    const json_t *body = request->body, *message = json_object_get(body, "message"),
                 *twin = json_object_get(body, "twin");
    *t = (struct trial){0};
    const char *why = NULL;
    if (message && !json_is_object(message)) why = "message is an object";
    if (!read_source(json_object_get(body, "routingSource"), &t->message.source))
        why = "routingSource is one of " HUB_SOURCES;
    if (!read_properties(t, json_object_get(message, "appProperties")))
        why = "message.appProperties is an object of texts";
    if (!read_system(t, json_object_get(message, "systemProperties")))
        why = "message.systemProperties is an object of texts";
    if (why) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", why);
        end_trial(t);
        return false;
    }
    read_body(t, json_object_get(message, "body"));
    t->twin = twin ? sk_json_text(twin) : NULL;
    t->source = sk_expr_source_of(&t->message);
    t->source.twin = sk_span_z(t->twin);
    return true;
}

/* ---- routes ---- */

static const char *word_of(enum sk_truth truth) {
    return truth == SK_TRUTH_TRUE ? "true" : truth == SK_TRUTH_FALSE ? "false" : "undefined";
}

static struct sk_span source_name(enum sk_source source) {
    struct sk_span rest = sk_span_z(HUB_SOURCES), name = SK_NONE;
    for (int i = 0; i <= (int)source; i++) sk_span_split(&rest, '|', &name);
    return name;
}

/* As ARM shows a route. */
static json_t *route_json(const struct sk_hub_route *route) {
    json_t *names = json_array();
    struct sk_span source = source_name(route->source);
    for (size_t i = 0; i < route->endpoint_count; i++)
        json_array_append_new(names, json_string(route->endpoints[i]));
    if (route->endpoint_count == 0) json_array_append_new(names, json_string("events"));
    return json_pack("{s:s,s:s%,s:s,s:o,s:b}", "name", route->name, "source", source.p, source.n,
                     "condition", route->condition, "endpointNames", names, "isEnabled",
                     route->enabled);
}

static enum sk_truth try_route(struct trial *t, const char *condition, struct sk_span *term,
                               enum sk_truth *of_term) {
    return sk_expr_explain(sk_span_trim(sk_span_z(condition)), SK_DIALECT_ROUTE, &t->source,
                           &t->arena, term, of_term);
}

/* "" when it takes the message. */
static struct sk_span why_not(struct trial *t, const struct sk_hub_route *route,
                              enum sk_truth *truth) {
    struct sk_span term, source = source_name(route->source);
    enum sk_truth of_term;
    *truth = SK_TRUTH_FALSE;
    if (!route->enabled) return SK_SPAN("it is not enabled");
    if (route->source != t->message.source)
        return sk_arena_print(&t->arena, "it takes %.*s only", SK_ARG(source));
    *truth = try_route(t, route->condition, &term, &of_term);
    if (*truth == SK_TRUTH_TRUE) return SK_NONE;
    return sk_arena_print(&t->arena, "%.*s is %s", SK_ARG(term), word_of(of_term));
}

static void test_all(struct sk_hub *hub, struct sk_request *request) {
    struct trial t;
    json_t *routes = json_array();
    bool explains = request->op == SK_OP_ROUTE_EXPLAIN, taken = false;
    if (!read_trial(&t, request)) {
        json_decref(routes);
        return;
    }
    for (size_t i = 0; i < hub->options->route_count; i++) {
        const struct sk_hub_route *route = &hub->options->routes[i];
        enum sk_truth truth;
        struct sk_span why = why_not(&t, route, &truth);
        taken |= truth == SK_TRUTH_TRUE;
        if (!explains && truth != SK_TRUTH_TRUE) continue;
        json_t *shown = route_json(route);
        if (explains) json_object_set_new(shown, "result", json_string(word_of(truth)));
        if (why.n) json_object_set_new(shown, "because", sk_json_of_text(why));
        json_array_append_new(routes, explains ? shown : json_pack("{s:o}", "properties", shown));
    }
    json_t *document = json_pack("{s:o}", "routes", routes);
    if (explains)
        json_object_set_new(document, "fallback",
                            json_boolean(!taken && hub->options->fallback &&
                                         t.message.source == SK_SOURCE_TELEMETRY));
    sk_request_answer_json(request, document);
    end_trial(&t);
}

static json_t *error_json(const struct sk_expr_error *error) {
    return json_pack("{s:[{s:s,s:s,s:{s:{s:i,s:i},s:{s:i,s:i}}}]}", "compilationErrors", "message",
                     error->sentence, "severity", "error", "location", "start", "line",
                     (int)error->line, "column", (int)error->column, "end", "line",
                     (int)error->line, "column", (int)error->column);
}

static void test_new(struct sk_hub *hub, struct sk_request *request) {
    struct trial t;
    struct sk_expr *compiled = NULL;
    struct sk_expr_error error;
    struct sk_span term;
    enum sk_truth truth = SK_TRUTH_UNDEFINED, of_term;
    const json_t *route = json_object_get(request->body, "route");
    const char *condition = json_string_value(json_object_get(route, "condition"));
    (void)hub;
    if (!json_is_object(route)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "route is an object");
        return;
    }
    if (!read_trial(&t, request)) return;
    if (condition == NULL) condition = "true";
    bool fine = sk_expr_compile(sk_span_trim(sk_span_z(condition)), SK_DIALECT_ROUTE, &compiled,
                                &error) == SK_OK;
    sk_expr_free(compiled);
    if (fine) truth = try_route(&t, condition, &term, &of_term);
    json_t *document =
        json_pack("{s:s,s:o}", "result", word_of(truth), "details",
                  fine ? json_pack("{s:[]}", "compilationErrors") : error_json(&error));
    sk_request_answer_json(request, document);
    end_trial(&t);
}

const struct sk_hub_part hub_part_explain = {.serve = {[SK_OP_ROUTE_TEST_ALL] = test_all,
                                                       [SK_OP_ROUTE_TEST_NEW] = test_new,
                                                       [SK_OP_ROUTE_EXPLAIN] = test_all}};
