/* Jobs over REST: what they do to devices, when, and what is left of them after a crash. */
#include "hub/jobs/parts.h"
#include "support/raw_http.h"
#include "support/test.h"

AROUND(fleet_new_world, fleet_free_world);

#define TWIN_JOB(condition, value)                                                                 \
    "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"" condition "\",\"updateTwin\":{"       \
    "\"etag\":\"*\",\"properties\":{\"desired\":{\"value\":" value "}}}}"

static void put_job(struct fleet *f, const char *id, const char *body) {
    char path[100];
    snprintf(path, sizeof path, "/jobs/v2/%s", id);
    fleet_put(f, path, body);
}

static void shows_statistics(struct fleet *f, const char *id, unsigned all, unsigned failed,
                             unsigned succeeded) {
    char path[100], expected[200];
    snprintf(path, sizeof path, "/jobs/v2/%s", id);
    snprintf(expected, sizeof expected,
             "{\"deviceCount\":%u,\"failedCount\":%u,\"succeededCount\":%u,\"runningCount\":0,"
             "\"pendingCount\":0}",
             all, failed, succeeded);
    fleet_shows(f, path, "deviceJobStatistics", expected);
}

/* The rows of a query, as they were answered. */
static void query(struct fleet *f, const char *text) {
    char body[400];
    snprintf(body, sizeof body, "{\"query\":\"%s\"}", text);
    fleet_call(f, SK_HTTP_POST, "/devices/query", body);
    if (f->status != 200) fail_msg("%s: %u %s", text, f->status, f->answer);
}

static size_t row_count(struct fleet *f) {
    json_t *json = json_loads(f->answer, 0, NULL);
    size_t count = json_array_size(json);
    json_decref(json);
    return count;
}

/* ---- twins ---- */

TEST(a_job_updates_the_twins_that_its_query_selects_and_tells_of_each) {
    struct fleet *f = *state;
    put_job(f, "j1", TWIN_JOB("deviceId = 'd1'", "1"));
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/jobs/v2/j1", "status", "\"completed\"");
    shows_statistics(f, "j1", 1, 0, 1);
    fleet_shows(f, "/twins/d1", "properties/desired/value", "1");
    fleet_shows(f, "/twins/d2", "properties/desired/value", NULL);
    query(f, "SELECT * FROM devices.jobs WHERE devices.jobs.jobId = 'j1'");
    assert_int_equal(row_count(f), 1);
    assert_non_null(strstr(f->answer, "\"deviceId\":\"d1\""));
    assert_non_null(strstr(f->answer, "\"status\":\"completed\""));
    assert_non_null(strstr(f->answer, "\"jobType\":\"scheduleUpdateTwin\""));
    query(f, "SELECT * FROM devices.jobs WHERE status = 'failed'");
    assert_int_equal(row_count(f), 0);
}

TEST(a_job_for_everybody_reaches_everybody_and_modules_have_jobs_too) {
    struct fleet *f = *state;
    fleet_put(f, "/devices/d1/modules/m", "{\"deviceId\":\"d1\",\"moduleId\":\"m\"}");
    put_job(f, "all", TWIN_JOB("*", "2"));
    put_job(f, "modules", TWIN_JOB("FROM devices.modules WHERE moduleId = 'm'", "3"));
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/twins/d1", "properties/desired/value", "2");
    fleet_shows(f, "/twins/d2", "properties/desired/value", "2");
    fleet_shows(f, "/twins/d1/modules/m", "properties/desired/value", "3");
    query(f, "SELECT * FROM devices.jobs WHERE moduleId = 'm'");
    assert_int_equal(row_count(f), 1);
}

TEST(a_device_that_cannot_be_updated_fails_and_says_why) {
    struct fleet *f = *state;
    put_job(f, "stale",
            "{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"deviceId = 'd1'\","
            "\"updateTwin\":{\"etag\":\"old\",\"tags\":{\"a\":1}}}");
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/jobs/v2/stale", "status", "\"completed\"");
    shows_statistics(f, "stale", 1, 1, 0);
    query(f, "SELECT * FROM devices.jobs WHERE jobId = 'stale'");
    assert_non_null(strstr(f->answer, "\"error\":{\"code\":\"PreconditionFailed\""));
}

