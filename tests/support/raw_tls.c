#include "support/raw_tls.h"

void raw_tls_begin(struct raw_tls *t, int version) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    *t = (struct raw_tls){SSL_new(context), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem())};
    SSL_CTX_free(context);
    BIO_set_mem_eof_return(t->in, -1);
    SSL_set_bio(t->ssl, t->in, t->out);
    SSL_set_connect_state(t->ssl);
}

void raw_tls_end(struct raw_tls *t) {
    SSL_free(t->ssl);
    *t = (struct raw_tls){0};
}

bool raw_tls_take(struct raw_tls *t, struct sk_span bytes) {
    char scratch[1024];
    size_t n;
    bool before = SSL_is_init_finished(t->ssl);
    if (bytes.n) BIO_write(t->in, bytes.p, (int)bytes.n);
    if (!before) SSL_do_handshake(t->ssl);
    while (SSL_is_init_finished(t->ssl) && SSL_read_ex(t->ssl, scratch, sizeof scratch, &n) == 1) {
    }
    return !before && SSL_is_init_finished(t->ssl);
}

void raw_tls_drain(struct raw_tls *t, struct sk_buffer *to) {
    char *bytes;
    long n = BIO_get_mem_data(t->out, &bytes);
    sk_buffer_append(to, sk_span(bytes, (size_t)n));
    (void)BIO_reset(t->out);
}

void raw_tls_write(struct raw_tls *t, struct sk_span bytes) {
    SSL_write(t->ssl, bytes.p, (int)bytes.n);
}

void raw_tls_key_update(struct raw_tls *t) {
    SSL_key_update(t->ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(t->ssl);
}

void raw_tls_renegotiate(struct raw_tls *t) {
    SSL_renegotiate(t->ssl);
    SSL_do_handshake(t->ssl);
}

EVP_PKEY *raw_tls_key(const char *kind) {
    return *kind >= '1' && *kind <= '9' ? EVP_RSA_gen((unsigned)atoi(kind)) : EVP_EC_gen(kind);
}

X509 *raw_tls_certificate(const char *name, EVP_PKEY *key, const char *issuer,
                          EVP_PKEY *issuer_key) {
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)name, -1, -1, 0);
    X509_NAME_add_entry_by_txt(X509_get_issuer_name(certificate), "CN", MBSTRING_UTF8,
                               (const unsigned char *)issuer, -1, -1, 0);
    X509_set_pubkey(certificate, key);
    X509_sign(certificate, issuer_key, EVP_sha256());
    return certificate;
}
