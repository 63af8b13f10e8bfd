/* What compaction does to segments, and what it may not. */
#include "support/log_world.h"

static struct log_world w;

static int set_up(void **state) {
    (void)state;
    log_world_new(&w, 3);
    w.options.segment_bytes = 16 * 1024;
    w.options.retain_until_read = true;
    return log_world_open(&w);
}

static int tear_down(void **state) {
    (void)state;
    log_world_free(&w);
    return 0;
}

AROUND(set_up, tear_down);

/* `slow` wants one of twenty records; `fast` is done with all. */
static void fill(struct sk_cursor **fast, struct sk_cursor **slow) {
    *fast = log_world_cursor(&w, "fast", 1, 0);
    *slow = log_world_cursor(&w, "slow", 2, 0);
    for (int i = 0; i < 2000; i++) {
        log_world_append_sized(&w, i % 20 ? 1 : 3, 200);
        if (i % 50 == 0) log_world_run(&w);
    }
    log_world_run(&w);
    for (int i = 0; i < 2000; i++) log_world_next(*fast);
    sk_cursor_commit(*fast, 2001);
}

static void compact_all(void) {
    while (sk_log_compact(w.log)) continue;
}

static void expect_slow(struct sk_cursor *slow) {
    for (unsigned i = 1; i <= 2000; i += 20) assert_int_equal(log_world_next(slow), i);
}

TEST(what_nobody_wants_goes_though_what_stands_before_it_is_wanted) {
    struct sk_cursor *fast, *slow;
    fill(&fast, &slow);
    uint64_t before = sk_log_bytes(w.log);
    compact_all();
    assert_true(sk_log_bytes(w.log) < before / 3);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    expect_slow(slow);
}

TEST(a_reader_in_the_middle_of_a_segment_finds_its_place_again) {
    struct sk_cursor *fast, *slow;
    fill(&fast, &slow);
    for (unsigned i = 1; i <= 1000; i += 20) assert_int_equal(log_world_next(slow), i);
    struct sk_cursor *all = log_world_reader(&w, 500);
    assert_int_equal(log_world_next(all), 500);
    compact_all();
    for (unsigned i = 1001; i <= 2000; i += 20) assert_int_equal(log_world_next(slow), i);
}

TEST(power_that_goes_at_any_write_of_a_compaction_loses_nothing) {
    for (unsigned loss = 0; loss < 3; loss++)
        for (unsigned write = 0; write < 12; write++) {
            struct sk_cursor *fast, *slow;
            fill(&fast, &slow);
            for (unsigned i = 0; i < write && sk_log_compact(w.log); i++) continue;
            sk_sim_power_cut(w.io, (enum sk_sim_loss)loss);
            log_world_power_on(&w);
            assert_int_equal(log_world_open(&w), SK_OK);
            slow = log_world_cursor(&w, "slow", 2, 0);
            fast = log_world_cursor(&w, "fast", 1, 0);
            expect_slow(slow);
            tear_down(NULL);
            set_up(NULL);
        }
}

TEST(a_cursor_that_is_not_open_may_want_everything) {
    struct sk_cursor *fast, *slow;
    fill(&fast, &slow);
    sk_cursor_close(slow);
    assert_int_equal(sk_log_compact(w.log), 0);
}

TEST(a_limit_makes_pieces_that_are_small_enough_for_it) {
    struct sk_cursor *only = log_world_cursor(&w, "only", 1, 0);
    w.options.segment_bytes = 8 * 1024 * 1024;
    sk_cursor_close(only);
    log_world_reopen(&w);
    only = log_world_cursor(&w, "only", 1, 0);
    log_world_fill(&w, 2000, 200);
    for (int i = 0; i < 2000; i++) log_world_next(only);
    sk_cursor_commit(only, 2001);
    sk_sim_run(w.sim, SK_S);
    assert_true(sk_log_bytes(w.log) > 400000); /* all in the active segment */
    sk_log_limit(w.log, 100000);
    sk_sim_run(w.sim, 61 * SK_S);
    assert_true(sk_log_bytes(w.log) < 1000);
}
