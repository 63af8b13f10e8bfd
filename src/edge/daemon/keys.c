/* Key derivation, signing and encryption of the file key store. */
#include "edge/daemon/keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

enum { KEY = 32, TAG = 16, IV_MAX = 64 };
/* The first byte of a ciphertext; then comes the tag, then as many bytes as were encrypted, but for
 * SIV's one more. */
enum {
    GCM = 1, /* one key for all modules, the IV as nonce: read, never written */
    SIV = 2, /* AES-256-SIV (RFC 5297) with keys of the module */
};

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

/* ---- encryption: docs/decisions/0013-what-modules-get-from-the-daemon.md ---- */

struct box {
    struct sk_span module_id, generation_id, iv; /* what it is bound to */
    struct sk_span from;
    uint8_t *to;  /* room for from.n bytes */
    uint8_t *tag; /* written when encrypting, else checked */
    const uint8_t *key;
};

/* Hands the cipher what the ciphertext is bound to. SIV tells three texts apart; GCM takes the
 * IV as its nonce and the others in one. */
static bool bind_to(EVP_CIPHER_CTX *context, const struct box *box, bool siv) {
    const struct sk_span parts[] = {box->iv, box->module_id, box->generation_id};
    int n;
    for (size_t i = siv ? 0 : 1; i < 3; i++)
        if (!EVP_CipherUpdate(context, NULL, &n, (const unsigned char *)parts[i].p,
                              (int)parts[i].n))
            return false;
    return true;
}

static bool run(const struct box *box, bool encrypt, bool siv) {
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, siv ? "AES-256-SIV" : "AES-256-GCM", NULL);
    int n = 0, rest = 0, way = encrypt ? 1 : 0;
    const unsigned char *iv = siv ? NULL : (const unsigned char *)box->iv.p;
    const unsigned char *from = (const unsigned char *)(box->from.p ? box->from.p : "");
    bool fine =
        cipher && EVP_CipherInit_ex2(context, cipher, NULL, NULL, way, NULL) &&
        (siv || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, (int)box->iv.n, NULL)) &&
        EVP_CipherInit_ex2(context, NULL, box->key, iv, way, NULL) &&
        (encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, TAG, box->tag)) &&
        bind_to(context, box, siv) &&
        EVP_CipherUpdate(context, box->to, &n, from, (int)box->from.n) &&
        EVP_CipherFinal_ex(context, box->to + n, &rest) &&
        (!encrypt || EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG, box->tag));
    EVP_CIPHER_CTX_free(context);
    EVP_CIPHER_free(cipher);
    return fine;
}

/* The two keys of SIV, for this module in this generation. */
static void module_cipher_key(const struct sk_keys *keys, struct sk_span module_id,
                              struct sk_span generation_id, uint8_t key[2 * KEY]) {
    for (unsigned i = 0; i < 2; i++) {
        struct sk_buffer text = {0};
        sk_buffer_print(&text, "siv%u/%.*s/%.*s", i + 1, SK_ARG(module_id), SK_ARG(generation_id));
        hmac(keys->encryption, sk_buffer_span(&text), key + i * KEY);
        sk_buffer_free(&text);
    }
}

enum sk_status sk_keys_encrypt(const struct sk_keys *keys, struct sk_span module_id,
                               struct sk_span generation_id, struct sk_span iv,
                               struct sk_span plaintext, struct sk_buffer *to) {
    if (iv.n == 0 || iv.n > IV_MAX) return SK_INVALID;
    size_t head = 1 + TAG, size = head + 1 + plaintext.n;
    uint8_t key[2 * KEY], *out = (uint8_t *)sk_buffer_reserve(to, size);
    if (out == NULL) return SK_TOO_LARGE;
    /* A byte in front: OpenSSL's SIV does not take nothing. */
    struct sk_buffer padded = {0};
    sk_buffer_byte(&padded, 0);
    sk_buffer_append(&padded, plaintext);
    module_cipher_key(keys, module_id, generation_id, key);
    out[0] = SIV;
    bool fine = run(&(struct box){module_id, generation_id, iv, sk_buffer_span(&padded), out + head,
                                  out + 1, key},
                    true, true);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(padded.p, padded.n);
    sk_buffer_free(&padded);
    if (!fine) return SK_INVALID;
    to->n += size;
    return SK_OK;
}

enum sk_status sk_keys_decrypt(const struct sk_keys *keys, struct sk_span module_id,
                               struct sk_span generation_id, struct sk_span iv,
                               struct sk_span ciphertext, struct sk_buffer *to) {
    uint8_t tag[TAG], key[2 * KEY];
    bool siv = ciphertext.n && ciphertext.p[0] == SIV;
    size_t head = 1 + TAG, pad = siv ? 1 : 0;
    if (iv.n == 0 || iv.n > IV_MAX || ciphertext.n < head + pad || (!siv && ciphertext.p[0] != GCM))
        return SK_UNAUTHORIZED;
    memcpy(tag, ciphertext.p + 1, TAG);
    struct sk_span data = sk_span_skip(ciphertext, head);
    uint8_t *out = (uint8_t *)sk_buffer_reserve(to, data.n + 1); /* never an empty reservation */
    if (out == NULL) return SK_TOO_LARGE;
    module_cipher_key(keys, module_id, generation_id, key);
    bool fine = run(
        &(struct box){module_id, generation_id, iv, data, out, tag, siv ? key : keys->encryption},
        false, siv);
    OPENSSL_cleanse(key, sizeof key);
    if (!fine) return SK_UNAUTHORIZED;
    memmove(out, out + pad, data.n - pad);
    to->n += data.n - pad;
    return SK_OK;
}
