/* What the edge hub tells Prometheus: names and labels of Azure's edge hub. */
#include "support/raw_client.h"
#include "support/raw_http.h"
#include "support/test.h"

#define ROUTES                                                                                     \
    "{\"schemaVersion\":\"1.1\",\"routes\":{"                                                      \
    "\"up\":\"FROM /messages/* WHERE up = 'y' INTO $upstream\","                                   \
    "\"in\":{\"route\":\"FROM /messages/modules/writer/outputs/* INTO "                            \
    "BrokeredEndpoint(\\\"/modules/reader/inputs/in1\\\")\",\"priority\":3},"                      \
    "\"leaf\":{\"route\":\"FROM /messages/* WHERE old = 'y' INTO "                                 \
    "BrokeredEndpoint(\\\"/devices/leaf1\\\")\",\"timeToLiveSecs\":60}}}"

static int new_world(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new(f, 1, ROUTES);
    fleet_put(f, "/devices/edge1/modules/writer",
              "{\"deviceId\":\"edge1\",\"moduleId\":\"writer\"," FLEET_SAS "}");
    sk_sim_run(f->sim, 5 * SK_S);
    *state = f;
    return 0;
}

AROUND(new_world, fleet_free_world);

/* What the sample of that name and those labels (without the common ones) has; < 0: there is none.
 * Twice the same is an error of the text. */
static double sample(struct fleet *f, const char *name, const char *labels) {
    struct sk_buffer text = {0};
    double value = -1;
    sk_edge_hub_put_metrics(f->edge, &text);
    sk_buffer_byte(&text, 0);
    for (char *rest = text.p, *line; (line = strsep(&rest, "\n")) != NULL;) {
        char *at = strstr(line, "instance_number=");
        size_t n = strlen(name);
        if (at == NULL || strncmp(line, name, n) != 0 || line[n] != '{') continue;
        at = strchr(at + 17, '"') + 1;
        at += *at == ',';
        if (strncmp(at, labels, strlen(labels)) != 0 || at[strlen(labels)] != '}') continue;
        if (value >= 0) fail_msg("twice: %s", line);
        value = atof(at + strlen(labels) + 1);
    }
    sk_buffer_free(&text);
    return value;
}

static void has(struct fleet *f, const char *name, const char *labels, double value) {
    double found = sample(f, name, labels);
    if (found != value) fail_msg("%s{%s} is %g, not %g", name, labels, found, value);
}

static void has_about(struct fleet *f, const char *name, const char *labels, double least,
                      double most) {
    double found = sample(f, name, labels);
    if (found < least || found > most) fail_msg("%s{%s} is %g", name, labels, found);
}

