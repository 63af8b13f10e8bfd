/* The AMQP head's parts. Inside src/gateway/amqp only.
 *
 * A connection carries tokens (what its client has proved), clients (identities with a session) and
 * ends (its links, as we see them). What an end does is its role: a table of callbacks chosen by
 * address and direction. An end outlives its link while requests that came over it are at the
 * backend; its life: docs/states.md. */
#ifndef SK_GATEWAY_AMQP_HEAD_H
#define SK_GATEWAY_AMQP_HEAD_H

#include "gateway/parts.h"
#include "azure/amqp_address.h"
#include "azure/amqp_mapping.h"
#include "wire/amqp.h"

enum {
    SK_AMQP_HEAD_CREDIT = 100,            /* transfers a client may have under way on one link */
    SK_AMQP_HEAD_OUTBOX_MAX = 128,        /* answers that wait for credit on one link */
    SK_AMQP_HEAD_TOKENS_MAX = 10000,      /* of one connection; 403005 beyond */
    SK_AMQP_HEAD_LINKS_MAX = 65536,       /* likewise */
    SK_AMQP_HEAD_PROVE_S = 60,            /* until the first credential */
    SK_AMQP_HEAD_UNPROVED_MAX = 16384,    /* bytes that are read until then */
    SK_AMQP_HEAD_UNPROVED_LINKS_MAX = 32, /* links that it may attach until then */
    SK_AMQP_HEAD_IDLE_MS = 240 * 1000     /* told to clients */
};

struct sk_amqp_head {
    struct sk_connection connection;
    struct sk_stream *stream; /* NULL once it is gone */
    struct sk_amqp *amqp;
    struct sk_backend *backend; /* NULL until a host name told which */
    struct sk_map tokens;       /* scope path → struct sk_amqp_token */
    struct sk_map clients;      /* "device[/module]" → struct sk_amqp_client */
    struct sk_list ends;
    size_t end_count;
    struct sk_task flush;
    struct sk_timer tick, prove;
    unsigned pending;        /* what will come back to the head: ends, authentications, requests */
    struct sk_budget budget; /* what of the requests is under way */
    /* of the transfer that is being taken, until a request answers for them */
    size_t transfer_bytes;
    size_t unproved; /* bytes that came before anything was proved */
    bool proved, closing, congested;
    bool held;       /* an end waits for the engine to send what it has */
    char *host_name; /* that the client dialled, as `open` says */
};

/* A token that was found good when it came. */
struct sk_amqp_token {
    struct sk_amqp_head *head;
    char *path; /* what it opens: "devices/d", "" for all; decoded, in lower case where fixed */
    char *text;
    struct sk_timer expiry;
    int64_t end_us; /* by the wall clock */
    bool sasl;      /* came with SASL PLAIN: the connection ends with it */
};

/* An identity on this connection. */
struct sk_amqp_client {
    struct sk_amqp_head *head;
    struct sk_session session;
    const char *token_path; /* of the token that opened it; in head->tokens */
    char *key;
    size_t ends; /* that belong to it, gone ones with requests included */
    size_t live; /* not gone */
    struct sk_amqp_end *messages, *methods, *twin; /* what we send on, or NULL */
    char *model_id;
    enum sk_fault closing; /* its links are being detached */
    struct sk_task close;
};

struct sk_amqp_end;
struct sk_amqp_sent;

struct sk_amqp_role {
    enum sk_address_kind kind;
    bool sends; /* we send, the client receives */
    const char
        *resource; /* of the service: what a policy's token must cover; NULL: an identity's */
    bool events;   /* of the event stream: tokens are signed as Event Hubs' are */
    /* Its links stand before anything has been proved, as on Event Hubs; what comes over them is
     * then authorised first, and `authorised` says with which result. */
    void (*authorised)(struct sk_amqp_end *end, const struct sk_error *error);
    /* Optional, all of them. `opened` answers the attach, or refuses it. */
    void (*opened)(struct sk_amqp_end *end);
    void (*transfer)(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                     struct sk_span payload);
    void (*writable)(struct sk_amqp_end *end); /* credit, and room in the stream */
    void (*outcome)(struct sk_amqp_end *end, struct sk_amqp_sent *sent,
                    enum sk_amqp_outcome outcome);
    void (*gone)(struct sk_amqp_end *end);
};

