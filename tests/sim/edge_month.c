/* A month of an edge with ten children: networks that go, machines that lose power, devices that
 * come, go and get new keys and certificates, clocks that jump. What the edge has acknowledged
 * reaches the cloud once and in order, and twins agree in the end. MONTH_SEEDS (how many), SEED
 * (one alone) and MONTH_MESSAGES change its length. */
#include <stdio.h>

#include "support/fleet.h"
#include "support/test.h"
#include "trust/x509.h"
#include "trust/x509_chain.h"

#define DAY_S 86400ull
#define NEW_KEY "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA="

enum { CHILDREN = 10, FIRST = 7, DAYS = 30, CERTIFICATE_DAYS = 20, RENEWED_AFTER_DAYS = 10 };

struct month;

struct child {
    struct month *month;
    char name[16];
    const char *key; /* or a certificate; while that is renewed, the next one */
    struct certificate {
        struct sk_tls *tls; /* NULL: none */
        char thumbprint[65];
    } certificate, next_certificate;
    unsigned renew_day, renewals;
    struct sk_device_client *client; /* NULL: not made yet, or removed */
    bool removed;
    struct sk_timer timer;
    uint64_t to_send, sent, acknowledged;
    uint64_t next, lost, repeated, number; /* as the cloud has them */
    int desired, heard, reported, taken;
};

struct month {
    struct fleet fleet;
    uint64_t seed, period_ns;
    char scope[100];
    struct sk_buffer edge_certificate, edge_key;
    struct sk_tls_options edge_tls;
    struct child children[CHILDREN];
};

/* ---- a child ---- */

static void on_sent(void *arg, enum sk_status status) {
    struct child *child = arg;
    if (status == SK_OK) child->acknowledged++;
}

static void on_reported(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                        uint64_t version) {
    struct child *child = arg;
    (void)body, (void)version;
    if (status == SK_OK && code == 204) child->taken = child->reported;
}

static void send_next(struct sk_timer *timer) {
    struct child *child = SK_CONTAINER(timer, struct child, timer);
    char body[32];
    snprintf(body, sizeof body, "%llu", (unsigned long long)child->sent);
    struct sk_message message = {.body = sk_span_z(body)};
    if (sk_device_client_send(child->client, &message, on_sent, child) == SK_OK) child->sent++;
    if (child->sent % 20 == 10) {
        snprintf(body, sizeof body, "{\"n\":%d}", ++child->reported);
        sk_device_client_report(child->client, sk_span_z(body), on_reported, child);
    }
    if (child->sent < child->to_send)
        sk_timer_start(timer->io, timer, child->month->period_ns, send_next);
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    struct child *child = arg;
    json_t *document = json_loadb(patch.p, patch.n, 0, NULL);
    const json_t *value = json_object_get(document, "v");
    (void)version;
    if (value) child->heard = (int)json_integer_value(value);
    json_decref(document);
}

static void got_twin(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                     uint64_t version) {
    struct child *child = arg;
    (void)version;
    if (status || code != 200) return;
    json_t *twin = json_loadb(body.p, body.n, 0, NULL);
    const json_t *value = json_object_get(json_object_get(twin, "desired"), "v");
    if (value) child->heard = (int)json_integer_value(value);
    json_decref(twin);
}

/* What has changed meanwhile it asks for, as the SDKs do. */
static void on_connected(void *arg, bool session_present) {
    struct child *child = arg;
    (void)session_present;
    sk_device_client_get_twin(child->client, got_twin, child);
}

static const struct sk_device_events events = {.connected = on_connected, .desired = on_desired};

static void connect_child(struct child *child) {
    struct sk_tls *tls = child->certificate.tls;
    child->client =
        sk_device_client_new(child->month->fleet.field_io,
                             &(struct sk_device_client_options){.host = "edge.test",
                                                                .port = tls ? 8884 : 8883,
                                                                .tls = tls,
                                                                .hub_host = SK_SPAN("hub.test"),
                                                                .device_id = sk_span_z(child->name),
                                                                .key = sk_span_z(child->key),
                                                                .subscriptions = SK_SUB_DESIRED,
                                                                .keep_alive_s = 600,
                                                                .events = &events,
                                                                .arg = child});
}

