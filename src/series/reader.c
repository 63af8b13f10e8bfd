/* Reading: all blocks of an instance that have rows of the time that is asked for, by time. One
 * that overlaps no other is given by itself, or by what is known of it; those that overlap are
 * merged, row by row, with as many unpacked as overlap at a time. */
#include "series/parts.h"

#include <stdlib.h>
#include <string.h>

enum { FRONT = 512 /* bytes of a block that are read for its head, at first */ };

struct source {
    struct series_place place;
    size_t order;             /* in which it came */
    struct series_part *part; /* one of these; */
    struct series_sealed *sealed;
    struct sk_buffer bytes; /* or its own: of open rows */
};

/* A block that is being merged with others. */
struct unpacked {
    struct sk_list link;
    size_t order, at; /* at: the next row */
    struct sk_buffer bytes;
    struct sk_arena arena;
    struct sk_series_rows rows;
    const uint32_t *numbers; /* of its columns' properties */
};

struct sk_series_read {
    struct sk_list link;
    struct sk_series *store;
    struct sk_series_reader reader;
    int64_t from, to;
    uint8_t *wanted; /* by number of the property; NULL: all */
    size_t wanted_count;
    struct source *sources;
    size_t count, at; /* at: the next that is not unpacked */
    size_t rows_most;
    struct unpacked *alone; /* that is being given */
    struct sk_list cluster; /* struct unpacked */
    size_t cluster_end;     /* sources up to there belong to it */
    struct sk_task task;
    enum sk_status status;
    bool busy, over;
};

/* ---- sources ---- */

static void add(struct sk_series_read *read, const struct series_place *place,
                struct series_part *part, struct series_sealed *sealed, size_t *room) {
    if (place->last_time < read->from || place->first_time >= read->to) return;
    if (read->count == *room) {
        *room = *room ? 2 * *room : 16;
        read->sources = sk_realloc(read->sources, *room * sizeof *read->sources);
    }
    read->sources[read->count] =
        (struct source){.place = *place, .order = read->count, .part = part, .sealed = sealed};
    read->count++;
    if (part) part->users++;
    if (sealed) sealed->users++;
}

