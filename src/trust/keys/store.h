/* Keys that stay where they are: in files, in a TPM 2.0 or in a PKCS#11 token.
 *
 * A store holds secrets, for HMAC-SHA256, and pairs, EC P-256, each by a name of lower-case
 * letters, digits and '-'. What a caller gets is what a key makes, never the key
 * (docs/decisions/0019-key-stores.md).
 *
 * Calls return when they have their answer, which takes a token or TPM up to some hundred
 * milliseconds. One thread uses a store. A token or TPM that has gone and comes back is opened anew
 * by the next call.
 *
 * Statuses: SK_NOT_FOUND: there is no such key; SK_IO: the store cannot be reached now, or its
 * disk; SK_MALFORMED: a key is there and not usable, as it is damaged or another TPM's;
 * SK_UNAUTHORIZED: the PIN or authorization is wrong; SK_INVALID: what people wrote cannot be
 * right. Each with a sentence in `reason`. */
#ifndef SK_TRUST_KEYS_STORE_H
#define SK_TRUST_KEYS_STORE_H

#include "io/io.h"

struct sk_key_store;
struct evp_pkey_st;

enum { SK_SECRET_MIN = 16, SK_SECRET_MAX = 64, SK_HMAC_TEXT_MAX = 1024 }; /* bytes */

enum sk_key_store_kind { SK_KEYS_IN_FILES, SK_KEYS_IN_TPM, SK_KEYS_IN_PKCS11 };

/* Texts are copied. */
struct sk_key_store_options {
    enum sk_key_store_kind kind;
    const char *folder;         /* of the files; of a TPM's keys, which only that TPM can use */
    const char *tcti;           /* how the TPM is reached: "device:/dev/tpmrm0"; NULL: "device" */
    const char *owner_auth;     /* authorization of the TPM's owner hierarchy; NULL: none */
    const char *pkcs11_library; /* path of the token's module; NULL: none, pkcs11: cannot be used */
    const char *pkcs11_slot;    /* which token, "pkcs11:token=…?pin-value=…" */
};

enum sk_status sk_key_store_open(struct sk_io *io, const struct sk_key_store_options *options,
                                 struct sk_key_store **store, char reason[256]);
/* Pairs of it must have been freed. */
void sk_key_store_close(struct sk_key_store *store);
/* "files", "tpm" or "pkcs11", as the configuration names it. */
const char *sk_key_store_kind(const struct sk_key_store *store);

/* A secret of these bytes, SK_SECRET_MIN to SK_SECRET_MAX, or of 32 that nobody knows when there
 * are none. Takes the place of one of that name. */
enum sk_status sk_key_store_make_secret(struct sk_key_store *store, const char *name,
                                        struct sk_span bytes, char reason[256]);
/* HMAC-SHA256 of at most SK_HMAC_TEXT_MAX bytes. */
enum sk_status sk_key_store_hmac(struct sk_key_store *store, const char *name, struct sk_span text,
                                 uint8_t digest[32], char reason[256]);

/* A pair, to be freed by EVP_PKEY_free. It signs where it is: also for TLS and certificates. The
 * first makes one, in the place of one of that name. */
enum sk_status sk_key_store_make_pair(struct sk_key_store *store, const char *name,
                                      struct evp_pkey_st **pair, char reason[256]);
enum sk_status sk_key_store_pair(struct sk_key_store *store, const char *name,
                                 struct evp_pkey_st **pair, char reason[256]);

/* The same for keys that people have given: a PEM file's path, of a secret a file with its bytes,
 * or "pkcs11:token=…;object=…?pin-value=…" in any kind of store. Pairs may be RSA, too. */
enum sk_status sk_key_store_given_pair(struct sk_key_store *store, const char *uri,
                                       struct evp_pkey_st **pair, char reason[256]);
enum sk_status sk_key_store_given_hmac(struct sk_key_store *store, const char *uri,
                                       struct sk_span text, uint8_t digest[32], char reason[256]);

#endif
