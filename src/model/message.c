#include "model/message.h"

#include <jansson.h>
#include <stdio.h>

/* Names in MQTT property bags and, for people, in JSON (Azure's camelCase). Source:
 * docs/protocols/device-protocols.md, sections 2.4 and 5.1. */
static const struct {
    const char *wire; /* NULL: never in a bag */
    const char *json;
} names[SK_SYS_COUNT] = {
    [SK_SYS_MESSAGE_ID] = {"$.mid", "messageId"},
    [SK_SYS_CORRELATION_ID] = {"$.cid", "correlationId"},
    [SK_SYS_USER_ID] = {"$.uid", "userId"},
    [SK_SYS_TO] = {"$.to", "to"},
    [SK_SYS_EXPIRY] = {"$.exp", "expiryTimeUtc"},
    [SK_SYS_CONTENT_TYPE] = {"$.ct", "contentType"},
    [SK_SYS_CONTENT_ENCODING] = {"$.ce", "contentEncoding"},
    [SK_SYS_CREATION_TIME] = {"$.ctime", "creationTimeUtc"},
    [SK_SYS_OUTPUT] = {"$.on", "outputName"},
    [SK_SYS_INPUT] = {NULL, "inputName"},
    [SK_SYS_INTERFACE_ID] = {"$.ifid", "interfaceId"},
    [SK_SYS_COMPONENT] = {"$.sub", "dt-subject"},
    [SK_SYS_SCHEMA] = {"$.schema", "messageSchema"},
    [SK_SYS_ACK] = {"iothub-ack", "ack"},
    [SK_SYS_OPERATION] = {"iothub-operation", "operation"},
    [SK_SYS_DIAGNOSTIC_ID] = {"$.diagid", "diagnosticId"},
    [SK_SYS_DIAGNOSTIC_CONTEXT] = {"$.diagctx", "diagnosticContext"},
    [SK_SYS_EDGE_NUMBER] = {"$.skn", "edgeNumber"},
    [SK_SYS_MODEL_ID] = {NULL, "dt-dataschema"},
    [SK_SYS_GENERATION_ID] = {NULL, "connectionDeviceGenerationId"},
    [SK_SYS_AUTH_METHOD] = {NULL, "connectionAuthMethod"},
    [SK_SYS_SEQUENCE_NUMBER] = {NULL, "partitionSequenceNumber"},
    [SK_SYS_PARTITION_KEY] = {NULL, "partitionKey"},
};

static const char *const sources[SK_SOURCE_COUNT] = {"Telemetry",
                                                     "twinChangeEvents",
                                                     "deviceLifecycleEvents",
                                                     "deviceConnectionStateEvents",
                                                     "digitalTwinChangeEvents",
                                                     "deviceJobLifecycleEvents",
                                                     "alarmEvents"};

/* The version says how wide the sizes of the variable part are: 16 bits, or, where one does not
 * fit, 32. */
enum { ENVELOPE_NARROW = 1, ENVELOPE_WIDE = 2 };

/* Fixed part of an envelope; the variable part follows without padding. Little endian as all of the
 * log. */
struct head {
    uint8_t version, source;
    uint8_t device_n, module_n;
    uint16_t system_count, property_count;
};

/* A number of an edge, "epoch:sequence", is ours to add, as are stamps; what is longer is
 * neither. */
static bool is_ours(size_t property, size_t n) {
    enum { EDGE_NUMBER_MAX = 64 };
    return property > SK_SYS_EDGE_NUMBER ||
           (property == SK_SYS_EDGE_NUMBER && n <= EDGE_NUMBER_MAX);
}

size_t sk_message_size(const struct sk_message *message) {
    size_t size = message->body.n;
    for (size_t i = 0; i < SK_SYS_COUNT; i++)
        if (!is_ours(i, message->system[i].n)) size += message->system[i].n;
    for (size_t i = 0; i < message->property_count; i++)
        size += message->properties[i].name.n + message->properties[i].value.n;
    return size;
}

const struct sk_property *sk_message_property(const struct sk_message *message,
                                              struct sk_span name) {
    for (size_t i = 0; i < message->property_count; i++)
        if (sk_span_eq_nocase(message->properties[i].name, name)) return &message->properties[i];
    return NULL;
}

/* ---- the envelope ---- */

/* A system property's number or a name's size, then the value's size. */
static void put_sizes(struct sk_buffer *to, bool wide, size_t a, size_t b) {
    if (wide) {
        uint32_t sizes[2] = {(uint32_t)a, (uint32_t)b};
        sk_buffer_append(to, sk_span(sizes, sizeof sizes));
    } else {
        uint16_t sizes[2] = {(uint16_t)a, (uint16_t)b};
        sk_buffer_append(to, sk_span(sizes, sizeof sizes));
    }
}

