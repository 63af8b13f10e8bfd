/* Any stored bytes: a message that encodes to the same, or malformed; and its JSON is JSON. */
#include <stdlib.h>

#include <jansson.h>

#include "model/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_arena arena = {0};
    struct sk_message message, again;
    struct sk_buffer head = {0}, text = {0};
    if (sk_message_decode(sk_span(data, size), &arena, &message) == SK_OK) {
        if (sk_message_encode_head(&head, &message)) abort();
        sk_buffer_append(&head, message.body);
        if (sk_message_decode(sk_buffer_span(&head), &arena, &again)) abort();
        if (!sk_span_eq(again.device, message.device) ||
            !sk_span_eq(again.module, message.module) || !sk_span_eq(again.body, message.body) ||
            again.property_count != message.property_count)
            abort();
        sk_message_json(&text, &message);
        json_t *json = json_loadb(text.p, text.n, JSON_ALLOW_NUL, NULL);
        bool nul_name = false; /* JSON, but nothing that jansson takes back */
        for (size_t k = 0; k < message.property_count; k++)
            nul_name = nul_name ||
                       sk_span_find(message.properties[k].name, 0) < message.properties[k].name.n;
        if (json == NULL && !nul_name) abort();
        json_decref(json);
    }
    sk_buffer_free(&head);
    sk_buffer_free(&text);
    sk_arena_free(&arena);
    return 0;
}
