/* Time series, through a whole hub: from telemetry to what REST says of it. */
#include "support/series.h"

#define DAY "2026-01-01T00:"
#define SERIES SERIES_TOML("timestamp = \"t\"\n")

static int begin(void **state) {
    fleet_new_world(state);
    series_restart(*state, SERIES);
    return 0;
}
AROUND(begin, fleet_free_world);

/* The pump of the acceptance vectors. */
static void say_pump(struct fleet *f) {
    static const struct {
        const char *time, *values;
    } points[] = {{"2025-12-31T23:59:30Z", "\"temperature\":18.0,\"state\":0"},
                  {DAY "00:10Z", "\"temperature\":20.0,\"state\":0"},
                  {DAY "00:40Z", "\"temperature\":22.0,\"state\":1"},
                  {DAY "01:20Z", "\"temperature\":30.0,\"state\":1"},
                  {DAY "02:50Z", "\"temperature\":26.0,\"state\":4"},
                  {DAY "03:05Z", "\"temperature\":24.0,\"state\":9"},
                  {DAY "04:30Z", "\"temperature\":20.0,\"state\":0"}};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        char body[200];
        snprintf(body, sizeof body, "{\"t\":\"%s\",%s}", points[i].time, points[i].values);
        series_say(f, "d1", body);
    }
    sk_sim_run(f->sim, 2 * SK_S);
}

#define SPAN "\"searchSpan\":{\"from\":\"" DAY "00:00Z\",\"to\":\"" DAY "04:00Z\"}"
#define OF_D1 "\"timeSeriesId\":[\"d1\"]," SPAN
#define TEMPERATURE "\"value\":{\"tsx\":\"$event.temperature.Double\"}"
#define NUMERIC(name, by)                                                                          \
    "\"" name "\":{\"kind\":\"numeric\"," TEMPERATURE ",\"aggregation\":{\"tsx\":\"" by "\"}}"
#define SIGNAL(name, how, by)                                                                      \
    "\"" name "\":{\"kind\":\"numeric\"," TEMPERATURE ",\"interpolation\":{\"kind\":\"" how        \
    "\",\"boundary\":{\"span\":\"PT5M\"}},\"aggregation\":{\"tsx\":\"" by "\"}}"
#define MINUTES(more, variables)                                                                   \
    "{\"aggregateSeries\":{" OF_D1 ",\"interval\":\"PT1M\"," more                                  \
    "\"inlineVariables\":{" variables "}}}"

static void ask(struct fleet *f, const char *body) {
    series_post(f, "/timeseries/query", body);
}

/* One variable over the four minutes. */
static void gives(struct fleet *f, const char *body, const char *values) {
    char wanted[300];
    ask(f, body);
    snprintf(wanted, sizeof wanted, "\"values\":[%s]}", values);
    series_has(f, wanted);
}

