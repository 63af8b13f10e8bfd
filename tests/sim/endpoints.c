/* Custom endpoints of routes: what a hub has acknowledged arrives there at least once, in the order
 * of each device, whatever the endpoint does meanwhile. The peer is a web server of ours. */
#include "net/http_server.h"
#include "support/numbers.h"
#include "support/seeds.h"
#include "support/test.h"

enum { BATCHES_MAX = 4096 };

/* What the web server does with a request. */
enum mood { FINE, FAILS, THROTTLES, REFUSES, HANGS, ENDLESS, GARBAGE, REDIRECTS };

static struct web {
    struct sk_io *io;
    struct sk_http_service service;
    struct sk_http_listener *listener;
    enum mood mood;
    const char *poison; /* a batch with it is refused */
    size_t requests;
    char *batches[BATCHES_MAX];
    size_t batch_count;
} web;

static void take_batch(struct sk_span body) {
    json_t *batch = json_loadb(body.p, body.n, 0, NULL), *message;
    size_t i;
    assert_true(json_is_array(batch));
    json_array_foreach(batch, i, message) {
        const json_t *number = fleet_member(message, "body/n");
        if (!json_is_integer(number)) continue;
        numbers_saw((unsigned)json_integer_value(number));
    }
    json_decref(batch);
    if (web.batch_count < BATCHES_MAX) web.batches[web.batch_count++] = sk_span_dup(body);
}

static void give_up(struct sk_http_exchange *exchange) {
    sk_http_respond(exchange, 503, SK_NONE, SK_NONE);
}

static void on_request(void *arg, struct sk_http_exchange *exchange) {
    struct sk_span body = sk_buffer_span(&exchange->request->body);
    char *text = sk_span_dup(body);
    (void)arg;
    web.requests++;
    bool poisoned = web.poison && strstr(text, web.poison);
    free(text);
    if (web.mood == FINE && !poisoned) {
        take_batch(body);
        sk_http_respond(exchange, 200, SK_NONE, SK_NONE);
    } else if (poisoned || web.mood == REFUSES) {
        sk_http_respond(exchange, 400, SK_NONE, SK_SPAN("no"));
    } else if (web.mood == FAILS) {
        sk_http_respond(exchange, 500, SK_NONE, SK_NONE);
    } else if (web.mood == THROTTLES) {
        sk_http_respond(exchange, 429, SK_NONE, SK_NONE);
    } else if (web.mood == REDIRECTS) {
        sk_http_respond(exchange, 302, SK_SPAN("Location: /elsewhere\r\n"), SK_NONE);
    } else if (web.mood == ENDLESS) {
        char part[8192];
        memset(part, 'x', sizeof part);
        sk_http_respond_start(exchange, 200, SK_NONE);
        for (int i = 0; i < 12; i++) sk_http_respond_part(exchange, sk_span(part, sizeof part));
        sk_http_respond_end(exchange);
    } else if (web.mood == GARBAGE) {
        sk_stream_write(exchange->stream, SK_SPAN("\x01\x02 this is no answer\r\n\r\n"));
        sk_http_close_after(exchange);
        sk_http_respond(exchange, 200, SK_NONE, SK_NONE);
    } else if (web.mood == HANGS) {
        exchange->gone = give_up;
    }
}

static void open_web(struct fleet *f) {
    web = (struct web){.io = sk_sim_node(f->sim, "app.test"),
                       .service = {.handler = on_request, .body_max = 8 << 20}};
    assert_int_equal(sk_http_listen(web.io, &(struct sk_endpoint){.host = "app.test", .port = 80},
                                    NULL, &web.service, &web.listener, NULL),
                     SK_OK);
}

static void close_web(void) {
    sk_http_listener_close(web.listener);
    for (size_t i = 0; i < web.batch_count; i++) free(web.batches[i]);
}

/* ---- the hub ---- */

static const char *to_app[] = {"app"}, *to_both[] = {"app", "events"}, *to_events[] = {"events"};

