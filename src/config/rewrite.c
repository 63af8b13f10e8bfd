/* A TOML text is changed by edits: a place in the text, and what stands there instead. They are
 * gathered by comparing what the text says with what it shall say, and made from front to back. */
#include "config/rewrite.h"

#include "config/parts.h"
#include "model/json_text.h"

enum { ITEMS_MAX = 1000 }; /* of an array that changes */

struct edit {
    size_t begin, end, order;
    char *text;
};

struct rewriting {
    struct toml_lines lines;
    const char *newline;
    bool *gone; /* by line */
    struct edit *edits;
    size_t count, capacity;
    bool failed; /* there is something that cannot be done */
};

static void add_edit(struct rewriting *r, size_t begin, size_t end, const struct sk_buffer *text) {
    if (r->count == r->capacity) {
        r->capacity = r->capacity ? r->capacity * 2 : 16;
        r->edits = sk_realloc(r->edits, r->capacity * sizeof *r->edits);
    }
    r->edits[r->count] =
        (struct edit){begin, end, r->count, sk_span_dup(text ? sk_buffer_span(text) : SK_NONE)};
    r->count++;
}

/* ---- values as TOML writes them ---- */

static void put_value(struct rewriting *r, struct sk_buffer *to, const json_t *value);

/* A basic string; unlike JSON's it has no DEL. */
static void put_string(struct sk_buffer *to, const json_t *value) {
    struct sk_buffer text = {0};
    sk_json_string(&text, sk_span(json_string_value(value), json_string_length(value)));
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == 0x7f)
            sk_buffer_text(to, "\\u007F");
        else
            sk_buffer_byte(to, text.p[i]);
    sk_buffer_free(&text);
}

static void put_real(struct sk_buffer *to, double value) {
    char text[SK_REAL_TEXT];
    sk_real_text(value, text);
    sk_buffer_print(to, strpbrk(text, ".eE") ? "%s" : "%s.0", text);
}

static void put_inline_table(struct rewriting *r, struct sk_buffer *to, const json_t *table) {
    const char *name, *comma = " ";
    json_t *value;
    sk_buffer_byte(to, '{');
    json_object_foreach((json_t *)table, name, value) {
        sk_buffer_text(to, comma);
        toml_put_name(to, sk_span_z(name));
        sk_buffer_text(to, " = ");
        put_value(r, to, value);
        comma = ", ";
    }
    sk_buffer_text(to, json_object_size(table) ? " }" : "}");
}

static void put_value(struct rewriting *r, struct sk_buffer *to, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING: put_string(to, value); break;
    case JSON_INTEGER: sk_buffer_print(to, "%lld", (long long)json_integer_value(value)); break;
    case JSON_REAL: put_real(to, json_real_value(value)); break;
    case JSON_TRUE:
    case JSON_FALSE: sk_buffer_text(to, json_is_true(value) ? "true" : "false"); break;
    case JSON_OBJECT: put_inline_table(r, to, value); break;
    case JSON_ARRAY:
        sk_buffer_byte(to, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            if (i) sk_buffer_text(to, ", ");
            put_value(r, to, json_array_get(value, i));
        }
        sk_buffer_byte(to, ']');
        break;
    case JSON_NULL: r->failed = true; break;
    }
}

/* ---- lines, and what is below a path ---- */

static bool is_below(struct sk_span path, struct sk_span at) {
    if (at.n == 0) return true;
    return sk_span_starts(path, at) &&
           (path.n == at.n || path.p[at.n] == '.' || path.p[at.n] == '[');
}

/* Of the last line that says something below a path, with the comments behind it; else NONE. */
static size_t last_below(const struct rewriting *r, struct sk_span at) {
    const struct toml_lines *lines = &r->lines;
    size_t found = TOML_NONE;
    for (size_t i = 0; i < lines->count; i++) {
        const struct toml_line *line = &lines->list[i];
        bool says = line->kind >= TOML_HEADER;
        if (says && is_below(line->path, at)) found = i;
        if (line->kind == TOML_COMMENT && found != TOML_NONE && line->owner == found) found = i;
        if (line->kind == TOML_COMMENT && line->owner < i && line->owner != TOML_NONE &&
            is_below(lines->list[line->owner].path, at))
            found = i;
    }
    return found;
}

