/* hub.toml: the keys of the server and of each hub; those of a hub's parts are in the parts. */
#include "hub/server/config.h"

#include <stdio.h>

#include "config/toml.h"

/* ---- forms ---- */

static bool is_origin(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    size_t scheme = sk_span_find(text, ':');
    snprintf(why, SK_CONFIG_WHY_MAX,
             "an origin is scheme and host, such as \"https://tool.example\"");
    return sk_span_starts(sk_span_skip(text, scheme), SK_SPAN("://")) &&
           sk_span_find(sk_span_skip(text, scheme + 3), '/') + scheme + 3 >= text.n;
}

/* Of a policy: keys of which each is base64 of 16 to 64 bytes. */
static bool measure_keys(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    size_t i;
    json_t *text;
    (void)key;
    *n = (int64_t)json_array_size(value);
    if (!json_is_array(value)) return false;
    json_array_foreach((json_t *)value, i, text) {
        struct sk_buffer decoded = {0};
        bool fine = json_is_string(text) &&
                    sk_base64_decode(&decoded, sk_span_z(json_string_value(text))) == SK_OK &&
                    decoded.n >= 16 && decoded.n <= 64;
        sk_buffer_free(&decoded);
        if (!fine) return false;
    }
    return true;
}

static void take_keys(struct sk_config *config, const struct sk_config_key *key, const char *path,
                      const json_t *value, void *to) {
    struct sk_hub_policy *policy = to;
    const char **keys[] = {&policy->primary_key, &policy->secondary_key};
    (void)key, (void)path;
    for (size_t i = 0; i < json_array_size(value); i++) {
        struct sk_span text = sk_span_z(json_string_value(json_array_get(value, i)));
        *keys[i] = sk_arena_copy(config->arena, text).p;
    }
}

/* Sets of rights, as bits; the limits are about how many texts there are. */
static bool measure_rights(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    size_t i;
    json_t *text;
    unsigned bits;
    (void)key;
    *n = (int64_t)json_array_size(value);
    if (!json_is_array(value)) return false;
    json_array_foreach(
        (json_t *)value, i,
        text) if (sk_rights_parse(sk_span_z(json_string_value(text)), &bits)) return false;
    return true;
}

static void take_rights(struct sk_config *config, const struct sk_config_key *key, const char *path,
                        const json_t *value, void *to) {
    size_t i;
    json_t *text;
    unsigned rights = 0, bits;
    (void)config, (void)path;
    json_array_foreach((json_t *)value, i, text) {
        if (sk_rights_parse(sk_span_z(json_string_value(text)), &bits) == SK_OK) rights |= bits;
    }
    sk_config_store(key, to, rights);
}

static const struct sk_config_type policy_keys = {.words = "a list of",
                                                  .link = " ",
                                                  .unit = " keys, each base64 of 16 to 64 bytes",
                                                  .measure = measure_keys,
                                                  .take = take_keys};
static const struct sk_config_type policy_rights = {
    .words = "a list of",
    .link = " ",
    .unit = " rights: RegistryRead, RegistryWrite, ServiceConnect, DeviceConnect",
    .measure = measure_rights,
    .take = take_rights};

/* ---- keys ---- */

#define SERVER(field) SK_CONFIG_AT(struct sk_hub_config, field)
#define HUB(field) SK_CONFIG_AT(struct sk_hub_options, field)
#define POLICY(field) SK_CONFIG_AT(struct sk_hub_policy, field)

enum { CONNECTIONS_MAX = 1000000 };
/* Of the disk: for the registry, and for whoever else writes there. */
#define RESERVE "268435456"

