/* The queues of an edge hub: priorities, times to live, what waits where, and who holds up whom. */
#include <stdio.h>

#include "net/http_client.h"
#include "net/http_server.h"
#include "store/log/log.h"
#include "store/registry/sqlite/sqlite.h"
#include "support/raw_client.h"
#include "support/test.h"

#define ROUTES(list) "{\"schemaVersion\":\"1.1\",\"routes\":{" list "}}"
#define ROUTE(name, text, more) "\"" name "\":{\"route\":\"" text "\"" more "}"
#define TO_READER "INTO BrokeredEndpoint(\\\"/modules/reader/inputs/in\\\")"
#define BY_KIND                                                                                    \
    ROUTE("hot", "FROM /messages/* WHERE kind = 'hot' INTO $upstream", ",\"priority\":1")          \
    "," ROUTE(                                                                                     \
        "warm", "FROM /messages/* WHERE kind = 'warm' INTO $upstream",                             \
        ",\"priority\":1,\"timeToLiveSecs\":864000") "," ROUTE("all",                              \
                                                               "FROM /messages/* INTO $upstream",  \
                                                               "")

static void begin(struct fleet *f, const char *routes) {
    fleet_new(f, 1, routes);
    sk_sim_run(f->sim, 5 * SK_S);
}

static void open_as(struct raw_client *c, struct fleet *f, const char *device, const char *module) {
    raw_dial(c, f, "edge.test",
             &(struct raw_connect){.device = device, .module = module, .clean = true});
    raw_expect_connack(c, SK_MQTT_ACCEPTED, false);
}

static void open_reader(struct raw_client *c, struct fleet *f) {
    open_as(c, f, "edge1", "reader");
    raw_subscribe(c, 1, "devices/edge1/modules/reader/#", 1);
    raw_expect_suback(c, 1, "\1", 1);
}

static void sends(struct raw_client *c, const char *device, const char *kind, const char *body) {
    char topic[200];
    snprintf(topic, sizeof topic, "devices/%s/messages/events/kind=%s", device, kind);
    raw_publish(c, topic, sk_span_z(body), 1, 1);
    raw_expect_ack(c, SK_MQTT_PUBACK, 1);
}

/* The next message of the reader's input, and its acknowledgement. */
static void reader_gets(struct raw_client *c, const char *body) {
    struct sk_mqtt_packet packet = raw_expect(c, SK_MQTT_PUBLISH);
    struct sk_buffer out = {0};
    if (!sk_span_is(packet.u.publish.payload, body))
        fail_msg("%.*s instead of %s", SK_ARG(packet.u.publish.payload), body);
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, packet.u.publish.id);
    raw_send_buffer(c, &out);
}

struct bodies {
    const char *device;
    char text[4000];
};

static void note(void *arg, const struct sk_message *message) {
    struct bodies *b = arg;
    size_t n = strlen(b->text);
    if (b->device == NULL || sk_span_is(message->device, b->device))
        snprintf(b->text + n, sizeof b->text - n, "%.*s ", SK_ARG(message->body));
}

/* The bodies that the cloud has, of one device or of all. */
static struct bodies stored(struct fleet *f, const char *device) {
    struct bodies b = {.device = device};
    fleet_read_events(f, note, &b);
    return b;
}

static json_t *queue_of(struct fleet *f, const char *endpoint, int priority) {
    json_t *status = sk_edge_hub_status(f->edge), *entry, *found = NULL;
    size_t i;
    json_array_foreach(json_object_get(status, "queues"), i, entry) {
        const json_t *is = json_object_get(entry, "priority");
        const char *name = json_string_value(json_object_get(entry, "endpoint"));
        if (strcmp(name, endpoint) == 0 && (is ? json_integer_value(is) : 10) == priority)
            found = json_incref(entry);
    }
    json_decref(status);
    if (found == NULL) fail_msg("there is no queue for %s of priority %d", endpoint, priority);
    return found;
}

/* A member of the queue's status. */
static long long number_of(struct fleet *f, const char *endpoint, int priority, const char *what) {
    json_t *queue = queue_of(f, endpoint, priority);
    long long value = json_integer_value(json_object_get(queue, what));
    json_decref(queue);
    return value;
}

/* ---- asking ---- */

static void keep(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    assert_int_equal(status, SK_OK);
    *(json_t **)arg = json_loadb(answer->body.p, answer->body.n, 0, NULL);
}

static bool is_there(void *arg) {
    return *(json_t **)arg != NULL;
}

