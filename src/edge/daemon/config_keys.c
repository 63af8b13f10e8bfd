/* Keys of config.toml: docs/protocols/edge-runtime.md, section 1.2, and Skerry's own. */
#include "base/text.h"
#include "edge/daemon/config_keys.h"

static const struct config_key keys[] = {
    {"hostname", CONFIG_TEXT, false},
    {"parent_hostname", CONFIG_TEXT, false},
    {"trust_bundle_cert", CONFIG_TEXT, false},
    {"homedir", CONFIG_TEXT, false},
    {"provisioning", CONFIG_TABLE, false},
    {"provisioning.source", CONFIG_TEXT, false},
    {"provisioning.connection_string", CONFIG_TEXT, false},
    {"provisioning.iothub_hostname", CONFIG_TEXT, false},
    {"provisioning.device_id", CONFIG_TEXT, false},
    {"provisioning.authentication", CONFIG_TABLE, false},
    {"provisioning.authentication.method", CONFIG_TEXT, false},
    {"provisioning.authentication.device_id_pk", CONFIG_TABLE, false},
    {"provisioning.authentication.device_id_pk.value", CONFIG_TEXT, false},
    {"provisioning.authentication.device_id_pk.uri", CONFIG_TEXT, false},
    {"edge_ca", CONFIG_TABLE, false},
    {"edge_ca.cert", CONFIG_TEXT, false},
    {"edge_ca.pk", CONFIG_TEXT, false},
    {"edge_ca.auto_generated_edge_ca_expiry_days", CONFIG_INTEGER, false},
    {"edge_ca.common_name", CONFIG_TEXT, false},
    {"agent", CONFIG_TABLE, false},
    {"agent.env", CONFIG_MAP, false},
    {"skerry", CONFIG_TABLE, false},
    {"skerry.data", CONFIG_TEXT, false},
    {"skerry.hub_trust", CONFIG_TEXT, false},
    {"skerry.hub_mqtt_port", CONFIG_INTEGER, false},
    {"skerry.hub_amqp_port", CONFIG_INTEGER, false},
    {"skerry.hub_https_port", CONFIG_INTEGER, false},
    {"skerry.listen", CONFIG_LIST, false},
    {"skerry.max_connections", CONFIG_INTEGER, false},
    {"skerry.max_connections_per_address", CONFIG_INTEGER, false},
    {"skerry.max_unauthenticated", CONFIG_INTEGER, false},
    {"skerry.metrics", CONFIG_TEXT, false},

    {"allow_elevated_docker_permissions", CONFIG_BOOLEAN, true},
    {"prefer_module_identity_cache", CONFIG_BOOLEAN, true},
    {"auto_reprovisioning_mode", CONFIG_TEXT, true},
    {"cloud_timeout_sec", CONFIG_INTEGER, true},
    {"cloud_retries", CONFIG_INTEGER, true},
    {"additional_info", CONFIG_TEXT, true},
    {"iotedge_max_requests", CONFIG_ANY, true},
    {"aziot_max_requests", CONFIG_ANY, true},
    {"aziot_keys", CONFIG_ANY, true},
    {"agent.name", CONFIG_TEXT, true},
    {"agent.type", CONFIG_TEXT, true},
    {"agent.imagePullPolicy", CONFIG_TEXT, true},
    {"agent.config", CONFIG_ANY, true},
    {"connect", CONFIG_ANY, true},
    {"listen", CONFIG_ANY, true},
    {"watchdog", CONFIG_ANY, true},
    {"edge_ca.method", CONFIG_TEXT, true},
    {"edge_ca.url", CONFIG_TEXT, true},
    {"edge_ca.username", CONFIG_TEXT, true},
    {"edge_ca.password", CONFIG_TEXT, true},
    {"edge_ca.identity_cert", CONFIG_TEXT_OR_TABLE, true},
    {"edge_ca.identity_pk", CONFIG_TEXT, true},
    {"edge_ca.bootstrap_identity_cert", CONFIG_TEXT, true},
    {"edge_ca.bootstrap_identity_pk", CONFIG_TEXT, true},
    {"edge_ca.expiry_days", CONFIG_INTEGER, true},
    {"edge_ca.subject", CONFIG_ANY, true},
    {"edge_ca.auto_renew", CONFIG_ANY, true},
    {"cert_issuance", CONFIG_ANY, true},
    {"tpm", CONFIG_ANY, true},
    {"image_garbage_collection", CONFIG_ANY, true},
    {"moby_runtime", CONFIG_ANY, true},
    {"provisioning.dynamic_reprovisioning", CONFIG_BOOLEAN, true},
    {"provisioning.always_reprovision_on_startup", CONFIG_BOOLEAN, true},
    {"provisioning.global_endpoint", CONFIG_TEXT, true},
    {"provisioning.id_scope", CONFIG_TEXT, true},
    {"provisioning.payload", CONFIG_ANY, true},
    {"provisioning.attestation", CONFIG_ANY, true},
    {"provisioning.authentication.identity_cert", CONFIG_TEXT_OR_TABLE, true},
    {"provisioning.authentication.identity_pk", CONFIG_TEXT, true},
};

const struct config_key *config_key_find(const char *path) {
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strcmp(keys[i].path, path) == 0) return &keys[i];
    return NULL;
}

/* Length of the part up to and with the last dot. */
static size_t parent_length(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot ? (size_t)(dot - path) + 1 : 0;
}

const char *config_key_near(const char *path) {
    size_t parent = parent_length(path);
    const char *best = NULL;
    unsigned best_distance = SK_TEXT_FAR;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *name = keys[i].path + parent_length(keys[i].path);
        if (parent_length(keys[i].path) != parent || strncmp(keys[i].path, path, parent) != 0)
            continue;
        unsigned d = sk_text_distance(path + parent, name);
        if (d < best_distance) best_distance = d, best = keys[i].path;
    }
    return best;
}

const char *config_type_text(enum config_type type) {
    switch (type) {
    case CONFIG_TEXT: return "text in quotes";
    case CONFIG_INTEGER: return "a whole number";
    case CONFIG_BOOLEAN: return "true or false";
    case CONFIG_TABLE:
    case CONFIG_MAP: return "a table";
    case CONFIG_LIST: return "a list of texts";
    case CONFIG_TEXT_OR_TABLE: return "text in quotes or a table";
    case CONFIG_ANY: break;
    }
    return "a value";
}

bool config_type_fits(enum config_type type, const json_t *value) {
    const char *name;
    json_t *member;
    size_t i;
    switch (type) {
    case CONFIG_TEXT: return json_is_string(value);
    case CONFIG_INTEGER: return json_is_integer(value);
    case CONFIG_BOOLEAN: return json_is_boolean(value);
    case CONFIG_TABLE: return json_is_object(value);
    case CONFIG_MAP:
        if (!json_is_object(value)) return false;
        json_object_foreach((json_t *)value, name, member) if (json_is_object(member) ||
                                                               json_is_array(member)) return false;
        return true;
    case CONFIG_LIST:
        if (!json_is_array(value)) return false;
        json_array_foreach(value, i, member) if (!json_is_string(member)) return false;
        return true;
    case CONFIG_TEXT_OR_TABLE: return json_is_string(value) || json_is_object(value);
    case CONFIG_ANY: break;
    }
    return true;
}
