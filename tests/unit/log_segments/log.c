/* The log on a simulated disk: appending, limits, segments, failures, closing. Cursors have a file
 * of their own. */
#include "support/log_world.h"
#include "support/test.h"

static struct log_world w;

static int set_up(void **state) {
    (void)state;
    log_world_new(&w, 1);
    return log_world_open(&w);
}

static int tear_down(void **state) {
    (void)state;
    log_world_free(&w);
    return 0;
}

static void count_file(void *arg, struct sk_span name) {
    if (sk_span_ends(name, SK_SPAN(".log"))) ++*(unsigned *)arg;
}

static unsigned files_in(const char *folder) {
    unsigned count = 0;
    assert_int_equal(sk_folder_list(w.io, folder, count_file, &count), SK_OK);
    return count;
}

AROUND(set_up, tear_down);

TEST(appends_of_one_turn_share_one_durable_write) {
    uint64_t before = sk_sim_disk_writes(w.io);
    log_world_fill(&w, 1000, 100);
    assert_int_equal(sk_sim_disk_writes(w.io) - before, 1);
    log_world_append(&w);
    sk_sim_run(w.sim, 1000);
    for (int i = 0; i < 10; i++) log_world_append(&w); /* gather while the first is being written */
    log_world_run(&w);
    assert_int_equal(sk_sim_disk_writes(w.io) - before, 3);
    assert_int_equal(w.acknowledged, 1011);
}

TEST(a_full_queue_asks_to_come_again) {
    w.options.queue_bytes = 10 * (32 + 96); /* ten records of 96 bytes */
    log_world_reopen(&w);
    for (int i = 0; i < 10; i++) assert_int_equal(log_world_append_sized(&w, 1, 96), SK_OK);
    assert_int_equal(log_world_append_sized(&w, 1, 96), SK_AGAIN);
    sk_sim_run(w.sim, 1000); /* being written counts as well */
    assert_int_equal(log_world_append_sized(&w, 1, 96), SK_AGAIN);
    log_world_run(&w);
    assert_int_equal(log_world_append_sized(&w, 1, 96), SK_OK);
    log_world_run(&w);
    assert_int_equal(w.acknowledged, 11);
}

TEST(a_torn_tail_is_cut_and_reported) {
    log_world_fill(&w, 3, 40);
    log_world_close(&w);
    struct sk_buffer bytes = {0};
    const char *path = "/log/00000000000000000001.log";
    assert_int_equal(sk_file_load(w.io, path, &bytes), SK_OK);
    assert_int_equal(bytes.n, 32 + 3 * (32 + 40));
    for (size_t cut = 1; cut <= 32 + 40; cut++) {
        sk_file_save(w.io, path, sk_span(bytes.p, bytes.n - cut), 0600);
        assert_int_equal(log_world_open(&w), SK_OK);
        assert_int_equal(w.recovery.records, 2);
        assert_int_equal(w.recovery.cut_bytes, 32 + 40 - cut);
        log_world_close(&w);
    }
    for (size_t flipped = 32; flipped < 32 + 32 + 40;
         flipped++) { /* any byte of the first record */
        bytes.p[flipped] ^= 0x40;
        sk_file_save(w.io, path, sk_buffer_span(&bytes), 0600);
        assert_int_equal(log_world_open(&w), SK_OK);
        assert_int_equal(w.recovery.records, 0);
        assert_int_equal(w.recovery.cut_bytes, 3 * (32 + 40));
        log_world_close(&w);
        bytes.p[flipped] ^= 0x40;
    }
    sk_buffer_free(&bytes);
    assert_int_equal(log_world_open(&w), SK_OK);
    w.appended = w.last_told = 100;
    log_world_fill(&w, 1, 0);
    log_world_expect(&w, 0, 101, 101);
}

TEST(segments_follow_one_another_and_are_read_as_one) {
    w.options.segment_bytes = 1000;
    log_world_reopen(&w);
    for (int i = 0; i < 20; i++) log_world_fill(&w, 8, 100);
    assert_int_equal(files_in("/log"), 20);
    log_world_expect(&w, 0, 1, 160);
    log_world_expect(&w, 77, 77, 160);
    log_world_reopen(&w);
    assert_int_equal(w.recovery.records, 160);
    assert_int_equal(w.recovery.cut_bytes, 0);
    log_world_expect(&w, 0, 1, 160);
    log_world_fill(&w, 8, 100);
    log_world_expect(&w, 139, 139, 168);
}

