/* Which segments go: by age, by size, and when every cursor has passed. The active segment stays;
 * when all its records are too old a new one is begun, so that it can go too (its sequences must
 * not be given again, hence a segment is always left to tell the next one). */
#include "store/log/segments/parts.h"

static void drop_oldest(struct log *log) {
    struct segment *oldest = log->segments[0];
    struct sk_buffer path = {0};
    segment_path(oldest, &path);
    enum sk_status status = sk_file_remove(log->io, path.p);
    if (status && status != SK_NOT_FOUND)
        SK_WARN("log", "cannot remove %s (%s); recovery will find it again", path.p,
                sk_status_text(status));
    sk_buffer_free(&path);
    memmove(log->segments, log->segments + 1, --log->segment_count * sizeof(struct segment *));
    oldest->dropped = true;
    if (oldest->users == 0) segment_free(oldest);
}

/* The position that every named cursor has durably passed; UINT64_MAX: there is no such cursor. */
static uint64_t passed_by_all(const struct log *log) {
    uint64_t lowest = UINT64_MAX;
    SK_LIST_EACH(&log->checkpoints, node, following) {
        const struct checkpoint *checkpoint = SK_CONTAINER(node, struct checkpoint, link);
        if (checkpoint->durable < lowest) lowest = checkpoint->durable;
    }
    return lowest;
}

/* Whether the newest of a segment's records is too old; `newest_us` as it is stored. */
static bool is_too_old(const struct log *log, const struct segment *segment, int64_t newest_us,
                       int64_t now_us) {
    if (log->options.retention_us == 0 || newest_us == INT64_MIN) return false;
    return now_us - newest_us - segment->shift_us > (int64_t)log->options.retention_us;
}

void log_retain(struct log *log) {
    const struct sk_log_segments_options *options = &log->options;
    int64_t now_us = log_clock(log);
    uint64_t passed = passed_by_all(log), bytes = log_bytes(log),
             room = options->reserve_bytes ? sk_disk_free(log->io, log->folder) : 0;
    while (log->segment_count > 1) {
        const struct segment *oldest = log->segments[0], *next = log->segments[1];
        bool read = passed != UINT64_MAX && next->first <= passed;
        bool too_old = is_too_old(log, oldest, next->floor_us, now_us) &&
                       (!options->keep_unread || passed == UINT64_MAX || read);
        bool too_many = options->retention_bytes && bytes > options->retention_bytes;
        if (!too_old && !too_many && room >= options->reserve_bytes &&
            !(options->retain_until_read && read))
            break;
        bytes -= oldest->end;
        room += oldest->end;
        drop_oldest(log);
    }
    struct segment *active = log_active(log);
    if (active && active->first < log->durable && !log->roll_wanted &&
        is_too_old(log, active, log->durable_wall_us, now_us)) {
        log->roll_wanted = true;
        log_flush_soon(log);
    }
}

static void on_time(struct sk_timer *timer) {
    struct log *log = SK_CONTAINER(timer, struct log, retention_timer);
    log_retain(log);
    log_retention_start(log);
}

void log_retention_start(struct log *log) {
    /* Often enough to be right within a tenth, seldom enough not to matter; and a jump of the clock
     * wants to be seen. */
    uint64_t every_ns = 60 * SK_S;
    if (log->options.retention_us && log->options.retention_us * 100 < every_ns)
        every_ns = log->options.retention_us * 100;
    if (every_ns < SK_S) every_ns = SK_S;
    sk_timer_start(log->io, &log->retention_timer, every_ns, on_time);
}

void log_keep(struct sk_log *seen, const struct sk_log_retention *retention) {
    struct log *log = log_of(seen);
    log->options.retention_us = retention->us;
    log->options.retention_bytes = retention->bytes;
    log->options.reserve_bytes = retention->reserve_bytes;
    log_retain(log);
    log_retention_start(log);
}
