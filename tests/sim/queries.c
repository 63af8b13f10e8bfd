/* Queries and bulk operations over REST. */
#include "expr/query.h"
#include "support/raw_http.h"
#include "support/test.h"

AROUND(fleet_new_world, fleet_free_world);

static void site(struct fleet *f, const char *device, const char *tags) {
    char path[100], body[200];
    snprintf(path, sizeof path, "/twins/%s", device);
    snprintf(body, sizeof body, "{\"tags\":%s}", tags);
    fleet_put_device(f, device, "");
    fleet_call(f, SK_HTTP_PATCH, path, body);
    assert_int_equal(f->status, 200);
}

/* All pages of a query, two rows each, as one array; the item type of each is checked. */
static json_t *pages(struct fleet *f, const char *query, const char *type, bool restart) {
    char line[300] = "x-ms-max-item-count: 2\r\n", body[500];
    json_t *all = json_array();
    snprintf(body, sizeof body, "{\"query\":\"%s\"}", query);
    while (line[0]) {
        struct raw_answer answer;
        raw_asks(f,
                 &(struct raw_ask){.method = "POST",
                                   .target = "/devices/query" VERSION,
                                   .body = sk_span_z(body),
                                   .headers = line},
                 &answer);
        struct sk_span text = sk_buffer_span(&answer.parser.body);
        if (answer.parser.status != 200) fail_msg("%s: %.*s", query, SK_ARG(text));
        struct sk_span found = sk_http_header(&answer.parser, "x-ms-item-type");
        if (!sk_span_is(found, type)) fail_msg("%s: item type %.*s", query, SK_ARG(found));
        json_t *page = json_loadb(text.p, text.n, 0, NULL);
        assert_true(json_array_size(page) <= 2);
        json_array_extend(all, page);
        json_decref(page);
        struct sk_span next = sk_http_header(&answer.parser, "x-ms-continuation");
        line[0] = 0;
        if (next.n)
            snprintf(line, sizeof line, "x-ms-max-item-count: 2\r\nx-ms-continuation: %.*s\r\n",
                     SK_ARG(next));
        sk_http_parser_free(&answer.parser);
        if (!restart) continue;
        fleet_stop_hub(f);
        fleet_start_hub(f);
    }
    return all;
}

static void gives(struct fleet *f, const char *query, const char *type, const char *expected) {
    json_t *all = pages(f, query, type, false);
    char *text = json_dumps(all, JSON_COMPACT);
    if (strcmp(text, expected) != 0) fail_msg("%s: %s, not %s", query, text, expected);
    free(text);
    json_decref(all);
}

static void make_sites(struct fleet *f) {
    site(f, "s1", "{\"site\":\"north\",\"t\":20}");
    site(f, "s2", "{\"site\":\"south\",\"t\":30}");
    site(f, "s3", "{\"site\":\"north\",\"t\":40}");
    site(f, "s4", "{\"site\":\"east\",\"t\":\"hot\"}");
    site(f, "s5", "{\"site\":\"west\",\"big\":1e300,\"flag\":true}");
}

TEST(projections_and_groups_come_in_pages_of_raw_rows) {
    struct fleet *f = *state;
    make_sites(f);
    gives(
        f, "SELECT deviceId, tags.t AS t FROM devices WHERE tags.t >= 20", "Raw",
        "[{\"deviceId\":\"s1\",\"t\":20},{\"deviceId\":\"s2\",\"t\":30},{\"deviceId\":\"s3\",\"t\":"
        "40}]");
    gives(
        f,
        "SELECT tags.site AS site, COUNT() AS n FROM devices WHERE IS_DEFINED(tags.site) GROUP BY "
        "tags.site",
        "Raw",
        "[{\"site\":\"north\",\"n\":2},{\"site\":\"south\",\"n\":1},{\"site\":\"east\",\"n\":1},{"
        "\"site\":\"west\",\"n\":1}]");
    gives(f,
          "SELECT TOP 3 tags.site AS site FROM devices WHERE IS_DEFINED(tags.site) GROUP BY "
          "tags.site",
          "Raw", "[{\"site\":\"north\"},{\"site\":\"south\"},{\"site\":\"east\"}]");
    gives(f, "SELECT COUNT() AS n, SUM(tags.t) AS sum FROM devices", "Raw",
          "[{\"n\":7,\"sum\":90}]");
    gives(f, "SELECT COUNT() AS n FROM devices.modules", "Raw", "[{\"n\":0}]");
}

