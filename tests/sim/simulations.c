/* Simulations as documents of the hub, and what their runners may say of them: from REST to REST.
 */
#include "support/fleet.h"

AROUND(fleet_new_world, fleet_free_world);

#define API "/devicesimulation/v1/"
#define ONE API "simulations/plant"
#define PLANT(more) "{\"Name\":\"Plant\",\"DeviceModels\":[" CHILLERS "]" more "}"
#define CHILLERS "{\"Id\":\"chiller-01\",\"Count\":5}"

static void put(struct fleet *f, const char *path, const char *body) {
    fleet_call(f, SK_HTTP_PUT, path, body);
    if (f->status != 200) fail_msg("%s: %u %s", path, f->status, f->answer);
}

static void refused(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                    unsigned status, const char *why) {
    fleet_call(f, method, path, body);
    if (f->status != status || strstr(f->answer, why) == NULL)
        fail_msg("%s %.300s: %u %s", path, body, f->status, f->answer);
}

static void pass(struct fleet *f, unsigned seconds) {
    sk_sim_run(f->sim, seconds * SK_S);
}

static void set_enabled(struct fleet *f, bool enabled) {
    fleet_call(f, SK_HTTP_PATCH, ONE, enabled ? "{\"Enabled\":true}" : "{\"Enabled\":false}");
    assert_int_equal(f->status, 200);
}

static void say(struct fleet *f, const char *runner, unsigned run, const char *more) {
    char body[300];
    snprintf(body, sizeof body, "{\"Runner\":\"%s\",\"RunNumber\":%u%s}", runner, run, more);
    fleet_call(f, SK_HTTP_PUT, ONE "/state", body);
}

static void says(struct fleet *f, const char *runner, unsigned run, const char *more) {
    say(f, runner, run, more);
    if (f->status != 200) fail_msg("%s %s: %u %s", runner, more, f->status, f->answer);
}

#define SENT(n) ",\"Statistics\":{\"TotalMessagesSent\":" n ",\"ActiveDevicesCount\":5}"

TEST(a_simulation_starts_and_stops_by_patch_and_each_start_is_another_run) {
    struct fleet *f = *state;
    put(f, ONE, PLANT(",\"Enabled\":false"));
    fleet_shows(f, ONE, "ActiveNow", "false");
    fleet_shows(f, ONE, "$metadata/$type", "\"Simulation;1\"");
    set_enabled(f, true);
    fleet_shows(f, ONE, "ActiveNow", "true");
    fleet_shows(f, ONE, "Running", "false"); /* nobody does */
    fleet_shows(f, ONE, "RunNumber", "2");
    says(f, "r1", 2, SENT("17"));
    fleet_shows(f, ONE, "Running", "true");
    fleet_shows(f, ONE, "Runner", "\"r1\"");
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "17");
    fleet_shows(f, ONE, "DevicesDeletionComplete", "false");
    set_enabled(f, true); /* it is already */
    fleet_shows(f, ONE, "RunNumber", "2");
    set_enabled(f, false);
    fleet_shows(f, ONE, "Running", "false");
    says(f, "r1", 2, SENT("18") ",\"Done\":true,\"DevicesDeletionComplete\":true");
    fleet_shows(f, ONE, "Runner", "null");
    fleet_shows(f, ONE, "DevicesDeletionComplete", "true");
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "18");
    fleet_shows(f, ONE, "Statistics/ActiveDevicesCount", "0");
    set_enabled(f, true);
    fleet_shows(f, ONE, "RunNumber", "3");
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "0");
    fleet_shows(f, ONE, "StartedTime", "null");
    fleet_call(f, SK_HTTP_DELETE, ONE, NULL);
    refused(f, SK_HTTP_GET, ONE, "", 404, "there is no simulation");
    refused(f, SK_HTTP_PUT, ONE "/state", "{\"Runner\":\"r1\",\"RunNumber\":3}", 404, "plant");
}

