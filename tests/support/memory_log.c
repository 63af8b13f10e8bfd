#include "support/memory_log.h"

#include "store/log/ops.h"

#define DURABLE_AFTER (2 * SK_MS)

struct checkpoint {
    char name[32]; /* "": a free place */
    uint64_t committed;
    bool open;
};

struct record {
    struct sk_record seen; /* the body is owned */
    uint64_t appended_ns;
    sk_log_done *done;
    void *arg;
};

/* What lasts: records[i] has the sequence i + 1. */
static struct {
    struct record *records;
    size_t count;
    struct checkpoint checkpoints[8];
} kept;

struct log {
    struct sk_log seen;
    struct sk_io *io;
    struct sk_list cursors;
    uint64_t next; /* behind the durable records */
    struct sk_timer sync;
    bool closing;
    void (*closed)(void *arg);
    void *arg;
};

struct cursor {
    struct sk_cursor seen;
    struct log *log;
    struct sk_list link;
    struct checkpoint *checkpoint;
    uint64_t routes, position, delivered, done;
    bool early;
    int64_t from_us;
    bool waits;
    struct sk_timer told;
    void (*readable)(void *arg);
    void *arg;
};

void memory_log_forget(void) {
    for (size_t i = 0; i < kept.count; i++) free((char *)kept.records[i].seen.body.p);
    free(kept.records);
    memset(&kept, 0, sizeof kept);
}

static struct log *log_of(const struct sk_log *seen) {
    return (struct log *)seen;
}

static struct cursor *cursor_of(const struct sk_cursor *seen) {
    return (struct cursor *)seen;
}

/* The place of a name; "": a free one. */
static struct checkpoint *find_checkpoint(const char *name) {
    for (size_t i = 0; i < sizeof kept.checkpoints / sizeof *kept.checkpoints; i++)
        if (strcmp(kept.checkpoints[i].name, name) == 0) return &kept.checkpoints[i];
    return NULL;
}

/* ---- the log ---- */

static uint64_t first_sequence(const struct sk_log *seen) {
    (void)seen;
    return 1;
}

static uint64_t next_sequence(const struct sk_log *seen) {
    return log_of(seen)->next;
}

static void settle(struct cursor *cursor) {
    uint64_t done = cursor->done < cursor->log->next ? cursor->done : cursor->log->next;
    if (cursor->checkpoint) cursor->checkpoint->committed = done;
}

static void tell(struct sk_timer *timer) {
    struct cursor *cursor = SK_CONTAINER(timer, struct cursor, told);
    cursor->readable(cursor->arg);
}

static void wake(struct log *log, bool early_only) {
    SK_LIST_EACH(&log->cursors, node, following) {
        struct cursor *cursor = SK_CONTAINER(node, struct cursor, link);
        if (early_only && !cursor->early) continue;
        if (cursor->waits && cursor->readable) sk_timer_start(log->io, &cursor->told, 0, tell);
        cursor->waits = false;
    }
}

static void sync(struct sk_timer *timer) {
    struct log *log = SK_CONTAINER(timer, struct log, sync);
    uint64_t sequence = log->next, end = log->next = kept.count + 1;
    SK_LIST_EACH(&log->cursors, node, following)
    settle(SK_CONTAINER(node, struct cursor, link));
    for (; sequence < end; sequence++) {
        struct record told = kept.records[sequence - 1]; /* it may append */
        if (told.done) told.done(told.arg, SK_OK, sequence);
    }
    wake(log, false);
    if (!log->closing) return;
    void (*closed)(void *arg) = log->closed;
    void *arg = log->arg;
    sk_timer_stop(timer);
    free(log);
    if (closed) closed(arg);
}

static enum sk_status append(struct sk_log *seen, const struct sk_span *parts, size_t count,
                             uint64_t routes, sk_log_done *done, void *arg) {
    struct log *log = log_of(seen);
    struct sk_buffer body = {0};
    size_t n = 0;
    if (log->closing) return SK_CLOSED;
    for (size_t i = 0; i < count; i++) n += parts[i].n;
    if (n > SK_RECORD_MAX) return SK_TOO_LARGE;
    for (size_t i = 0; i < count; i++) sk_buffer_append(&body, parts[i]);
    int64_t wall_us = sk_io_wall(log->io);
    if (kept.count && kept.records[kept.count - 1].seen.wall_us > wall_us)
        wall_us = kept.records[kept.count - 1].seen.wall_us;
    kept.records = sk_realloc(kept.records, (kept.count + 1) * sizeof *kept.records);
    struct sk_record record = {kept.count + 1, wall_us, routes, sk_buffer_span(&body)};
    kept.records[kept.count++] = (struct record){record, sk_io_now(log->io), done, arg};
    if (!sk_timer_running(&log->sync)) sk_timer_start(log->io, &log->sync, DURABLE_AFTER, sync);
    wake(log, true);
    return SK_OK;
}

/* ---- cursors ---- */

/* Where the cursor may stand. */
static uint64_t within(const struct cursor *cursor, uint64_t sequence) {
    uint64_t end = cursor->early ? kept.count + 1 : cursor->log->next;
    return sequence < 1 ? 1 : sequence > end ? end : sequence;
}

static void close_cursor(struct sk_cursor *seen) {
    struct cursor *cursor = cursor_of(seen);
    if (cursor->checkpoint) cursor->checkpoint->open = false;
    sk_timer_stop(&cursor->told);
    sk_list_remove(&cursor->link);
    free(cursor);
}

