/* What one client may take of a hub, and that the others do not notice. */
#include "support/raw_http.h"
#include "support/raw_frames.h"
#include "support/test.h"

static int begin(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new_hub(f, 11);
    fleet_put_device(f, "d1", "");
    fleet_put_device(f, "d2", "");
    *state = f;
    return 0;
}

AROUND(begin, fleet_free_world);

/* ---- who does not read is not read ---- */

static void send_pings(struct raw_client *c, size_t count) {
    struct sk_buffer out = {0};
    for (size_t i = 0; i < count; i++) sk_mqtt_put_bare(&out, SK_MQTT_PINGREQ);
    raw_send_buffer(c, &out);
}

struct waiting {
    struct raw_client *client;
    size_t bytes;
};

static bool has_come(void *arg) {
    struct waiting *w = arg;
    return w->client->in.n >= w->bytes;
}

TEST(who_does_not_read_is_not_read_and_gets_all_when_it_does) {
    struct fleet *f = *state;
    enum { PINGS = 1024 * 1024 };
    struct raw_client c, other;
    raw_login(&c, f, "d1");
    raw_login(&other, f, "d2");
    sk_stream_pause(c.stream, true);
    send_pings(&c, PINGS);
    sk_sim_run(f->sim, 60 * SK_S);
    assert_non_null(c.stream);
    assert_true(sk_stream_pending(c.stream) > PINGS); /* of two bytes each */
    raw_ping(&other);
    sk_stream_pause(c.stream, false);
    assert_true(sk_sim_run_until(f->sim, 600 * SK_S, has_come, &(struct waiting){&c, 2 * PINGS}));
    assert_int_equal(c.in.n, 2 * PINGS);
    raw_free(&c);
    raw_free(&other);
}

TEST(a_client_that_never_reads_is_not_kept_for_ever) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1", .clean = true, .keep_alive_s = 60});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    sk_stream_pause(c.stream, true);
    send_pings(&c, 1024 * 1024);
    sk_sim_run(f->sim, 180 * SK_S);
    assert_null(c.stream);
    raw_free(&c);
}

TEST(a_device_that_does_not_read_its_desired_properties_is_closed) {
    struct fleet *f = *state;
    enum { PATCHES = 400, EACH = 3000 };
    struct raw_client c;
    char body[EACH + 100];
    raw_login(&c, f, "d1");
    raw_subscribe(&c, 1, "$iothub/twin/PATCH/properties/desired/#", 0);
    raw_expect(&c, SK_MQTT_SUBACK);
    sk_stream_pause(c.stream, true);
    for (int i = 0; i < PATCHES && c.stream; i++) {
        snprintf(body, sizeof body, "{\"properties\":{\"desired\":{\"n\":\"%0*d\"}}}", EACH, i);
        fleet_call(f, SK_HTTP_PATCH, "/twins/d1", body);
        assert_int_equal(f->status, 200);
    }
    sk_sim_run(f->sim, 10 * SK_S);
    assert_null(c.stream);
    raw_free(&c);
}

/* ---- before anybody is known ---- */

TEST(headers_decide_before_the_body_comes) {
    struct fleet *f = *state;
    struct raw_client c;
    struct raw_answer answer;
    raw_open(&c, f, "hub.test");
    raw_send(&c, SK_SPAN("PUT /devices/d1" VERSION
                         " HTTP/1.1\r\nHost: hub.test\r\nContent-Length: 1000000\r\n\r\n"));
    raw_next_answer(&c, &answer);
    assert_int_equal(answer.parser.status, 401);
    assert_true(sk_http_header_has(&answer.parser, "Connection", "close"));
    sk_http_parser_free(&answer.parser);
    raw_free(&c);
}

