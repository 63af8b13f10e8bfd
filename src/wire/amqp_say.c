/* What we say: the frames that more than one file writes, each whole, in the order of the calls.
 * And how all ends when the peer has broken the protocol. */
#include "wire/amqp_parts.h"

static struct sk_amqp_frame begin_frame(struct sk_amqp *a, unsigned type, unsigned channel,
                                        enum sk_amqp_code code, unsigned fields) {
    struct sk_amqp_frame frame = {.began = a->out.n};
    char head[SK_AMQP_FRAME_HEAD] = {
        0, 0, 0, 0, 2, (char)type, (char)(channel >> 8), (char)channel};
    sk_buffer_append(&a->out, sk_span(head, sizeof head));
    amqp_put_descriptor(&a->out, code);
    frame.list = amqp_begin_list(&a->out, fields);
    a->spoke = true;
    return frame;
}

struct sk_amqp_frame amqp_begin_frame(struct sk_amqp *a, unsigned channel, enum sk_amqp_code code,
                                      unsigned fields) {
    return begin_frame(a, 0, channel, code, fields);
}

struct sk_amqp_frame amqp_begin_sasl_frame(struct sk_amqp *a, enum sk_amqp_code code,
                                           unsigned fields) {
    return begin_frame(a, 1, 0, code, fields);
}

void amqp_end_fields(struct sk_amqp *a, struct sk_amqp_frame frame) {
    amqp_end_list(&a->out, frame.list);
}

void amqp_close_frame(struct sk_amqp *a, struct sk_amqp_frame frame) {
    size_t size = a->out.n - frame.began;
    char *p = a->out.p + frame.began;
    for (unsigned i = 0; i < 4; i++) p[i] = (char)(size >> (8 * (3 - i)));
    if (size <= a->frame_max) return;
    a->out.n = frame.began; /* it may not be sent, so we cannot go on */
    amqp_fail(a, "amqp:frame-size-too-small", "what is to be said needs larger frames");
}

void amqp_end_frame(struct sk_amqp *a, struct sk_amqp_frame frame) {
    amqp_end_fields(a, frame);
    amqp_close_frame(a, frame);
}

void amqp_put_error(struct sk_amqp *a, const struct sk_amqp_error *error) {
    enum { TEXT_MAX = 2048 };
    if (error == NULL || error->condition.n == 0) {
        amqp_put_null(&a->out);
        return;
    }
    amqp_put_descriptor(&a->out, SK_AMQP_ERROR);
    size_t list = amqp_begin_list(&a->out, 3);
    amqp_put_symbol(&a->out, error->condition);
    amqp_put_string(&a->out, sk_span_first(error->description, TEXT_MAX));
    if (error->info_count)
        amqp_encode_map(&a->out, error->info, error->info_count, true);
    else
        amqp_put_null(&a->out);
    amqp_end_list(&a->out, list);
}

void amqp_get_error(const struct sk_amqp_raw *raw, struct sk_arena *arena,
                    struct sk_amqp_error *error) {
    struct sk_amqp_raw field[3];
    *error = (struct sk_amqp_error){0};
    if (raw->descriptor != SK_AMQP_ERROR || amqp_read_list(raw, field, 3)) return;
    error->condition = amqp_raw_text(&field[0]);
    error->description = amqp_raw_text(&field[1]);
    if (arena) amqp_read_map(&field[2], arena, 1, &error->info, &error->info_count);
}

void amqp_put_header(struct sk_amqp *a, bool sasl) {
    sk_buffer_append(&a->out, sasl ? SK_SPAN(SK_AMQP_SASL_PROTOCOL) : SK_SPAN(SK_AMQP_PROTOCOL));
    a->header_sent = !sasl;
}

void amqp_put_text(struct sk_amqp *a, const char *text) {
    if (text)
        amqp_put_string(&a->out, sk_span_z(text));
    else
        amqp_put_null(&a->out);
}

void amqp_put_open(struct sk_amqp *a) {
    if (a->open_sent) return;
    if (!a->header_sent) amqp_put_header(a, false);
    a->open_sent = true;
    struct sk_amqp_frame frame = amqp_begin_frame(a, 0, SK_AMQP_OPEN, 10);
    amqp_put_text(a, a->container);
    amqp_put_text(a, a->host_name);
    amqp_put_uint(&a->out, SK_AMQP_FRAME_MAX);
    amqp_put_ushort(&a->out, SK_AMQP_CHANNEL_MAX);
    amqp_put_uint(&a->out, a->idle_ms);
    for (int i = 0; i < 5; i++) amqp_put_null(&a->out); /* locales, capabilities, properties */
    amqp_end_frame(a, frame);
}

