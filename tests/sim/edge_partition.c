/* Stories of an edge that loses the cloud. SEED (one alone), FLEET_SEEDS (how many) and
 * FLEET_MESSAGES change their length; the seed also chooses the protocol upstream. */
#include "support/fleet.h"
#include "support/test.h"

enum { DAY_S = 86400 };

struct story {
    struct fleet fleet;
    struct sk_device_client *leaf;
    struct sk_timer timer;
    uint64_t period_ns;
    uint64_t to_send, sent, acknowledged;
    /* What the hub has. A leaf that saw no PUBACK because the edge crashed sends again: those
     * copies have numbers of their own. What the edge forwards must come once for each number. */
    uint64_t next, lost, sent_again, repeated, number;
    bool may_send_again;
    /* twin */
    uint64_t desired_version;
    int interval;
};

static void on_sent(void *arg, enum sk_status status) {
    struct story *s = arg;
    if (status == SK_OK) s->acknowledged++;
}

static void send_next(struct sk_timer *timer) {
    struct story *s = SK_CONTAINER(timer, struct story, timer);
    char body[32];
    snprintf(body, sizeof body, "%llu", (unsigned long long)s->sent);
    struct sk_message message = {.body = sk_span_z(body)};
    if (sk_device_client_send(s->leaf, &message, on_sent, s) == SK_OK) s->sent++;
    if (s->sent < s->to_send) sk_timer_start(timer->io, timer, s->period_ns, send_next);
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    struct story *s = arg;
    json_t *document = json_loadb(patch.p, patch.n, 0, NULL);
    s->desired_version = version;
    s->interval = (int)json_integer_value(json_object_get(document, "interval"));
    json_decref(document);
}

static const struct sk_device_events events = {.desired = on_desired};

static void count_event(void *arg, const struct sk_message *message) {
    struct story *s = arg;
    int64_t number;
    assert_int_equal(sk_span_to_int(message->body, &number), SK_OK);
    assert_true(sk_span_is(message->device, "leaf1"));
    if ((uint64_t)number == s->next)
        s->next++;
    else if ((uint64_t)number < s->next)
        s->sent_again++;
    else
        s->lost++;
    struct sk_span edge_number = message->system[SK_SYS_EDGE_NUMBER];
    edge_number = sk_span_skip(edge_number, sk_span_find(edge_number, ':') + 1);
    assert_int_equal(sk_span_to_int(edge_number, &number), SK_OK);
    if ((uint64_t)number <= s->number) s->repeated++;
    s->number = (uint64_t)number;
}

static bool all_forwarded(void *arg) {
    struct story *s = arg;
    return s->acknowledged == s->to_send && sk_edge_hub_counts(s->fleet.edge).queue_upstream == 0;
}

static uint64_t setting(const char *name, uint64_t otherwise) {
    int64_t value;
    const char *text = getenv(name);
    return text && sk_span_to_int(sk_span_z(text), &value) == SK_OK ? (uint64_t)value : otherwise;
}

static void start(struct story *s, uint64_t seed, uint64_t messages, uint64_t period_ns) {
    *s = (struct story){.to_send = messages, .period_ns = period_ns};
    fleet_over(seed % 4 == 0 ? "amqpws" : seed % 2 == 0 ? "amqp" : "mqtt");
    fleet_new(&s->fleet, seed, FLEET_ROUTES_UP);
    s->leaf = fleet_client(&s->fleet, "edge.test", "leaf1", NULL, SK_SUB_DESIRED, &events, s);
    sk_timer_start(s->fleet.field_io, &s->timer, period_ns, send_next);
}

