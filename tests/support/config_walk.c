#include "support/config_walk.h"

static json_t *example_of(const struct sk_config_key *key) {
    const char *text = key->such_as ? key->such_as : key->otherwise;
    json_t *value = json_loads(text ? text : "null", JSON_DECODE_ANY, NULL);
    if (text && value == NULL) fail_msg("%s: what is given as an example is no value", key->path);
    return value;
}

/* The table of this path with all that must be in it, and in the tables below. */
static json_t *least_table(sk_config_keys keys, const char *path) {
    json_t *table = json_object();
    SK_CONFIG_EACH(keys, key) {
        char name[64];
        if (!sk_span_is(sk_config_parent(key), path)) continue;
        snprintf(name, sizeof name, "%.*s", SK_ARG(sk_config_name(key)));
        if (key->type == &sk_config_table) {
            json_t *inner = least_table(keys, key->path);
            if (key->need || json_object_size(inner)) json_object_set(table, name, inner);
            json_decref(inner);
        }
        if (key->need == NULL || key->type == &sk_config_table) continue;
        if (key->type == &sk_config_tables)
            json_object_set_new(table, name, json_pack("[o]", least_table(keys, key->path)));
        else
            json_object_set_new(table, name, example_of(key));
    }
    return table;
}

/* A value of which the row's type measures `n`. */
static json_t *value_that_measures(sk_config_keys keys, const struct sk_config_key *key,
                                   int64_t n) {
    char text[4096] = "";
    json_t *list, *example;
    if (key->type == &sk_config_integer || key->type == &sk_config_bytes) return json_integer(n);
    if (key->type == &sk_config_duration) {
        snprintf(text, sizeof text, "%lldms", (long long)n / 1000);
        return json_string(text);
    }
    if (key->type == &sk_config_text || key->type == &sk_config_path) {
        assert_true(n >= 0 && n < (int64_t)sizeof text);
        memset(text, 'a', (size_t)n);
        return json_string(text);
    }
    example = key->type == &sk_config_tables ? NULL : example_of(key);
    if (json_is_null(example)) { /* no example: a table, of any names */
        json_t *table = json_object();
        json_decref(example);
        for (int64_t i = 0; i < n; i++) {
            snprintf(text, sizeof text, "name-%lld", (long long)i);
            json_object_set_new(table, text, json_string(""));
        }
        return table;
    }
    if (json_is_string(example)) { /* a text of another type: longer until it is long enough */
        int64_t now = 0;
        snprintf(text, sizeof text, "%s", json_string_value(example));
        json_decref(example);
        example = json_string(text);
        while (key->type->measure(key, example, &now) && now < n) {
            text[strlen(text)] = 'a';
            json_decref(example);
            example = json_string(text);
        }
        return example;
    }
    json_decref(example);
    list = json_array();
    example = key->type == &sk_config_tables ? json_pack("[o]", least_table(keys, key->path))
                                             : example_of(key);
    for (int64_t i = 0; i < n; i++) json_array_append(list, json_array_get(example, 0));
    json_decref(example);
    return list;
}

/* Puts the value where the row wants it. */
static void put_value(json_t *table, const char *path, json_t *value) {
    const char *dot = strchr(path, '.');
    char name[64];
    size_t n = dot ? (size_t)(dot - path) : strlen(path);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(path, ".["), path);
    if (dot == NULL) {
        json_object_set_new(table, name, value);
        return;
    }
    json_t *inner = json_object_get(table, name);
    bool many = path[n - 1] == ']';
    if (inner == NULL) {
        inner = json_object();
        json_object_set_new(table, name, many ? json_pack("[o]", inner) : inner);
    } else if (many) {
        inner = json_array_get(inner, 0);
    }
    put_value(inner, dot + 1, value);
}

