/* What comes on a channel behind its End is dropped, instead of costing the whole connection.
 *
 * rhea, which is under Azure's Node SDKs, still sends dispositions of a session after it has ended it;
 * Azure's services do not mind, proton 0.37 answers "no such channel" and closes. */
#include "wire/amqp.h"
#include "wire/amqp_parts.h"

enum {
    CHANNELS = 65536,
    FRAME_HEAD = 8,  /* size, doff, type, channel */
    SHORT_CODE = 11, /* … and a performative in its usual form: 0x00 0x53 code */
    LONG_CODE = 18,  /* … or as an ulong of eight bytes: 0x00 0x80 code */
    BEGIN = 0x11,
    END = 0x17,
    CLOSE = 0x18
};

static uint32_t size_of(const unsigned char *head) {
    return (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
}

static bool is_protocol_header(const unsigned char *head) {
    return memcmp(head, "AMQP", 4) == 0;
}

/* How many bytes of what begins here have to be seen, given the first `have`. */
static size_t needed(const unsigned char *head, size_t have) {
    if (have < FRAME_HEAD) return FRAME_HEAD;
    uint32_t size = size_of(head);
    if (is_protocol_header(head) || head[4] != 2 || head[5] != 0 || size < SHORT_CODE ||
        size > SK_AMQP_FRAME_MAX)
        return FRAME_HEAD; /* nothing to look into, or nonsense */
    if (have < SHORT_CODE || head[9] != 0x80) return SHORT_CODE;
    return size < LONG_CODE ? SHORT_CODE : LONG_CODE;
}

/* A whole head: whether its frame is let through, and how long it is. */
static bool let_through(struct sk_amqp_sieve *s, const unsigned char *head, size_t seen,
                        size_t *size) {
    *size = size_of(head);
    if (is_protocol_header(head)) {
        *size = FRAME_HEAD;
        return true;
    }
    if (*size < FRAME_HEAD) { /* nonsense; the engine will say so */
        *size = SIZE_MAX;
        return true;
    }
    unsigned channel = (unsigned)head[6] << 8 | head[7], code = head[seen - 1];
    unsigned char bit = (unsigned char)(1u << channel % 8);
    bool ended = s->ended && s->ended[channel / 8] & bit;
    if (*size == FRAME_HEAD || code == CLOSE) return true; /* of the connection */
    if (seen == FRAME_HEAD) return !ended;
    if (code == BEGIN && ended) {
        s->ended[channel / 8] &= (unsigned char)~bit;
        return true;
    }
    if (code == END && !ended) {
        if (s->ended == NULL) s->ended = sk_alloc(CHANNELS / 8);
        s->ended[channel / 8] |= bit;
    }
    return !ended;
}

struct sk_span sk_amqp_sieve_next(struct sk_amqp_sieve *s, struct sk_span *bytes) {
    struct sk_span run = sk_span_first(*bytes, 0);
    if (s->have && s->left) { /* the head that was put together goes first */
        run = sk_span(s->head, s->have);
        s->left -= s->have;
        s->have = 0;
        return run;
    }
    while (bytes->n) {
        if (s->left) {
            size_t n = bytes->n < s->left ? bytes->n : s->left;
            if (s->dropping && run.n) return run;
            *bytes = sk_span_skip(*bytes, n);
            if (s->dropping)
                run = sk_span_first(*bytes, 0);
            else
                run.n += n;
            if (s->left != SIZE_MAX) s->left -= n;
            continue;
        }
        /* A head begins, in one piece or behind what the last bytes had of it. */
        const unsigned char *head = (const unsigned char *)bytes->p;
        size_t have = bytes->n;
        if (s->have || needed(head, have) > have) {
            if (run.n) return run;
            s->head[s->have++] = bytes->p[0];
            *bytes = sk_span_skip(*bytes, 1);
            if (s->have < needed(s->head, s->have)) continue;
            s->dropping = !let_through(s, s->head, s->have, &s->left);
            if (!s->dropping) return sk_amqp_sieve_next(s, bytes);
            s->left -= s->have;
            s->have = 0;
            run = sk_span_first(*bytes, 0);
            continue;
        }
        s->dropping = !let_through(s, head, needed(head, have), &s->left);
    }
    return run;
}
