/* The real world's turns: who is served when, and what a loop that stood still does to whom. */
#include <stdio.h>
#include <unistd.h>

#include "io/io.h"
#include "support/test.h"

/* A listener, a client of it, and what both have seen. */
struct pair {
    struct sk_io *io;
    struct sk_listener *listener;
    struct sk_stream *server, *client;
    size_t heard, most; /* bytes that the server took: in all, and at once */
    size_t wanted;
    bool fired;
    struct sk_timer timer, limit, other;
    unsigned rounds;
};

static void on_server_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct pair *p = arg;
    size_t steps = 0;
    while (bytes.n && sk_stream_go_on(stream, 1)) {
        bytes = sk_span_skip(bytes, 1);
        steps++;
    }
    p->heard += steps;
    if (steps > p->most) p->most = steps;
    sk_stream_unread(stream, bytes);
}

static void on_server_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)reason;
    ((struct pair *)arg)->server = NULL;
}

static const struct sk_stream_events server_events = {.on_data = on_server_data,
                                                      .on_close = on_server_close};

static void on_limit(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, limit);
    p->fired = true;
    sk_stream_abort(p->server);
    p->server = NULL;
}

static void accepted(void *arg, struct sk_stream *stream) {
    struct pair *p = arg;
    p->server = stream;
    sk_stream_handle(stream, &server_events, p);
}

static void on_client_open(struct sk_stream *stream, void *arg) {
    (void)arg;
    sk_stream_write(stream, SK_SPAN("hello"));
}

static void on_client_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)reason;
    ((struct pair *)arg)->client = NULL;
}

static const struct sk_stream_events client_events = {.on_open = on_client_open,
                                                      .on_close = on_client_close};

static void dial(struct pair *p) {
    struct sk_endpoint at = {.host = "127.0.0.1", .port = sk_listener_port(p->listener)};
    p->client = sk_connect(p->io, &at, NULL, NULL, &client_events, p);
}

static void set_up(struct pair *p, sk_accept_fn *accept) {
    *p = (struct pair){.io = sk_io_uv_new(), .wanted = 5};
    struct sk_endpoint at = {.host = "127.0.0.1"};
    assert_int_equal(sk_listen(p->io, &at, NULL, accept, p, &p->listener), SK_OK);
}

static void tear_down(struct pair *p) {
    sk_listener_close(p->listener);
    sk_timer_stop(&p->timer);
    sk_timer_stop(&p->limit);
    sk_timer_stop(&p->other);
    if (p->client) sk_stream_abort(p->client);
    if (p->server) sk_stream_abort(p->server);
    sk_io_run(p->io);
    sk_io_free(p->io);
}

/* ---- one that never stops ---- */

static void fill(struct sk_stream *stream, void *arg) {
    (void)arg;
    static const char bytes[64 * 1024];
    while (sk_stream_write(stream, sk_span(bytes, sizeof bytes))) {
    }
}

static const struct sk_stream_events flood_events = {
    .on_open = fill, .on_drain = fill, .on_close = on_client_close};

static void a_turn_later(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, timer);
    if (++p->rounds == 50)
        sk_io_stop(p->io);
    else
        sk_timer_start(p->io, timer, 0, a_turn_later);
}

TEST(a_peer_that_never_stops_keeps_no_timer_from_firing) {
    struct pair p;
    set_up(&p, accepted);
    struct sk_endpoint at = {.host = "127.0.0.1", .port = sk_listener_port(p.listener)};
    p.client = sk_connect(p.io, &at, NULL, NULL, &flood_events, &p);
    sk_timer_start(p.io, &p.timer, 20 * SK_MS, a_turn_later);
    sk_io_run(p.io);
    assert_true(p.heard > 0);
    assert_true(p.most <= SK_SHARE_STEPS);
    tear_down(&p);
}

/* ---- clocks ---- */

static void accepted_with_a_limit(void *arg, struct sk_stream *stream) {
    struct pair *p = arg;
    accepted(p, stream);
    sk_timer_start(p->io, &p->limit, 100 * SK_MS, on_limit);
}

static void stop_when_heard(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, other);
    if (p->heard >= p->wanted || p->fired)
        sk_io_stop(p->io);
    else
        sk_timer_start(p->io, timer, SK_MS, stop_when_heard);
}

