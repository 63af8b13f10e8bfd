/* The time series store: events of many instances as compressed columns, in a folder of its own.
 *
 * Events go into memory and from there, at the latest after a minute, into immutable parts on disk.
 * There is no journal: the owner reads events from a log that keeps them, says how far it has come
 * (sk_series_reach), and reads on from sk_series_position after a crash. So nothing is lost and
 * nothing is there twice. One thread, that of its loop. Why:
 * docs/decisions/0041-time-series-from-the-log.md. */
#ifndef SK_SERIES_STORE_H
#define SK_SERIES_STORE_H

#include "io/io.h"
#include "series/event.h"

#define SK_SERIES_NAME_MAX 1024                /* bytes of a property's name */
#define SK_SERIES_INSTANCE_MAX 8192            /* bytes of an instance's */
#define SK_SERIES_BLOCK_ROWS 4096              /* rows that are given at once, at most */
#define SK_SERIES_TIME_MIN (-62135596800000ll) /* 0001-01-01T00:00:00Z */
#define SK_SERIES_TIME_MAX 253402300799999ll   /* 9999-12-31T23:59:59.999Z */

struct sk_series;
struct sk_series_options {
    const char *folder;       /* made where it is not there */
    uint64_t memory_bytes;    /* for what is not on disk yet; 0: 32 MiB */
    uint64_t flush_us;        /* the longest that it is not; 0: a minute */
    uint64_t retention_us;    /* since it came, whatever its times say; 0: for ever */
    uint64_t retention_bytes; /* then the oldest goes; 0: no limit */
    unsigned properties;      /* names with types; more are not stored. 0: 1000 */
    unsigned instances;       /* likewise; 0: 1,000,000 */
    /* There is room again after sk_series_has_room was false, or sk_series_position has grown. */
    void (*moved)(void *arg);
    void *arg;
};

/* Opens or makes the folder. SK_IO, SK_NO_SPACE with one sentence as `reason`. A part that cannot
 * be read is said in the log and left aside. */
enum sk_status sk_series_open(struct sk_io *io, const struct sk_series_options *options,
                              struct sk_series **store, char reason[512]);
/* Not from inside `moved`. Reads end with SK_CLOSED. What is not on disk yet is not written: the
 * log has it. `closed(arg)` (may be NULL) comes when all is freed, after this call has returned. */
void sk_series_close(struct sk_series *store, void (*closed)(void *arg), void *arg);
/* Other limits from now on; folder and callback stay. */
void sk_series_set(struct sk_series *store, const struct sk_series_options *options);

/* ---- filling ---- */

/* Adds an event of the record at `position` of the log; copied. SK_INVALID: its time is none of the
 * years 1 to 9999, or a name is too long; SK_TOO_LARGE: one instance too many. Then nothing of it
 * is stored. Fields of a property too many, or that are there twice, are left out. All that is
 * counted, and each of the limits is said in the log when it is met first. */
enum sk_status sk_series_add(struct sk_series *store, const struct sk_series_event *event,
                             uint64_t position);
/* All events of records below `position` have been added. */
void sk_series_reach(struct sk_series *store, uint64_t position);
/* Ask before each record: false while memory is full; see `moved`. */
bool sk_series_has_room(const struct sk_series *store);
/* The events of all records below are on disk. After opening: where to read on, 0 when it knows
 * nothing. */
uint64_t sk_series_position(const struct sk_series *store);
/* Writes what is in memory now, or as soon as the writing that goes on has ended. */
void sk_series_flush(struct sk_series *store);
/* Forgets all events of an instance that came from records below what is reached; durable when it
 * returns. SK_NOT_FOUND: it has none. */
enum sk_status sk_series_delete(struct sk_series *store, struct sk_span instance);

/* ---- reading ---- */

/* What is known of a block of rows of one instance without unpacking it, for each property that it
 * holds (and that was asked for). Of String and Dynamic only `count` is known. Of Bool `least` and
 * `most` are false or true, `sum` the number of trues; of Long and DateTime `sum` is a double as
 * well, and so not exact beyond 2^53. */