enum sk_status sk_message_encode_head(struct sk_buffer *to, const struct sk_message *message) {
    if (message->device.n > UINT8_MAX || message->module.n > UINT8_MAX ||
        message->property_count > SK_PROPERTIES_MAX || sk_message_size(message) > UINT32_MAX)
        return SK_TOO_LARGE;
    struct head head = {.version = ENVELOPE_NARROW,
                        .source = (uint8_t)message->source,
                        .device_n = (uint8_t)message->device.n,
                        .module_n = (uint8_t)message->module.n,
                        .property_count = (uint16_t)message->property_count};
    size_t sizes = 0; /* every bit that one of them has */
    for (size_t i = 0; i < SK_SYS_COUNT; i++) {
        head.system_count = (uint16_t)(head.system_count + (message->system[i].p != NULL));
        sizes |= message->system[i].n;
    }
    for (size_t i = 0; i < message->property_count; i++)
        sizes |= message->properties[i].name.n | message->properties[i].value.n;
    bool wide = sizes > UINT16_MAX;
    if (wide) head.version = ENVELOPE_WIDE;
    sk_buffer_append(to, sk_span(&head, sizeof head));
    sk_buffer_append(to, message->device);
    sk_buffer_append(to, message->module);
    for (size_t i = 0; i < SK_SYS_COUNT; i++) {
        if (message->system[i].p == NULL) continue;
        put_sizes(to, wide, i, message->system[i].n);
        sk_buffer_append(to, message->system[i]);
    }
    for (size_t i = 0; i < message->property_count; i++) {
        const struct sk_property *property = &message->properties[i];
        put_sizes(to, wide, property->name.n, property->value.n);
        sk_buffer_append(to, property->name);
        sk_buffer_append(to, property->value);
    }
    return SK_OK;
}

static bool take(struct sk_span *from, size_t n, struct sk_span *part) {
    if (from->n < n) return false;
    *part = sk_span_first(*from, n);
    *from = sk_span_skip(*from, n);
    return true;
}

static bool take_sizes(struct sk_span *from, bool wide, uint32_t sizes[2]) {
    struct sk_span part;
    uint16_t narrow[2];
    if (!take(from, wide ? 2 * sizeof *sizes : sizeof narrow, &part)) return false;
    if (wide) {
        memcpy(sizes, part.p, part.n);
    } else {
        memcpy(narrow, part.p, part.n);
        sizes[0] = narrow[0];
        sizes[1] = narrow[1];
    }
    return true;
}

enum sk_status sk_message_decode(struct sk_span envelope, struct sk_arena *arena,
                                 struct sk_message *message) {
    struct head head;
    struct sk_span part;
    uint32_t sizes[2];
    *message = (struct sk_message){0};
    if (!take(&envelope, sizeof head, &part)) return SK_MALFORMED;
    memcpy(&head, part.p, sizeof head);
    bool wide = head.version == ENVELOPE_WIDE;
    if ((!wide && head.version != ENVELOPE_NARROW) || head.source >= SK_SOURCE_COUNT ||
        head.property_count > SK_PROPERTIES_MAX)
        return SK_MALFORMED;
    message->source = (enum sk_source)head.source;
    if (!take(&envelope, head.device_n, &message->device) ||
        !take(&envelope, head.module_n, &message->module))
        return SK_MALFORMED;
    for (size_t i = 0; i < head.system_count; i++) {
        if (!take_sizes(&envelope, wide, sizes)) return SK_MALFORMED;
        if (sizes[0] >= SK_SYS_COUNT || !take(&envelope, sizes[1], &message->system[sizes[0]]))
            return SK_MALFORMED;
    }
    struct sk_property *properties =
        head.property_count ? sk_arena_alloc(arena, head.property_count * sizeof *properties)
                            : NULL;
    for (size_t i = 0; i < head.property_count; i++) {
        if (!take_sizes(&envelope, wide, sizes)) return SK_MALFORMED;
        if (!take(&envelope, sizes[0], &properties[i].name) ||
            !take(&envelope, sizes[1], &properties[i].value))
            return SK_MALFORMED;
    }
    message->properties = properties;
    message->property_count = head.property_count;
    message->body = envelope;
    return SK_OK;
}

/* ---- property bags ---- */

bool sk_message_set_wire(struct sk_message *message, struct sk_span name, struct sk_span value) {
    if (name.n == 0 || (name.p[0] != '$' && name.p[0] != 'i')) return false;
    for (size_t i = 0; i < SK_SYS_COUNT; i++)
        if (names[i].wire && sk_span_is(name, names[i].wire)) {
            message->system[i] = value;
            return true;
        }
    if (sk_span_is(name, "$.cdid"))
        message->device = value;
    else if (sk_span_is(name, "$.cmid"))
        message->module = value;
    else
        return false;
    return true;
}

