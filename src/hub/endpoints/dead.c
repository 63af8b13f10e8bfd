/* Dead letters: what an endpoint has refused for good, or what became too old before it took it.
 *
 * They are a log of their own for each endpoint, made when the first one comes, in which the
 * oldest go when they take more than `dead_letter_bytes`. A record is a line of JSON that tells
 * why, and the envelope. */
#include "hub/endpoints/parts.h"

#include <stdio.h>

#include "model/json_text.h"

enum { PAGE = 100 };

enum sk_status endpoint_dead_open(struct endpoint *e) {
    char path[1024];
    if (e->dead) return SK_OK;
    snprintf(path, sizeof path, "%s/dead-letters/%s", e->hub->options->data, e->options->name);
    enum sk_status status = sk_folder_make(e->hub->backend.io, path, 0700);
    if (status) return status;
    return e->hub->open_log(e->hub, path, e->options->dead_letter_bytes, &e->dead);
}

static void dead_appended(void *arg, enum sk_status status, uint64_t sequence) {
    struct endpoint *e = arg;
    (void)sequence;
    e->dying_failed |= status != SK_OK;
    if (--e->dying || e->gone) return;
    endpoint_buried(e, e->dying_failed ? SK_IO : SK_OK);
}

static void append(struct endpoint *e, const struct endpoint_item *item, const char *reason) {
    char when[SK_TIME_TEXT];
    sk_time_text(item->wall_us, when);
    json_t *why = json_pack("{s:s,s:s,s:I}", "reason", reason, "enqueuedTimeUtc", when,
                            "sequenceNumber", (json_int_t)item->sequence);
    SK_CLEANUP_FREE char *text = sk_json_text(why);
    struct sk_span parts[] = {sk_span_z(text), SK_SPAN("\n"),
                              sk_span(e->batch.bytes.p + item->at, item->n)};
    if (sk_log_append(e->dead, parts, 3, 1, dead_appended, e))
        e->dying_failed = true;
    else
        e->dying++;
    json_decref(why);
}

void endpoint_bury(struct endpoint *e, size_t from, size_t count, const char *reason) {
    enum sk_status status = endpoint_dead_open(e);
    e->dying_failed = false;
    e->dying = 0;
    for (size_t i = 0; i < count && !status && !e->dying_failed; i++)
        append(e, &e->batch.items[from + i], reason);
    if (e->dying == 0) endpoint_buried(e, status ? status : SK_AGAIN);
}

/* ---- reading ---- */

static json_t *letter_json(const struct sk_record *record, struct sk_arena *arena) {
    size_t line = sk_span_find(record->body, '\n');
    json_t *letter = sk_json_load(sk_span_first(record->body, line), 0, NULL);
    struct sk_message message;
    struct sk_buffer text = {0};
    char when[SK_TIME_TEXT];
    int64_t enqueued_us = 0;
    const json_t *enqueued = json_object_get(letter, "enqueuedTimeUtc");
    if (sk_message_decode(sk_span_skip(record->body, line + 1), arena, &message)) {
        json_decref(letter);
        return NULL;
    }
    sk_time_parse(sk_span_z(json_string_value(enqueued)), &enqueued_us);
    message.enqueued_us = enqueued_us;
    message.sequence = (uint64_t)json_integer_value(json_object_get(letter, "sequenceNumber"));
    sk_message_json(&text, &message);
    sk_time_text(record->wall_us, when);
    json_t *shown = json_pack("{s:O,s:s,s:o}", "reason", json_object_get(letter, "reason"),
                              "deadLetteredTimeUtc", when, "message",
                              sk_json_load(sk_buffer_span(&text), 0, NULL));
    sk_buffer_free(&text);
    json_decref(letter);
    return shown;
}

void endpoint_dead_list(struct endpoint *e, struct sk_request *request) {
    struct sk_cursor *cursor;
    struct sk_record record;
    struct sk_arena arena = {0};
    struct sk_hub_list list = {0};
    int64_t after = 0;
    uint64_t last = 0;
    sk_span_to_int(request->continuation, &after);
    enum sk_status status = endpoint_dead_open(e);
    if (!status)
        status = sk_cursor_open(e->dead, NULL, UINT64_MAX, (uint64_t)(after < 0 ? 0 : after), NULL,
                                NULL, &cursor);
    if (status) {
        sk_request_refuse(request, sk_fault_of_status(status), NULL);
        return;
    }
    while (list.count < PAGE && (status = sk_cursor_next(cursor, &record)) != SK_AGAIN) {
        if (status == SK_NOT_FOUND) continue;
        if (status) break;
        last = record.sequence;
        sk_arena_reset(&arena);
        json_t *letter = letter_json(&record, &arena);
        if (letter) hub_list_add(&list, letter);
        json_decref(letter);
    }
    sk_cursor_close(cursor);
    sk_arena_free(&arena);
    char next[24];
    int n = snprintf(next, sizeof next, "%llu", (unsigned long long)last + 1);
    hub_list_answer(&list, request,
                    &(struct sk_answer){
                        .continuation = list.count == PAGE ? sk_span(next, (size_t)n) : SK_NONE});
}
