/* Reading and checking a deployment. Every refusal names the place in the manifest and the mend. */
#include "edge/agent/deployment.h"

#include <stdarg.h>
#include <stdio.h>

#include "model/identity.h"

/* ---- specs ---- */

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
    memset(spec, 0, sizeof *spec);
}

static char *copy_text(const char *text) {
    return text ? sk_span_dup(sk_span_z(text)) : NULL;
}

struct sk_module_spec sk_module_spec_copy(const struct sk_module_spec *spec) {
    struct sk_module_spec copy = *spec;
    copy.name = copy_text(spec->name);
    copy.version = copy_text(spec->version);
    copy.type = copy_text(spec->type);
    copy.image_pull_policy = copy_text(spec->image_pull_policy);
    copy.settings = json_deep_copy(spec->settings);
    copy.env = json_deep_copy(spec->env);
    for (size_t i = 0; i < SK_MODULE_ARGUMENTS_MAX; i++)
        copy.command[i] = copy_text(spec->command[i]);
    copy.user = copy_text(spec->user);
    copy.folder = copy_text(spec->folder);
    return copy;
}

bool sk_module_spec_differs(const struct sk_module_spec *a, const struct sk_module_spec *b) {
    return !sk_span_eq(sk_span_z(a->version), sk_span_z(b->version)) ||
           !sk_span_eq(sk_span_z(a->type), sk_span_z(b->type)) ||
           !sk_span_eq(sk_span_z(a->image_pull_policy), sk_span_z(b->image_pull_policy)) ||
           a->restart_policy != b->restart_policy || a->startup_order != b->startup_order ||
           !json_equal(a->settings, b->settings) || !json_equal(a->env, b->env);
}

static const char *const policies[] = {"never", "on-failure", "on-unhealthy", "always"};

const char *sk_restart_policy_text(enum sk_restart_policy policy) {
    return policies[policy];
}

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

/* ---- reading ---- */

struct reader {
    struct sk_deployment_fault *fault;
    char place[160]; /* "modules.filter" */
};

