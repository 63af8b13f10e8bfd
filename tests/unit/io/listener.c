/* Listeners of the real world, and who waits at them. */
#include "io/io.h"
#include "support/self_signed.h"
#include "support/test.h"

struct story {
    struct sk_io *io;
    struct sk_tls *server_tls, *client_tls;
    struct sk_listener *listener;
    struct sk_stream *clients[4], *servers[4];
    size_t accepted, closed, wanted; /* wanted: closed ones, then the loop stops */
    struct sk_timer timer;
};

/* ---- both ends ---- */

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)reason;
    struct story *s = arg;
    for (size_t i = 0; i < 4; i++) {
        if (s->clients[i] == stream) {
            s->clients[i] = NULL;
            s->closed++;
        }
        if (s->servers[i] == stream) s->servers[i] = NULL;
    }
    if (s->closed >= s->wanted) sk_io_stop(s->io);
}

static const struct sk_stream_events events = {.on_close = on_close};

static void accepted(void *arg, struct sk_stream *stream) {
    struct story *s = arg;
    sk_stream_handle(stream, &events, s);
    s->servers[s->accepted++] = stream;
}

static void begin(struct story *s) {
    *s = (struct story){.io = sk_io_uv_new(), .wanted = 1};
    make_tls(s->io, &s->server_tls, &s->client_tls);
    struct sk_endpoint at = {.host = "127.0.0.1"};
    assert_int_equal(sk_listen(s->io, &at, s->server_tls, accepted, s, &s->listener), SK_OK);
}

static void dial(struct story *s, size_t i, bool tls) {
    struct sk_endpoint to = {.host = "127.0.0.1", .port = sk_listener_port(s->listener)};
    s->clients[i] = sk_connect(s->io, &to, tls ? s->client_tls : NULL, NULL, &events, s);
}

static void finish(struct story *s) {
    s->wanted = SIZE_MAX;
    sk_listener_close(s->listener);
    sk_timer_stop(&s->timer);
    for (size_t i = 0; i < 4; i++) {
        if (s->clients[i]) sk_stream_abort(s->clients[i]);
        if (s->servers[i]) sk_stream_abort(s->servers[i]);
    }
    sk_io_run(s->io);
    sk_tls_free(s->server_tls);
    sk_tls_free(s->client_tls);
    sk_io_free(s->io);
}

/* ---- stories ---- */

static void close_between(struct sk_timer *timer) {
    struct story *s = SK_CONTAINER(timer, struct story, timer);
    if (sk_io_counts(s->io)->accepted) {
        sk_listener_close(s->listener);
        s->listener = NULL;
    } else {
        sk_timer_start(s->io, timer, 0, close_between);
    }
}

TEST(a_handshake_ends_with_its_listener) {
    struct story s;
    begin(&s);
    dial(&s, 0, true);
    sk_timer_start(s.io, &s.timer, 0, close_between);
    sk_io_run(s.io); /* until the client has heard */
    assert_int_equal(s.accepted, 0);
    assert_int_equal(s.closed, 1);
    finish(&s);
}

static void dial_third(struct sk_timer *timer) {
    struct story *s = SK_CONTAINER(timer, struct story, timer);
    if (sk_io_counts(s->io)->accepted == 2)
        dial(s, 2, false);
    else
        sk_timer_start(s->io, timer, SK_MS, dial_third);
}

static void dial_second(struct sk_timer *timer) {
    struct story *s = SK_CONTAINER(timer, struct story, timer);
    if (sk_io_counts(s->io)->accepted == 1) {
        dial(s, 1, false);
        sk_timer_start(s->io, timer, 0, dial_third);
    } else {
        sk_timer_start(s->io, timer, SK_MS, dial_second);
    }
}

TEST(the_oldest_that_has_proved_nothing_goes_for_a_newcomer) {
    struct story s;
    begin(&s);
    struct sk_door_limits limits = sk_io_limit(s.io, (struct sk_door_limits){.unproved = 2});
    assert_int_equal(limits.unproved, 2);
    dial(&s, 0, false);
    sk_timer_start(s.io, &s.timer, 0, dial_second);
    sk_io_run(s.io);
    assert_null(s.clients[0]);
    assert_non_null(s.clients[1]);
    assert_non_null(s.clients[2]);
    assert_int_equal(sk_io_counts(s.io)->turned_away[SK_AWAY_UNPROVED], 1);
    assert_int_equal(sk_io_counts(s.io)->accepted, 2);
    finish(&s);
}

TEST(descriptors_are_kept_for_files) {
    struct sk_io *io = sk_io_uv_new();
    struct sk_door_limits limits = sk_io_limit(io, (struct sk_door_limits){.connections = 1000000});
    assert_true(limits.connections < 1000000);
    assert_true(limits.an_address <= limits.connections);
    assert_true(limits.unproved <= limits.connections);
    sk_io_free(io);
}
