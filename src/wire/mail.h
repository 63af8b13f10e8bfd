/* Mails (RFC 5322, MIME) and what servers answer who sends them (RFC 5321). No I/O.
 *
 * Whatever a subject or a text holds, it cannot become a header or end the mail: the subject is
 * printable ASCII or encoded words (RFC 2047), the text is base64. */
#ifndef SK_WIRE_MAIL_H
#define SK_WIRE_MAIL_H

#include "base/base.h"

enum { SK_MAIL_SUBJECT_MAX = 500 /* bytes; the rest is cut off */ };

struct sk_mail {
    struct sk_span from;   /* addresses: sk_mail_address_fine */
    const char *const *to; /* at least one */
    size_t to_count;
    struct sk_span subject, text; /* UTF-8; what is none becomes U+FFFD */
    struct sk_span id;            /* left of '@' in its Message-ID: atoms and dots */
    int64_t wall_us;
};

/* "name@host.example": printable ASCII without quotes or comments. */
bool sk_mail_address_fine(struct sk_span address);
/* Appends headers and body, each line ended by CR LF. No line begins with a dot. */
void sk_mail_put(struct sk_buffer *to, const struct sk_mail *mail);

/* A line of a reply; the last has no more behind it. */
struct sk_mail_reply {
    unsigned code;
    bool more;
    struct sk_span text;
};
/* *used: bytes of the line. SK_AGAIN: it is not whole; SK_MALFORMED: it is none, or too long. */
enum sk_status sk_mail_reply_read(struct sk_span in, struct sk_mail_reply *reply, size_t *used);

#endif
