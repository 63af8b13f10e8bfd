/* Identities and twins as rows. */
#include "store/registry/sqlite/parts.h"
#include "model/json_text.h"

/* ---- identities ---- */

static void column_text(sqlite3_stmt *statement, int at, char **field) {
    sk_identity_set(field, registry_column(statement, at));
}

void registry_identity_column(sqlite3_stmt *statement, struct sk_identity *identity, int64_t *row) {
    *row = sqlite3_column_int64(statement, 0);
    if (identity == NULL) return;
    memset(identity, 0, sizeof *identity);
    column_text(statement, 1, &identity->device_id);
    column_text(statement, 2, &identity->module_id);
    column_text(statement, 3, &identity->generation_id);
    identity->etag = (uint64_t)sqlite3_column_int64(statement, 4);
    identity->disabled = sqlite3_column_int(statement, 5) != 0;
    column_text(statement, 6, &identity->status_reason);
    identity->status_updated_us = sqlite3_column_int64(statement, 7);
    identity->auth = (enum sk_auth_type)sqlite3_column_int(statement, 8);
    column_text(statement, 9, &identity->primary_key);
    column_text(statement, 10, &identity->secondary_key);
    column_text(statement, 11, &identity->primary_thumbprint);
    column_text(statement, 12, &identity->secondary_thumbprint);
    identity->edge = sqlite3_column_int(statement, 13) != 0;
    column_text(statement, 14, &identity->device_scope);
    column_text(statement, 15, &identity->parent_scopes[0]);
    identity->parent_scope_count = identity->parent_scopes[0] != NULL;
    column_text(statement, 16, &identity->managed_by);
    column_text(statement, 17, &identity->model_id);
}

enum sk_status registry_identity_load(struct registry_db *db, struct sk_span device_id,
                                      struct sk_span module_id, struct sk_identity *identity,
                                      int64_t *row) {
    sqlite3_stmt *statement = registry_db_statement_of(db, SQL_IDENTITY_GET, device_id, module_id);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    registry_identity_column(statement, identity, row);
    sqlite3_reset(statement);
    return SK_OK;
}

enum sk_status registry_identity_of_row(struct registry_db *db, int64_t row,
                                        struct sk_identity *identity) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_IDENTITY_OF_ROW);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, row);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    registry_identity_column(statement, identity, &row);
    sqlite3_reset(statement);
    return SK_OK;
}

/* Insert and update number their parameters alike. */
static void bind_identity(sqlite3_stmt *statement, const struct sk_identity *identity) {
    registry_bind_text(statement, 2, sk_span_z(identity->device_id));
    registry_bind_text(statement, 3, sk_span_z(identity->module_id));
    registry_bind_text(statement, 4, sk_span_z(identity->generation_id));
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)identity->etag);
    sqlite3_bind_int(statement, 6, identity->disabled);
    registry_bind_optional(statement, 7, identity->status_reason);
    sqlite3_bind_int64(statement, 8, identity->status_updated_us);
    sqlite3_bind_int(statement, 9, (int)identity->auth);
    registry_bind_optional(statement, 10, identity->primary_key);
    registry_bind_optional(statement, 11, identity->secondary_key);
    registry_bind_optional(statement, 12, identity->primary_thumbprint);
    registry_bind_optional(statement, 13, identity->secondary_thumbprint);
    sqlite3_bind_int(statement, 14, identity->edge);
    registry_bind_optional(statement, 15, identity->device_scope);
    registry_bind_optional(statement, 16,
                           identity->parent_scope_count ? identity->parent_scopes[0] : NULL);
    registry_bind_optional(statement, 17, identity->managed_by);
}

enum sk_status registry_identity_insert(struct registry_db *db, const struct sk_identity *identity,
                                        int64_t *row) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_IDENTITY_INSERT);
    if (statement == NULL) return registry_db_error(db);
    bind_identity(statement, identity);
    enum sk_status status = registry_db_run(db, statement);
    *row = sqlite3_last_insert_rowid(db->handle);
    return status;
}

enum sk_status registry_identity_update(struct registry_db *db, const struct sk_identity *identity,
                                        int64_t row) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_IDENTITY_UPDATE);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, row);
    bind_identity(statement, identity);
    return registry_db_run(db, statement);
}

/* ---- twins ---- */

static json_t *column_json(sqlite3_stmt *statement, int at) {
    struct sk_span text = registry_column(statement, at);
    return json_loadb(text.p ? text.p : "", text.n, 0, NULL);
}

void registry_twin_numbers(sqlite3_stmt *statement, struct sk_twin *twin) {
    twin->desired_version =
        (uint64_t)sqlite3_column_int64(statement, REGISTRY_TWIN_DESIRED_VERSION);
    twin->reported_version =
        (uint64_t)sqlite3_column_int64(statement, REGISTRY_TWIN_REPORTED_VERSION);
    twin->version = (uint64_t)sqlite3_column_int64(statement, REGISTRY_TWIN_VERSION);
    twin->etag = (uint64_t)sqlite3_column_int64(statement, REGISTRY_TWIN_ETAG);
}

