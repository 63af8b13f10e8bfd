#include "expr/query.h"
#include "support/test.h"

TEST(statements_are_taken_apart) {
    struct sk_query query;
    struct sk_expr_error error;
    assert_int_equal(sk_query_parse(SK_SPAN("SELECT * FROM devices"), &query, &error), SK_OK);
    assert_true(query.star);
    assert_int_equal(query.from, SK_FROM_DEVICES);
    assert_null(query.where);
    sk_query_free(&query);

    assert_int_equal(
        sk_query_parse(
            SK_SPAN(
                "select top 5 deviceId, COUNT() AS n from devices.modules where tags.a = 'FROM' "
                "group by deviceId "),
            &query, &error),
        SK_OK);
    assert_false(query.star);
    assert_int_equal(query.top, 5);
    assert_int_equal(query.item_count, 2);
    assert_int_equal(query.items[0].aggregate, SK_AGGREGATE_NONE);
    assert_true(sk_span_is(query.items[0].name, "deviceId"));
    assert_int_equal(query.items[1].aggregate, SK_AGGREGATE_COUNT);
    assert_true(sk_span_is(query.items[1].name, "n"));
    assert_int_equal(query.from, SK_FROM_MODULES);
    assert_non_null(query.where);
    assert_int_equal(query.group_count, 1);
    assert_true(query.grouped);
    sk_query_free(&query);

    assert_int_equal(sk_query_parse(SK_SPAN("SELECT * FROM devices.jobs"), &query, &error), SK_OK);
    assert_int_equal(query.from, SK_FROM_JOBS);
    sk_query_free(&query);
}

TEST(a_condition_is_evaluated_on_a_twin) {
    struct sk_query query;
    struct sk_arena arena = {0};
    assert_int_equal(
        sk_query_parse(SK_SPAN("SELECT * FROM devices WHERE tags.location.region = 'US' AND "
                               "properties.reported.t.f >= 60"),
                       &query, NULL),
        SK_OK);
    struct sk_expr_source twin = {.twin =
                                      SK_SPAN("{\"tags\":{\"location\":{\"region\":\"US\"}},"
                                              "\"properties\":{\"reported\":{\"t\":{\"f\":60}}}}")};
    assert_true(sk_expr_true(query.where, &twin, &arena));
    twin.twin = SK_SPAN("{\"tags\":{}}");
    assert_false(sk_expr_true(query.where, &twin, &arena));
    sk_query_free(&query);
    sk_arena_free(&arena);
}

static void finds(const char *statement, bool wanted) {
    static const struct sk_expr_source twin = {
        .twin = {
            "{\"deviceId\":\"q-01\",\"moduleId\":\"m\",\"modelId\":\"dtmi:a;1\",\"tags\":{\"x\":"
            "{\"tags\":7}},\"properties\":{\"desired\":{\"t\":21.1,\"n\":4},\"reported\":{}}}",
            135}};
    struct sk_query query;
    struct sk_expr_error error;
    struct sk_arena arena = {0};
    if (sk_query_parse(sk_span_z(statement), &query, &error))
        fail_msg("%s: column %u: %s", statement, error.column, error.sentence);
    if (sk_expr_true(query.where, &twin, &arena) != wanted) fail_msg("%s", statement);
    sk_query_free(&query);
    sk_arena_free(&arena);
}

TEST(names_may_begin_with_their_collection_or_its_alias) {
    static const char *const found[] = {
        "SELECT * FROM devices WHERE devices.deviceId = 'q-01'",
        "SELECT * FROM devices WHERE devices.tags.x.tags = 7",
        "SELECT * FROM devices WHERE DEVICES.properties.desired.t = 21.1 AND tags.x.tags = 7",
        "SELECT * FROM devices d WHERE d.tags.x.tags = 7 AND deviceId = 'q-01'",
        "SELECT * FROM devices AS d WHERE d.deviceId = 'q-01' AND devices.tags.x.tags = 7",
        "SELECT * FROM devices AS tags WHERE tags.tags.x.tags = 7",
        "SELECT * FROM devices.modules WHERE devices.modules.moduleId = 'm'",
        "SELECT * FROM devices.modules WHERE devices.moduleId = 'm'",
        "SELECT * FROM devices.modules m WHERE m.moduleId = 'm' AND IS_DEFINED(m.tags.x)",
        "SELECT * FROM devices WHERE devices.modelId = 'dtmi:a;1'",
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) finds(found[i], true);
}

