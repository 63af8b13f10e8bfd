/* Cursors: filters, seeking, checkpoints, waking, retention and damage. */
#include "support/log_world.h"
#include "support/test.h"

static struct log_world w;

static int set_up(void **state) {
    (void)state;
    log_world_new(&w, 2);
    w.options.segment_bytes = 4000;
    return log_world_open(&w);
}

static int tear_down(void **state) {
    (void)state;
    log_world_free(&w);
    return 0;
}

AROUND(set_up, tear_down);

TEST(large_segments_are_searched_through_their_index) {
    w.options.segment_bytes = 1 << 20;
    log_world_reopen(&w);
    for (int i = 0; i < 30; i++) log_world_fill(&w, 100, 1000);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct sk_cursor *cursor = log_world_cursor(&w, NULL, UINT64_MAX, 0);
        for (uint64_t i = 1; i <= 3000; i += 37) {
            sk_cursor_seek(cursor, i);
            assert_int_equal(log_world_next(cursor), i);
        }
        log_world_reopen(&w);
    }
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

TEST(looking_for_rare_records_gives_the_loop_its_turn) {
    struct greedy rare = {0};
    w.options.segment_bytes = 0;
    log_world_reopen(&w);
    for (int i = 0; i < 90; i++) log_world_append_sized(&w, 1, 100000);
    log_world_append_sized(&w, 2, 0);
    log_world_run(&w);
    sk_cursor_open(w.log, NULL, 2, 0, read_all, &rare, &rare.cursor);
    assert_int_equal(log_world_status(rare.cursor), SK_AGAIN);
    log_world_run(&w);
    assert_int_equal(rare.read, 1);
    assert_int_equal(rare.calls, 8); /* 9 MB at 1 MiB a time */
}

TEST(a_commit_is_on_the_disk_within_a_tenth_of_a_second) {
    log_world_fill(&w, 1000, 0);
    struct sk_cursor *cursor = log_world_cursor(&w, "c", 1, 0);
    sk_sim_run(w.sim, SK_S);
    uint64_t before = sk_sim_disk_writes(w.io);
    for (uint64_t i = 1; i <= 1000; i++) {
        log_world_next(cursor);
        sk_cursor_commit(cursor, i + 1);
        sk_sim_run(w.sim, SK_MS);
    }
    assert_in_range(sk_sim_disk_writes(w.io) - before, 9, 11);
    sk_sim_run(w.sim, 101 * SK_MS);
    sk_sim_power_cut(w.io, SK_SIM_LOSE_ALL);
    log_world_power_on(&w);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(sk_cursor_position(log_world_cursor(&w, "c", 1, 0)), 1001);
}

TEST(torn_checkpoints_leave_the_ones_before) {
    log_world_fill(&w, 10, 0);
    for (unsigned cut = 0; cut < 12; cut++) {
        struct sk_cursor *cursor = log_world_cursor(&w, "c", 1, 0);
        uint64_t before = sk_cursor_position(cursor);
        sk_sim_run(w.sim, SK_S);
        sk_sim_power_cut_after(w.io, 0, SK_SIM_LOSE_TORN);
        sk_cursor_commit(cursor, before + 1);
        sk_sim_run(w.sim, SK_S);
        assert_true(sk_sim_is_dead(w.io));
        log_world_power_on(&w);
        assert_int_equal(log_world_open(&w), SK_OK);
        cursor = log_world_cursor(&w, "c", 1, 0);
        assert_in_range(sk_cursor_position(cursor), before ? before : 1, before + 1);
        sk_cursor_close(cursor);
    }
}

TEST(the_oldest_segments_go_when_the_log_is_too_large) {
    w.options.retention_bytes = 20000;
    log_world_reopen(&w);
    struct sk_cursor *slow = log_world_cursor(&w, "slow", 1, 0);
    for (int i = 0; i < 200; i++) log_world_fill(&w, 1, 1000);
    assert_in_range(sk_log_bytes(w.log), 12000, 25000);
    uint64_t first = sk_log_first_sequence(w.log);
    assert_true(first > 150);
    assert_int_equal(log_world_status(slow), SK_NOT_FOUND);
    assert_int_equal(sk_cursor_lost(slow), first - 1);
    assert_int_equal(log_world_next(slow), first);
    log_world_reopen(&w);
    assert_int_equal(sk_log_first_sequence(w.log), first);
    assert_int_equal(w.recovery.records, 201 - first);
    assert_int_equal(w.recovery.next_sequence, 201);
}

TEST(a_reader_in_the_middle_of_a_dropped_segment_is_told) {
    w.options.retention_bytes = 20000;
    log_world_reopen(&w);
    log_world_fill(&w, 3, 1000);
    struct sk_cursor *cursor = log_world_cursor(&w, NULL, 1, 0);
    assert_int_equal(log_world_next(cursor), 1);
    for (int i = 0; i < 50; i++) log_world_fill(&w, 1, 1000);
    uint64_t first = sk_log_first_sequence(w.log);
    assert_int_equal(log_world_status(cursor), SK_NOT_FOUND);
    assert_int_equal(sk_cursor_lost(cursor), first - 2);
    assert_int_equal(log_world_next(cursor), first);
}