static void open_as(struct raw_client *c, struct fleet *f, const char *device, const char *module) {
    raw_dial(c, f, "edge.test",
             &(struct raw_connect){.device = device, .module = module, .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static void sends(struct raw_client *c, const char *topic, struct sk_span body) {
    raw_publish(c, topic, body, 1, 1);
    raw_expect_ack(c, SK_MQTT_PUBACK, 1);
}

TEST(a_message_is_counted_where_it_comes_from_and_where_it_goes) {
    struct fleet *f = *state;
    struct raw_client leaf, writer, reader;
    open_as(&leaf, f, "leaf1", NULL);
    open_as(&writer, f, "edge1", "writer");
    sends(&leaf, "devices/leaf1/messages/events/up=y", SK_SPAN("123456789"));
    sends(&writer, "devices/edge1/modules/writer/messages/events/%24.on=o1", SK_SPAN("1"));
    sends(&leaf, "devices/leaf1/messages/events/up=n", SK_SPAN("2"));
    sk_sim_run(f->sim, 20 * SK_S);
    open_as(&reader, f, "edge1", "reader");
    raw_subscribe(&reader, 1, "devices/edge1/modules/reader/#", 1);
    raw_expect_suback(&reader, 1, "\1", 1);
    uint16_t id = raw_expect(&reader, SK_MQTT_PUBLISH).u.publish.id;
    sk_sim_run(f->sim, 2 * SK_S);
    struct sk_buffer out = {0};
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, id);
    raw_send_buffer(&reader, &out);
    sk_sim_run(f->sim, 2 * SK_S);

    has(f, "edgehub_messages_received_total", "route_output=\"\",id=\"leaf1\"", 2);
    has(f, "edgehub_messages_received_total", "route_output=\"o1\",id=\"edge1/writer\"", 1);
    has(f, "edgehub_message_size_bytes_count", "id=\"leaf1\"", 2);
    has(f, "edgehub_message_size_bytes_sum", "id=\"leaf1\"", 9 + 3 + 1 + 3);
    has_about(f, "edgehub_message_size_bytes", "id=\"leaf1\",quantile=\"0.99\"", 12, 14);
    has(f, "edgehub_messages_sent_total",
        "from=\"leaf1\",to=\"upstream\",from_route_output=\"\",to_route_input=\"\","
        "priority=\"2000000000\"",
        1);
    has(f, "edgehub_messages_sent_total",
        "from=\"edge1/writer\",to=\"edge1/reader\",from_route_output=\"o1\","
        "to_route_input=\"in1\",priority=\"3\"",
        1);
    has_about(f, "edgehub_message_send_duration_seconds_sum",
              "from=\"edge1/writer\",to=\"edge1/reader\",from_route_output=\"o1\","
              "to_route_input=\"in1\"",
              2, 3);
    has_about(f, "edgehub_message_process_duration_seconds",
              "from=\"edge1/writer\",to=\"edge1/reader\",priority=\"3\",quantile=\"0.5\"", 20, 27);
    has(f, "edgehub_messages_dropped_total",
        "reason=\"no_route\",from=\"leaf1\",from_route_output=\"\"", 1);
    has(f, "edgehub_client_connect_success_total", "id=\"edge1/reader\"", 1);
    has(f, "edgehub_queue_length", "endpoint=\"iothub\",priority=\"2000000000\"", 0);
    raw_free(&leaf);
    raw_free(&writer);
    raw_free(&reader);
}

TEST(what_is_too_old_is_told_with_its_sender) {
    struct fleet *f = *state;
    struct raw_client leaf;
    open_as(&leaf, f, "leaf1", NULL);
    sends(&leaf, "devices/leaf1/messages/events/old=y", SK_SPAN("1"));
    sk_sim_run(f->sim, 200 * SK_S);
    has(f, "edgehub_messages_dropped_total",
        "reason=\"ttl_expiry\",from=\"leaf1\",from_route_output=\"\"", 1);
    raw_free(&leaf);
}

TEST(what_a_full_disk_refuses_is_told_with_its_sender) {
    struct fleet *f = *state;
    struct raw_client writer;
    open_as(&writer, f, "edge1", "writer");
    sk_sim_disk_limit(f->edge_io, 0);
    raw_publish(&writer, "devices/edge1/modules/writer/messages/events/%24.on=o1", SK_SPAN("1"), 1,
                1);
    raw_expect_closed(&writer);
    has(f, "edgehub_messages_unack_total",
        "reason=\"storage_failure\",from=\"edge1/writer\",from_route_output=\"o1\"", 1);
    assert_int_equal(sk_edge_hub_counts(f->edge).full_total, 1);
    sk_sim_disk_limit(f->edge_io, UINT64_MAX);
    raw_free(&writer);
}

TEST(twins_are_counted_by_where_they_come_from_and_go_to) {
    struct fleet *f = *state;
    struct raw_client leaf;
    open_as(&leaf, f, "leaf1", NULL);
    raw_subscribe(&leaf, 1, "$iothub/twin/res/#", 0);
    raw_expect_suback(&leaf, 1, "\0", 1);
    raw_publish(&leaf, "$iothub/twin/GET/?$rid=1", SK_SPAN(""), 0, 0);
    raw_expect(&leaf, SK_MQTT_PUBLISH);
    raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=2", SK_SPAN("{\"a\":1}"), 0,
                0);
    raw_expect(&leaf, SK_MQTT_PUBLISH);
    sk_sim_run(f->sim, 10 * SK_S);
    has(f, "edgehub_gettwin_total", "source=\"upstream\",id=\"leaf1\"", 1);
    has(f, "edgehub_gettwin_duration_seconds_count", "source=\"upstream\",id=\"leaf1\"", 1);
    has(f, "edgehub_reported_properties_total", "target=\"edge_hub\",id=\"leaf1\"", 1);
    has(f, "edgehub_reported_properties_total", "target=\"upstream\",id=\"leaf1\"", 1);
    has(f, "edgehub_reported_properties_update_duration_seconds_count",
        "target=\"upstream\",id=\"leaf1\"", 1);
    sk_sim_partition(f->edge_io, f->hub_io, true);
    raw_publish(&leaf, "devices/leaf1/messages/events/up=y", SK_SPAN("1"), 1, 1);
    raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
    sk_sim_run(f->sim, 200 * SK_S);
    raw_publish(&leaf, "$iothub/twin/GET/?$rid=3", SK_SPAN(""), 0, 0);
    raw_expect(&leaf, SK_MQTT_PUBLISH);
    has(f, "edgehub_gettwin_total", "source=\"edge_hub\",id=\"leaf1\"", 1);
    has(f, "edgehub_offline_count_total", "id=\"edge1/$edgeHub\"", 1);
    has(f, "edgehub_operation_retry_total", "id=\"leaf1\",operation=\"SendMessageToCloud\"", 1);
    sk_sim_partition(f->edge_io, f->hub_io, false);
    sk_sim_run(f->sim, 200 * SK_S);
    has(f, "edgehub_offline_duration_seconds_count", "id=\"edge1/$edgeHub\"", 1);
    has_about(f, "edgehub_offline_duration_seconds_sum", "id=\"edge1/$edgeHub\"", 60, 300);
    raw_free(&leaf);
}

TEST(direct_methods_are_counted_by_caller_and_target) {
    struct fleet *f = *state;
    struct raw_client reader;
    open_as(&reader, f, "edge1", "reader");
    raw_subscribe(&reader, 1, "$iothub/methods/POST/#", 0);
    raw_expect_suback(&reader, 1, "\0", 1);
    sk_sim_run(f->sim, 5 * SK_S);
    raw_gets(f,
             &(struct raw_ask){.at = "edge.test",
                               .method = "POST",
                               .target = "/twins/edge1/modules/reader/methods" VERSION,
                               .resource = "hub.test/devices/edge1/modules/writer",
                               .key = FLEET_KEY,
                               .policy = "",
                               .headers = "x-ms-edge-moduleId: edge1/writer\r\n",
                               .body = SK_SPAN("{\"methodName\":\"m\",\"payload\":null,"
                                               "\"responseTimeoutInSeconds\":5}")},
             504, "GatewayTimeout", "Timed out");
    has(f, "edgehub_direct_methods_total", "from=\"edge1/writer\",to=\"edge1/reader\"", 1);
    has_about(f, "edgehub_direct_method_duration_seconds_sum",
              "from=\"edge1/writer\",to=\"edge1/reader\"", 5, 6);
    fleet_call(f, SK_HTTP_POST, "/twins/edge1/modules/reader/methods",
               "{\"methodName\":\"m\",\"responseTimeoutInSeconds\":5}");
    has(f, "edgehub_direct_methods_total", "from=\"upstream\",to=\"edge1/reader\"", 1);
    raw_free(&reader);
}

TEST(who_is_not_let_in_is_counted_by_a_name_that_is_known) {
    struct fleet *f = *state;
    struct raw_ask ask = {.at = "edge.test",
                          .method = "POST",
                          .target = "/devices/leaf1/messages/events" VERSION,
                          .resource = "hub.test/devices/leaf1",
                          .key = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=",
                          .policy = ""};
    raw_gets(f, &ask, 401, NULL, "");
    ask.target = "/devices/nobody/messages/events" VERSION;
    ask.resource = "hub.test/devices/nobody";
    struct raw_answer answer;
    raw_asks(f, &ask, &answer);
    sk_http_parser_free(&answer.parser);
    has(f, "edgehub_client_connect_failed_total", "id=\"leaf1\",reason=\"not_authenticated\"", 1);
    has(f, "edgehub_client_connect_failed_total", "id=\"unknown\",reason=\"not_authenticated\"", 1);
}

TEST(texts_that_a_client_chooses_can_neither_break_the_page_nor_fill_the_memory) {
    struct fleet *f = *state;
    struct raw_client writer;
    char topic[200];
    open_as(&writer, f, "edge1", "writer");
    sends(&writer, "devices/edge1/modules/writer/messages/events/%24.on=a%22%5C%0A%00%FFb",
          SK_SPAN("1"));
    has(f, "edgehub_messages_received_total", "route_output=\"a\\\"\\\\???b\",id=\"edge1/writer\"",
        1);
    for (unsigned i = 1; i < 511; i++) {
        snprintf(topic, sizeof topic, "devices/edge1/modules/writer/messages/events/%%24.on=o%u",
                 i);
        sends(&writer, topic, SK_SPAN("1"));
    }
    has(f, "edgehub_messages_received_total", "route_output=\"o510\",id=\"edge1/writer\"", 1);
    has(f, "edgehub_messages_received_total", "route_output=\"other\",id=\"other\"", -1);
    for (unsigned i = 511; i < 520; i++) {
        snprintf(topic, sizeof topic, "devices/edge1/modules/writer/messages/events/%%24.on=o%u",
                 i);
        sends(&writer, topic, SK_SPAN("1"));
    }
    has(f, "edgehub_messages_received_total", "route_output=\"other\",id=\"other\"", 9);
    raw_free(&writer);
}
