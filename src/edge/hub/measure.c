/* What is measured, apart for each set of labels: a series. Texts that clients choose are among the
 * labels, so there are so many series of a metric and no more; who comes later shares one. */
#include "edge/hub/parts.h"

enum { SERIES_MAX = 512 /* of a metric */ };

static const struct sk_edge_metric_kind kinds[SK_EDGE_METRIC_COUNT] = {
    [SK_EDGE_RECEIVED] = {"edgehub_messages_received_total",
                          "Messages taken of a client.",
                          SK_EDGE_COUNTER,
                          {"route_output", "id"}},
    [SK_EDGE_SIZE] = {"edgehub_message_size_bytes", "How large they were.", SK_EDGE_BYTES, {"id"}},
    [SK_EDGE_SENT] = {"edgehub_messages_sent_total",
                      "Messages acknowledged by who got them.",
                      SK_EDGE_COUNTER,
                      {"from", "to", "from_route_output", "to_route_input", "priority"}},
    [SK_EDGE_SEND_TIME] = {"edgehub_message_send_duration_seconds",
                           "From handing a message over to its acknowledgement.",
                           SK_EDGE_SECONDS,
                           {"from", "to", "from_route_output", "to_route_input"}},
    [SK_EDGE_PROCESS_TIME] = {"edgehub_message_process_duration_seconds",
                              "From taking a message to its acknowledgement by who got it.",
                              SK_EDGE_SECONDS,
                              {"from", "to", "priority"}},
    [SK_EDGE_DROPPED] = {"edgehub_messages_dropped_total",
                         "Messages that went to nobody.",
                         SK_EDGE_COUNTER,
                         {"reason", "from", "from_route_output"}},
    [SK_EDGE_UNACKED] = {"edgehub_messages_unack_total",
                         "Messages refused.",
                         SK_EDGE_COUNTER,
                         {"reason", "from", "from_route_output"}},
    [SK_EDGE_TWINS] = {"edgehub_gettwin_total",
                       "Twins given to a client.",
                       SK_EDGE_COUNTER,
                       {"source", "id"}},
    [SK_EDGE_TWIN_TIME] = {"edgehub_gettwin_duration_seconds",
                           "How long that took.",
                           SK_EDGE_SECONDS,
                           {"source", "id"}},
    [SK_EDGE_REPORTS] = {"edgehub_reported_properties_total",
                         "Reports taken.",
                         SK_EDGE_COUNTER,
                         {"target", "id"}},
    [SK_EDGE_REPORT_TIME] = {"edgehub_reported_properties_update_duration_seconds",
                             "How long that took.",
                             SK_EDGE_SECONDS,
                             {"target", "id"}},
    [SK_EDGE_METHODS] = {"edgehub_direct_methods_total",
                         "Direct methods called.",
                         SK_EDGE_COUNTER,
                         {"from", "to"}},
    [SK_EDGE_METHOD_TIME] = {"edgehub_direct_method_duration_seconds",
                             "From a call to its answer, or to why there is none.",
                             SK_EDGE_SECONDS,
                             {"from", "to"}},
    [SK_EDGE_CONNECTS] = {"edgehub_client_connect_success_total",
                          "How often a client came.",
                          SK_EDGE_COUNTER,
                          {"id"}},
    [SK_EDGE_CONNECTS_FAILED] = {"edgehub_client_connect_failed_total",
                                 "How often it was not let in.",
                                 SK_EDGE_COUNTER,
                                 {"id", "reason"}},
    [SK_EDGE_DISCONNECTS] = {"edgehub_client_disconnect_total",
                             "How often it left.",
                             SK_EDGE_COUNTER,
                             {"id"}},
    [SK_EDGE_RETRIES] = {"edgehub_operation_retry_total",
                         "What went to the cloud again after a connection had ended.",
                         SK_EDGE_COUNTER,
                         {"id", "operation"}},
    [SK_EDGE_OFFLINE] = {"edgehub_offline_count_total",
                         "How often the cloud was lost.",
                         SK_EDGE_COUNTER,
                         {"id"}},
    [SK_EDGE_OFFLINE_TIME] = {"edgehub_offline_duration_seconds",
                              "For how long, each time.",
                              SK_EDGE_SECONDS,
                              {"id"}},
};

