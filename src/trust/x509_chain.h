/* X.509 certificates of clients: what a leaf says, and whether its chain leads to a CA that we
 * trust. OpenSSL underneath, DER in, no I/O. */
#ifndef SK_TRUST_X509_CHAIN_H
#define SK_TRUST_X509_CHAIN_H

#include "base/base.h"

enum {
    SK_X509_SENT_MAX = 4,  /* certificates that count of what a client sends, its own included */
    SK_X509_DEPTH_MAX = 3, /* intermediates between a client's certificate and the CA we know */
    SK_X509_DER_MAX = 16 * 1024,
};

/* Keys whose signatures are verified in less than a share of a turn
 * (docs/decisions/0011-budgets.md): a stranger may make us do so. RSA exponents have at most 32
 * bits. */
#define SK_X509_CHEAP_KEYS "RSA of at most 4096 bits, P-256, P-384, P-521 and Ed25519"
struct evp_pkey_st;
bool sk_x509_key_is_cheap(const struct evp_pkey_st *key);

/* What is read of one certificate. Zeroed is none. */
struct sk_x509_leaf {
    char common_name[256 + 1]; /* "deviceId/moduleId" at the longest; empty: none, or longer */
    char sha1[40 + 1], sha256[64 + 1]; /* thumbprints: upper-case hex of the DER's digests */
    bool ca;                           /* basic constraints say that it may sign others */
    int64_t not_before_s, not_after_s; /* seconds since 1970 */
};
/* SK_MALFORMED: it is no certificate, or not that alone. */
enum sk_status sk_x509_read(struct sk_span der, struct sk_x509_leaf *leaf);

/* CA certificates that chains may end in. */
struct sk_x509_anchors;
struct sk_x509_anchors *sk_x509_anchors_new(void);
void sk_x509_anchors_free(struct sk_x509_anchors *anchors);
/* Adds every certificate of a PEM text; returns how many. */
size_t sk_x509_anchors_add(struct sk_x509_anchors *anchors, struct sk_span pem);
/* Whether a certificate is among them, by the number that sk_x509_verify gave it. NULL holds
 * none. */
bool sk_x509_anchors_hold(const struct sk_x509_anchors *anchors, uint64_t anchor);

/* Whether `chain` (DER; the leaf, then what the client sent with it, in any order) leads to an
 * anchor, which may itself be an intermediate; with every certificate valid at `now_s`, the leaf
 * fit for client authentication and at most SK_X509_DEPTH_MAX intermediates. More than
 * SK_X509_SENT_MAX certificates and keys that are not cheap are refused first. Revocation is not
 * asked for. `anchor`: NULL, or gets a number of the anchor, the same for the same certificate in
 * this process, never 0. SK_UNAUTHORIZED with one clause in `reason`; SK_MALFORMED. */
enum sk_status sk_x509_verify(const struct sk_x509_anchors *anchors, const struct sk_span *chain,
                              size_t count, int64_t now_s, uint64_t *anchor, char reason[128]);

#endif
