/* Keys in files: secrets as base64, pairs as PEM, 0600 in a folder 0700. They are read anew for
 * each use; nothing is written before there is a key. */
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdio.h>

#include "trust/keys/parts.h"

enum { MADE_BYTES = 32 };

struct files {
    struct sk_key_store store;
    char *folder;
};

static void key_path(const struct sk_key_store *store, const char *name, char to[512]) {
    snprintf(to, 512, "%s/%s.key", SK_CONTAINER(store, struct files, store)->folder, name);
}

static enum sk_status save(struct sk_key_store *store, const char *name, struct sk_span bytes,
                           char reason[256]) {
    char path[512];
    key_path(store, name, path);
    enum sk_status status =
        sk_folder_make(store->io, SK_CONTAINER(store, struct files, store)->folder, 0700);
    if (!status) status = sk_file_save(store->io, path, bytes, 0600);
    return status ? key_refuse(reason, status, "Cannot write the key %.180s: %s.", path,
                               sk_status_text(status))
                  : SK_OK;
}

static enum sk_status make_secret(struct sk_key_store *store, const char *name,
                                  struct sk_span bytes, char reason[256]) {
    struct sk_buffer text = {0};
    uint8_t made[MADE_BYTES];
    sk_io_random(store->io, made, sizeof made);
    sk_base64_encode(&text, bytes.n ? bytes : sk_span(made, sizeof made));
    enum sk_status status = save(store, name, sk_buffer_span(&text), reason);
    OPENSSL_cleanse(made, sizeof made);
    key_bytes_free(&text);
    return status;
}

static enum sk_status hmac(struct sk_key_store *store, const char *name, struct sk_span text,
                           uint8_t digest[32], char reason[256]) {
    struct sk_buffer written = {0}, key = {0};
    char path[512];
    key_path(store, name, path);
    enum sk_status status = key_file_load(store->io, path, &written, reason);
    if (!status && (sk_base64_decode(&key, sk_span_trim(sk_buffer_span(&written))) ||
                    key.n < SK_SECRET_MIN || key.n > SK_SECRET_MAX))
        status = key_refuse(reason, SK_MALFORMED,
                            "The key %.180s is damaged; restore the file from a backup.", path);
    if (!status) key_hmac(sk_buffer_span(&key), text, digest);
    key_bytes_free(&written);
    key_bytes_free(&key);
    return status;
}

static enum sk_status make_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]) {
    *pair = EVP_EC_gen("P-256");
    BIO *bio = BIO_new(BIO_s_secmem());
    char *pem;
    PEM_write_bio_PKCS8PrivateKey(bio, *pair, NULL, NULL, 0, NULL, NULL);
    long n = BIO_get_mem_data(bio, &pem);
    enum sk_status status = save(store, name, sk_span(pem, (size_t)n), reason);
    BIO_free(bio);
    if (status) EVP_PKEY_free(*pair);
    return status;
}

static enum sk_status load_pair(struct sk_key_store *store, const char *name, EVP_PKEY **pair,
                                char reason[256]) {
    struct sk_buffer pem = {0};
    char path[512];
    key_path(store, name, path);
    enum sk_status status = key_file_load(store->io, path, &pem, reason);
    if (!status) status = key_pair_of_pem(sk_buffer_span(&pem), path, pair, reason);
    key_bytes_free(&pem);
    return status;
}

static void close_files(struct sk_key_store *store) {
    struct files *files = SK_CONTAINER(store, struct files, store);
    free(files->folder);
    free(files);
}

static const struct key_store_ops file_ops = {.kind = "files",
                                              .make_secret = make_secret,
                                              .hmac = hmac,
                                              .make_pair = make_pair,
                                              .pair = load_pair,
                                              .close = close_files};

enum sk_status key_files_open(struct sk_io *io, const struct sk_key_store_options *options,
                              struct sk_key_store **store, char reason[256]) {
    (void)io, (void)reason;
    struct files *files = SK_NEW(struct files);
    files->store.ops = &file_ops;
    files->folder = sk_span_dup(sk_span_z(options->folder));
    *store = &files->store;
    return SK_OK;
}
