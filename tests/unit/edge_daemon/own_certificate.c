/* Certificates that the edge gets by itself, in the simulated world: an EST server that is as good
 * or as bad as a story wants it. */
#include <stdio.h>

#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#include "edge/daemon/est.h"
#include "edge/daemon/own_certificate.h"
#include "io/sim/sim.h"
#include "net/http_server.h"
#include "trust/x509_enroll.h"
#include "support/test.h"

static const int64_t DAY_US = 86400000000;
static struct sk_sim *sim;
static struct sk_io *edge_io, *server_io;
static struct sk_key_store *keys;
static struct sk_own_certificate *own;
static unsigned changes;
static char reason[256];

/* ---- the server ---- */

enum manner {
    GOOD,
    REFUSES,
    DECIDES_LATER,
    FAILS,
    SAYS_NOTHING,
    SAYS_GARBAGE,
    CUTS_THE_BAG,
    EMPTIES_THE_BAG,
    FILLS_THE_BAG,
    GIVES_ANOTHER_KEYS,
    GIVES_AN_ENDED_ONE,
    GIVES_ONE_FOR_LATER,
    GIVES_NO_CA,
    GIVES_A_PAGE,
    MANNERS
};

static struct {
    enum manner manner;
    unsigned enrolled, enrolled_again, asked;
    int64_t days;
    struct sk_buffer ca_pem, ca_key;
    struct sk_tls *tls;
    struct sk_http_listener *listener;
    struct sk_http_service service;
    struct sk_buffer last_key; /* the public one of the last request */
    char authorization[64];
    bool had_certificate;
} server;

static X509 *first(struct sk_span pem) {
    BIO *bio = BIO_new_mem_buf(pem.p, (int)pem.n);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

/* `count` times the certificates, as a bag in base64 with line breaks. */
static void answer_bag(struct sk_http_exchange *exchange, const struct sk_span *pems, size_t n,
                       unsigned count) {
    PKCS7 *bag = PKCS7_new();
    struct sk_buffer text = {0}, lines = {0};
    unsigned char *der = NULL;
    PKCS7_set_type(bag, NID_pkcs7_signed);
    PKCS7_content_new(bag, NID_pkcs7_data);
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < n; k++) {
            X509 *certificate = first(pems[k]);
            PKCS7_add_certificate(bag, certificate);
            X509_free(certificate);
        }
    int size = i2d_PKCS7(bag, &der);
    if (server.manner == CUTS_THE_BAG) size -= 20;
    sk_base64_encode(&text, sk_span(der, (size_t)size));
    for (size_t i = 0; i < text.n; i += 64) {
        sk_buffer_append(&lines, sk_span_first(sk_span_skip(sk_buffer_span(&text), i), 64));
        sk_buffer_text(&lines, "\r\n");
    }
    sk_http_respond(exchange, 200, SK_SPAN("Content-Type: application/pkcs7-mime\r\n"),
                    sk_buffer_span(&lines));
    sk_buffer_free(&text);
    sk_buffer_free(&lines);
    OPENSSL_free(der);
    PKCS7_free(bag);
}

/* Signs what is asked for, as the story wants it. */
static void enroll(struct sk_http_exchange *exchange) {
    struct sk_buffer der = {0}, pem = {0};
    unsigned char *public = NULL;
    assert_int_equal(sk_base64_decode(&der, sk_buffer_span(&exchange->request->body)), SK_OK);
    const unsigned char *at = (const unsigned char *)der.p;
    X509_REQ *request = d2i_X509_REQ(NULL, &at, (long)der.n);
    EVP_PKEY *asked = X509_REQ_get_pubkey(request), *other = EVP_EC_gen("P-256");
    assert_int_equal(X509_REQ_verify(request, asked), 1);
    int n = i2d_PUBKEY(asked, &public);
    server.last_key.n = 0;
    sk_buffer_append(&server.last_key, sk_span(public, (size_t)n));
    int64_t now = sk_io_wall(server_io) / 1000000;
    bool ended = server.manner == GIVES_AN_ENDED_ONE;
    int64_t begins = server.manner == GIVES_ONE_FOR_LATER ? now + 86400 : now - 86400;
    struct sk_x509_request certificate = {
        .use = server.manner == GIVES_NO_CA ? SK_X509_CLIENT : SK_X509_CA,
        .common_name = SK_SPAN("edge CA"),
        .path_length = 0,
        .not_before_s = begins,
        .not_after_s = ended ? now - 60 : now + server.days * 86400,
        .issuer_certificate_pem = sk_buffer_span(&server.ca_pem),
        .issuer_key_pem = sk_buffer_span(&server.ca_key),
        .key = server.manner == GIVES_ANOTHER_KEYS ? other : asked,
    };
    assert_int_equal(sk_x509_make(&certificate, &pem, NULL), SK_OK);
    const struct sk_span pems[] = {sk_buffer_span(&server.ca_pem), sk_buffer_span(&pem)};
    answer_bag(exchange, pems, 2, server.manner == FILLS_THE_BAG ? 6 : 1);
    OPENSSL_free(public);
    sk_buffer_free(&der);
    sk_buffer_free(&pem);
    X509_REQ_free(request);
    EVP_PKEY_free(asked);
    EVP_PKEY_free(other);
}

