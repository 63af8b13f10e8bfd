/* TLS for who dials: trust out of a file. */
#ifndef SK_NET_TRUST_H
#define SK_NET_TRUST_H

#include "io/io.h"

/* TLS of a client that trusts the CA certificates of a PEM file (at most 1 MB); NULL: the system's.
 * `own`: the client's certificate and key, or NULL. `*tls` NULL: made, the caller frees it; else
 * reloaded. On failure writes one sentence to `reason`, with the file's name. */
enum sk_status sk_tls_trusting(struct sk_io *io, const char *file, const struct sk_tls_options *own,
                               struct sk_tls **tls, char reason[256]);

#endif
