#include "edge/agent/gzip.h"

#include <zlib.h>

void sk_gzip(struct sk_span bytes, struct sk_buffer *to) {
    enum { PART = 65536, WINDOW = 15 + 16 /* with gzip's head */, MEMORY = 8 };
    z_stream s = {.next_in = (Bytef *)bytes.p, .avail_in = (unsigned)bytes.n};
    int code;
    SK_ASSERT(bytes.n <= UINT32_MAX);
    code = deflateInit2(&s, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW, MEMORY, Z_DEFAULT_STRATEGY);
    SK_ASSERT(code == Z_OK);
    do {
        s.next_out = (Bytef *)sk_buffer_reserve(to, PART);
        s.avail_out = PART;
        code = deflate(&s, Z_FINISH);
        to->n += PART - s.avail_out;
    } while (code == Z_OK);
    SK_ASSERT(code == Z_STREAM_END);
    deflateEnd(&s);
}
