/* Tokens over 30 days, on every head: whoever renews in time is never interrupted, and whoever does
 * not is out five minutes after the token's end, alone. */
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

enum { DAYS = 30, LIFE_S = 3600, RENEW_S = 45 * 60, SEND_S = 600 };
static const int64_t DAY_US = 86400 * 1000000ll;

/* ---- thirty days ---- */

struct mqtt_user {
    const char *device;
    bool websocket;
    struct sk_device_client *client;
    unsigned connected, disconnected, sent, acknowledged;
};

struct amqp_user {
    const char *device;
    bool websocket;
    struct raw_amqp c;
    struct raw_link link;
    unsigned sent, put;
};

static struct sums { unsigned mqtt, mqtt_ws, amqp, amqp_ws, https; } stored;

static void on_connected(void *arg, bool session_present) {
    (void)session_present;
    ((struct mqtt_user *)arg)->connected++;
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    struct mqtt_user *u = arg;
    fail_msg("%s lost its connection: %d, CONNACK %u", u->device, down->reason, down->connack);
}

static void on_sent(void *arg, enum sk_status status) {
    struct mqtt_user *u = arg;
    assert_int_equal(status, SK_OK);
    u->acknowledged++;
}

static const struct sk_device_events mqtt_events = {.connected = on_connected,
                                                    .disconnected = on_disconnected};

static void open_mqtt(struct fleet *f, struct mqtt_user *u) {
    u->client = sk_device_client_new(
        f->field_io, &(struct sk_device_client_options){.host = "hub.test",
                                                        .port = 8883,
                                                        .websocket = u->websocket,
                                                        .hub_host = SK_SPAN("hub.test"),
                                                        .device_id = sk_span_z(u->device),
                                                        .key = SK_SPAN(FLEET_KEY),
                                                        .token_life_s = LIFE_S,
                                                        .events = &mqtt_events,
                                                        .arg = u});
}

static void put_token(struct amqp_user *u) {
    char scope[64];
    snprintf(scope, sizeof scope, "hub.test/devices/%s", u->device);
    u->put++;
    assert_int_equal(raw_amqp_token_of(&u->c, scope, NULL, NULL, LIFE_S), 200);
}

static void open_amqp(struct fleet *f, struct amqp_user *u) {
    char address[64];
    raw_amqp_open(&u->c, f, &(struct raw_amqp_options){.websocket = u->websocket});
    put_token(u);
    snprintf(address, sizeof address, "/devices/%s/messages/events", u->device);
    raw_link_sender(&u->c, &u->link, address);
}

static void send_https(struct fleet *f) {
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices/https/messages/events" VERSION,
                               .resource = "hub.test/devices/https",
                               .policy = "",
                               .body = SK_SPAN("x")},
             204, NULL, "");
}

static void count(void *arg, const struct sk_message *message) {
    (void)arg;
    struct sk_span d = message->device;
    stored.mqtt += sk_span_is(d, "mqtt");
    stored.mqtt_ws += sk_span_is(d, "mqttws");
    stored.amqp += sk_span_is(d, "amqp");
    stored.amqp_ws += sk_span_is(d, "amqpws");
    stored.https += sk_span_is(d, "https");
}