/* ---- when ---- */

TEST(a_job_waits_for_its_time_and_can_be_cancelled_before) {
    struct fleet *f = *state;
    char body[400], time[SK_TIME_TEXT];
    sk_time_text(sk_io_wall(f->field_io) + 60 * INT64_C(1000000), time);
    snprintf(body, sizeof body,
             "{\"type\":\"scheduleUpdateTwin\",\"startTime\":\"%s\",\"queryCondition\":\"*\","
             "\"updateTwin\":{\"tags\":{\"a\":1}}}",
             time);
    put_job(f, "later", body);
    put_job(f, "never", body);
    fleet_shows(f, "/jobs/v2/later", "status", "\"queued\"");
    raw_gets(f, &(struct raw_ask){.method = "POST", .target = "/jobs/v2/never/cancel" VERSION}, 200,
             NULL, "\"status\":\"cancelled\"");
    raw_gets(f, &(struct raw_ask){.method = "POST", .target = "/jobs/v2/never/cancel" VERSION}, 400,
             "InvalidOperation", "ended");
    fleet_crash_hub(f);
    sk_sim_run(f->sim, 50 * SK_S);
    fleet_shows(f, "/jobs/v2/later", "status", "\"queued\"");
    sk_sim_run(f->sim, 15 * SK_S);
    fleet_shows(f, "/jobs/v2/later", "status", "\"completed\"");
    fleet_shows(f, "/jobs/v2/never", "status", "\"cancelled\"");
    shows_statistics(f, "never", 0, 0, 0);
    query(f, "SELECT * FROM devices.jobs WHERE jobId = 'never'");
    assert_int_equal(row_count(f), 0);
}

TEST(a_job_that_ends_on_a_full_disk_has_ended_when_there_is_room) {
    struct fleet *f = *state;
    char body[400], time[SK_TIME_TEXT];
    sk_time_text(sk_io_wall(f->field_io) + 60 * INT64_C(1000000), time);
    snprintf(body, sizeof body,
             "{\"type\":\"scheduleUpdateTwin\",\"startTime\":\"%s\",\"queryCondition\":\"*\","
             "\"updateTwin\":{\"tags\":{\"a\":1}}}",
             time);
    put_job(f, "later", body);
    sk_sim_disk_limit(f->hub_io, 0);
    sk_sim_run(f->sim, 90 * SK_S);
    sk_sim_disk_limit(f->hub_io, UINT64_MAX);
    sk_sim_run(f->sim, 15 * SK_S);
    fleet_shows(f, "/jobs/v2/later", "status", "\"failed\"");
    raw_gets(f, &(struct raw_ask){.method = "GET", .target = "/jobs/v2/later" VERSION}, 200, NULL,
             "no-space");
    put_job(f, "next", TWIN_JOB("*", "1"));
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/jobs/v2/next", "status", "\"completed\"");
}

TEST(jobs_are_listed_by_type_and_status_in_pages) {
    struct fleet *f = *state;
    put_job(f, "a", TWIN_JOB("*", "1"));
    put_job(f, "b", TWIN_JOB("deviceId = 'nobody'", "1"));
    put_job(f, "c",
            "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"deviceId = 'd1'\","
            "\"cloudToDeviceMethod\":{\"methodName\":\"m\"}}");
    sk_sim_run(f->sim, SK_S);
    struct raw_ask all = {.target = "/jobs/v2/query" VERSION "&jobType=scheduleDeviceMethod"};
    raw_gets(f, &all, 200, NULL, "[{\"jobId\":\"c\"");
    all.target = "/jobs/v2/query" VERSION "&jobStatus=running";
    raw_gets(f, &all, 200, NULL, "[]");
    struct raw_answer answer;
    char headers[200];
    raw_asks(f,
             &(struct raw_ask){.target = "/jobs/v2/query" VERSION,
                               .headers = "x-ms-max-item-count: 2\r\n"},
             &answer);
    json_t *page = json_loadb(answer.parser.body.p, answer.parser.body.n, 0, NULL);
    assert_int_equal(json_array_size(page), 2);
    assert_string_equal(json_string_value(fleet_member(page, "1/jobId")), "b");
    snprintf(headers, sizeof headers, "x-ms-continuation: %.*s\r\n",
             SK_ARG(sk_http_header(&answer.parser, "x-ms-continuation")));
    json_decref(page);
    sk_http_parser_free(&answer.parser);
    raw_gets(f, &(struct raw_ask){.target = "/jobs/v2/query" VERSION, .headers = headers}, 200,
             NULL, "[{\"jobId\":\"c\"");
}

