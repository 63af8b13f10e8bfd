/* Any topic, filter and property bag: what is read is written and reads the same again. */
#include <stdlib.h>

#include "azure/mqtt_topic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_bag(struct sk_span bag) {
    struct sk_arena arena = {0};
    struct sk_buffer text = {0};
    struct sk_message message = {0}, again = {0};
    if (sk_bag_parse(bag, &arena, &message) == SK_OK) {
        sk_bag_format(&text, &message);
        if (sk_bag_parse(sk_buffer_span(&text), &arena, &again)) abort();
        if (again.property_count != message.property_count) abort();
        for (size_t i = 0; i < message.property_count; i++)
            if (!sk_span_eq(message.properties[i].name, again.properties[i].name) ||
                !sk_span_eq(message.properties[i].value, again.properties[i].value))
                abort();
        for (size_t i = 0; i < SK_SYS_COUNT; i++)
            if (!sk_span_eq(message.system[i], again.system[i])) abort();
        if (sk_message_size(&message) != sk_message_size(&again)) abort();
    }
    sk_buffer_free(&text);
    sk_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span text = sk_span(data, size), device, module;
    struct sk_topic topic;
    sk_topic_parse(text, &topic);
    if (topic.kind == SK_TOPIC_TELEMETRY && topic.device.n == 0) abort();
    if (topic.kind == SK_TOPIC_METHOD_RESPONSE && topic.rid.n == 0) abort();
    (void)sk_topic_id_is(topic.device, SK_SPAN("leaf#1"));
    unsigned bit = sk_topic_filter(text, &device, &module);
    if (bit & (bit - 1)) abort(); /* at most one */
    check_bag(topic.kind == SK_TOPIC_UNKNOWN ? text : topic.bag);
    return 0;
}