/* Over a socket as the role has it. */
static void ask(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                json_t **answer) {
    struct sk_http_service service = {
        .handler = sk_edge_hub_local, .arg = f->edge, .body_max = 65536};
    struct sk_http_listener *listener;
    struct sk_http_client *client;
    *answer = NULL;
    assert_int_equal(sk_http_listen(f->edge_io, &(struct sk_endpoint){.path = "/status.sock"}, NULL,
                                    &service, &listener, NULL),
                     SK_OK);
    assert_int_equal(sk_http_client_new(f->edge_io,
                                        &(struct sk_http_client_options){
                                            .to = {.path = "/status.sock"}, .host_header = "local"},
                                        &client),
                     SK_OK);
    sk_http_client_send(client, &(struct sk_http_ask){.method = method,
                                                      .target = sk_span_z(path),
                                                      .body = sk_span_z(body),
                                                      .done = keep,
                                                      .arg = answer});
    assert_true(sk_sim_run_until(f->sim, 10 * SK_S, is_there, answer));
    sk_http_client_free(client);
    sk_http_listener_close(listener);
    sk_sim_run(f->sim, SK_S);
}

VARIANTS(fleet_over, "mqtt", "amqp");

/* ---- whose turn it is ---- */

TEST(the_best_priority_goes_first_and_among_equals_the_oldest) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f, ROUTES(BY_KIND));
    open_as(&leaf, &f, "leaf1", NULL);
    sk_sim_partition(f.edge_io, f.hub_io, true);
    sk_sim_run(f.sim, 200 * SK_S);
    sends(&leaf, "leaf1", "cold", "a");
    sends(&leaf, "leaf1", "hot", "b");
    sends(&leaf, "leaf1", "warm", "c");
    sends(&leaf, "leaf1", "cold", "d");
    sends(&leaf, "leaf1", "hot", "e");
    sends(&leaf, "leaf1", "warm", "f");
    sk_sim_partition(f.edge_io, f.hub_io, false);
    sk_sim_run(f.sim, 200 * SK_S);
    assert_string_equal(stored(&f, "leaf1").text, "b c e f a d ");
    assert_int_equal(sk_edge_hub_counts(f.edge).queue_upstream, 0);
    raw_free(&leaf);
    fleet_free(&f);
}

/* Each queue's numbers rise for themselves: what one has sent does not make the other's old. */
TEST(a_crash_while_queues_overtake_each_other_loses_and_repeats_nothing) {
    enum { MANY = 60 };
    for (unsigned at_ms = 0; at_ms < 200; at_ms += 20) {
        struct fleet f;
        struct raw_client leaf;
        char body[16];
        unsigned seen[MANY] = {0};
        begin(&f, ROUTES(BY_KIND));
        open_as(&leaf, &f, "leaf1", NULL);
        sk_sim_partition(f.edge_io, f.hub_io, true);
        sk_sim_run(f.sim, 200 * SK_S);
        for (unsigned i = 0; i < MANY; i++) {
            snprintf(body, sizeof body, "%u", i);
            sends(&leaf, "leaf1", i % 3 ? "cold" : "hot", body);
        }
        sk_sim_partition(f.edge_io, f.hub_io, false);
        for (unsigned i = 0; i < 6000 && sk_edge_hub_counts(f.edge).forwarded_total == 0; i++)
            sk_sim_run(f.sim, 10 * SK_MS);
        sk_sim_run(f.sim, at_ms * SK_MS);
        fleet_crash_edge(&f);
        if (at_ms % 40) fleet_crash_hub(&f);
        sk_sim_run(f.sim, 200 * SK_S);
        struct bodies b = stored(&f, "leaf1");
        struct sk_span rest = sk_span_z(b.text), one;
        while (sk_span_split(&rest, ' ', &one)) {
            int64_t number;
            if (sk_span_to_int(one, &number) == SK_OK) seen[number]++;
        }
        for (unsigned i = 0; i < MANY; i++)
            if (seen[i] != 1) fail_msg("%u came %u times (%s)", i, seen[i], b.text);
        raw_free(&leaf);
        fleet_free(&f);
    }
}

TEST(a_message_goes_to_an_endpoint_once_at_its_best_priority) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(ROUTE("a", "FROM /messages/* " TO_READER, ",\"priority\":5") "," ROUTE(
                  "b", "FROM /messages/* WHERE kind = 'hot' " TO_READER,
                  ",\"priority\":2") "," ROUTE("c", "FROM /* " TO_READER, "")));
    open_as(&leaf, &f, "leaf1", NULL);
    sends(&leaf, "leaf1", "cold", "1");
    sends(&leaf, "leaf1", "hot", "2");
    sk_sim_run(f.sim, 61 * SK_S);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 2, "depth"), 1);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 5, "depth"), 1);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 0);
    assert_in_range(number_of(&f, "modules/reader/inputs/in", 5, "oldestAgeSeconds"), 61, 62);
    open_reader(&reader, &f);
    reader_gets(&reader, "2");
    reader_gets(&reader, "1");
    raw_expect_nothing(&reader);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 5, "depth"), 0);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

