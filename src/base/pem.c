#include "base/pem.h"

int sk_pem_no_passphrase(char *to, int size, int writes, void *arg) {
    (void)to, (void)size, (void)writes, (void)arg;
    return -1;
}

static bool holds(struct sk_span text, struct sk_span part) {
    for (size_t i = 0; i + part.n <= text.n; i++)
        if (memcmp(text.p + i, part.p, part.n) == 0) return true;
    return false;
}

bool sk_pem_is_encrypted(struct sk_span pem) {
    return holds(pem, SK_SPAN("-----BEGIN ENCRYPTED PRIVATE KEY-----")) ||
           holds(pem, SK_SPAN("Proc-Type: 4,ENCRYPTED"));
}