TEST(a_condition_that_can_be_looked_up_selects_what_it_always_did) {
    struct fleet *f = *state;
    make_sites(f);
    static const struct {
        const char *condition, *found;
    } cases[] = {
        {"deviceId = 's2'", "s2"},
        {"'s2' = deviceId AND tags.t = 30", "s2"},
        {"deviceId IN ['s3', 's1', 'nobody']", "s1 s3"},
        {"deviceId = 's2' OR deviceId = 's4'", "s2 s4"},
        {"NOT deviceId = 's2' AND tags.site = 'north'", "s1 s3"},
        {"tags.site = 'north'", "s1 s3"},
        {"tags.site = 'north' AND tags.t > 20", "s3"},
        {"(tags.site IN ['south', 'east'])", "s2 s4"},
        {"tags.site = 'north' AND tags.site = 'south'", ""},
        {"tags.t = 20.0", "s1"},
        {"tags.t = 'hot'", "s4"},
        {"tags.big = 1e300", "s5"},
        {"tags.flag = true", "s5"},
        {"tags.flag = 1", ""},
        {"tags.nothing = null", ""},
        {"deviceId = 5", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char query[300], found[200] = "";
        snprintf(query, sizeof query, "SELECT * FROM devices WHERE %s", cases[i].condition);
        json_t *all = pages(f, query, "Twin", false);
        for (size_t at = 0; at < json_array_size(all); at++)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s", at ? " " : "",
                     json_string_value(json_object_get(json_array_get(all, at), "deviceId")));
        if (strcmp(found, cases[i].found) != 0)
            fail_msg("%s: %s, not %s", cases[i].condition, found, cases[i].found);
        json_decref(all);
    }
}

/* What the evaluator says of the twins that the service shows: ids with spaces between. */
static void expect_of(const json_t *twins, const char *condition, char found[400]) {
    char text[400];
    struct sk_query query;
    struct sk_expr_error error;
    struct sk_arena arena = {0};
    size_t i;
    json_t *twin;
    snprintf(text, sizeof text, "SELECT * FROM devices WHERE %s", condition);
    if (sk_query_parse(sk_span_z(text), &query, &error))
        fail_msg("%s: column %u: %s", condition, error.column, error.sentence);
    found[0] = 0;
    json_array_foreach((json_t *)twins, i, twin) {
        const struct sk_expr_source source = {.document = twin};
        if (!sk_query_selects(&query, &source, &arena)) continue;
        size_t n = strlen(found);
        snprintf(found + n, 400 - n, "%s ", json_string_value(json_object_get(twin, "deviceId")));
    }
    sk_query_free(&query);
    sk_arena_free(&arena);
}

TEST(twins_are_selected_where_they_are_kept_as_the_service_shows_them) {
    struct fleet *f = *state;
    make_sites(f);
    fleet_call(
        f, SK_HTTP_PATCH, "/twins/s1",
        "{\"properties\":{\"desired\":{\"a\":{\"b\":[1,{\"c\":\"x\"}]},\"q\":\"\\\"\\u00e9\"}}}");
    fleet_call(f, SK_HTTP_PATCH, "/twins/s2", "{\"tags\":null}");
    fleet_put(f, "/devices/s6",
              "{\"deviceId\":\"s6\",\"status\":\"disabled\",\"statusReason\":\"why\","
              "\"capabilities\":{\"iotEdge\":true}}");
    json_t *twins = pages(f, "SELECT * FROM devices", "Twin", false);
    static const char *const conditions[] = {
        "deviceId = 's1'",
        "STARTSWITH(deviceId, 's')",
        "IS_DEFINED(moduleId)",
        "IS_DEFINED(tags)",
        "NOT IS_DEFINED(tags)",
        "IS_DEFINED(tags.site)",
        "IS_OBJECT(properties)",
        "IS_OBJECT(properties.desired)",
        "IS_OBJECT(properties.desired.$metadata)",
        "IS_DEFINED(properties.desired.a)",
        "properties.desired.a.b[1].c = 'x'",
        "properties.desired.a.b[0] = 1",
        "IS_ARRAY(properties.desired.a.b)",
        "properties.desired.q = '\\\"\\u00e9'",
        "properties.desired.$version = 2",
        "properties.reported.$version = 1",
        "IS_DEFINED(properties.desired.$metadata.a.b.$lastUpdated)",
        "properties.desired.$metadata.$lastUpdated > '2000-01-01'",
        "properties.reported.$metadata.$lastUpdated < '2000-01-01'",
        "status = 'disabled'",
        "statusReason = 'why'",
        "connectionState = 'Disconnected'",
        "lastActivityTime < '2000-01-01'",
        "cloudToDeviceMessageCount = 0",
        "authenticationType = 'sas'",
        "x509Thumbprint.primaryThumbprint = null",
        "capabilities.iotEdge = true",
        "IS_DEFINED(deviceScope)",
        "IS_DEFINED(parentScopes[0])",
        "IS_OBJECT(configurations)",
        "IS_DEFINED(configurations.[[c]])",
        "version > 2",
        "etag = 'AAAAAAAAAAE='",
        "IS_STRING(deviceEtag)",
        "modelId = ''",
        "tags.t > 20 OR status = 'disabled'",
    };
    for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++) {
        char query[400], expected[400], found[400] = "";
        struct sk_buffer escaped = {0};
        expect_of(twins, conditions[i], expected);
        for (const char *c = conditions[i]; *c; c++) {
            if (*c == '"' || *c == '\\') sk_buffer_byte(&escaped, '\\');
            sk_buffer_byte(&escaped, (uint8_t)*c);
        }
        snprintf(query, sizeof query, "SELECT deviceId FROM devices WHERE %.*s",
                 SK_ARG(sk_buffer_span(&escaped)));
        json_t *all = pages(f, query, "Raw", false);
        for (size_t at = 0; at < json_array_size(all); at++) {
            size_t n = strlen(found);
            snprintf(found + n, sizeof found - n, "%s ",
                     json_string_value(json_object_get(json_array_get(all, at), "deviceId")));
        }
        if (strcmp(found, expected) != 0)
            fail_msg("%s: %s, not %s", conditions[i], found, expected);
        json_decref(all);
        sk_buffer_free(&escaped);
    }
    json_decref(twins);
}

