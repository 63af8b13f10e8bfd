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
    assert_true(sk_span_is(query.projection, "deviceId, COUNT() AS n"));
    assert_int_equal(query.from, SK_FROM_MODULES);
    assert_non_null(query.where);
    assert_true(sk_span_is(query.group, "deviceId"));
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
        {"SELECT * FROM devices GROUP BY", 30, "group by"},
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
