#include "hub/events/partitions.h"

#include <stdio.h>

#include "model/message.h"
#include "model/json_text.h"

enum { PROBE_RECORDS = 4096 };

#define KIND SK_SPAN("partitions")
#define KEY SK_SPAN("counts")

struct partition {
    uint64_t next;          /* number */
    uint64_t last_number;   /* of the durable ones */
    uint64_t last_sequence; /* likewise; 0: there is none */
    uint64_t timed;         /* the sequence that last_us belongs to */
    int64_t last_us;
    uint64_t first_sequence; /* at or before the first event that is kept */
};

struct sk_partitions {
    struct sk_registry *registry;
    struct sk_log *log;
    int64_t created_us;
    uint64_t position; /* all records below are counted in the document */
    bool changed;
    unsigned count;
    struct partition partition[SK_PARTITIONS_MAX];
};

uint64_t sk_event_number(const struct sk_message *message) {
    int64_t number = 0;
    sk_span_to_int(message->system[SK_SYS_SEQUENCE_NUMBER], &number);
    return number < 0 ? 0 : (uint64_t)number;
}

/* The partition's first event at or after a sequence and before `end`, `*at`. False: none among the
 * next PROBE_RECORDS of the log; `*at` is then behind what was looked at. */
static bool first_event(struct sk_partitions *p, unsigned partition, uint64_t sequence,
                        uint64_t end, uint64_t *at, int64_t *wall_us, uint64_t *number) {
    struct sk_cursor *cursor;
    struct sk_record record;
    struct sk_arena arena = {0};
    struct sk_message message;
    enum sk_status status;
    bool found = false;
    *at = sequence;
    if (sk_cursor_open(p->log, NULL, UINT64_MAX, sequence, NULL, NULL, &cursor)) return false;
    for (int i = 0; i < PROBE_RECORDS && !found; i++) {
        status = sk_cursor_next(cursor, &record);
        if (status == SK_NOT_FOUND) continue;
        if (status || record.sequence >= end) break;
        *at = record.sequence + 1;
        if (!(record.routes & sk_partition_route(partition))) continue;
        found = sk_message_decode(record.body, &arena, &message) == SK_OK;
        if (!found) continue;
        *at = record.sequence;
        *wall_us = record.wall_us;
        *number = sk_event_number(&message);
    }
    sk_cursor_close(cursor);
    sk_arena_free(&arena);
    return found;
}

/* ---- the document ---- */

void sk_partitions_save(struct sk_partitions *p) {
    if (!p->changed) return;
    p->position = sk_log_next_sequence(p->log);
    json_t *counts = json_array();
    for (unsigned i = 0; i < p->count; i++) {
        const struct partition *one = &p->partition[i];
        json_array_append_new(counts, json_pack("[I,I,I]", (json_int_t)one->next,
                                                (json_int_t)one->last_number,
                                                (json_int_t)one->last_sequence));
    }
    json_t *document = json_pack("{s:I,s:I,s:o}", "created", (json_int_t)p->created_us, "position",
                                 (json_int_t)p->position, "partitions", counts);
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    /* Not saved: the next start reads more of the log. */
    sk_registry_document_put(p->registry, KIND, KEY, sk_span_z(text), NULL, NULL);
    json_decref(document);
    p->changed = false;
}

static uint64_t whole(const json_t *array, size_t i) {
    return (uint64_t)json_integer_value(json_array_get(array, i));
}

/* SK_INVALID: more partitions than configured. */
static enum sk_status read_document(struct sk_partitions *p, size_t *had) {
    struct sk_buffer bytes = {0};
    enum sk_status status = sk_registry_document_load(p->registry, KIND, KEY, &bytes);
    *had = 0;
    if (status == SK_OK) {
        json_t *document = json_loadb(bytes.p, bytes.n, 0, NULL);
        const json_t *counts = json_object_get(document, "partitions");
        p->position = (uint64_t)json_integer_value(json_object_get(document, "position"));
        p->created_us = json_integer_value(json_object_get(document, "created"));
        *had = json_array_size(counts);
        for (size_t i = 0; i < *had && i < p->count; i++) {
            const json_t *one = json_array_get(counts, i);
            p->partition[i].next = whole(one, 0);
            p->partition[i].last_number = whole(one, 1);
            p->partition[i].last_sequence = whole(one, 2);
        }
        json_decref(document);
    }
    sk_buffer_free(&bytes);
    if (status == SK_NOT_FOUND) return SK_OK;
    return !status && *had > p->count ? SK_INVALID : status;
}

uint64_t sk_partitions_position(const struct sk_partitions *p) {
    return p->position;
}

