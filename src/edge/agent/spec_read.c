/* Reading and checking one module of a deployment. */
#include <stdio.h>

#include "edge/agent/engine/create.h"
#include "edge/agent/engine/image.h"
#include "edge/agent/reading.h"
#include "model/identity.h"

static enum sk_status read_env(struct reader *reader, const json_t *module,
                               struct sk_module_spec *spec) {
    const char *name;
    json_t *entry;
    const json_t *env = json_object_get(module, "env");
    spec->env = json_object();
    if (env == NULL || json_is_null(env)) return SK_OK;
    if (!json_is_object(env))
        return reading_refuse(reader, 400,
                              "env must be an object like {\"NAME\":{\"value\":\"text\"}}.");
    json_object_foreach((json_t *)env, name, entry) {
        const json_t *value = json_object_get(entry, "value");
        if (name[0] == 0 || strchr(name, '='))
            return reading_refuse(reader, 400, "env has a name that is empty or holds '='.");
        if (strncmp(name, "IOTEDGE_", 8) == 0)
            return reading_refuse(reader, 400,
                                  "env.%.60s is set by the runtime and cannot be given.", name);
        if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
            return reading_refuse(reader, 400, "env.%.60s must be {\"value\":\"text\"}.", name);
        if (json_is_string(value) && memchr(json_string_value(value), 0, json_string_length(value)))
            return reading_refuse(reader, 400, "env.%.60s must not hold a NUL.", name);
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
        return reading_refuse(
            reader, 400,
            "settings.command must be a list like [\"/usr/bin/program\",\"argument\"].");
    if (json_array_size(command) > SK_MODULE_ARGUMENTS_MAX)
        return reading_refuse(reader, 400, "settings.command must have at most %d parts.",
                              SK_MODULE_ARGUMENTS_MAX);
    json_array_foreach(command, i, argument) {
        struct sk_span text = sk_span(json_string_value(argument), json_string_length(argument));
        if (text.p == NULL || memchr(text.p, 0, text.n) || (i == 0 && text.n == 0))
            return reading_refuse(reader, 400, "settings.command[%zu] must be a string%s.", i,
                                  i == 0 ? " that names a program" : "");
        spec->command[i] = sk_span_dup(text);
    }
    return SK_OK;
}

static enum sk_status read_limits(struct reader *reader, struct sk_module_spec *spec) {
    enum { CPUS_MAX = 1024, PIDS_MAX = 4194304 };
    static const json_int_t MEMORY_LEAST = 1 << 20;
    const json_t *limits = json_object_get(spec->settings, "limits");
    const json_t *cpu = json_object_get(limits, "cpu");
    json_int_t memory = 0, pids = 0;
    if (limits == NULL || json_is_null(limits)) return SK_OK;
    if (!json_is_object(limits))
        return reading_refuse(reader, 400,
                              "settings.limits must be an object of memory, cpu and pids.");
    enum sk_status status =
        reading_number(reader, limits, "memory", MEMORY_LEAST, (json_int_t)1 << 50, &memory);
    if (!status) status = reading_number(reader, limits, "pids", 1, PIDS_MAX, &pids);
    if (status) return status;
    if (cpu && (!json_is_number(cpu) || json_number_value(cpu) < 0.01 ||
                json_number_value(cpu) > CPUS_MAX))
        return reading_refuse(reader, 400,
                              "settings.limits.cpu must be a number of processors from 0.01 "
                              "to %d.",
                              CPUS_MAX);
    spec->limits = (struct sk_limits){.memory = (uint64_t)memory,
                                      .pids = (unsigned)pids,
                                      .cpu = (unsigned)(json_number_value(cpu) * 1000)};
    return SK_OK;
}

static enum sk_status read_process(struct reader *reader, struct sk_module_spec *spec) {
    static const char *const known[] = {"command", "user", "folder", "limits"};
    const char *name;
    json_t *value;
    if (!json_is_object(spec->settings))
        return reading_refuse(reader, 400, "settings must be an object with a command.");
    json_object_foreach(spec->settings, name, value) {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(name, known[i]) == 0;
        if (!found)
            return reading_refuse(
                reader, 400,
                "settings.%.60s is not known for type \"process\" (command, user, folder, limits).",
                name);
    }
    enum sk_status status = read_command(reader, spec->settings, spec);
    if (!status) status = reading_copy(reader, spec->settings, "user", &spec->user);
    if (!status) status = reading_copy(reader, spec->settings, "folder", &spec->folder);
    if (!status && spec->folder && spec->folder[0] != '/')
        return reading_refuse(reader, 400, "settings.folder must be a whole path.");
    return status ? status : read_limits(reader, spec);
}

/* ---- containers ---- */

/* Container engines take these names, and they are folders of sockets and parts of paths. */
static enum sk_status check_container_name(struct reader *reader, const char *name) {
    if (strlen(name) < 2 || !sk_span_only(sk_span_z(name), "_.-") ||
        !sk_span_only(sk_span(name, 1), ""))
        return reading_refuse(
            reader, 400,
            "is no name for a container: 2 or more letters, digits and _ . -, beginning "
            "with a letter or digit.");
    return SK_OK;
}

static enum sk_status read_image(struct reader *reader, struct sk_module_spec *spec) {
    struct sk_span text;
    struct sk_image_name name;
    enum sk_status status = reading_text(reader, spec->settings, "image", &text);
    if (status) return status;
    text = sk_span_trim(text);
    if (text.n == 0)
        return reading_refuse(reader, 400,
                              "settings.image is missing: the name of an image like "
                              "\"registry.example/path/name:1.0\".");
    if (sk_image_name_parse(text, &name))
        return reading_refuse(reader, 400,
                              "settings.image \"%.*s\" is not the name of an image; write "
                              "\"registry.example/path/name:1.0\", all but the tag in lower case.",
                              SK_ARG(sk_span_first(text, 120)));
    spec->image = sk_span_dup(text);
    return SK_OK;
}

/* Ours, under a name of our own: {"skerry":{"rollback":true}}. */
static enum sk_status read_own(struct reader *reader, struct sk_module_spec *spec) {
    const json_t *own = json_object_get(spec->settings, "skerry"), *rollback;
    const char *name;
    json_t *value;
    if (own == NULL || json_is_null(own)) return SK_OK;
    if (!json_is_object(own))
        return reading_refuse(reader, 400, "settings.skerry must be an object.");
    json_object_foreach((json_t *)own, name, value) if (
        strcmp(name, "rollback") !=
        0) return reading_refuse(reader, 400,
                                 "settings.skerry.%.60s is not known; there is rollback.", name);
    rollback = json_object_get(own, "rollback");
    if (rollback && !json_is_boolean(rollback))
        return reading_refuse(reader, 400, "settings.skerry.rollback must be true or false.");
    spec->rolls_back = json_is_true(rollback);
    return SK_OK;
}

static enum sk_status read_container(struct reader *reader, struct sk_module_spec *spec) {
    char why[SK_CREATE_WHY_MAX];
    if (!json_is_object(spec->settings))
        return reading_refuse(reader, 400, "settings must be an object with an image.");
    enum sk_status status = check_container_name(reader, spec->name);
    if (!status) status = read_image(reader, spec);
    if (!status) status = read_own(reader, spec);
    if (!status && sk_create_options_read(spec->settings, &spec->create_options, why))
        return reading_refuse(reader, 400, "settings: %s.", why);
    return status;
}

enum sk_status read_common(struct reader *reader, const char *name, const json_t *module,
                           struct sk_module_spec *spec) {
    static const char *const statuses[] = {"running", "stopped"},
                             *const pulls[] = {"on-create", "never"},
                             *const policies[] = {"never", "on-failure", "on-unhealthy", "always"};
    size_t status_index = 0, policy = spec->restart_policy, pull = SIZE_MAX;
    json_int_t order = SK_STARTUP_ORDER_LAST;
    enum sk_status status;
    if (!json_is_object(module)) return reading_refuse(reader, 400, "must be an object.");
    spec->name = sk_span_dup(sk_span_z(name));
    if ((status = reading_copy(reader, module, "version", &spec->version)) ||
        (status = reading_copy(reader, module, "type", &spec->type)) ||
        (status = reading_word(reader, module, "status", statuses, 2, &status_index)) ||
        (status = reading_word(reader, module, "restartPolicy", policies, 4, &policy)) ||
        (status = reading_word(reader, module, "imagePullPolicy", pulls, 2, &pull)) ||
        (status = reading_number(reader, module, "startupOrder", 0, UINT32_MAX, &order)) ||
        (status = read_env(reader, module, spec)))
        return status;
    spec->stopped = status_index == 1;
    spec->startup_order = (uint32_t)order;
    spec->restart_policy = (enum sk_restart_policy)policy;
    if (pull != SIZE_MAX) spec->image_pull_policy = sk_span_dup(sk_span_z(pulls[pull]));
    const json_t *settings = json_object_get(module, "settings");
    spec->settings = settings && !json_is_null(settings) ? json_deep_copy(settings) : json_object();
    return SK_OK;
}

/* The name becomes a folder and a part of twin keys and topics. */
static enum sk_status check_name(struct reader *reader, const char *name) {
    if (sk_id_check(sk_span_z(name)) || name[0] == '.' || name[0] == '$' || strchr(name, '#') ||
        strchr(name, '+'))
        return reading_refuse(
            reader, 400,
            "is not a module name: 1 to 128 letters, digits and - . _ %% * ? ! ( ) , : = @ ;, not "
            "beginning with '.' or '$'.");
    if (strcmp(name, "edgeAgent") == 0 || strcmp(name, "edgeHub") == 0)
        return reading_refuse(reader, 400, "is a system module; it belongs into systemModules.");
    return SK_OK;
}

enum sk_status read_module(struct reader *reader, const char *name, const json_t *module,
                           struct sk_module_spec *spec) {
    spec->restart_policy = SK_RESTART_ON_UNHEALTHY;
    snprintf(reader->place, sizeof reader->place, "modules.%.128s", name);
    enum sk_status status = check_name(reader, name);
    if (!status) status = read_common(reader, name, module, spec);
    if (status) return status;
    if (spec->type && strcmp(spec->type, "process") == 0) return read_process(reader, spec);
    if (sk_module_is_container(spec)) return read_container(reader, spec);
    return reading_refuse(reader, 400, "type must be \"docker\" or \"process\".");
}

enum sk_status sk_module_spec_read(const char *name, const json_t *json,
                                   struct sk_module_spec *spec, struct sk_deployment_fault *fault) {
    struct reader reader = {.fault = fault};
    memset(spec, 0, sizeof *spec);
    memset(fault, 0, sizeof *fault);
    enum sk_status status = read_module(&reader, name, json, spec);
    if (status) sk_module_spec_free(spec);
    return status;
}