TEST(a_segment_begun_but_not_written_is_begun_again) {
    w.options.segment_bytes = 1000;
    log_world_reopen(&w);
    log_world_fill(&w, 10, 100);
    sk_file_save(w.io, "/log/00000000000000000011.log", SK_SPAN("SKLOGtorn"), 0600);
    log_world_close(&w);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(w.recovery.records, 10);
    assert_int_equal(w.recovery.cut_bytes, 9);
    sk_sim_clock_jump(
        w.io,
        -3600000000); /* the time of the last record must have been found in the segment before */
    log_world_fill(&w, 3, 100);
    log_world_expect(&w, 0, 1, 13);
    struct sk_cursor *cursor = log_world_reader(&w, 10);
    struct sk_record last, next;
    assert_int_equal(sk_cursor_next(cursor, &last), SK_OK);
    int64_t time = last.wall_us;
    assert_int_equal(sk_cursor_next(cursor, &next), SK_OK);
    assert_true(next.wall_us == time);
    sk_cursor_close(cursor);
}

TEST(a_failed_batch_is_refused_and_its_records_never_come_back) {
    log_world_fill(&w, 5, 50);
    sk_sim_disk_fail(w.io, 1);
    for (int i = 0; i < 5; i++) log_world_append_sized(&w, 1, 50); /* 6 … 10 */
    sk_sim_run(w.sim, 1000);
    for (int i = 0; i < 3; i++) log_world_append_sized(&w, 1, 50); /* 11 … 13 gather behind them */
    sk_sim_run(w.sim, SK_MS);
    assert_int_equal(w.refused, 5);
    assert_int_equal(w.last_status, SK_IO);
    sk_sim_disk_fail(w.io, 0);
    sk_sim_run(w.sim, SK_S);
    assert_int_equal(w.acknowledged, 8);
    assert_int_equal(w.last_sequence, 8);
    struct sk_cursor *cursor = log_world_reader(&w, 6);
    struct sk_record record;
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(sk_cursor_next(cursor, &record), SK_OK);
        assert_int_equal(record.sequence, 6 + i);
        assert_int_equal(log_world_number(&record), 11 + i);
    }
    sk_cursor_close(cursor);
    log_world_reopen(&w);
    assert_int_equal(w.recovery.records, 8);
    assert_int_equal(w.recovery.cut_bytes, 0);
}

TEST(the_log_stays_usable_through_random_disk_errors) {
    w.options.segment_bytes = 2000;
    log_world_reopen(&w);
    sk_sim_disk_fail(w.io, 4);
    for (int i = 0; i < 300; i++) {
        log_world_append_sized(&w, 1, 80);
        sk_sim_run(w.sim, sk_sim_chance(w.sim, 2) ? 150 * SK_MS : 100000);
    }
    sk_sim_disk_fail(w.io, 0);
    sk_sim_run(w.sim, SK_S);
    assert_int_equal(w.acknowledged + w.refused, 300);
    assert_true(w.refused > 20 && w.acknowledged > 100);
    struct sk_cursor *cursor = log_world_reader(&w, 0);
    struct sk_record record;
    uint64_t read = 0, last = 0;
    while (sk_cursor_next(cursor, &record) == SK_OK) {
        assert_int_equal(record.sequence, ++read);
        assert_true(log_world_number(&record) > last);
        last = log_world_number(&record);
    }
    assert_int_equal(read, w.acknowledged);
    assert_int_equal(sk_cursor_lost(cursor), 0);
    sk_cursor_close(cursor);
}

