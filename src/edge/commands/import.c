/* `config import`: the config.yaml of IoT Edge 1.0 and 1.1 as a config.toml. What has no place
 * there any more is said; what has another name gets it. */
#include <stdio.h>
#include <yaml.h>

#include "edge/commands/parts.h"

#define OLD_FILE "/etc/iotedge/config.yaml"
enum { DEPTH_MAX = 16, OLD_MAX = 1 << 20 };

const struct sk_option_row sk_edge_import_options[] = {
    {"config-file", "FILE", "the old file; " OLD_FILE, false},
    {"out-config-file", "FILE", "where the new one goes; /etc/aziot/config.toml", false},
    {"force", NULL, "replaces a file that is there", false},
    {0}};

/* ---- YAML as JSON: texts, lists, objects; NULL where it is deeper than any configuration ---- */

static json_t *value_of(yaml_document_t *document, int index, unsigned depth) {
    yaml_node_t *node = yaml_document_get_node(document, index);
    if (node == NULL || depth == 0) return NULL;
    if (node->type == YAML_SCALAR_NODE)
        return json_stringn((const char *)node->data.scalar.value, node->data.scalar.length);
    if (node->type == YAML_SEQUENCE_NODE) {
        json_t *list = json_array();
        for (yaml_node_item_t *item = node->data.sequence.items.start;
             item < node->data.sequence.items.top; item++) {
            json_t *value = value_of(document, *item, depth - 1);
            if (value) json_array_append_new(list, value);
        }
        return list;
    }
    json_t *object = json_object();
    for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        yaml_node_t *key = yaml_document_get_node(document, pair->key);
        json_t *value = value_of(document, pair->value, depth - 1);
        if (key && key->type == YAML_SCALAR_NODE && value)
            json_object_set_new(object, (const char *)key->data.scalar.value, value);
        else
            json_decref(value);
    }
    return object;
}

static json_t *parse_yaml(struct sk_span text, char why[160]) {
    yaml_parser_t parser;
    yaml_document_t document;
    json_t *json = NULL;
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(text.p ? text.p : ""), text.n);
    if (yaml_parser_load(&parser, &document)) {
        yaml_node_t *root = yaml_document_get_root_node(&document);
        if (root && root->type == YAML_MAPPING_NODE) json = value_of(&document, 1, DEPTH_MAX);
        if (json == NULL) snprintf(why, 160, "it holds no settings");
        yaml_document_delete(&document);
    } else {
        snprintf(why, 160, "line %zu: %.120s", parser.problem_mark.line + 1,
                 parser.problem ? parser.problem : "no YAML");
    }
    yaml_parser_delete(&parser);
    return json;
}

/* ---- writing the new file ---- */

/* The value at "a.b.c"; NULL: not there. */
static const json_t *at(const json_t *json, const char *path) {
    struct sk_span rest = sk_span_z(path), name;
    while (json && sk_span_split(&rest, '.', &name)) json = json_object_getn(json, name.p, name.n);
    return json;
}

static void put_text(struct sk_buffer *to, const json_t *old, const char *path, const char *key) {
    const char *text = json_string_value(at(old, path));
    if (text == NULL || *text == 0) return;
    sk_buffer_print(to, "%s = ", key);
    sk_json_string(to, sk_span_z(text)); /* a TOML string, too */
    sk_buffer_byte(to, '\n');
}

/* The old file has plain paths as well as URIs. */
static void put_file(struct sk_buffer *to, const json_t *old, const char *path, const char *key) {
    const char *text = json_string_value(at(old, path));
    if (text == NULL || *text == 0) return;
    sk_buffer_print(to, "%s = \"%s%s\"\n", key, text[0] == '/' ? "file://" : "", text);
}

static void put_provisioning(struct sk_buffer *to, const json_t *old) {
    const char *method = json_string_value(at(old, "provisioning.authentication.method"));
    sk_buffer_text(to, "\n[provisioning]\n");
    put_text(to, old, "provisioning.source", "source");
    put_text(to, old, "provisioning.device_connection_string", "connection_string");
    put_text(to, old, "provisioning.authentication.iothub_hostname", "iothub_hostname");
    put_text(to, old, "provisioning.authentication.device_id", "device_id");
    put_text(to, old, "provisioning.global_endpoint", "global_endpoint");
    put_text(to, old, "provisioning.scope_id", "id_scope");
    if (method == NULL) return;
    sk_buffer_text(to, "\n[provisioning.authentication]\n");
    put_text(to, old, "provisioning.authentication.method", "method");
    put_file(to, old, "provisioning.authentication.identity_cert", "identity_cert");
    put_file(to, old, "provisioning.authentication.identity_pk", "identity_pk");
}

