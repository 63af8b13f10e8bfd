/* Configurations over REST, and how devices come to what they say. */
#include "support/raw_http.h"
#include "support/test.h"

AROUND(fleet_new_world, fleet_free_world);

static void put_configuration(struct fleet *f, const char *id, const char *condition, int priority,
                              const char *content) {
    char path[100], body[2000];
    snprintf(path, sizeof path, "/configurations/%s", id);
    snprintf(body, sizeof body,
             "{\"id\":\"%s\",\"targetCondition\":\"%s\",\"priority\":%d,\"content\":{%s}}", id,
             condition, priority, content);
    fleet_put(f, path, body);
}

static void walked(struct fleet *f) {
    sk_sim_run(f->sim, 3 * SK_S);
}

static void tag(struct fleet *f, const char *device, const char *site) {
    char path[100], body[100];
    snprintf(path, sizeof path, "/twins/%s", device);
    snprintf(body, sizeof body, "{\"tags\":{\"site\":\"%s\"}}", site);
    fleet_call(f, SK_HTTP_PATCH, path, body);
    assert_int_equal(f->status, 200);
}

#define CHILLER "\"deviceContent\":{\"properties.desired.chiller\":{\"temp\":70}}"

/* ---- the resource ---- */

TEST(a_configuration_is_created_once_and_changed_by_its_etag) {
    struct fleet *f = *state;
    const char *target = "/configurations/c1" VERSION;
    struct raw_ask put = {.method = "PUT",
                          .target = target,
                          .body = sk_span_z("{\"priority\":5,\"labels\":{\"by\":\"me\"},"
                                            "\"content\":{" CHILLER "}}")};
    raw_gets(f, &(struct raw_ask){.target = target}, 404, "ConfigurationNotFound", "c1");
    raw_gets(f, &put, 200, NULL, "\"etag\":\"MQ==\"");
    raw_gets(f, &put, 409, "ConfigurationAlreadyExists", "");
    put.headers = "If-Match: \"Mg==\"\r\n";
    raw_gets(f, &put, 412, "PreconditionFailed", "");
    put.headers = "If-Match: \"MQ==\"\r\n";
    raw_gets(f, &put, 200, NULL, "\"etag\":\"Mg==\"");
    put.target = "/configurations/c2" VERSION;
    raw_gets(f, &put, 404, "ConfigurationNotFound", "");
    raw_gets(f, &(struct raw_ask){.target = "/configurations" VERSION}, 200, NULL,
             "\"labels\":{\"by\":\"me\"}");
    raw_gets(f,
             &(struct raw_ask){
                 .method = "DELETE", .target = target, .headers = "If-Match: \"MQ==\"\r\n"},
             412, "PreconditionFailed", "");
    raw_gets(f, &(struct raw_ask){.method = "DELETE", .target = target}, 204, NULL, "");
    raw_gets(f, &(struct raw_ask){.target = "/configurations" VERSION}, 200, NULL, "[]");
    raw_gets(f, &(struct raw_ask){.method = "DELETE", .target = target}, 404,
             "ConfigurationNotFound", "");
}

TEST(a_hub_has_a_hundred_configurations_and_a_hundred_deployments) {
    struct fleet *f = *state;
    static const char *const contents[] = {
        CHILLER, "\"modulesContent\":{\"m\":{\"properties.desired\":{\"a\":1}}}"};
    for (unsigned kind = 0; kind < 2; kind++) {
        char id[20];
        for (unsigned i = 0; i < 100; i++) {
            snprintf(id, sizeof id, "c%u-%u", kind, i);
            put_configuration(f, id, "", 1, contents[kind]);
        }
        fleet_call(f, SK_HTTP_PUT, "/configurations/more",
                   kind
                       ? "{\"content\":{\"modulesContent\":{\"m\":{\"properties.desired\":{\"a\":1}"
                         "}}}}"
                       : "{\"content\":{" CHILLER "}}");
        assert_int_equal(f->status, 413);
        assert_non_null(strstr(f->answer, "ConfigurationCountLimitExceeded"));
    }
}