TEST(a_hundred_jobs_may_wait_and_ten_run_at_a_time) {
    struct fleet *f = *state;
    char id[20];
    for (unsigned i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "j%u", i);
        put_job(f, id,
                "{\"type\":\"scheduleUpdateTwin\",\"startTime\":\"2030-01-01T00:00:00Z\","
                "\"queryCondition\":\"*\",\"updateTwin\":{\"tags\":{\"a\":1}}}");
    }
    fleet_call(f, SK_HTTP_PUT, "/jobs/v2/more", TWIN_JOB("*", "1"));
    assert_int_equal(f->status, 429);
    raw_gets(f, &(struct raw_ask){.method = "POST", .target = "/jobs/v2/j0/cancel" VERSION}, 200,
             NULL, "cancelled");
    put_job(f, "more", TWIN_JOB("*", "1"));
}

/* ---- bad input ---- */

TEST(a_job_that_makes_no_sense_is_refused_with_a_sentence) {
    struct fleet *f = *state;
    static const struct {
        const char *body, *says;
    } bad[] = {
        {"{}", "type is"},
        {"{\"type\":\"reboot\",\"queryCondition\":\"*\"}", "type is"},
        {"{\"type\":\"scheduleUpdateTwin\",\"queryCondition\":\"*\"}", "updateTwin"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{}}}", "queryCondition"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{}},"
         "\"queryCondition\":\"a b\"}",
         "column 1"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{\"a.b\":1}},"
         "\"queryCondition\":\"*\"}",
         "a.b"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{}},\"queryCondition\":\"*\","
         "\"startTime\":\"soon\"}",
         "startTime"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{}},\"queryCondition\":\"*\","
         "\"maxExecutionTimeInSeconds\":1209601}",
         "maxExecutionTimeInSeconds"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{}},\"queryCondition\":\"FROM "
         "devices.jobs\"}",
         "devices or modules"},
        {"{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{}},\"deviceIds\":[\"a/b\"]}",
         "deviceIds[0]"},
        {"{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\"}", "methodName"},
        {"{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\",\"cloudToDeviceMethod\":{"
         "\"methodName\":\"m\",\"responseTimeoutInSeconds\":301}}",
         "responseTimeoutInSeconds"},
        {"{\"jobId\":\"other\",\"type\":\"scheduleUpdateTwin\"}", "job's id"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        raw_gets(f,
                 &(struct raw_ask){.method = "PUT",
                                   .target = "/jobs/v2/bad" VERSION,
                                   .body = sk_span_z(bad[i].body)},
                 400, "ArgumentInvalid", bad[i].says);
    put_job(f, "most",
            "{\"type\":\"scheduleUpdateTwin\",\"updateTwin\":{\"tags\":{\"a\":1}},\"deviceIds\":["
            "\"d1\",\"it's\"],\"maxExecutionTimeInSeconds\":1209600}");
    raw_gets(f, &(struct raw_ask){.target = "/jobs/v2/bad" VERSION}, 404, "JobNotFound", "bad");
    put_job(f, "once", TWIN_JOB("*", "1"));
    fleet_call(f, SK_HTTP_PUT, "/jobs/v2/once", TWIN_JOB("*", "1"));
    assert_int_equal(f->status, 409);
    assert_non_null(strstr(f->answer, "JobAlreadyExists"));
}

