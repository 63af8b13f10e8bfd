#include "support/frame_program.h"

#include "wire/amqp_parts.h"

enum { PROGRAM_CHANNELS = 3, PROGRAM_HANDLES = 4, PROGRAM_FIELDS_MAX = 14 };

/* One frame, field by field, so that each may be left out. */
struct program_frame {
    struct sk_buffer fields[PROGRAM_FIELDS_MAX];
    unsigned count;
};

static struct sk_buffer *program_field(struct program_frame *f) {
    return &f->fields[f->count++];
}
static void program_nulls(struct program_frame *f, unsigned n) {
    while (n--) amqp_put_null(program_field(f));
}

static const char *const program_addresses[] = {"$cbs",
                                                "/devices/d1/messages/events",
                                                "/devices/d1/messages/devicebound",
                                                "/devices/d1/twin",
                                                "/devices/d1/methods/devicebound",
                                                "/messages/devicebound",
                                                "/messages/servicebound/feedback",
                                                "messages/events/$management",
                                                "hub/ConsumerGroups/$Default/Partitions/0",
                                                "nowhere"};

static void program_terminus(struct sk_buffer *to, enum sk_amqp_code code, const char *address) {
    amqp_put_descriptor(to, code);
    size_t list = amqp_begin_list(to, 1);
    amqp_put_string(to, sk_span_z(address));
    amqp_end_list(to, list);
}

static void program_attach(struct program_frame *f, unsigned handle, const uint8_t *say) {
    enum { ADDRESSES = sizeof program_addresses / sizeof *program_addresses };
    bool receiver = say[0] & 1;
    const char *address = program_addresses[say[1] % ADDRESSES];
    char name[8] = {'l', (char)('a' + handle), (char)('a' + say[0] % 3)};
    amqp_put_string(program_field(f), sk_span_z(name));
    amqp_put_uint(program_field(f), handle);
    amqp_put_bool(program_field(f), receiver);
    amqp_put_ubyte(program_field(f), (uint8_t)(say[0] >> 1) % 3);
    amqp_put_ubyte(program_field(f), (uint8_t)(say[0] >> 3) % 2);
    program_terminus(program_field(f), SK_AMQP_SOURCE, receiver ? address : "me");
    program_terminus(program_field(f), SK_AMQP_TARGET, receiver ? "me" : address);
    program_nulls(f, 2);
    amqp_put_uint(program_field(f), 0);
    amqp_put_ulong(program_field(f), 0);
    program_nulls(f, 3);
}

static void program_flow(struct program_frame *f, unsigned handle, const uint8_t *say) {
    bool session = say[0] % 8 == 0;
    amqp_put_uint(program_field(f), say[0] & 2 ? 0 : 0xfffffff0u);
    amqp_put_uint(program_field(f), say[0] & 4 ? 1 : 2048);
    amqp_put_uint(program_field(f), 0);
    amqp_put_uint(program_field(f), 2048);
    if (session)
        program_nulls(f, 1);
    else
        amqp_put_uint(program_field(f), handle);
    amqp_put_uint(program_field(f), say[0] & 16 ? 0 : 0xffffffffu);
    amqp_put_uint(program_field(f), say[1] % 4 == 3 ? 0xffffffffu : say[1]);
    amqp_put_uint(program_field(f), 0);
    amqp_put_bool(program_field(f), say[0] & 32);
    amqp_put_bool(program_field(f), say[0] & 64);
    program_nulls(f, 1);
}

static void program_transfer(struct program_frame *f, unsigned handle, const uint8_t *say) {
    amqp_put_uint(program_field(f), handle);
    amqp_put_uint(program_field(f), say[1]);
    amqp_put_binary(program_field(f), sk_span(say, 2));
    amqp_put_uint(program_field(f), say[0] & 1 ? SK_AMQP_FORMAT_BATCH : 0);
    amqp_put_bool(program_field(f), say[0] & 2);
    amqp_put_bool(program_field(f), say[0] & 4);
    program_nulls(f, 2);
    amqp_put_bool(program_field(f), false);
    amqp_put_bool(program_field(f), (say[0] & 24) == 24);
    program_nulls(f, 1);
}

static void program_disposition(struct program_frame *f, const uint8_t *say) {
    struct sk_buffer *state;
    amqp_put_bool(program_field(f), say[0] & 1);
    amqp_put_uint(program_field(f), say[1] % 16);
    amqp_put_uint(program_field(f), say[0] & 2 ? say[1] % 16 : 0x7ffffff0u);
    amqp_put_bool(program_field(f), say[0] & 4);
    state = program_field(f);
    amqp_put_descriptor(state, SK_AMQP_STATE_RECEIVED + say[0] / 8 % 5);
    amqp_end_list(state, amqp_begin_list(state, 0));
    program_nulls(f, 1);
}

