/* From where clients may come: the keys of the IP filter, which the gateway asks for each
 * credential (gateway/authenticate.c). Reference: docs/protocols/service-api.md, section 10. */
#include <ctype.h>
#include <stdio.h>

#include "hub/parts.h"

static void take(struct sk_hub *hub) {
    const struct sk_hub_options *options = hub->options;
    bool open = options->ip_rule_count == 0 && !options->ip_rest_rejected;
    hub->ip_filter = (struct sk_ip_filter){.rules = options->ip_rules,
                                           .count = options->ip_rule_count,
                                           .rest_rejected = options->ip_rest_rejected,
                                           .spares_events = !options->ip_events};
    hub->backend.ip_filter = open ? NULL : &hub->ip_filter;
}

static enum sk_status open_filter(struct sk_hub *hub, char reason[512]) {
    (void)reason;
    take(hub);
    return SK_OK;
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    (void)before;
    take(hub);
}

/* ---- its keys ---- */

static bool is_name(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    for (size_t i = 0; i < text.n; i++)
        if (!isalnum((unsigned char)text.p[i]) &&
            memchr("-:.+%_#*?!(),=@;'", text.p[i], 17) == NULL) {
            snprintf(why, SK_CONFIG_WHY_MAX,
                     "it has letters, digits and - : . + %% _ # * ? ! ( ) , = @ ; ' only");
            return false;
        }
    return true;
}

static void take_range(struct sk_config *config, const struct sk_config_key *key, const char *path,
                       const json_t *value, void *to) {
    struct sk_ip_rule *rule = to;
    struct sk_span text = sk_span_z(json_string_value(value));
    (void)key;
    rule->text = sk_arena_copy(config->arena, text).p;
    if (sk_ip_range_parse(text, &rule->range))
        sk_config_refuse(config, path,
                         "must be an address or a range of IPv4 or IPv6, such as "
                         "\"203.0.113.0/24\" or \"2001:db8::/32\".");
}

static bool measure_range(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = 0;
    return json_is_string(value);
}

static const struct sk_config_type ip_range = {
    .words = "an address or a range in quotes", .measure = measure_range, .take = take_range};

#define RULE(field) SK_CONFIG_AT(struct sk_ip_rule, field)
#define HUB(field) SK_CONFIG_AT(struct sk_hub_options, field)

static const struct sk_config_key keys[] = {
    {"hub[].ip_filter[]", &sk_config_tables,
     SK_CONFIG_LIST(struct sk_hub_options, ip_rules, ip_rule_count), .most = SK_HUB_IP_RULES_MAX,
     .does = "From where clients may come: the first rule that holds an address decides, as in "
             "Azure's `ipFilterRules`; for its newer `networkRuleSets`, accept what is allowed and "
             "set `default_action = \"Deny\"`",
     .page = "how-to/operate-a-hub.md"},
    {"hub[].ip_filter[].name", &sk_config_text, RULE(name), .most = 128, .fine = is_name,
     .need = "give the rule a name", .such_as = "\"plant\"",
     .does = "Its name, unlike any other's"},
    {"hub[].ip_filter[].action", &sk_config_choice, RULE(rejects), .choices = "Accept|Reject",
     .otherwise = "\"Accept\"", .does = "What happens to these addresses"},
    {"hub[].ip_filter[].mask", &ip_range, .size = sizeof(struct sk_ip_rule),
     .need = "write mask = \"ADDRESS/BITS\"", .such_as = "\"203.0.113.0/24\"",
     .does = "An address or a range, of IPv4 or IPv6"},
    {"hub[].network", &sk_config_table, .does = "What counts beside the rules of `ip_filter`"},
    {"hub[].network.default_action", &sk_config_choice, HUB(ip_rest_rejected),
     .choices = "Allow|Deny", .otherwise = "\"Allow\"",
     .does = "What happens to addresses that no rule holds"},
    {"hub[].network.apply_to_events", &sk_config_boolean, HUB(ip_events), .otherwise = "true",
     .does = "The rules count for the Event Hubs-compatible endpoint, too"},
    {0}};

const struct sk_hub_part hub_part_network = {.keys = keys, .open = open_filter, .reload = reload};
