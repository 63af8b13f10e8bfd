/* TLS contexts on OpenSSL: TLS 1.2 and 1.3 with forward secrecy, stateless session tickets, buffers
 * released when idle. */
#include "io/uv/uv.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "trust/x509_chain.h"

enum {
    CLIENT_CHAIN_MAX = 10 * 1024
}; /* bytes of certificates that a client may send: 4 of RSA 4096
                                          take half */

static enum sk_status refuse(char *reason, const char *sentence) {
    unsigned long code = ERR_get_error();
    char text[160] = "";
    if (code) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    snprintf(reason, 256, "%s%s%s", sentence, code ? ": " : "", text);
    return SK_INVALID;
}

/* Who may speak is decided later, by identity: any certificate is taken at the handshake, and no
 * chain is verified there. That the client holds the leaf's key OpenSSL checks next, which must
 * be cheap. */
static int take_cheap_key(X509_STORE_CTX *store, void *arg) {
    (void)arg;
    if (sk_x509_key_is_cheap(X509_get0_pubkey(X509_STORE_CTX_get0_cert(store)))) return 1;
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    SK_SELDOM(SK_LEVEL_WARN, "tls", "a client certificate is refused: its key is not one of %s",
              SK_X509_CHEAP_KEYS);
    return 0;
}

/* A ticket carries the client's own certificate but not those that came with it, without which its
 * chain leads nowhere: clients with certificates make the whole handshake each time. */
