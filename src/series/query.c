/* Queries: rows in, columns out. */
#include "series/query.h"

#include <math.h>
#include <stdio.h>

typedef union sk_series_value value;

/* One aggregate function of a variable. */
struct gathered {
    struct sk_series_intervals *intervals;
    uint64_t known; /* rows to come that it knows already by their summary */
};
struct variable {
    const struct sk_series_variable *of;
    struct gathered measures[SK_TSX_MEASURES_MAX];
    struct sk_series_shares *shares;
    size_t label; /* the last one that was found */
};

struct sk_series_asking {
    struct sk_series_query query;
    struct sk_series_read *read;
    sk_series_answered *done;
    void *arg;
    struct sk_arena rows; /* of one block of them */
    struct sk_arena kept; /* of the answer */
    enum sk_status status;
    size_t nodes; /* of all expressions, and one */
    uint64_t work;
    struct sk_series_property *wanted;
    size_t wanted_count;
    /* of events */
    struct sk_series_answer answer;
    size_t room, column_room;
    uint64_t values, bytes, seen;
    bool all; /* what was asked for has been taken */
    /* of intervals */
    struct sk_series_grid grid;
    struct variable *variables;
};

/* ---- which properties are read ---- */

static void want(struct sk_series_asking *it, const struct sk_tsx *tsx) {
    it->nodes += tsx ? tsx->nodes : 0;
    for (size_t i = 0; tsx && i < tsx->property_count; i++)
        it->wanted[it->wanted_count++] = tsx->properties[i];
}

static void want_all(struct sk_series_asking *it) {
    const struct sk_series_query *query = &it->query;
    size_t each = SK_TSX_PROPERTIES_MAX, of_variable = (2 + SK_TSX_MEASURES_MAX) * each;
    size_t most = each + query->property_count + query->variable_count * of_variable;
    it->wanted = sk_arena_alloc(&it->kept, most * sizeof *it->wanted);
    want(it, query->filter);
    for (size_t i = 0; i < query->property_count; i++)
        it->wanted[it->wanted_count++] = query->properties[i];
    for (size_t i = 0; i < query->variable_count; i++) {
        const struct sk_series_variable *variable = &query->variables[i];
        want(it, variable->filter);
        want(it, variable->value);
        for (size_t m = 0; variable->aggregation && m < variable->aggregation->measure_count; m++)
            want(it, &variable->aggregation->measures[m].of);
    }
}

/* ---- expressions over a block of rows ---- */

static struct sk_tsx_values eval(struct sk_series_asking *it, const struct sk_tsx *tsx,
                                 const struct sk_series_rows *rows) {
    struct sk_tsx_values values = {NULL, NULL};
    enum sk_status status = sk_tsx_eval(tsx, rows, it->query.now, &it->rows, &values);
    if (status) it->status = status;
    return values;
}

/* A byte a row: whether the query and the variable take it; NULL: all of them. */
static const uint8_t *taken(struct sk_series_asking *it, const struct sk_tsx *filter,
                            const struct sk_series_rows *rows) {
    const struct sk_tsx *filters[2] = {it->query.filter, filter};
    uint8_t *fits = NULL;
    for (size_t f = 0; f < 2 && !it->status; f++) {
        if (filters[f] == NULL) continue;
        struct sk_tsx_values truth = eval(it, filters[f], rows);
        if (fits == NULL) {
            fits = sk_arena_alloc(&it->rows, rows->count);
            memset(fits, 1, rows->count);
        }
        for (size_t i = 0; i < rows->count && !it->status; i++)
            fits[i] &= !truth.null[i] && truth.values[i].boolean;
    }
    return fits;
}

/* The place of a value's label; category_count: in none. */
static size_t label_of(struct variable *variable, const value *a) {
    const struct sk_series_variable *of = variable->of;
    bool text = sk_series_is_text(of->value->type);
    for (size_t tried = 0; tried < of->category_count; tried++) {
        size_t c = (variable->label + tried) % of->category_count;
        const struct sk_series_category *category = &of->categories[c];
        for (size_t v = 0; v < category->count; v++)
            if (text ? sk_span_eq(category->values[v].text, a->text)
                     : category->values[v].integer == a->integer)
                return variable->label = c;
    }
    return of->category_count;
}

