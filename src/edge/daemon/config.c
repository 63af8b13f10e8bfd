/* Reading the edge's configuration: first every key against the table of config_keys.c, then the
 * meaning. */
#include "edge/daemon/config.h"

#include <stdarg.h>

#include "net/tunnel.h"
#include "edge/daemon/config_keys.h"
#include "config/toml.h"

enum { CA_DAYS = 90, MQTT_PORT = 8883, AMQP_PORT = 5671, HTTPS_PORT = 443 };
/* Longest data folder: below it "/sockets/<module>.sock" must fit into a unix address (108 bytes);
 * see check_data(). */
enum { DATA_MAX = 64 };

struct reader {
    const json_t *document, *lines;
    const char *file_name;
    struct sk_edge_config *config;
    sk_edge_config_warning *warning;
    void *warning_arg;
    char *error;
};

/* ---- sentences ---- */

static enum sk_status refuse(struct reader *reader, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Writes "file:line: key: sentence". */
static enum sk_status refuse(struct reader *reader, const char *path, const char *format, ...) {
    char sentence[320];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    unsigned line = sk_toml_line(reader->lines, path);
    int n = line ? snprintf(reader->error, SK_EDGE_CONFIG_ERROR_MAX,
                            "%.100s:%u: ", reader->file_name, line)
                 : snprintf(reader->error, SK_EDGE_CONFIG_ERROR_MAX, "%.100s: ", reader->file_name);
    snprintf(reader->error + n, SK_EDGE_CONFIG_ERROR_MAX - (size_t)n, "%.60s: %s", path, sentence);
    return SK_INVALID;
}

static void warn_later(struct reader *reader, const char *path) {
    char sentence[SK_EDGE_CONFIG_ERROR_MAX];
    snprintf(sentence, sizeof sentence, "%.100s:%u: %.100s has no effect yet in Skerry.",
             reader->file_name, sk_toml_line(reader->lines, path), path);
    if (reader->warning) reader->warning(reader->warning_arg, sentence);
}

/* ---- keys and types ---- */

static enum sk_status check_table(struct reader *reader, const json_t *table, const char *prefix) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)table, name, value) {
        char path[160];
        snprintf(path, sizeof path, "%s%s%.60s", prefix, prefix[0] ? "." : "", name);
        const struct config_key *key = config_key_find(path);
        if (key == NULL) {
            const char *near = config_key_near(path);
            return near ? refuse(reader, path, "is not known; did you mean %s?", near)
                        : refuse(reader, path, "is not known; remove it or correct its name.");
        }
        if (!config_type_fits(key->type, value))
            return refuse(reader, path, "must be %s.", config_type_text(key->type));
        if (key->later) {
            warn_later(reader, path);
            continue;
        }
        enum sk_status status =
            key->type == CONFIG_TABLE ? check_table(reader, value, path) : SK_OK;
        if (status) return status;
    }
    return SK_OK;
}

/* ---- values ---- */

static const json_t *value_at(const struct reader *reader, const char *path) {
    const json_t *value = reader->document;
    struct sk_span rest = sk_span_z(path), name;
    while (value && sk_span_split(&rest, '.', &name)) {
        char key[64];
        snprintf(key, sizeof key, "%.*s", SK_ARG(name));
        value = json_object_get(value, key);
    }
    return value;
}

static const char *keep(struct reader *reader, struct sk_span text) {
    return sk_arena_copy(&reader->config->arena, text).p;
}

/* Text at a path, or NULL; empty text and text with a NUL are refused. */
static enum sk_status read_text(struct reader *reader, const char *path, const char **to) {
    const json_t *value = value_at(reader, path);
    if (value == NULL) return SK_OK;
    struct sk_span text = sk_span(json_string_value(value), json_string_length(value));
    if (text.n == 0 || memchr(text.p, 0, text.n))
        return refuse(reader, path, "must not be empty; remove the key instead.");
    *to = keep(reader, text);
    return SK_OK;
}

/* Azure writes files as file:///path; a plain absolute path is understood as well. */
static enum sk_status read_file(struct reader *reader, const char *path, const char **to) {
    const char *text = NULL;
    enum sk_status status = read_text(reader, path, &text);
    if (status || text == NULL) return status;
    if (strncmp(text, "pkcs11:", 7) == 0)
        return refuse(reader, path, "PKCS#11 is not supported yet; use a file (\"file:///…\").");
    if (strncmp(text, "file://", 7) == 0) text += 7;
    if (text[0] != '/')
        return refuse(reader, path,
                      "must be a file with its whole path, like \"file:///etc/aziot/key\".");
    *to = text;
    return SK_OK;
}

