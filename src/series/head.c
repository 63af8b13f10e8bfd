/* What is in memory. */
#include "series/parts.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_FIRST = 16, OPEN_BYTES_MAX = 1 << 20 };

static size_t column_bytes(size_t room) {
    return room * (sizeof(union sk_series_value) + 1);
}

static void grow(struct series_open *open) {
    size_t room = open->room ? 2 * open->room : ROOM_FIRST;
    open->times = sk_realloc(open->times, room * sizeof *open->times);
    for (size_t i = 0; i < open->column_count; i++) {
        struct series_open_column *column = &open->columns[i];
        column->values = sk_realloc(column->values, room * sizeof *column->values);
        column->present = sk_realloc(column->present, room);
        memset(column->present + open->room, 0, room - open->room);
    }
    open->bytes += (room - open->room) * sizeof *open->times +
                   open->column_count * (column_bytes(room) - column_bytes(open->room));
    open->room = room;
}

static struct series_open_column *column_of(struct series_open *open, uint32_t number) {
    size_t at = 0;
    while (at < open->column_count && open->columns[at].number < number) at++;
    if (at < open->column_count && open->columns[at].number == number) return &open->columns[at];
    open->columns = sk_realloc(open->columns, (open->column_count + 1) * sizeof *open->columns);
    memmove(open->columns + at + 1, open->columns + at,
            (open->column_count - at) * sizeof *open->columns);
    open->column_count++;
    open->columns[at] =
        (struct series_open_column){.number = number,
                                    .values = sk_alloc(open->room * sizeof(union sk_series_value)),
                                    .present = sk_alloc(open->room)};
    open->bytes += column_bytes(open->room) + sizeof *open->columns;
    return &open->columns[at];
}

bool series_open_full(const struct series_open *open, size_t fields) {
    return open->count && (open->count == SK_SERIES_BLOCK_ROWS || open->bytes >= OPEN_BYTES_MAX ||
                           (open->count + 1) * (open->column_count + fields) > SERIES_CELLS_MAX);
}

size_t series_open_put(struct series_open *open, const struct sk_series_event *event,
                       const uint32_t *numbers) {
    size_t taken = 0;
    if (open->count == open->room) grow(open);
    size_t row = open->count++;
    open->times[row] = event->time;
    for (size_t i = 0; i < event->field_count; i++) {
        const struct sk_series_field *field = &event->fields[i];
        if (numbers[i] == UINT32_MAX) continue;
        struct series_open_column *column = column_of(open, numbers[i]);
        if (column->present[row]) continue; /* twice in one event */
        column->present[row] = 1;
        column->values[row] = field->value;
        taken++;
        if (!sk_series_is_text(field->property.type)) continue;
        column->values[row].text = sk_arena_copy(&open->texts, field->value.text);
        open->bytes += field->value.text.n;
    }
    return taken;
}

void series_open_add(struct sk_series *store, struct series_instance *instance,
                     const struct sk_series_event *event, const uint32_t *numbers) {
    struct series_open *open = &instance->open;
    if (series_open_full(open, event->field_count)) series_seal(store, instance);
    size_t before = open->bytes;
    store->counts.values_total += series_open_put(open, event, numbers);
    store->open_bytes += open->bytes - before;
}

/* ---- blocks ---- */

struct ordered {
    int64_t time;
    uint32_t row;
};

static int compare(const void *left, const void *right) {
    const struct ordered *a = left, *b = right;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static bool in_order(const struct series_open *open) {
    for (size_t i = 1; i < open->count; i++)
        if (open->times[i] < open->times[i - 1]) return false;
    return true;
}

/* The rows by time, those of a time as they came; in the arena where they had to be moved. */
static void sorted(const struct series_open *open, struct sk_arena *arena, int64_t **times,
                   struct sk_series_column *columns) {
    *times = open->times;
    if (in_order(open)) return;
    struct ordered *order = sk_arena_alloc(arena, open->count * sizeof *order);
    for (uint32_t i = 0; i < open->count; i++) order[i] = (struct ordered){open->times[i], i};
    qsort(order, open->count, sizeof *order, compare);
    *times = sk_arena_alloc(arena, open->count * sizeof **times);
    for (size_t i = 0; i < open->count; i++) (*times)[i] = order[i].time;
    for (size_t c = 0; c < open->column_count; c++) {
        union sk_series_value *values = sk_arena_alloc(arena, open->count * sizeof *values);
        uint8_t *present = sk_arena_alloc(arena, open->count);
        for (size_t i = 0; i < open->count; i++) {
            values[i] = columns[c].values[order[i].row];
            present[i] = columns[c].present[order[i].row];
        }
        columns[c].values = values;
        columns[c].present = present;
    }
}

bool series_open_block(const struct series_instance *instance,
                       const struct sk_series_property *properties, struct sk_buffer *to,
                       struct series_place *place) {
    const struct series_open *open = &instance->open;
    struct sk_arena arena = {0};
    int64_t *times;
    if (open->count == 0) return false;
    size_t begin = to->n, count = open->column_count;
    struct sk_series_column *columns = sk_arena_alloc(&arena, (count + 1) * sizeof *columns);
    uint32_t *numbers = sk_arena_alloc(&arena, (count + 1) * sizeof *numbers);
    for (size_t i = 0; i < count; i++) {
        numbers[i] = open->columns[i].number;
        columns[i] = (struct sk_series_column){.property = properties[numbers[i]],
                                               .present = open->columns[i].present,
                                               .values = open->columns[i].values};
    }
    sorted(open, &arena, &times, columns);
    series_block_encode(
        to, &(struct sk_series_rows){times, open->count, columns, open->column_count}, numbers);
    *place = (struct series_place){.instance = instance->number,
                                   .rows = (uint32_t)open->count,
                                   .n = (uint32_t)(to->n - begin),
                                   .crc = sk_crc32c(0, sk_span(to->p + begin, to->n - begin)),
                                   .first_time = times[0],
                                   .last_time = times[open->count - 1]};
    sk_arena_free(&arena);
    return true;
}

void series_open_free(struct series_open *open) {
    for (size_t i = 0; i < open->column_count; i++) {
        free(open->columns[i].values);
        free(open->columns[i].present);
    }
    free(open->columns);
    free(open->times);
    sk_arena_free(&open->texts);
    *open = (struct series_open){0};
}

void series_seal(struct sk_series *store, struct series_instance *instance) {
    struct series_sealed *sealed = SK_NEW(struct series_sealed);
    if (!series_open_block(instance, store->properties, &sealed->bytes, &sealed->place)) {
        free(sealed);
        return;
    }
    store->open_bytes -= instance->open.bytes;
    series_open_free(&instance->open);
    sealed->instance = instance->number;
    instance->sealed++;
    sk_list_append(&store->sealed, &sealed->link);
    store->sealed_bytes += sealed->bytes.n + sizeof *sealed;
}

void series_sealed_free(struct series_sealed *sealed) {
    sk_list_remove(&sealed->link);
    sealed->dropped = true;
    if (sealed->users) return;
    sk_buffer_free(&sealed->bytes);
    free(sealed);
}
