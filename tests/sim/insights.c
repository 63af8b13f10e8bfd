/* What a hub tells of itself: its metrics of the last day, and its records, page by page. */
#include "model/json_text.h"
#include "support/raw_http.h"
#include "support/test.h"

#define BASE FLEET_TOML_HUB FLEET_TOML_OWNER FLEET_TOML_READER
#define ENDPOINTS                                                                                  \
    "[[hub.endpoint]]\nname = \"east\"\ntype = \"folder\"\nto = \"/east\"\n"                       \
    "[[hub.endpoint]]\nname = \"west\"\ntype = \"folder\"\nto = \"/west\"\n"                       \
    "[[hub.route]]\nname = \"all\"\nendpoint = [\"events\", \"east\", \"west\"]\n"
#define MINUTE_US 60000000ll

AROUND(fleet_new_world, fleet_free_world);

static void takes(struct fleet *f, const char *toml) {
    const char *reason = fleet_reload(f, toml);
    if (reason) fail_msg("%s", reason);
}

static void send_some(struct fleet *f, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        fleet_call(f, SK_HTTP_POST, "/devices/d1/messages/events", "{}");
    assert_int_equal(f->status, 204);
}

/* To the end of this minute, so that its sample is there. */
static void to_next_minute(struct fleet *f) {
    int64_t now = sk_io_wall(f->hub_io);
    sk_sim_run(f->sim, (uint64_t)(MINUTE_US - now % MINUTE_US + 1000000) * 1000);
}

static json_t *gets(struct fleet *f, const char *path) {
    fleet_call(f, SK_HTTP_GET, path, NULL);
    if (f->status != 200) fail_msg("%s: %u %s", path, f->status, f->answer);
    json_t *json = json_loads(f->answer, 0, NULL);
    assert_non_null(json);
    return json;
}

static void is_refused(struct fleet *f, const char *path, const char *why) {
    fleet_call(f, SK_HTTP_GET, path, NULL);
    assert_int_equal(f->status, 400);
    if (strstr(f->answer, why) == NULL) fail_msg("%s: %s", path, f->answer);
}

static double sum_of(const json_t *answer, const char *series, const char *member) {
    const json_t *data = fleet_member(answer, series), *point;
    double sum = 0;
    size_t i;
    if (data == NULL) fail_msg("no %s", series);
    json_array_foreach((json_t *)data, i, point) sum +=
        json_number_value(json_object_get(point, member));
    return sum;
}

#define DATA "value/0/timeseries/0/data"

TEST(what_the_hub_has_counted_is_told_minute_by_minute) {
    struct fleet *f = *state;
    to_next_minute(f);
    send_some(f, 3);
    to_next_minute(f);
    send_some(f, 2);
    to_next_minute(f);
    json_t *answer = gets(f, "/insights/metrics?metricnames=d2c.telemetry.ingress.success,"
                             "totalDeviceCount&timespan=NOW-PT1H/NOW");
    const json_t *data = fleet_member(answer, DATA);
    size_t n = json_array_size(data);
    assert_true(n >= 2);
    assert_int_equal(json_number_value(fleet_member(json_array_get(data, n - 1), "total")), 2);
    assert_int_equal(json_number_value(fleet_member(json_array_get(data, n - 2), "total")), 3);
    assert_null(fleet_member(json_array_get(data, n - 2), "average"));
    const json_t *devices = fleet_member(answer, "value/1/timeseries/0/data");
    assert_int_equal(json_array_size(devices), n);
    assert_int_equal(json_number_value(fleet_member(json_array_get(devices, n - 1), "average")), 2);
    json_decref(answer);
    answer = gets(f, "/insights/metrics?metricnames=d2c.telemetry.ingress.success,"
                     "jobs.failed&timespan=NOW-PT1H/NOW&interval=PT1H&aggregation=Total");
    assert_int_equal(sum_of(answer, DATA, "total"), 5);
    assert_int_equal(sum_of(answer, "value/1/timeseries/0/data", "total"), 0);
    assert_true(json_array_size(fleet_member(answer, "value/1/timeseries/0/data")) > 0);
    json_decref(answer);
}

