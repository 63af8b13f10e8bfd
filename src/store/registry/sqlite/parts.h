/* What the files of the registry on SQLite share. Inside src/store/registry/sqlite only.
 *
 *   sqlite.c       opening, calls, transactions, completions
 *   identities.c, twins.c, lines.c, sessions.c, c2d.c, feedback.c, jobs.c, documents.c
 *                  an aggregate each: its calls, as they are asked for on the loop and as they
 *                  run on a connection, and the table of them for ops.h
 *   find.c         searches among twins
 *   lookups.c      values kept in order for them
 *   held.c         twins that are changed again and again
 *   rows.c         identities and twins as rows
 *   db.c           connections, the schema; statements.def: all other SQL
 *
 * A call is made on the loop's thread by a function of ops.h (arguments are copied), runs on a
 * connection as its `run` says, in a transaction on a worker's thread when it writes, and ends
 * on the loop's thread as its `tell` says. */
#ifndef SK_STORE_REGISTRY_SQLITE_PARTS_H
#define SK_STORE_REGISTRY_SQLITE_PARTS_H

#include <sqlite3.h>

#include "store/registry/ops.h"
#include "store/registry/sqlite/sqlite.h"

enum statement {
#define STATEMENT(name, text) SQL_##name,
#include "store/registry/sqlite/statements.def"
#undef STATEMENT
    SQL_COUNT
};

struct registry;
struct registry_db {
    sqlite3 *handle;
    sqlite3_stmt *statements[SQL_COUNT];
    struct { /* of the writer: see held.c */
        struct sk_map by_key;
        struct sk_list list, unwritten;
        size_t bytes;
        uint64_t transaction; /* counts them */
        unsigned past;        /* versions of a twin that are remembered; 0: none */
    } held;
};

/* What every listing statement begins with. */
#define IDENTITY_COLUMNS                                                                           \
    "i.row, i.device_id, i.module_id, i.generation_id, i.etag, i.disabled, i.status_reason, "      \
    "i.status_updated_us, i.auth, i.primary_key, i.secondary_key, i.primary_thumbprint, "          \
    "i.secondary_thumbprint, i.edge, i.device_scope, i.parent_scope, i.managed_by, i.model_id"

/* ---- calls ---- */

/* What is asked (copied into the arena), and what came of it. */
struct registry_call {
    struct sk_list link;
    struct sk_task task; /* reads */
    struct registry *registry;
    struct sk_arena arena;
    enum sk_status (*run)(struct registry_db *db, struct registry_call *call);
    /* Calls `done`, with what was found when end->status is SK_OK. */
    void (*tell)(struct registry_call *call, const struct sk_registry_end *end);
    union {
        void (*any)(void); /* NULL: nobody waits */
        sk_registry_done *done;
        sk_registry_entry_done *entry;
        sk_registry_entries_done *entries;
        sk_registry_found_done *found;
        sk_registry_change_done *change;
        sk_registry_past_done *past;
        sk_registry_line_done *line;
        sk_registry_session_done *session;
        sk_registry_document_done *document;
        sk_registry_documents_done *documents;
        sk_registry_c2d_done *c2d;
        sk_registry_queue_done *queue;
        sk_registry_ended_done *ended;
        sk_registry_expired_done *expired;
        sk_registry_records_done *records;
        sk_registry_newest_done *newest;
        sk_registry_job_rows_done *job_rows;
        sk_registry_job_counts_done *job_counts;
    } done;
    void *arg;