TEST(aggregates_are_those_of_the_vectors) {
    struct fleet *f = *state;
    say_pump(f);
    ask(f, MINUTES("\"projectedVariables\":[\"Avg\",\"L\"],",
                   NUMERIC("Avg", "avg($value)") "," SIGNAL(
                       "L", "Linear", "left($value)") "," NUMERIC("X", "max($value)")));
    series_has(f, "{\"timestamps\":[\"" DAY "00:00Z\",\"" DAY "01:00Z\",\"" DAY "02:00Z\",\"" DAY
                  "03:00Z\"],\"properties\":[{\"name\":\"Avg\",\"type\":\"Double\",\"values\":"
                  "[21,30,26,24]}"
                  ",{\"name\":\"L\",\"type\":\"Double\",\"values\":[19.5,26,28.22222222222222");
    series_has(f, "\"progress\":100,\"continuationToken\":null}");
    gives(f, MINUTES("", NUMERIC("a", "sum($value)")), "42,30,26,24");
    gives(f, MINUTES("", NUMERIC("a", "min($value)")), "20,30,26,24");
    gives(f, MINUTES("", NUMERIC("a", "last($value)")), "22,30,26,24");
    gives(f, MINUTES("", NUMERIC("a", "stdev($value)")), "1.4142135623730951,null,null,null");
    gives(f, MINUTES("", SIGNAL("a", "Step", "left($value)")), "18,22,30,26");
    gives(f, MINUTES("", SIGNAL("a", "step", "right($value)")), "22,30,26,24");
    gives(f, MINUTES("", SIGNAL("a", "Step", "twsum($value)")), "1220,1640,1760,1450");
    gives(f, MINUTES("", "\"n\":{\"kind\":\"aggregate\",\"aggregation\":{\"tsx\":\"count()\"}}"),
          "2,1,1,1");
    gives(f,
          MINUTES("", "\"n\":{\"kind\":\"aggregate\",\"aggregation\":{\"tsx\":"
                      "\"max($event.temperature) - min($event.temperature)\"}}"),
          "2,0,0,0");
    gives(f,
          MINUTES("\"filter\":{\"tsx\":\"$event.state.Long = 1\"},",
                  "\"n\":{\"kind\":\"aggregate\",\"aggregation\":{\"tsx\":\"count()\"}}"),
          "1,1,0,0");
    gives(f,
          MINUTES("", "\"n\":{\"kind\":\"aggregate\",\"filter\":{\"tsx\":\"$event.nothing > 1.0\"},"
                      "\"aggregation\":{\"tsx\":\"count()\"}}"),
          "0,0,0,0");
    gives(f,
          "{\"aggregateSeries\":{" OF_D1 ",\"interval\":\"PT1M\",\"inlineVariables\":{"
          "\"a\":{\"kind\":\"numeric\"," TEMPERATURE ",\"interpolation\":{\"kind\":\"Step\"},"
          "\"aggregation\":{\"tsx\":\"left($value)\"}}}}}",
          "null,22,30,26");
}

#define STATES(how)                                                                                \
    "\"S\":{\"kind\":\"categorical\",\"value\":{\"tsx\":\"$event.state.Long\"}," how               \
    "\"categories\":[{\"label\":\"Good\",\"values\":[0,1]},{\"label\":\"Bad\",\"values\":[4]}],"   \
    "\"defaultCategory\":{\"label\":\"N-A\"}}"

TEST(labels_are_counted_or_have_their_share) {
    struct fleet *f = *state;
    say_pump(f);
    ask(f, MINUTES("", STATES("")));
    series_has(f, "{\"name\":\"S[Good]\",\"type\":\"Double\",\"values\":[2,1,0,0]}");
    series_has(f, "{\"name\":\"S[Bad]\",\"type\":\"Double\",\"values\":[0,0,1,0]}");
    series_has(f, "{\"name\":\"S[N-A]\",\"type\":\"Double\",\"values\":[0,0,0,1]}");
    ask(f, MINUTES("", STATES("\"interpolation\":{\"kind\":\"Step\",\"boundary\":{\"span\":"
                              "\"PT5M\"}},")));
    series_has(f,
               "{\"name\":\"S[Good]\",\"type\":\"Double\",\"values\":[1,1,0.8333333333333334,0]}");
    series_has(f, "[0,0,0,0.9166666666666666]");
    ask(f, "{\"getSeries\":{" OF_D1 ",\"inlineVariables\":{" STATES("") "}}}");
    series_has(f,
               "{\"name\":\"S\",\"type\":\"String\",\"values\":[\"Good\",\"Good\",\"Good\",\"Bad\","
               "\"N-A\"]}");
}

#define SHORT                                                                                      \
    "\"timeSeriesId\":[\"d1\"],\"searchSpan\":{\"from\":\"" DAY "00:00Z\",\"to\":\"" DAY "01:20Z\"}"