const struct sk_edge_metric_kind *edge_metric_kind(enum sk_edge_metric metric) {
    return &kinds[metric];
}

static unsigned labels_of(enum sk_edge_metric metric) {
    unsigned n = 0;
    while (n < SK_EDGE_LABELS_MAX && kinds[metric].labels[n]) n++;
    return n;
}

static struct sk_edge_series *add(struct sk_edge_measures *measures, enum sk_edge_metric metric,
                                  struct sk_span key) {
    struct sk_edge_series *series = SK_NEW(struct sk_edge_series);
    series->key = sk_span_dup(key);
    if (kinds[metric].type != SK_EDGE_COUNTER) series->summary = SK_NEW(struct sk_summary);
    sk_list_append(&measures->of[metric].list, &series->link);
    measures->of[metric].count++;
    sk_map_put(&measures->series, sk_span(series->key, key.n), series);
    return series;
}

/* A label is as long as an id at most, and has no end within it. */
static void put_key_label(struct sk_buffer *to, struct sk_span label) {
    size_t from = to->n;
    sk_buffer_append(to, sk_span_first(label, 2 * SK_ID_MAX + 1));
    for (char *at; (at = memchr(to->p + from, 0, to->n - from)) != NULL;) *at = '?';
    sk_buffer_byte(to, 0);
}

/* The metric, and each label with its end. */
static void put_key(struct sk_buffer *to, enum sk_edge_metric metric,
                    const struct sk_span *labels) {
    to->n = 0;
    sk_buffer_byte(to, (char)('A' + metric));
    for (unsigned i = 0; i < labels_of(metric); i++)
        put_key_label(to, labels ? labels[i] : SK_SPAN("other"));
}

struct sk_edge_series *edge_series(struct sk_edge_hub *hub, enum sk_edge_metric metric,
                                   const struct sk_span *labels) {
    struct sk_edge_measures *measures = &hub->measures;
    put_key(&measures->key, metric, labels);
    struct sk_edge_series *series = sk_map_get(&measures->series, sk_buffer_span(&measures->key));
    if (series) return series;
    if (measures->of[metric].count < SERIES_MAX - 1)
        return add(measures, metric, sk_buffer_span(&measures->key));
    put_key(&measures->key, metric, NULL);
    series = sk_map_get(&measures->series, sk_buffer_span(&measures->key));
    return series ? series : add(measures, metric, sk_buffer_span(&measures->key));
}

struct sk_edge_series *edge_series_also(struct sk_edge_hub *hub, struct sk_edge_series *series,
                                        unsigned place, enum sk_edge_metric metric,
                                        const struct sk_span *labels) {
    if (series->also[place] == NULL) series->also[place] = edge_series(hub, metric, labels);
    return series->also[place];
}

void edge_count(struct sk_edge_hub *hub, enum sk_edge_metric metric, const struct sk_span *labels) {
    edge_series(hub, metric, labels)->count++;
}

void edge_took(struct sk_edge_hub *hub, enum sk_edge_metric metric, const struct sk_span *labels,
               uint64_t since_ns) {
    sk_summary_add(edge_series(hub, metric, labels)->summary,
                   (sk_io_now(hub->backend.io) - since_ns) / 1000);
}

/* ---- messages ---- */

/* Who it is, as labels have it: a twin's changes are told by the edge hub itself. */
static struct sk_span sender_of(struct sk_edge_hub *hub, const struct sk_message *message,
                                char to[2 * SK_ID_MAX + 2]) {
    if (message->source == SK_SOURCE_TWIN_CHANGES) return sk_span_z(hub->self->key);
    if (message->module.n == 0) return message->device;
    struct sk_span device = sk_span_first(message->device, SK_ID_MAX),
                   module = sk_span_first(message->module, SK_ID_MAX);
    memcpy(to, device.p, device.n);
    to[device.n] = '/';
    memcpy(to + device.n + 1, module.p, module.n);
    return sk_span(to, device.n + 1 + module.n);
}

