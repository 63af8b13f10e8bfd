/* Feedback on cloud-to-device messages: who gets a record, how records are gathered, locked,
 * settled. */
#include "support/hub_world.h"
#include "support/test.h"

/* ---- feedback ---- */

static bool was_told;
static void on_readable(void *arg) {
    (void)arg;
    was_told = true;
}

static struct sk_outbox_source *subscribe(void) {
    assert_int_equal(ask((struct sk_request){.op = SK_OP_FEEDBACK_SUBSCRIBE}), SK_FAULT_NONE);
    outcome.feedback->readable = on_readable;
    return outcome.feedback;
}

/* The next message of a source, after at most 2 s: how many records it has, 0: none. */
static size_t next_batch(struct sk_outbox_source *source, json_t **records, uint64_t *delivery) {
    struct sk_message message;
    *records = NULL;
    for (int i = 0; i < 2; i++) {
        if (source->next(source, &message, delivery) == SK_OK) {
            assert_true(sk_span_eq(message.system[SK_SYS_CONTENT_TYPE], SK_SPAN(SK_FEEDBACK_TYPE)));
            assert_true(sk_span_is(message.system[SK_SYS_USER_ID], "test"));
            *records = json_loadb(message.body.p, message.body.n, 0, NULL);
            assert_non_null(*records);
            return json_array_size(*records);
        }
        pass(SK_S);
    }
    return 0;
}

static const char *record_text(const json_t *records, size_t index, const char *member) {
    return json_string_value(json_object_get(json_array_get(records, index), member));
}

/* Sends a message and ends it; `ack` as a text. */
static void end_one(const char *device, const char *id, const char *ack, enum sk_outcome how) {
    assert_int_equal(send_text(device, id, ack), SK_FAULT_NONE);
    assert_true(receive(device, 0));
    assert_int_equal(settle_token(device, outcome.token, how), SK_FAULT_NONE);
}

static void end_many(size_t count) {
    for (size_t i = 0; i < count; i++) end_one("d1", "m", "full", SK_COMPLETE);
}

static void on_settled(void *arg, const struct sk_error *error) {
    *(enum sk_fault *)arg = error ? error->fault : SK_FAULT_NONE;
}

static enum sk_fault settle_batch(struct sk_outbox_source *source, uint64_t delivery,
                                  enum sk_outcome how) {
    enum sk_fault fault = SK_FAULT_UNAVAILABLE;
    source->settle(source, delivery, how, on_settled, &fault);
    pass(SK_S);
    return fault;
}

AROUND(start_world, end_world);

/* ---- who gets a record ---- */

TEST(a_record_says_what_became_of_the_message) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *source = subscribe();
    end_one("d1", "the \"id\"", "full", SK_COMPLETE);
    assert_int_equal(next_batch(source, &records, &delivery), 0);
    pass(15 * SK_S);
    assert_true(was_told);
    assert_int_equal(next_batch(source, &records, &delivery), 1);
    assert_string_equal(record_text(records, 0, "originalMessageId"), "the \"id\"");
    assert_string_equal(record_text(records, 0, "statusCode"), "Success");
    assert_string_equal(record_text(records, 0, "description"), "Success");
    assert_string_equal(record_text(records, 0, "deviceId"), "d1");
    assert_int_equal(strlen(record_text(records, 0, "deviceGenerationId")), 18);
    int64_t when;
    assert_int_equal(sk_time_parse(sk_span_z(record_text(records, 0, "enqueuedTimeUtc")), &when),
                     SK_OK);
    json_decref(records);
    source->close(source);
}

TEST(senders_are_told_what_they_asked_for) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *source = subscribe();
    end_one("d1", "a", "none", SK_COMPLETE);
    end_one("d1", "b", "positive", SK_COMPLETE);
    end_one("d1", "c", "negative", SK_COMPLETE);
    end_one("d1", "d", "Full", SK_COMPLETE);
    end_one("d1", "e", "none", SK_REJECT);
    end_one("d1", "f", "positive", SK_REJECT);
    end_one("d1", "g", "negative", SK_REJECT);
    end_one("d1", "h", "full", SK_REJECT);
    end_one("d1", "", "full", SK_COMPLETE); /* without a message id nobody can be told */
    pass(16 * SK_S);
    assert_int_equal(next_batch(source, &records, &delivery), 4);
    static const char *const expected[][2] = {
        {"b", "Success"}, {"d", "Success"}, {"g", "Rejected"}, {"h", "Rejected"}};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(record_text(records, i, "originalMessageId"), expected[i][0]);
        assert_string_equal(record_text(records, i, "statusCode"), expected[i][1]);
    }
    json_decref(records);
    source->close(source);
}

