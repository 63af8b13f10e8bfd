#include "edge/load.h"

#include "io/io.h"
#include "io/process.h"
#include "config/toml.h"
#include "model/json_text.h"

enum { FILE_MAX = 1024 * 1024 };

struct parse {
    const char *path;
    bool keys;
};

/* Texts that open something, and PINs in the places of keys. */
static const char *const passwords[] = {
    "provisioning.authentication.device_id_pk.value",
    "provisioning.authentication.identity_cert.password",
    "edge_ca.password",
    "cert_issuance.est.auth.password",
    "tpm.hierarchy_authorization.owner",
};
static const char *const places[] = {
    "provisioning.authentication.device_id_pk.uri",
    "provisioning.authentication.identity_pk",
    "provisioning.authentication.identity_cert.identity_pk",
    "provisioning.authentication.identity_cert.bootstrap_identity_pk",
    "edge_ca.pk",
    "edge_ca.identity_pk",
    "edge_ca.bootstrap_identity_pk",
    "cert_issuance.est.auth.identity_pk",
    "cert_issuance.est.auth.bootstrap_identity_pk",
    "cert_issuance.local_ca.pk",
    "aziot_keys.pkcs11_base_slot",
};

/* Replaces the text at a path such as "a.b.c"; of a place only what stands behind its '?'. */
static void hide(json_t *table, const char *path, const char *instead, bool place) {
    struct sk_span rest = sk_span_z(path), name;
    while (sk_span_split(&rest, '.', &name) && rest.p)
        table = json_object_getn(table, name.p, name.n);
    struct sk_span text = sk_span_z(json_string_value(json_object_getn(table, name.p, name.n)));
    size_t kept = place ? sk_span_find(text, '?') : 0;
    if (text.p == NULL || (place && kept == text.n)) return;
    struct sk_buffer hidden = {0};
    sk_buffer_append(&hidden, sk_span_first(text, kept));
    sk_buffer_text(&hidden, instead);
    json_object_setn_new(table, name.p, name.n, json_stringn(hidden.p, hidden.n));
    sk_buffer_free(&hidden);
}

/* Puts a key that says nothing in the place of the device's, so that all else can be checked. */
static void hide_keys(json_t *document) {
    static const char nothing[] = "AAAA";
    json_t *provisioning = json_object_get(document, "provisioning");
    for (size_t i = 0; i < sizeof passwords / sizeof *passwords; i++)
        hide(document, passwords[i], nothing, false);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        hide(document, places[i], "?pin-value=0", true);
    struct sk_span text =
        sk_span_z(json_string_value(json_object_get(provisioning, "connection_string")));
    struct sk_connection_string parts;
    char error[SK_MODEL_ERROR_MAX];
    if (text.n == 0) return;
    struct sk_buffer hidden = {0};
    if (sk_connection_string_parse(text, &parts, error) == SK_OK) {
        if (parts.shared_access_key.n) parts.shared_access_key = sk_span_z(nothing);
        sk_connection_string_format(&hidden, &parts);
    } else { /* what is wrong with it is said without it, too */
        sk_buffer_text(&hidden, "HostName");
    }
    json_object_set_new(provisioning, "connection_string", json_stringn(hidden.p, hidden.n));
    sk_buffer_free(&hidden);
}

/* The text as {"document":…,"lines":…}, or NULL with a sentence. It may be in this form already: as
 * sk_edge_config_show has written it. */
static json_t *parse_text(struct sk_span text, const char *path, char error[SK_TOML_ERROR_MAX]) {
    json_t *document, *lines;
    if (text.n && text.p[0] == '{') {
        json_t *shown = sk_json_load(text, 0, NULL);
        if (json_is_object(json_object_get(shown, "document"))) return shown;
        json_decref(shown);
    }
    return sk_toml_parse(text, path, &document, &lines, error)
               ? NULL
               : json_pack("{s:o,s:o}", "document", document, "lines", lines);
}

/* Puts what the file of additional_info says in the place of its name. */
static enum sk_status embed_info(struct sk_io *io, json_t *document,
                                 char error[SK_TOML_ERROR_MAX]) {
    const char *path = json_string_value(json_object_get(document, "additional_info"));
    struct sk_buffer text = {.limit = FILE_MAX};
    json_t *info, *lines;
    if (path == NULL) return SK_OK;
    if (strncmp(path, "file://", 7) == 0) path += 7;
    enum sk_status status = sk_file_load(io, path, &text);
    if (status)
        snprintf(error, SK_TOML_ERROR_MAX, "additional_info: %.300s cannot be read: %s.", path,
                 sk_status_text(status));
    else
        status = sk_toml_parse(sk_buffer_span(&text), path, &info, &lines, error);
    sk_buffer_free(&text);
    if (status) return status;
    json_decref(lines);
    json_object_set_new(document, "additional_info", info);
    return SK_OK;
}