/* ---- methods ---- */

#define METHOD_JOB                                                                                 \
    "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"deviceId IN ['d1', 'd2']\","          \
    "\"cloudToDeviceMethod\":{\"methodName\":\"react\",\"payload\":{\"now\":true},"                \
    "\"responseTimeoutInSeconds\":30}}"

static void listen_to_methods(struct raw_client *c, struct fleet *f, const char *device) {
    raw_login(c, f, device);
    raw_subscribe(c, 1, "$iothub/methods/POST/#", 0);
    raw_expect_suback(c, 1, "\0", 1);
}

static void answer_call(struct raw_client *c) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    struct sk_topic topic;
    char answer[128];
    sk_topic_parse(packet.u.publish.topic, &topic);
    assert_true(sk_span_is(topic.name, "react"));
    assert_true(sk_span_is(packet.u.publish.payload, "{\"now\":true}"));
    snprintf(answer, sizeof answer, "$iothub/methods/res/200/?$rid=%.*s", SK_ARG(topic.rid));
    raw_publish(c, answer, SK_SPAN("{\"done\":1}"), 0, 0);
}

TEST(a_job_calls_a_method_and_keeps_what_each_device_answered) {
    struct fleet *f = *state;
    struct raw_client d1;
    listen_to_methods(&d1, f, "d1");
    put_job(f, "call", METHOD_JOB);
    answer_call(&d1);
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/jobs/v2/call", "status", "\"completed\"");
    shows_statistics(f, "call", 2, 1, 1); /* d2 is not there */
    query(f, "SELECT * FROM devices.jobs WHERE jobId = 'call' AND deviceId = 'd1'");
    assert_non_null(strstr(f->answer, "\"outcome\":{\"deviceMethodResponse\":{\"status\":200,"
                                      "\"payload\":{\"done\":1}}}"));
    query(f, "SELECT * FROM devices.jobs WHERE jobId = 'call' AND status = 'failed'");
    assert_non_null(strstr(f->answer, "DeviceNotOnline"));
    raw_free(&d1);
}

TEST(a_job_that_is_cancelled_or_out_of_time_leaves_what_runs_to_its_end) {
    struct fleet *f = *state;
    struct raw_client d1, d2;
    listen_to_methods(&d1, f, "d1");
    listen_to_methods(&d2, f, "d2");
    put_job(f, "stop", METHOD_JOB);
    sk_sim_run(f->sim, SK_S);
    raw_gets(f, &(struct raw_ask){.method = "POST", .target = "/jobs/v2/stop/cancel" VERSION}, 200,
             NULL, "\"status\":\"cancelled\"");
    answer_call(&d1);
    answer_call(&d2);
    sk_sim_run(f->sim, SK_S);
    shows_statistics(f, "stop", 2, 0, 2);
    put_job(f, "slow",
            "{\"type\":\"scheduleDeviceMethod\",\"queryCondition\":\"*\",\"cloudToDeviceMethod\":{"
            "\"methodName\":\"react\",\"payload\":{\"now\":true}},\"maxExecutionTimeInSeconds\":"
            "5}");
    sk_sim_run(f->sim, 7 * SK_S);
    fleet_shows(f, "/jobs/v2/slow", "status", "\"failed\"");
    raw_free(&d1);
    raw_free(&d2);
    sk_sim_run(f->sim, 40 * SK_S);
    shows_statistics(f, "slow", 2, 2, 0);
}

TEST(a_call_that_a_crash_finds_under_way_is_not_made_again) {
    struct fleet *f = *state;
    struct raw_client d1;
    listen_to_methods(&d1, f, "d1");
    put_job(f, "call", METHOD_JOB);
    raw_expect(&d1, SK_MQTT_PUBLISH);
    fleet_crash_hub(f);
    raw_free(&d1);
    listen_to_methods(&d1, f, "d1");
    sk_sim_run(f->sim, 2 * SK_S);
    raw_expect_nothing(&d1);
    fleet_shows(f, "/jobs/v2/call", "status", "\"completed\"");
    shows_statistics(f, "call", 2, 2, 0);
    query(f, "SELECT * FROM devices.jobs WHERE jobId = 'call' AND deviceId = 'd1'");
    assert_non_null(strstr(f->answer, "not known"));
    raw_free(&d1);
}

