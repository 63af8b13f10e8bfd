/* Story: a log lives through many short lives with failing writes, a full disk, kills, power cuts
 * and clean restarts in random order. Its consumer sees each acknowledged record at least once and
 * in order, and never one that was refused and given up. With every other seed it reads early: then
 * it may see what is not acknowledged, until that is taken back. */
#include "support/log_world.h"
#include "support/test.h"

enum { SEEDS = 200, LIVES = 12, TEXTS_MAX = 4000 };

struct story {
    struct log_world w;
    struct sk_cursor *cursor;
    bool early;
    uint64_t committed, seen; /* sequences */
    /* since the machine started: the page cache may show what is not on the disk */
    bool syncs_failed;
    /* What the producer was told of each text. FOUND: not acknowledged, but there all the same when
     * the log was opened again, and since syncs had failed it may still vanish with the next power
     * cut. */
    enum { UNTOLD, ACKNOWLEDGED, REFUSED, FOUND } told[TEXTS_MAX];
    uint64_t number_of[TEXTS_MAX]; /* by sequence: what stood there */
    uint64_t must_not_come;        /* refused texts below this one are surely gone */
};

struct append {
    struct story *story;
    uint64_t number;
};

static void on_done(void *arg, enum sk_status status, uint64_t sequence) {
    struct append append = *(struct append *)arg;
    struct story *story = append.story;
    free(arg);
    (void)sequence;
    assert_int_equal(story->told[append.number], UNTOLD);
    story->told[append.number] = status == SK_OK ? ACKNOWLEDGED : REFUSED;
    if (status == SK_OK && append.number > story->must_not_come)
        story->must_not_come = append.number;
}

static void produce(struct story *story) {
    struct log_world *w = &story->w;
    struct append *append = SK_NEW(struct append);
    *append = (struct append){story, w->appended + 1};
    char text[600];
    memset(text, '.', sizeof text);
    size_t n = (size_t)snprintf(text, sizeof text, "%llu:", (unsigned long long)append->number);
    text[n] = '.';
    struct sk_span body = sk_span(text, n + sk_sim_chance(w->sim, sizeof text - n));
    if (sk_log_append(w->log, &body, 1, 1, on_done, append) == SK_OK)
        w->appended++;
    else
        free(append);
}

/* The next record; steps over damage, which only FOUND texts may suffer. */
static bool next(struct story *story, struct sk_cursor *cursor, struct sk_record *record) {
    uint64_t lost = sk_cursor_lost(cursor);
    enum sk_status status;
    while ((status = sk_cursor_next(cursor, record)) == SK_NOT_FOUND) {
    }
    if (status) return false;
    for (lost = sk_cursor_lost(cursor) - lost; lost > 0; lost--)
        assert_int_equal(story->told[story->number_of[record->sequence - lost]], FOUND);
    return true;
}

static void consume(struct story *story, uint64_t most) {
    struct sk_record record;
    for (uint64_t i = 0; i < most && next(story, story->cursor, &record); i++) {
        uint64_t number = log_world_number(&record);
        assert_true(record.sequence < TEXTS_MAX && number <= story->w.appended);
        assert_true(record.sequence >= story->committed);
        for (uint64_t skipped = story->seen + 1; skipped < record.sequence; skipped++)
            assert_int_equal(story->told[story->number_of[skipped]], FOUND);
        if (record.sequence > story->seen) {
            story->seen = record.sequence;
            story->number_of[record.sequence] = number;
            assert_true(number > story->number_of[record.sequence - 1]);
            if (story->told[number] == REFUSED) assert_true(number > story->must_not_come);
        }
        /* Seen again after a crash: it is the same one. */
        assert_int_equal(story->number_of[record.sequence], number);
        if (sk_sim_chance(story->w.sim, 3) == 0) {
            sk_cursor_commit(story->cursor, record.sequence + 1);
            story->committed = record.sequence + 1;
        }
    }
}

static void taken_back(void *arg, uint64_t from) {
    struct story *story = arg;
    assert_true(from <= story->seen);
    for (; story->seen >= from; story->seen--)
        assert_int_not_equal(story->told[story->number_of[story->seen]], ACKNOWLEDGED);
    if (story->committed > from) story->committed = from;
}

