/* Keys in PEM form that need a passphrase. Nobody is at a server's terminal to type one, so they
 * are refused, with a sentence, and never asked for. */
#ifndef SK_BASE_PEM_H
#define SK_BASE_PEM_H

#include "base/span.h"

/* For every PEM_read_… of OpenSSL, whose own callback prompts at the terminal. */
int sk_pem_no_passphrase(char *to, int size, int writes, void *arg);
/* Whether a private key in the text is encrypted: PKCS#8 or OpenSSL's own form. */
bool sk_pem_is_encrypted(struct sk_span pem);
#define SK_PEM_ENCRYPTED                                                                           \
    "is encrypted; store it without a passphrase, in a file that only its user reads "             \
    "(openssl pkey -in KEY -out NEW-KEY)"

#endif
