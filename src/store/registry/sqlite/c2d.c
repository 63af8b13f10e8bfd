/* Cloud-to-device messages. */
#include "store/registry/sqlite/parts.h"

/* ---- rows ---- */

static void read_message(sqlite3_stmt *statement, struct sk_registry_c2d *message) {
    *message = (struct sk_registry_c2d){.sequence = (uint64_t)sqlite3_column_int64(statement, 0),
                                        .enqueued_us = sqlite3_column_int64(statement, 1),
                                        .expiry_us = sqlite3_column_int64(statement, 2),
                                        .deliveries = (unsigned)sqlite3_column_int64(statement, 3),
                                        .sent = sqlite3_column_int(statement, 4) != 0};
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
    call->found.message =
        (struct sk_registry_c2d){.sequence = (uint64_t)sqlite3_last_insert_rowid(db->handle),
                                 .enqueued_us = call->wall_us,
                                 .expiry_us = call->c2d.expiry_us};
    return SK_OK;
}

static enum sk_status run_put(struct registry_db *db, struct registry_call *call) {
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

static enum sk_status end_message(struct registry_db *db, struct registry_call *call,
                                  enum sk_c2d_end how) {
    enum sk_status status = registry_feedback_add(db, call, SQL_FEEDBACK_INSERT, how);
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_DELETE);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    if ((status = registry_db_run(db, statement))) return status;
    call->found.ended.count = (uint64_t)sqlite3_changes(db->handle);
    return call->found.ended.count ? SK_OK : SK_NOT_FOUND;
}

static enum sk_status run_end(struct registry_db *db, struct registry_call *call) {
    return end_message(db, call, call->how);
}

static enum sk_status run_return(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_c2d *message = &call->found.waits;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_RETURN);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    sqlite3_bind_int(statement, 2, call->max > 0);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    read_message(statement, message);
    sqlite3_reset(statement);
    if (call->max && message->deliveries >= call->max)
        return end_message(db, call, SK_C2D_DELIVERY_COUNT_EXCEEDED);
    call->found.ended.waits = message;
    return SK_OK;
}

static enum sk_status run_purge(struct registry_db *db, struct registry_call *call) {
    int64_t row;
    enum sk_status status = registry_identity_load(db, call->device_id, SK_NONE, NULL, &row);
    if (!status)
        status = registry_feedback_add(db, call, SQL_FEEDBACK_INSERT_DEVICE, SK_C2D_PURGED);
    if (!status) status = registry_c2d_remove(db, call->device_id);
    if (!status) call->found.ended.count = (uint64_t)sqlite3_changes(db->handle);
    return status;
}

enum sk_status registry_c2d_remove(struct registry_db *db, struct sk_span device_id) {
    return registry_db_run_text(db, SQL_C2D_DELETE_DEVICE, device_id);
}

/* ---- reading ---- */

static enum sk_status run_list(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_queue *queue = &call->found.queue;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_LIST);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_text(statement, 1, call->device_id);
    queue->messages = sk_arena_alloc(&call->arena, SK_C2D_PENDING_MAX * sizeof *queue->messages);
    enum sk_status status = SK_OK;
    while (queue->count < SK_C2D_PENDING_MAX && (status = registry_db_row(db, statement)) == SK_OK)
        read_message(statement, &queue->messages[queue->count++]);
    sqlite3_reset(statement);
    return status == SK_NOT_FOUND ? SK_OK : status;
}

static enum sk_status run_get(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_GET);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    read_message(statement, &call->found.message);
    call->found.message.envelope = sk_arena_copy(&call->arena, registry_column(statement, 5));
    sqlite3_reset(statement);
    return SK_OK;
}