TEST(conditions_and_metrics_can_be_tried_before_they_are_stored) {
    struct fleet *f = *state;
    raw_gets(f,
             &(struct raw_ask){
                 .method = "POST",
                 .target = "/configurations/testQueries" VERSION,
                 .body = sk_span_z("{\"targetCondition\":\"tags.a = 'b'\",\"customMetricQueries\":{"
                                   "\"fine\":\"SELECT deviceId FROM devices\"}}")},
             200, NULL, "{\"targetConditionError\":null,\"customMetricQueryErrors\":{}}");
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/configurations/testQueries" VERSION,
                               .body = sk_span_z("{\"targetCondition\":\"tags.a = \","
                                                 "\"customMetricQueries\":{\"bad\":\"SELECT\"}}")},
             200, NULL, "column 10: expected a value");
}

/* ---- devices ---- */

TEST(devices_come_to_a_configuration_and_leave_it) {
    struct fleet *f = *state;
    tag(f, "d1", "north");
    put_configuration(f, "cold", "tags.site = 'north'", 10, CHILLER);
    walked(f);
    fleet_shows(f, "/twins/d1", "properties/desired/chiller", "{\"temp\":70}");
    fleet_shows(f, "/twins/d1", "configurations", "{\"cold\":{\"status\":\"Applied\"}}");
    fleet_shows(f, "/twins/d2", "configurations", "{}");
    fleet_shows(f, "/configurations/cold", "systemMetrics/results",
                "{\"targetedCount\":1,\"appliedCount\":1}");
    tag(f, "d2", "north"); /* the twins change */
    walked(f);
    fleet_shows(f, "/twins/d2", "properties/desired/chiller", "{\"temp\":70}");
    fleet_send(f, SK_HTTP_PUT, "/configurations/cold",
               "{\"targetCondition\":\"deviceId = 'd1'\",\"priority\":10}", true);
    walked(f); /* the condition changes */
    fleet_shows(f, "/twins/d2", "properties/desired/chiller", NULL);
    fleet_shows(f, "/twins/d1", "properties/desired/chiller", "{\"temp\":70}");
    fleet_call(f, SK_HTTP_DELETE, "/configurations/cold", "");
    walked(f);
    fleet_shows(f, "/twins/d1", "properties/desired/chiller", NULL);
    fleet_shows(f, "/twins/d1", "configurations", "{}");
}

TEST(a_device_that_comes_later_gets_what_is_for_it) {
    struct fleet *f = *state;
    put_configuration(f, "cold", "*", 10, CHILLER);
    walked(f);
    fleet_put_device(f, "late", "");
    walked(f);
    fleet_shows(f, "/twins/late", "properties/desired/chiller", "{\"temp\":70}");
}

TEST(what_converged_is_not_written_again) {
    struct fleet *f = *state;
    put_configuration(f, "cold", "*", 10, CHILLER);
    walked(f);
    fleet_shows(f, "/twins/d1", "properties/desired/$version", "2");
    sk_sim_run(f->sim, 3600 * SK_S);
    fleet_stop_hub(f);
    fleet_start_hub(f);
    sk_sim_run(f->sim, 3600 * SK_S);
    fleet_shows(f, "/twins/d1", "properties/desired/$version", "2");
    fleet_shows(f, "/configurations/cold", "systemMetrics/results/appliedCount", "2");
}

TEST(the_newer_of_two_of_one_priority_wins) {
    struct fleet *f = *state;
    put_configuration(f, "z-old", "*", 10, "\"deviceContent\":{\"properties.desired.a\":1}");
    sk_sim_run(f->sim, 3 * SK_S);
    put_configuration(f, "a-new", "*", 10, "\"deviceContent\":{\"properties.desired.a\":2}");
    walked(f);
    fleet_shows(f, "/twins/d1", "properties/desired/a", "2");
    fleet_shows(f, "/twins/d1", "configurations/z-old/status", "\"Targeted\"");
    fleet_shows(f, "/configurations/z-old", "systemMetrics/results",
                "{\"targetedCount\":2,\"appliedCount\":0}");
}

TEST(a_patch_of_a_configuration_sends_what_changes_alone) {
    struct fleet *f = *state;
    put_configuration(f, "cold", "*", 10,
                      "\"deviceContent\":{\"properties.desired.chiller\":{\"temp\":70,\"fan\":1}}");
    walked(f);
    fleet_call(f, SK_HTTP_PATCH, "/configurations/cold",
               "{\"content\":{\"deviceContent\":{\"properties.desired.chiller\":{\"fan\":null,"
               "\"temp\":60}}}}");
    assert_int_equal(f->status, 200);
    walked(f);
    fleet_shows(f, "/twins/d1", "properties/desired/chiller", "{\"temp\":60}");
    fleet_shows(f, "/configurations/cold", "priority", "10");
}