/* ---- how much waits ---- */

TEST(what_waited_before_a_restart_is_counted_again) {
    enum { MANY = 1500 /* more than a share of a turn */ };
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(ROUTE("r", "FROM /messages/* " TO_READER, "") "," ROUTE(
                  "up", "FROM /messages/* INTO $upstream", ",\"priority\":3")));
    open_as(&leaf, &f, "leaf1", NULL);
    for (unsigned i = 0; i < MANY; i++) sends(&leaf, "leaf1", "any", "x");
    open_reader(&reader, &f);
    for (unsigned i = 0; i < 3; i++) reader_gets(&reader, "x");
    sk_sim_run(f.sim, SK_S);
    raw_free(&reader);
    sk_sim_run(f.sim, 10 * SK_S);
    long long bytes = number_of(&f, "modules/reader/inputs/in", 10, "bytes");
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), MANY - 3);
    assert_int_equal(number_of(&f, "$upstream", 3, "depth"), 0);
    fleet_stop_edge(&f);
    sk_sim_run(f.sim, 100 * SK_S);
    fleet_start_edge(&f);
    sk_sim_run(f.sim, SK_S);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), MANY - 3);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "bytes"), bytes);
    assert_in_range(number_of(&f, "modules/reader/inputs/in", 10, "oldestAgeSeconds"), 110, 300);
    assert_int_equal(number_of(&f, "$upstream", 3, "depth"), 0);
    raw_free(&leaf);
    fleet_free(&f);
}

/* Its time to live is over, whether or not its module ever comes; and it does not hold the disk. */
TEST(what_is_too_old_goes_though_nobody_reads_it) {
    struct fleet f;
    struct raw_client leaf;
    begin(&f, ROUTES(ROUTE("r", "FROM /messages/* " TO_READER, ",\"timeToLiveSecs\":600")));
    open_as(&leaf, &f, "leaf1", NULL);
    sends(&leaf, "leaf1", "any", "x");
    sk_sim_run(f.sim, 590 * SK_S);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 1);
    sk_sim_run(f.sim, 80 * SK_S);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 0);
    assert_int_equal(sk_edge_hub_counts(f.edge).expired_total, 1);
    raw_free(&leaf);
    fleet_free(&f);
}

TEST(another_time_to_live_counts_for_what_waits_already) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f, ROUTES(ROUTE("r", "FROM /messages/* " TO_READER, ",\"timeToLiveSecs\":60")));
    open_as(&leaf, &f, "leaf1", NULL);
    sends(&leaf, "leaf1", "any", "kept");
    fleet_deploy(&f, ROUTES(ROUTE("r", "FROM /messages/* " TO_READER, ",\"timeToLiveSecs\":6000")));
    sk_sim_run(f.sim, 300 * SK_S);
    open_reader(&reader, &f);
    reader_gets(&reader, "kept");
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

/* ---- what an earlier version has left ---- */

static void on_put(void *arg, const struct sk_registry_end *end) {
    assert_int_equal(end->status, SK_OK);
    *(bool *)arg = true;
}

static bool is_set(void *arg) {
    return *(bool *)arg;
}

/* Versions before priorities had one queue an endpoint, and wrote down those of inputs alone. */
static void write_as_before(struct fleet *f, int bit) {
    struct sk_registry *store;
    char reason[SK_MODEL_ERROR_MAX], text[200];
    bool done = false;
    assert_int_equal(sk_registry_sqlite_open(f->edge_io, "/edge/edge-hub.db", &store, reason),
                     SK_OK);
    snprintf(text, sizeof text,
             "{\"modules/reader/inputs/in\":{\"bit\":%d,\"module\":\"reader\",\"input\":\"in\","
             "\"from\":1}}",
             bit);
    sk_registry_document_put(store, SK_SPAN("edge-hub"), SK_SPAN("endpoints"), sk_span_z(text),
                             on_put, &done);
    assert_true(sk_sim_run_until(f->sim, 10 * SK_S, is_set, &done));
    sk_registry_close(store);
}

