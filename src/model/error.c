#include "model/error.h"

#include <stdarg.h>
#include <stdio.h>

enum { NACK = 0, CLOSE = 1 };

static const struct sk_fault_kind kinds[SK_FAULT_COUNT] = {
    [SK_FAULT_NONE] = {200, 0, "", "", false, ""},
#define SK_FAULT(name, http, code, text, condition, mqtt, sentence)                                \
    [SK_FAULT_##name] = {http, code, text, condition, mqtt == CLOSE, sentence},
#include "model/error.def"
#undef SK_FAULT
};

const struct sk_fault_kind *sk_fault_kind(enum sk_fault fault) {
    return &kinds[fault];
}

void sk_error_set(struct sk_error *error, enum sk_fault fault, const char *format, ...) {
    error->fault = fault;
    error->retry_after_s = 0;
    error->text[0] = 0;
    if (format == NULL) return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}

const char *sk_error_text(const struct sk_error *error) {
    return error->text[0] ? error->text : kinds[error->fault].sentence;
}

enum sk_fault sk_fault_of_status(enum sk_status status) {
    switch (status) {
    case SK_OK: return SK_FAULT_NONE;
    case SK_MALFORMED:
    case SK_INVALID: return SK_FAULT_ARGUMENT_INVALID;
    case SK_TOO_LARGE: return SK_FAULT_MESSAGE_TOO_LARGE;
    case SK_NOT_FOUND: return SK_FAULT_DEVICE_NOT_FOUND;
    case SK_EXISTS: return SK_FAULT_DEVICE_EXISTS;
    case SK_CONFLICT: return SK_FAULT_PRECONDITION_FAILED;
    case SK_UNAUTHORIZED: return SK_FAULT_UNAUTHORIZED;
    case SK_FORBIDDEN: return SK_FAULT_UNAUTHORIZED_ACCESS;
    case SK_NO_SPACE: return SK_FAULT_QUOTA_EXCEEDED;
    case SK_AGAIN: return SK_FAULT_THROTTLED;
    case SK_TIMEOUT: return SK_FAULT_GATEWAY_TIMEOUT;
    case SK_CLOSED:
    case SK_REFUSED: return SK_FAULT_UNAVAILABLE;
    case SK_UNSUPPORTED: return SK_FAULT_INVALID_OPERATION;
    case SK_IO: return SK_FAULT_SERVER_ERROR;
    }
    return SK_FAULT_SERVER_ERROR;
}

void sk_error_json(struct sk_buffer *to, const struct sk_error *error, struct sk_span tracking_id,
                   int64_t wall_us) {
    char when[SK_TIME_TEXT];
    sk_time_text(wall_us, when);
    sk_buffer_print(to, "{\"errorCode\":%d,\"trackingId\":\"%.*s\",\"message\":",
                    kinds[error->fault].code, SK_ARG(tracking_id));
    sk_json_string(to, sk_span_z(sk_error_text(error)));
    sk_buffer_print(to, ",\"timestampUtc\":\"%s\"}", when);
}

void sk_error_http_body(struct sk_buffer *to, const struct sk_error *error,
                        struct sk_span tracking_id, int64_t wall_us, bool structured) {
    struct sk_buffer message = {0};
    char when[SK_TIME_TEXT];
    sk_time_text(wall_us, when);
    if (structured)
        sk_error_json(&message, error, tracking_id, wall_us);
    else
        sk_buffer_print(&message, "ErrorCode:%s;%s", kinds[error->fault].name,
                        sk_error_text(error));
    sk_buffer_text(to, "{\"Message\":");
    sk_json_string(to, sk_buffer_span(&message));
    sk_buffer_print(to, ",\"ExceptionMessage\":\"Tracking ID:%.*s-TimeStamp:%s\"}",
                    SK_ARG(tracking_id), when);
    sk_buffer_free(&message);
}
