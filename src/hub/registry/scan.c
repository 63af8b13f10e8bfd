/* Which twins a query selects: the registry goes over them by turns, however many it takes; others
 * go on meanwhile. The condition is evaluated on each where it is kept, so that only what is
 * selected is parsed. What of the condition the registry can look up it is given, so that it goes
 * over the fewer. */
#include "hub/parts.h"

#include <math.h>
#include <stdio.h>

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

/* One that is there already and is about the same numbers. */
static struct sk_registry_term *find_range(const struct sk_registry_term *like,
                                           struct sk_registry_term *terms, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (terms[i].range && terms[i].where == like->where &&
            sk_span_eq(terms[i].path, like->path))
            return &terms[i];
    return NULL;
}

/* Another bound of a range that is there, or of a new one. The registry may read numbers a little
 * otherwise than we do: what is just outside is for the evaluator to leave out. */
static size_t put_bound(struct sk_arena *arena, const struct sk_expr_term *from,
                        struct sk_registry_term *terms, size_t count) {
    double n = from->values->number, more = fabs(n) * 1e-12;
    struct sk_registry_term to = {.range = true, .low = -INFINITY, .high = INFINITY};
    if (!put_where(arena, from, &to) || to.where == SK_WHERE_DEVICE_ID) return 0;
    struct sk_registry_term *there = find_range(&to, terms, count);
    if (there == NULL) terms[count] = to;
    struct sk_registry_term *term = there ? there : &terms[count];
    if (from->how == SK_TERM_AT_LEAST && n - more > term->low) term->low = n - more;
    if (from->how == SK_TERM_AT_MOST && n + more < term->high) term->high = n + more;
    return there == NULL;
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
    for (size_t i = 0; i < n; i++)
        count += found[i].how == SK_TERM_ONE_OF ? put_term(arena, &found[i], &terms[count])
                                                : put_bound(arena, &found[i], terms, count);
    return count;
}

/* ---- a twin where it is kept, as the service's document ---- */

struct kept_twin {
    struct hub_scan *scan;
    const struct sk_registry_row *row;
    json_t *rest;           /* all but the sections; NULL until somebody asks */
    char id[2 + SK_ID_MAX]; /* in quotes: ids hold nothing that JSON would escape */
};

static struct sk_span quoted(struct kept_twin *twin, enum sk_registry_field field) {
    struct sk_span id = sk_registry_row_field(twin->row, field);
    if (id.n == 0) return SK_NONE; /* a device has no moduleId */
    int n = snprintf(twin->id, sizeof twin->id, "\"%.*s\"", SK_ARG(id));
    SK_ASSERT(n > 0 && (size_t)n <= sizeof twin->id);
    return sk_span(twin->id, (size_t)n);
}

/* Of tags the document has nothing where there are none. */
static struct sk_span tags_of(const struct kept_twin *twin) {
    struct sk_span tags = sk_registry_row_field(twin->row, SK_FIELD_TAGS);
    return sk_span_is(tags, "{}") ? SK_NONE : tags;
}

/* "properties", "desired" or "reported", and what follows; false: it is in the rest. */
static bool find_section(const struct kept_twin *twin, const struct sk_json_step *path,
                         size_t count, struct sk_span *json, size_t *steps) {
    bool desired = count > 1 && sk_span_is(path[1].key, "desired");
    if (!desired && !(count > 1 && sk_span_is(path[1].key, "reported"))) return false;
    *steps = 2;
    bool ours = count > 2 && path[2].key.n && path[2].key.p[0] == '$';
    if (ours && !sk_span_is(path[2].key, "$metadata")) return false;
    enum sk_registry_field section = desired ? SK_FIELD_DESIRED : SK_FIELD_REPORTED,
                           metadata =
                               desired ? SK_FIELD_DESIRED_METADATA : SK_FIELD_REPORTED_METADATA;
    *steps += ours;
    *json = sk_registry_row_field(twin->row, ours ? metadata : section);
    return true;
}

