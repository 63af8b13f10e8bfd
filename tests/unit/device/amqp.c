/* Device clients that share an AMQP connection, on the simulated world, against a small AMQP server
 * whose behaviour each test scripts. */
#include <stdio.h>

#include "device/client.h"
#include "device/mux.h"
#include "io/sim/sim.h"
#include "wire/amqp.h"
#include "support/test.h"

#define MINUTE (60 * SK_S)

/* --- the server --- */

enum { LINKS_MAX = 64, TEXTS_MAX = 400 };

struct server_link {
    struct sk_amqp_link *link; /* NULL: gone */
    char address[100], chain[60], pair[60];
    bool sends;
};

static struct server {
    struct sk_stream *stream;
    struct sk_amqp *amqp;
    struct sk_arena arena;
    struct sk_timer tick;
    unsigned connections, tokens, attaches_before_token;
    char audience[100], host[60];
    struct server_link links[LINKS_MAX];
    size_t link_count;
    /* bodies of telemetry, in the order of coming, each with a space behind */
    char texts[TEXTS_MAX];
    enum sk_amqp_outcome outcome; /* of what was sent to a client */
    unsigned outcomes;
    char answer_id[40], operations[200];
    int64_t answer_status;
    /* the script */
    int token_code;             /* 0: 200 */
    const char *refuse;         /* links whose address contains it, */
    const char *condition;      /* with this condition */
    const char *reject;         /* telemetry with this body, once, */
    const char *reject_because; /* with this condition */
    bool mute, no_dispositions, no_twin;
} server;

static void write_out(void *arg, struct sk_span bytes) {
    (void)arg;
    if (server.stream) sk_stream_write(server.stream, bytes);
}

static void flush(void) {
    if (server.amqp) sk_amqp_flush(server.amqp, write_out, NULL);
}

static void put(struct sk_amqp_link *link, const struct sk_amqp_message *message, bool settled) {
    struct sk_buffer bytes = {0};
    sk_amqp_encode(&bytes, message);
    sk_amqp_send(link, SK_NONE, sk_buffer_span(&bytes), settled, &server);
    sk_buffer_free(&bytes);
}

static struct server_link *find(const char *address, bool sends) {
    for (size_t i = server.link_count; i-- > 0;)
        if (server.links[i].link && server.links[i].sends == sends &&
            strcmp(server.links[i].address, address) == 0)
            return &server.links[i];
    return NULL;
}

static void on_sasl(void *arg, struct sk_span mechanism, struct sk_span response,
                    struct sk_span host) {
    (void)host;
    (void)arg, (void)response;
    assert_true(sk_span_is(mechanism, "ANONYMOUS"));
    sk_amqp_sasl_done(server.amqp, SK_AMQP_SASL_OK);
}

static void on_open(void *arg, struct sk_span host_name) {
    (void)arg;
    snprintf(server.host, sizeof server.host, "%.*s", SK_ARG(host_name));
}

static void property(struct sk_amqp_link *link, const char *name, char *to, size_t size) {
    struct sk_amqp_value value = sk_amqp_link_property(link, name);
    struct sk_arena arena = {0};
    snprintf(to, size, "%.*s", SK_ARG(sk_amqp_text(&value, &arena)));
    sk_arena_free(&arena);
}

static void on_attach(void *arg, struct sk_amqp_link *link) {
    (void)arg;
    struct server_link *own = &server.links[server.link_count++];
    assert_true(server.link_count <= LINKS_MAX);
    *own = (struct server_link){.link = link, .sends = sk_amqp_link_is_sender(link)};
    snprintf(own->address, sizeof own->address, "%.*s", SK_ARG(sk_amqp_link_address(link)));
    property(link, "com.microsoft:auth-chain", own->chain, sizeof own->chain);
    property(link, "com.microsoft:channel-correlation-id", own->pair, sizeof own->pair);
    sk_amqp_link_set_data(link, own);
    if (server.tokens == 0 && strcmp(own->address, "$cbs") != 0) server.attaches_before_token++;
    if (server.refuse && strstr(own->address, server.refuse)) {
        own->link = NULL;
        sk_amqp_refuse(link, &(struct sk_amqp_error){.condition = sk_span_z(server.condition)});
    } else {
        sk_amqp_attach(link, 100);
    }
}

static void on_detach(void *arg, struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    (void)arg, (void)error;
    struct server_link *own = sk_amqp_link_data(link);
    if (own) own->link = NULL;
}

