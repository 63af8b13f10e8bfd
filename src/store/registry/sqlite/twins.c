/* Twins: read and changed. */
#include "store/registry/sqlite/parts.h"

static enum sk_status run_get(struct registry_db *db, struct registry_call *call) {
    struct sk_identity identity;
    int64_t row;
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &identity, &row);
    if (status) return status;
    struct sk_registry_entry *entry = registry_entry_add(call);
    entry->identity = identity;
    return registry_twin_load(db, row, &entry->twin, NULL);
}

enum sk_status registry_run_change(struct registry_db *db, struct registry_call *call) {
    const struct sk_twin_change *change = &call->change;
    struct registry_held *held;
    char etag[SK_ETAG_MAX];
    enum sk_status status = registry_held_get(db, call->device_id, call->module_id, &held);
    if (status) return status;
    struct sk_twin *twin = registry_held_twin(held);
    sk_twin_etag(twin->etag, etag);
    if (call->if_match.n && !sk_etag_matches(call->if_match, etag)) return SK_CONFLICT;
    json_t *before = json_incref(twin->desired);
    status = sk_twin_apply(twin, change, call->wall_us, call->end.reason);
    if (!status) {
        registry_held_changed(db, held,
                              !change->tags && !change->desired && !change->configurations &&
                                  !change->configured);
        if (change->desired)
            call->desired_patch = sk_twin_desired_notification(before, twin, change);
        struct sk_registry_entry *entry = registry_entry_add(call);
        entry->identity = sk_identity_copy(registry_held_identity(held));
        entry->twin = sk_twin_share(twin);
    }
    json_decref(before);
    return status;
}

/* ---- the calls ---- */

void registry_tell_change(struct registry_call *call, const struct sk_registry_end *end) {
    bool fine = end->status == SK_OK;
    call->done.change(call->arg, end, fine ? call->entries.entries : NULL,
                      fine ? call->desired_patch : NULL);
}

static void get(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                sk_registry_entry_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->done.entry = done;
    registry_read(call, run_get, registry_tell_entry);
}

void registry_take_change(struct registry_call *call, const struct sk_twin_change *what,
                          struct sk_span if_match) {
    call->change = *what;
    call->change.tags = json_deep_copy(what->tags);
    call->change.desired = json_deep_copy(what->desired);
    call->change.reported = json_incref((json_t *)what->reported);
    call->change.configurations = json_deep_copy(what->configurations);
    call->change.configured = json_deep_copy(what->configured);
    call->if_match = sk_arena_copy(&call->arena, if_match);
}

static void change(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                   const struct sk_twin_change *what, struct sk_span if_match,
                   sk_registry_change_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    registry_take_change(call, what, if_match);
    call->holds = true;
    call->done.change = done;
    registry_write(call, registry_run_change, registry_tell_change);
}

const struct sk_registry_twin_ops registry_twin_ops = {.get = get, .change = change};
