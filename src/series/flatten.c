#include "series/flatten.h"

#include <math.h>

#include "expr/json_scan.h"

#define DEFERRED_MAX 8 /* arrays to unroll within one another; more are Dynamic */

struct array {
    struct sk_span name, json;
};

struct flatten {
    const struct sk_series_flatten_options *options;
    const struct sk_series_message *message;
    struct sk_arena *arena;
    sk_series_on_event *on_event;
    void *arg;
    size_t events;
    struct sk_series_field *fields; /* of the event that is being made */
    size_t count, capacity;
    struct array arrays[DEFERRED_MAX]; /* to be unrolled */
    size_t array_count;
};

/* ---- names ---- */

static bool needs_escape(struct sk_span name) {
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] == '.' || name.p[i] == '[' || name.p[i] == '\\' || name.p[i] == '\'')
            return true;
    return false;
}

struct sk_span sk_series_name(struct sk_arena *arena, struct sk_span prefix, struct sk_span name) {
    bool escape = needs_escape(name);
    if (!escape && prefix.n == 0) return name;
    char *to = sk_arena_alloc(arena, prefix.n + 2 * name.n + 5);
    size_t n = prefix.n;
    if (n) {
        memcpy(to, prefix.p, n);
        to[n++] = '.';
    }
    if (!escape) {
        memcpy(to + n, name.p, name.n);
        return sk_span(to, n + name.n);
    }
    to[n++] = '[', to[n++] = '\'';
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '\\' || name.p[i] == '\'') to[n++] = '\\';
        to[n++] = name.p[i];
    }
    to[n++] = '\'', to[n++] = ']';
    return sk_span(to, n);
}

struct sk_span sk_series_name_cut(struct sk_arena *arena, struct sk_span name) {
    if (name.n <= SK_SERIES_FLAT_NAME_MAX) return name;
    return sk_arena_print(arena, "%.*s_%016llx", SK_SERIES_FLAT_NAME_MAX, name.p,
                          (unsigned long long)sk_fnv1a(SK_FNV1A, name));
}

/* ---- times ---- */

enum sk_status sk_series_time(struct sk_span text, int64_t *ms) {
    text = sk_span_trim(text);
    int64_t us;
    if (text.n > 64) return SK_MALFORMED;
    enum sk_status status = sk_time_parse(text, &us);
    if (status) { /* ±HH:MMZ, or an offset that is none */
        size_t zone = text.n > 10 ? 10 : text.n;
        while (zone < text.n && !strchr("+-Zz", text.p[zone])) zone++;
        struct sk_span offset = sk_span_skip(text, zone);
        bool zulu = offset.n > 1 && (offset.p[offset.n - 1] | 32) == 'z';
        status = zulu ? sk_time_parse(sk_span_first(text, text.n - 1), &us) : SK_MALFORMED;
        if (status && zone < text.n) status = sk_time_parse(sk_span_first(text, zone), &us);
    }
    if (status) return SK_MALFORMED;
    int64_t at = us >= 0 ? us / 1000 : -((-us + 999) / 1000);
    if (at < SK_SERIES_TIME_MIN || at > SK_SERIES_TIME_MAX) return SK_MALFORMED;
    *ms = at;
    return SK_OK;
}

/* Whether a text is a time beyond doubt: date, T and time. */
static bool is_time(struct sk_span text, int64_t *ms) {
    return text.n >= 19 && text.n <= 40 && text.p[4] == '-' && text.p[7] == '-' &&
           text.p[10] == 'T' && text.p[13] == ':' && !sk_series_time(text, ms);
}

/* ---- fields ---- */

