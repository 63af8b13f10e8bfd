/* Bits that flip on the disk in the segment that was written last: what was acknowledged behind
 * them stays. */
#include "store/log/segments/format.h"
#include "support/log_world.h"
#include "support/test.h"

#define SEGMENT "/log/00000000000000000001.log"
enum { BODY = 40, RECORD = RECORD_HEADER + BODY };

static struct log_world w;
static struct sk_buffer file; /* the segment, to be damaged */

static int set_up(void **state) {
    (void)state;
    log_world_new(&w, 1);
    return log_world_open(&w);
}

static int tear_down(void **state) {
    (void)state;
    log_world_free(&w);
    sk_buffer_free(&file);
    return 0;
}

/* Batches of so many records each; 0 ends. */
static void write_batches(const unsigned *counts) {
    for (; *counts; counts++) log_world_fill(&w, *counts, BODY);
    log_world_close(&w);
    file = (struct sk_buffer){0};
    assert_int_equal(sk_file_load(w.io, SEGMENT, &file), SK_OK);
}

/* Flips a bit of a record (1 is the first), at a byte of it. */
static void damage(unsigned record, unsigned byte) {
    file.p[SEGMENT_HEADER + (record - 1) * RECORD + byte] ^= 0x40;
}

static void open_again(uint64_t damaged, uint64_t cut_records) {
    assert_int_equal(sk_file_save(w.io, SEGMENT, sk_buffer_span(&file), 0600), SK_OK);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(w.recovery.damaged, damaged);
    assert_int_equal(w.recovery.cut_bytes, cut_records * RECORD);
}

/* All that can be read, in order; 0 ends. */
static void expect_numbers(const unsigned *numbers, uint64_t lost) {
    struct sk_cursor *cursor;
    struct sk_record record;
    assert_int_equal(sk_cursor_open(w.log, NULL, UINT64_MAX, 0, NULL, NULL, &cursor), SK_OK);
    for (enum sk_status status; (status = sk_cursor_next(cursor, &record)) != SK_AGAIN;) {
        if (status == SK_NOT_FOUND) continue;
        assert_int_equal(status, SK_OK);
        assert_int_equal(log_world_number(&record), *numbers++);
    }
    assert_int_equal(*numbers, 0);
    assert_int_equal(sk_cursor_lost(cursor), lost);
    sk_cursor_close(cursor);
}

static void count_kept(void *arg, struct sk_span name) {
    if (sk_span_find(name, 'c') < name.n && !sk_span_starts(name, SK_SPAN("cursors")))
        ++*(unsigned *)arg;
}

static unsigned kept_files(void) {
    unsigned count = 0;
    assert_int_equal(sk_folder_list(w.io, "/log", count_kept, &count), SK_OK);
    return count;
}

AROUND(set_up, tear_down);

TEST(a_damaged_body_costs_its_record_only) {
    write_batches((const unsigned[]){1, 1, 1, 1, 0});
    damage(2, RECORD_HEADER + 3);
    open_again(1, 0);
    expect_numbers((const unsigned[]){1, 3, 4, 0}, 1);
    assert_int_equal(w.recovery.next_sequence, 5);
    log_world_fill(&w, 1, BODY);
    log_world_reopen(&w); /* the index remembers the way around it */
    expect_numbers((const unsigned[]){1, 3, 4, 5, 0}, 1);
    assert_int_equal(kept_files(), 0);
}

TEST(so_do_two_of_them_and_one_in_the_middle_of_a_batch) {
    write_batches((const unsigned[]){3, 2, 3, 1, 0});
    damage(2, RECORD_HEADER);
    damage(3, RECORD_HEADER + BODY - 1);
    damage(7, 1); /* its checksum */
    open_again(3, 0);
    expect_numbers((const unsigned[]){1, 4, 5, 6, 8, 9, 0}, 3);
}

TEST(the_first_record_may_be_the_damaged_one) {
    write_batches((const unsigned[]){1, 1, 0});
    damage(1, RECORD_HEADER);
    open_again(1, 0);
    expect_numbers((const unsigned[]){2, 0}, 1);
}

/* Nobody can tell it from a write that power has torn. */
TEST(damage_in_the_last_batch_ends_the_log_there_and_what_is_cut_is_kept) {
    write_batches((const unsigned[]){2, 4, 0});
    damage(4, RECORD_HEADER);
    open_again(0, 3);
    expect_numbers((const unsigned[]){1, 2, 3, 0}, 0);
    assert_int_equal(kept_files(), 1);
    struct sk_buffer kept = {0};
    assert_int_equal(sk_file_load(w.io, SEGMENT ".cut-248", &kept), SK_OK);
    assert_int_equal(kept.n, 3 * RECORD);
    assert_memory_equal(kept.p, file.p + 248, kept.n);
    sk_buffer_free(&kept);
}

TEST(a_torn_record_alone_is_not_kept) {
    write_batches((const unsigned[]){2, 1, 0});
    damage(3, RECORD_HEADER);
    open_again(0, 1);
    expect_numbers((const unsigned[]){1, 2, 0}, 0);
    assert_int_equal(kept_files(), 0);
}

/* Where the next record begins is not known then, and bytes that look like one may be a
 * device's. */
TEST(behind_a_damaged_header_nothing_is_believed_but_all_is_kept) {
    for (unsigned byte = 4; byte < 16; byte++) { /* length and sequence */
        write_batches((const unsigned[]){1, 1, 1, 0});
        damage(2, byte);
        open_again(0, 2);
        expect_numbers((const unsigned[]){1, 0}, 0);
        assert_int_equal(kept_files(), 1);
        log_world_free(&w);
        sk_buffer_free(&file);
        set_up(NULL);
    }
}

static void on_stored(void *arg, enum sk_status status, uint64_t sequence) {
    (void)sequence;
    *(bool *)arg = status == SK_OK;
}

TEST(a_record_that_a_body_holds_is_not_taken_for_one) {
    char forged[RECORD_HEADER + 8] = {0};
    bool stored = false;
    memcpy(forged + RECORD_HEADER, "99:false", 8);
    record_seal(forged, &(struct record_header){.length = 8, .begins = true, .sequence = 3});
    log_world_fill(&w, 1, BODY);
    struct sk_span body = sk_span(forged, sizeof forged);
    assert_int_equal(sk_log_append(w.log, &body, 1, 1, on_stored, &stored), SK_OK);
    log_world_run(&w);
    assert_true(stored);
    log_world_close(&w);
    file = (struct sk_buffer){0};
    assert_int_equal(sk_file_load(w.io, SEGMENT, &file), SK_OK);
    damage(2, 5);
    assert_int_equal(sk_file_save(w.io, SEGMENT, sk_buffer_span(&file), 0600), SK_OK);
    assert_int_equal(log_world_open(&w), SK_OK);
    assert_int_equal(w.recovery.next_sequence, 2);
    expect_numbers((const unsigned[]){1, 0}, 0);
}
