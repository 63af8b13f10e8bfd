/* skerry-sim: a simulated temperature sensor, like Azure's.
 *
 * Sends {"machine":{temperature,pressure},"ambient":{temperature,humidity}} to output
 * "temperatureOutput". The machine warms up from 21 to 100 °C; the direct method `reset` cools it
 * down.
 *   twin, desired: SendInterval (s, may be a fraction), SendData (bool), Anomalous (bool: now and
 *   then a reading far off), Drift (°C a message) */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "skerry.h"

static const double COLD = 21, HOT = 100;

struct sensor {
    double temperature, interval_s, drift;
    bool send, anomalous;
    uint64_t sent;
};

static void tick(void *user, struct skerry_module *module);

static void schedule(struct sensor *s, struct skerry_module *module) {
    skerry_module_timer(module, (uint32_t)(s->interval_s * 1000), tick);
}

static void tick(void *user, struct skerry_module *module) {
    struct sensor *s = user;
    schedule(s, module);
    if (!s->send) return;
    s->temperature += s->temperature < HOT ? skerry_random(module) * s->drift
                                           : (skerry_random(module) - 0.5) * s->drift;
    double shown =
        s->anomalous && skerry_random(module) < 0.05 ? s->temperature * 2.5 : s->temperature;
    char body[320];
    int n = snprintf(body, sizeof body,
                     "{\"sequence\":%llu,\"machine\":{\"temperature\":%.3f,\"pressure\":%.3f},"
                     "\"ambient\":{\"temperature\":%.3f,\"humidity\":%d}}",
                     (unsigned long long)++s->sent, shown, 1 + (shown - COLD) / (HOT - COLD) * 9,
                     20.5 + skerry_random(module), 24 + (int)(skerry_random(module) * 4));
    struct skerry_message message = {.body = body,
                                     .body_size = (size_t)n,
                                     .content_type = "application/json",
                                     .content_encoding = "utf-8"};
    if (skerry_module_send(module, "temperatureOutput", &message, NULL, NULL)) s->sent--;
}

static void on_connected(void *user, struct skerry_module *module) {
    schedule(user, module);
}

static void on_desired(void *user, struct skerry_module *module, const char *text, bool complete) {
    (void)complete;
    struct sensor *s = user;
    json_t *desired = json_loads(text, 0, NULL), *value;
    if ((value = json_object_get(desired, "SendInterval")) != NULL &&
        json_number_value(value) >= 0.001)
        s->interval_s = json_number_value(value);
    if ((value = json_object_get(desired, "SendData")) != NULL) s->send = !json_is_false(value);
    if ((value = json_object_get(desired, "Anomalous")) != NULL) s->anomalous = json_is_true(value);
    if ((value = json_object_get(desired, "Drift")) != NULL && json_is_number(value))
        s->drift = json_number_value(value);
    json_decref(desired);
    char report[200];
    snprintf(report, sizeof report,
             "{\"SendInterval\":%.15g,\"SendData\":%s,\"Anomalous\":%s,\"Drift\":%.15g}",
             s->interval_s, s->send ? "true" : "false", s->anomalous ? "true" : "false", s->drift);
    skerry_module_report(module, report, NULL, NULL);
    schedule(s, module);
}

static void on_method(void *user, struct skerry_module *module, const char *name,
                      const char *payload, struct skerry_call *call) {
    (void)module;
    (void)payload;
    struct sensor *s = user;
    if (strcmp(name, "reset") == 0) {
        skerry_log("reset at %.1f degrees", s->temperature);
        s->temperature = COLD;
        skerry_call_answer(call, 200, "{\"temperature\":21}");
    } else {
        skerry_call_answer(call, 404, "{\"message\":\"the method is reset\"}");
    }
}

int main(void) {
    struct sensor sensor = {.temperature = COLD, .interval_s = 5, .drift = 0.5, .send = true};
    struct skerry_handlers handlers = {
        .on_connected = on_connected, .on_desired = on_desired, .on_method = on_method};
    struct skerry_module *module;
    if (skerry_module_from_environment(&handlers, &sensor, &module)) return 1;
    int code = skerry_module_run(module);
    skerry_module_free(module);
    return code;
}
