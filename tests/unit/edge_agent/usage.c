/* What processes use, out of a /proc of the simulated world; and how percentages come of it. */
#include <stdio.h>

#include "edge/agent/module_usage.h"
#include "edge/agent/process_usage.h"
#include "io/sim/sim.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *io;

static void put(const char *folder, const char *file, const char *text) {
    char path[96];
    snprintf(path, sizeof path, "/proc/%s", folder);
    sk_folder_make(io, path, 0755);
    snprintf(path, sizeof path, "/proc/%s/%s", folder, file);
    assert_int_equal(sk_file_save(io, path, sk_span_z(text), 0644), SK_OK);
}

static int start(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    io = sk_sim_node(sim, "edge");
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_sim_free(sim);
    return 0;
}

AROUND(start, end);

TEST(a_process_and_what_it_has_started_count_together) {
    struct sk_usage usage;
    put("7", "stat", "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 100 20 3 4 20 0 1 0 9\n");
    put("7", "status", "Name:\tx\nVmRSS:\t   12 kB\nThreads:\t3\n");
    put("7", "io", "rchar: 9\nread_bytes: 4096\nwrite_bytes: 8192\n");
    put("7/task/7", "children", "8 9 ");
    put("8", "stat", "8 (sh) S 7 7 7 0 -1 0 0 0 0 0 1 0 0 0 20 0 1 0 9\n");
    put("8", "status", "VmRSS:\t   3 kB\nThreads:\t1\n");
    put("9", "status", "VmRSS:\t   5 kB\nThreads:\t1\n"); /* it ends just now */
    process_usage(io, 7, &usage);
    assert_int_equal(usage.cpu_ns, 128 * 10000000ll);
    assert_int_equal(usage.memory, 20 * 1024);
    assert_int_equal(usage.tasks, 5);
    assert_int_equal(usage.read, 4096);
    assert_int_equal(usage.written, 8192);
    assert_true(usage.received == SK_NOT_KNOWN);
    assert_true(usage.memory_limit == SK_NOT_KNOWN);
}

TEST(of_a_process_that_is_not_there_nothing_is_known) {
    struct sk_usage usage, none;
    sk_usage_clear(&none);
    process_usage(io, 12, &usage);
    assert_memory_equal(&usage, &none, sizeof none);
    put("12", "stat", "12 (cut");
    put("12", "status", "VmRSS:\nThreads: many\n");
    process_usage(io, 12, &usage);
    assert_memory_equal(&usage, &none, sizeof none);
}

TEST(percentages_are_between_two_questions_or_since_the_start) {
    struct cpu_meter meter = {0};
    const uint64_t s = SK_S;
    cpu_meter_take(&meter, (int64_t)s, 10 * s, 12 * s, 2); /* one of four processor seconds */
    assert_int_equal(meter.shares.sum, 2500);
    cpu_meter_take(&meter, (int64_t)(2 * s), 10 * s, 22 * s, 2);
    assert_int_equal(meter.shares.sum, 2500 + 500);
    cpu_meter_take(&meter, SK_NOT_KNOWN, 10 * s, 30 * s, 2);
    assert_int_equal(meter.shares.count, 2);
    cpu_meter_take(&meter, (int64_t)(3 * s), 31 * s, 34 * s, 1); /* started anew at 31 s */
    assert_int_equal(meter.shares.sum, 2500 + 500 + 10000);
}
