#include "trust/x509_enroll.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>
#include <openssl/x509v3.h>

/* ---- requests ---- */

static bool ask_extension(STACK_OF(X509_EXTENSION) * list, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, NULL, NULL, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    return extension && sk_X509_EXTENSION_push(list, extension) > 0;
}

static bool ask_extensions(X509_REQ *request, enum sk_x509_use use) {
    STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
    bool ca = use == SK_X509_CA;
    bool fine =
        ask_extension(list, NID_key_usage,
                      ca ? "critical,digitalSignature,keyCertSign" : "critical,digitalSignature") &&
        (!ca || ask_extension(list, NID_basic_constraints, "critical,CA:TRUE,pathlen:0")) &&
        (ca || ask_extension(list, NID_ext_key_usage,
                             use == SK_X509_SERVER ? "serverAuth" : "clientAuth")) &&
        X509_REQ_add_extensions(request, list) == 1;
    sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
    return fine;
}

enum sk_status sk_x509_request_certificate(struct evp_pkey_st *key, struct sk_span common_name,
                                           enum sk_x509_use use, struct sk_buffer *der) {
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = X509_REQ_get_subject_name(request);
    struct sk_span name = sk_span_first(common_name, 64);
    unsigned char *bytes = NULL;
    enum sk_status status = SK_INVALID;
    if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name.p,
                                   (int)name.n, -1, 0) == 1 &&
        X509_REQ_set_pubkey(request, key) == 1 && ask_extensions(request, use))
        status = X509_REQ_sign(request, key, EVP_sha256()) > 0 ? SK_OK : SK_IO;
    int n = status ? 0 : i2d_X509_REQ(request, &bytes);
    if (n > 0) status = sk_buffer_append(der, sk_span(bytes, (size_t)n));
    OPENSSL_free(bytes);
    X509_REQ_free(request);
    ERR_clear_error();
    return status;
}

/* ---- bags ---- */

static enum sk_status read_bag(struct sk_span base64, PKCS7 **bag) {
    struct sk_buffer text = {0}, der = {0};
    for (size_t i = 0; i < base64.n; i++)
        if ((unsigned char)base64.p[i] > ' ') sk_buffer_byte(&text, base64.p[i]);
    *bag = NULL;
    if (text.n && sk_base64_decode(&der, sk_buffer_span(&text)) == SK_OK && der.n) {
        const unsigned char *at = (const unsigned char *)der.p;
        *bag = d2i_PKCS7(NULL, &at, (long)der.n);
        if (*bag && at != (const unsigned char *)der.p + der.n) {
            PKCS7_free(*bag);
            *bag = NULL;
        }
    }
    sk_buffer_free(&text);
    sk_buffer_free(&der);
    ERR_clear_error();
    return *bag ? SK_OK : SK_MALFORMED;
}

static void put_pem(X509 *certificate, struct sk_buffer *pem) {
    BIO *bio = BIO_new(BIO_s_mem());
    char *text;
    PEM_write_bio_X509(bio, certificate);
    long n = BIO_get_mem_data(bio, &text);
    sk_buffer_append(pem, sk_span(text, (size_t)n));
    BIO_free(bio);
}

static enum sk_status put_all(STACK_OF(X509) * all, struct evp_pkey_st *key,
                              struct sk_buffer *pem) {
    int count = sk_X509_num(all), own = -1;
    if (count <= 0) return SK_MALFORMED;
    if (count > SK_X509_BAG_MAX) return SK_TOO_LARGE;
    for (int i = 0; key && i < count && own < 0; i++)
        if (X509_check_private_key(sk_X509_value(all, i), key) == 1) own = i;
    ERR_clear_error();
    if (key && own < 0) return SK_NOT_FOUND;
    if (own >= 0) put_pem(sk_X509_value(all, own), pem);
    for (int i = 0; i < count; i++)
        if (i != own) put_pem(sk_X509_value(all, i), pem);
    return SK_OK;
}

enum sk_status sk_x509_open_bag(struct sk_span base64, struct evp_pkey_st *key,
                                struct sk_buffer *pem) {
    PKCS7 *bag;
    enum sk_status status = read_bag(base64, &bag);
    if (status) return status;
    if (!PKCS7_type_is_signed(bag) || bag->d.sign == NULL)
        status = SK_MALFORMED;
    else
        status = put_all(bag->d.sign->cert, key, pem);
    PKCS7_free(bag);
    return status;
}

/* ---- what is in a certificate ---- */

static X509 *first_of(struct sk_span pem) {
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, sk_pem_no_passphrase, NULL);
    BIO_free(bio);
    ERR_clear_error();
    return certificate;
}

static int64_t seconds_of(const ASN1_TIME *time) {
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    return (int64_t)days * 86400 + seconds;
}

enum sk_status sk_x509_life(struct sk_span pem, int64_t *not_before_s, int64_t *not_after_s) {
    X509 *certificate = first_of(pem);
    if (certificate == NULL) return SK_MALFORMED;
    *not_before_s = seconds_of(X509_get0_notBefore(certificate));
    *not_after_s = seconds_of(X509_get0_notAfter(certificate));
    X509_free(certificate);
    return SK_OK;
}

bool sk_x509_is_ca(struct sk_span pem) {
    X509 *certificate = first_of(pem);
    bool ca = certificate && X509_check_ca(certificate) == 1;
    ERR_clear_error();
    X509_free(certificate);
    return ca;
}
