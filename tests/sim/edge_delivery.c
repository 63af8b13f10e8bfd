/* From a leaf device through an edge hub's routes into modules, and what a deployment changes about
 * it. */
#include "support/raw_client.h"
#include "support/test.h"

#define ROUTES(list) "{\"schemaVersion\":\"1.1\",\"routes\":{" list "}}"
#define TO_READER                                                                                  \
    "\"r\":\"FROM /messages/* INTO BrokeredEndpoint(\\\"/modules/reader/inputs/in\\\")\""
#define UP "\"up\":\"FROM /messages/* INTO $upstream\""

static void begin(struct fleet *f, const char *routes) {
    fleet_new(f, 1, routes);
    sk_sim_run(f->sim, 3 * SK_S); /* the deployment arrives */
}

static void deploy(struct fleet *f, const char *routes) {
    fleet_deploy(f, routes);
    sk_sim_run(f->sim, 5 * SK_S);
}

static void open_leaf(struct raw_client *c, struct fleet *f) {
    raw_dial(c, f, "edge.test", &(struct raw_connect){.device = "leaf1", .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static void open_reader(struct raw_client *c, struct fleet *f, uint8_t qos) {
    raw_dial(c, f, "edge.test",
             &(struct raw_connect){.device = "edge1", .module = "reader", .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
    raw_subscribe(c, 1, "devices/edge1/modules/reader/#", qos);
    raw_expect_suback(c, 1, qos ? "\1" : "\0", 1);
}

static void leaf_sends(struct raw_client *leaf, const char *bag, const char *body) {
    char topic[200];
    snprintf(topic, sizeof topic, "devices/leaf1/messages/events/%s", bag);
    raw_publish(leaf, topic, sk_span_z(body), 1, 1);
    raw_expect_ack(leaf, SK_MQTT_PUBACK, 1);
}

static void acknowledge(struct raw_client *c, uint16_t id) {
    struct sk_buffer out = {0};
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, id);
    raw_send_buffer(c, &out);
}

/* The next message of an input; its packet id. */
static uint16_t reader_gets(struct raw_client *c, const char *topic, const char *body) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    if (topic && !sk_span_is(packet.u.publish.topic, topic))
        fail_msg("%.*s", SK_ARG(packet.u.publish.topic));
    if (!sk_span_is(packet.u.publish.payload, body))
        fail_msg("%.*s instead of %s", SK_ARG(packet.u.publish.payload), body);
    return packet.u.publish.id;
}

VARIANTS(fleet_over, "mqtt", "amqp");

/* ---- delivery ---- */

TEST(a_message_reaches_the_input_that_its_route_names) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER));
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "plain");
    acknowledge(
        &reader,
        reader_gets(&reader, "devices/edge1/modules/reader/inputs/in/%24.cdid=leaf1", "plain"));
    leaf_sends(&leaf, "$.ct=application/json&a%20b=1/2&%24.mid=7", "{}");
    acknowledge(&reader,
                reader_gets(&reader,
                            "devices/edge1/modules/reader/inputs/in/"
                            "%24.cdid=leaf1&%24.mid=7&%24.ct=application%2Fjson&a%20b=1%2F2",
                            "{}"));
    raw_expect_nothing(&reader);
    assert_int_equal(sk_edge_hub_counts(f.edge).delivered_total, 2);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(what_a_module_has_not_acknowledged_comes_again_after_it_reconnects) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER));
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "1"); /* before the module has ever come */
    open_reader(&reader, &f, 1);
    leaf_sends(&leaf, "", "2");
    leaf_sends(&leaf, "", "3");
    acknowledge(&reader, reader_gets(&reader, NULL, "1"));
    reader_gets(&reader, NULL, "2");
    acknowledge(&reader,
                reader_gets(&reader, NULL, "3")); /* out of order: 2 holds the queue back */
    sk_sim_run(f.sim, SK_S);
    raw_free(&reader);
    open_reader(&reader, &f, 1);
    acknowledge(&reader, reader_gets(&reader, NULL, "2"));
    acknowledge(&reader, reader_gets(&reader, NULL, "3"));
    raw_expect_nothing(&reader);
    raw_free(&reader);
    open_reader(&reader, &f, 1);
    raw_expect_nothing(&reader);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(a_modules_queue_survives_a_restart_of_the_edge) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER));
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "1");
    raw_free(&leaf);
    fleet_stop_edge(&f);
    fleet_start_edge(&f);
    open_reader(&reader, &f, 1);
    acknowledge(&reader, reader_gets(&reader, NULL, "1"));
    raw_free(&reader);
    fleet_free(&f);
}

