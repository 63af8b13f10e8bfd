/* Prometheus reads time series: a metric for each numeric property, with the instance's ID as
 * labels. One series of the store after the other is read. Why snappy is a library:
 * docs/decisions/0042-snappy-for-remote-read.md. */
#include <math.h>
#include <regex.h>
#include <snappy-c.h>
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"
#include "wire/prometheus.h"

enum {
    METRICS_MAX = 200,     /* of one query */
    SERIES_MAX = 10000,    /* instances of one query */
    SAMPLES_MAX = 1000000, /* of one answer */
    REQUEST_MAX = 1048576, /* bytes, unpacked */
};

/* What Prometheus calls a property; the same name may have several types. */
struct metric {
    char *name;
    struct sk_series_property properties[3];
    size_t count;
    struct sk_buffer series; /* of one instance */
    bool any;
};
struct remote {
    struct sk_list link;
    struct series *series;
    struct sk_request *request;
    struct sk_arena arena;
    struct sk_prometheus_read read;
    size_t query;   /* that is being answered */
    regex_t *likes; /* of its matchers */
    struct metric metrics[METRICS_MAX];
    size_t metric_count;
    struct sk_series_property *wanted;
    size_t wanted_count;
    size_t place, instances; /* in the store's list */
    struct sk_series_query ask;
    struct sk_series_asking *asking;
    struct sk_task task;
    struct sk_buffer result, answer;
    uint64_t samples;
};

static void next_instance(struct remote *remote);

/* ---- names ---- */

/* Letters, digits and '_', no digit in front. */
static char *plain_name(struct sk_arena *arena, struct sk_span name) {
    char *to = sk_arena_alloc(arena, name.n + 2);
    size_t n = 0;
    if (name.n && name.p[0] >= '0' && name.p[0] <= '9') to[n++] = '_';
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        to[n++] = fine ? c : '_';
    }
    return to;
}

/* What a part of the time series ID is called. */
static const char *label_name(const struct remote *remote, struct sk_arena *arena, size_t part) {
    const struct sk_series_flatten_options *flatten = &remote->series->flatten;
    return flatten->id_count ? plain_name(arena, flatten->id[part]) : "device";
}

/* ---- matching ---- */

static bool fits(const struct remote *remote, size_t at, struct sk_arena *arena,
                 struct sk_span value) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    const struct sk_prometheus_matcher *matcher = &query->matchers[at];
    bool is;
    if (matcher->by == SK_PROMETHEUS_EQUAL || matcher->by == SK_PROMETHEUS_NOT_EQUAL)
        is = sk_span_eq(value, matcher->value);
    else
        is = regexec(&remote->likes[at], sk_arena_copy(arena, value).p, 0, NULL, 0) == 0;
    return is == (matcher->by == SK_PROMETHEUS_EQUAL || matcher->by == SK_PROMETHEUS_LIKE);
}

static bool name_fits(const struct remote *remote, const char *name) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    struct sk_arena arena = {0};
    bool fine = true;
    for (size_t i = 0; i < query->matcher_count && fine; i++)
        if (sk_span_is(query->matchers[i].label, "__name__"))
            fine = fits(remote, i, &arena, sk_span_z(name));
    sk_arena_free(&arena);
    return fine;
}

/* Labels that a series has not are empty. */
static bool instance_fits(const struct remote *remote, const json_t *id) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    struct sk_arena arena = {0};
    bool fine = true;
    for (size_t i = 0; i < query->matcher_count && fine; i++) {
        struct sk_span value = SK_SPAN("");
        if (sk_span_is(query->matchers[i].label, "__name__")) continue;
        for (size_t part = 0; part < json_array_size(id); part++) {
            const char *text = json_string_value(json_array_get(id, part));
            if (text && sk_span_is(query->matchers[i].label, label_name(remote, &arena, part)))
                value = sk_span_z(text);
        }
        fine = fits(remote, i, &arena, value);
    }
    sk_arena_free(&arena);
    return fine;
}

static void forget_likes(struct remote *remote, size_t count) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    for (size_t i = 0; i < count; i++)
        if (query->matchers[i].by >= SK_PROMETHEUS_LIKE) regfree(&remote->likes[i]);
}

/* False: one is no regular expression. */
static bool make_likes(struct remote *remote) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    remote->likes =
        sk_arena_alloc(&remote->arena, (query->matcher_count + 1) * sizeof *remote->likes);
    for (size_t i = 0; i < query->matcher_count; i++) {
        const struct sk_prometheus_matcher *matcher = &query->matchers[i];
        if (matcher->by < SK_PROMETHEUS_LIKE) continue;
        struct sk_span text = sk_arena_print(&remote->arena, "^(%.*s)$", SK_ARG(matcher->value));
        if (regcomp(&remote->likes[i], text.p, REG_EXTENDED | REG_NOSUB) == 0) continue;
        forget_likes(remote, i);
        return false;
    }
    return true;
}

