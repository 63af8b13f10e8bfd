/* The operations on time series, and the part of the hub. */
#include <stdio.h>

#include "hub/series/parts.h"
#include "model/json_text.h"

enum { LIST_PAGE = 500 };

static void invalid(struct sk_request *request, const char *why) {
    sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", why);
}

/* False: refused, as it is off. */
static bool is_on(struct sk_hub *hub, struct sk_request *request) {
    if (hub->series->store) return true;
    sk_request_refuse(request, hub->closing ? SK_FAULT_UNAVAILABLE : SK_FAULT_INVALID_OPERATION,
                      hub->closing ? NULL
                                   : "time series are off: set enabled = true in [hub.series] of "
                                     "hub.toml and start the hub again");
    return false;
}

/* Until all of the model is read, requests wait. False: refused, or waits. */
static bool has_model(struct sk_hub *hub, struct sk_request *request) {
    if (!is_on(hub, request)) return false;
    if (!hub->series->model.loaded) hub_wait(&hub->series->model.waiting, request);
    return hub->series->model.loaded;
}

static void answer_text(struct sk_request *request, struct sk_buffer *text,
                        struct sk_span continuation) {
    request->done(request,
                  &(struct sk_answer){.text = sk_buffer_span(text), .continuation = continuation});
    sk_buffer_free(text);
}

/* ---- queries ---- */

struct asked {
    struct sk_request *request;
    struct sk_series_asking *asking;
    struct sk_arena arena;
    struct sk_series_query query;
    json_t *type; /* whose variables it may use */
    uint64_t hash;
};

static void free_asked(struct asked *asked) {
    json_decref(asked->type);
    sk_arena_free(&asked->arena);
    free(asked);
}

static void refuse_read(struct sk_request *request, enum sk_status status) {
    switch (status) {
    case SK_CLOSED: sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL); break;
    case SK_TOO_LARGE:
        invalid(request, "the query takes more work or memory than it may: ask for a shorter time, "
                         "or by simpler expressions");
        break;
    default: sk_request_refuse(request, SK_FAULT_SERVER_ERROR, NULL);
    }
}

static void answered(void *arg, enum sk_status status, const struct sk_series_answer *answer) {
    struct asked *asked = arg;
    struct sk_buffer text = {0};
    char continuation[SERIES_CONTINUATION] = "";
    if (status) {
        refuse_read(asked->request, status);
    } else {
        if (answer->more) series_continuation(asked->hash, &answer->next, continuation);
        series_put_answer(&text, answer, answer->more ? continuation : NULL);
        answer_text(asked->request, &text, sk_span_z(continuation));
    }
    free_asked(asked);
}

static void asker_gone(struct sk_request *request) {
    struct asked *asked = request->backend_data;
    sk_series_query_cancel(asked->asking);
    free_asked(asked);
    sk_request_refuse(request, SK_FAULT_UNAVAILABLE, NULL);
}

static void query(struct sk_hub *hub, struct sk_request *request) {
    char error[SERIES_ERROR];
    if (!has_model(hub, request)) return;
    struct asked *asked = SK_NEW(struct asked);
    asked->request = request;
    bool fine = series_ask_read(hub->series, request->body, request->continuation, &asked->arena,
                                &asked->query, &asked->type, &asked->hash, error);
    if (fine && sk_series_query(hub->series->store, &asked->query, answered, asked,
                                &asked->asking) == SK_OK) {
        request->backend_data = asked;
        request->gone = asker_gone;
        return;
    }
    invalid(request, fine ? "the expressions of the query are too long together" : error);
    free_asked(asked);
}

/* ---- what there is ---- */

static void put_property(struct sk_buffer *to, const struct sk_series_property *property) {
    sk_buffer_text(to, "{\"name\":");
    sk_json_string(to, property->name);
    sk_buffer_print(to, ",\"type\":\"%s\"}", series_type_names[property->type]);
}

/* All properties that are known: which of them came in the span is not kept. */
static void schema(struct sk_hub *hub, struct sk_request *request) {
    char error[SERIES_ERROR];
    int64_t from, to;
    struct sk_buffer text = {0};
    if (!is_on(hub, request)) return;
    if (!series_span_read(json_object_get(request->body, "searchSpan"), &from, &to, error)) {
        invalid(request, error);
        return;
    }
    sk_buffer_text(&text, "{\"properties\":[");
    for (size_t i = 0; i < sk_series_property_count(hub->series->store); i++) {
        struct sk_series_property property = sk_series_property_at(hub->series->store, i);
        if (i) sk_buffer_byte(&text, ',');
        put_property(&text, &property);
    }
    sk_buffer_text(&text, "]}");
    answer_text(request, &text, SK_NONE);
}

