/* What the hub writes down: who asked for what and who connected, in files that stay within their
 * bounds; and what it tells of a device that cannot connect. */
#include "azure/blob_auth.h"
#include "support/raw_amqp.h"
#include "support/raw_http.h"
#include "support/test.h"

#define OTHER_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB="
#define BASE FLEET_TOML_HUB FLEET_TOML_OWNER
#define RECORDS(more) BASE "[hub.records]\nfolder = \"/records\"\n" more

AROUND(fleet_new_world, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

/* ---- diagnosis ---- */

static void connect_and_leave(struct fleet *f, const struct raw_connect *as) {
    struct raw_client c;
    raw_dial(&c, f, "hub.test", as);
    raw_expect(&c, SK_MQTT_CONNACK);
    raw_free(&c);
    sk_sim_run(f->sim, SK_S);
}

TEST(a_device_that_cannot_connect_is_told_why) {
    struct fleet *f = *state;
    connect_and_leave(f, &(struct raw_connect){.device = "d1", .clean = true});
    connect_and_leave(f, &(struct raw_connect){.device = "d1", .key = OTHER_KEY, .clean = true});
    fleet_shows(f, "/devices/d1/diagnostics", "events/0/event", "\"refused\"");
    fleet_shows(f, "/devices/d1/diagnostics", "events/0/errorCode", "401003");
    fleet_shows(f, "/devices/d1/diagnostics", "events/0/why",
                "\"the token's signature is wrong: it matches neither the primary nor the "
                "secondary key\"");
    fleet_shows(f, "/devices/d1/diagnostics", "events/0/protocol", "\"Mqtt\"");
    fleet_shows(f, "/devices/d1/diagnostics", "events/1/event", "\"disconnected\"");
    fleet_shows(f, "/devices/d1/diagnostics", "events/1/errorCode", NULL);
    fleet_shows(f, "/devices/d1/diagnostics", "events/2/event", "\"connected\"");
    fleet_shows(f, "/devices/d1/diagnostics", "events/3", NULL);
    fleet_shows(f, "/devices/d1/diagnostics", "connectionState", "\"Disconnected\"");
}

TEST(why_the_hub_has_ended_a_connection_is_told) {
    struct fleet *f = *state;
    struct raw_client c;
    raw_login(&c, f, "d1");
    fleet_send(f, SK_HTTP_PUT, "/devices/d1",
               "{\"deviceId\":\"d1\",\"status\":\"disabled\",\"statusReason\":\"lost\"," FLEET_SAS
               "}",
               true);
    assert_int_equal(f->status, 200);
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/devices/d1/diagnostics", "events/0/event", "\"disconnected\"");
    fleet_shows(f, "/devices/d1/diagnostics", "events/0/errorCode", "403012");
    fleet_shows(f, "/devices/d1/diagnostics", "status", "\"disabled\"");
    fleet_shows(f, "/devices/d1/diagnostics", "statusReason", "\"lost\"");
    raw_free(&c);
}

TEST(only_what_was_last_is_kept_of_devices_nobody_knows_too) {
    struct fleet *f = *state;
    fleet_call(f, SK_HTTP_GET, "/devices/nobody/diagnostics", NULL);
    assert_int_equal(f->status, 404);
    for (unsigned i = 0; i < 12; i++)
        connect_and_leave(f, &(struct raw_connect){.device = "nobody", .clean = true});
    fleet_shows(f, "/devices/nobody/diagnostics", "registered", "false");
    fleet_shows(f, "/devices/nobody/diagnostics", "events/9/errorCode", "404001");
    fleet_shows(f, "/devices/nobody/diagnostics", "events/10", NULL);
    fleet_shows(f, "/devices/d2/diagnostics", "events/0", NULL);
}

/* ---- records ---- */

static char *read_file(struct fleet *f, const char *path) {
    struct sk_buffer text = {0};
    sk_sim_run(f->sim, SK_S);
    if (sk_file_load(f->hub_io, path, &text)) return NULL;
    sk_buffer_byte(&text, 0);
    return text.p;
}

