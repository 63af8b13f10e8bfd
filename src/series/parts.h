/* What the store's files share. Inside src/series only.
 *
 *   part.c     files of blocks
 *   head.c     what is in memory: open rows of each instance, and blocks of them
 *   files.c    names and their numbers, parts as they are opened and written
 *   store.c    opening, adding, when memory is written
 *   reader.c   rows of an instance out of all that has some
 *   merge.c    many parts become one
 *   kept.c     what goes: by age, by size, an instance's */
#ifndef SK_SERIES_PARTS_H
#define SK_SERIES_PARTS_H

#include "series/part.h"

enum {
    SERIES_MEMORY = 32 << 20,
    SERIES_PROPERTIES = 1000,
    SERIES_INSTANCES = 1000000,
    SERIES_MERGED = 8, /* parts that become one */
};

/* A column of open rows: values of the rows that have it, `present` for all of them. */
struct series_open_column {
    uint32_t number;
    union sk_series_value *values; /* as many as there is room for rows */
    uint8_t *present;
};
/* Rows of an instance that are no block yet, as they came. */
struct series_open {
    int64_t *times;
    size_t count, room;
    struct series_open_column *columns; /* by number */
    size_t column_count;
    size_t bytes; /* that all this takes */
    struct sk_arena texts;
};

/* A block in memory, in the order in which they were made. */
struct series_sealed {
    struct sk_list link;
    uint32_t instance;
    struct series_place place; /* its times and rows */
    struct sk_buffer bytes;
    unsigned users;
    bool dropped;
};

struct series_instance {
    char *name;
    uint32_t number;
    struct series_open open;
    size_t sealed; /* blocks in memory */
    size_t named;  /* properties that nobody had had before, since the store was opened */
    /* Deleted: what is in parts up to this one, and events of records below. */
    bool hidden;
    uint32_t hidden_last;
    uint64_t hidden_at;
};

struct sk_series {
    struct sk_io *io;
    struct sk_series_options options;
    char *folder;
    struct sk_arena names;
    struct sk_arena event; /* of the one that is being added */
    struct sk_map instance_map;
    struct sk_map property_maps[SK_SERIES_TYPES]; /* of names; a number and one */
    struct sk_series_property *properties;
    size_t property_count, property_room;
    struct series_instance **instances;
    size_t instance_count, instance_room;
    struct sk_list sealed; /* struct series_sealed */
    size_t sealed_bytes, open_bytes;
    uint64_t reached, position;
    struct sk_list parts; /* struct series_part, the oldest first */
    size_t part_count;
    uint32_t next; /* number of the next writing of memory */
    struct sk_list reads;
    void (*idle)(struct sk_series *store); /* store.c's: nothing is being written any more */
    struct series_writing *writing;        /* of memory, or of merged parts; NULL: none */
    struct series_sealed *flushing; /* the last of those that are being written; NULL: none */
    struct merging *merging;
    bool merge_failed;
    struct sk_timer merge_again;
    struct sk_timer flush;
    bool flush_again, flush_failed, closing;
    void (*closed)(void *arg);
    void *closed_arg;
    struct sk_task end;
    struct sk_series_counts counts;
    bool said_properties, said_instances, said_names, said_names_of_one;
};

/* ---- head.c ---- */

/* The next row, of so many fields, would not fit into a block any more. */
bool series_open_full(const struct series_open *open, size_t fields);
/* Adds a row, in any order of time. `numbers` are those of its fields' properties; UINT32_MAX: a
 * field that is left out. Returns how many of its fields were taken: each property once. */
size_t series_open_put(struct series_open *open, const struct sk_series_event *event,
                       const uint32_t *numbers);
/* The same in the store's memory; what is full becomes a block first. */
void series_open_add(struct sk_series *store, struct series_instance *instance,
                     const struct sk_series_event *event, const uint32_t *numbers);
/* Appends a block of the open rows, and says what it is; they stay. False: there are none. */
bool series_open_block(const struct series_instance *instance,
                       const struct sk_series_property *properties, struct sk_buffer *to,
                       struct series_place *place);
/* Open rows become a block in memory. */
void series_seal(struct sk_series *store, struct series_instance *instance);
void series_open_free(struct series_open *open);
void series_sealed_free(struct series_sealed *sealed);

/* ---- files.c ---- */

/* An instance by its name: its own, a new one; or NULL: there are too many. */
struct series_instance *series_instance_of(struct sk_series *store, struct sk_span name, bool make);
/* A property's number: its own, the next; or UINT32_MAX: it has none. */
uint32_t series_property_of(struct sk_series *store, const struct sk_series_property *property,
                            bool make);
/* Makes a path of the store's folder; the caller frees it. */
char *series_path(const struct sk_series *store, const char *name);
/* The path and the bytes of a part that is there are read, its names learned; a sentence in the
 * log, and NULL, where that cannot be. */
struct series_part *series_part_open(struct sk_series *store, const char *name);
void series_part_put(struct sk_series *store, struct series_part *part); /* into the list */
void series_part_free(struct series_part *part);
/* Removes it, from the disk at once. */
void series_part_drop(struct sk_series *store, struct series_part *part);
void series_part_unuse(struct series_part *part);
/* Writes a file from `bytes`, which it takes, as a part; then `done`, with the part in its place of
 * the list; NULL: it could not be. One at a time. `arg` is from malloc, or NULL: where the store
 * closes, it is freed, and `done` does not come. */
typedef void series_written(struct sk_series *store, void *arg, struct series_part *part);
void series_write(struct sk_series *store, struct sk_buffer *bytes, uint32_t first, uint32_t last,
                  series_written *done, void *arg);

/* The blocks of an instance in a part, by time, but those that are deleted. */
const struct series_place *series_places(const struct series_part *part,
                                         const struct series_instance *instance, size_t *count);

/* ---- kept.c ---- */

/* Reads which instances were deleted. */
enum sk_status series_load_hidden(struct sk_series *store, char reason[512]);
void series_keep(struct sk_series *store); /* drops what is too old or too much */

/* ---- merge.c ---- */

/* Begins, if parts are to be merged and nothing is being written. */
void series_merge(struct sk_series *store);
void series_merge_stop(struct sk_series *store);

/* ---- reader.c ---- */

/* Rows of an instance in some parts alone. */
struct sk_series_read *series_read_parts(struct sk_series *store,
                                         const struct series_instance *instance, uint32_t first,
                                         uint32_t last, const struct sk_series_reader *reader);
void series_reads_end(struct sk_series *store, enum sk_status status);

#endif