TEST(azure_monitors_paths_lead_to_the_same) {
    struct fleet *f = *state;
    to_next_minute(f);
    static const char hub[] = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/"
                              "IotHubs/test/providers/microsoft.insights";
    char path[300];
    snprintf(path, sizeof path, "%s/metricDefinitions?", hub);
    json_t *answer = gets(f, path);
    const json_t *list = json_object_get(answer, "value"), *one;
    unsigned connected = 0, doubled = 0;
    size_t i;
    json_array_foreach((json_t *)list, i, one) {
        const char *name = json_string_value(fleet_member(one, "name/value"));
        connected += strcmp(name, "connectedDeviceCount") == 0;
        doubled += strcmp(name, "skerry_hub_telemetry_total") == 0; /* Azure has a name for it */
    }
    assert_int_equal(connected, 1);
    assert_int_equal(doubled, 0);
    json_decref(answer);
    snprintf(path, sizeof path, "%s/metrics?metricnames=connectedDeviceCount&", hub);
    json_decref(gets(f, path));
    fleet_call(f, SK_HTTP_GET,
               "/subscriptions/s/resourceGroups/g/providers/Microsoft.Devices/"
               "IotHubs/other/providers/microsoft.insights/metrics",
               NULL);
    assert_int_equal(f->status, 404);
}

TEST(endpoints_are_told_apart_or_together) {
    struct fleet *f = *state;
    takes(f, BASE ENDPOINTS);
    to_next_minute(f);
    send_some(f, 4);
    sk_sim_run(f->sim, 400 * SK_S); /* files are finished */
    to_next_minute(f);
#define DELIVERED "/insights/metrics?metricnames=skerry_hub_endpoint_delivered_total&interval=PT1H"
    json_t *answer = gets(f, DELIVERED);
    assert_int_equal(sum_of(answer, DATA, "total"), 8);
    json_decref(answer);
    answer = gets(f, DELIVERED "&$filter=EndpointName%20eq%20'*'");
    assert_int_equal(json_array_size(fleet_member(answer, "value/0/timeseries")), 2);
    assert_int_equal(sum_of(answer, DATA, "total"), 4);
    assert_string_equal(
        json_string_value(fleet_member(answer, "value/0/timeseries/1/metadatavalues/0/value")),
        "west");
    json_decref(answer);
    answer = gets(f, DELIVERED "&$filter=EndpointName%20eq%20'west'");
    assert_int_equal(json_array_size(fleet_member(answer, "value/0/timeseries")), 1);
    json_decref(answer);
    is_refused(f, DELIVERED "&$filter=EndpointName%20ne%20'west'", "EndpointName eq");
    is_refused(f, DELIVERED "&$filter=EndpointName%20eq%20'west", "EndpointName eq");
}

TEST(what_makes_no_sense_is_refused_with_a_sentence) {
    struct fleet *f = *state;
    struct sk_buffer path = {0};
    is_refused(f, "/insights/metrics?", "metricDefinitions lists them");
    is_refused(f, "/insights/metrics?metricnames=nothing", "metricDefinitions lists them");
    is_refused(f, "/insights/metrics?metricnames=jobs.failed&timespan=yesterday", "timespan");
    is_refused(f, "/insights/metrics?metricnames=jobs.failed&timespan=NOW/NOW-PT1H", "timespan");
    is_refused(f, "/insights/metrics?metricnames=jobs.failed&interval=PT1S", "interval");
    is_refused(f, "/insights/metrics?metricnames=jobs.failed&interval=P2D", "interval");
    is_refused(f, "/insights/metrics?metricnames=jobs.failed&aggregation=Count", "aggregation");
    sk_buffer_text(&path, "/insights/metrics?metricnames=");
    for (unsigned i = 0; i < 20; i++) sk_buffer_text(&path, i ? ",jobs.failed" : "jobs.failed");
    SK_CLEANUP_FREE char *twenty = sk_span_dup(sk_buffer_span(&path));
    json_decref(gets(f, twenty));
    sk_buffer_text(&path, ",jobs.failed");
    SK_CLEANUP_FREE char *more = sk_span_dup(sk_buffer_span(&path));
    is_refused(f, more, "1 to 20");
    sk_buffer_free(&path);
}

