/* Keys of config.toml: docs/protocols/edge-runtime.md, section 1.2, and Skerry's own. */
#include "edge/daemon/config_keys.h"

#include <stdio.h>

#include "net/tunnel.h"

/* ---- forms ---- */

static bool is_token(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "must be \"pkcs11:token=…?pin-value=…\"");
    return sk_span_starts(text, SK_SPAN("pkcs11:"));
}

/* ---- what the environment says, too: empty is as absent ---- */

static bool measure_protocol(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    static const char *const names[] = {
        [PROTOCOL_UNSAID] = "",   [PROTOCOL_MQTT] = "Mqtt",      [PROTOCOL_MQTT_WS] = "MqttWs",
        [PROTOCOL_AMQP] = "Amqp", [PROTOCOL_AMQP_WS] = "AmqpWs",
    };
    (void)key;
    for (*n = 0; *n < (int64_t)(sizeof names / sizeof *names); ++*n)
        if (json_is_string(value) && strcasecmp(json_string_value(value), names[*n]) == 0)
            return true;
    return false;
}

static void take_protocol(struct sk_config *config, const struct sk_config_key *key,
                          const char *path, const json_t *value, void *to) {
    int64_t n;
    (void)config, (void)path;
    if (measure_protocol(key, value, &n)) sk_config_store(key, to, n);
}

static bool measure_variable(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = (int64_t)json_string_length(value);
    return json_is_string(value);
}

static void take_variable(struct sk_config *config, const struct sk_config_key *key,
                          const char *path, const json_t *value, void *to) {
    struct sk_span text = sk_span(json_string_value(value), json_string_length(value));
    if (text.n) sk_config_take_text(config, key, path, text, to);
}

static const struct sk_config_type protocol = {.words = "Mqtt, MqttWs, Amqp or AmqpWs, in quotes",
                                               .measure = measure_protocol,
                                               .take = take_protocol};
static const struct sk_config_type variable = {
    .words = "text in quotes", .measure = measure_variable, .take = take_variable};

static bool is_proxy(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_arena arena = {0};
    struct sk_proxy parsed;
    enum sk_status status = sk_proxy_parse(text, &arena, &parsed);
    sk_arena_free(&arena);
    snprintf(why, SK_CONFIG_WHY_MAX, "must be http://[USER:PASSWORD@]HOST:PORT");
    return status == SK_OK;
}

/* ---- other forms ---- */

static bool is_registry(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_url url;
    snprintf(why, SK_CONFIG_WHY_MAX, "must be http://HOST[:PORT] or https://HOST[:PORT]");
    return sk_url_parse(text, &url) == SK_OK && url.rest.n <= 1;
}

static bool is_device_id(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    snprintf(why, SK_CONFIG_WHY_MAX, "is not a valid device id");
    return sk_id_check(text) == SK_OK;
}

/* Nobody could be told of a port that the system chooses. */
static bool has_no_free_port(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    struct sk_span host;
    int port;
    snprintf(why, SK_CONFIG_WHY_MAX, "needs a port from 1 to 65535");
    return sk_host_port_parse(text, &host, &port) != SK_OK || port != 0;
}

/* "" is as good as an address: nothing listens then. */
static void take_address_or_none(struct sk_config *config, const struct sk_config_key *key,
                                 const char *path, const json_t *value, void *to) {
    if (json_string_length(value)) sk_config_address.take(config, key, path, value, to);
}

static const struct sk_config_type address_or_none = {.words = "\"ADDRESS:PORT\", or \"\"",
                                                      .measure = measure_variable,
                                                      .take = take_address_or_none};

static bool has_no_free_port_or_is_empty(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    return text.n == 0 || has_no_free_port(text, why);
}

/* ---- containers ---- */

static bool is_unix_socket(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    enum { PATH_MOST = 107 };
    bool prefixed = sk_span_starts(text, SK_SPAN("unix://"));
    struct sk_span path = prefixed ? sk_span_skip(text, 7) : text;
    snprintf(why, SK_CONFIG_WHY_MAX, "must be a unix socket's, as \"unix:///var/run/docker.sock\"");
    return path.n > 1 && path.p[0] == '/' && path.n <= PATH_MOST;
}

static bool measure_network(const struct sk_config_key *key, const json_t *value, int64_t *n) {
    (void)key;
    *n = 0;
    return json_string_length(value) > 0 ||
           (json_is_object(value) && json_string_length(json_object_get(value, "name")) > 0);
}

