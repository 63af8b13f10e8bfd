/* What is taken off a stream's socket: no more than its share of a turn, whether it is data or
 * not.
 *
 * OpenSSL reads on until it has data, so TLS records without any (KeyUpdate, alerts, empty ones)
 * would keep the loop for as long as they come. It reads through a BIO of ours, which ends with
 * the share; and only a few records without data may follow each other. */
#include "io/uv/uv.h"

#include <errno.h>
#include <openssl/bio.h>
#include <sys/socket.h>

enum { DATALESS_MAX = 32 }; /* OpenSSL's own bound for empty records */

ssize_t sk_uv_receive(struct sk_uv_input *input, char *to, size_t size) {
    if (size > input->left) size = input->left;
    if (size == 0) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t n = recv(input->fd, to, size, 0);
    if (n > 0) input->left -= (size_t)n;
    return n;
}

/* ---- for OpenSSL ---- */

static int bio_read(BIO *bio, char *to, int size) {
    BIO_clear_retry_flags(bio);
    ssize_t n = sk_uv_receive(BIO_get_data(bio), to, (size_t)size);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
    if (n == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    return (int)n;
}

static int bio_write(BIO *bio, const char *bytes, int size) {
    const struct sk_uv_input *input = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    ssize_t n = send(input->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
    return (int)n;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)number, (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    default: return 0;
    }
}

BIO_METHOD *sk_uv_input_method(void) {
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "a share of a socket");
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

bool sk_uv_input_attach(struct sk_uv_input *input, const BIO_METHOD *method, SSL *ssl) {
    BIO *bio = BIO_new(method);
    if (bio == NULL) return false;
    BIO_set_data(bio, input);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return true;
}

/* ---- records without data ---- */

/* Each record's header, before OpenSSL acts on what is in it. Its type is a handshake's only in
 * TLS 1.2, whose client would negotiate again. */
static void on_message(int written, int version, int type, const void *bytes, size_t size, SSL *ssl,
                       void *arg) {
    struct sk_uv_input *input = arg;
    (void)version;
    if (written || type != SSL3_RT_HEADER || size == 0) return;
    if (SSL_is_server(ssl) && *(const unsigned char *)bytes == SSL3_RT_HANDSHAKE)
        input->breach = "negotiates TLS again";
    else if (input->dataless++ > DATALESS_MAX)
        input->breach = "sends TLS records without data";
    if (input->breach) SSL_set_shutdown(ssl, SSL_get_shutdown(ssl) | SSL_RECEIVED_SHUTDOWN);
}

void sk_uv_input_guard(struct sk_uv_input *input, SSL *ssl) {
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, input);
}
