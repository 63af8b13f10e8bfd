#include "support/self_signed.h"

static struct sk_span text_of(BIO *bio) {
    char *text;
    long n = BIO_get_mem_data(bio, &text);
    return sk_span(text, (size_t)n);
}

void make_tls(struct sk_io *io, struct sk_tls **server_tls, struct sk_tls **client_tls) {
    EVP_PKEY *key = raw_tls_key("P-256");
    X509 *certificate = raw_tls_certificate("server", key, "server", key);
    BIO *certificate_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(certificate_pem, certificate);
    PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL);
    char reason[256];
    struct sk_tls_options server = {
        .certificate_pem = text_of(certificate_pem), .key_pem = text_of(key_pem), .server = true};
    assert_int_equal(sk_tls_new(io, &server, server_tls, reason), SK_OK);
    struct sk_tls_options client = {.insecure = true};
    assert_int_equal(sk_tls_new(io, &client, client_tls, reason), SK_OK);
    BIO_free(certificate_pem);
    BIO_free(key_pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
}
