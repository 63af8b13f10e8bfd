#include "edge/agent/spec.h"

void sk_module_spec_free(struct sk_module_spec *spec) {
    free(spec->name);
    free(spec->version);
    free(spec->type);
    free(spec->image_pull_policy);
    json_decref(spec->settings);
    json_decref(spec->env);
    for (size_t i = 0; i < SK_MODULE_ARGUMENTS_MAX; i++) free(spec->command[i]);
    free(spec->user);
    free(spec->folder);
    free(spec->image);
    free(spec->image_id);
    json_decref(spec->create_options);
    json_decref(spec->registry);
    memset(spec, 0, sizeof *spec);
}

struct sk_module_spec sk_module_spec_copy(const struct sk_module_spec *spec) {
    struct sk_module_spec copy = *spec;
    copy.name = sk_text_dup(spec->name);
    copy.version = sk_text_dup(spec->version);
    copy.type = sk_text_dup(spec->type);
    copy.image_pull_policy = sk_text_dup(spec->image_pull_policy);
    copy.settings = json_deep_copy(spec->settings);
    copy.env = json_deep_copy(spec->env);
    for (size_t i = 0; i < SK_MODULE_ARGUMENTS_MAX; i++)
        copy.command[i] = sk_text_dup(spec->command[i]);
    copy.user = sk_text_dup(spec->user);
    copy.folder = sk_text_dup(spec->folder);
    copy.image = sk_text_dup(spec->image);
    copy.image_id = sk_text_dup(spec->image_id);
    copy.create_options = json_deep_copy(spec->create_options);
    copy.registry = json_deep_copy(spec->registry);
    return copy;
}

bool sk_module_is_container(const struct sk_module_spec *spec) {
    return spec->type && strcmp(spec->type, "docker") == 0;
}

bool sk_module_spec_differs(const struct sk_module_spec *a, const struct sk_module_spec *b) {
    return !sk_span_eq(sk_span_z(a->version), sk_span_z(b->version)) ||
           !sk_span_eq(sk_span_z(a->type), sk_span_z(b->type)) ||
           !sk_span_eq(sk_span_z(a->image_pull_policy), sk_span_z(b->image_pull_policy)) ||
           a->restart_policy != b->restart_policy || a->startup_order != b->startup_order ||
           !json_equal(a->settings, b->settings) || !json_equal(a->env, b->env);
}

const char *sk_restart_policy_text(enum sk_restart_policy policy) {
    static const char *const text[] = {"never", "on-failure", "on-unhealthy", "always"};
    return text[policy];
}

static void put_text(json_t *json, const char *name, const char *text) {
    if (text) json_object_set_new(json, name, json_string(text));
}

json_t *sk_module_spec_json(const struct sk_module_spec *spec) {
    json_t *json = json_object();
    put_text(json, "version", spec->version);
    put_text(json, "type", spec->type);
    put_text(json, "imagePullPolicy", spec->image_pull_policy);
    put_text(json, "status", spec->stopped ? "stopped" : "running");
    put_text(json, "restartPolicy", sk_restart_policy_text(spec->restart_policy));
    if (spec->startup_order != SK_STARTUP_ORDER_LAST)
        json_object_set_new(json, "startupOrder", json_integer(spec->startup_order));
    json_object_set(json, "settings", spec->settings);
    json_object_set(json, "env", spec->env);
    return json;
}