/* The service's connection may be to a hub that has crashed since: it is asked until it answers. */
static void ask(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                bool update, unsigned status) {
    for (int i = 0; i < 8; i++) {
        fleet_send(f, method, path, body, update || method != SK_HTTP_PUT);
        if (f->status == status || (f->status && f->status < 500)) break;
    }
    assert_int_equal(f->status, status);
}

static void call(struct fleet *f, enum sk_http_method method, const char *path, const char *body,
                 unsigned status) {
    ask(f, method, path, body, false, status);
}

/* ---- certificates ---- */

static void make_pair(const struct month *m, const char *name, enum sk_x509_use use, int64_t days,
                      struct sk_buffer *certificate, struct sk_buffer *key) {
    struct sk_x509_request request = {
        .use = use,
        .common_name = sk_span_z(name),
        .path_length = -1,
        .not_before_s = 0, /* the edge's clock is ten years behind for a while */
        .not_after_s = sk_io_wall(m->fleet.hub_io) / 1000000 + days * (int64_t)DAY_S};
    assert_int_equal(sk_x509_make(&request, certificate, key), SK_OK);
}

static struct certificate make_certificate(const struct child *child) {
    struct certificate made;
    struct sk_buffer pem = {0}, key = {0}, der = {0};
    struct sk_x509_leaf leaf;
    char reason[256];
    make_pair(child->month, child->name, SK_X509_CLIENT, CERTIFICATE_DAYS, &pem, &key);
    assert_int_equal(sk_x509_der(sk_buffer_span(&pem), &der), SK_OK);
    assert_int_equal(sk_x509_read(sk_buffer_span(&der), &leaf), SK_OK);
    snprintf(made.thumbprint, sizeof made.thumbprint, "%s", leaf.sha256);
    struct sk_tls_options options = {.certificate_pem = sk_buffer_span(&pem),
                                     .key_pem = sk_buffer_span(&key)};
    if (sk_tls_new(child->month->fleet.field_io, &options, &made.tls, reason))
        fail_msg("%s", reason);
    sk_buffer_free(&pem);
    sk_buffer_free(&key);
    sk_buffer_free(&der);
    return made;
}

static void put_child(struct child *child, const char *authentication, bool update) {
    char path[64], body[700];
    snprintf(path, sizeof path, "/devices/%s", child->name);
    snprintf(body, sizeof body, "{\"deviceId\":\"%s\",\"deviceScope\":\"%s\",%s}", child->name,
             child->month->scope, authentication);
    ask(&child->month->fleet, SK_HTTP_PUT, path, body, update, 200);
}

static void put_thumbprints(struct child *child, const char *primary, const char *secondary) {
    char text[300];
    snprintf(text, sizeof text,
             "\"authentication\":{\"type\":\"selfSigned\",\"x509Thumbprint\":{"
             "\"primaryThumbprint\":\"%s\",\"secondaryThumbprint\":\"%s\"}}",
             primary, secondary);
    put_child(child, text, secondary[0] != 0);
}

/* The next one beside that in use; the child comes again with it when the edge can know it. */
static void renew_certificate(struct month *m, struct child *child) {
    if (child->next_certificate.tls == NULL) {
        child->next_certificate = make_certificate(child);
        put_thumbprints(child, child->next_certificate.thumbprint, child->certificate.thumbprint);
    }
    sk_sim_run(m->fleet.sim, 600 * SK_S);
    if (!sk_edge_hub_counts(m->fleet.edge).upstream_connected ||
        sk_device_client_waiting(child->client))
        return; /* another day */
    sk_device_client_free(child->client);
    sk_tls_free(child->certificate.tls);
    child->certificate = child->next_certificate;
    child->next_certificate.tls = NULL;
    child->renew_day += RENEWED_AFTER_DAYS;
    child->renewals++;
    connect_child(child);
}