TEST(who_has_seen_an_older_version_changes_nothing) {
    struct fleet *f = *state;
    fleet_call(f, SK_HTTP_POST, API "simulations",
               "{\"Id\":\"plant\",\"Name\":\"P\",\"DeviceModels\":[" CHILLERS "]}");
    assert_int_equal(f->status, 200);
    fleet_shows(f, ONE, "ETag", "\"MQ==\"");
    fleet_send(f, SK_HTTP_PATCH, ONE, "{\"ETag\":\"MQ==\",\"Enabled\":false}", false);
    assert_int_equal(f->status, 200);
    fleet_send(f, SK_HTTP_PATCH, ONE, "{\"ETag\":\"MQ==\",\"Enabled\":true}", false);
    assert_int_equal(f->status, 412);
    refused(f, SK_HTTP_PUT, ONE, PLANT(""), 412, "etag");
    refused(f, SK_HTTP_POST, API "simulations",
            "{\"Id\":\"plant\",\"Name\":\"P\",\"DeviceModels\":[" CHILLERS "]}", 412, "etag");
    says(f, "r1", 1, SENT("4"));
    put(f, ONE,
        PLANT(",\"ETag\":\"Mg==\",\"Enabled\":false")); /* what a runner says is no change */
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "4");
}

TEST(one_runner_has_a_simulation_until_it_has_been_silent_for_15_s) {
    struct fleet *f = *state;
    put(f, ONE, PLANT(""));
    says(f, "r1", 1, SENT("1"));
    pass(f, 14);
    say(f, "r2", 1, "");
    assert_int_equal(f->status, 409);
    says(f, "r1", 1, SENT("2"));
    pass(f, 14);
    say(f, "r2", 1, "");
    assert_int_equal(f->status, 409);
    pass(f, 2);
    fleet_shows(f, ONE, "Running", "false");
    says(f, "r2", 1, "");
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "2"); /* it goes on from there */
    fleet_shows(f, ONE, "Error",
                "\"its runner r1 fell silent, as with a script that never ends; r2 goes on\"");
    says(f, "r2", 1, "");
    fleet_shows(f, ONE, "Error", "\"\"");
    say(f, "r1", 1, SENT("3"));
    assert_int_equal(f->status, 409);
    says(f, "r2", 1, ",\"Done\":true");
    says(f, "r1", 1, ""); /* at once */
    set_enabled(f, false);
    set_enabled(f, true);
    says(f, "r1", 1, SENT("99")); /* of the run before: hears that, and lets go */
    fleet_shows(f, ONE, "Held", "false");
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "0");
    says(f, "r2", 2, "");
}

TEST(a_hub_that_falls_knows_who_had_it_and_what_was_started) {
    struct fleet *f = *state;
    put(f, ONE, PLANT(""));
    put(f, API "devicemodels/pump", "{\"Name\":\"Pump\"}");
    says(f, "r1", 1, SENT("1"));
    fleet_fall(f);
    fleet_shows(f, ONE, "ActiveNow", "true");
    fleet_shows(f, ONE, "Runner", "\"r1\"");
    fleet_shows(f, API "devicemodels/pump", "Name", "\"Pump\"");
    say(f, "r2", 1, ""); /* r1 has time to come back */
    assert_int_equal(f->status, 409);
    says(f, "r1", 1, SENT("7"));
    set_enabled(f, false);
    fleet_fall(f);
    fleet_shows(f, ONE, "Enabled", "false");
    fleet_shows(f, ONE, "Statistics/TotalMessagesSent", "7"); /* stored with it */
    says(f, "r1", 1, ",\"Done\":true,\"DevicesDeletionComplete\":true");
    fleet_fall(f);
    fleet_shows(f, ONE, "Held", "false");
    fleet_shows(f, ONE, "DevicesDeletionComplete", "true");
}

TEST(times_are_those_of_the_moment_in_which_they_were_said) {
    struct fleet *f = *state;
    put(f, ONE, PLANT(",\"StartTime\":\"NOW+PT1M\",\"EndTime\":\"NOW+PT2M\""));
    fleet_shows(f, ONE, "ActiveNow", "false");
    pass(f, 61);
    fleet_shows(f, ONE, "ActiveNow", "true");
    says(f, "r1", 1, "");
    fleet_call(f, SK_HTTP_GET, ONE, NULL);
    json_t *json = json_loads(f->answer, 0, NULL);
    char *end = json_dumps(json_object_get(json, "EndTime"), JSON_ENCODE_ANY);
    json_decref(json);
    pass(f, 60);
    fleet_shows(f, ONE, "ActiveNow", "false");
    fleet_shows(f, ONE, "Running", "false");
    fleet_shows(f, ONE, "StoppedTime", end);
    free(end);
    refused(f, SK_HTTP_PATCH, ONE, "{\"Enabled\":true}", 400, "EndTime has passed");
    fleet_call(f, SK_HTTP_PATCH, ONE,
               "{\"Enabled\":true,\"StartTime\":\"NOW\",\"EndTime\":\"NOW+PT2H\"}");
    assert_int_equal(f->status, 200);
    fleet_shows(f, ONE, "ActiveNow", "true");
    fleet_shows(f, ONE, "RunNumber", "2");
}

