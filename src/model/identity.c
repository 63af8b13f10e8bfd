/* Identities: owned strings, id rules and the JSON of IoT Hub's identity registry
 * (docs/protocols/service-api.md, section 2). */
#include "model/identity.h"

#include <inttypes.h>
#include <openssl/crypto.h>
#include <stdio.h>

static const char SCOPE_PREFIX[] = "ms-azure-iot-edge://";
/* .NET ticks (100 ns since year 1) at 1970. */
static const int64_t TICKS_1970 = 621355968000000000;

/* ---- the struct ---- */

void sk_identity_set(char **field, struct sk_span text) {
    char *copy = text.n ? sk_span_dup(text) : NULL; /* before the free: `text` may be the old one */
    free(*field);
    *field = copy;
}

void sk_identity_free(struct sk_identity *identity) {
    free(identity->device_id);
    free(identity->module_id);
    free(identity->generation_id);
    free(identity->status_reason);
    free(identity->primary_key);
    free(identity->secondary_key);
    free(identity->primary_thumbprint);
    free(identity->secondary_thumbprint);
    free(identity->device_scope);
    for (size_t i = 0; i < identity->parent_scope_count; i++) free(identity->parent_scopes[i]);
    free(identity->managed_by);
    free(identity->model_id);
    memset(identity, 0, sizeof *identity);
}

struct sk_identity sk_identity_copy(const struct sk_identity *identity) {
    struct sk_identity copy = *identity;
    copy.device_id = sk_text_dup(identity->device_id);
    copy.module_id = sk_text_dup(identity->module_id);
    copy.generation_id = sk_text_dup(identity->generation_id);
    copy.status_reason = sk_text_dup(identity->status_reason);
    copy.primary_key = sk_text_dup(identity->primary_key);
    copy.secondary_key = sk_text_dup(identity->secondary_key);
    copy.primary_thumbprint = sk_text_dup(identity->primary_thumbprint);
    copy.secondary_thumbprint = sk_text_dup(identity->secondary_thumbprint);
    copy.device_scope = sk_text_dup(identity->device_scope);
    for (size_t i = 0; i < identity->parent_scope_count; i++)
        copy.parent_scopes[i] = sk_text_dup(identity->parent_scopes[i]);
    copy.managed_by = sk_text_dup(identity->managed_by);
    copy.model_id = sk_text_dup(identity->model_id);
    return copy;
}

struct sk_identity sk_identity_move(struct sk_identity *from) {
    struct sk_identity moved = *from;
    memset(from, 0, sizeof *from);
    return moved;
}

enum sk_status sk_id_check(struct sk_span id) {
    bool fits = id.n > 0 && id.n <= SK_ID_MAX && sk_span_only(id, "-:.+%_#*?!(),=@;$'");
    return fits ? SK_OK : SK_INVALID;
}

/* ---- reading JSON ---- */

static enum sk_status refuse(char error[SK_MODEL_ERROR_MAX], const char *sentence) {
    snprintf(error, SK_MODEL_ERROR_MAX, "%s", sentence);
    return SK_INVALID;
}

/* Reads an optional string member; absent and null give the empty span. */
static enum sk_status text_member(const json_t *object, const char *name, size_t max,
                                  struct sk_span *text, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *value = json_object_get(object, name);
    *text = SK_NONE;
    if (value == NULL || json_is_null(value)) return SK_OK;
    if (!json_is_string(value)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "'%s' must be a string.", name);
        return SK_INVALID;
    }
    *text = sk_span(json_string_value(value), json_string_length(value));
    if (text->n > max || memchr(text->p, 0, text->n)) {
        snprintf(error, SK_MODEL_ERROR_MAX, "'%s' must have at most %zu characters and no NUL.",
                 name, max);
        return SK_INVALID;
    }
    return SK_OK;
}

/* Reads an optional object member; absent and null give NULL. */
static enum sk_status object_member(const json_t *object, const char *name, const json_t **member,
                                    char error[SK_MODEL_ERROR_MAX]) {
    *member = json_object_get(object, name);
    if (*member == NULL || json_is_null(*member)) {
        *member = NULL;
        return SK_OK;
    }
    if (json_is_object(*member)) return SK_OK;
    snprintf(error, SK_MODEL_ERROR_MAX, "'%s' must be an object.", name);
    return SK_INVALID;
}

