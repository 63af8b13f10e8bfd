/* The registry's queue: calls from the loop, transactions on a worker thread, completions on the
 * loop again.
 *
 * One write connection belongs to the worker while a transaction is under way (`busy`); all writes
 * that arrive meanwhile form the next transaction. Reads use a second connection on the loop's
 * thread: they are short, WAL readers wait for nobody, and each starts after the completions
 * before it, so it sees what they announced. They yield: however many are asked for, a turn takes its
 * part of them and goes on to the others. The simulated world has one thread and no shared
 * memory: there, one connection does both. */
#include "store/registry/registry.h"

#include <stdio.h>

#include "store/registry/sqlite/db.h"

struct sk_registry {
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
};

/* ---- opening and closing ---- */

static enum sk_status load_counts(struct sk_registry *registry) {
    sqlite3_stmt *statement = registry_db_statement(&registry->writer, SQL_COUNTS);
    enum sk_status status = registry_db_row(&registry->writer, statement);
    if (status) return status;
    registry->counts.devices = (uint64_t)sqlite3_column_int64(statement, 0);
    registry->counts.enabled_devices = (uint64_t)sqlite3_column_int64(statement, 1);
    registry->counts.modules = (uint64_t)sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    return SK_OK;
}

static void registry_free(struct sk_registry *registry) {
    sk_io_undefer(&registry->start);
    registry_db_close(&registry->reader);
    registry_db_close(
        &registry->writer); /* last: the last connection folds the WAL into the file */
    free(registry);
}

/* It holds keys. SQLite would make it readable for all, and gives its other files the mode of this one;
 * those of an earlier version are mended. */
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

enum sk_status sk_registry_open(struct sk_io *io, const char *path, struct sk_registry **opened,
                                char reason[SK_MODEL_ERROR_MAX]) {
    struct sk_registry *registry = SK_NEW(struct sk_registry);
    const char *vfs = sk_io_sqlite_vfs(io);
    registry->io = io;
    registry->one_connection = vfs != NULL;
    sk_list_init(&registry->writes);
    sk_list_init(&registry->reads);
    sk_list_init(&registry->batch);
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
    *opened = registry;
    return SK_OK;
}

static void call_free(struct registry_call *call) {
    registry_result_free(call);
    sk_identity_free(&call->identity);
    json_decref((json_t *)call->change.tags);
    json_decref((json_t *)call->change.desired);
    json_decref((json_t *)call->change.reported);
    sk_arena_free(&call->arena);
    free(call);
}

/* Ends a call that is in no list any more. */
static void complete(struct registry_call *call) {
    if (call->result.status) registry_result_free(call);
    if (call->done) call->done(call->arg, &call->result);
    call_free(call);
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
        call->result.status = SK_CLOSED;
        complete(call);
    }
}