/* The metrics that a query is about, out of the properties that there are. */
static void choose_metrics(struct remote *remote) {
    struct sk_series *store = remote->series->store;
    remote->metric_count = remote->wanted_count = 0;
    remote->wanted = sk_arena_alloc(&remote->arena, METRICS_MAX * 3 * sizeof *remote->wanted);
    for (size_t i = 0; i < sk_series_property_count(store); i++) {
        struct sk_series_property property = sk_series_property_at(store, i);
        if (property.type != SK_SERIES_DOUBLE && property.type != SK_SERIES_LONG &&
            property.type != SK_SERIES_BOOL)
            continue;
        char *name = plain_name(&remote->arena, property.name);
        size_t m = 0;
        while (m < remote->metric_count && strcmp(remote->metrics[m].name, name) != 0) m++;
        if (m == METRICS_MAX || (m == remote->metric_count && !name_fits(remote, name))) continue;
        struct metric *metric = &remote->metrics[m];
        if (m == remote->metric_count) {
            remote->metric_count++;
            *metric = (struct metric){.name = name};
        }
        if (metric->count == 3) continue;
        metric->properties[metric->count++] = property;
        remote->wanted[remote->wanted_count++] = property;
    }
}

/* ---- its end ---- */

static void free_remote(struct remote *remote) {
    sk_io_undefer(&remote->task);
    if (remote->asking) sk_series_query_cancel(remote->asking);
    if (remote->likes) forget_likes(remote, remote->read.queries[remote->query].matcher_count);
    for (size_t i = 0; i < METRICS_MAX; i++) sk_buffer_free(&remote->metrics[i].series);
    sk_list_remove(&remote->link);
    sk_buffer_free(&remote->result);
    sk_buffer_free(&remote->answer);
    sk_arena_free(&remote->arena);
    free(remote);
}

static void refuse(struct remote *remote, enum sk_fault fault, const char *why) {
    struct sk_request *request = remote->request;
    free_remote(remote);
    sk_request_refuse(request, fault, why ? "%s" : NULL, why);
}

static void finish(struct remote *remote) {
    struct sk_request *request = remote->request;
    size_t n = snappy_max_compressed_length(remote->answer.n);
    char *packed = sk_alloc(n + 1);
    snappy_compress(remote->answer.p ? remote->answer.p : "", remote->answer.n, packed, &n);
    free_remote(remote);
    request->done(request, &(struct sk_answer){.text = sk_span(packed, n)});
    free(packed);
}

static void begin_query(struct remote *remote) {
    if (remote->query == remote->read.count) {
        finish(remote);
    } else if (!make_likes(remote)) {
        remote->likes = NULL;
        refuse(remote, SK_FAULT_ARGUMENT_INVALID, "a matcher is no regular expression");
    } else {
        remote->place = remote->instances = 0;
        choose_metrics(remote);
        next_instance(remote);
    }
}

static void end_query(struct remote *remote) {
    sk_prometheus_put_part(&remote->answer, sk_buffer_span(&remote->result));
    remote->result.n = 0;
    forget_likes(remote, remote->read.queries[remote->query].matcher_count);
    remote->likes = NULL;
    remote->query++;
    begin_query(remote);
}

/* ---- one instance after the other ---- */

static double number_of(enum sk_series_type type, union sk_series_value value) {
    return type == SK_SERIES_DOUBLE ? value.number
           : type == SK_SERIES_LONG ? (double)value.integer
                                    : value.boolean;
}

static struct metric *metric_of(struct remote *remote,
                                const struct sk_series_answer_column *column) {
    for (size_t m = 0; m < remote->metric_count; m++)
        for (size_t p = 0; p < remote->metrics[m].count; p++)
            if (sk_series_same_property(&remote->metrics[m].properties[p], &column->property))
                return &remote->metrics[m];
    return NULL;
}

/* Samples have times of their own: of several with one time the last counts. */
static void put_samples(struct remote *remote, const struct sk_series_answer *answer) {
    for (size_t row = 0; row < answer->count; row++) {
        if (row + 1 < answer->count && answer->times[row + 1] == answer->times[row]) continue;
        for (size_t c = 0; c < answer->column_count; c++) {
            const struct sk_series_answer_column *column = &answer->columns[c];
            struct metric *metric = column->null[row] ? NULL : metric_of(remote, column);
            if (metric == NULL) continue;
            sk_prometheus_put_sample(&metric->series, answer->times[row],
                                     number_of(column->property.type, column->values[row]));
            metric->any = true;
            remote->samples++;
        }
    }
}

struct label {
    const char *name, *value; /* value NULL: the metric's name */
};