static void take_token(const struct sk_amqp_message *m) {
    const struct sk_amqp_value *name = sk_amqp_find(m->application, m->application_count, "name");
    struct sk_amqp_field code = {SK_SPAN("status-code"),
                                 SK_AMQP_VALUE_INT(server.token_code ? server.token_code : 200)};
    snprintf(server.audience, sizeof server.audience, "%.*s",
             SK_ARG(sk_amqp_text(name, &server.arena)));
    server.tokens++;
    put(find("$cbs", true)->link,
        &(struct sk_amqp_message){
            .correlation_id = m->message_id, .application = &code, .application_count = 1},
        true);
}

static void take_twin(const struct server_link *own, const struct sk_amqp_message *m) {
    struct sk_span operation =
        sk_amqp_text(sk_amqp_find(m->annotations, m->annotation_count, "operation"), &server.arena);
    struct sk_amqp_field fields[] = {{SK_SPAN("status"), SK_AMQP_VALUE_INT(200)},
                                     {SK_SPAN("version"), SK_AMQP_VALUE_LONG(7)}};
    struct sk_span body = SK_SPAN("{\"desired\":{},\"reported\":{}}");
    size_t n = strlen(server.operations);
    snprintf(server.operations + n, sizeof server.operations - n, "%.*s ", SK_ARG(operation));
    if (server.no_twin) return;
    put(find(own->address, true)->link,
        &(struct sk_amqp_message){.correlation_id = m->correlation_id,
                                  .annotations = fields,
                                  .annotation_count = 2,
                                  .data = &body,
                                  .data_count = 1},
        true);
}

static void take_telemetry(struct server_link *own, struct sk_amqp_delivery *delivery,
                           struct sk_span body) {
    if (server.no_dispositions) return;
    if (server.reject && sk_span_is(body, server.reject)) {
        server.reject = NULL;
        sk_amqp_settle(own->link, delivery, SK_AMQP_REJECTED,
                       &(struct sk_amqp_error){.condition = sk_span_z(server.reject_because)});
        return;
    }
    size_t n = strlen(server.texts);
    snprintf(server.texts + n, sizeof server.texts - n, "%.*s ", SK_ARG(body));
    sk_amqp_settle(own->link, delivery, SK_AMQP_ACCEPTED, NULL);
}

static void on_transfer(void *arg, struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                        struct sk_span payload) {
    (void)arg;
    struct server_link *own = sk_amqp_link_data(link);
    struct sk_amqp_message m;
    assert_int_equal(sk_amqp_decode(payload, &server.arena, &m), SK_OK);
    if (strstr(own->address, "/messages/events")) {
        take_telemetry(own, delivery, m.data[0]);
        return;
    }
    if (delivery) sk_amqp_settle(link, delivery, SK_AMQP_ACCEPTED, NULL);
    if (strcmp(own->address, "$cbs") == 0) {
        take_token(&m);
    } else if (strstr(own->address, "/twin")) {
        take_twin(own, &m);
    } else {
        snprintf(server.answer_id, sizeof server.answer_id, "%.*s",
                 SK_ARG(sk_amqp_text(&m.correlation_id, &server.arena)));
        server.answer_status = sk_amqp_find(m.application, m.application_count, "IoThub-status")->i;
    }
}

static void on_outcome(void *arg, struct sk_amqp_link *link, void *data,
                       enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    (void)arg, (void)link, (void)data, (void)error;
    server.outcome = outcome;
    server.outcomes++;
}

static void on_credit(void *arg, struct sk_amqp_link *link) {
    (void)arg, (void)link;
}

static void on_close(void *arg, const struct sk_amqp_error *error) {
    (void)arg, (void)error;
}

static const struct sk_amqp_events server_events = {on_sasl,     on_open,    on_attach, on_detach,
                                                    on_transfer, on_outcome, on_credit, on_close};

/* Says now and then that it lives. */
static void on_tick(struct sk_timer *timer) {
    if (server.amqp && !server.mute) sk_amqp_tick(server.amqp, sk_io_now(timer->io) / SK_MS);
    flush();
    sk_timer_start(timer->io, timer, 10 * SK_S, on_tick);
}

static void end_server(void) {
    struct sk_amqp *amqp = server.amqp;
    server.amqp = NULL;
    if (amqp) sk_amqp_free(amqp);
}

static void server_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)arg;
    if (stream != server.stream || server.mute) return;
    sk_amqp_feed(server.amqp, bytes);
    flush();
}

