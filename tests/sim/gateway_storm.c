/* Reconnect storms: 5,000 clients of all heads come at once, the hub restarts and loses power under
 * them, the network goes; all come back, nothing acknowledged is lost, and when they have gone the
 * gateway holds nothing. */
#include "support/raw_amqp.h"
#include "support/test.h"

enum { CLIENTS = 5000, ROUNDS = 4, RETRY_MAX_S = 20 };

enum kind { MQTT, MQTT_WS, AMQP, AMQP_WS, HTTPS, KINDS };

struct client {
    enum kind kind;
    char name[8];
    unsigned wanted;       /* messages to be sent, numbered from 0 */
    unsigned acknowledged; /* so far; one is sent after the other */
    bool under_way;
    unsigned sends[ROUNDS], stored[ROUNDS];
    uint64_t retry_ns; /* AMQP, HTTPS: not before */
    struct sk_device_client *mqtt;
    struct raw_amqp amqp;
    struct raw_link link;
    struct sk_http_client *http;
};

static struct story {
    struct fleet f;
    struct client clients[CLIENTS];
    unsigned made;
} * s;

static void on_verdict(struct client *c, bool taken) {
    c->under_way = false;
    if (taken) c->acknowledged++;
}

static bool has_more(struct client *c, char body[16]) {
    if (c->under_way || c->acknowledged >= c->wanted) return false;
    c->under_way = true;
    c->sends[c->acknowledged]++;
    snprintf(body, 16, "%u", c->acknowledged);
    return true;
}

static void back_off(struct client *c) {
    c->retry_ns = sk_io_now(s->f.field_io) + sk_sim_chance(s->f.sim, RETRY_MAX_S * SK_S);
}

static bool may_retry(const struct client *c) {
    return sk_io_now(s->f.field_io) >= c->retry_ns;
}

/* ---- MQTT: the product's own client, which comes back by itself ---- */

static void on_mqtt_sent(void *arg, enum sk_status status) {
    on_verdict(arg, status == SK_OK);
}

static void drive_mqtt(struct client *c) {
    static const struct sk_device_events none = {0};
    char body[16];
    if (c->mqtt == NULL)
        c->mqtt = sk_device_client_new(
            s->f.field_io, &(struct sk_device_client_options){.host = "hub.test",
                                                              .port = 8883,
                                                              .websocket = c->kind == MQTT_WS,
                                                              .hub_host = SK_SPAN("hub.test"),
                                                              .device_id = sk_span_z(c->name),
                                                              .key = SK_SPAN(FLEET_KEY),
                                                              .retry_max_ms = RETRY_MAX_S * 1000,
                                                              .events = &none});
    if (!has_more(c, body)) return;
    struct sk_message message = {.body = sk_span_z(body)};
    if (sk_device_client_send(c->mqtt, &message, on_mqtt_sent, c)) on_verdict(c, false);
}

/* ---- AMQP ---- */

static void on_amqp_verdict(struct raw_link *link, void *data, bool accepted) {
    (void)data;
    on_verdict(link->arg, accepted);
}

static void on_amqp_gone(struct raw_link *link) {
    ((struct client *)link->arg)->under_way = false;
    if (link->condition[0])
        fail_msg("%s: %s %s", ((struct client *)link->arg)->name, link->condition, link->text);
}

static void on_token(struct raw_amqp *amqp, struct sk_span id, int status) {
    struct client *c = amqp->arg;
    char address[64];
    (void)id;
    if (status != 200) fail_msg("%s: $cbs says %d", c->name, status);
    snprintf(address, sizeof address, "/devices/%s/messages/events", c->name);
    raw_link_begin(amqp, &c->link,
                   (struct sk_amqp_link_options){.address = address, .sender = true});
}

static void on_cbs_credit(struct raw_link *link) {
    struct client *c = link->connection->arg;
    char scope[64];
    link->on_credit = NULL;
    snprintf(scope, sizeof scope, "hub.test/devices/%s", c->name);
    raw_amqp_put_token(link->connection, "id", scope, NULL, NULL, 86400);
}

