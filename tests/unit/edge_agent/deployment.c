#include <stdio.h>

#include "edge/agent/deployment.h"
#include "support/test.h"

static struct sk_deployment deployment;
static struct sk_deployment_fault fault;

static enum sk_status parse(const char *text) {
    json_error_t error;
    json_t *desired = json_loads(text, 0, &error);
    if (desired == NULL) fail_msg("%s: %s", error.text, text);
    enum sk_status status = sk_deployment_parse(desired, &deployment, &fault);
    json_decref(desired);
    return status;
}

#define MODULES(text) "{\"schemaVersion\":\"1.1\",\"modules\":{" text "}}"
#define CONTAINER(settings) MODULES("\"mm\":{\"type\":\"docker\",\"settings\":{" settings "}}")
#define LIMITS(text)                                                                               \
    MODULES("\"m\":{\"type\":\"process\",\"settings\":{\"command\":[\"x\"],\"limits\":{" text "}}}")
#define PROCESS "\"type\":\"process\",\"settings\":{\"command\":[\"/bin/x\",\"-v\"]}"

TEST(a_process_module_is_read_with_azures_defaults) {
    assert_int_equal(
        parse(
            "{\"schemaVersion\":\"1.1\",\"$version\":7,\"runtime\":{\"type\":\"docker\","
            "\"settings\":{}},"
            "\"systemModules\":{\"edgeAgent\":{\"type\":\"docker\",\"settings\":{\"image\":\"a\"},"
            "\"env\":{\"L\":{\"value\":\"debug\"}}},"
            "\"edgeHub\":{\"type\":\"docker\",\"status\":\"running\",\"restartPolicy\":\"always\","
            "\"settings\":{\"image\":\"h\"}}},"
            "\"modules\":{\"filter\":{" PROCESS "}}}"),
        SK_OK);
    assert_int_equal(deployment.version, 7);
    assert_int_equal(deployment.module_count, 1);
    struct sk_module_spec *spec = &deployment.modules[0];
    assert_string_equal(spec->command[0], "/bin/x");
    assert_string_equal(spec->command[1], "-v");
    assert_null(spec->command[2]);
    assert_false(spec->stopped);
    assert_int_equal(spec->restart_policy, SK_RESTART_ON_UNHEALTHY);
    assert_int_equal(spec->startup_order, SK_STARTUP_ORDER_LAST);
    assert_string_equal(deployment.edge_hub.name, "edgeHub");
    assert_int_equal(deployment.edge_agent.restart_policy, SK_RESTART_ALWAYS);
    assert_string_equal(json_string_value(json_object_get(
                            json_object_get(deployment.edge_agent.env, "L"), "value")),
                        "debug");
    sk_deployment_free(&deployment);
}

#define CLIENTS(value)                                                                             \
    "{\"schemaVersion\":\"1.1\",\"systemModules\":{\"edgeHub\":{\"type\":\"docker\",\"settings\":" \
    "{\"image\":\"h\"},\"env\":{\"MaxConnectedClients\":{\"value\":" value "}}}}}"

TEST(how_many_clients_the_edge_hub_has_is_read_from_its_environment) {
    assert_int_equal(parse(CLIENTS("\"150\"")), SK_OK);
    assert_int_equal(deployment.max_clients, 150);
    sk_deployment_free(&deployment);
    assert_int_equal(parse(CLIENTS("4294967295")), SK_OK);
    assert_int_equal(deployment.max_clients, 4294967295);
    sk_deployment_free(&deployment);
}

TEST(everything_that_can_be_set_is_read) {
    assert_int_equal(
        parse(MODULES(
            "\"m\":{\"version\":\"1.0\",\"type\":\"process\",\"status\":\"stopped\","
            "\"restartPolicy\":\"never\","
            "\"imagePullPolicy\":\"never\",\"startupOrder\":3,\"env\":{\"A\":{\"value\":\"x\"},"
            "\"B\":{\"value\":4},\"C\":{\"value\":true}},"
            "\"settings\":{\"command\":[\"p\"],\"user\":\"nobody\",\"folder\":\"/srv\"}}")),
        SK_OK);
    struct sk_module_spec *spec = sk_deployment_module(&deployment, "m");
    assert_true(spec->stopped);
    assert_int_equal(spec->restart_policy, SK_RESTART_NEVER);
    assert_int_equal(spec->startup_order, 3);
    assert_string_equal(spec->user, "nobody");
    assert_string_equal(spec->folder, "/srv");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(spec->env, "B"), "value")), "4");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(spec->env, "C"), "value")), "true");
    assert_null(sk_deployment_module(&deployment, "other"));
    sk_deployment_free(&deployment);
}

