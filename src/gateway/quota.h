/* A tier of IoT Hub, when the hub has one: how often its operations may be asked for, and how many
 * messages it takes a day. One stage of the gateway, between authorisation and chaos; rates and
 * sizes are one table in quota.c. For people: docs/how-to/quotas.md.
 *
 * Rates count over all clients of a hub, an operation's kind by itself. What is asked beyond a rate
 * waits, of tiers that are paid for, for as long as SK_QUOTA_WAIT_S; what would have to wait longer
 * is refused at once, and so is everything beyond the rate of the free one. Who waits keeps his
 * turn: requests of a kind go on in the order in which they came.
 *
 * The day is the UTC one by the wall clock. */
#ifndef SK_GATEWAY_QUOTA_H
#define SK_GATEWAY_QUOTA_H

#include "gateway/gateway.h"

enum sk_tier { SK_TIER_NONE, SK_TIER_F1, SK_TIER_S1, SK_TIER_S2, SK_TIER_S3, SK_TIER_COUNT };

#define SK_QUOTA_WAIT_S 10
#define SK_QUOTA_WAITING_MAX 10000                   /* requests of a hub */
#define SK_QUOTA_WAITING_BYTES_MAX (8 * 1024 * 1024) /* of them, their messages */
#define SK_QUOTA_UNITS_MAX 200                       /* of any tier */

/* How many units of a tier a hub may have. */
unsigned sk_quota_units_max(enum sk_tier tier);

struct sk_quota;
/* The backend must outlive it. It is not the backend's yet: backend->quota. */
struct sk_quota *sk_quota_new(struct sk_backend *backend);
/* Nothing waits any more. NULL is fine. */
void sk_quota_free(struct sk_quota *quota);
/* From now on. SK_TIER_NONE: no limits; what waits goes on. */
void sk_quota_set(struct sk_quota *quota, enum sk_tier tier, unsigned units);
/* The backend closes: refuses what waits; nothing waits any more. */
void sk_quota_stop(struct sk_quota *quota);

/* True: the request was refused here, or waits and will be passed on, or refused. */
bool sk_quota_holds(struct sk_quota *quota, struct sk_request *request);
/* Takes one of a kind for something that is no request and cannot wait. False: nothing was taken;
 * `error` says why, and it counts as refused. */
bool sk_quota_take(struct sk_quota *quota, enum sk_throttle kind, struct sk_error *error);
/* Likewise, for who asks again by himself when these nanoseconds have passed. 0: one was taken. */
uint64_t sk_quota_wait_ns(struct sk_quota *quota, enum sk_throttle kind);

/* Messages of a day (since 1970), for who keeps them over restarts. An older day counts nothing. */
struct sk_quota_day {
    int64_t day;
    uint64_t messages;
};
struct sk_quota_day sk_quota_today(const struct sk_quota *quota);
void sk_quota_restore(struct sk_quota *quota, struct sk_quota_day day);
uint64_t sk_quota_messages_max(const struct sk_quota *quota); /* a day; 0: no limit */
uint64_t sk_quota_devices_max(const struct sk_quota *quota);  /* likewise */

struct sk_quota_counts {
    uint64_t refused[SK_THROTTLE_COUNT], waited[SK_THROTTLE_COUNT];
    uint64_t over_day; /* refused: the day's messages are used up */
    size_t waiting;
};
const struct sk_quota_counts *sk_quota_counts(const struct sk_quota *quota);

/* A tier's rate, for tests and tables: `amount` in `window_s`. */
struct sk_quota_rate {
    uint64_t amount;
    unsigned window_s;
};
struct sk_quota_rate sk_quota_rate(enum sk_tier tier, unsigned units, enum sk_throttle kind);
const char *sk_throttle_name(enum sk_throttle kind);

#endif
