/* How much disk the messages may take, and what goes when that is used up.
 *
 * The limit is on what the store takes, not on what waits: first goes what nobody waits for any
 * more. Then, where the configuration says so, the oldest messages of the lowest priority, but
 * never for one of lower priority than theirs; else the newcomer is refused. */
#include "edge/hub/parts.h"

#include <stdio.h>

enum { AGAIN_S = 1 /* after an attempt that brought nothing */ };

void edge_room_set(struct sk_edge_hub *hub, uint64_t deployment_bytes) {
    uint64_t own = hub->options->store_bytes_max, other = deployment_bytes;
    uint64_t limit = own && (other == 0 || own < other) ? own : other;
    if (limit == hub->room.limit) return;
    hub->room.limit = limit;
    sk_log_limit(hub->log, limit);
    if (limit)
        SK_INFO("edge-hub", "the message store may take %llu bytes", (unsigned long long)limit);
}

static bool fits(const struct sk_edge_hub *hub, size_t bytes) {
    return hub->room.limit == 0 ||
           sk_log_bytes(hub->log) + hub->room.pending + bytes <= hub->room.limit;
}

/* ---- dropping ---- */

/* Where no route leads any more, before all others; then by priority, the lowest first. */
static unsigned rank(const struct sk_edge_queue *q) {
    return q->used ? q->priority : SK_EDGE_NO_PRIORITY + 1;
}

/* The queue that loses a message next, of those that count no more than `least`. */
static struct sk_edge_queue *victim(struct sk_edge_hub *hub, unsigned least, uint64_t spared) {
    struct sk_edge_queue *found = NULL;
    for (size_t i = 0; i < SK_EDGE_QUEUES_MAX; i++) {
        struct sk_edge_queue *q = &hub->queues[i];
        if (q->endpoint == NULL || q->depth == 0 || spared >> i & 1 || rank(q) < least) continue;
        if (found == NULL || rank(q) > rank(found) ||
            (rank(q) == rank(found) && edge_queue_age(q) > edge_queue_age(found)))
            found = q;
    }
    return found;
}

/* A flood drops ten times a second: once a minute says it all. */
static void say_dropped(struct sk_edge_hub *hub) {
    uint64_t now = sk_io_now(hub->backend.io);
    if (now < hub->room.say_ns) return;
    SK_WARN("edge-hub",
            "the message store is full: the %llu oldest messages of the lowest priority were "
            "dropped",
            (unsigned long long)hub->room.unsaid);
    hub->room.unsaid = 0;
    hub->room.say_ns = now + 60 * SK_S;
}

/* Drops so many bytes of messages; false: there are none that may be dropped. */
static bool drop_oldest(struct sk_edge_hub *hub, unsigned least, uint64_t bytes) {
    uint64_t spared = 0, dropped = 0, count = 0;
    struct sk_edge_queue *q;
    while (dropped < bytes && (q = victim(hub, least, spared)) != NULL) {
        size_t size = edge_queue_drop(q);
        if (size == 0) spared |= 1ull << q->bit; /* all that it has is on its way */
        dropped += size;
        count += size > 0;
    }
    if (count == 0) return false;
    hub->counts.shed_total += count;
    hub->room.unsaid += count;
    say_dropped(hub);
    return true;
}

/* ---- making room ---- */

static bool compact(struct sk_edge_hub *hub, size_t bytes) {
    edge_queues_unpeek(hub);
    while (!fits(hub, bytes))
        if (sk_log_compact(hub->log) == 0) return false;
    return true;
}

static unsigned best_priority(const struct sk_edge_hub *hub, uint64_t bits) {
    unsigned best = SK_EDGE_NO_PRIORITY;
    for (; bits; bits &= bits - 1) {
        const struct sk_edge_queue *q = &hub->queues[__builtin_ctzll(bits)];
        if (q->endpoint && q->priority < best) best = q->priority;
    }
    return best;
}

/* A sixteenth at once, so that this is not for each message. */
static bool make_room(struct sk_edge_hub *hub, uint64_t bits, size_t bytes) {
    enum { PARTS = 16 };
    uint64_t now = sk_io_now(hub->backend.io), part = hub->room.limit / PARTS;
    unsigned least = best_priority(hub, bits);
    if (now < hub->room.again_ns && least >= hub->room.again_least) return false;
    if (compact(hub, bytes)) return true;
    if (hub->options->drop_oldest)
        while (drop_oldest(hub, least, part > bytes ? part : bytes))
            if (compact(hub, bytes)) return true;
    hub->room.again_ns = now + AGAIN_S * SK_S;
    hub->room.again_least = least;
    return false;
}

bool edge_room_take(struct sk_edge_hub *hub, uint64_t bits, size_t bytes) {
    bool room = fits(hub, bytes) || make_room(hub, bits, bytes);
    if (!room && !hub->room.full)
        SK_WARN("edge-hub", "the message store is full (%llu bytes): messages are refused",
                (unsigned long long)hub->room.limit);
    hub->room.full = !room;
    if (room) hub->room.pending += bytes;
    return room;
}

void edge_room_taken(struct sk_edge_hub *hub, size_t bytes) {
    SK_ASSERT(hub->room.pending >= bytes);
    hub->room.pending -= bytes;
}
