#include "edge/agent/log_request.h"

#include <regex.h>
#include <stdio.h>

#include "model/identity.h"

/* Patterns come from the cloud, and the agent has one loop. */
enum {
    PATTERN_MAX = 256,
    REPEATS_MAX =
        255,          /* regcomp() makes as many copies: a{200} in ()'s of others takes gigabytes */
    LOOKED_AT = 4096, /* bytes of a line */
};
static const int64_t MATCHING_US = 1000000; /* of a whole request; what takes longer is given up */

struct item {
    regex_t names, lines;
    bool has_lines;
    unsigned tail;
    int level; /* -1: any */
    int64_t since_us, until_us;
};

struct sk_log_request {
    struct item items[SK_LOG_ITEMS_MAX];
    size_t count;
    bool as_json, zipped;
};

/* ---- reading ---- */

/* The largest numbers of all {…}, multiplied. */
static bool repeats_are_few(const char *pattern) {
    unsigned long all = 1;
    for (const char *p = pattern; (p = strchr(p, '{')) != NULL && all <= REPEATS_MAX;) {
        unsigned long most = 1;
        for (p++; *p && *p != '}'; p++) {
            if (*p < '0' || *p > '9') continue;
            unsigned long n = strtoul(p, (char **)&p, 10);
            p--;
            if (n > most) most = n;
        }
        all = most > REPEATS_MAX ? most : all * most;
    }
    return all <= REPEATS_MAX;
}

static bool compile(const char *pattern, regex_t *to) {
    return strlen(pattern) <= PATTERN_MAX && repeats_are_few(pattern) &&
           regcomp(to, pattern, REG_EXTENDED | REG_NOSUB) == 0;
}

void sk_log_request_free(struct sk_log_request *request) {
    if (request == NULL) return;
    for (size_t i = 0; i < request->count; i++) {
        regfree(&request->items[i].names);
        if (request->items[i].has_lines) regfree(&request->items[i].lines);
    }
    free(request);
}

static const json_t *member(const json_t *object, const char *name) {
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static bool read_moment(const json_t *filter, const char *name, int64_t now_us, int64_t *to) {
    const json_t *value = member(filter, name);
    if (value == NULL) return true;
    if (json_is_integer(value)) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        return sk_log_moment_parse(sk_span_z(text), now_us, to) == SK_OK;
    }
    return json_is_string(value) &&
           sk_log_moment_parse(sk_span_z(json_string_value(value)), now_us, to) == SK_OK;
}

static const char *read_filter(const json_t *filter, int64_t now_us, struct item *item) {
    const json_t *tail = member(filter, "tail"), *level = member(filter, "loglevel");
    const json_t *pattern = member(filter, "regex");
    if (tail && (!json_is_integer(tail) || json_integer_value(tail) < 1 ||
                 json_integer_value(tail) > 100000))
        return "filter.tail must be a number of lines from 1 to 100000.";
    if (tail) item->tail = (unsigned)json_integer_value(tail);
    if (level &&
        (!json_is_integer(level) || json_integer_value(level) < 0 || json_integer_value(level) > 7))
        return "filter.loglevel must be a number from 0 (emergency) to 7 (debug).";
    if (level) item->level = (int)json_integer_value(level);
    if (!read_moment(filter, "since", now_us, &item->since_us) ||
        !read_moment(filter, "until", now_us, &item->until_us))
        return "filter.since and filter.until must be times (\"2026-11-21T07:00:00Z\"), seconds "
               "since 1970, or how long ago (\"10m\", \"1d\").";
    if (pattern == NULL) return NULL;
    if (!json_is_string(pattern) || !compile(json_string_value(pattern), &item->lines))
        return "filter.regex is not a regular expression of at most 256 characters, whose "
               "repetitions {n} are at most 255, multiplied.";
    item->has_lines = true;
    return NULL;
}

static const char *read_item(const json_t *json, int64_t now_us, struct sk_log_request *request) {
    const char *id = json_string_value(json_object_get(json, "id"));
    if (request->count == SK_LOG_ITEMS_MAX) return "There may be at most 16 items.";
    if (id == NULL) return "Each item needs an id: a regular expression for module names.";
    struct item *item = &request->items[request->count];
    item->level = -1;
    if (!compile(id, &item->names))
        return "The id is not a regular expression of at most 256 characters, whose repetitions "
               "{n} are at most 255, multiplied.";
    request->count++;
    const json_t *filter = member(json, "filter");
    if (filter && !json_is_object(filter)) return "filter must be an object.";
    return filter ? read_filter(filter, now_us, item) : NULL;
}

