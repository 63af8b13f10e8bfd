#include "simulation/models/model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model/json_text.h"

/* ---- reading ---- */

struct reading {
    struct sk_simulation_model *model;
    const struct sk_simulation_files *files;
    char *reason;
    enum sk_status status;
};

__attribute__((format(printf, 3, 4))) static bool wrong(struct reading *r, enum sk_status status,
                                                        const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(r->reason, SK_SIMULATION_REASON, format, arguments);
    va_end(arguments);
    r->status = status;
    return false;
}

/* A member that is a text; "" where there is none. */
static const char *text_of(const json_t *object, const char *name) {
    const char *text = sk_json_member_text(object, name);
    return text ? text : "";
}

/* "hh:mm:ss", hours up to 99. */
static bool read_interval(struct reading *r, const json_t *object, const char *of, uint64_t least,
                          uint64_t *ms) {
    unsigned hours, minutes, seconds;
    int end = 0;
    const char *text = text_of(object, "Interval");
    if (sscanf(text, "%2u:%2u:%2u%n", &hours, &minutes, &seconds, &end) != 3 || text[end] != '\0' ||
        minutes > 59 || seconds > 59)
        return wrong(r, SK_INVALID, "%s: Interval is hh:mm:ss, such as 00:00:10", of);
    *ms = ((hours * 60ull + minutes) * 60 + seconds) * 1000;
    if (*ms < least)
        return wrong(r, SK_INVALID, "%s: Interval must be at least %g s", of, (double)least / 1000);
    return true;
}

static const char *const behaviours[] = {
    [SK_SIMULATION_WITHIN_RANGE] = "Math.Random.WithinRange",
    [SK_SIMULATION_INCREASING] = "Math.Increasing",
    [SK_SIMULATION_DECREASING] = "Math.Decreasing",
};

static bool read_internal(struct reading *r, const json_t *params,
                          struct sk_simulation_script *to) {
    for (to->behaviour = SK_SIMULATION_WITHIN_RANGE; to->behaviour <= SK_SIMULATION_DECREASING;
         to->behaviour++)
        if (sk_span_eq_nocase(sk_span_z(to->path), sk_span_z(behaviours[to->behaviour]))) break;
    if (to->behaviour > SK_SIMULATION_DECREASING)
        return wrong(r, SK_UNSUPPORTED,
                     "script %s is not known: internal ones are Math.Random.WithinRange, "
                     "Math.Increasing and Math.Decreasing",
                     to->path);
    bool steps = to->behaviour != SK_SIMULATION_WITHIN_RANGE;
    const char *sensor;
    json_t *range;
    to->params = params;
    if (!json_is_object(params))
        return wrong(r, SK_INVALID, "script %s: Params gives Min and Max for each sensor",
                     to->path);
    json_object_foreach((json_t *)params, sensor, range) {
        const json_t *least = json_object_get(range, "Min"), *most = json_object_get(range, "Max");
        if (!json_is_number(least) || !json_is_number(most) ||
            (steps && !json_is_number(json_object_get(range, "Step"))))
            return wrong(r, SK_INVALID, "script %s: Params.%.64s must have numbers Min, Max%s",
                         to->path, sensor, steps ? " and Step" : "");
        if (json_number_value(least) > json_number_value(most))
            return wrong(r, SK_INVALID, "script %s: Params.%.64s: Min is above Max", to->path,
                         sensor);
    }
    return true;
}