static void add_child(struct month *m, size_t i, unsigned day) {
    struct child *child = &m->children[i];
    snprintf(child->name, sizeof child->name, "child%zu", i);
    child->month = m;
    if (i % 5 == 2) { /* two of them prove themselves by certificates */
        child->certificate = make_certificate(child);
        child->renew_day = day + RENEWED_AFTER_DAYS;
        put_thumbprints(child, child->certificate.thumbprint, "");
    } else {
        child->key = FLEET_KEY;
        put_child(child, FLEET_SAS, false);
    }
    connect_child(child);
    sk_timer_start(m->fleet.field_io, &child->timer, (1 + sk_sim_chance(m->fleet.sim, 3600)) * SK_S,
                   send_next);
}

static void remove_child(struct month *m, size_t i) {
    struct child *child = &m->children[i];
    char path[64];
    snprintf(path, sizeof path, "/devices/%s", child->name);
    call(&m->fleet, SK_HTTP_DELETE, path, "", 204);
    sk_timer_stop(&child->timer);
    sk_device_client_free(child->client);
    child->client = NULL;
    child->removed = true;
}

/* Another pair of keys; the child comes again with it. */
static void rotate_keys(struct month *m, size_t i) {
    struct child *child = &m->children[i];
    char path[64], body[600];
    if (child->key == NULL || sk_device_client_waiting(child->client)) return;
    const char *key = child->key[0] == 'A' ? NEW_KEY : FLEET_KEY;
    snprintf(path, sizeof path, "/devices/%s", child->name);
    snprintf(body, sizeof body,
             "{\"deviceId\":\"%s\",\"deviceScope\":\"%s\",\"authentication\":{\"type\":\"sas\","
             "\"symmetricKey\":{\"primaryKey\":\"%s\",\"secondaryKey\":\"%s\"}}}",
             child->name, m->scope, key, key);
    fleet_send(&m->fleet, SK_HTTP_PUT, path, body, true);
    if (m->fleet.status != 200) return;
    /* While the cloud is away from the edge the old key opens it, and the new one does not. */
    sk_sim_run(m->fleet.sim, 600 * SK_S);
    if (!sk_edge_hub_counts(m->fleet.edge).upstream_connected ||
        sk_device_client_waiting(child->client)) {
        snprintf(body, sizeof body, "{\"deviceId\":\"%s\",\"deviceScope\":\"%s\"," FLEET_SAS "}",
                 child->name, m->scope);
        child->key = FLEET_KEY;
        call(&m->fleet, SK_HTTP_PATCH, "/twins/edge1", "{}", 200); /* a fresh connection */
        fleet_send(&m->fleet, SK_HTTP_PUT, path, body, true);
        return;
    }
    child->key = key;
    sk_device_client_free(child->client);
    connect_child(child);
}

/* ---- what happens ---- */

static size_t some_child(struct month *m) {
    size_t i;
    do i = sk_sim_chance(m->fleet.sim, CHILDREN);
    while (m->children[i].client == NULL);
    return i;
}

static void change_twin(struct month *m) {
    struct child *child = &m->children[some_child(m)];
    char path[64], body[100];
    snprintf(path, sizeof path, "/twins/%s", child->name);
    snprintf(body, sizeof body, "{\"properties\":{\"desired\":{\"v\":%d}}}", ++child->desired);
    call(&m->fleet, SK_HTTP_PATCH, path, body, 200);
}

static void jump_back_for_a_while(struct month *m) {
    const int64_t ten_years_us = 10ll * 365 * 86400 * 1000000;
    sk_sim_clock_jump(m->fleet.edge_io, -ten_years_us);
    sk_sim_run(m->fleet.sim, 6 * 3600 * SK_S);
    sk_sim_clock_jump(m->fleet.edge_io, ten_years_us);
}

