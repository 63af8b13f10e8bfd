/* hub.toml is read again while the hub runs: what it says counts at once, for those who are
 * connected, too; with a mistake in it nothing changes at all. */
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

#define OTHER_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB="
#define RIGHTS "\"RegistryRead\", \"RegistryWrite\", \"ServiceConnect\", \"DeviceConnect\""
#define SERVICE(keys, rights)                                                                      \
    "[[hub.policy]]\nname = \"service\"\nkeys = [" keys "]\nrights = [" rights "]\n"
#define BASE FLEET_TOML_HUB FLEET_TOML_OWNER

AROUND(fleet_new_world, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

static void refuses(struct fleet *f, const char *toml, const char *words) {
    const char *reason = fleet_reload(f, toml);
    if (reason == NULL) fail_msg("taken, without a word of %s", words);
    if (strstr(reason, words) == NULL) fail_msg("no '%s' in: %s", words, reason);
}

/* ---- policies ---- */

/* What the policy "service" has opened, and devices that came by themselves. */
struct guests {
    struct raw_client device, own, watch;
    struct raw_amqp amqp, lone;
    struct raw_link c2d, lone_link;
};

enum { DEVICE = 1, WATCH = 2, LINK = 4, OTHERS = 8 };

static void let_in(struct fleet *f, struct guests *g, const char *key) {
    struct raw_connect by_policy = {.device = "d1", .policy = "service", .key = key, .clean = true};
    struct sk_buffer out = {0};
    *g = (struct guests){0};
    raw_dial(&g->device, f, "hub.test", &by_policy);
    raw_expect_connack(&g->device, SK_MQTT_ACCEPTED, false);
    raw_login(&g->own, f, "d2");
    raw_open(&g->watch, f, "hub.test");
    raw_put_ask(
        &out, f,
        &(struct raw_ask){.target = "/messages/events" VERSION, .policy = "service", .key = key});
    raw_send_buffer(&g->watch, &out);
    raw_amqp_open(&g->amqp, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_open_cbs(&g->amqp);
    assert_int_equal(raw_amqp_token_of(&g->amqp, "hub.test", key, "service", 3600), 200);
    raw_link_sender(&g->amqp, &g->c2d, "/messages/deviceBound");
    fleet_call(f, SK_HTTP_GET, "/devices/lone", "");
    if (f->status == 404) fleet_put_device(f, "lone", "");
    raw_amqp_open(&g->lone, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_prove(&g->lone, "lone");
    raw_link_sender(&g->lone, &g->lone_link, "/devices/lone/messages/events");
    sk_sim_run(f->sim, SK_S);
}

/* Whom the hub has ended since. */
static unsigned ended(const struct guests *g) {
    bool watches = !sk_span_ends(sk_buffer_span(&g->watch.in), SK_SPAN("\r\n0\r\n\r\n"));
    return (g->device.stream ? 0u : DEVICE) | (watches ? 0u : WATCH) | (g->c2d.amqp ? 0u : LINK) |
           (g->own.stream && g->lone_link.amqp && g->lone.stream ? 0u : OTHERS);
}

static void show_out(struct guests *g) {
    raw_free(&g->device);
    raw_free(&g->own);
    raw_free(&g->watch);
    raw_amqp_free(&g->amqp);
    raw_amqp_free(&g->lone);
}

#define KEYS(first, second) "\"" first "\", \"" second "\""

TEST(who_came_by_a_policy_goes_when_what_let_him_in_is_taken_back) {
    static const struct {
        const char *name, *toml;
        bool ends;
    } cases[] = {
        {"nothing new", BASE SERVICE(KEYS(FLEET_KEY, OTHER_KEY), RIGHTS), false},
        {"the key is the second now", BASE SERVICE(KEYS(OTHER_KEY, FLEET_KEY), RIGHTS), false},
        {"the other key is gone", BASE SERVICE("\"" FLEET_KEY "\"", RIGHTS), false},
        {"the key is gone", BASE SERVICE("\"" OTHER_KEY "\"", RIGHTS), true},
        {"a right is gone",
         BASE SERVICE(KEYS(FLEET_KEY, OTHER_KEY), "\"ServiceConnect\", \"DeviceConnect\""), true},
        {"the policy is gone", BASE, true},
    };
    struct fleet *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct guests g;
        takes(f, BASE SERVICE(KEYS(FLEET_KEY, OTHER_KEY), RIGHTS));
        let_in(f, &g, FLEET_KEY);
        assert_int_equal(ended(&g), 0);
        takes(f, cases[i].toml);
        unsigned expected = cases[i].ends ? DEVICE | WATCH | LINK : 0;
        if (ended(&g) != expected)
            fail_msg("%s: ended %x instead of %x", cases[i].name, ended(&g), expected);
        if (cases[i].ends) /* the token that the connection has opens nothing either */
            raw_link_expect_end(&g.c2d, "amqp:unauthorized-access");
        show_out(&g);
    }
}

TEST(a_new_key_opens_and_the_old_one_opens_nothing) {
    struct fleet *f = *state;
    struct raw_ask old = {.target = "/devices/d1" VERSION, .policy = "service"},
                   fresh = {.target = "/devices/d1" VERSION, .policy = "service", .key = OTHER_KEY};
    takes(f, BASE SERVICE("\"" FLEET_KEY "\"", RIGHTS));
    raw_gets(f, &old, 200, NULL, "\"d1\"");
    raw_gets(f, &fresh, 401, "IotHubUnauthorized", "");
    takes(f, BASE SERVICE("\"" OTHER_KEY "\"", RIGHTS));
    raw_gets(f, &old, 401, "IotHubUnauthorized", "");
    raw_gets(f, &fresh, 200, NULL, "\"d1\"");
}

/* ---- what happens to messages ---- */

static void note_stamp(void *arg, const struct sk_message *message) {
    const struct sk_property *p = sk_message_property(message, SK_SPAN("site"));
    snprintf(arg, 32, "%.*s", p ? (int)p->value.n : 0, p ? p->value.p : "");
}

static size_t telemetry(struct fleet *f, char stamp[32]) {
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "x");
    assert_int_equal(f->status, 204);
    return fleet_read_events(f, note_stamp, stamp);
}

TEST(routes_enrichments_and_the_fallback_count_for_the_next_message) {
    struct fleet *f = *state;
    char stamp[32] = "";
    assert_int_equal(telemetry(f, stamp), 1);
    takes(f, BASE "[[hub.enrichment]]\nkey = \"site\"\nvalue = \"north\"\n");
    assert_int_equal(telemetry(f, stamp), 2);
    assert_string_equal(stamp, "north");
    takes(f, BASE "[[hub.route]]\nname = \"r\"\ncondition = \"a = 1\"\n"
                  "[hub.fallback]\nenabled = false\n");
    watch_forgive(f->watch);
    assert_int_equal(telemetry(f, stamp), 2); /* nobody wants it */
    takes(f, BASE "[[hub.route]]\nname = \"r\"\ncondition = \"NOT is_defined(a)\"\n"
                  "[hub.fallback]\nenabled = false\n");
    assert_int_equal(telemetry(f, stamp), 3);
}

TEST(a_shorter_retention_lets_old_events_go) {
    struct fleet *f = *state;
    char stamp[32];
    assert_int_equal(telemetry(f, stamp), 1);
    sk_sim_run(f->sim, 7200 * SK_S);
    assert_int_equal(telemetry(f, stamp), 2);
    sk_sim_run(f->sim, 7200 * SK_S);
    takes(f, "[listen]\naddresses = [\"0.0.0.0:8883\"]\ncertificate = \"-\"\nkey = \"-\"\n"
             "[[hub]]\nname = \"test\"\nhostnames = [\"hub.test\"]\ndata = \"/data\"\n"
             "retention = \"30m\"\n" FLEET_TOML_OWNER);
    sk_sim_run(f->sim, 300 * SK_S);
    watch_forgive(f->watch);
    assert_int_equal(telemetry(f, stamp), 1);
}

TEST(readers_of_a_consumer_group_that_is_gone_are_told) {
    struct fleet *f = *state;
    struct raw_amqp c;
    struct raw_link gone = {0}, stays = {0};
    takes(f, FLEET_TOML_HUB "consumer_groups = [\"board\"]\n" FLEET_TOML_OWNER);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_open_cbs(&c);
    assert_int_equal(raw_amqp_token_of(&c, "hub.test", FLEET_KEY, "owner", 3600), 200);
    raw_link_receiver(&c, &gone, "test/ConsumerGroups/board/Partitions/0", 1);
    raw_link_receiver(&c, &stays, "test/ConsumerGroups/$Default/Partitions/0", 1);
    assert_non_null(gone.amqp);
    takes(f, BASE);
    raw_link_expect_end(&gone, "amqp:not-found");
    assert_non_null(stays.amqp);
    raw_amqp_free(&c);
}

/* ---- mistakes ---- */

TEST(with_a_mistake_in_the_file_everything_stays_as_it_was) {
    struct fleet *f = *state;
    char stamp[32] = "";
    takes(f, BASE "[[hub.enrichment]]\nkey = \"site\"\nvalue = \"north\"\n");
    struct guests g;
    takes(f, BASE SERVICE("\"" FLEET_KEY "\"",
                          RIGHTS) "[[hub.enrichment]]\nkey = \"site\"\nvalue = \"north\"\n");
    let_in(f, &g, FLEET_KEY);
    /* No policy, no enrichment, and … */
    refuses(f, BASE "retnetion = 5\n", "hub.toml:15: hub[0].policy[0].retnetion: is not known");
    refuses(f, BASE "[[hub.route]]\nname = \"r\"\ncondition = \"a = \"\n",
            "hub[0].route[0].condition: column ");
    refuses(f, BASE "[[hub.ca]]\nfile = \"none.pem\"\nverified = true\n",
            "the CA certificate none.pem cannot be read");
    refuses(f, "[listen", "hub.toml:1:");
    assert_int_equal(ended(&g), 0);
    assert_int_equal(telemetry(f, stamp), 1);
    assert_string_equal(stamp, "north");
    show_out(&g);
}

TEST(what_counts_from_a_start_on_is_named_with_what_it_was) {
    struct fleet *f = *state;
    refuses(f, FLEET_TOML_HUB "partitions = 8\n" FLEET_TOML_OWNER,
            "hub.toml:11: hub[0].partitions: counts from a start on (it was not there); write "
            "again what it was, or restart.");
    takes(f, FLEET_TOML_HUB "partitions = 4\n" FLEET_TOML_OWNER); /* the default */
    refuses(f, FLEET_TOML_HUB "partitions = 8\n" FLEET_TOML_OWNER, "(it was 4)");
    refuses(f, BASE "[[hub]]\nname = \"two\"\nhostnames = [\"two.test\"]\ndata = \"/two\"\n",
            "hub: counts from a start on (it was 1 of them)");
    refuses(f,
            "[listen]\naddresses = [\"0.0.0.0:1\"]\ncertificate = \"-\"\nkey = \"-\"\n"
            "[[hub]]\nname = \"test\"\nhostnames = [\"hub.test\"]\ndata = "
            "\"/data\"\n" FLEET_TOML_OWNER,
            "hub.toml:2: listen.addresses: counts from a start on (it was [\"0.0.0.0:8883\"])");
}

TEST(faults_on_demand_are_over_when_they_are_switched_off) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_mqtt_packet packet;
    takes(f, BASE "[hub.chaos]\nenabled = true\n");
    raw_login(&c, f, "d1");
    raw_subscribe(&c, 1, "$iothub/twin/res/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_publish(&c,
                "devices/d1/messages/events/AzIoTHub_FaultOperationType=InvokeThrottling&"
                "AzIoTHub_FaultOperationDurationInSecs=600",
                SK_SPAN("x"), 1, 2);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 2);
    sk_sim_run(f->sim, SK_S);
    raw_publish(&c, "$iothub/twin/GET/?$rid=1", SK_NONE, 0, 0);
    packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_starts(packet.u.publish.topic, SK_SPAN("$iothub/twin/res/429/")));
    takes(f, BASE);
    raw_publish(&c, "$iothub/twin/GET/?$rid=2", SK_NONE, 0, 0);
    packet = raw_expect(&c, SK_MQTT_PUBLISH);
    assert_true(sk_span_starts(packet.u.publish.topic, SK_SPAN("$iothub/twin/res/200/")));
    raw_free(&c);
}
