/* Tiers: what is within a rate passes at once, what is beyond waits or is refused, with the answer
 * of each protocol; at the limit and one beyond. The clock stands still between requests. */
#include "gateway/quota.h"

#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

#define TIER(tier, units)                                                                          \
    FLEET_TOML_HUB FLEET_TOML_OWNER "[hub.quota]\ntier = \"" tier "\"\nunits = " units "\n"

AROUND(fleet_new_world, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

static struct sk_backend *backend_of(struct fleet *f) {
    return sk_hub_backend(sk_hub_server_hub(f->hub, 0));
}

/* ---- requests as heads make them, all at one moment ---- */

enum { ASKED_MAX = 7000 };

struct asked {
    struct sk_request request;
    bool answered;
    enum sk_fault fault;
    unsigned retry_after_s;
};

static struct {
    struct asked items[ASKED_MAX];
    size_t count;
} all;

static void on_answer(struct sk_request *request, const struct sk_answer *answer) {
    struct asked *asked = (struct asked *)request;
    asked->answered = true;
    asked->fault = answer->error ? answer->error->fault : SK_FAULT_NONE;
    asked->retry_after_s = answer->error ? answer->error->retry_after_s : 0;
}

static struct sk_principal owner = {
    .policy = (char *)"owner", .rights = 15, .expires_s = INT64_MAX};
static struct sk_principal device = {.device = (char *)"d1", .expires_s = INT64_MAX};

static void ask(struct fleet *f, enum sk_op op, size_t payload) {
    static char bytes[256 * 1024];
    struct asked *asked = &all.items[all.count++];
    struct sk_message message = {.device = SK_SPAN("d1"), .body = sk_span(bytes, payload)};
    assert_true(all.count <= ASKED_MAX);
    memset(bytes, 'x', sizeof bytes);
    *asked = (struct asked){.request = {.op = op,
                                        .who = op == SK_OP_TELEMETRY ? &device : &owner,
                                        .device = SK_SPAN("d1"),
                                        .name = SK_SPAN("SELECT * FROM devices"),
                                        .max = 1,
                                        .done = on_answer}};
    if (op == SK_OP_TELEMETRY || op == SK_OP_C2D_SEND) asked->request.message = &message;
    if (op == SK_OP_METHOD_INVOKE) asked->request.payload = sk_span(bytes, payload);
    if (op == SK_OP_QUERY) asked->request.body = NULL;
    sk_gateway_submit(backend_of(f), &asked->request);
    asked->request.message = NULL;
}

static void ask_many(struct fleet *f, enum sk_op op, size_t count) {
    all.count = 0;
    for (size_t i = 0; i < count; i++) ask(f, op, 1);
}

static size_t answered(enum sk_fault fault) {
    size_t n = 0;
    for (size_t i = 0; i < all.count; i++)
        n += all.items[i].answered && all.items[i].fault == fault;
    return n;
}

static bool all_answered(void *arg) {
    (void)arg;
    for (size_t i = 0; i < all.count; i++)
        if (!all.items[i].answered) return false;
    return true;
}

static void settle(struct fleet *f) {
    assert_true(sk_sim_run_until(f->sim, 600 * SK_S, all_answered, NULL));
}

/* ---- rates ---- */

/* How many of each kind pass at once, then one more: by Azure's table. */
TEST(each_kind_of_operation_has_its_tiers_rate_and_one_more_is_429001) {
    static const struct {
        enum sk_op op;
        size_t f1, s2; /* with 1 unit */
    } cases[] = {{SK_OP_TELEMETRY, 100, 120},     {SK_OP_IDENTITY_GET, 100, 100},
                 {SK_OP_TWIN_READ, 100, 100},     {SK_OP_QUERY, 20, 20},
                 {SK_OP_C2D_RECEIVE, 1000, 1000}, {SK_OP_CONFIGURATION_LIST, 20, 20},
                 {SK_OP_JOB_LIST, 100, 100},      {SK_OP_METHOD_INVOKE, 40, 120},
                 {SK_OP_C2D_PURGE, 100, 100}};
    struct fleet *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        takes(f, TIER("F1", "1"));
        ask_many(f, cases[i].op, cases[i].f1 + 1);
        const struct asked *last = &all.items[cases[i].f1];
        assert_true(last->answered);
        assert_int_equal(last->fault, SK_FAULT_THROTTLED);
        assert_true(last->retry_after_s >= 1);
        settle(f);
        if (answered(SK_FAULT_THROTTLED) != 1)
            fail_msg("%zu: %zu throttled", i, answered(SK_FAULT_THROTTLED));
        takes(f, TIER("S2", "1")); /* paid for: it waits */
        ask_many(f, cases[i].op, cases[i].s2 + 1);
        const struct sk_quota_counts *counts = sk_quota_counts(backend_of(f)->quota);
        if (counts->waiting != 1) fail_msg("%zu: %zu wait", i, counts->waiting);
        settle(f);
        assert_int_equal(answered(SK_FAULT_THROTTLED), 0);
    }
}

