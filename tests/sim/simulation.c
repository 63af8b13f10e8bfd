/* Simulated devices at a hub: they send, report, answer and take what is desired, over one
 * connection, and come back when the hub does. */
#include "simulation/simulation.h"
#include "support/fleet.h"

AROUND(fleet_new_world, fleet_free_world);

static const struct sk_simulation_files stock = {.load = sk_simulation_stock_load};

/* A simulation of some devices of a stock model, `plant.N`. */
struct plant {
    struct fleet *f;
    struct sk_simulation_model *model;
    struct sk_simulation *simulation;
};

static void start(struct plant *p, struct fleet *f, const char *model, unsigned devices) {
    struct sk_buffer text = {0};
    char reason[SK_SIMULATION_REASON], name[64];
    *p = (struct plant){.f = f};
    snprintf(name, sizeof name, "%s.json", model);
    assert_int_equal(sk_simulation_stock_load(NULL, name, &text), SK_OK);
    assert_int_equal(sk_simulation_model_read(sk_buffer_span(&text), &stock, &p->model, reason),
                     SK_OK);
    sk_buffer_free(&text);
    p->simulation = sk_simulation_new(
        f->field_io, &(struct sk_simulation_options){.host = "hub.test",
                                                     .port = 8883,
                                                     .hub_host = SK_SPAN("hub.test"),
                                                     .policy = SK_SPAN("owner"),
                                                     .key = SK_SPAN(FLEET_KEY),
                                                     .share = 3});
    for (unsigned i = 1; i <= devices; i++) {
        snprintf(name, sizeof name, "plant.%u", i);
        fleet_put_device(f, name, "");
        assert_int_equal(sk_simulation_add(p->simulation, p->model, sk_span_z(name), reason),
                         SK_OK);
    }
}

static void end(struct plant *p) {
    sk_simulation_free(p->simulation);
    sk_simulation_model_free(p->model);
}

static struct sk_simulation_statistics counts(const struct plant *p) {
    struct sk_simulation_statistics now;
    sk_simulation_statistics(p->simulation, &now);
    return now;
}

static void pass(struct fleet *f, unsigned seconds) {
    sk_sim_run(f->sim, seconds * SK_S);
}

TEST(seven_devices_on_three_connections_send_what_their_model_says) {
    struct plant p;
    start(&p, *state, "chiller-01", 7);
    pass(p.f, 100);
    struct sk_simulation_statistics now = counts(&p);
    assert_int_equal(now.devices, 7);
    assert_int_equal(now.connected, 7);
    assert_in_range(now.acknowledged, 7 * 9, 7 * 10);
    assert_int_equal(now.failed, 0);
    assert_int_equal(now.script_errors, 0);
    fleet_shows(p.f, "/twins/plant.7", "properties/reported/Model", "\"CH101\"");
    fleet_shows(p.f, "/twins/plant.7", "connectionState", "\"Connected\"");
    end(&p);
}

TEST(methods_answer_at_once_and_their_scripts_go_on) {
    struct plant p;
    start(&p, *state, "chiller-01", 1);
    pass(p.f, 5);
    fleet_call(p.f, SK_HTTP_POST, "/twins/plant.1/methods",
               "{\"methodName\":\"FirmwareUpdate\",\"payload\":{\"Firmware\":\"7.1\"}}");
    assert_int_equal(p.f->status, 200);
    assert_non_null(strstr(p.f->answer, "accepted"));
    pass(p.f, 2);
    uint64_t before = counts(&p).sent;
    fleet_shows(p.f, "/twins/plant.1", "properties/reported/Firmware", "\"1.0\"");
    pass(p.f, 26);
    assert_int_equal(counts(&p).sent, before); /* it is not online */
    fleet_shows(p.f, "/twins/plant.1", "properties/reported/FirmwareUpdateStatus", "\"Rebooting\"");
    pass(p.f, 20);
    fleet_shows(p.f, "/twins/plant.1", "properties/reported/Firmware", "\"7.1\"");
    assert_true(counts(&p).sent > before);
    fleet_call(p.f, SK_HTTP_POST, "/twins/plant.1/methods",
               "{\"methodName\":\"Dance\",\"payload\":{}}");
    assert_non_null(strstr(p.f->answer, "501"));
    end(&p);
}

TEST(a_device_runs_four_methods_at_once) {
    struct plant p;
    start(&p, *state, "chiller-01", 1);
    pass(p.f, 5);
    for (unsigned i = 1; i <= 5; i++) {
        fleet_call(p.f, SK_HTTP_POST, "/twins/plant.1/methods", "{\"methodName\":\"Reboot\"}");
        assert_non_null(strstr(p.f->answer, i <= 4 ? "\"status\":200" : "\"status\":429"));
    }
    pass(p.f, 11);
    fleet_call(p.f, SK_HTTP_POST, "/twins/plant.1/methods", "{\"methodName\":\"Reboot\"}");
    assert_non_null(strstr(p.f->answer, "\"status\":200"));
    end(&p);
}

TEST(a_desired_property_becomes_a_reported_one_and_moves_a_truck) {
    struct plant p;
    start(&p, *state, "truck-01", 1);
    pass(p.f, 15);
    fleet_call(p.f, SK_HTTP_PATCH, "/twins/plant.1",
               "{\"properties\":{\"desired\":{\"Latitude\":40.343432,\"Longitude\":8.3334,"
               "\"Colour\":\"red\"}}}");
    pass(p.f, 1);
    fleet_shows(p.f, "/twins/plant.1", "properties/reported/Colour", "\"red\"");
    pass(p.f, 60); /* it drives on from there */
    fleet_call(p.f, SK_HTTP_GET, "/twins/plant.1", NULL);
    json_t *twin = json_loads(p.f->answer, 0, NULL);
    double latitude = json_number_value(fleet_member(twin, "properties/reported/Latitude"));
    json_decref(twin);
    assert_true(latitude > 40.2 && latitude < 40.5);
    fleet_call(p.f, SK_HTTP_PATCH, "/twins/plant.1",
               "{\"properties\":{\"desired\":{\"Colour\":null}}}");
    pass(p.f, 1);
    fleet_shows(p.f, "/twins/plant.1", "properties/reported/Colour", NULL);
    end(&p);
}

TEST(they_come_back_when_the_hub_does) {
    struct plant p;
    start(&p, *state, "engine-01", 4);
    pass(p.f, 30);
    fleet_crash_hub(p.f);
    pass(p.f, 120);
    struct sk_simulation_statistics now = counts(&p);
    assert_int_equal(now.connected, 4);
    pass(p.f, 60);
    assert_in_range(counts(&p).acknowledged - now.acknowledged, 4 * 5, 4 * 7);
    end(&p);
}