static int by_time(const void *left, const void *right) {
    const struct source *a = left, *b = right;
    if (a->place.first_time != b->place.first_time)
        return a->place.first_time < b->place.first_time ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

static void gather_parts(struct sk_series_read *read, const struct series_instance *instance,
                         uint32_t first, uint32_t last, size_t *room) {
    size_t count;
    SK_LIST_EACH(&read->store->parts, node, following) {
        struct series_part *part = SK_CONTAINER(node, struct series_part, link);
        if (part->first < first || part->last > last) continue;
        const struct series_place *places = series_places(part, instance, &count);
        for (size_t i = 0; i < count; i++) add(read, &places[i], part, NULL, room);
    }
}

static void gather_memory(struct sk_series_read *read, const struct series_instance *instance,
                          size_t *room) {
    struct sk_series *store = read->store;
    struct series_place place;
    struct sk_buffer open = {0};
    bool in_flight = store->flushing != NULL;
    SK_LIST_EACH(&store->sealed, other, behind) {
        struct series_sealed *sealed = SK_CONTAINER(other, struct series_sealed, link);
        bool gone = instance->hidden && in_flight && store->next <= instance->hidden_last;
        if (sealed == store->flushing) in_flight = false;
        if (sealed->instance == instance->number && !gone)
            add(read, &sealed->place, NULL, sealed, room);
    }
    if (series_open_block(instance, store->properties, &open, &place)) {
        size_t before = read->count;
        add(read, &place, NULL, NULL, room);
        if (read->count > before)
            read->sources[before].bytes = open;
        else
            sk_buffer_free(&open);
    }
}

static void release(struct source *source) {
    if (source->part) series_part_unuse(source->part);
    if (source->sealed && --source->sealed->users == 0 && source->sealed->dropped) {
        sk_buffer_free(&source->sealed->bytes);
        free(source->sealed);
    }
    sk_buffer_free(&source->bytes);
}

/* Its bytes: spans of memory, or read into `to`. */
static enum sk_status bytes_of(const struct source *source, struct sk_buffer *to,
                               struct sk_span *bytes) {
    *bytes = sk_buffer_span(source->sealed ? &source->sealed->bytes : &source->bytes);
    if (source->part == NULL) return SK_OK;
    enum sk_status status = series_part_block(source->part, &source->place, to);
    *bytes = sk_buffer_span(to);
    return status;
}

/* ---- unpacking ---- */

static bool is_wanted(void *arg, const struct series_block_column *column) {
    const struct sk_series_read *read = arg;
    return read->wanted == NULL ||
           (column->number < read->wanted_count && read->wanted[column->number]);
}

static const struct sk_series_property *property_of(const struct sk_series *store, uint32_t number,
                                                    enum sk_series_type type) {
    bool fine = number < store->property_count && store->properties[number].type == type;
    return fine ? &store->properties[number] : NULL;
}

/* The numbers of the columns that came, and their names. */
static enum sk_status name_columns(struct sk_series_read *read, struct unpacked *unpacked,
                                   const struct series_block_head *head) {
    struct sk_series_column *columns =
        sk_arena_alloc(&unpacked->arena, (head->columns_count + 1) * sizeof *columns);
    uint32_t *numbers =
        sk_arena_alloc(&unpacked->arena, (head->columns_count + 1) * sizeof *numbers);
    size_t count = 0;
    for (size_t i = 0; i < head->columns_count; i++) {
        const struct series_block_column *column = &head->columns[i];
        if (!is_wanted(read, column)) continue;
        const struct sk_series_property *property =
            property_of(read->store, column->number, column->known.property.type);
        if (property == NULL || count == unpacked->rows.column_count) return SK_MALFORMED;
        columns[count] = unpacked->rows.columns[count];
        columns[count].property = *property;
        numbers[count++] = column->number;
    }
    unpacked->rows.columns = columns;
    unpacked->rows.column_count = count;
    unpacked->numbers = numbers;
    return SK_OK;
}

static void unpacked_free(struct unpacked *unpacked) {
    sk_list_remove(&unpacked->link);
    sk_arena_free(&unpacked->arena);
    sk_buffer_free(&unpacked->bytes);
    free(unpacked);
}

static enum sk_status unpack(struct sk_series_read *read, const struct source *source,
                             struct unpacked **to) {
    struct unpacked *unpacked = SK_NEW(struct unpacked);
    struct series_block_head head;
    struct sk_span bytes;
    sk_list_init(&unpacked->link);
    unpacked->order = source->order;
    enum sk_status status = bytes_of(source, &unpacked->bytes, &bytes);
    if (!status) status = series_block_head(bytes, &unpacked->arena, &head);
    if (!status)
        status =
            series_block_rows(bytes, &head, is_wanted, read, &unpacked->arena, &unpacked->rows);
    if (!status) status = name_columns(read, unpacked, &head);
    if (status == SK_AGAIN) status = SK_MALFORMED;
    if (status) {
        unpacked_free(unpacked);
        unpacked = NULL;
    } else {
        while (unpacked->at < unpacked->rows.count &&
               unpacked->rows.times[unpacked->at] < read->from)
            unpacked->at++;
    }
    *to = unpacked;
    return status;
}

/* ---- one block alone ---- */

/* What is known of it; true: that is enough. */
static enum sk_status offer(struct sk_series_read *read, const struct source *source,
                            bool *enough) {
    struct sk_buffer front = {0};
    struct sk_arena arena = {0};
    struct series_block_head head;
    struct sk_span bytes = sk_buffer_span(source->sealed ? &source->sealed->bytes : &source->bytes);
    enum sk_status status = SK_AGAIN;
    for (size_t n = FRONT; status == SK_AGAIN && source->part; n = head.bytes) {
        size_t got, ask = n < source->place.n ? n : source->place.n;
        front.n = 0;
        char *to = sk_buffer_reserve(&front, ask);
        status = sk_file_read(source->part->file, source->place.at, to, ask, &got);
        if (status) break;
        front.n = got;
        bytes = sk_buffer_span(&front);
        status = series_block_head(bytes, &arena, &head);
        if (status == SK_AGAIN && head.bytes <= ask) status = SK_MALFORMED;
    }
    if (source->part == NULL) status = series_block_head(bytes, &arena, &head);
    if (status == SK_OK) {
        struct sk_series_column_summary *columns =
            sk_arena_alloc(&arena, (head.columns_count + 1) * sizeof *columns);
        struct sk_series_summary summary = {head.first_time, head.last_time, head.rows, columns, 0};
        for (size_t i = 0; i < head.columns_count && !status; i++) {
            if (!is_wanted(read, &head.columns[i])) continue;
            const struct sk_series_property *property = property_of(
                read->store, head.columns[i].number, head.columns[i].known.property.type);
            if (property == NULL) status = SK_MALFORMED;
            columns[summary.column_count] = head.columns[i].known;
            if (property) columns[summary.column_count++].property = *property;
        }
        if (!status) *enough = read->reader.block(read->reader.arg, &summary);
    }
    sk_arena_free(&arena);
    sk_buffer_free(&front);
    return status == SK_AGAIN ? SK_MALFORMED : status;
}

/* Rows from `at` that are asked for. */
static size_t rows_before(const struct unpacked *unpacked, int64_t to) {
    size_t low = unpacked->at, high = unpacked->rows.count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (unpacked->rows.times[middle] < to)
            low = middle + 1;
        else
            high = middle;
    }
    return low - unpacked->at;
}