TEST(a_start_begins_the_history_anew) {
    struct fleet *f = *state;
    send_some(f, 3);
    to_next_minute(f);
    fleet_stop_hub(f);
    fleet_start_hub(f);
    to_next_minute(f);
    json_t *answer = gets(f, "/insights/metrics?metricnames=d2c.telemetry.ingress.success");
    assert_int_equal(sum_of(answer, DATA, "total"), 0);
    json_decref(answer);
}

/* ---- records ---- */

#define RECORDS(more) BASE "[hub.records]\nfolder = \"/records\"\n" more

TEST(without_records_the_hub_says_that_there_are_none) {
    struct fleet *f = *state;
    fleet_shows(f, "/insights/records", "enabled", "false");
    fleet_shows(f, "/insights/records", "value/0", NULL);
}

TEST(records_come_the_newest_first) {
    struct fleet *f = *state;
    takes(f, RECORDS(""));
    fleet_call(f, SK_HTTP_GET, "/devices/d1", NULL);
    fleet_call(f, SK_HTTP_GET, "/devices/none", NULL);
    fleet_call(f, SK_HTTP_GET, "/twins/d2", NULL);
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/insights/records", "enabled", "true");
    fleet_shows(f, "/insights/records", "value/0/operationName", "\"listRecords\"");
    fleet_shows(f, "/insights/records?category=c2dtwinoperations", "value/0/operationName",
                "\"read\"");
    fleet_shows(f, "/insights/records?category=C2DTwinOperations", "value/1", NULL);
    fleet_shows(f, "/insights/records?level=Error", "value/0/resultType", "\"404001\"");
    fleet_shows(f, "/insights/records?level=Error", "value/1", NULL);
    fleet_shows(f, "/insights/records?identity=none", "value/0/level", "\"Error\"");
    fleet_shows(f, "/insights/records?identity=owner&operation=get", "value/1/level",
                "\"Information\"");
    fleet_shows(f, "/insights/records?identity=d1/none", "value/0", NULL);
    fleet_shows(f, "/insights/records?to=NOW-PT1H", "value/0", NULL);
    fleet_shows(f, "/insights/records?operation=get&from=NOW-PT1H", "value/1/operationName",
                "\"get\"");
    sk_sim_run(f->sim, 10 * SK_S);
    fleet_shows(f, "/insights/records?operation=get&from=NOW-PT5S", "value/0", NULL);
    is_refused(f, "/insights/records?from=then", "from and to are times");
}

/* All pages, behind each other; how many records of `operation=get` there are. */
static unsigned count_pages(struct fleet *f, unsigned *pages) {
    struct sk_buffer headers = {0};
    unsigned count = 0;
    char last[64] = "";
    *pages = 0;
    sk_buffer_text(&headers, "x-ms-max-item-count: 100\r\n");
    for (;;) {
        struct raw_answer answer;
        sk_buffer_byte(&headers, 0);
        raw_asks(f,
                 &(struct raw_ask){.target = "/insights/records" VERSION "&operation=get",
                                   .headers = headers.p},
                 &answer);
        assert_int_equal(answer.parser.status, 200);
        json_t *json = sk_json_load(sk_buffer_span(&answer.parser.body), 0, NULL), *record;
        size_t i;
        json_array_foreach(json_object_get(json, "value"), i, record) {
            const char *time = json_string_value(json_object_get(record, "time"));
            assert_true(last[0] == 0 || strcmp(time, last) <= 0);
            snprintf(last, sizeof last, "%s", time);
            count++;
        }
        assert_true(json_array_size(json_object_get(json, "value")) <= 100);
        json_decref(json);
        (*pages)++;
        struct sk_span next = sk_http_header(&answer.parser, "x-ms-continuation");
        headers.n = 0;
        sk_buffer_print(&headers, "x-ms-max-item-count: 100\r\nx-ms-continuation: %.*s\r\n",
                        SK_ARG(next));
        bool more = next.n > 0;
        sk_http_parser_free(&answer.parser);
        if (!more) break;
    }
    sk_buffer_free(&headers);
    return count;
}

