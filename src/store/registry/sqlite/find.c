/* Searches among twins. They are gone over by their rows' numbers, which is the order that both
 * tables, and each list of values (lookups.c), have on the disk; whoever asks looks at each row
 * before anything of it is parsed. A read ends with its share of the turn, and tells its place. */
#include "store/registry/sqlite/parts.h"
#include "model/json_text.h"

/* What the statements of a search give. */
enum column { ROW, DEVICE_ID, MODULE_ID, TAGS, DESIRED, REPORTED };
/* Of several values the rows must be brought in order: of so many at once. */
enum { ROWS_AT_ONCE = 65536 };
/* Those of a range are brought in order for each read: of more than so many all twins are looked
 * at. */
enum { RANGE_MAX = 2000 };

/* The row that is looked at. */
struct row {
    struct sk_registry_row seen; /* first */
    struct registry_db *db;
    sqlite3_stmt *statement; /* of the search */
    sqlite3_stmt *documents; /* those that the search does not give, once somebody has asked */
};

/* ---- what is asked of a row ---- */

static sqlite3_stmt *documents_of(struct row *row) {
    if (row->documents) return row->documents;
    sqlite3_stmt *statement = registry_db_statement(row->db, SQL_TWIN_GET);
    if (statement == NULL) return NULL;
    sqlite3_bind_int64(statement, 1, sqlite3_column_int64(row->statement, ROW));
    if (registry_db_row(row->db, statement)) return NULL;
    return row->documents = statement;
}

static struct sk_span field(const struct sk_registry_row *seen, enum sk_registry_field which) {
    struct row *row = (struct row *)seen;
    static const int columns[] = {[SK_FIELD_DEVICE_ID] = DEVICE_ID,
                                  [SK_FIELD_MODULE_ID] = MODULE_ID,
                                  [SK_FIELD_TAGS] = TAGS,
                                  [SK_FIELD_DESIRED] = DESIRED,
                                  [SK_FIELD_REPORTED] = REPORTED,
                                  [SK_FIELD_DESIRED_METADATA] = REGISTRY_TWIN_DESIRED_METADATA,
                                  [SK_FIELD_REPORTED_METADATA] = REGISTRY_TWIN_REPORTED_METADATA,
                                  [SK_FIELD_CONFIGURATIONS] = REGISTRY_TWIN_CONFIGURATIONS};
    if (which <= SK_FIELD_REPORTED) return registry_column(row->statement, columns[which]);
    sqlite3_stmt *documents = documents_of(row);
    return documents ? registry_column(documents, columns[which]) : SK_NONE;
}

static void rest(const struct sk_registry_row *seen, struct sk_registry_entry *to) {
    struct row *row = (struct row *)seen;
    *to = (struct sk_registry_entry){.twin = sk_twin_new()};
    registry_identity_of_row(row->db, sqlite3_column_int64(row->statement, ROW), &to->identity);
    sqlite3_stmt *documents = documents_of(row);
    if (documents) registry_twin_numbers(documents, &to->twin);
}

/* ---- the ways ---- */

static json_t *values_json(const struct sk_registry_term *term) {
    json_t *values = json_array();
    for (size_t i = 0; i < term->count; i++) {
        const struct sk_registry_value *value = &term->values[i];
        json_array_append_new(values, value->is_text ? json_stringn(value->text.p, value->text.n)
                                                     : json_integer((json_int_t)value->number));
    }
    return values;
}

/* A list for json_each(); it lives as long as the call. */
static void bind_values(sqlite3_stmt *statement, int at, struct registry_call *call,
                        const struct sk_registry_term *term) {
    json_t *values = values_json(term);
    SK_CLEANUP_FREE char *text = sk_json_text(values);
    registry_bind_text(statement, at, sk_arena_copy(&call->arena, sk_span_z(text)));
    json_decref(values);
}

