/* Twins that a condition may select: parts of it that SQLite can look up keep the others from being
 * read. Ids are looked up; for values in the documents a window of rows is gone over, so that one
 * read stays short however few there are. */
#include "store/registry/sqlite/parts.h"

enum { WINDOW = 512 };

struct found_sql {
    struct sk_buffer text;
    int next; /* parameter */
};

static const char *column_of(enum sk_registry_where where) {
    switch (where) {
    case SK_WHERE_DEVICE_ID: return "i.device_id";
    case SK_WHERE_MODULE_ID: return "i.module_id";
    case SK_WHERE_TAGS: return "t.tags";
    case SK_WHERE_DESIRED: return "t.desired";
    case SK_WHERE_REPORTED: return "t.reported";
    }
    return NULL;
}

static bool is_id(const struct sk_registry_term *term) {
    return term->where == SK_WHERE_DEVICE_ID || term->where == SK_WHERE_MODULE_ID;
}

static void put_term(struct found_sql *sql, const struct sk_registry_term *term) {
    if (is_id(term))
        sk_buffer_print(&sql->text, " AND %s IN (", column_of(term->where));
    else
        sk_buffer_print(&sql->text, " AND json_extract(%s, ?%d) IN (", column_of(term->where),
                        sql->next++);
    for (size_t i = 0; i < term->count; i++)
        sk_buffer_print(&sql->text, "%s?%d", i ? ", " : "", sql->next++);
    sk_buffer_byte(&sql->text, ')');
}

static void bind_term(sqlite3_stmt *statement, int *next, const struct sk_registry_term *term) {
    if (!is_id(term)) registry_bind_text(statement, (*next)++, term->path);
    for (size_t i = 0; i < term->count; i++) {
        const struct sk_registry_value *value = &term->values[i];
        if (value->is_text)
            registry_bind_text(statement, (*next)++, value->text);
        else
            sqlite3_bind_int64(statement, (*next)++, value->number);
    }
}

/* Whether it has to be looked for among all. */
static bool searches(const struct registry_call *call) {
    for (size_t i = 0; i < call->term_count; i++)
        if (call->terms[i].where == SK_WHERE_DEVICE_ID) return false;
    return call->term_count > 0;
}

/* 1 and 2: behind which ids; 3 and 4: up to which, of a window. */
static sqlite3_stmt *prepare(struct registry_db *db, const struct registry_call *call,
                             bool bounded) {
    struct found_sql sql = {.next = 5};
    sk_buffer_print(&sql.text,
                    "SELECT " IDENTITY_COLUMNS
                    " FROM identity i JOIN twin t ON t.row = i.row WHERE i.module_id %s '' AND "
                    "(i.device_id, i.module_id) > (?1, ?2)%s",
                    call->modules ? ">" : "=",
                    bounded ? " AND (i.device_id, i.module_id) <= (?3, ?4)" : "");
    for (size_t i = 0; i < call->term_count; i++) put_term(&sql, &call->terms[i]);
    sk_buffer_text(&sql.text, " ORDER BY i.device_id, i.module_id");
    sk_buffer_byte(&sql.text, 0);
    sqlite3_stmt *statement = registry_db_prepare(db, sql.text.p);
    sk_buffer_free(&sql.text);
    if (statement == NULL) return NULL;
    int next = 5;
    registry_bind_text(statement, 1, call->device_id);
    registry_bind_text(statement, 2, call->module_id);
    for (size_t i = 0; i < call->term_count; i++) bind_term(statement, &next, &call->terms[i]);
    return statement;
}

/* The last ids of the window; SK_NOT_FOUND: it reaches the end. */
static enum sk_status find_bound(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_entries *list = &call->entries;
    sqlite3_stmt *statement = registry_db_statement_of(
        db, call->modules ? SQL_TWIN_WINDOW_MODULES : SQL_TWIN_WINDOW_DEVICES, call->device_id,
        call->module_id);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 3, WINDOW - 1);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    list->after_device = sk_arena_copy(&call->arena, registry_column(statement, 0));
    list->after_module = sk_arena_copy(&call->arena, registry_column(statement, 1));
    sqlite3_reset(statement);
    return SK_OK;
}

static enum sk_status run_find(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_entries *list = &call->entries;
    enum sk_status status = searches(call) ? find_bound(db, call) : SK_NOT_FOUND;
    bool bounded = status == SK_OK;
    if (status && status != SK_NOT_FOUND) return status;
    sqlite3_stmt *statement = prepare(db, call, bounded);
    if (statement == NULL) return registry_db_error(db);
    if (bounded) {
        registry_bind_text(statement, 3, list->after_device);
        registry_bind_text(statement, 4, list->after_module);
    }
    status = registry_collect(db, call, statement, true);
    if (status) return status;
    if (list->more) { /* it stopped within the window */
        const struct sk_identity *last = &list->entries[list->count - 1].identity;
        list->after_device = sk_arena_copy(&call->arena, sk_span_z(last->device_id));
        list->after_module = sk_arena_copy(&call->arena, sk_span_z(last->module_id));
    }
    list->more |= bounded;
    return SK_OK;
}

static struct sk_registry_value copy_value(struct sk_arena *arena,
                                           const struct sk_registry_value *value) {
    struct sk_registry_value copy = *value;
    if (value->is_text) copy.text = sk_arena_copy(arena, value->text);
    return copy;
}

void registry_find(struct sk_registry *registry, const struct sk_registry_search *search,
                   sk_registry_entries_done *done, void *arg) {
    struct registry_call *call =
        registry_call_new(registry, search->after_device, search->after_module, arg);
    struct sk_arena *arena = &call->arena;
    call->modules = search->modules;
    call->max = search->max;
    call->terms = sk_arena_alloc(arena, (search->term_count + 1) * sizeof *call->terms);
    call->term_count = search->term_count;
    for (size_t i = 0; i < search->term_count; i++) {
        const struct sk_registry_term *term = &search->terms[i];
        struct sk_registry_value *values =
            sk_arena_alloc(arena, (term->count + 1) * sizeof *values);
        for (size_t j = 0; j < term->count; j++) values[j] = copy_value(arena, &term->values[j]);
        call->terms[i] = (struct sk_registry_term){term->where, sk_arena_copy(arena, term->path),
                                                   values, term->count};
    }
    call->done.entries = done;
    registry_read(call, run_find, registry_tell_entries);
}
