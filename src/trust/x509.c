#include "trust/x509.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

static X509 *read_certificate(struct sk_span pem) {
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, sk_pem_no_passphrase, NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_key(struct sk_span pem) {
    BIO *bio = BIO_new_mem_buf(pem.p ? pem.p : "", (int)pem.n);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, sk_pem_no_passphrase, NULL);
    BIO_free(bio);
    return key;
}

static void append_bio(struct sk_buffer *to, BIO *bio) {
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    sk_buffer_append(to, sk_span(text, (size_t)n));
    BIO_free(bio);
}

static bool add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (extension == NULL) return false;
    int added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added == 1;
}

/* Built by hand, not from a configuration string: names come from people and may hold commas. */
static bool add_names(X509 *certificate, const struct sk_span *names, size_t count) {
    if (count == 0) return true;
    GENERAL_NAMES *list = GENERAL_NAMES_new();
    for (size_t i = 0; i < count; i++) {
        SK_CLEANUP_FREE char *text = sk_span_dup(names[i]);
        unsigned char address[16];
        int size = inet_pton(AF_INET, text, address) == 1    ? 4
                   : inet_pton(AF_INET6, text, address) == 1 ? 16
                                                             : 0;
        ASN1_STRING *value =
            size ? (ASN1_STRING *)ASN1_OCTET_STRING_new() : (ASN1_STRING *)ASN1_IA5STRING_new();
        ASN1_STRING_set(value, size ? (const void *)address : (const void *)text,
                        size ? size : (int)names[i].n);
        GENERAL_NAME *name = GENERAL_NAME_new();
        GENERAL_NAME_set0_value(name, size ? GEN_IPADD : GEN_DNS, value);
        sk_GENERAL_NAME_push(list, name);
    }
    int added = X509_add1_ext_i2d(certificate, NID_subject_alt_name, list, 0, X509V3_ADD_DEFAULT);
    GENERAL_NAMES_free(list);
    return added == 1;
}

static bool set_times(X509 *certificate, X509 *issuer, const struct sk_x509_request *request) {
    time_t from = (time_t)request->not_before_s, to = (time_t)request->not_after_s;
    if (!ASN1_TIME_set(X509_getm_notBefore(certificate), from) ||
        !ASN1_TIME_set(X509_getm_notAfter(certificate), to))
        return false;
    if (issuer != certificate &&
        ASN1_TIME_compare(X509_get0_notAfter(issuer), X509_get0_notAfter(certificate)) < 0)
        return X509_set1_notAfter(certificate, X509_get0_notAfter(issuer)) == 1;
    return true;
}

static bool fill(X509 *certificate, X509 *issuer, EVP_PKEY *key,
                 const struct sk_x509_request *request) {
    unsigned char serial[16];
    char constraints[48] = "critical,CA:FALSE";
    bool ca = request->use == SK_X509_CA;
    if (ca && request->path_length >= 0)
        snprintf(constraints, sizeof constraints, "critical,CA:TRUE,pathlen:%d",
                 request->path_length);
    else if (ca)
        snprintf(constraints, sizeof constraints, "critical,CA:TRUE");
    if (RAND_bytes(serial, sizeof serial) != 1) return false;
    serial[0] &= 0x7F; /* positive */
    BIGNUM *number = BN_bin2bn(serial, sizeof serial, NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
    BN_free(number);
    X509_NAME *subject = X509_get_subject_name(certificate);
    struct sk_span name = sk_span_first(request->common_name, 64);
    return X509_set_version(certificate, 2) && X509_set_pubkey(certificate, key) &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name.p,
                                      (int)name.n, -1, 0) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
           set_times(certificate, issuer, request) &&
           add_extension(certificate, issuer, NID_basic_constraints, constraints) &&
           add_extension(certificate, issuer, NID_key_usage,
                         ca ? "critical,digitalSignature,keyCertSign,cRLSign"
                            : "critical,digitalSignature,keyEncipherment") &&
           (ca || add_extension(certificate, issuer, NID_ext_key_usage,
                                request->use == SK_X509_SERVER ? "serverAuth" : "clientAuth")) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           add_extension(certificate, issuer, NID_authority_key_identifier, "keyid") &&
           add_names(certificate, request->names, request->name_count);
}

static EVP_PKEY *key_of(EVP_PKEY *given, struct sk_span pem) {
    if (given == NULL) return read_key(pem);
    EVP_PKEY_up_ref(given);
    return given;
}

static EVP_PKEY *make_key(bool rsa) {
    return rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
}

enum sk_status sk_x509_make(const struct sk_x509_request *request,
                            struct sk_buffer *certificate_pem, struct sk_buffer *key_pem) {
    enum sk_status status = SK_OK;
    X509 *issuer = NULL, *certificate = X509_new();
    EVP_PKEY *issuer_key = NULL,
             *key = request->key ? key_of(request->key, SK_NONE) : make_key(request->rsa);
    bool self_signed = request->issuer_certificate_pem.n == 0;
    if (!self_signed) {
        issuer = read_certificate(request->issuer_certificate_pem);
        issuer_key = key_of(request->issuer_key, request->issuer_key_pem);
        if (issuer == NULL || issuer_key == NULL) status = SK_MALFORMED;
    }
    if (!status &&
        (key == NULL || !fill(certificate, self_signed ? certificate : issuer, key, request) ||
         !X509_sign(certificate, self_signed ? key : issuer_key, EVP_sha256())))
        status = SK_INVALID;
    if (!status) {
        BIO *bio = BIO_new(BIO_s_mem());
        PEM_write_bio_X509(bio, certificate);
        append_bio(certificate_pem, bio);
    }
    if (!status && request->key == NULL) {
        BIO *bio = BIO_new(BIO_s_mem());
        PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
        append_bio(key_pem, bio);
    }
    ERR_clear_error();
    X509_free(issuer);
    X509_free(certificate);
    EVP_PKEY_free(issuer_key);
    EVP_PKEY_free(key);
    return status;
}

bool sk_x509_is_pair(struct sk_span certificate_pem, struct evp_pkey_st *key) {
    X509 *certificate = read_certificate(certificate_pem);
    bool pair = certificate && X509_check_private_key(certificate, key) == 1;
    ERR_clear_error();
    X509_free(certificate);
    return pair;
}

enum sk_status sk_x509_not_after(struct sk_span certificate_pem, int64_t *not_after_s) {
    X509 *certificate = read_certificate(certificate_pem);
    ERR_clear_error();
    if (certificate == NULL) return SK_MALFORMED;
    int days = 0, seconds = 0;
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(certificate));
    *not_after_s = (int64_t)days * 86400 + seconds;
    ASN1_TIME_free(epoch);
    X509_free(certificate);
    return SK_OK;
}

enum sk_status sk_x509_first(struct sk_span certificates_pem, struct sk_buffer *pem) {
    X509 *certificate = read_certificate(certificates_pem);
    ERR_clear_error();
    if (certificate == NULL) return SK_MALFORMED;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate);
    append_bio(pem, bio);
    X509_free(certificate);
    return SK_OK;
}

enum sk_status sk_x509_der(struct sk_span certificate_pem, struct sk_buffer *der) {
    X509 *certificate = read_certificate(certificate_pem);
    ERR_clear_error();
    if (certificate == NULL) return SK_MALFORMED;
    unsigned char *bytes = NULL;
    int n = i2d_X509(certificate, &bytes);
    enum sk_status status = n > 0 ? sk_buffer_append(der, sk_span(bytes, (size_t)n)) : SK_MALFORMED;
    OPENSSL_free(bytes);
    X509_free(certificate);
    return status;
}