static void take_network(struct sk_config *config, const struct sk_config_key *key,
                         const char *path, const json_t *value, void *to) {
    (void)config, (void)key, (void)path;
    *(json_t **)to = json_deep_copy(value);
}

static const struct sk_config_type network = {
    .words = "a name in quotes, or a table with name, ipv6 and ipam",
    .measure = measure_network,
    .take = take_network};

static bool is_time_of_day(struct sk_span text, char why[SK_CONFIG_WHY_MAX]) {
    int64_t hour = -1, minute = -1;
    snprintf(why, SK_CONFIG_WHY_MAX, "must be a time of the day like \"23:30\"");
    return text.n == 5 && text.p[2] == ':' &&
           sk_span_to_int(sk_span_first(text, 2), &hour) == SK_OK && hour >= 0 && hour < 24 &&
           sk_span_to_int(sk_span_skip(text, 3), &minute) == SK_OK && minute >= 0 && minute < 60;
}

/* ---- the keys ---- */

#define AT(field) SK_CONFIG_AT(struct edge_file, field)
#define NEED_NAME "write the name under which leaf devices reach this machine"
#define DAY_US (INT64_C(86400) * 1000000)
enum { CONNECTIONS_MAX = 1000000, PORT_MAX = 65535, STORE_LEAST = 1024 * 1024 };

