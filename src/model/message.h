/* A message on its way: who sent it, its properties and its body, and the one form in which it is
 * stored.
 *
 * All spans borrow: from the network buffer, an arena or a log record. The stored form ("envelope")
 * is the same for hub and edge hub and is read in place; layout in docs/log-format.md. */
#ifndef SK_MODEL_MESSAGE_H
#define SK_MODEL_MESSAGE_H

#include "base/base.h"

#define SK_MESSAGE_MAX (256 * 1024) /* body and properties; 413001 beyond */
#define SK_PROPERTIES_MAX 1024      /* application properties of one message */

/* System properties. Wire names in each protocol: message.c. */
enum sk_system_property {
    SK_SYS_MESSAGE_ID,
    SK_SYS_CORRELATION_ID,
    SK_SYS_USER_ID,
    SK_SYS_TO,
    SK_SYS_EXPIRY,
    SK_SYS_CONTENT_TYPE,
    SK_SYS_CONTENT_ENCODING,
    SK_SYS_CREATION_TIME,
    SK_SYS_OUTPUT,
    SK_SYS_INPUT,
    SK_SYS_INTERFACE_ID,
    SK_SYS_COMPONENT,
    SK_SYS_SCHEMA,
    SK_SYS_ACK,
    SK_SYS_OPERATION,
    SK_SYS_DIAGNOSTIC_ID,
    SK_SYS_DIAGNOSTIC_CONTEXT,
    SK_SYS_EDGE_NUMBER, /* Skerry's own: what an edge forwards, numbered; see gateway/once.h */
    /* stamped by us, never taken from a device */
    SK_SYS_MODEL_ID,
    SK_SYS_GENERATION_ID,
    SK_SYS_AUTH_METHOD,
    SK_SYS_SEQUENCE_NUMBER, /* within the partition of the event stream */
    SK_SYS_PARTITION_KEY,   /* of what was sent to the stream itself; a device's message has none */
    SK_SYS_COUNT
};

/* Where a message comes from; the `source` of routes. */
enum sk_source {
    SK_SOURCE_TELEMETRY,
    SK_SOURCE_TWIN_CHANGES,
    SK_SOURCE_DEVICE_LIFECYCLE,
    SK_SOURCE_CONNECTION_STATE,
    SK_SOURCE_DIGITAL_TWIN_CHANGES,
    SK_SOURCE_JOB_LIFECYCLE,
    SK_SOURCE_ALARMS, /* ours */
    SK_SOURCE_COUNT
};

struct sk_property {
    struct sk_span name, value;
};

struct sk_c2d;

struct sk_message {
    enum sk_source source;
    struct sk_span device, module; /* the sender, of a cloud-to-device message the device that it is
                                    * for; no module: empty */
    struct sk_span system[SK_SYS_COUNT];
    const struct sk_property *properties;
    size_t property_count;
    struct sk_span body;
    int64_t enqueued_us;      /* from the record, when stored */
    uint64_t sequence;        /* likewise */
    const struct sk_c2d *c2d; /* of a cloud-to-device message on its way; model/c2d.h */
};

/* Bytes that count against SK_MESSAGE_MAX: body, values of system properties (not of those that we
 * add: an edge's number, stamps), names and values of application properties. */
size_t sk_message_size(const struct sk_message *message);
/* First application property of this name (ASCII case-insensitive), or NULL. */
const struct sk_property *sk_message_property(const struct sk_message *message,
                                              struct sk_span name);

/* Appends all of the envelope but the body, which follows it in the record: parts {head,
 * message->body}. SK_TOO_LARGE, and nothing is appended, for what could not be read back: an id of
 * more than 255 bytes, more than SK_PROPERTIES_MAX properties. */
enum sk_status sk_message_encode_head(struct sk_buffer *head, const struct sk_message *message);
/* Reads an envelope in place; the property array comes from the arena. SK_MALFORMED. */
enum sk_status sk_message_decode(struct sk_span envelope, struct sk_arena *arena,
                                 struct sk_message *message);

/* Property bags of MQTT topics: "k=v&%24.ct=application%2Fjson". Parsing decodes into the arena,
 * puts system properties in their place (keys that only we may stamp are dropped), tolerates a
 * leading '?', a trailing '/', empty parts and keys without '='. SK_TOO_LARGE: more than
 * SK_PROPERTIES_MAX. Formatting encodes '$' and '/', without a leading '?'. */
enum sk_status sk_bag_parse(struct sk_span bag, struct sk_arena *arena, struct sk_message *message);
void sk_bag_format(struct sk_buffer *to, const struct sk_message *message);

/* Sets or clears; `name` as in a bag ("$.ct"). True when it was a system property. */
bool sk_message_set_wire(struct sk_message *message, struct sk_span name, struct sk_span value);

/* System property by its name in routes and JSON ("contentType", "connectionDeviceId", …; ASCII
 * case-insensitive); false: not set. */
bool sk_message_system(const struct sk_message *message, struct sk_span name,
                       struct sk_span *value);

/* Sets one by such a name, of those that a sender may give; false: there is none. */
bool sk_message_set_system(struct sk_message *message, struct sk_span name, struct sk_span value);

/* {"body":…,"properties":{…},"systemProperties":{…},…}: how tools show a message. The body is JSON
 * when it is valid JSON text, a string when it is UTF-8, else {"base64":…}. */
void sk_message_json(struct sk_buffer *to, const struct sk_message *message);

#endif