TEST(thirty_days_of_renewals_interrupt_nobody_on_any_head) {
    static const char *const names[] = {"mqtt", "mqttws", "amqp", "amqpws", "https"};
    struct mqtt_user mqtt[] = {{.device = "mqtt"}, {.device = "mqttws", .websocket = true}};
    struct amqp_user amqp[] = {{.device = "amqp"}, {.device = "amqpws", .websocket = true}};
    struct fleet f;
    unsigned https = 0, seconds = 0;
    fleet_new_hub(&f, 1);
    for (int i = 0; i < 5; i++) fleet_put_device(&f, names[i], "");
    for (int i = 0; i < 2; i++) {
        open_mqtt(&f, &mqtt[i]);
        open_amqp(&f, &amqp[i]);
    }
    for (; seconds < DAYS * 86400; seconds += SEND_S / 2) {
        sk_sim_run(f.sim, SEND_S / 2 * SK_S);
        for (int i = 0; i < 2 && seconds % SEND_S == 0; i++) {
            struct sk_message message = {.body = SK_SPAN("x")};
            sk_device_client_send(mqtt[i].client, &message, on_sent, &mqtt[i]);
            mqtt[i].sent++;
            raw_link_send(&amqp[i].link, SK_SPAN("x"));
            amqp[i].sent++;
        }
        if (seconds % (12 * SEND_S) == 0) {
            send_https(&f);
            https++;
        }
        for (int i = 0; i < 2 && seconds % RENEW_S == 0; i++) put_token(&amqp[i]);
    }
    sk_sim_run(f.sim, 60 * SK_S);
    fleet_read_events(&f, count, NULL);
    for (int i = 0; i < 2; i++) {
        assert_in_range(mqtt[i].connected, DAYS * 86400 / LIFE_S, 2 * DAYS * 86400 / LIFE_S);
        assert_int_equal(mqtt[i].acknowledged, mqtt[i].sent);
        assert_non_null(amqp[i].link.amqp); /* the one of the first day */
        assert_int_equal(amqp[i].link.accepted, amqp[i].sent);
        assert_in_range(amqp[i].put, DAYS * 86400 / RENEW_S, DAYS * 86400 / RENEW_S + 2);
        sk_device_client_free(mqtt[i].client);
        raw_amqp_free(&amqp[i].c);
    }
    assert_int_equal(stored.mqtt, mqtt[0].sent);
    assert_int_equal(stored.mqtt_ws, mqtt[1].sent);
    assert_int_equal(stored.amqp, amqp[0].sent);
    assert_int_equal(stored.amqp_ws, amqp[1].sent);
    assert_int_equal(stored.https, https);
    fleet_free(&f);
}

/* ---- and without renewal ---- */

/* A token of ten minutes is good for fifteen: runs to a second before its end, or two beyond. */
static void run_to_the_brink(struct fleet *f, int64_t put_us, bool beyond) {
    int64_t end_us = put_us + (int64_t)(600 + SK_SAS_SKEW_S) * 1000000;
    sk_sim_run(f->sim, (uint64_t)(end_us - sk_io_wall(f->hub_io)) * 1000 + (beyond ? 2 * SK_S : 0) -
                           (beyond ? 0 : SK_S));
}

AROUND(fleet_new_world, fleet_free_world);

TEST(an_amqp_link_ends_with_its_token_and_the_connection_goes_on) {
    struct fleet *f = *state;
    for (int websocket = 0; websocket < 2; websocket++) {
        struct raw_amqp c;
        struct raw_link brief = {0}, c2d = {0}, other = {0};
        raw_amqp_open(&c, f, &(struct raw_amqp_options){.websocket = websocket});
        raw_amqp_prove(&c, "d2");
        raw_link_sender(&c, &other, "/devices/d2/messages/events");
        int64_t put_us = sk_io_wall(f->hub_io) / 1000000 * 1000000;
        assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices/d1", NULL, NULL, 600), 200);
        raw_link_sender(&c, &brief, "/devices/d1/messages/events");
        raw_link_receiver(&c, &c2d, "/devices/d1/messages/devicebound", 10);
        run_to_the_brink(f, put_us, false);
        assert_null(raw_link_try(&brief, SK_SPAN("in time")));
        run_to_the_brink(f, put_us, true);
        assert_null(brief.amqp);
        assert_string_equal(brief.condition, "amqp:unauthorized-access");
        assert_null(c2d.amqp);
        assert_null(raw_link_try(&other, SK_SPAN("unharmed")));
        /* it may come again with a fresh one */
        raw_link_sender(&c, &brief, "/devices/d1/messages/events");
        assert_null(brief.amqp);
        raw_amqp_prove(&c, "d1");
        raw_link_sender(&c, &brief, "/devices/d1/messages/events");
        assert_null(raw_link_try(&brief, SK_SPAN("back")));
        raw_amqp_free(&c);
    }
}

