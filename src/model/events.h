/* The event stream of a hub as its readers see it: partitions, places in them, receivers.
 * Reference: docs/protocols/service-api.md, section 6, "Event Hubs-compatible endpoint". */
#ifndef SK_MODEL_EVENTS_H
#define SK_MODEL_EVENTS_H

#include <limits.h>

#include "base/base.h"

#define SK_PARTITIONS_MAX 32
#define SK_ALL_PARTITIONS UINT_MAX
#define SK_PLAIN_RECEIVERS_MAX 5 /* without an epoch, of one partition in one consumer group */

enum sk_events_from {
    SK_EVENTS_OLDEST,
    SK_EVENTS_LATEST, /* what comes next */
    SK_EVENTS_OFFSET, /* of the whole stream: opaque to readers */
    SK_EVENTS_NUMBER, /* a sequence number of the partition; from 0, without gaps */
    SK_EVENTS_TIME,   /* when it was enqueued, in µs since 1970 */
};

/* Where to begin: behind `value`, or at it. */
struct sk_events_position {
    enum sk_events_from from;
    int64_t value;
    bool inclusive;
};

/* "amqp.annotation.x-opt-offset > '4096'" and its like, and x-opt-enqueuedtimeutc too; spaces
 * and quotes are optional, an empty text means the oldest. SK_MALFORMED. */
enum sk_status sk_events_position_parse(struct sk_span selector,
                                        struct sk_events_position *position);
/* As people and URLs say it: earliest, latest, an offset or an ISO 8601 time; the latter
 * two inclusive. SK_MALFORMED. */
enum sk_status sk_events_position_read(struct sk_span text, struct sk_events_position *position);
void sk_events_position_format(struct sk_buffer *to, const struct sk_events_position *position);

/* What a receiver asks for. */
struct sk_events_ask {
    struct sk_span entity;   /* empty: whatever the hub is called */
    struct sk_span group;    /* empty: nobody's; for people who look in */
    unsigned partition;      /* or SK_ALL_PARTITIONS */
    struct sk_span receiver; /* its name, for the messages to others */
    bool exclusive;          /* with an epoch: alone in its group and partition */
    int64_t epoch;
    struct sk_events_position from;
};

/* A partition, or the whole stream. */
struct sk_events_info {
    struct sk_span entity;
    int64_t created_us;
    unsigned partition_count;
    bool empty;                        /* the partition has no events now */
    int64_t first_number, last_number; /* last_number -1: there never was one */
    uint64_t last_offset;              /* 0: there never was one */
    int64_t last_enqueued_us;          /* 0: not known any more */
};

#endif
