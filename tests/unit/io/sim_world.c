/* The simulated world's clock, timers, tasks, threads, and its own determinism. */
#include <sqlite3.h>
#include <stdio.h>

#include "io/sim/sim.h"
#include "support/test.h"

struct recorder {
    struct sk_io *io;
    char text[256];
    uint64_t at_ns;
    unsigned count;
};

struct named_timer {
    struct sk_timer timer;
    struct recorder *to;
    char name;
};

static void record(struct recorder *to, char c) {
    size_t n = strlen(to->text);
    if (n + 1 < sizeof to->text) to->text[n] = c;
}

static void on_named_timer(struct sk_timer *timer) {
    struct named_timer *named = SK_CONTAINER(timer, struct named_timer, timer);
    record(named->to, named->name);
    named->to->at_ns = sk_io_now(timer->io);
}

static struct sk_sim *world_of(uint64_t seed) {
    return sk_sim_new(&(struct sk_sim_options){.seed = seed});
}

TEST(timers_fire_in_time_order_and_ties_in_order_of_starting) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct named_timer timers[] = {{.to = &to, .name = 'a'},
                                   {.to = &to, .name = 'b'},
                                   {.to = &to, .name = 'c'},
                                   {.to = &to, .name = 'd'}};
    sk_timer_start(to.io, &timers[0].timer, 30 * SK_MS, on_named_timer);
    sk_timer_start(to.io, &timers[1].timer, 10 * SK_MS, on_named_timer);
    sk_timer_start(to.io, &timers[2].timer, 30 * SK_MS, on_named_timer);
    sk_timer_start(to.io, &timers[3].timer, 20 * SK_MS, on_named_timer);
    assert_true(sk_sim_run(sim, 29 * SK_MS));
    assert_string_equal(to.text, "bd");
    assert_false(sk_sim_run(sim, 1 * SK_MS));
    assert_string_equal(to.text, "bdac");
    assert_int_equal(to.at_ns, 30 * SK_MS);
    sk_sim_free(sim);
}

TEST(a_stopped_timer_stays_silent_and_a_restarted_one_moves) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct named_timer one = {.to = &to, .name = '1'}, two = {.to = &to, .name = '2'};
    sk_timer_start(to.io, &one.timer, SK_S, on_named_timer);
    sk_timer_start(to.io, &two.timer, SK_S, on_named_timer);
    sk_timer_stop(&one.timer);
    assert_false(sk_timer_running(&one.timer));
    sk_timer_start(to.io, &two.timer, 5 * SK_S, on_named_timer);
    sk_sim_run(sim, 4 * SK_S);
    assert_string_equal(to.text, "");
    sk_sim_run(sim, 2 * SK_S);
    assert_string_equal(to.text, "2");
    assert_int_equal(to.at_ns, 5 * SK_S);
    sk_sim_free(sim);
}

TEST(many_timers_stopped_at_random_leave_the_others_in_order) {
    enum { COUNT = 200 };
    struct sk_sim *sim = world_of(3);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct named_timer timers[COUNT] = {0};
    uint64_t last = 0;
    for (int i = 0; i < COUNT; i++) {
        timers[i] = (struct named_timer){.to = &to, .name = 'x'};
        sk_timer_start(to.io, &timers[i].timer, sk_sim_chance(sim, 50) * SK_MS, on_named_timer);
    }
    for (int i = 0; i < COUNT; i += 2) sk_timer_stop(&timers[i].timer);
    for (int ms = 0; ms < 50; ms++) {
        sk_sim_run(sim, SK_MS);
        assert_true(to.at_ns >= last);
        last = to.at_ns;
    }
    assert_int_equal(strlen(to.text), COUNT / 2);
    sk_sim_free(sim);
}

struct chained_task {
    struct sk_task task;
    struct recorder *to;
    struct chained_task *next;
    char name;
};

