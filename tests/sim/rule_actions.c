/* What rules do with their alarms, through a whole hub: mails, webhooks, methods and messages, at
 * least once, whatever their receivers and the hub's power do meanwhile. */
#include "net/http_server.h"
#include "support/fleet.h"
#include "support/seeds.h"

/* ---- receivers: a web server and a mail server ---- */

enum mood { FINE, FAILS, REFUSES, HANGS };
enum { SEEN_MAX = 512, TEXT_MAX = 4096 };

static struct web {
    struct sk_http_service service;
    struct sk_http_listener *listener;
    enum mood mood;
    size_t requests, seen_count;
    char ids[SEEN_MAX][64];                             /* of requests that were taken */
    char body[TEXT_MAX], signature[128], timestamp[32]; /* of the last */
} web;

static void note(char *to, size_t size, struct sk_span text) {
    snprintf(to, size, "%.*s", SK_ARG(text));
}

static void give_up(struct sk_http_exchange *exchange) {
    sk_http_respond(exchange, 503, SK_NONE, SK_NONE);
}

static void on_request(void *arg, struct sk_http_exchange *exchange) {
    const struct sk_http_parser *request = exchange->request;
    (void)arg;
    web.requests++;
    if (web.mood == HANGS) {
        exchange->gone = give_up;
        return;
    }
    if (web.mood == FINE && web.seen_count < SEEN_MAX) {
        note(web.ids[web.seen_count++], 64, sk_http_header(request, "webhook-id"));
        note(web.body, TEXT_MAX, sk_buffer_span((struct sk_buffer *)&request->body));
        note(web.signature, 128, sk_http_header(request, "webhook-signature"));
        note(web.timestamp, 32, sk_http_header(request, "webhook-timestamp"));
    }
    sk_http_respond(exchange,
                    web.mood == FINE    ? 200
                    : web.mood == FAILS ? 500
                                        : 400,
                    SK_NONE, SK_NONE);
}

static struct post {
    struct sk_listener *listener;
    struct sk_buffer in, mail;
    bool hangs, in_mail;
    size_t connections, mails, id_count;
    char ids[SEEN_MAX][64]; /* Message-IDs */
} post;

static void take_mail(void) {
    sk_buffer_byte(&post.mail, 0);
    const char *id = strstr(post.mail.p, "Message-ID: <");
    assert_non_null(id);
    struct sk_span rest = sk_span_z(id + 13);
    post.mails++;
    if (post.id_count < SEEN_MAX)
        note(post.ids[post.id_count++], 64, sk_span_first(rest, sk_span_find(rest, '@')));
}

