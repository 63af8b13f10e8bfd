/* How this device proves itself to the hub: by tokens of its key, or by a certificate.
 *
 * In a TPM or token the device's key becomes a secret of the store when it is first seen in the
 * configuration, and can go from there: then the store's is used. */
#ifndef SK_EDGE_DAEMON_CREDENTIAL_H
#define SK_EDGE_DAEMON_CREDENTIAL_H

#include "trust/keys/store.h"

struct sk_credential;

struct sk_credential_options {
    struct sk_key_store *store; /* borrowed */
    const char *key;            /* base64; or */
    const char *key_uri;        /* a file with its bytes, or pkcs11:; both NULL: the store's */
    const char *certificate_file, *certificate_key_uri; /* X.509; then there is no key */
    bool issued; /* X.509, and the certificate comes by sk_credential_replace */
};
/* On failure a sentence in `reason`. */
enum sk_status sk_credential_open(struct sk_io *io, const struct sk_credential_options *options,
                                  struct sk_credential **credential, char reason[256]);
void sk_credential_free(struct sk_credential *credential);

/* The certificate with its chain and its key, for TLS upstream; both live until the credential is
 * freed or replaced. Empty and NULL: the device has tokens. */
struct sk_span sk_credential_certificate(const struct sk_credential *credential,
                                         struct evp_pkey_st **key);
/* Another one has been issued; copied. */
void sk_credential_replace(struct sk_credential *credential, struct sk_span certificate_pem,
                           struct evp_pkey_st *key);

/* Appends what `Authorization` says, nothing with a certificate. `resource`: "hub/devices/d". The
 * statuses of the key store, with a sentence; SK_AGAIN: no certificate has been issued yet. */
enum sk_status sk_credential_token(struct sk_credential *credential, struct sk_span resource,
                                   int64_t expiry_s, struct sk_buffer *to, char reason[256]);

#endif
