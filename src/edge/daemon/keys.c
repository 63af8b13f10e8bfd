/* Derivation, signing and encryption for modules. */
#include "edge/daemon/keys.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>

#include "model/json_text.h"

enum { KEY = 32, TAG = 16, IV_MAX = 64, CHECK_HEX = 16, CACHED_MAX = 4096 };
/* The first byte of a ciphertext; then comes the tag, then as many bytes as were encrypted, but for
 * SIV's one more. */
enum {
    GCM = 1, /* one key for all modules, the IV as nonce: read, never written */
    SIV = 2, /* AES-256-SIV (RFC 5297) with keys of the module */
};

#define MASTER "master"

struct sk_keys {
    struct sk_io *io;
    struct sk_key_store *store;
    uint8_t encryption[KEY];
    struct sk_map derived; /* struct derived, by its text */
};

struct derived {
    char *text;
    uint8_t key[KEY];
};

static void hmac(const uint8_t key[KEY], struct sk_span text, uint8_t digest[KEY]) {
    unsigned n = KEY;
    HMAC(EVP_sha256(), key, KEY, (const unsigned char *)(text.p ? text.p : ""), text.n, digest, &n);
}

/* ---- the master key, and what is written down about it ---- */

struct note {
    char path[512], old_path[512]; /* old: the master key of a store of files */
    char kind[16], check[CHECK_HEX + 1];
};

static enum sk_status load_note(struct sk_io *io, struct note *note) {
    struct sk_buffer text = {.limit = 4096};
    enum sk_status status = sk_file_load(io, note->path, &text);
    json_t *json = status ? NULL : json_loadb(text.p ? text.p : "", text.n, 0, NULL);
    const char *kind = json_string_value(json_object_get(json, "kind"));
    const char *check = json_string_value(json_object_get(json, "check"));
    if (!status && (kind == NULL || check == NULL)) status = SK_MALFORMED;
    if (!status) {
        snprintf(note->kind, sizeof note->kind, "%s", kind);
        snprintf(note->check, sizeof note->check, "%s", check);
    }
    json_decref(json);
    sk_buffer_free(&text);
    return status;
}

static enum sk_status save_note(const struct sk_keys *keys, const struct note *note) {
    json_t *json =
        json_pack("{s:s,s:s}", "kind", sk_key_store_kind(keys->store), "check", note->check);
    SK_CLEANUP_FREE char *text = sk_json_text(json);
    json_decref(json);
    return sk_file_save(keys->io, note->path, sk_span_z(text), 0600);
}

static bool is_there(struct sk_io *io, const char *path) {
    struct sk_buffer text = {.limit = 256};
    bool there = sk_file_load(io, path, &text) == SK_OK;
    if (text.p) OPENSSL_cleanse(text.p, text.n);
    sk_buffer_free(&text);
    return there;
}

/* A store of files had it before: then modules keep their keys, and what they have encrypted. */
static enum sk_status move_master(struct sk_keys *keys, const struct note *note, char reason[256]) {
    struct sk_buffer text = {.limit = 256}, bytes = {.limit = SK_SECRET_MAX};
    enum sk_status status = sk_file_load(keys->io, note->old_path, &text);
    if (!status && sk_base64_decode(&bytes, sk_span_trim(sk_buffer_span(&text))))
        status = SK_MALFORMED;
    if (status)
        snprintf(reason, 256, "Cannot move the master key %.150s to the key store: %s.",
                 note->old_path, sk_status_text(status));
    else
        status = sk_key_store_make_secret(keys->store, MASTER, sk_buffer_span(&bytes), reason);
    if (text.p) OPENSSL_cleanse(text.p, text.n);
    if (bytes.p) OPENSSL_cleanse(bytes.p, bytes.n);
    sk_buffer_free(&text);
    sk_buffer_free(&bytes);
    if (!status)
        SK_INFO("daemon", "the master key moves from its file to the key store (%s)",
                sk_key_store_kind(keys->store));
    return status;
}

static enum sk_status check_value(struct sk_keys *keys, char to[CHECK_HEX + 1], char reason[256]) {
    uint8_t digest[KEY];
    enum sk_status status =
        sk_key_store_hmac(keys->store, MASTER, SK_SPAN("check"), digest, reason);
    for (size_t i = 0; i < CHECK_HEX / 2; i++) snprintf(to + 2 * i, 3, "%02x", digest[i]);
    return status;
}

/* There is a master key, ours as far as anybody knows. Else modules would suddenly have other keys,
 * and could not decrypt what is theirs. */
