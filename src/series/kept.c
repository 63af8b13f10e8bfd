/* What goes, and what there is. */
#include "series/parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- retention: whole parts ---- */

static struct series_part *oldest(const struct sk_series *store) {
    return sk_list_empty(&store->parts) ? NULL
                                        : SK_CONTAINER(store->parts.next, struct series_part, link);
}

void series_keep(struct sk_series *store) {
    const struct sk_series_options *o = &store->options;
    int64_t now_us = sk_io_wall(store->io);
    struct series_part *part;
    while (o->retention_us && (part = oldest(store)) != NULL && store->part_count > 1 &&
           now_us - part->written_us > (int64_t)o->retention_us)
        series_part_drop(store, part);
    while (o->retention_bytes && store->part_count > 1 &&
           store->counts.disk_bytes > o->retention_bytes)
        series_part_drop(store, oldest(store));
}

/* ---- an instance's data ----
 *
 * The file says of each that was deleted which parts its blocks are not to be read from any more,
 * and from which of the log's records it has events again: "last position name" a line. Blocks go
 * when their part is merged. */

#define HIDDEN "deleted"

enum sk_status series_load_hidden(struct sk_series *store, char reason[512]) {
    struct sk_buffer text = {.limit = 256u << 20};
    SK_CLEANUP_FREE char *path = series_path(store, HIDDEN);
    enum sk_status status = sk_file_load(store->io, path, &text);
    struct sk_span rest = sk_buffer_span(&text), line, last, position;
    if (status && status != SK_NOT_FOUND)
        snprintf(reason, 512, "%s: cannot be read (%s)", path, sk_status_text(status));
    while (!status && sk_span_split(&rest, '\n', &line) && line.n) {
        int64_t a, b;
        if (!sk_span_split(&line, ' ', &last) || !sk_span_split(&line, ' ', &position) ||
            sk_span_to_int(last, &a) || sk_span_to_int(position, &b)) {
            snprintf(reason, 512, "%s: is damaged", path);
            status = SK_MALFORMED;
            break;
        }
        struct series_instance *instance = series_instance_of(store, line, true);
        instance->hidden = true;
        instance->hidden_last = (uint32_t)a;
        instance->hidden_at = (uint64_t)b;
    }
    sk_buffer_free(&text);
    return status == SK_NOT_FOUND ? SK_OK : status;
}

/* Those of whom something that is hidden may still be there, or come again from the log. */
static bool is_needed(const struct sk_series *store, const struct series_instance *instance) {
    const struct series_part *first = oldest(store);
    return instance->hidden && (store->position < instance->hidden_at ||
                                (first && first->first <= instance->hidden_last));
}

static enum sk_status save_hidden(const struct sk_series *store) {
    struct sk_buffer text = {0};
    SK_CLEANUP_FREE char *path = series_path(store, HIDDEN);
    for (size_t i = 0; i < store->instance_count; i++) {
        const struct series_instance *instance = store->instances[i];
        if (is_needed(store, instance))
            sk_buffer_print(&text, "%u %llu %s\n", instance->hidden_last,
                            (unsigned long long)instance->hidden_at, instance->name);
    }
    enum sk_status status = sk_file_save(store->io, path, sk_buffer_span(&text), 0600);
    sk_buffer_free(&text);
    return status;
}

/* What is in memory: blocks that are being written are hidden as their part will be. */
static void drop_memory(struct sk_series *store, struct series_instance *instance) {
    bool written = store->flushing != NULL;
    store->open_bytes -= instance->open.bytes;
    series_open_free(&instance->open);
    SK_LIST_EACH(&store->sealed, node, following) {
        struct series_sealed *sealed = SK_CONTAINER(node, struct series_sealed, link);
        bool last = sealed == store->flushing;
        if (!written && sealed->instance == instance->number) {
            store->sealed_bytes -= sealed->bytes.n + sizeof *sealed;
            instance->sealed--;
            series_sealed_free(sealed);
        }
        if (last) written = false;
    }
}

enum sk_status sk_series_delete(struct sk_series *store, struct sk_span name) {
    struct sk_series_instance known;
    struct series_instance *instance = series_instance_of(store, name, false);
    if (instance == NULL || sk_series_instance_find(store, name, &known)) return SK_NOT_FOUND;
    struct series_instance before = *instance;
    instance->hidden = true;
    instance->hidden_last = store->flushing ? store->next : store->next - 1;
    instance->hidden_at = store->reached;
    enum sk_status status = save_hidden(store);
    if (status) {
        instance->hidden = before.hidden;
        instance->hidden_last = before.hidden_last;
        instance->hidden_at = before.hidden_at;
        return status;
    }
    drop_memory(store, instance);
    return SK_OK;
}

/* ---- what there is ---- */

static void add_place(struct sk_series_instance *to, const struct series_place *place) {
    if (to->rows == 0 || place->first_time < to->first_time) to->first_time = place->first_time;
    if (to->rows == 0 || place->last_time > to->last_time) to->last_time = place->last_time;
    to->rows += place->rows;
}

