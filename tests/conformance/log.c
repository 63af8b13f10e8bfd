/* What every implementation of the log must do. The stories know nothing but log.h; another
 * implementation is a row of the table. What one of them does with its disk: unit/log_segments,
 * sim/log_power_loss.c, sim/log_faults.c. */
#include "support/memory_log.h"

static struct log_world w;

/* ---- implementations: each opens, over and over, what w stands for as w.log ---- */

static const struct implementation {
    const char *name;
    enum sk_status (*open)(struct log_world *w);
} implementations[] = {
    {"segments", log_world_open_segments},
    {"memory", memory_log_open},
};
static const struct implementation *implementation;

static void choose(const char *name) {
    implementation = implementations;
    while (strcmp(implementation->name, name) != 0) implementation++;
}

__attribute__((constructor)) static void register_implementations(void) {
    enum { COUNT = sizeof implementations / sizeof *implementations };
    static const char *names[COUNT + 1];
    for (size_t i = 0; i < COUNT; i++) names[i] = implementations[i].name;
    test_register_variants(choose, names);
}

static int set_up(void **state) {
    (void)state;
    log_world_new(&w, 2);
    w.open = implementation->open;
    w.options.segment_bytes = 4000; /* for those who have segments: stories reach over several */
    return log_world_open(&w);
}

static int tear_down(void **state) {
    (void)state;
    log_world_free(&w);
    memory_log_forget();
    return 0;
}

AROUND(set_up, tear_down);

/* ---- appending ---- */

TEST(records_are_acknowledged_in_order_once_durable_and_read_back) {
    for (int i = 0; i < 100; i++) assert_int_equal(log_world_append(&w), SK_OK);
    assert_int_equal(w.told, 0);
    assert_int_equal(sk_log_next_sequence(w.log), 1);
    log_world_run(&w);
    assert_int_equal(w.acknowledged, 100);
    assert_int_equal(w.last_sequence, 100);
    assert_int_equal(sk_log_next_sequence(w.log), 101);
    log_world_expect(&w, 0, 1, 100);
    log_world_expect(&w, 51, 51, 100);
}

TEST(nothing_is_readable_before_it_is_durable) {
    struct sk_cursor *cursor = log_world_reader(&w, 0);
    struct sk_record record;
    log_world_append(&w);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_AGAIN);
    sk_sim_run(w.sim, 1000); /* being written */
    assert_int_equal(sk_cursor_next(cursor, &record), SK_AGAIN);
    log_world_run(&w);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    sk_cursor_close(cursor);
}

TEST(a_record_at_the_limit_is_taken_and_one_byte_more_is_not) {
    char *big = sk_alloc(SK_RECORD_MAX + 1);
    struct sk_span parts[] = {sk_span(big, SK_RECORD_MAX - 5), sk_span(big, 5), sk_span(big, 1)};
    assert_int_equal(sk_log_append(w.log, parts, 3, 1, NULL, NULL), SK_TOO_LARGE);
    assert_int_equal(sk_log_append(w.log, parts, 2, 1, NULL, NULL), SK_OK);
    /* An empty body is a record too. */
    assert_int_equal(sk_log_append(w.log, NULL, 0, 1, NULL, NULL), SK_OK);
    log_world_run(&w);
    log_world_reopen(&w);
    struct sk_cursor *cursor = log_world_reader(&w, 0);
    struct sk_record record;
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    assert_int_equal(record.body.n, SK_RECORD_MAX);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    assert_int_equal(record.body.n, 0);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_AGAIN);
    sk_cursor_close(cursor);
    free(big);
}

TEST(records_survive_reopening_and_numbers_go_on) {
    log_world_fill(&w, 10, 0);
    log_world_reopen(&w);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    assert_int_equal(sk_log_next_sequence(w.log), 11);
    log_world_fill(&w, 10, 0);
    assert_int_equal(w.last_sequence, 20);
    log_world_expect(&w, 0, 1, 20);
}

TEST(times_never_go_back_even_when_the_clock_does) {
    struct sk_record record;
    log_world_fill(&w, 1, 0);
    sk_sim_clock_jump(w.io, -3600000000);
    log_world_reopen(&w);
    log_world_fill(&w, 1, 0);
    sk_sim_clock_jump(w.io, 7200000000);
    log_world_fill(&w, 1, 0);
    struct sk_cursor *cursor = log_world_reader(&w, 0);
    int64_t times[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
        times[i] = record.wall_us;
    }
    assert_true(times[1] == times[0]);
    assert_true(times[2] > times[1] + 3500000000);
    sk_cursor_close(cursor);
}