static void server_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)arg, (void)reason;
    if (stream != server.stream) return;
    server.stream = NULL;
    end_server();
}

static const struct sk_stream_events stream_events = {.on_data = server_data,
                                                      .on_close = server_close};

static void on_accept(void *arg, struct sk_stream *stream) {
    (void)arg;
    end_server();
    server.connections++;
    server.stream = stream;
    server.link_count = 0;
    server.amqp = sk_amqp_new(
        &(struct sk_amqp_options){.server = true, .container = "s", .idle_timeout_ms = 240000},
        &server_events, NULL);
    sk_stream_handle(stream, &stream_events, NULL);
    sk_timer_start(sk_stream_io(stream), &server.tick, 10 * SK_S, on_tick);
}

/* --- the world --- */

static struct sk_sim *sim;
static struct sk_io *hub, *edge;
static struct sk_listener *listener;
static struct sk_device_mux *mux;
static unsigned tokens_made;

static struct device {
    struct sk_device_client *client;
    unsigned connected, disconnected, desired, methods, messages, sent, refused, ended, twins;
    struct sk_client_down down;
    char text[200], name[40], rid[40];
    uint64_t version;
    unsigned code;
    struct sk_delivery delivery;
    unsigned delivery_count;
    bool free_when_connected;
} devices[2];

static void on_connected(void *arg, bool session_present) {
    (void)session_present;
    struct device *d = arg;
    d->connected++;
    if (!d->free_when_connected) return;
    sk_device_client_free(d->client);
    d->client = NULL;
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    struct device *d = arg;
    d->disconnected++;
    d->down = *down;
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    struct device *d = arg;
    d->desired++;
    d->version = version;
    snprintf(d->text, sizeof d->text, "%.*s", SK_ARG(patch));
}

static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    struct device *d = arg;
    d->methods++;
    snprintf(d->name, sizeof d->name, "%.*s", SK_ARG(name));
    snprintf(d->text, sizeof d->text, "%.*s", SK_ARG(payload));
    snprintf(d->rid, sizeof d->rid, "%.*s", SK_ARG(rid));
}

static void on_message(void *arg, const struct sk_message *message, struct sk_delivery delivery) {
    struct device *d = arg;
    d->messages++;
    d->delivery = delivery;
    d->delivery_count = message->c2d->delivery_count;
    snprintf(d->text, sizeof d->text, "%.*s", SK_ARG(message->body));
}

static const struct sk_device_events events = {on_connected, on_disconnected, on_desired, on_method,
                                               on_message};

static void on_sent(void *arg, enum sk_status status) {
    struct device *d = arg;
    if (status == SK_OK)
        d->sent++;
    else if (status == SK_REFUSED)
        d->refused++;
    else
        d->ended++;
}

static void on_twin(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                    uint64_t version) {
    struct device *d = arg;
    d->twins++;
    d->code = status ? 0 : code;
    d->version = version;
    snprintf(d->text, sizeof d->text, "%.*s", SK_ARG(body));
}

static void get_token(struct sk_token_source *source, struct sk_token_ask *ask) {
    (void)source;
    tokens_made++;
    sk_token_answer(ask, SK_OK, SK_SPAN("SharedAccessSignature x"));
}

static struct sk_token_source tokens = {.get = get_token};

static void start_mux(void) {
    mux = sk_device_mux_new(edge, &(struct sk_device_mux_options){.host = "hub",
                                                                  .hub_host = SK_SPAN("hub.local"),
                                                                  .device_id = SK_SPAN("edge"),
                                                                  .module_id = SK_SPAN("$edgeHub"),
                                                                  .tokens = &tokens});
}

static struct device *start(size_t i, const char *id, unsigned subscriptions) {
    struct device *d = &devices[i];
    char chain[40];
    snprintf(chain, sizeof chain, "%s;edge", id);
    d->client = sk_device_client_new(
        edge, &(struct sk_device_client_options){.mux = mux,
                                                 .hub_host = SK_SPAN("hub.local"),
                                                 .device_id = sk_span_z(id),
                                                 .auth_chain = sk_span_z(chain),
                                                 .subscriptions = subscriptions,
                                                 .events = &events,
                                                 .arg = d});
    return d;
}

static void send(struct device *d, const char *body) {
    struct sk_message message = {.body = sk_span_z(body)};
    assert_int_equal(sk_device_client_send(d->client, &message, on_sent, d), SK_OK);
}

static void run(uint64_t ns) {
    sk_sim_run(sim, ns);
}

