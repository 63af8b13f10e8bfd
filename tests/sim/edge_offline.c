/* An edge without the cloud, or without room: who may come, what they get, and what happens when
 * the cloud is back. */
#include "support/raw_client.h"
#include "support/test.h"

#define ROUTES(list) "{\"schemaVersion\":\"1.1\",\"routes\":{" list "}}"
#define NEW_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="
#define UP "\"up\":\"FROM /messages/* INTO $upstream\""

static void begin(struct fleet *f) {
    fleet_new(f, 1, ROUTES(UP));
    sk_sim_run(f->sim, 5 * SK_S);
}

static void open_as(struct raw_client *c, struct fleet *f, const char *device, const char *module) {
    raw_dial(c, f, "edge.test",
             &(struct raw_connect){.device = device, .module = module, .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static void open_leaf(struct raw_client *c, struct fleet *f) {
    open_as(c, f, "leaf1", NULL);
}

static void sends(struct raw_client *c, const char *device, const char *body) {
    char topic[100];
    snprintf(topic, sizeof topic, "devices/%s/messages/events/", device);
    raw_publish(c, topic, sk_span_z(body), 1, 1);
    raw_expect_ack(c, SK_MQTT_PUBACK, 1);
}

/* A second leaf of edge1, in the cloud. */
static void make_leaf2(struct fleet *f) {
    char more[200];
    fleet_call(f, SK_HTTP_GET, "/devices/edge1", "");
    json_t *edge = json_loads(f->answer, 0, NULL);
    snprintf(more, sizeof more, ",\"deviceScope\":\"%s\"",
             json_string_value(json_object_get(edge, "deviceScope")));
    json_decref(edge);
    fleet_put_device(f, "leaf2", more);
}

struct stored {
    const char *device;
    size_t count;
    char bodies[2000];
};

static void note(void *arg, const struct sk_message *message) {
    struct stored *s = arg;
    if (!sk_span_is(message->device, s->device)) return;
    size_t n = strlen(s->bodies);
    snprintf(s->bodies + n, sizeof s->bodies - n, "%.*s ",
             SK_ARG(sk_span_first(message->body, 20)));
    s->count++;
}

static struct stored stored(struct fleet *f, const char *device) {
    struct stored s = {.device = device};
    fleet_read_events(f, note, &s);
    return s;
}

static void subscribe_to_twin(struct raw_client *c) {
    raw_subscribe(c, 1, "$iothub/twin/res/#", 0);
    raw_expect_suback(c, 1, "\0", 1);
    raw_subscribe(c, 2, "$iothub/twin/PATCH/properties/desired/#", 0);
    raw_expect_suback(c, 2, "\0", 1);
}

/* The next packet is a PUBLISH whose topic starts so; its payload as JSON. */
static json_t *expect_json(struct raw_client *c, const char *topic) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    if (!sk_span_starts(packet.u.publish.topic, sk_span_z(topic)))
        fail_msg("%.*s", SK_ARG(packet.u.publish.topic));
    json_t *json = json_loadb(packet.u.publish.payload.p ? packet.u.publish.payload.p : "",
                              packet.u.publish.payload.n, 0, NULL);
    return json;
}

VARIANTS(fleet_over, "mqtt", "amqp");

/* ---- starting without the cloud ---- */

TEST(an_edge_that_starts_without_the_cloud_serves_whom_it_knows) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f);
    fleet_call(&f, SK_HTTP_PATCH, "/twins/leaf1",
               "{\"properties\":{\"desired\":{\"interval\":7}}}");
    open_leaf(&leaf, &f);
    subscribe_to_twin(&leaf);
    /* And with it into the edge's copy. */
    raw_publish(&leaf, "$iothub/twin/GET/?$rid=1", SK_NONE, 0, 0);
    sk_sim_run(f.sim, 5 * SK_S);
    raw_free(&leaf);

    fleet_stop_edge(&f);
    sk_sim_partition(f.edge_io, f.hub_io, true);
    fleet_start_edge(&f);
    open_leaf(&leaf, &f);
    subscribe_to_twin(&leaf);
    raw_publish(&leaf, "$iothub/twin/GET/?$rid=2", SK_NONE, 0, 0);
    json_t *twin = expect_json(&leaf, "$iothub/twin/res/200/?$rid=2");
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(twin, "desired"), "interval")), 7);
    assert_int_equal(
        json_integer_value(json_object_get(json_object_get(twin, "desired"), "$version")), 2);
    json_decref(twin);
    raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=3",
                SK_SPAN("{\"state\":\"alone\",\"gone\":1}"), 0, 0);
    raw_expect(&leaf, SK_MQTT_PUBLISH);
    raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=4", SK_SPAN("{\"gone\":null}"),
                0, 0);
    raw_expect(&leaf, SK_MQTT_PUBLISH);
    sends(&leaf, "leaf1", "1");
    sends(&leaf, "leaf1", "2");
    struct raw_client stranger;
    raw_dial(&stranger, &f, "edge.test", &(struct raw_connect){.device = "nobody", .clean = true});
    raw_expect_connack(&stranger, SK_MQTT_NOT_AUTHORIZED, false);
    raw_free(&stranger);
    raw_dial(&stranger, &f, "edge.test",
             &(struct raw_connect){.device = "leaf1", .key = "AQID", .clean = true});
    raw_expect_connack(&stranger, SK_MQTT_NOT_AUTHORIZED, false);
    raw_free(&stranger);
    sk_sim_run(f.sim, 600 * SK_S);
    assert_int_equal(stored(&f, "leaf1").count, 0);

    sk_sim_partition(f.edge_io, f.hub_io, false);
    sk_sim_run(f.sim, 200 * SK_S);
    assert_string_equal(stored(&f, "leaf1").bodies, "1 2 ");
    fleet_call(&f, SK_HTTP_GET, "/twins/leaf1", "");
    assert_non_null(strstr(f.answer, "\"state\":\"alone\""));
    assert_null(strstr(f.answer, "\"gone\""));
    raw_free(&leaf);
    fleet_free(&f);
}

