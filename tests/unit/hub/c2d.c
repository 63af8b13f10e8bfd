/* A device's queue of cloud-to-device messages: order, limits, locks, ends. */
#include "support/hub_world.h"
#include "support/test.h"

AROUND(start_world, end_world);

/* ---- in order, to whoever is there ---- */

TEST(messages_wait_for_their_device_and_come_in_order) {
    static struct device d;
    char id[8];
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "m%d", i);
        assert_int_equal(send_text("d1", id, "none"), SK_FAULT_NONE);
    }
    connect_device(&d, "d1", &mqtt_like, 50);
    assert_int_equal(d.count, 20);
    for (int i = 0; i < 20; i++) {
        snprintf(id, sizeof id, "m%d", i);
        assert_string_equal(d.seen[i].body, id);
        assert_false(d.seen[i].redelivered);
    }
    send_text("d1", "late", "none");
    pass(SK_S);
    assert_string_equal(d.seen[20].body, "late");
    disconnect_device(&d);
}

TEST(a_full_session_gets_the_next_when_it_has_settled_one) {
    static struct device d;
    connect_device(&d, "d1", &mqtt_like, 2);
    for (int i = 0; i < 4; i++) send_text("d1", "m", "none");
    pass(SK_S);
    assert_int_equal(d.count, 2);
    assert_int_equal(settle(&d, 0, SK_COMPLETE), SK_FAULT_NONE);
    pass(SK_S);
    assert_int_equal(d.count, 3);
    d.room = 3;
    hub->backend.ops->session_writable(&hub->backend, &d.session);
    pass(SK_S);
    assert_int_equal(d.count, 4);
    disconnect_device(&d);
}

TEST(what_a_session_did_not_settle_waits_again_in_its_place) {
    static struct device d;
    connect_device(&d, "d1", &mqtt_like, 50);
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof id, "m%d", i);
        send_text("d1", id, "none");
    }
    pass(SK_S);
    assert_int_equal(settle(&d, 1, SK_COMPLETE), SK_FAULT_NONE);
    disconnect_device(&d);
    send_text("d1", "m3", "none");
    connect_device(&d, "d1", &mqtt_like, 50);
    assert_int_equal(d.count, 3);
    assert_string_equal(d.seen[0].body, "m0");
    assert_string_equal(d.seen[1].body, "m2");
    assert_string_equal(d.seen[2].body, "m3");
    assert_true(d.seen[0].redelivered && d.seen[1].redelivered && !d.seen[2].redelivered);
    assert_int_equal(d.seen[0].deliveries, 0); /* only abandoning counts */
    disconnect_device(&d);
}

