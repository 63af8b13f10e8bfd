#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "expr/query.h"

static void statements_are_taken_apart(void **state) {
    (void)state;
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
                "select top 5 deviceId, COUNT() AS n from devices.modules where tags.a = 'FROM' group by deviceId "),
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

static void a_condition_is_evaluated_on_a_twin(void **state) {
    (void)state;
    struct sk_query query;
    struct sk_arena arena = {0};
    assert_int_equal(
        sk_query_parse(
            SK_SPAN(
                "SELECT * FROM devices WHERE tags.location.region = 'US' AND properties.reported.t.f >= 60"),
            &query, NULL),
        SK_OK);
    struct sk_expr_source twin = {
        .twin = SK_SPAN(
            "{\"tags\":{\"location\":{\"region\":\"US\"}},\"properties\":{\"reported\":{\"t\":{\"f\":60}}}}")};
    assert_true(sk_expr_true(query.where, &twin, &arena));
    twin.twin = SK_SPAN("{\"tags\":{}}");
    assert_false(sk_expr_true(query.where, &twin, &arena));
    sk_query_free(&query);
    sk_arena_free(&arena);
}

static void bad_statements_tell_the_place_and_the_reason(void **state) {
    (void)state;
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
        {"SELECT * FROM devices x", 22, "WHERE, GROUP BY or the end"},
        {"SELECT * FROM devices WHERE", 27, "a value"},
        {"SELECT * FROM devices WHERE a = 1 b", 34, "an operator"},
        {"SELECT * FROM devices GROUP x", 28, "BY"},
        {"SELECT * FROM devices GROUP BY", 30, "group by"},
        {"SELECT 'x FROM devices", 7, "no end"},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements_are_taken_apart),
        cmocka_unit_test(a_condition_is_evaluated_on_a_twin),
        cmocka_unit_test(bad_statements_tell_the_place_and_the_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