TEST(what_is_no_simulation_is_refused_with_a_sentence) {
    static const struct {
        const char *body, *why;
    } cases[] = {
        {"{\"DeviceModels\":[" CHILLERS "]}", "Name is missing"},
        {"{\"Name\":1,\"DeviceModels\":[" CHILLERS "]}", "Name is a text"},
        {"{\"Name\":\"a\"}", "DeviceModels has 1 to 64"},
        {"{\"Name\":\"a\",\"DeviceModels\":[{\"Id\":\"none\",\"Count\":1}]}",
         "no device model 'none'"},
        {"{\"Name\":\"a\",\"DeviceModels\":[1]}", "Count of a device model is 1 to 100000"},
        {"{\"Name\":\"a\",\"DeviceModels\":[{\"Id\":\"chiller-01\",\"Count\":0}]}",
         "is 1 to 100000"},
        {"{\"Name\":\"a\",\"DeviceModels\":[" CHILLERS "," CHILLERS "]}", "'chiller-01' twice"},
        {PLANT(",\"Enabled\":\"yes\""), "Enabled is true or false"},
        {PLANT(",\"EndTime\":\"soon\""), "EndTime is a time"},
        {PLANT(",\"StartTime\":\"NOW+PT2H\",\"EndTime\":\"NOW+PT1H\""), "not after StartTime"},
        {PLANT(",\"RateLimits\":{\"TwinReadsPerSecond\":5}"), "TwinReadsPerSecond is not kept to"},
        {PLANT(",\"RateLimits\":{\"ConnectionsPerSecond\":-1}"), "ConnectionsPerSecond is 1 to"},
        {PLANT(",\"IoTHubs\":[{\"ConnectionString\":\"HostName=x\"}]"), "this hub alone"},
        {PLANT(",\"CustomDevices\":[{}]"), "CustomDevices"},
        {"{\"Name\":\"a\",\"DeviceModels\":[{\"Id\":\"chiller-01\",\"Count\":1,"
         "\"Override\":{\"Telemetry\":[{\"Interval\":\"00:00:00\"}]}}]}",
         "at least 0.5 s"},
        {"{\"Name\":\"a\",\"DeviceModels\":[{\"Id\":\"chiller-01\",\"Count\":1,"
         "\"Override\":{\"Telemetry\":[{},{}]}}]}",
         "more entries than the model"},
    };
    struct fleet *f = *state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(f, SK_HTTP_PUT, ONE, cases[i].body, 400, cases[i].why);
    refused(f, SK_HTTP_PUT, API "simulations/a.b", PLANT(""), 400, "id is 1 to 36");
    refused(f, SK_HTTP_GET, ONE, "", 404, "there is no simulation");
    put(f, ONE,
        PLANT(",\"IoTHubs\":[{\"ConnectionString\":\"default\"}],\"RateLimits\":{"
              "\"ConnectionsPerSecond\":5,\"TwinReadsPerSecond\":0}"));
    refused(f, SK_HTTP_PUT, ONE "/state", "{\"RunNumber\":1}", 400, "Runner is");
    refused(f, SK_HTTP_PUT, ONE "/state", "{\"Runner\":\"r\"}", 400, "RunNumber is");
    refused(f, SK_HTTP_PUT, ONE "/state",
            "{\"Runner\":\"r\",\"RunNumber\":1,\"Statistics\":{\"TotalMessagesSent\":-1}}", 400,
            "not below 0");
}

