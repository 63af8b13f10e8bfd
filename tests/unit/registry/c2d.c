/* Cloud-to-device queues and feedback records in the registry, on the real world (a worker thread,
 * two connections) and on the simulated one. The rules that stand above it: unit/hub/c2d.c. */
#include <stdio.h>
#include <unistd.h>

#include "io/sim/sim.h"
#include "store/registry/registry.h"
#include "support/test.h"

#define TTL_US 3600000000

static struct sk_sim *sim; /* NULL: the real world */
static struct sk_io *io;
static struct sk_registry *registry;
static char folder[64], path[80];

static void open_registry(void) {
    char reason[SK_MODEL_ERROR_MAX];
    assert_int_equal(sk_registry_open(io, path, &registry, reason), SK_OK);
}

/* ---- one call at a time ---- */

static struct got {
    bool done;
    enum sk_status status;
    size_t count, feedback_count;
    struct sk_registry_c2d c2d[SK_C2D_PENDING_MAX];
    struct {
        uint64_t sequence;
        unsigned deliveries;
        enum sk_c2d_end end;
        char id[16], device[16];
    } feedback[8];
    char envelope[64], expired[16];
    int64_t next_expiry_us;
    uint64_t purged, added, newest;
} got;

static void copy(char *to, size_t size, struct sk_span from) {
    snprintf(to, size, "%.*s", SK_ARG(from));
}

static void on_done(void *arg, struct sk_registry_result *result) {
    (void)arg;
    got = (struct got){.done = true,
                       .status = result->status,
                       .count = result->c2d_count,
                       .feedback_count = result->feedback_count,
                       .next_expiry_us = result->next_expiry_us,
                       .purged = result->purged,
                       .added = result->feedback_added,
                       .newest = result->feedback_newest};
    for (size_t i = 0; i < result->c2d_count; i++) got.c2d[i] = result->c2d[i];
    for (size_t i = 0; i < result->feedback_count; i++) {
        const struct sk_registry_feedback *from = &result->feedback[i];
        got.feedback[i].sequence = from->sequence;
        got.feedback[i].deliveries = from->deliveries;
        got.feedback[i].end = from->record.end;
        copy(got.feedback[i].id, 16, from->record.message_id);
        copy(got.feedback[i].device, 16, from->record.device);
    }
    if (result->c2d_count) copy(got.envelope, sizeof got.envelope, result->c2d->envelope);
    if (result->device_count) copy(got.expired, sizeof got.expired, result->devices[0]);
    if (sim == NULL) sk_io_stop(io);
}

static bool is_done(void *arg) {
    (void)arg;
    return got.done;
}

static enum sk_status wait_for_it(void) {
    if (sim)
        assert_true(sk_sim_run_until(sim, 60 * SK_S, is_done, NULL));
    else if (!got.done)
        sk_io_run(io);
    assert_true(got.done);
    return got.status;
}

/* ASK(sk_registry_…, arguments but the last two) */
#define ASK(call, ...) (got.done = false, call(registry, __VA_ARGS__, on_done, NULL), wait_for_it())

static enum sk_status put(const char *device, const char *id, enum sk_c2d_ack ack, int64_t expiry) {
    struct sk_registry_c2d_new message = {.message_id = sk_span_z(id),
                                          .ack = ack,
                                          .expiry_us = expiry,
                                          .envelope = {SK_SPAN("head of "), sk_span_z(id)}};
    return ASK(sk_registry_c2d_put, sk_span_z(device), &message);
}

static void put_device(const char *id, bool disabled) {
    struct sk_identity identity = {.disabled = disabled};
    sk_identity_set(&identity.device_id, sk_span_z(id));
    assert_int_equal(ASK(sk_registry_put, &identity, SK_NONE), SK_OK);
    sk_identity_free(&identity);
}

static bool simulated;
static void in_world(const char *variant) {
    simulated = strcmp(variant, "simulated") == 0;
}
VARIANTS(in_world, "simulated", "real");

static int start(void **state) {
    (void)state;
    sim = NULL;
    if (simulated) {
        sim = sk_sim_new(&(struct sk_sim_options){.seed = 7});
        io = sk_sim_node(sim, "hub");
        snprintf(path, sizeof path, "/r.db");
    } else {
        snprintf(folder, sizeof folder, "/tmp/skerry-c2d-XXXXXX");
        assert_non_null(mkdtemp(folder));
        snprintf(path, sizeof path, "%s/r.db", folder);
        io = sk_io_uv_new();
    }
    open_registry();
    put_device("d1", false);
    put_device("d2", false);
    return 0;
}

