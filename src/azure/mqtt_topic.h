/* MQTT topics of IoT Hub, both directions, and the subscription filters. Reference:
 * docs/protocols/device-protocols.md, sections 2.1, 2.2, 2.6. */
#ifndef SK_AZURE_MQTT_TOPIC_H
#define SK_AZURE_MQTT_TOPIC_H

#include "model/request.h"

enum sk_topic_kind {
    SK_TOPIC_UNKNOWN,
    /* device or module → server */
    SK_TOPIC_TELEMETRY,       /* device, module, bag */
    SK_TOPIC_METHOD_RESPONSE, /* status, rid */
    SK_TOPIC_TWIN_GET,        /* rid */
    SK_TOPIC_TWIN_REPORT,     /* rid, version (0: not given) */
    /* server → device or module */
    SK_TOPIC_C2D,           /* device, bag */
    SK_TOPIC_INPUT,         /* device, module, name (of the input), bag */
    SK_TOPIC_METHOD_CALL,   /* name, rid */
    SK_TOPIC_TWIN_RESPONSE, /* status, rid, version */
    SK_TOPIC_DESIRED,       /* version */
};

/* All spans point into the topic, as they came (still percent-encoded). */
struct sk_topic {
    enum sk_topic_kind kind;
    struct sk_span device, module, name, rid, bag;
    int64_t status;
    uint64_t version;
};
/* Never fails: what is not in the tables is SK_TOPIC_UNKNOWN. */
void sk_topic_parse(struct sk_span topic, struct sk_topic *parsed);

/* The bit of a filter (SK_SUB_…, without the QoS bits), 0 for one that is not in the tables;
 * `*device`/`*module` are the ids in it, if any; compare them with sk_topic_filter_id_is(). */
unsigned sk_topic_filter(struct sk_span filter, struct sk_span *device, struct sk_span *module);

/* An id segment against an id: verbatim or percent-decoded; of a filter also the wildcard '+',
 * which clients write where they mean their own (the Embedded C SDK has no other form), but
 * where there is no id it stands for none. */
bool sk_topic_id_is(struct sk_span segment, struct sk_span id);
bool sk_topic_filter_id_is(struct sk_span segment, struct sk_span id);

/* Writers; ids are written as they are. */
void sk_topic_put_telemetry(struct sk_buffer *to, struct sk_span device, struct sk_span module,
                            const struct sk_message *message);
void sk_topic_put_c2d(struct sk_buffer *to, struct sk_span device,
                      const struct sk_message *message);
void sk_topic_put_input(struct sk_buffer *to, struct sk_span device, struct sk_span module,
                        const struct sk_message *message);

#endif
