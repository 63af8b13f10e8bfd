/* Samples what the hub counts, each minute. */
#include "hub/insights/parts.h"

struct sample {
    struct samples *samples;
    const struct sk_hub_metric *row;
};

static void take(void *arg, const char *of, uint64_t value) {
    const struct sample *sample = arg;
    samples_put(sample->samples, sample->row, of, value);
}

static void sample(struct sk_hub *hub, int64_t minute) {
    struct samples *samples = &hub->insights->samples;
    samples_begin(samples, minute);
    EACH_ROW(hub, row) {
        struct sample sample = {samples, row};
        if (!insights_row_told(hub, row)) continue;
        if (row->each)
            row->each(hub, row, take, &sample);
        else
            take(&sample, NULL, hub->number(hub, row));
    }
    samples_end(samples, minute);
}

/* At the end of each minute by the wall clock. */
static void on_minute(struct sk_timer *timer) {
    struct insights *insights = SK_CONTAINER(timer, struct insights, timer);
    struct sk_hub *hub = insights->hub;
    int64_t now = sk_io_wall(hub->backend.io);
    if (now >= insights->due_us) sample(hub, now / MINUTE_US - 1);
    insights->due_us = (now / MINUTE_US + 1) * MINUTE_US;
    sk_timer_start_at(hub->backend.io, timer, insights->due_us, on_minute);
}

static enum sk_status open_insights(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    hub->insights = SK_NEW(struct insights);
    hub->insights->hub = hub;
    hub->insights->due_us = INT64_MAX;
    sk_list_init(&hub->insights->readings);
    return SK_OK;
}

static void start(struct sk_hub *hub) {
    on_minute(&hub->insights->timer);
}

static void stop(struct sk_hub *hub) {
    sk_timer_stop(&hub->insights->timer);
    insights_refuse_readings(hub->insights);
}

static void free_insights(struct sk_hub *hub) {
    if (hub->insights == NULL) return;
    samples_free(&hub->insights->samples);
    free(hub->insights);
}

const struct sk_hub_part hub_part_insights = {.serve = {[SK_OP_METRIC_LIST] = insights_definitions,
                                                        [SK_OP_METRIC_READ] = insights_metrics,
                                                        [SK_OP_RECORD_LIST] = insights_records},
                                              .open = open_insights,
                                              .start = start,
                                              .stop = stop,
                                              .free = free_insights};
