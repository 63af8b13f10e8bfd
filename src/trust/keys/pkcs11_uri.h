/* Where a key or a token is: a PKCS#11 URI (RFC 7512), as far as it names these. No I/O. */
#ifndef SK_TRUST_KEYS_PKCS11_URI_H
#define SK_TRUST_KEYS_PKCS11_URI_H

#include "base/base.h"

enum { SK_PKCS11_TEXT_MAX = 128 };

/* Texts are decoded; empty: not said. */
struct sk_pkcs11_uri {
    char token[SK_PKCS11_TEXT_MAX], serial[SK_PKCS11_TEXT_MAX]; /* the token's label and number */
    int64_t slot;                                               /* -1: not said */
    char object[SK_PKCS11_TEXT_MAX];                            /* the key's label */
    uint8_t id[SK_PKCS11_TEXT_MAX];                             /* its id */
    size_t id_size;
    char pin[SK_PKCS11_TEXT_MAX];
    char pin_file[SK_PKCS11_TEXT_MAX]; /* pin-source: a file that holds it */
};

/* Attributes that choose among modules, libraries and types are passed over. SK_MALFORMED with a
 * sentence in `reason`, which shows nothing of the PIN. */
enum sk_status sk_pkcs11_uri_parse(struct sk_span text, struct sk_pkcs11_uri *uri,
                                   char reason[256]);

#endif
