/* Metrics of the last day, in the form of Azure Monitor: which there are, and their values. What
 * is kept of them: samples.c. Reference: docs/protocols/service-api.md, section 12. */
#include "hub/insights/parts.h"
#include "model/json_text.h"
#include "wire/http.h"

enum {
    METRICS_MAX = 20, /* of a request, as in Azure */
    POINTS_MAX = 40000,
    FILTER_MAX = 10, /* values */
};

static bool is_counter(const struct sk_hub_metric *row) {
    return sk_span_ends(sk_span_z(row->name), SK_SPAN("_total"));
}

static const char *name_of(const struct sk_hub_metric *row) {
    return row->azure ? row->azure : row->name;
}

/* ---- which there are ---- */

bool insights_row_told(const struct sk_hub *hub, const struct sk_hub_metric *row) {
    if (row->put) return false;
    if (row->azure || row->each) return true;
    EACH_ROW(hub, other)
    if (other->azure && !other->each && !other->put && other->at == row->at) return false;
    return true;
}

static const struct sk_hub_metric *find_row(const struct sk_hub *hub, struct sk_span name) {
    EACH_ROW(hub, row)
    if (sk_span_eq_nocase(name, sk_span_z(name_of(row))) && insights_row_told(hub, row)) return row;
    return NULL;
}

static const char *unit_of(const struct sk_hub_metric *row) {
    struct sk_span name = sk_span_z(row->name);
    return sk_span_ends(name, SK_SPAN("_bytes"))     ? "Bytes"
           : sk_span_ends(name, SK_SPAN("_seconds")) ? "Seconds"
                                                     : "Count";
}

static json_t *name_json(const struct sk_hub_metric *row) {
    size_t help = strlen(row->help);
    return json_pack("{s:s,s:s%}", "value", name_of(row), "localizedValue", row->help,
                     help - (row->help[help - 1] == '.'));
}

static json_t *definition_json(const struct sk_hub *hub, const struct sk_hub_metric *row) {
    json_t *json = json_pack(
        "{s:s+,s:s,s:o,s:s,s:s,s:s,s:o,s:[{s:s,s:s}]}", "resourceId", HUB_RESOURCE,
        hub->options->name, "namespace", "Microsoft.Devices/IotHubs", "name", name_json(row),
        "displayDescription", row->help, "unit", unit_of(row), "primaryAggregationType",
        is_counter(row) ? "Total" : "Average", "supportedAggregationTypes",
        is_counter(row) ? json_pack("[s]", "Total")
                        : json_pack("[s,s,s]", "Average", "Minimum", "Maximum"),
        "metricAvailabilities", "timeGrain", "PT1M", "retention", "P1D");
    if (row->dimension)
        json_object_set_new(json, "dimensions", json_pack("[{s:s}]", "value", row->dimension));
    return json;
}

void insights_definitions(struct sk_hub *hub, struct sk_request *request) {
    json_t *value = json_array();
    EACH_ROW(hub, row)
    if (insights_row_told(hub, row)) json_array_append_new(value, definition_json(hub, row));
    json_t *document = json_pack("{s:o}", "value", value);
    sk_request_answer_json(request, document);
}

/* ---- what is asked ---- */

struct bucket {
    double sum, least, most;
    unsigned count; /* samples */
};

/* A line: a metric, or a metric of one of the things that have it. */
struct line {
    size_t metric;
    const char *of; /* NULL: of all of them together */
    bool any;       /* there is a number of it; else it has always been 0 */
    struct bucket *buckets;
};

struct ask {
    struct sk_hub *hub;
    struct sk_arena arena;
    const struct sk_hub_metric *rows[METRICS_MAX];
    size_t row_count;
    int64_t from, to, step; /* minutes; buckets begin at multiples of `step` */
    size_t buckets;
    bool total, average, least, most;
    bool split; /* by endpoint: all of them, or those named */
    struct sk_span of[FILTER_MAX];
    size_t of_count;
    struct line *lines;
    size_t line_count;
    size_t *line_of; /* by number: a line, or SIZE_MAX */
    const char *why; /* a sentence, when it is refused */
};

