/* Cloud-to-device queues and feedback records. The rules that stand above them: unit/hub/c2d.c. */
#include "conformance/registry_world.h"

#define TTL_US 3600000000

/* ---- one call at a time ---- */

static struct got {
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
    uint64_t ended, added, newest;
} got;

static void copy(char *to, size_t size, struct sk_span from) {
    snprintf(to, size, "%.*s", SK_ARG(from));
}

static void end_with(const struct sk_registry_end *ended, struct got found) {
    got = found;
    got.status = ended->status;
    completed();
}

static void on_entry(void *arg, const struct sk_registry_end *ended,
                     struct sk_registry_entry *entry) {
    (void)arg, (void)entry;
    end_with(ended, (struct got){0});
}

static void on_entries(void *arg, const struct sk_registry_end *ended,
                       const struct sk_registry_entries *list) {
    (void)arg, (void)list;
    end_with(ended, (struct got){0});
}

static void on_queue(void *arg, const struct sk_registry_end *ended,
                     const struct sk_registry_queue *queue) {
    (void)arg;
    struct got found = {.count = queue->count};
    for (size_t i = 0; i < queue->count; i++) found.c2d[i] = queue->messages[i];
    end_with(ended, found);
}

static void on_c2d(void *arg, const struct sk_registry_end *ended,
                   const struct sk_registry_c2d *message) {
    (void)arg;
    struct got found = {.count = message != NULL};
    assert_true((ended->status == SK_OK) == (message != NULL));
    if (message) found.c2d[0] = *message;
    if (message) copy(found.envelope, sizeof found.envelope, message->envelope);
    end_with(ended, found);
}

static void on_ended(void *arg, const struct sk_registry_end *how,
                     const struct sk_registry_ended *ended) {
    (void)arg;
    struct got found = {.count = ended->waits != NULL,
                        .ended = ended->count,
                        .added = ended->feedback_added,
                        .newest = ended->feedback_newest};
    if (ended->waits) found.c2d[0] = *ended->waits;
    end_with(how, found);
}

static void on_expired(void *arg, const struct sk_registry_end *ended,
                       const struct sk_registry_expired *expired) {
    (void)arg;
    struct got found = {.next_expiry_us = expired->next_us};
    if (expired->count) copy(found.expired, sizeof found.expired, expired->devices[0]);
    end_with(ended, found);
}

static void on_records(void *arg, const struct sk_registry_end *ended,
                       const struct sk_registry_records *list) {
    (void)arg;
    struct got found = {.feedback_count = list->count};
    for (size_t i = 0; i < list->count; i++) {
        const struct sk_registry_feedback *from = &list->records[i];
        found.feedback[i].sequence = from->sequence;
        found.feedback[i].deliveries = from->deliveries;
        found.feedback[i].end = from->record.end;
        copy(found.feedback[i].id, 16, from->record.message_id);
        copy(found.feedback[i].device, 16, from->record.device);
    }
    end_with(ended, found);
}

static void on_newest(void *arg, const struct sk_registry_end *ended, uint64_t newest) {
    (void)arg;
    end_with(ended, (struct got){.newest = newest});
}

static enum sk_status outcome(void) {
    wait_all();
    return got.status;
}

/* ASK(on_…, sk_registry_…, arguments but the last two) */
#define ASK(done, call, ...) (w.waiting++, call(w.registry, __VA_ARGS__, done, NULL), outcome())

static enum sk_status put(const char *device, const char *id, enum sk_c2d_ack ack, int64_t expiry) {
    struct sk_registry_c2d_new message = {.message_id = sk_span_z(id),
                                          .ack = ack,
                                          .expiry_us = expiry,
                                          .envelope = {SK_SPAN("head of "), sk_span_z(id)}};
    return ASK(on_c2d, sk_registry_c2d_put, sk_span_z(device), &message);
}

static void put_device(const char *id, bool disabled) {
    struct sk_identity identity = {.disabled = disabled};
    sk_identity_set(&identity.device_id, sk_span_z(id));
    assert_int_equal(ASK(on_entry, sk_registry_put, &identity, SK_NONE), SK_OK);
    sk_identity_free(&identity);
}

