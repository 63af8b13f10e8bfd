/* A log on a simulated machine, for tests: opening, appending and reading with the outcome written
 * down. */
#ifndef TESTS_LOG_WORLD_H
#define TESTS_LOG_WORLD_H

#include <stdio.h>

#include "io/sim/sim.h"
#include "store/log/log.h"
#include "support/test.h"

struct log_world {
    struct sk_sim *sim;
    struct sk_io *io;
    struct sk_log *log;
    struct sk_log_options options;
    struct sk_log_recovery recovery;
    uint64_t appended;  /* texts given to the log so far; also numbers them */
    uint64_t told;      /* dones called */
    uint64_t last_told; /* number in the last done's text */
    uint64_t acknowledged, refused;
    uint64_t last_sequence; /* of the last acknowledged record */
    enum sk_status last_status;
    bool closed;
};

static inline void log_world_new(struct log_world *w, uint64_t seed) {
    *w = (struct log_world){.options = {.folder = "/log", .keep_free_bytes = 1}};
    w->sim = sk_sim_new(&(struct sk_sim_options){.seed = seed});
    w->io = sk_sim_node(w->sim, "hub");
}

static inline enum sk_status log_world_open(struct log_world *w) {
    w->closed = false;
    return sk_log_open(w->io, &w->options, &w->log, &w->recovery);
}

static inline void log_world_on_closed(void *arg) {
    ((struct log_world *)arg)->closed = true;
}

static inline bool log_world_is_closed(void *arg) {
    struct log_world *w = arg;
    return w->closed || sk_sim_is_dead(w->io);
}

/* Power may go meanwhile: then closing ends in log_world_power_on. */
static inline void log_world_close(struct log_world *w) {
    sk_log_close(w->log, log_world_on_closed, w);
    w->log = NULL;
    assert_true(sk_sim_run_until(w->sim, SK_S, log_world_is_closed, w));
}

static inline void log_world_reopen(struct log_world *w) {
    log_world_close(w);
    assert_int_equal(log_world_open(w), SK_OK);
}

/* The log is closed on the dead machine, which then comes back; nothing is opened. */
static inline void log_world_power_on(struct log_world *w) {
    if (w->log) log_world_close(w);
    w->io = sk_sim_power_on(w->io);
    assert_true(w->closed);
}

static inline void log_world_free(struct log_world *w) {
    if (w->log) log_world_close(w);
    sk_sim_free(w->sim);
}

struct log_world_append {
    struct log_world *world;
    uint64_t number;
};

static inline void log_world_done(void *arg, enum sk_status status, uint64_t sequence) {
    struct log_world_append *append = arg;
    struct log_world *w = append->world;
    assert_true(append->number > w->last_told); /* in append order */
    w->last_told = append->number;
    w->told++;
    w->last_status = status;
    if (status == SK_OK) {
        w->acknowledged++;
        w->last_sequence = sequence;
    } else {
        w->refused++;
    }
    free(append);
}

/* Appends "<number>:" and padding up to `size` bytes. */
static inline enum sk_status log_world_append_sized(struct log_world *w, uint64_t routes,
                                                    size_t size) {
    char text[24];
    int n = snprintf(text, sizeof text, "%llu:", (unsigned long long)w->appended + 1);
    size_t more = size > (size_t)n ? size - (size_t)n : 0;
    char *padding = sk_alloc(more);
    memset(padding, '.', more);
    struct log_world_append *append = SK_NEW(struct log_world_append);
    *append = (struct log_world_append){w, w->appended + 1};
    enum sk_status status =
        sk_log_append(w->log, (struct sk_span[]){sk_span(text, (size_t)n), sk_span(padding, more)},
                      2, routes, log_world_done, append);
    free(padding);
    if (status)
        free(append);
    else
        w->appended++;
    return status;
}

static inline enum sk_status log_world_append(struct log_world *w) {
    return log_world_append_sized(w, 1, 0);
}

static inline uint64_t log_world_number(const struct sk_record *record) {
    int64_t number = 0;
    assert_int_equal(
        sk_span_to_int(sk_span_first(record->body, sk_span_find(record->body, ':')), &number),
        SK_OK);
    return (uint64_t)number;
}

static inline void log_world_run(struct log_world *w) {
    sk_sim_run(w->sim, 20 * SK_MS);
}

/* Appends `count` records and waits until they are acknowledged. */
static inline void log_world_fill(struct log_world *w, uint64_t count, size_t size) {
    uint64_t before = w->acknowledged;
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(log_world_append_sized(w, 1, size), SK_OK);
    log_world_run(w);
    assert_int_equal(w->acknowledged - before, count);
}

#endif
