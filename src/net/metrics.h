/* Metrics in Prometheus' text form (version 0.0.4): two lines that name a metric, then a line for
 * each of its values.
 *
 * Pure. */
#ifndef SK_NET_METRICS_H
#define SK_NET_METRICS_H

#include "base/base.h"
#include "base/summary.h"

#define SK_METRICS_TYPE "Content-Type: text/plain; version=0.0.4\r\n"

/* The labels that every metric of Azure's edge has. */
struct sk_metric_edge {
    const char *hub_host, *device_id;
    const char *instance; /* another one after each start */
};

/* The two lines above a metric's values. `type`: "counter", "gauge", "summary", "histogram". */
void sk_metric_put_name(struct sk_buffer *to, const char *name, const char *type, const char *help);
/* A value: its name and what all have in common; then labels of its own, in any number; then one of
 * the last two, which ends it. Labels may hold anything. */
void sk_metric_begin(struct sk_buffer *to, const char *name, const struct sk_metric_edge *edge);
void sk_metric_label(struct sk_buffer *to, const char *name, const char *value);
void sk_metric_count(struct sk_buffer *to, uint64_t value);
void sk_metric_real(struct sk_buffer *to, double value);
/* All values of a summary; nothing of an empty one. `labels`: its own, by sk_metric_label. `unit`:
 * what 1 in it is worth. */
void sk_metric_put_summary(struct sk_buffer *to, const char *name,
                           const struct sk_metric_edge *edge, struct sk_span labels,
                           const struct sk_summary *summary, double unit);

#endif
