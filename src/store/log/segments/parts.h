/* What the files of the log in segments share. Inside src/store/log/segments only.
 *
 *   log.c         opening and closing
 *   append.c      appending: batches, group commit, failed writes
 *   open.c        recovery
 *   segments.c    the row of segments, and what is to be done soon
 *   segment.c     segment files, their index, and reading records from them
 *   retention.c   which segments go, and when
 *   compact.c     bodies that nobody wants any more go before their segment does
 *   checkpoint.c  the durable positions of cursors
 *   clock.c       ages of records under a clock that jumps
 *   cursor.c      reading
 *   early.c       reading what is not durable yet
 *   format.c      bytes of headers, records and footers
 *
 * The states of a batch: docs/states.md. */
#ifndef SK_STORE_LOG_SEGMENTS_PARTS_H
#define SK_STORE_LOG_SEGMENTS_PARTS_H

#include "store/log/ops.h"
#include "store/log/segments/format.h"
#include "store/log/segments/segments.h"

/* ---- segments ---- */

struct segment {
    struct log *log;
    uint64_t first;   /* sequence of its first record */
    int64_t floor_us; /* wall time of the record before; INT64_MIN: unknown */
    /* active: where the durable records end (0: not even the header is written); closed: size of
     * the file */
    uint64_t end;
    struct sk_file *file; /* open while users > 0 */
    unsigned users;       /* cursors that stand in it, the writer, the footer being written */
    bool has_writer;      /* one of the users is the log that appends to it */
    int64_t shift_us;     /* to be added to its times; clock.c */
    uint64_t looked_at;   /* log->commits when compaction looked at it last */
    bool dropped;         /* retention has removed it; it lives until its last user leaves */
    struct point *points; /* the index while it is in memory: always that of the active segment */
    size_t point_count, point_capacity;
};

struct segment *segment_new(struct log *log, uint64_t first, int64_t floor_us, uint64_t end);
void segment_free(struct segment *segment);
void segment_path(const struct segment *segment, struct sk_buffer *path); /* with a NUL behind */
/* Opens the file if need be and counts the caller as a user. */
enum sk_status segment_enter(struct segment *segment, enum sk_file_mode mode);
/* The last one out closes the file, and frees a dropped segment. */
void segment_leave(struct segment *segment);
/* A point of the index, where the last one is far enough; or in any case. */
void segment_add_point(struct segment *segment, struct point point);
void segment_put_point(struct segment *segment, struct point point);
/* The index, from memory or from the footer; *owned: the caller frees *points. None: *count = 0.
 * The segment is entered. */
void segment_points(struct segment *segment, struct point **points, size_t *count, bool *owned);
/* Writes the footer of a segment that has just been closed, in the background. Needs the writer's
 * entry and gives it back. */
void segment_write_footer(struct segment *segment);

/* Reads the records of one segment in order, through a window that is freed when there is no need
 * for it. */
struct reader {
    struct segment *segment; /* entered by the owner */
    uint64_t offset;         /* of the next record */
    uint64_t sequence;       /* which it must have */
    char *window;
    size_t capacity, n;
    uint64_t window_offset;
};
/* The next record that ends at or before `limit`. SK_MALFORMED: what stands there is not that
 * record. */
enum sk_status reader_next(struct reader *reader, uint64_t limit, struct sk_record *record);
void reader_forget(struct reader *reader); /* frees the window */

/* ---- the log ---- */

struct waiter {
    sk_log_done *done;
    void *arg;
};

/* Records on their way to the disk. The buffer begins with room for a segment header, used when the
 * batch opens a segment. */
struct batch {
    struct sk_buffer bytes;
    struct waiter *waiters; /* one a record, in order */
    size_t count, capacity;
    int64_t last_wall_us;
    struct point *points; /* candidates for the index; offsets from the batch's first record */
    size_t point_count, point_capacity;
    size_t next_point; /* offset at which the next candidate is due */
};

/* A named cursor's durable position. */
struct checkpoint {
    struct sk_list link;
    struct cursor *cursor; /* while it is open */
    uint64_t committed;    /* what the owner said last */
    uint64_t flying;       /* what is being written */
    uint64_t durable;      /* what the file says; 0: not there yet */
    size_t name_n;
    char name[];
};

struct log {
    struct sk_log seen; /* first: what users have */
    struct sk_io *io;
    struct sk_log_segments_options options; /* defaults filled in */
    char *folder;
    struct segment **segments; /* by first sequence; the last one is active */
    size_t segment_count, segment_capacity;

    uint64_t durable;        /* sequence behind the last durable record */
    int64_t durable_wall_us; /* its wall time */
    int64_t last_wall_us;    /* of the newest record appended */
    struct batch gathering, writing;
    struct waiter
        *spare; /* the third array of waiters: one gathers, one flies, one is being told */
    size_t spare_capacity;
    bool is_writing;
    /* a write failed: what stands behind the active segment's end must go before the next one */
    bool cut_needed;
    /* begin a segment even without records, so that retention can take the active one */
    bool roll_wanted;
    /* The active segment's records were written by a process before this one. Should a sync have
     * failed there, the last of them (which nobody was promised) stand in the page cache and will
     * never reach the disk, whatever is synced now: so that what comes next can not be lost with
     * them, it goes to a segment of its own. */
    bool tail_was_found;
    /* how a batch ended that never reached the disk; told by refused_task */
    enum sk_status refused;
    struct sk_task flush_task, refused_task, close_task;
    void (*flush)(struct sk_task *); /* what the first and the last of them do */
    void (*close)(struct sk_task *);
    struct { /* as they were when they were looked at last */
        int64_t wall_us;
        uint64_t ns, durable;
    } clock;
    struct sk_timer retry_timer, retention_timer;
    unsigned footers; /* being written */