TEST(queues_of_a_version_without_priorities_are_read_as_they_are) {
    for (int prioritised = 0; prioritised < 2; prioritised++) {
        struct fleet f;
        struct raw_client leaf, reader;
        const char *more =
            ROUTES(ROUTE("r", "FROM /messages/* " TO_READER,
                         ",\"priority\":4") "," ROUTE("up", "FROM /messages/* INTO $upstream",
                                                      ",\"priority\":2,\"timeToLiveSecs\":86400"));
        const char *plain = ROUTES(ROUTE("r", "FROM /messages/* " TO_READER, "") "," ROUTE(
            "up", "FROM /messages/* INTO $upstream", ""));
        begin(&f, prioritised ? more : plain);
        open_as(&leaf, &f, "leaf1", NULL);
        open_reader(&reader, &f);
        sends(&leaf, "leaf1", "any", "1");
        reader_gets(&reader, "1");
        sk_sim_run(f.sim, 5 * SK_S);
        raw_free(&reader);
        sk_sim_partition(f.edge_io, f.hub_io, true);
        sends(&leaf, "leaf1", "any", "2");
        int bit = (int)number_of(&f, "modules/reader/inputs/in", prioritised ? 4 : 10, "queue");
        fleet_stop_edge(&f);
        write_as_before(&f, bit);
        fleet_start_edge(&f);
        sk_sim_run(f.sim, 5 * SK_S);
        assert_int_equal(number_of(&f, "$upstream", prioritised ? 2 : 10, "depth"), 1);
        assert_int_equal(number_of(&f, "$upstream", prioritised ? 2 : 10, "queue"), 63);
        sk_sim_partition(f.edge_io, f.hub_io, false);
        sk_sim_run(f.sim, 200 * SK_S);
        open_reader(&reader, &f);
        reader_gets(&reader, "2");
        raw_expect_nothing(&reader);
        assert_string_equal(stored(&f, "leaf1").text, "1 2 ");
        raw_free(&leaf);
        raw_free(&reader);
        fleet_free(&f);
    }
}

/* ---- who holds up whom ---- */

TEST(a_sender_of_whom_the_cloud_takes_nothing_does_not_hold_up_the_others) {
    enum { MANY = 3000 /* more than may be on their way */ };
    struct fleet f;
    struct raw_client leaf, reader;
    char body[16];
    begin(&f, ROUTES(ROUTE("up", "FROM /messages/* INTO $upstream", "")));
    watch_refuse(f.watch, "leaf1");
    open_as(&leaf, &f, "leaf1", NULL);
    open_as(&reader, &f, "edge1", "reader");
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "%u", i);
        sends(&leaf, "leaf1", "any", body);
    }
    raw_publish(&reader, "devices/edge1/modules/reader/messages/events/", SK_SPAN("free"), 1, 1);
    raw_expect_ack(&reader, SK_MQTT_PUBACK, 1);
    sk_sim_run(f.sim, 30 * SK_S);
    assert_string_equal(stored(&f, "edge1").text, "free ");
    assert_string_equal(stored(&f, "leaf1").text, "");
    assert_int_equal(number_of(&f, "$upstream", 10, "depth"), MANY);
    watch_refuse(f.watch, NULL);
    sk_sim_run(f.sim, 300 * SK_S);
    assert_int_equal(number_of(&f, "$upstream", 10, "depth"), 0);
    watch_check(f.watch); /* all of it, in order and once */
    assert_int_equal(sk_edge_hub_counts(f.edge).forwarded_total, MANY + 1);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

/* ---- what routes lead to, and what people ask ---- */

TEST(what_a_client_reports_is_a_message_for_routes) {
    struct fleet f;
    struct raw_client leaf, reader;
    begin(&f,
          ROUTES(ROUTE("t",
                       "FROM /twinChangeNotifications/* WHERE $connectionModuleId = '$edgeHub' "
                       "AND $body.wind > 5 " TO_READER,
                       "") "," ROUTE("up", "FROM /twinChangeNotifications INTO $upstream", "")));
    open_reader(&reader, &f);
    open_as(&leaf, &f, "leaf1", NULL);
    for (unsigned i = 0; i < 2; i++)
        raw_publish(&leaf, "$iothub/twin/PATCH/properties/reported/?$rid=1",
                    i ? SK_SPAN("{\"wind\":7}") : SK_SPAN("{\"wind\":3}"), 0, 0);
    struct sk_mqtt_packet packet = raw_expect(&reader, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.payload, "{\"wind\":7}"));
    assert_true(sk_span_starts(packet.u.publish.topic,
                               SK_SPAN("devices/edge1/modules/reader/inputs/in/%24.cdid=leaf1&")));
    raw_expect_nothing(&reader);
    sk_sim_run(f.sim, 10 * SK_S);
    assert_string_equal(stored(&f, "edge1").text, "{\"wind\":3} {\"wind\":7} ");
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

static void make_leaf2(struct fleet *f) {
    char more[200];
    fleet_call(f, SK_HTTP_GET, "/devices/edge1", "");
    json_t *edge = json_loads(f->answer, 0, NULL);
    snprintf(more, sizeof more, ",\"deviceScope\":\"%s\"",
             json_string_value(json_object_get(edge, "deviceScope")));
    json_decref(edge);
    fleet_put_device(f, "leaf2", more);
}

