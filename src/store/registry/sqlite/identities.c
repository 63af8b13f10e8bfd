/* Identities: made, changed, deleted and listed. A write that fails is undone by its savepoint
 * (sqlite.c). */
#include "store/registry/sqlite/parts.h"

#include <stdio.h>

/* ---- reading ---- */

static enum sk_status run_get(struct registry_db *db, struct registry_call *call) {
    struct sk_identity identity;
    int64_t row;
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &identity, &row);
    if (!status) registry_entry_add(call)->identity = identity;
    return status;
}

static enum sk_status run_list_devices(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_DEVICE_LIST);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->max);
    return registry_collect(db, call, statement);
}

static enum sk_status collect_family(struct registry_db *db, struct registry_call *call,
                                     struct sk_span device_id) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_DEVICE_FAMILY);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, device_id);
    return registry_collect(db, call, statement);
}

static enum sk_status run_list_modules(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = collect_family(db, call, call->device_id);
    struct sk_registry_entries *list = &call->entries;
    if (status) return status;
    if (list->count == 0) return SK_NOT_FOUND;
    /* The device itself comes first and is not asked for. */
    sk_identity_free(&list->entries[0].identity);
    memmove(list->entries, list->entries + 1, --list->count * sizeof *list->entries);
    return SK_OK;
}

static enum sk_status run_list_scope(struct registry_db *db, struct registry_call *call) {
    enum { ENTRIES_MAX = 100 }; /* a share of a turn; devices come whole */
    size_t devices = 0, max = call->max;
    struct sk_identity edge;
    int64_t row;
    enum sk_status status = registry_identity_load(db, call->device_id, SK_NONE, &edge, &row);
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_SCOPE_LIST);
    if (statement == NULL) status = registry_db_error(db);
    if (!status && !edge.edge) status = SK_INVALID;
    if (status) goto end;
    registry_bind_text(statement, 1, sk_span_z(edge.device_scope));
    registry_bind_text(statement, 2, call->key);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)max);
    call->max = 0; /* of families: all of them */
    while (!call->entries.more && (status = registry_db_row(db, statement)) == SK_OK) {
        if ((status = collect_family(db, call, registry_column(statement, 0)))) break;
        call->entries.more = ++devices == max || call->entries.count >= ENTRIES_MAX;
    }
    sqlite3_reset(statement);
    if (status == SK_NOT_FOUND) status = SK_OK; /* the end of the list */
end:
    sk_identity_free(&edge);
    return status;
}

/* ---- creating and updating ---- */

static uint64_t take_etag(const uint8_t *random) {
    uint32_t n;
    memcpy(&n, random, sizeof n);
    return n; /* a re-created identity does not repeat an etag of the deleted one */
}

static enum sk_status insert_with_twin(struct registry_db *db, struct registry_call *call,
                                       const struct sk_identity *identity) {
    int64_t row;
    enum sk_status status = registry_identity_insert(db, identity, &row);
    if (status) return status;
    struct sk_twin twin = sk_twin_new();
    status = registry_twin_store(db, row, &twin, REGISTRY_TWIN_NEW, NULL);
    sk_twin_free(&twin);
    call->devices_added += identity->module_id == NULL;
    call->enabled_added += identity->module_id == NULL && !identity->disabled;
    call->modules_added += identity->module_id != NULL;
    return status;
}

/* An edge device's system modules, which have no credentials until the device gives them some.
 * Those that are there stay. */
static enum sk_status insert_system_modules(struct registry_db *db, struct registry_call *call,
                                            const struct sk_identity *device) {
    static const char *const names[] = {SK_EDGE_AGENT_MODULE, SK_EDGE_HUB_MODULE};
    enum sk_status status = SK_OK;
    for (size_t i = 0; i < 2 && !status; i++) {
        int64_t row;
        struct sk_span name = sk_span_z(names[i]);
        status = registry_identity_load(db, call->device_id, name, NULL, &row);
        if (status != SK_NOT_FOUND) continue;
        struct sk_identity module = {.auth = SK_AUTH_NONE,
                                     .etag = take_etag(call->random + 4 + 4 * i)};
        sk_identity_set(&module.device_id, sk_span_z(device->device_id));
        sk_identity_set(&module.module_id, name);
        sk_identity_begin(&module, call->wall_us);
        status = insert_with_twin(db, call, &module);
        sk_identity_free(&module);
    }
    return status;
}

