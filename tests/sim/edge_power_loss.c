/* Stories of an edge that loses power from its very first second: what it has acknowledged
 * reaches the cloud and the module. FLEET_SEEDS changes how many, SEED runs one alone. */
#include "support/fleet.h"
#include "support/test.h"

#define ROUTES(list) "{\"schemaVersion\":\"1.1\",\"routes\":{" list "}}"
#define TO_READER                                                                                  \
    "\"r\":\"FROM /messages/* INTO BrokeredEndpoint(\\\"/modules/reader/inputs/in\\\")\""
#define TO_OTHER(name)                                                                             \
    "\"" name "\":\"FROM /messages/* INTO BrokeredEndpoint(\\\"/modules/reader/inputs/" name       \
    "\\\")\""
#define UP "\"up\":\"FROM /messages/* INTO $upstream\""

#define US 1000ull

enum { LEAVES = 2, MESSAGES = 60, CRASHES = 5 };

/* What one end has seen of one leaf's numbers. */
struct seen {
    uint64_t next, lost, repeated;
};

struct story {
    struct fleet fleet;
    struct sk_device_client *leaves[LEAVES], *reader;
    uint64_t sent[LEAVES], acknowledged[LEAVES];
    struct sk_timer timer;
    struct seen cloud[LEAVES], module[LEAVES];
};

static void on_sent(void *arg, enum sk_status status) {
    if (status == SK_OK) ++*(uint64_t *)arg;
}

static void send_next(struct sk_timer *timer) {
    struct story *s = SK_CONTAINER(timer, struct story, timer);
    bool more = false;
    for (size_t i = 0; i < LEAVES; i++) {
        char body[32];
        snprintf(body, sizeof body, "%llu", (unsigned long long)s->sent[i]);
        if (s->leaves[i] && s->sent[i] < MESSAGES &&
            sk_device_client_send(s->leaves[i], &(struct sk_message){.body = sk_span_z(body)},
                                  on_sent, &s->acknowledged[i]) == SK_OK)
            s->sent[i]++;
        more = more || s->sent[i] < MESSAGES;
    }
    if (more)
        sk_timer_start(timer->io, timer, (1 + sk_sim_chance(s->fleet.sim, 400)) * SK_MS, send_next);
}

static void see(struct seen *seen, const struct sk_message *message) {
    int64_t number;
    size_t leaf = sk_span_is(message->device, "leaf1") ? 0 : 1;
    assert_int_equal(sk_span_to_int(message->body, &number), SK_OK);
    seen += leaf;
    if ((uint64_t)number == seen->next)
        seen->next++;
    else if ((uint64_t)number < seen->next)
        seen->repeated++;
    else
        seen->lost++;
}

static void at_cloud(void *arg, const struct sk_message *message) {
    see(((struct story *)arg)->cloud, message);
}

static void at_module(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    struct story *s = arg;
    if (sk_span_is(message->system[SK_SYS_INPUT], "in")) see(s->module, message);
    if (s->reader) sk_device_client_ack(s->reader, delivery);
}

static const struct sk_device_events reader_events = {.message = at_module};

static bool all_there(void *arg) {
    struct story *s = arg;
    for (size_t i = 0; i < LEAVES; i++)
        if (s->acknowledged[i] < MESSAGES || s->module[i].next < MESSAGES) return false;
    return sk_edge_hub_counts(s->fleet.edge).queue_upstream == 0;
}

/* The service's connection may still be to the hub before its crash: a question finds out. */
static void reach_cloud(struct fleet *f) {
    for (int i = 0; i < 5; i++) {
        fleet_call(f, SK_HTTP_GET, "/devices/edge1", "");
        if (f->status == 200) return;
    }
    fail_msg("the hub does not answer");
}

/* An extra input comes and goes, so that slots and cursors are made and dropped between the
 * crashes. */
static void deploy_something(struct story *s) {
    static const char *const deployments[] = {ROUTES(TO_READER "," UP),
                                              ROUTES(TO_OTHER("a") "," TO_READER "," UP),
                                              ROUTES(TO_OTHER("b") "," UP "," TO_READER)};
    reach_cloud(&s->fleet);
    fleet_deploy(&s->fleet, deployments[sk_sim_chance(s->fleet.sim, 3)]);
}

static void crash(struct story *s) {
    struct fleet *f = &s->fleet;
    sk_sim_run(f->sim, sk_sim_chance(f->sim, 3) ? sk_sim_chance(f->sim, 300000) * US
                                                : sk_sim_chance(f->sim, 20000) * SK_MS);
    if (sk_sim_chance(f->sim, 4) == 0) fleet_crash_hub(f);
    if (sk_sim_chance(f->sim, 2)) deploy_something(s);
    if (sk_sim_chance(f->sim, 2)) sk_sim_run(f->sim, sk_sim_chance(f->sim, 50000) * US);
    fleet_crash_edge(f);
}

