/* What the AMQP head says, frame by frame: in which order, and how complete; and that no
 * sequence of frames harms it. */
#include "support/frame_program.h"
#include "support/raw_frames.h"
#include "support/test.h"
#include "wire/amqp_parts.h"

#define EVENTS "/devices/d1/messages/events"

/* ---- reading what came ---- */

struct seen {
    unsigned char code;
    uint32_t fields;
    bool receiver; /* a disposition's role */
};

/* Takes a frame off `*rest`, behind headers; false: there is none. */
static bool next_frame(struct sk_span *rest, struct seen *seen) {
    struct sk_amqp_raw list, first;
    while (rest->n >= 8 && memcmp(rest->p, "AMQP", 4) == 0) *rest = sk_span_skip(*rest, 8);
    if (rest->n < 8) return false;
    const unsigned char *p = (const unsigned char *)rest->p;
    size_t size = (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    struct sk_span body = sk_span_skip(sk_span_first(*rest, size), 8);
    assert_true(size <= rest->n);
    *rest = sk_span_skip(*rest, size);
    *seen = (struct seen){0};
    if (body.n == 0) return true;
    assert_int_equal(amqp_next(&body, &list), SK_OK);
    assert_int_equal(amqp_read_list(&list, &first, 1), SK_OK);
    seen->code = (unsigned char)list.descriptor;
    seen->fields = list.count;
    seen->receiver = amqp_raw_true(&first);
    return true;
}

/* Which came first: our disposition of the client's transfer, or our own transfer. */
static void expect_disposition_then_transfer(struct raw_client *c) {
    struct sk_span rest = sk_buffer_span(&c->in);
    struct seen seen;
    bool settled = false, answered = false;
    while (next_frame(&rest, &seen)) {
        if (seen.code == SK_AMQP_DISPOSITION && seen.receiver) settled = true;
        if (seen.code != SK_AMQP_TRANSFER) continue;
        assert_true(settled);
        answered = true;
    }
    assert_true(answered);
    c->in.n = 0;
}

static void put_request(struct sk_buffer *to, unsigned char handle, unsigned id,
                        struct sk_amqp_message message) {
    struct sk_buffer bytes = {0};
    sk_amqp_encode(&bytes, &message);
    put_transfer(to, handle, id, sk_buffer_span(&bytes));
    sk_buffer_free(&bytes);
}

AROUND(fleet_new_world, fleet_free_world);

/* ---- order ---- */

/* azure-uamqp-c takes a request as failed whose answer comes before its disposition, and its Python
 * binding dies of it. */
TEST(a_disposition_goes_out_before_the_answer) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    prove_raw(&c, f, 10);
    expect_disposition_then_transfer(&c);
    /* a twin */
    put_attach(&out, 0, 1, "/devices/d1/twin");
    put_receiver(&out, 2, "/devices/d1/twin", 10);
    raw_say(&c, &out);
    struct sk_amqp_field get = {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("GET"))};
    put_request(&out, 1, 1,
                (struct sk_amqp_message){.correlation_id = SK_AMQP_VALUE_STRING(SK_SPAN("c")),
                                         .annotations = &get,
                                         .annotation_count = 1});
    raw_say(&c, &out);
    expect_disposition_then_transfer(&c);
    raw_free(&c);
}

TEST(an_answer_that_waited_for_credit_follows_its_disposition_too) {
    struct fleet *f = *state;
    struct raw_client c;
    struct sk_buffer out = {0};
    prove_raw(&c, f, 0);
    c.in.n = 0;
    put_frame(&out, 0, FLOW, SK_SPAN("\x43\x52\x7f\x43\x52\x7f\x52\x08\x43\x52\x01"), 7, SK_NONE);
    raw_say(&c, &out);
    expect_disposition_then_transfer(&c);
    raw_free(&c);
}

/* ---- completeness ---- */

/* azure-eventhub and azure-servicebus of Python take fields by their place, and count on all of
 * them. */