static bool read_script(struct reading *r, const json_t *object, struct sk_simulation_script *to) {
    const char *type = text_of(object, "Type");
    to->path = text_of(object, "Path");
    if (sk_span_eq_nocase(sk_span_z(type), SK_SPAN("internal")))
        return read_internal(r, json_object_get(object, "Params"), to);
    if (!sk_span_eq_nocase(sk_span_z(type), SK_SPAN("javascript")))
        return wrong(r, SK_UNSUPPORTED, "script %s: Type is javascript or internal", to->path);
    const char *own = sk_json_member_text(json_object_get(r->model->document, "Files"), to->path);
    struct sk_buffer source = {.limit = SK_SIMULATION_MODEL_MAX};
    to->behaviour = SK_SIMULATION_JAVASCRIPT;
    to->source = sk_span_z(own); /* lives in the document */
    if (own) return true;
    enum sk_status status = r->files->load(r->files->arg, to->path, &source);
    if (!status) to->source = sk_arena_copy(&r->model->arena, sk_buffer_span(&source));
    sk_buffer_free(&source);
    if (status == SK_NOT_FOUND)
        return wrong(r, status,
                     "there is no script %s: put it into the model's Files, or (where the model is "
                     "a file) beside that",
                     to->path);
    return !status ||
           wrong(r, status, "script %s cannot be read (%s)", to->path, sk_status_text(status));
}

static bool read_telemetry(struct reading *r, const json_t *object,
                           struct sk_simulation_telemetry *to) {
    const json_t *schema = json_object_get(object, "MessageSchema");
    const char *format = text_of(schema, "Format");
    to->body = text_of(object, "MessageTemplate");
    to->schema = text_of(schema, "Name");
    if (!read_interval(r, object, "Telemetry", SK_SIMULATION_TELEMETRY_MS_MIN, &to->interval_ms))
        return false;
    if (*to->body == '\0') return wrong(r, SK_INVALID, "Telemetry: MessageTemplate is missing");
    if (*format && !sk_span_eq_nocase(sk_span_z(format), SK_SPAN("JSON")))
        return wrong(r, SK_UNSUPPORTED, "MessageSchema.Format %.32s: only JSON is simulated",
                     format);
    return true;
}

/* An object, or nothing; borrowed. */
static bool read_object(struct reading *r, const json_t *in, const char *name, const json_t **to) {
    *to = json_object_get(in, name);
    if (json_is_null(*to)) *to = NULL;
    return *to == NULL || json_is_object(*to) || wrong(r, SK_INVALID, "%s must be an object", name);
}

/* Members that are there are of the type that they shall have. */
static bool types_fine(struct reading *r) {
    static const char *const texts[] = {"Id",   "Name",     "Description", "Version",
                                        "Type", "Protocol", "ReplayFile"};
    const json_t *document = r->model->document, *value,
                 *lists[] = {json_object_get(document, "Telemetry"),
                             json_object_get(json_object_get(document, "Simulation"), "Scripts")};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        value = json_object_get(document, texts[i]);
        if (value && !json_is_null(value) && !json_is_string(value))
            return wrong(r, SK_INVALID, "%s must be a text", texts[i]);
    }
    for (size_t i = 0; i < 2; i++)
        if (lists[i] && !json_is_null(lists[i]) && !json_is_array(lists[i]))
            return wrong(r, SK_INVALID, "%s must be an array", i ? "Scripts" : "Telemetry");
    return true;
}

