/* Names and parts: what stands in the store's folder, and what its numbers mean. */
#include "series/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

struct series_instance *series_instance_of(struct sk_series *store, struct sk_span name,
                                           bool make) {
    struct series_instance *instance = sk_map_get(&store->instance_map, name);
    if (instance || !make) return instance;
    if (store->instance_count == store->instance_room) {
        store->instance_room = store->instance_room ? 2 * store->instance_room : 64;
        store->instances =
            sk_realloc(store->instances, store->instance_room * sizeof(struct series_instance *));
    }
    instance = SK_NEW(struct series_instance);
    instance->name = sk_span_dup(name);
    instance->number = (uint32_t)store->instance_count;
    store->instances[store->instance_count++] = instance;
    sk_map_put(&store->instance_map, sk_span_z(instance->name), instance);
    return instance;
}

uint32_t series_property_of(struct sk_series *store, const struct sk_series_property *property,
                            bool make) {
    struct sk_map *map = &store->property_maps[property->type];
    uintptr_t number = (uintptr_t)sk_map_get(map, property->name);
    if (number == 0 && make) {
        if (store->property_count == store->property_room) {
            store->property_room = store->property_room ? 2 * store->property_room : 64;
            store->properties =
                sk_realloc(store->properties, store->property_room * sizeof *store->properties);
        }
        struct sk_span name = sk_arena_copy(&store->names, property->name);
        store->properties[store->property_count] =
            (struct sk_series_property){name, property->type};
        number = ++store->property_count;
        sk_map_put(map, name, (void *)number);
    }
    return (uint32_t)number - 1; /* of 0: UINT32_MAX */
}

char *series_path(const struct sk_series *store, const char *name) {
    struct sk_buffer path = {0};
    sk_buffer_print(&path, "%s/%s", store->folder, name);
    sk_buffer_byte(&path, 0);
    return path.p;
}

/* ---- parts ---- */

static enum sk_status read_index(struct series_part *part, struct sk_buffer *bytes,
                                 uint64_t *blocks_bytes) {
    char end[SERIES_PART_END];
    uint64_t at, n;
    uint32_t crc;
    size_t got;
    part->bytes = sk_file_size(part->file);
    if (part->bytes < SERIES_PART_END) return SK_MALFORMED;
    enum sk_status status =
        sk_file_read(part->file, part->bytes - SERIES_PART_END, end, sizeof end, &got);
    if (!status) status = series_index_find(sk_span(end, got), part->bytes, &at, &n, &crc);
    if (status) return status;
    char *to = sk_buffer_reserve(bytes, (size_t)n + 1);
    status = sk_file_read(part->file, at, to, (size_t)n, &got);
    if (!status && (got != n || sk_crc32c(0, sk_span(to, got)) != crc)) status = SK_MALFORMED;
    bytes->n = (size_t)n;
    *blocks_bytes = at;
    return status;
}

/* The numbers in blocks are those of the store: each part has the whole table as it was, so one is
 * the beginning of another. */
static bool learn_properties(struct sk_series *store, const struct series_index *index) {
    for (size_t i = 0; i < index->property_count; i++)
        if (series_property_of(store, &index->properties[i], true) != i) return false;
    return true;
}