TEST(leaf_devices_get_messages_from_each_other_without_the_cloud) {
    struct fleet f;
    struct raw_client leaf, other;
    begin(&f, ROUTES(ROUTE("d", "FROM /messages/* INTO BrokeredEndpoint(\\\"/devices/leaf2\\\")",
                           ",\"timeToLiveSecs\":3600")));
    make_leaf2(&f);
    open_as(&other, &f, "leaf2", NULL);
    raw_free(&other);
    sk_sim_partition(f.edge_io, f.hub_io, true);
    sk_sim_run(f.sim, 200 * SK_S);
    open_as(&leaf, &f, "leaf1", NULL);
    sends(&leaf, "leaf1", "any", "1");
    fleet_stop_edge(&f);
    fleet_start_edge(&f);
    raw_free(&leaf);
    open_as(&leaf, &f, "leaf1", NULL);
    open_as(&other, &f, "leaf2", NULL);
    raw_subscribe(&other, 1, "devices/leaf2/messages/devicebound/#", 1);
    raw_expect_suback(&other, 1, "\1", 1);
    struct sk_mqtt_packet packet = raw_expect(&other, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.payload, "1"));
    assert_true(sk_span_is(packet.u.publish.topic,
                           "devices/leaf2/messages/devicebound/%24.uid=leaf1&kind=any"));
    raw_free(&other); /* without its acknowledgement it comes again */
    sends(&leaf, "leaf1", "any", "2");
    open_as(&other, &f, "leaf2", NULL);
    raw_subscribe(&other, 1, "devices/leaf2/messages/devicebound/#", 1);
    raw_expect_suback(&other, 1, "\1", 1);
    reader_gets(&other, "1");
    reader_gets(&other, "2");
    raw_expect_nothing(&other);
    assert_int_equal(number_of(&f, "devices/leaf2", 10, "depth"), 0);
    raw_free(&leaf);
    raw_free(&other);
    fleet_free(&f);
}

/* A route to the cloud, and `count` to inputs that get nothing. */
static void deploy_many(struct fleet *f, unsigned priority, unsigned ttl_s, unsigned first,
                        unsigned count) {
    struct sk_buffer desired = {0};
    sk_buffer_print(
        &desired,
        "{\"schemaVersion\":\"1.1\",\"routes\":{\"up\":{\"route\":\"FROM /messages/* INTO "
        "$upstream\",\"priority\":%u,\"timeToLiveSecs\":%u}",
        priority, ttl_s);
    for (unsigned i = first; i < first + count; i++)
        sk_buffer_print(&desired,
                        ",\"r%u\":\"FROM /messages/* WHERE never = 'x' INTO "
                        "BrokeredEndpoint(\\\"/modules/reader/inputs/i%u\\\")\"",
                        i, i);
    sk_buffer_text(&desired, "}}");
    sk_buffer_byte(&desired, 0);
    fleet_deploy(f, desired.p);
    sk_buffer_free(&desired);
}

enum { ROUNDS = 12, A_ROUND = 20 };

/* Of each message, by its number. */
struct fates {
    bool acknowledged[ROUNDS * A_ROUND], stored[ROUNDS * A_ROUND];
};

/* Some are on their way to the slow disk when the deployment comes, others come after it. */
static void send_round(struct fleet *f, unsigned round, struct fates *fates) {
    struct raw_client leaf;
    struct sk_mqtt_packet packet;
    char body[20];
    open_as(&leaf, f, "leaf1", NULL);
    for (unsigned i = 0; i < A_ROUND; i++) {
        if (i == A_ROUND / 2)
            deploy_many(f, round % 10, 3600 + round, round % 2 ? 0 : 100, 62 + round % 2);
        snprintf(body, sizeof body, "%u", round * A_ROUND + i);
        if (leaf.stream)
            raw_publish(&leaf, "devices/leaf1/messages/events/", sk_span_z(body), 1,
                        (uint16_t)(i + 1));
        sk_sim_run(f->sim, 3 * SK_MS);
    }
    while (raw_next(&leaf, &packet))
        if (packet.type == SK_MQTT_PUBACK)
            fates->acknowledged[round * A_ROUND + packet.u.id - 1] = true;
    raw_free(&leaf);
}

static void note_stored(void *arg, const struct sk_message *message) {
    int64_t number;
    if (sk_span_to_int(message->body, &number) == SK_OK)
        ((struct fates *)arg)->stored[number] = true;
}

