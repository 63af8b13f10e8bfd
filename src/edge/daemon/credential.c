#include "edge/daemon/credential.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>

#include "trust/sas.h"
#include "trust/x509.h"

#define DEVICE "device" /* its key's name in the store */
enum { CERTIFICATE_MAX = 64 * 1024 };

struct sk_credential {
    struct sk_io *io;
    struct sk_key_store *store;
    char *key, *key_uri;
    struct sk_buffer certificate_pem;
    EVP_PKEY *certificate_key;
    bool certificate;
};

/* ---- the device's key ---- */

/* Its signature of `text`, wherever it is. */
static enum sk_status sign(struct sk_credential *credential, struct sk_span text,
                           uint8_t digest[32], char reason[256]) {
    if (credential->key_uri)
        return sk_key_store_given_hmac(credential->store, credential->key_uri, text, digest,
                                       reason);
    if (credential->key == NULL)
        return sk_key_store_hmac(credential->store, DEVICE, text, digest, reason);
    enum sk_status status = sk_sas_hmac(sk_span_z(credential->key), text, digest);
    if (status) snprintf(reason, 256, "The device's key is not base64.");
    return status;
}

/* A secret of at most SK_SECRET_MAX bytes that signs as the key does: HMAC itself takes the digest
 * of a longer one. */
static enum sk_status secret_of(const char *key, struct sk_buffer *secret) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    if (sk_base64_decode(secret, sk_span_z(key))) return SK_MALFORMED;
    if (secret->n <= SK_SECRET_MAX) return SK_OK;
    SHA256((const unsigned char *)secret->p, secret->n, digest);
    OPENSSL_cleanse(secret->p, secret->n);
    secret->n = 0;
    return sk_buffer_append(secret, sk_span(digest, sizeof digest));
}

static void clear(char *text) {
    if (text) OPENSSL_cleanse(text, strlen(text));
    free(text);
}

/* Puts the key of the configuration into the store, unless it is there, and forgets it. */
static enum sk_status move_key(struct sk_credential *credential, char reason[256]) {
    uint8_t given[32], there[32];
    struct sk_buffer secret = {.limit = SK_SAS_KEY_MAX};
    enum sk_status status = sign(credential, SK_SPAN("check"), given, reason);
    if (!status)
        status = sk_key_store_hmac(credential->store, DEVICE, SK_SPAN("check"), there, reason);
    bool new = status == SK_NOT_FOUND || (!status && CRYPTO_memcmp(given, there, 32) != 0);
    if (new) {
        status = secret_of(credential->key, &secret);
        if (!status)
            status = sk_key_store_make_secret(credential->store, DEVICE, sk_buffer_span(&secret),
                                              reason);
        if (!status)
            SK_INFO("daemon",
                    "the device's key is in the key store (%s) now; it can go from the "
                    "configuration",
                    sk_key_store_kind(credential->store));
    }
    if (secret.p) OPENSSL_cleanse(secret.p, secret.n);
    sk_buffer_free(&secret);
    if (status) return status;
    clear(credential->key);
    credential->key = NULL;
    return SK_OK;
}

static enum sk_status open_key(struct sk_credential *credential, char reason[256]) {
    uint8_t digest[32];
    bool files = strcmp(sk_key_store_kind(credential->store), "files") == 0;
    if (credential->key && !files) return move_key(credential, reason);
    enum sk_status status = sign(credential, SK_SPAN("check"), digest, reason);
    if (status == SK_NOT_FOUND && credential->key_uri == NULL)
        snprintf(reason, 256,
                 "The device's key is neither in the configuration "
                 "(provisioning.authentication.device_id_pk) nor in the key store (%s).",
                 sk_key_store_kind(credential->store));
    return status;
}

/* ---- its certificate ---- */

static enum sk_status open_certificate(struct sk_credential *credential,
                                       const struct sk_credential_options *options,
                                       char reason[256]) {
    const char *path = options->certificate_file;
    int64_t ends_s;
    credential->certificate_pem.limit = CERTIFICATE_MAX;
    enum sk_status status = sk_file_load(credential->io, path, &credential->certificate_pem);
    if (status) {
        snprintf(reason, 256, "Cannot read the device's certificate %.150s: %s.", path,
                 sk_status_text(status));
        return status;
    }
    struct sk_span pem = sk_buffer_span(&credential->certificate_pem);
    status = sk_key_store_given_pair(credential->store, options->certificate_key_uri,
                                     &credential->certificate_key, reason);
    if (status) return status;
    if (sk_x509_not_after(pem, &ends_s)) {
        snprintf(reason, 256, "The device's certificate %.150s is not in PEM form.", path);
        return SK_INVALID;
    }
    if (!sk_x509_is_pair(pem, credential->certificate_key)) {
        snprintf(reason, 256, "The device's certificate %.150s and its key do not belong together.",
                 path);
        return SK_INVALID;
    }
    if (ends_s < sk_io_wall(credential->io) / 1000000)
        SK_ERROR("daemon",
                 "the device's certificate %s has expired: the hub will refuse it; put a new one "
                 "there and restart",
                 path);
    return SK_OK;
}

struct sk_span sk_credential_certificate(const struct sk_credential *credential, EVP_PKEY **key) {
    *key = credential->certificate_key;
    return sk_buffer_span(&credential->certificate_pem);
}

void sk_credential_replace(struct sk_credential *credential, struct sk_span certificate_pem,
                           EVP_PKEY *key) {
    EVP_PKEY_free(credential->certificate_key);
    EVP_PKEY_up_ref(key);
    credential->certificate_key = key;
    credential->certificate_pem.n = 0;
    sk_buffer_append(&credential->certificate_pem, certificate_pem);
}

/* ---- life, and tokens ---- */

enum sk_status sk_credential_open(struct sk_io *io, const struct sk_credential_options *options,
                                  struct sk_credential **opened, char reason[256]) {
    struct sk_credential *credential = SK_NEW(struct sk_credential);
    credential->io = io;
    credential->store = options->store;
    credential->key = sk_text_dup(options->key);
    credential->key_uri = sk_text_dup(options->key_uri);
    credential->certificate = options->issued || options->certificate_file;
    enum sk_status status = SK_OK;
    if (options->certificate_file)
        status = open_certificate(credential, options, reason);
    else if (!options->issued)
        status = open_key(credential, reason);
    if (status) {
        sk_credential_free(credential);
        return status;
    }
    *opened = credential;
    return SK_OK;
}

void sk_credential_free(struct sk_credential *credential) {
    clear(credential->key);
    free(credential->key_uri);
    sk_buffer_free(&credential->certificate_pem);
    EVP_PKEY_free(credential->certificate_key);
    free(credential);
}

enum sk_status sk_credential_token(struct sk_credential *credential, struct sk_span resource,
                                   int64_t expiry_s, struct sk_buffer *to, char reason[256]) {
    if (credential->certificate && credential->certificate_pem.n == 0) {
        snprintf(reason, 256, "The device's certificate has not been issued yet.");
        return SK_AGAIN;
    }
    if (credential->certificate) return SK_OK;
    struct sk_buffer text = {0}, signature = {0};
    uint8_t digest[32];
    sk_sas_put_text_to_sign(&text, resource, expiry_s);
    enum sk_status status = sign(credential, sk_buffer_span(&text), digest, reason);
    if (!status) {
        sk_base64_encode(&signature, sk_span(digest, sizeof digest));
        sk_sas_put_token(to, resource, sk_buffer_span(&signature), SK_NONE, expiry_s);
    }
    sk_buffer_free(&text);
    sk_buffer_free(&signature);
    return status;
}