void sk_registry_close(struct sk_registry *registry) {
    struct registry_call *call;
    if (registry->delivering)
        while ((call = take_first(&registry->batch)) != NULL) complete(call);
    /* The worker still has the rest of these calls; their askers are told now and never again. */
    SK_LIST_EACH(&registry->batch, node, following) {
        call = SK_CONTAINER(node, struct registry_call, link);
        sk_registry_done *done = call->done;
        call->done = NULL;
        if (done) done(call->arg, &(struct sk_registry_result){.status = SK_CLOSED});
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
    enum sk_status status = registry_db_simple(db, SQL_SAVE);
    if (!status) {
        status = call->run(db, call);
        if (sqlite3_get_autocommit(db->handle)) return call->result.status = status;
        if (status) registry_db_simple(db, SQL_UNDO);
        enum sk_status released = registry_db_simple(db, SQL_RELEASE);
        if (!status) status = released;
    }
    call->result.status = status;
    return SK_OK;
}

/* On the worker's thread. A transaction that fails as a whole fails each call that had succeeded in
 * it. */
static void run_batch(void *arg) {
    struct sk_registry *registry = arg;
    struct registry_db *db = &registry->writer;
    enum sk_status status = registry_db_simple(db, SQL_BEGIN);
    SK_LIST_EACH(&registry->batch, node, following) {
        if (!status) status = run_write(db, SK_CONTAINER(node, struct registry_call, link));
    }
    if (!status) status = registry_db_simple(db, SQL_COMMIT);
    if (!status) return;
    if (!sqlite3_get_autocommit(db->handle)) registry_db_simple(db, SQL_ROLLBACK);
    SK_LIST_EACH(&registry->batch, node, following) {
        struct registry_call *call = SK_CONTAINER(node, struct registry_call, link);
        if (call->result.status == SK_OK) call->result.status = status;
    }
}

static void start_batch(struct sk_task *task);

/* Back on the loop's thread. */
static void batch_done(void *arg) {
    struct sk_registry *registry = arg;
    struct registry_call *call;
    registry->delivering = true;
    SK_LIST_EACH(&registry->batch, node, following) {
        call = SK_CONTAINER(node, struct registry_call, link);
        if (call->result.status) continue;
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
    struct sk_registry *registry = SK_CONTAINER(task, struct sk_registry, start);
    struct registry_call *call;
    if (registry->busy || registry->closing) return;
    while ((call = take_first(&registry->writes)) != NULL)
        sk_list_append(&registry->batch, &call->link);
    registry->busy = true;
    sk_io_work(registry->io, run_batch, batch_done, registry);
}

static void run_read(struct sk_task *task) {
    struct registry_call *call = SK_CONTAINER(task, struct registry_call, task);
    struct sk_registry *registry = call->registry;
    sk_list_remove(&call->link);
    call->result.status =
        call->run(registry->one_connection ? &registry->writer : &registry->reader, call);
    complete(call);
}

/* ---- calls ---- */

static struct registry_call *call_new(struct sk_registry *registry, struct sk_span device_id,
                                      struct sk_span module_id, sk_registry_done *done, void *arg) {
    struct registry_call *call = SK_NEW(struct registry_call);
    call->registry = registry;
    call->device_id = sk_arena_copy(&call->arena, device_id);
    call->module_id = sk_arena_copy(&call->arena, module_id);
    call->done = done;
    call->arg = arg;
    return call;
}

static void submit_read(struct registry_call *call,
                        enum sk_status (*run)(struct registry_db *db, struct registry_call *call)) {
    call->run = run;
    sk_list_append(&call->registry->reads, &call->link);
    sk_io_yield(call->registry->io, &call->task, run_read);
}

static void submit_write(struct registry_call *call,
                         enum sk_status (*run)(struct registry_db *db,
                                               struct registry_call *call)) {
    struct sk_registry *registry = call->registry;
    call->run = run;
    call->wall_us = sk_io_wall(registry->io);
    sk_list_append(&registry->writes, &call->link);
    if (!registry->busy) sk_io_defer(registry->io, &registry->start, start_batch);
}

void sk_registry_get(struct sk_registry *registry, struct sk_span device_id,
                     struct sk_span module_id, sk_registry_done *done, void *arg) {
    submit_read(call_new(registry, device_id, module_id, done, arg), registry_run_get);
}

void sk_registry_put(struct sk_registry *registry, const struct sk_identity *identity,
                     struct sk_span if_match, sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, sk_span_z(identity->device_id),
                                          sk_span_z(identity->module_id), done, arg);
    call->identity = sk_identity_copy(identity);
    call->if_match = sk_arena_copy(&call->arena, if_match);
    sk_io_random(registry->io, call->random, sizeof call->random);
    submit_write(call, registry_run_put);
}

void sk_registry_delete(struct sk_registry *registry, struct sk_span device_id,
                        struct sk_span module_id, struct sk_span if_match, sk_registry_done *done,
                        void *arg) {
    struct registry_call *call = call_new(registry, device_id, module_id, done, arg);
    call->if_match = sk_arena_copy(&call->arena, if_match);
    submit_write(call, registry_run_delete);
}

void sk_registry_list_devices(struct sk_registry *registry, struct sk_span after, size_t max,
                              sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, after, SK_NONE, done, arg);
    call->max = max;
    submit_read(call, registry_run_list_devices);
}

void sk_registry_list_modules(struct sk_registry *registry, struct sk_span device_id,
                              sk_registry_done *done, void *arg) {
    submit_read(call_new(registry, device_id, SK_NONE, done, arg), registry_run_list_modules);
}

void sk_registry_list_scope(struct sk_registry *registry, struct sk_span edge_device_id,
                            struct sk_span after, size_t max_devices, sk_registry_done *done,
                            void *arg) {
    struct registry_call *call = call_new(registry, edge_device_id, SK_NONE, done, arg);
    call->key = sk_arena_copy(&call->arena, after);
    call->max = max_devices;
    submit_read(call, registry_run_list_scope);
}

