/* Arbitrary bytes as the files of a log: it opens, is read, takes a record, and has it after
 * opening again.
 *
 * The first byte says what the rest is: bit 0 a closed segment (an empty one follows) instead of
 * the last; bit 1 also the checkpoints; bit 2: checksums are put right first, so that the fuzzer
 * gets behind them. */
#include <stdlib.h>

#include "io/sim/sim.h"
#include "store/log/segments/format.h"
#include "store/log/segments/segments.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

enum { CLOSED = 1, CHECKPOINTS = 2, REPAIRED = 4, SEGMENT_FIRST = 1 };

static void repair(struct sk_buffer *file) {
    struct record_header record;
    if (file->n < SEGMENT_HEADER) return;
    segment_header_write(file->p, &(struct segment_header){SEGMENT_FIRST, 0});
    uint64_t sequence = SEGMENT_FIRST;
    for (size_t at = SEGMENT_HEADER; file->n - at >= RECORD_HEADER;
         at += record_size(record.length)) {
        record_header_read(file->p + at, &record);
        if (record_size(record.length) > file->n - at) break;
        record.sequence = sequence++;
        record_seal(file->p + at, &record);
    }
}

static uint64_t read_all(struct sk_cursor *cursor) {
    struct sk_record record;
    uint64_t count = 0, last = 0;
    enum sk_status status;
    while ((status = sk_cursor_next(cursor, &record)) == SK_OK || status == SK_NOT_FOUND) {
        if (status) continue;
        CHECK(record.sequence > last);
        CHECK(record.body.n <= SK_RECORD_MAX);
        last = record.sequence;
        count++;
    }
    CHECK(status == SK_AGAIN);
    return count;
}

static void on_done(void *arg, enum sk_status status, uint64_t sequence) {
    CHECK(status == SK_OK);
    *(uint64_t *)arg = sequence;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    struct sk_sim *sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    struct sk_io *io = sk_sim_node(sim, "a");
    struct sk_buffer file = {0};
    sk_note_level(SK_LEVEL_ERROR);
    sk_buffer_append(&file, sk_span(data + 1, size - 1));
    if (data[0] & REPAIRED) repair(&file);
    sk_folder_make(io, "/log", 0700);
    sk_file_save(io, "/log/00000000000000000001.log", sk_buffer_span(&file), 0600);
    if (data[0] & CLOSED) {
        char header[SEGMENT_HEADER];
        segment_header_write(header, &(struct segment_header){100, 1000000});
        sk_file_save(io, "/log/00000000000000000100.log", sk_span(header, sizeof header), 0600);
    }
    if (data[0] & CHECKPOINTS) sk_file_save(io, "/log/cursors.1", sk_buffer_span(&file), 0600);

    struct sk_log_segments_options options = {.folder = "/log"};
    struct sk_log *log;
    struct sk_log_recovery recovery;
    struct sk_cursor *all, *named;
    CHECK(sk_log_segments_open(io, &options, &log, &recovery) == SK_OK);
    CHECK(sk_cursor_open(log, NULL, UINT64_MAX, 0, NULL, NULL, &all) == SK_OK);
    uint64_t count = read_all(all);
    CHECK(count + sk_cursor_lost(all) == recovery.records);
    if (!(data[0] & CLOSED)) CHECK(count == recovery.records);
    for (uint64_t sequence = 1; sequence < recovery.next_sequence; sequence += 7) {
        sk_cursor_seek(all, sequence);
        read_all(all);
    }
    for (int64_t time = -10; time < 10; time++) {
        sk_cursor_seek_time(all, time * time * time * 100000);
        read_all(all);
    }
    CHECK(sk_cursor_open(log, "a", UINT64_MAX, 0, NULL, NULL, &named) == SK_OK);
    read_all(named);

    uint64_t sequence = 0;
    struct sk_span body = SK_SPAN("new");
    CHECK(sk_log_append(log, &body, 1, 1, on_done, &sequence) == SK_OK);
    sk_sim_run(sim, SK_S);
    CHECK(sequence == recovery.next_sequence);
    sk_log_close(log, NULL, NULL);
    sk_sim_run(sim, SK_S);
    CHECK(sk_log_segments_open(io, &options, &log, &recovery) == SK_OK);
    CHECK(recovery.next_sequence == sequence + 1);
    CHECK(sk_cursor_open(log, NULL, UINT64_MAX, sequence, NULL, NULL, &all) == SK_OK);
    CHECK(read_all(all) == 1);
    sk_log_close(log, NULL, NULL);
    sk_sim_run(sim, SK_S);
    sk_sim_free(sim);
    sk_buffer_free(&file);
    return 0;
}
