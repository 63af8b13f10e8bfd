/* A leaf device that knows HTTPS alone, at the edge hub. */
#include "support/fleet_c2d.h"
#include "support/raw_client.h"
#include "support/raw_http.h"
#include "support/test.h"

#define RECEIVE "/devices/leaf1/messages/devicebound" VERSION
#define EVENTS "/devices/leaf1/messages/events" VERSION
#define TWIN "/devices/leaf1/twin" VERSION
#define REPORTED "/devices/leaf1/twin/properties/reported" VERSION
#define TO_LEAF                                                                                    \
    "{\"schemaVersion\":\"1.1\",\"routes\":{\"up\":\"FROM /messages/* INTO $upstream\",\"leaf\":{" \
    "\"route\":\"FROM /messages/* WHERE to = 'leaf' INTO "                                         \
    "BrokeredEndpoint(\\\"/devices/leaf1\\\")\",\"timeToLiveSecs\":3600}}}"

static int new_world(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new(f, 1, TO_LEAF);
    sk_sim_run(f->sim, 5 * SK_S);
    *state = f;
    return 0;
}

static uint64_t completed(struct fleet *f) {
    return sk_hub_counts(sk_hub_server_hub(f->hub, 0)).c2d_ended_total[SK_C2D_COMPLETED];
}

AROUND(new_world, fleet_free_world);

VARIANTS(fleet_over, "mqtt", "amqp");

/* As leaf1. `token`: of the message, unquoted. */
static unsigned asks(struct fleet *f, const char *method, const char *path, const char *body,
                     char **text, char token[40]) {
    struct raw_answer answer;
    raw_asks(f,
             &(struct raw_ask){.at = "edge.test",
                               .method = method,
                               .target = path,
                               .resource = "hub.test/devices/leaf1",
                               .key = FLEET_KEY,
                               .policy = "",
                               .body = sk_span_z(body)},
             &answer);
    unsigned status = answer.parser.status;
    struct sk_span tag = sk_http_header(&answer.parser, "ETag");
    if (token && tag.n > 2) snprintf(token, 40, "%.*s", (int)tag.n - 2, tag.p + 1);
    if (text) *text = sk_span_dup(sk_buffer_span(&answer.parser.body));
    sk_http_parser_free(&answer.parser);
    return status;
}

TEST(a_leaf_that_knows_https_alone_has_all_of_it_at_the_edge) {
    struct fleet *f = *state;
    char *text, token[40] = "", path[200];
    const char *receive = "/devices/leaf1/messages/devicebound" VERSION;
    assert_int_equal(asks(f, "POST", "/devices/leaf1/messages/events" VERSION, "hello", NULL, NULL),
                     204);
    fleet_send_c2d(f, "leaf1", "m1");
    assert_int_equal(asks(f, "GET", receive, "", &text, token), 200); /* it waits for the cloud */
    assert_string_equal(text, "m1");
    free(text);
    assert_int_equal(asks(f, "GET", receive, "", NULL, NULL), 204); /* it is locked */
    snprintf(path, sizeof path, "/devices/leaf1/messages/devicebound/%s/abandon" VERSION, token);
    assert_int_equal(asks(f, "POST", path, "", NULL, NULL), 204);
    assert_int_equal(asks(f, "GET", receive, "", &text, token), 200); /* again */
    assert_string_equal(text, "m1");
    free(text);
    assert_int_equal(completed(f), 0);
    snprintf(path, sizeof path, "/devices/leaf1/messages/devicebound/%s" VERSION, token);
    assert_int_equal(asks(f, "DELETE", path, "", NULL, NULL), 204);
    sk_sim_run(f->sim, 5 * SK_S);
    assert_int_equal(completed(f), 1);
    assert_int_equal(asks(f, "DELETE", path, "", NULL, NULL), 412);
    assert_int_equal(sk_edge_hub_counts(f->edge).forwarded_total, 1);
}

TEST(a_lock_over_https_ends_by_its_time) {
    struct fleet *f = *state;
    char token[40] = "", path[200];
    const char *receive =
        "/devices/leaf1/messages/devicebound" VERSION "&IotHub-MessageLockTimeout=10";
    fleet_send_c2d(f, "leaf1", "m1");
    assert_int_equal(asks(f, "GET", receive, "", NULL, token), 200);
    sk_sim_run(f->sim, 5 * SK_S);
    assert_int_equal(asks(f, "GET", receive, "", NULL, NULL), 204);
    sk_sim_run(f->sim, 6 * SK_S);
    snprintf(path, sizeof path, "/devices/leaf1/messages/devicebound/%s" VERSION, token);
    assert_int_equal(asks(f, "DELETE", path, "", NULL, NULL), 412);
    assert_int_equal(asks(f, "GET", receive, "", NULL, token), 200);
    assert_int_equal(asks(f, "DELETE", path, "", NULL, NULL), 204);
    sk_sim_run(f->sim, 5 * SK_S);
    assert_int_equal(completed(f), 1);
}