    struct sk_span device_id, module_id, if_match;
    struct sk_span kind, key, bytes;
    struct sk_identity identity;  /* owned */
    struct sk_twin_change change; /* owned documents */
    uint32_t subscriptions;
    size_t max;
    bool modules;
    struct sk_registry_c2d_new c2d;
    enum sk_c2d_end how;
    struct sk_registry_term *terms; /* of a search, and what follows */
    size_t term_count;
    enum sk_registry_verdict (*look)(void *arg, const struct sk_registry_row *row);
    int64_t lookup;
    uint64_t until; /* the row up to which it goes; 0: to the end */
    size_t looked_at, document_bytes;
    struct sk_registry_job_row *rows, after;
    size_t row_count;
    enum sk_job_state state, to;
    enum sk_registry_work work;
    struct sk_span twin_if_match;
    struct sk_registry_note note;
    bool fresh;
    bool holds; /* it changes what is held, and writes nothing by itself */
    enum sk_registry_topic topic;
    uint64_t sequence, before; /* of deletes and returns: from and to; of a search: behind which */
    int64_t time_us;           /* a moment or a length */
    uint8_t random[128];       /* keys and etags of new identities */
    int64_t wall_us;

    struct sk_registry_end end;
    struct sk_registry_entries entries; /* of calls that find one: entries[0] */
    size_t entry_capacity;
    json_t *desired_patch;
    union { /* of other calls; arrays in the arena */
        uint32_t subscriptions;
        struct sk_registry_found search;
        struct sk_registry_past past;
        struct {
            struct sk_registry_end identity, twin; /* how each went */
            bool put, removed, made, changed;
        } line;
        struct sk_registry_documents documents; /* of get: one */
        struct sk_registry_c2d message;
        struct sk_registry_queue queue;
        struct {
            struct sk_registry_ended ended;
            struct sk_registry_c2d waits;
        };
        struct sk_registry_expired expired;
        struct sk_registry_records records;
        struct sk_registry_job_rows job_rows;
        struct sk_registry_job_counts job_counts;
        uint64_t newest;
    } found;
    int64_t devices_added, enabled_added, modules_added; /* to the counts, once committed */
};

/* sqlite.c: a call with copies of the ids, and the ways of it: see above. */
struct registry_call *registry_call_new(struct sk_registry *registry, struct sk_span device_id,
                                        struct sk_span module_id, void *arg);
typedef enum sk_status registry_run(struct registry_db *db, struct registry_call *call);
typedef void registry_tell(struct registry_call *call, const struct sk_registry_end *end);
void registry_read(struct registry_call *call, registry_run *run, registry_tell *tell);
void registry_write(struct registry_call *call, registry_run *run, registry_tell *tell);
/* What the call may take of the turn; what callers see of its registry. */
void registry_share_begin(struct registry_call *call, struct sk_share *share);
const struct sk_registry_ops *registry_ops(const struct registry_call *call);
/* Fills call->random. */
void registry_random(struct registry_call *call);
/* At once, on the loop's thread, and nobody is told; the caller frees it. */
enum sk_status registry_run_now(struct registry_call *call, registry_run *run);
void registry_call_free(struct registry_call *call);
void registry_tell_done(struct registry_call *call, const struct sk_registry_end *end);
void registry_tell_entry(struct registry_call *call, const struct sk_registry_end *end);
void registry_tell_entries(struct registry_call *call, const struct sk_registry_end *end);

/* ---- db.c ---- */

enum sk_status registry_db_open(struct registry_db *db, const char *path, const char *vfs,
                                bool writer, char reason[SK_MODEL_ERROR_MAX]);
void registry_db_close(struct registry_db *db);
enum sk_status registry_db_status(int result); /* of an SQLite result code */
/* The statement, reset and without bindings. NULL: it cannot be prepared (then registry_db_error
 * says why). */
sqlite3_stmt *registry_db_statement(struct registry_db *db, enum statement which);
/* The same with its first two texts bound, such as an identity's ids or a document's kind and
 * key. */
sqlite3_stmt *registry_db_statement_of(struct registry_db *db, enum statement which,
                                       struct sk_span first, struct sk_span second);
enum sk_status registry_db_error(struct registry_db *db);
/* Runs a statement that gives no rows. */
enum sk_status registry_db_run(struct registry_db *db, sqlite3_stmt *statement);
enum sk_status registry_db_simple(struct registry_db *db, enum statement which);
/* The same for one that takes a text. */
enum sk_status registry_db_run_text(struct registry_db *db, enum statement which,
                                    struct sk_span text);
