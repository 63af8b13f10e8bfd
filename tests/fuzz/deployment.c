/* Any desired properties of $edgeAgent: a deployment whose modules can all be planned, or a refusal
 * with code and reason. */
#include <stdlib.h>

#include "edge/agent/planner.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_deployment deployment;
    struct sk_deployment_fault fault;
    json_t *desired = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    if (desired == NULL) return 0;
    if (sk_deployment_parse(desired, &deployment, &fault)) {
        if ((fault.code != 400 && fault.code != 412 && fault.code != 417) ||
            fault.description[0] == 0)
            abort();
        json_decref(desired);
        return 0;
    }
    struct sk_plan plan;
    sk_plan_make(&deployment, NULL, NULL, 0, 0, &plan);
    if (plan.count < deployment.module_count || plan.count > 2 * deployment.module_count) abort();
    for (size_t i = 0; i < deployment.module_count; i++) {
        struct sk_module_spec copy = sk_module_spec_copy(&deployment.modules[i]);
        bool container = sk_module_is_container(&copy);
        if ((copy.command[0] == NULL) != container || (copy.image != NULL) != container ||
            sk_module_spec_differs(&copy, &deployment.modules[i]))
            abort();
        sk_module_spec_free(&copy);
    }
    sk_plan_free(&plan);
    sk_deployment_free(&deployment);
    json_decref(desired);
    return 0;
}
