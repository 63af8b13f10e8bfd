/* Route conditions a second on one core, against a message with 256 bytes of JSON.
 *
 *   bench-routes [SECONDS]
 *
 * Prints a line of JSON a condition. */
#include <stdio.h>
#include <time.h>

#include "expr/expr.h"
#include "expr/message_source.h"

static const char body[] =
    "{\"deviceTime\":\"2026-11-21T10:00:00.000Z\",\"site\":\"plant-7\","
    "\"line\":{\"name\":\"press\",\"shift\":2},"
    "\"machine\":{\"temperature\":87.25,\"pressure\":8.5,\"spindle\":{\"rpm\":11800,"
    "\"load\":0.62}},"
    "\"ambient\":{\"temperature\":21.5,\"humidity\":40},\"counts\":[12,7,0,3,1,2,5],\"ok\":true}";

_Static_assert(sizeof body - 1 == 256, "as the text says");

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

enum { BATCH = 1000 };

static void measure(const char *name, const char *condition, const struct sk_message *message,
                    double seconds) {
    struct sk_expr *expr;
    struct sk_expr_error error;
    struct sk_arena arena = {0};
    unsigned long long count = 0, matched = 0;
    if (sk_expr_compile(sk_span_z(condition), SK_DIALECT_ROUTE, &expr, &error)) {
        fprintf(stderr, "%s: %s\n", condition, error.sentence);
        exit(1);
    }
    double began = now_s(), ended = began;
    for (; ended - began < seconds; count += BATCH, ended = now_s())
        for (int i = 0; i < BATCH; i++) {
            /* As the hub does for each message: the source is made anew. */
            struct sk_expr_source source = sk_expr_source_of(message);
            sk_arena_reset(&arena);
            matched += sk_expr_true(expr, &source, &arena);
        }
    if (matched != count) {
        fprintf(stderr, "%s did not match\n", condition);
        exit(1);
    }
    printf("{\"name\":\"%s\",\"condition\":", name);
    struct sk_buffer text = {0};
    sk_json_string(&text, sk_span_z(condition));
    printf("%.*s,\"per_second\":%.0f}\n", SK_ARG(sk_buffer_span(&text)),
           (double)count / (ended - began));
    sk_buffer_free(&text);
    sk_arena_free(&arena);
    sk_expr_free(expr);
}

/* As many routes as a hub may have, with a few paths among them; messages a second. */
static void measure_many(const struct sk_message *message, double seconds) {
    enum { ROUTES = 100 };
    static const char *const paths[] = {"$body.machine.temperature", "$body.machine.spindle.rpm",
                                        "level", "site"};
    struct sk_expr *conditions[ROUTES];
    struct sk_arena arena = {0};
    for (int i = 0; i < ROUTES; i++) {
        char text[100];
        snprintf(text, sizeof text, i % 4 < 2 ? "%s > %d" : "%s = 's%d'", paths[i % 4],
                 i % 4 < 2 ? 1000000 + i : i);
        if (sk_expr_compile(sk_span_z(text), SK_DIALECT_ROUTE, &conditions[i], NULL)) exit(1);
    }
    size_t shared = sk_expr_share(conditions, ROUTES);
    struct sk_expr_memo *memo = sk_alloc(shared * sizeof *memo);
    uint64_t bits[ROUTES];
    for (int i = 0; i < ROUTES; i++) bits[i] = 1;
    struct sk_expr_table *table = sk_expr_table_new(conditions, bits, ROUTES);
    double began = now_s(), ended = began;
    unsigned long long count = 0, matched = 0;
    for (; ended - began < seconds; count += BATCH, ended = now_s())
        for (int i = 0; i < BATCH; i++) {
            struct sk_expr_source source = sk_expr_source_of(message);
            source.memo = memo;
            memset(memo, 0, shared * sizeof *memo);
            matched += sk_expr_table_match(table, &source, &arena);
        }
    if (matched) exit(1);
    printf("{\"name\":\"many\",\"condition\":\"a hundred, of four values\",\"per_second\":%.0f}\n",
           (double)count / (ended - began));
    sk_expr_table_free(table);
    for (int i = 0; i < ROUTES; i++) sk_expr_free(conditions[i]);
    free(memo);
    sk_arena_free(&arena);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 2;
    static const struct sk_property properties[] = {{SK_SPAN("level"), SK_SPAN("warning")},
                                                    {SK_SPAN("site"), SK_SPAN("plant-7")},
                                                    {SK_SPAN("line"), SK_SPAN("2")}};
    struct sk_message message = {.device = SK_SPAN("press-0042"),
                                 .properties = properties,
                                 .property_count = 3,
                                 .body = sk_span(body, sizeof body - 1)};
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    measure("property", "level = 'warning'", &message, seconds);
    measure("properties",
            "level = 'warning' AND site = 'plant-7' AND $connectionDeviceId = 'press-0042'",
            &message, seconds);
    measure("number", "as_number(line) > 1", &message, seconds);
    measure("body", "$body.machine.temperature > 80", &message, seconds);
    measure("body, last", "$body.ok = true", &message, seconds);
    measure("both", "level = 'warning' AND $body.machine.spindle.rpm > 10000", &message, seconds);
    measure_many(&message, seconds);
    return 0;
}
