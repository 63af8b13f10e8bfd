/* Groups: the values that they have in common, and what was gathered of each aggregate. */
#include "expr/query.h"

#include "expr/program.h"
#include "model/json_text.h"

/* What was gathered of one item in one group. */
struct gathered {
    uint64_t count;
    double sum;
    json_t *best; /* of MIN and MAX, and the value itself of others; NULL: none */
};

struct group {
    char *key; /* JSON text of the values that it is told by */
    struct gathered *items;
};

struct sk_select {
    const struct sk_query *query;
    struct sk_map by_key;
    struct group **groups;
    size_t count, capacity;
};

static struct group *add_group(struct sk_select *select, char *key) {
    struct group *group = SK_NEW(struct group);
    group->key = key;
    group->items = sk_alloc(select->query->item_count * sizeof *group->items);
    sk_map_put(&select->by_key, sk_span_z(key), group);
    if (select->count == select->capacity) {
        select->capacity = select->capacity ? select->capacity * 2 : 16;
        select->groups = sk_realloc(select->groups, select->capacity * sizeof *select->groups);
    }
    select->groups[select->count++] = group;
    return group;
}

struct sk_select *sk_select_new(const struct sk_query *query) {
    struct sk_select *select = SK_NEW(struct sk_select);
    select->query = query;
    if (query->group_count == 0) add_group(select, sk_span_dup(SK_SPAN("[]")));
    return select;
}

void sk_select_free(struct sk_select *select) {
    if (select == NULL) return;
    for (size_t i = 0; i < select->count; i++) {
        struct group *group = select->groups[i];
        for (size_t j = 0; j < select->query->item_count; j++) json_decref(group->items[j].best);
        free(group->items);
        free(group->key);
        free(group);
    }
    free(select->groups);
    sk_map_free(&select->by_key);
    free(select);
}

/* What is not there is no null. */
static char *key_of(const struct sk_query *query, const struct sk_expr_source *document,
                    struct sk_arena *arena) {
    json_t *values = json_array();
    for (size_t i = 0; i < query->group_count; i++) {
        json_t *value = expr_value(query->groups[i], document, arena);
        json_array_append_new(values, value ? json_pack("[o]", value) : json_array());
    }
    char *key = sk_json_text(values);
    json_decref(values);
    return key;
}

/* Whether a stands before b; both of one kind, numbers or texts. */
static bool is_less(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) return json_number_value(a) < json_number_value(b);
    if (!json_is_string(a) || !json_is_string(b)) return false;
    return sk_span_compare(sk_span(json_string_value(a), json_string_length(a)),
                           sk_span(json_string_value(b), json_string_length(b))) < 0;
}

static void keep(struct gathered *gathered, json_t *value) {
    json_decref(gathered->best);
    gathered->best = json_incref(value);
}

static void gather(const struct sk_query_item *item, struct gathered *gathered, json_t *value) {
    bool ordered = json_is_number(value) || json_is_string(value);
    switch (item->aggregate) {
    case SK_AGGREGATE_NONE:
        if (gathered->count++ == 0 && value) keep(gathered, value);
        break;
    case SK_AGGREGATE_COUNT: gathered->count += item->value == NULL || value != NULL; break;
    case SK_AGGREGATE_SUM:
    case SK_AGGREGATE_AVG:
        if (!json_is_number(value)) break;
        gathered->count++;
        gathered->sum += json_number_value(value);
        break;
    case SK_AGGREGATE_MIN:
        if (ordered && (gathered->best == NULL || is_less(value, gathered->best)))
            keep(gathered, value);
        break;
    case SK_AGGREGATE_MAX:
        if (ordered && (gathered->best == NULL || is_less(gathered->best, value)))
            keep(gathered, value);
        break;
    }
}

enum sk_status sk_select_add(struct sk_select *select, const struct sk_expr_source *document,
                             struct sk_arena *arena) {
    const struct sk_query *query = select->query;
    char *key = key_of(query, document, arena);
    struct group *group = sk_map_get(&select->by_key, sk_span_z(key));
    if (group) {
        free(key);
    } else if (select->count == SK_QUERY_GROUPS_MAX) {
        free(key);
        return SK_TOO_LARGE;
    } else {
        group = add_group(select, key);
    }
    for (size_t i = 0; i < query->item_count; i++) {
        const struct sk_query_item *item = &query->items[i];
        json_t *value = item->value ? expr_value(item->value, document, arena) : NULL;
        gather(item, &group->items[i], value);
        json_decref(value);
    }
    return SK_OK;
}

size_t sk_select_count(const struct sk_select *select) {
    return select->count;
}

static json_t *result(const struct sk_query_item *item, const struct gathered *gathered) {
    switch (item->aggregate) {
    case SK_AGGREGATE_COUNT: return json_integer((json_int_t)gathered->count);
    case SK_AGGREGATE_SUM: return expr_number_json(gathered->sum);
    case SK_AGGREGATE_AVG:
        return gathered->count ? expr_number_json(gathered->sum / (double)gathered->count) : NULL;
    default: return json_incref(gathered->best);
    }
}

json_t *sk_select_row(const struct sk_select *select, size_t index) {
    const struct sk_query *query = select->query;
    json_t *row = json_object();
    for (size_t i = 0; i < query->item_count; i++) {
        const struct sk_query_item *item = &query->items[i];
        json_t *value = result(item, &select->groups[index]->items[i]);
        if (value) json_object_setn_new(row, item->name.p, item->name.n, value);
    }
    return row;
}