TEST(a_token_put_in_time_keeps_the_links) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    raw_amqp_open(&c, f, &(struct raw_amqp_options){0});
    int64_t put_us = sk_io_wall(f->hub_io) / 1000000 * 1000000;
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices/d1", NULL, NULL, 600), 200);
    raw_link_sender(&c, &link, "/devices/d1/messages/events");
    run_to_the_brink(f, put_us, false);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices/d1", NULL, NULL, 600), 200);
    run_to_the_brink(f, put_us, true);
    assert_null(raw_link_try(&link, SK_SPAN("renewed")));
    raw_amqp_free(&c);
}

/* docs/protocols/device-protocols.md, section 1.8. */
TEST(a_connection_that_proved_itself_by_sasl_plain_ends_with_its_token) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link link = {0};
    struct sk_buffer token = {0};
    int64_t put_us = sk_io_wall(f->hub_io) / 1000000 * 1000000;
    sk_sas_create(&token, SK_SPAN("hub.test/devices/d1"), SK_SPAN(FLEET_KEY), SK_NONE,
                  put_us / 1000000 + 600);
    sk_buffer_byte(&token, 0);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.user = "d1@sas.hub", .password = token.p});
    sk_buffer_free(&token);
    raw_link_sender(&c, &link, "/devices/d1/messages/events");
    run_to_the_brink(f, put_us, false);
    assert_null(raw_link_try(&link, SK_SPAN("in time")));
    run_to_the_brink(f, put_us, true);
    assert_null(c.stream);
    assert_string_equal(c.condition, "amqp:unauthorized-access");
    raw_amqp_free(&c);
}

/* Its tokens live for ten minutes, whatever was asked for. */
struct brief {
    struct sk_token_source tokens;
    struct fleet *f;
};

static void brief_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    struct fleet *f = SK_CONTAINER(source, struct brief, tokens)->f;
    struct sk_buffer token = {0};
    sk_sas_create(&token, SK_SPAN("hub.test/devices/d1"), SK_SPAN(FLEET_KEY), SK_NONE,
                  sk_io_wall(f->field_io) / 1000000 + 600);
    sk_token_answer(ask, SK_OK, sk_buffer_span(&token));
    sk_buffer_free(&token);
}

static bool is_gone(void *arg) {
    return sk_hub_counts(sk_hub_server_hub(((struct fleet *)arg)->hub, 0)).sessions == 0;
}

static bool is_there(void *arg) {
    return !is_gone(arg);
}

TEST(an_mqtt_connection_ends_with_its_token_over_websockets_too) {
    struct fleet *f = *state;
    struct brief brief = {.tokens.get = brief_token, .f = f};
    for (int websocket = 0; websocket < 2; websocket++) {
        struct sk_device_client *client = sk_device_client_new(
            f->field_io,
            &(struct sk_device_client_options){.host = "hub.test",
                                               .port = 8883,
                                               .websocket = websocket,
                                               .hub_host = SK_SPAN("hub.test"),
                                               .device_id = SK_SPAN("d1"),
                                               .tokens = &brief.tokens,
                                               .token_life_s = 10 * 86400, /* so it thinks */
                                               .events = &(struct sk_device_events){0},
                                               .arg = f});
        int64_t put_us = sk_io_wall(f->hub_io) / 1000000 * 1000000;
        assert_true(sk_sim_run_until(f->sim, 10 * SK_S, is_there, f));
        run_to_the_brink(f, put_us, false);
        assert_false(is_gone(f));
        assert_true(sk_sim_run_until(f->sim, 3 * SK_S, is_gone, f));
        sk_device_client_free(client);
        sk_sim_run(f->sim, SK_S);
    }
}

