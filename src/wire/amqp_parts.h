/* What the AMQP files share. Inside src/wire only.
 *
 * Bytes to values: amqp_read.c. Values and messages to bytes: amqp_encode.c. Above them the
 * connection (amqp.c: protocol headers, SASL, open, close, frames), sessions and links
 * (amqp_session.c) and transfers (amqp_transfer.c). Source: AMQP 1.0, OASIS, 29 October 2012;
 * "1.6" is a section of its part 1, and so on. */
#ifndef SK_WIRE_AMQP_PARTS_H
#define SK_WIRE_AMQP_PARTS_H

#include "wire/amqp.h"

/* ---- reading: amqp_read.c ---- */

/* A value in its bytes. */
struct sk_amqp_raw {
    struct sk_span whole; /* with constructor and descriptor */
    struct sk_span body;  /* a number's or a text's bytes; the items of a list, map or array */
    uint64_t descriptor;  /* 0: not described, or by something unknown */
    uint32_t count;       /* items of a list, map (keys and values) or array */
    unsigned char code;   /* the constructor; 0: there is no value */
};
/* Takes the next value off `*rest`. SK_MALFORMED: its bytes are no value, or not all there. */
enum sk_status amqp_next(struct sk_span *rest, struct sk_amqp_raw *raw);
/* Reads the first `most` items of a described list; those that it has not are zeroed.
 * SK_MALFORMED. */
enum sk_status amqp_read_list(const struct sk_amqp_raw *list, struct sk_amqp_raw *items,
                              unsigned most);
bool amqp_raw_is_null(const struct sk_amqp_raw *raw); /* or not there at all */
bool amqp_raw_is_list(const struct sk_amqp_raw *raw);
/* An unsigned number of any width; false: it is none, and `*value` stays as it was. */
bool amqp_raw_number(const struct sk_amqp_raw *raw, uint64_t *value);
bool amqp_raw_true(const struct sk_amqp_raw *raw);
/* The bytes of a string, symbol or binary; else empty. */
struct sk_span amqp_raw_text(const struct sk_amqp_raw *raw);
/* Whether a symbol, or an array of symbols, is or holds `name`. */
bool amqp_raw_names(const struct sk_amqp_raw *raw, const char *name);
/* Texts point into the bytes. SK_MALFORMED, SK_TOO_LARGE. */
enum sk_status amqp_read_value(const struct sk_amqp_raw *raw, struct sk_arena *arena,
                               unsigned depth, struct sk_amqp_value *value);
/* A map (null: empty). SK_MALFORMED, SK_TOO_LARGE. */
enum sk_status amqp_read_map(const struct sk_amqp_raw *raw, struct sk_arena *arena, unsigned depth,
                             const struct sk_amqp_field **fields, size_t *count);

/* ---- writing: amqp_encode.c ---- */

void amqp_put_null(struct sk_buffer *to);
void amqp_put_bool(struct sk_buffer *to, bool value);
void amqp_put_ubyte(struct sk_buffer *to, uint8_t value);
void amqp_put_ushort(struct sk_buffer *to, uint16_t value);
void amqp_put_uint(struct sk_buffer *to, uint32_t value);
void amqp_put_ulong(struct sk_buffer *to, uint64_t value);
void amqp_put_string(struct sk_buffer *to, struct sk_span text);
void amqp_put_symbol(struct sk_buffer *to, struct sk_span text);
void amqp_put_binary(struct sk_buffer *to, struct sk_span bytes);
void amqp_put_symbols(struct sk_buffer *to, const char *const *names, size_t count);
void amqp_put_descriptor(struct sk_buffer *to, uint64_t code);
/* A list: returns what amqp_end_list() wants. */
size_t amqp_begin_list(struct sk_buffer *to, size_t count);
void amqp_end_list(struct sk_buffer *to, size_t began);
void amqp_encode_map(struct sk_buffer *to, const struct sk_amqp_field *fields, size_t count,
                     bool symbols);

/* Descriptors: of a message's sections (3.2) … */
enum sk_amqp_section {
    SK_AMQP_HEADER = 0x70,
    SK_AMQP_DELIVERY_ANNOTATIONS = 0x71,
    SK_AMQP_ANNOTATIONS = 0x72,
    SK_AMQP_PROPERTIES = 0x73,
    SK_AMQP_APPLICATION = 0x74,
    SK_AMQP_DATA = 0x75,
    SK_AMQP_SEQUENCE = 0x76,
    SK_AMQP_BODY_VALUE = 0x77,
    SK_AMQP_FOOTER = 0x78,
};
/* … of frames (2.7, 5.3.3) and of what stands in them. */
enum sk_amqp_code {
    SK_AMQP_OPEN = 0x10,
    SK_AMQP_BEGIN,
    SK_AMQP_ATTACH,
    SK_AMQP_FLOW,
    SK_AMQP_TRANSFER,
    SK_AMQP_DISPOSITION,
    SK_AMQP_DETACH,
    SK_AMQP_END,
    SK_AMQP_CLOSE,
    SK_AMQP_ERROR = 0x1d,
    SK_AMQP_STATE_RECEIVED = 0x23,
    SK_AMQP_STATE_ACCEPTED,
    SK_AMQP_STATE_REJECTED,
    SK_AMQP_STATE_RELEASED,
    SK_AMQP_STATE_MODIFIED,
    SK_AMQP_SOURCE,
    SK_AMQP_TARGET,
    SK_AMQP_SASL_MECHANISMS = 0x40,
    SK_AMQP_SASL_INIT,
    SK_AMQP_SASL_CHALLENGE,
    SK_AMQP_SASL_RESPONSE,
    SK_AMQP_SASL_OUTCOME,
};

