/* Jobs: their documents, and a row for each device or module. */
#include "store/registry/sqlite/parts.h"

/* ---- rows ---- */

static enum sk_status put_row(struct registry_db *db, const struct sk_registry_job_row *row) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_JOB_ROW_PUT, row->job_id, row->device_id);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 3, row->module_id);
    sqlite3_bind_int(statement, 4, (int)row->state);
    registry_bind_text(statement, 5, row->document);
    return registry_db_run(db, statement);
}

static struct sk_registry_job_row copy_row(struct sk_arena *arena,
                                           const struct sk_registry_job_row *row) {
    return (struct sk_registry_job_row){.job_id = sk_arena_copy(arena, row->job_id),
                                        .device_id = sk_arena_copy(arena, row->device_id),
                                        .module_id = sk_arena_copy(arena, row->module_id),
                                        .state = row->state,
                                        .document = sk_arena_copy(arena, row->document)};
}

/* ---- as they run ---- */

static enum sk_status put_job(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = registry_document_fits(call);
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement_of(
        db, call->fresh ? SQL_JOB_INSERT : SQL_JOB_PUT, call->key, call->bytes);
    if (!call->fresh) return registry_db_run(db, statement);
    status = registry_db_row(db, statement);
    if (status == SK_OK) sqlite3_reset(statement);
    return status == SK_NOT_FOUND ? SK_EXISTS : status;
}

static enum sk_status run_put(struct registry_db *db, struct registry_call *call) {
    bool stays = call->bytes.n == 0 && !call->fresh;
    enum sk_status status = stays ? SK_OK : put_job(db, call);
    for (size_t i = 0; i < call->row_count && !status; i++) status = put_row(db, &call->rows[i]);
    return status;
}

static enum sk_status run_twin(struct registry_db *db, struct registry_call *call) {
    const struct sk_registry_job_row *row = call->rows;
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_JOB_ROW_STATE, row->job_id, row->device_id);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 3, row->module_id);
    enum sk_status status = registry_db_row(db, statement);
    if (status && status != SK_NOT_FOUND) return status;
    bool pending = status == SK_OK && sqlite3_column_int(statement, 0) == SK_JOB_PENDING;
    sqlite3_reset(statement);
    if (!pending) return SK_EXISTS;
    status = registry_run_change(db, call);
    return status ? status : put_row(db, row);
}

static enum sk_status run_get(struct registry_db *db, struct registry_call *call) {
    return registry_find_document(db, call,
                                  registry_db_statement_of(db, SQL_JOB_GET, call->key, SK_NONE));
}

static enum sk_status run_list(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_JOB_LIST);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->key);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->max);
    return registry_find_documents(db, call, statement);
}

static enum statement rows_statement(const struct registry_call *call) {
    if (call->key.n && call->state < SK_JOB_STATES) return SQL_JOB_ROWS_OF_STATE;
    if (call->key.n) return SQL_JOB_ROWS_OF_JOB;
    return call->device_id.n ? SQL_JOB_ROWS_OF_DEVICE : SQL_JOB_ROWS;
}

static enum sk_status run_rows(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_job_rows *list = &call->found.job_rows;
    enum statement which = rows_statement(call);
    sqlite3_stmt *statement =
        registry_db_statement_of(db, which, call->after.job_id, call->after.device_id);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 3, call->after.module_id);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)call->max);
    if (which == SQL_JOB_ROWS_OF_DEVICE)
        registry_bind_text(statement, 6, call->device_id);
    else if (which != SQL_JOB_ROWS)
        registry_bind_text(statement, 5, call->key);
    if (which == SQL_JOB_ROWS_OF_STATE) sqlite3_bind_int(statement, 7, (int)call->state);
    list->rows = sk_arena_alloc(&call->arena, call->max * sizeof *list->rows);
    enum sk_status status;
    while ((status = registry_db_row(db, statement)) == SK_OK)
        list->rows[list->count++] =
            copy_row(&call->arena, &(struct sk_registry_job_row){
                                       .job_id = registry_column(statement, 0),
                                       .device_id = registry_column(statement, 1),
                                       .module_id = registry_column(statement, 2),
                                       .state = (enum sk_job_state)sqlite3_column_int(statement, 3),
                                       .document = registry_column(statement, 4)});
    list->more = list->count == call->max;
    return status == SK_NOT_FOUND ? SK_OK : status;
}

static enum sk_status run_counts(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_JOB_COUNTS);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->key);
    enum sk_status status;
    while ((status = registry_db_row(db, statement)) == SK_OK) {
        int state = sqlite3_column_int(statement, 0);
        if (state >= 0 && state < SK_JOB_STATES)
            call->found.job_counts.rows[state] = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    return status == SK_NOT_FOUND ? SK_OK : status;
}

