/* The edge's certificates: its CA (given, or got by itself: own_certificate.h) and what the CA
 * issues to modules. Keys are EC P-256 (docs/decisions/0007-edge-certificates.md). */
#ifndef SK_EDGE_DAEMON_CERTIFICATES_H
#define SK_EDGE_DAEMON_CERTIFICATES_H

#include "edge/daemon/own_certificate.h"

struct sk_certificates;

struct sk_certificates_options {
    const char *device_id;
    struct sk_key_store *keys;               /* borrowed */
    const char *certificate_file, *key_file; /* a given CA with its chain; NULL: one of its own */
    struct sk_own_options own;
    const char *trust_file; /* added to the trust bundle; NULL: nothing */
};

/* On failure a sentence in `reason`; an encrypted key is one. A given CA that has expired, or
 * soon will have, is said in the log. Options are copied. */
enum sk_status sk_certificates_open(struct sk_io *io, const struct sk_certificates_options *options,
                                    struct sk_certificates **certificates, char reason[256]);
void sk_certificates_free(struct sk_certificates *certificates);

/* When the CA that signs now expires, seconds since 1970. */
int64_t sk_certificates_ca_ends_s(const struct sk_certificates *certificates);

/* PEM of the edge CA, the one before, those of an EST server and the user's anchors; lives until
 * the next call. SK_AGAIN: the edge has no CA yet; a sentence in `reason`. */
enum sk_status sk_certificates_trust_bundle(struct sk_certificates *certificates,
                                            struct sk_span *pem, char reason[256]);

struct sk_certificate {
    struct sk_buffer certificate_pem; /* leaf, then the chain */
    struct sk_buffer key_pem;         /* PKCS#8 */
    int64_t expires_us;
};
void sk_certificate_free(struct sk_certificate *certificate);

/* SK_AGAIN from both, too.
 *
 * For a TLS server: SAN = `common_name` (an address or a name) and the module's name without '$'.
 * 30 days, no longer than the CA. SK_INVALID: the name cannot be in a certificate. */
enum sk_status sk_certificates_issue_server(struct sk_certificates *certificates,
                                            struct sk_span common_name, struct sk_span module_id,
                                            struct sk_certificate *certificate, char reason[256]);
/* For a TLS client: CN = module, SAN "URI: azureiot://<hub>/devices/<d>/modules/<m>". */
enum sk_status sk_certificates_issue_identity(struct sk_certificates *certificates,
                                              struct sk_span hub, struct sk_span module_id,
                                              struct sk_certificate *certificate, char reason[256]);

#endif