static enum sk_status check_id_member(const json_t *body, const char *name, struct sk_span expected,
                                      char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span text;
    enum sk_status status = text_member(body, name, SK_ID_MAX, &text, error);
    if (status || text.n == 0 || sk_span_eq(text, expected)) return status;
    snprintf(error, SK_MODEL_ERROR_MAX, "'%s' in the body differs from the id in the path.", name);
    return SK_INVALID;
}

static enum sk_status check_key(struct sk_span key, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_buffer bytes = {0};
    enum sk_status status = sk_base64_decode(&bytes, key);
    size_t n = bytes.n;
    sk_buffer_free(&bytes);
    if (status || n < 16 || n > 64)
        return refuse(error, "A symmetric key must be base64 of 16 to 64 bytes.");
    return SK_OK;
}

static enum sk_status read_thumbprint(struct sk_span text, char **field,
                                      char error[SK_MODEL_ERROR_MAX]) {
    if (text.n == 0) return SK_OK;
    struct sk_buffer bytes = {0};
    enum sk_status status = sk_hex_decode(&bytes, text);
    sk_buffer_free(&bytes);
    if (status || (text.n != 40 && text.n != 64))
        return refuse(
            error,
            "A thumbprint must be 40 (SHA-1) or 64 (SHA-256) hexadecimal digits without colons.");
    sk_identity_set(field, text);
    for (char *c = *field; *c; c++)
        if (*c >= 'a' && *c <= 'f') *c = (char)(*c - 'a' + 'A');
    return SK_OK;
}

static enum sk_status read_auth_type(struct sk_span text, bool has_thumbprint,
                                     enum sk_auth_type *type, char error[SK_MODEL_ERROR_MAX]) {
    if (text.n == 0) {
        *type = has_thumbprint ? SK_AUTH_SELF_SIGNED : SK_AUTH_SAS;
        return SK_OK;
    }
    for (enum sk_auth_type t = SK_AUTH_SAS; t <= SK_AUTH_NONE; t++)
        if (sk_span_eq_nocase(text, sk_span_z(sk_auth_type_text(t)))) {
            *type = t;
            return SK_OK;
        }
    return refuse(error,
                  "'authentication.type' must be sas, selfSigned, certificateAuthority or none.");
}

static enum sk_status read_authentication(const json_t *body, struct sk_identity *identity,
                                          char error[SK_MODEL_ERROR_MAX]) {
    const json_t *authentication, *keys, *thumbprints;
    struct sk_span type, primary, secondary;
    enum sk_status status = object_member(body, "authentication", &authentication, error);
    if (status || authentication == NULL) return status;
    if ((status = object_member(authentication, "symmetricKey", &keys, error)) ||
        (status = object_member(authentication, "x509Thumbprint", &thumbprints, error)) ||
        (status = text_member(authentication, "type", 32, &type, error)) ||
        (status = text_member(thumbprints, "primaryThumbprint", 64, &primary, error)) ||
        (status = text_member(thumbprints, "secondaryThumbprint", 64, &secondary, error)) ||
        (status = read_auth_type(type, primary.n || secondary.n, &identity->auth, error)))
        return status;
    if (identity->auth == SK_AUTH_SELF_SIGNED) {
        if (primary.n == 0 && secondary.n == 0)
            return refuse(error,
                          "Authentication type selfSigned needs a thumbprint in 'x509Thumbprint'.");
        if ((status = read_thumbprint(primary, &identity->primary_thumbprint, error)) ||
            (status = read_thumbprint(secondary, &identity->secondary_thumbprint, error)))
            return status;
    }
    if (identity->auth != SK_AUTH_SAS) return SK_OK;
    if ((status = text_member(keys, "primaryKey", 128, &primary, error)) ||
        (status = text_member(keys, "secondaryKey", 128, &secondary, error)))
        return status;
    if (primary.n == 0 && secondary.n == 0) return SK_OK;
    if (primary.n == 0 || secondary.n == 0)
        return refuse(error, "Give both symmetric keys, or none to have them made.");
    if ((status = check_key(primary, error)) || (status = check_key(secondary, error)))
        return status;
    sk_identity_set(&identity->primary_key, primary);
    sk_identity_set(&identity->secondary_key, secondary);
    return SK_OK;
}

