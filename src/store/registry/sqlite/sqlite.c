/* The registry's life and its queue: calls from the loop, transactions on a worker thread,
 * completions on the loop again.
 *
 * One write connection belongs to the worker while a transaction is under way (`busy`); all
 * writes that arrive meanwhile form the next transaction. Reads use a second connection on the
 * loop's thread: they are short, WAL readers wait for nobody, and each starts after the
 * completions before it, so it sees what they announced. They yield: however many are asked for,
 * a turn takes its part of them and goes on to the others. The simulated world has one thread
 * and no shared memory: there, one connection does both. */
#include "store/registry/sqlite/parts.h"

#include <stdio.h>

struct registry {
    struct sk_registry seen; /* first: what callers have */
    struct sk_io *io;
    struct registry_db writer;
    struct registry_db reader; /* unused in the simulated world */
    bool one_connection;
    struct sk_list writes, reads; /* struct registry_call, waiting */
    /* In the transaction that is under way; the worker's while busy and not delivering. */
    struct sk_list batch;
    struct sk_task start;
    bool busy, delivering, closing;
    struct sk_registry_counts counts;
    struct registry_lookups lookups;
};

static struct registry *registry_of(struct sk_registry *seen) {
    return (struct registry *)seen;
}

/* ---- opening and closing ---- */

static enum sk_status load_counts(struct registry *registry) {
    sqlite3_stmt *statement = registry_db_statement(&registry->writer, SQL_COUNTS);
    enum sk_status status = registry_db_row(&registry->writer, statement);
    if (status) return status;
    registry->counts.devices = (uint64_t)sqlite3_column_int64(statement, 0);
    registry->counts.enabled_devices = (uint64_t)sqlite3_column_int64(statement, 1);
    registry->counts.modules = (uint64_t)sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    return SK_OK;
}

static void registry_free(struct registry *registry) {
    sk_io_undefer(&registry->start);
    registry_db_close(&registry->reader);
    registry_lookups_free(&registry->lookups);
    registry_held_forget(&registry->writer);
    registry_db_close(
        &registry->writer); /* last: the last connection folds the WAL into the file */
    free(registry);
}

/* It holds keys. SQLite would make it readable for all, and gives its other files the mode of
 * this one; those of an earlier version are mended. */
static void keep_private(struct sk_io *io, const char *path) {
    static const char *const parts[] = {"", "-wal", "-shm"};
    struct sk_file *file;
    char name[4096];
    if (sk_file_open(io, path, SK_FILE_CREATE, &file) == SK_OK) sk_file_close(file); /* 0600 */
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, parts[i]);
        sk_path_protect(io, name, 0600);
    }
}

static const struct sk_registry_ops ops;

enum sk_status sk_registry_sqlite_open(struct sk_io *io, const char *path,
                                       struct sk_registry **opened,
                                       char reason[SK_MODEL_ERROR_MAX]) {
    struct registry *registry = SK_NEW(struct registry);
    const char *vfs = sk_io_sqlite_vfs(io);
    registry->seen.ops = &ops;
    registry->io = io;
    registry->one_connection = vfs != NULL;
    sk_list_init(&registry->writes);
    sk_list_init(&registry->reads);
    sk_list_init(&registry->batch);
    registry_held_init(&registry->writer);
    if (!registry->one_connection) keep_private(io, path);
    enum sk_status status = registry_db_open(&registry->writer, path, vfs, true, reason);
    if (!status && !registry->one_connection)
        status = registry_db_open(&registry->reader, path, NULL, false, reason);
    if (!status && (status = load_counts(registry)))
        snprintf(reason, SK_MODEL_ERROR_MAX, "Cannot read the registry %s: %s.", path,
                 sk_status_text(status));
    if (status) {
        registry_free(registry);
        return status;
    }
    registry_lookups_start(registry, &registry->writer);
    *opened = &registry->seen;
    return SK_OK;
}

void registry_call_free(struct registry_call *call) {
    registry_entries_free(call);
    json_decref(call->desired_patch);
    sk_identity_free(&call->identity);
    json_decref((json_t *)call->change.tags);
    json_decref((json_t *)call->change.desired);
    json_decref((json_t *)call->change.reported);
    json_decref((json_t *)call->change.configurations);
    json_decref((json_t *)call->change.configured);
    sk_arena_free(&call->arena);
    free(call);
}