TEST(a_full_disk_refuses_and_recovers) {
    w.options.keep_free_bytes = 1000;
    log_world_reopen(&w);
    sk_sim_disk_limit(w.io, 5000);
    while (log_world_append_sized(&w, 1, 100) == SK_OK) log_world_run(&w);
    assert_int_equal(w.refused, 0);
    assert_true(w.acknowledged > 20);
    assert_int_equal(log_world_append_sized(&w, 1, 100), SK_NO_SPACE);
    sk_sim_disk_limit(w.io, 6000);
    for (int i = 0; i < 30; i++)
        log_world_append_sized(&w, 1, 100); /* one batch that does not fit */
    log_world_run(&w);
    assert_int_equal(w.refused, 30);
    assert_int_equal(w.last_status, SK_NO_SPACE);
    sk_sim_disk_limit(w.io, UINT64_MAX);
    uint64_t before = w.acknowledged;
    log_world_append_sized(&w, 1, 100);
    sk_sim_run(w.sim, SK_S);
    assert_int_equal(w.acknowledged, before + 1);
    log_world_reopen(&w);
    assert_int_equal(w.recovery.records, w.acknowledged);
}

static void note_from(void *arg, uint64_t from) {
    *(uint64_t *)arg = from;
}

TEST(what_was_read_early_is_taken_back_when_its_batch_fails) {
    struct sk_cursor *cursor;
    uint64_t from = 0;
    log_world_fill(&w, 2, 0);
    sk_cursor_open(w.log, "early", 1, 0, NULL, &from, &cursor);
    sk_cursor_early(cursor, note_from);
    sk_sim_disk_fail(w.io, 1);
    log_world_append(&w);
    sk_sim_run(w.sim, 1000); /* being written, to fail */
    log_world_append(&w);
    for (unsigned i = 1; i <= 4; i++) assert_int_equal(log_world_next(cursor), i);
    sk_cursor_commit(cursor, 5);
    while (w.refused == 0) sk_sim_run(w.sim, 1000);
    assert_int_equal(from, 3);
    assert_int_equal(log_world_status(cursor), SK_AGAIN); /* in doubt: not the fourth, again */
    assert_int_equal(sk_cursor_committed(cursor), 3);
    sk_sim_disk_fail(w.io, 0);
    sk_sim_run(w.sim, SK_S);
    assert_int_equal(w.acknowledged, 3);
    assert_int_equal(w.last_sequence, 3);
    assert_int_equal(log_world_next(cursor), 4); /* with the third one's sequence */
    log_world_append(&w);
    assert_int_equal(log_world_next(cursor), 5); /* early again */
}

TEST(closing_on_a_failing_disk_still_tells_everybody) {
    sk_sim_disk_fail(w.io, 1);
    log_world_append(&w);
    sk_sim_run(w.sim, 1000);
    log_world_append(&w);
    log_world_close(&w);
    assert_int_equal(w.refused, 2);
    sk_sim_disk_fail(w.io, 0);
    assert_int_equal(log_world_open(&w), SK_OK);
}

static void append_again(void *arg, enum sk_status status, uint64_t sequence) {
    (void)sequence;
    unsigned *left = arg;
    if (status) w.refused++;
    if (*left && --*left)
        assert_int_equal(sk_log_append(w.log, NULL, 0, 1, append_again, left), SK_OK);
}

TEST(appending_again_from_a_refusal_does_not_spin) {
    unsigned left = 1000000;
    sk_sim_disk_fail(w.io, 1);
    sk_log_append(w.log, NULL, 0, 1, append_again, &left);
    sk_sim_run(w.sim, SK_S);
    assert_in_range(w.refused, 5, 20);
    left = 0;
    log_world_close(&w);
    sk_sim_disk_fail(w.io, 0);
    assert_int_equal(log_world_open(&w), SK_OK);
}

TEST(a_log_on_a_machine_without_power_is_closed_like_any_other) {
    log_world_fill(&w, 5, 0);
    log_world_append(&w);
    sk_sim_run(w.sim, 1000);
    log_world_append(&w);
    sk_sim_power_cut(w.io, SK_SIM_LOSE_ALL);
    sk_sim_run(w.sim, SK_S);
    assert_int_equal(w.told, 5);
    log_world_power_on(&w);
    assert_int_equal(w.told, 7);
    assert_int_equal(w.refused, 2);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(w.recovery.records, 5);
}
