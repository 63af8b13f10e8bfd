#include "support/log_world.h"

void log_world_new(struct log_world *w, uint64_t seed) {
    *w = (struct log_world){.open = log_world_open_segments,
                            .options = {.folder = "/log", .keep_free_bytes = 1}};
    w->sim = sk_sim_new(&(struct sk_sim_options){.seed = seed});
    w->io = sk_sim_node(w->sim, "hub");
}

enum sk_status log_world_open_segments(struct log_world *w) {
    return sk_log_segments_open(w->io, &w->options, &w->log, &w->recovery);
}

enum sk_status log_world_open(struct log_world *w) {
    w->closed = false;
    return w->open(w);
}

void log_world_on_closed(void *arg) {
    ((struct log_world *)arg)->closed = true;
}

static bool log_world_is_closed(void *arg) {
    struct log_world *w = arg;
    return w->closed || sk_sim_is_dead(w->io);
}

void log_world_close(struct log_world *w) {
    sk_log_close(w->log, log_world_on_closed, w);
    w->log = NULL;
    assert_true(sk_sim_run_until(w->sim, SK_S, log_world_is_closed, w));
}

void log_world_reopen(struct log_world *w) {
    log_world_close(w);
    assert_int_equal(log_world_open(w), SK_OK);
}

void log_world_power_on(struct log_world *w) {
    if (w->log) log_world_close(w);
    w->io = sk_sim_power_on(w->io);
    assert_true(w->closed);
}

void log_world_free(struct log_world *w) {
    if (w->log) log_world_close(w);
    sk_sim_free(w->sim);
}

struct log_world_append {
    struct log_world *world;
    uint64_t number;
};

static void log_world_done(void *arg, enum sk_status status, uint64_t sequence) {
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

enum sk_status log_world_append_sized(struct log_world *w, uint64_t routes, size_t size) {
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

enum sk_status log_world_append(struct log_world *w) {
    return log_world_append_sized(w, 1, 0);
}

uint64_t log_world_number(const struct sk_record *record) {
    int64_t number = 0;
    assert_int_equal(
        sk_span_to_int(sk_span_first(record->body, sk_span_find(record->body, ':')), &number),
        SK_OK);
    return (uint64_t)number;
}

void log_world_run(struct log_world *w) {
    sk_sim_run(w->sim, 20 * SK_MS);
}

void log_world_fill(struct log_world *w, uint64_t count, size_t size) {
    uint64_t before = w->acknowledged;
    for (uint64_t i = 0; i < count; i++)
        assert_int_equal(log_world_append_sized(w, 1, size), SK_OK);
    log_world_run(w);
    assert_int_equal(w->acknowledged - before, count);
}

/* ---- reading ---- */

struct sk_cursor *log_world_cursor(struct log_world *w, const char *name, uint64_t routes,
                                   uint64_t from) {
    struct sk_cursor *cursor;
    assert_int_equal(sk_cursor_open(w->log, name, routes, from, NULL, NULL, &cursor), SK_OK);
    return cursor;
}

struct sk_cursor *log_world_reader(struct log_world *w, uint64_t sequence) {
    return log_world_cursor(w, NULL, UINT64_MAX, sequence);
}

uint64_t log_world_next(struct sk_cursor *cursor) {
    struct sk_record record;
    enum sk_status status = sk_cursor_next(cursor, &record);
    assert_int_equal(status, SK_OK);
    return log_world_number(&record);
}

enum sk_status log_world_status(struct sk_cursor *cursor) {
    struct sk_record record;
    return sk_cursor_next(cursor, &record);
}

void log_world_expect(struct log_world *w, uint64_t sequence, uint64_t first, uint64_t last) {
    struct sk_cursor *cursor = log_world_reader(w, sequence);
    for (uint64_t number = first; number <= last; number++)
        assert_int_equal(log_world_next(cursor), number);
    assert_int_equal(log_world_status(cursor), SK_AGAIN);
    sk_cursor_close(cursor);
}
