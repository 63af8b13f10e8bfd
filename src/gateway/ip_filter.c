#include "gateway/ip_filter.h"

bool sk_ip_filter_accepts(const struct sk_ip_filter *filter, const struct sk_ip *ip,
                          bool event_stream, const char **rule) {
    if (rule) *rule = NULL;
    if (filter == NULL || (event_stream && filter->spares_events)) return true;
    for (size_t i = 0; i < filter->count; i++) {
        if (!sk_ip_range_holds(&filter->rules[i].range, ip)) continue;
        if (rule) *rule = filter->rules[i].name;
        return !filter->rules[i].rejects;
    }
    return !filter->rest_rejected;
}
