/* Both sides of TLS for tests in the real world: a server with a certificate that signs itself,
 * and a client that does not mind. */
#ifndef TESTS_SELF_SIGNED_H
#define TESTS_SELF_SIGNED_H

#include <openssl/pem.h>

#include "io/io.h"
#include "support/raw_tls.h"
#include "support/test.h"

void make_tls(struct sk_io *io, struct sk_tls **server_tls, struct sk_tls **client_tls);

#endif
