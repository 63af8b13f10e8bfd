/* What an EST server may answer, and any URL of one: refused, or certificates in PEM form. */
#include <stdlib.h>

#include "edge/daemon/est.h"
#include "trust/x509_enroll.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_buffer pem = {0}, base64 = {0};
    struct sk_est_url url;
    int64_t begins_s, ends_s;
    /* As it stands, and as the bytes of a bag. */
    sk_base64_encode(&base64, sk_span(data, size));
    if (sk_x509_open_bag(sk_span(data, size), NULL, &pem) == SK_OK && pem.n == 0) abort();
    pem.n = 0;
    if (sk_x509_open_bag(sk_buffer_span(&base64), NULL, &pem) == SK_OK) {
        if (pem.n == 0) abort();
        sk_x509_life(sk_buffer_span(&pem), &begins_s, &ends_s);
        sk_x509_is_ca(sk_buffer_span(&pem));
    }
    if (sk_est_url_parse(sk_span(data, size), &url) == SK_OK && (!url.host[0] || !url.port))
        abort();
    sk_buffer_free(&pem);
    sk_buffer_free(&base64);
    return 0;
}