TEST(no_time_has_passed_of_which_a_record_is_not_durable) {
    struct sk_record record;
    log_world_fill(&w, 1, 0);
    assert_true(sk_log_passed(w.log) == sk_io_wall(w.io));
    int64_t appended = sk_io_wall(w.io);
    log_world_append(&w);
    sk_sim_run(w.sim, 50000);
    assert_true(sk_io_wall(w.io) > appended);
    assert_true(sk_log_passed(w.log) == appended);
    log_world_run(&w);
    assert_true(sk_log_passed(w.log) == sk_io_wall(w.io));
    struct sk_cursor *cursor = log_world_reader(&w, 2);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    assert_true(record.wall_us == appended);
    sk_cursor_close(cursor);
}

TEST(closing_completes_what_is_gathered_and_takes_no_more) {
    log_world_append(&w);
    sk_sim_run(w.sim, 1000);
    log_world_append(&w);
    sk_log_close(w.log, log_world_on_closed, &w);
    assert_int_equal(log_world_append(&w), SK_CLOSED);
    assert_false(w.closed);
    sk_sim_run(w.sim, SK_S);
    assert_true(w.closed);
    assert_int_equal(w.acknowledged, 2);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(sk_log_next_sequence(w.log), 3);
}

static void close_when_told(void *arg, enum sk_status status, uint64_t sequence) {
    (void)status, (void)sequence;
    if (arg) sk_log_close(w.log, log_world_on_closed, &w);
}

TEST(the_log_can_be_closed_from_its_own_callback) {
    for (int i = 0; i < 3; i++)
        sk_log_append(w.log, NULL, 0, 1, close_when_told, i == 1 ? &w : NULL);
    sk_sim_run(w.sim, SK_S);
    assert_true(w.closed);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(sk_log_next_sequence(w.log), 4);
}

/* ---- cursors ---- */

TEST(a_cursor_sees_only_the_records_for_its_routes) {
    for (uint64_t i = 0; i < 30; i++) log_world_append_sized(&w, 1u << i % 3, 0);
    log_world_append_sized(&w, 0, 0); /* for nobody */
    log_world_run(&w);
    struct sk_cursor *second = log_world_cursor(&w, NULL, 2, 0),
                     *all = log_world_cursor(&w, NULL, UINT64_MAX, 0),
                     *two = log_world_cursor(&w, NULL, 5, 0);
    for (uint64_t i = 0; i < 10; i++) assert_int_equal(log_world_next(second), i * 3 + 2);
    assert_int_equal(log_world_status(second), SK_AGAIN);
    for (uint64_t i = 0; i < 31; i++) assert_int_equal(log_world_next(all), i + 1);
    assert_int_equal(log_world_next(two), 1);
    assert_int_equal(log_world_next(two), 3);
    sk_cursor_routes(two, 2);
    assert_int_equal(log_world_next(two), 5);
}

TEST(a_cursor_can_begin_at_the_oldest_the_next_or_any_sequence) {
    log_world_fill(&w, 20, 100);
    struct sk_cursor *oldest = log_world_cursor(&w, NULL, UINT64_MAX, 0),
                     *next = log_world_cursor(&w, NULL, UINT64_MAX, UINT64_MAX),
                     *middle = log_world_cursor(&w, NULL, UINT64_MAX, 7);
    assert_int_equal(log_world_status(next), SK_AGAIN);
    log_world_fill(&w, 1, 0);
    assert_int_equal(log_world_next(oldest), 1);
    assert_int_equal(log_world_next(next), 21);
    assert_int_equal(log_world_next(middle), 7);
    sk_cursor_seek(middle, 20);
    assert_int_equal(sk_cursor_position(middle), 20);
    assert_int_equal(log_world_next(middle), 20);
    sk_cursor_seek(middle, 3);
    assert_int_equal(log_world_next(middle), 3);
    sk_cursor_seek(middle, UINT64_MAX);
    assert_int_equal(log_world_status(middle), SK_AGAIN);
}

TEST(seeking_by_time_finds_the_first_record_not_before_it) {
    enum { COUNT = 400 };
    int64_t times[COUNT + 1];
    for (int i = 1; i <= COUNT; i++) {
        times[i] = sk_io_wall(w.io);
        log_world_append_sized(
            &w, 1, 2000); /* larger than the index's stride after some dozens; several segments */
        sk_sim_run(w.sim, SK_S);
    }
    assert_int_equal(w.acknowledged, COUNT);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct sk_cursor *cursor = log_world_cursor(&w, NULL, UINT64_MAX, 0);
        for (int i = 1; i <= COUNT; i += 13) {
            sk_cursor_seek_time(cursor, times[i]);
            assert_int_equal(log_world_next(cursor), i);
            assert_int_equal(log_world_next(cursor), i < COUNT ? i + 1 : i);
            sk_cursor_seek_time(cursor, times[i] - 1);
            assert_int_equal(log_world_next(cursor), i);
        }
        sk_cursor_seek_time(cursor, sk_io_wall(w.io) + 1);
        assert_int_equal(log_world_status(cursor), SK_AGAIN);
        log_world_reopen(&w);
    }
}

