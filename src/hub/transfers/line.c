#include "hub/transfers/parts.h"

static void copy(json_t *to, const char *name, const json_t *from, const char *member) {
    json_t *value = json_object_get(from, member);
    if (value) json_object_set(to, name, value);
}

static void forget_keys(json_t *authentication) {
    json_t *keys = json_object_get(authentication, "symmetricKey");
    if (!json_is_object(keys)) return;
    json_object_set_new(keys, "primaryKey", json_null());
    json_object_set_new(keys, "secondaryKey", json_null());
}

json_t *transfer_line(const struct sk_registry_entry *entry, bool without_keys) {
    static const char *const of_twin[] = {"tags", "properties", NULL};
    static const char *const of_identity[] = {
        "status", "statusReason", "capabilities", "deviceScope", "parentScopes", "managedBy", NULL};
    const struct sk_identity *identity = &entry->identity;
    json_t *line = json_object(), *shown = sk_identity_to_json(identity, NULL),
           *twin = sk_twin_service_json(&entry->twin, identity, NULL),
           *authentication = sk_identity_authentication_json(identity);
    json_object_set_new(line, "id", json_string(identity->device_id));
    if (identity->module_id)
        json_object_set_new(line, "moduleId", json_string(identity->module_id));
    copy(line, "eTag", shown, "etag");
    for (size_t i = 0; of_identity[i]; i++) copy(line, of_identity[i], shown, of_identity[i]);
    if (without_keys) forget_keys(authentication);
    json_object_set_new(line, "authentication", authentication);
    copy(line, "twinETag", twin, "etag");
    for (size_t i = 0; of_twin[i]; i++) copy(line, of_twin[i], twin, of_twin[i]);
    json_decref(shown);
    json_decref(twin);
    return line;
}