TEST(what_was_let_through_comes_back_at_the_rate) {
    struct fleet *f = *state;
    takes(f, TIER("F1", "1"));
    ask_many(f, SK_OP_QUERY, 20); /* 20 a minute */
    sk_sim_run(f->sim, 3 * SK_S - SK_MS);
    all.count = 20;
    ask(f, SK_OP_QUERY, 0);
    assert_int_equal(all.items[20].fault, SK_FAULT_THROTTLED);
    assert_int_equal(all.items[20].retry_after_s, 1);
    sk_sim_run(f->sim, SK_MS);
    ask(f, SK_OP_QUERY, 0);
    ask(f, SK_OP_QUERY, 0);
    settle(f);
    assert_int_equal(all.items[21].fault, SK_FAULT_NONE);
    assert_int_equal(all.items[22].fault, SK_FAULT_THROTTLED);
    assert_int_equal(all.items[22].retry_after_s, 3);
}

TEST(more_units_let_more_through) {
    assert_int_equal(sk_quota_rate(SK_TIER_S1, 1, SK_THROTTLE_D2C).amount, 100);
    assert_int_equal(sk_quota_rate(SK_TIER_S1, 8, SK_THROTTLE_D2C).amount, 100);
    assert_int_equal(sk_quota_rate(SK_TIER_S1, 9, SK_THROTTLE_D2C).amount, 108);
    assert_int_equal(sk_quota_rate(SK_TIER_S3, 2, SK_THROTTLE_D2C).amount, 12000);
    assert_int_equal(sk_quota_rate(SK_TIER_S1, 7, SK_THROTTLE_TWIN_READS).amount, 100);
    assert_int_equal(sk_quota_rate(SK_TIER_S2, 11, SK_THROTTLE_TWIN_READS).amount, 110);
    assert_int_equal(sk_quota_rate(SK_TIER_S1, 3, SK_THROTTLE_REGISTRY).amount, 300);
}

static void note(void *arg, const struct sk_message *message) {
    sk_buffer_print(arg, "%.*s ", SK_ARG(message->body));
}

/* In order, with all that they are, though the client's buffer is long gone. */
TEST(telemetry_beyond_the_rate_is_stored_later_in_its_order) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer bodies = {0}, expected = {0};
    takes(f, TIER("S1", "1"));
    raw_login(&c, f, "d1");
    for (uint16_t i = 1; i <= 350; i++) {
        char body[8];
        snprintf(body, sizeof body, "%u", i);
        sk_buffer_print(&expected, "%u ", i);
        raw_publish(&c, "devices/d1/messages/events/k=v", sk_span_z(body), 1, i);
    }
    for (uint16_t i = 1; i <= 350; i++) raw_expect_ack(&c, SK_MQTT_PUBACK, i);
    raw_free(&c);
    assert_int_equal(fleet_read_events(f, note, &bodies), 350);
    assert_true(sk_span_eq(sk_buffer_span(&bodies), sk_buffer_span(&expected)));
    assert_int_equal(sk_quota_counts(backend_of(f)->quota)->refused[SK_THROTTLE_D2C], 0);
    assert_true(sk_quota_counts(backend_of(f)->quota)->waited[SK_THROTTLE_D2C] > 100);
    sk_buffer_free(&bodies);
    sk_buffer_free(&expected);
}

TEST(who_would_wait_too_long_is_refused_at_once) {
    struct fleet *f = *state;
    takes(f, TIER("S1", "1"));
    /* 20 at once, and what comes to be in ten seconds: three more */
    ask_many(f, SK_OP_QUERY, 24);
    assert_int_equal(sk_quota_counts(backend_of(f)->quota)->waiting, 3);
    assert_int_equal(all.items[23].fault, SK_FAULT_THROTTLED);
    assert_int_equal(all.items[23].retry_after_s, 12);
    settle(f);
    assert_int_equal(answered(SK_FAULT_NONE), 23);
}

TEST(what_waits_is_bounded) {
    struct fleet *f = *state;
    takes(f, TIER("S1", "1"));
    all.count = 0;
    for (size_t i = 0; i < 100; i++) ask(f, SK_OP_TELEMETRY, 1); /* the window */
    size_t fit = SK_QUOTA_WAITING_BYTES_MAX / 200000;
    for (size_t i = 0; i <= fit; i++) ask(f, SK_OP_TELEMETRY, 200000);
    assert_int_equal(sk_quota_counts(backend_of(f)->quota)->waiting, fit);
    assert_int_equal(all.items[100 + fit].fault, SK_FAULT_THROTTLE_BACKLOG);
    settle(f);
}