static unsigned program_fields(struct program_frame *f, unsigned which, unsigned handle,
                               const uint8_t *say) {
    enum { WHICH = 16 };
    switch (which % WHICH) {
    case 0:
        amqp_put_string(program_field(f), SK_SPAN("x"));
        amqp_put_string(program_field(f), SK_SPAN("hub.test"));
        amqp_put_uint(program_field(f), say[0] & 1 ? 512 : 65536);
        return SK_AMQP_OPEN;
    case 1:
    case 2:
        program_nulls(f, 1);
        amqp_put_uint(program_field(f), say[0] & 1 ? 0xfffffff0u : 0);
        amqp_put_uint(program_field(f), say[0] & 2 ? 1 : 2048);
        amqp_put_uint(program_field(f), 2048);
        amqp_put_uint(program_field(f), 255);
        return SK_AMQP_BEGIN;
    case 3:
    case 4:
    case 5: program_attach(f, handle, say); return SK_AMQP_ATTACH;
    case 6:
    case 7: program_flow(f, handle, say); return SK_AMQP_FLOW;
    case 8:
    case 9:
    case 10: program_transfer(f, handle, say); return SK_AMQP_TRANSFER;
    case 11:
    case 12: program_disposition(f, say); return SK_AMQP_DISPOSITION;
    case 13:
        amqp_put_uint(program_field(f), handle);
        amqp_put_bool(program_field(f), say[0] & 1);
        program_nulls(f, 1);
        return SK_AMQP_DETACH;
    case 14: program_nulls(f, 1); return SK_AMQP_END;
    default: program_nulls(f, 1); return say[0] % 8 ? SK_AMQP_END : SK_AMQP_CLOSE;
    }
}

/* A message of a few kinds, or a piece of one. */
static void program_payload(struct sk_buffer *to, const uint8_t *say) {
    struct sk_span body = SK_SPAN("{\"a\":1}");
    struct sk_amqp_field operation = {SK_SPAN("operation"), SK_AMQP_VALUE_STRING(SK_SPAN("GET"))};
    struct sk_amqp_message message = {.data = &body, .data_count = 1};
    if (say[0] & 32) message.annotations = &operation, message.annotation_count = 1;
    if (say[0] & 64) message.correlation_id = SK_AMQP_VALUE_STRING(SK_SPAN("c"));
    sk_amqp_encode(to, &message);
    if (say[0] & 128) to->n -= to->n / 3;
}

static void program_put_step(struct sk_buffer *to, const uint8_t *step) {
    struct program_frame f = {0};
    struct sk_buffer payload = {0};
    unsigned channel = step[1] % PROGRAM_CHANNELS, handle = step[2] % PROGRAM_HANDLES;
    unsigned code = program_fields(&f, step[0], handle, step + 4);
    unsigned absent = step[3] & 64 ? step[3] % 16 : PROGRAM_FIELDS_MAX; /* mostly none */
    unsigned count = step[3] & 128 && absent < f.count ? absent : f.count;
    size_t began = to->n;
    if (code == SK_AMQP_TRANSFER) program_payload(&payload, step + 4);
    char head[8] = {0, 0, 0, 0, 2, 0, 0, (char)channel};
    sk_buffer_append(to, sk_span(head, sizeof head));
    amqp_put_descriptor(to, code);
    size_t list = amqp_begin_list(to, count);
    for (unsigned i = 0; i < count; i++) {
        if (i == absent)
            amqp_put_null(to);
        else
            sk_buffer_append(to, sk_buffer_span(&f.fields[i]));
    }
    amqp_end_list(to, list);
    sk_buffer_append(to, sk_buffer_span(&payload));
    size_t size = to->n - began;
    to->p[began + 2] = (char)(size >> 8);
    to->p[began + 3] = (char)size;
    for (unsigned i = 0; i < f.count; i++) sk_buffer_free(&f.fields[i]);
    sk_buffer_free(&payload);
}

void program_go_on(struct sk_buffer *to, struct sk_span program) {
    for (; program.n >= PROGRAM_STEP; program = sk_span_skip(program, PROGRAM_STEP))
        program_put_step(to, (const uint8_t *)program.p);
}

void program_put(struct sk_buffer *to, struct sk_span program, bool polite) {
    static const uint8_t open[PROGRAM_STEP] = {0}, begin[PROGRAM_STEP] = {1};
    sk_buffer_append(to, SK_SPAN("AMQP\0\1\0\0"));
    if (polite) {
        program_put_step(to, open);
        program_put_step(to, begin);
    }
    program_go_on(to, program);
}