TEST(reports_of_a_leaf_that_has_left_reach_the_cloud_as_if_one_after_the_other) {
    static const char *const patches[] = {"{\"a\":null}", "{\"a\":{\"new\":1}}", "{\"b\":5}",
                                          "{\"b\":{\"c\":null,\"d\":2}}"};
    struct fleet f;
    struct raw_client leaf;
    begin(&f);
    open_leaf(&leaf, &f);
    raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=1",
                SK_SPAN("{\"a\":{\"old\":1},\"b\":{\"old\":2}}"), 0, 0);
    raw_expect(&leaf, SK_MQTT_PUBLISH);
    sk_sim_run(f.sim, 10 * SK_S);
    sk_sim_partition(f.edge_io, f.hub_io, true);
    for (size_t i = 0; i < sizeof patches / sizeof *patches; i++) {
        raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=1", sk_span_z(patches[i]),
                    0, 0);
        raw_expect(&leaf, SK_MQTT_PUBLISH);
    }
    raw_free(&leaf);
    sk_sim_run(f.sim, 600 * SK_S);
    fleet_crash_edge(&f);
    sk_sim_partition(f.edge_io, f.hub_io, false);
    sk_sim_run(f.sim, 200 * SK_S);
    fleet_call(&f, SK_HTTP_GET, "/twins/leaf1", "");
    json_t *twin = json_loads(f.answer, 0, NULL),
           *expected = json_loads("{\"a\":{\"new\":1},\"b\":{\"d\":2}}", 0, NULL);
    json_t *reported = json_object_get(json_object_get(twin, "properties"), "reported");
    json_object_del(reported, "$metadata");
    json_object_del(reported, "$version");
    assert_true(json_equal(reported, expected));
    json_decref(twin);
    json_decref(expected);
    fleet_free(&f);
}