TEST(a_hub_that_stops_answers_what_waits) {
    struct fleet *f = *state;
    takes(f, TIER("S1", "1"));
    ask_many(f, SK_OP_QUERY, 22);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(sk_quota_counts(backend_of(f)->quota)->waiting, 2);
    fleet_stop_hub(f);
    assert_int_equal(answered(SK_FAULT_UNAVAILABLE), 2);
    fleet_start_hub(f);
}

TEST(without_a_tier_nothing_is_counted_and_what_waits_goes_on) {
    struct fleet *f = *state;
    takes(f, TIER("S1", "1"));
    ask_many(f, SK_OP_QUERY, 22);
    takes(f, FLEET_TOML_HUB FLEET_TOML_OWNER);
    for (size_t i = 0; i < 500; i++) ask(f, SK_OP_QUERY, 0);
    settle(f);
    assert_int_equal(answered(SK_FAULT_NONE), 522);
}

/* ---- what clients see ---- */

TEST(https_is_told_when_to_come_again) {
    struct fleet *f = *state;
    takes(f, TIER("F1", "1"));
    ask_many(f, SK_OP_QUERY, 20);
    struct raw_answer answer;
    raw_asks(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/query" VERSION,
                               .body = SK_SPAN("{\"query\":\"SELECT * FROM devices\"}")},
             &answer);
    assert_int_equal(answer.parser.status, 429);
    assert_true(
        sk_span_is(sk_http_header(&answer.parser, "iothub-errorcode"), "ThrottlingException"));
    int64_t seconds = 0;
    assert_int_equal(sk_span_to_int(sk_http_header(&answer.parser, "Retry-After"), &seconds),
                     SK_OK);
    assert_in_range(seconds, 1, 3);
    sk_http_parser_free(&answer.parser);
    settle(f);
}

TEST(twins_over_mqtt_get_429_and_amqp_links_their_condition) {
    struct fleet *f = *state;
    struct raw_client c;
    struct raw_amqp amqp;
    struct raw_link link = {0};
    raw_login(&c, f, "d1");
    raw_subscribe(&c, 1, "$iothub/twin/res/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_amqp_open(&amqp, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_prove(&amqp, "d2");
    raw_link_sender(&amqp, &link, "/devices/d2/messages/events");
    takes(f, TIER("F1", "1"));
    ask_many(f, SK_OP_TWIN_READ, 100);
    raw_publish(&c, "$iothub/twin/GET/?$rid=1", SK_NONE, 0, 0);
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_starts(packet.u.publish.topic, SK_SPAN("$iothub/twin/res/429/")));
    settle(f);
    sk_sim_run(f->sim, SK_S);
    ask_many(f, SK_OP_TELEMETRY, 100);
    const char *condition = raw_link_try(&link, SK_SPAN("x"));
    assert_string_equal(condition, "com.microsoft:device-container-throttled");
    settle(f);
    raw_free(&c);
    raw_amqp_free(&amqp);
}

TEST(connections_beyond_the_rate_are_told_to_come_later) {
    enum { CLIENTS = 300 };
    struct fleet *f = *state;
    static struct raw_client clients[CLIENTS];
    unsigned later = 0;
    takes(f, TIER("F1", "1"));
    for (size_t i = 0; i < CLIENTS; i++) raw_open(&clients[i], f, "hub.test");
    for (size_t i = 0; i < CLIENTS; i++) { /* all at once */
        struct sk_buffer out = {0};
        raw_put_connect(&out, f, &(struct raw_connect){.device = "d1", .clean = true});
        raw_send_buffer(&clients[i], &out);
    }
    for (size_t i = 0; i < CLIENTS; i++) {
        struct sk_mqtt_packet packet = raw_expect(&clients[i], SK_MQTT_CONNACK);
        if (packet.u.connack.code == SK_MQTT_UNAVAILABLE)
            later++;
        else
            assert_int_equal(packet.u.connack.code, SK_MQTT_ACCEPTED);
        raw_free(&clients[i]);
    }
    assert_int_equal(later,
                     sk_quota_counts(backend_of(f)->quota)->refused[SK_THROTTLE_CONNECTIONS]);
    assert_in_range(later, CLIENTS - 130, CLIENTS - 100);
}

/* ---- a day ---- */

