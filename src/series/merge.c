/* Many parts become one: eight neighbours of a size, an instance after the other, by the reader's
 * way of giving rows. */
#include "series/parts.h"

#include <stdlib.h>
#include <string.h>

enum {
    MERGED_BYTES_MAX = 64 << 20, /* what parts that are merged take together: they are in memory */
};

struct merging {
    struct sk_series *store;
    uint32_t first, last;
    uint64_t position;
    int64_t written_us, oldest_us;
    struct sk_buffer bytes; /* blocks of the part to come */
    struct series_place *places;
    size_t place_count, place_room;
    struct sk_span *names;
    size_t *counts;
    size_t instance_count, instance_room;
    size_t at;                   /* the next instance of the store */
    struct series_instance rows; /* that become a block */
    struct sk_task task;
    struct sk_series_read *read;
};

static void next_instance(struct merging *merging);
static void merge_ends(struct sk_timer *timer);

static void merging_free(struct merging *merging) {
    sk_buffer_free(&merging->bytes);
    series_open_free(&merging->rows.open);
    free(merging->places);
    free(merging->names);
    free(merging->counts);
    merging->store->merging = NULL;
    free(merging);
}

/* ---- which ---- */

static unsigned level_of(const struct series_part *part) {
    unsigned level = 0;
    for (uint32_t n = part->last - part->first + 1; n >= SERIES_MERGED; n /= SERIES_MERGED) level++;
    return level;
}

static bool is_between(const struct series_part *part, uint32_t first, uint32_t last) {
    return part->first >= first && part->last <= last;
}

/* The first of eight neighbours of one level that are not too large together, or NULL. */
static struct series_part *choose(const struct sk_series *store, struct series_part **last) {
    SK_LIST_EACH((struct sk_list *)&store->parts, node, following) {
        struct series_part *first = SK_CONTAINER(node, struct series_part, link);
        uint64_t bytes = 0;
        size_t count = 0;
        for (struct sk_list *at = node; at != &store->parts && count < SERIES_MERGED;
             at = at->next) {
            struct series_part *part = SK_CONTAINER(at, struct series_part, link);
            if (level_of(part) != level_of(first)) break;
            bytes += part->bytes;
            *last = part;
            count++;
        }
        if (count == SERIES_MERGED && bytes <= MERGED_BYTES_MAX) return first;
    }
    return NULL;
}

/* ---- rows ---- */

static void note_place(struct merging *merging, const struct series_instance *instance,
                       struct series_place place) {
    bool fresh = merging->instance_count == 0 ||
                 merging->names[merging->instance_count - 1].p != instance->name;
    if (merging->place_count == merging->place_room) {
        merging->place_room = merging->place_room ? 2 * merging->place_room : 256;
        merging->places =
            sk_realloc(merging->places, merging->place_room * sizeof *merging->places);
    }
    merging->places[merging->place_count++] = place;
    if (fresh && merging->instance_count == merging->instance_room) {
        merging->instance_room = merging->instance_room ? 2 * merging->instance_room : 64;
        merging->names =
            sk_realloc(merging->names, merging->instance_room * sizeof *merging->names);
        merging->counts =
            sk_realloc(merging->counts, merging->instance_room * sizeof *merging->counts);
    }
    if (fresh) {
        merging->names[merging->instance_count] = sk_span_z(instance->name);
        merging->counts[merging->instance_count++] = 0;
    }
    merging->counts[merging->instance_count - 1]++;
}

static void end_block(struct merging *merging) {
    struct series_place place;
    size_t at = merging->bytes.n;
    if (!series_open_block(&merging->rows, merging->store->properties, &merging->bytes, &place))
        return;
    place.at = at;
    note_place(merging, merging->store->instances[merging->at], place);
    series_open_free(&merging->rows.open);
}