static struct sk_hub_endpoint app_endpoint(void) {
    return (struct sk_hub_endpoint){
        .name = "app",
        .to = "http://app.test/events?code=secret", /* errors do not tell it */
        .timeout_us = 10000000,
        .batch_count = 50,
        .batch_bytes = 1 << 20,
        .batch_wait_us = 10000,
        .ttl_us = 2 * 86400000000ull,
        .dead_letter_bytes = 1 << 20};
}

static struct sk_hub_endpoint endpoints[2];
static struct sk_hub_route routes[3];
static struct sk_hub_enrichment enrichments[2];

static void configure(struct fleet *f, size_t route_count) {
    struct sk_hub_options *hub = &f->config.hubs[0];
    fleet_stop_hub(f);
    hub->endpoints = endpoints;
    hub->endpoint_count = 1;
    hub->routes = routes;
    hub->route_count = route_count;
    hub->fallback = route_count == 0;
    fleet_start_hub(f);
    fleet_call(f, SK_HTTP_GET, "/statistics/service", ""); /* over a new connection */
}

static void to(struct sk_hub_route *route, const char **names, size_t count) {
    *route = (struct sk_hub_route){.name = "r",
                                   .condition = "true",
                                   .enabled = true,
                                   .endpoints = names,
                                   .endpoint_count = count};
}

static void begin_world(void **state, uint64_t seed) {
    struct fleet *f = *state = SK_NEW(struct fleet);
    fleet_new_hub(f, seed);
    fleet_put_device(f, "d1", "");
    endpoints[0] = app_endpoint();
    to(&routes[0], to_app, 1);
    open_web(f);
    watch_forgive(f->watch); /* it looks at the event stream */
    configure(f, 1);
}

static int begin(void **state) {
    begin_world(state, 1);
    return 0;
}

static int end(void **state) {
    close_web();
    return fleet_free_world(state);
}

AROUND(begin, end);

static void shows_health(struct fleet *f, const char *health) {
    char expected[32];
    snprintf(expected, sizeof expected, "\"%s\"", health);
    fleet_shows(f, "/routing/endpoints/health", "value/0/healthStatus", expected);
}

static void count_one(void *arg, const struct sk_message *message) {
    (void)message;
    ++*(size_t *)arg;
}
static size_t count_events(struct fleet *f) {
    size_t n = 0;
    fleet_read_events(f, count_one, &n);
    return n;
}

/* ---- what comes ---- */

TEST(a_message_comes_as_an_array_with_its_properties) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    shows_health(f, "unknown");
    numbers_send_all(f, client, 1);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(web.batch_count, 1);
    json_t *batch = json_loads(web.batches[0], 0, NULL);
    assert_string_equal(json_string_value(fleet_member(batch, "0/deviceId")), "d1");
    assert_string_equal(json_string_value(fleet_member(batch, "0/source")), "Telemetry");
    assert_string_equal(json_string_value(fleet_member(batch, "0/systemProperties/contentType")),
                        "application/json");
    json_decref(batch);
    shows_health(f, "healthy");
    assert_int_equal(count_events(f), 0); /* a route leads elsewhere */
    sk_device_client_free(client);
}

TEST(a_message_that_several_routes_take_comes_once_and_is_an_event_too) {
    struct fleet *f = *state;
    to(&routes[0], to_app, 1);
    to(&routes[1], to_both, 2);
    to(&routes[2], to_app, 1);
    configure(f, 3);
    struct sk_device_client *client = numbers_begin(f);
    numbers_send_all(f, client, 20);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(numbers.seen_count, 20);
    numbers_came_in_order(20);
    assert_int_equal(count_events(f), 20);
    sk_device_client_free(client);
}

