/* A PKCS#11 token as the store. Labels of our keys begin with "skerry-". */
#include <stdio.h>

#include "trust/keys/parts.h"

enum { LABEL_MAX = 40 };

struct pkcs11 {
    struct sk_key_store store;
    struct key_token *token;
};

static struct key_token *token_of(struct sk_key_store *store) {
    return SK_CONTAINER(store, struct pkcs11, store)->token;
}

static const char *label_of(const char *name, char to[LABEL_MAX]) {
    snprintf(to, LABEL_MAX, "skerry-%s", name);
    return to;
}

static enum sk_status make_secret(struct sk_key_store *store, const char *name,
                                  struct sk_span bytes, char reason[256]) {
    char label[LABEL_MAX];
    return key_token_make_secret(token_of(store), label_of(name, label), bytes, reason);
}

static enum sk_status hmac(struct sk_key_store *store, const char *name, struct sk_span text,
                           uint8_t digest[32], char reason[256]) {
    char label[LABEL_MAX];
    return key_token_hmac(token_of(store), label_of(name, label), text, digest, reason);
}

static enum sk_status load_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]) {
    char label[LABEL_MAX];
    return key_token_pair(token_of(store), label_of(name, label), pair, reason);
}

static enum sk_status make_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]) {
    char label[LABEL_MAX];
    enum sk_status status = key_token_make_pair(token_of(store), label_of(name, label), reason);
    return status ? status : load_pair(store, name, pair, reason);
}

static void close_token(struct sk_key_store *store) {
    key_token_free(token_of(store));
    free(SK_CONTAINER(store, struct pkcs11, store));
}

static const struct key_store_ops pkcs11_ops = {.kind = "pkcs11",
                                                .make_secret = make_secret,
                                                .hmac = hmac,
                                                .make_pair = make_pair,
                                                .pair = load_pair,
                                                .close = close_token};

enum sk_status key_pkcs11_open(struct sk_io *io, const struct sk_key_store_options *options,
                               struct sk_key_store **store, char reason[256]) {
    struct key_token *token;
    enum sk_status status =
        key_token_new(io, options->pkcs11_library, options->pkcs11_slot, &token, reason);
    if (!status && (status = key_token_check(token, reason)) != SK_OK) key_token_free(token);
    if (status) return status;
    struct pkcs11 *pkcs11 = SK_NEW(struct pkcs11);
    pkcs11->store.ops = &pkcs11_ops;
    pkcs11->token = token;
    *store = &pkcs11->store;
    return SK_OK;
}
