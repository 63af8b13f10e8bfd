/* Key derivation, signing and encryption of the file key store. */
#include "edge/daemon/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum { KEY = 32, TAG = 16, IV_MAX = 64, VERSION = 1 };

struct sk_keys {
    uint8_t master[KEY];
    uint8_t encryption[KEY];
};

/* ---- the store ---- */

static void hmac(const uint8_t key[KEY], struct sk_span text, uint8_t digest[KEY]) {
    unsigned n = KEY;
    HMAC(EVP_sha256(), key, KEY, (const unsigned char *)(text.p ? text.p : ""), text.n, digest, &n);
}

static enum sk_status load_master(struct sk_io *io, const char *path, uint8_t master[KEY]) {
    struct sk_buffer text = {.limit = 256}, bytes = {.limit = 256};
    enum sk_status status = sk_file_load(io, path, &text);
    if (!status) status = sk_base64_decode(&bytes, sk_span_trim(sk_buffer_span(&text)));
    if (!status && bytes.n != KEY) status = SK_MALFORMED;
    if (status == SK_TOO_LARGE) status = SK_MALFORMED;
    if (!status) memcpy(master, bytes.p, KEY);
    OPENSSL_cleanse(text.p, text.n);
    OPENSSL_cleanse(bytes.p, bytes.n);
    sk_buffer_free(&text);
    sk_buffer_free(&bytes);
    return status;
}

static enum sk_status make_master(struct sk_io *io, const char *path, uint8_t master[KEY]) {
    struct sk_buffer text = {0};
    sk_io_random(io, master, KEY);
    sk_base64_encode(&text, sk_span(master, KEY));
    enum sk_status status = sk_file_save(io, path, sk_buffer_span(&text), 0600);
    OPENSSL_cleanse(text.p, text.n);
    sk_buffer_free(&text);
    return status;
}

enum sk_status sk_keys_open(struct sk_io *io, const char *folder, struct sk_keys **opened,
                            char reason[256]) {
    char path[512];
    struct sk_keys *keys = SK_NEW(struct sk_keys);
    snprintf(path, sizeof path, "%s/master.key", folder);
    enum sk_status status = sk_folder_make(io, folder, 0700);
    if (!status) status = load_master(io, path, keys->master);
    if (status == SK_NOT_FOUND) status = make_master(io, path, keys->master);
    if (status) {
        snprintf(reason, 256, "Cannot open the key store %.180s: %s%s.", path,
                 sk_status_text(status),
                 status == SK_MALFORMED
                     ? "; restore the file from a backup, or remove it to make new module keys"
                     : "");
        sk_keys_free(keys);
        return status;
    }
    hmac(keys->master, SK_SPAN("encryption"), keys->encryption);
    *opened = keys;
    return SK_OK;
}

void sk_keys_free(struct sk_keys *keys) {
    OPENSSL_cleanse(keys, sizeof *keys);
    free(keys);
}

/* ---- module keys ---- */

static void derive(const struct sk_keys *keys, struct sk_span module_id,
                   struct sk_span generation_id, const char *which, uint8_t key[KEY]) {
    struct sk_buffer text = {0};
    sk_buffer_print(&text, "%.*s:%.*s:%s", SK_ARG(module_id), SK_ARG(generation_id), which);
    hmac(keys->master, sk_buffer_span(&text), key);
    sk_buffer_free(&text);
}

void sk_keys_module(const struct sk_keys *keys, struct sk_span module_id,
                    struct sk_span generation_id, bool secondary, char to[SK_KEY_TEXT]) {
    uint8_t key[KEY];
    struct sk_buffer text = {0};
    derive(keys, module_id, generation_id, secondary ? "secondary" : "primary", key);
    sk_base64_encode(&text, sk_span(key, KEY));
    memcpy(to, text.p, text.n);
    to[text.n] = 0;
    OPENSSL_cleanse(key, KEY);
    OPENSSL_cleanse(text.p, text.n);
    sk_buffer_free(&text);
}

void sk_keys_sign(const struct sk_keys *keys, struct sk_span module_id,
                  struct sk_span generation_id, struct sk_span data, uint8_t digest[32]) {
    uint8_t key[KEY];
    derive(keys, module_id, generation_id, "primary", key);
    hmac(key, data, digest);
    OPENSSL_cleanse(key, KEY);
}

/* ---- encryption ---- */

/* Runs AES-256-GCM one way over `from` into `to`, which has room for from.n bytes; the tag is read
 * or written. */
static bool gcm(const struct sk_keys *keys, bool encrypt, struct sk_span module_id,
                struct sk_span generation_id, struct sk_span iv, struct sk_span from, uint8_t *to,
                uint8_t tag[TAG]) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    int n = 0, direction = encrypt ? 1 : 0;
    const unsigned char *input = (const unsigned char *)(from.p ? from.p : "");
    bool fine =
        EVP_CipherInit_ex(context, EVP_aes_256_gcm(), NULL, NULL, NULL, direction) &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_IVLEN, (int)iv.n, NULL) &&
        EVP_CipherInit_ex(context, NULL, NULL, keys->encryption, (const unsigned char *)iv.p,
                          direction) &&
        EVP_CipherUpdate(context, NULL, &n, (const unsigned char *)module_id.p, (int)module_id.n) &&
        EVP_CipherUpdate(context, NULL, &n, (const unsigned char *)generation_id.p,
                         (int)generation_id.n) &&
        EVP_CipherUpdate(context, to, &n, input, (int)from.n) &&
        (encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG, tag)) &&
        EVP_CipherFinal_ex(context, to + n, &n) &&
        (!encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG, tag));
    EVP_CIPHER_CTX_free(context);
    return fine;
}

enum sk_status sk_keys_encrypt(const struct sk_keys *keys, struct sk_span module_id,
                               struct sk_span generation_id, struct sk_span iv,
                               struct sk_span plaintext, struct sk_buffer *to) {
    if (iv.n == 0 || iv.n > IV_MAX) return SK_INVALID;
    size_t size = 1 + TAG + plaintext.n;
    uint8_t *out = (uint8_t *)sk_buffer_reserve(to, size);
    if (out == NULL) return SK_TOO_LARGE;
    out[0] = VERSION;
    if (!gcm(keys, true, module_id, generation_id, iv, plaintext, out + 1 + TAG, out + 1))
        return SK_INVALID;
    to->n += size;
    return SK_OK;
}

enum sk_status sk_keys_decrypt(const struct sk_keys *keys, struct sk_span module_id,
                               struct sk_span generation_id, struct sk_span iv,
                               struct sk_span ciphertext, struct sk_buffer *to) {
    uint8_t tag[TAG];
    if (iv.n == 0 || iv.n > IV_MAX || ciphertext.n < 1 + TAG || ciphertext.p[0] != VERSION)
        return SK_UNAUTHORIZED;
    memcpy(tag, ciphertext.p + 1, TAG);
    struct sk_span data = sk_span_skip(ciphertext, 1 + TAG);
    uint8_t *out = (uint8_t *)sk_buffer_reserve(to, data.n + 1); /* never an empty reservation */
    if (out == NULL) return SK_TOO_LARGE;
    if (!gcm(keys, false, module_id, generation_id, iv, data, out, tag)) return SK_UNAUTHORIZED;
    to->n += data.n;
    return SK_OK;
}
