/* Client certificates: what is read of a leaf, and which chains are taken. */
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "support/raw_tls.h"
#include "support/test.h"
#include "trust/x509.h"
#include "trust/x509_chain.h"

#define NOW INT64_C(1767225600) /* 2026-01-01 */
#define DAY INT64_C(86400)
#define LEVELS 12

/* A root, intermediates below it, and a leaf at the end. */
struct family {
    struct sk_buffer pem[LEVELS], key[LEVELS], der[LEVELS];
    size_t count;
};

static void add(struct family *f, const char *name, enum sk_x509_use use, int64_t from,
                int64_t to) {
    size_t i = f->count++;
    struct sk_x509_request request = {.use = use,
                                      .common_name = sk_span_z(name),
                                      .path_length = -1,
                                      .not_before_s = from,
                                      .not_after_s = to};
    if (i) {
        request.issuer_certificate_pem = sk_buffer_span(&f->pem[i - 1]);
        request.issuer_key_pem = sk_buffer_span(&f->key[i - 1]);
    }
    assert_int_equal(sk_x509_make(&request, &f->pem[i], &f->key[i]), SK_OK);
    assert_int_equal(sk_x509_der(sk_buffer_span(&f->pem[i]), &f->der[i]), SK_OK);
}

static void add_ca(struct family *f, const char *name) {
    add(f, name, SK_X509_CA, NOW - 100 * DAY, NOW + 1000 * DAY);
}

static void add_leaf(struct family *f) {
    add(f, "d1", SK_X509_CLIENT, NOW - DAY, NOW + DAY);
}

static void family_free(struct family *f) {
    for (size_t i = 0; i < f->count; i++) {
        sk_buffer_free(&f->pem[i]);
        sk_buffer_free(&f->key[i]);
        sk_buffer_free(&f->der[i]);
    }
}

/* Verifies the last one; the client sends it and those above it down to (without) `anchor`. */
static enum sk_status verify(struct family *f, size_t anchor, int64_t now, char reason[128]) {
    struct sk_span chain[LEVELS];
    size_t count = 0;
    struct sk_x509_anchors *anchors = sk_x509_anchors_new();
    assert_int_equal(sk_x509_anchors_add(anchors, sk_buffer_span(&f->pem[anchor])), 1);
    for (size_t i = f->count; i-- > anchor + 1;) chain[count++] = sk_buffer_span(&f->der[i]);
    enum sk_status status = sk_x509_verify(anchors, chain, count, now, NULL, reason);
    sk_x509_anchors_free(anchors);
    return status;
}

TEST(a_leaf_says_its_name_thumbprints_and_times) {
    struct family f = {0};
    struct sk_x509_leaf leaf;
    add(&f, "device/module", SK_X509_CLIENT, NOW, NOW + 1);
    assert_int_equal(sk_x509_read(sk_buffer_span(&f.der[0]), &leaf), SK_OK);
    assert_string_equal(leaf.common_name, "device/module");
    assert_int_equal(strlen(leaf.sha1), 40);
    assert_int_equal(strlen(leaf.sha256), 64);
    assert_int_equal(leaf.not_before_s, NOW);
    assert_int_equal(leaf.not_after_s, NOW + 1);
    family_free(&f);
}

TEST(bytes_that_are_no_certificate_are_malformed) {
    struct family f = {0};
    struct sk_x509_leaf leaf;
    add_leaf(&f);
    struct sk_span der = sk_buffer_span(&f.der[0]);
    for (size_t n = 0; n < der.n; n++)
        assert_int_equal(sk_x509_read(sk_span_first(der, n), &leaf), SK_MALFORMED);
    sk_buffer_byte(&f.der[0], 0);
    assert_int_equal(sk_x509_read(sk_buffer_span(&f.der[0]), &leaf), SK_MALFORMED);
    assert_int_equal(sk_x509_read(SK_SPAN("-----BEGIN CERTIFICATE-----"), &leaf), SK_MALFORMED);
    family_free(&f);
}

TEST(a_leaf_of_a_registered_ca_is_taken_and_of_another_is_not) {
    struct family f = {0}, other = {0};
    char reason[128];
    add_ca(&f, "root");
    add_ca(&other, "root"); /* the same name, another key */
    add_leaf(&f);
    assert_int_equal(verify(&f, 0, NOW, reason), SK_OK);
    struct sk_x509_anchors *anchors = sk_x509_anchors_new();
    struct sk_span chain = sk_buffer_span(&f.der[1]);
    assert_int_equal(sk_x509_verify(anchors, &chain, 1, NOW, NULL, reason), SK_UNAUTHORIZED);
    sk_x509_anchors_add(anchors, sk_buffer_span(&other.pem[0]));
    assert_int_equal(sk_x509_verify(anchors, &chain, 1, NOW, NULL, reason), SK_UNAUTHORIZED);
    /* The root that the client itself sends is not trusted for that. */
    struct sk_span with_root[] = {chain, sk_buffer_span(&f.der[0])};
    assert_int_equal(sk_x509_verify(anchors, with_root, 2, NOW, NULL, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "registered and verified"));
    sk_x509_anchors_free(anchors);
    family_free(&f);
    family_free(&other);
}

TEST(an_intermediate_may_be_the_registered_one) {
    struct family f = {0};
    char reason[128];
    add_ca(&f, "root");
    add_ca(&f, "middle");
    add_leaf(&f);
    assert_int_equal(verify(&f, 1, NOW, reason), SK_OK);
    assert_int_equal(verify(&f, 0, NOW, reason), SK_OK);
    family_free(&f);
}

