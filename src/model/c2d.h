/* Cloud-to-device messages and their feedback: the words, the limits and the texts that hub, store
 * and heads share. Reference:
 * docs/protocols/device-protocols.md, section 6.1; docs/protocols/service-api.md, section 6. */
#ifndef SK_MODEL_C2D_H
#define SK_MODEL_C2D_H

#include "model/message.h"

#define SK_C2D_MESSAGE_MAX (64 * 1024) /* body and properties; 413001 beyond */
#define SK_C2D_PENDING_MAX 50          /* of one device, locked ones included; 403004 beyond */
#define SK_C2D_TTL_MAX_US 172800000000 /* two days; 403009 beyond */
#define SK_C2D_LOCK_S 60               /* until a delivered message goes back into the queue */
#define SK_FEEDBACK_BATCH_MAX 64       /* records of one feedback message */
#define SK_OUTBOX_LOCKED_MAX 16        /* messages of one receiver, not yet settled */
#define SK_FEEDBACK_TYPE "application/vnd.microsoft.iothub.feedback.json"

/* Of a message that is on its way to its receiver and locked for it (message->c2d): what AMQP puts
 * into delivery tag and annotations and HTTPS into headers. Sequence number and enqueued time are
 * the message's own. */
struct sk_c2d {
    struct sk_span lock_token; /* a lower-case guid; the name that SK_OP_C2D_SETTLE takes */
    unsigned delivery_count;   /* how often it was abandoned before */
    int64_t expiry_us;         /* µs since 1970; always set */
    bool redelivered;          /* it was sent before and may have been received: MQTT's DUP */
};

/* The feedback that the sender asked for: `iothub-ack`, in SK_SYS_ACK. As bits: of success, of
 * everything else, of both. */
enum sk_c2d_ack { SK_ACK_NONE, SK_ACK_POSITIVE, SK_ACK_NEGATIVE, SK_ACK_FULL };
/* An empty text is SK_ACK_NONE; SK_INVALID for an unknown one. Without regard to case. */
enum sk_status sk_c2d_ack_parse(struct sk_span text, enum sk_c2d_ack *ack);
const char *sk_c2d_ack_name(enum sk_c2d_ack ack);

/* How a message ended; each ends exactly once. */
enum sk_c2d_end {
    SK_C2D_COMPLETED,
    SK_C2D_EXPIRED,
    SK_C2D_DELIVERY_COUNT_EXCEEDED,
    SK_C2D_REJECTED,
    SK_C2D_PURGED,
    SK_C2D_END_COUNT
};
/* The statusCode of feedback: "Success", "Expired", … */
const char *sk_c2d_end_name(enum sk_c2d_end end);
/* The bit that must be in the sender's wish for this end to be told. */
enum sk_c2d_ack sk_c2d_end_ack(enum sk_c2d_end end);

struct sk_feedback_record {
    struct sk_span message_id; /* of another topic than feedback: its text */
    struct sk_span device, generation_id;
    enum sk_c2d_end end;
    int64_t ended_us;
};
/* One member of the JSON array that is the body of a feedback message. */
void sk_feedback_record_json(struct sk_buffer *to, const struct sk_feedback_record *record);

#endif