static int set_up(void **state) {
    (void)state;
    memset(&server, 0, sizeof server);
    memset(devices, 0, sizeof devices);
    tokens_made = 0;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 5});
    hub = sk_sim_node(sim, "hub");
    edge = sk_sim_node(sim, "edge");
    start_mux();
    return sk_listen(hub, &(struct sk_endpoint){.host = "0.0.0.0", .port = 5671}, NULL, on_accept,
                     NULL, &listener) != SK_OK;
}

static int tear_down(void **state) {
    (void)state;
    for (size_t i = 0; i < 2; i++) sk_device_client_free(devices[i].client);
    sk_device_mux_free(mux);
    run(10 * SK_S);
    if (server.stream) sk_stream_abort(server.stream);
    sk_timer_stop(&server.tick);
    sk_listener_close(listener);
    run(10 * SK_S);
    end_server();
    sk_sim_free(sim);
    sk_arena_free(&server.arena);
    return 0;
}

AROUND(set_up, tear_down);

/* --- the tests --- */

TEST(one_connection_and_one_token_carry_all_identities) {
    struct device *a = start(0, "a", 0), *b = start(1, "b b", 0);
    run(5 * SK_S);
    assert_int_equal(server.connections, 1);
    assert_int_equal(server.tokens, 1);
    assert_int_equal(server.attaches_before_token, 0);
    assert_string_equal(server.audience, "hub.local/devices/edge/modules/%24edgeHub");
    assert_string_equal(server.host, "hub.local");
    assert_int_equal(a->connected, 1);
    assert_int_equal(b->connected, 1);
    assert_true(sk_device_client_is_connected(b->client));
    const struct server_link *link = find("/devices/b%20b/messages/events", false);
    assert_non_null(link);
    assert_string_equal(link->chain, "b b;edge");
    send(a, "1");
    send(a, "2");
    send(b, "3");
    run(SK_S);
    assert_string_equal(server.texts, "1 2 3 ");
    assert_int_equal(a->sent, 2);
    assert_int_equal(sk_device_client_waiting(a->client), 0);
}

TEST(a_token_is_renewed_while_it_lives_and_nobody_notices) {
    struct device *a = start(0, "a", 0);
    run(5 * SK_S);
    run(24 * 60 * MINUTE);
    assert_int_equal(server.connections, 1);
    assert_in_range(server.tokens, 24, 34); /* three quarters of an hour each */
    assert_int_equal(a->connected, 1);
    assert_int_equal(a->disconnected, 0);
}

TEST(an_identity_that_is_refused_fails_alone_and_tries_again) {
    server.refuse = "/devices/a/";
    server.condition = "amqp:not-found";
    struct device *a = start(0, "a", SK_SUB_METHODS), *b = start(1, "b", 0);
    send(a, "a1");
    run(10 * SK_S);
    assert_int_equal(a->connected, 0);
    assert_true(a->disconnected >= 1);
    assert_true(a->down.refused);
    assert_int_equal(a->down.reason, SK_REFUSED);
    send(b, "b1");
    run(SK_S);
    assert_string_equal(server.texts, "b1 ");
    assert_int_equal(b->disconnected, 0);
    server.refuse = NULL;
    run(2 * MINUTE);
    assert_int_equal(a->connected, 1);
    assert_string_equal(server.texts, "b1 a1 ");
    assert_int_equal(server.connections, 1);
}

TEST(a_refused_token_is_tried_again_later) {
    server.token_code = 401;
    struct device *a = start(0, "a", 0);
    run(20 * SK_S);
    assert_int_equal(a->connected, 0);
    assert_true(a->disconnected >= 2);
    assert_false(a->down.refused); /* it is not this identity's fault */
    server.token_code = 0;
    run(2 * MINUTE);
    assert_int_equal(a->connected, 1);
}

TEST(a_message_that_can_never_be_taken_holds_up_nobody) {
    server.reject = "2";
    server.reject_because = "amqp:link:message-size-exceeded";
    struct device *a = start(0, "a", 0);
    for (const char *body = "1\0002\0003\0"; *body; body += 2) send(a, body);
    run(10 * SK_S);
    assert_string_equal(server.texts, "1 3 ");
    assert_int_equal(a->sent, 2);
    assert_int_equal(a->refused, 1);
    assert_int_equal(a->disconnected, 0);
}

