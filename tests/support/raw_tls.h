/* The client's side of TLS on two buffers, for clients that say what our own streams never
 * would. */
#ifndef TESTS_RAW_TLS_H
#define TESTS_RAW_TLS_H

#include <openssl/ssl.h>
#include <stdlib.h>

#include "base/base.h"

struct raw_tls {
    SSL *ssl;
    BIO *in, *out;
};

/* `version`: TLS1_2_VERSION or TLS1_3_VERSION. The first bytes are made by raw_tls_take of none. */
void raw_tls_begin(struct raw_tls *t, int version);

void raw_tls_end(struct raw_tls *t);

/* What has come from the server. True: the handshake is over now. */
bool raw_tls_take(struct raw_tls *t, struct sk_span bytes);

/* What is to be sent: appended to `to`. */
void raw_tls_drain(struct raw_tls *t, struct sk_buffer *to);

void raw_tls_write(struct raw_tls *t, struct sk_span bytes);
void raw_tls_key_update(struct raw_tls *t);
void raw_tls_renegotiate(struct raw_tls *t);

/* An RSA key of that many bits ("4096"), or one on a named curve. */
EVP_PKEY *raw_tls_key(const char *kind);

/* A certificate of `key` for the subject `name`, signed by the key of `issuer`. */
X509 *raw_tls_certificate(const char *name, EVP_PKEY *key, const char *issuer,
                          EVP_PKEY *issuer_key);

#endif