TEST(custom_metrics_count_the_rows_of_their_queries) {
    struct fleet *f = *state;
    tag(f, "d1", "north");
    fleet_put(f, "/configurations/cold",
              "{\"targetCondition\":\"*\",\"content\":{" CHILLER "},\"metrics\":{\"queries\":{"
              "\"north\":\"SELECT deviceId FROM devices WHERE tags.site = 'north' AND "
              "configurations.[[cold]].status = 'Applied'\"}}}");
    walked(f);
    fleet_shows(f, "/configurations/cold", "metrics/results/north", "1");
}

/* ---- edge devices ---- */

#define AGENT(image)                                                                               \
    "{\"schemaVersion\":\"1.1\",\"modules\":{\"m\":{\"settings\":{\"image\":\"" image "\"}}}}"
#define DEPLOYMENT(image)                                                                          \
    "\"modulesContent\":{\"$edgeAgent\":{\"properties.desired\":" AGENT(                           \
        image) "},"                                                                                \
               "\"$edgeHub\":{\"properties.desired\":{\"schemaVersion\":\"1.1\",\"routes\":{}}},"  \
               "\"m\":{\"properties.desired\":{\"speed\":1}}}"

static void edge_device(struct fleet *f) {
    fleet_put_device(f, "edge9", ",\"capabilities\":{\"iotEdge\":true}");
}

TEST(a_deployment_and_its_layers_make_the_modules_of_an_edge_device) {
    struct fleet *f = *state;
    edge_device(f);
    put_configuration(f, "base", "deviceId = 'edge9'", 10, DEPLOYMENT("m:1"));
    put_configuration(f, "layer", "deviceId = 'edge9'", 11,
                      "\"modulesContent\":{\"$edgeAgent\":{\"properties.desired.modules.n\":{"
                      "\"settings\":{\"image\":\"n:1\"}}}}");
    walked(f);
    fleet_shows(
        f, "/twins/edge9/modules/%24edgeAgent", "properties/desired/modules",
        "{\"m\":{\"settings\":{\"image\":\"m:1\"}},\"n\":{\"settings\":{\"image\":\"n:1\"}}}");
    fleet_shows(f, "/twins/edge9/modules/m", "properties/desired/speed", "1");
    fleet_shows(f, "/devices/edge9/modules/m", "managedBy", "\"IotEdge\"");
    fleet_shows(f, "/twins/edge9", "configurations",
                "{\"layer\":{\"status\":\"Applied\"},\"base\":{\"status\":\"Applied\"}}");
    fleet_shows(f, "/twins/edge9/modules/%24edgeAgent", "configurations/base/status",
                "\"Applied\"");
    fleet_shows(f, "/configurations/base", "systemMetrics/results",
                "{\"targetedCount\":1,\"appliedCount\":1,\"reportedSuccessfulCount\":0,"
                "\"reportedFailedCount\":0}");
    fleet_shows(f, "/configurations/layer", "systemMetrics/results/appliedCount", "1");
    fleet_call(f, SK_HTTP_DELETE, "/configurations/layer", "");
    walked(f);
    fleet_shows(f, "/twins/edge9/modules/%24edgeAgent", "properties/desired/modules",
                "{\"m\":{\"settings\":{\"image\":\"m:1\"}}}");
    fleet_call(f, SK_HTTP_DELETE, "/configurations/base", "");
    walked(f); /* modules stay when their deployment goes */
    fleet_shows(f, "/twins/edge9/modules/%24edgeAgent", "properties/desired/modules",
                "{\"m\":{\"settings\":{\"image\":\"m:1\"}}}");
    fleet_shows(f, "/twins/edge9/modules/%24edgeAgent", "configurations", "{}");
}

