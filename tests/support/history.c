#include "support/history.h"

#include <stdio.h>

struct arrival {
    uint64_t body;
    uint64_t number; /* hash; 0: it has none */
    bool acknowledged;
};

struct sender {
    char *name;
    struct arrival *arrivals;
    size_t arrival_count, arrival_room;
    struct arrival *stored;
    size_t stored_count, stored_room;
};

struct history {
    struct sk_map senders;
    uint64_t *ended; /* sequences */
    size_t ended_count, ended_room;
    bool forgiven;
    char breach[512];
};

struct history *history_new(void) {
    return SK_NEW(struct history);
}

void history_free(struct history *history) {
    struct sender *sender;
    for (size_t i = 0; (sender = sk_map_next(&history->senders, &i, NULL)) != NULL;) {
        free(sender->name);
        free(sender->arrivals);
        free(sender->stored);
        free(sender);
    }
    sk_map_free(&history->senders);
    free(history->ended);
    free(history);
}

static struct sender *sender_of(struct history *history, struct sk_span name) {
    struct sender *sender = sk_map_get(&history->senders, name);
    if (sender) return sender;
    sender = SK_NEW(struct sender);
    sender->name = sk_span_dup(name);
    sk_map_put(&history->senders, sk_span_z(sender->name), sender);
    return sender;
}

static struct arrival *add(struct arrival **list, size_t *count, size_t *room, struct sk_span body,
                           struct sk_span number) {
    if (*count == *room) {
        *room = *room ? 2 * *room : 16;
        *list = sk_realloc(*list, *room * sizeof **list);
    }
    struct arrival *one = &(*list)[(*count)++];
    *one = (struct arrival){.body = sk_hash(body), .number = number.n ? sk_hash(number) | 1 : 0};
    return one;
}

size_t history_arrived(struct history *history, struct sk_span sender, struct sk_span body,
                       struct sk_span number) {
    struct sender *s = sender_of(history, sender);
    add(&s->arrivals, &s->arrival_count, &s->arrival_room, body, number);
    return s->arrival_count - 1;
}

void history_acknowledged(struct history *history, struct sk_span sender, size_t arrival) {
    sender_of(history, sender)->arrivals[arrival].acknowledged = true;
}

void history_read_anew(struct history *history) {
    struct sender *sender;
    for (size_t i = 0; (sender = sk_map_next(&history->senders, &i, NULL)) != NULL;)
        sender->stored_count = 0;
}

void history_stored(struct history *history, struct sk_span sender, struct sk_span body,
                    struct sk_span number) {
    struct sender *s = sender_of(history, sender);
    add(&s->stored, &s->stored_count, &s->stored_room, body, number);
}

/* ---- cloud-to-device messages ---- */

static bool has_ended(const struct history *history, uint64_t sequence) {
    for (size_t i = 0; i < history->ended_count; i++)
        if (history->ended[i] == sequence) return true;
    return false;
}

static void break_c2d(struct history *history, uint64_t sequence, const char *how) {
    if (*history->breach) return;
    snprintf(history->breach, sizeof history->breach, "cloud-to-device message %llu has ended %s",
             (unsigned long long)sequence, how);
}

void history_delivered(struct history *history, uint64_t sequence) {
    if (has_ended(history, sequence)) break_c2d(history, sequence, "and was delivered again");
}

void history_ended(struct history *history, uint64_t sequence) {
    if (has_ended(history, sequence)) break_c2d(history, sequence, "twice");
    if (history->ended_count == history->ended_room) {
        history->ended_room = history->ended_room ? 2 * history->ended_room : 16;
        history->ended = sk_realloc(history->ended, history->ended_room * sizeof *history->ended);
    }
    history->ended[history->ended_count++] = sequence;
}

/* ---- telemetry ---- */

static int by_number(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* How often a number is stored more than once. */
static size_t repetitions(const struct sender *s) {
    uint64_t *numbers = sk_alloc((s->stored_count + 1) * sizeof *numbers);
    size_t count = 0, found = 0;
    for (size_t i = 0; i < s->stored_count; i++)
        if (s->stored[i].number) numbers[count++] = s->stored[i].number;
    qsort(numbers, count, sizeof *numbers, by_number);
    for (size_t i = 1; i < count; i++) found += numbers[i] == numbers[i - 1];
    free(numbers);
    return found;
}

static bool is_same(const struct arrival *a, const struct arrival *b) {
    return a->number ? a->number == b->number : a->body == b->body;
}

/* An edge sends a number again until it is acknowledged: the first acknowledgement counts. */
static bool was_acknowledged_before(const struct sender *s, size_t arrival) {
    enum { LOOK_BACK = 4096 };
    const struct arrival *one = &s->arrivals[arrival];
    if (one->number == 0) return false;
    for (size_t i = arrival; i-- > 0 && arrival - i < LOOK_BACK;)
        if (s->arrivals[i].acknowledged && s->arrivals[i].number == one->number) return true;
    return false;
}

/* What was acknowledged must be found in what is stored, one behind the other. */
static void check_sender(struct history *history, const struct sender *s) {
    size_t at = 0, count = 0;
    for (size_t i = 0; i < s->arrival_count; i++) {
        const struct arrival *one = &s->arrivals[i];
        if (!one->acknowledged || was_acknowledged_before(s, i)) continue;
        count++;
        while (at < s->stored_count && !is_same(one, &s->stored[at])) at++;
        if (at++ < s->stored_count) continue;
        bool anywhere = false;
        for (size_t j = 0; j < s->stored_count; j++) anywhere |= is_same(one, &s->stored[j]);
        snprintf(history->breach, sizeof history->breach,
                 "message %zu that was acknowledged to %s (arrival %zu of %zu) is %s; it has %zu",
                 count, s->name, i + 1, s->arrival_count,
                 anywhere ? "stored before one that was acknowledged earlier" : "not stored",
                 s->stored_count);
        return;
    }
    size_t again = repetitions(s);
    if (again)
        snprintf(history->breach, sizeof history->breach,
                 "%zu messages that an edge has numbered for %s are stored again", again, s->name);
}

void history_forgive(struct history *history) {
    history->forgiven = true;
    *history->breach = 0;
}

const char *history_breach(struct history *history) {
    struct sender *sender;
    for (size_t i = 0;
         !history->forgiven && (sender = sk_map_next(&history->senders, &i, NULL)) != NULL;)
        if (*history->breach == 0) check_sender(history, sender);
    return *history->breach ? history->breach : NULL;
}
