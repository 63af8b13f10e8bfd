/* What an implementation of the log gives. The type of a member, and its contract, are those of the
 * function of log.h that its type names. Inside src/store/log only. */
#ifndef SK_STORE_LOG_OPS_H
#define SK_STORE_LOG_OPS_H

#include "store/log/log.h"

struct sk_log_ops {
    __typeof__(sk_log_close) *close;
    __typeof__(sk_log_append) *append;
    __typeof__(sk_log_first_sequence) *first_sequence;
    __typeof__(sk_log_next_sequence) *next_sequence;
    __typeof__(sk_log_passed) *passed;
    __typeof__(sk_log_bytes) *bytes;
    __typeof__(sk_log_forget_cursor) *forget_cursor;
    __typeof__(sk_log_compact) *compact;
    __typeof__(sk_log_limit) *limit;
    __typeof__(sk_log_keep) *keep;
    __typeof__(sk_cursor_open) *cursor_open;
};

struct sk_cursor_ops {
    __typeof__(sk_cursor_next) *next;
    __typeof__(sk_cursor_age) *age;
    __typeof__(sk_cursor_lost) *lost;
    __typeof__(sk_cursor_position) *position;
    __typeof__(sk_cursor_seek) *seek;
    __typeof__(sk_cursor_seek_time) *seek_time;
    __typeof__(sk_cursor_commit) *commit;
    __typeof__(sk_cursor_committed) *committed;
    __typeof__(sk_cursor_early) *early;
    __typeof__(sk_cursor_routes) *routes;
    __typeof__(sk_cursor_close) *close; /* never of NULL */
};

/* First members of an implementation's own. */
struct sk_log {
    const struct sk_log_ops *ops;
};
struct sk_cursor {
    const struct sk_cursor_ops *ops;
};

#endif