struct sk_amqp_end {
    struct sk_list link; /* head->ends, until the link is gone */
    struct sk_amqp_head *head;
    struct sk_amqp_link *amqp; /* NULL once the link is gone */
    const struct sk_amqp_role *role;
    struct sk_address address; /* texts in `texts` */
    struct sk_span pair;       /* channel-correlation-id behind the ':' */
    char *texts;
    struct sk_amqp_client *client;
    struct sk_principal *principal; /* of a service, or NULL: devices have many links */
    struct sk_grant grant;          /* likewise */
    const char *token_path;         /* likewise */
    struct sk_cost looking;         /* while it is being authorised */
    bool open;                      /* role->opened was called */
    bool authorised;
    bool held;             /* the engine has enough of it to send */
    bool measures;         /* a receiver that wants to know how far behind it is */
    unsigned pending;      /* requests and its authorisation at the backend */
    unsigned outbox_count; /* of `outbox` */
    struct sk_list sent;   /* struct sk_amqp_sent */
    struct sk_list outbox; /* struct outgoing, waits for credit */
    void *data;            /* the role's */
};

/* Something sent that the client has not settled. */
struct sk_amqp_sent {
    struct sk_list link;
    uint64_t delivery;
};

/* One transfer of a client, which may hold many requests: settled when the last has been
 * answered. */
struct sk_amqp_incoming {
    struct sk_amqp_end *end;
    struct sk_amqp_delivery *delivery; /* NULL: came settled */
    unsigned waiting;
    struct sk_error error; /* the first one */
};

/* A request made of a transfer. */
struct sk_amqp_request {
    struct sk_request request;
    struct sk_amqp_incoming *incoming; /* NULL: already settled */
    struct sk_cost cost;
    struct sk_amqp_end *end;
    struct sk_amqp_value correlation; /* text owned: `correlation_text` */
    char *correlation_text, *reply_to;
    char *device; /* owned: whom a service's request is about, or NULL */
};

/* ---- end.c ---- */

/* Puts out what the engine has to say; if that was its last, the stream ends behind it. */
void sk_amqp_head_after_engine(struct sk_amqp_head *head);
void sk_amqp_head_flush_now(struct sk_amqp_head *head);
/* Decides whether the client is read: not while there is too much at the backend, nor when one
 * that has proved nothing has said enough. */
void sk_amqp_head_reading(struct sk_amqp_head *head);
void sk_amqp_head_end(struct sk_connection *connection); /* the gateway closes */
void sk_amqp_head_gone(struct sk_stream *stream, void *arg, enum sk_status reason);
struct sk_amqp_end *sk_amqp_end_new(struct sk_amqp_head *head, struct sk_amqp_link *link,
                                    const struct sk_amqp_role *role);
/* The link is gone, the end stays for its requests. */
void sk_amqp_end_gone(struct sk_amqp_end *end);
/* There is credit, or room: what waits goes out, then the role may send. */
void sk_amqp_end_go_on(struct sk_amqp_end *end);
void sk_amqp_token_free(struct sk_amqp_token *token);

void sk_amqp_head_flush(struct sk_amqp_head *head);   /* soon: at the end of this turn */
void sk_amqp_head_release(struct sk_amqp_head *head); /* takes one off `pending` */
/* What is under way for the connection, until it is given back; reading pauses when it is too
 * much. */
struct sk_cost sk_amqp_head_take(struct sk_amqp_head *head, enum sk_op op);
void sk_amqp_head_give(struct sk_amqp_head *head, struct sk_cost cost);
/* The client has proved something: from now on it is read without end. */
void sk_amqp_head_proved(struct sk_amqp_head *head);
/* Closes the connection with an error; NULL: in good order. */
void sk_amqp_head_fail(struct sk_amqp_head *head, const struct sk_error *error);
/* An error as AMQP says it; texts in the gateway's scratch arena. */
struct sk_amqp_error sk_amqp_head_error(struct sk_amqp_head *head, const struct sk_error *error);
/* Detaches the link with an error; the end goes. */
void sk_amqp_end_refuse(struct sk_amqp_end *end, const struct sk_error *error);
/* Likewise, with an error of AMQP's own; the link is there. */
void sk_amqp_end_detach(struct sk_amqp_end *end, const struct sk_amqp_error *error);
/* Takes one off `pending`; an end without a link and without requests is freed. */
void sk_amqp_end_release(struct sk_amqp_end *end);
/* True when something can be sent now; else role->writable is called when it can. */
bool sk_amqp_end_writable(struct sk_amqp_end *end);
/* Sends; `delivery` 0: settled. The client's verdict comes to role->outcome. */
void sk_amqp_end_send(struct sk_amqp_end *end, struct sk_span tag,
                      const struct sk_amqp_message *message, uint64_t delivery);
