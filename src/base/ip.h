/* Addresses of IPv4 and IPv6, and ranges of them. An IPv4 address that IPv6 carries
 * ("::ffff:1.2.3.4") is that IPv4 address. */
#ifndef SK_BASE_IP_H
#define SK_BASE_IP_H

#include "base/span.h"
#include "base/status.h"

struct sk_ip {
    unsigned char bits; /* 32, 128; 0: none */
    unsigned char bytes[16];
};
enum sk_status sk_ip_parse(struct sk_span text, struct sk_ip *ip); /* SK_MALFORMED */
/* Of "ADDRESS:PORT", with or without brackets; bits 0 when there is none in it. */
struct sk_ip sk_ip_of_peer(const char *peer);
enum { SK_IP_TEXT = 48 };
/* As logs may show it: the last byte, or of IPv6 all but the first three groups, as
 * three letters X. */
void sk_ip_masked(const struct sk_ip *ip, char to[SK_IP_TEXT]);

/* "203.0.113.0/24", or an address alone. */
struct sk_ip_range {
    struct sk_ip ip;
    unsigned char prefix; /* bits that count */
};
enum sk_status sk_ip_range_parse(struct sk_span text, struct sk_ip_range *range);
bool sk_ip_range_holds(const struct sk_ip_range *range, const struct sk_ip *ip);

#endif