TEST(groups_are_gathered_of_twins_where_they_are_kept) {
    struct fleet *f = *state;
    make_sites(f);
    gives(f,
          "SELECT tags AS tags, COUNT() AS n, MAX(deviceId) AS last FROM devices WHERE tags.t < 40 "
          "GROUP BY tags",
          "Raw",
          "[{\"tags\":{\"site\":\"north\",\"t\":20},\"n\":1,\"last\":\"s1\"},{\"tags\":{\"site\":"
          "\"south\",\"t\":30},\"n\":1,\"last\":\"s2\"}]");
    gives(f, "SELECT status AS s, COUNT() AS n FROM devices GROUP BY status", "Raw",
          "[{\"s\":\"enabled\",\"n\":7}]");
}

TEST(a_continuation_is_as_good_after_a_restart) {
    struct fleet *f = *state;
    make_sites(f);
    json_t *all = pages(f, "SELECT * FROM devices WHERE tags.site != 'east'", "Twin", true);
    assert_int_equal(json_array_size(all), 4); /* d1 and d2 have no site: undefined, not unequal */
    json_decref(all);
}

TEST(explain_tells_how_a_query_is_read) {
    struct fleet *f = *state;
    json_t *all = pages(f, "EXPLAIN SELECT * FROM devices WHERE deviceId = 'd1'", "Raw", false);
    assert_int_equal(json_array_size(all), 1);
    assert_string_equal(json_string_value(fleet_member(all, "0/from")), "devices");
    assert_string_equal(json_string_value(fleet_member(all, "0/reads")), "those with these ids");
    json_decref(all);
    all = pages(f, "EXPLAIN SELECT COUNT() AS n FROM devices WHERE tags.a.b = 'x' AND tags.c > 1",
                "Raw", false);
    assert_string_equal(json_string_value(fleet_member(all, "0/lookedUp/0")), "tags.\"c\"");
    assert_string_equal(json_string_value(fleet_member(all, "0/lookedUp/1")), "tags.\"a\".\"b\"");
    assert_int_equal(json_array_size(fleet_member(all, "0/lookedUp")), 2);
    json_decref(all);
    all =
        pages(f, "EXPLAIN SELECT * FROM devices WHERE tags.c > 1 AND tags.c <= 5 AND tags.d > 'x'",
              "Raw", false);
    assert_int_equal(json_array_size(fleet_member(all, "0/lookedUp")), 1); /* one range */
    json_decref(all);
    all = pages(f, "EXPLAIN SELECT * FROM devices.jobs WHERE jobId = 'j'", "Raw", false);
    assert_string_equal(json_string_value(fleet_member(all, "0/reads")), "the rows of one job");
    json_decref(all);
}

/* ---- bulk operations ---- */

static void bulk(struct fleet *f, const char *body, unsigned status) {
    fleet_call(f, SK_HTTP_POST, "/devices", body);
    if (f->status != status) fail_msg("%u %s", f->status, f->answer);
}

