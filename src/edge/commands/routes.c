/* Routes and queues of the edge hub: what becomes of a message, and giving up what waits. */
#include <stdio.h>

#include "edge/commands/parts.h"
#include "model/json_text.h"

enum { PROPERTIES_MAX = 64 };

const struct sk_option_row sk_edge_explain_options[] = {
    {"module", "MODULE", "the sender is this module of the device", false},
    {"output", "OUTPUT", "of which this is the output", false},
    {"property", "NAME=VALUE", "an application property", true},
    {"system", "NAME=VALUE", "a system property: messageId, contentType …", true},
    {"body", "TEXT", "the body: JSON counts as JSON", false},
    {"twin-change", NULL, "it is a change of the sender's twin", false},
    {"json", NULL, "the edge hub's answer as it is", false},
    {0}};

/* NAME=VALUE pairs as an object; NULL with a sentence when one is none. */
static json_t *pairs_of(const struct sk_typed *typed, const char *option) {
    const char *values[PROPERTIES_MAX];
    size_t n = sk_typed_all(typed, option, values, PROPERTIES_MAX);
    json_t *pairs = json_object();
    for (size_t i = 0; i < n && i < PROPERTIES_MAX; i++) {
        const char *equals = strchr(values[i], '=');
        if (equals == NULL || equals == values[i]) {
            sk_typed_usage(typed, "--%s is NAME=VALUE, not \"%s\"", option, values[i]);
            json_decref(pairs);
            return NULL;
        }
        SK_CLEANUP_FREE char *name = sk_span_dup(sk_span(values[i], (size_t)(equals - values[i])));
        json_object_set_new(pairs, name, json_string(equals + 1));
    }
    return pairs;
}

static void set_text(json_t *to, const char *name, const char *text) {
    if (text) json_object_set_new(to, name, json_string(text));
}

/* NULL: something was wrong with what was typed, and said. */
static json_t *message_of(const struct sk_typed *typed) {
    json_t *properties = pairs_of(typed, "property");
    json_t *system = properties ? pairs_of(typed, "system") : NULL;
    if (system == NULL) {
        json_decref(properties);
        return NULL;
    }
    json_t *message = json_pack("{s:s,s:o,s:o}", "device", typed->words[0], "properties",
                                properties, "systemProperties", system);
    const char *body = sk_typed_option(typed, "body");
    set_text(message, "module", sk_typed_option(typed, "module"));
    set_text(message, "output", sk_typed_option(typed, "output"));
    if (sk_typed_option(typed, "twin-change"))
        json_object_set_new(message, "twinChange", json_true());
    json_t *json = body ? sk_json_load(sk_span_z(body), JSON_DECODE_ANY, NULL) : NULL;
    if (json)
        json_object_set_new(message, "body", json);
    else
        set_text(message, "body", body);
    return message;
}

static void print_explanation(const json_t *answer) {
    size_t i;
    json_t *route;
    printf("A message from %s\n\n", edge_text_of(answer, "source"));
    printf("%-24s  %-5s  %-36s  %s\n", "ROUTE", "TAKES", "INTO", "WHY");
    json_array_foreach(json_object_get(answer, "routes"), i, route)
        printf("%-24s  %-5s  %-36s  %s\n", edge_text_of(route, "name"),
               json_is_true(json_object_get(route, "takes")) ? "yes" : "no",
               edge_text_of(route, "endpoint"), edge_text_of(route, "why"));
    if (json_array_size(json_object_get(answer, "queues")) == 0)
        printf("\nNo route takes it: the sender gets its acknowledgement, and it is dropped.\n");
}

int sk_edge_route_explain(void *arg) {
    const struct sk_edge_command *command = arg;
    struct edge_answer answer;
    json_t *message = message_of(&command->typed);
    if (message == NULL) return SK_EXIT_USAGE;
    SK_CLEANUP_FREE char *text = sk_json_text(message);
    json_decref(message);
    if (!edge_ask_role(&command->config, SK_HUB_STATUS_SOCKET, SK_HTTP_POST, "/routes/explain",
                       sk_span_z(text), &answer))
        return SK_EXIT_REFUSED;
    json_t *json = sk_json_load(sk_buffer_span(&answer.body), 0, NULL);
    if (sk_typed_option(&command->typed, "json"))
        printf("%.*s\n", SK_ARG(sk_buffer_span(&answer.body)));
    else
        print_explanation(json);
    json_decref(json);
    sk_buffer_free(&answer.body);
    return SK_EXIT_FINE;
}

/* ---- queues ---- */

static void print_queues(const json_t *status) {
    size_t i;
    json_t *queue;
    printf("%5s  %-40s  %-8s  %10s  %12s  %s\n", "QUEUE", "LEADS TO", "PRIORITY", "WAITING",
           "BYTES", "OLDEST");
    json_array_foreach(json_object_get(status, "queues"), i, queue) {
        const json_t *priority = json_object_get(queue, "priority");
        char rank[24] = "-", age[32] = "";
        long long depth = json_integer_value(json_object_get(queue, "depth"));
        if (json_is_integer(priority))
            snprintf(rank, sizeof rank, "%lld", (long long)json_integer_value(priority));
        if (depth)
            edge_age_text((int64_t)json_number_value(json_object_get(queue, "oldestAgeSeconds")),
                          age);
        printf("%5lld  %-40s  %-8s  %10lld  %12lld  %s%s\n",
               (long long)json_integer_value(json_object_get(queue, "queue")),
               edge_text_of(queue, "endpoint"), rank, depth,
               (long long)json_integer_value(json_object_get(queue, "bytes")), age,
               json_is_false(json_object_get(queue, "routed")) ? " (no route leads there now)"
                                                               : "");
    }
}

int sk_edge_queues(void *arg) {
    const struct sk_edge_command *command = arg;
    json_t *status = edge_ask_json(&command->config, SK_HUB_STATUS_SOCKET, "/status");
    if (status == NULL) return SK_EXIT_REFUSED;
    if (sk_typed_option(&command->typed, "json")) {
        sk_json_print(stdout, json_object_get(status, "queues"), 2);
        printf("\n");
    } else {
        print_queues(status);
    }
    json_decref(status);
    return SK_EXIT_FINE;
}

int sk_edge_queue_purge(void *arg) {
    const struct sk_edge_command *command = arg;
    struct edge_answer answer;
    char target[64];
    int64_t number;
    if (sk_span_to_int(sk_span_z(command->typed.words[0]), &number))
        return sk_typed_usage(&command->typed, "QUEUE is a number that `queues` prints");
    snprintf(target, sizeof target, "/queues/%lld/purge", (long long)number);
    if (!edge_ask_role(&command->config, SK_HUB_STATUS_SOCKET, SK_HTTP_POST, target, SK_NONE,
                       &answer))
        return SK_EXIT_REFUSED;
    json_t *json = sk_json_load(sk_buffer_span(&answer.body), 0, NULL);
    printf("%lld messages were given up\n",
           (long long)json_integer_value(json_object_get(json, "purged")));
    json_decref(json);
    sk_buffer_free(&answer.body);
    return SK_EXIT_FINE;
}