static void count_call(void *arg) {
    ++*(unsigned *)arg;
}

TEST(a_waiting_cursor_is_told_once_of_new_records) {
    struct sk_cursor *cursor;
    unsigned calls = 0;
    assert_int_equal(sk_cursor_open(w.log, NULL, UINT64_MAX, 0, count_call, &calls, &cursor),
                     SK_OK);
    log_world_fill(&w, 1, 0);
    assert_int_equal(calls, 0); /* it has not been at the end yet */
    assert_int_equal(log_world_next(cursor), 1);
    assert_int_equal(log_world_status(cursor), SK_AGAIN);
    log_world_fill(&w, 5, 0);
    log_world_fill(&w, 5, 0);
    assert_int_equal(calls, 1);
    while (log_world_status(cursor) == SK_OK) {
    }
    log_world_fill(&w, 1, 0);
    assert_int_equal(calls, 2);
}

struct greedy {
    struct sk_cursor *cursor;
    unsigned calls;
    uint64_t read;
};

static void read_all(void *arg) {
    struct greedy *greedy = arg;
    struct sk_record record;
    greedy->calls++;
    while (sk_cursor_next(greedy->cursor, &record) == SK_OK) greedy->read++;
}

static void close_it(void *arg) {
    struct greedy *greedy = arg;
    greedy->calls++;
    sk_cursor_close(greedy->cursor);
}

TEST(cursors_may_read_to_the_end_or_close_while_they_are_told) {
    struct greedy readers[3] = {0};
    for (int i = 0; i < 3; i++) {
        sk_cursor_open(w.log, NULL, UINT64_MAX, 0, i == 1 ? close_it : read_all, &readers[i],
                       &readers[i].cursor);
        assert_int_equal(log_world_status(readers[i].cursor), SK_AGAIN);
    }
    log_world_fill(&w, 10, 0);
    log_world_fill(&w, 10, 0);
    assert_int_equal(readers[0].read, 20);
    assert_int_equal(readers[2].read, 20);
    assert_int_equal(readers[1].calls, 1);
}

TEST(a_named_cursor_continues_where_it_committed) {
    log_world_fill(&w, 20, 0);
    struct sk_cursor *cursor = log_world_cursor(&w, "upstream", 1, 0),
                     *other = log_world_cursor(&w, "other", 1, 5);
    struct sk_cursor *twice;
    assert_int_equal(sk_cursor_open(w.log, "upstream", 1, 0, NULL, NULL, &twice), SK_EXISTS);
    for (int i = 0; i < 10; i++) log_world_next(cursor);
    sk_cursor_commit(cursor, 8);
    assert_int_equal(sk_cursor_committed(cursor), 8);
    log_world_next(other);
    log_world_reopen(&w);
    cursor = log_world_cursor(&w, "upstream", 1, 0);
    assert_int_equal(log_world_next(cursor), 8);
    other = log_world_cursor(&w, "other", 1, 0);
    assert_int_equal(log_world_next(other), 5);
    sk_cursor_close(cursor);
    cursor = log_world_cursor(&w, "upstream", 1, 0); /* in the same life too */
    assert_int_equal(log_world_next(cursor), 8);
    sk_cursor_close(cursor);
    sk_log_forget_cursor(w.log, "upstream");
    log_world_reopen(&w);
    cursor = log_world_cursor(&w, "upstream", 1, 0);
    assert_int_equal(log_world_next(cursor), 1);
}

TEST(records_for_others_count_as_done_with) {
    struct sk_cursor *cursor = log_world_cursor(&w, "rare", 2, 0);
    log_world_append_sized(&w, 2, 0);
    for (int i = 0; i < 9; i++) log_world_append_sized(&w, 1, 0);
    log_world_run(&w);
    assert_int_equal(log_world_next(cursor), 1);
    assert_int_equal(log_world_status(cursor), SK_AGAIN);
    assert_int_equal(sk_cursor_committed(cursor), 1); /* the record given out is not done with */
    sk_cursor_commit(cursor, 2);
    log_world_fill(&w, 1, 0);
    assert_int_equal(log_world_status(cursor), SK_AGAIN);
    assert_int_equal(sk_cursor_committed(cursor), 12);
}

/* ---- reading early ---- */

