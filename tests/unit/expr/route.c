#include <stdio.h>

#include "expr/route.h"
#include "support/test.h"

TEST(routes_of_the_documentation_are_parsed) {
    struct sk_route route;
    struct sk_expr_error error;
    assert_int_equal(sk_route_parse(SK_SPAN("FROM /messages/* INTO $upstream"), &route, &error),
                     SK_OK);
    assert_true(sk_span_is(route.source, "/messages/*"));
    assert_int_equal(route.sink, SK_SINK_UPSTREAM);
    assert_null(route.condition);
    sk_route_free(&route);

    assert_int_equal(
        sk_route_parse(
            SK_SPAN(
                "select * from /messages/modules/tempSensor/outputs/out\n where $body.t > 30 AND "
                "a = 'INTO'\n"
                " into brokeredendpoint( \"/Modules/filter/INPUTS/in\" ) "),
            &route, &error),
        SK_OK);
    assert_int_equal(route.sink, SK_SINK_MODULE);
    assert_true(sk_span_is(route.module, "filter"));
    assert_true(sk_span_is(route.input, "in"));
    assert_non_null(route.condition);
    sk_route_free(&route);
}

TEST(sources_match_by_whole_segments_without_case) {
    static const struct {
        const char *source, *message;
        bool takes;
    } cases[] = {
        {"/*", "/messages/", true},
        {"/*", "/twinChangeNotifications/", true},
        {"/messages/*", "/messages/", true},
        {"/messages", "/messages/modules/m/", true},
        {"/messages/", "/messages/modules/m/outputs/o/", true},
        {"/messages/*", "/twinChangeNotifications/", false},
        {"/twinchangenotifications/*", "/twinChangeNotifications/", true},
        {"/messages/modules/*", "/messages/", false},
        {"/messages/modules/*", "/messages/modules/m/", true},
        {"/messages/modules/m/*", "/messages/modules/M/outputs/o/", true},
        {"/messages/modules/m", "/messages/modules/m2/", false},
        {"/messages/modules/m2", "/messages/modules/m/", false},
        {"/messages/modules/m/outputs/*", "/messages/modules/m/", false},
        {"/messages/modules/m/outputs/o", "/messages/modules/m/outputs/o/", true},
        {"/messages/modules/m/outputs/o", "/messages/modules/m/outputs/o2/", false},
        {"/messages/modules/*/outputs/o", "/messages/modules/m/outputs/o/", true},
        {"/messages/modules/*/outputs/o", "/messages/modules/m/outputs/p/", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_route route;
        struct sk_buffer text = {0};
        sk_buffer_print(&text, "FROM %s INTO $upstream", cases[i].source);
        assert_int_equal(sk_route_parse(sk_buffer_span(&text), &route, NULL), SK_OK);
        if (sk_route_takes(&route, sk_span_z(cases[i].message)) != cases[i].takes)
            fail_msg("%s takes %s", cases[i].source, cases[i].message);
        sk_route_free(&route);
        sk_buffer_free(&text);
    }
}

static bool property(void *arg, struct sk_span name, struct sk_span *value) {
    (void)arg;
    *value = SK_SPAN("high");
    return sk_span_eq_nocase(name, SK_SPAN("level"));
}

TEST(a_route_takes_a_message_when_its_condition_is_true) {
    struct sk_route route;
    struct sk_arena arena = {0};
    struct sk_expr_source message = {.property = property};
    assert_int_equal(sk_route_parse(SK_SPAN("FROM /messages/* WHERE level = 'high' INTO $upstream"),
                                    &route, NULL),
                     SK_OK);
    assert_true(sk_route_matches(&route, SK_SPAN("/messages/"), &message, &arena));
    assert_false(sk_route_matches(&route, SK_SPAN("/twinChangeNotifications/"), &message, &arena));
    message.property = NULL;
    assert_false(sk_route_matches(&route, SK_SPAN("/messages/"), &message, &arena));
    sk_route_free(&route);
    sk_arena_free(&arena);
}

TEST(a_slash_at_either_end_of_an_endpoint_does_not_matter) {
    static const char *const endpoints[] = {"/modules/m/inputs/i", "modules/m/inputs/i",
                                            "/modules/m/inputs/i/", "modules/m/inputs/i/",
                                            "/Modules/m/INPUTS/i"};
    for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
        struct sk_route route;
        struct sk_expr_error error;
        char text[120];
        snprintf(text, sizeof text, "FROM /messages/* INTO BrokeredEndpoint(\"%s\")", endpoints[i]);
        if (sk_route_parse(sk_span_z(text), &route, &error))
            fail_msg("%s: %s", text, error.sentence);
        assert_true(sk_span_is(route.module, "m"));
        assert_true(sk_span_is(route.input, "i"));
        sk_route_free(&route);
    }
}

TEST(bad_routes_tell_the_place_and_the_reason) {
    static const struct {
        const char *text;
        size_t position;
        const char *part;
    } cases[] = {
        {"", 0, "expected FROM"},
        {"SELECT a FROM /messages/* INTO $upstream", 7, "whole messages"},
        {"FROM messages INTO $upstream", 5, "a source such as"},
        {"FROM / INTO $upstream", 5, "a source such as"},
        {"FROM", 4, "a source such as"},
        {"FROM /a//b INTO $upstream", 8, "empty part"},
        {"FROM /messages/*", 16, "WHERE or INTO"},
        {"FROM /messages/* INTO", 21, "$upstream or BrokeredEndpoint"},
        {"FROM /messages/* INTO upstream", 22, "$upstream or BrokeredEndpoint"},
        {"FROM /messages/* INTO $upstream x", 32, "the end of the route, found \"x\""},
        {"FROM /messages/* INTO BrokeredEndpoint", 38, "\"(\""},
        {"FROM /messages/* INTO BrokeredEndpoint(x)", 39, "in quotes"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/modules/m\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/modules//inputs/i\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/modules/m/inputs/i/x\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"//modules/m/inputs/i\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/modules/m/inputs/i//\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/modules/m/inputs/\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/\")", 39, "an endpoint is"},
        {"FROM /messages/* INTO BrokeredEndpoint(\"/modules/m/inputs/i\"", 60, "\")\""},
        {"FROM /messages/* WHERE INTO $upstream", 23, "expected a value, found \"INTO\""},
        {"FROM /messages/* WHERE a = 1", 28, "an operator or INTO"},
        {"FROM /messages/* WHERE a = 1 b INTO $upstream", 29, "an operator or INTO, found \"b\""},
        {"FROM /messages/* WHERE NOPE(a) INTO $upstream", 23, "no function NOPE"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_route route;
        struct sk_expr_error error;
        if (sk_route_parse(sk_span_z(cases[i].text), &route, &error) != SK_MALFORMED)
            fail_msg("taken: %s", cases[i].text);
        if (error.position != cases[i].position || strstr(error.sentence, cases[i].part) == NULL)
            fail_msg("%s: at %zu \"%s\"", cases[i].text, error.position, error.sentence);
        assert_null(route.text);
    }
}

TEST(the_length_is_bounded) {
    char text[SK_EXPR_TEXT_MAX + 1];
    memset(text, ' ', sizeof text);
    memcpy(text, "FROM /* INTO $upstream", 22);
    struct sk_route route;
    assert_int_equal(sk_route_parse(sk_span(text, SK_EXPR_TEXT_MAX), &route, NULL), SK_OK);
    sk_route_free(&route);
    assert_int_equal(sk_route_parse(sk_span(text, SK_EXPR_TEXT_MAX + 1), &route, NULL),
                     SK_TOO_LARGE);
}