static void drive_amqp(struct client *c) {
    char body[16];
    if (c->amqp.amqp && c->amqp.stream == NULL) {
        raw_amqp_free(&c->amqp);
        back_off(c);
    }
    if (c->amqp.amqp == NULL) {
        if (!may_retry(c)) return;
        raw_amqp_dial(&c->amqp, &s->f, &(struct raw_amqp_options){.websocket = c->kind == AMQP_WS});
        c->amqp.arg = c;
        c->amqp.on_token = on_token;
        c->amqp.cbs_out.on_credit = on_cbs_credit;
        raw_amqp_open_cbs(&c->amqp);
        c->link =
            (struct raw_link){.arg = c, .on_verdict = on_amqp_verdict, .on_gone = on_amqp_gone};
    }
    if (c->link.amqp == NULL || sk_amqp_link_credit(c->link.amqp) <= 0 || !has_more(c, body))
        return;
    raw_link_send(&c->link, sk_span_z(body));
}

/* ---- HTTPS ---- */

static void on_answer(void *arg, enum sk_status status, const struct sk_http_parser *answer) {
    struct client *c = arg;
    bool taken = status == SK_OK && answer->status == 204;
    if (status == SK_OK && !taken && answer->status < 500)
        fail_msg("%s: HTTP %u", c->name, answer->status);
    if (!taken) back_off(c);
    on_verdict(c, taken);
}

static void drive_https(struct client *c) {
    char body[16], target[64], scope[64];
    struct sk_buffer token = {0};
    if (c->http == NULL)
        assert_int_equal(sk_http_client_new(s->f.field_io,
                                            &(struct sk_http_client_options){
                                                .to = {.host = "hub.test", .port = 8883},
                                                .host_header = "hub.test"},
                                            &c->http),
                         SK_OK);
    if (!may_retry(c) || !has_more(c, body)) return;
    snprintf(scope, sizeof scope, "hub.test/devices/%s", c->name);
    snprintf(target, sizeof target, "/devices/%s/messages/events?api-version=2021-04-12", c->name);
    sk_sas_create(&token, sk_span_z(scope), SK_SPAN(FLEET_KEY), SK_NONE,
                  sk_io_wall(s->f.field_io) / 1000000 + 3600);
    struct sk_http_pair header = {"Authorization", sk_buffer_span(&token)};
    sk_http_client_send(c->http, &(struct sk_http_ask){.method = SK_HTTP_POST,
                                                       .target = sk_span_z(target),
                                                       .headers = &header,
                                                       .header_count = 1,
                                                       .body = sk_span_z(body),
                                                       .done = on_answer,
                                                       .arg = c});
    sk_buffer_free(&token);
}

/* ---- all of them ---- */

static void drive(struct client *c) {
    if (c->kind == HTTPS)
        drive_https(c);
    else if (c->kind == AMQP || c->kind == AMQP_WS)
        drive_amqp(c);
    else
        drive_mqtt(c);
}

static void go(struct client *c) {
    if (c->mqtt) sk_device_client_free(c->mqtt);
    if (c->http) sk_http_client_free(c->http);
    if (c->amqp.amqp && c->amqp.stream) sk_stream_abort(c->amqp.stream);
}

static uint64_t sessions(void) {
    return sk_hub_counts(sk_hub_server_hub(s->f.hub, 0)).sessions;
}

static uint64_t connections(void) {
    return sk_gateway_counts(sk_hub_server_gateway(s->f.hub))->connections;
}

/* Everybody sends one more message; true once all are acknowledged and all sessions are there. */
static bool round_of(unsigned round, unsigned seconds) {
    for (unsigned i = 0; i < CLIENTS; i++) s->clients[i].wanted = round + 1;
    for (unsigned i = 0; i < 2 * seconds; i++) {
        unsigned there = 0, expected = 0;
        for (unsigned j = 0; j < CLIENTS; j++) {
            struct client *c = &s->clients[j];
            drive(c);
            there += c->acknowledged == c->wanted;
            expected += c->kind != HTTPS;
        }
        sk_sim_run(s->f.sim, SK_S / 2);
        if (there == CLIENTS && sessions() == expected) return true;
    }
    return false;
}

static void on_made(struct sk_request *request, const struct sk_answer *answer) {
    (void)request;
    assert_null(answer->error);
    s->made++;
}