TEST(deployments_that_need_all_queues_and_others_each_time_lose_nothing) {
    struct fleet f;
    struct fates fates = {0};
    unsigned acknowledged = 0;
    begin(&f, ROUTES(BY_KIND));
    sk_sim_disk_slow(f.edge_io, 20 * SK_MS);
    sk_sim_disk_slow(f.hub_io, 200 * SK_MS);
    for (unsigned round = 0; round < ROUNDS; round++) send_round(&f, round, &fates);
    fleet_deploy(&f, ROUTES(ROUTE("up", "FROM /messages/* INTO $upstream", "")));
    sk_sim_run(f.sim, 120 * SK_S);
    fleet_read_events(&f, note_stored, &fates);
    for (unsigned i = 0; i < ROUNDS * A_ROUND; i++) {
        acknowledged += fates.acknowledged[i];
        if (fates.acknowledged[i] && !fates.stored[i]) fail_msg("message %u is lost", i);
    }
    assert_true(acknowledged > ROUNDS * A_ROUND / 2);
    assert_int_equal(sk_edge_hub_counts(f.edge).given_up_total, 0);
    assert_int_equal(sk_edge_hub_counts(f.edge).dropped_total, 0);
    fleet_free(&f);
}

#define A_ROUTE ROUTE("a", "FROM /messages/* WHERE $body.t > 5 INTO $upstream", ",\"priority\":0")
#define B_ROUTE ROUTE("b", "FROM /* INTO $upstream", ",\"priority\":1")
#define C_ROUTE ROUTE("c", "FROM /messages/* WHERE kind = 'hot' " TO_READER, ",\"priority\":2")
#define D_ROUTE ROUTE("d", "FROM /messages/modules/* " TO_READER, "")

TEST(a_route_is_explained_with_what_kept_it_from_a_message) {
    struct fleet f;
    json_t *told, *route;
    size_t i;
    static const char *const why[] = {"it takes the message",
                                      "a route of better priority leads to the same endpoint",
                                      "its condition is not true", "its source is another"};
    begin(&f, ROUTES(A_ROUTE "," B_ROUTE "," C_ROUTE "," D_ROUTE));
    ask(&f, SK_HTTP_POST, "/routes/explain",
        "{\"device\":\"leaf1\",\"properties\":{\"kind\":\"cold\"},\"body\":{\"t\":6}}", &told);
    assert_string_equal(json_string_value(json_object_get(told, "source")), "/messages/");
    json_array_foreach(json_object_get(told, "routes"), i, route) {
        assert_string_equal(json_string_value(json_object_get(route, "why")), why[i]);
        assert_int_equal(json_is_true(json_object_get(route, "takes")), i == 0);
    }
    assert_int_equal(i, 4);
    assert_int_equal(json_array_size(json_object_get(told, "queues")), 1);
    json_decref(told);
    fleet_free(&f);
}

TEST(a_queue_that_is_purged_takes_what_comes_afterwards) {
    struct fleet f;
    struct raw_client leaf, reader;
    json_t *told;
    char path[40];
    begin(&f, ROUTES(ROUTE("r", "FROM /messages/* " TO_READER, "")));
    open_as(&leaf, &f, "leaf1", NULL);
    sends(&leaf, "leaf1", "any", "old");
    snprintf(path, sizeof path, "/queues/%lld/purge",
             number_of(&f, "modules/reader/inputs/in", 10, "queue"));
    ask(&f, SK_HTTP_POST, path, "", &told);
    assert_int_equal(json_integer_value(json_object_get(told, "purged")), 1);
    json_decref(told);
    sends(&leaf, "leaf1", "any", "new");
    open_reader(&reader, &f);
    reader_gets(&reader, "new");
    raw_expect_nothing(&reader);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 0);
    raw_free(&leaf);
    raw_free(&reader);
    fleet_free(&f);
}

/* ---- before it is durable ---- */

static void open_both(struct fleet *f, struct raw_client *leaf, struct raw_client *reader) {
    begin(f, ROUTES(ROUTE("in", "FROM /messages/* " TO_READER, "")));
    open_as(leaf, f, "leaf1", NULL);
    open_reader(reader, f);
    sk_sim_disk_slow(f->edge_io, SK_S);
}