static enum sk_status read_scopes(const json_t *body, struct sk_identity *identity,
                                  char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span scope, prefix = sk_span_z(SCOPE_PREFIX);
    const json_t *parents = json_object_get(body, "parentScopes"), *parent;
    enum sk_status status = text_member(body, "deviceScope", 256, &scope, error);
    if (status) return status;
    if (scope.n && !sk_span_starts(scope, prefix))
        return refuse(error,
                      "'deviceScope' must be an edge device's scope (ms-azure-iot-edge://…).");
    sk_identity_set(&identity->device_scope, scope);
    if (parents == NULL || json_is_null(parents)) parents = NULL;
    if (parents && (!json_is_array(parents) || json_array_size(parents) > SK_PARENT_SCOPES_MAX))
        return refuse(error, "'parentScopes' must be an array of at most one scope.");
    size_t i;
    json_array_foreach(parents, i, parent) {
        struct sk_span text = sk_span(json_string_value(parent), json_string_length(parent));
        if (!sk_span_starts(text, prefix) || text.n > 256 || memchr(text.p, 0, text.n))
            return refuse(
                error, "'parentScopes' must hold an edge device's scope (ms-azure-iot-edge://…).");
        sk_identity_set(&identity->parent_scopes[identity->parent_scope_count++], text);
    }
    if (identity->edge) return SK_OK;
    /* A leaf's parent is its device scope; parentScopes mirrors it, and may come alone. */
    if (identity->device_scope == NULL && identity->parent_scope_count)
        sk_identity_set(&identity->device_scope, sk_span_z(identity->parent_scopes[0]));
    if (identity->device_scope) {
        sk_identity_set(&identity->parent_scopes[0], sk_span_z(identity->device_scope));
        identity->parent_scope_count = 1;
    }
    return SK_OK;
}

static enum sk_status read_device(const json_t *body, struct sk_identity *identity,
                                  char error[SK_MODEL_ERROR_MAX]) {
    const json_t *capabilities, *edge;
    struct sk_span text;
    enum sk_status status = text_member(body, "status", 16, &text, error);
    if (status) return status;
    if (text.n && !sk_span_eq_nocase(text, SK_SPAN("enabled")) &&
        !sk_span_eq_nocase(text, SK_SPAN("disabled")))
        return refuse(error, "'status' must be enabled or disabled.");
    identity->disabled = sk_span_eq_nocase(text, SK_SPAN("disabled"));
    if ((status = text_member(body, "statusReason", SK_STATUS_REASON_MAX, &text, error)))
        return status;
    sk_identity_set(&identity->status_reason, text);
    if ((status = object_member(body, "capabilities", &capabilities, error))) return status;
    edge = json_object_get(capabilities, "iotEdge");
    if (edge && !json_is_boolean(edge))
        return refuse(error, "'capabilities.iotEdge' must be true or false.");
    identity->edge = json_is_true(edge);
    return read_scopes(body, identity, error);
}

enum sk_status sk_identity_from_json(const json_t *body, struct sk_span device_id,
                                     struct sk_span module_id, struct sk_identity *identity,
                                     char error[SK_MODEL_ERROR_MAX]) {
    memset(identity, 0, sizeof *identity);
    if (sk_id_check(device_id) || (module_id.n && sk_id_check(module_id)))
        return refuse(
            error,
            "An id has 1 to 128 characters: letters, digits and - : . + % _ # * ? ! ( ) , = @ ; $ "
            "'.");
    if (!json_is_object(body)) return refuse(error, "The body must be a JSON object.");
    sk_identity_set(&identity->device_id, device_id);
    sk_identity_set(&identity->module_id, module_id);
    struct sk_span text;
    enum sk_status status;
    if ((status = check_id_member(body, "deviceId", device_id, error)) ||
        (status = read_authentication(body, identity, error)))
        goto fail;
    if (module_id.n == 0) {
        if ((status = read_device(body, identity, error))) goto fail;
        return SK_OK;
    }
    if ((status = check_id_member(body, "moduleId", module_id, error)) ||
        (status = text_member(body, "managedBy", SK_ID_MAX, &text, error)))
        goto fail;
    sk_identity_set(&identity->managed_by, text);
    return SK_OK;
fail:
    sk_identity_free(identity);
    return status;
}

/* ---- writing JSON ---- */