TEST(a_slow_module_gets_everything_in_order) {
    enum { MANY = 300 };
    struct fleet f;
    struct raw_client leaf, reader;
    char body[16];
    begin(&f, ROUTES(TO_READER "," UP));
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "%u", i);
        leaf_sends(&leaf, "", body);
    }
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "%u", i);
        uint16_t id = reader_gets(&reader, NULL, body);
        if (i % 7 == 0) sk_sim_run(f.sim, 100 * SK_MS);
        acknowledge(&reader, id);
    }
    raw_expect_nothing(&reader);
    sk_sim_run(f.sim, 10 * SK_S);
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, MANY);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(large_messages_reach_an_input_subscribed_at_qos_0) {
    enum { MANY = 12, SIZE = 200 * 1024 };
    static char body[SIZE];
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER));
    open_leaf(&leaf, &f);
    for (unsigned i = 0; i < MANY; i++) {
        memset(body, 'a' + (int)i, SIZE);
        raw_publish(&leaf, "devices/leaf1/messages/events/", sk_span(body, SIZE), 1, 1);
        raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
    }
    open_reader(&reader, &f, 0);
    for (unsigned i = 0; i < MANY; i++) {
        struct sk_mqtt_packet packet = raw_expect(&reader, SK_MQTT_PUBLISH);
        assert_int_equal(packet.u.publish.payload.n, SIZE);
        assert_int_equal(packet.u.publish.payload.p[0], 'a' + (int)i);
    }
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(properties_that_no_topic_can_carry_on_are_refused_at_the_door) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER "," UP));
    open_reader(&reader, &f, 1);
    for (unsigned fits = 0; fits < 2; fits++) {
        struct sk_buffer topic = {0};
        sk_buffer_text(&topic, "devices/leaf1/messages/events/a=");
        for (unsigned i = 0; i < 21000 + (fits ? 0 : 1500); i++)
            sk_buffer_byte(&topic, ':'); /* three bytes each when it goes on */
        sk_buffer_byte(&topic, 0);
        open_leaf(&leaf, &f);
        raw_publish(&leaf, topic.p, SK_SPAN("x"), 1, 1);
        if (fits) {
            raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
            acknowledge(&reader, reader_gets(&reader, NULL, "x"));
        } else {
            raw_expect_closed(&leaf);
            raw_expect_nothing(&reader);
        }
        raw_free(&leaf);
        sk_buffer_free(&topic);
    }
    sk_sim_run(f.sim, 10 * SK_S);
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, 1);
    raw_free(&reader);
    fleet_free(&f);
}

/* ---- routes ---- */

TEST(conditions_choose_by_properties_and_by_the_body) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(
        &f,
        ROUTES("\"p\":\"FROM /messages/* WHERE kind = 'hot' "
               "INTO BrokeredEndpoint(\\\"/modules/reader/inputs/prop\\\")\","
               "\"b\":\"FROM /messages/* WHERE $body.t > 20 AND $connectionDeviceId = 'leaf1' INTO "
               "BrokeredEndpoint(\\\"/modules/reader/inputs/body\\\")\","
               "\"m\":\"FROM /messages/modules/reader/outputs/out INTO "
               "BrokeredEndpoint(\\\"/modules/reader/inputs/own\\\")\""));
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "kind=cold", "{\"t\":10}");
    leaf_sends(&leaf, "kind=hot", "{\"t\":11}");
    acknowledge(&reader,
                reader_gets(&reader,
                            "devices/edge1/modules/reader/inputs/prop/%24.cdid=leaf1&kind=hot",
                            "{\"t\":11}"));
    leaf_sends(&leaf, "%24.ct=application%2Fjson&%24.ce=utf-8", "{\"t\":21}");
    acknowledge(&reader, reader_gets(&reader,
                                     "devices/edge1/modules/reader/inputs/body/"
                                     "%24.cdid=leaf1&%24.ct=application%2Fjson&%24.ce=utf-8",
                                     "{\"t\":21}"));
    raw_publish(&reader, "devices/edge1/modules/reader/messages/events/%24.on=out/",
                SK_SPAN("mine"), 1, 9);
    bool acknowledged = false, delivered = false;
    for (unsigned i = 0; i < 2; i++) {
        struct sk_mqtt_packet packet;
        assert_true(raw_next(&reader, &packet));
        acknowledged = acknowledged || packet.type == SK_MQTT_PUBACK;
        delivered = delivered || (packet.type == SK_MQTT_PUBLISH &&
                                  sk_span_is(packet.u.publish.payload, "mine"));
    }
    assert_true(acknowledged && delivered);
    raw_expect_nothing(&reader);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(a_message_older_than_its_time_to_live_is_not_delivered) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, "{\"schemaVersion\":\"1.1\",\"routes\":{" TO_READER
              "},\"storeAndForwardConfiguration\":{\"timeToLiveSecs\":60}}");
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "old");
    sk_sim_run(f.sim, 50 * SK_S);
    leaf_sends(&leaf, "", "young");
    sk_sim_run(f.sim, 20 * SK_S);
    open_reader(&reader, &f, 1);
    acknowledge(&reader, reader_gets(&reader, NULL, "young"));
    assert_int_equal(sk_edge_hub_counts(f.edge).expired_total, 1);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