static void answer_badly(struct sk_http_exchange *exchange) {
    static char page[300 * 1024];
    if (server.manner == REFUSES)
        sk_http_respond(exchange, 401, SK_NONE, SK_SPAN("who are you"));
    else if (server.manner == DECIDES_LATER)
        sk_http_respond(exchange, 202, SK_SPAN("Retry-After: 5\r\n"), SK_NONE);
    else if (server.manner == FAILS)
        sk_http_respond(exchange, 500, SK_NONE, SK_SPAN("\x1b[2J out of luck"));
    else if (server.manner == SAYS_NOTHING)
        sk_http_respond(exchange, 200, SK_NONE, SK_NONE);
    else if (server.manner == SAYS_GARBAGE)
        sk_http_respond(exchange, 200, SK_NONE, SK_SPAN("MIIB!!!\n"));
    else if (server.manner == EMPTIES_THE_BAG)
        answer_bag(exchange, NULL, 0, 0);
    else
        sk_http_respond(exchange, 200, SK_NONE, sk_span(page, sizeof page));
}

static void serve(void *arg, struct sk_http_exchange *exchange) {
    (void)arg;
    struct sk_span path = exchange->request->path;
    const struct sk_span anchors[] = {sk_buffer_span(&server.ca_pem)};
    server.asked++;
    snprintf(server.authorization, sizeof server.authorization, "%.*s",
             SK_ARG(sk_http_header(exchange->request, "Authorization")));
    server.had_certificate = sk_stream_peer_certificate(exchange->stream, 0).n > 0;
    bool again = sk_span_is(path, "/.well-known/est/simplereenroll");
    bool badly = server.manner == REFUSES || server.manner == DECIDES_LATER ||
                 server.manner == FAILS || server.manner == SAYS_NOTHING ||
                 server.manner == SAYS_GARBAGE || server.manner == EMPTIES_THE_BAG ||
                 server.manner == GIVES_A_PAGE;
    if (sk_span_is(path, "/.well-known/est/cacerts")) {
        answer_bag(exchange, anchors, 1, 1);
        return;
    }
    assert_true(again || sk_span_is(path, "/.well-known/est/simpleenroll"));
    assert_true(
        sk_span_is(sk_http_header(exchange->request, "Content-Type"), "application/pkcs10"));
    if (again)
        server.enrolled_again++;
    else
        server.enrolled++;
    if (badly)
        answer_badly(exchange);
    else
        enroll(exchange);
}

static void listen_est(void) {
    struct sk_x509_request ca = {.use = SK_X509_CA,
                                 .common_name = SK_SPAN("EST root"),
                                 .path_length = -1,
                                 .not_after_s = INT64_C(4000000000)};
    assert_int_equal(sk_x509_make(&ca, &server.ca_pem, &server.ca_key), SK_OK);
    struct sk_tls_options options = {.certificate_pem = sk_buffer_span(&server.ca_pem),
                                     .key_pem = sk_buffer_span(&server.ca_key),
                                     .server = true};
    assert_int_equal(sk_tls_new(server_io, &options, &server.tls, reason), SK_OK);
    server.service = (struct sk_http_service){.handler = serve, .body_max = 64 * 1024};
    struct sk_endpoint at = {.host = "est", .port = 443};
    assert_int_equal(
        sk_http_listen(server_io, &at, server.tls, &server.service, &server.listener, NULL), SK_OK);
}

