/* The model of time series: types, hierarchies, instances; search. */
#include "support/series.h"

static int begin(void **state) {
    fleet_new_world(state);
    series_restart(*state, SERIES_TOML(""));
    return 0;
}
AROUND(begin, fleet_free_world);

#define BATCH(what) "/timeseries/" what "/$batch"
#define TRUCK                                                                                      \
    "{\"id\":\"truck\",\"name\":\"Truck\",\"variables\":{\"Speed\":{\"kind\":\"numeric\","         \
    "\"value\":{\"tsx\":\"$event.speed.Long\"},\"aggregation\":{\"tsx\":\"max($value)\"}}}}"
#define SITES                                                                                      \
    "{\"id\":\"sites\",\"name\":\"Location\",\"source\":{\"instanceFieldNames\":[\"Site\","        \
    "\"Hall\"]}}"
#define INSTANCE(id, name, fields)                                                                 \
    "{\"timeSeriesId\":[\"" id "\"],\"typeId\":\"truck\",\"name\":\"" name "\","                   \
    "\"hierarchyIds\":[\"sites\"],\"instanceFields\":{" fields "}}"

#define PUMP_7 INSTANCE("d1", "pump 7", "\"Site\":\"North\",\"Hall\":\"A\"")
#define PUMP_8 INSTANCE("d2", "pump 8", "\"Site\":\"North\",\"Hall\":\"B\"")
#define FAN INSTANCE("d3", "fan", "\"Site\":\"South\"")

static void make_model(struct fleet *f) {
    series_post(f, BATCH("types"), "{\"put\":[" TRUCK "]}");
    series_has(f, "{\"put\":[{\"timeSeriesType\":{");
    series_post(f, BATCH("hierarchies"), "{\"put\":[" SITES "]}");
    series_has(f, "{\"put\":[{\"hierarchy\":{");
    series_post(f, BATCH("instances"), "{\"put\":[" PUMP_7 "," PUMP_8 "," FAN "]}");
    series_has(f, "{\"put\":[{\"instance\":{\"timeSeriesId\":[\"d1\"]");
}

static void is(struct fleet *f, const char *path, const char *body, const char *member,
               const char *wanted) {
    series_post(f, path, body);
    json_t *json = json_loads(f->answer, 0, NULL);
    const json_t *value = fleet_member(json, member);
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (text == NULL || strcmp(text, wanted) != 0) fail_msg("%s: %s, not %s", body, text, wanted);
    free(text);
    json_decref(json);
}

TEST(the_model_is_written_read_and_survives_a_crash) {
    struct fleet *f = *state;
    fleet_shows(f, "/timeseries/types", "types/0/name", "\"DefaultType\"");
    make_model(f);
    fleet_fall(f);
    fleet_shows(f, "/timeseries/types", "types/1/id", "\"truck\"");
    fleet_shows(f, "/timeseries/hierarchies", "hierarchies/0/name", "\"Location\"");
    is(f, BATCH("instances"), "{\"get\":{\"timeSeriesIds\":[[\"d2\"],[\"d9\"]]}}",
       "get/0/instance/name", "\"pump 8\"");
    is(f, BATCH("instances"), "{\"get\":{\"names\":[\"fan\"]}}", "get/0/instance/timeSeriesId",
       "[\"d3\"]");
    is(f, BATCH("instances"), "{\"get\":{\"timeSeriesIds\":[[\"d9\"]]}}", "get/0/error/code",
       "\"InstanceNotFound\"");
    is(f, BATCH("types"), "{\"get\":{\"typeIds\":[\"truck\"]}}", "get/0/timeSeriesType/name",
       "\"Truck\"");
    is(f, BATCH("instances"),
       "{\"update\":[" INSTANCE("d1", "pump 9", "") "," INSTANCE("d9", "no", "") "]}",
       "update/1/error/code", "\"InvalidInput\"");
    is(f, BATCH("instances"), "{\"get\":{\"timeSeriesIds\":[[\"d1\"]]}}", "get/0/instance/name",
       "\"pump 9\"");
}

TEST(what_is_needed_is_not_deleted) {
    struct fleet *f = *state;
    make_model(f);
    series_say(f, "d1", "{\"speed\":5}");
    sk_sim_run(f->sim, SK_S);
    is(f, BATCH("instances"), "{\"delete\":{\"timeSeriesIds\":[[\"d1\"],[\"d3\"],[\"d9\"]]}}",
       "delete/0/message", "\"it has events; they are to be deleted first\"");
    series_has(f, ",null,{\"code\":\"InstanceNotFound\"");
    is(f, BATCH("types"), "{\"delete\":{\"typeIds\":[\"truck\"]}}", "delete/0/message",
       "\"instances are of this type\"");
    is(f, BATCH("hierarchies"), "{\"delete\":{\"hierarchyIds\":[\"sites\"]}}", "delete/0/message",
       "\"instances are in this hierarchy\"");
    is(f, BATCH("types"), "{\"delete\":{\"names\":[\"DefaultType\"]}}", "delete/0/message",
       "\"it is the default type\"");
    series_post(f, BATCH("types"),
                "{\"put\":[{\"id\":\"x\",\"name\":\"x\",\"variables\":{\"n\":{"
                "\"kind\":\"aggregate\",\"aggregation\":{\"tsx\":\"count()\"}}}"
                "}]}");
    is(f, BATCH("types"), "{\"delete\":{\"typeIds\":[\"x\"]}}", "delete", "[null]");
    fleet_fall(f);
    is(f, BATCH("types"), "{\"get\":{\"typeIds\":[\"x\"]}}", "get/0/error/code",
       "\"InstanceNotFound\"");
}