static void count_large(void *arg, const struct sk_message *message) {
    *(size_t *)arg += sk_message_size(message) == SK_MESSAGE_MAX;
}

/* The edge adds its number: that must not make it one byte too large for the cloud. */
TEST(a_message_of_256_kilobytes_passes_through_the_edge) {
    static char body[SK_MESSAGE_MAX];
    struct fleet f;
    struct raw_client leaf;
    size_t large = 0;
    memset(body, 'x', sizeof body);
    begin(&f, ROUTES(UP));
    open_leaf(&leaf, &f);
    raw_publish(&leaf, "devices/leaf1/messages/events/", sk_span(body, sizeof body), 1, 1);
    raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
    raw_publish(&leaf, "devices/leaf1/messages/events/ab=cd", sk_span(body, sizeof body - 4), 1, 2);
    raw_expect_ack(&leaf, SK_MQTT_PUBACK, 2);
    sk_sim_run(f.sim, 5 * SK_S);
    fleet_read_events(&f, count_large, &large);
    assert_int_equal(large, 2);
    raw_free(&leaf);
    fleet_free(&f);
}

TEST(the_model_of_a_leaf_is_known_in_the_cloud) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f, ROUTES(UP));
    raw_dial(&leaf, &f, "edge.test",
             &(struct raw_connect){
                 .device = "leaf1",
                 .clean = true,
                 .user = "hub.test/leaf1/?api-version=2021-04-12&model-id=dtmi:a:B;1"});
    raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
    leaf_sends(&leaf, "", "x");
    sk_sim_run(f.sim, 5 * SK_S);
    fleet_call(&f, SK_HTTP_GET, "/twins/leaf1", "");
    if (strstr(f.answer, "\"modelId\":\"dtmi:a:B;1\"") == NULL) fail_msg("%s", f.answer);
    raw_free(&leaf);
    fleet_free(&f);
}

/* ---- deployments ---- */

/* The reported lastDesiredStatus: its code; the description is copied. */
static int desired_status(struct fleet *f, char description[300]) {
    fleet_call(f, SK_HTTP_GET, "/twins/edge1/modules/%24edgeHub", "");
    assert_int_equal(f->status, 200);
    json_t *twin = json_loads(f->answer, 0, NULL);
    const json_t *status = json_object_get(
        json_object_get(json_object_get(twin, "properties"), "reported"), "lastDesiredStatus");
    int code = (int)json_integer_value(json_object_get(status, "code"));
    const char *text = json_string_value(json_object_get(status, "description"));
    snprintf(description, 300, "%s", text ? text : "");
    json_decref(twin);
    return code;
}

#define LONG_NAME "thermometers-of-the-cold-store-in-the-basement-of-the-north-win" /* 63 */
#define LIVES(seconds)                                                                             \
    "\"bad\":{\"route\":\"FROM /messages/* INTO $upstream\",\"timeToLiveSecs\":" seconds "}"

