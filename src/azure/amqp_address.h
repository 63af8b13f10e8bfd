/* AMQP link addresses of IoT Hub and of its Event Hubs-compatible endpoint. Reference:
 * docs/protocols/device-protocols.md, section 3.2; docs/protocols/service-api.md, section 6. */
#ifndef SK_AZURE_AMQP_ADDRESS_H
#define SK_AZURE_AMQP_ADDRESS_H

#include "base/base.h"

enum sk_address_kind {
    SK_ADDRESS_UNKNOWN,
    SK_ADDRESS_CBS, /* $cbs */
    /* of a device or module: device, module */
    SK_ADDRESS_EVENTS,  /* …/messages/events: telemetry; as a source: a module's inputs */
    SK_ADDRESS_C2D,     /* …/messages/deviceBound */
    SK_ADDRESS_METHODS, /* …/methods/deviceBound */
    SK_ADDRESS_TWIN,    /* …/twin */
    /* of the service */
    SK_ADDRESS_SERVICE_C2D, /* /messages/devicebound */
    SK_ADDRESS_FEEDBACK,    /* /messages/serviceBound/feedback */
    SK_ADDRESS_FILES,       /* /messages/serviceBound/filenotifications */
    /* of the event stream: entity (a path, "messages/events" for the alias), group, partition */
    SK_ADDRESS_MANAGEMENT, /* [{entity}/]$management */
    SK_ADDRESS_RECEIVER,   /* {entity}/ConsumerGroups/{group}/Partitions/{partition} */
    SK_ADDRESS_SENDER,     /* {entity}[/Partitions/{partition}] */
};

struct sk_address {
    enum sk_address_kind kind;
    struct sk_span device, module; /* decoded */
    struct sk_span entity, group, partition;
    bool full; /* a whole URI: "amqps://host/…" */
};

/* Never fails: what is not in the table is SK_ADDRESS_SENDER of an entity of that name, or
 * SK_ADDRESS_UNKNOWN when it cannot be one. Fixed words are compared without case. Ids are decoded
 * into the arena. */
void sk_address_parse(struct sk_span text, struct sk_arena *arena, struct sk_address *address);

#endif