static enum sk_status read_number(struct reader *reader, const char *path, int64_t min, int64_t max,
                                  int64_t *to) {
    const json_t *value = value_at(reader, path);
    if (value == NULL) return SK_OK;
    *to = json_integer_value(value);
    if (*to >= min && *to <= max) return SK_OK;
    return refuse(reader, path, "must be between %lld and %lld.", (long long)min, (long long)max);
}

/* "address" or "address:port", the address of IPv6 in brackets; the port is 0 where there is none. */
static enum sk_status read_address(struct reader *reader, const char *path, struct sk_span text,
                                   const char **host, uint16_t *port) {
    struct sk_span name;
    int number;
    if (sk_host_port_parse(text, &name, &number) || number == 0)
        return refuse(reader, path, "must be ADDRESS or ADDRESS:PORT, like \"0.0.0.0:8883\".");
    *host = keep(reader, name);
    *port = number < 0 ? 0 : (uint16_t)number;
    return SK_OK;
}

/* ---- meaning ---- */

static enum sk_status read_connection_string(struct reader *reader) {
    static const char path[] = "provisioning.connection_string";
    struct sk_edge_config *config = reader->config;
    const json_t *value = value_at(reader, path);
    struct sk_connection_string parts;
    char reason[SK_MODEL_ERROR_MAX];
    if (sk_connection_string_parse(sk_span(json_string_value(value), json_string_length(value)),
                                   &parts, reason))
        return refuse(reader, path, "%s", reason);
    if (parts.device_id.n == 0 || parts.module_id.n || parts.shared_access_key.n == 0)
        return refuse(reader, path, "must be a device's: HostName=…;DeviceId=…;SharedAccessKey=….");
    config->hub_host = keep(reader, parts.host_name);
    config->device_id = keep(reader, parts.device_id);
    config->device_key = keep(reader, parts.shared_access_key);
    return SK_OK;
}

static enum sk_status read_sas_identity(struct reader *reader) {
    struct sk_edge_config *config = reader->config;
    const char *method = NULL;
    enum sk_status status;
    if ((status = read_text(reader, "provisioning.iothub_hostname", &config->hub_host)) ||
        (status = read_text(reader, "provisioning.device_id", &config->device_id)) ||
        (status = read_text(reader, "provisioning.authentication.method", &method)) ||
        (status = read_text(reader, "provisioning.authentication.device_id_pk.value",
                            &config->device_key)) ||
        (status = read_file(reader, "provisioning.authentication.device_id_pk.uri",
                            &config->device_key_file)))
        return status;
    if (config->hub_host == NULL)
        return refuse(
            reader, "provisioning",
            "source \"manual\" needs connection_string, or iothub_hostname, device_id and authentication.");
    if (config->device_id == NULL) return refuse(reader, "provisioning.device_id", "is missing.");
    if (sk_id_check(sk_span_z(config->device_id)))
        return refuse(reader, "provisioning.device_id", "is not a valid device id.");
    if (method == NULL || strcmp(method, "sas") != 0)
        return refuse(reader, "provisioning.authentication.method",
                      "must be \"sas\"; X.509 is not supported yet.");
    if ((config->device_key == NULL) == (config->device_key_file == NULL))
        return refuse(reader, "provisioning.authentication.device_id_pk",
                      "must be { value = \"…\" } or { uri = \"file:///…\" }.");
    return SK_OK;
}

static enum sk_status read_provisioning(struct reader *reader) {
    const char *source = NULL;
    enum sk_status status = read_text(reader, "provisioning.source", &source);
    if (status) return status;
    if (source == NULL)
        return refuse(reader, "provisioning.source",
                      "is missing; write source = \"manual\" and a connection_string.");
    if (strcmp(source, "manual") != 0)
        return refuse(reader, "provisioning.source",
                      "must be \"manual\"; \"%.20s\" is not supported yet.", source);
    if (value_at(reader, "provisioning.connection_string") == NULL)
        return read_sas_identity(reader);
    if (value_at(reader, "provisioning.iothub_hostname"))
        return refuse(reader, "provisioning.iothub_hostname",
                      "stands beside a connection_string; keep one of the two.");
    return read_connection_string(reader);
}