TEST(a_bad_deployment_is_reported_and_the_old_routes_stay) {
    static const struct {
        const char *desired, *holds;
    } cases[] = {
        {"{\"routes\":{}}", "schemaVersion"},
        {"{\"schemaVersion\":\"2.0\",\"routes\":{}}", "schemaVersion"},
        {"{\"schemaVersion\":1.1,\"routes\":{}}", "schemaVersion"},
        {"{\"schemaVersion\":\"1.1\",\"routes\":[]}", "routes"},
        {ROUTES("\"bad\":\"FROM /messages/* INTO nowhere\""), "bad"},
        {ROUTES("\"bad\":\"FROM /messages/* WHERE (a = 1 INTO $upstream\""), "line 1, column"},
        {ROUTES("\"bad\":\"\""), "bad"},
        {ROUTES("\"bad\":7"), "bad"},
        {ROUTES("\"bad\":{\"priority\":1}"), "bad"},
        {ROUTES("\"bad\":{\"route\":\"FROM /messages/* INTO $upstream\",\"priority\":10}"),
         "priority"},
        {ROUTES(LIVES("-1")), "timeToLiveSecs"},
        {ROUTES(LIVES("4294967296")), "at most 4294967295"},
        /* so many microseconds that they are half a second again */
        {ROUTES(LIVES("18446744073710")), "at most 4294967295"},
        {"{\"schemaVersion\":\"1.1\",\"routes\":{},\"storeAndForwardConfiguration\":"
         "{\"timeToLiveSecs\":18446744073710}}",
         "storeAndForwardConfiguration.timeToLiveSecs"},
        {"{\"schemaVersion\":\"1.1\",\"routes\":{},\"storeAndForwardConfiguration\":"
         "{\"timeToLiveSecs\":\"60\"}}",
         "storeAndForwardConfiguration.timeToLiveSecs"},
        /* a name that the sentence cuts within a letter */
        {ROUTES("\"" LONG_NAME "\xc3\xa9\":7"), LONG_NAME "\xef\xbf\xbd"},
        {"{}", "empty"},
    };
    struct fleet f;
    struct raw_client leaf, reader;
    char description[300];
    begin(&f, ROUTES(TO_READER));
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    assert_int_equal(desired_status(&f, description), 200);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        deploy(&f, cases[i].desired);
        int code = desired_status(&f, description);
        if (code < 400 || strstr(description, cases[i].holds) == NULL)
            fail_msg("%s: %d %s", cases[i].desired, code, description);
        leaf_sends(&leaf, "", "still");
        acknowledge(&reader, reader_gets(&reader, NULL, "still"));
    }
    deploy(&f, ROUTES(TO_READER "," LIVES("4294967295")));
    assert_int_equal(desired_status(&f, description), 200);
    deploy(&f, ROUTES(TO_READER "," UP));
    assert_int_equal(desired_status(&f, description), 200);
    assert_string_equal(description, "");
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(the_old_routes_also_stay_over_a_restart_after_a_bad_deployment) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER));
    deploy(&f, ROUTES("\"bad\":7"));
    fleet_stop_edge(&f);
    fleet_start_edge(&f);
    sk_sim_run(f.sim, 10 * SK_S);
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "still");
    acknowledge(&reader, reader_gets(&reader, NULL, "still"));
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(a_removed_route_takes_nothing_more_and_its_queue_waits_for_it) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(TO_READER "," UP));
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "queued");
    deploy(&f, ROUTES(UP));
    leaf_sends(&leaf, "", "not for it");
    sk_sim_run(f.sim, 10 * SK_S);
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, 2);
    fleet_stop_edge(&f);
    fleet_start_edge(&f);
    open_reader(&reader, &f, 1);
    raw_expect_nothing(&reader);
    deploy(&f, ROUTES(UP "," TO_READER));
    acknowledge(&reader, reader_gets(&reader, NULL, "queued"));
    raw_expect_nothing(&reader);
    raw_free(&leaf);
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "new");
    acknowledge(&reader, reader_gets(&reader, NULL, "new"));
    sk_sim_run(f.sim, 10 * SK_S);
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, 1);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(sixty_three_inputs_are_served_and_one_more_is_refused) {
    enum { INPUTS = SK_EDGE_QUEUES_MAX - 1 };
    struct fleet f;
    struct raw_client leaf, reader;
    char description[300];
    begin(&f, ROUTES(UP));
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    for (unsigned more = 0; more < 2; more++) {
        struct sk_buffer desired = {0};
        sk_buffer_text(&desired, "{\"schemaVersion\":\"1.1\",\"routes\":{");
        for (unsigned i = 0; i < INPUTS + more; i++)
            sk_buffer_print(&desired,
                            "%s\"r%u\":\"FROM /messages/* "
                            "INTO BrokeredEndpoint(\\\"/modules/reader/inputs/i%u\\\")\"",
                            i ? "," : "", i, i);
        sk_buffer_text(&desired, "}}");
        sk_buffer_byte(&desired, 0);
        deploy(&f, desired.p);
        sk_buffer_free(&desired);
        int code = desired_status(&f, description);
        if (code != (more ? 400 : 200)) fail_msg("%d %s", code, description);
        leaf_sends(&leaf, "", "x");
        for (unsigned i = 0; i < INPUTS; i++) acknowledge(&reader, reader_gets(&reader, NULL, "x"));
        raw_expect_nothing(&reader);
    }
    /* Other inputs in their place: the slots are free again. */
    deploy(&f, ROUTES("\"o\":\"FROM /messages/* "
                      "INTO BrokeredEndpoint(\\\"/modules/reader/inputs/other\\\")\""));
    assert_int_equal(desired_status(&f, description), 200);
    leaf_sends(&leaf, "", "y");
    acknowledge(
        &reader,
        reader_gets(&reader, "devices/edge1/modules/reader/inputs/other/%24.cdid=leaf1", "y"));
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

TEST(nothing_is_acknowledged_before_there_is_a_deployment) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f, NULL);
    open_leaf(&leaf, &f);
    raw_publish(&leaf, "devices/leaf1/messages/events/", SK_SPAN("early"), 1, 1);
    raw_expect_closed(&leaf);
    raw_free(&leaf);
    deploy(&f, ROUTES(UP));
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "early");
    sk_sim_run(f.sim, 10 * SK_S);
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, 1);
    raw_free(&leaf);
    fleet_free(&f);
}

