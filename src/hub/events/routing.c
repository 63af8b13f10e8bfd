/* Routes: which events go to which endpoints, and what is stamped on them. Reference:
 * docs/protocols/service-api.md, section 5. */
#include "expr/message_source.h"

#include <ctype.h>
#include <stdio.h>

#include "hub/parts.h"
#include "model/json_text.h"

/* ---- compiling ---- */

static struct sk_span twin_path(const char *value) {
    struct sk_span path = sk_span_z(value), root = SK_SPAN("$twin.");
    return sk_span_eq_nocase(sk_span_first(path, root.n), root) ? sk_span_skip(path, root.n)
                                                                : SK_NONE;
}

/* For each message the twin would have to be read: so it is known beforehand. */
static void note_needs(struct sk_hub *hub) {
    const struct sk_hub_options *options = hub->options;
    for (size_t i = 0; i < options->enrichment_count; i++)
        for (size_t s = 0; s < SK_SOURCE_COUNT; s++)
            hub->routes_need_twin[s] |= twin_path(options->enrichments[i].value).n > 0;
    for (size_t i = 0; i < options->route_count; i++) {
        const struct sk_hub_route *route = &options->routes[i];
        hub->routes_need_twin[route->source] |=
            route->enabled && hub->conditions[i] && sk_expr_uses_twin(hub->conditions[i]);
    }
}

/* The bits of endpoints by names, which the configuration's check knows; none: `otherwise`. */
static uint64_t bits_of(const struct sk_hub *hub, const char *const *names, size_t count,
                        uint64_t otherwise) {
    const struct sk_hub_options *options = hub->options;
    uint64_t bits = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], "events") == 0) bits |= HUB_TO_EVENTS;
        for (size_t e = 0; e < options->endpoint_count; e++)
            if (strcmp(names[i], options->endpoints[e].name) == 0) bits |= hub->endpoint_bits[e];
    }
    return count ? bits : otherwise;
}

static void note_endpoints(struct sk_hub *hub) {
    const struct sk_hub_options *options = hub->options;
    for (size_t i = 0; i < options->route_count; i++)
        hub->route_bits[i] = bits_of(hub, options->routes[i].endpoints,
                                     options->routes[i].endpoint_count, HUB_TO_EVENTS);
    for (size_t i = 0; i < options->enrichment_count; i++)
        hub->enrichment_bits[i] = bits_of(hub, options->enrichments[i].endpoints,
                                          options->enrichments[i].endpoint_count, UINT64_MAX);
}

static bool takes(const struct sk_hub *hub, size_t i, enum sk_source source) {
    const struct sk_hub_route *route = &hub->options->routes[i];
    return route->enabled && route->source == source;
}

static void make_set(struct sk_hub *hub, enum sk_source source) {
    struct hub_route_set *set = &hub->route_sets[source];
    size_t count = hub->options->route_count;
    struct sk_expr *of_source[SK_HUB_ROUTES_MAX] = {0};
    *set = (struct hub_route_set){.rest = sk_alloc((count + 1) * sizeof *set->rest)};
    for (size_t i = 0; i < count; i++) {
        if (!takes(hub, i, source)) continue;
        if (hub->conditions[i] == NULL)
            set->always |= hub->route_bits[i];
        else if (sk_expr_table_takes(hub->conditions[i]))
            of_source[i] = hub->conditions[i];
        else
            set->rest[set->rest_count++] = i;
    }
    set->table = sk_expr_table_new(of_source, hub->route_bits, count);
}

