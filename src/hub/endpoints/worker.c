/* How an endpoint works: gather a batch, send it, commit what was taken, try again what was not.
 *
 * One batch is under way at a time, and none is begun before the one in front of it has ended, so
 * the order of the log stays. Nothing of a batch outlives a failure: the cursor goes back to what
 * is committed and reads again, and so messages that have become too old meanwhile are seen. */
#include "hub/endpoints/parts.h"

#include <stdarg.h>
#include <stdio.h>

enum { BACK_OFF_FIRST_MS = 200, BACK_OFF_MAX_MS = 60000 };

static struct sk_io *io_of(const struct endpoint *e) {
    return e->hub->backend.io;
}

static void on_task(struct sk_task *task) {
    endpoint_pump(SK_CONTAINER(task, struct endpoint, task));
}

static void pump_soon(struct endpoint *e) {
    sk_io_yield(io_of(e), &e->task, on_task);
}

enum sk_status endpoint_message(const struct endpoint *e, size_t i, struct sk_arena *arena,
                                struct sk_message *message) {
    const struct endpoint_item *item = &e->batch.items[i];
    enum sk_status status =
        sk_message_decode(sk_span(e->batch.bytes.p + item->at, item->n), arena, message);
    message->enqueued_us = item->wall_us;
    message->sequence = item->sequence;
    return status;
}

/* ---- health ---- */

static void set_health(struct endpoint *e, enum endpoint_health health) {
    static const char *const says[] = {
        [ENDPOINT_HEALTHY] = "takes what comes",
        [ENDPOINT_DEGRADED] = "takes messages again",
        [ENDPOINT_UNHEALTHY] = "takes no messages; they wait",
        [ENDPOINT_DEAD] =
            "has taken no messages for longer than they live; they go to the dead letters"};
    if (health == e->health) return;
    bool good = health == ENDPOINT_HEALTHY || health == ENDPOINT_DEGRADED;
    sk_note(good ? SK_LEVEL_INFO : SK_LEVEL_WARN, "hub", "%s: endpoint %s %s%s%s",
            e->hub->options->name, e->options->name, says[health], good ? "" : ": ",
            good ? "" : e->error);
    e->health = health;
}

static void note_failure(struct endpoint *e, const char *why) {
    e->failures++;
    e->counts.failed_total++;
    e->error_us = sk_io_wall(io_of(e));
    snprintf(e->error, sizeof e->error, "%s", why);
    if (e->health != ENDPOINT_DEAD) set_health(e, ENDPOINT_UNHEALTHY);
}

static void note_success(struct endpoint *e) {
    e->failures = 0;
    e->success_us = sk_io_wall(io_of(e));
    if (e->limit < e->options->batch_count) e->limit++;
    if (e->health == ENDPOINT_UNHEALTHY || e->health == ENDPOINT_DEAD)
        set_health(e, ENDPOINT_DEGRADED);
    if (e->health == ENDPOINT_UNKNOWN) set_health(e, ENDPOINT_HEALTHY);
}

/* ---- the batch ---- */

static void clear(struct endpoint *e) {
    e->batch.count = 0;
    sk_buffer_shrink(&e->batch.bytes, 64 * 1024);
    e->batch.bytes.n = 0;
    e->late = false;
}

/* All from what is committed on comes again. */
static void rewind_all(struct endpoint *e) {
    clear(e);
    e->held_ns = e->held_count = 0;
    sk_cursor_seek(e->cursor, sk_cursor_committed(e->cursor));
}

static void add(struct endpoint *e, const struct sk_record *record) {
    struct endpoint_batch *batch = &e->batch;
    if (batch->count == batch->capacity) {
        batch->capacity = batch->capacity ? 2 * batch->capacity : 16;
        batch->items = sk_realloc(batch->items, batch->capacity * sizeof *batch->items);
    }
    batch->items[batch->count++] = (struct endpoint_item){.sequence = record->sequence,
                                                          .wall_us = record->wall_us,
                                                          .at = batch->bytes.n,
                                                          .n = record->body.n};
    sk_buffer_append(&batch->bytes, record->body);
}

static void commit_first(struct endpoint *e, size_t count) {
    if (count) sk_cursor_commit(e->cursor, e->batch.items[count - 1].sequence + 1);
}

