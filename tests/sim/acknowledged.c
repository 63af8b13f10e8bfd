/* What somebody has heard of is there, when power goes at that moment: each kind of promise, on a
 * disk so slow that whoever answers before it is written is found out. */
#include "support/fleet_c2d.h"
#include "support/raw_amqp.h"
#include "support/raw_client.h"

enum { SEEDS = 6 /* each loses something else of what was under way */, SLOW_MS = 200 };

/* Makes a promise come true at a client's, whose connection is freed afterwards. */
typedef void promise(struct fleet *f);
/* Whether it has been kept. */
typedef bool kept(struct fleet *f);

static void survives(promise *make, kept *is_kept) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fleet f;
        fleet_new_hub(&f, seed);
        fleet_put_device(&f, "d1", "");
        sk_sim_disk_slow(f.hub_io, SLOW_MS * SK_MS);
        make(&f);
        sk_sim_disk_slow(f.hub_io, SK_MS);
        if (!is_kept(&f)) fail_msg("seed %llu", (unsigned long long)seed);
        fleet_free(&f);
    }
}

/* ---- telemetry ---- */

static void ignore(void *arg, const struct sk_message *message) {
    (void)arg;
    (void)message;
}

static bool one_event_is_stored(struct fleet *f) {
    return fleet_read_events(f, ignore, NULL) == 1;
}

static void publish(struct fleet *f) {
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("heard"), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    fleet_crash_hub(f);
    raw_free(&c);
}

static void transfer(struct fleet *f) {
    struct raw_amqp c;
    struct raw_link link = {0};
    struct sk_buffer token = {0};
    sk_sas_create(&token, SK_SPAN("hub.test/devices/d1"), SK_SPAN(FLEET_KEY), SK_NONE,
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_buffer_byte(&token, 0);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.user = "d1@sas.hub", .password = token.p});
    raw_link_sender(&c, &link, "/devices/d1/messages/events");
    assert_null(raw_link_try(&link, SK_SPAN("heard")));
    fleet_crash_hub(f);
    raw_amqp_free(&c);
    sk_buffer_free(&token);
}

static void post(struct fleet *f) {
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "heard");
    assert_int_equal(f->status, 204);
    fleet_crash_hub(f);
}

TEST(telemetry_that_was_acknowledged_over_mqtt_is_stored) {
    survives(publish, one_event_is_stored);
}

TEST(telemetry_that_was_accepted_over_amqp_is_stored) {
    survives(transfer, one_event_is_stored);
}

TEST(telemetry_that_was_answered_over_https_is_stored) {
    survives(post, one_event_is_stored);
}

TEST(telemetry_that_could_not_be_written_is_not_acknowledged) {
    struct fleet f;
    struct raw_client c;
    fleet_new_hub(&f, 1);
    fleet_put_device(&f, "d1", "");
    raw_login(&c, &f, "d1");
    sk_sim_disk_fail(f.hub_io, 1);
    raw_publish(&c, "devices/d1/messages/events/", SK_SPAN("lost"), 1, 1);
    raw_expect_closed(&c);
    raw_free(&c);
    fleet_call(&f, SK_HTTP_POST, "/devices/d1/messages/events", "lost");
    assert_int_equal(f.status, 500);
    sk_sim_disk_fail(f.hub_io, 0);
    sk_sim_run(f.sim, 30 * SK_S);
    publish(&f);
    assert_true(one_event_is_stored(&f));
    fleet_free(&f);
}

/* ---- twins and identities ---- */

static bool twin_says(struct fleet *f, const char *what) {
    fleet_call(f, SK_HTTP_GET, "/twins/d1", "");
    return f->status == 200 && strstr(f->answer, what) != NULL;
}