static enum sk_status compile(struct sk_hub *hub, char reason[512]) {
    const struct sk_hub_options *options = hub->options;
    hub->conditions = sk_alloc((options->route_count + 1) * sizeof *hub->conditions);
    for (size_t i = 0; i < options->route_count; i++) {
        struct sk_span text = sk_span_trim(sk_span_z(options->routes[i].condition));
        struct sk_expr_error error;
        if (sk_span_is(text, "true")) continue;
        enum sk_status status =
            sk_expr_compile(text, SK_DIALECT_ROUTE, &hub->conditions[i], &error);
        if (status == SK_OK) continue;
        snprintf(reason, 512, "route %s of hub %s: column %u: %s", options->routes[i].name,
                 options->name, error.column, error.sentence);
        return status;
    }
    hub->route_memo_count = sk_expr_share(hub->conditions, options->route_count);
    hub->route_memo = sk_alloc((hub->route_memo_count + 1) * sizeof *hub->route_memo);
    note_needs(hub);
    note_endpoints(hub);
    for (size_t s = 0; s < SK_SOURCE_COUNT; s++) make_set(hub, (enum sk_source)s);
    return SK_OK;
}

static void free_conditions(struct sk_hub *hub, const struct sk_hub_options *options) {
    for (size_t s = 0; s < SK_SOURCE_COUNT; s++) {
        sk_expr_table_free(hub->route_sets[s].table);
        free(hub->route_sets[s].rest);
        hub->route_sets[s] = (struct hub_route_set){0};
    }
    for (size_t i = 0; hub->conditions && i < options->route_count; i++)
        sk_expr_free(hub->conditions[i]);
    free(hub->conditions);
    free(hub->route_memo);
    hub->conditions = NULL;
    hub->route_memo = NULL;
}

static void free_all(struct sk_hub *hub) {
    free_conditions(hub, hub->options);
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    char reason[512];
    free_conditions(hub, before);
    memset(hub->routes_need_twin, 0, sizeof hub->routes_need_twin);
    bool fine = compile(hub, reason) == SK_OK;
    SK_ASSERT(fine); /* the configuration's reader has compiled them, too */
}

/* ---- routing ---- */

bool hub_routes_take(const struct sk_hub *hub, enum sk_source source) {
    for (size_t i = 0; i < hub->options->route_count; i++)
        if (takes(hub, i, source)) return true;
    return false;
}

uint64_t hub_route(struct sk_hub *hub, const struct sk_message *message, const json_t *twin) {
    const struct hub_route_set *set = &hub->route_sets[message->source];
    struct sk_expr_source source = sk_expr_source_of(message);
    SK_CLEANUP_FREE char *text = sk_json_text(twin);
    source.twin = sk_span_z(text);
    source.memo = hub->route_memo;
    memset(hub->route_memo, 0, hub->route_memo_count * sizeof *hub->route_memo);
    sk_arena_reset(&hub->arena);
    uint64_t bits = set->always | sk_expr_table_match(set->table, &source, &hub->arena);
    for (size_t i = 0; i < set->rest_count; i++) {
        size_t route = set->rest[i];
        if (!(hub->route_bits[route] & ~bits)) continue; /* it goes there already */
        sk_arena_reset(&hub->arena);
        if (sk_expr_true(hub->conditions[route], &source, &hub->arena))
            bits |= hub->route_bits[route];
    }
    if (!bits && message->source == SK_SOURCE_TELEMETRY && hub->options->fallback)
        return HUB_TO_EVENTS;
    return bits;
}

/* ---- enrichments ---- */

/* What it is for this message; a path that leads nowhere is stamped as it is written. */
static struct sk_span value_of(struct sk_hub *hub, const struct sk_hub_enrichment *enrichment,
                               const json_t *twin) {
    struct sk_span path = twin_path(enrichment->value), step;
    if (sk_span_eq_nocase(sk_span_z(enrichment->value), SK_SPAN("$iothubname")))
        return sk_span_z(hub->options->name);
    if (path.n == 0) return sk_span_z(enrichment->value);
    while (twin && sk_span_split(&path, '.', &step)) twin = json_object_getn(twin, step.p, step.n);
    if (twin == NULL) return sk_span_z(enrichment->value);
    if (json_is_string(twin))
        return sk_arena_copy(&hub->arena,
                             sk_span(json_string_value(twin), json_string_length(twin)));
    SK_CLEANUP_FREE char *text = sk_json_text(twin);
    return sk_arena_copy(&hub->arena, sk_span_z(text));
}

