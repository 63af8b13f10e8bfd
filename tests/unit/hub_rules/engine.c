/* Rules over a stream of messages: the reference's vectors, every calculation, and what a crash
 * leaves. */
#include <stdio.h>

#include "hub/rules/parts.h"
#include "model/json_text.h"
#include "support/test.h"

/* 2026-01-01T16:00:00Z, in seconds. */
#define FOUR 1767283200ll

struct world {
    struct rule_engine engine;
    struct sk_list rules;
    struct sk_buffer found; /* "rule device received-after-four-in-s\n" each */
    uint64_t sequence;
};

static void on_found(void *arg, const struct rule_found *found) {
    struct world *w = arg;
    sk_buffer_print(&w->found, "%s %.*s %lld\n", found->rule->id, SK_ARG(found->device),
                    (long long)(found->received_us / 1000000 - FOUR));
}

static void begin(struct world *w) {
    *w = (struct world){0};
    sk_list_init(&w->rules);
    rule_engine_init(&w->engine, on_found, w);
}

static struct rule *add(struct world *w, const char *id, const char *calculation,
                        const char *period, const char *conditions) {
    char text[600], error[SK_MODEL_ERROR_MAX];
    snprintf(text, sizeof text,
             "{\"Name\":\"n\",\"GroupId\":\"g\",\"Calculation\":\"%s\",\"TimePeriod\":\"%s\","
             "\"Conditions\":[%s]}",
             calculation, period, conditions);
    json_t *body = sk_json_load(sk_span_z(text), 0, NULL),
           *document = rule_document(body, id, NULL, 0, error);
    json_decref(body);
    if (document == NULL) fail_msg("%s", error);
    struct rule *rule = rule_read(document, error);
    assert_non_null(rule);
    rule->place = 0;
    sk_list_append(&w->rules, &rule->link);
    return rule;
}

#define IS(field, by, value)                                                                       \
    "{\"Field\":\"" field "\",\"Operator\":\"" by "\",\"Value\":\"" value "\"}"

/* A message at a time after four, of a device in the group or not. */
static void send_of(struct world *w, const char *device, bool in, double at, const char *body) {
    rule_engine_take(&w->engine, &w->rules, in,
                     &(struct rule_message){.device = sk_span_z(device),
                                            .body = sk_span_z(body),
                                            .time_us = (int64_t)((double)FOUR * 1e6 + at * 1e6),
                                            .sequence = ++w->sequence});
}

static void send(struct world *w, const char *device, double at, const char *body) {
    send_of(w, device, true, at, body);
}

static void pass(struct world *w, double at) {
    rule_engine_pass(&w->engine, (int64_t)((double)FOUR * 1e6 + at * 1e6));
}

static void expect(struct world *w, const char *found) {
    sk_buffer_byte(&w->found, 0);
    assert_string_equal(w->found.p, found);
    w->found.n = 0;
}

static void end(struct world *w) {
    SK_LIST_EACH(&w->rules, node, following) rule_free(SK_CONTAINER(node, struct rule, link));
    rule_engine_free(&w->engine);
    sk_buffer_free(&w->found);
}

TEST(an_average_over_five_minutes_is_open_at_the_start_and_closed_at_the_end) {
    struct world w;
    begin(&w);
    add(&w, "r", "Average", "300000", IS("pressure", "GreaterThan", "250"));
    send(&w, "d1", 10, "{\"pressure\":300}");
    send(&w, "d1", 120, "{\"pressure\":251}");
    send(&w, "d1", 299, "{\"pressure\":210}");
    expect(&w, "");
    pass(&w, 300);
    expect(&w, "r d1 299\n");
    end(&w);
    begin(&w);
    add(&w, "r", "Average", "300000", IS("pressure", "GreaterThan", "250"));
    send(&w, "d1", 10, "{\"pressure\":300}");
    send(&w, "d1", 120, "{\"pressure\":251}");
    send(&w, "d1", 299, "{\"pressure\":210}");
    send(&w, "d1", 300, "{\"pressure\":240}"); /* still the first */
    expect(&w, "");
    send(&w, "d1", 301, "{\"pressure\":240}");
    expect(&w, "r d1 300\n");
    pass(&w, 600); /* 240 alone is not above */
    expect(&w, "");
    end(&w);
}