static enum sk_status read_edge_ca(struct reader *reader) {
    struct sk_edge_config *config = reader->config;
    int64_t days = CA_DAYS;
    enum sk_status status;
    if (value_at(reader, "edge_ca.method"))
        return refuse(reader, "edge_ca.method",
                      "is not supported yet; remove it for a quick-start CA, or give cert and pk.");
    if ((status = read_file(reader, "edge_ca.cert", &config->edge_ca_certificate_file)) ||
        (status = read_file(reader, "edge_ca.pk", &config->edge_ca_key_file)) ||
        (status = read_text(reader, "edge_ca.common_name", &config->edge_ca_name)) ||
        (status =
             read_number(reader, "edge_ca.auto_generated_edge_ca_expiry_days", 1, 36500, &days)))
        return status;
    if ((config->edge_ca_certificate_file == NULL) != (config->edge_ca_key_file == NULL))
        return refuse(reader, "edge_ca", "needs both cert and pk, or none of them.");
    if (config->edge_ca_name && strlen(config->edge_ca_name) > 64)
        return refuse(reader, "edge_ca.common_name", "must have at most 64 characters.");
    config->edge_ca_days = (unsigned)days;
    return SK_OK;
}

static enum sk_status read_agent_env(struct reader *reader) {
    const char *name;
    json_t *value;
    const json_t *env = value_at(reader, "agent.env");
    if (env == NULL) return SK_OK;
    reader->config->agent_env = json_object();
    json_object_foreach((json_t *)env, name, value) {
        char number[40];
        if (json_is_string(value)) {
            json_object_set(reader->config->agent_env, name, value);
            continue;
        }
        if (json_is_boolean(value))
            snprintf(number, sizeof number, "%s", json_is_true(value) ? "true" : "false");
        else if (json_is_integer(value))
            snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        else
            sk_real_text(json_real_value(value), number);
        json_object_set_new(reader->config->agent_env, name, json_string(number));
    }
    return SK_OK;
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

/* [agent.env] UpstreamProtocol, https_proxy and no_proxy, as Azure names them. */
static enum sk_status read_upstream(struct reader *reader) {
    static const struct {
        const char *name;
        bool amqp, websocket;
    } protocols[] = {{"Mqtt", false, false},
                     {"MqttWs", false, true},
                     {"Amqp", true, false},
                     {"AmqpWs", true, true}};
    struct sk_edge_config *config = reader->config;
    const char *protocol =
        json_string_value(json_object_get(config->agent_env, "UpstreamProtocol"));
    const char *proxy = json_string_value(json_object_get(config->agent_env, "https_proxy"));
    struct sk_proxy parsed;
    config->upstream.host = config->parent_hostname ? config->parent_hostname : config->hub_host;
    if (proxy && *proxy) {
        if (sk_proxy_parse(sk_span_z(proxy), &config->arena, &parsed))
            return refuse(reader, "agent.env.https_proxy",
                          "must be http://[USER:PASSWORD@]HOST:PORT.");
        if (!proxy_spares(json_string_value(json_object_get(config->agent_env, "no_proxy")),
                          sk_span_z(config->upstream.host)))
            config->upstream.proxy = keep(reader, sk_span_z(proxy));
    }
    if (protocol == NULL) {
        config->upstream.websocket = config->upstream.proxy != NULL; /* proxies pass 443 only */
        config->upstream.fallback = !config->upstream.websocket;
        return SK_OK;
    }
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (strcasecmp(protocol, protocols[i].name) == 0) {
            config->upstream.amqp = protocols[i].amqp;
            config->upstream.websocket = protocols[i].websocket;
            return SK_OK;
        }
    return refuse(reader, "agent.env.UpstreamProtocol", "must be Mqtt, MqttWs, Amqp or AmqpWs.");
}

static enum sk_status add_listen(struct reader *reader, const char *host, uint16_t port) {
    struct sk_edge_config *config = reader->config;
    if (config->listen_count == SK_EDGE_LISTEN_MAX)
        return refuse(reader, "skerry.listen", "must hold 1 to %d addresses.", SK_EDGE_LISTEN_MAX);
    config->listen[config->listen_count++] = (struct sk_edge_listen){host, port};
    return SK_OK;
}

/* Azure's ports; each takes every protocol, but a client knows one. */
static enum sk_status add_listen_ports(struct reader *reader, const char *host) {
    static const uint16_t ports[] = {MQTT_PORT, AMQP_PORT, HTTPS_PORT};
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < sizeof ports / sizeof *ports && !status; i++)
        status = add_listen(reader, host, ports[i]);
    return status;
}

