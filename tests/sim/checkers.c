/* What watches every fleet (support/watch.h) is watched here: it says so when a promise is broken,
 * and it sees what happens. */
#include "support/fleet_c2d.h"
#include "support/raw_client.h"
#include "support/test.h"

/* ---- forged histories ---- */

static struct history *h;

static int begin(void **state) {
    (void)state;
    h = history_new();
    return 0;
}

static int end(void **state) {
    (void)state;
    history_free(h);
    return 0;
}

AROUND(begin, end);

static void acknowledge(const char *sender, const char *body, const char *number) {
    history_acknowledged(h, sk_span_z(sender),
                         history_arrived(h, sk_span_z(sender), sk_span_z(body), sk_span_z(number)));
}

static void store(const char *sender, const char *body, const char *number) {
    history_stored(h, sk_span_z(sender), sk_span_z(body), sk_span_z(number));
}

static void breaks(const char *how) {
    const char *breach = history_breach(h);
    if (how == NULL) assert_null(breach);
    if (how && (breach == NULL || strstr(breach, how) == NULL)) fail_msg("%s", breach);
}

TEST(a_history_in_which_all_is_kept_breaks_nothing) {
    acknowledge("d1", "a", NULL);
    history_arrived(h, SK_SPAN("d1"), SK_SPAN("refused"), SK_NONE);
    acknowledge("d1", "a", NULL);
    acknowledge("d2", "b", "e:1");
    acknowledge("d2", "b", "e:1"); /* the edge had not heard it */
    acknowledge("d2", "c", "e:2");
    store("d1", "a", NULL);
    store("d2", "b", "e:1");
    store("d1", "unacknowledged", NULL);
    store("d1", "a", NULL);
    store("d2", "c", "e:2");
    history_delivered(h, 1);
    history_delivered(h, 1); /* its lock was over */
    history_ended(h, 1);
    history_ended(h, 2);
    breaks(NULL);
}

TEST(an_acknowledged_message_that_is_not_stored_is_found) {
    acknowledge("d1", "a", NULL);
    acknowledge("d1", "a", NULL);
    store("d1", "a", NULL);
    store("d2", "a", NULL);
    breaks("message 2 that was acknowledged to d1");
}

TEST(messages_that_have_changed_places_are_found) {
    acknowledge("d1", "a", NULL);
    acknowledge("d1", "b", NULL);
    store("d1", "b", NULL);
    store("d1", "a", NULL);
    breaks("stored before one that was acknowledged earlier");
}

TEST(a_number_that_is_stored_twice_is_found) {
    acknowledge("d1", "a", "e:1");
    store("d1", "a", "e:1");
    store("d1", "a", "e:1");
    breaks("are stored again");
}

TEST(a_cloud_to_device_message_that_ends_twice_is_found) {
    history_ended(h, 7);
    history_ended(h, 7);
    breaks("message 7 has ended twice");
}

TEST(a_cloud_to_device_message_that_comes_after_its_end_is_found) {
    history_ended(h, 7);
    history_delivered(h, 7);
    breaks("message 7 has ended and was delivered again");
}

/* ---- worlds ---- */

AROUND(fleet_new_world, fleet_free_world);

static void publish(struct fleet *f, const char *body) {
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_publish(&c, "devices/d1/messages/events/", sk_span_z(body), 1, 1);
    raw_expect_ack(&c, SK_MQTT_PUBACK, 1);
    raw_free(&c);
}

static void remove_file(void *arg, struct sk_span name) {
    struct fleet *f = arg;
    char path[256];
    snprintf(path, sizeof path, "/data/events/%.*s", SK_ARG(name));
    sk_file_remove(f->hub_io, path);
}

TEST(a_hub_that_has_lost_its_log_is_found) {
    struct fleet *f = *state;
    char reason[SK_HUB_CONFIG_ERROR_MAX];
    publish(f, "a");
    assert_null(watch_breach(f->watch));
    fleet_stop_hub(f);
    assert_int_equal(sk_folder_list(f->hub_io, "/data/events", remove_file, f), SK_OK);
    assert_int_equal(sk_hub_server_start(f->hub_io, &f->config, false, &f->hub, reason), SK_OK);
    watch_attach(f->watch, sk_hub_backend(sk_hub_server_hub(f->hub, 0)));
    assert_non_null(watch_breach(f->watch));
    watch_forgive(f->watch);
}

TEST(what_the_backend_acknowledged_and_what_was_seen_on_the_wire_are_both_compared) {
    struct fleet *f = *state;
    struct history *both[] = {watch_history(f->watch), watch_wires(f->watch)};
    publish(f, "a");
    for (size_t i = 0; i < 2;
         i++) { /* the first arrival of d1 is taken: a second one is not stored */
        assert_null(watch_breach(f->watch));
        assert_int_equal(history_arrived(both[i], SK_SPAN("d1"), SK_SPAN("b"), SK_NONE), 1);
    }
    history_acknowledged(both[1], SK_SPAN("d1"), 1);
    assert_non_null(watch_breach(f->watch));
    watch_forgive(f->watch);
}

TEST(a_completed_message_that_would_come_again_is_found) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    raw_subscribe(&c, 1, "devices/d1/messages/devicebound/#", 1);
    raw_expect(&c, SK_MQTT_SUBACK);
    fleet_send_c2d(f, "d1", "m");
    struct sk_mqtt_packet packet = raw_expect(&c, SK_MQTT_PUBLISH);
    struct sk_buffer out = {0};
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, packet.u.publish.id);
    raw_send_buffer(&c, &out);
    sk_sim_run(f->sim, SK_S);
    assert_null(watch_breach(f->watch));
    for (uint64_t sequence = 1; sequence < 100 && watch_breach(f->watch) == NULL; sequence++)
        history_delivered(watch_history(f->watch), sequence);
    assert_non_null(watch_breach(f->watch));
    watch_forgive(f->watch);
    raw_free(&c);
}
