/* Telemetry's way in: stamp, route, append, acknowledge when durable. The hot path of the hub. */
#include "expr/message_source.h"

#include <stdio.h>

#include "hub/parts.h"
#include "gateway/once.h"
#include "hub/events/partitions.h"

static enum sk_status compile_routes(struct sk_hub *hub, char reason[512]) {
    const struct sk_hub_options *options = hub->options;
    hub->conditions = sk_alloc((options->route_count + 1) * sizeof *hub->conditions);
    for (size_t i = 0; i < options->route_count; i++) {
        struct sk_span text = sk_span_trim(sk_span_z(options->routes[i].condition));
        struct sk_expr_error error;
        if (sk_span_is(text, "true")) continue;
        enum sk_status status =
            sk_expr_compile(text, SK_DIALECT_ROUTE, &hub->conditions[i], &error);
        if (status == SK_OK) continue;
        snprintf(reason, 512, "route %s of hub %s: column %u: %s", options->routes[i].name,
                 options->name, error.column, error.sentence);
        return status;
    }
    return SK_OK;
}

static void free_routes(struct sk_hub *hub) {
    for (size_t i = 0; hub->conditions && i < hub->options->route_count; i++)
        sk_expr_free(hub->conditions[i]);
    free(hub->conditions);
}

/* The route bits of a message. */
static uint64_t route(struct sk_hub *hub, const struct sk_message *message) {
    const struct sk_hub_options *options = hub->options;
    uint64_t routes = 0;
    struct sk_expr_source source = sk_expr_source_of(message);
    for (size_t i = 0; i < options->route_count; i++) {
        const struct sk_hub_route *r = &options->routes[i];
        if (!r->enabled || r->source != message->source) continue;
        sk_arena_reset(&hub->arena);
        if (hub->conditions[i] == NULL || sk_expr_true(hub->conditions[i], &source, &hub->arena))
            routes |= SK_HUB_ROUTE_EVENTS;
    }
    if (routes == 0 && message->source == SK_SOURCE_TELEMETRY && options->fallback)
        routes = SK_HUB_ROUTE_EVENTS;
    return routes;
}

static void appended(void *arg, enum sk_status status, uint64_t sequence) {
    struct sk_request *request = arg;
    struct sk_hub *hub = hub_of(request->backend);
    if (status == SK_OK)
        sk_partition_stored(hub->partitions, request->backend_number % SK_PARTITIONS_MAX,
                            request->backend_number / SK_PARTITIONS_MAX, sequence);
    if (request->backend_data) { /* numbered by an edge */
        SK_CLEANUP_FREE char *number = request->backend_data;
        sk_once_done(hub->once, request->device, request->module, sk_span_z(number),
                     status == SK_OK);
    }
    if (status)
        sk_request_refuse(
            request, status == SK_NO_SPACE ? SK_FAULT_QUOTA_EXCEEDED : SK_FAULT_SERVER_ERROR, NULL);
    else
        sk_request_answer(request);
}

/* Puts an event into its partition. What is not taken at once needs no number. */
static enum sk_status append(struct sk_hub *hub, struct sk_request *request,
                             struct sk_message *message, unsigned partition) {
    uint64_t number = sk_partition_next(hub->partitions, partition);
    char text[24];
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    message->system[SK_SYS_SEQUENCE_NUMBER] = sk_span(text, (size_t)n);
    request->backend_number = number * SK_PARTITIONS_MAX + partition;
    hub->scratch.n = 0;
    enum sk_status status = sk_message_encode_head(&hub->scratch, message);
    struct sk_span parts[] = {sk_buffer_span(&hub->scratch), message->body};
    if (status == SK_OK)
        status =
            sk_log_append(hub->log, parts, 2, sk_partition_route(partition), appended, request);
    if (status == SK_OK) {
        sk_partition_take(hub->partitions, partition);
        hub->counts.telemetry_total++;
    } else {
        hub->counts.telemetry_refused_total++;
    }
    return status;
}

void hub_send_event(struct sk_hub *hub, struct sk_request *request, unsigned partition) {
    struct sk_message message = *request->message;
    enum sk_status status = append(hub, request, &message, partition);
    if (status) sk_request_refuse(request, sk_fault_of_status(status), NULL);
}

