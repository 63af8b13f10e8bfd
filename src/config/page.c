/* Keys for people: the reference page, and lines of a file that is made. */
#include "config/config.h"

#include "base/base.h"

/* "[listen]", "[[hub.policy]]" */
static void put_header(struct sk_buffer *to, const struct sk_config_key *table) {
    bool many = table->type == &sk_config_tables;
    sk_buffer_text(to, many ? "[[" : "[");
    for (const char *c = table->path; *c; c++)
        if (*c != '[' && *c != ']') sk_buffer_byte(to, *c);
    sk_buffer_text(to, many ? "]]" : "]");
}

/* Text of a table's cell. */
static void put_cell(struct sk_buffer *to, struct sk_span text) {
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '|') sk_buffer_byte(to, '\\');
        sk_buffer_byte(to, text.p[i]);
    }
}

static void put_does(struct sk_buffer *to, const struct sk_config_key *key) {
    put_cell(to, sk_span_z(key->does));
    if (key->page) sk_buffer_print(to, " ([more](../%s))", key->page);
    if (key->at_start) sk_buffer_text(to, "; counts from a start on");
}

static void put_row(struct sk_buffer *to, const struct sk_config_key *key) {
    struct sk_buffer must = {0};
    sk_config_put_must(&must, key);
    sk_buffer_print(to, "| `%.*s` | ", SK_ARG(sk_config_name(key)));
    put_does(to, key);
    sk_buffer_text(to, " | ");
    put_cell(to, sk_buffer_span(&must));
    if (key->such_as && !key->choices && !key->secret) sk_buffer_print(to, ": `%s`", key->such_as);
    sk_buffer_text(to, " | ");
    if (key->need && key->otherwise_words == NULL) sk_buffer_text(to, "required");
    if (key->otherwise) sk_buffer_print(to, "`%s`", key->otherwise);
    if (key->otherwise_words) sk_buffer_text(to, key->otherwise_words);
    sk_buffer_text(to, " |\n");
    sk_buffer_free(&must);
}

static bool is_table(const struct sk_config_key *key) {
    return key->type == &sk_config_table || key->type == &sk_config_tables ||
           key->type == &sk_config_map;
}

static bool is_shown(const struct sk_config_key *key, const char *table) {
    return !key->unused && !is_table(key) && sk_span_is(sk_config_parent(key), table);
}

/* The keys of a table; "": of the file. */
static void put_rows(struct sk_buffer *to, sk_config_keys keys, const char *table) {
    const char *head = "\n| key | what it is | must be | default |\n|---|---|---|---|\n";
    SK_CONFIG_EACH(keys, key) {
        if (!is_shown(key, table)) continue;
        sk_buffer_text(to, head);
        put_row(to, key);
        head = "";
    }
}

static void put_table(struct sk_buffer *to, sk_config_keys keys,
                      const struct sk_config_key *table) {
    bool empty = true;
    SK_CONFIG_EACH(keys, key) empty &= !is_shown(key, table->path);
    if (empty) return; /* it only holds other tables */
    sk_buffer_text(to, "\n## `");
    put_header(to, table);
    sk_buffer_text(to, "`\n\n");
    put_does(to, table);
    sk_buffer_text(to, ".");
    if (table->need) sk_buffer_text(to, " Required.");
    if (table->most) sk_buffer_print(to, " At most %lld.", (long long)table->most);
    sk_buffer_text(to, "\n");
    put_rows(to, keys, table->path);
}

static void put_unused(struct sk_buffer *to, sk_config_keys keys) {
    bool first = true;
    SK_CONFIG_EACH(keys, key) {
        if (!key->unused) continue;
        sk_buffer_text(to, first ? "\n## Known and not used here\n\nEach gives a warning: " : ", ");
        sk_buffer_print(to, "`%s`", key->path);
        if (key->does) sk_buffer_print(to, " (%s)", key->does);
        first = false;
    }
    if (!first) sk_buffer_text(to, ".\n");
}

void sk_config_put_reference(struct sk_buffer *to, sk_config_keys keys, const char *title,
                             const char *words) {
    sk_buffer_print(to, "# %s\n\n%s\n", title, words);
    put_rows(to, keys, "");
    SK_CONFIG_EACH(keys, key)
    if ((is_table(key) || key->type->or_table) && !key->unused) put_table(to, keys, key);
    put_unused(to, keys);
}

void sk_config_put_line(struct sk_buffer *to, sk_config_keys keys, const char *path,
                        const char *value) {
    const struct sk_config_key *found = NULL;
    SK_CONFIG_EACH(keys, key) if (strcmp(key->path, path) == 0) found = key;
    SK_ASSERT(found && (value || found->otherwise));
    sk_buffer_print(to, "# %s\n%.*s = %s\n", found->does, SK_ARG(sk_config_name(found)),
                    value ? value : found->otherwise);
}