static enum sk_status check_module_place(struct registry_db *db, struct registry_call *call) {
    struct sk_identity device;
    int64_t row;
    enum sk_status status = registry_identity_load(db, call->device_id, SK_NONE, &device, &row);
    if (status) return status;
    bool edge = device.edge;
    sk_identity_free(&device);
    if (!edge && sk_is_system_module(call->module_id)) {
        snprintf(call->end.reason, sizeof call->end.reason,
                 "%.*s is a module of edge devices (capabilities.iotEdge) only.",
                 SK_ARG(call->module_id));
        return SK_INVALID;
    }
    sqlite3_stmt *statement = registry_db_statement(db, SQL_MODULE_COUNT);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    if ((status = registry_db_row(db, statement))) return status;
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (count < SK_MODULES_MAX) return SK_OK;
    snprintf(call->end.reason, sizeof call->end.reason, "A device has at most %d modules.",
             SK_MODULES_MAX);
    return SK_TOO_LARGE;
}

static enum sk_status create(struct registry_db *db, struct registry_call *call) {
    struct sk_identity *identity = &call->identity;
    enum sk_status status = identity->module_id ? check_module_place(db, call) : SK_OK;
    if (status) return status;
    sk_identity_begin(identity, call->wall_us);
    sk_identity_fill_keys(identity, call->random + 64);
    identity->etag = take_etag(call->random);
    status = insert_with_twin(db, call, identity);
    if (!status && identity->edge) status = insert_system_modules(db, call, identity);
    return status;
}

/* What an update does not change: the generation, the model, the scope of a device that stays an
 * edge device, the keys when none come. */
static void keep_from_stored(struct registry_call *call, struct sk_identity *stored) {
    struct sk_identity *identity = &call->identity;
    bool was_edge = stored->edge;
    char *scope = stored->device_scope;
    if (identity->edge && !was_edge) {
        sk_identity_begin(identity, call->wall_us); /* gives it a scope */
    } else if (identity->edge) {
        sk_identity_set(&identity->device_scope, sk_span_z(scope));
    }
    sk_identity_set(&identity->generation_id, sk_span_z(stored->generation_id));
    sk_identity_set(&identity->model_id, sk_span_z(stored->model_id));
    if (identity->auth == SK_AUTH_SAS && stored->auth == SK_AUTH_SAS &&
        identity->primary_key == NULL) {
        sk_identity_set(&identity->primary_key, sk_span_z(stored->primary_key));
        sk_identity_set(&identity->secondary_key, sk_span_z(stored->secondary_key));
    }
    sk_identity_fill_keys(identity, call->random + 64);
    identity->status_updated_us =
        identity->disabled != stored->disabled ? call->wall_us : stored->status_updated_us;
    identity->etag = stored->etag + 1;
}

static enum sk_status update(struct registry_db *db, struct registry_call *call,
                             struct sk_identity *stored, int64_t row) {
    struct sk_identity *identity = &call->identity;
    char etag[SK_ETAG_MAX];
    sk_identity_etag(stored->etag, etag);
    if (!sk_etag_matches(call->if_match, etag)) return SK_CONFLICT;
    keep_from_stored(call, stored);
    enum sk_status status = registry_identity_update(db, identity, row);
    if (status || identity->module_id) return status;
    call->enabled_added += (int)stored->disabled - (int)identity->disabled;
    return identity->edge && !stored->edge ? insert_system_modules(db, call, identity) : SK_OK;
}

enum sk_status registry_run_put(struct registry_db *db, struct registry_call *call) {
    struct sk_identity stored = {0};
    int64_t row;
    registry_held_forget(db);
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &stored, &row);
    if (call->if_match.n == 0 && !status)
        status = SK_EXISTS;
    else if (call->if_match.n == 0 && status == SK_NOT_FOUND)
        status = create(db, call);
    else if (!status)
        status = update(db, call, &stored, row);
    sk_identity_free(&stored);
    if (!status) registry_entry_add(call)->identity = sk_identity_move(&call->identity);
    return status;
}

/* ---- deleting ---- */

static enum sk_status delete_row(struct registry_db *db, enum statement which, int64_t row) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, row);
    return registry_db_run(db, statement);
}

/* Deletes one identity with all that hangs on it; the identity goes into the list. */
static enum sk_status delete_identity(struct registry_db *db, struct registry_call *call,
                                      struct sk_identity *identity, int64_t row) {
    enum sk_status status = delete_row(db, SQL_IDENTITY_DELETE, row);
    if (!status) status = delete_row(db, SQL_TWIN_DELETE, row);
    if (!status) status = delete_row(db, SQL_PAST_DELETE, row);
    if (!status)
        status = registry_session_remove(db, sk_span_z(identity->device_id),
                                         sk_span_z(identity->module_id));
    if (!status && identity->module_id == NULL)
        status = registry_c2d_remove(db, sk_span_z(identity->device_id));
    if (!status && identity->module_id == NULL)
        status = registry_feedback_remove(db, sk_span_z(identity->device_id));
    call->devices_added -= identity->module_id == NULL;
    call->enabled_added -= identity->module_id == NULL && !identity->disabled;
    call->modules_added -= identity->module_id != NULL;
    registry_entry_add(call)->identity = sk_identity_move(identity);
    return status;
}

