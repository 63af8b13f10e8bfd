#include "expr/message_source.h"

static bool find_property(void *arg, struct sk_span name, struct sk_span *value) {
    const struct sk_property *property = sk_message_property(arg, name);
    if (property) *value = property->value;
    return property != NULL;
}

static bool find_system(void *arg, struct sk_span name, struct sk_span *value) {
    return sk_message_system(arg, name, value);
}

struct sk_expr_source sk_expr_source_of(const struct sk_message *message) {
    return (struct sk_expr_source){.property = find_property,
                                   .system = find_system,
                                   .arg = (void *)message,
                                   .body = message->body,
                                   .content_type = message->system[SK_SYS_CONTENT_TYPE],
                                   .content_encoding = message->system[SK_SYS_CONTENT_ENCODING]};
}