/* Which of two words stands there; the first where nothing does. -1: another. */
static int read_word(const json_t *payload, const char *name, const char *first,
                     const char *second) {
    const json_t *value = member(payload, name);
    struct sk_span text = sk_span_z(json_string_value(value));
    if (value == NULL || sk_span_eq_nocase(text, sk_span_z(first))) return 0;
    return sk_span_eq_nocase(text, sk_span_z(second)) ? 1 : -1;
}

struct sk_log_request *sk_log_request_read(const json_t *payload, int64_t now_us,
                                           const char **why) {
    const json_t *items = json_object_get(payload, "items");
    int encoding = read_word(payload, "encoding", "none", "gzip"),
        content = read_word(payload, "contentType", "text", "json");
    struct sk_log_request *request = SK_NEW(struct sk_log_request);
    *why = NULL;
    if (encoding < 0) *why = "encoding must be none or gzip.";
    if (content < 0) *why = "contentType must be text or json.";
    if (!json_is_object(items) && json_array_size(items) == 0)
        *why = "The payload must be {\"schemaVersion\":\"1.0\",\"items\":[{\"id\":\"module\","
               "\"filter\":{\"tail\":10}}]}.";
    request->zipped = encoding == 1;
    request->as_json = content == 1;
    if (*why == NULL && json_is_object(items)) *why = read_item(items, now_us, request);
    for (size_t i = 0; i < json_array_size(items) && *why == NULL; i++)
        *why = read_item(json_array_get(items, i), now_us, request);
    if (*why == NULL) return request;
    sk_log_request_free(request);
    return NULL;
}

bool sk_log_request_as_json(const struct sk_log_request *request) {
    return request->as_json;
}

bool sk_log_request_zipped(const struct sk_log_request *request) {
    return request->zipped;
}

/* ---- gathering ---- */

struct sk_log_gathering {
    struct sk_modules *modules;
    struct sk_io *io;
    struct sk_log_request *request;
    struct sk_log_from from;
    size_t size_max;
    char *names[SK_MODULES_MAX * 2];
    size_t name_count, name, item; /* where we are */
    struct sk_module_log *log;
    struct sk_buffer text;
    bool too_large;
    int64_t matching_us; /* spent on patterns */
    struct sk_task next;
    void (*each)(void *arg, const struct sk_log_found *found);
    void (*done)(void *arg, enum sk_status status, const char *why);
    void *arg;
};

static void note_name(void *arg, const struct sk_module_view *view) {
    struct sk_log_gathering *g = arg;
    if (view->made && g->name_count < sizeof g->names / sizeof *g->names)
        g->names[g->name_count++] = sk_span_dup(sk_span_z(view->state->spec->name));
}

static bool takes_too_long(const struct sk_log_gathering *g) {
    return g->matching_us > MATCHING_US;
}

static bool line_matches(struct sk_log_gathering *g, const regex_t *pattern, struct sk_span text) {
    SK_CLEANUP_FREE char *z = sk_span_dup(sk_span_first(text, LOOKED_AT));
    /* The loop's clock stands still meanwhile; where this one jumps, one request ends. */
    int64_t before = sk_io_wall(g->io);
    bool matches = regexec(pattern, z, 0, NULL, 0) == 0;
    int64_t took = sk_io_wall(g->io) - before;
    if (took > 0) g->matching_us += took;
    return matches;
}

static void put_member(struct sk_buffer *to, const char *name, struct sk_span value) {
    sk_buffer_print(to, "%s\"%s\":", to->n && to->p[to->n - 1] != '{' ? "," : "", name);
    sk_json_string(to, value);
}

static void put_json_line(struct sk_log_gathering *g, const struct sk_log_line *line) {
    char time[SK_TIME_TEXT];
    struct sk_buffer *to = &g->text;
    sk_buffer_text(to, to->n ? ",{" : "[{");
    put_member(to, "iothub", sk_span_z(g->from.hub_host));
    put_member(to, "device", sk_span_z(g->from.device_id));
    put_member(to, "id", sk_span_z(g->names[g->name]));
    put_member(to, "stream", line->stream == SK_LOG_STDERR ? SK_SPAN("stderr") : SK_SPAN("stdout"));
    sk_buffer_print(to, ",\"loglevel\":%u", line->level);
    put_member(to, "text", line->text);
    sk_time_text(line->time_us, time);
    if (line->time_us)
        put_member(to, "timestamp", sk_span_z(time));
    else
        sk_buffer_text(to, ",\"timestamp\":null");
    sk_buffer_byte(to, '}');
}

