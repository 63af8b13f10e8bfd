/* The time series store on the simulated disk: what is added comes back, in order, once, whatever
 * becomes of the machine. */
#include <stdio.h>

#include "io/sim/sim.h"
#include "series/store.h"
#include "support/test.h"

#define T0 1767225600000ll /* 2026-01-01T00:00:00Z */

struct world {
    struct sk_sim *sim;
    struct sk_io *io;
    struct sk_series_options options;
    struct sk_series *store;
    uint64_t next, given; /* position of the next event, and of the next that is given */
    bool done;
    /* of a read */
    char text[4096];
    size_t rows, offered;
    int64_t last;
    double sum;
    bool in_order;
    enum sk_status status;
    size_t most; /* rows at once; 0: any number */
};

static void open_store(struct world *w) {
    char reason[512];
    if (sk_series_open(w->io, &w->options, &w->store, reason)) fail_msg("%s", reason);
}

static int begin(void **state) {
    struct world *w = SK_NEW(struct world);
    w->sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    w->io = sk_sim_node(w->sim, "hub");
    w->options = (struct sk_series_options){.folder = "/series"};
    w->next = 1;
    open_store(w);
    *state = w;
    return 0;
}

static void closed(void *arg) {
    ((struct world *)arg)->done = true;
}

static void close_store(struct world *w) {
    w->done = false;
    sk_series_close(w->store, closed, w);
    sk_sim_run(w->sim, SK_S);
    assert_true(w->done);
    w->store = NULL;
}

static int end(void **state) {
    struct world *w = *state;
    if (w->store) close_store(w);
    sk_sim_free(w->sim);
    free(w);
    return 0;
}

AROUND(begin, end);

static enum sk_status add_of(struct world *w, const char *instance, int64_t at, double value,
                             const char *state_text, uint64_t position) {
    struct sk_series_field fields[] = {
        {{SK_SPAN("t"), SK_SERIES_DOUBLE}, {.number = value}},
        {{SK_SPAN("state"), SK_SERIES_STRING}, {.text = sk_span_z(state_text)}}};
    return sk_series_add(w->store,
                         &(struct sk_series_event){.instance = sk_span_z(instance),
                                                   .time = T0 + at,
                                                   .fields = fields,
                                                   .field_count = state_text ? 2 : 1},
                         position);
}

static void add(struct world *w, const char *instance, int64_t at, double value) {
    assert_int_equal(add_of(w, instance, at, value, NULL, w->next), SK_OK);
    sk_series_reach(w->store, ++w->next);
}

static void flush(struct world *w) {
    sk_series_flush(w->store);
    sk_sim_run(w->sim, 2 * SK_S);
}

static bool on_rows(void *arg, const struct sk_series_rows *rows) {
    struct world *w = arg;
    assert_in_range(rows->count, 1, w->most ? w->most : SK_SERIES_BLOCK_ROWS);
    for (size_t i = 0; i < rows->count; i++) {
        if (w->rows && rows->times[i] < w->last) w->in_order = false;
        w->last = rows->times[i];
        w->rows++;
        for (size_t c = 0; c < rows->column_count; c++) {
            const struct sk_series_column *column = &rows->columns[c];
            if (column->present && !column->present[i]) continue;
            size_t n = strlen(w->text);
            if (column->property.type == SK_SERIES_STRING) {
                snprintf(w->text + n, sizeof w->text - n, "%.*s ", SK_ARG(column->values[i].text));
            } else {
                w->sum += column->values[i].number;
                snprintf(w->text + n, sizeof w->text - n, "%g ", column->values[i].number);
            }
        }
    }
    return true;
}

static bool on_block(void *arg, const struct sk_series_summary *summary) {
    struct world *w = arg;
    w->offered++;
    w->rows += summary->rows;
    for (size_t i = 0; i < summary->column_count; i++) w->sum += summary->columns[i].sum;
    return true;
}

static void on_done(void *arg, enum sk_status status) {
    struct world *w = arg;
    w->status = status;
    w->done = true;
}

static void read_with(struct world *w, const char *instance, int64_t from, int64_t to,
                      bool summaries) {
    w->text[0] = '\0';
    w->rows = w->offered = 0;
    w->sum = 0;
    w->in_order = true;
    w->done = false;
    sk_series_read(
        w->store,
        &(struct sk_series_ask){.instance = sk_span_z(instance),
                                .from = T0 + from,
                                .to = T0 + to,
                                .rows_most = w->most},
        &(struct sk_series_reader){
            .rows = on_rows, .block = summaries ? on_block : NULL, .done = on_done, .arg = w});
    sk_sim_run(w->sim, SK_S);
    assert_true(w->done && w->in_order);
    assert_int_equal(w->status, SK_OK);
}

