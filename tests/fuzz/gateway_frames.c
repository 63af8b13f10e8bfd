/* AMQP frames in any order from a client of a whole hub, in the simulated world: with a token
 * and without. The hub must still serve another client afterwards. */
#include "support/frame_program.h"
#include "support/raw_frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { STEPS_MAX = 200, WORLD_INPUTS = 500 };
    static struct fleet f;
    static unsigned inputs;
    static const char *const addresses[] = {"/devices/d1/messages/events"};
    struct raw_client c, other;
    struct sk_buffer out = {0};
    if (size == 0 || size > STEPS_MAX * PROGRAM_STEP) return 0;
    if (inputs++ % WORLD_INPUTS == 0) { /* what an input leaves behind stays bounded */
        if (inputs > 1) fleet_free(&f);
        sk_note_level(SK_LEVEL_ERROR);
        fleet_new_hub(&f, 1);
        fleet_put_device(&f, "d1", "");
        fleet_put_device(&f, "d2", "");
    }
    bool token = data[0] & 1;
    if (token)
        login_raw(&c, &f, addresses, 1);
    else
        raw_open(&c, &f, "hub.test");
    program_put(&out, sk_span(data + 1, size - 1), data[0] & 2);
    if (token) sk_buffer_consume(&out, 8); /* its header has been sent */
    if (c.stream && out.n) sk_stream_write(c.stream, sk_buffer_span(&out));
    sk_buffer_free(&out);
    sk_sim_run(f.sim, 200 * SK_MS);
    raw_free(&c);
    raw_login(&other, &f, "d2");
    raw_ping(&other);
    raw_free(&other);
    return 0;
}
