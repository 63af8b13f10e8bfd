#include "wire/websocket.h"

#include <openssl/sha.h>
#include <wslay/wslay.h>

enum { CONTROL_MAX = 125 };

struct sk_websocket {
    wslay_frame_context_ptr frames;
    sk_websocket_random *random; /* NULL: server */
    void *arg;
    struct sk_span input;     /* during a feed: what wslay has not taken yet */
    struct sk_buffer *output; /* during any call: where frames go */

    bool in_frame, in_message;
    uint8_t opcode;
    uint64_t frame_left, message_size;
    unsigned char control[CONTROL_MAX];
    size_t control_size;
    unsigned closed; /* the code of our Close */
};

/* ---- what wslay calls ---- */

static ssize_t take(uint8_t *to, size_t n, int flags, void *arg) {
    (void)flags;
    struct sk_websocket *ws = arg;
    if (ws->input.n == 0) return -1;
    if (n > ws->input.n) n = ws->input.n;
    memcpy(to, ws->input.p, n);
    ws->input = sk_span_skip(ws->input, n);
    return (ssize_t)n;
}

static ssize_t give(const uint8_t *bytes, size_t n, int flags, void *arg) {
    (void)flags;
    sk_buffer_append(((struct sk_websocket *)arg)->output, sk_span(bytes, n));
    return (ssize_t)n;
}

static int make_mask(uint8_t *to, size_t n, void *arg) {
    struct sk_websocket *ws = arg;
    ws->random(ws->arg, to, n);
    return 0;
}

struct sk_websocket *sk_websocket_new(sk_websocket_random *random, void *arg) {
    static const struct wslay_frame_callbacks callbacks = {
        .send_callback = give, .recv_callback = take, .genmask_callback = make_mask};
    struct sk_websocket *ws = SK_NEW(struct sk_websocket);
    ws->random = random;
    ws->arg = arg;
    if (wslay_frame_context_init(&ws->frames, &callbacks, ws)) abort(); /* out of memory */
    return ws;
}

void sk_websocket_free(struct sk_websocket *ws) {
    if (ws == NULL) return;
    wslay_frame_context_free(ws->frames);
    free(ws);
}

/* ---- writing ---- */

static void put_frame(struct sk_websocket *ws, uint8_t opcode, struct sk_span payload,
                      struct sk_buffer *out) {
    struct wslay_frame_iocb frame = {.fin = 1,
                                     .opcode = opcode,
                                     .payload_length = payload.n,
                                     .mask = ws->random != NULL,
                                     .data = (const uint8_t *)payload.p,
                                     .data_length = payload.n};
    ws->output = out;
    for (;;) {
        ssize_t n = wslay_frame_send(ws->frames, &frame);
        if (n < 0 || (size_t)n >= frame.data_length) break;
        frame.data += n;
        frame.data_length -= (size_t)n;
    }
    ws->output = NULL;
}

void sk_websocket_put(struct sk_websocket *ws, struct sk_span payload, struct sk_buffer *out) {
    if (!ws->closed) put_frame(ws, WSLAY_BINARY_FRAME, payload, out);
}

void sk_websocket_put_close(struct sk_websocket *ws, enum sk_websocket_code code,
                            struct sk_buffer *out) {
    if (ws->closed) return;
    const char text[2] = {(char)((unsigned)code >> 8), (char)((unsigned)code & 0xFF)};
    ws->closed = code;
    put_frame(ws, WSLAY_CONNECTION_CLOSE,
              code == SK_WEBSOCKET_NO_CODE ? SK_NONE : sk_span(text, sizeof text), out);
}

unsigned sk_websocket_closed(const struct sk_websocket *ws) {
    return ws->closed;
}

/* ---- reading ---- */

static bool is_control(uint8_t opcode) {
    return opcode & 8;
}