TEST(many_identities_are_made_changed_and_deleted_at_once) {
    struct fleet *f = *state;
    bulk(f,
         "[{\"id\":\"b1\",\"importMode\":\"create\",\"status\":\"disabled\",\"tags\":{\"a\":1}},"
         "{\"id\":\"b2\",\"importMode\":\"Create\",\"capabilities\":{\"iotEdge\":true}},"
         "{\"id\":\"b1\",\"moduleId\":\"m\",\"importMode\":\"createOrUpdate\"}]",
         200);
    assert_string_equal(f->answer, "{\"isSuccessful\":true,\"errors\":[],\"warnings\":[]}");
    fleet_shows(f, "/devices/b1", "status", "\"disabled\"");
    fleet_shows(f, "/twins/b1", "tags", "{\"a\":1}");
    fleet_shows(f, "/devices/b2", "capabilities/iotEdge", "true");
    fleet_shows(f, "/devices/b1/modules/m", "moduleId", "\"m\"");
    bulk(f,
         "[{\"id\":\"b1\",\"importMode\":\"Update\",\"status\":\"enabled\"},"
         "{\"id\":\"b2\",\"importMode\":\"updateTwin\",\"properties\":{\"desired\":{\"x\":2}}}]",
         200);
    fleet_shows(f, "/devices/b1", "status", "\"enabled\"");
    fleet_shows(f, "/twins/b2", "properties/desired/x", "2");
    bulk(f, "[{\"id\":\"b1\",\"importMode\":\"Delete\"},{\"id\":\"b2\",\"importMode\":\"delete\"}]",
         200);
    raw_gets(f, &(struct raw_ask){.target = "/devices/b1" VERSION}, 404, "DeviceNotFound", "");
}

TEST(what_fails_in_bulk_is_told_of_each_and_the_others_are_done) {
    struct fleet *f = *state;
    bulk(f,
         "[{\"id\":\"d1\",\"importMode\":\"create\"},{\"id\":\"new\",\"importMode\":\"create\"},"
         "{\"id\":\"nobody\",\"importMode\":\"update\"},{\"id\":\"a/b\",\"importMode\":\"create\"},"
         "{\"id\":\"d1\",\"importMode\":\"updateIfMatchETag\",\"eTag\":\"bm8=\"},"
         "{\"id\":\"d2\",\"importMode\":\"explode\"},{\"importMode\":\"create\"},7,"
         "{\"id\":\"tagged\",\"importMode\":\"create\",\"tags\":{\"a.b\":1}}]",
         400);
    json_t *json = json_loads(f->answer, 0, NULL);
    static const char *const codes[] = {
        "ArgumentInvalid", "ArgumentInvalid",     "ArgumentInvalid", "ArgumentInvalid",
        "ArgumentInvalid", "DeviceAlreadyExists", "DeviceNotFound",  "PreconditionFailed"};
    size_t found = 0;
    assert_true(json_is_false(json_object_get(json, "isSuccessful")));
    assert_int_equal(json_array_size(json_object_get(json, "errors")), 8);
    for (size_t i = 0; i < 8; i++) {
        const json_t *error = json_array_get(json_object_get(json, "errors"), i);
        const char *code = json_string_value(json_object_get(error, "errorCode"));
        for (size_t j = 0; j < 8 && code; j++)
            if (strcmp(codes[j], code) == 0) {
                found++;
                break;
            }
        assert_true(strlen(json_string_value(json_object_get(error, "errorStatus"))) > 0);
    }
    assert_int_equal(found, 8);
    json_decref(json);
    fleet_shows(f, "/devices/new", "deviceId", "\"new\"");
}

TEST(a_hundred_identities_go_at_once_and_not_one_more) {
    struct fleet *f = *state;
    for (unsigned count = 100; count <= 101; count++) {
        struct sk_buffer body = {0};
        for (unsigned i = 0; i < count; i++)
            sk_buffer_print(&body, "%c{\"id\":\"b%u-%u\",\"importMode\":\"create\"}", i ? ',' : '[',
                            count, i);
        sk_buffer_text(&body, "]");
        sk_buffer_byte(&body, 0);
        bulk(f, body.p, count == 100 ? 200 : 400);
        sk_buffer_free(&body);
    }
    bulk(f, "[]", 400);
    bulk(f, "{\"id\":\"b\"}", 400);
    raw_gets(f,
             &(struct raw_ask){.method = "POST",
                               .target = "/devices" VERSION,
                               .policy = "reader",
                               .body = sk_span_z("[{\"id\":\"b\"}]")},
             401, "IotHubUnauthorizedAccess", "");
}