static void on_line(struct sk_stream *stream, struct sk_span line) {
    const char *answer = "250 ok\r\n";
    if (post.in_mail && !sk_span_is(line, ".")) {
        sk_buffer_print(&post.mail, "%.*s\n", SK_ARG(line));
        return;
    }
    if (post.in_mail) take_mail();
    post.in_mail = sk_span_is(line, "DATA");
    if (post.in_mail) {
        post.mail.n = 0;
        answer = "354 go\r\n";
    }
    sk_stream_write(stream, sk_span_z(answer));
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    if (post.hangs) return;
    sk_buffer_append(&post.in, bytes);
    for (size_t end; (end = sk_span_find(sk_buffer_span(&post.in), '\n')) < post.in.n;) {
        SK_CLEANUP_FREE char *line = sk_span_dup(sk_span_trim(sk_span(post.in.p, end)));
        sk_buffer_consume(&post.in, end + 1);
        on_line(stream, sk_span_z(line));
    }
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

static void on_accept(void *arg, struct sk_stream *stream) {
    static const struct sk_stream_events events = {.on_data = on_data, .on_close = on_close};
    (void)arg;
    post.connections++;
    post.in.n = 0;
    post.in_mail = false;
    sk_stream_handle(stream, &events, NULL);
    if (!post.hangs) sk_stream_write(stream, SK_SPAN("220 ready\r\n"));
}

/* ---- the world ---- */

#define MAIL_TOML                                                                                  \
    FLEET_TOML_HUB FLEET_TOML_OWNER                                                                \
        "[[hub.endpoint]]\nname = \"post\"\ntype = \"mail\"\nto = \"smtp+plain://mail.test:25\"\n" \
        "from = \"hub@x.test\"\nrecipients = [\"a@x.test\"]\nmails_per_minute = 60\n"

static void reload(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

static void open_receivers(struct fleet *f) {
    struct sk_io *app = sk_sim_node(f->sim, "app.test"), *mail = sk_sim_node(f->sim, "mail.test");
    web = (struct web){.service = {.handler = on_request, .body_max = 1 << 20}};
    post = (struct post){0};
    assert_int_equal(sk_http_listen(app, &(struct sk_endpoint){.host = "app.test", .port = 80},
                                    NULL, &web.service, &web.listener, NULL),
                     SK_OK);
    assert_int_equal(sk_listen(mail, &(struct sk_endpoint){.host = "mail.test", .port = 25}, NULL,
                               on_accept, NULL, &post.listener),
                     SK_OK);
}

static int begin(void **state) {
    fleet_new_world(state);
    open_receivers(*state);
    reload(*state, MAIL_TOML);
    fleet_put(*state, "/config/v1/devicegroups/all", "{\"DisplayName\":\"all\"}");
    return 0;
}

static int end(void **state) {
    sk_http_listener_close(web.listener);
    sk_listener_close(post.listener);
    sk_buffer_free(&post.in);
    sk_buffer_free(&post.mail);
    return fleet_free_world(state);
}

AROUND(begin, end);

#define HOOK(more)                                                                                 \
    "{\"Type\":\"Webhook\",\"Parameters\":{\"Url\":\"http://app.test/a?b=c\"" more "}}"
#define MAIL                                                                                       \
    "{\"Type\":\"Email\",\"Parameters\":{\"Recipients\":[\"x@x.test\",\"y@x.test\"],"              \
    "\"Subject\":\"${deviceId} is hot\",\"Notes\":\"call\"}}"

/* A rule that finds each message in which t is above 5. */
static void put_rule(struct fleet *f, const char *id, const char *actions, unsigned status) {
    char path[64], body[2048];
    snprintf(path, sizeof path, "/telemetry/v1/rules/%s", id);
    snprintf(body, sizeof body,
             "{\"Name\":\"Rule %s\",\"GroupId\":\"all\",\"Description\":\"of %s\","
             "\"Conditions\":[{\"Field\":\"%s\",\"Operator\":\"GreaterThan\",\"Value\":5}],"
             "\"Actions\":[%s]}",
             id, id, id, actions);
    fleet_send(f, SK_HTTP_PUT, path, body, true);
    if (f->status != status) fail_msg("%u %s", f->status, f->answer);
}

static void say(struct fleet *f, const char *field) {
    char body[64];
    snprintf(body, sizeof body, "{\"%s\":9}", field);
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", body);
    assert_int_equal(f->status, 204);
}

static void pass(struct fleet *f, unsigned seconds) {
    sk_sim_run(f->sim, seconds * SK_S);
}

static size_t alarm_count(struct fleet *f, const char *rule) {
    char path[64];
    snprintf(path, sizeof path, "/telemetry/v1/alarmsbyrule/%s", rule);
    fleet_call(f, SK_HTTP_GET, path, NULL);
    json_t *json = json_loads(f->answer, 0, NULL);
    size_t n = json_array_size(json_object_get(json, "Items"));
    json_decref(json);
    return n;
}

/* What the first alarm tells of its first action. */
static void shows(struct fleet *f, const char *member, const char *expected) {
    char path[64];
    snprintf(path, sizeof path, "Items/0/Actions/0/%s", member);
    fleet_shows(f, "/telemetry/v1/alarms", path, expected);
}

/* ---- each kind ---- */

TEST(a_webhook_gets_the_alarm_signed) {
    struct fleet *f = *state;
    put_rule(f, "t", HOOK(",\"Secret\":\"whsec_c2VjcmV0LWZvci10ZXN0cy0wMDAwMDAx\""), 200);
    assert_null(strstr(f->answer, "whsec_"));
    put_rule(f, "t", HOOK(",\"Secret\":\"********\""), 200); /* as it was shown */
    say(f, "t");
    pass(f, 2);
    assert_int_equal(web.seen_count, 1);
    shows(f, "Status", "\"done\"");
    shows(f, "Tries", "1");
    shows(f, "Error", NULL);
    assert_non_null(strstr(web.body, "\"DeviceId\":\"d1\""));
    assert_null(strstr(web.body, "Actions"));
    char key[256];
    unsigned char digest[32];
    struct sk_buffer expected = {0}, text = {0};
    snprintf(key, sizeof key, "%s.%s.", web.ids[0], web.timestamp);
    sk_buffer_print(&text, "%s%s", key, web.body);
    assert_int_equal(
        sk_sas_hmac(SK_SPAN("c2VjcmV0LWZvci10ZXN0cy0wMDAwMDAx"), sk_buffer_span(&text), digest),
        SK_OK);
    sk_buffer_text(&expected, "v1,");
    sk_base64_encode(&expected, sk_span((char *)digest, 32));
    assert_true(sk_span_is(sk_buffer_span(&expected), web.signature));
    sk_buffer_free(&expected);
    sk_buffer_free(&text);
}

TEST(a_webhook_may_have_a_body_of_its_own) {
    struct fleet *f = *state;
    put_rule(f, "t", HOOK(",\"Body\":{\"text\":\"${ruleName}: ${deviceId}\"}"), 200);
    say(f, "t");
    pass(f, 2);
    assert_string_equal(web.body, "{\"text\":\"Rule t: d1\"}");
    assert_string_equal(web.signature, "");
}

TEST(a_mail_goes_to_its_recipients_with_the_alarms_values) {
    struct fleet *f = *state;
    put_rule(f, "t", MAIL, 200);
    say(f, "t");
    pass(f, 2);
    assert_int_equal(post.mails, 1);
    assert_non_null(strstr(post.mail.p, "To: <x@x.test>,\n<y@x.test>\nSubject: d1 is hot\n"));
    assert_non_null(strstr(post.mail.p, "\n\nY2FsbA0KDQpSdWxlOiBSdWxlIHQgKHQpDQ")); /* "call" */
    shows(f, "Status", "\"done\"");
}

TEST(mails_need_a_server_that_is_configured) {
    struct fleet *f = *state;
    put_rule(f, "t",
             "{\"Type\":\"Email\",\"Parameters\":{\"Recipients\":[\"x@x.test\"],\"Subject\":\"s\","
             "\"Endpoint\":\"none\"}}",
             400);
    assert_non_null(strstr(f->answer, "no endpoint 'none' of type mail"));
    put_rule(f, "t", MAIL, 200);
    reload(f, FLEET_TOML_HUB FLEET_TOML_OWNER);
    put_rule(f, "u", MAIL, 400);
    assert_non_null(strstr(f->answer, "add an [[hub.endpoint]] of type mail"));
    say(f, "t");
    pass(f, 2);
    shows(f, "Status", "\"waiting\"");
    shows(f, "Error", "\"the hub has no such endpoint of type mail\"");
    reload(f, MAIL_TOML);
    pass(f, 60);
    shows(f, "Status", "\"done\"");
    assert_int_equal(post.mails, 1);
}

static size_t calls;
static struct sk_device_client *called;

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    assert_true(sk_span_is(name, "stop"));
    assert_true(sk_span_is(payload, "{\"why\":\"of t\"}"));
    calls++;
    sk_device_client_answer(called, rid, calls == 1 ? 200 : *(int *)arg, SK_SPAN("{}"));
}

#define METHOD                                                                                     \
    "{\"Type\":\"Method\",\"Parameters\":{\"Name\":\"stop\",\"Payload\":{\"why\":"                 \
    "\"${ruleDescription}\"}}}"

TEST(a_method_waits_until_the_device_is_there) {
    static const struct sk_device_events events = {.method = on_method};
    struct fleet *f = *state;
    int status = 500;
    calls = 0;
    put_rule(f, "t", METHOD, 200);
    say(f, "t");
    pass(f, 2);
    shows(f, "Status", "\"waiting\"");
    called = fleet_client(f, "hub.test", "d1", NULL, SK_SUB_METHODS, &events, &status);
    pass(f, 60);
    assert_int_equal(calls, 1);
    shows(f, "Status", "\"done\"");
    say(f, "t");
    pass(f, 2);
    fleet_shows(f, "/telemetry/v1/alarms?order=desc", "Items/0/Actions/0/Status", "\"failed\"");
    fleet_shows(f, "/telemetry/v1/alarms?order=desc", "Items/0/Actions/0/Error",
                "\"the device answered 500\"");
    assert_int_equal(calls, 2);
    sk_device_client_free(called);
}

TEST(a_message_waits_for_the_device_in_its_queue) {
    struct fleet *f = *state;
    put_rule(f, "t", "{\"Type\":\"Message\",\"Parameters\":{\"Body\":{\"stop\":true}}}", 200);
    say(f, "t");
    pass(f, 2);
    shows(f, "Status", "\"done\"");
    fleet_call(f, SK_HTTP_GET, "/devices/d1/messages/devicebound", NULL);
    assert_int_equal(f->status, 200);
    assert_string_equal(f->answer, "{\"stop\":true}");
}

/* ---- receivers that fail ---- */

TEST(what_fails_is_tried_eight_times_and_then_said_to_have_failed) {
    struct fleet *f = *state;
    web.mood = FAILS;
    put_rule(f, "t", HOOK(""), 200);
    say(f, "t");
    pass(f, 2);
    shows(f, "Status", "\"waiting\"");
    shows(f, "Error", "\"app.test answered 500\"");
    pass(f, 5 * 3600);
    shows(f, "Status", "\"failed\"");
    shows(f, "Tries", "8");
    assert_int_equal(web.requests, 8);
    web.mood = REFUSES;
    say(f, "t");
    pass(f, 3600);
    assert_int_equal(web.requests, 9); /* never so */
    fleet_shows(f, "/telemetry/v1/alarms?order=desc", "Items/0/Actions/0/Status", "\"failed\"");
}

TEST(who_hangs_holds_up_neither_telemetry_nor_other_rules) {
    struct fleet *f = *state;
    web.mood = HANGS;
    post.hangs = true;
    put_rule(f, "t", HOOK("") "," MAIL, 200);
    put_rule(f, "u", "{\"Type\":\"Message\",\"Parameters\":{\"Body\":1}}", 200);
    for (int i = 0; i < 20; i++) say(f, "t");
    pass(f, 1);
    say(f, "u");
    pass(f, 1);
    assert_int_equal(alarm_count(f, "t"), 20);
    assert_int_equal(alarm_count(f, "u"), 1);
    fleet_shows(f, "/telemetry/v1/alarmsbyrule/u", "Items/0/Actions/0/Status", "\"done\"");
    assert_int_equal(web.requests, 1); /* one of a receiver at a time */
    assert_int_equal(post.connections, 1);
    pass(f, 600);
    assert_in_range(post.connections, 5, 20); /* not a storm */
    web.mood = FINE;
    post.hangs = false;
    pass(f, 7200);
    assert_int_equal(post.mails, 20);
    assert_int_equal(web.seen_count, 20);
}

TEST(what_an_alarm_that_is_deleted_was_to_do_is_not_done) {
    struct fleet *f = *state;
    web.mood = HANGS;
    put_rule(f, "t", HOOK(""), 200);
    say(f, "t");
    say(f, "t");
    pass(f, 2);
    for (int i = 0; i < 2; i++) {
        char path[100];
        fleet_call(f, SK_HTTP_GET, "/telemetry/v1/alarms", NULL);
        json_t *json = json_loads(f->answer, 0, NULL);
        snprintf(path, sizeof path, "/telemetry/v1/alarms/%s",
                 json_string_value(fleet_member(json, "Items/0/Id")));
        json_decref(json);
        fleet_call(f, SK_HTTP_DELETE, path, NULL);
    }
    web.mood = FINE;
    pass(f, 3600);
    assert_int_equal(web.seen_count, 0);
    say(f, "t");
    pass(f, 5);
    assert_int_equal(web.seen_count, 1);
}

TEST(an_alarm_that_is_changed_while_its_actions_are_done_keeps_both) {
    struct fleet *f = *state;
    put_rule(f, "t", HOOK(""), 200);
    for (int i = 0; i < 10; i++) {
        say(f, "t");
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 20) * SK_MS);
        fleet_call(f, SK_HTTP_GET, "/telemetry/v1/alarms?order=desc&limit=1", NULL);
        json_t *json = json_loads(f->answer, 0, NULL);
        const char *id = json_string_value(fleet_member(json, "Items/0/Id"));
        char path[100];
        snprintf(path, sizeof path, "/telemetry/v1/alarms/%s", id ? id : "none");
        json_decref(json);
        fleet_call(f, SK_HTTP_PATCH, path, "{\"Status\":\"closed\",\"ETag\":\"*\"}");
        bool changed = f->status == 200;
        pass(f, 2);
        fleet_fall(f);
        if (!changed) continue;
        fleet_shows(f, path, "Status", "\"closed\"");
        fleet_shows(f, path, "Actions/0/Status", "\"done\"");
    }
    assert_true(web.seen_count >= 10);
}