TEST(a_message_refused_for_now_goes_again_and_no_other_twice) {
    server.reject = "2";
    server.reject_because = "amqp:resource-limit-exceeded";
    struct device *a = start(0, "a", 0), *b = start(1, "b", 0);
    run(5 * SK_S);
    for (const char *body = "1\0002\0003\0"; *body; body += 2) send(a, body);
    run(10 * SK_S);
    assert_string_equal(server.texts, "1 3 2 "); /* the server chose to take the 3 */
    assert_int_equal(a->sent, 3);
    assert_int_equal(a->refused, 0);
    assert_int_equal(a->disconnected, 1);
    assert_false(a->down.refused);
    assert_int_equal(b->disconnected, 0);
}

TEST(a_server_that_settles_nothing_is_left_after_two_minutes) {
    server.no_dispositions = true;
    struct device *a = start(0, "a", 0);
    run(5 * SK_S);
    send(a, "1");
    run(110 * SK_S);
    assert_int_equal(a->disconnected, 0);
    server.no_dispositions = false;
    run(3 * MINUTE);
    assert_int_equal(a->disconnected, 1);
    assert_int_equal(a->down.reason, SK_TIMEOUT);
    assert_string_equal(server.texts, "1 ");
}

TEST(twins_are_read_reported_and_followed) {
    struct device *a = start(0, "a", SK_SUB_DESIRED);
    sk_device_client_get_twin(a->client, on_twin, a);
    run(5 * SK_S);
    assert_string_equal(server.operations, "PUT GET "); /* nothing is missed in between */
    assert_int_equal(a->twins, 1);
    assert_int_equal(a->code, 200);
    assert_string_equal(a->text, "{\"desired\":{},\"reported\":{}}");
    sk_device_client_report(a->client, SK_SPAN("{\"x\":1}"), on_twin, a);
    run(SK_S);
    assert_int_equal(a->twins, 2);
    assert_int_equal(a->version, 7);
    struct sk_span patch = SK_SPAN("{\"speed\":9,\"$version\":12}");
    put(find("/devices/a/twin", true)->link,
        &(struct sk_amqp_message){.data = &patch, .data_count = 1}, true);
    flush();
    run(SK_S);
    assert_int_equal(a->desired, 1);
    assert_int_equal(a->version, 12);
    sk_device_client_subscribe(a->client, 0);
    run(SK_S);
    assert_string_equal(server.operations, "PUT GET PATCH DELETE ");
    assert_string_equal(find("/devices/a/twin", true)->pair, find("/devices/a/twin", false)->pair);
}

TEST(twin_links_come_when_they_are_needed_and_a_silent_twin_times_out) {
    server.no_twin = true;
    struct device *a = start(0, "a", 0);
    run(5 * SK_S);
    assert_null(find("/devices/a/twin", true));
    sk_device_client_get_twin(a->client, on_twin, a);
    run(30 * SK_S);
    assert_non_null(find("/devices/a/twin", true));
    assert_int_equal(a->twins, 0);
    run(40 * SK_S);
    assert_int_equal(a->twins, 1);
    assert_int_equal(a->code, 0);
}

TEST(methods_are_called_and_answered_with_the_id_they_came_with) {
    struct device *a = start(0, "a", SK_SUB_METHODS);
    run(5 * SK_S);
    struct sk_amqp_field name = {SK_SPAN("IoThub-methodname"), SK_AMQP_VALUE_STRING(SK_SPAN("go"))};
    struct sk_span payload = SK_SPAN("[1]");
    struct sk_amqp_message call = {
        .correlation_id = {SK_AMQP_UUID, .text = SK_SPAN("0123456789abcdef")},
        .application = &name,
        .application_count = 1,
        .data = &payload,
        .data_count = 1};
    put(find("/devices/a/methods/deviceBound", true)->link, &call, true);
    flush();
    run(SK_S);
    assert_int_equal(a->methods, 1);
    assert_string_equal(a->name, "go");
    assert_string_equal(a->text, "[1]");
    assert_string_equal(a->rid, "30313233-3435-3637-3839-616263646566");
    sk_device_client_answer(a->client, sk_span_z(a->rid), 201, SK_SPAN("2"));
    run(SK_S);
    assert_string_equal(server.answer_id, a->rid);
    assert_int_equal(server.answer_status, 201);
}

