/* Tokens of any shape: what parses has all its parts, and what we create from them parses to the
 * same. */
#include <stdlib.h>

#include "trust/sas.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_arena arena = {0};
    struct sk_sas sas, again;
    struct sk_span key = SK_SPAN("a2V5a2V5");
    if (sk_sas_parse(sk_span(data, size), &arena, &sas) == SK_OK) {
        CHECK(sas.sr.n && sas.se.n && sas.resource.n);
        sk_sas_verify(&sas, key, SK_NONE, 0);
        sk_sas_covers(sas.resource, SK_SPAN("hub/devices/d1/modules/m1"));
        if (sas.resource.n < 500 && sas.policy.n < 200) {
            struct sk_buffer token = {0};
            CHECK(sk_sas_create(&token, sas.resource, key, sas.policy, sas.expiry_s) == SK_OK);
            CHECK(sk_sas_parse(sk_buffer_span(&token), &arena, &again) == SK_OK);
            CHECK(sk_span_eq(again.resource, sas.resource) && sk_span_eq(again.policy, sas.policy));
            CHECK(again.expiry_s == sas.expiry_s);
            CHECK(sk_sas_verify(&again, SK_NONE, key, sas.expiry_s) == SK_OK);
            sk_buffer_free(&token);
        }
    }
    /* The input as a scope, cut at its first line. */
    struct sk_span scope =
        sk_span_first(sk_span(data, size), sk_span_find(sk_span(data, size), '\n'));
    sk_sas_covers(scope, sk_span_skip(sk_span(data, size), scope.n + 1));
    sk_arena_free(&arena);
    return 0;
}
