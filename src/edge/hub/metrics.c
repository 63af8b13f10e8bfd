/* What is told to Prometheus. Names and labels are those of Azure's edge hub where it has them,
 * else they begin with skerry_edge_: docs/protocols/edge-runtime.md, section 5.12. */
#include "edge/hub/parts.h"
#include "net/metrics.h"

/* Azure's edge hub calls the cloud's endpoint so. */
#define CLOUD "iothub"

static struct sk_metric_edge edge_of(const struct sk_edge_hub *hub) {
    return (struct sk_metric_edge){hub->options->hub_host_name, hub->options->device_id,
                                   hub->instance};
}

static void put_sample(struct sk_buffer *to, const struct sk_edge_hub *hub, const char *name) {
    const struct sk_metric_edge edge = edge_of(hub);
    sk_metric_begin(to, name, &edge);
}

/* ---- of the edge hub ---- */

static void put_totals(struct sk_buffer *to, const struct sk_edge_hub *hub) {
    struct sk_edge_hub_counts c = sk_edge_hub_counts(hub);
    const struct {
        const char *name, *type, *help;
        uint64_t n;
    } rows[] = {
        {"skerry_edge_messages_received_total", "counter", "Messages taken.", c.received_total},
        {"skerry_edge_messages_given_up_total", "counter",
         "Messages whose queue was purged, or needed by another route.", c.given_up_total},
        {"edgehub_connected_clients", "gauge", "Clients.", c.clients},
        {"skerry_edge_scope_readings_total", "counter", "Readings of the scope.",
         c.scope_readings_total},
        {"skerry_edge_identities", "gauge", "Who may connect.", c.identities},
        {"skerry_edge_upstream_connected", "gauge", "Whether the cloud is there.",
         c.upstream_connected},
        {"skerry_edge_store_bytes", "gauge", "What messages take on the disk.",
         sk_log_bytes(hub->log)}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sk_metric_put_name(to, rows[i].name, rows[i].type, rows[i].help);
        put_sample(to, hub, rows[i].name);
        sk_metric_count(to, rows[i].n);
    }
}

/* ---- apart for each set of labels ---- */

static void put_labels(struct sk_buffer *to, const struct sk_edge_metric_kind *kind,
                       const struct sk_edge_series *series) {
    const char *value = series->key + 1;
    for (unsigned i = 0; i < SK_EDGE_LABELS_MAX && kind->labels[i]; i++) {
        sk_metric_label(to, kind->labels[i], value);
        value += strlen(value) + 1;
    }
}

static void put_summary(struct sk_buffer *to, const struct sk_edge_hub *hub,
                        const struct sk_edge_metric_kind *kind,
                        const struct sk_edge_series *series) {
    const struct sk_metric_edge edge = edge_of(hub);
    struct sk_buffer labels = {0};
    put_labels(&labels, kind, series);
    sk_metric_put_summary(to, kind->name, &edge, sk_buffer_span(&labels), series->summary,
                          kind->type == SK_EDGE_SECONDS ? 1e-6 : 1);
    sk_buffer_free(&labels);
}

static void put_series(struct sk_buffer *to, const struct sk_edge_hub *hub) {
    for (enum sk_edge_metric metric = 0; metric < SK_EDGE_METRIC_COUNT; metric++) {
        const struct sk_edge_metric_kind *kind = edge_metric_kind(metric);
        bool counter = kind->type == SK_EDGE_COUNTER;
        sk_metric_put_name(to, kind->name, counter ? "counter" : "summary", kind->help);
        SK_LIST_EACH(&hub->measures.of[metric].list, node, following) {
            const struct sk_edge_series *series = SK_CONTAINER(node, struct sk_edge_series, link);
            if (!counter) {
                put_summary(to, hub, kind, series);
                continue;
            }
            put_sample(to, hub, kind->name);
            put_labels(to, kind, series);
            sk_metric_count(to, series->count);
        }
    }
}

/* ---- of each queue ---- */

static void put_queue_labels(struct sk_buffer *to, const struct sk_edge_queue *q) {
    sk_metric_label(to, "endpoint", q->endpoint->device ? q->endpoint->name : CLOUD);
    sk_metric_label(to, "priority", edge_priority_text(q->priority));
}

/* The queues of one endpoint and priority together: they differ in their times to live alone. */
static bool is_first(const struct sk_edge_hub *hub, size_t i) {
    for (size_t j = 0; j < i; j++)
        if (hub->queues[j].endpoint == hub->queues[i].endpoint &&
            hub->queues[j].priority == hub->queues[i].priority)
            return false;
    return true;
}

static uint64_t length(const struct sk_edge_queue *q) {
    return q->depth;
}

static uint64_t bytes(const struct sk_edge_queue *q) {
    return q->bytes;
}

static uint64_t age_s(const struct sk_edge_queue *q) {
    return (uint64_t)edge_queue_age(q) / 1000000;
}

static uint64_t total(const struct sk_edge_hub *hub, size_t i,
                      uint64_t (*of)(const struct sk_edge_queue *q), bool greatest) {
    uint64_t sum = 0;
    for (size_t j = i; j < SK_EDGE_QUEUES_MAX; j++) {
        const struct sk_edge_queue *q = &hub->queues[j];
        if (q->endpoint != hub->queues[i].endpoint || q->priority != hub->queues[i].priority)
            continue;
        uint64_t value = of(q);
        if (greatest)
            sum = value > sum ? value : sum;
        else
            sum += value;
    }
    return sum;
}

static void put_queues(struct sk_buffer *to, const struct sk_edge_hub *hub) {
    static const struct {
        const char *name, *help;
        uint64_t (*of)(const struct sk_edge_queue *q);
        bool greatest;
    } rows[] = {
        {"edgehub_queue_length", "Messages that wait or are on their way.", length, false},
        {"skerry_edge_queue_bytes", "What they take in the store.", bytes, false},
        {"skerry_edge_queue_oldest_age_seconds", "How long the oldest has waited.", age_s, true}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        sk_metric_put_name(to, rows[r].name, "gauge", rows[r].help);
        for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
            if (hub->queues[i].endpoint == NULL || !is_first(hub, i)) continue;
            put_sample(to, hub, rows[r].name);
            put_queue_labels(to, &hub->queues[i]);
            sk_metric_count(to, total(hub, i, rows[r].of, rows[r].greatest));
        }
    }
}

void sk_edge_hub_put_metrics(const struct sk_edge_hub *hub, struct sk_buffer *to) {
    put_totals(to, hub);
    put_series(to, hub);
    put_queues(to, hub);
}