const char *sk_auth_type_text(enum sk_auth_type type) {
    switch (type) {
    case SK_AUTH_SELF_SIGNED: return "selfSigned";
    case SK_AUTH_CA: return "certificateAuthority";
    case SK_AUTH_NONE: return "none";
    case SK_AUTH_SAS: break;
    }
    return "sas";
}

static json_t *text_or_null(const char *text) {
    return text ? json_string(text) : json_null();
}

/* A time, or Azure's form of "never", which carries no zone. */
static json_t *time_json(int64_t wall_us) {
    char text[SK_TIME_TEXT];
    if (wall_us == 0) return json_string("0001-01-01T00:00:00");
    sk_time_text(wall_us, text);
    return json_string(text);
}

json_t *sk_identity_authentication_json(const struct sk_identity *identity) {
    return json_pack("{s:{s:o,s:o},s:{s:o,s:o},s:s}", "symmetricKey", "primaryKey",
                     text_or_null(identity->primary_key), "secondaryKey",
                     text_or_null(identity->secondary_key), "x509Thumbprint", "primaryThumbprint",
                     text_or_null(identity->primary_thumbprint), "secondaryThumbprint",
                     text_or_null(identity->secondary_thumbprint), "type",
                     sk_auth_type_text(identity->auth));
}

json_t *sk_identity_to_json(const struct sk_identity *identity,
                            const struct sk_presence *presence) {
    static const struct sk_presence unseen;
    char etag[SK_ETAG_MAX];
    json_t *json = json_object();
    if (presence == NULL) presence = &unseen;
    sk_identity_etag(identity->etag, etag);
    json_object_set_new(json, "deviceId", json_string(identity->device_id));
    if (identity->module_id) {
        json_object_set_new(json, "moduleId", json_string(identity->module_id));
        json_object_set_new(json, "managedBy", text_or_null(identity->managed_by));
    }
    json_object_set_new(json, "generationId", text_or_null(identity->generation_id));
    json_object_set_new(json, "etag", json_string(etag));
    json_object_set_new(json, "connectionState",
                        json_string(presence->connected ? "Connected" : "Disconnected"));
    json_object_set_new(json, "connectionStateUpdatedTime", time_json(presence->changed_us));
    json_object_set_new(json, "lastActivityTime", time_json(presence->active_us));
    json_object_set_new(json, "cloudToDeviceMessageCount", json_integer(presence->c2d_count));
    json_object_set_new(json, "authentication", sk_identity_authentication_json(identity));
    if (identity->model_id) json_object_set_new(json, "modelId", json_string(identity->model_id));
    if (identity->module_id) return json;
    json_object_set_new(json, "status", json_string(identity->disabled ? "disabled" : "enabled"));
    json_object_set_new(json, "statusReason", text_or_null(identity->status_reason));
    json_object_set_new(json, "statusUpdatedTime", time_json(identity->status_updated_us));
    json_object_set_new(json, "capabilities", json_pack("{s:b}", "iotEdge", identity->edge));
    if (identity->device_scope)
        json_object_set_new(json, "deviceScope", json_string(identity->device_scope));
    json_t *parents = json_array();
    for (size_t i = 0; i < identity->parent_scope_count; i++)
        json_array_append_new(parents, json_string(identity->parent_scopes[i]));
    json_object_set_new(json, "parentScopes", parents);
    return json;
}

/* ---- what a new identity gets ---- */

bool sk_identity_fill_keys(struct sk_identity *identity, const uint8_t random[64]) {
    if (identity->auth != SK_AUTH_SAS || identity->primary_key) return false;
    struct sk_buffer text = {0};
    sk_base64_encode(&text, sk_span(random, 32));
    sk_identity_set(&identity->primary_key, sk_buffer_span(&text));
    text.n = 0;
    sk_base64_encode(&text, sk_span(random + 32, 32));
    sk_identity_set(&identity->secondary_key, sk_buffer_span(&text));
    sk_buffer_free(&text);
    return true;
}

void sk_identity_begin(struct sk_identity *identity, int64_t wall_us) {
    char text[256];
    snprintf(text, sizeof text, "%018" PRId64, TICKS_1970 + wall_us * 10);
    sk_identity_set(&identity->generation_id, sk_span_z(text));
    identity->status_updated_us = 0;
    if (identity->module_id || !identity->edge) return;
    snprintf(text, sizeof text, "%s%s-%s", SCOPE_PREFIX, identity->device_id,
             identity->generation_id);
    sk_identity_set(&identity->device_scope, sk_span_z(text));
}

