/* Partitions of the event stream: which one a sender's events go to, and the number that each
 * event has there.
 *
 * All partitions lie in one log, so that a batch of any of them costs one sync: a record's route
 * bit tells its partition, its sequence in the log is its offset, and its number, which counts
 * without gaps within the partition, is stored with it. What has been counted is a document in
 * the registry, written now and then with the log's position, and brought up to date at the
 * start by reading the log from there. */
#ifndef SK_HUB_EVENTS_PARTITIONS_H
#define SK_HUB_EVENTS_PARTITIONS_H

#include "model/events.h"
#include "model/message.h"
#include "store/log/log.h"
#include "store/registry/registry.h"

struct sk_partitions;

/* Loads the document, before anything else uses the registry; then it wants to see what the log
 * has from its position on, in order. `reason`: one sentence on failure; SK_INVALID: there are
 * events in partitions beyond `count`. */
enum sk_status sk_partitions_open(struct sk_io *io, struct sk_registry *registry,
                                  struct sk_log *log, unsigned count, struct sk_partitions **opened,
                                  char reason[512]);
/* Writes what is known to the registry, if there is news. Not from a callback of the log. */
void sk_partitions_save(struct sk_partitions *partitions);
void sk_partitions_free(struct sk_partitions *partitions);

uint64_t sk_partitions_position(const struct sk_partitions *partitions);
void sk_partitions_seen(struct sk_partitions *partitions, const struct sk_record *record,
                        const struct sk_message *message);

/* When the stream was made. */
int64_t sk_partitions_created(const struct sk_partitions *partitions);
unsigned sk_partitions_count(const struct sk_partitions *partitions);
/* All events of a key (a device id) go to one partition. */
unsigned sk_partition_of(const struct sk_partitions *partitions, struct sk_span key);
/* The number of the next event; taken when that is on its way to the disk. What never arrives there
 * leaves a gap. */
uint64_t sk_partition_next(const struct sk_partitions *partitions, unsigned partition);
void sk_partition_take(struct sk_partitions *partitions, unsigned partition);
/* An event is durable. In the order of the numbers. */
void sk_partition_stored(struct sk_partitions *partitions, unsigned partition, uint64_t number,
                         uint64_t sequence);

/* The last event; cheap. Fills last_…. */
void sk_partition_newest(struct sk_partitions *partitions, unsigned partition,
                         struct sk_events_info *info);
/* Likewise, and the first one that is kept: first_number, empty. */
void sk_partition_info(struct sk_partitions *partitions, unsigned partition,
                       struct sk_events_info *info);
/* A sequence of the log that is not behind the event of this number, or the first one after it;
 * usually close before it. */
uint64_t sk_partition_find(struct sk_partitions *partitions, unsigned partition, uint64_t number);

static inline uint64_t sk_partition_route(unsigned partition) {
    return 1ull << partition;
}
/* Of all of them; the other bits of records are endpoints' (endpoints/bits.c). */
#define SK_PARTITION_ROUTES ((1ull << SK_PARTITIONS_MAX) - 1)
/* Of a stored event. */
uint64_t sk_event_number(const struct sk_message *message);

#endif