/* ---- what routes send to it ---- */

static void reader_sends(struct fleet *f, const char *body) {
    struct raw_client reader;
    raw_dial(&reader, f, "edge.test",
             &(struct raw_connect){.device = "edge1", .module = "reader", .clean = true});
    raw_expect_connack(&reader, SK_MQTT_ACCEPTED, false);
    raw_publish(&reader, "devices/edge1/modules/reader/messages/events/to=leaf", sk_span_z(body), 1,
                1);
    raw_expect_ack(&reader, SK_MQTT_PUBACK, 1);
    raw_free(&reader);
}

static void gets(struct fleet *f, const char *path, const char *body, char token[40]) {
    char *text;
    assert_int_equal(asks(f, "GET", path, "", &text, token), 200);
    assert_string_equal(text, body);
    free(text);
}

static unsigned settles(struct fleet *f, const char *method, const char *token, const char *how) {
    char path[200];
    snprintf(path, sizeof path, "/devices/leaf1/messages/devicebound/%s%s", token, how);
    return asks(f, method, path, "", NULL, NULL);
}

TEST(a_leaf_that_polls_gets_what_routes_send_to_it_offline_too) {
    struct fleet *f = *state;
    char token[40] = "", second[40] = "";
    sk_sim_partition(f->edge_io, f->hub_io, true);
    sk_sim_run(f->sim, 200 * SK_S);
    assert_int_equal(asks(f, "GET", RECEIVE, "", NULL, NULL), 204);
    reader_sends(f, "1");
    reader_sends(f, "2");
    fleet_stop_edge(f);
    fleet_start_edge(f);
    gets(f, RECEIVE, "1", token);
    gets(f, RECEIVE, "2", second); /* the first is locked */
    assert_int_equal(asks(f, "GET", RECEIVE, "", NULL, NULL), 204);
    assert_int_equal(settles(f, "DELETE", second, VERSION), 204);
    assert_int_equal(settles(f, "DELETE", second, VERSION), 412);
    assert_int_equal(settles(f, "POST", token, "/abandon" VERSION), 204);
    assert_int_equal(settles(f, "POST", token, "/abandon" VERSION), 412);
    gets(f, RECEIVE, "1", token);
    assert_int_equal(settles(f, "DELETE", token, VERSION "&reject="), 204);
    assert_int_equal(asks(f, "GET", RECEIVE, "", NULL, NULL), 204);
    fleet_stop_edge(f);
    fleet_start_edge(f);
    assert_int_equal(asks(f, "GET", RECEIVE, "", NULL, NULL), 204); /* they have ended for good */
}

TEST(a_routed_message_comes_again_when_its_lock_over_https_has_ended) {
    struct fleet *f = *state;
    char token[40] = "";
    reader_sends(f, "1");
    reader_sends(f, "2");
    gets(f, RECEIVE "&IotHub-MessageLockTimeout=10", "1", token);
    sk_sim_run(f->sim, 11 * SK_S);
    assert_int_equal(settles(f, "DELETE", token, VERSION), 412);
    gets(f, RECEIVE, "1", token); /* before the second */
    assert_int_equal(settles(f, "DELETE", token, VERSION), 204);
    gets(f, RECEIVE "&IotHub-MessageLockTimeout=10", "2", token);
    sk_sim_run(f->sim, 3600 * SK_S); /* its time to live */
    assert_int_equal(asks(f, "GET", RECEIVE, "", NULL, NULL), 204);
    assert_int_equal(sk_edge_hub_counts(f->edge).expired_total, 1);
}

TEST(a_call_over_https_that_waits_gets_what_comes_meanwhile) {
    struct fleet *f = *state;
    struct raw_client reader;
    struct sk_edge_hub_counts before;
    char token[40] = "";
    raw_dial(&reader, f, "edge.test",
             &(struct raw_connect){.device = "edge1", .module = "reader", .clean = true});
    raw_expect_connack(&reader, SK_MQTT_ACCEPTED, false);
    before = sk_edge_hub_counts(f->edge);
    raw_publish(&reader, "devices/edge1/modules/reader/messages/events/to=leaf", SK_SPAN("m"), 1,
                1);
    gets(f, RECEIVE, "m", token); /* asked before it is durable, most likely */
    raw_expect_ack(&reader, SK_MQTT_PUBACK, 1);
    assert_int_equal(settles(f, "DELETE", token, VERSION), 204);
    assert_int_equal(sk_edge_hub_counts(f->edge).delivered_total, before.delivered_total + 1);
    raw_free(&reader);
}