static void on_chained_task(struct sk_task *task) {
    struct chained_task *self = SK_CONTAINER(task, struct chained_task, task);
    record(self->to, self->name);
    if (self->next) sk_io_defer(self->to->io, &self->next->task, on_chained_task);
}

TEST(deferred_tasks_run_once_in_order_and_before_time_passes) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct chained_task last = {.to = &to, .name = '3'},
                        first = {.to = &to, .name = '1', .next = &last},
                        second = {.to = &to, .name = '2'}, never = {.to = &to, .name = 'x'};
    sk_io_defer(to.io, &first.task, on_chained_task);
    sk_io_defer(to.io, &second.task, on_chained_task);
    sk_io_defer(to.io, &first.task, on_chained_task);
    sk_io_defer(to.io, &never.task, on_chained_task);
    sk_io_undefer(&never.task);
    assert_string_equal(to.text, "");
    sk_sim_run(sim, 0);
    assert_string_equal(to.text, "123");
    sk_sim_free(sim);
}

static void on_restart(struct sk_timer *timer) {
    struct named_timer *named = SK_CONTAINER(timer, struct named_timer, timer);
    if (++named->to->count < 5) sk_timer_start(timer->io, timer, 0, on_restart);
}

TEST(a_timer_of_zero_that_restarts_itself_does_not_starve_the_world) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct named_timer restarting = {.to = &to}, other = {.to = &to, .name = 'o'};
    sk_timer_start(to.io, &restarting.timer, 0, on_restart);
    sk_timer_start(to.io, &other.timer, 0, on_named_timer);
    sk_sim_run(sim, 0);
    assert_int_equal(to.count, 5);
    assert_string_equal(to.text, "o");
    sk_sim_free(sim);
}

TEST(a_clock_jump_moves_the_wall_clock_only) {
    struct sk_sim *sim = world_of(1);
    struct sk_io *io = sk_sim_node(sim, "a"), *other = sk_sim_node(sim, "b");
    sk_sim_run(sim, SK_S);
    int64_t before = sk_io_wall(io);
    assert_int_equal(before, 1767225600000000 + 1000000);
    sk_sim_clock_jump(io, -3600000000);
    assert_int_equal(sk_io_wall(io), before - 3600000000);
    assert_int_equal(sk_io_wall(other), before);
    assert_int_equal(sk_io_now(io), SK_S);
    sk_sim_free(sim);
}

static void on_mail(struct sk_io *io, void *arg) {
    struct recorder *to = arg;
    assert_ptr_equal(io, to->io);
    record(to, (char)('0' + to->count++));
}

static void end_thread(struct sk_io *io, void *arg) {
    record(arg, '.');
    sk_io_stop(io);
}

static void start_of_thread(struct sk_io *io, void *arg) {
    struct recorder *to = arg;
    to->io = io;
    record(to, '>');
}

TEST(a_thread_gets_its_mail_in_order_and_can_be_joined) {
    struct sk_sim *sim = world_of(1);
    struct sk_io *io = sk_sim_node(sim, "a");
    struct recorder to = {0};
    struct sk_io *thread = sk_io_thread(io, start_of_thread, &to);
    for (int i = 0; i < 3; i++) sk_io_post(thread, on_mail, &to);
    sk_io_post(thread, end_thread, &to);
    sk_io_thread_join(thread);
    assert_string_equal(to.text, ">012.");
    sk_sim_free(sim);
}

static void do_work(void *arg) {
    record(arg, 'w');
}

static void work_done(void *arg) {
    record(arg, 'd');
}

TEST(work_is_done_later_and_reported_on_the_loop) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    sk_io_work(to.io, do_work, work_done, &to);
    assert_string_equal(to.text, "");
    sk_sim_run(sim, SK_S);
    assert_string_equal(to.text, "wd");
    sk_sim_free(sim);
}

static void do_nothing(void *arg) {
    (void)arg;
}

static void start_late_timer(void *arg) {
    struct named_timer *timer = arg;
    sk_timer_start(timer->to->io, &timer->timer, SK_S, on_named_timer);
}

