/* One AMQP connection with many devices on it, over seeds: their tokens are bad or run out, they
 * are disabled and deleted, others take them over, the connection breaks and the hub loses
 * power; and whoever is not meant goes on, and what was acknowledged is stored once, in order. */
#include "support/raw_amqp.h"
#include "support/test.h"

enum { DEVICES = 8, NUMBERS = 2000, WINDOW = 20, STEPS = 160, SHORT_LIFE_S = 60 };

struct device {
    char name[8];
    bool usable; /* it may come: nobody else is it, and the hub takes it */
    enum { AWAY, ASKS, ATTACHES, THERE } phase;
    bool bad_key;
    const char *expected; /* condition of a detach that is on its way, or NULL */
    struct raw_link link;
    unsigned next; /* number to be sent */
    unsigned char sends[NUMBERS];
    bool acknowledged[NUMBERS];
    unsigned stored[NUMBERS], newest;
    int64_t short_until_s; /* its token ends then; 0: it does not */
    struct sk_device_client *rival;
};

static struct story {
    struct fleet f;
    struct raw_amqp c;
    bool break_expected;
    struct device devices[DEVICES];
} * s;

/* What has happened in all stories. */
static unsigned breaks, detached, refused_tokens, refused_links, expired;

static uint64_t chance(uint64_t n) {
    return sk_sim_chance(s->f.sim, n);
}

static unsigned first_open(const struct device *d) {
    unsigned n = 0;
    while (n < NUMBERS && d->acknowledged[n]) n++;
    return n;
}

/* ---- a device's life on the shared connection ---- */

static void send_some(struct device *d) {
    unsigned oldest = first_open(d);
    while (d->phase == THERE && d->next < NUMBERS && d->next < oldest + WINDOW &&
           sk_amqp_link_credit(d->link.amqp) > 0) {
        char body[32];
        snprintf(body, sizeof body, "%s:%u", d->name, d->next);
        struct sk_span data = sk_span_z(body);
        assert_true(d->sends[d->next] < 255);
        d->sends[d->next]++;
        raw_link_send_message(&d->link, &(struct sk_amqp_message){.data = &data, .data_count = 1},
                              (void *)(uintptr_t)(d->next + 1));
        d->next++;
    }
}

static void on_verdict(struct raw_link *link, void *data, bool accepted) {
    struct device *d = link->arg;
    if (!accepted) fail_msg("%s: refused: %s", d->name, link->rejection);
    d->acknowledged[(uintptr_t)data - 1] = true;
}

static void on_credit(struct raw_link *link) {
    struct device *d = link->arg;
    if (d->phase == ATTACHES) d->phase = THERE;
}

static void on_gone(struct raw_link *link) {
    struct device *d = link->arg;
    d->phase = AWAY;
    if (link->condition[0] == 0) return; /* with the connection */
    if (d->expected == NULL || strcmp(d->expected, link->condition) != 0)
        fail_msg("%s was detached with %s (%s)", d->name, link->condition, link->text);
    d->expected = NULL;
    d->short_until_s = 0;
    detached++;
}

static struct device *find(struct sk_span name) {
    for (int i = 0; i < DEVICES; i++)
        if (sk_span_is(name, s->devices[i].name)) return &s->devices[i];
    fail_msg("nobody asked for %.*s", SK_ARG(name));
    return NULL;
}

static void on_token(struct raw_amqp *c, struct sk_span id, int status) {
    struct device *d = find(id);
    if (d->phase != ASKS) return; /* a renewal */
    d->phase = AWAY;
    assert_int_equal(status, d->bad_key ? 401 : 200);
    if (status != 200) {
        refused_tokens++;
        return;
    }
    char address[64];
    snprintf(address, sizeof address, "/devices/%s/messages/events", d->name);
    d->phase = ATTACHES;
    d->next = first_open(d);
    raw_link_begin(c, &d->link, (struct sk_amqp_link_options){.address = address, .sender = true});
}

static void ask_token(struct device *d, int64_t life_s) {
    char scope[64];
    snprintf(scope, sizeof scope, "hub.test/devices/%s", d->name);
    raw_amqp_put_token(&s->c, d->name, scope, d->bad_key ? "d3Jvbmcgd3Jvbmcgd3Jvbmc=" : NULL, NULL,
                       life_s);
}

static bool is_connected(void) {
    return s->c.stream && s->c.open && s->c.cbs_out.amqp &&
           sk_amqp_link_credit(s->c.cbs_out.amqp) > 0;
}

static void come(struct device *d) {
    if (!is_connected() || d->phase != AWAY || !d->usable) return;
    d->phase = ASKS;
    d->bad_key = chance(5) == 0;
    bool brief = !d->bad_key && chance(6) == 0;
    d->short_until_s = brief ? sk_io_wall(s->f.hub_io) / 1000000 + SHORT_LIFE_S : 0;
    ask_token(d, brief ? SHORT_LIFE_S : 365 * 86400);
}