#define EXPECT(w, instance, from, to, expected)                                                    \
    do {                                                                                           \
        read_with(w, instance, from, to, false);                                                   \
        assert_string_equal((w)->text, expected);                                                  \
    } while (0)

TEST(rows_come_by_time_from_memory_and_disk_together) {
    struct world *w = *state;
    add(w, "[\"a\"]", 20, 2);
    add(w, "[\"b\"]", 5, 9);
    add(w, "[\"a\"]", 10, 1);
    EXPECT(w, "[\"a\"]", 0, 100, "1 2 ");
    flush(w);
    assert_int_equal(sk_series_counts(w->store).parts, 1);
    assert_int_equal(sk_series_position(w->store), w->next);
    add(w, "[\"a\"]", 15, 3);
    add(w, "[\"a\"]", 20, 4); /* the same time: behind the one that came first */
    EXPECT(w, "[\"a\"]", 0, 100, "1 3 2 4 ");
    EXPECT(w, "[\"a\"]", 15, 20, "3 ");
    EXPECT(w, "[\"a\"]", 21, 100, "");
    EXPECT(w, "[\"b\"]", 0, 100, "9 ");
    EXPECT(w, "[\"none\"]", 0, 100, "");
    flush(w);
    close_store(w);
    open_store(w);
    EXPECT(w, "[\"a\"]", 0, 100, "1 3 2 4 ");
    assert_int_equal(sk_series_position(w->store), w->next);
}

TEST(what_is_not_on_disk_is_asked_for_again) {
    struct world *w = *state;
    add(w, "[\"a\"]", 1, 1);
    flush(w);
    add(w, "[\"a\"]", 2, 2);
    uint64_t position = sk_series_position(w->store);
    close_store(w);
    open_store(w);
    assert_int_equal(sk_series_position(w->store), position);
    EXPECT(w, "[\"a\"]", 0, 100, "1 ");
}

TEST(parts_are_merged_and_blocks_are_known_without_being_read) {
    struct world *w = *state;
    double sum = 0;
    for (int part = 0; part < 70; part++) {
        for (int i = 0; i < 10; i++) {
            add(w, i % 2 ? "[\"a\"]" : "[\"b\"]", part * 1000 + (i * 37) % 100, part + i);
            if (i % 2) sum += part + i;
        }
        flush(w);
    }
    sk_sim_run(w->sim, 10 * SK_S);
    assert_in_range(sk_series_counts(w->store).parts, 1, 15);
    assert_int_equal(sk_series_counts(w->store).rows, 700);
    read_with(w, "[\"a\"]", 0, 100000, false);
    assert_int_equal(w->rows, 350);
    assert_true(w->sum == sum);
    read_with(w, "[\"a\"]", 0, 100000, true);
    assert_int_equal(w->rows, 350);
    assert_true(w->sum == sum);
    assert_true(w->offered > 0);
    close_store(w);
    open_store(w);
    read_with(w, "[\"a\"]", 0, 100000, false);
    assert_int_equal(w->rows, 350);
    assert_int_equal(sk_series_position(w->store), w->next);
}

TEST(memory_that_fills_while_parts_are_merged_is_written_then) {
    struct world *w = *state;
    enum { EVENTS = 100000, STEPS = 10000 };
    close_store(w);
    w->options.memory_bytes = 64 << 10;
    open_store(w);
    sk_sim_disk_slow(w->io, 50 * SK_MS);
    for (size_t i = 0; i < STEPS && w->next <= EVENTS; i++) {
        for (size_t n = 0; n < 100 && sk_series_has_room(w->store); n++)
            add(w, "[\"a\"]", (int64_t)w->next * 1000, 1);
        sk_sim_run(w->sim, SK_MS);
    }
    assert_true(w->next > EVENTS);
    /* and what is left in memory waits for the next minute, not for the next event */
    sk_sim_run(w->sim, 70 * SK_S);
    assert_int_equal(sk_series_position(w->store), w->next);
}

TEST(blocks_that_touch_in_one_time_are_known_without_being_read_too) {
    struct world *w = *state;
    add(w, "[\"a\"]", 10, 1);
    add(w, "[\"a\"]", 20, 2);
    flush(w);
    add(w, "[\"a\"]", 20, 3);
    add(w, "[\"a\"]", 30, 4);
    flush(w);
    read_with(w, "[\"a\"]", 0, 100, true);
    assert_int_equal(w->offered, 2);
    EXPECT(w, "[\"a\"]", 0, 100, "1 2 3 4 ");
    add(w, "[\"a\"]", 5, 5);
    add(w, "[\"a\"]", 10, 6); /* came later: behind the first row of the first block */
    EXPECT(w, "[\"a\"]", 0, 100, "5 1 6 2 3 4 ");
}