/* Ends a call that is in no list any more. */
static void complete(struct registry_call *call) {
    if (call->done.any) call->tell(call, &call->end);
    registry_call_free(call);
}

static struct registry_call *take_first(struct sk_list *list) {
    struct registry_call *call = SK_LIST_FIRST(list, struct registry_call, link);
    if (call) sk_list_remove(&call->link);
    return call;
}

static void refuse_waiting(struct sk_list *list) {
    struct registry_call *call;
    while ((call = take_first(list)) != NULL) {
        sk_io_undefer(&call->task);
        call->end.status = SK_CLOSED;
        complete(call);
    }
}

static void close_registry(struct sk_registry *seen) {
    struct registry *registry = registry_of(seen);
    struct registry_call *call;
    if (registry->delivering)
        while ((call = take_first(&registry->batch)) != NULL) complete(call);
    /* The worker still has the rest of these calls; their askers are told now and never again. */
    SK_LIST_EACH(&registry->batch, node, following) {
        call = SK_CONTAINER(node, struct registry_call, link);
        if (call->done.any) call->tell(call, &(struct sk_registry_end){.status = SK_CLOSED});
        call->done.any = NULL;
    }
    refuse_waiting(&registry->reads);
    refuse_waiting(&registry->writes);
    registry->closing = true;
    if (!registry->busy) registry_free(registry);
}

/* ---- transactions ---- */

/* Runs one call in the open transaction, so that a failure leaves nothing of it behind. The call's
 * outcome goes into its result; returns a failure that ended the whole transaction (SQLite does
 * that on a full disk and on I/O errors). */
static enum sk_status run_write(struct registry_db *db, struct registry_call *call) {
    if (call->holds) { /* failing it leaves nothing */
        call->end.status = call->run(db, call);
        return sqlite3_get_autocommit(db->handle) ? call->end.status : SK_OK;
    }
    enum sk_status status = registry_held_write(db);
    if (!status) status = registry_db_simple(db, SQL_SAVE);
    if (!status) {
        status = call->run(db, call);
        if (sqlite3_get_autocommit(db->handle)) return call->end.status = status;
        if (status) registry_held_forget(db); /* what is held may be of what is undone */
        if (status) registry_db_simple(db, SQL_UNDO);
        enum sk_status released = registry_db_simple(db, SQL_RELEASE);
        if (!status) status = released;
    }
    call->end.status = status;
    return SK_OK;
}

/* On the worker's thread. A transaction that fails as a whole fails each call that had succeeded in
 * it. */
static void run_batch(void *arg) {
    struct registry *registry = arg;
    struct registry_db *db = &registry->writer;
    enum sk_status status = registry_db_simple(db, SQL_BEGIN);
    SK_LIST_EACH(&registry->batch, node, following) {
        if (!status) status = run_write(db, SK_CONTAINER(node, struct registry_call, link));
    }
    if (!status) status = registry_held_write(db);
    if (!status) status = registry_db_simple(db, SQL_COMMIT);
    registry_held_age(db);
    if (!status) return;
    registry_held_forget(db);
    if (!sqlite3_get_autocommit(db->handle)) registry_db_simple(db, SQL_ROLLBACK);
    SK_LIST_EACH(&registry->batch, node, following) {
        struct registry_call *call = SK_CONTAINER(node, struct registry_call, link);
        if (call->end.status == SK_OK) call->end.status = status;
    }
}

static void start_batch(struct sk_task *task);

/* Back on the loop's thread. */
static void batch_done(void *arg) {
    struct registry *registry = arg;
    struct registry_call *call;
    registry->delivering = true;
    SK_LIST_EACH(&registry->batch, node, following) {
        call = SK_CONTAINER(node, struct registry_call, link);
        if (call->end.status) continue;
        registry->counts.devices += (uint64_t)call->devices_added;
        registry->counts.enabled_devices += (uint64_t)call->enabled_added;
        registry->counts.modules += (uint64_t)call->modules_added;
    }
    while ((call = take_first(&registry->batch)) != NULL) complete(call);
    registry->delivering = registry->busy = false;
    if (registry->closing)
        registry_free(registry);
    else if (!sk_list_empty(&registry->writes))
        start_batch(&registry->start);
}