TEST(what_an_enrichment_is_for_one_endpoint_the_other_does_not_get) {
    struct fleet *f = *state;
    to(&routes[0], to_both, 2);
    enrichments[0] = (struct sk_hub_enrichment){"site", "Oslo", to_app, 1};
    enrichments[1] = (struct sk_hub_enrichment){"seen", "yes", to_events, 1};
    f->config.hubs[0].enrichments = enrichments;
    f->config.hubs[0].enrichment_count = 2;
    configure(f, 1);
    struct sk_device_client *client = numbers_begin(f);
    numbers_send_all(f, client, 3);
    sk_sim_run(f->sim, SK_S);
    numbers_came_in_order(3);
    assert_non_null(strstr(web.batches[0], "\"properties\":{\"site\":\"Oslo\"}"));
    assert_int_equal(count_events(f), 3);
    f->config.hubs[0].enrichment_count = 0;
    sk_device_client_free(client);
}

/* ---- what goes wrong ---- */

static void fails_for_a_day(struct fleet *f, enum mood mood) {
    struct sk_device_client *client = numbers_begin(f);
    numbers_send_all(f, client, 10);
    sk_sim_run(f->sim, SK_S);
    web.mood = mood;
    for (int hour = 0; hour < 24; hour++) {
        numbers_send_all(f, client, 10);
        sk_sim_run(f->sim, 3600 * SK_S);
    }
    shows_health(f, "unhealthy");
    assert_int_equal(numbers.seen_count, 10);
    size_t attempts = web.requests;
    assert_in_range(attempts, 24 * 60, 24 * 60 * 3); /* about one a minute, not a storm */
    web.mood = FINE;
    sk_sim_run(f->sim, 300 * SK_S);
    numbers_came_in_order(250);
    shows_health(f, "healthy");
    sk_device_client_free(client);
}

TEST(an_endpoint_that_fails_for_a_day_gets_everything_then) {
    fails_for_a_day(*state, FAILS);
}
TEST(one_that_throttles_for_a_day_too) {
    fails_for_a_day(*state, THROTTLES);
}
TEST(one_that_redirects_for_a_day_too) {
    fails_for_a_day(*state, REDIRECTS);
}
TEST(one_whose_answers_do_not_end_too) {
    fails_for_a_day(*state, ENDLESS);
}
TEST(one_that_answers_garbage_too) {
    fails_for_a_day(*state, GARBAGE);
}
TEST(one_that_hangs_too) {
    fails_for_a_day(*state, HANGS);
}

static void lose_power(struct fleet *f) {
    struct sk_device_client *client = numbers_begin(f);
    for (int i = 0; i < 20; i++) {
        web.mood = (enum mood)sk_sim_chance(f->sim, REDIRECTS + 1);
        if (web.mood == REFUSES) web.mood = FINE;
        numbers_send(f, client, 1 + (unsigned)sk_sim_chance(f->sim, 50));
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 3000) * SK_MS);
        if (sk_sim_chance(f->sim, 2)) fleet_crash_hub(f);
    }
    web.mood = FINE;
    assert_true(sk_sim_run_until(f->sim, 600 * SK_S, numbers_acknowledged, NULL));
    sk_sim_run(f->sim, 300 * SK_S);
    numbers_came_in_order(numbers.next);
    sk_device_client_free(client);
}

TEST(a_hub_that_loses_power_meanwhile_loses_nothing) {
    struct seeds seeds = seeds_of("FLEET_SEEDS", 4);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        end(state);
        begin_world(state, seed);
        lose_power(*state);
    }
}

/* ---- dead letters ---- */

TEST(a_message_that_is_refused_goes_alone_to_the_dead_letters) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    web.mood = FAILS; /* so that they gather */
    web.poison = "\"n\":17}";
    numbers_send_all(f, client, 40);
    web.mood = FINE;
    sk_sim_run(f->sim, 120 * SK_S);
    assert_int_equal(numbers.seen_count, 39);
    fleet_shows(f, "/routing/endpoints/app/deadLetters", "0/message/body/n", "17");
    fleet_shows(f, "/routing/endpoints/app/deadLetters", "0/reason",
                "\"http://app.test/events answered 400\"");
    fleet_shows(f, "/routing/endpoints/app/deadLetters", "1", NULL);
    fleet_shows(f, "/routing/endpoints/health", "value/0/deadLetters", "1");
    sk_device_client_free(client);
}

