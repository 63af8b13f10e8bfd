/* What a hub tells of itself: its metrics over time, and its records. Inside src/hub/insights
 * only.
 *
 *   insights.c      takes a sample of what the hub counts, each minute; the part
 *   samples.c       samples of a day
 *   metrics.c       the operations on metrics
 *   record_pages.c  the operation on records */
#ifndef SK_HUB_INSIGHTS_PARTS_H
#define SK_HUB_INSIGHTS_PARTS_H

#include "hub/parts.h"

/* ---- samples.c: numbers, minute by minute, of the last day ----
 *
 * Of each minute only what has changed is kept, a few bytes a number: see
 * docs/decisions/0046-metrics-of-a-day.md. Pure. */

enum {
    SAMPLES_MINUTES = 1440,
    SAMPLES_BYTES_MAX = 96 * 1024, /* then the oldest minutes go earlier */
    SAMPLES_NUMBERS_MAX = 256,     /* that are told apart; others are not kept */
};

/* A number: a metric, or a metric of one of the things that have it. */
struct samples_number {
    const struct sk_hub_metric *row;
    char *of;         /* NULL: it is the hub's */
    uint64_t now;     /* at the last sample */
    uint64_t next;    /* in the sample that is being made, while `there` */
    uint64_t first;   /* of a gauge: before the oldest sample */
    uint64_t sampled; /* with which sample it was there last, counted */
    bool counter, there;
};

struct samples {
    struct samples_number *numbers;
    size_t count, room;
    struct sk_buffer bytes; /* samples, the oldest at `head` */
    size_t head, kept;      /* `kept`: samples */
    uint64_t sampled;       /* samples ever */
    int64_t oldest, newest; /* minutes since 1970; while there are samples */
};

/* A sample of a minute: begin, each number, end. A minute that is not behind the newest one begins
 * anew: the clock was set back. */
void samples_begin(struct samples *samples, int64_t minute);
void samples_put(struct samples *samples, const struct sk_hub_metric *row, const char *of,
                 uint64_t value);
void samples_end(struct samples *samples, int64_t minute);
/* Each sample in order: `values` of all numbers, of a counter what it has grown in the minute. */
typedef void samples_seen(void *arg, int64_t minute, const uint64_t *values);
void samples_each(const struct samples *samples, samples_seen *seen, void *arg);
void samples_free(struct samples *samples);

/* ---- metrics.c, record_pages.c: the operations ---- */

struct insights {
    struct sk_hub *hub;
    struct samples samples;
    struct sk_timer timer;
    int64_t due_us;
    struct sk_list readings; /* of records, that go on in another turn */
};

enum { MINUTE_US = 60000000 };
/* Goes over the metrics of all parts: `row`. */
#define EACH_ROW(hub, row)                                                                         \
    for (size_t part = 0; part < (hub)->part_count; part++)                                        \
        for (const struct sk_hub_metric *row = (hub)->parts[part]->metrics; row && row->name; row++)
/* Whether a row is told of: those that Azure calls otherwise come once, and what has several labels
 * is Prometheus' alone. */
bool insights_row_told(const struct sk_hub *hub, const struct sk_hub_metric *row);
void insights_definitions(struct sk_hub *hub, struct sk_request *request);
void insights_metrics(struct sk_hub *hub, struct sk_request *request);
void insights_records(struct sk_hub *hub, struct sk_request *request);
void insights_refuse_readings(struct insights *insights); /* the hub closes */

#endif