/* ---- the edge ---- */

static void changed(void *arg) {
    (void)arg;
    changes++;
}

static struct sk_own_options options(void) {
    return (struct sk_own_options){
        .store = keys,
        .folder = "/data/certificates",
        .name = "edge-ca",
        .source = SK_OWN_EST,
        .ca = true,
        .common_name = "edge CA",
        .days = 90,
        .renewal = {.rotate_key = true, .threshold = {.percent = 80}, .retry = {.percent = 4}},
        .est = {.url = "https://est/.well-known/est", .username = "edge", .password = "secret"},
        .changed = changed,
    };
}

static void open_own(struct sk_own_options with) {
    if (sk_own_open(edge_io, &with, &own, reason)) fail_msg("%s", reason);
}

static void reopen(struct sk_own_options with) {
    sk_own_free(own);
    open_own(with);
}

static void run_for(int64_t us) {
    sk_sim_run(sim, (uint64_t)us * 1000);
}

static int start(void **state) {
    (void)state;
    sim = sk_sim_new(&(struct sk_sim_options){.seed = 1});
    edge_io = sk_sim_node(sim, "edge");
    server_io = sk_sim_node(sim, "est");
    struct sk_key_store_options store = {.folder = "/data/keys"};
    assert_int_equal(sk_key_store_open(edge_io, &store, &keys, reason), SK_OK);
    memset(&server, 0, sizeof server);
    server.days = 30;
    changes = 0;
    own = NULL;
    listen_est();
    return 0;
}

static int end(void **state) {
    (void)state;
    if (own) sk_own_free(own);
    sk_key_store_close(keys);
    sk_http_listener_close(server.listener);
    sk_tls_free(server.tls);
    sk_buffer_free(&server.ca_pem);
    sk_buffer_free(&server.ca_key);
    sk_buffer_free(&server.last_key);
    sk_sim_free(sim);
    return 0;
}

AROUND(start, end);

TEST(a_certificate_comes_from_the_server_and_stays_over_a_restart) {
    open_own(options());
    assert_int_equal(sk_own_pem(own).n, 0);
    assert_non_null(strstr(sk_own_problem(own), "not come yet"));
    run_for(DAY_US / 24);
    assert_int_equal(changes, 1);
    assert_string_equal(server.authorization, "Basic ZWRnZTpzZWNyZXQ=");
    assert_true(sk_x509_is_ca(sk_own_pem(own)));
    assert_true(sk_x509_is_pair(sk_own_pem(own), sk_own_key(own)));
    assert_true(sk_span_eq(sk_own_anchors(own), sk_buffer_span(&server.ca_pem)));
    unsigned asked = server.asked;
    reopen(options());
    run_for(DAY_US);
    assert_int_equal(server.asked, asked);
    assert_true(sk_x509_is_pair(sk_own_pem(own), sk_own_key(own)));
    assert_true(sk_own_anchors(own).n > 0);
}

static void keep(struct sk_span pem, struct sk_buffer *to) {
    to->n = 0;
    sk_buffer_append(to, pem);
}

TEST(after_four_fifths_of_its_life_it_is_renewed_and_the_one_before_kept) {
    struct sk_buffer before = {0}, key = {0};
    open_own(options());
    run_for(DAY_US);
    keep(sk_own_pem(own), &before);
    keep(sk_buffer_span(&server.last_key), &key);
    run_for(21 * DAY_US);
    assert_int_equal(server.enrolled_again, 0);
    run_for(4 * DAY_US);
    assert_int_equal(server.enrolled_again, 1);
    assert_int_equal(server.enrolled, 1);
    assert_int_equal(changes, 2);
    assert_true(sk_span_eq(sk_own_previous(own), sk_buffer_span(&before)));
    assert_false(sk_span_eq(sk_own_pem(own), sk_buffer_span(&before)));
    assert_false(sk_span_eq(sk_buffer_span(&server.last_key), sk_buffer_span(&key)));
    reopen(options());
    assert_true(sk_x509_is_pair(sk_own_pem(own), sk_own_key(own)));
    assert_true(sk_span_eq(sk_own_previous(own), sk_buffer_span(&before)));
    sk_buffer_free(&before);
    sk_buffer_free(&key);
}

