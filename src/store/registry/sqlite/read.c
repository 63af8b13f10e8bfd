/* The registry's reads as they run on a connection. */
#include "store/registry/sqlite/db.h"

enum sk_status registry_run_get(struct registry_db *db, struct registry_call *call) {
    struct sk_identity identity;
    int64_t row;
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &identity, &row);
    if (!status) registry_entry_add(call)->identity = identity;
    return status;
}

enum sk_status registry_run_twin_get(struct registry_db *db, struct registry_call *call) {
    struct sk_identity identity;
    int64_t row;
    enum sk_status status =
        registry_identity_load(db, call->device_id, call->module_id, &identity, &row);
    if (status) return status;
    struct sk_registry_entry *entry = registry_entry_add(call);
    entry->identity = identity;
    return registry_twin_load(db, row, &entry->twin, NULL);
}

/* Collects the identities of a listing statement, with their twins when asked: these up to a share of a
 * turn, which parsing them takes. */
static enum sk_status collect(struct registry_db *db, struct registry_call *call,
                              sqlite3_stmt *statement, bool with_twins) {
    enum { BYTES_MAX = 64 * 1024 };
    size_t bytes = 0;
    enum sk_status status;
    while ((status = registry_db_row(db, statement)) == SK_OK) {
        struct sk_registry_entry *entry = registry_entry_add(call);
        int64_t row;
        registry_identity_column(statement, &entry->identity, &row);
        if (with_twins && (status = registry_twin_load(db, row, &entry->twin, &bytes))) {
            sqlite3_reset(statement);
            return status == SK_NOT_FOUND ? SK_MALFORMED : status;
        }
        call->result.more = call->result.count == call->max || bytes >= BYTES_MAX;
        if (!call->result.more) continue;
        sqlite3_reset(statement);
        return SK_OK;
    }
    return status == SK_NOT_FOUND ? SK_OK : status;
}

enum sk_status registry_run_list_devices(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_DEVICE_LIST);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->max);
    return collect(db, call, statement, false);
}

static enum sk_status collect_family(struct registry_db *db, struct registry_call *call,
                                     struct sk_span device_id) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_DEVICE_FAMILY);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, device_id);
    return collect(db, call, statement, false);
}

enum sk_status registry_run_list_modules(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = collect_family(db, call, call->device_id);
    struct sk_registry_result *result = &call->result;
    if (status) return status;
    if (result->count == 0) return SK_NOT_FOUND;
    /* The device itself comes first and is not asked for. */
    sk_identity_free(&result->entries[0].identity);
    memmove(result->entries, result->entries + 1, --result->count * sizeof *result->entries);
    return SK_OK;
}

enum sk_status registry_run_list_scope(struct registry_db *db, struct registry_call *call) {
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
    while (!call->result.more && (status = registry_db_row(db, statement)) == SK_OK) {
        if ((status = collect_family(db, call, registry_column(statement, 0)))) break;
        call->result.more = ++devices == max || call->result.count >= ENTRIES_MAX;
    }
    sqlite3_reset(statement);
    if (status == SK_NOT_FOUND) status = SK_OK; /* the end of the list */
end:
    sk_identity_free(&edge);
    return status;
}

enum sk_status registry_run_list_twins(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement =
        registry_db_statement(db, call->modules ? SQL_TWIN_LIST_MODULES : SQL_TWIN_LIST_DEVICES);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    if (call->modules) registry_bind_text(statement, 2, call->module_id);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)call->max);
    return collect(db, call, statement, true);
}

enum sk_status registry_run_session_load(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_SESSION_GET, call->device_id, call->module_id);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    call->result.subscriptions = (uint32_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return SK_OK;
}

static void document_add(struct registry_call *call, sqlite3_stmt *statement) {
    struct sk_registry_result *result = &call->result;
    result->documents =
        sk_realloc(result->documents, (result->document_count + 1) * sizeof *result->documents);
    result->documents[result->document_count++] = (struct sk_registry_document){
        .key = sk_arena_copy(&call->arena, registry_column(statement, 0)),
        .bytes = sk_arena_copy(&call->arena, registry_column(statement, 1)),
    };
}

enum sk_status registry_run_document_get(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement_of(db, SQL_DOCUMENT_GET, call->kind, call->key);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    document_add(call, statement);
    sqlite3_reset(statement);
    return SK_OK;
}

enum sk_status registry_run_document_list(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_DOCUMENT_LIST, call->kind, call->key);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)call->max);
    enum sk_status status;
    while ((status = registry_db_row(db, statement)) == SK_OK) document_add(call, statement);
    return status == SK_NOT_FOUND ? SK_OK : status;
}