/* Sends what is not ours to keep: the client's verdict on it does not matter, so it goes settled
 * when the client lets us. `before`: sections that are encoded already. */
void sk_amqp_end_tell(struct sk_amqp_end *end, struct sk_span before,
                      const struct sk_amqp_message *message);
/* Sends settled, now or when there is credit. It takes over one `waiting` of the transfer `to`
 * (or NULL), which is settled just before: not earlier, since who takes no answers shall not ask
 * for more; not later, since azure-uamqp-c counts a request whose answer overtakes its
 * disposition as failed. A client that lets too many wait loses the link. */
void sk_amqp_end_answer(struct sk_amqp_end *end, const struct sk_amqp_message *message,
                        struct sk_amqp_incoming *to);

struct sk_amqp_incoming *sk_amqp_incoming_new(struct sk_amqp_end *end,
                                              struct sk_amqp_delivery *delivery);
void sk_amqp_incoming_settle(struct sk_amqp_incoming *incoming); /* one of `waiting` is done */
/* Refuses a transfer that gives no request. */
void sk_amqp_reject(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery, enum sk_fault fault,
                    const char *why);
/* Takes a transfer of messages, one or a batch: `each` makes a request of every one (`whole`: the
 * message that it came in), and the transfer is settled with the last answer. */
typedef void sk_amqp_each(struct sk_amqp_end *end, struct sk_amqp_incoming *incoming,
                          const struct sk_amqp_message *whole, const struct sk_amqp_message *one);
void sk_amqp_take(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery,
                  struct sk_span payload, size_t most, sk_amqp_each *each);
/* What a client's verdict means for what it was sent. */
enum sk_outcome sk_amqp_verdict(enum sk_amqp_outcome outcome);
/* Accepts at once what needs no verdict. */
void sk_amqp_accept(struct sk_amqp_end *end, struct sk_amqp_delivery *delivery);
struct sk_amqp_request *sk_amqp_request_new(struct sk_amqp_end *end, enum sk_op op,
                                            struct sk_amqp_incoming *incoming);
/* Frees it and settles its transfer. */
void sk_amqp_request_over(struct sk_amqp_request *request, const struct sk_error *error);
/* The usual `done`: only the outcome matters. */
void sk_amqp_request_done(struct sk_request *request, const struct sk_answer *answer);
/* The end for the answer to a request: the one of this role that the request names, or else any. */
struct sk_amqp_end *sk_amqp_reply_end(struct sk_amqp_head *head, const struct sk_amqp_role *role,
                                      const char *reply_to);
void sk_amqp_request_correlate(struct sk_amqp_request *request, const struct sk_amqp_value *value);

/* ---- cbs.c: tokens ---- */

extern const struct sk_amqp_role sk_amqp_cbs_in, sk_amqp_cbs_out;
void sk_amqp_on_sasl(struct sk_amqp_head *head, struct sk_span mechanism, struct sk_span response,
                     struct sk_span host);
/* Checks what the connection has proved against an end's address; then role->opened, or a
 * refusal. Once more for an end that is open: then role->authorised. */
void sk_amqp_authorise(struct sk_amqp_end *end);
/* Takes a token that came with a question over the end's link, then authorises the end. */
void sk_amqp_prove(struct sk_amqp_end *end, struct sk_span token);

/* ---- client.c: identities ---- */

/* The client of an identity on this connection, or NULL. */
struct sk_amqp_client *sk_amqp_client_find(struct sk_amqp_head *head, struct sk_span device,
                                           struct sk_span module);
/* Takes the principal; opens the session. */
struct sk_amqp_client *sk_amqp_client_new(struct sk_amqp_head *head, struct sk_principal *principal,
                                          const char *token_path);
void sk_amqp_client_join(struct sk_amqp_client *client, struct sk_amqp_end *end);
void sk_amqp_client_end_gone(struct sk_amqp_end *end);  /* the link */
void sk_amqp_client_end_freed(struct sk_amqp_end *end); /* and its requests */

/* ---- roles ---- */

extern const struct sk_amqp_role sk_amqp_telemetry, sk_amqp_messages, sk_amqp_inputs,
    sk_amqp_methods_in, sk_amqp_methods_out, sk_amqp_twin_in, sk_amqp_twin_out; /* device.c */
extern const struct sk_amqp_role sk_amqp_service_c2d, sk_amqp_feedback,
    sk_amqp_file_notices; /* service.c */
extern const struct sk_amqp_role sk_amqp_receiver, sk_amqp_sender, sk_amqp_management_in,
    sk_amqp_management_out; /* events.c */

#endif