TEST(the_key_stays_where_it_shall_not_rotate_and_a_threshold_may_be_a_time) {
    struct sk_own_options with = options();
    struct sk_buffer key = {0};
    with.renewal.rotate_key = false;
    with.renewal.threshold = (struct sk_renewal_point){.left_us = 10 * DAY_US};
    open_own(with);
    run_for(DAY_US);
    keep(sk_buffer_span(&server.last_key), &key);
    run_for(18 * DAY_US);
    assert_int_equal(server.enrolled_again, 0);
    run_for(2 * DAY_US);
    assert_int_equal(server.enrolled_again, 1);
    assert_true(sk_span_eq(sk_buffer_span(&server.last_key), sk_buffer_span(&key)));
    assert_true(sk_x509_is_pair(sk_own_pem(own), sk_own_key(own)));
    sk_buffer_free(&key);
}

TEST(what_a_bad_server_answers_is_said_and_a_good_one_is_waited_for) {
    static const struct {
        enum manner manner;
        const char *words;
    } cases[] = {
        {REFUSES, "refuses: HTTP 401, who are you"},
        {DECIDES_LATER, "decide later"},
        {FAILS, "refuses: HTTP 500."}, /* without its control characters */
        {SAYS_NOTHING, "holds no certificate"},
        {SAYS_GARBAGE, "holds no certificate"},
        {CUTS_THE_BAG, "holds no certificate"},
        {EMPTIES_THE_BAG, "holds no certificate"},
        {FILLS_THE_BAG, "too many certificates"},
        {GIVES_ANOTHER_KEYS, "another key"},
        {GIVES_AN_ENDED_ONE, "has ended already"},
        {GIVES_NO_CA, "is not a CA's"},
        {GIVES_A_PAGE, "too-large"},
    };
    open_own(options());
    struct sk_buffer key = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        server.manner = cases[i].manner;
        run_for(60 * INT64_C(1000000));
        assert_int_equal(sk_own_pem(own).n, 0);
        if (strstr(sk_own_problem(own), cases[i].words) == NULL)
            fail_msg("%s instead of %s", sk_own_problem(own), cases[i].words);
        /* A request that waits for a person's word is the same each time. */
        if (i == 0) keep(sk_buffer_span(&server.last_key), &key);
    }
    assert_true(server.asked > 2 * MANNERS && server.asked < 20 * MANNERS);
    server.manner = GOOD;
    run_for(60 * INT64_C(1000000));
    assert_true(sk_x509_is_pair(sk_own_pem(own), sk_own_key(own)));
    assert_string_equal(sk_own_problem(own), "");
    sk_buffer_free(&key);
}

TEST(a_certificate_serves_on_while_nobody_renews_it) {
    struct sk_buffer before = {0};
    open_own(options());
    run_for(DAY_US);
    keep(sk_own_pem(own), &before);
    server.manner = REFUSES;
    run_for(28 * DAY_US);
    /* After 24.8 days of 31, then each 1.24 days. */
    assert_in_range(server.enrolled_again, 3, 6);
    assert_true(sk_span_eq(sk_own_pem(own), sk_buffer_span(&before)));
    server.manner = GOOD;
    run_for(2 * DAY_US);
    assert_false(sk_span_eq(sk_own_pem(own), sk_buffer_span(&before)));
    sk_buffer_free(&before);
}

TEST(a_server_whose_certificates_are_due_when_they_come_is_not_asked_all_the_time) {
    struct sk_own_options with = options();
    with.renewal.threshold = (struct sk_renewal_point){.left_us = 60 * DAY_US};
    open_own(with);
    run_for(DAY_US);
    /* They live for 31 days, of which a retry waits for 1.24. */
    assert_int_equal(server.enrolled + server.enrolled_again, 1);
    assert_true(sk_own_pem(own).n > 0);
    run_for(10 * DAY_US);
    assert_in_range(server.enrolled_again, 6, 9);
}

