/* `skerry-hub init`: a folder with everything a first start needs. */
#include <stdio.h>

#include "hub/server/server.h"
#include "trust/x509.h"

enum { CA_DAYS = 3650, SERVER_DAYS = 825 /* more is refused by some TLS clients */ };

static const struct {
    const char *name, *rights;
} default_policies[] = {
    {"iothubowner", "\"RegistryRead\", \"RegistryWrite\", \"ServiceConnect\", \"DeviceConnect\""},
    {"service", "\"ServiceConnect\""},
    {"device", "\"DeviceConnect\""},
    {"registryRead", "\"RegistryRead\""},
    {"registryReadWrite", "\"RegistryRead\", \"RegistryWrite\""},
};

/* A line of hub.toml with the sentence of its key; `value` NULL: its default. */
static void put_line(struct sk_buffer *to, const char *key, const char *value) {
    const struct sk_config_key *tables[SK_HUB_KEY_TABLES_MAX];
    sk_config_put_line(to, sk_hub_config_keys(tables), key, value);
}

static void put_text(struct sk_buffer *to, const char *key, const char *text) {
    struct sk_buffer value = {0};
    sk_json_string(&value, sk_span_z(text)); /* a JSON string is a TOML basic string */
    sk_buffer_byte(&value, 0);
    put_line(to, key, value.p);
    sk_buffer_free(&value);
}

static void put_texts(struct sk_buffer *to, const char *key, const char *const *texts,
                      size_t count) {
    struct sk_buffer value = {0};
    for (size_t i = 0; i < count; i++) {
        sk_buffer_text(&value, i ? ", " : "[");
        sk_json_string(&value, sk_span_z(texts[i]));
    }
    sk_buffer_append(&value, sk_span("]", 2));
    put_line(to, key, value.p);
    sk_buffer_free(&value);
}

static void put_hub(struct sk_io *io, const struct sk_hub_init *init, const char *hub,
                    struct sk_buffer *to) {
    char data[256];
    snprintf(data, sizeof data, "data/%s", hub);
    sk_buffer_text(to, "\n[[hub]]\n");
    put_text(to, "hub[].name", hub);
    put_texts(to, "hub[].hostnames", init->host_names, init->host_name_count);
    put_text(to, "hub[].data", data);
    put_line(to, "hub[].partitions", NULL);
    put_line(to, "hub[].retention", NULL);
    for (size_t p = 0; p < sizeof default_policies / sizeof *default_policies; p++) {
        sk_buffer_print(to, "[[hub.policy]]\nname = \"%s\"\nkeys = [\"", default_policies[p].name);
        sk_io_put_key(io, 32, to);
        sk_buffer_text(to, "\", \"");
        sk_io_put_key(io, 32, to);
        sk_buffer_print(to, "\"]\nrights = [%s]\n", default_policies[p].rights);
    }
    sk_buffer_text(to, "[hub.series]\n");
    put_line(to, "hub[].series.enabled", "true");
}

static void put_config(struct sk_io *io, const struct sk_hub_init *init, struct sk_buffer *to) {
    sk_buffer_text(to, "# skerry-hub: all keys are in docs/reference/hub.toml.md, and printed by "
                       "`skerry-hub reference`.\n"
                       "# Check with `skerry-hub check --config hub.toml`.\n\n[listen]\n");
    put_texts(to, "listen.addresses", init->addresses, init->address_count);
    put_text(to, "listen.certificate", "server.pem");
    put_text(to, "listen.key", "server.key");
    if (init->metrics) put_text(to, "listen.metrics", init->metrics);
    for (size_t h = 0; h < init->hub_count; h++) put_hub(io, init, init->hubs[h], to);
}

static enum sk_status save(struct sk_io *io, const char *folder, const char *name,
                           struct sk_span bytes, unsigned mode, char *reason) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    enum sk_status status = sk_file_save(io, path, bytes, mode);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "cannot write %s (%s)", path,
                 sk_status_text(status));
    return status;
}