static enum sk_status run_expired(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_expired *expired = &call->found.expired;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_C2D_EXPIRED);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, call->time_us);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->max);
    expired->devices = sk_arena_alloc(&call->arena, call->max * sizeof *expired->devices);
    enum sk_status status = SK_OK;
    while (expired->count < call->max && (status = registry_db_row(db, statement)) == SK_OK)
        expired->devices[expired->count++] =
            sk_arena_copy(&call->arena, registry_column(statement, 0));
    sqlite3_reset(statement);
    if (status && status != SK_NOT_FOUND) return status;
    if ((statement = registry_db_statement(db, SQL_C2D_NEXT_EXPIRY)) == NULL)
        return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, call->time_us);
    if ((status = registry_db_row(db, statement))) return status;
    expired->next_us = sqlite3_column_type(statement, 0) == SQLITE_NULL
                           ? INT64_MAX
                           : sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return SK_OK;
}

/* ---- the calls ---- */

static void tell_message(struct registry_call *call, const struct sk_registry_end *end) {
    call->done.c2d(call->arg, end, end->status ? NULL : &call->found.message);
}

static void tell_queue(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_queue none;
    call->done.queue(call->arg, end, end->status ? &none : &call->found.queue);
}

static void tell_ended(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_ended none;
    call->done.ended(call->arg, end, end->status ? &none : &call->found.ended);
}

static void tell_expired(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_expired none = {.next_us = INT64_MAX};
    call->done.expired(call->arg, end, end->status ? &none : &call->found.expired);
}

static void put(struct sk_registry *registry, struct sk_span device_id,
                const struct sk_registry_c2d_new *message, sk_registry_c2d_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, SK_NONE, arg);
    struct sk_span head = message->envelope[0], body = message->envelope[1];
    char *envelope = sk_arena_alloc(&call->arena, head.n + body.n);
    if (head.n) memcpy(envelope, head.p, head.n);
    if (body.n) memcpy(envelope + head.n, body.p, body.n);
    call->c2d = *message;
    call->c2d.message_id = sk_arena_copy(&call->arena, message->message_id);
    call->bytes = sk_span(envelope, head.n + body.n);
    call->done.c2d = done;
    registry_write(call, run_put, tell_message);
}

static void list(struct sk_registry *registry, struct sk_span device_id,
                 sk_registry_queue_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, SK_NONE, arg);
    call->done.queue = done;
    registry_read(call, run_list, tell_queue);
}

static void get(struct sk_registry *registry, uint64_t sequence, sk_registry_c2d_done *done,
                void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->sequence = sequence;
    call->done.c2d = done;
    registry_read(call, run_get, tell_message);
}

static void end(struct sk_registry *registry, uint64_t sequence, enum sk_c2d_end how,
                int64_t feedback_ttl_us, sk_registry_ended_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->sequence = sequence;
    call->how = how;
    call->time_us = feedback_ttl_us;
    call->done.ended = done;
    registry_write(call, run_end, tell_ended);
}

static void back(struct sk_registry *registry, uint64_t sequence, unsigned deliveries_max,
                 int64_t feedback_ttl_us, sk_registry_ended_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->sequence = sequence;
    call->max = deliveries_max;
    call->time_us = feedback_ttl_us;
    call->done.ended = done;
    registry_write(call, run_return, tell_ended);
}

static void purge(struct sk_registry *registry, struct sk_span device_id, int64_t feedback_ttl_us,
                  sk_registry_ended_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, device_id, SK_NONE, arg);
    call->time_us = feedback_ttl_us;
    call->done.ended = done;
    registry_write(call, run_purge, tell_ended);
}

static void expired(struct sk_registry *registry, int64_t now_us, size_t max,
                    sk_registry_expired_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->time_us = now_us;
    call->max = max;
    call->done.expired = done;
    registry_read(call, run_expired, tell_expired);
}

const struct sk_registry_c2d_ops registry_c2d_ops = {.put = put,
                                                     .list = list,
                                                     .get = get,
                                                     .end = end,
                                                     .back = back,
                                                     .purge = purge,
                                                     .expired = expired};