/* Azure's, used. */
static const struct sk_config_key azure_keys[] = {
    {"hostname", &sk_config_text, AT(config.hostname), .need = NEED_NAME,
     .otherwise_words = "the machine's name", .such_as = "\"edge1.local\"",
     .does = "Name or address under which modules and leaf devices reach the edge, in its server "
             "certificate"},
    {"parent_hostname", &sk_config_text, AT(config.parent_hostname),
     .does = "An edge above this one, upstream instead of the hub"},
    {"manifest_trust_bundle_cert", &edge_path, AT(config.manifest_trust_file),
     .does = "PEM file that `GET /manifest-trust-bundle` hands to modules"},
    {"cloud_timeout_sec", &sk_config_integer, AT(config.cloud_timeout_s), .least = 1, .most = 3600,
     .otherwise = "20",
     .does = "How long the daemon waits for an answer of the hub about a module"},
    {"cloud_retries", &sk_config_integer, AT(config.cloud_retries), .least = 0, .most = 100,
     .otherwise = "1", .does = "How often it asks again where the hub was not reached"},
    {"trust_bundle_cert", &edge_path, AT(config.trust_bundle_file),
     .does = "PEM file, added to what modules trust; leaf devices of type `certificateAuthority` "
             "must have certificates that lead to it"},
    {"homedir", &edge_path, AT(homedir),
     .does = "Folder of all state, where `[skerry] data` names none"},

    {"provisioning", &sk_config_table, .does = "Who this device is, to which hub"},
    {"provisioning.source", &sk_config_choice, .choices = "manual",
     .need = "write source = \"manual\" and a connection_string", .such_as = "\"manual\"",
     .mend = "others are not supported yet", .does = "Where the identity comes from"},
    {"provisioning.connection_string", &sk_config_text, AT(connection_string), .secret = true,
     .does = "`HostName=…;DeviceId=…;SharedAccessKey=…` of the device; or the keys that follow"},
    {"provisioning.iothub_hostname", &sk_config_text, AT(config.hub_host),
     .does = "The hub's name"},
    {"provisioning.device_id", &sk_config_text, AT(config.device_id), .fine = is_device_id,
     .such_as = "\"edge1\"", .does = "The device's id"},
    {"provisioning.authentication", &sk_config_table,
     .does = "How the device proves itself, where there is no connection string"},
    {"provisioning.authentication.method", &sk_config_choice, AT(method), .choices = "sas|x509",
     .otherwise = "\"sas\"", .does = "By what: a key, or a certificate that the hub knows",
     .page = "how-to/keys-and-certificates-of-an-edge.md"},
    {"provisioning.authentication.device_id_pk", &sk_config_table,
     .does = "Its key: one of the two"},
    {"provisioning.authentication.device_id_pk.value", &sk_config_text, AT(config.device_key),
     .secret = true, .does = "The key in base64"},
    {"provisioning.authentication.device_id_pk.uri", &edge_key_file, AT(config.device_key_file),
     .secret = true, .does = "A file with the key's bytes, or where it is in a PKCS#11 token"},

    {"iotedge_max_requests", &sk_config_table,
     .does = "How many may ask at once on one socket, each by a connection; one more is closed "
             "without an answer. More than 64 are never taken"},
    {"iotedge_max_requests.management", &sk_config_integer, AT(config.management_max), .least = 1,
     .most = PORT_MAX, .otherwise = "64", .does = "On the management socket"},
    {"iotedge_max_requests.workload", &sk_config_integer, AT(config.workload_max), .least = 1,
     .most = PORT_MAX, .otherwise = "64", .does = "On each module's socket"},
    {"additional_info", &edge_info, AT(config.additional_info),
     .does = "TOML file of names and texts that `GET /systeminfo` tells as well"},
    {"allow_elevated_docker_permissions", &sk_config_boolean, AT(config.elevated_containers),
     .otherwise = "true",
     .does = "Whether deployments may ask for privileged containers and more capabilities"},
    {"moby_runtime", &sk_config_table, .does = "The container engine: Docker or Podman"},
    {"moby_runtime.uri", &sk_config_text, AT(config.engine_uri), .fine = is_unix_socket,
     .otherwise = "\"unix:///var/run/docker.sock\"",
     .does = "Where its API is; it is asked when there are containers"},
    {"moby_runtime.network", &network, AT(config.network),
     .otherwise_words = "`\"azure-iot-edge\"`", .such_as = "\"azure-iot-edge\"",
     .does = "The network that containers are put into, made when it is not there"},
    {"image_garbage_collection", &sk_config_table,
     .does = "Images that the edge has pulled and no container uses any more"},
    {"image_garbage_collection.enabled", &sk_config_boolean, AT(config.images_collected),
     .otherwise = "true", .does = "Whether they are removed"},
    {"image_garbage_collection.cleanup_recurrence", &sk_config_duration, AT(config.images_every_us),
     .least = DAY_US, .most = 3650 * DAY_US, .otherwise = "\"1d\"",
     .does = "How often; whole days count"},
    {"image_garbage_collection.image_age_cleanup_threshold", &sk_config_duration,
     AT(config.images_age_us), .least = 60 * INT64_C(1000000), .most = 3650 * DAY_US,
     .otherwise = "\"7d\"", .does = "How long none has used them by then"},
    {"image_garbage_collection.cleanup_time", &sk_config_text, AT(config.images_time),
     .fine = is_time_of_day, .otherwise = "\"00:00\"", .does = "At what time of the day (UTC)"},

    {"aziot_keys", &sk_config_table, .does = "Keys in a PKCS#11 token"},
    {"aziot_keys.pkcs11_lib_path", &edge_path, AT(config.key_store.pkcs11_library),
     .such_as = "\"/usr/lib/softhsm/libsofthsm2.so\"",
     .does = "The token's module, for every `pkcs11:` of this file"},
    {"aziot_keys.pkcs11_base_slot", &sk_config_text, AT(config.key_store.pkcs11_slot),
     .fine = is_token, .secret = true,
     .does = "The token, and its PIN, in which the edge makes keys of its own; without it they are "
             "in files"},
    {"tpm", &sk_config_table, .does = "The TPM 2.0, where `[skerry] key_store` says so"},
    {"tpm.tcti", &sk_config_text, AT(config.key_store.tcti), .otherwise_words = "`\"device\"`",
     .such_as = "\"device:/dev/tpmrm0\"", .does = "How it is reached, as tpm2-tss says it"},
    {"tpm.hierarchy_authorization", &sk_config_table, .does = "Its authorizations"},
    {"tpm.hierarchy_authorization.owner", &sk_config_text, AT(config.key_store.owner_auth),
     .secret = true, .otherwise_words = "none", .does = "Of the owner's hierarchy"},

    {"agent", &sk_config_table, .does = "The agent"},
    {"agent.env", &sk_config_map, AT(config.agent_env), .secret = true,
     .does = "The agent's environment; what it says of these counts for the whole edge. Where it "
             "is silent, the environment of `skerry-edge` counts"},
    {"agent.env.UpstreamProtocol", &protocol, AT(protocol),
     .otherwise_words = "`Mqtt`, and in turn `MqttWs` when that does not get through; with a proxy "
                        "`MqttWs` alone",
     .does = "The way to the hub: `Mqtt` (port 8883), `Amqp` (5671), `MqttWs`, `AmqpWs` (443)",
     .page = "how-to/websockets-and-proxies.md"},
    {"agent.env.https_proxy", &variable, AT(https_proxy), .fine = is_proxy, .secret = true,
     .otherwise_words = "none",
     .does = "HTTP proxy for HTTPS and WebSockets upstream: `http://[USER:PASSWORD@]HOST:PORT`",
     .page = "how-to/websockets-and-proxies.md"},
    {"agent.env.no_proxy", &variable, AT(no_proxy), .otherwise_words = "none",
     .does = "Hosts that it is not for, with all below them: `localhost,.corp.example`, or `*`"},
    {0}};

