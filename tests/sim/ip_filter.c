/* From where clients may come: by every protocol, when they come and when the rules change. */
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

#define BASE FLEET_TOML_HUB FLEET_TOML_OWNER
#define RULE(name, action, mask)                                                                   \
    "[[hub.ip_filter]]\nname = \"" name "\"\naction = \"" action "\"\nmask = \"" mask "\"\n"
#define DENY "[hub.network]\ndefault_action = \"Deny\"\n"

AROUND(fleet_new_world, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

/* A client somewhere else: what of the fleet dials, dials from there. */
static struct sk_io *move_to(struct fleet *f, const char *address) {
    struct sk_io *before = f->field_io;
    f->field_io = sk_sim_node(f->sim, address);
    return before;
}

enum { BY_MQTT = 1, BY_HTTPS = 2, BY_CBS = 4, BY_PLAIN = 8, BY_WEBSOCKET = 16 };
#define BY_ALL (BY_MQTT | BY_HTTPS | BY_CBS | BY_PLAIN | BY_WEBSOCKET)

static bool opens(struct fleet *f, const struct raw_amqp_options *options) {
    struct raw_amqp c;
    raw_amqp_dial(&c, f, options);
    assert_true(sk_sim_run_until(f->sim, 60 * SK_S, raw_amqp_is_settled, &c));
    bool fine = c.open;
    if (fine && options->user == NULL) {
        raw_amqp_open_cbs(&c);
        fine = raw_amqp_token_of(&c, "hub.test/devices/d1", NULL, NULL, 3600) == 200;
    }
    raw_amqp_free(&c);
    return fine;
}

/* By what a device gets in, from an address. */
static unsigned gets_in(struct fleet *f, const char *address) {
    struct sk_io *before = move_to(f, address);
    struct raw_client c;
    struct sk_mqtt_packet packet;
    struct raw_answer answer;
    unsigned by = 0;
    raw_dial(&c, f, "hub.test", &(struct raw_connect){.device = "d1", .clean = true});
    packet = raw_expect(&c, SK_MQTT_CONNACK);
    by |= packet.u.connack.code == SK_MQTT_ACCEPTED ? BY_MQTT : 0;
    if (!(by & BY_MQTT)) assert_int_equal(packet.u.connack.code, SK_MQTT_NOT_AUTHORIZED);
    raw_free(&c);
    raw_asks(f, &(struct raw_ask){.target = "/devices/d1" VERSION}, &answer);
    by |= answer.parser.status == 200 ? BY_HTTPS : 0;
    if (!(by & BY_HTTPS)) assert_int_equal(answer.parser.status, 401);
    sk_http_parser_free(&answer.parser);
    by |= opens(f, &(struct raw_amqp_options){.anonymous = true}) ? BY_CBS : 0;
    by |=
        opens(f, &(struct raw_amqp_options){.user = "owner", .password = FLEET_KEY}) ? BY_PLAIN : 0;
    by |= opens(f, &(struct raw_amqp_options){.anonymous = true, .websocket = true}) ? BY_WEBSOCKET
                                                                                     : 0;
    f->field_io = before;
    return by;
}

TEST(the_first_rule_that_holds_an_address_decides_on_every_protocol) {
    static const struct {
        const char *toml, *address;
        bool in;
    } cases[] = {
        {BASE, "192.0.2.9", true},
        {BASE RULE("a", "Reject", "192.0.2.0/24"), "192.0.2.9", false},
        {BASE RULE("a", "Reject", "192.0.2.0/24"), "198.51.100.1", true},
        {BASE RULE("a", "Accept", "192.0.2.9") RULE("b", "Reject", "0.0.0.0/0"), "192.0.2.9", true},
        {BASE RULE("b", "Reject", "0.0.0.0/0") RULE("a", "Accept", "192.0.2.9"), "192.0.2.9",
         false},
        {BASE RULE("a", "Accept", "192.0.2.0/24") DENY, "192.0.2.9", true},
        {BASE RULE("a", "Accept", "192.0.2.0/24") DENY, "198.51.100.1", false},
        {BASE RULE("a", "Accept", "2001:db8::/32") DENY, "2001:db8::9", true},
        {BASE RULE("a", "Accept", "2001:db8::/32") DENY, "2001:db9::9", false},
        {BASE DENY, "192.0.2.9", false},
    };
    struct fleet *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        takes(f, cases[i].toml);
        unsigned by = gets_in(f, cases[i].address);
        if (by != (cases[i].in ? BY_ALL : 0)) fail_msg("%zu: %s: %x", i, cases[i].address, by);
    }
}

