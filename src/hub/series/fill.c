/* The log's telemetry into the store, a lot of messages at a time: while there is much to read, a
 * worker flattens them, and devices come first. The log's cursor follows what the store has on
 * disk, so a crash costs nothing but reading again. */
#include "hub/series/parts.h"

#define CURSOR "series"

/* From one large lot to the next: the longer one while the loop is busy for most of its time, as
 * devices come first, unless what waits in the log has waited for long. */
#define PAUSE (1 * SK_MS)
#define LONG_PAUSE (30 * SK_MS)
#define LATE_US (60 * 1000000ll)
enum { LARGE = 16 << 10 }; /* bytes that are worth a worker */

/* What is under way. While a worker has it nobody else looks at it. */
struct filling {
    struct sk_hub *hub;
    struct series *series; /* NULL: it has ended */
    struct series_lot lot;
    bool away;                  /* a worker has it */
    bool late;                  /* what is in it had waited long */
    uint64_t since_ns, busy_ns; /* the last pause, and how long the loop had been busy till then */
};

static void pump(struct series *series);

static void on_task(struct sk_task *task) {
    pump(SK_CONTAINER(task, struct series, task));
}

static void pump_soon(struct series *series) {
    sk_io_yield(series->hub->backend.io, &series->task, on_task);
}

static void on_pause(struct sk_timer *timer) {
    pump(SK_CONTAINER(timer, struct series, pause));
}

static void on_readable(void *arg) {
    pump_soon(arg);
}

/* The log lets go of messages by size whoever has read them: a part of what it may keep is written
 * at a time, and what has gone already, and is in memory still, at once. */
static void write_in_time(struct series *series) {
    const struct sk_hub *hub = series->hub;
    uint64_t most = hub->options->retention_bytes / 8;
    uint64_t position = sk_series_position(series->store);
    if (series->taken == position) return;
    if ((most && series->taken_bytes > most) || sk_log_first_sequence(hub->log) > position) {
        series->taken_bytes = 0;
        sk_series_flush(series->store);
    }
}

static void lost(const struct series *series) {
    SK_SELDOM(SK_LEVEL_WARN, "hub",
              "%s: the log has let go of messages before time series had them: give it more room "
              "(retention_bytes, reserve_bytes)",
              series->hub->options->name);
}

static void put_record(struct series *series, struct series_lot *lot) {
    const struct series_lot_record *record = &lot->records[lot->put];
    size_t event = lot->put ? lot->records[lot->put - 1].events_end : 0;
    for (; event < record->events_end; event++) /* the store counts what it refuses */
        sk_series_add(series->store, &lot->events[event], record->sequence);
    series->refused_total += record->refused;
    series->taken = record->sequence + 1;
    series->taken_bytes += record->n;
    sk_series_reach(series->store, series->taken);
    write_in_time(series);
    lot->put++;
}

/* False: not all of it yet; the store that has moved goes on, or the next turn. */
static bool put(struct series *series, struct series_lot *lot) {
    struct sk_share share;
    sk_share_begin(&share, series->hub->backend.io);
    while (lot->put < lot->count) {
        if (!sk_series_has_room(series->store)) return false;
        if (!sk_share_go_on(&share, 1)) {
            pump_soon(series);
            return false;
        }
        put_record(series, lot);
    }
    return true;
}

static void gather(struct series *series, struct series_lot *lot) {
    struct sk_record record;
    series_lot_begin(lot, &series->flatten);
    while (!series_lot_full(lot)) {
        enum sk_status status = sk_cursor_next(series->cursor, &record);
        if (status == SK_OK) {
            if (lot->count == 0)
                series->filling->late = sk_cursor_age(series->cursor, &record) > LATE_US;
            series_lot_add(lot, &record);
        } else if (status == SK_NOT_FOUND) {
            lost(series);
        } else {
            break;
        }
    }
}

static void on_worker(void *arg) {
    struct filling *filling = arg;
    series_lot_flatten(&filling->lot);
}

static void filling_free(struct filling *filling) {
    series_lot_free(&filling->lot);
    free(filling);
}

static void on_flattened(void *arg) {
    struct filling *filling = arg;
    struct sk_hub *hub = filling->hub;
    filling->away = false;
    if (filling->series)
        pump(filling->series);
    else
        filling_free(filling);
    hub->store_closed(hub);
}

static uint64_t pause_of(struct filling *filling) {
    struct sk_io *io = filling->hub->backend.io;
    uint64_t now = sk_io_now(io), busy_ns = sk_io_counts(io)->turns_ns;
    bool busy = busy_ns - filling->busy_ns > (now - filling->since_ns) / 2;
    filling->since_ns = now;
    filling->busy_ns = busy_ns;
    return busy && !filling->late ? LONG_PAUSE : PAUSE;
}

static void send_away(struct filling *filling) {
    struct sk_io *io = filling->hub->backend.io;
    filling->away = true;
    filling->hub->stores++; /* it is not freed before this has come back */
    sk_timer_start(io, &filling->series->pause, pause_of(filling), on_pause);
    sk_io_work(io, on_worker, on_flattened, filling);
}

static void pump(struct series *series) {
    struct filling *filling = series->filling;
    if (filling == NULL || filling->away || series->hub->closing ||
        sk_timer_running(&series->pause))
        return;
    struct series_lot *lot = &filling->lot;
    while (put(series, lot)) {
        gather(series, lot);
        if (lot->count == 0) {
            series_lot_free(lot);
            break;
        }
        if (lot->bytes.n >= LARGE) {
            send_away(filling);
            break;
        }
        series_lot_flatten(lot);
    }
    write_in_time(series);
}

void series_fill_go_on(struct series *series) {
    if (series->cursor == NULL) return;
    sk_cursor_commit(series->cursor, sk_series_position(series->store));
    pump_soon(series);
}

enum sk_status series_fill_begin(struct series *series) {
    struct sk_hub *hub = series->hub;
    enum sk_status status = sk_cursor_open(hub->log, CURSOR, HUB_TO_INSIDE, UINT64_MAX, on_readable,
                                           series, &series->cursor);
    if (status) return status;
    hub->inside_readers++;
    series->filling = SK_NEW(struct filling);
    series->filling->hub = hub;
    series->filling->series = series;
    uint64_t there = sk_series_position(series->store);
    series->taken = there;
    if (there && sk_log_first_sequence(hub->log) > there) lost(series);
    if (there > sk_log_next_sequence(hub->log))
        SK_WARN("hub", "%s: the log is older than its time series; they go on with what comes",
                hub->options->name);
    else if (there > sk_cursor_committed(series->cursor))
        sk_cursor_seek(series->cursor, there);
    pump_soon(series);
    return SK_OK;
}

void series_fill_end(struct series *series) {
    struct filling *filling = series->filling;
    if (series->cursor == NULL) return;
    series->filling = NULL;
    filling->series = NULL;
    if (!filling->away) filling_free(filling);
    sk_io_undefer(&series->task);
    sk_timer_stop(&series->pause);
    sk_cursor_close(series->cursor);
    series->cursor = NULL;
    series->hub->inside_readers--;
}