static void never(void *arg, uint64_t from) {
    (void)arg, (void)from;
    fail();
}

TEST(an_early_cursor_reads_what_is_appended_and_commits_no_more_than_is_durable) {
    struct sk_cursor *cursor = log_world_cursor(&w, "early", 1, 0);
    sk_cursor_early(cursor, never);
    log_world_fill(&w, 3, 0);
    for (int i = 0; i < 3; i++) log_world_append(&w);
    sk_sim_run(w.sim, 1000); /* these are being written, the next gather */
    for (int i = 0; i < 3; i++) log_world_append(&w);
    log_world_append_sized(&w, 2, 0);
    assert_int_equal(w.acknowledged, 3);
    for (unsigned i = 1; i <= 7; i++) assert_int_equal(log_world_next(cursor), i);
    sk_cursor_commit(cursor, 8);
    assert_int_equal(sk_cursor_committed(cursor), 4);
    sk_cursor_seek(cursor, 5);
    for (unsigned i = 5; i <= 9; i++) assert_int_equal(log_world_next(cursor), i);
    assert_int_equal(log_world_status(cursor), SK_AGAIN);
    assert_int_equal(sk_cursor_position(cursor), 11); /* the last one is for others */
    log_world_run(&w);
    assert_int_equal(sk_cursor_committed(cursor), 8);
    sk_cursor_commit(cursor, 10);
    log_world_fill(&w, 1, 0);
    assert_int_equal(log_world_next(cursor), 11);
    log_world_reopen(&w);
    cursor = log_world_cursor(&w, "early", 1, 0);
    assert_int_equal(log_world_next(cursor), 11);
}

TEST(what_an_early_cursor_gave_out_lasts_until_its_next_call) {
    struct sk_cursor *cursor = log_world_cursor(&w, NULL, 1, 0);
    struct sk_record record;
    sk_cursor_early(cursor, never);
    log_world_append(&w);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    for (int i = 0; i < 100; i++) log_world_append_sized(&w, 1, 3000);
    log_world_run(&w);
    assert_int_equal(log_world_number(&record), 1);
    for (unsigned i = 2; i <= 101; i++) assert_int_equal(log_world_next(cursor), i);
}

TEST(an_early_cursor_that_waits_is_told_before_records_are_durable) {
    struct greedy early = {0}, late = {0};
    sk_cursor_open(w.log, NULL, UINT64_MAX, 0, read_all, &early, &early.cursor);
    sk_cursor_open(w.log, NULL, UINT64_MAX, 0, read_all, &late, &late.cursor);
    sk_cursor_early(early.cursor, never);
    assert_int_equal(log_world_status(early.cursor), SK_AGAIN);
    assert_int_equal(log_world_status(late.cursor), SK_AGAIN);
    log_world_append(&w);
    sk_sim_run(w.sim, 1000);
    assert_int_equal(w.acknowledged, 0);
    assert_int_equal(early.read, 1);
    assert_int_equal(late.read, 0);
    log_world_run(&w);
    assert_int_equal(early.read, 1);
    assert_int_equal(late.read, 1);
}

TEST(a_records_age_is_what_has_passed_since_it_was_appended) {
    struct sk_record record;
    log_world_fill(&w, 1, 0);
    sk_sim_run(w.sim, 100 * SK_S);
    struct sk_cursor *cursor = log_world_cursor(&w, NULL, UINT64_MAX, 0);
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    assert_in_range(sk_cursor_age(cursor, &record), 100000000, 101000000);
    sk_sim_clock_jump(w.io, 3600000000);
    assert_in_range(sk_cursor_age(cursor, &record), 100000000, 101000000);
}

/* ---- keeping small ---- */

TEST(compaction_keeps_what_a_named_cursor_has_not_done_with) {
    struct sk_cursor *fast = log_world_cursor(&w, "fast", 1, 0),
                     *slow = log_world_cursor(&w, "slow", 2, 0);
    for (int i = 0; i < 200; i++) log_world_append_sized(&w, i % 10 ? 1 : 3, 300);
    log_world_run(&w);
    assert_int_equal(log_world_next(slow), 1);
    for (int i = 0; i < 150; i++) log_world_next(fast);
    sk_cursor_commit(fast, 151);
    while (sk_log_compact(w.log)) continue;
    for (unsigned life = 0; life < 2; life++) {
        assert_int_equal(log_world_next(fast), 151);
        for (unsigned i = life ? 1 : 11; i < 200; i += 10)
            assert_int_equal(log_world_next(slow), i);
        log_world_reopen(&w);
        fast = log_world_cursor(&w, "fast", 1, 0);
        slow = log_world_cursor(&w, "slow", 2, 0);
    }
}
