/* A client that says exactly what a test tells it to, byte for byte, in the simulated world. */
#ifndef TESTS_RAW_CLIENT_H
#define TESTS_RAW_CLIENT_H

#include "support/fleet.h"
#include "wire/mqtt.h"

enum { RAW_UNACKNOWLEDGED_MAX = 16 };

struct raw_client {
    struct sk_sim *sim;
    struct watch *watch; /* of the hub that it speaks to, or NULL: another's */
    struct raw_unacknowledged {
        uint16_t id; /* 0: free */
        size_t arrival;
        char sender[64];
    } unacknowledged[RAW_UNACKNOWLEDGED_MAX]; /* telemetry, by packet id */
    struct sk_stream *stream;                 /* NULL once closed */
    bool open;
    struct sk_buffer in;   /* come and not yet taken */
    struct sk_buffer last; /* what was taken last: a packet's spans point here */
};

extern const struct sk_stream_events raw_events; /* of its stream */

bool raw_is_settled(void *arg);
void raw_open(struct raw_client *c, struct fleet *f, const char *host);
bool raw_is_closed(void *arg);

/* The connection breaks off: no DISCONNECT, no goodbye. */
void raw_abort(struct raw_client *c);

void raw_free(struct raw_client *c);
void raw_send(struct raw_client *c, struct sk_span bytes);
void raw_send_buffer(struct raw_client *c, struct sk_buffer *bytes);

/* ---- MQTT ---- */

/* The next packet; false: the other end closed before one came, or none came in time. */
bool raw_next(struct raw_client *c, struct sk_mqtt_packet *packet);

struct sk_mqtt_packet raw_expect(struct raw_client *c, enum sk_mqtt_type type);
void raw_expect_connack(struct raw_client *c, unsigned code, bool session_present);
void raw_expect_ack(struct raw_client *c, enum sk_mqtt_type type, uint16_t id);

/* The other end closes without another packet. */
void raw_expect_closed(struct raw_client *c);

/* Nothing comes and the connection stays. */
void raw_expect_nothing(struct raw_client *c);

void raw_ping(struct raw_client *c);

/* Who connects, and how. Zero is clean session 0, keep-alive 0, a token of an hour from FLEET_KEY.
 */
struct raw_connect {
    const char *device, *module;
    const char *user;      /* NULL: "hub.test/{device}[/{module}]/?api-version=2021-04-12" */
    const char *client_id; /* NULL: the identity */
    const char *password;  /* NULL: a good token */
    const char *resource;  /* of the token; NULL: the identity's */
    const char *key,
        *policy; /* a wrong key must differ in more than zeros at its end: HMAC pads with them */
    int64_t life_s;
    bool clean;
    uint16_t keep_alive_s;
    const char *will_topic, *will_payload;
    uint8_t will_qos;
};

void raw_put_connect(struct sk_buffer *to, struct fleet *f, const struct raw_connect *as);

/* A fresh connection that has said CONNECT. */
void raw_dial(struct raw_client *c, struct fleet *f, const char *host,
              const struct raw_connect *as);

/* A device at the hub, clean session, taken. */
void raw_login(struct raw_client *c, struct fleet *f, const char *device);

void raw_publish(struct raw_client *c, const char *topic, struct sk_span payload, uint8_t qos,
                 uint16_t id);
void raw_subscribe(struct raw_client *c, uint16_t id, const char *filter, uint8_t qos);
void raw_expect_suback(struct raw_client *c, uint16_t id, const char *codes, size_t count);

/* ---- HTTP ---- */

struct raw_answer {
    struct sk_http_parser parser; /* status, headers, body */
    bool complete;
};

/* The next answer on the connection; free it with sk_http_parser_free(&answer->parser). */
void raw_next_answer(struct raw_client *c, struct raw_answer *answer);

#endif
