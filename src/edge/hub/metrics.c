/* What is told of each queue. Names and labels are those of Azure's edge hub: reference in
 * docs/protocols/edge-runtime.md, section 5.12. */
#include "edge/hub/parts.h"

/* Azure's edge hub calls the cloud's endpoint so, and gives routes without a priority this one. */
#define CLOUD "iothub"
#define NO_PRIORITY "2000000000"

static void put_labels(struct sk_buffer *to, const struct sk_edge_queue *q) {
    const char *name = q->endpoint->device ? q->endpoint->name : CLOUD;
    sk_buffer_text(to, "{endpoint=");
    sk_json_string(to, sk_span_z(name));
    if (q->priority < SK_EDGE_NO_PRIORITY)
        sk_buffer_print(to, ",priority=\"%u\"", q->priority);
    else
        sk_buffer_text(to, ",priority=\"" NO_PRIORITY "\"");
    sk_buffer_text(to, "} ");
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

void sk_edge_hub_put_metrics(const struct sk_edge_hub *hub, struct sk_buffer *to) {
    static const struct {
        const char *name, *help;
        uint64_t (*of)(const struct sk_edge_queue *q);
        bool greatest;
    } rows[] = {
        {"edgehub_queue_length", "Messages that wait or are on their way.", length, false},
        {"edgehub_queue_bytes", "What they take in the store.", bytes, false},
        {"edgehub_queue_oldest_age_seconds", "How long the oldest has waited.", age_s, true}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        sk_metric_put_name(to, rows[r].name, "gauge", rows[r].help);
        for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
            if (hub->queues[i].endpoint == NULL || !is_first(hub, i)) continue;
            sk_buffer_text(to, rows[r].name);
            put_labels(to, &hub->queues[i]);
            sk_buffer_print(to, "%llu\n",
                            (unsigned long long)total(hub, i, rows[r].of, rows[r].greatest));
        }
    }
}
