/* The simulated network: order, back-pressure, endings, and the faults on demand. */
#include "io/sim/sim.h"
#include "support/test.h"

/* One end of a stream, with all that its owner was told. */
struct end {
    struct sk_stream *stream;
    struct sk_buffer received;
    unsigned opened, chunks, drained, closed;
    enum sk_status reason;
    bool answer; /* writes back what comes */
};

static struct sk_sim *sim;
static struct sk_io *hub, *edge;
static struct end server, client;
static struct sk_listener *listener;

static void on_open(struct sk_stream *stream, void *arg) {
    (void)stream;
    ((struct end *)arg)->opened++;
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct end *end = arg;
    assert_true(bytes.n > 0);
    end->chunks++;
    sk_buffer_append(&end->received, bytes);
    if (end->answer) sk_stream_write(stream, bytes);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    ((struct end *)arg)->drained++;
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct end *end = arg;
    assert_ptr_equal(stream, end->stream);
    end->closed++;
    end->reason = reason;
    end->stream = NULL;
}

static const struct sk_stream_events events = {on_open, on_data, on_drain, on_close};

static void on_accept(void *arg, struct sk_stream *stream) {
    struct end *end = arg;
    assert_null(end->stream);
    end->stream = stream;
    sk_stream_handle(stream, &events, end);
}

static int set_up(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 7, .latency_jitter_ns = 2 * SK_MS});
    hub = sk_sim_node(sim, "hub");
    edge = sk_sim_node(sim, "edge");
    server = client = (struct end){0};
    listener = NULL;
    return sk_listen(hub, &(struct sk_endpoint){.host = "0.0.0.0", .port = 8883}, NULL, on_accept,
                     &server, &listener);
}

static int tear_down(void **state) {
    (void)state;
    sk_listener_close(listener);
    sk_sim_free(sim);
    sk_buffer_free(&server.received);
    sk_buffer_free(&client.received);
    return 0;
}

static void dial(struct sk_io *from, const char *host, uint16_t port) {
    client.stream = sk_connect(from, &(struct sk_endpoint){.host = host, .port = port}, NULL, NULL,
                               &events, &client);
    assert_int_equal(client.opened + client.closed, 0);
}

static void connected(void) {
    dial(edge, "hub", 8883);
    sk_sim_run(sim, 10 * SK_MS);
    assert_int_equal(client.opened, 1);
    assert_non_null(server.stream);
}

static void write_text(struct end *end, const char *text) {
    assert_true(sk_stream_write(end->stream, sk_span_z(text)));
}

AROUND(set_up, tear_down);

TEST(bytes_arrive_in_order_split_anywhere_and_both_ways) {
    struct sk_buffer sent = {0};
    connected();
    server.answer = true;
    for (int i = 0; i < 300; i++) {
        struct sk_buffer line = {0};
        sk_buffer_print(&line, "line %d;", i);
        sk_buffer_append(&sent, sk_buffer_span(&line));
        assert_true(sk_stream_write(client.stream, sk_buffer_span(&line)));
        sk_buffer_free(&line);
        if (i % 3 == 0) sk_sim_run(sim, SK_MS / 2);
    }
    sk_sim_run(sim, SK_S);
    assert_true(sk_span_eq(sk_buffer_span(&sent), sk_buffer_span(&server.received)));
    assert_true(sk_span_eq(sk_buffer_span(&sent), sk_buffer_span(&client.received)));
    assert_true(server.chunks > 110);
    sk_buffer_free(&sent);
}

TEST(closing_sends_what_is_written_and_ends_both_sides_once) {
    connected();
    write_text(&client, "last words");
    sk_stream_close(client.stream);
    assert_int_equal(client.closed, 0);
    sk_sim_run(sim, SK_S);
    assert_true(sk_span_is(sk_buffer_span(&server.received), "last words"));
    assert_int_equal(client.closed, 1);
    assert_int_equal(client.reason, SK_OK);
    assert_int_equal(server.closed, 1);
    assert_int_equal(server.reason, SK_OK);
}