/* The next row: SK_OK, SK_NOT_FOUND at the end, or an error. */
enum sk_status registry_db_row(struct registry_db *db, sqlite3_stmt *statement);
/* Empty text stays text; the bytes must live on. */
void registry_bind_text(sqlite3_stmt *statement, int at, struct sk_span text);
void registry_bind_optional(sqlite3_stmt *statement, int at, const char *text); /* NULL: SQL NULL */
void registry_bind_blob(sqlite3_stmt *statement, int at, struct sk_span bytes);
struct sk_span registry_column(sqlite3_stmt *statement, int at); /* until the next step or reset */

/* ---- rows.c ---- */

/* The identity and its row's number. SK_NOT_FOUND. `identity` may be NULL. */
enum sk_status registry_identity_load(struct registry_db *db, struct sk_span device_id,
                                      struct sk_span module_id, struct sk_identity *identity,
                                      int64_t *row);
enum sk_status registry_identity_of_row(struct registry_db *db, int64_t row,
                                        struct sk_identity *identity);
enum sk_status registry_identity_insert(struct registry_db *db, const struct sk_identity *identity,
                                        int64_t *row);
enum sk_status registry_identity_update(struct registry_db *db, const struct sk_identity *identity,
                                        int64_t row);
/* Reads the identity columns that every listing statement begins with. */
void registry_identity_column(sqlite3_stmt *statement, struct sk_identity *identity, int64_t *row);
/* Columns of SQL_TWIN_GET, and what of them is no document. */
enum registry_twin_column {
    REGISTRY_TWIN_TAGS,
    REGISTRY_TWIN_DESIRED,
    REGISTRY_TWIN_REPORTED,
    REGISTRY_TWIN_DESIRED_METADATA,
    REGISTRY_TWIN_REPORTED_METADATA,
    REGISTRY_TWIN_DESIRED_VERSION,
    REGISTRY_TWIN_REPORTED_VERSION,
    REGISTRY_TWIN_VERSION,
    REGISTRY_TWIN_ETAG,
    REGISTRY_TWIN_CONFIGURATIONS,
    REGISTRY_TWIN_CONFIGURED,
};
void registry_twin_numbers(sqlite3_stmt *statement, struct sk_twin *twin);
/* `bytes` (may be NULL) grows by the size of its documents. */
enum sk_status registry_twin_load(struct registry_db *db, int64_t row, struct sk_twin *twin,
                                  size_t *bytes);
enum registry_twin_write { REGISTRY_TWIN_NEW, REGISTRY_TWIN_UPDATE, REGISTRY_TWIN_REPORTS };
/* `bytes` (may be NULL) grows by the size of the documents that are written. */
enum sk_status registry_twin_store(struct registry_db *db, int64_t row, const struct sk_twin *twin,
                                   enum registry_twin_write how, size_t *bytes);
/* Adds an empty entry to what the call has found. */
struct sk_registry_entry *registry_entry_add(struct registry_call *call);
void registry_entries_free(struct registry_call *call);
/* Adds the identities of a listing statement. */
enum sk_status registry_collect(struct registry_db *db, struct registry_call *call,
                                sqlite3_stmt *statement);

/* ---- the aggregates ---- */

extern const struct sk_registry_identity_ops registry_identity_ops;
extern const struct sk_registry_twin_ops registry_twin_ops;
extern const struct sk_registry_line_ops registry_line_ops;
extern const struct sk_registry_search_ops registry_search_ops;
extern const struct sk_registry_session_ops registry_session_ops;
extern const struct sk_registry_c2d_ops registry_c2d_ops;
extern const struct sk_registry_feedback_ops registry_feedback_ops;
extern const struct sk_registry_job_ops registry_job_ops;
extern const struct sk_registry_document_ops registry_document_ops;

/* held.c: the twin, from now on in memory; it was changed there; changes go into the open
 * transaction; nothing is held any more; a transaction has ended. */
