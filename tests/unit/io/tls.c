/* TLS of the real world: what a client may do before anybody knows who it is. */
#include "io/io.h"
#include "support/self_signed.h"
#include "support/test.h"

/* A listener with TLS, and a client of it that makes its records itself. */
struct story {
    struct sk_io *io;
    struct sk_tls *server_tls, *client_tls;
    struct sk_listener *listener;
    struct sk_stream *server, *client;
    struct raw_tls raw;
    X509 *certificate; /* NULL: none */
    EVP_PKEY *key;
    unsigned issuers;             /* how often the certificate is sent once more, behind itself */
    void (*say)(struct story *s); /* behind the handshake */
    size_t heard, most, wanted;   /* bytes: in all, at once; the loop stops at `wanted` */
    unsigned records;             /* without data, that `say` sends */
    bool accepted, closed, late, deaf;
    struct sk_timer limit;
};

static void on_server_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct story *s = arg;
    (void)stream;
    s->heard += bytes.n;
    if (bytes.n > s->most) s->most = bytes.n;
    if (s->heard >= s->wanted) sk_io_stop(s->io);
}

static void on_server_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct story *s = arg;
    (void)stream, (void)reason;
    s->server = NULL;
}

static const struct sk_stream_events server_events = {.on_data = on_server_data,
                                                      .on_close = on_server_close};

static void accepted(void *arg, struct sk_stream *stream) {
    struct story *s = arg;
    s->accepted = true;
    s->server = stream;
    sk_stream_handle(stream, &server_events, s);
    if (s->wanted == 0) sk_io_stop(s->io);
}

static void send_made(struct story *s) {
    struct sk_buffer made = {0};
    raw_tls_drain(&s->raw, &made);
    sk_stream_write(s->client, sk_buffer_span(&made));
    sk_buffer_free(&made);
}

static void on_client_open(struct sk_stream *stream, void *arg) {
    (void)stream;
    send_made(arg);
}

static void on_client_data(struct sk_stream *stream, void *arg, struct sk_span bytes) {
    struct story *s = arg;
    (void)stream;
    if (s->deaf) return;
    if (raw_tls_take(&s->raw, bytes) && s->say) s->say(s);
    send_made(s);
}

static void on_client_close(struct sk_stream *stream, void *arg, enum sk_status reason) {
    struct story *s = arg;
    (void)stream, (void)reason;
    s->client = NULL;
    s->closed = true;
    sk_io_stop(s->io);
}

static const struct sk_stream_events client_events = {
    .on_open = on_client_open, .on_data = on_client_data, .on_close = on_client_close};

static void on_limit(struct sk_timer *timer) {
    struct story *s = SK_CONTAINER(timer, struct story, limit);
    s->late = true;
    sk_io_stop(s->io);
}

/* Runs until the server has heard what was wanted or has closed the connection. */
static void play(struct story *s, int version) {
    struct sk_endpoint at = {.host = "127.0.0.1"};
    s->io = sk_io_uv_new();
    make_tls(s->io, &s->server_tls, &s->client_tls);
    assert_int_equal(sk_listen(s->io, &at, s->server_tls, accepted, s, &s->listener), SK_OK);
    raw_tls_begin(&s->raw, version);
    if (s->certificate) SSL_use_certificate(s->raw.ssl, s->certificate);
    if (s->certificate) SSL_use_PrivateKey(s->raw.ssl, s->key);
    for (unsigned i = 0; i < s->issuers; i++) SSL_add1_chain_cert(s->raw.ssl, s->certificate);
    raw_tls_take(&s->raw, SK_NONE);
    at.port = sk_listener_port(s->listener);
    s->client = sk_connect(s->io, &at, NULL, NULL, &client_events, s);
    sk_timer_start(s->io, &s->limit, 10 * SK_S, on_limit);
    sk_io_run(s->io);
    sk_timer_stop(&s->limit);
    sk_listener_close(s->listener);
    bool closed = s->closed;
    if (s->client) sk_stream_abort(s->client);
    if (s->server) sk_stream_abort(s->server);
    sk_io_run(s->io);
    s->closed = closed;
    raw_tls_end(&s->raw);
    sk_tls_free(s->server_tls);
    sk_tls_free(s->client_tls);
    sk_io_free(s->io);
}