TEST(a_container_is_read_with_its_options_in_parts_and_its_registry) {
    assert_int_equal(
        parse("{\"schemaVersion\":\"1.0\",\"runtime\":{\"type\":\"docker\",\"settings\":{"
              "\"registryCredentials\":{\"other\":{\"address\":\"elsewhere.example\",\"username\":"
              "\"x\",\"password\":\"y\"},\"mine\":{\"address\":\"reg.example:5000\","
              "\"username\":\"u\","
              "\"password\":\"p\"}}}},"
              "\"modules\":{\"mm\":{\"type\":\"docker\",\"settings\":{\"image\":"
              "\" reg.example:5000/a/b:1 \",\"createOptions\":\"{\\\"Env\\\":[\\\"A=\","
              "\"createOptions01\":\"1\\\"]}\",\"skerry\":{\"rollback\":true}}}}}"),
        SK_OK);
    const struct sk_module_spec *spec = sk_deployment_module(&deployment, "mm");
    assert_true(sk_module_is_container(spec));
    assert_string_equal(spec->image, "reg.example:5000/a/b:1");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(spec->create_options, "Env"), 0)), "A=1");
    assert_string_equal(json_string_value(json_object_get(spec->registry, "username")), "u");
    assert_true(spec->rolls_back);
    json_t *json = sk_module_spec_json(spec);
    struct sk_module_spec again;
    assert_int_equal(sk_module_spec_read("mm", json, &again, &fault), SK_OK);
    assert_false(sk_module_spec_differs(spec, &again));
    json_decref(json);
    sk_module_spec_free(&again);
    sk_deployment_free(&deployment);
}

TEST(limits_of_a_process_are_read_at_their_limits) {
    assert_int_equal(parse(LIMITS("\"memory\":1048576,\"pids\":1,\"cpu\":0.01")), SK_OK);
    const struct sk_limits *limits = &deployment.modules[0].limits;
    assert_int_equal(limits->memory, 1048576);
    assert_int_equal(limits->pids, 1);
    assert_int_equal(limits->cpu, 10);
    sk_deployment_free(&deployment);
}

TEST(modules_are_sorted_by_startup_order_then_name) {
    assert_int_equal(parse(MODULES("\"b\":{" PROCESS "},\"a\":{" PROCESS
                                   "},\"z\":{\"startupOrder\":0," PROCESS "}")),
                     SK_OK);
    assert_string_equal(deployment.modules[0].name, "z");
    assert_string_equal(deployment.modules[1].name, "a");
    assert_string_equal(deployment.modules[2].name, "b");
    sk_deployment_free(&deployment);
}

TEST(a_spec_differs_in_everything_but_the_status) {
    static const char *const variants[] = {
        "\"m\":{\"version\":\"2\"," PROCESS "}",
        "\"m\":{\"restartPolicy\":\"never\"," PROCESS "}",
        "\"m\":{\"startupOrder\":1," PROCESS "}",
        "\"m\":{\"env\":{\"A\":{\"value\":\"x\"}}," PROCESS "}",
        "\"m\":{\"imagePullPolicy\":\"never\"," PROCESS "}",
        "\"m\":{\"type\":\"process\",\"settings\":{\"command\":[\"/bin/x\"]}}"};
    assert_int_equal(parse(MODULES("\"m\":{" PROCESS "}")), SK_OK);
    struct sk_module_spec base = sk_module_spec_copy(&deployment.modules[0]);
    assert_false(sk_module_spec_differs(&base, &deployment.modules[0]));
    sk_deployment_free(&deployment);
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char text[512];
        snprintf(text, sizeof text, "{\"schemaVersion\":\"1.1\",\"modules\":{%s}}", variants[i]);
        assert_int_equal(parse(text), SK_OK);
        assert_true(sk_module_spec_differs(&base, &deployment.modules[0]));
        sk_deployment_free(&deployment);
    }
    assert_int_equal(parse(MODULES("\"m\":{\"status\":\"stopped\"," PROCESS "}")), SK_OK);
    assert_false(sk_module_spec_differs(&base, &deployment.modules[0]));
    sk_deployment_free(&deployment);
    sk_module_spec_free(&base);
}