static void something(struct month *m) {
    struct fleet *f = &m->fleet;
    switch (sk_sim_chance(f->sim, 7)) {
    case 0: fleet_crash_hub(f); break;
    case 1: fleet_crash_edge(f); break;
    case 2: sk_sim_drop_connections(f->edge_io); break;
    case 3:
        fleet_stop_edge(f);
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 3600) * SK_S);
        fleet_start_edge(f);
        break;
    default:
        sk_sim_partition(f->edge_io, f->hub_io, true);
        sk_sim_run(f->sim, sk_sim_chance(f->sim, 40000) * SK_S);
        if (sk_sim_chance(f->sim, 2)) change_twin(m);
        if (sk_sim_chance(f->sim, 3) == 0) fleet_crash_edge(f);
        sk_sim_partition(f->edge_io, f->hub_io, false);
        break;
    }
}

static void live(struct month *m) {
    struct fleet *f = &m->fleet;
    for (unsigned day = 0; day < DAYS; day++) {
        uint64_t ends = sk_io_now(f->field_io) + DAY_S * SK_S;
        change_twin(m);
        if (day == 5 || day == 11 || day == 17) add_child(m, FIRST + (day - 5) / 6, day);
        if (day == 14) remove_child(m, 3);
        if (day == 8) jump_back_for_a_while(m);
        if (day % 9 == 7) rotate_keys(m, some_child(m));
        for (size_t i = 0; i < CHILDREN; i++)
            if (m->children[i].certificate.tls && day >= m->children[i].renew_day)
                renew_certificate(m, &m->children[i]);
        something(m);
        if (sk_io_now(f->field_io) < ends) sk_sim_run(f->sim, ends - sk_io_now(f->field_io));
    }
}

/* ---- the end ---- */

static bool all_forwarded(void *arg) {
    struct month *m = arg;
    for (size_t i = 0; i < CHILDREN; i++) {
        const struct child *child = &m->children[i];
        if (child->client && child->acknowledged < child->to_send) return false;
    }
    return sk_edge_hub_counts(m->fleet.edge).queue_upstream == 0;
}

static void note(void *arg, const struct sk_message *message) {
    struct month *m = arg;
    int64_t body, number;
    struct child *child = NULL;
    for (size_t i = 0; i < CHILDREN; i++)
        if (sk_span_is(message->device, m->children[i].name)) child = &m->children[i];
    assert_non_null(child);
    assert_int_equal(sk_span_to_int(message->body, &body), SK_OK);
    /* A child that saw no PUBACK sends again; what the edge forwards comes once for each number. */
    if ((uint64_t)body == child->next)
        child->next++;
    else if ((uint64_t)body > child->next)
        child->lost++;
    struct sk_span text = message->system[SK_SYS_EDGE_NUMBER];
    text = sk_span_skip(text, sk_span_find(text, ':') + 1);
    assert_int_equal(sk_span_to_int(text, &number), SK_OK);
    if ((uint64_t)number <= child->number) child->repeated++;
    child->number = (uint64_t)number;
}

static void check_twin(struct month *m, struct child *child) {
    char path[64];
    snprintf(path, sizeof path, "/twins/%s", child->name);
    call(&m->fleet, SK_HTTP_GET, path, "", 200);
    json_t *twin = json_loads(m->fleet.answer, 0, NULL);
    const json_t *reported = json_object_get(json_object_get(twin, "properties"), "reported");
    int n = (int)json_integer_value(json_object_get(reported, "n"));
    json_decref(twin);
    if (n < child->taken || child->heard != child->desired)
        fail_msg("seed %llu, %s: reported %d of %d, heard %d of %d", (unsigned long long)m->seed,
                 child->name, n, child->taken, child->heard, child->desired);
}

static void check(struct month *m) {
    fleet_read_events(&m->fleet, note, m);
    for (size_t i = 0; i < CHILDREN; i++) {
        struct child *child = &m->children[i];
        if (child->lost || child->repeated || (!child->removed && child->next < child->to_send))
            fail_msg("seed %llu, %s: %llu of %llu in order, lost %llu, repeated %llu",
                     (unsigned long long)m->seed, child->name, (unsigned long long)child->next,
                     (unsigned long long)child->to_send, (unsigned long long)child->lost,
                     (unsigned long long)child->repeated);
        if (child->client) check_twin(m, child);
    }
}

