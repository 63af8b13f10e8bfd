/* The simulated disk: what is durable, what a power cut takes, and the faults on demand. */
#include <sqlite3.h>

#include "io/sim/sim.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *io;

static int set_up(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 42});
    io = sk_sim_node(sim, "a");
    return sk_folder_make(io, "/data/log", 0700);
}

static int tear_down(void **state) {
    (void)state;
    sk_sim_free(sim);
    return 0;
}

struct outcome {
    unsigned calls;
    enum sk_status status;
};

static void on_written(void *arg, enum sk_status status) {
    struct outcome *outcome = arg;
    outcome->calls++;
    outcome->status = status;
}

static enum sk_status write_now(struct sk_file *file, uint64_t offset, const char *text) {
    struct outcome outcome = {0};
    sk_file_write_sync(file, offset, sk_span_z(text), on_written, &outcome);
    assert_int_equal(outcome.calls, 0);
    sk_sim_run(sim, SK_S);
    assert_int_equal(outcome.calls, 1);
    return outcome.status;
}

static bool file_is(const char *path, const char *text) {
    struct sk_buffer bytes = {0};
    bool same = sk_file_load(io, path, &bytes) == SK_OK && sk_span_is(sk_buffer_span(&bytes), text);
    sk_buffer_free(&bytes);
    return same;
}

static void reboot(enum sk_sim_loss loss) {
    sk_sim_power_cut(io, loss);
    io = sk_sim_power_on(io);
}

AROUND(set_up, tear_down);

TEST(saved_renamed_and_removed_files_stay_so_after_a_power_cut) {
    assert_int_equal(sk_file_save(io, "/data/a", SK_SPAN("one"), 0600), SK_OK);
    assert_int_equal(sk_file_save(io, "/data/a", SK_SPAN("two"), 0600), SK_OK);
    assert_int_equal(sk_file_save(io, "/data/b", SK_SPAN("bee"), 0600), SK_OK);
    assert_int_equal(sk_file_save(io, "/data/c", SK_SPAN("sea"), 0600), SK_OK);
    assert_int_equal(sk_file_rename(io, "/data/b", "/data/c"), SK_OK);
    assert_int_equal(sk_file_remove(io, "/data/b"), SK_NOT_FOUND);
    reboot(SK_SIM_LOSE_ALL);
    assert_true(file_is("/data/a", "two"));
    assert_true(file_is("/data/c", "bee"));
    assert_int_equal(sk_file_remove(io, "/data/c"), SK_OK);
    reboot(SK_SIM_LOSE_ALL);
    assert_false(file_is("/data/c", "bee"));
}

static void collect(void *arg, struct sk_span name) {
    sk_buffer_append(arg, name);
    sk_buffer_byte(arg, ' ');
}

TEST(a_folder_lists_its_own_names_in_byte_order) {
    sk_file_save(io, "/data/z", SK_SPAN(""), 0600);
    sk_file_save(io, "/data/log/x", SK_SPAN(""), 0600);
    sk_file_save(io, "/data//B", SK_SPAN(""), 0600);
    struct sk_buffer names = {0};
    assert_int_equal(sk_folder_list(io, "/data/", collect, &names), SK_OK);
    assert_true(sk_span_is(sk_buffer_span(&names), "B log z "));
    assert_int_equal(sk_folder_list(io, "/nowhere", collect, &names), SK_NOT_FOUND);
    sk_buffer_free(&names);
    struct sk_file *file;
    assert_int_equal(sk_file_open(io, "/nowhere/f", SK_FILE_CREATE, &file), SK_NOT_FOUND);
    assert_int_equal(sk_file_open(io, "/data/none", SK_FILE_READ, &file), SK_NOT_FOUND);
}

TEST(a_synced_write_survives_and_a_created_file_with_it) {
    struct sk_file *file;
    assert_int_equal(sk_file_open(io, "/data/log/1", SK_FILE_CREATE, &file), SK_OK);
    assert_int_equal(write_now(file, 0, "hello"), SK_OK);
    assert_int_equal(write_now(file, 5, " world"), SK_OK);
    assert_int_equal(sk_file_size(file), 11);
    assert_int_equal(sk_file_truncate(file, 7), SK_OK);
    sk_file_close(file);
    reboot(SK_SIM_LOSE_ALL);
    assert_true(file_is("/data/log/1", "hello w"));
}

