#include "support/frames.h"

void put_frame(struct sk_buffer *to, unsigned channel, unsigned char performative,
               struct sk_span fields, unsigned count, struct sk_span payload) {
    size_t size = 8 + 3 + 3 + fields.n + payload.n;
    char head[14] = {(char)(size >> 24),
                     (char)(size >> 16),
                     (char)(size >> 8),
                     (char)size,
                     2,
                     0,
                     (char)(channel >> 8),
                     (char)channel,
                     0,
                     0x53,
                     (char)performative,
                     (char)0xc0,
                     (char)(fields.n + 1),
                     (char)count};
    sk_buffer_append(to, sk_span(head, sizeof head));
    sk_buffer_append(to, fields);
    sk_buffer_append(to, payload);
}

void put_header(struct sk_buffer *to) {
    sk_buffer_append(to, SK_SPAN("AMQP\0\1\0\0"));
}
void put_open(struct sk_buffer *to) {
    put_frame(to, 0, OPEN, SK_SPAN("\xa1\1x\xa1\x08hub.test"), 2, SK_NONE);
}
void put_begin(struct sk_buffer *to, unsigned channel) {
    put_frame(to, channel, BEGIN, SK_SPAN("\x40\x43\x52\x7f\x52\x7f"), 4, SK_NONE);
}
void put_opening(struct sk_buffer *to) {
    put_header(to);
    put_open(to);
    put_begin(to, 0);
}
void put_attach(struct sk_buffer *to, unsigned channel, unsigned char handle, const char *address) {
    struct sk_buffer fields = {0};
    char name[] = {(char)0xa1, 1, (char)('a' + handle), 0x52, (char)handle, 0x42, 0x40, 0x40};
    sk_buffer_append(&fields, sk_span(name, sizeof name));
    sk_buffer_append(&fields, SK_SPAN("\0\x53\x28\x45"));
    char target[] = {0,
                     0x53,
                     0x29,
                     (char)0xc0,
                     (char)(strlen(address) + 3),
                     1,
                     (char)0xa1,
                     (char)strlen(address)};
    sk_buffer_append(&fields, sk_span(target, sizeof target));
    sk_buffer_text(&fields, address);
    sk_buffer_append(&fields, SK_SPAN("\x40\x40\x43"));
    put_frame(to, channel, ATTACH, sk_buffer_span(&fields), 10, SK_NONE);
    sk_buffer_free(&fields);
}
void put_detach(struct sk_buffer *to, unsigned channel, unsigned char handle) {
    char fields[] = {0x52, (char)handle, 0x41};
    put_frame(to, channel, DETACH, sk_span(fields, sizeof fields), 2, SK_NONE);
}
void put_transfer(struct sk_buffer *to, unsigned char handle, unsigned id, struct sk_span payload) {
    char fields[] = {
        0x52, (char)handle,    0x70,     0,    0,   (char)(id >> 8), (char)id, (char)0xa0,
        2,    (char)(id >> 8), (char)id, 0x43, 0x42};
    put_frame(to, 0, TRANSFER, sk_span(fields, sizeof fields), 5, payload);
}