static struct sk_span parameter(struct ask *ask, const struct sk_request *request,
                                const char *name) {
    return sk_percent_decoded(&ask->arena, sk_http_query(request->query, name));
}

static bool read_names(struct ask *ask, struct sk_span names) {
    struct sk_span name;
    ask->why = "metricnames has 1 to 20 names, with commas between: metricDefinitions lists them";
    while (sk_span_split(&names, ',', &name)) {
        const struct sk_hub_metric *row = find_row(ask->hub, sk_span_trim(name));
        if (row == NULL || ask->row_count == METRICS_MAX) return false;
        ask->rows[ask->row_count++] = row;
    }
    return ask->row_count > 0;
}

static int64_t down(int64_t minute, int64_t step) {
    return minute - minute % step;
}

/* "from/to"; without it the last hour. No more than is kept at most. */
static bool read_time(struct ask *ask, struct sk_span span, struct sk_span interval) {
    int64_t now = sk_io_wall(ask->hub->backend.io), from, to, step = MINUTE_US;
    size_t slash = sk_span_find(span, '/');
    ask->why = "timespan is two times with / between, interval PT1M to P1D in whole minutes";
    if (span.n == 0) {
        from = now - 60ll * MINUTE_US;
        to = now;
    } else if (sk_time_parse_near(sk_span_first(span, slash), now, &from) ||
               sk_time_parse_near(sk_span_skip(span, slash + 1), now, &to)) {
        return false;
    }
    if (interval.n && sk_duration_parse(interval, &step)) return false;
    if (from < 0 || to <= from || step % MINUTE_US || step < MINUTE_US ||
        step > (int64_t)SAMPLES_MINUTES * MINUTE_US)
        return false;
    int64_t oldest = now / MINUTE_US - SAMPLES_MINUTES;
    ask->step = step / MINUTE_US;
    ask->from = down(from / MINUTE_US < oldest ? oldest : from / MINUTE_US, ask->step);
    ask->to = to > now ? now / MINUTE_US + 1 : (to + MINUTE_US - 1) / MINUTE_US;
    if (ask->to > ask->from)
        ask->buckets = (size_t)((ask->to - ask->from + ask->step - 1) / ask->step);
    return true;
}

/* Empty: what each metric has first. */
static bool read_aggregation(struct ask *ask, struct sk_span words) {
    struct sk_span word;
    ask->why = "aggregation is Total, or of what does not only grow Average, Minimum or Maximum";
    if (words.n == 0) ask->total = ask->average = true;
    while (words.n && sk_span_split(&words, ',', &word)) {
        word = sk_span_trim(word);
        bool *which = sk_span_eq_nocase(word, SK_SPAN("total"))     ? &ask->total
                      : sk_span_eq_nocase(word, SK_SPAN("average")) ? &ask->average
                      : sk_span_eq_nocase(word, SK_SPAN("minimum")) ? &ask->least
                      : sk_span_eq_nocase(word, SK_SPAN("maximum")) ? &ask->most
                                                                    : NULL;
        if (which == NULL) return false;
        *which = true;
    }
    return true;
}

/* EndpointName eq '*', or: EndpointName eq 'a' or EndpointName eq 'b'. */
static bool read_filter(struct ask *ask, struct sk_span text) {
    ask->why = "$filter is EndpointName eq '*', or at most 10 of EndpointName eq 'name' with or";
    ask->split = text.n > 0;
    for (text = sk_span_trim(text); text.n;) {
        static const char eq[] = "EndpointName eq '";
        if (!sk_span_starts_nocase(text, SK_SPAN(eq))) return false;
        text = sk_span_skip(text, sizeof eq - 1);
        size_t end = sk_span_find(text, '\'');
        struct sk_span of = sk_span_first(text, end);
        if (end >= text.n || of.n == 0 || ask->of_count == FILTER_MAX) return false;
        if (!sk_span_is(of, "*")) ask->of[ask->of_count++] = of;
        text = sk_span_trim(sk_span_skip(text, end + 1));
        if (text.n == 0) break;
        if (!sk_span_starts_nocase(text, SK_SPAN("or "))) return false;
        text = sk_span_trim(sk_span_skip(text, 3));
        if (text.n == 0) return false;
    }
    return true;
}