static enum sk_status run_end(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = put_job(db, call);
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_JOB_END);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->key);
    sqlite3_bind_int(statement, 2, (int)call->state);
    sqlite3_bind_int(statement, 3, (int)call->to);
    registry_bind_text(statement, 4, call->kind);
    return registry_db_run(db, statement);
}

static enum sk_status run_delete(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = registry_db_run_text(db, SQL_JOB_ROWS_DELETE, call->key);
    return status ? status : registry_db_run_text(db, SQL_JOB_DELETE, call->key);
}

/* ---- the calls ---- */

static void tell_rows(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_job_rows none;
    call->done.job_rows(call->arg, end, end->status ? &none : &call->found.job_rows);
}

static void tell_counts(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_job_counts none;
    call->done.job_counts(call->arg, end, end->status ? &none : &call->found.job_counts);
}

static struct registry_call *new_call(struct sk_registry *registry, struct sk_span job_id,
                                      void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->key = sk_arena_copy(&call->arena, job_id);
    return call;
}

static void put(struct sk_registry *registry, struct sk_span job_id, struct sk_span document,
                bool fresh, const struct sk_registry_job_row *rows, size_t count,
                sk_registry_done *done, void *arg) {
    struct registry_call *call = new_call(registry, job_id, arg);
    registry_take_document(call, document);
    call->fresh = fresh;
    call->rows = sk_arena_alloc(&call->arena, (count + 1) * sizeof *rows);
    call->row_count = count;
    for (size_t i = 0; i < count; i++) call->rows[i] = copy_row(&call->arena, &rows[i]);
    call->done.done = done;
    registry_write(call, run_put, registry_tell_done);
}

static void twin(struct sk_registry *registry, const struct sk_registry_job_row *row,
                 const struct sk_twin_change *change, struct sk_span if_match,
                 sk_registry_change_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, row->device_id, row->module_id, arg);
    registry_take_change(call, change, if_match);
    call->rows = sk_arena_alloc(&call->arena, sizeof *row);
    *call->rows = copy_row(&call->arena, row);
    call->done.change = done;
    registry_write(call, run_twin, registry_tell_change);
}

static void get(struct sk_registry *registry, struct sk_span job_id,
                sk_registry_document_done *done, void *arg) {
    struct registry_call *call = new_call(registry, job_id, arg);
    call->done.document = done;
    registry_read(call, run_get, registry_tell_document);
}

static void list(struct sk_registry *registry, struct sk_span after_id, size_t max,
                 sk_registry_documents_done *done, void *arg) {
    struct registry_call *call = new_call(registry, after_id, arg);
    call->max = max;
    call->done.documents = done;
    registry_read(call, run_list, registry_tell_documents);
}

static void list_rows(struct sk_registry *registry, const struct sk_registry_job_ask *ask,
                      sk_registry_job_rows_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, ask->device_id, SK_NONE, arg);
    call->key = sk_arena_copy(&call->arena, ask->job_id);
    call->state = ask->state;
    call->after = copy_row(&call->arena, &ask->after);
    call->max = ask->max;
    call->done.job_rows = done;
    registry_read(call, run_rows, tell_rows);
}

static void count_rows(struct sk_registry *registry, struct sk_span job_id,
                       sk_registry_job_counts_done *done, void *arg) {
    struct registry_call *call = new_call(registry, job_id, arg);
    call->done.job_counts = done;
    registry_read(call, run_counts, tell_counts);
}

static void end_rows(struct sk_registry *registry, struct sk_span job_id, struct sk_span document,
                     enum sk_job_state from, enum sk_job_state to, struct sk_span patch,
                     sk_registry_done *done, void *arg) {
    struct registry_call *call = new_call(registry, job_id, arg);
    registry_take_document(call, document);
    call->state = from;
    call->to = to;
    call->kind = sk_arena_copy(&call->arena, patch);
    call->done.done = done;
    registry_write(call, run_end, registry_tell_done);
}

static void remove_job(struct sk_registry *registry, struct sk_span job_id, sk_registry_done *done,
                       void *arg) {
    struct registry_call *call = new_call(registry, job_id, arg);
    call->done.done = done;
    registry_write(call, run_delete, registry_tell_done);
}

const struct sk_registry_job_ops registry_job_ops = {.put = put,
                                                     .twin = twin,
                                                     .get = get,
                                                     .list = list,
                                                     .rows = list_rows,
                                                     .counts = count_rows,
                                                     .end = end_rows,
                                                     .remove = remove_job};
