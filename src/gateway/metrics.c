/* What the gateway says about itself in Prometheus text: how the loop is shared. */
#include "gateway/parts.h"
#include "net/metrics.h"

static void put_value(struct sk_buffer *to, const char *name, const char *type, const char *help,
                      uint64_t value) {
    sk_metric_put_name(to, name, type, help);
    sk_buffer_print(to, "%s %llu\n", name, (unsigned long long)value);
}

/* A turn is how long everybody else has to wait. */
static void put_turns(struct sk_buffer *to, const struct sk_io_counts *counts) {
    static const char name[] = "skerry_loop_turn_seconds";
    uint64_t below = 0;
    sk_metric_put_name(to, name, "histogram", "How long the loop's turns take.");
    for (size_t i = 0; i < SK_TURN_BOUNDS; i++) {
        below += counts->turns_within[i];
        sk_buffer_print(to, "%s_bucket{le=\"%g\"} %llu\n", name, sk_turn_bounds_ms[i] / 1000.0,
                        (unsigned long long)below);
    }
    sk_buffer_print(to, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
                    (unsigned long long)counts->turns, name, (double)counts->turns_ns / 1e9, name,
                    (unsigned long long)counts->turns);
    sk_metric_put_name(to, "skerry_loop_turn_longest_seconds", "gauge",
                       "The longest turn since the start.");
    sk_buffer_print(to, "skerry_loop_turn_longest_seconds %.6f\n",
                    (double)counts->longest_ns / 1e9);
}

void sk_gateway_put_metrics(const struct sk_gateway *gateway, struct sk_buffer *to) {
    static const char *const reasons[SK_AWAY_COUNT] = {"connections", "address", "unauthenticated"};
    const struct sk_io_counts *counts = sk_io_counts(gateway->io);
    uint64_t held = 0;
    SK_LIST_EACH(&gateway->connections, node, following) {
        const struct sk_connection *connection = SK_CONTAINER(node, struct sk_connection, link);
        if (connection->stream) held += sk_stream_pending(connection->stream);
    }
    put_turns(to, counts);
    sk_metric_put_name(to, "skerry_connections_turned_away_total", "counter",
                       "Connections turned away, by the limit that was reached.");
    for (size_t i = 0; i < SK_AWAY_COUNT; i++)
        sk_buffer_print(to, "skerry_connections_turned_away_total{limit=\"%s\"} %llu\n", reasons[i],
                        (unsigned long long)counts->turned_away[i]);
    put_value(to, "skerry_connections_unauthenticated", "gauge",
              "Open connections that have not proved who they are.", counts->unproved);
    put_value(to, "skerry_output_held_bytes", "gauge",
              "Answers and deliveries that clients have not read.", held);
}