/* ---- events and series: rows stay rows ---- */

static size_t column_at(struct sk_series_asking *it, struct sk_series_property as) {
    struct sk_series_answer *answer = &it->answer;
    for (size_t i = 0; i < answer->column_count; i++)
        if (sk_series_same_property(&answer->columns[i].property, &as)) return i;
    if (answer->column_count == it->column_room) {
        it->column_room = it->column_room ? it->column_room * 2 : 16;
        answer->columns = sk_realloc(answer->columns, it->column_room * sizeof *answer->columns);
    }
    struct sk_series_answer_column *column = &answer->columns[answer->column_count];
    *column = (struct sk_series_answer_column){
        .property = {sk_arena_copy(&it->kept, as.name), as.type},
        .values = sk_alloc(it->room * sizeof(value) + 1),
        .null = sk_alloc(it->room + 1),
    };
    memset(column->null, 1, it->room);
    return answer->column_count++;
}

static void make_room(struct sk_series_asking *it) {
    struct sk_series_answer *answer = &it->answer;
    if (answer->count < it->room) return;
    size_t room = it->room ? it->room * 2 : 1024;
    answer->times = sk_realloc(answer->times, room * sizeof *answer->times);
    for (size_t i = 0; i < answer->column_count; i++) {
        struct sk_series_answer_column *column = &answer->columns[i];
        column->values = sk_realloc(column->values, room * sizeof *column->values);
        column->null = sk_realloc(column->null, room);
        memset(column->null + it->room, 1, room - it->room);
    }
    it->room = room;
}

#define NOT_YET SIZE_MAX

/* A column of these rows, and the answer's that it becomes. */
struct source {
    struct sk_series_property as;
    size_t to; /* NOT_YET: it has no value so far */
    const value *values;
    const uint8_t *null, *present; /* either may be NULL */
};

static bool has(const struct source *source, size_t row) {
    return !(source->null && source->null[row]) && !(source->present && !source->present[row]);
}

static size_t sources_of_events(struct sk_series_asking *it, const struct sk_series_rows *rows,
                                struct source *sources) {
    const struct sk_series_query *query = &it->query;
    size_t count = 0;
    for (size_t c = 0; c < rows->column_count; c++) {
        const struct sk_series_column *column = &rows->columns[c];
        bool asked = query->properties == NULL;
        for (size_t i = 0; i < query->property_count && !asked; i++)
            asked = sk_series_same_property(&query->properties[i], &column->property);
        if (!asked) continue;
        sources[count++] =
            (struct source){column->property, NOT_YET, column->values, NULL, column->present};
    }
    return count;
}

/* The values of a variable for each row: of a category its label. */
static struct source source_of_variable(struct sk_series_asking *it, struct variable *variable,
                                        const struct sk_series_rows *rows) {
    const struct sk_series_variable *of = variable->of;
    const uint8_t *fits = taken(it, of->filter, rows);
    struct sk_tsx_values values = eval(it, of->value, rows);
    bool labels = of->kind == SK_SERIES_CATEGORICAL;
    struct source source = {.as = {of->name, labels ? SK_SERIES_STRING : of->value->type},
                            .values = values.values,
                            .null = values.null,
                            .present = fits};
    source.to = column_at(it, source.as);
    if (!labels || it->status) return source;
    value *texts = sk_arena_alloc(&it->rows, rows->count * sizeof *texts);
    for (size_t i = 0; i < rows->count; i++) {
        if (values.null[i]) continue;
        size_t label = label_of(variable, &values.values[i]);
        texts[i].text = label == of->category_count ? of->otherwise : of->categories[label].label;
    }
    source.values = texts;
    return source;
}