static bool is_named(const struct ask *ask, const char *of) {
    for (size_t i = 0; i < ask->of_count; i++)
        if (sk_span_eq_nocase(ask->of[i], sk_span_z(of))) return true;
    return ask->of_count == 0;
}

static struct line *add_line(struct ask *ask, size_t metric, const char *of) {
    ask->lines[ask->line_count] = (struct line){.metric = metric, .of = of};
    return &ask->lines[ask->line_count++];
}

/* The lines, and which numbers they are made of. False: they would have too many points. */
static bool make_lines(struct ask *ask, const struct samples *samples) {
    ask->lines = sk_alloc((METRICS_MAX + samples->count * ask->row_count) * sizeof *ask->lines);
    ask->line_of = sk_alloc((samples->count + 1) * ask->row_count * sizeof *ask->line_of);
    for (size_t m = 0; m < ask->row_count; m++) {
        bool split = ask->split && ask->rows[m]->dimension;
        struct line *whole = split ? NULL : add_line(ask, m, NULL);
        for (size_t i = 0; i < samples->count; i++) {
            const struct samples_number *number = &samples->numbers[i];
            size_t *line = &ask->line_of[i * ask->row_count + m];
            *line = SIZE_MAX;
            if (number->row != ask->rows[m]) continue;
            if (split && !is_named(ask, number->of ? number->of : "")) continue;
            struct line *at = whole ? whole : add_line(ask, m, number->of);
            at->any = true;
            *line = (size_t)(at - ask->lines);
        }
    }
    ask->why = "that is more than 40000 values: ask for fewer metrics, a shorter time or a longer "
               "interval";
    if (ask->line_count * ask->buckets > POINTS_MAX) return false;
    for (size_t i = 0; i < ask->line_count; i++)
        ask->lines[i].buckets = sk_alloc((ask->buckets + 1) * sizeof(struct bucket));
    return true;
}

/* ---- its answer ---- */

static void add(struct bucket *bucket, double value) {
    if (bucket->count == 0 || value < bucket->least) bucket->least = value;
    if (bucket->count == 0 || value > bucket->most) bucket->most = value;
    bucket->sum += value;
    bucket->count++;
}

static void seen(void *arg, int64_t minute, const uint64_t *values) {
    struct ask *ask = arg;
    const struct samples *samples = &ask->hub->insights->samples;
    if (minute < ask->from || minute >= ask->to) return;
    size_t at = (size_t)((minute - ask->from) / ask->step);
    for (size_t i = 0; i < samples->count * ask->row_count; i++) {
        size_t number = i / ask->row_count;
        if (ask->line_of[i] != SIZE_MAX)
            add(&ask->lines[ask->line_of[i]].buckets[at], (double)values[number]);
    }
    for (size_t i = 0; i < ask->line_count; i++)
        if (!ask->lines[i].any) add(&ask->lines[i].buckets[at], 0);
}

static void put_real(struct sk_buffer *to, const char *name, double value) {
    char text[SK_REAL_TEXT];
    sk_real_text(value, text);
    sk_buffer_print(to, ",\"%s\":%s", name, text);
}

