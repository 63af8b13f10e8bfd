/* Any bytes on a connection to a hub, in the simulated world: first as they are, then behind a
 * good CONNECT, then behind an AMQP token and links. The hub must still serve another client
 * afterwards. */
#include "support/raw_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void talk(struct fleet *f, struct sk_span hello, struct sk_span bytes) {
    struct raw_client c;
    raw_open(&c, f, "hub.test");
    if (hello.n) raw_send(&c, hello);
    sk_sim_run(f->sim, 20 * SK_MS);
    if (c.stream && bytes.n) sk_stream_write(c.stream, bytes);
    sk_sim_run(f->sim, 200 * SK_MS);
    raw_free(&c);
}

static void talk_amqp(struct fleet *f, struct sk_span bytes) {
    static const char *const addresses[] = {"/devices/d1/messages/events", "/devices/d1/twin",
                                            "/devices/d1/methods/devicebound"};
    struct raw_client c;
    login_raw(&c, f, addresses, 3);
    if (c.stream && bytes.n) sk_stream_write(c.stream, bytes);
    sk_sim_run(f->sim, 200 * SK_MS);
    raw_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fleet f;
    static struct sk_buffer hello;
    struct raw_client other;
    if (size > 65536) return 0;
    /* One world for many inputs; now and then a fresh one, so that what an input leaves behind
     * stays bounded. */
    static unsigned inputs;
    if (inputs++ % 1000 == 0) {
        if (inputs > 1) fleet_free(&f);
        sk_note_level(SK_LEVEL_ERROR);
        fleet_new_hub(&f, 1);
        fleet_put_device(&f, "d1", "");
        fleet_put_device(&f, "d2", "");
        hello.n = 0;
        raw_put_connect(&hello, &f, &(struct raw_connect){.device = "d1", .life_s = 86400});
    }
    talk(&f, SK_NONE, sk_span(data, size));
    talk(&f, sk_buffer_span(&hello), sk_span(data, size));
    talk_amqp(&f, sk_span(data, size));
    raw_login(&other, &f, "d2");
    raw_ping(&other);
    raw_free(&other);
    return 0;
}