static bool give(struct sk_series_read *read, struct unpacked *unpacked, size_t count) {
    struct sk_series_rows rows = unpacked->rows;
    struct sk_series_column *columns =
        sk_arena_alloc(&unpacked->arena, (rows.column_count + 1) * sizeof *columns);
    for (size_t i = 0; i < rows.column_count; i++) {
        columns[i] = rows.columns[i];
        columns[i].values += unpacked->at;
        if (columns[i].present) columns[i].present += unpacked->at;
    }
    rows.columns = columns;
    rows.times += unpacked->at;
    rows.count = count;
    unpacked->at += count;
    return count == 0 || read->reader.rows(read->reader.arg, &rows);
}

static enum sk_status read_alone(struct sk_series_read *read, const struct source *source) {
    bool enough = false;
    struct unpacked *unpacked;
    enum sk_status status = SK_OK;
    if (read->reader.block && source->place.first_time >= read->from &&
        source->place.last_time < read->to)
        status = offer(read, source, &enough);
    if (status || enough || read->over) return status;
    status = unpack(read, source, &unpacked);
    if (!status) read->alone = unpacked;
    return status;
}

/* The next rows of it. */
static void give_alone(struct sk_series_read *read) {
    size_t count = rows_before(read->alone, read->to);
    size_t now = count < read->rows_most ? count : read->rows_most;
    if (!give(read, read->alone, now)) read->over = true;
    if (now < count && !read->over) return;
    unpacked_free(read->alone);
    read->alone = NULL;
}

/* ---- blocks that overlap ---- */

struct slice {
    int64_t times[SK_SERIES_BLOCK_ROWS];
    size_t count;
    struct sk_arena arena;
    uint32_t *numbers;
    struct sk_series_column *columns;
    size_t column_count, room;
};

static size_t slice_column(struct slice *slice, uint32_t number,
                           const struct sk_series_property *property) {
    for (size_t i = 0; i < slice->column_count; i++)
        if (slice->numbers[i] == number) return i;
    if (slice->column_count == slice->room) {
        slice->room = slice->room ? 2 * slice->room : 16;
        slice->numbers = sk_realloc(slice->numbers, slice->room * sizeof *slice->numbers);
        slice->columns = sk_realloc(slice->columns, slice->room * sizeof *slice->columns);
    }
    size_t at = slice->column_count++;
    slice->numbers[at] = number;
    slice->columns[at] = (struct sk_series_column){
        .property = *property,
        .present = sk_arena_alloc(&slice->arena, SK_SERIES_BLOCK_ROWS),
        .values =
            sk_arena_alloc(&slice->arena, SK_SERIES_BLOCK_ROWS * sizeof(union sk_series_value))};
    memset((uint8_t *)slice->columns[at].present, 0, SK_SERIES_BLOCK_ROWS);
    return at;
}