static enum sk_status refuse(struct reader *reader, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum sk_status refuse(struct reader *reader, int code, const char *format, ...) {
    int n = 0;
    va_list args;
    reader->fault->code = code;
    if (reader->place[0])
        n = snprintf(reader->fault->description, sizeof reader->fault->description,
                     "%s: ", reader->place);
    va_start(args, format);
    vsnprintf(reader->fault->description + n, sizeof reader->fault->description - (size_t)n, format,
              args);
    va_end(args);
    return SK_INVALID;
}

/* An optional text member; absent and null give the empty span. */
static enum sk_status text_member(struct reader *reader, const json_t *object, const char *name,
                                  struct sk_span *text) {
    const json_t *value = json_object_get(object, name);
    *text = SK_NONE;
    if (value == NULL || json_is_null(value)) return SK_OK;
    if (!json_is_string(value)) return refuse(reader, 400, "%s must be a string.", name);
    *text = sk_span(json_string_value(value), json_string_length(value));
    return memchr(text->p, 0, text->n) ? refuse(reader, 400, "%s must not hold a NUL.", name)
                                       : SK_OK;
}

static enum sk_status copy_member(struct reader *reader, const json_t *object, const char *name,
                                  char **to) {
    struct sk_span text;
    enum sk_status status = text_member(reader, object, name, &text);
    if (!status && text.n) *to = sk_span_dup(text);
    return status;
}

/* One of `count` words; `*index` stays when the member is absent. */
static enum sk_status word_member(struct reader *reader, const json_t *object, const char *name,
                                  const char *const *words, size_t count, size_t *index) {
    struct sk_span text;
    enum sk_status status = text_member(reader, object, name, &text);
    if (status || text.n == 0) return status;
    for (size_t i = 0; i < count; i++)
        if (sk_span_eq_nocase(text, sk_span_z(words[i]))) {
            *index = i;
            return SK_OK;
        }
    struct sk_buffer list = {0};
    for (size_t i = 0; i < count; i++) sk_buffer_print(&list, "%s%s", i ? ", " : "", words[i]);
    refuse(reader, 400, "%s must be one of %.*s.", name, SK_ARG(sk_buffer_span(&list)));
    sk_buffer_free(&list);
    return SK_INVALID;
}

static enum sk_status read_env(struct reader *reader, const json_t *module,
                               struct sk_module_spec *spec) {
    const char *name;
    json_t *entry;
    const json_t *env = json_object_get(module, "env");
    spec->env = json_object();
    if (env == NULL || json_is_null(env)) return SK_OK;
    if (!json_is_object(env))
        return refuse(reader, 400, "env must be an object like {\"NAME\":{\"value\":\"text\"}}.");
    json_object_foreach((json_t *)env, name, entry) {
        const json_t *value = json_object_get(entry, "value");
        if (name[0] == 0 || strchr(name, '='))
            return refuse(reader, 400, "env has a name that is empty or holds '='.");
        if (strncmp(name, "IOTEDGE_", 8) == 0)
            return refuse(reader, 400, "env.%.60s is set by the runtime and cannot be given.",
                          name);
        if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
            return refuse(reader, 400, "env.%.60s must be {\"value\":\"text\"}.", name);
        if (json_is_string(value) && memchr(json_string_value(value), 0, json_string_length(value)))
            return refuse(reader, 400, "env.%.60s must not hold a NUL.", name);
        json_t *text;
        char number[40];
        if (json_is_string(value)) {
            text = json_string(json_string_value(value));
        } else {
            if (json_is_boolean(value))
                snprintf(number, sizeof number, "%s", json_is_true(value) ? "true" : "false");
            else if (json_is_integer(value))
                snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
            else
                sk_real_text(json_real_value(value), number);
            text = json_string(number);
        }
        json_object_set_new(spec->env, name, json_pack("{s:o}", "value", text));
    }
    return SK_OK;
}

static enum sk_status read_command(struct reader *reader, const json_t *settings,
                                   struct sk_module_spec *spec) {
    const json_t *command = json_object_get(settings, "command"), *argument;
    size_t i;
    if (!json_is_array(command) || json_array_size(command) == 0)
        return refuse(reader, 400,
                      "settings.command must be a list like [\"/usr/bin/program\",\"argument\"].");
    if (json_array_size(command) > SK_MODULE_ARGUMENTS_MAX)
        return refuse(reader, 400, "settings.command must have at most %d parts.",
                      SK_MODULE_ARGUMENTS_MAX);
    json_array_foreach(command, i, argument) {
        struct sk_span text = sk_span(json_string_value(argument), json_string_length(argument));
        if (text.p == NULL || memchr(text.p, 0, text.n) || (i == 0 && text.n == 0))
            return refuse(reader, 400, "settings.command[%zu] must be a string%s.", i,
                          i == 0 ? " that names a program" : "");
        spec->command[i] = sk_span_dup(text);
    }
    return SK_OK;
}

static enum sk_status read_process(struct reader *reader, struct sk_module_spec *spec) {
    static const char *const known[] = {"command", "user", "folder"};
    const char *name;
    json_t *value;
    if (!json_is_object(spec->settings))
        return refuse(reader, 400, "settings must be an object with a command.");
    json_object_foreach(spec->settings, name, value) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(name, known[i]) == 0;
        if (!found)
            return refuse(
                reader, 400,
                "settings.%.60s is not known for type \"process\" (command, user, folder).", name);
    }
    enum sk_status status = read_command(reader, spec->settings, spec);
    if (!status) status = copy_member(reader, spec->settings, "user", &spec->user);
    if (!status) status = copy_member(reader, spec->settings, "folder", &spec->folder);
    if (!status && spec->folder && spec->folder[0] != '/')
        return refuse(reader, 400, "settings.folder must be a whole path.");
    return status;
}

static enum sk_status read_startup_order(struct reader *reader, const json_t *module,
                                         struct sk_module_spec *spec) {
    const json_t *value = json_object_get(module, "startupOrder");
    spec->startup_order = SK_STARTUP_ORDER_LAST;
    if (value == NULL || json_is_null(value)) return SK_OK;
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > (json_int_t)UINT32_MAX)
        return refuse(reader, 400, "startupOrder must be a whole number from 0 to 4294967295.");
    spec->startup_order = (uint32_t)json_integer_value(value);
    return SK_OK;
}

/* What user modules and system modules share. */
static enum sk_status read_common(struct reader *reader, const char *name, const json_t *module,
                                  struct sk_module_spec *spec) {
    static const char *const statuses[] = {"running", "stopped"}, *const pulls[] = {"on-create",
                                                                                    "never"};
    size_t status_index = 0, policy = spec->restart_policy, pull = SIZE_MAX;
    enum sk_status status;
    if (!json_is_object(module)) return refuse(reader, 400, "must be an object.");
    spec->name = copy_text(name);
    if ((status = copy_member(reader, module, "version", &spec->version)) ||
        (status = copy_member(reader, module, "type", &spec->type)) ||
        (status = word_member(reader, module, "status", statuses, 2, &status_index)) ||
        (status = word_member(reader, module, "restartPolicy", policies, 4, &policy)) ||
        (status = word_member(reader, module, "imagePullPolicy", pulls, 2, &pull)) ||
        (status = read_startup_order(reader, module, spec)) ||
        (status = read_env(reader, module, spec)))
        return status;
    spec->stopped = status_index == 1;
    spec->restart_policy = (enum sk_restart_policy)policy;
    if (pull != SIZE_MAX) spec->image_pull_policy = copy_text(pulls[pull]);
    const json_t *settings = json_object_get(module, "settings");
    spec->settings = settings && !json_is_null(settings) ? json_deep_copy(settings) : json_object();
    return SK_OK;
}