static const struct sk_config_key server_keys[] = {
    {"listen", &sk_config_table, .need = "add [listen] with addresses, certificate and key",
     .does = "Where it listens. Every listener takes MQTT, AMQP, HTTPS and WebSockets"},
    {"listen.addresses", &sk_config_addresses,
     SK_CONFIG_LIST(struct sk_hub_config, addresses, address_count), .least = 1,
     .need = "write addresses = [\"0.0.0.0\"]", .such_as = "[\"0.0.0.0:8883\"]", .at_start = true,
     .does = "Addresses with their ports; one without a port has those that SDKs dial: 8883, 5671 "
             "and 443"},
    {"listen.certificate", &sk_config_path, SERVER(certificate),
     .need = "certificate and key name the server's PEM files", .such_as = "\"server.pem\"",
     .does = "PEM file of the server's certificate with its chain"},
    {"listen.key", &sk_config_path, SERVER(key),
     .need = "certificate and key name the server's PEM files", .such_as = "\"server.key\"",
     .does = "PEM file of the certificate's key"},
    {"listen.metrics", &sk_config_address, SERVER(metrics), .at_start = true,
     .such_as = "\"127.0.0.1:9600\"", .otherwise_words = "none",
     .does = "Where `/metrics`, `/health/live` and `/health/ready` are, by plain HTTP"},
    {"listen.allowed_origins", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_config, origins, origin_count), .fine = is_origin,
     .such_as = "[\"https://tool.example\"]", .otherwise_words = "none",
     .does = "Pages that may open WebSockets here, beside our own host's",
     .page = "how-to/websockets-and-proxies.md"},
    {"listen.max_connections", &sk_config_integer, SERVER(limits.connections), .at_start = true,
     .least = 1, .most = CONNECTIONS_MAX,
     .otherwise_words = "what the limit of open files allows, less a reserve of an eighth (64 to "
                        "1024), at most 250000",
     .does = "Open connections of all listeners; at the limit the oldest that has not "
             "authenticated goes for a newcomer",
     .page = "decisions/0012-doors.md"},
    {"listen.max_connections_per_address", &sk_config_integer, SERVER(limits.an_address),
     .at_start = true, .least = 1, .most = CONNECTIONS_MAX, .otherwise_words = "half of all",
     .does = "Of these from one address"},
    {"listen.max_unauthenticated", &sk_config_integer, SERVER(limits.unproved), .at_start = true,
     .least = 1, .most = CONNECTIONS_MAX, .otherwise_words = "a quarter of all, at most 2048",
     .does = "Of these without a credential yet"},

    {"hub[]", &sk_config_tables, SK_CONFIG_LIST(struct sk_hub_config, hubs, hub_count), .least = 1,
     .at_start = true, .need = "give at least one [[hub]]",
     .does = "A hub; several are told apart by host name"},
    {"hub[].name", &sk_config_text, HUB(name), .need = "give the hub a name", .at_start = true,
     .such_as = "\"demo\"", .does = "The hub's name"},
    {"hub[].hostnames", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_options, host_names, host_name_count), .least = 1,
     .need = "give at least one host name", .such_as = "[\"hub.local\"]",
     .does = "Names and addresses that it answers to; the first goes into connection strings"},
    {"hub[].data", &sk_config_path, HUB(data), .need = "write data = \"folder\"", .at_start = true,
     .such_as = "\"data/demo\"", .does = "Folder of `registry.db` and `events/`"},
    {"hub[].retention", &sk_config_duration, HUB(retention_us), .such_as = "\"12h\"",
     .otherwise = "\"1d\"", .does = "How long events are kept"},
    {"hub[].retention_bytes", &sk_config_bytes, HUB(retention_bytes), .otherwise_words = "no limit",
     .does = "The oldest events go when they take more"},
    {"hub[].reserve_bytes", &sk_config_bytes, HUB(reserve_bytes), .otherwise = RESERVE,
     .does = "The oldest events go while the disk has less than this free, so that no device fills "
             "it for all; `0`: they stay, and what comes is refused",
     .page = "decisions/0016-a-reserve-of-the-disk.md"},
    {"hub[].chaos", &sk_config_table, .does = "Faults on demand, for tests of devices"},
    {"hub[].chaos.enabled", &sk_config_boolean, HUB(chaos), .otherwise = "false",
     .does = "Devices may ask the hub for faults of their own connection",
     .page = "how-to/test-devices-with-faults.md"},
    {"hub[].policy[]", &sk_config_tables,
     SK_CONFIG_LIST(struct sk_hub_options, policies, policy_count), .most = SK_HUB_POLICIES_MAX,
     .does = "Shared access policies"},
    {"hub[].policy[].name", &sk_config_text, POLICY(name), .need = "give the policy a name",
     .such_as = "\"service\"", .does = "Its name"},
    {"hub[].policy[].keys", &policy_keys, .size = sizeof(struct sk_hub_policy), .least = 1,
     .most = 2, .need = "give one or two keys in base64", .secret = true,
     .such_as = "[\"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\"]",
     .does = "The primary key and the secondary one"},
    {"hub[].policy[].rights", &policy_rights, POLICY(rights), .least = 1,
     .need = "a policy needs at least one right", .such_as = "[\"ServiceConnect\"]",
     .does = "What tokens signed with it may do"},
    {0}};