/* An enrichment takes the place of a property of its name: the hub is believed, not the device. */
static size_t stamp(struct sk_property *properties, size_t count, struct sk_span name,
                    struct sk_span value) {
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!sk_span_eq_nocase(properties[i].name, name)) properties[kept++] = properties[i];
    properties[kept] = (struct sk_property){name, value};
    return kept + 1;
}

/* Those of `bits` for which the same enrichments are as for the lowest. */
static uint64_t alike(const struct sk_hub *hub, uint64_t bits) {
    uint64_t lowest = bits & -bits;
    for (size_t i = 0; i < hub->options->enrichment_count; i++)
        bits &=
            hub->enrichment_bits[i] & lowest ? hub->enrichment_bits[i] : ~hub->enrichment_bits[i];
    return bits;
}

uint64_t hub_enrich(struct sk_hub *hub, struct sk_message *message, const json_t *twin,
                    uint64_t bits) {
    const struct sk_hub_options *options = hub->options;
    size_t count = message->property_count;
    if (message->source == SK_SOURCE_DIGITAL_TWIN_CHANGES) return bits; /* as in Azure */
    uint64_t same = alike(hub, bits);
    if (options->enrichment_count == 0 || count + options->enrichment_count > SK_PROPERTIES_MAX)
        return same;
    sk_arena_reset(&hub->arena);
    struct sk_property *properties =
        sk_arena_alloc(&hub->arena, (count + options->enrichment_count) * sizeof *properties);
    if (count) memcpy(properties, message->properties, count * sizeof *properties);
    for (size_t i = 0; i < options->enrichment_count; i++)
        if (hub->enrichment_bits[i] & same)
            count = stamp(properties, count, sk_span_z(options->enrichments[i].key),
                          value_of(hub, &options->enrichments[i], twin));
    message->properties = properties;
    message->property_count = count;
    return same;
}

/* ---- its keys ---- */

static bool is_condition(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_expr *compiled = NULL;
    struct sk_expr_error error;
    enum sk_status status = sk_expr_compile(text, SK_DIALECT_ROUTE, &compiled, &error);
    if (status) snprintf(why, SK_CONFIG_WHY_MAX, "column %u: %s", error.column, error.sentence);
    sk_expr_free(compiled);
    return status == SK_OK;
}

static bool is_key(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    for (size_t i = 0; i < text.n; i++)
        if (!isalnum((unsigned char)text.p[i]) && memchr("-_.", text.p[i], 3) == NULL) {
            snprintf(why, SK_CONFIG_WHY_MAX, "it has letters, digits and - _ . only");
            return false;
        }
    return true;
}

static bool is_value(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    static const char *const sections[] = {"$twin.tags.", "$twin.properties.desired.",
                                           "$twin.properties.reported."};
    SK_CLEANUP_FREE char *value = sk_span_dup(text);
    if (twin_path(value).n == 0) return true;
    for (size_t i = 0; i < 3; i++) {
        struct sk_span section = sk_span_z(sections[i]);
        if (text.n > section.n && sk_span_eq_nocase(sk_span_first(text, section.n), section))
            return true;
    }
    snprintf(why, SK_CONFIG_WHY_MAX,
             "of a twin there are $twin.tags.…, $twin.properties.desired.… and "
             "$twin.properties.reported.…");
    return false;
}

#define ROUTE(field) SK_CONFIG_AT(struct sk_hub_route, field)