TEST(a_created_file_without_a_synced_write_is_lost) {
    struct sk_file *file;
    assert_int_equal(sk_file_open(io, "/data/log/1", SK_FILE_CREATE, &file), SK_OK);
    struct outcome outcome = {0};
    sk_file_write_sync(file, 0, SK_SPAN("hello"), on_written, &outcome);
    sk_sim_power_cut(io, SK_SIM_LOSE_ALL);
    sk_sim_run(sim, SK_S);
    assert_int_equal(outcome.calls, 0);
    sk_file_close(file);
    io = sk_sim_power_on(io);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.status, SK_IO);
    assert_int_equal(sk_file_open(io, "/data/log/1", SK_FILE_READ, &file), SK_NOT_FOUND);
}

TEST(a_torn_write_leaves_a_prefix_of_any_length) {
    static const char old[] = "oooooooooo", new[] = "nnnnnnnnnn";
    bool seen[11] = {0};
    for (int round = 0; round < 200; round++) {
        struct sk_file *file;
        assert_int_equal(sk_file_save(io, "/data/f", sk_span_z(old), 0600), SK_OK);
        assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
        struct outcome outcome = {0};
        sk_file_write_sync(file, 0, sk_span_z(new), on_written, &outcome);
        sk_sim_power_cut(io, SK_SIM_LOSE_TORN);
        sk_file_close(file);
        io = sk_sim_power_on(io);
        struct sk_buffer bytes = {0};
        sk_file_load(io, "/data/f", &bytes);
        size_t n = 0;
        while (n < bytes.n && bytes.p[n] == 'n') n++;
        for (size_t i = n; i < 10; i++) assert_int_equal(bytes.p[i], 'o');
        assert_int_equal(bytes.n, 10);
        seen[n] = true;
        sk_buffer_free(&bytes);
    }
    for (int n = 0; n <= 10; n++) assert_true(seen[n]);
}

TEST(a_random_loss_keeps_whole_sectors) {
    static char big[512 * 6];
    bool mixed = false;
    memset(big, 'n', sizeof big);
    for (int round = 0; round < 50; round++) {
        struct sk_file *file;
        assert_int_equal(sk_file_save(io, "/data/f", SK_SPAN("o"), 0600), SK_OK);
        assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
        struct outcome outcome = {0};
        sk_file_write_sync(file, 0, sk_span(big, sizeof big), on_written, &outcome);
        sk_sim_power_cut(io, SK_SIM_LOSE_RANDOM);
        sk_file_close(file);
        io = sk_sim_power_on(io);
        struct sk_buffer bytes = {0};
        sk_file_load(io, "/data/f", &bytes);
        bool kept = false, lost = false;
        for (size_t at = 0; at < bytes.n; at += 512) {
            size_t n = bytes.n - at < 512 ? bytes.n - at : 512;
            for (size_t i = 1; n == 512 && i < n; i++)
                assert_int_equal(bytes.p[at + i] == 'n', bytes.p[at] == 'n');
            *(bytes.p[at] == 'n' ? &kept : &lost) = true;
        }
        if (kept && lost) mixed = true;
        sk_buffer_free(&bytes);
    }
    assert_true(mixed);
}

TEST(power_goes_at_the_write_that_was_asked_for) {
    struct sk_file *file;
    assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
    sk_sim_power_cut_after(io, 2, SK_SIM_LOSE_ALL);
    assert_int_equal(write_now(file, 0, "1"), SK_OK);
    assert_int_equal(sk_file_save(io, "/data/g", SK_SPAN("2"), 0600), SK_OK);
    assert_false(sk_sim_is_dead(io));
    struct outcome outcome = {0};
    sk_file_write_sync(file, 1, SK_SPAN("3"), on_written, &outcome);
    assert_true(sk_sim_is_dead(io));
    assert_int_equal(sk_file_save(io, "/data/h", SK_SPAN("x"), 0600), SK_IO);
    sk_file_close(file);
    io = sk_sim_power_on(io);
    assert_true(file_is("/data/f", "1"));
    assert_true(file_is("/data/g", "2"));
    assert_false(file_is("/data/h", "x"));
}

TEST(a_kill_keeps_what_was_written_and_a_later_power_cut_does_not) {
    unsigned kept = 0;
    for (int round = 0; round < 40; round++) {
        struct sk_file *file;
        assert_int_equal(sk_file_save(io, "/data/f", SK_SPAN("old"), 0600), SK_OK);
        assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
        struct outcome outcome = {0};
        sk_file_write_sync(file, 0, SK_SPAN("new"), on_written, &outcome);
        sk_sim_kill(io);
        sk_file_close(file);
        io = sk_sim_power_on(io);
        if (file_is("/data/f", "new"))
            kept++;
        else
            assert_true(file_is("/data/f", "old"));
        reboot(SK_SIM_LOSE_ALL);
        assert_true(file_is("/data/f", "old"));
    }
    assert_in_range(kept, 1, 39);
}

