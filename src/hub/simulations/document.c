/* Simulations and device models as documents, in the form of Azure's device simulation. */
#include <string.h>

#include "hub/simulations/parts.h"
#include "model/json_text.h"

static struct sk_span text_of(const json_t *object, const char *name) {
    return sk_span_z(sk_json_member_text(object, name));
}

static bool copy_flag(json_t *to, const json_t *body, const char *name, bool otherwise,
                      char error[SK_MODEL_ERROR_MAX]) {
    const json_t *value = json_object_get(body, name);
    if (value && !json_is_null(value) && !json_is_boolean(value))
        return hub_document_wrong(error, "%s is true or false", name);
    json_object_set_new(to, name,
                        json_boolean(json_is_boolean(value) ? json_is_true(value) : otherwise));
    return true;
}

static bool is_small(const json_t *document, size_t most, const char *what,
                     char error[SK_MODEL_ERROR_MAX]) {
    struct sk_buffer text = {0};
    sk_json_put(&text, document, 0);
    size_t n = text.n;
    sk_buffer_free(&text);
    return n <= most || hub_document_wrong(error, "%s has at most %zu KB, not %zu", what,
                                           most / 1024, (n + 1023) / 1024);
}

/* ---- device models ---- */

static const struct sk_simulation_files stock = {.load = sk_simulation_stock_load};

json_t *device_model_stock(struct sk_span id) {
    struct sk_span text;
    for (size_t at = 0; sk_simulation_stock_next(&at, &text);) {
        json_t *model = sk_json_load(text, 0, NULL);
        if (sk_span_eq(id, text_of(model, "Id"))) return model;
        json_decref(model);
    }
    return NULL;
}

/* The source of a script into Files, if it comes along. */
static void put_source(json_t *files, const json_t *script) {
    const char *path = sk_json_member_text(script, "Path");
    struct sk_buffer source = {0};
    if (path && json_object_get(files, path) == NULL &&
        sk_simulation_stock_load(NULL, path, &source) == SK_OK)
        json_object_set_new(files, path, json_stringn(source.p, source.n));
    sk_buffer_free(&source);
}

static const struct device_model *find_model(const struct simulations *simulations,
                                             struct sk_span id) {
    SK_LIST_EACH((struct sk_list *)&simulations->models, node, following) {
        const struct device_model *model = SK_CONTAINER(node, struct device_model, link);
        if (sk_span_is(id, model->id)) return model;
    }
    return NULL;
}

json_t *device_model_whole(const struct simulations *simulations, struct sk_span id) {
    const struct device_model *own = find_model(simulations, id);
    json_t *model = own ? hub_document_shown(own->document, own->etag) : device_model_stock(id),
           *files, *script;
    const char *name;
    size_t i;
    if (model == NULL) return NULL;
    files = json_copy(json_object_get(model, "Files"));
    if (files == NULL) files = json_object();
    json_array_foreach(json_object_get(json_object_get(model, "Simulation"), "Scripts"), i, script)
        put_source(files, script);
    json_object_foreach(json_object_get(model, "CloudToDeviceMethods"), name, script) {
        put_source(files, script);
    }
    json_object_set_new(model, "Files", files);
    return model;
}

json_t *device_model_summary(const json_t *document) {
    static const char *const same[] = {"Id",   "Version",  "Name", "Description",
                                       "Type", "Protocol", "ETag", "CloudToDeviceMethods"};
    json_t *to = json_object(), *telemetry = json_array(), *one;
    size_t i;
    for (size_t k = 0; k < sizeof same / sizeof *same; k++)
        if (json_object_get(document, same[k]))
            json_object_set(to, same[k], json_object_get(document, same[k]));
    json_array_foreach(json_object_get(document, "Telemetry"), i, one) {
        one = json_copy(one);
        json_object_del(one, "MessageTemplate");
        json_array_append_new(telemetry, one);
    }
    json_object_set_new(to, "Telemetry", telemetry);
    return to;
}

static bool model_fine(const json_t *document, char error[SK_MODEL_ERROR_MAX]) {
    char reason[SK_SIMULATION_REASON];
    struct sk_simulation_model *model;
    SK_CLEANUP_FREE char *text = sk_json_text(document);
    if (sk_simulation_model_read(sk_span_z(text), &stock, &model, reason))
        return hub_document_wrong(error, "%s", reason);
    sk_simulation_model_free(model);
    return true;
}

json_t *device_model_document(const json_t *body, const char *id, uint64_t etag,
                              char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span own = text_of(body, "Id");
    json_t *to = json_deep_copy(body), *other = device_model_stock(sk_span_z(id));
    bool fine = true;
    json_object_del(to, "ETag");
    json_object_set_new(to, "Type", json_string("custom"));
    if (own.n == 0)
        json_object_set_new(to, "Id", json_string(id));
    else if (!sk_span_is(own, id))
        fine = hub_document_wrong(error, "Id is that of the path, '%s'", id);
    if (fine && other)
        fine = hub_document_wrong(error, "the model '%s' comes along; take another Id", id);
    json_decref(other);
    /* The reader knows what is our own as what Azure's have there, too: a text. */
    fine = fine && is_small(to, SK_SIMULATION_MODEL_MAX, "a device model", error) &&
           model_fine(to, error);
    if (fine) {
        json_t *stored = json_pack("{s:I,s:o}", "Version", (json_int_t)etag, "Model", to);
        return stored;
    }
    json_decref(to);
    return NULL;
}

