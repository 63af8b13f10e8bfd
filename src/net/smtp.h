/* Sends mails to a server by SMTP (RFC 5321), each on a connection of its own.
 *
 * Mails are few and the servers are many's, so a sender keeps to a rate, waits as long as it says
 * for a server that hangs, and reads no more of an answer than a server has to say. Belongs to its
 * loop's thread. */
#ifndef SK_NET_SMTP_H
#define SK_NET_SMTP_H

#include "io/io.h"
#include "wire/mail.h"

enum { SK_SMTP_RATE_MAX = 60 };

enum sk_smtp_security {
    SK_SMTP_TLS,      /* from the first byte */
    SK_SMTP_STARTTLS, /* or the mail is not sent */
    SK_SMTP_PLAIN,
};

/* All texts are copied; `tls` must outlive the sender. */
struct sk_smtp_options {
    struct sk_endpoint to;
    enum sk_smtp_security security;
    struct sk_tls *tls;
    const char *user, *password; /* NULL: nobody */
    const char *name;            /* that we have ourselves: a host name or an address */
};

struct sk_smtp;
struct sk_smtp *sk_smtp_new(struct sk_io *io, const struct sk_smtp_options *options);
/* Drops what is under way; nobody hears of it. NULL is fine. */
void sk_smtp_free(struct sk_smtp *smtp);

enum sk_smtp_end {
    SK_SMTP_SENT,
    SK_SMTP_AGAIN,   /* not now; whoever may mend it is at the other side */
    SK_SMTP_REFUSED, /* the mail as it is */
};
/* `why`: one sentence where it was not sent, else "". It may send the next, not free the sender. */
typedef void sk_smtp_done(void *arg, enum sk_smtp_end end, const char *why);
/* One at a time, and at most `per_minute` in any minute (1 to SK_SMTP_RATE_MAX): it waits for its
 * turn, and has `timeout_ms` from dialling to its end. `mail` is copied. `done` comes once, never
 * from inside. An address that the server does not know is left out if it takes another. */
void sk_smtp_send(struct sk_smtp *smtp, const struct sk_mail *mail, unsigned per_minute,
                  uint32_t timeout_ms, sk_smtp_done *done, void *arg);

#endif
