/* WebSocket frames (RFC 6455) without I/O, for both roles, on wslay's frame codec.
 *
 * Binary messages are a stream of bytes here: their payload goes through as it comes, whatever
 * the frames and fragments it is cut into, and nothing is gathered but a control frame's 125
 * bytes. Pings are answered, a Close is returned. Text messages are refused with 1003; what
 * breaks the protocol (unmasked frames from a client, reserved bits, fragments without a
 * beginning) with 1002; messages beyond SK_WEBSOCKET_MESSAGE_MAX with 1009. */
#ifndef SK_WIRE_WEBSOCKET_H
#define SK_WIRE_WEBSOCKET_H

#include "base/base.h"

/* A message may hold many MQTT or AMQP packets; it is bounded because no honest client needs
 * more. */
#define SK_WEBSOCKET_MESSAGE_MAX (16u << 20)

enum sk_websocket_code { /* RFC 6455, 7.4.1 */
                         SK_WEBSOCKET_NORMAL = 1000,
                         SK_WEBSOCKET_PROTOCOL_ERROR = 1002,
                         SK_WEBSOCKET_UNSUPPORTED = 1003,
                         SK_WEBSOCKET_NO_CODE =
                             1005, /* never on the wire: the peer's Close had none */
                         SK_WEBSOCKET_TOO_BIG = 1009,
};

struct sk_websocket;
/* Fills `n` unpredictable bytes: a client's masks. */
typedef void sk_websocket_random(void *arg, void *to, size_t n);
/* `random` NULL: the server's side. */
struct sk_websocket *sk_websocket_new(sk_websocket_random *random, void *arg);
void sk_websocket_free(struct sk_websocket *ws);

/* Takes all of `bytes` from the peer. Payload of binary messages is appended to `payload`, our own
 * frames (Pong, Close) to `out`.
 *
 * returns  SK_OK: go on; SK_CLOSED: the peer has closed, send `out` and close; SK_MALFORMED,
 *          SK_TOO_LARGE: likewise, the Close in `out` says why. Nothing may be fed after those; the
 *          payload that came before counts */
enum sk_status sk_websocket_feed(struct sk_websocket *ws, struct sk_span bytes,
                                 struct sk_buffer *payload, struct sk_buffer *out);
/* The code of the Close that sk_websocket_feed put out after anything but SK_OK; 0 before. */
unsigned sk_websocket_closed(const struct sk_websocket *ws);

/* Appends `payload` as one binary message. */
void sk_websocket_put(struct sk_websocket *ws, struct sk_span payload, struct sk_buffer *out);
/* Appends a Close; does nothing when one was sent before. */
void sk_websocket_put_close(struct sk_websocket *ws, enum sk_websocket_code code,
                            struct sk_buffer *out);

/* ---- the opening handshake ---- */

#define SK_WEBSOCKET_KEY_SIZE 24    /* base64 of 16 bytes */
#define SK_WEBSOCKET_ACCEPT_SIZE 28 /* base64 of 20 bytes */
/* Whether a Sec-WebSocket-Key is one. */
bool sk_websocket_key_valid(struct sk_span key);
/* Sec-WebSocket-Accept for a key. */
void sk_websocket_accept(struct sk_span key, char accept[SK_WEBSOCKET_ACCEPT_SIZE + 1]);

#endif