TEST(a_module_hears_a_message_while_the_disk_is_at_work_and_its_sender_only_then) {
    struct fleet f;
    struct raw_client leaf, reader;
    open_both(&f, &leaf, &reader);
    raw_publish(&leaf, "devices/leaf1/messages/events/", SK_SPAN("early"), 1, 1);
    uint64_t before = sk_io_now(f.edge_io);
    reader_gets(&reader, "early");
    assert_true(sk_io_now(f.edge_io) - before < SK_S / 4);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 0);
    raw_expect_ack(&leaf, SK_MQTT_PUBACK, 1);
    assert_true(sk_io_now(f.edge_io) - before >= SK_S / 2);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 0);
    sk_sim_run(f.sim, 5 * SK_S); /* checkpoints are written on the same disk */
    fleet_crash_edge(&f);
    sk_sim_run(f.sim, 5 * SK_S);
    raw_free(&reader);
    open_reader(&reader, &f);
    raw_expect_nothing(&reader); /* its acknowledgement was kept, too */
    raw_free(&reader);
    raw_free(&leaf);
    fleet_free(&f);
}

/* The record that has its sequence later is another, and an acknowledgement that comes late is not
 * for that one. */
TEST(what_a_module_heard_and_the_disk_refused_takes_no_other_message_with_it) {
    struct fleet f;
    struct raw_client leaf, reader;
    struct sk_buffer out = {0};
    open_both(&f, &leaf, &reader);
    sk_sim_disk_fail(f.edge_io, 1);
    raw_publish(&leaf, "devices/leaf1/messages/events/", SK_SPAN("refused"), 1, 1);
    uint16_t heard = raw_expect(&reader, SK_MQTT_PUBLISH).u.publish.id;
    sk_sim_run(f.sim, 3 * SK_S);
    sk_sim_disk_fail(f.edge_io, 0);
    sk_sim_disk_slow(f.edge_io, SK_MS);
    raw_expect_closed(&leaf);
    raw_free(&leaf);
    open_as(&leaf, &f, "leaf1", NULL);
    sends(&leaf, "leaf1", "any", "kept");
    struct sk_mqtt_packet packet = raw_expect(&reader, SK_MQTT_PUBLISH);
    assert_true(sk_span_is(packet.u.publish.payload, "kept"));
    sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, heard);
    raw_send_buffer(&reader, &out);
    sk_sim_run(f.sim, SK_S);
    assert_int_equal(number_of(&f, "modules/reader/inputs/in", 10, "depth"), 1);
    fleet_crash_edge(&f);
    sk_sim_run(f.sim, 5 * SK_S);
    raw_free(&reader);
    open_reader(&reader, &f);
    reader_gets(&reader, "kept");
    raw_free(&reader);
    raw_free(&leaf);
    fleet_free(&f);
}

/* ---- how much the disk holds ---- */

/* A fleet whose edge has so much room. */
static void begin_bounded(struct fleet *f, const char *routes, uint64_t bytes, bool drop_oldest) {
    fleet_new_hub(f, 1);
    f->routes = routes;
    f->store_bytes_max = bytes;
    f->drop_oldest = drop_oldest;
    fleet_make_identities(f);
    fleet_start_edge(f);
    sk_sim_run(f->sim, 30 * SK_S);
    assert_true(sk_edge_hub_counts(f->edge).upstream_connected);
}

enum { LARGE = 100 * 1000 };

/* A body of LARGE bytes that begins with a name. */
static bool sends_large(struct fleet *f, const char *kind, const char *name) {
    static char body[LARGE + 1];
    struct raw_client leaf;
    struct sk_mqtt_packet packet;
    char topic[100];
    memset(body, ' ', LARGE);
    memcpy(body, name, strlen(name));
    snprintf(topic, sizeof topic, "devices/leaf1/messages/events/kind=%s", kind);
    open_as(&leaf, f, "leaf1", NULL);
    raw_publish(&leaf, topic, sk_span(body, LARGE), 1, 1);
    bool taken = raw_next(&leaf, &packet) && packet.type == SK_MQTT_PUBACK;
    raw_free(&leaf);
    return taken;
}

static long long store_bytes(struct fleet *f) {
    json_t *status = sk_edge_hub_status(f->edge);
    long long bytes =
        json_integer_value(json_object_get(json_object_get(status, "store"), "bytes"));
    json_decref(status);
    return bytes;
}

#define TO_ALL_READERS ROUTE("r", "FROM /messages/* " TO_READER, "")

TEST(a_store_takes_what_fits_and_not_a_byte_more) {
    enum { MANY = 20 };
    struct fleet f;
    long long bytes = 3 * 1024 * 1024; /* at first, to find out what they take */
    for (int round = 0; round < 3; round++) {
        begin_bounded(&f, ROUTES(TO_ALL_READERS), (uint64_t)bytes - (round == 2), false);
        for (unsigned i = 0; i < MANY - 1; i++) assert_true(sends_large(&f, "any", "x"));
        sk_sim_run(f.sim, SK_S);
        if (round == 0)
            bytes =
                store_bytes(&f) +
                (long long)sk_record_bytes(
                    (size_t)number_of(&f, "modules/reader/inputs/in", 10, "bytes") / (MANY - 1));
        assert_int_equal(sends_large(&f, "any", "x"), round < 2);
        fleet_free(&f);
    }
}

