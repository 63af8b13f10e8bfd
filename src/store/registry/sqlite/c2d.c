/* Cloud-to-device messages and feedback records as the registry's calls see them. */
#include <stdio.h>

#include "store/registry/sqlite/db.h"

/* ---- rows ---- */

static void read_message(sqlite3_stmt *statement, struct sk_registry_c2d *message) {
    *message = (struct sk_registry_c2d){.sequence = (uint64_t)sqlite3_column_int64(statement, 0),
                                        .enqueued_us = sqlite3_column_int64(statement, 1),
                                        .expiry_us = sqlite3_column_int64(statement, 2),
                                        .deliveries = (unsigned)sqlite3_column_int64(statement, 3),
                                        .sent = sqlite3_column_int(statement, 4) != 0};
}

static enum sk_status read_newest_feedback(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_NEWEST);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    call->result.feedback_newest = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return SK_OK;
}

/* Runs a statement that takes one text or number. */
static enum sk_status run_text(struct registry_db *db, enum statement which, struct sk_span text) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, text);
    return registry_db_run(db, statement);
}

/* ---- putting ---- */

static enum sk_status check_room(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_PENDING);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    int64_t pending = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return pending < SK_C2D_PENDING_MAX ? SK_OK : SK_TOO_LARGE;
}

static enum sk_status insert(struct registry_db *db, struct registry_call *call,
                             const char *generation_id) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_C2D_INSERT, call->device_id, sk_span_z(generation_id));
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 3, call->c2d.message_id);
    sqlite3_bind_int(statement, 4, (int)call->c2d.ack);
    sqlite3_bind_int64(statement, 5, call->wall_us);
    sqlite3_bind_int64(statement, 6, call->c2d.expiry_us);
    registry_bind_blob(statement, 7, call->bytes);
    enum sk_status status = registry_db_run(db, statement);
    if (status) return status;
    call->result.c2d = SK_NEW(struct sk_registry_c2d);
    call->result.c2d_count = 1;
    *call->result.c2d =
        (struct sk_registry_c2d){.sequence = (uint64_t)sqlite3_last_insert_rowid(db->handle),
                                 .enqueued_us = call->wall_us,
                                 .expiry_us = call->c2d.expiry_us};
    return SK_OK;
}

enum sk_status registry_run_c2d_put(struct registry_db *db, struct registry_call *call) {
    struct sk_identity device;
    int64_t row;
    enum sk_status status = registry_identity_load(db, call->device_id, SK_NONE, &device, &row);
    if (status) return status;
    status = device.disabled ? SK_NOT_FOUND : check_room(db, call);
    if (!status) status = insert(db, call, device.generation_id);
    sk_identity_free(&device);
    return status;
}

/* ---- ending ---- */

/* The records for one message (call->sequence) or all of a device. */
static enum sk_status add_feedback(struct registry_db *db, struct registry_call *call,
                                   enum statement which, enum sk_c2d_end end) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement == NULL) return registry_db_error(db);
    if (which == SQL_FEEDBACK_INSERT)
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    else
        registry_bind_text(statement, 1, call->device_id);
    sqlite3_bind_int(statement, 2, (int)end);
    sqlite3_bind_int64(statement, 3, call->wall_us);
    sqlite3_bind_int64(statement, 4, call->wall_us + call->time_us);
    sqlite3_bind_int(statement, 5, (int)sk_c2d_end_ack(end));
    enum sk_status status = registry_db_run(db, statement);
    if (status) return status;
    call->result.feedback_added = (uint64_t)sqlite3_changes(db->handle);
    return call->result.feedback_added ? read_newest_feedback(db, call) : SK_OK;
}

static enum sk_status end_message(struct registry_db *db, struct registry_call *call,
                                  enum sk_c2d_end end) {
    enum sk_status status = add_feedback(db, call, SQL_FEEDBACK_INSERT, end);
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_DELETE);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    status = registry_db_run(db, statement);
    return status || sqlite3_changes(db->handle) ? status : SK_NOT_FOUND;
}

enum sk_status registry_run_c2d_end(struct registry_db *db, struct registry_call *call) {
    return end_message(db, call, call->end);
}

enum sk_status registry_run_c2d_return(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_c2d message;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_RETURN);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    sqlite3_bind_int(statement, 2, call->max > 0);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    read_message(statement, &message);
    sqlite3_reset(statement);
    if (call->max && message.deliveries >= call->max)
        return end_message(db, call, SK_C2D_DELIVERY_COUNT_EXCEEDED);
    call->result.c2d = SK_NEW(struct sk_registry_c2d);
    call->result.c2d_count = 1;
    *call->result.c2d = message;
    return SK_OK;
}

