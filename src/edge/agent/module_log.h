/* A module's log, read line by line: from the file of a process, or from a container's engine.
 *
 * A reader begins with the last lines, or with all that is kept, and may go on as they are
 * written. Belongs to its loop's thread. */
#ifndef SK_EDGE_AGENT_MODULE_LOG_H
#define SK_EDGE_AGENT_MODULE_LOG_H

#include "edge/agent/engine/lines.h"

#define SK_LOG_LEVEL_INFO 6 /* syslog's; of lines that name none */

struct sk_log_line {
    struct sk_span text; /* without its end */
    enum sk_log_stream stream;
    int64_t time_us; /* wall clock; 0: not known */
    unsigned level;  /* syslog's: 0 emergency … 7 debug */
};

struct sk_log_ask {
    unsigned tail;              /* the last lines; 0: all */
    int64_t since_us, until_us; /* wall clock; 0: open */
    bool follow;
    void (*line)(void *arg, const struct sk_log_line *line);
    /* The end, once and never from inside the call that began it; not after sk_module_log_close. */
    void (*done)(void *arg, enum sk_status status, const char *why);
    void *arg;
};

struct sk_module_log {
    struct sk_log_ask ask;
    int64_t last_us; /* time of the last line that had one */
    void (*close)(struct sk_module_log *log);
};

/* Ends the reader; nothing is told any more. Not from inside `line`. */
static inline void sk_module_log_close(struct sk_module_log *log) {
    if (log) log->close(log);
}

/* What a line says of itself: "<6> 2026-11-21 07:00:00.000 +00:00 text" as Azure's modules write,
 * or "2026-11-21T07:00:00.000Z info text" as ours do. What it does not say stays. */
void sk_log_line_read(struct sk_log_line *line);
/* Hands a line on, when it is within the times that are asked for; one without a time has that of
 * the line before. */
void sk_module_log_take(struct sk_module_log *log, struct sk_log_line *line);

/* A moment as people and direct methods write it: a time ("2026-11-21T07:00:00Z"), seconds since
 * 1970, or how long ago ("10m", "1d", "1 day", "P1DT2H"). SK_MALFORMED. */
enum sk_status sk_log_moment_parse(struct sk_span text, int64_t now_us, int64_t *wall_us);

#endif