/* An edge device's own scope is no parent's; a leaf's scope is its parent's. */
bool sk_identity_is_below(const struct sk_identity *device, struct sk_span scope) {
    if (scope.n == 0) return false;
    if (!device->edge && sk_span_eq(sk_span_z(device->device_scope), scope)) return true;
    for (size_t i = 0; i < device->parent_scope_count; i++)
        if (sk_span_is(scope, device->parent_scopes[i])) return true;
    return false;
}

/* "ms-azure-iot-edge://<id>-<generation>" */
struct sk_span sk_identity_parent(const struct sk_identity *device) {
    static const struct sk_span scheme = {"ms-azure-iot-edge://", 20};
    struct sk_span scope = SK_NONE;
    if (device->parent_scope_count)
        scope = sk_span_z(device->parent_scopes[0]);
    else if (!device->edge)
        scope = sk_span_z(device->device_scope);
    if (!sk_span_starts(scope, scheme)) return SK_NONE;
    scope = sk_span_skip(scope, scheme.n);
    size_t n = scope.n;
    while (n && scope.p[n - 1] != '-') n--;
    return sk_span_first(scope, n ? n - 1 : 0);
}

bool sk_identity_is_child(const struct sk_identity *device, const struct sk_identity *edge) {
    return edge->edge && strcmp(device->device_id, edge->device_id) != 0 &&
           sk_identity_is_below(device, sk_span_z(edge->device_scope));
}

static uint64_t proof(enum sk_auth_type type, const char *text) {
    struct sk_buffer both = {0};
    sk_buffer_print(&both, "%d %s", (int)type, text ? text : "");
    uint64_t digest = sk_hash(sk_buffer_span(&both));
    if (both.p) OPENSSL_cleanse(both.p, both.n);
    sk_buffer_free(&both);
    return digest;
}

void sk_identity_proofs(const struct sk_identity *identity, uint64_t proofs[2]) {
    bool keys = identity->auth == SK_AUTH_SAS, prints = identity->auth == SK_AUTH_SELF_SIGNED;
    const char *first = keys ? identity->primary_key : prints ? identity->primary_thumbprint : NULL;
    const char *second = keys     ? identity->secondary_key
                         : prints ? identity->secondary_thumbprint
                                  : NULL;
    bool any = identity->auth == SK_AUTH_CA;
    proofs[0] = first || any ? proof(identity->auth, first) : 0;
    proofs[1] = second || any ? proof(identity->auth, second) : 0;
}

bool sk_is_system_module(struct sk_span module_id) {
    return sk_span_is(module_id, SK_EDGE_AGENT_MODULE) || sk_span_is(module_id, SK_EDGE_HUB_MODULE);
}

/* ---- etags ---- */

static void etag_text(struct sk_span bytes, char to[SK_ETAG_MAX]) {
    struct sk_buffer text = {0};
    sk_base64_encode(&text, bytes);
    memcpy(to, text.p, text.n);
    to[text.n] = 0;
    sk_buffer_free(&text);
}

void sk_identity_etag(uint64_t counter, char to[SK_ETAG_MAX]) {
    char decimal[24];
    int n = snprintf(decimal, sizeof decimal, "%" PRIu64, counter);
    etag_text(sk_span(decimal, (size_t)n), to);
}

void sk_twin_etag(uint64_t counter, char to[SK_ETAG_MAX]) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) bytes[i] = (uint8_t)(counter >> (56 - 8 * i));
    etag_text(sk_span(bytes, sizeof bytes), to);
}

bool sk_etag_matches(struct sk_span if_match, const char *etag) {
    if_match = sk_span_trim(if_match);
    if (sk_span_starts_nocase(if_match, SK_SPAN("W/"))) if_match = sk_span_skip(if_match, 2);
    if (if_match.n >= 2 && if_match.p[0] == '"' && if_match.p[if_match.n - 1] == '"')
        if_match = sk_span(if_match.p + 1, if_match.n - 2);
    return sk_span_is(if_match, "*") || (if_match.n && sk_span_is(if_match, etag));
}