static void know(const struct sk_series *store, const struct series_instance *instance,
                 struct sk_series_instance *to) {
    *to = (struct sk_series_instance){.name = sk_span_z(instance->name)};
    size_t count;
    SK_LIST_EACH((struct sk_list *)&store->parts, node, following) {
        const struct series_place *places =
            series_places(SK_CONTAINER(node, struct series_part, link), instance, &count);
        for (size_t i = 0; i < count; i++) add_place(to, &places[i]);
    }
    if (instance->sealed) {
        SK_LIST_EACH((struct sk_list *)&store->sealed, other, behind) {
            const struct series_sealed *sealed = SK_CONTAINER(other, struct series_sealed, link);
            if (sealed->instance == instance->number) add_place(to, &sealed->place);
        }
    }
    for (size_t i = 0; i < instance->open.count; i++)
        add_place(to, &(struct series_place){.rows = 1,
                                             .first_time = instance->open.times[i],
                                             .last_time = instance->open.times[i]});
}

size_t sk_series_instance_next(const struct sk_series *store, size_t from,
                               struct sk_series_instance *instance) {
    for (size_t i = from; i < store->instance_count; i++) {
        know(store, store->instances[i], instance);
        if (instance->rows) return i + 1;
    }
    return 0;
}

enum sk_status sk_series_instance_find(const struct sk_series *store, struct sk_span name,
                                       struct sk_series_instance *instance) {
    const struct series_instance *found = sk_map_get(&store->instance_map, name);
    if (found == NULL) return SK_NOT_FOUND;
    know(store, found, instance);
    return instance->rows ? SK_OK : SK_NOT_FOUND;
}

size_t sk_series_property_count(const struct sk_series *store) {
    return store->property_count;
}

struct sk_series_property sk_series_property_at(const struct sk_series *store, size_t i) {
    return store->properties[i];
}

struct sk_series_counts sk_series_counts(const struct sk_series *store) {
    struct sk_series_counts counts = store->counts;
    counts.instances = store->instance_count;
    counts.properties = store->property_count;
    counts.parts = store->part_count;
    counts.memory_bytes = store->sealed_bytes + store->open_bytes;
    counts.position = store->position;
    SK_LIST_EACH((struct sk_list *)&store->parts, node, following)
    counts.rows += SK_CONTAINER(node, struct series_part, link)->rows;
    SK_LIST_EACH((struct sk_list *)&store->sealed, other, behind)
    counts.rows += SK_CONTAINER(other, struct series_sealed, link)->place.rows;
    for (size_t i = 0; i < store->instance_count; i++)
        counts.rows += store->instances[i]->open.count;
    return counts;
}

/* ---- availability ---- */

enum { INTERVALS_MAX = 1000 };

static bool span_of(const struct sk_series *store, int64_t *first, int64_t *last) {
    bool any = false;
    struct sk_series_instance instance;
    for (size_t at = 0; (at = sk_series_instance_next(store, at, &instance)) != 0; any = true) {
        if (!any || instance.first_time < *first) *first = instance.first_time;
        if (!any || instance.last_time > *last) *last = instance.last_time;
    }
    return any;
}

/* A block's rows are spread evenly over its time; of fewer rows than intervals the first and the
 * last stand at its ends. */
static void spread(uint64_t *rows, int64_t start, int64_t width, const struct series_place *place) {
    size_t from = (size_t)((place->first_time - start) / width),
           to = (size_t)((place->last_time - start) / width), left = place->rows;
    for (size_t n = place->rows; n > 1 && n <= to - from && left; left--)
        rows[from + (left - 1) * (to - from) / (n - 1)]++;
    for (size_t i = from; i <= to; i++) {
        size_t some = left / (to - i + 1);
        rows[i] += some;
        left -= some;
    }
}

static void spread_all(const struct sk_series *store, uint64_t *rows, int64_t start,
                       int64_t width) {
    size_t count;
    for (size_t k = 0; k < store->instance_count; k++) {
        const struct series_instance *instance = store->instances[k];
        SK_LIST_EACH((struct sk_list *)&store->parts, node, following) {
            const struct series_place *places =
                series_places(SK_CONTAINER(node, struct series_part, link), instance, &count);
            for (size_t i = 0; i < count; i++) spread(rows, start, width, &places[i]);
        }
        for (size_t i = 0; i < instance->open.count; i++)
            spread(rows, start, width,
                   &(struct series_place){.rows = 1,
                                          .first_time = instance->open.times[i],
                                          .last_time = instance->open.times[i]});
    }
    SK_LIST_EACH((struct sk_list *)&store->sealed, other, behind)
    spread(rows, start, width, &SK_CONTAINER(other, struct series_sealed, link)->place);
}

struct sk_series_availability sk_series_availability(const struct sk_series *store) {
    struct sk_series_availability there = {.width_ms = 60000};
    int64_t first = 0, last = 0;
    if (!span_of(store, &first, &last)) return there;
    while ((last - sk_series_floor(first, there.width_ms)) / there.width_ms >= INTERVALS_MAX)
        there.width_ms *= 2;
    int64_t start = sk_series_floor(first, there.width_ms);
    size_t count = (size_t)((last - start) / there.width_ms) + 1;
    uint64_t *rows = sk_alloc(count * sizeof *rows);
    spread_all(store, rows, start, there.width_ms);
    there.intervals = sk_alloc(count * sizeof *there.intervals);
    for (size_t i = 0; i < count; i++)
        if (rows[i])
            there.intervals[there.count++] =
                (struct sk_series_interval){start + (int64_t)i * there.width_ms, rows[i]};
    free(rows);
    return there;
}