enum sk_status sk_bag_parse(struct sk_span bag, struct sk_arena *arena,
                            struct sk_message *message) {
    if (bag.n && bag.p[0] == '?') bag = sk_span_skip(bag, 1);
    if (bag.n && bag.p[bag.n - 1] == '/') bag.n--;
    size_t count = 1;
    for (size_t i = 0; i < bag.n; i++) count += bag.p[i] == '&';
    if (bag.n == 0) return SK_OK;
    if (count > SK_PROPERTIES_MAX + SK_SYS_COUNT) return SK_TOO_LARGE;
    struct sk_property *properties =
        sk_arena_alloc(arena, (message->property_count + count) * sizeof *properties);
    size_t n = message->property_count;
    if (n) memcpy(properties, message->properties, n * sizeof *properties);
    for (struct sk_span part; sk_span_split(&bag, '&', &part);) {
        if (part.n == 0) continue;
        size_t equals = sk_span_find(part, '=');
        struct sk_span name = sk_percent_decoded(arena, sk_span_first(part, equals));
        struct sk_span value = sk_percent_decoded(arena, sk_span_skip(part, equals + 1));
        if (value.p == NULL) value = SK_SPAN(""); /* "key" without '=': an empty value */
        if (!sk_message_set_wire(message, name, value))
            properties[n++] = (struct sk_property){name, value};
    }
    if (n > SK_PROPERTIES_MAX) return SK_TOO_LARGE;
    message->properties = properties;
    message->property_count = n;
    return SK_OK;
}

static void put_bag(struct sk_buffer *to, bool *first, struct sk_span name, struct sk_span value) {
    if (!*first) sk_buffer_byte(to, '&');
    *first = false;
    sk_percent_encode_topic(to, name);
    sk_buffer_byte(to, '=');
    sk_percent_encode_topic(to, value);
}

void sk_bag_format(struct sk_buffer *to, const struct sk_message *message) {
    bool first = true;
    for (size_t i = 0; i < SK_SYS_COUNT; i++)
        if (names[i].wire && message->system[i].p)
            put_bag(to, &first, sk_span_z(names[i].wire), message->system[i]);
    for (size_t i = 0; i < message->property_count; i++)
        put_bag(to, &first, message->properties[i].name, message->properties[i].value);
}

bool sk_message_system(const struct sk_message *message, struct sk_span name,
                       struct sk_span *value) {
    *value = SK_NONE;
    if (sk_span_eq_nocase(name, SK_SPAN("connectionDeviceId")))
        *value = message->device;
    else if (sk_span_eq_nocase(name, SK_SPAN("connectionModuleId")))
        *value = message->module.n ? message->module : SK_NONE;
    else if (sk_span_eq_nocase(name, SK_SPAN("iothub-message-source")))
        *value = sk_span_z(sources[message->source]);
    for (size_t i = 0; i < SK_SYS_COUNT && value->p == NULL; i++)
        if (message->system[i].p && sk_span_eq_nocase(name, sk_span_z(names[i].json)))
            *value = message->system[i];
    return value->p != NULL;
}

bool sk_message_set_system(struct sk_message *message, struct sk_span name, struct sk_span value) {
    for (size_t i = 0; i < SK_SYS_EDGE_NUMBER; i++) {
        if (!sk_span_eq_nocase(name, sk_span_z(names[i].json))) continue;
        message->system[i] = value;
        return true;
    }
    return false;
}

/* ---- for people ---- */

static void put_member(struct sk_buffer *to, const char *name, struct sk_span value) {
    sk_buffer_print(to, ",\"%s\":", name);
    sk_json_string(to, value);
}

static void put_body(struct sk_buffer *to, struct sk_span body) {
    json_t *json = json_loadb(body.p ? body.p : "", body.n, JSON_DECODE_ANY, NULL);
    bool binary =
        body.n && memchr(body.p, 0, body.n); /* and what is not UTF-8: then `text` is NULL */
    json_t *text = json || binary ? NULL : json_stringn(body.p ? body.p : "", body.n);
    if (json) {
        sk_buffer_append(to, sk_span_trim(body));
    } else if (text) {
        sk_json_string(to, body);
    } else {
        sk_buffer_text(to, "{\"base64\":\"");
        sk_base64_encode(to, body);
        sk_buffer_text(to, "\"}");
    }
    json_decref(json);
    json_decref(text);
}

void sk_message_json(struct sk_buffer *to, const struct sk_message *message) {
    char when[SK_TIME_TEXT];
    sk_time_text(message->enqueued_us, when);
    sk_buffer_print(to, "{\"sequenceNumber\":%llu,\"enqueuedTimeUtc\":\"%s\",\"source\":\"%s\"",
                    (unsigned long long)message->sequence, when, sources[message->source]);
    put_member(to, "deviceId", message->device);
    if (message->module.n) put_member(to, "moduleId", message->module);
    sk_buffer_text(to, ",\"systemProperties\":{");
    size_t start = to->n;
    for (size_t i = 0; i < SK_SYS_COUNT; i++)
        if (message->system[i].p) {
            if (to->n > start) sk_buffer_byte(to, ',');
            sk_buffer_print(to, "\"%s\":", names[i].json);
            sk_json_string(to, message->system[i]);
        }
    sk_buffer_text(to, "},\"properties\":{");
    for (size_t i = 0; i < message->property_count; i++) {
        if (i) sk_buffer_byte(to, ',');
        sk_json_string(to, message->properties[i].name);
        sk_buffer_byte(to, ':');
        sk_json_string(to, message->properties[i].value);
    }
    sk_buffer_text(to, "},\"body\":");
    put_body(to, message->body);
    sk_buffer_byte(to, '}');
}