/* False: the page is full, this row is the next one's. */
static bool take_row(struct sk_series_asking *it, int64_t time, size_t row, struct source *sources,
                     size_t count) {
    struct sk_series_answer *answer = &it->answer;
    uint64_t values = 0, bytes = 0;
    for (size_t s = 0; s < count; s++) {
        if (!has(&sources[s], row)) continue;
        values++;
        if (sk_series_is_text(sources[s].as.type)) bytes += sources[s].values[row].text.n;
    }
    if (values == 0) return true;
    if (it->values &&
        (it->values + values > SK_SERIES_PAGE_VALUES || it->bytes + bytes > SK_SERIES_PAGE_BYTES))
        return false;
    it->values += values;
    it->bytes += bytes;
    make_room(it);
    for (size_t s = 0; s < count; s++) {
        if (!has(&sources[s], row)) continue;
        if (sources[s].to == NOT_YET) sources[s].to = column_at(it, sources[s].as);
        struct sk_series_answer_column *column = &answer->columns[sources[s].to];
        column->values[answer->count] = sources[s].values[row];
        column->null[answer->count] = 0;
        if (sk_series_is_text(column->property.type))
            column->values[answer->count].text =
                sk_arena_copy(&it->kept, sources[s].values[row].text);
    }
    answer->times[answer->count++] = time;
    it->all = it->query.place.taken + it->values >= it->query.take;
    return true;
}

static bool take_rows(struct sk_series_asking *it, const struct sk_series_rows *rows) {
    bool events = it->query.ask == SK_SERIES_ASK_EVENTS;
    size_t count = 0, most = events ? rows->column_count : it->query.variable_count;
    struct source *sources = sk_arena_alloc(&it->rows, (most + 1) * sizeof *sources);
    const uint8_t *fits = events ? taken(it, NULL, rows) : NULL;
    if (events) count = sources_of_events(it, rows, sources);
    for (size_t i = 0; !events && i < most && !it->status; i++)
        sources[count++] = source_of_variable(it, &it->variables[i], rows);
    struct sk_series_place *next = &it->answer.next;
    const struct sk_series_place *first = &it->query.place;
    for (size_t row = 0; row < rows->count && !it->status; row++) {
        int64_t time = rows->times[row];
        if (time != next->time) *next = (struct sk_series_place){.time = time};
        bool before = time == first->time && next->skip < first->skip;
        it->answer.more =
            it->seen++ >= SK_SERIES_PAGE_ROWS || it->work > SK_SERIES_PAGE_WORK ||
            (!before && !(fits && !fits[row]) && !take_row(it, time, row, sources, count));
        if (it->answer.more) return false;
        next->skip++;
        if (it->all) return false;
    }
    return !it->status;
}

/* ---- intervals ---- */

static double number_of(enum sk_series_type type, value of) {
    return type == SK_SERIES_LONG ? (double)of.integer : of.number;
}

static bool near_enough(const struct sk_series_asking *it, const struct sk_series_variable *of,
                        int64_t time) {
    if (of->interpolation == SK_SERIES_NO_SIGNAL) return true;
    return time >= it->query.from - of->boundary && time - of->boundary < it->query.to;
}

static void gather_measure(struct sk_series_asking *it, struct variable *variable, size_t m,
                           const uint8_t *fits, const struct sk_series_rows *rows) {
    const struct sk_tsx_measure *measure = &variable->of->aggregation->measures[m];
    struct gathered *to = &variable->measures[m];
    if (to->known) {
        SK_ASSERT(to->known >= rows->count);
        to->known -= rows->count;
        return;
    }
    struct sk_tsx_values of = {NULL, NULL};
    if (measure->of.root) of = eval(it, &measure->of, rows);
    for (size_t i = 0; i < rows->count && !it->status; i++) {
        if ((fits && !fits[i]) || !near_enough(it, variable->of, rows->times[i])) continue;
        double number = 0;
        if (measure->of.root) number = of.null[i] ? NAN : number_of(measure->of.type, of.values[i]);
        sk_series_intervals_add(to->intervals, rows->times[i], number);
    }
}

static void gather_labels(struct sk_series_asking *it, struct variable *variable,
                          const uint8_t *fits, const struct sk_series_rows *rows) {
    struct sk_tsx_values of = eval(it, variable->of->value, rows);
    for (size_t i = 0; i < rows->count && !it->status; i++)
        if (!(fits && !fits[i]) && !of.null[i] && near_enough(it, variable->of, rows->times[i]))
            sk_series_shares_add(variable->shares, rows->times[i],
                                 label_of(variable, &of.values[i]));
}