TEST(a_full_store_refuses_and_takes_again_what_fits_when_others_have_gone) {
    enum { LIMIT = 2 * 1024 * 1024 };
    struct fleet f;
    struct raw_client reader;
    unsigned taken = 0, more = 0;
    begin_bounded(&f, ROUTES(TO_ALL_READERS), LIMIT, false);
    while (sends_large(&f, "any", "x")) taken++;
    assert_in_range(taken, 15, 20);
    assert_false(sends_large(&f, "any", "x"));
    assert_true(sk_edge_hub_counts(f.edge).full_total >= 2);
    open_reader(&reader, &f);
    for (unsigned i = 0; i < taken; i++) {
        struct sk_mqtt_packet packet = raw_expect(&reader, SK_MQTT_PUBLISH);
        struct sk_buffer out = {0};
        sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, packet.u.publish.id);
        raw_send_buffer(&reader, &out);
    }
    raw_expect_nothing(&reader);
    raw_free(&reader);
    sk_sim_run(f.sim, 5 * SK_S);
    while (sends_large(&f, "any", "x")) more++;
    assert_in_range(more, taken - 2, taken);
    assert_true(store_bytes(&f) <= LIMIT);
    fleet_free(&f);
}

#define TO_READER_BY_KIND                                                                          \
    ROUTE("hot", "FROM /messages/* WHERE kind = 'hot' " TO_READER, ",\"priority\":1")              \
    "," ROUTE("all", "FROM /messages/* " TO_READER, "")

TEST(a_full_store_drops_the_oldest_of_the_lowest_priority) {
    enum { LIMIT = 2 * 1024 * 1024, MANY = 60 };
    struct fleet f;
    struct raw_client reader;
    char name[16];
    unsigned hot = 0, cold = 0, last_cold = 0, got;
    begin_bounded(&f, ROUTES(TO_READER_BY_KIND), LIMIT, true);
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "%u ", i);
        assert_true(sends_large(&f, i % 6 ? "cold" : "hot", name));
        assert_true(store_bytes(&f) <= LIMIT);
    }
    assert_true(sk_edge_hub_counts(f.edge).shed_total > 30);
    open_reader(&reader, &f);
    for (got = 0; got < MANY; got++) {
        struct sk_mqtt_packet packet;
        struct sk_buffer out = {0};
        int64_t number;
        if (!raw_next(&reader, &packet)) break;
        assert_int_equal(packet.type, SK_MQTT_PUBLISH);
        struct sk_span body = packet.u.publish.payload;
        assert_int_equal(sk_span_to_int(sk_span_first(body, sk_span_find(body, ' ')), &number),
                         SK_OK);
        if (number % 6 == 0) {
            assert_int_equal(number, hot++ * 6); /* every one, in order, before all others */
            assert_int_equal(cold, 0);
        } else {
            assert_true(cold++ == 0 || number > last_cold);
            last_cold = (unsigned)number;
        }
        sk_mqtt_put_ack(&out, SK_MQTT_PUBACK, packet.u.publish.id);
        raw_send_buffer(&reader, &out);
    }
    assert_int_equal(hot, MANY / 6);
    assert_int_equal(last_cold, MANY - 1);
    assert_int_equal(hot + cold + sk_edge_hub_counts(f.edge).shed_total, MANY);
    raw_free(&reader);
    fleet_free(&f);
}

/* A newcomer of low priority does not cost others that count more. */
TEST(a_full_store_of_better_priority_refuses_a_lesser_one) {
    struct fleet f;
    begin_bounded(&f, ROUTES(TO_READER_BY_KIND), 2 * 1024 * 1024, true);
    for (unsigned i = 0; i < 40; i++) assert_true(sends_large(&f, "hot", "x"));
    assert_false(sends_large(&f, "cold", "x"));
    assert_true(sends_large(&f, "hot", "x"));
    fleet_free(&f);
}

TEST(a_deployments_limit_counts_where_it_is_the_smaller) {
    struct fleet f;
    unsigned taken = 0;
    begin_bounded(&f,
                  "{\"schemaVersion\":\"1.1\",\"routes\":{" TO_ALL_READERS
                  "},\"storeAndForwardConfiguration\":{\"timeToLiveSecs\":7200,"
                  "\"storeLimits\":{\"maxSizeBytes\":1000000}}}",
                  4 * 1024 * 1024, false);
    while (sends_large(&f, "any", "x")) taken++;
    assert_in_range(taken, 8, 9);
    assert_true(store_bytes(&f) <= 1000000);
    fleet_free(&f);
}