struct device_model *device_model_read(json_t *document) {
    struct device_model *model = SK_NEW(struct device_model);
    sk_list_init(&model->link);
    model->etag = (uint64_t)json_integer_value(json_object_get(document, "Version"));
    model->document = json_incref(json_object_get(document, "Model"));
    model->id = sk_json_member_text(model->document, "Id");
    json_decref(document);
    if (model->id) return model;
    device_model_free(model);
    return NULL;
}

void device_model_free(struct device_model *model) {
    sk_list_remove(&model->link);
    json_decref(model->document);
    free(model);
}

/* ---- simulations ---- */

static bool take_model(const struct simulations *simulations, json_t *list, const json_t *one,
                       json_int_t *devices, char error[SK_MODEL_ERROR_MAX]) {
    struct sk_span id = text_of(one, "Id");
    const json_t *count = json_object_get(one, "Count"), *with = json_object_get(one, "Override");
    char reason[SK_SIMULATION_REASON];
    const json_t *other;
    size_t i;
    json_array_foreach(list, i, other) {
        if (sk_span_eq(id, text_of(other, "Id")))
            return hub_document_wrong(error, "DeviceModels has '%.*s' twice", SK_ARG(id));
    }
    if (!json_is_integer(count) || json_integer_value(count) < 1 ||
        json_integer_value(count) > SK_SIMULATION_DEVICES_MAX)
        return hub_document_wrong(error, "the Count of a device model is 1 to %d",
                                  SK_SIMULATION_DEVICES_MAX);
    *devices += json_integer_value(count);
    json_t *model = device_model_whole(simulations, id);
    if (model == NULL)
        return hub_document_wrong(error, "there is no device model '%.*s'",
                                  (int)(id.n < 64 ? id.n : 64), id.p ? id.p : "");
    bool fine = sk_simulation_override(model, with, reason) == SK_OK;
    if (!fine) hub_document_wrong(error, "%.*s: %s", SK_ARG(id), reason);
    fine = fine && (json_object_del(model, "ETag"), model_fine(model, error));
    json_decref(model);
    json_t *kept = json_pack("{s:s%,s:O}", "Id", id.p, id.n, "Count", count);
    if (json_is_object(with)) json_object_set(kept, "Override", (json_t *)with);
    json_array_append_new(list, kept);
    return fine;
}

static bool take_models(const struct simulations *simulations, json_t *to, const json_t *body,
                        char error[SK_MODEL_ERROR_MAX]) {
    const json_t *from = json_object_get(body, "DeviceModels"), *one;
    json_t *list = json_array();
    json_int_t devices = 0;
    size_t i;
    json_object_set_new(to, "DeviceModels", list);
    if (!json_is_array(from) || json_array_size(from) == 0 ||
        json_array_size(from) > SK_SIMULATION_MODELS_MAX)
        return hub_document_wrong(error, "DeviceModels has 1 to %d of them",
                                  SK_SIMULATION_MODELS_MAX);
    json_array_foreach(from, i, one) {
        if (!take_model(simulations, list, one, &devices, error)) return false;
    }
    return devices <= SK_SIMULATION_DEVICES_MAX ||
           hub_document_wrong(error, "a simulation has at most %d devices",
                              SK_SIMULATION_DEVICES_MAX);
}

static bool take_rates(json_t *to, const json_t *body, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *from = json_object_get(body, "RateLimits");
    json_t *rates = json_object(), *value;
    const char *name;
    json_object_set_new(to, "RateLimits", rates);
    if (from && !json_is_null(from) && !json_is_object(from))
        return hub_document_wrong(error, "RateLimits is an object");
    json_object_foreach((json_t *)from, name, value) {
        if (json_is_null(value) || (json_is_integer(value) && json_integer_value(value) == 0))
            continue;
        if (strcmp(name, "ConnectionsPerSecond") != 0 &&
            strcmp(name, "RegistryOperationsPerMinute") != 0)
            return hub_document_wrong(error,
                                      "RateLimits.%.64s is not kept to, so leave it out; "
                                      "ConnectionsPerSecond and RegistryOperationsPerMinute are",
                                      name);
        if (!json_is_integer(value) || json_integer_value(value) < 1 ||
            json_integer_value(value) > SIMULATION_RATE_MAX)
            return hub_document_wrong(error, "RateLimits.%s is 1 to %d", name, SIMULATION_RATE_MAX);
        json_object_set(rates, name, value);
    }
    return true;
}

