/* Refusals as clients see them: one catalogue (error.def) with the code of each protocol, and one
 * sentence for the case at hand. */
#ifndef SK_MODEL_ERROR_H
#define SK_MODEL_ERROR_H

#include "base/base.h"

enum sk_fault {
    SK_FAULT_NONE = 0,
#define SK_FAULT(name, ...) SK_FAULT_##name,
#include "model/error.def"
#undef SK_FAULT
    SK_FAULT_COUNT
};

struct sk_fault_kind {
    int http_status;
    int code;              /* IoT Hub's, e.g. 404001 */
    const char *name;      /* IoT Hub's, e.g. "DeviceNotFound" */
    const char *condition; /* AMQP */
    bool mqtt_closes;      /* else answered in the operation's response topic */
    const char *sentence;
};
const struct sk_fault_kind *sk_fault_kind(enum sk_fault fault);

/* A refusal; zeroed means none. */
struct sk_error {
    enum sk_fault fault;
    unsigned retry_after_s; /* it is of use to try again then; 0: nobody knows */
    char text[384];         /* empty: the catalogue's sentence */
};
/* Fills it; `format` NULL takes the catalogue's sentence. */
void sk_error_set(struct sk_error *error, enum sk_fault fault, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
const char *sk_error_text(const struct sk_error *error);
/* What a status of the store or the codecs means to a client when nobody knows better. */
enum sk_fault sk_fault_of_status(enum sk_status status);

/* The JSON of MQTT twin answers and AMQP descriptions:
 * {"errorCode":404001,"trackingId":"…","message":"…","timestampUtc":"…"}. */
void sk_error_json(struct sk_buffer *to, const struct sk_error *error, struct sk_span tracking_id,
                   int64_t wall_us);
/* The body of HTTP errors: {"Message":"ErrorCode:DeviceNotFound;text","ExceptionMessage":"Tracking
 * ID:…"}; `structured` puts the JSON above into Message, as direct methods answer. */
void sk_error_http_body(struct sk_buffer *to, const struct sk_error *error,
                        struct sk_span tracking_id, int64_t wall_us, bool structured);

#endif