static bool gather_rows(struct sk_series_asking *it, const struct sk_series_rows *rows) {
    for (size_t i = 0; i < it->query.variable_count && !it->status; i++) {
        struct variable *variable = &it->variables[i];
        const uint8_t *fits = taken(it, variable->of->filter, rows);
        if (variable->shares)
            gather_labels(it, variable, fits, rows);
        else
            for (size_t m = 0; m < variable->of->aggregation->measure_count; m++)
                gather_measure(it, variable, m, fits, rows);
    }
    return !it->status;
}

static bool on_rows(void *arg, const struct sk_series_rows *rows) {
    struct sk_series_asking *it = arg;
    bool intervals = it->query.ask == SK_SERIES_ASK_INTERVALS;
    sk_arena_reset(&it->rows);
    bool more = intervals ? gather_rows(it, rows) : take_rows(it, rows);
    it->work += rows->count * it->nodes;
    if (intervals && it->work > SK_SERIES_WORK_MAX) it->status = SK_TOO_LARGE;
    return more && !it->status;
}

/* A block's summary instead of its rows: of functions over a property, or of all rows. */
static bool know(const struct sk_series_asking *it, const struct sk_series_variable *of,
                 const struct sk_tsx_measure *measure, struct sk_series_intervals *intervals,
                 const struct sk_series_summary *block) {
    const struct sk_series_property *property = sk_tsx_property(&measure->of);
    if (it->query.filter || of->filter) return false;
    if (measure->by == SK_SERIES_COUNT) {
        struct sk_series_column_summary all = {.property = {.type = SK_SERIES_LONG},
                                               .count = block->rows};
        return sk_series_intervals_add_block(intervals, block->first_time, block->last_time, &all);
    }
    if (property == NULL) return false;
    for (size_t c = 0; c < block->column_count; c++)
        if (sk_series_same_property(&block->columns[c].property, property))
            return sk_series_intervals_add_block(intervals, block->first_time, block->last_time,
                                                 &block->columns[c]);
    return measure->by <= SK_SERIES_AVG; /* which know no nulls */
}

static bool on_block(void *arg, const struct sk_series_summary *block) {
    struct sk_series_asking *it = arg;
    bool all = true;
    for (size_t i = 0; i < it->query.variable_count; i++) {
        struct variable *variable = &it->variables[i];
        const struct sk_series_variable *of = variable->of;
        if (variable->shares) all = false;
        for (size_t m = 0; !variable->shares && m < of->aggregation->measure_count; m++) {
            struct gathered *to = &variable->measures[m];
            bool known = know(it, of, &of->aggregation->measures[m], to->intervals, block);
            to->known = known ? block->rows : 0;
            all &= known;
        }
    }
    for (size_t i = 0; i < it->query.variable_count && all; i++)
        for (size_t m = 0; m < SK_TSX_MEASURES_MAX; m++) it->variables[i].measures[m].known = 0;
    return all;
}

/* What the measures come to, some intervals at a time: expressions are over rows. */
static void compute(struct sk_series_asking *it, struct variable *variable,
                    struct sk_series_answer_column *to) {
    const struct sk_tsx_aggregation *of = variable->of->aggregation;
    const double *measured[SK_TSX_MEASURES_MAX];
    for (size_t m = 0; m < of->measure_count; m++)
        measured[m] = sk_series_intervals_end(variable->measures[m].intervals);
    for (size_t at = 0; at < it->grid.count && !it->status; at += SK_SERIES_BLOCK_ROWS) {
        size_t n = it->grid.count - at;
        if (n > SK_SERIES_BLOCK_ROWS) n = SK_SERIES_BLOCK_ROWS;
        sk_arena_reset(&it->rows);
        struct sk_series_column columns[SK_TSX_MEASURES_MAX];
        for (size_t m = 0; m < of->measure_count; m++) {
            value *values = sk_arena_alloc(&it->rows, n * sizeof *values);
            uint8_t *present = sk_arena_alloc(&it->rows, n);
            for (size_t i = 0; i < n; i++) {
                double number = measured[m][at + i];
                present[i] = (uint8_t)!isnan(number);
                if (of->measures[m].as.type != SK_SERIES_LONG) {
                    values[i].number = number;
                } else {
                    present[i] = number >= -0x1p63 && number < 0x1p63;
                    values[i].integer = present[i] ? (int64_t)number : 0;
                }
            }
            columns[m] = (struct sk_series_column){of->measures[m].as, present, values};
        }
        struct sk_series_rows rows = {it->answer.times + at, n, columns, of->measure_count};
        struct sk_tsx_values values = eval(it, &of->result, &rows);
        if (it->status) return;
        memcpy(to->values + at, values.values, n * sizeof *to->values);
        memcpy(to->null + at, values.null, n);
        for (size_t i = 0; i < n && to->property.type == SK_SERIES_DOUBLE; i++)
            if (!isfinite(to->values[at + i].number)) to->null[at + i] = 1;
    }
}