TEST(a_restart_forgets_locks_and_nothing_else) {
    send_text("d1", "m0", "none");
    send_text("d1", "m1", "none");
    assert_true(receive("d1", 0));
    char token[40];
    copy(token, sizeof token, sk_span_z(outcome.token));
    close_hub();
    open_hub();
    assert_int_equal(settle_token("d1", token, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_true(receive("d1", 0));
    assert_string_equal(outcome.body, "m0");
    assert_true(receive("d1", 0));
    assert_string_equal(outcome.body, "m1");
}

TEST(nothing_of_a_queue_stays_in_memory_when_nobody_needs_it) {
    static struct device d;
    send_text("d1", "m0", "none");
    assert_int_equal(hub->c2d.queues.count, 0);
    connect_device(&d, "d1", &mqtt_like, 50);
    assert_int_equal(hub->c2d.queues.count, 1);
    disconnect_device(&d);
    assert_int_equal(hub->c2d.queues.count, 0);
    assert_true(receive("d1", 0));
    assert_int_equal(hub->c2d.queues.count, 1); /* it is locked */
    pass(61 * SK_S);
    assert_int_equal(hub->c2d.queues.count, 0);
    assert_false(receive("d2", 0));
    pass(SK_S);
    assert_int_equal(hub->c2d.queues.count, 0);
}

/* ---- limits ---- */

TEST(the_fiftieth_message_is_taken_and_the_next_is_refused) {
    for (int i = 0; i < SK_C2D_PENDING_MAX; i++)
        assert_int_equal(send_text("d1", "m", "none"), SK_FAULT_NONE);
    assert_int_equal(send_text("d1", "m", "none"), SK_FAULT_QUEUE_DEPTH);
    assert_int_equal(send_text("d2", "m", "none"), SK_FAULT_NONE);
    assert_true(receive("d1", 0)); /* a locked one counts */
    char token[40];
    copy(token, sizeof token, sk_span_z(outcome.token));
    assert_int_equal(send_text("d1", "m", "none"), SK_FAULT_QUEUE_DEPTH);
    assert_int_equal(settle_token("d1", token, SK_COMPLETE), SK_FAULT_NONE);
    assert_int_equal(send_text("d1", "m", "none"), SK_FAULT_NONE);
    assert_int_equal(send_text("d1", "m", "none"), SK_FAULT_QUEUE_DEPTH);
}

TEST(a_message_of_64_kb_is_taken_and_a_byte_more_is_refused) {
    char *body = sk_alloc(SK_C2D_MESSAGE_MAX + 1);
    struct sk_message message = message_of("", "", "");
    memset(body, 'x', SK_C2D_MESSAGE_MAX + 1);
    message.body = sk_span(body, SK_C2D_MESSAGE_MAX + 1);
    assert_int_equal(send_message("d1", &message), SK_FAULT_MESSAGE_TOO_LARGE);
    message.body.n--;
    assert_int_equal(send_message("d1", &message), SK_FAULT_NONE);
    message.properties = &(struct sk_property){SK_SPAN("a"), SK_NONE};
    message.property_count = 1; /* its name counts */
    assert_int_equal(send_message("d1", &message), SK_FAULT_MESSAGE_TOO_LARGE);
    free(body);
}

TEST(properties_that_fit_no_topic_are_refused) {
    char *value = sk_alloc(40000);
    memset(value, '/', 40000); /* each is three characters of a topic */
    struct sk_property property = {SK_SPAN("p"), sk_span(value, 21000)};
    struct sk_message message = message_of("", "", "");
    message.properties = &property;
    message.property_count = 1;
    assert_int_equal(send_message("d1", &message), SK_FAULT_NONE);
    property.value.n = 22000;
    assert_int_equal(send_message("d1", &message), SK_FAULT_MESSAGE_TOO_LARGE);
    free(value);
}

static enum sk_fault send_expiring(int64_t in_us) {
    char when[SK_TIME_TEXT];
    struct sk_message message = message_of("m", "", "m");
    sk_time_text(sk_io_wall(io) + in_us, when);
    message.system[SK_SYS_EXPIRY] = sk_span_z(when);
    return send_message("d1", &message);
}

TEST(an_expiry_is_in_the_future_and_within_two_days) {
    assert_int_equal(send_expiring(0), SK_FAULT_MESSAGE_EXPIRY);
    assert_int_equal(send_expiring(1), SK_FAULT_NONE);
    assert_int_equal(send_expiring(SK_C2D_TTL_MAX_US), SK_FAULT_NONE);
    assert_int_equal(send_expiring(SK_C2D_TTL_MAX_US + 1), SK_FAULT_MESSAGE_EXPIRY);
    struct sk_message message = message_of("m", "", "m");
    message.system[SK_SYS_EXPIRY] = SK_SPAN("tomorrow");
    assert_int_equal(send_message("d1", &message), SK_FAULT_ARGUMENT_INVALID);
}

TEST(what_cannot_be_sent_is_refused) {
    char id[130];
    memset(id, 'i', sizeof id);
    id[128] = 0;
    assert_int_equal(send_text("d1", id, ""), SK_FAULT_NONE);
    id[128] = 'i';
    id[129] = 0;
    assert_int_equal(send_text("d1", id, ""), SK_FAULT_ARGUMENT_INVALID);
    assert_int_equal(send_text("d1", "m", "maybe"), SK_FAULT_ARGUMENT_INVALID);
    assert_int_equal(send_text("nobody", "m", ""), SK_FAULT_DEVICE_NOT_FOUND);
    put_device("off", true);
    assert_int_equal(send_text("off", "m", ""), SK_FAULT_DEVICE_NOT_FOUND);
    struct sk_message message = message_of("m", "", "m");
    assert_int_equal(ask((struct sk_request){.op = SK_OP_C2D_SEND,
                                             .device = SK_SPAN("d1"),
                                             .module = SK_SPAN("m1"),
                                             .message = &message}),
                     SK_FAULT_NOT_FOUND);
    message.properties = &(struct sk_property){SK_SPAN("two words"), SK_NONE};
    message.property_count = 1;
    assert_int_equal(send_message("d1", &message), SK_FAULT_ARGUMENT_INVALID);
}

TEST(a_message_without_a_wish_for_feedback_says_nothing_of_it) {
    assert_int_equal(send_text("d1", "m", ""), SK_FAULT_NONE);
    assert_true(receive("d1", 0));
    assert_string_equal(outcome.ack, "");
}

/* ---- locks ---- */

TEST(a_lock_lasts_a_minute_and_its_token_not_longer) {
    send_text("d1", "m", "none");
    assert_true(receive("d1", 0));
    char token[40];
    copy(token, sizeof token, sk_span_z(outcome.token));
    assert_int_equal(strlen(token), 36);
    pass(59 * SK_S);
    assert_false(receive("d1", 0));
    pass(2 * SK_S);
    assert_int_equal(settle_token("d1", token, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_true(receive("d1", 0));
    assert_int_equal(outcome.deliveries, 0); /* that the lock ran out does not count */
    assert_true(outcome.redelivered);
    assert_string_not_equal(outcome.token, token);
}

TEST(a_client_may_say_how_long_it_locks) {
    send_text("d1", "m", "none");
    assert_true(receive("d1", 5));
    pass(6 * SK_S);
    assert_true(receive("d1", 300));
    pass(299 * SK_S);
    assert_false(receive("d1", 0));
    assert_int_equal(
        ask((struct sk_request){.op = SK_OP_C2D_RECEIVE, .device = SK_SPAN("d1"), .lock_s = 301}),
        SK_FAULT_ARGUMENT_INVALID);
}

TEST(another_devices_token_opens_nothing) {
    send_text("d1", "m", "none");
    assert_true(receive("d1", 0));
    char token[40];
    copy(token, sizeof token, sk_span_z(outcome.token));
    assert_int_equal(settle_token("d2", token, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(settle_token("d1", "", SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(settle_token("d1", token, SK_COMPLETE), SK_FAULT_NONE);
    assert_int_equal(settle_token("d1", token, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
}

TEST(mqtt_gets_nothing_twice_on_one_connection_and_may_settle_late) {
    static struct device d;
    connect_device(&d, "d1", &mqtt_like, 50);
    send_text("d1", "m", "none");
    pass(200 * SK_S);
    assert_int_equal(d.count, 1);
    assert_int_equal(settle(&d, 0, SK_COMPLETE), SK_FAULT_NONE);
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_COMPLETED], 1);
    disconnect_device(&d);
}

TEST(a_late_settlement_is_refused_when_somebody_else_has_the_message) {
    static struct device d;
    connect_device(&d, "d1", &mqtt_like, 50);
    send_text("d1", "m", "none");
    pass(61 * SK_S);
    assert_true(receive("d1", 0)); /* the lock ran out: HTTPS may have it */
    assert_int_equal(settle(&d, 0, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(settle_token("d1", outcome.token, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    disconnect_device(&d);
}

TEST(amqp_gets_a_message_again_when_its_lock_ran_out) {
    static struct device d;
    connect_device(&d, "d1", &amqp_like, 50);
    send_text("d1", "m", "none");
    pass(61 * SK_S);
    assert_int_equal(d.count, 2);
    assert_int_equal(settle(&d, 0, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(settle(&d, 1, SK_COMPLETE), SK_FAULT_NONE);
    disconnect_device(&d);
}

TEST(a_released_delivery_comes_again_uncounted) {
    static struct device d;
    connect_device(&d, "d1", &amqp_like, 1);
    send_text("d1", "m", "none");
    pass(SK_S);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(d.count, i + 1);
        assert_int_equal(d.seen[i].deliveries, 0);
        assert_int_equal(settle(&d, i, SK_RELEASE), SK_FAULT_NONE);
        pass(SK_S);
    }
    disconnect_device(&d);
}

/* ---- ends ---- */

TEST(the_tenth_abandonment_is_the_last) {
    static struct device d;
    connect_device(&d, "d1", &amqp_like, 1);
    send_text("d1", "m", "none");
    pass(SK_S);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(d.count, i + 1);
        assert_int_equal(d.seen[i].deliveries, i);
        assert_int_equal(settle(&d, i, SK_ABANDON), SK_FAULT_NONE);
        pass(SK_S);
    }
    assert_int_equal(d.count, 10);
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_DELIVERY_COUNT_EXCEEDED], 1);
    assert_int_equal(hub->counts.c2d_abandoned_total, 9);
    disconnect_device(&d);
}

TEST(abandonments_are_counted_across_restarts) {
    options.c2d.deliveries_max = 3;
    send_text("d1", "m", "none");
    for (unsigned i = 0; i < 3; i++) {
        assert_true(receive("d1", 0));
        assert_int_equal(outcome.deliveries, i);
        assert_int_equal(settle_token("d1", outcome.token, SK_ABANDON), SK_FAULT_NONE);
        close_hub();
        open_hub();
    }
    assert_false(receive("d1", 0));
}

TEST(a_message_expires_after_an_hour_wherever_it_waits) {
    static struct device d;
    send_text("d2", "m", "none"); /* its device is away: the hub looks by itself */
    connect_device(&d, "d1", &mqtt_like, 0);
    send_text("d1", "m", "none");
    pass(3590 * SK_S);
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_EXPIRED], 0);
    d.room = 1;
    pass(20 * SK_S);
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_EXPIRED], 2);
    hub->backend.ops->session_writable(&hub->backend, &d.session);
    pass(SK_S);
    assert_int_equal(d.count, 0);
    disconnect_device(&d);
}

TEST(a_message_that_expires_under_its_lock_can_still_be_completed) {
    assert_int_equal(send_expiring(10000000), SK_FAULT_NONE);
    assert_int_equal(send_expiring(10000000), SK_FAULT_NONE);
    assert_true(receive("d1", 0));
    char token[40];
    copy(token, sizeof token, sk_span_z(outcome.token));
    assert_true(receive("d1", 0));
    pass(30 * SK_S);
    assert_int_equal(settle_token("d1", token, SK_COMPLETE), SK_FAULT_NONE);
    pass(60 * SK_S); /* the other's lock runs out */
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_COMPLETED], 1);
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_EXPIRED], 1);
}

TEST(messages_that_expired_while_the_hub_was_off_are_found) {
    send_text("d1", "m", "none");
    close_hub();
    pass(3601 * SK_S);
    open_hub();
    assert_int_equal(hub->counts.c2d_ended_total[SK_C2D_EXPIRED], 1);
}

TEST(a_purge_ends_all_that_a_device_has_waiting) {
    static struct device d;
    connect_device(&d, "d1", &mqtt_like, 1);
    for (int i = 0; i < 3; i++) send_text("d1", "m", "none");
    send_text("d2", "m", "none");
    pass(SK_S);
    assert_int_equal(purge("d1"), SK_FAULT_NONE);
    assert_int_equal(outcome.purged, 3);
    assert_int_equal(settle(&d, 0, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    assert_int_equal(purge("d1"), SK_FAULT_NONE);
    assert_int_equal(outcome.purged, 0);
    assert_int_equal(purge("nobody"), SK_FAULT_DEVICE_NOT_FOUND);
    send_text("d1", "after", "none");
    pass(SK_S);
    assert_string_equal(d.seen[1].body, "after");
    disconnect_device(&d);
    assert_true(receive("d2", 0));
}

TEST(a_deleted_device_takes_its_messages_along) {
    send_text("d1", "m", "none");
    assert_true(receive("d1", 0));
    delete_device("d1");
    assert_int_equal(settle_token("d1", outcome.token, SK_COMPLETE), SK_FAULT_MESSAGE_LOCK_LOST);
    put_device("d1", false);
    assert_false(receive("d1", 0));
    assert_int_equal(send_text("d1", "m", "none"), SK_FAULT_NONE);
    assert_true(receive("d1", 0));
}
