/* What every key store must do. The stories know nothing but store.h; another kind is a row of the
 * table. The token is SoftHSM's, the TPM swtpm's, both made in a folder of their own. */
#include <fcntl.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "trust/keys/store.h"
#include "trust/x509.h"
#include "support/test.h"

static char folder[64], reason[256];
static struct sk_io *io;
static struct sk_key_store *store;
static pid_t tpm_pid;

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...) {
    char command[600];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command)) fail_msg("%s", command);
}

/* ---- implementations ---- */

static void files_make(struct sk_key_store_options *options) {
    options->kind = SK_KEYS_IN_FILES;
}

static void files_vanish(void) {
    shell("mv %s/keys %s/away", folder, folder);
}

static void files_return(void) {
    shell("mv %s/away %s/keys", folder, folder);
}

static void token_make(struct sk_key_store_options *options) {
    char conf[128];
    snprintf(conf, sizeof conf, "%s/softhsm.conf", folder);
    options->kind = SK_KEYS_IN_PKCS11;
    options->pkcs11_library = "/usr/lib/softhsm/libsofthsm2.so";
    options->pkcs11_slot = "pkcs11:token=our%20edge?pin-value=12%2034";
    setenv("SOFTHSM2_CONF", conf, 1);
    if (access(conf, F_OK) == 0) return;
    shell("mkdir %s/tokens && echo 'directories.tokendir = %s/tokens' >%s", folder, folder, conf);
    shell("softhsm2-util --init-token --free --label other --so-pin 1234 --pin 99999 >/dev/null");
    shell("softhsm2-util --init-token --free --label 'our edge' --so-pin 1234 --pin '12 34' "
          ">/dev/null");
}

static void token_vanish(void) {
    shell("mv %s/tokens %s/away && mkdir %s/tokens", folder, folder, folder);
}

static void token_return(void) {
    shell("rmdir %s/tokens && mv %s/away %s/tokens", folder, folder, folder);
}

static void tpm_start(void) {
    char state[128], server[128], control[140], path[128];
    snprintf(state, sizeof state, "dir=%s/tpm", folder);
    snprintf(path, sizeof path, "%s/tpm.sock", folder);
    snprintf(server, sizeof server, "type=unixio,path=%s", path);
    snprintf(control, sizeof control, "type=unixio,path=%s.ctrl", path);
    unlink(path);
    tpm_pid = fork();
    if (tpm_pid == 0) {
        int nowhere = open("/dev/null", O_WRONLY);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(nowhere, 1), dup2(nowhere, 2);
        execlp("swtpm", "swtpm", "socket", "--tpm2", "--tpmstate", state, "--server", server,
               "--ctrl", control, "--flags", "not-need-init,startup-clear", NULL);
        _exit(127);
    }
    for (int i = 0; i < 500 && access(path, F_OK); i++) usleep(10000);
}

static void tpm_vanish(void) {
    kill(tpm_pid, SIGKILL);
    waitpid(tpm_pid, NULL, 0);
    tpm_pid = 0;
}

static void tpm_make(struct sk_key_store_options *options) {
    static char tcti[128];
    snprintf(tcti, sizeof tcti, "swtpm:path=%s/tpm.sock", folder);
    options->kind = SK_KEYS_IN_TPM;
    options->tcti = tcti;
    if (tpm_pid) return;
    shell("mkdir -p %s/tpm", folder);
    tpm_start();
}

static const struct implementation {
    const char *name;
    void (*make)(struct sk_key_store_options *options); /* the first time: what it stands on */
    void (*vanish)(void), (*comes_back)(void);
} implementations[] = {
    {"files", files_make, files_vanish, files_return},
    {"pkcs11", token_make, token_vanish, token_return},
    {"tpm", tpm_make, tpm_vanish, tpm_start},
};
static const struct implementation *implementation;

static void choose(const char *name) {
    implementation = implementations;
    while (strcmp(implementation->name, name) != 0) implementation++;
}

__attribute__((constructor)) static void register_implementations(void) {
    enum { COUNT = sizeof implementations / sizeof *implementations };
    static const char *names[COUNT + 1];
    for (size_t i = 0; i < COUNT; i++) names[i] = implementations[i].name;
    test_register_variants(choose, names);
}

static void open_store(void) {
    char keys[128];
    snprintf(keys, sizeof keys, "%s/keys", folder);
    struct sk_key_store_options options = {.folder = keys};
    implementation->make(&options);
    if (sk_key_store_open(io, &options, &store, reason)) fail_msg("%s", reason);
    assert_string_equal(sk_key_store_kind(store), implementation->name);
}

