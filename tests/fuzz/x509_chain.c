/* Certificates that a stranger sends: no bytes do harm, and none that are changed lead to our CA.
 * Input: DER certificates, each behind two bytes of its length; the first is the leaf. */
#include <stdlib.h>

#include "trust/x509.h"
#include "trust/x509_chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

enum { NOW_S = 1767225600 };

/* A CA of this run, whose key nobody has: no input can lead to it. */
static struct sk_x509_anchors *our_ca(void) {
    static struct sk_x509_anchors *anchors;
    if (anchors) return anchors;
    struct sk_buffer certificate = {0}, key = {0};
    struct sk_x509_request request = {.use = SK_X509_CA,
                                      .common_name = SK_SPAN("root"),
                                      .path_length = -1,
                                      .not_before_s = NOW_S - 86400,
                                      .not_after_s = NOW_S + 86400};
    CHECK(sk_x509_make(&request, &certificate, &key) == SK_OK);
    anchors = sk_x509_anchors_new();
    CHECK(sk_x509_anchors_add(anchors, sk_buffer_span(&certificate)) == 1);
    sk_buffer_free(&certificate);
    sk_buffer_free(&key);
    return anchors;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span rest = sk_span(data, size), chain[SK_X509_SENT_MAX];
    size_t count = 0;
    char reason[128];
    while (rest.n > 2 && count < SK_X509_SENT_MAX) {
        size_t n = (size_t)(unsigned char)rest.p[0] << 8 | (unsigned char)rest.p[1];
        chain[count++] = sk_span_first(sk_span_skip(rest, 2), n);
        rest = sk_span_skip(rest, 2 + n);
    }
    struct sk_x509_leaf leaf;
    if (count && sk_x509_read(chain[0], &leaf) == SK_OK) {
        CHECK(strlen(leaf.sha1) == 40 && strlen(leaf.sha256) == 64);
        CHECK(strlen(leaf.common_name) < sizeof leaf.common_name);
    }
    CHECK(sk_x509_verify(our_ca(), chain, count, NOW_S, NULL, reason) != SK_OK);
    CHECK(strlen(reason) < sizeof reason);
    /* As PEM, too: what people give to us. */
    struct sk_buffer pem = {0};
    sk_x509_first(sk_span(data, size), &pem);
    sk_x509_der(sk_span(data, size), &pem);
    sk_buffer_free(&pem);
    return 0;
}