TEST(an_instant_rule_is_for_each_message_of_its_group) {
    struct world w;
    begin(&w);
    struct rule *rule = add(&w, "r", "Instant", "0", IS("humidity", "GreaterThan", "80"));
    send(&w, "d2", 1, "{\"humidity\":79}");
    send(&w, "d2", 2, "{\"humidity\":80}");
    send(&w, "d2", 3, "{\"humidity\":82.2}");
    send_of(&w, "d3", false, 4, "{\"humidity\":99}");
    expect(&w, "r d2 3\n");
    rule->enabled = false;
    send(&w, "d2", 5, "{\"humidity\":90}");
    expect(&w, "");
    rule->enabled = true;
    send(&w, "d2", 6, "{\"humidity\":90}");
    send(&w, "d2", 7, "{\"humidity\":90}");
    expect(&w, "r d2 6\nr d2 7\n");
    end(&w);
}

TEST(all_conditions_hold_on_numbers_of_paths) {
    struct world w;
    begin(&w);
    add(&w, "r", "Instant", "0",
        IS("machine.temperature", "GreaterThanOrEqual", "20") "," IS("n", "Equals", "3"));
    static const struct {
        const char *body;
        bool found;
    } cases[] = {
        {"{\"machine\":{\"temperature\":20},\"n\":3}", true},
        {"{\"machine\":{\"temperature\":20},\"n\":3.0}", true},
        {"{\"machine\":{\"temperature\":19.9},\"n\":3}", false},
        {"{\"machine\":{\"temperature\":20},\"n\":4}", false},
        {"{\"machine\":{\"temperature\":20}}", false},
        {"{\"machine\":{\"temperature\":\"20\"},\"n\":3}", false},
        {"{\"machine\":{\"temperature\":1e999},\"n\":3}", false},
        {"{\"machine.temperature\":20,\"n\":3}", false},
        {"not json", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        send(&w, "d", 1, cases[i].body);
        expect(&w, cases[i].found ? "r d 1\n" : "");
    }
    end(&w);
}

TEST(calculations_over_a_window) {
    static const struct {
        const char *calculation, *condition, *found;
    } cases[] = {
        {"Average", IS("v", "Equals", "4"), "r d 30\n"},
        {"Minimum", IS("v", "Equals", "1"), "r d 30\n"},
        {"Maximum", IS("v", "Equals", "8"), "r d 30\n"},
        {"Count", IS("v", "LessThan", "4"), "r d 30\n"},
        {"Change", IS("v", "GreaterThanOrEqual", "7"), "r d 30\n"},
        {"Change", IS("v", "GreaterThan", "7"), ""},
        {"Count", IS("w", "LessThan", "4"), ""}, /* nothing of it came */
        /* in different messages */
        {"Average", IS("v", "Equals", "4") "," IS("u", "Equals", "2"), "r d 30\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct world w;
        begin(&w);
        add(&w, "r", cases[i].calculation, "60000", cases[i].condition);
        send(&w, "d", 10, "{\"v\":1}");
        send(&w, "d", 20, "{\"v\":8,\"u\":2}");
        send(&w, "d", 30, "{\"v\":3}");
        pass(&w, 60);
        expect(&w, cases[i].found);
        assert_int_equal(w.engine.count, 0);
        end(&w);
    }
}

TEST(what_is_missing_for_a_whole_window_is_found_once) {
    struct world w;
    begin(&w);
    add(&w, "gone", "Missing", "60000", "");
    add(&w, "t", "Missing", "60000", "{\"Field\":\"t\"}");
    send(&w, "d1", 10, "{\"t\":1}");
    send(&w, "d2", 20, "{\"u\":1}");
    pass(&w, 119);
    expect(&w, "");
    send(&w, "d1", 119.5, "{\"u\":1}"); /* in the window behind the first */
    pass(&w, 120);
    expect(&w, "t d1 10\ngone d2 20\n");
    pass(&w, 180);
    expect(&w, "gone d1 119\n");
    pass(&w, 900);
    expect(&w, "");
    send(&w, "d1", 901, "{\"t\":1}"); /* it is back, and goes again */
    pass(&w, 1020);
    expect(&w, "gone d1 901\nt d1 901\n");
    assert_int_equal(w.engine.count, 0);
    end(&w);
}

/* After a crash the last message of each device is read again. */
TEST(a_silence_goes_on_over_a_crash_and_is_found_once) {
    struct world w;
    begin(&w);
    add(&w, "gone", "Missing", "60000", "");
    send(&w, "d1", 10, "{}");
    send(&w, "d2", 15, "{}");
    send(&w, "d1", 50, "{}");
    assert_int_equal(rule_engine_least(&w.engine), 2);
    pass(&w, 100);
    int64_t passed_us = w.engine.passed_us;
    rule_engine_free(&w.engine);
    w.engine.passed_us = passed_us;
    send(&w, "d2", 15, "{}");
    send(&w, "d1", 50, "{}");
    pass(&w, 120);
    expect(&w, "gone d2 15\ngone d1 50\n");
    passed_us = w.engine.passed_us;
    rule_engine_free(&w.engine);
    w.engine.passed_us = passed_us;
    send(&w, "d2", 15, "{}");
    pass(&w, 300);
    expect(&w, "");
    end(&w);
}

TEST(windows_tell_what_they_need_to_be_made_again) {
    struct world w;
    begin(&w);
    struct rule *hour = add(&w, "hour", "Average", "3600000", IS("v", "GreaterThan", "0"));
    add(&w, "minute", "Average", "60000", IS("v", "GreaterThan", "0"));
    assert_true(rule_engine_least(&w.engine) == UINT64_MAX);
    assert_true(rule_engine_next(&w.engine) == INT64_MAX);
    send(&w, "d1", 10, "{\"v\":1}");
    send(&w, "d2", 20, "{\"v\":1}");
    assert_int_equal(rule_engine_least(&w.engine), 1);
    assert_true(rule_engine_next(&w.engine) == (FOUR + 60) * 1000000);
    rule_engine_forget(&w.engine, hour);
    pass(&w, 60);
    expect(&w, "minute d1 10\nminute d2 20\n");
    assert_true(rule_engine_least(&w.engine) == UINT64_MAX);
    end(&w);
}

TEST(a_window_has_any_whole_minutes_up_to_a_day) {
    struct world w;
    begin(&w);
    add(&w, "seven", "Count", "420000", IS("v", "Equals", "2"));
    add(&w, "day", "Count", "86400000", IS("v", "Equals", "4"));
    add(&w, "silent", "Missing", "86400000", "");
    send(&w, "d", 1, "{\"v\":1}");
    send(&w, "d", 360, "{\"v\":1}"); /* where 7 minutes end, counted from 1970 */
    pass(&w, 360);
    expect(&w, "seven d 360\n");
    send(&w, "d", 4 * 3600, "{\"v\":1}");
    send(&w, "d", 8 * 3600, "{\"v\":1}"); /* midnight */
    pass(&w, 8 * 3600);
    expect(&w, "day d 28800\n");
    pass(&w, 32 * 3600 - 1);
    expect(&w, "");
    pass(&w, 32 * 3600);
    expect(&w, "silent d 28800\n");
    assert_int_equal(w.engine.count, 0);
    end(&w);
}

/* The log was cut while nobody read it. */
TEST(a_window_that_lacks_messages_is_none) {
    struct world w;
    begin(&w);
    add(&w, "hour", "Count", "3600000", IS("v", "GreaterThan", "0"));
    add(&w, "minute", "Count", "60000", IS("v", "GreaterThan", "0"));
    add(&w, "silent", "Missing", "60000", "");
    send(&w, "d", 10, "{\"v\":1}");
    rule_engine_gap(&w.engine, (int64_t)((double)FOUR * 1e6 + 30e6));
    assert_int_equal(w.engine.count, 0);
    send(&w, "d", 30, "{\"v\":1}");
    send(&w, "d", 70, "{\"v\":1}");
    pass(&w, 120);
    expect(&w, "minute d 70\n");
    pass(&w, 180);
    expect(&w, "silent d 70\n");
    pass(&w, 3600);
    expect(&w, "");
    send(&w, "d", 3610, "{\"v\":1}");
    pass(&w, 7200);
    expect(&w, "hour d 3610\nminute d 3610\nsilent d 3610\n");
    end(&w);
}

/* Read again from the middle of a window that had been closed, it would be half a window. */
TEST(what_was_passed_before_a_crash_is_not_found_again) {
    struct world w;
    begin(&w);
    add(&w, "minute", "Average", "60000", IS("v", "GreaterThan", "5"));
    add(&w, "now", "Instant", "0", IS("v", "GreaterThan", "5"));
    w.engine.passed_us = (FOUR + 60) * 1000000;
    w.engine.seen = 3;
    send(&w, "d", 50, "{\"v\":9}");
    send(&w, "d", 60, "{\"v\":9}");
    send(&w, "d", 61, "{\"v\":9}");
    pass(&w, 120);
    expect(&w, "now d 61\nminute d 61\n");
    end(&w);
}

#define R(more) false, "{\"Name\":\"n\",\"GroupId\":\"g\"," more "}"
#define WHERE(conditions) "\"Conditions\":[" conditions "]"
#define FIELD(name) R(WHERE(IS(name, "Equals", "1")))
#define G(key, by, value)                                                                          \
    true, "{\"DisplayName\":\"x\",\"Conditions\":[{\"Key\":\"" key "\",\"Operator\":\"" by         \
          "\",\"Value\":" value "}]}"
#define ONE WHERE(IS("a", "Equals", "1"))

TEST(rules_and_groups_are_read_or_refused_with_a_sentence) {
    static const struct {
        bool group;
        const char *text, *why; /* NULL: fine */
    } cases[] = {
        {R(WHERE(IS("a", "equals", "1"))), NULL},
        {R(WHERE("{\"Field\":\"a\",\"Operator\":\"LessThan\",\"Value\":2}")), NULL},
        {false, "{\"GroupId\":\"g\"," ONE "}", "Name"},
        {false, "{\"Name\":\"n\"," ONE "}", "GroupId"},
        {R(WHERE("")), "1 to 10"},
        {R("\"Severity\":\"info\""), "1 to 10"},
        {FIELD(""), "Field"},
        {FIELD("a..b"), "Field"},
        {FIELD("a.b.c.d.e.f.g.h.i.j"), NULL},
        {FIELD("a.b.c.d.e.f.g.h.i.j.k"), "Field"},
        {R(WHERE(IS("a", "Like", "1"))), "GreaterThan"},
        {R(WHERE(IS("a", "Equals", "1x"))), "Value"},
        {R(WHERE(IS("a", "LessThan", "1e308"))), NULL},
        {R(WHERE(IS("a", "LessThan", "1e309"))), "Value"},
        {R(WHERE(IS("a", "GreaterThan", "-1e309"))), "Value"},
        {R("\"Severity\":\"Bad\"," ONE), "Critical, Warning, Info"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":\"1000\"," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":60000," ONE), NULL},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":60000.5," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":90000," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":\"86400000\"," ONE), NULL},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":\"86460000\"," ONE), "a day"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":0," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":-60000," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":1e300," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":\"1e999\"," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":\"NaN\"," ONE), "whole minutes"},
        {R("\"Calculation\":\"Average\",\"TimePeriod\":[]," ONE), "whole minutes"},
        {R("\"Actions\":[{\"Type\":\"Email\"}]," ONE), "Recipients of Email"},
        {R("\"Calculation\":\"Missing\",\"TimePeriod\":60000"), NULL},
        {R("\"Calculation\":\"Missing\""), "TimePeriod"},
        {true, "{\"DisplayName\":\"all\"}", NULL},
        {true, "{}", "DisplayName"},
        {G("Tags.Site", "EQ", "\"north\""), NULL},
        {G("Properties.Reported.N", "GE", "2"), NULL},
        {G("deviceId", "IN", "[\"a\",\"b\"]"), NULL},
        {G("Tags.Site", "EQ", "\"x' OR 1=1\""), "without '"},
        {G("Tags.a b", "EQ", "1"), "Key"},
        {G("status", "EQ", "1"), "Key"},
        {G("Tags.a", "LIKE", "1"), "EQ, NE"},
        {G("Tags.a", "IN", "[]"), "not empty"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char error[SK_MODEL_ERROR_MAX] = "";
        json_t *body = sk_json_load(sk_span_z(cases[i].text), 0, NULL);
        assert_non_null(body);
        json_t *document = cases[i].group ? group_document(body, "id", 1, error)
                                          : rule_document(body, "id", NULL, 0, error);
        if ((document == NULL) != (cases[i].why != NULL) ||
            (cases[i].why && strstr(error, cases[i].why) == NULL))
            fail_msg("%s: %s", cases[i].text, error);
        json_decref(document);
        json_decref(body);
    }
}