/* ---- the connection ---- */

enum {
    SK_AMQP_CHANNEL_MAX = 8191,
    SK_AMQP_HANDLE_MAX = 65535,
    SK_AMQP_WINDOW = 5000,    /* transfers that a peer may send ahead of us, a session */
    SK_AMQP_OUT_MAX = 131072, /* bytes that wait for a flush; beyond, transfers are better kept */
};

/* The protocol headers (2.2, 5.3.2). */
#define SK_AMQP_PROTOCOL "AMQP\0\1\0\0"
#define SK_AMQP_SASL_PROTOCOL "AMQP\3\1\0\0"
enum { SK_AMQP_FRAME_HEAD = 8 };

/* What the peer may say next. */
enum sk_amqp_expect {
    SK_AMQP_EXPECT_HEADER,      /* of SASL or of AMQP */
    SK_AMQP_EXPECT_SASL,        /* SASL frames */
    SK_AMQP_EXPECT_VERDICT,     /* nothing, or its next header ahead of our verdict */
    SK_AMQP_EXPECT_AMQP_HEADER, /* of AMQP */
    SK_AMQP_EXPECT_OPEN,
    SK_AMQP_EXPECT_FRAMES,
    SK_AMQP_EXPECT_NOTHING, /* it is over: what comes is dropped */
};

struct sk_amqp {
    const struct sk_amqp_events *events;
    void *arg;
    void (*over)(struct sk_amqp *amqp, const struct sk_amqp_error *error); /* amqp.c: the end */
    bool server, stranger;
    enum sk_amqp_expect expect;
    /* Ours that has gone out. A closed connection tells nothing more but its end. */
    bool header_sent, open_sent, closing, told_end;
    struct sk_buffer in;  /* a frame that has come in part, or what came ahead of a verdict */
    struct sk_buffer out; /* what the next flush writes */
    char *container, *host_name, *user, *password;
    bool sasl_anonymous;
    uint32_t frame_max; /* of the peer, at most ours */
    uint32_t channel_max;
    /* Time: see sk_amqp_tick(). */
    uint32_t idle_ms, peer_idle_ms;
    uint64_t heard_ms, spoke_ms;
    bool heard, spoke, overdue;
    unsigned depth;             /* of calls that tell events: what has ended is freed after them */
    size_t held;                /* bytes of transfers that are not complete */
    struct sk_map sessions;     /* the peer's channel → struct sk_amqp_session */
    struct sk_amqp_session *at; /* the session of the last frame, or NULL */
    struct sk_list all_sessions, dead_sessions, dead_links;
    struct sk_list acking; /* sessions with a disposition that waits for more of its kind */
    struct sk_list due;    /* links with credit to give, or to tell their user about */
    unsigned char *ended;  /* a bit a channel whose session the peer has ended; NULL: none */
    uint64_t next_tag;
};

/* A disposition that may still grow (2.7.6). */
struct sk_amqp_acks {
    bool any, about_ours; /* about what we have sent, not what has come */
    uint32_t first, last;
    enum sk_amqp_code state;
};

/* A transfer that we have sent and not settled. */
struct sk_amqp_unsettled {
    uint32_t id;
    struct sk_amqp_link *link; /* NULL: over */
    void *data;
};

struct sk_amqp_session {
    struct sk_list all; /* or dead */
    struct sk_amqp *amqp;
    uint16_t channel, peer_channel;
    bool begun, ended; /* by the peer; by us */
    bool dead;
    struct sk_map handles; /* the peer's handle → struct sk_amqp_link */
    struct sk_amqp_link *at;
    struct sk_list links;
    uint32_t next_handle;
    uint32_t peer_handle_max;
    /* In (2.5.6): `window` is what the peer may still send. */
    uint32_t next_in, window;
    /* Out: `peer_window` is what we may still send. */
    uint32_t next_out, next_delivery, peer_window;
    struct sk_list waiting;              /* struct sk_amqp_outgoing: without window */
    struct sk_amqp_unsettled *unsettled; /* by id, upwards */
    size_t unsettled_count, unsettled_over, unsettled_capacity;
    struct sk_amqp_acks acks;
    struct sk_list acking;
};

/* A transfer on its way out; what the peer's window leaves over waits. */
struct sk_amqp_outgoing {
    struct sk_list link;      /* session->waiting */
    struct sk_buffer payload; /* of one that waits */
    struct sk_amqp_link *on;
    void *data;
    size_t gone; /* bytes of the payload that have been sent */
    uint32_t id; /* once its first frame has been sent: */
    bool numbered, settled;
    unsigned char tag_size, tag[32];
};

