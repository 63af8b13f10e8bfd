/* Three edges below each other, Skerry on Skerry: top1 below the hub, mid1 below top1, low1 below
 * mid1, leaf9 below low1. */
#include <stdio.h>

#include "support/fleet_c2d.h"
#include "support/raw_client.h"
#include "support/raw_http.h"
#include "support/test.h"

#define ROUTES FLEET_ROUTES_UP

enum { LEVELS = 3, TOP = 0, MID = 1, LOW = 2 };

/* An edge hub on a machine of its own. */
struct level {
    struct fleet *fleet;
    const char *device, *host, *above;
    char data[16];
    struct sk_io *io;
    struct sk_token_source tokens;
    struct sk_edge_hub_options options;
    struct sk_edge_hub *hub;
    struct sk_gateway *gateway;
    bool ready;
};

struct nest {
    struct fleet fleet;
    struct level levels[LEVELS];
};

static void get_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    struct level *level = SK_CONTAINER(source, struct level, tokens);
    struct sk_buffer resource = {0}, token = {0};
    sk_buffer_print(&resource, "hub.test/devices/%s/modules/$edgeHub", level->device);
    sk_sas_create(&token, sk_buffer_span(&resource), SK_SPAN(FLEET_KEY), SK_NONE, ask->expiry_s);
    sk_token_answer(ask, SK_OK, sk_buffer_span(&token));
    sk_buffer_free(&token);
    sk_buffer_free(&resource);
}

static void on_ready(void *arg) {
    struct level *level = arg;
    level->ready = true;
    assert_int_equal(sk_gateway_listen(level->gateway,
                                       &(struct sk_endpoint){.host = "0.0.0.0", .port = 8883}, NULL,
                                       NULL),
                     SK_OK);
}

static bool is_ready(void *arg) {
    return ((struct level *)arg)->ready;
}

static void start_level(struct level *level) {
    char reason[512];
    bool amqp = level->fleet->edge_amqp;
    level->tokens.get = get_token;
    level->ready = false;
    level->options = (struct sk_edge_hub_options){.data = "/edge",
                                                  .device_id = level->device,
                                                  .hub_host_name = "hub.test",
                                                  .host_name = level->host,
                                                  .upstream = {.host = level->above,
                                                               .amqp = amqp,
                                                               .mqtt_port = 8883,
                                                               .amqp_port = 8883,
                                                               .https_port = 8883},
                                                  .tokens = &level->tokens,
                                                  .ready = on_ready,
                                                  .ready_arg = level};
    level->gateway = sk_gateway_new(level->io);
    if (sk_edge_hub_open(level->io, &level->options, &level->hub, reason)) fail_msg("%s", reason);
    sk_gateway_add(level->gateway, sk_edge_hub_backend(level->hub));
    assert_true(sk_sim_run_until(level->fleet->sim, 60 * SK_S, is_ready, level));
}

static void gateway_closed(void *arg) {
    struct level *level = arg;
    sk_edge_hub_close(level->hub, fleet_stopped, level->fleet);
}

static void stop_level(struct level *level) {
    level->fleet->waiting++;
    sk_edge_hub_drain(level->hub);
    sk_gateway_close(level->gateway, gateway_closed, level);
    assert_true(sk_sim_run_until(level->fleet->sim, 60 * SK_S, fleet_idle, level->fleet));
}

static void crashed_gateway_closed(void *arg) {
    sk_edge_hub_close(arg, NULL, NULL);
}

static void crash_level(struct level *level) {
    sk_sim_power_cut(level->io, (enum sk_sim_loss)sk_sim_chance(level->fleet->sim, 3));
    sk_edge_hub_drain(level->hub);
    sk_gateway_close(level->gateway, crashed_gateway_closed, level->hub);
    level->io = sk_sim_power_on(level->io);
    start_level(level);
}

