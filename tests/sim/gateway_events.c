/* The Event Hubs-compatible endpoint as clients meet it: what is answered, what is refused and
 * how, and that a refusal harms nobody else. */
#include "support/raw_amqp.h"
#include "support/test.h"

#define RECEIVER "/ConsumerGroups/$Default/Partitions/"

/* A connection with a token of a policy for the whole hub, signed as Event Hubs clients do. */
static void open_as(struct raw_amqp *c, struct fleet *f, const char *policy) {
    raw_amqp_open(c, f, &(struct raw_amqp_options){.anonymous = true});
    assert_int_equal(raw_amqp_token_of(c, "hub.test", NULL, policy, 3600), 200);
}

static void send_events(struct fleet *f, size_t count) {
    struct raw_amqp c;
    struct raw_link link = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(&c, "d1");
    raw_link_sender(&c, &link, "/devices/d1/messages/events");
    for (size_t i = 0; i < count; i++) assert_null(raw_link_try(&link, SK_SPAN("{}")));
    raw_amqp_free(&c);
}

static struct sk_span text_of(const struct sk_amqp_field *fields, size_t count, const char *name,
                              struct sk_arena *arena) {
    const struct sk_amqp_value *value = sk_amqp_find(fields, count, name);
    return value ? sk_amqp_text(value, arena) : SK_NONE;
}

/* ---- receivers ---- */

static void receive(struct raw_amqp *c, struct raw_link *link, const char *address,
                    const char *selector, int64_t epoch) {
    struct sk_amqp_field property = {SK_SPAN("com.microsoft:epoch"), SK_AMQP_VALUE_LONG(epoch)};
    raw_link_begin(c, link,
                   (struct sk_amqp_link_options){.address = address,
                                                 .local_address = "reader",
                                                 .selector = selector,
                                                 .credit = 100,
                                                 .properties = &property,
                                                 .property_count = epoch >= 0});
    assert_true(sk_sim_run_until(c->f->sim, 60 * SK_S, raw_link_is_decided, link));
    sk_sim_run(c->f->sim, 100 * SK_MS);
}

/* The partition that d1's events are in. */
static unsigned fill_one(struct fleet *f, struct raw_amqp *c, size_t count) {
    send_events(f, count);
    for (unsigned p = 0; p < 4; p++) {
        struct raw_link link = {0};
        char address[64];
        snprintf(address, sizeof address, "test" RECEIVER "%u", p);
        receive(c, &link, address, NULL, -1);
        bool here = !sk_list_empty(&link.come);
        sk_amqp_refuse(link.amqp, &(struct sk_amqp_error){0});
        raw_link_forget(&link);
        raw_amqp_flush(c);
        sk_sim_run(f->sim, SK_S);
        if (here) return p;
    }
    fail_msg("the events are in no partition");
    return 0;
}

AROUND(fleet_new_world, fleet_free_world);

TEST(an_event_carries_what_iot_hub_writes) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    struct sk_amqp_message m;
    struct sk_amqp_delivery *delivery;
    char address[64];
    open_as(&c, f, "owner");
    snprintf(address, sizeof address, "test" RECEIVER "%u", fill_one(f, &c, 3));
    receive(&c, &link, address, "amqp.annotation.x-opt-sequence-number > '0'", -1);
    assert_true(raw_link_next(&link, &m, &delivery));
    assert_null(delivery); /* settled: a verdict would mean nothing */
    const struct sk_amqp_value *number =
        sk_amqp_find(m.annotations, m.annotation_count, "x-opt-sequence-number");
    assert_int_equal(number->i, 1);
    assert_true(sk_span_is(
        text_of(m.annotations, m.annotation_count, "x-opt-partition-key", &c.arena), "d1"));
    assert_true(sk_span_is(
        text_of(m.annotations, m.annotation_count, "iothub-connection-device-id", &c.arena), "d1"));
    assert_true(
        sk_span_is(text_of(m.annotations, m.annotation_count, "iothub-message-source", &c.arena),
                   "Telemetry"));
    raw_amqp_free(&c);
}

