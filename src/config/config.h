/* People's configuration files, out of tables of keys.
 *
 * A key is one row: where it stands in the file, what it holds within which limits, what counts
 * when it is absent, where it goes, and what it is for. From the rows come reading, the sentences
 * about mistakes, what `check` tells and the reference page. Tables are constant; nothing of the
 * reader stays when reading ends, and what was read lives in the caller's arena.
 *
 * To add a key: CONTRIBUTING.md. */
#ifndef SK_CONFIG_CONFIG_H
#define SK_CONFIG_CONFIG_H

#include <jansson.h>
#include <stddef.h>

#include "base/memory.h"

#define SK_CONFIG_ERROR_MAX 1024
#define SK_CONFIG_WHY_MAX 256

struct sk_config;
struct sk_config_key;

/* What a key may hold. Its sentence is "must be " words [link least to most unit | tail], as in
 * "must be a list of 1 to 12 addresses"; what it has no word for stays NULL. */
struct sk_config_type {
    const char *words, *link, *unit, *tail;
    /* Whether a value is of this type, and what of it the limits are about: the number itself, µs,
     * how many letters or items. */
    bool (*measure)(const struct sk_config_key *key, const json_t *value, int64_t *n);
    /* A limit as people say it; NULL: as a number. */
    void (*put_limit)(struct sk_buffer *to, int64_t limit);
    /* Stores a value that is of this type and within limits, or refuses it by sk_config_refuse.
     * `to`: the row's place. NULL: there is nothing to store. */
    void (*take)(struct sk_config *config, const struct sk_config_key *key, const char *path,
                 const json_t *value, void *to);
    const char *such_as; /* a value of rows that have none */
    bool or_table;       /* or a table, whose keys are rows of their own, as in {x = 1} */
};

/* Types, and the C type of the field that takes their values:
 * text, path, choice → const char *, or an enum for a choice; whole numbers, bytes, µs → any
 * integer wide enough for `most`; lists → a pointer to the first item, with a size_t for how many:
 * texts → const char ** or struct sk_span *, addresses → struct sk_endpoint *, tables → structs. */
extern const struct sk_config_type sk_config_text, sk_config_texts, sk_config_boolean,
    sk_config_integer, sk_config_bytes, sk_config_duration;
extern const struct sk_config_type sk_config_names; /* as texts; one may stand alone */
extern const struct sk_config_type sk_config_path; /* of a file; relative to the one that is read */
extern const struct sk_config_type sk_config_choice;    /* one of `choices`: its place among them */
extern const struct sk_config_type sk_config_address;   /* → struct sk_endpoint */
extern const struct sk_config_type sk_config_addresses; /* without a port: those that SDKs dial */
extern const struct sk_config_type sk_config_table;     /* its keys are rows of their own */
extern const struct sk_config_type sk_config_tables;    /* likewise, "name[]": [[name]] */
/* → json_t *: free names, values become texts. Names that mean something have rows as well. */
extern const struct sk_config_type sk_config_map;
extern const struct sk_config_type sk_config_any; /* not stored */

struct sk_config_key {
    const char *path; /* "listen.metrics", "hub[].policy[].name": below tables, for each of them */
    const struct sk_config_type *type;
    /* Where it goes: SK_CONFIG_AT or SK_CONFIG_LIST. Counted from the struct of the nearest
     * tables around it, else from what sk_config_read is given. */
    size_t at, size, count_at;
    /* Both 0: no limits; `most` 0: none above. */
    int64_t least, most;
    const char *choices; /* "a|b" */
    /* Whether a text, or one of a list, has the form that it must have; `why`: a sentence. */
    bool (*fine)(struct sk_span text, char why[SK_CONFIG_WHY_MAX]);
    const char *otherwise;       /* what counts when it is absent, as the file would say it; or */
    const char *otherwise_words; /* the same in words, where others decide it */
    const char *need;            /* it must be there: what to write */
    const char *such_as;         /* a value, as the file says it */
    const char *mend;            /* behind "must be …; " */
    const char *does;            /* one sentence for people, without a full stop */
    const char *page;            /* below docs: tells more */
    bool secret;                 /* is not shown, an example neither: somebody would take it */
    bool unused;                 /* known, of no effect: a warning, with `does` as its reason */
    bool at_start; /* counts from a start of the program on, not when it reads the file again; of
                    * tables: how many there are */
};

#define SK_CONFIG_AT(type, field) .at = offsetof(type, field), .size = sizeof((type *)0)->field
#define SK_CONFIG_LIST(type, field, count)                                                         \
    .at = offsetof(type, field), .size = sizeof *((type *)0)->field,                               \
    .count_at = offsetof(type, count)

/* Tables of rows that are read as one: a list that ends with NULL, of tables that end with a row
 * without path. */
typedef const struct sk_config_key *const *sk_config_keys;
#define SK_CONFIG_EACH(tables, key)                                                                \
    for (sk_config_keys table_of_##key = (tables); *table_of_##key; table_of_##key++)              \
        for (const struct sk_config_key *key = *table_of_##key; key->path; key++)

/* The last part of a row's path, without "[]", and what stands before it: "hub[]". */
struct sk_span sk_config_name(const struct sk_config_key *key);
struct sk_span sk_config_parent(const struct sk_config_key *key);
/* What it must be: "a whole number from 1 to 32". */
void sk_config_put_must(struct sk_buffer *to, const struct sk_config_key *key);

/* ---- reading ---- */

typedef void sk_config_warning(const char *sentence);

/* One reading; all borrowed. */
struct sk_config {
    sk_config_keys keys;
    const char *file;       /* its name in sentences */
    const char *folder;     /* relative paths count from here; "" or NULL: they stay */
    const json_t *lines;    /* as sk_toml_parse gives them */
    struct sk_arena *arena; /* takes what is read */
    char *error; /* of SK_CONFIG_ERROR_MAX: a line for each mistake, while there is room */
    sk_config_warning *warning; /* may be NULL */
    struct sk_buffer *told;     /* NULL, or gets "path = value" of all keys, for `check` */
    bool failed;                /* starts as false */
};

/* Reads a document into the struct `to`, which comes zeroed. SK_INVALID with "FILE:LINE: KEY: what
 * is wrong and what to do." for each mistake in `error`. */
enum sk_status sk_config_read(struct sk_config *config, const json_t *document, void *to);
/* One mistake; also for what no row can say, after the reading. */
void sk_config_refuse(struct sk_config *config, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* When a running program reads its file again: what `at_start` rows say must be as it was. What is
 * not so is a mistake of `now`. */
void sk_config_keep(struct sk_config *config, const json_t *before, const json_t *now);

/* For types of one's own: stores a text, or a number, as wide as the row's field is; false with a
 * mistake when the text is empty or not fine. */
bool sk_config_take_text(struct sk_config *config, const struct sk_config_key *key,
                         const char *path, struct sk_span text, void *to);
void sk_config_store(const struct sk_config_key *key, void *to, int64_t number);

/* ---- for people: page.c ---- */

/* The reference page in Markdown: a title and what stands under it, then every key. */
void sk_config_put_reference(struct sk_buffer *to, sk_config_keys keys, const char *title,
                             const char *words);
/* "# what it does", "name = value" for a file that is made; without a value its default. */
void sk_config_put_line(struct sk_buffer *to, sk_config_keys keys, const char *path,
                        const char *value);

#endif