TEST(a_query_knows_the_variables_of_the_type) {
    struct fleet *f = *state;
    make_model(f);
    series_say(f, "d1", "{\"speed\":5}");
    series_say(f, "d1", "{\"speed\":7}");
    sk_sim_run(f->sim, SK_S);
#define ASK(id, more)                                                                              \
    "{\"aggregateSeries\":{\"timeSeriesId\":[\"" id "\"],\"searchSpan\":{\"from\":"                \
    "\"1970-01-01\",\"to\":\"2100-01-01\"},\"interval\":\"P36500D\"" more "}}"
    is(f, "/timeseries/query", ASK("d1", ""), "properties/0/name", "\"Speed\"");
    is(f, "/timeseries/query", ASK("d1", ",\"projectedVariables\":[\"Speed\"]"),
       "properties/0/values/0", "7");
    is(f, "/timeseries/query",
       ASK("d1", ",\"inlineVariables\":{\"Speed\":{\"kind\":\"aggregate\",\"aggregation\":{\"tsx\":"
                 "\"sum($event.speed.Long)\"}}}"),
       "properties/0/values/0", "12");
    series_say(f, "d2", "{\"speed\":1}");
    is(f, "/timeseries/query", ASK("nobody", ""), "properties/0/name", "\"EventCount\"");
    fleet_call(f, SK_HTTP_PATCH, "/timeseries/modelSettings", "{\"defaultTypeId\":\"truck\"}");
    fleet_shows(f, "/timeseries/modelSettings", "modelSettings/defaultTypeId", "\"truck\"");
    fleet_fall(f);
    is(f, "/timeseries/query", ASK("nobody", ""), "properties/0/name", "\"Speed\"");
    fleet_call(f, SK_HTTP_PATCH, "/timeseries/modelSettings", "{\"defaultTypeId\":\"none\"}");
    assert_int_equal(f->status, 400);
}

#define SEARCH "/timeseries/instances/search"

TEST(instances_are_found_by_words_and_in_their_hierarchies) {
    struct fleet *f = *state;
    make_model(f);
    series_say(f, "d1", "{\"speed\":5}");
    sk_sim_run(f->sim, SK_S);
    is(f, SEARCH, "{\"searchString\":\"PUMP 7\",\"instances\":{\"recursive\":true}}",
       "instances/hits/0/timeSeriesId", "[\"d1\"]");
    is(f, SEARCH, "{\"searchString\":\"truck\",\"instances\":{\"recursive\":true}}",
       "instances/hitCount", "3");
    is(f, SEARCH,
       "{\"searchString\":\"pump\",\"instances\":{\"recursive\":true,\"highlights\":true}}",
       "instances/hits/0/highlights/name", "\"<hit>pump</hit> 7\"");
    is(f, SEARCH, "{\"searchString\":\"\",\"hierarchies\":{}}", "hierarchyNodes/hits",
       "[{\"name\":\"Location\",\"cumulativeInstanceCount\":2}]");
    is(f, SEARCH,
       "{\"searchString\":\"\",\"hierarchies\":{\"expand\":{\"kind\":\"UntilChildren\"}}}",
       "hierarchyNodes/hits",
       "[{\"name\":\"Location\",\"cumulativeInstanceCount\":2,\"hierarchyNodes\":{\"hits\":["
       "{\"name\":\"North\",\"cumulativeInstanceCount\":2,\"hierarchyNodes\":{\"hits\":["
       "{\"name\":\"A\",\"cumulativeInstanceCount\":1},"
       "{\"name\":\"B\",\"cumulativeInstanceCount\":1}],\"hitCount\":2}}],\"hitCount\":1}}]");
    is(f, SEARCH,
       "{\"searchString\":\"\",\"path\":[\"Location\",\"North\",\"B\"],"
       "\"hierarchies\":{\"expand\":{\"kind\":\"UntilChildren\"}}}",
       "hierarchyNodes", "{\"hits\":[],\"hitCount\":0}");
    is(f, SEARCH, "{\"searchString\":\"\",\"instances\":{}}", "instances/hits/0/name", "\"fan\"");
    is(f, SEARCH, "{\"searchString\":\"\",\"path\":[\"Location\",\"North\"],\"hierarchies\":{}}",
       "hierarchyNodes/hits/1/name", "\"B\"");
    is(f, SEARCH,
       "{\"searchString\":\"\",\"path\":[\"Location\",\"North\",\"B\"],\"instances\":{}}",
       "instances/hits/0/name", "\"pump 8\"");
    is(f, SEARCH, "{\"searchString\":\"\",\"path\":[\"Location\",\"North\"],\"instances\":{}}",
       "instances/hitCount", "0");
    is(f, SEARCH,
       "{\"searchString\":\"\",\"path\":[\"Location\"],\"instances\":{\"recursive\":true,"
       "\"pageSize\":1,\"sort\":{\"by\":\"DisplayName\"}}}",
       "instances/continuationToken", "\"1\"");
    is(f, SEARCH,
       "{\"searchString\":\"\",\"path\":[\"Location\"],\"continuationToken\":\"1\",\"instances\":{"
       "\"recursive\":true,\"pageSize\":1,\"sort\":{\"by\":\"DisplayName\"}}}",
       "instances/hits/0/name", "\"pump 8\"");
    is(f, "/timeseries/instances/suggest", "{\"searchString\":\"pu\",\"take\":1}", "suggestions",
       "[{\"searchString\":\"pump 7\",\"highlightedSearchString\":\"<hit>pu</hit>mp 7\"}]");
}

