/* Device models: what is one, what is none, and what they make of a device's state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/json_text.h"
#include "simulation/models/model.h"
#include "support/test.h"

static const struct sk_simulation_files stock = {.load = sk_simulation_stock_load};

#define TELEMETRY(interval, format)                                                                \
    "\"Telemetry\":[{\"Interval\":\"" interval                                                     \
    "\",\"MessageTemplate\":\"{}\",\"MessageSchema\":{\"Name\":\"s\",\"Format\":\"" format "\"}}]"
#define SCRIPT(type, path, params)                                                                 \
    "\"Simulation\":{\"Interval\":\"00:00:05\",\"Scripts\":[{\"Type\":\"" type                     \
    "\",\"Path\":\"" path "\",\"Params\":" params "}]}"
#define RANDOM(params) SCRIPT("internal", "math.random.withinrange", params)

static void expect(const char *text, enum sk_status status, const char *why) {
    struct sk_simulation_model *model;
    char reason[SK_SIMULATION_REASON] = "";
    enum sk_status got = sk_simulation_model_read(sk_span_z(text), &stock, &model, reason);
    if (got != status || (why && strstr(reason, why) == NULL))
        fail_msg("%.200s: %s (%s)", text, sk_status_text(got), reason);
    sk_simulation_model_free(model);
}

TEST(models_are_read_or_refused_with_a_sentence) {
    static const struct {
        const char *text;
        enum sk_status status;
        const char *why;
    } cases[] = {
        {"{\"Id\":\"a\"}", SK_OK, NULL},
        {"{", SK_MALFORMED, "line 1"},
        {"[]", SK_MALFORMED, "JSON object"},
        {"{\"Id\":\"a\",\"Id\":\"b\"}", SK_MALFORMED, "duplicate"},
        {"{}", SK_INVALID, "Id is"},
        {"{\"Id\":\"a b\"}", SK_INVALID, "Id is"},
        {"{\"Id\":\"a\",\"SchemaVersion\":\"2.0.0\"}", SK_UNSUPPORTED, "1.0.0"},
        {"{\"Id\":\"a\",\"ReplayFile\":\"r\"}", SK_UNSUPPORTED, "ReplayFile"},
        {"{\"Id\":\"a\",\"Properties\":[]}", SK_INVALID, "Properties must be an object"},
        {"{\"Id\":\"a\",\"Name\":7}", SK_INVALID, "Name must be a text"},
        {"{\"Id\":\"a\",\"Telemetry\":{}}", SK_INVALID, "Telemetry must be an array"},
        {"{\"Id\":\"a\",\"Simulation\":{\"Scripts\":1}}", SK_INVALID, "Scripts must be an array"},
        {"{\"Id\":\"a\"," TELEMETRY("00:00:10", "JSON") "}", SK_OK, NULL},
        {"{\"Id\":\"a\"," TELEMETRY("00:00:01", "JSON") "}", SK_OK, NULL},
        {"{\"Id\":\"a\"," TELEMETRY("00:00:00", "JSON") "}", SK_INVALID, "at least 0.5 s"},
        {"{\"Id\":\"a\"," TELEMETRY("10", "JSON") "}", SK_INVALID, "hh:mm:ss"},
        {"{\"Id\":\"a\"," TELEMETRY("00:60:00", "JSON") "}", SK_INVALID, "hh:mm:ss"},
        {"{\"Id\":\"a\"," TELEMETRY("99:59:59", "json") "}", SK_OK, NULL},
        {"{\"Id\":\"a\"," TELEMETRY("00:00:10", "Protobuf") "}", SK_UNSUPPORTED, "only JSON"},
        {"{\"Id\":\"a\"," RANDOM("{\"p\":{\"Min\":1,\"Max\":2}}") "}", SK_OK, NULL},
        {"{\"Id\":\"a\"," RANDOM("{\"p\":{\"Min\":1}}") "}", SK_INVALID, "Min, Max"},
        {"{\"Id\":\"a\"," RANDOM("{\"p\":{\"Min\":2,\"Max\":1}}") "}", SK_INVALID, "above"},
        {"{\"Id\":\"a\"," RANDOM("null") "}", SK_INVALID, "Params"},
        {"{\"Id\":\"a\"," SCRIPT("internal", "Math.Increasing",
                                 "{\"p\":{\"Min\":1,\"Max\":2}}") "}",
         SK_INVALID, "Step"},
        {"{\"Id\":\"a\"," SCRIPT("internal", "Math.Sine", "{}") "}", SK_UNSUPPORTED, "not known"},
        {"{\"Id\":\"a\"," SCRIPT("python", "x", "{}") "}", SK_UNSUPPORTED,
         "javascript or internal"},
        {"{\"Id\":\"a\"," SCRIPT("javascript", "none.js", "{}") "}", SK_NOT_FOUND,
         "there is no script none.js: put it into"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect(cases[i].text, cases[i].status, cases[i].why);
}

TEST(a_model_has_at_most_256_KB) {
    struct sk_buffer text = {0};
    sk_buffer_text(&text, "{\"Id\":\"a\"}");
    while (text.n < SK_SIMULATION_MODEL_MAX) sk_buffer_byte(&text, ' ');
    struct sk_simulation_model *model;
    char reason[SK_SIMULATION_REASON];
    assert_int_equal(sk_simulation_model_read(sk_buffer_span(&text), &stock, &model, reason),
                     SK_OK);
    sk_simulation_model_free(model);
    sk_buffer_byte(&text, ' ');
    assert_int_equal(sk_simulation_model_read(sk_buffer_span(&text), &stock, &model, reason),
                     SK_TOO_LARGE);
    sk_buffer_free(&text);
}

TEST(templates_take_values_of_the_state) {
    static const char *const cases[][2] = {
        {"{\"t\":${t},\"u\":\"${u}\"}", "{\"t\":21.5,\"u\":\"F\"}"},
        {"${on} ${none} ${", "true ${none} ${"},
        {"${}${t", "${}${t"},
        {"\"${markup}\"", "\"<b>\\\"hi\\\"</b>\\n\""},
        {"${o}", "{\"a\":[1,2]}"},
        {"", ""},
    };
    json_t *values = json_pack("{s:f,s:s,s:b,s:s,s:{s:[i,i]}}", "t", 21.5, "u", "F", "on", 1,
                               "markup", "<b>\"hi\"</b>\n", "o", "a", 1, 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct sk_buffer text = {0};
        sk_simulation_fill(&text, cases[i][0], values);
        sk_buffer_byte(&text, 0);
        assert_string_equal(text.p, cases[i][1]);
        sk_buffer_free(&text);
    }
    json_decref(values);
}

static double half(void *arg) {
    (void)arg;
    return 0.5;
}

TEST(internal_behaviours_stay_within_their_range_and_wrap) {
    static const struct {
        const char *path;
        double start, values[4];
    } cases[] = {
        {"Math.Random.WithinRange", 0, {3, 3, 3, 3}},
        {"Math.Increasing", 1, {2.5, 4, 5.0 - 4, 2.5}},
        {"Math.Decreasing", 4, {2.5, 1, 5, 3.5}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[400], reason[SK_SIMULATION_REASON];
        snprintf(text, sizeof text,
                 "{\"Id\":\"a\",\"Simulation\":{\"Interval\":\"00:00:01\",\"Scripts\":[{\"Type\":"
                 "\"Internal\",\"Path\":\"%s\",\"Params\":{\"p\":{\"Min\":1,\"Max\":5,\"Step\":1.5}"
                 "}}]}}",
                 cases[i].path);
        struct sk_simulation_model *model;
        assert_int_equal(sk_simulation_model_read(sk_span_z(text), &stock, &model, reason), SK_OK);
        json_t *values = json_pack("{s:f}", "p", cases[i].start);
        for (size_t k = 0; k < 4; k++) {
            sk_simulation_behave(&model->scripts[0], values, half, NULL);
            assert_float_equal(json_number_value(json_object_get(values, "p")), cases[i].values[k],
                               1e-9);
        }
        json_decref(values);
        sk_simulation_model_free(model);
    }
}

/* A model of so many bytes, by a script that it has with it. */
static char *sized(size_t bytes) {
    static const char head[] = "{\"Id\":\"a\",\"Files\":{\"s.js\":\"", tail[] = "\"}}";
    char *text = malloc(bytes + 1);
    memset(text, ' ', bytes);
    memcpy(text, head, sizeof head - 1);
    memcpy(text + bytes - (sizeof tail - 1), tail, sizeof tail);
    return text;
}