TEST(aborting_ends_both_sides_once_and_tells_the_owner_ok) {
    connected();
    write_text(&server, "unread");
    sk_stream_abort(client.stream);
    sk_stream_abort(client.stream);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.closed, 1);
    assert_int_equal(client.reason, SK_OK);
    assert_int_equal(server.closed, 1);
}

TEST(connecting_to_nobody_is_refused) {
    const struct {
        const char *host;
        uint16_t port;
    } wrong[] = {{"hub", 1}, {"nowhere", 8883}, {"localhost", 8883}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        client = (struct end){0};
        dial(edge, wrong[i].host, wrong[i].port);
        sk_sim_run(sim, SK_S);
        assert_int_equal(client.opened, 0);
        assert_int_equal(client.closed, 1);
        assert_int_equal(client.reason, SK_REFUSED);
    }
}

TEST(a_listener_is_reached_by_name_address_and_loopback) {
    const char *names[] = {"HUB", "10.0.0.1", "localhost", "127.0.0.1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        client = server = (struct end){0};
        dial(i < 2 ? edge : hub, names[i], 8883);
        sk_sim_run(sim, SK_S);
        assert_int_equal(client.opened, 1);
        sk_stream_abort(client.stream);
        sk_sim_run(sim, SK_S);
        assert_int_equal(server.closed, 1);
    }
}

TEST(an_address_in_use_is_refused_and_another_loopback_is_not) {
    struct sk_listener *second, *third;
    struct sk_endpoint two = {.host = "127.0.0.2", .port = 443},
                       three = {.host = "127.0.0.3", .port = 443};
    assert_int_equal(sk_listen(edge, &two, NULL, on_accept, &server, &second), SK_OK);
    assert_int_equal(sk_listen(edge, &two, NULL, on_accept, &server, &third), SK_EXISTS);
    assert_int_equal(sk_listen(edge, &three, NULL, on_accept, &server, &third), SK_OK);
    sk_listener_close(second);
    sk_listener_close(third);
    assert_int_equal(sk_listen(edge, &(struct sk_endpoint){.host = "127.0.0.1"}, NULL, on_accept,
                               &server, &second),
                     SK_OK);
    assert_true(sk_listener_port(second) > 0);
    sk_listener_close(second);
}

TEST(a_paused_reader_holds_the_writer_up_until_it_reads_on) {
    static char block[64 * 1024];
    unsigned blocks = 1;
    connected();
    sk_stream_pause(server.stream, true);
    while (sk_stream_write(client.stream, sk_span(block, sizeof block))) blocks++;
    sk_sim_run(sim, SK_S);
    assert_int_equal(server.received.n, 0);
    assert_true(sk_stream_pending(client.stream) > 0);
    assert_int_equal(client.drained, 0);
    sk_stream_pause(server.stream, false);
    sk_sim_run(sim, SK_S);
    assert_int_equal(server.received.n, blocks * sizeof block);
    assert_int_equal(client.drained, 1);
    assert_int_equal(sk_stream_pending(client.stream), 0);
}

TEST(a_close_that_the_peer_does_not_read_gives_up_after_five_seconds) {
    static char block[300 * 1024];
    connected();
    sk_stream_pause(server.stream, true);
    assert_false(sk_stream_write(client.stream, sk_span(block, sizeof block)));
    sk_stream_close(client.stream);
    sk_sim_run(sim, 4 * SK_S);
    assert_int_equal(client.closed, 0);
    sk_sim_run(sim, 2 * SK_S);
    assert_int_equal(client.closed, 1);
    assert_int_equal(server.closed, 1);
    assert_int_equal(server.reason, SK_IO);
}

