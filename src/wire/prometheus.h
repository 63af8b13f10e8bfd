/* Prometheus' remote read: its requests and answers as protocol buffers, not compressed.
 * Reference: https://prometheus.io/docs/prometheus/latest/querying/remote_read_api/ and prompb. */
#ifndef SK_WIRE_PROMETHEUS_H
#define SK_WIRE_PROMETHEUS_H

#include "base/base.h"

enum { SK_PROMETHEUS_QUERIES_MAX = 10, SK_PROMETHEUS_MATCHERS_MAX = 50 };

enum sk_prometheus_match {
    SK_PROMETHEUS_EQUAL,
    SK_PROMETHEUS_NOT_EQUAL,
    SK_PROMETHEUS_LIKE, /* a regular expression for all of it */
    SK_PROMETHEUS_NOT_LIKE,
};
struct sk_prometheus_matcher {
    enum sk_prometheus_match by;
    struct sk_span label, value;
};
struct sk_prometheus_query {
    int64_t from, to; /* ms since 1970, both in it */
    struct sk_prometheus_matcher *matchers;
    size_t matcher_count;
};
struct sk_prometheus_read {
    struct sk_prometheus_query *queries;
    size_t count;
};
/* A ReadRequest; in the arena, texts point into `bytes`. What is unknown is skipped. SK_MALFORMED,
 * SK_TOO_LARGE. */
enum sk_status sk_prometheus_read_parse(struct sk_span bytes, struct sk_arena *arena,
                                        struct sk_prometheus_read *read);

/* An answer is written from the inside: samples and labels into a series, series into a result (of
 * a query), results into the answer. */
void sk_prometheus_put_label(struct sk_buffer *series, struct sk_span name, struct sk_span value);
void sk_prometheus_put_sample(struct sk_buffer *series, int64_t ms, double value);
void sk_prometheus_put_part(struct sk_buffer *to, struct sk_span part); /* field 1 of all three */

#endif
