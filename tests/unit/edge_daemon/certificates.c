#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include "edge/daemon/certificates.h"
#include "io/sim/sim.h"
#include "trust/x509.h"
#include "support/test.h"

static struct sk_sim *sim;
static struct sk_io *io;
static struct sk_key_store *keys;
static struct sk_certificates *certificates;
static struct sk_certificate issued;
static char reason[256];
static const int64_t DAY_US = 86400000000;
static const struct sk_certificates_options QUICK = {
    .device_id = "edge1",
    .own = {
        .folder = "/data/ca",
        .name = "edge-ca",
        .ca = true,
        .common_name = "aziot-edge CA edge1",
        .days = 90,
        .renewal = {.rotate_key = true, .threshold = {.percent = 80}, .retry = {.percent = 4}}}};

static enum sk_status open_certificates(struct sk_certificates_options options,
                                        struct sk_certificates **opened) {
    options.keys = options.own.store = keys;
    return sk_certificates_open(io, &options, opened, reason);
}

static int start(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    io = sk_sim_node(sim, "edge");
    struct sk_key_store_options options = {.folder = "/data/keys"};
    assert_int_equal(sk_key_store_open(io, &options, &keys, reason), SK_OK);
    return open_certificates(QUICK, &certificates);
}

static int end(void **state) {
    (void)state;
    sk_certificates_free(certificates);
    sk_key_store_close(keys);
    sk_sim_free(sim);
    return 0;
}

static struct sk_span bundle_of(struct sk_certificates *of) {
    struct sk_span pem;
    assert_int_equal(sk_certificates_trust_bundle(of, &pem, reason), SK_OK);
    return pem;
}

