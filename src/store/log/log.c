/* The calls go to whoever keeps the records. */
#include "store/log/ops.h"

void sk_log_close(struct sk_log *log, void (*closed)(void *arg), void *arg) {
    log->ops->close(log, closed, arg);
}

enum sk_status sk_log_append(struct sk_log *log, const struct sk_span *parts, size_t count,
                             uint64_t routes, sk_log_done *done, void *arg) {
    return log->ops->append(log, parts, count, routes, done, arg);
}

uint64_t sk_log_first_sequence(const struct sk_log *log) {
    return log->ops->first_sequence(log);
}

uint64_t sk_log_next_sequence(const struct sk_log *log) {
    return log->ops->next_sequence(log);
}

int64_t sk_log_passed(const struct sk_log *log) {
    return log->ops->passed(log);
}

uint64_t sk_log_bytes(const struct sk_log *log) {
    return log->ops->bytes(log);
}

enum sk_status sk_cursor_open(struct sk_log *log, const char *name, uint64_t routes, uint64_t from,
                              void (*readable)(void *arg), void *arg, struct sk_cursor **cursor) {
    return log->ops->cursor_open(log, name, routes, from, readable, arg, cursor);
}

enum sk_status sk_cursor_next(struct sk_cursor *cursor, struct sk_record *record) {
    return cursor->ops->next(cursor, record);
}

int64_t sk_cursor_age(struct sk_cursor *cursor, const struct sk_record *record) {
    return cursor->ops->age(cursor, record);
}

uint64_t sk_cursor_lost(const struct sk_cursor *cursor) {
    return cursor->ops->lost(cursor);
}

uint64_t sk_cursor_position(const struct sk_cursor *cursor) {
    return cursor->ops->position(cursor);
}

void sk_cursor_seek(struct sk_cursor *cursor, uint64_t sequence) {
    cursor->ops->seek(cursor, sequence);
}

void sk_cursor_seek_time(struct sk_cursor *cursor, int64_t wall_us) {
    cursor->ops->seek_time(cursor, wall_us);
}

void sk_cursor_commit(struct sk_cursor *cursor, uint64_t sequence) {
    cursor->ops->commit(cursor, sequence);
}

uint64_t sk_cursor_committed(const struct sk_cursor *cursor) {
    return cursor->ops->committed(cursor);
}

void sk_cursor_early(struct sk_cursor *cursor, void (*taken_back)(void *arg, uint64_t from)) {
    cursor->ops->early(cursor, taken_back);
}

void sk_cursor_routes(struct sk_cursor *cursor, uint64_t routes) {
    cursor->ops->routes(cursor, routes);
}

void sk_cursor_close(struct sk_cursor *cursor) {
    if (cursor) cursor->ops->close(cursor);
}

uint64_t sk_log_compact(struct sk_log *log) {
    return log->ops->compact(log);
}

void sk_log_limit(struct sk_log *log, uint64_t bytes) {
    log->ops->limit(log, bytes);
}

void sk_log_keep(struct sk_log *log, const struct sk_log_retention *retention) {
    log->ops->keep(log, retention);
}

void sk_log_forget_cursor(struct sk_log *log, const char *name) {
    log->ops->forget_cursor(log, name);
}
