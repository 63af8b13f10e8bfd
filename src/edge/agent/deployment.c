/* Reading and checking a deployment. Every refusal names the place in the manifest and the mend. */
#include "edge/agent/deployment.h"

#include <stdio.h>

#include "edge/agent/engine/image.h"
#include "edge/agent/reading.h"
#include "model/identity.h"

void sk_deployment_free(struct sk_deployment *deployment) {
    for (size_t i = 0; i < deployment->module_count; i++)
        sk_module_spec_free(&deployment->modules[i]);
    free(deployment->modules);
    sk_module_spec_free(&deployment->edge_agent);
    sk_module_spec_free(&deployment->edge_hub);
    json_decref(deployment->runtime);
    memset(deployment, 0, sizeof *deployment);
}

struct sk_module_spec *sk_deployment_module(const struct sk_deployment *deployment,
                                            const char *name) {
    for (size_t i = 0; i < deployment->module_count; i++)
        if (strcmp(deployment->modules[i].name, name) == 0) return &deployment->modules[i];
    return NULL;
}

static int by_startup(const void *a, const void *b) {
    const struct sk_module_spec *left = a, *right = b;
    if (left->startup_order != right->startup_order)
        return left->startup_order < right->startup_order ? -1 : 1;
    return strcmp(left->name, right->name);
}

static enum sk_status read_modules(struct reader *reader, const json_t *desired,
                                   struct sk_deployment *deployment) {
    const char *name;
    json_t *module;
    const json_t *modules = json_object_get(desired, "modules");
    if (modules == NULL || json_is_null(modules)) return SK_OK;
    snprintf(reader->place, sizeof reader->place, "modules");
    if (!json_is_object(modules)) return reading_refuse(reader, 400, "must be an object.");
    if (json_object_size(modules) > SK_MODULES_MAX - 2)
        return reading_refuse(reader, 400,
                              "a device has at most %d modules beside edgeAgent and edgeHub.",
                              SK_MODULES_MAX - 2);
    deployment->modules = sk_alloc((json_object_size(modules) + 1) * sizeof *deployment->modules);
    json_object_foreach((json_t *)modules, name, module) {
        enum sk_status status =
            read_module(reader, name, module, &deployment->modules[deployment->module_count++]);
        if (status) return status;
    }
    if (deployment->module_count > 1)
        qsort(deployment->modules, deployment->module_count, sizeof *deployment->modules,
              by_startup);
    return SK_OK;
}

/* The one setting of edgeHub's environment that is not the configuration's. */
static enum sk_status read_max_clients(struct reader *reader, struct sk_deployment *deployment) {
    const json_t *value =
        json_object_get(json_object_get(deployment->edge_hub.env, "MaxConnectedClients"), "value");
    int64_t n;
    if (value == NULL) return SK_OK;
    if (sk_span_to_int(sk_span_z(json_string_value(value)), &n) || n < 1 || n > UINT32_MAX) {
        snprintf(reader->place, sizeof reader->place, "systemModules.edgeHub");
        return reading_refuse(reader, 400,
                              "env.MaxConnectedClients must be a whole number from 1 on.");
    }
    deployment->max_clients = (uint32_t)n;
    return SK_OK;
}

static enum sk_status read_system_modules(struct reader *reader, const json_t *desired,
                                          struct sk_deployment *deployment) {
    const char *name;
    json_t *module;
    const json_t *modules = json_object_get(desired, "systemModules");
    if (modules == NULL || json_is_null(modules)) return SK_OK;
    snprintf(reader->place, sizeof reader->place, "systemModules");
    if (!json_is_object(modules)) return reading_refuse(reader, 400, "must be an object.");
    json_object_foreach((json_t *)modules, name, module) {
        bool agent = strcmp(name, "edgeAgent") == 0;
        snprintf(reader->place, sizeof reader->place, "systemModules.%.60s", name);
        if (!agent && strcmp(name, "edgeHub") != 0)
            return reading_refuse(reader, 400, "is not known; there are edgeAgent and edgeHub.");
        struct sk_module_spec *spec = agent ? &deployment->edge_agent : &deployment->edge_hub;
        spec->restart_policy = SK_RESTART_ALWAYS;
        enum sk_status status = read_common(reader, name, module, spec);
        if (status) return status;
        if (spec->stopped) return reading_refuse(reader, 400, "cannot be stopped.");
    }
    return read_max_clients(reader, deployment);
}