static int start_with_devices(void **state) {
    start(state);
    put_device("d1", false);
    put_device("d2", false);
    return 0;
}

AROUND(start_with_devices, end);

/* ---- messages ---- */

TEST(a_queue_is_kept_in_order_with_its_messages) {
    assert_int_equal(put("d1", "a", SK_ACK_NONE, 1000), SK_OK);
    uint64_t first = got.c2d[0].sequence;
    put("d2", "b", SK_ACK_NONE, 2000);
    put("d1", "c", SK_ACK_NONE, 500);
    reopen();
    assert_int_equal(ASK(on_queue, sk_registry_c2d_list, SK_SPAN("d1")), SK_OK);
    assert_int_equal(got.count, 2);
    assert_int_equal(got.c2d[0].sequence, first);
    assert_int_equal(got.c2d[0].expiry_us, 1000);
    assert_true(got.c2d[1].sequence > first + 1);
    assert_false(got.c2d[0].sent);
    assert_int_equal(ASK(on_c2d, sk_registry_c2d_get, first), SK_OK);
    assert_string_equal(got.envelope, "head of a");
    assert_int_equal(ASK(on_c2d, sk_registry_c2d_get, first + 100), SK_NOT_FOUND);
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
    assert_int_equal(ASK(on_ended, sk_registry_c2d_end, sequence, SK_C2D_COMPLETED, TTL_US), SK_OK);
    assert_int_equal(got.added, 1);
    uint64_t newest = got.newest;
    assert_int_equal(ASK(on_ended, sk_registry_c2d_end, sequence, SK_C2D_REJECTED, TTL_US),
                     SK_NOT_FOUND);
    assert_int_equal(ASK(on_ended, sk_registry_c2d_return, sequence, 5, TTL_US), SK_NOT_FOUND);
    assert_int_equal(
        ASK(on_records, sk_registry_feedback_list, SK_TOPIC_FEEDBACK, 0, UINT32_MAX, 0, 8), SK_OK);
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
    assert_int_equal(ASK(on_ended, sk_registry_c2d_return, sequence, 0, 0), SK_OK);
    assert_int_equal(got.c2d[0].deliveries, 0);
    assert_true(got.c2d[0].sent);
    assert_int_equal(ASK(on_ended, sk_registry_c2d_return, sequence, 2, TTL_US), SK_OK);
    assert_int_equal(got.c2d[0].deliveries, 1);
    assert_int_equal(ASK(on_ended, sk_registry_c2d_return, sequence, 2, TTL_US), SK_OK);
    assert_int_equal(got.count, 0); /* that was the last time */
    assert_int_equal(got.added, 1);
    assert_int_equal(ASK(on_c2d, sk_registry_c2d_get, sequence), SK_NOT_FOUND);
}

TEST(expired_messages_are_found_by_device) {
    assert_int_equal(ASK(on_expired, sk_registry_c2d_expired, 1000, 8), SK_OK);
    assert_true(got.next_expiry_us == INT64_MAX);
    put("d1", "a", SK_ACK_NONE, 1001);
    put("d2", "b", SK_ACK_NONE, 1000);
    ASK(on_expired, sk_registry_c2d_expired, 999, 8);
    assert_string_equal(got.expired, "");
    assert_int_equal(got.next_expiry_us, 1000);
    ASK(on_expired, sk_registry_c2d_expired, 1000, 8);
    assert_string_equal(got.expired, "d2");
    assert_int_equal(got.next_expiry_us, 1001);
}