static enum sk_status find_master(struct sk_keys *keys, struct note *note, char reason[256]) {
    char before[CHECK_HEX + 1] = "";
    const char *kind = sk_key_store_kind(keys->store);
    enum sk_status noted = load_note(keys->io, note);
    bool in_files = strcmp(kind, "files") == 0;
    if (noted && noted != SK_NOT_FOUND) {
        snprintf(reason, 256, "Cannot read %.180s: %s.", note->path, sk_status_text(noted));
        return noted;
    }
    bool moves = !in_files && is_there(keys->io, note->old_path) &&
                 (noted || strcmp(note->kind, "files") == 0);
    snprintf(before, sizeof before, "%s", note->check);
    enum sk_status status = check_value(keys, note->check, reason);
    if (status == SK_NOT_FOUND && moves)
        status = move_master(keys, note, reason);
    else if (status == SK_NOT_FOUND && noted)
        status = sk_key_store_make_secret(keys->store, MASTER, SK_NONE, reason);
    else if (status == SK_NOT_FOUND) {
        snprintf(reason, 256,
                 "The master key is not in the key store (%s) any more. Bring it back, or remove "
                 "%.120s to give all modules new keys.",
                 kind, note->path);
        return SK_IO;
    }
    if (!status) status = check_value(keys, note->check, reason);
    if (!status && before[0] && strcmp(before, note->check) != 0) {
        snprintf(reason, 256,
                 "The key store (%s) holds another master key than before. Bring back the one of "
                 "before, or remove %.110s to give all modules new keys.",
                 kind, note->path);
        return SK_IO;
    }
    bool known = strcmp(note->kind, kind) == 0 && strcmp(before, note->check) == 0;
    if (!status && !known && (status = save_note(keys, note)) != SK_OK) /* the disk may be full */
        snprintf(reason, 256, "Cannot write %.180s: %s.", note->path, sk_status_text(status));
    if (!status && moves) sk_file_remove(keys->io, note->old_path);
    return status;
}

enum sk_status sk_keys_open(struct sk_io *io, struct sk_key_store *store, const char *folder,
                            struct sk_keys **opened, char reason[256]) {
    struct sk_keys *keys = SK_NEW(struct sk_keys);
    struct note note = {.kind = ""};
    keys->io = io;
    keys->store = store;
    snprintf(note.path, sizeof note.path, "%s/store.json", folder);
    snprintf(note.old_path, sizeof note.old_path, "%s/" MASTER ".key", folder);
    enum sk_status status = sk_folder_make(io, folder, 0700);
    if (status)
        snprintf(reason, 256, "Cannot make the folder %.180s: %s.", folder, sk_status_text(status));
    if (!status) status = find_master(keys, &note, reason);
    if (!status)
        status = sk_key_store_hmac(store, MASTER, SK_SPAN("encryption"), keys->encryption, reason);
    if (status) {
        sk_keys_free(keys);
        return status;
    }
    *opened = keys;
    return SK_OK;
}

/* ---- module keys ---- */

static void forget_derived(struct sk_keys *keys) {
    struct derived *derived;
    for (size_t i = 0; (derived = sk_map_next(&keys->derived, &i, NULL)) != NULL;) {
        free(derived->text);
        OPENSSL_cleanse(derived, sizeof *derived);
        free(derived);
    }
    sk_map_free(&keys->derived);
    memset(&keys->derived, 0, sizeof keys->derived);
}

void sk_keys_free(struct sk_keys *keys) {
    forget_derived(keys);
    OPENSSL_cleanse(keys, sizeof *keys);
    free(keys);
}

static enum sk_status derive(struct sk_keys *keys, struct sk_span module_id,
                             struct sk_span generation_id, const char *which, uint8_t key[KEY],
                             char reason[256]) {
    struct sk_buffer text = {0};
    sk_buffer_print(&text, "%.*s:%.*s:%s", SK_ARG(module_id), SK_ARG(generation_id), which);
    struct derived *known = sk_map_get(&keys->derived, sk_buffer_span(&text));
    enum sk_status status = SK_OK;
    if (known) {
        memcpy(key, known->key, KEY);
    } else if ((status = sk_key_store_hmac(keys->store, MASTER, sk_buffer_span(&text), key,
                                           reason)) == SK_OK) {
        if (keys->derived.count >= CACHED_MAX)
            forget_derived(keys); /* modules made anew for years */
        known = SK_NEW(struct derived);
        known->text = sk_span_dup(sk_buffer_span(&text));
        memcpy(known->key, key, KEY);
        sk_map_put(&keys->derived, sk_span_z(known->text), known);
    }
    sk_buffer_free(&text);
    return status;
}

enum sk_status sk_keys_module(struct sk_keys *keys, struct sk_span module_id,
                              struct sk_span generation_id, bool secondary, char to[SK_KEY_TEXT],
                              char reason[256]) {
    uint8_t key[KEY];
    struct sk_buffer text = {0};
    enum sk_status status =
        derive(keys, module_id, generation_id, secondary ? "secondary" : "primary", key, reason);
    if (status) return status;
    sk_base64_encode(&text, sk_span(key, KEY));
    memcpy(to, text.p, text.n);
    to[text.n] = 0;
    OPENSSL_cleanse(key, KEY);
    OPENSSL_cleanse(text.p, text.n);
    sk_buffer_free(&text);
    return SK_OK;
}

enum sk_status sk_keys_sign(struct sk_keys *keys, struct sk_span module_id,
                            struct sk_span generation_id, struct sk_span data, uint8_t digest[32],
                            char reason[256]) {
    uint8_t key[KEY];
    enum sk_status status = derive(keys, module_id, generation_id, "primary", key, reason);
    if (!status) hmac(key, data, digest);
    OPENSSL_cleanse(key, KEY);
    return status;
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