/* A twin begins with version 1, whoever has asked for it before. */
TEST(the_version_of_what_is_reported_is_that_which_the_cloud_will_give_it) {
    for (unsigned asked = 0; asked < 2; asked++) {
        struct fleet f;
        struct raw_client leaf;
        begin(&f);
        open_leaf(&leaf, &f);
        raw_subscribe(&leaf, 1, "$iothub/twin/res/#", 0);
        raw_expect_suback(&leaf, 1, "\0", 1);
        if (asked) raw_publish(&leaf, "$iothub/twin/GET/?$rid=1", SK_NONE, 0, 0);
        if (asked) json_decref(expect_json(&leaf, "$iothub/twin/res/200/?$rid=1"));
        raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=2", SK_SPAN("{\"a\":1}"),
                    0, 0);
        json_decref(expect_json(&leaf, "$iothub/twin/res/204/?$rid=2&$version=2"));
        raw_publish(&leaf, "$iothub/twin/GET/?$rid=3", SK_NONE, 0, 0);
        json_t *twin = expect_json(&leaf, "$iothub/twin/res/200/?$rid=3");
        const json_t *reported = json_object_get(twin, "reported");
        assert_int_equal(json_integer_value(json_object_get(reported, "a")), 1);
        assert_int_equal(json_integer_value(json_object_get(reported, "$version")), 2);
        json_decref(twin);
        raw_free(&leaf);
        fleet_free(&f);
    }
}

TEST(a_client_that_has_no_desired_properties_hears_of_none) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f);
    open_leaf(&leaf, &f);
    subscribe_to_twin(&leaf);
    raw_expect_nothing(&leaf);
    fleet_call(&f, SK_HTTP_PATCH, "/twins/leaf1", "{\"properties\":{\"desired\":{\"a\":1}}}");
    json_decref(expect_json(&leaf, "$iothub/twin/PATCH/properties/desired/?$version=2"));
    raw_expect_nothing(&leaf);
    raw_free(&leaf);
    fleet_free(&f);
}

TEST(a_change_made_while_the_edge_was_away_arrives_once) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f);
    open_leaf(&leaf, &f);
    subscribe_to_twin(&leaf);
    sk_sim_run(f.sim, 5 * SK_S);
    leaf.in.n = 0; /* what its own connection has brought */
    sk_sim_partition(f.edge_io, f.hub_io, true);
    sk_sim_run(f.sim, 120 * SK_S);
    fleet_call(&f, SK_HTTP_PATCH, "/twins/leaf1",
               "{\"properties\":{\"desired\":{\"a\":1,\"b\":1}}}");
    fleet_call(&f, SK_HTTP_PATCH, "/twins/leaf1",
               "{\"properties\":{\"desired\":{\"b\":null,\"c\":{\"d\":2}}}}");
    raw_expect_nothing(&leaf);
    sk_sim_partition(f.edge_io, f.hub_io, false);
    sk_sim_run(f.sim, 200 * SK_S);
    json_t *patch = expect_json(&leaf, "$iothub/twin/PATCH/properties/desired/?$version=3");
    json_t *expected = json_loads("{\"a\":1,\"c\":{\"d\":2},\"$version\":3}", 0, NULL);
    assert_true(json_equal(patch, expected));
    json_decref(patch);
    json_decref(expected);
    raw_expect_nothing(&leaf);
    /* And now at once. */
    fleet_call(&f, SK_HTTP_PUT, "/twins/leaf1",
               "{\"properties\":{\"desired\":{\"c\":{\"d\":2},\"e\":3}}}");
    patch = expect_json(&leaf, "$iothub/twin/PATCH/properties/desired/?$version=4");
    expected = json_loads("{\"a\":null,\"e\":3,\"$version\":4}", 0, NULL);
    assert_true(json_equal(patch, expected)); /* a replacement, as the difference it makes */
    json_decref(patch);
    json_decref(expected);
    raw_expect_nothing(&leaf);
    raw_free(&leaf);
    fleet_free(&f);
}

/* ---- identities that go ---- */

