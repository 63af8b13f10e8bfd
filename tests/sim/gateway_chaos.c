/* Client chaos: a device asks for faults and gets exactly these, then, for so long, and alone. */
#include "gateway/chaos.h"
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

static int new_world_of(void **state, bool chaos) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new_hub(f, 1);
    if (chaos) {
        fleet_stop_hub(f);
        f->config.hubs[0].chaos = true;
        fleet_start_hub(f);
    }
    fleet_put_device(f, "d1", "");
    fleet_put_device(f, "d2", "");
    *state = f;
    return 0;
}

static int new_world(void **state) {
    return new_world_of(state, true);
}

static int new_world_without(void **state) {
    return new_world_of(state, false);
}

/* ---- asking ---- */

static const char *asks_amqp(struct raw_link *link, const char *type, const char *delay,
                             const char *duration) {
    struct sk_span body = SK_SPAN("please");
    struct sk_amqp_field fields[] = {
        {SK_SPAN("AzIoTHub_FaultOperationType"), SK_AMQP_VALUE_STRING(sk_span_z(type))},
        {SK_SPAN("AzIoTHub_FaultOperationCloseReason"), SK_AMQP_VALUE_STRING(SK_SPAN(" boom "))},
        {SK_SPAN("AzIoTHub_FaultOperationDelayInSecs"), SK_AMQP_VALUE_STRING(sk_span_z(delay))},
        {SK_SPAN("AzIoTHub_FaultOperationDurationInSecs"),
         SK_AMQP_VALUE_STRING(sk_span_z(duration))}};
    size_t before = link->accepted;
    raw_link_send_message(
        link,
        &(struct sk_amqp_message){
            .application = fields, .application_count = 4, .data = &body, .data_count = 1},
        NULL);
    raw_link_wait(link, link->accepted + link->rejected + 1);
    return link->accepted > before ? NULL : link->rejection;
}

static void asks_mqtt(struct raw_client *c, const char *type, unsigned delay_s,
                      unsigned duration_s) {
    char topic[400];
    snprintf(topic, sizeof topic,
             "devices/d1/messages/events/AzIoTHub_FaultOperationType=%s"
             "&AzIoTHub_FaultOperationCloseReason=boom&AzIoTHub_FaultOperationDelayInSecs=%u"
             "&AzIoTHub_FaultOperationDurationInSecs=%u",
             type, delay_s, duration_s);
    raw_publish(c, topic, SK_SPAN("please"), 1, 1);
    raw_expect_ack(c, SK_MQTT_PUBACK, 1);
}

static unsigned stored(struct fleet *f) {
    return (unsigned)sk_hub_counts(sk_hub_server_hub(f->hub, 0)).telemetry_total;
}

AROUND(new_world_without, fleet_free_world);

TEST(a_hub_that_does_not_allow_it_stores_the_message_and_that_is_all) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    asks_mqtt(&c, "KillTcp", 0, 0);
    asks_mqtt(&c, "InvokeThrottling", 0, 60);
    asks_mqtt(&c, "nonsense", 0, 0);
    raw_expect_nothing(&c);
    assert_int_equal(stored(f), 3);
    raw_free(&c);
}

AROUND(new_world, fleet_free_world);

/* ---- MQTT ---- */

TEST(kill_tcp_breaks_an_mqtt_connection_after_its_delay) {
    struct fleet *f = *state;
    struct raw_client c, other;
    raw_login(&other, f, "d2");
    for (unsigned delay_s = 0; delay_s <= 5; delay_s += 5) {
        raw_login(&c, f, "d1");
        asks_mqtt(&c, "KillTcp", delay_s, 0); /* acknowledged before */
        if (delay_s) sk_sim_run(f->sim, delay_s * SK_S - SK_S / 2);
        if (delay_s) assert_non_null(c.stream);
        sk_sim_run(f->sim, SK_S);
        assert_null(c.stream);
        raw_free(&c);
    }
    assert_int_equal(stored(f), 2);
    raw_ping(&other);
    raw_free(&other);
}