TEST(every_performative_is_a_complete_list) {
    struct fleet *f = *state;
    static const unsigned complete[] = {
        [SK_AMQP_OPEN] = 10,  [SK_AMQP_BEGIN] = 8,     [SK_AMQP_ATTACH] = 14,
        [SK_AMQP_FLOW] = 11,  [SK_AMQP_TRANSFER] = 11, [SK_AMQP_DISPOSITION] = 6,
        [SK_AMQP_DETACH] = 3, [SK_AMQP_END] = 1,       [SK_AMQP_CLOSE] = 1};
    bool met[SK_AMQP_CLOSE + 1] = {0};
    struct raw_client c;
    struct sk_buffer out = {0};
    struct seen seen;
    prove_raw(&c, f, 10);
    put_begin(&out, 1);
    put_attach(&out, 0, 1, "nowhere");
    put_frame(&out, 1, END, SK_SPAN("\x40"), 1, SK_NONE);
    put_frame(&out, 0, SK_AMQP_CLOSE, SK_SPAN("\x40"), 1, SK_NONE);
    raw_say(&c, &out);
    struct sk_span rest = sk_buffer_span(&c.in);
    while (next_frame(&rest, &seen)) {
        if (seen.code == 0) continue;
        assert_in_range(seen.code, SK_AMQP_OPEN, SK_AMQP_CLOSE);
        if (seen.fields != complete[seen.code])
            fail_msg("performative 0x%x has %u fields", seen.code, seen.fields);
        met[seen.code] = true;
    }
    for (unsigned code = SK_AMQP_OPEN; code <= SK_AMQP_CLOSE; code++)
        if (!met[code]) fail_msg("performative 0x%x was not said", code);
    raw_free(&c);
}

/* ---- what nobody may do ---- */

/* The whole hub ended by this, before any token. */
TEST(a_transfer_without_delivery_id_ends_its_connection_only) {
    struct fleet *f = *state;
    for (int more = 0; more < 2; more++) {
        struct raw_client c, other;
        struct sk_buffer out = {0};
        raw_open(&c, f, "hub.test");
        put_opening(&out);
        put_attach(&out, 0, 0, "$cbs");
        put_frame(&out, 0, TRANSFER,
                  more ? SK_SPAN("\x43\x40\x40\x40\x40\x41") : SK_SPAN("\x43\x40\x40\x40\x40\x42"),
                  6, SK_SPAN("x"));
        raw_send_buffer(&c, &out);
        assert_true(sk_sim_run_until(c.sim, 30 * SK_S, raw_is_closed, &c));
        assert_true(has_bytes(&c, SK_SPAN("amqp:not-allowed")));
        raw_free(&c);
        raw_login(&other, f, "d2");
        raw_ping(&other);
        raw_free(&other);
    }
}

TEST(no_sequence_of_frames_keeps_the_hub_from_serving_others) {
    enum { SEQUENCES = 400, STEPS = 40 };
    struct fleet *f = *state;
    static const char *const addresses[] = {EVENTS};
    struct raw_client other;
    uint64_t x = 88172645463325252u; /* xorshift: the same sequences each time */
    raw_login(&other, f, "d2");
    for (int i = 0; i < SEQUENCES; i++) {
        uint8_t program[STEPS * PROGRAM_STEP];
        struct sk_buffer out = {0};
        struct raw_client c;
        for (size_t j = 0; j < sizeof program; j++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            program[j] = (uint8_t)(x >> 32);
        }
        if (i % 2) /* with a token, so that links stand */
            login_raw(&c, f, addresses, 1);
        else
            raw_open(&c, f, "hub.test");
        program_put(&out, sk_span(program, sizeof program), i % 4 == 0);
        if (i % 2) sk_buffer_consume(&out, 8); /* its header has been sent */
        raw_send_buffer(&c, &out);
        sk_sim_run(f->sim, 100 * SK_MS);
        raw_free(&c);
        if (i % 20 == 0) raw_ping(&other);
    }
    raw_ping(&other);
    raw_free(&other);
}
