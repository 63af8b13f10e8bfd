#include "edge/agent/environment.h"

#include <stdio.h>

static const char API_VERSION[] = "2022-08-03";

void add_variable(struct sk_arena *arena, const char *environment[ENVIRONMENT_MAX],
                  const char *name, const char *value) {
    size_t n = strlen(name), count = 0;
    if (value == NULL) return;
    for (; environment[count]; count++)
        if (strncmp(environment[count], name, n) == 0 && environment[count][n] == '=')
            return; /* the manifest's wins */
    if (count + 1 >= ENVIRONMENT_MAX) return;
    environment[count] = sk_arena_print(arena, "%s=%s", name, value).p;
    environment[count + 1] = NULL;
}

void make_environment(const struct module *module, const struct sk_module_spec *spec,
                      const char *workload_uri, struct sk_arena *arena,
                      const char *environment[ENVIRONMENT_MAX]) {
    const struct sk_modules_options *options = module->world->options;
    const char *name, *level = getenv("RuntimeLogLevel"); /* the agent's own: [agent.env] */
    json_t *entry;
    char port[8];
    environment[0] = NULL;
    json_object_foreach(spec->env, name, entry)
        add_variable(arena, environment, name, json_string_value(json_object_get(entry, "value")));
    const struct {
        const char *name, *value;
    } ours[] = {
        {"IOTEDGE_WORKLOADURI", workload_uri},
        {"IOTEDGE_AUTHSCHEME", "sasToken"},
        {"IOTEDGE_MODULEGENERATIONID", module->generation_id},
        {"IOTEDGE_IOTHUBHOSTNAME", options->hub_host},
        {"IOTEDGE_GATEWAYHOSTNAME", options->gateway_host},
        {"IOTEDGE_PARENTHOSTNAME", options->parent_host},
        {"IOTEDGE_DEVICEID", options->device_id},
        {"IOTEDGE_MODULEID", spec->name},
        {"RuntimeLogLevel", level ? level : "info"},
        {"UpstreamProtocol", getenv("UpstreamProtocol")},
        {"IOTEDGE_APIVERSION", API_VERSION},
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        add_variable(arena, environment, ours[i].name, ours[i].value);
    snprintf(port, sizeof port, "%u", options->gateway_port);
    if (options->gateway_port != 8883)
        add_variable(arena, environment, "SKERRY_GATEWAY_PORT", port);
}