static void dial_late(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, timer);
    dial(p);
    sk_timer_start(p->io, &p->other, SK_MS, stop_when_heard);
}

TEST(a_timer_counts_from_the_moment_it_is_started) {
    struct pair p;
    set_up(&p, accepted_with_a_limit);
    sk_timer_start(p.io, &p.timer, 120 * SK_MS, dial_late); /* it waits longer than the limit */
    sk_io_run(p.io);
    assert_false(p.fired);
    assert_int_equal(p.heard, 5);
    tear_down(&p);
}

static void a_little_later(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, other);
    if (p->rounds++ == 0)
        sk_timer_start(p->io, timer, 0, a_little_later);
    else
        sk_io_stop(p->io);
}

static void on_early(struct sk_timer *timer) {
    SK_CONTAINER(timer, struct pair, limit)->fired = true;
}

TEST(the_time_before_the_loop_runs_is_not_counted) {
    struct pair p;
    set_up(&p, accepted);
    usleep(300 * 1000);
    sk_timer_start(p.io, &p.limit, 200 * SK_MS, on_early);
    sk_timer_start(p.io, &p.other, 0, a_little_later);
    sk_io_run(p.io);
    assert_false(p.fired);
    tear_down(&p);
}

static void stand_still(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, timer);
    sk_stream_write(p->client, SK_SPAN("here I am"));
    sk_stream_flush(p->client);
    usleep(600 * 1000);
    sk_timer_start(p->io, &p->other, SK_MS, stop_when_heard);
}

static void stand_still_soon(void *arg, struct sk_stream *stream) {
    struct pair *p = arg;
    accepted(p, stream);
    sk_timer_start(p->io, &p->limit, 300 * SK_MS, on_limit);
    sk_timer_start(p->io, &p->timer, 10 * SK_MS, stand_still);
}

TEST(what_nobody_looked_at_is_not_held_against_its_sender) {
    struct pair p;
    set_up(&p, stand_still_soon);
    p.wanted = 14;
    dial(&p);
    sk_io_run(p.io);
    assert_false(p.fired);
    assert_int_equal(p.heard, 14);
    tear_down(&p);
}

/* ---- the watchdog ---- */

static void stop(struct sk_timer *timer) {
    sk_io_stop(timer->io);
}

static void dawdle(struct sk_timer *timer) {
    struct pair *p = SK_CONTAINER(timer, struct pair, timer);
    sk_io_doing(p->io, "a dawdling test");
    usleep(500 * 1000);
    sk_timer_start(p->io, &p->other, 0, stop);
}

TEST(a_turn_that_takes_too_long_is_written_down_while_it_lasts) {
    struct pair p;
    char text[4096] = "";
    FILE *file = tmpfile();
    int kept = dup(2);
    sk_note_level(SK_LEVEL_WARN);
    set_up(&p, accepted);
    sk_io_watch(p.io);
    sk_timer_start(p.io, &p.timer, 0, dawdle);
    dup2(fileno(file), 2);
    sk_io_run(p.io);
    dup2(kept, 2);
    close(kept);
    rewind(file);
    assert_true(fread(text, 1, sizeof text - 1, file) > 0);
    fclose(file);
    assert_non_null(strstr(text, "with a dawdling test"));
    const struct sk_io_counts *counts = sk_io_counts(p.io);
    assert_int_equal(counts->turns_within[SK_TURN_BOUNDS - 1], 1); /* up to a second */
    assert_true(counts->longest_ns >= 500 * SK_MS);
    tear_down(&p);
}

/* ---- its end ---- */

static struct {
    struct sk_timer timer;
    bool fired;
} ended;

static void timer_fires(struct sk_timer *timer) {
    (void)timer;
    ended.fired = true;
}

static void work_nothing(void *arg) {
    (void)arg;
}

static void start_timer(void *arg) {
    sk_timer_start(arg, &ended.timer, 0, timer_fires);
}

TEST(a_timer_that_is_started_with_nothing_else_left_fires_before_the_loop_ends) {
    (void)state;
    struct sk_io *io = sk_io_uv_new();
    sk_io_work(io, work_nothing, start_timer, io);
    sk_io_run(io);
    assert_true(ended.fired);
    sk_io_free(io);
}