TEST(a_body_waits_for_the_word_when_its_client_does) {
    struct fleet *f = *state;
    struct raw_client c;
    struct raw_answer answer;
    struct sk_buffer out = {0};
    struct raw_ask ask = {.method = "POST",
                          .target = "/devices/query" VERSION,
                          .headers = "Expect: 100-continue\r\n",
                          .body = sk_span_z("{\"query\":\"SELECT * FROM devices\"}")};
    raw_put_ask(&out, f, &ask);
    raw_open(&c, f, "hub.test");
    raw_send(&c, sk_span(out.p, out.n - ask.body.n));
    sk_sim_run(f->sim, SK_S);
    assert_true(sk_span_starts(sk_buffer_span(&c.in), SK_SPAN("HTTP/1.1 100 ")));
    raw_send(&c, ask.body);
    raw_next_answer(&c, &answer);
    assert_int_equal(answer.parser.status, 200);
    sk_http_parser_free(&answer.parser);
    sk_buffer_free(&out);
    raw_free(&c);
}

TEST(a_client_that_goes_before_its_body_is_whole_does_no_harm) {
    struct fleet *f = *state;
    struct sk_buffer out = {0};
    struct raw_ask ask = {.method = "POST",
                          .target = "/devices/query" VERSION,
                          .body = sk_span_z("{\"query\":\"SELECT * FROM devices\"}")};
    raw_put_ask(&out, f, &ask);
    for (size_t cut = out.n - ask.body.n; cut < out.n; cut += 4) {
        struct raw_client c;
        raw_open(&c, f, "hub.test");
        raw_send(&c, sk_span(out.p, cut));
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 20) * SK_MS);
        raw_free(&c);
    }
    sk_buffer_free(&out);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(sk_gateway_counts(sk_hub_server_gateway(f->hub))->connections, 1); /* ours */
}

TEST(no_more_than_sixteen_kilobytes_are_read_before_a_credential) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    raw_open(&c, f, "hub.test");
    put_header(&out);
    put_open(&out);
    for (size_t n = 0; n < 1024 * 1024; n += 8)
        sk_buffer_append(&out, SK_SPAN("\0\0\0\x08\2\0\0\0")); /* empty frames */
    raw_send_buffer(&c, &out);
    sk_sim_run(f->sim, 30 * SK_S);
    assert_true(c.stream == NULL || sk_stream_pending(c.stream) > 800 * 1024);
    raw_free(&c);
}

/* ---- the door ---- */

static bool is_gone(void *arg) {
    return ((struct raw_client *)arg)->stream == NULL;
}

TEST(known_clients_stay_when_strangers_fill_the_door) {
    struct fleet *f = *state;
    struct raw_client known, strangers[6];
    struct sk_door_limits limits =
        sk_io_limit(f->hub_io, (struct sk_door_limits){.connections = 8, .unproved = 4});
    assert_int_equal(limits.an_address, 4);
    limits = sk_io_limit(f->hub_io,
                         (struct sk_door_limits){.connections = 6, .an_address = 6, .unproved = 4});
    raw_login(&known, f, "d1");
    for (size_t i = 0; i < 6; i++) raw_open(&strangers[i], f, "hub.test");
    sk_sim_run(f->sim, SK_S);
    /* One is known, one is the service's: four strangers have room, the two oldest have gone. */
    assert_true(is_gone(&strangers[0]));
    assert_true(is_gone(&strangers[1]));
    for (size_t i = 2; i < 6; i++) assert_false(is_gone(&strangers[i]));
    raw_ping(&known);
    assert_true(sk_io_counts(f->hub_io)->turned_away[SK_AWAY_CONNECTIONS] +
                    sk_io_counts(f->hub_io)->turned_away[SK_AWAY_ADDRESS] +
                    sk_io_counts(f->hub_io)->turned_away[SK_AWAY_UNPROVED] ==
                2);
    for (size_t i = 0; i < 6; i++) raw_free(&strangers[i]);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(sk_io_counts(f->hub_io)->accepted, 2);
    assert_int_equal(sk_io_counts(f->hub_io)->unproved, 0);
    raw_free(&known);
}