/* The first, with the comments in front of it. */
static size_t first_below(const struct rewriting *r, struct sk_span at) {
    const struct toml_lines *lines = &r->lines;
    size_t i = 0;
    while (i < lines->count &&
           !(lines->list[i].kind >= TOML_HEADER && is_below(lines->list[i].path, at)))
        i++;
    if (i == lines->count) return TOML_NONE;
    for (size_t owner = i;
         i > 0 && lines->list[i - 1].kind == TOML_COMMENT && lines->list[i - 1].owner == owner;)
        i--;
    return i;
}

static const struct toml_line *find_pair(const struct rewriting *r, struct sk_span path) {
    for (size_t i = 0; i < r->lines.count; i++)
        if (r->lines.list[i].kind == TOML_PAIR && sk_span_eq(r->lines.list[i].path, path))
            return &r->lines.list[i];
    return NULL;
}

static void remove_below(struct rewriting *r, struct sk_span at) {
    const struct toml_lines *lines = &r->lines;
    for (size_t i = 0; i < lines->count; i++) {
        const struct toml_line *line = &lines->list[i];
        size_t about = line->kind == TOML_COMMENT ? line->owner : i;
        if (line->kind != TOML_BLANK && about != TOML_NONE && is_below(lines->list[about].path, at))
            r->gone[i] = true;
    }
}

static struct sk_span child(struct rewriting *r, struct sk_span path, const char *name) {
    struct sk_buffer text = {0};
    sk_buffer_append(&text, path);
    if (path.n) sk_buffer_byte(&text, '.');
    toml_put_name(&text, sk_span_z(name));
    struct sk_span copy = sk_arena_copy(&r->lines.arena, sk_buffer_span(&text));
    sk_buffer_free(&text);
    return copy;
}

static struct sk_span place(struct rewriting *r, struct sk_span path, size_t index) {
    return sk_arena_print(&r->lines.arena, "%.*s[%zu]", SK_ARG(path), index);
}

/* ---- what is added ---- */

/* A path without the places in arrays, as headers have it. */
static void put_header_path(struct sk_buffer *to, struct sk_span path) {
    bool quoted = false;
    for (size_t i = 0; i < path.n; i++) {
        if (quoted && path.p[i] == '\\') sk_buffer_byte(to, path.p[i++]);
        if (path.p[i] == '"') quoted = !quoted;
        if (!quoted && path.p[i] == '[')
            i += sk_span_find(sk_span_skip(path, i), ']');
        else
            sk_buffer_byte(to, path.p[i]);
    }
}

static void put_pair(struct rewriting *r, struct sk_buffer *to, struct sk_span indent,
                     struct sk_span key, const json_t *value) {
    sk_buffer_append(to, indent);
    sk_buffer_append(to, key);
    sk_buffer_text(to, " = ");
    put_value(r, to, value);
    sk_buffer_text(to, r->newline);
}

static bool is_tables(const json_t *value) {
    for (size_t i = 0; i < json_array_size(value); i++)
        if (!json_is_object(json_array_get(value, i))) return false;
    return json_array_size(value) > 0;
}

static bool is_section(const json_t *value) {
    return (json_is_object(value) && json_object_size(value) > 0) || is_tables(value);
}

/* A table with its header, then what is below it. */
static void put_table(struct rewriting *r, struct sk_buffer *to, struct sk_span indent,
                      struct sk_span path, bool array, const json_t *table) {
    const char *name;
    json_t *value;
    sk_buffer_append(to, indent);
    sk_buffer_text(to, array ? "[[" : "[");
    put_header_path(to, path);
    sk_buffer_text(to, array ? "]]" : "]");
    sk_buffer_text(to, r->newline);
    json_object_foreach((json_t *)table, name, value) {
        if (is_section(value)) continue;
        struct sk_buffer key = {0};
        toml_put_name(&key, sk_span_z(name));
        put_pair(r, to, indent, sk_buffer_span(&key), value);
        sk_buffer_free(&key);
    }
    json_object_foreach((json_t *)table, name, value) {
        struct sk_span below = child(r, path, name);
        if (!is_section(value)) continue;
        if (json_is_object(value)) put_table(r, to, indent, below, false, value);
        for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++)
            put_table(r, to, indent, below, true, json_array_get(value, i));
    }
}

static struct sk_span indent_of(const struct rewriting *r, size_t line) {
    if (line == TOML_NONE) return SK_NONE;
    const struct toml_line *l = &r->lines.list[line];
    return sk_span(r->lines.text.p + l->begin, l->indent);
}

