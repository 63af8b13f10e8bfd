#include "support/raw_frames.h"

void put_receiver(struct sk_buffer *to, unsigned char handle, const char *address,
                  unsigned char credit) {
    struct sk_buffer fields = {0};
    char name[] = {(char)0xa1, 1, (char)('A' + handle), 0x52, (char)handle, 0x41, 0x40, 0x40};
    char source[] = {0,
                     0x53,
                     0x28,
                     (char)0xc0,
                     (char)(strlen(address) + 3),
                     1,
                     (char)0xa1,
                     (char)strlen(address)};
    char flow[] = {0x43, 0x52,         0x7f, 0x43, 0x52,        0x7f,
                   0x52, (char)handle, 0x43, 0x52, (char)credit};
    sk_buffer_append(&fields, sk_span(name, sizeof name));
    sk_buffer_append(&fields, sk_span(source, sizeof source));
    sk_buffer_text(&fields, address);
    sk_buffer_append(&fields, SK_SPAN("\0\x53\x29\x45"));
    put_frame(to, 0, ATTACH, sk_buffer_span(&fields), 7, SK_NONE);
    put_frame(to, 0, FLOW, sk_span(flow, sizeof flow), 7, SK_NONE);
    sk_buffer_free(&fields);
}

void put_token(struct sk_buffer *to, struct fleet *f, unsigned char handle, unsigned id) {
    struct sk_buffer token = {0}, put = {0};
    sk_sas_create(&token, SK_SPAN("hub.test/devices"), SK_SPAN(FLEET_KEY), SK_SPAN("owner"),
                  sk_io_wall(f->field_io) / 1000000 + 3600);
    struct sk_amqp_field operation = {SK_SPAN("operation"),
                                      SK_AMQP_VALUE_STRING(SK_SPAN("put-token"))};
    sk_amqp_encode(
        &put, &(struct sk_amqp_message){.application = &operation,
                                        .application_count = 1,
                                        .value = SK_AMQP_VALUE_STRING(sk_buffer_span(&token))});
    put_transfer(to, handle, id, sk_buffer_span(&put));
    sk_buffer_free(&token);
    sk_buffer_free(&put);
}

void raw_say(struct raw_client *c, struct sk_buffer *bytes) {
    raw_send_buffer(c, bytes);
    sk_sim_run(c->sim, SK_S);
}

void prove_raw(struct raw_client *c, struct fleet *f, int credit) {
    struct sk_buffer out = {0};
    raw_open(c, f, "hub.test");
    put_opening(&out);
    put_attach(&out, 0, 9, "$cbs");
    if (credit >= 0) put_receiver(&out, 8, "$cbs", (unsigned char)credit);
    raw_say(c, &out);
    put_token(&out, f, 9, 0);
    raw_say(c, &out);
}

void login_raw(struct raw_client *c, struct fleet *f, const char *const *addresses,
               unsigned count) {
    struct sk_buffer out = {0};
    prove_raw(c, f, -1);
    for (unsigned i = 0; i < count; i++) put_attach(&out, 0, (unsigned char)i, addresses[i]);
    raw_say(c, &out);
    c->in.n = 0;
}

bool has_bytes(struct raw_client *c, struct sk_span what) {
    return c->in.n && memmem(c->in.p, c->in.n, what.p, what.n);
}
