/* AMQP from a client that we do not know: the engine, as the head uses it, and messages. The
 * input is bytes of a connection, and once more a program of frames in any order. */
#include "support/frame_program.h"
#include "wire/amqp.h"

static void on_sasl(void *arg, struct sk_span mechanism, struct sk_span response,
                    struct sk_span host) {
    (void)host;
    (void)mechanism;
    struct sk_amqp **amqp = arg;
    sk_amqp_sasl_done(*amqp, response.n & 1 ? SK_AMQP_SASL_REFUSED : SK_AMQP_SASL_OK);
}

static void on_open(void *arg, struct sk_span host) {
    (void)arg;
    (void)host;
}

static void on_attach(void *arg, struct sk_amqp_link *link) {
    (void)arg;
    struct sk_amqp_error error = {.condition = SK_SPAN("amqp:not-found")};
    sk_amqp_link_property(link, "com.microsoft:channel-correlation-id");
    sk_amqp_link_selector(link);
    sk_amqp_link_other_address(link);
    if (sk_amqp_link_address(link).n & 1)
        sk_amqp_refuse(link, &error);
    else
        sk_amqp_attach(link, 3);
}

static void on_detach(void *arg, struct sk_amqp_link *link, const struct sk_amqp_error *error) {
    (void)arg;
    (void)link;
    (void)error;
}

static void decode(struct sk_span bytes) {
    struct sk_arena arena = {0};
    struct sk_buffer again = {0};
    struct sk_amqp_message message;
    if (sk_amqp_decode(bytes, &arena, &message) == SK_OK) {
        sk_amqp_encode(&again, &message);
        for (size_t i = 0; i < message.application_count; i++)
            sk_amqp_text(&message.application[i].value, &arena);
    }
    sk_buffer_free(&again);
    sk_arena_free(&arena);
}

static void on_transfer(void *arg, struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                        struct sk_span payload) {
    (void)arg;
    decode(payload);
    if (delivery) sk_amqp_settle(link, delivery, SK_AMQP_ACCEPTED, NULL);
}

static void on_outcome(void *arg, struct sk_amqp_link *link, void *data,
                       enum sk_amqp_outcome outcome, const struct sk_amqp_error *error) {
    (void)arg;
    (void)link;
    (void)data;
    (void)outcome;
    (void)error;
}

static void on_credit(void *arg, struct sk_amqp_link *link) {
    (void)arg;
    while (sk_amqp_link_credit(link) > 0 && sk_amqp_link_credit(link) < 10)
        sk_amqp_send(link, SK_NONE, SK_SPAN("x"), false, arg);
}

static void on_close(void *arg, const struct sk_amqp_error *error) {
    (void)arg;
    (void)error;
}

static void drop(void *arg, struct sk_span bytes) {
    (void)arg;
    (void)bytes;
}

static const struct sk_amqp_events events = {on_sasl,     on_open,    on_attach, on_detach,
                                             on_transfer, on_outcome, on_credit, on_close};

/* A whole connection, in pieces of `most` bytes. */
static void talk(struct sk_span bytes, size_t most) {
    struct sk_amqp *amqp;
    amqp = sk_amqp_new(
        &(struct sk_amqp_options){.server = true, .container = "s", .idle_timeout_ms = 1000},
        &events, &amqp);
    for (; bytes.n; bytes = sk_span_skip(bytes, most)) {
        sk_amqp_feed(amqp, sk_span_first(bytes, most));
        sk_amqp_flush(amqp, drop, NULL);
    }
    for (uint64_t ms = 1000; ms < 6000; ms += 1000) {
        sk_amqp_tick(amqp, ms);
        sk_amqp_flush(amqp, drop, NULL);
    }
    sk_amqp_free(amqp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { STEPS_MAX = 400 };
    struct sk_buffer frames = {0};
    decode(sk_span(data, size));
    talk(sk_span(data, size), SIZE_MAX);
    if (size == 0 || size > STEPS_MAX * PROGRAM_STEP) return 0;
    program_put(&frames, sk_span(data + 1, size - 1), data[0] & 1);
    talk(sk_buffer_span(&frames), data[0] & 2 ? 1u + data[0] : SIZE_MAX);
    sk_buffer_free(&frames);
    return 0;
}
