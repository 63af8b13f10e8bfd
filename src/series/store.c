/* The store: events come into memory, memory becomes parts. */
#include "series/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRY_S = 5 };

/* ---- memory becomes a part ---- */

static int by_block(const void *left, const void *right) {
    const struct series_sealed *const *a = left, *const *b = right;
    if ((*a)->instance != (*b)->instance) return (*a)->instance < (*b)->instance ? -1 : 1;
    if ((*a)->place.first_time != (*b)->place.first_time)
        return (*a)->place.first_time < (*b)->place.first_time ? -1 : 1;
    return (*a)->place.at < (*b)->place.at ? -1 : (*a)->place.at > (*b)->place.at;
}

static void flush_later(struct sk_timer *timer) {
    sk_series_flush(SK_CONTAINER(timer, struct sk_series, flush));
}

static void memory_written(struct sk_series *store, void *arg, struct series_part *part) {
    const struct series_sealed *last = store->flushing;
    (void)arg;
    store->flushing = NULL;
    store->flush_failed = part == NULL;
    if (part == NULL) {
        sk_timer_start(store->io, &store->flush, RETRY_S * SK_S, flush_later);
        return;
    }
    store->next = part->last + 1;
    store->merge_failed = false;
    store->position = part->position;
    for (bool more = true; more && !sk_list_empty(&store->sealed);) {
        struct series_sealed *sealed = SK_CONTAINER(store->sealed.next, struct series_sealed, link);
        more = sealed != last;
        store->sealed_bytes -= sealed->bytes.n + sizeof *sealed;
        store->instances[sealed->instance]->sealed--;
        series_sealed_free(sealed);
    }
    series_keep(store);
    if (store->options.moved) store->options.moved(store->options.arg);
}

/* Blocks and index of all that is sealed. */
static void put_memory(struct sk_series *store, struct sk_buffer *to, uint32_t number,
                       int64_t wall_us) {
    size_t count = 0, instances = 0;
    struct sk_arena arena = {0};
    SK_LIST_EACH(&store->sealed, node, following)
    SK_CONTAINER(node, struct series_sealed, link)->place.at = count++;
    struct series_sealed **blocks = sk_arena_alloc(&arena, count * sizeof *blocks);
    struct series_place *places = sk_arena_alloc(&arena, count * sizeof *places);
    struct sk_span *names = sk_arena_alloc(&arena, count * sizeof *names);
    size_t *counts = sk_arena_alloc(&arena, count * sizeof *counts), i = 0;
    SK_LIST_EACH(&store->sealed, other, behind)
    blocks[i++] = SK_CONTAINER(other, struct series_sealed, link);
    qsort(blocks, count, sizeof *blocks, by_block);
    for (i = 0; i < count; i++) {
        if (i == 0 || blocks[i]->instance != blocks[i - 1]->instance) {
            names[instances] = sk_span_z(store->instances[blocks[i]->instance]->name);
            counts[instances++] = 0;
        }
        counts[instances - 1]++;
        places[i] = blocks[i]->place;
        places[i].at = to->n;
        sk_buffer_append(to, sk_buffer_span(&blocks[i]->bytes));
    }
    series_index_put(to, to->n,
                     &(struct series_index){.first = number,
                                            .last = number,
                                            .position = store->reached,
                                            .written_us = wall_us,
                                            .oldest_us = wall_us,
                                            .properties = store->properties,
                                            .property_count = store->property_count,
                                            .instances = names,
                                            .counts = counts,
                                            .instance_count = instances,
                                            .places = places,
                                            .place_count = count});
    sk_arena_free(&arena);
}

static void write_memory(struct sk_series *store) {
    for (size_t i = 0; i < store->instance_count; i++)
        if (store->instances[i]->open.count) series_seal(store, store->instances[i]);
    if (sk_list_empty(&store->sealed)) {
        if (store->reached > store->position) { /* what was read had no events */
            store->position = store->reached;
            if (store->options.moved) store->options.moved(store->options.arg);
        }
        return;
    }
    struct sk_buffer bytes = {0};
    int64_t wall_us = sk_io_wall(store->io);
    store->flushing = SK_CONTAINER(store->sealed.prev, struct series_sealed, link);
    put_memory(store, &bytes, store->next, wall_us);
    series_write(store, &bytes, store->next, store->next, memory_written, NULL);
}

void sk_series_flush(struct sk_series *store) {
    if (store->closing) return;
    store->flush_again = store->writing != NULL;
    store->flush_failed = false;
    sk_timer_stop(&store->flush);
    if (!store->flush_again) write_memory(store);
}

/* ---- filling ---- */