static bool on_rows(void *arg, const struct sk_series_rows *rows) {
    struct merging *merging = arg;
    struct sk_arena arena = {0};
    struct sk_series_field *fields =
        sk_arena_alloc(&arena, (rows->column_count + 1) * sizeof *fields);
    uint32_t *of_columns = sk_arena_alloc(&arena, (rows->column_count + 1) * sizeof *of_columns),
             *numbers = sk_arena_alloc(&arena, (rows->column_count + 1) * sizeof *numbers);
    for (size_t i = 0; i < rows->column_count; i++)
        of_columns[i] = series_property_of(merging->store, &rows->columns[i].property, false);
    for (size_t row = 0; row < rows->count; row++) {
        struct sk_series_event event = {.time = rows->times[row], .fields = fields};
        for (size_t i = 0; i < rows->column_count; i++) {
            const struct sk_series_column *column = &rows->columns[i];
            if (column->present && !column->present[row]) continue;
            numbers[event.field_count] = of_columns[i];
            fields[event.field_count++] =
                (struct sk_series_field){column->property, column->values[row]};
        }
        if (series_open_full(&merging->rows.open, event.field_count)) end_block(merging);
        series_open_put(&merging->rows.open, &event, numbers);
    }
    sk_arena_free(&arena);
    return true;
}

static void on_task(struct sk_task *task) {
    next_instance(SK_CONTAINER(task, struct merging, task));
}

static void on_done(void *arg, enum sk_status status) {
    struct merging *merging = arg;
    merging->read = NULL;
    if (status) { /* a block that cannot be read: the parts stay as they are */
        merging->store->merge_failed = true;
        merging_free(merging);
        return;
    }
    end_block(merging);
    merging->at++;
    sk_io_yield(merging->store->io, &merging->task, on_task);
}

/* ---- the part ---- */

static void part_written(struct sk_series *store, void *arg, struct series_part *part) {
    uint32_t first = ((uint32_t *)arg)[0], last = ((uint32_t *)arg)[1];
    free(arg);
    if (part) SK_LIST_EACH(&store->parts, node, following) {
            struct series_part *one = SK_CONTAINER(node, struct series_part, link);
            if (one != part && is_between(one, first, last)) series_part_drop(store, one);
        }
    store->merge_failed = part == NULL; /* until memory has been written again */
}

static void write_part(struct merging *merging) {
    struct sk_series *store = merging->store;
    uint32_t *range = sk_alloc(2 * sizeof *range);
    range[0] = merging->first;
    range[1] = merging->last;
    series_index_put(&merging->bytes, merging->bytes.n,
                     &(struct series_index){.first = merging->first,
                                            .last = merging->last,
                                            .position = merging->position,
                                            .written_us = merging->written_us,
                                            .oldest_us = merging->oldest_us,
                                            .properties = store->properties,
                                            .property_count = store->property_count,
                                            .instances = merging->names,
                                            .counts = merging->counts,
                                            .instance_count = merging->instance_count,
                                            .places = merging->places,
                                            .place_count = merging->place_count});
    series_write(store, &merging->bytes, merging->first, merging->last, part_written, range);
    merging_free(merging);
}

static void next_instance(struct merging *merging) {
    struct sk_series *store = merging->store;
    static const struct sk_series_reader reader = {.rows = on_rows, .done = on_done};
    if (merging->at == store->instance_count) {
        if (store->writing) { /* memory is being written: then it goes on */
            sk_timer_start(store->io, &store->merge_again, SK_S, merge_ends);
            return;
        }
        write_part(merging);
        return;
    }
    struct sk_series_reader own = reader;
    own.arg = merging;
    merging->read = series_read_parts(store, store->instances[merging->at], merging->first,
                                      merging->last, &own);
}

static void merge_ends(struct sk_timer *timer) {
    struct sk_series *store = SK_CONTAINER(timer, struct sk_series, merge_again);
    if (store->merging) next_instance(store->merging);
}

void series_merge_stop(struct sk_series *store) {
    struct merging *merging = store->merging;
    if (merging == NULL) return;
    sk_timer_stop(&store->merge_again);
    sk_io_undefer(&merging->task);
    if (merging->read) sk_series_read_cancel(merging->read);
    merging_free(merging);
}

void series_merge(struct sk_series *store) {
    struct series_part *last = NULL, *first;
    if (store->merging || store->merge_failed || store->closing) return;
    first = choose(store, &last);
    if (first == NULL) return;
    struct merging *merging = store->merging = SK_NEW(struct merging);
    *merging = (struct merging){.store = store,
                                .first = first->first,
                                .last = last->last,
                                .position = last->position,
                                .written_us = last->written_us,
                                .oldest_us = first->oldest_us};
    sk_io_yield(store->io, &merging->task, on_task);
}