TEST(events_and_what_is_computed_of_each_are_those_of_the_vectors) {
    struct fleet *f = *state;
    say_pump(f);
    ask(f, "{\"getEvents\":{" SHORT ",\"projectedProperties\":[{\"name\":\"temperature\",\"type\":"
           "\"Double\"},{\"name\":\"no\",\"type\":\"Long\"}]}}");
    series_has(f, "{\"timestamps\":[\"" DAY "00:10Z\",\"" DAY "00:40Z\"],\"properties\":[{\"name\":"
                  "\"temperature\",\"type\":\"Double\",\"values\":[20,22]}],\"progress\":100");
    ask(f, "{\"getSeries\":{" SHORT ",\"inlineVariables\":{\"a\":{\"kind\":\"numeric\",\"value\":"
           "{\"tsx\":\"$event.temperature.Double * 2.0\"},\"aggregation\":{\"tsx\":"
           "\"avg($value)\"}}}}}");
    series_has(f, "\"values\":[40,44]");
    ask(f, "{\"getEvents\":{" SHORT ",\"take\":1,\"projectedProperties\":[{\"name\":"
           "\"temperature\",\"type\":\"Double\"}]}}");
    series_has(f, "\"values\":[20]");
    ask(f, "{\"getEvents\":{" SHORT ",\"filter\":{\"tsx\":\"$event.no.String = 'x'\"}}}");
    series_has(f, "{\"timestamps\":[],\"properties\":[],\"progress\":100");
    ask(f, "{\"getEvents\":{" SHORT "}}");
    series_has(f, "{\"name\":\"iothub-connection-device-id\",\"type\":\"String\",\"values\":"
                  "[\"d1\",\"d1\"]}");
}

TEST(what_there_is_is_told_and_forgotten) {
    struct fleet *f = *state;
    fleet_shows(f, "/availability", "availability", "null");
    say_pump(f);
    fleet_shows(f, "/availability", "availability/range/from", "\"2025-12-31T23:59:00Z\"");
    fleet_shows(f, "/timeseries/instances", "instances/0/timeSeriesId", "[\"d1\"]");
    fleet_shows(f, "/timeseries/instances", "instances/0/events", "7");
    fleet_call(f, SK_HTTP_POST, "/eventSchema", "{" SPAN "}");
    series_has(f, "{\"name\":\"state\",\"type\":\"Long\"}");
    fleet_call(f, SK_HTTP_POST, "/timeseries/events/$delete", "{\"timeSeriesId\":[\"d1\"]}");
    assert_int_equal(f->status, 204);
    fleet_shows(f, "/timeseries/instances", "instances", "[]");
    fleet_call(f, SK_HTTP_POST, "/timeseries/events/$delete", "{\"timeSeriesId\":[\"d1\"]}");
    assert_int_equal(f->status, 404);
    series_say(f, "d1", "{\"x\":1}");
    sk_sim_run(f->sim, SK_S);
    fleet_shows(f, "/timeseries/instances", "instances/0/events", "1");
}

/* Behind a name of the last answer, up to its quote; empty: it is null. */
static const char *text_of(struct fleet *f, const char *name, char to[200]) {
    json_t *json = json_loads(f->answer, 0, NULL);
    const char *text = json_string_value(json_object_get(json, name));
    snprintf(to, 200, "%s", text ? text : "");
    json_decref(json);
    return to;
}

/* Asks page after page; how many timestamps there were in all. */
static size_t pages(struct fleet *f, const char *body, size_t *asked) {
    char token[200] = "", path[300] = "/timeseries/query";
    size_t count = 0;
    *asked = 0;
    do {
        fleet_call(f, SK_HTTP_POST, path, body);
        if (f->status != 200) fail_msg("%u %s", f->status, f->answer);
        json_t *json = json_loads(f->answer, 0, NULL);
        count += json_array_size(json_object_get(json, "timestamps"));
        json_decref(json);
        ++*asked;
        text_of(f, "continuationToken", token);
        snprintf(path, sizeof path, "/timeseries/query?continuationToken=%s", token);
    } while (*token);
    return count;
}

