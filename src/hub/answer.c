/* What results of the registry mean to who asked. */
#include "hub/parts.h"

void sk_hub_refuse_status(struct sk_request *request, const struct sk_registry_result *result) {
    enum sk_fault fault = sk_fault_of_status(result->status);
    bool module = request->module.n > 0;
    switch (result->status) {
    case SK_NOT_FOUND:
        fault = module ? SK_FAULT_MODULE_NOT_FOUND : SK_FAULT_DEVICE_NOT_FOUND;
        break;
    case SK_EXISTS: fault = module ? SK_FAULT_MODULE_EXISTS : SK_FAULT_DEVICE_EXISTS; break;
    case SK_TOO_LARGE:
        fault =
            request->op == SK_OP_IDENTITY_PUT ? SK_FAULT_TOO_MANY_MODULES : SK_FAULT_TWIN_TOO_LARGE;
        break;
    default: break;
    }
    if (result->reason[0])
        sk_request_refuse(request, fault, "%s", result->reason);
    else
        sk_request_refuse(request, fault, NULL);
}