struct sk_edge_series *edge_count_received(struct sk_edge_hub *hub,
                                           const struct sk_message *message) {
    char id[2 * SK_ID_MAX + 2];
    struct sk_span labels[] = {message->system[SK_SYS_OUTPUT], sender_of(hub, message, id)};
    struct sk_edge_series *series = edge_series(hub, SK_EDGE_RECEIVED, labels);
    series->count++;
    sk_summary_add(edge_series_also(hub, series, 0, SK_EDGE_SIZE, labels + 1)->summary,
                   sk_message_size(message));
    return series;
}

void edge_count_unacked(struct sk_edge_hub *hub, const struct sk_edge_series *received) {
    const char *output = received->key + 1, *id = output + strlen(output) + 1;
    edge_count(hub, SK_EDGE_UNACKED,
               (struct sk_span[]){SK_SPAN("storage_failure"), sk_span_z(id), sk_span_z(output)});
}

void edge_count_dropped(struct sk_edge_hub *hub, const char *reason,
                        const struct sk_message *message) {
    char id[2 * SK_ID_MAX + 2];
    edge_count(hub, SK_EDGE_DROPPED,
               (struct sk_span[]){sk_span_z(reason), sender_of(hub, message, id),
                                  message->system[SK_SYS_OUTPUT]});
}

void edge_count_dropped_record(struct sk_edge_hub *hub, const char *reason,
                               const struct sk_record *record) {
    struct sk_message message;
    struct sk_arena arena = {0};
    if (sk_message_decode(record->body, &arena, &message) == SK_OK)
        edge_count_dropped(hub, reason, &message);
    sk_arena_free(&arena);
}

const char *edge_priority_text(unsigned priority) {
    static const char *const texts[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"};
    return priority < SK_EDGE_NO_PRIORITY ? texts[priority] : "2000000000";
}

/* Where an endpoint is, as labels have it. */
static struct sk_span place_of(const struct sk_edge_endpoint *e, char to[2 * SK_ID_MAX + 2]) {
    const struct sk_message at = {.device = sk_span_z(e->device), .module = sk_span_z(e->module)};
    return e->device ? sender_of(e->hub, &at, to) : SK_SPAN("upstream");
}

void edge_shot_leaves(struct sk_edge_queue *q, struct sk_edge_shot *shot,
                      const struct sk_message *message) {
    struct sk_edge_hub *hub = q->endpoint->hub;
    char from[2 * SK_ID_MAX + 2], to[2 * SK_ID_MAX + 2];
    struct sk_span labels[] = {sender_of(hub, message, from), place_of(q->endpoint, to),
                               message->system[SK_SYS_OUTPUT], sk_span_z(q->endpoint->input),
                               sk_span_z(edge_priority_text(q->priority))};
    shot->way = edge_series(hub, SK_EDGE_SENT, labels);
    edge_series_also(hub, shot->way, 0, SK_EDGE_SEND_TIME, labels);
    labels[2] = labels[4];
    edge_series_also(hub, shot->way, 1, SK_EDGE_PROCESS_TIME, labels);
    shot->sent_ns = (int64_t)sk_io_now(hub->backend.io);
}

void edge_shot_arrived(const struct sk_edge_hub *hub, const struct sk_edge_shot *shot) {
    int64_t now = (int64_t)sk_io_now(hub->backend.io);
    if (shot->way == NULL) return;
    shot->way->count++;
    sk_summary_add(shot->way->also[0]->summary, (uint64_t)(now - shot->sent_ns) / 1000);
    sk_summary_add(shot->way->also[1]->summary, (uint64_t)(now - shot->born_ns) / 1000);
}

/* ---- life ---- */

void edge_measures_init(struct sk_edge_measures *measures) {
    for (size_t i = 0; i < SK_EDGE_METRIC_COUNT; i++) sk_list_init(&measures->of[i].list);
}

void edge_measures_free(struct sk_edge_measures *measures) {
    for (size_t i = 0; i < SK_EDGE_METRIC_COUNT; i++)
        SK_LIST_EACH(&measures->of[i].list, node, following) {
            struct sk_edge_series *series = SK_CONTAINER(node, struct sk_edge_series, link);
            free(series->key);
            free(series->summary);
            free(series);
        }
    sk_map_free(&measures->series);
    sk_buffer_free(&measures->key);
}