static sqlite3_stmt *by_ids(struct registry_db *db, struct registry_call *call,
                            const struct sk_registry_term *term) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FIND_IDS);
    if (statement) bind_values(statement, 3, call, term);
    call->found.search.way = SK_WAY_IDS;
    return statement;
}

static sqlite3_stmt *by_values(struct registry_db *db, struct registry_call *call,
                               const struct sk_registry_term *term, int64_t lookup) {
    sqlite3_stmt *statement =
        registry_db_statement(db, term->count == 1 ? SQL_FIND_VALUE : SQL_FIND_VALUES);
    call->found.search.way = SK_WAY_VALUES;
    call->found.search.path = term->path;
    call->lookup = lookup;
    if (statement == NULL) return NULL;
    sqlite3_bind_int64(statement, 3, lookup);
    if (term->count == 1 && term->values->is_text) {
        registry_bind_text(statement, 4, term->values->text);
    } else if (term->count == 1) {
        sqlite3_bind_int64(statement, 4, term->values->number);
    } else {
        call->until = call->sequence + ROWS_AT_ONCE;
        bind_values(statement, 4, call, term);
        sqlite3_bind_int64(statement, 5, (sqlite3_int64)call->until);
    }
    return statement;
}

static sqlite3_stmt *by_range(struct registry_db *db, struct registry_call *call,
                              const struct sk_registry_term *term, int64_t lookup) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_FIND_RANGE);
    call->found.search.way = SK_WAY_VALUES;
    call->found.search.path = term->path;
    call->lookup = lookup;
    if (statement == NULL) return NULL;
    sqlite3_bind_int64(statement, 3, lookup);
    sqlite3_bind_double(statement, 4, term->low);
    sqlite3_bind_double(statement, 5, term->high);
    return statement;
}

/* The term that is of use: one of values before a range. */
static bool is_of_use(struct registry_db *db, const struct sk_registry_term *term,
                      const struct sk_registry_term *before, int64_t *lookup) {
    int64_t id;
    if ((before && !before->range) || (before && term->range)) return false;
    if (!registry_lookup_is_ready(db, term, &id)) return false;
    if (term->range && !registry_lookup_has_few(db, term, id, RANGE_MAX)) return false;
    *lookup = id;
    return true;
}

/* The way that looks at the fewest rows. NULL: an error. */
static sqlite3_stmt *prepare(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = NULL;
    const struct sk_registry_term *values = NULL;
    int64_t lookup = 0;
    for (size_t i = 0; i < call->term_count && !statement; i++) {
        const struct sk_registry_term *term = &call->terms[i];
        if (term->where == SK_WHERE_DEVICE_ID)
            statement = by_ids(db, call, term);
        else if (is_of_use(db, term, values, &lookup))
            values = term;
    }
    if (statement == NULL && values)
        statement = (values->range ? by_range : by_values)(db, call, values, lookup);
    if (statement == NULL) statement = registry_db_statement(db, SQL_FIND_ALL);
    if (statement == NULL) return NULL;
    sqlite3_bind_int64(statement, 1, (sqlite3_int64)call->sequence);
    sqlite3_bind_int(statement, 2, call->modules);
    return statement;
}

/* ---- going over them ---- */

static enum sk_status keep(struct row *row, struct registry_call *call) {
    struct sk_registry_entry *entry = registry_entry_add(call);
    int64_t number = sqlite3_column_int64(row->statement, ROW);
    entry->place = (uint64_t)number;
    enum sk_status status = registry_identity_of_row(row->db, number, &entry->identity);
    if (status) return status;
    return registry_twin_load(row->db, number, &entry->twin, &call->document_bytes);
}