/* ---- methods between modules ---- */

TEST(a_module_calls_a_method_of_another_through_the_edge) {
    struct fleet f;
    struct raw_client reader, caller;
    struct raw_answer answer;
    struct sk_buffer token = {0}, out = {0};
    const char *body = "{\"methodName\":\"reset\",\"payload\":1,\"responseTimeoutInSeconds\":10}";
    begin(&f, ROUTES(UP));
    fleet_put(&f, "/devices/edge1/modules/caller",
              "{\"deviceId\":\"edge1\",\"moduleId\":\"caller\"," FLEET_SAS "}");
    open_reader(&reader, &f, 1);
    raw_subscribe(&reader, 2, "$iothub/methods/POST/#", 0);
    raw_expect_suback(&reader, 2, "\0", 1);
    sk_sas_create(&token, SK_SPAN("hub.test/devices/edge1/modules/caller"), SK_SPAN(FLEET_KEY),
                  SK_NONE, sk_io_wall(f.field_io) / 1000000 + 600);
    static const struct {
        const char *path;
        unsigned status;
    } cases[] = {{"/twins/edge1/modules/reader/methods", 200},
                 {"/twins/leaf1/methods", 404},
                 {"/twins/nobody/methods", 404}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sk_buffer_print(
            &out,
            "POST %s?api-version=2018-06-30 HTTP/1.1\r\nHost: edge.test\r\nx-ms-edge-moduleId: "
            "edge1/caller\r\n"
            "Authorization: %.*s\r\nContent-Length: %zu\r\n\r\n%s",
            cases[i].path, SK_ARG(sk_buffer_span(&token)), strlen(body), body);
        raw_open(&caller, &f, "edge.test");
        raw_send_buffer(&caller, &out);
        if (cases[i].status == 200) {
            struct sk_topic topic;
            char rid[100];
            struct sk_mqtt_packet packet = raw_expect(&reader, SK_MQTT_PUBLISH);
            sk_topic_parse(packet.u.publish.topic, &topic);
            assert_true(sk_span_is(topic.name, "reset"));
            snprintf(rid, sizeof rid, "$iothub/methods/res/201/?$rid=%.*s", SK_ARG(topic.rid));
            raw_publish(&reader, rid, SK_SPAN("{\"ok\":true}"), 0, 0);
        }
        raw_next_answer(&caller, &answer);
        assert_int_equal(answer.parser.status, cases[i].status);
        if (cases[i].status == 200)
            assert_true(sk_span_is(sk_buffer_span(&answer.parser.body),
                                   "{\"status\":201,\"payload\":{\"ok\":true}}"));
        sk_http_parser_free(&answer.parser);
        raw_free(&caller);
    }
    raw_free(&reader);
    sk_buffer_free(&token);
    fleet_free(&f);
}

/* Who calls must say so, and be a module of this edge device
 * (docs/protocols/device-protocols.md, section 4.5). */