TEST(a_broken_connection_sends_the_will_and_a_shut_down_one_does_not) {
    struct fleet *f = *state;
    static const char *const types[] = {"ShutDownMqtt", "KillTcp"};
    for (unsigned i = 0; i < 2; i++) {
        struct raw_client c;
        unsigned before = stored(f);
        raw_dial(&c, f, "hub.test",
                 &(struct raw_connect){.device = "d1",
                                       .clean = true,
                                       .will_topic = "devices/d1/messages/events/",
                                       .will_payload = "will"});
        raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
        asks_mqtt(&c, types[i], 1, 0);
        sk_sim_run(f->sim, 2 * SK_S);
        assert_null(c.stream);
        raw_free(&c);
        assert_int_equal(stored(f) - before, 1 + i);
    }
}

TEST(a_refusal_ends_an_mqtt_connection_at_its_next_message) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    asks_mqtt(&c, "InvokeThrottling", 0, 30);
    raw_expect_nothing(&c);
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("x"), 1, 2);
    raw_expect_closed(&c);
    raw_free(&c);
    raw_login(&c, f, "d1"); /* it may come back, and its time passes */
    sk_sim_run(f->sim, 30 * SK_S);
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("x"), 1, 2);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 2);
    raw_free(&c);
}

TEST(what_a_protocol_does_not_have_is_not_broken) {
    struct fleet *f = *state;
    struct raw_client c;
    struct raw_amqp a;
    struct raw_link link = {0};
    raw_login(&c, f, "d1");
    asks_mqtt(&c, "KillAmqpConnection", 0, 0);
    asks_mqtt(&c, "KillAmqpD2CLink", 0, 0);
    asks_mqtt(&c, "ShutDownAmqp", 0, 0);
    raw_expect_nothing(&c);
    raw_free(&c);
    raw_amqp_open(&a, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(&a, "d1");
    raw_link_sender(&a, &link, "/devices/d1/messages/events");
    assert_null(asks_amqp(&link, "ShutDownMqtt", "0", "0"));
    assert_null(asks_amqp(&link, "KillAmqpC2DLink", "0", "0")); /* there is none */
    sk_sim_run(f->sim, SK_S);
    assert_null(raw_link_try(&link, SK_SPAN("x")));
    raw_amqp_free(&a);
}

/* ---- AMQP ---- */

enum { TELEMETRY, C2D, TWIN_OUT, TWIN_IN, METHODS_OUT, METHODS_IN, LINKS };

struct connection {
    struct raw_amqp c;
    struct raw_link links[LINKS], other;
};

static void open_all(struct connection *all, struct fleet *f, bool websocket) {
    *all = (struct connection){0};
    raw_amqp_open(&all->c, f, &(struct raw_amqp_options){.websocket = websocket});
    raw_amqp_prove(&all->c, "d1");
    raw_amqp_prove(&all->c, "d2");
    raw_link_sender(&all->c, &all->links[TELEMETRY], "/devices/d1/messages/events");
    raw_link_receiver(&all->c, &all->links[C2D], "/devices/d1/messages/devicebound", 10);
    raw_link_sender(&all->c, &all->links[TWIN_OUT], "/devices/d1/twin");
    raw_link_receiver(&all->c, &all->links[TWIN_IN], "/devices/d1/twin", 10);
    raw_link_receiver(&all->c, &all->links[METHODS_OUT], "/devices/d1/methods/devicebound", 10);
    raw_link_sender(&all->c, &all->links[METHODS_IN], "/devices/d1/methods/devicebound");
    raw_link_sender(&all->c, &all->other, "/devices/d2/messages/events");
}

TEST(each_amqp_link_is_killed_alone) {
    struct fleet *f = *state;
    static const struct {
        const char *type;
        int link; /* below LINKS, or of $cbs */
    } cases[] = {{"KillAmqpD2CLink", TELEMETRY},         {"KillAmqpC2DLink", C2D},
                 {"KillAmqpTwinLinkReq", TWIN_OUT},      {"KillAmqpTwinLinkResp", TWIN_IN},
                 {"KillAmqpMethodReqLink", METHODS_OUT}, {"KillAmqpMethodRespLink", METHODS_IN},
                 {"KillAmqpCBSLinkReq", LINKS},          {"KillAmqpCBSLinkResp", LINKS + 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct connection all;
        open_all(&all, f, false);
        assert_null(asks_amqp(&all.links[TELEMETRY], cases[i].type, "3", "0"));
        sk_sim_run(f->sim, 2 * SK_S);
        for (int j = 0; j < LINKS; j++) assert_non_null(all.links[j].amqp);
        sk_sim_run(f->sim, 2 * SK_S);
        for (int j = 0; j < LINKS + 2; j++) {
            const struct raw_link *link = j < LINKS    ? &all.links[j]
                                          : j == LINKS ? &all.c.cbs_out
                                                       : &all.c.cbs_in;
            if ((link->amqp == NULL) != (j == cases[i].link))
                fail_msg("%s: link %d is %s", cases[i].type, j, link->amqp ? "there" : "gone");
            if (link->amqp) continue;
            assert_string_equal(link->condition, "amqp:internal-error"); /* SDKs come again */
            assert_non_null(strstr(link->text, "client chaos: boom"));
        }
        assert_null(raw_link_try(&all.other, SK_SPAN("unharmed")));
        raw_amqp_free(&all.c);
    }
}

TEST(a_session_is_killed_with_all_its_links_and_the_connection_goes_on) {
    struct fleet *f = *state;
    struct connection all;
    open_all(&all, f, false);
    assert_null(asks_amqp(&all.links[TELEMETRY], "KillAmqpSession", "0", "0"));
    sk_sim_run(f->sim, SK_S);
    for (int j = 0; j < LINKS; j++) assert_null(all.links[j].amqp);
    assert_non_null(all.c.stream);
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(f->hub, 0)).sessions, 0);
    raw_amqp_free(&all.c);
}

