/* Messages between IoT Hub's model and AMQP's sections. Reference:
 * docs/protocols/device-protocols.md, section 3.5; docs/protocols/service-api.md, section 6. */
#ifndef SK_AZURE_AMQP_MAPPING_H
#define SK_AZURE_AMQP_MAPPING_H

#include "model/message.h"
#include "wire/amqp_message.h"

/* A message that a device or a service sends. What only we may stamp is not taken. Spans point into
 * `from` and the arena. SK_TOO_LARGE: more than SK_PROPERTIES_MAX properties. */
enum sk_status sk_message_from_amqp(const struct sk_amqp_message *from, struct sk_arena *arena,
                                    struct sk_message *message);

/* A cloud-to-device message, or a module's input, for its receiver. */
void sk_message_to_amqp(const struct sk_message *message, struct sk_arena *arena,
                        struct sk_amqp_message *to);

/* The other way: an event as a reader gets it, with what was stamped on it. */
enum sk_status sk_event_from_amqp(const struct sk_amqp_message *from, struct sk_arena *arena,
                                  struct sk_message *message);

/* The delivery tag of a lock token: its 16 bytes as .NET orders them, the first three groups little
 * endian. SK_MALFORMED: not a guid. */
enum sk_status sk_lock_token_tag(struct sk_span token, unsigned char tag[16]);

/* A stored event for readers of the event stream. Its offset is its place in the log. */
void sk_event_to_amqp(const struct sk_message *message, struct sk_arena *arena,
                      struct sk_amqp_message *to);

/* A message that is routed on: to an event hub, whose readers find its sender in annotations, or to
 * a queue or topic, where application properties tell it. */
void sk_routed_to_amqp(const struct sk_message *message, bool event_hub, struct sk_arena *arena,
                       struct sk_amqp_message *to);

#endif