TEST(an_identity_that_is_removed_or_disabled_in_the_cloud_loses_its_connection) {
    for (unsigned disabled = 0; disabled < 2; disabled++) {
        struct fleet f;
        struct raw_client leaf, reader;
        begin(&f);
        open_leaf(&leaf, &f);
        open_as(&reader, &f, "edge1", "reader");
        if (disabled)
            fleet_send(&f, SK_HTTP_PUT, "/devices/leaf1",
                       "{\"deviceId\":\"leaf1\",\"status\":\"disabled\"," FLEET_SAS "}", true);
        else
            fleet_call(&f, SK_HTTP_DELETE, "/devices/leaf1", "");
        assert_true(f.status == 200 || f.status == 204);
        sk_sim_run(f.sim, 310 * SK_S); /* the scope is read every five minutes */
        assert_null(leaf.stream);
        raw_ping(&reader);
        raw_free(&leaf);
        raw_dial(&leaf, &f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
        struct sk_mqtt_packet packet = raw_expect(&leaf, SK_MQTT_CONNACK);
        assert_int_not_equal(packet.u.connack.code, SK_MQTT_ACCEPTED);
        raw_free(&leaf);
        raw_free(&reader);
        fleet_free(&f);
    }
}

TEST(a_device_that_the_cloud_refuses_does_not_hold_up_the_others) {
    enum { MANY = 400 /* more than fit into the flight */ };
    struct fleet f;
    struct raw_client leaf, other;
    char body[16];
    begin(&f);
    make_leaf2(&f);
    open_leaf(&leaf, &f);
    open_as(&other, &f, "leaf2", NULL);
    sk_sim_partition(f.edge_io, f.hub_io, true);
    sk_sim_run(f.sim, 60 * SK_S);
    sends(&leaf, "leaf1", "refused");
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "%u", i);
        sends(&other, "leaf2", body);
    }
    fleet_call(&f, SK_HTTP_GET, "/devices/leaf1", "");
    json_t *device = json_loads(f.answer, 0, NULL);
    json_object_set_new(device, "status", json_string("disabled"));
    SK_CLEANUP_FREE char *text = json_dumps(device, 0);
    json_decref(device);
    fleet_send(&f, SK_HTTP_PUT, "/devices/leaf1", text, true);
    assert_int_equal(f.status, 200);
    sk_sim_partition(f.edge_io, f.hub_io, false);
    sk_sim_run(f.sim, 400 * SK_S);
    assert_int_equal(stored(&f, "leaf2").count, MANY);
    assert_int_equal(stored(&f, "leaf1").count, 0);
    assert_int_equal(sk_edge_hub_counts(f.edge).queue_upstream, 0);
    raw_free(&leaf);
    raw_free(&other);
    fleet_free(&f);
}

/* Who makes a module gives it its keys a moment after it is there; an edge may look between the
 * two. */
TEST(a_key_that_was_changed_in_the_cloud_opens_the_edge_at_once) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f);
    open_leaf(&leaf, &f);
    raw_free(&leaf);
    fleet_call(&f, SK_HTTP_GET, "/devices/leaf1", "");
    json_t *device = json_loads(f.answer, 0, NULL);
    json_object_set_new(device, "authentication",
                        json_pack("{s:s,s:{s:s,s:s}}", "type", "sas", "symmetricKey", "primaryKey",
                                  NEW_KEY, "secondaryKey", NEW_KEY));
    SK_CLEANUP_FREE char *text = json_dumps(device, 0);
    json_decref(device);
    fleet_send(&f, SK_HTTP_PUT, "/devices/leaf1", text, true);
    assert_int_equal(f.status, 200);
    raw_dial(&leaf, &f, "edge.test",
             &(struct raw_connect){.device = "leaf1", .key = NEW_KEY, .clean = true});
    raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
    raw_free(&leaf);
    raw_dial(&leaf, &f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
    raw_expect_connack(&leaf, SK_MQTT_NOT_AUTHORIZED, false);
    raw_free(&leaf);
    fleet_free(&f);
}

TEST(strangers_who_knock_without_end_do_not_keep_the_cloud_busy) {
    enum { KNOCKS = 60 };
    struct fleet f;
    begin(&f);
    uint64_t before = sk_edge_hub_counts(f.edge).scope_readings_total, began = sk_io_now(f.edge_io);
    for (unsigned i = 0; i < KNOCKS; i++) {
        struct raw_client stranger;
        raw_dial(&stranger, &f, "edge.test",
                 &(struct raw_connect){
                     .device = i % 2 ? "leaf1" : "nobody", .key = "AQID", .clean = true});
        raw_expect_connack(&stranger, SK_MQTT_NOT_AUTHORIZED, false);
        raw_free(&stranger);
    }
    uint64_t took_s = (sk_io_now(f.edge_io) - began) / SK_S,
             readings = sk_edge_hub_counts(f.edge).scope_readings_total - before;
    assert_in_range(readings, 1, 6 + took_s / 7);
    fleet_free(&f);
}