/* In the child: the file in that form, or {"error":"…"}. */
static enum sk_status parse_file(void *arg, struct sk_buffer *out) {
    const struct parse *parse = arg;
    const char *path = parse->path;
    struct sk_buffer text = {.limit = FILE_MAX};
    json_t *result = NULL;
    char error[SK_TOML_ERROR_MAX];
    struct sk_io *io = sk_io_uv_new();
    enum sk_status status = sk_file_load(io, path, &text);
    if (status == SK_NOT_FOUND)
        snprintf(error, sizeof error,
                 "%.300s is not there; `skerry-edge config mp --connection-string '…'` writes one.",
                 path);
    else if (status)
        snprintf(error, sizeof error, "%.300s cannot be read: %s.", path, sk_status_text(status));
    else if ((result = parse_text(sk_buffer_span(&text), path, error)) == NULL)
        status = SK_INVALID;
    if (result && (status = embed_info(io, json_object_get(result, "document"), error)) != SK_OK) {
        json_decref(result);
        result = NULL;
    }
    if (result && !parse->keys) hide_keys(json_object_get(result, "document"));
    if (result == NULL) result = json_pack("{s:s}", "error", error);
    char *json = sk_json_text(result);
    sk_buffer_text(out, json);
    free(json);
    json_decref(result);
    sk_buffer_free(&text);
    sk_io_free(io);
    return status;
}

/* What a proxied machine has in its environment counts where [agent.env] is silent. */
static void inherit(json_t *document, const char *name, const char *value) {
    if (value == NULL || *value == 0) return;
    json_t *agent = json_object_get(document, "agent"), *env = json_object_get(agent, "env");
    if (agent == NULL) json_object_set_new(document, "agent", agent = json_object());
    if (env == NULL) json_object_set_new(agent, "env", env = json_object());
    if (json_object_get(env, name) == NULL) json_object_set_new(env, name, json_string(value));
}

/* Under which name is it to be reached, if nobody has said so? */
static void name_machine(json_t *document) {
    char name[256];
    if (json_object_get(document, "hostname") == NULL && sk_machine_name(name) == SK_OK)
        json_object_set_new(document, "hostname", json_string(name));
}

static void log_warning(const char *sentence) {
    SK_WARN("config", "%s", sentence);
}

enum sk_status sk_edge_config_show(const char *path, struct sk_buffer *to) {
    return sk_process_run(parse_file, &(struct parse){path, false}, to);
}

enum sk_status sk_edge_config_load(const char *path, bool warn, bool keys,
                                   struct sk_edge_config *config, struct sk_buffer *told,
                                   char error[SK_EDGE_CONFIG_ERROR_MAX]) {
    struct sk_buffer text = {0};
    enum sk_status status = sk_process_run(parse_file, &(struct parse){path, keys}, &text);
    json_t *result = json_loadb(text.p ? text.p : "", text.n, 0, NULL);
    const char *reason = json_string_value(json_object_get(result, "error"));
    if (status == SK_OK && result) {
        json_t *document = json_object_get(result, "document");
        const char *proxy = getenv("https_proxy");
        inherit(document, "https_proxy", proxy ? proxy : getenv("HTTPS_PROXY"));
        const char *no_proxy = getenv("no_proxy");
        inherit(document, "no_proxy", no_proxy ? no_proxy : getenv("NO_PROXY"));
        inherit(document, "UpstreamProtocol", getenv("UpstreamProtocol"));
        name_machine(document);
        status = sk_edge_config_read(document, json_object_get(result, "lines"), path, config,
                                     warn ? log_warning : NULL, told, error);
    } else {
        snprintf(error, SK_EDGE_CONFIG_ERROR_MAX, "%s",
                 reason ? reason : "The configuration's reader ended without an answer.");
        if (status == SK_OK) status = SK_IO;
    }
    json_decref(result);
    if (text.p) memset(text.p, 0, text.n);
    sk_buffer_free(&text);
    return status;
}
