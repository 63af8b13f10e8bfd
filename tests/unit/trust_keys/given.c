/* Keys that people have put somewhere: PEM files, and objects of a token (SoftHSM's). */
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "trust/keys/store.h"
#include "support/test.h"

static char folder[64], reason[256], path[128];
static struct sk_io *io;
static struct sk_key_store *store;

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...) {
    char command[600];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    if (system(command)) fail_msg("%s", command);
}

static void open_store(const char *library) {
    struct sk_key_store_options options = {.folder = folder, .pkcs11_library = library};
    assert_int_equal(sk_key_store_open(io, &options, &store, reason), SK_OK);
}

static int set_up(void **state) {
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/skerry-given.XXXXXX");
    assert_non_null(mkdtemp(folder));
    io = sk_io_uv_new();
    snprintf(path, sizeof path, "%s/conf", folder);
    setenv("SOFTHSM2_CONF", path, 1);
    shell("mkdir %s/tokens && echo 'directories.tokendir = %s/tokens' >%s", folder, folder, path);
    shell("softhsm2-util --init-token --free --label t --so-pin 1234 --pin 5678 >/dev/null");
    open_store("/usr/lib/softhsm/libsofthsm2.so");
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    sk_key_store_close(store);
    sk_io_run(io);
    sk_io_free(io);
    shell("rm -rf %s", folder);
    return 0;
}

AROUND(set_up, tear_down);

#define URI(label) "pkcs11:token=t;object=" label "?pin-value=5678"

static void import(const char *algorithm, const char *label, const char *id) {
    shell("openssl genpkey %s -out %s/%s.pem 2>/dev/null", algorithm, folder, label);
    shell("softhsm2-util --import %s/%s.pem --token t --label %s --id %s --pin 5678 >/dev/null "
          "2>&1",
          folder, label, label, id);
}

static bool sign(EVP_PKEY *signer, EVP_PKEY *verifier, bool pss) {
    unsigned char signature[1024];
    size_t n = sizeof signature;
    EVP_PKEY_CTX *options;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(context, &options, EVP_sha256(), NULL, signer), 1);
    if (pss) EVP_PKEY_CTX_ctrl_str(options, "rsa_padding_mode", "pss");
    assert_int_equal(EVP_DigestSign(context, signature, &n, (const unsigned char *)"text", 4), 1);
    EVP_MD_CTX_reset(context);
    assert_int_equal(EVP_DigestVerifyInit(context, &options, EVP_sha256(), NULL, verifier), 1);
    if (pss) EVP_PKEY_CTX_ctrl_str(options, "rsa_padding_mode", "pss");
    bool fine = EVP_DigestVerify(context, signature, n, (const unsigned char *)"text", 4) == 1;
    EVP_MD_CTX_free(context);
    return fine;
}

static EVP_PKEY *given(const char *uri) {
    EVP_PKEY *pair = NULL;
    if (sk_key_store_given_pair(store, uri, &pair, reason)) fail_msg("%s", reason);
    return pair;
}

/* TLS 1.3 pads signatures of RSA keys by PSS, certificates are signed by the older padding. */
TEST(pairs_of_a_token_sign_whatever_their_kind_is) {
    static const struct {
        const char *algorithm, *label, *id, *uri;
        bool rsa;
    } kinds[] = {
        {"-algorithm RSA -pkeyopt rsa_keygen_bits:2048", "rsa", "01", URI("rsa"), true},
        {"-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "p256", "02", URI("p256"), false},
        {"-algorithm EC -pkeyopt ec_paramgen_curve:P-384", "p384", "03", URI("p384"), false},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        import(kinds[i].algorithm, kinds[i].label, kinds[i].id);
        snprintf(path, sizeof path, "%s/%s.pem", folder, kinds[i].label);
        EVP_PKEY *in_token = given(kinds[i].uri), *in_file = given(path);
        assert_true(sign(in_token, in_file, false));
        assert_true(sign(in_file, in_token, false)); /* the public halves are the same */
        if (kinds[i].rsa) assert_true(sign(in_token, in_file, true));
        EVP_PKEY_free(in_token);
        EVP_PKEY_free(in_file);
    }
}

TEST(an_object_is_found_by_its_id_too) {
    import("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "one", "aa");
    import("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "two", "bb");
    EVP_PKEY *by_label = given(URI("two")), *by_id = given("pkcs11:token=t;id=%BB?pin-value=5678");
    assert_int_equal(EVP_PKEY_eq(by_label, by_id), 1);
    EVP_PKEY_free(by_label);
    EVP_PKEY_free(by_id);
}

TEST(what_cannot_be_found_or_opened_is_said_with_the_mend) {
    EVP_PKEY *pair;
    assert_int_equal(sk_key_store_given_pair(store, URI("none"), &pair, reason), SK_NOT_FOUND);
    assert_non_null(strstr(reason, "'none'"));
    assert_int_equal(sk_key_store_given_pair(store, "pkcs11:token=other;object=x", &pair, reason),
                     SK_IO);
    assert_non_null(strstr(reason, "'other' is not there"));
    assert_int_equal(sk_key_store_given_pair(store, "pkcs11:token", &pair, reason), SK_MALFORMED);
    sk_key_store_close(store);
    open_store("/nowhere/module.so");
    assert_int_equal(sk_key_store_given_pair(store, URI("x"), &pair, reason), SK_INVALID);
    assert_non_null(strstr(reason, "/nowhere/module.so"));
    sk_key_store_close(store);
    open_store(NULL);
    assert_int_equal(sk_key_store_given_pair(store, URI("x"), &pair, reason), SK_INVALID);
    assert_non_null(strstr(reason, "pkcs11_lib_path"));
}

/* Tokens lock themselves after a few wrong ones. */
TEST(a_wrong_pin_is_said_and_not_tried_twice) {
    static const char uri[] = "pkcs11:token=t;object=rsa?pin-value=9999";
    EVP_PKEY *pair;
    import("-algorithm EC -pkeyopt ec_paramgen_curve:P-256", "rsa", "01");
    assert_int_equal(sk_key_store_given_pair(store, uri, &pair, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "refuses the PIN"));
    for (int i = 0; i < 20; i++)
        assert_int_equal(sk_key_store_given_pair(store, uri, &pair, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "has refused the PIN"));
    EVP_PKEY_free(given(URI("rsa")));
}

TEST(a_secret_is_a_file_with_its_bytes) {
    uint8_t digest[32];
    snprintf(path, sizeof path, "%s/secret", folder);
    sk_file_save(io, path, SK_SPAN("0123456789abcdef"), 0600);
    assert_int_equal(sk_key_store_given_hmac(store, path, SK_SPAN("x"), digest, reason), SK_OK);
    sk_file_save(io, path, SK_NONE, 0600);
    assert_int_equal(sk_key_store_given_hmac(store, path, SK_SPAN("x"), digest, reason),
                     SK_MALFORMED);
    assert_int_equal(sk_key_store_given_hmac(store, "/nowhere", SK_SPAN("x"), digest, reason),
                     SK_NOT_FOUND);
}