static bool all_made(void *arg) {
    (void)arg;
    return s->made == CLIENTS;
}

static void make_devices(void) {
    struct sk_backend *backend = sk_hub_backend(sk_hub_server_hub(s->f.hub, 0));
    struct sk_request *requests = sk_alloc(CLIENTS * sizeof *requests);
    for (unsigned i = 0; i < CLIENTS; i++) {
        static const enum kind kinds[] = {MQTT, MQTT,    MQTT,    AMQP,  AMQP,
                                          AMQP, MQTT_WS, AMQP_WS, HTTPS, HTTPS};
        struct client *c = &s->clients[i];
        char body[512];
        c->kind = kinds[i % 10];
        snprintf(c->name, sizeof c->name, "d%u", i);
        snprintf(body, sizeof body, "{\"deviceId\":\"%s\"," FLEET_SAS "}", c->name);
        requests[i] = (struct sk_request){.op = SK_OP_IDENTITY_PUT,
                                          .device = sk_span_z(c->name),
                                          .body = json_loads(body, 0, NULL),
                                          .done = on_made};
        backend->ops->submit(backend, &requests[i]);
    }
    assert_true(sk_sim_run_until(s->f.sim, 600 * SK_S, all_made, NULL));
    for (unsigned i = 0; i < CLIENTS; i++) json_decref(requests[i].body);
    free(requests);
}

static void read_one(void *arg, const struct sk_message *message) {
    (void)arg;
    int64_t client, n;
    assert_int_equal(sk_span_to_int(sk_span_skip(message->device, 1), &client), SK_OK);
    assert_int_equal(sk_span_to_int(message->body, &n), SK_OK);
    assert_in_range(n, 0, ROUNDS - 1);
    s->clients[client].stored[n]++;
}

static void run_story(uint64_t seed) {
    s = SK_NEW(struct story);
    printf("seed %llu\n", (unsigned long long)seed);
    fleet_new_hub(&s->f, seed);
    make_devices();
    sk_sim_run(s->f.sim, 60 * SK_S); /* idle connections of the service are gone */
    assert_int_equal(connections(), 0);

    assert_true(round_of(0, 60));
    for (unsigned i = 0; i < CLIENTS; i++) s->clients[i].wanted = 2;
    for (unsigned i = 0; i < CLIENTS / 2; i++) drive(&s->clients[i]);
    fleet_stop_hub(&s->f);
    sk_sim_run(s->f.sim, 10 * SK_S);
    fleet_start_hub(&s->f);
    assert_true(round_of(1, 300));

    for (unsigned i = 0; i < CLIENTS; i++) s->clients[i].wanted = 3;
    for (unsigned i = CLIENTS / 3; i < CLIENTS; i++) drive(&s->clients[i]);
    sk_sim_run(s->f.sim, sk_sim_chance(s->f.sim, 20) * SK_MS);
    fleet_crash_hub(&s->f);
    assert_true(round_of(2, 300));

    sk_sim_partition(s->f.hub_io, s->f.field_io, true);
    assert_false(round_of(3, 60));
    sk_sim_partition(s->f.hub_io, s->f.field_io, false);
    assert_true(round_of(3, 400));

    fleet_read_events(&s->f, read_one, NULL);
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client *c = &s->clients[i];
        for (unsigned n = 0; n < ROUNDS; n++) {
            assert_true(c->stored[n] >= 1);
            /* MQTT's client sends again by itself what was not acknowledged */
            if (c->kind != MQTT && c->kind != MQTT_WS) assert_true(c->stored[n] <= c->sends[n]);
        }
    }
    for (unsigned i = 0; i < CLIENTS; i++) go(&s->clients[i]);
    sk_sim_run(s->f.sim, 30 * SK_S);
    assert_int_equal(sessions(), 0);
    assert_int_equal(connections(), 0);
    for (unsigned i = 0; i < CLIENTS; i++) raw_amqp_free(&s->clients[i].amqp);
    fleet_free(&s->f);
    free(s);
}

TEST(five_thousand_clients_come_back_through_restart_crash_and_partition) {
    struct seeds seeds = seeds_of("SEEDS", 1);
    for (uint64_t seed = seeds.first; seed <= seeds.last; seed++) run_story(seed);
}
