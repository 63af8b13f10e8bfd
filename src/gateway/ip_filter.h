/* From which addresses clients may come: a list of rules in order, of which the first that holds
 * the address decides. So Azure's older rules (first match, else accepted) are a list whose rest
 * is accepted, and its newer ones (addresses that are allowed) a list of what is accepted whose
 * rest is not. */
#ifndef SK_GATEWAY_IP_FILTER_H
#define SK_GATEWAY_IP_FILTER_H

#include "base/base.h"
#include "base/ip.h"

struct sk_ip_rule {
    const char *name;
    const char *text; /* the range, as it was written */
    struct sk_ip_range range;
    bool rejects;
};

struct sk_ip_filter {
    const struct sk_ip_rule *rules;
    size_t count;
    bool rest_rejected; /* what no rule holds, and who has no address */
    bool spares_events; /* the event stream, as Event Hubs clients see it, is open to all */
};

/* Whether an address may come. `rule`: NULL, or gets the name of the rule that said so; NULL: none
 * did. `filter` NULL: everybody may. */
bool sk_ip_filter_accepts(const struct sk_ip_filter *filter, const struct sk_ip *ip,
                          bool event_stream, const char **rule);

#endif