    struct sk_list cursors;
    struct sk_list early; /* those of them that read what is not durable yet; early.c */
    /* the last batch failed: nothing is read early until one succeeds */
    bool in_doubt;
    /* cursors at the end; early ones; those of either that are being told of more */
    struct sk_list waiting, waiting_early, waking;

    struct sk_list checkpoints;
    struct sk_timer checkpoint_timer;
    struct sk_file *checkpoint_files[2];
    struct sk_buffer checkpoint_bytes;
    uint64_t checkpoint_generation; /* of the newest one on disk */
    bool checkpoint_writing, checkpoint_dirty;

    uint64_t commits;            /* counts them, and whatever else makes records superfluous */
    uint64_t segment_bytes_most; /* options.segment_bytes as it was; 0: there was no limit yet */

    bool closing, last_checkpoint_tried;
    void (*closed)(void *arg);
    void *closed_arg;
};

static inline struct log *log_of(const struct sk_log *seen) {
    return (struct log *)seen;
}
static inline struct segment *log_active(const struct log *log) {
    return log->segment_count ? log->segments[log->segment_count - 1] : NULL;
}
/* The sequence behind segment `i`'s last record. */
static inline uint64_t log_segment_stop(const struct log *log, size_t i) {
    return i + 1 < log->segment_count ? log->segments[i + 1]->first : log->durable;
}
/* Writes what is gathered, or begins the segment that is wanted, at the end of this turn. */
void log_flush_soon(struct log *log);
void log_add_segment(struct log *log, struct segment *segment);
/* Position in log->segments of the one that holds `sequence` (the first or last one when outside).
 */
size_t log_find_segment(const struct log *log, uint64_t sequence);
/* Something has ended that closing may have waited for. A task of its own: the caller may be one
 * of our own callbacks. */
void log_close_soon(struct log *log);

/* segments.c: as users ask for them. */
uint64_t log_first_sequence(const struct log *log);
uint64_t log_bytes(const struct log *log);

/* append.c; and whether nothing is on its way to the disk any more; else it goes there now. */
__typeof__(sk_log_append) log_append;
bool log_appended_all(struct log *log);
void log_flush(struct sk_task *task); /* the task of log_flush_soon */
void log_batches_free(struct log *log);

enum sk_status log_recover(struct log *log, struct sk_log_recovery *recovery);

void log_retain(struct log *log);

/* clock.c: looks at the clock (at least once a batch and once a minute), and returns it; gives the
 * shift that a segment begun now must have. */
void log_clock_start(struct log *log);
int64_t log_clock(struct log *log);
int64_t log_clock_lag(struct log *log);
int64_t log_age(struct log *log, const struct sk_record *record);
void log_retention_start(struct log *log);

enum sk_status checkpoints_open(struct log *log);
struct checkpoint *checkpoint_find(struct log *log, struct sk_span name);
struct checkpoint *checkpoint_add(struct log *log, struct sk_span name, uint64_t position);
void checkpoint_changed(struct log *log);
void checkpoints_write(struct log *log);
void checkpoints_free(struct log *log);

/* cursor.c */
struct cursor {
    struct sk_cursor seen; /* first: what its user has */
    struct log *log;
    struct sk_list link;           /* in log->cursors */
    struct sk_list wait;           /* in a list of those that wait or are woken, or alone */
    struct checkpoint *checkpoint; /* NULL: unnamed */
    uint64_t routes;
    void (*readable)(void *arg);
    void *arg;
    struct reader reader; /* without a segment: to be placed */
    uint64_t position;    /* what comes next is at or after this sequence … */
    int64_t from_wall_us; /* … and time */
    uint64_t delivered;   /* behind the last record that was given out */
    uint64_t done; /* all below need not be seen again; an early cursor's checkpoint follows */
    uint64_t lost;
    struct sk_timer resume_timer;
    struct early {
        struct sk_list link; /* in log->early, or alone */
        void (*taken_back)(void *arg, uint64_t from);
        struct sk_buffer body;    /* of the record that was given out last */
        uint64_t batch, sequence; /* of a batch's first record, and of the one at … */
        size_t offset;            /* … its bytes */
    } early;
};

__typeof__(sk_cursor_open) log_cursor_open;
__typeof__(sk_log_forget_cursor) log_forget_cursor;
/* Calls `readable` of the cursors that wait in the list. */
void cursors_wake(struct log *log, struct sk_list *waiting);
/* Its checkpoint becomes `done`, as far as that is durable. */
void cursor_settle(struct cursor *cursor);
void cursors_free(struct log *log);
/* Whether a named cursor has not done with a record. One that is not open may want any. */
bool cursors_want(const struct log *log, const struct sk_record *record);
/* None stands in the segment any more. */
void cursors_leave(struct log *log, const struct segment *segment);

/* early.c: the sequence behind the last record that a cursor may see; the record at `sequence`,
 * which is not durable, in its batch (false: there is none for this cursor now); a copy of its body
 * that lasts until the next call. */
uint64_t cursor_end(const struct cursor *cursor);
bool early_read(struct cursor *cursor, uint64_t sequence, struct sk_record *record);
void early_keep(struct cursor *cursor, struct sk_record *record);
void early_forget(struct cursor *cursor);
static inline bool cursor_is_early(const struct cursor *cursor) {
    return cursor->early.taken_back != NULL;
}
/* A batch has become durable; has failed. */
void early_settle(struct log *log);
void early_take_back(struct log *log);
__typeof__(sk_cursor_early) cursor_read_early;

/* compact.c */
__typeof__(sk_log_compact) log_compact;
__typeof__(sk_log_limit) log_limit;
__typeof__(sk_log_keep) log_keep;

#endif