static void availability(struct sk_hub *hub, struct sk_request *request) {
    struct sk_buffer text = {0};
    if (!is_on(hub, request)) return;
    struct sk_series_availability there = sk_series_availability(hub->series->store);
    if (there.count == 0) {
        sk_buffer_text(&text, "{\"availability\":null}");
    } else {
        sk_buffer_print(&text, "{\"availability\":{\"intervalSize\":\"PT%lldM\",\"distribution\":{",
                        (long long)(there.width_ms / 60000));
        for (size_t i = 0; i < there.count; i++) {
            if (i) sk_buffer_byte(&text, ',');
            series_put_time(&text, there.intervals[i].start);
            sk_buffer_print(&text, ":%llu", (unsigned long long)there.intervals[i].rows);
        }
        sk_buffer_text(&text, "},\"range\":{\"from\":");
        series_put_time(&text, there.intervals[0].start);
        sk_buffer_text(&text, ",\"to\":");
        series_put_time(&text, there.intervals[there.count - 1].start + there.width_ms);
        sk_buffer_text(&text, "}}}");
    }
    free(there.intervals);
    answer_text(request, &text, SK_NONE);
}

/* ---- the model ---- */

static void list_objects(struct sk_hub *hub, struct sk_request *request, enum series_kind kind) {
    json_t *list = json_array();
    const struct series_objects *objects = &hub->series->model.kinds[kind];
    for (size_t i = 0; i < objects->count; i++)
        if (objects->list[i]) json_array_append(list, objects->list[i]->document);
    sk_request_answer_json(
        request, json_pack("{s:o,s:n}", series_kinds[kind].list, list, "continuationToken"));
}

static void list_types(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) list_objects(hub, request, SERIES_TYPE);
}

static void list_hierarchies(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) list_objects(hub, request, SERIES_HIERARCHY);
}

static void batch(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) series_batch(hub->series, request);
}

static void search(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) series_search(hub->series, request);
}

static void suggest(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) series_suggest(hub->series, request);
}

static void remote_read(struct sk_hub *hub, struct sk_request *request) {
    if (is_on(hub, request)) series_remote_read(hub->series, request);
}

static void show_settings(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) sk_request_answer_json(request, series_settings_json(hub->series));
}

static void patch_settings(struct sk_hub *hub, struct sk_request *request) {
    if (has_model(hub, request)) series_settings_patch(hub->series, request);
}

/* A place in the store's list, as a continuation token. */
static bool read_place(struct sk_span text, size_t *place) {
    int64_t n = 0;
    if (text.n && (sk_span_to_int(text, &n) || n < 0)) return false;
    *place = (size_t)n;
    return true;
}

static void list_instances(struct sk_hub *hub, struct sk_request *request) {
    size_t place;
    struct sk_series_instance one;
    char continuation[24] = "";
    const struct series_model *model = &hub->series->model;
    if (!has_model(hub, request)) return;
    if (!read_place(request->continuation, &place)) {
        invalid(request, "the continuation token is not one of this list");
        return;
    }
    json_t *list = json_array();
    for (size_t n = 0; n < LIST_PAGE; n++) {
        place = sk_series_instance_next(hub->series->store, place, &one);
        if (place == 0) break;
        const struct series_object *object = series_object_find(model, SERIES_INSTANCE, one.name);
        json_array_append_new(
            list, series_instance_json(hub->series, one.name, object ? object->document : NULL));
    }
    if (place) snprintf(continuation, sizeof continuation, "%zu", place);
    json_t *json = json_pack("{s:o,s:s?}", "instances", list, "continuationToken",
                             place ? continuation : NULL);
    request->done(request,
                  &(struct sk_answer){.document = json, .continuation = sk_span_z(continuation)});
    json_decref(json);
}

/* Ours: the events of an instance are forgotten. */
static void forget(struct sk_hub *hub, struct sk_request *request) {
    char error[SERIES_ERROR];
    struct sk_arena arena = {0};
    struct sk_span instance;
    if (!is_on(hub, request)) return;
    if (!series_id_read(hub->series, json_object_get(request->body, "timeSeriesId"), &arena,
                        &instance, error)) {
        invalid(request, error);
    } else {
        enum sk_status status = sk_series_delete(hub->series->store, instance);
        if (status == SK_OK)
            sk_request_answer(request);
        else if (status == SK_NOT_FOUND)
            sk_request_refuse(request, SK_FAULT_SERIES_NOT_FOUND, NULL);
        else
            sk_request_refuse(request, SK_FAULT_SERVER_ERROR, NULL);
    }
    sk_arena_free(&arena);
}

/* ---- the part ---- */

static void moved(void *arg) {
    series_fill_go_on(arg);
}