TEST(a_model_has_at_most_256_kb_with_its_scripts) {
    char *most = sized(SK_SIMULATION_MODEL_MAX), *more = sized(SK_SIMULATION_MODEL_MAX + 1);
    expect(most, SK_OK, NULL);
    expect(more, SK_TOO_LARGE, "256 KB");
    free(most);
    free(more);
}

TEST(scripts_of_a_model_are_looked_for_in_its_files_first) {
    char reason[SK_SIMULATION_REASON];
    struct sk_simulation_model *model;
    static const char text[] =
        "{\"Id\":\"a\",\"Simulation\":{\"Interval\":\"00:00:05\",\"Scripts\":["
        "{\"Type\":\"javascript\",\"Path\":\"state-truck.js\"},"
        "{\"Type\":\"javascript\",\"Path\":\"state-engine.js\"}]},"
        "\"Files\":{\"state-truck.js\":\"function main(){}\"}}";
    assert_int_equal(sk_simulation_model_read(SK_SPAN(text), &stock, &model, reason), SK_OK);
    assert_true(sk_span_eq(model->scripts[0].source, SK_SPAN("function main(){}")));
    assert_true(model->scripts[1].source.n > 100);
    sk_simulation_model_free(model);
    expect("{\"Id\":\"a\",\"Files\":[]}", SK_INVALID, "Files must be an object");
    expect("{\"Id\":\"a\",\"Files\":{\"s.js\":1}}", SK_INVALID, "s.js must be a text");
}

