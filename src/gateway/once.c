#include "gateway/once.h"
#include "model/json_text.h"

#include <stdio.h>

#define KIND SK_SPAN("once")
#define KEY SK_SPAN("senders")

/* What one queue of an edge has sent of one device or module. */
struct sender {
    char *key;       /* "device" or "device/module", and "|<queue>" where it is named */
    uint64_t epoch;  /* hash of its text */
    uint64_t stored; /* highest durable number */
    uint64_t taken;  /* highest number given to the log */
};

struct sk_once {
    struct sk_registry *registry;
    struct sk_log *log;
    struct sk_map senders;
    uint64_t position; /* all records below are in the document */
    bool changed;
};

struct number {
    struct sk_span queue; /* its text; empty: the only one, or the first */
    uint64_t epoch, sequence;
};

/* "<epoch>:<sequence>" or "<epoch>/<queue>:<sequence>" */
static bool read_number(struct sk_span text, struct number *number) {
    enum { QUEUE_MAX = 8 };
    size_t colon = sk_span_find(text, ':');
    struct sk_span store = sk_span_first(text, colon);
    size_t slash = sk_span_find(store, '/');
    int64_t value;
    number->queue = sk_span_skip(store, slash + 1);
    if (colon == text.n || number->queue.n > QUEUE_MAX ||
        sk_span_to_int(sk_span_skip(text, colon + 1), &value) || value < 1)
        return false;
    number->epoch = sk_fnv1a(SK_FNV1A, sk_span_first(store, slash));
    number->sequence = (uint64_t)value;
    return true;
}

static struct sender *get_sender(struct sk_once *once, struct sk_span key) {
    struct sender *sender = sk_map_get(&once->senders, key);
    if (sender) return sender;
    sender = SK_NEW(struct sender);
    sender->key = sk_span_dup(key);
    sk_map_put(&once->senders, sk_span_z(sender->key), sender);
    return sender;
}

static struct sender *sender_of(struct sk_once *once, struct sk_span device, struct sk_span module,
                                const struct number *number) {
    char key[2 * 128 + 12];
    int n = snprintf(key, sizeof key, "%.*s%s%.*s%s%.*s", SK_ARG(device), module.n ? "/" : "",
                     SK_ARG(module), number->queue.n ? "|" : "", SK_ARG(number->queue));
    return get_sender(once, sk_span(key, (size_t)n));
}

static void remember(struct sender *sender, uint64_t epoch, uint64_t sequence) {
    if (sender->epoch != epoch) { /* the edge's store was made anew: it counts from the start */
        sender->epoch = epoch;
        sender->stored = sender->taken = 0;
    }
    if (sequence > sender->stored) sender->stored = sequence;
    if (sequence > sender->taken) sender->taken = sequence;
}

/* ---- the document ---- */

void sk_once_save(struct sk_once *once, uint64_t behind) {
    uint64_t position = sk_log_next_sequence(once->log);
    if (!once->changed && position - once->position <= behind) return;
    once->position = position;
    json_t *senders = json_object();
    struct sender *sender;
    for (size_t i = 0; (sender = sk_map_next(&once->senders, &i, NULL)) != NULL;)
        json_object_set_new(
            senders, sender->key,
            json_pack("[I,I]", (json_int_t)sender->epoch, (json_int_t)sender->stored));
    json_t *document =
        json_pack("{s:I,s:o}", "position", (json_int_t)once->position, "senders", senders);
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    /* Not saved: the next start reads more of the log. */
    sk_registry_document_put(once->registry, KIND, KEY, sk_span_z(text), NULL, NULL);
    json_decref(document);
    once->changed = false;
}

static void read_document(struct sk_once *once) {
    struct sk_buffer bytes = {0};
    if (sk_registry_document_load(once->registry, KIND, KEY, &bytes) == SK_OK) {
        json_t *document = json_loadb(bytes.p, bytes.n, 0, NULL), *entry;
        const char *key;
        once->position = (uint64_t)json_integer_value(json_object_get(document, "position"));
        json_object_foreach(json_object_get(document, "senders"), key, entry) {
            remember(get_sender(once, sk_span_z(key)),
                     (uint64_t)json_integer_value(json_array_get(entry, 0)),
                     (uint64_t)json_integer_value(json_array_get(entry, 1)));
        }
        json_decref(document);
    }
    sk_buffer_free(&bytes);
}

struct sk_once *sk_once_new(struct sk_registry *registry, struct sk_log *log) {
    struct sk_once *once = SK_NEW(struct sk_once);
    once->registry = registry;
    once->log = log;
    read_document(once);
    return once;
}

uint64_t sk_once_position(const struct sk_once *once) {
    return once->position;
}

void sk_once_seen(struct sk_once *once, const struct sk_message *message) {
    struct number number;
    if (read_number(message->system[SK_SYS_EDGE_NUMBER], &number))
        remember(sender_of(once, message->device, message->module, &number), number.epoch,
                 number.sequence);
}

void sk_once_free(struct sk_once *once) {
    struct sender *sender;
    for (size_t i = 0; (sender = sk_map_next(&once->senders, &i, NULL)) != NULL;) {
        free(sender->key);
        free(sender);
    }
    sk_map_free(&once->senders);
    free(once);
}

enum sk_status sk_once_catch_up(struct sk_once *once) {
    struct sk_cursor *cursor;
    struct sk_record record;
    struct sk_message message;
    struct sk_arena arena = {0};
    enum sk_status status =
        sk_cursor_open(once->log, NULL, UINT64_MAX, once->position, NULL, NULL, &cursor);
    if (status) return status;
    while ((status = sk_cursor_next(cursor, &record)) == SK_OK || status == SK_NOT_FOUND) {
        sk_arena_reset(&arena);
        if (status == SK_OK && sk_message_decode(record.body, &arena, &message) == SK_OK)
            sk_once_seen(once, &message);
    }
    sk_cursor_close(cursor);
    sk_arena_free(&arena);
    return status == SK_AGAIN ? SK_OK : status;
}

/* ---- deciding ---- */

bool sk_once_counts(const struct sk_request *request) {
    return request->session && request->message->system[SK_SYS_EDGE_NUMBER].n &&
           (request->who->actor || sk_span_is(sk_span_z(request->who->module), SK_EDGE_HUB_MODULE));
}

enum sk_once_verdict sk_once_check(struct sk_once *once, const struct sk_message *message) {
    struct number number;
    if (!read_number(message->system[SK_SYS_EDGE_NUMBER], &number)) return SK_ONCE_NEW;
    struct sender *sender = sender_of(once, message->device, message->module, &number);
    bool same = sender->epoch == number.epoch;
    if (same && number.sequence <= sender->stored) return SK_ONCE_STORED;
    if (same && number.sequence <= sender->taken) return SK_ONCE_LATER;
    if (!same) remember(sender, number.epoch, 0);
    SK_ASSERT(number.sequence > sender->taken && sender->stored <= sender->taken);
    sender->taken = number.sequence;
    return SK_ONCE_NEW;
}

void sk_once_done(struct sk_once *once, struct sk_span device, struct sk_span module,
                  struct sk_span text, bool stored) {
    struct number number;
    if (!read_number(text, &number)) return;
    struct sender *sender = sender_of(once, device, module, &number);
    if (sender->epoch != number.epoch) return;
    if (!stored) {
        sender->taken = sender->stored; /* it may come again */
        return;
    }
    if (number.sequence > sender->stored) sender->stored = number.sequence;
    once->changed = true;
}
