#include "series/block.h"

#include <math.h>

/* ---- summaries ---- */

static double as_number(enum sk_series_type type, union sk_series_value value) {
    if (type == SK_SERIES_DOUBLE) return value.number;
    return type == SK_SERIES_BOOL ? value.boolean : (double)value.integer;
}

static bool is_less(enum sk_series_type type, union sk_series_value a, union sk_series_value b) {
    if (type == SK_SERIES_DOUBLE) return a.number < b.number;
    return type == SK_SERIES_BOOL ? a.boolean < b.boolean : a.integer < b.integer;
}

static void sum_up(struct sk_series_column_summary *known, int64_t time,
                   union sk_series_value value) {
    enum sk_series_type type = known->property.type;
    if (known->count++ == 0) {
        known->first_time = time;
        known->first = known->least = known->most = value;
        known->sum = 0;
    }
    known->last_time = time;
    known->last = value;
    if (sk_series_is_text(type)) return;
    known->sum += as_number(type, value);
    if (is_less(type, value, known->least)) known->least = value;
    if (is_less(type, known->most, value)) known->most = value;
}

static void put_fixed(struct sk_buffer *to, const void *bytes, size_t n) {
    sk_buffer_append(to, sk_span(bytes, n));
}

static void put_summary(struct sk_buffer *to, const struct series_block_column *column,
                        int64_t first_time) {
    const struct sk_series_column_summary *known = &column->known;
    series_put_number(to, column->number);
    sk_buffer_byte(to, (char)known->property.type);
    series_put_number(to, known->count);
    series_put_number(to, column->n);
    series_put_number(to, (uint64_t)known->first_time - (uint64_t)first_time);
    series_put_number(to, (uint64_t)known->last_time - (uint64_t)known->first_time);
    if (sk_series_is_text(known->property.type)) return;
    const union sk_series_value *four[] = {&known->least, &known->most, &known->first,
                                           &known->last};
    for (size_t i = 0; i < 4; i++) {
        int64_t integer = four[i]->integer;
        if (known->property.type == SK_SERIES_BOOL) integer = four[i]->boolean;
        put_fixed(to, &integer, sizeof integer);
    }
    put_fixed(to, &known->sum, sizeof known->sum);
}

/* ---- writing ---- */

/* Only those values that are there, and what is known of them; the bytes go behind `body`. */
static bool put_column(struct sk_buffer *body, const struct sk_series_rows *rows, size_t i,
                       uint32_t number, struct series_block_column *column) {
    union sk_series_value values[SK_SERIES_BLOCK_ROWS];
    uint8_t bits[SK_SERIES_BLOCK_ROWS / 8] = {0};
    const struct sk_series_column *from = &rows->columns[i];
    size_t count = 0;
    *column = (struct series_block_column){.number = number, .at = body->n};
    column->known.property.type = from->property.type;
    for (size_t row = 0; row < rows->count; row++) {
        if (from->present && !from->present[row]) continue;
        bits[row / 8] |= (uint8_t)(1u << row % 8);
        values[count++] = from->values[row];
        sum_up(&column->known, rows->times[row], from->values[row]);
    }
    if (count == 0) return false;
    if (count < rows->count) put_fixed(body, bits, (rows->count + 7) / 8);
    series_column_encode(body, from->property.type, values, count);
    column->n = body->n - column->at;
    return true;
}

static void put_lead(struct sk_buffer *to, struct sk_span head) {
    uint32_t n = (uint32_t)head.n, crc = sk_crc32c(0, head);
    put_fixed(to, &n, sizeof n);
    put_fixed(to, &crc, sizeof crc);
    sk_buffer_append(to, head);
}