static bool refuse(struct sk_series *store, bool *said, const char *sentence, uint64_t limit) {
    if (!*said)
        SK_WARN("series", "%s: %s (%llu); more are counted", store->folder, sentence,
                (unsigned long long)limit);
    *said = true;
    return false;
}

static bool names_fine(struct sk_series *store, const struct sk_series_event *event) {
    bool fine = event->instance.n <= SK_SERIES_INSTANCE_MAX && event->time >= SK_SERIES_TIME_MIN &&
                event->time <= SK_SERIES_TIME_MAX;
    for (size_t i = 0; i < event->field_count && fine; i++)
        fine = event->fields[i].property.name.n <= SK_SERIES_NAME_MAX;
    return fine ||
           refuse(store, &store->said_names,
                  "an event's time is none of the years 1 to 9999, or a name is longer than "
                  "this many bytes",
                  SK_SERIES_NAME_MAX);
}

static size_t memory_of(const struct sk_series *store) {
    return store->sealed_bytes + store->open_bytes;
}

static size_t memory_max(const struct sk_series *store) {
    return store->options.memory_bytes ? (size_t)store->options.memory_bytes : SERIES_MEMORY;
}

bool sk_series_has_room(const struct sk_series *store) {
    return memory_of(store) < memory_max(store);
}

/* At once where much is in memory; what waits after a write that failed goes on waiting. */
static void flush_in_time(struct sk_series *store) {
    uint64_t us = store->options.flush_us ? store->options.flush_us : 60000000;
    bool much = memory_of(store) > memory_max(store) / 2;
    if (store->writing || store->flush_failed) return;
    if (much || !sk_timer_running(&store->flush))
        sk_timer_start(store->io, &store->flush, much ? 0 : us * 1000, flush_later);
}

/* Half of the names are whoever's comes first; of the other half one series gets no more than that
 * a quarter of all are its, so that a device that invents names leaves some to the others. */
static uint32_t number_of(struct sk_series *store, struct series_instance *instance,
                          const struct sk_series_property *property) {
    size_t most = store->options.properties ? store->options.properties : SERIES_PROPERTIES;
    size_t before = store->property_count;
    bool many = before >= (most + 1) / 2 && instance->named >= (most + 3) / 4;
    uint32_t number = series_property_of(store, property, before < most && !many);
    if (store->property_count > before) instance->named++;
    if (number != UINT32_MAX) return number;
    store->counts.dropped_total++;
    if (before < most)
        refuse(store, &store->said_names_of_one,
               "a series has named as many properties as one may while half of all that there may "
               "be are there (raise max_properties)",
               most);
    else
        refuse(store, &store->said_properties,
               "there are as many names of properties as there may be (raise max_properties)",
               most);
    return UINT32_MAX;
}

enum sk_status sk_series_add(struct sk_series *store, const struct sk_series_event *event,
                             uint64_t position) {
    size_t instances = store->options.instances ? store->options.instances : SERIES_INSTANCES;
    if (!names_fine(store, event)) {
        store->counts.refused_total++;
        return SK_INVALID;
    }
    struct series_instance *instance = series_instance_of(store, event->instance, false);
    if (instance == NULL && store->instance_count >= instances) {
        store->counts.refused_total++;
        refuse(store, &store->said_instances, "there are as many instances as there may be",
               instances);
        return SK_TOO_LARGE;
    }
    if (instance == NULL) instance = series_instance_of(store, event->instance, true);
    if (instance->hidden && position < instance->hidden_at) return SK_OK; /* deleted since */
    sk_arena_reset(&store->event);
    uint32_t *numbers = sk_arena_alloc(&store->event, (event->field_count + 1) * sizeof *numbers);
    for (size_t i = 0; i < event->field_count; i++)
        numbers[i] = number_of(store, instance, &event->fields[i].property);
    series_open_add(store, instance, event, numbers);
    store->counts.events_total++;
    flush_in_time(store);
    return SK_OK;
}

void sk_series_reach(struct sk_series *store, uint64_t position) {
    if (position <= store->reached) return;
    bool nothing = store->reached == store->position && memory_of(store) == 0;
    store->reached = position;
    if (nothing) store->position = position;
}

uint64_t sk_series_position(const struct sk_series *store) {
    return store->position;
}

/* ---- opening and closing ---- */

struct found {
    struct sk_series *store;
    struct sk_arena arena;
    struct sk_span *names;
    size_t count, room;
};

static void look(void *arg, struct sk_span name) {
    struct found *found = arg;
    uint32_t first, last;
    if (series_part_name_read(name, &first, &last)) return;
    if (found->count == found->room) {
        found->room = found->room ? 2 * found->room : 64;
        found->names = sk_realloc(found->names, found->room * sizeof *found->names);
    }
    found->names[found->count++] = sk_arena_copy(&found->arena, name);
}