TEST(what_is_not_there_is_refused_and_others_go_on) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link good = {0};
    static const struct {
        const char *address, *selector, *condition;
    } cases[] = {
        {"other" RECEIVER "0", NULL, "amqp:not-found"},
        {"test/ConsumerGroups/nobody/Partitions/0", NULL, "amqp:not-found"},
        {"test" RECEIVER "4", NULL, "com.microsoft:argument-out-of-range"},
        {"test" RECEIVER "-1", NULL, "com.microsoft:argument-out-of-range"},
        {"test" RECEIVER "99999999999999999999", NULL, "com.microsoft:argument-out-of-range"},
        {"test" RECEIVER "one", NULL, "com.microsoft:argument-out-of-range"},
        {"test" RECEIVER "0", "x-opt-offset > '1'", "com.microsoft:argument-error"},
        {"test" RECEIVER "0", "amqp.annotation.x-opt-offset > 'x:y:z'",
         "com.microsoft:argument-error"},
    };
    open_as(&c, f, "owner");
    receive(&c, &good, "test" RECEIVER "0", NULL, -1);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_link link = {0};
        receive(&c, &link, cases[i].address, cases[i].selector, -1);
        raw_link_expect_end(&link, cases[i].condition);
        assert_int_not_equal(link.text[0], '{'); /* Event Hubs speaks in sentences */
    }
    assert_non_null(good.amqp);
    raw_amqp_free(&c);
}

TEST(a_policy_without_the_right_reads_nothing) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    open_as(&c, f, "reader"); /* of the registry */
    receive(&c, &link, "test" RECEIVER "0", NULL, -1);
    raw_link_expect_end(&link, "amqp:unauthorized-access");
    raw_amqp_free(&c);
}

TEST(receivers_displace_each_other_by_epoch) {
    struct fleet *f = *state;
    struct raw_amqp c, other;
    struct raw_link plain[6] = {0}, one = {0}, two = {0}, three = {0};
    open_as(&c, f, "owner");
    open_as(&other, f, "owner");
    for (size_t i = 0; i < 5; i++) receive(&c, &plain[i], "test" RECEIVER "2", NULL, -1);
    receive(&other, &plain[5], "test" RECEIVER "2", NULL, -1);
    raw_link_expect_end(&plain[5], "amqp:resource-limit-exceeded");
    receive(&other, &one, "test" RECEIVER "2", NULL, 0);
    for (size_t i = 0; i < 5; i++) raw_link_expect_end(&plain[i], "amqp:link:stolen");
    assert_non_null(one.amqp);
    receive(&c, &two, "test" RECEIVER "2", NULL, 0);
    raw_link_expect_end(&one, "amqp:link:stolen");
    assert_non_null(strstr(one.text, "with higher epoch of '0' is created"));
    receive(&other, &three, "test" RECEIVER "2", NULL, -1);
    raw_link_expect_end(&three, "amqp:link:stolen");
    assert_non_null(two.amqp);
    raw_amqp_free(&other);
    raw_amqp_free(&c);
}

TEST(a_receiver_sees_what_comes_later_as_far_as_its_credit_goes) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    struct sk_amqp_message m;
    struct sk_amqp_delivery *delivery;
    char address[64];
    open_as(&c, f, "owner");
    snprintf(address, sizeof address, "test" RECEIVER "%u", fill_one(f, &c, 1));
    raw_link_begin(
        &c, &link,
        (struct sk_amqp_link_options){.address = address,
                                      .credit = -1,
                                      .selector = "amqp.annotation.x-opt-offset > '@latest'"});
    sk_sim_run(f->sim, SK_S);
    send_events(f, 10);
    sk_sim_run(f->sim, SK_S);
    assert_true(sk_list_empty(&link.come)); /* no credit yet */
    sk_amqp_grant(link.amqp, 4);
    raw_amqp_flush(&c);
    for (int i = 0; i < 4; i++) assert_true(raw_link_next(&link, &m, &delivery));
    assert_false(raw_link_next(&link, &m, &delivery));
    sk_amqp_grant(link.amqp, 100);
    raw_amqp_flush(&c);
    for (int i = 4; i < 10; i++) assert_true(raw_link_next(&link, &m, &delivery));
    raw_amqp_free(&c);
}

/* ---- $management ---- */

struct asking {
    struct raw_link out, in;
    struct sk_span token; /* to go with the question */
};

static void open_management(struct raw_amqp *c, struct asking *a, const char *address) {
    raw_link_sender(c, &a->out, address);
    raw_link_begin(c, &a->in,
                   (struct sk_amqp_link_options){
                       .address = address, .local_address = "answers", .credit = 100});
    assert_true(sk_sim_run_until(c->f->sim, 60 * SK_S, raw_link_is_decided, &a->in));
}