static void take_line(void *arg, const struct sk_log_line *line) {
    struct sk_log_gathering *g = arg;
    const struct item *item = &g->request->items[g->item];
    if (g->too_large || takes_too_long(g) || (item->level >= 0 && (int)line->level > item->level) ||
        (item->has_lines && !line_matches(g, &item->lines, line->text)))
        return;
    if (g->request->as_json) {
        put_json_line(g, line);
    } else {
        sk_buffer_append(&g->text, line->text);
        sk_buffer_byte(&g->text, '\n');
    }
    g->too_large = g->text.n > g->size_max;
}

static void end_gathering(struct sk_log_gathering *g, enum sk_status status, const char *why) {
    void (*done)(void *, enum sk_status, const char *) = g->done;
    void *arg = g->arg;
    sk_log_gathering_free(g);
    done(arg, status, why);
}

static void next(struct sk_task *task);

static void log_ended(void *arg, enum sk_status status, const char *why) {
    struct sk_log_gathering *g = arg;
    char sentence[256];
    g->log = NULL;
    if (g->too_large) {
        end_gathering(g, SK_TOO_LARGE,
                      "The logs are too long; ask for fewer lines with "
                      "filter.tail or filter.since.");
        return;
    }
    if (takes_too_long(g)) {
        end_gathering(g, SK_TOO_LARGE,
                      "filter.regex takes too long on this log; make it simpler, or ask for fewer "
                      "lines with filter.tail or filter.since.");
        return;
    }
    if (status) {
        snprintf(sentence, sizeof sentence, "The log of %.80s cannot be read: %.120s.",
                 g->names[g->name], why);
        end_gathering(g, status, sentence);
        return;
    }
    if (g->request->as_json) sk_buffer_text(&g->text, g->text.n ? "]" : "[]");
    g->each(g->arg,
            &(struct sk_log_found){.module = g->names[g->name], .text = sk_buffer_span(&g->text)});
    g->text.n = 0;
    g->name++;
    sk_io_defer(g->io, &g->next, next);
}

/* A module that an earlier item has named is not told once more. */
static bool named_before(const struct sk_log_gathering *g) {
    for (size_t i = 0; i < g->item; i++)
        if (regexec(&g->request->items[i].names, g->names[g->name], 0, NULL, 0) == 0) return true;
    return false;
}

static void next(struct sk_task *task) {
    struct sk_log_gathering *g = SK_CONTAINER(task, struct sk_log_gathering, next);
    const char *why;
    for (; g->item < g->request->count; g->item++, g->name = 0) {
        const struct item *item = &g->request->items[g->item];
        for (; g->name < g->name_count; g->name++) {
            if (regexec(&item->names, g->names[g->name], 0, NULL, 0) || named_before(g)) continue;
            struct sk_log_ask ask = {.tail = item->tail,
                                     .since_us = item->since_us,
                                     .until_us = item->until_us,
                                     .line = take_line,
                                     .done = log_ended,
                                     .arg = g};
            g->log = sk_modules_log(g->modules, sk_span_z(g->names[g->name]), &ask, &why);
            if (g->log == NULL) end_gathering(g, SK_NOT_FOUND, why);
            return;
        }
    }
    end_gathering(g, SK_OK, "");
}

struct sk_log_gathering *
sk_log_gather(struct sk_modules *modules, struct sk_io *io, struct sk_log_request *request,
              const struct sk_log_from *from, size_t size_max,
              void (*each)(void *arg, const struct sk_log_found *found),
              void (*done)(void *arg, enum sk_status status, const char *why), void *arg) {
    struct sk_log_gathering *g = SK_NEW(struct sk_log_gathering);
    g->modules = modules;
    g->io = io;
    g->request = request;
    g->from = *from;
    g->size_max = size_max;
    g->each = each;
    g->done = done;
    g->arg = arg;
    sk_modules_each(modules, note_name, g);
    sk_io_defer(io, &g->next, next);
    return g;
}

void sk_log_gathering_free(struct sk_log_gathering *g) {
    if (g == NULL) return;
    sk_io_undefer(&g->next);
    sk_module_log_close(g->log);
    for (size_t i = 0; i < g->name_count; i++) free(g->names[i]);
    sk_log_request_free(g->request);
    sk_buffer_free(&g->text);
    free(g);
}
