/* Listeners of the real world, and who waits at them. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

/* ---- unix sockets: one may be a module's, the process is everybody's ---- */

struct crowd {
    struct sk_io *io;
    struct sk_stream *clients[SK_LOCAL_MAX + 2], *servers[SK_LOCAL_MAX + 2];
    size_t dialled, accepted, turned_away;
    size_t wanted_accepted, wanted_away; /* then the loop stops */
};

static void look_at(struct crowd *c) {
    if (c->accepted == c->wanted_accepted && c->turned_away == c->wanted_away) sk_io_stop(c->io);
}

static void guest_gone(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)reason;
    struct crowd *c = arg;
    for (size_t i = 0; i < SK_LOCAL_MAX + 2; i++) {
        if (c->servers[i] == stream) c->servers[i] = NULL;
        if (c->clients[i] != stream) continue;
        c->clients[i] = NULL;
        c->turned_away++;
    }
    look_at(c);
}

static const struct sk_stream_events guest_events = {.on_close = guest_gone};

static void guest_in(void *arg, struct sk_stream *stream) {
    struct crowd *c = arg;
    sk_stream_handle(stream, &guest_events, c);
    c->servers[c->accepted++] = stream;
    look_at(c);
}

static void come(struct crowd *c, const char *path, size_t accepted, size_t away) {
    c->clients[c->dialled++] =
        sk_connect(c->io, &(struct sk_endpoint){.path = path}, NULL, NULL, &guest_events, c);
    c->wanted_accepted = accepted;
    c->wanted_away = away;
    sk_io_run(c->io);
}

TEST(a_unix_socket_takes_so_many_and_the_others_of_its_process_stay_open) {
    char folder[] = "/tmp/skerry-crowd-XXXXXX", full[64], other[64];
    struct crowd c = {.io = sk_io_uv_new()};
    struct sk_listener *listeners[2];
    assert_non_null(mkdtemp(folder));
    snprintf(full, sizeof full, "%s/full", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    assert_int_equal(
        sk_listen(c.io, &(struct sk_endpoint){.path = full}, NULL, guest_in, &c, &listeners[0]),
        SK_OK);
    assert_int_equal(
        sk_listen(c.io, &(struct sk_endpoint){.path = other}, NULL, guest_in, &c, &listeners[1]),
        SK_OK);
    for (size_t i = 0; i < SK_LOCAL_MAX; i++) come(&c, full, i + 1, 0);
    come(&c, full, SK_LOCAL_MAX, 1);
    come(&c, other, SK_LOCAL_MAX + 1, 1);
    assert_int_equal(sk_io_counts(c.io)->accepted, 0); /* they take nobody's place at the network */
    for (size_t i = 0; i < SK_LOCAL_MAX + 2; i++) {
        if (c.clients[i]) sk_stream_abort(c.clients[i]);
        if (c.servers[i]) sk_stream_abort(c.servers[i]);
    }
    for (size_t i = 0; i < 2; i++) sk_listener_close(listeners[i]);
    c.wanted_away = SIZE_MAX;
    sk_io_run(c.io);
    sk_io_free(c.io);
    assert_int_equal(rmdir(folder), 0);
}