/* The answer's status; its body stays until the next call. */
static int manage(struct asking *a, const char *operation, const char *type, const char *partition,
                  struct sk_amqp_message *answer) {
    struct sk_amqp_delivery *delivery;
    struct sk_amqp_field fields[] = {
        {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(sk_span_z(operation))},
        {SK_SPAN("name"), SK_AMQP_VALUE_STRING(SK_SPAN("test"))},
        {SK_SPAN("type"), SK_AMQP_VALUE_STRING(sk_span_z(type))},
        {SK_SPAN("partition"), SK_AMQP_VALUE_STRING(sk_span_z(partition))}};
    if (a->token.n)
        fields[3] =
            (struct sk_amqp_field){SK_SPAN("security_token"), SK_AMQP_VALUE_STRING(a->token)};
    raw_link_send_message(
        &a->out,
        &(struct sk_amqp_message){.message_id = SK_AMQP_VALUE_STRING(SK_SPAN("question")),
                                  .reply_to = SK_SPAN("answers"),
                                  .application = fields,
                                  .application_count = partition || a->token.n ? 4 : 3},
        NULL);
    assert_true(raw_link_next(&a->in, answer, &delivery));
    struct sk_arena *arena = &a->in.connection->arena;
    assert_true(sk_span_is(sk_amqp_text(&answer->correlation_id, arena), "question"));
    const struct sk_amqp_value *status =
        sk_amqp_find(answer->application, answer->application_count, "status-code");
    assert_non_null(status);
    return (int)status->i;
}

TEST(management_tells_of_the_stream_and_its_partitions) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct asking a = {0};
    struct sk_amqp_message m;
    char partition[8];
    open_as(&c, f, "owner");
    snprintf(partition, sizeof partition, "%u", fill_one(f, &c, 5));
    open_management(&c, &a, "$management");
    assert_int_equal(manage(&a, "READ", "com.microsoft:eventhub", NULL, &m), 200);
    assert_true(sk_span_is(text_of(m.value.fields, m.value.count, "name", &c.arena), "test"));
    assert_true(
        sk_span_is(text_of(m.value.fields, m.value.count, "partition_count", &c.arena), "4"));
    assert_int_equal(manage(&a, "READ", "com.microsoft:partition", partition, &m), 200);
    assert_true(sk_span_is(
        text_of(m.value.fields, m.value.count, "last_enqueued_sequence_number", &c.arena), "4"));
    assert_true(
        sk_span_is(text_of(m.value.fields, m.value.count, "begin_sequence_number", &c.arena), "0"));
    assert_true(sk_span_is(text_of(m.value.fields, m.value.count, "is_partition_empty", &c.arena),
                           "false"));
    raw_amqp_free(&c);
}

/* azure-messaging-eventhubs of Java has the token in the question, and nothing before. */
TEST(management_stands_before_any_token_and_answers_behind_it) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct asking a = {0};
    struct sk_amqp_message m;
    static const char *const keys[] = {"d3Jvbmcgd3Jvbmcgd3Jvbmc=", FLEET_KEY};
    for (int good = 0; good < 2; good++) {
        struct sk_buffer token = {0};
        raw_amqp_open(&c, f, &(struct raw_amqp_options){.anonymous = true});
        open_management(&c, &a, "$management");
        assert_int_equal(manage(&a, "READ", "com.microsoft:eventhub", NULL, &m), 401);
        sk_sas_create(&token, SK_SPAN("amqp://hub.test/test"), sk_span_z(keys[good]),
                      SK_SPAN("owner"), sk_io_wall(f->field_io) / 1000000 + 3600);
        a.token = sk_buffer_span(&token);
        assert_int_equal(manage(&a, "READ", "com.microsoft:eventhub", NULL, &m), good ? 200 : 401);
        a.token = SK_NONE;
        assert_int_equal(manage(&a, "READ", "com.microsoft:eventhub", NULL, &m), good ? 200 : 401);
        sk_buffer_free(&token);
        raw_amqp_free(&c);
        raw_amqp_open(&c, f, &(struct raw_amqp_options){.anonymous = true});
        open_management(&c, &a, "$management");
        assert_int_equal(raw_amqp_token_of(&c, "hub.test/test", NULL, "owner", 3600), 200);
        assert_int_equal(manage(&a, "READ", "com.microsoft:eventhub", NULL, &m), 200);
        raw_amqp_free(&c);
    }
}

TEST(management_answers_bad_questions_with_a_status) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct asking a = {0};
    struct sk_amqp_message m;
    open_as(&c, f, "owner");
    open_management(&c, &a, "test/$management");
    assert_int_equal(manage(&a, "DELETE", "com.microsoft:eventhub", NULL, &m), 400);
    assert_int_equal(manage(&a, "READ", "com.microsoft:colour", NULL, &m), 400);
    assert_int_equal(manage(&a, "READ", "com.microsoft:partition", NULL, &m), 400);
    assert_int_equal(manage(&a, "READ", "com.microsoft:partition", "4", &m), 400);
    assert_true(sk_span_is(text_of(m.application, m.application_count, "error-condition", &c.arena),
                           "com.microsoft:argument-out-of-range"));
    assert_int_equal(manage(&a, "READ", "com.microsoft:partition", "3", &m), 200);
    raw_link_send(&a.out, SK_SPAN("no question at all"));
    struct sk_amqp_delivery *delivery;
    assert_true(raw_link_next(&a.in, &m, &delivery)); /* a refusal all the same */
    assert_int_equal(manage(&a, "READ", "com.microsoft:eventhub", NULL, &m), 200);
    raw_amqp_free(&c);
}