TEST(what_a_poll_has_locked_goes_to_the_leafs_session_when_the_lock_ends) {
    struct fleet *f = *state;
    struct raw_client leaf;
    char token[40] = "";
    reader_sends(f, "1");
    gets(f, RECEIVE "&IotHub-MessageLockTimeout=10", "1", token);
    raw_dial(&leaf, f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
    raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
    raw_subscribe(&leaf, 1, "devices/leaf1/messages/devicebound/#", 1);
    raw_expect_suback(&leaf, 1, "\1", 1);
    raw_expect_nothing(&leaf);
    sk_sim_run(f->sim, 75 * SK_S);
    assert_true(sk_span_is(raw_expect(&leaf, SK_MQTT_PUBLISH).u.publish.payload, "1"));
    raw_free(&leaf);
}

/* ---- its twin ---- */

static json_t *twin_of(struct fleet *f) {
    char *text;
    assert_int_equal(asks(f, "GET", TWIN, "", &text, NULL), 200);
    json_t *twin = json_loads(text, 0, NULL);
    free(text);
    assert_non_null(twin);
    return twin;
}

static json_int_t member(json_t *twin, const char *section, const char *name) {
    json_t *value = json_object_get(json_object_get(twin, section), name);
    return json_is_integer(value) ? json_integer_value(value) : -1;
}

TEST(a_leaf_has_its_twin_over_https_with_and_without_the_cloud) {
    struct fleet *f = *state;
    fleet_call(f, SK_HTTP_PATCH, "/twins/leaf1", "{\"properties\":{\"desired\":{\"every\":5}}}");
    char *text;
    json_t *twin = twin_of(f);
    assert_int_equal(member(twin, "desired", "every"), 5);
    assert_int_equal(member(twin, "desired", "$version"), 2);
    json_decref(twin);
    assert_int_equal(asks(f, "PATCH", REPORTED, "{\"has\":5}", &text, NULL), 200);
    assert_string_equal(text, "{\"$version\":2}");
    free(text);
    sk_sim_run(f->sim, 10 * SK_S);
    fleet_call(f, SK_HTTP_GET, "/twins/leaf1", "");
    assert_non_null(strstr(f->answer, "\"has\":5"));
    sk_sim_partition(f->edge_io, f->hub_io, true);
    sk_sim_run(f->sim, 200 * SK_S);
    assert_int_equal(asks(f, "PATCH", REPORTED, "{\"has\":6}", NULL, NULL), 200);
    twin = twin_of(f);
    assert_int_equal(member(twin, "desired", "every"), 5);
    assert_int_equal(member(twin, "reported", "has"), 6);
    json_decref(twin);
    fleet_crash_edge(f);
    sk_sim_partition(f->edge_io, f->hub_io, false);
    sk_sim_run(f->sim, 200 * SK_S);
    fleet_call(f, SK_HTTP_GET, "/twins/leaf1", "");
    assert_non_null(strstr(f->answer, "\"has\":6"));
}

TEST(bad_reports_over_https_are_refused_with_a_sentence) {
    struct fleet *f = *state;
    char *text;
    assert_int_equal(asks(f, "PATCH", REPORTED, "[]", NULL, NULL), 400);
    assert_int_equal(asks(f, "PATCH", REPORTED, "{", NULL, NULL), 400);
    assert_int_equal(asks(f, "PATCH", REPORTED, "{\"a\":[null]}", &text, NULL), 400);
    assert_non_null(strstr(text, "null"));
    free(text);
    assert_int_equal(asks(f, "GET", "/devices/leaf2/twin" VERSION, "", NULL, NULL), 401);
    assert_int_equal(asks(f, "PUT", REPORTED, "{\"a\":1}", NULL, NULL), 405);
}

TEST(a_hub_gives_a_device_its_twin_over_https_by_the_same_paths) {
    struct fleet *f = *state;
    struct raw_answer answer;
    struct raw_ask ask = {.at = "hub.test",
                          .method = "PATCH",
                          .target = REPORTED,
                          .resource = "hub.test/devices/leaf1",
                          .key = FLEET_KEY,
                          .policy = "",
                          .body = SK_SPAN("{\"has\":7}")};
    raw_asks(f, &ask, &answer);
    assert_int_equal(answer.parser.status, 200);
    assert_true(sk_span_is(sk_buffer_span(&answer.parser.body), "{\"$version\":2}"));
    sk_http_parser_free(&answer.parser);
    ask.method = "GET";
    ask.target = TWIN;
    ask.body = SK_NONE;
    raw_asks(f, &ask, &answer);
    assert_int_equal(answer.parser.status, 200);
    json_t *twin = json_loadb((char *)answer.parser.body.p, answer.parser.body.n, 0, NULL);
    assert_int_equal(member(twin, "reported", "has"), 7);
    assert_int_equal(member(twin, "reported", "$version"), 2);
    assert_null(json_object_get(twin, "tags"));
    json_decref(twin);
    sk_http_parser_free(&answer.parser);
}
