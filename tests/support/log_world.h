/* A log on a simulated machine, for tests: opening, appending and reading with the outcome written
 * down. */
#ifndef TESTS_LOG_WORLD_H
#define TESTS_LOG_WORLD_H

#include <stdio.h>

#include "io/sim/sim.h"
#include "store/log/segments/segments.h"
#include "support/test.h"

struct log_world {
    struct sk_sim *sim;
    struct sk_io *io;
    struct sk_log *log;
    /* Opens `log`, over and over what it held before. log_world_new: segments. */
    enum sk_status (*open)(struct log_world *w);
    struct sk_log_segments_options options;
    struct sk_log_recovery recovery;
    uint64_t appended;  /* texts given to the log so far; also numbers them */
    uint64_t told;      /* dones called */
    uint64_t last_told; /* number in the last done's text */
    uint64_t acknowledged, refused;
    uint64_t last_sequence; /* of the last acknowledged record */
    enum sk_status last_status;
    bool closed;
};

/* Opens with the options and tells `recovery`. */
enum sk_status log_world_open_segments(struct log_world *w);
void log_world_new(struct log_world *w, uint64_t seed);
enum sk_status log_world_open(struct log_world *w);
void log_world_on_closed(void *arg);

/* Power may go meanwhile: then closing ends in log_world_power_on. */
void log_world_close(struct log_world *w);

void log_world_reopen(struct log_world *w);

/* The log is closed on the dead machine, which then comes back; nothing is opened. */
void log_world_power_on(struct log_world *w);

void log_world_free(struct log_world *w);

/* Appends "<number>:" and padding up to `size` bytes. */
enum sk_status log_world_append_sized(struct log_world *w, uint64_t routes, size_t size);

enum sk_status log_world_append(struct log_world *w);
uint64_t log_world_number(const struct sk_record *record);
void log_world_run(struct log_world *w);

/* A named cursor; one that starts at `sequence`, and keeps nothing. */
struct sk_cursor *log_world_cursor(struct log_world *w, const char *name, uint64_t routes,
                                   uint64_t from);
struct sk_cursor *log_world_reader(struct log_world *w, uint64_t sequence);
/* The number of the next record, which must be there; what the next call says. */
uint64_t log_world_next(struct sk_cursor *cursor);
enum sk_status log_world_status(struct sk_cursor *cursor);
/* Reads all from `sequence` on; the records must be the texts first … last. */
void log_world_expect(struct log_world *w, uint64_t sequence, uint64_t first, uint64_t last);

/* Appends `count` records and waits until they are acknowledged. */
void log_world_fill(struct log_world *w, uint64_t count, size_t size);

#endif
