/* Enrollment over Secure Transport (RFC 7030): a certificate from a server of the company's own.
 *
 * One asking is: the server's CA certificates, then /simpleenroll, or /simplereenroll when there is
 * a certificate to follow. The server is known by [cert_issuance.est] trusted_certs; the edge by a
 * name and a password, by a certificate, or both. */
#ifndef SK_EDGE_DAEMON_EST_H
#define SK_EDGE_DAEMON_EST_H

#include "io/io.h"

struct evp_pkey_st;
struct sk_est;

/* Borrowed during sk_est_ask. */
struct sk_est_options {
    const char *url;                 /* "https://host[:port]/.well-known/est" */
    const char *username, *password; /* NULL: none */
    struct sk_span trust_pem;        /* of the server; empty: the system's */
    struct sk_span certificate_pem;  /* ours, for TLS; empty: none */
    struct evp_pkey_st *certificate_key;
    const char *proxy;       /* URL, or NULL */
    struct sk_span request;  /* PKCS#10 as DER */
    struct evp_pkey_st *key; /* whose certificate it is; outlives the asking */
    bool again;              /* by /simplereenroll */
};
/* The end, once, never from inside sk_est_ask: the certificate with its chain, and the server's
 * CAs; both may be taken. Else a sentence: SK_REFUSED: the server says no; SK_AGAIN: it wants
 * to be asked later; SK_MALFORMED: its answer is none; and those of sk_http_ask. */
typedef void sk_est_done(void *arg, enum sk_status status, struct sk_buffer *certificate_pem,
                         struct sk_buffer *anchors_pem, const char *reason);

/* SK_INVALID with a sentence in `reason`: the options cannot be used, and `done` is not called. */
enum sk_status sk_est_ask(struct sk_io *io, const struct sk_est_options *options, sk_est_done *done,
                          void *arg, struct sk_est **est, char reason[256]);
/* Ends it without `done`. */
void sk_est_cancel(struct sk_est *est);

/* "https://host[:port][/path]" in its parts; IPv6 in brackets. SK_MALFORMED. */
struct sk_est_url {
    char host[256], path[256];
    uint16_t port;
};
enum sk_status sk_est_url_parse(struct sk_span text, struct sk_est_url *url);

#endif
