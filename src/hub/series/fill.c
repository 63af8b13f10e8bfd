/* The log's telemetry into the store. The log's cursor follows what the store has on disk, so a
 * crash costs nothing but reading again. */
#include "hub/series/parts.h"

#define CURSOR "series"

/* Between shares of the loop while there is much to read: devices come first, and the log waits. */
#define PAUSE (8 * SK_MS)

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

struct taking {
    struct series *series;
    uint64_t sequence;
};

static void on_event(void *arg, const struct sk_series_event *event) {
    struct taking *taking = arg;
    sk_series_add(taking->series->store, event, taking->sequence); /* it counts what it refuses */
}

static void take(struct series *series, const struct sk_record *record) {
    struct sk_message message;
    sk_arena_reset(&series->arena);
    if (sk_message_decode(record->body, &series->arena, &message)) return;
    struct taking taking = {series, record->sequence};
    if (sk_series_flatten(&series->flatten,
                          &(struct sk_series_message){.body = message.body,
                                                      .device_id = message.device,
                                                      .module_id = message.module,
                                                      .enqueued = record->wall_us / 1000},
                          &series->arena, on_event, &taking))
        series->refused_total++;
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

static void pump(struct series *series) {
    struct sk_record record;
    struct sk_share share;
    if (series->cursor == NULL || series->hub->closing || sk_timer_running(&series->pause)) return;
    sk_share_begin(&share, series->hub->backend.io);
    while (sk_series_has_room(series->store)) {
        if (!sk_share_go_on(&share, 1)) {
            sk_timer_start(series->hub->backend.io, &series->pause, PAUSE, on_pause);
            return;
        }
        enum sk_status status = sk_cursor_next(series->cursor, &record);
        if (status == SK_NOT_FOUND) {
            lost(series);
            continue;
        }
        if (status) break;
        take(series, &record);
        series->taken = record.sequence + 1;
        series->taken_bytes += record.body.n;
        sk_series_reach(series->store, series->taken);
        write_in_time(series);
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
    if (series->cursor == NULL) return;
    sk_io_undefer(&series->task);
    sk_timer_stop(&series->pause);
    sk_cursor_close(series->cursor);
    series->cursor = NULL;
    series->hub->inside_readers--;
}