struct sk_amqp_link {
    struct sk_list link; /* session->links, or dead */
    struct sk_list due;
    struct sk_amqp_session *session;
    void *data;
    uint32_t handle, peer_handle;
    bool sender;   /* we send */
    bool attached; /* the peer has */
    bool answered; /* we have */
    bool detached; /* we have: what still comes for it is dropped until the peer says the same */
    bool dead, drain;
    unsigned char peer_send_mode, peer_receive_mode; /* of the peer's attach */
    bool presettled;                                 /* client: we send everything settled */
    uint32_t count;                                  /* delivery-count: transfers so far */
    uint32_t credit;
    uint32_t window,
        spent;          /* receiver: credit that is kept up, and how much is to be given again */
    uint32_t unsettled; /* transfers sent and not settled */
    uint32_t queued;    /* transfers in session->waiting */
    /* The transfer at hand, which may come in several frames. */
    struct sk_buffer partial;
    bool in_transfer, in_settled;
    uint32_t in_id, in_format, out_format;
    /* The peer's attach: values in one block. */
    char *block;
    struct sk_span name, address, other_address;        /* decoded */
    struct sk_span source, target, properties, desired; /* raw; until it is answered */
};

/* Nothing more may be said in it. */
static inline bool amqp_is_mute(const struct sk_amqp_session *session) {
    const struct sk_amqp *a = session->amqp;
    return session->ended || a->closing || a->expect == SK_AMQP_EXPECT_NOTHING;
}

/* ---- amqp_say.c ---- */

/* Begins a frame of `fields` fields; amqp_end_frame() wants what it returns. */
struct sk_amqp_frame {
    size_t began, list;
};
struct sk_amqp_frame amqp_begin_frame(struct sk_amqp *amqp, unsigned channel,
                                      enum sk_amqp_code code, unsigned fields);
struct sk_amqp_frame amqp_begin_sasl_frame(struct sk_amqp *amqp, enum sk_amqp_code code,
                                           unsigned fields);
/* Ends the list of fields; a payload may follow before amqp_close_frame(). */
void amqp_end_fields(struct sk_amqp *amqp, struct sk_amqp_frame frame);
void amqp_close_frame(struct sk_amqp *amqp, struct sk_amqp_frame frame);
void amqp_end_frame(struct sk_amqp *amqp, struct sk_amqp_frame frame);
void amqp_put_error(struct sk_amqp *amqp, const struct sk_amqp_error *error);
void amqp_get_error(const struct sk_amqp_raw *raw, struct sk_arena *arena,
                    struct sk_amqp_error *error);
void amqp_put_header(struct sk_amqp *amqp, bool sasl);
void amqp_put_text(struct sk_amqp *amqp, const char *text); /* NULL: null */
/* Ours goes out once; before it, when that is due, the protocol header. */
void amqp_put_open(struct sk_amqp *amqp);
void amqp_put_close(struct sk_amqp *amqp, const struct sk_amqp_error *error);
/* `error` goes with a rejection. */
void amqp_put_disposition(struct sk_amqp_session *session, const struct sk_amqp_acks *acks,
                          const struct sk_amqp_error *error);
/* Writes the disposition that waits; before any other frame of its session. */
void amqp_put_acks(struct sk_amqp_session *session);
void amqp_put_flow(struct sk_amqp_session *session, struct sk_amqp_link *link);
/* The peer broke the protocol: closes the connection and tells the user. */
void amqp_fail(struct sk_amqp *amqp, const char *condition, const char *text);

/* ---- amqp_session.c ---- */

void amqp_on_begin(struct sk_amqp *amqp, uint16_t channel, const struct sk_amqp_raw *fields);
void amqp_on_attach(struct sk_amqp_session *session, const struct sk_amqp_raw *fields);
void amqp_on_detach(struct sk_amqp_session *session, const struct sk_amqp_raw *fields);
void amqp_on_end(struct sk_amqp_session *session);
struct sk_amqp_link *amqp_find_link(struct sk_amqp_session *session,
                                    const struct sk_amqp_raw *handle);
/* Ends a link from our side and tells its user. */
void amqp_drop_link(struct sk_amqp_link *link, const char *condition, const char *text);
void amqp_end_sessions(struct sk_amqp *amqp); /* says so for each; their links go with over */
void amqp_all_gone(struct sk_amqp *amqp);     /* all links, and what stands below them */
void amqp_bury(struct sk_amqp *amqp);         /* frees what has ended */
void amqp_make_due(struct sk_amqp_link *link);

/* ---- amqp_transfer.c ---- */

void amqp_on_transfer(struct sk_amqp_session *session, const struct sk_amqp_raw *fields,
                      struct sk_span payload);
void amqp_on_disposition(struct sk_amqp_session *session, const struct sk_amqp_raw *fields);
void amqp_on_flow(struct sk_amqp_session *session, const struct sk_amqp_raw *fields);
/* Credit that is due goes out, and is told to users. */
void amqp_settle_dues(struct sk_amqp *amqp);
/* Forgets what the link has sent, will send and has taken in part. */
void amqp_forget_transfers(struct sk_amqp_link *link);

#endif
