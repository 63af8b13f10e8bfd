#include "hub/server/config.h"

#include <stdarg.h>
#include <stdio.h>

#include "config/toml.h"

/* Where we are in the file, and what is wrong with it; after the first error every step does
 * nothing. */
struct reader {
    const char *file;
    const char *folder;
    const json_t *lines;
    char *error;
    bool failed;
};

static void fail(struct reader *r, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void fail(struct reader *r, const char *path, const char *format, ...) {
    if (r->failed) return;
    r->failed = true;
    int n = snprintf(r->error, SK_HUB_CONFIG_ERROR_MAX, "%s:%u: %s: ", r->file,
                     sk_toml_line(r->lines, path), path);
    va_list args;
    va_start(args, format);
    if (n > 0 && n < SK_HUB_CONFIG_ERROR_MAX)
        vsnprintf(r->error + n, (size_t)(SK_HUB_CONFIG_ERROR_MAX - n), format, args);
    va_end(args);
}

/* "path.key" in a buffer of the caller. */
#define PATH_MAX_TEXT 256
static const char *join(char to[PATH_MAX_TEXT], const char *path, const char *key) {
    snprintf(to, PATH_MAX_TEXT, *path ? "%s.%s" : "%s%s", path, key);
    return to;
}

/* Refuses keys that are not in the NULL-terminated list. */
static void check_keys(struct reader *r, const json_t *table, const char *path,
                       const char *const *known) {
    const char *key;
    json_t *value;
    char full[PATH_MAX_TEXT];
    json_object_foreach((json_t *)table, key, value) {
        const char *const *k = known;
        while (*k && strcmp(*k, key) != 0) k++;
        if (*k == NULL)
            fail(r, join(full, path, key), "unknown key; remove it or correct its spelling");
    }
}

static const json_t *member(struct reader *r, const json_t *table, const char *path,
                            const char *key, json_type type, const char *wanted) {
    char full[PATH_MAX_TEXT];
    const json_t *value = json_object_get(table, key);
    if (value == NULL || json_typeof(value) == type) return value;
    fail(r, join(full, path, key), "must be %s", wanted);
    return NULL;
}

static const char *text(struct reader *r, const json_t *table, const char *path, const char *key) {
    return json_string_value(member(r, table, path, key, JSON_STRING, "a text in quotes"));
}

static bool boolean(struct reader *r, const json_t *table, const char *path, const char *key,
                    bool otherwise) {
    char full[PATH_MAX_TEXT];
    const json_t *value = json_object_get(table, key);
    if (value == NULL) return otherwise;
    if (!json_is_boolean(value)) fail(r, join(full, path, key), "must be true or false");
    return json_is_true(value);
}

static const json_t *list(struct reader *r, const json_t *table, const char *path,
                          const char *key) {
    return member(r, table, path, key, JSON_ARRAY, "a list");
}

static char *path_of(struct reader *r, const char *file) {
    if (file == NULL) return NULL;
    if (file[0] == '/' || *r->folder == 0) return sk_span_dup(sk_span_z(file));
    struct sk_buffer full = {0};
    sk_buffer_print(&full, "%s/%s", r->folder, file);
    char *copy = sk_span_dup(sk_buffer_span(&full));
    sk_buffer_free(&full);
    return copy;
}

/* "0.0.0.0:8883", "[::1]:443"; the port is -1 where there is none. */
static int read_address(struct reader *r, const char *path, const char *value,
                        struct sk_hub_address *address) {
    struct sk_span host;
    int port;
    if (sk_host_port_parse(sk_span_z(value), &host, &port)) {
        fail(r, path, "must be \"address\" or \"address:port\", such as \"0.0.0.0:8883\"");
        return 0;
    }
    address->host = sk_span_dup(host);
    address->port = port < 0 ? 0 : (uint16_t)port;
    return port;
}

/* An address without a port stands for those that SDKs dial: each takes every protocol, but a client
 * knows one port. */
static void read_addresses(struct reader *r, const json_t *list, struct sk_hub_config *config) {
    static const uint16_t ports[] = {8883, 5671, 443};
    enum { PORTS = sizeof ports / sizeof *ports };
    size_t n = json_array_size(list);
    if (n == 0) fail(r, "listen.addresses", "give at least one \"address:port\"");
    config->addresses = sk_alloc((n * PORTS + 1) * sizeof *config->addresses);
    for (size_t i = 0; i < n; i++) {
        struct sk_hub_address *first = &config->addresses[config->address_count++];
        int port =
            read_address(r, "listen.addresses", json_string_value(json_array_get(list, i)), first);
        if (port >= 0) continue;
        first->port = ports[0];
        for (size_t p = 1; p < PORTS; p++)
            config->addresses[config->address_count++] =
                (struct sk_hub_address){sk_span_dup(sk_span_z(first->host)), ports[p]};
    }
}

static unsigned connections(struct reader *r, const json_t *listen, const char *key) {
    char full[PATH_MAX_TEXT];
    const json_t *value = json_object_get(listen, key);
    json_int_t n = json_integer_value(value);
    if (value == NULL) return 0;
    if (!json_is_integer(value) || n < 1 || n > 1000000)
        fail(r, join(full, "listen", key), "must be a number of connections, 1 to 1000000");
    return (unsigned)n;
}

static void read_listen(struct reader *r, const json_t *document, struct sk_hub_config *config) {
    static const char *const keys[] = {"addresses",
                                       "certificate",
                                       "key",
                                       "metrics",
                                       "allowed_origins",
                                       "max_connections",
                                       "max_connections_per_address",
                                       "max_unauthenticated",
                                       NULL};
    const json_t *listen = member(r, document, "", "listen", JSON_OBJECT, "a table"), *addresses;
    if (listen == NULL) {
        fail(r, "listen",
             "the table [listen] is missing; add it with addresses, certificate and key");
        return;
    }
    check_keys(r, listen, "listen", keys);
    addresses = list(r, listen, "listen", "addresses");
    read_addresses(r, addresses, config);
    config->certificate = path_of(r, text(r, listen, "listen", "certificate"));
    config->key = path_of(r, text(r, listen, "listen", "key"));
    if (config->certificate == NULL || config->key == NULL)
        fail(r, "listen", "certificate and key must name the server's PEM files");
    const json_t *origins = list(r, listen, "listen", "allowed_origins");
    config->origin_count = json_array_size(origins);
    config->origins = sk_alloc((config->origin_count + 1) * sizeof *config->origins);
    for (size_t i = 0; i < config->origin_count; i++) {
        struct sk_span origin = sk_span_z(json_string_value(json_array_get(origins, i)));
        size_t scheme = sk_span_find(origin, ':');
        if (!sk_span_starts(sk_span_skip(origin, scheme), SK_SPAN("://")) ||
            sk_span_find(sk_span_skip(origin, scheme + 3), '/') + scheme + 3 < origin.n)
            fail(r, "listen.allowed_origins",
                 "an origin is scheme and host, such as \"https://tool.example\"");
        config->origins[i] = sk_span(sk_span_dup(origin), origin.n);
    }
    const char *metrics = text(r, listen, "listen", "metrics");
    if (metrics && read_address(r, "listen.metrics", metrics, &config->metrics) < 0)
        fail(r, "listen.metrics", "needs a port, such as \"127.0.0.1:9600\"");
    config->limits =
        (struct sk_door_limits){.connections = connections(r, listen, "max_connections"),
                                .an_address = connections(r, listen, "max_connections_per_address"),
                                .unproved = connections(r, listen, "max_unauthenticated")};
}

static void read_policy(struct reader *r, const json_t *table, const char *path,
                        struct sk_hub_policy *policy) {
    static const char *const keys[] = {"name", "keys", "rights", NULL};
    char full[PATH_MAX_TEXT];
    check_keys(r, table, path, keys);
    const char *name = text(r, table, path, "name");
    const json_t *secrets = list(r, table, path, "keys"), *rights = list(r, table, path, "rights");
    if (name == NULL) fail(r, path, "a policy needs a name");
    policy->name = sk_span_dup(sk_span_z(name));
    if (json_array_size(secrets) < 1 || json_array_size(secrets) > 2)
        fail(r, join(full, path, "keys"), "give one or two keys in base64");
    for (size_t i = 0; i < json_array_size(secrets) && i < 2; i++) {
        const char *key = json_string_value(json_array_get(secrets, i));
        struct sk_buffer decoded = {0};
        if (key == NULL || sk_base64_decode(&decoded, sk_span_z(key)) || decoded.n < 16 ||
            decoded.n > 64)
            fail(r, join(full, path, "keys"), "a key is base64 text of 16 to 64 bytes");
        sk_buffer_free(&decoded);
        *(i ? &policy->secondary_key : &policy->primary_key) = sk_span_dup(sk_span_z(key));
    }
    for (size_t i = 0; i < json_array_size(rights); i++) {
        unsigned bits;
        if (sk_rights_parse(sk_span_z(json_string_value(json_array_get(rights, i))), &bits))
            fail(r, join(full, path, "rights"),
                 "rights are RegistryRead, RegistryWrite, ServiceConnect and DeviceConnect");
        else
            policy->rights |= bits;
    }
    if (policy->rights == 0)
        fail(r, join(full, path, "rights"), "a policy needs at least one right");
}

static void read_route(struct reader *r, const json_t *table, const char *path,
                       struct sk_hub_route *route) {
    static const char *const keys[] = {"name", "source", "condition", "endpoint", "enabled", NULL};
    static const char *const sources[SK_SOURCE_COUNT] = {"DeviceMessages", "TwinChangeEvents",
                                                         "DeviceLifecycleEvents",
                                                         "DeviceConnectionStateEvents"};
    char full[PATH_MAX_TEXT];
    check_keys(r, table, path, keys);
    const char *name = text(r, table, path, "name"), *source = text(r, table, path, "source");
    const char *condition = text(r, table, path, "condition"),
               *endpoint = text(r, table, path, "endpoint");
    if (name == NULL) fail(r, path, "a route needs a name");
    if (endpoint && strcmp(endpoint, "events") != 0)
        fail(r, join(full, path, "endpoint"),
             "there is no endpoint '%s'; the built-in one is \"events\"", endpoint);
    size_t s = 0;
    while (source && s < SK_SOURCE_COUNT && strcmp(sources[s], source) != 0) s++;
    if (s == SK_SOURCE_COUNT)
        fail(r, join(full, path, "source"), "unknown source; telemetry is \"DeviceMessages\"");
    route->name = sk_span_dup(sk_span_z(name));
    route->source = source && s < SK_SOURCE_COUNT ? (enum sk_source)s : SK_SOURCE_TELEMETRY;
    route->condition = sk_span_dup(sk_span_z(condition ? condition : "true"));
    route->enabled = boolean(r, table, path, "enabled", true);
    struct sk_expr *compiled = NULL;
    struct sk_expr_error error;
    if (!r->failed &&
        sk_expr_compile(sk_span_z(route->condition), SK_DIALECT_ROUTE, &compiled, &error))
        fail(r, join(full, path, "condition"), "column %u: %s", error.column, error.sentence);
    sk_expr_free(compiled);
}

/* [[hub.ca]]: whoever writes it here vouches for it. */
static void read_cas(struct reader *r, const json_t *table, const char *path,
                     struct sk_hub_options *hub) {
    static const char *const keys[] = {"file", "verified", NULL};
    char item[PATH_MAX_TEXT], full[PATH_MAX_TEXT];
    const json_t *cas = list(r, table, path, "ca");
    hub->ca_file_count = json_array_size(cas);
    hub->ca_files = sk_alloc((hub->ca_file_count + 1) * sizeof *hub->ca_files);
    for (size_t i = 0; i < hub->ca_file_count; i++) {
        const json_t *ca = json_array_get(cas, i);
        snprintf(item, sizeof item, "%.200s.ca[%zu]", path, i);
        check_keys(r, ca, item, keys);
        hub->ca_files[i] = path_of(r, text(r, ca, item, "file"));
        if (hub->ca_files[i] == NULL) fail(r, item, "a CA certificate needs file = \"….pem\"");
        if (!boolean(r, ca, item, "verified", false))
            fail(r, join(full, item, "verified"),
                 "must be true: you vouch for this CA; to prove possession of its key instead, use "
                 "`skerry certificate add`");
    }
}

/* Of the disk: for the registry, and for whoever else writes there. */
#define DEFAULT_RESERVE (256ull << 20)

static uint64_t read_bytes(struct reader *r, const json_t *table, const char *path, const char *key,
                           uint64_t otherwise) {
    char full[PATH_MAX_TEXT];
    const json_t *value = member(r, table, path, key, JSON_INTEGER, "a number of bytes");
    if (value == NULL) return otherwise;
    if (json_integer_value(value) < 0) fail(r, join(full, path, key), "must not be negative");
    return (uint64_t)json_integer_value(value);
}

static uint64_t read_retention(struct reader *r, const json_t *table, const char *path) {
    char full[PATH_MAX_TEXT];
    const char *value = text(r, table, path, "retention");
    int64_t us = 86400000000; /* a day, as IoT Hub's default */
    if (value && (sk_duration_parse(sk_span_z(value), &us) || us <= 0))
        fail(r, join(full, path, "retention"), "must be a time such as \"1d\" or \"12h\"");
    return (uint64_t)us;
}

/* A time within limits, both in seconds; 0 when it is not given. */
static int64_t read_time(struct reader *r, const json_t *table, const char *path, const char *key,
                         int64_t least_s, int64_t most_s) {
    char full[PATH_MAX_TEXT];
    const char *value = text(r, table, path, key);
    int64_t us = 0;
    if (value && (sk_duration_parse(sk_span_z(value), &us) || us < least_s * 1000000 ||
                  us > most_s * 1000000))
        fail(r, join(full, path, key),
             "must be a time from %lld to %lld seconds, such as \"90s\" or \"PT1M30S\"",
             (long long)least_s, (long long)most_s);
    return us;
}

/* 1 to 100; 0 when it is not given. */
static unsigned read_delivery_count(struct reader *r, const json_t *table, const char *path) {
    static const char key[] = "max_delivery_count";
    char full[PATH_MAX_TEXT];
    const json_t *value = member(r, table, path, key, JSON_INTEGER, "a number");
    json_int_t count = json_integer_value(value);
    if (value && (count < 1 || count > 100)) fail(r, join(full, path, key), "must be 1 to 100");
    return value ? (unsigned)count : 0;
}

/* The limits are IoT Hub's: docs/protocols/device-protocols.md, section 6.1. */
static void read_cloud_to_device(struct reader *r, const json_t *table, const char *path,
                                 struct sk_hub_c2d_options *c2d) {
    static const char *const keys[] = {"default_ttl", "max_delivery_count", "feedback", NULL};
    static const char *const feedback_keys[] = {"ttl", "lock_duration", "max_delivery_count", NULL};
    char inner[PATH_MAX_TEXT];
    if (table == NULL) return;
    check_keys(r, table, path, keys);
    c2d->default_ttl_us = read_time(r, table, path, "default_ttl", 60, 172800);
    c2d->deliveries_max = read_delivery_count(r, table, path);
    const json_t *feedback = member(r, table, path, "feedback", JSON_OBJECT, "a table");
    if (feedback == NULL) return;
    join(inner, path, "feedback");
    check_keys(r, feedback, inner, feedback_keys);
    c2d->feedback_ttl_us = read_time(r, feedback, inner, "ttl", 60, 172800);
    c2d->feedback_lock_us = read_time(r, feedback, inner, "lock_duration", 5, 300);
    c2d->feedback_deliveries_max = read_delivery_count(r, feedback, inner);
}

/* The event stream. */
static void read_events(struct reader *r, const json_t *table, const char *path,
                        struct sk_hub_options *hub) {
    char full[PATH_MAX_TEXT];
    const json_t *partitions = member(r, table, path, "partitions", JSON_INTEGER, "a number");
    const json_t *groups = list(r, table, path, "consumer_groups");
    json_int_t count = partitions ? json_integer_value(partitions) : SK_HUB_PARTITIONS;
    if (count < 1 || count > SK_PARTITIONS_MAX)
        fail(r, join(full, path, "partitions"), "must be 1 to %d", SK_PARTITIONS_MAX);
    hub->partitions = (unsigned)count;
    hub->take_events = boolean(r, table, path, "take_events", false);
    join(full, path, "consumer_groups");
    if (json_array_size(groups) > SK_HUB_CONSUMER_GROUPS_MAX) {
        fail(r, full, "a hub has at most %d consumer groups beside $Default",
             SK_HUB_CONSUMER_GROUPS_MAX);
        return;
    }
    hub->consumer_groups = sk_alloc((json_array_size(groups) + 1) * sizeof *hub->consumer_groups);
    for (size_t i = 0; i < json_array_size(groups); i++) {
        struct sk_span name = sk_span_z(json_string_value(json_array_get(groups, i)));
        bool fine = name.n > 0 && name.n <= 50 && sk_span_only(name, "-._"); /* Event Hubs' rule */
        if (!fine)
            fail(r, full, "a name has 1 to 50 letters, digits, dots, hyphens and underscores");
        hub->consumer_groups[hub->consumer_group_count++] = sk_span_dup(name);
    }
}

static bool read_chaos(struct reader *r, const json_t *table, const char *path) {
    static const char *const keys[] = {"enabled", NULL};
    if (table == NULL) return false;
    check_keys(r, table, path, keys);
    return boolean(r, table, path, "enabled", false);
}

static void read_hub(struct reader *r, const json_t *table, const char *path,
                     struct sk_hub_options *hub) {
    static const char *const keys[] = {"name",
                                       "hostnames",
                                       "data",
                                       "retention",
                                       "retention_bytes",
                                       "reserve_bytes",
                                       "policy",
                                       "route",
                                       "fallback",
                                       "cloud_to_device",
                                       "ca",
                                       "partitions",
                                       "consumer_groups",
                                       "take_events",
                                       "chaos",
                                       NULL};
    char full[PATH_MAX_TEXT], item[PATH_MAX_TEXT];
    check_keys(r, table, path, keys);
    const char *name = text(r, table, path, "name"), *data = text(r, table, path, "data");
    const json_t *hosts = list(r, table, path, "hostnames");
    const json_t *policies = list(r, table, path, "policy"),
                 *routes = list(r, table, path, "route");
    const json_t *fallback = member(r, table, path, "fallback", JSON_OBJECT, "a table");
    if (name == NULL) fail(r, path, "a hub needs a name");
    if (data == NULL) fail(r, path, "a hub needs data = \"folder\"");
    if (json_array_size(hosts) == 0)
        fail(r, join(full, path, "hostnames"), "give at least one host name");
    hub->name = sk_span_dup(sk_span_z(name));
    hub->data = path_of(r, data ? data : "");
    hub->host_name_count = json_array_size(hosts);
    hub->host_names = sk_alloc((hub->host_name_count + 1) * sizeof *hub->host_names);
    for (size_t i = 0; i < hub->host_name_count; i++) {
        const char *host = json_string_value(json_array_get(hosts, i));
        if (host == NULL || *host == 0)
            fail(r, join(full, path, "hostnames"), "host names are texts in quotes");
        hub->host_names[i] = sk_span_dup(sk_span_z(host));
    }
    hub->retention_us = read_retention(r, table, path);
    hub->retention_bytes = read_bytes(r, table, path, "retention_bytes", 0);
    hub->reserve_bytes = read_bytes(r, table, path, "reserve_bytes", DEFAULT_RESERVE);
    read_events(r, table, path, hub);
    hub->policy_count = json_array_size(policies);
    if (hub->policy_count > SK_HUB_POLICIES_MAX)
        fail(r, join(full, path, "policy"), "a hub has at most %d policies", SK_HUB_POLICIES_MAX);
    hub->policies = sk_alloc((hub->policy_count + 1) * sizeof *hub->policies);
    for (size_t i = 0; i < hub->policy_count; i++) {
        snprintf(item, sizeof item, "%.200s.policy[%zu]", path, i);
        read_policy(r, json_array_get(policies, i), item, &hub->policies[i]);
    }
    hub->route_count = json_array_size(routes);
    if (hub->route_count > SK_HUB_ROUTES_MAX)
        fail(r, join(full, path, "route"), "a hub has at most %d routes", SK_HUB_ROUTES_MAX);
    hub->routes = sk_alloc((hub->route_count + 1) * sizeof *hub->routes);
    for (size_t i = 0; i < hub->route_count; i++) {
        snprintf(item, sizeof item, "%.200s.route[%zu]", path, i);
        read_route(r, json_array_get(routes, i), item, &hub->routes[i]);
    }
    read_cloud_to_device(r, member(r, table, path, "cloud_to_device", JSON_OBJECT, "a table"),
                         join(full, path, "cloud_to_device"), &hub->c2d);
    read_cas(r, table, path, hub);
    hub->chaos = read_chaos(r, member(r, table, path, "chaos", JSON_OBJECT, "a table"),
                            join(full, path, "chaos"));
    hub->fallback =
        fallback ? boolean(r, fallback, join(full, path, "fallback"), "enabled", true) : true;
}

/* Hubs are told apart by host name, in logs by name, and each has its folder for itself. */
static void check_hub_apart(struct reader *r, const struct sk_hub_config *config, size_t at) {
    const struct sk_hub_options *hub = &config->hubs[at];
    char path[32], full[PATH_MAX_TEXT];
    snprintf(path, sizeof path, "hub[%zu]", at);
    for (size_t i = 0; i < at && !r->failed; i++) {
        const struct sk_hub_options *other = &config->hubs[i];
        if (strcmp(hub->name, other->name) == 0)
            fail(r, join(full, path, "name"), "another hub has the name '%s'; give it its own",
                 hub->name);
        if (strcmp(hub->data, other->data) == 0)
            fail(r, join(full, path, "data"), "hub '%s' has this folder; give it its own",
                 other->name);
        for (size_t j = 0; j < hub->host_name_count; j++)
            for (size_t k = 0; k < other->host_name_count; k++)
                if (sk_span_eq_nocase(sk_span_z(hub->host_names[j]),
                                      sk_span_z(other->host_names[k])))
                    fail(r, join(full, path, "hostnames"),
                         "hub '%s' has the host name %s; give it its own", other->name,
                         hub->host_names[j]);
    }
    for (size_t i = 0; i < hub->policy_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(hub->policies[i].name, hub->policies[j].name) == 0)
                fail(r, join(full, path, "policy"), "two policies have the name '%s'",
                     hub->policies[i].name);
}

enum sk_status sk_hub_config_parse(struct sk_span toml, const char *file_name, const char *folder,
                                   struct sk_hub_config *config,
                                   char error[SK_HUB_CONFIG_ERROR_MAX]) {
    static const char *const keys[] = {"listen", "hub", NULL};
    json_t *document, *lines;
    *config = (struct sk_hub_config){0};
    enum sk_status status = sk_toml_parse(toml, file_name, &document, &lines, error);
    if (status) return status;
    struct reader r = {.file = file_name, .folder = folder, .lines = lines, .error = error};
    check_keys(&r, document, "", keys);
    read_listen(&r, document, config);
    const json_t *hubs = list(&r, document, "", "hub");
    if (json_array_size(hubs) == 0) fail(&r, "hub", "give at least one [[hub]]");
    config->hubs = sk_alloc((json_array_size(hubs) + 1) * sizeof *config->hubs);
    for (size_t i = 0; i < json_array_size(hubs) && !r.failed; i++) {
        char path[32];
        snprintf(path, sizeof path, "hub[%zu]", i);
        config->hub_count = i + 1;
        read_hub(&r, json_array_get(hubs, i), path, &config->hubs[i]);
        if (!r.failed) check_hub_apart(&r, config, i);
    }
    json_decref(document);
    json_decref(lines);
    if (!r.failed) return SK_OK;
    sk_hub_config_free(config);
    return SK_INVALID;
}

enum sk_status sk_hub_config_load(struct sk_io *io, const char *path, struct sk_hub_config *config,
                                  char error[SK_HUB_CONFIG_ERROR_MAX]) {
    struct sk_buffer toml = {.limit = 1024 * 1024};
    enum sk_status status = sk_file_load(io, path, &toml);
    if (status) {
        snprintf(error, SK_HUB_CONFIG_ERROR_MAX,
                 "%s: cannot be read (%s); make one with `skerry-hub init DIR`", path,
                 sk_status_text(status));
        return status;
    }
    const char *slash = strrchr(path, '/');
    SK_CLEANUP_FREE char *folder = sk_span_dup(sk_span(path, slash ? (size_t)(slash - path) : 0));
    status = sk_hub_config_parse(sk_buffer_span(&toml), path, folder, config, error);
    sk_buffer_free(&toml);
    return status;
}

void sk_hub_config_free(struct sk_hub_config *config) {
    for (size_t i = 0; i < config->address_count; i++) free(config->addresses[i].host);
    free(config->addresses);
    for (size_t i = 0; i < config->origin_count; i++) free((void *)(uintptr_t)config->origins[i].p);
    free(config->origins);
    free(config->certificate);
    free(config->key);
    free(config->metrics.host);
    for (size_t i = 0; i < config->hub_count; i++) {
        struct sk_hub_options *hub = &config->hubs[i];
        for (size_t j = 0; j < hub->host_name_count; j++) free(hub->host_names[j]);
        for (size_t j = 0; j < hub->policy_count; j++) {
            free(hub->policies[j].name);
            free(hub->policies[j].primary_key);
            free(hub->policies[j].secondary_key);
        }
        for (size_t j = 0; j < hub->route_count; j++) {
            free(hub->routes[j].name);
            free(hub->routes[j].condition);
        }
        for (size_t j = 0; j < hub->ca_file_count; j++) free(hub->ca_files[j]);
        for (size_t j = 0; j < hub->consumer_group_count; j++) free(hub->consumer_groups[j]);
        free(hub->consumer_groups);
        free(hub->ca_files);
        free(hub->host_names);
        free(hub->policies);
        free(hub->routes);
        free(hub->name);
        free(hub->data);
    }
    free(config->hubs);
    *config = (struct sk_hub_config){0};
}