void sk_registry_twin_get(struct sk_registry *registry, struct sk_span device_id,
                          struct sk_span module_id, sk_registry_done *done, void *arg) {
    submit_read(call_new(registry, device_id, module_id, done, arg), registry_run_twin_get);
}

void sk_registry_twin_change(struct sk_registry *registry, struct sk_span device_id,
                             struct sk_span module_id, const struct sk_twin_change *change,
                             struct sk_span if_match, sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, device_id, module_id, done, arg);
    call->change = *change;
    call->change.tags = json_deep_copy(change->tags);
    call->change.desired = json_deep_copy(change->desired);
    call->change.reported = json_deep_copy(change->reported);
    call->if_match = sk_arena_copy(&call->arena, if_match);
    submit_write(call, registry_run_twin_change);
}

void sk_registry_list_twins(struct sk_registry *registry, bool modules, struct sk_span after_device,
                            struct sk_span after_module, size_t max, sk_registry_done *done,
                            void *arg) {
    struct registry_call *call = call_new(registry, after_device, after_module, done, arg);
    call->modules = modules;
    call->max = max;
    submit_read(call, registry_run_list_twins);
}

struct sk_registry_counts sk_registry_counts(const struct sk_registry *registry) {
    return registry->counts;
}

void sk_registry_model_set(struct sk_registry *registry, struct sk_span device_id,
                           struct sk_span module_id, struct sk_span model_id,
                           sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, device_id, module_id, done, arg);
    call->bytes = sk_arena_copy(&call->arena, model_id);
    submit_write(call, registry_run_model_set);
}

void sk_registry_session_save(struct sk_registry *registry, struct sk_span device_id,
                              struct sk_span module_id, uint32_t subscriptions,
                              sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, device_id, module_id, done, arg);
    call->subscriptions = subscriptions;
    submit_write(call, registry_run_session_save);
}

void sk_registry_session_load(struct sk_registry *registry, struct sk_span device_id,
                              struct sk_span module_id, sk_registry_done *done, void *arg) {
    submit_read(call_new(registry, device_id, module_id, done, arg), registry_run_session_load);
}

void sk_registry_session_delete(struct sk_registry *registry, struct sk_span device_id,
                                struct sk_span module_id, sk_registry_done *done, void *arg) {
    submit_write(call_new(registry, device_id, module_id, done, arg), registry_run_session_delete);
}

/* ---- cloud-to-device messages and feedback ---- */

void sk_registry_c2d_put(struct sk_registry *registry, struct sk_span device_id,
                         const struct sk_registry_c2d_new *message, sk_registry_done *done,
                         void *arg) {
    struct registry_call *call = call_new(registry, device_id, SK_NONE, done, arg);
    struct sk_span head = message->envelope[0], body = message->envelope[1];
    char *envelope = sk_arena_alloc(&call->arena, head.n + body.n);
    if (head.n) memcpy(envelope, head.p, head.n);
    if (body.n) memcpy(envelope + head.n, body.p, body.n);
    call->c2d = *message;
    call->c2d.message_id = sk_arena_copy(&call->arena, message->message_id);
    call->bytes = sk_span(envelope, head.n + body.n);
    submit_write(call, registry_run_c2d_put);
}

void sk_registry_c2d_list(struct sk_registry *registry, struct sk_span device_id,
                          sk_registry_done *done, void *arg) {
    submit_read(call_new(registry, device_id, SK_NONE, done, arg), registry_run_c2d_list);
}

/* A call on the row or rows from `sequence`. */
static struct registry_call *sequence_call(struct sk_registry *registry, uint64_t sequence,
                                           sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, SK_NONE, SK_NONE, done, arg);
    call->sequence = sequence;
    return call;
}

void sk_registry_c2d_get(struct sk_registry *registry, uint64_t sequence, sk_registry_done *done,
                         void *arg) {
    submit_read(sequence_call(registry, sequence, done, arg), registry_run_c2d_get);
}

void sk_registry_c2d_end(struct sk_registry *registry, uint64_t sequence, enum sk_c2d_end end,
                         int64_t feedback_ttl_us, sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, sequence, done, arg);
    call->end = end;
    call->time_us = feedback_ttl_us;
    submit_write(call, registry_run_c2d_end);
}

void sk_registry_c2d_return(struct sk_registry *registry, uint64_t sequence,
                            unsigned deliveries_max, int64_t feedback_ttl_us,
                            sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, sequence, done, arg);
    call->max = deliveries_max;
    call->time_us = feedback_ttl_us;
    submit_write(call, registry_run_c2d_return);
}