static void note_lost(struct endpoint *e) {
    uint64_t lost = sk_cursor_lost(e->cursor);
    if (lost == e->lost) return;
    e->counts.lost_total += lost - e->lost;
    e->lost = lost;
    SK_SELDOM(SK_LEVEL_WARN, "hub",
              "%s: retention by size was faster than endpoint %s: events were lost to it",
              e->hub->options->name, e->options->name);
}

static bool is_full(const struct endpoint *e) {
    return e->batch.count >= e->limit || e->batch.bytes.n >= e->options->batch_bytes;
}

enum gathered { ENOUGH, NO_MORE, LATER };

/* Old records come before young ones, so a batch begins with those that are too old, if there are
 * any; and it has only such then. */
static enum gathered gather(struct endpoint *e) {
    struct sk_record record;
    struct sk_share share;
    sk_share_begin(&share, io_of(e));
    while (!is_full(e)) {
        if (!sk_share_go_on(&share, 1)) return LATER;
        enum sk_status status = sk_cursor_next(e->cursor, &record);
        note_lost(e);
        if (status == SK_NOT_FOUND) continue;
        if (status) return NO_MORE;
        bool old = sk_cursor_age(e->cursor, &record) > (int64_t)e->options->ttl_us;
        if (e->batch.count == 0) e->burying = old;
        if (old != e->burying ||
            (e->batch.count && e->batch.bytes.n + record.body.n > e->options->batch_bytes)) {
            sk_cursor_seek(e->cursor, record.sequence);
            return ENOUGH;
        }
        if (e->batch.count == 0) e->oldest_us = record.wall_us;
        add(e, &record);
    }
    return ENOUGH;
}

/* ---- going on ---- */

static void on_timer(struct sk_timer *timer) {
    struct endpoint *e = SK_CONTAINER(timer, struct endpoint, timer);
    e->late = true;
    endpoint_pump(e);
}

static void wait(struct endpoint *e, uint64_t ns) {
    if (!sk_timer_running(&e->timer)) sk_timer_start(io_of(e), &e->timer, ns, on_timer);
}

static void send_batch(struct endpoint *e) {
    sk_timer_stop(&e->timer);
    e->sending = true;
    if (e->burying) {
        if (e->health == ENDPOINT_UNHEALTHY) set_health(e, ENDPOINT_DEAD);
        endpoint_bury(e, 0, e->batch.count, "it was not delivered within its time to live");
        return;
    }
    e->attempt_us = sk_io_wall(io_of(e));
    e->kind->send(e);
}

static uint64_t flush_at(const struct endpoint *e) {
    return e->held_ns + e->options->file_time_us * 1000;
}

static bool flush_is_due(const struct endpoint *e) {
    return e->held_ns && sk_io_now(io_of(e)) >= flush_at(e);
}

static void flush(struct endpoint *e) {
    sk_timer_stop(&e->timer);
    e->sending = true;
    e->attempt_us = sk_io_wall(io_of(e));
    e->kind->flush(e);
}

static void caught_up(struct endpoint *e) {
    e->late = false;
    e->oldest_us = 0;
    if (e->health == ENDPOINT_DEGRADED) set_health(e, ENDPOINT_HEALTHY);
}

/* What waits, but not for long enough. */
static void wait_for_more(struct endpoint *e) {
    uint64_t now = sk_io_now(io_of(e));
    if (e->held_ns)
        wait(e, flush_at(e) > now ? flush_at(e) - now : 0);
    else if (e->batch.count)
        wait(e, e->options->batch_wait_us * 1000);
    else
        caught_up(e);
}

/* What is held comes before those that are too old, in the order of commits too. */
static void flush_first(struct endpoint *e) {
    sk_cursor_seek(e->cursor, e->batch.items[0].sequence);
    clear(e);
    flush(e);
}

void endpoint_pump(struct endpoint *e) {
    if (e->sending || e->stopped || (e->failures && sk_timer_running(&e->timer))) return;
    if (flush_is_due(e) && e->batch.count == 0) {
        flush(e);
        return;
    }
    enum gathered gathered = gather(e);
    /* A kind that holds what it gets does the waiting. */
    bool send_now = gathered == ENOUGH || e->late || e->kind->flush || e->burying;
    if (e->batch.count && e->burying && e->held_ns)
        flush_first(e);
    else if (e->batch.count && gathered != LATER && send_now)
        send_batch(e);
    else if (gathered == LATER)
        pump_soon(e);
    else
        wait_for_more(e);
}