static bool read_about(struct reading *r) {
    struct sk_simulation_model *m = r->model;
    const char *schema = sk_json_member_text(m->document, "SchemaVersion"),
               *replay = text_of(m->document, "ReplayFile");
    m->id = text_of(m->document, "Id");
    m->name = text_of(m->document, "Name");
    m->description = text_of(m->document, "Description");
    m->version = text_of(m->document, "Version");
    m->protocol = text_of(m->document, "Protocol");
    if (schema && strcmp(schema, "1.0.0") != 0)
        return wrong(r, SK_UNSUPPORTED, "SchemaVersion is 1.0.0");
    if (*m->id == '\0' || strlen(m->id) > 64 ||
        strspn(m->id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") !=
            strlen(m->id))
        return wrong(r, SK_INVALID, "Id is 1 to 64 letters, digits, and any of - _ .");
    if (*replay) return wrong(r, SK_UNSUPPORTED, "ReplayFile is not supported");
    return true;
}

static bool read_simulation(struct reading *r) {
    struct sk_simulation_model *m = r->model;
    const json_t *simulation, *scripts;
    if (!read_object(r, m->document, "Simulation", &simulation) ||
        !read_object(r, simulation, "InitialState", &m->state))
        return false;
    scripts = json_object_get(simulation, "Scripts");
    m->script_count = json_array_size(scripts);
    m->scripts = sk_arena_alloc(&m->arena, (m->script_count + 1) * sizeof *m->scripts);
    if (m->script_count &&
        !read_interval(r, simulation, "Simulation", SK_SIMULATION_STATE_MS_MIN, &m->interval_ms))
        return false;
    for (size_t i = 0; i < m->script_count; i++)
        if (!read_script(r, json_array_get(scripts, i), &m->scripts[i])) return false;
    return true;
}

/* Scripts that the model has with it: each a text. */
static bool read_files(struct reading *r) {
    const json_t *files;
    const char *name;
    json_t *source;
    if (!read_object(r, r->model->document, "Files", &files)) return false;
    json_object_foreach((json_t *)files, name, source) {
        if (!json_is_string(source))
            return wrong(r, SK_INVALID, "Files: %.64s must be a text, its source", name);
    }
    return true;
}

static bool read_document(struct reading *r) {
    struct sk_simulation_model *m = r->model;
    const json_t *telemetry = json_object_get(m->document, "Telemetry"), *methods;
    const char *name;
    json_t *method;
    if (!types_fine(r) || !read_about(r) || !read_files(r) || !read_simulation(r) ||
        !read_object(r, m->document, "Properties", &m->properties) ||
        !read_object(r, m->document, "Tags", &m->tags) ||
        !read_object(r, m->document, "CloudToDeviceMethods", &methods))
        return false;
    m->telemetry_count = json_array_size(telemetry);
    m->telemetry = sk_arena_alloc(&m->arena, (m->telemetry_count + 1) * sizeof *m->telemetry);
    for (size_t i = 0; i < m->telemetry_count; i++)
        if (!read_telemetry(r, json_array_get(telemetry, i), &m->telemetry[i])) return false;
    m->methods = sk_arena_alloc(&m->arena, (json_object_size(methods) + 1) * sizeof *m->methods);
    json_object_foreach((json_t *)methods, name, method) {
        struct sk_simulation_method *to = &m->methods[m->method_count++];
        to->name = name;
        if (!read_script(r, method, &to->script)) return false;
        if (to->script.behaviour != SK_SIMULATION_JAVASCRIPT)
            return wrong(r, SK_UNSUPPORTED, "method %.64s: Type is javascript", name);
    }
    return true;
}

enum sk_status sk_simulation_model_read(struct sk_span text,
                                        const struct sk_simulation_files *files,
                                        struct sk_simulation_model **model,
                                        char reason[SK_SIMULATION_REASON]) {
    struct reading r = {.files = files, .reason = reason};
    json_error_t error;
    *model = NULL;
    if (text.n > SK_SIMULATION_MODEL_MAX) {
        wrong(&r, SK_TOO_LARGE, "a device model has at most %d KB", SK_SIMULATION_MODEL_MAX / 1024);
        return r.status;
    }
    json_t *document = sk_json_load(text, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(document)) {
        json_decref(document);
        if (document)
            wrong(&r, SK_MALFORMED, "a device model is a JSON object");
        else
            wrong(&r, SK_MALFORMED, "line %d: %s", error.line, error.text);
        return r.status;
    }
    r.model = SK_NEW(struct sk_simulation_model);
    r.model->document = document;
    if (read_document(&r))
        *model = r.model;
    else
        sk_simulation_model_free(r.model);
    return r.status;
}

void sk_simulation_model_free(struct sk_simulation_model *model) {
    if (model == NULL) return;
    json_decref(model->document);
    sk_arena_free(&model->arena);
    free(model);
}

/* ---- what it says and does ---- */

/* A value as it stands in a template. */
static void put_value(struct sk_buffer *to, const json_t *value) {
    struct sk_buffer text = {0};
    sk_json_put(&text, value, 0);
    struct sk_span span = sk_buffer_span(&text);
    if (json_is_string(value)) span = sk_span(span.p + 1, span.n - 2);
    sk_buffer_append(to, span);
    sk_buffer_free(&text);
}

void sk_simulation_fill(struct sk_buffer *to, const char *body, const json_t *state) {
    const char *sign;
    for (; (sign = strstr(body, "${")) != NULL; body = sign) {
        sk_buffer_append(to, sk_span(body, (size_t)(sign - body)));
        const char *end = strchr(sign, '}');
        size_t n = end ? (size_t)(end - sign) - 2 : 0;
        const json_t *value = n ? json_object_getn(state, sign + 2, n) : NULL;
        size_t whole = value ? n + 3 : 2;
        if (value)
            put_value(to, value);
        else
            sk_buffer_append(to, sk_span(sign, whole));
        sign += whole;
    }
    sk_buffer_text(to, body);
}

void sk_simulation_behave(const struct sk_simulation_script *script, json_t *state,
                          double (*chance)(void *arg), void *arg) {
    const char *sensor;
    json_t *range;
    json_object_foreach((json_t *)script->params, sensor, range) {
        double least = json_number_value(json_object_get(range, "Min")),
               most = json_number_value(json_object_get(range, "Max")),
               step = json_number_value(json_object_get(range, "Step")), value;
        const json_t *before = json_object_get(state, sensor);
        if (script->behaviour == SK_SIMULATION_WITHIN_RANGE) {
            value = least + (most - least) * chance(arg);
        } else if (script->behaviour == SK_SIMULATION_INCREASING) {
            value = json_is_number(before) ? json_number_value(before) + step : least;
            if (value > most) value = least;
        } else {
            value = json_is_number(before) ? json_number_value(before) - step : most;
            if (value < least) value = most;
        }
        json_object_set_new(state, sensor, json_real(value));
    }
}

/* ---- of simulations ---- */

static enum sk_status override_is(char reason[SK_SIMULATION_REASON], const char *why) {
    snprintf(reason, SK_SIMULATION_REASON, "%s", why);
    return SK_INVALID;
}

enum sk_status sk_simulation_override(json_t *model, const json_t *with,
                                      char reason[SK_SIMULATION_REASON]) {
    json_t *simulation = json_object_get(with, "Simulation"),
           *telemetry = json_object_get(with, "Telemetry"),
           *own = json_object_get(model, "Telemetry"), *one;
    size_t i;
    if (with == NULL || json_is_null(with)) return SK_OK;
    if (!json_is_object(with)) return override_is(reason, "Override must be an object");
    if (simulation && !json_is_object(simulation))
        return override_is(reason, "Override.Simulation must be an object");
    if (telemetry && !json_is_array(telemetry))
        return override_is(reason, "Override.Telemetry must be an array");
    if (json_array_size(telemetry) > json_array_size(own))
        return override_is(reason, "Override.Telemetry has more entries than the model");
    if (simulation && json_object_get(model, "Simulation"))
        json_object_update(json_object_get(model, "Simulation"), simulation);
    else if (simulation)
        json_object_set(model, "Simulation", simulation);
    json_array_foreach(telemetry, i, one) {
        if (!json_is_object(one) || !json_is_object(json_array_get(own, i)))
            return override_is(reason, "Override.Telemetry has objects, one for each of the model");
        json_object_update(json_array_get(own, i), one);
    }
    return SK_OK;
}

bool sk_simulation_id_fine(struct sk_span id) {
    return id.n > 0 && id.n <= SK_SIMULATION_ID_MAX && sk_span_only(id, "-_");
}