/* ---- records without data ---- */

static void update_keys_and_greet(struct story *s) {
    for (unsigned i = 0; i < s->records; i++) raw_tls_key_update(&s->raw);
    raw_tls_write(&s->raw, SK_SPAN("hello"));
}

TEST(a_few_records_without_data_are_taken_and_more_end_the_connection) {
    static const struct {
        unsigned records;
        size_t heard;
    } rows[] = {{0, 5}, {32, 5}, {34, 0}, {5000, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct story s = {.say = update_keys_and_greet, .wanted = 5, .records = rows[i].records};
        play(&s, TLS1_3_VERSION);
        assert_false(s.late);
        assert_int_equal(s.heard, rows[i].heard);
        assert_int_equal(s.closed, rows[i].heard == 0);
    }
}

static void send_bytes(struct story *s) {
    for (unsigned i = 0; i < s->records; i++) raw_tls_write(&s->raw, SK_SPAN("x"));
}

/* The share is of what is taken off the socket; OpenSSL may hold a record's length from before. */
TEST(records_of_a_byte_count_against_the_share_as_a_whole) {
    enum { RECORD = 22, SHARE = 64 * 1024 + 17 * 1024 };
    struct story s = {.say = send_bytes, .wanted = 60000, .records = 60000};
    play(&s, TLS1_3_VERSION);
    assert_false(s.late);
    assert_int_equal(s.heard, 60000);
    assert_true(s.most <= SHARE / RECORD);
}

/* Whatever the server answers: OpenSSL's client would end the connection itself. */
static void negotiate_again(struct story *s) {
    raw_tls_renegotiate(&s->raw);
    s->deaf = true;
}

TEST(a_client_that_negotiates_again_is_closed) {
    struct story greets = {.say = update_keys_and_greet, .wanted = 5};
    play(&greets, TLS1_2_VERSION);
    assert_int_equal(greets.heard, 5);
    struct story s = {.say = negotiate_again, .wanted = 5};
    play(&s, TLS1_2_VERSION);
    assert_false(s.late);
    assert_true(s.closed);
}

/* ---- client certificates ---- */

static bool is_let_in(int version, const char *kind, unsigned issuers) {
    struct story s = {.key = raw_tls_key(kind), .issuers = issuers};
    s.certificate = raw_tls_certificate("d1", s.key, "d1", s.key);
    play(&s, version);
    X509_free(s.certificate);
    EVP_PKEY_free(s.key);
    assert_false(s.late);
    return s.accepted;
}

TEST(certificates_whose_keys_are_dear_are_refused_in_the_handshake) {
    assert_true(is_let_in(TLS1_3_VERSION, "P-521", 3));
    assert_true(is_let_in(TLS1_3_VERSION, "4096", 3));
    assert_false(is_let_in(TLS1_3_VERSION, "4104", 0));
    assert_true(is_let_in(TLS1_2_VERSION, "P-384", 3));
    assert_false(is_let_in(TLS1_2_VERSION, "4104", 0));
}

TEST(certificates_of_more_than_10_kb_are_refused) {
    EVP_PKEY *key = raw_tls_key("P-256");
    X509 *certificate = raw_tls_certificate("d1", key, "d1", key);
    unsigned one = (unsigned)i2d_X509(certificate, NULL) + 3 + 2, most = (10 * 1024 - 4) / one;
    X509_free(certificate);
    EVP_PKEY_free(key);
    /* A signature has a byte more or less each time: so not at the very byte. */
    assert_true(is_let_in(TLS1_3_VERSION, "P-256", most - 2));
    assert_false(is_let_in(TLS1_3_VERSION, "P-256", most + 1));
}