TEST(ids_are_found_by_their_beginning_and_their_end) {
    finds("SELECT * FROM devices WHERE STARTSWITH(deviceId, 'q-')", true);
    finds("SELECT * FROM devices WHERE startswith(devices.deviceId, 'q-')", true);
    finds("SELECT * FROM devices WHERE STARTSWITH(deviceId, '-0')", false);
    finds("SELECT * FROM devices WHERE STARTSWITH(deviceId, '')", true);
    finds("SELECT * FROM devices WHERE STARTSWITH(deviceId, 'q-011')", false);
    finds("SELECT * FROM devices WHERE ENDSWITH(deviceId, '01')", true);
    finds("SELECT * FROM devices WHERE NOT ENDSWITH(deviceId, '02')", true);
    finds("SELECT * FROM devices WHERE STARTS_WITH(deviceId, 'q') AND ENDS_WITH(deviceId, '1')",
          true);
    finds("SELECT * FROM devices WHERE STARTSWITH(tags.x, 'q')", false); /* an object */
}

TEST(bad_statements_tell_the_place_and_the_reason) {
    static const struct {
        const char *text;
        size_t position;
        const char *part;
    } cases[] = {
        {"", 0, "SELECT"},
        {"UPDATE x", 0, "SELECT"},
        {"SELECT FROM devices", 7, "\"*\" or a list"},
        {"SELECT *", 8, "FROM"},
        {"SELECT TOP 0 * FROM devices", 11, "TOP"},
        {"SELECT TOP x FROM devices", 11, "TOP"},
        {"SELECT * FROM", 13, "devices"},
        {"SELECT * FROM twins", 14, "devices"},
        {"SELECT * FROM devices.x", 22, "devices"},
        {"SELECT * FROM devices x y", 24, "WHERE, GROUP BY or the end"},
        {"SELECT * FROM devices AS", 24, "a name behind AS"},
        {"SELECT * FROM devices WHERE", 27, "a value"},
        {"SELECT * FROM devices WHERE tags.a = 1 b", 39, "an operator"},
        {"SELECT * FROM devices GROUP x", 28, "BY"},
        {"SELECT * FROM devices GROUP BY", 30, "a value"},
        {"SELECT 'x FROM devices", 7, "no end"},
        {"SELECT * FROM devices WHERE device.tags.a = 1", 28, "device is no part of a twin"},
        {"SELECT * FROM devices WHERE location = 1", 28, "tags.location"},
        {"SELECT * FROM devices WHERE jobs.status = 1", 28, "jobs"},
        {"SELECT * FROM devices d WHERE e.tags.a = 1", 30, "e is no part"},
        {"SELECT * FROM devices WHERE devices.modules.tags.a = 1", 28, "modules is no part"},
        {"SELECT * FROM devices WHERE IS_DEFINED(tag.a)", 39, "tag is no part"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_query query;
        struct sk_expr_error error;
        if (sk_query_parse(sk_span_z(cases[i].text), &query, &error) != SK_MALFORMED)
            fail_msg("taken: %s", cases[i].text);
        if (error.position != cases[i].position || strstr(error.sentence, cases[i].part) == NULL)
            fail_msg("%s: at %zu \"%s\"", cases[i].text, error.position, error.sentence);
    }
}

/* ---- rows ---- */

/* Four twins of two sites; the last has reported nothing. */
static const char *const twins[] = {
    "{\"deviceId\":\"a\",\"tags\":{\"site\":\"north\",\"floors\":[1,{\"n\":2}]},"
    "\"properties\":{\"reported\":{\"t\":20,\"from\":{\"odd key\":true}}}}",
    "{\"deviceId\":\"b\",\"tags\":{\"site\":\"south\"},\"properties\":{\"reported\":{\"t\":21.5}}}",
    "{\"deviceId\":\"c\",\"tags\":{\"site\":\"north\"},\"properties\":{\"reported\":"
    "{\"t\":\"hot\"}}}",
    "{\"deviceId\":\"d\",\"tags\":{\"site\":null},\"properties\":{\"reported\":{}}}"};

static void gives(const char *statement, const char *expected) {
    struct sk_query query;
    struct sk_expr_error error;
    struct sk_arena arena = {0};
    if (sk_query_parse(sk_span_z(statement), &query, &error))
        fail_msg("%s: column %u: %s", statement, error.column, error.sentence);
    struct sk_select *select = query.grouped ? sk_select_new(&query) : NULL;
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof twins / sizeof *twins; i++) {
        json_t *twin = json_loads(twins[i], 0, NULL);
        const struct sk_expr_source source = {.document = twin};
        if (sk_query_selects(&query, &source, &arena)) {
            if (select)
                assert_int_equal(sk_select_add(select, &source, &arena), SK_OK);
            else
                json_array_append_new(rows, sk_query_row(&query, twin, &arena));
        }
        json_decref(twin);
    }
    for (size_t i = 0; select && i < sk_select_count(select); i++)
        json_array_append_new(rows, sk_select_row(select, i));
    char *text = json_dumps(rows, JSON_COMPACT);
    if (strcmp(text, expected) != 0) fail_msg("%s: %s, not %s", statement, text, expected);
    free(text);
    json_decref(rows);
    sk_select_free(select);
    sk_query_free(&query);
    sk_arena_free(&arena);
}

