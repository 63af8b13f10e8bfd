/* Client of the edge daemon's workload API, as a module sees it: signatures, tokens, certificates
 * over its unix socket.
 *
 * A module holds no key: it asks the daemon to sign. Callbacks come exactly once, never from
 * inside the call (but for sk_workload_free, which ends what waits with SK_CLOSED). */
#ifndef SK_DEVICE_WORKLOAD_H
#define SK_DEVICE_WORKLOAD_H

#include "net/http_client.h"
#include "net/token_source.h"

struct sk_workload;

/* Texts are copied. */
struct sk_workload_options {
    const char *uri; /* IOTEDGE_WORKLOADURI: "unix:///path" (or the path alone) */
    struct sk_span module_id, generation_id;
    struct sk_span hub_host, device_id; /* whose tokens they are; empty: none are asked for */
};
/* SK_MALFORMED: the URI is not a unix socket's. */
enum sk_status sk_workload_new(struct sk_io *io, const struct sk_workload_options *options,
                               struct sk_workload **workload);
void sk_workload_free(struct sk_workload *workload);

/* The module's own tokens, signed by the daemon; it ends with the workload client. A daemon that
 * is just starting is asked again for a second. SK_REFUSED: it said no; else why it could not be
 * asked. */
struct sk_token_source *sk_workload_tokens(struct sk_workload *workload);

typedef void sk_workload_certificate_fn(void *arg, enum sk_status status,
                                        struct sk_span certificate_pem, struct sk_span key_pem,
                                        int64_t expires_us);
/* A server certificate with its chain for `common_name`. */
void sk_workload_server_certificate(struct sk_workload *workload, struct sk_span common_name,
                                    sk_workload_certificate_fn *done, void *arg);

typedef void sk_workload_bundle_fn(void *arg, enum sk_status status, struct sk_span pem);
void sk_workload_trust_bundle(struct sk_workload *workload, sk_workload_bundle_fn *done, void *arg);

#endif
