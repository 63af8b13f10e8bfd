/* One simulated device: its state, which scripts change, what it sends of it, its twin and its
 * methods. */
#include <stdio.h>
#include <string.h>

#include "simulation/parts.h"
#include "model/json_text.h"

enum {
    TELL_MS = 200,    /* properties that change together are one report */
    CALLS_MAX = 4,    /* methods of a device that run at once */
    QUEUE = 64 << 10, /* bytes of messages that wait while it is not connected */
};

/* A method whose script runs, or sleeps. */
struct running_call {
    struct sk_list link;
    struct sk_timer timer;
    struct simulation_device *device;
    struct sk_simulation_engine *engine;
};

/* ---- scripts ---- */

static void script_failed(struct simulation_device *device, const char *path, const char *why) {
    struct sk_simulation *simulation = device->simulation;
    simulation->counts.script_errors++;
    snprintf(simulation->script_error, sizeof simulation->script_error, "%s: %s", path, why);
}

static void tell(struct sk_timer *timer);

static void set_property(struct simulation_device *device, const char *key, const json_t *value) {
    bool gone = value == NULL || json_is_null(value);
    const json_t *before = json_object_get(device->properties, key);
    if (gone ? before == NULL : before && json_equal(before, value)) return;
    if (gone)
        json_object_del(device->properties, key);
    else
        json_object_set_new(device->properties, key, json_deep_copy(value));
    if (device->report == NULL) device->report = json_object();
    json_object_set_new(device->report, key, gone ? json_null() : json_deep_copy(value));
    if (device->connected && !sk_timer_running(&device->tell))
        sk_timer_start(device->simulation->io, &device->tell, TELL_MS * SK_MS, tell);
}

static void on_log(void *arg, const char *text) {
    struct simulation_device *device = arg;
    const struct sk_simulation_options *o = &device->simulation->options;
    if (o->log) o->log(o->arg, device->id, text);
}

static void on_state(void *arg, const json_t *patch) {
    struct simulation_device *device = arg;
    json_object_update(device->state, (json_t *)patch);
}

static void on_property(void *arg, const char *key, const json_t *value) {
    set_property(arg, key, value);
}

static double on_chance(void *arg) {
    struct simulation_device *device = arg;
    uint64_t bits;
    sk_io_random(device->simulation->io, &bits, sizeof bits);
    return (double)(bits >> 11) / (double)(1ull << 53);
}

const struct sk_simulation_host simulation_script_host = {on_log, on_state, on_property, on_chance};

/* What scripts are told; `more` are members of a method's payload. */
static json_t *context_of(const struct simulation_device *device, const json_t *more) {
    json_t *context = json_object();
    char time[SK_TIME_TEXT];
    if (json_is_object(more)) json_object_update(context, (json_t *)more);
    sk_time_text(sk_io_wall(device->simulation->io), time);
    memcpy(time + 19, "+00:00", 7); /* whole seconds, with a zone */
    json_object_set_new(context, "currentTime", json_string(time));
    json_object_set_new(context, "deviceId", json_string(device->id));
    json_object_set_new(context, "deviceModel", json_string(device->kind->model->id));
    return context;
}

static void behave(struct sk_timer *timer) {
    struct simulation_device *device = SK_CONTAINER(timer, struct simulation_device, behave);
    const struct sk_simulation_model *model = device->kind->model;
    sk_timer_start(timer->io, timer, model->interval_ms * SK_MS, behave);
    for (size_t i = 0; i < model->script_count; i++) {
        const struct sk_simulation_script *script = &model->scripts[i];
        if (script->behaviour != SK_SIMULATION_JAVASCRIPT) {
            sk_simulation_behave(script, device->state, on_chance, device);
            continue;
        }
        char why[SK_SIMULATION_REASON];
        uint64_t sleep_ms;
        json_t *context = context_of(device, NULL);
        enum sk_status status =
            sk_simulation_engine_run(device->kind->engines[i], context, device->state,
                                     device->properties, device, &sleep_ms, why);
        json_decref(context);
        if (status)
            script_failed(device, script->path,
                          status == SK_AGAIN ? "sleep is for methods; its state stays" : why);
    }
}

/* ---- methods ---- */

static void call_free(struct running_call *call) {
    sk_timer_stop(&call->timer);
    sk_list_remove(&call->link);
    call->device->call_count--;
    sk_simulation_engine_free(call->engine);
    free(call);
}

static void wake(struct sk_timer *timer);

static void call_goes(struct running_call *call, enum sk_status status, uint64_t sleep_ms,
                      const char *why) {
    if (status == SK_AGAIN) {
        sk_timer_start(call->device->simulation->io, &call->timer, sleep_ms * SK_MS, wake);
        return;
    }
    if (status) script_failed(call->device, "a method", why);
    call_free(call);
}