TEST(a_full_disk_refuses_and_takes_again_when_there_is_room) {
    struct sk_file *file;
    assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
    sk_sim_disk_limit(io, 10);
    assert_int_equal(sk_disk_free(io, "/data"), 10);
    assert_int_equal(write_now(file, 0, "0123456789"), SK_OK);
    assert_int_equal(sk_disk_free(io, "/data"), 0);
    assert_int_equal(write_now(file, 10, "x"), SK_NO_SPACE);
    assert_int_equal(write_now(file, 5, "rewritten"), SK_NO_SPACE);
    assert_int_equal(write_now(file, 5, "again"), SK_OK);
    assert_int_equal(sk_file_save(io, "/data/g", SK_SPAN("x"), 0600), SK_NO_SPACE);
    assert_int_equal(sk_file_truncate(file, 4), SK_OK);
    assert_int_equal(sk_disk_free(io, "/data"), 6);
    assert_int_equal(write_now(file, 4, "abcdef"), SK_OK);
    sk_file_close(file);
    assert_int_equal(sk_file_remove(io, "/data/f"), SK_OK);
    assert_int_equal(sk_disk_free(io, "/data"), 10);
}

TEST(failing_writes_say_so_and_promise_nothing) {
    struct sk_file *file;
    unsigned failed = 0;
    assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
    sk_sim_disk_fail(io, 3);
    for (int i = 0; i < 100; i++)
        if (write_now(file, 0, "text") == SK_IO) failed++;
    assert_in_range(failed, 15, 60);
    sk_sim_disk_fail(io, 0);
    assert_int_equal(write_now(file, 0, "good"), SK_OK);
    sk_file_close(file);
    assert_true(file_is("/data/f", "good"));
}

TEST(closing_lets_the_running_write_end) {
    struct sk_file *file;
    struct outcome outcome = {0};
    assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_CREATE, &file), SK_OK);
    sk_file_write_sync(file, 0, SK_SPAN("text"), on_written, &outcome);
    sk_file_close(file);
    assert_int_equal(outcome.calls, 0);
    sk_sim_run(sim, SK_S);
    assert_int_equal(outcome.calls, 1);
    assert_int_equal(outcome.status, SK_OK);
    reboot(SK_SIM_LOSE_ALL);
    assert_true(file_is("/data/f", "text"));
}

TEST(a_removed_file_can_still_be_read_by_who_has_it_open) {
    struct sk_file *file;
    char text[8] = "";
    size_t got;
    assert_int_equal(sk_file_save(io, "/data/f", SK_SPAN("abc"), 0600), SK_OK);
    assert_int_equal(sk_file_open(io, "/data/f", SK_FILE_READ, &file), SK_OK);
    assert_int_equal(sk_file_remove(io, "/data/f"), SK_OK);
    assert_int_equal(sk_file_read(file, 1, text, sizeof text, &got), SK_OK);
    assert_int_equal(got, 2);
    assert_string_equal(text, "bc");
    assert_int_equal(sk_file_read(file, 3, text, sizeof text, &got), SK_OK);
    assert_int_equal(got, 0);
    sk_file_close(file);
}

static sqlite3 *open_database(void) {
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2("/data/r.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                                     sk_io_sqlite_vfs(io)),
                     SQLITE_OK);
    sqlite3_exec(db,
                 "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
                 NULL, NULL, NULL);
    return db;
}

static int number(sqlite3 *db, const char *sql) {
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int value = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

TEST(sqlite_keeps_each_commit_through_a_power_cut_at_every_sync) {
    for (unsigned cut = 0; cut < 40; cut++) {
        int committed = 0;
        sk_sim_power_cut_after(io, cut, (enum sk_sim_loss)(cut % 3));
        sqlite3 *db = open_database();
        if (sqlite3_exec(db, "DROP TABLE IF EXISTS t; CREATE TABLE t(x)", NULL, NULL, NULL) ==
            SQLITE_OK)
            while (sqlite3_exec(db, "INSERT INTO t SELECT count(*) FROM t", NULL, NULL, NULL) ==
                   SQLITE_OK)
                committed++;
        sqlite3_close(db);
        assert_true(sk_sim_is_dead(io));
        io = sk_sim_power_on(io);
        db = open_database();
        assert_int_equal(sqlite3_exec(db, "CREATE TABLE IF NOT EXISTS t(x); PRAGMA integrity_check",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        if (committed)
            assert_in_range(number(db, "SELECT count(*) FROM t"), committed, committed + 1);
        sqlite3_close(db);
    }
}
