/* Persistent subscriptions. */
#include "store/registry/sqlite/parts.h"

static enum sk_status run_load(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_SESSION_GET, call->device_id, call->module_id);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    call->found.subscriptions = (uint32_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return SK_OK;
}

static enum sk_status run_save(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_SESSION_PUT, call->device_id, call->module_id);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 3, call->subscriptions);
    return registry_db_run(db, statement);
}

enum sk_status registry_session_remove(struct registry_db *db, struct sk_span device_id,
                                       struct sk_span module_id) {
    return registry_db_run(db,
                           registry_db_statement_of(db, SQL_SESSION_DELETE, device_id, module_id));
}

static enum sk_status run_delete(struct registry_db *db, struct registry_call *call) {
    return registry_session_remove(db, call->device_id, call->module_id);
}

/* ---- the calls ---- */

static void tell_session(struct registry_call *call, const struct sk_registry_end *end) {
    call->done.session(call->arg, end, end->status ? 0 : call->found.subscriptions);
}

static void save(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                 uint32_t subscriptions, sk_registry_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->subscriptions = subscriptions;
    call->done.done = done;
    registry_write(call, run_save, registry_tell_done);
}

static void load(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                 sk_registry_session_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->done.session = done;
    registry_read(call, run_load, tell_session);
}

static void remove_session(struct sk_registry *registry, struct sk_span device_id,
                           struct sk_span module_id, sk_registry_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->done.done = done;
    registry_write(call, run_delete, registry_tell_done);
}

const struct sk_registry_session_ops registry_session_ops = {
    .save = save, .load = load, .remove = remove_session};