TEST(a_row_has_what_is_selected_under_its_name) {
    gives("SELECT deviceId FROM devices WHERE tags.site = 'south'", "[{\"deviceId\":\"b\"}]");
    gives("SELECT DeviceID, properties.reported.t AS temperature FROM devices WHERE deviceId = 'a'",
          "[{\"deviceId\":\"a\",\"temperature\":20}]");
    gives("SELECT tags FROM devices WHERE deviceId = 'b'", "[{\"tags\":{\"site\":\"south\"}}]");
    gives("SELECT properties.reported.t FROM devices WHERE tags.site = null", "[{}]");
    gives("SELECT tags.floors[1].n AS n, tags.floors FROM devices WHERE deviceId = 'a'",
          "[{\"n\":2,\"floors\":[1,{\"n\":2}]}]");
    gives("SELECT properties.reported.from.[[odd key]] FROM devices WHERE deviceId = 'a'",
          "[{\"odd key\":true}]");
    gives("SELECT properties.reported.t * 2 AS twice, UPPER(tags.site) AS s FROM devices WHERE "
          "IS_NUMBER(properties.reported.t)",
          "[{\"twice\":40,\"s\":\"NORTH\"},{\"twice\":43,\"s\":\"SOUTH\"}]");
    gives("SELECT d.deviceId FROM devices AS d WHERE d.tags.site IN ['south', null]",
          "[{\"deviceId\":\"b\"},{\"deviceId\":\"d\"}]");
}

TEST(aggregates_are_of_what_makes_sense_to_them) {
    gives("SELECT COUNT() AS n, COUNT(properties.reported.t) AS with, SUM(properties.reported.t) "
          "AS sum, AVG(properties.reported.t) AS avg, MIN(properties.reported.t) AS min, "
          "MAX(deviceId) AS max FROM devices",
          "[{\"n\":4,\"with\":3,\"sum\":41.5,\"avg\":20.75,\"min\":20,\"max\":\"d\"}]");
    gives("SELECT COUNT(*), AVG(tags.nothing), SUM(tags.nothing) FROM devices WHERE deviceId = 'x'",
          "[{\"count\":0,\"sum\":0}]");
}

TEST(groups_are_told_apart_by_their_values_null_and_nothing_too) {
    gives("SELECT tags.site AS site, COUNT() AS n FROM devices GROUP BY tags.site",
          "[{\"site\":\"north\",\"n\":2},{\"site\":\"south\",\"n\":1},{\"site\":null,\"n\":1}]");
    gives("SELECT COUNT() AS n, properties.reported.t FROM devices WHERE NOT IS_STRING("
          "properties.reported.t) GROUP BY tags.site, properties.reported.t",
          "[{\"n\":1,\"t\":20},{\"n\":1,\"t\":21.5},{\"n\":1}]");
    gives("SELECT COUNT() AS n FROM devices WHERE deviceId = 'x' GROUP BY tags.site", "[]");
}

static void refused_at(const char *statement, unsigned column, const char *sentence) {
    struct sk_query query;
    struct sk_expr_error error;
    if (sk_query_parse(sk_span_z(statement), &query, &error) == SK_OK)
        fail_msg("%s: it was taken", statement);
    if (error.column != column || strstr(error.sentence, sentence) == NULL)
        fail_msg("%s: column %u: %s", statement, error.column, error.sentence);
}

TEST(what_cannot_be_selected_is_refused_with_its_place) {
    refused_at("SELECT FROM devices", 8, "a list");
    refused_at("SELECT deviceId, FROM devices", 18, "expected a value");
    refused_at("SELECT deviceId x FROM devices", 17, "FROM");
    refused_at("SELECT *, deviceId FROM devices", 9, "FROM");
    refused_at("SELECT 1 + 1 FROM devices", 8, "AS name");
    refused_at("SELECT tags.a[0] FROM devices", 8, "AS name");
    refused_at("SELECT site FROM devices", 8, "tags.site");
    refused_at("SELECT COUNT(, deviceId FROM devices", 14, "expected a value");
    refused_at("SELECT COUNT(*, deviceId FROM devices", 15, "\")\"");
    refused_at("SELECT SUM() FROM devices", 12, "expected a value");
    refused_at("SELECT SUM(COUNT()) AS n FROM devices", 12, "no function COUNT");
    refused_at("SELECT deviceId, COUNT() AS n FROM devices", 8, "GROUP BY");
    refused_at("SELECT * FROM devices GROUP BY tags.a", 8, "instead of *");
    refused_at("SELECT deviceId AS FROM devices", 20, "name behind AS");
    refused_at("SELECT tags.a FROM devices GROUP tags.a", 34, "BY");
    refused_at("SELECT tags.a FROM devices GROUP BY", 36, "expected a value");
    refused_at("SELECT tags.a FROM devices ORDER BY tags.a", 28, "WHERE, GROUP BY");
}