/* The connection is made again when it has gone. */
static void keep_connected(void) {
    if (s->c.stream) return;
    if (s->c.amqp) {
        if (!s->break_expected) fail_msg("the connection has gone: %s", s->c.condition);
        breaks++;
        raw_amqp_free(&s->c);
    }
    s->break_expected = false;
    for (int i = 0; i < DEVICES; i++) {
        s->devices[i].phase = AWAY;
        s->devices[i].expected = NULL;
    }
    raw_amqp_open(&s->c, &s->f, &(struct raw_amqp_options){0});
    s->c.on_token = on_token;
    raw_amqp_open_cbs(&s->c);
}

/* Tokens that have run out by now cost their devices the link, and no other's. */
static void expect_expiries(uint64_t ns) {
    int64_t then_s = sk_io_wall(s->f.hub_io) / 1000000 + (int64_t)(ns / SK_S) + 2;
    for (int i = 0; i < DEVICES; i++) {
        struct device *d = &s->devices[i];
        if (d->phase == AWAY || d->short_until_s == 0 || d->expected) continue;
        if (then_s <= d->short_until_s + SK_SAS_SKEW_S) continue;
        d->expected = "amqp:unauthorized-access";
        expired++;
    }
}

static void pass(uint64_t ns) {
    expect_expiries(ns);
    sk_sim_run(s->f.sim, ns);
}

/* ---- what happens to a device ---- */

/* A service call; the hub may just have come back, and the connection to it be a dead one. */
static void call(enum sk_http_method method, const char *device, const char *body) {
    char path[64];
    snprintf(path, sizeof path, "/devices/%s", device);
    expect_expiries(60 * SK_S);
    for (int i = 0; i < 4; i++) {
        fleet_send(&s->f, method, path, body, method == SK_HTTP_DELETE || strstr(body, "status"));
        if (s->f.status) break;
    }
    assert_in_range(s->f.status, 200, 204);
}

static void put(struct device *d, const char *status) {
    char body[512];
    snprintf(body, sizeof body, "{\"deviceId\":\"%s\"," FLEET_SAS "%s%s%s}", d->name,
             status ? ",\"status\":\"" : "", status ? status : "", status ? "\"" : "");
    call(SK_HTTP_PUT, d->name, body);
}

static void disable(struct device *d) {
    d->usable = false;
    d->expected = "amqp:not-found";
    put(d, "disabled");
}

static void enable(struct device *d) {
    put(d, "enabled");
    d->usable = true;
}

static void delete_and_make(struct device *d) {
    d->usable = false;
    d->expected = "amqp:not-found";
    call(SK_HTTP_DELETE, d->name, "");
    pass(SK_S);
    put(d, NULL);
    d->usable = true;
}

static void rival_over_mqtt(struct device *d) {
    static const struct sk_device_events none = {0};
    d->usable = false;
    d->expected = "amqp:link:stolen";
    d->rival = fleet_client(&s->f, "hub.test", d->name, NULL, 0, &none, NULL);
}

/* Another connection sends the device's next message. */
static void rival_over_amqp(struct device *d) {
    struct raw_amqp other;
    struct raw_link link = {0};
    char address[64], body[32];
    unsigned n = first_open(d);
    d->usable = false;
    d->expected = "amqp:link:stolen";
    expect_expiries(SK_S);
    snprintf(address, sizeof address, "amqps://hub.test/devices/%s/messages/events", d->name);
    raw_amqp_open(&other, &s->f, &(struct raw_amqp_options){.anonymous = true});
    raw_amqp_prove(&other, d->name);
    raw_link_sender(&other, &link, address);
    snprintf(body, sizeof body, "%s:%u", d->name, n);
    pass(100 * SK_MS); /* the verdicts on what was under way have come */
    if (first_open(d) == n) {
        d->sends[n]++;
        assert_null(raw_link_try(&link, sk_span_z(body)));
        d->acknowledged[n] = true;
    }
    raw_amqp_free(&other);
    sk_sim_run(s->f.sim, 50 * SK_MS);
    d->usable = true;
}

static void rival_goes(struct device *d) {
    sk_device_client_free(d->rival);
    d->rival = NULL;
    d->usable = true;
}

/* Links that nobody may have: none of the others notices. */
static void ask_for_what_is_not_ours(void) {
    static const struct {
        const char *address, *condition;
    } cases[] = {{"/devices/ghost/messages/events", "amqp:unauthorized-access"},
                 {"/devices/d0/nothing", "amqp:not-found"},
                 {"/messages/devicebound", "amqp:unauthorized-access"}};
    struct raw_link link = {0};
    if (!is_connected()) return;
    size_t i = chance(3);
    raw_link_sender(&s->c, &link, cases[i].address);
    if (link.amqp) raw_link_expect_end(&link, cases[i].condition);
    assert_true(link.condition[0] == 0 || strcmp(link.condition, cases[i].condition) == 0);
    refused_links++;
}