TEST(bad_deployments_are_refused_with_code_place_and_mend) {
    static const struct {
        const char *text;
        int code;
        const char *part; /* of the description */
    } cases[] = {
        {"{}", 417, "empty"},
        {"{\"$version\":3,\"$metadata\":{}}", 417, "empty"},
        {"{\"modules\":{}}", 400, "schemaVersion is missing"},
        {"{\"schemaVersion\":1}", 400, "schemaVersion must be a string."},
        {"{\"schemaVersion\":\"2.0\"}", 412, "schemaVersion 2.0 is not supported"},
        {"{\"schemaVersion\":\"1.2\"}", 412, "it must be 1.0 or 1.1"},
        {"{\"schemaVersion\":\"1.1\",\"modules\":[]}", 400, "modules: must be an object."},
        {MODULES("\"m\":7"), 400, "modules.m: must be an object."},
        {MODULES("\"m\":{\"settings\":{}}"), 400,
         "modules.m: type must be \"docker\" or \"process\"."},
        {MODULES("\"m\":{\"type\":\"kubernetes\",\"settings\":{}}"), 400,
         "modules.m: type must be \"docker\" or \"process\"."},
        {CONTAINER("\"createOptions\":\"{}\""), 400, "modules.mm: settings.image is missing"},
        {CONTAINER("\"image\":\"Upper/Case:1\""), 400,
         "settings.image \"Upper/Case:1\" is not the name of an image; write"},
        {CONTAINER("\"image\":\"a b\""), 400, "is not the name of an image"},
        {CONTAINER("\"image\":\"x\",\"createOptions\":\"{\""), 400,
         "settings: createOptions are no JSON: line 1, column 1"},
        {CONTAINER("\"image\":\"x\",\"createOptions\":\"[]\""), 400,
         "settings: createOptions must be a JSON object."},
        {CONTAINER("\"image\":\"x\",\"createOptions\":7"), 400,
         "settings: createOptions must be a string of JSON."},
        {CONTAINER("\"image\":\"x\",\"createOptions\":\"{\",\"createOptions02\":\"}\""), 400,
         "settings: createOptions02 is there, but createOptions01 is not."},
        {CONTAINER("\"image\":\"x\",\"createOptions\":{\"HostConfig\":{\"Binds\":\"/a:/b\"}}"), 400,
         "createOptions.HostConfig.Binds must be a list"},
        {CONTAINER("\"image\":\"x\",\"createOptions\":{\"Env\":[7]}"), 400,
         "createOptions.Env must be a list of"},
        {CONTAINER("\"image\":\"x\",\"skerry\":{\"rolback\":true}"), 400,
         "settings.skerry.rolback is not known; there is rollback."},
        {MODULES("\"a b\":{\"type\":\"docker\",\"settings\":{\"image\":\"x\"}}"), 400,
         "modules.a b: "},
        {MODULES("\"m\":{\"type\":\"docker\",\"settings\":{\"image\":\"x\"}}"), 400,
         "modules.m: is no name for a container"},
        {MODULES("\"m:1\":{\"type\":\"docker\",\"settings\":{\"image\":\"x\"}}"), 400,
         "modules.m:1: is no name for a container"},
        {"{\"schemaVersion\":\"1.1\",\"runtime\":{\"settings\":{\"registryCredentials\":{\"r\":{"
         "\"address\":\"x\"}}}}}",
         400, "runtime.settings.registryCredentials.r: needs address, username and password"},
        {MODULES("\"m\":{\"type\":\"process\"}"), 400,
         "modules.m: settings.command must be a list"},
        {MODULES("\"m\":{\"type\":\"process\",\"settings\":\"x\"}"), 400,
         "modules.m: settings must be an object"},
        {MODULES("\"m\":{\"type\":\"process\",\"settings\":{\"command\":[]}}"), 400,
         "settings.command must be a list"},
        {MODULES("\"m\":{\"type\":\"process\",\"settings\":{\"command\":[\"\"]}}"), 400,
         "settings.command[0] must be a string that names"},
        {MODULES("\"m\":{\"type\":\"process\",\"settings\":{\"command\":[\"x\",1]}}"), 400,
         "settings.command[1] must be a string."},
        {MODULES("\"m\":{\"type\":\"process\",\"settings\":{\"command\":[\"x\"],\"limit\":{}}}"),
         400, "settings.limit is not known"},
        {LIMITS("\"memory\":1048575"), 400, "memory must be a whole number from 1048576"},
        {LIMITS("\"pids\":0"), 400, "pids must be a whole number from 1 to"},
        {LIMITS("\"cpu\":0.009"), 400, "settings.limits.cpu must be a number of processors"},
        {MODULES(
             "\"m\":{\"type\":\"process\",\"settings\":{\"command\":[\"x\"],\"folder\":\"y\"}}"),
         400, "whole path"},
        {MODULES("\"m\":{\"restartPolicy\":\"often\"," PROCESS "}"), 400,
         "modules.m: restartPolicy must be one of never, on-failure, on-unhealthy, always."},
        {MODULES("\"m\":{\"status\":\"idle\"," PROCESS "}"), 400,
         "status must be one of running, stopped."},
        {MODULES("\"m\":{\"startupOrder\":-1," PROCESS "}"), 400, "startupOrder"},
        {MODULES("\"m\":{\"startupOrder\":4294967296," PROCESS "}"), 400, "startupOrder"},
        {MODULES("\"m\":{\"env\":[]," PROCESS "}"), 400, "env must be an object"},
        {MODULES("\"m\":{\"env\":{\"A\":\"x\"}," PROCESS "}"), 400,
         "env.A must be {\"value\":\"text\"}."},
        {MODULES("\"m\":{\"env\":{\"IOTEDGE_DEVICEID\":{\"value\":\"x\"}}," PROCESS "}"), 400,
         "set by the runtime"},
        {MODULES("\"m\":{\"env\":{\"A=B\":{\"value\":\"x\"}}," PROCESS "}"), 400, "holds '='"},
        {MODULES("\"..\":{" PROCESS "}"), 400, "is not a module name"},
        {MODULES("\"a/b\":{" PROCESS "}"), 400, "is not a module name"},
        {MODULES("\"$x\":{" PROCESS "}"), 400, "is not a module name"},
        {MODULES("\"edgeHub\":{" PROCESS "}"), 400, "belongs into systemModules"},
        {"{\"schemaVersion\":\"1.1\",\"systemModules\":{\"other\":{}}}", 400,
         "systemModules.other: is not known"},
        {"{\"schemaVersion\":\"1.1\",\"systemModules\":{\"edgeHub\":{\"status\":\"stopped\"}}}",
         400, "cannot be stopped"},
        {CLIENTS("\"0\""), 400, "MaxConnectedClients must be a whole number from 1 on"},
        {CLIENTS("4294967296"), 400, "systemModules.edgeHub: env.MaxConnectedClients"},
        {CLIENTS("\"many\""), 400, "MaxConnectedClients"},
        {CLIENTS("true"), 400, "MaxConnectedClients"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(cases[i].text), SK_INVALID);
        assert_int_equal(fault.code, cases[i].code);
        if (strstr(fault.description, cases[i].part) == NULL)
            fail_msg("%s\nhas no \"%s\"", fault.description, cases[i].part);
    }
}

TEST(a_device_has_48_modules_beside_its_system_modules) {
    for (int count = 48; count <= 49; count++) {
        json_t *modules = json_object();
        for (int i = 0; i < count; i++) {
            char name[16];
            snprintf(name, sizeof name, "m%d", i);
            json_object_set_new(
                modules, name,
                json_pack("{s:s,s:{s:[s]}}", "type", "process", "settings", "command", "x"));
        }
        json_t *desired = json_pack("{s:s,s:o}", "schemaVersion", "1.1", "modules", modules);
        assert_int_equal(sk_deployment_parse(desired, &deployment, &fault),
                         count == 48 ? SK_OK : SK_INVALID);
        sk_deployment_free(&deployment);
        json_decref(desired);
    }
}
