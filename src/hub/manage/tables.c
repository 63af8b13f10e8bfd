/* Tables of hub.toml out of ARM's objects and lists. */
#include "hub/manage/parts.h"

#include <stdarg.h>
#include <stdio.h>

void manage_refuse(struct manage_change *change, const char *format, ...) {
    if (change->why[0]) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(change->why, sizeof change->why, format, arguments);
    va_end(arguments);
}

/* ---- tables ---- */

void manage_set(json_t *table, const char *path, json_t *value) {
    char name[64];
    struct sk_span rest = sk_span_z(path), part;
    sk_span_split(&rest, '.', &part);
    while (rest.n) {
        snprintf(name, sizeof name, "%.*s", SK_ARG(part));
        json_t *below = json_object_get(table, name);
        if (below == NULL) json_object_set_new(table, name, below = json_object());
        table = below;
        sk_span_split(&rest, '.', &part);
    }
    snprintf(name, sizeof name, "%.*s", SK_ARG(part));
    json_object_set_new(table, name, value);
}

void manage_put(json_t *table, const char *key, json_t *value, json_t *otherwise) {
    const json_t *now = json_object_get(table, key);
    bool same = now ? json_equal(now, value) : json_equal(otherwise, value);
    if (!same) json_object_set(table, key, value);
    json_decref(value);
    json_decref(otherwise);
}

bool manage_knows(struct manage_change *change, const char *what, const json_t *object,
                  const char *members) {
    const char *name;
    json_t *value;
    if (!json_is_object(object)) {
        manage_refuse(change, "%s is an object", what);
        return false;
    }
    json_object_foreach((json_t *)object, name, value) {
        struct sk_span rest = sk_span_z(members), member;
        bool known = false;
        while (!known && sk_span_split(&rest, '|', &member)) known = sk_span_is(member, name);
        if (known) continue;
        manage_refuse(change, "%s has no '%.100s' here; leave it out", what, name);
        return false;
    }
    return true;
}

/* ---- lists ---- */

static bool is_about(const struct manage_list *list, const json_t *table) {
    return list->of == NULL || list->of(table, list->arg);
}

static json_t *find_table(const struct manage_list *list, const json_t *tables,
                          const json_t *name) {
    for (size_t i = 0; i < json_array_size(tables); i++) {
        json_t *table = json_array_get(tables, i);
        if (is_about(list, table) && json_equal(json_object_get(table, list->key), name))
            return table;
    }
    return NULL;
}

static const json_t *find_item(const struct manage_list *list, const json_t *items,
                               const json_t *table) {
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        if (json_equal(json_object_get(item, list->member), json_object_get(table, list->key)))
            return item;
    }
    return NULL;
}

static bool are_named(struct manage_change *change, const struct manage_list *list,
                      const json_t *items) {
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *name = json_object_get(json_array_get(items, i), list->member);
        if (!json_is_string(name)) {
            manage_refuse(change, "%s needs its %s", list->what, list->member);
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (!json_equal(json_object_get(json_array_get(items, j), list->member), name))
                continue;
            manage_refuse(change, "%s stands there twice: %s '%.100s'", list->what, list->member,
                          json_string_value(name));
            return false;
        }
    }
    return true;
}

static void append(struct manage_change *change, const struct manage_list *list, const json_t *item,
                   json_t *table, json_t *to) {
    if (table == NULL) {
        table = json_object();
        json_object_set(table, list->key, json_object_get(item, list->member));
        if (list->type) json_object_set_new(table, "type", json_string(list->type));
    } else {
        json_incref(table);
    }
    list->convert(change, item, table);
    json_array_append_new(to, table);
}

/* Those that are there stay where they are, the others come behind them; unless order matters. */
void manage_take_list(struct manage_change *change, const struct manage_list *list,
                      const json_t *items) {
    json_t *tables = json_object_get(change->table, list->array), *fresh;
    if (!json_is_array(items)) {
        manage_refuse(change, "%s: its list is an array", list->what);
        return;
    }
    if (!are_named(change, list, items)) return;
    fresh = json_array();
    for (size_t i = 0; i < json_array_size(tables) && !list->ordered; i++) {
        json_t *table = json_array_get(tables, i);
        const json_t *item = find_item(list, items, table);
        if (!is_about(list, table))
            json_array_append(fresh, table);
        else if (item)
            append(change, list, item, table, fresh);
    }
    for (size_t i = 0; i < json_array_size(items); i++) {
        const json_t *item = json_array_get(items, i);
        json_t *table = find_table(list, tables, json_object_get(item, list->member));
        if (table == NULL || list->ordered) append(change, list, item, table, fresh);
    }
    if (json_array_size(fresh))
        json_object_set(change->table, list->array, fresh);
    else
        json_object_del(change->table, list->array);
    json_decref(fresh);
}
