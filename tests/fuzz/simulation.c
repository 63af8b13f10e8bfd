/* Any text is a device model or is refused with a sentence; what is one fills its templates. */
#include <stdlib.h>

#include "simulation/models/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double half(void *arg) {
    (void)arg;
    return 0.5;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct sk_simulation_files stock = {.load = sk_simulation_stock_load};
    struct sk_simulation_model *model;
    char reason[SK_SIMULATION_REASON] = "";
    if (sk_simulation_model_read(sk_span(data, size), &stock, &model, reason)) {
        if (reason[0] == '\0' || model) abort();
        return 0;
    }
    json_t *now = model->state ? json_deep_copy(model->state) : json_object();
    struct sk_buffer text = {0};
    for (size_t i = 0; i < model->script_count; i++)
        if (model->scripts[i].behaviour != SK_SIMULATION_JAVASCRIPT)
            sk_simulation_behave(&model->scripts[i], now, half, NULL);
    for (size_t i = 0; i < model->telemetry_count; i++)
        sk_simulation_fill(&text, model->telemetry[i].body, now);
    sk_buffer_free(&text);
    json_decref(now);
    sk_simulation_model_free(model);
    return 0;
}
