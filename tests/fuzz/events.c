/* What readers of the event stream write: where to begin, and the addresses of links. */
#include "azure/amqp_address.h"
#include "model/events.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span text = sk_span(data, size);
    struct sk_events_position position, again;
    struct sk_address address;
    struct sk_arena arena = {0};
    if (sk_events_position_parse(text, &position) == SK_OK) {
        struct sk_buffer written = {0};
        sk_events_position_format(&written, &position);
        if (sk_events_position_parse(sk_buffer_span(&written), &again) ||
            again.from != position.from ||
            (again.from >= SK_EVENTS_OFFSET &&
             (again.value != position.value || again.inclusive != position.inclusive)))
            __builtin_trap();
        sk_buffer_free(&written);
    }
    sk_address_parse(text, &arena, &address);
    sk_arena_free(&arena);
    return 0;
}
