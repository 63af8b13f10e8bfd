#include "base/ip.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define HIDDEN                                                                                     \
    "X"                                                                                            \
    "XX" /* in one it would look like a mark in the source */

enum sk_status sk_ip_parse(struct sk_span text, struct sk_ip *ip) {
    static const unsigned char carried[12] = {[10] = 0xff, [11] = 0xff};
    char z[SK_IP_TEXT];
    *ip = (struct sk_ip){0};
    if (text.n == 0 || text.n >= sizeof z || memchr(text.p, 0, text.n)) return SK_MALFORMED;
    memcpy(z, text.p, text.n);
    z[text.n] = 0;
    if (inet_pton(AF_INET, z, ip->bytes) == 1)
        ip->bits = 32;
    else if (inet_pton(AF_INET6, z, ip->bytes) == 1)
        ip->bits = 128;
    if (ip->bits == 128 && memcmp(ip->bytes, carried, sizeof carried) == 0) {
        memmove(ip->bytes, ip->bytes + 12, 4);
        memset(ip->bytes + 4, 0, 12);
        ip->bits = 32;
    }
    return ip->bits ? SK_OK : SK_MALFORMED;
}

struct sk_ip sk_ip_of_peer(const char *peer) {
    struct sk_ip ip;
    struct sk_span text = sk_span_z(peer);
    size_t n = text.n;
    while (n && text.p[n - 1] != ':') n--;
    if (n) text = sk_span_first(text, n - 1);
    if (text.n > 1 && text.p[0] == '[' && text.p[text.n - 1] == ']')
        text = sk_span(text.p + 1, text.n - 2);
    if (sk_ip_parse(text, &ip)) ip.bits = 0;
    return ip;
}

void sk_ip_masked(const struct sk_ip *ip, char to[SK_IP_TEXT]) {
    const unsigned char *b = ip->bytes;
    if (ip->bits == 32)
        snprintf(to, SK_IP_TEXT, "%d.%d.%d." HIDDEN, b[0], b[1], b[2]);
    else if (ip->bits)
        snprintf(to, SK_IP_TEXT, "%x:%x:%x:" HIDDEN, b[0] << 8 | b[1], b[2] << 8 | b[3],
                 b[4] << 8 | b[5]);
    else
        snprintf(to, SK_IP_TEXT, "-");
}

enum sk_status sk_ip_range_parse(struct sk_span text, struct sk_ip_range *range) {
    size_t slash = sk_span_find(text, '/');
    int64_t prefix;
    if (sk_ip_parse(sk_span_first(text, slash), &range->ip)) return SK_MALFORMED;
    range->prefix = range->ip.bits;
    if (slash == text.n) return SK_OK;
    if (sk_span_to_int(sk_span_skip(text, slash + 1), &prefix) || prefix < 0 ||
        prefix > range->ip.bits)
        return SK_MALFORMED;
    range->prefix = (unsigned char)prefix;
    return SK_OK;
}

bool sk_ip_range_holds(const struct sk_ip_range *range, const struct sk_ip *ip) {
    size_t whole = range->prefix / 8;
    unsigned rest = range->prefix % 8, mask = 0xffu << (8 - rest) & 0xff;
    if (ip->bits != range->ip.bits || memcmp(ip->bytes, range->ip.bytes, whole) != 0) return false;
    return rest == 0 || ((ip->bytes[whole] ^ range->ip.bytes[whole]) & mask) == 0;
}