static enum sk_status make_certificates(struct sk_io *io, const struct sk_hub_init *init,
                                        char *reason) {
    struct sk_buffer ca = {0}, ca_key = {0}, leaf = {0}, leaf_key = {0};
    struct sk_span names[64];
    int64_t now = sk_io_wall(io) / 1000000;
    size_t n = 0;
    for (; n < init->host_name_count && n < 64; n++) names[n] = sk_span_z(init->host_names[n]);
    struct sk_x509_request request = {.use = SK_X509_CA,
                                      .common_name = SK_SPAN("Skerry hub CA"),
                                      .path_length = -1,
                                      .not_before_s = now - 3600,
                                      .not_after_s = now + CA_DAYS * 86400ll};
    enum sk_status status = sk_x509_make(&request, &ca, &ca_key);
    request = (struct sk_x509_request){.use = SK_X509_SERVER,
                                       .common_name = names[0],
                                       .names = names,
                                       .name_count = n,
                                       .not_before_s = now - 3600,
                                       .not_after_s = now + SERVER_DAYS * 86400ll,
                                       .issuer_certificate_pem = sk_buffer_span(&ca),
                                       .issuer_key_pem = sk_buffer_span(&ca_key)};
    if (!status) status = sk_x509_make(&request, &leaf, &leaf_key);
    if (status)
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "cannot make a certificate for %s",
                 init->host_names[0]);
    /* The CA stays out of the server's chain, as with every root: who trusts it has it, and who
     * does not gets from the Node SDKs the error that they know. */
    if (!status) status = save(io, init->folder, "ca.pem", sk_buffer_span(&ca), 0644, reason);
    if (!status) status = save(io, init->folder, "ca.key", sk_buffer_span(&ca_key), 0600, reason);
    if (!status) status = save(io, init->folder, "server.pem", sk_buffer_span(&leaf), 0644, reason);
    if (!status)
        status = save(io, init->folder, "server.key", sk_buffer_span(&leaf_key), 0600, reason);
    sk_buffer_free(&ca);
    sk_buffer_free(&ca_key);
    sk_buffer_free(&leaf);
    sk_buffer_free(&leaf_key);
    return status;
}

/* The Event Hubs-compatible endpoint, for every policy that may read it. */
static void put_event_hubs(const struct sk_hub_options *hub, struct sk_buffer *json) {
    const char *comma = "";
    for (size_t p = 0; p < hub->policy_count; p++) {
        const struct sk_hub_policy *policy = &hub->policies[p];
        if (!(policy->rights & SK_RIGHT_SERVICE_CONNECT)) continue;
        sk_buffer_print(json,
                        "%s\"%s\":\"Endpoint=sb://%s/;SharedAccessKeyName=%s;SharedAccessKey=%s;"
                        "EntityPath=%s\"",
                        comma, policy->name, hub->host_names[0], policy->name, policy->primary_key,
                        hub->name);
        comma = ",";
    }
}

void sk_hub_connection_strings(const struct sk_hub_config *config, struct sk_buffer *json) {
    sk_buffer_text(json, "{\"hubs\":[");
    for (size_t h = 0; h < config->hub_count; h++) {
        const struct sk_hub_options *hub = &config->hubs[h];
        sk_buffer_print(json, "%s{\"name\":\"%s\",\"hostName\":\"%s\",\"connectionStrings\":{",
                        h ? "," : "", hub->name, hub->host_names[0]);
        for (size_t p = 0; p < hub->policy_count; p++)
            sk_buffer_print(json,
                            "%s\"%s\":\"HostName=%s;SharedAccessKeyName=%s;SharedAccessKey=%s\"",
                            p ? "," : "", hub->policies[p].name, hub->host_names[0],
                            hub->policies[p].name, hub->policies[p].primary_key);
        sk_buffer_text(json, "},\"eventHubs\":{");
        put_event_hubs(hub, json);
        sk_buffer_text(json, "}}");
    }
    sk_buffer_text(json, "]}");
}

enum sk_status sk_hub_init(struct sk_io *io, const struct sk_hub_init *init, struct sk_buffer *json,
                           char reason[SK_HUB_CONFIG_ERROR_MAX]) {
    struct sk_buffer toml = {0};
    struct sk_hub_config config;
    char path[1024];
    snprintf(path, sizeof path, "%s/hub.toml", init->folder);
    struct sk_buffer existing = {.limit = SK_HUB_CONFIG_BYTES_MAX};
    enum sk_status status = sk_file_load(io, path, &existing);
    sk_buffer_free(&existing);
    if (status != SK_NOT_FOUND) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX,
                 "%s is there already; remove it or choose another folder", path);
        return SK_EXISTS;
    }
    status = sk_folder_make(io, init->folder, 0755);
    if (status) {
        snprintf(reason, SK_HUB_CONFIG_ERROR_MAX, "cannot make the folder %s (%s)", init->folder,
                 sk_status_text(status));
        return status;
    }
    put_config(io, init, &toml);
    status = sk_hub_config_parse(sk_buffer_span(&toml), path, init->folder, &config, reason);
    if (!status) {
        sk_hub_connection_strings(&config, json);
        sk_hub_config_free(&config);
        status = make_certificates(io, init, reason);
    }
    /* The configuration last: a folder with a hub.toml is complete. */
    if (!status) status = save(io, init->folder, "hub.toml", sk_buffer_span(&toml), 0600, reason);
    sk_buffer_free(&toml);
    return status;
}
