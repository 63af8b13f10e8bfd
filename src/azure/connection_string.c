/* Connection strings (docs/protocols/device-protocols.md, section 1.9). */
#include "azure/connection_string.h"

#include <stdio.h>

/* Names and places of the parts that are spans, in the order in which they are written. */
static const struct {
    const char *name;
    size_t place;
} fields[] = {
    {"HostName", offsetof(struct sk_connection_string, host_name)},
    {"DeviceId", offsetof(struct sk_connection_string, device_id)},
    {"ModuleId", offsetof(struct sk_connection_string, module_id)},
    {"SharedAccessKeyName", offsetof(struct sk_connection_string, shared_access_key_name)},
    {"SharedAccessKey", offsetof(struct sk_connection_string, shared_access_key)},
    {"SharedAccessSignature", offsetof(struct sk_connection_string, shared_access_signature)},
    {"GatewayHostName", offsetof(struct sk_connection_string, gateway_host_name)},
};

static struct sk_span *field_of(struct sk_connection_string *parts, size_t i) {
    return (struct sk_span *)((char *)parts + fields[i].place);
}

static enum sk_status refuse(char error[SK_MODEL_ERROR_MAX], const char *sentence) {
    snprintf(error, SK_MODEL_ERROR_MAX, "%s", sentence);
    return SK_MALFORMED;
}

static enum sk_status read_part(struct sk_span part, struct sk_connection_string *parts,
                                char error[SK_MODEL_ERROR_MAX]) {
    size_t equals = sk_span_find(part, '=');
    /* A part that is no `name=value` may be half a key: it is not shown. */
    if (equals == part.n)
        return refuse(error,
                      "A part of the connection string has no '=': write Name=Value;Name=Value.");
    struct sk_span name = sk_span_trim(sk_span_first(part, equals)),
                   value = sk_span_trim(sk_span_skip(part, equals + 1));
    if (value.n == 0) return SK_OK;
    if (sk_span_is(name, "x509")) {
        parts->x509 = sk_span_eq_nocase(value, SK_SPAN("true"));
        return SK_OK;
    }
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (!sk_span_is(name, fields[i].name)) continue;
        if (field_of(parts, i)->n) {
            snprintf(error, SK_MODEL_ERROR_MAX, "The connection string has %s twice.",
                     fields[i].name);
            return SK_MALFORMED;
        }
        *field_of(parts, i) = value;
        return SK_OK;
    }
    snprintf(error, SK_MODEL_ERROR_MAX,
             "The connection string has a part with the unknown name '%.*s'.",
             SK_ARG(sk_span_first(name, 40)));
    return SK_MALFORMED;
}

enum sk_status sk_connection_string_parse(struct sk_span text, struct sk_connection_string *parts,
                                          char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span rest = sk_span_trim(text), part;
    memset(parts, 0, sizeof *parts);
    for (size_t i = 0; i < rest.n; i++)
        if ((uint8_t)rest.p[i] < 0x20 || rest.p[i] == 0x7f)
            return refuse(error,
                          "The connection string has a control character in it: copy it again.");
    while (sk_span_split(&rest, ';', &part)) {
        if (sk_span_trim(part).n == 0) continue;
        enum sk_status status = read_part(part, parts, error);
        if (status) return status;
    }
    if (parts->host_name.n == 0) return refuse(error, "The connection string has no HostName.");
    if (parts->module_id.n && parts->device_id.n == 0)
        return refuse(error, "The connection string has a ModuleId but no DeviceId.");
    if ((parts->device_id.n && sk_id_check(parts->device_id)) ||
        (parts->module_id.n && sk_id_check(parts->module_id)))
        return refuse(error, "The connection string's DeviceId or ModuleId is not a valid id.");
    struct sk_buffer key = {0};
    enum sk_status status = sk_base64_decode(&key, parts->shared_access_key);
    sk_buffer_free(&key);
    if (status)
        return refuse(error,
                      "The connection string's SharedAccessKey is not base64: copy it again.");
    return SK_OK;
}

void sk_connection_string_format(struct sk_buffer *to, const struct sk_connection_string *parts) {
    struct sk_connection_string copy = *parts;
    size_t begin = to->n;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct sk_span value = *field_of(&copy, i);
        if (value.n)
            sk_buffer_print(to, "%s%s=%.*s", to->n > begin ? ";" : "", fields[i].name,
                            SK_ARG(value));
    }
    if (copy.x509) sk_buffer_text(to, ";x509=true");
}
