/* Records that are told to services: feedback on cloud-to-device messages, and other topics. */
#include "store/registry/sqlite/parts.h"

/* ---- made ---- */

enum sk_status registry_feedback_newest(struct registry_db *db, enum sk_registry_topic topic,
                                        uint64_t *newest) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_NEWEST);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 1, (int)topic);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    *newest = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return SK_OK;
}

enum sk_status registry_feedback_add(struct registry_db *db, struct registry_call *call,
                                     enum statement which, enum sk_c2d_end how) {
    sqlite3_stmt *statement = registry_db_statement(db, which);
    if (statement == NULL) return registry_db_error(db);
    if (which == SQL_FEEDBACK_INSERT)
        sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    else
        registry_bind_text(statement, 1, call->device_id);
    sqlite3_bind_int(statement, 2, (int)how);
    sqlite3_bind_int64(statement, 3, call->wall_us);
    sqlite3_bind_int64(statement, 4, call->wall_us + call->time_us);
    sqlite3_bind_int(statement, 5, (int)sk_c2d_end_ack(how));
    enum sk_status status = registry_db_run(db, statement);
    if (status) return status;
    struct sk_registry_ended *ended = &call->found.ended;
    ended->feedback_added = (uint64_t)sqlite3_changes(db->handle);
    return ended->feedback_added
               ? registry_feedback_newest(db, SK_TOPIC_FEEDBACK, &ended->feedback_newest)
               : SK_OK;
}

/* False in *there: the document that it goes with is not there. */
static enum sk_status forget_document(struct registry_db *db, struct registry_call *call,
                                      bool *there) {
    enum sk_status status = registry_db_run(
        db, registry_db_statement_of(db, SQL_DOCUMENT_DELETE, call->kind, call->key));
    *there = sqlite3_changes(db->handle) > 0;
    return status;
}

static enum sk_status run_add(struct registry_db *db, struct registry_call *call) {
    bool there = true;
    enum sk_status status = call->kind.n ? forget_document(db, call, &there) : SK_OK;
    if (!status && !there) status = SK_NOT_FOUND;
    if (status) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_ADD);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 1, (int)call->topic);
    registry_bind_text(statement, 2, call->device_id);
    registry_bind_text(statement, 3, call->bytes);
    sqlite3_bind_int64(statement, 4, call->wall_us);
    sqlite3_bind_int64(statement, 5, call->wall_us + call->time_us);
    status = registry_db_run(db, statement);
    return status ? status : registry_feedback_newest(db, call->topic, &call->found.newest);
}

/* ---- read and forgotten ---- */

static enum sk_status run_list(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_records *list = &call->found.records;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_LIST);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 1, (int)call->topic);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->sequence);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)call->before);
    sqlite3_bind_int64(statement, 4, call->time_us);
    sqlite3_bind_int64(statement, 5, (sqlite3_int64)call->max);
    list->records = sk_arena_alloc(&call->arena, call->max * sizeof *list->records);
    enum sk_status status = SK_OK;
    while (list->count < call->max && (status = registry_db_row(db, statement)) == SK_OK) {
        struct sk_registry_feedback *feedback = &list->records[list->count++];
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
    sqlite3_bind_int(statement, 1, (int)call->topic);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)call->sequence);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)call->before);
    if (limited) sqlite3_bind_int64(statement, 4, (sqlite3_int64)call->max);
    return registry_db_run(db, statement);
}

static enum sk_status run_delete(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = run_range(db, call, SQL_FEEDBACK_DELETE, false);
    return status ? status : registry_feedback_newest(db, call->topic, &call->found.newest);
}

static enum sk_status run_return(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = run_range(db, call, SQL_FEEDBACK_RETURN, false);
    if (!status) status = run_range(db, call, SQL_FEEDBACK_DELETE_DEAD, true);
    return status ? status : registry_feedback_newest(db, call->topic, &call->found.newest);
}

static enum sk_status run_expire(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FEEDBACK_EXPIRE);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 1, (int)call->topic);
    sqlite3_bind_int64(statement, 2, call->time_us);
    enum sk_status status = registry_db_run(db, statement);
    return status ? status : registry_feedback_newest(db, call->topic, &call->found.newest);
}

enum sk_status registry_feedback_remove(struct registry_db *db, struct sk_span device_id) {
    return registry_db_run_text(db, SQL_FEEDBACK_DELETE_DEVICE, device_id);
}

/* ---- the calls ---- */

static void tell_records(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_records none;
    call->done.records(call->arg, end, end->status ? &none : &call->found.records);
}

static void tell_newest(struct registry_call *call, const struct sk_registry_end *end) {
    call->done.newest(call->arg, end, end->status ? 0 : call->found.newest);
}

static void add(struct sk_registry *registry, enum sk_registry_topic topic,
                const struct sk_feedback_record *record, int64_t ttl_us, struct sk_span kind,
                struct sk_span key, sk_registry_newest_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, record->device, SK_NONE, arg);
    call->topic = topic;
    call->bytes = sk_arena_copy(&call->arena, record->message_id);
    call->kind = sk_arena_copy(&call->arena, kind);
    call->key = sk_arena_copy(&call->arena, key);
    call->time_us = ttl_us;
    call->done.newest = done;
    registry_write(call, run_add, tell_newest);
}

static void list(struct sk_registry *registry, enum sk_registry_topic topic, uint64_t after,
                 uint64_t before, int64_t now_us, size_t max, sk_registry_records_done *done,
                 void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->topic = topic;
    call->sequence = after;
    call->before = before;
    call->time_us = now_us;
    call->max = max;
    call->done.records = done;
    registry_read(call, run_list, tell_records);
}

static void remove_records(struct sk_registry *registry, enum sk_registry_topic topic,
                           uint64_t first, uint64_t last, sk_registry_newest_done *done,
                           void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->topic = topic;
    call->sequence = first;
    call->before = last;
    call->done.newest = done;
    registry_write(call, run_delete, tell_newest);
}

static void back(struct sk_registry *registry, enum sk_registry_topic topic, uint64_t first,
                 uint64_t last, unsigned deliveries_max, sk_registry_newest_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->topic = topic;
    call->sequence = first;
    call->before = last;
    call->max = deliveries_max;
    call->done.newest = done;
    registry_write(call, run_return, tell_newest);
}

static void expire(struct sk_registry *registry, enum sk_registry_topic topic, int64_t now_us,
                   sk_registry_newest_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->topic = topic;
    call->time_us = now_us;
    call->done.newest = done;
    registry_write(call, run_expire, tell_newest);
}

const struct sk_registry_feedback_ops registry_feedback_ops = {
    .add = add, .list = list, .remove = remove_records, .back = back, .expire = expire};
