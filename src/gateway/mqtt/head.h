/* The MQTT head's parts. Inside src/gateway/mqtt only. */
#ifndef SK_GATEWAY_MQTT_HEAD_H
#define SK_GATEWAY_MQTT_HEAD_H

#include "gateway/parts.h"

enum {
    SK_MQTT_HEAD_WINDOW = 16, /* messages on their way to the client, not yet acknowledged */
    SK_MQTT_HEAD_PACKET_MAX =
        SK_MESSAGE_MAX + 65536 + 64,       /* a topic of full length beside a full body */
    SK_MQTT_HEAD_CONNECT_MAX = 16 * 1024,  /* before the client is known */
    SK_MQTT_HEAD_SILENCE_MAX_MS = 1767000, /* one and a half times the longest keep-alive */
};

enum mqtt_state { MQTT_WAITING, MQTT_AUTHENTICATING, MQTT_OPEN, MQTT_CLOSING };

struct sk_mqtt_head {
    struct sk_connection connection;
    struct sk_stream *stream; /* NULL once it is gone */
    struct sk_session session;
    struct sk_backend *backend;
    struct sk_authentication *authentication;
    enum mqtt_state state;
    bool graceful, clean, ending;
    unsigned pending;        /* requests at the backend that will come back to us */
    struct sk_budget budget; /* what they take */
    struct sk_buffer in;     /* the start of a packet */
    struct sk_timer timer;
    unsigned silence_max_ms;
    char *model_id;
    char *will_topic;
    struct sk_buffer will_payload;
    uint16_t next_id;
    struct sk_mqtt_sent *window; /* of SK_MQTT_HEAD_WINDOW; NULL before the first message */
};

/* A message on its way to the client. */
struct sk_mqtt_sent {
    uint16_t id; /* 0: free */
    uint64_t delivery;
};

/* A request made of a packet; comes back through its `done`. */
struct sk_mqtt_request {
    struct sk_request request;
    struct sk_mqtt_head *head;
    struct sk_cost cost;
    char *rid;
    uint16_t id; /* of a PUBLISH at QoS 1; 0: no PUBACK is due */
};

/* connection.c */
void sk_mqtt_head_fail(struct sk_mqtt_head *m, const char *why);
/* `bytes`: of its payload. */
struct sk_mqtt_request *sk_mqtt_request_new(struct sk_mqtt_head *m, enum sk_op op, size_t bytes);
/* Stores what the session has subscribed to, or drops it; it counts as a request until that is
 * done. */
void sk_mqtt_head_save(struct sk_mqtt_head *m);
/* Decides whether the client is read now. */
void sk_mqtt_head_reading(struct sk_mqtt_head *m);
/* Frees it; reading may go on, a closed head may go. */
void sk_mqtt_request_over(struct sk_mqtt_request *r);
/* Takes one off `pending`; a head that is closed and waits for nothing goes. */
void sk_mqtt_head_release(struct sk_mqtt_head *m);
/* The first packet must come within a minute. */
void sk_mqtt_head_expect(struct sk_mqtt_head *m);
/* CONNACK is out: keep-alive begins. */
void sk_mqtt_head_opened(struct sk_mqtt_head *m);
/* We end: when what has come is answered, a second later at most. */
void sk_mqtt_head_end(struct sk_connection *connection);

/* operations.c: what comes in PUBLISH, SUBSCRIBE and PUBACK, and what goes out. */
void sk_mqtt_on_publish(struct sk_mqtt_head *m, const struct sk_mqtt_publish *publish);
void sk_mqtt_on_subscribe(struct sk_mqtt_head *m, const struct sk_mqtt_packet *packet);
void sk_mqtt_on_puback(struct sk_mqtt_head *m, uint16_t id);
void sk_mqtt_send_will(struct sk_mqtt_head *m);
extern const struct sk_head sk_mqtt_head_ops;

/* connect.c: CONNECT and its user name. */
void sk_mqtt_on_connect(struct sk_mqtt_head *m, const struct sk_mqtt_connect *connect);

/* "{host}/{device}[/{module}]/?api-version=…&model-id=…" and its older forms
 * (docs/protocols/device-protocols.md, section 1.4). Spans point into `user`, query values are
 * decoded into the arena. SK_MALFORMED. */
struct sk_mqtt_user {
    struct sk_span host, device, module, api_version, model_id, auth_chain;
};
enum sk_status sk_mqtt_user_parse(struct sk_span user, struct sk_arena *arena,
                                  struct sk_mqtt_user *parsed);

#endif