TEST(every_end_has_its_status_code) {
    json_t *records;
    uint64_t delivery;
    options.c2d.deliveries_max = 1;
    options.c2d.default_ttl_us = 60000000;
    struct sk_outbox_source *source = subscribe();
    end_one("d1", "dead", "negative", SK_ABANDON);
    send_text("d1", "purged", "negative");
    purge("d1");
    send_text("d1", "expired", "negative");
    pass(90 * SK_S);
    size_t count = 0;
    static const char *const expected[] = {"DeliveryCountExceeded", "Purged", "Expired"};
    for (size_t n; (n = next_batch(source, &records, &delivery)) > 0; json_decref(records))
        for (size_t i = 0; i < n; i++)
            assert_string_equal(record_text(records, i, "statusCode"), expected[count++]);
    assert_int_equal(count, 3);
    source->close(source);
}

TEST(a_deleted_device_takes_its_records_along) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *source = subscribe();
    end_one("d1", "gone", "full", SK_COMPLETE);
    end_one("d2", "stays", "full", SK_COMPLETE);
    delete_device("d1");
    pass(16 * SK_S);
    assert_int_equal(next_batch(source, &records, &delivery), 1);
    assert_string_equal(record_text(records, 0, "originalMessageId"), "stays");
    json_decref(records);
    source->close(source);
}

/* ---- gathering ---- */

TEST(sixty_four_records_go_at_once_and_fewer_fifteen_seconds_after_the_last) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *source = subscribe();
    end_many(63);
    assert_int_equal(next_batch(source, &records, &delivery), 0);
    end_many(1);
    assert_int_equal(next_batch(source, &records, &delivery), 64);
    json_decref(records);
    end_many(1);
    pass(12 * SK_S);
    assert_int_equal(next_batch(source, &records, &delivery), 0);
    end_many(1); /* the fifteen seconds begin again */
    pass(12 * SK_S);
    assert_int_equal(next_batch(source, &records, &delivery), 0);
    pass(2 * SK_S);
    assert_int_equal(next_batch(source, &records, &delivery), 2);
    json_decref(records);
    source->close(source);
}

TEST(records_outlive_a_restart) {
    json_t *records;
    uint64_t delivery;
    end_many(3);
    close_hub();
    open_hub();
    struct sk_outbox_source *source = subscribe();
    assert_int_equal(next_batch(source, &records, &delivery), 3);
    json_decref(records);
    assert_int_equal(settle_batch(source, delivery, SK_COMPLETE), SK_FAULT_NONE);
    source->close(source);
    close_hub();
    open_hub();
    source = subscribe();
    assert_int_equal(next_batch(source, &records, &delivery), 0);
    source->close(source);
}

TEST(records_nobody_wants_are_forgotten_after_an_hour) {
    json_t *records;
    uint64_t delivery;
    end_many(1);
    pass(3500 * SK_S);
    end_many(1);
    pass(180 * SK_S);
    struct sk_outbox_source *source = subscribe();
    assert_int_equal(next_batch(source, &records, &delivery), 1);
    json_decref(records);
    source->close(source);
}

/* ---- locks and outcomes ---- */

