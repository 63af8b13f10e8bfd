/* Client of the edge daemon's workload API, as a module sees it: signatures, tokens, certificates
 * over its unix socket.
 *
 * A module holds no key: it asks the daemon to sign. Callbacks come exactly once, never from
 * inside the call (but for sk_workload_free, which ends what waits with SK_CLOSED). */
#ifndef SK_CLIENT_WORKLOAD_H
#define SK_CLIENT_WORKLOAD_H

#include "net/http_client.h"

struct sk_workload;

/* Texts are copied. */
struct sk_workload_options {
    const char *uri; /* IOTEDGE_WORKLOADURI: "unix:///path" (or the path alone) */
    struct sk_span module_id, generation_id;
};
/* SK_MALFORMED: the URI is not a unix socket's. */
enum sk_status sk_workload_new(struct sk_io *io, const struct sk_workload_options *options,
                               struct sk_workload **workload);
void sk_workload_free(struct sk_workload *workload);

/* `token` lives until the callback returns. SK_REFUSED: the daemon said no; else why it could not
 * be asked. */
typedef void sk_workload_token_fn(void *arg, enum sk_status status, struct sk_span token);
/* A SAS token for `resource` in plain text ("hub/devices/d/modules/m") until `expiry_s`, seconds
 * since 1970. */
void sk_workload_token(struct sk_workload *workload, struct sk_span resource, int64_t expiry_s,
                       sk_workload_token_fn *done, void *arg);

typedef void sk_workload_certificate_fn(void *arg, enum sk_status status,
                                        struct sk_span certificate_pem, struct sk_span key_pem,
                                        int64_t expires_us);
/* A server certificate with its chain for `common_name`. */
void sk_workload_server_certificate(struct sk_workload *workload, struct sk_span common_name,
                                    sk_workload_certificate_fn *done, void *arg);

typedef void sk_workload_bundle_fn(void *arg, enum sk_status status, struct sk_span pem);
void sk_workload_trust_bundle(struct sk_workload *workload, sk_workload_bundle_fn *done, void *arg);

#endif