TEST(device_models_are_kept_beside_those_that_come_along) {
    struct fleet *f = *state;
    fleet_shows(f, API "devicemodels", "Items/0/Id", "\"chiller-01\"");
    fleet_shows(f, API "devicemodels", "Items/0/Files", NULL);
    fleet_call(f, SK_HTTP_GET, API "devicemodels/chiller-01", NULL);
    json_t *model = json_loads(f->answer, 0, NULL); /* whole, with its scripts */
    assert_non_null(json_object_get(json_object_get(model, "Files"), "state-chiller.js"));
    json_object_set_new(model, "Id", json_string("cold"));
    char *text = json_dumps(model, 0);
    put(f, API "devicemodels/cold", text);
    fleet_shows(f, API "devicemodels/cold", "Type", "\"custom\"");
    refused(f, SK_HTTP_PUT, API "devicemodels/cold", text, 412, "etag");
    refused(f, SK_HTTP_PUT, API "devicemodels/warm", text, 400, "Id is that of the path");
    free(text);
    json_decref(model);
    refused(f, SK_HTTP_PUT, API "devicemodels/chiller-01", "{}", 400, "comes along");
    refused(f, SK_HTTP_DELETE, API "devicemodels/chiller-01", "", 400, "comes along");
    refused(f, SK_HTTP_PUT, API "devicemodels/x", "{\"ReplayFile\":\"a\"}", 400, "ReplayFile");
    refused(f, SK_HTTP_GET, API "devicemodels/none", "", 404, "no device model 'none'");
    put(f, ONE, "{\"Name\":\"a\",\"DeviceModels\":[{\"Id\":\"cold\",\"Count\":1}]}");
    refused(f, SK_HTTP_DELETE, API "devicemodels/cold", "", 400, "'plant' has devices of it");
    fleet_call(f, SK_HTTP_DELETE, ONE, NULL);
    fleet_call(f, SK_HTTP_DELETE, API "devicemodels/cold", NULL);
    assert_true(f->status == 200 || f->status == 204);
    refused(f, SK_HTTP_GET, API "devicemodels/cold", "", 404, "no device model");
}

/* So many models named m0, m1 … of a simulation, one device each. */
static char *of_models(unsigned models) {
    struct sk_buffer text = {0};
    sk_buffer_text(&text, "{\"Name\":\"a\",\"DeviceModels\":[");
    for (unsigned i = 0; i < models; i++)
        sk_buffer_print(&text, "%s{\"Id\":\"m%u\",\"Count\":1}", i ? "," : "", i);
    sk_buffer_text(&text, "]}");
    char *copy = sk_span_dup(sk_buffer_span(&text));
    sk_buffer_free(&text);
    return copy;
}

TEST(a_hub_has_100_simulations_and_100_models_a_simulation_64_models_and_100000_devices) {
    struct fleet *f = *state;
    char path[80];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(path, sizeof path, API "devicemodels/m%u", i);
        put(f, path, "{}");
    }
    refused(f, SK_HTTP_PUT, API "devicemodels/m100", "{}", 413, "at most 100 device models");
    char *most = of_models(64), *more = of_models(65);
    put(f, ONE, most);
    refused(f, SK_HTTP_PUT, API "simulations/b", more, 400, "1 to 64");
    free(most);
    free(more);
#define COUNTS(a, b)                                                                               \
    "{\"Name\":\"a\",\"DeviceModels\":[{\"Id\":\"m0\",\"Count\":" a                                \
    "},{\"Id\":\"m1\",\"Count\":" b "}]}"
    put(f, API "simulations/b", COUNTS("99999", "1"));
    refused(f, SK_HTTP_PUT, API "simulations/c", COUNTS("99999", "2"), 400,
            "at most 100000 devices");
    refused(f, SK_HTTP_PUT, API "simulations/c", COUNTS("100001", "1"), 400, "1 to 100000");
    for (unsigned i = 0; i < 98; i++) {
        snprintf(path, sizeof path, API "simulations/s%u", i);
        put(f, path, PLANT(""));
    }
    refused(f, SK_HTTP_PUT, API "simulations/s98", PLANT(""), 413, "at most 100 simulations");
    fleet_call(f, SK_HTTP_DELETE, ONE, NULL);
    put(f, API "simulations/s98", PLANT(""));
}