static SSL_TICKET_RETURN without_certificate(SSL *ssl, SSL_SESSION *session,
                                             const unsigned char *name, size_t name_size,
                                             SSL_TICKET_STATUS status, void *arg) {
    (void)ssl, (void)name, (void)name_size, (void)arg;
    if (status != SSL_TICKET_SUCCESS && status != SSL_TICKET_SUCCESS_RENEW)
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    if (SSL_SESSION_get0_peer(session)) return SSL_TICKET_RETURN_IGNORE_RENEW;
    return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

static int any_ticket(SSL *ssl, void *arg) {
    (void)ssl, (void)arg;
    return 1;
}

static enum sk_status use_key(SSL_CTX *context, const struct sk_tls_options *options,
                              char *reason) {
    EVP_PKEY *key = options->key;
    if (key) {
        EVP_PKEY_up_ref(key);
    } else {
        BIO *bio = BIO_new_mem_buf(options->key_pem.p, (int)options->key_pem.n);
        key = PEM_read_bio_PrivateKey(bio, NULL, sk_pem_no_passphrase, NULL);
        BIO_free(bio);
    }
    enum sk_status status = SK_OK;
    if (key == NULL && sk_pem_is_encrypted(options->key_pem)) {
        ERR_clear_error();
        status = refuse(reason, "the private key " SK_PEM_ENCRYPTED);
    } else if (key == NULL)
        status = refuse(reason, "the private key is not usable PEM");
    else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        status = refuse(reason, "the private key does not belong to the certificate");
    EVP_PKEY_free(key);
    return status;
}

static enum sk_status use_certificate(SSL_CTX *context, const struct sk_tls_options *options,
                                      char *reason) {
    BIO *bio = BIO_new_mem_buf(options->certificate_pem.p, (int)options->certificate_pem.n);
    X509 *leaf = PEM_read_bio_X509_AUX(bio, NULL, sk_pem_no_passphrase, NULL);
    enum sk_status status = SK_OK;
    if (leaf == NULL || SSL_CTX_use_certificate(context, leaf) != 1)
        status = refuse(reason, "the certificate is not usable PEM");
    X509 *next;
    while (!status && (next = PEM_read_bio_X509(bio, NULL, sk_pem_no_passphrase, NULL)) != NULL)
        if (SSL_CTX_add0_chain_cert(context, next) != 1) {
            X509_free(next);
            status = refuse(reason, "a certificate of the chain is not usable");
        }
    ERR_clear_error(); /* the end of the PEM text counts as an error there */
    X509_free(leaf);
    BIO_free(bio);
    return status ? status : use_key(context, options, reason);
}

static enum sk_status trust(SSL_CTX *context, struct sk_span pem, char *reason) {
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    size_t count = 0;
    for (X509 *anchor; (anchor = PEM_read_bio_X509(bio, NULL, sk_pem_no_passphrase, NULL)) != NULL;
         count++) {
        X509_STORE_add_cert(store, anchor);
        X509_free(anchor);
    }
    BIO_free(bio);
    ERR_clear_error();
    return count ? SK_OK : refuse(reason, "the trusted certificates are not usable PEM");
}

static enum sk_status make_context(const struct sk_tls_options *options, SSL_CTX **made,
                                   char *reason) {
    SSL_CTX *context = SSL_CTX_new(options->server ? TLS_server_method() : TLS_client_method());
    if (context == NULL) return refuse(reason, "OpenSSL gives no TLS context");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20");
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(context, 1);
    enum sk_status status = SK_OK;
    if (options->certificate_pem.n) status = use_certificate(context, options, reason);
    if (!status && options->server) {
        SSL_CTX_set_num_tickets(context, 1);
        /* Tickets need no memory here. */
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_session_id_context(context, (const unsigned char *)"skerry", 6);
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, NULL);
        SSL_CTX_set_cert_verify_callback(context, take_cheap_key, NULL);
        SSL_CTX_set_max_cert_list(context, CLIENT_CHAIN_MAX);
        SSL_CTX_set_session_ticket_cb(context, any_ticket, without_certificate, NULL);
    } else if (!status) {
        SSL_CTX_set_verify(context, options->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
        if (options->trust_pem.n)
            status = trust(context, options->trust_pem, reason);
        else
            SSL_CTX_set_default_verify_paths(context);
    }
    if (status) {
        SSL_CTX_free(context);
        return status;
    }
    *made = context;
    return SK_OK;
}

enum sk_status sk_uv_tls_new(struct sk_io *io, const struct sk_tls_options *options,
                             struct sk_tls **tls, char *reason) {
    SSL_CTX *context;
    enum sk_status status = make_context(options, &context, reason);
    if (status) return status;
    struct sk_uv_tls *made = SK_NEW(struct sk_uv_tls);
    made->tls.io = io;
    made->context = context;
    made->method = sk_uv_input_method();
    made->server = options->server;
    made->references = 1;
    *tls = &made->tls;
    return SK_OK;
}

enum sk_status sk_uv_tls_reload(struct sk_tls *tls, const struct sk_tls_options *options,
                                char *reason) {
    struct sk_uv_tls *uv = (struct sk_uv_tls *)tls;
    SSL_CTX *context;
    enum sk_status status = make_context(options, &context, reason);
    if (status) return status;
    /* Tickets given out before stay good: the sessions they resume name no certificate of ours. */
    unsigned char keys[80];
    long n = SSL_CTX_get_tlsext_ticket_keys(uv->context, NULL, 0);
    if (n > 0 && n <= (long)sizeof keys &&
        SSL_CTX_get_tlsext_ticket_keys(uv->context, keys, n) == 1)
        SSL_CTX_set_tlsext_ticket_keys(context, keys, n);
    SSL_CTX_free(uv->context); /* streams hold their own reference to it */
    uv->context = context;
    return SK_OK;
}

void sk_uv_tls_release(struct sk_uv_tls *tls) {
    if (--tls->references) return;
    SSL_CTX_free(tls->context);
    BIO_meth_free(tls->method);
    free(tls);
}

void sk_uv_tls_free(struct sk_tls *tls) {
    sk_uv_tls_release((struct sk_uv_tls *)tls);
}

SSL *sk_uv_tls_attach(struct sk_uv_tls *tls, struct sk_uv_input *input, const char *server_name) {
    SSL *ssl = SSL_new(tls->context);
    if (ssl == NULL || !sk_uv_input_attach(input, tls->method, ssl)) {
        SSL_free(ssl);
        return NULL;
    }
    if (tls->server) {
        SSL_set_accept_state(ssl);
        return ssl;
    }
    SSL_set_connect_state(ssl);
    struct in6_addr address;
    bool is_address = inet_pton(AF_INET, server_name, &address) == 1 ||
                      inet_pton(AF_INET6, server_name, &address) == 1;
    int fine = is_address
                   ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name)
                   : SSL_set1_host(ssl, server_name) && SSL_set_tlsext_host_name(ssl, server_name);
    if (fine) return ssl;
    SSL_free(ssl);
    return NULL;
}