static int by_label(const void *a, const void *b) {
    return strcmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

/* Labels are sorted: Prometheus merges series by them. */
static void begin_series(struct remote *remote, const json_t *id) {
    struct sk_arena arena = {0};
    struct label labels[SK_SERIES_ID_PARTS_MAX + 1] = {{"__name__", NULL}};
    size_t count = 1;
    for (size_t part = 0; part < json_array_size(id) && count <= SK_SERIES_ID_PARTS_MAX; part++) {
        const char *value = json_string_value(json_array_get(id, part));
        if (value) labels[count++] = (struct label){label_name(remote, &arena, part), value};
    }
    qsort(labels, count, sizeof *labels, by_label);
    for (size_t m = 0; m < remote->metric_count; m++) {
        struct metric *metric = &remote->metrics[m];
        metric->series.n = 0;
        metric->any = false;
        for (size_t i = 0; i < count; i++)
            sk_prometheus_put_label(&metric->series, sk_span_z(labels[i].name),
                                    sk_span_z(labels[i].value ? labels[i].value : metric->name));
    }
    sk_arena_free(&arena);
}

static void end_series(struct remote *remote) {
    for (size_t m = 0; m < remote->metric_count; m++)
        if (remote->metrics[m].any)
            sk_prometheus_put_part(&remote->result, sk_buffer_span(&remote->metrics[m].series));
}

static void on_task(struct sk_task *task) {
    next_instance(SK_CONTAINER(task, struct remote, task));
}

static void ask_page(struct remote *remote);

static void answered(void *arg, enum sk_status status, const struct sk_series_answer *answer) {
    struct remote *remote = arg;
    remote->asking = NULL;
    if (status) {
        refuse(remote, status == SK_CLOSED ? SK_FAULT_UNAVAILABLE : SK_FAULT_SERVER_ERROR, NULL);
        return;
    }
    put_samples(remote, answer);
    if (remote->samples > SAMPLES_MAX) {
        refuse(remote, SK_FAULT_ARGUMENT_INVALID,
               "there are more than a million samples: ask for a shorter time or fewer series");
    } else if (answer->more) {
        remote->ask.place = answer->next;
        ask_page(remote);
    } else {
        end_series(remote);
        sk_io_yield(remote->series->hub->backend.io, &remote->task, on_task);
    }
}

static void ask_page(struct remote *remote) {
    if (sk_series_query(remote->series->store, &remote->ask, answered, remote, &remote->asking))
        refuse(remote, SK_FAULT_ARGUMENT_INVALID, "the query cannot be done");
}

static void read_instance(struct remote *remote, const struct sk_series_instance *instance,
                          const json_t *id) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    begin_series(remote, id);
    remote->ask = (struct sk_series_query){.ask = SK_SERIES_ASK_EVENTS,
                                           .instance = instance->name,
                                           .from = query->from,
                                           .to = query->to + 1,
                                           .properties = remote->wanted,
                                           .property_count = remote->wanted_count,
                                           .take = UINT64_MAX,
                                           .place = {.time = query->from}};
    ask_page(remote);
}

static void next_instance(struct remote *remote) {
    const struct sk_prometheus_query *query = &remote->read.queries[remote->query];
    struct sk_series_instance one;
    struct sk_share share;
    sk_share_begin(&share, remote->series->hub->backend.io);
    while (remote->wanted_count && query->from <= query->to) {
        if (!sk_share_go_on(&share, 1)) {
            sk_io_yield(remote->series->hub->backend.io, &remote->task, on_task);
            return;
        }
        remote->place = sk_series_instance_next(remote->series->store, remote->place, &one);
        if (remote->place == 0) break;
        if (one.last_time < query->from || one.first_time > query->to) continue;
        json_t *id = sk_json_load(one.name, 0, NULL);
        bool wanted = instance_fits(remote, id);
        if (wanted && remote->instances++ == SERIES_MAX) {
            json_decref(id);
            refuse(remote, SK_FAULT_ARGUMENT_INVALID,
                   "more than 10000 series are asked for: match fewer");
            return;
        }
        if (wanted) read_instance(remote, &one, id);
        json_decref(id);
        if (wanted) return;
    }
    end_query(remote);
}

/* ---- a request ---- */

static bool unpack(struct remote *remote, struct sk_span body) {
    size_t n = 0;
    if (snappy_uncompressed_length(body.p ? body.p : "", body.n, &n) != SNAPPY_OK ||
        n > REQUEST_MAX)
        return false;
    char *bytes = sk_arena_alloc(&remote->arena, n + 1);
    if (snappy_uncompress(body.p, body.n, bytes, &n) != SNAPPY_OK) return false;
    return sk_prometheus_read_parse(sk_span(bytes, n), &remote->arena, &remote->read) == SK_OK;
}

static void asker_gone(struct sk_request *request) {
    refuse(request->backend_data, SK_FAULT_UNAVAILABLE, NULL);
}

void series_remote_read(struct series *series, struct sk_request *request) {
    struct remote *remote = SK_NEW(struct remote);
    remote->series = series;
    remote->request = request;
    request->backend_data = remote;
    request->gone = asker_gone;
    sk_list_append(&series->remotes, &remote->link);
    if (unpack(remote, request->payload))
        begin_query(remote);
    else
        refuse(remote, SK_FAULT_ARGUMENT_INVALID,
               "the body is no ReadRequest of Prometheus, packed by snappy");
}

void series_remote_read_end(struct series *series) {
    SK_LIST_EACH(&series->remotes, node, following)
    refuse(SK_CONTAINER(node, struct remote, link), SK_FAULT_UNAVAILABLE, NULL);
}