static void a_stormy_day(uint64_t seed) {
    struct story s = {0};
    struct fleet *f = &s.fleet;
    fleet_over(seed % 2 == 0 ? "amqp" : "mqtt");
    fleet_new_hub(f, seed);
    f->routes = ROUTES(TO_READER "," UP);
    fleet_make_identities(f);
    fleet_start_edge(f);
    s.leaves[0] = fleet_client(f, "edge.test", "leaf1", NULL, 0, NULL, NULL);
    s.reader = fleet_client(f, "edge.test", "edge1", "reader", SK_SUB_INPUTS, &reader_events, &s);
    sk_timer_start(f->field_io, &s.timer, SK_MS, send_next);
    size_t new_leaf_at = sk_sim_chance(f->sim, CRASHES);
    for (size_t i = 0; i < CRASHES; i++) {
        if (i ==
            new_leaf_at) { /* made in the cloud just now: the edge learns of it when it comes */
            char more[200];
            reach_cloud(f);
            json_t *edge = json_loads(f->answer, 0, NULL);
            snprintf(more, sizeof more, ",\"deviceScope\":\"%s\"",
                     json_string_value(json_object_get(edge, "deviceScope")));
            json_decref(edge);
            fleet_put_device(f, "leaf2", more);
            s.leaves[1] = fleet_client(f, "edge.test", "leaf2", NULL, 0, NULL, NULL);
        }
        crash(&s);
    }
    bool complete = sk_sim_run_until(f->sim, 86400 * SK_S, all_there, &s);
    fleet_read_events(f, at_cloud, &s);
    for (size_t i = 0; i < LEAVES; i++)
        if (!complete || s.cloud[i].lost || s.cloud[i].next != MESSAGES || s.module[i].lost ||
            s.module[i].next != MESSAGES)
            fail_msg(
                "seed %llu, leaf%zu: acknowledged %llu; cloud: %llu in order, lost %llu, repeated "
                "%llu; "
                "module: %llu in order, lost %llu, repeated %llu",
                (unsigned long long)seed, i + 1, (unsigned long long)s.acknowledged[i],
                (unsigned long long)s.cloud[i].next, (unsigned long long)s.cloud[i].lost,
                (unsigned long long)s.cloud[i].repeated, (unsigned long long)s.module[i].next,
                (unsigned long long)s.module[i].lost, (unsigned long long)s.module[i].repeated);
    sk_timer_stop(&s.timer);
    for (size_t i = 0; i < LEAVES; i++) sk_device_client_free(s.leaves[i]);
    sk_device_client_free(s.reader);
    s.reader = NULL;
    fleet_free(f);
}

TEST(what_a_leaf_saw_acknowledged_reaches_cloud_and_module_whenever_power_is_lost) {
    struct seeds seeds = seeds_of("FLEET_SEEDS", 200);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) a_stormy_day(seed);
}

/* ---- one message, one crash, at every moment after the deployment that made its queue ---- */

struct counter {
    struct sk_device_client *client;
    uint64_t messages;
};

static void count_message(void *arg, const struct sk_message *message,
                          struct sk_delivery delivery) {
    struct counter *c = arg;
    (void)message;
    c->messages++;
    sk_device_client_ack(c->client, delivery);
}

static void crash_after_first_message(uint64_t wait_us) {
    static const struct sk_device_events counting = {.message = count_message};
    struct fleet f;
    struct counter counter = {0};
    uint64_t acknowledged = 0;
    fleet_new(&f, 1, ROUTES(""));
    struct sk_device_client *leaf = fleet_client(&f, "edge.test", "leaf1", NULL, 0, NULL, NULL);
    sk_sim_run(f.sim, 5 * SK_S);
    fleet_deploy(&f, ROUTES(TO_READER));
    while (sk_edge_hub_counts(f.edge).received_total == 0) { /* until the new route takes one */
        sk_device_client_send(leaf, &(struct sk_message){.body = SK_SPAN("1")}, on_sent,
                              &acknowledged);
        sk_sim_run(f.sim, SK_MS);
    }
    uint64_t received = sk_edge_hub_counts(f.edge).received_total,
             dropped = sk_edge_hub_counts(f.edge).dropped_total;
    while (acknowledged < received + dropped) sk_sim_run(f.sim, US);
    sk_sim_run(f.sim, wait_us * US);
    sk_device_client_free(leaf);
    fleet_crash_edge(&f);
    counter.client =
        fleet_client(&f, "edge.test", "edge1", "reader", SK_SUB_INPUTS, &counting, &counter);
    sk_sim_run(f.sim, 30 * SK_S);
    if (counter.messages < received)
        fail_msg("%llu µs after the acknowledgement: %llu of %llu messages",
                 (unsigned long long)wait_us, (unsigned long long)counter.messages,
                 (unsigned long long)received);
    sk_device_client_free(counter.client);
    fleet_free(&f);
}

TEST(the_first_message_of_a_new_input_survives_a_crash_at_any_moment) {
    for (uint64_t wait_us = 0; wait_us < 200000; wait_us += wait_us < 2000 ? 50 : 5000)
        crash_after_first_message(wait_us);
}
