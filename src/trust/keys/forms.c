/* What the kinds of stores share: sentences, files and their forms. */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <stdarg.h>
#include <stdio.h>

#include "trust/keys/parts.h"

enum { KEY_FILE_MAX = 16 * 1024 };

enum sk_status key_refuse(char reason[256], enum sk_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(reason, 256, format, args);
    va_end(args);
    return status;
}

void key_bytes_free(struct sk_buffer *bytes) {
    if (bytes->p) OPENSSL_cleanse(bytes->p, bytes->capacity);
    sk_buffer_free(bytes);
}

enum sk_status key_file_load(struct sk_io *io, const char *path, struct sk_buffer *to,
                             char reason[256]) {
    to->limit = KEY_FILE_MAX;
    enum sk_status status = sk_file_load(io, path, to);
    return status ? key_refuse(reason, status, "Cannot read the key %.180s: %s.", path,
                               sk_status_text(status))
                  : SK_OK;
}

enum sk_status key_pair_of_pem(struct sk_span pem, const char *path, EVP_PKEY **pair,
                               char reason[256]) {
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    *pair = PEM_read_bio_PrivateKey(bio, NULL, sk_pem_no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    if (*pair) return SK_OK;
    if (sk_pem_is_encrypted(pem))
        return key_refuse(reason, SK_MALFORMED, "The key %.150s " SK_PEM_ENCRYPTED ".", path);
    return key_refuse(reason, SK_MALFORMED, "The key %.150s is no private key in PEM form.", path);
}

void key_hmac(struct sk_span key, struct sk_span text, uint8_t digest[32]) {
    unsigned n = 32;
    HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)(text.p ? text.p : ""), text.n,
         digest, &n);
}