TEST(every_outcome_of_a_message_reaches_the_server) {
    static const struct {
        enum sk_outcome said;
        enum sk_amqp_outcome heard;
    } cases[] = {{SK_COMPLETE, SK_AMQP_ACCEPTED},
                 {SK_REJECT, SK_AMQP_REJECTED},
                 {SK_ABANDON, SK_AMQP_RELEASED},
                 {SK_RELEASE, SK_AMQP_RELEASED}};
    struct device *a = start(0, "a", SK_SUB_C2D);
    run(5 * SK_S);
    assert_true(sk_device_client_knows_outcomes(a->client));
    struct sk_amqp_field count = {SK_SPAN("iothub-deliverycount"), {SK_AMQP_UBYTE, .u = 3}};
    struct sk_span body = SK_SPAN("hello");
    struct sk_amqp_message message = {
        .annotations = &count, .annotation_count = 1, .data = &body, .data_count = 1};
    for (unsigned i = 0; i < 4; i++) {
        put(find("/devices/a/messages/deviceBound", true)->link, &message, false);
        flush();
        run(SK_S);
        assert_int_equal(a->messages, i + 1);
        assert_string_equal(a->text, "hello");
        assert_int_equal(a->delivery_count, 3);
        assert_true(a->delivery.redelivered);
        sk_device_client_settle(a->client, a->delivery, cases[i].said);
        sk_device_client_settle(a->client, a->delivery, cases[i].said); /* once is enough */
        run(SK_S);
        assert_int_equal(server.outcomes, i + 1);
        assert_int_equal(server.outcome, cases[i].heard);
    }
}

TEST(a_link_stays_until_its_messages_are_settled) {
    struct device *a = start(0, "a", SK_SUB_C2D);
    run(5 * SK_S);
    struct sk_span body = SK_SPAN("hello");
    put(find("/devices/a/messages/deviceBound", true)->link,
        &(struct sk_amqp_message){.data = &body, .data_count = 1}, false);
    flush();
    run(SK_S);
    sk_device_client_subscribe(a->client, 0);
    run(SK_S);
    assert_non_null(find("/devices/a/messages/deviceBound", true));
    sk_device_client_ack(a->client, a->delivery);
    run(SK_S);
    assert_int_equal(server.outcome, SK_AMQP_ACCEPTED);
    assert_null(find("/devices/a/messages/deviceBound", true));
    assert_int_equal(a->disconnected, 0);
}

TEST(what_was_not_acknowledged_goes_again_in_order_after_a_break) {
    struct device *a = start(0, "a", 0);
    server.no_dispositions = true;
    run(5 * SK_S);
    for (const char *body = "1\0002\0003\0"; *body; body += 2) send(a, body);
    run(SK_S);
    sk_sim_drop_connections(edge);
    server.no_dispositions = false;
    send(a, "4");
    run(MINUTE);
    assert_int_equal(server.connections, 2);
    assert_string_equal(server.texts, "1 2 3 4 ");
    assert_int_equal(a->sent, 4);
    assert_int_equal(a->disconnected, 1);
    assert_int_equal(a->connected, 2);
}

TEST(a_silent_server_is_given_up_after_thirty_seconds) {
    server.mute = true;
    struct device *a = start(0, "a", 0);
    run(29 * SK_S);
    assert_int_equal(a->disconnected, 0);
    run(2 * SK_S);
    assert_int_equal(a->disconnected, 1);
    assert_int_equal(a->down.reason, SK_TIMEOUT);
    server.mute = false;
    run(MINUTE);
    assert_int_equal(a->connected, 1);
}

TEST(a_partition_is_noticed_and_heals) {
    struct device *a = start(0, "a", 0), *b = start(1, "b", 0);
    run(5 * SK_S);
    sk_sim_partition(hub, edge, true);
    send(a, "1");
    run(3 * MINUTE);
    assert_true(a->disconnected >= 1);
    assert_true(b->disconnected >= 1);
    sk_sim_partition(hub, edge, false);
    run(3 * MINUTE);
    assert_string_equal(server.texts, "1 ");
    assert_true(sk_device_client_is_connected(b->client));
}

TEST(a_client_may_be_freed_when_it_is_told) {
    struct device *a = start(0, "a", SK_SUB_DESIRED | SK_SUB_METHODS | SK_SUB_C2D),
                  *b = start(1, "b", 0);
    a->free_when_connected = true;
    send(a, "1");
    run(5 * SK_S);
    assert_int_equal(a->connected, 1);
    assert_int_equal(a->sent + a->ended, 1);
    assert_null(find("/devices/a/messages/events", false));
    send(b, "2");
    run(SK_S);
    assert_int_equal(b->sent, 1);
}