/* Of times of which there is no sample nothing is told. */
static void put_points(const struct ask *ask, const struct line *line, struct sk_buffer *to) {
    bool counter = is_counter(ask->rows[line->metric]), first = true;
    sk_buffer_byte(to, '[');
    for (size_t i = 0; i < ask->buckets; i++) {
        const struct bucket *bucket = &line->buckets[i];
        char time[SK_TIME_TEXT];
        if (bucket->count == 0) continue;
        sk_time_text((ask->from + (int64_t)i * ask->step) * MINUTE_US, time);
        sk_buffer_print(to, "%s{\"timeStamp\":\"%.19sZ\"", first ? "" : ",", time);
        first = false;
        if (counter && ask->total) put_real(to, "total", bucket->sum);
        if (!counter && ask->average) put_real(to, "average", bucket->sum / bucket->count);
        if (!counter && ask->least) put_real(to, "minimum", bucket->least);
        if (!counter && ask->most) put_real(to, "maximum", bucket->most);
        sk_buffer_byte(to, '}');
    }
    sk_buffer_byte(to, ']');
}

static void put_line(const struct ask *ask, const struct line *line, struct sk_buffer *to) {
    json_t *of = line->of ? json_pack("[{s:{s:s},s:s}]", "name", "value",
                                      ask->rows[line->metric]->dimension, "value", line->of)
                          : json_array();
    sk_buffer_text(to, "{\"metadatavalues\":");
    sk_json_put(to, of, 0);
    sk_buffer_text(to, ",\"data\":");
    put_points(ask, line, to);
    sk_buffer_byte(to, '}');
    json_decref(of);
}

static void put_metric(const struct ask *ask, size_t metric, struct sk_buffer *to) {
    const struct sk_hub_metric *row = ask->rows[metric];
    bool first = true;
    json_t *name = name_json(row);
    sk_buffer_text(to, metric ? ",{\"type\":\"Microsoft.Insights/metrics\",\"name\":"
                              : "{\"type\":\"Microsoft.Insights/metrics\",\"name\":");
    sk_json_put(to, name, 0);
    sk_buffer_print(to, ",\"unit\":\"%s\",\"errorCode\":\"Success\",\"timeseries\":[",
                    unit_of(row));
    for (size_t i = 0; i < ask->line_count; i++) {
        if (ask->lines[i].metric != metric) continue;
        if (!first) sk_buffer_byte(to, ',');
        first = false;
        put_line(ask, &ask->lines[i], to);
    }
    sk_buffer_text(to, "]}");
    json_decref(name);
}

static void put_answer(const struct ask *ask, struct sk_buffer *to) {
    char from[SK_TIME_TEXT], end[SK_TIME_TEXT];
    sk_time_text(ask->from * MINUTE_US, from);
    sk_time_text(ask->to * MINUTE_US, end);
    sk_buffer_print(to,
                    "{\"timespan\":\"%.19sZ/%.19sZ\",\"interval\":\"PT%lldM\",\"namespace\":"
                    "\"Microsoft.Devices/IotHubs\",\"value\":[",
                    from, end, (long long)ask->step);
    for (size_t m = 0; m < ask->row_count; m++) put_metric(ask, m, to);
    sk_buffer_text(to, "]}");
}

void insights_metrics(struct sk_hub *hub, struct sk_request *request) {
    const struct samples *samples = &hub->insights->samples;
    struct ask ask = {.hub = hub};
    struct sk_buffer text = {0};
    struct sk_span filter = parameter(&ask, request, "$filter");
    if (filter.n == 0) filter = parameter(&ask, request, "%24filter");
    if (!read_names(&ask, parameter(&ask, request, "metricnames")) ||
        !read_time(&ask, parameter(&ask, request, "timespan"),
                   parameter(&ask, request, "interval")) ||
        !read_aggregation(&ask, parameter(&ask, request, "aggregation")) ||
        !read_filter(&ask, filter) || !make_lines(&ask, samples)) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", ask.why);
    } else {
        samples_each(samples, seen, &ask);
        put_answer(&ask, &text);
        request->done(request, &(struct sk_answer){.text = sk_buffer_span(&text)});
    }
    for (size_t i = 0; i < ask.line_count; i++) free(ask.lines[i].buckets);
    free(ask.lines);
    free(ask.line_of);
    sk_buffer_free(&text);
    sk_arena_free(&ask.arena);
}