static enum sk_status add(struct flatten *f, struct sk_span name, enum sk_series_type type,
                          union sk_series_value value) {
    if (f->count == SK_SERIES_FIELDS_MAX) return SK_TOO_LARGE;
    if (f->count == f->capacity) {
        size_t capacity = f->capacity ? f->capacity * 2 : 32;
        struct sk_series_field *fields = sk_arena_alloc(f->arena, capacity * sizeof *fields);
        if (f->count) memcpy(fields, f->fields, f->count * sizeof *fields);
        f->fields = fields;
        f->capacity = capacity;
    }
    f->fields[f->count++] =
        (struct sk_series_field){{sk_series_name_cut(f->arena, name), type}, value};
    return SK_OK;
}

static enum sk_status add_number(struct flatten *f, struct sk_span name, const struct sk_json *v) {
    int64_t whole;
    if (v->raw.n < 20 && sk_span_to_int(v->raw, &whole) == SK_OK)
        return add(f, name, SK_SERIES_LONG, (union sk_series_value){.integer = whole});
    if (!isfinite(v->number)) return SK_OK; /* 1e999: no number that anybody could have */
    return add(f, name, SK_SERIES_DOUBLE, (union sk_series_value){.number = v->number});
}

static enum sk_status add_text(struct flatten *f, struct sk_span name, const struct sk_json *v) {
    struct sk_span text = sk_json_string_value(f->arena, v);
    bool keep = sk_span_eq(name, f->options->timestamp);
    for (size_t i = 0; i < f->options->id_count && !keep; i++)
        keep = sk_span_eq(name, f->options->id[i]);
    int64_t ms;
    if (!keep && is_time(text, &ms))
        return add(f, name, SK_SERIES_DATETIME, (union sk_series_value){.integer = ms});
    return add(f, name, SK_SERIES_STRING, (union sk_series_value){.text = text});
}

/* ---- events ---- */

static const struct sk_series_field *find(const struct flatten *f, struct sk_span name) {
    for (size_t i = f->count; i-- > 0;)
        if (sk_span_eq(f->fields[i].property.name, name)) return &f->fields[i];
    return NULL;
}

static struct sk_span text_of(struct flatten *f, const struct sk_series_field *field) {
    switch (field->property.type) {
    case SK_SERIES_BOOL: return sk_span_z(field->value.boolean ? "true" : "false");
    case SK_SERIES_LONG: return sk_arena_print(f->arena, "%lld", (long long)field->value.integer);
    case SK_SERIES_DOUBLE: {
        char text[SK_REAL_TEXT];
        sk_real_text(field->value.number, text);
        return sk_arena_copy(f->arena, sk_span_z(text));
    }
    default: return field->value.text;
    }
}

static enum sk_status instance_of(struct flatten *f, struct sk_span *instance) {
    static const struct sk_span device = {SK_SERIES_DEVICE_ID, sizeof SK_SERIES_DEVICE_ID - 1};
    const struct sk_span *names = f->options->id_count ? f->options->id : &device;
    size_t n = f->options->id_count ? f->options->id_count : 1;
    struct sk_span values[SK_SERIES_ID_PARTS_MAX];
    for (size_t i = 0; i < n; i++) {
        const struct sk_series_field *field = find(f, names[i]);
        values[i] = field ? text_of(f, field) : SK_NONE;
        if (field && values[i].p == NULL) values[i].p = "";
        if (values[i].n > SK_SERIES_ID_VALUE_MAX) return SK_TOO_LARGE;
    }
    *instance = sk_series_instance(f->arena, values, n);
    return SK_OK;
}

struct sk_span sk_series_instance(struct sk_arena *arena, const struct sk_span *values, size_t n) {
    struct sk_buffer text = {0};
    for (size_t i = 0; i < n; i++) {
        sk_buffer_byte(&text, i ? ',' : '[');
        if (values[i].p)
            sk_json_string(&text, values[i]);
        else
            sk_buffer_text(&text, "null");
    }
    sk_buffer_byte(&text, ']');
    struct sk_span instance = sk_arena_copy(arena, sk_buffer_span(&text));
    sk_buffer_free(&text);
    return instance;
}

