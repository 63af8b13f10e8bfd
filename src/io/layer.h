/* A stream on top of another stream: what makes a WebSocket look like a plain connection.
 *
 * The layer takes over the stream below with its events and is itself an ordinary `struct
 * sk_stream`: whoever reads, writes, pauses and closes it need not know. Between the two stand the
 * callbacks of struct sk_layer_ops, which translate. Back-pressure goes through in both directions;
 * the peer's address, certificate and name are those of the stream below. All on one thread. */
#ifndef SK_IO_LAYER_H
#define SK_IO_LAYER_H

#include "io/io.h"

struct sk_layer_ops {
    /* The stream below is open; for a connecting one. Optional. */
    void (*opened)(struct sk_stream *layer, void *arg);
    /* Bytes from below: what they mean goes up by sk_layer_deliver. Not called any more once the
     * layer ends. */
    void (*input)(struct sk_stream *layer, void *arg, struct sk_span bytes);
    /* Bytes from above, once a turn: append to `below` what they look like there. */
    void (*output)(void *arg, struct sk_span bytes, struct sk_buffer *below);
    /* The user closes, all it wrote has been put out: last words go to `below`. */
    void (*goodbye)(void *arg, struct sk_buffer *below);
    /* After on_close. */
    void (*free)(void *arg);
};

/* Takes over `below`: its events from now on, and its end. `arg` belongs to the layer and goes with
 * ops->free. Events of the user are set with sk_stream_handle, or sk_layer_connecting. */
struct sk_stream *sk_layer_new(struct sk_stream *below, const struct sk_layer_ops *ops, void *arg);
/* The layer is not open yet: output waits, and on_open comes with sk_layer_opened. */
void sk_layer_connecting(struct sk_stream *layer, const struct sk_stream_events *events, void *arg);
void sk_layer_opened(struct sk_stream *layer);
/* Hands bytes to the user's on_data, now or when it reads again. */
void sk_layer_deliver(struct sk_stream *layer, struct sk_span bytes);
/* Bytes that were read from below before there was a layer: as if they came now. */
void sk_layer_feed(struct sk_stream *layer, struct sk_span bytes);
/* The stream below, for a layer's own words; sk_stream_flush it after appending to its output. */
struct sk_stream *sk_layer_below(struct sk_stream *layer);
/* The protocol of the layer has ended: the stream below sends what it has and closes. on_close says
 * `reason`. */
void sk_layer_end(struct sk_stream *layer, enum sk_status reason);

#endif
