/* What has changed, and who hears of it. */
#include "hub/parts.h"

void hub_changed(struct sk_hub *hub) {
    for (size_t i = 0; i < hub->part_count; i++)
        if (hub->parts[i]->changed) hub->parts[i]->changed(hub);
}

void hub_notify_desired(struct sk_hub *hub, const struct sk_registry_entry *entry,
                        const json_t *patch) {
    if (patch)
        sk_directory_deliver_desired(&hub->backend, sk_span_z(entry->identity.device_id),
                                     sk_span_z(entry->identity.module_id), patch,
                                     entry->twin.desired_version);
}