/* What a part that is there was made of. */
static void remove_merged(struct sk_series *store) {
    SK_LIST_EACH(&store->parts, node, following) {
        struct series_part *part = SK_CONTAINER(node, struct series_part, link);
        SK_LIST_EACH(&store->parts, other, behind) {
            const struct series_part *whole = SK_CONTAINER(other, struct series_part, link);
            if (whole == part || whole->first > part->first || whole->last < part->last) continue;
            series_part_drop(store, part);
            break;
        }
    }
}

/* The newest has the longest table of properties, so it is read first: names come in byte order. */
static enum sk_status load(struct sk_series *store, char reason[512]) {
    struct found found = {.store = store};
    enum sk_status status = sk_folder_make(store->io, store->folder, 0700);
    if (!status) status = sk_folder_list(store->io, store->folder, look, &found);
    if (status)
        snprintf(reason, 512, "%s: cannot be read (%s)", store->folder, sk_status_text(status));
    for (size_t i = found.count; i > 0 && !status; i--) {
        SK_CLEANUP_FREE char *name = sk_span_dup(found.names[i - 1]);
        struct series_part *part = series_part_open(store, name);
        uint32_t first, last = 0;
        series_part_name_read(found.names[i - 1], &first, &last);
        if (last >= store->next) store->next = last + 1;
        if (part)
            series_part_put(store, part);
        else
            store->counts.damaged++;
    }
    sk_arena_free(&found.arena);
    free(found.names);
    return status;
}

static void free_store(struct sk_task *task) {
    struct sk_series *store = SK_CONTAINER(task, struct sk_series, end);
    void (*closed)(void *) = store->closed;
    void *arg = store->closed_arg;
    SK_LIST_EACH(&store->parts, node, following) {
        struct series_part *part = SK_CONTAINER(node, struct series_part, link);
        sk_list_remove(&part->link);
        series_part_free(part);
    }
    SK_LIST_EACH(&store->sealed, other, behind)
    series_sealed_free(SK_CONTAINER(other, struct series_sealed, link));
    for (size_t i = 0; i < store->instance_count; i++) {
        series_open_free(&store->instances[i]->open);
        free(store->instances[i]->name);
        free(store->instances[i]);
    }
    free(store->instances);
    free(store->properties);
    sk_map_free(&store->instance_map);
    for (size_t i = 0; i < SK_SERIES_TYPES; i++) sk_map_free(&store->property_maps[i]);
    sk_arena_free(&store->event);
    sk_arena_free(&store->names);
    free(store->folder);
    free(store);
    if (closed) closed(arg);
}

/* Nothing is being written any more. */
static void idle(struct sk_series *store) {
    if (store->closing) {
        sk_io_defer(store->io, &store->end, free_store);
        return;
    }
    if (store->flush_again) sk_series_flush(store);
    if (memory_of(store)) flush_in_time(store); /* what has come meanwhile */
    series_merge(store);
}

enum sk_status sk_series_open(struct sk_io *io, const struct sk_series_options *options,
                              struct sk_series **to, char reason[512]) {
    struct sk_series *store = SK_NEW(struct sk_series);
    store->io = io;
    store->next = 1;
    store->idle = idle;
    store->options = *options;
    store->folder = sk_span_dup(sk_span_z(options->folder));
    sk_list_init(&store->sealed);
    sk_list_init(&store->parts);
    sk_list_init(&store->reads);
    enum sk_status status = load(store, reason);
    if (!status) status = series_load_hidden(store, reason);
    *to = store;
    if (status) {
        sk_series_close(store, NULL, NULL);
        *to = NULL;
        return status;
    }
    remove_merged(store);
    if (!sk_list_empty(&store->parts))
        store->position = SK_CONTAINER(store->parts.prev, struct series_part, link)->position;
    store->reached = store->position;
    series_keep(store);
    series_merge(store);
    return SK_OK;
}

void sk_series_close(struct sk_series *store, void (*closed)(void *arg), void *arg) {
    store->closing = true;
    store->closed = closed;
    store->closed_arg = arg;
    sk_timer_stop(&store->flush);
    series_merge_stop(store);
    series_reads_end(store, SK_CLOSED);
    if (store->writing == NULL) idle(store);
}

void sk_series_set(struct sk_series *store, const struct sk_series_options *options) {
    struct sk_series_options next = *options;
    next.moved = store->options.moved;
    next.arg = store->options.arg;
    next.folder = store->options.folder;
    store->options = next;
    series_keep(store);
}