static void take_row(struct slice *slice, struct unpacked *from) {
    size_t row = from->at++, to = slice->count++;
    slice->times[to] = from->rows.times[row];
    for (size_t i = 0; i < from->rows.column_count; i++) {
        const struct sk_series_column *column = &from->rows.columns[i];
        if (column->present && !column->present[row]) continue;
        size_t at = slice_column(slice, from->numbers[i], &column->property);
        ((uint8_t *)slice->columns[at].present)[to] = 1;
        ((union sk_series_value *)slice->columns[at].values)[to] = column->values[row];
    }
}

/* The one whose row is next; those that are used up stay until the slice has been given, as texts
 * are theirs. */
static struct unpacked *next_of(const struct sk_list *cluster, int64_t before) {
    struct unpacked *next = NULL;
    SK_LIST_EACH((struct sk_list *)cluster, node, following) {
        struct unpacked *one = SK_CONTAINER(node, struct unpacked, link);
        if (one->at == one->rows.count || one->rows.times[one->at] >= before) continue;
        if (next == NULL || one->rows.times[one->at] < next->rows.times[next->at] ||
            (one->rows.times[one->at] == next->rows.times[next->at] && one->order < next->order))
            next = one;
    }
    return next;
}

/* Up to a slice of rows of the cluster; SK_AGAIN: there are more. */
static enum sk_status read_slice(struct sk_series_read *read) {
    struct slice *slice = SK_NEW(struct slice);
    enum sk_status status = SK_OK;
    struct unpacked *next = NULL;
    while (slice->count < read->rows_most && !status) {
        next = next_of(&read->cluster, read->to);
        if (read->at < read->cluster_end &&
            (next == NULL ||
             read->sources[read->at].place.first_time <= next->rows.times[next->at])) {
            struct unpacked *fresh;
            status = unpack(read, &read->sources[read->at++], &fresh);
            if (!status) sk_list_append(&read->cluster, &fresh->link);
            continue;
        }
        if (next == NULL) break;
        take_row(slice, next);
    }
    if (!status && slice->count &&
        !read->reader.rows(read->reader.arg,
                           &(struct sk_series_rows){slice->times, slice->count, slice->columns,
                                                    slice->column_count}))
        read->over = true;
    SK_LIST_EACH(&read->cluster, node, following) {
        struct unpacked *one = SK_CONTAINER(node, struct unpacked, link);
        if (one->at == one->rows.count) unpacked_free(one);
    }
    sk_arena_free(&slice->arena);
    free(slice->numbers);
    free(slice->columns);
    free(slice);
    return status ? status : next ? SK_AGAIN : SK_OK;
}

/* How many sources from `at` overlap, one after the other. One that begins with the very time that
 * those before it end with does not, if its rows have come after theirs. */
static size_t cluster_of(const struct sk_series_read *read) {
    const struct source *first = &read->sources[read->at];
    int64_t last = first->place.last_time;
    size_t order = first->order, end = read->at + 1;
    for (; end < read->count; end++) {
        const struct source *next = &read->sources[end];
        if (next->place.first_time > last) break;
        if (next->place.first_time == last && next->order > order) break;
        if (next->place.last_time > last) last = next->place.last_time;
        if (next->order > order) order = next->order;
    }
    return end;
}

/* ---- a read's life ---- */

static void drop_cluster(struct sk_series_read *read) {
    if (read->alone) unpacked_free(read->alone);
    read->alone = NULL;
    SK_LIST_EACH(&read->cluster, node, following)
    unpacked_free(SK_CONTAINER(node, struct unpacked, link));
}

static void read_free(struct sk_series_read *read) {
    sk_io_undefer(&read->task);
    sk_list_remove(&read->link);
    drop_cluster(read);
    for (size_t i = 0; i < read->count; i++) release(&read->sources[i]);
    free(read->sources);
    free(read->wanted);
    free(read);
}

