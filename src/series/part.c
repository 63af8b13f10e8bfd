#include "series/part.h"

#include <stdio.h>
#include <string.h>

static const char magic[8] = {'S', 'K', 'S', 'E', 'R', 'I', 'E', '1'};

void series_part_name(uint32_t first, uint32_t last, char to[SERIES_PART_NAME]) {
    snprintf(to, SERIES_PART_NAME, "%010u-%010u.part", first, last);
}

enum sk_status series_part_name_read(struct sk_span name, uint32_t *first, uint32_t *last) {
    int64_t a, b;
    if (name.n != 26 || name.p[10] != '-' || !sk_span_ends(name, SK_SPAN(".part")) ||
        sk_span_to_int(sk_span_first(name, 10), &a) ||
        sk_span_to_int(sk_span_first(sk_span_skip(name, 11), 10), &b) || a < 0 || a > b ||
        b > UINT32_MAX)
        return SK_NOT_FOUND;
    *first = (uint32_t)a;
    *last = (uint32_t)b;
    return SK_OK;
}

/* ---- writing ---- */

static void put_text(struct sk_buffer *to, struct sk_span text) {
    series_put_number(to, text.n);
    sk_buffer_append(to, text);
}

static void put_fixed(struct sk_buffer *to, uint64_t number, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) sk_buffer_byte(to, (char)(number >> (8 * i)));
}

static void put_place(struct sk_buffer *to, const struct series_place *place) {
    series_put_number(to, place->at);
    series_put_number(to, place->n);
    series_put_number(to, place->rows);
    put_fixed(to, place->crc, 4);
    series_put_signed(to, place->first_time);
    series_put_number(to, (uint64_t)place->last_time - (uint64_t)place->first_time);
}

void series_index_put(struct sk_buffer *to, uint64_t at, const struct series_index *index) {
    size_t begin = to->n, place = 0;
    series_put_number(to, index->first);
    series_put_number(to, index->last);
    series_put_number(to, index->position);
    series_put_signed(to, index->oldest_us);
    series_put_signed(to, index->written_us);
    series_put_number(to, index->property_count);
    for (size_t i = 0; i < index->property_count; i++) {
        series_put_number(to, index->properties[i].type);
        put_text(to, index->properties[i].name);
    }
    series_put_number(to, index->instance_count);
    for (size_t i = 0; i < index->instance_count; i++) {
        put_text(to, index->instances[i]);
        series_put_number(to, index->counts[i]);
        for (size_t k = 0; k < index->counts[i]; k++) put_place(to, &index->places[place++]);
    }
    uint64_t n = to->n - begin;
    uint32_t crc = sk_crc32c(0, sk_span(to->p + begin, n));
    put_fixed(to, at, 8);
    put_fixed(to, n, 8);
    put_fixed(to, crc, 4);
    sk_buffer_append(to, sk_span(magic, sizeof magic));
}

/* ---- reading ---- */

static uint64_t get_fixed(const char *from, size_t bytes) {
    uint64_t number = 0;
    for (size_t i = 0; i < bytes; i++) number |= (uint64_t)(unsigned char)from[i] << (8 * i);
    return number;
}

enum sk_status series_index_find(struct sk_span end, uint64_t size, uint64_t *at, uint64_t *n,
                                 uint32_t *crc) {
    if (end.n != SERIES_PART_END || size < SERIES_PART_END ||
        memcmp(end.p + 20, magic, sizeof magic) != 0)
        return SK_MALFORMED;
    *at = get_fixed(end.p, 8);
    *n = get_fixed(end.p + 8, 8);
    *crc = (uint32_t)get_fixed(end.p + 16, 4);
    uint64_t rest = size - SERIES_PART_END;
    return *at <= rest && *n == rest - *at ? SK_OK : SK_MALFORMED;
}

static bool get_text(struct sk_span *from, size_t max, struct sk_span *text) {
    uint64_t n;
    if (series_get_number(from, &n) || n > max || n > from->n) return false;
    *text = sk_span_first(*from, (size_t)n);
    *from = sk_span_skip(*from, (size_t)n);
    return true;
}