enum sk_status registry_twin_load(struct registry_db *db, int64_t row, struct sk_twin *twin,
                                  size_t *bytes) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_TWIN_GET);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, row);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    for (int i = 0; bytes && i <= REGISTRY_TWIN_REPORTED_METADATA; i++)
        *bytes += registry_column(statement, i).n;
    *twin = (struct sk_twin){
        .tags = column_json(statement, REGISTRY_TWIN_TAGS),
        .desired = column_json(statement, REGISTRY_TWIN_DESIRED),
        .reported = column_json(statement, REGISTRY_TWIN_REPORTED),
        .desired_metadata = column_json(statement, REGISTRY_TWIN_DESIRED_METADATA),
        .reported_metadata = column_json(statement, REGISTRY_TWIN_REPORTED_METADATA),
        .configurations = column_json(statement, REGISTRY_TWIN_CONFIGURATIONS),
        .configured = column_json(statement, REGISTRY_TWIN_CONFIGURED),
    };
    registry_twin_numbers(statement, twin);
    sqlite3_reset(statement);
    if (twin->tags && twin->desired && twin->reported && twin->desired_metadata &&
        twin->reported_metadata)
        return SK_OK;
    sk_twin_free(twin);
    return SK_MALFORMED;
}

/* The parameters of the statements have the same numbers; of some there are fewer. */
static enum statement statement_of(enum registry_twin_write how) {
    switch (how) {
    case REGISTRY_TWIN_NEW: return SQL_TWIN_INSERT;
    case REGISTRY_TWIN_UPDATE: return SQL_TWIN_UPDATE;
    case REGISTRY_TWIN_REPORTS: break;
    }
    return SQL_TWIN_UPDATE_REPORTED;
}

enum sk_status registry_twin_store(struct registry_db *db, int64_t row, const struct sk_twin *twin,
                                   enum registry_twin_write how, size_t *bytes) {
    enum { DOCUMENTS = 7, NUMBERS = 4 };
    sqlite3_stmt *statement = registry_db_statement(db, statement_of(how));
    if (statement == NULL) return registry_db_error(db);
    const struct {
        const json_t *json;
        int at;
    } documents[DOCUMENTS] = {
        {twin->reported, 4},   {twin->reported_metadata, 6}, {twin->tags, 2},
        {twin->desired, 3},    {twin->desired_metadata, 5},  {twin->configurations, 11},
        {twin->configured, 12}};
    const uint64_t numbers[NUMBERS] = {twin->desired_version, twin->reported_version, twin->version,
                                       twin->etag};
    size_t count = how == REGISTRY_TWIN_REPORTS ? 2 : DOCUMENTS;
    char *texts[DOCUMENTS];
    sqlite3_bind_int64(statement, 1, row);
    for (size_t i = 0; i < count; i++) {
        texts[i] = sk_json_text(documents[i].json);
        registry_bind_optional(statement, documents[i].at, texts[i]);
        if (bytes && texts[i]) *bytes += strlen(texts[i]);
    }
    for (int i = how == REGISTRY_TWIN_REPORTS; i < NUMBERS; i++)
        sqlite3_bind_int64(statement, 7 + i, (sqlite3_int64)numbers[i]);
    enum sk_status status = registry_db_run(db, statement);
    for (size_t i = 0; i < count; i++) free(texts[i]);
    return status;
}

/* ---- lists of them ---- */

struct sk_registry_entry *registry_entry_add(struct registry_call *call) {
    struct sk_registry_entries *list = &call->entries;
    if (list->count == call->entry_capacity) {
        call->entry_capacity = call->entry_capacity ? call->entry_capacity * 2 : 1;
        list->entries = sk_realloc(list->entries, call->entry_capacity * sizeof *list->entries);
    }
    struct sk_registry_entry *entry = &list->entries[list->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

void registry_entries_free(struct registry_call *call) {
    struct sk_registry_entries *list = &call->entries;
    for (size_t i = 0; i < list->count; i++) {
        sk_identity_free(&list->entries[i].identity);
        sk_twin_free(&list->entries[i].twin);
    }
    free(list->entries);
}

enum sk_status registry_collect(struct registry_db *db, struct registry_call *call,
                                sqlite3_stmt *statement) {
    enum sk_status status;
    while ((status = registry_db_row(db, statement)) == SK_OK) {
        struct sk_registry_entry *entry = registry_entry_add(call);
        int64_t row;
        registry_identity_column(statement, &entry->identity, &row);
        call->entries.more = call->entries.count == call->max;
        if (!call->entries.more) continue;
        sqlite3_reset(statement);
        return SK_OK;
    }
    return status == SK_NOT_FOUND ? SK_OK : status;
}