static void end(struct sk_series_read *read, enum sk_status status) {
    void (*done)(void *, enum sk_status) = read->reader.done;
    void *arg = read->reader.arg;
    read_free(read);
    if (done) done(arg, status);
}

static enum sk_status step(struct sk_series_read *read) {
    if (read->alone) {
        give_alone(read);
        return SK_OK;
    }
    if (read->cluster_end) {
        enum sk_status status = read_slice(read);
        if (status != SK_AGAIN) {
            drop_cluster(read);
            read->at = read->cluster_end;
            read->cluster_end = 0;
        }
        return status == SK_AGAIN ? SK_OK : status;
    }
    size_t cluster = cluster_of(read);
    if (cluster > read->at + 1) {
        read->cluster_end = cluster;
        return SK_OK;
    }
    return read_alone(read, &read->sources[read->at++]);
}

static void go_on(struct sk_task *task) {
    struct sk_series_read *read = SK_CONTAINER(task, struct sk_series_read, task);
    struct sk_share share;
    enum sk_status status = SK_OK;
    sk_share_begin(&share, read->store->io);
    read->busy = true;
    while (!read->over && !status && (read->alone || read->cluster_end || read->at < read->count)) {
        if (!sk_share_go_on(&share, 1)) {
            read->busy = false;
            sk_io_yield(read->store->io, &read->task, go_on);
            return;
        }
        status = step(read);
    }
    read->busy = false;
    end(read, status);
}

static struct sk_series_read *begin(struct sk_series *store, int64_t from, int64_t to,
                                    const struct sk_series_reader *reader) {
    struct sk_series_read *read = SK_NEW(struct sk_series_read);
    read->store = store;
    read->reader = *reader;
    read->from = from;
    read->to = to;
    read->rows_most = SK_SERIES_BLOCK_ROWS;
    sk_list_init(&read->cluster);
    sk_list_append(&store->reads, &read->link);
    sk_io_yield(store->io, &read->task, go_on);
    return read;
}

static void want(struct sk_series_read *read, const struct sk_series_ask *ask) {
    const struct sk_series *store = read->store;
    read->wanted_count = store->property_count;
    read->wanted = sk_alloc(read->wanted_count + 1);
    for (size_t i = 0; i < store->property_count; i++)
        for (size_t k = 0; k < ask->property_count; k++)
            if (sk_series_same_property(&store->properties[i], &ask->properties[k]))
                read->wanted[i] = 1;
}

struct sk_series_read *sk_series_read(struct sk_series *store, const struct sk_series_ask *ask,
                                      const struct sk_series_reader *reader) {
    struct sk_series_read *read = begin(store, ask->from, ask->to, reader);
    const struct series_instance *instance = series_instance_of(store, ask->instance, false);
    size_t room = 0;
    if (ask->properties) want(read, ask);
    if (ask->rows_most && ask->rows_most < read->rows_most) read->rows_most = ask->rows_most;
    if (instance) {
        gather_parts(read, instance, 0, UINT32_MAX, &room);
        gather_memory(read, instance, &room);
    }
    if (read->count) qsort(read->sources, read->count, sizeof *read->sources, by_time);
    return read;
}

struct sk_series_read *series_read_parts(struct sk_series *store,
                                         const struct series_instance *instance, uint32_t first,
                                         uint32_t last, const struct sk_series_reader *reader) {
    struct sk_series_read *read = begin(store, INT64_MIN, INT64_MAX, reader);
    size_t room = 0;
    gather_parts(read, instance, first, last, &room);
    if (read->count) qsort(read->sources, read->count, sizeof *read->sources, by_time);
    return read;
}

/* From inside one of its own callbacks it is freed when that has returned. */
void sk_series_read_cancel(struct sk_series_read *read) {
    read->reader.done = NULL;
    read->over = true;
    if (!read->busy) read_free(read);
}

void series_reads_end(struct sk_series *store, enum sk_status status) {
    SK_LIST_EACH(&store->reads, node, following)
    end(SK_CONTAINER(node, struct sk_series_read, link), status);
}
