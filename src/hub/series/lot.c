/* Records of the log, copied, and the events that they become: on any thread, as a lot has all that
 * this takes. */
#include <stdlib.h>

#include "hub/series/parts.h"

enum { RECORDS_MAX = 1024, BYTES_MAX = 256 << 10, ALIGNED = 8 };

void series_lot_begin(struct series_lot *lot, const struct sk_series_flatten_options *flatten) {
    lot->count = lot->put = lot->bytes.n = lot->event_count = 0;
    sk_arena_reset(&lot->arena);
    lot->flatten = (struct sk_series_flatten_options){.id_count = flatten->id_count};
    for (size_t i = 0; i < flatten->id_count; i++)
        lot->flatten.id[i] = sk_arena_copy(&lot->arena, flatten->id[i]);
    lot->flatten.timestamp = sk_arena_copy(&lot->arena, flatten->timestamp);
}

bool series_lot_full(const struct series_lot *lot) {
    return lot->count == RECORDS_MAX || lot->bytes.n >= BYTES_MAX;
}

void series_lot_add(struct series_lot *lot, const struct sk_record *record) {
    if (lot->records == NULL) lot->records = sk_alloc(RECORDS_MAX * sizeof *lot->records);
    size_t padded = (record->body.n + ALIGNED - 1) / ALIGNED * ALIGNED;
    sk_buffer_reserve(&lot->bytes, padded);
    lot->records[lot->count++] = (struct series_lot_record){.sequence = record->sequence,
                                                            .enqueued = record->wall_us / 1000,
                                                            .at = lot->bytes.n,
                                                            .n = record->body.n};
    sk_buffer_append(&lot->bytes, record->body);
    lot->bytes.n += padded - record->body.n;
}

static void on_event(void *arg, const struct sk_series_event *event) {
    struct series_lot *lot = arg;
    if (lot->event_count == lot->event_room) {
        lot->event_room = lot->event_room ? 2 * lot->event_room : 64;
        lot->events = sk_realloc(lot->events, lot->event_room * sizeof *lot->events);
    }
    lot->events[lot->event_count++] = *event;
}

void series_lot_flatten(struct series_lot *lot) {
    for (size_t i = 0; i < lot->count; i++) {
        struct series_lot_record *record = &lot->records[i];
        struct sk_message message;
        record->refused =
            sk_message_decode(sk_span(lot->bytes.p + record->at, record->n), &lot->arena,
                              &message) ||
            sk_series_flatten(&lot->flatten,
                              &(struct sk_series_message){.body = message.body,
                                                          .device_id = message.device,
                                                          .module_id = message.module,
                                                          .enqueued = record->enqueued},
                              &lot->arena, on_event, lot);
        record->events_end = lot->event_count;
    }
}

void series_lot_free(struct series_lot *lot) {
    sk_arena_free(&lot->arena);
    sk_buffer_free(&lot->bytes);
    free(lot->records);
    free(lot->events);
    *lot = (struct series_lot){0};
}
