/* How many clients an edge hub has at a time: MaxConnectedClients. */
#include "net/http_server.h"
#include "support/raw_amqp.h"
#include "support/raw_client.h"
#include "support/raw_http.h"
#include "support/test.h"

enum { MOST = 2 };

static int new_world(void **state) {
    struct fleet *f = SK_NEW(struct fleet);
    fleet_new(f, 1, FLEET_ROUTES_UP);
    fleet_put(f, "/devices/edge1/modules/writer",
              "{\"deviceId\":\"edge1\",\"moduleId\":\"writer\"," FLEET_SAS "}");
    *state = f;
    return 0;
}

AROUND(new_world, fleet_free_world);

static void restart_with(struct fleet *f, uint64_t most) {
    fleet_stop_edge(f);
    f->clients_max = most;
    fleet_start_edge(f);
    sk_sim_run(f->sim, 5 * SK_S);
}

static void comes(struct raw_client *c, struct fleet *f, const char *device, const char *module,
                  unsigned code) {
    raw_dial(c, f, "edge.test",
             &(struct raw_connect){.device = device, .module = module, .clean = true});
    raw_expect_connack(c, (uint8_t)code, false);
}

static unsigned refused_count(struct fleet *f) {
    struct sk_buffer text = {0};
    sk_edge_hub_put_metrics(f->edge, &text);
    sk_buffer_byte(&text, 0);
    const char *at = strstr(text.p, "id=\"edge1/writer\",reason=\"too_many_clients\"} ");
    unsigned n = at ? (unsigned)atoi(strchr(at, '}') + 1) : 0;
    sk_buffer_free(&text);
    return n;
}

TEST(so_many_clients_come_and_no_more_and_one_that_is_there_may_come_anew) {
    struct fleet *f = *state;
    struct raw_client leaf, reader, writer, again;
    restart_with(f, MOST);
    comes(&leaf, f, "leaf1", NULL, SK_MQTT_ACCEPTED);
    comes(&reader, f, "edge1", "reader", SK_MQTT_ACCEPTED);
    comes(&writer, f, "edge1", "writer", SK_MQTT_UNAVAILABLE);
    raw_expect_closed(&writer);
    raw_free(&writer);
    assert_int_equal(refused_count(f), 1);
    comes(&again, f, "leaf1", NULL, SK_MQTT_ACCEPTED);
    raw_expect_closed(&leaf);
    raw_free(&leaf);
    comes(&writer, f, "edge1", "writer", SK_MQTT_UNAVAILABLE);
    raw_free(&writer);
    raw_free(&again);
    sk_sim_run(f->sim, SK_S);
    comes(&writer, f, "edge1", "writer", SK_MQTT_ACCEPTED);
    raw_free(&writer);
    raw_free(&reader);
}

TEST(over_amqp_the_link_is_refused_and_the_others_on_the_connection_stay) {
    struct fleet *f = *state;
    struct raw_client leaf;
    struct raw_amqp c;
    struct raw_link reader = {0}, more = {0}, writer = {0};
    restart_with(f, MOST);
    comes(&leaf, f, "leaf1", NULL, SK_MQTT_ACCEPTED);
    raw_amqp_open(&c, f, &(struct raw_amqp_options){.host = "edge.test"});
    raw_amqp_open_cbs(&c);
    assert_int_equal(
        raw_amqp_token_of(&c, "hub.test/devices/edge1/modules/reader", FLEET_KEY, NULL, 3600), 200);
    assert_int_equal(
        raw_amqp_token_of(&c, "hub.test/devices/edge1/modules/writer", FLEET_KEY, NULL, 3600), 200);
    raw_link_sender(&c, &reader, "/devices/edge1/modules/reader/messages/events");
    raw_link_sender(&c, &writer, "/devices/edge1/modules/writer/messages/events");
    raw_link_expect_end(&writer, "amqp:resource-limit-exceeded");
    assert_non_null(strstr(writer.text, "MaxConnectedClients"));
    raw_link_sender(&c, &more, "/devices/edge1/modules/reader/twin"); /* the same client */
    sk_sim_run(f->sim, SK_S);
    assert_non_null(reader.amqp);
    assert_non_null(more.amqp);
    raw_amqp_free(&c);
    raw_free(&leaf);
}

TEST(calls_over_https_are_no_clients) {
    struct fleet *f = *state;
    struct raw_client leaf;
    restart_with(f, 1);
    comes(&leaf, f, "leaf1", NULL, SK_MQTT_ACCEPTED);
    raw_gets(f,
             &(struct raw_ask){.at = "edge.test",
                               .method = "POST",
                               .target = "/devices/edge1/modules/writer/messages/events" VERSION,
                               .resource = "hub.test/devices/edge1/modules/writer",
                               .key = FLEET_KEY,
                               .policy = ""},
             204, NULL, "");
    raw_free(&leaf);
}

/* ---- of a deployment, as the agent tells it ---- */

static void answered(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    assert_int_equal(status, SK_OK);
    *(unsigned *)arg = answer->status;
}

static bool has_answered(void *arg) {
    return *(unsigned *)arg != 0;
}

static unsigned tell(struct fleet *f, const char *body) {
    struct sk_http_service service = {
        .handler = sk_edge_hub_local, .arg = f->edge, .body_max = 65536};
    struct sk_http_listener *listener;
    struct sk_http_client *client;
    unsigned status = 0;
    sk_http_listen(f->edge_io, &(struct sk_endpoint){.path = "/status.sock"}, NULL, &service,
                   &listener, NULL);
    sk_http_client_new(
        f->edge_io,
        &(struct sk_http_client_options){.to = {.path = "/status.sock"}, .host_header = "local"},
        &client);
    sk_http_client_send(client, &(struct sk_http_ask){.method = SK_HTTP_PUT,
                                                      .target = SK_SPAN("/settings"),
                                                      .body = sk_span_z(body),
                                                      .done = answered,
                                                      .arg = &status});
    assert_true(sk_sim_run_until(f->sim, 10 * SK_S, has_answered, &status));
    sk_http_client_free(client);
    sk_http_listener_close(listener);
    sk_sim_run(f->sim, SK_S);
    return status;
}

TEST(what_a_deployment_says_counts_after_a_restart_too_and_the_smaller_wins) {
    struct fleet *f = *state;
    struct raw_client leaf, reader;
    assert_int_equal(tell(f, "{\"MaxConnectedClients\":1}"), 200);
    for (unsigned i = 0; i < 2; i++) {
        comes(&leaf, f, "leaf1", NULL, SK_MQTT_ACCEPTED);
        comes(&reader, f, "edge1", "reader", SK_MQTT_UNAVAILABLE);
        raw_free(&leaf);
        raw_free(&reader);
        restart_with(f, 2);
    }
    assert_int_equal(tell(f, "{\"MaxConnectedClients\":0}"), 200);
    comes(&leaf, f, "leaf1", NULL, SK_MQTT_ACCEPTED);
    comes(&reader, f, "edge1", "reader", SK_MQTT_ACCEPTED);
    assert_int_equal(tell(f, "{\"MaxConnectedClients\":-1}"), 400);
    assert_int_equal(tell(f, "{\"MaxConnectedClients\":\"1\"}"), 400);
    assert_int_equal(tell(f, "["), 400);
    raw_free(&leaf);
    raw_free(&reader);
}