sk_config_keys sk_hub_config_keys(const struct sk_config_key *tables[SK_HUB_KEY_TABLES_MAX]) {
    tables[0] = server_keys;
    for (size_t i = 0;; i++) {
        SK_ASSERT(1 + i < SK_HUB_KEY_TABLES_MAX);
        tables[1 + i] = sk_hub_keys(i);
        if (tables[1 + i] == NULL) return tables;
    }
}

void sk_hub_config_reference(struct sk_buffer *to) {
    const struct sk_config_key *tables[SK_HUB_KEY_TABLES_MAX];
    sk_config_put_reference(
        to, sk_hub_config_keys(tables), "hub.toml",
        "Printed by `skerry-hub reference`. The file is made by `skerry-hub init` and checked by "
        "`skerry-hub check`, which\ntells what counts. Relative paths count from its folder. A "
        "mistake is told with file, line, key and the mend.");
}

/* ---- reading ---- */

static void check_rules_apart(struct sk_config *reading, const struct sk_hub_options *hub,
                              size_t at) {
    for (size_t i = 0; i < hub->ip_rule_count; i++)
        for (size_t j = 0; j < i; j++) {
            char path[64];
            if (!sk_span_eq_nocase(sk_span_z(hub->ip_rules[i].name),
                                   sk_span_z(hub->ip_rules[j].name)))
                continue;
            snprintf(path, sizeof path, "hub[%zu].ip_filter[%zu].name", at, i);
            sk_config_refuse(reading, path, "another rule has the name '%s'; give it its own.",
                             hub->ip_rules[j].name);
        }
}

/* Hubs are told apart by host name, in logs by name, and each has its folder for itself. */
static void check_hub_apart(struct sk_config *reading, const struct sk_hub_config *config,
                            size_t at) {
    const struct sk_hub_options *hub = &config->hubs[at];
    char names[32], data[32], hosts[32], policy[32];
    snprintf(names, sizeof names, "hub[%zu].name", at);
    snprintf(data, sizeof data, "hub[%zu].data", at);
    snprintf(hosts, sizeof hosts, "hub[%zu].hostnames", at);
    snprintf(policy, sizeof policy, "hub[%zu].policy", at);
    for (size_t i = 0; i < at; i++) {
        const struct sk_hub_options *other = &config->hubs[i];
        if (strcmp(hub->name, other->name) == 0)
            sk_config_refuse(reading, names, "another hub has the name '%s'; give it its own.",
                             hub->name);
        if (strcmp(hub->data, other->data) == 0)
            sk_config_refuse(reading, data, "hub '%s' has this folder; give it its own.",
                             other->name);
        for (size_t j = 0; j < hub->host_name_count; j++)
            for (size_t k = 0; k < other->host_name_count; k++)
                if (sk_span_eq_nocase(sk_span_z(hub->host_names[j]),
                                      sk_span_z(other->host_names[k])))
                    sk_config_refuse(reading, hosts,
                                     "hub '%s' has the host name %s; give it its own.", other->name,
                                     hub->host_names[j]);
    }
    for (size_t i = 0; i < hub->policy_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(hub->policies[i].name, hub->policies[j].name) == 0)
                sk_config_refuse(reading, policy, "two policies have the name '%s'.",
                                 hub->policies[i].name);
    check_rules_apart(reading, hub, at);
}