TEST(rows_come_as_few_at_once_as_is_asked) {
    struct world *w = *state;
    for (int i = 0; i < 10; i++) add(w, "[\"a\"]", i * 10, i);
    flush(w);
    w->most = 3;
    EXPECT(w, "[\"a\"]", 0, 100, "0 1 2 3 4 5 6 7 8 9 ");
    EXPECT(w, "[\"a\"]", 0, 60, "0 1 2 3 4 5 ");
    for (int i = 0; i < 5; i++) add(w, "[\"a\"]", i * 20 + 5, 10 + i); /* overlapping */
    EXPECT(w, "[\"a\"]", 0, 100, "0 10 1 2 11 3 4 12 5 6 13 7 8 14 9 ");
    w->most = 0;
}

TEST(a_deleted_instance_is_gone_and_begins_anew) {
    struct world *w = *state;
    for (int round = 0; round < 3; round++) {
        add(w, "[\"a\"]", round, 1);
        add(w, "[\"b\"]", round, 2);
        if (round < 2) flush(w);
    }
    assert_int_equal(sk_series_delete(w->store, SK_SPAN("[\"a\"]")), SK_OK);
    assert_int_equal(sk_series_delete(w->store, SK_SPAN("[\"none\"]")), SK_NOT_FOUND);
    EXPECT(w, "[\"a\"]", 0, 100, "");
    EXPECT(w, "[\"b\"]", 0, 100, "2 2 2 ");
    struct sk_series_instance known;
    assert_int_equal(sk_series_instance_find(w->store, SK_SPAN("[\"a\"]"), &known), SK_NOT_FOUND);
    add(w, "[\"a\"]", 50, 7);
    EXPECT(w, "[\"a\"]", 0, 100, "7 ");
    uint64_t position = sk_series_position(w->store);
    close_store(w);
    open_store(w);
    EXPECT(w, "[\"a\"]", 0, 100, "");
    assert_int_equal(sk_series_position(w->store), position);
    add_of(w, "[\"a\"]", 2, 1, NULL, position); /* from the log again: it was deleted since */
    add_of(w, "[\"a\"]", 50, 7, NULL, w->next - 1);
    sk_series_reach(w->store, w->next);
    EXPECT(w, "[\"a\"]", 0, 100, "7 ");
    for (int i = 0; i < 20; i++) {
        add(w, "[\"a\"]", 60 + i, 8);
        flush(w);
    }
    read_with(w, "[\"a\"]", 0, 100, false);
    assert_int_equal(w->rows, 21);
}

TEST(the_oldest_goes_by_age_and_by_size) {
    struct world *w = *state;
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < 500; k++) add(w, "[\"a\"]", i * 1000 + k, k * 0.123456789);
        flush(w);
        sk_sim_run(w->sim, 3600 * SK_S);
    }
    uint64_t bytes = sk_series_counts(w->store).disk_bytes;
    w->options.retention_bytes = bytes / 2;
    sk_series_set(w->store, &w->options);
    assert_true(sk_series_counts(w->store).disk_bytes <= bytes / 2);
    assert_int_equal(sk_series_counts(w->store).rows, 1500);
    w->options.retention_bytes = 0;
    w->options.retention_us = 5400ull * 1000000;
    sk_series_set(w->store, &w->options);
    assert_int_equal(sk_series_counts(w->store).rows, 500);
}

TEST(limits_hold_and_what_is_beyond_is_counted) {
    struct world *w = *state;
    close_store(w);
    w->options.properties = 1;
    w->options.instances = 2;
    open_store(w);
    assert_int_equal(add_of(w, "[\"a\"]", 0, 1, "open", 1), SK_OK);
    assert_int_equal(add_of(w, "[\"b\"]", 0, 1, NULL, 2), SK_OK);
    assert_int_equal(add_of(w, "[\"c\"]", 0, 1, NULL, 3), SK_TOO_LARGE);
    EXPECT(w, "[\"a\"]", 0, 100, "1 ");
    assert_int_equal(add_of(w, "[\"a\"]", SK_SERIES_TIME_MAX - T0, 2, NULL, 4), SK_OK);
    assert_int_equal(add_of(w, "[\"a\"]", SK_SERIES_TIME_MIN - T0, 3, NULL, 5), SK_OK);
    assert_int_equal(add_of(w, "[\"a\"]", SK_SERIES_TIME_MAX - T0 + 1, 4, NULL, 6), SK_INVALID);
    assert_int_equal(add_of(w, "[\"a\"]", SK_SERIES_TIME_MIN - T0 - 1, 5, NULL, 7), SK_INVALID);
    struct sk_series_counts counts = sk_series_counts(w->store);
    assert_int_equal(counts.refused_total, 3);
    assert_int_equal(counts.dropped_total, 1);
    assert_int_equal(counts.properties, 1);
    assert_int_equal(counts.instances, 2);
    flush(w);
    EXPECT(w, "[\"a\"]", SK_SERIES_TIME_MIN - T0, SK_SERIES_TIME_MAX - T0 + 1, "3 1 2 ");
}

