/* Durable append-only message log.
 *
 * Records are gathered, made durable together and then acknowledged; while some are on their way
 * the next gather. Every reader is a cursor, with a durable checkpoint of its own if it has a
 * name. One thread uses a log. The log knows nothing of what its records mean: a body of bytes,
 * and 64 route bits that say which consumers want it.
 *
 * This is what users see, whatever keeps the records: an implementation (segments/) opens a log
 * and gives the functions of ops.h; tests/conformance/log.c is what each of them must do. */
#ifndef SK_STORE_LOG_LOG_H
#define SK_STORE_LOG_LOG_H

#include "io/io.h"

#define SK_RECORD_MAX (1024 * 1024)

struct sk_log;
struct sk_cursor;

/* Stops taking records and closes all cursors at once. Records not yet durable become so if it
 * can be done (else their `done` gets SK_IO, SK_NO_SPACE or SK_CLOSED), the checkpoints are
 * written, everything is freed and `closed(arg)` is called (may be NULL); all that after this
 * call has returned, so it may be made from any callback. */
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

/* Of the oldest record kept; the next one's when it is empty. */
uint64_t sk_log_first_sequence(const struct sk_log *log);
uint64_t sk_log_next_sequence(const struct sk_log *log); /* of the next durable record */
/* The time before which nothing comes any more: a record that is not durable yet, or has not been
 * appended, has this one or a later one. */
int64_t sk_log_passed(const struct sk_log *log);
uint64_t sk_log_bytes(const struct sk_log *log); /* that its records take where they are kept */
/* What a record with a body of n bytes takes there. */
static inline size_t sk_record_bytes(size_t n) {
    return 32 + (n + 7) / 8 * 8;
}
/* Frees room that records take of which every named cursor is done; returns how many bytes (0:
 * nothing more is to be gained now). A little at a time: call again. What cursors have given out is
 * not valid any more. For logs that keep records until they are read. */
uint64_t sk_log_compact(struct sk_log *log);
/* The owner means to keep it below so many bytes (0: there is no limit), so it is kept in pieces
 * that are small enough for that. The log refuses nothing by itself. */
void sk_log_limit(struct sk_log *log, uint64_t bytes);
/* What is kept, from now on: as the implementation's options said when it was opened. */
struct sk_log_retention {
    uint64_t us, bytes, reserve_bytes;
};
void sk_log_keep(struct sk_log *log, const struct sk_log_retention *retention);

/* Opens a cursor. With a `name` (at most 1024 bytes; SK_EXISTS when one of that name is open) its
 * checkpoint is durable and it starts there; a new one starts at `from` (a
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
/* From now on the cursor gives out records as soon as they are appended, before they are durable
 * and acknowledged; `readable` is told of them at the end of the turn. Its checkpoint never passes
 * what is durable: commits above that count when it is. Should appending fail,
 * `taken_back(arg, from)` says that records from this sequence on, which the cursor has given out,
 * are not there and that others will have their sequences; those it gives out once they are
 * durable. `taken_back` may not use the cursor but to ask for its position. */
void sk_cursor_early(struct sk_cursor *cursor, void (*taken_back)(void *arg, uint64_t from));
/* Changes the route filter. */
void sk_cursor_routes(struct sk_cursor *cursor, uint64_t routes);
void sk_cursor_close(struct sk_cursor *cursor);
/* Deletes the checkpoint of a cursor that is not open, so that it no longer holds records. */
void sk_log_forget_cursor(struct sk_log *log, const char *name);

#endif