static int by_instance(const void *left, const void *right) {
    const struct series_place *a = left, *b = right;
    if (a->instance != b->instance) return a->instance < b->instance ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

static void take_index(struct sk_series *store, struct series_part *part,
                       const struct series_index *index) {
    part->first = index->first;
    part->last = index->last;
    part->position = index->position;
    part->oldest_us = index->oldest_us;
    part->written_us = index->written_us;
    part->place_count = index->place_count;
    part->places = sk_alloc((index->place_count + 1) * sizeof *part->places);
    for (size_t i = 0; i < index->place_count; i++) {
        struct series_place *place = &part->places[i];
        *place = index->places[i];
        place->instance =
            series_instance_of(store, index->instances[place->instance], true)->number;
        part->rows += place->rows;
    }
    qsort(part->places, part->place_count, sizeof *part->places, by_instance);
}

void series_part_free(struct series_part *part) {
    if (part->file) sk_file_close(part->file);
    free(part->places);
    free(part);
}

struct series_part *series_part_open(struct sk_series *store, const char *name) {
    struct series_part *part = SK_NEW(struct series_part);
    struct sk_buffer bytes = {0};
    struct sk_arena arena = {0};
    struct series_index index;
    uint64_t blocks_bytes;
    SK_CLEANUP_FREE char *path = series_path(store, name);
    snprintf(part->name, sizeof part->name, "%s", name);
    enum sk_status status = sk_file_open(store->io, path, SK_FILE_READ, &part->file);
    if (!status) status = read_index(part, &bytes, &blocks_bytes);
    if (!status) status = series_index_read(sk_buffer_span(&bytes), blocks_bytes, &arena, &index);
    if (!status && !learn_properties(store, &index)) status = SK_MALFORMED;
    if (status) {
        SK_ERROR("series", "%s: cannot be read (%s); it is left aside", path,
                 sk_status_text(status));
        series_part_free(part);
        part = NULL;
    } else {
        take_index(store, part, &index);
    }
    sk_arena_free(&arena);
    sk_buffer_free(&bytes);
    return part;
}

void series_part_put(struct sk_series *store, struct series_part *part) {
    struct sk_list *at = &store->parts;
    while (at->prev != &store->parts &&
           SK_CONTAINER(at->prev, struct series_part, link)->first > part->first)
        at = at->prev;
    sk_list_append(at, &part->link); /* in front of `at` */
    store->part_count++;
    store->counts.disk_bytes += part->bytes;
}

void series_part_drop(struct sk_series *store, struct series_part *part) {
    SK_CLEANUP_FREE char *path = series_path(store, part->name);
    sk_list_remove(&part->link);
    store->part_count--;
    store->counts.disk_bytes -= part->bytes;
    sk_file_remove(store->io, path);
    part->dropped = true;
    if (part->users == 0) series_part_free(part);
}

void series_part_unuse(struct series_part *part) {
    if (--part->users == 0 && part->dropped) series_part_free(part);
}

const struct series_place *series_places(const struct series_part *part,
                                         const struct series_instance *instance, size_t *count) {
    size_t low = 0, high = part->place_count;
    *count = 0;
    if (instance->hidden && part->last <= instance->hidden_last) return NULL;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (part->places[middle].instance < instance->number)
            low = middle + 1;
        else
            high = middle;
    }
    while (low + *count < part->place_count &&
           part->places[low + *count].instance == instance->number)
        (*count)++;
    return part->places + low;
}

/* ---- writing a part ---- */

struct series_writing {
    struct sk_series *store;
    struct sk_buffer bytes;
    struct sk_file *file;
    char *path; /* until it has its name */
    char name[SERIES_PART_NAME];
    series_written *done;
    void *arg;
    struct sk_task not_opened; /* the file could not be, */
    enum sk_status why;        /* for this reason */
};

static void written(void *arg, enum sk_status status) {
    struct series_writing *writing = arg;
    struct sk_series *store = writing->store;
    struct series_part *part = NULL;
    SK_CLEANUP_FREE char *path = series_path(store, writing->name);
    sk_file_close(writing->file);
    if (!status && !store->closing) status = sk_file_rename(store->io, writing->path, path);
    if (!status && !store->closing) part = series_part_open(store, writing->name);
    if (status && !store->closing)
        SK_SELDOM(SK_LEVEL_WARN, "series", "%s: cannot be written (%s); it is tried again", path,
                  sk_status_text(status));
    if (part) series_part_put(store, part);
    store->writing = NULL;
    if (store->closing)
        free(writing->arg);
    else
        writing->done(store, writing->arg, part);
    sk_buffer_free(&writing->bytes);
    free(writing->path);
    free(writing);
    store->idle(store);
}

static void not_opened(struct sk_task *task) {
    struct series_writing *writing = SK_CONTAINER(task, struct series_writing, not_opened);
    written(writing, writing->why);
}

void series_write(struct sk_series *store, struct sk_buffer *bytes, uint32_t first, uint32_t last,
                  series_written *done, void *arg) {
    struct series_writing *writing = SK_NEW(struct series_writing);
    *writing = (struct series_writing){.store = store, .bytes = *bytes, .done = done, .arg = arg};
    *bytes = (struct sk_buffer){0};
    series_part_name(first, last, writing->name);
    writing->path = series_path(store, "writing.tmp");
    store->writing = writing;
    sk_file_remove(store->io, writing->path);
    writing->why = sk_file_open(store->io, writing->path, SK_FILE_CREATE, &writing->file);
    if (writing->why)
        sk_io_defer(store->io, &writing->not_opened, not_opened);
    else
        sk_file_write_sync(writing->file, 0, sk_buffer_span(&writing->bytes), written, writing);
}
