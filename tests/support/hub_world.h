/* A hub in the simulated world with the devices d1 and d2, asked directly at its backend; and
 * devices with sessions that take cloud-to-device messages. */
#ifndef TESTS_HUB_WORLD_H
#define TESTS_HUB_WORLD_H

#include <stdio.h>

#include "hub/parts.h"
#include "io/sim/sim.h"
#include "support/test.h"

enum { SEEN_MAX = 256 };

extern struct sk_sim *sim;
extern struct sk_io *io;
extern struct sk_hub *hub;
extern struct sk_hub_options options;

/* ---- asking ---- */

extern struct outcome {
    bool done;
    enum sk_fault fault;
    bool has_message;
    char token[40], body[8192], ack[16];
    uint64_t sequence;
    unsigned deliveries;
    bool redelivered;
    long long purged;
    struct sk_outbox_source *feedback;
} outcome;

void copy(char *to, size_t size, struct sk_span from);

/* One request, to its end. */
enum sk_fault ask(struct sk_request request);

struct sk_message message_of(const char *id, const char *ack, const char *body);
enum sk_fault send_message(const char *device, const struct sk_message *message);
enum sk_fault send_text(const char *device, const char *id, const char *ack);

/* An HTTPS client's GET; false: the queue is empty. */
bool receive(const char *device, unsigned lock_s);

enum sk_fault settle_token(const char *device, const char *token, enum sk_outcome how);
enum sk_fault purge(const char *device);
void pass(uint64_t ns);

/* Telemetry of a device, until it is acknowledged; `message` has its properties and body. */
enum sk_fault send_telemetry(const char *device, struct sk_message message);
/* All events, from the oldest on; the caller closes it. */
struct sk_event_source *open_stream(void);

/* ---- a device with a session ---- */

struct device {
    struct sk_session session;
    size_t room; /* deliveries that it takes and does not settle */
    size_t count, unsettled;
    struct seen {
        char body[64];
        uint64_t delivery;
        unsigned deliveries;
        bool redelivered;
    } seen[SEEN_MAX];
};

extern const struct sk_head mqtt_like;
extern const struct sk_head amqp_like;

void connect_device(struct device *d, const char *id, const struct sk_head *head, size_t room);
void disconnect_device(struct device *d);
enum sk_fault settle(struct device *d, size_t index, enum sk_outcome how);

/* ---- the world ---- */

void open_hub(void);
void close_hub(void);
void put_device(const char *id, bool disabled);
void delete_device(const char *id);
int start_world(void **state);
int end_world(void **state);

#endif
