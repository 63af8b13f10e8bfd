/* OpenSSL keys that sign elsewhere: methods of the older kind, which OpenSSL 3 calls for keys that
 * are not its own. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>

#include "trust/keys/parts.h"

static void free_delegate(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long n,
                          void *arg) {
    struct key_delegate *delegate = pointer;
    (void)parent, (void)data, (void)index, (void)n, (void)arg;
    if (delegate == NULL) return;
    delegate->free(delegate->arg);
    free(delegate);
}

static struct key_delegate *keep(const struct key_delegate *delegate) {
    struct key_delegate *kept = SK_NEW(struct key_delegate);
    *kept = *delegate;
    return kept;
}

/* ---- EC ---- */

static int ec_index(void) {
    static int index = -1;
    if (index < 0) index = EC_KEY_get_ex_new_index(0, NULL, NULL, NULL, free_delegate);
    return index;
}

static ECDSA_SIG *ec_sign_parts(const unsigned char *digest, int n, const BIGNUM *inverse,
                                const BIGNUM *r, EC_KEY *key) {
    const struct key_delegate *delegate = EC_KEY_get_ex_data(key, ec_index());
    struct sk_buffer signature = {.limit = 256};
    ECDSA_SIG *parts = NULL;
    (void)inverse, (void)r;
    /* Only the leftmost bits of a longer digest count (FIPS 186-4, 6.4); tokens want no others. */
    size_t order = (size_t)(EC_GROUP_order_bits(EC_KEY_get0_group(key)) + 7) / 8;
    struct sk_span from = sk_span_first(sk_span(digest, (size_t)n), order);
    if (delegate->sign(delegate->arg, KEY_SIGNS_EC, from, &signature) && signature.n == 2 * order) {
        const unsigned char *bytes = (const unsigned char *)signature.p;
        parts = ECDSA_SIG_new();
        ECDSA_SIG_set0(parts, BN_bin2bn(bytes, (int)order, NULL),
                       BN_bin2bn(bytes + order, (int)order, NULL));
    }
    sk_buffer_free(&signature);
    return parts;
}

static int ec_sign(int type, const unsigned char *digest, int n, unsigned char *signature,
                   unsigned *size, const BIGNUM *inverse, const BIGNUM *r, EC_KEY *key) {
    ECDSA_SIG *parts = ec_sign_parts(digest, n, inverse, r, key);
    (void)type;
    *size = 0;
    if (parts == NULL) return 0;
    int written = i2d_ECDSA_SIG(parts, &signature);
    ECDSA_SIG_free(parts);
    if (written <= 0) return 0;
    *size = (unsigned)written;
    return 1;
}

static const EC_KEY_METHOD *ec_method(void) {
    static EC_KEY_METHOD *method;
    if (method == NULL) {
        method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
        EC_KEY_METHOD_set_sign(method, ec_sign, NULL, ec_sign_parts);
    }
    return method;
}

EVP_PKEY *key_delegate_ec(const struct key_delegate *delegate, int curve, struct sk_span point) {
    EVP_PKEY *pair = EVP_PKEY_new();
    EC_KEY *key = EC_KEY_new_by_curve_name(curve);
    bool fine = key && EC_KEY_oct2key(key, (const unsigned char *)point.p, point.n, NULL) == 1 &&
                EC_KEY_set_method(key, ec_method()) == 1;
    if (fine) EC_KEY_set_ex_data(key, ec_index(), keep(delegate));
    fine = fine && EVP_PKEY_set1_EC_KEY(pair, key) == 1;
    EC_KEY_free(key);
    ERR_clear_error();
    if (fine) return pair;
    EVP_PKEY_free(pair);
    delegate->free(delegate->arg);
    return NULL;
}

/* ---- RSA ---- */

static int rsa_index(void) {
    static int index = -1;
    if (index < 0) index = RSA_get_ex_new_index(0, NULL, NULL, NULL, free_delegate);
    return index;
}

static int rsa_sign(int n, const unsigned char *from, unsigned char *to, RSA *key, int padding) {
    const struct key_delegate *delegate = RSA_get_ex_data(key, rsa_index());
    struct sk_buffer signature = {.limit = 1024};
    int size = -1;
    if (padding != RSA_PKCS1_PADDING && padding != RSA_NO_PADDING) return -1;
    enum key_signing how = padding == RSA_NO_PADDING ? KEY_SIGNS_RSA_RAW : KEY_SIGNS_RSA_PKCS1;
    if (delegate->sign(delegate->arg, how, sk_span(from, (size_t)n), &signature) &&
        signature.n == (size_t)RSA_size(key)) {
        memcpy(to, signature.p, signature.n);
        size = (int)signature.n;
    }
    sk_buffer_free(&signature);
    return size;
}

static const RSA_METHOD *rsa_method(void) {
    static RSA_METHOD *method;
    if (method == NULL) {
        method = RSA_meth_dup(RSA_PKCS1_OpenSSL());
        RSA_meth_set_priv_enc(method, rsa_sign);
    }
    return method;
}

EVP_PKEY *key_delegate_rsa(const struct key_delegate *delegate, struct sk_span modulus,
                           struct sk_span exponent) {
    EVP_PKEY *pair = EVP_PKEY_new();
    RSA *key = RSA_new();
    bool fine = RSA_set0_key(key, BN_bin2bn((const unsigned char *)modulus.p, (int)modulus.n, NULL),
                             BN_bin2bn((const unsigned char *)exponent.p, (int)exponent.n, NULL),
                             NULL) == 1 &&
                RSA_set_method(key, rsa_method()) == 1;
    if (fine) RSA_set_ex_data(key, rsa_index(), keep(delegate));
    fine = fine && EVP_PKEY_set1_RSA(pair, key) == 1;
    RSA_free(key);
    ERR_clear_error();
    if (fine) return pair;
    EVP_PKEY_free(pair);
    delegate->free(delegate->arg);
    return NULL;
}