/* Behind a line, which maybe is the last and has no end; NONE: in front of everything. */
static void insert_behind(struct rewriting *r, size_t line, bool blank, struct sk_buffer *block) {
    struct sk_buffer text = {0};
    size_t at = 0;
    if (line == TOML_NONE) {
        if (sk_span_starts(r->lines.text, SK_SPAN("\xef\xbb\xbf"))) at = 3;
    } else {
        at = r->lines.list[line].end;
        if (r->lines.text.p[at - 1] != '\n') sk_buffer_text(&text, r->newline);
    }
    if (blank) sk_buffer_text(&text, r->newline);
    sk_buffer_append(&text, sk_buffer_span(block));
    add_edit(r, at, at, &text);
    sk_buffer_free(&text);
}

/* Whether a table at this line, with its comments, stands behind a blank line, as new ones then
 * do. */
static bool stands_apart(const struct rewriting *r, size_t first) {
    return first == TOML_NONE || (first > 0 && r->lines.list[first - 1].kind == TOML_BLANK);
}

/* The last pair that the table's own section has, by its header; else the header. NONE: there is no
 * such section. */
static size_t end_of_section(const struct rewriting *r, struct sk_span path) {
    size_t header = TOML_NONE, last;
    const struct toml_lines *lines = &r->lines;
    for (size_t i = 0; i < lines->count; i++)
        if (lines->list[i].kind == TOML_HEADER && sk_span_eq(lines->list[i].path, path)) header = i;
    last = header;
    for (size_t i = 0; i < lines->count; i++) {
        const struct toml_line *line = &lines->list[i];
        if (line->kind == TOML_PAIR && line->header == header && (header != TOML_NONE || !path.n))
            last = i;
        if (line->kind == TOML_COMMENT && last != TOML_NONE && line->owner == last && i > last &&
            lines->list[last].kind == TOML_PAIR)
            last = i;
    }
    return last;
}

/* A pair of a table that its own section has not: below a dotted key, or in a section of its own
 * where there is none. */
static void add_elsewhere(struct rewriting *r, struct sk_span path, struct sk_span key,
                          const json_t *value) {
    struct sk_buffer block = {0};
    const struct toml_lines *lines = &r->lines;
    const struct toml_line *dotted = NULL;
    size_t at = TOML_NONE;
    for (size_t i = 0; i < lines->count; i++) {
        const struct toml_line *line = &lines->list[i];
        struct sk_span table = line->header == TOML_NONE ? SK_NONE : lines->list[line->header].path;
        if (line->kind != TOML_PAIR || !is_below(line->path, path) || is_below(table, path))
            continue;
        dotted = line;
        at = i;
    }
    if (dotted) {
        struct sk_span table =
            dotted->header == TOML_NONE ? SK_NONE : lines->list[dotted->header].path;
        struct sk_span from_table = sk_span_skip(path, table.n ? table.n + 1 : 0);
        struct sk_span whole =
            sk_arena_print(&r->lines.arena, "%.*s.%.*s", SK_ARG(from_table), SK_ARG(key));
        put_pair(r, &block, indent_of(r, at), whole, value);
    } else {
        at = first_below(r, path);
        if (at == TOML_NONE) r->failed = true;
        at = at == TOML_NONE || at == 0 ? TOML_NONE : at - 1;
        sk_buffer_byte(&block, '[');
        put_header_path(&block, path);
        sk_buffer_print(&block, "]%s", r->newline);
        put_pair(r, &block, SK_NONE, key, value);
    }
    insert_behind(r, at, false, &block);
    sk_buffer_free(&block);
}

/* A key that the table at `path` has not. */
static void add(struct rewriting *r, struct sk_span path, const char *name, const json_t *value) {
    struct sk_buffer block = {0}, key = {0};
    struct sk_span below = child(r, path, name);
    toml_put_name(&key, sk_span_z(name));
    if (is_section(value)) {
        size_t behind = last_below(r, path);
        if (behind == TOML_NONE && r->lines.count) behind = r->lines.count - 1;
        struct sk_span indent = indent_of(r, behind);
        for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
            if (i) sk_buffer_text(&block, r->newline);
            put_table(r, &block, indent, below, true, json_array_get(value, i));
        }
        if (json_is_object(value)) put_table(r, &block, indent, below, false, value);
        insert_behind(r, behind, behind != TOML_NONE, &block);
    } else {
        size_t behind = end_of_section(r, path);
        if (behind == TOML_NONE && path.n) {
            add_elsewhere(r, path, sk_buffer_span(&key), value);
        } else {
            put_pair(r, &block, indent_of(r, behind), sk_buffer_span(&key), value);
            insert_behind(r, behind, false, &block);
        }
    }
    sk_buffer_free(&block);
    sk_buffer_free(&key);
}