static void wake(struct sk_timer *timer) {
    struct running_call *call = SK_CONTAINER(timer, struct running_call, timer);
    char why[SK_SIMULATION_REASON];
    uint64_t sleep_ms = 0;
    enum sk_status status = sk_simulation_engine_go_on(call->engine, &sleep_ms, why);
    call_goes(call, status, sleep_ms, why);
}

static const struct sk_simulation_method *find_method(const struct simulation_device *device,
                                                      struct sk_span name) {
    const struct sk_simulation_model *model = device->kind->model;
    for (size_t i = 0; i < model->method_count; i++)
        if (sk_span_eq_nocase(sk_span_z(model->methods[i].name), name)) return &model->methods[i];
    return NULL;
}

/* Answers at once; the script runs behind that. */
static void on_method(void *arg, struct sk_span name, struct sk_span payload, struct sk_span rid) {
    struct simulation_device *device = arg;
    const struct sk_simulation_method *method = find_method(device, name);
    int code = method == NULL ? 501 : device->call_count >= CALLS_MAX ? 429 : 200;
    struct sk_span answers[] = {SK_SPAN("{\"status\":\"accepted\"}"),
                                SK_SPAN("{\"status\":\"the device's model has no such method\"}"),
                                SK_SPAN("{\"status\":\"busy with earlier calls\"}")};
    device->simulation->counts.methods++;
    sk_device_client_answer(device->client, rid, code,
                            answers[code == 200   ? 0
                                    : code == 501 ? 1
                                                  : 2]);
    if (code != 200) return;
    char why[SK_SIMULATION_REASON];
    uint64_t sleep_ms = 0;
    struct running_call *call = SK_NEW(struct running_call);
    call->device = device;
    sk_list_append(&device->calls, &call->link);
    device->call_count++;
    enum sk_status status =
        sk_simulation_engine_new(&method->script, &simulation_script_host, &call->engine, why);
    if (!status) {
        json_t *json = sk_json_load(payload, JSON_DECODE_ANY, NULL),
               *context = context_of(device, json);
        status = sk_simulation_engine_run(call->engine, context, device->state, device->properties,
                                          device, &sleep_ms, why);
        json_decref(context);
        json_decref(json);
    }
    call_goes(call, status, sleep_ms, why);
}

/* ---- the twin ---- */

static void reported(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                     uint64_t version) {
    struct simulation_device *device = arg;
    (void)body;
    (void)version;
    if (!status && code / 100 == 2)
        device->simulation->counts.reports++;
    else if (status != SK_CLOSED) /* the simulation ends */
        device->simulation->counts.report_failures++;
}

static void tell(struct sk_timer *timer) {
    struct simulation_device *device = SK_CONTAINER(timer, struct simulation_device, tell);
    if (device->report == NULL) return;
    struct sk_buffer text = {0};
    sk_json_put(&text, device->report, 0);
    json_decref(device->report);
    device->report = NULL;
    sk_device_client_report(device->client, sk_buffer_span(&text), reported, device);
    sk_buffer_free(&text);
}

static void take_desired(struct simulation_device *device, const json_t *desired) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)desired, key, value) {
        if (*key != '$') set_property(device, key, value);
    }
}

static void on_desired(void *arg, struct sk_span patch, uint64_t version) {
    (void)version;
    json_t *json = sk_json_load(patch, 0, NULL);
    take_desired(arg, json);
    json_decref(json);
}

static void got_twin(void *arg, enum sk_status status, unsigned code, struct sk_span body,
                     uint64_t version) {
    (void)version;
    if (status || code != 200) return;
    json_t *json = sk_json_load(body, 0, NULL);
    take_desired(arg, json_object_get(json, "desired"));
    json_decref(json);
}

/* ---- telemetry ---- */

static void sent(void *arg, enum sk_status status) {
    struct simulation_device *device = arg;
    if (status == SK_OK)
        device->simulation->counts.acknowledged++;
    else if (status != SK_CLOSED) /* the simulation ends */
        device->simulation->counts.failed++;
}

