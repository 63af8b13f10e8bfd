/* How old records are, though the wall clock jumps.
 *
 * A record carries the wall time of its append, and that never goes back. When the clock jumps,
 * the records that are there keep the age they had: each segment carries a shift, what must be
 * added to its times to compare them with the clock of today. Shifts live in memory. After a
 * start times count as they stand, but that nothing is younger than now: a machine without a
 * battery for its clock starts in 1970, with records of last week, and gets the right time
 * later. */
#include "store/log/segments/parts.h"

/* Slower changes are the clock being corrected, and time that the machine has slept. */
#define JUMP_US 60000000

static void shift_all(struct log *log, int64_t us) {
    for (size_t i = 0; i < log->segment_count; i++) log->segments[i]->shift_us += us;
}

/* How far times are ahead of the clock: 0, or less. */
static int64_t lag(const struct log *log, int64_t wall_us) {
    bool behind = log->last_wall_us != INT64_MIN && log->last_wall_us > wall_us + JUMP_US;
    return behind ? wall_us - log->last_wall_us : 0;
}

void log_clock_start(struct log *log) {
    log->clock.wall_us = sk_io_wall(log->io);
    log->clock.ns = sk_io_now(log->io);
    log->clock.durable = log->durable;
    shift_all(log, lag(log, log->clock.wall_us));
}

int64_t log_clock(struct log *log) {
    int64_t wall_us = sk_io_wall(log->io);
    uint64_t ns = sk_io_now(log->io);
    int64_t jump_us = wall_us - log->clock.wall_us - (int64_t)((ns - log->clock.ns) / 1000);
    struct segment *active = log_active(log);
    if (jump_us > JUMP_US || jump_us < -JUMP_US) {
        SK_INFO("log", "the clock has jumped by %lld s; records keep their ages",
                (long long)(jump_us / 1000000));
        shift_all(log, jump_us);
        if (active && active->first < log->durable) { /* what comes now has other times */
            log->roll_wanted = true;
            log_flush_soon(log);
        }
    } else if (active && log->durable != log->clock.durable && lag(log, wall_us)) {
        active->shift_us = lag(log, wall_us); /* its newest record is of just now */
    }
    log->clock.wall_us = wall_us;
    log->clock.ns = ns;
    log->clock.durable = log->durable;
    return wall_us;
}

int64_t log_clock_lag(struct log *log) {
    return lag(log, log_clock(log));
}

int64_t log_age(struct log *log, const struct sk_record *record) {
    int64_t now = log_clock(log), shift_us = 0;
    for (size_t i = log->segment_count; i-- > 0;)
        if (log->segments[i]->first <= record->sequence) {
            shift_us = log->segments[i]->shift_us;
            break;
        }
    return now - record->wall_us - shift_us;
}
