/* Values kept in order, by which searches find twins without going over all of them. A path that
 * searches ask for again and again gets a lookup: a row of table `lookup`, and a row of
 * `lookup_value` for each twin that has a text, a number or a truth there. Triggers of the schema
 * (db.c) keep those of rows up to `filled`; the others are added a step at a time, each a write
 * among the others. A search uses a lookup once it is filled to the end.
 *
 *   asked for -> filled 0 … n -> FILLED -> (another is asked for, and it was not used for a day)
 *   DROPPED -> gone when its last value is
 *
 * Where decisions are made: docs/decisions/0035-values-in-order.md. */
#include "store/registry/sqlite/parts.h"

#define FILLED INT64_MAX
#define DROPPED (-1)

enum {
    WORTH = 50000,   /* rows looked at in vain */
    STEP_ROWS = 500, /* of a write */
    TEXT_MAX = 128,  /* of a value; as in the triggers */
};
#define DAY_US (86400 * (int64_t)1000000)

/* ---- for searches ---- */

static bool fits(const struct sk_registry_term *term) {
    for (size_t i = 0; i < term->count; i++)
        if (term->values[i].is_text && term->values[i].text.n > TEXT_MAX) return false;
    return term->where != SK_WHERE_DEVICE_ID && (term->range || term->count > 0);
}

static enum sk_status find_lookup(struct registry_db *db, int where, struct sk_span path,
                                  int64_t *id, int64_t *filled) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_GET);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 1, where);
    registry_bind_text(statement, 2, path);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    *id = sqlite3_column_int64(statement, 0);
    *filled = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return SK_OK;
}

bool registry_lookup_is_ready(struct registry_db *db, const struct sk_registry_term *term,
                              int64_t *id) {
    int64_t filled;
    return fits(term) && find_lookup(db, (int)term->where, term->path, id, &filled) == SK_OK &&
           filled == FILLED;
}

bool registry_lookup_has_few(struct registry_db *db, const struct sk_registry_term *term,
                             int64_t id, unsigned most) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_RANGE_COUNT);
    if (statement == NULL) return false;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_double(statement, 2, term->low);
    sqlite3_bind_double(statement, 3, term->high);
    sqlite3_bind_int64(statement, 4, (sqlite3_int64)most + 1);
    if (registry_db_row(db, statement)) return false;
    int64_t count = sqlite3_column_int64(statement, 0);
    sqlite3_reset(statement);
    return count <= most;
}

/* ---- filling, a step at a time ---- */

static void work(struct registry *registry);

/* The one that is to be filled, or emptied, and how far it is. */
static enum sk_status next_work(struct registry_db *db, int64_t *id, int64_t *filled) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_WORK);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    *id = sqlite3_column_int64(statement, 0);
    *filled = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    return SK_OK;
}

static enum sk_status set_filled(struct registry_db *db, int64_t id, int64_t filled) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_FILLED);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, filled);
    return registry_db_run(db, statement);
}

static enum sk_status fill(struct registry_db *db, int64_t id, int64_t filled) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_TWIN_STEP);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, filled);
    sqlite3_bind_int(statement, 2, STEP_ROWS);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    bool end = sqlite3_column_int(statement, 0) < STEP_ROWS;
    int64_t to = sqlite3_column_int64(statement, 1);
    sqlite3_reset(statement);
    statement = registry_db_statement(db, SQL_LOOKUP_FILL);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, filled);
    sqlite3_bind_int64(statement, 3, to);
    status = registry_db_run(db, statement);
    return status ? status : set_filled(db, id, end ? FILLED : to);
}

static enum sk_status empty(struct registry_db *db, int64_t id) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_EMPTY);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int(statement, 2, STEP_ROWS);
    enum sk_status status = registry_db_run(db, statement);
    if (status || sqlite3_changes(db->handle) == STEP_ROWS) return status;
    statement = registry_db_statement(db, SQL_LOOKUP_DELETE);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, id);
    return registry_db_run(db, statement);
}

/* SK_NOT_FOUND: nothing is to be done any more. */
static enum sk_status run_step(struct registry_db *db, struct registry_call *call) {
    int64_t id, filled;
    (void)call;
    enum sk_status status = next_work(db, &id, &filled);
    if (status) return status;
    return filled == DROPPED ? empty(db, id) : fill(db, id, filled);
}

/* Where it failed it is tried again when somebody asks for a lookup, or at the next start. */
static void step_done(struct registry_call *call, const struct sk_registry_end *end) {
    struct registry_lookups *lookups = registry_lookups(call);
    lookups->working = false;
    if (end->status == SK_OK) work(call->registry);
}

static void nobody_waits(void *arg, const struct sk_registry_end *end) {
    (void)arg, (void)end; /* tell does it all */
}

