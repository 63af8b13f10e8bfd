/* What has changed, and who hears of it. */
#include "hub/parts.h"

void hub_changed(struct sk_hub *hub) {
    for (size_t i = 0; i < hub->part_count; i++)
        if (hub->parts[i]->changed) hub->parts[i]->changed(hub);
}

void hub_twin_changed(struct sk_hub *hub, const struct sk_hub_twin_change *change) {
    const struct sk_registry_entry *entry = change->entry;
    if (change->desired)
        sk_directory_deliver_desired(&hub->backend, sk_span_z(entry->identity.device_id),
                                     sk_span_z(entry->identity.module_id), change->desired,
                                     entry->twin.desired_version);
    for (size_t i = 0; i < hub->part_count; i++)
        if (hub->parts[i]->twin_changed) hub->parts[i]->twin_changed(hub, change);
}

void hub_identity_changed(struct sk_hub *hub, const struct sk_identity *identity, bool made) {
    for (size_t i = 0; i < hub->part_count; i++)
        if (hub->parts[i]->identity_changed) hub->parts[i]->identity_changed(hub, identity, made);
}