/* What of the runtime section counts here: credentials of registries, by their address. */
static enum sk_status read_runtime(struct reader *reader, const json_t *desired,
                                   struct sk_deployment *deployment) {
    const json_t *runtime = json_object_get(desired, "runtime");
    const json_t *all =
        json_object_get(json_object_get(runtime, "settings"), "registryCredentials");
    static const char *const members[] = {"address", "username", "password"};
    const char *name;
    json_t *entry;
    deployment->runtime = json_is_object(runtime) ? json_deep_copy(runtime) : NULL;
    if (all == NULL || json_is_null(all)) return SK_OK;
    snprintf(reader->place, sizeof reader->place, "runtime.settings.registryCredentials");
    if (!json_is_object(all)) return reading_refuse(reader, 400, "must be an object.");
    json_object_foreach((json_t *)all, name, entry) {
        snprintf(reader->place, sizeof reader->place, "runtime.settings.registryCredentials.%.60s",
                 name);
        for (size_t i = 0; i < sizeof members / sizeof *members; i++)
            if (!json_is_string(json_object_get(entry, members[i])))
                return reading_refuse(reader, 400,
                                      "needs address, username and password, as strings.");
    }
    reader->place[0] = 0;
    return SK_OK;
}

static void give_credentials(struct sk_deployment *deployment) {
    json_t *all = json_object_get(json_object_get(deployment->runtime, "settings"),
                                  "registryCredentials"),
           *entry;
    const char *key;
    for (size_t i = 0; i < deployment->module_count; i++) {
        struct sk_module_spec *spec = &deployment->modules[i];
        struct sk_image_name name;
        if (spec->image == NULL || sk_image_name_parse(sk_span_z(spec->image), &name)) continue;
        json_object_foreach(
            all, key, entry) if (spec->registry == NULL &&
                                 sk_image_is_at(&name, sk_span_z(json_string_value(
                                                           json_object_get(entry, "address")))))
            spec->registry = json_deep_copy(entry);
    }
}

/* "1", "1.0", "1.1", "1.1.0"; newer minor versions may mean what we do not know. */
static enum sk_status check_schema(struct reader *reader, const json_t *desired) {
    static const char *const known[] = {"1", "1.0", "1.0.0", "1.1", "1.1.0"};
    struct sk_span text;
    enum sk_status status = reading_text(reader, desired, "schemaVersion", &text);
    if (status) return status;
    if (text.n == 0) return reading_refuse(reader, 400, "schemaVersion is missing; write \"1.1\".");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sk_span_is(text, known[i])) return SK_OK;
    return reading_refuse(reader, 412,
                          "schemaVersion %.*s is not supported; it must be 1.0 or 1.1.",
                          SK_ARG(sk_span_first(text, 20)));
}

static bool is_empty(const json_t *desired) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)desired, name, value) if (name[0] != '$') return false;
    return true;
}

enum sk_status sk_deployment_parse(const json_t *desired, struct sk_deployment *deployment,
                                   struct sk_deployment_fault *fault) {
    struct reader reader = {.fault = fault};
    memset(deployment, 0, sizeof *deployment);
    memset(fault, 0, sizeof *fault);
    if (!json_is_object(desired))
        return reading_refuse(&reader, 400, "The desired properties must be a JSON object.");
    if (is_empty(desired))
        return reading_refuse(
            &reader, 417,
            "The desired properties are empty: no deployment has been set for this device.");
    enum sk_status status = check_schema(&reader, desired);
    if (!status) status = read_runtime(&reader, desired, deployment);
    if (!status) status = read_system_modules(&reader, desired, deployment);
    if (!status) status = read_modules(&reader, desired, deployment);
    if (status) {
        sk_deployment_free(deployment);
        return status;
    }
    give_credentials(deployment);
    deployment->version = (uint64_t)json_integer_value(json_object_get(desired, "$version"));
    return SK_OK;
}