/* A frame begins: the code to refuse it with, or 0. */
static unsigned begin_frame(struct sk_websocket *ws, const struct wslay_frame_iocb *frame) {
    bool server = ws->random == NULL;
    if (frame->mask != server || frame->rsv) return SK_WEBSOCKET_PROTOCOL_ERROR;
    ws->in_frame = true;
    ws->opcode = frame->opcode;
    ws->frame_left = frame->payload_length;
    switch (frame->opcode) {
    case WSLAY_TEXT_FRAME: return SK_WEBSOCKET_UNSUPPORTED;
    case WSLAY_BINARY_FRAME:
    case WSLAY_CONTINUATION_FRAME:
        if (ws->in_message != (frame->opcode == WSLAY_CONTINUATION_FRAME))
            return SK_WEBSOCKET_PROTOCOL_ERROR;
        ws->in_message = true;
        if (frame->payload_length > SK_WEBSOCKET_MESSAGE_MAX - ws->message_size)
            return SK_WEBSOCKET_TOO_BIG;
        ws->message_size += frame->payload_length;
        return 0;
    case WSLAY_PING:
    case WSLAY_PONG:
    case WSLAY_CONNECTION_CLOSE:
        ws->control_size = 0;
        return !frame->fin || frame->payload_length > CONTROL_MAX ? SK_WEBSOCKET_PROTOCOL_ERROR : 0;
    default: return SK_WEBSOCKET_PROTOCOL_ERROR;
    }
}

/* The code to answer the peer's Close with: its own, when that may be sent (RFC 6455, 7.4). */
static unsigned close_code(const struct sk_websocket *ws) {
    if (ws->control_size == 0) return SK_WEBSOCKET_NO_CODE;
    if (ws->control_size == 1) return SK_WEBSOCKET_PROTOCOL_ERROR;
    unsigned code = (unsigned)ws->control[0] << 8 | ws->control[1];
    bool fine = (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
                (code >= 3000 && code <= 4999);
    return fine ? code : SK_WEBSOCKET_PROTOCOL_ERROR;
}

static enum sk_status refuse(struct sk_websocket *ws, unsigned code, struct sk_buffer *out) {
    sk_websocket_put_close(ws, (enum sk_websocket_code)code, out);
    return code == SK_WEBSOCKET_TOO_BIG ? SK_TOO_LARGE : SK_MALFORMED;
}

enum sk_status sk_websocket_feed(struct sk_websocket *ws, struct sk_span bytes,
                                 struct sk_buffer *payload, struct sk_buffer *out) {
    ws->input = bytes;
    while (!ws->closed) {
        struct wslay_frame_iocb frame = {0};
        ssize_t n = wslay_frame_recv(ws->frames, &frame);
        if (n == WSLAY_ERR_WANT_READ) return SK_OK;
        unsigned code = n < 0 ? SK_WEBSOCKET_PROTOCOL_ERROR : 0;
        if (!code && !ws->in_frame) code = begin_frame(ws, &frame);
        if (code) return refuse(ws, code, out);
        struct sk_span part = sk_span(frame.data, frame.data_length);
        if (!is_control(ws->opcode)) {
            sk_buffer_append(payload, part);
        } else if (part.n) {
            memcpy(ws->control + ws->control_size, part.p, part.n);
            ws->control_size += part.n;
        }
        ws->frame_left -= part.n;
        if (ws->frame_left) continue;
        ws->in_frame = false;
        if (ws->opcode == WSLAY_PING) {
            put_frame(ws, WSLAY_PONG, sk_span(ws->control, ws->control_size), out);
        } else if (ws->opcode == WSLAY_CONNECTION_CLOSE) {
            sk_websocket_put_close(ws, (enum sk_websocket_code)close_code(ws), out);
        } else if (!is_control(ws->opcode) && frame.fin) {
            ws->in_message = false;
            ws->message_size = 0;
        }
    }
    return SK_CLOSED;
}

/* ---- the opening handshake ---- */

bool sk_websocket_key_valid(struct sk_span key) {
    struct sk_buffer decoded = {0};
    bool valid = key.n == SK_WEBSOCKET_KEY_SIZE && sk_base64_decode(&decoded, key) == SK_OK &&
                 decoded.n == 16;
    sk_buffer_free(&decoded);
    return valid;
}

void sk_websocket_accept(struct sk_span key, char accept[SK_WEBSOCKET_ACCEPT_SIZE + 1]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */
    struct sk_buffer text = {0}, encoded = {0};
    unsigned char digest[SHA_DIGEST_LENGTH];
    sk_buffer_append(&text, key);
    sk_buffer_text(&text, guid);
    SHA1((const unsigned char *)text.p, text.n, digest);
    sk_base64_encode(&encoded, sk_span(digest, sizeof digest));
    memcpy(accept, encoded.p, SK_WEBSOCKET_ACCEPT_SIZE);
    accept[SK_WEBSOCKET_ACCEPT_SIZE] = 0;
    sk_buffer_free(&text);
    sk_buffer_free(&encoded);
}