static enum sk_status delete_modules(struct registry_db *db, struct registry_call *call) {
    /* An update to an edge device may have put two on top of the limit. */
    struct sk_identity modules[SK_MODULES_MAX + 2];
    int64_t rows[SK_MODULES_MAX + 2];
    size_t count = 0;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_DEVICE_FAMILY);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    enum sk_status status;
    while (count < SK_MODULES_MAX + 2 && (status = registry_db_row(db, statement)) == SK_OK) {
        registry_identity_column(statement, &modules[count], &rows[count]);
        count++;
    }
    sqlite3_reset(statement);
    status = status == SK_NOT_FOUND ? SK_OK : status;
    for (size_t i = 0; i < count; i++) {
        if (!status) status = delete_identity(db, call, &modules[i], rows[i]);
        sk_identity_free(&modules[i]);
    }
    return status;
}

enum sk_status registry_run_delete(struct registry_db *db, struct registry_call *call) {
    registry_held_forget(db);
    struct sk_identity identity;
    int64_t row;
    char etag[SK_ETAG_MAX];
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &identity, &row);
    if (status) return status;
    sk_identity_etag(identity.etag, etag);
    if (call->if_match.n && !sk_etag_matches(call->if_match, etag))
        status = SK_CONFLICT;
    else
        status = delete_identity(db, call, &identity, row);
    sk_identity_free(&identity);
    if (!status && call->module_id.n == 0) status = delete_modules(db, call);
    return status;
}

/* ---- models ---- */

static enum sk_status run_model_set(struct registry_db *db, struct registry_call *call) {
    registry_held_forget(db);
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_MODEL_SET, call->device_id, call->module_id);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 3, call->bytes);
    return registry_db_run(db, statement); /* no change, nothing written: it says so each time */
}

/* ---- the calls ---- */

static void get(struct sk_registry *registry, struct sk_span device_id, struct sk_span module_id,
                sk_registry_entry_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->done.entry = done;
    registry_read(call, run_get, registry_tell_entry);
}

static void put(struct sk_registry *registry, const struct sk_identity *identity,
                struct sk_span if_match, sk_registry_entry_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, sk_span_z(identity->device_id),
                                                   sk_span_z(identity->module_id), arg);
    call->identity = sk_identity_copy(identity);
    call->if_match = sk_arena_copy(&call->arena, if_match);
    registry_random(call);
    call->done.entry = done;
    registry_write(call, registry_run_put, registry_tell_entry);
}

static void remove_identity(struct sk_registry *registry, struct sk_span device_id,
                            struct sk_span module_id, struct sk_span if_match,
                            sk_registry_entries_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->if_match = sk_arena_copy(&call->arena, if_match);
    call->done.entries = done;
    registry_write(call, registry_run_delete, registry_tell_entries);
}

static void list_devices(struct sk_registry *registry, struct sk_span after, size_t max,
                         sk_registry_entries_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, after, SK_NONE, arg);
    call->max = max;
    call->done.entries = done;
    registry_read(call, run_list_devices, registry_tell_entries);
}

static void list_modules(struct sk_registry *registry, struct sk_span device_id,
                         sk_registry_entries_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, SK_NONE, arg);
    call->done.entries = done;
    registry_read(call, run_list_modules, registry_tell_entries);
}

static void list_scope(struct sk_registry *registry, struct sk_span edge_device_id,
                       struct sk_span after, size_t max_devices, sk_registry_entries_done *done,
                       void *arg) {
    struct registry_call *call = registry_call_new(registry, edge_device_id, SK_NONE, arg);
    call->key = sk_arena_copy(&call->arena, after);
    call->max = max_devices;
    call->done.entries = done;
    registry_read(call, run_list_scope, registry_tell_entries);
}

static void model_set(struct sk_registry *registry, struct sk_span device_id,
                      struct sk_span module_id, struct sk_span model_id, sk_registry_done *done,
                      void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, module_id, arg);
    call->bytes = sk_arena_copy(&call->arena, model_id);
    call->done.done = done;
    registry_write(call, run_model_set, registry_tell_done);
}

const struct sk_registry_identity_ops registry_identity_ops = {.get = get,
                                                               .put = put,
                                                               .remove = remove_identity,
                                                               .list_devices = list_devices,
                                                               .list_modules = list_modules,
                                                               .list_scope = list_scope,
                                                               .model_set = model_set};
