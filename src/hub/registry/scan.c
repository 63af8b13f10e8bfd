/* Which twins a query selects: batches are read by turns, however many it takes, and the condition
 * is evaluated on each twin; others go on meanwhile. What of the condition the registry can look
 * up it is given, so that it reads the fewer. */
#include "hub/parts.h"

enum {
    BATCH = 16,      /* twins a read, which is a piece of a turn's work */
    VALUES_MAX = 100 /* of a term that is looked up */
};

/* ---- what can be looked up ---- */

static bool plain(struct sk_span key) {
    return key.n > 0 && sk_span_only(key, "-_");
}

/* "$.\"a\"[0]" of the steps behind a section; false: a key is not for SQL. */
static bool put_path(struct sk_arena *arena, const struct sk_json_step *steps, size_t count,
                     struct sk_span *path) {
    struct sk_buffer text = {0};
    bool fine = true;
    sk_buffer_byte(&text, '$');
    for (size_t i = 0; i < count && fine; i++) {
        if (steps[i].key.p == NULL)
            sk_buffer_print(&text, "[%u]", steps[i].index);
        else if ((fine = plain(steps[i].key)))
            sk_buffer_print(&text, ".\"%.*s\"", SK_ARG(steps[i].key));
    }
    *path = sk_arena_copy(arena, sk_buffer_span(&text));
    sk_buffer_free(&text);
    return fine;
}

/* Texts, truths and whole numbers are the same to every store; other numbers are not for sure. */
static bool put_value(const struct sk_value *value, struct sk_registry_value *to) {
    *to = (struct sk_registry_value){0};
    switch (value->type) {
    case SK_VALUE_STRING:
        to->is_text = true;
        to->text = value->text;
        return true;
    case SK_VALUE_BOOL: to->number = value->truth; return true;
    case SK_VALUE_NUMBER:
        if (value->number < -4503599627370496.0 || value->number > 4503599627370496.0) return false;
        to->number = (int64_t)value->number;
        return (double)to->number == value->number;
    default: return false;
    }
}

static bool put_where(struct sk_arena *arena, const struct sk_expr_term *from,
                      struct sk_registry_term *to) {
    const struct sk_json_step *path = from->path;
    size_t count = from->path_count;
    if (count == 0 || path[0].key.p == NULL) return false;
    bool properties = count > 2 && sk_span_is(path[0].key, "properties");
    if (count == 1 && sk_span_is(path[0].key, "deviceId")) {
        to->where = SK_WHERE_DEVICE_ID;
    } else if (count == 1 && sk_span_is(path[0].key, "moduleId")) {
        to->where = SK_WHERE_MODULE_ID;
    } else if (count > 1 && sk_span_is(path[0].key, "tags")) {
        to->where = SK_WHERE_TAGS;
        return put_path(arena, path + 1, count - 1, &to->path);
    } else if (properties && sk_span_is(path[1].key, "desired")) {
        to->where = SK_WHERE_DESIRED;
        return put_path(arena, path + 2, count - 2, &to->path);
    } else if (properties && sk_span_is(path[1].key, "reported")) {
        to->where = SK_WHERE_REPORTED;
        return put_path(arena, path + 2, count - 2, &to->path);
    } else {
        return false;
    }
    return true;
}

/* False: this one is for the evaluator alone. */
static bool put_term(struct sk_arena *arena, const struct sk_expr_term *from,
                     struct sk_registry_term *to) {
    *to = (struct sk_registry_term){0};
    if (from->value_count > VALUES_MAX || !put_where(arena, from, to)) return false;
    struct sk_registry_value *values =
        sk_arena_alloc(arena, (from->value_count + 1) * sizeof *values);
    for (size_t i = 0; i < from->value_count; i++)
        if (!put_value(&from->values[i], &values[i])) return false;
    to->values = values;
    to->count = from->value_count;
    return true;
}

size_t hub_search_terms(const struct sk_query *query, struct sk_arena *arena,
                        struct sk_registry_term terms[HUB_TERMS_MAX]) {
    struct sk_expr_term found[HUB_TERMS_MAX];
    size_t count = 0, n = query->where ? sk_expr_terms(query->where, found, HUB_TERMS_MAX) : 0;
    for (size_t i = 0; i < n; i++) count += put_term(arena, &found[i], &terms[count]);
    return count;
}

/* ---- reading ---- */

/* False: enough. */
static bool look_at(struct hub_scan *scan, const struct sk_registry_entry *entry) {
    json_t *twin = sk_twin_service_json(&entry->twin, &entry->identity,
                                        hub_presence(scan->hub, &entry->identity));
    sk_identity_set(&scan->after_device, sk_span_z(entry->identity.device_id));
    sk_identity_set(&scan->after_module, sk_span_z(entry->identity.module_id));
    bool goes_on =
        !sk_query_selects(scan->query, twin, &scan->hub->arena) || scan->take(scan, entry, twin);
    json_decref(twin);
    return goes_on;
}

static void got_batch(void *arg, const struct sk_registry_end *end,
                      const struct sk_registry_entries *list) {
    struct hub_scan *scan = arg;
    bool enough = false;
    size_t i = 0;
    for (; i < list->count && !enough; i++) enough = !look_at(scan, &list->entries[i]);
    scan->more = i < list->count || list->more;
    if (list->after_device.n && i == list->count) { /* it has looked further than what it gave */
        sk_identity_set(&scan->after_device, list->after_device);
        sk_identity_set(&scan->after_module, list->after_module);
    }
    if (end->status || enough || !scan->more)
        scan->ended(scan, end);
    else
        hub_scan_run(scan);
}

void hub_scan_run(struct hub_scan *scan) {
    struct sk_arena arena = {0};
    struct sk_registry_term terms[HUB_TERMS_MAX];
    sk_registry_find_twins(
        scan->hub->registry,
        &(struct sk_registry_search){.modules = scan->query->from == SK_FROM_MODULES,
                                     .after_device = sk_span_z(scan->after_device),
                                     .after_module = sk_span_z(scan->after_module),
                                     .max = BATCH,
                                     .terms = terms,
                                     .term_count = hub_search_terms(scan->query, &arena, terms)},
        got_batch, scan);
    sk_arena_free(&arena);
}

void hub_scan_free(struct hub_scan *scan) {
    free(scan->after_device);
    free(scan->after_module);
}