static unsigned lines_in(struct fleet *f, const char *path) {
    struct sk_buffer text = {0};
    unsigned lines = 0;
    if (sk_file_load(f->hub_io, path, &text)) return 0;
    for (size_t i = 0; i + 21 < text.n; i++)
        lines += memcmp(text.p + i, "\"operationName\":\"get\"", 21) == 0;
    sk_buffer_free(&text);
    return lines;
}

TEST(pages_go_through_all_files_and_miss_nothing) {
    struct fleet *f = *state;
    unsigned pages;
    takes(f, RECORDS("file_bytes = 65536\nfiles = 3\n"));
    for (unsigned i = 0; i < 1200; i++) fleet_call(f, SK_HTTP_GET, "/devices/d1", NULL);
    sk_sim_run(f->sim, SK_S);
    unsigned kept = lines_in(f, "/records/test.jsonl") + lines_in(f, "/records/test.1.jsonl") +
                    lines_in(f, "/records/test.2.jsonl");
    assert_in_range(kept, 300, 600);
    assert_int_equal(count_pages(f, &pages), kept);
    assert_in_range(pages, kept / 100 + 1, kept / 100 + 2);
}

TEST(a_page_of_files_that_are_gone_begins_anew) {
    struct fleet *f = *state;
    takes(f, RECORDS("file_bytes = 65536\nfiles = 2\n"));
    sk_sim_run(f->sim, SK_S);
    is_refused(f, "/insights/records?continuationToken=17.0", "begin with the newest");
    is_refused(f, "/insights/records?continuationToken=x", "begin with the newest");
    is_refused(f, "/insights/records?continuationToken=99999999999999999.5",
               "begin with the newest");
}

TEST(who_has_not_all_rights_reads_no_records) {
    struct fleet *f = *state;
    takes(f, RECORDS(""));
    raw_gets(f, &(struct raw_ask){.target = "/insights/records" VERSION, .policy = "reader"}, 401,
             "IotHubUnauthorizedAccess", "");
    struct raw_answer answer;
    raw_asks(f,
             &(struct raw_ask){.target = "/insights/metrics" VERSION "&metricnames=jobs.failed",
                               .policy = "reader"},
             &answer);
    assert_int_equal(answer.parser.status, 200);
    sk_http_parser_free(&answer.parser);
}

static void written(void *arg, enum sk_status status) {
    (void)arg;
    assert_int_equal(status, SK_OK);
}

/* What a crash has left of a line, and what is none, is not told. */
TEST(a_line_that_is_torn_is_passed_over) {
    struct fleet *f = *state;
    static char text[200000];
    takes(f, RECORDS(""));
    fleet_call(f, SK_HTTP_GET, "/devices/d1", NULL);
    sk_sim_run(f->sim, SK_S);
    struct sk_buffer whole = {0};
    assert_int_equal(sk_file_load(f->hub_io, "/records/test.jsonl", &whole), SK_OK);
    takes(f, BASE);
    sk_sim_run(f->sim, SK_S);
    memset(text, 'x', sizeof text); /* longer than any record */
    sk_buffer_append(&whole, sk_span(text, sizeof text));
    sk_buffer_text(&whole, "\n{\"time\":\"2026-");
    struct sk_file *file;
    assert_int_equal(sk_file_open(f->hub_io, "/records/test.jsonl", SK_FILE_CREATE, &file), SK_OK);
    sk_file_write_sync(file, 0, sk_buffer_span(&whole), written, NULL);
    sk_sim_run(f->sim, SK_S);
    sk_file_close(file);
    takes(f, RECORDS(""));
    fleet_shows(f, "/insights/records?operation=get", "value/0/operationName", "\"get\"");
    fleet_shows(f, "/insights/records?operation=get", "value/1", NULL);
    sk_buffer_free(&whole);
}