/* The last line that holds a text, as JSON, with its properties as JSON, too. */
static json_t *find_record(const char *text, const char *holds) {
    json_t *found = NULL;
    struct sk_span rest = sk_span_z(text), line;
    while (sk_span_split(&rest, '\n', &line)) {
        char *z = sk_span_dup(line);
        if (line.n && strstr(z, holds)) {
            json_decref(found);
            found = json_loads(z, 0, NULL);
            assert_non_null(found);
            json_t *properties =
                json_loads(json_string_value(json_object_get(found, "properties")), 0, NULL);
            assert_non_null(properties);
            json_object_set_new(found, "properties", properties);
        }
        free(z);
    }
    if (found == NULL) fail_msg("no record with %s in %s", holds, text);
    return found;
}

static void record_says(const char *text, const char *holds, const char *member,
                        const char *expected) {
    json_t *record = find_record(text, holds);
    const json_t *value = fleet_member(record, member);
    if (value == NULL || !json_is_string(value) || strcmp(json_string_value(value), expected) != 0)
        fail_msg("%s: %s is not %s", holds, member, expected);
    json_decref(record);
}

TEST(records_have_azures_categories_and_names) {
    struct fleet *f = *state;
    takes(f, RECORDS(""));
    connect_and_leave(f, &(struct raw_connect){.device = "d1", .clean = true});
    connect_and_leave(f, &(struct raw_connect){.device = "d1", .key = OTHER_KEY, .clean = true});
    fleet_put_device(f, "made", "");
    fleet_call(f, SK_HTTP_GET, "/devices/none", NULL);
    fleet_call(f, SK_HTTP_GET, "/twins/d2", NULL);
    raw_gets(f,
             &(struct raw_ask){.target = "/twins/d1" VERSION,
                               .policy = "",
                               .resource = "hub.test/devices/d1",
                               .headers = "x-ms-client-request-id: my-own-7\r\n"},
             401, "IotHubUnauthorizedAccess", "my-own-7");
    fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "x");
    char *text = read_file(f, "/records/test.jsonl");
    record_says(text, "deviceDisconnect", "category", "Connections");
    record_says(text, "deviceDisconnect", "properties/deviceId", "d1");
    record_says(text, "deviceDisconnect", "properties/protocol", "Mqtt");
    record_says(text, "401003", "operationName", "deviceConnect");
    record_says(text, "401003", "level", "Error");
    record_says(text, "401003", "properties/statusCode", "401");
    record_says(text, "\"create\"", "category", "DeviceIdentityOperations");
    record_says(text, "\"create\"", "properties/policy", "owner");
    record_says(text, "\"create\"", "resourceId", "test");
    record_says(text, "404001", "operationName", "get");
    record_says(text, "C2DTwinOperations", "properties/deviceId", "d1");
    record_says(text, "my-own-7", "resultType", "401002");
    assert_null(strstr(text, "ingress")); /* telemetry that was taken */
    assert_null(strstr(text, FLEET_KEY));
    free(text);
}

static void ask_for_file(struct fleet *f, const char *method, unsigned rights, unsigned status) {
    struct sk_blob_target it = {SK_SPAN("owner"), SK_SPAN("uploads"), SK_SPAN("a.txt")};
    struct sk_buffer target = {0};
    struct raw_answer answer;
    sk_buffer_text(&target, "/uploads/a.txt");
    sk_blob_sas_put(&target, &it, SK_SPAN(FLEET_KEY), rights,
                    sk_io_wall(f->field_io) + 60 * 1000000ll);
    sk_buffer_byte(&target, 0);
    raw_asks(f,
             &(struct raw_ask){
                 .method = method,
                 .target = target.p,
                 .no_token = true,
                 .headers = "x-ms-version: 2021-08-06\r\nx-ms-blob-type: BlockBlob\r\n",
                 .body = rights == SK_BLOB_WRITE && status == 201 ? SK_SPAN("it") : SK_NONE},
             &answer);
    assert_int_equal(answer.parser.status, status);
    sk_http_parser_free(&answer.parser);
    sk_buffer_free(&target);
}

