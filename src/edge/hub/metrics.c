/* What is told to Prometheus. Names and labels are those of Azure's edge hub where it has them,
 * else they begin with skerry_edge_: docs/protocols/edge-runtime.md, section 5.12. */
#include "edge/hub/parts.h"

/* Azure's edge hub calls the cloud's endpoint so, and gives routes without a priority this one. */
#define CLOUD "iothub"
#define NO_PRIORITY "2000000000"

/* ---- one sample ---- */

/* Name and the labels that all have; the caller goes on with more of them, and put_value(). */
static void put_sample(struct sk_buffer *to, const struct sk_edge_hub *hub, const char *name) {
    sk_buffer_print(to, "%s{iothub=", name);
    sk_json_string(to, sk_span_z(hub->options->hub_host_name));
    sk_buffer_text(to, ",edge_device=");
    sk_json_string(to, sk_span_z(hub->options->device_id));
    sk_buffer_print(to, ",instance_number=\"%s\"", hub->instance);
}

static void put_label(struct sk_buffer *to, const char *name, const char *value) {
    sk_buffer_print(to, ",%s=", name);
    sk_json_string(to, sk_span_z(value));
}

static void put_value(struct sk_buffer *to, uint64_t value) {
    sk_buffer_print(to, "} %llu\n", (unsigned long long)value);
}

/* ---- of the edge hub ---- */

static void put_totals(struct sk_buffer *to, const struct sk_edge_hub *hub) {
    struct sk_edge_hub_counts c = sk_edge_hub_counts(hub);
    const struct {
        const char *name, *type, *help, *label, *value;
        uint64_t n;
    } rows[] = {
        {"skerry_edge_messages_received_total", "counter", "Messages taken.", NULL, NULL,
         c.received_total},
        {"edgehub_messages_sent_total", "counter", "Messages acknowledged by who got them.", "to",
         "upstream", c.forwarded_total},
        {"edgehub_messages_sent_total", NULL, NULL, "to", "modules", c.delivered_total},
        {"edgehub_messages_dropped_total", "counter", "Messages that went to nobody.", "reason",
         "no_route", c.dropped_total},
        {"edgehub_messages_dropped_total", NULL, NULL, "reason", "ttl_expiry", c.expired_total},
        {"edgehub_messages_dropped_total", NULL, NULL, "reason", "store_full", c.shed_total},
        {"edgehub_messages_dropped_total", NULL, NULL, "reason", "given_up", c.given_up_total},
        {"edgehub_messages_unack_total", "counter", "Messages refused.", "reason",
         "storage_failure", c.full_total},
        {"edgehub_offline_count_total", "counter", "How often the cloud was lost.", "id",
         hub->self->key, hub->offline_total},
        {"edgehub_connected_clients", "gauge", "Clients.", NULL, NULL, c.clients},
        {"skerry_edge_scope_readings_total", "counter", "Readings of the scope.", NULL, NULL,
         c.scope_readings_total},
        {"skerry_edge_identities", "gauge", "Who may connect.", NULL, NULL, c.identities},
        {"skerry_edge_upstream_connected", "gauge", "Whether the cloud is there.", NULL, NULL,
         c.upstream_connected},
        {"skerry_edge_store_bytes", "gauge", "What messages take on the disk.", NULL, NULL,
         sk_log_bytes(hub->log)}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].type) sk_metric_put_name(to, rows[i].name, rows[i].type, rows[i].help);
        put_sample(to, hub, rows[i].name);
        if (rows[i].label) put_label(to, rows[i].label, rows[i].value);
        put_value(to, rows[i].n);
    }
}

/* ---- of each client ---- */

static void put_clients(struct sk_buffer *to, const struct sk_edge_hub *hub) {
#define TALLY(field) offsetof(struct sk_edge_tally, field)
    static const struct {
        const char *name, *help, *label, *value;
        size_t at;
    } rows[] = {
        {"edgehub_messages_received_total", "Messages taken of a client.", "route_output", "",
         TALLY(received)},
        {"edgehub_client_connect_success_total", "How often it came.", NULL, NULL, TALLY(connects)},
        {"edgehub_client_disconnect_total", "How often it left.", NULL, NULL, TALLY(disconnects)},
        {"edgehub_gettwin_total", "Twins given to it.", "source", "upstream",
         TALLY(twins_from_cloud)},
        {"edgehub_gettwin_total", NULL, "source", "edge_hub", TALLY(twins_from_copy)},
        {"edgehub_reported_properties_total", "Reports taken of it.", "target", "edge_hub",
         TALLY(reports)}};
    const struct sk_edge_identity *identity;
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        if (rows[r].help) sk_metric_put_name(to, rows[r].name, "counter", rows[r].help);
        for (size_t i = 0; (identity = sk_map_next(&hub->identities, &i, NULL)) != NULL;) {
            uint64_t value;
            memcpy(&value, (const char *)&identity->tally + rows[r].at, sizeof value);
            if (value == 0) continue;
            put_sample(to, hub, rows[r].name);
            put_label(to, "id", identity->key);
            if (rows[r].label) put_label(to, rows[r].label, rows[r].value);
            put_value(to, value);
        }
    }
#undef TALLY
}

/* ---- of each queue ---- */

static void put_queue_labels(struct sk_buffer *to, const struct sk_edge_queue *q) {
    char priority[2] = {(char)('0' + q->priority), 0};
    put_label(to, "endpoint", q->endpoint->device ? q->endpoint->name : CLOUD);
    put_label(to, "priority", q->priority < SK_EDGE_NO_PRIORITY ? priority : NO_PRIORITY);
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
            put_value(to, total(hub, i, rows[r].of, rows[r].greatest));
        }
    }
}

void sk_edge_hub_put_metrics(const struct sk_edge_hub *hub, struct sk_buffer *to) {
    put_totals(to, hub);
    put_clients(to, hub);
    put_queues(to, hub);
}
