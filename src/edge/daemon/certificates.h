/* The edge's certificates: its CA (given, or made for a quick start) and what the CA issues to
 * modules.
 *
 * A quick-start CA is renewed when 80 % of its life is over, at the next certificate it shall
 * issue; the one before stays in the trust bundle. Keys are EC P-256
 * (docs/decisions/0007-edge-certificates.md). */
#ifndef SK_EDGE_DAEMON_CERTIFICATES_H
#define SK_EDGE_DAEMON_CERTIFICATES_H

#include "trust/keys/store.h"

struct sk_certificates;

struct sk_certificates_options {
    const char *folder; /* of a quick-start CA's files */
    const char *device_id;
    const char *ca_name; /* common name; NULL: "aziot-edge CA <deviceId>" */
    unsigned ca_days;
    struct sk_key_store *keys;               /* where the CA's key is; borrowed */
    const char *certificate_file, *key_file; /* a given CA with its chain; NULL: quick start */
    const char *trust_file;                  /* added to the trust bundle; NULL: nothing */
};

/* On failure a sentence in `reason`; an encrypted key is one. A given CA that has expired, or
 * soon will have, is said in the log. Options are copied. */
enum sk_status sk_certificates_open(struct sk_io *io, const struct sk_certificates_options *options,
                                    struct sk_certificates **certificates, char reason[256]);
void sk_certificates_free(struct sk_certificates *certificates);

/* When the CA that signs now expires, seconds since 1970. */
int64_t sk_certificates_ca_ends_s(const struct sk_certificates *certificates);

/* PEM of the edge CA (and the one before) and of the user's anchors; lives until the next call. */
struct sk_span sk_certificates_trust_bundle(struct sk_certificates *certificates);

struct sk_certificate {
    struct sk_buffer certificate_pem; /* leaf, then the chain */
    struct sk_buffer key_pem;         /* PKCS#8 */
    int64_t expires_us;
};
void sk_certificate_free(struct sk_certificate *certificate);

/* For a TLS server: SAN = `common_name` (an address or a name) and the module's name without '$'.
 * 30 days, no longer than the CA. SK_INVALID: the name cannot be in a certificate. */
enum sk_status sk_certificates_issue_server(struct sk_certificates *certificates,
                                            struct sk_span common_name, struct sk_span module_id,
                                            struct sk_certificate *certificate, char reason[256]);
/* For a TLS client: CN = module, SAN "URI: azureiot://<hub>/devices/<d>/modules/<m>". */
enum sk_status sk_certificates_issue_identity(struct sk_certificates *certificates,
                                              struct sk_span hub, struct sk_span module_id,
                                              struct sk_certificate *certificate, char reason[256]);

#endif