static void work(struct registry *registry) {
    struct registry_call *call =
        registry_call_new((struct sk_registry *)registry, SK_NONE, SK_NONE, NULL);
    registry_lookups(call)->working = true;
    call->done.done = nobody_waits;
    registry_write(call, run_step, step_done);
}

void registry_lookups_start(struct registry *registry, struct registry_db *db) {
    int64_t id, filled;
    if (next_work(db, &id, &filled) == SK_OK) work(registry);
}

/* ---- what is asked for ---- */

/* Too many: the one that was used longest ago goes, if that was long ago. */
static enum sk_status make_room(struct registry_db *db, int64_t wall_us) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_OLDEST);
    enum sk_status status = registry_db_row(db, statement);
    if (status) return status;
    int64_t count = sqlite3_column_int64(statement, 0), id = sqlite3_column_int64(statement, 1),
            used_us = sqlite3_column_int64(statement, 2);
    sqlite3_reset(statement);
    if (count < REGISTRY_LOOKUPS_MAX) return SK_OK;
    return id && used_us < wall_us - DAY_US ? set_filled(db, id, DROPPED) : SK_TOO_LARGE;
}

static enum sk_status run_add(struct registry_db *db, struct registry_call *call) {
    int64_t id, filled;
    enum sk_status status = find_lookup(db, (int)call->max, call->key, &id, &filled);
    if (status != SK_NOT_FOUND) return status; /* it is on its way */
    if ((status = make_room(db, call->wall_us))) return status;
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_ADD);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int(statement, 1, (int)call->max);
    registry_bind_text(statement, 2, call->key);
    sqlite3_bind_int64(statement, 3, call->wall_us);
    return registry_db_run(db, statement);
}

static void added(struct registry_call *call, const struct sk_registry_end *end) {
    if (end->status == SK_OK && !registry_lookups(call)->working) work(call->registry);
}

static void add(struct registry *registry, const struct registry_wanted *wanted) {
    struct registry_call *call =
        registry_call_new((struct sk_registry *)registry, SK_NONE, SK_NONE, NULL);
    call->max = wanted->where;
    call->key = sk_arena_copy(&call->arena, sk_span_z(wanted->path));
    call->done.done = nobody_waits;
    registry_write(call, run_add, added);
}

static enum sk_status run_used(struct registry_db *db, struct registry_call *call) {
    sqlite3_stmt *statement = registry_db_statement(db, SQL_LOOKUP_USED);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, call->lookup);
    sqlite3_bind_int64(statement, 2, call->wall_us);
    return registry_db_run(db, statement);
}

static void note_use(struct registry_call *from) {
    struct registry_lookups *lookups = registry_lookups(from);
    int64_t day = from->wall_us / DAY_US;
    int64_t *known = &lookups->days[from->lookup % REGISTRY_LOOKUPS_MAX];
    if (*known == day) return;
    *known = day;
    struct registry_call *call =
        registry_call_new((struct sk_registry *)from->registry, SK_NONE, SK_NONE, NULL);
    call->lookup = from->lookup;
    registry_write(call, run_used, registry_tell_done); /* nobody waits: else another day */
}

/* The path's count; a new one takes the place of the least wanted. */
static struct registry_wanted *count_of(struct registry_lookups *lookups,
                                        const struct sk_registry_term *term) {
    struct registry_wanted *least = &lookups->wanted[0];
    for (size_t i = 0; i < REGISTRY_WANTED_MAX; i++) {
        struct registry_wanted *one = &lookups->wanted[i];
        if (one->path && one->where == term->where && sk_span_is(term->path, one->path)) return one;
        if (one->rows < least->rows) least = one;
    }
    free(least->path);
    *least = (struct registry_wanted){.where = term->where, .path = sk_span_dup(term->path)};
    return least;
}

void registry_lookups_learn(struct registry_call *call) {
    struct registry_lookups *lookups = registry_lookups(call);
    if (call->found.search.way == SK_WAY_VALUES) note_use(call);
    if (call->found.search.way != SK_WAY_ALL) return;
    size_t in_vain = call->looked_at - call->entries.count;
    for (size_t i = 0; i < call->term_count && in_vain; i++) {
        if (!fits(&call->terms[i])) continue;
        struct registry_wanted *wanted = count_of(lookups, &call->terms[i]);
        wanted->rows += in_vain;
        if (wanted->rows < WORTH) continue;
        wanted->rows = 0;
        add(call->registry, wanted);
    }
}

void registry_lookups_free(struct registry_lookups *lookups) {
    for (size_t i = 0; i < REGISTRY_WANTED_MAX; i++) free(lookups->wanted[i].path);
}