/* ---- what is changed ---- */

/* Which of the old ones each of the new ones is: the longest row of pairs in order; NONE: it is
 * new. The caller frees it. */
static size_t *match(struct rewriting *r, const json_t *old, const json_t *now,
                     bool (*same)(const json_t *, const json_t *)) {
    size_t n = json_array_size(old), m = json_array_size(now);
    if (n > ITEMS_MAX || m > ITEMS_MAX) { /* nothing that people write has so many */
        r->failed = true;
        n = m = 0;
    }
    unsigned *best = sk_alloc((n + 1) * (m + 1) * sizeof *best); /* of the rest behind i and j */
    size_t *of = sk_alloc((m + 1) * sizeof *of);
    for (size_t i = n; i-- > 0;)
        for (size_t j = m; j-- > 0;) {
            unsigned skip_old = best[(i + 1) * (m + 1) + j], skip_new = best[i * (m + 1) + j + 1];
            unsigned longest = skip_old > skip_new ? skip_old : skip_new;
            if (same(json_array_get(old, i), json_array_get(now, j)) &&
                best[(i + 1) * (m + 1) + j + 1] + 1 > longest)
                longest = best[(i + 1) * (m + 1) + j + 1] + 1;
            best[i * (m + 1) + j] = longest;
        }
    for (size_t i = 0, j = 0; j < m; j++) {
        of[j] = TOML_NONE;
        for (size_t k = i; k < n && best[k * (m + 1) + j] == best[i * (m + 1) + j]; k++)
            if (same(json_array_get(old, k), json_array_get(now, j)) &&
                best[k * (m + 1) + j] == best[(k + 1) * (m + 1) + j + 1] + 1) {
                of[j] = k;
                i = k + 1;
                break;
            }
    }
    free(best);
    return of;
}

static bool is_same_table(const json_t *a, const json_t *b) {
    static const char *const names[] = {"name", "key", "file"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *x = json_object_get(a, names[i]), *y = json_object_get(b, names[i]);
        if (x || y) return json_equal(x, y);
    }
    return true; /* nothing tells them apart but their order */
}

static bool is_equal(const json_t *a, const json_t *b) {
    return json_equal(a, b);
}

/* An item of an array as it stands in the text. */
struct item {
    size_t begin, end, comma; /* comma: 0: there is none behind it */
    bool alone;               /* first of its line, and followed by no other there */
};

static size_t read_items(struct sk_span text, size_t at, struct item *items, size_t max) {
    size_t n = 0;
    for (at = toml_skip_space(text, at + 1); at < text.n && text.p[at] != ']' && n < max; n++) {
        items[n] = (struct item){.begin = at, .end = toml_skip_value(text, at)};
        at = toml_skip_space(text, items[n].end);
        if (at < text.n && text.p[at] == ',') {
            items[n].comma = at;
            at = toml_skip_space(text, at + 1);
        }
        size_t line = items[n].begin, behind = items[n].comma ? items[n].comma + 1 : items[n].end;
        while (line > 0 && (text.p[line - 1] == ' ' || text.p[line - 1] == '\t')) line--;
        while (behind < text.n && (text.p[behind] == ' ' || text.p[behind] == '\t')) behind++;
        items[n].alone = line > 0 && text.p[line - 1] == '\n' && behind < text.n &&
                         strchr("#\r\n", text.p[behind]) != NULL;
    }
    return n;
}

static size_t end_of_line(struct sk_span text, size_t at) {
    return at + sk_span_find(sk_span_skip(text, at), '\n');
}

static size_t begin_of_line(struct sk_span text, size_t at) {
    while (at > 0 && text.p[at - 1] != '\n') at--;
    return at;
}

static void remove_item(struct rewriting *r, const struct item *item) {
    struct sk_span text = r->lines.text;
    size_t begin = item->begin, end = item->comma ? item->comma + 1 : item->end;
    if (item->alone) {
        begin = begin_of_line(text, begin);
        end = end_of_line(text, end) + 1;
    } else {
        while (end < text.n && text.p[end] == ' ') end++;
    }
    add_edit(r, begin, end, NULL);
}

