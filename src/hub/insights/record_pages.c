/* What the hub has recorded (records.c), read back from its files: the newest first, page by page.
 * Reference: docs/protocols/service-api.md, section 12. */
#include <stdio.h>

#include "hub/insights/parts.h"
#include "hub/record_file.h"
#include "model/json_text.h"
#include "wire/http.h"

enum {
    PAGE_MAX = 1000,
    WINDOW = 64 * 1024,    /* is read at once; a line that is longer is none of ours */
    LOOKED_MAX = 16 << 20, /* bytes of a request; then what has been found is a page */
};

/* One request. It reads backwards: what is before `at` in the file of `generation` is next. */
struct reading {
    struct sk_list link; /* insights->readings */
    struct sk_hub *hub;
    struct sk_request *request;
    struct sk_arena arena;
    struct sk_task again;
    struct sk_span category, operation, identity, level;
    int64_t from_us, to_us;
    uint64_t generation, at, looked;
    struct sk_file *file;
    struct sk_buffer window; /* holds the file's bytes from `window_at` */
    uint64_t window_at;
    struct sk_buffer text;
    size_t found;
    bool over; /* there are no older ones */
};

static void reading_free(struct reading *reading) {
    sk_list_remove(&reading->link);
    sk_io_undefer(&reading->again);
    if (reading->file) sk_file_close(reading->file);
    sk_buffer_free(&reading->window);
    sk_buffer_free(&reading->text);
    sk_arena_free(&reading->arena);
    free(reading);
}

/* ---- which of them ---- */

static bool says(const json_t *object, const char *name, struct sk_span text) {
    const json_t *value = json_object_get(object, name);
    return json_is_string(value) &&
           sk_span_eq_nocase(sk_span(json_string_value(value), json_string_length(value)), text);
}

/* Who did it, or on whom it was done. */
static bool names(const json_t *record, struct sk_span identity) {
    static const char *const members[] = {"deviceId", "policy", "onBehalfBy", "accountName"};
    const json_t *text = json_object_get(record, "properties");
    json_t *properties = json_loadb(json_string_value(text), json_string_length(text), 0, NULL);
    struct sk_span device = sk_span_first(identity, sk_span_find(identity, '/'));
    struct sk_span module = sk_span_skip(identity, device.n + 1);
    bool found =
        module.n && says(properties, "deviceId", device) && says(properties, "moduleId", module);
    for (size_t i = 0; i < sizeof members / sizeof *members && !found; i++)
        found = says(properties, members[i], identity);
    json_decref(properties);
    return found;
}

static bool is_asked(const struct reading *reading, const json_t *record) {
    return (reading->category.n == 0 || says(record, "category", reading->category)) &&
           (reading->operation.n == 0 || says(record, "operationName", reading->operation)) &&
           (reading->level.n == 0 || says(record, "level", reading->level)) &&
           (reading->identity.n == 0 || names(record, reading->identity));
}

/* A whole line, which may be what a crash has left of one. */
static void take(struct reading *reading, struct sk_span line) {
    json_t *record = json_loadb(line.p, line.n, 0, NULL);
    const char *time = sk_json_member_text(record, "time");
    int64_t at;
    if (time && sk_time_parse(sk_span_z(time), &at) == SK_OK) {
        if (at < reading->from_us) reading->over = true;
        if (at >= reading->from_us && at < reading->to_us && is_asked(reading, record)) {
            if (reading->found++) sk_buffer_byte(&reading->text, ',');
            sk_buffer_append(&reading->text, line);
        }
    }
    json_decref(record);
}

/* ---- backwards through the files ---- */

static bool window_has(const struct reading *reading, uint64_t at) {
    return at > reading->window_at && at <= reading->window_at + reading->window.n;
}

static enum sk_status load_window(struct reading *reading) {
    uint64_t from = reading->at > WINDOW ? reading->at - WINDOW : 0;
    size_t n = (size_t)(reading->at - from), got;
    reading->window.n = 0;
    sk_buffer_reserve(&reading->window, n);
    reading->window_at = from;
    enum sk_status status = sk_file_read(reading->file, from, reading->window.p, n, &got);
    reading->window.n = status ? 0 : got;
    return status ? status : got == n ? SK_OK : SK_IO;
}

/* The line before `at`; false: the file has begun. */
static bool line_before(struct reading *reading, struct sk_span *line) {
    for (bool loaded = false;; loaded = true) {
        if (reading->at == 0) return false;
        if (!window_has(reading, reading->at) && load_window(reading)) return false;
        size_t end = (size_t)(reading->at - reading->window_at), from = end;
        const char *p = reading->window.p;
        if (p[end - 1] == '\n') from--;
        size_t stop = from;
        while (from && p[from - 1] != '\n') from--;
        *line = sk_span(p + from, stop - from);
        if (from || reading->window_at == 0 || loaded) {
            reading->looked += end - from;
            reading->at = reading->window_at + from;
            return true;
        }
        reading->window.n = 0; /* it begins before the window */
    }
}

