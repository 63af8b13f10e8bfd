/* Any body as telemetry: it is refused, or becomes events with names, values and times that can be
 * stored. */
#include <math.h>
#include <stdlib.h>

#include "expr/json_scan.h"
#include "series/flatten.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *arg, const struct sk_series_event *event) {
    (void)arg;
    if (event->time < SK_SERIES_TIME_MIN || event->time > SK_SERIES_TIME_MAX) abort();
    if (!sk_json_valid(event->instance)) abort();
    for (size_t i = 0; i < event->field_count; i++) {
        const struct sk_series_field *field = &event->fields[i];
        if (field->property.name.n > SK_SERIES_FLAT_NAME_MAX + 17) abort();
        if (field->property.type == SK_SERIES_DOUBLE && !isfinite(field->value.number)) abort();
        if (field->property.type == SK_SERIES_DYNAMIC && !sk_json_valid(field->value.text)) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_arena arena = {0};
    const struct sk_series_flatten_options options = {
        .id = {{"id", 2}, {"p.id", 4}}, .id_count = 2, .timestamp = {"p.q.t", 5}};
    const struct sk_series_message message = {.body = sk_span(data, size),
                                              .device_id = SK_SPAN("d")};
    sk_series_flatten(&options, &message, &arena, on_event, NULL);
    sk_arena_free(&arena);
    return 0;
}