static enum sk_status next(struct sk_cursor *seen, struct sk_record *record) {
    struct cursor *cursor = cursor_of(seen);
    while (cursor->position < within(cursor, UINT64_MAX)) {
        *record = kept.records[cursor->position++ - 1].seen;
        if (record->wall_us >= cursor->from_us &&
            (record->routes & cursor->routes || cursor->routes == UINT64_MAX)) {
            cursor->from_us = INT64_MIN;
            cursor->delivered = cursor->position;
            return SK_OK;
        }
        if (cursor->done < cursor->delivered || cursor->done >= cursor->position) continue;
        cursor->done = cursor->position;
        settle(cursor);
    }
    cursor->waits = true;
    return SK_AGAIN;
}

static int64_t age(struct sk_cursor *seen, const struct sk_record *record) {
    uint64_t now = sk_io_now(cursor_of(seen)->log->io);
    return (int64_t)(now - kept.records[record->sequence - 1].appended_ns) / 1000;
}

static uint64_t lost(const struct sk_cursor *seen) {
    (void)seen;
    return 0;
}

static uint64_t position(const struct sk_cursor *seen) {
    return cursor_of(seen)->position;
}

static void seek(struct sk_cursor *seen, uint64_t sequence) {
    struct cursor *cursor = cursor_of(seen);
    cursor->position = cursor->delivered = within(cursor, sequence);
    cursor->from_us = INT64_MIN;
}

static void seek_time(struct sk_cursor *seen, int64_t wall_us) {
    seek(seen, 0);
    cursor_of(seen)->from_us = wall_us;
}

static void commit(struct sk_cursor *seen, uint64_t sequence) {
    struct cursor *cursor = cursor_of(seen);
    cursor->done = within(cursor, sequence);
    settle(cursor);
}

static uint64_t committed(const struct sk_cursor *seen) {
    return cursor_of(seen)->checkpoint ? cursor_of(seen)->checkpoint->committed : 0;
}

/* Nothing fails here, so nothing is taken back. */
static void read_early(struct sk_cursor *seen, void (*taken_back)(void *arg, uint64_t from)) {
    (void)taken_back;
    cursor_of(seen)->early = true;
}

static void set_routes(struct sk_cursor *seen, uint64_t routes) {
    cursor_of(seen)->routes = routes;
}

static enum sk_status cursor_open(struct sk_log *seen, const char *name, uint64_t routes,
                                  uint64_t from, void (*readable)(void *arg), void *arg,
                                  struct sk_cursor **opened) {
    static const struct sk_cursor_ops ops = {next,       age,        lost,        position,
                                             seek,       seek_time,  commit,      committed,
                                             read_early, set_routes, close_cursor};
    struct log *log = log_of(seen);
    struct checkpoint *checkpoint = name ? find_checkpoint(name) : NULL;
    if (checkpoint && checkpoint->open) return SK_EXISTS;
    if (name && checkpoint == NULL) {
        checkpoint = find_checkpoint("");
        snprintf(checkpoint->name, sizeof checkpoint->name, "%s", name);
        checkpoint->committed = from < 1 ? 1 : from > log->next ? log->next : from;
    }
    struct cursor *cursor = SK_NEW(struct cursor);
    *cursor = (struct cursor){{&ops}, .log = log, .checkpoint = checkpoint, .routes = routes};
    cursor->readable = readable;
    cursor->arg = arg;
    seek(&cursor->seen, checkpoint ? checkpoint->committed : from);
    cursor->done = cursor->position;
    if (checkpoint) checkpoint->open = true;
    sk_list_append(&log->cursors, &cursor->link);
    *opened = &cursor->seen;
    return SK_OK;
}

/* ---- its life ---- */

/* What nobody wants goes by itself here. */
static uint64_t compact(struct sk_log *seen) {
    (void)seen;
    return 0;
}

static void limit(struct sk_log *seen, uint64_t bytes) {
    (void)seen, (void)bytes;
}

static void keep(struct sk_log *seen, const struct sk_log_retention *retention) {
    (void)seen, (void)retention; /* it keeps all */
}

static void forget_cursor(struct sk_log *seen, const char *name) {
    struct checkpoint *checkpoint = find_checkpoint(name);
    (void)seen;
    if (checkpoint && !checkpoint->open) checkpoint->name[0] = 0;
}

static void close_log(struct sk_log *seen, void (*closed)(void *arg), void *arg) {
    struct log *log = log_of(seen);
    log->closing = true;
    log->closed = closed;
    log->arg = arg;
    while (!sk_list_empty(&log->cursors))
        close_cursor(&SK_LIST_FIRST(&log->cursors, struct cursor, link)->seen);
    sk_timer_start(log->io, &log->sync, 0, sync);
}

static int64_t passed(const struct sk_log *seen) {
    const struct log *log = (const struct log *)seen;
    int64_t now = sk_io_wall(log->io), last = 0;
    if (kept.count >= log->next) return kept.records[log->next - 1].seen.wall_us;
    if (kept.count) last = kept.records[kept.count - 1].seen.wall_us;
    return now > last ? now : last;
}

enum sk_status memory_log_open(struct log_world *w) {
    static const struct sk_log_ops ops = {.close = close_log,
                                          .append = append,
                                          .first_sequence = first_sequence,
                                          .next_sequence = next_sequence,
                                          .passed = passed,
                                          .bytes = next_sequence,
                                          .forget_cursor = forget_cursor,
                                          .compact = compact,
                                          .limit = limit,
                                          .keep = keep,
                                          .cursor_open = cursor_open};
    struct log *log = SK_NEW(struct log);
    *log = (struct log){{&ops}, .io = w->io, .next = kept.count + 1};
    sk_list_init(&log->cursors);
    w->log = &log->seen;
    return SK_OK;
}