/* ---- the redirect, and sending ---- */

TEST(who_knows_only_the_hub_is_redirected) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0}, management = {0};
    open_as(&c, f, "owner");
    receive(&c, &link, "amqps://hub.test/messages/events" RECEIVER "1", NULL, -1);
    raw_link_expect_end(&link, "amqp:link:redirect");
    assert_string_equal(link.text, "amqps://hub.test:5671/test" RECEIVER "1");
    receive(&c, &management, "amqps://hub.test/messages/events/$management", NULL, -1);
    raw_link_expect_end(&management, "amqp:link:redirect");
    static const char *const relative[] = {
        "/messages/events/$management", "messages/events/$management",
        "/messages/events" RECEIVER "1", "messages/events" RECEIVER "1"};
    for (size_t i = 0; i < 4; i++) {
        receive(&c, &link, relative[i], NULL, -1);
        raw_link_expect_end(&link, "amqp:link:redirect");
    }
    receive(&c, &link, "amqps://hub.test:5671/test" RECEIVER "1", NULL, -1);
    assert_non_null(link.amqp); /* and there it is */
    raw_amqp_free(&c);
}

TEST(who_dials_no_name_is_redirected_to_the_hubs_own) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.nameless = true});
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", NULL, "owner", 3600), 200);
    receive(&c, &link, "/messages/events" RECEIVER "1", NULL, -1);
    raw_link_expect_end(&link, "amqp:link:redirect");
    assert_string_equal(link.text, "amqps://hub.test:5671/test" RECEIVER "1");
    raw_amqp_free(&c);
}

/* Event Hubs takes "amqps://policy:key@host". */
TEST(the_name_and_key_of_a_policy_are_taken_by_sasl_plain) {
    struct fleet *f = *state;
    static const struct {
        const char *user, *password;
        bool taken;
    } cases[] = {{"owner", FLEET_KEY, true},
                 {"owner@sas.root.hub", FLEET_KEY, true},
                 {"owner", "d3Jvbmcgd3Jvbmcgd3Jvbmc=", false},
                 {"owner", "no base64!", false},
                 {"nobody", FLEET_KEY, false},
                 {"", FLEET_KEY, false},
                 {"owner", "", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_amqp c;
        struct raw_link link = {0};
        raw_amqp_dial(
            &c, f,
            &(struct raw_amqp_options){.user = cases[i].user, .password = cases[i].password});
        sk_sim_run_until(f->sim, 70 * SK_S, raw_amqp_is_settled, &c);
        if (c.open != cases[i].taken) fail_msg("case %zu", i);
        if (c.open) {
            receive(&c, &link, "test" RECEIVER "1", NULL, -1);
            assert_non_null(link.amqp);
        }
        raw_amqp_free(&c);
    }
}

TEST(the_partitions_end_is_told_to_receivers_that_ask_for_it) {
    struct fleet *f = *state;
    struct raw_amqp c;
    char address[64];
    open_as(&c, f, "owner");
    snprintf(address, sizeof address, "test" RECEIVER "%u", fill_one(f, &c, 3));
    for (int asks = 0; asks < 2; asks++) {
        struct raw_link link = {0};
        struct sk_amqp_message m;
        struct sk_amqp_delivery *delivery;
        raw_link_begin(
            &c, &link,
            (struct sk_amqp_link_options){
                .address = address,
                .credit = 10,
                .desires = asks ? "com.microsoft:enable-receiver-runtime-metric" : NULL});
        assert_true(raw_link_next(&link, &m, &delivery));
        assert_int_equal(m.delivery_annotation_count, asks ? 4 : 0);
        if (asks)
            assert_true(sk_span_is(text_of(m.delivery_annotations, m.delivery_annotation_count,
                                           "last_enqueued_sequence_number", &c.arena),
                                   "2"));
        sk_amqp_refuse(link.amqp, NULL);
        raw_link_forget(&link);
    }
    raw_amqp_free(&c);
}

TEST(a_hub_that_does_not_say_so_takes_no_events_from_services) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    open_as(&c, f, "owner");
    raw_link_sender(&c, &link, "test/Partitions/1");
    assert_string_equal(raw_link_try(&link, SK_SPAN("x")), "amqp:not-allowed");
    assert_non_null(link.amqp);
    raw_amqp_free(&c);
}