/* A time, or nothing; NOW is what it says. */
static bool take_time(json_t *to, const json_t *body, const char *name, int64_t now_us,
                      int64_t otherwise, int64_t *us, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *value = json_object_get(body, name);
    struct sk_span text = text_of(body, name);
    *us = otherwise;
    if ((value && !json_is_null(value) && !json_is_string(value)) ||
        (text.n && sk_time_parse_near(text, now_us, us)))
        return hub_document_wrong(error, "%s is a time, NOW, or such as NOW+PT2H", name);
    if (*us == INT64_MAX)
        json_object_set_new(to, name, json_string(""));
    else
        hub_document_time(to, name, *us);
    return true;
}

static bool take_times(json_t *to, const json_t *body, int64_t now_us,
                       char error[SK_MODEL_ERROR_MAX]) {
    int64_t start_us, end_us;
    return take_time(to, body, "StartTime", now_us, now_us, &start_us, error) &&
           take_time(to, body, "EndTime", now_us, INT64_MAX, &end_us, error) &&
           (start_us < end_us || hub_document_wrong(error, "EndTime is not after StartTime"));
}

/* What Azure's have, and ours do not. */
static bool only_known(const json_t *body, char error[SK_MODEL_ERROR_MAX]) {
    const json_t *hubs = json_object_get(body, "IoTHubs"), *one;
    size_t i;
    json_array_foreach(hubs, i, one) {
        struct sk_span to = text_of(one, "ConnectionString");
        if (to.n && !sk_span_eq(to, SK_SPAN("default")))
            return hub_document_wrong(error, "IoTHubs: devices connect to this hub alone; leave it "
                                             "out, or say \"default\"");
    }
    if (json_array_size(json_object_get(body, "CustomDevices")))
        return hub_document_wrong(error, "CustomDevices is not supported");
    return text_of(body, "ReplayFileId").n == 0 ||
           hub_document_wrong(error, "ReplayFileId is not supported");
}

static bool differs(const json_t *a, const json_t *b, const char *name) {
    return !json_equal(json_object_get(a, name), json_object_get(b, name));
}

/* A run begins where it is enabled, and what is to be run is not what was being run. */
static json_t *run_of(const json_t *to, const struct simulation *before, int64_t now_us) {
    bool enabled = json_is_true(json_object_get(to, "Enabled"));
    const json_t *old = before ? before->document : NULL;
    if (before == NULL ||
        (enabled &&
         (!before->enabled || differs(to, old, "StartTime") || differs(to, old, "EndTime") ||
          differs(to, old, "DeviceModels") || differs(to, old, "RateLimits"))))
        return run_new(before ? before->run : NULL);
    json_t *run = json_deep_copy(before->run);
    if (before->enabled && !enabled)
        hub_document_time(run, "StoppedTime", now_us < before->end_us ? now_us : before->end_us);
    return run;
}

json_t *simulation_document(const struct simulations *simulations, const json_t *body,
                            const char *id, const struct simulation *before, int64_t now_us,
                            char error[SK_MODEL_ERROR_MAX]) {
    json_t *to =
        json_pack("{s:s,s:I}", "Id", id, "Version", (json_int_t)(before ? before->etag + 1 : 1));
    bool fine = hub_document_text(to, body, "Name", 256, error) &&
                hub_document_text(to, body, "Description", 2048, error) &&
                copy_flag(to, body, "Enabled", true, error) &&
                copy_flag(to, body, "DeleteDevicesWhenSimulationEnds", false, error) &&
                only_known(body, error) && take_times(to, body, now_us, error) &&
                take_rates(to, body, error) && take_models(simulations, to, body, error);
    if (fine && text_of(to, "Name").n == 0) fine = hub_document_wrong(error, "Name is missing");
    if (fine) {
        if (before)
            json_object_set(to, "Created", json_object_get(before->document, "Created"));
        else
            hub_document_time(to, "Created", now_us);
        hub_document_time(to, "Modified", now_us);
        json_object_set_new(to, "Run", run_of(to, before, now_us));
        fine = is_small(to, SIMULATION_BYTES, "a simulation", error);
    }
    if (fine) return to;
    json_decref(to);
    return NULL;
}

struct simulation *simulation_read(json_t *document) {
    struct simulation *simulation = SK_NEW(struct simulation);
    struct sk_span end = text_of(document, "EndTime");
    sk_list_init(&simulation->link);
    simulation->document = document;
    simulation->id = sk_json_member_text(document, "Id");
    simulation->etag = (uint64_t)json_integer_value(json_object_get(document, "Version"));
    simulation->enabled = json_is_true(json_object_get(document, "Enabled"));
    simulation->run = json_object_get(document, "Run");
    simulation->end_us = INT64_MAX;
    if (simulation->id && json_is_object(simulation->run) &&
        sk_time_parse(text_of(document, "StartTime"), &simulation->start_us) == SK_OK &&
        (end.n == 0 || sk_time_parse(end, &simulation->end_us) == SK_OK))
        return simulation;
    simulation_free(simulation);
    return NULL;
}

void simulation_free(struct simulation *simulation) {
    sk_list_remove(&simulation->link);
    json_decref(simulation->document);
    free(simulation);
}