TEST(an_https_call_needs_a_token_of_its_own_that_lives) {
    struct fleet *f = *state;
    for (int64_t late_s = 0; late_s < 2; late_s++) {
        struct raw_client c;
        struct raw_answer answer;
        struct sk_buffer out = {0}, token = {0};
        raw_open(&c, f, "hub.test");
        sk_sas_create(&token, SK_SPAN("hub.test/devices/d1"), SK_SPAN(FLEET_KEY), SK_NONE,
                      sk_io_wall(f->hub_io) / 1000000 - SK_SAS_SKEW_S + 1 - 2 * late_s);
        sk_buffer_print(&out,
                        "POST /devices/d1/messages/events" VERSION " HTTP/1.1\r\nHost: hub.test\r\n"
                        "Authorization: %.*s\r\nContent-Length: 1\r\n\r\nx",
                        SK_ARG(sk_buffer_span(&token)));
        raw_send_buffer(&c, &out);
        raw_next_answer(&c, &answer);
        assert_int_equal(answer.parser.status, late_s ? 401 : 204);
        sk_http_parser_free(&answer.parser);
        sk_buffer_free(&token);
        raw_free(&c);
    }
}

/* ---- a clock that jumps ---- */

/* One of each kind of credential that a timer ends. */
struct jumped {
    struct raw_client mqtt;
    struct raw_amqp device, service, plain;
    struct raw_link sender, events;
};

static void open_all(struct jumped *j, struct fleet *f) {
    struct sk_buffer token = {0};
    raw_login(&j->mqtt, f, "d1");
    raw_amqp_open(&j->device, f, &(struct raw_amqp_options){0});
    raw_amqp_prove(&j->device, "d2");
    raw_link_sender(&j->device, &j->sender, "/devices/d2/messages/events");
    raw_amqp_open(&j->service, f, &(struct raw_amqp_options){0});
    assert_int_equal(raw_amqp_token_of(&j->service, "hub.test", NULL, "owner", 3600), 200);
    raw_link_receiver(&j->service, &j->events, "test/ConsumerGroups/$Default/Partitions/0", 10);
    sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_buffer_byte(&token, 0);
    raw_amqp_open(&j->plain, f,
                  &(struct raw_amqp_options){.user = "owner@sas.root.hub", .password = token.p});
    sk_buffer_free(&token);
}

static void expect_all(const struct jumped *j, bool there) {
    assert_int_equal(j->mqtt.stream != NULL, there);
    assert_int_equal(j->sender.amqp != NULL, there);
    assert_int_equal(j->events.amqp != NULL, there);
    assert_int_equal(j->plain.stream != NULL, there);
}

static void free_all(struct jumped *j) {
    raw_free(&j->mqtt);
    raw_amqp_free(&j->device);
    raw_amqp_free(&j->service);
    raw_amqp_free(&j->plain);
}

TEST(tokens_end_within_a_minute_when_the_clock_jumps_beyond_them) {
    struct fleet *f = *state;
    struct jumped j = {0};
    open_all(&j, f);
    sk_sim_run(f->sim, 90 * SK_S);
    expect_all(&j, true);
    sk_sim_clock_jump(f->hub_io, 40 * DAY_US);
    sk_sim_run(f->sim, 61 * SK_S);
    expect_all(&j, false);
    free_all(&j);
}

TEST(a_clock_that_jumps_back_ends_no_token_early) {
    struct fleet *f = *state;
    struct jumped j = {0};
    open_all(&j, f);
    sk_sim_clock_jump(f->hub_io, -40 * DAY_US);
    for (int i = 0; i < 8; i++) {
        sk_sim_run(f->sim, 900 * SK_S);
        raw_ping(&j.mqtt); /* who is silent for longer is closed */
    }
    expect_all(&j, true);
    sk_sim_clock_jump(f->hub_io, 40 * DAY_US); /* and the two hours count */
    sk_sim_run(f->sim, 61 * SK_S);
    expect_all(&j, false);
    free_all(&j);
}
