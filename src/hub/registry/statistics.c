/* What there is, in numbers. */
#include "hub/parts.h"

static void statistics(struct sk_hub *hub, struct sk_request *request) {
    struct sk_registry_counts counts = sk_registry_counts(hub->registry);
    json_t *document;
    if (request->op == SK_OP_STATISTICS_SERVICE)
        document = json_pack("{s:I}", "connectedDeviceCount",
                             (json_int_t)sk_directory_counts(&hub->backend).devices);
    else
        document =
            json_pack("{s:I,s:I,s:I}", "totalDeviceCount", (json_int_t)counts.devices,
                      "enabledDeviceCount", (json_int_t)counts.enabled_devices,
                      "disabledDeviceCount", (json_int_t)(counts.devices - counts.enabled_devices));
    sk_request_answer_json(request, document);
}

/* ---- its metrics ---- */

static const struct sk_hub_metric metrics[] = {
    {"skerry_hub_devices", "Device identities.", SK_HUB_COUNT(devices)},
    {"skerry_hub_modules", "Module identities.", SK_HUB_COUNT(modules)},
    {"skerry_hub_sessions", "Connected devices and modules.", SK_HUB_COUNT(sessions)},
    {0}};

const struct sk_hub_part hub_part_statistics = {
    .metrics = metrics,
    .serve = {[SK_OP_STATISTICS_DEVICES] = statistics, [SK_OP_STATISTICS_SERVICE] = statistics}};