static void report(struct fleet *f) {
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_subscribe(&c, 1, "$iothub/twin/res/#", 0);
    raw_expect_suback(&c, 1, "\0", 1);
    raw_publish(&c, "$iothub/twin/PATCH/properties/reported/?$rid=1", SK_SPAN("{\"heard\":1}"), 0,
                0);
    raw_expect(&c, SK_MQTT_PUBLISH);
    fleet_crash_hub(f);
    raw_free(&c);
}

static void desire(struct fleet *f) {
    fleet_call(f, SK_HTTP_PATCH, "/twins/d1", "{\"properties\":{\"desired\":{\"heard\":1}}}");
    assert_int_equal(f->status, 200);
    fleet_crash_hub(f);
}

static bool the_twin_has_it(struct fleet *f) {
    return twin_says(f, "\"heard\":1");
}

static void make_device(struct fleet *f) {
    fleet_put_device(f, "d2", "");
    fleet_crash_hub(f);
}

static bool the_device_is_there(struct fleet *f) {
    fleet_call(f, SK_HTTP_GET, "/devices/d2", "");
    return f->status == 200;
}

static void remove_device(struct fleet *f) {
    fleet_call(f, SK_HTTP_DELETE, "/devices/d1", "");
    assert_int_equal(f->status, 204);
    fleet_crash_hub(f);
}

static bool the_device_is_gone(struct fleet *f) {
    fleet_call(f, SK_HTTP_GET, "/devices/d1", "");
    return f->status == 404;
}

TEST(reported_properties_that_were_answered_are_in_the_twin) {
    survives(report, the_twin_has_it);
}

TEST(desired_properties_that_were_answered_are_in_the_twin) {
    survives(desire, the_twin_has_it);
}

TEST(a_device_that_was_made_is_there) {
    survives(make_device, the_device_is_there);
}

TEST(a_device_that_was_deleted_is_gone) {
    survives(remove_device, the_device_is_gone);
}

/* ---- cloud-to-device messages ---- */

static void send_c2d(struct fleet *f) {
    fleet_send_c2d(f, "d1", "heard");
    fleet_crash_hub(f);
}

static bool one_message_waits(struct fleet *f) {
    fleet_call(f, SK_HTTP_GET, "/devices/d1/messages/deviceBound", "");
    return f->status == 200 && strcmp(f->answer, "heard") == 0;
}

static void purge(struct fleet *f) {
    fleet_send_c2d(f, "d1", "heard");
    fleet_call(f, SK_HTTP_DELETE, "/devices/d1/commands", "");
    assert_int_equal(f->status, 200);
    fleet_crash_hub(f);
}

static bool no_message_waits(struct fleet *f) {
    fleet_call(f, SK_HTTP_GET, "/devices/d1/messages/deviceBound", "");
    return f->status == 204;
}

TEST(a_cloud_to_device_message_that_was_taken_waits) {
    survives(send_c2d, one_message_waits);
}

TEST(cloud_to_device_messages_that_were_purged_are_gone) {
    survives(purge, no_message_waits);
}

/* ---- at the edge ---- */

static bool it_has_come(void *arg) {
    return fleet_read_events(arg, ignore, NULL) == 1;
}

TEST(telemetry_that_an_edge_acknowledged_reaches_the_cloud) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct fleet f;
        struct raw_client leaf;
        fleet_new(&f, seed, FLEET_ROUTES_UP);
        sk_sim_run(f.sim, 5 * SK_S); /* it has its routes */
        sk_sim_partition(f.edge_io, f.hub_io, true);
        sk_sim_disk_slow(f.edge_io, SLOW_MS * SK_MS);
        raw_dial(&leaf, &f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
        raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
        raw_publish(&leaf, "devices/leaf1/messages/events/", SK_SPAN("heard"), 1, 1);
        raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
        fleet_crash_edge(&f);
        sk_sim_partition(f.edge_io, f.hub_io, false);
        if (!sk_sim_run_until(f.sim, 200 * SK_S, it_has_come, &f))
            fail_msg("seed %llu", (unsigned long long)seed);
        raw_free(&leaf);
        fleet_free(&f);
    }
}
