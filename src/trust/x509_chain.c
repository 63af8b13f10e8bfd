#include "trust/x509_chain.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

struct sk_x509_anchors {
    X509_STORE *store;
};

static X509 *decode(struct sk_span der) {
    const unsigned char *at = (const unsigned char *)der.p;
    if (der.n == 0 || der.n > SK_X509_DER_MAX) return NULL;
    X509 *certificate = d2i_X509(NULL, &at, (long)der.n);
    ERR_clear_error();
    if (certificate && (const char *)at == der.p + der.n) return certificate;
    X509_free(certificate);
    return NULL;
}

/* ---- one certificate ---- */

static void thumbprint(const X509 *certificate, const EVP_MD *digest, char *to) {
    static const char digits[] = "0123456789ABCDEF";
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    X509_digest(certificate, digest, bytes, &n);
    for (unsigned i = 0; i < n; i++) {
        *to++ = digits[bytes[i] >> 4];
        *to++ = digits[bytes[i] & 15];
    }
    *to = 0;
}

static enum sk_status seconds_of(const ASN1_TIME *time, int64_t *seconds) {
    int days = 0, rest = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int fine = ASN1_TIME_diff(&days, &rest, epoch, time);
    ASN1_TIME_free(epoch);
    *seconds = (int64_t)days * 86400 + rest;
    return fine == 1 ? SK_OK : SK_MALFORMED;
}

/* The last CN, as OpenSSL's and .NET's readers take it; a NUL inside makes it none. */
static void common_name(const X509 *certificate, char *to, size_t size) {
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = -1;
    for (int next; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, at)) >= 0;)
        at = next;
    const ASN1_STRING *value =
        at < 0 ? NULL : X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at));
    unsigned char *text = NULL;
    int n = value ? ASN1_STRING_to_UTF8(&text, value) : -1;
    if (n > 0 && (size_t)n < size && memchr(text, 0, (size_t)n) == NULL)
        memcpy(to, text, (size_t)n); /* the rest is zero */
    OPENSSL_free(text);
}

enum sk_status sk_x509_read(struct sk_span der, struct sk_x509_leaf *leaf) {
    *leaf = (struct sk_x509_leaf){0};
    X509 *certificate = decode(der);
    if (certificate == NULL) return SK_MALFORMED;
    common_name(certificate, leaf->common_name, sizeof leaf->common_name);
    leaf->ca = X509_check_ca(certificate) == 1;
    thumbprint(certificate, EVP_sha1(), leaf->sha1);
    thumbprint(certificate, EVP_sha256(), leaf->sha256);
    enum sk_status status = seconds_of(X509_get0_notBefore(certificate), &leaf->not_before_s);
    if (!status) status = seconds_of(X509_get0_notAfter(certificate), &leaf->not_after_s);
    ERR_clear_error();
    X509_free(certificate);
    return status;
}

/* ---- keys ---- */

static bool rsa_is_cheap(const EVP_PKEY *key) {
    BIGNUM *exponent = NULL;
    EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &exponent);
    bool cheap = exponent && BN_num_bits(exponent) <= 32 && EVP_PKEY_get_bits(key) <= 4096;
    BN_free(exponent);
    return cheap;
}

static bool curve_is_cheap(const EVP_PKEY *key) {
    static const char *const curves[] = {SN_X9_62_prime256v1, SN_secp384r1, SN_secp521r1};
    char name[32] = "";
    EVP_PKEY_get_group_name(key, name, sizeof name, NULL);
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        if (strcmp(name, curves[i]) == 0) return true;
    return false;
}

bool sk_x509_key_is_cheap(const EVP_PKEY *key) {
    bool cheap = false;
    switch (key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS: cheap = rsa_is_cheap(key); break;
    case EVP_PKEY_EC: cheap = curve_is_cheap(key); break;
    case EVP_PKEY_ED25519: cheap = true; break;
    default: break;
    }
    ERR_clear_error();
    return cheap;
}

/* ---- chains ---- */

struct sk_x509_anchors *sk_x509_anchors_new(void) {
    struct sk_x509_anchors *anchors = SK_NEW(struct sk_x509_anchors);
    anchors->store = X509_STORE_new();
    return anchors;
}

