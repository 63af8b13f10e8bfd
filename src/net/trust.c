#include "net/trust.h"

#include <stdio.h>

enum { TRUST_MAX = 1024 * 1024 };

enum sk_status sk_tls_trusting(struct sk_io *io, const char *file, const struct sk_tls_options *own,
                               struct sk_tls **tls, char reason[256]) {
    struct sk_buffer trust = {.limit = TRUST_MAX};
    enum sk_status status = file ? sk_file_load(io, file, &trust) : SK_OK;
    if (status) {
        snprintf(reason, 256, "%.180s cannot be read: %s", file, sk_status_text(status));
    } else {
        struct sk_tls_options options = own ? *own : (struct sk_tls_options){0};
        options.trust_pem = sk_buffer_span(&trust);
        status =
            *tls ? sk_tls_reload(*tls, &options, reason) : sk_tls_new(io, &options, tls, reason);
        if (status && file) {
            char why[256];
            snprintf(why, sizeof why, "%s", reason);
            snprintf(reason, 256, "%.120s: %.130s", file, why);
        }
    }
    sk_buffer_free(&trust);
    return status;
}
