/* Durable append-only message log.
 *
 * A log is a folder of segments. Records are gathered into batches, written with one fdatasync
 * each, and acknowledged after it; while one batch flies the next gathers. Every reader is a cursor
 * with its own durable checkpoint. One thread uses a log. Crash recovery: sk_log_open() cuts the
 * last segment at its first damaged record and reports the cut. Format: docs/log-format.md.
 *
 * The log knows nothing of what its records mean: a body of bytes, and 64 route bits that say which
 * consumers want it. */
#ifndef SK_STORE_LOG_LOG_H
#define SK_STORE_LOG_LOG_H

#include "io/io.h"

#define SK_RECORD_MAX (1024 * 1024)

struct sk_log;
struct sk_cursor;

struct sk_log_options {
    const char *folder;
    uint64_t segment_bytes; /* a segment is closed when it passes this; 0: 64 MiB */
    uint64_t
        retention_us; /* segments whose newest record is older than this go, whatever the cursors; 0: for ever */
    uint64_t retention_bytes; /* the oldest segments go when all together are larger; 0: no limit */
    bool
        retain_until_read; /* a segment also goes once every named cursor has durably committed past it (edge); while there is none,
                                   and without this, segments go by time and size only (hub) */
    uint64_t
        keep_free_bytes; /* appending is refused with SK_NO_SPACE when the disk has less than this free; 0: 16 MiB */
    uint64_t
        reserve_bytes; /* while the disk has less than this free, the oldest segments go; 0: they stay */
    uint64_t queue_bytes; /* appended but not yet durable; beyond it SK_AGAIN; 0: 64 MiB */
};

/* What recovery found. */
struct sk_log_recovery {
    uint64_t records;   /* readable in all */
    uint64_t cut_bytes; /* dropped from the tail of the last segment */
    uint64_t damaged;   /* records of the last segment that were acknowledged and cannot be read */
    uint64_t next_sequence;
};

enum sk_status sk_log_open(struct sk_io *io, const struct sk_log_options *options,
                           struct sk_log **log, struct sk_log_recovery *recovery);
/* Stops taking records and closes all cursors at once. Batches not yet durable are completed when
 * the disk lets them (else their `done` gets SK_IO, SK_NO_SPACE or SK_CLOSED), the checkpoints are
 * written, everything is freed and `closed(arg)` is called (may be NULL); all that after this call
 * has returned, so it may be made from any callback. */
void sk_log_close(struct sk_log *log, void (*closed)(void *arg), void *arg);

/* Appends a record and calls `done` once it is durable, or with the reason why it never will be.
 *
 * parts, count  the body in pieces, copied before the call returns; together at most SK_RECORD_MAX
 *               bytes
 * routes        bit i set: the cursor with route bit i shall see the record
 * done          on the log's thread, in append order, exactly once, never from inside this call:
 *               SK_OK, SK_NO_SPACE, SK_IO, SK_CLOSED;
 *               `sequence` is the record's when SK_OK. After SK_IO the record may still be found
 *               there if the power goes before the
 *               next append is durable; after that it is certainly gone
 * returns       SK_TOO_LARGE, SK_AGAIN (queue full: try when earlier ones are done), SK_NO_SPACE or
 *               SK_CLOSED at once; then `done` is
 *               not called */
typedef void sk_log_done(void *arg, enum sk_status status, uint64_t sequence);
enum sk_status sk_log_append(struct sk_log *log, const struct sk_span *parts, size_t count,
                             uint64_t routes, sk_log_done *done, void *arg);

struct sk_record {
    uint64_t sequence; /* from 1, without gaps */
    int64_t wall_us;   /* when it was appended; never less than that of the record before */
    uint64_t routes;
    struct sk_span body; /* lives until the next call on the same cursor */
};

uint64_t
sk_log_first_sequence(const struct sk_log *log); /* of the oldest record kept; = next when empty */
uint64_t sk_log_next_sequence(const struct sk_log *log); /* of the next durable record */
uint64_t sk_log_bytes(const struct sk_log *log);         /* on disk */

/* Opens a cursor. With a `name` (at most 1024 bytes; SK_EXISTS when one of that name is open) its
 * checkpoint is durable in the log's folder and it starts there; a new one starts at `from` (a
 * sequence; 0: the oldest, UINT64_MAX: what comes next). NULL name: no checkpoint, not counted for
 * retention. `routes`: only records with one of these bits (UINT64_MAX: all). `readable(arg)` is
 * called when there is more after sk_cursor_next had returned SK_AGAIN; NULL: the owner asks by
 * himself. */
enum sk_status sk_cursor_open(struct sk_log *log, const char *name, uint64_t routes, uint64_t from,
                              void (*readable)(void *arg), void *arg, struct sk_cursor **cursor);
/* The next record; SK_AGAIN at the end (and, with a `readable`, after 4 MiB of records for others,
 * so that the loop gets its turn); SK_NOT_FOUND when retention has dropped or damage has eaten what
 * came next (the cursor continues behind: call again; sk_cursor_lost counts them); SK_IO. */
enum sk_status sk_cursor_next(struct sk_cursor *cursor, struct sk_record *record);
/* µs since the record that sk_cursor_next gave was appended; jumps of the wall clock change nothing
 * about it while the log is open. */
int64_t sk_cursor_age(struct sk_cursor *cursor, const struct sk_record *record);
uint64_t sk_cursor_lost(const struct sk_cursor *cursor);
/* The sequence that sk_cursor_next will look at next. */
uint64_t sk_cursor_position(const struct sk_cursor *cursor);
/* Jumps to a sequence (next record ≥ it), or to the first record at or after a time. */
void sk_cursor_seek(struct sk_cursor *cursor, uint64_t sequence);
void sk_cursor_seek_time(struct sk_cursor *cursor, int64_t wall_us);
/* All records below `sequence` are done with. Checkpoints are written in the background within 100
 * ms and on closing: after a crash up to that much may be seen again, never less. Records for
 * others that the cursor has passed count as done with by themselves. sk_cursor_committed: what was
 * committed last. */
void sk_cursor_commit(struct sk_cursor *cursor, uint64_t sequence);
uint64_t sk_cursor_committed(const struct sk_cursor *cursor);
/* Changes the route filter. */
void sk_cursor_routes(struct sk_cursor *cursor, uint64_t routes);
void sk_cursor_close(struct sk_cursor *cursor);
/* Deletes the checkpoint of a cursor that is not open, so that it no longer holds segments. */
void sk_log_forget_cursor(struct sk_log *log, const char *name);

#endif
