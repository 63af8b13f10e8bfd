/* The time series store with many points: filled, from bodies of messages or from values, and asked
 * for one value a minute. Prints a line of JSON, for bench/series.sh.
 *
 *   bench-series_store lines             the points as InfluxDB's line protocol has them
 *   bench-series_store bodies FOLDER     messages' bodies are flattened into a store
 *   bench-series_store values FOLDER     values go into it as they are
 *   bench-series_store ask FOLDER        averages of each minute of the first device's first value
 *
 * DEVICES, FIELDS, ROWS (of a device), STEP_MS: how many; a reading of a device each STEP_MS. */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "io/uv/uv.h"
#include "series/flatten.h"
#include "series/query.h"

#define BEGIN 1767225600000 /* 2026-01-01 */

static struct {
    size_t devices, fields, rows;
    double step_ms;
} size;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double processor(void) {
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
}

static double number_of(const char *name, double otherwise) {
    const char *text = getenv(name);
    return text ? strtod(text, NULL) : otherwise;
}

/* Readings with one decimal that walk: each field of each device its own. */
static int32_t *walks;
static double reading(size_t device, size_t field) {
    static uint64_t state = 88172645463325252ull;
    int32_t *place = &walks[device * size.fields + field];
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    *place += (int32_t)(state % 11) - 5;
    return (double)*place / 10;
}

static int64_t time_of(size_t row) {
    return BEGIN + (int64_t)((double)row * size.step_ms);
}

static void put_lines(void) {
    for (size_t row = 0; row < size.rows; row++)
        for (size_t device = 0; device < size.devices; device++) {
            printf("m,device=d%zu ", device);
            for (size_t field = 0; field < size.fields; field++)
                printf("%sf%zu=%.1f", field ? "," : "", field, reading(device, field));
            printf(" %lld000000\n", (long long)time_of(row));
        }
}

/* ---- filling ---- */

struct filling {
    struct sk_io *io;
    struct sk_series *store;
    struct sk_task task;
    struct sk_arena arena;
    struct sk_buffer bodies; /* of one row of all devices after the other; empty: values */
    size_t *ends, at, count;
    struct sk_timer settling;
    uint64_t bytes; /* on disk, when it was looked at last */
};

static void on_event(void *arg, const struct sk_series_event *event) {
    struct filling *filling = arg;
    if (sk_series_add(filling->store, event, filling->at)) abort();
}

static struct sk_span device_name(size_t device, char to[32]) {
    return sk_span(to, (size_t)snprintf(to, 32, "d%zu", device));
}

static void add_body(struct filling *filling) {
    char name[32];
    size_t from = filling->at ? filling->ends[filling->at - 1] : 0;
    sk_arena_reset(&filling->arena);
    struct sk_series_message message = {
        .body = sk_span(filling->bodies.p + from, filling->ends[filling->at] - from),
        .device_id = device_name(filling->at % size.devices, name),
        .enqueued = time_of(filling->at / size.devices)};
    if (sk_series_flatten(&(struct sk_series_flatten_options){0}, &message, &filling->arena,
                          on_event, filling))
        abort();
}

static void add_values(struct filling *filling) {
    static struct sk_series_field *fields;
    static char(*names)[16];
    char name[40];
    size_t device = filling->at % size.devices;
    if (fields == NULL) {
        fields = sk_alloc(size.fields * sizeof *fields);
        names = sk_alloc(size.fields * sizeof *names);
        for (size_t i = 0; i < size.fields; i++) {
            snprintf(names[i], sizeof names[i], "f%zu", i);
            fields[i].property = (struct sk_series_property){sk_span_z(names[i]), SK_SERIES_DOUBLE};
        }
    }
    for (size_t i = 0; i < size.fields; i++) fields[i].value.number = reading(device, i);
    snprintf(name, sizeof name, "[\"d%zu\"]", device);
    on_event(filling, &(struct sk_series_event){.instance = sk_span_z(name),
                                                .time = time_of(filling->at / size.devices),
                                                .fields = fields,
                                                .field_count = size.fields});
}

static void fill(struct sk_task *task) {
    struct filling *filling = SK_CONTAINER(task, struct filling, task);
    for (size_t n = 0; n < 1000 && filling->at < filling->count; n++) {
        if (!sk_series_has_room(filling->store)) return; /* `moved` goes on */
        if (filling->bodies.n)
            add_body(filling);
        else
            add_values(filling);
        sk_series_reach(filling->store, ++filling->at);
    }
    if (filling->at < filling->count)
        sk_io_yield(filling->io, task, fill);
    else
        sk_series_flush(filling->store);
}

/* Parts are merged until there is nothing to be gained. */
static void settle(struct sk_timer *timer) {
    struct filling *filling = SK_CONTAINER(timer, struct filling, settling);
    uint64_t bytes = sk_series_counts(filling->store).disk_bytes;
    if (bytes == filling->bytes)
        sk_io_stop(filling->io);
    else
        sk_timer_start(filling->io, timer, 2 * SK_S, settle);
    filling->bytes = bytes;
}

static void moved(void *arg) {
    struct filling *filling = arg;
    if (sk_series_position(filling->store) == filling->count)
        sk_io_stop(filling->io);
    else
        sk_io_yield(filling->io, &filling->task, fill);
}