void series_block_encode(struct sk_buffer *to, const struct sk_series_rows *rows,
                         const uint32_t *numbers) {
    struct sk_buffer head = {0}, body = {0}, summaries = {0};
    int64_t first = rows->times[0];
    size_t columns = 0;
    SK_ASSERT(rows->count && rows->count <= SK_SERIES_BLOCK_ROWS &&
              rows->count * rows->column_count <= SERIES_CELLS_MAX);
    series_integers_encode(&body, rows->times, rows->count);
    size_t times = body.n;
    for (size_t i = 0; i < rows->column_count; i++) {
        struct series_block_column column;
        if (!put_column(&body, rows, i, numbers[i], &column)) continue;
        put_summary(&summaries, &column, first);
        columns++;
    }
    series_put_number(&head, rows->count);
    series_put_signed(&head, first);
    series_put_number(&head, (uint64_t)rows->times[rows->count - 1] - (uint64_t)first);
    series_put_number(&head, times);
    series_put_number(&head, columns);
    sk_buffer_append(&head, sk_buffer_span(&summaries));
    put_lead(to, sk_buffer_span(&head));
    sk_buffer_append(to, sk_buffer_span(&body));
    sk_buffer_free(&head);
    sk_buffer_free(&body);
    sk_buffer_free(&summaries);
}

/* ---- reading the head ---- */

static enum sk_status get_fixed(struct sk_span *from, void *to, size_t n) {
    if (from->n < n) return SK_MALFORMED;
    memcpy(to, from->p, n);
    *from = sk_span_skip(*from, n);
    return SK_OK;
}

static enum sk_status get_values(struct sk_span *from, struct sk_series_column_summary *known) {
    union sk_series_value *four[] = {&known->least, &known->most, &known->first, &known->last};
    enum sk_series_type type = known->property.type;
    for (size_t i = 0; i < 4; i++) {
        int64_t integer;
        if (get_fixed(from, &integer, sizeof integer)) return SK_MALFORMED;
        if (type == SK_SERIES_BOOL && (uint64_t)integer > 1) return SK_MALFORMED;
        if (type == SK_SERIES_BOOL)
            four[i]->boolean = integer != 0;
        else
            four[i]->integer = integer;
        if (type == SK_SERIES_DOUBLE && !isfinite(four[i]->number)) return SK_MALFORMED;
    }
    return get_fixed(from, &known->sum, sizeof known->sum);
}

static enum sk_status get_summary(struct sk_span *from, const struct series_block_head *head,
                                  struct series_block_column *column) {
    struct sk_series_column_summary *known = &column->known;
    uint64_t number, bytes, first, span, length;
    unsigned char type;
    length = (uint64_t)head->last_time - (uint64_t)head->first_time;
    if (series_get_number(from, &number) || number > UINT32_MAX || get_fixed(from, &type, 1) ||
        type >= SK_SERIES_TYPES || type == SK_SERIES_TIMESPAN ||
        series_get_number(from, &known->count) || known->count == 0 || known->count > head->rows ||
        series_get_number(from, &bytes) || bytes > UINT32_MAX || series_get_number(from, &first) ||
        first > length || series_get_number(from, &span) || span > length - first)
        return SK_MALFORMED;
    column->number = (uint32_t)number;
    column->n = (size_t)bytes;
    known->property.type = type;
    known->first_time = head->first_time + (int64_t)first;
    known->last_time = known->first_time + (int64_t)span;
    return sk_series_is_text(type) ? SK_OK : get_values(from, known);
}

static bool is_time(int64_t time) {
    return time >= SK_SERIES_TIME_MIN && time <= SK_SERIES_TIME_MAX;
}

static enum sk_status get_frame(struct sk_span *from, struct series_block_head *head) {
    uint64_t rows, length, times, columns;
    if (series_get_number(from, &rows) || rows == 0 || rows > SK_SERIES_BLOCK_ROWS ||
        series_get_signed(from, &head->first_time) || !is_time(head->first_time) ||
        series_get_number(from, &length) ||
        length > (uint64_t)SK_SERIES_TIME_MAX - (uint64_t)head->first_time ||
        series_get_number(from, &times) || times > UINT32_MAX ||
        series_get_number(from, &columns) || columns > SERIES_CELLS_MAX / rows ||
        columns > from->n) /* each takes some bytes */
        return SK_MALFORMED;
    head->rows = (size_t)rows;
    head->last_time = head->first_time + (int64_t)length;
    head->times_n = (size_t)times;
    head->columns_count = (size_t)columns;
    return SK_OK;
}

