/* skerry-filter: passes on what is hot. Input "input1" → output "output1", with the property
 * MessageType = Alert.
 *
 *   twin, desired: TemperatureThreshold (°C, machine.temperature; default 25). Reports the
 *   threshold it uses.
 * A message is acknowledged when what it became is stored by the edge hub, so a crash between loses
 * nothing. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "skerry.h"

struct filter {
    double threshold;
    uint64_t passed, held;
};

/* A message whose successor is on its way. */
struct pending {
    struct skerry_module *module;
    skerry_delivery delivery;
};

static void on_stored(void *user, enum skerry_result result) {
    struct pending *pending = user;
    if (result == SKERRY_OK) skerry_module_acknowledge(pending->module, pending->delivery);
    free(pending);
}

static void on_message(void *user, struct skerry_module *module,
                       const struct skerry_message *message, skerry_delivery delivery) {
    struct filter *f = user;
    json_t *body = json_loadb(message->body, message->body_size, 0, NULL);
    json_t *temperature = json_object_get(json_object_get(body, "machine"), "temperature");
    bool hot = json_is_number(temperature) && json_number_value(temperature) >= f->threshold;
    json_decref(body);
    if (!hot) {
        f->held++;
        skerry_module_acknowledge(module, delivery);
        return;
    }
    static const struct skerry_property alert = {"MessageType", "Alert"};
    struct skerry_message out = *message;
    out.properties = &alert;
    out.property_count = 1;
    struct pending *pending = malloc(sizeof *pending);
    *pending = (struct pending){module, delivery};
    if (skerry_module_send(module, "output1", &out, on_stored, pending) == SKERRY_OK)
        f->passed++;
    else
        free(pending); /* not acknowledged: it comes again */
}

static void on_desired(void *user, struct skerry_module *module, const char *text, bool complete) {
    (void)complete;
    struct filter *f = user;
    json_t *desired = json_loads(text, 0, NULL),
           *value = json_object_get(desired, "TemperatureThreshold");
    if (json_is_number(value)) f->threshold = json_number_value(value);
    json_decref(desired);
    char report[64];
    snprintf(report, sizeof report, "{\"TemperatureThreshold\":%.15g}", f->threshold);
    skerry_log("threshold %g", f->threshold);
    skerry_module_report(module, report, NULL, NULL);
}

int main(void) {
    struct filter filter = {.threshold = 25};
    struct skerry_handlers handlers = {.on_message = on_message, .on_desired = on_desired};
    struct skerry_module *module;
    if (skerry_module_from_environment(&handlers, &filter, &module)) return 1;
    int code = skerry_module_run(module);
    skerry_module_free(module);
    return code;
}
