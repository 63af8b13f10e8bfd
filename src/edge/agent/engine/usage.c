#include "edge/agent/engine/usage.h"

void sk_usage_clear(struct sk_usage *usage) {
    *usage = (struct sk_usage){SK_NOT_KNOWN, SK_NOT_KNOWN, SK_NOT_KNOWN, SK_NOT_KNOWN,
                               SK_NOT_KNOWN, SK_NOT_KNOWN, SK_NOT_KNOWN, SK_NOT_KNOWN};
}

/* Numbers of an engine may be larger than ours (a limit of 2^64-1 is none). */
static int64_t number(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : SK_NOT_KNOWN;
}

static void add(int64_t *sum, int64_t value) {
    if (value == SK_NOT_KNOWN) return;
    if (*sum == SK_NOT_KNOWN) *sum = 0;
    *sum = value > INT64_MAX - *sum ? INT64_MAX : *sum + value;
}

/* Files that are cached and not in use count for nobody; groups of version 1 and 2 name them
 * differently. */
static void take_memory(const json_t *memory, struct sk_usage *usage) {
    const json_t *details = json_object_get(memory, "stats");
    int64_t cached = number(details, "total_inactive_file");
    if (cached == SK_NOT_KNOWN) cached = number(details, "inactive_file");
    usage->memory = number(memory, "usage");
    if (cached != SK_NOT_KNOWN && cached <= usage->memory) usage->memory -= cached;
    usage->memory_limit = number(memory, "limit");
}

static void take_networks(const json_t *networks, struct sk_usage *usage) {
    const char *name;
    json_t *network;
    json_object_foreach((json_t *)networks, name, network) {
        add(&usage->received, number(network, "rx_bytes"));
        add(&usage->sent, number(network, "tx_bytes"));
    }
}

static void take_disks(const json_t *entries, struct sk_usage *usage) {
    const json_t *entry;
    size_t i;
    json_array_foreach(entries, i, entry) {
        struct sk_span op = sk_span_z(json_string_value(json_object_get(entry, "op")));
        if (sk_span_eq_nocase(op, SK_SPAN("read"))) add(&usage->read, number(entry, "value"));
        if (sk_span_eq_nocase(op, SK_SPAN("write"))) add(&usage->written, number(entry, "value"));
    }
}

void sk_usage_of_stats(const json_t *stats, struct sk_usage *usage) {
    const json_t *cpu = json_object_get(stats, "cpu_stats");
    sk_usage_clear(usage);
    usage->cpu_ns = number(json_object_get(cpu, "cpu_usage"), "total_usage");
    usage->tasks = number(json_object_get(stats, "pids_stats"), "current");
    take_memory(json_object_get(stats, "memory_stats"), usage);
    take_networks(json_object_get(stats, "networks"), usage);
    take_disks(json_object_get(json_object_get(stats, "blkio_stats"), "io_service_bytes_recursive"),
               usage);
}