TEST(a_dead_machine_is_silent_until_it_is_buried) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct named_timer timer = {.to = &to, .name = 't'};
    struct chained_task task = {.to = &to, .name = '1'};
    sk_timer_start(to.io, &timer.timer, SK_MS, on_named_timer);
    sk_io_work(to.io, do_work, work_done, &to);
    sk_sim_power_cut(to.io, SK_SIM_LOSE_ALL);
    assert_true(sk_sim_is_dead(to.io));
    sk_io_defer(to.io, &task.task, on_chained_task);
    assert_false(sk_sim_run(sim, SK_S));
    assert_string_equal(to.text, "");
    sk_timer_stop(&timer.timer);
    to.io = sk_sim_power_on(to.io);
    assert_string_equal(to.text, "1wd");
    assert_false(sk_sim_is_dead(to.io));
    sk_sim_free(sim);
}

/* Somebody whose write has failed tries again a little later, and ends when that has failed too. */
TEST(a_timer_that_is_started_at_the_funeral_fires) {
    struct sk_sim *sim = world_of(1);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    struct named_timer before = {.to = &to, .name = 't'};
    struct named_timer late = {.to = &to, .name = 'l'};
    sk_timer_start(to.io, &before.timer, SK_MS, on_named_timer);
    sk_io_work(to.io, do_nothing, start_late_timer, &late);
    sk_sim_power_cut(to.io, SK_SIM_LOSE_ALL);
    to.io = sk_sim_power_on(to.io);
    assert_string_equal(to.text, "l");
    sk_sim_free(sim);
}

TEST(a_killed_process_leaves_the_others_of_its_machine_alone) {
    struct sk_sim *sim = world_of(1);
    struct sk_io *one = sk_sim_node(sim, "a"), *other = sk_sim_process(one, 1000);
    sk_sim_kill(other);
    assert_true(sk_sim_is_dead(other));
    assert_false(sk_sim_is_dead(one));
    assert_int_equal(sk_folder_make(one, "/d", 0700), SK_OK);
    other = sk_sim_power_on(other);
    assert_int_equal(sk_file_save(other, "/d/f", SK_SPAN("x"), 0600), SK_OK);
    struct sk_buffer bytes = {0};
    assert_int_equal(sk_file_load(one, "/d/f", &bytes), SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&bytes), "x"));
    sk_buffer_free(&bytes);
    sk_sim_free(sim);
}

/* A little of everything: saves, SQLite, timers, chance. */
static uint64_t trace_of(uint64_t seed) {
    struct sk_sim *sim = world_of(seed);
    struct recorder to = {.io = sk_sim_node(sim, "a")};
    sk_folder_make(to.io, "/d", 0700);
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2("/d/r.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                     sk_io_sqlite_vfs(to.io)),
                     SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(
            db,
            "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
            "CREATE TABLE t(x); INSERT INTO t VALUES(randomblob(100)),(2);",
            NULL, NULL, NULL),
        SQLITE_OK);
    for (int i = 0; i < 20; i++) {
        char name[16], guid[37];
        snprintf(name, sizeof name, "/d/%d", (int)sk_sim_chance(sim, 8));
        sk_io_guid(to.io, guid);
        assert_int_equal(sk_file_save(to.io, name, sk_span_z(guid), 0600), SK_OK);
        struct named_timer timer = {.to = &to, .name = 'x'};
        sk_timer_start(to.io, &timer.timer, sk_sim_chance(sim, SK_S), on_named_timer);
        sk_sim_run(sim, SK_S);
    }
    sqlite3_close(db);
    uint64_t trace = sk_sim_trace(sim);
    sk_sim_free(sim);
    return trace;
}

TEST(the_same_seed_gives_the_same_run) {
    assert_true(trace_of(5) == trace_of(5));
    assert_true(trace_of(5) != trace_of(6));
}