/* The name becomes a folder and a part of twin keys and topics. */
static enum sk_status check_name(struct reader *reader, const char *name) {
    if (sk_id_check(sk_span_z(name)) || name[0] == '.' || name[0] == '$' || strchr(name, '#') ||
        strchr(name, '+'))
        return refuse(
            reader, 400,
            "is not a module name: 1 to 128 letters, digits and - . _ %% * ? ! ( ) , : = @ ;, not "
            "beginning with '.' or '$'.");
    if (strcmp(name, "edgeAgent") == 0 || strcmp(name, "edgeHub") == 0)
        return refuse(reader, 400, "is a system module; it belongs into systemModules.");
    return SK_OK;
}

static enum sk_status read_module(struct reader *reader, const char *name, const json_t *module,
                                  struct sk_module_spec *spec) {
    spec->restart_policy = SK_RESTART_ON_UNHEALTHY;
    snprintf(reader->place, sizeof reader->place, "modules.%.128s", name);
    enum sk_status status = check_name(reader, name);
    if (!status) status = read_common(reader, name, module, spec);
    if (status) return status;
    if (spec->type && strcmp(spec->type, "process") == 0) return read_process(reader, spec);
    if (spec->type && strcmp(spec->type, "docker") == 0)
        return refuse(
            reader, 400,
            "type \"docker\" needs a container engine, which is not supported yet; use type "
            "\"process\" with settings.command.");
    return refuse(reader, 400, "type must be \"process\".");
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
    if (!json_is_object(modules)) return refuse(reader, 400, "must be an object.");
    if (json_object_size(modules) > SK_MODULES_MAX - 2)
        return refuse(reader, 400, "a device has at most %d modules beside edgeAgent and edgeHub.",
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

static enum sk_status read_system_modules(struct reader *reader, const json_t *desired,
                                          struct sk_deployment *deployment) {
    const char *name;
    json_t *module;
    const json_t *modules = json_object_get(desired, "systemModules");
    if (modules == NULL || json_is_null(modules)) return SK_OK;
    snprintf(reader->place, sizeof reader->place, "systemModules");
    if (!json_is_object(modules)) return refuse(reader, 400, "must be an object.");
    json_object_foreach((json_t *)modules, name, module) {
        bool agent = strcmp(name, "edgeAgent") == 0;
        snprintf(reader->place, sizeof reader->place, "systemModules.%.60s", name);
        if (!agent && strcmp(name, "edgeHub") != 0)
            return refuse(reader, 400, "is not known; there are edgeAgent and edgeHub.");
        struct sk_module_spec *spec = agent ? &deployment->edge_agent : &deployment->edge_hub;
        spec->restart_policy = SK_RESTART_ALWAYS;
        enum sk_status status = read_common(reader, name, module, spec);
        if (status) return status;
        if (spec->stopped) return refuse(reader, 400, "cannot be stopped.");
    }
    return SK_OK;
}

/* "1", "1.0", "1.1", "1.1.0"; newer minor versions may mean what we do not know. */
static enum sk_status check_schema(struct reader *reader, const json_t *desired) {
    static const char *const known[] = {"1", "1.0", "1.0.0", "1.1", "1.1.0"};
    struct sk_span text;
    enum sk_status status = text_member(reader, desired, "schemaVersion", &text);
    if (status) return status;
    if (text.n == 0) return refuse(reader, 400, "schemaVersion is missing; write \"1.1\".");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (sk_span_is(text, known[i])) return SK_OK;
    return refuse(reader, 412, "schemaVersion %.*s is not supported; it must be 1.0 or 1.1.",
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
        return refuse(&reader, 400, "The desired properties must be a JSON object.");
    if (is_empty(desired))
        return refuse(
            &reader, 417,
            "The desired properties are empty: no deployment has been set for this device.");
    enum sk_status status = check_schema(&reader, desired);
    if (!status) status = read_system_modules(&reader, desired, deployment);
    if (!status) status = read_modules(&reader, desired, deployment);
    if (status) {
        sk_deployment_free(deployment);
        return status;
    }
    const json_t *runtime = json_object_get(desired, "runtime");
    deployment->runtime = json_is_object(runtime) ? json_deep_copy(runtime) : NULL;
    deployment->version = (uint64_t)json_integer_value(json_object_get(desired, "$version"));
    return SK_OK;
}
