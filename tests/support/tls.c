#include "support/tls.h"

struct sk_tls *load_tls(struct sk_io *io, const char *file) {
    struct sk_buffer pem = {0};
    struct sk_tls *tls = NULL;
    char reason[256] = "cannot be read";
    if (sk_file_load(io, file, &pem) ||
        sk_tls_new(io, &(struct sk_tls_options){.trust_pem = sk_buffer_span(&pem)}, &tls, reason)) {
        fprintf(stderr, "%s: %s\n", file, reason);
        exit(2);
    }
    sk_buffer_free(&pem);
    return tls;
}