static void take(struct sk_hub *hub, struct sk_request *request) {
    struct sk_message message = *request->message;
    message.system[SK_SYS_GENERATION_ID] = sk_span_z(request->who->generation_id);
    message.system[SK_SYS_AUTH_METHOD] = sk_span_z(request->who->auth_method);
    if (!sk_once_counts(request)) message.system[SK_SYS_EDGE_NUMBER] = SK_NONE;
    uint64_t routes = route(hub, &message);
    if (routes == 0) { /* taken and dropped, as the cloud does */
        hub->counts.dropped_total++;
        sk_request_answer(request);
        return;
    }
    if (message.system[SK_SYS_EDGE_NUMBER].n) {
        enum sk_once_verdict verdict = sk_once_check(hub->once, &message);
        if (verdict == SK_ONCE_STORED) {
            hub->counts.repeated_total++;
            sk_request_answer(request);
            return;
        }
        if (verdict == SK_ONCE_LATER) {
            sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
            return;
        }
        request->backend_data = sk_span_dup(message.system[SK_SYS_EDGE_NUMBER]);
    }
    enum sk_status status =
        append(hub, request, &message, sk_partition_of(hub->partitions, message.device));
    if (status == SK_OK) return;
    if (request->backend_data) {
        sk_once_done(hub->once, request->device, request->module,
                     message.system[SK_SYS_EDGE_NUMBER], false);
        free(request->backend_data);
        request->backend_data = NULL;
    }
    sk_request_refuse(request, sk_fault_of_status(status), NULL);
}

/* ---- its keys ---- */

static bool is_condition(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_expr *compiled = NULL;
    struct sk_expr_error error;
    enum sk_status status = sk_expr_compile(text, SK_DIALECT_ROUTE, &compiled, &error);
    if (status) snprintf(why, SK_CONFIG_WHY_MAX, "column %u: %s", error.column, error.sentence);
    sk_expr_free(compiled);
    return status == SK_OK;
}

#define ROUTE(field) SK_CONFIG_AT(struct sk_hub_route, field)

static const struct sk_config_key keys[] = {
    {"hub[].route[]", &sk_config_tables, SK_CONFIG_LIST(struct sk_hub_options, routes, route_count),
     .most = SK_HUB_ROUTES_MAX,
     .does =
         "Message routes; without any, everything goes to the built-in endpoint, with them what "
         "one of them takes, and the rest by the fallback"},
    {"hub[].route[].name", &sk_config_text, ROUTE(name), .need = "give the route a name",
     .such_as = "\"hot\"", .does = "Its name"},
    {"hub[].route[].source", &sk_config_choice, ROUTE(source),
     .choices = "DeviceMessages|TwinChangeEvents|DeviceLifecycleEvents|DeviceConnectionStateEvents",
     .otherwise = "\"DeviceMessages\"", .mend = "telemetry is \"DeviceMessages\"",
     .does = "What it takes"},
    {"hub[].route[].condition", &sk_config_text, ROUTE(condition), .fine = is_condition,
     .otherwise = "\"true\"", .does = "Which of these, as in Azure", .page = "expressions.md"},
    {"hub[].route[].endpoint", &sk_config_choice, .choices = "events", .otherwise = "\"events\"",
     .does = "Where they go: the built-in endpoint"},
    {"hub[].route[].enabled", &sk_config_boolean, ROUTE(enabled), .otherwise = "true",
     .does = "Whether it takes anything"},
    {"hub[].fallback", &sk_config_table, .does = "What no route takes"},
    {"hub[].fallback.enabled", &sk_config_boolean, SK_CONFIG_AT(struct sk_hub_options, fallback),
     .otherwise = "true", .does = "Telemetry that no route takes goes to `events`"},
    {0}};

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_telemetry_total", "Messages accepted.", SK_HUB_COUNT(telemetry_total)},
    {"skerry_hub_telemetry_refused_total", "Messages refused: store full or busy.",
     SK_HUB_COUNT(telemetry_refused_total)},
    {"skerry_hub_telemetry_dropped_total", "Messages that no route and no fallback took.",
     SK_HUB_COUNT(dropped_total)},
    {"skerry_hub_telemetry_repeated_total", "Messages that an edge sent again, stored already.",
     SK_HUB_COUNT(repeated_total)},
    {"skerry_hub_log_bytes", "Bytes of stored events on disk.", SK_HUB_COUNT(log_bytes)},
    {"skerry_hub_log_next_sequence", "Sequence number of the next event.",
     SK_HUB_COUNT(next_sequence)},
    {0}};

const struct sk_hub_part hub_part_ingest = {.metrics = metrics,
                                            .keys = keys,
                                            .serve = {[SK_OP_TELEMETRY] = take},
                                            .open = compile_routes,
                                            .free = free_routes};
