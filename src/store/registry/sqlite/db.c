/* SQLite connections of the registry: opening, the schema and its migrations, statements. */
#include "store/registry/sqlite/parts.h"

#include <stdio.h>

/* Of the triggers that keep values in order: what a lookup is about in the old or the new row. */
#define SECTION(of)                                                                                \
    "CASE l.place WHEN 1 THEN " of ".tags WHEN 2 THEN " of ".desired ELSE " of ".reported END"
#define VALUE(of) "json_extract(" SECTION(of) ", l.path)"
#define OLD_VALUE VALUE("old")
#define NEW_VALUE VALUE("new")
#define NEW_TYPE "json_type(" SECTION("new") ", l.path)"
#define OTHER_VALUE OLD_VALUE " IS NOT " NEW_VALUE
#define ADD_VALUES(when)                                                                           \
    "INSERT OR IGNORE INTO lookup_value SELECT l.id, " NEW_VALUE ", new.row FROM lookup l "        \
    "WHERE l.filled >= new.row AND " when " AND " NEW_TYPE                                         \
    " IN ('text', 'integer', 'real', 'true', 'false') AND length(" NEW_VALUE ") <= 128"
#define DROP_VALUES(when)                                                                          \
    "DELETE FROM lookup_value WHERE (lookup, value, row) IN (SELECT l.id, " OLD_VALUE ", "         \
    "old.row FROM lookup l WHERE " when ")"
#define TRIGGER(name, event, work)                                                                 \
    "CREATE TRIGGER " name " AFTER " event " ON twin WHEN EXISTS (SELECT 1 FROM lookup) "          \
    "BEGIN " work "; END;"
#define LOOKUP_TRIGGERS                                                                            \
    TRIGGER("twin_made", "INSERT", ADD_VALUES("TRUE"))                                             \
    TRIGGER("twin_changed", "UPDATE OF tags, desired, reported",                                   \
            DROP_VALUES(OTHER_VALUE) ";" ADD_VALUES(OTHER_VALUE))                                  \
    TRIGGER("twin_deleted", "DELETE", DROP_VALUES("TRUE"))

/* One string a version; appended to, never edited. */
static const char *const migrations[] = {
    "CREATE TABLE identity ("
    " row INTEGER PRIMARY KEY,"
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL," /* module_id '': the device */
    " generation_id TEXT NOT NULL, etag INTEGER NOT NULL,"
    " disabled INTEGER NOT NULL, status_reason TEXT, status_updated_us INTEGER NOT NULL,"
    " auth INTEGER NOT NULL, primary_key TEXT, secondary_key TEXT,"
    " primary_thumbprint TEXT, secondary_thumbprint TEXT,"
    " edge INTEGER NOT NULL, device_scope TEXT, parent_scope TEXT, managed_by TEXT,"
    " UNIQUE (device_id, module_id));"
    "CREATE INDEX identity_device ON identity (device_id) WHERE module_id = '';"
    "CREATE INDEX identity_device_scope ON identity (device_scope, device_id) WHERE device_scope "
    "IS NOT NULL;"
    "CREATE INDEX identity_parent_scope ON identity (parent_scope, device_id) WHERE parent_scope "
    "IS NOT NULL;"
    "CREATE TABLE twin ("
    " row INTEGER PRIMARY KEY," /* the identity's */
    " tags TEXT NOT NULL, desired TEXT NOT NULL, reported TEXT NOT NULL,"
    " desired_metadata TEXT NOT NULL, reported_metadata TEXT NOT NULL,"
    " desired_version INTEGER NOT NULL, reported_version INTEGER NOT NULL,"
    " version INTEGER NOT NULL, etag INTEGER NOT NULL);"
    "CREATE TABLE session ("
    " device_id TEXT NOT NULL, module_id TEXT NOT NULL, subscriptions INTEGER NOT NULL,"
    " PRIMARY KEY (device_id, module_id)) WITHOUT ROWID;"
    "CREATE TABLE document ("
    " kind TEXT NOT NULL, key TEXT NOT NULL, bytes BLOB NOT NULL, UNIQUE (kind, key));",
    /* AUTOINCREMENT: the number of a message that has ended is never given again. */
    "CREATE TABLE c2d ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " device_id TEXT NOT NULL, generation_id TEXT NOT NULL, message_id TEXT NOT NULL,"
    " ack INTEGER NOT NULL, enqueued_us INTEGER NOT NULL, expiry_us INTEGER NOT NULL,"
    " deliveries INTEGER NOT NULL DEFAULT 0, sent INTEGER NOT NULL DEFAULT 0,"
    " envelope BLOB NOT NULL);"
    "CREATE INDEX c2d_device ON c2d (device_id, sequence);"
    "CREATE INDEX c2d_expiry ON c2d (expiry_us, device_id);"
    "CREATE TABLE feedback ("
    " sequence INTEGER PRIMARY KEY AUTOINCREMENT,"
    " device_id TEXT NOT NULL, generation_id TEXT NOT NULL, message_id TEXT NOT NULL,"
    " end INTEGER NOT NULL, ended_us INTEGER NOT NULL, expiry_us INTEGER NOT NULL,"
    " deliveries INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX feedback_device ON feedback (device_id);"
    "CREATE INDEX feedback_expiry ON feedback (expiry_us);",
    "ALTER TABLE identity ADD COLUMN model_id TEXT;",
    ("ALTER TABLE twin ADD COLUMN configurations TEXT;"
     "ALTER TABLE twin ADD COLUMN configured TEXT;"),
    "CREATE TABLE job (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE job_row ("
    " job_id TEXT NOT NULL, device_id TEXT NOT NULL, module_id TEXT NOT NULL,"
    " state INTEGER NOT NULL, document TEXT NOT NULL,"
    " PRIMARY KEY (job_id, device_id, module_id)) WITHOUT ROWID;"
    "CREATE INDEX job_row_state ON job_row (job_id, state, device_id, module_id);"
    "CREATE INDEX job_row_device ON job_row (device_id, job_id, module_id);",
    "ALTER TABLE feedback ADD COLUMN topic INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX feedback_topic ON feedback (topic, sequence);",
    /* Values kept in order: see lookups.c. */
    "CREATE TABLE lookup ("
    " id INTEGER PRIMARY KEY, place INTEGER NOT NULL, path TEXT NOT NULL,"
    " filled INTEGER NOT NULL, used_us INTEGER NOT NULL, UNIQUE (place, path));"
    "CREATE TABLE lookup_value ("
    " lookup INTEGER NOT NULL, value NOT NULL, row INTEGER NOT NULL,"
    " PRIMARY KEY (lookup, value, row)) WITHOUT ROWID;" LOOKUP_TRIGGERS,
    /* What tags and desired properties have been: see held.c. */
    "CREATE TABLE twin_past ("
    " row INTEGER NOT NULL, version INTEGER NOT NULL, document TEXT NOT NULL,"
    " PRIMARY KEY (row, version)) WITHOUT ROWID;",
};
#undef SECTION
#undef VALUE
#undef OLD_VALUE
#undef NEW_VALUE
#undef NEW_TYPE
#undef ADD_VALUES
#undef DROP_VALUES
#undef OTHER_VALUE
#undef TRIGGER
#undef LOOKUP_TRIGGERS
#define VERSION ((int)(sizeof migrations / sizeof *migrations))