/* How many of `count` names, from p`first` on, a series gets. */
static size_t name_properties(struct world *w, const char *instance, unsigned first, size_t count) {
    size_t before = sk_series_property_count(w->store);
    for (unsigned i = first; i < first + count; i++) {
        char name[8];
        snprintf(name, sizeof name, "p%u", i);
        struct sk_series_field field = {{sk_span_z(name), SK_SERIES_LONG}, {.integer = 1}};
        assert_int_equal(sk_series_add(w->store,
                                       &(struct sk_series_event){.instance = sk_span_z(instance),
                                                                 .time = T0,
                                                                 .fields = &field,
                                                                 .field_count = 1},
                                       w->next++),
                         SK_OK);
    }
    return sk_series_property_count(w->store) - before;
}

TEST(a_series_that_invents_names_leaves_some_to_others) {
    struct world *w = *state;
    close_store(w);
    w->options.properties = 8;
    open_store(w);
    assert_int_equal(name_properties(w, "[\"a\"]", 0, 9), 4);
    assert_int_equal(name_properties(w, "[\"b\"]", 0, 9), 2); /* beside those of `a` */
    assert_int_equal(name_properties(w, "[\"c\"]", 100, 1), 1);
    assert_int_equal(name_properties(w, "[\"d\"]", 200, 3), 1);
    assert_int_equal(sk_series_counts(w->store).dropped_total, 5 + 3 + 0 + 2);
    assert_int_equal(name_properties(w, "[\"e\"]", 0, 4), 0);
    assert_int_equal(sk_series_counts(w->store).dropped_total, 10);
}

TEST(texts_of_every_size_come_back_and_instances_are_listed) {
    struct world *w = *state;
    static char large[256 * 1024];
    memset(large, 'x', sizeof large - 1);
    for (int i = 0; i < 20; i++) assert_int_equal(add_of(w, "[\"a\"]", i, i, large, 1), SK_OK);
    add_of(w, "[\"b\"]", 60000, 1, "shut", 2);
    flush(w);
    EXPECT(w, "[\"b\"]", 0, 100000, "1 shut ");
    struct sk_series_instance instance;
    size_t at = sk_series_instance_next(w->store, 0, &instance);
    assert_true(sk_span_is(instance.name, "[\"a\"]"));
    assert_int_equal(instance.rows, 20);
    assert_int_equal(instance.last_time, T0 + 19);
    at = sk_series_instance_next(w->store, at, &instance);
    assert_true(sk_span_is(instance.name, "[\"b\"]"));
    assert_int_equal(sk_series_instance_next(w->store, at, &instance), 0);
    struct sk_series_availability there = sk_series_availability(w->store);
    assert_int_equal(there.count, 2);
    assert_int_equal(there.width_ms, 60000);
    assert_int_equal(there.intervals[0].rows, 20);
    assert_int_equal(there.intervals[1].start, T0 + 60000);
    free(there.intervals);
}

/* The log's records up to the last, after a start from where the store says. */
static void give(struct world *w) {
    for (uint64_t i = w->given; i < w->next; i++) {
        char name[8];
        snprintf(name, sizeof name, "[\"%c\"]", (int)('a' + i % 3));
        add_of(w, name, (int64_t)(i * 7919 % 5000), (double)i, NULL, i);
    }
    w->given = w->next;
    sk_series_reach(w->store, w->next);
}

TEST(nothing_is_lost_and_nothing_is_there_twice_across_power_losses_at_every_write) {
    struct world *w = *state;
    w->given = 1;
    for (uint64_t cut = 1; cut <= 40; cut++)
        for (enum sk_sim_loss loss = 0; loss < 3; loss++) {
            sk_sim_power_cut_after(w->io, 1 + cut % 7, loss);
            for (int i = 0; i < 12 && !sk_sim_is_dead(w->io); i++) {
                w->next += 5;
                give(w);
                flush(w);
            }
            if (!sk_sim_is_dead(w->io)) sk_sim_power_cut(w->io, loss);
            sk_series_close(w->store, NULL, NULL);
            w->io = sk_sim_power_on(w->io);
            open_store(w);
            w->given = sk_series_position(w->store) ? sk_series_position(w->store) : 1;
            give(w);
            double sum = 0;
            size_t rows = 0;
            for (int i = 0; i < 3; i++) {
                char name[8];
                snprintf(name, sizeof name, "[\"%c\"]", 'a' + i);
                read_with(w, name, 0, 5000, false);
                sum += w->sum;
                rows += w->rows;
            }
            assert_int_equal(rows, w->next - 1);
            assert_true(sum == (double)(w->next - 1) * (double)w->next / 2);
        }
    assert_int_equal(sk_series_counts(w->store).damaged, 0);
}
