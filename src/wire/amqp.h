/* AMQP 1.0 (OASIS, 29 October 2012): one connection, either side of it, without I/O.
 *
 * Bytes that came in go to sk_amqp_feed(), what is to go out leaves through the `write` callback
 * of sk_amqp_flush(), in the order of the calls that said it; in between, callbacks say what the
 * peer did. A link that the peer attaches stays unanswered until sk_amqp_attach() or
 * sk_amqp_refuse(). Nothing may be called from another thread; callbacks may call everything but
 * sk_amqp_free(). Whatever the peer sends, the worst that follows is on_close with an error. Why
 * it is our own: docs/decisions/0010-amqp-engine.md. Values and messages: amqp_message.h. */
#ifndef SK_WIRE_AMQP_H
#define SK_WIRE_AMQP_H

#include "wire/amqp_message.h"

#define SK_AMQP_FRAME_MAX 65536
#define SK_AMQP_MESSAGE_MAX (1024 * 1024)   /* of one transfer, at the level of links */
#define SK_AMQP_HELD_MAX (16 * 1024 * 1024) /* of unfinished transfers of one connection */
#define SK_AMQP_STRANGER_SESSIONS_MAX 8

struct sk_amqp;
struct sk_amqp_link;
struct sk_amqp_delivery;

enum sk_amqp_outcome {
    SK_AMQP_ACCEPTED,
    SK_AMQP_REJECTED,
    SK_AMQP_RELEASED,
    SK_AMQP_MODIFIED,
    SK_AMQP_NO_OUTCOME, /* settled without a word */
};

/* An error of the peer, or for it: `condition` "amqp:not-found" and the like. Zeroed: none. */
struct sk_amqp_error {
    struct sk_span condition, description;
    const struct sk_amqp_field *info; /* or NULL; to be sent, or of a detach that has come */
    size_t info_count;
};

/* How SASL ends. */
enum sk_amqp_sasl { SK_AMQP_SASL_OK, SK_AMQP_SASL_REFUSED };

struct sk_amqp_events {
    /* Server: a client chose a mechanism; answer once with sk_amqp_sasl_done(), now or later.
     * `host` is what it dialled (may be empty). Without SASL the connection opens unasked. */
    void (*on_sasl)(void *arg, struct sk_span mechanism, struct sk_span response,
                    struct sk_span host);
    /* The peer has opened the connection; `host_name` is what a client dialled (may be empty). */
    void (*on_open)(void *arg, struct sk_span host_name);
    /* Server: the peer attaches a link. Client: the peer has answered ours. */
    void (*on_attach)(void *arg, struct sk_amqp_link *link);
    /* The link is gone: detached, its session or the connection ended. The last word about it and
     * its deliveries. */
    void (*on_detach)(void *arg, struct sk_amqp_link *link, const struct sk_amqp_error *error);
    /* A whole transfer has come; `payload` lives until the callback returns. Settle it some time
     * with sk_amqp_settle(), unless it came settled (`delivery` is NULL then). A delivery is only a
     * name: it takes no memory and need not be freed. */
    void (*on_transfer)(void *arg, struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                        struct sk_span payload);
    /* The peer's verdict on what was sent with sk_amqp_send(); it is settled with this. */
    void (*on_outcome)(void *arg, struct sk_amqp_link *link, void *data,
                       enum sk_amqp_outcome outcome, const struct sk_amqp_error *error);
    /* A sender has credit. */
    void (*on_credit)(void *arg, struct sk_amqp_link *link);
    /* The connection is over: closed by the peer, by us, or broken (error). Flush, then end the
     * stream. Comes once, before the on_detach of its links. */
    void (*on_close)(void *arg, const struct sk_amqp_error *error);
};

struct sk_amqp_options {
    bool server;
    const char *container;    /* container-id */
    const char *host_name;    /* client: hostname of open, or NULL */
    unsigned idle_timeout_ms; /* told to the peer; 0: none */
    bool stranger;            /* server: few sessions, until sk_amqp_trust() */
    /* client: SASL PLAIN with these, or ANONYMOUS when `sasl_anonymous`; neither: a bare
     * connection */
    const char *user, *password;
    bool sasl_anonymous;
};

struct sk_amqp *sk_amqp_new(const struct sk_amqp_options *options,
                            const struct sk_amqp_events *events, void *arg);
/* Calls on_detach for the links that are left. */
void sk_amqp_free(struct sk_amqp *amqp);