TEST(a_newcomer_goes_when_all_others_are_known) {
    struct fleet *f = *state;
    struct raw_client first, second, third;
    raw_login(&first, f, "d1");
    sk_io_limit(f->hub_io, (struct sk_door_limits){.connections = 3, .an_address = 3});
    raw_login(&second, f, "d2");
    raw_open(&third, f, "hub.test");
    assert_true(sk_sim_run_until(f->sim, SK_S, is_gone, &third));
    raw_ping(&first);
    raw_ping(&second);
    raw_abort(&first);
    raw_free(&third);
    raw_login(&third, f, "d1"); /* there is room again */
    raw_free(&first);
    raw_free(&second);
    raw_free(&third);
}

/* ---- a share of a turn ---- */

struct flood {
    struct fleet *f;
    struct raw_client *other;
    uint64_t refused, most; /* links: so far, and in one turn */
};

/* Looks after each turn of any loop. */
static bool other_is_served(void *arg) {
    struct flood *flood = arg;
    uint64_t now = sk_gateway_counts(sk_hub_server_gateway(flood->f->hub))->links_refused_total;
    if (now - flood->refused > flood->most) flood->most = now - flood->refused;
    flood->refused = now;
    return flood->other->in.n > 0;
}

TEST(who_attaches_to_nothing_by_the_thousand_gets_100_refusals_a_turn) {
    struct fleet *f = *state;
    enum { ATTACHES = 10000, A_TURN = 100 };
    struct raw_client c, other;
    struct sk_buffer out = {0};
    struct flood flood = {f, &other, 0, 0};
    login_raw(&c, f, NULL, 0);
    raw_login(&other, f, "d2");
    for (unsigned i = 0; i < ATTACHES; i++) {
        put_attach(&out, 0, (unsigned char)(i % 8), "nowhere");
        put_detach(&out, 0, (unsigned char)(i % 8));
    }
    raw_send_buffer(&c, &out);
    raw_publish(&other, "devices/d2/messages/events/", SK_SPAN("x"), 1, 1);
    assert_true(sk_sim_run_until(f->sim, SK_S, other_is_served, &flood));
    assert_non_null(c.stream);
    assert_in_range(flood.refused, 1, ATTACHES - 1); /* the flood goes on meanwhile */
    assert_in_range(flood.most, 1, A_TURN);
    raw_free(&c);
    raw_free(&other);
}

/* ---- what is under way ---- */

enum { SUBSCRIPTIONS = 2000, SUBACK = 5, UNSUBACK = 4 }; /* bytes */

struct lookups {
    struct fleet *f;
    struct raw_client *other;
    size_t under_way, most, most_a_turn;
};

static size_t authentications(struct fleet *f) {
    struct sk_gateway *gateway = sk_hub_server_gateway(f->hub);
    const struct sk_list *all = &sk_gateway_find(gateway, SK_SPAN("hub.test"))->authentications;
    size_t count = 0;
    for (const struct sk_list *at = all->next; at && at != all; at = at->next) count++;
    return count;
}

/* Likewise after each turn. */
static bool other_is_answered(void *arg) {
    struct lookups *l = arg;
    size_t now = authentications(l->f);
    if (l->under_way > now && l->under_way - now > l->most_a_turn)
        l->most_a_turn = l->under_way - now;
    if (now > l->most) l->most = now;
    l->under_way = now;
    return l->other->in.n > 0;
}

static void put_attach_and_detach(struct sk_buffer *to) {
    put_attach(to, 0, 1, "devices/d1/messages/events");
    put_detach(to, 0, 1);
}

static void put_session(struct sk_buffer *to) {
    put_begin(to, 1);
    put_attach(to, 1, 1, "devices/d1/messages/events");
    put_frame(to, 1, END, SK_NONE, 0, SK_NONE);
}

