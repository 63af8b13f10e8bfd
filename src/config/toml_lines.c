/* The lines of a TOML text: which table and which key each of them is about, and where values are.
 * What is no TOML has been refused before (toml.h), so nothing is checked again here. */
#include "config/parts.h"
#include "model/json_text.h"

#include <ctype.h>
#include <stdio.h>

static char at_of(struct sk_span text, size_t at) {
    return at < text.n ? text.p[at] : 0;
}

static size_t skip_blanks(struct sk_span text, size_t at) {
    while (at_of(text, at) == ' ' || at_of(text, at) == '\t') at++;
    return at;
}

static size_t line_end(struct sk_span text, size_t at) {
    while (at < text.n && text.p[at] != '\n') at++;
    return at < text.n ? at + 1 : at;
}

size_t toml_skip_space(struct sk_span text, size_t at) {
    while (at < text.n) {
        if (text.p[at] == '#')
            at = line_end(text, at);
        else if (isspace((unsigned char)text.p[at]))
            at++;
        else
            break;
    }
    return at;
}

/* ---- values ---- */

static size_t skip_string(struct sk_span text, size_t at) {
    char quote = text.p[at];
    bool three = at_of(text, at + 1) == quote && at_of(text, at + 2) == quote;
    size_t width = three ? 3 : 1;
    for (at += width; at < text.n; at++) {
        if (quote == '"' && text.p[at] == '\\')
            at++;
        else if (text.p[at] == quote &&
                 (!three || (at_of(text, at + 1) == quote && at_of(text, at + 2) == quote)))
            break;
    }
    at += width;
    if (three) /* two quotes may stand right in front of the three */
        for (int more = 0; more < 2 && at_of(text, at) == quote; more++) at++;
    return at < text.n ? at : text.n;
}

size_t toml_skip_value(struct sk_span text, size_t at) {
    size_t depth = 0, begin = at;
    do {
        char c = at_of(text, at);
        if (c == '"' || c == '\'') {
            at = skip_string(text, at);
        } else if (c == '[' || c == '{') {
            depth++;
            at++;
        } else if (c == ']' || c == '}') {
            if (depth) depth--;
            at++;
        } else if (depth) {
            size_t next = toml_skip_space(text, at);
            at = next > at ? next : at + 1;
        } else {
            while (at < text.n && strchr(",]}#\r\n", text.p[at]) == NULL) at++;
            while (at > begin && isspace((unsigned char)text.p[at - 1])) at--;
        }
    } while (depth && at < text.n);
    return at;
}

/* ---- keys ---- */

static bool is_bare(struct sk_span name) {
    return name.n > 0 && sk_span_only(name, "-_");
}

void toml_put_name(struct sk_buffer *to, struct sk_span name) {
    if (is_bare(name))
        sk_buffer_append(to, name);
    else
        sk_json_string(to, name);
}

/* One name of a dotted key; returns where it ends. */
static size_t read_name(struct sk_span text, size_t at, struct sk_buffer *path) {
    size_t begin = at;
    char quote = at_of(text, at);
    if (quote != '"' && quote != '\'') {
        while (at < text.n && strchr(".=] \t\r\n", text.p[at]) == NULL) at++;
        toml_put_name(path, sk_span(text.p + begin, at - begin));
        return at;
    }
    at = skip_string(text, at);
    struct sk_span quoted = sk_span(text.p + begin, at - begin);
    json_t *name =
        quote == '"' ? sk_json_load(quoted, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
    struct sk_span inner = quoted.n < 2 ? quoted : sk_span(quoted.p + 1, quoted.n - 2);
    toml_put_name(path, name ? sk_span(json_string_value(name), json_string_length(name)) : inner);
    json_decref(name);
    return at;
}

/* In an array of tables, the last one. */
static void put_place(struct toml_lines *lines, struct sk_buffer *path) {
    const json_t *count = json_object_getn(lines->counts, path->p, path->n);
    if (count) sk_buffer_print(path, "[%lld]", (long long)json_integer_value(count) - 1);
}

/* A dotted key from here to `stop`, behind what the path holds. */
static size_t read_key(struct toml_lines *lines, size_t at, char stop, bool array,
                       struct sk_buffer *path) {
    for (bool first = true; at < lines->text.n; first = false) {
        at = skip_blanks(lines->text, at);
        if (!first && stop == ']') put_place(lines, path);
        if (path->n) sk_buffer_byte(path, '.');
        at = skip_blanks(lines->text, read_name(lines->text, at, path));
        if (at_of(lines->text, at) != '.') break;
        at++;
    }
    if (stop == ']' && !array) put_place(lines, path);
    return at;
}

/* ---- lines ---- */

static struct toml_line *add_line(struct toml_lines *lines) {
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity ? lines->capacity * 2 : 64;
        lines->list = sk_realloc(lines->list, lines->capacity * sizeof *lines->list);
    }
    struct toml_line *line = &lines->list[lines->count++];
    *line = (struct toml_line){.header = TOML_NONE, .owner = TOML_NONE};
    return line;
}

