/* Any bytes as Prometheus' ReadRequest: they are refused, or what is read lies within them. */
#include <stdlib.h>

#include "wire/prometheus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void within(struct sk_span all, struct sk_span part) {
    if (part.n && (part.p < all.p || part.p + part.n > all.p + all.n)) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span all = sk_span((const char *)data, size);
    struct sk_arena arena = {0};
    struct sk_prometheus_read read;
    if (sk_prometheus_read_parse(all, &arena, &read) == SK_OK) {
        if (read.count > SK_PROMETHEUS_QUERIES_MAX) abort();
        for (size_t q = 0; q < read.count; q++)
            for (size_t m = 0; m < read.queries[q].matcher_count; m++) {
                within(all, read.queries[q].matchers[m].label);
                within(all, read.queries[q].matchers[m].value);
            }
    }
    sk_arena_free(&arena);
    return 0;
}