TEST(three_intermediates_are_taken_and_four_or_ten_are_not) {
    struct family f = {0};
    char reason[128];
    for (int i = 0; i < 11; i++) add_ca(&f, (const char[]){'c', (char)('a' + i), 0});
    add_leaf(&f);
    assert_int_equal(verify(&f, 10 - SK_X509_DEPTH_MAX, NOW, reason), SK_OK);
    assert_int_equal(verify(&f, 10 - SK_X509_DEPTH_MAX - 1, NOW, reason), SK_UNAUTHORIZED);
    assert_int_equal(verify(&f, 0, NOW, reason), SK_UNAUTHORIZED);
    family_free(&f);
}

TEST(times_of_all_certificates_count) {
    struct family f = {0}, late = {0};
    char reason[128];
    add_ca(&f, "root");
    add_leaf(&f);
    assert_int_equal(verify(&f, 0, NOW + DAY - 1, reason), SK_OK);
    assert_int_equal(verify(&f, 0, NOW + DAY + 1, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "has expired"));
    assert_int_equal(verify(&f, 0, NOW - DAY - 1, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "not valid yet"));
    add_ca(&late, "root");
    add(&late, "middle", SK_X509_CA, NOW + DAY, NOW + 9 * DAY); /* its issuer is not there yet */
    add(&late, "d1", SK_X509_CLIENT, NOW - DAY, NOW + DAY);
    assert_int_equal(verify(&late, 0, NOW, reason), SK_UNAUTHORIZED);
    family_free(&f);
    family_free(&late);
}

TEST(a_server_certificate_and_an_issuer_that_is_no_ca_are_refused) {
    struct family server = {0}, forged = {0};
    char reason[128];
    add_ca(&server, "root");
    add(&server, "d1", SK_X509_SERVER, NOW - DAY, NOW + DAY);
    assert_int_equal(verify(&server, 0, NOW, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "purpose"));
    add_ca(&forged, "root");
    add(&forged, "d0", SK_X509_CLIENT, NOW - DAY, NOW + DAY);
    add_leaf(&forged); /* signed by a device */
    assert_int_equal(verify(&forged, 0, NOW, reason), SK_UNAUTHORIZED);
    family_free(&server);
    family_free(&forged);
}

/* An RSA key of which nobody knows the factors. */
static EVP_PKEY *rsa_key(int bits, int exponent_bits) {
    BIGNUM *n = BN_new(), *e = BN_new();
    BN_rand(n, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    BN_rand(e, exponent_bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n);
    OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e);
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    EVP_PKEY *key = NULL;
    EVP_PKEY_fromdata_init(context);
    assert_int_equal(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    BN_free(n);
    BN_free(e);
    return key;
}

static bool is_cheap(EVP_PKEY *key) {
    bool cheap = sk_x509_key_is_cheap(key);
    EVP_PKEY_free(key);
    return cheap;
}

TEST(keys_that_are_dear_to_verify_with_are_not_taken) {
    assert_true(is_cheap(rsa_key(2048, 17)));
    assert_true(is_cheap(rsa_key(4096, 32)));
    assert_false(is_cheap(rsa_key(4097, 17)));
    assert_false(is_cheap(rsa_key(4096, 33)));
    assert_true(is_cheap(EVP_EC_gen("P-256")));
    assert_true(is_cheap(EVP_EC_gen("P-384")));
    assert_true(is_cheap(EVP_EC_gen("P-521")));
    assert_false(is_cheap(EVP_EC_gen("B-571")));
    assert_false(is_cheap(EVP_EC_gen("secp256k1")));
    assert_true(is_cheap(EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")));
    assert_false(is_cheap(EVP_PKEY_Q_keygen(NULL, NULL, "ED448")));
    assert_false(is_cheap(NULL));
}

TEST(a_chain_that_is_dear_to_verify_is_refused_before) {
    struct family f = {0};
    char reason[128];
    add_ca(&f, "root");
    add_leaf(&f);
    struct sk_x509_anchors *anchors = sk_x509_anchors_new();
    sk_x509_anchors_add(anchors, sk_buffer_span(&f.pem[0]));
    EVP_PKEY *key = raw_tls_key("B-571");
    X509 *dear = raw_tls_certificate("dear", key, "dear", key);
    unsigned char *der = NULL;
    int size = i2d_X509(dear, &der);
    struct sk_span leaf = sk_buffer_span(&f.der[1]), root = sk_buffer_span(&f.der[0]);
    const struct sk_span chain[] = {leaf, root, root, root, root},
                         with_dear[] = {leaf, sk_span(der, (size_t)size)};
    assert_int_equal(sk_x509_verify(anchors, chain, SK_X509_SENT_MAX, NOW, NULL, reason), SK_OK);
    assert_int_equal(sk_x509_verify(anchors, chain, SK_X509_SENT_MAX + 1, NOW, NULL, reason),
                     SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "more than 4 certificates"));
    /* Nothing but the leaf is needed, and still: what is sent is looked at first. */
    assert_int_equal(sk_x509_verify(anchors, with_dear, 2, NOW, NULL, reason), SK_UNAUTHORIZED);
    assert_non_null(strstr(reason, "RSA of at most 4096 bits"));
    OPENSSL_free(der);
    X509_free(dear);
    EVP_PKEY_free(key);
    sk_x509_anchors_free(anchors);
    family_free(&f);
}