TEST(one_that_begins_later_does_not_take_the_place_of_one_that_is_valid) {
    struct sk_buffer before = {0};
    server.manner = GIVES_ONE_FOR_LATER; /* its clock is ahead: better than none */
    open_own(options());
    run_for(DAY_US / 24);
    assert_true(sk_own_pem(own).n > 0);
    assert_int_equal(server.enrolled + server.enrolled_again, 1);
    server.manner = GOOD;
    run_for(2 * DAY_US);
    keep(sk_own_pem(own), &before);
    server.manner = GIVES_ONE_FOR_LATER;
    run_for(26 * DAY_US);
    assert_true(sk_span_eq(sk_own_pem(own), sk_buffer_span(&before)));
    assert_non_null(strstr(sk_own_problem(own), "not valid yet"));
    sk_buffer_free(&before);
}

TEST(a_clock_that_jumps_ten_years_and_back_costs_no_certificate) {
    static const int64_t YEARS = 3652;
    for (int way = -1; way <= 1; way += 2) {
        if (own) sk_own_free(own);
        own = NULL;
        sk_file_remove(edge_io, "/data/certificates/edge-ca.pem");
        server.manner = GOOD;
        open_own(options());
        run_for(DAY_US);
        assert_true(sk_own_pem(own).n > 0);
        struct sk_buffer before = {0};
        keep(sk_own_pem(own), &before);
        server.manner = REFUSES; /* as a server whose certificate such a clock does not believe */
        sk_sim_clock_jump(edge_io, way * YEARS * DAY_US);
        run_for(DAY_US / 4);
        sk_sim_clock_jump(edge_io, -way * YEARS * DAY_US);
        run_for(DAY_US / 4);
        assert_true(sk_span_eq(sk_own_pem(own), sk_buffer_span(&before)));
        server.manner = GOOD;
        run_for(28 * DAY_US); /* and it is renewed in time */
        assert_false(sk_span_eq(sk_own_pem(own), sk_buffer_span(&before)));
        sk_buffer_free(&before);
    }
}

TEST(a_ca_on_this_machine_issues_at_once_and_again) {
    struct sk_own_options with = options();
    with.source = SK_OWN_LOCAL_CA;
    with.days = 30;
    with.issuer_certificate = "/ca.pem";
    with.issuer_key = "/ca.key";
    assert_int_equal(sk_own_open(edge_io, &with, &own, reason), SK_NOT_FOUND);
    assert_non_null(strstr(reason, "/ca.pem"));
    own = NULL;
    sk_file_save(edge_io, "/ca.pem", sk_buffer_span(&server.ca_pem), 0644);
    sk_file_save(edge_io, "/ca.key", sk_buffer_span(&server.ca_key), 0600);
    open_own(with);
    assert_true(sk_span_ends(sk_own_pem(own), sk_buffer_span(&server.ca_pem)));
    X509 *leaf = first(sk_own_pem(own)), *root = first(sk_buffer_span(&server.ca_pem));
    assert_int_equal(X509_verify(leaf, X509_get0_pubkey(root)), 1);
    X509_free(leaf);
    X509_free(root);
    run_for(26 * DAY_US);
    assert_int_equal(changes, 1);
    assert_true(sk_own_ends_s(own) > sk_io_wall(edge_io) / 1000000 + 25 * 86400);
}

TEST(urls_are_https_with_a_host) {
    struct sk_est_url url;
    assert_int_equal(sk_est_url_parse(SK_SPAN("https://h:8443/.well-known/est/"), &url), SK_OK);
    assert_string_equal(url.host, "h");
    assert_string_equal(url.path, "/.well-known/est");
    assert_int_equal(url.port, 8443);
    assert_int_equal(sk_est_url_parse(SK_SPAN("HTTPS://[::1]"), &url), SK_OK);
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 443);
    static const char *const bad[] = {"",
                                      "h",
                                      "http://h/",
                                      "https://",
                                      "https:///p",
                                      "https://h:0",
                                      "https://h:65536",
                                      "https://h/a b",
                                      "https://h/\r\nX: y"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(sk_est_url_parse(sk_span_z(bad[i]), &url), SK_MALFORMED);
}