void sk_x509_anchors_free(struct sk_x509_anchors *anchors) {
    if (anchors == NULL) return;
    X509_STORE_free(anchors->store);
    free(anchors);
}

size_t sk_x509_anchors_add(struct sk_x509_anchors *anchors, struct sk_span pem) {
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    size_t count = 0;
    for (X509 *anchor; (anchor = PEM_read_bio_X509(bio, NULL, sk_pem_no_passphrase, NULL)) != NULL;
         count++) {
        X509_STORE_add_cert(anchors->store, anchor);
        X509_free(anchor);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count;
}

static uint64_t number_of(const X509 *certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    uint64_t number = 0;
    if (certificate && X509_digest(certificate, EVP_sha256(), digest, NULL))
        memcpy(&number, digest, sizeof number);
    return number ? number : 1;
}

bool sk_x509_anchors_hold(const struct sk_x509_anchors *anchors, uint64_t anchor) {
    STACK_OF(X509_OBJECT) *all = anchors ? X509_STORE_get0_objects(anchors->store) : NULL;
    for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
        const X509 *held = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i));
        if (held && number_of(held) == anchor) return true;
    }
    return false;
}

static const char *clause(int code) {
    switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return "a certificate of the chain has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID: return "a certificate of the chain is not valid yet";
    case X509_V_ERR_INVALID_PURPOSE: return "a certificate is not meant for this purpose";
    case X509_V_ERR_CERT_CHAIN_TOO_LONG: return "the chain is too long";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return "the chain leads to no CA certificate that is registered and verified";
    default: return NULL;
    }
}

static enum sk_status verify(X509_STORE_CTX *context, int64_t now_s, char reason[128]) {
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN); /* an intermediate may anchor */
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
    X509_VERIFY_PARAM_set_depth(param, SK_X509_DEPTH_MAX);
    X509_VERIFY_PARAM_set_time(param, (time_t)now_s);
    if (X509_verify_cert(context) == 1) return SK_OK;
    int code = X509_STORE_CTX_get_error(context);
    snprintf(reason, 128, "%s", clause(code) ? clause(code) : X509_verify_cert_error_string(code));
    return SK_UNAUTHORIZED;
}

/* What a stranger sent, before anything is computed with it. */
static enum sk_status read_sent(const struct sk_span *chain, size_t count, STACK_OF(X509) * sent,
                                char reason[128]) {
    snprintf(reason, 128, "the chain has more than %d certificates", SK_X509_SENT_MAX);
    if (count > SK_X509_SENT_MAX) return SK_UNAUTHORIZED;
    snprintf(reason, 128, "the certificate is malformed");
    for (size_t i = 0; i < count; i++) {
        X509 *certificate = decode(chain[i]);
        if (certificate == NULL) return SK_MALFORMED;
        sk_X509_push(sent, certificate);
    }
    for (size_t i = 0; i < count; i++) {
        if (sk_x509_key_is_cheap(X509_get0_pubkey(sk_X509_value(sent, (int)i)))) continue;
        snprintf(reason, 128, "a key of the chain is not one of %s", SK_X509_CHEAP_KEYS);
        return SK_UNAUTHORIZED;
    }
    return count ? SK_OK : SK_MALFORMED;
}

static uint64_t number_of_last(STACK_OF(X509) * chain) {
    return number_of(sk_X509_value(chain, sk_X509_num(chain) - 1));
}

enum sk_status sk_x509_verify(const struct sk_x509_anchors *anchors, const struct sk_span *chain,
                              size_t count, int64_t now_s, uint64_t *anchor, char reason[128]) {
    STACK_OF(X509) *sent = sk_X509_new_null();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    enum sk_status status = read_sent(chain, count, sent, reason);
    if (!status && X509_STORE_CTX_init(context, anchors->store, sk_X509_value(sent, 0), sent) != 1)
        status = SK_MALFORMED;
    if (!status) status = verify(context, now_s, reason);
    if (!status && anchor) *anchor = number_of_last(X509_STORE_CTX_get0_chain(context));
    ERR_clear_error();
    X509_STORE_CTX_free(context);
    sk_X509_pop_free(sent, X509_free);
    return status;
}