void sk_registry_c2d_purge(struct sk_registry *registry, struct sk_span device_id,
                           int64_t feedback_ttl_us, sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, device_id, SK_NONE, done, arg);
    call->time_us = feedback_ttl_us;
    submit_write(call, registry_run_c2d_purge);
}

void sk_registry_c2d_expired(struct sk_registry *registry, int64_t now_us, size_t max,
                             sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, 0, done, arg);
    call->time_us = now_us;
    call->max = max;
    submit_read(call, registry_run_c2d_expired);
}

void sk_registry_feedback_list(struct sk_registry *registry, uint64_t after, uint64_t before,
                               int64_t now_us, size_t max, sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, after, done, arg);
    call->before = before;
    call->time_us = now_us;
    call->max = max;
    submit_read(call, registry_run_feedback_list);
}

void sk_registry_feedback_delete(struct sk_registry *registry, uint64_t first, uint64_t last,
                                 sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, first, done, arg);
    call->before = last;
    submit_write(call, registry_run_feedback_delete);
}

void sk_registry_feedback_return(struct sk_registry *registry, uint64_t first, uint64_t last,
                                 unsigned deliveries_max, sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, first, done, arg);
    call->before = last;
    call->max = deliveries_max;
    submit_write(call, registry_run_feedback_return);
}

void sk_registry_feedback_expire(struct sk_registry *registry, int64_t now_us,
                                 sk_registry_done *done, void *arg) {
    struct registry_call *call = sequence_call(registry, 0, done, arg);
    call->time_us = now_us;
    submit_write(call, registry_run_feedback_expire);
}

static enum sk_status run_nothing(struct registry_db *db, struct registry_call *call) {
    (void)db;
    (void)call;
    return SK_OK;
}

void sk_registry_flush(struct sk_registry *registry, sk_registry_done *done, void *arg) {
    submit_write(call_new(registry, SK_NONE, SK_NONE, done, arg), run_nothing);
}

/* ---- documents ---- */

static struct registry_call *document_call(struct sk_registry *registry, struct sk_span kind,
                                           struct sk_span key, sk_registry_done *done, void *arg) {
    struct registry_call *call = call_new(registry, SK_NONE, SK_NONE, done, arg);
    call->kind = sk_arena_copy(&call->arena, kind);
    call->key = sk_arena_copy(&call->arena, key);
    return call;
}

void sk_registry_document_put(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                              struct sk_span bytes, sk_registry_done *done, void *arg) {
    struct registry_call *call = document_call(registry, kind, key, done, arg);
    call->max = bytes.n; /* what is too large is refused, not copied */
    if (bytes.n <= SK_REGISTRY_DOCUMENT_MAX) call->bytes = sk_arena_copy(&call->arena, bytes);
    submit_write(call, registry_run_document_put);
}

void sk_registry_document_get(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                              sk_registry_done *done, void *arg) {
    submit_read(document_call(registry, kind, key, done, arg), registry_run_document_get);
}

enum sk_status sk_registry_document_load(struct sk_registry *registry, struct sk_span kind,
                                         struct sk_span key, struct sk_buffer *to) {
    struct registry_call *call = document_call(registry, kind, key, NULL, NULL);
    enum sk_status status = registry_run_document_get(&registry->writer, call);
    if (status == SK_OK) sk_buffer_append(to, call->result.documents[0].bytes);
    call_free(call);
    return status;
}

void sk_registry_document_delete(struct sk_registry *registry, struct sk_span kind,
                                 struct sk_span key, sk_registry_done *done, void *arg) {
    submit_write(document_call(registry, kind, key, done, arg), registry_run_document_delete);
}

void sk_registry_document_list(struct sk_registry *registry, struct sk_span kind,
                               struct sk_span after_key, size_t max, sk_registry_done *done,
                               void *arg) {
    struct registry_call *call = document_call(registry, kind, after_key, done, arg);
    call->max = max;
    submit_read(call, registry_run_document_list);
}

struct sk_registry_then {
    void (*done)(void *arg);
    void *arg;
};

struct sk_registry_then *sk_registry_then(void (*done)(void *arg), void *arg) {
    struct sk_registry_then *then = SK_NEW(struct sk_registry_then);
    *then = (struct sk_registry_then){done, arg};
    return then;
}

void sk_registry_ended(void *then, struct sk_registry_result *result) {
    struct sk_registry_then call = *(struct sk_registry_then *)then;
    (void)result;
    free(then);
    call.done(call.arg);
}