/* The fields without the timestamp, the last of those that have one name and type. */
static size_t gather(struct flatten *f, const struct sk_series_field *without,
                     struct sk_series_field *to) {
    size_t n = 0;
    struct sk_map seen = {0}; /* only of an event with many fields */
    bool many = f->count > 48;
    for (size_t i = f->count; i-- > 0;) {
        const struct sk_series_field *field = &f->fields[i];
        bool again = field == without;
        if (many) {
            again |= sk_map_get(&seen, field->property.name) != NULL;
            if (!again) sk_map_put(&seen, field->property.name, (void *)field);
        }
        for (size_t j = 0; j < n && !again && !many; j++)
            again = sk_span_eq(to[j].property.name, field->property.name);
        if (!again) to[n++] = *field;
    }
    sk_map_free(&seen);
    for (size_t i = 0; i < n / 2; i++) {
        struct sk_series_field other = to[i];
        to[i] = to[n - 1 - i];
        to[n - 1 - i] = other;
    }
    return n;
}

static enum sk_status add_known(struct flatten *f) {
    const struct sk_series_message *m = f->message;
    enum sk_status status = add(f, SK_SPAN(SK_SERIES_DEVICE_ID), SK_SERIES_STRING,
                                (union sk_series_value){.text = m->device_id});
    if (!status && m->module_id.n)
        status = add(f, SK_SPAN(SK_SERIES_MODULE_ID), SK_SERIES_STRING,
                     (union sk_series_value){.text = m->module_id});
    if (status) return status;
    return add(f, SK_SPAN(SK_SERIES_ENQUEUED_TIME), SK_SERIES_DATETIME,
               (union sk_series_value){.integer = m->enqueued});
}

static enum sk_status tell(struct flatten *f) {
    if (f->events++ == SK_SERIES_EVENTS_MAX) return SK_TOO_LARGE;
    size_t before = f->count;
    enum sk_status status = add_known(f);
    struct sk_series_event event = {.time = f->message->enqueued};
    if (!status) status = instance_of(f, &event.instance);
    if (!status) {
        const struct sk_series_field *at =
            f->options->timestamp.n ? find(f, f->options->timestamp) : NULL;
        if (at &&
            (at->property.type != SK_SERIES_STRING || sk_series_time(at->value.text, &event.time)))
            at = NULL; /* then it is a property as any other */
        struct sk_series_field *fields = sk_arena_alloc(f->arena, f->count * sizeof *fields);
        event.field_count = gather(f, at, fields);
        event.fields = fields;
        f->on_event(f->arg, &event);
    }
    f->count = before;
    return status;
}

/* ---- values ---- */

static bool lies_in(struct sk_span name, struct sk_span array) {
    return name.n > array.n && name.p[array.n] == '.' && sk_span_starts(name, array);
}

static bool objects_only(struct sk_span json) {
    struct sk_json_walk walk;
    enum sk_status status = sk_json_walk(json, &walk);
    bool any = false;
    while (!status && !(status = sk_json_next(&walk))) {
        if (walk.value.type != SK_VALUE_OBJECT) return false;
        any = true;
    }
    return any;
}

static bool unrolls(const struct flatten *f, struct sk_span name, struct sk_span json) {
    bool wanted = lies_in(f->options->timestamp, name);
    for (size_t i = 0; i < f->options->id_count; i++) wanted |= lies_in(f->options->id[i], name);
    return wanted && f->array_count < DEFERRED_MAX && objects_only(json);
}

static enum sk_status take_object(struct flatten *f, struct sk_span prefix, struct sk_span json,
                                  unsigned level);