static enum sk_status read_listen(struct reader *reader) {
    const json_t *list = value_at(reader, "skerry.listen"), *text;
    size_t i;
    if (list == NULL) return add_listen_ports(reader, "0.0.0.0");
    if (json_array_size(list) < 1)
        return refuse(reader, "skerry.listen", "must hold 1 to %d addresses.", SK_EDGE_LISTEN_MAX);
    json_array_foreach((json_t *)list, i, text) {
        const char *host;
        uint16_t port;
        enum sk_status status =
            read_address(reader, "skerry.listen",
                         sk_span(json_string_value(text), json_string_length(text)), &host, &port);
        if (!status)
            status = port ? add_listen(reader, host, port) : add_listen_ports(reader, host);
        if (status) return status;
    }
    return SK_OK;
}

static enum sk_status read_skerry(struct reader *reader) {
    struct sk_edge_config *config = reader->config;
    int64_t mqtt_port = MQTT_PORT, amqp_port = AMQP_PORT, https_port = HTTPS_PORT;
    int64_t all = 0, an_address = 0, unproved = 0;
    const char *homedir = NULL, *metrics = NULL;
    enum sk_status status;
    if ((status = read_file(reader, "homedir", &homedir)) ||
        (status = read_file(reader, "skerry.data", &config->data)) ||
        (status = read_file(reader, "skerry.hub_trust", &config->hub_trust_file)) ||
        (status = read_number(reader, "skerry.hub_mqtt_port", 1, 65535, &mqtt_port)) ||
        (status = read_number(reader, "skerry.hub_amqp_port", 1, 65535, &amqp_port)) ||
        (status = read_number(reader, "skerry.hub_https_port", 1, 65535, &https_port)) ||
        (status = read_number(reader, "skerry.max_connections", 1, 1000000, &all)) ||
        (status =
             read_number(reader, "skerry.max_connections_per_address", 1, 1000000, &an_address)) ||
        (status = read_number(reader, "skerry.max_unauthenticated", 1, 1000000, &unproved)) ||
        (status = read_text(reader, "skerry.metrics", &metrics)) || (status = read_listen(reader)))
        return status;
    config->limits = (struct sk_door_limits){.connections = (unsigned)all,
                                             .an_address = (unsigned)an_address,
                                             .unproved = (unsigned)unproved};
    if (metrics && (status = read_address(reader, "skerry.metrics", sk_span_z(metrics),
                                          &config->metrics_host, &config->metrics_port)))
        return status;
    if (metrics && config->metrics_port == 0)
        return refuse(reader, "skerry.metrics", "needs a port, like \"127.0.0.1:9601\".");
    if (config->data == NULL) config->data = homedir ? homedir : "/var/lib/skerry";
    if (strlen(config->data) > DATA_MAX)
        return refuse(reader, "skerry.data",
                      "must have at most %d characters: unix sockets below it have short names.",
                      DATA_MAX);
    config->upstream.mqtt_port = (uint16_t)mqtt_port;
    config->upstream.amqp_port = (uint16_t)amqp_port;
    config->upstream.https_port = (uint16_t)https_port;
    return SK_OK;
}

enum sk_status sk_edge_config_read(const json_t *document, const json_t *lines,
                                   const char *file_name, struct sk_edge_config *config,
                                   sk_edge_config_warning *warning, void *warning_arg,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]) {
    struct reader reader = {document, lines, file_name, config, warning, warning_arg, error};
    enum sk_status status;
    memset(config, 0, sizeof *config);
    if ((status = check_table(&reader, document, "")) ||
        (status = read_text(&reader, "hostname", &config->hostname)) ||
        (status = read_text(&reader, "parent_hostname", &config->parent_hostname)) ||
        (status = read_file(&reader, "trust_bundle_cert", &config->trust_bundle_file)) ||
        (status = read_provisioning(&reader)) || (status = read_edge_ca(&reader)) ||
        (status = read_agent_env(&reader)) || (status = read_upstream(&reader)) ||
        (status = read_skerry(&reader))) {
        sk_edge_config_free(config);
        return status;
    }
    if (config->hostname) return SK_OK;
    status = refuse(&reader, "hostname",
                    "is missing; write the name under which leaf devices reach this machine.");
    sk_edge_config_free(config);
    return status;
}

void sk_edge_config_free(struct sk_edge_config *config) {
    sk_arena_free(&config->arena);
    json_decref(config->agent_env);
    memset(config, 0, sizeof *config);
}
