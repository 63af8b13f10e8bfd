/* Requests to the blob service of any shape: signatures and SharedKey are read and tried, and what
 * we sign ourselves fits, for its own target and no other. */
#include <stdlib.h>

#include "azure/blob_auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    if (!(condition)) abort()

static void sign_for(struct sk_span name, struct sk_span key) {
    struct sk_blob_target target = {SK_SPAN("hub"), SK_SPAN("files"), name}, other = target;
    struct sk_buffer query = {0};
    struct sk_arena arena = {0};
    struct sk_blob_sas sas;
    other.container = SK_SPAN("others");
    CHECK(sk_blob_sas_put(&query, &target, key, SK_BLOB_READ, 1798502400000000) == SK_OK);
    struct sk_span text = sk_span_skip(sk_buffer_span(&query), 1);
    CHECK(sk_blob_sas_read(text, &arena, &sas) == SK_OK && sas.rights == SK_BLOB_READ);
    CHECK(sk_blob_sas_fits(&sas, &target, key) && !sk_blob_sas_fits(&sas, &other, key));
    sk_buffer_free(&query);
    sk_arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sk_span key = SK_SPAN("a2V5a2V5"), bytes = sk_span(data, size);
    struct sk_http_parser parser;
    enum sk_http_event event = SK_HTTP_MORE;
    struct sk_arena arena = {0};
    struct sk_blob_sas sas;
    size_t used;
    sk_http_parser_init(&parser, true);
    if (sk_http_feed(&parser, bytes, &used, &event) == SK_OK && event != SK_HTTP_MORE) {
        struct sk_blob_target target = {SK_SPAN("hub"), SK_SPAN("files"), parser.path};
        if (sk_blob_sas_read(parser.query, &arena, &sas) == SK_OK)
            CHECK(!sk_blob_sas_fits(&sas, &target, key) || sas.sig.n == 44);
        if (sk_blob_asked(&parser) && sk_blob_key_account(&parser).n)
            sk_blob_key_fits(&parser, key);
    }
    if (size < 1000) sign_for(bytes, key);
    sk_http_parser_free(&parser);
    sk_arena_free(&arena);
    return 0;
}
