/* What the folder's files share. Inside src/config only. */
#ifndef SK_CONFIG_PARTS_H
#define SK_CONFIG_PARTS_H

#include <jansson.h>

#include "base/memory.h"

/* A TOML text as the lines that people see: toml_lines.c. */
enum toml_kind {
    TOML_BLANK,
    TOML_COMMENT,
    TOML_HEADER, /* [a.b] or [[a.b]] */
    TOML_PAIR    /* key = value, over several lines where the value is */
};

struct toml_line {
    enum toml_kind kind;
    bool array;        /* a header with two brackets */
    size_t begin, end; /* in the text, with the end of the line */
    /* Of a header: of which table. Of a pair: of its value. With the places in arrays of tables:
     * hub[0].policy[1].name; what is no bare key stands in quotes. */
    struct sk_span path;
    size_t value, value_end; /* of a pair, where its value is */
    size_t indent;           /* bytes in front of what it says */
    size_t header;           /* of a pair: the line of its table; TOML_NONE: in front of them all */
    size_t owner;            /* of a comment: the line that it is about; TOML_NONE: of none */
};
#define TOML_NONE ((size_t)-1)

struct toml_lines {
    struct sk_arena arena; /* paths */
    struct sk_span text;
    struct toml_line *list;
    size_t count, capacity;
    json_t *counts; /* tables of each array so far, by path */
};

/* Of a text that is TOML (sk_toml_parse says so), borrowed. */
void toml_lines_read(struct toml_lines *lines, struct sk_span text);
void toml_lines_free(struct toml_lines *lines);
/* Appends a name as TOML writes it in a key. */
void toml_put_name(struct sk_buffer *to, struct sk_span name);
/* Where the value that begins here ends. */
size_t toml_skip_value(struct sk_span text, size_t at);
/* Over blanks, ends of lines and comments. */
size_t toml_skip_space(struct sk_span text, size_t at);

#endif