TEST(a_partition_hangs_then_times_out_after_twenty_seconds) {
    connected();
    sk_sim_partition(hub, edge, true);
    write_text(&client, "lost");
    sk_sim_run(sim, 19 * SK_S);
    assert_int_equal(server.received.n + client.closed + server.closed, 0);
    sk_sim_run(sim, 2 * SK_S);
    assert_int_equal(client.reason, SK_TIMEOUT);
    assert_int_equal(server.reason, SK_TIMEOUT);
    client = server = (struct end){0};
    dial(edge, "hub", 8883);
    sk_sim_run(sim, 19 * SK_S);
    assert_int_equal(client.closed, 0);
    sk_sim_run(sim, 2 * SK_S);
    assert_int_equal(client.reason, SK_TIMEOUT);
    assert_int_equal(client.closed, 1);
}

TEST(a_short_partition_only_delays) {
    connected();
    sk_sim_partition(hub, edge, true);
    write_text(&client, "late");
    sk_sim_run(sim, 10 * SK_S);
    sk_sim_partition(hub, edge, false);
    sk_sim_run(sim, 30 * SK_S);
    assert_true(sk_span_is(sk_buffer_span(&server.received), "late"));
    assert_int_equal(client.closed + server.closed, 0);
}

TEST(connecting_during_a_short_partition_succeeds_after_it) {
    sk_sim_partition(hub, edge, true);
    dial(edge, "hub", 8883);
    sk_sim_run(sim, 10 * SK_S);
    assert_int_equal(client.opened, 0);
    sk_sim_partition(hub, edge, false);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.opened, 1);
}

TEST(dropped_connections_close_with_an_error_on_both_sides) {
    connected();
    sk_sim_drop_connections(edge);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.closed + server.closed, 2);
    assert_int_equal(client.reason, SK_IO);
    assert_int_equal(server.reason, SK_IO);
}

TEST(a_peer_without_power_is_noticed_after_twenty_seconds) {
    connected();
    sk_sim_power_cut(hub, SK_SIM_LOSE_ALL);
    sk_sim_run(sim, 19 * SK_S);
    assert_int_equal(client.closed, 0);
    sk_sim_run(sim, 2 * SK_S);
    assert_int_equal(client.reason, SK_TIMEOUT);
    assert_int_equal(server.closed, 0);
    client = (struct end){0};
    dial(edge, "hub", 8883);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.reason, SK_REFUSED);
}

TEST(a_peer_that_came_back_answers_old_connections_with_a_reset) {
    connected();
    sk_sim_power_cut(hub, SK_SIM_LOSE_ALL);
    sk_listener_close(listener);
    listener = NULL;
    hub = sk_sim_power_on(hub);
    write_text(&client, "are you there?");
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.closed, 1);
    assert_int_equal(client.reason, SK_IO);
}

TEST(a_killed_peer_ends_its_connections) {
    connected();
    sk_sim_kill(hub);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.closed, 1);
    assert_int_equal(server.closed, 0);
}

TEST(closing_on_a_dead_machine_is_told_at_the_funeral) {
    connected();
    sk_sim_power_cut(edge, SK_SIM_LOSE_ALL);
    write_text(&client, "nothing");
    sk_stream_close(client.stream);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.closed, 0);
    edge = sk_sim_power_on(edge);
    assert_int_equal(client.closed, 1);
}

TEST(unix_sockets_stay_on_their_machine_and_name_the_process) {
    struct sk_listener *workload;
    struct sk_endpoint at = {.path = "/run/workload.sock"};
    assert_int_equal(sk_listen(edge, &at, NULL, on_accept, &server, &workload), SK_OK);
    client.stream = sk_connect(hub, &at, NULL, NULL, &events, &client);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.reason, SK_REFUSED);
    client = (struct end){0};
    client.stream = sk_connect(sk_sim_process(edge, 1001), &at, NULL, NULL, &events, &client);
    sk_sim_run(sim, SK_S);
    uint32_t pid, uid;
    assert_true(sk_stream_peer_process(server.stream, &pid, &uid));
    assert_int_equal(uid, 1001);
    assert_true(pid > 0);
    assert_string_equal(sk_stream_peer(server.stream), "unix");
    sk_listener_close(workload);
}