static void tell_labels(struct sk_series_asking *it, struct variable *variable) {
    const struct sk_series_variable *of = variable->of;
    const double *shares = sk_series_shares_end(variable->shares);
    for (size_t l = 0; l <= of->category_count; l++) {
        struct sk_span label = l < of->category_count ? of->categories[l].label : of->otherwise;
        struct sk_span name =
            sk_arena_print(&it->kept, "%.*s[%.*s]", SK_ARG(of->name), SK_ARG(label));
        size_t column = column_at(it, (struct sk_series_property){name, SK_SERIES_DOUBLE});
        struct sk_series_answer_column *to = &it->answer.columns[column];
        for (size_t i = 0; i < it->grid.count; i++) {
            to->values[i].number = shares[l * it->grid.count + i];
            to->null[i] = 0;
        }
    }
}

static void tell_intervals(struct sk_series_asking *it) {
    struct sk_series_answer *answer = &it->answer;
    it->room = answer->count = it->grid.count;
    answer->times = sk_alloc(it->room * sizeof *answer->times);
    for (size_t i = 0; i < it->room; i++)
        answer->times[i] = it->grid.start + (int64_t)i * it->grid.width;
    for (size_t i = 0; i < it->query.variable_count && !it->status; i++) {
        struct variable *variable = &it->variables[i];
        if (variable->shares) {
            tell_labels(it, variable);
            continue;
        }
        size_t to = column_at(it, (struct sk_series_property){
                                      variable->of->name, variable->of->aggregation->result.type});
        compute(it, variable, &answer->columns[to]);
    }
    answer->more = it->grid.to < it->query.to;
    answer->next = (struct sk_series_place){.time = it->grid.to};
}

/* ---- its life ---- */

static void free_asking(struct sk_series_asking *it) {
    for (size_t i = 0; it->variables && i < it->query.variable_count; i++) {
        for (size_t m = 0; m < SK_TSX_MEASURES_MAX; m++)
            sk_series_intervals_free(it->variables[i].measures[m].intervals);
        sk_series_shares_free(it->variables[i].shares);
    }
    for (size_t i = 0; i < it->answer.column_count; i++) {
        free(it->answer.columns[i].values);
        free(it->answer.columns[i].null);
    }
    free(it->answer.columns);
    free(it->answer.times);
    sk_arena_free(&it->rows);
    sk_arena_free(&it->kept);
    free(it);
}

static void on_done(void *arg, enum sk_status status) {
    struct sk_series_asking *it = arg;
    struct sk_series_answer *answer = &it->answer;
    const struct sk_series_query *query = &it->query;
    it->read = NULL;
    if (it->status) status = it->status;
    if (!status && query->ask == SK_SERIES_ASK_INTERVALS) {
        tell_intervals(it);
        status = it->status;
    }
    answer->next.taken = query->place.taken + it->values;
    answer->progress = 100;
    if (answer->more)
        answer->progress = 100 * ((double)answer->next.time - (double)query->from) /
                           ((double)query->to - (double)query->from);
    it->done(it->arg, status, status ? NULL : answer);
    free_asking(it);
}