/* `[[hub.route]]` within `[[hub]]`: the tables around a row with what must be in them. */
static json_t *document_around(sk_config_keys keys, const struct sk_config_key *row) {
    json_t *document = least_table(keys, "");
    SK_CONFIG_EACH(keys, key) {
        bool is_table = key->type == &sk_config_table || key->type == &sk_config_tables;
        size_t n = strlen(key->path);
        if (!is_table || strncmp(row->path, key->path, n) != 0 || row->path[n] != '.' || key->need)
            continue;
        json_t *table = least_table(keys, key->path);
        put_value(document, key->path,
                  key->type == &sk_config_tables ? json_pack("[o]", table) : table);
    }
    return document;
}

static void read_measure(sk_config_keys keys, const struct sk_config_key *key, int64_t n, bool fine,
                         void *to, size_t size) {
    char error[SK_CONFIG_ERROR_MAX] = "";
    struct sk_arena arena = {0};
    json_t *document = document_around(keys, key), *lines = json_object();
    put_value(document, key->path, value_that_measures(keys, key, n));
    memset(to, 0, size);
    struct sk_config reading = {
        .keys = keys, .file = "file", .lines = lines, .arena = &arena, .error = error};
    enum sk_status status = sk_config_read(&reading, document, to);
    if ((status == SK_OK) != fine)
        fail_msg("%s with %lld is %s: %s", key->path, (long long)n, fine ? "refused" : "taken",
                 error);
    if (!fine && strstr(error, "must be ") == NULL) fail_msg("%s: %s", key->path, error);
    sk_arena_free(&arena);
    json_decref(document);
    json_decref(lines);
}

/* Whether its field holds every number within the limits. */
static bool is_wide_enough(const struct sk_config_key *key) {
    return key->size == 0 || key->size == 8 ||
           (key->most && key->most < (int64_t)1 << (8 * key->size));
}

/* The page that tells more is there. Tests run in the repository's root. */
static void check_page(const struct sk_config_key *key) {
    char path[200];
    snprintf(path, sizeof path, "docs/%s", key->page);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("%s: there is no %s", key->path, path);
    fclose(file);
}

static void check_row(const struct sk_config_key *key) {
    int64_t n;
    bool is_table = key->type == &sk_config_table || key->type == &sk_config_tables;
    if (key->unused) return;
    if (key->does == NULL || key->does[strlen(key->does) - 1] == '.')
        fail_msg("%s needs a sentence without a full stop", key->path);
    if (key->need && !is_table && key->such_as == NULL)
        fail_msg("%s must be there, so it needs an example", key->path);
    for (int i = 0; i < 2; i++) {
        const char *text = i ? key->such_as : key->otherwise;
        json_t *value = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
        if (text && (value == NULL || !key->type->measure(key, value, &n)))
            fail_msg("%s: %s is no value for it", key->path, text);
        json_decref(value);
    }
    bool is_number = key->type == &sk_config_integer || key->type == &sk_config_bytes ||
                     key->type == &sk_config_duration;
    if (is_number && !is_wide_enough(key)) fail_msg("%s: its field is too narrow", key->path);
    if (key->page) check_page(key);
}

void walk_keys(sk_config_keys keys, void *to, size_t size) {
    SK_CONFIG_EACH(keys, key) {
        int64_t step = key->type == &sk_config_duration ? 1000 : 1;
        check_row(key);
        if (key->least) {
            read_measure(keys, key, key->least, true, to, size);
            read_measure(keys, key, key->least - step, false, to, size);
        }
        if (key->most) {
            read_measure(keys, key, key->most, true, to, size);
            read_measure(keys, key, key->most + step, false, to, size);
        }
    }
}

void compare_page(struct sk_span printed, const char *page, const char *command) {
    static char text[256 * 1024];
    char path[200];
    snprintf(path, sizeof path, "docs/reference/%s", page);
    FILE *file = fopen(path, "r");
    if (file == NULL) fail_msg("there is no %s", path);
    size_t n = fread(text, 1, sizeof text, file);
    fclose(file);
    if (!sk_span_eq(printed, sk_span(text, n)))
        fail_msg("print it anew: %s > docs/reference/%s", command, page);
}