static const struct sk_config_key skerry_keys[] = {
    {"skerry", &sk_config_table, .does = "Skerry's own keys"},
    {"skerry.data", &edge_path, AT(config.data), .most = DATA_MAX, .such_as = "\"/var/lib/skerry\"",
     .otherwise_words = "`homedir`, else `\"/var/lib/skerry\"`",
     .does =
         "Folder of all state; unix sockets below it have short names, and the folders above must "
         "let others pass (`chmod o+x`) for roles and modules to have users of their own",
     .page = "decisions/0014-what-a-role-may-do.md"},
    {"skerry.key_store", &sk_config_choice, AT(key_store), .choices = "files|tpm|pkcs11",
     .otherwise_words = "`\"pkcs11\"` with `[aziot_keys] pkcs11_base_slot`, else `\"files\"`",
     .does = "Where the edge's own keys are: files below `data`, the TPM 2.0, or the token",
     .page = "how-to/keys-and-certificates-of-an-edge.md"},
    {"skerry.hub_trust", &edge_path, AT(config.hub_trust_file), .otherwise_words = "the system's",
     .does = "PEM file of certificates that the hub's must chain to"},
    {"skerry.hub_mqtt_port", &sk_config_integer, AT(config.upstream.mqtt_port), .least = 1,
     .most = PORT_MAX, .otherwise = "8883", .does = "The hub's port for MQTT"},
    {"skerry.hub_amqp_port", &sk_config_integer, AT(config.upstream.amqp_port), .least = 1,
     .most = PORT_MAX, .otherwise = "5671", .does = "The hub's port for AMQP"},
    {"skerry.hub_https_port", &sk_config_integer, AT(config.upstream.https_port), .least = 1,
     .most = PORT_MAX, .otherwise = "443", .does = "The hub's port for HTTPS and WebSockets"},
    {"skerry.listen", &sk_config_addresses,
     SK_CONFIG_LIST(struct edge_file, config.listen, config.listen_count), .least = 1, .most = 12,
     .fine = has_no_free_port, .otherwise = "[\"0.0.0.0\"]",
     .does = "Where the edge hub listens: addresses with their ports; one without a port has 8883, "
             "5671 and 443"},
    {"skerry.max_connections", &sk_config_integer, AT(config.limits.connections), .least = 1,
     .most = CONNECTIONS_MAX, .otherwise_words = "half of what the limit of open files allows",
     .does = "Open connections of the edge hub's clients; at the limit the oldest that has not "
             "authenticated goes for a newcomer",
     .page = "decisions/0012-doors.md"},
    {"skerry.max_connections_per_address", &sk_config_integer, AT(config.limits.an_address),
     .least = 1, .most = CONNECTIONS_MAX, .otherwise_words = "half of all",
     .does = "Of these from one address"},
    {"skerry.max_unauthenticated", &sk_config_integer, AT(config.limits.unproved), .least = 1,
     .most = CONNECTIONS_MAX, .otherwise_words = "a quarter of all, at most 2048",
     .does = "Of these without a credential yet"},
    {"skerry.max_clients", &sk_config_integer, AT(config.clients_max), .least = 1,
     .most = CONNECTIONS_MAX, .otherwise_words = "no limit",
     .does = "Devices and modules connected to the edge hub at a time; one more is refused. "
             "`MaxConnectedClients` in the environment of a deployment's `edgeHub` counts, too: "
             "the smaller wins. Calls over HTTPS do not count",
     .page = "decisions/0012-doors.md"},
    {"skerry.metrics", &sk_config_address, AT(config.metrics), .fine = has_no_free_port,
     .such_as = "\"127.0.0.1:9601\"", .otherwise_words = "none",
     .does = "Where `/metrics` and `/health/…` of the edge hub are, by plain HTTP"},
    {"skerry.agent_metrics", &sk_config_address, AT(config.agent_metrics), .fine = has_no_free_port,
     .such_as = "\"127.0.0.1:9602\"", .otherwise_words = "none",
     .does = "Where `/metrics` of the agent is: modules, what they use, and the machine",
     .page = "how-to/look-at-an-edge.md"},
    {"skerry.protocols", &sk_config_table, .does = "What the edge hub speaks with its clients"},
    {"skerry.protocols.mqtt", &sk_config_boolean, AT(config.mqtt), .otherwise = "true",
     .does = "MQTT, by WebSocket too"},
    {"skerry.protocols.amqp", &sk_config_boolean, AT(config.amqp), .otherwise = "true",
     .does = "AMQP, by WebSocket too"},
    {"skerry.protocols.https", &sk_config_boolean, AT(config.https), .otherwise = "true",
     .does = "HTTPS, and with it WebSockets, methods that modules call, and edges below this one"},
    {"skerry.store", &sk_config_table, .does = "What waiting messages may take of the disk"},
    {"skerry.store.max_bytes", &sk_config_bytes, AT(config.store_bytes), .least = STORE_LEAST,
     .otherwise_words = "as much as the disk has, but for 16 MiB",
     .does = "How large the edge hub's store may become; `storeLimits.maxSizeBytes` of a "
             "deployment counts, too: the smaller wins",
     .page = "how-to/work-offline.md"},
    {"skerry.store.when_full", &sk_config_choice, AT(config.when_full),
     .choices = "refuse|drop-oldest", .otherwise = "\"refuse\"",
     .does = "Whether new messages are refused then, or the oldest of the lowest priority go for "
             "them; never one for a message of lower priority"},
    {"skerry.image_registry", &sk_config_text, AT(config.image_registry), .fine = is_registry,
     .such_as = "\"http://127.0.0.1:5000\"", .otherwise_words = "none",
     .does = "Registry whose images edges below this one get through it, as `$upstream:443/…`; by "
             "`https` its certificate must lead to what `hub_trust` names, else to the system's",
     .page = "how-to/nest-edges.md"},
    {"skerry.page", &address_or_none, AT(config.page), .fine = has_no_free_port_or_is_empty,
     .otherwise = "\"127.0.0.1:9680\"",
     .does = "Where the local page is, by plain HTTP; `skerry-edge page` prints its address with "
             "the key that it asks for. `\"\"`: nowhere"},
    {0}};