/* An edge device below another (NULL: below none), with the keys of its hub. */
static char *put_edge(struct fleet *f, const char *device, const char *parent_scope) {
    char more[300], path[100], body[400];
    snprintf(more, sizeof more, ",\"capabilities\":{\"iotEdge\":true}%s%s%s",
             parent_scope ? ",\"parentScopes\":[\"" : "", parent_scope ? parent_scope : "",
             parent_scope ? "\"]" : "");
    fleet_put_device(f, device, more);
    json_t *made = json_loads(f->answer, 0, NULL);
    char *scope = sk_span_dup(sk_span_z(json_string_value(json_object_get(made, "deviceScope"))));
    json_decref(made);
    snprintf(path, sizeof path, "/devices/%s/modules/%%24edgeHub", device);
    snprintf(body, sizeof body, "{\"deviceId\":\"%s\",\"moduleId\":\"$edgeHub\"," FLEET_SAS "}",
             device);
    fleet_send(f, SK_HTTP_PUT, path, body, true);
    assert_int_equal(f->status, 200);
    snprintf(path, sizeof path, "/devices/%s/applyConfigurationContent", device);
    fleet_call(f, SK_HTTP_POST, path,
               "{\"modulesContent\":{\"$edgeHub\":{\"properties.desired\":" ROUTES "}}}");
    assert_int_equal(f->status, 204);
    return scope;
}

static void make_identities(struct fleet *f) {
    char more[300];
    SK_CLEANUP_FREE char *top = put_edge(f, "top1", NULL);
    SK_CLEANUP_FREE char *mid = put_edge(f, "mid1", top);
    SK_CLEANUP_FREE char *low = put_edge(f, "low1", mid);
    snprintf(more, sizeof more, ",\"deviceScope\":\"%s\"", low);
    fleet_put_device(f, "leaf9", more);
}

static bool all_connected(void *arg) {
    struct nest *n = arg;
    for (size_t i = 0; i < LEVELS; i++)
        if (!sk_edge_hub_counts(n->levels[i].hub).upstream_connected) return false;
    return true;
}

static void begin(struct nest *n, uint64_t seed) {
    static const struct {
        const char *device, *host, *above;
    } rows[LEVELS] = {{"top1", "top.test", "hub.test"},
                      {"mid1", "mid.test", "top.test"},
                      {"low1", "low.test", "mid.test"}};
    fleet_new_hub(&n->fleet, seed);
    make_identities(&n->fleet);
    for (size_t i = 0; i < LEVELS; i++) {
        struct level *level = &n->levels[i];
        *level = (struct level){.fleet = &n->fleet,
                                .device = rows[i].device,
                                .host = rows[i].host,
                                .above = rows[i].above,
                                .io = sk_sim_node(n->fleet.sim, rows[i].host)};
        start_level(level);
    }
    assert_true(sk_sim_run_until(n->fleet.sim, 300 * SK_S, all_connected, n));
    sk_sim_run(n->fleet.sim, 30 * SK_S);
}

static void end(struct nest *n) {
    for (size_t i = LEVELS; i-- > 0;) stop_level(&n->levels[i]);
    fleet_free(&n->fleet);
}

static void part(struct nest *n, size_t level, bool parted) {
    sk_sim_partition(n->levels[level].io, level ? n->levels[level - 1].io : n->fleet.hub_io,
                     parted);
}