TEST(a_refusal_does_not_name_the_rule_and_says_that_it_is_the_address) {
    struct fleet *f = *state;
    takes(f, BASE RULE("secret", "Reject", "192.0.2.0/24"));
    struct sk_io *before = move_to(f, "192.0.2.9");
    struct raw_answer answer;
    raw_asks(f, &(struct raw_ask){.target = "/devices/d1" VERSION}, &answer);
    assert_int_equal(answer.parser.status, 401);
    char *body = sk_span_dup(sk_buffer_span(&answer.parser.body));
    assert_non_null(strstr(body, "IotHubUnauthorized;this address may not connect"));
    assert_null(strstr(body, "secret"));
    free(body);
    sk_http_parser_free(&answer.parser);
    f->field_io = before;
}

TEST(who_is_connected_goes_when_a_rule_comes_and_nobody_else) {
    struct fleet *f = *state;
    struct raw_client near, far, watch;
    struct raw_amqp c;
    struct raw_link link = {0};
    struct sk_buffer out = {0};
    struct sk_io *before = move_to(f, "198.51.100.1");
    raw_login(&far, f, "d2");
    f->field_io = before;
    before = move_to(f, "192.0.2.9");
    raw_login(&near, f, "d1");
    raw_open(&watch, f, "hub.test");
    raw_put_ask(&out, f, &(struct raw_ask){.target = "/messages/events" VERSION});
    raw_send_buffer(&watch, &out);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_open_cbs(&c);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", NULL, "owner", 3600), 200);
    raw_link_sender(&c, &link, "/messages/deviceBound");
    f->field_io = before;
    takes(f, BASE RULE("a", "Reject", "192.0.2.0/24"));
    assert_null(near.stream);
    assert_null(link.amqp);
    assert_true(sk_span_ends(sk_buffer_span(&watch.in), SK_SPAN("\r\n0\r\n\r\n")));
    raw_ping(&far);
    raw_free(&near);
    raw_free(&far);
    raw_free(&watch);
    raw_amqp_free(&c);
}

TEST(the_event_stream_may_be_open_where_the_rest_is_not) {
    struct fleet *f = *state;
    struct raw_amqp c;
    takes(f, BASE "[hub.network]\ndefault_action = \"Deny\"\napply_to_events = false\n");
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_open_cbs(&c);
    struct raw_link link = {0};
    assert_int_equal(raw_amqp_token_of(&c, "sb://hub.test/test", NULL, "owner", 3600), 200);
    raw_link_receiver(&c, &link, "test/ConsumerGroups/$Default/Partitions/0", 1);
    assert_non_null(link.amqp);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test/devices", NULL, "owner", 3600), 401);
    raw_amqp_free(&c);
}

static void note_method(void *arg, const struct sk_message *message) {
    snprintf(arg, 200, "%.*s", SK_ARG(message->system[SK_SYS_AUTH_METHOD]));
}

TEST(events_say_which_rule_let_their_device_in) {
    struct fleet *f = *state;
    char method[200];
    struct raw_client c;
    takes(f, BASE RULE("plant", "Accept", "192.0.2.0/24"));
    struct sk_io *before = move_to(f, "192.0.2.9");
    raw_login(&c, f, "d1");
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("x"), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    f->field_io = before;
    raw_free(&c);
    assert_int_equal(fleet_read_events(f, note_method, method), 1);
    assert_non_null(strstr(method, "\"acceptingIpFilterRule\":\"plant\"}"));
}

/* At the limits of what a list may be. */
TEST(a_hub_has_at_most_a_hundred_rules_with_names_of_their_own) {
    struct fleet *f = *state;
    for (unsigned count = 100; count <= 101; count++) {
        struct sk_buffer toml = {0};
        sk_buffer_text(&toml, BASE);
        for (unsigned i = 0; i < count; i++)
            sk_buffer_print(&toml, "[[hub.ip_filter]]\nname = \"r%u\"\nmask = \"192.0.2.%u\"\n", i,
                            i);
        sk_buffer_byte(&toml, 0);
        const char *reason = fleet_reload(f, toml.p);
        if (count == 100 && reason) fail_msg("%s", reason);
        if (count == 101) assert_non_null(strstr(reason, "must be a list of at most 100 tables"));
        sk_buffer_free(&toml);
    }
    const char *reason =
        fleet_reload(f, BASE RULE("a", "Accept", "::1") RULE("A", "Accept", "::2"));
    assert_non_null(strstr(reason, "another rule has the name 'a'; give it its own."));
    reason = fleet_reload(f, BASE RULE("a", "Accept", "192.0.2.0/33"));
    assert_non_null(strstr(reason, "ip_filter[0].mask: must be an address or a range of IPv4"));
}
