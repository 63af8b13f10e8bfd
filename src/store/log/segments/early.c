/* Reading what is on its way to the disk: straight from the batches, for cursors that would rather
 * see a record twice than late.
 *
 * Sequences of records that are not durable yet are not theirs for good: a batch that fails gives
 * them back, and then all that was read early is taken back. Until a batch succeeds again nothing
 * is read early, so that a full disk does not hand on the same message with each attempt. */
#include "store/log/segments/parts.h"

static uint64_t gathering_first(const struct log *log) {
    return log->durable + (log->is_writing ? log->writing.count : 0);
}

uint64_t cursor_end(const struct cursor *cursor) {
    const struct log *log = cursor->log;
    if (!cursor_is_early(cursor) || log->in_doubt) return log->durable;
    return gathering_first(log) + log->gathering.count;
}

bool early_read(struct cursor *cursor, uint64_t sequence, struct sk_record *record) {
    struct log *log = cursor->log;
    struct early *early = &cursor->early;
    uint64_t first = gathering_first(log);
    const struct batch *batch = &log->gathering;
    struct record_header header;
    if (sequence >= cursor_end(cursor)) return false;
    SK_ASSERT(sequence >= log->durable);
    if (sequence < first) {
        first = log->durable;
        batch = &log->writing;
    }
    if (early->batch != first || early->sequence > sequence) {
        early->batch = early->sequence = first;
        early->offset = SEGMENT_HEADER;
    }
    for (;;) {
        const char *at = batch->bytes.p + early->offset;
        SK_ASSERT(early->offset < batch->bytes.n);
        record_header_read(at, &header);
        SK_ASSERT(header.sequence == early->sequence);
        early->offset += record_size(header.length);
        early->sequence++;
        if (header.sequence < sequence) continue;
        *record = (struct sk_record){.sequence = sequence,
                                     .wall_us = header.wall_us,
                                     .routes = header.routes,
                                     .body = sk_span(at + RECORD_HEADER, header.length)};
        return true;
    }
}

void early_keep(struct cursor *cursor, struct sk_record *record) {
    struct sk_buffer *body = &cursor->early.body;
    body->n = 0;
    sk_buffer_append(body, record->body);
    record->body = sk_buffer_span(body);
}

void early_forget(struct cursor *cursor) {
    sk_buffer_free(&cursor->early.body);
}

void early_settle(struct log *log) {
    log->in_doubt = false;
    SK_LIST_EACH(&log->early, node, following)
    cursor_settle(SK_CONTAINER(node, struct cursor, early.link));
}

void early_take_back(struct log *log) {
    log->in_doubt = true;
    SK_LIST_EACH(&log->early, node, following) {
        struct cursor *cursor = SK_CONTAINER(node, struct cursor, early.link);
        cursor->early.sequence = UINT64_MAX;
        if (cursor->done > log->durable) cursor->done = log->durable;
        if (cursor->position <= log->durable) continue;
        cursor->position = log->durable;
        if (cursor->delivered <= log->durable) continue;
        cursor->delivered = log->durable;
        cursor->early.taken_back(cursor->arg, log->durable);
    }
}

void cursor_read_early(struct sk_cursor *seen, void (*taken_back)(void *arg, uint64_t from)) {
    struct cursor *cursor = (struct cursor *)seen;
    SK_ASSERT(taken_back);
    cursor->early.taken_back = taken_back;
    cursor->early.sequence = UINT64_MAX;
    sk_list_remove(&cursor->early.link);
    sk_list_append(&cursor->log->early, &cursor->early.link);
    if (sk_list_empty(&cursor->wait)) return;
    sk_list_remove(&cursor->wait); /* it has seen the end of what is durable */
    sk_list_append(&cursor->log->waiting_early, &cursor->wait);
}
