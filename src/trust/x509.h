/* X.509 certificates: making keys and certificates for hubs, edge devices and modules. OpenSSL
 * underneath, PEM in and out, no I/O. */
#ifndef SK_TRUST_X509_H
#define SK_TRUST_X509_H

#include "base/base.h"

struct evp_pkey_st;

enum sk_x509_use {
    SK_X509_CA,     /* keyCertSign, digitalSignature, basicConstraints CA with path_length */
    SK_X509_SERVER, /* serverAuth */
    SK_X509_CLIENT, /* clientAuth */
};

struct sk_x509_request {
    enum sk_x509_use use;
    struct sk_span common_name; /* at most 64 bytes are kept (RFC 5280, ub-common-name) */
    const struct sk_span
        *names; /* subject alternative names: addresses become IP entries, others DNS */
    size_t name_count;
    int path_length;                   /* of a CA; -1: no limit */
    int64_t not_before_s, not_after_s; /* seconds since 1970; not_after is cut to the issuer's */
    struct sk_span issuer_certificate_pem, issuer_key_pem; /* empty: self-signed */
    bool rsa; /* RSA 2048 instead of EC P-256, for clients that know no curves */
    /* Keys that are there, and need not be in memory: NULL, or the issuer's instead of its PEM;
     * the subject's instead of a new one, and then no key is written. */
    struct evp_pkey_st *issuer_key, *key;
};

/* Makes a key, unless it is given, and a certificate for it; appends PEM texts (PKCS#8 key; the
 * certificate alone, without its issuer). SK_MALFORMED: the issuer is not usable; SK_INVALID:
 * OpenSSL refused a name. */
enum sk_status sk_x509_make(const struct sk_x509_request *request,
                            struct sk_buffer *certificate_pem, struct sk_buffer *key_pem);

/* Whether the first certificate of a PEM text is this key's. */
bool sk_x509_is_pair(struct sk_span certificate_pem, struct evp_pkey_st *key);

/* When a PEM certificate (the first of a text) ends, seconds since 1970. SK_MALFORMED. */
enum sk_status sk_x509_not_after(struct sk_span certificate_pem, int64_t *not_after_s);

/* Appends the first certificate of a PEM text alone, as PEM. SK_MALFORMED. */
enum sk_status sk_x509_first(struct sk_span certificates_pem, struct sk_buffer *pem);

/* Appends the first certificate of a PEM text as DER. SK_MALFORMED. */
enum sk_status sk_x509_der(struct sk_span certificate_pem, struct sk_buffer *der);

#endif