void sk_partitions_seen(struct sk_partitions *p, const struct sk_record *record,
                        const struct sk_message *message) {
    for (unsigned i = 0; i < p->count; i++) {
        if (!(record->routes & sk_partition_route(i))) continue;
        struct partition *one = &p->partition[i];
        one->last_number = sk_event_number(message);
        one->last_sequence = record->sequence;
        if (one->next <= one->last_number) one->next = one->last_number + 1;
    }
    p->changed = true;
}

enum sk_status sk_partitions_open(struct sk_io *io, struct sk_registry *registry,
                                  struct sk_log *log, unsigned count, struct sk_partitions **opened,
                                  char reason[512]) {
    struct sk_partitions *p = SK_NEW(struct sk_partitions);
    size_t had;
    p->registry = registry;
    p->log = log;
    p->count = count;
    p->created_us = sk_io_wall(io);
    enum sk_status status = read_document(p, &had);
    if (status == SK_INVALID)
        snprintf(reason, 512,
                 "the hub has %zu partitions and events in all of them: set partitions = %zu", had,
                 had);
    if (status && status != SK_INVALID)
        snprintf(reason, 512, "cannot read the partitions' counts: %s", sk_status_text(status));
    if (status) {
        sk_partitions_free(p);
        return status;
    }
    p->changed = had != count;
    *opened = p;
    return SK_OK;
}

void sk_partitions_free(struct sk_partitions *p) {
    free(p);
}

/* ---- counting ---- */

int64_t sk_partitions_created(const struct sk_partitions *p) {
    return p->created_us;
}

unsigned sk_partitions_count(const struct sk_partitions *p) {
    return p->count;
}

unsigned sk_partition_of(const struct sk_partitions *p, struct sk_span key) {
    return sk_crc32c(0, key) % p->count;
}

uint64_t sk_partition_next(const struct sk_partitions *p, unsigned partition) {
    return p->partition[partition].next;
}

void sk_partition_take(struct sk_partitions *p, unsigned partition) {
    p->partition[partition].next++;
}

void sk_partition_stored(struct sk_partitions *p, unsigned partition, uint64_t number,
                         uint64_t sequence) {
    SK_ASSERT(sequence > p->partition[partition].last_sequence);
    SK_ASSERT(number < p->partition[partition].next);
    p->partition[partition].last_number = number;
    p->partition[partition].last_sequence = sequence;
    p->changed = true;
}

/* ---- looking ---- */

void sk_partition_newest(struct sk_partitions *p, unsigned partition, struct sk_events_info *info) {
    struct partition *one = &p->partition[partition];
    uint64_t at, number;
    if (one->last_sequence && one->timed != one->last_sequence) {
        if (!first_event(p, partition, one->last_sequence, one->last_sequence + 1, &at,
                         &one->last_us, &number))
            one->last_us = 0; /* retention was faster */
        one->timed = one->last_sequence;
    }
    info->last_number = one->last_sequence ? (int64_t)one->last_number : -1;
    info->last_offset = one->last_sequence;
    info->last_enqueued_us = one->last_us;
}

void sk_partition_info(struct sk_partitions *p, unsigned partition, struct sk_events_info *info) {
    struct partition *one = &p->partition[partition];
    int64_t wall_us;
    uint64_t number;
    sk_partition_newest(p, partition, info);
    info->empty = one->last_sequence < sk_log_first_sequence(p->log);
    info->first_number = (int64_t)one->next;
    if (info->empty) {
        if (one->last_sequence == 0) info->first_number = 0;
        return;
    }
    if (one->first_sequence < sk_log_first_sequence(p->log))
        one->first_sequence = sk_log_first_sequence(p->log);
    /* In steps: a partition may have been silent for long. */
    for (uint64_t before = 0; one->first_sequence > before;) {
        before = one->first_sequence;
        if (first_event(p, partition, before, one->last_sequence + 1, &one->first_sequence,
                        &wall_us, &number)) {
            info->first_number = (int64_t)number;
            return;
        }
    }
}

uint64_t sk_partition_find(struct sk_partitions *p, unsigned partition, uint64_t number) {
    const struct partition *one = &p->partition[partition];
    uint64_t low = sk_log_first_sequence(p->log), high = one->last_sequence;
    if (number > one->last_number) return one->last_sequence + 1;
    /* All before `low` have smaller numbers; the one that is looked for is not behind `high`. */
    while (low < high) {
        uint64_t middle = low + (high - low) / 2, at, seen;
        int64_t wall_us;
        if (!first_event(p, partition, middle, high + 1, &at, &wall_us, &seen))
            break; /* few and far between: the reader goes on from here */
        if (seen < number)
            low = at + 1;
        else if (seen == number)
            return at;
        else
            high = middle;
    }
    return low;
}