/* Links that come and go by the thousand, each of which has to be looked up. */
static void look_up_by_the_thousand(struct fleet *f, void (*put)(struct sk_buffer *)) {
    enum { LINKS = 10000, UNDER_WAY = 128, A_TURN = 64 };
    struct raw_client c, other;
    struct sk_buffer out = {0};
    struct lookups l = {.f = f, .other = &other};
    login_raw(&c, f, NULL, 0);
    raw_login(&other, f, "d2");
    for (unsigned i = 0; i < LINKS; i++) put(&out);
    raw_send_buffer(&c, &out);
    raw_publish(&other, "devices/d2/messages/events/", SK_SPAN("x"), 1, 1);
    assert_true(sk_sim_run_until(f->sim, SK_S, other_is_answered, &l));
    other.in.n = 0;
    raw_publish(&other, "$iothub/twin/GET/?$rid=1", SK_NONE, 1, 2);
    assert_true(sk_sim_run_until(f->sim, SK_S, other_is_answered, &l));
    assert_non_null(c.stream);
    assert_in_range(l.most, 1, UNDER_WAY);
    assert_in_range(l.most_a_turn, 1, A_TURN);
    raw_free(&c);
    raw_free(&other);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(authentications(f), 0);
}

TEST(links_that_come_and_go_are_looked_up_a_few_at_a_time) {
    look_up_by_the_thousand(*state, put_attach_and_detach);
}

TEST(sessions_that_come_and_go_are_looked_up_a_few_at_a_time) {
    look_up_by_the_thousand(*state, put_session);
}

struct growth {
    struct raw_client *client;
    size_t bytes, most; /* so far; in one turn */
};

static bool has_all(void *arg) {
    struct growth *g = arg;
    if (g->client->in.n - g->bytes > g->most) g->most = g->client->in.n - g->bytes;
    g->bytes = g->client->in.n;
    return g->bytes >= SUBSCRIPTIONS * (SUBACK + UNSUBACK);
}

TEST(subscriptions_that_are_stored_change_64_a_turn) {
    struct fleet *f = *state;
    const struct sk_mqtt_subscription methods = {.filter = SK_SPAN("$iothub/methods/POST/#")};
    struct raw_client c;
    struct sk_buffer out = {0};
    struct growth growth = {&c, 0, 0};
    raw_dial(&c, f, "hub.test",
             &(struct raw_connect){.device = "d1", .clean = false, .keep_alive_s = 60});
    raw_expect_connack(&c, SK_MQTT_ACCEPTED, false);
    c.in.n = 0;
    for (unsigned i = 0; i < SUBSCRIPTIONS; i++) {
        sk_mqtt_put_subscribe(&out, 1, &methods, 1);
        sk_mqtt_put_unsubscribe(&out, 2, &methods, 1);
    }
    raw_send_buffer(&c, &out);
    assert_true(sk_sim_run_until(f->sim, 600 * SK_S, has_all, &growth));
    assert_in_range(growth.most, 1, 64 * SUBACK);
    raw_free(&c);
}

/* ---- answers of many documents ---- */

struct asking {
    struct raw_client *client;
    size_t turns;
};

static bool is_answered(void *arg) {
    struct asking *asking = arg;
    asking->turns++;
    return asking->client->in.n > 0;
}

/* How many turns the answer takes; it comes whole. */
static size_t turns_of(struct fleet *f, const struct raw_ask *ask, struct raw_answer *answer) {
    struct raw_client c;
    struct sk_buffer out = {0};
    struct asking asking = {&c, 0};
    raw_put_ask(&out, f, ask);
    raw_open(&c, f, "hub.test");
    raw_send_buffer(&c, &out);
    assert_true(sk_sim_run_until(f->sim, 10 * SK_S, is_answered, &asking));
    raw_next_answer(&c, answer);
    assert_int_equal(answer->parser.status, 200);
    raw_free(&c);
    return asking.turns;
}

static size_t items_of(struct raw_answer *answer) {
    json_t *list = json_loadb(answer->parser.body.p, answer->parser.body.n, 0, NULL);
    size_t count = json_array_size(list);
    assert_true(json_is_array(list));
    json_decref(list);
    sk_http_parser_free(&answer->parser);
    return count;
}

