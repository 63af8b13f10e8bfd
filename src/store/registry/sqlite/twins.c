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
    struct sk_identity identity;
    struct sk_twin twin = {0};
    json_t *before = NULL;
    int64_t row;
    char etag[SK_ETAG_MAX];
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &identity, &row);
    if (status) return status;
    if ((status = registry_twin_load(db, row, &twin, NULL))) goto fail;
    before = json_incref(twin.desired);
    sk_twin_etag(twin.etag, etag);
    if (call->if_match.n && !sk_etag_matches(call->if_match, etag)) {
        status = SK_CONFLICT;
        goto fail;
    }
    if ((status = sk_twin_apply(&twin, &call->change, call->wall_us, call->end.reason)) ||
        (status = registry_twin_store(db, row, &twin, false)))
        goto fail;
    if (call->change.desired)
        call->desired_patch = sk_twin_desired_notification(before, &twin, &call->change);
    *registry_entry_add(call) = (struct sk_registry_entry){.identity = identity, .twin = twin};
    json_decref(before);
    return SK_OK;
fail:
    json_decref(before);
    sk_identity_free(&identity);
    sk_twin_free(&twin);
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
    call->change.reported = json_deep_copy(what->reported);
    call->change.configurations = json_deep_copy(what->configurations);
    call->change.configured = json_deep_copy(what->configured);
    call->if_match = sk_arena_copy(&call->arena, if_match);
}

static void change(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                   const struct sk_twin_change *what, struct sk_span if_match,
                   sk_registry_change_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    registry_take_change(call, what, if_match);
    call->done.change = done;
    registry_write(call, registry_run_change, registry_tell_change);
}

const struct sk_registry_twin_ops registry_twin_ops = {.get = get, .change = change};