static void overridden(const char *with, const char *becomes, const char *why) {
    static const char model[] =
        "{\"Id\":\"a\",\"Simulation\":{\"Interval\":\"00:00:05\"},"
        "\"Telemetry\":[{\"Interval\":\"00:00:10\",\"MessageTemplate\":\"{}\"}]}";
    char reason[SK_SIMULATION_REASON] = "";
    json_t *json = json_loads(model, 0, NULL), *override = json_loads(with, JSON_DECODE_ANY, NULL),
           *expected = becomes ? json_loads(becomes, 0, NULL) : NULL;
    enum sk_status status = sk_simulation_override(json, override, reason);
    if ((status == SK_OK) != (why == NULL) || (why && strstr(reason, why) == NULL))
        fail_msg("%s: %s (%s)", with, sk_status_text(status), reason);
    if (expected) assert_true(json_equal(json, expected));
    json_decref(json);
    json_decref(override);
    json_decref(expected);
}

TEST(an_override_changes_members_by_their_place) {
    overridden("null", NULL, NULL);
    overridden(
        "{\"Telemetry\":[{\"Interval\":\"00:00:01\"}],"
        "\"Simulation\":{\"InitialState\":{\"t\":1}}}",
        "{\"Id\":\"a\",\"Simulation\":{\"Interval\":\"00:00:05\",\"InitialState\":{\"t\":1}},"
        "\"Telemetry\":[{\"Interval\":\"00:00:01\",\"MessageTemplate\":\"{}\"}]}",
        NULL);
    overridden("[]", NULL, "must be an object");
    overridden("{\"Simulation\":[]}", NULL, "Override.Simulation must be");
    overridden("{\"Telemetry\":{}}", NULL, "must be an array");
    overridden("{\"Telemetry\":[1]}", NULL, "objects");
    overridden("{\"Telemetry\":[{},{}]}", NULL, "more entries than the model");
}

TEST(an_id_of_a_simulation_begins_ids_of_devices) {
    static const char most[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-Z"; /* 37 */
    assert_true(sk_simulation_id_fine(SK_SPAN("a-B_9")));
    assert_true(sk_simulation_id_fine(sk_span(most, SK_SIMULATION_ID_MAX)));
    assert_false(sk_simulation_id_fine(sk_span(most, SK_SIMULATION_ID_MAX + 1)));
    assert_false(sk_simulation_id_fine(SK_NONE));
    assert_false(sk_simulation_id_fine(SK_SPAN("a.b")));
    assert_false(sk_simulation_id_fine(SK_SPAN("a'b")));
}
