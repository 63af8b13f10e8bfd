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
        registry_held_changed(db, held, change, call->wall_us);
        if (change->desired)
            call->desired_patch = sk_twin_desired_notification(before, twin, change);
        struct sk_registry_entry *entry = registry_entry_add(call);
        entry->identity = sk_identity_copy(registry_held_identity(held));
        entry->twin = sk_twin_share(twin);
    }
    json_decref(before);
    return status;
}

static enum sk_status run_past(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_past *past = &call->found.past;
    struct sk_arena *arena = &call->arena;
    int64_t row;
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, NULL, &row);
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_PAST_LIST);
    if (statement == NULL) return registry_db_error(db);
    past->versions = sk_arena_alloc(arena, SK_TWIN_PAST_MAX * sizeof *past->versions);
    sqlite3_bind_int64(statement, 1, row);
    while (past->count < SK_TWIN_PAST_MAX && (status = registry_db_row(db, statement)) == SK_OK)
        past->versions[past->count++] = (struct sk_registry_past_version){
            .version = (uint64_t)sqlite3_column_int64(statement, 0),
            .document = sk_arena_copy(arena, registry_column(statement, 1))};
    if (past->count == SK_TWIN_PAST_MAX) sqlite3_reset(statement);
    return status == SK_NOT_FOUND ? SK_OK : status;
}

/* ---- the calls ---- */

static void tell_past(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_past none;
    call->done.past(call->arg, end, end->status ? &none : &call->found.past);
}

static void past(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                 sk_registry_past_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->done.past = done;
    registry_read(call, run_past, tell_past);
}

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

static enum sk_status run_remember(struct registry_db *db, struct registry_call *call) {
    db->held.past = (unsigned)call->max;
    return SK_OK;
}

static void remember(struct sk_registry *registry, unsigned versions) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, NULL);
    SK_ASSERT(versions <= SK_TWIN_PAST_MAX);
    call->max = versions;
    registry_write(call, run_remember, registry_tell_done); /* nobody waits */
}

const struct sk_registry_twin_ops registry_twin_ops = {
    .get = get, .change = change, .past = past, .remember = remember};