TEST(what_is_not_taken_in_its_time_goes_to_the_dead_letters_and_the_rest_comes) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    web.mood = FAILS;
    numbers_send_all(f, client, 5);
    sk_sim_run(f->sim, 86400 * SK_S);
    numbers_send_all(f, client, 5);
    sk_sim_run(f->sim, 86400 * SK_S + 300 * SK_S);
    shows_health(f, "dead");
    fleet_shows(f, "/routing/endpoints/health", "value/0/deadLetters", "5");
    fleet_crash_hub(f);
    web.mood = FINE;
    sk_sim_run(f->sim, 120 * SK_S);
    assert_int_equal(numbers.seen_count, 5);
    assert_int_equal(numbers.seen[0], 5);
    fleet_shows(f, "/routing/endpoints/app/deadLetters", "4/message/body/n", "4");
    sk_device_client_free(client);
}

TEST(events_stay_beyond_their_retention_while_an_endpoint_waits_for_them) {
    struct fleet *f = *state;
    struct sk_device_client *client;
    f->config.hubs[0].retention_us = 3600ull * 1000000;
    configure(f, 1);
    client = numbers_begin(f);
    web.mood = HANGS;
    numbers_send_all(f, client, 50);
    sk_sim_run(f->sim, 20 * 3600 * SK_S);
    web.mood = FINE;
    sk_sim_run(f->sim, 300 * SK_S);
    numbers_came_in_order(50);
    fleet_shows(f, "/routing/endpoints/health", "value/0/lost", "0");
    sk_device_client_free(client);
}

/* ---- endpoints that come and go ---- */

TEST(a_new_endpoint_never_gets_what_was_for_another) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    web.mood = HANGS;
    numbers_send_all(f, client, 7);
    for (int i = 0; i < 40; i++) { /* more than there are bits */
        static char name[16];
        snprintf(name, sizeof name, "app%d", i);
        static const char *names[1];
        names[0] = endpoints[0].name = name;
        to(&routes[0], names, 1);
        configure(f, 1);
    }
    web.mood = FINE;
    sk_sim_run(f->sim, 300 * SK_S);
    assert_int_equal(numbers.seen_count, 0);
    numbers_send_all(f, client, 3);
    sk_sim_run(f->sim, 10 * SK_S);
    assert_int_equal(numbers.seen_count, 3);
    assert_int_equal(numbers.seen[0], 7);
    sk_device_client_free(client);
}

/* ---- the configuration anew ---- */

#define BASE FLEET_TOML_HUB FLEET_TOML_OWNER
#define ENDPOINT(name, to)                                                                         \
    "[[hub.endpoint]]\nname = \"" name "\"\ntype = \"webhook\"\nto = \"" to "\"\n"
#define ROUTE(to) "[[hub.route]]\nname = \"r\"\nendpoint = " to "\n"

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

TEST(a_reload_leads_what_waits_elsewhere_and_adds_and_removes) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    web.mood = HANGS;
    numbers_send_all(f, client, 10);
    sk_sim_run(f->sim, SK_S);
    web.mood = FINE; /* who hangs hangs on; a new URL is a new connection */
    takes(f, BASE ENDPOINT("app", "http://app.test/other") ROUTE("\"app\""));
    numbers_came_in_order(10);
    takes(f, BASE ENDPOINT("more", "http://app.test/") ENDPOINT("app", "http://app.test/other")
                 ROUTE("[\"app\", \"more\", \"events\"]"));
    numbers_send_all(f, client, 5);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(numbers.seen_count, 10 + 2 * 5);
    assert_int_equal(count_events(f), 5);
    fleet_shows(f, "/routing/endpoints/health", "value/0/endpointId", "\"more\"");
    takes(f, BASE);
    numbers_send_all(f, client, 5);
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(numbers.seen_count, 20);
    assert_int_equal(count_events(f), 10);
    takes(f, BASE ENDPOINT("app", "http://app.test/") ROUTE("\"app\""));
    numbers_send_all(f, client, 5); /* of the same name, and knows nothing of before */
    sk_sim_run(f->sim, SK_S);
    assert_int_equal(numbers.seen_count, 25);
    sk_device_client_free(client);
}