/* ---- crashes ---- */

TEST(a_hub_that_falls_at_any_moment_updates_each_twin_once) {
    struct fleet *f = *state;
    enum { DEVICES = 120, ROUNDS = 8 };
    char path[100], body[200];
    for (unsigned i = 0; i < DEVICES; i++) {
        snprintf(path, sizeof path, "n%03u", i);
        fleet_put_device(f, path, "");
    }
    for (unsigned round = 1; round <= ROUNDS; round++) {
        snprintf(path, sizeof path, "r%u", round);
        put_job(f, path, TWIN_JOB("STARTSWITH(deviceId, 'n')", "7"));
        for (unsigned crash = 0; crash < 3; crash++) {
            sk_sim_run(f->sim, round * (crash + 1) * 2 * SK_MS);
            if (crash == 1) { /* in good order */
                fleet_stop_hub(f);
                fleet_start_hub(f);
            } else {
                fleet_crash_hub(f);
            }
        }
        sk_sim_run(f->sim, 5 * SK_S);
        snprintf(path, sizeof path, "/jobs/v2/r%u", round);
        fleet_shows(f, path, "status", "\"completed\"");
        snprintf(path, sizeof path, "r%u", round);
        shows_statistics(f, path, DEVICES, 0, DEVICES);
    }
    for (unsigned i = 0; i < DEVICES; i++) {
        snprintf(path, sizeof path, "/twins/n%03u", i);
        snprintf(body, sizeof body, "%u", ROUNDS + 1);
        fleet_shows(f, path, "properties/desired/$version", body);
    }
}

TEST(jobs_are_forgotten_thirty_days_after_their_end) {
    struct fleet *f = *state;
    put_job(f, "old", TWIN_JOB("*", "1"));
    sk_sim_run(f->sim, 29 * 24 * 3600 * SK_S);
    fleet_shows(f, "/jobs/v2/old", "status", "\"completed\"");
    sk_sim_run(f->sim, 3 * 24 * 3600 * SK_S);
    raw_gets(f, &(struct raw_ask){.target = "/jobs/v2/old" VERSION}, 404, "JobNotFound", "");
    query(f, "SELECT * FROM devices.jobs");
    assert_int_equal(row_count(f), 0);
}

/* ---- what routes hear ---- */

static void note_status(void *arg, const struct sk_message *message) {
    struct sk_buffer *seen = arg;
    const struct sk_property *status = sk_message_property(message, SK_SPAN("opType"));
    if (message->source != SK_SOURCE_JOB_LIFECYCLE) return;
    assert_int_equal(message->device.n, 0);
    json_t *body = json_loadb(message->body.p, message->body.n, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(body, "jobId")), "j1");
    json_decref(body);
    sk_buffer_print(seen, "%.*s ", SK_ARG(status->value));
}

TEST(a_route_hears_how_a_job_goes_on) {
    struct fleet *f = *state;
    struct sk_buffer seen = {0};
    const char *reason = fleet_reload(f, FLEET_TOML_HUB FLEET_TOML_OWNER
                                      "[[hub.route]]\nname = \"jobs\"\n"
                                      "source = \"DeviceJobLifecycleEvents\"\n"
                                      "condition = \"$body.type = 'scheduleUpdateTwin'\"\n");
    if (reason) fail_msg("%s", reason);
    put_job(f, "j1", TWIN_JOB("deviceId = 'd1'", "1"));
    sk_sim_run(f->sim, 5 * SK_S);
    fleet_read_events(f, note_status, &seen);
    assert_true(sk_span_is(sk_buffer_span(&seen), "queued running completed "));
    sk_buffer_free(&seen);
}
