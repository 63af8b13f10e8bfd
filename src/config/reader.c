/* One walk over the file and the rows: what is there, what is missing, what nobody knows. */
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "config/config.h"
#include "config/toml.h"
#include "model/json_text.h"

enum { PATH_MAX_TEXT = 256 };

struct sk_span sk_config_parent(const struct sk_config_key *key) {
    const char *dot = strrchr(key->path, '.');
    return sk_span(key->path, dot ? (size_t)(dot - key->path) : 0);
}

struct sk_span sk_config_name(const struct sk_config_key *key) {
    struct sk_span parent = sk_config_parent(key);
    struct sk_span name = sk_span_skip(sk_span_z(key->path), parent.n ? parent.n + 1 : 0);
    return sk_span_first(name, sk_span_find(name, '['));
}

static bool is_below(const struct sk_config_key *key, const char *table) {
    return sk_span_is(sk_config_parent(key), table);
}

/* "path.name" in a buffer of the caller. */
static const char *join(char to[PATH_MAX_TEXT], const char *path, struct sk_span name) {
    if (name.n > 60) name = sk_span_first(name, 60);
    snprintf(to, PATH_MAX_TEXT, "%.180s%s%.*s", path, *path ? "." : "", SK_ARG(name));
    return to;
}

/* ---- mistakes ---- */

void sk_config_refuse(struct sk_config *config, const char *path, const char *format, ...) {
    char text[SK_CONFIG_ERROR_MAX];
    unsigned line = sk_toml_line(config->lines, path);
    int n = line ? snprintf(text, sizeof text, "%.200s:%u: %.160s: ", config->file, line, path)
                 : snprintf(text, sizeof text, "%.200s: %.160s: ", config->file, path);
    va_list args;
    va_start(args, format);
    vsnprintf(text + n, sizeof text - (size_t)n, format, args);
    va_end(args);
    size_t used = config->failed ? strlen(config->error) : 0;
    if (used == 0)
        snprintf(config->error, SK_CONFIG_ERROR_MAX, "%s", text);
    else if (used + 1 + strlen(text) < SK_CONFIG_ERROR_MAX)
        snprintf(config->error + used, SK_CONFIG_ERROR_MAX - used, "\n%s", text);
    config->failed = true;
}

static void refuse_value(struct sk_config *config, const struct sk_config_key *key,
                         const char *path) {
    struct sk_buffer must = {0};
    sk_config_put_must(&must, key);
    const char *such_as = key->such_as ? key->such_as : key->type->such_as;
    if (such_as && !key->choices && !key->secret) sk_buffer_print(&must, ", such as %s", such_as);
    if (key->mend) sk_buffer_print(&must, "; %s", key->mend);
    sk_config_refuse(config, path, "must be %.*s.", SK_ARG(sk_buffer_span(&must)));
    sk_buffer_free(&must);
}

static void warn_unused(struct sk_config *config, const struct sk_config_key *key,
                        const char *path) {
    char sentence[SK_CONFIG_ERROR_MAX];
    if (config->warning == NULL) return;
    snprintf(sentence, sizeof sentence, "%.200s:%u: %.160s is not used here%s%.200s.", config->file,
             sk_toml_line(config->lines, path), path, key->does ? ": " : "",
             key->does ? key->does : "");
    config->warning(sentence);
}

static void check_known(struct sk_config *config, const char *table_path, const char *path,
                        const json_t *table) {
    const char *name;
    json_t *value;
    char full[PATH_MAX_TEXT], meant[PATH_MAX_TEXT];
    json_object_foreach((json_t *)table, name, value) {
        struct sk_nearest near = {0};
        bool known = false;
        SK_CONFIG_EACH(config->keys, key) {
            if (!is_below(key, table_path)) continue;
            known |= sk_span_is(sk_config_name(key), name);
            sk_nearest_try(&near, sk_span_z(name), sk_config_name(key));
        }
        if (known) continue;
        join(full, path, sk_span_z(name));
        if (near.word.n)
            sk_config_refuse(config, full, "is not known; did you mean %s?",
                             join(meant, path, near.word));
        else
            sk_config_refuse(config, full, "is not known; remove it or correct its name.");
    }
}

/* ---- values ---- */

static bool is_within(const struct sk_config_key *key, int64_t n) {
    if (key->least == 0 && key->most == 0) return true;
    return n >= key->least && (key->most == 0 || n <= key->most);
}

static void tell(struct sk_config *config, const struct sk_config_key *key, const char *path,
                 const json_t *value, bool is_default) {
    if (config->told == NULL) return;
    sk_buffer_print(config->told, "%s = ", path);
    if (key->secret)
        sk_buffer_text(config->told, "…");
    else
        sk_json_put(config->told, value, 0);
    sk_buffer_text(config->told, is_default ? " (default)\n" : "\n");
}

/* False: it was refused, or is of no use. */
static bool check_value(struct sk_config *config, const struct sk_config_key *key, const char *path,
                        const json_t *value) {
    int64_t n = 0;
    bool table = key->type->or_table && json_is_object(value);
    if (!table && (!key->type->measure(key, value, &n) || !is_within(key, n))) {
        refuse_value(config, key, path);
        return false;
    }
    if (key->unused) warn_unused(config, key, path);
    return !key->unused;
}

