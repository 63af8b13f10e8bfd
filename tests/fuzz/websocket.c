/* Frames from anybody: however they are cut, the same payload, answers and end come out; and what
 * one side writes, the other reads. The first byte chooses the side and the cut. */
#include <stdlib.h>

#include "wire/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

static void counting(void *arg, void *to, size_t n) {
    memset(to, ++*(unsigned char *)arg, n);
}

struct run {
    enum sk_status status;
    unsigned closed;
    struct sk_buffer payload, out;
};

static struct run feed(bool server, struct sk_span bytes, size_t step) {
    unsigned char masks = 0;
    struct sk_websocket *ws = sk_websocket_new(server ? NULL : counting, &masks);
    struct run run = {0};
    for (size_t at = 0; at < bytes.n && !run.status; at += step)
        run.status = sk_websocket_feed(ws, sk_span_first(sk_span_skip(bytes, at), step),
                                       &run.payload, &run.out);
    run.closed = sk_websocket_closed(ws);
    CHECK((run.closed != 0) == (run.status != SK_OK));
    sk_websocket_free(ws);
    return run;
}

static void run_free(struct run *run) {
    sk_buffer_free(&run->payload);
    sk_buffer_free(&run->out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    bool server = data[0] & 1;
    struct sk_span bytes = sk_span(data + 1, size - 1);
    struct run whole = feed(server, bytes, size), cut = feed(server, bytes, 1 + data[0] / 2);
    CHECK(whole.status == cut.status && whole.closed == cut.closed);
    CHECK(sk_span_eq(sk_buffer_span(&whole.payload), sk_buffer_span(&cut.payload)));
    CHECK(sk_span_eq(sk_buffer_span(&whole.out), sk_buffer_span(&cut.out)));
    CHECK(whole.payload.n <= size && whole.out.n <= 4 * size + 8);

    unsigned char masks = 0;
    struct sk_buffer out = {0};
    struct sk_websocket *ws = sk_websocket_new(server ? NULL : counting, &masks);
    sk_websocket_put(ws, bytes, &out);
    struct run back = feed(!server, sk_buffer_span(&out), 1 + data[0] / 2);
    CHECK(back.status == SK_OK && sk_span_eq(sk_buffer_span(&back.payload), bytes));
    sk_websocket_free(ws);
    sk_buffer_free(&out);
    run_free(&whole);
    run_free(&cut);
    run_free(&back);
    return 0;
}