static int end(void **state) {
    (void)state;
    sk_registry_close(registry);
    if (sim) {
        sk_sim_free(sim);
        return 0;
    }
    sk_io_run(io);
    sk_io_free(io);
    static const char *const names[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < 3; i++) {
        char file[100];
        snprintf(file, sizeof file, "%s%s", path, names[i]);
        unlink(file);
    }
    return rmdir(folder);
}

AROUND(start, end);

/* ---- messages ---- */

TEST(a_queue_is_kept_in_order_with_its_messages) {
    assert_int_equal(put("d1", "a", SK_ACK_NONE, 1000), SK_OK);
    uint64_t first = got.c2d[0].sequence;
    put("d2", "b", SK_ACK_NONE, 2000);
    put("d1", "c", SK_ACK_NONE, 500);
    sk_registry_close(registry);
    if (sim == NULL) sk_io_run(io);
    open_registry();
    assert_int_equal(ASK(sk_registry_c2d_list, SK_SPAN("d1")), SK_OK);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.c2d[0].sequence, first);
    assert_int_equal(got.c2d[0].expiry_us, 1000);
    assert_true(got.c2d[1].sequence > first + 1);
    assert_false(got.c2d[0].sent);
    assert_int_equal(ASK(sk_registry_c2d_get, first), SK_OK);
    assert_string_equal(got.envelope, "head of a");
    assert_int_equal(ASK(sk_registry_c2d_get, first + 100), SK_NOT_FOUND);
}

TEST(only_devices_that_are_there_and_have_room_get_messages) {
    put_device("off", true);
    assert_int_equal(put("nobody", "a", SK_ACK_NONE, 1), SK_NOT_FOUND);
    assert_int_equal(put("off", "a", SK_ACK_NONE, 1), SK_NOT_FOUND);
    for (int i = 0; i < SK_C2D_PENDING_MAX; i++)
        assert_int_equal(put("d1", "a", SK_ACK_NONE, 1), SK_OK);
    assert_int_equal(put("d1", "a", SK_ACK_NONE, 1), SK_TOO_LARGE);
    assert_int_equal(put("d2", "a", SK_ACK_NONE, 1), SK_OK);
}

TEST(a_message_ends_once_with_one_record) {
    put("d1", "a", SK_ACK_FULL, 1);
    uint64_t sequence = got.c2d[0].sequence;
    assert_int_equal(ASK(sk_registry_c2d_end, sequence, SK_C2D_COMPLETED, TTL_US), SK_OK);
    assert_int_equal(got.added, 1);
    uint64_t newest = got.newest;
    assert_int_equal(ASK(sk_registry_c2d_end, sequence, SK_C2D_REJECTED, TTL_US), SK_NOT_FOUND);
    assert_int_equal(ASK(sk_registry_c2d_return, sequence, 5, TTL_US), SK_NOT_FOUND);
    assert_int_equal(ASK(sk_registry_feedback_list, 0, UINT32_MAX, 0, 8), SK_OK);
    assert_int_equal(got.feedback_count, 1);
    assert_int_equal(got.feedback[0].sequence, newest);
    assert_int_equal(got.feedback[0].end, SK_C2D_COMPLETED);
    assert_string_equal(got.feedback[0].id, "a");
    put("d1", "b", SK_ACK_NONE, 1);
    assert_true(got.c2d[0].sequence > sequence); /* a number is never given again */
}

TEST(returning_counts_only_when_it_is_abandoned) {
    put("d1", "a", SK_ACK_NEGATIVE, 1);
    uint64_t sequence = got.c2d[0].sequence;
    assert_int_equal(ASK(sk_registry_c2d_return, sequence, 0, 0), SK_OK);
    assert_int_equal(got.c2d[0].deliveries, 0);
    assert_true(got.c2d[0].sent);
    assert_int_equal(ASK(sk_registry_c2d_return, sequence, 2, TTL_US), SK_OK);
    assert_int_equal(got.c2d[0].deliveries, 1);
    assert_int_equal(ASK(sk_registry_c2d_return, sequence, 2, TTL_US), SK_OK);
    assert_int_equal(got.count, 0); /* that was the last time */
    assert_int_equal(got.added, 1);
    assert_int_equal(ASK(sk_registry_c2d_get, sequence), SK_NOT_FOUND);
}