static void put_attestation(struct sk_buffer *to, const json_t *old) {
    if (at(old, "provisioning.attestation") == NULL) return;
    sk_buffer_text(to, "\n[provisioning.attestation]\n");
    put_text(to, old, "provisioning.attestation.method", "method");
    put_text(to, old, "provisioning.attestation.registration_id", "registration_id");
    put_file(to, old, "provisioning.attestation.identity_cert", "identity_cert");
    put_file(to, old, "provisioning.attestation.identity_pk", "identity_pk");
    const char *key = json_string_value(at(old, "provisioning.attestation.symmetric_key"));
    if (key == NULL) return;
    sk_buffer_text(to, "symmetric_key = { value = ");
    sk_json_string(to, sk_span_z(key));
    sk_buffer_text(to, " }\n");
}

static void put_env(struct sk_buffer *to, const json_t *old) {
    const char *name;
    json_t *value;
    const json_t *env = at(old, "agent.env");
    if (json_object_size(env)) sk_buffer_text(to, "\n[agent.env]\n");
    json_object_foreach((json_t *)env, name, value) {
        if (!json_is_string(value)) continue;
        sk_json_string(to, sk_span_z(name));
        sk_buffer_text(to, " = ");
        sk_json_string(to, sk_span_z(json_string_value(value)));
        sk_buffer_byte(to, '\n');
    }
}

static void put_toml(struct sk_buffer *to, const json_t *old) {
    sk_buffer_text(
        to, "# Written by `skerry-edge config import`. Every key: `skerry-edge reference`.\n");
    put_text(to, old, "hostname", "hostname");
    put_text(to, old, "parent_hostname", "parent_hostname");
    put_file(to, old, "certificates.trusted_ca_certs", "trust_bundle_cert");
    put_provisioning(to, old);
    put_attestation(to, old);
    const char *days = json_string_value(at(old, "certificates.auto_generated_ca_lifetime_days"));
    if (days || at(old, "certificates.device_ca_cert")) sk_buffer_text(to, "\n[edge_ca]\n");
    put_file(to, old, "certificates.device_ca_cert", "cert");
    put_file(to, old, "certificates.device_ca_pk", "pk");
    if (days && !at(old, "certificates.device_ca_cert"))
        sk_buffer_print(to, "auto_generated_edge_ca_expiry_days = %d\n", atoi(days));
    put_env(to, old);
    if (at(old, "moby_runtime")) sk_buffer_text(to, "\n[moby_runtime]\n");
    put_text(to, old, "moby_runtime.uri", "uri");
    put_text(to, old,
             json_is_object(at(old, "moby_runtime.network")) ? "moby_runtime.network.name"
                                                             : "moby_runtime.network",
             "network");
}

/* What stays behind, one sentence each. */
static void tell_left_out(const json_t *old) {
    static const struct {
        const char *path, *why;
    } left[] = {
        {"agent.config", "the agent is part of skerry-edge, and has no image"},
        {"connect", "modules get their sockets from the agent"},
        {"listen", "modules get their sockets from the agent"},
        {"homedir", "state is kept in /var/lib/skerry; [skerry] data names another folder"},
        {"watchdog", "the service manager watches the edge"},
    };
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (at(old, left[i].path)) printf("%s is left out: %s.\n", left[i].path, left[i].why);
}

int sk_edge_config_import(void *arg) {
    const struct sk_edge_command *command = arg;
    const char *from = sk_typed_option(&command->typed, "config-file"),
               *to = sk_typed_option(&command->typed, "out-config-file");
    struct sk_buffer text = {.limit = OLD_MAX}, toml = {0};
    char why[160];
    if (from == NULL) from = OLD_FILE;
    if (to == NULL) to = command->file;
    struct sk_io *io = sk_io_uv_new();
    enum sk_status status = sk_file_load(io, from, &text);
    json_t *old = status ? NULL : parse_yaml(sk_buffer_span(&text), why);
    int code = SK_EXIT_REFUSED;
    if (status)
        fprintf(stderr, "skerry-edge: %s cannot be read: %s\n", from, sk_status_text(status));
    else if (old == NULL)
        fprintf(stderr, "skerry-edge: %s is not understood: %s\n", from, why);
    if (old) {
        put_toml(&toml, old);
        tell_left_out(old);
        code = edge_write_config(io, to, sk_typed_option(&command->typed, "force") != NULL,
                                 sk_buffer_span(&toml));
    }
    json_decref(old);
    sk_buffer_free(&text);
    sk_buffer_free(&toml);
    sk_io_free(io);
    return code;
}
