/* Layers over streams: what the peer has said is heard, however output and input meet. */
#include "io/layer.h"

#include <stdio.h>

#include "io/sim/sim.h"
#include "io/world.h"
#include "support/test.h"

/* A stream below that takes output only when the test says so. */
static void do_nothing(struct sk_stream *stream) {
    (void)stream;
}
static void do_not_pause(struct sk_stream *stream, bool paused) {
    (void)stream, (void)paused;
}
static void do_not_close(struct sk_stream *stream, bool abort) {
    (void)stream, (void)abort;
}
static const struct sk_stream_ops below_ops = {
    .flush = do_nothing, .pause = do_not_pause, .close = do_not_close};

static void input(struct sk_stream *layer, void *arg, struct sk_span bytes) {
    (void)arg;
    sk_layer_deliver(layer, bytes);
}
static void output(void *arg, struct sk_span bytes, struct sk_buffer *below) {
    (void)arg;
    sk_buffer_append(below, bytes);
}
static void say_nothing(void *arg, struct sk_buffer *below) {
    (void)arg, (void)below;
}
static void free_nothing(void *arg) {
    (void)arg;
}
static const struct sk_layer_ops layer_ops = {
    .input = input, .output = output, .goodbye = say_nothing, .free = free_nothing};

struct scene {
    struct sk_io *io;
    struct sk_stream below, *layer;
    struct sk_task step, leave;
    unsigned drains;
    char heard[8];
};

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct scene *scene = arg;
    (void)stream;
    snprintf(scene->heard, sizeof scene->heard, "%.*s", SK_ARG(bytes));
}
static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    ((struct scene *)arg)->drains++;
}
static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

/* All that waits below leaves, before the layer looks. */
static void leave(struct sk_task *task) {
    SK_CONTAINER(task, struct scene, leave)->below.out.n = 0;
}
static void step(struct sk_task *task) {
    struct scene *scene = SK_CONTAINER(task, struct scene, step);
    sk_io_defer(scene->io, &scene->leave, leave);
}

TEST(input_that_waited_for_output_is_heard_though_the_output_left_unseen) {
    static const struct sk_stream_events events = {
        .on_data = on_data, .on_drain = on_drain, .on_close = on_close};
    static char much[SK_STREAM_HIGH + 1];
    struct sk_sim *sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    struct scene scene = {.io = sk_sim_node(sim, "a")};
    scene.below = (struct sk_stream){.ops = &below_ops, .io = scene.io, .accepted = true};
    scene.layer = sk_layer_new(&scene.below, &layer_ops, NULL);
    sk_stream_handle(scene.layer, &events, &scene);
    sk_buffer_append(&scene.below.out, sk_span(much, sizeof much));
    sk_io_yield(scene.io, &scene.step, step);
    sk_layer_feed(scene.layer, SK_SPAN("flow"));
    assert_string_equal(scene.heard, ""); /* who does not read is not read */
    sk_sim_run(sim, 10 * SK_MS);
    assert_int_equal(scene.drains, 1);
    assert_string_equal(scene.heard, "flow");
    sk_stream_close(scene.layer);
    scene.below.events->on_close(&scene.below, scene.below.arg, SK_OK);
    sk_buffer_free(&scene.below.out);
    sk_sim_free(sim);
}