static void open_story(struct story *story) {
    struct log_world *w = &story->w;
    while (log_world_open(w) != SK_OK) { /* opening syncs, so faults meet it as well */
        sk_sim_disk_fail(w->io, 0);
        if (sk_sim_is_dead(w->io)) w->io = sk_sim_power_on(w->io);
        story->syncs_failed = true;
    }
    assert_int_equal(sk_cursor_open(w->log, "consumer", 1, 0, NULL, story, &story->cursor), SK_OK);
    if (story->early) sk_cursor_early(story->cursor, taken_back);
    uint64_t position = sk_cursor_position(story->cursor);
    assert_true(position <= story->committed);
    story->committed = position;
    /* Whatever is readable now stays; from here on an earlier refusal is final. */
    struct sk_cursor *all;
    struct sk_record record;
    assert_int_equal(sk_cursor_open(w->log, NULL, 1, 0, NULL, NULL, &all), SK_OK);
    uint64_t last = 0, count = 0;
    while (next(story, all, &record)) {
        uint64_t number = log_world_number(&record);
        assert_true(number > last);
        count = record.sequence;
        for (uint64_t missing = last + 1; missing < number; missing++)
            assert_int_not_equal(story->told[missing], ACKNOWLEDGED);
        if (story->told[number] == REFUSED || story->told[number] == UNTOLD) {
            assert_true(number > story->must_not_come);
            story->told[number] = story->syncs_failed ? FOUND : ACKNOWLEDGED;
        }
        story->number_of[count] = number;
        last = number;
    }
    for (uint64_t missing = last + 1; missing <= w->appended; missing++)
        assert_int_not_equal(story->told[missing], ACKNOWLEDGED);
    for (; story->seen > count; story->seen--) {
        unsigned told = story->told[story->number_of[story->seen]];
        assert_true(told == FOUND || (story->early && told != ACKNOWLEDGED));
    }
    story->must_not_come = w->appended;
    sk_cursor_close(all);
}

static void live(struct story *story) {
    struct log_world *w = &story->w;
    struct sk_sim *sim = w->sim;
    bool failing = sk_sim_chance(sim, 3) == 0;
    sk_sim_disk_fail(w->io, failing ? 2 + sk_sim_chance(sim, 8) : 0);
    story->syncs_failed |= failing;
    sk_sim_disk_limit(w->io, sk_sim_chance(sim, 4)
                                 ? UINT64_MAX
                                 : sk_log_bytes(w->log) + sk_sim_chance(sim, 8000));
    uint64_t cut = sk_sim_chance(sim, 60);
    if (cut < 40) sk_sim_power_cut_after(w->io, cut, (enum sk_sim_loss)sk_sim_chance(sim, 3));
    for (int turn = 0; turn < 15 && !sk_sim_is_dead(w->io); turn++) {
        for (uint64_t i = sk_sim_chance(sim, 5); i > 0; i--) produce(story);
        sk_sim_run(sim, sk_sim_chance(sim, 2) ? sk_sim_chance(sim, 300000) : 120 * SK_MS);
        if (!sk_sim_is_dead(w->io)) consume(story, sk_sim_chance(sim, 6));
    }
}

static uint64_t run(uint64_t seed, uint64_t *texts) {
    struct story *story = SK_NEW(struct story);
    struct log_world *w = &story->w;
    log_world_new(w, seed);
    w->options.segment_bytes = 2500;
    story->committed = 1;
    story->early = seed % 2 == 0;
    open_story(story);
    for (int lives = 0; lives < LIVES; lives++) {
        live(story);
        bool power_lost = sk_sim_is_dead(w->io);
        if (!power_lost && sk_sim_chance(w->sim, 2))
            sk_sim_kill(w->io);
        else if (!power_lost)
            log_world_close(w);
        if (sk_sim_is_dead(w->io)) log_world_power_on(w);
        if (power_lost) story->syncs_failed = false;
        open_story(story);
    }
    sk_sim_disk_fail(w->io, 0);
    sk_sim_disk_limit(w->io, UINT64_MAX);
    consume(story, UINT64_MAX);
    assert_true(story->seen + 1 == sk_log_next_sequence(w->log) ||
                (story->early && story->seen >= sk_log_next_sequence(w->log)));
    log_world_close(w);
    *texts += w->appended;
    uint64_t trace = sk_sim_trace(w->sim);
    log_world_free(w);
    free(story);
    return trace;
}

TEST(through_all_faults_every_acknowledged_record_comes_in_order) {
    uint64_t texts = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) run(seed, &texts);
    print_message("%u seeds, %llu records\n", SEEDS, (unsigned long long)texts);
}

TEST(the_same_seed_tells_the_same_story) {
    uint64_t texts = 0;
    assert_true(run(77, &texts) == run(77, &texts));
    assert_true(run(77, &texts) != run(78, &texts));
}
