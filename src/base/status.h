/* Outcomes of functions that can fail.
 *
 * SK_OK is zero and everything else is negative, so `if (status)` reads as "if it failed". What a
 * person or a client is told is a `struct sk_error` (model/error.h); this enum is what our own code
 * branches on. */
#ifndef SK_BASE_STATUS_H
#define SK_BASE_STATUS_H

enum sk_status {
    SK_OK = 0,
    SK_AGAIN = -1,     /* not yet: more input, or a later attempt, is needed */
    SK_MALFORMED = -2, /* the input breaks its grammar */
    SK_TOO_LARGE = -3, /* a limit of size or count would be passed */
    SK_NOT_FOUND = -4,
    SK_EXISTS = -5,
    SK_CONFLICT = -6,     /* a precondition (etag, version) does not hold */
    SK_UNAUTHORIZED = -7, /* the credentials are bad, expired or for something else */
    SK_FORBIDDEN = -8,    /* the credentials are good but do not allow this */
    SK_CLOSED = -9,       /* the thing asked is closed or closing */
    SK_NO_SPACE = -10,    /* the disk or a quota is full */
    SK_IO = -11,          /* the operating system reported an I/O error */
    SK_TIMEOUT = -12,
    SK_UNSUPPORTED = -13,
    SK_INVALID = -14, /* well-formed, but not allowed by a rule of the domain */
    SK_REFUSED = -15, /* the peer refused (connection, CONNACK, HTTP status) */
};

/* The name of a status for log lines and tests, e.g. "no-space". Never NULL; static. */
const char *sk_status_text(enum sk_status status);

#endif