TEST(expired_messages_are_found_by_device) {
    assert_int_equal(ASK(sk_registry_c2d_expired, 1000, 8), SK_OK);
    assert_true(got.next_expiry_us == INT64_MAX);
    put("d1", "a", SK_ACK_NONE, 1001);
    put("d2", "b", SK_ACK_NONE, 1000);
    ASK(sk_registry_c2d_expired, 999, 8);
    assert_string_equal(got.expired, "");
    assert_int_equal(got.next_expiry_us, 1000);
    ASK(sk_registry_c2d_expired, 1000, 8);
    assert_string_equal(got.expired, "d2");
    assert_int_equal(got.next_expiry_us, 1001);
}

TEST(a_purge_tells_every_sender_who_asked) {
    put("d1", "a", SK_ACK_NEGATIVE, 1);
    put("d1", "b", SK_ACK_POSITIVE, 1);
    put("d1", "c", SK_ACK_FULL, 1);
    put("d1", "", SK_ACK_FULL, 1);
    put("d2", "d", SK_ACK_FULL, 1);
    assert_int_equal(ASK(sk_registry_c2d_purge, SK_SPAN("d1"), TTL_US), SK_OK);
    assert_int_equal(got.purged, 4);
    assert_int_equal(got.added, 2);
    assert_int_equal(ASK(sk_registry_c2d_purge, SK_SPAN("nobody"), TTL_US), SK_NOT_FOUND);
    ASK(sk_registry_feedback_list, 0, UINT32_MAX, 0, 8);
    assert_int_equal(got.feedback_count, 2);
    assert_string_equal(got.feedback[0].id, "a");
    assert_string_equal(got.feedback[1].id, "c");
}

TEST(deleting_a_device_deletes_its_messages_and_records) {
    put("d1", "a", SK_ACK_FULL, 1);
    ASK(sk_registry_c2d_end, got.c2d[0].sequence, SK_C2D_REJECTED, TTL_US);
    put("d1", "b", SK_ACK_FULL, 1);
    assert_int_equal(ASK(sk_registry_delete, SK_SPAN("d1"), SK_NONE, SK_NONE), SK_OK);
    put_device("d1", false);
    ASK(sk_registry_c2d_list, SK_SPAN("d1"));
    assert_int_equal(got.count, 0);
    ASK(sk_registry_feedback_list, 0, UINT32_MAX, 0, 8);
    assert_int_equal(got.feedback_count, 0);
}

/* ---- records ---- */

TEST(records_are_settled_in_ranges) {
    static const char *const ids[] = {"a", "b", "c", "d"};
    uint64_t records[4];
    for (int i = 0; i < 4; i++) {
        put("d1", ids[i], SK_ACK_FULL, 1);
        ASK(sk_registry_c2d_end, got.c2d[0].sequence, SK_C2D_COMPLETED, TTL_US);
        records[i] = got.newest;
    }
    ASK(sk_registry_feedback_list, records[0], records[3], 0, 8); /* without both ends */
    assert_int_equal(got.feedback_count, 2);
    assert_int_equal(ASK(sk_registry_feedback_return, records[0], records[1], 2), SK_OK);
    assert_int_equal(ASK(sk_registry_feedback_return, records[1], records[2], 2), SK_OK);
    assert_int_equal(ASK(sk_registry_feedback_delete, records[3], records[3]), SK_OK);
    assert_int_equal(got.newest, records[2]);
    ASK(sk_registry_feedback_list, 0, UINT32_MAX, 0, 8);
    assert_int_equal(got.feedback_count, 2);
    assert_string_equal(got.feedback[0].id, "a");
    assert_string_equal(got.feedback[1].id, "c"); /* "b" was abandoned twice */
    assert_int_equal(got.feedback[1].deliveries, 1);
}

TEST(records_expire) {
    put("d1", "a", SK_ACK_FULL, 1);
    ASK(sk_registry_c2d_end, got.c2d[0].sequence, SK_C2D_COMPLETED, TTL_US);
    int64_t now = sk_io_wall(io);
    ASK(sk_registry_feedback_list, 0, UINT32_MAX, now + TTL_US + 60000000, 8);
    assert_int_equal(got.feedback_count, 0);
    assert_int_equal(ASK(sk_registry_feedback_expire, now), SK_OK);
    assert_true(got.newest > 0);
    assert_int_equal(ASK(sk_registry_feedback_expire, now + TTL_US + 60000000), SK_OK);
    assert_int_equal(got.newest, 0);
}