TEST(long_answers_come_in_pages) {
    struct fleet *f = *state;
    struct sk_buffer body = {0};
    size_t asked;
    sk_buffer_byte(&body, '[');
    for (unsigned i = 0; i < 2000; i++) /* two of each time */
        sk_buffer_print(&body, "%s{\"t\":\"2026-01-01T00:%02u:%02u.%03uZ\",\"v\":%u}", i ? "," : "",
                        i / 400, i / 2 % 60, i / 2 % 7, i);
    sk_buffer_text(&body, "]");
    sk_buffer_byte(&body, 0);
    for (unsigned n = 0; n < 10; n++) series_say(f, "d1", body.p);
    sk_buffer_free(&body);
    sk_sim_run(f->sim, 2 * SK_S);
#define ALL                                                                                        \
    "\"timeSeriesId\":[\"d1\"],\"searchSpan\":{\"from\":\"" DAY                                    \
    "00:00Z\",\"to\":\"2026-01-02T00:00:00Z\"}"
#define VS ",\"projectedProperties\":[{\"name\":\"v\",\"type\":\"Long\"}]"
    assert_int_equal(pages(f, "{\"getEvents\":{" ALL VS "}}", &asked), 10000);
    assert_int_equal(pages(f, "{\"getEvents\":{" ALL VS ",\"take\":250000}}", &asked), 20000);
    assert_int_equal(asked, 1);
    assert_int_equal(pages(f, "{\"getEvents\":{" ALL ",\"take\":250000}}", &asked), 20000);
    assert_int_equal(asked, 2); /* three values each */
    assert_int_equal(pages(f,
                           "{\"aggregateSeries\":{" ALL ",\"interval\":\"PT1S\","
                           "\"inlineVariables\":{\"n\":{\"kind\":\"aggregate\","
                           "\"aggregation\":{\"tsx\":\"count()\"}}}}}",
                           &asked),
                     86400);
    assert_int_equal(asked, 9); /* two numbers and a time each: EventCount is of the type */
    fleet_call(f, SK_HTTP_POST, "/timeseries/query?continuationToken=s1.1.1.1.1",
               "{\"getEvents\":{" ALL "}}");
    assert_int_equal(f->status, 400);
}

static void refused(struct fleet *f, const char *body, const char *why) {
    fleet_call(f, SK_HTTP_POST, "/timeseries/query", body);
    if (f->status != 400 || strstr(f->answer, why) == NULL)
        fail_msg("%s: %u %s", body, f->status, f->answer);
}

TEST(mistakes_are_said) {
    struct fleet *f = *state;
    refused(f, "{\"getEvents\":{},\"getSeries\":{}}", "one of getEvents");
    refused(f, "{}", "one of getEvents");
    refused(f, "{\"getEvents\":{}}", "timeSeriesId");
    refused(f, "{\"getEvents\":{\"timeSeriesId\":[\"a\",\"b\"]," SPAN "}}", "list of 1 text");
    refused(f, "{\"getEvents\":{\"timeSeriesId\":[\"a\"]}}", "searchSpan");
    refused(f, "{\"getEvents\":{" OF_D1 ",\"take\":250001}}", "1 to 250000");
    refused(f, "{\"getEvents\":{" OF_D1 ",\"take\":0}}", "1 to 250000");
    refused(f, "{\"getEvents\":{" OF_D1 ",\"filter\":{\"tsx\":\"$event.p1 = 1\"}}}",
            "A Double cannot be compared with a Long");
    refused(f, "{\"getEvents\":{" OF_D1 ",\"filter\":{\"tsx\":\"$event.p1\"}}}", "no Bool");
    refused(f, "{\"getSeries\":{" OF_D1 "}}", "no variable");
    refused(f, MINUTES("\"projectedVariables\":[\"b\"],", NUMERIC("a", "avg($value)")),
            "no variable 'b'");
    refused(f, MINUTES("", NUMERIC("a", "left($value)")), "need an interpolation");
    refused(f, MINUTES("", SIGNAL("a", "Linear", "avg($value)")), "need an interpolation");
    refused(f, MINUTES("", SIGNAL("a", "Cubic", "left($value)")), "Linear or Step");
    refused(f, MINUTES("", NUMERIC("a", "avg($event.t)+")), "variable 'a': aggregation: At byte");
    refused(f, "{\"aggregateSeries\":{" OF_D1 ",\"interval\":\"PT0.001S\"}}", "200000 intervals");
    refused(f, "{\"aggregateSeries\":{" OF_D1 ",\"interval\":\"soon\"}}", "a duration");
    series_restart(f, FLEET_TOML_HUB FLEET_TOML_OWNER);
    refused(f, "{\"getEvents\":{" OF_D1 "}}", "enabled = true");
    fleet_call(f, SK_HTTP_GET, "/availability", NULL);
    assert_int_equal(f->status, 400);
}