static struct sk_series_options options_of(struct series *series) {
    const struct sk_hub_series_options *options = &series->hub->options->series;
    return (struct sk_series_options){.memory_bytes = options->memory_bytes,
                                      .retention_us = options->retention_us,
                                      .retention_bytes = options->retention_bytes,
                                      .properties = options->properties,
                                      .instances = options->instances,
                                      .moved = moved,
                                      .arg = series};
}

static void take_flattening(struct series *series) {
    const struct sk_hub_series_options *options = &series->hub->options->series;
    series->flatten = (struct sk_series_flatten_options){.id_count = options->id_count};
    for (size_t i = 0; i < options->id_count; i++)
        series->flatten.id[i] = sk_span_z(options->id[i]);
    series->flatten.timestamp = sk_span_z(options->timestamp);
}

/* What tells series from another stays as it was when the first were kept. */
#define ID_KIND SK_SPAN("series-settings")
#define ID_KEY SK_SPAN("time-series-id")

static char *id_text(const struct series *series) {
    struct sk_arena arena = {0};
    char *text =
        sk_span_dup(sk_series_instance(&arena, series->flatten.id, series->flatten.id_count));
    sk_arena_free(&arena);
    return text;
}

static enum sk_status check_id(const struct series *series, char reason[512]) {
    struct sk_buffer before = {0};
    SK_CLEANUP_FREE char *now = id_text(series);
    enum sk_status status =
        sk_registry_document_load(series->hub->registry, ID_KIND, ID_KEY, &before);
    if (status == SK_NOT_FOUND) {
        status = SK_OK;
    } else if (status) {
        snprintf(reason, 512, "the time series ID cannot be read: %s", sk_status_text(status));
    } else if (!sk_span_is(sk_buffer_span(&before), now)) {
        status = SK_INVALID;
        snprintf(reason, 512,
                 "[hub.series] time_series_id was %.*s (empty: the device's id) when the first "
                 "series were kept, and stays so",
                 SK_ARG(sk_buffer_span(&before)));
    }
    sk_buffer_free(&before);
    return status;
}

static void keep_id(const struct series *series) {
    SK_CLEANUP_FREE char *text = id_text(series);
    sk_registry_document_put(series->hub->registry, ID_KIND, ID_KEY, sk_span_z(text), NULL, NULL);
}

static enum sk_status open_series(struct sk_hub *hub, char reason[512]) {
    struct series *series = hub->series = SK_NEW(struct series);
    char folder[1024];
    series->hub = hub;
    sk_list_init(&series->searches);
    sk_list_init(&series->remotes);
    sk_list_init(&series->model.waiting);
    if (!hub->options->series.enabled) return SK_OK;
    snprintf(folder, sizeof folder, "%s/series", hub->options->data);
    struct sk_series_options options = options_of(series);
    options.folder = folder;
    take_flattening(series);
    enum sk_status status = check_id(series, reason);
    if (!status) status = sk_series_open(hub->backend.io, &options, &series->store, reason);
    if (status) return status;
    status = series_fill_begin(series);
    if (status)
        snprintf(reason, 512, "time series cannot read the log: %s", sk_status_text(status));
    return status;
}

static void begin(struct sk_hub *hub) {
    if (hub->series->store == NULL) return;
    keep_id(hub->series);
    series_model_load(hub->series);
}

static void close_store(struct series *series) {
    struct sk_series *store = series->store;
    series_search_end(series);
    series_remote_read_end(series);
    hub_wait_refuse(&series->model.waiting);
    series_fill_end(series);
    series->store = NULL;
    if (store == NULL) return;
    series->hub->stores++;
    sk_series_close(store, series->hub->store_closed, series->hub);
}

static void stop(struct sk_hub *hub) {
    close_store(hub->series);
}

static void free_series(struct sk_hub *hub) {
    struct series *series = hub->series;
    if (series->store) { /* the hub has not come up */
        series_fill_end(series);
        sk_series_close(series->store, NULL, NULL);
    }
    series_model_free(&series->model);
    free(series);
}

static void reload(struct sk_hub *hub, const struct sk_hub_options *before) {
    (void)before;
    if (hub->series->store == NULL) return;
    struct sk_series_options options = options_of(hub->series);
    take_flattening(hub->series);
    sk_series_set(hub->series->store, &options);
}

/* ---- keys and metrics ---- */