TEST(old_records_go_even_when_nothing_new_comes) {
    w.options.retention_us = 3600000000;
    log_world_reopen(&w);
    for (int i = 0; i < 10; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 3500 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    sk_sim_run(w.sim, 300 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 11);
    assert_true(sk_log_bytes(w.log) < 100);
    log_world_reopen(&w);
    assert_int_equal(w.recovery.next_sequence, 11); /* numbers are never given again */
    assert_int_equal(w.recovery.records, 0);
    log_world_fill(&w, 1, 1000);
    assert_int_equal(w.last_sequence, 11);
}

TEST(what_a_named_cursor_has_not_passed_stays_where_that_is_wanted) {
    w.options.retention_us = 3600000000;
    w.options.keep_unread = true;
    w.options.segment_bytes = 4000;
    log_world_reopen(&w);
    struct sk_cursor *cursor = log_world_cursor(&w, "endpoint", 1, 0);
    for (int i = 0; i < 20; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 7200 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    sk_cursor_commit(cursor, 11);
    sk_sim_run(w.sim, 300 * SK_S);
    assert_in_range(sk_log_first_sequence(w.log), 7, 11);
    sk_cursor_commit(cursor, 21);
    sk_sim_run(w.sim, 300 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 21);
    sk_cursor_close(cursor);
    sk_log_forget_cursor(w.log, "endpoint");
    for (int i = 0; i < 20; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 7200 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 41); /* nobody is waited for any more */
}

enum { DAYS_40_S = 40 * 86400 };

static void jump(int64_t seconds) {
    sk_sim_clock_jump(w.io, seconds * 1000000);
}

TEST(a_clock_jump_deletes_nothing_that_was_young_before_it) {
    w.options.retention_us = 3600000000;
    log_world_reopen(&w);
    for (int i = 0; i < 10; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 1000 * SK_S);
    jump(DAYS_40_S);
    for (int i = 0; i < 5; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 2400 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    sk_sim_run(w.sim, 400 * SK_S); /* and ages go on */
    assert_in_range(sk_log_first_sequence(w.log), 10, 11);
    sk_sim_run(w.sim, 1000 * SK_S); /* of what came after it too */
    assert_int_equal(sk_log_first_sequence(w.log), 16);
}

TEST(a_clock_that_jumps_back_does_not_stop_ages) {
    w.options.retention_us = 3600000000;
    log_world_reopen(&w);
    for (int i = 0; i < 10; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 1000 * SK_S);
    jump(-DAYS_40_S);
    sk_sim_run(w.sim, 100 * SK_S);
    for (int i = 0; i < 10; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 2400 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    sk_sim_run(w.sim, 300 * SK_S);
    assert_in_range(sk_log_first_sequence(w.log), 10, 11);
    sk_sim_run(w.sim, 700 * SK_S);
    assert_in_range(sk_log_first_sequence(w.log), 10, 11);
    sk_sim_run(w.sim, 600 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 21);
}

/* A machine without a battery for its clock. */
TEST(a_start_in_1970_and_then_the_right_clock_lose_nothing) {
    w.options.retention_us = 3600000000;
    log_world_reopen(&w);
    for (int i = 0; i < 10; i++) log_world_fill(&w, 1, 1000);
    log_world_close(&w);
    jump(-56ll * 365 * 86400);
    assert_int_equal(log_world_open(&w), SK_OK);
    for (int i = 0; i < 10; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, 100 * SK_S);
    jump(56ll * 365 * 86400);
    sk_sim_run(w.sim, 3300 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    struct sk_cursor *cursor = log_world_cursor(&w, NULL, 1, 0);
    struct sk_record record;
    assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
    assert_in_range(sk_cursor_age(cursor, &record), 3390000000, 3530000000);
    sk_sim_run(w.sim, 400 * SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 21);
}

TEST(the_oldest_segments_make_room_when_the_disk_is_nearly_full) {
    w.options.reserve_bytes = 20000;
    log_world_reopen(&w);
    sk_sim_disk_limit(w.io, 60000);
    for (int i = 0; i < 200; i++) {
        log_world_fill(&w, 1, 1000);
        assert_int_equal(w.last_status, SK_OK);
    }
    assert_true(sk_disk_free(w.io, "/log") >= 10000); /* but for the segment that is being filled */
    assert_in_range(sk_log_first_sequence(w.log), 150, 190);
    sk_sim_disk_limit(w.io, 1 << 20); /* there is room again: nothing more goes */
    uint64_t first = sk_log_first_sequence(w.log);
    for (int i = 0; i < 50; i++) log_world_fill(&w, 1, 1000);
    assert_int_equal(sk_log_first_sequence(w.log), first);
}

TEST(segments_go_once_the_slowest_cursor_has_passed) {
    w.options.retain_until_read = true;
    log_world_reopen(&w);
    for (int i = 0; i < 40; i++) log_world_fill(&w, 1, 1000);
    sk_sim_run(w.sim, SK_S);
    /* Nobody has asked for them yet: they wait. */
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    struct sk_cursor *fast = log_world_cursor(&w, "fast", 1, 0),
                     *slow = log_world_cursor(&w, "slow", 1, 0);
    sk_cursor_commit(fast, 41);
    sk_sim_run(w.sim, SK_S);
    assert_int_equal(sk_log_first_sequence(w.log), 1);
    sk_cursor_commit(slow, 20);
    sk_sim_run(w.sim, SK_S);
    assert_in_range(sk_log_first_sequence(w.log), 16, 20);
    sk_cursor_close(slow); /* closed is not forgotten */
    sk_sim_run(w.sim, SK_S);
    assert_in_range(sk_log_first_sequence(w.log), 16, 20);
    sk_log_forget_cursor(w.log, "slow");
    sk_sim_run(w.sim, SK_S);
    assert_in_range(sk_log_first_sequence(w.log), 36, 41);
}

TEST(a_commit_made_while_another_is_being_written_frees_nothing_yet) {
    w.options.retain_until_read = true;
    log_world_reopen(&w);
    for (int i = 0; i < 40; i++) log_world_fill(&w, 1, 1000);
    struct sk_cursor *cursor = log_world_cursor(&w, "c", 1, 0);
    sk_sim_run(w.sim, SK_S);
    sk_sim_disk_slow(w.io, 50 * SK_MS);
    sk_cursor_commit(cursor, 10);
    sk_sim_run(w.sim, 110 * SK_MS); /* the position 10 is on its way */
    sk_cursor_commit(cursor, 41);
    sk_sim_run(w.sim, 80 * SK_MS); /* it has arrived; 41 has not been sent yet */
    assert_in_range(sk_log_first_sequence(w.log), 5, 10);
    sk_sim_power_cut(w.io, SK_SIM_LOSE_ALL);
    log_world_power_on(&w);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(log_world_next(log_world_cursor(&w, "c", 1, 0)), 10);
}

/* Changes one byte of a file. */
static void damage(const char *path, size_t at) {
    struct sk_buffer bytes = {0};
    assert_int_equal(sk_file_load(w.io, path, &bytes), SK_OK);
    assert_true(at < bytes.n);
    bytes.p[at] ^= 1;
    sk_file_save(w.io, path, sk_buffer_span(&bytes), 0600);
    sk_buffer_free(&bytes);
}

TEST(damage_in_a_closed_segment_is_stepped_over_and_counted) {
    w.options.segment_bytes = 400000;
    log_world_reopen(&w);
    for (int i = 0; i < 10; i++)
        log_world_fill(&w, 100, 968); /* 1000 bytes each: two segments of about 400, and the last */
    log_world_close(&w);
    damage("/log/00000000000000000001.log", 32 + 10 * 1000 + 500); /* record 11 */
    assert_int_equal(log_world_open(&w), SK_OK);
    struct sk_cursor *cursor = log_world_cursor(&w, NULL, 1, 0);
    for (uint64_t i = 1; i <= 10; i++) assert_int_equal(log_world_next(cursor), i);
    assert_int_equal(log_world_status(cursor), SK_NOT_FOUND);
    assert_in_range(sk_cursor_lost(cursor), 1, 120); /* up to the next point of the index */
    uint64_t next = log_world_next(cursor);
    assert_int_equal(next, 11 + sk_cursor_lost(cursor));
    for (uint64_t i = next + 1; i <= 1000; i++) assert_int_equal(log_world_next(cursor), i);
    assert_int_equal(log_world_status(cursor), SK_AGAIN);
}

TEST(damage_without_an_index_costs_the_rest_of_the_segment) {
    for (int i = 0; i < 3; i++) log_world_fill(&w, 4, 1000);
    log_world_close(&w);
    damage("/log/00000000000000000001.log", 0);
    damage("/log/00000000000000000001.log", 32 + 1500);
    struct sk_buffer bytes = {0};
    sk_file_load(w.io, "/log/00000000000000000001.log", &bytes);
    damage("/log/00000000000000000001.log", bytes.n - 1);
    sk_buffer_free(&bytes);
    assert_int_equal(log_world_open(&w), SK_OK);
    struct sk_cursor *cursor = log_world_cursor(&w, NULL, 1, 0);
    assert_int_equal(log_world_next(cursor), 1);
    assert_int_equal(log_world_status(cursor), SK_NOT_FOUND);
    assert_int_equal(sk_cursor_lost(cursor), 3);
    for (uint64_t i = 5; i <= 12; i++) assert_int_equal(log_world_next(cursor), i);
}