TEST(a_day_has_so_many_messages_of_so_many_bytes) {
    struct fleet *f = *state;
    takes(f, TIER("F1", "1")); /* 8000 of 512 bytes */
    sk_quota_restore(backend_of(f)->quota,
                     (struct sk_quota_day){sk_io_wall(f->hub_io) / 86400000000, 7990});
    all.count = 0;
    ask(f, SK_OP_TELEMETRY, 512);     /* 1 */
    ask(f, SK_OP_TELEMETRY, 513);     /* 2 */
    ask(f, SK_OP_TELEMETRY, 7 * 512); /* 7: that was the day */
    ask(f, SK_OP_TELEMETRY, 1);
    assert_int_equal(all.items[3].fault, SK_FAULT_QUOTA_EXCEEDED);
    ask(f, SK_OP_IDENTITY_GET, 0); /* no message */
    settle(f);
    assert_int_equal(answered(SK_FAULT_NONE), 4);
    sk_sim_run(f->sim, 86400 * SK_S);
    ask(f, SK_OP_TELEMETRY, 1);
    settle(f);
    assert_int_equal(all.items[5].fault, SK_FAULT_NONE);
}

TEST(the_days_count_is_there_after_a_restart) {
    struct fleet *f = *state;
    f->config.hubs[0].tier = SK_TIER_F1;
    fleet_stop_hub(f);
    fleet_start_hub(f);
    ask_many(f, SK_OP_TELEMETRY, 30);
    settle(f);
    assert_int_equal(sk_quota_today(backend_of(f)->quota).messages, 30);
    fleet_stop_hub(f);
    fleet_start_hub(f);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(sk_quota_today(backend_of(f)->quota).messages, 30);
    sk_sim_run(f->sim, 61 * SK_S);
    fleet_crash_hub(f); /* what was counted a minute ago is not lost */
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(sk_quota_today(backend_of(f)->quota).messages, 30);
}

/* ---- devices ---- */

static void bulk_create(struct fleet *f, unsigned from, unsigned count, const char *mode) {
    struct sk_buffer body = {0};
    sk_buffer_byte(&body, '[');
    for (unsigned i = 0; i < count; i++)
        sk_buffer_print(&body, "%s{\"id\":\"n%u\",\"importMode\":\"%s\"}", i ? "," : "", from + i,
                        mode);
    sk_buffer_append(&body, sk_span("]", 2));
    fleet_call(f, SK_HTTP_POST, "/devices", body.p);
    sk_buffer_free(&body);
}

TEST(the_free_tier_has_five_hundred_devices_however_they_are_made) {
    struct fleet *f = *state; /* two are there */
    for (unsigned i = 0; i < 4; i++) bulk_create(f, 100 * i, 100, "create");
    bulk_create(f, 400, 97, "create");
    assert_int_equal(f->status, 200);
    takes(f, TIER("F1", "1"));
    bulk_create(f, 497, 2, "create"); /* 500, and one */
    assert_int_equal(f->status, 400);
    assert_non_null(strstr(f->answer, "TooManyDevices"));
    fleet_call(f, SK_HTTP_PUT, "/devices/more", "{\"deviceId\":\"more\"}");
    assert_int_equal(f->status, 413);
    assert_non_null(strstr(f->answer, "TooManyDevices"));
    bulk_create(f, 0, 1, "createOrUpdate"); /* it is there */
    assert_int_equal(f->status, 200);
    bulk_create(f, 900, 1, "createOrUpdate");
    assert_int_equal(f->status, 400);
    fleet_send(f, SK_HTTP_DELETE, "/devices/n0", NULL, true);
    assert_int_equal(f->status, 204);
    fleet_put_device(f, "more", "");
}

static json_int_t devices_with_tag(struct fleet *f) {
    fleet_call(f, SK_HTTP_POST, "/devices/query",
               "{\"query\":\"SELECT COUNT() AS n FROM devices WHERE tags.x = 1\"}");
    json_t *rows = json_loads(f->answer, 0, NULL);
    json_int_t n = json_integer_value(json_object_get(json_array_get(rows, 0), "n"));
    json_decref(rows);
    return n;
}

TEST(what_jobs_do_to_devices_keeps_the_tiers_pace) {
    struct fleet *f = *state;
    char id[16];
    for (int i = 0; i < 40; i++) {
        snprintf(id, sizeof id, "j%d", i);
        fleet_put_device(f, id, "");
    }
    takes(f, TIER("S1", "1"));
    fleet_call(f, SK_HTTP_PUT, "/jobs/v2/slow",
               "{\"jobId\":\"slow\",\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"etag\":\"*\","
               "\"tags\":{\"x\":1}},\"queryCondition\":\"STARTSWITH(deviceId, 'j')\"}");
    assert_int_equal(f->status, 200);
    sk_sim_run(f->sim, SK_S);
    json_int_t soon = devices_with_tag(f); /* ten at once, ten in the second */
    if (soon < 10 || soon > 25) fail_msg("%lld", soon);
    sk_sim_run(f->sim, 3 * SK_S);
    assert_int_equal(devices_with_tag(f), 40);
    fleet_shows(f, "/jobs/v2/slow", "status", "\"completed\"");
}