TEST(whatever_a_device_says_the_series_stay_well) {
    struct fleet *f = *state;
    static const char *const bodies[] = {
        "{\"<script>alert(1)</script>\":\"<img src=x onerror=alert(1)>\"}",
        "{\"a.b['c']\\\\\":{\"\":{\"\":1}}}",
        "{\"x\":\"NaN\",\"y\":\"Infinity\",\"z\":1e999}",
        "{\"t\":\"0000-01-01T00:00:00Z\",\"v\":1}",
        "{\"t\":\"9999-12-31T23:59:59.999Z\",\"v\":1}",
        "{\"t\":\"0001-01-01T00:00:00Z\",\"v\":1}",
        "{\"t\":12,\"v\":9223372036854775808}",
        "[[[[]]]]",
        "[]",
        "{}",
        "\"\\ud800\"",
        "nonsense",
        "{\"iothub-connection-device-id\":\"d1\"}",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) series_say(f, "d2", bodies[i]);
    struct sk_buffer body = {0}; /* 1,500 names: one series gets half of a thousand */
    for (unsigned m = 0; m < 10; m++) {
        body.n = 0;
        for (unsigned i = 0; i < 150; i++)
            sk_buffer_print(&body, "%s\"k%u\":%u", i ? "," : "{", m * 150 + i, i);
        sk_buffer_append(&body, sk_span("}", 2));
        series_say(f, "d2", body.p);
    }
    body.n = 0;
    sk_buffer_text(&body, "{\"long\":\"");
    while (body.n < 255 * 1024) sk_buffer_text(&body, "xxxxxxxxxxxxxxxx");
    sk_buffer_append(&body, sk_span("\"}", 3));
    series_say(f, "d2", body.p);
    sk_buffer_free(&body);
    sk_sim_run(f->sim, 65 * SK_S); /* also to the disk */
    fleet_call(f, SK_HTTP_POST, "/eventSchema", "{" SPAN "}");
    json_t *json = json_loads(f->answer, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(json, "properties")), 500);
    json_decref(json);
    fleet_shows(f, "/availability", "availability/range/from", "\"0001-01-01T00:00:00Z\"");
    ask(f, "{\"getEvents\":{\"timeSeriesId\":[\"d2\"],\"take\":250000,\"searchSpan\":{\"from\":"
           "\"0001-01-01T00:00:00Z\",\"to\":\"9999-12-31T23:59:59.999Z\"}}}");
    json = json_loads(f->answer, 0, NULL);
    assert_non_null(json);
    json_decref(json);
    series_has(f, "\"name\":\"<script>alert(1)</script>\"");
    series_say(f, "d1", "{\"t\":\"" DAY "00:30Z\",\"iothub-enqueuedtime\":5}"); /* others' go on */
    sk_sim_run(f->sim, SK_S);
    ask(f, "{\"getEvents\":{" OF_D1 "}}");
    series_has(f, "\"timestamps\":[\"" DAY "00:30Z\"]");
}

TEST(nothing_is_lost_or_there_twice_when_the_power_goes) {
    struct fleet *f = *state;
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 20; i++) {
            char body[64];
            snprintf(body, sizeof body, "{\"i\":%u}", round * 20 + i);
            series_say(f, "d2", body);
        }
        if (round % 2) sk_sim_run(f->sim, 61 * SK_S); /* it is on disk then */
        fleet_fall(f);
    }
    fleet_shows(f, "/timeseries/instances", "instances/0/events", "120");
}