static void happens_to(struct device *d) {
    if (d->rival) {
        rival_goes(d);
    } else if (!d->usable) {
        enable(d);
    } else if (d->phase == AWAY) {
        come(d);
    } else if (d->phase == THERE && !d->expected && !d->short_until_s) {
        switch (chance(6)) {
        case 0: disable(d); break;
        case 1: delete_and_make(d); break;
        case 2: rival_over_mqtt(d); break;
        case 3: rival_over_amqp(d); break;
        default: ask_token(d, 365 * 86400); break; /* it renews, and goes on */
        }
    }
}

/* ---- the story ---- */

/* A connection that has proved nothing is ended after a minute. */
static bool anybody_there(void) {
    for (int i = 0; i < DEVICES; i++)
        if (s->devices[i].phase == THERE) return true;
    return false;
}

static void step(void) {
    keep_connected();
    switch (chance(14)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: happens_to(&s->devices[chance(DEVICES)]); break;
    case 5: ask_for_what_is_not_ours(); break;
    case 6:
        if (chance(3)) break;
        s->break_expected = true;
        sk_sim_drop_connections(s->f.field_io);
        break;
    case 7:
        if (chance(4)) break;
        s->break_expected = true;
        fleet_crash_hub(&s->f);
        break;
    case 8:
        if (chance(4) == 0 && anybody_there()) pass(400 * SK_S);
        break;
    default:
        for (int i = 0; i < DEVICES; i++) come(&s->devices[i]);
    }
    for (int i = 0; i < DEVICES; i++)
        if (chance(2)) send_some(&s->devices[i]);
    pass(chance(60) * SK_MS);
}

static bool all_acknowledged(void) {
    for (int i = 0; i < DEVICES; i++)
        if (first_open(&s->devices[i]) < s->devices[i].next) return false;
    return true;
}

/* Everybody may come and ends what it has begun. */
static void come_to_an_end(void) {
    for (int i = 0; i < DEVICES; i++) {
        struct device *d = &s->devices[i];
        if (d->rival) rival_goes(d);
        if (!d->usable) enable(d);
    }
    for (int i = 0; i < 400 && !(i > 10 && all_acknowledged()); i++) {
        keep_connected();
        for (int j = 0; j < DEVICES; j++) {
            struct device *d = &s->devices[j];
            unsigned oldest = first_open(d);
            come(d);
            if (d->phase == THERE && oldest + 1 > d->next) continue;
            send_some(d);
        }
        pass(SK_S);
    }
    assert_true(all_acknowledged());
}

static void read_one(void *arg, const struct sk_message *message) {
    (void)arg;
    struct device *d = find(message->device);
    int64_t n;
    struct sk_span body = message->body;
    assert_true(sk_span_starts(body, message->device));
    assert_int_equal(sk_span_to_int(sk_span_skip(body, message->device.n + 1), &n), SK_OK);
    if (d->stored[n]++ == 0) {
        if (n != d->newest) fail_msg("%s: %d is stored before %u", d->name, (int)n, d->newest);
        d->newest = (unsigned)n + 1;
    }
}

static unsigned check(uint64_t seed) {
    unsigned count = 0;
    fleet_read_events(&s->f, read_one, NULL);
    for (int i = 0; i < DEVICES; i++) {
        struct device *d = &s->devices[i];
        for (unsigned n = 0; n < NUMBERS; n++) {
            if (d->acknowledged[n] && d->stored[n] == 0)
                fail_msg("seed %llu: %s: %u was acknowledged and is not stored",
                         (unsigned long long)seed, d->name, n);
            if (d->stored[n] > d->sends[n])
                fail_msg("seed %llu: %s: %u was sent %u times and is stored %u times",
                         (unsigned long long)seed, d->name, n, d->sends[n], d->stored[n]);
            count += d->acknowledged[n];
        }
    }
    return count;
}

static void run_story(uint64_t seed) {
    s = SK_NEW(struct story);
    printf("seed %llu\n", (unsigned long long)seed);
    fleet_new_hub(&s->f, seed);
    for (int i = 0; i < DEVICES; i++) {
        struct device *d = &s->devices[i];
        snprintf(d->name, sizeof d->name, "d%d", i);
        fleet_put_device(&s->f, d->name, "");
        d->usable = true;
        d->link.arg = d;
        d->link.on_verdict = on_verdict;
        d->link.on_credit = on_credit;
        d->link.on_gone = on_gone;
    }
    for (int i = 0; i < STEPS; i++) step();
    come_to_an_end();
    assert_true(check(seed) > 100);
    s->break_expected = true;
    raw_amqp_free(&s->c);
    sk_sim_run(s->f.sim, SK_S);
    assert_int_equal(sk_hub_counts(sk_hub_server_hub(s->f.hub, 0)).sessions, 0);
    fleet_free(&s->f);
    free(s);
}

TEST(devices_come_fail_and_go_on_one_connection_and_the_others_go_on) {
    struct seeds seeds = seeds_of("SEEDS", 40);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) run_story(seed);
    if (seeds.one) return;
    printf("%u breaks, %u detached, %u of them expired, %u tokens and %u links refused\n", breaks,
           detached, expired, refused_tokens, refused_links);
    assert_true(breaks > 20 && detached > 50 && expired > 5 && refused_tokens > 50 &&
                refused_links > 50);
}
