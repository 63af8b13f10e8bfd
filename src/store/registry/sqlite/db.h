/* The registry's SQLite side: connections, rows, and the calls as they run on a connection. Inside
 * src/store/registry/sqlite only.
 *
 * sqlite.c queues calls and moves them between threads; everything here is synchronous and knows
 * one connection. */
#ifndef SK_STORE_REGISTRY_DB_H
#define SK_STORE_REGISTRY_DB_H

#include <sqlite3.h>

#include "store/registry/registry.h"

/* Prepared once on each connection, at first use; the texts stand in db.c. */
enum statement {
    SQL_BEGIN,
    SQL_COMMIT,
    SQL_ROLLBACK,
    SQL_SAVE,
    SQL_RELEASE,
    SQL_UNDO,
    SQL_IDENTITY_GET,
    SQL_IDENTITY_INSERT,
    SQL_IDENTITY_UPDATE,
    SQL_MODEL_SET,
    SQL_IDENTITY_DELETE,
    SQL_DEVICE_LIST,
    SQL_DEVICE_FAMILY, /* a device and its modules */
    SQL_MODULE_COUNT,
    SQL_SCOPE_LIST,
    SQL_TWIN_GET,
    SQL_TWIN_INSERT,
    SQL_TWIN_UPDATE,
    SQL_TWIN_DELETE,
    SQL_TWIN_LIST_DEVICES,
    SQL_TWIN_LIST_MODULES,
    SQL_COUNTS,
    SQL_SESSION_PUT,
    SQL_SESSION_GET,
    SQL_SESSION_DELETE,
    SQL_DOCUMENT_PUT,
    SQL_DOCUMENT_GET,
    SQL_DOCUMENT_DELETE,
    SQL_DOCUMENT_LIST,
    SQL_C2D_PENDING,
    SQL_C2D_INSERT,
    SQL_C2D_LIST,
    SQL_C2D_GET,
    SQL_C2D_RETURN,
    SQL_C2D_DELETE,
    SQL_C2D_DELETE_DEVICE,
    SQL_C2D_EXPIRED,
    SQL_C2D_NEXT_EXPIRY,
    SQL_FEEDBACK_INSERT,
    SQL_FEEDBACK_INSERT_DEVICE,
    SQL_FEEDBACK_LIST,
    SQL_FEEDBACK_DELETE,
    SQL_FEEDBACK_DELETE_DEVICE,
    SQL_FEEDBACK_RETURN,
    SQL_FEEDBACK_DELETE_DEAD,
    SQL_FEEDBACK_EXPIRE,
    SQL_FEEDBACK_NEWEST,
    SQL_COUNT,
};

struct registry_db {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
};

/* A queued call: what is asked (copied into the arena), and what came of it. */
struct registry_call {
    struct sk_list link;
    struct sk_task task; /* reads */
    struct sk_registry *registry;
    struct sk_arena arena;
    enum sk_status (*run)(struct registry_db *db, struct registry_call *call);
    sk_registry_done *done;
    void *arg;

    struct sk_span device_id, module_id, if_match;
    struct sk_span kind, key, bytes;
    struct sk_identity identity;  /* owned */
    struct sk_twin_change change; /* owned documents */
    uint32_t subscriptions;
    size_t max;
    bool modules;
    struct sk_registry_c2d_new c2d;
    enum sk_c2d_end end;
    uint64_t sequence, before; /* of deletes and returns: from and to */
    int64_t time_us;           /* a moment or a length */
    uint8_t random[128];       /* keys and etags of new identities */
    int64_t wall_us;

    struct sk_registry_result result;
    size_t entry_capacity;
    int64_t devices_added, enabled_added, modules_added; /* to the counts, once committed */
};

/* ---- db.c ---- */

enum sk_status registry_db_open(struct registry_db *db, const char *path, const char *vfs,
                                bool writer, char reason[SK_MODEL_ERROR_MAX]);
void registry_db_close(struct registry_db *db);
enum sk_status registry_db_status(int result); /* of an SQLite result code */
/* The statement, reset and without bindings. NULL: it cannot be prepared (then registry_db_error
 * says why). */
sqlite3_stmt *registry_db_statement(struct registry_db *db, enum statement which);
/* The same with its first two texts bound, such as an identity's ids or a document's kind and key. */
sqlite3_stmt *registry_db_statement_of(struct registry_db *db, enum statement which,
                                       struct sk_span first, struct sk_span second);
enum sk_status registry_db_error(struct registry_db *db);
/* Runs a statement that gives no rows. */
enum sk_status registry_db_run(struct registry_db *db, sqlite3_stmt *statement);
enum sk_status registry_db_simple(struct registry_db *db, enum statement which);
/* The next row: SK_OK, SK_NOT_FOUND at the end, or an error. */
enum sk_status registry_db_row(struct registry_db *db, sqlite3_stmt *statement);
void registry_bind_text(sqlite3_stmt *statement, int at,
                        struct sk_span text); /* empty text stays text; bytes must live on */
void registry_bind_optional(sqlite3_stmt *statement, int at, const char *text); /* NULL: SQL NULL */
void registry_bind_blob(sqlite3_stmt *statement, int at, struct sk_span bytes);
struct sk_span registry_column(sqlite3_stmt *statement, int at); /* until the next step or reset */

/* ---- rows.c ---- */

/* The identity and its row's number. SK_NOT_FOUND. `identity` may be NULL. */
enum sk_status registry_identity_load(struct registry_db *db, struct sk_span device_id,
                                      struct sk_span module_id, struct sk_identity *identity,
                                      int64_t *row);
enum sk_status registry_identity_insert(struct registry_db *db, const struct sk_identity *identity,
                                        int64_t *row);
enum sk_status registry_identity_update(struct registry_db *db, const struct sk_identity *identity,
                                        int64_t row);
/* Reads the identity columns that every listing statement begins with. */
void registry_identity_column(sqlite3_stmt *statement, struct sk_identity *identity, int64_t *row);
/* `bytes` (may be NULL) grows by the size of its documents. */
enum sk_status registry_twin_load(struct registry_db *db, int64_t row, struct sk_twin *twin,
                                  size_t *bytes);
enum sk_status registry_twin_store(struct registry_db *db, int64_t row, const struct sk_twin *twin,
                                   bool is_new);
/* Adds an empty entry to the call's result. */
struct sk_registry_entry *registry_entry_add(struct registry_call *call);
void registry_result_free(struct registry_call *call);
/* Deletes a device's messages and feedback records. */
enum sk_status registry_c2d_delete_device(struct registry_db *db, struct sk_span device_id);

/* ---- write.c, read.c: the calls ---- */

enum sk_status registry_run_put(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_delete(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_twin_change(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_model_set(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_session_save(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_session_delete(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_document_put(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_document_delete(struct registry_db *db, struct registry_call *call);

enum sk_status registry_run_get(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_list_devices(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_list_modules(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_list_scope(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_twin_get(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_list_twins(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_session_load(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_document_get(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_document_list(struct registry_db *db, struct registry_call *call);

/* ---- c2d.c ---- */

enum sk_status registry_run_c2d_put(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_c2d_end(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_c2d_return(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_c2d_purge(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_feedback_delete(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_feedback_return(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_feedback_expire(struct registry_db *db, struct registry_call *call);

enum sk_status registry_run_c2d_list(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_c2d_get(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_c2d_expired(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_feedback_list(struct registry_db *db, struct registry_call *call);

#endif