void amqp_put_close(struct sk_amqp *a, const struct sk_amqp_error *error) {
    if (a->closing) return;
    amqp_put_open(a);
    a->closing = true;
    struct sk_amqp_frame frame = amqp_begin_frame(a, 0, SK_AMQP_CLOSE, 1);
    amqp_put_error(a, error);
    amqp_end_frame(a, frame);
}

/* ---- of sessions ---- */

/* A state with all of its fields; 0: none. */
static void put_state(struct sk_amqp *a, enum sk_amqp_code state,
                      const struct sk_amqp_error *error) {
    bool rejected = state == SK_AMQP_STATE_REJECTED, modified = state == SK_AMQP_STATE_MODIFIED;
    if (state == 0) {
        amqp_put_null(&a->out);
        return;
    }
    amqp_put_descriptor(&a->out, state);
    size_t list = amqp_begin_list(&a->out, rejected ? 1 : modified ? 3 : 0);
    if (rejected) amqp_put_error(a, error);
    if (modified) { /* delivery-failed, undeliverable-here, message-annotations */
        amqp_put_bool(&a->out, false);
        amqp_put_bool(&a->out, false);
        amqp_put_null(&a->out);
    }
    amqp_end_list(&a->out, list);
}

void amqp_put_disposition(struct sk_amqp_session *session, const struct sk_amqp_acks *acks,
                          const struct sk_amqp_error *error) {
    struct sk_amqp *a = session->amqp;
    struct sk_amqp_frame frame = amqp_begin_frame(a, session->channel, SK_AMQP_DISPOSITION, 6);
    amqp_put_bool(&a->out, !acks->about_ours);
    amqp_put_uint(&a->out, acks->first);
    amqp_put_uint(&a->out, acks->last);
    amqp_put_bool(&a->out, true); /* settled */
    put_state(a, acks->state, error);
    amqp_put_bool(&a->out, false); /* batchable */
    amqp_end_frame(a, frame);
}

void amqp_put_acks(struct sk_amqp_session *session) {
    struct sk_amqp_acks acks = session->acks;
    sk_list_remove(&session->acking);
    session->acks.any = false;
    if (acks.any && !amqp_is_mute(session)) amqp_put_disposition(session, &acks, NULL);
}

void amqp_put_flow(struct sk_amqp_session *session, struct sk_amqp_link *link) {
    struct sk_amqp *a = session->amqp;
    if (amqp_is_mute(session)) return;
    amqp_put_acks(session);
    session->window = SK_AMQP_WINDOW;
    struct sk_amqp_frame frame = amqp_begin_frame(a, session->channel, SK_AMQP_FLOW, 11);
    amqp_put_uint(&a->out, session->next_in);
    amqp_put_uint(&a->out, session->window);
    amqp_put_uint(&a->out, session->next_out);
    amqp_put_uint(&a->out, SK_AMQP_WINDOW);
    if (link) {
        if (!link->sender) link->credit += link->spent;
        link->spent = 0;
        amqp_put_uint(&a->out, link->handle);
        amqp_put_uint(&a->out, link->count);
        amqp_put_uint(&a->out, link->credit);
        amqp_put_uint(&a->out, 0); /* available */
        amqp_put_bool(&a->out, link->sender && link->drain);
    } else {
        for (int i = 0; i < 4; i++) amqp_put_null(&a->out);
        amqp_put_bool(&a->out, false);
    }
    amqp_put_bool(&a->out, false); /* echo */
    amqp_put_null(&a->out);
    amqp_end_frame(a, frame);
}

/* ---- the end ---- */

void amqp_fail(struct sk_amqp *a, const char *condition, const char *text) {
    struct sk_amqp_error error = {.condition = sk_span_z(condition),
                                  .description = sk_span_z(text)};
    if (a->expect == SK_AMQP_EXPECT_NOTHING) return;
    a->expect = SK_AMQP_EXPECT_NOTHING;
    if (a->header_sent) amqp_put_close(a, &error);
    a->over(a, &error);
}