#define MAIL(timeout)                                                                              \
    "[[hub.endpoint]]\nname = \"app\"\ntype = \"mail\"\nto = \"smtp+plain://app.test:80\"\n"       \
    "from = \"hub@x.test\"\nrecipients = [\"a@x.test\"]\ntimeout = \"" timeout "\"\n"

TEST(how_long_a_mail_server_may_take_is_what_the_last_reload_says) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    takes(f, BASE MAIL("10m") ROUTE("\"app\""));
    takes(f, BASE MAIL("1s") ROUTE("\"app\""));
    numbers_send_all(f, client, 1); /* the server waits for a request, and greets nobody */
    sk_sim_run(f->sim, 5 * SK_S);
    shows_health(f, "unhealthy");
    sk_device_client_free(client);
}

TEST(an_endpoint_that_cannot_be_opened_changes_nothing) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    const char *reason = fleet_reload(
        f, BASE ENDPOINT("app", "https://app.test/") "ca = \"/nowhere.pem\"\n" ROUTE("\"app\""));
    assert_non_null(reason);
    assert_non_null(strstr(reason, "nowhere.pem"));
    numbers_send_all(f, client, 5);
    sk_sim_run(f->sim, SK_S);
    numbers_came_in_order(5);
    sk_device_client_free(client);
}

TEST(an_endpoint_removed_while_its_dead_letters_are_written_is_gone) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    web.mood = REFUSES;
    for (int i = 0; i < 20; i++) {
        takes(f, BASE ENDPOINT("app", "http://app.test/") ROUTE("\"app\""));
        numbers_send(f, client, 1);
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 20) * SK_MS);
        takes(f, BASE);
    }
    sk_device_client_free(client);
}

/* ---- over AMQP: the hub's own event stream is the peer, as another hub's may be ---- */

#define STREAM(password)                                                                           \
    "[[hub.endpoint]]\nname = \"app\"\ntype = \"event-hub\"\ntimeout = \"5s\"\n"                   \
    "to = \"amqp://owner:" password "@hub.test:8883/test\"\n" ROUTE("\"app\"")
#define PASSWORD "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA%3D"
#define TAKING FLEET_TOML_HUB "take_events = true\n" FLEET_TOML_OWNER

static void note_number(void *arg, const struct sk_message *message) {
    json_t *body = json_loadb(message->body.p, message->body.n, 0, NULL);
    (void)arg;
    assert_true(sk_span_is(message->system[SK_SYS_CONTENT_TYPE], "application/json"));
    numbers.seen[numbers.seen_count++] = (unsigned)json_integer_value(json_object_get(body, "n"));
    json_decref(body);
}

TEST(an_event_hub_gets_what_is_routed_there_once_it_takes_it) {
    struct fleet *f = *state;
    struct sk_device_client *client = numbers_begin(f);
    takes(f, BASE STREAM(PASSWORD)); /* the stream takes nothing yet */
    numbers_send_all(f, client, 30);
    takes(f, TAKING STREAM("wrong"));
    sk_sim_run(f->sim, 20 * SK_S);
    shows_health(f, "unhealthy");
    takes(f, TAKING STREAM(PASSWORD));
    sk_sim_run(f->sim, 20 * SK_S);
    shows_health(f, "healthy");
    numbers_send_all(f, client, 120); /* more than a batch */
    sk_sim_run(f->sim, 20 * SK_S);
    fleet_read_events(f, note_number, NULL);
    numbers_came_in_order(150);
    sk_device_client_free(client);
}

/* ---- routes tried ---- */

