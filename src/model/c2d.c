#include "model/c2d.h"

static const char *const acks[] = {"none", "positive", "negative", "full"};

static const char *const ends[SK_C2D_END_COUNT] = {[SK_C2D_COMPLETED] = "Success",
                                                   [SK_C2D_EXPIRED] = "Expired",
                                                   [SK_C2D_DELIVERY_COUNT_EXCEEDED] =
                                                       "DeliveryCountExceeded",
                                                   [SK_C2D_REJECTED] = "Rejected",
                                                   [SK_C2D_PURGED] = "Purged"};

enum sk_status sk_c2d_ack_parse(struct sk_span text, enum sk_c2d_ack *ack) {
    *ack = SK_ACK_NONE;
    if (text.n == 0) return SK_OK;
    for (size_t i = 0; i < sizeof acks / sizeof *acks; i++)
        if (sk_span_eq_nocase(text, sk_span_z(acks[i]))) {
            *ack = (enum sk_c2d_ack)i;
            return SK_OK;
        }
    return SK_INVALID;
}

const char *sk_c2d_ack_name(enum sk_c2d_ack ack) {
    return acks[ack];
}

const char *sk_c2d_end_name(enum sk_c2d_end end) {
    return ends[end];
}

enum sk_c2d_ack sk_c2d_end_ack(enum sk_c2d_end end) {
    return end == SK_C2D_COMPLETED ? SK_ACK_POSITIVE : SK_ACK_NEGATIVE;
}

static void put_member(struct sk_buffer *to, const char *name, struct sk_span value) {
    sk_buffer_print(to, ",\"%s\":", name);
    sk_json_string(to, value);
}

void sk_feedback_record_json(struct sk_buffer *to, const struct sk_feedback_record *record) {
    char when[SK_TIME_TEXT];
    struct sk_span end = sk_span_z(ends[record->end]);
    sk_time_text(record->ended_us, when);
    sk_buffer_text(to, "{\"originalMessageId\":");
    sk_json_string(to, record->message_id);
    put_member(to, "enqueuedTimeUtc", sk_span_z(when));
    put_member(to, "statusCode", end);
    put_member(to, "description", end);
    put_member(to, "deviceId", record->device);
    put_member(to, "deviceGenerationId", record->generation_id);
    sk_buffer_byte(to, '}');
}
