/* Which twins a query selects: batches are read by turns, however many it takes, and the condition
 * is evaluated on each twin; others go on meanwhile. */
#include "hub/parts.h"

enum { BATCH = 16 }; /* twins a read, which is a piece of a turn's work */

/* False: enough. */
static bool look_at(struct hub_scan *scan, const struct sk_registry_entry *entry) {
    json_t *twin = sk_twin_service_json(&entry->twin, &entry->identity,
                                        hub_presence(scan->hub, &entry->identity));
    sk_identity_set(&scan->after_device, sk_span_z(entry->identity.device_id));
    sk_identity_set(&scan->after_module, sk_span_z(entry->identity.module_id));
    bool goes_on =
        !sk_query_selects(scan->query, twin, &scan->hub->arena) || scan->take(scan, entry, twin);
    json_decref(twin);
    return goes_on;
}

static void got_batch(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_entries *list) {
    struct hub_scan *scan = arg;
    bool enough = false;
    size_t i = 0;
    for (; i < list->count && !enough; i++) enough = !look_at(scan, &list->entries[i]);
    scan->more = i < list->count || list->more;
    if (end->status || enough || !scan->more)
        scan->ended(scan, end);
    else
        hub_scan_run(scan);
}

void hub_scan_run(struct hub_scan *scan) {
    sk_registry_list_twins(scan->hub->registry, scan->query->from == SK_FROM_MODULES,
                           sk_span_z(scan->after_device), sk_span_z(scan->after_module), BATCH,
                           got_batch, scan);
}

void hub_scan_free(struct hub_scan *scan) {
    free(scan->after_device);
    free(scan->after_module);
}