/* `before`: NULL, or what counts while the file is read again. */
static enum sk_status parse(struct sk_span toml, const char *file_name, const char *folder,
                            const struct sk_hub_config *before, struct sk_hub_config *config,
                            struct sk_buffer *told, char *error) {
    const struct sk_config_key *tables[SK_HUB_KEY_TABLES_MAX];
    json_t *document, *lines;
    *config = (struct sk_hub_config){0};
    enum sk_status status = sk_toml_parse(toml, file_name, &document, &lines, error);
    if (status) return status;
    struct sk_config reading = {.keys = sk_hub_config_keys(tables),
                                .file = file_name,
                                .folder = folder,
                                .lines = lines,
                                .arena = &config->arena,
                                .told = told,
                                .error = error};
    status = sk_config_read(&reading, document, config);
    for (size_t i = 0; i < config->hub_count && !status; i++) {
        char path[32];
        snprintf(path, sizeof path, "hub[%zu]", i);
        config->hubs[i].table = json_array_get(json_object_get(document, "hub"), i);
        check_hub_apart(&reading, config, i);
        sk_hub_check(&reading, path, &config->hubs[i]);
    }
    if (before && !reading.failed) sk_config_keep(&reading, before->document, document);
    config->document = document;
    config->file = sk_arena_copy(&config->arena, sk_span_z(file_name)).p;
    json_decref(lines);
    if (!reading.failed) return SK_OK;
    sk_hub_config_free(config);
    return SK_INVALID;
}

enum sk_status sk_hub_config_parse(struct sk_span toml, const char *file_name, const char *folder,
                                   struct sk_hub_config *config,
                                   char error[SK_HUB_CONFIG_ERROR_MAX]) {
    return parse(toml, file_name, folder, NULL, config, NULL, error);
}

enum sk_status sk_hub_config_text(struct sk_io *io, const char *path, struct sk_buffer *toml,
                                  char error[SK_HUB_CONFIG_ERROR_MAX]) {
    toml->limit = SK_HUB_CONFIG_BYTES_MAX;
    enum sk_status status = sk_file_load(io, path, toml);
    if (status)
        snprintf(error, SK_HUB_CONFIG_ERROR_MAX,
                 "%s: cannot be read (%s); make one with `skerry-hub init DIR`", path,
                 sk_status_text(status));
    return status;
}

/* As the text of a file; relative paths count from its folder. */
static enum sk_status parse_file(struct sk_span toml, const char *path,
                                 const struct sk_hub_config *before, struct sk_hub_config *config,
                                 struct sk_buffer *told, char *error) {
    const char *slash = strrchr(path, '/');
    SK_CLEANUP_FREE char *folder = sk_span_dup(sk_span(path, slash ? (size_t)(slash - path) : 0));
    return parse(toml, path, folder, before, config, told, error);
}

static enum sk_status load(struct sk_io *io, const char *path, const struct sk_hub_config *before,
                           struct sk_hub_config *config, struct sk_buffer *told, char *error) {
    struct sk_buffer toml = {0};
    enum sk_status status = sk_hub_config_text(io, path, &toml, error);
    if (!status) status = parse_file(sk_buffer_span(&toml), path, before, config, told, error);
    sk_buffer_free(&toml);
    return status;
}

enum sk_status sk_hub_config_load(struct sk_io *io, const char *path, struct sk_hub_config *config,
                                  struct sk_buffer *told, char error[SK_HUB_CONFIG_ERROR_MAX]) {
    return load(io, path, NULL, config, told, error);
}

enum sk_status sk_hub_config_load_again(struct sk_io *io, const struct sk_hub_config *now,
                                        struct sk_hub_config *next,
                                        char error[SK_HUB_CONFIG_ERROR_MAX]) {
    return load(io, now->file, now, next, NULL, error);
}

enum sk_status sk_hub_config_parse_again(struct sk_span text, const struct sk_hub_config *now,
                                         struct sk_hub_config *next,
                                         char error[SK_HUB_CONFIG_ERROR_MAX]) {
    return parse_file(text, now->file, now, next, NULL, error);
}

void sk_hub_config_free(struct sk_hub_config *config) {
    json_decref(config->document);
    sk_arena_free(&config->arena);
    *config = (struct sk_hub_config){0};
}