struct sk_series_column_summary {
    struct sk_series_property property;
    uint64_t count; /* rows that have it; never 0 */
    union sk_series_value least, most, first, last;
    int64_t first_time, last_time; /* of the first and the last row that have it */
    double sum;                    /* from the first to the last */
};
struct sk_series_summary {
    int64_t first_time, last_time;
    uint64_t rows;
    const struct sk_series_column_summary *columns;
    size_t column_count; /* 0: none of the properties asked for is in it; its rows come all the
                            same where they are unpacked */
};

struct sk_series_ask {
    struct sk_span instance;
    int64_t from, to;                            /* ms since 1970; `from` included, `to` not */
    const struct sk_series_property *properties; /* NULL: all */
    size_t property_count;
    size_t rows_most; /* that are given at once; 0: SK_SERIES_BLOCK_ROWS */
};
struct sk_series_reader {
    /* Rows in order of time, those of one time in the order in which they came, at most
     * as many at once as is asked; all rows of the instance, also those that have none of the
     * properties asked for. Columns in no order; those without a value in these rows may be left
     * out. False: enough; `done` comes with SK_OK and nothing more. */
    bool (*rows)(void *arg, const struct sk_series_rows *rows);
    /* A block that lies wholly within [from, to) and overlaps no other, in its place between the
     * rows; true: the summary is enough, its rows are not given. May be NULL. */
    bool (*block)(void *arg, const struct sk_series_summary *summary);
    /* Once, never from inside sk_series_read; SK_OK, SK_CLOSED, SK_IO, SK_MALFORMED (a block is
     * damaged). After it the read is gone. */
    void (*done)(void *arg, enum sk_status status);
    void *arg;
};
/* Reads what is there now, in memory and on disk, a share of a turn at a time. Copies what is asked
 * and the reader. An instance that is not there has no rows. Callbacks may begin and cancel reads,
 * but not close the store. */
struct sk_series_read;
struct sk_series_read *sk_series_read(struct sk_series *store, const struct sk_series_ask *ask,
                                      const struct sk_series_reader *reader);
/* Nothing is called any more, `done` neither; the read is gone. */
void sk_series_read_cancel(struct sk_series_read *read);

/* ---- what there is ---- */

struct sk_series_instance {
    struct sk_span name; /* lives as long as the store */
    int64_t first_time, last_time;
    uint64_t rows; /* never 0 */
};
/* Goes over instances that have rows, in the order in which they became known: the first of them at
 * or behind place `from` (0: the beginning). Returns the place behind it, 0: there is none. Takes
 * few steps, but looks at every part: for lists, some hundreds a turn. */
size_t sk_series_instance_next(const struct sk_series *store, size_t from,
                               struct sk_series_instance *instance);
/* SK_NOT_FOUND. */
enum sk_status sk_series_instance_find(const struct sk_series *store, struct sk_span name,
                                       struct sk_series_instance *instance);

/* Properties that were ever seen (and still are in a part), by number; spans live as long as the
 * store. */
size_t sk_series_property_count(const struct sk_series *store);
struct sk_series_property sk_series_property_at(const struct sk_series *store, size_t i);

/* How many rows there are, by time: intervals without rows are left out, ascending. `width_ms` is
 * a minute times a power of two, so large that there are few intervals. Rows of deleted instances
 * count until their part is written anew. */
struct sk_series_interval {
    int64_t start; /* a multiple of the width */
    uint64_t rows;
};
struct sk_series_availability {
    int64_t width_ms;
    size_t count;
    struct sk_series_interval *intervals; /* from malloc: the caller frees it */
};
struct sk_series_availability sk_series_availability(const struct sk_series *store);

struct sk_series_counts {
    uint64_t events_total, values_total;            /* stored since the start */
    uint64_t refused_total;                         /* events: SK_INVALID, SK_TOO_LARGE */
    uint64_t dropped_total;                         /* values that were left out */
    uint64_t instances, properties, parts, damaged; /* now; damaged: parts left aside */
    uint64_t disk_bytes, memory_bytes;
    uint64_t rows; /* on disk and in memory, deleted ones too until they are gone */
    uint64_t position;
};
struct sk_series_counts sk_series_counts(const struct sk_series *store);

#endif
