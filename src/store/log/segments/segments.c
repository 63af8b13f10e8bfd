/* What the log's files stand on: its row of segments, and what is to be done soon. */
#include "store/log/segments/parts.h"

uint64_t log_first_sequence(const struct log *log) {
    return log->segment_count ? log->segments[0]->first : log->durable;
}

uint64_t log_bytes(const struct log *log) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < log->segment_count; i++) bytes += log->segments[i]->end;
    return bytes;
}

void log_add_segment(struct log *log, struct segment *segment) {
    if (log->segment_count == log->segment_capacity) {
        log->segment_capacity = log->segment_capacity ? log->segment_capacity * 2 : 16;
        log->segments = sk_realloc(log->segments, log->segment_capacity * sizeof(struct segment *));
    }
    log->segments[log->segment_count++] = segment;
}

size_t log_find_segment(const struct log *log, uint64_t sequence) {
    size_t low = 0,
           high = log->segment_count; /* segments[low]->first <= sequence < segments[high]->first */
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (log->segments[middle]->first <= sequence)
            low = middle;
        else
            high = middle;
    }
    return low;
}

void log_flush_soon(struct log *log) {
    if (!log->is_writing && !sk_timer_running(&log->retry_timer))
        sk_io_defer(log->io, &log->flush_task, log->flush);
}

void log_close_soon(struct log *log) {
    if (log->closing) sk_io_defer(log->io, &log->close_task, log->close);
}
