/* What the edge's configuration means, as far as it is more than each key by itself. */
#include "edge/daemon/config_keys.h"

#include <stdio.h>

static const char *keep(struct edge_file *file, struct sk_span text) {
    return sk_arena_copy(&file->config.arena, text).p;
}

static void read_connection_string(struct sk_config *reading, struct edge_file *file) {
    static const char path[] = "provisioning.connection_string";
    struct sk_edge_config *config = &file->config;
    struct sk_connection_string parts;
    char reason[SK_MODEL_ERROR_MAX];
    if (config->hub_host)
        sk_config_refuse(reading, "provisioning.iothub_hostname",
                         "stands beside a connection_string; keep one of the two.");
    else if (sk_connection_string_parse(sk_span_z(file->connection_string), &parts, reason))
        sk_config_refuse(reading, path, "%s", reason);
    else if (parts.device_id.n == 0 || parts.module_id.n || parts.shared_access_key.n == 0)
        sk_config_refuse(reading, path,
                         "must be a device's: HostName=…;DeviceId=…;SharedAccessKey=….");
    if (reading->failed) return;
    config->hub_host = keep(file, parts.host_name);
    config->device_id = keep(file, parts.device_id);
    config->device_key = keep(file, parts.shared_access_key);
}

static void check_key(struct sk_config *reading, const struct sk_edge_config *config) {
    bool value = config->device_key != NULL, uri = config->device_key_file != NULL;
    bool stored = config->key_store.kind != SK_KEYS_IN_FILES; /* it may be there already */
    if ((value && uri) || (!value && !uri && !stored))
        sk_config_refuse(reading, "provisioning.authentication.device_id_pk",
                         "must be { value = \"…\" } or { uri = \"file:///…\" }.");
}

static void check_certificate(struct sk_config *reading, const struct sk_edge_config *config) {
    if (config->device_key || config->device_key_file)
        sk_config_refuse(reading, "provisioning.authentication.device_id_pk",
                         "stands beside method \"x509\", which has a certificate instead; remove "
                         "one of the two.");
}

static void read_identity(struct sk_config *reading, struct edge_file *file) {
    const struct sk_edge_config *config = &file->config;
    if (file->connection_string)
        read_connection_string(reading, file);
    else if (config->hub_host == NULL)
        sk_config_refuse(reading, "provisioning",
                         "source \"manual\" needs connection_string, or iothub_hostname, device_id "
                         "and authentication.");
    else if (config->device_id == NULL)
        sk_config_refuse(reading, "provisioning.device_id", "is missing.");
    else if (file->method == METHOD_X509)
        check_certificate(reading, config);
    else
        check_key(reading, config);
}

static bool is_in_token(const char *uri) {
    return uri && sk_span_starts(sk_span_z(uri), SK_SPAN("pkcs11:"));
}

static void choose_key_store(struct sk_config *reading, struct edge_file *file) {
    struct sk_edge_config *config = &file->config;
    struct sk_key_store_options *store = &config->key_store;
    bool token = is_in_token(config->device_key_file) || is_in_token(config->identity_key_file) ||
                 is_in_token(config->edge_ca_key_file) || is_in_token(file->local_ca_key);
    if (file->key_store != KEY_STORE_UNSAID)
        store->kind = (enum sk_key_store_kind)file->key_store;
    else if (store->pkcs11_slot)
        store->kind = SK_KEYS_IN_PKCS11;
    if (store->kind == SK_KEYS_IN_PKCS11 && store->pkcs11_slot == NULL)
        sk_config_refuse(reading, "aziot_keys.pkcs11_base_slot",
                         "is missing; write \"pkcs11:token=…?pin-value=…\".");
    if ((token || store->pkcs11_slot) && store->pkcs11_library == NULL)
        sk_config_refuse(reading, "aziot_keys.pkcs11_lib_path",
                         "is missing; write the path of the token's PKCS#11 module.");
}

static void choose_data(struct sk_config *reading, struct edge_file *file) {
    if (file->config.data) return;
    file->config.data = file->homedir ? file->homedir : "/var/lib/skerry";
    if (strlen(file->config.data) > DATA_MAX)
        sk_config_refuse(reading, "homedir",
                         "must have at most %d characters, or [skerry] data another folder: unix "
                         "sockets below it have short names.",
                         DATA_MAX);
}

/* no_proxy: "localhost,.corp.example,10.0.0.1": names with all below them, or "*". */
static bool proxy_spares(const char *list, struct sk_span host) {
    struct sk_span rest = sk_span_z(list), entry;
    while (sk_span_split(&rest, ',', &entry)) {
        entry = sk_span_trim(entry);
        if (sk_span_is(entry, "*")) return true;
        if (entry.n && entry.p[0] == '.') entry = sk_span_skip(entry, 1);
        if (entry.n == 0 || entry.n > host.n) continue;
        size_t before = host.n - entry.n;
        if (sk_span_eq_nocase(sk_span_skip(host, before), entry) &&
            (before == 0 || host.p[before - 1] == '.'))
            return true;
    }
    return false;
}

static void choose_upstream(struct edge_file *file) {
    struct sk_edge_config *config = &file->config;
    struct sk_edge_upstream *to = &config->upstream;
    to->host = config->parent_hostname ? config->parent_hostname : config->hub_host;
    if (file->https_proxy && !proxy_spares(file->no_proxy, sk_span_z(to->host)))
        to->proxy = file->https_proxy;
    to->amqp = file->protocol == PROTOCOL_AMQP || file->protocol == PROTOCOL_AMQP_WS;
    to->websocket = file->protocol == PROTOCOL_MQTT_WS || file->protocol == PROTOCOL_AMQP_WS;
    if (file->protocol != PROTOCOL_UNSAID) return;
    to->websocket = to->proxy != NULL; /* proxies pass 443 only */
    to->fallback = !to->websocket;
}

enum sk_status sk_edge_config_read(const json_t *document, const json_t *lines,
                                   const char *file_name, struct sk_edge_config *config,
                                   sk_config_warning *warning, struct sk_buffer *told,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]) {
    struct edge_file file = {.key_store = KEY_STORE_UNSAID,
                             .edge_ca_method = SOURCE_UNSAID,
                             .identity_method = SOURCE_UNSAID};
    struct sk_config reading = {.keys = sk_edge_config_keys,
                                .file = file_name,
                                .lines = lines,
                                .arena = &file.config.arena,
                                .warning = warning,
                                .told = told,
                                .error = error};
    if (sk_config_read(&reading, document, &file) == SK_OK) {
        choose_key_store(&reading, &file);
        read_identity(&reading, &file);
        edge_certificates_read(&reading, &file);
        choose_data(&reading, &file);
    }
    if (reading.failed) {
        sk_edge_config_free(&file.config);
    } else {
        choose_upstream(&file);
    }
    *config = file.config;
    return reading.failed ? SK_INVALID : SK_OK;
}

void sk_edge_config_free(struct sk_edge_config *config) {
    sk_arena_free(&config->arena);
    json_decref(config->agent_env);
    json_decref(config->additional_info);
    json_decref(config->network);
    memset(config, 0, sizeof *config);
}