TEST(a_method_call_without_a_module_of_this_edge_is_refused) {
    struct fleet f;
    static const struct {
        const char *resource, *header;
        unsigned status;
    } cases[] = {
        {"hub.test/devices/edge1/modules/reader", "", 400},
        {"hub.test/devices/edge1/modules/reader", "x-ms-edge-moduleId: edge1\r\n", 400},
        {"hub.test/devices/edge1/modules/reader", "x-ms-edge-moduleId: /reader\r\n", 400},
        {"hub.test/devices/edge1/modules/reader", "x-ms-edge-moduleId: edge1/\r\n", 400},
        {"hub.test/devices/edge1/modules/reader", "x-ms-edge-moduleId: edge1/other\r\n", 401},
        {"hub.test/devices/leaf1/modules/m", "x-ms-edge-moduleId: leaf1/m\r\n", 401},
        {"hub.test/devices/edge1/modules/reader", "x-ms-edge-moduleId: edge1/reader\r\n", 404}};
    const char *body = "{\"methodName\":\"reset\"}";
    begin(&f, ROUTES(UP));
    fleet_put(&f, "/devices/leaf1/modules/m",
              "{\"deviceId\":\"leaf1\",\"moduleId\":\"m\"," FLEET_SAS "}");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct raw_client caller;
        struct raw_answer answer;
        struct sk_buffer token = {0}, out = {0};
        sk_sas_create(&token, sk_span_z(cases[i].resource), SK_SPAN(FLEET_KEY), SK_NONE,
                      sk_io_wall(f.field_io) / 1000000 + 600);
        sk_buffer_print(&out,
                        "POST /twins/leaf1/methods?api-version=2018-06-30 HTTP/1.1\r\n"
                        "Host: edge.test\r\n%sAuthorization: %.*s\r\nContent-Length: %zu\r\n\r\n%s",
                        cases[i].header, SK_ARG(sk_buffer_span(&token)), strlen(body), body);
        raw_open(&caller, &f, "edge.test");
        raw_send_buffer(&caller, &out);
        raw_next_answer(&caller, &answer);
        if (answer.parser.status != cases[i].status)
            fail_msg("%s%s: %u", cases[i].header, cases[i].resource, answer.parser.status);
        sk_http_parser_free(&answer.parser);
        raw_free(&caller);
        sk_buffer_free(&token);
    }
    fleet_free(&f);
}

/* ---- what the edge hub says of its clients ---- */

static json_t *client_of(struct fleet *f, const char *name) {
    fleet_call(f, SK_HTTP_GET, "/twins/edge1/modules/%24edgeHub", "");
    json_t *twin = json_loads(f->answer, 0, NULL);
    json_t *reported = json_object_get(json_object_get(twin, "properties"), "reported");
    json_t *client = json_incref(json_object_get(json_object_get(reported, "clients"), name));
    json_decref(twin);
    return client;
}

TEST(a_module_that_has_left_stays_in_the_report_and_a_leaf_goes) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(UP));
    open_reader(&reader, &f, 1);
    open_leaf(&leaf, &f);
    sk_sim_run(f.sim, 10 * SK_S);
    json_t *client = client_of(&f, "leaf1");
    assert_string_equal(json_string_value(json_object_get(client, "status")), "Connected");
    assert_non_null(json_object_get(client, "lastConnectedTimeUtc"));
    json_decref(client);
    raw_free(&leaf);
    raw_free(&reader);
    sk_sim_run(f.sim, 10 * SK_S);
    assert_null(client_of(&f, "leaf1"));
    client = client_of(&f, "edge1/reader");
    assert_string_equal(json_string_value(json_object_get(client, "status")), "Disconnected");
    assert_non_null(json_object_get(client, "lastDisconnectedTimeUtc"));
    json_decref(client);
    fleet_free(&f);
}

/* Whoever has its key may connect as the edge hub itself; when he goes, the way upstream stays. */
TEST(a_client_that_comes_as_the_edge_hub_does_not_take_its_connection_along) {
    struct fleet f;
    struct raw_client self, leaf;
    begin(&f, ROUTES(UP));
    raw_dial(&self, &f, "edge.test",
             &(struct raw_connect){.device = "edge1", .module = "$edgeHub", .clean = true});
    raw_expect_connack(&self, SK_MQTT_ACCEPTED, false);
    raw_free(&self);
    sk_sim_run(f.sim, 200 * SK_S);
    assert_true(sk_edge_hub_counts(f.edge).upstream_connected);
    open_leaf(&leaf, &f);
    leaf_sends(&leaf, "", "on");
    sk_sim_run(f.sim, 10 * SK_S);
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, 1);
    raw_free(&leaf);
    fleet_free(&f);
}