static bool find_piece(void *arg, const struct sk_json_step *path, size_t count,
                       struct sk_span *json, size_t *steps) {
    struct kept_twin *twin = arg;
    *steps = 1;
    if (count == 0 || path[0].key.p == NULL) return false;
    if (sk_span_is(path[0].key, "properties")) return find_section(twin, path, count, json, steps);
    if (sk_span_is(path[0].key, "tags"))
        *json = tags_of(twin);
    else if (sk_span_is(path[0].key, "deviceId"))
        *json = quoted(twin, SK_FIELD_DEVICE_ID);
    else if (sk_span_is(path[0].key, "moduleId"))
        *json = quoted(twin, SK_FIELD_MODULE_ID);
    else
        return false;
    return true;
}

static const json_t *find_rest(void *arg) {
    struct kept_twin *twin = arg;
    struct sk_registry_entry entry;
    if (twin->rest) return twin->rest;
    sk_registry_row_rest(twin->row, &entry);
    struct sk_span text = sk_registry_row_field(twin->row, SK_FIELD_CONFIGURATIONS);
    if (text.n) entry.twin.configurations = json_loadb(text.p, text.n, 0, NULL);
    twin->rest = sk_twin_service_json(&entry.twin, &entry.identity,
                                      hub_presence(twin->scan->hub, &entry.identity));
    sk_identity_free(&entry.identity);
    sk_twin_free(&entry.twin);
    return twin->rest;
}

static enum sk_registry_verdict decide(struct hub_scan *scan, struct kept_twin *twin) {
    const struct sk_expr_source source = {.piece = find_piece, .rest = find_rest, .arg = twin};
    struct sk_arena *arena = &scan->hub->arena;
    if (!sk_query_selects(scan->query, &source, arena)) return SK_ROW_PASSED;
    if (scan->groups == NULL) return SK_ROW_KEPT;
    scan->too_many = sk_select_add(scan->groups, &source, arena) != SK_OK;
    return scan->too_many ? SK_ROW_ENOUGH : SK_ROW_PASSED;
}

static enum sk_registry_verdict look(void *arg, const struct sk_registry_row *row) {
    struct kept_twin twin = {.scan = arg, .row = row};
    enum sk_registry_verdict verdict = decide(arg, &twin);
    json_decref(twin.rest);
    return verdict;
}

/* ---- going over them ---- */

static bool take(struct hub_scan *scan, const struct sk_registry_entry *entry) {
    json_t *twin = sk_twin_service_json(&entry->twin, &entry->identity,
                                        hub_presence(scan->hub, &entry->identity));
    bool goes_on = scan->take(scan, entry, twin);
    json_decref(twin);
    return goes_on;
}

static void got_some(void *arg, const struct sk_registry_end *end,
                     const struct sk_registry_found *found) {
    struct hub_scan *scan = arg;
    bool enough = scan->too_many;
    for (size_t i = 0; i < found->count && !enough; i++) {
        enough = !take(scan, &found->entries[i]);
        scan->after = found->entries[i].place;
        scan->more = i + 1 < found->count || found->more;
    }
    if (!enough) {
        scan->after = found->after;
        scan->more = found->more;
    }
    if (end->status || enough || !scan->more)
        scan->ended(scan, end);
    else
        hub_scan_run(scan);
}

static void search(struct hub_scan *scan, size_t max, sk_registry_found_done *done) {
    struct sk_arena arena = {0};
    struct sk_registry_term terms[HUB_TERMS_MAX];
    sk_registry_find_twins(
        scan->hub->registry,
        &(struct sk_registry_search){.modules = scan->query->from == SK_FROM_MODULES,
                                     .after = scan->after,
                                     .max = max,
                                     .terms = terms,
                                     .term_count = hub_search_terms(scan->query, &arena, terms),
                                     .look = look},
        done, scan);
    sk_arena_free(&arena);
}

void hub_scan_run(struct hub_scan *scan) {
    search(scan, BATCH, got_some);
}

void hub_scan_ask(struct hub_scan *scan, sk_registry_found_done *done) {
    search(scan, 0, done);
}