static void reopen(void) {
    sk_key_store_close(store);
    open_store();
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/skerry-keys.XXXXXX");
    assert_non_null(mkdtemp(folder));
    io = sk_io_uv_new();
    open_store();
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    sk_key_store_close(store);
    sk_io_run(io);
    sk_io_free(io);
    if (tpm_pid) tpm_vanish();
    shell("rm -rf %s", folder);
    return 0;
}

AROUND(set_up, tear_down);

/* ---- secrets ---- */

static void make_secret(const char *name, struct sk_span bytes) {
    if (sk_key_store_make_secret(store, name, bytes, reason)) fail_msg("%s", reason);
}

static void hmac(const char *name, const char *text, uint8_t digest[32]) {
    if (sk_key_store_hmac(store, name, sk_span_z(text), digest, reason)) fail_msg("%s", reason);
}

TEST(a_secret_that_nobody_knows_is_the_same_after_a_restart) {
    uint8_t before[32], other[32], after[32];
    make_secret("master", SK_NONE);
    make_secret("device", SK_NONE);
    hmac("master", "text", before);
    hmac("device", "text", other);
    assert_memory_not_equal(before, other, 32);
    reopen();
    hmac("master", "text", after);
    assert_memory_equal(before, after, 32);
}

TEST(a_given_secret_signs_as_hmac_sha256_says) {
    static const size_t sizes[] = {SK_SECRET_MIN, 31, 32, SK_SECRET_MAX};
    uint8_t key[SK_SECRET_MAX + 1], digest[32], expected[32];
    memset(key, 0xA5, sizeof key);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned n = 32;
        make_secret("device", sk_span(key, sizes[i]));
        hmac("device", "hub%2fdevices%2fedge1\n1700000000", digest);
        HMAC(EVP_sha256(), key, (int)sizes[i],
             (const unsigned char *)"hub%2fdevices%2fedge1\n1700000000", 32, expected, &n);
        assert_memory_equal(digest, expected, 32);
    }
    assert_int_equal(
        sk_key_store_make_secret(store, "device", sk_span(key, SK_SECRET_MIN - 1), reason),
        SK_INVALID);
    assert_int_equal(
        sk_key_store_make_secret(store, "device", sk_span(key, SK_SECRET_MAX + 1), reason),
        SK_INVALID);
    hmac("device", "hub%2fdevices%2fedge1\n1700000000", digest); /* the last good one is there */
    assert_memory_equal(digest, expected, 32);
}

TEST(texts_of_up_to_the_limit_are_signed_and_no_longer_ones) {
    static char text[SK_HMAC_TEXT_MAX + 1];
    uint8_t digest[32];
    make_secret("master", SK_NONE);
    assert_int_equal(
        sk_key_store_hmac(store, "master", sk_span(text, SK_HMAC_TEXT_MAX), digest, reason), SK_OK);
    assert_int_equal(sk_key_store_hmac(store, "master", SK_NONE, digest, reason), SK_OK);
    assert_int_equal(
        sk_key_store_hmac(store, "master", sk_span(text, SK_HMAC_TEXT_MAX + 1), digest, reason),
        SK_TOO_LARGE);
}

TEST(a_key_that_is_not_there_is_not_found_by_its_name) {
    uint8_t digest[32];
    EVP_PKEY *pair;
    assert_int_equal(sk_key_store_hmac(store, "master", SK_SPAN("x"), digest, reason),
                     SK_NOT_FOUND);
    assert_non_null(strstr(reason, "master"));
    assert_int_equal(sk_key_store_pair(store, "edge-ca", &pair, reason), SK_NOT_FOUND);
    assert_non_null(strstr(reason, "edge-ca"));
}

/* ---- pairs ---- */

static EVP_PKEY *make_pair(const char *name) {
    EVP_PKEY *pair = NULL;
    if (sk_key_store_make_pair(store, name, &pair, reason)) fail_msg("%s", reason);
    return pair;
}

static EVP_PKEY *load_pair(const char *name) {
    EVP_PKEY *pair = NULL;
    if (sk_key_store_pair(store, name, &pair, reason)) fail_msg("%s", reason);
    return pair;
}

static bool signs(EVP_PKEY *signer, EVP_PKEY *verifier, const EVP_MD *digest) {
    unsigned char signature[256];
    size_t n = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, NULL, digest, NULL, signer), 1);
    assert_int_equal(EVP_DigestSign(context, signature, &n, (const unsigned char *)"text", 4), 1);
    EVP_MD_CTX_reset(context);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, digest, NULL, verifier), 1);
    bool fine = EVP_DigestVerify(context, signature, n, (const unsigned char *)"text", 4) == 1;
    EVP_MD_CTX_free(context);
    return fine;
}