static void send(struct sk_timer *timer) {
    struct device_telemetry *one = SK_CONTAINER(timer, struct device_telemetry, timer);
    struct simulation_device *device = one->device;
    struct sk_simulation *simulation = device->simulation;
    uint64_t ms =
        simulation->options.interval_ms ? simulation->options.interval_ms : one->says->interval_ms;
    sk_timer_start(timer->io, timer, ms * SK_MS, send);
    if (json_is_false(json_object_get(device->state, "online"))) return;
    char time[SK_TIME_TEXT];
    struct sk_buffer body = {0};
    sk_simulation_fill(&body, one->says->body, device->state);
    sk_time_text(sk_io_wall(simulation->io), time);
    struct sk_property properties[] = {
        {SK_SPAN("$$CreationTimeUtc"), sk_span_z(time)},
        {SK_SPAN("$$MessageSchema"), sk_span_z(one->says->schema)},
        {SK_SPAN("$$ContentType"), SK_SPAN("JSON")},
    };
    struct sk_message message = {.device = sk_span_z(device->id),
                                 .body = sk_buffer_span(&body),
                                 .properties = properties,
                                 .property_count = 3};
    message.system[SK_SYS_CONTENT_TYPE] = SK_SPAN("application/json");
    message.system[SK_SYS_CONTENT_ENCODING] = SK_SPAN("utf-8");
    if (sk_device_client_send(device->client, &message, sent, device))
        simulation->counts.failed++;
    else
        simulation->counts.sent++;
    sk_buffer_free(&body);
}

/* ---- its life ---- */

/* Devices of a model do not all act in the same moment. */
static uint64_t first_after(struct simulation_device *device, uint64_t interval_ms) {
    return (uint64_t)((double)(interval_ms * SK_MS) * on_chance(device));
}

static void on_connected(void *arg, bool session_present) {
    struct simulation_device *device = arg;
    const struct sk_simulation_model *model = device->kind->model;
    (void)session_present;
    if (!device->connected) device->simulation->counts.connected++;
    device->connected = true;
    if (!device->told) {
        uint64_t ms = device->simulation->options.interval_ms;
        device->told = true;
        if (model->script_count)
            sk_timer_start(device->simulation->io, &device->behave,
                           first_after(device, model->interval_ms), behave);
        for (size_t i = 0; i < model->telemetry_count; i++)
            sk_timer_start(device->simulation->io, &device->telemetry[i].timer,
                           first_after(device, ms ? ms : model->telemetry[i].interval_ms), send);
        if (json_object_size(device->properties))
            device->report = json_deep_copy(device->properties);
    }
    if (device->report) tell(&device->tell);
    sk_device_client_get_twin(device->client, got_twin, device);
}

static void on_disconnected(void *arg, const struct sk_client_down *down) {
    struct simulation_device *device = arg;
    (void)down;
    if (device->connected)
        device->simulation->counts.connected--;
    else
        device->simulation->counts.connect_failures++;
    device->connected = false;
}

static const struct sk_device_events events = {.connected = on_connected,
                                               .disconnected = on_disconnected,
                                               .desired = on_desired,
                                               .method = on_method};

static json_t *copy_of(const json_t *object) {
    return object ? json_deep_copy(object) : json_object();
}

struct simulation_device *simulation_device_new(struct sk_simulation *simulation,
                                                struct simulation_kind *kind, struct sk_span id) {
    struct simulation_device *device = SK_NEW(struct simulation_device);
    const struct sk_simulation_model *model = kind->model;
    device->simulation = simulation;
    device->kind = kind;
    device->id = sk_span_dup(id);
    device->state = copy_of(model->state);
    device->properties = copy_of(model->properties);
    device->telemetry = sk_alloc((model->telemetry_count + 1) * sizeof *device->telemetry);
    for (size_t i = 0; i < model->telemetry_count; i++) {
        device->telemetry[i].device = device;
        device->telemetry[i].says = &model->telemetry[i];
    }
    sk_list_init(&device->calls);
    return device;
}

void simulation_device_begin(struct simulation_device *device, struct sk_device_mux *mux) {
    const struct sk_simulation_options *o = &device->simulation->options;
    device->client = sk_device_client_new(
        device->simulation->io,
        &(struct sk_device_client_options){.mux = mux,
                                           .host = o->host,
                                           .port = o->port,
                                           .tls = o->tls,
                                           .hub_host = o->hub_host,
                                           .device_id = sk_span_z(device->id),
                                           .key = o->key,
                                           .policy = o->policy,
                                           .queue_max = QUEUE,
                                           .in_flight_max = 16,
                                           .subscriptions = SK_SUB_METHODS | SK_SUB_DESIRED,
                                           .events = &events,
                                           .arg = device});
}

void simulation_device_free(struct simulation_device *device) {
    sk_list_remove(&device->link);
    sk_timer_stop(&device->behave);
    sk_timer_stop(&device->tell);
    for (size_t i = 0; i < device->kind->model->telemetry_count; i++)
        sk_timer_stop(&device->telemetry[i].timer);
    if (device->client) sk_device_client_free(device->client);
    SK_LIST_EACH(&device->calls, node, following)
    call_free(SK_CONTAINER(node, struct running_call, link));
    json_decref(device->state);
    json_decref(device->properties);
    json_decref(device->report);
    free(device->telemetry);
    free(device->id);
    free(device);
}
