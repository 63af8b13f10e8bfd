#include "edge/agent/report.h"

#include "edge/agent/engine/create.h"
#include "edge/agent/planner.h"
#include "model/json_text.h"

static json_t *time_json(int64_t wall_us) {
    char text[SK_TIME_TEXT];
    if (wall_us == 0) return json_string("0001-01-01T00:00:00Z");
    sk_time_text(wall_us, text);
    return json_string(text);
}

static json_t *text_or(const char *text, const char *otherwise) {
    return json_string(text ? text : otherwise);
}

/* Settings of a container as Azure reports them: what of it counts, cut to a twin's texts. */
static json_t *container_settings(const struct sk_module_spec *spec, const char *image_hash) {
    json_t *settings = json_object();
    json_object_set_new(settings, "image", text_or(spec->image, ""));
    json_object_set_new(settings, "imageHash", json_string(image_hash));
    sk_create_options_put(settings, spec->create_options);
    if (json_object_get(spec->settings, "skerry"))
        json_object_set(settings, "skerry", json_object_get(spec->settings, "skerry"));
    return settings;
}

/* What the manifest said, as far as it is reported back. */
static json_t *spec_json(const struct sk_module_spec *spec) {
    json_t *json = json_object();
    json_object_set_new(json, "type", text_or(spec->type, "process"));
    json_object_set_new(json, "version", text_or(spec->version, ""));
    json_object_set_new(json, "imagePullPolicy", text_or(spec->image_pull_policy, "on-create"));
    if (spec->startup_order != SK_STARTUP_ORDER_LAST)
        json_object_set_new(json, "startupOrder", json_integer(spec->startup_order));
    json_object_set(json, "settings", spec->settings);
    json_object_set(json, "env", spec->env);
    return json;
}

static void put_policy(json_t *json, const struct sk_module_spec *spec) {
    json_object_set_new(json, "status", json_string(spec->stopped ? "stopped" : "running"));
    json_object_set_new(json, "restartPolicy",
                        json_string(sk_restart_policy_text(spec->restart_policy)));
}

static void add_module(void *arg, const struct sk_module_view *view) {
    const struct sk_module_spec *spec = view->state->spec;
    enum sk_module_runtime runtime =
        view->made ? sk_module_runtime(view->state) : SK_MODULE_UNKNOWN;
    json_t *json = spec_json(spec);
    if (sk_module_is_container(spec))
        json_object_set_new(json, "settings", container_settings(spec, view->image_hash));
    put_policy(json, spec);
    json_object_set_new(json, "exitCode", json_integer(view->exit_code));
    json_object_set_new(json, "statusDescription", sk_json_of_text(sk_span_z(view->description)));
    json_object_set_new(json, "lastStartTimeUtc", time_json(view->last_start_us));
    json_object_set_new(json, "lastExitTimeUtc", time_json(view->last_exit_us));
    json_object_set_new(json, "restartCount", json_integer(view->state->restart_count));
    json_object_set_new(json, "lastRestartTimeUtc", time_json(view->last_restart_us));
    json_object_set_new(json, "runtimeStatus", json_string(sk_module_runtime_text(runtime)));
    json_object_set_new(arg, spec->name, json);
}

/* The system modules are roles of this program; they are reported as the manifest names them, with
 * how the roles stand. */
static json_t *system_module(const struct sk_module_spec *spec, bool running, int64_t started_us) {
    static const struct sk_module_spec none = {.restart_policy = SK_RESTART_ALWAYS};
    bool named = spec && spec->name;
    json_t *json = named ? spec_json(spec)
                         : json_pack("{s:s,s:{},s:{}}", "type", "process", "settings", "env");
    put_policy(json, named ? spec : &none);
    json_object_set_new(json, "exitCode", json_integer(0));
    json_object_set_new(json, "statusDescription",
                        json_string(running ? "running" : "not running"));
    json_object_set_new(json, "lastStartTimeUtc", time_json(started_us));
    json_object_set_new(json, "lastExitTimeUtc", time_json(0));
    json_object_set_new(json, "runtimeStatus", json_string(running ? "running" : "failed"));
    return json;
}

/* Passwords are not told to whoever may read the twin. */
static json_t *runtime_json(const struct sk_deployment *deployment) {
    json_t *json = deployment && deployment->runtime
                       ? json_deep_copy(deployment->runtime)
                       : json_pack("{s:s,s:{}}", "type", "process", "settings");
    json_t *registries = json_object_get(json_object_get(json, "settings"), "registryCredentials"),
           *entry;
    const char *name;
    json_object_foreach(registries, name, entry) json_object_del(entry, "password");
    json_object_set_new(json, "platform",
                        json_pack("{s:s,s:s,s:s}", "os", "linux", "architecture",
#if defined __aarch64__
                                  "aarch64",
#elif defined __arm__
                                  "armv7l",
#else
                                  "x86_64",
#endif
                                  "version", SK_VERSION));
    return json;
}

json_t *sk_agent_report(const struct sk_agent_facts *facts, struct sk_modules *modules) {
    const struct sk_deployment *deployment = facts->deployment;
    json_t *json = json_object(), *system = json_object(), *list = json_object();
    json_object_set_new(json, "schemaVersion", json_string("1.0"));
    json_object_set_new(
        json, "version",
        json_pack("{s:s,s:s,s:s}", "version", SK_VERSION, "build", "", "commit", ""));
    json_object_set_new(json, "lastDesiredVersion",
                        json_integer((json_int_t)facts->desired_version));
    json_object_set_new(json, "lastDesiredStatus",
                        json_pack("{s:i,s:o}", "code", facts->status_code, "description",
                                  sk_json_of_text(sk_span_z(facts->status_description))));
    json_object_set_new(json, "runtime", runtime_json(deployment));
    json_object_set_new(
        system, "edgeAgent",
        system_module(deployment ? &deployment->edge_agent : NULL, true, facts->agent_started_us));
    json_t *hub = system_module(deployment ? &deployment->edge_hub : NULL, facts->hub_running,
                                facts->hub_started_us);
    json_object_set_new(hub, "restartCount", json_integer(facts->hub_restarts));
    json_object_set_new(system, "edgeHub", hub);
    json_object_set_new(json, "systemModules", system);
    if (modules) sk_modules_each(modules, add_module, list);
    json_object_set_new(json, "modules", list);
    return json;
}