static void finish(struct story *s, const char *name, uint64_t seed) {
    bool forwarded = sk_sim_run_until(s->fleet.sim, 2 * DAY_S * SK_S, all_forwarded, s);
    if (!forwarded)
        fail_msg("%s, seed %llu: sent %llu, acknowledged %llu, waiting %llu", name,
                 (unsigned long long)seed, (unsigned long long)s->sent,
                 (unsigned long long)s->acknowledged,
                 (unsigned long long)sk_edge_hub_counts(s->fleet.edge).queue_upstream);
    size_t stored = fleet_read_events(&s->fleet, count_event, s);
    if (s->lost || s->next != s->to_send || s->repeated || (s->sent_again && !s->may_send_again))
        fail_msg("%s, seed %llu: %llu in order of %llu, lost %llu, sent again %llu, repeated %llu, "
                 "stored %zu",
                 name, (unsigned long long)seed, (unsigned long long)s->next,
                 (unsigned long long)s->to_send, (unsigned long long)s->lost,
                 (unsigned long long)s->sent_again, (unsigned long long)s->repeated, stored);
    sk_timer_stop(&s->timer);
    sk_device_client_free(s->leaf);
    fleet_free(&s->fleet);
}

static void three_days_without_the_cloud(uint64_t seed, uint64_t messages) {
    struct story s;
    struct fleet *f = &s.fleet;
    start(&s, seed, messages, 3 * DAY_S * SK_S / messages);
    sk_sim_run(f->sim, (1 + sk_sim_chance(f->sim, 3600)) * SK_S);
    sk_sim_partition(f->edge_io, f->hub_io, true);
    sk_sim_run(f->sim, (DAY_S + sk_sim_chance(f->sim, 3600)) * SK_S);
    fleet_stop_hub(f);
    fleet_start_hub(f);
    fleet_call(f, SK_HTTP_PATCH, "/twins/leaf1", "{\"properties\":{\"desired\":{\"interval\":7}}}");
    assert_int_equal(f->status, 200);
    sk_sim_run(f->sim, DAY_S * SK_S);
    assert_int_equal(s.interval, 0); /* the leaf cannot know yet */
    fleet_stop_edge(f);
    fleet_start_edge(f);
    sk_sim_run(f->sim, (DAY_S / 2 + sk_sim_chance(f->sim, 7200)) * SK_S);
    sk_sim_partition(f->edge_io, f->hub_io, false);
    finish(&s, "three days", seed);
    assert_int_equal(s.interval, 7);
    assert_int_equal(s.desired_version, 2);
}

/* Crashes at both sides while messages flow and the network comes and goes. */
static void crashes_all_day(uint64_t seed, uint64_t messages) {
    struct story s;
    struct fleet *f = &s.fleet;
    start(&s, seed, messages, 60 * SK_S / messages);
    for (int i = 0; i < 6; i++) {
        sk_sim_run(f->sim, (1 + sk_sim_chance(f->sim, 9000)) * SK_MS);
        switch (sk_sim_chance(f->sim, 4)) {
        case 0: fleet_crash_hub(f); break;
        case 1:
            fleet_crash_edge(f);
            s.may_send_again = true;
            break;
        case 2:
            sk_sim_drop_connections(f->edge_io);
            s.may_send_again = true;
            break;
        default:
            sk_sim_partition(f->edge_io, f->hub_io, true);
            sk_sim_run(f->sim, sk_sim_chance(f->sim, 40000) * SK_MS);
            sk_sim_partition(f->edge_io, f->hub_io, false);
            break;
        }
    }
    finish(&s, "crashes", seed);
}

TEST(every_message_arrives_once_in_order_whatever_crashes_between_edge_and_hub) {
    struct seeds seeds = seeds_of("FLEET_SEEDS", 200);
    uint64_t messages = setting("FLEET_MESSAGES", 150);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) crashes_all_day(seed, messages);
}

TEST(every_message_arrives_once_in_order_after_three_days_without_the_cloud) {
    struct seeds seeds = seeds_of("FLEET_SEEDS", 200);
    uint64_t messages = setting("FLEET_MESSAGES", 150);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++)
        three_days_without_the_cloud(seed, messages);
}

TEST(a_hundred_thousand_messages_wait_for_the_cloud) {
    three_days_without_the_cloud(1, setting("FLEET_MANY", 100000));
}