TEST(who_reads_and_writes_files_is_recorded) {
    struct fleet *f = *state;
    takes(f, RECORDS("categories = [\"StorageRead\", \"StorageWrite\"]\n"));
    ask_for_file(f, "PUT", SK_BLOB_WRITE, 201);
    ask_for_file(f, "GET", SK_BLOB_READ, 200);
    ask_for_file(f, "GET", SK_BLOB_WRITE, 403);
    ask_for_file(f, "DELETE", SK_BLOB_DELETE, 202);
    char *text = read_file(f, "/records/test.jsonl");
    record_says(text, "PutBlob", "category", "StorageWrite");
    record_says(text, "PutBlob", "properties/blob", "a.txt");
    record_says(text, "PutBlob", "properties/statusCode", "201");
    record_says(text, "PutBlob", "properties/authenticationType", "SAS");
    record_says(text, "\"GetBlob\"", "category", "StorageRead");
    record_says(text, "AuthorizationPermissionMismatch", "operationName", "GetBlob");
    record_says(text, "AuthorizationPermissionMismatch", "properties/statusCode", "403");
    assert_null(strstr(text, "DeleteBlob"));
    assert_null(strstr(text, "sig="));
    free(text);
}

TEST(only_the_categories_that_are_wanted_are_written) {
    struct fleet *f = *state;
    takes(f, RECORDS("categories = [\"Connections\"]\n"));
    fleet_call(f, SK_HTTP_GET, "/devices/d1", NULL);
    connect_and_leave(f, &(struct raw_connect){.device = "d1", .clean = true});
    char *text = read_file(f, "/records/test.jsonl");
    assert_null(strstr(text, "DeviceIdentityOperations"));
    record_says(text, "deviceConnect", "category", "Connections");
    free(text);
    takes(f, BASE);
    fleet_call(f, SK_HTTP_GET, "/devices/d1", NULL);
    assert_int_equal(f->status, 200);
}

TEST(files_stay_within_their_bounds_and_the_oldest_go) {
    struct fleet *f = *state;
    takes(f, RECORDS("file_bytes = 65536\nfiles = 2\n"));
    for (unsigned i = 0; i < 900; i++) fleet_call(f, SK_HTTP_GET, "/devices/d1", NULL);
    char *now = read_file(f, "/records/test.jsonl"),
         *before = read_file(f, "/records/test.1.jsonl");
    assert_non_null(now);
    assert_non_null(before);
    assert_null(read_file(f, "/records/test.2.jsonl"));
    assert_in_range(strlen(now), 1, 65536);
    assert_in_range(strlen(before), 32768, 65536);
    free(now);
    free(before);
}

/* As by a tool that turns logs over, or by somebody who makes room. */
TEST(a_file_that_was_removed_or_cut_begins_anew) {
    struct fleet *f = *state;
    takes(f, RECORDS(""));
    for (int i = 0; i < 2; i++) {
        fleet_call(f, SK_HTTP_GET, "/devices/before", NULL);
        free(read_file(f, "/records/test.jsonl"));
        if (i == 0)
            assert_int_equal(sk_file_remove(f->hub_io, "/records/test.jsonl"), SK_OK);
        else
            assert_int_equal(sk_file_replace(f->hub_io, "/records/test.jsonl", SK_NONE), SK_OK);
        fleet_shows(f, "/insights/records", "enabled", "true");
        fleet_call(f, SK_HTTP_GET, "/devices/after", NULL);
        char *text = read_file(f, "/records/test.jsonl");
        assert_non_null(text);
        assert_non_null(strstr(text, "after"));
        assert_null(strstr(text, "before"));
        assert_int_equal(text[0], '{');
        free(text);
    }
}