TEST(connections_are_killed_shut_down_and_cut_over_websockets_too) {
    struct fleet *f = *state;
    static const struct {
        const char *type, *condition;
    } cases[] = {
        {"KillTcp", ""}, {"KillAmqpConnection", "amqp:internal-error"}, {"ShutDownAmqp", ""}};
    for (size_t i = 0; i < 6; i++) {
        struct connection all;
        open_all(&all, f, i >= 3);
        assert_null(asks_amqp(&all.links[TELEMETRY], cases[i % 3].type, "2", "0"));
        sk_sim_run(f->sim, SK_S);
        assert_non_null(all.c.stream);
        sk_sim_run(f->sim, 2 * SK_S);
        assert_null(all.c.stream);
        if (i % 3) assert_string_equal(all.c.condition, cases[i % 3].condition);
        raw_amqp_free(&all.c);
    }
}

/* What Azure's own test of it does: send, ask, be refused, wait, send. */
TEST(refusals_have_their_condition_last_as_long_as_asked_and_hit_one_device) {
    struct fleet *f = *state;
    static const struct {
        const char *type, *condition;
        int status;
    } cases[] = {{"InvokeThrottling", "com.microsoft:device-container-throttled", 429},
                 {"InvokeMaxMessageQuota", "amqp:resource-limit-exceeded", 403},
                 {"InvokeAuthError", "amqp:unauthorized-access", 401}};
    struct sk_amqp_field get = {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("GET"))};
    for (size_t i = 0; i < 3; i++) {
        struct connection all;
        struct sk_amqp_message answer;
        struct sk_amqp_delivery *delivery;
        open_all(&all, f, false);
        assert_null(raw_link_try(&all.links[TELEMETRY], SK_SPAN("before")));
        assert_null(asks_amqp(&all.links[TELEMETRY], cases[i].type, "0", "5"));
        sk_sim_run(f->sim, 100 * SK_MS);
        assert_string_equal(raw_link_try(&all.links[TELEMETRY], SK_SPAN("x")), cases[i].condition);
        raw_link_send_message(
            &all.links[TWIN_OUT],
            &(struct sk_amqp_message){.correlation_id = SK_AMQP_VALUE_STRING(SK_SPAN("c")),
                                      .annotations = &get,
                                      .annotation_count = 1},
            NULL);
        assert_true(raw_link_next(&all.links[TWIN_IN], &answer, &delivery));
        assert_int_equal(sk_amqp_find(answer.annotations, answer.annotation_count, "status")->i,
                         cases[i].status);
        assert_null(raw_link_try(&all.other, SK_SPAN("unharmed")));
        sk_sim_run(f->sim, 4 * SK_S);
        assert_string_equal(raw_link_try(&all.links[TELEMETRY], SK_SPAN("x")), cases[i].condition);
        sk_sim_run(f->sim, SK_S);
        assert_null(raw_link_try(&all.links[TELEMETRY], SK_SPAN("after")));
        raw_amqp_free(&all.c);
    }
}