void sk_amqp_feed(struct sk_amqp *amqp, struct sk_span bytes);
/* The peer's end of the stream. */
void sk_amqp_feed_end(struct sk_amqp *amqp);
/* Hands out all that is ready. */
void sk_amqp_flush(struct sk_amqp *amqp, void (*write)(void *arg, struct sk_span bytes), void *arg);
/* Idle time-outs; returns when to call again (ms of the same clock), 0: not needed. Flush after. */
uint64_t sk_amqp_tick(struct sk_amqp *amqp, uint64_t now_ms);

void sk_amqp_sasl_done(struct sk_amqp *amqp, enum sk_amqp_sasl outcome);
/* The peer has proved who it is: it may begin as many sessions as there are channels. */
void sk_amqp_trust(struct sk_amqp *amqp);
/* Closes the connection, with an error or NULL. */
void sk_amqp_close(struct sk_amqp *amqp, const struct sk_amqp_error *error);

/* ---- links ---- */

/* Server: answers an attach as the peer asked for it. A receiver gets `credit`; when half of it
 * has been settled, it is given again. */
void sk_amqp_attach(struct sk_amqp_link *link, int credit);
/* Answers an attach (when that is due) and detaches, with an error or NULL. on_detach does not
 * follow, nor on_outcome. */
void sk_amqp_refuse(struct sk_amqp_link *link, const struct sk_amqp_error *error);
/* Ends the link's session with an error: on_detach comes for all its links. */
void sk_amqp_end_session(struct sk_amqp_link *link, const struct sk_amqp_error *error);
/* Client: attaches. `address` is the target of a sender, the source of a receiver. */
struct sk_amqp_link_options {
    const char *name, *address, *local_address; /* the other terminus, or NULL */
    bool sender;
    bool settled;                           /* sender: sends everything settled */
    uint32_t format;                        /* sender: message-format of all that is sent */
    int credit;                             /* receiver; -1: sk_amqp_grant() only */
    const struct sk_amqp_field *properties; /* symbol keys */
    size_t property_count;
    const char *selector; /* receiver: apache.org:selector-filter:string, or NULL */
    const char *desires;  /* a capability, or NULL */
};
struct sk_amqp_link *sk_amqp_open_link(struct sk_amqp *amqp,
                                       const struct sk_amqp_link_options *options);
/* Receiver: that much more credit. */
void sk_amqp_grant(struct sk_amqp_link *link, int credit);

bool sk_amqp_link_is_sender(const struct sk_amqp_link *link); /* we send on it */
/* The address that matters: what the peer receives from us (its source), or sends to (its target).
 */
struct sk_span sk_amqp_link_address(const struct sk_amqp_link *link);
struct sk_span sk_amqp_link_other_address(const struct sk_amqp_link *link);
struct sk_span sk_amqp_link_name(const struct sk_amqp_link *link);
/* A property of the peer's attach by its symbol; SK_AMQP_NULL: none. */
struct sk_amqp_value sk_amqp_link_property(const struct sk_amqp_link *link, const char *name);
/* The text of a selector filter on the peer's source, or empty. */
struct sk_span sk_amqp_link_selector(const struct sk_amqp_link *link);
/* Whether the peer's attach desires a capability. Like properties and selector, only until the
 * link is answered. */
bool sk_amqp_link_desires(const struct sk_amqp_link *link, const char *capability);
/* Whether the peer wants what we send settled at once. */
bool sk_amqp_link_presettled(const struct sk_amqp_link *link);
/* Whether the peer wants nothing that we send settled at once; with neither, it takes both. */
bool sk_amqp_link_unsettled(const struct sk_amqp_link *link);
int sk_amqp_link_credit(const struct sk_amqp_link *link); /* transfers that may go now */
/* Whether something sent now would have to wait: the peer's window is full, or much has not been
 * flushed yet. Look again after a flush and after input. */
bool sk_amqp_link_blocked(const struct sk_amqp_link *link);
/* The message-format of the transfer that on_transfer tells. */
uint32_t sk_amqp_link_format(const struct sk_amqp_link *link);
/* The user's own pointer. */
void sk_amqp_link_set_data(struct sk_amqp_link *link, void *data);
void *sk_amqp_link_data(const struct sk_amqp_link *link);

/* ---- transfers ---- */

/* Needs credit. `tag` at most 32 bytes; empty: a number. `data` comes back in on_outcome, unless
 * the transfer is settled. */
void sk_amqp_send(struct sk_amqp_link *link, struct sk_span tag, struct sk_span payload,
                  bool settled, void *data);
/* Settles what came in. `error` goes with SK_AMQP_REJECTED. */
void sk_amqp_settle(struct sk_amqp_link *link, struct sk_amqp_delivery *delivery,
                    enum sk_amqp_outcome outcome, const struct sk_amqp_error *error);

#endif