static void read_value(struct sk_config *config, const struct sk_config_key *key, const char *path,
                       const json_t *value, void *base) {
    json_t *standard = NULL;
    if (value == NULL && key->need) sk_config_refuse(config, path, "is missing; %s.", key->need);
    if (value == NULL && key->otherwise)
        value = standard = json_loads(key->otherwise, JSON_DECODE_ANY, NULL);
    if (value && check_value(config, key, path, value)) {
        if (key->type->take)
            key->type->take(config, key, path, value, key->size ? (char *)base + key->at : NULL);
        tell(config, key, path, value, standard != NULL);
    }
    json_decref(standard);
}

static void read_rows(struct sk_config *config, const char *table_path, const char *path,
                      const json_t *table, void *base);
static void read_table(struct sk_config *config, const char *table_path, const char *path,
                       const json_t *table, void *base);

/* [[name]]: an array of structs. */
static void read_tables(struct sk_config *config, const struct sk_config_key *key, const char *path,
                        const json_t *list, void *base) {
    size_t n = json_array_size(list);
    char *items = sk_arena_alloc(config->arena, n * key->size + 1);
    memcpy((char *)base + key->at, &items, sizeof items);
    memcpy((char *)base + key->count_at, &n, sizeof n);
    for (size_t i = 0; i < n; i++) {
        char item[PATH_MAX_TEXT];
        snprintf(item, sizeof item, "%.200s[%zu]", path, i);
        read_table(config, key->path, item, json_array_get(list, i), items + i * key->size);
    }
}

static void read_key(struct sk_config *config, const struct sk_config_key *key, const char *path,
                     const json_t *value, void *base) {
    bool many = key->type == &sk_config_tables;
    bool one = key->type == &sk_config_table || (key->type->or_table && json_is_object(value));
    if (!one && !many) {
        read_value(config, key, path, value, base);
        if (key->type == &sk_config_map) read_rows(config, key->path, path, value, base);
    } else if (value == NULL && key->need) {
        sk_config_refuse(config, path, "is missing; %s.", key->need);
    } else if (value == NULL || check_value(config, key, path, value)) {
        if (one) read_table(config, key->path, path, value, base);
        if (many) read_tables(config, key, path, value, base);
    }
}

static void read_rows(struct sk_config *config, const char *table_path, const char *path,
                      const json_t *table, void *base) {
    char full[PATH_MAX_TEXT];
    SK_CONFIG_EACH(config->keys, key) {
        struct sk_span name = sk_config_name(key);
        char member[64];
        if (!is_below(key, table_path)) continue;
        snprintf(member, sizeof member, "%.*s", SK_ARG(name));
        read_key(config, key, join(full, path, name), json_object_get(table, member), base);
    }
}

/* The keys below a table; NULL: it is not in the file, and its defaults count. */
static void read_table(struct sk_config *config, const char *table_path, const char *path,
                       const json_t *table, void *base) {
    check_known(config, table_path, path, table);
    read_rows(config, table_path, path, table, base);
}

enum sk_status sk_config_read(struct sk_config *config, const json_t *document, void *to) {
    read_table(config, "", "", document, to);
    return config->failed ? SK_INVALID : SK_OK;
}

/* ---- reading again ---- */

/* Whether the file says the same of a key, by its default where it says nothing. */
static bool is_same(const struct sk_config_key *key, const json_t *before, const json_t *now) {
    if (key->type == &sk_config_tables) return json_array_size(before) == json_array_size(now);
    json_t *standard =
        key->otherwise ? json_loads(key->otherwise, JSON_DECODE_ANY, NULL) : json_null();
    bool same = json_equal(before ? before : standard, now ? now : standard);
    json_decref(standard);
    return same;
}

static void refuse_change(struct sk_config *config, const struct sk_config_key *key,
                          const char *path, const json_t *before) {
    struct sk_buffer was = {0};
    if (key->type == &sk_config_tables)
        sk_buffer_print(&was, "%zu of them", json_array_size(before));
    else if (before && !key->secret)
        sk_json_put(&was, before, 0);
    else
        sk_buffer_text(&was, before ? "another" : "not there");
    sk_config_refuse(config, path,
                     "counts from a start on (it was %.*s); write again what it was, or restart.",
                     SK_ARG(sk_buffer_span(&was)));
    sk_buffer_free(&was);
}

static void keep_rows(struct sk_config *config, const char *table_path, const char *path,
                      const json_t *before, const json_t *now) {
    char full[PATH_MAX_TEXT];
    SK_CONFIG_EACH(config->keys, key) {
        if (!is_below(key, table_path)) continue;
        struct sk_span name = sk_config_name(key);
        const json_t *was = json_object_getn(before, name.p, name.n),
                     *is = json_object_getn(now, name.p, name.n);
        join(full, path, name);
        if (key->at_start && !is_same(key, was, is)) refuse_change(config, key, full, was);
        if (key->type == &sk_config_table) keep_rows(config, key->path, full, was, is);
        if (key->type != &sk_config_tables) continue;
        for (size_t i = 0; i < json_array_size(was) && i < json_array_size(is); i++) {
            char item[PATH_MAX_TEXT];
            snprintf(item, sizeof item, "%.200s[%zu]", full, i);
            keep_rows(config, key->path, item, json_array_get(was, i), json_array_get(is, i));
        }
    }
}

void sk_config_keep(struct sk_config *config, const json_t *before, const json_t *now) {
    keep_rows(config, "", "", before, now);
}