/* Behind one that stays: on a line of its own where that one has one. */
static void add_item(struct rewriting *r, const struct item *behind, const json_t *value) {
    struct sk_span text = r->lines.text;
    struct sk_buffer said = {0}, comma = {0};
    size_t at = behind->end;
    if (behind->alone) {
        size_t begin = begin_of_line(text, behind->begin);
        sk_buffer_append(&said, sk_span(text.p + begin, behind->begin - begin));
        put_value(r, &said, value);
        sk_buffer_print(&said, ",%s", r->newline);
        sk_buffer_byte(&comma, ',');
        if (!behind->comma) add_edit(r, at, at, &comma);
        at = end_of_line(text, behind->comma ? behind->comma : at) + 1;
    } else {
        sk_buffer_text(&said, ", ");
        put_value(r, &said, value);
    }
    add_edit(r, at, at, &said);
    sk_buffer_free(&said);
    sk_buffer_free(&comma);
}

/* Whether an array's items could be taken out and put in one by one; then they are. */
static bool change_items(struct rewriting *r, const struct toml_line *pair, const json_t *old,
                         const json_t *now) {
    size_t n = json_array_size(old);
    if (n == 0 || json_array_size(now) == 0 || !json_is_array(now)) return false;
    struct item *items = sk_alloc(n * sizeof *items);
    bool *stays = sk_alloc(n * sizeof *stays);
    size_t *of = match(r, old, now, is_equal);
    size_t behind = TOML_NONE;
    bool fits = !r->failed && read_items(r->lines.text, pair->value, items, n) == n;
    for (size_t j = 0; j < json_array_size(now) && !r->failed; j++) {
        if (of[j] != TOML_NONE) stays[of[j]] = true;
        if (j == 0 && of[j] == TOML_NONE) fits = false; /* there is none to put it behind */
    }
    for (size_t j = 0; fits && j < json_array_size(now); j++) {
        if (of[j] != TOML_NONE)
            behind = of[j];
        else
            add_item(r, &items[behind], json_array_get(now, j));
    }
    for (size_t i = 0; fits && i < n; i++)
        if (!stays[i]) remove_item(r, &items[i]);
    free(of);
    free(stays);
    free(items);
    return fits;
}

static void change_value(struct rewriting *r, const struct toml_line *pair, const json_t *old,
                         const json_t *now) {
    struct sk_buffer text = {0};
    if (json_is_array(old) && change_items(r, pair, old, now)) return;
    put_value(r, &text, now);
    add_edit(r, pair->value, pair->value_end, &text);
    sk_buffer_free(&text);
}

static void compare(struct rewriting *r, struct sk_span path, const json_t *old, const json_t *now);

/* Tables under headers with two brackets. */
static void compare_tables(struct rewriting *r, struct sk_span path, const json_t *old,
                           const json_t *now) {
    size_t *of = match(r, old, now, is_same_table), n = json_array_size(old), next = 0;
    size_t first = first_below(r, place(r, path, 0));
    size_t behind = first == 0 || first == TOML_NONE ? TOML_NONE : first - 1;
    bool apart = stands_apart(r, first_below(r, place(r, path, n - 1)));
    struct sk_span indent = indent_of(r, first);
    if (first == TOML_NONE) r->failed = true;
    for (size_t j = 0; j < json_array_size(now) && !r->failed; j++) {
        const json_t *table = json_array_get(now, j);
        if (of[j] == TOML_NONE) {
            struct sk_buffer block = {0};
            bool leads = behind == TOML_NONE || first == TOML_NONE || behind < first;
            put_table(r, &block, indent, path, true, table);
            if (leads && apart) sk_buffer_text(&block, r->newline);
            insert_behind(r, behind, apart && !leads, &block);
            sk_buffer_free(&block);
            continue;
        }
        for (; next < of[j]; next++) remove_below(r, place(r, path, next));
        compare(r, place(r, path, of[j]), json_array_get(old, of[j]), table);
        behind = last_below(r, place(r, path, of[j]));
        next = of[j] + 1;
    }
    for (; next < n; next++) remove_below(r, place(r, path, next));
    free(of);
}

static void compare_members(struct rewriting *r, struct sk_span path, const json_t *old,
                            const json_t *now) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)old, name, value) {
        const json_t *next = json_object_get(now, name);
        if (next)
            compare(r, child(r, path, name), value, next);
        else
            remove_below(r, child(r, path, name));
    }
    json_object_foreach((json_t *)now, name, value) {
        const json_t *before = json_object_get(old, name);
        bool section = json_is_object(before) || is_tables(before);
        bool other = before && section && find_pair(r, child(r, path, name)) == NULL &&
                     (json_typeof(before) != json_typeof(value) ||
                      (json_is_array(value) && !is_tables(value)));
        if (before == NULL || other) add(r, path, name, value);
    }
}