TEST(a_leaf_that_could_not_be_written_down_is_not_forgotten_with_its_messages) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f);
    sk_sim_disk_limit(f.edge_io, 0);
    make_leaf2(&f);
    open_as(&leaf, &f, "leaf2", NULL); /* known from the cloud; the disk has no room for it */
    sk_sim_run(f.sim, 10 * SK_S);
    sk_sim_partition(f.edge_io, f.hub_io, true);
    sk_sim_disk_limit(f.edge_io, UINT64_MAX);
    sk_sim_run(f.sim, 30 * SK_S);
    sends(&leaf, "leaf2", "kept");
    raw_free(&leaf);
    fleet_stop_edge(&f);
    fleet_start_edge(&f);
    sk_sim_run(f.sim, 60 * SK_S);
    sk_sim_partition(f.edge_io, f.hub_io, false);
    sk_sim_run(f.sim, 200 * SK_S);
    assert_string_equal(stored(&f, "leaf2").bodies, "kept ");
    fleet_free(&f);
}

/* ---- full disks ---- */

TEST(an_edge_without_room_refuses_and_recovers) {
    struct fleet f;
    struct raw_client leaf, reader;
    static char body[100000];
    memset(body, 'x', sizeof body);
    begin(&f);
    open_leaf(&leaf, &f);
    sends(&leaf, "leaf1", "before");
    sk_sim_run(f.sim, 5 * SK_S);
    sk_sim_disk_limit(f.edge_io, 0);
    raw_publish(&leaf, "devices/leaf1/messages/events/", sk_span(body, sizeof body), 1, 2);
    raw_expect_closed(&leaf); /* and no PUBACK */
    raw_free(&leaf);
    open_leaf(&leaf, &f); /* connecting needs no room */
    open_as(&reader, &f, "edge1", "reader");
    raw_ping(&reader);
    sk_sim_disk_limit(f.edge_io, UINT64_MAX);
    sk_sim_run(f.sim, 30 * SK_S);
    sends(&leaf, "leaf1", "after");
    sk_sim_run(f.sim, 30 * SK_S);
    assert_string_equal(stored(&f, "leaf1").bodies, "before after ");
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

struct numbers {
    uint64_t next, lost;
};

static void count(void *arg, const struct sk_message *message) {
    struct numbers *n = arg;
    int64_t number;
    assert_int_equal(
        sk_span_to_int(sk_span_first(message->body, sk_span_find(message->body, ':')), &number),
        SK_OK);
    if ((uint64_t)number == n->next)
        n->next++;
    else if ((uint64_t)number > n->next)
        n->lost++;
}

/* The cloud's disk fills and empties while the edge forwards messages of all sizes. */
TEST(forwarding_into_a_hub_whose_disk_is_full_loses_nothing) {
    enum { MANY = 120 };
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct fleet f;
        struct raw_client leaf;
        static char body[60000];
        fleet_new(&f, seed, ROUTES(UP));
        sk_sim_run(f.sim, 5 * SK_S);
        open_leaf(&leaf, &f);
        for (unsigned i = 0; i < MANY; i++) {
            size_t n = (size_t)snprintf(body, sizeof body, "%u:", i);
            memset(body + n, 'x', sizeof body - n);
            n += sk_sim_chance(f.sim, 3) ? 10 : sk_sim_chance(f.sim, 50000);
            if (i % 10 == 0)
                sk_sim_disk_limit(f.hub_io,
                                  sk_sim_chance(f.sim, 2) ? 0 : sk_sim_chance(f.sim, 3000000));
            raw_publish(&leaf, "devices/leaf1/messages/events/", sk_span(body, n), 1, 1);
            raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
            sk_sim_run(f.sim, sk_sim_chance(f.sim, 200) * SK_MS);
        }
        sk_sim_run(f.sim, 60 * SK_S);
        sk_sim_disk_limit(f.hub_io, UINT64_MAX);
        sk_sim_run(f.sim, 400 * SK_S);
        struct numbers numbers = {0};
        fleet_read_events(&f, count, &numbers);
        if (numbers.next != MANY || numbers.lost)
            fail_msg("seed %llu: %llu of %d in order, %llu after a gap, %llu wait",
                     (unsigned long long)seed, (unsigned long long)numbers.next, MANY,
                     (unsigned long long)numbers.lost,
                     (unsigned long long)sk_edge_hub_counts(f.edge).queue_upstream);
        raw_free(&leaf);
        fleet_free(&f);
    }
}