static void start_batch(struct sk_task *task) {
    struct registry *registry = SK_CONTAINER(task, struct registry, start);
    struct registry_call *call;
    if (registry->busy || registry->closing) return;
    while ((call = take_first(&registry->writes)) != NULL)
        sk_list_append(&registry->batch, &call->link);
    registry->busy = true;
    sk_io_work(registry->io, run_batch, batch_done, registry);
}

static void run_read(struct sk_task *task) {
    struct registry_call *call = SK_CONTAINER(task, struct registry_call, task);
    struct registry *registry = call->registry;
    sk_list_remove(&call->link);
    call->end.status =
        call->run(registry->one_connection ? &registry->writer : &registry->reader, call);
    complete(call);
}

/* ---- calls ---- */

struct registry_call *registry_call_new(struct sk_registry *seen, struct sk_span device_id,
                                        struct sk_span module_id, void *arg) {
    struct registry_call *call = SK_NEW(struct registry_call);
    struct registry *registry = registry_of(seen);
    call->registry = registry;
    call->device_id = sk_arena_copy(&call->arena, device_id);
    call->module_id = sk_arena_copy(&call->arena, module_id);
    call->wall_us = sk_io_wall(registry->io);
    call->arg = arg;
    return call;
}

void registry_read(struct registry_call *call, registry_run *run, registry_tell *tell) {
    call->run = run;
    call->tell = tell;
    sk_list_append(&call->registry->reads, &call->link);
    sk_io_yield(call->registry->io, &call->task, run_read);
}

void registry_write(struct registry_call *call, registry_run *run, registry_tell *tell) {
    struct registry *registry = call->registry;
    call->run = run;
    call->tell = tell;
    sk_list_append(&registry->writes, &call->link);
    if (!registry->busy) sk_io_defer(registry->io, &registry->start, start_batch);
}

enum sk_status registry_run_now(struct registry_call *call, registry_run *run) {
    return run(&call->registry->writer, call);
}

void registry_share_begin(struct registry_call *call, struct sk_share *share) {
    sk_share_begin(share, call->registry->io);
}

const struct sk_registry_ops *registry_ops(const struct registry_call *call) {
    return call->registry->seen.ops;
}

struct registry_lookups *registry_lookups(const struct registry_call *call) {
    return &call->registry->lookups;
}

void registry_random(struct registry_call *call) {
    sk_io_random(call->registry->io, call->random, sizeof call->random);
}

void registry_tell_done(struct registry_call *call, const struct sk_registry_end *end) {
    call->done.done(call->arg, end);
}

void registry_tell_entry(struct registry_call *call, const struct sk_registry_end *end) {
    call->done.entry(call->arg, end, end->status ? NULL : call->entries.entries);
}

void registry_tell_entries(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_entries none;
    call->done.entries(call->arg, end, end->status ? &none : &call->entries);
}

static enum sk_status run_nothing(struct registry_db *db, struct registry_call *call) {
    (void)db;
    (void)call;
    return SK_OK;
}

static void flush(struct sk_registry *seen, sk_registry_done *done, void *arg) {
    struct registry_call *call = registry_call_new(seen, SK_NONE, SK_NONE, arg);
    call->done.done = done;
    registry_write(call, run_nothing, registry_tell_done);
}

static struct sk_registry_counts counts(const struct sk_registry *seen) {
    return ((const struct registry *)seen)->counts;
}

static const struct sk_registry_ops ops = {.close = close_registry,
                                           .flush = flush,
                                           .counts = counts,
                                           .identities = &registry_identity_ops,
                                           .twins = &registry_twin_ops,
                                           .lines = &registry_line_ops,
                                           .searches = &registry_search_ops,
                                           .sessions = &registry_session_ops,
                                           .c2d = &registry_c2d_ops,
                                           .feedback = &registry_feedback_ops,
                                           .jobs = &registry_job_ops,
                                           .documents = &registry_document_ops};
