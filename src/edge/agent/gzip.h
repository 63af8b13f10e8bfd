/* gzip (RFC 1952), for logs on their way. */
#ifndef SK_EDGE_AGENT_GZIP_H
#define SK_EDGE_AGENT_GZIP_H

#include "base/base.h"

/* Appends the bytes as one gzip file. */
void sk_gzip(struct sk_span bytes, struct sk_buffer *to);

#endif