TEST(a_purge_tells_every_sender_who_asked) {
    put("d1", "a", SK_ACK_NEGATIVE, 1);
    put("d1", "b", SK_ACK_POSITIVE, 1);
    put("d1", "c", SK_ACK_FULL, 1);
    put("d1", "", SK_ACK_FULL, 1);
    put("d2", "d", SK_ACK_FULL, 1);
    assert_int_equal(ASK(on_ended, sk_registry_c2d_purge, SK_SPAN("d1"), TTL_US), SK_OK);
    assert_int_equal(got.ended, 4);
    assert_int_equal(got.added, 2);
    assert_int_equal(ASK(on_ended, sk_registry_c2d_purge, SK_SPAN("nobody"), TTL_US), SK_NOT_FOUND);
    ASK(on_records, sk_registry_feedback_list, SK_TOPIC_FEEDBACK, 0, UINT32_MAX, 0, 8);
    assert_int_equal(got.feedback_count, 2);
    assert_string_equal(got.feedback[0].id, "a");
    assert_string_equal(got.feedback[1].id, "c");
}

TEST(deleting_a_device_deletes_its_messages_and_records) {
    put("d1", "a", SK_ACK_FULL, 1);
    ASK(on_ended, sk_registry_c2d_end, got.c2d[0].sequence, SK_C2D_REJECTED, TTL_US);
    put("d1", "b", SK_ACK_FULL, 1);
    assert_int_equal(ASK(on_entries, sk_registry_delete, SK_SPAN("d1"), SK_NONE, SK_NONE), SK_OK);
    put_device("d1", false);
    ASK(on_queue, sk_registry_c2d_list, SK_SPAN("d1"));
    assert_int_equal(got.count, 0);
    ASK(on_records, sk_registry_feedback_list, SK_TOPIC_FEEDBACK, 0, UINT32_MAX, 0, 8);
    assert_int_equal(got.feedback_count, 0);
}

/* ---- records ---- */

TEST(records_are_settled_in_ranges) {
    static const char *const ids[] = {"a", "b", "c", "d"};
    uint64_t records[4];
    for (int i = 0; i < 4; i++) {
        put("d1", ids[i], SK_ACK_FULL, 1);
        ASK(on_ended, sk_registry_c2d_end, got.c2d[0].sequence, SK_C2D_COMPLETED, TTL_US);
        records[i] = got.newest;
    }
    /* Without both ends. */
    ASK(on_records, sk_registry_feedback_list, SK_TOPIC_FEEDBACK, records[0], records[3], 0, 8);
    assert_int_equal(got.feedback_count, 2);
    assert_int_equal(
        ASK(on_newest, sk_registry_feedback_return, SK_TOPIC_FEEDBACK, records[0], records[1], 2),
        SK_OK);
    assert_int_equal(
        ASK(on_newest, sk_registry_feedback_return, SK_TOPIC_FEEDBACK, records[1], records[2], 2),
        SK_OK);
    assert_int_equal(
        ASK(on_newest, sk_registry_feedback_delete, SK_TOPIC_FEEDBACK, records[3], records[3]),
        SK_OK);
    assert_int_equal(got.newest, records[2]);
    ASK(on_records, sk_registry_feedback_list, SK_TOPIC_FEEDBACK, 0, UINT32_MAX, 0, 8);
    assert_int_equal(got.feedback_count, 2);
    assert_string_equal(got.feedback[0].id, "a");
    assert_string_equal(got.feedback[1].id, "c"); /* "b" was abandoned twice */
    assert_int_equal(got.feedback[1].deliveries, 1);
}

TEST(records_expire) {
    put("d1", "a", SK_ACK_FULL, 1);
    ASK(on_ended, sk_registry_c2d_end, got.c2d[0].sequence, SK_C2D_COMPLETED, TTL_US);
    int64_t now = sk_io_wall(w.io);
    ASK(on_records, sk_registry_feedback_list, SK_TOPIC_FEEDBACK, 0, UINT32_MAX,
        now + TTL_US + 60000000, 8);
    assert_int_equal(got.feedback_count, 0);
    assert_int_equal(ASK(on_newest, sk_registry_feedback_expire, SK_TOPIC_FEEDBACK, now), SK_OK);
    assert_true(got.newest > 0);
    assert_int_equal(
        ASK(on_newest, sk_registry_feedback_expire, SK_TOPIC_FEEDBACK, now + TTL_US + 60000000),
        SK_OK);
    assert_int_equal(got.newest, 0);
}