static uint64_t setting(const char *name, uint64_t otherwise) {
    int64_t value;
    const char *text = getenv(name);
    return text && sk_span_to_int(sk_span_z(text), &value) == SK_OK ? (uint64_t)value : otherwise;
}

static void begin(struct month *m, uint64_t seed) {
    uint64_t each = setting("MONTH_MESSAGES", 3000) / CHILDREN;
    *m = (struct month){.seed = seed, .period_ns = 12 * DAY_S * SK_S / each};
    fleet_over(seed % 2 ? "mqtt" : "amqp");
    fleet_new(&m->fleet, seed, FLEET_ROUTES_UP);
    make_pair(m, "edge.test", SK_X509_SERVER, 3650, &m->edge_certificate, &m->edge_key);
    m->edge_tls = (struct sk_tls_options){.certificate_pem = sk_buffer_span(&m->edge_certificate),
                                          .key_pem = sk_buffer_span(&m->edge_key),
                                          .server = true};
    fleet_stop_edge(&m->fleet);
    m->fleet.edge_tls = &m->edge_tls;
    fleet_start_edge(&m->fleet);
    fleet_call(&m->fleet, SK_HTTP_GET, "/devices/edge1", "");
    json_t *edge = json_loads(m->fleet.answer, 0, NULL);
    snprintf(m->scope, sizeof m->scope, "%s",
             json_string_value(json_object_get(edge, "deviceScope")));
    json_decref(edge);
    for (size_t i = 0; i < CHILDREN; i++) m->children[i].to_send = each;
    for (size_t i = 0; i < FIRST; i++) add_child(m, i, 0);
}

static void end(struct month *m) {
    for (size_t i = 0; i < CHILDREN; i++) {
        sk_timer_stop(&m->children[i].timer);
        sk_device_client_free(m->children[i].client);
        sk_tls_free(m->children[i].certificate.tls);
        sk_tls_free(m->children[i].next_certificate.tls);
    }
    fleet_free(&m->fleet);
    sk_buffer_free(&m->edge_certificate);
    sk_buffer_free(&m->edge_key);
}

TEST(a_month_of_faults_loses_and_repeats_nothing_and_twins_agree) {
    struct seeds seeds = seeds_of("MONTH_SEEDS", 2);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) {
        struct month m;
        begin(&m, seed);
        live(&m);
        if (!sk_sim_run_until(m.fleet.sim, 2 * DAY_S * SK_S, all_forwarded, &m))
            fail_msg("seed %llu: %llu wait", (unsigned long long)seed,
                     (unsigned long long)sk_edge_hub_counts(m.fleet.edge).queue_upstream);
        sk_sim_run(m.fleet.sim, 600 * SK_S);
        check(&m);
        assert_true(m.children[2].renewals >= 1 && m.children[7].renewals >= 1);
        end(&m);
    }
}

/* Not a packet passes for thirty days, while the clock is ten years wrong for a while. */
TEST(a_month_without_the_cloud_loses_nothing) {
    struct month m;
    begin(&m, 1);
    sk_sim_run(m.fleet.sim, 4000 * SK_S);
    sk_sim_partition(m.fleet.edge_io, m.fleet.hub_io, true);
    sk_sim_run(m.fleet.sim, 5 * DAY_S * SK_S);
    jump_back_for_a_while(&m);
    sk_sim_run(m.fleet.sim, 10 * DAY_S * SK_S);
    fleet_crash_edge(&m.fleet);
    sk_sim_run(m.fleet.sim, 15 * DAY_S * SK_S);
    sk_sim_partition(m.fleet.edge_io, m.fleet.hub_io, false);
    for (size_t i = FIRST; i < CHILDREN; i++) m.children[i].removed = true; /* never made */
    assert_true(sk_sim_run_until(m.fleet.sim, DAY_S * SK_S, all_forwarded, &m));
    sk_sim_run(m.fleet.sim, 600 * SK_S);
    check(&m);
    end(&m);
}
