/* Reading the built-in endpoint: an event source is a cursor without a checkpoint. */
#include "hub/hub_parts.h"

struct source {
    struct sk_event_source source;
    struct sk_cursor *cursor;
    struct sk_arena arena;
};

static enum sk_status next(struct sk_event_source *events, struct sk_message *message) {
    struct source *s = (struct source *)events;
    struct sk_record record;
    enum sk_status status;
    do {
        status = sk_cursor_next(s->cursor, &record);
        if (status == SK_NOT_FOUND) continue; /* retention was faster: go on with the oldest */
        if (status) return status;
        sk_arena_reset(&s->arena);
        status = sk_message_decode(record.body, &s->arena, message);
        if (status)
            SK_ERROR("hub", "record %llu is not a message", (unsigned long long)record.sequence);
    } while (status);
    message->sequence = record.sequence;
    message->enqueued_us = record.wall_us;
    return SK_OK;
}

static void close_source(struct sk_event_source *events) {
    struct source *s = (struct source *)events;
    sk_cursor_close(s->cursor);
    sk_arena_free(&s->arena);
    free(s);
}

static void readable(void *arg) {
    struct source *s = arg;
    if (s->source.readable) s->source.readable(s->source.arg);
}

void sk_hub_watch(struct sk_hub *hub, struct sk_request *request) {
    struct source *s = SK_NEW(struct source);
    s->source.next = next;
    s->source.close = close_source;
    enum sk_status status = sk_cursor_open(hub->log, NULL, SK_HUB_ROUTE_EVENTS,
                                           request->start_sequence, readable, s, &s->cursor);
    if (status) {
        free(s);
        sk_request_refuse(request, sk_fault_of_status(status), NULL);
        return;
    }
    if (request->start_us) sk_cursor_seek_time(s->cursor, request->start_us);
    request->done(request, &(struct sk_answer){.events = &s->source});
}