/* ---- HTTPS ---- */

TEST(over_https_the_request_that_asks_is_refused) {
    struct fleet *f = *state;
    struct raw_ask ask = {.method = "POST",
                          .target = "/devices/d1/messages/events" VERSION,
                          .resource = "hub.test/devices/d1",
                          .policy = "",
                          .body = SK_SPAN("x")};
    ask.headers = "iothub-app-AzIoTHub_FaultOperationType: InvokeThrottling\r\n"
                  "iothub-app-AzIoTHub_FaultOperationDurationInSecs: 30\r\n";
    raw_gets(f, &ask, 429, "ThrottlingException", "client chaos");
    ask.headers = "iothub-app-azIoTHub_faultOperationType: InvokeMaxMessageQuota\r\n";
    raw_gets(f, &ask, 403, "IotHubQuotaExceeded", "client chaos");
    ask.headers = "iothub-app-AzIoTHub_FaultOperationType: InvokeAuthError\r\n";
    raw_gets(f, &ask, 401, "IotHubUnauthorized", "client chaos");
    ask.headers = "iothub-app-AzIoTHub_FaultOperationType: KillTcp\r\n";
    raw_gets(f, &ask, 204, NULL, ""); /* there is no connection that lasts */
    ask.headers = NULL;
    raw_gets(f, &ask, 204, NULL, "");
}

/* ---- limits ---- */

TEST(a_wish_that_is_none_is_refused_with_a_sentence) {
    struct fleet *f = *state;
    struct connection all;
    open_all(&all, f, false);
    struct raw_link *link = &all.links[TELEMETRY];
    assert_string_equal(asks_amqp(link, "KillCat", "0", "0"), "com.microsoft:argument-error");
    assert_string_equal(asks_amqp(link, "KillTcp", "soon", "0"), "com.microsoft:argument-error");
    assert_string_equal(asks_amqp(link, "KillTcp", "-1", "0"), "com.microsoft:argument-error");
    assert_string_equal(asks_amqp(link, "KillTcp", "3601", "0"), "com.microsoft:argument-error");
    assert_string_equal(asks_amqp(link, "InvokeThrottling", "0", "3601"),
                        "com.microsoft:argument-error");
    assert_null(asks_amqp(link, "KillTcp", "3600", "3600.5"));
    sk_sim_run(f->sim, 3590 * SK_S);
    assert_non_null(all.c.stream);
    raw_amqp_free(&all.c);
    sk_sim_run(f->sim, 20 * SK_S); /* it finds nobody */
}

TEST(a_thousand_faults_wait_and_one_more_is_refused) {
    struct fleet *f = *state;
    struct connection all;
    open_all(&all, f, false);
    for (int i = 0; i < SK_CHAOS_FAULTS_MAX; i++)
        assert_null(asks_amqp(&all.links[TELEMETRY], "KillAmqpC2DLink", "3600", "0"));
    assert_string_equal(asks_amqp(&all.links[TELEMETRY], "KillAmqpC2DLink", "3600", "0"),
                        "com.microsoft:device-container-throttled");
    assert_null(raw_link_try(&all.other, SK_SPAN("unharmed")));
    raw_amqp_free(&all.c); /* and the hub stops with all of them waiting */
}