/* With OR the store cannot sort them out, off the loop: each is read and looked at here. */
TEST(what_reads_many_documents_takes_many_turns) {
    struct fleet *f = *state;
    enum { DEVICES = 300, PAGE = 100, TWINS_A_TURN = 16, DEVICES_A_TURN = 32 };
    struct raw_answer answer;
    struct raw_ask query = {
        .method = "POST",
        .target = "/devices/query" VERSION,
        .body = sk_span_z("{\"query\":\"SELECT * FROM devices WHERE deviceId != 'd1'\"}")};
    struct raw_ask list = {.method = "GET", .target = "/devices" VERSION};
    char name[16];
    for (int i = 3; i <= DEVICES; i++) {
        snprintf(name, sizeof name, "d%d", i);
        fleet_put_device(f, name, "");
    }
    assert_true(turns_of(f, &query, &answer) >= PAGE / TWINS_A_TURN);
    assert_int_equal(items_of(&answer), PAGE);
    assert_true(turns_of(f, &list, &answer) >= DEVICES / DEVICES_A_TURN);
    assert_int_equal(items_of(&answer), DEVICES);
}

/* ---- direct methods ---- */

static void listen_to_methods(struct raw_client *c, struct fleet *f, const char *device) {
    raw_login(c, f, device);
    raw_subscribe(c, 1, "$iothub/methods/POST/#", 0);
    raw_expect(c, SK_MQTT_SUBACK);
}

TEST(a_mute_device_fills_its_own_methods_only) {
    struct fleet *f = *state;
    enum { IN_FLIGHT = 64 };
    struct raw_client mute, other, callers[IN_FLIGHT + 1];
    struct sk_buffer out = {0};
    struct raw_answer answer;
    struct raw_ask ask = {.method = "POST",
                          .target = "/twins/d1/methods" VERSION,
                          .body =
                              sk_span_z("{\"methodName\":\"m\",\"responseTimeoutInSeconds\":300}")};
    listen_to_methods(&mute, f, "d1");
    listen_to_methods(&other, f, "d2");
    for (size_t i = 0; i <= IN_FLIGHT; i++) {
        raw_open(&callers[i], f, "hub.test");
        raw_put_ask(&out, f, &ask);
        raw_send_buffer(&callers[i], &out);
        sk_sim_run(f->sim, 20 * SK_MS);
    }
    raw_next_answer(&callers[IN_FLIGHT], &answer); /* the one too many */
    assert_int_equal(answer.parser.status, 403);
    sk_http_parser_free(&answer.parser);
    for (size_t i = 0; i < IN_FLIGHT; i++) assert_int_equal(callers[i].in.n, 0);
    struct raw_client caller;
    ask.target = "/twins/d2/methods" VERSION;
    raw_put_ask(&out, f, &ask);
    raw_open(&caller, f, "hub.test");
    raw_send_buffer(&caller, &out);
    raw_expect(&other, SK_MQTT_PUBLISH); /* the other device is called */
    raw_free(&caller);
    for (size_t i = 0; i <= IN_FLIGHT; i++) raw_free(&callers[i]);
    raw_free(&mute);
    raw_free(&other);
}

/* ---- the end ---- */

TEST(closing_takes_two_seconds_at_most) {
    struct fleet *f = *state;
    struct raw_client stranger, deaf;
    raw_open(&stranger, f, "hub.test");
    raw_login(&deaf, f, "d1");
    sk_stream_pause(deaf.stream, true);
    send_pings(&deaf, 1024 * 1024);
    sk_sim_run(f->sim, 10 * SK_S);
    f->waiting++;
    sk_hub_server_stop(f->hub, fleet_stopped, f);
    f->hub = NULL;
    assert_true(sk_sim_run_until(f->sim, 2 * SK_S, fleet_idle, f));
    raw_free(&stranger);
    raw_free(&deaf);
}