/* What the text says at a path, and what it shall say. A table that becomes something else, or the
 * other way round, is taken out here and added by who goes over the table around it. */
static void compare(struct rewriting *r, struct sk_span path, const json_t *old,
                    const json_t *now) {
    const struct toml_line *pair = path.n ? find_pair(r, path) : NULL;
    if (json_equal(old, now)) return;
    if (pair)
        change_value(r, pair, old, now);
    else if (json_is_object(old) && json_is_object(now))
        compare_members(r, path, old, now);
    else if (is_tables(old) && is_tables(now))
        compare_tables(r, path, old, now);
    else
        remove_below(r, path);
}

/* ---- making the edits ---- */

/* Of the lines that go; where a blank line stands on both sides of them, one goes with them. */
static void remove_lines(struct rewriting *r) {
    const struct toml_lines *lines = &r->lines;
    for (size_t i = 0, end; i < lines->count; i = end + 1) {
        for (end = i; end < lines->count && r->gone[end];) end++;
        if (end == i) continue;
        bool blank_before = i > 0 && lines->list[i - 1].kind == TOML_BLANK;
        bool blank_after = end == lines->count || lines->list[end].kind == TOML_BLANK;
        size_t from = blank_before && blank_after ? i - 1 : i;
        add_edit(r, lines->list[from].begin, lines->list[end - 1].end, NULL);
    }
}

static int by_place(const void *a, const void *b) {
    const struct edit *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    bool x_inserts = x->end == x->begin, y_inserts = y->end == y->begin;
    if (x_inserts != y_inserts) return x_inserts ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void make_edits(struct rewriting *r, struct sk_buffer *to) {
    size_t at = 0;
    if (r->count) qsort(r->edits, r->count, sizeof *r->edits, by_place);
    for (size_t i = 0; i < r->count; i++) {
        const struct edit *edit = &r->edits[i];
        if (edit->begin > at) sk_buffer_append(to, sk_span(r->lines.text.p + at, edit->begin - at));
        sk_buffer_text(to, edit->text);
        if (edit->end > at) at = edit->end;
        if (edit->begin > at) at = edit->begin;
    }
    sk_buffer_append(to, sk_span_skip(r->lines.text, at));
}

static void rewrite(struct rewriting *r, struct sk_span text, const json_t *old, const json_t *now,
                    struct sk_buffer *to) {
    size_t newline = sk_span_find(text, '\n');
    toml_lines_read(&r->lines, text);
    r->newline = newline > 0 && newline < text.n && text.p[newline - 1] == '\r' ? "\r\n" : "\n";
    r->gone = sk_alloc((r->lines.count + 1) * sizeof *r->gone);
    compare(r, SK_NONE, old, now);
    remove_lines(r);
    make_edits(r, to);
    for (size_t i = 0; i < r->count; i++) free(r->edits[i].text);
    free(r->edits);
    free(r->gone);
    toml_lines_free(&r->lines);
}

enum sk_status sk_toml_rewrite(struct sk_span text, const char *file_name, const json_t *wanted,
                               struct sk_buffer *to, char error[SK_TOML_ERROR_MAX]) {
    struct rewriting r = {0};
    struct sk_buffer fresh = {0};
    json_t *old, *lines, *now = NULL;
    char why[SK_TOML_ERROR_MAX];
    enum sk_status status = sk_toml_parse(text, file_name, &old, &lines, error);
    if (status) return status;
    json_decref(lines);
    rewrite(&r, text, old, wanted, &fresh);
    if (r.failed || sk_toml_parse(sk_buffer_span(&fresh), file_name, &now, &lines, why)) {
        status = SK_UNSUPPORTED;
    } else {
        json_decref(lines);
        if (!json_equal(now, wanted)) status = SK_UNSUPPORTED;
    }
    if (!status) status = sk_buffer_append(to, sk_buffer_span(&fresh));
    if (status)
        snprintf(error, SK_TOML_ERROR_MAX,
                 "%s: is written in a way that it cannot be changed from here; change it by hand.",
                 file_name);
    json_decref(now);
    json_decref(old);
    if (fresh.p) explicit_bzero(fresh.p, fresh.n);
    sk_buffer_free(&fresh);
    return status;
}
