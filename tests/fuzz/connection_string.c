/* Any connection string: refused with a sentence, or read so that writing it and reading it again
 * gives the same parts. */
#include <stdlib.h>

#include "azure/connection_string.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_connection_string parts, again;
    char error[SK_MODEL_ERROR_MAX] = "";
    struct sk_buffer text = {0};
    if (sk_connection_string_parse(sk_span(data, size), &parts, error)) {
        if (error[0] == 0) abort();
        return 0;
    }
    sk_connection_string_format(&text, &parts);
    if (sk_connection_string_parse(sk_buffer_span(&text), &again, error)) abort();
    if (!sk_span_eq(parts.host_name, again.host_name) ||
        !sk_span_eq(parts.device_id, again.device_id) ||
        !sk_span_eq(parts.module_id, again.module_id) ||
        !sk_span_eq(parts.shared_access_key, again.shared_access_key) ||
        !sk_span_eq(parts.gateway_host_name, again.gateway_host_name) || parts.x509 != again.x509)
        abort();
    sk_buffer_free(&text);
    return 0;
}