static enum sk_status take_value(struct flatten *f, struct sk_span name, const struct sk_json *v,
                                 unsigned level) {
    switch (v->type) {
    case SK_VALUE_BOOL:
        return add(f, name, SK_SERIES_BOOL, (union sk_series_value){.boolean = v->truth});
    case SK_VALUE_NUMBER: return add_number(f, name, v);
    case SK_VALUE_STRING: return add_text(f, name, v);
    case SK_VALUE_OBJECT:
        if (level < SK_SERIES_LEVELS_MAX) return take_object(f, name, v->raw, level + 1);
        break;
    case SK_VALUE_ARRAY:
        if (level < SK_SERIES_LEVELS_MAX && unrolls(f, name, v->raw)) {
            f->arrays[f->array_count++] = (struct array){name, v->raw};
            return SK_OK;
        }
        break;
    default: return SK_OK; /* null */
    }
    return add(f, name, SK_SERIES_DYNAMIC, (union sk_series_value){.text = v->raw});
}

/* How many names a flattened name has is not asked again: an array is unrolled at its level. */
static enum sk_status take_object(struct flatten *f, struct sk_span prefix, struct sk_span json,
                                  unsigned level) {
    struct sk_json_walk walk;
    enum sk_status status = sk_json_walk(json, &walk);
    while (!status && !(status = sk_json_next(&walk))) {
        struct sk_json key = {.type = SK_VALUE_STRING, .raw = walk.key};
        key.escaped = memchr(walk.key.p, '\\', walk.key.n) != NULL;
        struct sk_span name =
            sk_series_name(f->arena, prefix, sk_json_string_value(f->arena, &key));
        status = take_value(f, name, &walk.value, level);
    }
    return status == SK_NOT_FOUND ? SK_OK : status;
}

/* Tells the event, or one for each element of the arrays from `from` on. Arrays in elements come
 * behind those that are there; recursion ends since they are few (DEFERRED_MAX). */
static enum sk_status unroll(struct flatten *f, size_t from) {
    if (from == f->array_count) return tell(f);
    struct array array = f->arrays[from];
    size_t fields = f->count, arrays = f->array_count;
    struct sk_json_walk walk;
    enum sk_status status = sk_json_walk(array.json, &walk);
    while (!status && !(status = sk_json_next(&walk))) {
        status = take_object(f, array.name, walk.value.raw, 2);
        if (!status) status = unroll(f, from + 1);
        f->count = fields;
        f->array_count = arrays;
    }
    return status == SK_NOT_FOUND ? SK_OK : status;
}

static bool is_utf8(struct sk_span text) {
    while (text.n) {
        size_t n = 0;
        uint64_t word;
        for (; text.n - n >= 8; n += 8) {
            memcpy(&word, text.p + n, 8);
            if (word & 0x8080808080808080) break;
        }
        text = sk_span_skip(text, n);
        n = text.n ? sk_utf8_length(text) : 0;
        if (n == 0 && text.n) return false;
        text = sk_span_skip(text, n);
    }
    return true;
}

enum sk_status sk_series_flatten(const struct sk_series_flatten_options *options,
                                 const struct sk_series_message *message, struct sk_arena *arena,
                                 sk_series_on_event *on_event, void *arg) {
    struct flatten f = {options, message, arena, on_event, arg, .events = 0};
    struct sk_span body = sk_span_trim(message->body);
    if (!is_utf8(body) || !sk_json_valid(body)) return SK_MALFORMED;
    if (body.p[0] != '[') {
        if (body.p[0] != '{') return SK_MALFORMED;
        enum sk_status status = take_object(&f, SK_NONE, body, 1);
        return status ? status : unroll(&f, 0);
    }
    struct sk_json_walk walk;
    if (!objects_only(body)) return SK_MALFORMED;
    enum sk_status status = sk_json_walk(body, &walk);
    while (!status && !(status = sk_json_next(&walk))) {
        f.count = f.array_count = 0;
        status = take_object(&f, SK_NONE, walk.value.raw, 1);
        if (!status) status = unroll(&f, 0);
    }
    return status == SK_NOT_FOUND ? SK_OK : status;
}
