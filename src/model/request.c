#include "model/request.h"

#include <stdarg.h>
#include <stdio.h>

enum sk_status sk_rights_parse(struct sk_span text, unsigned *rights) {
    static const struct {
        const char *name;
        unsigned right;
    } names[] = {{"RegistryRead", SK_RIGHT_REGISTRY_READ},
                 {"RegistryWrite", SK_RIGHT_REGISTRY_READ | SK_RIGHT_REGISTRY_WRITE},
                 {"ServiceConnect", SK_RIGHT_SERVICE_CONNECT},
                 {"DeviceConnect", SK_RIGHT_DEVICE_CONNECT}};
    *rights = 0;
    for (struct sk_span part; sk_span_split(&text, ',', &part);) {
        size_t i = 0, n = sizeof names / sizeof *names;
        while (i < n && !sk_span_eq_nocase(sk_span_trim(part), sk_span_z(names[i].name))) i++;
        if (i == n) return SK_INVALID;
        *rights |= names[i].right;
    }
    return *rights ? SK_OK : SK_INVALID;
}

void sk_principal_free(struct sk_principal *principal) {
    free(principal->device);
    free(principal->module);
    free(principal->generation_id);
    free(principal->policy);
    free(principal->actor);
    free(principal->auth_text);
    for (size_t i = 0; i < principal->link_count; i++) {
        free(principal->links[i].device);
        free(principal->links[i].scope);
    }
    free(principal->links);
    *principal = (struct sk_principal){0};
}

void sk_request_refuse(struct sk_request *request, enum sk_fault fault, const char *format, ...) {
    struct sk_error error = {.fault = fault};
    if (format) {
        va_list args;
        va_start(args, format);
        vsnprintf(error.text, sizeof error.text, format, args);
        va_end(args);
    }
    request->done(request, &(struct sk_answer){.error = &error});
}

enum sk_op_body sk_op_body(enum sk_op op) {
    static const unsigned char bodies[SK_OP_COUNT] = {
#define SK_OPERATION(name, right, device, edge_device, module, edge_hub, body, ...)                \
    [SK_OP_##name] = SK_BODY_##body,
#include "model/operations.def"
    };
    return (enum sk_op_body)bodies[op];
}

enum sk_throttle sk_op_throttle(enum sk_op op) {
    static const unsigned char throttles[SK_OP_COUNT] = {
#define SK_OPERATION(name, right, device, edge_device, module, edge_hub, body, throttle, ...)      \
    [SK_OP_##name] = SK_THROTTLE_##throttle,
#include "model/operations.def"
    };
    return (enum sk_throttle)throttles[op];
}
