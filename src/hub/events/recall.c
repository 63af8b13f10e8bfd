/* What the hub knows of the events in its log beyond the log: which numbers of edges are stored,
 * how far each partition has come. Both are saved now and then; what has come since is read
 * again at the start. */
#include "gateway/once.h"
#include "hub/events/partitions.h"
#include "hub/parts.h"

#include <stdio.h>

/* What has come since `once` and `partitions` were saved: the log tells. */
static enum sk_status catch_up(struct sk_hub *hub) {
    struct sk_cursor *cursor;
    struct sk_record record;
    struct sk_arena arena = {0};
    uint64_t once = sk_once_position(hub->once),
             partitions = sk_partitions_position(hub->partitions);
    enum sk_status status = sk_cursor_open(
        hub->log, NULL, UINT64_MAX, once < partitions ? once : partitions, NULL, NULL, &cursor);
    if (status) return status;
    while ((status = sk_cursor_next(cursor, &record)) == SK_OK || status == SK_NOT_FOUND) {
        struct sk_message message;
        sk_arena_reset(&arena);
        if (status == SK_NOT_FOUND || sk_message_decode(record.body, &arena, &message)) continue;
        if (record.sequence >= once) sk_once_seen(hub->once, &message);
        if (record.sequence >= partitions) sk_partitions_seen(hub->partitions, &record, &message);
    }
    sk_cursor_close(cursor);
    sk_arena_free(&arena);
    return status == SK_AGAIN ? SK_OK : status;
}

/* What a start would have to read of the log again. */
static void remember(struct sk_timer *timer) {
    enum { EVERY_S = 5, BEHIND = 65536 };
    struct sk_hub *hub = SK_CONTAINER(timer, struct sk_hub, remember);
    sk_once_save(hub->once, BEHIND);
    sk_partitions_save(hub->partitions);
    sk_timer_start(hub->backend.io, timer, EVERY_S * SK_S, remember);
}

static enum sk_status open_both(struct sk_hub *hub, char reason[512]) {
    hub->once = sk_once_new(hub->registry, hub->log);
    enum sk_status status = sk_partitions_open(hub->backend.io, hub->registry, hub->log,
                                               hub->options->partitions, &hub->partitions, reason);
    if (!status && (status = catch_up(hub)) != SK_OK)
        snprintf(reason, 512, "cannot read the event log: %s", sk_status_text(status));
    return status;
}

static void start(struct sk_hub *hub) {
    remember(&hub->remember);
}

static void stop(struct sk_hub *hub) {
    sk_timer_stop(&hub->remember);
    sk_once_save(hub->once, 0);
    sk_partitions_save(hub->partitions);
}

/* Appends that were under way have ended with the log. */
static void free_both(struct sk_hub *hub) {
    if (hub->once) sk_once_free(hub->once);
    sk_partitions_free(hub->partitions);
}

const struct sk_hub_part hub_part_recall = {
    .open = open_both, .start = start, .stop = stop, .free = free_both};