/* As many intervals as one answer may have. */
static enum sk_status make_grid(struct sk_series_asking *it) {
    const struct sk_series_query *query = &it->query;
    enum sk_status status = sk_series_grid(query->from, query->to, query->width, &it->grid);
    if (status) return status;
    size_t columns = 1;
    for (size_t i = 0; i < query->variable_count; i++)
        columns += query->variables[i].kind == SK_SERIES_CATEGORICAL
                       ? query->variables[i].category_count + 1
                       : 1;
    int64_t end = query->to, most = SK_SERIES_PAGE_NUMBERS / (int64_t)columns;
    int64_t first = sk_series_floor(query->place.time, query->width);
    if ((end - first) / query->width > most) end = first + most * query->width;
    return sk_series_grid(query->place.time, end, query->width, &it->grid);
}

static enum sk_status begin_intervals(struct sk_series_asking *it, int64_t *from, int64_t *to) {
    const struct sk_series_query *query = &it->query;
    enum sk_status status = make_grid(it);
    *from = it->grid.from;
    *to = it->grid.to;
    for (size_t i = 0; i < query->variable_count && !status; i++) {
        const struct sk_series_variable *of = &query->variables[i];
        struct variable *variable = &it->variables[i];
        if (of->kind == SK_SERIES_CATEGORICAL)
            variable->shares = sk_series_shares_new(&it->grid, of->category_count + 1,
                                                    of->interpolation != SK_SERIES_NO_SIGNAL);
        for (size_t m = 0; !variable->shares && m < of->aggregation->measure_count && !status; m++)
            status = sk_series_intervals_new(&it->grid, of->aggregation->measures[m].by,
                                             of->interpolation, &variable->measures[m].intervals);
        if (of->interpolation == SK_SERIES_NO_SIGNAL) continue;
        /* what a signal was before, whatever page this is */
        if (query->from - of->boundary < *from) *from = query->from - of->boundary;
        if (query->to + of->boundary > *to) *to = query->to + of->boundary;
    }
    return status;
}

/* So many at once that a turn of the loop stays short, whatever is computed of them. */
static size_t rows_most(const struct sk_series_asking *it) {
    enum { STEPS = 100000, LEAST = 4 };
    size_t most = STEPS / it->nodes;
    return most < LEAST ? LEAST : most < SK_SERIES_BLOCK_ROWS ? most : SK_SERIES_BLOCK_ROWS;
}

enum sk_status sk_series_query(struct sk_series *store, const struct sk_series_query *query,
                               sk_series_answered *done, void *arg,
                               struct sk_series_asking **asking) {
    struct sk_series_asking *it = SK_NEW(struct sk_series_asking);
    it->query = *query;
    it->done = done;
    it->arg = arg;
    it->variables = sk_arena_alloc(&it->kept, (query->variable_count + 1) * sizeof *it->variables);
    for (size_t i = 0; i < query->variable_count; i++) it->variables[i].of = &query->variables[i];
    bool intervals = query->ask == SK_SERIES_ASK_INTERVALS;
    int64_t from = query->place.time, to = query->to;
    it->answer.next = (struct sk_series_place){.time = from};
    enum sk_status status = intervals ? begin_intervals(it, &from, &to) : SK_OK;
    it->nodes = 1;
    want_all(it);
    if (!status && it->nodes > SK_SERIES_NODES_MAX) status = SK_TOO_LARGE;
    if (status) {
        free_asking(it);
        return status;
    }
    bool every = query->ask == SK_SERIES_ASK_EVENTS && query->properties == NULL;
    it->read = sk_series_read(
        store,
        &(struct sk_series_ask){.instance = query->instance,
                                .from = from,
                                .to = to,
                                .properties = every ? NULL : it->wanted,
                                .property_count = it->wanted_count,
                                .rows_most = rows_most(it)},
        &(struct sk_series_reader){
            .rows = on_rows, .block = intervals ? on_block : NULL, .done = on_done, .arg = it});
    if (asking) *asking = it;
    return SK_OK;
}

void sk_series_query_cancel(struct sk_series_asking *it) {
    sk_series_read_cancel(it->read);
    free_asking(it);
}