enum sk_status registry_run_c2d_purge(struct registry_db *db, struct registry_call *call) {
    int64_t row;
    enum sk_status status = registry_identity_load(db, call->device_id, SK_NONE, NULL, &row);
    if (!status) status = add_feedback(db, call, SQL_FEEDBACK_INSERT_DEVICE, SK_C2D_PURGED);
    if (!status) status = run_text(db, SQL_C2D_DELETE_DEVICE, call->device_id);
    if (!status) call->result.purged = (uint64_t)sqlite3_changes(db->handle);
    return status;
}

enum sk_status registry_c2d_delete_device(struct registry_db *db, struct sk_span device_id) {
    enum sk_status status = run_text(db, SQL_C2D_DELETE_DEVICE, device_id);
    return status ? status : run_text(db, SQL_FEEDBACK_DELETE_DEVICE, device_id);
}

/* ---- reading ---- */

enum sk_status registry_run_c2d_list(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_result *result = &call->result;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_LIST);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    result->c2d = sk_alloc(SK_C2D_PENDING_MAX * sizeof *result->c2d);
    enum sk_status status = SK_OK;
    while (result->c2d_count < SK_C2D_PENDING_MAX &&
           (status = registry_db_row(db, statement)) == SK_OK)
        read_message(statement, &result->c2d[result->c2d_count++]);
    sqlite3_reset(statement);
    return status == SK_NOT_FOUND ? SK_OK : status;
}

enum sk_status registry_run_c2d_get(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_GET);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    call->result.c2d = SK_NEW(struct sk_registry_c2d);
    call->result.c2d_count = 1;
    read_message(statement, call->result.c2d);
    call->result.c2d->envelope = sk_arena_copy(&call->arena, registry_column(statement, 5));
    sqlite3_reset(statement);
    return SK_OK;
}

enum sk_status registry_run_c2d_expired(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_result *result = &call->result;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_EXPIRED);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, call->time_us);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->max);
    result->devices = sk_alloc(call->max * sizeof *result->devices);
    enum sk_status status = SK_OK;
    while (result->device_count < call->max && (status = registry_db_row(db, statement)) == SK_OK)
        result->devices[result->device_count++] =
            sk_arena_copy(&call->arena, registry_column(statement, 0));
    sqlite3_reset(statement);
    if (status && status != SK_NOT_FOUND) return status;
    if ((statement = registry_db_statement(db, SQL_C2D_NEXT_EXPIRY)) == NULL)
        return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, call->time_us);
    if ((status = registry_db_row(db, statement))) return status;
    result->next_expiry_us = sqlite3_column_type(statement, 0) == SQLITE_NULL
                                 ? INT64_MAX
                                 : sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return SK_OK;
}

/* ---- feedback ---- */

enum sk_status registry_run_feedback_list(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_result *result = &call->result;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_LIST);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->before);
    sqlite3_bind_int64(statement, 3, call->time_us);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)call->max);
    result->feedback = sk_alloc(call->max * sizeof *result->feedback);
    enum sk_status status = SK_OK;
    while (result->feedback_count < call->max &&
           (status = registry_db_row(db, statement)) == SK_OK) {
        struct sk_registry_feedback *feedback = &result->feedback[result->feedback_count++];
        feedback->sequence = (uint64_t)sqlite3_column_int64(statement, 0);
        feedback->deliveries = (unsigned)sqlite3_column_int64(statement, 1);
        feedback->record = (struct sk_feedback_record){
            .message_id = sk_arena_copy(&call->arena, registry_column(statement, 2)),
            .device = sk_arena_copy(&call->arena, registry_column(statement, 3)),
            .generation_id = sk_arena_copy(&call->arena, registry_column(statement, 4)),
            .end = (enum sk_c2d_end)sqlite3_column_int(statement, 5),
            .ended_us = sqlite3_column_int64(statement, 6)};
    }
    sqlite3_reset(statement);
    return status == SK_NOT_FOUND ? SK_OK : status;
}

static enum sk_status run_range(struct registry_db *db, struct registry_call *call,
                                enum statement which, bool limited) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->before);
    if (limited) sqlite3_bind_int64(statement, 3, (sqlite3_int64)call->max);
    return registry_db_run(db, statement);
}

enum sk_status registry_run_feedback_delete(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = run_range(db, call, SQL_FEEDBACK_DELETE, false);
    return status ? status : read_newest_feedback(db, call);
}

enum sk_status registry_run_feedback_return(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = run_range(db, call, SQL_FEEDBACK_RETURN, false);
    if (!status) status = run_range(db, call, SQL_FEEDBACK_DELETE_DEAD, true);
    return status ? status : read_newest_feedback(db, call);
}

enum sk_status registry_run_feedback_expire(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_EXPIRE);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, call->time_us);
    enum sk_status status = registry_db_run(db, statement);
    return status ? status : read_newest_feedback(db, call);
}
