/* Documents: bytes under a kind and a key. */
#include "store/registry/sqlite/parts.h"

#include <stdio.h>

static void make_room(struct registry_call *call, size_t max) {
    struct sk_registry_documents *list = &call->found.documents;
    list->documents = sk_arena_alloc(&call->arena, max * sizeof *list->documents);
}

static void add(struct registry_call *call, sqlite3_stmt *statement) {
    struct sk_registry_documents *list = &call->found.documents;
    list->documents[list->count++] = (struct sk_registry_document){
        .key = sk_arena_copy(&call->arena, registry_column(statement, 0)),
        .bytes = sk_arena_copy(&call->arena, registry_column(statement, 1)),
    };
}

enum sk_status registry_find_document(struct registry_db *db, struct registry_call *call,
                                      sqlite3_stmt *statement) {
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    make_room(call, 1);
    add(call, statement);
    sqlite3_reset(statement);
    return SK_OK;
}

enum sk_status registry_find_documents(struct registry_db *db, struct registry_call *call,
                                       sqlite3_stmt *statement) {
    make_room(call, call->max);
    enum sk_status status;
    while ((status = registry_db_row(db, statement)) == SK_OK) add(call, statement);
    return status == SK_NOT_FOUND ? SK_OK : status;
}

static enum sk_status run_get(struct registry_db *db, struct registry_call *call) {
    return registry_find_document(
        db, call, registry_db_statement_of(db, SQL_DOCUMENT_GET, call->kind, call->key));
}

static enum sk_status run_list(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement =
        registry_db_statement_of(db, SQL_DOCUMENT_LIST, call->kind, call->key);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 3, (sqlite3_int64)call->max);
    return registry_find_documents(db, call, statement);
}

/* What is too large is refused, not copied. */
void registry_take_document(struct registry_call *call, struct sk_span bytes) {
    call->bytes = bytes.n <= SK_REGISTRY_DOCUMENT_MAX ? sk_arena_copy(&call->arena, bytes)
                                                      : sk_span(NULL, bytes.n);
}

enum sk_status registry_document_fits(struct registry_call *call) {
    if (call->bytes.n <= SK_REGISTRY_DOCUMENT_MAX) return SK_OK;
    snprintf(call->end.reason, sizeof call->end.reason, "A document has at most %d bytes.",
             SK_REGISTRY_DOCUMENT_MAX);
    return SK_TOO_LARGE;
}

enum sk_status registry_document_store(struct registry_db *db, struct sk_span kind,
                                       struct sk_span key, struct sk_span bytes) {
    sqlite3_stmt *statement = registry_db_statement_of(db, SQL_DOCUMENT_PUT, kind, key);
    if (statement == NULL) return registry_db_error(db);
    registry_bind_blob(statement, 3, bytes);
    return registry_db_run(db, statement);
}

static enum sk_status run_put(struct registry_db *db, struct registry_call *call) {
    enum sk_status status = registry_document_fits(call);
    return status ? status : registry_document_store(db, call->kind, call->key, call->bytes);
}

static enum sk_status run_delete(struct registry_db *db, struct registry_call *call) {
    return registry_db_run(
        db, registry_db_statement_of(db, SQL_DOCUMENT_DELETE, call->kind, call->key));
}

/* ---- the calls ---- */

void registry_tell_document(struct registry_call *call, const struct sk_registry_end *end) {
    call->done.document(call->arg, end, end->status ? NULL : call->found.documents.documents);
}

void registry_tell_documents(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_documents none;
    call->done.documents(call->arg, end, end->status ? &none : &call->found.documents);
}

static struct registry_call *new_call(struct sk_registry *registry, struct sk_span kind,
                                      struct sk_span key, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    call->kind = sk_arena_copy(&call->arena, kind);
    call->key = sk_arena_copy(&call->arena, key);
    return call;
}

static void put(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                struct sk_span bytes, sk_registry_done *done, void *arg) {
    struct registry_call *call = new_call(registry, kind, key, arg);
    registry_take_document(call, bytes);
    call->done.done = done;
    registry_write(call, run_put, registry_tell_done);
}

static void get(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                sk_registry_document_done *done, void *arg) {
    struct registry_call *call = new_call(registry, kind, key, arg);
    call->done.document = done;
    registry_read(call, run_get, registry_tell_document);
}

static enum sk_status load(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                           struct sk_buffer *to) {
    struct registry_call *call = new_call(registry, kind, key, NULL);
    enum sk_status status = registry_run_now(call, run_get);
    if (status == SK_OK) sk_buffer_append(to, call->found.documents.documents[0].bytes);
    registry_call_free(call);
    return status;
}

static void remove_document(struct sk_registry *registry, struct sk_span kind, struct sk_span key,
                            sk_registry_done *done, void *arg) {
    struct registry_call *call = new_call(registry, kind, key, arg);
    call->done.done = done;
    registry_write(call, run_delete, registry_tell_done);
}

static void list(struct sk_registry *registry, struct sk_span kind, struct sk_span after_key,
                 size_t max, sk_registry_documents_done *done, void *arg) {
    struct registry_call *call = new_call(registry, kind, after_key, arg);
    call->max = max;
    call->done.documents = done;
    registry_read(call, run_list, registry_tell_documents);
}

const struct sk_registry_document_ops registry_document_ops = {
    .put = put, .get = get, .load = load, .remove = remove_document, .list = list};