static X509 *parse(struct sk_span pem) {
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

/* Whether a TLS client that trusts `bundle` accepts the issued certificate now, for this host or
 * address. */
static bool accepted(struct sk_span bundle, const char *host, const char *address) {
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    BIO *bio = BIO_new_mem_buf(bundle.p, (int)bundle.n);
    for (X509 *anchor; (anchor = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL;
         X509_free(anchor))
        X509_STORE_add_cert(store, anchor);
    BIO_free(bio);
    X509 *leaf = parse(sk_buffer_span(&issued.certificate_pem));
    X509_STORE_CTX_init(context, store, leaf, NULL);
    X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(parameters, (time_t)(sk_io_wall(io) / 1000000));
    X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
    if (host) X509_VERIFY_PARAM_set1_host(parameters, host, 0);
    if (address) X509_VERIFY_PARAM_set1_ip_asc(parameters, address);
    bool fine = X509_verify_cert(context) == 1;
    X509_free(leaf);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return fine;
}

static enum sk_status issue(const char *name) {
    sk_certificate_free(&issued);
    return sk_certificates_issue_server(certificates, sk_span_z(name), SK_SPAN("$edgeHub"), &issued,
                                        reason);
}

AROUND(start, end);

TEST(a_client_with_the_trust_bundle_accepts_the_server_by_its_names) {
    assert_int_equal(issue("gateway.local"), SK_OK);
    struct sk_span bundle = bundle_of(certificates);
    assert_true(accepted(bundle, "gateway.local", NULL));
    assert_true(accepted(bundle, "edgehub", NULL)); /* other modules say edgeHub */
    assert_false(accepted(bundle, "elsewhere", NULL));
    assert_int_equal(issue("127.0.0.3"), SK_OK);
    bundle = bundle_of(certificates);
    assert_true(accepted(bundle, NULL, "127.0.0.3"));
    assert_int_equal(issued.expires_us / 1000000, (sk_io_wall(io) + 30 * DAY_US) / 1000000);
    BIO *bio = BIO_new_mem_buf(issued.key_pem.p, (int)issued.key_pem.n);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    X509 *leaf = parse(sk_buffer_span(&issued.certificate_pem));
    assert_int_equal(X509_check_private_key(leaf, key), 1);
    /* PKCS#8. */
    assert_ptr_equal(strstr(issued.key_pem.p, "-----BEGIN PRIVATE KEY-----"), issued.key_pem.p);
    X509_free(leaf);
    EVP_PKEY_free(key);
    BIO_free(bio);
    sk_certificate_free(&issued);
}

TEST(the_ca_stays_the_same_over_a_restart) {
    char before[4096];
    snprintf(before, sizeof before, "%.*s", SK_ARG(bundle_of(certificates)));
    sk_certificates_free(certificates);
    assert_int_equal(open_certificates(QUICK, &certificates), SK_OK);
    assert_true(sk_span_is(bundle_of(certificates), before));
}

TEST(at_80_percent_of_its_life_the_ca_is_renewed_and_the_old_one_still_trusted) {
    assert_int_equal(issue("gw"), SK_OK);
    char old_bundle[4096];
    struct sk_span bundle = bundle_of(certificates);
    size_t old_size = bundle.n;
    memcpy(old_bundle, bundle.p, old_size);
    sk_sim_clock_jump(io, 70 * DAY_US);
    assert_int_equal(issue("gw"), SK_OK);
    assert_int_equal(bundle_of(certificates).n, old_size);         /* not yet */
    assert_true(issued.expires_us < sk_io_wall(io) + 21 * DAY_US); /* never outlives its CA */
    sk_sim_clock_jump(io, 3 * DAY_US);
    assert_int_equal(issue("gw"), SK_OK);
    bundle = bundle_of(certificates);
    assert_true(accepted(bundle, "gw", NULL));
    assert_false(accepted(sk_span(old_bundle, old_size), "gw", NULL));
    assert_non_null(memmem(bundle.p, bundle.n, old_bundle, old_size));
    assert_int_equal(issued.expires_us / 1000000, (sk_io_wall(io) + 30 * DAY_US) / 1000000);
    sk_certificates_free(certificates);
    assert_int_equal(open_certificates(QUICK, &certificates), SK_OK);
    bundle = bundle_of(certificates);
    assert_non_null(memmem(bundle.p, bundle.n, old_bundle, old_size));
    sk_certificate_free(&issued);
}

/* Leaf devices hold the CA's file, and nobody gives them another because a clock was wrong. */
TEST(a_clock_that_is_wrong_by_ten_years_and_right_again_leaves_leaf_devices_their_trust) {
    enum { TEN_YEARS = 3652 };
    static const int ways[] = {-TEN_YEARS, TEN_YEARS};
    char given[4096];
    for (int i = 0; i < 4; i++) { /* the last two with a restart under the wrong clock */
        int64_t way = ways[i % 2] * DAY_US;
        struct sk_span bundle = bundle_of(certificates);
        size_t n = bundle.n < sizeof given ? bundle.n : 0;
        memcpy(given, bundle.p, n);
        sk_sim_clock_jump(io, way);
        assert_int_equal(issue("gw"), SK_OK);
        if (i > 1) sk_certificates_free(certificates);
        if (i > 1) assert_int_equal(open_certificates(QUICK, &certificates), SK_OK);
        assert_int_equal(issue("gw"), SK_OK);
        sk_sim_clock_jump(io, -way);
        assert_int_equal(issue("gw"), SK_OK);
        if (!accepted(sk_span(given, n), "gw", NULL)) fail_msg("way %d", i);
    }
    sk_certificate_free(&issued);
}

TEST(a_ca_that_a_clock_in_the_future_has_made_is_good_when_the_clock_is_right) {
    sk_certificates_free(certificates);
    sk_file_remove(io, "/data/ca/edge-ca.pem");
    sk_sim_clock_jump(io, 3652 * DAY_US);
    assert_int_equal(open_certificates(QUICK, &certificates), SK_OK);
    char given[4096];
    snprintf(given, sizeof given, "%.*s", SK_ARG(bundle_of(certificates)));
    sk_sim_clock_jump(io, -3652 * DAY_US);
    assert_int_equal(issue("gw"), SK_OK);
    assert_true(accepted(sk_span_z(given), "gw", NULL));
    sk_certificate_free(&issued);
}

TEST(a_ca_that_has_lost_its_key_is_followed_by_another_and_still_trusted) {
    char before[4096];
    for (int i = 0; i < 2; i++) { /* and the next one's bundle is read back */
        struct sk_span bundle = bundle_of(certificates);
        size_t n = bundle.n;
        memcpy(before, bundle.p, n);
        sk_certificates_free(certificates);
        if (i == 0) sk_file_remove(io, "/data/keys/edge-ca.key");
        assert_int_equal(open_certificates(QUICK, &certificates), SK_OK);
        bundle = bundle_of(certificates);
        assert_non_null(memmem(bundle.p, bundle.n, before, n));
        assert_int_equal(issue("gw"), SK_OK);
        assert_true(accepted(bundle_of(certificates), "gw", NULL));
    }
    sk_certificate_free(&issued);
}

TEST(a_given_ca_and_trust_file_are_used) {
    /* The quick-start CA's files serve as the given ones. */
    struct sk_certificates_options given = {.device_id = "e",
                                            .certificate_file = "/data/ca/edge-ca.pem",
                                            .key_file = "/data/keys/edge-ca.key",
                                            .trust_file = "/t.pem"};
    struct sk_certificates *other;
    assert_int_equal(open_certificates(given, &other), SK_NOT_FOUND);
    assert_non_null(strstr(reason, "/t.pem"));
    assert_int_equal(sk_file_save(io, "/t.pem", SK_SPAN("-- mine --"), 0644), SK_OK);
    assert_int_equal(open_certificates(given, &other), SK_OK);
    struct sk_span bundle = bundle_of(other);
    assert_true(sk_span_starts(bundle, SK_SPAN("-----BEGIN CERTIFICATE")) &&
                sk_span_ends(bundle, SK_SPAN("-- mine --")));
    sk_certificates_free(other);
}

TEST(a_given_ca_that_is_none_is_refused) {
    struct sk_certificates *other;
    assert_int_equal(issue("gw"), SK_OK);
    assert_int_equal(sk_file_save(io, "/leaf.pem", sk_buffer_span(&issued.certificate_pem), 0644),
                     SK_OK);
    assert_int_equal(sk_file_save(io, "/leaf.key", sk_buffer_span(&issued.key_pem), 0600), SK_OK);
    assert_int_equal(sk_file_save(io, "/text", SK_SPAN("hello"), 0600), SK_OK);
    struct sk_certificates_options leaf = {
        .device_id = "e", .certificate_file = "/leaf.pem", .key_file = "/leaf.key"};
    struct sk_certificates_options foreign = {
        .device_id = "e", .certificate_file = "/data/ca/edge-ca.pem", .key_file = "/leaf.key"};
    struct sk_certificates_options text = {
        .device_id = "e", .certificate_file = "/text", .key_file = "/text"};
    assert_int_equal(open_certificates(leaf, &other), SK_INVALID);
    assert_non_null(strstr(reason, "not a CA certificate"));
    assert_int_equal(open_certificates(foreign, &other), SK_INVALID);
    assert_non_null(strstr(reason, "do not belong together"));
    assert_int_equal(open_certificates(text, &other), SK_INVALID);
    sk_certificate_free(&issued);
}

TEST(names_that_would_change_the_certificate_are_refused) {
    static const char *const bad[] = {"", "a,DNS:evil", "a b", "a\nb", "a;b", "ü"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(issue(bad[i]), SK_INVALID);
    char longest[255];
    memset(longest, 'a', sizeof longest);
    longest[253] = 0;
    assert_int_equal(issue(longest), SK_OK);
    longest[253] = 'a', longest[254] = 0;
    assert_int_equal(issue(longest), SK_INVALID);
    sk_certificate_free(&issued);
}

TEST(an_identity_certificate_is_for_clients_and_names_its_module) {
    assert_int_equal(sk_certificates_issue_identity(certificates, SK_SPAN("hub.example"),
                                                    SK_SPAN("m"), &issued, reason),
                     SK_OK);
    assert_false(accepted(bundle_of(certificates), NULL, NULL)); /* not a server's */
    X509 *leaf = parse(sk_buffer_span(&issued.certificate_pem));
    GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    const ASN1_STRING *text = sk_GENERAL_NAME_value(names, 0)->d.dNSName;
    assert_true(sk_span_is(sk_span(ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)),
                           "URI: azureiot://hub.example/devices/edge1/modules/m"));
    char common_name[64];
    X509_NAME_get_text_by_NID(X509_get_subject_name(leaf), NID_commonName, common_name,
                              sizeof common_name);
    assert_string_equal(common_name, "edge1/m");
    GENERAL_NAMES_free(names);
    X509_free(leaf);
    sk_certificate_free(&issued);
}

/* A CA as a person brings it; its key with or without a passphrase. */
static void bring_ca(int64_t ends_s, bool encrypted) {
    struct sk_buffer ca = {0}, key = {0};
    struct sk_x509_request request = {.use = SK_X509_CA,
                                      .common_name = SK_SPAN("Factory"),
                                      .not_before_s = sk_io_wall(io) / 1000000 - 86400 * 60,
                                      .not_after_s = ends_s};
    assert_int_equal(sk_x509_make(&request, &ca, &key), SK_OK);
    if (encrypted) {
        BIO *in = BIO_new_mem_buf(key.p, (int)key.n), *out = BIO_new(BIO_s_mem());
        EVP_PKEY *pair = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
        char *text;
        assert_int_equal(
            PEM_write_bio_PKCS8PrivateKey(out, pair, EVP_aes_128_cbc(), "secret", 6, NULL, NULL),
            1);
        key.n = 0;
        long n = BIO_get_mem_data(out, &text);
        sk_buffer_append(&key, sk_span(text, (size_t)n));
        EVP_PKEY_free(pair);
        BIO_free(in);
        BIO_free(out);
    }
    sk_folder_make(io, "/given", 0700);
    assert_int_equal(sk_file_save(io, "/given/ca.pem", sk_buffer_span(&ca), 0644), SK_OK);
    assert_int_equal(sk_file_save(io, "/given/ca.key", sk_buffer_span(&key), 0600), SK_OK);
    sk_buffer_free(&ca);
    sk_buffer_free(&key);
}

static const struct sk_certificates_options GIVEN = {
    .device_id = "edge1", .certificate_file = "/given/ca.pem", .key_file = "/given/ca.key"};

TEST(an_encrypted_key_is_refused_by_its_name_and_nobody_is_asked) {
    struct sk_certificates *other;
    bring_ca(sk_io_wall(io) / 1000000 + 86400, true);
    assert_int_equal(open_certificates(GIVEN, &other), SK_INVALID);
    assert_non_null(strstr(reason, "[edge_ca] pk"));
    assert_non_null(strstr(reason, "encrypted"));
    assert_non_null(strstr(reason, "openssl pkey"));
}

TEST(a_ca_that_has_expired_is_said_in_the_log) {
    struct sk_certificates *other;
    int ends[2], kept = dup(2);
    char log[600];
    bring_ca(sk_io_wall(io) / 1000000 - 1, false);
    assert_int_equal(pipe(ends), 0);
    fflush(stderr);
    dup2(ends[1], 2);
    enum sk_status status = open_certificates(GIVEN, &other);
    fflush(stderr);
    dup2(kept, 2);
    close(kept);
    close(ends[1]);
    assert_int_equal(status, SK_OK);
    ssize_t n = read(ends[0], log, sizeof log - 1);
    close(ends[0]);
    assert_true(n > 0);
    log[n] = 0;
    assert_non_null(strstr(log, "[edge_ca] cert"));
    assert_non_null(strstr(log, "has expired"));
    assert_true(sk_certificates_ca_ends_s(other) < sk_io_wall(io) / 1000000);
    sk_certificates_free(other);
}