/* SK_AGAIN: enough for now. */
static enum sk_status look_at(struct row *row, struct registry_call *call) {
    enum { BYTES_MAX = 64 * 1024 }; /* of documents, which take time to be parsed */
    struct sk_registry_found *found = &call->found.search;
    enum sk_registry_verdict verdict = call->look ? call->look(call->arg, &row->seen) : SK_ROW_KEPT;
    if (row->documents) sqlite3_reset(row->documents);
    row->documents = NULL;
    call->looked_at++;
    found->after = (uint64_t)sqlite3_column_int64(row->statement, ROW);
    enum sk_status status = verdict == SK_ROW_KEPT ? keep(row, call) : SK_OK;
    if (status) return status == SK_NOT_FOUND ? SK_MALFORMED : status;
    if (verdict == SK_ROW_ENOUGH) return SK_AGAIN;
    return call->entries.count == call->max || call->document_bytes >= BYTES_MAX ? SK_AGAIN : SK_OK;
}

static enum sk_status go_over(struct row *row, struct registry_call *call) {
    struct sk_share share;
    enum sk_status status;
    registry_share_begin(call, &share);
    do {
        status = registry_db_row(row->db, row->statement);
        if (status == SK_NOT_FOUND) return status;
        if (!status) status = look_at(row, call);
    } while (!status && sk_share_go_on(&share, 1));
    sqlite3_reset(row->statement);
    return status ? status : SK_AGAIN;
}

/* Of several values only so many rows were gone over; there are others. */
static bool goes_on_behind(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_TWIN_LAST);
    if (call->until == 0 || registry_db_row(db, statement)) return false;
    uint64_t last = (uint64_t)sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    if (last <= call->until) return false;
    call->found.search.after = call->until;
    return true;
}

static enum sk_status run_find(struct registry_db *db, struct registry_call *call) {
    struct sk_registry_found *found = &call->found.search;
    struct row row = {.seen.ops = registry_ops(call), .db = db, .statement = prepare(db, call)};
    if (row.statement == NULL) return registry_db_error(db);
    found->after = call->sequence;
    if (call->max == 0) return SK_OK;
    enum sk_status status = go_over(&row, call);
    if (status && status != SK_AGAIN && status != SK_NOT_FOUND) return status;
    found->more = status == SK_AGAIN || goes_on_behind(db, call);
    registry_lookups_learn(call);
    return SK_OK;
}

/* ---- the call ---- */

static void tell(struct registry_call *call, const struct sk_registry_end *end) {
    static const struct sk_registry_found none;
    struct sk_registry_found *found = &call->found.search;
    found->entries = call->entries.entries;
    found->count = call->entries.count;
    call->done.found(call->arg, end, end->status ? &none : found);
}

static struct sk_registry_value copy_value(struct sk_arena *arena,
                                           const struct sk_registry_value *value) {
    struct sk_registry_value copy = *value;
    if (value->is_text) copy.text = sk_arena_copy(arena, value->text);
    return copy;
}

static void find(struct sk_registry *registry, const struct sk_registry_search *search,
                 sk_registry_found_done *done, void *arg) {
    struct registry_call *call = registry_call_new(registry, SK_NONE, SK_NONE, arg);
    struct sk_arena *arena = &call->arena;
    call->modules = search->modules;
    call->sequence = search->after;
    call->max = search->max;
    call->look = search->look;
    call->terms = sk_arena_alloc(arena, (search->term_count + 1) * sizeof *call->terms);
    call->term_count = search->term_count;
    for (size_t i = 0; i < search->term_count; i++) {
        const struct sk_registry_term *term = &search->terms[i];
        struct sk_registry_value *values =
            sk_arena_alloc(arena, (term->count + 1) * sizeof *values);
        for (size_t j = 0; j < term->count; j++) values[j] = copy_value(arena, &term->values[j]);
        call->terms[i] = *term;
        call->terms[i].path = sk_arena_copy(arena, term->path);
        call->terms[i].values = values;
    }
    call->done.found = done;
    registry_read(call, run_find, tell);
}

const struct sk_registry_search_ops registry_search_ops = {
    .find = find, .field = field, .rest = rest};