/* The next older file; false: there is none. */
static bool open_older(struct reading *reading) {
    if (reading->file) sk_file_close(reading->file);
    reading->file = NULL;
    reading->generation--;
    reading->window.n = 0;
    if (record_file_read(reading->hub->records, reading->generation, &reading->file)) return false;
    reading->at = sk_file_size(reading->file);
    return true;
}

static void answer(struct reading *reading) {
    struct sk_answer answer = {0};
    char continuation[48];
    if (!reading->over) {
        snprintf(continuation, sizeof continuation, "%llu.%llu",
                 (unsigned long long)reading->generation, (unsigned long long)reading->at);
        answer.continuation = sk_span_z(continuation);
    }
    sk_buffer_text(&reading->text, "]}");
    answer.text = sk_buffer_span(&reading->text);
    reading->request->done(reading->request, &answer);
    reading_free(reading);
}

static void go_on(struct reading *reading);

static void on_again(struct sk_task *task) {
    go_on(SK_CONTAINER(task, struct reading, again));
}

static void go_on(struct reading *reading) {
    struct sk_share share;
    struct sk_span line;
    if (reading->hub->records == NULL) reading->over = true; /* switched off meanwhile */
    sk_share_begin(&share, reading->hub->backend.io);
    while (!reading->over && reading->found < reading->request->max &&
           reading->looked < LOOKED_MAX) {
        if (!sk_share_go_on(&share, 1)) {
            sk_io_yield(reading->hub->backend.io, &reading->again, on_again);
            return;
        }
        if (line_before(reading, &line))
            take(reading, line);
        else
            reading->over = !open_older(reading);
    }
    answer(reading);
}

/* ---- what is asked ---- */

static bool read_when(const struct reading *reading, const char *name, int64_t otherwise,
                      int64_t *us) {
    struct sk_arena *arena = (struct sk_arena *)&reading->arena;
    struct sk_span text = sk_percent_decoded(arena, sk_http_query(reading->request->query, name));
    *us = otherwise;
    return text.n == 0 ||
           sk_time_parse_near(text, sk_io_wall(reading->hub->backend.io), us) == SK_OK;
}

static struct sk_span said(struct reading *reading, const char *name) {
    return sk_percent_decoded(&reading->arena, sk_http_query(reading->request->query, name));
}

/* Where a page begins: at the newest, or where the one before has ended. */
static bool find_place(struct reading *reading) {
    struct record_file *records = reading->hub->records;
    struct sk_span place = reading->request->continuation;
    size_t dot = sk_span_find(place, '.');
    int64_t generation, at;
    reading->generation = record_file_newest(records);
    if (place.n && (sk_span_to_int(sk_span_first(place, dot), &generation) ||
                    sk_span_to_int(sk_span_skip(place, dot + 1), &at) || generation < 0 || at < 0))
        return false;
    if (place.n) reading->generation = (uint64_t)generation;
    enum sk_status status = record_file_read(records, reading->generation, &reading->file);
    if (status) return status == SK_NOT_FOUND && place.n == 0; /* somebody has removed the newest */
    reading->at = sk_file_size(reading->file);
    if (place.n && (uint64_t)at > reading->at) return false;
    if (place.n) reading->at = (uint64_t)at;
    return true;
}

void insights_records(struct sk_hub *hub, struct sk_request *request) {
    if (hub->records == NULL) {
        request->done(request,
                      &(struct sk_answer){.text = SK_SPAN("{\"enabled\":false,\"value\":[]}")});
        return;
    }
    struct reading *reading = SK_NEW(struct reading);
    reading->hub = hub;
    reading->request = request;
    sk_list_append(&hub->insights->readings, &reading->link);
    const char *why = !read_when(reading, "from", INT64_MIN, &reading->from_us) ||
                              !read_when(reading, "to", INT64_MAX, &reading->to_us)
                          ? "from and to are times, or such as NOW-PT1H"
                      : !find_place(reading)
                          ? "there is no such place in the records any more: begin with the newest"
                          : NULL;
    if (why) {
        sk_request_refuse(request, SK_FAULT_ARGUMENT_INVALID, "%s", why);
        reading_free(reading);
        return;
    }
    reading->category = said(reading, "category");
    reading->operation = said(reading, "operation");
    reading->identity = said(reading, "identity");
    reading->level = said(reading, "level");
    if (request->max > PAGE_MAX) request->max = PAGE_MAX;
    sk_buffer_text(&reading->text, "{\"enabled\":true,\"value\":[");
    go_on(reading);
}

void insights_refuse_readings(struct insights *insights) {
    SK_LIST_EACH(&insights->readings, node, following) {
        struct reading *reading = SK_CONTAINER(node, struct reading, link);
        sk_request_refuse(reading->request, SK_FAULT_UNAVAILABLE, NULL);
        reading_free(reading);
    }
}