static size_t read_header(struct toml_lines *lines, struct toml_line *line, size_t at) {
    struct sk_buffer path = {0};
    line->kind = TOML_HEADER;
    line->array = at_of(lines->text, at + 1) == '[';
    at = read_key(lines, at + (line->array ? 2 : 1), ']', line->array, &path);
    if (line->array) {
        const json_t *known = json_object_getn(lines->counts, path.p, path.n);
        long long before = known ? (long long)json_integer_value(known) : 0;
        json_object_setn_new(lines->counts, path.p, path.n, json_integer(before + 1));
        sk_buffer_print(&path, "[%lld]", before);
    }
    line->path = sk_arena_copy(&lines->arena, sk_buffer_span(&path));
    sk_buffer_free(&path);
    return at;
}

static size_t read_pair(struct toml_lines *lines, struct toml_line *line, size_t at) {
    struct sk_buffer path = {0};
    line->kind = TOML_PAIR;
    if (line->header != TOML_NONE) sk_buffer_append(&path, lines->list[line->header].path);
    at = read_key(lines, at, '=', false, &path);
    while (at < lines->text.n && lines->text.p[at] != '=') at++;
    line->value = skip_blanks(lines->text, at + 1);
    line->value_end = at = toml_skip_value(lines->text, line->value);
    line->path = sk_arena_copy(&lines->arena, sk_buffer_span(&path));
    sk_buffer_free(&path);
    return at;
}

/* A comment is about what follows it at once, or else about what stands right in front of it. */
static void find_owners(struct toml_lines *lines) {
    size_t owner = TOML_NONE;
    for (size_t i = 0; i < lines->count; i++) {
        struct toml_line *line = &lines->list[i];
        if (line->kind == TOML_COMMENT) line->owner = owner;
        if (line->kind == TOML_BLANK) owner = TOML_NONE;
        if (line->kind >= TOML_HEADER) owner = i;
    }
    owner = TOML_NONE;
    for (size_t i = lines->count; i-- > 0;) {
        struct toml_line *line = &lines->list[i];
        if (line->kind == TOML_COMMENT && owner != TOML_NONE) line->owner = owner;
        if (line->kind == TOML_BLANK) owner = TOML_NONE;
        if (line->kind >= TOML_HEADER) owner = i;
    }
}

void toml_lines_read(struct toml_lines *lines, struct sk_span text) {
    size_t header = TOML_NONE;
    *lines = (struct toml_lines){.text = text, .counts = json_object()};
    for (size_t at = sk_span_starts(text, SK_SPAN("\xef\xbb\xbf")) ? 3 : 0; at < text.n;) {
        struct toml_line *line = add_line(lines);
        size_t said = skip_blanks(text, at);
        char c = at_of(text, said);
        line->begin = at;
        line->indent = said - at;
        line->header = header;
        if (c == '#')
            line->kind = TOML_COMMENT;
        else if (c == '[')
            said = read_header(lines, line, said);
        else if (c != '\n' && c != '\r' && c != 0)
            said = read_pair(lines, line, said);
        if (line->kind == TOML_HEADER) header = lines->count - 1;
        line->end = at = line_end(text, said);
    }
    find_owners(lines);
}

void toml_lines_free(struct toml_lines *lines) {
    json_decref(lines->counts);
    free(lines->list);
    sk_arena_free(&lines->arena);
}
