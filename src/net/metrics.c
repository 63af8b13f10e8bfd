#include "net/metrics.h"

#include "wire/mqtt.h"

void sk_metric_put_name(struct sk_buffer *to, const char *name, const char *type,
                        const char *help) {
    sk_buffer_print(to, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Prometheus knows three escapes, and wants UTF-8. */
static void put_value_of_label(struct sk_buffer *to, const char *value) {
    struct sk_span text = sk_span_z(value);
    bool utf8 = sk_mqtt_utf8_valid(text);
    sk_buffer_byte(to, '"');
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') sk_buffer_byte(to, '\\');
        sk_buffer_byte(to, c < ' ' || (c > 126 && !utf8) ? '?' : (char)c);
    }
    sk_buffer_byte(to, '"');
}

void sk_metric_label(struct sk_buffer *to, const char *name, const char *value) {
    sk_buffer_print(to, ",%s=", name);
    put_value_of_label(to, value);
}

void sk_metric_begin(struct sk_buffer *to, const char *name, const struct sk_metric_edge *edge) {
    sk_buffer_print(to, "%s{iothub=", name);
    put_value_of_label(to, edge->hub_host);
    sk_metric_label(to, "edge_device", edge->device_id);
    sk_metric_label(to, "instance_number", edge->instance);
}

void sk_metric_count(struct sk_buffer *to, uint64_t value) {
    sk_buffer_print(to, "} %llu\n", (unsigned long long)value);
}

void sk_metric_real(struct sk_buffer *to, double value) {
    sk_buffer_print(to, "} %.9g\n", value);
}

/* A value of a summary, up to where a quantile may follow. */
static void begin_part(struct sk_buffer *to, const char *name, const char *part,
                       const struct sk_metric_edge *edge, struct sk_span labels) {
    sk_buffer_text(to, name);
    sk_metric_begin(to, part, edge);
    sk_buffer_append(to, labels);
}

void sk_metric_put_summary(struct sk_buffer *to, const char *name,
                           const struct sk_metric_edge *edge, struct sk_span labels,
                           const struct sk_summary *summary, double unit) {
    static const struct {
        const char *text;
        double share;
    } quantiles[] = {{"0.1", 0.1}, {"0.5", 0.5}, {"0.9", 0.9}, {"0.99", 0.99}};
    if (summary->count == 0) return;
    for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
        begin_part(to, name, "", edge, labels);
        sk_metric_label(to, "quantile", quantiles[i].text);
        sk_metric_real(to, unit * sk_summary_quantile(summary, quantiles[i].share));
    }
    begin_part(to, name, "_sum", edge, labels);
    sk_metric_real(to, unit * (double)summary->sum);
    begin_part(to, name, "_count", edge, labels);
    sk_metric_count(to, summary->count);
}