#define NOT_USED(path, type)                                                                       \
    { path, &type, .unused = true }
/* Azure's, without effect here. */
static const struct sk_config_key unused_keys[] = {
    {"prefer_module_identity_cache", &sk_config_boolean, .unused = true,
     .does = "what is remembered always answers, and is compared with the hub in the background"},
    {"auto_reprovisioning_mode", &sk_config_choice, .unused = true,
     .choices = "Dynamic|AlwaysOnStartup|OnErrorOnly",
     .does = "the hub is compared with at each start, and an error of its tears nothing down"},
    NOT_USED("aziot_max_requests", sk_config_any),
    NOT_USED("agent.name", sk_config_text),
    NOT_USED("agent.type", sk_config_text),
    NOT_USED("agent.imagePullPolicy", sk_config_text),
    NOT_USED("agent.config", sk_config_any),
    NOT_USED("connect", sk_config_any),
    NOT_USED("listen", sk_config_any),
    NOT_USED("watchdog", sk_config_any),
    {"tpm.auth_key_index", &sk_config_any, .unused = true,
     .does = "keys of the TPM are files that it has wrapped, and take no place in it"},
    NOT_USED("tpm.hierarchy_authorization.endorsement", sk_config_text),
    NOT_USED("provisioning.dynamic_reprovisioning", sk_config_boolean),
    NOT_USED("provisioning.always_reprovision_on_startup", sk_config_boolean),
    NOT_USED("provisioning.global_endpoint", sk_config_text),
    NOT_USED("provisioning.id_scope", sk_config_text),
    NOT_USED("provisioning.payload", sk_config_any),
    NOT_USED("provisioning.attestation", sk_config_any),
    {0}};

const struct sk_config_key *const sk_edge_config_keys[] = {azure_keys, edge_certificate_keys,
                                                           skerry_keys, unused_keys, NULL};

void sk_edge_config_reference(struct sk_buffer *to) {
    sk_config_put_reference(
        to, sk_edge_config_keys, "config.toml of the edge",
        "Printed by `skerry-edge reference`. Azure's file as it is, with a table of our own; "
        "`skerry-edge check` reads it and tells what\ncounts. A mistake is told with file, line, "
        "key and the mend. Files that it names may stay readable by root only\n([decision "
        "14](../decisions/0014-what-a-role-may-do.md)). What a deployment says of modules: [Write "
        "a "
        "module](../how-to/write-a-module.md).");
}
