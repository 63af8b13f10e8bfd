#include "edge/agent/engine/usage.h"

#include "support/test.h"

static struct sk_usage usage_of(const char *text) {
    struct sk_usage usage;
    json_t *stats = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(stats);
    sk_usage_of_stats(stats, &usage);
    json_decref(stats);
    return usage;
}

TEST(what_an_engine_tells_is_added_up) {
    struct sk_usage u = usage_of(
        "{\"cpu_stats\":{\"cpu_usage\":{\"total_usage\":1234}},\"pids_stats\":{\"current\":3},"
        "\"memory_stats\":{\"usage\":1000,\"limit\":4000,\"stats\":{\"inactive_file\":300}},"
        "\"networks\":{\"eth0\":{\"rx_bytes\":1,\"tx_bytes\":10},"
        "\"eth1\":{\"rx_bytes\":2,\"tx_bytes\":20}},"
        "\"blkio_stats\":{\"io_service_bytes_recursive\":[{\"op\":\"Read\",\"value\":5},"
        "{\"op\":\"write\",\"value\":6},{\"op\":\"read\",\"value\":7},{\"op\":\"Sync\",\"value\":9}"
        "]}}");
    assert_int_equal(u.cpu_ns, 1234);
    assert_int_equal(u.tasks, 3);
    assert_int_equal(u.memory, 700);
    assert_int_equal(u.memory_limit, 4000);
    assert_int_equal(u.received, 3);
    assert_int_equal(u.sent, 30);
    assert_int_equal(u.read, 12);
    assert_int_equal(u.written, 6);
}

TEST(what_an_engine_does_not_tell_is_not_known) {
    static const char *const texts[] = {
        "{}", "[1]", "7",
        "{\"cpu_stats\":[],\"pids_stats\":{\"current\":-1},\"memory_stats\":{\"usage\":\"much\","
        "\"stats\":{\"inactive_file\":5}},\"networks\":[{\"rx_bytes\":1}],"
        "\"blkio_stats\":{\"io_service_bytes_recursive\":{\"op\":\"read\",\"value\":5}}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct sk_usage u = usage_of(texts[i]), none;
        sk_usage_clear(&none);
        assert_memory_equal(&u, &none, sizeof u);
    }
    /* A sum that does not fit stays where it is. */
    struct sk_usage u = usage_of(
        "{\"networks\":{\"a\":{\"rx_bytes\":9223372036854775807},\"b\":{\"rx_bytes\":2}}}");
    assert_true(u.received == INT64_MAX);
}