TEST(explain_tells_which_deployment_wins_and_why) {
    struct fleet *f = *state;
    edge_device(f);
    put_configuration(f, "one", "*", 10, DEPLOYMENT("m:1"));
    put_configuration(f, "two", "*", 20, DEPLOYMENT("m:2"));
    put_configuration(f, "far", "tags.site = 'south'", 30, DEPLOYMENT("m:3"));
    fleet_call(f, SK_HTTP_GET, "/devices/edge9/configurations", "");
    json_t *json = json_loads(f->answer, 0, NULL), *all = json_object_get(json, "configurations");
    static const char *const expected[][3] = {{"far", "NotTargeted", "condition"},
                                              {"two", "Applied", "highest priority"},
                                              {"one", "Targeted", "two has the higher priority"}};
    assert_int_equal(json_array_size(all), 3);
    for (size_t i = 0; i < 3; i++) {
        const json_t *one = json_array_get(all, i);
        assert_string_equal(json_string_value(json_object_get(one, "id")), expected[i][0]);
        assert_string_equal(json_string_value(json_object_get(one, "status")), expected[i][1]);
        assert_non_null(strstr(json_string_value(json_object_get(one, "why")), expected[i][2]));
    }
    assert_non_null(fleet_member(json, "modulesContent/$edgeAgent/modules"));
    json_decref(json);
    raw_gets(f, &(struct raw_ask){.target = "/devices/d3/configurations" VERSION}, 404,
             "DeviceNotFound", "");
}

TEST(one_module_is_changed_without_the_rest_being_sent) {
    struct fleet *f = *state;
    edge_device(f);
    fleet_call(f, SK_HTTP_POST, "/devices/edge9/applyConfigurationContent",
               "{" DEPLOYMENT("m:1") "}");
    assert_int_equal(f->status, 204);
    fleet_call(f, SK_HTTP_PATCH, "/devices/edge9/applyConfigurationContent",
               "{\"modulesContent\":{\"$edgeAgent\":{\"properties.desired.modules.m.settings\":{"
               "\"image\":\"m:2\"}},\"m\":{\"properties.desired\":{\"speed\":null,\"depth\":2}}}}");
    if (f->status != 204) fail_msg("%s", f->answer);
    fleet_shows(f, "/twins/edge9/modules/%24edgeAgent",
                "properties/desired/modules/m/settings/image", "\"m:2\"");
    fleet_shows(f, "/twins/edge9/modules/%24edgeAgent", "properties/desired/schemaVersion",
                "\"1.1\"");
    fleet_shows(f, "/twins/edge9/modules/m", "properties/desired/speed", NULL);
    fleet_shows(f, "/twins/edge9/modules/m", "properties/desired/depth", "2");
}

/* ---- crashes ---- */

TEST(a_hub_that_falls_at_any_moment_comes_to_the_same_end) {
    struct fleet *f = *state;
    edge_device(f);
    for (unsigned round = 0; round < 12; round++) {
        char site[20], content[200], path[100];
        snprintf(site, sizeof site, "s%u", round);
        snprintf(content, sizeof content, "\"deviceContent\":{\"properties.desired.r%u\":1}",
                 round);
        snprintf(path, sizeof path, "c%u", round);
        put_configuration(f, path, "*", (int)round, content);
        put_configuration(f, "base", "*", 1, DEPLOYMENT("m:1"));
        sk_sim_run(f->sim, round * 13 * SK_MS + 90 * SK_MS);
        fleet_crash_hub(f);
        walked(f);
        char desired[100];
        snprintf(desired, sizeof desired, "properties/desired/r%u", round);
        fleet_shows(f, "/twins/d1", desired, "1");
        fleet_shows(f, "/twins/d2", desired, "1");
        fleet_shows(f, "/twins/edge9/modules/m", "properties/desired/speed", "1");
        snprintf(path, sizeof path, "/configurations/c%u", round);
        fleet_call(f, SK_HTTP_DELETE, path, "");
        fleet_call(f, SK_HTTP_DELETE, "/configurations/base", "");
        sk_sim_run(f->sim, round * 11 * SK_MS + 90 * SK_MS);
        fleet_crash_hub(f);
        walked(f);
        fleet_shows(f, "/twins/d1", desired, NULL);
        fleet_shows(f, "/twins/d2", desired, NULL);
        fleet_shows(f, "/twins/d1", "configurations", "{}");
        fleet_shows(f, "/twins/edge9", "configurations", "{}");
    }
}