enum sk_status series_block_head(struct sk_span bytes, struct sk_arena *arena,
                                 struct series_block_head *head) {
    uint32_t n, crc;
    *head = (struct series_block_head){.bytes = SERIES_BLOCK_LEAD};
    if (bytes.n < SERIES_BLOCK_LEAD) return SK_AGAIN;
    memcpy(&n, bytes.p, sizeof n);
    memcpy(&crc, bytes.p + sizeof n, sizeof crc);
    head->bytes += n;
    if (bytes.n < head->bytes) return SK_AGAIN;
    struct sk_span rest = sk_span(bytes.p + SERIES_BLOCK_LEAD, n);
    if (sk_crc32c(0, rest) != crc || get_frame(&rest, head)) return SK_MALFORMED;
    head->columns = sk_arena_alloc(arena, (head->columns_count + 1) * sizeof *head->columns);
    head->body_n = head->times_n;
    for (size_t i = 0; i < head->columns_count; i++) {
        struct series_block_column *column = &head->columns[i];
        if (get_summary(&rest, head, column)) return SK_MALFORMED;
        if (i && column->number <= column[-1].number) return SK_MALFORMED;
        column->at = head->body_n;
        head->body_n += column->n;
    }
    return rest.n ? SK_MALFORMED : SK_OK;
}

/* ---- unpacking ---- */

static enum sk_status get_times(struct sk_span bytes, const struct series_block_head *head,
                                int64_t *times) {
    if (series_integers_decode(&bytes, times, head->rows) || bytes.n) return SK_MALFORMED;
    for (size_t i = 1; i < head->rows; i++)
        if (times[i] < times[i - 1]) return SK_MALFORMED;
    return times[0] == head->first_time && times[head->rows - 1] == head->last_time ? SK_OK
                                                                                    : SK_MALFORMED;
}

/* Values that stand one after the other go to the rows that have them. */
static enum sk_status spread(struct sk_span bits, size_t rows, size_t count,
                             union sk_series_value *values, uint8_t *present) {
    size_t found = 0, left = count;
    for (size_t row = 0; row < rows; row++)
        found += present[row] = (unsigned char)bits.p[row / 8] >> row % 8 & 1;
    if (found != count) return SK_MALFORMED;
    for (size_t row = rows; row-- > 0 && left;)
        if (present[row]) values[row] = values[--left];
    return SK_OK;
}

static enum sk_status get_column(struct sk_span bytes, const struct series_block_head *head,
                                 const struct series_block_column *column, struct sk_arena *arena,
                                 struct sk_series_column *to) {
    size_t count = (size_t)column->known.count, bits_n = (head->rows + 7) / 8;
    union sk_series_value *values = sk_arena_alloc(arena, head->rows * sizeof *values);
    *to = (struct sk_series_column){.property = column->known.property, .values = values};
    if (count == head->rows)
        return series_column_decode(&bytes, to->property.type, values, count) || bytes.n
                   ? SK_MALFORMED
                   : SK_OK;
    if (bytes.n < bits_n) return SK_MALFORMED;
    struct sk_span bits = sk_span_first(bytes, bits_n);
    bytes = sk_span_skip(bytes, bits_n);
    if (series_column_decode(&bytes, to->property.type, values, count) || bytes.n)
        return SK_MALFORMED;
    uint8_t *present = sk_arena_alloc(arena, head->rows);
    to->present = present;
    return spread(bits, head->rows, count, values, present);
}

enum sk_status series_block_rows(struct sk_span bytes, const struct series_block_head *head,
                                 bool (*wanted)(void *arg,
                                                const struct series_block_column *column),
                                 void *arg, struct sk_arena *arena, struct sk_series_rows *rows) {
    if (bytes.n < head->bytes || bytes.n - head->bytes != head->body_n) return SK_MALFORMED;
    struct sk_span body = sk_span_skip(bytes, head->bytes);
    int64_t *times = sk_arena_alloc(arena, head->rows * sizeof *times);
    struct sk_series_column *columns =
        sk_arena_alloc(arena, (head->columns_count + 1) * sizeof *columns);
    *rows = (struct sk_series_rows){.times = times, .count = head->rows, .columns = columns};
    if (get_times(sk_span_first(body, head->times_n), head, times)) return SK_MALFORMED;
    for (size_t i = 0; i < head->columns_count; i++) {
        const struct series_block_column *column = &head->columns[i];
        if (wanted && !wanted(arg, column)) continue;
        struct sk_span of = sk_span_first(sk_span_skip(body, column->at), column->n);
        if (get_column(of, head, column, arena, &columns[rows->column_count++]))
            return SK_MALFORMED;
    }
    return SK_OK;
}