/* The public half alone, as others have it. */
static EVP_PKEY *public_of(EVP_PKEY *pair) {
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(pair, &der);
    const unsigned char *at = der;
    EVP_PKEY *public = d2i_PUBKEY(NULL, &at, n);
    OPENSSL_free(der);
    assert_non_null(public);
    return public;
}

TEST(a_pair_signs_and_is_the_same_after_a_restart) {
    EVP_PKEY *pair = make_pair("edge-ca"), *public = public_of(pair);
    assert_true(signs(pair, public, EVP_sha256()));
    assert_true(signs(pair, public, EVP_sha384())); /* longer than the curve's order */
    assert_true(signs(pair, public, EVP_sha1()));
    EVP_PKEY_free(pair);
    reopen();
    pair = load_pair("edge-ca");
    assert_true(signs(pair, public, EVP_sha256()));
    EVP_PKEY_free(pair);
    EVP_PKEY_free(public);
}

TEST(a_new_pair_takes_the_place_of_the_one_of_its_name_only) {
    EVP_PKEY *first = make_pair("edge-ca"), *other = make_pair("edge-ca-2");
    EVP_PKEY *old = public_of(first), *kept = public_of(other);
    EVP_PKEY_free(first);
    EVP_PKEY_free(make_pair("edge-ca"));
    EVP_PKEY_free(other);
    EVP_PKEY *now = load_pair("edge-ca");
    other = load_pair("edge-ca-2");
    assert_false(signs(now, old, EVP_sha256()));
    assert_true(signs(other, kept, EVP_sha256()));
    EVP_PKEY_free(now);
    EVP_PKEY_free(other);
    EVP_PKEY_free(old);
    EVP_PKEY_free(kept);
}

static void certificate(struct sk_buffer *pem, EVP_PKEY *key, struct sk_span issuer_pem,
                        EVP_PKEY *issuer_key) {
    struct sk_x509_request request = {.use = issuer_key ? SK_X509_CLIENT : SK_X509_CA,
                                      .common_name = SK_SPAN("edge1"),
                                      .path_length = -1,
                                      .not_before_s = sk_io_wall(io) / 1000000 - 60,
                                      .not_after_s = sk_io_wall(io) / 1000000 + 3600,
                                      .key = key,
                                      .issuer_certificate_pem = issuer_pem,
                                      .issuer_key = issuer_key};
    assert_int_equal(sk_x509_make(&request, pem, NULL), SK_OK);
}

/* A handshake in memory, in which the server asks for the client's certificate. */
static bool shakes_hands(struct sk_span certificate_pem, EVP_PKEY *key, int version) {
    EVP_PKEY *server_key = EVP_EC_gen("P-256");
    struct sk_buffer server_pem = {0};
    certificate(&server_pem, server_key, SK_NONE, NULL);
    SSL_CTX *contexts[] = {SSL_CTX_new(TLS_client_method()), SSL_CTX_new(TLS_server_method())};
    struct sk_span pems[] = {certificate_pem, sk_buffer_span(&server_pem)};
    EVP_PKEY *keys[] = {key, server_key};
    SSL *ends[2];
    BIO *pair[2];
    assert_int_equal(BIO_new_bio_pair(&pair[0], 0, &pair[1], 0), 1);
    for (int i = 0; i < 2; i++) {
        BIO *bio = BIO_new_mem_buf(pems[i].p, (int)pems[i].n);
        X509 *x509 = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        SSL_CTX_set_max_proto_version(contexts[i], version);
        SSL_CTX_set_security_level(contexts[i], 1);
        assert_int_equal(SSL_CTX_use_certificate(contexts[i], x509), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(contexts[i], keys[i]), 1);
        assert_int_equal(SSL_CTX_check_private_key(contexts[i]), 1);
        ends[i] = SSL_new(contexts[i]);
        SSL_set_bio(ends[i], pair[i], pair[i]);
        X509_free(x509);
        BIO_free(bio);
    }
    SSL_set_connect_state(ends[0]);
    SSL_set_accept_state(ends[1]);
    SSL_set_verify(ends[1], SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    BIO *anchor = BIO_new_mem_buf(certificate_pem.p, (int)certificate_pem.n);
    X509 *trusted = PEM_read_bio_X509(anchor, NULL, NULL, NULL);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(contexts[1]), trusted);
    bool done = false;
    for (int i = 0; i < 20 && !done; i++)
        done = (SSL_do_handshake(ends[0]) == 1) & (SSL_do_handshake(ends[1]) == 1);
    X509_free(trusted);
    BIO_free(anchor);
    for (int i = 0; i < 2; i++) SSL_free(ends[i]), SSL_CTX_free(contexts[i]);
    sk_buffer_free(&server_pem);
    EVP_PKEY_free(server_key);
    return done;
}

