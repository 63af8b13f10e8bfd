/* Twins that are changed again and again are held, parsed, beside the writer's connection: a change
 * of one costs no read and no parsing, and however often it is changed within a transaction, it is
 * written once, before the commit or before another kind of call may read it. Whoever changes
 * identities, or undoes, has them all let go (registry_held_forget); a twin that the last few
 * transactions did not change is let go of by itself.
 *
 * They belong to whoever has the writer: the worker while a transaction is under way. */
#include "store/registry/sqlite/parts.h"
#include "model/json_text.h"

enum {
    TRANSACTIONS = 4, /* that may go by without a change */
    HELD_MAX = 512,
    BYTES_MAX = 512 * 1024, /* of JSON text; parsed it takes some times as much */
};

struct registry_held {
    struct sk_list link;         /* those changed longest ago come first */
    struct sk_list unwritten;    /* in the list of those that are, or alone */
    char key[2 * SK_ID_MAX + 2]; /* "device/module" */
    int64_t row;
    struct sk_identity identity;
    struct sk_twin twin;
    bool reported_only; /* what is not written */
    int64_t edited_us;  /* when tags or desired properties were changed, of what is not written */
    size_t bytes;
    uint64_t transaction; /* that changed it last */
};

void registry_held_init(struct registry_db *db) {
    sk_list_init(&db->held.list);
    sk_list_init(&db->held.unwritten);
}

static void let_go(struct registry_db *db, struct registry_held *held) {
    sk_map_remove(&db->held.by_key, sk_span_z(held->key));
    sk_list_remove(&held->link);
    sk_list_remove(&held->unwritten);
    db->held.bytes -= held->bytes;
    sk_identity_free(&held->identity);
    sk_twin_free(&held->twin);
    free(held);
}

static struct registry_held *oldest(struct registry_db *db) {
    return SK_LIST_FIRST(&db->held.list, struct registry_held, link);
}

void registry_held_forget(struct registry_db *db) {
    while (db->held.by_key.count) let_go(db, oldest(db));
    sk_map_free(&db->held.by_key);
    db->held.by_key = (struct sk_map){0};
}

/* Within a transaction too there are not too many. */
static enum sk_status make_room(struct registry_db *db) {
    if (db->held.by_key.count < HELD_MAX) return SK_OK;
    enum sk_status status = registry_held_write(db);
    if (!status) let_go(db, oldest(db));
    return status;
}

static enum sk_status load(struct registry_db *db, struct sk_span device_id,
                           struct sk_span module_id, struct registry_held *held) {
    enum sk_status status = make_room(db);
    if (status) return status;
    status = registry_identity_load(db, device_id, module_id, &held->identity, &held->row);
    if (status) return status;
    status = registry_twin_load(db, held->row, &held->twin, &held->bytes);
    if (status) sk_identity_free(&held->identity);
    return status;
}

static void put_key(char to[2 * SK_ID_MAX + 2], struct sk_span device_id,
                    struct sk_span module_id) {
    memcpy(to, device_id.p, device_id.n);
    to[device_id.n] = '/';
    if (module_id.n) memcpy(to + device_id.n + 1, module_id.p, module_id.n);
    to[device_id.n + 1 + module_id.n] = 0;
}

enum sk_status registry_held_get(struct registry_db *db, struct sk_span device_id,
                                 struct sk_span module_id, struct registry_held **found) {
    char key[2 * SK_ID_MAX + 2];
    if (device_id.n > SK_ID_MAX || module_id.n > SK_ID_MAX) return SK_NOT_FOUND;
    put_key(key, device_id, module_id);
    struct registry_held *held = sk_map_get(&db->held.by_key, sk_span_z(key));
    if (held == NULL) {
        held = SK_NEW(struct registry_held);
        enum sk_status status = load(db, device_id, module_id, held);
        if (status) {
            free(held);
            return status;
        }
        memcpy(held->key, key, sizeof key);
        sk_list_init(&held->unwritten);
        sk_list_append(&db->held.list, &held->link);
        sk_map_put(&db->held.by_key, sk_span_z(held->key), held);
        db->held.bytes += held->bytes;
    }
    held->transaction = db->held.transaction;
    *found = held;
    return SK_OK;
}

struct sk_twin *registry_held_twin(struct registry_held *held) {
    return &held->twin;
}

const struct sk_identity *registry_held_identity(const struct registry_held *held) {
    return &held->identity;
}

void registry_held_changed(struct registry_db *db, struct registry_held *held,
                           const struct sk_twin_change *change, int64_t wall_us) {
    bool is_new = sk_list_empty(&held->unwritten), edited = change->tags || change->desired,
         reported_only = !edited && !change->configurations && !change->configured;
    if (edited) held->edited_us = wall_us;
    held->reported_only = reported_only && (is_new || held->reported_only);
    if (is_new) sk_list_append(&db->held.unwritten, &held->unwritten);
    sk_list_remove(&held->link);
    sk_list_append(&db->held.list, &held->link);
}

/* Changes that one transaction stores are one version of the past. */
static enum sk_status remember(struct registry_db *db, struct registry_held *held) {
    const struct sk_twin *twin = &held->twin;
    if (held->edited_us == 0 || db->held.past == 0) return SK_OK;
    json_t *document =
        json_pack("{s:I,s:I,s:O,s:O}", "us", (json_int_t)held->edited_us, "desiredVersion",
                  (json_int_t)twin->desired_version, "tags", twin->tags, "desired", twin->desired);
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    json_decref(document);
    sqlite3_stmt *statement = registry_db_statement(db, SQL_PAST_PUT);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, held->row);
    sqlite3_bind_int64(statement, 2, (sqlite3_int64)twin->version);
    registry_bind_text(statement, 3, sk_span_z(text));
    enum sk_status status = registry_db_run(db, statement);
    if (status) return status;
    statement = registry_db_statement(db, SQL_PAST_TRIM);
    if (statement == NULL) return registry_db_error(db);
    sqlite3_bind_int64(statement, 1, held->row);
    sqlite3_bind_int(statement, 2, (int)db->held.past);
    return registry_db_run(db, statement);
}

enum sk_status registry_held_write(struct registry_db *db) {
    struct registry_held *held;
    while ((held = SK_LIST_FIRST(&db->held.unwritten, struct registry_held, unwritten)) != NULL) {
        size_t bytes = 0;
        enum sk_status status = registry_twin_store(
            db, held->row, &held->twin,
            held->reported_only ? REGISTRY_TWIN_REPORTS : REGISTRY_TWIN_UPDATE, &bytes);
        if (!status) status = remember(db, held);
        if (status) return status;
        held->edited_us = 0;
        if (bytes > held->bytes || !held->reported_only) { /* else: as large as it may be */
            db->held.bytes += bytes - held->bytes;
            held->bytes = bytes;
        }
        sk_list_remove(&held->unwritten);
        sk_list_init(&held->unwritten);
    }
    return SK_OK;
}

void registry_held_age(struct registry_db *db) {
    struct registry_held *held;
    db->held.transaction++;
    while ((held = oldest(db)) != NULL &&
           (held->transaction + TRANSACTIONS < db->held.transaction || db->held.bytes > BYTES_MAX))
        let_go(db, held);
}