static void explains(struct fleet *f, const char *body, const char *member, const char *expected) {
    fleet_call(f, SK_HTTP_POST, "/routing/routes/$explain", body);
    assert_int_equal(f->status, 200);
    json_t *json = json_loads(f->answer, 0, NULL);
    const json_t *found = fleet_member(json, member);
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    if (text == NULL || strcmp(text, expected) != 0)
        fail_msg("%s is %s, not %s: %s", member, text, expected, f->answer);
    free(text);
    json_decref(json);
}

TEST(a_message_that_is_made_up_is_explained) {
    struct fleet *f = *state;
    to(&routes[0], to_app, 1);
    routes[0].condition = "level = 'high' AND $body.t > 30 AND $twin.tags.site = 'Oslo'";
    to(&routes[1], to_both, 2);
    routes[1].source = SK_SOURCE_TWIN_CHANGES;
    to(&routes[2], to_app, 1);
    routes[2].enabled = false;
    configure(f, 3);
    explains(f, "{\"message\":{\"body\":{\"t\":31}}}", "routes/0/because",
             "\"level = 'high' is undefined\"");
    explains(f, "{\"message\":{\"body\":{\"t\":30},\"appProperties\":{\"level\":\"high\"}}}",
             "routes/0/because", "\"$body.t > 30 is false\"");
    explains(f, "{\"message\":{\"body\":\"text\",\"appProperties\":{\"level\":\"high\"}}}",
             "routes/0/because", "\"$body.t > 30 is undefined\"");
    explains(f,
             "{\"message\":{\"body\":{\"t\":31},\"appProperties\":{\"level\":\"high\"}},"
             "\"twin\":{\"tags\":{\"site\":\"Oslo\"}}}",
             "routes/0/result", "\"true\"");
    explains(f, "{}", "routes/1/because", "\"it takes TwinChangeEvents only\"");
    explains(f, "{}", "routes/2/because", "\"it is not enabled\"");
    explains(f, "{}", "fallback", "false");
    explains(f, "{\"routingSource\":\"TwinChangeEvents\"}", "routes/1/result", "\"true\"");
    fleet_call(f, SK_HTTP_POST, "/routing/routes/$testall",
               "{\"routingSource\":\"TwinChangeEvents\"}");
    json_t *all = json_loads(f->answer, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(all, "routes")), 1);
    assert_string_equal(json_string_value(fleet_member(all, "routes/0/properties/endpointNames/1")),
                        "events");
    json_decref(all);
}

TEST(a_route_is_tried_before_it_is_made) {
    static const struct {
        const char *condition, *result;
    } cases[] = {{"$body.t > 30", "true"},
                 {"$body.t > 31", "false"},
                 {"$body.u > 31", "undefined"},
                 {"true", "true"}};
    struct fleet *f = *state;
    char body[200];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(body, sizeof body,
                 "{\"message\":{\"body\":{\"t\":31}},\"route\":{\"condition\":\"%s\"}}",
                 cases[i].condition);
        fleet_call(f, SK_HTTP_POST, "/routing/routes/$testnew", body);
        json_t *answer = json_loads(f->answer, 0, NULL);
        assert_string_equal(json_string_value(fleet_member(answer, "result")), cases[i].result);
        json_decref(answer);
    }
    fleet_call(f, SK_HTTP_POST, "/routing/routes/$testnew",
               "{\"route\":{\"condition\":\"a = = 1\"}}");
    json_t *answer = json_loads(f->answer, 0, NULL);
    assert_int_equal(json_integer_value(
                         fleet_member(answer, "details/compilationErrors/0/location/start/column")),
                     5);
    json_decref(answer);
    static const char *const wrong[] = {"{}", "{\"route\":{},\"routingSource\":\"Nothing\"}",
                                        "{\"route\":{},\"message\":1}",
                                        "{\"route\":{},\"message\":{\"appProperties\":{\"a\":1}}}",
                                        "{\"route\":{},\"message\":{\"systemProperties\":[]}}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        fleet_call(f, SK_HTTP_POST, "/routing/routes/$testnew", wrong[i]);
        assert_int_equal(f->status, 400);
    }
}