TEST(a_message_is_one_receivers_until_its_lock_ends) {
    json_t *records;
    uint64_t delivery, again;
    struct sk_outbox_source *a = subscribe(), *b = subscribe();
    end_many(1);
    pass(16 * SK_S);
    assert_int_equal(next_batch(a, &records, &delivery), 1);
    json_decref(records);
    assert_int_equal(next_batch(b, &records, &again), 0);
    pass(60 * SK_S);
    assert_int_equal(next_batch(b, &records, &again), 1);
    json_decref(records);
    assert_int_equal(settle_batch(a, delivery, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(settle_batch(b, again, SK_COMPLETE), SK_FAULT_NONE);
    assert_int_equal(next_batch(a, &records, &delivery), 0);
    a->close(a);
    b->close(b);
}

TEST(a_closed_receivers_messages_go_to_the_next) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *a = subscribe(), *b = subscribe();
    end_many(1);
    pass(16 * SK_S);
    assert_int_equal(next_batch(a, &records, &delivery), 1);
    json_decref(records);
    assert_int_equal(next_batch(b, &records, &delivery), 0);
    a->close(a);
    assert_int_equal(next_batch(b, &records, &delivery), 1);
    json_decref(records);
    b->close(b);
}

TEST(receivers_share_what_there_is) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *a = subscribe(), *b = subscribe();
    end_many(128);
    assert_int_equal(next_batch(a, &records, &delivery), 64);
    json_decref(records);
    assert_int_equal(next_batch(b, &records, &delivery), 64);
    json_decref(records);
    assert_int_equal(next_batch(a, &records, &delivery), 0);
    a->close(a); /* its batch lies before b's, and comes again */
    uint64_t second;
    assert_int_equal(next_batch(b, &records, &second), 64);
    json_decref(records);
    assert_int_equal(settle_batch(b, delivery, SK_COMPLETE), SK_FAULT_NONE);
    assert_int_equal(settle_batch(b, second, SK_COMPLETE), SK_FAULT_NONE);
    b->close(b);
}

TEST(the_tenth_abandonment_is_the_last) {
    json_t *records;
    uint64_t delivery;
    struct sk_outbox_source *source = subscribe();
    end_many(1);
    pass(16 * SK_S);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(next_batch(source, &records, &delivery), 1);
        json_decref(records);
        assert_int_equal(settle_batch(source, delivery, SK_ABANDON), SK_FAULT_NONE);
    }
    assert_int_equal(next_batch(source, &records, &delivery), 0);
    source->close(source);
}

TEST(a_receiver_has_at_most_sixteen_messages_unsettled) {
    json_t *records;
    uint64_t deliveries[SK_OUTBOX_LOCKED_MAX + 1];
    options.c2d.feedback_lock_us = 300000000;
    struct sk_outbox_source *source = subscribe();
    for (int i = 0; i <= SK_OUTBOX_LOCKED_MAX; i++) {
        end_many(1);
        pass(16 * SK_S);
        size_t expected = i < SK_OUTBOX_LOCKED_MAX;
        assert_int_equal(next_batch(source, &records, &deliveries[i]), expected);
        json_decref(records);
    }
    was_told = false;
    assert_int_equal(settle_batch(source, deliveries[3], SK_COMPLETE), SK_FAULT_NONE);
    assert_true(was_told);
    assert_int_equal(next_batch(source, &records, &deliveries[3]), 1);
    json_decref(records);
    source->close(source);
}

TEST(an_https_receiver_settles_by_token) {
    struct sk_request receive_feedback = {.op = SK_OP_FEEDBACK_RECEIVE};
    char token[40];
    end_many(1);
    assert_int_equal(ask(receive_feedback), SK_FAULT_NONE);
    assert_false(outcome.has_message);
    pass(16 * SK_S);
    assert_int_equal(ask(receive_feedback), SK_FAULT_NONE);
    assert_true(outcome.has_message);
    copy(token, sizeof token, sk_span_z(outcome.token));
    assert_int_equal(ask(receive_feedback), SK_FAULT_NONE);
    assert_false(outcome.has_message);
    struct sk_request settlement = {
        .op = SK_OP_FEEDBACK_SETTLE, .name = sk_span_z(token), .outcome = SK_ABANDON};
    assert_int_equal(ask(settlement), SK_FAULT_NONE);
    assert_int_equal(ask(settlement), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(ask(receive_feedback), SK_FAULT_NONE);
    assert_int_equal(outcome.deliveries, 1);
    copy(token, sizeof token, sk_span_z(outcome.token));
    settlement.outcome = SK_COMPLETE;
    assert_int_equal(ask(settlement), SK_FAULT_NONE);
}