static const struct sk_config_key keys[] = {
    {"hub[].route[]", &sk_config_tables, SK_CONFIG_LIST(struct sk_hub_options, routes, route_count),
     .most = SK_HUB_ROUTES_MAX,
     .does =
         "Message routes; without any, everything goes to the built-in endpoint, with them what "
         "one of them takes, and the rest by the fallback"},
    {"hub[].route[].name", &sk_config_text, ROUTE(name), .need = "give the route a name",
     .such_as = "\"hot\"", .does = "Its name"},
    {"hub[].route[].source", &sk_config_choice, ROUTE(source), .choices = HUB_SOURCES,
     .otherwise = "\"DeviceMessages\"", .mend = "telemetry is \"DeviceMessages\"",
     .does = "What it takes"},
    {"hub[].route[].condition", &sk_config_text, ROUTE(condition), .fine = is_condition,
     .otherwise = "\"true\"", .does = "Which of these, as in Azure", .page = "expressions.md"},
    {"hub[].route[].endpoint", &sk_config_names,
     SK_CONFIG_LIST(struct sk_hub_route, endpoints, endpoint_count), .least = 1,
     .most = SK_HUB_ENDPOINTS_MAX + 1, .otherwise = "\"events\"",
     .such_as = "[\"events\", \"alarms\"]",
     .does = "Where they go: `events`, the built-in one, or names of `[[hub.endpoint]]`",
     .page = "how-to/route-messages.md"},
    {"hub[].route[].enabled", &sk_config_boolean, ROUTE(enabled), .otherwise = "true",
     .does = "Whether it takes anything"},
    {"hub[].fallback", &sk_config_table, .does = "What no route takes"},
    {"hub[].fallback.enabled", &sk_config_boolean, SK_CONFIG_AT(struct sk_hub_options, fallback),
     .otherwise = "true", .does = "Telemetry that no route takes goes to `events`"},
    {"hub[].enrichment[]", &sk_config_tables,
     SK_CONFIG_LIST(struct sk_hub_options, enrichments, enrichment_count),
     .most = SK_HUB_ENRICHMENTS_MAX,
     .does = "Application properties that the hub stamps on events; they take the place of a "
             "device's own of that name",
     .page = "how-to/route-messages.md"},
    {"hub[].enrichment[].key", &sk_config_text, SK_CONFIG_AT(struct sk_hub_enrichment, key),
     .fine = is_key, .need = "name the property", .such_as = "\"site\"", .does = "Its name"},
    {"hub[].enrichment[].value", &sk_config_text, SK_CONFIG_AT(struct sk_hub_enrichment, value),
     .fine = is_value, .need = "say what the property is", .such_as = "\"$twin.tags.site\"",
     .does = "A text, `$iothubname`, or a property of the sender's twin"},
    {"hub[].enrichment[].endpoint", &sk_config_names,
     SK_CONFIG_LIST(struct sk_hub_enrichment, endpoints, endpoint_count), .least = 1,
     .most = SK_HUB_ENDPOINTS_MAX + 1, .otherwise_words = "all", .such_as = "[\"alarms\"]",
     .does = "Which endpoints' events get it"},
    {0}};

static void check_names(struct sk_config *reading, const char *hub, const char *what, size_t at,
                        const struct sk_hub_options *options, const char *const *names,
                        size_t count) {
    char path[64];
    snprintf(path, sizeof path, "%s.%s[%zu].endpoint", hub, what, at);
    for (size_t i = 0; i < count; i++) {
        bool known = strcmp(names[i], "events") == 0;
        for (size_t e = 0; e < options->endpoint_count; e++)
            known |= strcmp(names[i], options->endpoints[e].name) == 0;
        if (!known)
            sk_config_refuse(reading, path,
                             "there is no endpoint '%.64s'; use \"events\" or the name of a "
                             "[[hub.endpoint]].",
                             names[i]);
    }
}

static void check(struct sk_config *reading, const char *hub,
                  const struct sk_hub_options *options) {
    for (size_t i = 0; i < options->route_count; i++)
        check_names(reading, hub, "route", i, options, options->routes[i].endpoints,
                    options->routes[i].endpoint_count);
    for (size_t i = 0; i < options->enrichment_count; i++)
        check_names(reading, hub, "enrichment", i, options, options->enrichments[i].endpoints,
                    options->enrichments[i].endpoint_count);
}

const struct sk_hub_part hub_part_routing = {
    .keys = keys, .check = check, .open = compile, .reload = reload, .free = free_all};