static void make_bodies(struct filling *filling) {
    filling->ends = sk_alloc(filling->count * sizeof *filling->ends);
    for (size_t i = 0; i < filling->count; i++) {
        for (size_t field = 0; field < size.fields; field++)
            sk_buffer_print(&filling->bodies, "%s\"f%zu\":%.1f", field ? "," : "{", field,
                            reading(i % size.devices, field));
        sk_buffer_byte(&filling->bodies, '}');
        filling->ends[i] = filling->bodies.n;
    }
}

static void open_store(struct filling *filling, const char *folder) {
    char reason[512];
    if (sk_series_open(
            filling->io,
            &(struct sk_series_options){.folder = folder, .moved = moved, .arg = filling},
            &filling->store, reason)) {
        fprintf(stderr, "%s\n", reason);
        exit(1);
    }
}

static void closed(void *arg) {
    struct filling *filling = arg;
    sk_io_stop(filling->io);
}

static int fill_store(const char *folder, bool bodies) {
    struct filling filling = {.io = sk_io_uv_new(), .count = size.devices * size.rows};
    open_store(&filling, folder);
    if (bodies) make_bodies(&filling);
    double began = seconds(), used = processor();
    sk_io_yield(filling.io, &filling.task, fill);
    sk_io_run(filling.io);
    double took = seconds() - began;
    if (sk_series_position(filling.store) != filling.count) {
        fprintf(stderr, "it stopped at %llu of %zu\n",
                (unsigned long long)sk_series_position(filling.store), filling.count);
        exit(1);
    }
    settle(&filling.settling);
    sk_io_run(filling.io);
    double busy = processor() - used;
    double points = (double)(filling.count * size.fields);
    struct sk_series_counts counts = sk_series_counts(filling.store);
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("{\"points\":%.0f,\"rate\":%.0f,\"processor_s\":%.2f,\"bytes_a_point\":%.3f,"
           "\"memory_mb\":%.1f}\n",
           points, points / took, busy, (double)counts.disk_bytes / points,
           (double)use.ru_maxrss / 1024);
    sk_series_close(filling.store, closed, &filling);
    sk_io_run(filling.io);
    sk_buffer_free(&filling.bodies);
    sk_arena_free(&filling.arena);
    free(filling.ends);
    sk_io_free(filling.io);
    return 0;
}

/* ---- asking ---- */

struct asking {
    struct sk_io *io;
    double took, sum;
    size_t count;
};

static void answered(void *arg, enum sk_status status, const struct sk_series_answer *answer) {
    struct asking *asking = arg;
    if (status) abort();
    asking->count = answer->count;
    for (size_t i = 0; i < answer->count; i++)
        if (!answer->columns[0].null[i]) asking->sum += answer->columns[0].values[i].number;
    sk_io_stop(asking->io);
}

static int ask_store(const char *folder) {
    struct filling filling = {.io = sk_io_uv_new()};
    struct asking asking = {.io = filling.io};
    struct sk_arena arena = {0};
    struct sk_tsx value;
    struct sk_tsx_aggregation aggregation;
    char error[200];
    double took[7];
    open_store(&filling, folder);
    if (sk_tsx_parse(SK_SPAN("$event.f0"), &arena, &value, error) ||
        sk_tsx_parse_aggregation(SK_SPAN("avg($value)"), &value, &arena, &aggregation, error))
        abort();
    struct sk_series_variable variable = {
        .name = SK_SPAN("Avg"), .value = &value, .aggregation = &aggregation};
    struct sk_series_query query = {.ask = SK_SERIES_ASK_INTERVALS,
                                    .instance = SK_SPAN("[\"d0\"]"),
                                    .from = BEGIN,
                                    .to = time_of(size.rows),
                                    .variables = &variable,
                                    .variable_count = 1,
                                    .width = 60000,
                                    .place = {.time = BEGIN}};
    size_t rounds = sizeof took / sizeof *took;
    for (size_t i = 0; i < rounds; i++) {
        double began = seconds();
        if (sk_series_query(filling.store, &query, answered, &asking, NULL)) abort();
        sk_io_run(filling.io);
        took[i] = seconds() - began;
    }
    printf("{\"intervals\":%zu,\"average\":%.6f,\"first_ms\":%.1f,\"last_ms\":%.1f}\n",
           asking.count, asking.sum / (double)asking.count / (double)rounds, took[0] * 1e3,
           took[rounds - 1] * 1e3);
    sk_series_close(filling.store, closed, &filling);
    sk_io_run(filling.io);
    sk_arena_free(&arena);
    sk_io_free(filling.io);
    return 0;
}

int main(int argc, char **argv) {
    size.devices = (size_t)number_of("DEVICES", 1000);
    size.fields = (size_t)number_of("FIELDS", 5);
    size.rows = (size_t)number_of("ROWS", 400);
    size.step_ms = number_of("STEP_MS", 1000);
    walks = sk_alloc(size.devices * size.fields * sizeof *walks);
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "lines") == 0) {
        put_lines();
        return 0;
    }
    if (argc == 3 && strcmp(what, "ask") == 0) return ask_store(argv[2]);
    if (argc == 3) return fill_store(argv[2], strcmp(what, "bodies") == 0);
    fprintf(stderr, "bench-series_store lines | bodies FOLDER | values FOLDER | ask FOLDER\n");
    return 2;
}