static const char *const texts[SQL_COUNT] = {
#define STATEMENT(name, text) [SQL_##name] = text,
#include "store/registry/sqlite/statements.def"
#undef STATEMENT
};

enum sk_status registry_db_status(int result) {
    switch (result & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return SK_OK;
    case SQLITE_FULL: return SK_NO_SPACE;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return SK_MALFORMED;
    case SQLITE_TOOBIG: return SK_TOO_LARGE;
    default: return SK_IO;
    }
}

enum sk_status registry_db_error(struct registry_db *db) {
    enum sk_status status = registry_db_status(sqlite3_extended_errcode(db->handle));
    return status ? status : SK_IO;
}

static enum sk_status execute(struct registry_db *db, const char *sql) {
    return registry_db_status(sqlite3_exec(db->handle, sql, NULL, NULL, NULL));
}

/* The file's user_version, by hand: before the statements can be prepared. */
static enum sk_status read_version(struct registry_db *db, int *version) {
    sqlite3_stmt *statement;
    int result = sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &statement, NULL);
    if (result) return registry_db_status(result);
    result = sqlite3_step(statement);
    if (result == SQLITE_ROW) *version = sqlite3_column_int(statement, 0);
    sqlite3_finalize(statement);
    return registry_db_status(result);
}

static enum sk_status migrate(struct registry_db *db, int version) {
    char set_version[64];
    enum sk_status status = SK_OK;
    for (; version < VERSION && !status; version++) {
        snprintf(set_version, sizeof set_version, "PRAGMA user_version = %d", version + 1);
        status = execute(db, "BEGIN IMMEDIATE");
        if (!status) status = execute(db, migrations[version]);
        if (!status) status = execute(db, set_version);
        if (!status) status = execute(db, "COMMIT");
        if (status && !sqlite3_get_autocommit(db->handle)) execute(db, "ROLLBACK");
    }
    return status;
}

/* EXCLUSIVE keeps the WAL index in memory, as the simulated disk has no shared memory; it must
 * come before the first read. */
