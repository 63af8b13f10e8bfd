/* The models that come along: files of models/, built in. */
#include "simulation/models/model.h"

/* What cmake has made of models/: bytes, one array a file (sk_embed in CMakeLists.txt). */
#include "simulation_models.inc"

#define FILE_ROW(array, name)                                                                      \
    { name, file_##array, sizeof file_##array }

static const struct stock_file {
    const char *name;
    const unsigned char *bytes;
    size_t n;
} stock_files[] = {
    FILE_ROW(chiller_01_json, "chiller-01.json"),
    FILE_ROW(chiller_02_json, "chiller-02.json"),
    FILE_ROW(delivery_truck_01_json, "delivery-truck-01.json"),
    FILE_ROW(delivery_truck_02_json, "delivery-truck-02.json"),
    FILE_ROW(elevator_01_json, "elevator-01.json"),
    FILE_ROW(elevator_02_json, "elevator-02.json"),
    FILE_ROW(engine_01_json, "engine-01.json"),
    FILE_ROW(engine_02_json, "engine-02.json"),
    FILE_ROW(method_decrease_cargo_temperature_js, "method-decrease-cargo-temperature.js"),
    FILE_ROW(method_decrease_temperature_js, "method-decrease-temperature.js"),
    FILE_ROW(method_emergency_valve_release_js, "method-emergency-valve-release.js"),
    FILE_ROW(method_empty_tank_js, "method-empty-tank.js"),
    FILE_ROW(method_fill_tank_js, "method-fill-tank.js"),
    FILE_ROW(method_firmware_update_js, "method-firmware-update.js"),
    FILE_ROW(method_increase_cargo_temperature_js, "method-increase-cargo-temperature.js"),
    FILE_ROW(method_increase_pressure_js, "method-increase-pressure.js"),
    FILE_ROW(method_increase_temperature_js, "method-increase-temperature.js"),
    FILE_ROW(method_reboot_js, "method-reboot.js"),
    FILE_ROW(method_start_elevator_js, "method-start-elevator.js"),
    FILE_ROW(method_start_moving_js, "method-start-moving.js"),
    FILE_ROW(method_stop_elevator_js, "method-stop-elevator.js"),
    FILE_ROW(method_stop_moving_js, "method-stop-moving.js"),
    FILE_ROW(prototype_01_json, "prototype-01.json"),
    FILE_ROW(prototype_02_json, "prototype-02.json"),
    FILE_ROW(state_chiller_js, "state-chiller.js"),
    FILE_ROW(state_delivery_truck_js, "state-delivery-truck.js"),
    FILE_ROW(state_elevator_js, "state-elevator.js"),
    FILE_ROW(state_engine_js, "state-engine.js"),
    FILE_ROW(state_prototype_js, "state-prototype.js"),
    FILE_ROW(state_truck_js, "state-truck.js"),
    FILE_ROW(truck_01_json, "truck-01.json"),
    FILE_ROW(truck_02_json, "truck-02.json"),
};

enum { FILES = sizeof stock_files / sizeof *stock_files };

static struct sk_span bytes_of(const struct stock_file *file) {
    return sk_span(file->bytes, file->n);
}

bool sk_simulation_stock_next(size_t *at, struct sk_span *text) {
    while (*at < FILES) {
        const struct stock_file *file = &stock_files[(*at)++];
        if (!sk_span_ends(sk_span_z(file->name), SK_SPAN(".json"))) continue;
        *text = bytes_of(file);
        return true;
    }
    return false;
}

enum sk_status sk_simulation_stock_load(void *arg, const char *path, struct sk_buffer *to) {
    (void)arg;
    for (size_t i = 0; i < FILES; i++)
        if (sk_span_eq(sk_span_z(path), sk_span_z(stock_files[i].name))) {
            sk_buffer_append(to, bytes_of(&stock_files[i]));
            return SK_OK;
        }
    return SK_NOT_FOUND;
}
