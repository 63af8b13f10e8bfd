/* An AMQP 1.0 connection as a client: dials, opens, proves with SAS tokens what it may do
 * ($cbs), and carries links. For devices (device/amqp.c, device/mux.h) and for services.
 *
 * It has one life: once it is closed it is of no more use, and when to come again is its user's
 * business. Belongs to its loop's thread. Callbacks come from the loop, but for those that
 * sk_amqp_connection_free says; everything may be called from them. Reference:
 * docs/protocols/device-protocols.md, sections 1.5 and 3. */
#ifndef SK_NET_AMQP_CONNECTION_H
#define SK_NET_AMQP_CONNECTION_H

#include "net/dial.h"
#include "wire/amqp.h"

struct sk_amqp_connection;

/* Why something has failed. Texts live until the callback returns. */
struct sk_amqp_failure {
    /* SK_REFUSED with a condition: the server says no. SK_UNAUTHORIZED: its certificate is not
     * trusted. SK_TIMEOUT, SK_CLOSED, SK_IO, SK_MALFORMED; SK_REFUSED without one: nobody is
     * there. */
    enum sk_status status;
    struct sk_span condition, description;
};

struct sk_amqp_connection_options {
    struct sk_dial_options dial; /* texts are copied where they are needed */
    const char *host_name;       /* of the open frame: the hub's; NULL: dial.to.host */
    const char *user, *password; /* SASL PLAIN; NULL: ANONYMOUS. Copied */
    void (*opened)(void *arg);
    /* It is over, or never opened, and its links with it. Comes once; free it. */
    void (*closed)(void *arg, const struct sk_amqp_failure *why);
    void *arg;
};
/* Starts connecting. */
struct sk_amqp_connection *sk_amqp_connection_new(struct sk_io *io,
                                                  const struct sk_amqp_connection_options *options);
/* Says goodbye if there is somebody to say it to. No callback follows; tokens that are being put
 * are forgotten. */
void sk_amqp_connection_free(struct sk_amqp_connection *connection);

/* Puts a SAS token for `audience` ("hub.example/devices/d"); a later one for the same audience
 * renews it. `done` comes once, unless the connection is freed before: NULL when the server took
 * it. */
typedef void sk_amqp_token_done(void *arg, const struct sk_amqp_failure *why);
void sk_amqp_connection_put_token(struct sk_amqp_connection *connection, struct sk_span audience,
                                  struct sk_span token, sk_amqp_token_done *done, void *arg);

/* ---- links ---- */

struct sk_amqp_client_link;

/* Each may be NULL. */
struct sk_amqp_link_events {
    /* A receiver stands. */
    void (*ready)(struct sk_amqp_client_link *link);
    /* The server has ended it, or never wanted it. Not when the connection ends. */
    void (*detached)(struct sk_amqp_client_link *link, const struct sk_amqp_error *error);
    /* `delivery` NULL: it came settled. */
    void (*transfer)(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                     const struct sk_amqp_message *message);
    /* Instead of it: the message as it came, not decoded. */
    void (*transfer_bytes)(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                           struct sk_span payload);
    void (*outcome)(struct sk_amqp_client_link *link, void *data, enum sk_amqp_outcome outcome,
                    const struct sk_amqp_error *error);
    /* A sender can send, for the first time (it stands) or again. */
    void (*writable)(struct sk_amqp_client_link *link);
};

/* Embedded in its user's struct, zero-initialised. */
struct sk_amqp_client_link {
    struct sk_list node;
    struct sk_amqp_connection *connection;
    struct sk_amqp_link *link; /* NULL: not attached, or gone */
    const struct sk_amqp_link_events *events;
    bool ready; /* it stands */
};

/* Attaches. The name is given here (options->name is not looked at): unique on this connection. */
void sk_amqp_client_attach(struct sk_amqp_connection *connection, struct sk_amqp_client_link *link,
                           const struct sk_amqp_link_options *options,
                           const struct sk_amqp_link_events *events);
/* Lets go of it, if it is attached; `detached` does not follow, nor outcomes of what was sent. */
void sk_amqp_client_detach(struct sk_amqp_client_link *link);
/* True when something can be sent now. */
bool sk_amqp_client_writable(const struct sk_amqp_client_link *link);
/* Sends; `data` comes back in `outcome`, unless `settled`. */
void sk_amqp_client_send(struct sk_amqp_client_link *link, const struct sk_amqp_message *message,
                         bool settled, void *data);
/* Likewise, encoded already. */
void sk_amqp_client_send_bytes(struct sk_amqp_client_link *link, struct sk_span bytes, bool settled,
                               void *data);
void sk_amqp_client_settle(struct sk_amqp_client_link *link, struct sk_amqp_delivery *delivery,
                           enum sk_amqp_outcome outcome);
/* A receiver with credit -1: lets that many more come. */
void sk_amqp_client_grant(struct sk_amqp_client_link *link, int credit);

#endif
