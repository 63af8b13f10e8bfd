#include "io/layer.h"

#include "io/world.h"

struct layer {
    struct sk_stream stream;
    struct sk_stream *below;
    const struct sk_layer_ops *ops;
    void *arg;
    struct sk_task flush, again;
    bool connecting;
    bool ended; /* the layer's end came first: `reason` counts, not what the stream below says */
    enum sk_status reason;
};

static struct layer *of(struct sk_stream *stream) {
    return (struct layer *)stream;
}

/* ---- downwards ---- */

static void put_out(struct layer *l) {
    if (l->stream.out.n == 0 || l->connecting) return;
    l->ops->output(l->arg, sk_buffer_span(&l->stream.out), sk_stream_output(l->below));
    sk_buffer_shrink(&l->stream.out, 0);
}

static void see_to_reading(struct layer *l);

static void flush(struct sk_task *task) {
    struct layer *l = SK_CONTAINER(task, struct layer, flush);
    put_out(l);
    /* A write says whether the stream below is full; only then its on_drain follows. */
    if (!sk_stream_write(l->below, SK_NONE) || !l->stream.over_high || l->connecting) return;
    l->stream.over_high = false;
    if (l->stream.events->on_drain) l->stream.events->on_drain(&l->stream, l->stream.arg);
    see_to_reading(l); /* what the user could not take for its output's sake */
}

static void flush_soon(struct sk_stream *stream) {
    sk_io_defer(stream->io, &of(stream)->flush, flush);
}

static void again(struct sk_task *task);

/* The stream below is not read while the user pauses or has something left to take. */
static void see_to_reading(struct layer *l) {
    if (l->connecting || l->ended) return; /* until it is open, the layer must hear its peer */
    sk_stream_pause(l->below, l->stream.paused || l->stream.in.n);
    if (l->stream.in.n && !l->stream.paused) sk_io_yield(l->stream.io, &l->again, again);
}

static void again(struct sk_task *task) {
    struct layer *l = SK_CONTAINER(task, struct layer, again);
    if (!sk_stream_readable(&l->stream)) {
        sk_stream_write(&l->stream, SK_NONE); /* on_drain comes */
        return;
    }
    sk_share_begin(&l->stream.io->share, l->stream.io);
    sk_stream_give(&l->stream, SK_NONE);
    see_to_reading(l);
}

static void pause_reading(struct sk_stream *stream, bool paused) {
    (void)paused;
    see_to_reading(of(stream));
}

void sk_layer_end(struct sk_stream *stream, enum sk_status reason) {
    struct layer *l = of(stream);
    if (l->ended) return;
    l->ended = true;
    l->reason = reason;
    stream->closing = true;
    sk_io_undefer(&l->flush);
    sk_io_undefer(&l->again);
    sk_stream_flush(l->below);
    sk_stream_close(l->below);
}

static void close_stream(struct sk_stream *stream, bool abort) {
    struct layer *l = of(stream);
    if (!l->ended && !abort && !l->connecting) {
        put_out(l);
        l->ops->goodbye(l->arg, sk_stream_output(l->below));
    }
    sk_layer_end(stream, SK_OK);
    if (abort) sk_stream_abort(l->below);
}

static enum sk_status begin_tls(struct sk_stream *stream, struct sk_tls *tls, const char *name) {
    (void)stream, (void)tls, (void)name;
    return SK_INVALID; /* a layer hides what TLS would need */
}

static struct sk_stream *below(const struct sk_stream *stream) {
    return ((const struct layer *)stream)->below;
}

static const char *peer_address(struct sk_stream *stream) {
    return sk_stream_peer(of(stream)->below);
}

static struct sk_span peer_certificate(struct sk_stream *stream, size_t index) {
    return sk_stream_peer_certificate(of(stream)->below, index);
}

static struct sk_span server_name(struct sk_stream *stream) {
    return sk_stream_server_name(of(stream)->below);
}

static bool peer_process(struct sk_stream *stream, uint32_t *pid, uint32_t *uid) {
    return sk_stream_peer_process(of(stream)->below, pid, uid);
}

static const struct sk_stream_ops stream_ops = {
    .start_tls = begin_tls,
    .flush = flush_soon,
    .below = below,
    .pause = pause_reading,
    .close = close_stream,
    .peer = peer_address,
    .peer_certificate = peer_certificate,
    .server_name = server_name,
    .peer_process = peer_process,
};

/* ---- upwards ---- */

static void on_open(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct layer *l = arg;
    if (l->ops->opened && !l->ended) l->ops->opened(&l->stream, l->arg);
}

void sk_layer_feed(struct sk_stream *stream, struct sk_span bytes) {
    struct layer *l = of(stream);
    if (!l->ended) l->ops->input(stream, l->arg, bytes);
}

static void on_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream;
    sk_layer_feed(arg, bytes);
}

static void on_drain(struct sk_stream *stream, void *arg) {
    (void)stream;
    struct layer *l = arg;
    if (l->ended) return;
    flush(&l->flush);
    see_to_reading(l);
}

static void on_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream;
    struct layer *l = arg;
    l->stream.closing = true;
    sk_io_undefer(&l->flush);
    sk_io_undefer(&l->again);
    if (l->stream.events && l->stream.events->on_close)
        l->stream.events->on_close(&l->stream, l->stream.arg, l->ended ? l->reason : reason);
    l->ops->free(l->arg);
    sk_stream_free(&l->stream);
    free(l);
}

static const struct sk_stream_events events = {
    .on_open = on_open, .on_data = on_data, .on_drain = on_drain, .on_close = on_close};

struct sk_stream *sk_layer_new(struct sk_stream *stream, const struct sk_layer_ops *ops,
                               void *arg) {
    struct layer *l = SK_NEW(struct layer);
    l->stream.ops = &stream_ops;
    l->stream.io = sk_stream_io(stream);
    l->stream.accepted = stream->accepted;
    l->stream.heard_ns = stream->heard_ns;
    l->below = stream;
    l->ops = ops;
    l->arg = arg;
    sk_stream_handle(stream, &events, l);
    return &l->stream;
}

void sk_layer_connecting(struct sk_stream *layer, const struct sk_stream_events *user, void *arg) {
    sk_stream_handle(layer, user, arg);
    of(layer)->connecting = true;
}

void sk_layer_opened(struct sk_stream *layer) {
    of(layer)->connecting = false;
    if (layer->events->on_open) layer->events->on_open(layer, layer->arg);
    if (layer->out.n) flush_soon(layer);
    see_to_reading(of(layer));
}

void sk_layer_deliver(struct sk_stream *layer, struct sk_span bytes) {
    if (sk_stream_readable(layer))
        sk_stream_give(layer, bytes);
    else
        sk_stream_unread(layer, bytes);
    see_to_reading(of(layer));
}

struct sk_stream *sk_layer_below(struct sk_stream *layer) {
    return of(layer)->below;
}