static void open_leaf(struct raw_client *c, struct nest *n) {
    raw_dial(c, &n->fleet, "low.test", &(struct raw_connect){.device = "leaf9", .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static void sends(struct raw_client *c, const char *body) {
    raw_publish(c, "devices/leaf9/messages/events/", sk_span_z(body), 1, 1);
    raw_expect_ack(c, SK_MQTT_PUBACK, 1);
}

/* The next packet with a topic that begins so; what comes before it is passed over. */
static struct sk_mqtt_packet gets(struct raw_client *c, const char *topic) {
    struct sk_mqtt_packet packet;
    do packet = raw_expect(c, SK_MQTT_PUBLISH);
    while (!sk_span_starts(packet.u.publish.topic, sk_span_z(topic)));
    return packet;
}

static void note(void *arg, const struct sk_message *message) {
    char *text = arg;
    size_t n = strlen(text);
    assert_true(sk_span_is(message->device, "leaf9"));
    snprintf(text + n, 4000 - n, "%.*s ", SK_ARG(message->body));
}

static const char *stored(struct nest *n) {
    static char text[4000];
    text[0] = 0;
    fleet_read_events(&n->fleet, note, text);
    return text;
}

VARIANTS(fleet_over, "mqtt", "amqp");

TEST(telemetry_passes_three_levels_and_waits_at_each) {
    struct nest n;
    struct raw_client leaf;
    begin(&n, 1);
    open_leaf(&leaf, &n);
    sends(&leaf, "0");
    for (size_t level = 0; level < LEVELS; level++) {
        char body[2] = {(char)('1' + (int)level), 0};
        part(&n, level, true);
        sk_sim_run(n.fleet.sim, 200 * SK_S);
        sends(&leaf, body);
        sk_sim_run(n.fleet.sim, 60 * SK_S);
        part(&n, level, false);
        sk_sim_run(n.fleet.sim, 200 * SK_S);
    }
    assert_string_equal(stored(&n), "0 1 2 3 ");
    raw_free(&leaf);
    end(&n);
}

TEST(crashes_at_any_level_lose_and_repeat_nothing) {
    for (uint64_t seed = 1; seed <= 6; seed++) {
        struct nest n;
        struct raw_client leaf;
        char body[16], expected[4000] = "";
        begin(&n, seed);
        open_leaf(&leaf, &n);
        for (unsigned i = 0; i < 60; i++) {
            snprintf(body, sizeof body, "%u", i);
            if (i % 12 == 5) sk_sim_run(n.fleet.sim, 3 * SK_S); /* reports are through */
            sends(&leaf, body);
            snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%u ", i);
            if (i % 12 == 5) {
                sk_sim_run(n.fleet.sim, sk_sim_chance(n.fleet.sim, 300) * SK_MS);
                size_t level = sk_sim_chance(n.fleet.sim, LEVELS);
                crash_level(&n.levels[level]);
                if (level == LOW) {
                    raw_free(&leaf);
                    open_leaf(&leaf, &n);
                }
            }
        }
        sk_sim_run(n.fleet.sim, 400 * SK_S);
        assert_string_equal(stored(&n), expected);
        raw_free(&leaf);
        end(&n);
    }
}

TEST(twins_methods_and_messages_of_the_cloud_reach_the_lowest_leaf) {
    struct nest n;
    struct raw_client leaf;
    begin(&n, 1);
    open_leaf(&leaf, &n);
    raw_subscribe(&leaf, 1, "$iothub/twin/PATCH/properties/desired/#", 0);
    raw_expect_suback(&leaf, 1, "\0", 1);
    raw_subscribe(&leaf, 2, "devices/leaf9/messages/devicebound/#", 1);
    raw_expect_suback(&leaf, 2, "\1", 1);
    sk_sim_run(n.fleet.sim, 30 * SK_S);
    fleet_call(&n.fleet, SK_HTTP_PATCH, "/twins/leaf9",
               "{\"properties\":{\"desired\":{\"interval\":7}}}");
    assert_int_equal(n.fleet.status, 200);
    gets(&leaf, "$iothub/twin/PATCH/properties/desired/?$version=2");
    raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=1", SK_SPAN("{\"seen\":7}"), 0,
                0);
    gets(&leaf, "$iothub/twin/res/204/");
    sk_sim_run(n.fleet.sim, 60 * SK_S);
    fleet_call(&n.fleet, SK_HTTP_GET, "/twins/leaf9", "");
    json_t *twin = json_loads(n.fleet.answer, 0, NULL);
    json_t *reported = json_object_get(json_object_get(twin, "properties"), "reported");
    assert_int_equal(json_integer_value(json_object_get(reported, "seen")), 7);
    json_decref(twin);
    fleet_send_c2d(&n.fleet, "leaf9", "m1");
    struct sk_mqtt_packet packet = gets(&leaf, "devices/leaf9/messages/devicebound/");
    assert_true(sk_span_is(packet.u.publish.payload, "m1"));
    struct sk_buffer out = {0};
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, packet.u.publish.id);
    raw_send_buffer(&leaf, &out);
    sk_sim_run(n.fleet.sim, 5 * SK_S);
    assert_int_equal(
        sk_hub_counts(sk_hub_server_hub(n.fleet.hub, 0)).c2d_ended_total[SK_C2D_COMPLETED], 1);
    raw_free(&leaf);
    end(&n);
}

static void answer_method(void *arg, struct sk_span name, struct sk_span payload,
                          struct sk_span rid) {
    (void)payload;
    assert_true(sk_span_is(name, "reboot"));
    sk_device_client_answer(*(struct sk_device_client **)arg, rid, 207, SK_SPAN("{\"done\":true}"));
}

TEST(a_method_reaches_the_lowest_leaf_and_its_answer_comes_back) {
    struct nest n;
    struct sk_device_client *leaf;
    static const struct sk_device_events events = {.method = answer_method};
    begin(&n, 1);
    leaf = fleet_client(&n.fleet, "low.test", "leaf9", NULL, SK_SUB_METHODS, &events, &leaf);
    sk_sim_run(n.fleet.sim, 30 * SK_S);
    fleet_call(&n.fleet, SK_HTTP_POST, "/twins/leaf9/methods", "{\"methodName\":\"reboot\"}");
    assert_string_equal(n.fleet.answer, "{\"status\":207,\"payload\":{\"done\":true}}");
    sk_device_client_free(leaf);
    end(&n);
}

TEST(a_leaf_is_known_at_every_level_without_the_cloud) {
    struct nest n;
    struct raw_client leaf;
    begin(&n, 1);
    for (size_t level = 0; level < LEVELS; level++) part(&n, level, true);
    stop_level(&n.levels[LOW]);
    start_level(&n.levels[LOW]);
    open_leaf(&leaf, &n);
    sends(&leaf, "offline");
    /* The levels meet again from below, the cloud last. */
    part(&n, LOW, false);
    sk_sim_run(n.fleet.sim, 200 * SK_S);
    assert_int_equal(sk_edge_hub_counts(n.levels[LOW].hub).queue_upstream, 0);
    part(&n, MID, false);
    sk_sim_run(n.fleet.sim, 200 * SK_S);
    assert_int_equal(sk_edge_hub_counts(n.levels[TOP].hub).queue_upstream, 1);
    part(&n, TOP, false);
    sk_sim_run(n.fleet.sim, 200 * SK_S);
    assert_string_equal(stored(&n), "offline ");
    raw_free(&leaf);
    end(&n);
}

/* Each level asks the one above before it answers: nobody waits for the readings that come every
 * five minutes. */
TEST(a_leaf_that_has_just_been_made_is_let_in_at_the_lowest_level) {
    struct nest n;
    struct raw_client leaf;
    char more[300];
    begin(&n, 1);
    fleet_call(&n.fleet, SK_HTTP_GET, "/devices/low1", "");
    json_t *low = json_loads(n.fleet.answer, 0, NULL);
    snprintf(more, sizeof more, ",\"deviceScope\":\"%s\"",
             json_string_value(json_object_get(low, "deviceScope")));
    json_decref(low);
    fleet_put_device(&n.fleet, "leaf8", more);
    raw_dial(&leaf, &n.fleet, "low.test", &(struct raw_connect){.device = "leaf8", .clean = true});
    raw_expect_connack(&leaf, SK_MQTT_ACCEPTED, false);
    raw_free(&leaf);
    end(&n);
}

/* A device that leaves its parent loses what it has through it, at every level. */
TEST(a_leaf_that_is_removed_is_let_in_nowhere) {
    struct nest n;
    struct raw_client leaf;
    begin(&n, 1);
    open_leaf(&leaf, &n);
    fleet_call(&n.fleet, SK_HTTP_DELETE, "/devices/leaf9", "");
    assert_int_equal(n.fleet.status, 204);
    sk_sim_run(n.fleet.sim, 1000 * SK_S); /* each level reads the one above every five minutes */
    assert_null(leaf.stream);
    raw_free(&leaf);
    end(&n);
}

/* ---- the calls of Azure's own edges ---- */

static unsigned calls(struct nest *n, const char *host, const char *device, const char *module,
                      const char *method, const char *path, const char *body, char **text) {
    struct raw_answer answer;
    char resource[200];
    snprintf(resource, sizeof resource, "hub.test/devices/%s%s%s", device,
             module ? "/modules/" : "", module ? module : "");
    raw_asks(&n->fleet,
             &(struct raw_ask){.at = host,
                               .method = method,
                               .target = path,
                               .resource = resource,
                               .key = FLEET_KEY,
                               .policy = "",
                               .headers = "If-Match: \"*\"\r\n",
                               .body = sk_span_z(body)},
             &answer);
    unsigned status = answer.parser.status;
    if (text) *text = sk_span_dup(sk_buffer_span(&answer.parser.body));
    sk_http_parser_free(&answer.parser);
    return status;
}

TEST(an_edge_below_manages_its_modules_through_those_above) {
    struct nest n;
    char *text;
    begin(&n, 1);
    /* As its identity service does, at its parent, which asks its own, which asks the hub. */
    assert_int_equal(calls(&n, "mid.test", "low1", NULL, "GET",
                           "/devices/low1/modules?api-version=2017-11-08-preview", "", &text),
                     200);
    assert_non_null(strstr(text, "$edgeAgent"));
    free(text);
    assert_int_equal(calls(&n, "mid.test", "low1", NULL, "PUT",
                           "/devices/low1/modules/%24edgeAgent?api-version=2017-11-08-preview",
                           "{\"deviceId\":\"low1\",\"moduleId\":\"$edgeAgent\"," FLEET_SAS "}",
                           &text),
                     200);
    assert_non_null(strstr(text, FLEET_KEY));
    free(text);
    assert_int_equal(calls(&n, "mid.test", "low1", NULL, "GET",
                           "/devices/low1/modules/nobody?api-version=2017-11-08-preview", "", NULL),
                     404);
    assert_int_equal(calls(&n, "mid.test", "low1", NULL, "DELETE",
                           "/devices/low1/modules/%24edgeAgent?api-version=2017-11-08-preview", "",
                           NULL),
                     401);
    /* And nobody does it for those beside or above him. */
    assert_int_equal(calls(&n, "top.test", "mid1", "$edgeHub", "POST",
                           "/devices/mid1/modules/%24edgeHub/getModulesOnTargetDevice"
                           "?api-version=2020-06-30-preview",
                           "{\"authChain\":\"top1;mid1\"}", NULL),
                     404);
    assert_int_equal(calls(&n, "top.test", "mid1", "$edgeHub", "POST",
                           "/devices/mid1/modules/%24edgeHub/getModulesOnTargetDevice"
                           "?api-version=2020-06-30-preview",
                           "{\"authChain\":\"low1;mid1\"}", &text),
                     200);
    assert_non_null(strstr(text, "$edgeHub"));
    free(text);
    end(&n);
}

TEST(an_edge_below_gets_its_scope_from_its_parent_in_pages_without_the_cloud) {
    struct nest n;
    char *text, body[200];
    begin(&n, 1);
    part(&n, TOP, true);
    const char *path = "/devices/mid1/modules/%24edgeHub/devicesAndModulesInTargetDeviceScope"
                       "?api-version=2020-06-30-preview";
    unsigned pages = 0;
    bool leaf = false, own_key = false;
    SK_CLEANUP_FREE char *link = NULL;
    do {
        snprintf(body, sizeof body,
                 "{\"pageSize\":1,\"authChain\":\"low1;mid1\",\"continuationLink\":\"%s\"}",
                 link ? link : "");
        assert_int_equal(calls(&n, "top.test", "mid1", "$edgeHub", "POST", path, body, &text), 200);
        json_t *page = json_loads(text, 0, NULL);
        leaf = leaf || strstr(text, "leaf9");
        free(text);
        free(link);
        const char *more = json_string_value(json_object_get(page, "continuationLink"));
        link = sk_text_dup(more);
        json_decref(page);
        pages++;
    } while (link);
    assert_true(leaf);
    assert_int_equal(pages, 4); /* low1, its two modules, leaf9 */
    assert_int_equal(calls(&n, "top.test", "mid1", "$edgeHub", "POST", path,
                           "{\"pageSize\":100,\"authChain\":\"mid1\"}", &text),
                     200);
    json_t *page = json_loads(text, 0, NULL), *device;
    size_t i;
    json_array_foreach(json_object_get(page, "devices"), i, device) {
        const char *id = json_string_value(json_object_get(device, "deviceId"));
        const char *type =
            json_string_value(json_object_get(json_object_get(device, "authentication"), "type"));
        own_key = own_key || (strcmp(id, "mid1") == 0 && strcmp(type, "none") != 0);
    }
    assert_false(own_key);
    json_decref(page);
    free(text);
    end(&n);
}
