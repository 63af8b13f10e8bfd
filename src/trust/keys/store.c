/* Which kind of store it is, and keys that people have given in their own places. */
#include <openssl/crypto.h>

#include "trust/keys/parts.h"

enum { NAME_MAX_LENGTH = 24 };

/* ---- one store ---- */

enum sk_status sk_key_store_open(struct sk_io *io, const struct sk_key_store_options *options,
                                 struct sk_key_store **opened, char reason[256]) {
    static enum sk_status (*const opens[])(struct sk_io *, const struct sk_key_store_options *,
                                           struct sk_key_store **,
                                           char[256]) = {[SK_KEYS_IN_FILES] = key_files_open,
                                                         [SK_KEYS_IN_TPM] = key_tpm_open,
                                                         [SK_KEYS_IN_PKCS11] = key_pkcs11_open};
    enum sk_status status = opens[options->kind](io, options, opened, reason);
    if (status) return status;
    (*opened)->io = io;
    if (options->pkcs11_library)
        (*opened)->pkcs11_library = sk_span_dup(sk_span_z(options->pkcs11_library));
    sk_list_init(&(*opened)->given);
    return SK_OK;
}

const char *sk_key_store_kind(const struct sk_key_store *store) {
    return store->ops->kind;
}

static void check_name(const char *name) {
    size_t n = 0;
    for (; name[n]; n++)
        SK_ASSERT((name[n] >= 'a' && name[n] <= 'z') || (name[n] >= '0' && name[n] <= '9') ||
                  name[n] == '-');
    SK_ASSERT(n > 0 && n <= NAME_MAX_LENGTH);
}

enum sk_status sk_key_store_make_secret(struct sk_key_store *store, const char *name,
                                        struct sk_span bytes, char reason[256]) {
    check_name(name);
    if (bytes.n && (bytes.n < SK_SECRET_MIN || bytes.n > SK_SECRET_MAX))
        return key_refuse(reason, SK_INVALID, "A key of a store has %d to %d bytes.", SK_SECRET_MIN,
                          SK_SECRET_MAX);
    return store->ops->make_secret(store, name, bytes, reason);
}

static enum sk_status check_text(struct sk_span text, char reason[256]) {
    return text.n <= SK_HMAC_TEXT_MAX
               ? SK_OK
               : key_refuse(reason, SK_TOO_LARGE, "A key store signs at most %d bytes.",
                            SK_HMAC_TEXT_MAX);
}

enum sk_status sk_key_store_hmac(struct sk_key_store *store, const char *name, struct sk_span text,
                                 uint8_t digest[32], char reason[256]) {
    check_name(name);
    enum sk_status status = check_text(text, reason);
    return status ? status : store->ops->hmac(store, name, text, digest, reason);
}

enum sk_status sk_key_store_make_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                      char reason[256]) {
    check_name(name);
    return store->ops->make_pair(store, name, pair, reason);
}

enum sk_status sk_key_store_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                 char reason[256]) {
    check_name(name);
    return store->ops->pair(store, name, pair, reason);
}

/* ---- given keys ---- */

struct given {
    struct sk_list link;
    char *uri;
    struct key_token *token;
};

static bool is_in_token(const char *uri) {
    return sk_span_starts(sk_span_z(uri), SK_SPAN("pkcs11:"));
}

/* The token of a URI stays open: pairs sign with it. */
static enum sk_status given_token(struct sk_key_store *store, const char *uri,
                                  struct key_token **token, char reason[256]) {
    SK_LIST_EACH(&store->given, node, following) {
        struct given *known = SK_CONTAINER(node, struct given, link);
        if (strcmp(known->uri, uri) != 0) continue;
        *token = known->token;
        return SK_OK;
    }
    if (store->pkcs11_library == NULL)
        return key_refuse(reason, SK_INVALID,
                          "A key in a PKCS#11 token needs the token's module: [aziot_keys] "
                          "pkcs11_lib_path.");
    enum sk_status status = key_token_new(store->io, store->pkcs11_library, uri, token, reason);
    if (status) return status;
    struct given *given = SK_NEW(struct given);
    given->uri = sk_span_dup(sk_span_z(uri));
    given->token = *token;
    sk_list_append(&store->given, &given->link);
    return SK_OK;
}

static void free_given(struct given *given) {
    key_token_free(given->token);
    OPENSSL_cleanse(given->uri, strlen(given->uri));
    free(given->uri);
    sk_list_remove(&given->link);
    free(given);
}

void sk_key_store_close(struct sk_key_store *store) {
    while (!sk_list_empty(&store->given))
        free_given(SK_LIST_FIRST(&store->given, struct given, link));
    free(store->pkcs11_library);
    store->ops->close(store);
}

enum sk_status sk_key_store_given_pair(struct sk_key_store *store, const char *uri, EVP_PKEY **pair,
                                       char reason[256]) {
    struct sk_buffer pem = {0};
    struct key_token *token;
    enum sk_status status;
    if (is_in_token(uri)) {
        status = given_token(store, uri, &token, reason);
        return status ? status : key_token_pair(token, NULL, pair, reason);
    }
    status = key_file_load(store->io, uri, &pem, reason);
    if (!status) status = key_pair_of_pem(sk_buffer_span(&pem), uri, pair, reason);
    key_bytes_free(&pem);
    return status;
}

enum sk_status sk_key_store_given_hmac(struct sk_key_store *store, const char *uri,
                                       struct sk_span text, uint8_t digest[32], char reason[256]) {
    struct sk_buffer key = {0};
    struct key_token *token;
    enum sk_status status = check_text(text, reason);
    if (status) return status;
    if (is_in_token(uri)) {
        status = given_token(store, uri, &token, reason);
        return status ? status : key_token_hmac(token, NULL, text, digest, reason);
    }
    status = key_file_load(store->io, uri, &key, reason);
    if (!status && key.n == 0)
        status = key_refuse(reason, SK_MALFORMED, "The key %.180s is empty.", uri);
    if (!status) key_hmac(sk_buffer_span(&key), text, digest);
    key_bytes_free(&key);
    return status;
}
