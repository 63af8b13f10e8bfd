/* Any user name: read into host, device and module that are parts of it, or refused. */
#include <stdlib.h>

#include "gateway/mqtt/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_part(struct sk_span whole, struct sk_span part) {
    if (part.n && (part.p < whole.p || part.p + part.n > whole.p + whole.n)) abort();
    if (sk_span_find(part, '/') != part.n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_arena arena = {0};
    struct sk_mqtt_user user;
    struct sk_span text = sk_span(data, size);
    if (sk_mqtt_user_parse(text, &arena, &user) == SK_OK) {
        if (user.host.n == 0 || user.device.n == 0) abort();
        check_part(text, user.host);
        check_part(text, user.device);
        check_part(text, user.module);
    }
    sk_arena_free(&arena);
    return 0;
}