/* ---- the hub's power ---- */

static size_t different(char ids[][64], size_t count) {
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        size_t j = 0;
        while (strcmp(ids[j], ids[i]) != 0) j++;
        n += i == j;
    }
    return n;
}

static void lose_power(struct fleet *f) {
    size_t alarms = 0;
    put_rule(f, "t", HOOK("") "," MAIL, 200);
    for (int i = 0; i < 25; i++) {
        web.mood =
            sk_sim_chance(f->sim, 3) ? FINE : (enum mood)(sk_sim_chance(f->sim, 2) ? FAILS : HANGS);
        post.hangs = sk_sim_chance(f->sim, 3) == 0;
        say(f, "t");
        alarms++;
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 3000) * SK_MS);
        if (sk_sim_chance(f->sim, 2) == 0) continue;
        fleet_fall(f);
        reload(f, MAIL_TOML); /* it starts with the file that the world began with */
    }
    web.mood = FINE;
    post.hangs = false;
    pass(f, 4 * 3600);
    assert_int_equal(alarm_count(f, "t"), alarms);
    assert_int_equal(different(web.ids, web.seen_count), alarms);
    assert_int_equal(different(post.ids, post.id_count), alarms);
    fleet_shows(f, "/telemetry/v1/alarms", "Items/0/Actions/1/Status", "\"done\"");
}

TEST(actions_are_done_at_least_once_across_power_losses) {
    struct seeds seeds = seeds_of("FLEET_SEEDS", 3);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct fleet *f;
        end(state);
        f = *state = SK_NEW(struct fleet);
        fleet_new_hub(f, seed);
        fleet_put_device(f, "d1", "");
        open_receivers(f);
        reload(f, MAIL_TOML);
        fleet_put(f, "/config/v1/devicegroups/all", "{\"DisplayName\":\"all\"}");
        lose_power(f);
    }
}