void endpoint_readable(void *arg) {
    endpoint_pump(arg);
}

/* ---- how it ended ---- */

static void back_off(struct endpoint *e) {
    uint64_t ms = BACK_OFF_MAX_MS, chance;
    unsigned doubled = e->failures ? e->failures - 1 : 0;
    if (doubled < 9 && (uint64_t)BACK_OFF_FIRST_MS << doubled < ms)
        ms = (uint64_t)BACK_OFF_FIRST_MS << doubled;
    sk_io_random(io_of(e), &chance, sizeof chance);
    sk_timer_stop(&e->timer);
    wait(e, (ms / 2 + chance % (ms / 2 + 1)) * SK_MS);
}

static void sent(struct endpoint *e) {
    e->counts.delivered_total += e->held_count + e->batch.count;
    commit_first(e, e->batch.count);
    if (e->batch.count == 0) /* what was held is for good: all that the cursor has given out */
        sk_cursor_commit(e->cursor, sk_cursor_position(e->cursor));
    e->held_ns = e->held_count = 0;
    note_success(e);
    clear(e);
    pump_soon(e);
}

static void held(struct endpoint *e) {
    if (e->held_ns == 0) e->held_ns = sk_io_now(io_of(e));
    e->held_count += e->batch.count;
    clear(e);
    pump_soon(e);
}

/* A batch of several may hold one that is refused: halves find it. */
static void refused(struct endpoint *e, size_t done, const char *why) {
    size_t left = e->batch.count - done;
    if (left == 1) {
        e->sending = true;
        endpoint_bury(e, done, 1, why);
        return;
    }
    e->limit = left / 2;
    rewind_all(e);
    pump_soon(e);
}

/* What a peer has said may be any bytes, and the end may be cut within a letter; documents and logs
 * want text. */
static void make_text(char *why) {
    for (struct sk_span rest = sk_span_z(why); rest.n;) {
        size_t length = sk_utf8_length(rest);
        char *c = why + (rest.p - why);
        if (length == 0 || (unsigned char)*c < ' ') *c = '?';
        rest = sk_span_skip(rest, length ? length : 1);
    }
}

void endpoint_ended(struct endpoint *e, enum endpoint_end end, size_t done, const char *format,
                    ...) {
    char why[sizeof e->error] = "";
    SK_ASSERT(e->sending && done <= e->batch.count);
    e->sending = false;
    if (format) {
        va_list args;
        va_start(args, format);
        vsnprintf(why, sizeof why, format, args);
        va_end(args);
        make_text(why);
    }
    if (end == ENDPOINT_SENT) {
        sent(e);
        return;
    }
    if (end == ENDPOINT_HELD) {
        held(e);
        return;
    }
    commit_first(e, done);
    e->counts.delivered_total += done;
    if (end == ENDPOINT_REFUSED) {
        refused(e, done, why);
        return;
    }
    note_failure(e, why);
    rewind_all(e);
    back_off(e);
}

/* The batch, or the first that was refused, is with the dead letters. */
void endpoint_buried(struct endpoint *e, enum sk_status status) {
    size_t count = e->burying ? e->batch.count : 1;
    e->sending = false;
    if (status) {
        char why[120];
        snprintf(why, sizeof why, "dead letters cannot be written: %s", sk_status_text(status));
        note_failure(e, why);
        rewind_all(e);
        back_off(e);
        return;
    }
    e->counts.dead_total += count;
    commit_first(e, e->batch.count);
    e->burying = false;
    clear(e);
    pump_soon(e);
}

void endpoint_stop(struct endpoint *e) {
    sk_timer_stop(&e->timer);
    sk_io_undefer(&e->task);
    e->stopped = true; /* what the kind still says is not heard */
    e->kind->close(e);
    if (e->dying == 0) e->sending = false;
}

void endpoint_restart(struct endpoint *e) {
    e->stopped = false;
    e->failures = 0;
    e->limit = e->options->batch_count;
    if (!e->sending) rewind_all(e);
    pump_soon(e);
}