static const char SIMULATED_PRAGMAS[] = "PRAGMA locking_mode = EXCLUSIVE";
static const char WRITER_PRAGMAS[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024";
static const char READER_PRAGMAS[] = "PRAGMA query_only = ON; PRAGMA cache_size = -1024";

/* SQLite puts 120 KB aside for small allocations of each connection, and 20 pages for its cache:
 * half a megabyte that an edge never needs. What it needs it takes when it needs it. */
void sk_registry_sqlite_prepare(void) {
    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 128, 64);
    sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
    sqlite3_initialize(); /* from now on the two above are refused, and change nothing */
}

enum sk_status registry_db_open(struct registry_db *db, const char *path, const char *vfs,
                                bool writer, char reason[SK_MODEL_ERROR_MAX]) {
    int version = 0;
    sk_registry_sqlite_prepare();
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (writer ? SQLITE_OPEN_CREATE : 0);
    enum sk_status status = registry_db_status(sqlite3_open_v2(path, &db->handle, flags, vfs));
    if (status) goto fail;
    /* Only against another program that looks into the file. */
    sqlite3_busy_timeout(db->handle, 5000);
    if (vfs && (status = execute(db, SIMULATED_PRAGMAS))) goto fail;
    if ((status = execute(db, writer ? WRITER_PRAGMAS : READER_PRAGMAS)) ||
        (status = read_version(db, &version)))
        goto fail;
    if (version > VERSION) {
        snprintf(reason, SK_MODEL_ERROR_MAX,
                 "%s was made by a newer version of Skerry (form %d, this one knows up to %d).",
                 path, version, VERSION);
        registry_db_close(db);
        return SK_UNSUPPORTED;
    }
    if (writer && (status = migrate(db, version))) goto fail;
    return SK_OK;
fail:
    snprintf(reason, SK_MODEL_ERROR_MAX, "Cannot open the registry %s: %s.", path,
             db->handle ? sqlite3_errmsg(db->handle) : "out of memory");
    registry_db_close(db);
    return status;
}

void registry_db_close(struct registry_db *db) {
    for (int i = 0; i < SQL_COUNT; i++) sqlite3_finalize(db->statements[i]);
    sqlite3_close(db->handle);
    memset(db, 0, sizeof *db);
}

sqlite3_stmt *registry_db_statement(struct registry_db *db, enum statement which) {
    sqlite3_stmt **place = &db->statements[which];
    if (*place == NULL)
        sqlite3_prepare_v3(db->handle, texts[which], -1, SQLITE_PREPARE_PERSISTENT, place, NULL);
    else
        sqlite3_reset(*place), sqlite3_clear_bindings(*place);
    return *place;
}

enum sk_status registry_db_run(struct registry_db *db, sqlite3_stmt *statement) {
    if (statement == NULL) return registry_db_error(db);
    int result = sqlite3_step(statement);
    enum sk_status status =
        result == SQLITE_DONE || result == SQLITE_ROW ? SK_OK : registry_db_error(db);
    sqlite3_reset(statement);
    return status;
}

enum sk_status registry_db_simple(struct registry_db *db, enum statement which) {
    return registry_db_run(db, registry_db_statement(db, which));
}

enum sk_status registry_db_run_text(struct registry_db *db, enum statement which,
                                    struct sk_span text) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, text);
    return registry_db_run(db, statement);
}

enum sk_status registry_db_row(struct registry_db *db, sqlite3_stmt *statement) {
    if (statement == NULL) return registry_db_error(db);
    int result = sqlite3_step(statement);
    if (result == SQLITE_ROW) return SK_OK;
    enum sk_status status = result == SQLITE_DONE ? SK_NOT_FOUND : registry_db_error(db);
    sqlite3_reset(statement); /* ends its read transaction */
    return status;
}

void registry_bind_text(sqlite3_stmt *statement, int at, struct sk_span text) {
    sqlite3_bind_text(statement, at, text.p ? text.p : "", (int)text.n, SQLITE_STATIC);
}

sqlite3_stmt *registry_db_statement_of(struct registry_db *db, enum statement which,
                                       struct sk_span first, struct sk_span second) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement) {
        registry_bind_text(statement, 1, first);
        registry_bind_text(statement, 2, second);
    }
    return statement;
}

void registry_bind_optional(sqlite3_stmt *statement, int at, const char *text) {
    if (text) registry_bind_text(statement, at, sk_span_z(text));
}

void registry_bind_blob(sqlite3_stmt *statement, int at, struct sk_span bytes) {
    sqlite3_bind_blob(statement, at, bytes.p ? bytes.p : "", (int)bytes.n, SQLITE_STATIC);
}

struct sk_span registry_column(sqlite3_stmt *statement, int at) {
    const void *p = sqlite3_column_blob(statement, at);
    return sk_span(p, (size_t)sqlite3_column_bytes(statement, at));
}
