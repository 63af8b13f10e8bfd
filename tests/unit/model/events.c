/* Where readers of the event stream begin, as the filters of Event Hubs clients say it. */
#include "model/events.h"
#include "support/test.h"

#define OFFSET "amqp.annotation.x-opt-offset"
#define NUMBER "amqp.annotation.x-opt-sequence-number"
#define TIME "amqp.annotation.x-opt-enqueued-time"

TEST(every_filter_that_clients_write_is_read) {
    static const struct {
        const char *text;
        struct sk_events_position expected;
    } cases[] = {
        {"", {SK_EVENTS_OLDEST, 0, false}},
        {OFFSET " > '-1'", {SK_EVENTS_OLDEST, -1, false}},
        {OFFSET " > '@latest'", {SK_EVENTS_LATEST, 0, false}},
        {OFFSET " > '4096'", {SK_EVENTS_OFFSET, 4096, false}},
        {OFFSET " >= '4096'", {SK_EVENTS_OFFSET, 4096, true}},
        {OFFSET ">=4096", {SK_EVENTS_OFFSET, 4096, true}},
        {"  " OFFSET "  >  \"7\"  ", {SK_EVENTS_OFFSET, 7, false}},
        {NUMBER " > '5'", {SK_EVENTS_NUMBER, 5, false}},
        {NUMBER " > '-1'", {SK_EVENTS_NUMBER, -1, false}},
        {NUMBER " >= '0'", {SK_EVENTS_NUMBER, 0, true}},
        {TIME " > '1654109018051'", {SK_EVENTS_TIME, 1654109018051000, false}},
        {"amqp.annotation.x-opt-enqueuedtimeutc > '1795828696758'",
         {SK_EVENTS_TIME, 1795828696758000, false}}, /* az iot hub monitor-events */
        {"amqp.annotation.x-opt-enqueuedtimeutc >= 1795828696758",
         {SK_EVENTS_TIME, 1795828696758000, true}},
        {"AMQP.Annotation.X-Opt-Enqueued-Time >= '0'", {SK_EVENTS_TIME, 0, true}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_events_position position;
        if (sk_events_position_parse(sk_span_z(cases[i].text), &position))
            fail_msg("refused: %s", cases[i].text);
        assert_int_equal(position.from, cases[i].expected.from);
        assert_int_equal(position.value, cases[i].expected.value);
        assert_int_equal(position.inclusive, cases[i].expected.inclusive);
    }
}

TEST(what_is_no_filter_is_refused) {
    static const char *const cases[] = {
        OFFSET,
        OFFSET " < '5'",
        OFFSET " > ",
        OFFSET " > 'five'",
        OFFSET " > '5",
        OFFSET " > '99999999999999999999'",
        "amqp.annotation.x-opt-colour > '5'",
        "> '5'",
        TIME " > '9223372036854775807'",
        TIME " > '@latest'",
        OFFSET " > '1' AND " NUMBER " > '2'",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_events_position position;
        if (sk_events_position_parse(sk_span_z(cases[i]), &position) == SK_OK)
            fail_msg("taken: %s", cases[i]);
    }
}

TEST(what_we_write_we_read) {
    static const struct sk_events_position positions[] = {
        {SK_EVENTS_OLDEST, 0, false}, {SK_EVENTS_LATEST, 0, false},    {SK_EVENTS_OFFSET, 12, true},
        {SK_EVENTS_NUMBER, 3, false}, {SK_EVENTS_TIME, 1000000, true},
    };
    for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
        struct sk_buffer text = {0};
        struct sk_events_position again;
        sk_events_position_format(&text, &positions[i]);
        assert_int_equal(sk_events_position_parse(sk_buffer_span(&text), &again), SK_OK);
        assert_int_equal(again.from, positions[i].from);
        if (again.from >= SK_EVENTS_OFFSET) {
            assert_int_equal(again.value, positions[i].value);
            assert_int_equal(again.inclusive, positions[i].inclusive);
        }
        sk_buffer_free(&text);
    }
}