/* As stored without a script: {"Id":"big","Type":"custom","Files":{"s":""}} */
static char *sized_model(size_t bytes) {
    static const char frame[] = "{\"Files\":{\"s\":\"\"},\"Type\":\"custom\",\"Id\":\"big\"}";
    struct sk_buffer text = {0};
    sk_buffer_text(&text, "{\"Files\":{\"s\":\"");
    for (size_t i = sizeof frame - 1; i < bytes; i++) sk_buffer_byte(&text, 'x');
    sk_buffer_text(&text, "\"}}");
    char *copy = sk_span_dup(sk_buffer_span(&text));
    sk_buffer_free(&text);
    return copy;
}

TEST(a_device_model_is_stored_up_to_256_kb) {
    struct fleet *f = *state;
    char *most = sized_model(256 * 1024), *more = sized_model(256 * 1024 + 1);
    put(f, API "devicemodels/big", most);
    fleet_call(f, SK_HTTP_DELETE, API "devicemodels/big", NULL);
    refused(f, SK_HTTP_PUT, API "devicemodels/big", more, 400, "at most 256 KB");
    free(most);
    free(more);
}

static void answered(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    assert_int_equal(status, SK_OK);
    assert_int_equal(answer->status, 200);
    *(bool *)arg = true;
}

/* A runner of its own connection waits for a change of the list. */
static void wait_for_change(struct fleet *f, struct sk_http_client *client, const char *since,
                            bool *done) {
    struct sk_buffer token = {0}, target = {0};
    sk_sas_create(&token, SK_SPAN("hub.test"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    sk_buffer_print(&target, API "simulations?wait=20&since=%s&api-version=2021-04-12", since);
    struct sk_http_pair headers[] = {{"Authorization", sk_buffer_span(&token)}};
    *done = false;
    sk_http_client_send(client, &(struct sk_http_ask){.method = SK_HTTP_GET,
                                                      .target = sk_buffer_span(&target),
                                                      .headers = headers,
                                                      .header_count = 1,
                                                      .done = answered,
                                                      .arg = done});
    sk_buffer_free(&token);
    sk_buffer_free(&target);
}

static void read_etag(struct fleet *f, char etag[32]) {
    fleet_call(f, SK_HTTP_GET, API "simulations", NULL);
    json_t *json = json_loads(f->answer, 0, NULL);
    snprintf(etag, 32, "%s", json_string_value(json_object_get(json, "ETag")));
    json_decref(json);
}

TEST(a_list_waits_for_a_change_and_tells_whether_a_runner_follows) {
    struct fleet *f = *state;
    struct sk_http_client *client;
    char etag[32];
    bool done;
    sk_http_client_new(f->field_io,
                       &(struct sk_http_client_options){.to = {.host = "hub.test", .port = 8883}},
                       &client);
    put(f, ONE, PLANT(""));
    fleet_shows(f, API "simulations", "Followed", "false");
    read_etag(f, etag);
    wait_for_change(f, client, etag, &done);
    pass(f, 2);
    assert_false(done);
    fleet_shows(f, API "simulations", "Followed", "true");
    set_enabled(f, false);
    pass(f, 1);
    assert_true(done);
    wait_for_change(f, client, etag, &done); /* which is an older one */
    pass(f, 1);
    assert_true(done);
    read_etag(f, etag);
    wait_for_change(f, client, etag, &done);
    pass(f, 19);
    assert_false(done);
    pass(f, 2);
    assert_true(done); /* without a change */
    pass(f, 16);
    fleet_shows(f, API "simulations", "Followed", "false");
    set_enabled(f, true);
    says(f, "r1", 2, "");
    pass(f, 5);
    read_etag(f, etag);
    wait_for_change(f, client, etag, &done); /* r1 is silent: ten seconds more, and it is free */
    pass(f, 9);
    assert_false(done);
    pass(f, 2);
    assert_true(done);
    fleet_call(f, SK_HTTP_PATCH, ONE, "{\"StartTime\":\"NOW+PT10S\"}");
    read_etag(f, etag);
    wait_for_change(f, client, etag, &done);
    pass(f, 9);
    assert_false(done);
    pass(f, 2);
    assert_true(done);
    fleet_shows(f, ONE, "ActiveNow", "true");
    refused(f, SK_HTTP_GET, API "simulations?wait=61", "", 400, "wait is 0 to 60");
    refused(f, SK_HTTP_GET, API "simulations?wait=x", "", 400, "wait is 0 to 60");
    sk_http_client_free(client);
}
