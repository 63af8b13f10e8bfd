/* Story: power is lost at each durable write of the log in turn, with each kind of loss, over many
 * seeds. What was acknowledged is there afterwards, in order, with nothing that was never appended;
 * a cursor is never ahead of its commits; and the log goes on from there. */
#include "support/log_world.h"
#include "support/test.h"

enum { SEEDS = 200, BATCHES = 8 };

struct story {
    struct log_world w;
    struct sk_cursor *cursor;
    uint64_t committed;      /* the last commit */
    uint64_t committed_long; /* the last one that had 200 ms to reach the disk */
};

static void consume(struct story *story) {
    struct sk_record record;
    uint64_t count = sk_sim_chance(story->w.sim, 4);
    for (uint64_t i = 0; i < count && sk_cursor_next(story->cursor, &record) == SK_OK; i++) {
        assert_int_equal(log_world_number(&record), record.sequence);
        sk_cursor_commit(story->cursor, record.sequence + 1);
        story->committed = record.sequence + 1;
    }
}

static void live(struct story *story) {
    struct log_world *w = &story->w;
    for (int batch = 0; batch < BATCHES && !sk_sim_is_dead(w->io); batch++) {
        uint64_t records = 1 + sk_sim_chance(w->sim, 4);
        for (uint64_t i = 0; i < records; i++)
            assert_int_equal(log_world_append_sized(w, 1, sk_sim_chance(w->sim, 700)), SK_OK);
        /* Sometimes the next batch gathers while this one flies. */
        if (sk_sim_chance(w->sim, 3))
            sk_sim_run(w->sim, sk_sim_chance(w->sim, 2) ? 200 * SK_MS : 200000);
        consume(story);
        if (sk_sim_chance(w->sim, 3) == 0) {
            uint64_t before = story->committed;
            sk_sim_run(w->sim, 250 * SK_MS);
            if (!sk_sim_is_dead(w->io)) story->committed_long = before;
        }
    }
    sk_sim_run(w->sim, SK_S);
}

/* Reads the whole log: texts n … k under the sequences n … k, and n is 1 but where segments go once
 * they are read. */
static void check(struct story *story) {
    struct log_world *w = &story->w;
    struct sk_cursor *all;
    struct sk_record record;
    assert_int_equal(sk_cursor_open(w->log, NULL, UINT64_MAX, 0, NULL, NULL, &all), SK_OK);
    uint64_t first = sk_log_first_sequence(w->log), count = first - 1;
    if (!w->options.retain_until_read) assert_int_equal(first, 1);
    enum sk_status status;
    while ((status = sk_cursor_next(all, &record)) == SK_OK) {
        assert_int_equal(record.sequence, ++count);
        assert_int_equal(log_world_number(&record), count);
        for (size_t i = sk_span_find(record.body, ':') + 1; i < record.body.n; i++)
            assert_int_equal(record.body.p[i], '.');
    }
    assert_int_equal(status, SK_AGAIN);
    assert_int_equal(sk_cursor_lost(all), 0);
    assert_int_equal(count - (first - 1), w->recovery.records);
    assert_in_range(count, w->acknowledged, w->appended);
    sk_cursor_close(all);
    w->appended = w->last_told = w->acknowledged = count;
}

static void open_story(struct story *story) {
    struct log_world *w = &story->w;
    if (log_world_open(w) !=
        SK_OK) { /* the power may go here as well: opening syncs what it found */
        assert_true(sk_sim_is_dead(w->io));
        w->io = sk_sim_power_on(w->io);
        assert_int_equal(log_world_open(w), SK_OK);
    }
    check(story);
    assert_int_equal(sk_cursor_open(w->log, "consumer", 1, 0, NULL, NULL, &story->cursor), SK_OK);
    uint64_t position = sk_cursor_position(story->cursor);
    assert_in_range(position, story->committed_long, story->committed);
    assert_true(sk_log_first_sequence(w->log) <=
                position); /* no segment went before its reader had durably passed it */
    story->committed = story->committed_long = position;
}

/* Lives, closes and lives again; true when the power went meanwhile. */
static bool run(uint64_t seed, uint64_t cut, enum sk_sim_loss loss) {
    struct story story = {.committed = 1, .committed_long = 0};
    struct log_world *w = &story.w;
    log_world_new(w, seed);
    w->options.segment_bytes = 2500;
    w->options.retain_until_read = seed % 2;
    open_story(&story);
    uint64_t boundary = sk_sim_disk_writes(w->io) + cut;
    sk_sim_power_cut_after(w->io, cut, loss);
    for (int lives = 0; lives < 2; lives++) {
        live(&story);
        log_world_close(w);
        if (sk_sim_is_dead(w->io)) log_world_power_on(w);
        open_story(&story);
    }
    bool cut_came = sk_sim_disk_writes(w->io) > boundary;
    log_world_free(w);
    return cut_came;
}

TEST(power_loss_at_every_write_loses_nothing_acknowledged) {
    unsigned cuts = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        for (unsigned loss = SK_SIM_LOSE_ALL; loss <= SK_SIM_LOSE_RANDOM; loss++)
            for (uint64_t cut = 0; run(seed, cut, (enum sk_sim_loss)loss); cut++) cuts++;
    }
    print_message("%u seeds, %u power cuts\n", SEEDS, cuts);
    assert_true(cuts > SEEDS * 3 * 5);
}