TEST(tls_shows_each_side_the_chain_and_name_of_the_other) {
    static const char leaf[] =
        "-----BEGIN CERTIFICATE-----\nbGVhZg==\n-----END CERTIFICATE-----\n"
        "-----BEGIN CERTIFICATE-----\ncm9v\ndA==\n-----END CERTIFICATE-----\n",
                      device[] =
                          "-----BEGIN CERTIFICATE-----\nZGV2aWNl\n-----END CERTIFICATE-----\n";
    struct sk_tls *server_tls, *client_tls;
    struct sk_listener *secure;
    char reason[256];
    assert_int_equal(sk_tls_new(hub, &(struct sk_tls_options){.server = true}, &server_tls, reason),
                     SK_INVALID);
    assert_int_equal(
        sk_tls_new(hub, &(struct sk_tls_options){.server = true, .certificate_pem = SK_SPAN(leaf)},
                   &server_tls, reason),
        SK_OK);
    assert_int_equal(sk_tls_new(edge, &(struct sk_tls_options){.certificate_pem = SK_SPAN(device)},
                                &client_tls, reason),
                     SK_OK);
    assert_int_equal(
        sk_listen(hub, &(struct sk_endpoint){.port = 443}, server_tls, on_accept, &server, &secure),
        SK_OK);
    client.stream = sk_connect(edge, &(struct sk_endpoint){.host = "hub", .port = 443}, client_tls,
                               "demo.hub", &events, &client);
    sk_tls_free(client_tls);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.opened, 1);
    assert_true(sk_span_is(sk_stream_server_name(server.stream), "demo.hub"));
    assert_true(sk_span_is(sk_stream_peer_certificate(server.stream, 0), "device"));
    assert_true(sk_span_is(sk_stream_peer_certificate(client.stream, 0), "leaf"));
    assert_true(sk_span_is(sk_stream_peer_certificate(client.stream, 1), "root"));
    assert_int_equal(sk_stream_peer_certificate(client.stream, 2).n, 0);
    sk_listener_close(secure);
    sk_tls_free(server_tls);
}

TEST(a_plain_client_of_a_tls_listener_fails) {
    struct sk_tls *tls;
    char reason[256];
    assert_int_equal(sk_tls_new(edge, &(struct sk_tls_options){0}, &tls, reason), SK_OK);
    client.stream = sk_connect(edge, &(struct sk_endpoint){.host = "hub", .port = 8883}, tls, NULL,
                               &events, &client);
    sk_sim_run(sim, SK_S);
    assert_int_equal(client.closed, 1);
    assert_int_equal(client.reason, SK_IO);
    sk_tls_free(tls);
}

static uint64_t trace_of(uint64_t seed) {
    sim = sk_sim_new(&(struct sk_sim_options){.seed = seed, .latency_jitter_ns = SK_MS});
    hub = sk_sim_node(sim, "hub");
    edge = sk_sim_node(sim, "edge");
    server = client = (struct end){.answer = false};
    struct sk_listener *at;
    sk_listen(hub, &(struct sk_endpoint){.port = 8883}, NULL, on_accept, &server, &at);
    connected();
    server.answer = true;
    for (int i = 0; i < 100; i++) {
        write_text(&client, "some words that are cut into pieces");
        sk_sim_run(sim, sk_sim_chance(sim, SK_MS));
    }
    sk_listener_close(at);
    uint64_t trace = sk_sim_trace(sim);
    sk_sim_free(sim);
    sk_buffer_free(&server.received);
    sk_buffer_free(&client.received);
    return trace;
}

AROUND(NULL, NULL);

TEST(the_same_seed_gives_the_same_conversation) {
    uint64_t first = trace_of(11);
    assert_true(first == trace_of(11));
    assert_true(first != trace_of(12));
}