TEST(sixty_four_values_are_selected_and_not_one_more) {
    for (unsigned count = 64; count <= 65; count++) {
        struct sk_buffer text = {0};
        struct sk_query query;
        sk_buffer_text(&text, "SELECT ");
        for (unsigned i = 0; i < count; i++) sk_buffer_print(&text, "%stags.a%u", i ? ", " : "", i);
        sk_buffer_text(&text, " FROM devices");
        enum sk_status status = sk_query_parse(sk_buffer_span(&text), &query, NULL);
        assert_int_equal(status, count == 64 ? SK_OK : SK_MALFORMED);
        sk_query_free(&query);
        sk_buffer_free(&text);
    }
}

TEST(ten_thousand_groups_are_gathered_and_not_one_more) {
    struct sk_query query;
    struct sk_arena arena = {0};
    assert_int_equal(
        sk_query_parse(SK_SPAN("SELECT COUNT() AS n FROM devices GROUP BY deviceId"), &query, NULL),
        SK_OK);
    struct sk_select *select = sk_select_new(&query);
    for (int i = 0; i <= SK_QUERY_GROUPS_MAX; i++) {
        json_t *twin = json_pack("{s:i}", "deviceId", i);
        const struct sk_expr_source source = {.document = twin};
        assert_int_equal(sk_select_add(select, &source, &arena),
                         i < SK_QUERY_GROUPS_MAX ? SK_OK : SK_TOO_LARGE);
        json_decref(twin);
    }
    assert_int_equal(sk_select_count(select), SK_QUERY_GROUPS_MAX);
    sk_select_free(select);
    sk_query_free(&query);
    sk_arena_free(&arena);
}

/* ---- what can be looked up ---- */

static void looks_up(const char *condition, const char *expected) {
    struct sk_query query;
    struct sk_expr_term terms[8];
    char statement[300], text[300] = "";
    snprintf(statement, sizeof statement, "SELECT * FROM devices WHERE %s", condition);
    if (sk_query_parse(sk_span_z(statement), &query, NULL)) fail_msg("%s", condition);
    size_t count = sk_expr_terms(query.where, terms, 8);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(text);
        const struct sk_json_step *last = &terms[i].path[terms[i].path_count - 1];
        snprintf(text + n, sizeof text - n, "%.*s%c%zu ", SK_ARG(last->key), ":><"[terms[i].how],
                 terms[i].value_count);
    }
    if (strcmp(text, expected) != 0) fail_msg("%s: %s, not %s", condition, text, expected);
    sk_query_free(&query);
}

TEST(only_what_must_hold_is_looked_up) {
    looks_up("deviceId = 'a'", "deviceId:1 ");
    looks_up("'a' = deviceId", "deviceId:1 ");
    looks_up("tags.a = 1 AND tags.b IN [1, 2] AND tags.c = true", "c:1 b:2 a:1 ");
    looks_up("tags.a = 1 AND (tags.b = 2 AND tags.c = 3)", "c:1 b:1 a:1 ");
    looks_up("tags.a = 1 OR tags.b = 2", "");
    looks_up("tags.a = 1 AND (tags.b = 2 OR tags.c = 3)", "a:1 ");
    looks_up("NOT tags.a = 1", "");
    looks_up("NOT (tags.a = 1 AND tags.b = 2) AND tags.c = 3", "c:1 ");
    looks_up("tags.a NIN [1] AND tags.b != 2", "");
    looks_up("tags.a > 1 AND tags.a <= 2 AND 3 > tags.b AND 4 <= tags.c", "c>1 b<1 a<1 a>1 ");
    looks_up("tags.a > 'x' AND tags.b < true AND NOT tags.c > 1", "");
    looks_up("tags.a > 1 OR tags.a < 0", "");
    looks_up("tags.a + 1 = 2 AND tags.b = -1", "");
    looks_up("(tags.a ?? 1) = 1", "");
    looks_up("tags.a = tags.b", "");
    looks_up("UPPER(tags.a) = 'X' AND STARTSWITH(deviceId, 'a') AND tags.b = 1", "b:1 ");
    looks_up("(tags.a = 1) = true", "");
    looks_up("tags.a IN []", "a:0 ");
}