struct registry_held;
void registry_held_init(struct registry_db *db);
enum sk_status registry_held_get(struct registry_db *db, struct sk_span device_id,
                                 struct sk_span module_id, struct registry_held **found);
struct sk_twin *registry_held_twin(struct registry_held *held);
const struct sk_identity *registry_held_identity(const struct registry_held *held);
void registry_held_changed(struct registry_db *db, struct registry_held *held,
                           const struct sk_twin_change *change, int64_t wall_us);
enum sk_status registry_held_write(struct registry_db *db);
void registry_held_forget(struct registry_db *db);
void registry_held_age(struct registry_db *db);
/* lookups.c: one is ready for a term; what a search that has run has shown to be of use; what was
 * begun before goes on. */
enum { REGISTRY_WANTED_MAX = 16, REGISTRY_LOOKUPS_MAX = 16 };
struct registry_lookups { /* of a registry, on its loop */
    bool working;         /* one is being filled */
    struct registry_wanted {
        enum sk_registry_where where;
        char *path;  /* owned */
        size_t rows; /* that searches have looked at in vain */
    } wanted[REGISTRY_WANTED_MAX];
    int64_t days[REGISTRY_LOOKUPS_MAX]; /* on which uses were noted last */
};
struct registry_lookups *registry_lookups(const struct registry_call *call); /* sqlite.c */
bool registry_lookup_is_ready(struct registry_db *db, const struct sk_registry_term *term,
                              int64_t *id);
/* At most so many rows are within the term's range. */
bool registry_lookup_has_few(struct registry_db *db, const struct sk_registry_term *term,
                             int64_t id, unsigned most);
void registry_lookups_learn(struct registry_call *call);
void registry_lookups_start(struct registry *registry, struct registry_db *db);
void registry_lookups_free(struct registry_lookups *lookups);
/* twins.c: copies the documents of a change into the call; runs it; tells its end. */
void registry_take_change(struct registry_call *call, const struct sk_twin_change *change,
                          struct sk_span if_match);
enum sk_status registry_run_change(struct registry_db *db, struct registry_call *call);
void registry_tell_change(struct registry_call *call, const struct sk_registry_end *end);
/* identities.c: what a call with an identity, or with ids alone, does. */
enum sk_status registry_run_put(struct registry_db *db, struct registry_call *call);
enum sk_status registry_run_delete(struct registry_db *db, struct registry_call *call);
/* documents.c: puts one. Of calls that find one, or several, by a statement that gives key and
 * bytes. */
enum sk_status registry_document_store(struct registry_db *db, struct sk_span kind,
                                       struct sk_span key, struct sk_span bytes);
enum sk_status registry_find_document(struct registry_db *db, struct registry_call *call,
                                      sqlite3_stmt *statement);
enum sk_status registry_find_documents(struct registry_db *db, struct registry_call *call,
                                       sqlite3_stmt *statement);
enum sk_status registry_document_fits(struct registry_call *call);
void registry_take_document(struct registry_call *call, struct sk_span bytes);
void registry_tell_document(struct registry_call *call, const struct sk_registry_end *end);
void registry_tell_documents(struct registry_call *call, const struct sk_registry_end *end);

/* What hangs on an identity and goes with it. */
enum sk_status registry_session_remove(struct registry_db *db, struct sk_span device_id,
                                       struct sk_span module_id);
enum sk_status registry_c2d_remove(struct registry_db *db, struct sk_span device_id);
enum sk_status registry_feedback_remove(struct registry_db *db, struct sk_span device_id);

/* feedback.c: the newest record; and the records of one message (`which` SQL_FEEDBACK_INSERT,
 * call->sequence) or of all of a device (…_DEVICE) that end, into found.ended. */
enum sk_status registry_feedback_newest(struct registry_db *db, enum sk_registry_topic topic,
                                        uint64_t *newest);
enum sk_status registry_feedback_add(struct registry_db *db, struct registry_call *call,
                                     enum statement which, enum sk_c2d_end how);

#endif
