/* What the kinds of key stores share. Inside src/trust/keys only. */
#ifndef SK_TRUST_KEYS_PARTS_H
#define SK_TRUST_KEYS_PARTS_H

#include <openssl/evp.h>

#include "trust/keys/store.h"

/* What a kind of store does: the calls of store.h, whose checks are made. */
struct key_store_ops {
    const char *kind;
    enum sk_status (*make_secret)(struct sk_key_store *store, const char *name,
                                  struct sk_span bytes, char reason[256]);
    enum sk_status (*hmac)(struct sk_key_store *store, const char *name, struct sk_span text,
                           uint8_t digest[32], char reason[256]);
    enum sk_status (*make_pair)(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]);
    enum sk_status (*pair)(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                           char reason[256]);
    void (*close)(struct sk_key_store *store);
};

/* The beginning of every kind's struct. */
struct sk_key_store {
    const struct key_store_ops *ops;
    struct sk_io *io;
    char *pkcs11_library;
    struct sk_list given; /* struct given: the tokens of URIs that were asked for */
};

/* Each kind's opening allocates its struct; the rest of it is filled in by store.c. */
enum sk_status key_files_open(struct sk_io *io, const struct sk_key_store_options *options,
                              struct sk_key_store **store, char reason[256]);
enum sk_status key_tpm_open(struct sk_io *io, const struct sk_key_store_options *options,
                            struct sk_key_store **store, char reason[256]);
enum sk_status key_pkcs11_open(struct sk_io *io, const struct sk_key_store_options *options,
                               struct sk_key_store **store, char reason[256]);

/* ---- forms.c ---- */

/* Writes the sentence, and returns the status. */
enum sk_status key_refuse(char reason[256], enum sk_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Loads a key's file of at most 16 KB. SK_NOT_FOUND, SK_IO or another with a sentence. */
enum sk_status key_file_load(struct sk_io *io, const char *path, struct sk_buffer *to,
                             char reason[256]);
enum sk_status key_pair_of_pem(struct sk_span pem, const char *path, EVP_PKEY **pair,
                               char reason[256]);
void key_hmac(struct sk_span key, struct sk_span text, uint8_t digest[32]);
/* Frees it, and leaves nothing of the bytes. */
void key_bytes_free(struct sk_buffer *bytes);

/* ---- token.c: a PKCS#11 token, given or our store ---- */

struct key_token;
/* Opened by the first call. The library's path and the URI are copied. SK_MALFORMED: the URI. */
enum sk_status key_token_new(struct sk_io *io, const char *library, const char *uri,
                             struct key_token **token, char reason[256]);
void key_token_free(struct key_token *token);
/* Whether it is there and lets us in. */
enum sk_status key_token_check(struct key_token *token, char reason[256]);
/* `label`: the key's; NULL: the object of the URI. The calls of store.h. */
enum sk_status key_token_hmac(struct key_token *token, const char *label, struct sk_span text,
                              uint8_t digest[32], char reason[256]);
enum sk_status key_token_pair(struct key_token *token, const char *label, EVP_PKEY **pair,
                              char reason[256]);
enum sk_status key_token_make_secret(struct key_token *token, const char *label,
                                     struct sk_span bytes, char reason[256]);
enum sk_status key_token_make_pair(struct key_token *token, const char *label, char reason[256]);

/* ---- delegate.c: pairs whose private half is elsewhere ---- */

enum key_signing {
    KEY_SIGNS_EC,        /* a digest → r and s, each as long as the curve's order */
    KEY_SIGNS_RSA_PKCS1, /* a DigestInfo → a signature of its own padding */
    KEY_SIGNS_RSA_RAW,   /* a padded block → its signature */
};
struct key_delegate {
    void *arg;
    /* Appends the signature. False: it cannot; why is in the log. */
    bool (*sign)(void *arg, enum key_signing how, struct sk_span from, struct sk_buffer *signature);
    void (*free)(void *arg); /* with the pair */
};
/* NULL: OpenSSL cannot make it of these, and `arg` is freed. `point`: 04, x, y; `curve`: OpenSSL's
 * number. */
EVP_PKEY *key_delegate_ec(const struct key_delegate *delegate, int curve, struct sk_span point);
EVP_PKEY *key_delegate_rsa(const struct key_delegate *delegate, struct sk_span modulus,
                           struct sk_span exponent);

#endif