TEST(a_pair_is_a_cas_key_and_a_tls_clients) {
    EVP_PKEY *pair = make_pair("edge-ca"), *client = EVP_EC_gen("P-256");
    struct sk_buffer ca_pem = {0}, leaf_pem = {0};
    certificate(&ca_pem, pair, SK_NONE, NULL);
    assert_true(sk_x509_is_pair(sk_buffer_span(&ca_pem), pair));
    assert_false(sk_x509_is_pair(sk_buffer_span(&ca_pem), client));
    certificate(&leaf_pem, client, sk_buffer_span(&ca_pem), pair);
    BIO *bio = BIO_new_mem_buf(leaf_pem.p, (int)leaf_pem.n);
    X509 *leaf = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    EVP_PKEY *public = public_of(pair);
    assert_int_equal(X509_verify(leaf, public), 1);
    assert_true(shakes_hands(sk_buffer_span(&ca_pem), pair, TLS1_3_VERSION));
    assert_true(shakes_hands(sk_buffer_span(&ca_pem), pair, TLS1_2_VERSION));
    X509_free(leaf);
    BIO_free(bio);
    EVP_PKEY_free(public);
    EVP_PKEY_free(pair);
    EVP_PKEY_free(client);
    sk_buffer_free(&ca_pem);
    sk_buffer_free(&leaf_pem);
}

/* ---- stores that go away ---- */

TEST(a_store_that_has_gone_is_said_and_serves_again_when_it_is_back) {
    uint8_t before[32], after[32];
    EVP_PKEY *pair = make_pair("edge-ca"), *public = public_of(pair), *none = NULL;
    make_secret("master", SK_NONE);
    hmac("master", "text", before);
    implementation->vanish();
    for (int i = 0; i < 2; i++) {
        reason[0] = 0;
        assert_int_not_equal(sk_key_store_hmac(store, "master", SK_SPAN("text"), after, reason),
                             SK_OK);
        assert_true(strlen(reason) > 20 && reason[strlen(reason) - 1] == '.');
        assert_int_not_equal(sk_key_store_pair(store, "edge-ca-2", &none, reason), SK_OK);
    }
    implementation->comes_back();
    hmac("master", "text", after);
    assert_memory_equal(before, after, 32);
    assert_true(signs(pair, public, EVP_sha256())); /* the pair from before, too */
    EVP_PKEY_free(pair);
    EVP_PKEY_free(public);
}

TEST(a_damaged_key_is_told_from_one_that_is_not_there) {
    uint8_t digest[32];
    if (strcmp(implementation->name, "pkcs11") == 0) return; /* a token's matter */
    make_secret("master", SK_NONE);
    shell("for f in %s/keys/master.*; do head -c 7 $f >%s/cut && mv %s/cut $f; done", folder,
          folder, folder);
    assert_int_equal(sk_key_store_hmac(store, "master", SK_SPAN("x"), digest, reason),
                     SK_MALFORMED);
    assert_non_null(strstr(reason, "restore the file"));
}

TEST(a_tpm_that_was_cleared_is_told_from_a_damaged_key) {
    uint8_t digest[32];
    EVP_PKEY *pair;
    if (strcmp(implementation->name, "tpm") != 0) return;
    make_secret("master", SK_NONE);
    EVP_PKEY_free(make_pair("edge-ca"));
    tpm_vanish();
    shell("rm -rf %s/tpm && mkdir %s/tpm", folder, folder); /* another seed, as after a clear */
    tpm_start();
    assert_int_equal(sk_key_store_hmac(store, "master", SK_SPAN("x"), digest, reason),
                     SK_MALFORMED);
    assert_non_null(strstr(reason, "another TPM's, or from before this one was cleared"));
    assert_int_equal(sk_key_store_pair(store, "edge-ca", &pair, reason),
                     SK_OK); /* its public half */
    unsigned char signature[256];
    size_t n = sizeof signature;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, pair);
    assert_int_not_equal(EVP_DigestSign(context, signature, &n, (const unsigned char *)"x", 1), 1);
    EVP_MD_CTX_free(context);
    EVP_PKEY_free(pair);
    make_secret("master", SK_NONE); /* a person has decided so */
    hmac("master", "x", digest);
}

TEST(a_given_secret_is_in_no_file_of_a_token_or_tpm) {
    static const char key[] = "0123456789abcdefghijklmnopqrstuv";
    struct stat keys;
    char path[128];
    if (strcmp(implementation->name, "files") == 0) return;
    make_secret("device", SK_SPAN("0123456789abcdefghijklmnopqrstuv"));
    snprintf(path, sizeof path, "%s/keys", folder);
    if (stat(path, &keys) == 0) {
        shell("! grep -rqF %s %s/keys", key, folder);
        shell("! grep -rqF $(printf %s | base64 -w0) %s/keys", key, folder);
    }
}