static bool get_u32(struct sk_span *from, uint32_t *number) {
    uint64_t wide;
    if (series_get_number(from, &wide) || wide > UINT32_MAX) return false;
    *number = (uint32_t)wide;
    return true;
}

static bool get_place(struct sk_span *from, uint64_t blocks_bytes, struct series_place *place) {
    uint64_t range;
    if (series_get_number(from, &place->at) || !get_u32(from, &place->n) ||
        !get_u32(from, &place->rows) || from->n < 4)
        return false;
    place->crc = (uint32_t)get_fixed(from->p, 4);
    *from = sk_span_skip(*from, 4);
    if (series_get_signed(from, &place->first_time) || series_get_number(from, &range) ||
        place->first_time < SK_SERIES_TIME_MIN || place->first_time > SK_SERIES_TIME_MAX ||
        range > (uint64_t)(SK_SERIES_TIME_MAX - place->first_time))
        return false;
    place->last_time = place->first_time + (int64_t)range;
    return place->rows && place->rows <= SK_SERIES_BLOCK_ROWS && place->at <= blocks_bytes &&
           place->n <= blocks_bytes - place->at;
}

static bool get_properties(struct sk_span *from, struct sk_arena *arena,
                           struct series_index *index) {
    uint64_t count, type;
    if (series_get_number(from, &count) || count > from->n) return false;
    struct sk_series_property *list = sk_arena_alloc(arena, (size_t)(count + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        if (series_get_number(from, &type) || type >= SK_SERIES_TYPES ||
            type == SK_SERIES_TIMESPAN || !get_text(from, SK_SERIES_NAME_MAX, &list[i].name))
            return false;
        list[i].type = (enum sk_series_type)type;
    }
    index->properties = list;
    index->property_count = (size_t)count;
    return true;
}

/* A place takes at least nine bytes, an instance two: so nothing is allocated that is not there. */
static bool get_instances(struct sk_span *from, uint64_t blocks_bytes, struct sk_arena *arena,
                          struct series_index *index) {
    uint64_t count, places;
    if (series_get_number(from, &count) || count > from->n / 2) return false;
    struct sk_span *names = sk_arena_alloc(arena, (size_t)(count + 1) * sizeof *names);
    size_t *counts = sk_arena_alloc(arena, (size_t)(count + 1) * sizeof *counts);
    struct series_place *list = sk_arena_alloc(arena, (from->n / 9 + 1) * sizeof *list);
    for (size_t i = 0; i < count; i++) {
        if (!get_text(from, SK_SERIES_INSTANCE_MAX, &names[i]) ||
            series_get_number(from, &places) || places == 0 || places > from->n / 9)
            return false;
        counts[i] = (size_t)places;
        for (size_t k = 0; k < places; k++) {
            struct series_place *place = &list[index->place_count++];
            if (!get_place(from, blocks_bytes, place)) return false;
            place->instance = (uint32_t)i;
        }
    }
    index->instances = names;
    index->counts = counts;
    index->instance_count = (size_t)count;
    index->places = list;
    return true;
}

enum sk_status series_index_read(struct sk_span bytes, uint64_t blocks_bytes,
                                 struct sk_arena *arena, struct series_index *index) {
    *index = (struct series_index){0};
    if (!get_u32(&bytes, &index->first) || !get_u32(&bytes, &index->last) ||
        series_get_number(&bytes, &index->position) ||
        series_get_signed(&bytes, &index->oldest_us) ||
        series_get_signed(&bytes, &index->written_us) || index->first > index->last ||
        !get_properties(&bytes, arena, index) ||
        !get_instances(&bytes, blocks_bytes, arena, index) || bytes.n)
        return SK_MALFORMED;
    return SK_OK;
}

enum sk_status series_part_block(const struct series_part *part, const struct series_place *place,
                                 struct sk_buffer *to) {
    size_t got;
    to->n = 0;
    char *at = sk_buffer_reserve(to, place->n);
    enum sk_status status = sk_file_read(part->file, place->at, at, place->n, &got);
    if (status) return status;
    if (got != place->n || sk_crc32c(0, sk_span(at, got)) != place->crc) return SK_MALFORMED;
    to->n = got;
    return SK_OK;
}
