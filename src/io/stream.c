/* What all streams share: their output, what their user gave back unread, and when they may be
 * read. */
#include "io/world.h"

/* ---- output ---- */

struct sk_buffer *sk_stream_output(struct sk_stream *stream) {
    return &stream->out;
}

bool sk_stream_write(struct sk_stream *stream, struct sk_span bytes) {
    if (stream->closing) return true;
    sk_buffer_append(&stream->out, bytes);
    sk_stream_flush(stream);
    if (sk_stream_pending(stream) <= SK_STREAM_HIGH) return true;
    stream->over_high = true;
    return false;
}

void sk_stream_flush(struct sk_stream *stream) {
    if (stream->closing)
        stream->out.n = 0;
    else
        stream->ops->flush(stream);
}

size_t sk_stream_pending(const struct sk_stream *stream) {
    return stream->out.n + (stream->ops->below ? sk_stream_pending(stream->ops->below(stream)) : 0);
}

/* ---- input ---- */

bool sk_stream_readable(const struct sk_stream *stream) {
    return !stream->closing && !stream->paused &&
           (!stream->accepted || sk_stream_pending(stream) <= SK_STREAM_HIGH);
}

bool sk_stream_go_on(struct sk_stream *stream, unsigned steps) {
    if (!sk_stream_readable(stream)) {
        sk_stream_write(stream, SK_NONE); /* so that a layer hears when the output has left */
        return false;
    }
    return !stream->accepted || sk_share_go_on(&stream->io->share, steps);
}

void sk_stream_unread(struct sk_stream *stream, struct sk_span rest) {
    if (!stream->closing) sk_buffer_append(&stream->in, rest);
}

void sk_stream_give(struct sk_stream *stream, struct sk_span bytes) {
    struct sk_buffer taken = stream->in;
    stream->in = (struct sk_buffer){0};
    if (bytes.n) stream->heard_ns = sk_io_now(stream->io);
    if (taken.n) {
        sk_buffer_append(&taken, bytes);
        bytes = sk_buffer_span(&taken);
    }
    if (bytes.n && !stream->closing && stream->events && stream->events->on_data)
        stream->events->on_data(stream, stream->arg, bytes);
    sk_buffer_free(&taken);
}

void sk_stream_pause(struct sk_stream *stream, bool paused) {
    if (stream->paused == paused) return;
    stream->paused = paused;
    stream->ops->pause(stream, paused);
}

uint64_t sk_stream_silent_ns(const struct sk_stream *stream) {
    const struct sk_stream *lowest = stream;
    while (lowest->ops->below) lowest = lowest->ops->below(lowest);
    uint64_t since = stream->heard_ns;
    if (stream->accepted && sk_stream_pending(stream) > SK_STREAM_HIGH)
        since = lowest->sent_ns; /* it is not heard before it reads */
    else if (stream->paused || lowest->paused || stream->in.n)
        return 0;
    return sk_io_now(stream->io) - since;
}

/* ---- the rest ---- */

void sk_stream_handle(struct sk_stream *stream, const struct sk_stream_events *events, void *arg) {
    stream->events = events;
    stream->arg = arg;
}

static void ignore_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    (void)stream, (void)arg, (void)bytes;
}

static void ignore_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    (void)stream, (void)arg, (void)reason;
}

void sk_stream_forget(struct sk_stream *stream) {
    static const struct sk_stream_events nobody = {.on_data = ignore_data,
                                                   .on_close = ignore_close};
    sk_stream_handle(stream, &nobody, NULL);
}

struct sk_io *sk_stream_io(struct sk_stream *stream) {
    return stream->io;
}

void sk_stream_free(struct sk_stream *stream) {
    sk_door_leave(stream);
    sk_buffer_free(&stream->out);
    sk_buffer_free(&stream->in);
}