static void refused(struct fleet *f, const char *path, const char *body) {
    fleet_call(f, SK_HTTP_POST, path, body);
    if (f->status != 400) fail_msg("%s %s: %u %s", path, body, f->status, f->answer);
}

/* One object of a batch is refused. */
static void bad(struct fleet *f, const char *path, const char *object, const char *why) {
    char body[2000];
    snprintf(body, sizeof body, "{\"put\":[%s]}", object);
    series_post(f, path, body);
    series_has(f, "{\"put\":[{\"error\":{\"code\":\"InvalidInput\"");
    series_has(f, why);
}

TEST(mistakes_are_said) {
    struct fleet *f = *state;
    refused(f, SEARCH, "{\"searchString\":\"\",\"hierarchies\":{\"expand\":{\"kind\":\"All\"}}}");
    refused(f, BATCH("types"), "{}");
    refused(f, BATCH("types"), "{\"get\":{},\"put\":[]}");
    refused(f, BATCH("types"), "{\"update\":[]}");
    refused(f, BATCH("types"), "{\"put\":{}}");
    fleet_call(f, SK_HTTP_POST, BATCH("things"), "{\"put\":[]}");
    assert_int_equal(f->status, 404);
    bad(f, BATCH("types"), "1", "no object");
    bad(f, BATCH("types"), "{\"id\":\"x\"}", "a name is needed");
    bad(f, BATCH("types"), "{\"name\":\"x\",\"variables\":{}}", "1 to 100 variables");
    bad(f, BATCH("types"), "{\"name\":\"x\",\"variables\":{\"v\":{\"kind\":\"numeric\"}}}",
        "variable 'v': value");
    bad(f, BATCH("hierarchies"), "{\"name\":\"x\",\"source\":{\"instanceFieldNames\":[]}}",
        "1 to 32");
    bad(f, BATCH("instances"), "{\"timeSeriesId\":[\"d1\"]}", "typeId");
    bad(f, BATCH("instances"), INSTANCE("d1", "x", ""), "typeId");
    refused(f, SEARCH, "{}");
    refused(f, SEARCH, "{\"searchString\":\"\",\"instances\":{\"pageSize\":101}}");
    refused(f, SEARCH, "{\"searchString\":\"\",\"path\":[1]}");
    refused(f, SEARCH, "{\"searchString\":\"\",\"continuationToken\":\"x\"}");
}

TEST(limits_are_at_their_number) {
    struct fleet *f = *state;
    struct sk_buffer body = {0};
    for (size_t i = 0; i < 33; i++)
        sk_buffer_print(&body, "%s{\"name\":\"h%zu\",\"source\":{\"instanceFieldNames\":[\"a\"]}}",
                        i ? "," : "{\"put\":[", i);
    sk_buffer_append(&body, sk_span("]}", 3));
    series_post(f, BATCH("hierarchies"), body.p);
    sk_buffer_free(&body);
    json_t *json = json_loads(f->answer, 0, NULL);
    assert_non_null(fleet_member(json, "put/31/hierarchy"));
    json_decref(json);
    series_post(f, BATCH("hierarchies"), "{\"put\":[" SITES "]}");
    series_has(f, "as many as there may be");
}

TEST(the_time_series_id_stays_what_it_was) {
    struct fleet *f = *state;
    char error[SK_HUB_CONFIG_ERROR_MAX];
    struct sk_hub_server *hub;
    struct sk_hub_config config;
    fleet_stop_hub(f);
    const char *toml = SERIES_TOML("time_series_id = [\"plant\"]\n");
    assert_int_equal(sk_hub_config_parse(sk_span_z(toml), "hub.toml", "", &config, error), SK_OK);
    assert_int_equal(sk_hub_server_start(f->hub_io, &config, false, &hub, error), SK_INVALID);
    assert_non_null(strstr(error, "stays so"));
    sk_sim_run(f->sim, SK_S);
    sk_hub_config_free(&config);
    fleet_start_hub(f);
}
