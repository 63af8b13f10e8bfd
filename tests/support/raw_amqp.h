/* An AMQP client in the simulated world: connections, tokens, links and transfers as a test wants
 * them, one after the other or, with callbacks, all at once. */
#ifndef TESTS_RAW_AMQP_H
#define TESTS_RAW_AMQP_H

#include "net/dial.h"
#include "support/fleet.h"
#include "wire/amqp.h"

struct raw_amqp;

/* A transfer that came and is not settled. */
struct raw_transfer {
    struct sk_list link;
    struct sk_amqp_delivery *delivery; /* NULL: came settled */
    struct sk_buffer bytes;
};

/* The test's; zero it, and keep it until its connection is freed. */
struct raw_link {
    struct raw_amqp *connection;
    struct sk_amqp_link *amqp; /* NULL: not there */
    bool answered;
    char condition[64], text[256]; /* of the detach */
    size_t accepted, rejected;     /* verdicts on what was sent */
    char rejection[64];            /* the last one's condition */
    struct sk_list come;           /* struct raw_transfer, when there is no on_transfer */
    /* Optional. */
    void (*on_transfer)(struct raw_link *link, struct sk_amqp_delivery *delivery,
                        const struct sk_amqp_message *message);
    void (*on_verdict)(struct raw_link *link, void *data, bool accepted);
    void (*on_credit)(struct raw_link *link);
    void (*on_gone)(struct raw_link *link);
    void *arg;
};

struct raw_amqp {
    struct fleet *f;
    struct sk_stream *stream; /* NULL once gone */
    struct sk_amqp *amqp;
    struct sk_arena arena; /* of the message taken last */
    struct sk_buffer last;
    struct sk_timer tick;
    bool ready, open, over; /* the stream takes bytes; the peer has opened; the end */
    bool fed;               /* inside the engine: what callbacks write goes out after it */
    char condition[64];     /* of the connection's end */
    struct raw_link cbs_out, cbs_in;
    unsigned answers;                                                    /* of $cbs */
    int status;                                                          /* the last one's */
    void (*on_token)(struct raw_amqp *c, struct sk_span id, int status); /* optional */
    unsigned links;                                                      /* for names */
    void *arg;
};

/* How to connect. Zero: a bare connection to hub.test. */
struct raw_amqp_options {
    const char *host;
    const char *user, *password;         /* SASL PLAIN */
    bool anonymous, websocket, nameless; /* the open has no host name */
};

void raw_amqp_flush(struct raw_amqp *c);

void raw_copy(char *to, size_t size, struct sk_span from);
void raw_link_forget(struct raw_link *link);

/* ---- connecting ---- */

/* Begins; the caller may have set callbacks of `cbs_in` and so on after it. */
void raw_amqp_dial(struct raw_amqp *c, struct fleet *f, const struct raw_amqp_options *options);

bool raw_amqp_is_closed(void *arg);
bool raw_amqp_is_settled(void *arg);
void raw_amqp_open(struct raw_amqp *c, struct fleet *f, const struct raw_amqp_options *options);

/* The connection breaks off and all that belongs to it goes. */
void raw_amqp_free(struct raw_amqp *c);

/* ---- links ---- */

void raw_link_begin(struct raw_amqp *c, struct raw_link *link, struct sk_amqp_link_options options);
bool raw_link_is_decided(void *arg);

/* What we send on. */
void raw_link_sender(struct raw_amqp *c, struct raw_link *link, const char *address);

/* What we receive on; a refusal follows the answer to the attach. */
void raw_link_receiver(struct raw_amqp *c, struct raw_link *link, const char *address, int credit);

void raw_link_expect_end(struct raw_link *link, const char *condition);

/* ---- sending ---- */

void raw_link_send_message(struct raw_link *link, const struct sk_amqp_message *message,
                           void *data);
void raw_link_send(struct raw_link *link, struct sk_span body);

void raw_link_wait(struct raw_link *link, size_t verdicts);

/* Sends and takes the verdict: NULL is accepted, or the condition of the refusal (or of the
 * detach). */
const char *raw_link_try(struct raw_link *link, struct sk_span body);

/* ---- receiving ---- */

/* The next message; its spans live until the next call on the connection. False: none came. */
bool raw_link_next(struct raw_link *link, struct sk_amqp_message *message,
                   struct sk_amqp_delivery **delivery);

void raw_link_settle(struct raw_link *link, struct sk_amqp_delivery *delivery,
                     enum sk_amqp_outcome outcome);

/* ---- tokens ---- */

void raw_amqp_open_cbs(struct raw_amqp *c);

/* A put-token as SDKs send it; `id` comes back with the answer. The links must be there, with
 * credit. */
void raw_amqp_put_token(struct raw_amqp *c, const char *id, const char *scope, const char *key,
                        const char *policy, int64_t life_s);

/* The status that $cbs answers; 0: none came. */
int raw_amqp_token_of(struct raw_amqp *c, const char *scope, const char *key, const char *policy,
                      int64_t life_s);

/* A device's own token, of an hour. */
void raw_amqp_prove(struct raw_amqp *c, const char *device);

#endif