#define AT(field) SK_CONFIG_AT(struct sk_hub_options, series.field)
static const struct sk_config_key keys[] = {
    {"hub[].series", &sk_config_table,
     .does = "Time series: what devices say, by time, to be asked for",
     .page = "how-to/time-series.md"},
    {"hub[].series.enabled", &sk_config_boolean, AT(enabled), .otherwise = "false",
     .at_start = true, .does = "They are kept, in `series/` of the hub's folder"},
    {"hub[].series.time_series_id", &sk_config_texts,
     SK_CONFIG_LIST(struct sk_hub_options, series.id, series.id_count), .least = 1,
     .most = SK_SERIES_ID_PARTS_MAX, .otherwise_words = "the device's id", .at_start = true,
     .such_as = "[\"plant\", \"line\"]",
     .does = "Properties of messages that tell one series from another; what is kept stays as it "
             "was"},
    {"hub[].series.timestamp", &sk_config_text, AT(timestamp),
     .otherwise_words = "the time at which the hub took the message", .such_as = "\"time\"",
     .does = "Property of messages with the time of an event"},
    {"hub[].series.retention", &sk_config_duration, AT(retention_us), .least = 3600ll * 1000000,
     .otherwise = "\"31d\"", .does = "How long events are kept after they have come"},
    {"hub[].series.retention_bytes", &sk_config_bytes, AT(retention_bytes), .least = 1048576,
     .otherwise = "2147483648", .does = "The oldest go when there are more bytes"},
    {"hub[].series.memory_bytes", &sk_config_bytes, AT(memory_bytes), .least = 1048576,
     .most = 1073741824, .otherwise = "33554432",
     .does = "Memory for what is not on disk yet, at most a minute's"},
    {"hub[].series.max_instances", &sk_config_integer, AT(instances), .least = 1, .most = 10000000,
     .otherwise = "100000",
     .does = "More series are not kept; each takes about 400 bytes of memory"},
    {"hub[].series.max_properties", &sk_config_integer, AT(properties), .least = 1, .most = 100000,
     .otherwise = "1000", .does = "More names of properties are not kept"},
    {0}};

enum { EVENTS, VALUES, REFUSED, DROPPED, INSTANCES, PROPERTIES, PARTS, DAMAGED, BYTES, ROWS };

static uint64_t number_of(const struct series *series, size_t which) {
    struct sk_series_counts counts = sk_series_counts(series->store);
    const uint64_t numbers[] = {[EVENTS] = counts.events_total,
                                [VALUES] = counts.values_total,
                                [REFUSED] = counts.refused_total + series->refused_total,
                                [DROPPED] = counts.dropped_total,
                                [INSTANCES] = counts.instances,
                                [PROPERTIES] = counts.properties,
                                [PARTS] = counts.parts,
                                [DAMAGED] = counts.damaged,
                                [BYTES] = counts.disk_bytes,
                                [ROWS] = counts.rows};
    return numbers[which];
}

static void tell_number(const struct sk_hub *hub, const struct sk_hub_metric *row,
                        sk_hub_metric_take *take, void *arg) {
    if (hub->series->store) take(arg, NULL, number_of(hub->series, row->at));
}
#define METRIC(name, help, which)                                                                  \
    { name, help, .at = which, .each = tell_number }
static const struct sk_hub_metric metrics[] = {
    METRIC("skerry_hub_series_events_total", "Events that time series have taken.", EVENTS),
    METRIC("skerry_hub_series_values_total", "Values of these events.", VALUES),
    METRIC("skerry_hub_series_refused_total",
           "Messages that are no JSON objects, and events beyond a limit, which are not in time "
           "series.",
           REFUSED),
    METRIC("skerry_hub_series_dropped_total", "Values of properties too many.", DROPPED),
    METRIC("skerry_hub_series_instances", "Time series that there are.", INSTANCES),
    METRIC("skerry_hub_series_properties", "Names of properties with their types.", PROPERTIES),
    METRIC("skerry_hub_series_parts", "Files of time series.", PARTS),
    METRIC("skerry_hub_series_damaged", "Files that could not be read, and were left aside.",
           DAMAGED),
    METRIC("skerry_hub_series_bytes", "Bytes of these files.", BYTES),
    METRIC("skerry_hub_series_rows", "Events that are kept.", ROWS),
    {0}};

const struct sk_hub_part hub_part_series = {
    .keys = keys,
    .metrics = metrics,
    .open = open_series,
    .start = begin,
    .stop = stop,
    .free = free_series,
    .reload = reload,
    .serve = {[SK_OP_SERIES_QUERY] = query,
              [SK_OP_SERIES_SCHEMA] = schema,
              [SK_OP_SERIES_AVAILABILITY] = availability,
              [SK_OP_SERIES_INSTANCES] = list_instances,
              [SK_OP_SERIES_TYPES] = list_types,
              [SK_OP_SERIES_HIERARCHIES] = list_hierarchies,
              [SK_OP_SERIES_BATCH] = batch,
              [SK_OP_SERIES_SEARCH] = search,
              [SK_OP_SERIES_SUGGEST] = suggest,
              [SK_OP_SERIES_REMOTE_READ] = remote_read,
              [SK_OP_SERIES_SETTINGS] = show_settings,
              [SK_OP_SERIES_SETTINGS_PATCH] = patch_settings,
              [SK_OP_SERIES_FORGET] = forget}};
